"""From rows that are wrong to words: causes and consequences, the smallest case that fails, the mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..numeric.compare import CLOSE
from ..report import Diagnosis, Report, distance
from .case import Case
from .comparison import Edits
from .search import Explained, Search
from .shrink import corners
from .tape import Edit
from .targets import Subject
from .tolerated import excuse

LONG = 200  # letters; what takes more is told in another way, if there is one
MOST = 4  # of equal mistakes, so many are told


def explain(subject: Subject, case: Case, report: Report, seed: int) -> None:
    """Tell causes from consequences, find the smallest case that fails, and look for the mistakes."""
    excuse(case, report)
    wrong = [one for one in report.tensors.values() if one.verdict == "wrong" and one.name in case.lines]
    if not wrong:
        return
    upstream = case.expected()
    for one in wrong:
        got = np.asarray(case.hand[one.name], np.float64)
        one.consequence = distance(got, upstream[one.name]) <= CLOSE
    if all(one.consequence for one in wrong):  # each follows from another: then it is none's consequence alone
        wrong[0].consequence = False
    exact = subject.exactly()
    if any(one.verdict == "wrong" for one in case.checked):
        return  # a rule of our own is wrong: nothing that is said of the user's would be sure
    report.searched = True
    report.smallest, report.evidence = corners(exact, seed)
    found = Search(*_cases(exact, seed, False)).run()
    if case.doubtful and (not found.sets or found.left or len(found.sets[0]) > 1):
        inner = Search(*_cases(exact, seed, True)).run()
        found = min([found, inner], key=_left)
    report.diagnoses += told(found, case)
    report.unexplained = found.left if found.sets else []


def _left(found: Explained) -> tuple[bool, int, int]:
    """By what explanations are compared: what they leave unexplained, then how many mistakes they take."""
    return not found.sets, len(found.left), len(found.sets[0]) if found.sets else 0


def _cases(subject: Subject, seed: int, inside: bool) -> Any:
    """The whole case, smaller ones, and another; ``inside``, if what is doubtful is the gradient of the sum inside."""

    def made(at: int, **small: Any) -> Case:
        case = subject.case(at, **small)
        case.take(subject.ask(case), inside)
        return case

    def tried(at: int, **small: Any) -> Case | None:
        try:
            return made(at, **small)
        except Exception:  # of the user's code, which need not run on other inputs and sizes than it was given
            return None

    whole = made(seed)
    smaller = [tried(seed, small={"T": T}) for T in (1, 2)] if "T" in subject.letters else []
    smaller = [one for one in smaller if one is not None and one.tape.counts["T"] < whole.tape.counts["T"]]
    return whole, smaller, lambda: tried(seed + 1)


def told(found: Explained, case: Case) -> list[Diagnosis]:
    """The mistakes as diagnoses: those that no number tells apart have one ``group``."""
    if not found.sets:
        return []
    order = {name: k for k, name in enumerate(case.hand)}
    first, made = sorted(found.sets[0], key=lambda one: order.get(one.tensor.split(".")[0], -1)), []
    for group, edit in enumerate(first):
        others = [other for edits in found.sets[1:] for other in edits if _instead(edit, other, first, edits)]
        likely = _likely([edit, *others])[:MOST]
        made += [Diagnosis(one.kind, one.tensor, one.text, found.match, group, one.way) for one in likely]
    return made


def _instead(edit: Edit, other: Edit, first: Sequence[Edit], edits: Edits) -> bool:
    """Does ``edits`` have ``other`` where ``first`` has ``edit``?"""
    rest = [one for one in first if one is not edit]
    return other not in first and all(one in edits for one in rest) and edit not in edits


def _likely(edits: Sequence[Edit]) -> list[Edit]:
    """Each mistake once: as a line to change, if it can be; of the whole rather than of a block; by a factor's name."""
    ordered = sorted(edits, key=lambda one: (one.rank, "->" not in one.text))
    ordered = [one for one in ordered if one.rank <= ordered[0].rank + 2]
    ordered = [one for one in ordered if one.kind != "extra"] or ordered
    ordered = [one for one in ordered if len(one.text) <= LONG] or ordered[:1]
    kept: list[Edit] = []
    for one in ordered:
        same = [k for k, other in enumerate(kept) if _root(other) == _root(one) or _told(other) == _told(one)]
        if not same:
            kept.append(one)
        elif "->" in one.text and "->" not in kept[same[0]].text:
            kept[same[0]] = one
    named = [one for one in kept if "times what it should be" not in one.text]
    return named or kept


def _told(edit: Edit) -> tuple[str, str]:
    return edit.kind, edit.tensor


def _root(edit: Edit) -> tuple[str, str]:
    return edit.kind, edit.tensor.split(".")[0] if not edit.along else edit.tensor
