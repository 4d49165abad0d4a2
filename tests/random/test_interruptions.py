"""Backward passes cut short at a random place: a second call raises, or is complete."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.random import cells as cells_at_random
from helpers.random import graphs, interruptions
from helpers.random.sweeps import assert_all_right, in_parts, seeds
from tinygrad_rnn.engine.graph import newest_first


def program(seed):
    return (graphs.build if seed % 3 else cells_at_random.build)(10 * seed)


def ending(seed):
    """What the second call does, and what is wrong with it."""
    try:
        return interruptions.check(program(seed), seed), ""
    except Exception as error:
        return "", f"{type(error).__name__}: {error}\n{program(seed).source()}"


def failure(seed):
    return ending(seed)[1]


@in_parts
def test_interrupted_passes(part, trials):
    assert_all_right(failure, seeds(part, trials(60, 600)))


def test_passes_are_cut_short_in_most_cases():
    endings = [ending(seed)[0] for seed in range(60)]
    assert endings.count("refused") > 5 and endings.count("complete") > 5
    assert endings.count("no gradient") + endings.count("not interrupted") < 10


def test_an_interruption_is_at_the_instruction_that_was_named():
    x = tg.tensor(np.ones(3), requires_grad=True)
    y = np.sum(np.sin(x) * x)
    trip = interruptions.Trip(100)
    with pytest.raises(KeyboardInterrupt), interruptions.tracing(trip):
        y.backward()
    assert trip.count == 100 and x.grad is None


def test_half_of_a_gradient_is_noticed(monkeypatch):
    """A pass that leaves something on one leaf when it is cut short."""
    right = tg.Tensor.backward

    def spoilt(self, dy=None, retain_graph=False):
        try:
            right(self, dy, retain_graph)
        except BaseException:
            leaf = next(node for node in newest_first([self.node], used=True) if not node.parents)
            leaf.gradient = np.ones(leaf.shape, leaf.dtype)
            raise

    monkeypatch.setattr(tg.Tensor, "backward", spoilt)
    assert sum("after the first pass" in failure(seed) for seed in range(60)) > 5
