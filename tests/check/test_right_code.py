"""Right code is never failed: by autograd and by hand, in float32 and float64, short and long, small and large."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.layer_writer import layer_and_input, written
from helpers.layers_by_hand import GRU, LSTM, RNN, Layer, Relu, sigmoid
from helpers.over_time import OverTime, by_hand
from tinygrad_rnn import check_backward, check_gradients, check_layer, scan
from tinygrad_rnn.tracing.sample import sample

CELLS = {"rnn": (tg.rnn, RNN), "lstm": (tg.lstm, LSTM), "gru": (tg.gru, GRU)}


# -- 200 configurations ----------------------------------------------------------------------------------------------


def up_to(rng, most):
    """A size from 1 to ``most``, small ones as likely as large ones."""
    return int(np.exp(rng.uniform(0, np.log(most + 1))))


def step_by_autograd(rng, cell, step, dtype):
    sizes = {"N": up_to(rng, 5), "D": up_to(rng, 16), "H": up_to(rng, 64)}
    given = sample(cell, rng, sizes)
    order = [cell.input, *cell.states]
    arrays = {name: x.astype(dtype) for name, x in given.items()}
    return check_gradients(cell, *[arrays.pop(name) for name in order], **arrays)


def scan_by_autograd(rng, cell, step, dtype):
    N, T, D, H = up_to(rng, 3), up_to(rng, 12), up_to(rng, 8), up_to(rng, 24)
    params = cell.init(rng, D=D, H=H, dtype=dtype)
    xs = rng.standard_normal((N, T, D)).astype(dtype)
    return check_gradients(lambda xs, params: scan(cell, xs, None, params), xs, params)


def step_by_hand(rng, cell, step, dtype):
    sizes = {"N": up_to(rng, 5), "D": up_to(rng, 16), "H": up_to(rng, 64)}
    return check_backward(cell, by_hand(step), seed=int(rng.integers(1000)), sizes=sizes)


def layer_by_hand(rng, cell, step, dtype):
    N, T, D, H = up_to(rng, 3), up_to(rng, 100), up_to(rng, 8), up_to(rng, 64)
    layer = OverTime(step, D, H, dtype, stateful=bool(rng.integers(2)))
    return check_layer(layer, rng.standard_normal((N, T, D)).astype(dtype), seed=int(rng.integers(1000)))


WAYS = [step_by_autograd, scan_by_autograd, step_by_hand, layer_by_hand, scan_by_autograd]


@pytest.mark.sampled(every=16, by=lambda seed: [seed % len(WAYS)])
@pytest.mark.parametrize("seed", range(200))
def test_right_code_is_never_failed(seed):
    rng = np.random.default_rng(seed)
    name, dtype = list(CELLS)[rng.integers(3)], ["f", "d"][rng.integers(2)]
    report = WAYS[seed % 5](rng, *CELLS[name], dtype)
    assert report.verdict in ("right", "precision"), f"{name} {dtype}\n{report}"
    assert report.first_wrong is None and not report.diagnoses, f"{name} {dtype}\n{report}"
    assert "disagrees" not in str(report), f"{name} {dtype}\n{report}"
    if dtype == "d":
        assert report.verdict == "right" or WAYS[seed % 5] is layer_by_hand, f"{name}\n{report}"


@pytest.mark.sampled(every=20, by=lambda seed: [])
@pytest.mark.parametrize("seed", range(200))
def test_layers_written_in_many_ways_are_never_accused(seed):
    """Gates in any order, in place or not, sums in the loop, in an inner loop or after it, masks, states, dtypes."""
    rng = np.random.default_rng(seed)
    text, gates, dtype = written(rng)
    report = check_layer(*layer_and_input(rng, text, gates, dtype))
    assert report.verdict in (("right",) if dtype == "d" else ("right", "precision")), f"{text}\n{report}"
    assert report.first_wrong is None and not report.diagnoses, f"{text}\n{report}"


# -- the ends of the range -------------------------------------------------------------------------------------------


@pytest.mark.sampled(every=6, by=lambda name, dtype: [dtype])
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("name", CELLS)
def test_a_hundred_steps_by_hand(name, dtype):
    layer = OverTime(CELLS[name][1], 1, 2, dtype)
    report = check_layer(layer, np.random.default_rng(0).standard_normal((1, 100, 1)))
    assert report.ok and not report.diagnoses and (dtype == "f" or report.verdict == "right"), str(report)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_sixty_four_units_by_autograd(dtype):
    rng = np.random.default_rng(0)
    params = tg.lstm.init(rng, D=5, H=64, dtype=dtype)
    xs = rng.standard_normal((2, 10, 5)).astype(dtype)
    assert check_gradients(lambda xs, params: scan(tg.lstm, xs, None, params), xs, params).verdict == "right"


# -- what other checkers fail ----------------------------------------------------------------------------------------


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("seed", range(10))
def test_a_relu_network_from_zero_states(seed):
    """h = 0, a bias of zero and inputs that are often zero: many sums stand exactly at the kink."""
    rng = np.random.default_rng(seed)
    xs = rng.standard_normal((2, 4, 3)) * (rng.uniform(size=(2, 4, 1)) < 0.5)
    Wx, Wh, b = rng.standard_normal((3, 5)), rng.standard_normal((5, 5)) / 2, np.zeros(5)

    def relu_rnn(xs, Wx, Wh, b):
        h = np.zeros((2, 5))
        for t in range(4):
            h = tg.relu(xs[:, t] @ Wx + h @ Wh + b)
        return h

    report = check_gradients(relu_rnn, xs, Wx, Wh, b)
    assert report.ok and report.first_wrong is None, str(report)


@pytest.mark.parametrize("zeros", [1, 5, 24])
def test_relu_by_hand_at_its_kink(zeros):
    x = np.random.default_rng(0).standard_normal(24)
    x[:zeros] = 0
    report = check_layer(Relu(), x.reshape(4, 6))
    assert report.verdict == "right" and not report.diagnoses, str(report)


class Buffered(Layer):
    """float64 throughout but for a float32 buffer in the middle."""

    def __init__(self):
        super().__init__(W=(3, 4))

    def forward(self, x):
        self.x, self.h = x, np.empty((len(x), 4), "f")
        self.h[...] = x @ self.W
        self.y = sigmoid(self.h.astype("d"))
        return self.y

    def backward(self, dy):
        da = dy * self.y * (1 - self.y)
        self.put(self.x.T @ da)
        return da @ self.W.T


@pytest.mark.parametrize("seed", range(5))
def test_a_float32_buffer_inside_float64_code(seed):
    x = np.random.default_rng(seed).standard_normal((5, 3))
    report = check_layer(Buffered(), x)
    assert report.ok and not report.diagnoses, str(report)

    def f(x, w):
        h = tg.zeros((5, 4))
        h[:, :] = x @ w
        return tg.sigmoid(h.astype("d"))

    assert check_gradients(f, x, np.random.default_rng(seed).standard_normal((3, 4))).ok


@pytest.mark.parametrize("name", CELLS)
def test_a_layer_in_the_middle_of_a_text(name):
    """A stateful layer that has been called before starts from the state that it holds."""
    r = np.random.default_rng(0).standard_normal
    layer = OverTime(CELLS[name][1], 2, 3, stateful=True)
    layer.forward(r((2, 4, 2)))
    state = [one.copy() for one in layer.state]
    report = check_layer(layer, r((2, 5, 2)))
    assert report.verdict == "right" and not report.diagnoses, str(report)
    assert all((one == before).all() for one, before in zip(layer.state, state))


# -- the testers: the same code, wrong, is failed --------------------------------------------------------------------


class Cut(OverTime):
    """No gradient is carried from step to step."""

    def backward(self, dhs):
        dxs, total = np.empty((*dhs.shape[:2], len(self.Wx))), [0.0, 0.0, 0.0]
        for t in reversed(range(len(self.steps))):
            more = [np.zeros_like(dhs[:, t])] * (self.count - 1)
            dxs[:, t] = np.asarray(self.steps[t].backward(dhs[:, t], *more)[0])
            total = [a + g for a, g in zip(total, self.steps[t].grads)]
        self.put(*total)
        return dxs


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("name", CELLS)
def test_wrong_code_is_failed(name, dtype):
    xs = np.random.default_rng(0).standard_normal((2, 3, 1))
    assert check_layer(Cut(CELLS[name][1], 1, 2, dtype), xs).verdict == "wrong"
    right = by_hand(CELLS[name][1])

    def backward(*given, **named):
        return {name: -g if name == "dWh" else g for name, g in right(*given, **named).items()}

    report = check_backward(CELLS[name][0], backward, sizes={"N": 2, "D": 1, "H": 2})
    assert (report.verdict, report.first_wrong) == ("wrong", "dWh")
