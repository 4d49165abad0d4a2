"""Which arguments of a function are the states of a step: those of which it returns new values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Shape = tuple[int, ...] | None
AFFIXES = re.compile(r"prev(ious)?|next|new|old|last|curr(ent)?|tm1|tp1|_t\b|['_]")
USUAL = ("h", "c", "s", "a", "hidden", "state", "cell", "hx", "cx", "hid", "ht", "ct")


def states_of(arguments: Mapping[str, Shape], results: Mapping[str, Shape]) -> dict[str, str]:
    """The result by state for ``f(x, h, c, Wx, ...) -> h, c``; empty for a function that is no step.

    A result belongs to the argument of its name, up to words such as prev and next: ``h_prev`` and ``h_next``. A result
    without such a name is the new value of the next argument that is called as states usually are. Shapes are equal.
    """
    states: dict[str, str] = {}
    for result in results:
        alike = [name for name in arguments if name not in states and arguments[name] == results[result]]
        same = [name for name in alike if stem(name) == stem(result)]
        usual = [name for name in alike if stem(name) in USUAL]
        if not (same or usual):
            return {}
        states[(same or usual)[0]] = result
    return states if len(states) < len(arguments) else {}


def stem(name: str) -> str:
    """The name without words for times: ``h`` for ``h_prev``, ``prev_h``, ``h'`` and ``h_next``."""
    return AFFIXES.sub("", name.lower())


def states_and_kinds(
    arguments: Mapping[str, Shape], results: Mapping[str, Shape], products: Sequence[Sequence[str | None]]
) -> tuple[dict[str, str], dict[str, str]]:
    """The states of a step, and the kind of each argument; both empty for a function that is no step.

    The first argument that is no state is the input, the others are parameters. ``products`` are the names of the
    operands of matrix products: there is one, and the input is no weight of a state.
    """
    states = states_of(arguments, results)
    first, *others = [name for name in arguments if name not in states] or [""]
    weights = [sorted(map(str, pair)) for pair in products]
    if not (states and weights) or any(sorted([first, state]) in weights for state in states):
        return {}, {}
    return states, {**dict.fromkeys(states, "state"), first: "input", **dict.fromkeys(others, "parameter")}
