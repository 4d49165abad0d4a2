"""Layers with a backward of their own, as a reader of the book writes them: params, grads, forward, backward."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Layer:
    """Parameters of given shapes, float32, and zeros for their gradients."""

    def __init__(self, **shapes):
        rng = np.random.default_rng(1)
        for name, shape in shapes.items():
            setattr(self, name, (rng.standard_normal(shape) / 2).astype("f"))
        self.params = [getattr(self, name) for name in shapes]
        self.grads = [np.zeros_like(p) for p in self.params]

    def put(self, *grads):
        for old, new in zip(self.grads, grads, strict=True):
            old[...] = new


class RNN(Layer):
    def __init__(self, D=4, H=3):
        super().__init__(Wx=(D, H), Wh=(H, H), b=H)

    def forward(self, x, h):
        new = np.tanh(x @ self.Wx + h @ self.Wh + self.b)
        self.cache = x, h, new
        return new

    def backward(self, dnew):
        x, h, new = self.cache
        da = dnew * (1 - new**2)
        self.put(x.T @ da, h.T @ da, da.sum(axis=0))
        return da @ self.Wx.T, da @ self.Wh.T


class LSTM(Layer):
    def __init__(self, D=4, H=3):
        super().__init__(Wx=(D, 4 * H), Wh=(H, 4 * H), b=4 * H)

    def forward(self, x, h, c):
        Wx, Wh, b = self.params
        f, g, i, o = np.split(x @ Wx + h @ Wh + b, 4, axis=1)
        f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
        new = f * c + g * i
        self.cache = x, h, c, f, g, i, o, new
        return o * np.tanh(new), new

    def backward(self, dh, dc):
        x, h, c, f, g, i, o, new = self.cache
        t = np.tanh(new)
        ds = dc + dh * o * (1 - t * t)
        dA = np.hstack([ds * c * f * (1 - f), ds * i * (1 - g * g), ds * g * i * (1 - i), dh * t * o * (1 - o)])
        self.put(x.T @ dA, h.T @ dA, self.bias(dA))
        return dA @ self.params[0].T, dA @ self.params[1].T, ds * f

    def bias(self, dA):
        return dA.sum(axis=0)


class GRU(Layer):
    def __init__(self, D=4, H=3):
        super().__init__(Wx=(D, 3 * H), Wh=(H, 3 * H), b=3 * H)

    def forward(self, x, h):
        H = h.shape[1]
        Az, Ar, An = np.split(x @ self.Wx + self.b, 3, axis=1)
        z, r = sigmoid(Az + h @ self.Wh[:, :H]), sigmoid(Ar + h @ self.Wh[:, H : 2 * H])
        n = np.tanh(An + (r * h) @ self.Wh[:, 2 * H :])
        self.cache = x, h, z, r, n
        return (1 - z) * h + z * n

    def backward(self, dnew):
        x, h, z, r, n = self.cache
        Uz, Ur, Un = np.split(self.Wh, 3, axis=1)
        dz, dn = dnew * (n - h) * z * (1 - z), dnew * z * (1 - n * n)
        drh = dn @ Un.T
        dr = drh * h * r * (1 - r)
        dA = np.hstack([dz, dr, dn])
        self.put(x.T @ dA, np.hstack([h.T @ dz, h.T @ dr, (r * h).T @ dn]), dA.sum(axis=0))
        return dA @ self.Wx.T, dnew * (1 - z) + drh * r + dz @ Uz.T + dr @ Ur.T


class TimeRNN(Layer):
    """Over time, the state carried from call to call where it is asked for; ``hs`` in float32, or as computed."""

    def __init__(self, D=3, H=4, stateful=False, dtype="f"):
        super().__init__(Wx=(D, H), Wh=(H, H), b=H)
        self.h, self.stateful, self.dtype = None, stateful, dtype

    def forward(self, xs):
        N, T, _ = xs.shape
        hs = np.empty((N, T, len(self.b)), dtype=self.dtype)
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, len(self.b)), dtype=self.dtype)
        self.steps = []
        for t in range(T):
            step = RNN(*self.Wx.shape)
            step.Wx, step.Wh, step.b = self.params
            step.params = self.params
            step.grads = [np.zeros_like(p) for p in self.params]
            self.h = step.forward(xs[:, t], self.h)
            hs[:, t] = self.h
            self.steps.append(step)
        return hs

    def backward(self, dhs):
        total, dh = [0, 0, 0], 0
        dxs = np.empty((*dhs.shape[:2], len(self.Wx)), dtype=self.dtype)
        for t in reversed(range(len(self.steps))):
            dxs[:, t], dh = self.steps[t].backward(dhs[:, t] + dh)
            total = [a + b for a, b in zip(total, self.steps[t].grads)]
        self.put(*total)
        return dxs


class Affine(Layer):
    def __init__(self, D=4, H=3):
        super().__init__(W=(D, H), b=H)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.put(self.x.T @ dy, dy.sum(axis=0))
        return dy @ self.W.T


class Relu(Layer):
    def forward(self, x):
        self.mask = x > 0
        return np.where(self.mask, x, 0)

    def backward(self, dy):
        return dy * self.mask


class Embedding(Layer):
    def __init__(self, V=6, D=3):
        super().__init__(W=(V, D))

    def forward(self, ids):
        self.ids = ids
        return self.W[ids]

    def backward(self, dy):
        self.grads[0][...] = 0
        np.add.at(self.grads[0], self.ids, dy)


class SoftmaxLoss(Layer):
    """The mean of -log p of the right class."""

    def forward(self, x, t):
        p = np.exp(x - x.max(axis=1, keepdims=True))
        self.p, self.t = p / p.sum(axis=1, keepdims=True), t
        return -np.mean(np.log(self.p[np.arange(len(t)), t]))

    def backward(self, dy=1.0):
        dx = self.p.copy()
        dx[np.arange(len(dx)), self.t] -= 1
        return dy * dx / len(dx)
