"""Code that is written in NumPy: layers with a ``forward``, their names, and functions that are spelled out."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.seen import Seen, crossings, on_lines, on_texts, through_boxes
from tinygrad_rnn import draw, errors


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Lstm:
    """The book's handwriting: parameters in a list, gates as slices, a cache."""

    def __init__(self, Wx, Wh, b):
        self.params, self.grads = [Wx, Wh, b], [np.zeros_like(x) for x in (Wx, Wh, b)]
        self.cache = None

    def forward(self, x, h_prev, c_prev):
        Wx, Wh, b = self.params
        H = h_prev.shape[1]
        A = np.dot(x, Wx) + np.dot(h_prev, Wh) + b
        f, g, i, o = sigmoid(A[:, :H]), np.tanh(A[:, H : 2 * H]), sigmoid(A[:, 2 * H : 3 * H]), sigmoid(A[:, 3 * H :])
        c_next = f * c_prev + g * i
        h_next = o * np.tanh(c_next)
        self.cache = (x, f, g, i, o, c_next)
        return h_next, c_next


class GateByGate:
    def __init__(self, D, H):
        normal = np.random.default_rng(0).standard_normal
        self.Wz, self.Uz, self.Wr, self.Ur = normal((D, H)), normal((H, H)), normal((D, H)), normal((H, H))
        self.Wn, self.Un = normal((D, H)), normal((H, H))

    def act(self, z):
        return 1.0 / (1.0 + np.exp(-z))

    def forward(self, x, h):
        z, r = self.act(x @ self.Wz + h @ self.Uz), self.act(x @ self.Wr + h @ self.Ur)
        n = np.tanh(x @ self.Wn + (r * h) @ self.Un)
        return (1 - z) * n + z * h


class Affine:
    def __init__(self, W, b):
        self.params, self.x = [W, b], None

    def forward(self, x):
        W, b = self.params
        self.x = x
        return x @ W + b


class Net:
    def __init__(self, normal):
        self.first, self.rest = Affine(normal((3, 4)), normal(4)), {"last": Affine(normal((4, 2)), normal(2))}
        self.params = self.first.params + self.rest["last"].params

    def forward(self, x, t):
        y = self.rest["last"].forward(np.tanh(self.first.forward(x)))
        y = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
        return -np.log(y[np.arange(len(t)), t]).sum()


class OverTime:
    def __init__(self, W, U):
        self.W, self.U, self.h = W, U, None

    def forward(self, xs):
        N, T, _ = xs.shape
        hs = np.empty((N, T, len(self.U)), dtype="f")
        self.h = np.zeros((N, len(self.U)), dtype="f")
        for t in range(T):
            self.h = np.tanh(xs[:, t] @ self.W + self.h @ self.U)
            hs[:, t] = self.h
        return hs


def lstm(rng):
    normal = rng.standard_normal
    return Lstm(normal((3, 20)), normal((5, 20)), normal(20)), normal((1, 3)), normal((1, 5)), normal((1, 5))


@pytest.fixture
def normal():
    return np.random.default_rng(0).standard_normal


@pytest.mark.parametrize("make", [
    lambda: lstm(np.random.default_rng(0)), lambda: (GateByGate(3, 5), np.ones((1, 3)), np.ones((1, 5)))])  # fmt: skip
def test_a_hand_written_cell_is_drawn_as_a_book_does(make):
    picture = draw(*make(), layout="book", legend=False)
    found = Seen(picture.svg())
    assert crossings(found.lines) == on_lines(found) == on_texts(found) == through_boxes(found) == []
    shown = [line for shape in picture.scene.shapes for line in shape.lines]
    assert shown.count("sigmoid") == 3 or shown.count("act") == 2


def test_it_has_the_gradients_of_its_cell():
    layer, x, h, c = lstm(np.random.default_rng(0))
    graph = draw(layer, x, h, c).graph
    Wx, Wh, b = layer.params
    given = tg.vjp(lambda *xs: tg.lstm(*xs[:3], Wx=xs[3], Wh=xs[4], b=xs[5]), x, h, c, Wx, Wh, b)
    gradients = given[1]((np.ones((1, 5)), np.ones((1, 5))))
    for name, gradient in zip(["x", "h_prev", "c_prev", "Wx", "Wh", "b"], gradients):
        assert graph[name].gradient == pytest.approx(np.linalg.norm(gradient))
    assert list(graph.outputs) == ["h_next", "c_next"]


def test_the_layer_itself_is_unchanged():
    layer, x, h, c = lstm(np.random.default_rng(0))
    before = [array.copy() for array in layer.params]
    draw(layer, x, h, c)
    assert layer.cache is None and all(type(array) is np.ndarray for array in layer.params)
    assert all(np.array_equal(a, b) for a, b in zip(before, layer.params)) and globals()["np"] is np


def test_parameters_have_their_paths_and_arguments_their_names(normal):
    picture = draw(Net(normal), normal((2, 3)), np.array([0, 1]))
    parameters = [node.name for node in picture.graph if node.kind == "parameter"]
    assert parameters == ["first.W", "first.b", "last.W", "last.b"]
    assert [node.op for node in picture.graph if node.kind == "module"] == ["Affine", "Affine", "softmax"]
    assert picture.graph.title == "Net"


def test_parameters_of_a_module_have_their_paths():
    model = tg.models.Rnnlm(7, 3, 4, rng=0)

    def loss(ids, t):
        return model.loss(ids, t)[0]

    scene = draw(tg.nn.Sequential(model.embed, tg.nn.Linear(3, 2, rng=0)), np.array([[1, 2]])).graph
    assert [node.name for node in scene if node.kind == "parameter"] == ["layers.0.W", "layers.1.W", "layers.1.b"]
    graph = draw(loss, np.array([[1, 2]]), np.array([[2, 3]])).graph
    assert [node.name for node in graph if node.kind == "constant"] == ["ids", "t"]


def test_arguments_keep_their_names_as_arrays_and_as_tensors():
    def f(a, b):
        return a * b

    for make in (np.array, lambda x: tg.tensor(x, requires_grad=True)):
        assert {node.name for node in draw(f, make([1.0, 2.0]), make([3.0, 4.0])).graph} >= {"a", "b"}


def test_arrays_that_the_code_writes_to_carry_gradients(normal):
    graph = draw(OverTime(normal((3, 4)), normal((4, 4))), normal((2, 3, 3)), level="op").graph
    assert [node.op for node in graph].count("tanh") == 3 and graph["U"].gradient > 0


def stable_softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_and_more(x):
    e = np.exp(x)
    return e / e.sum(), e


SPELLED = {
    "sigmoid": [lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (np.exp(-x) + 1.0), lambda x: (np.tanh(x / 2) + 1) / 2,
                lambda x: 0.5 * (1 + np.tanh(0.5 * x)), lambda x: np.tanh(x * 0.5) * 0.5 + 0.5,
                lambda x: np.exp(x) / (1 + np.exp(x)), lambda x: (1 + np.exp(-1.0 * x)) ** -1,
                lambda x: np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x))),
                lambda x: 1 / (1 + np.exp(-np.clip(x, -500, 500))), lambda x: 1 - 1 / (1 + np.exp(x)),
                lambda x: np.float32(1) / (np.float32(1) + np.exp(-x.astype("f")))],
    "softplus": [lambda x: np.log(1 + np.exp(x)), lambda x: np.log1p(np.exp(x)),
                 lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))],
    "tanh": [lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)), lambda x: 2 / (1 + np.exp(-2 * x)) - 1],
    "silu": [lambda x: x / (1 + np.exp(-x))],
    "softmax": [lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
                stable_softmax],
}  # fmt: skip


@pytest.mark.parametrize("name, f", [(name, f) for name, spellings in SPELLED.items() for f in spellings])
def test_functions_that_are_spelled_out_are_recognised(name, f):
    assert [node.op for node in draw(f, np.array([[0.1, -0.2, 0.3]])).graph if node.op] == [name]


@pytest.mark.parametrize("f", [
    lambda x: 1 / (2 + np.exp(-x)), lambda x: np.log(2 + np.exp(x)), lambda x: np.exp(x) / np.exp(-x).sum(),
    softmax_and_more])  # fmt: skip
def test_what_only_looks_alike_is_not(f):
    assert not [node for node in draw(f, np.array([[0.1, -0.2]])).graph if node.kind == "module"]


def test_inputs_that_do_not_fit_are_refused(normal):
    with pytest.raises(errors.InvalidType, match=r"draw: .* cannot be called with these inputs: missing a required"):
        draw(Affine(normal((3, 4)), normal(4)))


class Olah:
    """Columns, weights in a dict, gates of [h, x]."""

    def __init__(self, D, H, normal):
        self.parameters = {f"W{gate}": normal((H, D + H)) for gate in "fico"}
        self.parameters |= {f"b{gate}": normal((H, 1)) for gate in "fico"}

    def forward(self, xt, a_prev, c_prev):
        p, concat = self.parameters, np.vstack((a_prev, xt))
        ft, it = sigmoid(np.dot(p["Wf"], concat) + p["bf"]), sigmoid(np.dot(p["Wi"], concat) + p["bi"])
        c_next = ft * c_prev + it * np.tanh(np.dot(p["Wc"], concat) + p["bc"])
        return sigmoid(np.dot(p["Wo"], concat) + p["bo"]) * np.tanh(c_next), c_next


class Slotted:
    """Weights by gate in two dicts with the same keys, and writing in place."""

    __slots__ = ("U", "W", "cell")

    def __init__(self, D, H, normal):
        self.W, self.U = {gate: normal((D, H)) for gate in "zn"}, {gate: normal((H, H)) for gate in "zn"}

    def step(self, x, h):
        z = np.einsum("nd,dh->nh", x, self.W["z"])
        z += h @ self.U["z"]
        np.tanh(z, out=z)
        n = np.array([np.tanh(x @ self.W["n"] + h @ self.U["n"])])[0]
        return (1 - z) * h + z * n

    def __call__(self, x, state):
        (h,) = state
        return self.step(x, h)


class Dense:
    def __init__(self, D, H, normal):
        self.weight, self.bias = normal((H, D)), normal(H)

    def __call__(self, x):
        return x @ self.weight.T + self.bias


class OfClasses:
    """A GRU that is put together from layers, on [x, h]."""

    def __init__(self, D, H, normal):
        self.update, self.reset, self.candidate = (Dense(D + H, H, normal) for _ in range(3))

    def gate(self, layer, x, h):
        return sigmoid(layer(np.hstack([x, h])))

    def forward(self, x, h):
        z, r = self.gate(self.update, x, h), self.gate(self.reset, x, h)
        n = np.tanh(self.candidate(np.hstack([x, r * h])))
        return (1 - z) * h + z * n


def test_affine_maps_inside_of_functions_are_part_of_the_form_of_a_cell(normal):
    picture = draw(OfClasses(3, 5, normal), normal((1, 3)), normal((1, 5)), layout="book")
    assert [node.op for node in picture.graph if node.kind == "module"] == ["sigmoid", "sigmoid"]
    shown = [note.lines[0] for note in picture.scene.notes]
    assert [name for name in shown if name.endswith((".weight", ".bias"))] == [
        f"{layer}.{name}" for layer in ("update", "reset", "candidate") for name in ("weight", "bias")]  # fmt: skip


TABLES = {"weights": [1.0, 2.0]}


def names_of(graph, kind):
    return [node.name for node in graph if node.kind == kind]


def test_weights_in_a_dict_are_named_by_their_keys(normal):
    graph = draw(Olah(3, 5, normal), normal((3, 2)), normal((5, 2)), normal((5, 2))).graph
    assert sorted(names_of(graph, "parameter")) == ["Wc", "Wf", "Wi", "Wo", "bc", "bf", "bi", "bo"]
    assert graph.rows[0].states == ["a_prev", "c_prev"] and list(graph.outputs) == ["a_prev'", "c_next"]


def test_a_call_and_a_method_are_drawn_with_weights_by_gate_and_without_changing_numpy(normal):
    layer = Slotted(3, 5, normal)
    for target, inputs in ((layer, [[normal((2, 5))]]), (layer.step, [normal((2, 5))])):
        graph = draw(target, normal((2, 3)), *inputs).graph
        assert sorted(names_of(graph, "parameter")) == ["U.n", "U.z", "W.n", "W.z"]
        assert list(graph.outputs) == ["h'"] and graph["U.z"].gradient > 0
    assert globals()["np"] is np and TABLES == {"weights": [1.0, 2.0]}
    assert graph.title == "Slotted.step" and type(layer) is Slotted and type(layer.W["z"]) is np.ndarray


def over_time(xs, h0, parameters):
    Wx, Wh = parameters["Wx"], parameters["Wh"]
    hs = np.zeros((*xs.shape[:2], len(Wh)))
    h_prev = h0
    for t in range(xs.shape[1]):
        h_prev = hs[:, t] = np.tanh(xs[:, t] @ Wx + h_prev @ Wh)
    return hs


def test_a_function_with_weights_in_a_dict_that_writes_to_arrays(normal):
    xs, h0, weights = normal((2, 3, 3)), normal((2, 4)), {"Wx": normal((3, 4)), "Wh": normal((4, 4))}
    graph = draw(over_time, xs, h0, weights).graph
    tensors = {name: tg.tensor(array, requires_grad=True) for name, array in {**weights, "b": np.zeros(4)}.items()}
    tg.sum(tg.scan(tg.rnn, xs, h0, tensors)[0]).backward()
    dWx, dWh = tensors["Wx"].grad, tensors["Wh"].grad
    assert graph["Wx"].gradient == pytest.approx(np.linalg.norm(dWx))
    assert graph["Wh"].gradient == pytest.approx(np.linalg.norm(dWh))
    assert graph.title == "over_time" and globals()["np"] is np and type(weights["Wx"]) is np.ndarray


def mlp(params, x):
    (W1, b1), (W2, b2) = params
    return np.maximum(0, x.dot(W1) + b1).dot(W2) + b2


def test_nested_lists_of_weights_have_the_names_to_which_they_are_unpacked(normal):
    params = [(normal((3, 5)), normal(5)), (normal((5, 2)), normal(2))]
    graph = draw(mlp, params, normal((4, 3))).graph
    assert sorted(names_of(graph, "parameter")) == ["W1", "W2", "b1", "b2"] and names_of(graph, "input") == ["x"]


def test_numpys_random_numbers_are_the_same_after_drawing():
    def dropout(x):
        return x * (np.random.random(x.shape) > 0.5)

    np.random.seed(0)
    draw(dropout, np.ones((2, 3)))
    drawn = np.random.random()
    np.random.seed(0)
    assert drawn == np.random.random()
