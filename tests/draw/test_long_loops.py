"""A long loop is recorded only where its picture shows it, and looks as if all of it were recorded."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, cell, gru, layer_norm_lstm, lstm, residual, rnn
from tinygrad_rnn.draw.model import loop_gradients, of_cell, steps, view


@cell
def exploding(x, h, c, *, W=Param("D H"), k=Param("H")):
    c = c * (3 + 0 * k) + x @ W
    h = np.tanh(c) * k
    return h, c


@cell
def deciding(x, h, *, W=Param("D H")):
    return np.tanh(x @ W + h) if x.numpy()[0, 0] > 0 else h * W[0]


@cell
def over_the_batch(x, h, *, W=Param("D H")):
    return np.tanh(x @ W + h - np.mean(h, axis=0))


@cell
def unchanged(x, h, c, *, W=Param("D H")):
    return np.tanh(x @ W + h) * c, c


@cell
def drawn(x, h, *, W=Param("D H"), rng=None):
    return tg.dropout(np.tanh(x @ W + h), rate=0.5, rng=rng)


@pytest.fixture
def pictures(monkeypatch):
    """The pictures of a cell over time, with what is shown recorded alone, and with all steps recorded."""
    def drawn_twice(drawn_cell, count, **look):
        both = []
        for least in (10, count):
            monkeypatch.setattr(steps, "LONG", least)
            both.append(tg.draw(drawn_cell, steps=count, **look))
        return both
    return drawn_twice


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("look", [{}, {"fold": "full"}, {"last": True, "N": 2, "unfold": (10, 12)}], ids=str)
@pytest.mark.parametrize("each", [rnn, lstm, gru, layer_norm_lstm, residual(rnn), exploding], ids=str)
def test_the_picture_is_that_of_all_steps(each, look, pictures):
    short, whole = pictures(each, 50, **look)
    assert short.svg() == whole.svg() and str(short) == str(whole)
    for part in (*short.graph, *whole.graph, *short.graph.edges, *whole.graph.edges):
        if part.gradient_sum is not None:  # the elements of a normalised gradient cancel
            part.gradient_sum = round(part.gradient_sum, 9) + 0.0
    assert short.graph.to_json(6) == whole.graph.to_json(6)


def test_it_records_what_is_shown_alone(monkeypatch):
    monkeypatch.setattr(steps, "LONG", 10)
    captured = of_cell(exploding, 300, fold="auto", watch=False)
    assert len(captured.loop.folds) == 2  # before and after the step at which the gradient is beyond 1e6
    assert len(captured.recurrences[0].steps) == len(captured.loop.times) == 2 + 2 + 2 + 2 + 2
    assert len(view(captured).rows[0].gradients["dc"]) == 300


@pytest.mark.parametrize("each", [deciding, over_the_batch, unchanged, drawn], ids=lambda each: each.name)
def test_a_cell_that_has_to_run_step_by_step_does(each, pictures):
    given = {"rng": np.random.default_rng(0)} if each is drawn else {}
    short, whole = pictures(each, 12, **given)
    assert short.graph.to_json() == whole.graph.to_json()


def test_numbers_that_do_not_agree_are_not_drawn(monkeypatch):
    monkeypatch.setattr(steps, "LONG", 10)
    right = loop_gradients._outside
    monkeypatch.setattr(loop_gradients, "_outside", lambda *given: {
        name: np.roll(array, 1, axis=0) for name, array in right(*given).items()})
    assert of_cell(lstm, 30, fold="auto").loop is None
