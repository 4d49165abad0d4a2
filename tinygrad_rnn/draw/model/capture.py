"""A computation that has run, ready to be drawn: its graph, its time steps, and the names of its values.

`of_cell` runs a cell, for several time steps if asked to, on small random inputs; `of_function` runs a user's function,
`of_layer` a layer of NumPy; `of_tensor` takes the graph behind a Tensor as it is. The result holds the graph, for as
long as it is drawn.

Names are those in the user's code, by the rule of the recorder (`record`). The names in a cell come from a recorded
step of it (`match_steps`), so steps that ran unwatched have them too.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.expansion import expanded
from ...engine.graph import Node, newest_first
from ...engine.tensor import Tensor
from ...errors import GraphError
from ...tracing.record import Recorder, user_name
from ...tracing.recurrences import Recurrence, recurrences
from .helpers import Call

if TYPE_CHECKING:
    from .long_loop import LongLoop


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
    note: str = ""  # for the reader, about the gradients
    loop: LongLoop | None = None  # of which only the steps that are shown are recorded
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


def of_tensor(y: Tensor, variables: Mapping[str, Any] | None = None) -> Captured:
    """The graph behind a Tensor, with a gradient of ones at the Tensor.

    ``variables`` of the code that draws it name values that have no name: the Tensors among them, and the parameters of
    a module by their paths.
    """
    if y.node is None:
        raise GraphError("draw: this tensor depends on nothing that was made with requires_grad=True")
    known, paths, owners = _variable_names(variables or {})
    called = y.name or known.get(y.node, "")
    captured = complete(Captured("", {y.node: np.ones(y.shape, y.dtype)}, {called or "y": y.node}))
    captured.names = {node: name for names in (known, captured.names, paths) for node in captured.order
                      if (name := names.get(node))}  # fmt: skip
    owner = next((owners[node] for node in captured.order if node in owners), "")
    captured.title = ": ".join(filter(None, [owner, called])) or "graph"
    return captured


def variables_of(frame: FrameType) -> dict[str, Any]:
    """The variables of code that runs now, its local ones first."""
    local, names = frame.f_locals, {**frame.f_globals, **frame.f_locals}
    variables = {**dict.fromkeys(local), **names}
    if isinstance(local, dict) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        local.clear()  # a copy, which up to Python 3.12 the frame would keep
    return variables


def _variable_names(variables: Mapping[str, Any]) -> tuple[dict[Node, str], dict[Node, str], dict[Node, str]]:
    """The variables that hold nodes; of the parameters of modules, the paths and the classes of the modules."""
    names: dict[Node, str] = {}
    paths: dict[Node, str] = {}
    owners: dict[Node, str] = {}
    for name, x in variables.items():
        if name.startswith("_") or not name.isidentifier():  # of a notebook, of pytest
            continue
        params = getattr(x, "params", None) if hasattr(x, "rngs") else None
        for path, parameter in params.items() if isinstance(params, Mapping) else ():
            if getattr(parameter, "node", None) is not None:
                paths.setdefault(parameter.node, path)
                owners.setdefault(parameter.node, type(x).__name__)
        if isinstance(x, Tensor) and x.node is not None:
            names.setdefault(x.node, x.name or name)
    return names, paths, owners


def ones(results: Iterable[Tensor]) -> dict[Node, np.ndarray]:
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
