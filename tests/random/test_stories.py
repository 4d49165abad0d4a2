"""Random sequences of reads and writes: the gradient of the values at forward time, or `MutationError`."""

import pytest

from helpers.random import stories
from helpers.random.sweeps import assert_all_right, in_parts, seeds
from tinygrad_rnn.engine import versions


def ending(seed):
    """How a story ends, and what is wrong with it."""
    try:
        return stories.play(seed)[0], ""
    except AssertionError as error:
        return "", str(error)


def failure(seed):
    return ending(seed)[1]


@in_parts
@pytest.mark.filterwarnings("ignore:backward.*the graph grows")  # a story may carry a graph on
def test_random_sequences(part, trials):
    assert_all_right(failure, seeds(part, trials(400, 80_000)))


@pytest.mark.filterwarnings("ignore:backward.*the graph grows")
def test_both_endings_happen():
    endings = [ending(seed)[0] for seed in range(100)]
    assert endings.count("refused") > 5 and endings.count("finished") > 50


def test_statements_are_of_every_kind():
    told = "\n".join(stories.told(seed) for seed in range(200))
    for part in (".data", ".numpy()", ".detach()", "no_grad", "SGD", "Adam", "out=", ".fill(", "del ", "checkpoint",
                 "affine_cross_entropy", "tg.vjp", "+= ", "[0] = ", "tg.grad", "retain_graph=True"):  # fmt: skip
        assert part in told, part


def test_a_gradient_of_other_values_is_noticed(monkeypatch):
    """With the library's own watch switched off, what was written changes gradients, and stories say so."""
    monkeypatch.setattr(versions, "check", lambda *order: None)
    assert sum(bool(failure(seed)) for seed in range(100)) > 5


def test_an_error_without_a_write_is_noticed(monkeypatch):
    def refuse(*order):
        raise stories.tg.MutationError("changed")

    monkeypatch.setattr(versions, "check", refuse)
    assert any("nothing was written after forward" in failure(seed) for seed in range(20))
