"""Copies and pickles of a Tensor have its values, never its graph."""

from __future__ import annotations

import copy
import copyreg
from typing import Any

import numpy as np

from ..errors import InvalidType
from .graph import Node
from .pytree import flatten
from .row_gradient import whole


class Portable:
    """The methods of a Tensor that `copy` and `pickle` call."""

    __slots__ = ()
    _array: Any
    node: Any

    def __copy__(self) -> Any:
        """A shallow copy: the same values on the same node. A later change in place affects only one of the two."""
        twin = object.__new__(type(self))
        for name in ("_array", "node", "_name"):
            if hasattr(self, name):
                setattr(twin, name, getattr(self, name))
        if hasattr(self, "__dict__"):
            vars(twin).update(vars(self))
        return twin

    def __reduce__(self) -> Any:
        """A pickle or a deep copy: values and name; for a leaf also that it is one, and its gradient."""
        if self.node is not None and self.node.parents:
            raise InvalidType(
                f"pickle, deepcopy: {self.node.label()} belongs to a graph, should be a leaf, or free of it: detach(x)"
            )
        grad, state = whole(self.node), vars(self) if hasattr(self, "__dict__") else None
        return _restored, (type(self), self._array, getattr(self, "_name", None), self.node is not None, grad), state


def _restored(kind: type, array: Any, name: str | None, leaf: bool, grad: Any) -> Any:
    """A Tensor from a pickle. Its node is new, because the clock of another process means nothing here.

    NumPy lets an array from a pickle live in the memory of a bytes object; a Tensor owns its memory.
    """
    x: Any = object.__new__(kind)
    array = np.array(array) if isinstance(array, np.ndarray) else array
    x._array, x.node = array, Node((), array.shape, array.dtype) if leaf else None
    if leaf:
        x.node.gradient = grad
    x.name = name
    return x


def twins(tree: Any) -> Any:
    """A copy of a pytree with shallow copies of its Tensors, which may be changed in place independently."""
    leaves, build = flatten(tree)
    return build([copy.copy(leaf) if isinstance(leaf, Portable) else leaf for leaf in leaves])


def _refuse(node: Node) -> Any:
    raise InvalidType(f"pickle, deepcopy: the node of {node.label()} stays where it was made; pickle the Tensor")


copyreg.pickle(Node, _refuse)
