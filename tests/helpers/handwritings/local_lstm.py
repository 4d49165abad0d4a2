import numpy as np


def sig(z):
    return 1 / (1 + np.exp(-z))


def dsig(a):
    return a * (1 - a)


class MyLSTM:
    def __init__(self, Wx, Wh, b):
        self.Wx, self.Wh, self.b = Wx, Wh, b
        self.params = {'Wx': Wx, 'Wh': Wh, 'b': b}
        self.grads = {}

    def forward(self, xs, h0, c0):
        N, T, D = xs.shape
        H = h0.shape[1]
        self.steps = []
        h, c = h0, c0
        out = np.zeros((N, T, H))
        for t in range(T):
            x = xs[:, t]
            A = x @ self.Wx + h @ self.Wh + self.b
            gates = {
                'f': sig(A[:, 0:H]),
                'g': np.tanh(A[:, H:2*H]),
                'i': sig(A[:, 2*H:3*H]),
                'o': sig(A[:, 3*H:4*H]),
            }
            c_new = gates['f'] * c + gates['i'] * gates['g']
            h_new = gates['o'] * np.tanh(c_new)
            self.steps.append(dict(gates, x=x, h_prev=h, c_prev=c, c=c_new, h=h_new))
            h, c = h_new, c_new
            out[:, t] = h
        return out, h, c

    def backward(self, dout, dh_T, dc_T):
        N, T, H = dout.shape
        dA = np.zeros((N, T, 4*H))
        dxs = np.zeros((N, T, self.Wx.shape[0]))
        dh, dc = dh_T, dc_T
        dWx = np.zeros_like(self.Wx)
        dWh = np.zeros_like(self.Wh)
        for t in range(T)[::-1]:
            s = self.steps[t]
            dh = dh + dout[:, t]
            tc = np.tanh(s['c'])
            dc = dc + dh * s['o'] * (1 - tc * tc)
            dA[:, t, 0:H] = dc * s['c_prev'] * dsig(s['f'])
            dA[:, t, H:2*H] = dc * s['i'] * (1 - s['g'] ** 2)
            dA[:, t, 2*H:3*H] = dc * s['g'] * dsig(s['i'])
            dA[:, t, 3*H:4*H] = dh * tc * dsig(s['o'])
            dWx += s['x'].T @ dA[:, t]
            dWh += s['h_prev'].T @ dA[:, t]
            dxs[:, t] = dA[:, t] @ self.Wx.T
            dh = dA[:, t] @ self.Wh.T
            dc = dc * s['f']
        db = dA.sum(axis=(0, 1))
        self.grads = {'Wx': dWx, 'Wh': dWh, 'b': db}
        return dxs, dh, dc
