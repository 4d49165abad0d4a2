"""What users have in their files: backwards, layers, and what makes layers, right ones and wrong ones."""

import numpy as np

from tinygrad_rnn import Param, cell, tanh
from tinygrad_rnn.cli.demo_backward import lstm_backward


@cell
def mine(x, h, *, W=Param("D H"), U=Param("H H")):
    h = tanh(x @ W + h @ U)
    return h


def mine_step(x, h, *, W, U, dh):
    y = np.tanh(x @ W + h @ U)
    da = dh * (1 - y**2)
    return {"dx": da @ W.T, "dh": da @ U.T, "dW": x.T @ da, "dU": h.T @ da}


right = lstm_backward


def chatty(x, h, c, **params):
    print("in the backward")
    return lstm_backward(x, h, c, **params)


def gru_backward(x, h, c, **params):  # the wrong name: an LSTM's
    return lstm_backward(x, h, c, **params)


def nothing(*args, **params):
    return {}


def fails(x, h, c, **params):
    return x @ h


def array(*args, **params):
    return np.ones(3)


def words(x, h, c, **params):
    return {**lstm_backward(x, h, c, **params), "do": "none"}


def step(x, h, *, Wx, Wh, b, dh):
    return {}


def square(x):
    return x * x


number = 3


class Layer:
    def own(self, *params):
        self.params, self.grads = list(params), [np.zeros_like(p) for p in params]

    def put(self, *grads):
        for old, new in zip(self.grads, grads, strict=True):
            old[...] = new


class Elman(Layer):
    """One step; made with parameters."""

    factor = 1.0

    def __init__(self, Wx, Wh, b):
        self.own(Wx, Wh, b)

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        y = np.tanh(x @ Wx + h_prev @ Wh + b)
        self.cache = x, h_prev, y
        return y

    def backward(self, dh_next):
        (x, h, y), (Wx, Wh, _) = self.cache, self.params
        da = dh_next * (1 - y * y) * self.factor
        self.put(x.T @ da, h.T @ da, da.sum(axis=0))
        return da @ Wx.T, da @ Wh.T


class TimeRNN(Layer):
    """Over time; made with parameters, and with something that has a default."""

    step = Elman

    def __init__(self, Wx, Wh, b, stateful=False):
        self.own(Wx, Wh, b)
        self.h, self.stateful = None, stateful

    def forward(self, xs):
        N, T, _ = xs.shape
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, len(self.params[2])))
        self.steps, hs = [], []
        for t in range(T):
            one = self.step(*self.params)
            self.h = one.forward(xs[:, t], self.h)
            self.steps.append(one)
            hs.append(self.h)
        return np.stack(hs, axis=1)

    def backward(self, dhs):
        total, dh, dxs = [0, 0, 0], 0, [None] * len(self.steps)
        for t in reversed(range(len(self.steps))):
            dxs[t], dh = self.steps[t].backward(dhs[:, t] + dh)
            total = [old + new for old, new in zip(total, self.steps[t].grads)]
        self.put(*total)
        return np.stack(dxs, axis=1)


class Sized(TimeRNN):
    """Made with sizes; its name tells no cell, but the shapes do."""

    def __init__(self, input_size, hidden_size=4, *, rng=None):
        rng = rng or np.random.default_rng(0)
        shapes = (input_size, hidden_size), (hidden_size, hidden_size), (hidden_size,)
        super().__init__(*(rng.standard_normal(shape) / 2 for shape in shapes))


class Nothing(Sized):
    """Made with nothing."""

    def __init__(self):
        super().__init__(2, 6)


class Broken(Elman):
    factor = -1.0


class TimeRNNBroken(TimeRNN):
    step = Broken


class Nameless(Layer):
    """Neither its name nor its constructor's arguments tell the cell."""

    def __init__(self, Wx, Wh, b):
        self.own(Wx, Wh, b)

    def forward(self, xs):
        return xs

    def backward(self, dhs):
        return dhs


class Needs(Elman):
    def __init__(self, Wx, Wh, b, teacher):
        super().__init__(Wx, Wh, b)


class RaisingRNN(Elman):
    def forward(self, x, h):
        return missing(x)  # noqa: F821


class DrawingRNN(Elman):
    def forward(self, x, h):
        return super().forward(x, h) * np.random.default_rng().random()


class WholeRNN(Elman):
    def forward(self, x, h):
        return (super().forward(x, h) > 0).astype(int)


class ManyRNN(Elman):
    def forward(self, x, h, c, m):
        return super().forward(x, h)


class Doubler(Layer):
    def __init__(self, factor=2.0):
        self.own()
        self.factor = factor

    def forward(self, x):
        return 2.0 * x

    def backward(self, dy):
        return self.factor * dy


class Unnamed(Doubler):
    def forward(self, thing):
        return 2.0 * thing


class Affine(Layer):
    def __init__(self, D=4, H=2):
        self.own(np.ones((D, H)), np.zeros(H))

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dy):
        self.put(self.x.T @ dy, dy.sum(axis=0))
        return dy @ self.params[0].T


def tripler():
    return Doubler(3.0)


def sized(D, H):
    return Sized(D, H)


def half():
    return object()


layer = Doubler()
time_rnn = TimeRNN(np.ones((2, 3)) / 3, np.eye(3) / 2, np.zeros(3))
