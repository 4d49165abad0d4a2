"""The arguments of `fit`, which refuses what it cannot train with before the first batch."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import Any

import numpy as np

from ..errors import InvalidType, InvalidValue
from ..optim import Optimizer


def check_batches(batches: Any, valid: Any) -> None:
    """Raise InvalidType for what cannot be iterated over again, and batches without a length; InvalidValue for none."""
    for name, given, needed in (("batches", batches, "__len__"), ("valid", valid, "__iter__")):
        if given is None and name == "valid":
            continue
        if isinstance(given, Iterator) or not (hasattr(given, "__iter__") and hasattr(given, needed)):
            should = "a list, or an object with __iter__ and __len__, since every epoch iterates over it"
            raise InvalidType(f"fit: {name} is a {type(given).__name__}, should be {should}")
        if isinstance(given, np.ndarray) and given.ndim == 1:
            raise InvalidType(f"fit: {name} is an array {given.shape}, should hold batches: data.windows(ids, N, T)")
        if hasattr(given, "__len__") and not len(given):
            raise InvalidValue(f"fit: {name} is empty, should have at least one batch")


def check_numbers(epochs: Any, max_norm: Any, patience: Any) -> None:
    """Raise InvalidValue for numbers of epochs that are not whole, and a norm that is not positive."""
    for name, number, least in (("epochs", epochs, 0), ("patience", patience, 1)):
        whole = hasattr(number, "__index__") and not isinstance(number, bool) and number >= least
        if not whole and (number is not None or name == "epochs"):
            raise InvalidValue(f"fit: {name} is {number!r}, should be a whole number from {least}")
    if max_norm is not None and not (isinstance(max_norm, Real) and float(max_norm) > 0):
        raise InvalidValue(f"fit: max_norm is {max_norm!r}, should be more than 0, or None, which does not clip")


def check_optimizer(model: Any, optimizer: Any, schedule: Any) -> None:
    """Raise InvalidType for what is no optimiser or schedule, InvalidValue for those of another model or optimiser."""
    if not isinstance(optimizer, Optimizer):
        what = f"optimizer is {_what(optimizer)}, should be an Optimizer"
        raise InvalidType(f"fit: {what}, such as optim.SGD(model, lr=0.1)")
    trained = [id(parameter) for parameter in getattr(model, "params", {}).values()]
    if trained and not any(id(parameter) in trained for parameter in optimizer.params.values()):
        should = f"should be created with it: {type(optimizer).__name__}(model, ...)"
        raise InvalidValue(f"fit: optimizer has no parameter of the model, {should}")
    if schedule is None:
        return
    if isinstance(schedule, (str, type)) or not callable(getattr(schedule, "step", None)):
        what = f"schedule is {_what(schedule)}, should be a schedule of the optimizer"
        raise InvalidType(f"fit: {what}, such as optim.Cosine(optimizer, steps=1000)")
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise InvalidValue("fit: schedule sets the lr of another optimizer, should be created with this one")


def _what(x: Any) -> str:
    """The object as errors name it."""
    if isinstance(x, type):
        return f"the class {x.__name__}"
    return repr(x) if isinstance(x, str) else f"a {type(x).__name__}"
