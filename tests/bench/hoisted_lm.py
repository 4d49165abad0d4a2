"""A training step of the language model by hand, with time taken apart: the most that NumPy gives without a framework.

Embedding, one LSTM layer that carries its state, affine, softmax with cross-entropy (mean over N·T), backward, clipping
by the global norm, SGD.  This is what a careful programmer can do without threads: time leads,
so that the rows of a step lie together; the products over all steps are single GEMMs; the (T·N, V) scores live in one
buffer that becomes the probabilities and then their own gradient; everything of that size is done in place.
"""

import numpy as np

from cases import LMCase
from spec import Array

MAX_NORM, LR = 0.25, 20.0


class HoistedLM:
    """Owns copies of the weights, the carried state and the large buffers; ``step`` trains on N·T tokens."""

    def __init__(self, case: LMCase, N: int, T: int) -> None:
        self.params = {name: w.copy() for name, w in case.params.items()}
        self.grads = {name: np.empty_like(w) for name, w in self.params.items()}
        self.H, self.shape = len(self.params["Wh"]), (N, T)
        dtype = self.params["Wx"].dtype
        self.h, self.c = np.zeros((2, N, self.H), dtype)
        self.scores = np.empty((T * N, len(self.params["b_out"])), dtype)
        self.gates = np.empty((T, N, 4 * self.H), dtype)
        self.slope = np.repeat(np.array([0.5, 1, 0.5, 0.5], dtype), self.H)  # f g i o: see activate

    def step(self, ids: Array, targets: Array) -> float:
        """ids, targets (N, T) -> the loss before the step."""
        loss = self.loss_and_gradients(ids.T, targets.T)
        scale = LR * min(1.0, MAX_NORM / (self.norm() + 1e-6))
        for name, grad in self.grads.items():
            grad *= scale
            self.params[name] -= grad
        return loss

    def norm(self) -> float:
        """Of all gradients taken as one vector."""
        return float(np.sqrt(sum(np.dot(grad.ravel(), grad.ravel()) for grad in self.grads.values())))

    def loss_and_gradients(self, ids: Array, targets: Array) -> float:
        """ids, targets (T, N); fills ``grads``."""
        p, g = self.params, self.grads
        xs = p["W_embed"][ids]
        hs, cs, tanh_cs = self.lstm(xs)
        loss, dhs = self.output(hs[1:].reshape(-1, self.H), targets.ravel())
        dA = self.lstm_backward(dhs.reshape(hs[1:].shape), cs, tanh_cs).reshape(-1, 4 * self.H)
        np.dot(xs.reshape(len(dA), -1).T, dA, out=g["Wx"])
        np.dot(hs[:-1].reshape(-1, self.H).T, dA, out=g["Wh"])
        dA.sum(axis=0, out=g["b"])
        g["W_embed"].fill(0)
        np.add.at(g["W_embed"], ids.ravel(), dA @ p["Wx"].T)
        self.h, self.c = hs[-1], cs[-1]
        return loss

    def lstm(self, xs: Array) -> tuple[Array, Array, Array]:
        """xs (T, N, D) -> hs, cs (T + 1, N, H), which start with the carried state, and tanh of the new cs.

        ``gates`` is left holding f g i o of every step.
        """
        N, T = self.shape
        H, Wh = self.H, self.params["Wh"]
        A = self.gates
        np.dot(xs.reshape(T * N, -1), self.params["Wx"], out=A.reshape(T * N, -1))
        A += self.params["b"]
        hs = np.empty((T + 1, N, H), A.dtype)
        cs, tanh_cs = np.empty_like(hs), np.empty_like(hs[1:])
        hs[0], cs[0] = self.h, self.c
        for t in range(T):
            a = A[t]
            a += hs[t] @ Wh
            self.activate(a)
            np.multiply(a[:, :H], cs[t], out=cs[t + 1])
            cs[t + 1] += a[:, H:2 * H] * a[:, 2 * H:3 * H]
            np.tanh(cs[t + 1], out=tanh_cs[t])
            np.multiply(a[:, 3 * H:], tanh_cs[t], out=hs[t + 1])
        return hs, cs, tanh_cs

    def activate(self, a: Array) -> None:
        """In place, a (N, 4H): σ for f, i, o and tanh for g, with one call of tanh, since σ(x) = tanh(x/2)/2 + 1/2."""
        a *= self.slope
        np.tanh(a, out=a)
        a *= self.slope
        a += 1 - self.slope

    def lstm_backward(self, dhs: Array, cs: Array, tanh_cs: Array) -> Array:
        """dhs (T, N, H) -> dA (T, N, 4H); the gates' buffer holds dA afterwards."""
        H, WhT = self.H, self.params["Wh"].T
        dh = dc = np.zeros_like(dhs[0])
        for t in reversed(range(len(dhs))):
            a = self.gates[t]
            f, g, i, o = (a[:, k * H:(k + 1) * H] for k in range(4))
            dh = dhs[t] + dh
            dc = dc + dh * o * (1 - tanh_cs[t] ** 2)
            dc_before = dc * f
            do = dh * tanh_cs[t] * o * (1 - o)
            df = dc_before * cs[t] * (1 - f)
            dg, di = dc * i * (1 - g * g), dc * g * i * (1 - i)
            for gate, gradient in zip((f, g, i, o), (df, dg, di, do), strict=True):
                gate[...] = gradient
            dh, dc = a @ WhT, dc_before
        return self.gates

    def output(self, hs: Array, targets: Array) -> tuple[float, Array]:
        """Affine, softmax, cross-entropy and their backward: hs (T·N, H) -> loss, dhs (T·N, H)."""
        p, g, scores = self.params, self.grads, self.scores
        rows = np.arange(len(hs))
        np.dot(hs, p["W_out"], out=scores)
        scores += p["b_out"]
        scores -= scores.max(axis=1, keepdims=True)
        right = scores[rows, targets]
        np.exp(scores, out=scores)
        total = scores.sum(axis=1, keepdims=True)
        loss = float((np.log(total[:, 0]) - right).mean())
        scores *= 1 / (total * len(hs))
        scores[rows, targets] -= 1 / len(hs)
        np.dot(hs.T, scores, out=g["W_out"])
        scores.sum(axis=0, out=g["b_out"])
        return loss, scores @ p["W_out"].T
