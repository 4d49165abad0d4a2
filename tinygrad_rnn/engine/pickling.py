"""What of a Tensor is copied, pickled, and sent to another process: its values, never a graph."""

from __future__ import annotations

import copy
import copyreg
from typing import Any

from ..errors import InvalidType
from .graph import Node
from .pytree import flatten


class Portable:
    """The part of a Tensor that `copy` and `pickle` see."""

    __slots__ = ()
    _array: Any
    node: Any

    def __copy__(self) -> Any:
        """The same values on the same node: what is changed in place from now on is changed in one of the two."""
        twin = object.__new__(type(self))
        for name in ("_array", "node", "_name"):
            if hasattr(self, name):
                setattr(twin, name, getattr(self, name))
        if hasattr(self, "__dict__"):
            vars(twin).update(vars(self))
        return twin

    def __reduce__(self) -> Any:
        """A pickle, or a deep copy: values, name, and of a leaf that it is one, with its gradient."""
        if self.node is not None and self.node.parents:
            raise InvalidType(
                f"pickle, deepcopy: {self.node.label()} belongs to a graph, should be a leaf, or free of it: detach(x)"
            )
        grad, state = getattr(self.node, "grad", None), vars(self) if hasattr(self, "__dict__") else None
        return _restored, (type(self), self._array, getattr(self, "_name", None), self.node is not None, grad), state


def _restored(kind: type, array: Any, name: str | None, leaf: bool, grad: Any) -> Any:
    """A Tensor from a pickle. Its node is made here, as places on the clock mean nothing in another process."""
    x: Any = object.__new__(kind)
    x._array, x.node = array, Node((), array.shape, array.dtype) if leaf else None
    if leaf:
        x.node.grad = grad
    x.name = name
    return x


def twins(tree: Any) -> Any:
    """The same tree, of shallow copies of its Tensors: to be changed in place without changing the first ones."""
    leaves, build = flatten(tree)
    return build([copy.copy(leaf) if isinstance(leaf, Portable) else leaf for leaf in leaves])


def _refuse(node: Node) -> Any:
    raise InvalidType(f"pickle, deepcopy: the node of {node.label()} stays where it was made; pickle the Tensor")


copyreg.pickle(Node, _refuse)
