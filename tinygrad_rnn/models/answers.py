"""Evaluation of a model: without dropout and gradients, and the share of right answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engine.tensor import value
from ..errors import InvalidType, InvalidValue, ShapeError
from ..nn import Module

IGNORE = -1  #: the label of a target that does not count


def check_shape(where: str, name: str, array: Any, *sizes: str | int) -> None:
    """Raise ShapeError unless ``array`` has a shape of ``sizes``, where a letter is any size."""
    wanted = f"({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)})"
    try:
        shape = np.shape(value(array))
    except ValueError:
        what = f"{name} has rows of unequal length, should be {wanted}: data.pad pads them"
        raise ShapeError(f"{where}: {what}") from None
    if len(shape) != len(sizes) or any(size not in (n, str(size)) for n, size in zip(shape, sizes)):
        raise ShapeError(f"{where}: {name} is {shape}, should be {wanted}")


def labels(targets: Any, shape: tuple[int, ...], classes: int | None = None) -> np.ndarray:
    """Targets as an array; one-hot targets (*shape, classes) become labels of that shape, all others stay."""
    targets = np.asarray(value(targets))
    width = targets.shape[-1] if targets.ndim == len(shape) + 1 else 0
    if width < 2 or width != (classes or width):
        return targets
    one_hot = ((targets == 0) | (targets == 1)).all() and (targets.sum(axis=-1) == 1).all()
    return targets.argmax(axis=-1) if one_hot else targets


class Answers(Module):
    """Base class of models that answer: ``predict(xs, lengths)`` gives labels, `accuracy` compares them."""

    #: Is an answer the whole row of labels, right only if all of them are?
    whole = False

    def predict(self, xs: Any, lengths: Any = None) -> np.ndarray:
        """The predicted labels for the inputs ``xs``. A subclass implements it."""
        raise InvalidType(f"{type(self).__name__} has no prediction, should define predict(self, xs, lengths=None)")

    def accuracy(self, batches: Iterable[Any]) -> float:
        """The share of right answers, from 0 to 1, over batches ``(xs, ts)`` or ``(xs, ts, lengths)``.

        Targets of -1 do not count. Raises InvalidValue if no target counts, InvalidType for what is no batch, and
        ShapeError for targets that have not the shape of the answers.
        """
        where, right, count = f"{type(self).__name__}.accuracy", 0, 0
        for batch in batches:
            if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
                what = "batches holds no batches, should hold tuples (xs, ts) or (xs, ts, lengths)"
                raise InvalidType(f"{where}: {what}")
            xs, ts, *lengths = batch
            answers = self.answers(xs, np.asarray(value(ts)), *lengths)
            ts = labels(ts, answers.shape)
            check_shape(where, "the targets", ts, *answers.shape)
            counts: Any = ts != IGNORE
            hits: Any = ~counts | (answers == ts)
            if self.whole:
                hits, counts = hits.all(axis=1), counts.any(axis=1)
            right, count = right + int(np.count_nonzero(hits & counts)), count + int(np.count_nonzero(counts))
        if not count:
            raise InvalidValue(f"{where}: there is no target, should be at least one")
        return right / count

    def answers(self, xs: Any, ts: np.ndarray, lengths: Any = None) -> np.ndarray:
        """The predicted labels, of the shape of the targets ``ts``."""
        return self.predict(xs, lengths)
