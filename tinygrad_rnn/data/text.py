"""Read a text file as a corpus."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InvalidValue
from ..files import read_whole
from .corpus import EOS, Corpus, look_up


def read_text(path: str | os.PathLike[str], vocab: Sequence[str] | None = None) -> Corpus:
    """Read a text file: whitespace separates the words, and every line ends with ``<eos>``.

    Equal to::

        words = [word for line in open(path) for word in line.split() + ["<eos>"]]

    Without ``vocab`` the words are numbered in the order in which they first appear (the book's ``load_data``). With
    ``vocab`` its ids are used, and an unknown word becomes ``<unk>``.

    A blank line is a line, a single ``<eos>``. The last line gets its ``<eos>`` even without a line end.

    Raises FileNotFoundError for no such file, OSError for a folder, a pipe or a device (which may never end),
    InvalidValue for a file without words, for bytes that are not UTF-8 text (the line is named), and for an unknown
    word where ``vocab`` has no ``<unk>`` (word and line are named).
    """
    lines = _lines(Path(path))
    word_to_id = {word: i for i, word in enumerate(vocab or ())}
    ids: list[int] = []
    for number, line in enumerate(lines, start=1):
        words = [*line.split(), EOS]
        if vocab is None:
            ids += [word_to_id.setdefault(word, len(word_to_id)) for word in words]
        else:
            ids += look_up(f"read_text: {path}, line {number}", words, word_to_id)
    return Corpus(np.array(ids), tuple(word_to_id) if vocab is None else tuple(vocab))


def _lines(path: Path) -> list[str]:
    """The lines of a text file, without their ends. Only a newline ends a line: a form feed is whitespace."""
    if not path.exists():
        raise FileNotFoundError(f"read_text: there is no file {path}, it should be a text file")
    lines = _text(path).split("\n")
    if not any(line.strip() for line in lines):
        raise InvalidValue(f"read_text: {path} is empty, it should have at least one word")
    return lines[:-1] if lines[-1] == "" else lines


def _text(path: Path) -> str:
    """The text of the file; a byte order mark is dropped."""
    data = read_whole(path, "read_text", should="a text file")
    try:
        text = data.decode("utf-8")
        wrong = data.find(b"\0")
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong >= 0:
        what = "a NUL byte" if data[wrong] == 0 else f"byte 0x{data[wrong]:02x}"
        line = data.count(b"\n", 0, wrong) + 1
        raise InvalidValue(f"read_text: {path} has {what} in line {line}, it should be UTF-8 text")
    return text.removeprefix("\ufeff")
