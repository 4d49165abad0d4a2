"""grad, vjp, jvp, jacobian, hessian, hvp: against calculus, against differences, and inside one another."""

import threading
import tracemalloc
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.graph import context

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


# -- what is changed in place ----------------------------------------------------------------------------------------


def tripled(x):
    x *= 3
    return (x * x * x).sum()


def moved_and_cut(x):
    y = x * 2
    x += 1
    x[0] = 5.0
    x /= 2
    return (x * x * x * y).sum()


def tripled_purely(x):
    return ((3 * x) ** 3).sum()


def moved_and_cut_purely(x):
    return (((x + 1) * np.array([0, 1, 1]) + np.array([5.0, 0, 0])) ** 3 / 8 * x * 2).sum()


IN_PLACE = {f.__name__: (f, pure) for f, pure in ((tripled, tripled_purely), (moved_and_cut, moved_and_cut_purely))}
V = np.array([2.0, -1.0, 0.5])
KINDS = ["array", "tensor", "leaf"]
FORMS = {
    "grad": lambda f, x: tg.grad(f)(x),
    "value_and_grad": lambda f, x: tg.value_and_grad(f)(x)[0],
    "vjp": lambda f, x: tg.vjp(f, x)[1](1.0)[0],
    "jvp": lambda f, x: tg.jvp(f, (x,), (V,))[1],
    "jacobian": lambda f, x: tg.jacobian(f)(x),
    "jacobian of grad": lambda f, x: tg.jacobian(tg.grad(f))(x),
    "hessian": lambda f, x: tg.hessian(f)(x),
    "hvp": lambda f, x: tg.hvp(f, x, V),
    "third": lambda f, x: tg.jacobian(tg.hessian(f))(x),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("changing", "pure"), IN_PLACE.values(), ids=IN_PLACE)
@pytest.mark.parametrize("lift", [np.array, tg.tensor, lambda x: tg.tensor(x, requires_grad=True)], ids=KINDS)
def test_an_argument_changed_in_place_is_differentiated_by_its_first_value(form, changing, pure, lift):
    values = np.array([2.0, 3.0, -1.0])
    x = lift(values)
    np.testing.assert_allclose(value(form(changing, x)), value(form(pure, values)), rtol=1e-13)
    np.testing.assert_array_equal(value(x), [2.0, 3.0, -1.0], "the caller's own was changed")


def value(x):
    return np.asarray(x.detach()) if isinstance(x, tg.Tensor) else x


@pytest.mark.parametrize("lift", [np.array, tg.tensor])
def test_an_argument_that_is_not_differentiated_by_stays_the_caller_s_too(lift):
    x = lift([2.0, 3.0, -1.0])
    for _ in range(2):
        assert float(value(tg.grad(lambda w, x: w * tripled(x))(1.0, x))) == 27 * 34
        if isinstance(x, tg.Tensor):
            assert float(value(tg.jacobian(lambda w, p: w * tripled(p["x"]))(1.0, p={"x": x}))) == 27 * 34
        np.testing.assert_array_equal(value(x), [2.0, 3.0, -1.0])


@pytest.mark.parametrize("lift", [np.array, tg.tensor, lambda x: tg.tensor(x, requires_grad=True)], ids=KINDS)
def test_writing_to_what_vjp_was_given_or_gave_changes_no_gradient(lift):
    x = lift(X)
    y, pull = tg.vjp(np.tanh, x)
    y *= 2.0
    y[0] = 7.0
    with tg.no_grad():
        x *= 0.0
    np.testing.assert_allclose(value(pull(np.ones_like(X))[0]), 1 - np.tanh(X) ** 2)


def test_backward_inside_the_function_does_not_use_up_its_argument():
    def f(x):
        w = tg.tensor([1.0, 2.0], requires_grad=True)
        for _ in range(3):
            (w * x).sum().backward()
        return (x * x * w.detach()).sum()

    np.testing.assert_array_equal(tg.grad(f)(np.array([3.0, 4.0])), [6, 16])
    np.testing.assert_array_equal(tg.hessian(f)(np.array([3.0, 4.0])), [[2, 0], [0, 4]])


def test_gradients_that_are_the_same_are_two_objects():
    dy = tg.tensor(np.ones(2))
    a, b = tg.vjp(lambda a, b: a + b, np.ones(2), tg.tensor(np.ones(2)))[1](dy)
    a *= 5.0
    np.testing.assert_array_equal([value(b), value(dy)], np.ones((2, 2)))

    def inner(z):
        a, b = tg.vjp(lambda a, b: a + b, np.ones(2), np.ones(2))[1](np.ones(2))
        a *= 5.0
        return (z * b).sum()

    assert float(tg.grad(lambda z: inner(z))(2.0)) == 2


# -- structures ------------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "a b")
Other = namedtuple("Other", "b a")


def test_dicts_are_matched_by_key():
    _, pull = tg.vjp(lambda x: {"a": x, "n": {"b": 2 * x}}, np.ones(2))
    np.testing.assert_array_equal(pull({"n": {"b": np.array([0.0, 1])}, "a": np.array([10.0, 0])})[0], [10, 2])
    p = {"a": np.array([2.0]), "b": np.array([3.0])}
    product = lambda p: p["a"] * p["b"]
    assert tg.jvp(product, (p,), ({"b": np.array([1.0]), "a": np.array([0.0])},))[1] == 2
    found = tg.hvp(lambda p: product(p).sum(), p, {"b": np.array([1.0]), "a": np.array([0.0])})
    assert (found["a"], found["b"]) == (1, 0)


@pytest.mark.parametrize("kind", [OrderedDict, lambda **p: defaultdict(list, p)])
def test_kinds_of_dicts_are_kept(kind):
    p = kind(a=np.ones(2), b=np.ones(3))
    assert type(tg.grad(lambda q: (q["a"] * 2).sum() if type(q) is type(p) else 0.0)(p)) is type(p)


def test_none_is_passed_on_and_has_no_gradient():
    found = tg.grad(lambda p: p["w"].sum() if p["b"] is None else 0.0)({"w": np.ones(2), "b": None})
    assert found["b"] is None and found["w"].tolist() == [1, 1]
    (_, none, count), pull = tg.vjp(lambda x: (x * x, None, 3), X)
    assert none is None and count == 3
    np.testing.assert_array_equal(pull((X, None, 0))[0], 2 * X * X)
    assert float(tg.jvp(lambda p: p[0] ** 2, ((3.0, None),), ((1.0, None),))[1]) == 6


def test_outputs_that_are_no_floats_have_no_derivative():
    _, (dy, count, place, word) = tg.jvp(lambda x: (x * x, 3, np.argmax(x), "word"), (V,), (V,))
    np.testing.assert_array_equal(dy, 2 * V * V)
    assert (count, place, word) == (0, 0, None)


@pytest.mark.parametrize("like", [(1.0, 2.0), [1.0, 2.0], Pair(1.0, 2.0)], ids=["tuple", "list", "namedtuple"])
def test_sequences_are_matched_by_place(like):
    _, pull = tg.vjp(lambda x: type(like)(*(x, 2 * x)) if hasattr(like, "_fields") else type(like)([x, 2 * x]), 1.0)
    for dy in [(1.0, 10.0), [1.0, 10.0], Pair(1.0, 10.0)]:
        assert float(pull(dy)[0]) == 21
    assert type(tg.grad(lambda p: p[0] * p[1])(like)) is type(like)


def test_detach_keeps_structures():
    x = tg.tensor(X, requires_grad=True)
    for tree in [(x, 2), [x, None], Pair(x, [x]), {"a": Pair(x, x)}, OrderedDict(a=x), defaultdict(list, a=(x,)), ()]:
        cut = tg.detach(tree)
        assert type(cut) is type(tree) and str(cut) == str(tree).replace(", requires_grad=True", "")
    assert type(tg.detach({"a": Pair(x, x)})["a"]) is Pair


def keyed(dy):
    return tg.vjp(lambda x: {"a": x, "b": (x, x)}, 1.0)[1](dy)


MISMATCHED = {
    "missing": ({"a": 1.0}, "vjp: dy lacks 'b', should be a dict with 'a', 'b'"),
    "extra": ({"a": 1.0, "b": (1.0, 1.0), 3: 1.0}, "vjp: dy has 3, should be a dict with 'a', 'b'"),
    "renamed": ({"a": 1.0, "c": (1.0, 1.0)}, "vjp: dy lacks 'b' and has 'c', should be a dict with 'a', 'b'"),
    "tuple": ((1.0, (1.0, 1.0)), "vjp: dy is a tuple of 2, should be a dict with 'a', 'b'"),
    "array": (np.ones(3), "vjp: dy is one array, should be a dict with 'a', 'b'"),
    "empty": ({}, "vjp: dy lacks 'a', 'b', should be a dict with 'a', 'b'"),
    "short": ({"a": 1.0, "b": [1.0]}, "vjp: dy['b'] is a list of 1, should be a tuple of 2"),
    "long": ({"a": 1.0, "b": (1.0,) * 3}, "vjp: dy['b'] is a tuple of 3, should be a tuple of 2"),
    "flat": ({"a": 1.0, "b": np.ones(2)}, "vjp: dy['b'] is one array, should be a tuple of 2"),
    "deep": ({"a": [1.0], "b": (1.0, 1.0)}, "vjp: dy['a'] is a list of 1, should be one array"),
    "none": ({"a": 1.0, "b": (1.0, None)}, "vjp: dy['b'][1] is None, should be one array"),
    "dict": ({"a": 1.0, "b": {}}, "vjp: dy['b'] is an empty dict, should be a tuple of 2"),
}


@pytest.mark.parametrize(("dy", "text"), MISMATCHED.values(), ids=MISMATCHED)
def test_structures_that_do_not_match_say_where(dy, text):
    with pytest.raises(TypeError) as caught:
        keyed(dy)
    assert str(caught.value) == f"{text} as the output is"


# -- sizes, threads, and errors half way -----------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "columns"), [(4000, 1), (1, 4000), (60, 70), (70, 60)])
def test_a_jacobian_takes_about_the_memory_of_its_result(rows, columns):
    W = RNG.standard_normal((rows, columns))
    tracemalloc.start()
    found = tg.jacobian(lambda x: (W * x).sum(axis=1))(np.ones(columns))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(found, W)
    assert peak < 10 * W.nbytes + 50_000


@pytest.mark.parametrize(("rows", "columns"), [((), ()), ((2, 3), ()), ((2, 3), (1,)), ((), (2, 2)), ((5,), (2, 2)),
                                               ((0,), (2,)), ((2,), (0, 3)), ((0,), (0,))])  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tall_and_wide_jacobians_and_their_gradients(rows, columns, dtype):
    W, x = RNG.standard_normal((*rows, *columns)), RNG.standard_normal(columns).astype(dtype)
    axes = tuple(range(len(rows), W.ndim))
    g = lambda x: (W * x * x).sum(axis=axes)
    found = tg.jacobian(g)(x)
    assert found.shape == rows + columns and found.dtype == dtype
    np.testing.assert_allclose(found, 2 * W * x, rtol=1e-6)
    again = tg.grad(lambda x: tg.jacobian(g)(x).sum())(x)
    np.testing.assert_allclose(again, 2 * W.sum(axis=tuple(range(len(rows)))), rtol=1e-5)


def test_an_error_half_way_leaves_nothing_switched():
    def f(x):
        tg.grad(lambda z: (z * z).sum())(x)
        raise KeyError("half way")

    for form in FORMS.values():
        before = context.recording, context.transforms, context.special
        with pytest.raises(KeyError):
            form(f, V)
        with tg.no_grad(), pytest.raises(KeyError):
            form(f, V)
        assert (context.recording, context.transforms, context.special) == before


def test_threads_do_not_share_what_is_differentiated():
    results = {}

    def work(k):
        results[k] = [tg.hessian(tripled)(np.full(3, k + 1.0)) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        for found in results[k]:
            np.testing.assert_array_equal(found, 27 * 6 * (k + 1.0) * np.eye(3))


def without_return(x):
    x * x


def a_generator(x):
    yield x


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: tg.grad(lambda x: x)(X), ValueError, "grad: f returned (3, 4), should be one number; jacobian is for"),
        (lambda: tg.grad(lambda x: (x.sum(), x))(X), ValueError, "grad: f returned 2 values, should be one number"),
        (lambda: tg.grad(f)(np.ones((3, 4), int), W), TypeError, "grad: argument 0 is int64, should be floating"),
        (lambda: tg.grad(f, 2)(X, W), ValueError, "grad: argnums is 2, f got 2 arguments"),
        (lambda: tg.vjp(np.tanh, X)[1](W), ValueError, "vjp: dy is (4, 2), should be (3, 4) as the output is"),
        (lambda: tg.jvp(f, (X, W), (X,)), ValueError, "jvp: 2 inputs but 1 directions"),
        (
            lambda: tg.jvp(f, X, X),
            TypeError,
            "jvp: xs is a ndarray, should be a tuple of arguments: jvp(f, (x,), (v,))",
        ),
        (lambda: tg.hvp(f, (X, W), X), TypeError, "hvp: vs is a ndarray, should be a tuple of arguments: hvp(f, (x,),"),
        (lambda: tg.jvp(f, (X, W), (X, X)), ValueError, "jvp: vs[1] is (3, 4), should be (4, 2) as the input is"),
        (lambda: tg.vjp(np.tanh, X)[1](1j * X), TypeError, "vjp: dy is complex128, should be float64 as the output is"),
        (
            lambda: tg.grad(a_generator)(X),
            TypeError,
            "grad: a_generator returned a generator, should be floating to be",
        ),
        (lambda: tg.grad(np.argmax)(X), TypeError, "grad: argmax returned int64, should be floating to be different"),
        (lambda: tg.jacobian(np.argmax)(X), TypeError, "jacobian: argmax returned int64, should be floating to be"),
        (
            lambda: tg.jacobian(lambda x: (x, x))(X),
            ValueError,
            "jacobian: takes one array and gives one array, not a t",
        ),
    ],
)
def test_what_cannot_be_differentiated_says_so(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_function_without_a_return_is_refused_by_name(form):
    with pytest.raises(
        TypeError, match=r": without_return returned None, should return a value; is a return missing\?$"
    ):
        form(without_return, V)


ARGNUMS = {
    "beyond": (2, "InvalidValue: {}: argnums is 2, f got 2 arguments"),
    "before": (-3, "InvalidValue: {}: argnums is -3, f got 2 arguments"),
    "bool": (True, "InvalidType: {}: argnums is True, should be the number of an argument, or a tuple of them"),
    "float": (1.0, "InvalidType: {}: argnums is 1.0, should be the number of an argument, or a tuple of them"),
    "name": ("x", "InvalidType: {}: argnums is 'x', should be the number of an argument, or a tuple of them"),
}
TWICE = {
    "twice": ((1, 1), "InvalidValue: grad: argnums is (1, 1), should name each of the 2 arguments once at most"),
    "from both ends": (
        [0, -2],
        "InvalidValue: grad: argnums is [0, -2], should name each of the 2 arguments once at most",
    ),
    "one wrong": ((0, 2), "InvalidValue: grad: argnums is (0, 2), f got 2 arguments"),
}


@pytest.mark.parametrize("form", ["grad", "jacobian", "hessian"])
@pytest.mark.parametrize(("argnums", "text"), ARGNUMS.values(), ids=ARGNUMS)
def test_an_argument_that_is_not_there(form, argnums, text):
    assert_refused(text.format(form), getattr(tg, form)(f, argnums), X, W)


@pytest.mark.parametrize(("argnums", "text"), TWICE.values(), ids=TWICE)
def test_arguments_that_are_named_twice(argnums, text):
    assert_refused(text, tg.grad(f, argnums), X, W)
    tensors = argnums if isinstance(argnums, tuple) else tuple(argnums)
    assert_refused(f"InvalidType: jacobian: argnums is {tensors}, should be the number of one argument",
                   tg.jacobian(f, tensors), X, W)  # fmt: skip


def assert_refused(text, call, *args):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(*args)
    assert f"{type(caught.value).__name__}: {caught.value}" == text


def test_an_argument_is_named_by_any_whole_number():
    np.testing.assert_array_equal(tg.grad(f, np.int64(1))(X, W), tg.grad(f, 1)(X, W))
