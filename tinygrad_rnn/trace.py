"""A recorded computation and its adjoint, as plain data: the one thing that the drawing and the checks read.

`trace_step` runs one step of a cell on small random inputs; `trace_graph` reads the graph behind a Tensor. Both give a
`Trace`; how values get their names is told in `watch`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from .cell import Cell
from .graph import GraphError, Node, newest_first
from .tensor import Tensor, value
from .watch import Edge, Recording, Trace, record, slices

#: Sizes that no one has asked for otherwise: small, and all different.
SIZES = {"N": 1, "D": 3, "H": 5}


def sample(cell: Cell, rng: np.random.Generator, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Random arguments of a cell by name, in the order of its signature, no parameter left at zero. float64."""
    letters = dict.fromkeys([*"ND", *itertools.chain(*cell.words.values(), *(p.words for p in cell.params.values()))])
    for name in sizes:
        if name not in letters:
            raise TypeError(f"{cell.name}: {name} is not a size of this cell, which are {', '.join(letters)}")
    known = {**SIZES, **sizes}
    unasked = (prime for prime in (2, 7, 11, 13, 17, 19, 23, 29, 31) if prime not in known.values())
    full = {letter: known[letter] if letter in known else next(unasked) for letter in letters}
    own: dict[str, Any] = {word: full[word] for p in cell.params.values() for word in p.words}
    given = {cell.input: rng.standard_normal((full["N"], full["D"]))}
    for name in cell.states:
        given[name] = rng.standard_normal([full[word] for word in cell.words[name]])
    for name, one in cell.init(rng, dtype=np.float64, **own).items():
        given[name] = value(one) + 0.1 * rng.standard_normal(one.shape)
    return given


def record_step(cell: Cell, given: Mapping[str, Any]) -> Recording:
    """One step of ``cell`` on arguments by name; its outputs are the new states, in their order."""
    kinds = {cell.input: "input", **dict.fromkeys(cell.states, "state"), **dict.fromkeys(cell.params, "parameter")}
    order = [cell.input, *cell.states]

    def call(**tensors: Any) -> Any:
        return cell(*[tensors.pop(name) for name in order], **tensors)

    recording, new = record(call, given, kinds, codes(cell))
    new = new if isinstance(new, tuple) else (new,)
    recording.finish({f"{name}'": one for name, one in zip(cell.states, new)}, order)
    return recording


def codes(f: Any) -> list[Any]:
    """The code of a function, or of a cell and of those it wraps."""
    found = []
    while f is not None:
        found.append(getattr(getattr(f, "function", f), "__code__", None))
        f = getattr(f, "inner", None)
    return found


def trace_step(cell: Cell, *, backward: bool = True, seed: int = 0, **sizes: Any) -> Trace:
    """One step of a cell on random inputs of ``sizes`` (N=1, D=3, H=5), and back from random gradients of its results.

    Every new state gets a gradient, so that all paths carry one. Other names are configuration of the cell.
    """
    rng = np.random.default_rng(seed)
    config = {name: sizes.pop(name) for name in list(sizes) if name in cell.config}
    given = {**sample(cell, rng, sizes), **config}
    recording = record_step(cell, given)
    dys = {number: rng.standard_normal(recording.values[number].shape) for number in recording.outputs.values()}
    N, D = given[cell.input].shape
    more = dict(zip(cell.words[cell.states[0]], given[cell.states[0]].shape))
    shown = " ".join(f"{letter}={n}" for letter, n in {"N": N, "D": D, **more, **sizes}.items())
    return recording.trace(f"{cell.name}: one step, {shown}", dys if backward else None)


def trace_graph(x: Tensor, *, backward: bool = True) -> Trace:
    """The graph behind a Tensor, and back from a gradient of ones. Needs a graph that no backward pass has used up."""
    if x.node is None:
        raise GraphError("trace: this tensor depends on nothing that was made with requires_grad=True")
    try:
        order = newest_first([x.node])[::-1]
    except GraphError:
        raise GraphError(
            "trace: a backward() has used this graph up; draw before it, or call backward(retain_graph=True)"
        ) from None
    recording = Recording()
    for node in order:
        _note(recording, node)
    recording.finish({x.name or "y": x})
    dy = {recording.number(x): np.ones(x.shape, x.dtype)}
    return recording.trace(x.name or "graph", dy if backward else None)


def _note(recording: Recording, node: Node) -> None:
    """A node of a graph that was not watched while it grew: no values, and constants only as far as rules kept them."""
    known: dict[int, Any] = {}
    for edge in filter(None, node.edges):
        known.update({k: one for k, one in zip(edge[1].sources, edge[2]) if isinstance(k, int)})
    sources = []
    for k, edge in enumerate(node.edges):
        if edge is None and k not in known:
            sources.append(recording.add(None, "constant", "", None, "", None))
        else:
            sources.append(recording.number(edge[0]) if edge else recording.given(known[k], "", "constant"))
    number = recording.add(node, "operation" if node.op else "parameter", "", node.shape, node.dtype, None, node.op)
    recording.values[number].detail = slices(node) if node.op else ""
    names = node.op.arguments if node.op else []
    for k, source in enumerate(sources):
        recording.edges.append(Edge(source, number, k, names[min(k, len(names) - 1)] if names else ""))
