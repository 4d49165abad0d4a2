"""Output to the console: any text can be printed in any encoding, and the reader may go away."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from ..files import write_whole

ESCAPE = "tinygrad_rnn.escape"  #: the name of the error handler


def escape(error: UnicodeError) -> tuple[str, int]:
    """Write a character that the encoding does not have as ``\\u2299``, which is valid in JSON too."""
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


class Console:
    """A text stream whose reader may go away (``| head``): later output is dropped, and the command goes on."""

    def __init__(self, stream: Any, name: str):
        self.stream, self.name = stream, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write ``text``, or drop it."""
        with self.dropping():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        with self.dropping():
            self.stream.flush()

    @contextlib.contextmanager
    def dropping(self) -> Iterator[None]:
        """At an error the stream is redirected to the null device, so that no second error follows.

        A lost reader (BrokenPipeError) is ignored; any other OSError is raised again with the name of the stream.
        """
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError, ValueError):  # a stream without a file
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.stream.fileno())
                os.close(nowhere)
            if not isinstance(error, BrokenPipeError):
                raise OSError(error.errno, error.strerror, self.name) from error


def write_bytes(content: bytes) -> None:
    """Write binary data to standard output."""
    with sys.stdout.dropping() if isinstance(sys.stdout, Console) else contextlib.nullcontext():
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def write_text(out: str, text: str) -> None:
    """Write ``text`` to the file ``out`` and say so; ``-`` is standard output."""
    if out == "-":
        sys.stdout.write(text)
    else:
        write_whole(out, text)
        print(f"wrote {out}")


@contextlib.contextmanager
def printable() -> Iterator[None]:
    """Inside, standard output and the error stream accept any text; unknown characters are printed as escapes."""
    codecs.register_error(ESCAPE, escape)
    before = [(name, getattr(sys, name), getattr(getattr(sys, name), "errors", None)) for name in ("stdout", "stderr")]
    for name, stream, _ in before:
        if stream is None:  # the stream was closed before the program began
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 it stays open, like the stream it replaces
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ESCAPE)
        setattr(sys, name, Console(stream, name))
    try:
        yield
    finally:
        for name, stream, errors in before:
            setattr(sys, name, stream)
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors=errors)
