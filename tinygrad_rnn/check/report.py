"""What a check has found: data first, then a table, then words."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..errors import CheckError
from ..tracing.trace import norm

#: From best to worst; a report is as bad as its worst row.
VERDICTS = ("right", "precision", "unchecked", "wrong")
#: Kinds of diagnoses that say that something could not be checked, and not that it is wrong.
UNSURE = ("protocol: repeats", "protocol: compared")


@dataclass
class Row:
    """One gradient: how far ``got`` is from what is right, ‖got - right‖ / max(‖got‖, ‖right‖).

    ``worst`` is the element that is furthest off: its index and both values. ``consequence`` tells that it follows
    rightly from a wrong one. ``counts`` is False for an extra that the report does not depend on. ``cosine`` is that of
    the angle between both, ``ratio`` that of their norms; ``autograd`` and ``numbers`` are the errors by each of these,
    where both were asked; ``blocks`` are the rows of the gates, of a stacked gradient
    that is wrong.
    """

    name: str
    verdict: str
    rel_error: float | None = None
    worst: dict[str, Any] | None = None
    shape: tuple[int, ...] = ()
    got: float | None = None
    right: float | None = None
    note: str = ""
    consequence: bool = False
    counts: bool = True
    cosine: float | None = None
    ratio: float | None = None
    autograd: float | None = None
    numbers: float | None = None
    blocks: dict[str, Row] = field(default_factory=dict)


@dataclass
class Diagnosis:
    """A mistake that gives these numbers: the right gradient with it is off by ``match`` from the one checked.

    Those of one ``group`` give the same numbers, all of them: no check can tell which it is.
    ``way`` is the way back that is wrong, if it is one: the value, and what reads it.
    Or, of kind "protocol: ...", something that callers rely on and that is not so.
    """

    kind: str
    tensor: str
    text: str
    match: float
    group: int = 0
    way: tuple[str, str] | None = None


@dataclass
class Report:
    """``tensors``: the rows by gradient name, in the order checked. ``ok``: all checked, off by rounding at most.

    ``smallest`` is the smallest case that is still wrong ({"N": 1, "T": 2, "still": True}, from zero states), and
    ``evidence`` what is told by which cases are; ``unexplained`` are gradients, or their blocks, that no diagnosis
    accounts for though there are some; ``searched`` tells that mistakes were looked for. ``notes`` are no mistakes, but
    as well to know.
    """

    title: str
    tensors: dict[str, Row] = field(default_factory=dict)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    smallest: dict[str, Any] = field(default_factory=dict)
    evidence: str = ""
    unexplained: list[str] = field(default_factory=list)
    searched: bool = False

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`: "precision" is right up to rounding; "unchecked" also if there was nothing to check."""
        found = [row.verdict for row in self.tensors.values() if row.counts]
        broken = [one for one in self.diagnoses if one.kind.startswith("protocol")]
        found += ["unchecked" if one.kind in UNSURE else "wrong" for one in broken]
        return max(found, key=VERDICTS.index, default="unchecked")

    @property
    def ok(self) -> bool:
        return self.verdict in ("right", "precision")

    @property
    def first_wrong(self) -> str | None:
        """The first wrong gradient that does not just follow from another."""
        wrong = [row for row in self.tensors.values() if row.verdict == "wrong"]
        causes = [row for row in wrong if not row.consequence]
        return (causes or wrong or [Row("", "")])[0].name or None

    @property
    def guilty(self) -> list[tuple[str, str]]:
        """The ways back that are wrong, for ``draw(cell, mark=report.guilty)``; of equal mistakes, the first."""
        firsts = {one.group: one.way for one in reversed(self.diagnoses) if not one.kind.startswith("protocol")}
        return [way for way in reversed(list(firsts.values())) if way is not None]

    def assert_ok(self) -> None:
        """Raise `CheckError` with all of the report unless ``ok``."""
        if not self.ok:
            raise CheckError(f"\n{self}")

    def to_json(self) -> str:
        """Everything, as JSON; a number that JSON has no word for is null."""
        data = {"title": self.title, "ok": self.ok, "verdict": self.verdict, "first_wrong": self.first_wrong}
        data |= {"tensors": {name: asdict(row) for name, row in self.tensors.items()}}
        data |= {"diagnoses": [asdict(one) for one in self.diagnoses], "notes": self.notes, "smallest": self.smallest}
        data |= {"evidence": self.evidence, "unexplained": self.unexplained}
        return json.dumps(_plain(data), ensure_ascii=False)

    def __str__(self) -> str:
        return "\n".join([self.title, *self.table(), *self.words()])

    def table(self) -> list[str]:
        """The rows in columns; of a wrong one that is no consequence, its blocks too."""
        head = ("", "shape", "‖got‖", "‖right‖", "cosine", "ratio", "rel error", "autograd", "numbers", "verdict", "")
        lines: list[tuple[str, ...]] = [head]
        for one in self.tensors.values():
            lines += [_cells(one), *(_cells(block) for block in one.blocks.values() if not one.consequence)]
        used = [k for k in range(len(head)) if any(line[k] for line in lines[1:])]
        widths = {k: max(len(line[k]) for line in lines) for k in used}
        return ["  ".join(line[k].ljust(widths[k]) for k in used).rstrip() for line in lines]

    def words(self) -> list[str]:
        """The verdict in sentences."""
        said = [f"verdict: {self.verdict}"]
        if self.first_wrong:
            said.append(f"first wrong: {self.first_wrong}{_at(self.tensors[self.first_wrong].worst)}")
            follow = [row.name for row in self.tensors.values() if row.consequence]
            said += [f"these follow from it: {', '.join(follow)}"] if follow else []
            said += [f"smallest case that fails: {_case(self.smallest)}"] if self.smallest else []
            said += [f"it fails {self.evidence}"] if self.evidence else []
        manners = [one for one in self.diagnoses if one.kind.startswith("protocol")]
        said += self._mistakes([one for one in self.diagnoses if one not in manners])
        said += [f"not explained by that: {', '.join(self.unexplained)}"] if self.unexplained else []
        said += [f"protocol: {text}" for text in _together(manners)]
        return said + [f"note: {text}" for text in self.notes]

    def _mistakes(self, mistakes: list[Diagnosis]) -> list[str]:
        """Each mistake, and under it those that no number tells from it."""
        if self.first_wrong and self.searched and not mistakes:
            return ["the mistake is none of those that this check knows; the place is told above"]
        said = []
        for k, one in enumerate(mistakes):
            again = k > 0 and mistakes[k - 1].group == one.group
            said.append(f"  or, which gives the same numbers: {one.text}" if again else f"mistake: {one.text}")
        return said


def _cells(row: Row) -> tuple[str, ...]:
    found = (row.got, row.right, row.cosine, row.ratio, row.rel_error, row.autograd, row.numbers)
    numbers = ["" if x is None else f"{x + 0.0:.3g}" for x in found]  # + 0.0: -0 is 0
    return (row.name, str(row.shape), *numbers, row.verdict, "follows" if row.consequence else row.note)


def _together(manners: list[Diagnosis]) -> list[str]:
    """What is amiss, once for all gradients of which it is so."""
    told: dict[str, list[str]] = {}
    for one in manners:
        told.setdefault(one.text.removeprefix(f"{one.tensor}: "), []).append(one.tensor)
    return [f"{', '.join(names)}: {text}" if names[0] else text for text, names in told.items()]


def _case(smallest: dict[str, Any]) -> str:
    sizes = [f"{letter} = {n}" for letter, n in smallest.items() if letter != "still"]
    states = ["states zero" if smallest["still"] else "states not zero"] if "still" in smallest else []
    return ", ".join([*sizes, *states])


def _at(worst: dict[str, Any] | None) -> str:
    if not worst:
        return ""
    return f"; worst at {worst['index']}: {worst['got'] + 0.0:.6g}, should be {worst['right'] + 0.0:.6g}"


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {key: _plain(one) for key, one in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(one) for one in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x


# -- comparing -------------------------------------------------------------------------------------------------------


def distance(got: Any, right: Any) -> float:
    """‖got - right‖ / max(‖got‖, ‖right‖): 0 where they are equal, 2 where the sign is flipped, inf for NaN.

    There is nothing absolute in it: both are scaled first, so that 1e-200 is as far from -1e-200 as 1 from -1.
    """
    got, right = np.asarray(got, np.float64), np.asarray(right, np.float64)
    if got.shape != right.shape or not (np.isfinite(got).all() and np.isfinite(right).all()):
        return math.inf
    scale = max(np.max(np.abs(got), initial=0.0), np.max(np.abs(right), initial=0.0))
    if scale == 0:
        return 0.0
    got, right = got / scale, right / scale
    return norm(got - right) / max(norm(got), norm(right))


def length(x: np.ndarray) -> float:
    """‖x‖, of numbers whose squares no float has, too; NaN where one of them is."""
    scale = float(np.max(np.abs(x), initial=0.0))
    return scale * norm(x / scale) if 0 < scale < math.inf else scale


def row(name: str, verdict: str, got: Any, right: Any) -> Row:
    """A row with all that can be read off the two arrays."""
    got, right = np.asarray(got, np.float64), np.asarray(right, np.float64)
    made = Row(name, verdict, distance(got, right), None, got.shape, length(got), length(right))
    if got.shape == right.shape and got.size:
        off = np.nan_to_num(np.abs(got - right), nan=np.inf)
        index = np.unravel_index(int(np.argmax(off)), off.shape)
        made.worst = {"index": tuple(map(int, index)), "got": float(got[index]), "right": float(right[index])}
        if made.got and made.right and math.isfinite(made.got) and math.isfinite(made.right):
            made.cosine = float(np.sum(got / made.got * (right / made.right)))
            made.ratio = made.got / made.right
    return made
