"""Write the source of one direction of a plan: a function of a few dozen lines of NumPy.

Time leads: values for all steps are (T, N, ...), named as the value of one step with an s: ``xs``, ``fs``. A carried
value is stored as ``h_all`` (T + 1, N, H), from the first state to the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .adjoint import STATIC
from .batch import Call, way
from .buffers import Buffers, copies, writes_into
from .naming import Names, plural
from .program import Program, Statement
from .schedule import Schedule, is_view
from .texts import Texts


@dataclass
class Carry:
    """A value that the loop carries on: its leaf, the value of the next step, and whether all steps are stored."""

    leaf: int
    next: int | None
    stored: bool


class Writer:
    """The lines of the body of one direction; ``backwards`` runs the loop from the last step to the first."""

    def __init__(self, plan: Schedule, names: Names, texts: Texts, carries: Sequence[Carry], ends: Sequence[int],
                 backwards: bool):  # fmt: skip
        self.plan, self.program, self.names, self.texts = plan, plan.program, names, texts
        self.carries, self.backwards = carries, backwards
        self.state_of = {carry.leaf: carry for carry in carries}
        self.buffers = Buffers(plan, [carry.next for carry in carries], [])
        self.uses = Counter([arg for statement in plan.by_value.values() for arg in statement.args])
        self.uses.update(ends)
        self.lines: list[str] = []
        self.setup: dict[int, str] = {}  # views of buffers, which need no line in the loop
        self.bound: dict[int, None] = {}

    # -- texts of values

    def step(self, number: int) -> str:
        """A value in the loop."""
        value = self.program.values[number]
        if value.literal:
            return self.texts.constant(value.array)
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
        self.lines.append(f"    {line:<72}{margin}".rstrip())

    # -- outside of the loop

    def section(self, name: str, title: str) -> None:
        """The statements of a section, each for all steps at once."""
        statements = self.plan.sections[name]
        if statements:
            self.add(f"# {title}")
        fused = self._fused() if name == "end" or name == "after" else {}
        last = {arg: k for k, statement in enumerate(statements) for arg in statement.args}
        for k, statement in enumerate(statements):
            if statement.out in fused and fused[statement.out] is None:
                continue
            text = fused.get(statement.out) or self.bulk(statement)
            target = self._reused(statement, k, last, name)
            timed = self.plan.timed(statement.out)
            self.add(f"{self.targets(statement, timed)} = {text}{target}", statement.out, timed)

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
            text = write(Call(self.program, statement, texts, timed, self.texts)) if write is not None else None
            assert text is not None, statement.op
            return text
        return self.plain(statement, texts)

    def plain(self, statement: Statement, texts: Sequence[str]) -> str:
        """The statement on values of one step."""
        if is_view(statement) and (text := self.texts.view(statement, texts[0])) is not None:
            return text
        if statement.op == "join":
            return f"np.concatenate(({', '.join(texts)},), axis=-1)"
        return self.texts.call(statement, texts, statement.attrs)

    def _reused(self, statement: Statement, k: int, last: Mapping[int, int], name: str) -> str:
        return ""

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
                rows = [f"{self.all_steps(arg)}.reshape(-1, {self.program.shape(arg)[-1]})" for arg in (left.args[0], args[1])]
                return f"np.dot({rows[0]}.T, {rows[1]})"
        if inner.op == "sum" and timed and inner.attrs.get("axis") == 0 and not inner.attrs.get("keepdims"):
            if len(shapes[0]) == 2:
                return f"np.add.reduce({self.all_steps(args[0])}.reshape(-1, {shapes[0][-1]}), axis=0)"
        return None

    # -- the loop

    def loop(self) -> None:
        """Arrays for all steps, buffers, and the loop."""
        body = [line for statement in self.plan.sections["loop"] for line in self.statement(statement)]
        body += self._ends()
        for line in self._arrays():
            self.add(*line)
        if not body:
            return
        times = "reversed(range(T))" if self.backwards else "range(T)"
        self.add(f"for t in {times}:")
        for line in [*self._bindings(body), *body]:
            self.lines.append(f"        {line}")

    def statement(self, statement: Statement) -> list[str]:
        """The lines of a statement in the loop."""
        out, names = statement.out, [self.step(arg) for arg in statement.args]
        self.bound.update(dict.fromkeys(statement.args))
        if statement.op == "join":
            parts = copies(self.buffers.part_of, statement, self.program)
            self.bound[out] = None
            return [f"np.copyto({self.names.of[out]}[..., {a}:{b}], {self.step(arg)})" for arg, a, b in parts]
        if is_view(statement) and (text := self.texts.view(statement, names[0])) is not None:
            if self._fixed(statement.args[0]):
                self.setup[out] = text
                return []
            return [f"{self.names.of[out]} = {text}"]
        if self.written(out):
            self.bound[out] = None
            return [self.into(statement, names)]
        lines = [f"{self.targets(statement, False)} = {self.plain(statement, names)}"]
        return lines + [f"{plural(self.names.of[number])}[t] = {self.names.of[number]}"
                        for number in statement.outs if number in self.plan.histories]  # fmt: skip

    def written(self, number: int) -> bool:
        """Is the value written into an array that is there already?"""
        statement = self.plan.by_value[number]
        return number == statement.out and writes_into(self.program, statement)

    def into(self, statement: Statement, names: Sequence[str]) -> str:
        out = self.names.of[statement.out]
        if statement.op == "matmul":
            function = "np.matmul" if statement.out in self.buffers.part_of else "np.dot"
            return f"{function}({', '.join(names)}, out={out})"
        return self.texts.call(statement, names, statement.attrs, out)

    def _fixed(self, number: int) -> bool:
        """Is the value at the same place in memory at every step?"""
        root = self.buffers.root(number)
        return (root in self.buffers.buffer_of or self.plan.of_class[root] == STATIC) and all(
            link in self.setup or link == root or link in self.buffers.part_of for link in self._links(number)
        )

    def _links(self, number: int) -> list[int]:
        links = []
        while number not in links:
            links.append(number)
            statement = self.plan.by_value.get(number)
            if number in self.buffers.part_of:
                number = self.buffers.part_of[number][0]
            elif statement is not None and self.plan.place[number] == "loop" and is_view(statement):
                number = statement.args[0]
        return links

    def _arrays(self) -> list[tuple[str, int, bool]]:
        """The lines before the loop: what it writes into."""
        lines: list[tuple[str, int, bool]] = []
        for carry in self.carries:
            name, first = self.names.of[carry.leaf], f"{self.names.of[carry.leaf]}_first"
            if carry.stored:
                lines.append((f"{name}_all = np.empty((T + 1, *{first}.shape), {first}.dtype)", carry.leaf, True))
                lines.append((f"{name}_all[{'T' if self.backwards else 0}] = {first}", carry.leaf, False))
            else:
                lines.append((f"{name}, {name}_new = {first}.copy(), np.empty_like({first})", carry.leaf, False))
        for number in self.plan.histories:
            if self.stored_next(number) is None:
                dtype = self.program.values[number].dtype.name
                lines.append((f"{plural(self.names.of[number])} = np.empty({self.shape(number, True)}, '{dtype}')", number, True))
        lines += self._buffer_lines()
        return lines + [(f"{self.names.of[out]} = {text}", out, False) for out, text in self._views()]

    def _buffer_lines(self) -> list[tuple[str, int, bool]]:
        lines: list[tuple[str, int, bool]] = []
        first: dict[int, str] = {}
        for number, buffer in self.buffers.buffer_of.items():
            name, (_, dtype) = self.names.of[number], self.buffers.shapes[buffer]
            text = first.get(buffer) or f"np.empty({self.shape(number, False)}, '{dtype.name}')"
            lines.append((f"{name} = {text}", number, False))
            first.setdefault(buffer, name)
        return lines

    def _views(self) -> list[tuple[int, str]]:
        parts = [(number, f"{self.names.of[join]}[..., {a}:{b}]") for number, (join, a, b) in self.buffers.part_of.items()
                 if join in self.buffers.buffer_of]  # fmt: skip
        return [*parts, *self.setup.items()]

    def _bindings(self, body: Sequence[str]) -> list[str]:
        """The lines at the top of the loop: the values of step t."""
        lines = []
        for carry in self.carries:
            if carry.stored:
                name = self.names.of[carry.leaf]
                now, then = ("t + 1", "t") if self.backwards else ("t", "t + 1")
                lines.append(f"{name}, {name}_new = {name}_all[{now}], {name}_all[{then}]")
        for number, k in self.buffers.next_of.items():
            lines.append(f"{self.names.of[number]} = {self.names.of[self.carries[k].leaf]}_new")
        for number in self.bound:
            if number in self.buffers.part_of:
                join, a, b = self.buffers.part_of[number]
                if join not in self.buffers.buffer_of:
                    lines.append(f"{self.names.of[number]} = {self.names.of[join]}[..., {a}:{b}]")
            elif number not in self.state_of and number not in self.buffers.next_of and self._stored(number):
                lines.insert(0, f"{self.names.of[number]} = {self.all_steps(number)}[t]")
        return lines

    def _stored(self, number: int) -> bool:
        """Is the value of the step read from, or written into, an array for all steps?"""
        known = self.plan.timed(number) and self.plan.place.get(number, "before") == "before"
        return known or (number in self.plan.histories and self.written(number))

    def _ends(self) -> list[str]:
        """The lines at the end of the loop: what the next step starts from."""
        lines = []
        for k, carry in enumerate(self.carries):
            name = self.names.of[carry.leaf]
            if carry.next is None:
                lines.append(f"{name}_new.fill(0)")
            elif self.buffers.next_of.get(carry.next) != k:
                self.bound[carry.next] = None
                lines.append(f"{name}_new[...] = {self.step(carry.next)}")
        pairs = [self.names.of[carry.leaf] for carry in self.carries if not carry.stored]
        return lines + [f"{name}, {name}_new = {name}_new, {name}" for name in pairs]
