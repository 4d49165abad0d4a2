"""What callers rely on beside the numbers, of functions and of layers, and what a layer is compared with."""

import random

import numpy as np
import pytest

from helpers.bptt_by_hand import lstm_in_the_loop
from helpers.layers_by_hand import LSTM, RNN, Affine, Layer, TimeRNN, sigmoid
from tinygrad_rnn import gru, lstm, rnn
from tinygrad_rnn.check import check_backward, check_layer
from tinygrad_rnn.cli.demo_backward import lstm_backward

FEW = {"N": 3, "T": 4, "D": 2, "H": 5}
r = np.random.default_rng(0).standard_normal
X, H, C, XS = r((5, 4)), r((5, 3)), r((5, 3)), r((5, 6, 3))


def said(report):
    return [(one.kind, one.tensor) for one in report.diagnoses]


def manners(report):
    return [one for one in said(report) if one[0].startswith("protocol")]


# -- a backward over time --------------------------------------------------------------------------------------------


def spoilt(change):
    """The right one, and what ``change`` makes of its gradients and of what it was handed."""
    def backward(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):
        found = lstm_in_the_loop(xs, h, c, Wx=Wx, Wh=Wh, b=b, dhs=dhs, dh=dh, dc=dc)
        return change(found, {"xs": xs, "h": h, "c": c, "Wx": Wx, "dhs": dhs, "dh": dh, "dc": dc}) or found

    return backward


def leaks(found, given):
    found["dxs"][:, 1:] += 0.1 * found["dxs"][:, :-1]


def mixes(found, given):
    found["dxs"] -= found["dxs"].mean(axis=0)


def decays(found, given):
    found["dWx"] += 0.01 * given["Wx"]


def clips(found, given):
    found["dh"] = np.clip(found["dh"], -1e-3, 1e-3)


def writes_dhs(found, given):
    given["dhs"] *= 2


def writes_weights(found, given):
    given["Wx"] -= 0.1 * found["dWx"]


def writes_states(found, given):
    given["c"][...] = 0


def draws(found, given):
    found["db"] = found["db"] * (1 + 1e-6 * np.random.default_rng().standard_normal())


#: What is amiss: the manner, and of what; whether the numbers are wrong as well.
AMISS = {
    leaks: ("causal", "dxs", True), mixes: ("batch", "dxs", True), decays: ("zero", "dWx", True),
    clips: ("linear", "dh", True), writes_dhs: ("modified", "dhs that comes in", False),
    writes_weights: ("modified", "Wx", False), writes_states: ("modified", "c", False), draws: ("again", "db", False),
}  # fmt: skip


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("change", AMISS)
def test_a_broken_promise_over_time_is_told(change):
    kind, tensor, numbers = AMISS[change]
    report = check_backward(lstm, spoilt(change), sizes=FEW)
    assert (f"protocol: {kind}", tensor) in manners(report) and not report.ok
    assert (report.first_wrong is not None) is numbers


def test_none_is_broken_by_the_right_one():
    assert check_backward(lstm, spoilt(lambda found, given: None), sizes=FEW).diagnoses == []


def test_causality_is_not_asked_where_there_is_no_later_step():
    report = check_backward(lstm, spoilt(leaks), sizes={**FEW, "T": 1})
    assert report.verdict == "right"


def test_memory_that_is_shared_is_told_and_no_mistake():
    def backward(x, w, dy):
        return {"dx": dy.copy(), "dw": dy.copy()}

    assert check_backward(lambda x, w: x + w, backward, X, X).notes == []
    report = check_backward(lambda x, w: x + w, lambda x, w, dy: {"dx": dy, "dw": dy}, X, X)
    assert report.verdict == "right" and [note.split(":")[0] for note in report.notes] == ["dx", "dw", "dx"]


@pytest.mark.parametrize("value, note", [(None, "is None"), ("text", "is no array of numbers")])
def test_what_is_no_array_is_wrong(value, note):
    report = check_backward(lstm, lambda *a, **k: {**lstm_backward(*a, **k), "dWh": value})
    assert (report.verdict, report.first_wrong, report.tensors["dWh"].note) == ("wrong", "dWh", note)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_wrong_and_not_explained(bad):
    def one(found, given):
        found["dWh"][1, 2] = bad

    report = check_backward(lstm, spoilt(one), sizes=FEW)
    assert (report.verdict, report.first_wrong) == ("wrong", "dWh") and report.tensors["dWh"].worst["index"] == (1, 2)
    assert [one for one in report.diagnoses if not one.kind.startswith("protocol")] == []


# -- layers: what they draw ------------------------------------------------------------------------------------------


class Dropout(Layer):
    """Its mask from NumPy's global generator; ``sign`` spoils its backward."""

    sign = 1

    def draw(self, shape):
        return np.random.uniform(size=shape) < 0.5

    def forward(self, x):
        self.mask = self.draw(x.shape)
        return x * self.mask

    def backward(self, dy):
        return self.sign * dy * self.mask


class FromPython(Dropout):
    def draw(self, shape):
        return np.array([random.random() < 0.5 for _ in range(np.prod(shape))]).reshape(shape)


class FromNowhere(Dropout):
    def draw(self, shape):
        return np.random.default_rng().uniform(size=shape) < 0.5


class FromItsOwn(Dropout):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(3)

    def draw(self, shape):
        return self.rng.uniform(size=shape) < 0.5


@pytest.mark.parametrize("layer, named", [
    (Dropout, "it draws from NumPy's global generator, np.random"),
    (FromPython, "it draws from Python's generator, random"),
    (FromNowhere, "it draws from a generator"),
])  # fmt: skip
def test_a_forward_that_does_not_repeat_is_unchecked_and_told_why(layer, named):
    report = check_layer(layer(), X)
    assert (report.verdict, said(report)) == ("unchecked", [("protocol: repeats", "")])
    assert named in report.diagnoses[0].text and "give seed=0" in report.diagnoses[0].text


@pytest.mark.parametrize("layer", [Dropout, FromPython])
def test_a_seed_makes_it_repeat_and_leaves_the_generators_alone(layer):
    before, plain = np.random.get_state()[1:3], random.getstate()
    assert check_layer(layer(), X, seed=0).verdict == "right"
    layer = type("Wrong", (layer,), {"sign": -1})
    report = check_layer(layer(), X, seed=0)
    assert report.first_wrong == "dx" and ("sign", "dx") in said(report)
    assert random.getstate() == plain
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert np.random.get_state()[2] == before[1]


def test_a_seed_is_of_no_use_to_a_generator_that_is_made_anew():
    assert check_layer(FromNowhere(), X, seed=0).verdict == "unchecked"


def test_reset_is_called_before_each_forward():
    def reset(layer):
        layer.draw = lambda shape: np.random.default_rng(1).uniform(size=shape) < 0.5

    assert check_layer(FromNowhere(), X, reset=reset).verdict == "right"


def test_a_generator_of_its_own_repeats_on_each_copy_and_is_told():
    layer = FromItsOwn()
    state = layer.rng.bit_generator.state
    report = check_layer(layer, X)
    assert report.verdict == "right" and "a random generator of its own" in report.notes[0]
    assert layer.rng.bit_generator.state == state


# -- layers: add or write over, and what they keep -------------------------------------------------------------------


class Adds(RNN):
    def put(self, *grads):
        for old, new in zip(self.grads, grads):
            old += new


@pytest.mark.parametrize("layer, adds", [(RNN, False), (Adds, True)])
@pytest.mark.parametrize("asked", [None, True, False])
def test_it_adds_or_writes_over_as_declared(layer, adds, asked):
    report = check_layer(layer(), X, H, accumulates=asked)
    kept = asked is None or asked == adds
    assert report.verdict == ("right" if kept else "wrong")
    assert said(report) == ([] if kept else [("protocol: accumulates", "")])
    told = {True: "writes over grads, should add", False: "adds to grads, should write over"}
    assert kept or told[asked] in report.diagnoses[0].text


class AddsHalf(RNN):
    """Neither: the second time it adds, but half as much of the first as there was."""

    def put(self, *grads):
        for old, new in zip(self.grads, grads):
            old[...] = old / 2 + new


def test_what_is_neither_is_told():
    report = check_layer(AddsHalf(), X, H)
    assert [one for one in manners(report) if one[0] == "protocol: again"] == [
        ("protocol: again", name) for name in ("dWx", "dWh", "db")
    ]


class Rebinds(Affine):
    """Puts other arrays into ``grads``."""

    def put(self, *grads):
        for k, new in enumerate(grads):
            self.grads[k] = new


def test_a_gradient_that_is_another_array_is_told():
    report = check_layer(Rebinds(), X)
    text = "backward puts other arrays into grads: an optimiser that holds the old ones sees nothing; write into them"
    assert report.verdict == "right" and report.notes == [f"{text}, grads[0][...] = g"]
    assert check_layer(Affine(), X).notes == []


class ChangesItsCache(RNN):
    def backward(self, dnew):
        found = super().backward(dnew)
        self.cache[2][...] = 0
        return found


def test_a_cache_that_is_written_into_is_told():
    report = check_layer(ChangesItsCache(), X, H)
    assert report.verdict == "right" and "backward can be called once after each forward" in report.notes[0]


@pytest.mark.parametrize("stateful", [False, True])
def test_a_state_that_is_kept_is_told(stateful):
    report = check_layer(TimeRNN(stateful=stateful, dtype="d"), XS[:, :3])
    assert report.verdict == "right" and bool(report.notes) is stateful
    assert not stateful or "keeps a state" in report.notes[0]


# -- layers: what they are compared with -----------------------------------------------------------------------------


class WrongLSTM(LSTM):
    """``df`` from the new memory; the derivative of the output gate's sigmoid may be left out as well."""

    def backward(self, dh, dc):
        x, h, c, f, g, i, o, new = self.cache  # noqa: RUF059 (the right line reads c)
        t = np.tanh(new)
        ds = dc + dh * o * (1 - t * t)
        dA = np.hstack([ds * new * f * (1 - f), ds * i * (1 - g * g), ds * g * i * (1 - i), dh * t * o * (1 - o)])
        self.put(x.T @ dA, h.T @ dA, self.bias(dA))
        return dA @ self.params[0].T, dA @ self.params[1].T, ds * f


@pytest.mark.parametrize("cell", [None, lstm])
def test_a_mistake_is_told_by_its_line(cell, searched):
    report = check_layer(WrongLSTM(), X, H, C, cell=cell)
    (line,) = report.diagnoses
    assert line.function == "WrongLSTM.backward" and "ds * c * f * (1 - f)" in line.new and report.notes == []


class Negative(TimeRNN):
    def backward(self, dhs):
        return -super().backward(dhs)


def test_a_forward_that_writes_into_an_array_is_checked_by_numbers():
    for cell in (None, rnn):
        report = check_layer(Negative(dtype="d"), XS[:, :3], cell=cell)
        assert report.first_wrong == "dxs" and [one.text for one in report.diagnoses] == ["dxs: its sign is flipped"]
        assert report.notes == [] and report.smallest == {"N": 1, "T": 1}


class Half(RNN):
    """Half of the state goes in: rightly gone back through, but not the cell ``rnn``."""

    sign = 1

    def forward(self, x, h):
        return super().forward(x, h / 2)

    def backward(self, dnew):
        dx, dh = super().backward(dnew)
        return self.sign * dx, dh / 2


class OutputFirst(LSTM):
    """Its gates in the order o f g i."""

    def forward(self, x, h, c):
        o, f, g, i = np.split(x @ self.Wx + h @ self.Wh + self.b, 4, axis=1)
        f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
        new = f * c + g * i
        self.cache = x, h, c, f, g, i, o, new
        return o * np.tanh(new), new

    def backward(self, dh, dc):
        x, h, c, f, g, i, o, new = self.cache
        ds = dc + dh * o * (1 - np.tanh(new) ** 2)
        do = dh * np.tanh(new)
        dA = np.hstack([do * o * (1 - o), ds * c * f * (1 - f), ds * i * (1 - g * g), ds * g * i * (1 - i)])
        self.put(x.T @ dA, h.T @ dA, dA.sum(axis=0))
        return dA @ self.Wx.T, dA @ self.Wh.T, ds * f


class NewMemory(LSTM):
    """Returns the memory for the state, and rightly goes back through that."""

    def forward(self, x, h, c):
        return super().forward(x, h, c)[1]

    def backward(self, dc):
        return super().backward(0 * dc, dc)


class LastIsFirst(TimeRNN):
    """Returns all states, the last of them in the place of the first."""

    def forward(self, xs):
        hs = super().forward(xs)
        return np.concatenate([hs[:, -1:], hs[:, 1:]], axis=1)

    def backward(self, dhs):
        return super().backward(np.concatenate([0 * dhs[:, :1], dhs[:, 1:-1], dhs[:, -1:] + dhs[:, :1]], axis=1))


@pytest.mark.parametrize("layer, inputs, cell", [
    (Half, (X, H), rnn), (NewMemory, (X, H, C), lstm), (lambda: LastIsFirst(dtype="d"), (XS[:, :3],), rnn),
])  # fmt: skip
def test_a_forward_that_is_not_the_cells_is_wrong_and_its_gradients_are_not(layer, inputs, cell):
    report = check_layer(layer(), *inputs, cell=cell)
    assert (report.verdict, said(report)) == ("wrong", [("protocol: forward", "")])
    assert report.diagnoses[0].text.split(" by ")[0] == f"output 0 of forward differs from that of the cell {cell.name}"
    assert {row.verdict for row in report.tensors.values()} == {"right"}
    report = check_layer(layer(), *inputs)
    assert (report.verdict, report.notes) == ("right", [])


def test_and_a_mistake_in_it_is_told_by_its_own_forward():
    report = check_layer(type("Wrong", (Half,), {"sign": -1})(), X, H, cell=rnn)
    assert report.first_wrong == "dx" and ("protocol: forward", "") in said(report)
    assert "sign" in [one.kind for one in report.diagnoses]


def test_gates_in_another_order_are_the_cells_and_told():
    report = check_layer(OutputFirst(), X, H, C, cell=lstm)
    assert (report.verdict, report.diagnoses) == ("right", [])
    assert report.notes == ["forward is that of lstm, read as gates o f g i"]


@pytest.mark.parametrize("layer, inputs, cell", [(RNN, (X, H), gru), (Affine, (X,), rnn)])
def test_what_cannot_be_compared_with_the_cell_is_unchecked(layer, inputs, cell):
    report = check_layer(layer(), *inputs, cell=cell)
    assert (report.verdict, said(report)) == ("unchecked", [("protocol: compared", "")])
    assert f"forward cannot be compared with the cell {cell.name}: no reading of x (5, 4)" in report.diagnoses[0].text


class Sliced(RNN):
    """Its recurrent weight is a view of one array with the other; ``sign`` spoils its backward."""

    sign = 1

    def __init__(self):
        super().__init__()
        self.W = np.vstack([self.Wx, self.Wh])
        self.Wx, self.Wh = self.W[:4], self.W[4:]
        self.params, self.grads = [self.W, self.b], [np.zeros_like(self.W), np.zeros_like(self.b)]

    def put(self, dWx, dWh, db):
        super().put(np.vstack([self.sign * dWx, dWh]), db)


def test_views_of_a_parameter_are_checked_by_numbers():
    assert check_layer(Sliced(), X, H).verdict == "right"
    report = check_layer(type("Wrong", (Sliced,), {"sign": -1})(), X, H)
    assert report.first_wrong == "dW"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_backward_that_writes_into_what_comes_in_is_told_in_each_dtype(dtype):
    def backward(x, h, *, Wx, Wh, b, dh):
        dh *= 1 - np.tanh(x @ Wx + h @ Wh + b) ** 2
        return {"dWx": x.T @ dh, "dWh": h.T @ dh, "db": dh.sum(0), "dx": dh @ Wx.T, "dh": dh @ Wh.T}

    report = check_backward(rnn, backward, dtype=dtype)
    assert report.verdict == "wrong" and "dh that comes in: is modified" in str(report), str(report)
