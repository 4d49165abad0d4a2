"""The time steps of hand-written code: calls of a function, or iterations, that read what the one before made."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...engine.graph import Node
from ...tracing.recurrences import Recurrence, TimeStep
from ...tracing.slices import slice_index, slice_text
from .helpers import Call
from .iterations import Iteration, Variables, singular
from .state_names import stem

LEAST = 3  # operations of a step


@dataclass(eq=False)
class LoopStep:
    """The function that is called in a loop, or has the loop: what a picture needs of a cell."""

    name: str
    states: tuple[str, ...]
    input: str
    variables: Mapping[Node, str]  # of all calls


def loops(
    calls: Mapping[Node, Sequence[Call]], iterations: Mapping[Node, Sequence[Iteration]],
    local: Mapping[Any, Variables], order: Sequence[Node], names: Mapping[Node, str],
) -> list[Recurrence]:  # fmt: skip
    """The recurrences in hand-written code: the outermost functions whose calls run the same operations in a chain,
    and the outermost loops whose iterations do.

    ``local`` are the variables of each call or iteration at its end, ``names`` the names of the leaves.
    """
    readers: dict[Node, list[Node]] = {}
    for node in order:
        for parent in node.parents:
            if parent is not None:
                readers.setdefault(parent, []).append(node)
    taken: dict[Node, None] = {}
    result: list[Recurrence] = []
    stretches: Any
    for stretches in (calls, iterations):
        for depth in range(max(map(len, stretches.values()), default=0)):
            members: dict[Any, list[Node]] = {}
            for node in order:
                chain = stretches.get(node, ())
                if len(chain) > depth and node not in taken:
                    members.setdefault(chain[depth], []).append(node)
            for same in _alike(members, readers):
                recurrence = _recurrence(list(same), list(same.values()), local, readers, names)
                if recurrence is not None:
                    taken |= dict.fromkeys(node for step in recurrence.steps for node in step.nodes)
                    result.append(recurrence)
    return sorted(result, key=lambda recurrence: recurrence.steps[0].start)


def _alike(
    members: Mapping[Any, list[Node]], readers: Mapping[Node, Sequence[Node]]
) -> Iterator[dict[Any, list[Node]]]:  # fmt: skip
    """The calls that run the same operations on the same parameters, and the iterations of each loop that do.

    What only the last iterations of a loop have at their end belongs to none.
    """
    alike: dict[Any, dict[Any, list[Node]]] = {}
    by_loop: dict[Any, dict[Any, list[Node]]] = {}
    count = Counter(leaf for nodes in members.values() for leaf in _leaves(nodes))
    for stretch, nodes in members.items():
        if isinstance(stretch, Iteration):
            by_loop.setdefault(stretch.loop, {})[stretch] = nodes
        else:
            several = [leaf for leaf in _leaves(nodes) if count[leaf] > 1]
            alike.setdefault((stretch[0], _ops(nodes), *several), {})[stretch] = nodes
    yield from alike.values()
    for same in by_loop.values():
        summed = totals(same, readers)
        inner = {stretch: [node for node in nodes if node not in summed] for stretch, nodes in same.items()}
        least = min(map(len, inner.values()))
        equal = {stretch: nodes[:least] for stretch, nodes in inner.items()}
        if len(dict.fromkeys(map(_ops, equal.values()))) == 1:
            yield equal


def totals(iterations: Mapping[Any, Sequence[Node]], readers: Mapping[Node, Sequence[Node]]) -> dict[Node, None]:
    """The nodes of running totals, ``loss += e``, and of arrays that are filled: only the next iteration reads them."""
    place = {node: k for k, nodes in enumerate(iterations.values()) for node in nodes}
    linked: dict[Node, None] = {}
    for node, k in place.items():
        reader = readers.get(node, ())
        if _is_total(node) and len(reader) == 1 and place.get(reader[0]) == k + 1 and reader[0].op is node.op:
            linked |= {node: None, reader[0]: None}
    return linked


def _is_total(node: Node) -> bool:
    return node.op is not None and node.op.name in ("add", "subtract", "assign")


def _ops(nodes: Sequence[Node]) -> tuple[str, ...]:
    return tuple(node.op.name if node.op else "" for node in nodes)


def _leaves(nodes: Sequence[Node]) -> dict[Node, list[str]]:
    """The leaves that nodes read, directly, each with the slices of it that they read."""
    leaves: dict[Node, list[str]] = {}
    for node in nodes:
        for parent in node.parents:
            if parent is not None and not parent.parents:
                leaves.setdefault(parent, []).append(slice_text(node))
    return leaves


def _shared(steps: Sequence[Sequence[Node]]) -> dict[Node, None]:
    """The leaves that all steps read alike: parameters, not a sequence of which each step reads another slice."""
    first, *others = map(_leaves, steps)
    return dict.fromkeys(leaf for leaf, slices in first.items()
                         if all(leaves.get(leaf) == slices for leaves in others))  # fmt: skip


def _recurrence(
    calls: Sequence[Any], steps: Sequence[list[Node]], local: Mapping[Any, Variables],
    readers: Mapping[Node, Sequence[Node]], names: Mapping[Node, str],
) -> Recurrence | None:  # fmt: skip
    """The calls, or iterations, as time steps; None if they are no chain."""
    links = [_links(before, after) for before, after in itertools.pairwise(steps)]
    if not links or not links[0] or len(steps[0]) < LEAST or any(link != links[0] for link in links):
        return None
    if not _shared(steps):
        return None  # each of a chain of functions, as in f(f(x))
    states = _states(dict.fromkeys(links[0].values()), steps[0], calls, local)
    times: list[TimeStep] = []
    for k, nodes in enumerate(steps):
        first = {links[0][place]: nodes[place[0]].parents[place[1]] for place in links[0]} if not k else {}
        before = {name: steps[k - 1][role] if k else first[role] for role, name in states.items()}
        after: dict[str, Node | None] = {name: nodes[role] for role, name in states.items()}
        slices = _slices(nodes, readers, before)
        times.append(TimeStep(k, (slices or nodes)[0].seq, nodes[-1].seq + 1, before, after, nodes=slices + nodes))
    inputs = [_name(node, *local[call]) for call, step in zip(calls, times) for node in step.nodes[:1]]
    inputs += [singular(names.get(parent, "")) for node in times[0].nodes[:1] if slice_text(node)
               for parent in node.parents[:1] if parent is not None]  # fmt: skip
    variables = {node: name for call in calls for held in local[call][::-1] for name, node in held.items()}
    if reverse := _runs_back(times):
        for late in times:
            late.time = len(times) - 1 - late.time
    step: Any = LoopStep(calls[0][0], tuple(states.values()), next(filter(None, inputs), "x"), variables)
    params = {names[leaf]: leaf for leaf in _shared(steps) if leaf in names and leaf not in times[0].before.values()}
    return Recurrence(step, reverse, times, params, (), (), {})


def _states(
    roles: Iterable[int], nodes: Sequence[Node], calls: Sequence[Any], local: Mapping[Any, Variables]
) -> dict[int, str]:  # fmt: skip
    """The names of the states, which are these of the nodes of the first step."""
    own_first = isinstance(calls[0], Iteration)  # a call has the state before it as an argument
    pairs = [local[call] for call in calls[:2][:: 1 if own_first else -1]]
    places = [*(direct for direct, _ in pairs), *(inner for _, inner in pairs)]
    known = {role: _name(nodes[role], *places) or f"s{role}" for role in roles}
    stems = [stem(name) for name in known.values()]
    return {role: name if stems.count(short) > 1 else short for (role, name), short in zip(known.items(), stems)}


def _runs_back(times: Sequence[TimeStep]) -> bool:
    """Does each step read the entry of a sequence before that of the step before it?"""
    indices = [slice_index(step.nodes[0]) or () for step in times]
    return any(entries == tuple(range(entries[0], entries[0] - len(times), -1)) for entries in zip(*indices)
               if type(entries[0]) is int)  # fmt: skip


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
