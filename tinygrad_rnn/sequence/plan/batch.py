"""How a statement of one step is written for all steps at once: operands that change with time have T in front.

`batched` gives the text of the call, or None for an operation that is run step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...engine.op import OPS
from ...engine.shape import reduced
from ...formula.numpy_functions import traits
from ...ops.index import basic
from .merge import is_elementwise
from .program import Program, Statement, writes_into


class Call:
    """A statement for all steps: the texts of its operands, which of them have T in front, and the text writer."""

    def __init__(
        self, program: Program, statement: Statement, texts: Sequence[str], timed: Sequence[bool], writer: Any,
        out: str = "",
    ):
        self.program, self.statement, self.texts, self.timed = program, statement, list(texts), list(timed)
        self.shapes = [program.shape(arg) for arg in statement.args]
        self.shape, self.attrs, self.writer = program.shape(statement.out), statement.attrs, writer
        self.out = out  # what it writes over, if anything

    def aligned(self, k: int, rank: int) -> str:
        """Operand k with as many axes after T as ``rank``."""
        missing = rank - len(self.shapes[k])
        if not self.timed[k] or missing <= 0:
            return self.texts[k]
        return f"{self.texts[k]}[:, {', '.join(['None'] * missing)}]"

    def of(self, args: Sequence[str], attrs: Mapping[str, Any]) -> str:
        """The call of the operation."""
        return self.writer.call(self.statement, args, attrs)

    def new(self, shape: str) -> str:
        """Memory for the result."""
        return f"empty({shape}, '{self.program.values[self.statement.out].dtype.name}')"

    @property
    def time_shape(self) -> str:
        return self.writer.tuple(("T", *self.shape))


def _elementwise(call: Call) -> str:
    rank = len(call.shape)
    args = [call.aligned(k, rank) for k in range(len(call.texts))]
    if not writes_into(call.program, call.statement):
        return call.of(args, call.attrs)
    return call.writer.call(call.statement, args, call.attrs, call.out or call.new(call.time_shape))


def _product(call: Call) -> str | None:
    ranks = [len(shape) for shape in call.shapes]
    if min(ranks) < 2:
        return None
    if call.timed == [True, False] and ranks[1] == 2:
        rows = f"{call.texts[0]}.reshape(-1, {call.shapes[0][-1]})"
        out = ""
        if writes_into(call.program, call.statement):
            count = " * ".join(map(str, ["T", *call.shapes[0][:-1]]))
            out = f", out={call.new(f'({count}, {call.shape[-1]})')}"
        return f"np.dot({rows}, {call.texts[1]}{out}).reshape({call.time_shape})"
    rank = max(ranks)
    return f"np.matmul({', '.join(call.aligned(k, rank) for k in (0, 1))})"


def _shifted(axis: Any, rank: int) -> Any:
    """An axis of one step as an axis for all steps."""
    if axis is None:
        return tuple(range(1, rank + 1))
    if isinstance(axis, (tuple, list)):
        return tuple(_shifted(entry, rank) for entry in axis)
    return int(axis) + 1 if axis >= 0 else int(axis)


def _reduction(call: Call) -> str:
    return call.of(call.texts, {**call.attrs, "axis": _shifted(call.attrs.get("axis"), len(call.shapes[0]))})


def _index(index: Any) -> tuple[Any, ...]:
    return (slice(None), *(index if isinstance(index, tuple) else (index,)))


def _slice(call: Call) -> str | None:
    index = call.attrs["index"]
    return f"{call.texts[0]}[{call.writer.index(_index(index))}]" if basic(index) else None


def _scatter(call: Call) -> str | None:
    if not basic(call.attrs["index"]):
        return None
    index = call.writer.constant(_index(call.attrs["index"]))
    return f"{call.writer.function(call.statement)}({call.texts[0]}, index={index}, shape={call.time_shape})"


def _reshape(call: Call) -> str:
    return f"{call.texts[0]}.reshape({call.time_shape})"


def _stretch(call: Call) -> str:
    return f"np.broadcast_to({call.aligned(0, len(call.shape))}, {call.time_shape})"


def _transpose(call: Call) -> str:
    rank = len(call.shape)
    if call.statement.op == "swapaxes":
        axes = [_shifted(call.attrs[name], rank) for name in ("axis1", "axis2")]
        return f"{call.texts[0]}.swapaxes({axes[0]}, {axes[1]})"
    given = call.attrs.get("axes")
    order = range(rank)[::-1] if given is None else [axis % rank for axis in given]
    return f"{call.texts[0]}.transpose({call.writer.tuple([0, *(axis + 1 for axis in order)])})"


def _expanded(call: Call) -> str:
    return call.of(call.texts, {**call.attrs, "axis": _shifted(call.attrs["axis"], len(call.shape))})


def _joined(call: Call) -> str | None:
    axis = -1 if call.statement.op == "join" else call.attrs.get("axis")
    if not all(call.timed) or axis is None:
        return None
    name = "stack" if call.statement.op == "stack" else "concatenate"
    return f"np.{name}(({', '.join(call.texts)},), axis={_shifted(axis, 0)})"


def _einsum(call: Call) -> str | None:
    inside, arrow, result = str(call.attrs["subscripts"]).replace(" ", "").partition("->")
    terms = inside.split(",")
    letter = next((letter for letter in "tuvwxyz" if letter not in inside), None)
    if not arrow or "." in inside or letter is None:
        return None
    terms = [letter + term if timed else term for term, timed in zip(terms, call.timed)]
    return f'np.einsum("{",".join(terms)}->{letter}{result}", {", ".join(call.texts)})'


FORMS: Mapping[str, Callable[[Call], str | None]] = {
    "matrix product": _product, "slice": _slice, "scatter": _scatter, "reshape": _reshape, "stretch": _stretch,
    "transpose": _transpose, "new axes": _expanded, "join": _joined, "einsum": _einsum, "reduction": _reduction,
}  # fmt: skip


def way(statement: Statement) -> Callable[[Call], str | None] | None:
    """How the statement is written for all steps; None if it is run step by step."""
    op = statement.op
    if statement.draws or statement.kept:
        return None
    if op == "join":
        return _joined
    if op == "time_sum" or op == "detach" or is_elementwise(op):
        return _elementwise
    spec = OPS.get(op)
    if traits(op).form in FORMS:
        known = traits(op).form != "reduction" or spec is None or spec.shape is reduced
        return FORMS[traits(op).form] if known else None
    return _reduction if spec is not None and spec.shape is reduced and not spec.keeps else None


def can_batch(program: Program, statement: Statement, timed: Sequence[bool]) -> bool:
    """Can the statement be written for all steps at once?"""
    writer = way(statement)
    probe = Call(program, statement, ["x"] * len(timed), timed, _Probe())
    return writer is not None and writer(probe) is not None


class _Probe:
    """A text writer for the question whether there is a text."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: ""
