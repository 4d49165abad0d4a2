"""A state that is carried on without detach: each way it can go wrong says which state it was."""

import re
import warnings

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.sequence.scan import MANY


def windows(count, retain_graph=False, backward=True, cut=False, mode="auto"):
    """``count`` windows of an LSTM, the state carried."""
    rng = np.random.default_rng(0)
    params, xs, state = tg.lstm.init(rng, D=3, H=4), rng.standard_normal((2, 3, 3)).astype("f"), None
    for _ in range(count):
        hs, state = tg.scan(tg.lstm, xs, tg.detach(state) if cut else state, params, mode=mode)
        if backward:
            hs.sum().backward(retain_graph=retain_graph)


@pytest.mark.parametrize(
    "mode, state", [("eager", "c (the output (2, 4) of add)"), ("plan", "h (the output (2, 4) of scan)")]
)
def test_the_second_backward_names_the_state_it_came_through(mode, state):
    with pytest.raises(tg.GraphError, match=rf"^backward\(\): {re.escape(state)} belongs to a graph"):
        windows(2, mode=mode)


@pytest.mark.parametrize(
    "mode, state", [("eager", "h (the output (2, 4) of multiply)"), ("plan", "c (the output (2, 4) of scan)")]
)
def test_a_graph_that_is_retained_and_grows_is_warned_of(mode, state):
    with pytest.warns(UserWarning, match=f"grows with every iteration, through {re.escape(state)}"):
        windows(4, retain_graph=True, mode=mode)


def test_a_state_carried_through_many_windows_is_warned_of_once():
    with pytest.warns(UserWarning) as caught:
        windows(MANY + 5, backward=False)
    assert [str(one.message) for one in caught] == [
        f"scan: the state h, c of lstm has been carried through {MANY} calls without detach, and the graph grows with "
        "each. Cut it: state = detach(state); to evaluate, use no_grad()"
    ]
    assert caught[0].filename == __file__


def test_detach_and_no_grad_are_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        windows(MANY + 5, backward=False, cut=True)
        windows(5, cut=True)
        with tg.no_grad():
            windows(MANY + 5, backward=False)


def test_several_losses_from_one_trunk_are_no_growing_graph():
    x = tg.tensor([0.5], requires_grad=True)
    trunk = np.tanh(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k in range(8):
            (trunk * k).sum().backward(retain_graph=True)


@pytest.mark.parametrize("reverse", [False, True], ids=["from below", "from above"])
def test_losses_at_many_depths_of_one_graph_are_no_growing_graph(reverse):
    """Nothing is made after the first of the passes."""
    x = tg.tensor([0.5], requires_grad=True)
    layers = [np.tanh(x)]
    for _ in range(7):
        layers.append(np.tanh(layers[-1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for layer in layers[::-1] if reverse else layers:
            layer.backward(retain_graph=True)


def test_a_growing_graph_is_warned_of_once():
    with pytest.warns(UserWarning) as caught:
        windows(9, retain_graph=True)
    assert len(caught) == 1
