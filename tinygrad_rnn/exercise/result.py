"""The result of grading an exercise: data first, then a table, then what is left to do."""

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
    """``answers`` in the order of the file; ``whole``: the mistake of the function if all its lines are right."""

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
        verdicts = [answer.verdict for answer in self.answers]
        wrong = "wrong" in verdicts or bool(self.whole) or not verdicts
        return "wrong" if wrong else NOT_YET if NOT_YET in verdicts else "right"

    @property
    def first(self) -> Answer | None:
        """The first line that is not right."""
        return next((answer for answer in self.answers if answer.verdict != "right"), None)

    def to_json(self) -> str:
        data = {"title": self.title, "ok": self.ok, "verdict": self.verdict, "whole": self.whole, "hint": self.hint}
        lines = [{**asdict(answer), "rel_error": _finite(answer.rel_error)} for answer in self.answers]
        return json.dumps({**data, "lines": lines}, ensure_ascii=False)

    def __str__(self) -> str:
        wide = max([len(answer.name) for answer in self.answers] or [0])
        rows = []
        for answer in self.answers:
            where = f"line {answer.line}" if answer.line else ""
            rows.append(f"{where:>9}  {answer.name:{wide}}  {answer.verdict:7}  {answer.text}".rstrip())
            rows += [f"{'':>{wide + 13}}{text}" for text in [answer.note, *answer.mistakes] if text]
        return "\n".join([self.title, *rows, *self.words()])

    def words(self) -> list[str]:
        """The lines below the table: what is right, what is left to do, the verdict and the hint."""
        answers, verdicts = self.answers, ("wrong", NOT_YET)
        kinds = {kind: [answer.name for answer in answers if answer.verdict == kind] for kind in verdicts}
        right = sum(answer.verdict == "right" for answer in self.answers)
        said = [f"{right} of {len(self.answers)} lines are right"]
        said += [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
        said += [f"verdict: {self.verdict}"] if self.ok else []
        said += [self.whole] if self.whole else []
        return said + ([f"hint: {self.hint}"] if self.hint else [])


def _finite(x: float | None) -> float | None:
    return x if x is not None and np.isfinite(x) else None
