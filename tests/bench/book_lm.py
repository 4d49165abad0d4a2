"""The same training step the book's way: a class a layer, a new array for every expression (not ``hoisted_lm``)."""

import numpy as np

from baselines import TimeLSTM
from cases import LMCase
from hoisted_lm import LR, MAX_NORM
from spec import Array


class TimeEmbedding:
    """ids (N, T) -> rows of W (N, T, D)"""

    def __init__(self, W: Array) -> None:
        self.W, self.dW = W, np.zeros_like(W)
        self.ids = np.zeros((0, 0), int)

    def forward(self, ids: Array) -> Array:
        """One gather a step."""
        self.ids = ids
        xs = np.empty((*ids.shape, self.W.shape[1]), dtype=self.W.dtype)
        for t in range(ids.shape[1]):
            xs[:, t] = self.W[ids[:, t]]
        return xs

    def backward(self, dxs: Array) -> None:
        """One scatter a step."""
        self.dW[...] = 0
        for t in range(self.ids.shape[1]):
            np.add.at(self.dW, self.ids[:, t], dxs[:, t])


class TimeAffine:
    """y = x W + b over all steps at once."""

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b
        self.x = self.dW = self.db = np.zeros((0, 0))

    def forward(self, hs: Array) -> Array:
        """hs (N, T, H) -> scores (N·T, V)"""
        self.x = hs.reshape(-1, hs.shape[2])
        return self.x @ self.W + self.b

    def backward(self, dy: Array) -> Array:
        """dy (N·T, V) -> dx (N·T, H)"""
        self.db = dy.sum(axis=0)
        self.dW = self.x.T @ dy
        return dy @ self.W.T


def softmax_with_loss(scores: Array, targets: Array) -> tuple[float, Array]:
    """Mean cross-entropy and its gradient ``(softmax - onehot) / rows``."""
    rows = np.arange(len(scores))
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = exp / exp.sum(axis=1, keepdims=True)
    loss = -np.log(probs[rows, targets]).mean()
    dscores = probs.copy()
    dscores[rows, targets] -= 1
    return float(loss), dscores / len(scores)


def softmax_in_place(scores: Array, targets: Array) -> tuple[float, Array]:
    """The same in the memory of ``scores``."""
    rows = np.arange(len(scores))
    scores -= scores.max(axis=1, keepdims=True)
    right = scores[rows, targets]
    np.exp(scores, out=scores)
    total = scores.sum(axis=1, keepdims=True)
    scores *= 1 / (total * len(scores))
    scores[rows, targets] -= 1 / len(scores)
    return float((np.log(total[:, 0]) - right).mean()), scores


class BookLM:
    """Embedding, LSTM that carries its state, affine, softmax; ``step`` trains on N·T tokens."""

    def __init__(self, case: LMCase, N: int, T: int) -> None:
        self.params = p = {name: w.copy() for name, w in case.params.items()}
        self.embed = TimeEmbedding(p["W_embed"])
        self.lstm = TimeLSTM(p["Wx"], p["Wh"], p["b"])
        self.affine = TimeAffine(p["W_out"], p["b_out"])
        self.h, self.c = np.zeros((2, N, len(p["Wh"])), dtype=p["Wx"].dtype)

    def loss_and_gradients(self, ids: Array, targets: Array) -> tuple[float, list[Array]]:
        """The loss, and gradients in the order of ``params``."""
        hs = self.lstm.forward(self.embed.forward(ids), self.h, self.c)
        self.h, self.c = self.lstm.last
        loss, dscores = softmax_with_loss(self.affine.forward(hs), targets.ravel())
        dhs = self.affine.backward(dscores).reshape(hs.shape)
        self.embed.backward(self.lstm.backward(dhs))
        return loss, [self.embed.dW, *self.lstm.grads, self.affine.dW, self.affine.db]

    def step(self, ids: Array, targets: Array) -> float:
        """ids, targets (N, T) -> the loss before the step."""
        loss, grads = self.loss_and_gradients(ids, targets)
        rate = MAX_NORM / (np.sqrt(sum(float((grad ** 2).sum()) for grad in grads)) + 1e-6)
        for w, grad in zip(self.params.values(), grads, strict=True):
            if rate < 1:
                grad *= rate
            w -= LR * grad
        return loss


class LeanLM(BookLM):
    """The same layers with fewer temporaries: one array for the scores, one gather, one scatter, updates in place.

    It still goes back step by step, as the book does; ``HoistedLM`` takes that apart.
    """

    def loss_and_gradients(self, ids: Array, targets: Array) -> tuple[float, list[Array]]:
        p = self.params
        hs = self.lstm.forward(p["W_embed"][ids], self.h, self.c)
        self.h, self.c = self.lstm.last
        self.affine.x = hs.reshape(-1, hs.shape[2])
        scores = self.affine.x @ p["W_out"]
        scores += p["b_out"]
        loss, dscores = softmax_in_place(scores, targets.ravel())
        dxs = self.lstm.backward(self.affine.backward(dscores).reshape(hs.shape))
        dW = self.embed.dW
        dW[...] = 0
        np.add.at(dW, ids.ravel(), dxs.reshape(-1, dxs.shape[2]))
        return loss, [dW, *self.lstm.grads, self.affine.dW, self.affine.db]

    def step(self, ids: Array, targets: Array) -> float:
        loss, grads = self.loss_and_gradients(ids, targets)
        scale = LR * min(1.0, MAX_NORM / (np.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads)) + 1e-6))
        for w, grad in zip(self.params.values(), grads, strict=True):
            grad *= scale
            w -= grad
        return loss
