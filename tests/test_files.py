"""Files on disk: whole or not there, as private as they were; errors that name them; one run in a folder."""

import errno
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from helpers.command_line import ROOT
from tinygrad_rnn.files import alone_in, read_whole, write_whole


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


# -- what is there already -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755, 0o666, 0o400 | 0o200])
def test_a_file_that_is_replaced_keeps_its_mode(mode, tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    write_whole(path, "new")
    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == mode and names(tmp_path) == ["file"]


def test_nobody_reads_a_private_file_while_it_is_written(tmp_path, monkeypatch):
    path, sync, modes = tmp_path / "file", os.fsync, []
    path.touch(0o600)

    def watched(number):
        modes.append(stat.S_IMODE(os.fstat(number).st_mode))
        sync(number)

    monkeypatch.setattr(os, "fsync", watched)
    write_whole(path, "secret")
    assert modes == [0o600]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_that_open_would_give(umask, tmp_path):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "file", "new")
        (tmp_path / "opened").write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "opened").stat().st_mode


def test_a_file_that_must_not_be_written_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # for root all is allowed
    with pytest.raises(PermissionError, match=f"^{re.escape(f'[Errno 13] Permission denied: {str(path)!r}')}$"):
        write_whole(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["file"]


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
def test_a_link_stays_and_what_it_points_to_is_written(there, tmp_path):
    (tmp_path / "real").mkdir()
    target, first, second = tmp_path / "real" / "target", tmp_path / "first", tmp_path / "second"
    second.symlink_to("real/target")
    first.symlink_to("second")
    if there:
        target.write_text("old")
    write_whole(first, "new")
    assert first.is_symlink() and second.is_symlink() and target.read_text() == "new" and not target.is_symlink()
    assert names(tmp_path) == ["first", "real", "second"] and names(tmp_path / "real") == ["target"]


def test_links_in_a_circle_are_an_error_that_names_the_file(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "a"))):
        write_whole(tmp_path / "a", "new")


def test_a_pipe_is_written_to(tmp_path):
    path, seen = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: seen.append(path.read_bytes()))
    reader.start()
    write_whole(path, "through")
    reader.join(10)
    assert seen == [b"through"] and stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_written_to():
    before = os.stat("/dev/null").st_mode
    write_whole("/dev/null", "gone")
    assert stat.S_ISCHR(before) and os.stat("/dev/null").st_mode == before


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
@pytest.mark.parametrize("how", ["ab", "wb"])
def test_what_the_shell_has_opened_is_written_to_where_it_is(how, name, tmp_path):
    """``-o /dev/stdout > file``, or ``>> file``: between what was there and what is printed afterwards."""
    code = f"from tinygrad_rnn.files import write_whole; write_whole({name!r}, 'one'); print('two')"
    (tmp_path / "file").write_text("before")
    with open(tmp_path / "file", how) as out:
        run = [sys.executable, "-c", code]
        subprocess.run(run, stdout=out, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)
        assert os.path.samestat(os.fstat(out.fileno()), os.stat(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == ("before" if how == "ab" else "") + "onetwo\n"


def test_a_folder_is_not_written_to(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path / "folder"))):
        write_whole(tmp_path / "folder", "new")
    assert names(tmp_path) == ["folder"]


def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path):
    for name in ("n" * 255, "é" * 127):
        write_whole(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new"
    assert len(names(tmp_path)) == 2


def test_half_of_a_surrogate_pair_is_written_as_an_escape(tmp_path):
    write_whole(tmp_path / "file", "a\udcffb")
    assert (tmp_path / "file").read_bytes() == b"a\\udcffb"


# -- errors ----------------------------------------------------------------------------------------------------------


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_an_error_names_the_file_leaves_the_old_one_and_nothing_else(call, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match=f"^{re.escape(f'[Errno 28] No space left on device: {str(path)!r}')}$"):
        write_whole(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["file"]


def test_a_full_device_is_named():
    with pytest.raises(OSError, match=r"^\[Errno 28\] No space left on device: '/dev/full'$"):
        write_whole("/dev/full", "new")


def test_a_folder_that_is_not_there_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "nowhere" / "file"
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(f'[Errno 2] No such file or directory: {str(path)!r}')}"):
        write_whole(path, "new")


# -- several at once, and killed -------------------------------------------------------------------------------------


def test_two_threads_may_write_at_once(tmp_path):
    path, errors = tmp_path / "file", []

    def write(text):
        try:
            for _ in range(50):
                write_whole(path, text)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(letter * 5000,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [] and names(tmp_path) == ["file"] and path.read_text() in [letter * 5000 for letter in "abcd"]


def killed(code: str, folder: Path) -> None:
    """Run ``code`` in a process that kills itself, in ``folder``."""
    before = "import os, signal\nfrom pathlib import Path\nfrom tinygrad_rnn.files import *\n"
    before += "def die(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
    run = subprocess.run([sys.executable, "-c", before + code], cwd=folder, timeout=60,
                         env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert run.returncode == -signal.SIGKILL


def test_what_a_killed_writer_leaves_is_removed_by_the_next(tmp_path):
    (tmp_path / "file").write_text("old")
    for call in ("fsync", "replace"):
        killed(f"os.{call} = die\nwrite_whole('file', 'half')", tmp_path)
        assert (tmp_path / "file").read_text() == "old" and len(names(tmp_path)) == 2
        write_whole(tmp_path / "other", "")
        assert len(names(tmp_path)) == 3  # it is for another file
        (tmp_path / "other").unlink()
        write_whole(tmp_path / "file", "old")
        assert names(tmp_path) == ["file"]


def test_what_another_writer_is_writing_is_not_removed(tmp_path, monkeypatch):
    path, replace, seen = tmp_path / "file", os.replace, []

    def between(part, target):
        monkeypatch.setattr(os, "replace", replace)
        write_whole(path, "second")
        seen.append(Path(part).exists())
        replace(part, target)

    monkeypatch.setattr(os, "replace", between)
    write_whole(path, "first")
    assert seen == [True] and path.read_text() == "first" and names(tmp_path) == ["file"]


def test_a_folder_is_held_by_one(tmp_path):
    text = f"--out: {tmp_path} is in use by another run, should be a folder of its own"
    with alone_in(tmp_path, "--out"):
        for _ in range(2):
            with pytest.raises(OSError, match=f"^{re.escape(text)}$"), alone_in(tmp_path, "--out"):
                pass
    with alone_in(tmp_path, "--out"):
        pass
    assert names(tmp_path) == []


def test_a_killed_run_holds_nothing(tmp_path):
    killed("with alone_in(Path(), ''): die()", tmp_path)
    assert names(tmp_path) == [".lock"]
    with alone_in(tmp_path, "--out"):
        pass
    assert names(tmp_path) == []


def test_many_that_want_a_folder_have_it_one_at_a_time(tmp_path):
    inside, counts, errors = [], [], []

    def enter_once():
        try:
            with alone_in(tmp_path, ""):
                inside.append(None)
                counts.append(len(inside))
                inside.pop()
        except OSError as error:
            errors.append(str(error))

    def enter():
        for _ in range(200):
            enter_once()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(counts) == 1 and len(counts) + len(errors) == 800 and names(tmp_path) == []
    assert all("is in use by another run" in error for error in errors)


# -- reading ---------------------------------------------------------------------------------------------------------


def test_what_may_never_end_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    (tmp_path / "link").symlink_to("/dev/zero")
    for path, kind in [(tmp_path / "pipe", "pipe"), (tmp_path / "socket", "socket"), (Path("/dev/zero"), "device"),
                       (tmp_path / "link", "device"), (tmp_path, "folder")]:  # fmt: skip
        with pytest.raises(OSError, match=f"^{re.escape(f'read: {path} is a {kind}, should be a file')}$"):
            read_whole(path, "read")
    server.close()


def test_what_is_read_is_what_was_written(tmp_path):
    write_whole(tmp_path / "file", b"\0\xff\r\n")
    assert read_whole(tmp_path / "file", "read") == b"\0\xff\r\n"
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none"))):
        read_whole(tmp_path / "none", "read")
