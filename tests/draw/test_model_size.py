"""A view is as small as it can be: it does not grow with folded steps, and long graphs are no recursion."""


import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import gru, lstm, rnn
from tinygrad_rnn.draw.model import of_cell, of_function, of_tensor, view


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("fold", ["auto", "full"])
@pytest.mark.parametrize("level", ["op", "cell", "module"])
@pytest.mark.parametrize("one", [rnn, lstm], ids=lambda one: one.name)
def test_folded_it_does_not_grow_with_time(one, level, fold):
    sizes = [(len(graph.nodes), len(graph.edges), len(graph.folds)) for graph in (
        view(of_cell(one, T, watch=False), level, fold=fold) for T in (10, 40, 160))]  # fmt: skip
    assert sizes[0] == sizes[1] == sizes[2]


@pytest.mark.parametrize("level", ["op", "cell"])
def test_unfolded_it_grows_by_the_same_with_every_step(level):
    counts = [len(view(of_cell(gru, T, watch=False), level, fold="none").nodes) for T in (10, 20, 40)]
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0]) > 0


def test_two_layers_in_both_directions_do_not_grow():
    given = [rnn.init(np.random.default_rng(k), D=3, H=3, dtype=np.float64) for k in range(3)]

    def model(xs):
        hs, _ = tg.scan(rnn, xs, None, given[0])
        back, _ = tg.scan(rnn, xs, None, given[1], reverse=True)
        return tg.sum(tg.scan(rnn, hs + back, None, given[2])[0])

    for level in ("op", "cell", "module"):
        small, large = (view(of_function(model, [np.ones((1, T, 3))], ["xs"]), level) for T in (12, 40))
        assert len(small.nodes) == len(large.nodes) and len(small.edges) == len(large.edges)


def test_thousands_of_steps(trials):
    for steps, fold in ((trials(500, 10_000), "none"), (10_000, "auto")):  # all of them recorded, and those shown
        graph = view(of_cell(lstm, steps, watch=False, fold=fold))
        assert len(graph.nodes) < 40 and len(graph.rows[0].gradients["dh"]) == steps


def test_the_end_of_a_long_chain_gets_its_gradient(trials):
    y, length = tg.tensor(np.ones(1), requires_grad=True, name="x"), trials(10_000, 100_000)
    for _ in range(length):
        y = y + 1.0
    graph = view(of_tensor(y))
    assert graph["x"].gradient == 1.0 and sum(one.operations for one in graph) == length
