"""What is called right, wrong or unchecked where it is easily mistaken: NaN, nothing, None, names computed twice."""

import json
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, cell, check_backward, check_gradients, check_layer, check_loss
from tinygrad_rnn.cli.demo_backward import lstm_backward

r = np.random.default_rng(0).standard_normal
X, W = r((4, 3)), r((3, 3))


class Square:
    """y = x²; the gradient is spoilt by ``change``."""

    params, grads = [], []

    def __init__(self, change=lambda g: g):
        self.change = change

    def forward(self, x):
        self.x = x
        return x * x

    def backward(self, dy):
        return self.change(2 * self.x * dy)


# -- NaN, inf, zero, nothing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3), (40, 50)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_in_a_gradient_is_wrong_at_its_place(bad, shape):
    def spoil(g):
        g[-1, -1] = bad
        return g

    for report in (check_layer(Square(spoil), r(shape)),
                   check_backward(lambda x: x * x, lambda x, dy: spoil(2 * x * dy), r(shape))):  # fmt: skip
        assert (report.verdict, report.first_wrong) == ("wrong", "dx")
        assert not any(one.kind == "protocol: causal" for one in report.diagnoses)
        assert json.loads(report.to_json())["tensors"]["dx"]["got"] is None
    assert report.tensors["dx"].worst["index"] == (shape[0] - 1, shape[1] - 1)


def test_a_nan_beside_a_kink_is_wrong():
    def backward(x, dy):
        return np.where(x > 0, dy, np.where(x < -1, np.nan, 0))

    x = np.array([0.0, 1.0, -2.0, 0.5])
    assert check_backward(lambda x: np.maximum(x, 0), backward, x).verdict == "wrong"


@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_forward_that_is_nan_is_unchecked():
    class Log(Square):
        def forward(self, x):
            self.x = x
            return np.log(x)

        def backward(self, dy):
            return dy / self.x * np.nan

    x = np.array([-1.0, 2.0])
    report = check_layer(Log(), x)
    assert report.verdict == "unchecked", str(report)
    report = check_backward(lambda x: np.log(x), lambda x, dy: dy / x, x)
    assert (report.verdict, report.tensors["dx"].note) == ("unchecked", "forward gives NaN or inf here")


@pytest.mark.parametrize("check", [
    lambda x: check_layer(Square(lambda g: g + 1), x), lambda x: check_gradients(lambda x: x * x, x),
    lambda x: check_backward(lambda x: x * x, lambda x, dy: 3 * dy, x),
])  # fmt: skip
def test_nothing_is_no_pass(check):
    report = check(np.zeros((0, 3)))
    assert report.verdict == "unchecked" and "the outputs are empty: nothing was compared" in str(report)


def test_minus_zero_is_zero():
    text = str(check_layer(Square(lambda g: -0.0 * g), X))
    assert "should be" in text and not re.search(r"-0(?![.\d])", text), text


@pytest.mark.parametrize("size", [1e-200, 1e150])
def test_rounding_is_no_mistake_where_squares_are_no_floats(size):
    report = check_backward(lambda x: size * x, lambda x, dy: size * (dy * (1 + 1e-6)), X)
    assert report.verdict == "precision"


# -- norms -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_norms_are_those_of_the_gradient(factor):
    """Where elements are not looked at one by one, too; the right one's is known if the gradient is right."""
    found = []

    def keep(g):
        found[:] = [factor * g]
        return factor * g

    x = r((50, 40))
    report = check_layer(Square(keep), x)
    row, norm = report.tensors["dx"], float(np.linalg.norm(2 * x * np.random.default_rng(0).standard_normal(x.shape)))
    assert row.got == pytest.approx(factor * norm, rel=1e-9)
    assert row.right == (pytest.approx(norm, rel=1e-6) if factor == 1 else None)
    assert row.ratio == pytest.approx(factor, rel=1e-6)
    autograd = check_gradients(lambda x: x * x, x).tensors["dx"]
    assert autograd.got == pytest.approx(norm, rel=1e-9) and autograd.right == pytest.approx(norm, rel=1e-6)


# -- names that are computed several times -----------------------------------------------------------------------------


def thrice(x, W):
    h = x
    for _ in range(3):
        A = h @ W
        h = np.tanh(A)
    return h


def thrice_back(x, W, dy):
    hs = [x]
    for _ in range(3):
        hs.append(np.tanh(hs[-1] @ W))
    dW, dh, dAs = 0, dy, []
    for k in reversed(range(3)):
        dAs.insert(0, dh * (1 - hs[k + 1] ** 2))
        dW, dh = dW + hs[k].T @ dAs[0], dAs[0] @ W.T
    return {"dW": dW, "dx": dh}, dAs


def helper(x, W):
    A = x @ W
    return np.tanh(A)


def through_a_helper(x, W):
    return helper(helper(helper(x, W), W), W)


def named_again(x, W):
    A = x @ W
    h = np.tanh(A)
    A = h @ W
    h = np.tanh(A)
    A = h @ W
    y = np.tanh(A)
    return y


#: What is returned for the gradient by A.
SHAPED = {
    "first": lambda dAs: dAs[0], "second": lambda dAs: dAs[1], "last": lambda dAs: dAs[2], "sum": sum,
    "list": lambda dAs: dAs, "from the last": lambda dAs: dAs[::-1], "along 1": lambda dAs: np.stack(dAs, axis=1),
    "along the last": lambda dAs: np.stack(dAs, axis=-1),
}  # fmt: skip


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("forward", [thrice, through_a_helper, named_again])
@pytest.mark.parametrize("form", SHAPED)
def test_a_name_that_is_computed_three_times_may_be_any_of_them(forward, form):
    def backward(x, W, dy, factor=1.0):
        found, dAs = thrice_back(x, W, dy)
        return {"dA": factor * np.asarray(SHAPED[form](dAs)), **found}

    report = check_backward(forward, backward, X, W)
    assert report.verdict == "right" and report.tensors["dA"].verdict == "right", str(report)
    report = check_backward(forward, lambda *given: backward(*given, factor=-1.0), X, W)
    assert report.tensors["dA"].verdict != "right", str(report)


@cell
def twice_a_step(x, h, *, Wx=Param("D H"), Wh=Param("H H"), b=Param("H")):
    a = x @ Wx + b
    for _ in range(2):
        A = a + h @ Wh
        h = tg.tanh(A)
    return h


def twice_back(xs, h, *, Wx, Wh, b, dhs, dh, form, sign=1):
    (N, T, _), H = xs.shape, h.shape[1]
    caches, dxs, dA, da, dnew = [], np.empty_like(xs), np.empty((T, 2, N, H)), np.empty((N, T, H)), np.empty((N, T, H))
    for t in range(T):
        hs = [h]
        for _ in range(2):
            hs.append(np.tanh(xs[:, t] @ Wx + b + hs[-1] @ Wh))
        caches.append(hs)
        h = hs[-1]
    dWx, dWh, db = 0, 0, 0
    for t in reversed(range(T)):
        dh = dnew[:, t] = dh + dhs[:, t]
        for k in (1, 0):
            dA[t, k] = dh * (1 - caches[t][k + 1] ** 2)
            dWh, dh = dWh + caches[t][k].T @ dA[t, k], dA[t, k] @ Wh.T
        da[:, t] = dA[t].sum(axis=0)
        dWx, db, dxs[:, t] = dWx + xs[:, t].T @ da[:, t], db + da[:, t].sum(axis=0), sign * da[:, t] @ Wx.T
    return {"dA": form(dA), "da": da, "dh'": dnew, "dxs": dxs, "dh": dh, "dWx": dWx, "dWh": dWh, "db": db}


STEPS = {
    "last of a step": lambda dA: np.moveaxis(dA[:, 1], 0, 1), "first": lambda dA: np.moveaxis(dA[:, 0], 0, 1),
    "sum": lambda dA: np.moveaxis(dA.sum(axis=1), 0, 1), "time first": lambda dA: dA[:, 1], "all": lambda dA: dA,
    "one after the other": lambda dA: dA.reshape(-1, *dA.shape[2:]), "batch first": lambda dA: np.moveaxis(dA, 2, 0),
}  # fmt: skip


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("form", STEPS)
def test_several_runs_in_each_step(form):
    def backward(sign, xs, h, *, Wx, Wh, b, dhs, dh):
        return twice_back(xs, h, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh, form=STEPS[form], sign=sign)

    def right(xs, h, *, Wx, Wh, b, dhs, dh):
        return backward(1, xs, h, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh)

    def wrong(xs, h, *, Wx, Wh, b, dhs, dh):
        return backward(-1, xs, h, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh)

    sizes = {"N": 2, "T": 3, "D": 2, "H": 4}
    report = check_backward(twice_a_step, right, sizes=sizes)
    assert {row.verdict for row in report.tensors.values()} == {"right"} and report.ok, str(report)
    report = check_backward(twice_a_step, wrong, sizes=sizes)
    assert (report.verdict, report.first_wrong) == ("wrong", "dxs")


def test_an_array_of_no_such_shape_is_not_compared():
    report = check_backward(thrice, lambda *given: {"dA": given[2][:, :2], **thrice_back(*given)[0]}, X, W)
    assert report.verdict == "right" and report.tensors["dA"].verdict == "unchecked"
    assert report.tensors["dA"].note == "A is computed several times, and no array of its gradients has this shape"


# -- None --------------------------------------------------------------------------------------------------------------


def test_none_for_what_nobody_needs_is_no_failure():
    report = check_backward(tg.lstm, lambda *a, **k: {**lstm_backward(*a, **k), "dh": None, "dc": None})
    assert report.verdict == "right" and not report.diagnoses
    assert (report.tensors["dh"].verdict, report.tensors["dh"].counts) == ("unchecked", False)
    report = check_backward(lambda ids, W: W[ids], lambda ids, W, dy: {
        "dids": None, "dW": np.eye(len(W))[:, ids] @ dy}, np.array([0, 2, 1]), W)  # fmt: skip
    assert report.verdict == "right", str(report)


def test_none_alone_is_no_pass():
    assert check_layer(Square(lambda g: None), X).verdict == "unchecked"
    assert check_backward(lambda x: x * x, lambda x, dy: {"dx": None}, X).verdict == "unchecked"


# -- once it was called ------------------------------------------------------------------------------------------------


def calls(spoil):
    """The backward of a product, which knows how often it was called, and all that it was called with."""
    seen = []

    def backward(x, W, dy):
        seen.append(x)
        dx, dW = dy @ W.T, x.T @ dy
        return {"dx": dx, "dW": spoil(dW, seen, dy)}

    return backward


@pytest.mark.parametrize("spoil", [
    lambda dW, seen, dy: dW * (1 if len(seen) == 1 else 2), lambda dW, seen, dy: seen[0].T @ dy,
    lambda dW, seen, dy: len(seen) * dW,
])  # fmt: skip
def test_wrong_from_the_second_call_on_is_wrong(spoil):
    report = check_backward(lambda x, W: x @ W, calls(spoil), X, W)
    assert (report.verdict, [one.kind for one in report.diagnoses]) == ("wrong", ["protocol: again"]), str(report)
    assert report.diagnoses[0].tensor == "dW"


class Kept:
    """A state that is kept from call to call; what comes of the one at the start is forgotten, but it is zero then."""

    def __init__(self, forget=False):
        self.Wh = W / 2
        self.params, self.grads, self.h, self.forget = [self.Wh], [np.zeros_like(W)], None, forget

    def forward(self, x):
        self.old = np.zeros_like(x) if self.h is None else self.h
        self.h = np.tanh(x + self.old @ self.Wh)
        return self.h

    def backward(self, dh):
        dA = dh * (1 - self.h**2)
        self.grads[0][...] = 0 if self.forget else self.old.T @ dA
        return dA


def test_a_kept_state_is_checked_once_it_is_there():
    assert check_layer(Kept(), X).verdict == "right"
    report = check_layer(Kept(forget=True), X)
    assert (report.verdict, report.first_wrong) == ("wrong", None)
    assert [(one.kind, one.tensor) for one in report.diagnoses] == [("protocol: again", "dWh")]


def test_a_layer_with_a_method_that_zeroes_its_own_sums():
    class Sums:
        def __init__(self, resets=True):
            self.W, self.params, self.grads = W, [W], [np.zeros_like(W)]
            self.total, self.resets = 0, resets

        def zero_grad(self):
            self.total = 0 if self.resets else self.total

        def forward(self, x):
            self.x = x
            return x @ self.params[0]

        def backward(self, dy):
            self.total = self.total + self.x.T @ dy
            self.grads = [self.total.copy()]
            return dy @ self.params[0].T

    assert check_layer(Sums(), X).verdict == "right"
    report = check_layer(Sums(resets=False), X)
    assert (report.verdict, [one.tensor for one in report.diagnoses]) == ("wrong", ["dW"])


# -- functions with a cache --------------------------------------------------------------------------------------------


def step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dA = dnext_h * (1 - next_h**2)
    return dA.dot(Wx.T), dA.dot(Wh.T), x.T.dot(dA), prev_h.T.dot(dA), dA.sum(axis=0)


def test_a_pair_of_functions_with_a_cache():
    given = r((4, 2)), X, r((2, 3)), W, r(3)
    report = check_backward(step_forward, step_backward, *given)
    assert report.verdict == "right" and list(report.tensors) == ["dx", "dprev_h", "dWx", "dWh", "db"]

    def wrong(dout, cache):
        dx, _, dWx, _, db = step_backward(dout, cache)
        return dx, None, dWx, cache[4].T @ dout, db

    report = check_backward(step_forward, wrong, *given)
    assert (report.verdict, report.first_wrong) == ("wrong", "dWh")
    assert report.tensors["dprev_h"].note == "is None: taken as not needed"


@pytest.mark.parametrize("backward", [
    lambda x, W, dy: (dy @ W.T, x.T @ dy), lambda dy, x, W: [dy @ W.T, x.T @ dy],
    lambda x, W, *, dout: {"dx": dout @ W.T, "dW": x.T @ dout}, lambda a, b, c: (c @ b.T, a.T @ c),
])  # fmt: skip
def test_a_backward_is_called_by_the_names_of_the_inputs(backward):
    square = r((3, 3))
    assert check_backward(lambda x, W: x @ W, backward, square, W).verdict == "right"


class Methods:
    """Functions that are methods of an object: of arrays and dy, and with a cache."""

    scale = 2.0

    def forward(self, x, W):
        def inner(v):
            u = v @ W
            return tg.tanh(u)

        a = inner(x)
        y = inner(a) * self.scale
        return y, np.array([1, 2])

    def backward(self, x, W, dy):
        a = np.tanh(x @ W)
        du2 = dy * self.scale * (1 - np.tanh(a @ W) ** 2)
        du1 = du2 @ W.T * (1 - a * a)
        return {"du": np.stack([du1, du2]), "dx": du1 @ W.T, "dW": x.T @ du1 + a.T @ du2}

    def step(self, x, W):
        return self.scale * x @ W, (x, W)

    def step_backward(self, dout, cache):
        x, W = cache
        return self.scale * dout @ W.T, self.scale * x.T @ dout


def test_methods_and_functions_inside_of_them():
    net = Methods()
    report = check_backward(net.forward, net.backward, X, W)
    assert report.verdict == "right" and report.tensors["du"].note == "taken for all runs, along axis 0", str(report)
    assert check_backward(net.step, net.step_backward, X, W).verdict == "right"


# -- what to write -----------------------------------------------------------------------------------------------------


def yields(x):
    yield x


async def later(x, dy):
    return dy


class Twice(Square):
    def backward(self, dh, dc):
        return dh


@pytest.mark.parametrize(("check", "said"), [
    (lambda: check_layer(Square(), X, cell="rnn"),
     "check_layer: cell is the string 'rnn', should be cell=tg.rnn, without quotes"),
    (lambda: check_backward(yields, lambda x, dy: dy, X),
     "check_backward: yields is a generator, should return its result: it has a yield"),
    (lambda: check_backward(lambda x: x, later, X), "check_backward: later is async, should be a plain def"),
    (lambda: check_loss(yields, X), "check_loss: yields is a generator"),
    (lambda: check_layer(Square(), X, cell="elman"),
     "check_layer: cell is the string 'elman', should be a cell such as cell=tg.lstm (rnn, lstm, gru,"),
    (lambda: check_layer(Square(), X, cell=3), "check_layer: cell is a int, should be a cell: equations under @cell"),
    (lambda: check_layer(Square, X), "check_layer: Square is a class, should be a layer: Square(...)"),
    (lambda: check_layer(Square(), {"x": X}),
     "check_layer: Square.forward(x) is handed a dict and raises TypeError: unsupported operand"),
    (lambda: check_layer(Square(), {"x": X}), "inputs are handed over one by one: check_layer(layer, inputs['x'])"),
    (lambda: check_layer(Square(), X, X),
     "check_layer: Square.forward(x) is handed 2 inputs, should be check_layer(layer, x)"),
    (lambda: check_layer(Square()), "check_layer: Square.forward(x) is handed 0 inputs, should be"),
    (lambda: check_layer(Twice(), X),
     "check_layer: Twice.backward(dh, dc) should take 1: a gradient by each output of forward, (4, 3)"),
    (lambda: check_backward(step_backward, step_forward, X),
     "check_backward: step_backward is handed over first and step_forward second, should be the forward and then its "
     "backward: check_backward(step_forward, step_backward, ...)"),
    (lambda: check_backward(lstm_backward, tg.lstm), "should be the forward and then its backward: "
     "check_backward(lstm, lstm_backward, ...)"),
    (lambda: check_backward("lstm", lstm_backward),
     "check_backward: cell is the string 'lstm', should be cell=tg.lstm"),
    (lambda: check_backward(tg.rnn, Square()),
     "check_backward: backward is a Square, should be a function; a layer, an object with forward and "
     "backward, is for check_layer"),
    (lambda: check_backward(tg.rnn, Square), "check_backward: backward is the class Square, should be a function"),
    (lambda: check_backward(thrice, thrice_back, X),
     "check_backward: thrice(x, W) is handed 1 input, should be check_backward(thrice, thrice_back, x, W)"),
    (lambda: check_backward(step_forward, step_backward, X, X), "check_backward: step_forward(x, prev_h, Wx, Wh, b) is "
     "handed 2 inputs, should be check_backward(step_forward, step_backward, x, prev_h, Wx, Wh, b)"),
    (lambda: check_backward(thrice, lambda x, dy: 0, X, W),
     "check_backward: backward(x, dy) should be called as backward(x, W, dy)"),
    (lambda: check_backward(thrice, lambda x, W, dy: 0, X, W),
     "check_backward: backward returned a int, should be a dict such as {'dx': ..., 'dW': ...}, or a tuple "
     "in that order"),
    (lambda: check_backward(lambda x: x, lambda dy, cache: dy, X),
     "check_backward: forward returns a ndarray, should be out, cache: backward(dy, cache) takes a cache"),
])  # fmt: skip
def test_a_refusal_says_what_to_write(check, said):
    with pytest.raises(TypeError) as refused:
        check()
    assert said in str(refused.value)


@pytest.mark.parametrize(("shape", "said"), [((5, 4, 3), "1/N = 1/4 too many"), ((4, 5, 3), "1/N = 1/4 too many")])
def test_a_mean_over_the_batch_is_told_whether_time_leads_or_not(shape, said):
    batch = shape.index(4)

    def forward(xs, h, b):
        return xs + np.expand_dims(h, 1 - batch) + b, None

    def backward(dys, cache):
        return dys, dys.sum(1 - batch), dys.mean(batch).sum(0)

    report = check_backward(forward, backward, r(shape), r((4, 3)), r(3))
    assert [each.text for each in report.diagnoses if each.tensor == "db"] == [
        f"db: has a factor {said}: a mean over the batch where a sum should be"], str(report)  # fmt: skip


def test_why_nothing_was_compared_is_said():
    class Model:
        W = np.ones((3, 2))

    model = Model()

    def loss_of_model(labels):
        return 0.5 * np.sum(model.W[labels] ** 2), model.W

    report = check_loss(loss_of_model, np.array([0, 2]))
    assert report.verdict == "unchecked" and "attributes of the object whose method is checked" in str(report)
