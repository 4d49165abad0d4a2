"""The time steps of hand-written code: calls of a function in a loop, each of which reads what the one before made."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.graph import Node
from ...tracing.recurrences import Recurrence, TimeStep
from ...tracing.slices import slice_index
from .helpers import Call
from .state_names import stem

LEAST = 3  # operations of a step


@dataclass(eq=False)
class LoopStep:
    """The function that is called in a loop: what a picture needs of a cell."""

    name: str
    states: tuple[str, ...]
    input: str
    variables: Mapping[Node, str]  # of all calls


def loops(
    calls: Mapping[Node, Sequence[Call]], local: Mapping[Call, Mapping[str, Node]], order: Sequence[Node],
    names: Mapping[Node, str],
) -> list[Recurrence]:  # fmt: skip
    """The recurrences among the calls: the outermost functions whose calls run the same operations in a chain.

    ``local`` are the variables of each call at its end, ``names`` the names of the parameters.
    """
    readers: dict[Node, list[Node]] = {}
    for node in order:
        for parent in node.parents:
            if parent is not None:
                readers.setdefault(parent, []).append(node)
    taken: dict[Node, None] = {}
    result: list[Recurrence] = []
    for depth in range(max(map(len, calls.values()), default=0)):
        members: dict[Call, list[Node]] = {}
        for node in order:
            chain = calls.get(node, ())
            if len(chain) > depth and node not in taken:
                members.setdefault(chain[depth], []).append(node)
        alike: dict[Any, list[Call]] = {}
        for call, nodes in members.items():
            ops = tuple(node.op.name if node.op else "" for node in nodes)
            alike.setdefault((call[0], ops, *_parameters(nodes, names)), []).append(call)
        for same in alike.values():
            recurrence = _recurrence(same, [members[call] for call in same], local, readers, names)
            if recurrence is not None:
                taken |= dict.fromkeys(node for step in recurrence.steps for node in step.nodes)
                result.append(recurrence)
    return sorted(result, key=lambda recurrence: recurrence.steps[0].start)


def _parameters(nodes: Sequence[Node], names: Mapping[Node, str]) -> dict[Node, str]:
    """The leaves with names that nodes read, directly."""
    return {leaf: names[leaf] for leaf in _leaves(nodes) if leaf in names}


def _leaves(nodes: Sequence[Node]) -> dict[Node, None]:
    """The leaves that nodes read, directly."""
    return dict.fromkeys(parent for node in nodes for parent in node.parents
                         if parent is not None and not parent.parents)  # fmt: skip


def _recurrence(
    calls: Sequence[Call], steps: Sequence[list[Node]], local: Mapping[Call, Mapping[str, Node]],
    readers: Mapping[Node, Sequence[Node]], names: Mapping[Node, str],
) -> Recurrence | None:  # fmt: skip
    """The calls as time steps; None if they are no chain."""
    links = [_links(before, after) for before, after in itertools.pairwise(steps)]
    if not links or not links[0] or len(steps[0]) < LEAST or any(link != links[0] for link in links):
        return None
    if not any(all(leaf in _leaves(nodes) for nodes in steps) for leaf in _leaves(steps[0])):
        return None  # each of a chain of functions, as in f(f(x))
    roles = dict.fromkeys(links[0].values())
    known = {role: _name(steps[0][role], local[calls[1]], local[calls[0]]) or f"s{role}" for role in roles}
    stems = [stem(name) for name in known.values()]
    states = {role: name if stems.count(short) > 1 else short for (role, name), short in zip(known.items(), stems)}
    times: list[TimeStep] = []
    for k, nodes in enumerate(steps):
        first = {links[0][place]: nodes[place[0]].parents[place[1]] for place in links[0]} if not k else {}
        before = {name: steps[k - 1][role] if k else first[role] for role, name in states.items()}
        after: dict[str, Node | None] = {name: nodes[role] for role, name in states.items()}
        slices = _slices(nodes, readers, before)
        times.append(TimeStep(k, (slices or nodes)[0].seq, nodes[-1].seq + 1, before, after, nodes=slices + nodes))
    inputs = [_name(node, local[call], {}) for call, step in zip(calls, times) for node in step.nodes[:1]]
    variables = {node: name for call in calls for name, node in local[call].items()}
    step: Any = LoopStep(calls[0][0], tuple(states.values()), next(filter(None, inputs), "x"), variables)
    params = {name: node for node, name in _parameters(steps[0], names).items() if node not in times[0].before.values()}
    return Recurrence(step, False, times, params, (), (), {})


def _links(before: Sequence[Node], after: Sequence[Node]) -> dict[tuple[int, int], int]:
    """Where a step reads values of the step before: by the number of the node and of its operand."""
    numbers = {node: number for number, node in enumerate(before)}
    return {(k, j): numbers[parent] for k, node in enumerate(after) for j, parent in enumerate(node.parents)
            if parent in numbers}  # fmt: skip


def _slices(
    nodes: Sequence[Node], readers: Mapping[Node, Sequence[Node]], before: Mapping[str, Node | None]
) -> list[Node]:
    """The slices of a sequence that only these nodes read: the inputs of the step."""
    outside = dict.fromkeys(parent for node in nodes for parent in node.parents if parent is not None
                            and parent not in nodes and parent not in before.values())  # fmt: skip
    return [node for node in outside if node.parents and slice_index(node) is not None
            and all(reader in nodes for reader in readers[node])]  # fmt: skip


def _name(node: Node, *variables: Mapping[str, Node]) -> str:
    """The first variable that holds a node, in the first of some calls that has one."""
    return next((name for known in variables for name, held in known.items() if held is node), "")
