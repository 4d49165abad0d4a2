"""Build the two functions of a plan from one step of a cell: record, merge, regroup, differentiate, schedule, write."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.tensor import value
from ...errors import PlanError
from .adjoint import CARRIED, KNOWN, STATIC, Adjoint, classes, leaf_classes
from .directions import MASK, Direction, Step, backward_leaves, write_backward, write_forward
from .merge import copied, merge
from .program import Program
from .reach import Names, dependencies
from .record import as_program, compare, fresh, record_step
from .regroup import regrouped
from .schedule import is_view
from .single import Single, write_single
from .write_loop import Writer

ROWS = 64  #: of an array, to which random terms are added


def recorded(cell: Cell, arrays: Mapping[str, Any], config: Mapping[str, Any], outer: Mapping[str, Any],
             masked: bool) -> Step:  # fmt: skip
    """The step of a cell, recorded twice. Raises PlanError if the cell cannot be planned."""
    ids = [id(value(arg)) for arguments in (arrays, config, outer) for arg in arguments.values()]
    apart = {name: np.array(array) if ids.count(id(array)) > 1 else array for name, array in arrays.items()}
    first = record_step(cell, apart, copied_config(config), outer, 0)
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
    """Other numbers of the same shape, dtype and scale, quickly: random factors are those of a single row, and so are
    the random terms of the first rows.
    """
    row = array.shape[-1:]
    scale = 0.5 * float(np.std(array[:1] if array.ndim else array)) if array.size else 0.0
    factors, terms = rng.uniform(0.7, 1.3, row), rng.standard_normal(row) * (scale or 0.5)
    backwards, kind = array[::-1] if array.ndim else array, array.dtype
    result = np.asarray(np.multiply(backwards, factors.astype(kind), dtype=kind))
    np.atleast_2d(result)[:ROWS] += terms.astype(kind)
    return result


def _masked(step: Step, cell: Cell) -> Step:
    """The step in which rows beyond their length keep their state, and have zeros as output."""
    program = step.program
    N = program.shape(step.leaves[cell.input])[0]
    mask = step.leaves[MASK] = program.leaf("input", "mask", np.arange(N)[:, None] % 2 == 0)

    def where(new: int, old: int) -> int:
        rank = len(program.shape(new))
        fit = mask if rank == 2 else program.add("reshape", (mask,), {"shape": (N, *(1,) * (rank - 1))})
        return program.add("where", (fit, new, old))

    output = where(step.new[0], program.leaf("constant", "", 0))
    new = [where(number, step.leaves[name]) for name, number in zip(cell.states, step.new)]
    return Step(program, step.leaves, new, output)


@dataclass
class Built:
    """Both directions of a plan: `backward` gives the gradients by the states, then those of ``returns``.

    ``single`` is the source of one step, where nothing is saved. ``depends``: see `dependencies`; ``merged``: see
    `merge`, in words.
    """

    forward: Direction
    backward: Direction | None
    returns: list[str]
    depends: dict[str, Names]
    merged: list[str]
    single: Single | None = None


def build(cell: Cell, arrays: Mapping[str, Any], config: Mapping[str, Any], outer: Mapping[str, Any],
          wanted: Sequence[str], masked: bool, writer: type[Writer] = Writer) -> Built:  # fmt: skip
    """The plan of ``cell`` for arrays of these shapes; ``wanted`` names the leaves that need a gradient."""
    step = recorded(cell, arrays, config, outer, masked)
    depends = dependencies(step, cell.states)
    step = step.moved(*merge(step.program, [step.output, *step.new]))
    step = step.moved(*regrouped(step.program, leaf_classes(step.program), [step.output, *step.new]))
    states = [step.leaves[name] for name in cell.states]
    names = [name for name in wanted if name not in cell.states]
    parts = _backward(step, states, names) if wanted else None
    saved = parts[4] if parts is not None else {}
    single = write_single(cell, step) if not wanted and not masked else None
    forward, backward = write_forward(cell, step, states, saved, writer), None
    if parts is not None:
        for number, leaf in saved.items():
            parts[0].values[leaf].name = forward.writer.names.of[number]
        backward = write_backward(*parts, writer)
    return Built(forward, backward, names, depends, step.program.merged, single)


def _backward(step: Step, states: Sequence[int], names: Sequence[str]) -> tuple[Program, Any, Any, int, Any, Any]:
    """The backward pass of a step, and what else `write_backward` takes; ``names`` are the leaves with a gradient."""
    mark = len(step.program.values)
    adjoint = Adjoint(step.program, step.output, states, step.new, [step.leaves[name] for name in names]).result
    before = adjoint.before
    roots = [number for number in [*before, *adjoint.of.values()] if number is not None]
    back, moved, saved = _apart(step.program, mark, roots, adjoint.incoming, adjoint.carried)
    back, again = regrouped(back, backward_leaves(back), [moved[number] for number in roots])
    place = {number: again[moved[number]] for number in roots}
    carries = [(again[moved[leaf]], place.get(number or -1)) for leaf, number in zip(adjoint.carried, before)]
    of = {name: None if number is None else place[number] for name, number in zip(names, adjoint.of.values())}
    known = {again[moved[number]]: name for name, number in step.leaves.items() if moved.get(number) in again}
    saved = {number: again[leaf] for number, leaf in saved.items()}
    return back, carries, of, again[moved[adjoint.incoming]], saved, known


def _apart(program: Program, mark: int, roots: Sequence[int], incoming: int, carried: Sequence[int]) -> Any:
    """The backward statements as a program of their own, in which the values of the forward pass are leaves."""
    back, numbers, saved = Program(), dict[int, int](), dict[int, int]()
    of_class = classes(program, {**leaf_classes(program), incoming: KNOWN, **dict.fromkeys(carried, CARRIED)})
    numbers[incoming] = back.leaf("incoming", program.values[incoming].name, program.values[incoming].array)
    for number in carried:
        numbers[number] = back.leaf("carried", program.values[number].name, program.values[number].array)

    waiting = [*(out for out in program.used(roots) if out >= mark), *roots][::-1]
    while waiting:  # what a statement reads comes before it
        number = waiting.pop()
        value, statement = program.values[number], program.statements.get(number)
        again = statement if statement is not None and (number >= mark or is_view(statement)) else None
        missing = [arg for arg in again.args if arg not in numbers] if again is not None else []
        if number in numbers:
            continue
        if missing:
            waiting += [number, *missing[::-1]]
        elif again is not None:
            copied(program, back, numbers, again)
        elif value.kind in ("operation", "state"):
            kind = "saved once" if of_class[number] == STATIC else "saved"
            numbers[number] = saved[number] = back.leaf(kind, value.name, value.array)
        else:
            numbers[number] = back.leaf(value.kind, value.name, value.array)
    return back, numbers, saved
