"""Write both directions of a plan: the function from the first state to the outputs, and the one back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...cells.cell import Cell
from .adjoint import CARRIED, KNOWN, STATIC, leaf_classes
from .naming import Names, plural
from .program import Program, Statement
from .schedule import Schedule, schedule
from .texts import Texts
from .write import Carry
from .write_loop import Writer

MASK = "mask of the lengths"  #: the name of the leaf, which no argument can have
CLASS_OF_SAVED = {"saved": KNOWN, "saved once": STATIC, "incoming": KNOWN, "carried": CARRIED, "input": KNOWN}


@dataclass
class Step:
    """One step as a program: its leaves by name, the new states and the output."""

    program: Program
    leaves: dict[str, int]
    new: list[int]
    output: int

    def moved(self, program: Program, numbers: Mapping[int, int]) -> Step:
        """The same step in another program."""
        leaves = {name: numbers[number] for name, number in self.leaves.items() if number in numbers}
        return Step(program, leaves, [numbers[number] for number in self.new], numbers[self.output])


@dataclass
class Direction:
    """The source of one direction, the objects that it names, and the leaves that it takes by name."""

    text: str
    space: dict[str, Any]
    plan: Schedule
    writer: Writer
    leaves: list[str]


def backward_leaves(back: Program) -> dict[int, int]:
    """The classes of the leaves in the backward pass."""
    return {leaf.number: CLASS_OF_SAVED.get(leaf.kind, STATIC) for leaf in back.values if leaf.kind != "operation"}


def _references(plan: Schedule, roots: Sequence[int]) -> dict[int, None]:
    """The values that are read outside of the loop."""
    outside = [statement for name in ("after", "end") for statement in plan.sections[name]]
    return dict.fromkeys([*roots, *(arg for statement in outside for arg in statement.args)])


def _read(program: Program, states: Sequence[int], roots: Sequence[int]) -> list[int]:
    """The states, by their places, that a step reads."""
    args = {arg: None for statement in program.used(roots).values() for arg in statement.args}
    return [k for k, state in enumerate(states) if state in args or state in roots]


def _ordered(plan: Schedule) -> list[Statement]:
    return [statement for statements in plan.sections.values() for statement in statements]


def write_forward(cell: Cell, step: Step, states: Sequence[int], saved: Mapping[int, int],
                  kind: type[Writer] = Writer) -> Direction:  # fmt: skip
    program, new = step.program, step.new
    read = _read(program, states, [step.output, *new])
    roots = [step.output, *saved, *(new[k] for k in range(len(new)) if k not in read)]
    plan = schedule(program, leaf_classes(program), [new[k] for k in read], roots)
    refs = _references(plan, roots)
    carries = [Carry(states[k], new[k], states[k] in refs or new[k] in refs) for k in read]
    names, texts = Names(program, _ordered(plan)), Texts(program)
    writer = kind(plan, names, texts, carries, roots, backwards=False)
    writer.section("once", "once a sequence")
    writer.section("before", "all steps at once: what does not depend on the state")
    writer.loop()
    writer.section("after", "all steps at once: what the next step does not need")
    last = [_last(writer, carries, state, number) for state, number in zip(states, new)]
    kept = _tuple([writer.all_steps(number) for number in saved])
    writer.add(f"return {_timed_text(writer, step.output)}, {_tuple(last)}, {kept}")
    firsts = [f"{names.of[states[k]]}_first" if k in read else f"_{k}" for k in range(len(states))]
    x = step.leaves[cell.input]
    others = [number for name, number in step.leaves.items() if number not in states and number != x]
    texts_of = [plural(names.of[number]) if plan.timed(number) else names.of[number] for number in [x, *others]]
    texts_of[1:1] = firsts
    by_number = {number: name for name, number in step.leaves.items()}
    lines = [f"def forward({', '.join(texts_of)}, rng):", f"    T = len({texts_of[0]})", *writer.lines]
    return Direction("\n".join(lines), texts.space, plan, writer, [by_number[number] for number in others])


def _tuple(texts: Sequence[str]) -> str:
    return f"({''.join(f'{text}, ' for text in texts).strip()})"


def _last(writer: Writer, carries: Sequence[Carry], state: int, new: int) -> str:
    """The text of a last state."""
    name, carry = writer.names.of[state], next((carry for carry in carries if carry.leaf == state), None)
    if carry is None:
        return f"{writer.all_steps(new)}{'[-1]' if writer.plan.timed(new) else ''}"
    return f"{name}_all[T]" if carry.stored else name


def _timed_text(writer: Writer, number: int) -> str:
    text = writer.all_steps(number)
    return text if writer.plan.timed(number) else f"np.broadcast_to({text}, {writer.shape(number, True)})"


def write_backward(back: Program, carries: Sequence[tuple[int, int | None]], of: Mapping[str, int | None],
              incoming: int, saved: Mapping[int, int], known: Mapping[int, str],
              kind: type[Writer] = Writer) -> Direction:  # fmt: skip
    leaves = backward_leaves(back)
    roots = [number for number in of.values() if number is not None]
    plan = schedule(back, leaves, [number for _, number in carries if number is not None], roots)
    refs = _references(plan, roots)
    carried = [Carry(leaf, number, leaf in refs or number in refs) for leaf, number in carries]
    names, texts = Names(back, _ordered(plan)), Texts(back)
    writer = kind(
        plan, names, texts, carried, [number for number in of.values() if number is not None], backwards=True
    )
    writer.section("once", "once a sequence")
    writer.section("before", "all steps at once: what does not depend on the gradients that are carried")
    writer.loop()
    writer.section("after", "all steps at once: what the step before does not need")
    writer.section("end", "sums over all steps")
    gradients = [
        f"{names.of[leaf]}_all[0]" if carry.stored else names.of[leaf] for carry, (leaf, _) in zip(carried, carries)
    ]
    rest = ["None" if number is None else writer.all_steps(number) for number in of.values()]
    writer.add(f"return {_tuple([*gradients, *rest])}")
    given = [number for number in known if back.values[number].kind != "saved"]
    arguments = [incoming, *saved.values(), *given]
    texts_of = [plural(names.of[number]) if plan.timed(number) else names.of[number] for number in arguments]
    texts_of[1:1] = [f"{names.of[leaf]}_first" for leaf, _ in carries]
    lines = [f"def backward({', '.join(texts_of)}):", f"    T = len({texts_of[0]})", *writer.lines]
    return Direction("\n".join(lines), texts.space, plan, writer, [known[number] for number in given])
