"""Compile a loop by LLVM: its Python text is run once, on numbers that write the instructions.

::

    def loop(T, xs, ys):
        for t in range(T):
            for n in range(20):
                ys[t, n] = np.tanh(xs[t, n])

The text has loops over ranges, elements of arrays, and the functions of `functions`. Every array is in C order; those
that are written do not overlap with others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llvmlite import binding, ir

from . import functions
from .helpers import write_serve
from .loops import INT, STORED, Array, Loops
from .numbers import Number, converted
from .panels import Panels, multiplication, pack, pack_rest
from .passes import Pass, numbers_of, write_pass
from .source import Source
from .summed import strips, summation

#: LLVM's optimisation level. Level 3 unrolls loops over rows, which takes it ten times as long and gains nothing.
LEVEL = 2


class Rows:
    """Rows of an array: the address of the first number, and how far a row is from the next."""

    def __init__(self, array: Array, start: Any, stride: int):
        self.address = Array(array.builder, array.address, (None,), array.kind).at(start)
        self.stride = ir.Constant(INT, stride)


class Tracer(Loops):
    """The names that the text of a function may use. ``products`` are the functions of products that are written."""

    def __init__(self, builder: Any, module: Any, products: dict[Any, Any]):
        super().__init__(builder)
        self.module, self.products = module, products

    def space(self) -> dict[str, Any]:
        return {"np": functions.NUMPY, **functions.OTHERS, "range": self.range, "local": self.local, "rows": Rows,
                "Panels": Panels, "pack": self.pack, "pack_rest": self.pack_rest, "multiply": self.multiply,
                "strips_of": self.strips, "sum_products": self.sum_products}  # fmt: skip

    def pack(self, cut: Panels, packed: Array, weight: Any, panel: Any) -> None:
        """Fill a whole panel of ``packed`` with the weight whose element (k, j) is ``weight(k, j)``."""
        pack(cut, self, packed, weight, panel)

    def pack_rest(self, cut: Panels, packed: Array, weight: Any) -> None:
        """Fill the last panel, which has fewer columns."""
        pack_rest(cut, self, packed, weight)

    def multiply(self, cut: Panels, left: Rows, packed: Array, out: Rows, rows: Any = None) -> None:
        """``out = left @ weight``, of ``rows`` rows where ``cut`` leaves their number open."""
        function = self._product(cut, multiplication)
        given = [] if rows is None else [converted(self.builder, rows, "int64").value]
        self.builder.call(function, [left.address, left.stride, packed.address, out.address, out.stride, *given])

    def strips(self, cut: Panels, left: Rows, packed: Array, rows: Any, part: Any) -> None:
        """Copy some rows of the left operand of `sum_products` into strips."""
        strips(cut, self, left, packed, rows, part)

    def sum_products(self, cut: Panels, packed: Array, right: Rows, out: Array, rows: Any, part: Any) -> None:
        """``out = left.T @ right`` over ``rows`` rows, for columns of some panels; ``part`` is None for the rest."""
        function = self._product((cut, part is None), summation)
        integers = (cut.columns, rows, 0 if part is None else part)
        numbers = [converted(self.builder, number, "int64").value for number in integers]
        self.builder.call(function, [packed.address, right.address, right.stride, out.address, *numbers])

    def _product(self, key: Any, write: Any) -> Any:
        if key not in self.products:
            self.products[key] = write(key, self.module, f"multiply_{len(self.products)}")
        return self.products[key]


def traced(sources: Mapping[str, Source], passes: Mapping[str, Pass]) -> Any:
    """The LLVM module of the passes, see `write_pass`, and of ``serve``, which helpers run."""
    module = ir.Module("loops")
    products: dict[Any, Any] = {}
    bodies = {name: _body(module, name, source, products) for name, source in sources.items()}
    for name, this in passes.items():
        write_pass(module, name, this, sources, bodies)
    write_serve(module, numbers_of)
    return module


def _body(module: Any, name: str, source: Source, products: dict[Any, Any]) -> Any:
    """The LLVM function of a text, by T, the part, and the addresses of the numbers of its arrays."""
    integers = [INT] * (1 + bool(source.blocks))
    types = [STORED[argument.kind].as_pointer() for argument in source.arguments]
    body = ir.Function(module, ir.FunctionType(ir.VoidType(), [*integers, *types]), f"{name}.body")
    body.linkage = "internal"
    builder = ir.IRBuilder(body.append_basic_block("entry"))
    given: list[Any] = [Number(builder, arg, "int64") for arg in body.args[: len(integers)]]
    for argument, address in zip(source.arguments, body.args[len(integers) :]):
        address.add_attribute("noalias")
        given.append(Array(builder, address, argument.shape, argument.kind))
    space = Tracer(builder, module, products).space()
    exec(source.text, space)
    space[name](*given)
    builder.ret_void()
    return body


def target_machine() -> Any:
    """The machine that runs this."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_triple(binding.get_process_triple())
    features = binding.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=binding.get_host_cpu_name(), features=features, opt=LEVEL + 1, jit=True)


def optimised(module: Any, machine: Any) -> Any:
    """The module after LLVM's passes."""
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    parsed = binding.parse_assembly(str(module))
    parsed.verify()
    options = binding.create_pipeline_tuning_options(speed_level=LEVEL)
    options.loop_vectorization = True
    options.loop_unrolling = False  # it takes half of the time, and gains nothing: tiles are written out
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return parsed


def object_code(sources: Mapping[str, Source], passes: Mapping[str, Pass]) -> bytes:
    """The machine code of passes, by the texts of their functions, as the content of an object file."""
    machine = target_machine()
    return bytes(machine.emit_object(optimised(traced(sources, passes), machine)))
