"""The exercise: a template with blanks, graded line by line, with hints; for every built-in cell and a user's own."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.command_line import python
from tinygrad_rnn import tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.check import check_backward
from tinygrad_rnn.cli import main
from tinygrad_rnn.errors import ExerciseError
from tinygrad_rnn.exercise.grade import Answers
from tinygrad_rnn.exercise.grading import holds
from tinygrad_rnn.exercise.hints import LEVELS, Hints
from tinygrad_rnn.exercise.template import template
from tinygrad_rnn.exercise.worksheet import Exercise

#: The lines of the LSTM, as somebody may write them.
LSTM = {
    "dc_next": "dc + dh * o * (1 - np.tanh(c_next) ** 2)",
    "do": "dh * np.tanh(c_next)",
    "di": "dc_next * g",
    "dg": "dc_next * i",
    "df": "dc_next * c",
    "dA": "np.hstack([df * f * (1 - f), dg * (1 - g * g), di * i * (1 - i), do * o * (1 - o)])",
    "dWx": "x.T @ dA",
    "dWh": "h.T @ dA",
    "db": "dA.sum(axis=0)",
    "dx": "dA @ Wx.T",
    "dh_prev": "dA @ Wh.T",
    "dc_prev": "dc_next * f",
}
OWN = """\
from tinygrad_rnn import Param, cell, relu, sigmoid


@cell
def leaky(x, h, *, Wx=Param("D H", "ag"), Wh=Param("H H", "ag"), d=Param("H"), rate=0.25):
    a = sigmoid(x @ Wx.a + h @ Wh.a)
    H = relu(x @ Wx.g + h @ Wh.g) - d
    h = a * h + (1 - a) * H * rate
    return h


@cell
def noisy(x, h, *, W=Param("D H")):
    import numpy as np
    h = x @ W + h * np.arange(h.shape[1])
    return h
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cells.py").write_text(OWN)
    return tmp_path


@pytest.fixture
def check(home, capsys):
    def check(*command):
        code = main.main(["check", *command])
        out = capsys.readouterr()
        assert "Traceback" not in out.out + out.err
        return code, out.err if code == 2 else out.out

    return check


def fill(file: Path, **lines: str) -> None:
    """Put formulas in the place of blanks; ``...`` stays one."""
    text = file.read_text()
    for name, formula in lines.items():
        text, count = re.subn(rf"(?m)^    {name} = .*$", lambda _, n=name, f=formula: f"    {n} = {f}", text)
        assert count == 1, name
    file.write_text(text)


@pytest.fixture
def lstm(check, home):
    """Hand in an answer for the LSTM: what `check` says."""

    def lstm(*more, **lines):
        assert check("--template", "lstm", "--force")[0] == 0
        fill(home / "lstm_exercise.py", **lines)
        return check("lstm_exercise.py:lstm_backward", *more)

    return lstm


def graded(text: str) -> dict[str, str]:
    """The verdict of every line in the JSON report."""
    return {one["name"]: one["verdict"] for one in json.loads(text)["lines"]}


def solved(cell: tg.Cell, file: Path, place: str) -> list[str]:
    """Write the exercise with the lines of the last hints filled in; the lines."""
    exercise = Exercise(cell)
    file.write_text(template(cell, place, str(file)))
    space: dict = {}
    exec(file.read_text(), space)
    answers, hints = Answers(exercise, space[f"{exercise.name}_backward"], str(file)), Hints(exercise)
    told = [hints.hint(name, LEVELS, holds(answers, name)) for name in exercise.blanks]
    assert all(re.fullmatch(r"`\w+ = .+`", line) for line in told), told
    fill(file, **{name: line.strip("`").partition(" = ")[2] for name, line in zip(exercise.blanks, told)})
    return told


@tg.cell
def same(x, h, c, *, W=tg.Param("D H")):
    """One value for two states."""
    h = tanh(x @ W + h * c)
    return h, h


# -- the template ----------------------------------------------------------------------------------------------------

CELLS = [*BUILT_IN.values(), tg.zoneout(tg.lstm, h=0.1, c=0.2), tg.projected(tg.lstm), tg.residual(tg.gru),
         tg.zoneout(tg.projected(tg.lstm), h=0.5), same]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS, ids=lambda one: one.name)
def test_every_line_is_asked_for_in_the_names_of_the_cell(cell):
    text = template(cell, cell.name, "exercise.py")
    blanks = re.findall(r"(?m)^    (\w+) = \.\.\. ", text)
    inner = [name for name in blanks if re.search(rf"(?m)^    {name[1:]} = ", text)]
    params, states = [f"d{name}" for name in cell.params], [f"d{name}_prev" for name in cell.states]
    assert blanks == [*inner, *params, "dx", *states] and len(inner) > 0
    recorded = Exercise(cell).step.named()
    named = [f"d{name}" for name in recorded if name.isidentifier() and name not in [*cell.params, *cell.states, "x"]]
    assert [name for name in named if name not in inner] == []
    assert max(map(len, text.splitlines())) <= 120


def test_the_lines_of_the_lstm(home, check):
    assert check("--template", "lstm") == (0, "wrote lstm_exercise.py\n")
    text = Path("lstm_exercise.py").read_text()
    assert re.findall(r"(?m)^    (\w+) = \.\.\. ", text) == list(LSTM)
    for line in ("    A = x @ Wx + h @ Wh + b\n", "    g = np.tanh(A[:, H:2 * H])\n", "    dA = ...       # (N, 4H)\n"):
        assert line in text


def test_it_never_overwrites_an_answer(home, check):
    (home / "lstm_exercise.py").write_text("my work")
    code, said = check("--template", "lstm")
    assert code == 2 and "lstm_exercise.py exists already" in said
    assert (home / "lstm_exercise.py").read_text() == "my work"
    assert check("--template", "lstm", "--force")[0] == 0
    assert sorted(one.name for one in home.iterdir()) == ["cells.py", "lstm_exercise.py"]


def test_it_goes_where_it_is_told(home, check):
    (home / "sub").mkdir()
    assert check("--template", "gru", "-o", "sub/a.py") == (0, "wrote sub/a.py\n")
    assert check("--template", "gru", "-o", "-")[1] == Path("sub/a.py").read_text().replace("check a.py", "check -")
    assert check("sub/a.py:gru_backward")[0] == 1
    assert check("--template", "gru", "-o", "nowhere/a.py")[0] == 2


@pytest.mark.parametrize(("place", "said"), [
    ("nothing", "'nothing' is no built-in cell"), ("nowhere.py:f", "there is no such file"),
    ("cells.py:relu", "should be a cell"),
    ("cells.py:noisy", "noisy: uses an array of its own, of shape (67,), should be a parameter"),
])  # fmt: skip
def test_what_has_no_template_is_refused(check, place, said):
    code, out = check("--template", place)
    assert code == 2 and said in out


def test_a_cell_that_decides_by_values_has_no_template():
    @tg.cell
    def jumps(x, h, *, W=tg.Param("D H")):
        return (x @ W + h) * (1 + (np.shape(x)[0] > 20))

    with pytest.raises(ExerciseError, match="jumps: its lines in NumPy compute something else; it decides by values"):
        Exercise(jumps)


def test_a_number_of_the_cell_is_not_taken_for_a_size():
    @tg.cell
    def numbers(x, h, *, W=tg.Param("D H")):
        return tanh(x @ W * 31 + h / 29) + 23

    assert Exercise(numbers).forward == ["ratio = h / 29", "s = (x @ W) * 31 + ratio", "h_next = np.tanh(s) + 23"]


def test_comparisons_are_written_where_they_are_read():
    @tg.cell
    def chosen(x, h, *, W=tg.Param("D H")):
        a = x @ W
        return np.where(a > 0.1, a, 0.5 * h)

    exercise = Exercise(chosen)
    assert exercise.forward == ["a = x @ W", "h_next = np.where(a > 0.1, a, 0.5 * h)"]
    assert Hints(exercise).hint("da", 3, lambda text: True) == "`da = dh * (a > 0.1)`"


def test_a_state_that_stays_is_no_line():
    @tg.cell
    def stays(x, h, c, *, W=tg.Param("D H")):
        return tanh(x @ W + c), c

    exercise = Exercise(stays)
    assert exercise.new == ["h_next", "c"] and list(exercise.blanks) == ["dA_h", "dW", "dx", "dh_prev", "dc_prev"]


def test_a_detached_value_has_no_line():
    @tg.cell
    def detached(x, h, *, W=tg.Param("D H")):
        a = x @ W
        return tanh(a + h) * a.detach()

    with pytest.raises(ExerciseError, match="detached: detaches a value, should not: lines of NumPy cannot tell it"):
        Exercise(detached)


def test_an_argument_that_the_lines_would_take_for_numpy_is_refused():
    @tg.cell
    def hidden(np, h, *, W=tg.Param("D H")):
        return tanh(np @ W + h)

    with pytest.raises(ExerciseError, match="hidden: has an argument np, should have another name: the lines call"):
        Exercise(hidden)


# -- grading ---------------------------------------------------------------------------------------------------------


def test_blank_is_not_yet(lstm):
    code, out = lstm()
    assert code == 1 and "0 of 12 lines are right" in out
    assert f"not yet: {', '.join(LSTM)}" in out


def test_all_right_is_0(lstm):
    code, out = lstm(**LSTM)
    assert code == 0 and "12 of 12 lines are right" in out and out.endswith("verdict: right\n")


@pytest.mark.sampled(every=6, by=lambda name: [])
@pytest.mark.parametrize("name", LSTM)
def test_a_line_is_judged_as_if_those_before_it_were_right(lstm, name):
    """One line right, all others blank or wrong: it is right. One line wrong, all others right: they are."""
    verdicts = graded(lstm("--json", **{name: LSTM[name]})[1])
    assert [one for one, verdict in verdicts.items() if verdict == "right"] == [name]
    verdicts = graded(lstm("--json", **{**LSTM, name: f"-1.5 * ({LSTM[name]})"})[1])
    assert [one for one, verdict in verdicts.items() if verdict != "right"] == [name]


def test_two_mistakes_are_two(lstm):
    code, out = lstm(**{**LSTM, "do": "dh * c_next", "db": "dA.sum(axis=0) / 3", "dx": "..."})
    assert code == 1 and "wrong: do, db\n" in out and "not yet: dx\n" in out and "9 of 12" in out


def test_a_wrong_line_is_told_what_is_wrong_with_it(lstm):
    _, out = lstm(**{**LSTM, "do": "dh * c_next", "dc_prev": "-dc_next * f"})
    assert "do = dh * c_next   ->   do = dh * np.tanh(c_next)" in out
    assert re.search(r"dc_prev = .*-> +dc_prev = dc_next \* f", out)


@pytest.mark.parametrize(("line", "said"), [
    ("dq * 2", "NameError: name 'dq' is not defined"),
    ("dh @ h", "ValueError: matmul"),
    ("(dh * o)[:2]", "is (2, 11), should be (3, 11)"),
    ("None", "is NoneType, should be an array of numbers"),
    ("'dh'", "is str, should be an array of numbers"),
    ("exit(0)", "SystemExit: 0"),
])  # fmt: skip
def test_what_is_no_gradient_is_wrong(lstm, line, said):
    code, out = lstm(**{**LSTM, "do": line})
    assert code == 1 and said in out and "11 of 12 lines are right" in out and "wrong: do\n" in out


@pytest.mark.sampled(every=2, by=lambda **_: [])
@pytest.mark.parametrize("lines", [
    "dA = np.empty_like(A)\n    dA[:, :H], dA[:, H:2*H] = df * f * (1 - f), dg * (1 - g**2)\n"
    "    dA[:, 2*H:3*H] = di * i * (1 - i)\n    dA[:, 3*H:] = do * o * (1 - o)",
    "gates = [df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i), do * o * (1 - o)]\n    dA = np.hstack(gates)",
    "dA = np.zeros_like(A)\n    for k, (d, s) in enumerate([(df, f * (1 - f)), (dg, 1 - g**2), (di, i * (1 - i)), "
    "(do, o * (1 - o))]):\n        dA[:, k * H:(k + 1) * H] += d * s",
    "dA = np.hstack([d * (y * (1 - y) if y is not g else 1 - y * y) for d, y in ((df, f), (dg, g), (di, i), (do, o))])",
])  # fmt: skip
def test_a_line_may_be_several(check, home, lines):
    check("--template", "lstm")
    file = home / "lstm_exercise.py"
    text = file.read_text()
    file.write_text(re.sub(r"(?m)^    dA = .*$", f"    {lines}", text))
    assert graded(check("lstm_exercise.py:lstm_backward", "--json")[1])["dA"] == "right"
    wrong = lines.replace("f * (1 - f)", "f").replace("1 - y * y", "y")
    file.write_text(re.sub(r"(?m)^    dA = .*$", f"    {wrong}", text))
    assert graded(check("lstm_exercise.py:lstm_backward", "--json")[1])["dA"] == "wrong"


def test_a_blank_inside_of_a_line_is_not_yet_and_an_ellipsis_in_an_index_is_none(lstm):
    some = {"dA": "np.hstack([df * f, ..., di, do])", "do": "(dh * np.tanh(c_next))[..., :]"}
    verdicts = graded(lstm("--json", **{**LSTM, **some})[1])
    assert (verdicts["dA"], verdicts["do"]) == ("not yet", "right")


def test_writing_into_a_value_that_others_read_spoils_no_other_line(lstm):
    verdicts = graded(lstm("--json", **{**LSTM, "do": "np.multiply(dh, 0, out=dh) * 0"})[1])
    assert [one for one, verdict in verdicts.items() if verdict != "right"] == ["do"]


def test_own_lines_may_fail_and_are_told(check, home):
    check("--template", "lstm")
    file = home / "lstm_exercise.py"
    fill(file, **LSTM)
    file.write_text(file.read_text().replace("    dA = ", "    half = nothing / 2\n    dA = "))
    code, out = check("lstm_exercise.py:lstm_backward", "--hint")
    assert code == 1 and "NameError: name 'nothing' is not defined" in out and "12 of 13 lines are right" in out


def test_a_forward_that_was_changed_is_told_and_spoils_nothing(check, home):
    check("--template", "lstm")
    file = home / "lstm_exercise.py"
    fill(file, **LSTM)
    file.write_text(file.read_text().replace("i = sigmoid(", "i = np.tanh("))
    code, out = check("lstm_exercise.py:lstm_backward")
    assert code == 1 and "wrong: i\n" in out and "i is given as i = sigmoid(A[:, 2 * H:3 * H])" in out


def test_a_line_that_is_not_there_is_not_yet(check, home):
    check("--template", "lstm")
    file = home / "lstm_exercise.py"
    fill(file, **LSTM)
    file.write_text(re.sub(r"(?m)^    db = .*\n", "", file.read_text()))
    code, out = check("lstm_exercise.py:lstm_backward")
    assert code == 1 and "not yet: db" in out and "there is no line for it" in out


def test_what_is_returned_counts_too(check, home):
    check("--template", "lstm")
    file = home / "lstm_exercise.py"
    fill(file, **LSTM)
    file.write_text(file.read_text().replace('"dh": dh_prev', '"dh": dh'))
    code, out = check("lstm_exercise.py:lstm_backward")
    assert code == 1 and "12 of 12 lines are right" in out and "but not what the function returns" in out


def test_a_template_filled_in_is_a_backward_like_any_other(check, home):
    check("--template", "lstm")
    fill(home / "lstm_exercise.py", **LSTM)
    space: dict = {}
    exec((home / "lstm_exercise.py").read_text(), space)
    report = check_backward(tg.lstm, space["lstm_backward"])
    assert report.verdict == "right" and [name for name, row in report.tensors.items() if not row.counts] == []


@pytest.mark.parametrize(("change", "place", "said"), [
    (("", ""), "lstm_backwards", "has no lstm_backwards, only"),
    (("import numpy", "import nunpy"), "lstm_backward", ": import nunpy as np"),
    (('EXERCISE_OF = "lstm"', 'EXERCISE_OF = "lstn"'), "lstm_backward", "'lstn' is no built-in cell"),
    (("EXERCISE_OF =", "lstm_backward = 3\nEXERCISE_OF ="), "EXERCISE_OF", "should be the function lstm_backward"),
    (("EXERCISE_OF =", "from os.path import join\nEXERCISE_OF ="), "join", "has no def join"),
])  # fmt: skip
def test_what_cannot_be_graded_is_2(check, home, change, place, said):
    check("--template", "lstm")
    file = home / "lstm_exercise.py"
    file.write_text(file.read_text().replace(*change))
    code, out = check(f"lstm_exercise.py:{place}")
    assert code == 2 and said in out, out


# -- hints -----------------------------------------------------------------------------------------------------------


def hinted(out: str) -> str:
    return next(line for line in out.splitlines() if line.startswith("hint: "))


def test_hints_come_on_request_and_one_step_at_a_time(lstm):
    assert "hint" not in lstm()[1]
    done = {"dc_next": LSTM["dc_next"]}
    told = [hinted(lstm(*more, **done)[1]) for more in (["--hint"], ["--hint", "2"], ["--hint", "3"])]
    assert told[0] == "hint: (1 of 3) `o` reaches the loss only through `h_next = o * np.tanh(c_next)`"
    assert told[1].startswith("hint: (2 of 3) going back through `h_next = o * np.tanh(c_next)`")
    assert told[1].endswith(", dh is changed by ⊙ tanh(c_next)")
    assert told[2] == "hint: (3 of 3) `do = dh * np.tanh(c_next)`"
    assert [hinted(lstm("--hint", "--hint", **done)[1]), hinted(lstm(*["--hint"] * 3, **done)[1])] == told[1:]


def test_a_hint_is_for_the_first_line_that_is_not_right(lstm):
    lines = {**LSTM, "dg": "dc_next * g", "dx": "..."}
    assert "`g` reaches the loss only through" in hinted(lstm("--hint", **lines)[1])
    assert "hint" not in lstm("--hint", **LSTM)[1]


def test_several_ways_are_all_told(lstm):
    said = "in 2 ways, whose gradients add up: as the new state, for which dc comes in; through `h_next = o"
    assert said in lstm("--hint")[1]


def test_the_place_may_stand_behind_hint(check):
    check("--template", "rnn")
    said = check("--hint", "rnn_exercise.py:rnn_backward")[1]
    assert "`A_h` reaches the loss only through `h_next = np.tanh(A_h)`" in said


@pytest.mark.sampled(every=3, by=lambda cell: [])
@pytest.mark.parametrize("cell", CELLS, ids=lambda one: one.name)
def test_the_lines_of_the_last_hint_solve_the_exercise(cell, tmp_path):
    """For every cell: what the hints say, filled in, is graded right."""
    file = tmp_path / "exercise.py"
    solved(cell, file, cell.name)
    space: dict = {}
    exec(file.read_text(), space)
    exercise = Exercise(cell)
    answers = Answers(exercise, space[f"{exercise.name}_backward"], str(file)).grade(3, {})
    assert [one.name for one in answers if one.verdict != "right"] == [] and len(answers) == len(exercise.blanks)
    assert check_backward(cell, space[f"{exercise.name}_backward"]).verdict == "right"


def test_a_line_of_a_hint_that_does_not_hold_is_not_shown_as_code():
    hints = Hints(Exercise(tg.lstm))
    assert hints.hint("do", 3, lambda text: False) == "do is dh ⊙ tanh(c_next)"


# -- a cell of one's own, and a process of its own -------------------------------------------------------------------


def test_a_cell_of_ones_own(check, home):
    (home / "sub").mkdir()
    assert check("--template", "cells.py:leaky", "-o", "sub/leaky.py")[0] == 0
    assert 'EXERCISE_OF = "../cells.py:leaky"' in Path("sub/leaky.py").read_text()
    assert check("sub/leaky.py:leaky_backward")[0] == 1
    space: dict = {}
    exec(OWN, space)
    solved(space["leaky"], home / "sub" / "leaky.py", "../cells.py:leaky")
    assert check("sub/leaky.py:leaky_backward")[0] == 0


def test_as_a_user_would(tmp_path):
    def run(*command):
        process = python("-m", "tinygrad_rnn", "check", *command, cwd=tmp_path)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    assert run("--template", "rnn") == (0, "wrote rnn_exercise.py\n", "")
    assert run("rnn_exercise.py:rnn_backward")[0] == 1
    solved(tg.rnn, tmp_path / "rnn_exercise.py", "rnn")
    code, out, err = run("rnn_exercise.py:rnn_backward")
    assert (code, err) == (0, "") and "6 of 6 lines are right" in out


def test_the_file_is_the_same_in_every_process(tmp_path):
    texts = []
    for _ in range(2):
        process = python("-m", "tinygrad_rnn", "check", "--template", "layer_norm_lstm", "-o", "-", cwd=tmp_path)
        texts.append(process.communicate(timeout=120)[0])
    assert texts[0] == texts[1] != ""
