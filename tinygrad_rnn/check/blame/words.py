"""What a line of the backward pass says: ``do = dh' * tanh(c')``, in the names of the forward code."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from ...formula import Expr, Leaf, local_derivative, text
from ...op import OPS
from .tape import Tape

GATES = ("sigmoid", "tanh", "relu", "hard_sigmoid")
SIGNS = {"⊙": "*", "−": "-", "·": " * ", "²": "**2", "³": "**3", "ᵀ": ".T", "σ(": "sigmoid(", "√": "sqrt "}
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
                return f"{name}.{names[start // width]}"
        return f"{name}{one.detail}"

    def expression(self, number: int) -> str:
        """What an operation makes, written out: ``tanh(c')``."""
        one = self.tape.values[number]
        if one.kind == "constant" or number not in self.tape.nodes:
            array = self.tape.arrays[number]
            return f"{array}" if array.ndim == 0 else "0" if not array.any() else "a constant"
        spec, attrs = OPS[one.op], dict(self.tape.nodes[number].attrs or {})
        sources = [self.tape.operands[number, k] for k in range(self._count(number))]
        leaves = tuple(Leaf(f"#{n}", self.tape.values[n].shape or ()) for n in sources)
        names = {f"#{n}": self.atom(n) for n in sources}
        told = plain(text(Expr(spec.name, leaves, attrs, one.shape or ()), names))
        return told if len(told) <= LONG else f"{one.symbol}(...)"

    def atom(self, number: int) -> str:
        """A label that can stand as a factor."""
        return enclosed(self.label(number))

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
            return f"d{called or enclosed(self.label(number))}"
        return self.part(*readers[0])

    @_once
    def part(self, target: int, k: int) -> str:
        """What goes back from an operation to its operand k."""
        one = self.tape.values[target]
        sources = [self.tape.operands[target, j] for j in range(self._count(target))]
        spec = OPS[one.op]
        names = {"dy": enclosed(self.gradient(target)), "y": enclosed(self.label(target))}
        argument = [f"xs[{j}]" for j in range(len(sources))] if spec.variadic else spec.arguments
        names |= {argument[j]: enclosed(self.operand(target, j)) for j in range(len(sources))}
        if one.op == "matmul" and len(one.shape or ()) == 2:
            x, w = (names[name] for name in argument)
            return f"{names['dy']} @ {w}.T" if k == 0 else f"{x}.T @ {names['dy']}"
        arrays = [self.tape.arrays[n] for n in sources]
        return plain(text(local_derivative(spec, k, arrays, self.tape.nodes[target].attrs or {}), names))

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
            outer = self.part(source, 0)
            wrong, right, source = outer.replace(enclosed(right), enclosed(wrong), 1), outer, self.made_of(source)
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
        sources = [self.tape.operands[number, k] for k in range(self._count(number))]
        return next(n for n in sources if self.tape.values[n].kind != "constant")

    def tensor(self, target: int, k: int) -> str:
        """The gradient whose line is wrong: by a value, what a hidden one is made of, what a step is cut from."""
        source = self.tape.operands[target, k]
        if self.operand(target, k) != self.label(source):
            return f"d{self.operand(target, k)}"
        source = self.made_of(source) if self.hidden(source) else source
        given = self.tape.operands.get((source, 0), source) if self.tape.values[source].op == "getitem" else source
        step = given != source and "int" in type_names(self.tape.nodes[source].attrs["index"])
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
        return f"d{enclosed(self.label(number))}"

    def ways(self, number: int) -> list[tuple[int, int]]:
        """The operations that read a value, and -1 if it is an output."""
        return self.readers.get(number, []) + ([(-1, 0)] if number in self.tape.outputs.values() else [])


def type_names(index: object) -> list[str]:
    return [type(one).__name__ for one in (index if isinstance(index, tuple) else (index,))]


def plain(told: str) -> str:
    """A formula as Python."""
    told = re.sub(r"Σ over N of (\([^()]*\)|[^\s()]+)", r"\1.sum(axis=0)", told)
    for sign, code in SIGNS.items():
        told = told.replace(sign, code)
    return told.replace("  *  ", " * ")


def enclosed(told: str) -> str:
    """In parentheses if it is more than a name or a call."""
    depth = 0
    for letter in told:
        depth += letter in "([{"
        depth -= letter in ")]}"
        if depth == 0 and letter in " -+*/@":
            return f"({told})"
    return told
