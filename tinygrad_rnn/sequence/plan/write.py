"""Write the source of one direction of a plan: a function of a few dozen lines of NumPy.

Time leads: values for all steps are (T, N, ...), named as the value of one step with an s: ``xs``, ``fs``. A carried
value is stored as ``h_all`` (T + 1, N, H), from the first state to the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .batch import Call, way
from .buffers import Buffers
from .bulk import BulkBuffers
from .naming import Names, plural
from .pool import empty
from .program import Statement
from .schedule import Schedule
from .texts import Texts


@dataclass
class Carry:
    """A value that the loop carries on: its leaf, the value of the next step, and whether all steps are stored."""

    leaf: int
    next: int | None
    stored: bool


class Sections:
    """The lines of a direction outside of its loop; ``backwards`` runs the loop from the last step to the first."""

    def __init__(self, plan: Schedule, names: Names, texts: Texts, carries: Sequence[Carry], ends: Sequence[int],
                 backwards: bool):  # fmt: skip
        self.plan, self.program, self.names, self.texts = plan, plan.program, names, texts
        self.carries, self.backwards = carries, backwards
        self.state_of = {carry.leaf: carry for carry in carries}
        self.buffers = Buffers(plan, [carry.next for carry in carries], [])
        self.turned = {number: None for number in self.buffers.turned if self.stored_next(number) is None}
        self.uses = Counter([arg for statement in plan.by_value.values() for arg in statement.args])
        self.uses.update(ends)
        carried = [number for carry in carries for number in (carry.leaf, carry.next) if number is not None]
        self.over = BulkBuffers(plan, [*ends, *carried]).over
        texts.space["empty"] = empty
        self.lines: list[str] = []
        self.setup: dict[int, str] = {}  # views of buffers, which need no line in the loop
        self.bound: dict[int, None] = {}

    # -- texts of values

    def step(self, number: int) -> str:
        """A value in the loop."""
        value = self.program.values[number]
        if value.kind == "constant":
            return self.texts.constant(value.array)
        return self.names.of[number]

    def all_steps(self, number: int) -> str:
        """A value outside of the loop; for one that changes with time, its values at all steps."""
        name = self.step(number)
        if number in self.state_of:
            return f"{name}_all[1:]" if self.backwards else f"{name}_all[:-1]"
        if (k := self.stored_next(number)) is not None:
            state = self.names.of[self.carries[k].leaf]
            return f"{state}_all[:-1]" if self.backwards else f"{state}_all[1:]"
        return plural(name) if self.plan.timed(number) else name

    def stored_next(self, number: int) -> int | None:
        """The state whose stored values are those of ``number``, one step later."""
        k = self.buffers.next_of.get(number)
        return k if k is not None and self.carries[k].stored else None

    def shape(self, number: int, timed: bool) -> str:
        value = self.program.values[number]
        return self.texts.tuple(("T", *value.shape) if timed else value.shape)

    def add(self, line: str, number: int | None = None, timed: bool = False) -> None:
        """A line, with the shape of its value in the margin."""
        margin = "" if number is None else f"# {self.shape(number, timed)}"
        self.lines.append(f"    {line:<70}  {margin}".rstrip())

    # -- outside of the loop

    def section(self, name: str, title: str) -> None:
        """The statements of a section, each for all steps at once."""
        statements = self.plan.sections[name]
        if statements:
            self.add(f"# {title}")
        fused = self._fused() if name == "end" or name == "after" else {}
        for statement in statements:
            if (statement.out in fused and fused[statement.out] is None) or self._unread(statement.out):
                continue
            text = fused.get(statement.out) or self.bulk(statement)
            timed = self.plan.timed(statement.out)
            self.add(f"{self.targets(statement, timed)} = {text}", statement.out, timed)

    def _unread(self, number: int) -> bool:
        """Is the value transposed for products alone that are written without it: `turned` ones, sums over all rows?"""
        sums = [out for out, text in self._fused().items() if text is None and self.plan.place[out] == "after"]
        products = [self.plan.by_value[out] for out in sums if self.plan.by_value[out].op == "matmul"]
        lefts = [product.args[0] for product in products]
        rights = [self.plan.by_value[out].args[1] for out in self.turned]
        return 0 < self.uses[number] == [*lefts, *rights].count(number)

    def targets(self, statement: Statement, timed: bool) -> str:
        names = [self.names.of[out] for out in statement.outs]
        return ", ".join(map(plural, names) if timed else names)

    def bulk(self, statement: Statement) -> str:
        texts = [self.all_steps(arg) for arg in statement.args]
        timed = [self.plan.timed(arg) for arg in statement.args]
        if statement.op == "time_sum":
            return self._time_sum(statement, texts[0])
        if statement.op == "detach":
            return texts[0]
        if any(timed):
            write = way(statement)
            out = plural(self.names.of[self.over[statement.out]]) if statement.out in self.over else ""
            call = Call(self.program, statement, texts, timed, self.texts, out)
            text = write(call) if write is not None else None
            assert text is not None, statement.op
            return text
        return self.texts.plain(statement, texts)

    def _time_sum(self, statement: Statement, text: str) -> str:
        return f"np.add.reduce({text}, axis=0)"

    def _fused(self) -> dict[int, str | None]:
        """Sums over time of a product or of a sum over rows: one call for all rows of all steps."""
        fused: dict[int, str | None] = {}
        for statement in self.plan.sections["end"]:
            inner = self.plan.by_value.get(statement.args[0]) if statement.op == "time_sum" else None
            if inner is None or self.plan.place[inner.out] == "loop":
                continue
            text = self._all_rows(inner)
            if text is not None:
                fused[statement.out] = text
                if self.uses[inner.out] == 1:
                    fused[inner.out] = None
        return fused

    def _all_rows(self, inner: Statement) -> str | None:
        args, shapes = inner.args, [self.program.shape(arg) for arg in inner.args]
        timed = all(self.plan.timed(arg) for arg in args)
        if inner.op == "matmul" and timed and [len(shape) for shape in shapes] == [2, 2]:
            left = self.plan.by_value.get(args[0])
            if left is not None and left.op == "transpose" and self.uses[args[0]] >= 1:
                rows = [self.rows(arg) for arg in (left.args[0], args[1])]
                return f"np.dot({rows[0]}.T, {rows[1]})"
        over_rows = inner.op == "sum" and inner.attrs.get("axis") == 0 and not inner.attrs.get("keepdims")
        return f"np.add.reduce({self.rows(args[0])}, axis=0)" if over_rows and timed and len(shapes[0]) == 2 else None

    def rows(self, number: int) -> str:
        """The rows of all steps below each other."""
        return f"{self.all_steps(number)}.reshape(-1, {self.program.shape(number)[-1]})"
