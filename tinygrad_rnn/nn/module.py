"""`Module`: parameters with names, in the order in which they were made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..engine.graph import clock
from ..engine.higher_order import StandIn
from ..engine.tensor import Tensor, value
from ..engine.versions import wrote
from ..errors import InvalidValue


class Module:
    """Anything that has parameters: as attributes, or in modules, lists and dicts among its attributes.

    A parameter is a Tensor that requires a gradient, or one that `grad` and its kin differentiate by. Its name is the
    path of attributes to it (``embed.W``), the order is that of assignment. Two names for one Tensor (tied weights) are
    one parameter, under the first name; two equal Tensors are two.
    """

    @property
    def params(self) -> dict[str, Tensor]:
        """Every parameter by its name."""
        return dict(_walk(self, "", {}))

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for one in self.params.values():
            one.grad = None

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every parameter by its name."""
        return {name: one.numpy() for name, one in self.params.items()}

    def load_state_dict(self, arrays: Mapping[str, Any]) -> None:
        """Set every parameter, in its own dtype; a missing, extra or misshaped array is an error before any is set."""
        params, where = self.params, type(self).__name__
        missing = [name for name in params if name not in arrays]
        extra = [name for name in arrays if name not in params]
        if missing or extra:
            parts = [f"{', '.join(missing)} missing"] * bool(missing) + [f"{', '.join(extra)} unknown"] * bool(extra)
            raise InvalidValue(f"{where}: {' and '.join(parts)}, should be exactly {', '.join(params)}")
        new = {name: np.asarray(value(arrays[name])) for name in params}
        for name, one in params.items():
            if new[name].shape != one.shape or new[name].dtype.kind not in "fiub":
                raise InvalidValue(f"{where}: {name} is {new[name].dtype} {new[name].shape}, "
                                 f"should be {one.dtype} {one.shape}")  # fmt: skip
        for name, one in params.items():
            one._array[...] = new[name]
            wrote(one._array, clock())

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {one.shape}" for name, one in self.params.items())
        return f"{type(self).__name__}({shapes})"


def _walk(one: Any, name: str, seen: dict[int, None]) -> Iterator[tuple[str, Tensor]]:
    """The parameters under ``one``, with their names; ``seen`` (by id) is not gone through again."""
    inside = vars(one) if isinstance(one, Module) else dict(enumerate(one)) if isinstance(one, (list, tuple)) else one
    if not isinstance(inside, (Tensor, Mapping)) or id(one) in seen:
        return
    seen[id(one)] = None
    if not isinstance(inside, Tensor):
        for key, part in inside.items():
            yield from _walk(part, f"{name}.{key}" if name else str(key), seen)
    elif inside.node is not None and (not inside.node.parents or isinstance(inside.node, StandIn)):
        yield name, inside


def parameter(array: np.ndarray, name: str) -> Tensor:
    """A leaf that requires a gradient."""
    return Tensor(array, requires_grad=True, name=name)
