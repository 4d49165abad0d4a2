"""A user's function, or a layer of NumPy, that runs on inputs, ready to be drawn (`Captured`)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from types import MethodType
from typing import Any

import numpy as np

from ...engine.graph import USED, Node
from ...engine.tensor import Tensor, value
from ...errors import GraphError, InvalidType
from ...tracing.measure import measure
from ...tracing.record import Recorder, untaken, user_name, watching
from ...tracing.sample import codes
from .capture import Captured, complete, ones
from .helpers import CallRecorder
from .instance import Instance, argument
from .loops import loops
from .state_names import states_and_kinds
from .user_numpy import Rebound, kept_random

ROUNDING = 1e-12  # the norm of a gradient that would be zero in exact arithmetic
SEED = 2016  # not 0: with the numbers that users draw for x, a norm of x has no gradient either
RANDOM = "random gradients come in at the results: ones would give zeros to all inputs"


def of_function(f: Callable[..., Any], inputs: Sequence[Any], names: Sequence[str]) -> Captured:
    """A function of arrays or Tensors, run on ``inputs``, with gradients of ones at its results, or random ones where
    these would give zeros. A result dict names its results.

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
    with watching(recorder, codes(f)), kept_random():
        results = f(*tensors)
    returned = _returned(held, results, names)
    paths = {**paths, **held, **returned}
    outputs = _outputs(results, title if title.isidentifier() and title not in names else "y")
    if not outputs:
        raise GraphError(f"draw: what {title} returns depends on no input with floating values, and on no parameter")
    captured = Captured(title, ones(outputs.values()), {}, trace=recorder)
    captured.kinds = kinds | dict.fromkeys(returned, "input")
    for y in outputs.values():
        recorder.number(y)  # it may have been computed before
    recorder.finish({}, [*names, *paths.values()])
    captured.calls = recorder.by_node()
    captured.names = {node: name for number, node in recorder.nodes.items() if (name := recorder.values[number].name)}
    for name, y in outputs.items():
        if y.node not in captured.outputs.values():
            known = name if isinstance(results, Mapping) else user_name(y.node) or captured.names.get(y.node, name)
            captured.outputs[untaken(known, captured.outputs)] = y.node
    complete(captured).names.update(paths)
    _find_loops(captured, recorder)
    _start_elsewhere(captured)
    return captured


def _returned(held: Mapping[Node, str], results: Any, names: Sequence[str]) -> dict[Node, str]:
    """The leaves in dicts of which a result dict has new values, by key: the states of a step."""
    keys = {node: path.rpartition(".")[2] for node, path in held.items()}
    shapes = {key: np.shape(y) for key, y in results.items()} if isinstance(results, Mapping) else {}
    return {node: key for node, key in keys.items() if shapes.get(key) == node.shape and key not in names}


def _outputs(results: Any, stem: str) -> dict[str, Any]:
    """The results that have a gradient, by name: the keys of a dict, or ``stem`` with a number if there are several."""
    if isinstance(results, Mapping):
        named = {str(key): y for key, y in results.items()}
    elif isinstance(results, (tuple, list)) and len(results) > 1:
        named = {f"{stem}{k}": y for k, y in enumerate(results)}
    else:
        named = {stem: results[0] if isinstance(results, (tuple, list)) and results else results}
    return {name: y for name, y in named.items() if getattr(y, "node", None) is not None}


def _start_elsewhere(captured: Captured) -> None:
    """Let random gradients come in where ones give zeros to all inputs: the sum of a softmax, for one, is always 1."""
    inputs = [node for node in captured.order if captured.kinds.get(node) == "input"]
    if not inputs or any(node.edges is USED for node in captured.order):
        return
    rng, by_ones = np.random.default_rng(SEED), captured.cotangents
    at_random = {node: rng.standard_normal(dy.shape).astype(dy.dtype) for node, dy in by_ones.items()}
    if _vanish(captured, by_ones, inputs) and not _vanish(captured, at_random, inputs):
        captured.cotangents, captured.note = at_random, RANDOM


def _vanish(captured: Captured, cotangents: Mapping[Node, np.ndarray], inputs: Sequence[Node]) -> bool:
    """Whether the gradients by all inputs are zero but for rounding."""
    totals = measure(captured.order, cotangents, {}).totals
    return all(node not in totals or totals[node].norm < ROUNDING for node in inputs)


def _find_loops(captured: Captured, recorder: CallRecorder) -> None:
    """Take calls of one function in a loop, or iterations, as time steps, and name what they compute by variables."""
    if captured.recurrences:
        return
    leaves = {node: name for node, name in captured.names.items() if not node.parents}
    captured.recurrences = loops(captured.calls, recorder.iterations_by_node(), recorder.variables, captured.order,
                                 leaves)  # fmt: skip
    for recurrence in captured.recurrences:
        known: Any = recurrence.cell
        for node in (node for step in recurrence.steps for node in step.nodes):
            if node in known.variables and node not in captured.outputs.values() and not user_name(node):
                captured.names[node] = known.variables[node]
        for leaf in recurrence.steps[0].before.values():
            if leaf is not None and not leaf.parents:
                captured.kinds[leaf] = "state"
        captured.kinds |= dict.fromkeys(recurrence.params.values(), "parameter")


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
    is_array = not isinstance(x, Tensor) and not _holds_arrays(x) and np.asarray(value(x)).dtype.kind == "f"
    return Tensor(np.array(x), name=name, requires_grad=True) if is_array else x


def _holds_arrays(x: Any) -> bool:
    """Is it a list or a tuple with arrays in it, also in lists of its own?"""
    is_list = isinstance(x, (list, tuple))
    return is_list and any(isinstance(part, (Tensor, np.ndarray)) or _holds_arrays(part) for part in x)


def _apart(f: Callable[..., Any]) -> Callable[..., Any]:
    """A copy of a module, or of a method of one, whose call changes neither its generators nor what it holds."""
    if not hasattr(getattr(f, "__self__", f), "rngs"):
        return f
    try:
        return copy.deepcopy(f)
    except InvalidType:  # it holds a Tensor with a graph
        return f
