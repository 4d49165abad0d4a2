"""Which arguments of a planned scan the outputs and the last states depend on, as the graph of the loop would show.

A step says on which arguments each new state depends. After T steps a state depends on what the states of the step
before depend on, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .directions import Step
from .rules import has_rule

Names = dict[str, None]  # of arguments, in order


def dependencies(step: Step, states: Sequence[str]) -> dict[str, Names]:
    """The arguments from which a gradient flows, by the name of the new state; "" is the output."""
    of: dict[int, Names] = {number: {name: None} for name, number in step.leaves.items()}
    for statement in step.program.statements.values():
        known: Names = {}
        for k, arg in enumerate(statement.args):
            if arg in of and has_rule(statement, k):
                known |= of[arg]
        of |= dict.fromkeys(statement.outs, known)
    return {name: of.get(number, {}) for name, number in zip(["", *states], [step.output, *step.new])}


def reached(step: Mapping[str, Names], wanted: Sequence[str], T: int) -> list[Names]:
    """The wanted arguments that the outputs depend on after T steps, then those of each last state."""
    states = [name for name in step if name]
    now: dict[str, Names] = {name: {name: None} if name in wanted else {} for name in states}
    outputs: Names = {}
    seen: list[dict[str, Names]] = [now]
    for _ in range(T):
        new = {name: _before(needs, now, wanted) for name, needs in step.items()}
        outputs |= new.pop("")
        if new in seen:  # from here on it repeats itself
            first = seen.index(new)
            now = seen[first + (T - first) % (len(seen) - first)]
            break
        now = new
        seen.append(new)
    return [outputs, *(now[name] for name in states)]


def _before(needs: Names, now: Mapping[str, Names], wanted: Sequence[str]) -> Names:
    """What a value of a step depends on, given what the states before the step depend on."""
    result: Names = {}
    for name in needs:
        result |= now.get(name, {name: None} if name in wanted else {})
    return result
