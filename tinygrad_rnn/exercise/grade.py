"""Grading an exercise: its function is walked statement by statement, and each line judged by itself.

All that a statement before it should have made is right when a line runs: as soon as a gradient is judged, the right
one takes its place, whether what stood there was right, wrong, blank, or did not run. So one mistake is one mistake.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

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
        found = [one for one in ast.parse(self.source).body if isinstance(one, ast.FunctionDef)]
        own = [one for one in found if one.name == getattr(function, "__name__", "")]
        if not own:
            name = getattr(function, "__name__", type(function).__name__)
            raise UserFileError(f"{file} has no def {name}, should have it, for its lines are graded")
        self.body = own[-1].body
        stored = [_stored(statement) for statement in self.body]
        self.last = {name: k for k, names in enumerate(stored) for name in names}

    def right(self, given: Mapping[str, Any], dys: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the forward lines should make, and what all gradients should be, by their names in the file."""
        recording = record_step(self.exercise.plain, given)
        totals, _ = pull(recording, recording.cotangents(list(dys.values())))
        numbers = recording.named()
        lines = {f"d{name}": name for name in numbers if name not in given}
        lines |= {name: called[1:] for name, called in self.exercise.called.items()}
        zeros = {name: np.zeros(recording.values[numbers[of]].shape or ()) for name, of in lines.items()}
        return self.exercise.values(given), {name: totals.get(numbers[of], zeros[name]) for name, of in lines.items()}

    def walk(self, given: Mapping[str, Any], dys: Mapping[str, Any], right: Mapping[str, Any], judge: Judge) -> None:
        """Run the statements; ``judge(name, k, got, error)`` when statement k was the last that makes a known value."""
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
        given = sample(self.exercise.cell, rng, self.exercise.step.tie({**SIZES, **sizes}))
        return given, {f"d{name}": rng.standard_normal(given[name].shape) for name in self.exercise.cell.states}

    def grade(self, seed: int, sizes: Mapping[str, int]) -> list[Answer]:
        """Judge every line at random inputs; of the forward, only what is not as it was given."""
        given, dys = self.random(seed, sizes)
        values, grads = self.right(given, dys)
        found: dict[str, Answer] = {}

        def judge(name: str, k: int, got: Any, error: BaseException | None) -> None:
            statement = self.body[k]
            text = ast.get_source_segment(self.source, statement) or ""
            one = Answer(name or f"line {statement.lineno}", line=statement.lineno, text=textwrap.shorten(text, 90))
            if error is not None:
                one.verdict, one.note = "wrong", f"{type(error).__name__}: {error}"
            elif got is not ...:
                self.compare(one, got, {**values, **grads}[name])
            if name not in values or one.verdict != "right":
                found[one.name] = one

        self.walk(given, dys, {**values, **grads}, judge)
        missing = [name for name in self.exercise.blanks if name not in found]
        return [*found.values(), *(Answer(name, note="there is no line for it") for name in missing)]

    def compare(self, one: Answer, got: Any, right: np.ndarray) -> None:
        """Right or wrong, and why."""
        if np.asarray(got).dtype.kind not in "fiu":
            one.verdict, one.note = "wrong", f"is {type(got).__name__}, should be an array of numbers"
        elif np.shape(got) != right.shape:
            one.verdict, one.note = "wrong", f"is {np.shape(got)}, should be {right.shape}"
        else:
            one.rel_error = distance(got, right)
            one.verdict = "right" if one.rel_error <= CLOSE else "wrong"
            given = next((line for line in self.exercise.forward if line.startswith(f"{one.name} = ")), "")
            if one.verdict == "wrong" and given:
                one.note = f"{one.name} is given as {given}"
            elif one.verdict == "wrong":
                one.mistakes = self.mistakes(one.name)

    def mistakes(self, name: str) -> list[str]:
        """What the checker finds if this line is the only one that is not right, in the names of the file."""
        asked, made = self.exercise.called.get(name, name), self.exercise
        renamed = {called: own for own, called in made.called.items()}
        renamed |= {f"d{new}": f"d{state}" for new, state in zip(made.new, made.cell.states)
                    if f"d{new}" not in made.blanks}  # fmt: skip
        report = check_backward(made.plain, self.alone(name), sizes=made.step.tie(SIZES))
        found = [one for one in report.diagnoses if one.tensor.split(".")[0] == asked and ":" not in one.kind]
        swap = {old: new for old, new in renamed.items() if old != new}
        pattern = rf"\b({'|'.join(swap)})\b(?! that comes in)"  # dh that comes in is called dh
        new = [re.sub(pattern, lambda m: swap[m[0]], one.text) for one in found]
        return list(dict.fromkeys(new))

    def alone(self, name: str) -> Callable[..., dict[str, Any]]:
        """A backward that is right but for one line."""
        order, states = [self.exercise.cell.input, *self.exercise.cell.states], self.exercise.cell.states

        def backward(*inputs: Any, **named: Any) -> dict[str, Any]:
            dys = {f"d{state}": named.pop(f"d{state}") for state in states}
            given = {**dict(zip(order, inputs)), **named}
            values, grads = self.right(given, dys)
            found = dict(grads)

            def judge(own: str, k: int, got: Any, error: BaseException | None) -> None:
                found.update({own: got} if own == name and error is None else {})

            self.walk(given, dys, {**values, **grads}, judge)
            return {self.exercise.called.get(one, one): grad for one, grad in found.items()}

        return backward


def _copied(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing that a statement writes into is what others are compared with."""
    return {name: np.array(one) for name, one in arrays.items()}


def _blank(statement: ast.stmt) -> bool:
    """Is there a ``...`` in it that is no index?"""
    indices = [part for one in ast.walk(statement) if isinstance(one, ast.Subscript) for part in ast.walk(one.slice)]
    return any(isinstance(one, ast.Constant) and one.value is ... and one not in indices for one in ast.walk(statement))


def _stored(statement: ast.stmt) -> list[str]:
    """The names that a statement binds or writes into."""
    found = []
    for one in ast.walk(statement):
        if isinstance(one, (ast.Name, ast.Subscript)) and isinstance(one.ctx, ast.Store):
            while isinstance(one, ast.Subscript):
                one = one.value
            found += [one.id] if isinstance(one, ast.Name) else []
    return list(dict.fromkeys(found))
