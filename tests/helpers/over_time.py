"""A layer over time around any step by hand."""

import numpy as np

from helpers.layers_by_hand import LSTM, Layer


class OverTime(Layer):
    """A step by hand, over time: ``hs`` in a buffer of its own dtype; the state is kept where it is asked for."""

    def __init__(self, step, D, H, dtype="d", stateful=False):
        of_step = step(D, H)
        super().__init__(Wx=of_step.Wx.shape, Wh=of_step.Wh.shape, b=of_step.b.shape)
        self.step, self.dtype, self.stateful = step, dtype, stateful
        self.state, self.count = None, 2 if step is LSTM else 1
        for p in self.params:
            p *= 2 / np.sqrt(H)

    def forward(self, xs):
        N, T, _ = xs.shape
        H = len(self.Wh)
        hs = np.empty((N, T, H), dtype=self.dtype)
        if not self.stateful or self.state is None:
            self.state = [np.zeros((N, H), dtype=self.dtype) for _ in range(self.count)]
        self.steps = []
        for t in range(T):
            layer = self.step.__new__(self.step)
            layer.params, layer.grads = self.params, [np.zeros(p.shape) for p in self.params]
            layer.Wx, layer.Wh, layer.b = self.params
            new = layer.forward(xs[:, t], *self.state)
            self.state = list(new) if isinstance(new, tuple) else [new]
            hs[:, t] = self.state[0]
            self.steps.append(layer)
        return hs

    def backward(self, dhs):
        dxs = np.empty((*dhs.shape[:2], len(self.Wx)), dtype=self.dtype)
        back, total = [0.0] + [np.zeros((len(dhs), len(self.Wh)))] * (self.count - 1), [0.0, 0.0, 0.0]
        for t in reversed(range(len(self.steps))):
            dxs[:, t], *back = self.steps[t].backward(dhs[:, t] + back[0], *back[1:])
            total = [a + g for a, g in zip(total, self.steps[t].grads)]
        self.put(*total)
        return dxs


def by_hand(step):
    """The backward of one step, in the signature of the cell."""

    def backward(x, *states, Wx, Wh, b, **back):
        layer = step.__new__(step)
        layer.params, (layer.Wx, layer.Wh, layer.b) = [Wx, Wh, b], (Wx, Wh, b)
        layer.grads = [np.zeros_like(p) for p in layer.params]
        layer.forward(x, *states)
        dx, *before = found if isinstance(found := layer.backward(*back.values()), tuple) else (found,)
        names = [*["dx", "dh", "dc"][: 1 + len(states)], "dWx", "dWh", "db"]
        return dict(zip(names, [dx, *before, *layer.grads], strict=True))

    return backward
