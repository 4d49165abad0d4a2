"""A computation that has run, ready to be drawn: its graph, its time steps, and the names of its values.

`of_cell` runs a cell, for several time steps if asked to, on small random inputs; `of_function` runs a user's function,
`of_layer` a layer of NumPy; `of_tensor` takes the graph behind a Tensor as it is. The result holds the graph, for as
long as it is drawn.

Names are those in the user's code, by the rule of the recorder (`record`). The names in a cell come from a recorded
step of it (`match_steps`), so steps that ran unwatched have them too.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import numpy as np

from ...engine.expansion import expanded
from ...engine.graph import Node, newest_first
from ...engine.tensor import Tensor, value
from ...errors import GraphError, InvalidType
from ...tracing.record import Recorder, untaken, user_name, watching
from ...tracing.recurrences import Recurrence, recurrences
from ...tracing.sample import codes
from .helpers import Call, CallRecorder
from .instance import Instance, argument
from .state_names import states_and_kinds
from .user_numpy import Rebound, kept_random



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
    calls: dict[Node, list[Call]] = field(default_factory=dict)  # of functions of the user's, the outermost first
    states: dict[str, str] = field(default_factory=dict)  # of a step of a layer: the result of each state
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
    return complete(Captured(y.name or "graph", {y.node: np.ones(y.shape, y.dtype)}, {name: y.node}))


def of_function(f: Callable[..., Any], inputs: Sequence[Any], names: Sequence[str]) -> Captured:
    """A function of arrays or Tensors, run on ``inputs``, with gradients of ones at its results.

    The parameters of a module are named by their paths, ``embed.W``.
    """
    f = _apart(f)
    params = getattr(getattr(f, "__self__", f), "params", None)
    named = params.items() if isinstance(params, Mapping) else ()
    paths = {x.node: path for path, x in named if isinstance(x, Tensor)}
    title = getattr(f, "__name__", type(f).__name__)
    try:
        return _with_named_states(_of_call(f, inputs, names, title, paths))
    except InvalidType:  # it may write Tensors into arrays
        with Rebound() as rebound:
            if (again := rebound.of(f)) is f:
                raise
            return _with_named_states(_of_call(again, inputs, names, title, paths))


def _with_named_states(captured: Captured) -> Captured:
    """The graph of a function; if it is a step, by the names of its arguments and results, with its states."""
    leaves = {captured.names[node]: node for node, kind in captured.kinds.items()
              if kind == "input" and node in captured.names}  # fmt: skip
    products = [[captured.names.get(parent) for parent in node.parents if parent is not None]
                for node in captured.order if node.op is not None and node.op.name == "matmul"]  # fmt: skip
    states, kinds = states_and_kinds({name: node.shape for name, node in leaves.items()},
                                     {name: node.shape for name, node in captured.outputs.items()},
                                     products)  # fmt: skip
    captured.kinds |= {leaves[name]: kind for name, kind in kinds.items()}
    return _named(captured, states)



def of_layer(layer: Any, inputs: Sequence[Any], names: Sequence[str]) -> Captured:
    """A layer that computes with NumPy: a method of it runs on Tensors, with a leaf for each array that it holds.

    The method is the one that is given, else ``forward``, else that of a call.
    """
    bound = isinstance(layer, MethodType)
    owner = layer.__self__ if bound else layer
    method = layer.__name__ if bound else "forward" if hasattr(type(layer), "forward") else "__call__"
    title = f"{type(owner).__name__}.{method}" if bound else type(owner).__name__
    with Rebound() as rebound:
        instance = Instance(owner, method, rebound)
        return with_states(_of_call(instance.call, inputs, names, title, instance.paths))


def with_states(captured: Captured) -> Captured:
    """The graph of a step: its inputs but the first are states, where each has a result of its shape."""
    results = list(captured.outputs.values())
    _, *states = [node for node, kind in captured.kinds.items() if kind == "input"] or [captured.order[0]]
    if states and [node.shape for node in states] == [node.shape for node in results]:
        captured.kinds |= dict.fromkeys(states, "state")
        return _named(captured, dict(zip([captured.names[node] for node in states], captured.outputs)))
    return captured


def _named(captured: Captured, states: Mapping[str, str]) -> Captured:
    """The graph with its states, and the results by state; a result without a name is the new value ``h'``."""
    known = {result: captured.names.setdefault(captured.outputs[result], f"{state}'")
             for state, result in states.items()}  # fmt: skip
    captured.states = {state: known[result] for state, result in states.items()}
    captured.outputs = {known.get(name, name): node for name, node in captured.outputs.items()}
    return captured


def _of_call(
    f: Callable[..., Any], inputs: Sequence[Any], names: Sequence[str], title: str, paths: Mapping[Any, str]
) -> Captured:
    """What ``f(*inputs)`` computes; ``paths`` are the names of parameters by their nodes."""
    recorder = CallRecorder(codes(f))
    tensors, kinds, held = _leaves(f, inputs, names, recorder)
    paths = {**paths, **held}
    with watching(recorder, codes(f)), kept_random():
        results = f(*tensors)
    results = list(results) if isinstance(results, (tuple, list)) else [results]
    stem = title if title.isidentifier() and title not in names else "y"
    tracked = {k: y for k, y in enumerate(results) if getattr(y, "node", None) is not None}
    outputs = {stem if len(results) == 1 else f"{stem}{k}": y for k, y in tracked.items()}
    if not outputs:
        raise GraphError(_no_gradient(title, results))
    captured = Captured(title, _ones(outputs.values()), {}, trace=recorder)
    captured.kinds = kinds
    for y in outputs.values():
        recorder.number(y)  # it may have been computed before
    recorder.finish({}, [*names, *paths.values()])
    captured.calls = recorder.by_node()
    captured.names = {node: name for number, node in recorder.nodes.items() if (name := recorder.values[number].name)}
    for name, y in outputs.items():
        if y.node not in captured.outputs.values():
            known = user_name(y.node) or captured.names.get(y.node, name)
            captured.outputs[untaken(known, captured.outputs)] = y.node
    complete(captured).names.update(paths)
    return captured


def _leaves(
    f: Callable[..., Any], inputs: Sequence[Any], names: Sequence[str], recorder: Recorder
) -> tuple[list[Any], dict[Node, str], dict[Node, str]]:
    """The inputs of a function as Tensors; the kinds of all leaves, and the names of those in lists and dicts."""
    tensors: list[Any] = []
    kinds: dict[Node, str] = {}
    paths: dict[Node, str] = {}
    for name, x in zip(names, inputs):
        held, known, kind = argument(f, name, _leaf(name, x))
        tensors.append(held)
        paths |= known
        kinds |= dict.fromkeys(known, kind)
        if isinstance(held, (Tensor, np.ndarray)):
            recorder.leaf(held, getattr(held, "name", None) or name, "input")
            kinds |= {held.node: "input"} if isinstance(held, Tensor) and held.node is not None else {}
    return tensors, kinds, paths


def _leaf(name: str, x: Any) -> Any:
    """A new leaf for an array of floats; anything else as it is."""
    holds = isinstance(x, (list, tuple)) and any(isinstance(part, (Tensor, np.ndarray)) for part in x)
    is_array = not isinstance(x, Tensor) and not holds and np.asarray(value(x)).dtype.kind == "f"
    return Tensor(np.array(x), name=name, requires_grad=True) if is_array else x


def _apart(f: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a module, or of a method of one, whose call changes neither its generators nor what it holds."""
    if not hasattr(getattr(f, "__self__", f), "rngs"):
        return f
    try:
        return copy.deepcopy(f)
    except InvalidType:  # it holds a Tensor with a graph
        return f


def _no_gradient(title: str, results: Sequence[Any]) -> str:
    """The error text for a function none of whose results has a gradient."""
    if isinstance(results[0], Mapping):
        return f"draw: {title} returns a dict, should return a Tensor, or a tuple or list of Tensors"
    return f"draw: what {title} returns depends on no input with floating values, and on no parameter"


def _ones(results: Iterable[Tensor]) -> dict[Node, np.ndarray]:
    """Gradients of ones at the results."""
    return sums([(y.node, np.ones(y.shape, y.dtype)) for y in results if y.node is not None])


def sums(dys: Sequence[tuple[Node, np.ndarray]]) -> dict[Node, np.ndarray]:
    """The gradients by node; the gradients of a value that is returned twice are added."""
    totals: dict[Node, np.ndarray] = {}
    for node, dy in dys:
        totals[node] = totals[node] + dy if node in totals else dy
    return totals


def complete(captured: Captured) -> Captured:
    """Fill in the rest: the nodes in order, the time steps, and the names of leaves."""
    detached, nodes = captured.trace.detached(), captured.trace.nodes
    for number, equation in captured.trace.equations.items():
        cut = {k: nodes[detached[source]] for k, source in enumerate(equation.args) if source in detached}
        if cut and number in nodes:
            captured.detached[nodes[number]] = cut
    swaps = captured.expansion.enter_context(expanded(captured.cotangents))
    captured.cotangents = sums([(swaps.get(node, node), dy) for node, dy in captured.cotangents.items()])
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
