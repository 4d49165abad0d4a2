"""The Tensors that a module holds, parameters and buffers, and the generator that it draws from."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine.graph import Node
from ..engine.higher_order import InputNode
from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue


class Buffer(Tensor):
    """A Tensor that `Module.state_dict` holds and no optimiser trains, such as the running mean of `BatchNorm`.

    It is an attribute of a module: ``self.mean = Buffer(np.zeros(H))``. Assigning a Tensor of its shape and dtype,
    ``self.mean = 0.9 * self.mean + 0.1 * mean``, sets its values, without a graph.
    """

    __slots__ = ()


class Frozen(Buffer):
    """A parameter after `Module.freeze`. It is the same object, so tied weights stay tied."""

    __slots__ = ()


def parameter(array: np.ndarray, name: str) -> Tensor:
    """A leaf that requires a gradient."""
    return Tensor(array, requires_grad=True, name=name)


def is_parameter(x: Any) -> bool:
    """Is it a leaf that requires a gradient, or a Tensor by which a transform such as `grad` differentiates?"""
    return isinstance(x, Tensor) and x.node is not None and (not x.node.parents or isinstance(x.node, InputNode))


def freeze(tensor: Tensor) -> None:
    """Turn a leaf into a `Frozen` Tensor, in place."""
    if hasattr(tensor.node, "gradient"):  # an input of grad, vjp, ... is differentiated by all the same
        tensor.node, tensor.__class__ = None, Frozen


def unfreeze(tensor: Tensor) -> None:
    """Turn a `Frozen` Tensor into a leaf that requires a gradient, in place; its gradient is None."""
    tensor.__class__, tensor.node = Tensor, Node((), tensor.shape, tensor.dtype)
    tensor.node.gradient, tensor.name = None, tensor.name


def generator(rng: Any, where: str) -> np.random.Generator:
    """The generator ``rng``, or a new one if ``rng`` is a seed. Raises InvalidType for None and for anything else.

    ``where`` is the layer, for errors.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and rng >= 0:
        return np.random.default_rng(rng)
    what = "is missing" if rng is None else f"is {rng!r}"
    raise InvalidType(f"{where}: rng {what}, should be a NumPy generator or a seed: rng=np.random.default_rng(0)")


def check_sizes(where: str, **sizes: Any) -> None:
    """Raise InvalidValue unless every size, given by its name, is a whole number from 1."""
    for name, size in sizes.items():
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            raise InvalidValue(f"{where}: {name} is {size!r}, should be a whole number from 1")
