"""The norm of all gradients: what it counts, how it is kept in bounds, when it raises."""

import math
import re
import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import Linear, Module
from tinygrad_rnn.optim import SGD, clip_grad_norm, clip_grad_value, grad_norm
from tinygrad_rnn.optim.params import BLOCK


class Pair(Module):
    def __init__(self, dtype="d"):
        self.first = tg.tensor(np.zeros((2, 3), dtype), requires_grad=True, name="W")
        self.second = tg.tensor(np.zeros(4, dtype), requires_grad=True, name="W")
        self.unused = tg.tensor(np.zeros(5, dtype), requires_grad=True)


def pair(dtype="d", size: float = 1.0) -> Pair:
    made, rng = Pair(dtype), np.random.default_rng(0)
    made.first.grad = (size * rng.standard_normal((2, 3))).astype(dtype)
    made.second.grad = (size * rng.standard_normal(4)).astype(dtype)
    return made


def norm_of(made: Pair) -> float:
    return math.sqrt(sum(float(g) ** 2 for one in (made.first, made.second) for g in one.grad.ravel()))


@pytest.mark.parametrize("max_norm", [0.25, 1.0, 1e-9, 100.0, math.inf])
def test_gradients_are_scaled_by_one_factor_to_the_norm(max_norm):
    made = pair()
    norm, before = norm_of(made), (made.first.grad.copy(), made.second.grad.copy())
    assert math.isclose(clip_grad_norm(made, max_norm), norm, rel_tol=1e-14)
    rate = min(1.0, max_norm / (norm + 1e-6))
    for one, g in zip((made.first, made.second), before):
        np.testing.assert_allclose(one.grad, g * rate, rtol=1e-14)
    assert norm_of(made) <= max_norm
    assert made.unused.grad is None


def test_gradients_within_the_bound_are_left_as_they_are():
    made = pair()
    before = made.first.grad
    kept = before.copy()
    assert clip_grad_norm(made, 2 * norm_of(made)) == grad_norm(made)
    assert made.first.grad is before
    np.testing.assert_array_equal(before, kept)


@pytest.mark.parametrize("dtype", ["e", "f", "d"])
def test_dtype_is_kept(dtype):
    made = pair(dtype)
    clip_grad_norm(made, 0.1)
    assert made.first.grad.dtype == made.second.grad.dtype == dtype
    assert abs(grad_norm(made) - 0.1) < {"e": 1e-3, "f": 1e-6, "d": 1e-6}[dtype]


@pytest.mark.parametrize(("dtype", "size"), [("e", 2e4), ("f", 1e30), ("d", 1e200)])
def test_finite_gradients_whose_squares_overflow_have_a_norm(dtype, size):
    made = pair(dtype, size)
    want = size * math.sqrt(sum((float(g) / size) ** 2 for one in (made.first, made.second) for g in one.grad.ravel()))
    assert math.isclose(clip_grad_norm(made, 1.0), want, rel_tol=1e-12)
    assert math.isclose(norm_of(made), 1.0, rel_tol={"e": 1e-2, "f": 1e-5, "d": 1e-12}[dtype])


def test_no_gradient_at_all_has_norm_0():
    made = Pair()
    assert grad_norm(made) == clip_grad_norm(made, 1.0) == 0.0
    assert made.first.grad is None
    made.first.grad = np.zeros((2, 3))
    assert clip_grad_norm(made, 1.0) == 0.0 and (made.first.grad == 0).all()
    empty = tg.tensor(np.zeros((0, 3)), requires_grad=True)
    empty.grad = np.zeros((0, 3))
    assert grad_norm([empty]) == 0.0


def test_a_tied_parameter_counts_once():
    W = tg.tensor(np.zeros(4), requires_grad=True)
    W.grad = np.full(4, 3.0)
    for params in ([W, W], {"embed": W, "affine": W}):
        W.grad = np.full(4, 3.0)
        assert clip_grad_norm(params, 1.0) == 6.0
        assert abs(np.linalg.norm(W.grad) - 1) < 1e-6


def test_it_takes_a_module_an_optimiser_its_parameters_a_list_or_a_generator():
    made = pair()
    optimizer, leaves = SGD(made, lr=0.1), list(made.params.values())
    for params in (made, made.params, optimizer, optimizer.params, leaves, iter(leaves)):
        assert math.isclose(clip_grad_norm(params, math.inf), norm_of(made), rel_tol=1e-14)


def test_pitfall_04_gradients_share_no_memory():
    """a + b hands one dy to both; b.sum() hands out a view: clipping must scale each once, and can."""
    a, b = (tg.tensor(np.ones(4), requires_grad=True) for _ in range(2))
    (a + b).backward(np.full(4, 2.0))
    assert not np.shares_memory(a.grad, b.grad)
    assert math.isclose(clip_grad_norm([a, b], 1.0), math.sqrt(32))
    assert math.isclose(grad_norm([a, b]), 1.0, rel_tol=1e-5)
    a, b = (tg.tensor(np.ones((3, 4)), requires_grad=True) for _ in range(2))
    (a.sum() + b.T.reshape(-1).sum() + (a - b)[0].sum()).backward()
    assert clip_grad_norm([a, b], 0.5) > 0.5
    assert math.isclose(grad_norm([a, b]), 0.5, rel_tol=1e-5)


def test_a_scalar_parameter_is_clipped_after_two_backward_passes():
    x = tg.tensor(3.0, requires_grad=True)
    for _ in range(2):
        (x * x).backward()
    assert clip_grad_norm([x], 1.0) == 12.0
    assert math.isclose(float(x.grad), 1.0, rel_tol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_named_and_nothing_is_scaled(bad):
    made = pair()
    made.second.grad[1] = bad
    before = made.first.grad.copy()
    with pytest.raises(FloatingPointError, match=r"^clip_grad_norm: the gradient of second is not finite$"):
        clip_grad_norm(made, 0.1)
    with pytest.raises(FloatingPointError, match=r"^clip_grad_norm: the gradient of second is not finite$"):
        clip_grad_norm(SGD(made, lr=1.0).params, 0.1)
    with pytest.raises(FloatingPointError, match=r"^clip_grad_norm: the gradient of W \(number 1\) is not finite$"):
        clip_grad_norm([made.first, made.second], 0.1)
    made.first.grad[0, 0] = bad
    with pytest.raises(FloatingPointError, match=r"^clip_grad_norm: the gradient of first, second is not finite$"):
        clip_grad_norm(made, 0.1)
    np.testing.assert_array_equal(made.first.grad.ravel()[1:], before.ravel()[1:])


@pytest.mark.parametrize("max_norm", [0, -1.0, math.nan, "1"])
def test_the_bound_is_above_0(max_norm):
    text = f"clip_grad_norm: max_norm is {max_norm!r}, should be more than 0"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        clip_grad_norm(pair(), max_norm)


# -- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [list, tuple, iter, lambda grads: dict(zip(["dWx", "dWh", "db"], grads))])
def test_a_list_of_arrays_is_clipped_as_in_the_book(make):
    rng = np.random.default_rng(0)
    grads = [rng.standard_normal(shape) for shape in ((3, 4), (4, 4), (4,))]
    total = np.sqrt(sum(np.sum(g**2) for g in grads))
    scaled = [g * (0.25 / (total + 1e-6)) for g in grads]
    assert math.isclose(clip_grad_norm(make(grads), 0.25), total, rel_tol=1e-14)
    for g, want in zip(grads, scaled):
        np.testing.assert_allclose(g, want, rtol=1e-14)
    assert math.isclose(grad_norm(make(grads)), 0.25, rel_tol=1e-5)


def test_arrays_are_named_in_errors_and_the_same_array_counts_once():
    g = np.full(4, 3.0)
    assert clip_grad_norm({"dW": g, "again": g}, 1.0) == 6.0 and math.isclose(grad_norm(g), 1.0, rel_tol=1e-5)
    bad = np.array([1.0, math.nan])
    for clip in (clip_grad_norm, clip_grad_value):
        with pytest.raises(FloatingPointError, match=rf"^{clip.__name__}: the gradient of dh is not finite$"):
            clip({"dW": g, "dh": bad}, 0.1)
        with pytest.raises(FloatingPointError, match=rf"^{clip.__name__}: the gradient of number 1 is not finite$"):
            clip([g, bad], 0.1)
        with pytest.raises(TypeError, match=rf"^{clip.__name__}: number 0 is an array of int64, should be a floating "):
            clip([np.ones(3, np.int64)], 1.0)
        fixed = np.ones(3)
        fixed.flags.writeable = False
        with pytest.raises(TypeError, match=rf"^{clip.__name__}: number 1 is a read-only array, should be a floating "):
            clip([g, fixed], 1.0)
        with pytest.raises(TypeError, match=r"^optim: parameter number 0 is a float, should be a leaf Tensor"):
            clip([0.5], 1.0)


@pytest.mark.parametrize("layout", ["C", "F", "moved", "every second"])
def test_a_large_array_in_any_layout(layout):
    """More elements than a block, whose number does not divide them."""
    g = np.random.default_rng(0).standard_normal((3, 50, 1001))
    g = {"C": g, "F": np.asfortranarray(g), "moved": np.moveaxis(g, 0, 1), "every second": g[:, :, ::2]}[layout]
    assert g.size > BLOCK and g.size % BLOCK
    total, want = np.linalg.norm(g.ravel()), g * (1.0 / (np.linalg.norm(g.ravel()) + 1e-6))
    assert math.isclose(clip_grad_norm([g], 1.0), total, rel_tol=1e-12)
    np.testing.assert_allclose(g, want, rtol=1e-12)
    g[-1, -1, -1] = math.inf
    with pytest.raises(FloatingPointError, match="number 0 is not finite"):
        clip_grad_norm([g], 1.0)


@pytest.mark.parametrize("size", [1.0, 1e30])  # 1e30: the squares overflow
def test_clipping_copies_no_gradient(size):
    leaf = tg.tensor(np.zeros((1000, 2000), "f"), requires_grad=True)
    leaf.grad = np.full(leaf.shape, size, "f")
    for clip in (clip_grad_norm, clip_grad_value, lambda params, _: grad_norm(params)):
        tracemalloc.start()
        try:
            clip([leaf], 0.5)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < leaf.grad.nbytes / 4, "a few blocks, whatever the size"


# -- by value --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["e", "f", "d"])
@pytest.mark.parametrize("max_value", [0.25, 100.0, math.inf])
def test_values_are_limited_each_by_itself(max_value, dtype):
    pair_, before = pair(dtype), pair(dtype)
    largest = max(float(np.abs(g.grad).max()) for g in (before.first, before.second))
    assert clip_grad_value(pair_, max_value) == largest
    for leaf, old in ((pair_.first, before.first), (pair_.second, before.second)):
        np.testing.assert_array_equal(leaf.grad, np.clip(old.grad, -max_value, max_value))
        assert leaf.grad.dtype == dtype
    assert clip_grad_value(pair_, max_value) == min(largest, max_value) and pair_.unused.grad is None
    assert clip_grad_value(Pair(), 1.0) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_by_value_too_a_gradient_that_is_not_finite_is_named(bad):
    pair_ = pair()
    pair_.second.grad[1] = bad
    before = pair_.first.grad.copy()
    with pytest.raises(FloatingPointError, match=r"^clip_grad_value: the gradient of second is not finite$"):
        clip_grad_value(pair_, 0.1)
    np.testing.assert_array_equal(pair_.first.grad, before)


@pytest.mark.parametrize("max_value", [0, -1.0, math.nan])
def test_the_largest_value_is_above_0(max_value):
    text = f"clip_grad_value: max_value is {max_value}, should be more than 0"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        clip_grad_value(pair(), max_value)


def test_the_norm_of_many_float32_numbers_keeps_its_digits():
    g = np.random.default_rng(0).standard_normal(2_000_000).astype("f")
    assert math.isclose(grad_norm([g]), np.linalg.norm(g.astype("d")), rel_tol=1e-6)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value, grad_norm])
def test_parameters_that_are_frozen_after_the_optimizer_was_created_are_left_out(clip):
    first, second = Linear(2, 2, rng=0), Linear(2, 1, rng=1)
    optimizer = SGD([*first.params.values(), *second.params.values()], lr=0.1)
    first.freeze()
    second(first(np.ones((3, 2)))).sum().backward()
    limit = () if clip is grad_norm else (10.0,)
    assert clip(optimizer, *limit) == clip(optimizer.params, *limit) == clip(second, *limit) > 0
