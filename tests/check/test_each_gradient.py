"""A check as tests: one for each gradient, with its name, so that a run tells which are wrong."""

import subprocess
import sys

import pytest

from tinygrad_rnn import lstm
from tinygrad_rnn.check import check_backward, each_gradient
from tinygrad_rnn.check.report import Report
from tinygrad_rnn.cli.demo_backward import lstm_backward
from tinygrad_rnn.errors import CheckError

FINALS = ["dWx", "dWh", "db", "dx", "dh", "dc"]
FILE = '''
from tinygrad_rnn import lstm
from tinygrad_rnn.check import check_backward, each_gradient
from tinygrad_rnn.cli.demo_backward import lstm_backward

calls = []

def spoilt(x, h, c, **given):
    calls.append(1)
    found = lstm_backward(x, h, c, **given)
    {mistake}
    return {{name: g for name, g in found.items() if name in {names}}}

@each_gradient(lambda: check_backward(lstm, spoilt, sizes={{"N": 3, "D": 2, "H": 4}}))
def test_my_lstm(gradient):
    gradient.assert_ok()

before = len(calls)

def test_the_check_ran_when_the_tests_were_collected():
    assert len(calls) == before > 0
'''


@pytest.fixture
def run(tmp_path):
    """The outcome of each test of a small file, by its id, of a pytest of its own; and what it printed."""
    def outcomes(mistake):
        (tmp_path / "test_mine.py").write_text(FILE.format(mistake=mistake, names=FINALS))
        asked = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "test_mine.py"]
        done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        ends = [line.split() for line in done.stdout.splitlines() if line.startswith(("PASSED", "FAILED"))]
        return {one[1].partition("::")[2]: one[0] for one in ends}, done.stdout

    return outcomes


def every(**other):
    names = [*FINALS, "manners"]
    return {**{f"test_my_lstm[{name}]": other.get(name, "PASSED") for name in names},
            "test_the_check_ran_when_the_tests_were_collected": "PASSED"}  # fmt: skip


def test_a_right_one_passes_by_every_name(run):
    assert run("pass")[0] == every()


def test_a_wrong_one_and_bad_manners_fail_by_their_names_and_say_why(run):
    found, printed = run("found['dh'] = -found['dh']; given['dc'] *= 2")
    assert found == every(dh="FAILED", manners="FAILED")
    assert "protocol: dc that comes in: is modified" in printed
    assert "mistake: dh: its sign is flipped" in printed or "found['dh'] = -found['dh']" in printed


@each_gradient(lambda: check_backward(lstm, lstm_backward, sizes={"N": 2, "D": 3, "H": 2}))
def test_here_too(gradient, request):
    assert request.node.name == f"test_here_too[{gradient.name}]"
    gradient.assert_ok()


def test_what_was_not_returned_fails():
    mark = each_gradient(lambda: check_backward(lstm, lambda *a, **k: {"dx": lstm_backward(*a, **k)["dx"], "dq": 1.0}))
    gradients = {one.name: one for one in mark.args[1]}
    assert mark.kwargs["ids"] == list(gradients) == ["dx", "dh", "dc", "dWx", "dWh", "db", "manners"]  # dq is nothing
    gradients["dx"].assert_ok()
    with pytest.raises(CheckError, match=r"^dWx\n"):
        gradients["dWx"].assert_ok()


def test_nothing_checked_is_no_pass():
    (only,) = each_gradient(lambda: Report("nothing")).args[1]
    with pytest.raises(CheckError):
        only.assert_ok()


def test_without_pytest_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(ModuleNotFoundError, match=r"each_gradient needs pytest: pip install 'tinygrad-rnn\[test\]'"):
        each_gradient(lambda: Report("nothing"))
