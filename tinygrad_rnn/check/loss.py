"""`check_loss`: one function that returns the loss and then gradients, as min-char-rnn's, against numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import Uncheckable
from .layer import checked
from .layers.arguments import binds, parameters, refuse_deferred, with_signature
from .layers.loss_function import loss_as_layer
from .report import Report
from .timeout import SECONDS


def check_loss(function: Callable[..., Any], *inputs: Any, seed: int | None = None, timeout: float = SECONDS) -> Report:
    """Compare the gradients that a function returns after its loss with the numerical derivatives of the loss.

    loss, dWxh, dWhh, dWhy, dbh, dby, hprev = lossFun(inputs, targets, hprev, Wxh, Whh, Why, bh, by)

    Gradients are matched to inputs by name (``dWxh``, ``grad_Wxh``, a dict with the keys of an input), then by order
    and shape; what fits no input is left alone. Weights may be global variables of the function's module, or attributes
    of the object whose method it is (``model.loss``). An input without a gradient does not count. Inputs are arrays, or
    lists, tuples and dicts of arrays; integers are never differentiated. ``seed`` seeds NumPy's and Python's global
    generators before each call.

    Returns a `Report`. Raises `Uncheckable` if the function does not take the inputs, returns no loss, or if a call
    takes longer than ``timeout`` seconds.
    """
    name = getattr(function, "__name__", type(function).__name__)
    name = f"{type(function.__self__).__name__}.{name}" if inspect.ismethod(function) else name
    if isinstance(function, type) or not callable(function):
        raise Uncheckable(f"check_loss: it is handed a {type(function).__name__}, should be a function that returns "
                          "the loss, then gradients, or a method that does, model.loss")  # fmt: skip
    refuse_deferred("check_loss", function)
    function = with_signature(function)
    if not binds(function, inputs):
        wanted, count = ", ".join(parameters(function)), f"{len(inputs)} input{'s' * (len(inputs) != 1)}"
        call = f"check_loss({name}, {wanted})" if not wanted.startswith("self, ") else (
            f"check_loss(model.{name}, {wanted[6:]}), of an object of the class")  # fmt: skip
        raise Uncheckable(f"check_loss: {name}({wanted}) is handed {count}, should be {call}")
    report = checked(loss_as_layer(function), inputs, None, seed, timeout=timeout)
    report.title = f"{name}: the gradients that it returns against numbers of its loss"
    return report
