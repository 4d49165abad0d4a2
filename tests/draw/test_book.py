"""The book's form of a gated cell, measured on the SVG: no crossing, no line through a box, no text on a line."""

import functools
import itertools
import runpy
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.seen import Seen, crossings, measured, on_lines, on_texts, through_boxes
from tinygrad_rnn import Param, draw, sigmoid, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.draw.scene.aspect import text_height
from tinygrad_rnn.draw.scene.book.parts import Parts

PAPERS = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "pictures" / "cells.py"))["PAPERS"]
CELLS = ["rnn", "lstm", "gru", "gru_after", "peephole_lstm", "mgu"]


@tg.cell
def my_lstm(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio")):
    """Gate by gate, as in the README."""
    f = sigmoid(x @ Wx.f + h @ Wh.f + b.f)
    g = tanh(x @ Wx.g + h @ Wh.g + b.g)
    i = sigmoid(x @ Wx.i + h @ Wh.i + b.i)
    o = sigmoid(x @ Wx.o + h @ Wh.o + b.o)
    c = f * c + g * i
    h = o * tanh(c)
    return h, c


@tg.cell
def swapped_gru(x, h, *, U=Param("D H", "nzr"), V=Param("H H", "nzr")):
    """Another handwriting: no bias, the candidate last, z ⊙ h first."""
    r = sigmoid(x @ U.r + h @ V.r)
    u = sigmoid(x @ U.z + h @ V.z)
    n = tanh(x @ U.n + (r * h) @ V.n)
    return u * h + (1 - u) * n


@tg.cell
def joined_lstm(x, h, c, *, W=Param("D+H H", "fgio"), b=Param("H", "fgio")):
    """One matrix for x and h side by side."""
    z = np.concatenate([x, h], axis=1)
    f = sigmoid(z @ W.f + b.f)
    g = tanh(z @ W.g + b.g)
    i = sigmoid(z @ W.i + b.i)
    o = sigmoid(z @ W.o + b.o)
    c = f * c + g * i
    h = o * tanh(c)
    return h, c


@tg.cell
def joined_gru(x, h, *, W=Param("D+H H", "zrn")):
    """The candidate joins x to r ⊙ h."""
    z = sigmoid(np.hstack([h, x]) @ W.z)
    r = sigmoid(np.hstack([h, x]) @ W.r)
    n = tanh(np.hstack([r * h, x]) @ W.n)
    return (1 - z) * h + z * n


@tg.cell
def shared_maps(x, h, *, W=Param("D H"), U=Param("H H"), b=Param("H", "zn")):
    """Two maps before the gates, which add a bias each."""
    wx, uh = x @ W, h @ U
    z = sigmoid(wx + uh + b.z)
    n = tanh(wx + uh + b.n)
    return z * h + (1 - z) * n


@tg.cell
def highway(x, h, c, *, W=Param("D H", "frxs"), b=Param("H", "fr")):
    """A simple recurrent unit (Lei et al. 2018): no gate reads a state, and h is not read at all."""
    f = sigmoid(x @ W.f + b.f)
    r = sigmoid(x @ W.r + b.r)
    c = f * c + (1 - f) * (x @ W.x)
    h = r * tanh(c) + (1 - r) * (x @ W.s)
    return h, c


@tg.cell
def iofg_lstm(x, h, c, *, W=Param("D H", "iofg"), U=Param("H H", "iofg"), b=Param("H", "iofg")):
    """PyTorch's style: the slices in another order, new names for the new states."""
    i, o, f, g = tg.split(x @ W + h @ U + b, 4)
    i, o, f, g = sigmoid(i), sigmoid(o), sigmoid(f), tanh(g)
    c_next = f * c + i * g
    return o * tanh(c_next), c_next


@tg.cell
def five_gates(x, h, c, *, W=Param("D H", "fgiok"), U=Param("H H", "fgiok")):
    """A gate more, which mixes the old output with the new: another order of the uses of ``keep``."""
    forget, cand = sigmoid(x @ W.f + h @ U.f), tanh(x @ W.g + h @ U.g)
    write, out = sigmoid(x @ W.i + h @ U.i), sigmoid(x @ W.o + h @ U.o)
    keep = sigmoid(x @ W.k + h @ U.k)
    c = forget * c + write * cand
    h = keep * h + (1 - keep) * (out * tanh(c))
    return h, c


def affine(x, W, h, U, b):
    return x @ W + h @ U + b


@tg.cell
def by_helpers(x, h, *, W=Param("D H", "zn"), U=Param("H H", "zn"), b=Param("H", "zn")):
    """The map is a function."""
    z = sigmoid(affine(x, W.z, h, U.z, b.z))
    n = tanh(affine(x, W.n, h, U.n, b.n))
    return z * h + (1 - z) * n


@tg.cell
def leaky(x, h, *, W=Param("D H"), U=Param("H H"), tau=Param("H")):
    """Parameters alone mix the old state with the new."""
    alpha = sigmoid(tau)
    h = (1 - alpha) * h + alpha * tanh(x @ W + h @ U)
    return h


@tg.cell
def torch_gru(x, h, *, w_ih=Param("D 3*H"), w_hh=Param("H 3*H"), b_ih=Param("3*H"), b_hh=Param("3*H")):
    """Two maps, the slices of which are added."""
    gi, gh, H = x @ w_ih + b_ih, h @ w_hh + b_hh, h.shape[1]
    r = sigmoid(gi[:, :H] + gh[:, :H])
    z = sigmoid(gi[:, H : 2 * H] + gh[:, H : 2 * H])
    n = tanh(gi[:, 2 * H :] + r * gh[:, 2 * H :])
    return (1 - z) * n + z * h


@tg.cell
def blending(x, h, *, W=Param("D H", "rzn"), U=Param("H H", "rzn"), b=Param("H", "rzn")):
    """The new state is between the candidate and the old state."""
    r, z = sigmoid(x @ W.r + h @ U.r + b.r), sigmoid(x @ W.z + h @ U.z + b.z)
    n = tanh(x @ W.n + r * (h @ U.n) + b.n)
    h = n + z * (h - n)
    return h


@tg.cell
def memory_first(x, c, h, *, W=Param("D H", "ifgo"), U=Param("H H", "ifgo")):
    """A carry of memory and output, in the order of JAX's libraries."""
    i, f = sigmoid(x @ W.i + h @ U.i), sigmoid(x @ W.f + h @ U.f)
    o = sigmoid(x @ W.o + h @ U.o)
    c = f * c + i * tanh(x @ W.g + h @ U.g)
    return c, o * tanh(c)


@tg.cell
def long_names(inp, hidden, *, weight=Param("D H", "ui"), recurrent=Param("H H", "ui")):
    newgate = tanh(inp @ weight.u + hidden @ recurrent.u)
    update = sigmoid(inp @ weight.i + hidden @ recurrent.i)
    return newgate + update * (hidden - newgate)


DRAWN = {**{name: BUILT_IN[name] for name in CELLS}, "my_lstm": my_lstm, "swapped_gru": swapped_gru,
         "iofg_lstm": iofg_lstm, "joined_lstm": joined_lstm, "joined_gru": joined_gru, "shared_maps": shared_maps,
         "highway": highway, "five_gates": five_gates, "by_helpers": by_helpers, "leaky": leaky,
         "torch_gru": torch_gru, "blending": blending, "memory_first": memory_first,
         "long_names": long_names, **PAPERS}  # fmt: skip


@functools.cache
def picture_of(name, theme="light"):
    return draw(DRAWN[name], layout="book", legend=False, theme=theme)


@functools.cache
def seen(name, theme="light"):
    return Seen(picture_of(name, theme).svg())


@pytest.mark.parametrize("name", DRAWN)
def test_no_line_crosses_another_and_none_runs_through_a_box(name):
    found = seen(name, "light")
    assert len(found.lines) > 6 and crossings(found.lines) == []
    assert through_boxes(found) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", DRAWN)
def test_no_text_lies_on_a_line_or_on_a_text(name, theme):
    found = seen(name, theme)
    assert on_lines(found) == []
    assert on_texts(found) == []


def test_a_line_through_a_box_and_a_text_on_a_line_are_seen():
    good = draw(my_lstm, layout="book", legend=False)
    wrong = draw(my_lstm, layout="book", legend=False)
    line = next(line for line in wrong.scene.lines if len(line.points) == 4)
    wide, high = wrong.scene.width, wrong.scene.height
    line.points[:] = [(0.0, high / 2), (wide, high / 2), (wide, 0.6 * high), (0.0, 0.6 * high)]
    seen_right, seen_wrong = (Seen(picture.svg()) for picture in (good, wrong))
    assert crossings(seen_right.lines) == through_boxes(seen_right) == on_lines(seen_right) == []
    assert crossings(seen_wrong.lines) and through_boxes(seen_wrong) and on_lines(seen_wrong)


@pytest.mark.parametrize("name", DRAWN)
def test_every_gradient_of_a_single_use_is_written(name):
    """Where a line stands for one value with one use, its norm stands beside it; sums have theirs before the dot."""
    scene = picture_of(name).scene
    silent = [line.id for line in scene.lines if line.look == "backward" and line.about is not None and not line.notes
              and "bus" not in line.id]  # fmt: skip
    assert silent == []


@pytest.mark.parametrize("name", DRAWN)
def test_the_way_back_is_always_to_the_right_of_the_way_forward(name):
    scene = picture_of(name).scene
    lines = {line.id: line.points for line in scene.lines}
    for id in (id for id in lines if id.startswith("b")):
        start, end = max(itertools.pairwise(lines["f" + id[1:]]), key=lambda piece: np.abs(np.subtract(*piece)).sum())
        way = np.sign(np.subtract(end, start))
        right = np.add(start, end) / 2 + 6 * np.array([-way[1], way[0]])
        pieces = [np.sort(piece, axis=0) for piece in itertools.pairwise(lines[id])]
        assert any(np.allclose(right, np.clip(right, *piece)) for piece in pieces)


def test_lstms_give_the_same_picture_but_for_the_slices_and_the_joint():
    stacked, by_gate, joined = (draw(cell, layout="book").scene for cell in (tg.lstm, my_lstm, joined_lstm))
    (joint,) = [shape for shape in joined.shapes if shape.lines == ["[x, h]"]]
    joined.shapes.remove(joint)

    def places(scene):
        gates = [shape for shape in scene.shapes if shape.look in ("operation", "long", "text")
                 and not shape.id.startswith("key")]  # fmt: skip
        return sorted((tuple(shape.lines), round(shape.x, 6), round(shape.y, 6)) for shape in gates)

    assert places(stacked) == places(by_gate) == places(joined)
    assert [shape.look for shape in stacked.shapes].count("slice") == 1
    assert "slice" not in [shape.look for shape in by_gate.shapes]


def test_the_slices_of_two_maps_are_maps_of_their_own():
    picture = picture_of("torch_gru")
    maps = [shape for shape in picture.scene.shapes if shape.look == "parameter"]
    texts = [note.lines for note in picture.scene.notes if note.look == "faint"]
    assert len(maps) == 4 and [text for text in texts if text[0].startswith("[")] == [
        ["[:, :5]"], ["[:, 5:10]"], ["[:, 10:]"], ["[:, 10:]"]]  # fmt: skip
    known = dict.fromkeys(vertex.id for vertex in picture.graph)
    assert all(id in known for shape in picture.scene.shapes for id in (*shape.members, shape.about or "n0"))
    assert text_height(draw(torch_gru).scene) >= 12


def test_a_blend_whose_lines_would_cross_is_one_box():
    def boxes(cell):
        return [shape.lines[0] for shape in draw(cell).scene.shapes if shape.look == "long" and shape.lines]

    assert boxes(blending)[-1] == "n + z ⊙ (h − n)"
    assert "z" not in "".join(boxes(tg.gru))  # its form has no crossing


def per_gate(x, h_prev, c_prev, W_f, b_f, W_i, b_i, W_c, b_c, W_o, b_o):
    """A function with a matrix for each gate, new names for the new states, one of which is not named."""
    hx = np.concatenate((h_prev, x), axis=1)
    f, i = sigmoid(hx @ W_f + b_f), sigmoid(hx @ W_i + b_i)
    candidate, o = tanh(hx @ W_c + b_c), sigmoid(hx @ W_o + b_o)
    c_next = f * c_prev + i * candidate
    return o * tanh(c_next), c_next


def columns(h, x, W, U, b):
    """Columns, the state first."""
    h = tanh(W @ x + U @ h + b)
    return h


def relu_layer(a, W, b):
    """No step, although it gives its argument a new value."""
    a = tg.relu(a @ W + b)
    return a


def test_a_function_that_returns_new_values_of_its_states_is_a_step():
    shapes = [(2, 3), (2, 4), (2, 4), *[(7, 4), (4,)] * 4]
    picture = draw(per_gate, *[np.full(shape, 0.1) for shape in shapes], layout="book")
    assert [shape.lines for shape in picture.scene.shapes if shape.id == "bus"] == [["[h_prev, x]"]]
    assert {vertex.name: vertex.kind for vertex in picture.graph if vertex.kind != "operation"} == {
        "x": "input", "h_prev": "state", "c_prev": "state",
        **{f"{p}_{gate}": "parameter" for gate in "fico" for p in "Wb"}}  # fmt: skip
    weights = {name: np.full(shape, 0.1) for name, shape in [("W", (4, 3)), ("U", (4, 4)), ("b", (4, 1))]}
    held = draw(lambda h, x: columns(h, x, **weights), np.full((4, 1), 0.1), np.full((3, 1), 0.1), layout="book")
    assert len([shape for shape in held.scene.shapes if shape.look == "parameter"]) == 2  # the map, and the legend's
    step = draw(columns, *[np.full(shape, 0.1) for shape in [(4, 1), (3, 1), (4, 3), (4, 4), (4, 1)]], layout="book")
    assert [step.graph[name].kind for name in "hxW"] == ["state", "input", "parameter"]
    layer = draw(relu_layer, np.ones((2, 2)), np.ones((2, 2)), np.ones(2)).graph
    assert layer.rows == [] and layer["W"].kind == "input"

    def scalars(a, b, c):
        c = a * b + c
        return c

    numbers = draw(scalars, 2.0, -3.0, 10.0).graph
    assert numbers.rows == [] and [numbers[name].kind for name in "abc"] == ["input"] * 3


def test_the_gates_stand_in_the_order_of_the_code_above_their_maps():
    scene = draw(my_lstm, layout="book", legend=False).scene
    graph = draw(my_lstm).graph
    x = {shape.about: shape.x for shape in scene.shapes if shape.look in ("operation", "long")}
    assert sorted("fgio", key=lambda gate: x[graph[gate].id]) == list("fgio")
    maps = sorted(shape.x for shape in scene.shapes if shape.look == "parameter")
    assert maps == [x[graph[gate].id] for gate in "fgio"]


def test_a_map_is_one_box_with_all_its_parameters():
    graph = draw(tg.peephole_lstm).graph
    maps = [part for part in Parts(graph).parts.values() if part.kind == "map"]
    names = [[graph.known[edge.source].name for _, edge in part.params] for part in maps]
    assert names == [["Wx.f", "Wh.f", "p.f", "b.f"], ["Wx.g", "Wh.g", "b.g"], ["Wx.i", "Wh.i", "p.i", "b.i"],
                     ["Wx.o", "Wh.o", "p.o", "b.o"]]  # fmt: skip
    (affine,) = [part for part in Parts(draw(tg.lstm).graph).parts.values() if part.kind == "map"]
    assert [feed.source for feed in affine.feeds] == [draw(tg.lstm).graph[name].id for name in "xh"]


@tg.cell
def without_gates(x, h, *, W=Param("D H"), U=Param("H H")):
    """A linear cell."""
    return x @ W + h @ U


def test_what_has_no_such_form_keeps_the_layered_layout_and_is_refused_where_it_was_asked_for():
    layered = draw(without_gates, layout="layered").source
    assert draw(without_gates).source == layered
    for target, options in ((without_gates, {}), (tg.lstm, {"steps": 3})):
        with pytest.raises(ValueError, match="draw: layout is 'book', but this is no step of a cell with gates"):
            draw(target, layout="book", **options).svg()
    with pytest.raises(ValueError, match="draw: layout is 'round', should be one of auto, book, layered"):
        draw(tg.lstm, layout="round")


def test_a_level_that_was_asked_for_is_drawn_in_columns():
    assert draw(tg.lstm, level="op").source == draw(tg.lstm, layout="layered").source != draw(tg.lstm).source


def test_a_mark_inside_of_a_map_is_shown_in_columns():
    assert "class=marked" in draw(tg.lstm, mark=[("Wx", "@")]).source


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_step_of_every_built_in_cell_fits_a_slide(name):
    """16:9, and no text below 1/60 of its height: 12 pixels on 1280 x 720."""
    found = Seen(draw(BUILT_IN[name]).svg())
    _, _, width, height = found.view
    assert abs(width / height - 16 / 9) < 0.01
    assert min(found.sizes) * min(1280 / width, 720 / height) >= 12


@pytest.mark.parametrize("aspect, ratio", [("page", 210 / 297), (2.0, 2.0), (1, 1.0)])
def test_a_picture_has_the_ratio_that_was_asked_for(aspect, ratio):
    wide, _, strip = (Seen(draw(tg.lstm, aspect=shape).svg()).view[2:] for shape in (aspect, aspect, "strip"))
    assert abs(wide[0] / wide[1] - ratio) < 0.01
    assert strip[0] <= wide[0] + 1 and strip[1] <= wide[1] + 1


def test_text_that_is_too_small_goes_a_level_up_or_says_so():
    def long(x, *weights):
        for W in weights:
            x = tanh(x @ W + x @ W)
        return x

    inputs = np.ones((2, 3)), *[np.ones((3, 3))] * 20
    coarser = draw(long, *inputs)
    assert coarser.graph.note == "" or coarser.graph.note.startswith("drawn with affine=True: the text")
    kept = draw(long, *inputs, level="op")
    assert len(kept.graph.nodes) >= len(coarser.graph.nodes)
    assert "px on a slide of 1280 x 720; a coarser level draws less" in kept.svg()
    assert "px on a slide" not in draw(long, *inputs, level="op", aspect="strip").svg()


@tg.cell
def highway(x, h, *, W=Param("D H", "gt"), U=Param("H H", "gt"), V=Param("H H", "gt"), b=Param("H", "gtuv")):
    """Two highway layers a step (Zilly et al. 2017)."""
    t = sigmoid(x @ W.t + h @ U.t + b.t)
    s = t * tanh(x @ W.g + h @ U.g + b.g) + (1 - t) * h
    t = sigmoid(s @ V.t + b.u)
    h = t * tanh(s @ V.g + b.v) + (1 - t) * s
    return h


def test_what_is_too_wide_for_a_slide_goes_on_in_a_second_row():
    picture = draw(highway)
    text, ratio, crossed, over = measured(picture)
    assert text >= 12 and ratio == pytest.approx(16 / 9, abs=0.01) and over == 0
    assert crossed == 0
    shapes = {shape.about: shape for shape in picture.scene.shapes}
    assert shapes[picture.graph["h'"].id].y > shapes[picture.graph["h"].id].y + 100
    strip = draw(highway, affine=True, aspect="strip").scene
    assert strip.width > 1.5 * picture.scene.width


def test_the_box_of_an_affine_map_shows_its_parameters_and_a_circle_its_number():
    scene = draw(highway, affine=True).scene
    texts = [list(shape.lines) for shape in scene.shapes]
    assert texts.count(["1 −"]) == 2 and ["1"] not in texts
    boxes = [shape for shape in scene.shapes if shape.look == "parameter" and not shape.id.startswith("key")]
    assert len(boxes) == 4 and all(line.startswith("|d") for shape in boxes for line in shape.lines)
    assert sum(len(shape.members) for shape in boxes) == 10


def test_an_aspect_or_shapes_of_another_kind_are_refused():
    for aspect in ("round", 0, -1.0, float("nan"), True):
        with pytest.raises(ValueError, match=r"draw: aspect is .*, should be one of slide, page, strip, or width / he"):
            draw(tg.lstm, aspect=aspect)
    with pytest.raises(ValueError, match="draw: shapes is 'some', should be one of changes, all, none"):
        draw(tg.lstm, shapes="some")


@pytest.mark.parametrize("layout", ["book", "layered"])
def test_shapes_can_be_left_out(layout):
    texts = {shapes: [text for text, _ in Seen(draw(my_lstm, layout="book", shapes=shapes).svg()).texts]
             for shapes in ("changes", "none")}  # fmt: skip
    assert "(1, 5)" in texts["changes"] and "(1, 5)" not in texts["none"]
    svg = draw(my_lstm, layout=layout, shapes="none").svg()
    assert ">h<" in svg and "(1, 5)</text>" not in svg
