"""Tensor: an array, and the node that recorded how it was computed.

Its arithmetic comes from the operations: `op` sets the operators. This file defines the Tensor itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import GraphError, InvalidAttribute, InvalidType, InvalidValue
from . import versions
from .expansion import expanded
from .graph import Node, backpropagate, context, newest_first
from .growth import warn_if_growing
from .numpy_protocol import Border
from .pickling import Portable
from .pytree import flatten
from .row_gradient import accumulated, whole


class Tensor(Border, Portable):
    """An array that can be differentiated through.

    ``data``, anything that NumPy turns into an array, is copied. With ``requires_grad=True`` the Tensor is a leaf:
    ``backward()`` adds the gradient of the loss by it to ``.grad``. Everything computed from it needs a gradient too.
    Messages and pictures use ``name``.
    """

    __slots__ = ("__weakref__", "_array", "_name", "node")
    __hash__ = object.__hash__  # by identity; == compares values, as in NumPy

    def __init__(self, data: Any, requires_grad: bool = False, name: str | None = None):
        if isinstance(data, Tensor):
            raise InvalidType(
                "Tensor(data): data is a Tensor already; detach(data) gives one that is free of its graph"
            )
        self._array = np.array(data)
        if self._array.dtype.kind not in "fiub":
            raise InvalidType(f"Tensor: data has dtype {self._array.dtype}, should be real numbers")
        self.node: Node | None = None
        if requires_grad:
            if self._array.dtype.kind != "f":
                raise InvalidType(f"Tensor: requires_grad needs a floating dtype, data has {self._array.dtype}")
            self.node = Node((), self._array.shape, self._array.dtype)
            self.node.gradient = None
        if name is not None:
            self.name = name

    # -- what it is ------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        return self._array.dtype

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        return self._array.size

    @property
    def requires_grad(self) -> bool:
        """Does a gradient flow through this tensor? True for such a leaf, and for all values computed from one."""
        return self.node is not None

    @property
    def name(self) -> str | None:
        return getattr(self, "_name", None)

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name
        if self.node is not None:
            self.node.name = name

    @property
    def data(self) -> np.ndarray:
        """The array itself: a write to it, or to a view of it, changes this tensor.

        Earlier results stay as they are: if a graph or another tensor shares the memory, ``.data`` first gives this
        tensor its own copy.
        """
        self._array = np.asarray(self._array)
        shared = self._array.base is not None or versions.holders((self._array,), 0) > 1
        if shared and not versions.is_watched(self._array):
            self._array = np.array(self._array)
        return versions.watch(self._array)

    @data.setter
    def data(self, value: Any) -> None:
        new = np.array(value)
        if new.shape != self.shape or new.dtype != self.dtype:
            raise InvalidValue(
                f"data: got {new.dtype} {new.shape}, should be {self.dtype} {self.shape} as before; make a new Tensor"
            )
        self._array = new

    def numpy(self) -> np.ndarray:
        """The values as a new array."""
        return np.array(self._array)

    def item(self) -> Any:
        """The only value, as a Python number."""
        return self._alone().item()

    def tolist(self) -> Any:
        """The values as Python numbers, in nested lists."""
        return self._alone().tolist()

    # -- gradients -------------------------------------------------------------------------------------------------

    @property
    def grad(self) -> np.ndarray | None:
        """The gradient that ``backward()`` has accumulated for this leaf: an array that owns its memory, or None."""
        return whole(self.node)

    @grad.setter
    def grad(self, value: np.ndarray | None) -> None:
        if self.node is None or self.node.parents:
            raise InvalidAttribute("grad can be set on leaves only (tensors made with requires_grad=True)")
        if value is not None and np.shape(value) != self.shape:
            raise InvalidValue(f"grad: shape {np.shape(value)}, should be {self.shape}")
        self.node.gradient = None if value is None else np.array(value, self.dtype)

    def backward(self, dy: Any = None, retain_graph: bool = False) -> None:
        """Add the gradients of this tensor, weighted by ``dy``, to the ``.grad`` of every leaf it depends on.

        ``dy`` has this tensor's shape; only a scalar implies ``dy = 1``. Gradients accumulate over calls. Without
        ``retain_graph=True``, the saved arrays are dropped, and a second pass through the graph raises `GraphError`.
        Leaves that this tensor does not depend on keep their ``.grad`` (None at first).
        """
        if self.node is None:
            raise GraphError("backward(): this tensor depends on nothing that was made with requires_grad=True")
        if dy is None:
            if self.size != 1:
                raise GraphError(
                    f"backward() needs dy for a tensor of shape {self.shape}; only a scalar implies dy = 1"
                )
            dy = 1.0
        dy = np.asarray(dy._array if isinstance(dy, Tensor) else dy, self.dtype)
        if dy.shape != self.shape and dy.size != 1:
            raise GraphError(f"backward(): dy has shape {dy.shape}, should be {self.shape}")
        dy = np.array(dy if dy.shape == self.shape else np.broadcast_to(dy, self.shape))
        if retain_graph:
            warn_if_growing(newest_first([self.node]))
        if context.observer is None:
            gradients = backpropagate({self.node: dy}, retain=retain_graph)
        else:  # it is shown the steps of every loop
            with expanded([self.node]) as swaps:
                gradients = backpropagate({swaps.get(self.node, self.node): dy}, retain=retain_graph)
        leaves = [leaf for leaf in gradients if hasattr(leaf, "gradient")]  # not the leaves of grad, vjp, ...
        grads = [accumulated(leaf.gradient, gradients[leaf]) for leaf in leaves]
        deque(map(setattr, leaves, repeat("gradient"), grads), maxlen=0)  # in C: Ctrl-C comes before all or after

    def detach(self) -> Tensor:
        """The same values without the graph: no gradient flows past this point."""
        return make(self._array, None)

    # -- as a Python object ----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        if not self.shape:
            raise InvalidType("len() of a Tensor of shape ()")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise InvalidType("a Tensor of shape () cannot be iterated over")
        return (self[k] for k in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._array)

    def __index__(self) -> int:
        return self._array.__index__()

    def __contains__(self, value: Any) -> bool:
        return value in self._array

    def __repr__(self) -> str:
        text = np.array2string(np.asarray(self._array), separator=", ", prefix="Tensor(")
        extras = [f"dtype={self.dtype}"] if self.dtype != np.float64 else []
        extras += [f"name={self.name!r}"] if self.name else []
        extras += ["requires_grad=True"] if self.node is not None and not self.node.parents else []
        extras += [f"made by {self.node.op.name}"] if self.node is not None and self.node.op else []
        return f"Tensor({', '.join([text, *extras])})"

    if TYPE_CHECKING:  # the operations in ops set operators and methods

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, v: Any) -> None: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = cast(Any, None)
        __matmul__ = __rmatmul__ = __pow__ = __rpow__ = __mod__ = __neg__ = __pos__ = __abs__ = cast(Any, None)
        __lt__ = __le__ = __gt__ = __ge__ = cast(Any, None)


def make(array: Any, node: Node | None) -> Tensor:
    """A Tensor from its array and its node."""
    tensor = Tensor.__new__(Tensor)
    tensor._array = array
    tensor.node = node
    return tensor


def value(x: Any) -> Any:
    """The array of a Tensor; anything else unchanged."""
    return x._array if isinstance(x, Tensor) else x


def tensor(data: Any, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A new Tensor with a copy of ``data``, which may be a Tensor. Python floats become float64, as in NumPy.

    No gradient flows from the new Tensor to ``data``. Inside `scan` and transforms such as `grad`, where a gradient is
    expected, a Tensor that needs a gradient is therefore refused.
    """
    inside = context.recording and (context.transforms > 0 or context.step is not None)
    if inside and isinstance(data, Tensor) and data.node is not None:
        raise InvalidType("tensor(data): data needs a gradient, which a new Tensor loses, inside of grad or scan; "
                        "use data as it is, or detach(data) if the gradient is not wanted")  # fmt: skip
    return Tensor(value(data), requires_grad, name)


def zeros(shape: int | tuple[int, ...], dtype: Any = np.float32) -> Tensor:
    """A Tensor of zeros, to be filled by ``hs[:, t] = h``, which is differentiable.

    float32, as layers are. Values written into it are cast, as in NumPy: for float64, pass ``dtype=h.dtype``.
    """
    return make(np.zeros(shape, dtype), None)


def detach(x: Any) -> Any:
    """The same values without the graph; for a Tensor, or a tuple, list or dict of Tensors.

    ``state = detach(state)`` between two windows is truncated BPTT.
    """
    leaves, build = flatten(x)
    return build([leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves])
