"""`Module`: parameters with names, in the order of their assignment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..engine.graph import clock
from ..engine.higher_order import InputNode
from ..engine.tensor import Tensor, value
from ..engine.versions import bump
from ..errors import InvalidValue


class Module:
    """Base class of layers and models: it collects the parameters among its attributes.

    Parameters may be attributes themselves, or be in modules, lists, tuples and dicts among the attributes. A parameter
    is a leaf Tensor that requires a gradient, or a Tensor by which `grad` and the other transforms differentiate. Its
    name is the path of attributes to it (``embed.W``); the order is that of assignment. A Tensor with two names (tied
    weights) is one parameter, under the first name; two equal Tensors are two parameters.
    """

    @property
    def params(self) -> dict[str, Tensor]:
        """Every parameter by its name, collected anew at each access."""
        return dict(_walk(self, "", {}))

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for tensor in self.params.values():
            tensor.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every parameter as an array, by name."""
        return {name: tensor.numpy() for name, tensor in self.params.items()}

    def load_state_dict(self, arrays: Mapping[str, Any]) -> None:
        """Set every parameter from an array of its shape, by name; dtypes of the parameters stay as they are.

        Raises InvalidValue if an array is missing, unknown, or of another shape or kind; then no parameter is set.
        """
        params, where = self.params, type(self).__name__
        missing = [name for name in params if name not in arrays]
        extra = [name for name in arrays if name not in params]
        if missing or extra:
            parts = [f"{', '.join(missing)} missing"] * bool(missing) + [f"{', '.join(extra)} unknown"] * bool(extra)
            raise InvalidValue(f"{where}: {' and '.join(parts)}, should be exactly {', '.join(params)}")
        new = {name: np.asarray(value(arrays[name])) for name in params}
        for name, tensor in params.items():
            if new[name].shape != tensor.shape or new[name].dtype.kind not in "fiub":
                raise InvalidValue(f"{where}: {name} is {new[name].dtype} {new[name].shape}, "
                                 f"should be {tensor.dtype} {tensor.shape}")  # fmt: skip
        for name, tensor in params.items():
            tensor._array[...] = new[name]
            bump(tensor._array, clock())

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tensor.shape}" for name, tensor in self.params.items())
        return f"{type(self).__name__}({shapes})"


def _walk(holder: Any, name: str, seen: dict[int, None]) -> Iterator[tuple[str, Tensor]]:
    """The parameters in ``holder`` with their names; an object in ``seen`` (by id) is left out."""
    parts = dict(enumerate(holder)) if isinstance(holder, (list, tuple)) else holder
    parts = vars(holder) if isinstance(holder, Module) else parts
    if not isinstance(parts, (Tensor, Mapping)) or id(holder) in seen:
        return
    seen[id(holder)] = None
    if not isinstance(parts, Tensor):
        for key, part in parts.items():
            yield from _walk(part, f"{name}.{key}" if name else str(key), seen)
    elif parts.node is not None and (not parts.node.parents or isinstance(parts.node, InputNode)):
        yield name, parts


def parameter(array: np.ndarray, name: str) -> Tensor:
    """A leaf that requires a gradient."""
    return Tensor(array, requires_grad=True, name=name)
