"""Products and sums for all steps are NumPy's, in blocks that threads share; functions run in the order of phases."""

import multiprocessing
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tinygrad_rnn as tg
from helpers.cell_samples import everything, flat, sample, scanned
from helpers.compiled import compiled_function
from tinygrad_rnn.sequence.jit import bulk, compile, helpers, panels, passes, store, summed
from tinygrad_rnn.sequence.jit.source import Argument, Source
from tinygrad_rnn.sequence.plan import cache


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder for compiled functions."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def assert_product(ours, left, right):
    """Equal to ``left @ right`` within the rounding of its sums."""
    left, right = left.astype(float), right.astype(float)
    limit = left.shape[1] * np.finfo(ours.dtype).eps * (abs(left) @ abs(right))
    assert (abs(ours - left @ right) <= limit).all()


def compiled(lines, cut, dtype, **arrays):
    """Call the function of some lines with the arrays."""
    arguments = [Argument(name, array.shape, np.dtype(dtype).name) for name, array in arrays.items()]
    source = Source.of("loop", arguments, lines, [f"cut = {cut!r}"])
    compiled_function(source.text, arguments)(len(next(iter(arrays.values()))), *arrays.values())


@pytest.mark.parametrize("rows, K, columns, dtype", [(9, 5, 29, np.float32), (3, 6, 24, np.float64), (13, 1, 3, "f")])
def test_a_product_of_any_number_of_rows(rows, K, columns, dtype):
    rng, cut = np.random.default_rng(0), panels.panels(0, K, columns, np.dtype(dtype).itemsize * 8)
    A, W = rng.normal(size=(rows, K)).astype(dtype), rng.normal(size=(K, columns)).astype(dtype)
    C, packed = np.full((rows + 1, columns), 7, dtype), np.full(K * cut.padded, np.nan, dtype)
    weight = "cut, packed, lambda k, j: W[k, j]"
    lines = [f"for panel in range({cut.whole}):", f"    pack({weight}, panel)", f"pack_rest({weight})",
             f"multiply(cut, rows(A, 0, {K}), packed, rows(C, 0, {columns}), T)"]  # fmt: skip
    compiled(lines, cut, dtype, A=A, W=W, packed=packed, C=C)
    assert_product(C[:rows], A, W)
    assert (C[rows] == 7).all()


# (rows, K, columns, dtype): columns beyond the panels and none, a last block of rows that is not full, strips too
@pytest.mark.parametrize("rows, K, columns, dtype", [(41, 6, 77, "f"), (32, 8, 24, "f"), (5, 3, 7, "d")])
def test_a_sum_of_products_over_rows(rows, K, columns, dtype, monkeypatch):
    monkeypatch.setattr(summed, "MOST", 16)
    monkeypatch.setattr(summed, "GROUP", 2)
    rng, cut = np.random.default_rng(1), summed.summed_panels(K, columns, np.dtype(dtype).itemsize * 8)
    A, B = rng.normal(size=(rows, K + 2)).astype(dtype), rng.normal(size=(rows, columns + 1)).astype(dtype)
    strips = np.full((1, -(-K // cut.height) * cut.height * rows), np.nan, dtype)
    C = np.full((K, columns), np.nan, dtype)
    call = f"sum_products(cut, strips, rows(B, 1, {columns + 1}), C, T"
    copy = f"strips_of(cut, rows(A, 2, {K + 2}), strips, T, part)"
    lines = [f"for part in range({-(-rows // summed.COPIED)}):", f"    {copy}",
             f"for part in range({-(-cut.whole // 2)}):", f"    {call}, part)", f"{call}, None)"]  # fmt: skip
    lines = lines if columns % cut.width else lines[:-1]
    compiled(lines, cut, dtype, A=A, B=B, strips=strips, C=C)
    assert_product(C, A[:, 2:].T, B[:, 1:])


def planned(threads, monkeypatch):
    """The plan of a layer whose products for all steps are compiled, and its gradients."""
    cache.clear()
    monkeypatch.setenv("TINYGRAD_RNN_THREADS", threads)
    for module, name, number in [(bulk, "SMALL", 0), (bulk, "COLUMNS", 4), (store, "LARGE", 0), (compile, "LEVEL", 0)]:
        monkeypatch.setattr(module, name, number)
    s = sample(tg.lstm, N=5)
    ours = flat(everything(scanned(tg.lstm, mode="jit"), s))
    theirs = flat(everything(scanned(tg.lstm, mode="eager"), s))
    for path, array in theirs.items():
        np.testing.assert_allclose(ours[path], array, rtol=1e-11, atol=1e-12, err_msg=path)
    return next(iter(cache._plans.values())).state[1], ours


def test_products_for_all_steps_are_compiled_and_have_the_same_bits_on_several_threads(monkeypatch):
    (plan, single), (_, several) = (planned(threads, monkeypatch) for threads in ("1", "3"))
    assert "np.dot" not in plan.source
    assert "np.add.reduce" not in plan.source
    width = summed.summed_panels(3, 16, 64).width
    choices = plan.built.backward.writer.choices
    assert choices["after"][0].endswith("the weight packed once a sequence, 48 rows at a time")
    assert choices["end"][1] == f"(3, 5) @ (5, 16) in tiles of 3 x {width}, {4 * width} columns at a time"
    for path, array in single.items():
        np.testing.assert_array_equal(several[path], array, err_msg=path)


def test_what_reads_an_array_is_in_a_later_phase_than_what_writes_it():
    calls = {"pack": ("p", "w"), "product": ("y", "xp"), "rest": ("y", "xp"), "sum": ("s", "w"), "over": ("w", "z"),
             "last": ("u", "yw")}  # fmt: skip
    sources = {name: Source("", [Argument(array, (1,), "float32") for array in written + read])
               for name, (written, read) in calls.items()}  # fmt: skip
    phases = passes.in_phases(sources, {name: list(written) for name, (written, _) in calls.items()})
    assert phases == [["pack", "sum"], ["product", "rest", "over"], ["last"]]


COUNTED = "def count(T, part, x):\n    for k in range(part, part + 1):\n        x[k] = x[k] + 1\n"
ADDED = "def add(T, x, y):\n    for k in range(T):\n        y[0] = y[0] + x[k]\n"


@pytest.fixture
def counting(monkeypatch):
    """A call that counts 500 blocks, then adds the counts up: by itself, or with the helpers that there are."""
    monkeypatch.setattr(helpers, "LOOKS", 10)  # so that they sleep between calls
    x, y = Argument("x", ("T",), "float64"), Argument("y", (1,), "float64")
    sources = {"count": Source(COUNTED, [x], "T"), "add": Source(ADDED, [x, y])}
    plan = {"run": passes.Pass([["count"], ["add"]], [x, y])}
    functions = store.in_memory(compile.object_code(sources, plan), plan)

    def call():
        numbers, total = np.zeros(500), np.zeros(1)
        space = np.zeros(plan["run"].places()[-1][0], np.uint8)
        functions["run"](500, helpers.ready(functions["serve"]), helpers.boxes, space, numbers, total)
        return (numbers == 1).all() and total == [500]

    return call


@pytest.mark.parametrize("number", ["1", "2", "4"])
def test_each_block_is_computed_once_and_the_next_phase_waits(number, counting, monkeypatch):
    monkeypatch.setenv("TINYGRAD_RNN_THREADS", number)
    for k in range(60):
        assert counting()
        time.sleep(1e-4 * (k % 2))
    assert (helpers.boxes[: int(number) - 1, helpers.STATE] != helpers.TAKEN).all()


@pytest.mark.parametrize("come, order", [(0, [1, 2, 3, 4]), (1, [4, 3, 2, 1]), (2, [1, 2, 3, 4])])
def test_threads_take_blocks_from_the_front_and_from_the_back_in_turns(come, order):
    text = "def note(T, part, x, y):\n    y[0] = y[0] + 1\n    for k in range(part, part + 1):\n        x[k] = y[0]\n"
    arguments = [Argument("x", ("T",), "float64"), Argument("y", (1,), "float64")]
    sources, plan = {"note": Source(text, arguments, "T")}, {"run": passes.Pass([["note"]], arguments)}
    space, x = np.zeros(plan["run"].places()[-1][0], np.uint8), np.zeros(4)
    space.view(np.int64)[passes.COME] = come  # threads
    functions = store.in_memory(compile.object_code(sources, plan), plan)
    functions["run"](4, 0, helpers.boxes, space, x, np.zeros(1))
    assert x.tolist() == order


def test_calls_on_several_threads_share_the_helpers(counting, monkeypatch):
    monkeypatch.setenv("TINYGRAD_RNN_THREADS", "3")
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: counting(), range(200)))


def ways(sharing, clock, took, count):
    """The ways of so many calls, whose time is ``took[way]``; every tenth is disturbed."""
    result = []

    def call(shared):
        result.append(shared)
        clock[0] += took[shared] * (4 if len(result) % 10 == 0 else 1)

    for _ in range(count):
        sharing.run(call, 1)
    return result


def test_helpers_share_a_pass_while_that_is_quicker(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(helpers, "perf_counter", lambda: clock[0])
    sharing = helpers.Sharing()
    for alone, shared in [(3, 2), (5, 9), (3, 2), (2, 4)]:  # other programs come and go
        last = ways(sharing, clock, (alone, shared), 2000)[200:]
        assert last.count(shared < alone) > 0.93 * len(last)


def test_a_processor_that_comes_late_is_waited_for(monkeypatch):
    """After a pause, helpers have a processor of their own once they have been busy for 50 ms."""
    clock, awake, rare = [0.0], [0.0], []
    monkeypatch.setattr(helpers, "perf_counter", lambda: clock[0])
    sharing = helpers.Sharing()

    def call(shared):
        took = (1e-3 if awake[0] > 0.05 else 2.4e-3) if shared else 1.9e-3
        clock[0] += took
        awake[0] = awake[0] + took if shared else 0.0
        rare.append(shared)

    for _ in range(30):  # turns of 0.2 s, with pauses
        awake[0], end = 0.0, clock[0] + 0.2
        while clock[0] < end:
            sharing.run(call, 1)
    assert rare[1000:].count(True) > 0.75 * len(rare[1000:])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_helpers_of_its_own(counting, monkeypatch):
    monkeypatch.setenv("TINYGRAD_RNN_THREADS", "2")
    assert counting()
    child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(0 if counting() else 1))
    child.start()
    child.join(timeout=30)
    assert child.exitcode == 0


def test_weights_that_are_packed_at_different_times_share_memory():
    source = tg.plan(tg.lstm, N=8, D=40, H=40, mode="jit").source
    assert ("def forward_pack_1(" in source, "packed_1" in source) == (True, False)
    assert "packed_1" in tg.plan(tg.gru, N=8, D=40, H=40, mode="jit").source  # two products of one step
