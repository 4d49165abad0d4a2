"""The training loop: it equals the loop of its docstring, it can be stopped and continued, it refuses what is not
finite."""

import gc
import math
import re
import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.learners import Dropped, Regression, pairs
from tinygrad_rnn import nn
from tinygrad_rnn.data import grammar, windows
from tinygrad_rnn.models import LanguageModel
from tinygrad_rnn.optim import ASGD, SGD, Adam, clip_grad_norm
from tinygrad_rnn.train import History, Position, Progress, fit, mean_loss, plot_histories

V, N, T = 144, 4, 7
IDS = grammar(400).ids
BATCHES = windows(IDS, N, T)
COUNT = len(BATCHES)


def model(cell=tg.lstm, seed: int = 0) -> LanguageModel:
    return LanguageModel(cell, V, 6, 5, rng=np.random.default_rng(seed))


def equal(a, b) -> None:
    for name, parameter in a.params.items():
        np.testing.assert_array_equal(parameter.numpy(), b.params[name].numpy(), err_msg=name)


@pytest.mark.parametrize("cell", [tg.rnn, tg.lstm, tg.gru], ids=["rnn", "lstm", "gru"])
@pytest.mark.parametrize("make", [lambda m: SGD(m, lr=2.0), lambda m: Adam(m, lr=0.01)], ids=["sgd", "adam"])
def test_fit_is_the_loop_of_its_docstring_bit_for_bit(cell, make):
    fitted, looped = model(cell), model(cell)
    fit(fitted, BATCHES, make(fitted), epochs=2, max_norm=0.3, report=False)
    optimizer, state = make(looped), None
    for epoch in range(2):
        for xs, ts in BATCHES.epoch(epoch):
            optimizer.zero_grad()
            loss, state = looped.loss(xs, ts, tg.detach(state))
            loss.backward()
            clip_grad_norm(optimizer.params, 0.3)
            optimizer.step()
    equal(fitted, looped)
    assert not np.array_equal(fitted.affine.b.numpy(), model(cell).affine.b.numpy())


def test_a_model_without_a_state_and_batches_in_a_list():
    fitted, looped = Regression(), Regression()
    fit(fitted, pairs(3), SGD(fitted, lr=0.1), epochs=4, report=False)
    optimizer = SGD(looped, lr=0.1)
    for xs, ts in pairs(3) * 4:
        optimizer.zero_grad()
        looped.loss(xs, ts).backward()
        optimizer.step()
    equal(fitted, looped)


def test_a_loss_of_the_caller_replaces_that_of_the_model():
    fitted, other = Regression(), Regression()
    fit(fitted, pairs(3), SGD(fitted, lr=0.1), epochs=2, report=False)
    fit(other, pairs(3), SGD(other, lr=0.1), epochs=2, report=False, loss=lambda xs, ts: ((other(xs) - ts) ** 2).mean())
    equal(fitted, other)


def test_every_batch_and_every_epoch_are_reported():
    reported: list = []
    trained = model()
    history = fit(trained, BATCHES, SGD(trained, lr=1.0), epochs=2, max_norm=0.25, report=reported.append,
                  after_epoch=reported.append)  # fmt: skip
    want = [(epoch, k) for epoch in (1, 2) for k in [*range(1, COUNT + 1), None]]
    found = [(p.epoch, p.batch) if isinstance(p, Progress) else (p["epoch"], None) for p in reported]
    assert found == want and history.epochs == [row for row in reported if isinstance(row, dict)]
    first = reported[0]
    assert (first.epochs, first.batches, first.lr) == (2, COUNT, 1.0)
    assert abs(first.perplexity - V) < 10 and first.tokens_per_second > 0 and first.norm > 0
    assert first.seconds_left > 0 and reported[2 * COUNT].seconds_left == 0
    assert [part.shape for part in first.position.state] == [(N, 5)] * 2
    assert not first.position.state[0].requires_grad


def test_the_first_reported_perplexity_is_that_of_the_first_batch():
    reported: list = []
    trained = model()
    loss, _ = trained.loss(*next(iter(BATCHES)))
    fit(trained, BATCHES, SGD(trained, lr=1.0), report=reported.append)
    assert math.isclose(reported[0].perplexity, math.exp(loss.item()), rel_tol=1e-9)


# -- history -----------------------------------------------------------------------------------------------------------


def test_the_history_has_the_means_over_the_targets():
    """A batch counts by its targets; a label of -1 is none."""
    trained, losses = model(), []
    batches = list(BATCHES) * 4  # several rows of the history
    batches[1][1][:, 2:] = -1

    def loss(ids, targets, state=None):
        value, state = trained.loss(ids, targets, state)
        losses.append((value.item(), np.count_nonzero(targets != -1)))
        return value, state

    history = fit(trained, batches, SGD(trained, lr=1.0), loss=loss, report=False)
    for row, part in zip(history.rows, [losses[:20], losses[20:40], losses[40:], losses], strict=True):
        total = sum(value * count for value, count in part)
        assert row["targets"] == sum(count for _, count in part)
        assert math.isclose(row["loss"], total / row["targets"], rel_tol=1e-12)
        assert math.isclose(row["perplexity"], math.exp(row["loss"]), rel_tol=1e-12)
    assert [row.get("batch") for row in history.rows] == [20, 40, len(batches), None]


def test_the_validation_is_measured_in_evaluation_mode_and_the_best_weights_are_loaded():
    trained, modes, kept = Dropped(0.5), [], {}
    valid = list(windows(grammar(200, 1).ids, N, T, tail=True))

    def after_epoch(row):
        kept[row["epoch"]] = trained.state_dict()
        modes.append(trained.training)
        optimizer.lr = 1.0 if row["epoch"] < 3 else 1000.0

    optimizer = SGD(trained, lr=1.0)
    history = fit(trained, BATCHES, optimizer, epochs=5, valid=valid, report=False, after_epoch=after_epoch)
    values = [row["valid"] for row in history.epochs]
    best = 1 + int(np.argmin(values))
    assert best < 5 and history.best["epoch"] == best  # the test needs a training that gets worse
    for name, array in trained.state_dict().items():
        np.testing.assert_array_equal(array, kept[best][name])
    trained.eval()
    state, total = None, 0.0
    for xs, ts in valid:
        loss, state = trained.loss(xs, ts, state)
        total += loss.item() * ts.size
    assert math.isclose(values[best - 1], total / sum(ts.size for _, ts in valid), rel_tol=1e-6)
    assert modes == [True] * 5


def test_patience_ends_a_training_that_gets_no_better():
    trained = model()
    valid = windows(grammar(200, 1).ids, N, T)
    history = fit(trained, BATCHES, SGD(trained, lr=200.0), epochs=30, valid=valid, patience=2, report=False)
    last = history.epochs[-1]["epoch"]
    assert last < 30 and history.best["epoch"] == last - 2


def test_averaged_weights_are_validated_and_kept_once_an_epoch_is_no_better():
    """At this learning rate the weights jump about, and their mean does not."""
    valid = pairs(2, seed=9)
    values, starts = {}, []
    for kind in (SGD, ASGD):
        trained = Regression()
        optimizer = kind(trained, lr=0.3)

        def after_epoch(row, optimizer=optimizer):
            starts.append(getattr(optimizer, "t0", -1))

        history = fit(trained, pairs(30), optimizer, epochs=8, valid=valid, report=False, after_epoch=after_epoch)
        values[kind] = [row["valid"] for row in history.epochs]
        assert math.isclose(mean_loss(trained, valid), history.best["valid"], rel_tol=1e-6)
    begun = next(k for k, start in enumerate(starts[8:]) if start > 0)
    assert starts[8:] == [-1] * begun + [30 * (begun + 1)] * (8 - begun)
    assert values[ASGD][: begun + 1] == values[SGD][: begun + 1]
    assert max(values[ASGD][begun + 1 :]) < min(values[SGD])


class Recorded:
    """A schedule that halves the learning rate, and records its calls."""

    def __init__(self, optimizer):
        self.optimizer, self.calls = optimizer, []

    def step(self):
        self.calls.append(self.optimizer.lr)
        self.optimizer.lr /= 2


class ByMetric(Recorded):
    per_step, needs_metric = False, True

    def step(self, metric):
        self.calls.append(metric)
        self.optimizer.lr /= 4


def test_a_schedule_is_stepped_after_every_batch():
    trained, reported = Regression(), []
    optimizer = SGD(trained, lr=0.5)
    schedule = Recorded(optimizer)
    fit(trained, pairs(3), optimizer, epochs=2, schedule=schedule, report=reported.append)
    assert schedule.calls == [0.5 / 2**k for k in range(6)] == [progress.lr for progress in reported]


def test_a_schedule_by_a_metric_is_stepped_after_every_epoch_with_the_perplexity_of_the_validation():
    trained = Regression()
    optimizer = SGD(trained, lr=0.5)
    schedule = ByMetric(optimizer)
    history = fit(trained, pairs(3), optimizer, epochs=3, schedule=schedule, valid=pairs(2, seed=9), report=False)
    assert schedule.calls == [row["valid_perplexity"] for row in history.epochs]
    assert [row["lr"] for row in history.epochs] == [0.5, 0.125, 0.03125]


def test_the_plot_has_the_curves_and_is_the_same_file_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    trained = Regression()
    optimizer = SGD(trained, lr=0.1)
    history = fit(trained, pairs(3), optimizer, epochs=3, schedule=ByMetric(optimizer), valid=pairs(2), report=False)
    figure = history.plot(tmp_path / "a.svg", ylim=(0, 50))
    history.plot(tmp_path / "b.svg", ylim=(0, 50))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    training, valid = figure.axes[0].lines
    assert training.get_ydata().tolist() == [row["perplexity"] for row in history.rows if "batch" in row]
    assert valid.get_ydata().tolist() == [row["valid_perplexity"] for row in history.epochs]
    assert figure.axes[1].lines[0].get_ydata().tolist() == [0.1, 0.025, 0.00625]


def test_a_plot_of_several_trainings_has_a_line_for_each(tmp_path):
    pytest.importorskip("matplotlib")
    histories = {}
    for name, lr, valid in (("slow", 0.01, pairs(2)), ("quick", 0.1, pairs(2)), ("blind", 0.1, None)):
        trained = Regression()
        optimizer = SGD(trained, lr=lr)
        histories[name] = fit(trained, pairs(3), optimizer, epochs=3, valid=valid, report=False)
    figure = plot_histories(histories, tmp_path / "a.svg", ylim=(0, 50))
    plot_histories(histories, tmp_path / "b.svg", ylim=(0, 50))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert [label for label in lines if not label.startswith("_")] == ["slow", "quick", "blind (training)"]
    for name in ("slow", "quick"):
        assert lines[name].get_xdata().tolist() == [1, 2, 3]
        assert lines[name].get_ydata().tolist() == [row["valid_perplexity"] for row in histories[name].epochs]
    training = [row["perplexity"] for row in histories["blind"].rows if "batch" in row]
    assert lines["blind (training)"].get_ydata().tolist() == training and len(figure.axes[0].lines) == 5
    with pytest.raises(tg.Error, match=r"^plot_histories: new has no rows, should have at least one$"):
        plot_histories({"new": History()})


# -- continued ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [1, 5, COUNT, COUNT + 3])
def test_a_training_that_is_stopped_and_continued_is_the_same_bit_for_bit(stop):
    whole, parts = model(), model()
    want = fit(whole, BATCHES, SGD(whole, lr=2.0), epochs=2, report=False)
    history = History()

    def report(progress: Progress) -> None:
        if (progress.epoch - 1) * COUNT + progress.batch == stop:
            raise KeyboardInterrupt(progress.position)

    with pytest.raises(KeyboardInterrupt) as stopped:
        fit(parts, BATCHES, SGD(parts, lr=2.0), epochs=2, report=report, history=history)
    fit(parts, BATCHES, SGD(parts, lr=2.0), epochs=2, start=stopped.value.args[0], history=history, report=False)
    equal(whole, parts)

    def numbers(rows):
        return [{name: value for name, value in row.items() if name != "tokens_per_second"} for row in rows]

    assert numbers(history.rows) == numbers(want.rows)


def test_a_start_that_does_not_exist_is_refused():
    trained = model()
    for batch in (-1, COUNT + 1):
        with pytest.raises(ValueError, match=f"^fit: start is after batch {batch}, should be from 0 to {COUNT}$"):
            fit(trained, BATCHES, SGD(trained, lr=1.0), start=Position(batch=batch))


@pytest.mark.parametrize(("batches", "text"), [
    ([], "fit: batches is empty, should have at least one batch"),
    (type("Short", (list,), {"__len__": lambda self: 3})(pairs(2)),
     "fit: batches gave 2 in epoch 1, should give len(batches) = 3 each time that it is iterated over"),
])  # fmt: skip
def test_batches_without_the_right_length_are_refused(batches, text):
    trained = Regression()
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        fit(trained, batches, SGD(trained, lr=0.1), report=False)


@pytest.mark.parametrize(("loss", "text"), [
    (3, "fit: loss is a int, should be a function of a batch"),
    (lambda xs, ts: tg.tensor(xs), "fit: loss returned the shape (5, 2), should be a scalar"),
    (lambda xs, ts, state=None: tg.tensor(1.0), "fit: loss returned a Tensor, should return (loss, state), since it "
     "takes a state"),
])  # fmt: skip
def test_a_loss_that_is_none_is_refused(loss, text):
    trained = Regression()
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        fit(trained, pairs(2), SGD(trained, lr=0.1), loss=loss, report=False)


# -- the console -------------------------------------------------------------------------------------------------------


def test_off_a_terminal_there_is_a_line_every_so_often_and_one_for_each_epoch(capsys, monkeypatch):
    from tinygrad_rnn.train import console

    clock = iter(range(0, 10_000, 4))
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    trained = Regression()
    fit(trained, pairs(8), SGD(trained, lr=0.1), epochs=1, valid=pairs(2))
    out, err = capsys.readouterr()
    line = r"epoch 1/1, batch {}/8: perplexity [\d.]+, [\d,]+ tokens/s, norm [\d.e-]+, lr 0.1, 0:00 left\n"
    assert re.fullmatch(line.format(3) + line.format(6), err)
    assert re.fullmatch(r"epoch 1: perplexity [\d.]+, validation perplexity [\d.]+, lr 0.1, [\d,]+ tokens/s\n", out)


def test_durations_and_large_perplexities():
    from tinygrad_rnn.train.console import duration, two_digits

    assert [two_digits(value) for value in (1.234, 99999.5, 1e304)] == ["1.23", "99999.50", "1e+304"]

    assert [duration(seconds) for seconds in (0.4, 59.6, 3599, 3600, 7325)] == ["0:00", "1:00", "59:59", "1:00:00",
                                                                               "2:02:05"]  # fmt: skip


# -- cells that draw ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [
    tg.variational_dropout(tg.lstm, x=0.5, h=0.5), tg.zoneout(tg.gru, h=0.1),
    tg.residual(tg.zoneout(tg.variational_dropout(tg.projected(tg.lstm), h=0.1), c=0.1)),
])  # fmt: skip
def test_a_cell_that_draws_random_numbers_draws_in_training_only(cell):
    trained = LanguageModel(cell, V, 5, 5, rng=0)
    fit(trained, BATCHES, SGD(trained, lr=1.0), report=False)
    batch = next(iter(BATCHES))
    training = [trained.loss(*batch)[0].item() for _ in range(5)]
    trained.eval()
    assert len({*training}) == 5 and len({trained.loss(*batch)[0].item() for _ in range(5)}) == 1



# -- numbers that are not finite ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_raises_before_it_changes_anything(value):
    trained = model()
    with tg.no_grad():
        trained.affine.b[3] = value
    before, optimizer = trained.state_dict(), Adam(trained)
    text = "^fit: the loss is nan, in epoch 1, batch 1: .*; a smaller learning rate or max_norm may help$"
    with pytest.raises(FloatingPointError, match=text):
        fit(trained, BATCHES, optimizer, report=False)
    for name, array in trained.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert optimizer.state_dict() == {"lr": 0.001}


def test_the_operation_and_the_time_step_that_made_a_number_are_named():
    @tg.cell
    def fragile(x, h, *, Wx=tg.Param("D H")):
        return tg.tanh(x @ Wx + h) / (1 - tg.exp(-1000 * x[:, :1] ** 2))

    trained = nn.Module()
    trained.recurrent = nn.Recurrent(fragile, D=2, H=3, rng=np.random.default_rng(0))
    xs = np.random.default_rng(0).standard_normal((2, 5, 2)).astype("f")
    xs[1, 3, 0] = 0.0
    text = r"^fit: the loss is nan, in epoch 1, batch 2: divide: made (NaN|inf) .*, in time step 3; a smaller "
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=text):
        fit(trained, [(xs[:1],), (xs,)], SGD(trained, lr=0.1), report=False,
            loss=lambda xs: (trained.recurrent(xs)[0] * 0.0).sum())  # fmt: skip


def test_dropout_masks_are_drawn_again_for_the_diagnosis_and_the_generators_are_as_before_the_batch():
    trained = Dropped(0.5)
    seen: list = []

    def loss(ids, targets, state=None):
        seen.append(trained.rng.bit_generator.state)
        value, state = trained.loss(ids, targets, state)
        return value * np.float32("nan"), state

    with pytest.raises(FloatingPointError):
        fit(trained, BATCHES, SGD(trained, lr=0.1), loss=loss, report=False)
    assert len(seen) == 2 and seen[0] == seen[1] == trained.rng.bit_generator.state


def test_a_gradient_that_is_not_finite_raises_before_it_changes_anything():
    class Kinked(LanguageModel):
        def loss(self, ids, targets, state=None):
            loss, state = super().loss(ids, targets, state)
            zero = (self.affine.b * 0.0).sum()
            return loss + tg.where(np.array(True), zero, tg.sqrt(zero)), state  # finite, its gradient is not

    trained = Kinked(tg.rnn, V, 6, 5, rng=np.random.default_rng(0))
    before = trained.state_dict()
    text = r"^fit: the gradient of affine\.b is not finite, in epoch 1, batch 1: backward of sqrt: "
    for max_norm in (None, 0.25):
        with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=text):
            fit(trained, BATCHES, SGD(trained, lr=1.0), max_norm=max_norm, report=False)
        for name, array in trained.state_dict().items():
            np.testing.assert_array_equal(array, before[name])


def test_memory_does_not_grow_with_the_number_of_batches():
    """But for the rows of the history: one of about 500 bytes for 20 batches."""
    trained, sizes = model(), []
    optimizer = SGD(trained, lr=0.1)

    def report(progress):
        if progress.batch == COUNT:
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    fit(trained, BATCHES, optimizer, epochs=6, report=report)
    tracemalloc.stop()
    assert sizes[-1] - sizes[2] < 3 * 4_000


def test_it_learns():
    trained, reported = model(tg.gru), []
    batches = windows(np.tile(np.arange(9), 100), N, T)
    fit(trained, batches, Adam(trained, lr=0.02), epochs=4, max_norm=1.0, report=reported.append)
    assert reported[-1].perplexity < 1.5 < 100 < reported[0].perplexity
