"""Text for a terminal: equations as people write them, with what comes back beside them."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import gru, lstm, rnn
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.draw.formats.terminal import terminal
from tinygrad_rnn.draw.model import of_cell, of_function, of_tensor, view
from tinygrad_rnn.draw.scene.labels import LONGEST, cut, plain, size_text, subscript


def shown(made, width=100, backward=True, **look):
    graph = view(made, **look)
    return terminal(graph, graph.title, backward, width)


def of(f, *inputs):
    return of_function(f, inputs, ["x", "y", "z"][: len(inputs)])


@pytest.mark.parametrize("name, equations", [
    ("rnn", ["= tanh(x @ Wx + h @ Wh + b)"]),
    ("lstm", ["= x @ Wx + h @ Wh + b", "= σ(A[:, 0:5])", "= f ⊙ c + g ⊙ i", "= o ⊙ tanh(c')"]),
    ("gru", ["= σ(x @ Wx.z + h @ Wh.z + b.z)", "= tanh(x @ Wx.h + (r ⊙ h) @ Wh.h + b.h)",
             "= (1 - z) ⊙ h + z ⊙ h_new"]),
    ("mgu", ["= (1 - f) ⊙ h + f ⊙ h_new"]),
])  # fmt: skip
def test_a_cell_reads_as_its_equations(name, equations):
    text = shown(of_cell(BUILT_IN[name]))
    for one in equations:
        assert re.search(re.escape(one) + r"(\s|$)", text, re.MULTILINE), one


@pytest.mark.parametrize("f, equation", [
    (lambda x, y, z: x - (y - z), "x - (y - z)"),
    (lambda x, y, z: x - y - z, "x - y - z"),
    (lambda x, y, z: x / (y / z), "x / (y / z)"),
    (lambda x, y, z: (x + y) * z, "(x + y) ⊙ z"),
    (lambda x, y, z: x + y * z, "x + y ⊙ z"),
    (lambda x, y, z: (x * y) @ z, "(x ⊙ y) @ z"),
    (lambda x, y, z: x @ (y @ z), "x @ (y @ z)"),
    (lambda x, y, z: -(x + y) * z, "-(x + y) ⊙ z"),
    (lambda x, y, z: (x + y)[0] * z, "(x + y)[0] ⊙ z"),
    (lambda x, y, z: (x + y) ** 2.0 + z, "(x + y) ^ 2.0 + z"),
    (lambda x, y, z: tg.where(x.data > 0, y, z) + x, "where("),
], ids=lambda one: one if isinstance(one, str) else "")  # fmt: skip
def test_parentheses_stand_where_they_are_needed(f, equation):
    assert f"= {equation}" in shown(of(f, *np.ones((3, 2, 2))))


def test_gradients_stand_beside_their_values_and_sums_are_spelled_out():
    graph = view(of_cell(lstm))
    text = terminal(graph, "")
    for name in ("x", "h", "c", "Wx", "A", "f", "c'", "h'"):
        assert f"{size_text(name, graph[name].gradient)} " in text
    inner, outer = next(edge.gradient for edge in graph.uses(graph["c'"].id)), graph.cotangents["c'"]
    assert f"= via h' {inner:.2g} + via next {outer:.2g}" in text


def test_without_backward_there_is_no_gradient():
    text = shown(of_cell(lstm), backward=False)
    assert "|" not in text and "dc'" not in text
    assert "= f ⊙ c + g ⊙ i" in text


def test_steps_are_lines_and_folds_are_one_with_a_range():
    graph = view(of_cell(lstm, 20))
    text = terminal(graph, "")
    for start in ("step 0:", "step 1:", "steps 2 to 17:", "step 18:", "step 19:"):
        assert text.count(start) == 1
    assert "h₁, c₁ = lstm(x[:, 1], h₀, c₀)" in text
    assert "h₁₇, c₁₇ = 16 × lstm(x[:, 2:18], h₁, c₁)" in text
    (fold,) = graph.folds
    assert re.search(rf"\|dh\| {fold.least['dh']:.2g} . to {fold.greatest['dh']:.2g} ", text)


def test_steps_of_operations_have_headings_and_names_with_the_step():
    text = shown(of_cell(rnn, 3), level="op")
    assert [line for line in text.splitlines() if line.startswith("rnn, step")] == [f"rnn, step {t}:" for t in range(3)]
    assert "= tanh(x₁ @ Wx + h'₀ @ Wh + b)" in text


def test_cuts_are_marked():
    text = shown(of_cell(gru, 4, truncate=2), fold="none")
    assert text.count("✂") == 2 and "✂h₁)" in text and "✂ is detached" in text
    assert "✂ before step 2, 4" in shown(of_cell(gru, 6, truncate=2), fold="full")


def test_scopes_are_headings():
    def model(x):
        with tg.scope("encoder"):
            y = tg.tanh(x)
        return tg.sum(y)

    assert "\nencoder:\n" in shown(of(model, np.ones(3)))


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "\x1b[31mred", "\u202eabc", "\ud800", "x" * 1000, "", " ", "<b>"])
@pytest.mark.parametrize("width", [40, 100])
def test_names_are_harmless_and_lines_are_short(name, width):
    x = tg.tensor(np.ones((2, 2)), requires_grad=True, name=name)
    with tg.scope(name):
        y = tg.tanh(x)
        y.name = name
    graph = view(of_tensor(tg.sum(y * y)))
    text = terminal(graph, name, width=width)
    text.encode()
    assert all(c.isprintable() or c == "\n" for c in text)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("bad, word", [(np.nan, "NaN"), (np.inf, "inf")])
def test_what_is_not_finite_is_seen(bad, word):
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        text = shown(of_tensor(tg.sum(x * np.array([bad, 1.0]))))
    assert f"|dx| {word}" in text


def test_after_backward_it_tells_why_gradients_are_missing():
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    y = tg.sum(tg.tanh(x) * x)
    y.backward()
    text = shown(of_tensor(y))
    assert "|dx| " in text and "?" not in text
    assert "backward() has let go" in text


def test_a_long_chain_is_no_recursion_and_no_long_line():
    y = tg.tensor(np.ones(1), requires_grad=True, name="x")
    for _ in range(5000):
        y = y + 1.0
    text = shown(of_tensor(y))
    assert max(map(len, text.splitlines())) <= 100


def test_bars_grow_with_the_gradient():
    x = tg.tensor([1.0], requires_grad=True, name="x")
    a = x * 1e-3
    a.name = "a"
    text = shown(of_tensor(a * 1e-3))
    assert re.findall(r"\|d[xay]\| [\d.e-]+ [▁▅█]", text) == ["|dx| 1e-06 ▁", "|da| 0.001 ▅", "|dy| 1 █"]


@pytest.mark.parametrize("x, text", [(0.2345, "|dx| 0.23"), (0.0, "|dx| 0"), (1234.0, "|dx| 1.2e+03"),
                                     (None, "|dx|"), (np.nan, "|dx| NaN"), (np.inf, "|dx| inf")])  # fmt: skip
def test_sizes_are_written_in_two_digits(x, text):
    assert size_text("x", x) == text


def test_words_are_harmless():
    assert plain("a\nb\0c\u2028d\ud800e\u202ef\ufffeg") == "a b c d e f g"
    assert cut("x" * LONGEST) == "x" * LONGEST and cut("x" * (LONGEST + 1)) == "x" * (LONGEST - 1) + "…"
    assert subscript(-120) == "₋₁₂₀"
