"""The gradient rule of a statement as statements of the program: by its formula, or as a call of the rule as it is.

A rule is called as it is where it declares that it branches on values, where its formula needs something that is no
value, or where the formula gives other numbers than the rule on the sample arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ...engine.graph import sum_to
from ...engine.op import OPS
from ...errors import Error, FormulaError
from ...formula import Constant, Expr, Leaf, local_derivative, postorder
from ...formula.expression import DY
from .program import Program, Statement, attr_key

COMPARED = 1 << 16  #: about as many elements of a large array are compared


def has_rule(statement: Statement, k: int) -> bool:
    """Does a gradient flow from the statement to its operand ``k``?"""
    spec = OPS.get(statement.op)
    return spec is not None and spec.arguments[0 if spec.variadic else k] in spec.rules


def pulled(program: Program, statement: Statement, k: int, dy: int) -> int:
    """The number of the gradient by operand ``k``, given that by the result."""
    spec = OPS[statement.op]
    truth = _called(program, statement, k)(program.values[dy].array, *_arrays(program, statement, k))
    number = None if spec.traits.branches else _by_formula(program, statement, k, dy, truth)
    if number is None:
        name = f"rule:{spec.name}.{spec.arguments[0 if spec.variadic else k]}{k}_{statement.out}"
        args = [dy, *_saved(program, statement, k)[0]]
        return program.add(name, args, function=_called(program, statement, k))
    like = program.values[statement.args[k]].dtype
    return number if program.values[number].dtype == like else program.add("astype", (number,), {"dtype": like})


def _by_formula(program: Program, statement: Statement, k: int, dy: int, truth: Any) -> int | None:
    """The number of the gradient by the formula of the rule; None if it has none, or that gives other numbers.

    The formula is that of small arrays, which is quick, unless it does not hold for these shapes.
    """
    for formula in _formulas(program, statement, k):
        try:
            number = _lowered(program, statement, formula, dy)
        except (Error, KeyError, TypeError, ValueError, IndexError):
            continue
        if number is not None and _same(program.values[number].array, truth):
            return number
    return None


def _formulas(program: Program, statement: Statement, k: int) -> Iterator[Any]:
    """The formula of the rule, on small arrays and on arrays of these shapes. Statements of an operation share it."""
    values = [program.values[arg] for arg in statement.args]
    attrs = [(name, attr_key(attr)) for name, attr in statement.attrs.items()]
    shapes = [(value.shape, value.dtype, repr(value.array) if value.literal else "") for value in values]
    small = _small([value.array for value in values]) if not statement.attrs else {}
    for lengths in [small] * bool(small) + [{}]:
        key = (statement.op, k, *shapes, *attrs, bool(lengths))
        if key not in program.formulas:
            others = [_other(value.array, lengths) for value in values]
            with suppress(Error, KeyError, TypeError, ValueError, IndexError):
                program.formulas[key] = local_derivative(OPS[statement.op], k, others, statement.attrs)
        if key in program.formulas:
            yield program.formulas[key]


def _small(arrays: Sequence[Any]) -> dict[int, int]:
    """Small lengths in the place of those of large arrays: different ones for different ones, in their order."""
    if max(map(np.size, arrays)) < COMPARED:
        return {}
    lengths = sorted({n for array in arrays for n in np.shape(array)} - {0, 1})
    return {n: k for k, n in enumerate(lengths, 2)}


def _other(array: Any, lengths: Mapping[int, int]) -> Any:
    """Other numbers: the elements backwards, cut to ``lengths``. A formula must not depend on them."""
    if not isinstance(array, np.ndarray):
        return array
    flipped = np.flip(array) if array.dtype.kind == "f" else array
    return flipped[tuple([slice(lengths.get(n, n)) for n in array.shape])]


def _same(lowered: Any, truth: Any) -> bool:
    """Are the numbers equal but for rounding? Of large arrays, some rows are compared."""
    if np.shape(lowered) != np.shape(truth):
        return False
    if np.ndim(truth):
        lowered, truth = (array[:: 1 + array.size // COMPARED] for array in (lowered, truth))
    scale = float(np.max(np.abs(truth), initial=0.0))
    digits = 1e-4 if np.asarray(truth).dtype.itemsize <= 4 else 1e-10
    if np.isfinite(scale) and np.max(np.abs(lowered - truth), initial=0.0) <= digits * scale:
        return True
    return bool(np.allclose(lowered, truth, rtol=digits, atol=digits * scale, equal_nan=True))


def _lowered(program: Program, statement: Statement, formula: Any, dy: int) -> int | None:
    """The statements of a formula; None if it needs something that is no value of the program."""
    spec = OPS[statement.op]
    operands = [program.values[arg].array for arg in statement.args]
    leaves = {DY: dy, "y": statement.out, **dict(zip(spec.named(operands), statement.args)),
              **dict(zip(spec.keeps, statement.kept))}  # fmt: skip
    done: dict[int, int] = {}
    for part in postorder(formula):
        if isinstance(part, Expr):
            attrs = {name: _resolved(attr, leaves, program) for name, attr in part.attrs.items()}
            done[id(part)] = _plain(program, part.op, [done[id(arg)] for arg in part.args], attrs)
        elif isinstance(part, Leaf):
            if part.name not in leaves and isinstance(statement.attrs.get(part.name), np.ndarray):
                leaves[part.name] = program.leaf("constant", "", statement.attrs[part.name])
            if part.name not in leaves:
                return None
            done[id(part)] = leaves[part.name]
        elif isinstance(part, Constant):
            done[id(part)] = program.leaf("constant", "", part.value)
    return done[id(formula)]


def _plain(program: Program, op: str, args: Sequence[int], attrs: Mapping[str, Any]) -> int:
    """A statement of a formula. ``(w @ dyᵀ)ᵀ`` is ``dy @ wᵀ``, which is a single product for all steps."""
    inside = program.statements.get(args[0])
    if op == "copy":
        return args[0]
    if _transposes(program, op, args, attrs) and inside is not None:
        if _transposes(program, inside.op, inside.args, inside.attrs):
            return inside.args[0]
        if inside.op == "matmul" and all(len(program.shape(arg)) == 2 for arg in inside.args):
            flipped = [_plain(program, "transpose", (arg,), {"axes": None}) for arg in inside.args[::-1]]
            return program.add("matmul", flipped)
    return program.add(op, args, attrs)


def _transposes(program: Program, op: str, args: Sequence[int], attrs: Mapping[str, Any]) -> bool:
    return op == "transpose" and attrs.get("axes") is None and len(program.shape(args[0])) == 2


def _resolved(attr: Any, leaves: Mapping[str, int], program: Program) -> Any:
    """An attribute with constant arrays for its leaves. FormulaError for a leaf that is computed."""
    if isinstance(attr, (tuple, list)):
        return type(attr)(_resolved(part, leaves, program) for part in attr)
    if isinstance(attr, Leaf):
        value = program.values[leaves[attr.name]]
        if value.kind != "constant":
            raise FormulaError(f"{attr.name} is computed, should be a constant")
        return value.array
    return attr


def _saved(program: Program, statement: Statement, k: int) -> tuple[list[int], list[Any]]:
    """The values that a rule saves: the numbers of those that are values, and for each place a number or a constant."""
    spec = OPS[statement.op]
    rule = spec.rules[spec.arguments[0 if spec.variadic else k]]
    arrays = [program.values[arg].array for arg in statement.args]
    names: dict[str, Any] = {**spec.attributes, **statement.attrs, **statement.notes, "i": k}
    names.update({f"{name}_shape": np.shape(array) for name, array in zip(spec.arguments, arrays)})
    values = {"y": statement.out, **dict(zip(spec.keeps, statement.kept))}
    if not spec.variadic:
        values.update(zip(spec.arguments, statement.args))
    numbers: list[int] = []
    places: list[Any] = []
    for name in rule.names:
        inside = list(statement.args) if name == "xs" and spec.variadic else [values[name]] if name in values else None
        if inside is None:
            places.append(("constant", names[name]))
        else:
            places.append(("several" if name == "xs" else "value", len(numbers), len(numbers) + len(inside)))
            numbers += inside
    return numbers, places


def _arrays(program: Program, statement: Statement, k: int) -> list[Any]:
    return [program.values[number].array for number in _saved(program, statement, k)[0]]


def _called(program: Program, statement: Statement, k: int) -> Any:
    """The rule as a function of dy and the saved arrays, fitted to the shape and dtype of the operand."""
    spec = OPS[statement.op]
    fn, (_, places) = spec.rules[spec.arguments[0 if spec.variadic else k]].fn, _saved(program, statement, k)
    like = program.values[statement.args[k]]
    shape, dtype = like.shape, like.dtype

    def call(dy: Any, *arrays: Any) -> Any:
        saved: Sequence[Any] = [
            place[1] if place[0] == "constant"
            else tuple(arrays[place[1] : place[2]]) if place[0] == "several" else arrays[place[1]]
            for place in places
        ]  # fmt: skip
        g = np.asarray(fn(dy, *saved))
        g = g if g.shape == shape else sum_to(g, shape)
        return g if g.dtype == dtype else g.astype(dtype)

    return call
