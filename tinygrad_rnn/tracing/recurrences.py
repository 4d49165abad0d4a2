"""The time steps in a recorded graph: which node belongs to which step of which cell.

A cell leaves its `StepRun` on the nodes that it computes: when its steps began, and which values were the states
between them. All steps that one cell takes with one set of parameters, from state to state, are a *recurrence*: a call
of `scan`, a user's loop around ``h = cell(x, h, ...)``, or several windows one after the other. Two layers are two
recurrences, and so are the two directions of a bidirectional layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ..cells.cell import Cell
from ..cells.sizes import infer, solve
from ..cells.step_run import StepRun, is_block
from ..engine.graph import Node

Places = tuple[int | None, ...]  # on the graph's clock; None for what needs no gradient
Detached = Mapping[Node, Mapping[int, Node]]  # by node and operand: the node from which the operand was detached


@dataclass(eq=False)
class TimeStep:
    """One step: what is recorded from ``start`` to ``end`` on the graph's clock, without the blocks of parameters.

    ``before`` and ``after`` are the states that it reads and returns, by name; None where the graph does not lead to
    it. ``untracked`` are the names of new states that need no gradient: a detached state, or a counter of steps.
    """

    time: int
    start: int
    end: int
    before: dict[str, Node | None]
    after: dict[str, Node | None]
    untracked: tuple[str, ...] = ()
    cut: bool = False  # whether it starts from a state that was detached
    nodes: list[Node] = field(default_factory=list)  # oldest first
    tick: float = 1  # the time that the clock takes from one recorded value to the next

    def computed(self, node: Node) -> bool:
        """Whether the step computed this state, rather than passed it on."""
        return node.seq >= self.start

    def passed_on(self) -> list[Node]:
        """New states that are older than the step: it returns them as it got them."""
        return [node for node in self.after.values() if node is not None and not self.computed(node)]


@dataclass(eq=False)
class Recurrence:
    """The steps of one cell from state to state, in the order in which they ran."""

    cell: Cell
    reverse: bool
    steps: list[TimeStep]
    params: dict[str, Node]  # those that need a gradient, by name
    first_states: Places
    last_states: Places
    computed_states: dict[int, None]  # the places of all states that the steps computed

    def state(self, name: str) -> list[Node | None]:
        """The state ``name`` after every step."""
        return [step.after[name] for step in self.steps]

    def param_names(self) -> dict[Node, str]:
        """The name of each parameter by its node; a Tensor that is several parameters has all their names."""
        names: dict[Node, str] = {}
        for name, node in self.params.items():
            names[node] = f"{names[node]}, {name}" if node in names else name
        return names

    def sizes(self) -> dict[str, int]:
        """The sizes that the letters of the cell stand for, by its states and parameters in the graph."""
        sizes: dict[str, int] = {}
        for name in self.cell.states:
            for node in self.state(name):
                for word, size in zip(self.cell.words[name], node.shape if node else ()):
                    infer(word, size, sizes)
        axes = [self.cell.params[name].axes(name, node.shape) or () for name, node in self.params.items()]
        return solve(self.cell.name, [axis for every in axes for axis in every], sizes)


def recurrences(order: Sequence[Node], detached: Detached = MappingProxyType({})) -> list[Recurrence]:
    """Every recurrence among the nodes, which are given oldest first; in the order in which they began.

    Where a state is ``detached``, a recurrence is cut, and continues.
    """
    runs = _outermost(dict.fromkeys(node.run for node in order if hasattr(node, "run") and node.run.end))
    at = {node.seq: node for node in order}
    every = [_recurrence(run, at) for run in runs]
    waiting = sorted((step for recurrence in every for step in recurrence.steps), key=lambda step: -step.start)
    step_of: dict[Node, TimeStep] = {}
    for node in order:
        while waiting and node.seq >= waiting[-1].end:
            waiting.pop()
        if waiting and node.seq > waiting[-1].start and node.parents and not is_block(node):
            waiting[-1].nodes.append(node)
            step_of[node] = waiting[-1]
    recorded = [recurrence for recurrence in every if any(step.nodes for step in recurrence.steps)]
    return _Joining(step_of, detached).joined(recorded)


def _recurrence(run: StepRun, at: Mapping[int, Node]) -> Recurrence:
    """The steps of one run, as far as they are in the graph."""
    ends, names = [*run.starts[1:], run.end], run.cell.states
    states = [{name: None if place is None else at.get(place) for name, place in zip(names, places)}
              for places in run.states]  # fmt: skip
    untracked = [tuple(name for name, place in zip(names, places) if place is None) for places in run.states[1:]]
    steps = [TimeStep(*fields) for fields in zip(run.times, run.starts, ends, states, states[1:], untracked)]
    for step in steps:
        step.tick = run.tick
    params = {name: at[place] for name, place in zip(run.cell.params, run.params) if place is not None and place in at}
    computed = {place: None for places in run.states[1:] for place in places
                if place is not None and place > run.starts[0]}  # fmt: skip
    return Recurrence(run.cell, run.times.step < 0, steps, params, run.states[0], run.states[-1], computed)


def _outermost(runs: Iterable[StepRun]) -> list[StepRun]:
    """The runs that are not inside a step of another run: a cell that calls a cell counts as one cell."""
    outer: list[StepRun] = []
    for run in sorted(runs, key=lambda run: (run.starts[0], -run.end)):
        if not outer or run.starts[0] >= outer[-1].end:
            outer.append(run)
    return outer


class _Joining:
    """Joins a recurrence to an earlier recurrence of the same cell and parameters that ended where it begins."""

    def __init__(self, step_of: Mapping[Node, TimeStep], detached: Detached):
        self.step_of, self.detached = step_of, detached
        self.latest: dict[tuple[object, ...], Recurrence] = {}  # by cell and parameters
        self.by_last_state: dict[tuple[tuple[object, ...], int | None], Recurrence] = {}
        self.by_last_step: dict[TimeStep, Recurrence] = {}

    def joined(self, recurrences: Sequence[Recurrence]) -> list[Recurrence]:
        """The joined recurrences, with their steps numbered from the first to the last."""
        result: list[Recurrence] = []
        for recurrence in recurrences:
            parameters = [(name, self.identity(node)) for name, node in recurrence.params.items()]
            key = recurrence.cell, recurrence.reverse, *parameters
            before = None if recurrence.reverse else self.before(recurrence, key)
            if before is None:
                result.append(recurrence)
            else:
                _append(before, recurrence)
            whole = before or recurrence
            self.latest[key], self.by_last_step[whole.steps[-1]] = whole, whole
            self.by_last_state |= {(key, place): whole for place in whole.last_states if place in whole.computed_states}
        return result

    def identity(self, node: Node) -> object:
        """What identifies a parameter: its leaf, or the leaves from which it is computed."""
        return node if not node.parents else tuple(leaf for leaf in self.sources(node) if not leaf.parents)

    def sources(self, node: Node, since: int = 0) -> list[Node]:
        """The values from which a value is computed outside of steps, back to leaves and to results of steps."""
        seen = {node: None}
        reached = [node]
        for source in reached:  # which grows
            for parent in source.parents if source not in self.step_of else ():
                if parent is not None and parent not in seen and parent.seq >= since:
                    seen[parent] = None
                    reached.append(parent)
        return reached

    def before(self, recurrence: Recurrence, key: tuple[object, ...]) -> Recurrence | None:
        """The recurrence that it continues: by its first states, by their sources, or by what was detached."""
        for place in recurrence.first_states:
            before = self.by_last_state.get((key, place))
            if before is not None and place in before.last_states:
                return before if _continues(before, recurrence) else None
        before = self.latest.get(key)
        last = [place for place in before.last_states if place in before.computed_states] if before is not None else []
        if before is not None and last and _continues(before, recurrence):
            nodes = [node for node in recurrence.steps[0].before.values() if node is not None]
            if any(source.seq in last for node in nodes for source in self.sources(node, min(last))):
                return before
        return self.cut(recurrence, key)

    def cut(self, recurrence: Recurrence, key: tuple[object, ...]) -> Recurrence | None:
        """The recurrence whose last step computed what the first step of this one reads detached."""
        for node in recurrence.steps[0].nodes:
            for source in self.detached.get(node, {}).values():
                before = self.by_last_step.get(self.step_of[source]) if source in self.step_of else None
                if before is not None and before.steps[-1] is self.step_of[source] and self.latest.get(key) is before:
                    recurrence.steps[0].cut = True
                    return before
        return None


def _continues(before: Recurrence, recurrence: Recurrence) -> bool:
    """Whether it starts from none of the states that the other one computed and then replaced."""
    return all(place not in before.computed_states or place in before.last_states
               for place in recurrence.first_states if place is not None)  # fmt: skip


def _append(before: Recurrence, recurrence: Recurrence) -> None:
    """Let the steps of a recurrence follow those of an earlier one."""
    for number, step in enumerate(recurrence.steps, len(before.steps)):
        step.time = number
    before.steps += recurrence.steps
    before.last_states = recurrence.last_states
    before.computed_states.update(recurrence.computed_states)
