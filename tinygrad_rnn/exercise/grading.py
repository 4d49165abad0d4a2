"""Grade an answer to an exercise: its lines, then what it returns if they are right, else a hint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..cells.cell import Cell
from ..check.backward import check_backward
from ..check.numeric.compare import CLOSE
from ..check.report import distance
from ..errors import UserFileError
from .grade import Answers
from .hints import LEVELS, Hints
from .result import Grades
from .worksheet import Exercise


def graded(place: str, backward: Any, cell: Cell, seed: int, sizes: Mapping[str, int], level: int) -> Grades:
    """Grade ``backward``, the object at ``place`` (``FILE.py:NAME``), as an answer to the exercise on ``cell``.

    ``level`` is how much of a hint to give, from 1 to 3; 0 is none. Raises UserFileError if it is no function.
    """
    file, _, name = place.rpartition(":")
    exercise = Exercise(cell)
    if name != f"{exercise.name}_backward" and not callable(backward):
        raise UserFileError(f"{name} is a {type(backward).__name__}, should be the function {exercise.name}_backward")
    answers = Answers(exercise, backward, file)
    grades = Grades(f"{place}: the backward of {cell.name}, line by line", answers.grade(seed, sizes))
    if grades.ok:
        report = check_backward(cell, backward, seed=seed, sizes=sizes)
        grades.whole = "" if report.ok else f"the lines are right, but not what the function returns:\n{report}"
    elif level:
        grades.hint = hint(answers, grades, level)
    return grades


def hint(answers: Answers, grades: Grades, level: int) -> str:
    """A hint for the first line that is not right."""
    first, hints = grades.first, Hints(answers.exercise)
    assert first is not None
    if first.name not in hints.numbers:
        return f"{first.name} comes first: it is not one of the gradients, but they need it"
    return f"({level} of {LEVELS}) {hints.hint(first.name, level, holds(answers, first.name))}"


def holds(answers: Answers, name: str) -> Callable[[str], bool]:
    """A function that tells whether a formula in NumPy gives the right gradient ``name`` in the place of its line."""
    given, dys = answers.random(0, {})
    values, grads = answers.right(given, dys)
    space = {**getattr(answers.function, "__globals__", {}), **given, **dys, **values, **grads}
    space |= answers.exercise.sizes_of(given)

    def right(text: str) -> bool:
        try:
            return distance(eval(text, dict(space)), grads[name]) <= CLOSE
        except Exception:  # it reads a name that the file does not have
            return False

    return right
