"""Grading an exercise: its function is run statement by statement, and each line is judged by itself.

When a line runs, every value before it is right: as soon as a gradient is judged, the right gradient takes its place,
whether the line was right, wrong, blank, or raised. So a mistake is counted once.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..cells.probe import choose
from ..check.backward import check_backward
from ..check.gradients import CLOSE, SIZES
from ..check.report import distance
from ..errors import UserFileError
from ..tracing.sample import record_step, sample
from ..tracing.trace import pull
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

    def walk(self, given: Mapping[str, Any], dys: Mapping[str, Any], right: Mapping[str, Any], judge: Judge) -> None:
        """Run the statements; call ``judge(name, k, got, error)`` after the last statement k that assigns a value."""
        space = {**getattr(self.function, "__globals__", {}), **_copied({**given, **dys})}
        failed: dict[str, BaseException] = {}
        for k, statement in enumerate(self.body):
            blank = _blank(statement)
            error = None if blank else self.run(statement, space)
            names = [name for name in _stored(statement) if name in right]
            failed.update({name: error for name in names if error is not None})
            if error is not None and not names:
                judge("", k, None, error)
            for name in names:
                if self.last[name] == k:
                    judge(name, k, ... if blank else space.get(name), failed.get(name))
            done = [name for name, last in self.last.items() if last <= k and name in right]
            space.update(_copied({name: right[name] for name in done}))

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
        """The diagnoses of the checker if all other lines are right, in the names of the file."""
        exercise, asked = self.exercise, self.exercise.called.get(name, name)
        renamed = {called: line_name for line_name, called in exercise.called.items()}
        renamed |= {f"d{value}": f"d{state}" for value, state in zip(exercise.new, exercise.cell.states)
                    if f"d{value}" not in exercise.blanks}  # fmt: skip
        report = check_backward(exercise.plain, self.alone(name), sizes=choose(exercise.cell, {}, SIZES))
        diagnoses = [each for each in report.diagnoses if each.tensor.split(".")[0] == asked and ":" not in each.kind]
        swap = {called: line_name for called, line_name in renamed.items() if called != line_name}
        pattern = rf"\b({'|'.join(swap)})\b(?! that comes in)"  # dh that comes in is called dh
        texts = [re.sub(pattern, lambda m: swap[m[0]], diagnosis.text) for diagnosis in diagnoses]
        return list(dict.fromkeys(texts))

    def alone(self, name: str) -> Callable[..., dict[str, Any]]:
        """A backward that is right except for a single line."""
        order, states = [self.exercise.cell.input, *self.exercise.cell.states], self.exercise.cell.states

        def backward(*inputs: Any, **named: Any) -> dict[str, Any]:
            dys = {f"d{state}": named.pop(f"d{state}") for state in states}
            given = {**dict(zip(order, inputs)), **named}
            values, grads = self.right(given, dys)
            gradients = dict(grads)

            def judge(judged: str, k: int, got: Any, error: BaseException | None) -> None:
                gradients.update({judged: got} if judged == name and error is None else {})

            self.walk(given, dys, {**values, **grads}, judge)
            return {self.exercise.called.get(key, key): grad for key, grad in gradients.items()}

        return backward


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
