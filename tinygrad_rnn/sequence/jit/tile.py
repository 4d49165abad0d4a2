"""A tile of a matrix product, whose sums stay in vector registers, as LLVM instructions.

A tile computes ``rows`` rows and ``columns`` columns of ``C = A @ B``. B is a panel: its rows of ``columns`` numbers
lie one after the other, each padded to whole vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llvmlite import binding, ir

FLOATS = {32: ir.FloatType(), 64: ir.DoubleType()}
#: Sums of products that a core computes at a time: two begin in a cycle, and a sum is ready after four.
LATENCY = 8


@dataclass(frozen=True)
class Registers:
    """The vector registers of the machine: how many, and the bits of each."""

    count: int
    bits: int


def host_registers() -> Registers:
    """The vector registers of this machine; 16 of 128 bits if nothing is known of it."""
    features = binding.get_host_cpu_features()
    for name, registers in (
        ("avx512f", Registers(32, 512)),
        ("avx2", Registers(16, 256)),
        ("neon", Registers(32, 128)),
    ):
        if features.get(name):
            return registers
    return Registers(16, 128)


@dataclass(frozen=True)
class Tile:
    """``build(builder, a, a_stride, b, c, c_stride, depth, add, step)``: addresses, strides in numbers, LLVM values.

    Equal to ``C = A @ B``, and to ``C += A @ B`` where ``add`` is true, of ``depth`` products each. ``step`` is the
    distance of neighbours in a row of A, by default 1.
    """

    rows: int
    columns: int
    bits: int
    lanes: int

    @property
    def vectors(self) -> int:
        return -(-self.columns // self.lanes)

    def build(self, builder: Any, a: Any, a_stride: Any, b: Any, c: Any, c_stride: Any, depth: Any, add: bool,
              step: Any = None) -> None:  # fmt: skip
        sums = self._loop(builder, a, a_stride, b, depth, step)
        self._store(builder, self._rows(builder, c, c_stride), sums, add)

    def _rows(self, builder: Any, start: Any, stride: Any) -> list[Any]:
        """The address of each row."""
        kind = FLOATS[self.bits]
        return [builder.gep(start, [builder.mul(stride, _int(row))], source_etype=kind) for row in range(self.rows)]

    def _loop(self, builder: Any, a: Any, a_stride: Any, b: Any, depth: Any, step: Any) -> list[Any]:
        """The loop over ``depth``, with one vector of sums for each row and each vector of columns.

        Where these are few, ``chains`` rounds have sums of their own, and do not wait for each other.
        """
        count, lines = self.rows * self.vectors, self._rows(builder, a, a_stride)
        chains = max(LATENCY // count, 1)
        zero = ir.Constant(ir.VectorType(FLOATS[self.bits], self.lanes), [0.0] * self.lanes)
        stop = builder.mul(builder.udiv(depth, _int(chains)), _int(chains))
        sums = self._rounds(builder, lines, b, (_int(0), stop, step), [zero] * (count * chains))
        if chains == 1:
            return sums
        totals = self._rounds(builder, lines, b, (stop, depth, step), sums[:count])
        for k in range(count, count * chains):
            totals[k % count] = builder.fadd(totals[k % count], sums[k])
        return totals

    def _rounds(self, builder: Any, lines: list[Any], b: Any, along: Any, starts: list[Any]) -> list[Any]:
        """The sums after a loop ``along`` (start, stop, step in a row of A); a round adds to each of ``starts``."""
        first, stop, step = along
        kind, before, vector = FLOATS[self.bits], builder.block, starts[0].type
        head, body, end = (builder.append_basic_block(name) for name in ("depth", "products", "sums"))
        builder.branch(head)
        builder.position_at_end(head)
        k = builder.phi(ir.IntType(64))
        sums = [builder.phi(vector) for _ in starts]
        builder.cbranch(builder.icmp_signed("<", k, stop), body, end)
        builder.position_at_end(body)
        after, news = k, list[Any]()
        while len(news) < len(sums):
            line = builder.gep(b, [builder.mul(after, _int(self.vectors * self.lanes))], source_etype=kind)
            bs = [self._load(builder, line, j, vector) for j in range(self.vectors)]
            place = after if step is None else builder.mul(after, step)
            news += self._add(builder, lines, place, bs, sums[len(news) :])
            after = builder.add(after, _int(1))
        builder.branch(head)
        for phi, start, new in zip([k, *sums], [first, *starts], [after, *news]):
            phi.add_incoming(start, before)
            phi.add_incoming(new, body)
        builder.position_at_end(end)
        return sums

    def _add(self, builder: Any, lines: list[Any], place: Any, bs: list[Any], sums: list[Any]) -> list[Any]:
        """The sums with the products at a place of the rows of A, one factor at a time, because registers are few."""
        kind, news = FLOATS[self.bits], list[Any]()
        for line in lines:
            number = builder.load(builder.gep(line, [place], source_etype=kind), typ=kind)
            spread = self._spread(builder, number, bs[0].type)
            for b in bs:
                part = builder.fmul(spread, b, flags=["contract"])
                news.append(builder.fadd(sums[len(news)], part, flags=["contract"]))
        return news

    def _store(self, builder: Any, starts: list[Any], sums: list[Any], add: bool) -> None:
        kind = FLOATS[self.bits]
        vector = ir.VectorType(kind, self.lanes)
        for row, start in enumerate(starts):
            for j in range(self.vectors):
                new, rest = sums[row * self.vectors + j], self.columns - j * self.lanes
                if rest >= self.lanes:
                    new = builder.fadd(self._load(builder, start, j, vector), new) if add else new
                    store = builder.store(new, self._at(builder, start, j, vector))
                    store.align = self.bits // 8
                    continue
                for lane in range(rest):
                    place = builder.gep(start, [_int(j * self.lanes + lane)], source_etype=kind)
                    number = builder.extract_element(new, ir.Constant(ir.IntType(32), lane))
                    builder.store(builder.fadd(builder.load(place, typ=kind), number) if add else number, place)

    def _at(self, builder: Any, start: Any, j: int, vector: Any) -> Any:
        place = builder.gep(start, [_int(j * self.lanes)], source_etype=FLOATS[self.bits])
        return builder.bitcast(place, vector.as_pointer())

    def _load(self, builder: Any, start: Any, j: int, vector: Any) -> Any:
        return builder.load(self._at(builder, start, j, vector), typ=vector, align=self.bits // 8)

    def _spread(self, builder: Any, number: Any, vector: Any) -> Any:
        """A vector with the same number in each lane."""
        empty, zero = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        first = builder.insert_element(empty, number, zero)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return builder.shuffle_vector(first, empty, zeros)


def _int(number: int) -> Any:
    return ir.Constant(ir.IntType(64), number)
