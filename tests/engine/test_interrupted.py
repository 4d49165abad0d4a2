"""A backward pass that was interrupted anywhere, and is called again: complete, or refused."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.context import context

PACKAGE = str(Path(tg.__file__).parent)


def interrupted(call: Callable[[], Any], at: int, error: type[BaseException]) -> bool:
    """Run ``call`` and raise ``error`` before the ``at``-th line that the package runs; False if it ended before."""
    count = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith((PACKAGE, "<operation ")):
            return None
        if event == "line":
            count += 1
            if count == at:
                raise error
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except error:
        return True
    finally:
        sys.settrace(before)
    return False


def language_model() -> tuple[tg.Tensor, list[tg.Tensor]]:
    """Rules of every form: in place, over dy, spending what they saved, summed over all uses."""
    rng = np.random.default_rng(0)
    E, W, V = (tg.tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((4, 3), (3, 3), (3, 4)))
    h, hs = tg.tensor(np.zeros((2, 3))), tg.zeros((2, 2, 3), dtype=np.float64)
    for t in range(2):
        h = tg.tanh(tg.embedding(E, np.array([t, 3])) + h @ W)
        hs[:, t] = h
    loss = tg.affine_cross_entropy(hs, V, np.zeros(4), np.array([[0, 1], [2, 3]])) + 0.1 * tg.sum(h[:, 0] * h[:, 1])
    return loss, [E, W, V]


def scalars() -> tuple[tg.Tensor, list[tg.Tensor]]:
    s = tg.tensor(2.0, requires_grad=True)
    return tg.sum(s[None]) * s + s * 3 + s, [s]


MODELS = {"language model": language_model, "scalars": scalars}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("retain", [False, True], ids=["used up", "retained"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_second_pass_is_complete_or_refused(make, retain, error, trials):
    loss, leaves = make()
    loss.backward()
    right = [leaf.grad for leaf in leaves]
    at, refused, complete = 1, 0, 0
    while True:
        loss, leaves = make()
        if not interrupted(lambda loss=loss: loss.backward(retain_graph=retain), at, error):
            break
        done = leaves[0].grad is not None
        assert all((leaf.grad is not None) == done for leaf in leaves), "some leaves have their gradient, some not"
        try:
            loss.backward(retain_graph=retain)
        except tg.GraphError:
            refused += 1
            assert all(leaf.grad is None for leaf in leaves)
        else:
            complete += 1
            for leaf, g in zip(leaves, right, strict=True):
                np.testing.assert_allclose(leaf.grad, g * (2 if done else 1), rtol=1e-13)
        at += trials(7, 1)
    assert complete and (retain or refused)
    assert retain == (refused == 0)


def no_grad() -> None:
    with tg.no_grad():
        pass


@pytest.mark.parametrize("use", ["no_grad", "scope", "trace_nans"])
def test_a_context_that_is_interrupted_while_it_is_entered_leaves_everything_as_it_was(use):
    managers = {"no_grad": tg.no_grad, "scope": lambda: tg.scope("part"), "trace_nans": tg.trace_nans}

    for at in range(1, 1000):
        manager = managers[use]()
        if not interrupted(manager.__enter__, at, KeyboardInterrupt):
            manager.__exit__(None, None, None)
            break
        del manager
        other = threading.Thread(target=no_grad, daemon=True)
        other.start()
        other.join(timeout=60)
        assert not other.is_alive(), at  # nothing stays locked
        assert (context.recording, context.scope, context.observer, context.special) == (True, (), None, False), at
    assert 1 < at < 999
