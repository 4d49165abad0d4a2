"""Grade an answer to an exercise: its lines, then the whole function if all lines are right; give a hint if asked."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ..cells.cell import Cell
from ..check.backward import check_backward
from ..check.gradients import CLOSE, SIZES
from ..check.report import distance
from ..errors import UserFileError
from .grade import Answers
from .hints import LEVELS, Hints
from .result import Grades
from .worksheet import Exercise


def graded(asked: argparse.Namespace, function: Any, cell: Cell) -> Grades:
    """Grade ``function``, an answer to the exercise on ``cell``; ``asked`` are the options of the command line."""
    file, _, name = asked.place.rpartition(":")
    exercise = Exercise(cell)
    if name != f"{exercise.name}_backward" and not callable(function):
        raise UserFileError(f"{name} is a {type(function).__name__}, should be the function {exercise.name}_backward")
    answers = Answers(exercise, function, file)
    seed, title = asked.seed or 0, f"{asked.place}: the backward of {cell.name}, line by line"
    grades = Grades(title, answers.grade(seed, asked.sizes))
    if grades.ok:
        report = check_backward(cell, function, seed=seed, sizes=exercise.step.tie({**SIZES, **asked.sizes}))
        grades.whole = "" if report.ok else f"the lines are right, but not what the function returns:\n{report}"
    elif asked.level:
        grades.hint = hint(answers, grades, asked.level)
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
