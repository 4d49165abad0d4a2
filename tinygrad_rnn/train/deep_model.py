"""The language model with several recurrent layers, dropout between them, and tied weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells import initializers as schemes
from ..cells.cell import Cell
from ..engine.tensor import Tensor
from ..nn import Embedding, Linear, Module, Recurrent
from ..ops import affine_cross_entropy, dropout


class DeepLanguageModel(Module):
    """Predicts each next word by several layers; the book's BetterRnnlm for two of ``lstm``, dropout, tied.

    xs = drop(W[ids]);  for each layer: xs = drop(scan(cell, xs));  scores = xs @ W' + b'

    ``drop`` sets each number to 0 with probability ``dropout`` in training mode; with ``variational`` the same numbers
    at every step of a window (Gal and Ghahramani 2016). ``tied`` has W' = Wᵀ. The state is a tuple with one tuple for
    each layer.
    """

    def __init__(
        self,
        cell: Cell,
        V: int,
        D: int,
        H: int,
        *,
        layers: int = 2,
        dropout: float = 0.0,
        variational: bool = False,
        tied: bool = False,
        rng: np.random.Generator,
        init: Mapping[str, Any] | None = None,
        embedding: Any = schemes.embedding,
    ):
        self.rate, self.variational, self.rng = dropout, variational, rng
        self.embed = Embedding(V, D, rng=rng, init=embedding)
        self.layers = [Recurrent(cell, D=H if k else D, H=H, rng=rng, init=init) for k in range(layers)]
        self.affine = Linear(H, V, rng=rng, tied=self.embed if tied else None)

    def drop(self, xs: Any) -> Any:
        """The numbers of xs (N, T, D) that are left in training, scaled up; xs itself in evaluation."""
        if not (self.training and self.rate):
            return xs
        if not self.variational:
            return dropout(xs, rate=self.rate, rng=self.rng)
        ones = np.ones((xs.shape[0], 1, xs.shape[2]), xs.dtype)
        return xs * dropout(ones, rate=self.rate, rng=self.rng)

    def hidden(self, ids: Any, state: Any = None) -> tuple[Any, tuple[Any, ...]]:
        """The dropped outputs of the last layer, and the state."""
        xs, states = self.drop(self.embed(ids)), []
        for layer, part in zip(self.layers, state or [None] * len(self.layers), strict=True):
            xs, new = layer(xs, part)
            states.append(new)
            xs = self.drop(xs)
        return xs, tuple(states)

    def forward(self, ids: Any, state: Any = None) -> tuple[Tensor, Any]:
        hs, state = self.hidden(ids, state)
        return self.affine(hs), state

    def loss(self, ids: Any, targets: Any, state: Any = None) -> tuple[Tensor, Any]:
        """The mean cross-entropy of ``targets`` (N, T) in nats per word, a scalar Tensor, and the last state."""
        hs, state = self.hidden(ids, state)
        return affine_cross_entropy(hs, self.affine.weight, self.affine.b, targets), state
