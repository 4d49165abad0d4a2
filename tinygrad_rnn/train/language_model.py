"""The book's language model: embedding, recurrent layer, affine layer, softmax with cross-entropy."""

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
    """Predicts each next word:  ids (N, T) -> scores (N, T, V), state;  scores = scan(cell, W[ids]) @ W' + b'.

    With ``rnn`` it is the book's SimpleRnnlm, with ``lstm`` its Rnnlm. Only the caller holds the state: to carry it
    from window to window, pass ``detach(state)`` to the next call. ``init`` has schemes by parameter of the cell.
    ``embedding`` is the scheme of the word vectors: the default is the book's, for SGD with a large learning rate;
    "normal" suits Adam. Raises InvalidType for a cell that draws random numbers in training (variational dropout,
    zoneout), since the model passes no generator on.
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
        """The mean cross-entropy of ``targets`` (N, T) in nats per word, a scalar Tensor, and the last state."""
        hs, state = self.recurrent(self.embed(ids), state)
        return affine_cross_entropy(hs, self.affine.W, self.affine.b, targets), state
