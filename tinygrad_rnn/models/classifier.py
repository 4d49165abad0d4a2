"""Many-to-one: a sequence to one label."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.tensor import Tensor, value
from ..errors import InvalidValue
from ..nn import Bidirectional, Dropout, Embedding, Linear, Stacked
from ..nn.evaluating import evaluating
from ..nn.parameter import generator
from ..ops import binary_cross_entropy, sigmoid, softmax, softmax_cross_entropy
from .answers import IGNORE, Answers, check_shape, labels


class Classifier(Answers):
    """Many-to-one: ids (N, T) -> scores (N, classes).  Equal to::

        hs, _ = recurrent(embed(ids), lengths=lengths)
        scores = affine(drop(hs at the last step))

    V tokens, D numbers a vector, H units in each of ``layers`` layers. With ``classes=1``, as in the notes (embedding
    5000 x 128, GRU of 256, dense sigmoid), there is one score, whose sigmoid is the probability of label 1, and scores
    are (N,). With ``lengths`` (N,) the last step of row n is lengths[n] - 1. ``bidirectional=True`` joins the last
    states of both directions. ``dropout`` is between the layers and above them. Raises ShapeError for ids that are not
    (N, T).
    """

    def __init__(
        self,
        V: int,
        D: int,
        H: int,
        classes: int = 1,
        *,
        cell: Cell | str = "gru",
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        rng: Any,
        embedding: Any = "normal",
    ):
        rng, self.classes = generator(rng, "Classifier"), classes
        self.embed = Embedding(V, D, rng=rng, init=embedding)
        options = {"bidirectional": bidirectional, "dropout": dropout, "rng": rng}
        self.recurrent = Stacked(cell, layers=layers, D=D, H=H, **options)
        self.drop = Dropout(dropout, rng=rng)
        self.affine = Linear(self.recurrent.width, classes, rng=rng)

    def forward(self, ids: Any, lengths: Any = None) -> Tensor:
        check_shape("Classifier", "ids", ids, "N", "T")
        top, state = self.recurrent.layers[-1], self.recurrent(self.embed(ids), lengths=lengths)[1][-1]
        h = top.merged(state[0][0], state[1][0]) if isinstance(top, Bidirectional) else state[0]
        scores = self.affine(self.drop(h))
        return scores[:, 0] if self.classes == 1 else scores

    def loss(self, ids: Any, targets: Any, lengths: Any = None) -> Tensor:
        """The mean cross-entropy of ``targets`` (N,), labels or one-hot (N, classes), a scalar Tensor.

        A label of -1 does not count. Raises InvalidValue for a label that is not below ``classes`` (with
        ``classes=1``: that is not from 0 to 1).
        """
        scores = self(ids, lengths)
        targets = labels(targets, (len(scores),), self.classes) if self.classes > 1 else np.asarray(value(targets))
        check_shape("Classifier", "targets", targets, len(scores))
        return self._binary(scores, targets) if self.classes == 1 else softmax_cross_entropy(scores, targets)

    def _binary(self, scores: Tensor, targets: np.ndarray) -> Tensor:
        """The mean binary cross-entropy over the targets that are not -1, 0 if there are none."""
        counts = targets != IGNORE
        wrong = targets[counts & ~((targets >= 0) & (targets <= 1))]
        if wrong.size:
            what = f"targets holds {wrong[0]}, should be 0 or 1, or -1 to be ignored, since classes is 1"
            raise InvalidValue(f"Classifier: {what}: Classifier(V, D, H, classes=3) has three labels")
        if not counts.any():
            return 0 * scores.sum()
        return binary_cross_entropy(*((scores, targets) if counts.all() else (scores[counts], targets[counts])))

    def probabilities(self, ids: Any, lengths: Any = None) -> np.ndarray:
        """The probability of every label, (N, classes), or of label 1, (N,); without dropout."""
        with evaluating(self):
            return (sigmoid if self.classes == 1 else softmax)(self(ids, lengths)).numpy()

    def predict(self, ids: Any, lengths: Any = None) -> np.ndarray:
        """The most likely label of every row, (N,) of integers; without dropout."""
        p = self.probabilities(ids, lengths)
        return (p > 0.5).astype(np.int64) if self.classes == 1 else p.argmax(axis=-1)
