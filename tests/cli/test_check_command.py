"""``tinygrad-rnn check``: 0 right, 1 wrong, 2 could not be checked; and never a pass when nothing was."""

import json
import runpy
import shutil

import pytest

from helpers.command_line import CHECKOUT, python
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cli import main

RIGHT, WRONG = (f"{CHECKOUT / 'examples' / f'lstm_{kind}.py'}:lstm_bptt" for kind in ("right", "wrong"))
MISTAKE = "lstm_wrong.py:35 in lstm_bptt: do = dh * c_new"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder to run in, with a user's file in it."""
    shutil.copy(CHECKOUT / "tests" / "helpers" / "user_layers.py", tmp_path / "mine.py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(home, capsys):
    def run(place, *more):
        code = main.main(["check", place, *more])
        out = capsys.readouterr()
        assert "Traceback" not in out.out + out.err
        assert code == 2 or out.err == "" or "in the backward" in out.err
        return code, out.out if code < 2 else out.err

    return run


# -- the examples, as a user would run them --------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "code", "said"), [
    (RIGHT, 0, "verdict: right"), (WRONG, 1, MISTAKE), ("nowhere.py:f", 2, "there is no such file")])  # fmt: skip
def test_the_exit_code_of_the_process(place, code, said, tmp_path):
    process = python("-m", "tinygrad_rnn", "check", place, cwd=tmp_path)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code and said in (err if code == 2 else out)
    assert (out if code == 2 else err) == ""


def test_wrong_names_the_first_wrong_gradient(run):
    code, out = run(WRONG)
    assert code == 1 and "first wrong: do;" in out


@pytest.mark.parametrize("kind", ["right", "wrong"])
def test_the_examples_print_their_report(kind, capsys):
    runpy.run_path(str(CHECKOUT / "examples" / f"lstm_{kind}.py"), run_name="__main__")
    assert f"verdict: {kind}" in capsys.readouterr().out


def test_sizes_and_seed_are_those_asked_for(run):
    assert "(2, 4, 28)" in run(RIGHT, "--sizes", "N=2,T=4,D=5,H=7")[1]
    assert run(RIGHT, "--seed", "1")[1] != run(RIGHT, "--seed", "2")[1]


def test_json_is_the_report_as_data(run):
    code, out = run(WRONG, "--json")
    found = json.loads(out)
    assert (code, found["first_wrong"], found["verdict"]) == (1, "do", "wrong")


def test_json_says_why_nothing_was_checked(home, capsys):
    assert main.main(["check", "mine.py:fails", "--cell", "lstm", "--json"]) == 2
    out = capsys.readouterr()
    found = json.loads(out.out)
    assert (found["ok"], found["verdict"]) == (False, "unchecked")
    assert "return x @ h" in found["error"] and found["error"] in out.err


def test_what_the_users_code_prints_is_no_part_of_the_report(run):
    assert json.loads(run("mine.py:chatty", "--cell", "lstm", "--json")[1])["ok"]


def test_float32_is_handed_over_and_rounding_is_no_mistake(run):
    code, out = run(RIGHT, "--dtype", "float32")
    assert code == 0 and "verdict: precision" in out
    assert run(WRONG, "--dtype", "float32")[0] == 1


# -- which cell ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "more", "cell", "told"), [
    (RIGHT, [], "lstm", "taken for lstm, by its name"),
    ("mine.py:right", [], "lstm", "taken for lstm, by the names of its parameters"),
    ("mine.py:right", ["--cell", "lstm"], "lstm", ""),
    ("mine.py:mine_step", ["--cell", "mine.py:mine"], "mine", ""),
    ("mine.py:TimeRNN", [], "TimeRNN", "taken for rnn, by its name"),
    ("mine.py:Sized", [], "Sized", "taken for rnn, by the shapes of its parameters"),
])  # fmt: skip
def test_the_cell_is_told_or_found_and_said(run, place, more, cell, told):
    code, out = run(place, *more)
    assert code == 0 and out.startswith(cell) and told in out
    assert bool(told) == ("--cell CELL overrides this" in out)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_name_tells_the_longest_cell_in_it(name):
    from tinygrad_rnn.cli.guess_cell import by_name

    assert by_name(f"Time{name.title().replace('_', '')}").name == by_name(f"{name}_backward").name == name
    assert by_name(f"my{name.replace('_', '')}").name == by_name(f"{name.replace('_', ' ').title()}Cell").name == name
    assert by_name("backward") is by_name("return_new") is by_name("LearnNothing") is None


# -- layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize(("name", "more", "code"), [
    ("Elman", ["--cell", "rnn"], 0),  # x (N, D), h (N, H)
    ("TimeRNN", [], 0),  # xs (N, T, D)
    ("time_rnn", [], 0),  # its own sizes
    ("Nothing", [], 0),
    ("Sized", ["--sizes", "N=2,T=3,D=4,H=5"], 0),
    ("sized", [], 0),
    ("TimeRNN", ["--dtype", "float32"], 0),
    ("Broken", ["--cell", "rnn"], 1),
    ("TimeRNNBroken", [], 1),
    ("Doubler", ["--inputs", "3,4"], 0),
    ("Doubler", [], 0),
    ("layer", ["--inputs", "3,4"], 0),
    ("Affine", ["--inputs", "3,4"], 0),  # with its own sizes
    ("tripler", ["--inputs", "3,4"], 1),
    ("tripler", ["--layer", "--inputs", "3,4"], 1),
])  # fmt: skip
def test_a_layer_is_made_and_fed(run, name, more, code):
    found, out = run(f"mine.py:{name}", *more)
    assert found == code, out
    assert f"verdict: {'wrong' if code else ''}" in out


def test_a_layer_gets_the_sizes_that_are_asked_for(run):
    out = json.loads(run("mine.py:Sized", "--sizes", "N=2,T=3,D=4,H=5", "--json")[1])
    assert out["tensors"]["dxs"]["shape"] == [2, 3, 4]
    assert json.loads(run("mine.py:time_rnn", "--json")[1])["tensors"]["dxs"]["shape"] == [3, 5, 2]


# -- what cannot be checked ------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("place", "more", "said"), [
    ("nowhere.py:f", [], "nowhere.py: there is no such file"),
    ("mine", [], "'mine' is no place in a file, should be FILE.py:NAME"),
    ("mine.py", [], "mine.py has several things that can be checked; name one:\n  tinygrad-rnn check mine.py:"),
    ("mine.py:absent", [], "mine.py has no absent, only"),
    ("mine.py:number", [], "number is a int, should be a function that returns gradients, or a layer"),
    ("mine.py:square", [], "square(x) takes no gradient, and makes no layer"),
    ("mine.py:mine", ["--cell", "rnn"], "takes no gradient"),
    ("mine.py:nothing", ["--cell", "lstm"], "verdict: unchecked"),
    ("mine.py:nothing", [], "cannot tell the cell of nothing; --cell should name it: rnn, lstm"),
    ("mine.py:step", [], "cannot tell the cell of step (it could be rnn, gru, mgu); --cell should name it"),
    ("mine.py:fails", ["--cell", "lstm"], "mine.py, line 38: return x @ h\n  ValueError: matmul"),
    ("mine.py:array", ["--cell", "lstm"], "backward returned a ndarray, should be a dict"),
    ("mine.py:step", ["--cell", "lstm"], "cannot be called as the backward of lstm"),
    ("mine.py:step", ["--cell", "lstm"], "def step(x, h, c, *, Wx, Wh, b, dh, dc):  for one step"),
    ("mine.py:step", ["--cell", "lstm"], "def step(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):  over time"),
    ("mine.py:right", ["--cell", "nosuch"], "'nosuch' is no built-in cell (rnn, lstm"),
    ("mine.py:right", ["--cell", "mine.py:number"], "should be a cell"),
    ("mine.py:right", ["--sizes", "Q=3"], "Q is not a size of this cell"),
    ("mine.py:right", ["--hint"], "--hint is for an exercise, and mine.py is none"),
    ("mine.py:right", ["--hint", "7"], "--hint is 7, should be 1, 2 or 3"),
    ("mine.py:Nameless", [], "cannot tell the cell of Nameless (it could be rnn, lstm, gru, mgu)"),
    ("mine.py:RaisingRNN", [], "return missing(x)  # noqa: F821\n  NameError: name 'missing' is not defined"),
    ("mine.py:DrawingRNN", [], "forward does not repeat"),
    ("mine.py:WholeRNN", [], "WholeRNN: forward returns int64, should be an array of floats, or several"),
    ("mine.py:WholeRNN", ["--inputs", "3,7", "3,11"], "forward returns int64, should be an array of floats"),
    ("mine.py:half", ["--layer"], "half gives a object, should be a layer: forward and backward"),
    ("mine.py:Doubler", ["--inputs", "3,4", "--draw", "a.json"], "--draw is for the cell of a backward or a layer, and "
     "none is known here; --cell should name it"),
    ("mine.py:Doubler", ["--cell", "lstm", "--inputs", "3,4"], "forward cannot be compared with the cell lstm"),
    ("mine.py:Affine", ["--inputs", "3,7"], "return x @ self.params[0] + self.params[1]\n  ValueError"),
])  # fmt: skip
def test_what_cannot_be_checked_is_2_and_said(run, place, more, said):
    code, out = run(place, *more)
    assert code == 2 and out.startswith("tinygrad-rnn check: ") and said in out, out


@pytest.mark.parametrize(("text", "said"), [
    ("import sys\nsys.exit(0)", "bad.py, line 2: sys.exit(0)\n  SystemExit: 0"),
    ("def f(:\n    pass", "bad.py, line 1: def f(:\n  SyntaxError: invalid syntax"),
    ("x = 1\n1 / 0", "bad.py, line 2: 1 / 0\n  ZeroDivisionError: division by zero"),
    ("import no_such_module", "bad.py, line 1: import no_such_module\n  ModuleNotFoundError: No module named"),
    ("from helper import f", "helper.py, line 3: return 1 / 0\n  ZeroDivisionError: division by zero"),
    ("def f(x, h, c, **p):\n    raise SystemExit(0)", "bad.py, line 2: raise SystemExit(0)\n  SystemExit: 0"),
    ("def f(x, h, c, **p):\n    return f(x, h, c, **p)", "RecursionError: maximum recursion depth exceeded"),
])  # fmt: skip
def test_a_file_that_does_not_run_is_no_pass(run, home, text, said):
    (home / "helper.py").write_text("def f(x):\n    # why\n    return 1 / 0\n\nf(1)\n")
    (home / "bad.py").write_text(text)
    code, out = run("bad.py:f", "--cell", "lstm")
    assert code == 2 and said in out and len(out.splitlines()) < 15


def test_the_cell_that_is_recognised_by_shapes_is_drawn(home, capsys):
    assert main.main(["check", "mine.py:Sized", "--draw", "sized.json"]) == 0
    assert capsys.readouterr().err == "wrote sized.json\n"
    assert json.loads((home / "sized.json").read_text())["title"].startswith("rnn")


def test_a_file_imports_what_lies_beside_it(run, home):
    (home / "other.py").write_text("from mine import right\n")
    assert run("other.py:right")[0] == 0


def test_a_gradient_that_is_no_array_is_wrong(run):
    code, out = run("mine.py:words", "--cell", "lstm")
    assert code == 1 and "is no array of numbers" in out


def test_nothing_named_is_refused(capsys):
    assert main.main(["check"]) == 2
    assert "no file is named, should be FILE.py:NAME" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--inputs", "3,a"], ["--sizes", "N=0"], ["--sizes", "N"], ["--dtype", "int8"]])
def test_options_that_are_none_are_refused(home, option, capsys):
    with pytest.raises(SystemExit) as refused:
        main.main(["check", "mine.py:right", *option])
    err = capsys.readouterr().err
    assert refused.value.code == 2 and ("should be" in err or "invalid choice" in err)


def test_the_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main.main(["check", "--help"])
    out = capsys.readouterr().out
    for text in ("def lstm_bptt(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):", "--template lstm", "exit codes: 0 right"):
        assert text in out
