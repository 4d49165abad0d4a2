"""Forward and backward of an embedding: ``W[ids]``, then the rows of ``dy`` scattered and summed into a dense ``dW``.

The gather is timed along with the scatter, for all contenders: it is small (700 rows), and a tape that frees its graph
in the backward cannot go back twice.  No contender multiplies by a one-hot matrix.

    add.at            dW = zeros_like(W); np.add.at(dW, ids, dy)
    sorted segments   rows sorted by id, repeats summed with ``np.add.reduceat``, each written once into zeroed pages

``python tests/bench/embedding.py``
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from spec import Array, Bench, Job, Target, library
from table import main

LABEL = "V10000 D650 N20 T35"


def case(N: int, T: int, V: int, D: int) -> tuple[Array, Array, Array]:
    """W (V, D), ids (N, T) that fall as 1 / rank so that rows repeat, dy (N, T, D)."""
    rng = np.random.default_rng(4)
    W = rng.standard_normal((V, D)).astype(np.float32)
    frequency = 1 / np.arange(1, V + 1)
    ids = rng.choice(V, size=(N, T), p=frequency / frequency.sum())
    return W, ids, rng.standard_normal((N, T, D)).astype(np.float32)


def add_at(W: Array, ids: Array, dy: Array) -> Array:
    """The plain way."""
    dW = np.zeros_like(W)
    np.add.at(dW, ids, dy)
    return dW


def segments(W: Array, ids: Array, dy: Array) -> Array:
    """The fastest found in NumPy alone.  ``np.zeros`` asks for pages that are zero, ``zeros_like`` writes them."""
    order = np.argsort(ids, axis=None, kind="stable")
    sorted_ids = ids.ravel()[order]
    starts = np.flatnonzero(np.diff(sorted_ids, prepend=-1))
    dW = np.zeros(W.shape, W.dtype)
    dW[sorted_ids[starts]] = np.add.reduceat(dy.reshape(-1, W.shape[1])[order], starts, axis=0)
    return dW


def by_hand(scatter: Callable[[Array, Array, Array], Array]) -> Callable[..., Job]:
    """A contender from a scatter."""

    def setup(N: int, T: int, V: int, D: int) -> Job:
        W, ids, dy = case(N, T, V, D)

        def run() -> dict[str, Array]:
            return {"y": W[ids], "dW": scatter(W, ids, dy)}

        return Job(run, run)

    return setup


def ours(N: int, T: int, V: int, D: int) -> Job:
    """``tg.embedding``, and the whole array dW: an optimiser that needs the rows only does not make it."""
    tg = library("tinygrad_rnn")
    array, ids, dy = case(N, T, V, D)
    W = tg.tensor(array, requires_grad=True)

    def run() -> Any:
        W.grad = None
        y = tg.embedding(W, ids)
        y.backward(dy)
        return y, W.grad

    return Job(run, lambda: {"y": run()[0].data, "dW": W.grad})


BENCH = Bench(
    module="embedding",
    title="embedding, forward + backward",
    baseline="add.at",
    contenders={"add.at": by_hand(add_at), "sorted segments": by_hand(segments), "ours": ours},
    sizes={LABEL: {"N": 20, "T": 35, "V": 10000, "D": 650}},
    targets={LABEL: (Target("ours", "add.at", 2.0), Target("ours", "sorted segments", 2.0))},
    quick=False,
)

if __name__ == "__main__":
    main(BENCH)
