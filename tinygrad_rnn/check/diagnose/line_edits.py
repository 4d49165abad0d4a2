"""Mistakes in one line of a derivation: what may have been written at an operand in the place of what goes back there.

The line is a dy and a factor, ``do = dh' * tanh(c')``. A mistake has another factor (that of another gate, the value of
the argument for that of the function, no derivative, ...), another dy, another sign, or is not there at all. The tables
say which; every value of the forward pass that has the right shape is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .candidates import Seen, Slots
from .operand import SAME, Place
from .tape import Change, Edit, Slot, Tape
from .wording import Words

#: By operation: the function, its derivative by its value, and how that is written.
ACTIVATIONS: dict[str, tuple[Any, Any, str]] = {
    "tanh": (np.tanh, lambda y: 1 - y * y, "(1 - {y}**2)"),
    "sigmoid": (lambda x: 0.5 * (1 + np.tanh(0.5 * x)), lambda y: y * (1 - y), "{y} * (1 - {y})"),
}
#: What may stand for a value v: how it is written, and what it is.
FORMS: dict[str, Callable[[Any], Any]] = {
    "{v}": lambda v: v,
    "(1 - {v})": lambda v: 1 - v,
    "tanh({v})": np.tanh,
    "{v}**2": lambda v: v * v,
    "(1 - {v}**2)": lambda v: 1 - v * v,
    "(1 + {v}**2)": lambda v: 1 + v * v,
    "{v} * (1 - {v})": lambda v: v * (1 - v),
    "(1 - tanh({v})**2)": lambda v: 1 - np.tanh(v) ** 2,
    "sigmoid({v})": ACTIVATIONS["sigmoid"][0],
}


def along(words: Words, slots: Slots) -> Iterator[Edit]:
    """Every mistake at one operand of one line."""
    tape = words.tape
    for line, numbers in tape.lines.items():
        ways = {k: (number, source) for number in reversed(numbers) for k, source, *_ in tape.ways.get(number, ())}
        for k, (number, source) in sorted(ways.items()):  # a state may be a constant at first
            place = Place(words, slots, (line, k), number, source)
            if not place.silent():
                every = (place.factors(), TABLE.get(tape.values[number].op, _others)(place), place.one_way())
                yield from (one for kind in every for one in kind if not one.text.endswith(SAME))


# -- products ----------------------------------------------------------------------------------------------------------


def _product(place: Place) -> Iterator[Edit]:
    """``do = dh' * tanh(c')``: another factor than tanh(c'), or one too many."""
    k = place.slot[1] or 0
    other: Slot = (place.slot[0], 1 - k)
    if place.tape.values[place.tape.number_at(other, 0)].kind == "constant":
        return
    yield place.edit("derivative", place.written(), lambda tape, t, dy, part: dy)
    for seen in place.slots.like(other):
        for form, f in FORMS.items() if not seen.shift else [("{v}", FORMS["{v}"])]:
            if form == "{v}" and seen.same(place.slots.of(other)):
                continue
            kind = place.slots.kind(other, seen, form)
            yield place.edit(kind, place.written(form.format(v=seen.atom)), _by(seen, f), seen.rank + _plainness(form))
    yield from _too_many(place)


def _too_many(place: Place) -> Iterator[Edit]:
    for seen in place.slots.like((place.slot[0], None), beside=False):
        for form in ("{v}", "(1 - {v})", "(1 - {v}**2)", "{v} * (1 - {v})"):
            wrong = place.further(form.format(v=seen.atom))
            yield place.edit("extra", wrong, _also_by(seen, FORMS[form]), 4)


def _by(seen: Seen, f: Callable[[Any], Any]) -> Change:
    return lambda tape, t, dy, part: dy * f(seen.at(tape, t))


def _also_by(seen: Seen, f: Callable[[Any], Any]) -> Change:
    return lambda tape, t, dy, part: part * f(seen.at(tape, t))


def _plainness(form: str) -> int:
    return 0 if form == "{v}" else 1


# -- activations -------------------------------------------------------------------------------------------------------


def _activation(place: Place) -> Iterator[Edit]:
    """``dA.o = do * o * (1 - o)``: no derivative, the activation for it, that of another value or another function."""
    f, slope, _ = ACTIVATIONS[place.op]
    y, x = place.slots.of((place.slot[0], None)), place.slots.of(place.slot)
    yield place.edit("derivative", place.dy, lambda tape, t, dy, part: dy)
    yield place.edit("activation", place.written(f"{place.op}({y.label})"), _by(y, f))
    yield place.edit("derivative", f"{place.right}, twice", _by(y, lambda v: slope(v) ** 2))
    for seen in place.slots.like((place.slot[0], None)):
        for form, g in FORMS.items() if not seen.shift else [(SLOPES[place.op], slope)]:
            own = seen.same(y)
            if not (own and np.allclose(g(PROBE), slope(PROBE))):
                kind = _kind(form, own, seen.same(x), place.op)
                yield place.edit(kind, place.written(form.format(v=seen.atom)), _by(seen, g), seen.rank + 1 - own)
    yield from _too_many(place)


SLOPES = {"tanh": "(1 - {v}**2)", "sigmoid": "{v} * (1 - {v})"}
PROBE = np.array([0.1, 0.4, 0.7])


def _kind(form: str, own: bool, argument: bool, op: str) -> str:
    """What it is to write ``form`` of the value itself, of its argument or of another value for a derivative."""
    if own and form == "(1 - tanh({v})**2)":
        return "argument"
    if own:
        return "activation" if form in ("{v}", f"{op}({{v}})") else "derivative"
    if argument:
        return "argument" if form in ("{v}", "(1 - {v}**2)", "{v} * (1 - {v})") else "activation"
    return "operand"


# -- matrix products ---------------------------------------------------------------------------------------------------


def _matmul(place: Place) -> Iterator[Edit]:
    """``dh = dA @ Wh.T``, ``dWx = x.T @ dA``: another weight, one not transposed, another input, another dA."""
    k, line = place.slot[1] or 0, place.slot[0]
    other: Slot = (line, 1 - k)
    mine = place.slots.of(other)
    if min(len(place.slots.of(slot).shape) for slot in (other, place.slot, (line, None))) < 2:
        return  # a product with a vector has no line of this form
    if k == 0 and mine.shape[0] == mine.shape[-1] and len(mine.shape) == 2:
        yield place.edit("not transposed", f"{place.dy} @ {mine.atom}", lambda tape, t, dy, part: dy @ mine.at(tape, t))
    for seen in place.slots.like(other):
        if not seen.same(mine):
            kind = place.slots.kind(other, seen, "{v}")
            yield place.edit(kind, place.multiplied(seen, k), _matrix(seen, k), seen.rank)
    total = place.words.passed_on(place.target)
    for seen in place.slots.gradients((line, None)):
        wrong = place.words.part_of(seen.label, place.target, k)
        before = place.tape.values[seen.numbers[0]].op in ACTIVATIONS
        skipped = before and place.tape.operands[seen.numbers[0], 0] == total
        yield place.edit("derivative" if skipped else "operand", wrong, _of_gradient(seen, mine, k), 3)
    yield from blockwise(place)


def _matrix(seen: Seen, k: int) -> Change:
    if k == 0:
        return lambda tape, t, dy, part: dy @ _turned(seen.at(tape, t))
    return lambda tape, t, dy, part: _turned(seen.at(tape, t)) @ dy


def _turned(x: Any) -> Any:
    """The transpose; of every matrix, if there are several."""
    return np.swapaxes(x, -1, -2)


def blockwise(place: Place) -> Iterator[Edit]:
    """The same of one gate block of a stacked product: ``dWh.o = h.T @ dA.o``."""
    k, line = place.slot[1] or 0, place.slot[0]
    shape = place.tape.values[place.target].shape or ()
    names = place.words.blocks.get(shape[-1], ()) if len(shape) == 2 else ()
    mine, width = place.slots.of((line, 1 - k)), shape[-1] // max(len(names), 1) if shape else 0
    for j, name in enumerate(names):
        cut, dA = slice(j * width, (j + 1) * width), f"{place.dy}.{name}"
        if k == 0 and mine.shape[0] == width:
            wrong, right = f"{dA} @ {mine.label}.{name}", f"{dA} @ {mine.label}.{name}.T"
            text = f"{place.tensor}, its part of the gate {name}: {wrong}   ->   {right}"
            change = {place.slot: _untransposed(mine, cut)}
            yield Edit("not transposed", place.tensor, text, along=change, block=True, rank=2)
        for seen in place.slots.like((line, 0), beside=False) if k == 1 else ():
            if not seen.same(mine):
                tensor = f"{place.tensor}.{name}"
                text = f"{tensor} = {seen.atom}.T @ {dA}   ->   {tensor} = {mine.atom}.T @ {dA}"
                kind = place.slots.kind((line, 0), seen, "{v}")
                change = {place.slot: _block_of(seen, cut)}
                yield Edit(kind, tensor, text, along=change, block=True, rank=seen.rank + 1)


def _untransposed(mine: Seen, cut: slice) -> Change:
    def change(tape: Tape, t: int, dy: Any, part: Any) -> Any:
        W = mine.at(tape, t)[:, cut]
        return part + dy[:, cut] @ (W - W.T)

    return change


def _block_of(seen: Seen, cut: slice) -> Change:
    def change(tape: Tape, t: int, dy: Any, part: Any) -> Any:
        made = np.array(part)
        made[:, cut] = seen.at(tape, t).T @ dy[:, cut]
        return made

    return change


def _of_gradient(seen: Seen, mine: Seen, k: int) -> Change:
    """The line with the gradient by another value for dy, as far as that is known by then."""

    def change(tape: Tape, t: int, dy: Any, part: Any) -> Any:
        other = tape.totals.get(tape.number_at(seen.slot, t))
        if other is None or other.shape != dy.shape:
            return part
        return other @ _turned(mine.at(tape, t)) if k == 0 else _turned(mine.at(tape, t)) @ other

    return change


def _others(place: Place) -> Iterator[Edit]:
    return iter(())


TABLE: dict[str, Callable[[Place], Iterator[Edit]]] = {
    **dict.fromkeys(("multiply", "hadamard"), _product), **dict.fromkeys(ACTIVATIONS, _activation), "matmul": _matmul,
}  # fmt: skip
