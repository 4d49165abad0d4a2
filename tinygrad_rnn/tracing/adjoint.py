"""The chain rule on formulas: the gradient by every value of a step, from the gradient rules of its operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..engine.op import OPS
from ..errors import DeriveError
from ..formula import Constant, Expr, Leaf, Part, local_derivative, postorder
from ..formula.expression import DY, form
from ..formula.simplify import Maker
from .formulas import Step
from .names import inner_leaves


def replaced(make: Maker, root: Part, leaves: Mapping[str, Part]) -> Part:
    """A formula with other parts for some of its leaves, in the textbook form."""
    done: dict[int, Part] = {}
    for part in postorder(root):
        if isinstance(part, Expr):
            args = [done[id(arg)] for arg in part.args]
            done[id(part)] = make(part.op, *args, shape=part.shape, attrs=part.attrs)
        else:
            done[id(part)] = make.shared(leaves.get(part.name, part) if isinstance(part, Leaf) else part)
    return done[id(root)]


def cast(root: Part, like: Leaf) -> Part:
    """A formula whose truth values, where a rule makes floats of them, get the dtype of ``like``.

    Other casts say nothing new; of these NumPy would make float64.
    """
    done: dict[int, Part] = {}
    for part in postorder(root):
        done[id(part)] = part
        if isinstance(part, Expr):
            args = tuple(done[id(arg)] for arg in part.args)
            compared = any(form(one) == "comparison" for one in postorder(part))
            done[id(part)] = Expr(part.op, args, part.attrs, part.shape)
            if part.op == "astype" and compared:
                done[id(part)] = Expr("cast", (*args, like), {}, part.shape)
    return done[id(root)]


class Chain:
    """``total[n]`` is the gradient by value n, of ``Leaf("d#m")`` for those that have a line of their own."""

    def __init__(self, step: Step, named: Mapping[int, str]):
        self.step, self.make = step, Maker()
        self.like = Leaf(f"in:{step.cell.states[0]}")
        self.total: dict[int, Part] = {}
        self.lines: dict[int, Part] = {}  # the gradients that are named
        self.ways: dict[int, list[tuple[int, Part]]] = {}  # the parts of each gradient: from where, and what
        for state, number in zip(step.cell.states, step.new):
            incoming = self.make.shared(Leaf(f"in:{state}", step.shape(number)))
            self.ways.setdefault(number, []).append((-1, incoming))
        for number in reversed(range(len(step.recording.values))):
            if number in self.ways:
                self.settle(number, named)

    def settle(self, number: int, named: Mapping[int, str]) -> None:
        """All ways into a value are known: sum them up, name the sum if it deserves it, and go on."""
        ways = [part for _, part in self.ways[number]]
        shape, made = self.step.shape(number), self.step.made.get(number)
        total = self.summed(ways, shape)
        plain = len(ways) == 1 and isinstance(total, Leaf)
        several = made is not None and len(inner_leaves(made)) > 1 and isinstance(total, Expr) and not _scaled(total)
        if made is None or (not plain and (number in named or several)):
            self.lines[number] = total
            total = self.make.shared(Leaf(f"d#{number}", shape))
        self.total[number] = total
        if made is not None:
            for k, operand in enumerate(made.args):
                if isinstance(operand, Leaf) and operand.name.startswith("#"):
                    way = self.local(number, k, made, self.total[number])
                    if way is not None:
                        self.ways.setdefault(int(operand.name[1:]), []).append((number, way))

    def local(self, number: int, k: int, made: Expr, dy: Part) -> Part | None:
        """What comes back along operand k, of the gradient dy of what was made."""
        spec, args = OPS[made.op], self.step.args[number]
        if spec.arguments[0 if spec.variadic else k] not in spec.rules:
            return None
        formula = cast(local_derivative(spec, k, args, made.attrs), self.like)
        own = {self.like.name: self.like, "dy": dy, "y": self.step.leaf(number, made.shape)}
        leaves: dict[str, Part] = {**own, **dict(zip(spec.named(args), made.args))}
        for part in postorder(formula):
            if isinstance(part, Leaf) and part.name not in leaves:
                where = f"{self.step.cell.name}: the rule of {made.op}"
                raise DeriveError(f"{where} needs {part.name}, which is no formula")
        return replaced(self.make, formula, leaves)

    def between(self, line: int, number: int, known: Mapping[int, str]) -> Part | None:
        """What a value gets of the gradient ``Leaf("dy:<line>")`` of another, without detours through what has one."""
        total: dict[int, Part] = {line: self.make.shared(Leaf(f"{DY}:{line}", self.step.shape(line)))}
        known = {**known, **dict.fromkeys(self.lines, "")}
        for k in range(line, number, -1):
            made = self.step.made.get(k)
            if k not in total or made is None:
                continue
            for place, operand in enumerate(made.args):
                n = int(operand.name[1:]) if isinstance(operand, Leaf) and operand.name.startswith("#") else -1
                way = self.local(k, place, made, total[k]) if n == number or (n > number and n not in known) else None
                if way is not None:
                    total[n] = self.make("add", total[n], way, shape=way.shape) if n in total else way
        return total.get(number)

    def summed(self, ways: list[Part], shape: tuple[int, ...]) -> Part:
        """The sum of all ways; what goes back into the slices of one array is put side by side."""
        slices = [part for part in ways if isinstance(part, Expr) and part.op == "scatter"]
        bounds = sorted(((*_bounds(part), k) for k, part in enumerate(slices)), key=lambda one: one[:2])
        ends = [0, *(stop for _, stop, _ in bounds)]
        if len(slices) > 1 and ends[-1] == shape[-1] and all(b[0] == end for b, end in zip(bounds, ends)):
            joined = self.make("hstack", *(slices[k].args[0] for *_, k in bounds), shape=shape)
            ways = [*(part for part in ways if part not in slices), joined]
        total = ways[0]
        for part in ways[1:]:
            total = self.make("add", total, part, shape=shape)
        return total


def _scaled(part: Expr) -> bool:
    """A gradient with another sign, or times a number: short enough to be written twice."""
    signed = part.op == "negative" or (part.op == "multiply" and isinstance(part.args[0], Constant))
    return signed and isinstance(part.args[-1], Leaf)


def _bounds(part: Expr) -> tuple[Any, Any]:
    """From where to where on the last axis a slice was taken, if it is one of those; else nothing that fits."""
    index, shape = part.attrs["index"], part.shape
    index = index if isinstance(index, tuple) else (index,)
    whole = all(one is Ellipsis or one == slice(None) for one in index[:-1])
    last = index[-1]
    reaches = len(shape) <= 2 and (Ellipsis in index or len(index) == len(shape))
    if not (whole and reaches and isinstance(last, slice)):
        return -1, -1
    start, stop, by = last.indices(shape[-1])
    return (start, stop) if by == 1 else (-1, -1)
