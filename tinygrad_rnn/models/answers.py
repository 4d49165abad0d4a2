"""Evaluation of a model: without dropout and gradients, and the share of right answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import InvalidType, InvalidValue
from ..nn import Module

IGNORE = -1  #: the label of a target that does not count


class Answers(Module):
    """Base class of models that answer: ``predict(xs, lengths)`` gives labels, `accuracy` compares them."""

    #: Is an answer the whole row of labels, right only if all of them are?
    whole = False

    def predict(self, xs: Any, lengths: Any = None) -> np.ndarray:
        """The predicted labels for the inputs ``xs``. A subclass implements it."""
        raise InvalidType(f"{type(self).__name__} has no prediction, should define predict(self, xs, lengths=None)")

    def accuracy(self, batches: Iterable[Any]) -> float:
        """The share of right answers, from 0 to 1, over batches ``(xs, ts)`` or ``(xs, ts, lengths)``.

        Targets of -1 do not count. Raises InvalidValue if no target counts.
        """
        right = count = 0
        for xs, ts, *lengths in batches:
            ts = np.asarray(ts)
            counts: Any = ts != IGNORE
            hits: Any = ~counts | (self.answers(xs, ts, *lengths) == ts)
            if self.whole:
                hits, counts = hits.all(axis=1), counts.any(axis=1)
            right, count = right + int(np.count_nonzero(hits & counts)), count + int(np.count_nonzero(counts))
        if not count:
            raise InvalidValue(f"{type(self).__name__}.accuracy: there is no target, should be at least one")
        return right / count

    def answers(self, xs: Any, ts: np.ndarray, lengths: Any = None) -> np.ndarray:
        """The predicted labels, of the shape of the targets ``ts``."""
        return self.predict(xs, lengths)
