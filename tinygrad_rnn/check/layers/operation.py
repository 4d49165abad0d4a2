"""A custom operation in PyTorch's manner, static ``forward(ctx, x)`` and ``backward(ctx, dy)``, as a layer."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from .arguments import parameters
from .functions import functions_as_layer


class Context:
    """What forward saves for backward: ``save_for_backward``, ``saved_tensors``, and any attribute."""

    saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *arrays: Any) -> None:
        self.saved_tensors = arrays

    def mark_non_differentiable(self, *arrays: Any) -> None:
        """Accepted, as PyTorch does; integers have no gradient in any case."""


def is_operation(target: Any) -> bool:
    """Is it a class whose forward and backward are static and take ``ctx`` first?"""
    static = [isinstance(inspect.getattr_static(target, name, None), staticmethod) for name in ("forward", "backward")]
    return isinstance(target, type) and all(static) and all(
        next(iter(parameters(getattr(target, name))), "") == "ctx" for name in ("forward", "backward"))  # fmt: skip


def operation_as_layer(operation: Any) -> Any:
    """The operation as a layer without parameters: all arguments of forward after ``ctx`` are inputs."""

    def forward(*inputs: Any) -> Any:
        context = Context()
        return operation.forward(context, *inputs), context

    functions = operation.forward, operation.backward
    inputs, dys = (inspect.signature(functools.partial(function, None)) for function in functions)
    return functions_as_layer(forward, operation.backward, functions, inputs, dys, operation.__name__)
