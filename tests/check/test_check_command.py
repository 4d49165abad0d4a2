"""``tinygrad-rnn check``: 0 right, 1 wrong, 2 could not be checked; and never a pass when nothing was."""

import argparse
import json
import runpy
from pathlib import Path

import pytest

from tinygrad_rnn.check import command

ROOT = Path(__file__).parent.parent.parent
WRONG = f"{ROOT / 'examples' / 'lstm_wrong.py'}:lstm_backward"

FILE = """
import numpy as np
from tinygrad_rnn.check.by_hand import lstm_backward

right = lstm_backward

def nothing(*args, **params):
    return {}

def fails(x, h, c, **params):
    return x @ h

def array(*args, **params):
    return np.ones(3)

number = 3

class Double:
    def __init__(self, factor=2.0):
        self.params, self.grads, self.factor = [], [], factor
    def forward(self, x):
        return 2.0 * x
    def backward(self, dy):
        return self.factor * dy

def tripled():
    return Double(3.0)

layer = Double()
"""


@pytest.fixture
def run(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(FILE)

    def run(place, *more):
        parser = argparse.ArgumentParser()
        command.options(parser)
        code = command.run(parser.parse_args([place.replace("MINE", str(tmp_path / "mine.py")), *more]))
        out = capsys.readouterr()
        assert "Traceback" not in out.out + out.err
        return code, out.out if code < 2 else out.out + out.err

    return run


def test_right_is_0(run):
    code, out = run("MINE:right", "--cell", "lstm", "--sizes", "N=3,D=5,H=7")
    assert code == 0 and "verdict: right" in out and "(5, 28)" in out


def test_wrong_is_1_and_names_line_and_mistake(run):
    code, out = run(WRONG, "--cell", "lstm")
    assert code == 1 and "first wrong: do;" in out and "do: uses c' where tanh(c') belongs" in out


def test_json(run):
    code, out = run(WRONG, "--json")
    assert (code, json.loads(out)["first_wrong"]) == (1, "do")


@pytest.mark.parametrize("place, more, text", [
    ("MINE:nothing", [], "verdict: unchecked"),
    ("MINE:fails", [], "mine.py, line 11: return x @ h"),
    ("MINE:array", [], "backward returned a ndarray, should be a dict"),
    ("MINE:number", [], "number is a int, should be a function that returns gradients"),
    ("MINE:Double", [], "Double is a class, should be a function that returns gradients (a layer needs --layer)"),
    ("MINE:right", ["--cell", "gru"], "unexpected keyword argument|missing"),
    ("MINE:right", ["--sizes", "Q=3"], "Q is not a size of this cell"),
    ("MINE:absent", [], "has no absent, only"),
    ("nowhere.py:f", [], "there is no such file"),
    ("MINE", [], "is no place in a file"),
    ("MINE:layer", ["--layer"], "--layer needs --inputs"),
    ("MINE:right", ["--layer", "--inputs", "3,4"], "missing"),
])  # fmt: skip
def test_what_cannot_be_checked_is_2(run, place, more, text):
    code, out = run(place, *more)
    assert code == 2 and any(part in out for part in text.split("|")), out


def test_a_file_that_exits_is_no_pass(run, tmp_path):
    (tmp_path / "exits.py").write_text("import sys; sys.exit(0)")
    code, out = run(f"{tmp_path / 'exits.py'}:f")
    assert code == 2 and "could not be checked" in out


@pytest.mark.parametrize("name, code", [("Double", 0), ("layer", 0), ("tripled", 1)])
def test_a_layer(run, name, code):
    assert run(f"MINE:{name}", "--layer", "--inputs", "3,4")[0] == code


@pytest.mark.parametrize("option", [["--inputs", "3,a"], ["--sizes", "N=0"], ["--sizes", "N"]])
def test_options_that_are_none_are_refused(run, option, capsys):
    with pytest.raises(SystemExit) as refused:
        run("MINE:right", *option)
    assert refused.value.code == 2 and "should be" in capsys.readouterr().err


def test_the_example_prints_its_report(capsys):
    runpy.run_path(WRONG.rpartition(":")[0], run_name="__main__")
    assert "do: uses c' where tanh(c') belongs" in capsys.readouterr().out
