"""Parameters and gradients where their authors keep them: containers, parts, globals, results; caches by any name."""

import collections
import dataclasses

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.handwritings import elsewhere
from helpers.handwritings.table import BY_NAME, load, made
from tinygrad_rnn.check.layers.discovered import Discovered, is_beside
from tinygrad_rnn.errors import Uncheckable

X, H = np.random.default_rng(0).standard_normal((4, 2)), np.random.default_rng(1).standard_normal((4, 3))
SEQ, H0 = np.random.default_rng(2).standard_normal((3, 2, 2)), np.zeros((3, 2))
W, U, B = (np.random.default_rng(k).standard_normal(shape) / 2 for k, shape in enumerate([(3, 2), (3, 3), (3,)]))
KEEPING = elsewhere.METHOD.replace('grads = {name: np', 'self.grads = grads = {name: np').replace(
    "return loss, grads", "return loss")  # fmt: skip
OBJECTS_AROUND = """
import numpy as np

class Param:
    def __init__(self, value):
        self.v, self.d = value, np.zeros_like(value)

W, b = Param(np.ones((2, 3)) / 2), Param(np.zeros(3))
everything = [W, b]

def step(x, h):
    for p in everything:
        p.d.fill(0)
    y = np.tanh(x @ W.v + b.v)
    a = y * (1 - y * y)
    W.d += x.T @ a
    b.d += a.sum(0)
    return 0.5 * np.sum(y * y), h
"""
IDS = np.array([[1, 3, 1], [0, 5, 2]])

FILES = {
    "containers": (elsewhere.CONTAINERS, lambda m: tg.check_layer(m.Cell(), X, H), "dx dh dWx dWh db", "self.x.T @ a"),
    "parts in a list": (elsewhere.PARTS, lambda m: tg.check_layer(m.Two(), X),
                        "dx dlayers.0.W dlayers.0.b dlayers.1.W dlayers.1.b", "dy.sum(0)"),
    "returned by name": (elsewhere.RETURNED, lambda m: tg.check_layer(m.Cell(), X), "dx dW db", "self.x.T @ dy"),
    "returned by key": (elsewhere.RETURNED_DICT, lambda m: tg.check_layer(m.Cell(), X), "dx dW db", "self.x.T @ dy"),
    "globals": (elsewhere.GLOBALS, lambda m: tg.check_loss(m.lossFun, [0, 3, 2], [3, 2, 1], np.zeros((4, 1))),
                "dhprev dWxh dWhh dbh dWhy dby", "da @ hs[t - 1].T"),
    "a global dict": (elsewhere.GLOBAL_DICT, lambda m: tg.check_loss(m.cost, X, X[:, :1]), "dx dy dW db",
                      "x.T @ (2 * e)"),
    "a method": (elsewhere.METHOD, lambda m: tg.check_loss(m.WordModel(6, 4).loss, IDS, IDS[::-1]), "dE dW dV",
                 "hs[t].T @ a"),
    "a method that keeps them": (KEEPING, lambda m: tg.check_loss(m.WordModel(6, 4).loss, IDS, IDS[::-1]), "dE dW dV",
                                 "hs[t].T @ a"),
    "global objects": (OBJECTS_AROUND, lambda m: tg.check_loss(m.step, X, H), "dx dh dW db", "x.T @ a"),
    "a tape": (elsewhere.TAPE, lambda m: tg.check_backward(m.run, m.run_back, W, U, B, SEQ, H0), "dW dU dbias dseq dh0",
               "a @ x.T"),
}  # fmt: skip


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """The report of a text, without a search for lines."""
    monkeypatch.setattr("tinygrad_rnn.check.mistakes.diagnoses", lambda job: [])

    def check(name, text):
        (tmp_path / "mine.py").write_text(text, encoding="utf-8")
        return FILES[name][1](load(tmp_path / "mine.py", "kept_elsewhere"))

    return check


@pytest.mark.parametrize("name", FILES)
def test_gradients_are_compared_wherever_they_are_kept(name, checked):
    text, _, names, _ = FILES[name]
    report = checked(name, text)
    assert report.verdict == "right" and sorted(report.tensors) == sorted(names.split()), str(report)


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_one_is_wrong(name, checked):
    text, _, _, part = FILES[name]
    report = checked(name, text.replace(part, f"1.5 * ({part})"))
    assert report.verdict == "wrong", str(report)


def test_a_gradient_that_was_forgotten_is_wrong(checked):
    text = elsewhere.CONTAINERS.replace('        self.g["b"] += a.sum(0)\n', "").replace(
        "zeros_like(p) for key, p in self.p.items()}\n        self.mom",
        'zeros_like(p) for key, p in self.p.items() if key != "b"}\n        self.mom')  # fmt: skip
    report = checked("containers", text)
    assert report.tensors["db"].verdict == "wrong" and "None" in report.tensors["db"].note, str(report)


def test_global_weights_are_as_before(checked, tmp_path):
    checked("globals", elsewhere.GLOBALS)
    fresh = load(tmp_path / "mine.py", "fresh")
    import kept_elsewhere  # the module that was checked

    for name in ("Wxh", "Whh", "Why", "bh", "by"):
        assert np.array_equal(getattr(kept_elsewhere, name), getattr(fresh, name))


PLACES = {
    "a list": "dx, dW, db = gradients\n        return [dx, dW, db]",
    "a named tuple": "return Three(*gradients)",
    "a dict": 'return dict(zip(["dx", "dW", "db"], gradients))',
    "nameless": "return gradients[0], 1 * gradients[1], 1 * gradients[2]",
    "a tuple in a tuple": "grads = gradients[1:]\n        return gradients[0], grads",
    "a dict beside": 'self.gradients = {"dW": gradients[1], "db": gradients[2]}\n        return gradients[0]',
    "nabla": "self.nabla_W, self.nabla_b = gradients[1:]\n        return gradients[0]",
    "dL/dW": "self.dL_dW, self.dL_db = gradients[1:]\n        return gradients[0]",
    "methods": "self.dW, self.db = gradients[1:]\n        return gradients[0]\n    params = grads = lambda self: []",
}  # fmt: skip
LAYER = """
import collections, numpy as np
W, B = np.arange(1.0, 7).reshape(3, 2), np.ones(3)
Three = collections.namedtuple("Three", "dx dW db")

class Param:
    def __init__(self, value):
        self.v, self.d, self.m = value, np.zeros_like(value), np.zeros_like(value)

class Affine:
    def __init__(self):
        self.W, self.b = W.T.copy(), B.copy()

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        gradients = dy @ self.W.T, {} * self.x.T @ dy, dy.sum(0)
        {}
"""
OBJECTS = LAYER.replace("W.T.copy(), B.copy()", "Param(W.T.copy()), Param(B.copy())").replace(
    ".W.T", ".W.v.T").replace("@ self.W + self.b", "@ self.W.v + self.b.v")  # fmt: skip
SLOTS = LAYER.replace("class Affine:", "class Affine:\n    __slots__ = ('W', 'b', 'x', 'dW', 'db')")
CACHE = LAYER.replace("self.x = x\n        return x @ self.W + self.b", "return x @ self.W + self.b, (x,)").replace(
    "(self, dy):", "(self, dy, cache):\n        self.x, = cache")  # fmt: skip
KEPT = {
    "a cache": (CACHE, "self.dW, self.db = gradients[1:]\n        return gradients[0]"),
    "a cache, and returned": (CACHE, "dx, dW, db = gradients\n        return dx, dW, db"),
    **{name: (LAYER, place) for name, place in PLACES.items()},
    "objects": (OBJECTS, "self.W.d += gradients[1]\n        self.b.d += gradients[2]\n        return gradients[0]"),
    "slots": (SLOTS, "self.dW, self.db = gradients[1:]\n        return gradients[0]"),
    "a list of blocks": (LAYER.replace("        self.W, self.b = W.T.copy(), B.copy()",
              "        self.blocks, self.block_grads = [dict(W=W.T.copy(), b=B.copy())], [dict()]").replace(
                  "self.W", 'self.blocks[0]["W"]').replace(
                  "+ self.b\n", '+ self.blocks[0]["b"]\n'),
              'self.block_grads[0].update(W=gradients[1], b=gradients[2])\n        return gradients[0]'),
    "dicts": (LAYER.replace("        self.W, self.b = W.T.copy(), B.copy()",
                            "        self.params, self.grads = dict(W=W.T.copy(), b=B.copy()), {{}}").replace(
                  "self.W", 'self.params["W"]').replace("self.b", 'self.params["b"]'),
              'self.grads = {"W_grad": gradients[1], "grad_b": gradients[2]}\n        return gradients[0]'),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_the_gradients_of_a_layer_are_compared_wherever_they_are_kept(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.check.mistakes.diagnoses", lambda job: [])
    (text, place), reports = KEPT[name], []
    for factor in (1, -3):
        (tmp_path / "mine.py").write_text(text.format(factor, place), encoding="utf-8")
        module = load(tmp_path / "mine.py", "kept_elsewhere")
        reports.append(tg.check_layer(module.Affine(), X))
    right, wrong = reports
    assert right.verdict == "right" and len(right.tensors) == 3, str(right)
    assert [row.verdict for row in wrong.tensors.values()] == ["right", "wrong", "right"], str(wrong)


def test_a_gradient_that_is_the_cotangent_itself_is_a_note_until_a_later_backward_writes_into_it():
    class Bias:
        def __init__(self):
            self.b, self.db, self.adds = np.zeros((4, 2)), None, False

        def forward(self, x):
            return x + self.b

        def backward(self, dy):
            if self.adds and self.db is not None:
                self.db += dy
            else:
                self.db = dy
            return dy.copy()

    report = tg.check_layer(Bias(), X)
    assert report.verdict == "right" and report.notes[0].startswith("db: shares memory with dy:"), str(report)
    adding = Bias()
    adding.adds = True
    report = tg.check_layer(adding, X)
    assert ("protocol: shared", "db") in [(each.kind, each.tensor) for each in report.diagnoses], str(report)


def test_a_method_that_adds_to_what_it_keeps_is_right_and_what_cannot_be_called_is_said():
    class Model:
        def __init__(self):
            self.W, self.dW = np.eye(2), np.zeros((2, 2))

        def loss(self, x):
            self.dW += x.T @ x @ self.W
            return 0.5 * np.sum((x @ self.W) ** 2)

        def forward(self, x):
            return self.loss(x)

    assert tg.check_loss(Model().loss, X).verdict == "right"
    with pytest.raises(Uncheckable, match=r"should be check_loss\(model.loss, x\), of an object of the class"):
        tg.check_loss(Model.loss, X)


TWO_METHODS = """
import numpy as np

class Model:
    def __init__(self):
        self.W, self.V, self.dW, self.dV = np.ones((2, 3)), np.eye(3), np.zeros((2, 3)), np.zeros((3, 3))

    def LOSS(self, x, target):
        self.x, self.h = x, np.tanh(x @ self.W)
        self.error = self.h @ self.V - target
        return 0.5 * np.sum(self.error ** 2)

    def BACK(self):
        da = self.error @ self.V.T * (1 - self.h ** 2)
        self.dW += self.x.T @ da
        self.dV += self.h.T @ self.error
"""


@pytest.mark.parametrize("factor", [1, -3])
@pytest.mark.parametrize("names", ["forward backward", "loss bptt", "cost backprop"])
@pytest.mark.parametrize("adds", ["+=", "="])
def test_a_loss_whose_gradients_another_method_computes_is_checked(adds, names, factor, tmp_path):
    loss, back = names.split()
    text = TWO_METHODS.replace("dW +=", f"dW += {factor} *").replace("+=", adds)
    (tmp_path / "mine.py").write_text(text.replace("LOSS", loss).replace("BACK", back))
    model = load(tmp_path / "mine.py", "kept_elsewhere").Model()
    reports = [tg.check_loss(getattr(model, loss), X, H), *([tg.check_layer(model, X, H)] if loss == "forward" else [])]
    for report in reports:
        assert report.tensors["dV"].verdict == "right" and not model.dV.any(), str(report)
        assert report.verdict == report.tensors["dW"].verdict == ("right" if factor == 1 else "wrong"), str(report)


def test_the_line_of_the_method_that_computes_the_gradients_is_named(tmp_path, searched):
    text = TWO_METHODS.replace("LOSS", "loss").replace("BACK", "bptt").replace("h ** 2", "h")
    (tmp_path / "mine.py").write_text(text)
    model = load(tmp_path / "mine.py", "kept_elsewhere").Model()
    (line,) = tg.check_loss(model.loss, X, H).lines
    assert line.function == "Model.bptt" and line.new.strip() == "da = self.error @ self.V.T * (1 - self.h ** 2)"


def test_a_backward_that_takes_no_gradient_is_refused_where_forward_returns_no_loss():
    class Model:
        W, dW = np.eye(2), np.zeros((2, 2))

        def forward(self, x):
            return x @ self.W

        def backward(self):
            self.dW = 1

    with pytest.raises(Uncheckable, match=r"Model.backward\(\) takes no gradient, should take that by the output"):
        tg.check_layer(Model(), X)


def test_a_state_that_the_layer_keeps_is_no_parameter():
    class Stateful:
        def __init__(self):
            self.W, self.h = np.eye(2), np.ones((4, 2))

        def forward(self, x):
            self.x, self.h = x, self.h + x @ self.W
            return self.h

        def backward(self, dy):
            self.dW = self.x.T @ dy
            return dy @ self.W.T

    assert [*Discovered(Stateful(), [X]).paths.values()] == ["W"]
    assert tg.check_layer(Stateful(), X).verdict == "right"


def test_where_a_gradient_is_kept():
    assert is_beside(("g", "Wx"), ("p", "Wx")) and is_beside(("cell", "dWx"), ("cell", "Wx"))
    assert is_beside(("grads", "dWx"), ("params", "Wx")) and is_beside(("grad_W",), ("W",))
    assert not is_beside(("momentum", "Wx"), ("p", "Wx")) and not is_beside(("Wx",), ("Wx",))
    assert not is_beside(("layers", 0, "dW"), ("layers", 1, "W"))


def test_a_forward_that_never_ends_is_told_in_time():
    class Endless:
        def forward(self, x):
            while True:
                pass

        def backward(self, dy):
            return dy

    with pytest.raises(Uncheckable, match=r"Endless: a call runs for longer than 0\.1 s"):
        tg.check_layer(Endless(), X, timeout=0.1)


# -- parameters as one argument ----------------------------------------------------------------------------------------

Weights = collections.namedtuple("Weights", "W b")


def affine(x, p):
    W, b = (p["W"], p["b"]) if isinstance(p, dict) else p
    return x @ W + b, (x, W)


BACKWARDS = {
    "a dict": (dict, lambda dx, dW, db: (dx, {"dW": dW, "db": db})),
    "a flat dict": (dict, lambda dx, dW, db: {"dx": dx, "dW": dW, "db": db}),
    "a flat dict with the same keys": (dict, lambda dx, dW, db: {"dx": dx, "W": dW, "b": db}),
    "a named tuple": (Weights, lambda dx, dW, db: (dx, Weights(dW, db))),
}


@pytest.mark.parametrize("factor", [1, -3])
@pytest.mark.parametrize("name", BACKWARDS)
def test_gradients_by_the_entries_of_an_argument_are_compared(name, factor):
    kind, returned = BACKWARDS[name]

    def backward(dy, cache):
        x, W = cache
        return returned(dy @ W.T, factor * x.T @ dy, dy.sum(0))

    report = tg.check_backward(affine, backward, X, {"W": W.T, "b": B} if kind is dict else Weights(W.T, B))
    assert report.verdict == ("right" if factor == 1 else "wrong"), str(report)
    assert report.tensors["dp.W"].verdict == report.verdict and report.tensors["dp.b"].verdict == "right"


@pytest.mark.parametrize("factor", [1, -3])
@pytest.mark.parametrize("names", ["dcontext, cache", "cache, dcontext", "dy, bundle", "bundle, dy"])
def test_a_cache_is_the_only_argument_that_is_no_gradient(names, factor, tmp_path):
    """``dcontext`` is named like a cache, and is the gradient by the context."""
    gradient, cache = names.split(", ") if names.startswith("d") else names.split(", ")[::-1]
    text = f"""
def attend(query, W):
    context = query @ W
    return context, (query, W)

def attend_back({names}):
    query, W = {cache}
    return {gradient} @ W.T, {factor} * query.T @ {gradient}
"""
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    module = load(tmp_path / "mine.py", "kept_elsewhere")
    report = tg.check_backward(module.attend, module.attend_back, X, W.T)
    assert report.tensors["dW"].verdict == ("right" if factor == 1 else "wrong"), str(report)


@pytest.mark.parametrize(("last", "verdict"), [("dW", "right"), ("-3 * dW", "wrong")])
def test_a_tuple_of_gradients_by_the_entries_is_matched_by_names(last, verdict, tmp_path):
    text = f"""
def forward(x, p):
    return x @ p["W"], (x, p)

def backward(dy, cache):
    x, p = cache
    dx, dW = dy @ p["W"].T, x.T @ dy
    dW = {last}
    return dx, dW
"""
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    module = load(tmp_path / "mine.py", "kept_elsewhere")
    report = tg.check_backward(module.forward, module.backward, X, {"W": W.T})
    assert report.verdict == report.tensors["dp.W"].verdict == verdict, str(report)


@pytest.mark.parametrize("container", ["loss, (dV, dW)", "loss, [dV, dW]", "(loss, {}, (dV, dW))", "loss, grads"])
@pytest.mark.parametrize("factor", [1, -3])
def test_gradients_in_a_tuple_after_the_loss_are_compared(factor, container, tmp_path):
    text = f"""
def loss_and_gradients(x, target, V, W):
    error = x @ V @ W - target
    loss = 0.5 * (error * error).sum()
    dV, dW = x.T @ error @ W.T, {factor} * (x @ V).T @ error
    grads = (dV, dW)
    return {container}
"""
    (tmp_path / "mine.py").write_text(text)
    report = tg.check_loss(load(tmp_path / "mine.py", "kept_elsewhere").loss_and_gradients, X, H, W.T, U)
    assert report.tensors["dV"].verdict == "right", str(report)
    assert report.verdict == report.tensors["dW"].verdict == ("right" if factor == 1 else "wrong"), str(report)


@pytest.mark.parametrize("wrong", ["W", "v", "d"])
def test_weights_that_are_called_v_and_d_are_no_value_and_its_gradient(wrong, tmp_path):
    text = """
import numpy as np

class Readout:
    def __init__(self):
        self.params = {"W": np.ones((2, 3)), "v": np.ones((3, 1)), "d": np.zeros(1)}

    def loss(self, x):
        p = self.params
        h = np.tanh(x @ p["W"])
        y = h @ p["v"] + p["d"]
        grads = {"W": x.T @ (y @ p["v"].T * (1 - h * h)), "v": h.T @ y, "d": y.sum(0)}
        return 0.5 * np.sum(y * y), grads
"""
    (tmp_path / "mine.py").write_text(text.replace("return 0.5", f"grads['{wrong}'] *= 3\n        return 0.5"))
    report = tg.check_loss(load(tmp_path / "mine.py", "kept_elsewhere").Readout().loss, X)
    verdicts = {name: row.verdict for name, row in report.tensors.items() if name != "dx"}
    assert len(verdicts) == 3 and [name for name in verdicts if verdicts[name] == "wrong"] == [
        {"W": "dW", "v": "dv", "d": "dparams.d"}[wrong]], str(report)  # fmt: skip


@pytest.mark.parametrize("kept", [True, False])
def test_the_weights_of_a_gate_g_are_no_gradient(kept):
    """W_g is named like the gradient by W, but forward reads it."""

    class Highway:
        def __init__(self):
            self.W, self.W_g = np.eye(3) + 0.1, np.eye(3) - 0.2
            if kept:
                self.dW, self.dW_g = np.zeros((3, 3)), np.zeros((3, 3))

        def forward(self, x):
            self.x, self.t, self.g = x, np.tanh(x @ self.W), 1 / (1 + np.exp(-x @ self.W_g))
            return self.g * self.t + (1 - self.g) * x

        def backward(self, dy):
            dt, dg = dy * self.g * (1 - self.t**2), dy * (self.t - self.x) * self.g * (1 - self.g)
            dx, dW, dW_g = dt @ self.W.T + dg @ self.W_g.T + dy * (1 - self.g), self.x.T @ dt, -3 * self.x.T @ dg
            if kept:
                self.dW, self.dW_g = dW, dW_g
                return dx
            return dx, dW, dW_g

    report = tg.check_layer(Highway(), np.arange(6.0).reshape(2, 3) / 5)
    assert {name: row.verdict for name, row in report.tensors.items()} == {
        "dx": "right", "dW": "right", "dW_g": "wrong"}, str(report)  # fmt: skip


def test_what_a_random_forward_reads_is_not_told():
    class Dropped:
        def __init__(self):
            self.K, self.unread, self.dK = W.copy(), W.copy(), None

        def forward(self, x):
            self.x = x * (np.random.random(x.shape) > 0.5)
            return self.x @ self.K

        def backward(self, dy):
            self.dK = self.x.T @ dy
            return dy @ self.K.T

    assert not Discovered(Dropped(), [np.ones((6, len(W)))]).constants


def test_an_array_without_a_gradient_that_forward_reads_is_noted():
    class Shifted:
        def __init__(self):
            self.K, self.shift, self.dK, self.unread = W.copy(), np.full(W.shape[1], 0.3), None, W.copy()

        def forward(self, x):
            self.x = x
            return x @ self.K + self.shift

        def backward(self, dy):
            self.dK = self.x.T @ dy
            return dy @ self.K.T

    report = tg.check_layer(Shifted(), np.ones((2, len(W))))
    assert report.ok and list(report.tensors) == ["dx", "dK"], str(report)
    assert [note for note in report.notes if "no gradient was found" in note] == [
        "forward reads shift, for which no gradient was found: it is taken for a constant"], str(report)  # fmt: skip


def test_a_gradient_that_belongs_to_nothing_is_no_pass():
    report = tg.check_backward(affine, lambda dy, cache: {"dx": dy @ cache[1].T, "dV": 0}, X, {"W": W.T, "b": B})
    assert report.verdict == "unchecked" and "dV belong to no argument" in str(report), str(report)


@pytest.mark.parametrize("instead", ["loss", "dbh", "by", "None"])
def test_a_gradient_that_is_computed_and_not_returned_is_no_pass(instead, tmp_path):
    handwriting = BY_NAME["min_char_rnn"]
    text = handwriting.text.replace("dbh, dby, hs", f"dbh, {instead}, hs")
    _, function, _, inputs = made(handwriting, text, tmp_path / "mine.py")
    report = tg.check_loss(function, *inputs)
    assert report.verdict == report.tensors["dby"].verdict == "unchecked", str(report)
    assert "dby is computed, and not returned" in str(report)


def test_a_dataclass_is_refused():
    made = dataclasses.make_dataclass("Held", ["W", "b"])(W.T, B)
    with pytest.raises(Uncheckable, match="an input is the dataclass Held, should be an array, or a dict"):
        tg.check_backward(affine, lambda dy, cache: dy, X, made)


# -- lists of weights, moments, methods --------------------------------------------------------------------------------


class Deep:
    """Weights and biases in lists with the same indices; what an optimiser keeps has them too."""

    def __init__(self):
        self.W, self.b = [np.eye(2) / 2, np.eye(2) / 3], [np.ones(2), np.zeros(2)]
        self.v = [np.zeros((2, 2)), np.zeros((2, 2))]

    def forward_pass(self, x):
        self.xs = [x, x @ self.W[0] + self.b[0]]
        return self.xs[1] @ self.W[1] + self.b[1]

    def bptt(self, dy):
        self.dW, self.db = [None, None], [None, None]
        for k in (1, 0):
            self.dW[k], self.db[k] = self.xs[k].T @ dy, self.factor * dy.sum(0)
            dy = dy @ self.W[k].T
        return dy

    factor = 1


def test_lists_with_the_same_indices_are_told_apart_and_methods_may_have_other_names():
    report = tg.check_layer(Deep(), X)
    assert report.verdict == "right" and list(report.tensors) == ["dx", "dW.0", "dW.1", "db.0", "db.1"], str(report)
    wrong = Deep()
    wrong.factor = 7
    report = tg.check_layer(wrong, X)
    assert [name for name, row in report.tensors.items() if row.verdict == "wrong"] == ["db.0", "db.1"], str(report)


@pytest.mark.parametrize("kind", [list, lambda ys: {"y": ys[0]}])
def test_outputs_in_a_list_or_a_dict_leave_a_state_out(kind):
    class Stateful:
        def __init__(self):
            self.W, self.h = np.eye(2), np.ones((4, 2))

        def forward(self, x):
            self.x, self.h = x, self.h + x @ self.W
            return kind([self.h])

        def backward(self, dys):
            dy = dys["y"] if isinstance(dys, dict) else dys[0]
            self.dW = self.x.T @ dy
            return dy @ self.W.T

    report = tg.check_layer(Stateful(), X)
    assert report.verdict == "right" and list(report.tensors) == ["dx", "dW"], str(report)


def test_reset_gets_the_users_layer():
    class Dropped:
        def __init__(self):
            self.K, self.dK, self.rng = W.copy(), None, np.random.default_rng()

        def forward(self, x):
            self.x = x * (self.rng.random(x.shape) > 0.5)
            return self.x @ self.K

        def backward(self, dy):
            self.dK = self.x.T @ dy
            return (dy @ self.K.T) * (self.x != 0)

    layer, x = Dropped(), np.random.default_rng(3).standard_normal((6, len(W)))

    def reset(mine):
        assert type(mine) is Dropped
        mine.rng = np.random.default_rng(0)

    assert tg.check_layer(layer, x, reset=reset).verdict == "right"
