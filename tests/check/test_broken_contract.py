"""What callers rely on beside the numbers: each promise is broken once on purpose, and told by its own kind."""

import numpy as np
import pytest

from helpers.layers_by_hand import LSTM, RNN, Affine, Layer
from tinygrad_rnn.check import check_layer

r = np.random.default_rng(0).standard_normal
X, H, C = r((5, 4)), r((5, 3)), r((5, 3))


class Dropout(Layer):
    def forward(self, x):
        self.mask = np.random.uniform(size=x.shape) < 0.5
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class OwnGenerator(Dropout):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        self.mask = self.rng.uniform(size=x.shape) < 0.5
        return x * self.mask


class WritesUpstream(LSTM):
    """dh is overwritten before its second use, for do."""

    def backward(self, dh, dc):
        dh *= 1 - np.tanh(self.cache[-1]) ** 2
        return super().backward(dh, dc)


class WritesUpstreamInVain(Affine):
    def backward(self, dy):
        dx = super().backward(dy)
        dy *= 0
        return dx


class WritesInput(Affine):
    def forward(self, x):
        x += 1
        return super().forward(x)


class WritesParams(Affine):
    def backward(self, dy):
        dx = super().backward(dy)
        self.W -= 0.1 * self.grads[0]
        return dx


class UsesItsCacheUp(RNN):
    def backward(self, dnew):
        x, h, new = self.cache
        out = super().backward(dnew)
        self.cache = x, h, 0 * new
        return out


class DropsItsCache(RNN):
    def backward(self, dnew):
        out = super().backward(dnew)
        del self.cache
        return out


class ForgetsAnInput(LSTM):
    def backward(self, dh, dc):
        return super().backward(dh, dc)[:2]


class FlatBias(Affine):
    def put(self, dW, db):
        self.grads = [dW, db[None]]


class NoneForBias(Affine):
    def put(self, dW, db):
        self.grads = [dW, None]


class MissingGrad(Affine):
    def put(self, dW, db):
        self.grads = [dW]


class NaN(Affine):
    def put(self, dW, db):
        self.grads = [dW, db * np.nan]


class Shared(Layer):
    def forward(self, x, h):
        return x + h

    def backward(self, dy):
        dx = dy.copy()
        return dx, dx


class SharedWithUpstream(Layer):
    def forward(self, x):
        return x + 1

    def backward(self, dy):
        return dy


class Constant(Affine):
    def backward(self, dy):
        return super().backward(dy) + 0.1


class Clips(Affine):
    def backward(self, dy):
        return np.clip(super().backward(dy), -5, 5)


class MixesRows(Affine):
    def backward(self, dy):
        dx = super().backward(dy)
        return dx - dx.mean(axis=0)


BROKEN = {
    "repeats": (Dropout, (X,), "protocol: repeats", ""),
    "modified upstream": (WritesUpstream, (X, H, C), "protocol: modified", "dy0"),
    "modified upstream in vain": (WritesUpstreamInVain, (X,), "protocol: modified", "dy"),
    "modified input": (WritesInput, (X,), "protocol: modified", "x"),
    "modified parameter": (WritesParams, (X,), "protocol: modified", "W"),
    "too few": (ForgetsAnInput, (X, H, C), "protocol: shape", ""),
    "shape": (FlatBias, (X,), "protocol: shape", "db"),
    "none": (NoneForBias, (X,), "protocol: none", "db"),
    "missing": (MissingGrad, (X,), "protocol: shape", ""),
    "nan": (NaN, (X,), "protocol: nan", "db"),
    "shared": (Shared, (X, X), "protocol: shared", "dx"),
    "shared with upstream": (SharedWithUpstream, (X,), "protocol: shared", "dx"),
    "zero": (Constant, (X,), "protocol: zero", "dx"),
    "linear": (Clips, (X,), "protocol: linear", "dx"),
    "batch": (MixesRows, (X,), "protocol: batch", "dx"),
}


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_told(name):
    layer, inputs, kind, tensor = BROKEN[name]
    report = check_layer(layer(), *inputs)
    assert (kind, tensor) in [(one.kind, one.tensor) for one in report.diagnoses], str(report)
    assert not report.ok
    assert report.verdict == ("unchecked" if name == "repeats" else "wrong")
    assert "\nprotocol: " in str(report)


@pytest.mark.parametrize("layer", [UsesItsCacheUp, DropsItsCache])
def test_a_cache_that_is_used_up_is_told_and_no_failure(layer):
    report = check_layer(layer(), X, H)
    assert (report.verdict, report.diagnoses) == ("right", [])
    assert report.notes == ["backward can be called once after each forward: it consumes, or changes, what forward has "
                            "saved"]  # fmt: skip


@pytest.mark.parametrize("layer", [Clips, WritesUpstreamInVain, SharedWithUpstream])
def test_numbers_are_compared_all_the_same(layer):
    report = check_layer(layer(), X)
    assert {row.verdict for row in report.tensors.values()} == {"right"} and report.first_wrong is None


def test_dropout_is_right_once_it_repeats():
    state = np.random.get_state()
    try:
        report = check_layer(Dropout(), X, reset=lambda layer: np.random.seed(0))
    finally:
        np.random.set_state(state)
    assert report.verdict == "right"


def test_a_generator_of_its_own_repeats_on_each_copy_and_is_told():
    report = check_layer(OwnGenerator(), X)
    assert report.verdict == "right" and "a random generator of its own" in report.notes[0]


def test_adding_to_grads_is_right_and_told():
    class Adds(RNN):
        def put(self, *grads):
            for old, new in zip(self.grads, grads):
                old += new

    report = check_layer(Adds(), X, H)
    assert report.verdict == "right" and report.notes == ["it adds to grads: set them to zero before each backward"]


def test_rows_that_the_forward_mixes_may_be_mixed():
    class Centred(Layer):
        def forward(self, x):
            return x - x.mean(axis=0)

        def backward(self, dy):
            return dy - dy.mean(axis=0)

    assert check_layer(Centred(), X).verdict == "right"
