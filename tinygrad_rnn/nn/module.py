"""`Module`: parameters with names, in the order in which they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..graph import clock
from ..guard import wrote
from ..tensor import Tensor


class Module:
    """Anything that has parameters: as attributes, or in modules, lists and dicts among its attributes.

    A parameter is a Tensor that requires a gradient. Its name is the path of attributes to it (``embed.W``), the order
    is that of assignment. Two names for one Tensor (tied weights) are one parameter, under the first name; two equal
    Tensors are two.
    """

    @property
    def params(self) -> dict[str, Tensor]:
        """Every parameter by its name."""
        found: dict[str, Tensor] = {}
        seen: dict[int, None] = {}
        for name, one in _walk(vars(self), ""):
            if id(one) not in seen:
                seen[id(one)] = None
                found[name] = one
        return found

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for one in self.params.values():
            one.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every parameter by its name."""
        return {name: one.numpy() for name, one in self.params.items()}

    def load_state_dict(self, arrays: Mapping[str, Any]) -> None:
        """Set every parameter; a missing, extra or misshaped array is an error before any is set."""
        params, where = self.params, type(self).__name__
        for name in [*params, *arrays]:
            if name not in arrays or name not in params:
                raise KeyError(f"{where}: {name} is {'missing' if name in params else 'not a parameter here'}")
        for name, one in params.items():
            if np.shape(arrays[name]) != one.shape:
                raise ValueError(f"{where}: {name} is {np.shape(arrays[name])}, should be {one.shape}")
        for name, one in params.items():
            one._array[...] = arrays[name]
            wrote(one._array, clock())

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {one.shape}" for name, one in self.params.items())
        return f"{type(self).__name__}({shapes})"


def _walk(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """The parameters under a value, with their names."""
    if isinstance(value, Tensor):
        if value.requires_grad and not value.node.edges:  # type: ignore[union-attr]
            yield name, value
        return
    if isinstance(value, Module):
        value = vars(value)
    if isinstance(value, (list, tuple)):
        value = dict(enumerate(value))
    for key, one in value.items() if isinstance(value, Mapping) else ():
        yield from _walk(one, f"{name}.{key}" if name else str(key))


def parameter(array: np.ndarray, name: str) -> Tensor:
    """A leaf that requires a gradient."""
    return Tensor(array, requires_grad=True, name=name)
