"""What small autograd frameworks get wrong about graphs, one test each, named for it.

Tied weights (12), gate orders (17) and the order of parameters and saves (19) are tested with the layers.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import GraphError


def leaf(*shape: int) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(0).uniform(0.5, 2.0, shape), requires_grad=True)


@contextmanager
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def recursion_limit(extra: int) -> Iterator[None]:
    """Room for a few frames more than are open now."""
    before, frame, depth = sys.getrecursionlimit(), sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1  # type: ignore[assignment]
    sys.setrecursionlimit(depth + extra)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def test_pitfall_03_deep_graphs():
    with without_collector(), recursion_limit(60):
        x = tg.tensor(1.0, requires_grad=True)
        y = x
        for _ in range(100_000):
            y = y + 1e-5
        assert abs(y.item() - 2) < 1e-6 and "made by add" in repr(y)
        y.backward()
        assert x.grad == 1.0
        used = weakref.ref(y.node)
        del y
        assert used() is None
        z = x
        for _ in range(100_000):
            z = z * 1.0
        kept = weakref.ref(z.node)
        del z  # freed without having been backpropagated
        assert kept() is None


def test_pitfall_07_no_cycles():
    def graph() -> list[Any]:
        x = leaf(3)
        h = x
        ys = []
        for _ in range(5):
            h = tg.tanh(h * x)
            ys.append(h)
        hs = tg.zeros((5, 3), dtype=np.float64)
        for t, y in enumerate(ys):
            hs[t] = y
        loss = tg.sum(hs)
        refs = [weakref.ref(one) for one in (x, loss, hs, loss.node, hs.node, h.node, x.node)]
        loss.backward()
        return refs

    with without_collector():
        assert all(ref() is None for ref in graph())


@pytest.mark.parametrize(
    "differentiate",
    [
        lambda f, x: tg.grad(f)(x),
        lambda f, x: tg.hessian(f)(x),
        lambda f, x: tg.hvp(f, x, x),
        lambda f, x: tg.grad(tg.checkpoint(f))(x),
        lambda f, x: tg.jvp(f, (x,), (x,)),
    ],
    ids=["grad", "hessian", "hvp", "checkpoint", "jvp"],
)
def test_pitfall_07_transforms_leave_nothing(differentiate):
    seen: list[Any] = []

    def f(x: tg.Tensor) -> tg.Tensor:
        y = tg.sum(tg.tanh(x) * x)
        seen.extend(weakref.ref(one) for one in (x, y, y.node) if one is not None)
        return y

    with without_collector():
        differentiate(f, np.array([0.5, 1.0]))
        assert seen and all(ref() is None for ref in seen)


def memory_after(f: Callable[[], Any], times: int) -> int:
    for _ in range(times):
        f()
    return tracemalloc.get_traced_memory()[0]


def test_memory_is_flat_over_a_thousand_iterations():
    w, x = leaf(8, 8), leaf(64, 8)

    def iteration() -> None:
        h = x
        for _ in range(3):
            h = tg.tanh(h @ w)
        loss = tg.mean(h * h)
        loss.backward()
        for p in (w, x):
            with tg.no_grad():
                p -= 0.01 * p.grad
            p.grad = None

    with without_collector():
        tracemalloc.start()
        early, late = memory_after(iteration, 200), memory_after(iteration, 800)
        tracemalloc.stop()
    # one array of a graph has 4096 bytes; Python's own free lists of tuples may still be growing
    assert late - early < 800 * 100, f"{late - early} bytes more after 800 iterations"


def test_pitfall_08_backward_twice():
    """Gradients add up over graphs; one graph goes once, unless it is told to be retained."""
    x = tg.tensor(2.0, requires_grad=True)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad == 8.0
    with pytest.raises(GraphError) as caught:
        y.backward()
    assert str(caught.value) == (
        "backward(): the output () of multiply belongs to a graph that an earlier backward() has used up. A state that "
        "is carried on needs state = detach(state); to go twice, the first call needs retain_graph=True"
    )
    (x * x).backward()
    assert x.grad == 12.0


def windows(count: int, detached: bool, w: tg.Tensor, **how: Any) -> tg.Tensor:
    """Truncated BPTT: a loss for each window of two steps, and the state that is carried on."""
    h = tg.tensor(np.ones((1, 3)))
    for _ in range(count):
        for _ in range(2):
            h = tg.tanh(h @ w)
        tg.sum(h * h).backward(**how)
        h = tg.detach(h) if detached else h
    return h


def test_pitfall_09_state_carried_without_detach():
    with pytest.raises(GraphError, match=r"the output \(1, 3\) of tanh belongs to a graph .* state = detach\(state\)"):
        windows(2, False, leaf(3, 3))
    with pytest.warns(UserWarning, match=r"grows with every iteration, .* Cut it there: state = detach\(state\)"):
        windows(4, False, leaf(3, 3), retain_graph=True)
    windows(20, True, leaf(3, 3))


def test_pitfall_09_a_detached_state_holds_nothing():
    w = leaf(3, 3)
    with without_collector():
        h = tg.tanh(tg.tensor(np.ones((1, 3))) @ w)
        cut, ref = tg.detach({"lstm": (h, [h])}), weakref.ref(h.node)
        del h  # no loss has reached it
        assert ref() is None and not cut["lstm"][0].requires_grad
