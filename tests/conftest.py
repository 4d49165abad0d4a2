"""What holds for every test."""

from collections.abc import Callable

import pytest
from hypothesis import settings

settings.register_profile("tests", deadline=None)  # a slow machine is no mistake
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="run the random tests as full sweeps (hours) instead of samples"
    )


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """``trials(sample, full)``: how many random cases to run, ``full`` under ``pytest --thorough``."""
    thorough = request.config.getoption("--thorough")
    return lambda sample, full: full if thorough else sample


def pytest_configure(config: pytest.Config) -> None:
    """Spread the parts of a full sweep over all workers; a run of samples keeps files whole."""
    if config.getoption("--thorough") and getattr(config.option, "dist", "no") == "loadfile":
        config.option.dist = "load"
