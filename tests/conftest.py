"""Options, fixtures and the sampling of tests: what holds for every test."""

import gc
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from hypothesis import settings

from helpers.sampling import left_out

IN_EACH_MODE = ("cells", "nn", "models")  # folders of tests

settings.register_profile("short", deadline=None, max_examples=30)  # a slow machine is not a mistake
settings.register_profile("thorough", deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", action="store_true", help="run the random tests and the sampled grids in full (takes long)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Set the number of random examples, and the environment of the workers and of the processes that tests start.

    The workers fill the processors: threads of their own for the products of NumPy would wait for each other. A process
    that keeps no compiled modules spends most of its time on compiling the package.
    """
    settings.load_profile("thorough" if config.getoption("--thorough") else "short")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """``trials(sample, full)``: the number of random cases to run, ``full`` under ``pytest --thorough``."""
    thorough = request.config.getoption("--thorough")
    return lambda sample, full: full if thorough else sample


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Under ``--thorough`` the tests of cells, layers and models run once in each mode of `scan`."""
    if metafunc.config.getoption("--thorough") and metafunc.definition.path.parent.name in IN_EACH_MODE:
        metafunc.parametrize("scan_mode", ("eager", "plan", "jit"), indirect=True)


@pytest.fixture(autouse=True)
def scan_mode(request: pytest.FixtureRequest) -> None:
    """What a scan without a mode does: as it is (the plan), the loop, or compiled code where there is some."""
    mode = getattr(request, "param", "plan")
    if mode == "plan":
        return
    if mode == "jit":
        pytest.importorskip("llvmlite")
    scan, errors = map(import_module, ("tinygrad_rnn.sequence.scan", "tinygrad_rnn.errors"))  # after the environment
    run = scan._run

    def in_mode(call: Any, asked: str) -> Any:
        if asked != "auto" or mode == "eager":
            return run(call, "eager" if asked == "auto" else asked)
        try:
            return run(call, "jit")
        except errors.PlanError:
            return run(call, "auto")

    request.getfixturevalue("monkeypatch").setattr(scan, "_run", in_mode)  # where it is not needed, it is not set up


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take a sample of each grid that is marked ``sampled``, unless all is asked for or tests are named."""
    if config.getoption("--thorough") or any("::" in argument for argument in config.args):
        return
    grids: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled"):
            grids[item.nodeid.split("[")[0]].append(item)
    dropped = [item for name, grid in grids.items() for item in left_out(name, grid)]
    if dropped:
        gone = dict.fromkeys(dropped)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=dropped)


def pytest_collection_finish() -> None:
    """The collected tests live as long as the run: a garbage collection in a test need not look at them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def what_lives_on_is_not_collected_again() -> Iterator[None]:
    """After each module, what the tests have imported and cached joins the objects that no collection looks at."""
    yield
    gc.collect()
    gc.freeze()
