"""A custom operation in PyTorch's manner, static ``forward(ctx, x)`` and ``backward(ctx, dy)``, as a layer."""

from __future__ import annotations

import inspect
from typing import Any

from .arguments import parameters


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

    def forward(self: Any, *inputs: Any) -> Any:
        self.ctx = Context()
        return operation.forward(self.ctx, *inputs)

    def backward(self: Any, *dys: Any) -> Any:
        return operation.backward(self.ctx, *dys)

    for method, function in ((forward, operation.forward), (backward, operation.backward)):
        method.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    layer = type(operation.__name__, (), {"forward": forward, "backward": backward})()
    layer.params, layer.grads, layer.user_functions = [], [], [operation.forward, operation.backward]
    return layer
