"""Grading an exercise: its function is run statement by statement, and each line is judged by itself.

When a line runs, every value before it is right: as soon as a gradient is judged, the right gradient takes its place,
whether the line was right, wrong, blank, or raised. So a mistake is counted once.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..check.numeric.compare import CLOSE
from ..check.numeric.inputs import SIZES
from ..check.report import distance
from ..errors import UserFileError
from ..tracing.sample import record_step, sample
from ..tracing.trace import pull
from .mend import mended
from .result import Answer
from .worksheet import Exercise

Judge = Callable[[str, int, Any, "BaseException | None"], None]


class Answers:
    """The function that answers an exercise, as statements."""

    def __init__(self, exercise: Exercise, function: Any, file: str):
        self.exercise, self.function, self.file = exercise, function, file
        self.source = Path(file).read_text(encoding="utf-8")
        functions = [node for node in ast.parse(self.source).body if isinstance(node, ast.FunctionDef)]
        namesakes = [node for node in functions if node.name == getattr(function, "__name__", "")]
        if not namesakes:
            name = getattr(function, "__name__", type(function).__name__)
            raise UserFileError(f"{file} has no def {name}, should have it, for its lines are graded")
        self.body = namesakes[-1].body
        stored = [_stored(statement) for statement in self.body]
        self.last = {name: k for k, names in enumerate(stored) for name in names}

    def right(self, given: Mapping[str, Any], dys: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The right values of the forward lines, and the right gradients, by their names in the file."""
        trace = record_step(self.exercise.plain, given)
        totals, _ = pull(trace, trace.cotangents(list(dys.values())))
        arrays = {name: trace.arrays[number] for name, number in trace.named().items()}
        values = {name: array for name, array in arrays.items() if name not in given}
        lines = {**{f"d{name}": name for name in values},
                 **{name: called[1:] for name, called in self.exercise.called.items()}}  # fmt: skip
        grads = {line: totals.get(trace.named()[name], np.zeros_like(arrays[name])) for line, name in lines.items()}
        return values, grads

    def spaces(
        self, given: Mapping[str, Any], dys: Mapping[str, Any], right: Mapping[str, Any]
    ) -> Iterator[tuple[int, ast.stmt, dict[str, Any]]]:  # fmt: skip
        """Each statement, with the variables before it; the caller runs it. Then right values replace its values."""
        space = {**getattr(self.function, "__globals__", {}), **_copied({**given, **dys})}
        for k, statement in enumerate(self.body):
            yield k, statement, space
            done = [name for name, last in self.last.items() if last <= k and name in right]
            space.update(_copied({name: right[name] for name in done}))

    def walk(self, given: Mapping[str, Any], dys: Mapping[str, Any], right: Mapping[str, Any], judge: Judge) -> None:
        """Run the statements; call ``judge(name, k, got, error)`` after the last statement k that assigns a value."""
        failed: dict[str, BaseException] = {}
        for k, statement, space in self.spaces(given, dys, right):
            blank = _blank(statement)
            error = None if blank else self.run(statement, space)
            names = [name for name in _stored(statement) if name in right]
            failed.update({name: error for name in names if error is not None})
            if error is not None and not names:
                judge("", k, None, error)
            for name in names:
                if self.last[name] == k:
                    judge(name, k, ... if blank else space.get(name), failed.get(name))

    def run(self, statement: ast.stmt, space: dict[str, Any]) -> BaseException | None:
        """Run one statement; the error that it raised."""
        if isinstance(statement, ast.Return):
            statement = ast.copy_location(ast.Expr(statement.value or ast.Constant(None)), statement)
            ast.fix_missing_locations(statement)
        try:
            with np.errstate(all="ignore"):
                exec(compile(ast.Module([statement], []), self.file, "exec"), space)
        except (Exception, SystemExit) as error:
            return error
        return None

    def random(self, seed: int, sizes: Mapping[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments of the cell and the gradients that come in, by name."""
        rng = np.random.default_rng(seed)
        given = sample(self.exercise.cell, rng, sizes, SIZES)
        return given, {f"d{name}": rng.standard_normal(given[name].shape) for name in self.exercise.cell.states}

    def grade(self, seed: int, sizes: Mapping[str, int]) -> list[Answer]:
        """Judge every line at random inputs; a forward line is reported only if it was changed."""
        given, dys = self.random(seed, sizes)
        values, grads = self.right(given, dys)
        answers: dict[str, Answer] = {}

        def judge(name: str, k: int, got: Any, error: BaseException | None) -> None:
            statement = self.body[k]
            text = ast.get_source_segment(self.source, statement) or ""
            answer = Answer(name or f"line {statement.lineno}", line=statement.lineno, text=textwrap.shorten(text, 90))
            if error is not None:
                answer.verdict, answer.note = "wrong", f"{type(error).__name__}: {error}"
            elif got is not ...:
                self.compare(answer, got, {**values, **grads}[name])
            if name not in values or answer.verdict != "right":
                answers[answer.name] = answer

        self.walk(given, dys, {**values, **grads}, judge)
        missing = [name for name in self.exercise.blanks if name not in answers]
        return [*answers.values(), *(Answer(name, note="there is no line for it") for name in missing)]

    def compare(self, answer: Answer, got: Any, right: np.ndarray) -> None:
        """Right or wrong, and why."""
        if np.asarray(got).dtype.kind not in "fiu":
            answer.verdict, answer.note = "wrong", f"is {type(got).__name__}, should be an array of numbers"
        elif np.shape(got) != right.shape:
            answer.verdict, answer.note = "wrong", f"is {np.shape(got)}, should be {right.shape}"
        else:
            answer.rel_error = distance(got, right)
            answer.verdict = "right" if answer.rel_error <= CLOSE else "wrong"
            given = next((line for line in self.exercise.forward if line.startswith(f"{answer.name} = ")), "")
            if answer.verdict == "wrong" and given:
                answer.note = f"{answer.name} is given as {given}"
            elif answer.verdict == "wrong":
                answer.mistakes = self.mistakes(answer.name)

    def mistakes(self, name: str) -> list[str]:
        """The change that makes the line of a gradient right, as ``old   ->   new``; nothing if none is found."""
        first = next(k for k, statement in enumerate(self.body) if name in _stored(statement))
        cases = [self.before(first, name, seed) for seed in range(2)]
        text = mended(self.function, self.body[first : self.last[name] + 1], name, cases)
        return [text] if text else []

    def before(self, first: int, name: str, seed: int) -> tuple[dict[str, Any], np.ndarray]:
        """The variables before a statement if everything before it is right, and the right gradient ``name``."""
        given, dys = self.random(seed, {})
        values, grads = self.right(given, dys)
        for k, statement, space in self.spaces(given, dys, {**values, **grads}):
            if k == first:
                break
            self.run(statement, space)
        return space, grads[name]


def _copied(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Copies, so that a statement that writes into its arrays does not change what others are compared with."""
    return {name: np.array(array) for name, array in arrays.items()}


def _blank(statement: ast.stmt) -> bool:
    """Is there a ``...`` in it that is no index?"""
    nodes = list(ast.walk(statement))
    indices = [part for node in nodes if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)]
    return any(isinstance(node, ast.Constant) and node.value is ... and node not in indices for node in nodes)


def _stored(statement: ast.stmt) -> list[str]:
    """The names that a statement binds or writes into."""
    names = []
    for node in ast.walk(statement):
        if isinstance(node, (ast.Name, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            while isinstance(node, ast.Subscript):
                node = node.value
            names += [node.id] if isinstance(node, ast.Name) else []
    return list(dict.fromkeys(names))
