"""The debugger runs only for tests that request it, and in processes that tests start: it is most of the work."""

import pytest

from tinygrad_rnn.check import mistakes


@pytest.fixture
def searched():
    """Requested by a test that wants the debugger."""


@pytest.fixture(autouse=True)
def _unsearched(request, monkeypatch):
    if "searched" not in request.fixturenames:
        monkeypatch.setattr(mistakes, "diagnoses", lambda job: [])
