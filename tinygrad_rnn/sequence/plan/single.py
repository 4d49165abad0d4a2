"""The source of a single step, for a scan of one step of which nothing is saved, as a model writes text.

There is no loop, so no array for all steps, no buffer and no copy: each statement is a call on the values of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...cells.cell import Cell
from .directions import Step
from .naming import Names
from .program import Program, writes_into
from .texts import Texts


@dataclass
class Single:
    """The function ``step(x, *states, *leaves, rng)``, the objects that it names, and the leaves by name.

    It returns the output (N, 1, H), then the new states. All are new arrays.
    """

    text: str
    space: dict[str, Any]
    leaves: list[str]


def write_single(cell: Cell, step: Step) -> Single:
    """The statements of a step, in their order."""
    program, states = step.program, [step.leaves[name] for name in cell.states]
    live = list(program.used([step.output, *step.new]).values())
    names, texts = Names(program, live), Texts(program)

    def text(number: int) -> str:
        value = program.values[number]
        return texts.constant(value.array) if value.kind == "constant" else names.of[number]

    leaves = [name for name in step.leaves if name not in (cell.input, *cell.states)]
    given = [step.leaves[cell.input], *states, *(step.leaves[name] for name in leaves)]
    lines = [f"def step({', '.join(names.of[number] for number in given)}, rng):"]
    for statement in live:
        line = f"{', '.join(names.of[out] for out in statement.outs)} = "
        args = [text(arg) for arg in statement.args]
        product = statement.op == "matmul" and writes_into(program, statement)
        line += f"np.dot({', '.join(args)})" if product else texts.plain(statement, args)
        lines.append(f"    {line:<70}  # {texts.tuple(program.shape(statement.out))}")
    results = [f"np.array({text(step.output)})[:, None]", *_new(program, step.new, [text(k) for k in step.new])]
    return Single("\n".join([*lines, f"    return {', '.join(results)}"]), texts.space, leaves)


def _new(program: Program, numbers: Sequence[int], texts: Sequence[str]) -> list[str]:
    """The texts of the new states; a copy where the value may be memory of something else."""
    result: list[str] = []
    for number, text in zip(numbers, texts):
        statement = program.statements.get(number)
        fresh = statement is not None and writes_into(program, statement) and text not in result
        result.append(text if fresh else f"np.array({text})")
    return result
