"""The output layer that never holds its scores is affine and softmax_cross_entropy: values, gradients, and theirs."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.ops import cross_entropy

SHAPES = {"rows": (6, 3), "batch and time": (2, 3, 3), "one row": (1, 3), "no batch": (3,)}
V = 5


def plain(x, w, b, labels, **options):
    return tg.softmax_cross_entropy(tg.affine(x, w, b), labels, **options)


def inputs(shape, dtype="d"):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, V, shape[:-1])
    if labels.size > 1:
        labels.reshape(-1)[1] = -1  # one that is ignored
    return [rng.standard_normal(s).astype(dtype) for s in (shape, (shape[-1], V), (V,))], labels


@pytest.mark.parametrize("block", [1 << 21, 2 * V, 1])
@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_values_and_gradients_are_those_of_the_two_operations(shape, dtype, block, monkeypatch):
    monkeypatch.setattr(cross_entropy, "BLOCK", block)
    arrays, labels = inputs(shape, dtype)
    ours, theirs = ([tg.Tensor(a, requires_grad=True) for a in arrays] for _ in range(2))
    y, want = tg.affine_cross_entropy(*ours, labels), plain(*theirs, labels)
    y.backward(2.0)
    want.backward(2.0)
    near = {"rtol": 0, "atol": 1e-14 if dtype == "d" else 1e-6}
    np.testing.assert_allclose(y.numpy(), want.numpy(), **near)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a.grad, b.grad, **near)
        assert a.grad.dtype == dtype


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_second_derivatives_are_too(shape, wanted):
    arrays, labels = inputs(shape)
    rng = np.random.default_rng(1)
    v = [rng.standard_normal(arrays[k].shape) for k in wanted]

    def products(f):
        def of(*given):
            whole = list(arrays)
            for k, one in zip(wanted, given):
                whole[k] = one
            return f(*whole, labels)

        return tg.hvp(of, [arrays[k] for k in wanted], v)

    for a, b in zip(products(tg.affine_cross_entropy), products(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
        assert np.abs(a).max() > 1e-3


def test_only_what_needs_a_gradient_gets_one():
    arrays, labels = inputs((4, 3))
    for k in range(3):
        given = [tg.Tensor(a, requires_grad=j == k) for j, a in enumerate(arrays)]
        tg.affine_cross_entropy(*given, labels).backward()
        assert [one.grad is not None for one in given] == [j == k for j in range(3)]


def test_all_rows_ignored_give_0_and_no_gradient():
    arrays, _ = inputs((4, 3))
    given = [tg.Tensor(a, requires_grad=True) for a in arrays]
    loss = tg.affine_cross_entropy(*given, np.full(4, 9), ignore=9)
    loss.backward()
    assert loss.item() == 0.0 and not any(one.grad.any() for one in given)


def test_a_weight_that_is_tied_to_the_embedding_gets_both_gradients():
    """W of the embedding, transposed, as the output layer (Press and Wolf 2017)."""
    rng = np.random.default_rng(0)
    ids, ts = rng.integers(0, V, (2, 3)), rng.integers(0, V, (2, 3))
    E, b = tg.tensor(rng.standard_normal((V, 3)), requires_grad=True), np.zeros(V)
    grads = []
    for loss in (tg.affine_cross_entropy, plain):
        E.grad = None
        loss(tg.embedding(E, ids), E.T, b, ts).backward()
        grads.append(E.grad)
    np.testing.assert_allclose(*grads, rtol=0, atol=1e-14)


def test_a_second_pass_is_like_the_first():
    arrays, labels = inputs((4, 3))
    given = [tg.Tensor(a, requires_grad=True) for a in arrays]
    loss = tg.affine_cross_entropy(*given, labels)
    loss.backward(retain_graph=True)
    once = [one.grad.copy() for one in given]
    loss.backward()
    for one, g in zip(given, once):
        np.testing.assert_allclose(one.grad, 2 * g, rtol=1e-14)


@pytest.mark.parametrize("kind", [int, float, bool])
def test_one_hot_labels_are_the_places_of_their_ones(kind):
    arrays, _ = inputs((2, 3, 4))
    ids = np.random.default_rng(1).integers(0, V, (2, 3))
    ours, theirs = ([tg.Tensor(a, requires_grad=True) for a in arrays] for _ in range(2))
    tg.affine_cross_entropy(*ours, np.eye(V, dtype=kind)[ids]).backward()
    tg.affine_cross_entropy(*theirs, ids).backward()
    for a, b in zip(ours, theirs):
        assert np.array_equal(a.grad, b.grad) and a.grad.any()


@pytest.mark.parametrize("labels", [np.zeros((4, V)), np.ones((4, V)), np.full((4, V), 1 / V), -np.eye(4, V)],
                         ids=["zeros", "ones", "shares", "minus one"])  # fmt: skip
def test_labels_of_the_shape_of_the_scores_are_one_hot_or_refused(labels):
    (x, w, b), _ = inputs((4, 3))
    with pytest.raises(ValueError, match=r"^affine_cross_entropy: row 0 of labels is no one-hot row"):
        tg.affine_cross_entropy(x, w, b, labels)


def test_errors_are_in_the_names_of_the_operations():
    (x, w, b), labels = inputs((4, 3))
    with pytest.raises(tg.ShapeError, match=r"^affine: .* is 3 in x \(4, 3\) but 2 in w \(2, 5\)$"):
        tg.affine_cross_entropy(x, w[:2], b, labels)
    with pytest.raises(ValueError, match=r"labels is \(3,\), should be \(4,\) for scores \(4, 5\)$"):
        tg.affine_cross_entropy(x, w, b, labels[:3])
    with pytest.raises(IndexError, match=r"labels holds 5, should be from 0 to 4 \(there are 5 classes\)"):
        tg.affine_cross_entropy(x, w, b, np.full(4, 5))


@pytest.mark.parametrize("dtypes", ["ffd", "efd", "fdf", "dff", "eff"])
def test_mixed_dtypes_are_promoted_as_numpy_promotes(dtypes):
    arrays, labels = inputs((6, 3))
    arrays = [a.astype(dtype) for a, dtype in zip(arrays, dtypes)]
    ours, theirs = ([tg.Tensor(a, requires_grad=True) for a in arrays] for _ in range(2))
    y, want = tg.affine_cross_entropy(*ours, labels), plain(*theirs, labels)
    y.backward()
    want.backward()
    x, w, b = arrays
    assert y.dtype == tg.affine(x, w, b).dtype == (x @ w + b).dtype
    for a, b, dtype in zip(ours, theirs, dtypes):
        np.testing.assert_allclose(a.grad, b.grad, rtol=2e-3 if dtype == "e" else 1e-5)
        assert a.grad.dtype == dtype


def test_without_recording_the_loss_is_the_same_and_nothing_is_saved():
    arrays, labels = inputs((2, 3, 3), "f")
    given = [tg.Tensor(a, requires_grad=True) for a in arrays]
    with tg.no_grad():
        loss = tg.affine_cross_entropy(*given, labels)
        assert type(tg.affine_cross_entropy(*arrays, labels)) is np.float32
    assert isinstance(loss, tg.Tensor) and loss.node is None
    assert loss.numpy().tobytes() == tg.affine_cross_entropy(*given, labels).numpy().tobytes()


@pytest.mark.parametrize("recording", [True, False])
def test_the_scores_are_in_memory_once(recording):
    rng = np.random.default_rng(0)
    rows, H, wide = 300, 4, 4000
    arrays = [rng.standard_normal(shape).astype("f") for shape in ((rows, H), (H, wide), wide)]
    given = [tg.tensor(a, requires_grad=recording) for a in arrays]
    labels = rng.integers(0, wide, rows)
    tracemalloc.start()
    try:
        with tg.no_grad() if not recording else tg.scope("recorded"):
            loss = tg.affine_cross_entropy(*given, labels)
        if recording:
            loss.backward()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * 4 * rows * wide


def test_the_gradient_of_a_tied_matrix_has_its_layout():
    """As PyTorch's has; a step then reads both in the same order."""
    E = tg.tensor(np.random.default_rng(0).standard_normal((V, 3)), requires_grad=True)
    tg.affine_cross_entropy(np.ones((4, 3)), E.T, np.zeros(V), np.arange(4)).backward()
    assert E.grad.flags.c_contiguous and E.grad.flags.owndata
