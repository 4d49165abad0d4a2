"""Blocks on threads: each row once, the same bits for any number of threads, in a fork and inside of a worker too."""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine import threads
from tinygrad_rnn.engine.threads import VARIABLE, count, over_blocks, spare
from tinygrad_rnn.errors import InvalidValue
from tinygrad_rnn.ops import cross_entropy

COUNTS = ["1", "2", "3", "7"]


@pytest.mark.parametrize("number", COUNTS)
@pytest.mark.parametrize(("rows", "step"), [(0, 3), (1, 3), (3, 3), (10, 3), (50, 1), (4, 100)])
def test_every_row_is_in_one_block(rows, step, number, monkeypatch):
    monkeypatch.setenv(VARIABLE, number)
    visits, sizes = np.zeros(rows, int), []

    def block(here):
        visits[here] += 1
        sizes.append(here.stop - here.start)

    over_blocks(block, rows, step)
    assert (visits == 1).all()
    assert sorted(sizes, reverse=True) == [step] * (rows // step) + [rows % step] * (rows % step > 0)


def test_several_threads_run_at_once(monkeypatch):
    monkeypatch.setenv(VARIABLE, "3")
    meeting = threading.Barrier(3)
    over_blocks(lambda here: meeting.wait(timeout=20) and None, 3, 1)  # BrokenBarrierError unless all three are there


def test_a_worker_has_no_threads_to_spare(monkeypatch):
    monkeypatch.setenv(VARIABLE, "3")
    counts, meeting = [], threading.Barrier(3)

    def block(here):
        counts.append((threading.current_thread() is threading.main_thread(), spare()))
        meeting.wait(timeout=20)

    over_blocks(block, 3, 1)
    assert sorted(counts) == [(False, 0), (False, 0), (True, 2)]


def test_a_thread_that_has_not_begun_is_not_waited_for(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")
    over_blocks(lambda here: None, 2, 1)  # the pool is there
    release, visits = threading.Event(), []
    busy = threads._pools[1].submit(release.wait, 20)
    over_blocks(lambda here: visits.append(here.start), 5, 1)
    assert visits == [0, 1, 2, 3, 4] and not busy.done()
    release.set()


def output_layer(rows=40, V=30):
    """The loss and all gradients of an output layer, as bytes."""
    rng = np.random.default_rng(0)
    x, w, b = (tg.tensor(rng.standard_normal(s).astype("f"), requires_grad=True) for s in ((rows, 8), (8, V), (V,)))
    loss = tg.affine_cross_entropy(x, w, b, rng.integers(-1, V, rows))
    loss.backward()
    return b"".join(array.tobytes() for array in (loss.numpy(), x.grad, w.grad, b.grad))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(cross_entropy, "BLOCK", 90)  # three rows


@pytest.mark.usefixtures("small_blocks")
def test_the_bits_do_not_depend_on_the_number_of_threads(monkeypatch):
    results = []
    for number in COUNTS:
        monkeypatch.setenv(VARIABLE, number)
        results += [output_layer() for _ in range(3)]
    assert len(dict.fromkeys(results)) == 1


@pytest.mark.usefixtures("small_blocks")
def test_threads_of_the_user_share_the_pool(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")
    want = output_layer()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: output_layer(), range(8))) == [want] * 8


def test_blocks_inside_of_a_block(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")
    visits = np.zeros((6, 6), int)

    def outer(here):
        over_blocks(lambda inner: visits[here].__setitem__((slice(None), inner), 1), 6, 1)

    over_blocks(outer, 6, 1)
    assert visits.all()


def _in_child(connection):
    connection.send_bytes(output_layer())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
@pytest.mark.usefixtures("small_blocks")
def test_a_forked_process_has_threads_of_its_own(monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")
    want = output_layer()  # the pool is running
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(theirs,))
    child.start()
    try:
        assert ours.poll(20), "the child waits for threads that it does not have"
        assert ours.recv_bytes() == want
    finally:
        child.kill()
        child.join()


@pytest.mark.parametrize("number", COUNTS)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_is_raised_when_no_block_runs_any_more(error, number, monkeypatch):
    monkeypatch.setenv(VARIABLE, number)
    running = []

    def block(here):
        running.append(here)
        time.sleep(0.002)
        running.remove(here)
        if here.start == 4:
            raise error("block 4")

    with pytest.raises(error, match="block 4"):
        over_blocks(block, 12, 1)
    assert running == []


@pytest.mark.usefixtures("small_blocks")
def test_without_threads_the_blocks_run_all_the_same(monkeypatch):
    want = output_layer()

    class Ended:
        def submit(self, *args):
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setenv(VARIABLE, "3")
    monkeypatch.setitem(threads._pools, 2, Ended())
    assert output_layer() == want


def test_the_number_of_threads(monkeypatch):
    monkeypatch.setenv(VARIABLE, "5")
    assert count() == 5
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert count() == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= count() <= min(4, os.cpu_count())


@pytest.mark.parametrize("setting", ["0", "-1", "two", "1.5"])
def test_a_setting_that_is_no_number_is_refused(setting, monkeypatch):
    monkeypatch.setenv(VARIABLE, setting)
    with pytest.raises(InvalidValue, match=rf"^{VARIABLE} is '{setting}', should be a whole number from 1$"):
        over_blocks(lambda here: None, 4, 1)
