"""The console: of any encoding, closed early, full, or not there. The exit code is right, and nothing is raised."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.command_line import CHECKOUT, ROOT, SMALL, write_texts
from tinygrad_rnn.cli import demo
from tinygrad_rnn.cli import main as cli
from tinygrad_rnn.cli.console import printable

ENCODINGS = ["ascii", "cp1252", "latin-1", "utf-8"]
RIGHT, WRONG = (f"{CHECKOUT / 'examples' / f'lstm_{kind}.py'}:lstm_bptt" for kind in ("right", "wrong"))
#: A wrong layer of one line.
SLIP = f"{CHECKOUT / 'tests' / 'helpers' / 'user_layers.py'}:tripler --inputs 3,4"
#: Exit codes of commands that print what ASCII does not have.
COMMANDS = {
    f"check {RIGHT}": 0, f"check {WRONG}": 1, f"check {WRONG} --json": 1, "check --template lstm -o -": 0,
    "check αβγ.py:f": 2, "draw lstm --format text": 0, "draw lstm --backward --format text": 0, "draw αβγ.py:f": 2,
    "draw lstm -o - --format json": 0, "derive lstm": 0, "derive gru --form steps": 0, "derive lstm --form latex": 0,
    "derive αβγ": 2, "train --data αβγ": 2, "train --help": 0, "check --help": 0, "--help": 0,
}  # fmt: skip


def main(line: str) -> int:
    try:
        return cli.main(line.split())
    except SystemExit as done:  # of argparse
        return done.code


@pytest.fixture
def on(monkeypatch, tmp_path):
    """``on(encoding, run)``: what ``run`` returns, and the two streams after it, as they are on such a console."""
    monkeypatch.chdir(tmp_path)

    def on(encoding, run):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            result = run()
        for stream in streams:
            stream.flush()
        return (result, *(stream.buffer.getvalue() for stream in streams))

    return on


@pytest.mark.sampled(every=8, by=lambda line, encoding: [line.split()[0], encoding])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_ends_with_its_code_on_every_console(line, encoding, on):
    code, out, err = on(encoding, lambda: main(line))
    assert code == COMMANDS[line] and b"codec" not in err and (out if code < 2 else err)
    if "json" in line:
        in_utf8 = on("utf-8", lambda: main(line))[1]
        assert json.loads(out.decode("utf-8" if "draw" in line else encoding)) == json.loads(in_utf8)


@pytest.mark.sampled(every=2, by=lambda **_: [])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_train_prints_any_word(encoding, on):
    write_texts(Path("texts"), train="<unk> naïve 日本 😀 \n" * 60, valid="日本 naïve " * 20, test="日本 😀 " * 20)
    code, out, err = on(encoding, lambda: main(f"train --data texts --out résumé {' '.join(SMALL)}"))
    assert (code, err) == (0, b"") and b"test perplexity" in out
    code, out, err = on(encoding, lambda: main(f"train --data texts --out résumé {' '.join(SMALL)}"))
    said = "tinygrad-rnn train: --out: résumé holds a run, should be a folder without a run; tinygrad-rnn "
    said += "resume résumé continues it\n"
    try:
        said = said.encode(encoding)
    except UnicodeEncodeError:
        said = said.encode("ascii", "backslashreplace").replace(b"\\x", b"\\u00")
    assert (code, err.replace(os.linesep.encode(), b"\n")) == (2, said)


def test_demo_prints_any_word(on, monkeypatch, trials):
    monkeypatch.setattr(demo, "TOKENS", 2000)
    monkeypatch.setattr(demo, "VALID", 800)
    for number, encoding in enumerate(ENCODINGS[: trials(1, 4)]):
        code, out, err = on(encoding, lambda number=number: main(f"demo --epochs 1 --out résumé{number}"))
        assert (code, err) == (0, b"") and b"4. The files" in out


@pytest.mark.parametrize(("text", "escaped"), [
    ("é⊙", "\\u00e9\\u2299"), ("😀", "\\ud83d\\ude00"), ("a\udcffb", "a\\udcffb"), ("plain", "plain")])  # fmt: skip
def test_what_a_console_does_not_have_is_an_escape_of_json(text, escaped, on):
    def run():
        with printable():
            print(text)

    out = on("ascii", run)[1].decode().strip()
    assert out == escaped and json.loads(f'"{out}"') == text


def test_the_streams_are_what_they_were_afterwards(on):
    def run():
        before = sys.stdout, sys.stdout.errors, sys.stderr
        with printable():
            assert sys.stdout.errors != "strict"
        return before == (sys.stdout, sys.stdout.errors, sys.stderr)

    assert on("ascii", run)[0]


# -- in processes of the shell ---------------------------------------------------------------------------------------


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """What the shell makes of a line; ``tinygrad-rnn`` is that of this checkout, and warnings are errors."""
    line = line.replace("tinygrad-rnn", f"{sys.executable} -W error -m tinygrad_rnn")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **environment}
    return subprocess.run(["bash", "-c", line], cwd=cwd, capture_output=True, timeout=120, env=environment)


@pytest.mark.sampled(every=9, by=lambda **_: [])
@pytest.mark.parametrize(("command", "code"), [
    (f"check {RIGHT}", 0), (f"check {SLIP}", 1), ("derive lstm --loop", 0), ("draw lstm -o - --format html", 0),
    ("--help", 0)])  # fmt: skip
@pytest.mark.parametrize("reader", ["head -c 1", "true"])
def test_a_reader_that_goes_away_changes_no_code_and_ends_nothing(command, code, reader, tmp_path):
    done = shell(f"tinygrad-rnn {command} | {reader} > /dev/null; exit ${{PIPESTATUS[0]}}", tmp_path)
    assert (done.returncode, done.stderr) == (code, b"")


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("command", [f"check {RIGHT}", "derive lstm", "draw lstm -o - --format dot"])
def test_a_full_device_is_an_error_in_one_line(command, tmp_path):
    done = shell(f"tinygrad-rnn {command} > /dev/full", tmp_path)
    said = f"tinygrad-rnn {command.split()[0]}: [Errno 28] No space left on device: 'stdout'\n"
    assert (done.returncode, done.stderr.decode()) == (2, said)


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_a_stream_that_is_closed_changes_no_code(closed, tmp_path):
    assert shell(f"tinygrad-rnn check {SLIP} {closed}", tmp_path).returncode == 1


NO_UTF8 = "na\udcefve.py"  # a name that is no UTF-8


@pytest.mark.sampled(every=5, by=lambda **_: [])
@pytest.mark.parametrize(("command", "code"), [
    (f"check {SLIP}", 1), ("derive lstm", 0), (f"check {NO_UTF8}:f", 2), (f"check {NO_UTF8}:g", 2)],
    ids=["check", "derive", "f", "g"])  # fmt: skip
@pytest.mark.parametrize("environment", [
    {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}])  # fmt: skip
def test_the_environment_of_a_console_that_is_not_utf_8(environment, command, code, tmp_path):
    (tmp_path / NO_UTF8).write_text("def f(): pass\n")
    done = shell(f"tinygrad-rnn {command}", tmp_path, **environment)
    assert done.returncode == code and b"Traceback" not in done.stderr, done.stderr
