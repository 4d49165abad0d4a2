"""Many-to-many: a label for every element of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.tensor import Tensor
from ..nn import Dropout, Embedding, Linear, Stacked
from ..nn.evaluating import evaluating
from ..nn.parameter import generator
from ..ops import softmax_cross_entropy
from .answers import Answers, check_shape, labels


class Tagger(Answers):
    """Many-to-many: ids (N, T) -> scores (N, T, tags).  Equal to::

        hs, _ = recurrent(drop(embed(ids)), lengths=lengths)
        scores = affine(drop(hs))

    V tokens, D numbers a vector, H units in each of ``layers`` layers. The layers read both ways, so a tag depends on
    the whole sequence; with ``bidirectional=False`` it depends on the tokens up to its place. ``dropout`` is below,
    between and above the layers. Targets of -1 do not count. Raises ShapeError for ids that are not (N, T).
    """

    def __init__(
        self,
        V: int,
        D: int,
        H: int,
        tags: int,
        *,
        cell: Cell | str = "lstm",
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        rng: Any,
        embedding: Any = "normal",
    ):
        rng = generator(rng, "Tagger")
        self.embed = Embedding(V, D, rng=rng, init=embedding)
        options = {"bidirectional": bidirectional, "dropout": dropout, "rng": rng}
        self.recurrent = Stacked(cell, layers=layers, D=D, H=H, **options)
        self.drop = Dropout(dropout, rng=rng)
        self.affine = Linear(self.recurrent.width, tags, rng=rng)

    def forward(self, ids: Any, lengths: Any = None) -> Tensor:
        check_shape("Tagger", "ids", ids, "N", "T")
        hs, _ = self.recurrent(self.drop(self.embed(ids)), lengths=lengths)
        return self.affine(self.drop(hs))

    def loss(self, ids: Any, targets: Any, lengths: Any = None) -> Tensor:
        """The mean cross-entropy of ``targets`` (N, T), tags or one-hot (N, T, tags), a scalar Tensor.

        Tags of -1 do not count.
        """
        scores = self(ids, lengths)
        targets = labels(targets, scores.shape[:2], scores.shape[2])
        check_shape("Tagger", "targets", targets, *scores.shape[:2])
        return softmax_cross_entropy(scores, targets)

    def predict(self, ids: Any, lengths: Any = None) -> np.ndarray:
        """The most likely tag at every place, (N, T) of integers; without dropout. Tags past lengths mean nothing."""
        with evaluating(self):
            return self(ids, lengths).numpy().argmax(axis=-1)
