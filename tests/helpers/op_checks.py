"""The generic checks of a gradient.  Each asserts; none looks at how the operation is written.

The derivative in a direction is computed from the forward function alone: by complex step where that survives complex
numbers, else by central differences extrapolated to step 0 (Richardson).  The gradient is right if it is the adjoint,
<dy, J v> = <Jᵀ dy, v>, relative to the size of the terms: there is no absolute tolerance.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from helpers.op_samples import Array, Sample, sample

STEP = 1e-3
FROM_DIFFERENCES = 1e-8  # relative error allowed; rounding in a difference is about 1e-16 / STEP
FROM_COMPLEX = 1e-12


def differences(f: Callable[..., Any], xs: Sequence[Array], vs: Sequence[Array]) -> tuple[list[Array], bool]:
    """The derivatives of the outputs of f in the direction vs, and whether f is smooth there."""

    def moved(step: float) -> Any:
        return f(*(x + step * v for x, v in zip(xs, vs, strict=True)))

    def central(h: float) -> list[Array]:
        ahead, behind = moved(h), moved(-h)
        return [(np.asarray(a) - np.asarray(b)) / (2 * h) for a, b in zip(ahead, behind, strict=True)]

    d1, d2, d4 = central(STEP), central(STEP / 2), central(STEP / 4)
    better = [(4 * b - a) / 3 for a, b in zip(d1, d2, strict=True)]
    best = [(4 * b - a) / 3 for a, b in zip(d2, d4, strict=True)]
    best, coarse = [(16 * b - a) / 15 for a, b in zip(better, best, strict=True)], best
    smooth = all(np.all(np.abs(b - a) <= 1e-7 * (np.abs(b).max(initial=0) + 1e-3)) for a, b in zip(coarse, best))
    return best, smooth


def complex_step(s: Sample, xs: Sequence[Array], vs: Sequence[Array]) -> Array | None:
    """The derivative without cancellation, or None if the forward function does not survive complex numbers."""
    h = 1e-30
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)  # the imaginary part was dropped on the way
        try:
            y = np.asarray(s.of_floats(*(x + 1j * h * v for x, v in zip(xs, vs, strict=True))))
        except (TypeError, ValueError, np.exceptions.ComplexWarning):
            return None
    return y.imag / h if y.dtype.kind == "c" else None


def direction(rng: np.random.Generator, like: Any) -> Array:
    """Numbers of both signs, none near 0."""
    shape = np.shape(like)
    return np.asarray(rng.uniform(0.5, 1.0, shape) * rng.choice([-1.0, 1.0], shape))


def alone(s: Sample) -> Callable[..., list[Array]]:
    """The operation as a function with a list of one output."""
    return lambda *xs: [s.of_floats(*xs)]


def smooth_sample(subject: Any, case: Any) -> Sample:
    """The first sample of the case at which differences in every direction say that the function is smooth."""
    for seed in range(20):
        s, rng = sample(subject, case, seed), np.random.default_rng(seed)
        vs = [direction(rng, x) for x in s.values()]
        if not s.floats or differences(alone(s), s.values(), vs)[1]:
            return s
    raise AssertionError(f"{subject.name}: no smooth point found in {subject.domain}")


def assert_adjoint(dy: Array, Jv: Array, dx: Array, v: Array, rtol: float, noise: float = 0.0) -> None:
    """<dy, J v> = <Jᵀ dy, v>, relative to the sizes of all terms; ``noise`` is rounding known to be in J v."""
    left, right = dy * Jv, dx * v
    size = float(np.abs(left).sum() + np.abs(right).sum())
    error = abs(float(left.sum()) - float(right.sum()))
    assert error <= rtol * size + noise, f"<dy, J v> and <dx, v> differ by {error:.3g}, terms add up to {size:.3g}"


def only(k: int, vs: Sequence[Array]) -> list[Array]:
    """The direction in which input k alone moves."""
    return [v if j == k else np.zeros_like(v) for j, v in enumerate(vs)]


def jacobian_times(s: Sample, vs: Sequence[Array]) -> tuple[Array, float]:
    """J v from the forward function, and how exact it is."""
    (by_differences,), _ = differences(alone(s), s.values(), vs)
    exact = complex_step(s, s.values(), vs)
    scale = np.abs(by_differences).max(initial=0)
    if exact is not None and np.all(np.abs(exact - by_differences) <= 1e-7 * scale):
        return exact, FROM_COMPLEX
    return by_differences, FROM_DIFFERENCES


# -- the ways of getting a gradient ----------------------------------------------------------------------------------


def leaves_of(s: Sample) -> list[tg.Tensor]:
    return [tg.tensor(x, requires_grad=True) for x in s.values()]


def by_backward(s: Sample, dy: Array) -> list[Array]:
    """Twice through the operation, so that gradients are added up and incoming ones are fresh memory."""
    leaves = leaves_of(s)
    both = -s.of_floats(*leaves), -s.of_floats(*leaves)
    tg.add(*both).backward(-0.5 * dy)
    return [leaf.grad if leaf.grad is not None else np.zeros(leaf.shape) for leaf in leaves]


def by_vjp(s: Sample, dy: Array) -> list[Array]:
    return list(tg.vjp(s.of_floats, *s.values())[1](dy))


def gradient_function(s: Sample) -> Callable[..., Any]:
    """(dy, *xs) -> gradients, itself differentiable: rules run on Tensors."""
    return lambda dy, *xs: tg.vjp(s.of_floats, *xs)[1](dy)


WAYS = {"backward": by_backward, "vjp": by_vjp}


# -- the checks ------------------------------------------------------------------------------------------------------


def check_adjoint(s: Sample, scale: float = 1.0) -> None:
    """Each input's rule on its own, in every way there is; also for gradients as small as ``scale``."""
    rng = np.random.default_rng(1)
    dy = scale * direction(rng, s.f(*s.xs))
    vs = [direction(rng, x) for x in s.values()]
    for name, way in WAYS.items():
        gradients = way(s, dy)
        for k in range(len(vs)):
            Jv, rtol = jacobian_times(s, only(k, vs))
            assert gradients[k].shape == vs[k].shape, name
            assert_adjoint(dy, Jv, gradients[k], vs[k], rtol)


def check_jvp(s: Sample) -> None:
    """`jvp` runs every rule on Tensors once: the derivative in a direction."""
    rng = np.random.default_rng(2)
    vs = [direction(rng, x) for x in s.values()]
    for k in range(len(vs)):
        expected, _ = jacobian_times(s, only(k, vs))
        _, found = tg.jvp(s.of_floats, s.values(), only(k, vs))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max(initial=0))


def check_second_order(s: Sample) -> None:
    """The adjoint test of the gradient as a function of dy and the inputs, one of them moving at a time."""
    rng = np.random.default_rng(3)
    F, xs = gradient_function(s), [direction(rng, s.f(*s.xs)), *s.values()]
    outputs, pull = tg.vjp(F, *xs)
    us = [direction(rng, y) for y in outputs]
    vs = [direction(rng, x) for x in xs]
    for j in range(len(us)):
        found = pull(tuple(only(j, us)))
        for k in range(len(vs)):
            moved, smooth = differences(F, xs, only(k, vs))
            assert smooth
            noise = 1e-9 * float(np.abs(us[j] * outputs[j]).sum())  # where the derivative is 0
            assert_adjoint(us[j], moved[j], found[k], vs[k], 1e-6, noise)


def check_gradients(s: Sample) -> None:
    """Everything there is to check of the rules of an operation at one sample."""
    check_adjoint(s)
    check_adjoint(s, 1e-12)
    check_jvp(s)
    check_second_order(s)
