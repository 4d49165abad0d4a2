"""The lines of a forward and of a backward step: what is named, what is written where it is used, and in which order.

A value has a line of its own if the user named it, if it is read more than once, or if the backward pass needs it and
it is more than one small operation. A gradient has one if its value has a name, or if it goes on along several ways.
The backward lines stand under the forward line through which they came: last line first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..formula import Expr, Leaf, Part, postorder
from ..formula.numpy_functions import traits
from ..tracing.adjoint import Chain, replaced
from ..tracing.cse import Line, once
from ..tracing.formulas import Step, letters
from ..tracing.names import Names, derived_name, inner_leaves, user_names
from .factor import Collector
from .helpers import helpers

#: Names that the printed module uses for itself.
RESERVED = ("np", "math", *helpers(), "cache", "caches", "params", "xs", "dxs", "dhs", "grads", "step", "name", "range",
            "reversed", "T", "t")  # fmt: skip


@dataclass
class Program:
    """Everything that is printed."""

    step: Step
    names: Names = field(init=False)
    known: dict[int, str] = field(init=False)  # the name of each value that has one
    forward: list[Line] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)  # of the forward ones: those that are no block of a parameter
    blocks: dict[str, list[Line]] = field(default_factory=dict)  # the others, by parameter
    backward: list[Line] = field(default_factory=list)
    leaves: dict[str, str] = field(default_factory=dict)  # what every leaf is called
    bases: dict[int, str] = field(default_factory=dict)  # what gradients are named after

    def __post_init__(self) -> None:
        step = self.step
        self.names = Names(RESERVED, letters(step.cell))
        self.known = user_names(step, self.names)
        self.chain = Chain(step, self.known)
        self.choose()
        self.inline = {f"#{n}": step.made[n] for n in step.made if n not in self.known}
        self.write_forward()
        self.name_gradients()
        self.shorter = Collector(self.chain.make, self.quotients())
        self.write_backward()

    # -- which values have a line

    def choose(self) -> None:
        """Name what the user has not, where it needs a name."""
        step, reads = self.step, dict.fromkeys(self.step.made, 0)
        for made in step.made.values():
            for number in inner_leaves(made):
                reads[number] = reads.get(number, 0) + 1
        wanted: dict[int, None] = {}
        for part in self.chain.lines.values():
            wanted.update(dict.fromkeys(_numbers(part)))
        for number in step.made:
            if number in self.known or number not in self.chain.total:
                continue
            small = self.small(number)
            if (number in wanted and not small) or (reads[number] > 1 and not small):
                self.known[number] = derived_name(step, number, self.known, self.names)

    def small(self, number: int) -> bool:
        """Is it one small operation on values that have names?"""
        made = self.step.made[number]
        return traits(made.op).cost == 1 and all(one in self.known for one in inner_leaves(made))

    def full(self, part: Part) -> Part:
        """A formula in which every leaf has a name."""
        while any(number not in self.known for number in _numbers(part)):
            part = replaced(self.chain.make, part, self.inline)
        return self.chain.make.shared(part)

    # -- lines

    def write_forward(self) -> None:
        for number, made in self.step.made.items():
            if number in self.known and number in self.chain.total:
                part = self.full(replaced(self.chain.make, made, {}))
                self.forward.append(Line(self.known[number], part, number))
        self.leaves = {f"#{number}": name for number, name in self.known.items()}
        values = self.step.recording.values
        for name, number in self.step.numbers.items():
            own = [one for one in self.forward if values[one.number].kind == "block" and _reads(one.part) == number]
            if own:
                self.blocks[name] = sorted(own, key=lambda one: self.step.made[one.number].attrs["index"][-1].start)
        self.lines = [one for one in self.forward if values[one.number].kind != "block"]
        self.forward = [*(one for blocks in self.blocks.values() for one in blocks), *self.lines]

    def name_gradients(self) -> None:
        """``df`` for f; of the new h it is ``dh`` and of the old ``dh_prev``."""
        step, gradients, scratch = self.step, {}, Names(RESERVED, self.known.values())
        self.bases = dict(self.known)
        for state, number in reversed(list(zip(step.cell.states, step.new))):
            self.leaves[f"in:{state}"] = gradients[number] = self.names.new(f"d{self.known[step.numbers[state]]}")
        for number in self.chain.lines:
            if number in gradients and number in step.made:
                continue
            old = number not in step.made and step.recording.values[number].name in step.cell.states
            if number not in self.bases:
                self.bases[number] = derived_name(step, number, self.known, scratch)
            gradients[number] = self.names.new(f"d{self.bases[number]}{'_prev' * old}")
        self.leaves.update({f"d#{number}": name for number, name in gradients.items()})

    def write_backward(self) -> None:
        """Every gradient under the forward line through which the last part of it came."""
        place, step, lines = self.places(), self.step, []
        for name, number in step.numbers.items():
            if number not in self.chain.lines:
                past = "_prev" if name in step.cell.states else ""
                self.leaves.setdefault(f"d#{number}", self.names.new(f"d{self.known[number]}{past}"))
                leaf = Leaf(f"#{number}", step.shape(number))
                lines.append(Line(self.leaves[f"d#{number}"], Expr("zeros_like", (leaf,), {}, leaf.shape), number))
        for number, part in self.chain.lines.items():
            under = place.get(number, len(self.forward))
            lines.append(Line(self.leaves[f"d#{number}"], self.shorter(self.full(part)), number, under))
        lines.sort(key=lambda line: (-line.under, -line.number))
        self.backward = once(lines, self.temporary)

    def quotients(self) -> dict[tuple[str, str], Leaf]:
        """The lines that are the quotient of two values with names."""
        return {
            (left.name, right.name): self.chain.make.shared(self.step.leaf(number, made.shape))  # type: ignore[misc]
            for number, made in self.step.made.items() if made.op == "divide" and number in self.known
            for left, right in [made.args] if isinstance(left, Leaf) and isinstance(right, Leaf)
        }  # fmt: skip

    def places(self) -> dict[int, int]:
        """The position of the first forward line that reads a value, also in what is written inside of it."""
        found: dict[int, int] = {}
        for k, line in reversed(list(enumerate(self.forward))):
            waiting = [line.number]
            while waiting:
                for number in inner_leaves(self.step.made[waiting.pop()]):
                    found[number] = k
                    waiting += [number] if number not in self.known else []
        return found

    def temporary(self, part: Part) -> Leaf:
        """A name for a formula that is written once and read more than once: k, or dk if it is a gradient."""
        kinds = [one.name[0] for one in postorder(part) if isinstance(one, Leaf)]
        name = self.names.new("dk" if "d" in kinds or "i" in kinds else "k")
        self.leaves[f"t:{name}"] = name
        return Leaf(f"t:{name}", part.shape)


def _reads(part: Part) -> int:
    """The value that a block is cut from."""
    return _numbers(part)[0]


def _numbers(part: Part) -> list[int]:
    """The values that a formula reads."""
    return [int(one.name[1:]) for one in postorder(part) if isinstance(one, Leaf) and one.name.startswith("#")]
