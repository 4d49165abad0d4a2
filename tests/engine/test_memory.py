"""A graph never saves memory that user code can write to, and refuses what the library wrote to since."""

from __future__ import annotations

import gc
from collections.abc import Callable
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine import versions
from tinygrad_rnn.engine.context import anywhere

TWO = np.array([1.5, 2.0, -0.5])


@pytest.fixture(autouse=True)
def nothing_stays_handed_out():
    """What a test got from ``.data`` is forgotten once it is dropped, and operations go the short way again."""
    yield
    gc.collect()
    tg.tensor(TWO, requires_grad=True) * tg.tensor(TWO).data
    tg.tensor(TWO, requires_grad=True) * 2.0
    assert not versions._watched and not anywhere.special


# -- what user code writes to -----------------------------------------------------------------------------------------

#: Ways to an array through which a Tensor's own memory could be reached.
DOORS: dict[str, Callable[[tg.Tensor], np.ndarray]] = {
    "data": lambda x: x.data,
    "a view of data": lambda x: x.data[::-1][::-1],
    "data of a view": lambda x: tg.reshape(x, (3, 1)).data,
    "detached": lambda x: x.detach().data,
    "as an array": lambda x: np.asarray(x.detach()),
    "numpy": lambda x: x.numpy(),
}
#: A number made from x, whose rules save x, a view of it, or a result.
USES: dict[str, Callable[[tg.Tensor], tg.Tensor]] = {
    "square": lambda x: tg.sum(x * x),
    "view": lambda x: tg.sum(x[1:] * x[:-1]),
    "reshaped": lambda x: tg.sum(tg.reshape(x, (1, 3)) @ tg.reshape(x, (3, 1))),
    "result": lambda x: tg.sum(tg.tanh(x * 1.0)),
    "stacked": lambda x: tg.sum(tg.stack([x, x]) ** 3.0),
    "einsum": lambda x: tg.einsum("i,i->", x, x),
    "in place": lambda x: tg.sum(_in_place(x * 1.0)),
}


def _in_place(y: tg.Tensor) -> tg.Tensor:
    y *= y
    y[0] = y[1] * y[2]
    return y


def right(use: Callable[[tg.Tensor], tg.Tensor], x: np.ndarray = TWO) -> np.ndarray:
    leaf = tg.tensor(x, requires_grad=True)
    use(leaf).backward()
    return leaf.grad


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("handed", ["before", "after", "before, dropped, again after"])
def test_a_gradient_is_that_of_the_values_in_the_forward_pass(use, door, handed):
    x = tg.tensor(TWO, requires_grad=True)
    array = None if handed == "after" else door(x)
    if "dropped" in handed:
        del array
    y = use(x)
    if handed != "before":
        array = door(x)
    array[...] = 7.0
    y.backward()
    np.testing.assert_array_equal(x.grad, right(use))


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_writes_before_the_forward_pass_count(use):
    x = tg.tensor(np.zeros(3), requires_grad=True)
    d = x.data
    tg.sum(x * x).backward()
    d[...] = TWO
    x.grad = None
    use(x).backward()
    np.testing.assert_array_equal(x.grad, right(use))
    d[1] = 3.0
    np.testing.assert_array_equal(x.numpy(), [1.5, 3.0, -0.5])


def test_every_write_between_several_uses_counts_for_the_later_ones_only():
    x = tg.tensor([1.0], requires_grad=True)
    d, total = x.data, tg.tensor(0.0)
    for value in (2.0, 3.0, 5.0):
        d[0] = value
        total = total + tg.sum(x * x)
    d[0] = 100.0
    total.backward()
    assert x.grad == 2 * (2 + 3 + 5)


def test_results_are_handed_out_without_touching_the_graph():
    x = tg.tensor(TWO, requires_grad=True)
    y = tg.tanh(x)
    y.data[0] = 0.0
    assert y.numpy()[0] == 0.0
    tg.sum(y).backward()
    np.testing.assert_allclose(x.grad, 1 - np.tanh(TWO) ** 2, rtol=1e-14)


def test_data_is_one_array_while_it_lives():
    x = tg.tensor(TWO, requires_grad=True)
    d = x.data
    assert x.data is d and np.asarray(x.detach()) is d
    with tg.no_grad():
        x -= 1.0
    np.testing.assert_array_equal(d, TWO - 1)


@pytest.mark.parametrize("made", ["owned", "frombuffer", "memmap", "shared", "bytearray view"])
def test_memory_of_any_owner_is_copied_by_a_tensor(made, tmp_path):
    shared = shared_memory.SharedMemory(create=True, size=24)
    try:
        array = {
            "owned": lambda: np.zeros(3),
            "frombuffer": lambda: np.frombuffer(bytearray(24)),
            "memmap": lambda: np.memmap(tmp_path / "x", mode="w+", shape=3, dtype=float),
            "shared": lambda: np.ndarray(3, buffer=shared.buf),
            "bytearray view": lambda: np.frombuffer(bytearray(48))[::2],
        }[made]()
        array[...] = TWO
        x, y = tg.Tensor(array, requires_grad=True), tg.tensor(TWO, requires_grad=True)
        loss, product = tg.sum(x * x), tg.sum(y * array)
        array[...] = 7.0
        loss.backward(), product.backward()
        np.testing.assert_array_equal(x.grad, 2 * TWO)
        np.testing.assert_array_equal(y.grad, TWO)
        assert type(x.numpy()) is np.ndarray
        del array
    finally:
        shared.close()
        shared.unlink()


def test_a_mask_that_changes_from_step_to_step():
    x, mask = tg.tensor(np.ones(4), requires_grad=True), np.ones(4, bool)
    total = tg.tensor(0.0)
    for t in range(4):
        mask &= np.arange(4) >= t
        total = total + tg.sum(tg.where(mask, x, 0.0)) + tg.sum(x * mask)
    total.backward()
    np.testing.assert_array_equal(x.grad, [2, 4, 6, 8])


def test_one_buffer_for_the_input_of_every_step():
    W, x, h = tg.tensor(np.eye(3), requires_grad=True), np.zeros((1, 3)), tg.tensor(np.zeros((1, 3)))
    for t in range(3):
        x[...] = 0
        x[0, t] = 1
        h = h + x @ W
    tg.sum(h).backward()
    np.testing.assert_array_equal(W.grad, np.ones((3, 3)))


def ids_of(kind: str, W: tg.Tensor, ids: Any) -> tg.Tensor:
    return {
        "embedding": lambda: tg.sum(tg.embedding(W, ids)),
        "index": lambda: tg.sum(W[ids]),
        "index in a tuple": lambda: tg.sum(W[ids, 0]),
        "take": lambda: tg.sum(np.take(W, ids, axis=0)),
        "labels": lambda: tg.softmax_cross_entropy(W[:2], ids),
        "fused labels": lambda: tg.affine_cross_entropy(np.ones((2, 3)), W, np.zeros(3), ids),
    }[kind]()


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("kind", ["embedding", "index", "index in a tuple", "take", "labels", "fused labels"])
@pytest.mark.parametrize("given", ["array", "list", "Tensor"])
def test_ids_and_labels_may_change_after_the_forward_pass(kind, given):
    grads = []
    for change in (False, True):
        W = tg.tensor(np.arange(9.0).reshape(3, 3), requires_grad=True)
        ids: Any = {"array": np.array, "list": list, "Tensor": lambda x: tg.tensor(np.array(x))}[given]([0, 1])
        loss = ids_of(kind, W, ids)
        if change:
            writable = ids.data if given == "Tensor" else ids
            writable[0], writable[1] = 2, 2
        loss.backward()
        grads.append(W.grad)
    np.testing.assert_array_equal(*grads)


def test_a_second_derivative_through_the_fused_output_layer():
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((4, 3)), rng.standard_normal((3, 5)), rng.standard_normal(5)
    labels, found = np.array([0, 4, -1, 2]), []
    for change in (False, True):
        arrays = x.copy(), w.copy(), b.copy()
        leaf = tg.tensor(w, requires_grad=True)

        def twice(leaf: tg.Tensor, arrays: Any = arrays, change: bool = change) -> tg.Tensor:
            d = leaf.data
            inside = tg.grad(lambda v: tg.affine_cross_entropy(arrays[0], v, arrays[2], labels))
            g = inside(leaf)
            if change:
                d[...], arrays[0][...], arrays[2][...] = 9.0, 9.0, 9.0
            return tg.sum(g * g)

        twice(leaf).backward()
        found.append(leaf.grad)
    np.testing.assert_array_equal(*found)


def test_inputs_and_first_state_of_a_scan_may_change():
    rng, grads = np.random.default_rng(0), []
    params = tg.rnn.init(rng, D=2, H=3)
    xs, h = rng.standard_normal((2, 4, 2)), rng.standard_normal((2, 3))
    for change in (False, True):
        given = xs.copy(), h.copy()
        hs, _ = tg.scan(tg.rnn, given[0], given[1], params)
        if change:
            given[0][...], given[1][...] = 9.0, 9.0
        for leaf in params.values():
            leaf.grad = None
        (hs * hs).sum().backward()
        grads.append(params["Wx"].grad)
    np.testing.assert_array_equal(*grads)


@pytest.mark.parametrize("run", ["step", "scan"])
def test_plain_parameters_states_and_inputs_of_a_cell_may_change(run):
    rng, grads = np.random.default_rng(0), []
    arrays = {name: leaf.numpy() for name, leaf in tg.lstm.init(rng, D=2, H=3).items()}
    xs = rng.standard_normal((2, 4, 2)).astype("f")
    for change in (False, True):
        params, x = {name: array.copy() for name, array in arrays.items()}, tg.tensor(xs, requires_grad=True)
        h, c = np.ones((2, 3), "f"), np.ones((2, 3), "f")
        if run == "step":
            h_next, c_next = tg.lstm(x[:, 0], h, c, **params)
        else:
            h_next, (_, c_next) = tg.scan(tg.lstm, x, (h, c), params)
        if change:
            for array in (*params.values(), h, c):
                array[...] = 9.0
        (h_next.sum() + c_next.sum()).backward()
        grads.append(x.grad)
    np.testing.assert_array_equal(*grads)


# -- what the library writes to ---------------------------------------------------------------------------------------


def test_the_first_refused_array_is_told_before_anything_is_used_up():
    x, w = tg.tensor(TWO, requires_grad=True), tg.tensor(TWO, requires_grad=True)
    y = tg.sum(tg.tanh(x * w))
    with tg.no_grad():
        w += 1.0
    for _ in range(2):
        with pytest.raises(tg.MutationError, match=r"^multiply: an array of shape \(3,\)"):
            y.backward()


def test_only_the_rules_that_run_count():
    """w was changed, and only the gradient by x needs it."""
    x, w = tg.tensor(TWO, requires_grad=True), tg.tensor(TWO, requires_grad=True)
    y, pull = tg.vjp(lambda v: tg.sum(x.detach() * v), w)
    np.testing.assert_array_equal(pull(np.ones(()))[0], TWO)
    y = x * w
    with tg.no_grad():
        w += 1.0
    with pytest.raises(tg.MutationError):
        tg.sum(y).backward()


def test_a_write_to_a_value_made_from_a_leaf_does_not_reach_the_leaf():
    w = tg.tensor(TWO, requires_grad=True)
    for y in (w.astype(w.dtype), w[:], w.reshape(3, 1), w.copy(), +w, np.squeeze(w)):
        with tg.no_grad():
            y += 1.0
        np.testing.assert_array_equal(w.numpy(), TWO)


def test_a_write_to_a_slice_that_nothing_keeps_is_refused():
    x = tg.tensor(np.zeros((2, 3)))
    text = (
        "x[i][j] = v: x[i] is a value of its own that nothing keeps, so x would not change; should be x[i, j] = v, "
        "or y = x[i] and then y[j] = v for a changed copy"
    )
    with pytest.raises(IndexError) as caught:
        x[0][1] = 7
    assert str(caught.value) == text
    with pytest.raises(IndexError):
        x[0][1] += 7
    with pytest.raises(IndexError):
        x.T[0] = 1
    np.testing.assert_array_equal(x.numpy(), np.zeros((2, 3)))


def test_a_write_to_whatever_is_kept_is_not():
    class Holder:
        pass

    x, holder = tg.tensor(np.zeros((2, 3))), Holder()
    row = x[0]
    row[1] = 7
    holder.h, rows, named = x[1], [x[0], x[1]], {"h": x[0]}
    holder.h[0], rows[0][1], named["h"][2] = 1, 2, 3
    x[0, 1] = 4
    x[1] += 1
    assert [row.tolist(), holder.h.tolist()] == [[0, 7, 0], [1, 0, 0]]
    assert [rows[0].tolist(), named["h"].tolist(), x.tolist()] == [[0, 2, 0], [0, 0, 3], [[0, 4, 0], [1, 1, 1]]]


# -- what it costs ----------------------------------------------------------------------------------------------------


def test_the_tables_do_not_grow():
    gc.collect()
    x = tg.tensor(TWO, requires_grad=True)
    with tg.no_grad():
        for _ in range(1000):
            y = tg.tensor(TWO, requires_grad=True)
            y -= 1.0
            y.data[0] = 2.0
    tg.sum(x * x).backward()
    assert len(versions._written) < 300 and len(versions._watched) <= 1


def test_copies_of_what_is_saved_leave_nothing_to_the_collector():
    x = tg.tensor(TWO, requires_grad=True)
    handed_out = x.data
    gc.collect()
    gc.disable()
    try:
        tg.sum(x * x).backward()
        assert gc.collect() == 0
        np.testing.assert_array_equal(x.grad, 2 * handed_out)
    finally:
        gc.enable()


def test_reading_values_leaves_nothing_behind():
    """Also where nothing is recorded that would look for it."""
    x = tg.tensor(TWO)
    with tg.no_grad():
        for _ in range(1000):
            x.data, tg.tensor(TWO).data
    assert len(versions._watched) < 200 and max(map(len, versions._watched.values())) < 5


def test_nothing_is_copied_that_user_code_cannot_reach(monkeypatch):
    """Tensors are saved as they are; `frozen` copies plain arrays only."""
    copied = []
    monkeypatch.setattr(versions, "frozen", lambda x: copied.append(x) or np.array(x))
    x, w = tg.tensor(TWO, requires_grad=True), tg.tensor(TWO)
    y = x * w
    assert any(array is w._array for array in versions.saved_arrays(y.node)) and not copied
    d = w.data
    y = x * w
    assert not any(np.shares_memory(array, d) for array in versions.saved_arrays(y.node)) and len(copied) == 1
