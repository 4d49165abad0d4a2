"""Initialisation schemes for parameters, by name.

A scheme is a function ``scheme(rng, shape) -> float64 array``; a matrix is (in, out). Wherever a scheme is expected, it
may be given as a name from `SCHEMES`, a function, a number (every element), or an array.

The schemes of this module draw a parameter with its inputs first: of W in ``x @ W.T``, which is (out, in), they draw
the transpose. Functions of the user's get the shape of the parameter as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidValue

Scheme = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """All zero: for biases."""
    return np.zeros(shape)


def book(rng: np.random.Generator, shape: tuple[int, ...], n: int = 0) -> np.ndarray:
    """Normal with standard deviation 1/√n, n inputs: the book's scheme for Wx, Wh and affine layers."""
    return rng.standard_normal(shape) / np.sqrt(n or shape[0])


def embedding(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal with standard deviation 1/100: the book's scheme for embeddings."""
    return rng.standard_normal(shape) / 100


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal with standard deviation 1: for embeddings under an adaptive optimiser."""
    return rng.standard_normal(shape)


def uniform(rng: np.random.Generator, shape: tuple[int, ...], n: int = 0) -> np.ndarray:
    """Uniform in ±1/√n, n inputs."""
    bound = 1 / np.sqrt(n or shape[0])
    return rng.uniform(-bound, bound, shape)


def xavier(rng: np.random.Generator, shape: tuple[int, ...], n: int = 0) -> np.ndarray:
    """Uniform with variance 2/(n + m), n inputs and m outputs (Glorot and Bengio 2010)."""
    bound = np.sqrt(6 / ((n or shape[0]) + shape[-1]))
    return rng.uniform(-bound, bound, shape)


def he(rng: np.random.Generator, shape: tuple[int, ...], n: int = 0) -> np.ndarray:
    """Normal with variance 2/n, n inputs: for relu (He et al. 2015)."""
    return rng.standard_normal(shape) * np.sqrt(2 / (n or shape[0]))


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Orthonormal rows or columns, whichever are fewer: every singular value is 1 (Saxe et al. 2014).

    Raises InvalidValue for a shape that is no matrix.
    """
    if len(shape) != 2:
        raise InvalidValue(f"init is 'orthogonal' for {shape}, should be for a matrix")
    tall = (max(shape), min(shape))
    q, r = np.linalg.qr(rng.standard_normal(tall))
    q = q * np.sign(np.diag(r))  # makes the draw uniform over all such matrices
    return q if shape == tall else q.T


SCHEMES: dict[str, Scheme] = {f.__name__: f for f in (zeros, book, embedding, normal, uniform, xavier, he, orthogonal)}
FANNED = (book, uniform, xavier, he)  # whose spread depends on the number n of inputs


@dataclass(frozen=True)
class Fan:
    """The inputs of a parameter: the axes that a product sums over, and how many elements that are, 0: their length."""

    axes: tuple[int, ...] = (0,)
    n: int = 0


FIRST = Fan()


def draw(scheme: Any, rng: np.random.Generator, shape: tuple[int, ...], where: str, fan: Fan = FIRST) -> np.ndarray:
    """A float64 array of ``shape`` by ``scheme``; ``where`` names the parameter in errors, ``fan`` are its inputs.

    Raises InvalidValue for an unknown name, or a result of another shape.
    """
    if isinstance(scheme, str):
        if scheme not in SCHEMES:
            raise InvalidValue(f"{where}: init is {scheme!r}, should be one of {', '.join(SCHEMES)}")
        scheme = SCHEMES[scheme]
    try:
        if fan != FIRST and callable(scheme) and scheme in SCHEMES.values():
            scheme = _turned(scheme, rng, shape, fan)
        array = np.asarray(scheme(rng, shape) if callable(scheme) else scheme, dtype=np.float64)
    except ValueError as error:
        raise InvalidValue(f"{where}: {error}") from error
    if array.shape not in (shape, ()):
        raise InvalidValue(f"{where}: init gave shape {array.shape}, should be {shape}")
    return np.array(np.broadcast_to(array, shape))


def _turned(scheme: Any, rng: np.random.Generator, shape: tuple[int, ...], fan: Fan) -> np.ndarray:
    """The array of a scheme of this module, drawn with the axes of the ``fan`` first."""
    order = [*fan.axes, *(axis for axis in range(len(shape)) if axis not in fan.axes)]
    n = fan.n or math.prod(shape[axis] for axis in fan.axes)
    turned = tuple(shape[axis] for axis in order)
    array = scheme(rng, turned, n) if scheme in FANNED else scheme(rng, turned)
    return array.transpose(np.argsort(order))


def draw_blocks(
    scheme: Any, rng: np.random.Generator, shape: tuple[int, ...], blocks: tuple[str, ...], where: str, fan: Fan = FIRST
) -> np.ndarray:
    """A stacked array whose blocks along the last axis are drawn one after another.

    ``{"f": 1.0}`` sets one block; the others follow the default scheme. An array is the whole parameter.
    """
    if not blocks or isinstance(scheme, (np.ndarray, list)):
        return draw(_default(scheme, shape), rng, shape, where, fan)
    schemes = scheme if isinstance(scheme, Mapping) else dict.fromkeys(blocks, scheme)
    for name in schemes:
        if name not in blocks:
            raise InvalidValue(f"{where}: init names block {name!r}, should be among {', '.join(blocks)}")
    block_shape = (*shape[:-1], shape[-1] // len(blocks))
    parts = [draw(_default(schemes.get(name), block_shape), rng, block_shape, f"{where}.{name}", fan)
             for name in blocks]  # fmt: skip
    return np.concatenate(parts, axis=-1)


def _default(scheme: Any, shape: tuple[int, ...]) -> Any:
    return (book if len(shape) > 1 else zeros) if scheme is None else scheme
