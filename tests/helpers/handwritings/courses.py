"""Files in the conventions of courses, as students have them; each is right. ``SLIPS`` are a mistake in each."""

LIST_OF_WEIGHTS = """\
import numpy as np


def init_weights(num_words, num_hiddens):
    normal = np.random.default_rng(0).standard_normal
    return [0.3 * normal((num_words, num_hiddens)), 0.3 * normal((num_hiddens, num_hiddens)), np.zeros(num_hiddens)]


def run_forward(steps, state, weights):
    W_xh, W_hh, b_h = weights
    H, = state
    hs = [H]
    for X in steps:
        hs.append(np.tanh(X @ W_xh + hs[-1] @ W_hh + b_h))
    return np.array(hs[1:]), (steps, hs, weights)


def run_backward(d_hs, cache):
    steps, hs, weights = cache
    W_xh, W_hh, b_h = weights
    grads, carried, d_steps = [np.zeros_like(w) for w in weights], 0, [None] * len(steps)
    for t in reversed(range(len(steps))):
        a = (d_hs[t] + carried) * (1 - hs[t + 1] ** 2)
        for g, part in zip(grads, (steps[t].T @ a, hs[t].T @ a, a.sum(axis=0))):
            g += part
        d_steps[t], carried = a @ W_xh.T, a @ W_hh.T
    return np.array(d_steps), (carried,), grads
"""
LABELS_OR_NONE = """\
import numpy as np


class Tagger(object):
    def __init__(self, vocab_size, wordvec_dim=4, hidden_dim=6, num_tags=3):
        rng = np.random.RandomState(0)
        self.params = {"W_embed": rng.randn(vocab_size, wordvec_dim), "Wx": rng.randn(wordvec_dim, hidden_dim),
                       "W_out": rng.randn(hidden_dim, num_tags)}

    def loss(self, captions, y=None):
        p = self.params
        x = p["W_embed"][captions].mean(axis=1)
        h = np.tanh(x.dot(p["Wx"]))
        scores = h.dot(p["W_out"])
        if y is None:
            return scores
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        rows, d = np.arange(len(y)), e / e.sum(axis=1, keepdims=True)
        loss = -np.log(d[rows, y]).mean()
        d[rows, y] -= 1
        d /= len(y)
        a = d.dot(p["W_out"].T) * (1 - h ** 2)
        grads = {"Wx": x.T.dot(a), "W_out": h.T.dot(d), "W_embed": np.zeros_like(p["W_embed"])}
        np.add.at(grads["W_embed"], captions, a.dot(p["Wx"].T)[:, None] / captions.shape[1])
        return loss, grads
"""
STATIC_PAIR = """\
import numpy as np


class Recurrent:
    @staticmethod
    def forward(X, prevh, Wx, Wh):
        out = np.tanh(X.dot(Wx) + prevh.dot(Wh))
        return out, {"X": X, "prevh": prevh, "Wx": Wx, "Wh": Wh, "out": out}

    @staticmethod
    def backward(dout, cache):
        X, prevh, Wx, Wh, out = (cache[key] for key in ("X", "prevh", "Wx", "Wh", "out"))
        d = dout * (1 - out ** 2)
        return d.dot(Wx.T), d.dot(Wh.T), X.T.dot(d), prevh.T.dot(d)
"""
CALLED = """\
import numpy as np


class Linear:
    def __init__(self, n_in, n_out):
        self.w, self.b = np.random.RandomState(0).randn(n_in, n_out), np.zeros(n_out)

    def __call__(self, inp):
        self.inp = inp
        return np.tanh(inp @ self.w + self.b)

    def backward(self, grad):
        grad = grad * (1 - np.tanh(self.inp @ self.w + self.b) ** 2)
        self.w_g, self.b_g = self.inp.T @ grad, grad.sum(axis=0)
        return grad @ self.w.T
"""
WEIGHTS_IN_A_DICT = """\
import numpy as np


def loss_and_gradients(X, y, weights):
    rows = np.arange(len(X))
    h = np.tanh(X @ weights["Wxh"] + weights["bh"])
    e = np.exp(h @ weights["Why"])
    d = e / e.sum(axis=1, keepdims=True)
    loss = -np.mean(np.log(d[rows, y]))
    d[rows, y] -= 1
    d /= len(X)
    a = d @ weights["Why"].T * (1 - h ** 2)
    grads = {"Wxh": X.T @ a, "bh": a.sum(axis=0), "Why": h.T @ d}
    return loss, grads
"""
PULLBACKS = """\
import numpy as np


def affine(x, W):
    return x @ W, lambda dy: (dy @ W.T, x.T @ dy)


def rnn(xs, h, W, R):
    hs, pulls = [], []
    for x in xs:
        (a, pull_x), (b, pull_h) = affine(x, W), affine(h, R)
        h = np.tanh(a + b)
        hs.append(h)
        pulls.append((h, pull_x, pull_h))

    def pullback(dhs):
        dxs, dh, dW, dR = np.zeros_like(xs), 0, 0, 0
        for t in reversed(range(len(xs))):
            new, pull_x, pull_h = pulls[t]
            da = (dhs[t] + dh) * (1 - new * new)
            dxs[t], gW = pull_x(da)
            dh, gR = pull_h(da)
            dW, dR = dW + gW, dR + gR
        return dxs, dh, dW, dR
    return np.array(hs), pullback


def rnn_forward(xs, h, W, R):
    return rnn(xs, h, W, R)


def rnn_backward(dhs, pullback):
    return pullback(dhs)
"""
PACKED = """\
from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Tape:
    x: np.ndarray
    before: np.ndarray
    after: np.ndarray


def elman_forward(x, h0, U, V):
    h = np.tanh(x @ U + h0 @ V)
    return 1.0 * h, (Tape(x, h0, h), U, V)


def elman_backward(dh, packed):
    tape, U, V = packed
    da = dh * (1 - tape.after ** 2)
    return da @ U.T, da @ V.T, tape.x.T @ da, tape.before.T @ da
"""
LOSS_AND_BPTT = """\
import numpy as np


class WordModel:
    def __init__(self, n_features, n_units, vocab_size):
        normal = np.random.default_rng(0).standard_normal
        self.E, self.W = normal((vocab_size, n_features)), normal((n_features, n_units))
        self.V = normal((n_units, vocab_size))

    def loss(self, words, targets):
        n, self.words = len(words), words
        self.h = np.tanh(self.E[words] @ self.W)
        p = np.exp(self.h @ self.V)
        p /= p.sum(axis=1, keepdims=True)
        self.dy = p.copy()
        self.dy[np.arange(n), targets] -= 1
        self.dy /= n
        return -np.log(p[np.arange(n), targets]).mean()

    def bptt(self):
        self.dV = self.h.T @ self.dy
        da = self.dy @ self.V.T * (1 - self.h ** 2)
        self.dW, self.dE = self.E[self.words].T @ da, np.zeros_like(self.E)
        np.add.at(self.dE, self.words, da @ self.W.T)
"""
TRUNCATED = """\
import numpy as np


class RNNNumpy:
    def __init__(self, word_dim, hidden_dim, bptt_truncate=100):
        uniform = np.random.RandomState(1).uniform
        self.U, self.V = uniform(-1, 1, (hidden_dim, word_dim)), uniform(-1, 1, (word_dim, hidden_dim))
        self.W, self.bptt_truncate = uniform(-0.5, 0.5, (hidden_dim, hidden_dim)), bptt_truncate

    def forward_propagation(self, x):
        s, o = np.zeros((len(x) + 1, len(self.W))), np.zeros((len(x), len(self.V)))
        for t in np.arange(len(x)):
            s[t] = np.tanh(self.U[:, x[t]] + self.W.dot(s[t - 1]))
            e = np.exp(self.V.dot(s[t]))
            o[t] = e / e.sum()
        return o, s

    def bptt(self, x, y):
        o, s = self.forward_propagation(x)
        dLdU, dLdV, dLdW = np.zeros(self.U.shape), np.zeros(self.V.shape), np.zeros(self.W.shape)
        loss = -np.sum(np.log(o[np.arange(len(y)), y]))
        o[np.arange(len(y)), y] -= 1.
        for t in np.arange(len(y))[::-1]:
            dLdV += np.outer(o[t], s[t])
            delta_t = self.V.T.dot(o[t]) * (1 - s[t] ** 2)
            for step in np.arange(max(0, t - self.bptt_truncate), t + 1)[::-1]:
                dLdW += np.outer(delta_t, s[step - 1])
                dLdU[:, x[step]] += delta_t
                delta_t = self.W.T.dot(delta_t) * (1 - s[step - 1] ** 2)
        return loss, dLdU, dLdV, dLdW
"""
HEADS = """\
import numpy as np


class MultiHead:
    def __init__(self, d_model, n_heads):
        assert d_model % n_heads == 0
        normal = np.random.default_rng(5).standard_normal
        self.weights = {k: normal((n_heads, d_model, d_model // n_heads)) for k in ("q", "k", "v")}
        self.gradients = {}

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = (np.einsum("btd,hde->bhte", x, self.weights[k]) for k in "qkv")
        e = np.exp(np.einsum("bhte,bhse->bhts", self.q, self.k))
        self.p = e / e.sum(-1, keepdims=True)
        return np.einsum("bhts,bhse->bhte", self.p, self.v)

    def backward(self, dz):
        dp, dv = np.einsum("bhte,bhse->bhts", dz, self.v), np.einsum("bhts,bhte->bhse", self.p, dz)
        ds = self.p * (dp - np.sum(dp * self.p, axis=-1, keepdims=True))
        dq, dk, dx = np.einsum("bhts,bhse->bhte", ds, self.k), np.einsum("bhts,bhte->bhse", ds, self.q), 0
        for name, d in (("q", dq), ("k", dk), ("v", dv)):
            self.gradients[name] = np.einsum("btd,bhte->hde", self.x, d)
            dx = dx + np.einsum("bhte,hde->btd", d, self.weights[name])
        return dx
"""
SLIPS = {
    "LIST_OF_WEIGHTS": ("hs[t].T @ a", "hs[t + 1].T @ a"), "LABELS_OR_NONE": ("(1 - h ** 2)", "(1 - h)"),
    "STATIC_PAIR": ("prevh.T.dot(d)", "-prevh.T.dot(d)"), "CALLED": ("self.inp.T @ grad,", "-self.inp.T @ grad,"),
    "LOSS_AND_BPTT": ("self.h ** 2", "self.h"),
    "TRUNCATED": ("t - self.bptt_truncate", "t - 2"),
    "HEADS": ("(dp - np.sum", "(dp + np.sum"),
    "PULLBACKS": ("dR + gR", "dR"), "PACKED": ("tape.after ** 2", "tape.before ** 2"),
    "WEIGHTS_IN_A_DICT": ('{"Wxh": X.T @ a', '{"Wxh": 2 * X.T @ a'),
}  # fmt: skip
