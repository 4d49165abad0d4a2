"""Numbers that write LLVM instructions where Python computes with them.

``x * y + 1`` on two `Number` writes a product and a sum. Dtypes are promoted as NumPy does: a Python number takes the
type of the other operand.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

#: The LLVM types by the name of the dtype, in the order of promotion.
KINDS = {"bool": ir.IntType(1), "int64": ir.IntType(64), "float32": ir.FloatType(), "float64": ir.DoubleType()}
ORDER = list(KINDS)
#: A product and a sum may be one rounding. Nothing else may be changed: NaN, inf and the order of sums stay.
FLAGS = ("contract",)
#: A sum whose order is free, so that LLVM adds several elements of a row at a time.
FREE = ("contract", "reassoc")


class Number:
    """A value of the function that ``builder`` writes; ``kind`` is a key of `KINDS`."""

    __slots__ = ("builder", "kind", "value")

    def __init__(self, builder: Any, value: Any, kind: str):
        self.builder, self.value, self.kind = builder, value, kind

    @property
    def is_float(self) -> bool:
        return self.kind in ("float32", "float64")

    @property
    def bits(self) -> int:
        return {"bool": 1, "float32": 32}.get(self.kind, 64)

    def like(self, number: Any) -> Number:
        """A Python number, or a number of another type, as one of the type of this."""
        return converted(self.builder, number, self.kind)

    def __add__(self, other: Any) -> Number:
        return calculated("add", self, other)

    def __radd__(self, other: Any) -> Number:
        return calculated("add", other, self)

    def __sub__(self, other: Any) -> Number:
        return calculated("sub", self, other)

    def __rsub__(self, other: Any) -> Number:
        return calculated("sub", other, self)

    def __mul__(self, other: Any) -> Number:
        return calculated("mul", self, other)

    def __rmul__(self, other: Any) -> Number:
        return calculated("mul", other, self)

    def __truediv__(self, other: Any) -> Number:
        return calculated("div", self, other)

    def __rtruediv__(self, other: Any) -> Number:
        return calculated("div", other, self)

    def __floordiv__(self, other: int) -> Number:
        return Number(self.builder, self.builder.udiv(self.value, self.like(other).value), self.kind)

    def __mod__(self, other: int) -> Number:
        return Number(self.builder, self.builder.urem(self.value, self.like(other).value), self.kind)

    def __neg__(self) -> Number:
        write = self.builder.fneg if self.is_float else self.builder.neg
        return Number(self.builder, write(self.value), self.kind)

    def __pos__(self) -> Number:
        return self

    def __abs__(self) -> Number:
        return intrinsic("llvm.fabs", self)

    def __and__(self, other: Any) -> Number:
        return _logical("and_", self, other)

    def __rand__(self, other: Any) -> Number:
        return _logical("and_", self, other)

    def __or__(self, other: Any) -> Number:
        return _logical("or_", self, other)

    def __ror__(self, other: Any) -> Number:
        return _logical("or_", self, other)

    def __invert__(self) -> Number:
        return Number(self.builder, self.builder.not_(converted(self.builder, self, "bool").value), "bool")

    def __lt__(self, other: Any) -> Number:
        return compared("<", self, other)

    def __le__(self, other: Any) -> Number:
        return compared("<=", self, other)

    def __gt__(self, other: Any) -> Number:
        return compared(">", self, other)

    def __ge__(self, other: Any) -> Number:
        return compared(">=", self, other)

    def __eq__(self, other: Any) -> Number:  # type: ignore[override]
        return compared("==", self, other)

    def __ne__(self, other: Any) -> Number:  # type: ignore[override]
        return compared("!=", self, other)

    __hash__ = None  # type: ignore[assignment]


def converted(builder: Any, number: Any, kind: str) -> Number:
    """``number`` as ``kind``: a constant for a Python number, else an instruction unless it is of this type."""
    target = KINDS[kind]
    if not isinstance(number, Number):
        constant = float(number) if kind in ("float32", "float64") else int(number)
        return Number(builder, ir.Constant(target, constant), kind)
    if number.kind == kind:
        return number
    value = number.value
    if kind == "bool":
        return compared("!=", number, 0)
    if not number.is_float:
        write = builder.uitofp if number.kind == "bool" else builder.sitofp
        return Number(builder, builder.zext(value, target) if kind == "int64" else write(value, target), kind)
    return Number(builder, (builder.fpext if kind == "float64" else builder.fptrunc)(value, target), kind)


def promoted(a: Any, b: Any) -> tuple[Number, Number]:
    """Both operands in their common type."""
    builder = a.builder if isinstance(a, Number) else b.builder
    kind = max((_kind(a, b), _kind(b, a)), key=ORDER.index)
    return converted(builder, a, kind), converted(builder, b, kind)


def _kind(number: Any, other: Any) -> str:
    if isinstance(number, Number):
        return number.kind
    least = "float64" if isinstance(number, float) else "bool" if isinstance(number, bool) else "int64"
    kind = other.kind
    if kind in ("bool", "int64") and ORDER.index(kind) < ORDER.index(least):
        return least
    return str(kind)


def calculated(name: str, a: Any, b: Any, flags: tuple[str, ...] = FLAGS) -> Number:
    """``a + b``, ``a - b``, ``a * b``, ``a / b``; of booleans, a sum is "or" and a product is "and"."""
    a, b = promoted(a, b)
    builder = a.builder
    if name == "div" and not a.is_float:
        a, b = (converted(builder, number, "float64") for number in (a, b))
    if a.is_float:
        return Number(builder, getattr(builder, f"f{name}")(a.value, b.value, flags=flags), a.kind)
    if a.kind == "bool":
        return _logical({"add": "or_", "mul": "and_"}[name], a, b)
    return Number(builder, getattr(builder, name)(a.value, b.value, flags=("nsw",)), a.kind)


def compared(sign: str, a: Any, b: Any) -> Number:
    """A comparison; with NaN it is false, but for ``!=``."""
    a, b = promoted(a, b)
    builder = a.builder
    if not a.is_float:
        return Number(builder, builder.icmp_signed(sign, a.value, b.value), "bool")
    write = builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered
    return Number(builder, write(sign, a.value, b.value), "bool")


def _logical(name: str, a: Number, b: Any) -> Number:
    a, b = converted(a.builder, a, "bool"), converted(a.builder, b, "bool")
    return Number(a.builder, getattr(a.builder, name)(a.value, b.value), "bool")


def where(condition: Any, a: Any, b: Any) -> Any:
    """``a`` where the condition is true, else ``b``; both are computed."""
    if not isinstance(condition, Number):
        return a if condition else b
    builder, test = condition.builder, converted(condition.builder, condition, "bool")
    if not isinstance(a, Number) and not isinstance(b, Number):
        kind = "float64" if float in (type(a), type(b)) else "int64"
        a = converted(builder, a, kind)
    a, b = promoted(a, b)
    return Number(builder, builder.select(test.value, a.value, b.value), a.kind)


def intrinsic(name: str, *numbers: Number) -> Number:
    """A call of an LLVM function such as ``llvm.sqrt`` on floats of one type."""
    first = numbers[0]
    kind, module = KINDS[first.kind], first.builder.module
    function = module.declare_intrinsic(name, [kind], ir.FunctionType(kind, [kind] * len(numbers)))
    return Number(first.builder, first.builder.call(function, [number.value for number in numbers]), first.kind)


def external(name: str, *numbers: Number) -> Number:
    """A call of a function of the C library, which has an f at its end for float32."""
    first = numbers[0]
    kind, module = KINDS[first.kind], first.builder.module
    name += "f" * (first.kind == "float32")
    function = module.globals.get(name)
    if function is None:
        function = ir.Function(module, ir.FunctionType(kind, [kind] * len(numbers)), name)
        function.attributes.add("nounwind")
    return Number(first.builder, first.builder.call(function, [number.value for number in numbers]), first.kind)
