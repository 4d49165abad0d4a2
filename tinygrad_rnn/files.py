"""Files are written beside their place and then renamed: whole, or not there. A folder can be held by one run."""

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
        """Hold an open file; the system lets it go with the process, however that ends. `_HELD` if another has it."""
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)

    _HELD = BlockingIOError

#: Names of files that this process has open, which has its own place in them: none is opened again, nor replaced.
OPEN = re.compile(r"/dev/(?:stdout|stderr|fd/\d+)|/proc/self/fd/\d+")
KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFCHR: "device", stat.S_IFBLK: "device",
         stat.S_IFSOCK: "socket"}  # fmt: skip


def read_whole(path: str | os.PathLike[str], where: str, should: str = "a file") -> bytes:
    """The content of a regular file. A pipe or a device, which may never end, is refused; errors name the file."""
    kind = KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    if kind:
        raise (IsADirectoryError if kind == "folder" else OSError)(f"{where}: {path} is a {kind}, should be {should}")
    with naming(path):
        return Path(path).read_bytes()


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, by one rename; the folder must be there.

    Nobody ever reads half a file, a failed write leaves the old one, and two threads or processes may write at once. A
    link stays, and what it points to is replaced; the mode stays; what is no regular file (a device, a pipe) is
    written to. An error names ``path``. What UTF-8 cannot hold, half of a surrogate pair, is written as an escape.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with naming(path):
        try:
            there = os.stat(path)
        except FileNotFoundError:
            there = None
        name = os.path.abspath(path)
        if there and (OPEN.fullmatch(name) or not stat.S_ISREG(there.st_mode)):
            with open(_number(name) if OPEN.fullmatch(name) else path, "wb") as stream:
                stream.write(data)
        elif there and not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
        else:
            _replace(Path(os.path.realpath(path)), data, there)


def _number(name: str) -> int:
    """Of an open file, by its name; a copy, to be closed."""
    last = name.rpartition("/")[2]
    return os.dup({"stdout": 1, "stderr": 2}[last] if last.startswith("std") else int(last))


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """An error of the system inside says which file it was about."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _replace(target: Path, data: bytes, there: os.stat_result | None) -> None:
    """Write beside ``target``, as the owner and with the mode that it had, and rename."""
    part, beside = _part(target)
    try:
        with beside:
            if there:
                with contextlib.suppress(OSError, AttributeError):  # only root gives files away
                    os.chown(part, there.st_uid, there.st_gid)
                os.chmod(part, stat.S_IMODE(there.st_mode))
            beside.write(data)
            beside.flush()
            os.fsync(beside.fileno())
            if sys.platform != "win32":  # while it is held, so that nobody takes it for left behind
                os.replace(part, target)
        if sys.platform == "win32":  # which renames no open file
            os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _part(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside ``target``, held; what killed writers of ``target`` left behind is removed."""
    stem = f".{target.name[:50]}."
    for name in os.listdir(target.parent):
        if name.startswith(stem) and name.endswith(".part"):
            with contextlib.suppress(OSError), open(target.with_name(name), "r+b") as left:
                _lock(left)
                target.with_name(name).unlink()
    while True:
        part = target.with_name(f"{stem}{secrets.token_hex(8)}.part")
        file = open(part, "xb")  # noqa: SIM115 the caller closes it
        with contextlib.suppress(OSError):  # a file system without locks: nothing there is taken for left behind
            _lock(file, wait=True)
        if part.exists():
            return part, file
        file.close()


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Is the open file the one at ``path``, which another run may remove at any moment?"""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def alone_in(folder: Path, where: str) -> Iterator[None]:
    """Hold ``folder`` until the end of the block, or of the process; an error, if another run holds it."""
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
        file.close()  # the run that held it has ended and removed it
    try:
        yield
    finally:
        if sys.platform == "win32":  # which removes no open file
            file.close()
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()
