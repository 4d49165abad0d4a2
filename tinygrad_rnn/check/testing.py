"""A check as pytest tests, one for each gradient, so that a test run names the wrong gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import CheckError, MissingDependency
from .report import Report

CONTRACT = "manners"  # the id of the test of the contract, which belongs to no single gradient


@dataclass(frozen=True)
class Gradient:
    """A gradient of a report; the name "manners" stands for the contract: what callers rely on, apart from numbers."""

    name: str
    report: Report

    def assert_ok(self) -> None:
        """Raise `CheckError` with the whole report if this gradient is wrong or unchecked."""
        if self.name == CONTRACT:
            broken = [diagnosis for diagnosis in self.report.diagnoses if diagnosis.kind.startswith("protocol")]
            if broken or not self.report.tensors:
                raise CheckError(f"\n{self.report}")
        elif self.report.tensors[self.name].verdict not in ("right", "precision"):
            raise CheckError(f"{self.name}\n{self.report}")


def each_gradient(check: Callable[[], Report]) -> Any:
    """A mark for a test with an argument ``gradient``. The test runs once for each gradient of the report::

        @each_gradient(lambda: check_backward(lstm, lstm_bptt))
        def test_my_lstm(gradient):
            gradient.assert_ok()

    defines ``test_my_lstm[dWx]``, ``test_my_lstm[dWh]``, ... and ``test_my_lstm[manners]`` for the contract. The check
    runs once, when the tests are collected. Raises MissingDependency without pytest.
    """
    try:
        import pytest
    except ImportError as error:
        raise MissingDependency("each_gradient needs pytest: pip install 'tinygrad-rnn[test]'") from error
    report = check()
    names = [name for name, row in report.tensors.items() if row.counts]
    return pytest.mark.parametrize("gradient", [Gradient(name, report) for name in [*names, CONTRACT]],
                                   ids=[*names, CONTRACT])  # fmt: skip
