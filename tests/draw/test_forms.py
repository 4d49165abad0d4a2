"""Every built-in cell in every form, measured on its SVG: no overlaps, and the way back moves nothing."""

import re

import pytest

from helpers.seen import Seen, on_lines, on_texts, through_boxes
from tinygrad_rnn import draw
from tinygrad_rnn.cells.builtin import BUILT_IN

FORMS = {
    "one step": {}, "adjoint": {"expand": "adjoint"}, "columns": {"layout": "layered"}, "affine": {"affine": True},
    "all shapes": {"layout": "layered", "shapes": "all"}, "values": {"layout": "layered", "values": True},
    "steps": {"steps": 4}, "20 steps": {"steps": 20}, "full": {"steps": 20, "fold": "full"},
    "cuts": {"steps": 9, "truncate": 3}, "last": {"steps": 12, "last": True}, "module": {"steps": 4, "level": "module"},
    "unrolled": {"steps": 2, "level": "op"}, "op, full": {"steps": 5, "fold": "full", "level": "op"},
}  # fmt: skip
every_form = [pytest.mark.sampled(every=7, by=lambda **_: []), pytest.mark.parametrize("form", FORMS),
              pytest.mark.parametrize("name", BUILT_IN)]  # fmt: skip


def each(test):
    for mark in every_form:
        test = mark(test)
    return test


@each
def test_nothing_lies_on_anything_else(name, form):
    picture = draw(BUILT_IN[name], **FORMS[form])
    found = Seen(picture.svg())
    found.lines = {id: line for id, line in found.lines.items() if not id.startswith("strip")}  # of a plot
    ends = {line.id: (line.source, line.target) for line in picture.scene.lines}
    assert on_texts(found) == [] and through_boxes(found, 1.2, ends) == []
    assert [text for text in on_lines(found) if not re.fullmatch(r"\(.*\)", text)] == []  # shapes may touch a bend


@each
def test_the_backward_pass_moves_nothing(name, form):
    both, forward = (draw(BUILT_IN[name], backward=shown, **FORMS[form]).scene for shown in (True, False))
    places = [[(shape.id, shape.x, shape.y) for shape in scene.shapes if shape.look != "formula"]
              for scene in (both, forward)]  # fmt: skip
    assert places[0] == places[1]
    assert not [text for shape in forward.shapes for text in shape.lines if text.startswith("|d")]
    ways = [[line.points for line in scene.lines if line.look in ("forward", "cut")] for scene in (both, forward)]
    assert ways[0] == ways[1] and ways[0]


@pytest.mark.parametrize("form", ["one step", "steps", "columns"])
def test_the_dark_picture_differs_from_the_light_one_in_colours_alone(form):
    light, dark = (draw(BUILT_IN["lstm"], theme=theme, **FORMS[form]).svg() for theme in ("light", "dark"))
    assert light != dark and re.sub("#[0-9a-f]{6}", "", light) == re.sub("#[0-9a-f]{6}", "", dark)


def test_planted_overlaps_are_seen():
    picture = draw(BUILT_IN["gru"], layout="layered")
    box = next(shape for shape in picture.scene.shapes if shape.look == "operation")
    line = next(line for line in picture.scene.lines if box.id not in (line.source, line.target))
    line.points = [(box.x - 40, box.y), (box.x + 40, box.y)]
    line.straight = True
    for note in picture.scene.notes[-2:]:
        note.x, note.y = box.x, box.y
    found = Seen(picture.svg())
    assert through_boxes(found) and on_lines(found) and on_texts(found)
