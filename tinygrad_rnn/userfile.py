"""What users name on the command line: a cell or a function in a file of theirs, ``cells.py:mycell``, and sizes."""

from __future__ import annotations

import argparse
import contextlib
import runpy
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .cell import Cell
from .cells import BUILT_IN

LONGEST = 10  # lines of a traceback: of one that recurses, the last are enough


class UserFileError(ValueError):
    """The file cannot be read or run, or has no such name; the text says which, with the user's own lines."""


def load(place: str) -> Any:
    """What ``FILE.py:NAME`` names; the file is run as a module, not as a program."""
    return loaded(place)[place.rpartition(":")[2]]


def loaded(place: str) -> dict[str, Any]:
    """All names of the file in ``FILE.py:NAME``, NAME among them; it can import what lies beside it."""
    file, colon, name = place.rpartition(":")
    if not colon or not name.isidentifier():
        raise UserFileError(f"{place!r} is no place in a file, should be FILE.py:NAME")
    if not Path(file).is_file():
        raise UserFileError(f"{file}: there is no such file")
    try:
        with _beside(file):
            found = runpy.run_path(file, run_name=Path(file).stem)
    except (Exception, SystemExit) as error:
        raise UserFileError(f"{file} does not run:\n{own_lines(error, file)}") from error
    if name not in found:
        names = [key for key, one in found.items() if not key.startswith("_") and callable(one)]
        raise UserFileError(f"{file} has no {name}, only {', '.join(names) or 'nothing to call'}")
    return found


@contextlib.contextmanager
def _beside(file: str) -> Iterator[None]:
    """Imports look into the folder of ``file`` first."""
    before = list(sys.path)
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        yield
    finally:
        sys.path[:] = before


def cell_at(place: str) -> Cell:
    """A built-in cell by its name, or the one at ``FILE.py:NAME``."""
    found = BUILT_IN.get(place) or (load(place) if ":" in place else None)
    if found is None:
        raise UserFileError(f"{place!r} is no built-in cell ({', '.join(BUILT_IN)}); your own is FILE.py:NAME")
    if not isinstance(found, Cell):
        raise UserFileError(f"{place} is a {type(found).__name__}, should be a cell: equations under @cell")
    return found


def own_lines(error: BaseException, file: str) -> str:
    """The traceback without what is not the user's: lines of ``file`` and of files beside it, then the error.

    An error that none of them raised, and that is no refusal of what was handed over, is told with the line that did.
    """
    folder = Path(file).resolve().parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [(Path(one.filename), one.lineno, one.line) for one in frames if Path(one.filename).is_file()]
    if isinstance(error, SyntaxError) and error.filename:
        own.append((Path(error.filename), error.lineno, (error.text or "").strip()))
    told = [f"  {path.name}, line {line}: {text}" for path, line, text in own if path.resolve().parent == folder]
    if not told and frames and not isinstance(error, (TypeError, ValueError, SystemExit)):
        last = frames[-1]
        told = [f"  in no line of yours, but in {Path(last.filename).name}, line {last.lineno}: {last.line}"]
    what = error.msg if isinstance(error, SyntaxError) else str(error)
    return "\n".join([*told[-LONGEST:], f"  {type(error).__name__}: {what}".rstrip(": ").splitlines()[0]])


def sizes(text: str) -> dict[str, int]:
    """``N=1,D=3`` as sizes by letter."""
    found = {}
    for part in filter(None, text.split(",")):
        letter, equals, number = part.partition("=")
        if not (equals and letter.strip().isidentifier() and number.strip().isdigit() and int(number) > 0):
            raise argparse.ArgumentTypeError(f"has {part!r}, should be such as N=1,D=3,H=5")
        found[letter.strip()] = int(number)
    return found
