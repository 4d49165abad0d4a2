"""Pooled memory: used again when nobody holds an array on it, and never before."""

import threading

import numpy as np

import tinygrad_rnn as tg
from helpers.cell_samples import leaves, sample
from tinygrad_rnn.sequence.plan import pool


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_when_the_last_view_of_it_dies():
    first = pool.empty((64, 1024), "float32")
    here, view = address(first), first[3:].T
    del first
    held = pool.empty((64, 1024), "float32")
    assert address(held) != here
    del view
    assert address(pool.empty((64, 1024), "float32")) == here


def test_shape_dtype_and_small_arrays():
    for shape, dtype in (((100, 700), "float64"), ((3,), "float32"), ((0, 5), "float32"), ((70001,), "bool")):
        array = pool.empty(shape, dtype)
        assert (array.shape, array.dtype, array.flags.c_contiguous) == (shape, np.dtype(dtype), True)


def test_idle_memory_is_dropped():
    pool.empty((1, 3_000_000), "float32")
    size = pool._rounded(12_000_000)
    assert size in pool._buffers
    for _ in range(3 * pool.IDLE):
        pool.empty((pool.SMALL,), "uint8")
    assert size not in pool._buffers


def test_threads_get_different_memory():
    held, barrier = {}, threading.Barrier(4)

    def take(k):
        barrier.wait()
        held[k] = [pool.empty((50_000,), "float32") for _ in range(20)]

    threads = [threading.Thread(target=take, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = [address(array) for arrays in held.values() for array in arrays]
    assert len(dict.fromkeys(places)) == 80


def test_results_outlive_later_scans():
    """Outputs, last states and gradients keep their numbers; the graph of a scan keeps what it saved."""
    s = sample(tg.lstm, N=8, T=300)
    results, kept = [], []
    for _ in range(3):
        params, xs = leaves(s.params), tg.tensor(s.xs, requires_grad=True)
        hs, last = tg.scan(tg.lstm, xs, None, params, mode="plan")
        loss = tg.sum(hs * hs)
        loss.backward(retain_graph=True)
        arrays = [hs.numpy(), *(part.numpy() for part in last), xs.grad, *(p.grad for p in params.values())]
        results.append(arrays)
        kept.append((loss, xs, [array.copy() for array in arrays]))
    for arrays, (_, _, copies) in zip(results, kept):
        for array, copy in zip(arrays, copies):
            np.testing.assert_array_equal(array, copy)
    loss, xs, copies = kept[0]
    loss.backward()
    np.testing.assert_allclose(xs.grad, 2 * copies[3], rtol=1e-12)


def test_an_output_that_is_changed_does_not_change_what_is_saved():
    """With N = 1 and T = 1 a transposed array is contiguous as it is."""
    for N, T in ((1, 300), (300, 1)):
        s = sample(tg.rnn, N=N, T=T)
        grads = []
        for change in (False, True):
            params = leaves(s.params)
            hs, _ = tg.scan(tg.rnn, s.xs, None, params, mode="plan")
            loss = tg.sum(hs)
            if change:
                hs.data[...] = 7.0
            loss.backward()
            grads.append(params["Wh"].grad)
        np.testing.assert_array_equal(*grads)
