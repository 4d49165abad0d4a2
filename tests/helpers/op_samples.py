"""What the generic tests run on: every declared case of every operation, with inputs drawn for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.engine.op import COMPOSITES, OPS, Case, Composite, Op

Array = np.ndarray

#: Operations that users do not call, and the operation whose derivatives go through them.
INNER = {
    "sigmoid_of_difference": "logaddexp", "power_below": "power", "arctan_slope": "arctan", "arctan2_slope": "arctan2",
    "gaussian": "erf", "gelu_slope": "gelu", "cross_entropy_gradient": "softmax_cross_entropy",
}  # fmt: skip


@dataclass
class Sample:
    """One call: ``f(*xs)`` is the operation with the attributes of the case; ``floats`` are differentiated by."""

    subject: Op | Composite
    case: Case
    xs: list[Any]
    floats: list[int]

    def f(self, *xs: Any) -> Any:
        """The operation; several outputs become one."""
        y = function(self.subject)(*xs, **attributes(self.subject, self.case))
        return tg.concatenate([tg.ravel(part) for part in y]) if isinstance(y, (list, tuple)) else y

    def of_floats(self, *floats: Any) -> Any:
        """The operation as a function of its differentiable inputs alone."""
        return self.f(*self.mixed(floats))

    def mixed(self, floats: Any) -> list[Any]:
        """The inputs, with other values for the differentiable ones."""
        xs = list(self.xs)
        for k, x in zip(self.floats, floats, strict=True):
            xs[k] = x
        return xs

    def values(self) -> list[Array]:
        return [self.xs[k] for k in self.floats]

    def as_dtype(self, dtype: Any) -> list[Any]:
        return self.mixed([x.astype(dtype) for x in self.values()])


def function(subject: Op | Composite) -> Callable[..., Any]:
    """What users call."""
    if isinstance(subject, Composite):
        return subject.function
    return getattr(tg.ops, subject.name)


def attributes(subject: Op | Composite, case: Case) -> dict[str, Any]:
    """The attributes of the case; who draws random numbers gets the same ones at every call."""
    draws = isinstance(subject, Op) and "rng" in subject.attributes
    return {**case.attrs, "rng": np.random.default_rng(7)} if draws else case.attrs


def subjects() -> list[Op | Composite]:
    return [*(spec for name, spec in OPS.items() if name not in INNER), *COMPOSITES.values()]


def pairs(raising: bool = False) -> Iterator[tuple[str, Op | Composite, Case]]:
    """(test id, subject, case): the cases that give a value, or those that promise an error."""
    for subject in subjects():
        for k, case in enumerate(subject.cases):
            if (case.raises is not None) == raising:
                yield f"{subject.name}-{k}-{text(case)}", subject, case


def text(case: Case) -> str:
    shapes = [str(np.shape(x) if isinstance(x, np.ndarray) else x) for x in case.inputs]
    text = ",".join([*shapes, *(f"{name}={one}" for name, one in case.attrs.items())])
    return text.replace(" ", "").replace("\n", "")


def sample(subject: Op | Composite, case: Case, seed: int = 0) -> Sample:
    """Inputs for one case: float64 in the domain of the operation, each at another place of a grid, so that none is
    near a kink at a multiple of 0.1 and no two are near each other."""
    rng = np.random.default_rng(seed)
    low, high = subject.domain
    steps = np.arange(np.ceil(low * 10), np.floor(high * 10))
    grid = rng.permutation(np.add.outer(steps / 10, np.linspace(0.03, 0.07, 5)).ravel())
    xs: list[Any] = []
    for given in case.inputs:
        if isinstance(given, tuple):
            size = int(np.prod(given))
            part, grid = grid[:size], grid[size:]
            assert part.size == size, f"{subject.name}: {case} is too large to be drawn"
            given = (part + rng.uniform(-2e-3, 2e-3, size)).reshape(given)
        xs.append(np.asarray(given))
    return Sample(subject, case, xs, [k for k, x in enumerate(xs) if x.dtype.kind == "f"])


def is_variadic(f: Callable[..., Any]) -> bool:
    """Does f take any number of arrays, ``f(a, b)``? (Some of NumPy's take a list instead, and some do not say.)"""
    try:
        return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(f).parameters.values())
    except ValueError:
        return False
