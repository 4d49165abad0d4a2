import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class TimeGRU:
    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = []

    def forward(self, xs, h):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        H = Wh.shape[0]
        Wxz, Wxr, Wxh = Wx[:, :H], Wx[:, H:2 * H], Wx[:, 2 * H:]
        Whz, Whr, Whh = Wh[:, :H], Wh[:, H:2 * H], Wh[:, 2 * H:]
        bz, br, bh = b[:H], b[H:2 * H], b[2 * H:]
        self.cache = []
        hs = np.empty((N, T, H))
        for t in range(T):
            x, h_prev = xs[:, t], h
            z = sigmoid(np.dot(x, Wxz) + np.dot(h_prev, Whz) + bz)
            r = sigmoid(np.dot(x, Wxr) + np.dot(h_prev, Whr) + br)
            h_hat = np.tanh(np.dot(x, Wxh) + np.dot(r * h_prev, Whh) + bh)
            h = (1 - z) * h_prev + z * h_hat
            self.cache.append((x, h_prev, z, r, h_hat))
            hs[:, t] = h
        return hs, h

    def backward(self, dhs, dh):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        D = Wx.shape[0]
        Wxz, Wxr, Wxh = Wx[:, :H], Wx[:, H:2 * H], Wx[:, 2 * H:]
        Whz, Whr, Whh = Wh[:, :H], Wh[:, H:2 * H], Wh[:, 2 * H:]
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dxs = np.empty((N, T, D))
        for t in range(T - 1, -1, -1):
            x, h_prev, z, r, h_hat = self.cache[t]
            dh_next = dhs[:, t] + dh
            dh_hat = dh_next * z
            dh_prev = dh_next * (1 - z)
            dt = dh_hat * (1 - h_hat ** 2)
            dbh = np.sum(dt, axis=0)
            dWhh = np.dot((r * h_prev).T, dt)
            dhr = np.dot(dt, Whh.T)
            dWxh = np.dot(x.T, dt)
            dx = np.dot(dt, Wxh.T)
            dh_prev += r * dhr
            dz = dh_next * h_hat - dh_next * h_prev
            dt = dz * z * (1 - z)
            dbz = np.sum(dt, axis=0)
            dWhz = np.dot(h_prev.T, dt)
            dh_prev += np.dot(dt, Whz.T)
            dWxz = np.dot(x.T, dt)
            dx += np.dot(dt, Wxz.T)
            dr = dhr * h_prev
            dt = dr * r * (1 - r)
            dbr = np.sum(dt, axis=0)
            dWhr = np.dot(h_prev.T, dt)
            dh_prev += np.dot(dt, Whr.T)
            dWxr = np.dot(x.T, dt)
            dx += np.dot(dt, Wxr.T)
            dWx += np.hstack((dWxz, dWxr, dWxh))
            dWh += np.hstack((dWhz, dWhr, dWhh))
            db += np.hstack((dbz, dbr, dbh))
            dxs[:, t] = dx
            dh = dh_prev
        self.grads[0][...] = dWx
        self.grads[1][...] = dWh
        self.grads[2][...] = db
        return dxs, dh
