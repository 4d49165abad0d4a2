"""`check_backward`: a gradient derived by hand, against autograd and against numbers, line by line.

Which wrong line is the cause? The backward pass is run again with the gradients by hand in the place of the right ones
(`Recording.pull`): what then comes out for a gradient is what it should be *if those before it were right*. A wrong
gradient that equals it follows rightly from a mistake elsewhere; one that does not has a mistake of its own, and
diagnosing compares it with just that, so that two mistakes do not hide each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..cell import Cell
from ..tensor import value
from ..trace import codes, record_step, sample
from ..watch import Recording, record
from .diagnose import diagnose, matching
from .gradients import CLOSE, ROUNDED, SIZES, Problem, argument_names, by_name, compared
from .promises import promises
from .report import Report, Row, distance, row
from .slips import slips


def check_backward(
    forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, seed: int = 0,
    sizes: Mapping[str, int] | None = None, **params: Any,
) -> Report:  # fmt: skip
    """Compare the gradients that ``backward`` computes with autograd's, and those with numbers.

    ``forward`` is a cell: then ``backward(x, *states, **params, dh=, dc=)`` is called with its arguments and the
    gradients by the *new* states; inputs not given are random, of ``sizes`` by letter. Or a function of arrays:
    ``backward(*inputs, dy)``, one dy for each output. ``backward`` computes on arrays and returns a dict in the order
    of the derivation. A key is "d" and the name of a value: of an argument (``"dx"``, ``"dWx"``; ``"dh"`` is by the
    state that came in) or of a local variable (``"df"``, ``"dA"``; ``"dc'"`` is by the new ``c``).
    The gradients by all arguments must be there.

    The report tells the first wrong line, which others merely follow from it, and the mistake, where a known one gives
    exactly these numbers. And what callers rely on beside them: that ``backward`` repeats, modifies nothing, is linear
    in the cotangents, and keeps the rows of a batch apart; what is amiss is a diagnosis of kind "protocol: ...".
    """
    rng = np.random.default_rng(seed)
    if isinstance(forward, Cell):
        case = _of_cell(forward, inputs, params, rng, {**SIZES, **(sizes or {})})
    else:
        case = _of_function(forward, inputs, rng)
    report = Report(f"{case.title}: by hand against autograd and numbers")
    hand = case.ask(backward)
    for one in _rows(case, hand):
        report.tensors[one.name] = one
    _explain(case, hand, report)
    broken, report.notes = promises(case, backward)
    report.diagnoses += broken
    return report


class Case:
    """One forward run, its cotangents, and the right gradients by name."""

    def __init__(self, title: str, given: dict[str, Any], recording: Recording, f: Any, rng: np.random.Generator):
        self.title, self.given, self.recording = title, given, recording
        self.problem = Problem(f, given, rng)
        self.blocks: dict[int, tuple[str, ...]] = {}  # by the size of a last axis that is stacked
        self.cotangents: dict[int, np.ndarray] = {}
        for number, dy in zip(recording.outputs.values(), self.problem.dys):
            self.cotangents[number] = self.cotangents.get(number, 0) + dy
        self.by_name = {f"d{name}": number for name, number in recording.named().items()}
        self.totals, _ = recording.pull(self.cotangents)
        self.checked, self.autograd, self.numbers = compared(self.problem)

    def right(self, name: str) -> np.ndarray:
        """Autograd's gradient; the numbers where autograd is wrong."""
        if name[1:] in self.problem.names:
            k = self.problem.names.index(name[1:])
            slope = self.numbers[k]
            if self.checked[k].verdict == "wrong" and len(slope.found) == self.autograd[k].size:
                return slope.found.reshape(self.autograd[k].shape)
            return self.autograd[k]
        return self._or_zeros(self.totals, self.by_name[name])

    def distance(self, name: str, g: np.ndarray, right: np.ndarray) -> float:
        """How far g is off; from the numbers, along their directions, where there is nothing better."""
        k = self.problem.names.index(name[1:]) if name[1:] in self.problem.names else None
        if k is None or self.checked[k].verdict != "wrong" or g.shape != right.shape:
            return distance(g, right)
        return distance(self.numbers[k].of(g), self.numbers[k].found)

    def _or_zeros(self, totals: Mapping[int, Any], number: int) -> np.ndarray:
        return totals.get(number, np.zeros(self.recording.values[number].shape or ()))

    def ask(self, backward: Callable[..., Any]) -> dict[str, Any]:
        """The gradients by hand, computed on copies."""
        given = {name: np.array(x) for name, x in self.given.items()}
        dys = [np.array(dy) for dy in self.problem.dys]
        hand = self.call(backward, given, dys)
        if isinstance(hand, dict):
            return hand
        raise TypeError(f"check_backward: backward returned a {type(hand).__name__}, should be a dict such as "
                        f"{{{', '.join(repr('d' + name) + ': ...' for name in self.problem.names)}}}")  # fmt: skip

    def call(self, backward: Any, given: dict[str, np.ndarray], dys: list[np.ndarray]) -> Any:
        return backward(*given.values(), *dys)

    def batched(self) -> list[str]:
        """The arguments that have a row for each sample."""
        return list(self.given)

    def given_the_upstream(self, hand: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], Any, Any]:
        """What every gradient should be if those by hand before it were right; its parts; what is passed on."""
        instead = {self.by_name[name]: np.asarray(g, np.float64) for name, g in hand.items() if self._fits(name, g)}
        totals, parts = self.recording.pull(self.cotangents, instead)
        return (
            {name: self._or_zeros(totals, number) for name, number in self.by_name.items()},
            parts,
            {**totals, **instead},
        )

    def _fits(self, name: str, g: Any) -> bool:
        number = self.by_name.get(name)
        made = number is not None and self.recording.values[number].kind == "operation"
        return made and np.shape(g) == self.recording.values[number].shape  # type: ignore[index]

    def parts(self, name: str, parts: Mapping[Any, np.ndarray]) -> dict[str, np.ndarray]:
        """What the gradient ``name`` is the sum of, by words for where each comes from."""
        number = self.by_name[name]
        found = {"in from outside": self.cotangents[number]} if number in self.cotangents else {}
        for edge in self.recording.edges:
            if edge.source == number and (edge.target, edge.operand) in parts:
                target = self.recording.values[edge.target]
                symbol = target.detail or target.symbol
                where = f"through {target.name}, its {symbol}" if target.name else f"through its {symbol}"
                where += f" ({len(found)})" if where in found else ""
                found[where] = parts[edge.target, edge.operand]
        return found


class _CellCase(Case):
    """A cell: its backward takes the gradients by the new states by name."""

    cell: Cell

    def call(self, backward: Any, given: dict[str, np.ndarray], dys: list[np.ndarray]) -> Any:
        order = self.batched()
        positional = [given.pop(name) for name in order]
        return backward(*positional, **given, **{f"d{name}": dy for name, dy in zip(self.cell.states, dys)})

    def batched(self) -> list[str]:
        return [self.cell.input, *self.cell.states]


def _of_cell(cell: Cell, inputs: Any, params: Mapping[str, Any], rng: Any, sizes: Mapping[str, int]) -> Case:
    order = [cell.input, *cell.states]
    named = {**dict(zip(order, inputs)), **params}
    given = {**sample(cell, rng, sizes), **named} if not inputs else named
    given = {name: _exact(x) if name in [*order, *cell.params] else x for name, x in given.items()}
    made = _CellCase(cell.name, given, record_step(cell, given), by_name(cell), rng)
    made.cell = cell
    for name, param in cell.params.items():
        if param.blocks:
            made.blocks.setdefault(given[name].shape[-1], param.blocks)
    return made


def _exact(x: Any) -> np.ndarray:
    """An input as float64, so that rounding hides nothing; integers as they are."""
    array = np.asarray(value(x))
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _of_function(f: Callable[..., Any], inputs: Any, rng: np.random.Generator) -> Case:
    if not inputs:
        raise TypeError("check_backward: a function needs inputs: check_backward(f, backward, x, w)")
    names = argument_names(f, len(inputs))
    given = {name: _exact(x) for name, x in zip(names, inputs)}
    recording, result = record(lambda **xs: f(*xs.values()), given, {}, codes(f))
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    names_out = ["y"] if len(results) == 1 else [f"y{k}" for k in range(len(results))]
    recording.finish(dict(zip(names_out, results)), list(given))
    title = getattr(f, "__name__", type(f).__name__)
    return Case(title, given, recording, lambda **xs: f(*xs.values()), rng)


def _rows(case: Case, hand: Mapping[str, Any]) -> list[Row]:
    """One row for each gradient by hand, in its order, then one for each argument that has none."""
    rows = []
    for name, g in hand.items():
        if name not in case.by_name:
            known = f"no such value; there are {', '.join(case.by_name)}"
            rows.append(Row(name, "unchecked", shape=np.shape(g), counts=False, note=known))
        elif g is None or np.asarray(g).dtype.kind not in "fiu":
            rows.append(Row(name, "wrong", np.inf, note=f"is {'None' if g is None else 'no array of numbers'}"))
        else:
            rows.append(_row(case, name, np.asarray(g)))
    absent = [f"d{name}" for name in case.problem.names if f"d{name}" not in hand]
    return rows + [Row(name, "unchecked", note="not returned") for name in absent]


def _row(case: Case, name: str, g: np.ndarray) -> Row:
    right = case.right(name)
    far = case.distance(name, g, right)
    verdict = "right" if far <= CLOSE else "precision" if far <= ROUNDED else "wrong"
    one = row(name, verdict, g, right)
    if g.shape != right.shape:
        one.note = f"should be {right.shape}"
    elif name[1:] in case.problem.names:
        mine = case.checked[case.problem.names.index(name[1:])]
        if mine.verdict == "unchecked":
            one.note = "compared with autograd only: the numbers are too rough"
        elif mine.verdict == "wrong":
            one.note = "compared with numbers: autograd differs from them, so a gradient rule is wrong"
    return one


def _explain(case: Case, hand: Mapping[str, Any], report: Report) -> None:
    """Tell causes from consequences, and look for the mistake in each cause."""
    wrong = [one for one in report.tensors.values() if one.verdict == "wrong" and one.name in case.by_name]
    if not wrong:
        return
    expected, parts, passed = case.given_the_upstream(hand)
    N = len(next(iter(case.problem.exact))) if case.problem.exact[0].ndim else 1
    for one in wrong:
        if hand[one.name] is None:
            continue
        got = np.asarray(hand[one.name], np.float64)
        one.consequence = distance(got, expected[one.name]) <= CLOSE
        if not one.consequence:
            blocks = case.blocks.get(got.shape[-1], ()) if got.ndim else ()
            mine = case.parts(one.name, parts)
            found = diagnose(one.name, got, expected[one.name], mine, expected, {"N": N}, blocks)
            written = slips(case.recording, case.by_name[one.name], expected[one.name], passed, parts)
            report.diagnoses += found or matching(one.name, got, expected[one.name], written)
