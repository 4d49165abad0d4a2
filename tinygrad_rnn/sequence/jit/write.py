"""The plan's source with compiled functions: the loop over time, and what is computed for all steps at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ...engine.op import OPS
from ..plan.program import Statement
from ..plan.schedule import is_view
from ..plan.write import Carry
from ..plan.write_loop import Writer
from .body import Body
from .chains import into_loop
from .compile import Source
from .phases import Phase, phases, reads_of, sink
from .store import Functions


def drawn(specs: Sequence[tuple[tuple[int, ...], Any, Mapping[str, Any]]], T: int, rng: Any) -> list[np.ndarray]:
    """The masks of dropout for all steps, drawn in the order of the loop."""
    masks = [np.empty((T, *shape), dtype) for shape, dtype, _ in specs]
    for t in range(T):
        for mask, (shape, dtype, attrs) in zip(masks, specs):
            mask[t] = OPS["dropout"].forward(np.ones(shape, dtype), **attrs, rng=rng)[1]
    return masks


class CompiledWriter(Writer):
    """A `Writer` whose loop is compiled."""

    def __init__(self, plan: Any, names: Any, texts: Any, carries: Sequence[Carry], ends: Sequence[int],
                 backwards: bool):  # fmt: skip
        sink(plan, [*ends, *(carry.next for carry in carries if carry.next is not None)])
        into_loop(plan, ends)
        for carry in carries:
            carry.stored = True
        super().__init__(plan, names, texts, carries, ends, backwards)
        self.over = {}  # phases change the order, so that nothing writes over an operand
        self.turned = {}
        self.ends, self.title = ends, "backward" if backwards else "forward"
        self.functions = Functions(f"the {self.title} pass")

    def section(self, name: str, title: str) -> None:
        """The statements of a section in phases; sums over all steps belong to the section before them."""
        if name == "once" or (name == "end" and self.backwards):
            return super().section(name, title) if name == "once" else None
        statements = self.plan.sections[name] + (self.plan.sections["end"] if name == "after" else [])
        if statements:
            self.add(f"# {title}")
        fused = self._fused() if name == "after" else {}
        for k, phase in enumerate(phases(self.plan, statements, fused)):
            if phase.compiled:
                self._pass(f"{self.title}_{name}_{k}", phase, fused)
            else:
                self._lines(phase.statements, fused)
        return None

    def _lines(self, statements: Sequence[Statement], fused: Mapping[int, str | None]) -> None:
        for statement in statements:
            timed = self.plan.timed(statement.out)
            text = fused.get(statement.out) or self.bulk(statement)
            self.add(f"{self.targets(statement, timed)} = {text}", statement.out, timed)

    def _pass(self, name: str, phase: Phase, fused: Mapping[int, str | None]) -> None:
        """A compiled pass over the steps; then its views that others read."""
        read = self._read_outside(phase, fused)
        sources = dict.fromkeys(self._source(number) for number in read)
        stored = {statement.out: None for statement in phase.statements
                  if statement.op == "time_sum" or (statement.out in sources and not is_view(statement))}  # fmt: skip
        if stored:
            self.call(name, Body(self, phase.statements, stored), stored)
        views = [statement for statement in phase.statements if is_view(statement)]
        for statement in reversed(views):  # a view may be one of another view
            if statement.out in read:
                read[statement.args[0]] = None
        self._lines([statement for statement in views if statement.out in read], {})

    def _source(self, number: int) -> int:
        while is_view(self.plan.by_value.get(number)):
            number = self.plan.by_value[number].args[0]
        return number

    def _read_outside(self, phase: Phase, fused: Mapping[int, str | None]) -> dict[int, None]:
        """The values that are read outside of a phase."""
        read = dict.fromkeys([*self.ends, *(carry.next for carry in self.carries if carry.next is not None)])
        for statements in self.plan.sections.values():
            for statement in statements:
                if statement not in phase.statements and fused.get(statement.out, "") is not None:
                    read.update(dict.fromkeys(reads_of(self.plan, statement, fused)))
        return read

    def loop(self) -> None:
        """The arrays that the loop writes into, and its call."""
        masks = {statement.kept[0]: statement for statement in self.plan.sections["loop"] if statement.draws}
        stored = {number: None for number in self.plan.histories if number not in masks}
        body = Body(self, self.plan.sections["loop"], stored, self.carries)
        for text, number, timed in self._states():
            self.add(text, number, timed)
        if masks:
            specs = [(self.program.shape(number), self.program.values[number].dtype, statement.attrs)
                     for number, statement in masks.items()]  # fmt: skip
            self.texts.space["draw_masks"] = partial(drawn, specs)
            self.add(f"{', '.join(map(self.all_steps, masks))}, = draw_masks(T, rng)")
        if body.lines:
            shared = ", one thread" if body.parts == 1 else ", half of the rows on each of two threads"
            self.choices = [f"{product}{shared}" for product in body.products]
            self.call(f"{self.title}_loop", body, stored)

    def call(self, name: str, body: Body, stored: Mapping[int, None]) -> None:
        """The lines that allocate the arrays of a compiled function, and its call."""
        new = {self.all_steps(number): number for number in stored if self.stored_next(number) is None}
        memory = dict.fromkeys([*body.storage.buffers, *(product.packed().name for product in body.products)])
        for argument in body.arguments():
            if argument.name in new:
                number, timed = new[argument.name], self.plan.timed(new[argument.name])
                text = f"{'empty' if timed else 'np.zeros'}({self.shape(number, timed)}, '{argument.kind}')"
                self.add(f"{argument.name} = {text}", number, timed)
            elif argument.name in memory:
                self.add(f"{argument.name} = np.empty({self.texts.tuple(argument.shape)}, '{argument.kind}')")
        ready = {**new, **memory}
        if body.parts > 1:
            self._call(f"{name}_pack", Source(*body.packing(f"{name}_pack")), ready)
        self._call(name, Source(body.function(name), body.arguments(), body.parts), ready)

    def _call(self, name: str, source: Source, ready: Mapping[str, Any]) -> None:
        """The line that calls a function; arrays that are not ``ready`` may have any layout."""
        names = [argument.name for argument in source.arguments]
        texts = [name if name in ready else f"np.asarray({name}, order='C')" for name in names]
        self.loop_source += source.text
        self.texts.space[name] = self.functions.add(name, source)
        self.add(f"{name}({', '.join(['T', *texts])})")

    def _states(self) -> list[tuple[str, int, bool]]:
        lines: list[tuple[str, int, bool]] = []
        start = "T" if self.backwards else "0"
        for carry in self.carries:
            name = self.names.of[carry.leaf]
            lines.append((f"{name}_all = empty((T + 1, *{name}_first.shape), {name}_first.dtype)", carry.leaf, True))
            lines.append((f"{name}_all[{start}] = {name}_first", carry.leaf, False))
            if carry.next is None:
                lines.append((f"{name}_all[{':-1' if self.backwards else '1:'}] = 0", carry.leaf, True))
        return lines
