"""The time steps in a recorded graph: which node belongs to which step of which cell.

A cell leaves its `Run` on the nodes that it makes: when its steps began, and which values were the states between
them. All steps that one cell takes with one set of parameters, from state to state, are a row: a call of `scan`, a loop
of one's own around ``h = cell(x, h, ...)``, or several windows one after the other. Two layers are two rows, and so are
the two directions of a bidirectional layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from ..cells.cell import Cell
from ..cells.step_run import Run, is_block
from ..engine.graph import Node

Places = tuple[int | None, ...]


@dataclass(eq=False)
class Step:
    """One step: what is recorded from ``start`` to ``end`` on the graph's clock, without the blocks of parameters.

    ``before`` and ``after`` are the states that it gets and gives, by name: None where the graph does not lead to it.
    ``loose`` are the names of new states that need no gradient, as what is detached, or counts steps.
    """

    time: int
    start: int
    end: int
    before: dict[str, Node | None]
    after: dict[str, Node | None]
    loose: tuple[str, ...] = ()
    cut: bool = False  # does it start from a state that was detached?
    nodes: list[Node] = field(default_factory=list)  # oldest first

    def kept(self) -> list[Node]:
        """New states that it has not made: it gives them as it got them."""
        return [node for node in self.after.values() if node is not None and node.seq < self.start]


@dataclass(eq=False)
class Row:
    """The steps of one cell from state to state, in the order in which they ran."""

    cell: Cell
    reverse: bool
    steps: list[Step]
    params: dict[str, Node]  # those that need a gradient, by name
    first: Places  # where the states are that it began with, on the graph's clock
    last: Places
    past: dict[int, None]  # where all states are that it made

    def state(self, name: str) -> list[Node | None]:
        """The state ``name`` after every step."""
        return [step.after[name] for step in self.steps]


def rows(order: Sequence[Node], detached: Mapping[Node, Mapping[int, Node]] = MappingProxyType({})) -> list[Row]:
    """Every row of steps among the nodes, given oldest first; in the order in which they began.

    ``detached`` tells of operands that were detached from a node: there a row is cut, and goes on.
    """
    runs = _outermost(dict.fromkeys(node.run for node in order if hasattr(node, "run")))
    at = {node.seq: node for node in order}
    made = [_row(run, at) for run in runs]
    steps = sorted((step for row in made for step in row.steps), key=lambda step: step.start, reverse=True)
    inside: dict[Node, Step] = {}
    for node in order:
        while steps and node.seq >= steps[-1].end:
            steps.pop()
        if steps and node.seq > steps[-1].start and node.parents and not is_block(node):
            steps[-1].nodes.append(node)
            inside[node] = steps[-1]
    return _Joining(at, inside, detached).joined([row for row in made if any(step.nodes for step in row.steps)])


def _row(run: Run, at: Mapping[int, Node]) -> Row:
    ends, names = [*run.starts[1:], run.end], run.cell.states
    states = [{name: None if seq is None else at.get(seq) for name, seq in zip(names, own)} for own in run.states]
    loose = [tuple(name for name, seq in zip(names, own) if seq is None) for own in run.states[1:]]
    steps = [Step(*own) for own in zip(run.times, run.starts, ends, states, states[1:], loose)]
    params = {name: at[seq] for name, seq in zip(run.cell.params, run.params) if seq is not None and seq in at}
    past = {seq: None for own in run.states[1:] for seq in own if seq is not None and seq > run.starts[0]}
    return Row(run.cell, run.times.step < 0, steps, params, run.states[0], run.states[-1], past)


def _outermost(runs: Iterable[Run]) -> list[Run]:
    """Without those inside a step of another one: a cell that calls a cell is one cell."""
    found: list[Run] = []
    for run in sorted(runs, key=lambda run: (run.starts[0], -run.end)):
        if not found or run.starts[0] >= found[-1].end:
            found.append(run)
    return found


class _Joining:
    """Rows that go on where another one of the same cell and parameters has ended become one."""

    def __init__(self, at: Mapping[int, Node], inside: Mapping[Node, Step],
                 detached: Mapping[Node, Mapping[int, Node]]):  # fmt: skip
        self.at, self.inside, self.detached = at, inside, detached
        self.latest: dict[tuple[object, ...], Row] = {}  # by cell and parameters
        self.by_last: dict[tuple[tuple[object, ...], int | None], Row] = {}  # by them, and where a last state is
        self.by_step: dict[Step, Row] = {}  # by the last step

    def joined(self, rows: Sequence[Row]) -> list[Row]:
        """The rows, their steps counted on."""
        found: list[Row] = []
        for row in rows:
            key = row.cell, row.reverse, *((name, self.identity(node)) for name, node in row.params.items())
            before = None if row.reverse else self.before(row, key)
            if before is None:
                found.append(row)
            else:
                _append(before, row)
            whole = before or row
            self.latest[key], self.by_step[whole.steps[-1]] = whole, whole
            self.by_last |= {(key, seq): whole for seq in whole.last if seq in whole.past}
        return found

    def identity(self, node: Node) -> object:
        """What a parameter is known by: itself, or if it is computed, what it is computed from."""
        return node if not node.parents else tuple(one for one in self.behind(node) if not one.parents)

    def behind(self, node: Node, since: int = 0) -> list[Node]:
        """What a value is made from outside of steps, as far as to leaves and to what steps have made."""
        seen = {node: None}
        found = [node]
        for one in found:  # which grows
            for parent in one.parents if one not in self.inside else ():
                if parent is not None and parent not in seen and parent.seq >= since:
                    seen[parent] = None
                    found.append(parent)
        return found

    def before(self, row: Row, key: tuple[object, ...]) -> Row | None:
        """The row that it goes on from: by its first states, by what they are made from, or by what was detached."""
        for seq in row.first:
            before = self.by_last.get((key, seq))
            if before is not None and seq in before.last:
                return before if _current(before, row) else None
        before = self.latest.get(key)
        made = [seq for seq in before.last if seq in before.past] if before is not None else []
        if before is not None and made and _current(before, row):
            nodes = [node for node in row.steps[0].before.values() if node is not None]
            if any(one.seq in made for node in nodes for one in self.behind(node, min(made))):
                return before
        return self.cut(row, key)

    def cut(self, row: Row, key: tuple[object, ...]) -> Row | None:
        """The row of which its first step reads what was detached."""
        for node in row.steps[0].nodes:
            for one in self.detached.get(node, {}).values():
                before = self.by_step.get(self.inside[one]) if one in self.inside else None
                if before is not None and before.steps[-1] is self.inside[one] and self.latest.get(key) is before:
                    row.steps[0].cut = True
                    return before
        return None


def _current(before: Row, row: Row) -> bool:
    """Does a row start from none of the states that another one has made and left behind?"""
    return all(seq not in before.past or seq in before.last for seq in row.first if seq is not None)


def _append(before: Row, row: Row) -> None:
    """Let the steps of a row follow those of another one."""
    for k, step in enumerate(row.steps, len(before.steps)):
        step.time = k
    before.steps += row.steps
    before.last = row.last
    before.past.update(row.past)
