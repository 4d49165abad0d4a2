"""Mistakes met in public recurrent code, made again in layers over time: each is caught."""

import numpy as np
import pytest

from helpers.layers_by_hand import Layer, TimeRNN, sigmoid
from tinygrad_rnn import lstm
from tinygrad_rnn.check import check_layer

N, T, D, H, V = 3, 5, 2, 4, 6
r = np.random.default_rng(0).standard_normal


class TimeLSTM(Layer):
    """From a state of zeros, gates f g i o; what the mistakes below change is in methods of its own."""

    def __init__(self):
        super().__init__(Wx=(D, 4 * H), Wh=(H, 4 * H), b=4 * H)

    def forward(self, xs):
        h = c = np.zeros((len(xs), H))
        self.steps, hs = [], []
        for x in np.moveaxis(xs, 1, 0):
            f, g, i, o = np.split(x @ self.Wx + h @ self.Wh + self.b, 4, axis=1)
            f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
            tanh_c = np.tanh(f * c + g * i)
            self.steps.append((x, h, c, f, g, i, o, tanh_c))
            h, c = o * tanh_c, f * c + g * i
            hs.append(h)
        return np.stack(hs, axis=1)

    def backward(self, dhs):
        dh, dc, dxs, total = 0, 0, np.empty((*dhs.shape[:2], D)), [0, 0, 0]
        for t in reversed(range(len(self.steps))):
            dA, dc = self.gates(self.steps[t], self.upstream(dhs, t, dh), dc)
            dxs[:, t], dh = dA @ self.Wx.T, self.carried(dA @ self.Wh.T)
            x, h, *_ = self.steps[t]
            total = [old + new for old, new in zip(total, (x.T @ dA, h.T @ dA, self.bias(dA)))]
        self.put(*(self.summed(g) for g in total))
        return dxs

    def gates(self, step, dh, dc):
        _, _, c, f, g, i, o, tanh_c = step
        do = self.output(dh, tanh_c)
        dc = dc + dh * o * self.slope(tanh_c)
        df, dg, di = dc * c, dc * i, dc * g
        return np.hstack([df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i), do * o * (1 - o)]), dc * f

    def upstream(self, dhs, t, dh):
        return dhs[:, t] + dh

    def output(self, dh, tanh_c):
        return dh * tanh_c

    def slope(self, tanh_c):
        return 1 - tanh_c**2

    def carried(self, dh):
        return dh

    def bias(self, dA):
        return dA.sum(axis=0)

    def summed(self, g):
        return g


class ActivationAgain(TimeLSTM):
    """The derivative of tanh is tanh, and no step hears of the next one."""

    def slope(self, tanh_c):
        return np.tanh(tanh_c)

    def carried(self, dh):
        return 0 * dh


class BiasesOfAnotherGate(TimeLSTM):
    """A line for one gate pasted for two more, its name not changed."""

    def bias(self, dA):
        f, _, _, o = np.split(dA.sum(axis=0), 4)
        return np.hstack([f, f, f, o])


class AveragedOverTime(TimeLSTM):
    def summed(self, g):
        return g / len(self.steps)


class WrittenOver(TimeLSTM):
    """The gradient by o is made in the place of dh, which the memory needs yet."""

    def output(self, dh, tanh_c):
        dh *= tanh_c
        return dh


class CallersWrittenOver(TimeLSTM):
    """The gradient of a step is added up in the array that the caller handed over."""

    def upstream(self, dhs, t, dh):
        dhs[:, t] += dh
        return dhs[:, t]


class Stack(Layer):
    """Layers one on the other."""

    def __init__(self):
        self.layers = [TimeRNN(D, H, dtype="d"), TimeRNN(H, H, dtype="d"), TimeRNN(H, H, dtype="d")]
        self.params = [p for layer in self.layers for p in layer.params]
        self.grads = [g for layer in self.layers for g in layer.grads]

    def forward(self, xs):
        for layer in self.layers:
            xs = layer.forward(xs)
        return xs

    def backward(self, dhs):
        for layer in reversed(self.layers):
            dhs = layer.backward(dhs)
        return dhs


class BiasesForgotten(Stack):
    """Only the first layer's bias learns."""

    def backward(self, dhs):
        dxs = super().backward(dhs)
        for layer in self.layers[1:]:
            layer.grads[2][...] = 0
        return dxs


class TimeLoss(Layer):
    """The mean of -log p of the right class over batch and time, scores (N, T, V)."""

    def forward(self, scores, ids):
        p = np.exp(scores - scores.max(axis=2, keepdims=True))
        self.p, self.hot = p / p.sum(axis=2, keepdims=True), np.eye(scores.shape[2])[ids]
        return -np.mean(np.sum(self.hot * np.log(self.p), axis=2))

    def backward(self, dy=1.0):
        return dy * (self.p - self.hot) / self.count()

    def count(self):
        return self.p.shape[0] * self.p.shape[1]


class SumForAMean(TimeLoss):
    def count(self):
        return 1


class MeanOverTheBatchOnly(TimeLoss):
    def count(self):
        return self.p.shape[0]


XS, SCORES, IDS = r((N, T, D)), r((N, T, V)), np.random.default_rng(1).integers(V, size=(N, T))
RIGHT = {
    "lstm": (TimeLSTM(), (XS,), lstm),
    "stack": (Stack(), (XS,), None),
    "loss": (TimeLoss(), (SCORES, IDS), None),
}
#: The layer, its inputs, its cell, and the first wrong gradient; None for a broken contract.
WILD = {
    "activation again, and cut": (ActivationAgain(), (XS,), lstm, "dxs"),
    "biases of another gate": (BiasesOfAnotherGate(), (XS,), lstm, "db"),
    "averaged over T": (AveragedOverTime(), (XS,), lstm, "dWx"),
    "written over before its second use": (WrittenOver(), (XS,), lstm, "dxs"),
    "the caller's written over": (CallersWrittenOver(), (XS,), lstm, None),
    "biases forgotten": (BiasesForgotten(), (XS,), None, "dparams[5]"),
    "a sum for a mean": (SumForAMean(), (SCORES, IDS), None, "dscores"),
    "a mean over the batch only": (MeanOverTheBatchOnly(), (SCORES, IDS), None, "dscores"),
}  # fmt: skip


def checked(layer, inputs, cell):
    return check_layer(layer, *inputs, **({} if cell is None else {"cell": cell}))


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_layer_is_right(name):
    report = checked(*RIGHT[name])
    assert (report.verdict, report.first_wrong, report.diagnoses) == ("right", None, []), str(report)


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize("name", WILD)
def test_a_wild_bug_is_caught(name):
    layer, inputs, cell, first = WILD[name]
    report = checked(layer, inputs, cell)
    assert (report.verdict, report.first_wrong) == ("wrong", first), str(report)
    assert first or [diagnosis.kind for diagnosis in report.diagnoses] == ["protocol: modified"]
