"""Many-to-many: a label for every element of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.tensor import Tensor
from ..nn import Bidirectional, Dropout, Embedding, Linear, Recurrent
from ..nn.evaluating import evaluating
from ..nn.parameter import generator
from ..ops import softmax_cross_entropy
from .answers import Answers


class Tagger(Answers):
    """Many-to-many: ids (N, T) -> scores (N, T, tags).  Equal to::

        hs, _ = recurrent(drop(embed(ids)), lengths=lengths)
        scores = affine(drop(hs))

    V tokens, D numbers a vector, H units. The recurrent layer reads both ways, so a tag depends on the whole sequence;
    with ``bidirectional=False`` it depends on the tokens up to its place. Targets of -1 do not count.
    """

    def __init__(
        self,
        V: int,
        D: int,
        H: int,
        tags: int,
        *,
        cell: Cell | str = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
        rng: Any,
        embedding: Any = "normal",
    ):
        rng = generator(rng, "Tagger")
        self.embed = Embedding(V, D, rng=rng, init=embedding)
        self.recurrent = (Bidirectional if bidirectional else Recurrent)(cell, D=D, H=H, rng=rng)
        self.drop = Dropout(dropout, rng=rng)
        self.affine = Linear(self.recurrent.width, tags, rng=rng)

    def forward(self, ids: Any, lengths: Any = None) -> Tensor:
        hs, _ = self.recurrent(self.drop(self.embed(ids)), lengths=lengths)
        return self.affine(self.drop(hs))

    def loss(self, ids: Any, targets: Any, lengths: Any = None) -> Tensor:
        """The mean cross-entropy of the tags ``targets`` (N, T) that are not -1, a scalar Tensor."""
        return softmax_cross_entropy(self(ids, lengths), targets)

    def predict(self, ids: Any, lengths: Any = None) -> np.ndarray:
        """The most likely tag at every place, (N, T) of integers; without dropout. Tags past lengths mean nothing."""
        with evaluating(self):
            return self(ids, lengths).numpy().argmax(axis=-1)
