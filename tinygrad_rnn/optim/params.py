"""What an optimiser and clipping are given: parameters by name, gradients by name, and arrays in blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import Any, Protocol

import numpy as np

from ..engine.row_gradient import RowGradient, held
from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue

#: Elements that are worked on at a time: this many stay in the cache.
BLOCK = 1 << 16


class HasParams(Protocol):
    """A module, or any other object with named parameters."""

    @property
    def params(self) -> Mapping[str, Tensor]: ...


Parameters = Mapping[str, Tensor] | Iterable[Tensor] | HasParams
Gradients = Parameters | Mapping[str, np.ndarray] | Iterable[np.ndarray]


def named(params: Any) -> dict[str, Tensor]:
    """The parameters of a dict, an iterable, or an object with ``params``, by name; each once, by identity.

    Raises InvalidType for what is not a leaf Tensor that requires a gradient.
    """
    return _leaves(_by_name(params))


def _leaves(by_name: dict[str, Any]) -> dict[str, Tensor]:
    """The same dict; raises InvalidType for what is not a leaf Tensor that requires a gradient."""
    for name, parameter in by_name.items():
        if not isinstance(parameter, Tensor) or parameter.node is None or parameter.node.parents:
            raise InvalidType(
                f"optim: parameter {name} is {_what(parameter)}, should be a leaf Tensor with requires_grad=True"
            )
    return by_name


def gradients(params: Any, where: str) -> dict[str, np.ndarray]:
    """The gradients of parameters, by name, without copies. An array in the place of a parameter is a gradient itself.

    Of a gradient that is held as rows these are the rows, since all other elements are 0. Parameters without a
    gradient, frozen ones too, are left out. Raises InvalidType for an array that cannot be scaled in place.
    """
    by_name = _by_name(params)
    arrays = {name: array for name, array in by_name.items() if isinstance(array, np.ndarray)}
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not array.flags.writeable:
            what = f"an array of {array.dtype}" if array.flags.writeable else "a read-only array"
            raise InvalidType(f"{where}: {name} is {what}, should be a floating array that can be written to")
    by_name = {name: parameter for name, parameter in by_name.items() if not _frozen(parameter)}
    _leaves({name: parameter for name, parameter in by_name.items() if name not in arrays})
    grads = {name: x if name in arrays else held(x.node) for name, x in by_name.items()}
    rows = {name: grad.values for name, grad in grads.items() if isinstance(grad, RowGradient)}
    return {name: rows.get(name, grad) for name, grad in grads.items() if grad is not None}


def _frozen(parameter: Any) -> bool:
    """Is it a Tensor that a module saves and does not train? An optimiser holds it if it was frozen later."""
    return isinstance(parameter, Tensor) and type(parameter) is not Tensor and parameter.node is None


def _by_name(params: Any) -> dict[str, Any]:
    """Everything in ``params`` by name, each object once."""
    params = getattr(params, "params", params)
    if isinstance(params, (Tensor, np.ndarray)):
        params = [params]
    if not isinstance(params, Iterable):
        raise InvalidType(f"optim: params is a {type(params).__name__}, should be a module, or a dict or a list of "
                        "parameters")  # fmt: skip
    by_name: dict[str, Any] = {}
    seen: dict[int, None] = {}
    for key, parameter in params.items() if isinstance(params, Mapping) else enumerate(params):
        name = key if isinstance(key, str) else getattr(parameter, "name", None) or f"number {key}"
        if id(parameter) not in seen:
            seen[id(parameter)] = None
            by_name[name if name not in by_name else f"{name} (number {key})"] = parameter
    return by_name


def _what(parameter: Any) -> str:
    if not isinstance(parameter, Tensor):
        return f"a {type(parameter).__name__}"
    return f"a Tensor {parameter.shape} that needs no gradient" if parameter.node is None else parameter.node.label()


def blocks(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Arrays of one shape as tuples of blocks of the same elements, in any order, to be read and written to.

    Small arrays are one block, as they are. Of larger ones a block has at most `BLOCK` elements, flat; it is a view
    where the layout of the arrays allows it.
    """
    if arrays[0].size <= BLOCK:
        yield arrays
        return
    access: Any = [["readwrite"] if array.flags.writeable else ["readonly"] for array in arrays]
    with np.nditer(arrays, ["external_loop", "buffered"], access, buffersize=BLOCK, order="K") as parts:
        for part in parts:
            yield part if isinstance(part, tuple) else (part,)


def within(where: str, what: str, value: Any, least: float = 0, below: float = math.inf, zero: bool = True) -> None:
    """Raise InvalidValue unless ``least <= value < below`` (without ``zero``: ``least < value``)."""
    number = float(value) if isinstance(value, Real) else math.nan
    if least <= number < below and (zero or number > least):
        return
    low = f"{least} or more" if zero and below == math.inf else f"from {least}" if zero else f"more than {least}"
    high = ", and finite" if below == math.inf else f" to less than {below}" if zero else f" and less than {below}"
    raise InvalidValue(f"{where}: {what} is {value!r}, should be {low}{high}")


def pair(where: str, what: str, value: Any) -> tuple[Any, Any]:
    """Two numbers; raises InvalidValue for what is not a tuple or a list of two."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise InvalidValue(f"{where}: {what} is {value!r}, should be two numbers")
    return value[0], value[1]
