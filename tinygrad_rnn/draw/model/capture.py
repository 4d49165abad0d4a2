"""A computation that has been run, ready to be looked at: its graph, its time steps, and what its values are called.

`of_cell` runs a cell, over time if asked to, on small random inputs; `of_function` runs a function of the user's;
`of_tensor` takes the graph behind a Tensor as it is. What comes out holds the graph, for as long as it is looked at.

Names are those in the user's code. ``Tensor(name=...)`` wins, parameters have theirs, and the local variables of a
function or of a cell name what they hold (see `watch`). A cell's names are found by running one step of it under watch,
so they are there for steps that nobody watched.
"""

from __future__ import annotations

import contextlib
import copy
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.context import context
from ...engine.graph import Node, newest_first
from ...engine.observe import locals_of, observing
from ...engine.op import Op
from ...engine.tensor import Tensor, detach, value
from ...errors import GraphError
from ...sequence.scan import scan
from ...tracing.record import untaken
from ...tracing.recurrences import Row, rows
from ...tracing.sample import codes, sample


@dataclass
class Captured:
    """A graph, and what is known about it; ``cotangents`` are the gradients that come in at the results."""

    title: str
    cotangents: dict[Node, np.ndarray]
    outputs: dict[str, Node]
    kinds: dict[Node, str] = field(default_factory=dict)  # of leaves: "input", "state" or "parameter"
    names: dict[Node, str] = field(default_factory=dict)
    args: dict[Node, Sequence[Any]] = field(default_factory=dict)  # what operations were called with, if that was seen
    arrays: dict[Node, Any] = field(default_factory=dict)  # what they made, if that was seen
    detached: dict[Node, dict[int, Node]] = field(default_factory=dict)  # operands that were cut off from their node
    order: list[Node] = field(default_factory=list)  # oldest first
    rows: list[Row] = field(default_factory=list)


class Seen:
    """An observer that keeps what every operation got and gave."""

    def __init__(self) -> None:
        self.args: dict[Node, Sequence[Any]] = {}
        self.arrays: dict[Node, Any] = {}
        self.detached: dict[Node, dict[int, Node]] = {}
        self.bound: dict[str, Node] = {}
        self._makers: dict[int, Node] = {}  # by the id of the array
        self._loose: list[Any] = []  # arrays that are kept alive, so that no id is used twice

    def operation(self, spec: Op, args: Sequence[Any], made: Tensor) -> None:
        node, cut = made.node, {k: self._makers.get(id(a._array)) for k, a in enumerate(args) if _loose(a)}
        cut_from = {k: one for k, one in cut.items() if one is not None}
        if node is not None:
            self.args[node], self.arrays[node], self._makers[id(made._array)] = args, made._array, node
            if cut_from:
                self.detached[node] = cut_from
        elif cut_from:  # what is made from a detached value is cut off from the same
            self._loose.append(made._array)
            self._makers[id(made._array)] = next(iter(cut_from.values()))

    def gradient(self, node: Node, dy: Any) -> None:
        """Not needed."""

    def locals(self, variables: Mapping[str, Any]) -> None:
        for name, one in variables.items():
            if isinstance(one, Tensor) and one.node is not None:
                self.bound[name] = one.node


def _loose(a: Any) -> bool:
    return isinstance(a, Tensor) and a.node is None


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """The garbage collector rests inside: it would go through a large graph again and again, and find nothing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextlib.contextmanager
def looking(seen: Seen | None, functions: Sequence[Any] = ()) -> Iterator[None]:
    """Record what runs inside, and let ``seen`` see it."""
    before, context.recording = context.recording, True
    try:
        if seen is None:
            yield
        else:
            with observing(seen), locals_of(functions, seen.locals):
                yield
    finally:
        context.recording = before


def of_tensor(y: Tensor) -> Captured:
    """The graph behind a Tensor, and back from a gradient of ones."""
    if y.node is None:
        raise GraphError("draw: this tensor depends on nothing that was made with requires_grad=True")
    name = y.name or "y"
    return _found(Captured(y.name or "graph", {y.node: np.ones(y.shape, y.dtype)}, {name: y.node}), None)


def of_function(f: Callable[..., Any], inputs: Sequence[Any], names: Sequence[str]) -> Captured:
    """A function of arrays or Tensors, run on ``inputs``, and back from gradients of ones."""
    seen, tensors = Seen(), []
    for name, x in zip(names, inputs):
        floats = np.asarray(value(x)).dtype.kind == "f"
        new = not isinstance(x, Tensor) and floats
        tensors.append(Tensor(np.array(x), name=name, requires_grad=True) if new else x)
    with looking(seen, codes(f)):
        ys = f(*tensors)
    title = getattr(f, "__name__", type(f).__name__)
    ys = list(ys) if isinstance(ys, (tuple, list)) else [ys]
    stem = title if title.isidentifier() and title not in names else "y"
    known = {k: y for k, y in enumerate(ys) if getattr(y, "node", None) is not None}
    results = {stem if len(ys) == 1 else f"{stem}{k}": y for k, y in known.items()}
    if not results:
        raise GraphError(_nothing(title, inputs, names, ys))
    made = Captured(title, _together([(y.node, np.ones(y.shape, y.dtype)) for y in results.values()]), {})
    made.kinds = {x.node: "input" for x in tensors if isinstance(x, Tensor) and x.node is not None}
    for name, node in seen.bound.items():
        made.names.setdefault(node, f"{name}'" if name in names and node not in made.kinds else name)
    for name, y in results.items():
        if y.node not in made.outputs.values():
            own = _own_name(y.node) or made.names.get(y.node, name)
            made.outputs[untaken(own, made.outputs)] = y.node
    return _found(made, seen)


def _nothing(title: str, inputs: Sequence[Any], names: Sequence[str], ys: Sequence[Any]) -> str:
    """What to say where nothing that is returned has a gradient."""
    if isinstance(ys[0], Mapping):
        return f"draw: {title} returns a dict, should return a Tensor, or a tuple or list of Tensors"
    for name, x in zip(names, inputs):
        if isinstance(x, (Mapping, list, tuple)):
            what = f"{name} is a {type(x).__name__}, should be an array or a Tensor: give what it holds as inputs"
            return f"draw: {what} of their own, or make it of Tensors with requires_grad=True"
    return f"draw: what {title} returns depends on no input with floating values, and on no parameter"


def of_cell(
    cell: Cell, steps: int = 1, *, seed: int = 0, truncate: int | None = None, last: bool = False,
    watch: bool = True, **sizes: Any
) -> Captured:  # fmt: skip
    """``steps`` steps of a cell on random inputs of ``sizes``, and back from random gradients.

    They come in at every output and at the last states, or with ``last`` at the last output only. With ``truncate``
    the state is detached after every so many steps. Without ``watch`` the values are not kept, which is much quicker.
    """
    rng = np.random.default_rng(seed)
    config = {name: copy.deepcopy(sizes.pop(name)) for name in list(sizes) if name in cell.config}  # a generator stays
    given = sample(cell, rng, sizes)
    N, D = given[cell.input].shape
    if steps > 1:
        given[cell.input] = rng.standard_normal((N, steps, D))
    leaves = {name: Tensor(array, requires_grad=True, name=name) for name, array in given.items()}
    seen = Seen() if watch or truncate else None
    with looking(seen):
        roots = _run(cell, {**leaves, **config}, steps, truncate)
        dys = _together([(one.node, rng.standard_normal(one.shape)) for one in roots.values()])
    if last:
        node = list(roots.values())[-len(cell.states) - 1 if steps > 1 else 0].node
        dys = {one: dy * 0 if one is not node else _only_last(dy) if steps > 1 else dy for one, dy in dys.items()}
    named = {"N": N, "D": D, **dict(zip(cell.words[cell.states[0]], given[cell.states[0]].shape)), **sizes}
    shown = " ".join(f"{letter}={n}" for letter, n in named.items())
    made = Captured(f"{cell.name}: {'one step' if steps == 1 else f'{steps} steps'}, {shown}", dys, {})
    made.outputs = {name: one.node for name, one in roots.items()}
    kinds = {cell.input: "input", **dict.fromkeys(cell.states, "state")}
    made.kinds = {one.node: kinds.get(name, "parameter") for name, one in leaves.items() if one.node is not None}
    return _found(made, seen)


def _together(dys: Sequence[tuple[Node, np.ndarray]]) -> dict[Node, np.ndarray]:
    """The gradients by node; those of a value that comes out twice are added."""
    found: dict[Node, np.ndarray] = {}
    for node, dy in dys:
        found[node] = found[node] + dy if node in found else dy
    return found


def _run(cell: Cell, given: Mapping[str, Any], steps: int, truncate: int | None) -> dict[str, Any]:
    """The results by name: the new states of one step, or all outputs and the last states."""
    x, state = given[cell.input], tuple(given[name] for name in cell.states)
    params = {name: one for name, one in given.items() if name not in (cell.input, *cell.states)}
    if steps == 1:
        new = cell(x, *state, **params)
        return dict(zip([f"{name}'" for name in cell.states], new if isinstance(new, tuple) else (new,)))
    windows: list[tuple[str, Any]] = []
    length = truncate or steps
    for start in range(0, steps, length):
        part = x if length >= steps else x[:, start : start + length]
        hs, state = scan(cell, part, detach(state) if windows else state, params)
        windows.append((f"{cell.states[0]}s" + f"[:, {start}:{start + length}]" * (length < steps), hs))
    return {**dict(windows), **dict(zip([f"{name}_T" for name in cell.states], state))}


def _only_last(dy: np.ndarray) -> np.ndarray:
    """A gradient that comes in at the last step only."""
    kept = np.zeros_like(dy)
    kept[:, -1] = dy[:, -1]
    return kept


def _found(made: Captured, seen: Seen | None) -> Captured:
    """Fill in the rest: the nodes in order, the steps, and the names that cells give."""
    if seen is not None:
        made.args, made.arrays, made.detached = seen.args, seen.arrays, seen.detached
    made.order = newest_first(made.cotangents, used=True)[::-1]
    made.rows = rows(made.order, made.detached)
    for row in made.rows:
        for name, leaf in row.steps[0].before.items():
            if leaf is not None and not leaf.parents and leaf not in row.params.values():
                made.kinds.setdefault(leaf, "state")
                made.names.setdefault(leaf, name)
    for node in made.order:
        own = _own_name(node)
        if own:
            made.names[node] = own
        if not node.parents:
            made.kinds.setdefault(node, "parameter")
    return made


def _own_name(node: Node) -> str | None:
    """The name that the user gave to it; not the one that `scan` gives to a last state."""
    return None if hasattr(node, "run") and node.op is not None else getattr(node, "name", None)
