"""What a benchmark is, as plain data: contenders by name, sizes by label, and the ratios that are wanted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Job(NamedTuple):
    """A contender that is set up: what is timed, and how to see that it computes what the others compute.

    ``run()`` does one repetition.  ``check()`` is called once, before any timing, and gives named arrays (loss and
    gradients) in the layout of the baseline.  ``per`` is the number of operations in a run: times are divided by it.
    """

    run: Callable[[], object]
    check: Callable[[], Mapping[str, Any]]
    per: int = 1


class Target(NamedTuple):
    """``median(top) / median(bottom) <= at_most`` is wanted.  It is printed, never asserted."""

    top: str
    bottom: str
    at_most: float


@dataclass(frozen=True)
class Bench:
    """One benchmark.  ``contenders[name](**sizes[label])`` is a ``Job``; ``baseline`` is what ratios are taken to.

    ``module`` is the file that holds it as ``BENCH``: a worker process imports it from there by name.
    """

    module: str
    title: str
    baseline: str
    contenders: Mapping[str, Callable[..., Job]]
    sizes: Mapping[str, Mapping[str, Any]]
    targets: Mapping[str, tuple[Target, ...]] = field(default_factory=dict)
    unit: str = "ms"
    slow: Sequence[str] = ()  # contenders that ``--quick`` leaves out
    quick: bool = True  # is it a part of ``--quick``?


def library(name: str) -> Any:
    """Import ``name`` where it is used, so that a worker loads (and starts the threads of) its own library only."""
    return import_module(name)


def fingerprint(array: Any) -> tuple[float, float]:
    """Euclidean norm, and inner product with one fixed random direction.

    The norm alone would not see a flipped sign or gates stacked in another order; the projection does.
    """
    flat = np.asarray(array, dtype=np.float64).ravel()
    direction = np.random.default_rng(0).standard_normal(flat.size)
    return float(np.linalg.norm(flat)), float(flat @ direction)
