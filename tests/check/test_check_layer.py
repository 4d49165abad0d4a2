"""Layers by hand: right ones pass at any scale, every planted mistake is caught, and what is said of it is so."""

import copy
import json

import numpy as np
import pytest

from helpers.layers_by_hand import GRU, LSTM, RNN, Affine, Embedding, Layer, Relu, SoftmaxLoss, TimeRNN, sigmoid
from tinygrad_rnn.check import check_layer
from tinygrad_rnn.check.timeout import limited
from tinygrad_rnn.errors import CheckError

r = np.random.default_rng(0).standard_normal
X, H, C, XS, IDS = r((5, 4)), r((5, 3)), r((5, 3)), r((5, 6, 3)), np.array([1, 0, 3, 2, 0])

RIGHT = {
    "rnn": (RNN(), X, H),
    "lstm": (LSTM(), X, H, C),
    "gru": (GRU(), X, H),
    "over time": (TimeRNN(dtype="d"), XS),
    "over time, float32 given": (TimeRNN(dtype="d"), XS.astype("f")),
    "over time, stateful": (TimeRNN(stateful=True, dtype="d"), XS),
    "affine": (Affine(), X),
    "affine, large": (Affine(30, 20), r((4, 30))),
    "embedding": (Embedding(), IDS),
    "loss": (SoftmaxLoss(), X, IDS),
}


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_layer_is_right(name):
    report = check_layer(*RIGHT[name])
    assert (report.verdict, report.first_wrong, report.diagnoses) == ("right", None, []), str(report)
    report.assert_ok()


def test_rows_have_the_names_of_the_code():
    assert list(check_layer(LSTM(), X, H, C).tensors) == ["dx", "dh", "dc", "dWx", "dWh", "db"]
    assert list(check_layer(Listed(), X).tensors)[1:] == ["dparams[0]", "dparams[1]"]


class Listed(Affine):
    """Its parameters are in the list only."""

    def __init__(self):
        super().__init__()
        del self.W, self.b

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dy):
        self.grads = [self.x.T @ dy, dy.sum(axis=0)]
        return dy @ self.params[0].T


# -- mistakes that people make ---------------------------------------------------------------------------------------


class ActivationAgain(RNN):
    def backward(self, dnew):
        x, h, new = self.cache
        da = dnew * np.tanh(new)
        self.put(x.T @ da, h.T @ da, da.sum(axis=0))
        return da @ self.Wx.T, da @ self.Wh.T


class BiasOfAnotherGate(LSTM):
    def bias(self, dA):
        f, *_ = np.split(dA.sum(axis=0), 4)
        return np.hstack([f, f, f, np.split(dA.sum(axis=0), 4)[3]])


class AveragedOverTime(TimeRNN):
    def backward(self, dhs):
        dxs = super().backward(dhs)
        self.put(*(g / dhs.shape[1] for g in self.grads))
        return dxs


class SumForAMean(SoftmaxLoss):
    def backward(self, dy=1.0):
        return super().backward(dy) * len(self.p)


class StateFromLastStep(TimeRNN):
    def backward(self, dhs):
        for step in self.steps:
            step.cache = (step.cache[0], 0 * step.cache[1], step.cache[2])
        return super().backward(dhs)


WRONG = {
    "activation again": (ActivationAgain(), (X, H), "dx", None),
    "bias of another gate": (BiasOfAnotherGate(), (X, H, C), "db", None),
    "averaged over T": (AveragedOverTime(dtype="d"), (XS,), "dWx", "factor T"),
    "averaged over T, float32": (AveragedOverTime(), (XS,), "dWx", None),
    "sum for a mean": (SumForAMean(), (X, IDS), "dx", "factor N"),
    "state forgotten": (StateFromLastStep(dtype="d"), (XS,), "dWh", "missing"),
}


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_caught_and_told(name):
    layer, inputs, first, kind = WRONG[name]
    report = check_layer(layer, *inputs)
    assert (report.ok, report.verdict, report.first_wrong) == (False, "wrong", first)
    assert kind is None or kind in [one.kind for one in report.diagnoses if one.tensor == first]
    assert not any(one.kind.startswith("protocol") for one in report.diagnoses)
    with pytest.raises(CheckError, match="first wrong"):
        report.assert_ok()


def test_two_biases_copied_from_a_third_are_wrong_by_element():
    row = check_layer(BiasOfAnotherGate(), X, H, C).tensors["db"]
    assert 3 <= row.worst["index"][0] < 9


# -- scale, precision, kinks -----------------------------------------------------------------------------------------


class Scaled(Layer):
    def __init__(self, scale, sign=1, offset=0.0):
        super().__init__(w=3)
        self.scale, self.sign, self.offset = scale, sign, offset

    def forward(self, x):
        self.x = x
        return self.offset + self.scale * np.sin(x * self.w)

    def backward(self, dy):
        da = self.sign * self.scale * dy * np.cos(self.x * self.w)
        self.put((da * self.x).sum(axis=0))
        return da * self.w


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-8, 1e-4, 1.0, 1e4, 1e12])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_a_sign_is_seen_and_a_right_rule_passes_at_any_scale(scale, offset):
    assert check_layer(Scaled(scale, offset=offset), X[:, :3]).verdict == "right"
    report = check_layer(Scaled(scale, -1, offset), X[:, :3])
    assert report.verdict == "wrong" and {row.verdict for row in report.tensors.values()} == {"wrong"}
    assert {diagnosis.kind for diagnosis in report.diagnoses} == {"sign"}


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize("T", [1, 6, 20])
def test_a_layer_that_forces_float32_is_not_wrong(T, stateful):
    report = check_layer(TimeRNN(stateful=stateful), r((2, T, 3)))
    assert report.verdict in ("right", "precision") and not report.diagnoses, str(report)
    assert "float32" in report.notes[-1]


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("factor", [-1, 1.01, 0.5])
def test_a_mistake_in_a_layer_that_forces_float32_is_wrong(factor):
    class Wrong(TimeRNN):
        def backward(self, dhs):
            return super().backward(dhs) * np.float32(factor)

    assert check_layer(Wrong(), XS).first_wrong == "dxs"


def test_elements_at_a_kink_are_left_out_and_the_others_are_not():
    x = np.array([[0.0, 1.0, -1.0], [0.5, 0.0, 2.0]])
    report = check_layer(Relu(), x)
    assert report.ok and report.tensors["dx"].note == "2 at a kink left out"

    class Wrong(Relu):
        def backward(self, dy):
            return np.where(self.mask, dy, 0.1 * dy)

    assert check_layer(Wrong(), x).verdict == "wrong"


def test_where_rounding_explodes_nothing_is_passed():
    layer = TimeRNN(20, 60)
    layer.Wh *= 6
    report = check_layer(layer, r((3, 20, 20)))
    assert report.verdict == "unchecked", str(report)


# -- what is not a layer, and what is hard to copy -------------------------------------------------------------------


def test_the_layer_is_not_touched():
    layer = TimeRNN(stateful=True)
    layer.forward(XS)
    before = copy.deepcopy(vars(layer))
    check_layer(layer, XS)
    assert layer.grads[0].dtype == np.float32 and not layer.grads[0].any()
    np.testing.assert_array_equal(layer.h, before["h"])


def test_views_of_a_parameter_stay_views():
    class Sliced(Affine):
        def __init__(self):
            super().__init__(4, 6)
            self.left, self.right = self.W[:, :2], self.W[:, 2:]

        def forward(self, x):
            self.x = x
            return np.hstack([x @ self.left, x @ self.right]) + self.b

    assert check_layer(Sliced(), X).verdict == "right"


def test_a_parameter_that_stands_twice_has_the_sum():
    class Tied(Layer):
        def __init__(self):
            super().__init__(W=(4, 4))
            self.params, self.grads = [self.W, self.W], [np.zeros((4, 4)), np.zeros((4, 4))]

        def forward(self, x):
            self.x, self.y = x, np.tanh(x @ self.W)
            return self.y @ self.W

        def backward(self, dy):
            da = dy @ self.W.T * (1 - self.y**2)
            self.put(self.x.T @ da, self.y.T @ dy)
            return da @ self.W.T

    assert check_layer(Tied(), X).verdict == "right"


def test_what_is_no_layer_is_refused():
    with pytest.raises(TypeError, match="check_layer: Affine is a class, should be a layer"):
        check_layer(Affine, X)
    with pytest.raises(TypeError, match="check_layer: object has no forward, backward, should be a layer"):
        check_layer(object(), X)


def test_what_cannot_be_copied_is_refused():
    layer = Affine()
    layer.rows = (row for row in X)
    with pytest.raises(TypeError, match="check: Affine cannot be copied, should be, for each call"):
        check_layer(layer, X)


def test_nothing_to_check_is_no_pass():
    layer = Layer()
    layer.forward = lambda ids: sigmoid(ids)
    layer.backward = lambda dy: None
    report = check_layer(layer, IDS)
    assert (report.ok, report.verdict) == (False, "unchecked")


def test_the_report_is_data():
    data = json.loads(check_layer(AveragedOverTime(dtype="d"), XS).to_json())
    assert data["first_wrong"] == "dWx" and data["diagnoses"][0]["kind"] == "factor T"


class Correlation(Layer):
    """Three taps over time, which need some steps to run."""

    def __init__(self):
        super().__init__(W=(3, 2))

    def forward(self, x):
        self.x = x
        return sum(x[:, k : k + 4] @ self.W[k] for k in range(3))

    def backward(self, dy):
        dx = np.zeros_like(self.x)
        for k in range(3):
            dx[:, k : k + 4] += dy[..., None] * self.W[k]
        dW = np.stack([np.einsum("nt,ntd->d", dy, self.x[:, k : k + 4]) for k in range(3)])
        self.put(self.twice * dW)
        return dx

    twice = 1


def test_a_layer_that_does_not_run_on_fewer_steps():
    xs = r((3, 6, 2))
    assert check_layer(Correlation(), xs).verdict == "right"
    wrong = Correlation()
    wrong.twice = 2
    report = check_layer(wrong, xs)
    assert report.first_wrong == "dW" and "factor" in [one.kind for one in report.diagnoses], str(report)


def test_a_search_that_reaches_the_time_limit_leaves_the_verdict(monkeypatch):
    def endless(job):
        while True:
            pass

    monkeypatch.setattr("tinygrad_rnn.check.mistakes.diagnoses", endless)
    class Doubled(Affine):
        def backward(self, dy):
            return 2 * super().backward(dy)

    with limited("the whole", 1.0):
        report = check_layer(Doubled(), X)
    assert report.verdict == "wrong" and any("time limit" in note for note in report.notes), str(report)
