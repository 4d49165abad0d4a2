"""A wrong gradient as a whole: is it the right one with another sign, a factor, in another order?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .report import Diagnosis, distance

MATCH = 1e-8
#: What is said of a gradient, its kind, and the right gradient changed in this way.
WHOLE: dict[str, tuple[str, Callable[[Any, Mapping[str, int]], Any]]] = {
    "its sign is flipped": ("sign", lambda g, n: -g),
    "is zero throughout, as if it had been forgotten": ("missing", lambda g, n: 0 * g),
    "has a factor 2 too many": ("factor", lambda g, n: 2 * g),
    "has a factor 1/2 too many": ("factor", lambda g, n: g / 2),
    "has a factor N = {N} too many: a sum over the batch taken twice": ("factor N", lambda g, n: n["N"] * g),
    "has a factor 1/N = 1/{N} too many: a mean over the batch where a sum should be": (
        "factor N", lambda g, n: g / n["N"]),
    "has a factor T = {T} too many": ("factor T", lambda g, n: n["T"] * g),
    "has a factor 1/T = 1/{T} too many: a mean over time where a sum should be": ("factor T", lambda g, n: g / n["T"]),
    "has a factor 1/(N T) too many: a mean where a sum should be": ("factor N T", lambda g, n: g / n["N"] / n["T"]),
    "has a factor N T = {N} * {T} too many: a sum where a mean should be": (
        "factor N T", lambda g, n: n["N"] * n["T"] * g),
    "is transposed": ("transposed", lambda g, n: g.T if g.ndim == 2 else g),
    "is in the wrong order of time": ("reversed", lambda g, n: g[:, ::-1] if g.ndim == 3 else g),
}  # fmt: skip


def whole_gradient(name: str, got: Any, right: Any, counts: Mapping[str, int]) -> list[Diagnosis]:
    """What is true of a wrong gradient as a whole, to 1e-8; ``counts`` are N and T."""
    diagnoses = []
    for text, (kind, change) in WHOLE.items():
        ambiguous = any(counts[letter] <= 2 for letter in kind.split()[1:])  # a factor of 2 or 1 has another reason
        candidate = right if ambiguous else change(right, counts)
        differs = np.shape(candidate) == np.shape(got) and distance(candidate, right) > MATCH
        if differs and distance(got, candidate) <= MATCH:
            diagnoses.append(Diagnosis(kind, name, f"{name}: {text.format(**counts)}", distance(got, candidate)))
    return diagnoses


def sizes_of(inputs: list[Any]) -> dict[str, int]:
    """N and T of a layer's inputs; T is 1 if no input has three axes."""
    shapes = [np.shape(x) for x in inputs]
    return {"N": shapes[0][0] if shapes and shapes[0] else 1,
            "T": next((shape[1] for shape in shapes if len(shape) == 3), 1)}  # fmt: skip
