"""What a small operation costs on our tape, as a multiple of what it costs in NumPy without one.

A run is a chain of 200 equal operations and one backward through it from a given ``dy``; times are for one operation,
that is for its forward call and its share of the backward.  By hand, NumPy makes the same 200 forward calls, keeps
what the derivative needs in a list, and makes the same 200 derivative calls in reverse:

    multiply   y = y * b    dy = dy * b              b needs no gradient: one call forward, one back
    add        y = y + b    db = db + dy             b needs a gradient: dy passes through, db adds up
    tanh       y = tanh(y)  dy = dy * (1 - y * y)    one call forward, one expression (three calls) back

So the ratio holds everything that the tape adds: dispatch, the record, the walk back, freeing.

``python tests/bench/op_overhead.py``
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from spec import Array, Bench, Job, Target, library
from table import main

LENGTH = 200


class Inputs(NamedTuple):
    """``a`` starts the chain, ``b`` is the other operand of each step, ``dy`` comes in from behind."""

    a: Array
    b: Array
    dy: Array


def inputs(op: str, shape: list[int]) -> Inputs:
    """Seeded; a factor stays so near to 1 that a product of 200 of them stays in range."""
    rng = np.random.default_rng(3)
    a, b, dy = rng.standard_normal((3, *shape)).astype(np.float32)
    return Inputs(a, (1 + b / 1000).astype(np.float32) if op == "multiply" else b, dy)


def multiply(a: Array, b: Array, dy: Array) -> dict[str, Array]:
    """y = a * b * b * ..."""
    y = a
    for _ in range(LENGTH):
        y = y * b
    for _ in range(LENGTH):
        dy = dy * b
    return {"y": y, "da": dy}


def add(a: Array, b: Array, dy: Array) -> dict[str, Array]:
    """y = a + b + b + ..."""
    y, db = a, np.zeros_like(b)
    for _ in range(LENGTH):
        y = y + b
    for _ in range(LENGTH):
        db = db + dy
    return {"y": y, "da": dy, "db": db}


def tanh(a: Array, b: Array, dy: Array) -> dict[str, Array]:
    """y = tanh tanh tanh ... a"""
    y, kept = a, []
    for _ in range(LENGTH):
        y = np.tanh(y)
        kept.append(y)
    final = y
    for y in reversed(kept):
        dy = dy * (1 - y * y)
    return {"y": final, "da": dy}


BY_HAND: Mapping[str, Callable[..., dict[str, Array]]] = {"multiply": multiply, "add": add, "tanh": tanh}


def numpy(op: str, shape: list[int]) -> Job:
    """The calls made by hand."""
    given = inputs(op, shape)
    return Job(lambda: BY_HAND[op](*given), lambda: BY_HAND[op](*given), per=LENGTH)


def ours(op: str, shape: list[int]) -> Job:
    """Tensors: ``a`` needs a gradient, and in ``add`` so does ``b``."""
    tg = library("tinygrad_rnn")
    given = inputs(op, shape)
    a = tg.tensor(given.a, requires_grad=True)
    b = tg.tensor(given.b, requires_grad=op == "add")
    leaves = [leaf for leaf in (a, b) if leaf.requires_grad]
    once: Callable[[Any], Any] = {"multiply": lambda y: y * b, "add": lambda y: y + b, "tanh": tg.tanh}[op]

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        y = a
        for _ in range(LENGTH):
            y = once(y)
        y.backward(given.dy)
        return y

    def check() -> dict[str, Array]:
        y = run()
        return {"y": y.data, "da": a.grad} | ({"db": b.grad} if op == "add" else {})

    return Job(run, check, per=LENGTH)


SIZES = {f"{op} {tuple(shape)}": {"op": op, "shape": shape} for op in BY_HAND for shape in ([20, 100], [1, 32])}

BENCH = Bench(
    module="op_overhead",
    title="one operation, forward and backward",
    baseline="numpy",
    contenders={"numpy": numpy, "ours": ours},
    sizes=SIZES,
    targets={label: (Target("ours", "numpy", 3.0),) for label in SIZES},
    unit="us",
    quick=False,
)

if __name__ == "__main__":
    main(BENCH)
