"""Nothing is absolute: a flipped sign is caught at gradients of 1e-12 and of 1e12, and the right rule passes there."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.layers_by_hand import LSTM, Layer
from tinygrad_rnn import cell, check_backward, check_gradients, check_layer
from tinygrad_rnn.cells.cell import Param
from tinygrad_rnn.engine.op import OPS, op

SCALES = [10.0**n for n in range(-12, 13, 3)]
rng = np.random.default_rng(0)


@pytest.fixture(scope="module")
def flipped():
    """A tanh whose rule has the wrong sign."""

    @op(name="flipped_tanh", arguments="x", numpy=[])
    def flipped_tanh(x):
        return np.tanh(x)

    flipped_tanh.vjp(x=lambda dy, y: -dy * (1 - y * y))
    yield flipped_tanh
    del OPS["flipped_tanh"]


# -- autograd --------------------------------------------------------------------------------------------------------

INPUTS = (rng.standard_normal((3, 4)), rng.standard_normal((4, 5)) / 2)

#: Where the scale comes in: a function of the activation, its inputs and the scale.
FORMS = {
    "of the output": lambda f, x, w, s: f(x @ w) * s,
    "of the sum": lambda f, x, w, s: (f(x @ w) * s).sum(),
    "of the output, beside 1": lambda f, x, w, s: f(x @ w) * s + 1.0,
    "of the inputs": lambda f, x, w, s: f((x / s) @ w),
    "within": lambda f, x, w, s: tg.exp(f(x @ w)) * s,
}


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("form", FORMS)
def test_a_rule_with_a_flipped_sign_is_caught_and_the_right_one_passes(flipped, form, scale):
    x, w = INPUTS
    x = x * scale if form == "of the inputs" else x
    f = FORMS[form]
    right = check_gradients(lambda x, w: f(tg.tanh, x, w, scale), x, w)
    assert right.ok and right.first_wrong is None, str(right)
    wrong = check_gradients(lambda x, w: f(flipped, x, w, scale), x, w)
    assert [row.verdict for row in wrong.tensors.values()] == ["wrong", "wrong"], str(wrong)
    assert wrong.tensors["dw"].rel_error == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("scale", SCALES)
def test_float32_too(flipped, scale):
    x, w = (one.astype("f") for one in INPUTS)
    assert check_gradients(lambda x, w: tg.tanh(x @ w) * np.float32(scale), x, w).ok
    assert check_gradients(lambda x, w: flipped(x @ w) * np.float32(scale), x, w).verdict == "wrong"


@pytest.mark.parametrize("scale", SCALES)
def test_a_small_wrong_gradient_beside_a_large_right_one(flipped, scale):
    report = check_gradients(lambda x, w: tg.sin(x).sum() + (flipped(w) * scale).sum(), *INPUTS)
    assert {name: row.verdict for name, row in report.tensors.items()} == {"dx": "right", "dw": "wrong"}


# -- by hand ---------------------------------------------------------------------------------------------------------


def by_hand(scale, sign):
    """A cell and its backward by hand, all gradients but one times a scale."""

    @cell
    def scaled(x, h, *, Wx=Param("D H"), b=Param("H")):
        h = tg.tanh(x @ Wx + b) * scale + h
        return h

    def backward(x, h, *, Wx, b, dh):
        y = np.tanh(x @ Wx + b)
        da = sign * dh * scale * (1 - y * y)
        return {"dx": da @ Wx.T, "dh": dh, "dWx": x.T @ da, "db": da.sum(axis=0)}

    return scaled, backward


@pytest.mark.parametrize("scale", SCALES)
def test_by_hand_a_flipped_sign_is_caught_and_the_right_code_passes(scale):
    assert check_backward(*by_hand(scale, 1)).verdict == "right"
    report = check_backward(*by_hand(scale, -1))
    assert report.first_wrong == "dx" and report.tensors["dWx"].rel_error == pytest.approx(2)
    assert [name for name, row in report.tensors.items() if row.verdict == "wrong"] == ["dx", "dWx", "db"]


class Scaled(Layer):
    """tanh of an affine map, times a scale."""

    def __init__(self, scale, sign):
        super().__init__(W=(4, 3), b=3)
        self.scale, self.sign = scale, sign

    def forward(self, x):
        self.x, self.y = x, np.tanh(x @ self.W + self.b)
        return self.y * self.scale

    def backward(self, dy):
        da = self.sign * dy * self.scale * (1 - self.y**2)
        self.put(self.x.T @ da, da.sum(axis=0))
        return da @ self.W.T


class OneGate(LSTM):
    """An LSTM whose output gate has a flipped sign in its bias alone, and all gradients times a scale."""

    def __init__(self, scale, sign):
        super().__init__()
        self.scale, self.sign = scale, sign

    def forward(self, x, h, c):
        h, c = super().forward(x, h, c)
        return h * self.scale, c * self.scale

    def backward(self, dh, dc):
        return super().backward(dh * self.scale, dc * self.scale)

    def bias(self, dA):
        return dA.sum(axis=0) * np.repeat([1, 1, 1, self.sign], 3)


@pytest.mark.sampled(every=9)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("layer, inputs, caught", [
    (Scaled, [rng.standard_normal((5, 4))], ["dx", "dW", "db"]),
    (OneGate, [rng.standard_normal(shape) for shape in ((5, 4), (5, 3), (5, 3))], ["db"]),
])  # fmt: skip
def test_a_layer_with_a_flipped_sign_is_caught_and_the_right_one_passes(layer, inputs, caught, scale):
    right = check_layer(layer(scale, 1), *inputs)
    assert right.verdict == "right" and not right.diagnoses, str(right)
    wrong = check_layer(layer(scale, -1), *inputs)
    assert [name for name, row in wrong.tensors.items() if row.verdict == "wrong"] == caught, str(wrong)


# -- how often the user's forward runs -------------------------------------------------------------------------------


class ManyWeights:
    """A deep chain of small layers; ``factor`` is in all gradients."""

    def __init__(self, factor):
        weights = np.random.default_rng(1).standard_normal((8, 4, 4)) / 2
        self.params, self.grads = list(weights), [np.zeros((4, 4)) for _ in weights]
        self.factor, self.runs = factor, 0

    def forward(self, x):
        type(self).calls += 1
        self.saved = [x]
        for W in self.params:
            self.saved.append(np.tanh(self.saved[-1] @ W))
        return self.saved[-1]

    def backward(self, dy):
        dh = dy * self.factor
        for k in reversed(range(len(self.params))):
            da = dh * (1 - self.saved[k + 1] ** 2)
            self.grads[k][...] = self.saved[k].T @ da
            dh = da @ self.params[k].T
        return  # dx, which nobody needs


@pytest.mark.parametrize("factor, verdict, most", [(1, "right", 400), (2, "wrong", 1500)])
def test_a_gradient_that_is_missing_or_far_off_does_not_cost_needless_runs(factor, verdict, most, monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.check.layer.explain", lambda *args, **named: None)  # the table alone
    monkeypatch.setattr(ManyWeights, "calls", 0, raising=False)
    report = check_layer(ManyWeights(factor), rng.standard_normal((5, 4)))
    assert report.verdict == verdict and report.tensors["dx"].verdict == "unchecked", str(report)
    assert 128 <= ManyWeights.calls <= most
