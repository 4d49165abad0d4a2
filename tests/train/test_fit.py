"""The training loop: it is the loop of its docstring, it can be stopped and taken up, it refuses what is not finite."""

import math
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.data import grammar, windows
from tinygrad_rnn.optim import SGD, Adam, clip_grad_norm
from tinygrad_rnn.train import LanguageModel, Progress, fit

V, N, T = 144, 4, 7
IDS = grammar(400).ids


def model(cell=tg.lstm, seed: int = 0) -> LanguageModel:
    return LanguageModel(cell, V, 6, 5, rng=np.random.default_rng(seed))


def equal(a: LanguageModel, b: LanguageModel) -> None:
    for name, one in a.params.items():
        np.testing.assert_array_equal(one.numpy(), b.params[name].numpy(), err_msg=name)


@pytest.mark.parametrize("cell", [tg.rnn, tg.lstm, tg.gru], ids=["rnn", "lstm", "gru"])
@pytest.mark.parametrize("make", [lambda m: SGD(m, lr=2.0), lambda m: Adam(m, lr=0.01)], ids=["sgd", "adam"])
def test_fit_is_the_loop_of_its_docstring_bit_for_bit(cell, make):
    fitted, looped = model(cell), model(cell)
    fit(fitted, IDS, make(fitted), N=N, T=T, epochs=2, max_norm=0.3)
    optimizer = make(looped)
    state, words = None, len(windows(IDS, N, T)) * T
    for epoch in range(2):
        for xs, ts in windows(IDS, N, T, start=epoch * words):
            optimizer.zero_grad()
            loss, state = looped.loss(xs, ts, tg.detach(state))
            loss.backward()
            clip_grad_norm(optimizer.params, 0.3)
            optimizer.step()
    equal(fitted, looped)
    assert not np.array_equal(fitted.affine.b.numpy(), model(cell).affine.b.numpy())


def test_it_reports_every_window_and_every_epoch():
    told: list = []
    one = model()
    fit(one, IDS, SGD(one, lr=1.0), N=N, T=T, epochs=2, report=told.append, after_epoch=told.append)
    count = len(windows(IDS, N, T))
    want = [(epoch, k) for epoch in (1, 2) for k in [*range(1, count + 1), None]]
    assert [(p.epoch, p.window) if isinstance(p, Progress) else (p, None) for p in told] == want
    first = told[0]
    assert (first.epochs, first.windows) == (2, count)
    assert abs(first.perplexity - V) < 10 and first.tokens_per_second > 0 and first.norm > 0
    assert [one.shape for one in first.state] == [(N, 5)] * 2 and not first.state[0].requires_grad


def test_the_perplexity_told_first_is_that_of_the_first_window():
    told: list = []
    one = model()
    loss, _ = one.loss(*next(iter(windows(IDS, N, T))))
    fit(one, IDS, SGD(one, lr=1.0), N=N, T=T, report=told.append)
    assert math.isclose(told[0].perplexity, math.exp(loss.item()), rel_tol=1e-9)


@pytest.mark.parametrize("stop", [1, 5, len(windows(IDS, N, T))])
def test_a_run_that_is_stopped_and_taken_up_is_the_same_bit_for_bit(stop):
    whole, parts = model(), model()
    fit(whole, IDS, SGD(whole, lr=2.0), N=N, T=T, epochs=2)

    def report(progress: Progress) -> None:
        if progress.window == stop:
            raise KeyboardInterrupt(progress)

    with pytest.raises(KeyboardInterrupt) as stopped:
        fit(parts, IDS, SGD(parts, lr=2.0), N=N, T=T, report=report)
    progress = stopped.value.args[0]
    fit(parts, IDS, SGD(parts, lr=2.0), N=N, T=T, epochs=2, start=(progress.window, progress.state))
    equal(whole, parts)


def test_epochs_one_by_one_are_the_same_bit_for_bit():
    whole, parts, state = model(), model(), None
    told: list[Progress] = []
    fit(whole, IDS, SGD(whole, lr=2.0), N=N, T=T, epochs=3)
    for epoch in range(3):
        fit(parts, IDS, SGD(parts, lr=2.0), N=N, T=T, start=(0, state), passed=epoch, report=told.append)
        state = told[-1].state
    equal(whole, parts)


def test_a_start_that_is_not_there_is_refused():
    count = len(windows(IDS, N, T))
    for start in (-1, count + 1):
        with pytest.raises(ValueError, match=f"^fit: start is after window {start}, should be from 0 to {count}$"):
            fit(model(), IDS, SGD(model(), lr=1.0), N=N, T=T, start=(start, None))


@pytest.mark.parametrize(("cell", "names", "written"), [
    (tg.variational_dropout(tg.lstm, x=0.5, h=0.5), "mask_x, mask_h", "**draw_masks(cell, rng, N, params)"),
    (tg.zoneout(tg.gru, h=0.1), "rng", "rng=rng"),
    (tg.residual(tg.zoneout(tg.variational_dropout(tg.projected(tg.lstm), h=0.1), c=0.1)), "mask_h, rng",
     "**draw_masks(cell, rng, N, params), rng=rng"),
])  # fmt: skip
def test_a_cell_that_draws_in_training_is_refused(cell, names, written):
    """It would be trained as it is evaluated: nothing dropped, or the mean of what is drawn."""
    text = f"LanguageModel: {cell.name} draws {names} in training, which are not passed on, should be a cell that "
    text += f"draws nothing; or write an nn.Module whose loss calls its nn.Recurrent as layer(xs, state, {written})"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        model(cell)


def test_what_is_written_instead_draws():
    """The model that the refusal asks for: training drops, evaluation does not."""

    class Dropped(nn.Module):
        def __init__(self, cell, rng):
            self.rng, self.embed = rng, nn.Embedding(V, 6, rng=rng)
            self.recurrent, self.affine = nn.Recurrent(cell, D=6, H=5, rng=rng), nn.Linear(5, V, rng=rng)

        def loss(self, ids, targets, state=None, training=True):
            layer = self.recurrent
            draws = tg.draw_masks(layer.cell, self.rng, len(ids), layer.params) if training else {"mask_h": None}
            hs, state = layer(self.embed(ids), state, **draws)
            return tg.softmax_cross_entropy(self.affine(hs), targets), state

    rate = 0.5
    one = Dropped(tg.variational_dropout(tg.lstm, h=rate), np.random.default_rng(0))
    fit(one, IDS, SGD(one, lr=1.0), N=N, T=T, epochs=1)
    xs, ts = next(iter(windows(IDS, N, T)))
    training = [one.loss(xs, ts)[0].item() for _ in range(5)]
    evaluated = [one.loss(xs, ts, training=False)[0].item() for _ in range(5)]
    assert len({*training}) == 5 and len({*evaluated}) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_raises_before_it_changes_anything(value):
    one = model()
    with tg.no_grad():
        one.affine.b[3] = value
    before, optimizer = one.state_dict(), Adam(one)
    text = "fit: the loss is nan; a smaller learning rate or max_norm may help"
    with pytest.raises(FloatingPointError, match=f"^{re.escape(text)}$"):
        fit(one, IDS, optimizer, N=N, T=T)
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert optimizer.state_dict() == {"lr": 0.001}


def test_a_gradient_that_is_not_finite_raises_before_it_changes_anything():
    class Kinked(LanguageModel):
        def loss(self, ids, targets, state=None):
            loss, state = super().loss(ids, targets, state)
            zero = (self.affine.b * 0.0).sum()
            return loss + tg.where(np.array(True), zero, tg.sqrt(zero)), state  # finite, its gradient is not

    one = Kinked(tg.rnn, V, 6, 5, rng=np.random.default_rng(0))
    before = one.state_dict()
    text = r"^clip_grad_norm: the gradient of affine\.b is not finite$"
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=text):
        fit(one, IDS, SGD(one, lr=1.0), N=N, T=T)
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_it_learns():
    one, told = model(tg.gru), []
    ids = np.tile(np.arange(9), 100)
    fit(one, ids, Adam(one, lr=0.02), N=N, T=T, epochs=4, max_norm=1.0, report=told.append)
    assert told[-1].perplexity < 1.5 < 100 < told[0].perplexity
