"""grad, vjp, jvp, jacobian, hessian, hvp: against calculus, against differences, and inside one another."""

import numpy as np
import pytest

import tinygrad_rnn as tg

RNG = np.random.default_rng(0)
X, W = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2))


def f(x, w):
    """A function of two matrices with all second derivatives."""
    return (np.tanh(x @ w) ** 2 * np.exp(0.1 * w).sum()).sum()


def along(g, v, h=1e-5):
    """The derivative of g(t) at 0 by differences, exact to about h⁴."""
    return (8 * (g(h * v) - g(-h * v)) - (g(2 * h * v) - g(-2 * h * v))) / (12 * h)


def close(a, b, rtol):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max())


@pytest.mark.parametrize("argnums", [0, 1, -1, (0, 1), (1, 0)])
def test_grad_is_the_derivative_in_every_direction(argnums):
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    y, found = tg.value_and_grad(f, argnums)(X, W)
    assert float(y) == float(tg.value_and_grad(f)(X, W)[0])
    for k, g in zip(numbers, found if isinstance(argnums, tuple) else [found]):
        v = RNG.standard_normal(g.shape)

        def moved(d, k=k % 2):
            return float(f(X + d if k == 0 else X, W + d if k == 1 else W))

        close(np.sum(g * v), along(moved, v), 1e-9)


def test_arrays_in_arrays_out_and_tensors_in_tensors_out():
    assert type(tg.grad(f)(X, W)) is np.ndarray
    assert type(tg.grad(lambda x: x * x)(2.0)) is np.ndarray
    assert type(tg.grad(f)(tg.tensor(X), W)) is tg.Tensor
    y, pull = tg.vjp(f, X, W)
    assert type(y) is np.ndarray and [type(g) for g in pull(1.0)] == [np.ndarray, np.ndarray]


def test_gradients_have_the_structure_of_the_argument():
    def total(p, s):
        return (p["a"] * p["b"][0]).sum() + s * p["b"][1].sum()

    p = {"a": X, "b": (X + 1, W)}
    dp, ds = tg.grad(total, (0, 1))(p, 3.0)
    assert list(dp) == ["a", "b"] and type(dp["b"]) is tuple
    np.testing.assert_array_equal(dp["a"], X + 1)
    np.testing.assert_array_equal(dp["b"][1], np.full(W.shape, 3.0))
    assert float(ds) == W.sum()


def test_keyword_arguments_reach_the_function():
    assert float(tg.grad(lambda x, k=2: x * k)(1.0, k=3)) == 3
    np.testing.assert_array_equal(tg.jacobian(lambda x, k: x * k)(np.ones(2), k=3), 3 * np.eye(2))


def test_dtype_of_a_gradient_is_that_of_its_argument():
    g32, g64 = tg.grad(lambda a, b: (a * b).sum(), (0, 1))(X.astype("f"), X)
    assert g32.dtype == np.float32 and g64.dtype == np.float64


def test_unreached_arguments_get_zeros():
    np.testing.assert_array_equal(tg.grad(lambda x, w: (w * w).sum())(X, W), np.zeros_like(X))
    np.testing.assert_array_equal(tg.grad(lambda x: 3.0)(X), np.zeros_like(X))


def test_nothing_is_added_to_grad_and_nothing_is_used_up():
    x = tg.tensor(X, requires_grad=True)
    y = np.tanh(x)
    tg.grad(lambda w: (y @ w).sum())(W)
    assert x.grad is None
    y.sum().backward()
    np.testing.assert_allclose(x.grad, 1 - np.tanh(X) ** 2)


@pytest.mark.parametrize("order", range(1, 6))
def test_derivatives_of_any_order(order):
    g = lambda x: x**6
    for _ in range(order):
        g = tg.grad(g)
    assert float(g(2.0)) == pytest.approx(np.prod(range(7 - order, 7)) * 2.0 ** (6 - order))


def test_inner_and_outer_derivatives_are_not_confused():
    assert float(tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(1.0)) == 1
    assert float(tg.grad(lambda w: tg.grad(lambda x: w * x * x)(3.0))(2.0)) == 6
    assert float(tg.grad(lambda x: tg.grad(lambda y: x * y**2)(x) * x)(3.0)) == 3 * 2 * 9


def test_a_gradient_penalty_reaches_the_parameters():
    w = tg.tensor(W, requires_grad=True)
    slope = tg.grad(lambda x: np.tanh(x @ w).sum())(tg.tensor(X, requires_grad=True))
    (slope**2).sum().backward()

    def penalty(d):
        return float((tg.grad(lambda x: np.tanh(x @ (W + d)).sum())(X) ** 2).sum())

    v = RNG.standard_normal(W.shape)
    close(np.sum(w.grad * v), along(penalty, v), 1e-8)


@pytest.mark.parametrize("transform", ["grad", "vjp", "jvp", "value", "jacobian"])
def test_what_the_function_closes_over_gets_its_gradient_too(transform):
    """Also where the input itself is a Tensor that needs none."""
    w, x = tg.tensor(W, requires_grad=True), tg.tensor(X)
    g = lambda x: np.tanh(x @ w)
    ones = np.ones((3, 2))
    y = {
        "grad": lambda: tg.grad(lambda x: g(x).sum())(x),
        "vjp": lambda: tg.vjp(g, x)[1](ones)[0],
        "jvp": lambda: tg.jvp(g, (x,), (X,))[1],
        "value": lambda: tg.value_and_grad(lambda x: g(x).sum())(x)[0],
        "jacobian": lambda: tg.jacobian(g)(x),
    }[transform]()
    (y * y).sum().backward()

    def moved(d):
        h = lambda x: np.tanh(x @ (W + d))
        slope = lambda: tg.grad(lambda x: h(x).sum())(X)
        return float(np.sum(np.square({
            "grad": slope, "vjp": slope, "jvp": lambda: tg.jvp(h, (X,), (X,))[1], "value": lambda: h(X).sum(),
            "jacobian": lambda: tg.jacobian(h)(X),
        }[transform]())))  # fmt: skip

    v = RNG.standard_normal(W.shape)
    close(np.sum(w.grad * v), along(moved, v), 1e-8)


def test_a_closed_over_tensor_is_left_alone_under_no_grad_and_by_arrays():
    w = tg.tensor(W, requires_grad=True)
    g = tg.grad(lambda x: np.tanh(x @ w).sum())
    assert type(g(X)) is np.ndarray
    with tg.no_grad():
        assert not g(tg.tensor(X)).requires_grad


def test_hessian_is_symmetric_and_right():
    h = tg.hessian(f)(X, W)
    assert h.shape == (3, 4, 3, 4)
    flat = h.reshape(12, 12)
    close(flat, flat.T, 1e-12)
    v = RNG.standard_normal(X.shape)
    close(np.tensordot(h, v, 2), along(lambda d: tg.grad(f)(X + d, W), v), 1e-8)


def test_hvp_is_the_hessian_times_a_vector():
    vs = RNG.standard_normal(X.shape), RNG.standard_normal(W.shape)
    found = tg.hvp(f, (X, W), vs)
    close(found[0], along(lambda t: tg.grad(f)(X + t * vs[0], W + t * vs[1]), 1.0), 1e-8)
    close(found[1], along(lambda t: tg.grad(f, 1)(X + t * vs[0], W + t * vs[1]), 1.0), 1e-8)
    close(tg.hvp(lambda x: f(x, W), X, vs[0]), np.tensordot(tg.hessian(f)(X, W), vs[0], 2), 1e-12)


def test_jvp_vjp_and_jacobian_agree():
    g = lambda x: np.sin(x) @ W
    v, u = RNG.standard_normal(X.shape), RNG.standard_normal((3, 2))
    y, dy = tg.jvp(g, (X,), (v,))
    np.testing.assert_allclose(y, np.sin(X) @ W)
    np.testing.assert_allclose(dy, (np.cos(X) * v) @ W)
    (dx,) = tg.vjp(g, X)[1](u)
    close(np.sum(dy * u), np.sum(dx * v), 1e-13)
    close(np.tensordot(tg.jacobian(g)(X), v, 2), dy, 1e-13)


def test_vjp_of_several_outputs_and_pull_called_twice():
    (a, b), pull = tg.vjp(lambda x: (x * x, x.sum()), X)
    np.testing.assert_array_equal(a, X * X)
    assert float(b) == X.sum()
    for _ in range(2):
        np.testing.assert_allclose(pull((X, np.array(2.0)))[0], 2 * X * X + 2)


def test_jvp_of_several_outputs():
    _, (da, db) = tg.jvp(lambda x: (x * x, x.sum()), (X,), (np.ones_like(X),))
    np.testing.assert_allclose(da, 2 * X)
    assert float(db) == X.size


def test_a_direction_that_needs_a_gradient_gets_it():
    v = tg.tensor(np.ones_like(X), requires_grad=True)
    tg.jvp(lambda x: (x**3).sum(), (X,), (v,))[1].backward()
    np.testing.assert_allclose(v.grad, 3 * X**2)
    u = tg.tensor(np.ones_like(X), requires_grad=True)
    (found,) = tg.vjp(lambda p: p["a"] ** 3, {"a": X})[1](u)
    assert list(found) == ["a"]
    found["a"].sum().backward()
    np.testing.assert_allclose(u.grad, 3 * X**2)


def test_jvp_inside_grad():
    g = tg.grad(lambda x: tg.jvp(lambda z: z**3, (x,), (1.0,))[1])
    assert float(g(2.0)) == pytest.approx(12)


def test_transforms_work_under_no_grad():
    with tg.no_grad():
        assert float(tg.grad(lambda x: x * x)(3.0)) == 6


def test_an_lstm_over_time_has_a_second_derivative():
    params = {k: v.numpy().astype(float) for k, v in tg.lstm.init(RNG, D=3, H=2).items()}
    xs = RNG.standard_normal((2, 4, 3))

    def loss(Wh):
        hs, _ = tg.scan(tg.lstm, xs, None, {**params, "Wh": Wh})
        return (hs * hs).sum()

    v = RNG.standard_normal(params["Wh"].shape)
    close(tg.hvp(loss, params["Wh"], v), along(lambda d: tg.grad(loss)(params["Wh"] + d), v), 1e-7)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: tg.grad(lambda x: x)(X), ValueError, "grad: f returned (3, 4), should be one number; jacobian is for"),
        (lambda: tg.grad(lambda x: (x.sum(), x))(X), ValueError, "grad: f returned 2 values, should be one number"),
        (lambda: tg.grad(f)(np.ones((3, 4), int), W), TypeError, "grad: argument 0 is int64, should be floating"),
        (lambda: tg.grad(f, 2)(X, W), ValueError, "grad: argnums is 2, f got 2 arguments"),
        (lambda: tg.vjp(np.tanh, X)[1](W), ValueError, "vjp: dy is (4, 2), should be (3, 4) as the output is"),
        (lambda: tg.jvp(f, (X, W), (X,)), ValueError, "jvp: 2 inputs but 1 directions"),
    ],
)
def test_what_cannot_be_differentiated_says_so(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)
