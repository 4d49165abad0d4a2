"""Operations along axes that need several loops over a line: softmax and its kin, variance and standard deviation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ..plan.program import Program, Statement
from .scalars import reduced_axes

#: The lines before the loops over a line, those of its loops, and the value of the line or of an element at the end.
#: {x} is an element, {y} an element of a result of the same shape, {n} the count, {ddof} its correction.
TOTAL = "total_[0] = add_up(total_[0], {0})"
LARGEST = ("top_ = local('{kind}', -np.inf)", ["top_[0] = np.maximum(top_[0], {x})"])
SUM_OF_EXP = ("total_ = local('{kind}', 0.0)", [TOTAL.format("np.exp({x} - top_[0])")])
MEAN = ("mean_ = local('{kind}', 0.0)", ["mean_[0] = add_up(mean_[0], {x} / {n})"])
SQUARES = ("total_ = local('{kind}', 0.0)", [TOTAL.format("np.square({x} - mean_[0])")])
LINES = {
    "softmax": ([LARGEST, SUM_OF_EXP], "np.exp({x} - top_[0]) / total_[0]"),
    "log_softmax": ([LARGEST, SUM_OF_EXP], "{x} - top_[0] - np.log(total_[0])"),
    "logsumexp": ([LARGEST, SUM_OF_EXP], "top_[0] + np.log(total_[0])"),
    "var": ([MEAN, SQUARES], "total_[0] / {count}"),
    "std": ([MEAN, SQUARES], "np.sqrt(total_[0] / {count})"),
}
SAME_SHAPE = ("softmax", "log_softmax")


def is_along(program: Program, statement: Statement) -> bool:
    """Is it an operation of `LINES`, on floats?"""
    kinds = [program.values[number].dtype.kind for number in (statement.out, *statement.args)]
    return statement.op in LINES and kinds == ["f", "f"]


def along(
    program: Program, statement: Statement, element: str, target: Callable[[bool], str],
    around: Callable[[Sequence[int], Sequence[int], Sequence[str]], list[str]],
) -> list[str]:  # fmt: skip
    """The lines of the statement: ``around(shape, axes, lines)`` writes loops, ``target(whole)`` is where it goes."""
    shape, axes = program.shape(statement.args[0]), reduced_axes(program, statement)
    count = math.prod(shape[axis] for axis in axes)
    loops, end = LINES[statement.op]
    values = {"x": element, "n": count, "kind": program.values[statement.out].dtype.name,
              "count": count - statement.attrs.get("ddof", 0)}  # fmt: skip
    lines: list[str] = []
    for start, inner in loops:
        lines += [start.format(**values), *around(shape, axes, [line.format(**values) for line in inner])]
    whole = statement.op in SAME_SHAPE
    last = [f"{target(whole)} = {end.format(**values)}"]
    lines += around(shape, axes, last) if whole else last
    return around(shape, [axis for axis in range(len(shape)) if axis not in axes], lines)
