"""What users name on the command line: a cell, a function or a layer in a file of theirs, ``cells.py:mycell``."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..errors import UserFileError

PACKAGE = Path(__file__).resolve().parents[1]
MAX_LINES = 10  #: lines of a traceback that are shown, the last ones: enough for an endless recursion


def load(place: str) -> Any:
    """Run the file in ``FILE.py:NAME`` and return the object that NAME names."""
    return load_names(place)[place.rpartition(":")[2]]


def load_names(place: str) -> dict[str, Any]:
    """Run the file in ``FILE.py:NAME``, or ``FILE.py``, as a module, not as a program; return all its names.

    NAME may be that of a method, ``Model.loss``.

    The file can import what lies beside it. Raises UserFileError if there is no such file, if the file fails (with its
    own lines), or if it has no NAME.
    """
    file, colon, name = place.rpartition(":")
    if not colon and place.endswith(".py"):
        file, name = place, ""
    elif not colon or not all(part.isidentifier() for part in name.split(".")):
        raise UserFileError(f"{place!r} is no place in a file, should be FILE.py:NAME")
    if not Path(file).is_file():
        raise UserFileError(f"{file}: {'it is no file' if Path(file).exists() else 'there is no such file'}")
    try:
        with _beside(file), np.errstate():
            names = runpy.run_path(file, run_name=Path(file).stem)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UserFileError(f"{file} does not run:\n{user_traceback(error, [file])}") from error
    if name and name.partition(".")[0] not in names:
        public = [key for key, value in names.items() if not key.startswith("_") and callable(value)]
        raise UserFileError(f"{file} has no {name}, only {', '.join(public) or 'nothing to call'}")
    return names


@contextlib.contextmanager
def _beside(file: str) -> Iterator[None]:
    """Imports look into the folder of ``file`` first; the current folder is restored afterwards."""
    path, folder = list(sys.path), os.getcwd()
    sys.path.insert(0, str(Path(file).resolve().parent))
    try:
        yield
    finally:
        sys.path[:] = path
        os.chdir(folder)


def cell_at(place: str) -> Cell:
    """A built-in cell by its name, or the cell at ``FILE.py:NAME``."""
    cell = BUILT_IN.get(place) or (load(place) if ":" in place else None)
    if cell is None:
        raise UserFileError(f"{place!r} is no built-in cell ({', '.join(BUILT_IN)}); your own is FILE.py:NAME")
    if not isinstance(cell, Cell):
        raise UserFileError(f"{place} is a {type(cell).__name__}, should be a cell: equations under @cell")
    return cell


def user_traceback(error: BaseException, files: Sequence[str]) -> str:
    """The last of the user's lines through which ``error`` came, then the error itself."""
    lines = user_lines(error, files)[-MAX_LINES:]
    return "\n".join([*lines, f"  {type(error).__name__}: {_text(error)}".rstrip(": ").splitlines()[0]])


def user_lines(error: BaseException, files: Sequence[str]) -> list[str]:
    """The lines of the user's ``files``, and of files beside them, through which ``error`` came."""
    folders = [Path(file).resolve().parent for file in files]
    lines = [(frame.filename, frame.lineno, frame.line) for frame in traceback.extract_tb(error.__traceback__)
             if _is_user_file(Path(frame.filename), folders)]  # fmt: skip
    if isinstance(error, SyntaxError) and error.filename and folders:
        lines.append((error.filename, error.lineno, (error.text or "").strip()))
    return [f"  {Path(file).name}, line {number}: {text}" for file, number, text in lines]


def _is_user_file(path: Path, folders: Sequence[Path]) -> bool:
    """Is it a file in one of ``folders`` or further down, and not one that was installed there?"""
    path = path.resolve()
    installed = PACKAGE in path.parents or "site-packages" in path.parts
    return path.is_file() and any(folder in path.parents for folder in folders) and not installed


def _text(error: BaseException) -> str:
    try:
        return str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:  # the user's own class
        return "(it has no text)"
