"""A way back that is marked stands out in every form that shows ways back, and one that is not there is refused."""

import difflib
import re

import pytest

from tinygrad_rnn import draw, gru, lstm
from tinygrad_rnn.cli.main import main
from tinygrad_rnn.draw.scene.theme import THEMES

BACKWARD = """
from tinygrad_rnn.cli.demo_backward import lstm_backward as right

def lstm_backward(x, h, c, *, Wx, Wh, b, dh, dc):
    found = right(x, h, c, Wx=Wx, Wh=Wh, b=b, dh=dh, dc=dc)
    return {**found, "dh": -found["dh"]}
"""


def edges(picture):
    """The ways back that stand out, as (source, target) of names: the gradient flows from the reader to the value."""
    names = {one.id: one.name or one.symbol for one in picture.graph.nodes}
    found = re.findall(r"(?:r0t\d_)?(n\d+)(?::\S+)? -> (?:r0t\d_)?(n\d+).*class=marked", picture.source)
    return [(names[a], names[b]) for a, b in found]


@pytest.mark.parametrize("cell, mark, there", [
    (lstm, ("o", "h'"), [("h'", "o")]),
    (lstm, ("o", "⊙"), [("h'", "o")]),  # by the symbol of what reads it
    (lstm, ("o", ""), [("h'", "o")]),
    (lstm, ("Wx", "@"), [("@", "Wx")]),
    (gru, ("h", ""), None),  # several read it
])  # fmt: skip
def test_the_way_stands_out(cell, mark, there):
    marked = edges(draw(cell, mark=[mark], legend=False, layout="layered"))
    assert marked == there if there else len(marked) > 1 and {target for _, target in marked} == {"h"}


def test_of_two_gates_each_is_another_way():
    marked = {gate: edges(draw(lstm, mark=[(f"A.{gate}", gate)], legend=False)) for gate in "fgio"}
    assert all(len(one) == 1 and one[0][0] == gate for gate, one in marked.items())


def test_nothing_else_changes():
    plain, marked = (draw(lstm, legend=False, mark=mark).source.splitlines() for mark in ((), [("o", "h'")]))
    changed = [line for line in difflib.ndiff(plain, marked) if line[0] in "+-"]
    assert len(changed) == 2 and "class=backward" in changed[0] and "class=marked" in changed[1]
    assert [len(re.findall(r'pos="[^"]*"', line)) for line in changed] == [1, 1]
    assert re.search(r'pos="[^"]*"', changed[0])[0] == re.search(r'pos="[^"]*"', changed[1])[0]


@pytest.mark.parametrize("theme", THEMES)
def test_it_is_the_colour_of_what_is_wrong_and_thicker_than_any_gradient(theme):
    source = draw(lstm, mark=[("o", "h'")], legend=False, theme=theme, scale=(1e-9, 1e-8)).source
    pens = {look: [float(x) for x in re.findall(rf"class={look} .*?penwidth=([\d.]+)", source)]
            for look in ("marked", "backward")}  # fmt: skip
    assert pens["marked"][0] > max(pens["backward"]) and f'class=marked color="{THEMES[theme].bad}"' in source


def test_the_legend_has_it_where_something_is_marked():
    plain, marked = (draw(lstm, mark=mark).source.replace("class=marked", "") for mark in ((), [("o", "h'")]))
    assert "marked" in marked and "marked" not in plain


def test_over_time_every_step_has_it():
    assert len(edges(draw(lstm, steps=3, level="op", mark=[("o", "h'")], legend=False))) == 3


def test_the_same_mark_gives_the_same_picture():
    first, second = (draw(lstm, mark=[("o", "h'"), ("b", "")]).source for _ in range(2))
    assert first == second


def test_it_is_in_the_svg_and_on_the_page():
    picture = draw(lstm, mark=[("o", "h'")], legend=False)
    svg, page = picture.pipe("svg").decode(), picture.html()
    for text in (svg, page):
        assert text.count('class="edge marked"') == 1
    assert 'class="edge marked"' not in draw(lstm, legend=False).html()


@pytest.mark.parametrize("mark, said", [
    (("o", "nothing"), "no backward edge leads from nothing to o; there are x, Wx,"),
    (("q", ""), "no backward edge leads from anything to q; there are x, Wx,"),
    (("h'", "o"), "no backward edge leads from o to h'"),  # the other way round
    (("A.f", "y"), "no backward edge leads from y to A.f"),
])  # fmt: skip
def test_a_way_that_is_not_there_is_refused(mark, said):
    with pytest.raises(ValueError, match="^draw: mark: " + re.escape(said)):
        draw(lstm, mark=[("o", "h'"), mark])


@pytest.mark.parametrize("mark", ["o", [("o",)], [("o", "h'", "c'")], ("o", "h'")])
def test_what_is_no_pair_is_refused(mark):
    with pytest.raises(TypeError, match=r"^draw: mark has .*, should be pairs of a value and what reads it"):
        draw(lstm, mark=mark)


# -- from the command line -------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(BACKWARD)
    (tmp_path / "right.py").write_text("from tinygrad_rnn.cli.demo_backward import lstm_backward\n")
    return tmp_path


def test_check_draws_the_way_that_is_wrong(here, capsys):
    assert main(["check", "mine.py:lstm_backward", "--draw", "way.dot"]) == 1
    text = (here / "way.dot").read_text(encoding="utf-8")
    assert re.search(r"\|dh\|.*class=marked", text)
    printed = capsys.readouterr()
    assert "wrote way.dot, marked: from @ to h" in printed.err and "wrote" not in printed.out


def test_check_draws_what_is_right_without_a_mark(here, capsys):
    assert main(["check", "right.py:lstm_backward", "--draw", "way.dot"]) == 0
    assert "class=marked" not in (here / "way.dot").read_text(encoding="utf-8")
    assert capsys.readouterr().err.splitlines()[-1] == "wrote way.dot"
