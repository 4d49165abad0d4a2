"""Backward passes that are interrupted at a random place and then called again.

An interruption is a KeyboardInterrupt at a random instruction of the library, a gradient rule that raises, or one that
finds no memory. A second call raises, or it is complete: never half of a gradient, and none that is counted twice.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from helpers.random.programs import Program
from helpers.random.ways import grads, total
from tinygrad_rnn.engine.op import OPS

ROOT = str(Path(tg.__file__).parent)
FORMS = ("fn", "accumulate_into", "inplace_dy", "consume_saved", "sum_over_uses", "rows")


class Trip:
    """Counts instructions of the library, and raises at number ``at``."""

    def __init__(self, at: int = -1):
        self.at, self.count = at, 0

    def __call__(self, frame: Any, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith((ROOT, "<operation")):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.instruction

    def instruction(self, frame: Any, event: str, _: Any) -> Any:
        if event == "opcode":
            self.count += 1
            if self.count == self.at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.instruction


@contextmanager
def tracing(trip: Trip) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(trip)
    try:
        yield
    finally:
        sys.settrace(before)


class Calls:
    """Counts the calls of gradient rules; call number ``at`` raises ``error``."""

    def __init__(self, at: int, error: type[BaseException]):
        self.at, self.error, self.count = at, error, 0

    def around(self, right: Callable[..., Any]) -> Callable[..., Any]:
        def rule(*args: Any) -> Any:
            self.count += 1
            if self.count == self.at:
                raise self.error
            return right(*args)

        return rule


@contextmanager
def failing_rules(calls: Calls) -> Iterator[None]:
    """Every form of every rule is counted."""
    with ExitStack() as undo:
        for spec in OPS.values():
            for rule in spec.rules.values():
                for form in FORMS:
                    if (right := getattr(rule, form)) is not None:
                        undo.callback(setattr, rule, form, right)
                        setattr(rule, form, calls.around(right))
        yield


def passes(program: Program, retain: bool, interrupt: Callable[[], Any]) -> tuple[list[Any], Any, bool]:
    """The leaves and the loss of a program after a first pass under ``interrupt()``, and if that was cut short."""
    leaves = program.tensors()
    y = total(program, program.on_tensors(leaves))
    if y is None:
        return leaves, None, False
    try:
        with interrupt():
            y.backward(retain_graph=retain)
    except (KeyboardInterrupt, ArithmeticError, MemoryError):
        return leaves, y, True
    return leaves, y, False


def _close(given: list[Any], right: list[Any], factor: float) -> bool:
    size = max([float(np.abs(r).max(initial=0)) for r in right], default=0.0)
    return all(np.abs(np.asarray(g) - factor * r).max(initial=0) <= 1e-9 * size + 1e-12 for g, r in zip(given, right))


def check(program: Program, seed: int) -> str:
    """One interruption; what the second pass came to."""
    rng = np.random.default_rng(seed)
    retain, by_instruction, trip = bool(rng.random() < 0.5), rng.random() < 0.6, Trip()
    calls = Calls(-1, MemoryError)
    passes(program, retain, lambda: failing_rules(calls))
    if sys.version_info >= (3, 13):  # some instructions of a function are traced from its second traced run on
        passes(program, retain, lambda: tracing(Trip()))
    leaves, y, _ = passes(program, retain, lambda: tracing(trip))
    if y is None:
        return "no gradient"
    right = [np.array(g) for g in grads(leaves)]
    if by_instruction or not calls.count:
        at = int(rng.integers(1, trip.count + 1))
        leaves, y, cut = passes(program, retain, lambda: tracing(Trip(at)))
    else:
        error = [ArithmeticError, MemoryError, KeyboardInterrupt][int(rng.integers(3))]
        at = int(rng.integers(1, calls.count + 1))
        leaves, y, cut = passes(program, retain, lambda: failing_rules(Calls(at, error)))
    if not cut:
        return "not interrupted"
    first = [np.array(g) for g in grads(leaves)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y.backward(retain_graph=retain)
    except Exception:  # the user is told
        return "refused"
    second = grads(leaves)
    done = _close(first, right, 1) and not _close(right, right, 0)
    assert _close(second, right, 2 if done else 1), (
        f"interrupted at {at}, retain_graph={retain}: {[g.tolist() for g in second]}, "
        f"should be {[g.tolist() for g in right]}; after the first pass {[g.tolist() for g in first]}"
    )
    return "complete"
