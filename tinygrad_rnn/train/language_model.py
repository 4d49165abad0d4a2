"""The notes' language model: embedding, a recurrent layer, an affine layer, softmax with cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells import initializers as schemes
from ..cells.cell import Cell
from ..cells.masks import drawing, draws
from ..engine.tensor import Tensor
from ..errors import InvalidType
from ..nn import Embedding, Linear, Module, Recurrent
from ..ops import affine_cross_entropy


class LanguageModel(Module):
    """Predicts each next word: ids (N, T) -> scores (N, T, V), state.

    With ``rnn`` it is the book's SimpleRnnlm, with ``lstm`` its Rnnlm. Nothing holds a state but the caller: to carry
    it from window to window, pass ``detach(state)`` on. ``init`` has schemes of the cell's parameters, ``embedding``
    is that of the word vectors: the book's, right for SGD with a large rate; "normal" suits Adam. A cell that draws in
    training (variational dropout, zoneout) is refused, for nothing here passes on what it draws.
    """

    def __init__(
        self,
        cell: Cell,
        V: int,
        D: int,
        H: int,
        *,
        rng: np.random.Generator,
        init: Mapping[str, Any] | None = None,
        embedding: Any = schemes.embedding,
    ):
        if draws(cell):
            what = f"{cell.name} draws {', '.join(draws(cell))} in training, which are not passed on"
            instead = f"an nn.Module whose loss calls its nn.Recurrent as layer(xs, state, {drawing(cell)})"
            raise InvalidType(f"LanguageModel: {what}, should be a cell that draws nothing; or write {instead}")
        self.embed = Embedding(V, D, rng=rng, init=embedding)
        self.recurrent = Recurrent(cell, D=D, H=H, rng=rng, init=init)
        self.affine = Linear(H, V, rng=rng)

    def __call__(self, ids: Any, state: Any = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        hs, state = self.recurrent(self.embed(ids), state)
        return self.affine(hs), state

    def loss(self, ids: Any, targets: Any, state: Any = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The mean cross-entropy in nats per word, and the last state."""
        hs, state = self.recurrent(self.embed(ids), state)
        return affine_cross_entropy(hs, self.affine.W, self.affine.b, targets), state
