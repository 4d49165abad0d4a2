"""A user's file on the command line: it cannot end, crash or hang the command, nor be taken for a verdict."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from helpers.command_line import python
from tinygrad_rnn.cli import draw as draw_command
from tinygrad_rnn.cli import main

CELL = """
from tinygrad_rnn import Param, cell, tanh

@cell
def mine(x, h, *, Wx=Param("D H"), Wh=Param("H H")):
    {line}
    return tanh(x @ Wx + h @ Wh)

def mine_backward(x, h, *, Wx, Wh, dh):
    {line}
    da = dh * (1 - tanh(x @ Wx + h @ Wh) ** 2)
    return {{"dx": da @ Wx.T, "dh": da @ Wh.T, "dWx": x.T @ da, "dWh": h.T @ da}}
"""
COMMANDS = {
    "check": ["check", "mine.py:mine_backward", "--cell", "mine.py:mine"],
    "draw": ["draw", "mine.py:mine", "-o", "out.json"],
    "derive": ["derive", "mine.py:mine", "-o", "out.py"],
}
SEGFAULT = "import ctypes, faulthandler; faulthandler.disable(); ctypes.string_at(0)"


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """``run(command, line, top)``: the exit code, what was printed, what was said; ``line`` is in the cell."""
    monkeypatch.chdir(tmp_path)

    def run(command, line="pass", top="", *more):
        Path("mine.py").write_text(f"{top}\n{CELL.format(line=line)}")
        monkeypatch.setattr(sys, "argv", ["tinygrad-rnn", *COMMANDS[command], *more])
        code = main.program()
        return (code, *capfd.readouterr())

    return run


@pytest.mark.parametrize("where", ["top", "line"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_ends_the_process_is_not_a_verdict(command, where, run):
    for code in (0, 1, 3):
        found, out, err = run(command, **{where: f"import os; os._exit({code})"})
        text = f"tinygrad-rnn {command}: mine.py ended the process with exit code {code} before the command was done\n"
        assert (found, out, err) == (2, "", text)
        assert not Path("out.json").exists() and not Path("out.py").exists()


@pytest.mark.parametrize("where", ["top", "line"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_crashes_is_told_with_its_signal(command, where, run):
    found, out, err = run(command, **{where: SEGFAULT})
    said = "mine.py ended the process by signal 11 (SIGSEGV) before the command was done"
    assert (found, out) == (2, "") and err.endswith(f"tinygrad-rnn {command}: {said}\n")


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("line", ["import sys; sys.exit(0)", "raise SystemExit(1)", "exit(3)", "raise BaseException(1)",
                                  "1 / 0", "{}['a']", "None.a", "raise ValueError('mine')"])  # fmt: skip
@pytest.mark.parametrize("where", ["top", "line"])
@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_file_raises_is_told_with_its_own_lines(command, where, line, run):
    code, out, err = run(command, **{where: line})
    assert (code, out) == (2, "") and err.startswith(f"tinygrad-rnn {command}: mine.py"), err
    assert re.search(rf"\n  mine.py, line \d+: {re.escape(line)}\n  \w+(: .*)?\n$", err), err
    assert "Traceback" not in err and "site-packages" not in err and "tinygrad_rnn/" not in err


def test_lines_of_two_folders_are_both_the_users(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "cells.py").write_text(CELL.format(line="1 / 0"))
    code, out, err = run("check", "pass", "", "--cell", "elsewhere/cells.py:mine")
    assert (code, out) == (2, "")
    assert re.search(r"\n  cells.py, line \d+: 1 / 0\n  ZeroDivisionError: division by zero\n$", err), err


@pytest.mark.parametrize("line", ["while True: pass", "import time; time.sleep(1000)",
                                  "import os; os.closerange(3, 99)\n    while True: pass"])  # fmt: skip
@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "check"])
def test_a_file_that_hangs_is_ended(command, line, run):
    code, out, err = run(command, line, "", "--timeout", "0.5")
    text = f"tinygrad-rnn {command}: mine.py took longer than 0.5 seconds and was ended; --timeout gives it more\n"
    assert (code, out, err) == (2, "", text)


@pytest.mark.parametrize("line", ["while True: pass", "import time; time.sleep(1000)"])
def test_a_check_names_the_line_that_hangs(line, run):
    code, out, err = run("check", line, "", "--timeout", "0.5")
    text = r"mine.py:mine_backward: a call runs for longer than 0.45 s, at mine.py:\d+ in mine: " + re.escape(line)
    assert (code, out) == (2, "") and re.search(text, err), err


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_is_none_is_refused(text, run, capfd):
    with pytest.raises(SystemExit) as done:
        run("check", "pass", "", f"--timeout={text}")
    assert done.value.code == 2
    assert f"argument --timeout: is {text!r}, should be a number of seconds above 0" in capfd.readouterr().err


def test_with_json_what_ended_the_process_is_json_too(run):
    code, out, err = run("check", "import os; os._exit(0)", "", "--json")
    said = json.loads(out)
    assert code == 2 and said["ok"] is False and said["verdict"] == "unchecked"
    assert err == f"tinygrad-rnn check: {said['error']}\n" and "exit code 0" in err


def test_a_file_that_does_nothing_of_the_kind_is_checked_drawn_and_derived(run):
    assert [run(command)[0] for command in COMMANDS] == [0, 0, 0]
    assert Path("out.json").exists() and Path("out.py").exists()
    code, out, err = run("check", "Wx = Wx * 1.5 if 'dh' in dir() else Wx")  # in the backward only
    assert code == 1 and "verdict: wrong" in out and err == ""


def test_what_a_file_prints_is_on_the_error_stream_and_nothing_in_the_output(run):
    line = "print('said', flush=True)"
    for command, more in {"check": ["--json"], "draw": ["-o", "-", "--format", "json"], "derive": ["-o", "-"]}.items():
        code, out, err = run(command, line, line, *more)
        assert code == 0 and "said" not in out.replace(line, "") and err.startswith("said\n"), command


def test_a_file_reads_nothing_from_the_terminal(run):
    code, _, err = run("check", top="input()")
    assert code == 2 and "mine.py, line 1: input()\n  EOFError" in err


@pytest.mark.parametrize("top", [
    "import os; os.chdir('deeper')", "import numpy; numpy.seterr(all='raise')", "import sys; sys.path.clear()",
    "import sys; sys.stdout = None", "import threading, time; threading.Thread(target=time.sleep, args=[99]).start()",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)",
])  # fmt: skip
def test_what_a_file_does_to_its_process_is_no_harm(top, run, tmp_path):
    (tmp_path / "deeper").mkdir()
    assert run("draw", "pass", top)[0] == 0 and Path("out.json").exists()


def test_a_process_that_a_file_has_started_does_not_hold_the_command(run):
    top = "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(15); os._exit(0)\nos._exit(4)"
    start = time.monotonic()
    code, _, err = run("check", top=top)
    assert code == 2 and "exit code 4" in err and time.monotonic() - start < 10


def test_a_mistake_of_ours_is_told_as_one(run, monkeypatch):
    """An error that comes through no line of the user's and is no refusal."""

    def broken(*_, **__):
        return {}["a"]

    monkeypatch.setattr(draw_command, "draw", broken)
    code, out, err = run("draw")
    assert (code, out) == (2, "")
    said = "tinygrad-rnn draw: this is a bug in tinygrad_rnn, please report it with all of this:\nTraceback "
    assert err.startswith(said) and err.endswith("KeyError: 'a'\n")


def test_a_refusal_of_ours_is_one_line(run):
    code, out, err = run("draw", "pass", "", "--steps", "0")
    assert (code, out) == (2, "") and err.count("\n") == 1 and err.startswith("tinygrad-rnn draw: ")


# -- in processes of the shell ---------------------------------------------------------------------------------------


def listen() -> None:
    """Undo that a shell ignores Ctrl-C in what it runs in the background, as these tests may be."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def hanging(tmp_path: Path, top: str) -> tuple:
    """A command whose file hangs, and the number of the process in which it does."""
    (tmp_path / "mine.py").write_text(f"import os, sys\nprint(os.getpid(), flush=True)\n{top}\n")
    process = python("-m", "tinygrad_rnn", "check", "mine.py:f", cwd=tmp_path, start_new_session=True,
                     preexec_fn=listen)  # fmt: skip
    return process, int(process.stderr.readline())


def gone(number: int) -> bool:
    """The process ends within some seconds."""
    for _ in range(100):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("top", ["while True:\n    try:\n        while True: pass\n    except BaseException: pass"])
@pytest.mark.parametrize("group", [True, False], ids=["from the terminal", "to the command alone"])
def test_ctrl_c_ends_both(top, group, tmp_path):
    process, number = hanging(tmp_path, top)
    (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "\ninterrupted\n") and gone(number)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_file_does_not_outlive_the_command(how, tmp_path):
    process, number = hanging(tmp_path, "while True: pass")
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == -how and gone(number)


@pytest.mark.parametrize("top", ["", "import os; os._exit(0)"])
def test_where_a_fork_is_not_safe_the_package_is_imported_again(top, tmp_path):
    (tmp_path / "mine.py").write_text(f"{top}\n{CELL.format(line='pass')}")
    (tmp_path / "main.py").write_text("import sys\nfrom tinygrad_rnn.cli.main import program\n"
                                      "if __name__ == '__main__':\n    sys.platform = 'darwin'\n    sys.exit(program())\n")  # fmt: skip # noqa: E501
    process = python("main.py", *COMMANDS["check"], cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, "verdict: right" in out) == ((2, False) if top else (0, True)), err
    assert ("ended the process with exit code 0" in err) == bool(top)
