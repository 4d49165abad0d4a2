"""The picture: what is in it, that it is always the same, and that it can be had without a system's Graphviz."""

import dataclasses
import importlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import graphviz
import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, Tensor, cell, lstm, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.draw import RenderError, draw
from tinygrad_rnn.draw.formats.html import Reader, View, page
from tinygrad_rnn.draw.formats.mermaid import mermaid
from tinygrad_rnn.draw.formats.terminal import terminal
from tinygrad_rnn.draw.scene.compose import compose

GOLDEN = Path(__file__).parent / "golden"
needs_renderer = pytest.mark.skipif(
    not shutil.which("dot") and not importlib.util.find_spec("pygraphviz"), reason="there is no Graphviz"
)
HOSTILE = ["<b>bold</b>", 'a"b', "a\\nb", "a\nb", "a\0b", "javascript:alert(1)", "&amp;", "<", "x" * 1000, "\ud800", ""]


def labels(svg):
    """All text in a rendered picture."""
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_an_lstm_shows_its_gates_its_operations_and_its_gradients():
    picture = draw(lstm, layout="layered")
    shown = labels(picture.pipe("svg"))
    for text in ["f", "g", "i", "o", "A", "c'", "h'", "⊙", "@", "+", "σ", "tanh", "Wx", "(3, 20)"]:
        assert text in shown
    graph = picture.graph
    assert f"|df| {graph['f'].gradient:.2g}" in shown and f"|dc'| {graph[chr(99) + chr(39)].gradient:.2g}" in shown
    assert [text for text in shown if text.startswith("via ")] == ["via h' 1", "via next 2.9"]


def test_every_branching_value_has_one_dot():
    def dots(one):
        return [shape.id for shape in draw(one, legend=False, layout="layered").scene.shapes if shape.look == "dot"]

    assert len(dots(lstm)) == 1  # c', out and into tanh; the slices of A are one box
    assert len(dots(tg.rnn)) == 0
    assert len(dots(tg.gru)) == 3  # x, h, z


FORMS, DRAWN = ["svg", "dot", "html", "json", "mermaid", "text"], ["rnn", "lstm", "gru", "peephole_lstm"]
EVERY_FORM = f"""
import sys, tinygrad_rnn as tg
for name in {DRAWN}:
    for picture in tg.draw(getattr(tg, name)), tg.draw(getattr(tg, name), steps=12):
        for form in {FORMS}:
            print(name, form, picture.form(form).hex())
"""


@lru_cache(1)
def step_and_twelve(name):
    return draw(BUILT_IN[name]), draw(BUILT_IN[name], steps=12)


@pytest.fixture(scope="module")
def in_another_process():
    """What a process with other hashes prints: a dict from (cell, form) to the pictures of a step and of twelve."""
    environment = {"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", EVERY_FORM]
    printed = subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout
    pictures = {}
    for name, form, picture in map(str.split, printed.splitlines()):
        pictures.setdefault((name, form), []).append(bytes.fromhex(picture))
    return pictures


def rounded(text):
    """JSON with 9 digits: the last digits of a product of matrices depend on where in memory it lies."""
    return re.sub(rb"-?\d+\.\d+(e-\d+)?", lambda number: b"%.9g" % float(number[0]), text)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", DRAWN)
def test_the_same_bytes_in_another_process(name, form, in_another_process):
    there, here = in_another_process[name, form], [picture.form(form) for picture in step_and_twelve(name)]
    assert list(map(rounded, there)) == list(map(rounded, here)) if form == "json" else there == here


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "peephole_lstm"])
def test_the_picture_is_the_one_that_was_looked_at(name):
    """``python tests/draw/golden.py`` writes them anew: look at them before they are kept."""
    assert draw(BUILT_IN[name]).source == (GOLDEN / f"{name}.dot").read_text(encoding="utf-8")


@needs_renderer
@pytest.mark.parametrize(
    "ending, start", [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("dot", b"digraph")]
)
def test_save_writes_the_format_that_the_ending_names(tmp_path, ending, start):
    path = tmp_path / f"a.{ending}"
    assert draw(tg.rnn).save(path) == str(path)
    assert path.read_bytes().lstrip(b"/").startswith(start)
    assert os.listdir(tmp_path) == [path.name]


@needs_renderer
def test_render_and_the_notebook_do_as_with_graphviz(tmp_path):
    picture = draw(tg.rnn)
    assert picture.render(tmp_path / "a", format="png") == str(tmp_path / "a.png")
    assert (tmp_path / "a").read_text(encoding="utf-8") == picture.source == str(picture)
    picture.render(tmp_path / "b", cleanup=True)
    assert sorted(os.listdir(tmp_path)) == ["a", "a.png", "b.svg"]
    shown = picture._repr_mimebundle_()
    assert shown["image/svg+xml"].startswith("<?xml") and "rnn: one step" in shown["text/plain"]
    assert isinstance(picture.digraph, graphviz.Digraph)


@needs_renderer
def test_an_unknown_format_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.docx"
    path.write_text("mine")
    with pytest.raises(RenderError, match="'docx' is no format that Graphviz can make, such as svg, png, pdf"):
        draw(tg.rnn).save(path)
    assert path.read_text() == "mine" and os.listdir(tmp_path) == ["a.docx"]


def test_without_a_renderer_the_error_says_both_ways_and_all_else_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    picture = draw(tg.rnn)
    advice = r"png needs a renderer.*apt install graphviz.*pip install 'tinygrad-rnn\[draw\]'.*cairosvg.*resvg-py"
    with pytest.raises(RenderError, match=advice):
        picture.save(tmp_path / "a.png")
    files = ["a.dot", "a.html", "a.json", "a.mmd", "a.svg", "a.txt"]
    for name in files:
        picture.save(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == files
    assert picture._repr_mimebundle_()["image/svg+xml"] == (tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("library, format", [("cairosvg", "png"), ("cairosvg", "pdf"), ("resvg_py", "png")])
def test_without_graphviz_a_library_renders_the_svg(tmp_path, monkeypatch, library, format):
    """A stand-in for the library gets the SVG text, and its bytes are the file."""
    def convert(bytestring=None, svg_string=None, **_):
        return b"made of " + (bytestring or svg_string.encode())

    module = SimpleNamespace(svg2png=convert, svg2pdf=convert, svg_to_bytes=convert)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, library, module)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: module if name == library else None)
    picture = draw(tg.rnn)
    assert picture.pipe(format) == b"made of " + picture.svg().encode()


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("name", [*HOSTILE, "a\udc80b", "%%{init}%%", "-->", "]]>", "a\\\\", "\ufffe", "`$x^2$`"])
@pytest.mark.parametrize("form", ["dot", "json", "mermaid", "text", "html"])
def test_every_form_of_any_name_is_utf8_and_json_reads_it_back(form, name):
    with tg.scope(name or "s"):
        y = tanh(Tensor(np.ones(2), requires_grad=True, name=name)) * 2.0
    y.name = name
    content = draw(y, title=name).form(form).decode("utf-8")
    if form == "json":
        graph = json.loads(content)
        assert name in [node["name"] for node in graph["nodes"]] and graph["title"] == (name or "graph")
        assert list(graph["outputs"]) == [name or "y"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_they_are(name):
    x = Tensor(np.ones(2), requires_grad=True, name=name)
    svg = draw(tanh(x) * 2.0, title=name).pipe("svg")
    shown = "".join(c if c.isprintable() else " " for c in name.replace("\ud800", " "))
    shown = shown if len(shown) <= 40 else shown[:39] + "…"
    assert not name or labels(svg).count(shown) >= 1
    tags = {one.tag.rpartition("}")[2] for one in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "title", "desc", "polygon", "text", "circle", "path", "rect"}


def test_names_are_cut_at_40_characters():
    x = Tensor(np.ones(2), requires_grad=True, name="x" * 41)
    source = draw(x * 2.0).source
    assert "x" * 39 + "…" in source and "x" * 40 not in source


@needs_renderer
def test_a_renderer_that_is_late_is_stopped(monkeypatch):
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: run(*args, **{**more, "timeout": 0.0}))
    with pytest.raises(RenderError, match="took longer than 20 s; draw less: level='cell'"):
        draw(lstm).pipe("png")


def test_a_tensor_is_drawn_without_touching_its_gradients():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True, name="weights")
    loss = (tanh(x) * x).sum()
    source = draw(loss).source
    assert "weights" in source and "dweights" in source and x.grad is None
    loss.backward()
    assert x.grad is not None


def plain_function(x, h, *, W=Param("D H")):
    return tanh(x @ W)


REFUSED = [
    (lambda: draw(3), "draw: target is a int, should be a cell, a function or a Tensor"),
    (lambda: draw("lstm"), r"draw: target is a str, .* or a Tensor; write draw\(lstm\), without quotes"),
    (lambda: draw("no name"), "draw: target is a str, should be a cell, a function or a Tensor$"),
    (lambda: draw({"loss": Tensor(np.ones(2))}), r"target is a dict, .* an item fits: write draw\(...\['loss'\]\)"),
    (lambda: draw([3, lstm]), r"target is a list, .* an item fits: write draw\(...\[1\]\)"),
    (lambda: draw(np.ones(2)), "target is a ndarray, .* give the Tensor that it was taken from"),
    (lambda: draw(tg.nn.Recurrent), "target is a type, .*; Recurrent is a class: create an instance first"),
    (lambda: draw(tg.nn.Recurrent(lstm, D=2, H=3, rng=np.random.default_rng(0))),
     r"Recurrent cannot be called with these inputs: .* write draw\(....cell\)"),
    (lambda: draw(plain_function), "plain_function cannot be called with these inputs: .*; put @cell above it"),
    (lambda: draw(lambda x: tanh(x)),
     r"cannot be called with these inputs: .*; its inputs come after it: draw\(<lambda>, x\)"),
    (lambda: draw(lambda x: {"y": 1.0}, np.ones(2)), "draw: what <lambda> returns depends on no input with floating"),
    (lambda: draw(Tensor(np.ones(2), requires_grad=True) * 1.0, N=3), "draw: steps, truncate, last and sizes are for"),
    (lambda: draw(lstm, np.ones(2)), "draw: a cell runs on random inputs; got 1 inputs"),
    (lambda: draw(lambda x: x), "cannot be called with these inputs: missing a required argument: 'x'"),
    (lambda: draw(lstm, steps=0), "draw: steps is 0, should be a whole number from 1"),
    (lambda: draw(lstm, level="gate"), "draw: level is 'gate', should be one of op, cell, module"),
    (lambda: draw(lstm, steps=9, fold="half"), "draw: fold is 'half', should be one of auto, none, full"),
    (lambda: draw(lstm, expand="all"), "draw: expand is 'all', should be 'adjoint' or None"),
    (lambda: draw(lstm, theme="pink"), "draw: theme is 'pink', should be one of light, dark"),
    (lambda: draw(lstm, Q=3), "lstm: Q is not a size of this cell, which are N, D, H"),
    (lambda: draw(Tensor(np.ones(2))), "draw: this tensor depends on nothing"),
    (lambda: draw(lambda: 3.0), "what <lambda> returns depends on no input with floating values"),
]


@pytest.mark.parametrize("call, text", REFUSED, ids=[text for _, text in REFUSED])
def test_what_cannot_be_drawn_is_refused(call, text):
    with pytest.raises((TypeError, ValueError, tg.GraphError), match=text):
        call()


def test_a_cell_of_the_users_own_is_drawn():
    @cell
    def mine(x, memory, *, W=Param("D H"), U=Param("H H")):
        candidate = tanh(x @ W + memory @ U)
        memory = memory + candidate
        return memory

    source = draw(mine, N=2, D=4, H=6).source
    assert "mine: one step, N=2 D=4 H=6" in source and "candidate" in source and "memory'" in source


def test_a_function_is_drawn_in_the_names_of_its_variables():
    def loss(x, w):
        score = x @ w
        y = tanh(score)
        return (y * y).sum()

    graph = draw(loss, np.ones((2, 3)), np.ones((3, 4))).graph
    assert graph["score"].op == "matmul" and graph["y"].op == "tanh" and graph["x"].kind == "input"


def test_a_long_chain_is_folded(trials):
    y, length = Tensor(np.ones(3), requires_grad=True), trials(10_000, 100_000)
    for _ in range(length):
        y = y + 1.0
    graph = draw(y).graph
    assert len(graph.nodes) < 200
    assert sum(one.operations for one in graph.nodes) == length


@pytest.mark.parametrize("level", ["op", "cell"])
def test_the_size_is_that_of_what_is_shown(level):
    folded = [len(draw(lstm, steps=steps, level=level).graph.nodes) for steps in (10, 30, 90)]
    assert folded[0] == folded[1] == folded[2]
    few, more, many = (len(draw(lstm, steps=steps, level=level, fold="none").graph.nodes) for steps in (4, 8, 12))
    assert more - few == many - more > 0


@pytest.mark.parametrize("f", [lambda x: (np.log(x - 1.0) * x).sum(), lambda x: (np.sqrt(x - 1.5) * x).sum()])
def test_gradients_that_are_no_numbers_have_a_look_of_their_own(f):
    x = Tensor(np.array([[1.0, 2.0]]), requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        scene = draw(f(x)).scene
    assert [line for line in scene.lines if line.look == "bad" and not line.id.startswith("key")]


@pytest.mark.parametrize("options", [{}, {"fold": "full"}, {"level": "op"}, {"level": "module"}], ids=str)
@pytest.mark.parametrize("bad, shown", [(np.nan, "NaN"), (np.inf, "inf")])
def test_a_broken_step_is_told_in_every_form(bad, shown, options):
    factors = np.ones((2, 30, 4))
    factors[:, 17] = bad
    params = tg.rnn.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    with np.errstate(all="ignore"):
        picture = draw((tg.scan(tg.rnn, np.ones((2, 30, 3)), None, params)[0] * factors).sum(), legend=False, **options)
    notes = [line for note in picture.scene.notes for line in note.lines]
    assert any(f"|dh| is {shown} at" in line for line in notes) or options.get("level") == "module"
    boxes = [line for shape in picture.scene.shapes for line in shape.lines if "by step: " in line]
    assert all("NaN" in line or "inf" in line for line in boxes)
    range_ends = "NaN" if options.get("fold") == "full" else shown  # inf at one step makes NaN at those before it
    assert range_ends in picture.text() and "nan" not in f"{notes}{boxes}{picture.mermaid()}{picture.text()}"


def test_after_backward_leaves_show_their_gradients():
    w = Tensor(np.ones((2, 3)), requires_grad=True, name="W")
    loss = tanh(w * 2.0).sum()
    loss.backward()
    picture = draw(loss, legend=False)
    (shape,) = [one for one in picture.scene.shapes if one.lines and one.lines[0] == "W"]
    assert shape.lines[-1] == f"|dW| {np.sqrt(np.sum(w.grad**2)):.2g}"
    assert "backward() has let go of the arrays" in picture.graph.note


def test_what_both_directions_give_is_drawn_once():
    params = [tg.rnn.init(np.random.default_rng(k), D=3, H=4, dtype=np.float64) for k in (0, 1)]

    def both(xs):
        a, _ = tg.scan(tg.rnn, xs, None, params[0])
        b, _ = tg.scan(tg.rnn, xs, None, params[1], reverse=True)
        return (tg.concatenate([a, b], axis=-1) ** 2).mean()

    scene = draw(both, np.ones((2, 4, 3))).scene
    assert next(shape.lines for shape in scene.shapes if shape.look == "long") == ["concatenate"]
    forward, backward = (
        [shape.x for shape in scene.shapes if shape.look == "box" and shape.about in ids]
        for ids in (
            [one.id for one in draw(both, np.ones((2, 4, 3))).graph if one.kind == "cell" and one.row == row]
            for row in (0, 1)
        )
    )
    assert forward == backward == sorted(forward)  # equal times stand in one column


# -- names that are identities -----------------------------------------------------------------------------------------


def alike(ends, stem="x" * 45):
    return [stem + end for end in ends]


def test_outputs_of_long_names_that_begin_alike_are_as_many():
    def f(x):
        return tuple(Tensor.__mul__(x, float(k)) for k in range(2, 5))

    names = alike("abc")
    x = Tensor(np.ones(2), requires_grad=True, name="x")
    ys = f(x)
    for y, name in zip(ys, names):
        y.name = name
    picture = draw(lambda: ys, legend=False)
    assert list(picture.graph.outputs) == names
    ends = [shape.lines[0] for shape in picture.scene.shapes if shape.id.endswith("e0") or "e" in shape.id]
    assert len(ends) == len(dict.fromkeys(ends)) == 3 and max(map(len, ends)) <= 40
    ends = [line.partition("comes in")[0] for line in picture.text(120).splitlines() if "  result " in line]
    assert len(dict.fromkeys(ends)) == 3
    labels = [line.partition("<br/>")[0] for line in picture.mermaid().splitlines() if line.startswith("  o")]
    assert len(dict.fromkeys(line.partition("(")[2] for line in labels if "([" in line)) == 3


def test_outputs_of_one_name_are_as_many_and_a_value_that_comes_out_twice_counts_twice():
    def f(x):
        y, z = x * 2.0, x * 3.0
        y.name = z.name = "same"
        return y, z, y

    graph = draw(f, np.ones(4)).graph
    assert list(graph.outputs) == ["same", "same·2"]
    assert graph["x"].gradient == pytest.approx(np.sqrt(4) * (2 * 2.0 + 3.0))
    assert [graph.cotangents[name] for name in graph.outputs] == [4.0, 2.0]


def test_scopes_that_begin_alike_have_a_frame_each():
    def f(x):
        for name in alike("ab"):
            with tg.scope(name):
                x = tanh(x)
        return x

    titles = [frame.title for frame in draw(f, np.ones(2)).scene.frames]
    assert len(titles) == len(dict.fromkeys(titles)) == 2


@pytest.mark.parametrize("names", [("h", "hs"), ("h", "he0"), ("x" * 60, "x" * 60 + "y"), ("h", "hd", "hdd")])
@pytest.mark.parametrize(
    "options", [{"steps": 1}, {"steps": 3}, {"steps": 3, "level": "op"}, {"steps": 12, "fold": "full"}], ids=str)
def test_states_may_have_any_names(names, options):
    args, news = ", ".join(names), ", ".join(f"tanh(x @ Wx + ({name} + {names[0]}) @ Wh)" for name in names)
    space = {"cell": cell, "Param": Param, "tanh": tanh}
    exec(f"@cell\ndef own(x, {args}, *, Wx=Param('D H'), Wh=Param('H H')):\n    return {news}\n", space)
    picture = draw(space["own"], **options)
    ids = [shape.id for shape in picture.scene.shapes]
    assert len(ids) == len(dict.fromkeys(ids))
    if options.get("level") == "op":  # the first states stand there, and no dot in their place
        states = [vertex.id for vertex in picture.graph if vertex.kind == "state"]
        shown = [shape.lines[0] for shape in picture.scene.shapes if shape.lines and shape.about in states]
        assert len(dict.fromkeys(shown)) == len(names)
    lines = [line.id for line in picture.scene.lines]
    assert len(lines) == len(dict.fromkeys(lines))
    assert picture.source and picture.mermaid() and picture.text() and picture.to_json()


@pytest.mark.parametrize("truncate", [None, 4])
def test_a_gradient_that_comes_in_at_the_last_output_comes_in_there(truncate):
    graph = draw(lstm, steps=12, truncate=truncate, last=True).graph
    assert [name for name, norm in graph.cotangents.items() if norm] == [list(graph.outputs)[-3]]
    (row,) = graph.rows
    reached = [norm for norm in row.gradients["dh"] if norm]
    assert len(reached) == (truncate or 12)


# -- size --------------------------------------------------------------------------------------------------------------


class Counted(list):
    """A list that counts what is read of it one after the other."""

    read = 0

    def __iter__(self):
        for one in super().__iter__():
            Counted.read += 1
            yield one


class Norm(float):
    """A norm that counts how often it is compared."""

    def __lt__(self, other):
        Counted.read += 1
        return float(self) < other

    def __gt__(self, other):
        Counted.read += 1
        return float(self) > other


def counted(graph):
    nodes = [dataclasses.replace(one, gradient=one.gradient and Norm(one.gradient)) for one in graph.nodes]
    edges = [dataclasses.replace(one, gradient=one.gradient and Norm(one.gradient)) for one in graph.edges]
    return dataclasses.replace(graph, nodes=Counted(nodes), edges=Counted(edges))


def long_row(size, level):
    return draw(lstm, steps=size, level=level, fold="none").graph


def many_rows(size, level):
    params = tg.rnn.init(np.random.default_rng(0), D=3, H=4)
    hs = [tg.scan(tg.rnn, np.ones((1, 2, 3), "f"), None, params)[0].sum() for _ in range(size)]
    return draw(tg.stack(hs).sum(), level=level).graph


def many_outputs(size, level):
    return draw(lambda x: [tanh(x) for _ in range(size)], np.ones(2)).graph


def a_chain(size, level):
    def f(x):
        for _ in range(size):
            x = tanh(x)
        return x

    return draw(f, np.ones(2)).graph


def forms(graph):
    scene = compose(graph, "")
    yield "text", lambda: terminal(graph, "")
    yield "mermaid", lambda: mermaid(graph, "")
    yield "json", graph.to_json
    yield "scene", lambda: compose(graph, "")
    yield "page", lambda: (page([View(graph, scene)], "", "light", ""), Reader(View(graph, scene)).marks())


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("level", ["op", "cell"])
@pytest.mark.parametrize("made", [long_row, many_rows, many_outputs, a_chain])
def test_the_work_of_every_form_grows_as_the_graph_does(made, level, monkeypatch, trials):
    for module in ("scene.compose", "formats.mermaid"):  # short names; counting lists go on
        monkeypatch.setattr(importlib.import_module(f"tinygrad_rnn.draw.{module}"), "tame", lambda graph: graph)
    work, least = {}, trials(4, 20)
    for size in (least, 2 * least, 4 * least):
        for name, form in forms(counted(made(size, level))):
            Counted.read = 0
            form()
            work.setdefault(name, []).append(Counted.read)
    for name, (few, more, many) in work.items():
        assert many - more <= 2.1 * (more - few) + 20, (name, few, more, many)
