"""Random graphs: programs over all operations, and everything that is checked of one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from helpers.op_samples import subjects
from helpers.random import arrays, declared, elementwise, parts, products
from helpers.random.programs import Builder, Program, Skip
from helpers.random.truth import H, NearKink, Truth, by_differences, floor, tolerance
from helpers.random.ways import SECOND, WAYS, gradient_at, outputs_of

PRODUCTIONS = {**elementwise.PRODUCTIONS, **arrays.PRODUCTIONS, **parts.PRODUCTIONS, **products.PRODUCTIONS}
PRODUCTIONS.update({s.name: declared.production(s) for s in subjects() if s.name not in PRODUCTIONS})
NAMES = list(PRODUCTIONS)


def build(seed: int, must: str | None = None) -> Program:
    """The program of a seed; with ``must``, one that begins with this production, or is nothing else."""
    for attempt in range(200):
        b = Builder(seed + 10**9 * attempt, tight=seed % 10 < 7)
        b.leaf(tracked=True)
        if must is not None and not b.attempt(PRODUCTIONS[must]):
            continue
        count = int(b.rng.integers(2, 14)) if must is None else 3 * (seed % 2)
        for k in b.rng.integers(0, len(NAMES), count):
            b.attempt(PRODUCTIONS[NAMES[int(k)]])
        try:
            program = b.finish()
        except Skip:
            continue
        if program.tracked:
            program.seed = seed
            return program
    raise AssertionError(f"no program for seed {seed}, production {must}")


# -- checks -----------------------------------------------------------------------------------------------------------


def check_values(program: Program) -> float:
    """Every value has NumPy's shape, dtype and numbers; the relative error that gradients may have."""
    plain = program.on_arrays(program.tensors_as_arrays())
    ours = program.on_tensors(program.tensors())
    rtol = tolerance(program, plain)
    for line in program.lines:
        for name in line.targets:
            y, right = tg.detach(ours[name]), plain[name]
            assert np.shape(y) == np.shape(right), f"{name}: shape {np.shape(y)}, NumPy's is {np.shape(right)}"
            assert y.dtype == right.dtype, f"{name}: dtype {y.dtype}, NumPy's is {right.dtype}"
            size = float(np.abs(np.asarray(right, float)).max(initial=1e-3 if program.tight else 1e-2))
            error = np.abs(np.asarray(y, float) - np.asarray(right, float)).max(initial=0)
            assert error <= rtol * size, f"{name}: differs from NumPy's by {error:.3g}"
    return rtol


def check_gradients(program: Program, ways: Any = None) -> None:
    """Values, then the gradient in some of the ways (all, if not told), against the truth."""
    rtol = check_values(program)
    truth = Truth(program)
    for way in WAYS if ways is None else ways:
        gradients = WAYS[way](program)
        for leaf, g in zip(program.tracked, gradients):
            assert np.shape(g) == np.shape(leaf.array), f"{way}: a gradient is {np.shape(g)}"
            assert np.asarray(g).dtype in (leaf.array.dtype, float), f"{way}: a gradient is {np.asarray(g).dtype}"
        truth.compare(gradients, rtol, way)


def second_order_truth(program: Program, vs: list[Any], constants: Any, exact: bool) -> tuple[list[Any], float]:
    """The derivative of the gradient in the direction vs: by complex step, or by differences."""
    xs = [leaf.array for leaf in program.tracked]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        if exact:
            made = gradient_at(program, [x + 1j * H * v for x, v in zip(xs, vs)], constants)
            return [np.imag(g) / H for g in made], 0.0

        def at(t: Any) -> Any:
            moved = gradient_at(program, [np.asarray(x, np.longdouble) + t * v for x, v in zip(xs, vs)], constants)
            return np.concatenate([np.ravel(g) for g in moved])

        flat, noise = by_differences(at)
    return np.split(flat, np.cumsum([x.size for x in xs])[:-1]), noise


def check_second_order(program: Program, ways: Any = None) -> None:
    """The Hessian times a vector, in some of the ways."""
    truth = Truth(program, seed=2)
    for way in SECOND if ways is None else ways:
        made = SECOND[way](program, truth.vs)
        if not _near(program, made, truth, exact=True) and not _near(program, made, truth, exact=False):
            right, _ = second_order_truth(program, truth.vs, truth.constants, exact=False)
            given = [np.asarray(g).tolist() for g in made]
            raise AssertionError(f"{way}: gives {given}, should be {[np.asarray(r, float).tolist() for r in right]}")


def _near(program: Program, made: list[Any], truth: Truth, exact: bool) -> bool:
    try:
        right, noise = second_order_truth(program, truth.vs, truth.constants, exact)
    except (TypeError, ValueError, np.exceptions.ComplexWarning):
        if exact:
            return False
        raise NearKink from None
    size = max(float(np.abs(np.asarray(g)).max(initial=0)) for g in [*right, *made])
    allowed = (1e-8 if exact else 1e-6) * size + 1e-9 + 20 * noise
    return all(
        np.shape(g) == np.shape(leaf.array) and np.abs(np.ravel(g) - np.ravel(r)).max(initial=0) <= allowed
        for leaf, g, r in zip(program.tracked, made, right)
    )


def check_jvp(program: Program) -> None:
    """<u, J v> = <Jᵀ u, v>, and both are linear."""
    rtol = check_values(program)
    truth = Truth(program, seed=3)
    xs = tuple(leaf.array for leaf in program.tracked)
    vs = tuple(v.astype(x.dtype) for v, x in zip(truth.vs, xs))
    _, dys = tg.jvp(outputs_of(program), xs, vs)
    ys, pull = tg.vjp(outputs_of(program), *xs)
    us = [np.asarray(w, y.dtype) for w, y in zip(program.weights, ys)]
    left = sum(float(np.sum(np.asarray(u, float) * np.asarray(dy, float))) for u, dy in zip(us, dys))
    gs = pull(us)
    terms = [np.asarray(g, float) * v for g, v in zip(gs, vs)]
    size = sum(np.abs(t).sum() for t in terms) + abs(left)
    error = abs(left - sum(t.sum() for t in terms))
    allowed = max(rtol, 1e-8) * size + max(floor(rtol), 1e-11)
    assert error <= allowed, f"jvp: <u, J v> is {left:.12g}, vjp gives {left - error:.12g} or so"
    for g, g2 in zip(gs, pull([2 * u for u in us])):
        wide, error = np.asarray(g, float), np.abs(np.asarray(g2, float) - 2 * np.asarray(g, float))
        assert error.max(initial=0) <= max(rtol, 1e-12) * 4 * np.abs(wide).max(initial=1), "vjp is not linear"


def examine(program: Program) -> str:
    """Everything that the seed says should be checked of its program; "skipped" if it lies near a kink."""
    seed = program.seed
    rng = np.random.default_rng(seed)
    ways = [list(WAYS)[int(k)] for k in rng.permutation(len(WAYS))[:3]]
    try:
        check_gradients(program, ways)
        if program.tight and seed % 10 in (0, 1, 2, 3, 4, 5):
            check_second_order(program, [list(SECOND)[seed % 4]])
        elif seed % 10 in (6, 7):
            check_jvp(program)
    except NearKink:
        return "skipped"
    return "checked"


def failure(program: Program) -> str:
    """What is wrong with the program, and the shortest part of it that shows it; empty if nothing is."""
    try:
        examine(program)
    except Exception as error:
        part = program.shrunk(lambda smaller: bool(error_of(smaller)))
        return f"{error_of(part) or error}\n{part.source()}"
    return ""


def error_of(program: Program) -> str:
    """What `examine` raises, as a text; empty if it does not."""
    try:
        examine(program)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
