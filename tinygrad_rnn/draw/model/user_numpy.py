"""Copies of user-defined functions and classes that read another NumPy: one whose arrays Tensors can be assigned to.

The user's modules stay as they are: a copy of a function has a copy of its global names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from ...tracing.users import is_users_file

MAKERS = ("empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "full_like")


class Rebound:
    """Makes the copies, each once: what calls itself, or is a base of another, stays one thing."""

    def __init__(self) -> None:
        self.copies: dict[int, Any] = {}  # by the id of the original
        self.names: dict[int, dict[str, Any]] = {}  # the copies of the global names of modules
        self.alive: list[Any] = []  # so that no id is used twice
        self.numpy = Numpy()

    def __enter__(self) -> Rebound:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the global names, which hold the functions that hold them."""
        for copied in self.names.values():
            copied.clear()

    def of(self, x: Any) -> Any:
        """The copy of a function, a method or a class of the user's; NumPy for NumPy; anything else as it is."""
        if x is np:
            return self.numpy
        if any(x is getattr(np, name) for name in MAKERS):
            return getattr(self.numpy, x.__name__)
        if isinstance(x, MethodType) and isinstance(x.__func__, FunctionType):
            return MethodType(self.of(x.__func__), x.__self__)
        if id(x) not in self.copies:
            self.alive.append(x)
            self.copies[id(x)] = x
            if isinstance(x, FunctionType) and is_users(x):
                self.copies[id(x)] = self._function(x)
            elif type(x) is type and not issubclass(x, (tuple, BaseException)) and any(map(is_users, _members(x))):
                self.copies[id(x)] = self._class(x)
        return self.copies[id(x)]

    def rebind(self, x: Any) -> None:
        """Let an object of a class of the user's be one of the copied class."""
        copied = self.of(type(x))
        if copied is not type(x):
            object.__setattr__(x, "__class__", copied)

    def _function(self, f: FunctionType) -> FunctionType:
        copied = FunctionType(f.__code__, self._names(f.__globals__), f.__name__, f.__defaults__, f.__closure__)
        copied.__kwdefaults__, copied.__qualname__, copied.__doc__ = f.__kwdefaults__, f.__qualname__, f.__doc__
        copied.__dict__.update(f.__dict__)
        return copied

    def _class(self, kind: type) -> type:
        """A class below ``kind`` with the same layout, so that an object of one can be one of the other."""
        body: dict[str, Any] = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__}
        for base in reversed(kind.__mro__):
            for name, member in vars(base).items():
                if isinstance(member, FunctionType) and is_users(member):
                    body[name] = self.of(member)
                elif isinstance(member, (staticmethod, classmethod)):
                    body[name] = type(member)(self.of(member.__func__))
        return type(kind.__name__, (kind,), body)

    def _names(self, names: dict[str, Any]) -> dict[str, Any]:
        """The copy of the global names of a module."""
        if id(names) not in self.names:
            copied = self.names[id(names)] = dict(names)
            copied.update({name: self.of(x) for name, x in names.items() if not name.startswith("__")})
        return self.names[id(names)]


class Numpy:
    """NumPy, but new arrays of floats are Tensors, ``out=`` may be a Tensor, and an array of Tensors is a stack."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if name in MAKERS:
            function = _maker(function)
        elif name in ("array", "asarray"):
            function = _of_entries(function)
        elif isinstance(function, np.ufunc) or name in ("dot", "matmul", "einsum", "clip", "sum", "concatenate"):
            function = Into(function)
        self.__dict__[name] = function
        return function


class Into:
    """A function of NumPy whose result can be written into a Tensor."""

    def __init__(self, function: Any):
        self.function, self.most = function, getattr(function, "nin", None)

    def __call__(self, *args: Any, **options: Any) -> Any:
        if self.most is not None and len(args) > self.most:
            args, options["out"] = args[: self.most], args[self.most]
        out = options.get("out")
        target = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        if not isinstance(target, Tensor):
            return self.function(*args, **options)
        result = self.function(*args, **{name: x for name, x in options.items() if name != "out"})
        target[...] = result
        return target

    def __getattr__(self, name: str) -> Any:
        return getattr(self.function, name)


def _maker(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that makes a new array, with a Tensor for an array of floats."""

    def new(*args: Any, **options: Any) -> Any:
        args = tuple(np.asarray(x.data) if isinstance(x, Tensor) else x for x in args)
        array = function(*args, **options)
        array = np.zeros_like(array) if "empty" in function.__name__ else array
        return Tensor(array) if array.dtype.kind == "f" else array

    return new


def _of_entries(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that makes an array of a list; of Tensors it makes a stack."""

    def new(x: Any, *args: Any, **options: Any) -> Any:
        return _stacked(x) if isinstance(x, (list, tuple)) and _has_tensor(x) else function(x, *args, **options)

    return new


def _has_tensor(x: Any) -> bool:
    return any(map(_has_tensor, x)) if isinstance(x, (list, tuple)) else isinstance(x, Tensor)


def _stacked(x: Any) -> Any:
    return np.stack([_stacked(entry) for entry in x]) if isinstance(x, (list, tuple)) else x


def _members(kind: type) -> Iterator[Any]:
    """The functions in the body of a class and of its bases."""
    return (member for base in kind.__mro__ for member in vars(base).values())


def is_users(x: Any) -> bool:
    """Is it a function that is in no library?"""
    return isinstance(x, FunctionType) and is_users_file(x.__code__.co_filename)


@contextmanager
def kept_random() -> Iterator[None]:
    """Give NumPy's global random generator its state back at the end."""
    state = np.random.get_state()
    try:
        yield
    finally:
        np.random.set_state(state)
