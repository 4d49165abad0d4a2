"""A plan that is compiled: `Plan` runs the two functions of its source on arrays."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.codegen import run_source
from .build import Built
from .reach import Names, reached

_count = itertools.count(1).__next__


class Plan:
    """The planned run of a cell over time, for given shapes of one step; T is free.

    ``source`` is its text, in NumPy. `forward` and `backward` run it.
    """

    def __init__(self, name: str, built: Built):
        self.name, self.built, self.returns = name, built, built.returns
        directions = [built.forward, *([built.backward] if built.backward else [])]
        loops = [direction.writer.loop_source for direction in directions if direction.writer.loop_source]
        written = {"forward": built.forward, "backward": built.backward, "step": built.single}
        self.source = "\n\n\n".join([*(part.text for part in written.values() if part), *loops]) + "\n"
        self.files: list[str] = []
        self._reached: dict[int, tuple[list[Names], Names]] = {}
        self.functions = []
        for label, part in written.items():
            if part is not None:
                self.files.append(f"<plan {_count()} of {name}>")
                self.functions.append(run_source(part.text, self.files[-1], dict(part.space))[label])

    def drop_samples(self) -> None:
        """Keep of the arrays that the plan was made with their shapes and dtypes alone, in arrays without memory."""
        for direction in (self.built.forward, *([self.built.backward] if self.built.backward else [])):
            for value in direction.plan.program.values:
                if isinstance(value.array, np.ndarray) and value.kind != "constant":
                    zero, shape = np.zeros((), value.dtype), value.shape
                    value.array = np.ndarray(shape, value.dtype, zero, 0, (0,) * len(shape))

    def reached(self, wanted: Sequence[str], T: int) -> tuple[list[Names], Names]:
        """See `reached`, and what is reached by any; known after the first call."""
        if T not in self._reached:
            each = reached(self.built.depends, wanted, T)
            self._reached[T] = each, dict.fromkeys([name for names in each for name in names])
        return self._reached[T]

    def forward(
        self, xs: np.ndarray, state: Sequence[np.ndarray], leaves: Mapping[str, Any], rng: Any = None
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """xs (T, N, D) -> the outputs (T, N, H), the last states, and what `backward` needs."""
        given = [leaves[name] for name in self.built.forward.leaves]
        with np.errstate(all="ignore"):
            return self.functions[0](xs, *map(_in_c_order, state), *given, rng)

    def step(self, x: np.ndarray, state: Sequence[np.ndarray], leaves: Mapping[str, Any], rng: Any) -> list[np.ndarray]:
        """x (N, D) -> the output (N, 1, H), then the new states, by the source of a single step."""
        given = [leaves[name] for name in self.built.single.leaves]  # type: ignore[union-attr]
        with np.errstate(all="ignore"):
            return self.functions[-1](x, *state, *given, rng)

    def backward(
        self, doutputs: np.ndarray, dstate: Sequence[np.ndarray], saved: Sequence[np.ndarray], leaves: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """The gradients by the first states, then by the leaves in ``returns``; None where no gradient flows."""
        given = [leaves[name] for name in self.built.backward.leaves]  # type: ignore[union-attr]
        with np.errstate(all="ignore"):
            return self.functions[1](doutputs, *map(_in_c_order, dstate), *saved, *given)


def _in_c_order(array: np.ndarray) -> np.ndarray:
    """The array, which buffers of the source are made like, so that products can be written into them."""
    return np.asarray(array, order="C")
