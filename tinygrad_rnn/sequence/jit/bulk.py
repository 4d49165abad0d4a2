"""Products and sums over the rows of all steps, as compiled functions whose blocks threads share.

::

    xWxs = np.dot(xs.reshape(-1, 100), Wx)                blocks of rows, with a packed weight
    dWx = np.dot(xs.reshape(-1, 100).T, dAs.reshape(-1, 400))       blocks of columns
    db = np.add.reduce(dAs.reshape(-1, 400), axis=0)      blocks of columns
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from ...errors import PlanError
from ..plan.adjoint import STATIC
from ..plan.program import Statement
from ..plan.write_loop import Writer
from .panels import Panels, panels
from .products import packed, packing
from .source import Argument, Source
from .storage import Storage
from .summed import COPIED, GROUP, summed_panels

#: The operations of a step below which a product is left to NumPy, because it takes longer to compile.
SMALL = 4096
ROWS = 48  #: rows of a block of a product: a few tiles, which stay in the second cache
COLUMNS = 64  #: columns of a block of a sum


@dataclass
class Calls:
    """Functions in their order, the arrays that each writes, memory for packed weights, operations of a step.

    ``choices`` say how products are computed.
    """

    sources: dict[str, Source] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)
    memory: list[Argument] = field(default_factory=list)
    work: int = 0
    choices: list[str] = field(default_factory=list)

    def add(self, sources: Mapping[str, Source], written: list[str]) -> None:
        self.sources.update(sources)
        self.written.update(dict.fromkeys(sources, written))


def bulk(writer: Writer, title: str, statement: Statement, inner: Statement | None, numbers: Iterator[int]) -> Calls:
    """The functions of a statement for all steps; ``inner`` is what a sum over time sums. Without any if none fit."""
    involved = [statement.out, *(statement if inner is None else inner).args]
    values = [writer.program.values[number] for number in involved]
    alike = len({value.dtype for value in values}) == 1 and values[0].dtype.name in ("float32", "float64")
    if not alike or any(value.literal for value in values):
        return Calls()
    try:
        if inner is not None:
            return (_sum_of_products if inner.op == "matmul" else _sum)(writer, title, statement, inner, numbers)
        return _product(writer, title, statement, numbers) if statement.op == "matmul" else Calls()
    except PlanError:  # a view whose place is not known
        return Calls()


class Rows:
    """The rows of a value at all steps, below each other: text of the place of the first, and their distance."""

    def __init__(self, storage: Storage, number: int):
        self.place, self.shape = storage.place(number), storage.program.shape(number)
        self.argument = storage.arrays[self.place.array]
        self.first = replace(self.place, step=self.place.step.replace("t", "0"))
        strides, size = self.place.strides(), math.prod(self.place.shape)
        self.stride = strides.get(0, 0)
        self.fit = len(self.shape) == 2 and strides.get(1) == 1 and self.stride * self.shape[0] == size

    def text(self, moved: str = "") -> str:
        return f"rows({self.place.array}, {self.first.start()}{moved}, {self.stride})"


def _storage(writer: Writer, statement: Statement) -> Storage:
    return Storage(writer, [[statement]], {statement.out: None}, {})


def _product(writer: Writer, title: str, statement: Statement, numbers: Iterator[int]) -> Calls:
    """A product with a weight that is the same at every step."""
    calls, storage, (x, W) = Calls(), _storage(writer, statement), statement.args
    timed, shapes = writer.plan.timed(x), [writer.program.shape(number) for number in (x, W)]
    if not timed or writer.plan.of_class[W] != STATIC or [len(shape) for shape in shapes] != [2, 2]:
        return calls
    left, weight, out = Rows(storage, x), storage.place(W), Rows(storage, statement.out)
    if not left.fit or not out.fit:
        return calls
    (N, K), columns = left.shape, shapes[1][1]
    if 2 * N * K * columns < SMALL:
        return calls
    k = next(numbers)
    cut = panels(0, K, columns, writer.program.values[W].dtype.itemsize * 8)
    memory = packed(0, cut)
    calls.add(packing(title, k, cut, weight, storage.arrays[weight.array], memory), [memory.name])
    calls.memory.append(memory)
    places = [rows.text(f" + part * {ROWS * rows.stride}") for rows in (left, out)]
    text = f"multiply(cut_{k}, {places[0]}, {memory.name}, {places[1]}, np.minimum(T * {N} - part * {ROWS}, {ROWS}))"
    name, blocks = f"{title}_product_{k}", f"(T * {N} + {ROWS - 1}) // {ROWS}"
    arguments = [left.argument, memory, out.argument]
    calls.add({name: Source.of(name, arguments, [text], [f"cut_{k} = {cut!r}"], blocks)}, [out.argument.name])
    calls.work, calls.choices = 2 * N * K * columns, [f"{(N, K)} @ {(K, columns)} in {cut}, {ROWS} rows at a time"]
    return calls


def _sum_of_products(writer: Writer, title: str, statement: Statement, inner: Statement,
                     numbers: Iterator[int]) -> Calls:  # fmt: skip
    """The gradient of a weight: ``x.T @ dy`` over all rows."""
    calls, storage = Calls(), _storage(writer, statement)
    x = writer.plan.by_value[inner.args[0]].args[0]
    left, right = Rows(storage, x), Rows(storage, inner.args[1])
    if not left.fit or not right.fit or 2 * math.prod(left.shape) * right.shape[1] < SMALL:
        return calls
    storage.place(statement.out)
    out, k = storage.arrays[writer.names.of[statement.out]], next(numbers)
    (N, K), (_, columns) = left.shape, right.shape
    cut = summed_panels(K, columns, writer.program.values[x].dtype.itemsize * 8)
    length = -(-K // cut.height) * cut.height * N  # of the strips, for each step
    copied, head = Argument(f"strips_{k}", ("T", length), left.argument.kind), [f"cut_{k} = {cut!r}"]
    text = f"strips_of(cut_{k}, {left.text()}, {copied.name}, T * {N}, part)"
    blocks = f"(T * {N} + {COPIED - 1}) // {COPIED}"
    calls.add({f"{title}_strips_{k}": Source.of(f"{title}_strips_{k}", [left.argument, copied], [text], head, blocks)},
              [copied.name])  # fmt: skip
    calls.memory.append(copied)
    text = f"sum_products(cut_{k}, {copied.name}, {right.text()}, {out.name}, T * {N}, "
    for name, part, blocks in _panels(f"{title}_sum_{k}", cut):
        source = Source.of(name, [copied, right.argument, out], [f"{text}{part})"], head, blocks)
        calls.add({name: source}, [out.name])
    tiles = f"in tiles of {cut.height} x {cut.width}, {GROUP * cut.width} columns at a time"
    calls.work, calls.choices = 2 * N * K * columns, [f"{(K, N)} @ {(N, columns)} {tiles}"]
    return calls


def _panels(name: str, cut: Panels) -> list[tuple[str, str, str]]:
    """Names, the text of the part, and the blocks, of a function of the whole panels and of that of the rest."""
    rest = cut.columns > cut.whole * cut.width
    return [(name, "part", str(-(-cut.whole // GROUP)))] * bool(cut.whole) + [(f"{name}_rest", "None", "")] * rest


def _sum(writer: Writer, title: str, statement: Statement, inner: Statement, numbers: Iterator[int]) -> Calls:
    """The sum over all rows."""
    calls, storage = Calls(), _storage(writer, statement)
    rows = Rows(storage, inner.args[0])
    if not rows.fit or rows.shape[1] < COLUMNS:
        return calls
    storage.place(statement.out)
    out, (N, columns) = storage.arrays[writer.names.of[statement.out]], rows.shape
    head = f"for j_ in range(part * {COLUMNS}, np.minimum(part * {COLUMNS} + {COLUMNS}, {columns})):"
    lines = [head, f"    {out.name}[j_] = 0", f"for n_ in range(T * {N}):", f"    {head}",
             f"        {out.name}[j_] = {out.name}[j_] + {rows.first.index(['n_', 'j_'])}"]  # fmt: skip
    name = f"{title}_sum_{next(numbers)}"
    calls.add({name: Source.of(name, [rows.argument, out], lines, (), str(-(-columns // COLUMNS)))}, [out.name])
    return calls
