"""The plan's source with compiled functions: the loop over time, and what is computed for all steps at once."""

from __future__ import annotations

import itertools
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
from .bulk import Calls, bulk
from .chains import into_loop
from .passes import in_phases
from .phases import Phase, phases, reads_of, sink
from .products import packing
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
        self.numbers = itertools.count()  # of products
        self.choices: dict[str, list[str]] = {}
        self.waiting = Calls()  # the functions of the next pass
        self.ready: dict[str, None] = {}  # the arrays in C order

    @property
    def measured(self) -> list[str]:  # type: ignore[override]
        """The time of each pass that threads may share, in both ways."""
        texts = []
        for name, sharing in self.functions.sharing.items():
            alone, shared = (f"{seconds * 1e6:.1f}" for seconds in sharing.seconds)
            if "inf" not in (alone, shared):
                texts.append(f"{name}: {shared} us a step on several threads, {alone} on one: "
                             f"{'several' if sharing.better else 'one'}")  # fmt: skip
        return texts

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
        if name == "after":
            self.run()
        return None

    def _lines(self, statements: Sequence[Statement], fused: Mapping[int, str | None]) -> None:
        """Compiled products and sums; the others by NumPy, after the functions that wait."""
        for statement in statements:
            timed = self.plan.timed(statement.out)
            inner = self.plan.by_value[statement.args[0]] if fused.get(statement.out) else None
            calls = bulk(self, self.title, statement, inner, self.numbers)
            if calls.sources:
                self.allocate({statement.out: None}, calls)
                self.choices.setdefault(self.plan.place[statement.out], []).extend(calls.choices)
                continue
            if not is_view(statement) or statement.op == "copy":
                self.run()
            text = fused.get(statement.out) or self.bulk(statement)
            self.add(f"{self.targets(statement, timed)} = {text}", statement.out, timed)

    def _pass(self, name: str, phase: Phase, fused: Mapping[int, str | None]) -> None:
        """A compiled pass over the steps; then its views that others read."""
        read = self._read_outside(phase, fused)
        sources = dict.fromkeys(self._source(number) for number in read)
        stored = {statement.out: None for statement in phase.statements
                  if statement.op == "time_sum" or (statement.out in sources and not is_view(statement))}  # fmt: skip
        if stored:
            self.call(name, Body(self, phase.statements, stored, self.numbers), stored)
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
        body = Body(self, self.plan.sections["loop"], stored, self.numbers, self.carries)
        for text, number, timed in self._states():
            self.add(text, number, timed)
        if masks:
            specs = [(self.program.shape(number), self.program.values[number].dtype, statement.attrs)
                     for number, statement in masks.items()]  # fmt: skip
            self.texts.space["draw_masks"] = partial(drawn, specs)
            self.add(f"{', '.join(map(self.all_steps, masks))}, = draw_masks(T, rng)")
        if body.lines:
            shared = ", one thread" if body.parts == 1 else ", half of the rows at a time, which two threads may share"
            self.choices["loop"] = [f"{product}{shared}" for product in body.products]
            carried = [f"{self.names.of[carry.leaf]}_all" for carry in self.carries]
            self.call(f"{self.title}_loop", body, stored, carried)

    def call(self, name: str, body: Body, stored: Mapping[int, None], carried: Sequence[str] = ()) -> None:
        """The functions of a body, which also writes the states ``carried``, are the next that run."""
        calls, arrays = Calls(), body.storage.arrays
        for product in body.products:
            weight = product.places[1]
            sources = packing(self.title, product.k, product.cut, weight, arrays[weight.array], product.packed)
            calls.add(sources, [product.packed.name])
            calls.memory.append(product.packed)
        calls.memory += [arrays[name] for name in body.storage.buffers]
        new = [self.all_steps(number) for number in stored if self.stored_next(number) is None]
        calls.add({name: body.function(name)}, [*new, *body.storage.buffers, *carried])
        calls.work = sum(product.work for product in body.products) * body.parts
        self.allocate(stored, calls, "np.zeros")

    def allocate(self, stored: Mapping[int, None], calls: Calls, new: str = "np.empty") -> None:
        """The lines that allocate what functions write, sums by ``new``; the functions wait for the next pass."""
        arguments = {argument.name: argument for source in calls.sources.values() for argument in source.arguments}
        for number in stored:
            name, timed = self.all_steps(number), self.plan.timed(number)
            if self.stored_next(number) is None and name in arguments:
                kind = "empty" if timed else new
                self.add(f"{name} = {kind}({self.shape(number, timed)}, '{arguments[name].kind}')", number, timed)
                self.ready[name] = None
        self.waiting.sources.update(calls.sources)
        self.waiting.written.update(calls.written)
        self.waiting.memory += calls.memory
        self.waiting.work += calls.work

    def run(self) -> None:
        """The line that runs the functions that wait, as one pass."""
        sources, written = self.waiting.sources, self.waiting.written
        if not sources:
            return
        inner = {argument.name: argument for argument in sorted(self.waiting.memory, key=lambda each: each.nbytes)}
        given = {argument.name: argument for source in sources.values() for argument in source.arguments
                 if argument.name not in inner}  # fmt: skip
        name, phases = f"{self.title}_{len(self.functions.passes)}", in_phases(sources, written)
        texts = [name if name in self.ready else f"np.asarray({name}, order='C')" for name in given]
        arguments, memory = list(given.values()), list(inner.values())
        self.texts.space[name] = self.functions.add(name, sources, phases, arguments, memory, self.waiting.work)
        self.loop_source += "".join(source.text for source in sources.values())
        self.loop_source += self.functions.passes[name].text(name, sources)
        self.add(f"{name}({', '.join(['T', *texts])})")
        self.waiting = Calls()

    def _states(self) -> list[tuple[str, int, bool]]:
        lines: list[tuple[str, int, bool]] = []
        start = "T" if self.backwards else "0"
        for carry in self.carries:
            name = self.names.of[carry.leaf]
            lines.append((f"{name}_all = empty((T + 1, *{name}_first.shape), {name}_first.dtype)", carry.leaf, True))
            lines.append((f"{name}_all[{start}] = {name}_first", carry.leaf, False))
            self.ready[f"{name}_all"] = None
            if carry.next is None:
                lines.append((f"{name}_all[{':-1' if self.backwards else '1:'}] = 0", carry.leaf, True))
        return lines
