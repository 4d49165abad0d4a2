"""What came of grading an exercise: data first, then a table and what is left to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import numpy as np

NOT_YET = "not yet"


@dataclass
class Answer:
    """One line of an answer: a gradient by its name, or a statement that does not run."""

    name: str
    verdict: str = NOT_YET
    line: int | None = None
    text: str = ""
    rel_error: float | None = None
    note: str = ""
    mistakes: list[str] = field(default_factory=list)


@dataclass
class Grades:
    """``answers`` in the order of the file; ``whole``: what is amiss with the function if all its lines are right."""

    title: str
    answers: list[Answer]
    whole: str = ""
    hint: str = ""

    @property
    def ok(self) -> bool:
        return self.verdict == "right"

    @property
    def verdict(self) -> str:
        """ "right", "wrong", or "not yet": nothing wrong, and something left to do."""
        found = [one.verdict for one in self.answers]
        wrong = "wrong" in found or bool(self.whole) or not found
        return "wrong" if wrong else NOT_YET if NOT_YET in found else "right"

    @property
    def first(self) -> Answer | None:
        """The first line that is not right."""
        return next((one for one in self.answers if one.verdict != "right"), None)

    def to_json(self) -> str:
        data = {"title": self.title, "ok": self.ok, "verdict": self.verdict, "whole": self.whole, "hint": self.hint}
        lines = [{**asdict(one), "rel_error": _finite(one.rel_error)} for one in self.answers]
        return json.dumps({**data, "lines": lines}, ensure_ascii=False)

    def __str__(self) -> str:
        wide = max([len(one.name) for one in self.answers] or [0])
        rows = []
        for one in self.answers:
            where = f"line {one.line}" if one.line else ""
            rows.append(f"{where:>9}  {one.name:{wide}}  {one.verdict:7}  {one.text}".rstrip())
            rows += [f"{'':>{wide + 13}}{text}" for text in [one.note, *one.mistakes] if text]
        return "\n".join([self.title, *rows, *self.words()])

    def words(self) -> list[str]:
        """What is done, and what is left to do."""
        kinds = {kind: [one.name for one in self.answers if one.verdict == kind] for kind in ("wrong", NOT_YET)}
        right = sum(one.verdict == "right" for one in self.answers)
        said = [f"{right} of {len(self.answers)} lines are right"]
        said += [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
        said += [f"verdict: {self.verdict}"] if self.ok else []
        said += [self.whole] if self.whole else []
        return said + ([f"hint: {self.hint}"] if self.hint else [])


def _finite(x: float | None) -> float | None:
    return x if x is not None and np.isfinite(x) else None
