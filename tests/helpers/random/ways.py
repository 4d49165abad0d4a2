"""The ways to get the gradient of a random program: all must give the same."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from helpers.random.programs import Program
from tinygrad_rnn.engine.tensor import make


def roots(program: Program, names: dict[str, Any]) -> list[tuple[Any, Any]]:
    """The outputs that need a gradient, with their cotangents in their own dtype."""
    pairs = [(names[out], np.asarray(dy)) for out, dy in zip(program.outputs, program.weights)]
    return [(y, dy.astype(y.dtype)) for y, dy in pairs if getattr(y, "node", None) is not None]


def total(program: Program, names: dict[str, Any]) -> Any:
    """Σ <weight, output> as one Tensor."""
    terms = [np.sum(y * dy) for y, dy in roots(program, names)]
    return sum(terms[1:], terms[0]) if terms else None


def function_of(program: Program, constants: Any = None) -> Callable[..., Any]:
    """The program as a function of its leaves that gives one number."""

    def f(*xs: Any) -> Any:
        y = total(program, program.on_tensors(xs, constants))
        return sum((np.sum(x) * 0 for x in xs[1:]), np.sum(xs[0]) * 0) if y is None else y

    return f


def outputs_of(program: Program) -> Callable[..., Any]:
    return lambda *xs: [program.on_tensors(xs)[out] for out in program.outputs]


def grads(leaves: Sequence[Any]) -> list[Any]:
    return [np.zeros(x.shape, x.dtype) if x.grad is None else x.grad for x in leaves]


# -- the ways ----------------------------------------------------------------------------------------------------------


def by_roots(program: Program, reverse: bool = False) -> list[Any]:
    """One pass from each output, through a graph that is kept."""
    leaves = program.tensors()
    pairs = roots(program, program.on_tensors(leaves))
    for y, dy in pairs[::-1] if reverse else pairs:
        y.backward(dy, retain_graph=True)
    return grads(leaves)


def by_total(program: Program) -> list[Any]:
    leaves = program.tensors()
    y = total(program, program.on_tensors(leaves))
    if y is not None:
        y.backward()
    return grads(leaves)


def after_older(program: Program) -> list[Any]:
    """On top of a gradient that is there already."""
    leaves = program.tensors()
    older = [np.full(x.shape, 0.5, x.dtype) for x in leaves]
    for x, g in zip(leaves, older):
        x.grad = g
    y = total(program, program.on_tensors(leaves))
    if y is not None:
        y.backward()
    return [np.asarray(x.grad, np.float64) - 0.5 for x in leaves]


def twice(program: Program) -> list[Any]:
    leaves = program.tensors()
    y = total(program, program.on_tensors(leaves))
    if y is not None:
        y.backward(retain_graph=True)
        y.backward()
    return [np.asarray(g, np.float64) / 2 for g in grads(leaves)]


def after_garbage(program: Program) -> list[Any]:
    """With nothing of the forward pass alive but its result."""
    leaves = program.tensors()
    y = total(program, program.on_tensors(leaves))
    gc.collect()
    junk = [np.full(x.shape, np.nan) for x in leaves for _ in range(3)]
    if y is not None:
        y.backward()
    assert len(junk) >= 0
    return grads(leaves)


def in_another_order(program: Program) -> list[Any]:
    """Nodes made, and so gone back through, in another order."""
    return by_total(program.reordered())


def observed(program: Program) -> list[Any]:
    leaves = program.tensors()
    with tg.trace_mutations(), np.errstate(all="ignore"):
        y = total(program, program.on_tensors(leaves))
        if y is not None:
            y.backward()
    return grads(leaves)


def by_vjp(program: Program) -> list[Any]:
    """The functional form, on arrays, with a tuple of cotangents."""
    arrays = [leaf.laid_out(leaf.array) for leaf in program.tracked]
    ys, pull = tg.vjp(outputs_of(program), *arrays)
    return list(pull([np.asarray(dy, y.dtype) for y, dy in zip(ys, program.weights)]))


def by_grad(program: Program) -> list[Any]:
    arrays = [leaf.laid_out(leaf.array) for leaf in program.tracked]
    return list(tg.grad(function_of(program), tuple(range(len(arrays))))(*arrays))


def by_recorded(program: Program) -> list[Any]:
    """Every rule run on Tensors."""
    leaves = program.tensors()
    made = tg.grad(function_of(program), tuple(range(len(leaves))))(*leaves)
    return [g.numpy() for g in made]


def by_checkpoint(program: Program) -> list[Any]:
    leaves = program.tensors()
    y = tg.checkpoint(function_of(program))(*leaves)
    y.backward()
    return grads(leaves)


def by_checkpoint_recorded(program: Program) -> list[Any]:
    leaves = program.tensors()
    f = tg.checkpoint(function_of(program))
    return [g.numpy() for g in tg.grad(f, tuple(range(len(leaves))))(*leaves)]


WAYS: dict[str, Callable[[Program], list[Any]]] = {
    "backward from each output": by_roots,
    "backward from the outputs in reverse": lambda program: by_roots(program, reverse=True),
    "backward from their sum": by_total,
    "backward on an older gradient": after_older,
    "backward twice": twice,
    "backward after gc": after_garbage,
    "backward, lines in another order": in_another_order,
    "backward under trace_mutations": observed,
    "vjp": by_vjp,
    "grad": by_grad,
    "grad on Tensors": by_recorded,
    "checkpoint": by_checkpoint,
    "checkpoint, recorded": by_checkpoint_recorded,
}


# -- second order ------------------------------------------------------------------------------------------------------


def gradient_at(program: Program, arrays: Sequence[Any], constants: Any) -> list[Any]:
    """The gradient by the plain pass, at any values, complex and longdouble ones too; constants stay as they were."""
    from tinygrad_rnn.engine.graph import Node

    leaves = [make(np.asarray(a), Node((), np.shape(a), np.asarray(a).dtype)) for a in arrays]
    for leaf in leaves:
        leaf.node.gradient = None
    kept = {key: tg.Tensor(np.asarray(a, float)) for key, a in constants.items()}
    y = total(program, program.on_tensors(leaves, kept))
    if y is not None:
        y.backward()
    return grads(leaves)


def by_hvp(program: Program, vs: list[Any]) -> list[Any]:
    return list(tg.hvp(function_of(program), tuple(leaf.array for leaf in program.tracked), tuple(vs)))


def by_grad_of_grad(program: Program, vs: list[Any]) -> list[Any]:
    f, numbers = function_of(program), tuple(range(len(vs)))

    def slope(*xs: Any) -> Any:
        return sum(np.sum(g * v) for g, v in zip(tg.grad(f, numbers)(*xs), vs))

    return list(tg.grad(slope, numbers)(*(leaf.array for leaf in program.tracked)))


def by_vjp_of_grad(program: Program, vs: list[Any]) -> list[Any]:
    """The Hessian is symmetric: rows and columns give one product."""
    g = tg.grad(function_of(program), tuple(range(len(vs))))
    return list(tg.vjp(g, *(leaf.array for leaf in program.tracked))[1](tuple(vs)))


def by_backward_of_grad(program: Program, vs: list[Any]) -> list[Any]:
    leaves = program.tensors()
    made = tg.grad(function_of(program), tuple(range(len(leaves))))(*leaves)
    terms = [np.sum(g * v) for g, v in zip(made, vs) if g.node is not None]
    if terms:
        sum(terms[1:], terms[0]).backward()
    return grads(leaves)


SECOND: dict[str, Callable[[Program, list[Any]], list[Any]]] = {
    "hvp": by_hvp,
    "grad of grad": by_grad_of_grad,
    "vjp of grad": by_vjp_of_grad,
    "backward of grad": by_backward_of_grad,
}
