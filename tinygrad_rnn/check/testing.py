"""A check as tests of pytest's, one for each gradient, so that a run tells by name which are wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import CheckError, MissingDependency
from .report import Report

MANNERS = "manners"  # the id of the test of all that is not one gradient's


@dataclass(frozen=True)
class Gradient:
    """One gradient of a report, or its ``manners``: what callers rely on beside the numbers."""

    name: str
    report: Report

    def assert_ok(self) -> None:
        """Raise `CheckError`, with all of the report, if this one is wrong or unchecked."""
        if self.name == MANNERS:
            broken = [one for one in self.report.diagnoses if one.kind.startswith("protocol")]
            if broken or not self.report.tensors:
                raise CheckError(f"\n{self.report}")
        elif self.report.tensors[self.name].verdict not in ("right", "precision"):
            raise CheckError(f"{self.name}\n{self.report}")


def each_gradient(check: Callable[[], Report]) -> Any:
    """A mark for a test with an argument ``gradient``: it runs once for each gradient of the report, with its id::

        @each_gradient(lambda: check_backward(lstm, lstm_bptt))
        def test_my_lstm(gradient):
            gradient.assert_ok()

    gives ``test_my_lstm[dWx]``, ``test_my_lstm[dWh]``, ... and ``test_my_lstm[manners]``. The check runs once, when the
    tests are collected. Needs pytest.
    """
    try:
        import pytest
    except ImportError as error:
        raise MissingDependency("each_gradient needs pytest: pip install 'tinygrad-rnn[test]'") from error
    report = check()
    names = [name for name, row in report.tensors.items() if row.counts]
    return pytest.mark.parametrize("gradient", [Gradient(name, report) for name in [*names, MANNERS]],
                                   ids=[*names, MANNERS])  # fmt: skip
