"""The loss of a batch, for models that carry a state and for models that do not."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..engine.tensor import Tensor, value
from ..errors import InvalidType


class Loss:
    """Calls a loss in one way: ``value, state = Loss(model.loss)(batch, state)``.

    A loss that has a parameter ``state`` carries one: ``loss(*batch, state=state)`` returns the value and the new
    state. Any other loss is called as ``loss(*batch)`` and returns the value alone; its state is always None.
    """

    def __init__(self, loss: Callable[..., Any]):
        if not callable(loss):
            raise InvalidType(f"fit: loss is a {type(loss).__name__}, should be a function of a batch")
        self.loss, self.signature = loss, inspect.signature(loss)
        self.carries = "state" in self.signature.parameters

    def __call__(self, batch: Any, state: Any) -> tuple[Tensor, Any]:
        arguments = batch if isinstance(batch, tuple) else (batch,)
        self._check(batch, arguments)
        result = self.loss(*arguments, state=state) if self.carries else (self.loss(*arguments), None)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise InvalidType(f"fit: loss returned a {type(result).__name__}, should return (loss, state), since it "
                              "takes a state")  # fmt: skip
        if np.shape(value(result[0])) != ():
            raise InvalidType(f"fit: loss returned the shape {np.shape(value(result[0]))}, should be a scalar")
        return result

    def _check(self, batch: Any, arguments: tuple[Any, ...]) -> None:
        """Raise InvalidType if the loss cannot be called with the arrays of the batch."""
        try:
            self.signature.bind(*arguments, **({"state": None} if self.carries else {}))
        except TypeError as error:
            what = f"of {len(batch)} arrays" if isinstance(batch, tuple) else f"that is a {type(batch).__name__}"
            plain = [p.replace(annotation=inspect.Parameter.empty) for p in self.signature.parameters.values()]
            should = f"should be a tuple of what loss{inspect.Signature(plain)} takes"
            raise InvalidType(f"fit: got a batch {what} ({error}), {should}") from None


def targets_in(batch: Sequence[Any]) -> int:
    """The number of targets in a batch: of its second array, or of a single one. A label of -1 is no target."""
    arrays = batch if isinstance(batch, tuple) else (batch,)
    targets = np.asarray(value(arrays[min(1, len(arrays) - 1)]))
    return int(np.count_nonzero(targets != -1)) if targets.dtype.kind in "iu" else targets.size
