"""What is compared: a function of arrays, its gradients by autograd, and the numbers that they should equal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ...engine.tensor import make, value
from ...engine.transforms import vjp
from .derivatives import Slopes, outputs, repeats, roundoff, slopes, slopes_along
from .richardson import tried

SMOOTH = 30  # after so many wrong elements without a kink, worst first, kinks are not the reason


class Problem:
    """A function f of named arrays, cotangents dy, and the gradients of L = Σ <dy, f> by autograd and by numbers."""

    title = "check: f"
    coarse = 0.0  # the rounding of a function that computes in less precision than its inputs have
    smooth = SMOOTH
    narrow = False  # does f accept its inputs in their original dtypes only?

    def __init__(self, f: Callable[..., Any], inputs: Mapping[str, Any], rng: np.random.Generator):
        self.arrays = {name: np.asarray(x) for name, x in inputs.items() if np.asarray(x).dtype.kind == "f"}
        fixed = {name: x for name, x in inputs.items() if name not in self.arrays}
        self.names, self.rng = list(self.arrays), rng
        self.f = lambda *xs: f(**dict.fromkeys(inputs) | fixed | dict(zip(self.names, xs)))
        self.ys = outputs(vjp(self.f, *self.arrays.values())[0]) if self.names else []
        self.dys = [rng.standard_normal(y.shape) for y in self.ys]
        self.exact = [np.asarray(x, np.float64) for x in self.arrays.values()]
        raises = np.isnan(tried(self.L, self.exact))
        self.narrow = bool(raises and not np.isnan(tried(self.L, list(self.arrays.values()))))

    def is_needed(self, k: int) -> bool:
        """Is there a gradient by input k, or should there be one?"""
        return True

    def L(self, xs: Sequence[np.ndarray]) -> Any:
        """``Σ <dy, y>`` over all outputs, for real or complex arrays."""
        return sum(np.sum(dy * y) for dy, y in zip(self.dys, self.outputs(xs), strict=True))

    def outputs(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The floating or complex outputs of f."""
        return outputs(self.f(*(make(x, None) for x in self.cast(xs))))

    def gradient(self, *xs: Any) -> list[Any]:
        """The gradients of L by each of xs; Tensors if xs are Tensors, so that they can be differentiated again."""
        y, pull = vjp(self.f, *xs)
        leaves, build = flatten(y)
        dys = iter(self.dys)
        floats = [np.asarray(value(leaf)).dtype.kind == "f" for leaf in leaves]
        return list(pull(build([next(dys) if f else leaf for f, leaf in zip(floats, leaves)])))

    def autograd(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The gradients of L by autograd, as arrays."""
        return [np.asarray(value(g)) for g in self.gradient(*self.cast(xs))]

    def cast(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The inputs in their original dtypes, if f accepts no others."""
        return [x.astype(of.dtype) if self.narrow else x for x, of in zip(xs, self.arrays.values(), strict=True)]

    def numbers(self) -> list[Slopes]:
        """The numerical derivatives by each input."""
        with np.errstate(all="ignore"):
            repeats(self.title, self.L, self.exact)
            return slopes(self.L, self.exact, np.random.default_rng(1), self.noise)

    def along(self, k: int, along: np.ndarray, exact: bool, xs: Sequence[np.ndarray] | None = None) -> Slopes:
        """The numerical derivatives by input k along directions."""
        with np.errstate(all="ignore"):
            return slopes_along(self.L, self.exact if xs is None else xs, k, along, self.noise, exact)

    @cached_property
    def noise(self) -> float:
        """The rounding error of L."""
        with np.errstate(all="ignore"):
            return roundoff(self.L, self.exact)

    @cached_property
    def gaps(self) -> dict[tuple[int, bytes], float]:
        """What `gap` has found, by the input and the direction."""
        return {}

    @cached_property
    def nearby(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """A nearby point, and autograd's gradients there."""
        rng = np.random.default_rng(3)
        near = [x + 1e-3 * np.sqrt(np.mean(np.square(x)) or 1.0) * rng.standard_normal(x.shape) for x in self.exact]
        return near, self.autograd(near)

    def moved(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Inputs that differ in their last bit."""
        signs = [self.rng.choice([-1.0, 1.0], x.shape) for x in xs]
        return [(x * (1 + np.finfo(x.dtype).eps * sign)).astype(x.dtype) for x, sign in zip(xs, signs)]
