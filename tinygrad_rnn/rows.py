"""The time steps in a recorded graph: which node belongs to which step of which cell.

A cell leaves its `Run` on the states that it makes. All steps that one cell takes with one set of parameters, from
state to state, are a row: a call of `scan`, a loop of one's own around ``h = cell(x, h, ...)``, or several windows one
after the other. Two layers are two rows, and so are the two directions of a bidirectional layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from .cell import Cell, Run
from .graph import Node


@dataclass(eq=False)
class Step:
    """One step: what is recorded from ``start`` to ``end`` on the graph's clock, without the blocks of parameters."""

    time: int
    start: int
    end: int
    cut: bool = False  # does it start from a state that was detached?
    nodes: list[Node] = field(default_factory=list)  # oldest first


@dataclass(eq=False)
class Row:
    """The steps of one cell from state to state, in the order in which they ran."""

    cell: Cell
    reverse: bool
    steps: list[Step]
    made: list[int | None]  # the places of the last states on the clock
    leaves: tuple[Node, ...] = ()  # the parameters
    initial: tuple[Node, ...] = ()  # the other leaves of the first step: states and inputs

    def state(self, name: str) -> list[Node | None]:
        """The new state ``name`` of every step; None where a step went another way than the last one."""
        places = [node.seq for node in self.steps[-1].nodes]
        at = self.made[self.cell.states.index(name)]
        if at not in places:
            return [None] * len(self.steps)
        back = len(places) - places.index(at)
        kind = self.steps[-1].nodes[-back].op
        found = [step.nodes[-back] if len(step.nodes) >= back else None for step in self.steps]
        return [node if node is not None and node.op is kind else None for node in found]


def is_block(node: Node) -> bool:
    """Is it a block of a leaf, as ``Wx.f`` is? Made once, and used by every step."""
    if node.op is None or node.op.name != "getitem" or node.parents[0].parents:
        return False
    index = node.attrs["index"]
    return isinstance(index, tuple) and len(index) == 2 and index[0] is Ellipsis


def rows(order: Sequence[Node], detached: Mapping[Node, Mapping[int, Node]] = MappingProxyType({})) -> list[Row]:
    """Every row of steps among the nodes, given oldest first; in the order in which they began.

    ``detached`` tells of operands that were detached from a node: there a row is cut, and goes on.
    """
    runs = _outermost(dict.fromkeys(node.run for node in order if hasattr(node, "run")))
    made = [_row(run) for run in runs]
    steps = sorted((step for row in made for step in row.steps), key=lambda step: step.start, reverse=True)
    for node in order:
        while steps and node.seq >= steps[-1].end:
            steps.pop()
        if steps and node.seq > steps[-1].start and node.parents and not is_block(node):
            steps[-1].nodes.append(node)
    return _joined([row for row in made if any(step.nodes for step in row.steps)], detached)


def _row(run: Run) -> Row:
    ends = [*run.starts[1:], run.end]
    steps = [Step(time, start, end) for time, start, end in zip(run.times, run.starts, ends)]
    return Row(run.cell, run.times.step < 0, steps, run.made)


def _outermost(runs: Iterable[Run]) -> list[Run]:
    """Without those inside a step of another one: a cell that calls a cell is one cell."""
    found: list[Run] = []
    for run in sorted(runs, key=lambda run: (run.starts[0], -run.end)):
        if not found or run.starts[0] >= found[-1].end:
            found.append(run)
    return found


def _joined(made: list[Row], detached: Mapping[Node, Mapping[int, Node]]) -> list[Row]:
    """Rows that go on where another one of the same cell and parameters has ended become one, its steps counted on."""
    found: list[Row] = []
    for row in made:
        row.leaves, row.initial = _leaves(row)
        before = next((one for one in reversed(found) if _goes_on(one, row, {})), None)
        if before is None:
            before = next((one for one in reversed(found) if _goes_on(one, row, detached)), None)
            row.steps[0].cut = before is not None
        if before is None:
            found.append(row)
            continue
        for k, step in enumerate(row.steps, len(before.steps)):
            step.time = k
        before.steps += row.steps
        before.made = row.made
    return found


def _leaves(row: Row) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """The parameters that the first step uses, directly or in blocks, and its other leaves.

    If none has a parameter's name, all are parameters.
    """
    parents = dict.fromkeys(parent for node in row.steps[0].nodes for parent in node.parents if parent is not None)
    blocks = [parent.parents[0] if parent.parents and is_block(parent) else parent for parent in parents]
    leaves = sorted(dict.fromkeys(one for one in blocks if not one.parents), key=lambda node: node.seq)
    params = tuple(one for one in leaves if getattr(one, "name", None) in row.cell.params)
    return (params, tuple(one for one in leaves if one not in params)) if params else (tuple(leaves), ())


def _goes_on(before: Row, row: Row, detached: Mapping[Node, Mapping[int, Node]]) -> bool:
    """Does the first step of ``row`` start from what the last one of ``before`` made, or from what was detached?"""
    if before.cell is not row.cell or before.leaves != row.leaves or before.reverse or row.reverse:
        return False
    made = dict.fromkeys(before.steps[-1].nodes)
    own = row.steps[0].nodes
    return any(one in made for node in own for one in (*node.parents, *detached.get(node, {}).values()))
