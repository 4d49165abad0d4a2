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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import binding, ir

from . import functions
from .loops import INT, STORED, Array, Loops
from .numbers import Number
from .panels import Panels, multiplication, pack

#: LLVM's optimisation level. Level 3 unrolls loops over rows, which takes it ten times as long and gains nothing.
LEVEL = 2
#: An ndarray begins with the header of a Python object; the address of its numbers is next (PyArrayObject in C).
HEADER = object.__basicsize__


@dataclass(frozen=True)
class Argument:
    """An array that a loop reads or writes: its shape, with a text for the first length, and the name of its dtype."""

    name: str
    shape: tuple[Any, ...]
    kind: str

    def __str__(self) -> str:
        return f"{self.name}: {self.kind} ({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"


@dataclass(frozen=True)
class Source:
    """A function as text, its arrays, and the number of parts that it is computed in, each on a thread."""

    text: str
    arguments: Sequence[Argument]
    parts: int = 1

    @property
    def integers(self) -> int:
        """T, and the number of the part if there are several."""
        return 1 + (self.parts > 1)


class Rows:
    """Rows of an array: the address of the first number, and how far a row is from the next."""

    def __init__(self, array: Array, start: Any, stride: int):
        self.address = Array(array.builder, array.address, (None,), array.kind).at(start)
        self.stride = ir.Constant(INT, stride)


class Tracer(Loops):
    """The names that the text of a loop may use."""

    def __init__(self, builder: Any, module: Any, products: dict[Panels, Any]):
        super().__init__(builder)
        self.module, self.products = module, products

    def space(self) -> dict[str, Any]:
        return {"np": functions.NUMPY, **functions.OTHERS, "range": self.range, "local": self.local, "rows": Rows,
                "Panels": Panels, "pack": self.pack, "multiply": self.multiply}  # fmt: skip

    def pack(self, cut: Panels, packed: Array, weight: Any) -> None:
        """Fill ``packed`` with the weight whose element (k, j) is ``weight(k, j)``."""
        pack(cut, self, packed, weight)

    def multiply(self, cut: Panels, left: Rows, packed: Array, out: Rows) -> None:
        """``out = left @ weight``"""
        if cut not in self.products:
            self.products[cut] = multiplication(cut, self.module, f"multiply_{len(self.products)}")
        args = [left.address, left.stride, packed.address, out.address, out.stride]
        self.builder.call(self.products[cut], args)


def traced(sources: Mapping[str, Source]) -> Any:
    """The LLVM module of functions ``name(T, *arrays)``, where an array is the address of its Python object."""
    module = ir.Module("loops")
    products: dict[Panels, Any] = {}
    for name, source in sources.items():
        integers = [INT] * source.integers
        types = [STORED[argument.kind].as_pointer() for argument in source.arguments]
        body = ir.Function(module, ir.FunctionType(ir.VoidType(), [*integers, *types]), f"{name}.body")
        body.linkage = "internal"
        body.attributes.add("alwaysinline")
        builder = ir.IRBuilder(body.append_basic_block("entry"))
        given: list[Any] = [Number(builder, arg, "int64") for arg in body.args[: len(integers)]]
        for argument, address in zip(source.arguments, body.args[len(integers) :]):
            address.add_attribute("noalias")
            given.append(Array(builder, address, argument.shape, argument.kind))
        space = Tracer(builder, module, products).space()
        exec(source.text, space)
        space[name](*given)
        builder.ret_void()
        _entry(module, name, body, types)
    return module


def _entry(module: Any, name: str, body: Any, types: Sequence[Any]) -> None:
    """Write the function that takes the address of the numbers from each array."""
    byte = ir.IntType(8).as_pointer()
    integers = [INT] * (len(body.args) - len(types))
    entry = ir.Function(module, ir.FunctionType(ir.VoidType(), [*integers, *[byte] * len(types)]), name)
    builder = ir.IRBuilder(entry.append_basic_block("entry"))
    numbers = list(entry.args[: len(integers)])
    for array, kind in zip(entry.args[len(integers) :], types):
        place = builder.gep(array, [ir.Constant(INT, HEADER)], source_etype=ir.IntType(8))
        numbers.append(builder.load(builder.bitcast(place, kind.as_pointer()), typ=kind))
    builder.call(body, numbers)
    builder.ret_void()


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
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return parsed


def object_code(sources: Mapping[str, Source]) -> bytes:
    """The machine code of functions, by their texts and arguments, as the content of an object file."""
    machine = target_machine()
    return bytes(machine.emit_object(optimised(traced(sources), machine)))
