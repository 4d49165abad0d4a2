"""Values of scalars and small arrays, and gradients with their sign."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.seen import SVG
from tinygrad_rnn import draw


def f(a, b):
    c = a * b
    return tg.tanh(c) + a


def texts(picture):
    scene = picture.scene
    notes = [*scene.notes, *(note for line in scene.lines for note in line.notes)]
    return [line for part in [*scene.shapes, *notes] for line in part.lines]


def test_a_scalar_shows_its_value_and_its_gradient_with_its_sign():
    picture = draw(f, np.array(-0.5), np.array(2.0), legend=False)
    slope = 1 - np.tanh(-1.0) ** 2
    shown = texts(picture)
    for text in ("a -0.5", "b 2", "c -1", f"grad {2 * slope + 1:.3g}", f"grad {-0.5 * slope:.3g}", "grad 1"):
        assert text in shown
    assert not any(text.startswith("|d") for text in shown)
    assert not any(text.startswith("grad") for text in texts(draw(f, np.array(-0.5), np.array(2.0), backward=False)))


def test_the_signed_gradient_is_that_of_the_engine():
    a, b = tg.tensor(-0.5, requires_grad=True), tg.tensor(2.0, requires_grad=True)
    graph = draw(f, a, b).graph
    f(a, b).backward()
    assert graph["b"].gradient_sum == pytest.approx(float(b.grad)) and float(b.grad) < 0


def test_a_scalar_that_is_nan_says_so():
    with np.errstate(all="ignore"):
        shown = texts(draw(lambda x: np.log(x) * x, np.array(-1.0)))
    assert "NaN" in shown and "grad NaN" in shown


@pytest.mark.parametrize("size, shown", [((2, 2), True), ((3, 4), True), ((1, 13), False), ((2, 2, 2), False)])
def test_small_arrays_show_their_values_where_they_are_asked_for(size, shown):
    x = np.arange(np.prod(size), dtype=float).reshape(size)
    row = " ".join(f"{number:.3g}" for number in x.reshape(-1, size[-1])[0])
    assert any(text.startswith(row) for text in texts(draw(tg.tanh, x, values=True))) is shown
    assert not any(text.startswith(row) for text in texts(draw(tg.tanh, x)))


def test_a_small_constant_shows_its_values():
    shown = texts(draw(lambda x: x * np.array([1.0, -2.0]) + 0.25, np.ones(2)))
    assert "1 -2" in shown and "+ 0.25" in shown


def test_an_svg_tells_values_and_gradients_where_the_pointer_rests():
    svg = ET.fromstring(draw(tg.lstm).svg())
    titles = {group.get("id"): title.text for group in svg.iter(f"{SVG}g") for title in group.findall(f"{SVG}title")}
    graph = draw(tg.lstm).graph
    f, edge = graph["f"], next(edge for edge in graph.edges if edge.source == graph["f"].id)
    assert f"|df| {f.gradient:.2g}" in titles[f.id] and f"{f.values[0]:.3g}" in titles[f.id]
    assert any(f"|df| {edge.gradient:.2g}" in text and "(1, 5)" in text for id, text in titles.items() if id[0] == "b")
    assert "|d" not in draw(tg.lstm, backward=False, legend=False).svg()
