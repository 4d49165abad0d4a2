"""Hand-written layers over time: calls in a loop are drawn as the time steps of a cell."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import draw


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Lstm:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]

    def forward(self, x, h_prev, c_prev):
        Wx, Wh, b = self.params
        f, g, i, o = np.split(x @ Wx + h_prev @ Wh + b, 4, axis=1)
        c_next = sigmoid(f) * c_prev + np.tanh(g) * sigmoid(i)
        h_next = sigmoid(o) * np.tanh(c_next)
        return h_next, c_next


class TimeLstm:
    """The book's handwriting: a new layer at each step, and an array that is filled."""

    def __init__(self, Wx, Wh, b):
        self.params, self.layers = [Wx, Wh, b], None

    def forward(self, xs):
        Wx, Wh, b = self.params
        hs = np.empty((*xs.shape[:2], Wx.shape[1] * len(Wh) // len(b)))
        h, c = np.zeros((len(xs), len(Wh))), np.zeros((len(xs), len(Wh)))
        self.layers = []
        for t in range(xs.shape[1]):
            self.layers.append(Lstm(*self.params))
            h, c = self.layers[-1].forward(xs[:, t, :], h, c)
            hs[:, t, :] = h
        return hs


class Stacked:
    def __init__(self, *layers):
        self.layers = layers

    def forward(self, xs):
        for layer in self.layers:
            xs = layer.forward(xs)
        return xs


def loop(xs, h, W, U):
    """A list of states, and a function for a step."""
    hs = []
    for t in range(xs.shape[1]):
        h = step(xs[:, t], h, W, U)
        hs.append(h)
    return np.stack(hs, axis=1)


def step(x, h, W, U):
    return np.tanh(x @ W + h @ U)


def time_lstm(D, H):
    normal = np.random.default_rng(0).standard_normal
    return TimeLstm(normal((D, 4 * H)), normal((H, 4 * H)), normal(4 * H))


XS = np.random.default_rng(1).standard_normal((2, 5, 3))


def test_the_picture_is_that_of_the_built_in_cell():
    layer = time_lstm(3, 4)
    drawn, params = draw(layer, XS), dict(zip(("Wx", "Wh", "b"), layer.params))
    hs, _ = tg.scan(tg.lstm, tg.tensor(XS, requires_grad=True, name="xs"), None,
                    {name: tg.tensor(x, requires_grad=True, name=name) for name, x in params.items()})  # fmt: skip
    built_in = draw(hs)
    for ours, theirs in zip(drawn.graph.rows, built_in.graph.rows, strict=True):
        assert (ours.states, ours.steps, ours.input) == (theirs.states, theirs.steps, theirs.input)
        for name in theirs.gradients:
            norms = [[norm or 0.0 for norm in row.gradients[name]] for row in (ours, theirs)]
            assert norms[0] == pytest.approx(norms[1], rel=1e-9)
        for name in theirs.weights:
            assert ours.weights[name] == pytest.approx(theirs.weights[name], rel=1e-9)
    boxes = [[(shape.look, shape.x, shape.y) for shape in picture.scene.shapes if shape.look == "box"]
             for picture in (drawn, built_in)]  # fmt: skip
    assert len(boxes[0]) == 5 and boxes[0] == boxes[1]


def test_many_steps_are_folded_and_a_step_opens():
    picture = draw(time_lstm(3, 4), np.ones((1, 12, 3)))
    assert [fold.count for fold in picture.graph.folds] == [8]
    inside = next(iter(picture.opened.boxes.values()))
    assert inside.title == "Lstm: step 0" and [v.op for v in inside if v.op].count("tanh") == 2


def test_two_layers_are_two_rows():
    graph = draw(Stacked(time_lstm(3, 4), time_lstm(4, 4)), XS).graph
    assert [(row.cell, row.steps) for row in graph.rows] == [("Lstm", 5)] * 2
    known = [vertex.name for vertex in graph if vertex.kind == "parameter"]
    assert known == [f"layers[{k}].{name}" for k in (0, 1) for name in ("Wx", "Wh", "b")]


def test_a_function_for_a_step_in_a_loop():
    W, U = np.ones((3, 4)), np.eye(4)
    graph = draw(loop, XS, np.zeros((2, 4)), W, U).graph
    (row,) = graph.rows
    assert (row.cell, row.states, row.steps) == ("step", ["h"], 5) and graph["h"].kind == "state"
    assert graph["W"].gradient == pytest.approx(draw(loop, XS, np.zeros((2, 4)), W, U, level="op").graph["W"].gradient)


def test_calls_that_are_no_chain_are_no_steps():
    def twice(x, h, W, U):
        return step(x, h, W, U) + step(x, 2 * h, W, U)

    x, h = np.ones((1, 3)), np.ones((1, 4))
    assert all(row.steps == 1 for row in draw(twice, x, h, np.ones((3, 4)), np.eye(4)).graph.rows)


def char_loss(inputs, targets, h, Wx, Wh, Wy):
    """min-char-rnn's handwriting: columns, dicts by time, and a running total."""
    xs, hs, loss = {}, {-1: np.copy(h)}, 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((len(Wy), 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(Wx @ xs[t] + Wh @ hs[t - 1])
        y = Wy @ hs[t]
        p = np.exp(y) / np.sum(np.exp(y))
        loss += -np.log(p[targets[t], 0])
    return loss


def filled(xs, h, W, U):
    hs = np.zeros((*xs.shape[:2], len(U)))
    for t, x in enumerate(xs.transpose(1, 0, 2)):
        a = x @ W + h @ U
        h = hs[:, t] = np.tanh(a)
    return hs


def with_while(xs, h, W, U):
    t = 0
    while t < xs.shape[1]:
        a = xs[:, t] @ W + h @ U
        h = np.tanh(a)
        t += 1
    return h @ U


def gated(xs, h, W, U):
    """A function of the user's for a gate, and states in a list that is filled."""
    states = [h]
    for t in range(xs.shape[1]):
        x, h = xs[:, t], states[-1]
        z = sigmoid(x @ W + h @ U)
        states.append(z * h + (1 - z) * np.tanh(x @ W))
    return np.stack(states[1:], axis=1)


@pytest.mark.parametrize("code", [filled, with_while, gated])
def test_the_iterations_of_a_loop_of_operations_are_steps(code):
    W, U = np.ones((3, 4)), np.eye(4)
    picture = draw(code, XS, np.zeros((2, 4)), W, U)
    (row,) = picture.graph.rows
    assert (row.cell, row.states, row.steps, row.cuts) == (code.__name__, ["h"], 5, [])
    whole = draw(code, XS, np.zeros((2, 4)), W, U, level="op").graph
    for name in ("W", "U"):
        assert picture.graph[name].gradient == pytest.approx(whole[name].gradient)
        if code is filled:
            assert np.linalg.norm(row.weights[f"d{name}"]) > 0 and row.totals[f"d{name}"] == whole[name].gradient
    inside = next(iter(picture.opened.boxes.values()))
    assert inside.title == f"{code.__name__}: step 0" and [v.op for v in inside].count("tanh") == 1


def test_a_running_total_is_one_sum_of_all_steps():
    normal = np.random.default_rng(0).standard_normal
    weights = normal((4, 6)), normal((4, 4)), normal((6, 4))
    picture = draw(char_loss, [0, 1, 2, 3] * 3, [1, 2, 3, 4] * 3, np.zeros((4, 1)), *weights)
    (row,), graph = picture.graph.rows, picture.graph
    assert (row.states, row.steps, [fold.count for fold in graph.folds]) == (["h"], 12, [8])
    (total,) = [vertex for vertex in graph if vertex.op == "sum"]
    assert graph.outputs["loss"] == total.id and len([e for e in graph.edges if e.target == total.id]) == 5
    assert [vertex.op for vertex in graph if vertex.kind == "operation"] == ["copy", "sum"]
    assert len([vertex for vertex in graph if vertex.kind == "value"]) == 5 + 4  # of a fold one total, and one state
    assert "sum(" in picture.text() and picture.html() and picture.mermaid()


def test_iterations_that_differ_or_share_no_parameter_are_no_steps():
    def other(xs, h, W, U):
        for t in range(xs.shape[1]):
            h = np.tanh(xs[:, t] @ W + h) if t % 2 else np.exp(h @ U) * h
        return h

    def deep(x, *weights):
        for W in weights:
            x = np.tanh(x @ W + 1)
        return x

    assert [row.steps for row in draw(other, XS, np.zeros((2, 4)), np.ones((3, 4)), np.eye(4)).graph.rows] == [1]
    assert not draw(deep, np.ones((1, 4)), *[np.eye(4)] * 3).graph.rows


def test_both_loops_of_nested_loops_are_told_apart():
    def layers(xs, Ws, Us):
        for W, U in zip(Ws, Us):
            h, hs = np.zeros((2, 4)), []
            for t in range(xs.shape[1]):
                h = np.tanh(xs[:, t] @ W + h @ U)
                hs.append(h)
            xs = np.stack(hs, axis=1)
        return xs

    graph = draw(layers, XS, [np.ones((3, 4)), np.eye(4)], [np.eye(4), np.eye(4)]).graph
    assert [(row.cell, row.states, row.steps) for row in graph.rows] == [("layers", ["h"], 5)] * 2


def test_a_loop_that_reads_a_sequence_from_its_end_runs_backward_in_time():
    def behind(seq, W, U):
        h, out = np.zeros((len(seq), 4)), [None] * seq.shape[1]
        for t in reversed(range(seq.shape[1])):
            h = np.tanh(seq[:, t] @ W + h @ U)
            out[t] = h
        return np.stack(out, axis=1)

    (row,) = draw(behind, XS, np.ones((3, 4)), np.eye(4)).graph.rows
    assert (row.reverse, row.states, row.input) == (True, ["h"], "seq")
    assert row.gradients["dh"][0] < row.gradients["dh"][-1]  # step 4 ran first: all others depend on it


class Holder:
    """A state in a dict, and parameters in two arrays."""

    def __init__(self):
        normal = np.random.default_rng(0).standard_normal
        self.weights, self.U = normal((2, 3, 4)), normal((2, 4, 4))

    def step(self, x, state):
        z = sigmoid(np.einsum("nd,dh->nh", x, self.weights[0]) + np.einsum("nd,dh->nh", state["h"], self.U[0]))
        n = np.tanh(x @ self.weights[1] + state["h"] @ self.U[1])
        return {"h": z * state["h"] + (1 - z) * n}

    def forward(self, xs):
        state = {"h": np.zeros((len(xs), 4))}
        for t in range(xs.shape[1]):
            state = self.step(xs[:, t], state)
        return state["h"]


def test_an_entry_of_a_dict_that_a_step_returns_is_a_state():
    (row,) = draw(Holder(), XS).graph.rows
    assert (row.cell, row.states, row.steps) == ("step", ["h"], 5)
    picture = draw(Holder().step, XS[:, 0], {"h": np.ones((2, 4))}, layout="book")
    assert picture.graph["h"].kind == "state" and "h'" in picture.graph.outputs
    names = [note.lines[0] for note in picture.scene.notes]
    assert {"weights[0]", "U[0]", "weights[1]", "U[1]"} <= set(names)


class Gated(Holder):
    """Gates that are the slices of one activation, in a step that is opened."""

    def step(self, x, state):
        z, r = np.split(sigmoid(np.hstack([x, state["h"]]) @ self.both), 2, axis=1)
        n = np.tanh(np.hstack([x, r * state["h"]]) @ self.one)
        return {"h": z * state["h"] + (1 - z) * n}

    def __init__(self):
        normal = np.random.default_rng(0).standard_normal
        self.both, self.one = normal((7, 8)), normal((7, 4))


def test_slices_of_an_activation_are_no_book():
    assert "@" in draw(Gated(), XS).html()
    with pytest.raises(tg.errors.InvalidValue, match="no step of a cell with gates"):
        draw(Gated().step, XS[:, 0], {"h": np.ones((2, 4))}, layout="book").svg()
