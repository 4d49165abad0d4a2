"""The result of a check: data first, then a table, then sentences."""

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
#: Kinds of diagnoses of something that could not be checked; other kinds are mistakes.
UNSURE = ("protocol: repeats", "protocol: compared")


@dataclass
class Row:
    """A gradient with its verdict. ``rel_error`` is ‖got - right‖ / max(‖got‖, ‖right‖).

    ``worst`` is the element with the largest error: its index and both values. ``got`` and ``right`` are norms.
    ``consequence`` is True for a gradient that is wrong only because it is computed correctly from a wrong one, or from
    the one line that is wrong.
    ``counts`` is False for an extra that does not influence the verdict of the report. ``cosine`` is the cosine of the
    angle between the two gradients, ``ratio`` the ratio of their norms. ``autograd`` and ``numbers`` are the errors
    against each of the two references. ``blocks`` are the rows of the gates of a stacked gradient that is wrong.
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
    """A mistake that explains the numbers, or of kind "protocol: ..." a violation of the contract.

    The right gradient with this mistake differs from the checked gradient by ``match``. ``group`` is the number of the
    mistake. ``way`` is the wrong backward edge, if there is one: (value, its reader). A mistake that was found in the
    user's source has the ``file``, the ``line``, the ``column``, the ``function``, the ``old`` lines and the ``new``
    ones, with which every gradient is right, the ``diff``, and what the line ``holds`` when it is right, in words.
    """

    kind: str
    tensor: str
    text: str
    match: float
    group: int = 0
    way: tuple[str, str] | None = None
    file: str = ""
    line: int | None = None
    function: str = ""
    old: str = ""
    new: str | None = None
    diff: str = ""
    column: int | None = None  # of ``line``, from 1: where ``old`` and ``new`` begin to differ
    holds: str = ""

    def __post_init__(self) -> None:
        if self.line is not None and self.column is None:
            self.column = _first_difference(self.old, self.new)


@dataclass
class Report:
    """The result of a check. ``tensors`` maps the names of the gradients to their rows, in the order of the check.

    ``ok`` is True if everything was checked and is right up to rounding. ``smallest`` is the smallest case that is
    still wrong, for example {"N": 1, "T": 2, "still": True}, where "still" means zero states. ``evidence`` says in
    which cases it is wrong. ``searched`` is True if a line was looked for. ``notes`` are remarks that are no mistakes.
    """

    title: str
    tensors: dict[str, Row] = field(default_factory=dict)
    diagnoses: list[Diagnosis] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    smallest: dict[str, Any] = field(default_factory=dict)
    evidence: str = ""
    searched: bool = False

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`. "precision" is right up to rounding; "unchecked" also if there was nothing to check."""
        verdicts = [row.verdict for row in self.tensors.values() if row.counts]
        verdicts += ["unchecked" if violation.kind in UNSURE else "wrong" for violation in self._split()[1]]
        return max(verdicts, key=VERDICTS.index, default="unchecked")

    @property
    def ok(self) -> bool:
        return self.verdict in ("right", "precision")

    @property
    def first_wrong(self) -> str | None:
        """The first wrong gradient that is no consequence of another; None if there is none."""
        wrong = [row for row in self.tensors.values() if row.verdict == "wrong"]
        causes = [row for row in wrong if not row.consequence]
        return (causes or wrong or [Row("", "")])[0].name or None

    @property
    def lines(self) -> list[Diagnosis]:
        """The diagnoses that name a line of the user's source."""
        return [diagnosis for diagnosis in self.diagnoses if diagnosis.line is not None]

    @property
    def guilty(self) -> list[tuple[str, str]]:
        """The wrong backward edges, for ``draw(cell, mark=report.guilty)``; of each group of mistakes, the first."""
        firsts = {mistake.group: mistake.way for mistake in reversed(self._split()[0])}
        return [way for way in reversed(list(firsts.values())) if way is not None]

    def assert_ok(self) -> None:
        """Raise `CheckError` with the whole report unless ``ok``."""
        if not self.ok:
            raise CheckError(f"\n{self}")

    def to_json(self) -> str:
        """The whole report as JSON; NaN and inf become null."""
        verdict = {"title": self.title, "ok": self.ok, "verdict": self.verdict, "first_wrong": self.first_wrong}
        fields = {name: part for name, part in asdict(self).items() if name != "searched"}
        return json.dumps(_plain(verdict | fields), ensure_ascii=False)

    def __str__(self) -> str:
        return "\n".join([self.title, *self.table(), *self.words()])

    def table(self) -> list[str]:
        """The lines of the table; a wrong row that is no consequence is followed by its blocks."""
        head = ("", "shape", "‖got‖", "‖right‖", "cosine", "ratio", "rel error", "autograd", "numbers", "verdict", "")
        lines: list[tuple[str, ...]] = [head]
        for row in self.tensors.values():
            lines += [_cells(row), *(_cells(block) for block in row.blocks.values() if not row.consequence)]
        used = [k for k in range(len(head)) if any(line[k] for line in lines[1:])]
        widths = {k: max(len(line[k]) for line in lines) for k in used}
        return ["  ".join(line[k].ljust(widths[k]) for k in used).rstrip() for line in lines]

    def words(self) -> list[str]:
        """The verdict and the diagnoses in sentences."""
        lines = [f"verdict: {self.verdict}"]
        if self.first_wrong:
            lines.append(f"first wrong: {self.first_wrong}{_at(self.tensors[self.first_wrong].worst)}")
            follow = [row.name for row in self.tensors.values() if row.consequence]
            cause = "the mistake below" if self.first_wrong in follow else "it"  # a line, or another gradient
            lines += [f"these follow from {cause}: {', '.join(follow)}"] if follow else []
            lines += [f"smallest case that fails: {_case(self.smallest)}"] if self.smallest else []
            lines += [f"it fails {self.evidence}"] if self.evidence else []
        mistakes, violations = self._split()
        if self.first_wrong and self.searched and not mistakes:
            lines.append("no line was found whose change makes all gradients right; the first wrong one is named above")
        lines += [f"mistake: {mistake.text}" for mistake in mistakes]
        lines += [f"protocol: {text}" for text in _together(violations)]
        return lines + [f"note: {text}" for text in self.notes]

    def _split(self) -> tuple[list[Diagnosis], list[Diagnosis]]:
        """The mistakes, and the violations of the contract."""
        violations = [diagnosis for diagnosis in self.diagnoses if diagnosis.kind.startswith("protocol")]
        return [diagnosis for diagnosis in self.diagnoses if diagnosis not in violations], violations


def _first_difference(old: str, new: str | None) -> int:
    """The column of the first line, from 1, where it is changed; where its text begins if there is no other."""
    first = old.split("\n")[0]
    same = sum(first.startswith((new or "")[: k + 1]) for k in range(min(len(first), len(new or ""))))
    return max(same, len(first) - len(first.lstrip())) + 1


def _cells(row: Row) -> tuple[str, ...]:
    """The cells of a line of the table."""
    values = (row.got, row.right, row.cosine, row.ratio, row.rel_error, row.autograd, row.numbers)
    numbers = ["" if x is None else f"{x + 0.0:.3g}" for x in values]  # + 0.0: -0 is 0
    return (row.name, str(row.shape), *numbers, row.verdict, "follows" if row.consequence else row.note)


def _together(violations: list[Diagnosis]) -> list[str]:
    """The text of each violation, once for all gradients that it concerns."""
    names_by_text: dict[str, list[str]] = {}
    for diagnosis in violations:
        names_by_text.setdefault(diagnosis.text.removeprefix(f"{diagnosis.tensor}: "), []).append(diagnosis.tensor)
    return [f"{', '.join(names)}: {text}" if names[0] else text for text, names in names_by_text.items()]


def _case(smallest: dict[str, Any]) -> str:
    sizes = [f"{letter} = {n}" for letter, n in smallest.items() if letter != "still"]
    states = ["states zero" if smallest["still"] else "states not zero"] if "still" in smallest else []
    return ", ".join([*sizes, *states])


def _at(worst: dict[str, Any] | None) -> str:
    text = "; worst at {index}: {got:.6g}, should be {right:.6g}"
    return text.format(**worst | {key: worst[key] + 0.0 for key in ("got", "right")}) if worst else ""


def _plain(x: Any) -> Any:
    """The data with None for NaN and inf."""
    if isinstance(x, dict):
        return {key: _plain(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(value) for value in x]
    return None if isinstance(x, float) and not math.isfinite(x) else x


def distance(got: Any, right: Any) -> float:
    """‖got - right‖ / max(‖got‖, ‖right‖): 0 where they are equal, 2 where the sign is flipped, inf for NaN.

    Nothing in it is absolute: 1e-200 is as far from -1e-200 as 1 from -1.
    """
    got, right = np.asarray(got, np.float64), np.asarray(right, np.float64)
    if got.shape != right.shape or not (np.isfinite(got).all() and np.isfinite(right).all()):
        return math.inf
    scale = max(norm(got), norm(right))
    return norm(got / 2 - right / 2) / scale * 2 if scale else 0.0


def row(name: str, verdict: str, got: Any, right: Any) -> Row:
    """A row with everything that follows from the two arrays."""
    got, right = np.asarray(got, np.float64), np.asarray(right, np.float64)
    result = Row(name, verdict, distance(got, right), None, got.shape, norm(got), norm(right))
    if got.shape == right.shape and got.size:
        off = np.nan_to_num(np.abs(got - right), nan=np.inf)
        index = np.unravel_index(int(np.argmax(off)), off.shape)
        result.worst = {"index": tuple(map(int, index)), "got": float(got[index]), "right": float(right[index])}
        if result.got and result.right and math.isfinite(result.got) and math.isfinite(result.right):
            result.cosine = float(np.sum(got / result.got * (right / result.right)))
            result.ratio = result.got / result.right
    return result
