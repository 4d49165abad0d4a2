"""What users name on the command line: a cell or a function in a file of theirs, ``cells.py:mycell``, and sizes."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..errors import Error, UserFileError

PACKAGE = Path(__file__).resolve().parents[1]
LONGEST = 10  # lines of a traceback: of one that recurses, the last are enough


def load(place: str) -> Any:
    """What ``FILE.py:NAME`` names; the file is run as a module, not as a program."""
    return loaded(place)[place.rpartition(":")[2]]


def loaded(place: str) -> dict[str, Any]:
    """All names of the file in ``FILE.py:NAME``, NAME among them; it can import what lies beside it."""
    file, colon, name = place.rpartition(":")
    if not colon or not name.isidentifier():
        raise UserFileError(f"{place!r} is no place in a file, should be FILE.py:NAME")
    if not Path(file).is_file():
        raise UserFileError(f"{file}: {'it is no file' if Path(file).exists() else 'there is no such file'}")
    try:
        with _beside(file), np.errstate():
            found = runpy.run_path(file, run_name=Path(file).stem)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UserFileError(f"{file} does not run:\n{own_lines(error, file, running=True)}") from error
    if name not in found:
        names = [key for key, one in found.items() if not key.startswith("_") and callable(one)]
        raise UserFileError(f"{file} has no {name}, only {', '.join(names) or 'nothing to call'}")
    return found


@contextlib.contextmanager
def _beside(file: str) -> Iterator[None]:
    """Imports look into the folder of ``file`` first; the folder that we are in stays what it was."""
    before, here = list(sys.path), os.getcwd()
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        yield
    finally:
        sys.path[:] = before
        os.chdir(here)


def cell_at(place: str) -> Cell:
    """A built-in cell by its name, or the one at ``FILE.py:NAME``."""
    found = BUILT_IN.get(place) or (load(place) if ":" in place else None)
    if found is None:
        raise UserFileError(f"{place!r} is no built-in cell ({', '.join(BUILT_IN)}); your own is FILE.py:NAME")
    if not isinstance(found, Cell):
        raise UserFileError(f"{place} is a {type(found).__name__}, should be a cell: equations under @cell")
    return found


def own_lines(error: BaseException, file: str, running: bool = False) -> str:
    """The traceback without what is not the user's: lines of ``file`` and of files beside it, then the error.

    An error that none of them raised, and that is no refusal of what was handed over, is a bug of this package, unless
    the file was ``running``: it has the whole traceback.
    """
    told = user_lines(error, file)
    if not told and not running and is_bug(error):
        return bug(error)
    return "\n".join([*told[-LONGEST:], f"  {type(error).__name__}: {_text(error)}".rstrip(": ").splitlines()[0]])


def user_lines(error: BaseException, file: str) -> list[str]:
    """The lines of ``file``, and of files beside it, through which ``error`` came."""
    folder = Path(file).resolve().parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [(Path(one.filename), one.lineno, one.line) for one in frames if _is_own(Path(one.filename), folder)]
    if isinstance(error, SyntaxError) and error.filename:
        own.append((Path(error.filename), error.lineno, (error.text or "").strip()))
    return [f"  {path.name}, line {line}: {text}" for path, line, text in own]


def _is_own(path: Path, folder: Path) -> bool:
    """A file of the user's: beside theirs or further down, and none that was installed there."""
    path = path.resolve()
    ours = PACKAGE in path.parents or "site-packages" in path.parts
    return path.is_file() and folder in path.parents and not ours


def _text(error: BaseException) -> str:
    try:
        return str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:  # the user's own class
        return "(it has no text)"


def is_bug(error: BaseException) -> bool:
    """Is it neither a refusal of this package, nor of the system, nor the end of what a machine can hold?"""
    return not isinstance(error, (Error, OSError, MemoryError, SystemExit))


def bug(error: BaseException) -> str:
    """The error as one to report, with all that is known of it."""
    lines = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
    return f"this is a bug in tinygrad_rnn, please report it with all of this:\n{lines}"


def seconds(text: str) -> float:
    """``text`` as a time."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}, should be a number of seconds above 0")
    return number


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """How long a user's file may take."""
    parser.add_argument("--timeout", type=seconds, default=600.0, metavar="S",
                        help="end FILE.py, which has a process of its own, after S seconds (%(default)g)")  # fmt: skip


def sizes(text: str) -> dict[str, int]:
    """``N=1,D=3`` as sizes by letter."""
    found = {}
    for part in filter(None, text.split(",")):
        letter, equals, number = part.partition("=")
        if not (equals and letter.strip().isidentifier() and number.strip().isdigit() and int(number) > 0):
            raise argparse.ArgumentTypeError(f"has {part!r}, should be such as N=1,D=3,H=5")
        found[letter.strip()] = int(number)
    return found
