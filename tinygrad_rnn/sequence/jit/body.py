"""The text of a compiled function: statements of a step, inside of a loop over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ...errors import PlanError
from ..plan.adjoint import STATIC
from ..plan.buffers import copies
from ..plan.program import Statement
from ..plan.write import Carry
from ..plan.write_loop import Writer
from .along import along, is_along
from .chains import chains
from .contractions import letters
from .moves import MOVES, reshaped
from .places import Place, part, whole
from .products import Product
from .rows import apart, merged, of_one_row, of_part
from .scalars import REDUCTIONS, element, is_elementwise, is_reduction, literal, reduced_axes
from .source import Argument, Source
from .storage import Storage

INDICES = ("n_", "j_", "k_", "l_", "m_", "p_", "q_", "r_")

#: The floating point operations of the products of a step, times its rows, from which two threads share the rows: half
#: of a few rows takes more than half of the time.
LARGE = 2_000_000
#: Rows of memory from the row of a thread to that of the next one, which so share no cache line.
APART = 8


class Body:
    """``lines`` of the function of some statements; ``stored`` are their values that are kept for all steps.

    Products have the next of ``numbers``.
    """

    def __init__(self, writer: Writer, statements: Sequence[Statement], stored: Mapping[int, None],
                 numbers: Iterator[int], carries: Sequence[Carry] = ()):  # fmt: skip
        self.writer, self.plan, self.program = writer, writer.plan, writer.program
        self.groups = chains(self.plan, statements)
        self.storage = Storage(writer, self.groups, stored, writer.buffers.next_of if carries else {})
        self.products, self.numbers = list[Product](), numbers
        self.added = self._added_up(statements)
        lines = [line for group in self.groups if group[0].out not in self.added for line in self.group(group)]
        for carry in carries:
            lines += self._next(carry)
        blocks = merged(lines)
        self.parts = self._parts(blocks)
        for name in of_one_row(blocks, self.storage.buffers, "0" if self.parts == 1 else f"part * {APART}"):
            kept = self.storage.arrays[name]
            self.storage.arrays[name] = replace(kept, shape=((self.parts - 1) * APART + 1, *kept.shape[1:]))
        if self.parts > 1:
            of_part(blocks, self.products[0].cut.rows // self.parts)
            for product in self.products:
                product.halve()
        self.lines = [line for block in blocks for line in block]

    def _parts(self, blocks: Sequence[Sequence[str]]) -> int:
        """2 if two threads may compute half of the rows each: where rows are apart, and the products are large."""
        rows = self.products[0].cut.rows if self.products else 1
        large = sum(product.work for product in self.products) * rows >= LARGE and rows % 2 == 0
        free = large and all(product.in_rows(rows) for product in self.products)
        return 2 if free and apart(blocks, rows) else 1

    def _added_up(self, statements: Sequence[Statement]) -> dict[int, int]:
        """Sums over rows that only a sum over time reads, with what they add up: both are one sum."""
        inner = {statement.out: statement for statement in statements
                 if statement.op == "sum" and statement.attrs.get("axis") in (0, (0,)) and len(statement.attrs) < 3
                 and not statement.attrs.get("keepdims") and self.writer.uses[statement.out] == 1}  # fmt: skip
        sums = [statement.args[0] for statement in statements if statement.op == "time_sum"]
        return {number: inner[number].args[0] for number in sums if number in inner}

    def arguments(self) -> list[Argument]:
        """What the function is called with, after T."""
        return [*self.storage.arrays.values(), *(product.packed for product in self.products)]

    def function(self, name: str) -> Source:
        """The function, whose parts are those of the rows."""
        head = [f"cut_{product.k} = {product.cut!r}" for product in self.products]
        times = "range(T - 1, -1, -1)" if self.writer.backwards else "range(T)"
        lines = [f"for t in {times}:", *(f"    {line}" for line in self.lines)]
        return Source.of(name, self.arguments(), lines, head, str(self.parts) if self.parts > 1 else "")

    # -- statements

    def group(self, group: Sequence[Statement]) -> list[str]:
        """The lines of a group."""
        first = group[0]
        if is_elementwise(self.program, first):
            return self._chain(group)
        special = {"join": self._join, "reshape": self._reshape, "time_sum": self._time_sum, "affine": self._affine}
        if first.op in special:
            return special[first.op](first)
        if (lines := self._move(first)) is not None:
            return lines
        if (words := letters(self.program, first)) is not None:
            return self._product(first, *words)
        if is_reduction(self.program, first):
            return self._reduction(first)
        if is_along(self.program, first):
            return self._along(first)
        raise PlanError(f"the loop cannot be compiled: it has the operation {first.op.partition(':')[2] or first.op}")

    def _join(self, statement: Statement) -> list[str]:
        place, last = self.storage.place(statement.out), len(self.program.shape(statement.out)) - 1
        moved = [(arg, part(place, start, last), self.program.shape(arg))
                 for arg, start, _ in copies(self.storage.part_of, statement, self.program)]  # fmt: skip
        return [line for copy in moved for line in self._copy(*copy)]

    def _time_sum(self, statement: Statement) -> list[str]:
        number = self.added.get(statement.args[0])
        indices = INDICES if number is None else INDICES[1:]
        number = statement.args[0] if number is None else number
        shape, total = self.program.shape(number), self.storage.place(statement.out).index(indices)
        return self._nested(shape, [f"{total} = {total} + {self.text(number, shape)}"])

    def _move(self, statement: Statement) -> list[str] | None:
        moves, zeros = MOVES.get(statement.op, (None, False))
        place, shape = self.storage.place(statement.out), self.program.shape(statement.out)
        moved = moves(self.program, statement, place) if moves is not None and not statement.draws else None
        if moved is None:
            return None
        lines = self._nested(shape, [f"{place.index(INDICES)} = 0"]) if zeros else []
        return lines + [line for copy in moved for line in self._copy(*copy)]

    def _reshape(self, statement: Statement) -> list[str]:
        source, new = statement.args[0], self.program.shape(statement.out)
        indices = reshaped(self.program.shape(source), new, INDICES)
        target = self.storage.place(statement.out).index(INDICES)
        return self._nested(new, [f"{target} = {self.storage.place(source).index(indices)}"])

    def text(self, number: int, shape: tuple[int, ...], local: Sequence[int] = ()) -> str:
        """One element of a value in a loop over ``shape``."""
        value = self.program.values[number]
        if value.literal:
            return literal(value.array)
        if number in local:
            return self.writer.names.of[number]
        skipped = len(shape) - len(value.shape)
        indices = ["0" if n == 1 and shape[skipped + axis] != 1 else INDICES[skipped + axis]
                   for axis, n in enumerate(value.shape)]  # fmt: skip
        return self.storage.place(number).index(indices)

    def _chain(self, group: Sequence[Statement]) -> list[str]:
        shape, lines, local = self.program.shape(group[0].out), [], list[int]()
        for statement in group:
            name, out = self.writer.names.of[statement.out], statement.out
            texts = [self.text(arg, shape, local) for arg in (*statement.args, *statement.kept)]
            lines.append(f"{name} = {element(self.program, statement, texts)}")
            if self.storage.in_memory(out):
                lines.append(f"{self.storage.place(out).index(INDICES)} = {name}")
            local.append(out)
        return self._nested(shape, lines)

    def _nested(self, shape: Sequence[int], lines: Sequence[str], first: int = 0) -> list[str]:
        """Loops over ``shape`` around ``lines``."""
        heads = [f"{'    ' * k}for {INDICES[first + k]} in range({n}):" for k, n in enumerate(shape)]
        return [*heads, *(f"{'    ' * len(shape)}{line}" for line in lines)]

    def _copy(self, number: int, place: Place, shape: tuple[int, ...]) -> list[str]:
        return self._nested(shape, [f"{place.index(INDICES)} = {self.text(number, shape)}"])

    def _next(self, carry: Carry) -> list[str]:
        """The copy of a next state that no statement has written to its place."""
        buffers, carries = self.writer.buffers, self.writer.carries
        if carry.next is None or buffers.next_of.get(carry.next) == carries.index(carry):
            return []
        shape, name = self.program.shape(carry.leaf), f"{self.writer.names.of[carry.leaf]}_all"
        self.storage.given(name, self.storage.then, carry.leaf)
        place = whole(name, self.storage.then, shape)
        return self._nested(shape, [f"{place.index(INDICES)} = {self.text(carry.next, shape)}"])

    def _reduction(self, statement: Statement) -> list[str]:
        source, out = statement.args[0], statement.out
        full, axes = self.program.shape(source), reduced_axes(self.program, statement)
        stay = [axis for axis in range(len(full)) if axis not in axes]
        start, step = REDUCTIONS[statement.op]
        kept = [INDICES[axis] if axis in stay else "0" for axis in range(len(full))]
        target = self.storage.place(out).index(kept if statement.attrs.get("keepdims") else [INDICES[k] for k in stay])
        element_text = self.storage.place(source).index(INDICES)
        size = math.prod(full[axis] for axis in axes)
        kind = self.program.values[out].dtype.name
        end = f" / {size}" if statement.op == "mean" else ""
        if stay != list(range(len(stay))):  # the last axis stays: rows are added up
            lines = self._around(full, stay, [f"{target} = {start}"])
            lines += self._around(full, range(len(full)), [f"{target} = {step.format(target, element_text)}"])
            return lines + (self._around(full, stay, [f"{target} = {target}{end}"]) if end else [])
        inner = [f"total_[0] = {step.format('total_[0]', element_text)}"]
        lines = [f"total_ = local('{kind}', {start})", *self._around(full, axes, inner), f"{target} = total_[0]{end}"]
        return self._around(full, stay, lines)

    def _around(self, shape: Sequence[int], axes: Sequence[int], lines: Sequence[str]) -> list[str]:
        """Loops over some axes of ``shape``, each with the index of its axis."""
        heads = [f"{'    ' * k}for {INDICES[axis]} in range({shape[axis]}):" for k, axis in enumerate(axes)]
        return [*heads, *(f"{'    ' * len(axes)}{line}" for line in lines)]

    def _along(self, statement: Statement) -> list[str]:
        axes, source = reduced_axes(self.program, statement), self.storage.place(statement.args[0])
        rank, place = len(self.program.shape(statement.args[0])), self.storage.place(statement.out)
        stay = [axis for axis in range(rank) if axis not in axes]
        kept = [INDICES[axis] if axis in stay else "0" for axis in range(rank)]
        kept = kept if statement.attrs.get("keepdims") else [INDICES[axis] for axis in stay]
        element_text = source.index(INDICES)
        return along(self.program, statement, element_text, lambda whole: place.index(INDICES if whole else kept),
                     self._around)  # fmt: skip

    def _affine(self, statement: Statement) -> list[str]:
        """A product, to which its last operand is added."""
        x, W, b = statement.args
        lines = self._product(replace(statement, op="matmul", args=(x, W)), ["ik", "kj"], "ij")
        shape, place = self.program.shape(statement.out), self.storage.place(statement.out).index(INDICES)
        return [*lines, *self._nested(shape, [f"{place} = {place} + {self.text(b, shape)}"])]

    def _product(self, statement: Statement, words: Sequence[str], result: str) -> list[str]:
        """A sum of products over the letters of ``words`` that are not in ``result``."""
        places = [self.storage.place(number) for number in (*statement.args, statement.out)]
        values = [self.program.values[number] for number in (*statement.args, statement.out)]
        if len(words) == 2 and words[0][1:] == words[1][:1] and words[0][:1] + words[1][1:] == result:
            static, dtypes = self.plan.of_class[statement.args[1]] == STATIC, {value.dtype for value in values}
            shapes = [value.shape for value in values]
            if static and len(dtypes) == 1 and Product.fits(places, shapes):
                size, slot = values[0].dtype.itemsize, len(self.products)
                self.products.append(Product(next(self.numbers), slot, places, shapes, size))
                return [self.products[-1].call()]
        sizes = {letter: n for word, value in zip(words, values) for letter, n in zip(word, value.shape) if n > 1}
        order = [*result, *(letter for letter in dict.fromkeys("".join(words)) if letter not in result)]
        names = {letter: INDICES[k] for k, letter in enumerate(order)}
        factors = [place.index([names[letter] if n > 1 else "0" for letter, n in zip(word, value.shape)])
                   for word, value, place in zip(words, values, places)]  # fmt: skip
        inner = f"total_[0] = add_up(total_[0], {' * '.join(factors)})"
        shape = [sizes.get(letter, 1) for letter in order]
        lines = self._nested(shape[len(result) :], [inner], len(result))
        lines = [f"total_ = local('{values[-1].dtype.name}', 0)", *lines]
        return self._nested(shape[: len(result)], [*lines, f"{places[-1].index(INDICES)} = total_[0]"])
