"""The debugger runs only in tests that are about lines and patches: elsewhere it would take most of the time."""

import pytest

from tinygrad_rnn.check import mistakes

LINES = ("test_debugger", "test_lines", "test_quantity")


@pytest.fixture
def searched():
    """Requested by a test that wants the debugger."""


@pytest.fixture(autouse=True)
def _unsearched(request, monkeypatch):
    if request.module.__name__.rpartition(".")[2] not in LINES and "searched" not in request.fixturenames:
        monkeypatch.setattr(mistakes, "diagnoses", lambda job: [])
