"""The picture: what is in it, that it is always the same, and that it can be had without a system's Graphviz."""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import graphviz
import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, Tensor, cell, lstm, tanh
from tinygrad_rnn.cells import BUILT_IN
from tinygrad_rnn.draw import RenderError, draw
from tinygrad_rnn.draw.dot import text
from tinygrad_rnn.trace import trace_step

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
HOSTILE = ["<b>bold</b>", 'a"b', "a\\nb", "a\nb", "a\0b", "javascript:alert(1)", "&amp;", "<", "x" * 1000, "\ud800", ""]


def labels(svg):
    """All text in a rendered picture."""
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@needs_dot
def test_an_lstm_shows_its_gates_its_operations_and_its_gradients():
    shown = labels(draw(lstm).pipe("svg"))
    for one in ["f", "g", "i", "o", "A", "c'", "h'", "⊙", "@", "+", "σ", "tanh", "Wx", "(3, 20)", "[:, 0:5]"]:
        assert one in shown
    trace = trace_step(lstm)
    (gate,) = [one for one in trace.values if one.name == "f"]
    assert f"df ‖{gate.gradient:.2g}‖" in shown
    assert f"dh' ‖{trace.cotangents[chr(104) + chr(39)]:.2g}‖" in shown


def test_every_branching_value_has_one_dot():
    source = draw(lstm).source
    assert source.count("shape=point") == 2  # A into four slices; c' out and into tanh
    assert draw(tg.rnn).source.count("shape=point") == 0
    assert draw(tg.gru).source.count("shape=point") == 3  # x, h, z


@needs_dot
def test_backward_can_be_hidden_and_moves_nothing():
    both, forward = (ET.fromstring(draw(lstm, backward=b).pipe("svg")) for b in (True, False))
    assert not [one for one in labels(ET.tostring(forward)) if "‖" in one or "dashed" in one]
    places = [
        [(one.get("cx"), one.get("cy")) for one in svg.iter("{http://www.w3.org/2000/svg}ellipse")]
        for svg in (both, forward)
    ]
    assert places[0] == places[1] and len(places[0]) == 13 + 2  # circles and dots


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "peephole_lstm"])
def test_the_same_bytes_in_another_process(name):
    code = f"from tinygrad_rnn import {name}; from tinygrad_rnn.draw import draw; print(draw({name}).source, end='')"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "PYTHONUTF8": "1"},
        ).stdout.decode()
        for seed in "12"
    ]  # fmt: skip
    assert runs[0] == runs[1] == draw(BUILT_IN[name]).source


@needs_dot
@pytest.mark.parametrize(
    "ending, start", [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("dot", b"digraph")]
)
def test_save_writes_the_format_that_the_ending_names(tmp_path, ending, start):
    path = tmp_path / f"a.{ending}"
    assert draw(tg.rnn).save(path) == str(path)
    assert path.read_bytes().lstrip(b"/").startswith(start)
    assert os.listdir(tmp_path) == [path.name]


@needs_dot
def test_render_and_the_notebook_do_as_with_graphviz(tmp_path):
    picture = draw(tg.rnn)
    assert picture.render(tmp_path / "a", format="png") == str(tmp_path / "a.png")
    assert (tmp_path / "a").read_text(encoding="utf-8") == picture.source == str(picture)
    picture.render(tmp_path / "b", cleanup=True)
    assert sorted(os.listdir(tmp_path)) == ["a", "a.png", "b.svg"]
    assert picture._repr_svg_().startswith("<?xml")
    assert isinstance(picture.digraph, graphviz.Digraph)


@needs_dot
def test_an_unknown_format_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.docx"
    path.write_text("mine")
    with pytest.raises(RenderError, match="'docx' is no format of Graphviz, should be svg, png, pdf or dot"):
        draw(tg.rnn).save(path)
    assert path.read_text() == "mine" and os.listdir(tmp_path) == ["a.docx"]


def test_without_graphviz_the_error_says_both_ways_and_dot_still_works(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    picture = draw(tg.rnn)
    with pytest.raises(RenderError, match=r"apt install graphviz.*pip install 'tinygrad-rnn\[draw\]'"):
        picture.save(tmp_path / "a.svg")
    picture.save(tmp_path / "a.dot")
    assert os.listdir(tmp_path) == ["a.dot"]


def test_pip_alone_is_enough(tmp_path, monkeypatch):
    pytest.importorskip("pygraphviz")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Wx" in labels(draw(tg.rnn).pipe("svg"))


@needs_dot
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_as_they_are(name):
    x = Tensor(np.ones(2), requires_grad=True, name=name)
    svg = draw(tanh(x) * 2.0, title=name).pipe("svg")
    shown = "".join(c if c.isprintable() else " " for c in name.replace("\ud800", " "))
    shown = shown if len(shown) <= 40 else shown[:39] + "…"
    assert not name or [one.replace("\xa0", " ") for one in labels(svg)].count(shown) >= 2
    tags = {one.tag.rpartition("}")[2] for one in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "title", "polygon", "text", "ellipse", "path", "polyline"}


def test_labels_are_cut_at_40_characters():
    assert text("x" * 41) == "x" * 39 + "…" and text("x" * 40) == "x" * 40


def test_a_tensor_is_drawn_without_touching_its_gradients():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True, name="weights")
    loss = (tanh(x) * x).sum()
    source = draw(loss).source
    assert "weights" in source and "dweights" in source and x.grad is None
    loss.backward()
    assert x.grad is not None


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(TypeError, match="draw: target is a int, should be a cell or a Tensor"):
        draw(3)
    with pytest.raises(TypeError, match="draw: a Tensor has the sizes it has; got N"):
        draw(Tensor(np.ones(2), requires_grad=True) * 1.0, N=3)


def test_a_cell_of_the_users_own_is_drawn():
    @cell
    def mine(x, memory, *, W=Param("D H"), U=Param("H H")):
        candidate = tanh(x @ W + memory @ U)
        memory = memory + candidate
        return memory

    source = draw(mine, N=2, D=4, H=6).source
    assert "mine: one step, N=2 D=4 H=6" in source and "candidate" in source and "memory'" in source
