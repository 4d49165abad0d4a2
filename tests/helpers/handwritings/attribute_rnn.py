import numpy as np


class VanillaRNN:
    def __init__(self, Wx, Wh, b):
        self.Wx = Wx
        self.Wh = Wh
        self.b = b

    def forward(self, x, h0):
        self.x = x
        N, T, D = x.shape
        self.h = np.zeros((N, T + 1, self.Wh.shape[0]))
        self.h[:, 0] = h0
        for t in range(T):
            self.h[:, t + 1] = np.tanh(x[:, t] @ self.Wx + self.h[:, t] @ self.Wh + self.b)
        return self.h[:, 1:]

    def backward(self, dh):
        N, T, H = dh.shape
        self.dWx = np.zeros_like(self.Wx)
        self.dWh = np.zeros_like(self.Wh)
        self.db = np.zeros_like(self.b)
        dx = np.zeros_like(self.x)
        carry = np.zeros((N, H))
        for t in range(T - 1, -1, -1):
            total = dh[:, t] + carry
            da = total * (1 - self.h[:, t + 1] ** 2)
            self.dWx += self.x[:, t].T @ da
            self.dWh += self.h[:, t].T @ da
            self.db += np.sum(da, axis=0)
            dx[:, t] = da @ self.Wx.T
            carry = da @ self.Wh.T
        return dx, carry
