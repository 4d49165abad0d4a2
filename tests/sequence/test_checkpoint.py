"""`scan(checkpoint=k)` equals `scan`, forward and backward, and saves the states between segments alone."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import LENGTHS, assert_same, everything, leaves, sample, scanned
from helpers.odd_cells import ODD, odd_sample

each_mode = pytest.mark.parametrize("mode", ["plan", "eager"])
OPTIONS = [{}, {"reverse": True}, {"lengths": LENGTHS}, {"lengths": LENGTHS, "reverse": True}]


@each_mode
@pytest.mark.parametrize("k, options", list(zip([1, 2, 5, 3], OPTIONS)), ids=["plain", "reverse", "lengths", "both"])
def test_values_and_gradients(mode, k, options):
    s = sample(tg.gru)
    whole, parts = (scanned(tg.gru, mode=mode, checkpoint=checkpoint, **options) for checkpoint in (None, k))
    assert_same(everything(parts, s), everything(whole, s), rtol=1e-12, atol=1e-14)


@pytest.mark.sampled(every=5, by=lambda cell: [])
@pytest.mark.parametrize("cell", [cell for cell in ODD if cell.name != "in_place"], ids=lambda cell: cell.name)
def test_odd_cells(cell):
    s = odd_sample(cell)
    whole, parts = (scanned(cell, mode="plan", checkpoint=checkpoint) for checkpoint in (None, 3))
    assert_same(everything(parts, s), everything(whole, s), rtol=1e-11, atol=1e-13)


@each_mode
def test_random_masks_are_drawn_once(mode):
    """The second run of a segment draws what the first has drawn, and the generator goes on from there."""
    cell = tg.zoneout(tg.lstm, h=0.3)
    s = odd_sample(cell)
    results = []
    for checkpoint in (None, 2):
        rng, params = np.random.default_rng(3), leaves(s.params)
        for _ in range(2):
            hs, _ = tg.scan(cell, s.xs, s.state, {**params, "rng": rng}, mode=mode, checkpoint=checkpoint)
            tg.sum(hs * hs).backward(retain_graph=False)
        results.append([hs.numpy(), rng.random(), *(p.grad for p in params.values())])
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_gradients_of_gradients():
    s = sample(tg.lstm)

    def norm(xs, checkpoint):
        slope = tg.grad(lambda xs: tg.sum(tg.scan(tg.lstm, xs, s.state, s.params, checkpoint=checkpoint)[0] ** 2))
        return tg.sum(tg.square(slope(xs)))

    ours, theirs = (tg.grad(lambda xs, k=k: norm(xs, k))(s.xs) for k in (2, None))
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


def test_the_memory_that_is_saved_grows_with_the_root_of_the_steps():
    def saved(T, checkpoint):
        s = sample(tg.lstm, T=T)
        params = leaves(s.params)
        tg.scan(tg.lstm, s.xs, None, params, mode="plan", checkpoint=checkpoint)
        tracemalloc.start()
        hs, _ = tg.scan(tg.lstm, s.xs, None, params, mode="plan", checkpoint=checkpoint)
        size = tracemalloc.get_traced_memory()[0] - 2 * s.xs.nbytes - hs.numpy().nbytes
        tracemalloc.stop()
        return size

    assert saved(1600, 40) < 3 * saved(400, 20)
    assert saved(1600, 40) < saved(1600, None) / 5


@pytest.mark.parametrize("checkpoint", [0, -3, 1.5, "auto"])
def test_a_wrong_number_of_steps(checkpoint):
    s = sample(tg.rnn)
    with pytest.raises(ValueError, match=r"scan: checkpoint is .*, should be a number of steps from 1"):
        tg.scan(tg.rnn, s.xs, None, s.params, checkpoint=checkpoint)
