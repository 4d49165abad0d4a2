"""The names of the values on a tape: of a variable, of the sum inside of a gate, of a block of a stacked sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...formula.numpy_functions import traits
from .tape import Tape


class Labels:
    """The names, by the numbers of the values; ``readers`` are the operations that read each value."""

    def __init__(self, tape: Tape, blocks: Mapping[int, tuple[str, ...]]):
        self.tape, self.blocks = tape, blocks
        self.readers: dict[int, list[int]] = {}
        for (target, _), source in tape.operands.items():
            self.readers.setdefault(source, []).append(target)

    def label(self, number: int) -> str:
        """A value: by its name, by the gate that it is inside of, as a block, or by its operation."""
        value = self.tape.values[number]
        return value.name or self.inside(number) or self.block(number) or f"{value.op or value.kind}(...)"

    def inside(self, number: int) -> str:
        """``A_z`` for the sum inside of ``z = sigmoid(...)``, unless it is a slice, which is called as its block."""
        gates = self.gates(number) if self.tape.values[number].op not in ("getitem", "") else []
        gate = gates[0].name.replace("'", "") if gates else ""
        return f"A_{gate}" if gate else ""

    def gates(self, number: int) -> list[Any]:
        """The activations of a value."""
        return [value for value in map(self.tape.values.__getitem__, self.readers.get(number, []))
                if is_activation(value.op)]  # fmt: skip

    def spelled(self, number: int) -> str:
        """A value in words: by its name, or as what goes into an activation with a name; "" for any other."""
        value, gate = self.tape.values[number], next(iter(self.gates(number)), None)
        if value.kind == "constant" or value.name:
            return value.name if value.kind != "constant" else ""
        return f"{gate.name}, before the {gate.op}" if gate is not None and gate.name else ""

    def block(self, number: int) -> str:
        """``A.f`` for the part of a stacked sum that belongs to a gate."""
        value = self.tape.values[number]
        if value.op != "getitem":
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
        return f"{name}{value.detail}"


def is_activation(op: str) -> bool:
    """Is an operation an activation, such as tanh? Then its argument is the sum inside of a gate."""
    return bool(op) and traits(op).activation
