"""``tinygrad-rnn draw``: pictures from the command line, of built-in cells and of the user's."""

import json
import re

import pytest

from tinygrad_rnn.cli.main import main
from tinygrad_rnn.cli.target import load
from tinygrad_rnn.errors import UserFileError

MINE = """
from tinygrad_rnn import Param, cell, tanh

@cell
def mine(x, h, *, W=Param("D H"), U=Param("H H")):
    candidate = tanh(x @ W + h @ U)
    return candidate

def helper():
    return 1
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mycells.py").write_text(MINE)
    return tmp_path


@pytest.mark.parametrize("ending, start", [
    ("dot", "digraph"), ("json", "{"), ("mmd", "---\ntitle"), ("txt", "lstm: one step"), ("html", "<!DOCTYPE html>"),
])  # fmt: skip
def test_the_ending_says_what_is_written(here, capsys, ending, start):
    assert main(["draw", "lstm", "--backward", "-o", f"a.{ending}"]) == 0
    assert capsys.readouterr().out == f"wrote a.{ending}\n"
    assert (here / f"a.{ending}").read_text(encoding="utf-8").lstrip("/").startswith(start)


def test_the_default_is_an_svg_named_after_the_cell(here):
    assert main(["draw", "gru"]) == 0
    assert (here / "gru.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_options_reach_the_picture(here):
    asked = ["--steps", "20", "--level", "op", "--unfold", "4:6", "--sizes", "N=2,D=4,H=6", "--seed", "3", "--last"]
    assert main(["draw", "lstm", *asked, "-o", "a.json"]) == 0
    graph = json.loads((here / "a.json").read_text(encoding="utf-8"))
    assert graph["level"] == "op" and "N=2 D=4 H=6" in graph["title"] and graph["rows"][0]["steps"] == 20
    assert {one["step"] for one in graph["nodes"]} >= {0, 1, 4, 5, 18, 19}
    assert [(fold["first"], fold["last"]) for fold in graph["folds"]] == [(2, 3), (6, 17)]


def test_a_cell_of_the_users_own(here, capsys):
    assert main(["draw", "mycells.py:mine", "--format", "text"]) == 0
    assert "candidate" in capsys.readouterr().out


def test_without_backward_there_are_no_gradients(here, capsys):
    main(["draw", "rnn", "--format", "text"])
    assert "|dh" not in capsys.readouterr().out
    main(["draw", "rnn", "--format", "text", "--backward"])
    assert "|dh" in capsys.readouterr().out


WRONG = [
    (["lstmm"], "'lstmm' is no built-in cell (rnn, lstm,"),
    (["mycells.py:yours"], "mycells.py has no yours, only"),
    (["mycells.py:helper"], "mycells.py:helper is a function, should be a cell"),
    (["nowhere.py:mine"], "nowhere.py: there is no such file"),
    (["lstm", "--sizes", "Q=3"], "Q is not a size of this cell"),
    (["lstm", "--steps", "0"], "steps is 0, should be a whole number from 1"),
    (["lstm", "-o", "a.docx"], "'docx' is no format"),
    (["lstm", "-o", "nowhere/a.dot"], "nowhere"),
]


@pytest.mark.parametrize("asked, text", WRONG, ids=[text for _, text in WRONG])
def test_what_cannot_be_done_is_said_and_ends_with_2(here, capsys, asked, text):
    assert main(["draw", *asked]) == 2
    said = capsys.readouterr().err
    assert said.startswith("tinygrad-rnn draw: ") and text in said


@pytest.mark.parametrize("asked", [["--sizes", "N"], ["--unfold", "3"], ["--unfold", "5:2"], ["--level", "gate"]])
def test_options_that_make_no_sense_end_with_2(here, capsys, asked):
    with pytest.raises(SystemExit) as ended:
        main(["draw", "lstm", *asked])
    assert ended.value.code == 2 and asked[0] in capsys.readouterr().err


def test_a_file_that_does_not_run_shows_the_users_lines_only(here):
    (here / "broken.py").write_text("a = 1\n\ndef f():\n    return a / 0\n\nf()\n")
    with pytest.raises(UserFileError) as refused:
        load("broken.py:f")
    assert str(refused.value).splitlines() == [
        "broken.py does not run:", "  broken.py, line 6: f()", "  broken.py, line 4: return a / 0",
        "  ZeroDivisionError: division by zero"]  # fmt: skip
    (here / "worse.py").write_text("def f(:\n")
    with pytest.raises(UserFileError, match=r"worse.py does not run:\n(.*\n)*.*SyntaxError"):
        load("worse.py:f")
    with pytest.raises(UserFileError, match=r"'worse' is no place in a file, should be FILE\.py:NAME"):
        load("worse")


def test_the_values_of_small_arrays_are_an_option(here):
    for option in ([], ["--values"]):
        assert main(["draw", "rnn", "--sizes", "D=1,H=2", "--layout", "layered", *option, "-o", "a.svg"]) == 0
        shown = re.findall(r">(-?[\d.]+ -?[\d.]+)</text>", (here / "a.svg").read_text(encoding="utf-8"))
        assert bool(shown) is bool(option)


def test_the_shape_of_the_picture_is_an_option(here, capsys):
    ratios = {}
    for aspect in ("slide", "1.5"):
        assert main(["draw", "lstm", "--backward", "--aspect", aspect, "--layout", "book", "--shapes", "none",
                     "-o", "a.svg"]) == 0  # fmt: skip
        text = (here / "a.svg").read_text(encoding="utf-8")
        width, height = (float(re.search(rf' {side}="([\d.]+)"', text)[1]) for side in ("width", "height"))
        ratios[aspect] = round(width / height, 2)
        assert "(1, 5)</text>" not in text
    assert ratios == {"slide": 1.78, "1.5": 1.5}
    with pytest.raises(SystemExit):
        main(["draw", "lstm", "--aspect", "round"])
    assert "--aspect: is 'round', should be slide, page, strip or a number above 0" in capsys.readouterr().err
