import numpy as np


class GRUModel:
    def __init__(self, Wx, Wh, b):
        H = Wh.shape[0]
        self.H = H
        self.params = {'Wx': Wx, 'Wh': Wh, 'b': b}
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}
        self.caches = []

    def forward_step(self, x, h):
        p, H = self.params, self.H
        a = x @ p['Wx'] + p['b']
        zr = 1.0 / (1.0 + np.exp(-(a[:, :2*H] + h @ p['Wh'][:, :2*H])))
        z, r = zr[:, :H], zr[:, H:]
        rh = r * h
        n = np.tanh(a[:, 2*H:] + rh @ p['Wh'][:, 2*H:])
        self.caches.append((x, h, z, r, rh, n))
        return (1 - z) * n + z * h

    def backward_step(self, d_out):
        x, h, z, r, rh, n = self.caches.pop()
        g, H = self.grads, self.H
        Wz, Wr, Wn = np.split(self.params['Wh'], 3, axis=1)
        d_gates = np.empty((len(x), 3 * H))
        d_h = d_out * z
        d_gates[:, :H] = d_out * (h - n)
        d_gates[:, :H] *= z * (1 - z)
        d_gates[:, 2*H:] = d_out * (1 - z) * (1 - n**2)
        d_rh = d_gates[:, 2*H:] @ Wn.T
        d_gates[:, H:2*H] = d_rh * h * r * (1 - r)
        d_h += d_rh * r
        d_h += d_gates[:, :H] @ Wz.T
        d_h += d_gates[:, H:2*H] @ Wr.T
        g['Wx'] += x.T @ d_gates
        g['Wh'][:, :2*H] += h.T @ d_gates[:, :2*H]
        g['Wh'][:, 2*H:] += rh.T @ d_gates[:, 2*H:]
        g['b'] += d_gates.sum(axis=0)
        return d_gates @ self.params['Wx'].T, d_h

    def forward(self, xs):
        h = np.zeros((xs.shape[0], self.H))
        out = []
        for t in range(xs.shape[1]):
            h = self.forward_step(xs[:, t], h)
            out.append(h)
        return np.stack(out, axis=1)

    def backward(self, d_out):
        d_h = 0
        d_xs = []
        for t in range(d_out.shape[1] - 1, -1, -1):
            d_x, d_h = self.backward_step(d_out[:, t] + d_h)
            d_xs.append(d_x)
        return np.stack(d_xs[::-1], axis=1)
