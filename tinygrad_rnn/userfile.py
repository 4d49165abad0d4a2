"""What users name on the command line: a cell or a function in a file of theirs, ``cells.py:mycell``, and sizes."""

from __future__ import annotations

import argparse
import runpy
import traceback
from pathlib import Path
from typing import Any

from .cell import Cell
from .cells import BUILT_IN


class UserFileError(ValueError):
    """The file cannot be read or run, or has no such name; the text says which, with the user's own lines."""


def load(place: str) -> Any:
    """What ``FILE.py:NAME`` names; the file is run as a module, not as a program."""
    file, colon, name = place.rpartition(":")
    if not colon or not name.isidentifier():
        raise UserFileError(f"{place!r} is no place in a file, should be FILE.py:NAME")
    if not Path(file).is_file():
        raise UserFileError(f"{file}: there is no such file")
    try:
        found = runpy.run_path(file, run_name=Path(file).stem)
    except Exception as error:
        raise UserFileError(f"{file} does not run:\n{own_lines(error, file)}") from error
    if name not in found:
        names = [key for key, one in found.items() if not key.startswith("_") and callable(one)]
        raise UserFileError(f"{file} has no {name}, only {', '.join(names) or 'nothing to call'}")
    return found[name]


def cell_at(place: str) -> Cell:
    """A built-in cell by its name, or the one at ``FILE.py:NAME``."""
    found = BUILT_IN.get(place) or (load(place) if ":" in place else None)
    if found is None:
        raise UserFileError(f"{place!r} is no built-in cell ({', '.join(BUILT_IN)}); your own is FILE.py:NAME")
    if not isinstance(found, Cell):
        raise UserFileError(f"{place} is a {type(found).__name__}, should be a cell: equations under @cell")
    return found


def own_lines(error: BaseException, file: str) -> str:
    """The traceback without what is not the user's: the lines in ``file``, and the error."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == Path(file)]
    told = [f"  {Path(frame.filename).name}, line {frame.lineno}: {frame.line}" for frame in own]
    return "\n".join([*told, "  " + "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]])


def sizes(text: str) -> dict[str, int]:
    """``N=1,D=3`` as sizes by letter."""
    found = {}
    for part in filter(None, text.split(",")):
        letter, equals, number = part.partition("=")
        if not (equals and letter.strip().isidentifier() and number.strip().isdigit() and int(number) > 0):
            raise argparse.ArgumentTypeError(f"has {part!r}, should be such as N=1,D=3,H=5")
        found[letter.strip()] = int(number)
    return found
