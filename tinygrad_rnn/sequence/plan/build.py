"""Build the two functions of a plan from one step of a cell: record, merge, regroup, differentiate, schedule, write."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...errors import PlanError
from .adjoint import CARRIED, KNOWN, STATIC, Adjoint, classes, leaf_classes
from .merge import copied, merge
from .naming import Names, plural
from .program import Program, Statement
from .record import as_program, compare, fresh, record_step
from .regroup import regrouped
from .schedule import Schedule, is_view, schedule
from .texts import Texts
from .write import Carry
from .write_loop import Writer

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


def recorded(cell: Cell, arrays: Mapping[str, Any], config: Mapping[str, Any], outer: Mapping[str, Any],
             masked: bool) -> Step:  # fmt: skip
    """The step of a cell, recorded twice. Raises PlanError if the cell cannot be planned."""
    first = record_step(cell, arrays, copied_config(config), outer, 0)
    rng = np.random.default_rng(0)
    others = {name: _other(array, rng) for name, array in arrays.items()}
    other_config = {name: _other(arg, rng) if _is_float(arg) else arg for name, arg in copied_config(config).items()}
    second = record_step(cell, others, other_config, outer, 1)
    compare(first, second)
    if any(getattr(leaf, "node", None) is not None for leaf in outer.values()) and fresh(first):
        raise PlanError("the cell computes an array outside of operations and reads a Tensor that needs a gradient")
    program, _, leaves, new = as_program(first, config.get("rng"))
    step = Step(program, leaves, new, new[0])
    return _masked(step, cell) if masked else step


def copied_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with a copy of its generator, so that a recording draws nothing from the caller's."""
    return {name: copy.deepcopy(arg) if isinstance(arg, np.random.Generator) else arg for name, arg in config.items()}


def _is_float(arg: Any) -> bool:
    return isinstance(arg, np.ndarray) and arg.dtype.kind == "f"


def _other(array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other numbers of the same shape, dtype and scale."""
    scale = 0.5 * float(np.std(array)) if array.size else 0.0
    return (array * rng.uniform(0.7, 1.3, array.shape) + rng.standard_normal(array.shape) * (scale or 0.5)).astype(
        array.dtype
    )


def _masked(step: Step, cell: Cell) -> Step:
    """The step in which rows beyond their length keep their state, and have zeros as output."""
    program = step.program
    N = program.shape(step.leaves[cell.input])[0]
    mask = step.leaves["mask"] = program.leaf("input", "mask", np.arange(N)[:, None] % 2 == 0)

    def where(new: int, old: int) -> int:
        rank = len(program.shape(new))
        fit = mask if rank == 2 else program.add("reshape", (mask,), {"shape": (N, *(1,) * (rank - 1))})
        return program.add("where", (fit, new, old))

    output = where(step.new[0], program.leaf("constant", "", 0))
    new = [where(number, step.leaves[name]) for name, number in zip(cell.states, step.new)]
    return Step(program, step.leaves, new, output)


@dataclass
class Direction:
    """The source of one direction, the objects that it names, and the leaves that it takes by name."""

    text: str
    space: dict[str, Any]
    plan: Schedule
    writer: Writer
    leaves: list[str]


@dataclass
class Built:
    """Both directions of a plan: `backward` gives the gradients by the states, then those of ``returns``."""

    forward: Direction
    backward: Direction | None
    returns: list[str]


def build(cell: Cell, arrays: Mapping[str, Any], config: Mapping[str, Any], outer: Mapping[str, Any],
          wanted: Sequence[str], masked: bool) -> Built:  # fmt: skip
    """The plan of ``cell`` for arrays of these shapes; ``wanted`` names the leaves that need a gradient."""
    step = recorded(cell, arrays, config, outer, masked)
    step = step.moved(*merge(step.program, [step.output, *step.new]))
    step = step.moved(*regrouped(step.program, leaf_classes(step.program), [step.output, *step.new]))
    mark = len(step.program.values)
    states = [step.leaves[name] for name in cell.states]
    saved: dict[int, int] = {}
    backward = None
    names = [name for name in wanted if name not in cell.states]
    if wanted:
        adjoint = Adjoint(step.program, step.output, states, step.new, [step.leaves[name] for name in names]).result
        before = adjoint.before
        roots = [number for number in [*before, *adjoint.of.values()] if number is not None]
        back, moved, saved = _apart(step.program, mark, roots, adjoint.incoming, adjoint.carried)
        leaves = _leaves(back)
        back, again = regrouped(back, leaves, [moved[number] for number in roots])
        saved = {number: again[leaf] for number, leaf in saved.items()}
        place = {number: again[moved[number]] for number in roots}
        carries = [
            (again[moved[leaf]], None if number is None else place[number])
            for leaf, number in zip(adjoint.carried, before)
        ]
        of = {name: None if number is None else place[number] for name, number in zip(names, adjoint.of.values())}
        known = {again[moved[number]]: name for name, number in step.leaves.items() if moved.get(number) in again}
        backward = _backward(back, carries, of, again[moved[adjoint.incoming]], saved, known)
    return Built(_forward(cell, step, states, saved), backward, names)


def _apart(program: Program, mark: int, roots: Sequence[int], incoming: int, carried: Sequence[int]) -> Any:
    """The backward statements as a program of their own, in which the values of the forward pass are leaves."""
    back, numbers, saved = Program(), dict[int, int](), dict[int, int]()
    of_class = classes(program, {**leaf_classes(program), incoming: KNOWN, **dict.fromkeys(carried, CARRIED)})
    numbers[incoming] = back.leaf("incoming", program.values[incoming].name, program.values[incoming].array)
    for number in carried:
        numbers[number] = back.leaf("carried", program.values[number].name, program.values[number].array)

    def bring(number: int) -> None:
        value, statement = program.values[number], program.statements.get(number)
        if number in numbers:
            return
        again = statement is not None and (number >= mark or is_view(statement))
        if again and statement is not None:
            for arg in statement.args:
                bring(arg)
            copied(back, numbers, statement, value.name)
        elif value.kind in ("operation", "state"):
            kind = "saved once" if of_class[number] == STATIC else "saved"
            numbers[number] = saved[number] = back.leaf(kind, value.name, value.array)
        else:
            numbers[number] = back.leaf(value.kind, value.name, value.array)

    for statement in program.used(roots).values():
        if statement.out >= mark:
            bring(statement.out)
    for root in roots:
        bring(root)
    return back, numbers, saved


def _leaves(back: Program) -> dict[int, int]:
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


def _forward(cell: Cell, step: Step, states: Sequence[int], saved: Mapping[int, int]) -> Direction:
    program, new = step.program, step.new
    read = _read(program, states, [step.output, *new])
    roots = [step.output, *saved, *(new[k] for k in range(len(new)) if k not in read)]
    plan = schedule(program, leaf_classes(program), [new[k] for k in read], roots)
    refs = _references(plan, roots)
    carries = [Carry(states[k], new[k], states[k] in refs or new[k] in refs) for k in read]
    names, texts = Names(program, _ordered(plan)), Texts(program)
    writer = Writer(plan, names, texts, carries, roots, backwards=False)
    writer.section("once", "once a sequence")
    writer.section("before", "all steps at once: what does not depend on the state")
    writer.loop()
    writer.section("after", "all steps at once: what the next step does not need")
    last = [_last(writer, carries, state, number) for state, number in zip(states, new)]
    output = _timed_text(writer, step.output)
    kept = _tuple([writer.all_steps(number) for number in saved])
    writer.add(f"return {output}, {_tuple(last)}, {kept}")
    firsts = [f"{names.of[states[k]]}_first" if k in read else f"_{k}" for k in range(len(states))]
    x = step.leaves[cell.input]
    others = [number for name, number in step.leaves.items() if number not in states and number != x]
    arguments = [
        plural(names.of[x]),
        *firsts,
        *(plural(names.of[number]) if plan.timed(number) else names.of[number] for number in others),
        "rng",
    ]
    head = f"def forward({', '.join(arguments)}):"
    by_number = {number: name for name, number in step.leaves.items()}
    lines = [head, f"    T = len({plural(names.of[x])})", *writer.lines]
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


def _backward(back: Program, carries: Sequence[tuple[int, int | None]], of: Mapping[str, int | None],
              incoming: int, saved: Mapping[int, int], known: Mapping[int, str]) -> Direction:  # fmt: skip
    leaves = _leaves(back)
    roots = [number for number in of.values() if number is not None]
    plan = schedule(back, leaves, [number for _, number in carries if number is not None], roots)
    refs = _references(plan, roots)
    carried = [Carry(leaf, number, leaf in refs or number in refs) for leaf, number in carries]
    names, texts = Names(back, _ordered(plan)), Texts(back)
    writer = Writer(
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
