"""The gradient of an embedding stays rows up to SGD, and no number differs from those of whole arrays."""

import copy
import pickle
import threading
import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.op import OPS
from tinygrad_rnn.engine.row_gradient import RowGradient, held
from tinygrad_rnn.optim import OPTIMIZERS, SGD, clip_grad_norm, clip_grad_value, grad_norm

V, D = 40, 3
IDS = np.array([[3, 3, 7], [0, 39, 3]])  # repeats
OTHER = np.array([7, 1, 39, 7])
MANY = np.arange(60) % V


def table(dtype="f"):
    return tg.tensor(np.random.default_rng(0).standard_normal((V, D)).astype(dtype), requires_grad=True, name="W")


def weights(shape, seed=1, dtype="f"):
    """Factors of a loss, so that every row has a gradient of its own."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def lookup(W, ids=IDS, seed=1):
    """A loss that reads rows of W."""
    return (tg.embedding(W, ids) * weights((*ids.shape, D), seed, W.dtype)).sum()


def product(W):
    """A loss that reads all of W."""
    return (W.T * weights((D, V), 5, W.dtype)).sum()


def is_rows(W):
    return isinstance(held(W.node), RowGradient)


def twice(W):
    lookup(W).backward()
    lookup(W, OTHER, 2).backward()


def array_then_rows(W):
    product(W).backward()
    lookup(W).backward()


def rows_then_array(W):
    lookup(W).backward()
    product(W).backward()


def read_between(W):
    lookup(W).backward()
    W.grad[1] = 5.0
    lookup(W, OTHER, 2).backward()


def assigned(W):
    W.grad = np.ones((V, D))
    lookup(W).backward()


def many_ids(W):
    for seed in range(9):
        lookup(W, np.random.default_rng(seed).integers(0, V, 15), seed).backward()


def twice_through_a_graph(W):
    loss = lookup(W)
    loss.backward(retain_graph=True)
    loss.backward()


def clipped(W):
    lookup(W).backward()
    clip_grad_value({"W": W}, 0.5)


def negative_zero(W):
    (tg.embedding(W, IDS) * np.float32(-0.0)).sum().backward()


BACKWARD = {
    "one use": lambda W: lookup(W).backward(),
    "one id": lambda W: lookup(W, np.array(5)).backward(),
    "no id": lambda W: lookup(W, np.zeros((0, 2), int)).backward(),
    "unsigned ids": lambda W: lookup(W, IDS.astype("u1")).backward(),
    "two uses": lambda W: (lookup(W) + lookup(W, OTHER, 2)).backward(),
    "three uses of the same": lambda W: (lookup(W) + lookup(W, IDS, 2) + lookup(W, IDS, 3)).backward(),
    "two uses and a product": lambda W: (lookup(W) + product(W) + lookup(W, OTHER, 2)).backward(),
    "a product, then a use": lambda W: (product(W) + lookup(W)).backward(),
    "a use, then a product": lambda W: (lookup(W) + product(W)).backward(),
    "few ids and many": lambda W: (lookup(W) + lookup(W, MANY, 2)).backward(),
    "many ids and few": lambda W: (lookup(W, MANY, 2) + lookup(W)).backward(),
    "a table that was computed": lambda W: lookup(W * 2).backward(),
    "inside of checkpoint": lambda W: tg.checkpoint(lookup)(W).backward(),
    "checkpoint and a use": lambda W: (tg.checkpoint(lookup)(W) + lookup(W, OTHER, 2)).backward(),
    "two passes": twice,
    "two passes, first the product": array_then_rows,
    "two passes, first the use": rows_then_array,
    "retained graph": twice_through_a_graph,
    "grad written between": read_between,
    "grad assigned before": assigned,
    "clipped": clipped,
    "so many passes that rows are no longer few": many_ids,
    "gradients of -0": negative_zero,
}


@pytest.fixture
def whole_arrays(monkeypatch):
    """Call it to have no rows from then on."""
    return lambda: monkeypatch.setattr(OPS["embedding"].rules["W"], "rows", None)


@pytest.mark.parametrize("dtype", ["f", "d", "e"])
@pytest.mark.parametrize("case", BACKWARD)
def test_the_gradient_is_that_of_whole_arrays_bit_for_bit(case, dtype, whole_arrays):
    ours, theirs = table(dtype), table(dtype)
    BACKWARD[case](ours)
    whole_arrays()
    BACKWARD[case](theirs)
    assert not is_rows(theirs)
    assert ours.grad.tobytes() == theirs.grad.tobytes()
    assert ours.grad.dtype == dtype and ours.grad.flags.owndata and ours.grad.flags.writeable


@pytest.mark.parametrize(("case", "rows"), [
    ("one use", True), ("two uses", True), ("two passes", True), ("unsigned ids", True), ("retained graph", True),
    ("two uses and a product", False), ("grad written between", False), ("grad assigned before", False),
    ("a table that was computed", False), ("so many passes that rows are no longer few", False),
])  # fmt: skip
def test_where_it_is_rows(case, rows):
    W = table()
    BACKWARD[case](W)
    assert is_rows(W) == rows


def train(optimizer, W, read=lambda W: None):
    """Five steps with two uses, clipped by the norm."""
    for step in range(5):
        optimizer.zero_grad()
        assert W.grad is None
        (lookup(W, (np.roll(IDS, step) + step) % V, step) + lookup(W, OTHER, step + 9)).backward()
        read(W)
        clip_grad_norm(optimizer, 0.7)
        optimizer.step()
    return W.numpy()


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_takes_the_steps_of_whole_arrays(name, decay, whole_arrays):
    def run(read=lambda W: None):
        W = table("d")
        optimizer = OPTIMIZERS[name]([W], lr=0.1)
        optimizer.weight_decay = decay
        return train(optimizer, W, read)

    ours, reading = run(), run(lambda W: W.grad)
    whole_arrays()
    theirs = run()
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)  # the norm is summed in another order
    np.testing.assert_allclose(reading, theirs, rtol=1e-13)


def test_plain_sgd_keeps_rows_and_changes_these_rows_only():
    W = table()
    before, optimizer = W.numpy(), SGD([W], lr=0.1)
    lookup(W).backward()
    clip_grad_norm(optimizer, 1e-3)
    optimizer.step()
    assert is_rows(W)
    changed = np.flatnonzero((W.numpy() != before).any(axis=1))
    assert changed.tolist() == [0, 3, 7, 39]
    assert W.numpy().tobytes() == (before - np.float32(0.1) * W.grad).tobytes()


def test_a_rule_of_a_subclass_sees_every_row():
    class Shrinking(SGD):
        def update(self, p, g):
            p *= 0.5
            p -= self.lr * g

    W = table()
    before = W.numpy()
    lookup(W).backward()
    Shrinking([W], lr=0.1).step()
    assert W.numpy()[20].tobytes() == (before[20] * np.float32(0.5)).tobytes()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_momentum_set_after_the_first_step_sees_every_row(momentum, whole_arrays):
    def run():
        W = table("d")
        optimizer = SGD([W], lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            lookup(W, np.array([step, 5])).backward()
            optimizer.step()
            optimizer.momentum = momentum
        return W.numpy()

    ours = run()
    whole_arrays()
    assert ours.tobytes() == run().tobytes()


def test_what_is_read_is_the_gradient():
    W = table()
    lookup(W).backward()
    grad = W.grad
    assert W.grad is grad and not is_rows(W)
    grad[:] = 0
    grad[20] = 1.0
    assert abs(grad_norm([W]) - np.sqrt(D)) < 1e-6
    before = W.numpy()
    SGD([W], lr=1.0).step()
    assert np.flatnonzero((W.numpy() != before).any(axis=1)).tolist() == [20]
    lookup(W).backward()
    assert grad[3].tolist() == [0, 0, 0], "an array that was read is not written to by a later pass"


def test_threads_that_read_at_once_get_the_same_array():
    for _ in range(20):
        W, arrays, start = table(), [], threading.Barrier(4)
        lookup(W).backward()

        def read(W=W, arrays=arrays, start=start):
            start.wait()
            arrays.append(W.grad)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(array is arrays[0] for array in arrays) and len(arrays) == 4


def test_norm_and_clipping_read_the_rows():
    W, other = table("d"), table("d")
    for leaf in (W, other):
        lookup(leaf).backward()
    norm = float(np.linalg.norm(other.grad))
    assert abs(grad_norm([W]) - norm) < 1e-13 and is_rows(W)
    assert abs(clip_grad_norm([W], norm / 2) - norm) < 1e-13 and is_rows(W)
    np.testing.assert_allclose(W.grad, other.grad * 0.5 * norm / (norm + 1e-6), rtol=1e-13)


def test_a_row_that_is_not_finite_is_named():
    W = table()
    tg.embedding(W, IDS).backward(np.full((*IDS.shape, D), np.inf))
    assert is_rows(W)
    with pytest.raises(FloatingPointError, match=r"^clip_grad_norm: the gradient of W is not finite$"):
        clip_grad_norm([W], 1.0)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_have_the_gradient(how):
    W = table()
    lookup(W).backward()
    twin = how(W)
    assert twin.grad.tobytes() == W.grad.tobytes() and not np.shares_memory(twin.grad, W.grad)


def test_frozen_and_no_grad_get_none():
    embed = tg.nn.Embedding(V, D, rng=0)
    optimizer = SGD(embed, lr=0.1)
    with tg.no_grad():
        assert embed(IDS).node is None
    lookup(embed.W).backward()
    embed.freeze()
    before = embed.W.numpy()
    optimizer.step()
    optimizer.zero_grad()
    assert embed.W.grad is None and embed.W.numpy().tobytes() == before.tobytes()
    embed.unfreeze()
    assert embed.W.grad is None


def test_transforms_return_arrays():
    W = table("d")
    lookup(W).backward()
    for g in (tg.grad(lookup)(W), tg.grad(lookup)(W.numpy()), tg.vjp(lookup, W)[1](1.0)[0]):
        np.testing.assert_array_equal(getattr(g, "data", g) if isinstance(g, tg.Tensor) else g, W.grad)


def test_an_observer_sees_the_array():
    W = table()
    with tg.trace_nans():
        lookup(W).backward()
    assert not is_rows(W)


def test_a_picture_after_the_pass_knows_the_size_of_the_gradient(whole_arrays):
    def picture():
        W = table()
        loss = lookup(W)
        loss.backward()
        return tg.draw(loss).form("json")

    ours = picture()
    whole_arrays()
    assert ours == picture()


def test_a_step_allocates_less_than_the_table():
    W = tg.tensor(np.zeros((4000, 100), "f"), requires_grad=True)
    optimizer, ids = SGD([W], lr=0.1), np.arange(50)
    factor = np.ones((50, 100), "f")

    def step():
        optimizer.zero_grad()
        (tg.embedding(W, ids) * factor).sum().backward()
        clip_grad_norm(optimizer, 1.0)
        optimizer.step()

    step()
    tracemalloc.start()
    try:
        step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < W.numpy().nbytes / 8
