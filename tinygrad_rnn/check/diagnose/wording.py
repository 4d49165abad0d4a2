"""What a line of the backward pass says: ``do = dh' * tanh(c')``, in the names of the forward code."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...engine.op import OPS
from ...formula import Constant, Expr, Leaf, Part, local_derivative, simplified
from .as_python import code, enclosed
from .tape import Tape

GATES = ("sigmoid", "tanh", "relu", "hard_sigmoid")
LONG = 40  # an expression of more letters is not written out


def _once(method: Callable[..., str]) -> Callable[..., str]:
    """Work a text out once."""

    @functools.wraps(method)
    def told(self: Words, *numbers: int) -> str:
        key = (method.__name__, *numbers)
        if key not in self.told:
            self.told[key] = method(self, *numbers)
        return self.told[key]

    return told


class Words:
    """Names and formulas on a tape, read off the first run of each line."""

    def __init__(self, tape: Tape, blocks: Mapping[int, tuple[str, ...]]):
        self.tape, self.blocks = tape, blocks
        self.readers: dict[int, list[tuple[int, int]]] = {}
        self.counts: dict[int, int] = {}
        self.told: dict[Any, str] = {}
        self.sums: dict[Any, Part] = {}  # by the shapes before and after what was stretched
        for (target, k), source in tape.operands.items():
            self.counts[target] = self.counts.get(target, 0) + 1
            self.readers.setdefault(source, []).append((target, k))

    # -- values

    @_once
    def label(self, number: int) -> str:
        """A value: by its name, by the gate that it is inside of, or by what it is."""
        one = self.tape.values[number]
        return one.name or self.inside(number) or self.block(number) or self.expression(number)

    def inside(self, number: int) -> str:
        """``A_z`` for the sum inside of ``z = sigmoid(...)``, unless it is a slice, which is called as its block."""
        if self.tape.values[number].op in ("getitem", ""):
            return ""
        gates = [t for t, _ in self.readers.get(number, []) if self.tape.values[t].op in GATES]
        gate = self.tape.values[gates[0]].name.replace("'", "") if gates else ""
        return f"A_{gate}" if gate else ""

    def block(self, number: int) -> str:
        """``A.f`` for the part of a stacked sum that belongs to a gate."""
        one = self.tape.values[number]
        if one.op != "getitem":
            return ""
        source = self.tape.operands[number, 0]
        shape, name = self.tape.values[source].shape or (), self.label(source)
        names, index = self.blocks.get(shape[-1] if shape else 0, ()), self.tape.nodes[number].attrs["index"]
        last = index[-1] if isinstance(index, tuple) else index
        if names and isinstance(last, slice) and last.step in (None, 1):
            width = shape[-1] // len(names)
            start, stop, _ = last.indices(shape[-1])
            if start % width == 0 and stop - start == width:
                return f"{enclosed(name)}.{names[start // width]}"
        return f"{enclosed(name)}{one.detail}"

    def expression(self, number: int) -> str:
        """What an operation makes, written out: ``tanh(c')``."""
        one = self.tape.values[number]
        if one.kind == "constant" or number not in self.tape.nodes:
            return code(Constant(self.tape.arrays[number]), {})
        attrs = dict(self.tape.nodes[number].attrs or {})
        sources = [self.tape.operands[number, k] for k in range(self._count(number))]
        made = Expr(one.op, tuple(map(self.leaf, sources)), attrs, one.shape or ())
        for name in (self.label, self.short):
            told = code(made, {f"#{n}": name(n) for n in sources})
            if len(told) <= LONG:
                return told
        return f"{one.op}(...)"

    def short(self, number: int) -> str:
        """A value by its name; what has none, by the operation that made it."""
        one, told = self.tape.values[number], self.label(number)
        return told if one.name or not one.op or len(told) <= len(f"{one.op}(...)") else f"{one.op}(...)"

    def leaf(self, number: int) -> Part:
        """A value as a part of a formula: a number, or a name."""
        array = self.tape.arrays[number]
        single = self.tape.values[number].kind == "constant" and array.ndim == 0
        return Constant(array.item()) if single else Leaf(f"#{number}", array.shape)

    def _count(self, number: int) -> int:
        return self.counts.get(number, 0)

    def unary(self, number: int) -> bool:
        """Is a value made of one other only?"""
        sources = [self.tape.operands[number, k] for k in range(self._count(number))]
        return bool(sources) and sum(self.tape.values[n].kind != "constant" for n in sources) == 1

    def shared(self, number: int) -> bool:
        """Does the gradient by a value go on along several lines, additions looked through?"""
        found, waiting = 0, [number]
        while waiting:
            for _, source, *_ in self.tape.ways.get(waiting.pop(), ()):
                one = self.tape.values[source]
                if one.op == "add" and not one.name:
                    waiting.append(source)
                elif one.kind == "operation" and self.tape.ways.get(source):
                    found += len(self.tape.ways[source]) if not one.name else 1
                else:
                    found += 1
        return found > 1

    def passed_on(self, number: int) -> int:
        """The value whose gradient a value gets unchanged, as a summand does."""
        readers = self.ways(number)
        while len(readers) == 1 and readers[0][0] >= 0 and self.tape.values[readers[0][0]].op == "add":
            if self.tape.values[readers[0][0]].shape != self.tape.values[number].shape:
                break
            number = readers[0][0]
            readers = self.ways(number)
        return number

    # -- gradients

    @_once
    def gradient(self, number: int) -> str:
        """``do``; for a value without a name, what its gradient is."""
        one = self.tape.values[number]
        called = one.name or self.inside(number) or self.block(number)
        readers = self.readers.get(number, [])
        if called or len(readers) != 1 or number in self.tape.outputs.values():
            return f"d{called}" if called else self.gradient_name(number)
        return self.part(*readers[0])

    @_once
    def part(self, target: int, k: int) -> str:
        """What goes back from an operation to its operand k."""
        return self.part_of(self.gradient(target), target, k)

    def summand(self, target: int, k: int) -> str:
        """The same beside others that are added to it: it needs not be stretched to their shape."""
        formula = self.formula(target, k)
        if isinstance(formula, Expr) and formula.op == "broadcast_to":
            formula = formula.args[0]
        return self.said(formula, self.gradient(target), target)

    def part_of(self, dy: str, target: int, k: int, whole: bool = False) -> str:
        """The same of a gradient of another text; or the whole of it, before it is `summed`."""
        return self.said(self.formula(target, k, whole), dy, target)

    def formula(self, target: int, k: int, whole: bool = False) -> Part:
        """The gradient of an operation by its operand k."""
        arrays = [self.tape.arrays[self.tape.operands[target, j]] for j in range(self._count(target))]
        if whole:
            arrays[k] = np.broadcast_to(arrays[k], self.tape.arrays[target].shape)
        node = self.tape.nodes[target]
        return simplified(local_derivative(OPS[self.tape.values[target].op], k, arrays, node.attrs or {}))

    def said(self, formula: Part, dy: str, target: int) -> str:
        """A formula of what an operation knows, in names."""
        spec, every = OPS[self.tape.values[target].op], range(self._count(target))
        argument = [f"xs[{j}]" for j in every] if spec.variadic else spec.arguments
        names = {argument[j]: self.operand(target, j) for j in every}
        return code(formula, {**names, "dy": dy, "y": self.label(target)})

    def summed(self, told: str, target: int, k: int) -> str:
        """What goes back elementwise, as it goes on to operand k: summed, if that was stretched."""
        shapes = (self.tape.arrays[self.tape.operands[target, k]].shape, self.tape.arrays[target].shape)
        if shapes[0] == shapes[1]:
            return told
        if shapes not in self.sums:
            self.sums[shapes] = simplified(local_derivative(OPS["add"], 0, shapes, {}))
        return code(self.sums[shapes], {"dy": told})

    def operand(self, target: int, k: int) -> str:
        """What an operand is called: the state that an earlier step has made is the old one."""
        source = self.tape.operands[target, k]
        earlier = self.tape.site[source][0] != "given" and self.tape.run[source] < self.tape.run[target]
        return self.label(source).rstrip("'") if earlier else self.label(source)

    def replaced(self, target: int, k: int, wrong: str) -> str:
        """The line to change: what was written at an operand, and what should be."""
        source, right = self.tape.operands[target, k], self.part(target, k)
        called = f"d{enclosed(self.operand(target, k))}"
        if self.hidden(source):
            inner = self.place_of(source)
            wrong, right, source = self.part_of(wrong, source, inner), self.part(source, inner), self.made_of(source)
            called = self.gradient_name(source)
        sign = "=" if called != self.gradient_name(source) or len(self.ways(source)) == 1 else "+="
        return f"{called} {sign} {wrong}   ->   {called} {sign} {right}"

    def hidden(self, source: int) -> bool:
        """Is a value written inside of a line: without a name, made of one other, and read once?"""
        one = self.tape.values[source]
        plain = one.kind == "operation" and one.op != "getitem" and not one.name and not self.inside(source)
        return plain and self.unary(source) and len(self.ways(source)) == 1

    def made_of(self, number: int) -> int:
        """The value that a value made of one other is made of."""
        return self.tape.operands[number, self.place_of(number)]

    def place_of(self, number: int) -> int:
        """Which operand of a value made of one other that is."""
        sources = [self.tape.operands[number, k] for k in range(self._count(number))]
        return next(k for k, n in enumerate(sources) if self.tape.values[n].kind != "constant")

    def tensor(self, target: int, k: int) -> str:
        """The gradient whose line is wrong: by a value, what a hidden one is made of, what a step is cut from."""
        source = self.tape.operands[target, k]
        if self.operand(target, k) != self.label(source):
            return f"d{self.operand(target, k)}"
        source = self.made_of(source) if self.hidden(source) else source
        given = self.tape.operands.get((source, 0), source) if self.tape.values[source].op == "getitem" else source
        index = self.tape.nodes[source].attrs["index"] if given != source else ()
        step = any(isinstance(one, int) for one in (index if isinstance(index, tuple) else (index,)))
        return self.gradient_name(given if step else source)

    def named_way(self, target: int, k: int) -> tuple[str, str]:
        """A way back, by names that a picture has: the value, and what reads it, by its name or its symbol."""
        source = self.tape.operands[target, k]
        if self.hidden(source):
            target, source = source, self.made_of(source)
        one = self.tape.values[target]
        return self.label(source), one.name or one.symbol

    def several(self, source: int) -> bool:
        """Do several lines read a value?"""
        lines = dict.fromkeys((self.tape.site[t], k) if t >= 0 else None for t, k in self.ways(source))
        return len(lines) > 1

    def gradient_name(self, number: int) -> str:
        """Like `gradient`, but never written out."""
        told = self.label(number)
        return f"d({told})" if told.endswith("(...)") else f"d{enclosed(told)}"

    def ways(self, number: int) -> list[tuple[int, int]]:
        """The operations that read a value, and -1 if it is an output."""
        return self.readers.get(number, []) + ([(-1, 0)] if number in self.tape.outputs.values() else [])
