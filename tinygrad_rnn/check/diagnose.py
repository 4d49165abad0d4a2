"""Which mistake gives exactly these numbers? A hypothesis is the right gradient with one change; it is told only if it
reproduces the gradient that was given to 1e-8, so that what is said is so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .report import Diagnosis, distance

MATCH = 1e-8
WRONG = 1e-7  # what differs by less is no mistake


def diagnose(
    name: str, got: np.ndarray, right: np.ndarray, parts: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray],
    counts: Mapping[str, int], blocks: Sequence[str] = (),
) -> list[Diagnosis]:  # fmt: skip
    """Every known mistake that turns ``right`` into ``got``.

    ``parts`` are what was added up to ``right``, by where they came from; ``others`` the other gradients; ``counts``
    say how many rows are in a batch ("N"), how many steps in time ("T"); ``blocks`` name the parts of the last axis,
    which are looked at one by one if the whole is not it.
    Parts of the sum come last: what a block explains is said of the block.
    """
    found = matching(name, got, right, _changes(name, right, others, counts))
    if not found and blocks and got.shape == right.shape:
        gots, rights = (dict(zip(blocks, np.split(one, len(blocks), axis=-1))) for one in (got, right))
        for block in blocks:
            siblings = {f"{name}.{other}": one for other, one in rights.items() if other != block}
            own = f"{name}.{block}"
            if distance(gots[block], rights[block]) > WRONG:
                found += matching(own, gots[block], rights[block], _changes(own, rights[block], siblings, counts))
    return found or matching(name, got, right, _paths(right, parts))


Hypotheses = Iterator[tuple[str, np.ndarray, str]]


def matching(name: str, got: np.ndarray, right: np.ndarray, hypotheses: Hypotheses) -> list[Diagnosis]:
    """The hypotheses that give exactly ``got``."""
    found = []
    for kind, changed, text in hypotheses:
        if changed.shape == got.shape and distance(changed, right) > WRONG and distance(got, changed) <= MATCH:
            found.append(Diagnosis(kind, name, f"{name}: {text}", distance(got, changed)))
    return found


def _changes(name: str, right: np.ndarray, others: Mapping[str, np.ndarray], counts: Mapping[str, int]) -> Hypotheses:
    """One change to the whole: the kind of mistake, the gradient that it gives, what to say."""
    yield "sign", -right, "its sign is flipped"
    yield "missing", 0 * right, "is zero throughout, as if it had been forgotten"
    for factor, word in {2: "2", 0.5: "1/2"}.items():
        yield "factor", factor * right, f"has a factor {word} too many"
    for letter, n in counts.items():
        if n > 2:
            over = {"N": "the batch", "T": "time"}.get(letter, "batch and time")
            text = f"has a factor {letter} = {n} too many: a sum over {over} taken for a mean, or twice"
            yield f"factor {letter}", n * right, text
            text = f"has a factor 1/{letter} = 1/{n} too many: a mean over {over} where a sum should be"
            yield f"factor {letter}", right / n, text
    if right.ndim == 2:
        yield "transposed", right.T, "is transposed"
    for other, array in others.items():
        if other != name:
            yield "copied", array, f"is the gradient {other}"
            yield "copied", -array, f"is minus the gradient {other}"


def _paths(right: np.ndarray, parts: Mapping[str, np.ndarray]) -> Hypotheses:
    """One change to one of several parts that add up."""
    for source, part in parts.items() if len(parts) > 1 else ():
        yield "path missing", right - part, f"the part that comes {source} is missing"
        yield "path doubled", right + part, f"the part that comes {source} is added twice"
        yield "path sign", right - 2 * part, f"the part that comes {source} has the wrong sign"
