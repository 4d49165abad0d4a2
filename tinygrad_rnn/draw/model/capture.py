"""A computation that has run, ready to be drawn: its graph, its time steps, and the names of its values.

`of_cell` runs a cell, for several time steps if asked to, on small random inputs; `of_function` runs a user's function;
`of_tensor` takes the graph behind a Tensor as it is. The result holds the graph, for as long as it is drawn.

Names are those in the user's code, by the rule of the recorder (`record`). The names in a cell come from a recorded
step of it (`match_steps`), so steps that ran unwatched have them too.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.probe import choose
from ...cells.sizes import letters_in
from ...engine.expansion import expanded
from ...engine.graph import Node, newest_first
from ...engine.higher_order import recording_on
from ...engine.tensor import Tensor, detach, value
from ...errors import GraphError, InvalidType
from ...sequence.scan import scan
from ...tracing.record import Recorder, untaken, user_name, watching
from ...tracing.recurrences import Recurrence, recurrences
from ...tracing.sample import codes, sample
from .helpers import Call, CallRecorder


@dataclass
class Captured:
    """A graph, and what is known about it; ``cotangents`` are the gradients that come in at the outputs."""

    title: str
    cotangents: dict[Node, np.ndarray]
    outputs: dict[str, Node]
    kinds: dict[Node, str] = field(default_factory=dict)  # of leaves: "input", "state" or "parameter"
    names: dict[Node, str] = field(default_factory=dict)
    trace: Recorder = field(default_factory=Recorder)  # empty if nobody watched
    detached: dict[Node, dict[int, Node]] = field(default_factory=dict)  # operands that were detached from a node
    order: list[Node] = field(default_factory=list)  # oldest first
    recurrences: list[Recurrence] = field(default_factory=list)
    calls: dict[Node, Call] = field(default_factory=dict)  # of functions of the user's
    expansion: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # of planned loops; see `close`

    def close(self) -> None:
        """Let the graph be as it was before the loops in it were expanded."""
        self.expansion.close()

    @functools.cached_property
    def numbers(self) -> dict[Node, int]:
        """The number in the trace of each node that an operation computed."""
        return {self.trace.nodes[number]: number for number in self.trace.equations if number in self.trace.nodes}

    def arrays(self) -> dict[Node, Any]:
        """The values that were watched."""
        return {self.trace.nodes[number]: array for number, array in self.trace.arrays.items()
                if number in self.trace.nodes}  # fmt: skip


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Switch the garbage collector off inside: it would go through a large graph repeatedly, and free nothing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def of_tensor(y: Tensor) -> Captured:
    """The graph behind a Tensor, with a gradient of ones at the Tensor."""
    if y.node is None:
        raise GraphError("draw: this tensor depends on nothing that was made with requires_grad=True")
    name = y.name or "y"
    return _complete(Captured(y.name or "graph", {y.node: np.ones(y.shape, y.dtype)}, {name: y.node}))


def of_function(f: Callable[..., Any], inputs: Sequence[Any], names: Sequence[str]) -> Captured:
    """A function of arrays or Tensors, run on ``inputs``, with gradients of ones at its results."""
    f, tensors = _apart(f), [_leaf(name, x) for name, x in zip(names, inputs)]
    recorder = CallRecorder(codes(f))
    with watching(recorder, codes(f)):
        results = f(*tensors)
    title = getattr(f, "__name__", type(f).__name__)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    stem = title if title.isidentifier() and title not in names else "y"
    tracked = {k: y for k, y in enumerate(results) if getattr(y, "node", None) is not None}
    outputs = {stem if len(results) == 1 else f"{stem}{k}": y for k, y in tracked.items()}
    if not outputs:
        raise GraphError(_no_gradient(title, inputs, names, results))
    dys = _sums([(y.node, np.ones(y.shape, y.dtype)) for y in outputs.values()])
    captured = Captured(title, dys, {}, trace=recorder)
    captured.kinds = {x.node: "input" for x in tensors if isinstance(x, Tensor) and x.node is not None}
    for y in outputs.values():
        recorder.number(y)  # it may have been computed before
    recorder.finish({}, names)
    captured.calls = recorder.by_node()
    captured.names = {node: name for number, node in recorder.nodes.items() if (name := recorder.values[number].name)}
    for name, y in outputs.items():
        if y.node not in captured.outputs.values():
            known = user_name(y.node) or captured.names.get(y.node, name)
            captured.outputs[untaken(known, captured.outputs)] = y.node
    return _complete(captured)


def _leaf(name: str, x: Any) -> Any:
    """A new leaf for an array of floats; anything else as it is."""
    is_array = not isinstance(x, Tensor) and np.asarray(value(x)).dtype.kind == "f"
    return Tensor(np.array(x), name=name, requires_grad=True) if is_array else x


def _apart(f: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a module, or of a method of one, whose call changes neither its generators nor what it holds."""
    if not hasattr(getattr(f, "__self__", f), "rngs"):
        return f
    try:
        return copy.deepcopy(f)
    except InvalidType:  # it holds a Tensor with a graph
        return f


def _no_gradient(title: str, inputs: Sequence[Any], names: Sequence[str], results: Sequence[Any]) -> str:
    """The error text for a function none of whose results has a gradient."""
    if isinstance(results[0], Mapping):
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
    """``steps`` steps of a cell on random inputs of ``sizes``, with random gradients at its outputs and last states.

    With ``last`` a gradient comes in at the last output only. With ``truncate`` the state is detached after every so
    many steps. Without ``watch`` the values are not kept, which is much faster.
    """
    rng = np.random.default_rng(seed)
    config = {name: copy.deepcopy(sizes.pop(name)) for name in list(sizes) if name in cell.config}  # a generator stays
    arguments = sample(cell, rng, sizes)
    N, D = arguments[cell.input].shape
    if steps > 1:
        arguments[cell.input] = rng.standard_normal((N, steps, D))
    leaves = {name: Tensor(array, requires_grad=True, name=name) for name, array in arguments.items()}
    recorder = CallRecorder(codes(cell))
    with watching(recorder) if watch or truncate else recording_on(0):
        results = _run(cell, {**leaves, **config}, steps, truncate)
        dys = _sums([(y.node, rng.standard_normal(y.shape)) for y in results.values()])
    if last:
        output = list(results.values())[-len(cell.states) - 1 if steps > 1 else 0].node
        dys = {node: dy * 0 if node is not output else _only_last(dy) if steps > 1 else dy for node, dy in dys.items()}
    full, shown_letters = choose(cell, sizes), letters_in(["N", "D", *cell.words[cell.states[0]], *sizes])
    shown = " ".join(f"{letter}={full[letter]}" for letter in shown_letters)
    title = f"{cell.name}: {'one step' if steps == 1 else f'{steps} steps'}, {shown}"
    captured = Captured(title, dys, {name: y.node for name, y in results.items()}, trace=recorder)
    captured.calls = recorder.by_node()
    kinds = {cell.input: "input", **dict.fromkeys(cell.states, "state")}
    captured.kinds = {x.node: kinds.get(name, "parameter") for name, x in leaves.items() if x.node is not None}
    return _complete(captured)


def _sums(dys: Sequence[tuple[Node, np.ndarray]]) -> dict[Node, np.ndarray]:
    """The gradients by node; the gradients of a value that is returned twice are added."""
    totals: dict[Node, np.ndarray] = {}
    for node, dy in dys:
        totals[node] = totals[node] + dy if node in totals else dy
    return totals


def _run(cell: Cell, arguments: Mapping[str, Any], steps: int, truncate: int | None) -> dict[str, Any]:
    """The results by name: the new states of one step, or all outputs and the last states."""
    x, state = arguments[cell.input], tuple(arguments[name] for name in cell.states)
    params = {name: x for name, x in arguments.items() if name not in (cell.input, *cell.states)}
    if steps == 1:
        new = cell(x, *state, **params)
        return dict(zip([f"{name}'" for name in cell.states], new if isinstance(new, tuple) else (new,)))
    windows: list[tuple[str, Any]] = []
    length = truncate or steps
    for start in range(0, steps, length):
        part = x if length >= steps else x[:, start : start + length]
        hs, state = scan(cell, part, detach(state) if windows else state, params, mode="eager")
        windows.append((f"{cell.states[0]}s" + f"[:, {start}:{start + length}]" * (length < steps), hs))
    return {**dict(windows), **dict(zip([f"{name}_T" for name in cell.states], state))}


def _only_last(dy: np.ndarray) -> np.ndarray:
    """The gradient with zeros at all time steps but the last."""
    only = np.zeros_like(dy)
    only[:, -1] = dy[:, -1]
    return only


def _complete(captured: Captured) -> Captured:
    """Fill in the rest: the nodes in order, the time steps, and the names of leaves."""
    detached, nodes = captured.trace.detached(), captured.trace.nodes
    for number, equation in captured.trace.equations.items():
        cut = {k: nodes[detached[source]] for k, source in enumerate(equation.args) if source in detached}
        if cut and number in nodes:
            captured.detached[nodes[number]] = cut
    swaps = captured.expansion.enter_context(expanded(captured.cotangents))
    captured.cotangents = _sums([(swaps.get(node, node), dy) for node, dy in captured.cotangents.items()])
    captured.outputs = {name: swaps.get(node, node) for name, node in captured.outputs.items()}
    captured.order = newest_first(captured.cotangents, used=True)[::-1]
    captured.recurrences = recurrences(captured.order, captured.detached)
    for recurrence in captured.recurrences:
        for name, leaf in recurrence.steps[0].before.items():
            if leaf is not None and not leaf.parents and leaf not in recurrence.params.values():
                captured.kinds.setdefault(leaf, "state")
                captured.names.setdefault(leaf, name)
    for node in captured.order:
        if own_name := user_name(node):
            captured.names[node] = own_name
        if not node.parents:
            captured.kinds.setdefault(node, "parameter")
    return captured
