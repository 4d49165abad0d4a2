import numpy as np


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


class JordanMGU:
    """A minimal gated unit; its projected output is fed back, and the input is added to it."""

    def __init__(self, weights):
        self.params = weights
        self.grads = {name: np.zeros_like(w) for name, w in weights.items()}

    def forward(self, seq, y0, m0):
        w = self.params
        self.tape, outs = [], []
        y, m = y0, m0
        for inp in seq:
            joined = np.concatenate((inp, y), axis=1)
            keep = logistic(joined @ w['gate'] + w['gate_bias'])
            cand = np.tanh(joined @ w['cand'] + w['cand_bias'])
            new_m = keep * m + (1 - keep) * cand
            proj = np.tanh(new_m @ w['out'])
            self.tape.append((joined, keep, cand, m, new_m, proj))
            y, m = proj, new_m
            outs.append(proj + inp @ w['skip'])
        return np.array(outs), m

    def backward(self, g_outs, g_m_last):
        w, g = self.params, self.grads
        for name in g:
            g[name][...] = 0
        size = w['skip'].shape[0]
        g_seq = []
        g_y = np.zeros((g_outs.shape[1], w['out'].shape[1]))
        g_m = g_m_last
        for g_out in g_outs[::-1]:
            joined, keep, cand, old_m, new_m, proj = self.tape.pop()
            g_proj = g_out + g_y
            pre = g_proj * (1 - proj ** 2)
            g['out'] += new_m.T @ pre
            g['skip'] += joined[:, :size].T @ g_out
            g_m = g_m + pre @ w['out'].T
            g_keep = g_m * (old_m - cand)
            a_keep = g_keep * keep * (1 - keep)
            a_cand = g_m * (1 - keep) * (1 - cand ** 2)
            g['gate'] += joined.T @ a_keep
            g['gate_bias'] += a_keep.sum(0)
            g['cand'] += joined.T @ a_cand
            g['cand_bias'] += a_cand.sum(0)
            g_joined = a_keep @ w['gate'].T + a_cand @ w['cand'].T
            g_seq.append(g_joined[:, :size] + g_out @ w['skip'].T)
            g_y = g_joined[:, size:]
            g_m = g_m * keep
        return np.array(g_seq[::-1]), g_y, g_m
