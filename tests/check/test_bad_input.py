"""Code that never ends, and functions that a decorator has replaced."""

import contextlib
import functools
import signal
import threading
import time

import numpy as np
import pytest

from tinygrad_rnn import check_backward, check_layer, check_loss
from tinygrad_rnn.check.timeout import limited
from tinygrad_rnn.errors import InvalidValue, Uncheckable

X = np.random.default_rng(0).standard_normal((2, 3))


class Endless:
    """A forward that catches whatever is raised in it and goes on."""

    params, grads = (), ()

    def forward(self, x):
        while True:
            with contextlib.suppress(Exception):
                np.tanh(x)

    def backward(self, dy):
        return dy


def square(x):
    return x * x


def endless_back(x, dy):
    while True:
        pass


def waits(x):
    time.sleep(20)
    return 1.0, x


CALLS = [
    (lambda: check_layer(Endless(), X, timeout=0.1), "Endless: a call runs for longer than 0.1 s"),
    (lambda: check_backward(square, endless_back, X, timeout=0.1), "square: a call runs for longer than 0.1 s, at "
     r"test_bad_input.py:\d+ in endless_back: .*; a larger timeout gives it more"),
    (lambda: check_loss(waits, X, timeout=0.1), "waits: .* in waits: time.sleep.20.; a larger timeout gives it more"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "text"), CALLS, ids=["layer", "backward", "loss"])
def test_what_never_ends_is_told_by_its_line(call, text):
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Uncheckable, match=text):
        call()
    assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL)[0] == 0


def ends_in_a_thread(run):
    """Does a function come to its end in a thread of its own, and within 20 s?"""
    ended = []
    thread = threading.Thread(target=lambda: [run(), ended.append(True)])
    thread.start()
    thread.join(20)
    return ended == [True]


@pytest.mark.parametrize(("call", "text"), CALLS[:2], ids=["layer", "backward"])
def test_it_is_told_in_another_thread_too(call, text):
    def run():
        with pytest.raises(Uncheckable, match=text):
            call()

    assert ends_in_a_thread(run)


def test_a_watchdog_that_is_late_interrupts_nothing_after_the_call(monkeypatch):
    """The time is over just when the call ends: what follows the call runs on."""

    class Late(threading.Timer):
        def run(self):
            self.finished.wait()
            time.sleep(0.05)
            self.function()

    def run():
        with contextlib.suppress(Uncheckable), limited("late", 60):
            pass
        for _ in range(100):
            time.sleep(0.002)

    monkeypatch.setattr(threading, "Timer", Late)
    assert ends_in_a_thread(run)


def test_the_limit_of_a_block_around_another_is_told_by_it():
    def run():
        text = r"outer: a call runs for longer than 0\.05 s"
        with pytest.raises(Uncheckable, match=text), limited("outer", 0.05), limited("inner", 60):
            while True:
                time.sleep(0.001)

    assert ends_in_a_thread(run)


def test_an_alarm_of_the_user_stays():
    rings = []
    before = signal.signal(signal.SIGALRM, lambda *_: rings.append(True))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(Uncheckable, match=r"square: a call runs for longer than 0\.1 s"):
            check_backward(square, endless_back, X, timeout=0.1)
        time.sleep(0.4)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rings == [True]


def test_a_limit_is_above_zero():
    with pytest.raises(InvalidValue, match="Endless: timeout is 0, should be a number of seconds above 0"):
        check_layer(Endless(), X, timeout=0)


# -- decorators --------------------------------------------------------------------------------------------------------


def logged(function):
    def inner(*args, **named):
        return function(*args, **named)

    return inner


def counted(function):
    @functools.wraps(function)
    def inner(*args, **named):
        return function(*args, **named)

    return inner


@pytest.mark.parametrize("decorator", [logged, counted])
def test_a_decorator_that_replaces_a_function(decorator, searched):
    def forward(x, w):
        y = np.tanh(x @ w)
        return y, (x, w, y)

    def backward(dy, cache):
        x, w, y = cache
        da = dy * (1 - y * y)
        return da @ w.T, x.T @ da

    def wrong(dy, cache):
        x, w, y = cache
        da = dy * (1 - y * y)
        return da @ w.T, -x.T @ da

    w = np.arange(12.0).reshape(3, 4) / 10
    assert check_backward(decorator(forward), decorator(backward), X, w).verdict == "right"
    report = check_backward(decorator(forward), decorator(wrong), X, w)
    assert list(report.tensors) == ["dx", "dw"] and report.first_wrong == "dw"
    assert report.lines[0].new.strip() == "return da @ w.T, x.T @ da"


@pytest.mark.parametrize("decorator", [logged, counted])
def test_a_decorated_loss_is_matched_by_name(decorator):
    def loss(x, w):
        dw, dx = x + 0 * w, w + 0 * x
        return np.sum(x * w), dw, dx

    assert check_loss(decorator(loss), X, X + 1).verdict == "right"
