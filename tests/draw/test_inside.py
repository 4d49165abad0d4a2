"""What is inside of a box, which a page opens: its operations, with what comes in and goes out."""

import numpy as np
import pytest

import tinygrad_rnn as tg


def logistic(x):
    return 1 / (1 + np.exp(-x))


def by_name(graph):
    return {vertex.name: vertex for vertex in graph if vertex.name}


@pytest.mark.parametrize("t", [0, 2])
def test_a_step_has_the_gradients_of_the_picture_of_all_operations(t):
    picture = tg.draw(tg.lstm, steps=3)
    box = next(vertex.id for vertex in picture.graph if vertex.kind == "cell" and vertex.step == t)
    inside, whole = by_name(picture.opened.boxes[box]), tg.draw(tg.lstm, steps=3, level="op").graph
    for name in ("f", "g", "i", "o", "A", "c'", "h'"):
        vertex = next(vertex for vertex in whole if vertex.name == name and vertex.step == t)
        assert inside[name].gradient == pytest.approx(vertex.gradient, rel=1e-12)
    row = picture.graph.rows[0]
    assert inside["Wx"].gradient == pytest.approx(row.weights["dWx"][t], rel=1e-12)
    assert inside["h"].gradient == pytest.approx(row.carried["dh"][t], rel=1e-12)


def test_a_step_is_a_picture_of_its_own_in_the_form_of_a_single_step():
    picture = tg.draw(tg.gru, steps=2)
    inside, single = list(picture.opened.boxes.values())[1], tg.draw(tg.gru).graph
    assert inside.title == "gru: step 1" and list(inside.outputs) == ["h'"] and inside.rows[0].states == ["h"]
    assert sorted((v.kind, v.name, v.op) for v in inside) == sorted((v.kind, v.name, v.op) for v in single)
    assert len(inside.edges) == len(single.edges)


def test_a_function_of_the_users_opens():
    picture = tg.draw(lambda x, W: logistic(x @ W) * 2.0, np.ones((2, 3)), np.ones((3, 4)))
    (inside,) = picture.opened.boxes.values()
    assert [vertex.op for vertex in inside if vertex.op] == ["negative", "exp", "add", "divide"]
    assert [vertex.kind for vertex in inside if not vertex.op] == ["input", "constant", "constant"]
    box = next(vertex for vertex in picture.graph if vertex.op == inside.title == "logistic")
    (edge,) = [edge for edge in picture.graph.edges if edge.target == box.id]
    assert next(vertex for vertex in inside if vertex.kind == "input").gradient == edge.gradient


def test_nothing_opens_where_there_is_no_box_or_no_gradient():
    loss = tg.sum(tg.scan(tg.rnn, np.ones((1, 3, 2)), None, tg.rnn.init(0, D=2, H=2, dtype=np.float64))[0])
    assert len(tg.draw(loss).opened.boxes) == 3 and not tg.draw(tg.lstm).opened.boxes
    loss.backward()
    assert not tg.draw(loss).opened.boxes
