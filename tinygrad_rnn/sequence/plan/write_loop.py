"""Write the loop of a direction: the arrays that it writes into, the values of a step, its statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .adjoint import STATIC
from .buffers import copies
from .naming import plural
from .program import Statement, writes_into
from .schedule import is_view
from .write import Sections


class Writer(Sections):
    """The lines of the body of one direction."""

    loop_source = ""  #: the source of the loop, if it is compiled
    choices: Mapping[str, Sequence[str]] = {}  #: how compiled products are computed, by section
    measured: Sequence[str] = ()  #: what threads gain, by the latest calls

    def loop(self) -> None:
        """Arrays for all steps, buffers, and the loop."""
        body = [line for statement in self.plan.sections["loop"] for line in self.statement(statement)]
        body += self._ends()
        for text, number, timed in self._arrays():
            self.add(text, number, timed)
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
        lines = [f"{self.targets(statement, False)} = {self.texts.plain(statement, names)}"]
        return lines + [f"{plural(self.names.of[number])}[t] = {self.names.of[number]}"
                        for number in statement.outs if number in self.plan.histories]  # fmt: skip

    def written(self, number: int) -> bool:
        """Is the value written into an array that is there already?"""
        statement = self.plan.by_value[number]
        return number == statement.out and writes_into(self.program, statement)

    def into(self, statement: Statement, names: Sequence[str]) -> str:
        out = self.names.of[statement.out]
        if statement.out in self.turned:
            weight = self.step(self.plan.by_value[statement.args[1]].args[0])
            return f"np.dot({weight}, {names[0]}.T, out={out}.T)"
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
                lines.append((f"{name}_all = empty((T + 1, *{first}.shape), {first}.dtype)", carry.leaf, True))
                lines.append((f"{name}_all[{'T' if self.backwards else 0}] = {first}", carry.leaf, False))
            else:
                order = "order='F'" if carry.next in self.turned else ""
                both = f"{first}.copy({order}), np.empty_like({first}{order and ', '}{order})"
                lines.append((f"{name}, {name}_new = {both}", carry.leaf, False))
        for number in self.plan.histories:
            if self.stored_next(number) is None:
                dtype = self.program.values[number].dtype.name
                text = f"empty({self.shape(number, True)}, '{dtype}')"
                lines.append((f"{plural(self.names.of[number])} = {text}", number, True))
        lines += self._buffer_lines()
        return lines + [(f"{self.names.of[out]} = {text}", out, False) for out, text in self._views()]

    def _buffer_lines(self) -> list[tuple[str, int, bool]]:
        lines: list[tuple[str, int, bool]] = []
        first: dict[int, str] = {}
        for number, buffer in self.buffers.buffer_of.items():
            name, (_, dtype, order) = self.names.of[number], self.buffers.shapes[buffer]
            kind = f"'{dtype.name}'{', order=' + repr(order) if order != 'C' else ''}"
            text = first.get(buffer) or f"np.empty({self.shape(number, False)}, {kind})"
            lines.append((f"{name} = {text}", number, False))
            first.setdefault(buffer, name)
        return lines

    def _views(self) -> list[tuple[int, str]]:
        placed = self.buffers.part_of.items()
        parts = [(number, f"{self.names.of[join]}[..., {a}:{b}]") for number, (join, a, b) in placed
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
