"""Schedules: the learning rate of each step, resumed runs, what is refused."""

import math
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.optim import SCHEDULES, SGD, Constant, Cosine, ReduceOnPlateau, Schedule, StepDecay, WarmUp


def optimizer(lr=0.8):
    return SGD([tg.tensor([1.0], requires_grad=True)], lr=lr)


def at_zero():
    optimizer_at_zero = optimizer()
    optimizer_at_zero.lr = 0
    return optimizer_at_zero


def rates(schedule, steps, metrics=()):
    """The learning rate of each step; a metric after every step for which there is one."""
    result = []
    for step in range(steps):
        result.append(schedule.optimizer.lr)
        if schedule.per_step:
            schedule.step()
        if schedule.needs_metric:
            schedule.step(metrics[step])
    return result


RATES = {
    "constant": (Constant, [0.8] * 6),
    "step": (lambda o: StepDecay(o, every=2, gamma=0.5), [0.8, 0.8, 0.4, 0.4, 0.2, 0.2]),
    "cosine": (lambda o: Cosine(o, steps=4), [0.8, 0.4 + 0.4 * math.sqrt(0.5), 0.4, 0.4 - 0.4 * math.sqrt(0.5), 0, 0]),
    "cosine to a minimum": (lambda o: Cosine(o, steps=2, min_lr=0.2), [0.8, 0.5, 0.2, 0.2, 0.2, 0.2]),
    "warm-up": (lambda o: WarmUp(o, steps=4, start=0.0), [0, 0.2, 0.4, 0.6, 0.8, 0.8]),
    "warm-up, then": (
        lambda o: WarmUp(o, steps=2, start=0.5, after=StepDecay(o, every=2, gamma=0.25)),
        [0.4, 0.6, 0.8, 0.8, 0.2, 0.2],
    ),
}


@pytest.mark.parametrize("name", RATES)
def test_the_learning_rate_of_each_step(name):
    make, want = RATES[name]
    np.testing.assert_allclose(rates(make(optimizer()), 6), want, rtol=1e-14, atol=1e-16)


NO_BETTER = {
    "the book's": ({}, [9, 8, 8, 7, 7.5, 7.1, 6], [0.8, 0.8, 0.8, 0.2, 0.2, 0.05, 0.0125]),
    "patience": ({"patience": 1}, [9, 10, 8, 8, 8, 8, 8], [0.8, 0.8, 0.8, 0.8, 0.8, 0.2, 0.2]),
    "another divisor": ({"divide": 2}, [1, 1, 1, 1, 0, -1, 0], [0.8, 0.8, 0.4, 0.2, 0.1, 0.1, 0.1]),
    "a minimum": ({"min_lr": 0.1}, [1, 1, 1, 1, 1, 1, 1], [0.8, 0.8, 0.2, 0.1, 0.1, 0.1, 0.1]),
    "infinite at first": ({}, [math.inf, 5, 4, 6, 7, 8, 9], [0.8, 0.2, 0.2, 0.2, 0.05, 0.0125, 0.003125]),
}


@pytest.mark.parametrize("name", NO_BETTER)
def test_no_better_means_divided(name):
    options, metrics, want = NO_BETTER[name]
    np.testing.assert_allclose(rates(ReduceOnPlateau(optimizer(), **options), 7, metrics), want, rtol=1e-14)


def test_a_warm_up_before_a_schedule_with_a_metric():
    """Four steps an epoch; the metric of the first epochs is no better, in the warm-up and after it."""
    o = optimizer()
    schedule, result = WarmUp(o, steps=8, start=0.0, after=ReduceOnPlateau(o)), []
    assert schedule.per_step and schedule.needs_metric
    for metric in (5, 6, 4, 4):
        for _ in range(4):
            schedule.step()
            result.append(o.lr)
        schedule.step(metric)
    want = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]
    np.testing.assert_allclose(result, want, rtol=1e-14)
    assert math.isclose(o.lr, 0.05)


def test_a_schedule_of_a_user():
    class Late(Schedule):
        """lr / 1.2 for each step after the third (Zaremba et al. 2014)."""

        def factor(self, t):
            return 1.2 ** -max(0, t - 3)

    np.testing.assert_allclose(rates(Late(optimizer()), 6), [0.8] * 4 + [0.8 / 1.2, 0.8 / 1.44], rtol=1e-14)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_by_name_lasts_for_the_run(name):
    metrics = [3.0, 3.0, 2.0, 2.0, 2.0] * 12
    whole = rates(SCHEDULES[name](optimizer(), 60), 60, metrics)
    if name in ("cosine", "warmup-cosine"):
        assert 0 < whole[-1] < 0.01 and max(whole) == 0.8
    if name.startswith("warmup"):
        assert math.isclose(whole[0], 0.08) and whole[3] == 0.8
    if name == "step":
        np.testing.assert_allclose([whole[0], whole[19], whole[20], whole[40]], [0.8, 0.8, 0.08, 0.008])
    SCHEDULES[name](optimizer(), 1)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_resumed_schedule_is_the_uninterrupted_one_bit_for_bit(name):
    metrics = [3.0, 3.0, 2.0, 2.0, 2.0] * 12
    whole = rates(SCHEDULES[name](optimizer(), 60), 60, metrics)
    for stop in (1, 4, 33):
        stopped = SCHEDULES[name](optimizer(), 60)
        rates(stopped, stop, metrics)
        state = {key: np.asarray(value) for key, value in stopped.state_dict().items()}
        resumed = SCHEDULES[name](optimizer(lr=7.0), 60)
        resumed.load_state_dict(state)
        assert rates(resumed, 60 - stop, metrics[stop:]) == whole[stop:]


@pytest.mark.parametrize("stop", range(1, 6))
def test_patience_is_resumed_too(stop):
    metrics = [3.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]
    whole = rates(ReduceOnPlateau(optimizer(), patience=2), 7, metrics)
    stopped, resumed = (ReduceOnPlateau(optimizer(), patience=2) for _ in range(2))
    rates(stopped, stop, metrics)
    resumed.load_state_dict(stopped.state_dict())
    assert rates(resumed, 7 - stop, metrics[stop:]) == whole[stop:]


W = tg.tensor([1.0], requires_grad=True)
FIXED = SGD([W], lr=1)

REFUSED = {
    "every": (lambda: StepDecay(FIXED, every=0), "StepDecay: every is 0, should be 1 or more, and finite"),
    "gamma": (lambda: StepDecay(FIXED, 1, gamma=0), "StepDecay: gamma is 0, should be more than 0, and finite"),
    "steps": (lambda: Cosine(FIXED, steps=0), "Cosine: steps is 0, should be 1 or more, and finite"),
    "min_lr": (lambda: Cosine(FIXED, steps=1, min_lr=-1), "Cosine: min_lr is -1, should be 0 or more, and finite"),
    "steps of WarmUp": (lambda: WarmUp(FIXED, steps=0), "WarmUp: steps is 0, should be 1 or more, and finite"),
    "start": (lambda: WarmUp(FIXED, steps=2, start=1), "WarmUp: start is 1, should be from 0 to less than 1"),
    "another optimizer": (
        lambda: WarmUp(FIXED, 2, after=Constant(optimizer())),
        "WarmUp: after is a schedule of another optimizer, should be of the same",
    ),
    "divide": (
        lambda: ReduceOnPlateau(FIXED, divide=1),
        "ReduceOnPlateau: divide is 1, should be more than 1, and finite",
    ),
    "patience": (
        lambda: ReduceOnPlateau(FIXED, patience=-1),
        "ReduceOnPlateau: patience is -1, should be 0 or more, and finite",
    ),
    "min_lr of ReduceOnPlateau": (
        lambda: ReduceOnPlateau(FIXED, min_lr=math.nan),
        "ReduceOnPlateau: min_lr is nan, should be 0 or more, and finite",
    ),
    "no metric": (
        lambda: ReduceOnPlateau(FIXED).step(),
        "ReduceOnPlateau: step got no metric, should be step(metric) after each epoch",
    ),
    "nan": (lambda: ReduceOnPlateau(FIXED).step(math.nan), "ReduceOnPlateau: the metric is nan, should be a number"),
    "text": (lambda: ReduceOnPlateau(FIXED).step("3"), "ReduceOnPlateau: the metric is a str, should be a number"),
    "a metric": (lambda: Cosine(FIXED, 3).step(1.0), "Cosine: step got a metric, should be step() after each step"),
    "a metric after warm-up": (
        lambda: WarmUp(FIXED, 3).step(1.0),
        "Constant: step got a metric, should be step() after each step",
    ),
    "a model": (lambda: Constant([W]), "Constant: optimizer is a list, should be an Optimizer"),
    "a rate of 0": (lambda: Cosine(at_zero(), 3), "Cosine: the optimizer's lr is 0, should be more than 0, and finite"),
    "no rule": (lambda: Schedule(FIXED).step(), "Schedule has no rule, should define factor(self, t)"),
    "a state without t": (
        lambda: Cosine(FIXED, 3).load_state_dict({"base": 1.0}),
        "Cosine.load_state_dict: t missing, should be exactly base, t",
    ),
    "another state": (
        lambda: Cosine(FIXED, 3).load_state_dict(WarmUp(FIXED, 3).state_dict()),
        "Cosine.load_state_dict: after.base, after.t unknown, should be exactly base, t",
    ),
    "no number": (
        lambda: Cosine(FIXED, 3).load_state_dict({"base": 1.0, "t": None}),
        "Cosine.load_state_dict: t is object (), should be a number",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_misuse_is_refused_in_words(case):
    call, text = REFUSED[case]
    with pytest.raises(tg.Error, match=f"^{re.escape(text)}$"):
        call()
