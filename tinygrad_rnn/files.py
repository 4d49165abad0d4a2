"""Files are written whole: to a temporary file beside the target, which is then renamed. Folders can be locked."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO, wait: bool = False) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)

    _HELD = PermissionError
else:
    import fcntl

    def _lock(file: BinaryIO, wait: bool = False) -> None:
        """Lock an open file until the process ends in any way. Raises `_HELD` if another process holds the lock."""
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    _HELD = BlockingIOError

#: Names of files that this process has open. They are written through the open descriptor, not opened again or
#: replaced.
OPEN = re.compile(r"/dev/(?:stdout|stderr|fd/\d+)|/proc/self/fd/\d+")
KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device",
         stat.S_IFSOCK: "socket"}  # fmt: skip


def read_whole(path: str | os.PathLike[str], where: str, should: str = "a file") -> bytes:
    """The content of a regular file. Raises OSError for a folder, and for a pipe or a device, which may never end.

    ``where`` and ``should`` are the beginning and the end of its text: ``where: path is a pipe, should be a file``.
    """
    check_regular(path, where, should)
    with naming(path):
        return Path(path).read_bytes()


def check_regular(path: str | os.PathLike[str], where: str, should: str = "a file") -> None:
    """Raise OSError, with the texts of `read_whole`, unless ``path`` is a regular file."""
    kind = KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    if kind:
        raise (IsADirectoryError if kind == "folder" else OSError)(f"{where}: {path} is a {kind}, should be {should}")


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path`` by one rename; the folder must exist.

    No reader ever sees half a file, a failed write leaves the old file, and several threads or processes may write at
    once. Of a symbolic link, the file that it points to is replaced. The mode is kept. A device or a pipe is written to
    directly. Unpaired surrogates, which UTF-8 cannot encode, are written as escapes. Raises OSError, which names
    ``path``.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with naming(path), writing(path) as file:
        file.write(data)


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, and to read from, which is at ``path`` when the block ends without an error, as `write_whole`
    puts it there."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        there = None
    name = os.path.abspath(path)
    if there and (OPEN.fullmatch(name) or not stat.S_ISREG(there.st_mode)):
        with open(_number(name) if OPEN.fullmatch(name) else path, "wb") as stream:
            yield stream
    elif there and not os.access(path, os.W_OK):
        raise PermissionError(13, "Permission denied", os.fspath(path))
    else:
        with _replacing(Path(os.path.realpath(path)), there) as beside:
            yield beside


def _number(name: str) -> int:
    """A duplicate of the descriptor of an open file, by the name of the file; the caller closes it."""
    last = name.rpartition("/")[2]
    return os.dup({"stdout": 1, "stderr": 2}[last] if last.startswith("std") else int(last))


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Inside, an OSError of the system gets ``path`` as its file name."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


@contextlib.contextmanager
def _replacing(target: Path, there: os.stat_result | None) -> Iterator[BinaryIO]:
    """A temporary file beside ``target``, with the old owner and mode, which is renamed when it is written."""
    part, beside = _part(target)
    try:
        with beside:
            if there:
                with contextlib.suppress(OSError, AttributeError):  # only root gives files away
                    os.chown(part, there.st_uid, there.st_gid)
                os.chmod(part, stat.S_IMODE(there.st_mode))
            yield beside
            beside.flush()
            os.fsync(beside.fileno())
            if sys.platform != "win32":  # while it is locked, so that no other writer removes it as a leftover
                os.replace(part, target)
        if sys.platform == "win32":  # where an open file cannot be renamed
            os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _part(target: Path) -> tuple[Path, BinaryIO]:
    """A new, locked file beside ``target``; leftovers of killed writers of ``target`` are removed."""
    stem = f".{target.name[:50]}."
    for name in os.listdir(target.parent):
        if name.startswith(stem) and name.endswith(".part"):
            with contextlib.suppress(OSError), open(target.with_name(name), "r+b") as left:
                _lock(left)
                target.with_name(name).unlink()
    while True:
        part = target.with_name(f"{stem}{secrets.token_hex(8)}.part")
        file = open(part, "x+b")  # noqa: SIM115 the caller closes it
        with contextlib.suppress(OSError):  # on a file system without locks, no file is removed as a leftover
            _lock(file, wait=True)
        if part.exists():
            return part, file
        file.close()


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Is the open file still the file at ``path``? Another run may remove it at any moment."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def alone_in(folder: Path, where: str) -> Iterator[None]:
    """Lock ``folder`` until the end of the block or of the process. Raises OSError if another run holds the lock."""
    path = folder / ".lock"
    while True:
        file = open(path, "ab")  # noqa: SIM115 held as long as the block runs
        try:
            with naming(path):
                _lock(file)
        except _HELD as error:
            file.close()
            raise OSError(f"{where}: {folder} is in use by another run, should be a folder of its own") from error
        if _is_at(file, path):
            break
        file.close()  # the run that held the lock has ended and removed the file
    try:
        yield
    finally:
        if sys.platform == "win32":  # where an open file cannot be removed
            file.close()
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()
