"""Functions of the user's, and functions that are spelled out, are one box with their name."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, draw

X = np.linspace(-1, 1, 6).reshape(2, 3)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def halves(x):
    return x * 2.0 + 1.0, x * 3.0 - 1.0


def boxes(f, *inputs, **options):
    return [node.op for node in draw(f, *inputs, **options).graph if node.kind == "module"]


def test_a_call_of_a_helper_is_one_box_with_its_name():
    def attend(q, k):
        return softmax(q @ k.T) @ k

    graph = draw(attend, X, X).graph
    (box,) = [node for node in graph if node.kind == "module"]
    assert box.op == "softmax" and box.operations == 5 and "exp" not in [node.op for node in graph]


def test_each_call_is_a_box():
    assert boxes(lambda x: softmax(x) + softmax(2 * x), X) == ["softmax", "softmax"]
    assert boxes(lambda x: softmax(softmax(x)), X) == ["softmax", "softmax"]


def test_a_level_that_was_asked_for_shows_what_is_inside():
    ops = [node.op for node in draw(lambda x: softmax(x), X, level="op").graph]
    assert "exp" in ops and "softmax" not in ops


def test_a_helper_with_two_results_or_a_single_operation_stays_open():
    def double(x):
        return x * 2.0

    def both(x):
        first, second = halves(x)
        return first * second

    assert boxes(both, X) == []
    assert boxes(lambda x: double(x), X) == []


def gate(x, W, act):
    return act(x @ W)


def lstm_step(x, h, c):
    i, f = logistic(x + h), logistic(x - h)
    c = f * c + i * np.tanh(x * h)
    h_new = np.tanh(c) * h
    return h_new, c


def test_a_function_that_a_helper_calls_is_inside_of_its_box():
    graph = draw(lambda x, W: gate(x, W, logistic) * 2.0, X, X.T).graph
    assert [(node.op, node.operations) for node in graph if node.kind == "module"] == [("gate", 5)]


def test_helpers_of_a_function_with_two_results_are_boxes():
    def step(x, h, c):
        h, c = lstm_step(x, h, c)
        return h * c

    assert boxes(step, X, X, X) == ["logistic", "logistic"]


def test_a_function_that_is_called_repeatedly_is_a_box_with_two_results():
    def both(x, y, h, c):
        (h, c), (k, d) = lstm_step(x, h, c), lstm_step(y, h, c)
        return h + c * k + d

    graph = draw(both, X, 2 * X, X, X).graph
    assert [node.op for node in graph if node.op and node.op != "add"] == ["lstm_step", "lstm_step", "multiply"]
    opened = draw(both, X, 2 * X, X, X, level="op").graph
    assert graph["x"].gradient == pytest.approx(opened["x"].gradient, rel=1e-12) != 0


def test_a_function_that_only_calls_another_shows_it():
    graph = draw(lambda x, h, c: lstm_step(x, h, c), X, X, X).graph
    assert list(graph.outputs) == ["h_new", "c'"] and "i" in [node.name for node in graph]


def test_comprehensions_and_lambdas_are_no_helpers():
    def f(x):
        parts = [logistic(k * x) * x for k in (1.0, 2.0)]
        return sum(parts) + (lambda y: y * y + 1.0)(x)

    assert boxes(f, X) == ["logistic", "logistic"]


def test_the_gradients_around_a_box_are_those_of_the_open_picture():
    def f(x):
        y = softmax(x)
        return tg.sum(y * y)

    closed, opened = draw(f, X).graph, draw(f, X, level="op").graph
    assert closed["x"].gradient == pytest.approx(opened["x"].gradient, rel=1e-12) != 0
    assert closed["y"].gradient == pytest.approx(opened["y"].gradient, rel=1e-12) != 0


SPELLED = {
    "1/(1+exp(-x))": (lambda x: 1 / (1 + np.exp(-x)), ["sigmoid"]),
    "1/(exp(-x)+1)": (lambda x: 1.0 / (np.exp(-x) + 1.0), ["sigmoid"]),
    "log(1+exp x)": (lambda x: np.log(1 + np.exp(x)), ["softplus"]),
    "log1p(exp x)": (lambda x: np.log1p(np.exp(x)), ["softplus"]),
    "1/(2+exp(-x))": (lambda x: 1 / (2 + np.exp(-x)), []),
    "1/(1+exp(x))": (lambda x: 1 / (1 + np.exp(x)), []),
}


@pytest.mark.parametrize("f, names", SPELLED.values(), ids=SPELLED)
def test_a_function_that_is_spelled_out_has_its_name(f, names):
    assert boxes(f, X) == names


def test_a_spelling_whose_inner_value_is_read_elsewhere_stays_open():
    def f(x):
        e = np.exp(-x)
        return 1 / (1 + e) + e

    assert boxes(f, X) == []


@tg.cell
def by_hand(x, h, c, *, W=Param("D H", "fgio"), U=Param("H H", "fgio"), b=Param("H", "fgio")):
    """An LSTM with a sigmoid of the user's."""
    f = logistic(x @ W.f + h @ U.f + b.f)
    g = np.tanh(x @ W.g + h @ U.g + b.g)
    i = logistic(x @ W.i + h @ U.i + b.i)
    o = 1 / (1 + np.exp(-(x @ W.o + h @ U.o + b.o)))
    c = f * c + g * i
    return o * np.tanh(c), c


def test_a_cell_with_a_sigmoid_of_its_own_is_drawn_as_a_book_would():
    scene = draw(by_hand, legend=False).scene
    gates = [shape for shape in scene.shapes if shape.lines in (["sigmoid"], ["logistic"])]
    assert [shape.lines[0] for shape in sorted(gates, key=lambda shape: shape.x)] == ["logistic", "logistic", "sigmoid"]
    assert len([shape for shape in scene.shapes if shape.look == "parameter"]) == 4


def masked_logistic(x):
    y, positive = np.zeros_like(x), x >= 0
    y[positive] = 1 / (1 + np.exp(-x[positive]))
    y[~positive] = np.exp(x[~positive]) / (1 + np.exp(x[~positive]))
    return y


def test_a_helper_that_fills_an_array_by_masks_is_one_box():
    assert boxes(lambda x: masked_logistic(x) * 2.0, X) == ["masked_logistic"]
    assert boxes(lambda x: masked_logistic(x), X) == ["sigmoid"]  # nothing but the function: by its values


def test_the_keys_of_a_result_dict_are_the_names_of_the_results():
    def heads(x, W):
        h = np.tanh(x @ W)
        return {"policy": tg.log(h * h + 1), "value": np.sum(h, axis=1), "calls": 1}

    graph = tg.draw(heads, X, X.T @ X).graph
    assert list(graph.outputs) == ["policy", "value"]
    both = tg.draw(lambda x, W: tuple(heads(x, W).values())[:2], X, X.T @ X).graph
    assert [edge.gradient for edge in graph.edges] == [edge.gradient for edge in both.edges]


def normalised(x):
    z = x - np.mean(x, axis=1, keepdims=True)
    return z / np.sqrt(np.mean(z * z, axis=1, keepdims=True))


@pytest.mark.parametrize("f", [normalised, tg.softmax], ids=["normalised", "softmax"])
def test_random_gradients_come_in_where_ones_give_zeros(f):
    x = np.random.default_rng(0).standard_normal((2, 5))
    graph = tg.draw(f, x).graph
    assert graph["x"].gradient > 0.1 and "random gradients come in" in graph.note
    assert "random gradients come in" in tg.draw(f, x).svg()
    others = lambda x: np.tanh(f(x)), lambda x: 0 * x, lambda x: np.sum(f(x))  # not zero; zero whatever comes in
    assert [tg.draw(other, x).graph.note for other in others] == ["", "", ""]
