"""checkpoint(f) is f, with less kept and the same gradients."""

import copy
import threading
import tracemalloc
from collections import namedtuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.graph import context

ELSE = (
    "checkpoint: f gave another result when run again: something that it reads besides its arguments was changed after "
    "the forward pass; change it after backward(), and make a random generator inside f"
)
ARGUMENT = (
    "checkpoint: argument {} of f, an array of shape (2,), was changed after the forward pass; "
    "change it after backward(), or pass a copy"
)
RNG = np.random.default_rng(1)
W, X = RNG.standard_normal((3, 3)), RNG.standard_normal((2, 3))


def gradients(wrap):
    """Gradients by an input and by what the function closes over, through two outputs, twice in a row."""
    w, x = tg.tensor(W, requires_grad=True), tg.tensor(X, requires_grad=True)
    g = wrap(lambda y, k: (np.tanh(y @ w) * k, {"sum": (y * y).sum()}))
    a, b = g(x, 2.0)
    c, _ = g(a, 0.5)
    (c.sum() * b["sum"]).backward()
    return x.grad, w.grad


def test_gradients_are_those_without():
    for found, wanted in zip(gradients(tg.checkpoint), gradients(lambda g: g)):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_it_can_be_differentiated_twice():
    inner = tg.checkpoint(lambda z: np.tanh(z @ W) ** 2)
    found = tg.hessian(lambda y: inner(y).sum())(X)
    np.testing.assert_allclose(found, tg.hessian(lambda y: (np.tanh(y @ W) ** 2).sum())(X), rtol=1e-12, atol=1e-12)


def test_less_is_kept():
    def chain(y):
        for _ in range(50):
            y = np.tanh(y)
        return y

    def kept(g):
        x = tg.tensor(np.zeros((200, 200)), requires_grad=True)
        tracemalloc.start()
        y = g(x)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        y.sum().backward()
        assert np.all(x.grad == 1)
        return size

    assert kept(tg.checkpoint(chain)) < kept(chain) / 10


def test_a_function_that_changes_its_mind_is_refused():
    rng = np.random.default_rng(0)
    y = tg.checkpoint(lambda x: tg.dropout(x, rate=0.5, rng=rng))(tg.tensor(np.ones(100), requires_grad=True))
    with pytest.raises(tg.MutationError) as caught:
        y.sum().backward()
    assert str(caught.value) == ELSE


def test_without_recording_it_is_the_function():
    with tg.no_grad():
        assert tg.checkpoint(np.tanh)(tg.tensor(X, requires_grad=True)).node is None
    assert type(tg.checkpoint(lambda x: x + 1)(X)) is np.ndarray


def test_what_it_closes_over_gets_its_gradient_also_where_no_input_needs_one():
    w = tg.tensor(W, requires_grad=True)
    tg.checkpoint(lambda x: np.tanh(x @ w))(X).sum().backward()
    np.testing.assert_allclose(w.grad, tg.grad(lambda w: np.tanh(X @ w).sum())(W), rtol=1e-13)


def test_one_value_given_out_twice_and_a_constant_beside_it():
    x = tg.tensor(X, requires_grad=True)

    def f(x):
        y = x * x
        return y, y, 3.0

    a, b, c = tg.checkpoint(f)(x)
    (a.sum() + 2 * b.sum() + c).backward()
    np.testing.assert_allclose(x.grad, 6 * X)


# -- it is the function ----------------------------------------------------------------------------------------------


def leaf(*values, dtype=float):
    return tg.tensor(np.array(values, dtype), requires_grad=True)


def both(run):
    """What ``run(wrap)`` gives without checkpoint and with it."""
    return run(lambda f: f), run(tg.checkpoint)


def assert_same(run):
    for plain, found in zip(*both(run), strict=True):
        np.testing.assert_allclose(found, plain, rtol=1e-13)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("handle", [lambda x: x, lambda x: x * 1, copy.copy], ids=["same", "computed", "twin"])
def test_an_argument_that_is_passed_several_times(times, handle):
    def run(wrap):
        x = leaf(2.0, 3.0)
        z = handle(x)
        f = wrap(lambda *xs, more: sum(k * x**2 for k, x in enumerate(xs, 1)) + more["z"] * x)
        f(*[z] * times, more={"z": z}).sum().backward()
        return [x.grad]

    assert_same(run)


def test_derivatives_of_a_product_with_itself():
    product = tg.checkpoint(lambda a, b: a * b * a)
    assert float(tg.grad(lambda x: product(x, x))(3.0)) == 27
    assert float(tg.hessian(lambda x: product(x, x))(3.0)) == 18
    assert float(tg.hessian(tg.checkpoint(tg.checkpoint(lambda x: product(x, x))))(3.0)) == 18
    np.testing.assert_array_equal(tg.jacobian(tg.checkpoint(lambda x: product(x, x)))(np.ones(2)), 3 * np.eye(2))
    assert float(tg.jvp(lambda x: product(x, x), (3.0,), (2.0,))[1]) == 54


Pair = namedtuple("Pair", "a b")


def test_trees_and_keywords_go_in_and_come_out():
    def run(wrap):
        x, w = leaf(2.0, 3.0), leaf(4.0, 5.0)

        def f(p, q, *, scale, add=None):
            assert type(p) is Pair and list(q) == ["w", "n"] and add is None
            return Pair({"y": p.a * q["w"] * scale}, [p.b, q["n"], p.a.argmax(), "word", None, p.b * 2])

        (y, (b, n, place, word, none, twice)) = wrap(f)(Pair(x, 2 * x), {"w": w, "n": 3}, scale=w)
        assert (n, place, word, none) == (3, 1, "word", None)
        (y["y"] * b * twice).sum().backward()
        return [x.grad, w.grad]

    assert_same(run)


def test_what_goes_in_and_out_unchanged_is_the_same_object():
    x, w, plain = leaf(2.0), leaf(3.0), tg.tensor(np.ones(1))
    y, *same = tg.checkpoint(lambda x, plain: (x * w, x, w, plain))(x, plain)
    assert [a is b for a, b in zip(same, (x, w, plain), strict=True)] == [True] * 3
    (y + same[0] + same[1]).backward()
    assert (x.grad, w.grad) == (4, 3)


def test_kinds_of_results_are_those_of_the_plain_call():
    def f(x):
        return x * 2, x.detach() * 2, 3, 2.5, x.numpy(), np.float32(1), None, "word", (x > 1)

    for x in (tg.tensor(np.ones(2)), leaf(1.0, 1.0), np.ones(2)):
        if not isinstance(x, np.ndarray):
            assert [type(y) for y in tg.checkpoint(f)(x)] == [type(y) for y in f(x)]
        assert type(tg.checkpoint(lambda x: x + 1)(x)) is type(x)


def test_a_result_keeps_its_name_for_messages():
    def named(x):
        y = x * 2
        y.name = "gate"
        return y

    y = tg.checkpoint(named)(leaf(2.0, 3.0))
    assert y.name == "gate" and y.node.label() == "gate (a tensor of shape (2,))"
    assert tg.checkpoint(named).__name__ == "named"


@pytest.mark.parametrize("change", ["x *= 3", "x[0] = 5.0", "x += w; x /= 2"])
def test_an_argument_that_the_function_changes_in_place(change):
    def run(wrap):
        x, w = leaf(2.0, 3.0), leaf(4.0, 5.0)
        z, hs = x * 1, tg.zeros((2, 2), dtype=float)

        def f(x, hs):
            exec(change, {"x": x, "w": w})
            hs[0] = x * w
            return x * x, hs.sum()

        y, total = wrap(f)(z, hs)
        (y.sum() * total + (z * z).sum() + (hs * hs).sum()).backward()
        return [x.grad, w.grad, z.numpy(), hs.numpy()]

    assert_same(run)


def test_a_leaf_that_the_first_run_makes_is_a_parameter():
    """A layer that makes its weights when it is called for the first time."""

    def run(wrap):
        x, layer = leaf(2.0, 3.0), {}

        def f(x):
            if not layer:
                layer["w"] = leaf(4.0, 5.0)
            return x * layer["w"]

        y = wrap(f)(x)
        (wrap(f)(y) ** 2).sum().backward()
        return [x.grad, layer["w"].grad]

    assert_same(run)


def test_blocks_of_weights_inside_a_cell():
    def run(wrap):
        @tg.cell
        def unit(x, h, c, *, W=tg.Param("D H", "ab"), U=tg.Param("H H", "ab")):
            h = wrap(lambda h, U: tg.tanh(x @ W.a + h @ U.a))(h, U)
            c = wrap(lambda h, c: h * tg.tanh(x @ W.b) + c @ U.b)(h, c)
            return h, c

        params = unit.init(np.random.default_rng(0), D=2, H=3, dtype=float)
        hs, state = tg.scan(unit, X[:, None, :2] * np.ones((1, 4, 1)), None, params)
        ((hs**2).sum() + (state[1] ** 2).sum()).backward()
        return [w.grad for w in params.values()]

    assert_same(run)


def test_segments_of_a_scan():
    def run(wrap):
        params = tg.lstm.init(np.random.default_rng(0), D=3, H=4, dtype=float)
        xs, state = np.random.default_rng(1).standard_normal((2, 6, 3)), None
        segment = wrap(lambda xs, state, **params: tg.scan(tg.lstm, xs, state, params))
        total = 0.0
        for t in range(0, 6, 2):
            hs, state = segment(xs[:, t : t + 2], state, **params)
            total = total + (hs**3).sum()
        (total + state[1].sum()).backward()
        return [w.grad for w in params.values()]

    assert_same(run)


def test_checkpoints_in_checkpoints():
    def run(wrap):
        x, w = leaf(0.3, 0.2), leaf(1.1, 0.7)
        inner = wrap(lambda a, b: (np.tanh(a * w) * b, a + b))
        outer = wrap(lambda x: inner(*inner(x, x))[0] * inner(x, w)[1])
        y = wrap(lambda x: outer(outer(x)))(x)
        y.sum().backward(retain_graph=True)
        once = x.grad
        y.sum().backward()
        return [once, x.grad - once, w.grad]

    assert_same(run)


def test_backward_in_another_thread():
    w = leaf(2.0, 3.0)
    y = tg.checkpoint(lambda x: (x * w**3).sum())(w)
    thread = threading.Thread(target=y.backward)
    thread.start()
    thread.join()
    np.testing.assert_array_equal(w.grad, 4 * np.array([2.0, 3.0]) ** 3)


def test_a_function_without_a_return_is_refused():
    def without_return(x):
        x * 2

    with pytest.raises(TypeError) as caught:
        tg.checkpoint(without_return)(leaf(1.0))
    assert str(caught.value) == "checkpoint: without_return returned None, should return a value; is a return missing?"


def test_an_error_in_the_function_leaves_nothing_switched():
    calls = []

    def fails_at_the_second_call(x):
        calls.append(x)
        if len(calls) == 2:
            raise KeyError("half way")
        return x * x

    y, before = tg.checkpoint(fails_at_the_second_call)(leaf(3.0)), (context.recording, context.transforms)
    with tg.no_grad(), pytest.raises(KeyError):
        y.backward(retain_graph=True)
    assert (context.recording, context.transforms) == before
    y.backward()
    assert calls[0].grad == 6


# -- what changed in between -----------------------------------------------------------------------------------------


def rebound(w):
    w += 2


def written(w):
    with tg.no_grad():
        w += 2


def by_data(w):
    w.data[0] = 9


def reversed_in_place(w):
    w[...] = w[::-1].copy()


def scaled(a):
    a *= 2


LEAF = lambda: leaf(3.0, 4.0)
PLAIN = lambda: np.array([3.0, 4.0])
CHANGES = {
    "a leaf under no_grad": (LEAF, written),
    "an array": (PLAIN, scaled),
    "an array reversed": (PLAIN, reversed_in_place),
    "integers": (lambda: np.array([3, 4]), scaled),
}


@pytest.mark.parametrize("values", [(2.0, 5.0), (0.0, 0.0)], ids=["", "with the same result"])
@pytest.mark.parametrize(("make", "change"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("deep", [False, True])
def test_what_was_changed_in_between_is_named(make, change, values, deep):
    """Also where the result is the same, zeros, and only the gradient differs."""
    f = lambda a, w: (a * w).sum()
    for call in (lambda x, w: tg.checkpoint(f)(x, w), lambda x, w: tg.checkpoint(f)(a=x, w=w)):
        assert_refused(call, ARGUMENT, make(), change, values, deep)
    assert_refused(lambda x, w: tg.checkpoint(lambda x: f(x, w))(x), ELSE, make(), change, values, deep)


@pytest.mark.parametrize("make", [LEAF, lambda: tg.tensor(PLAIN())], ids=["a leaf", "a tensor"])
@pytest.mark.parametrize("values", [(2.0, 5.0), (0.0, 0.0)], ids=["", "with the same result"])
@pytest.mark.parametrize("deep", [False, True])
def test_what_data_hands_out_may_be_written_to_unless_the_function_reads_it_from_outside(make, values, deep):
    f = lambda a, w: (a * w).sum()
    x, w = leaf(*values), make()

    def run(x):
        y = tg.checkpoint(f)(x, w)
        by_data(w)
        return y

    if deep:
        np.testing.assert_array_equal(np.asarray(tg.detach(tg.grad(run)(x))), PLAIN())
    else:
        run(x).backward()
        np.testing.assert_array_equal(x.grad, PLAIN())
    assert_refused(lambda x, w: tg.checkpoint(lambda x: f(x, w))(x), ELSE, make(), by_data, values, deep)


def assert_refused(call, text, w, change, values, deep):
    x = leaf(*values)

    def run(x):
        y = call(x, w)
        change(w)
        return y

    with pytest.raises(tg.MutationError) as caught:
        tg.grad(run)(x) if deep else run(x).backward()
    assert str(caught.value) in (text.format(1), text.format("w"))


@pytest.mark.parametrize("values", [(2.0, 5.0), (0.0, 0.0)], ids=["", "with the same result"])
def test_an_argument_that_was_computed_and_changed_keeps_its_value_for_the_gradient(values):
    x, w = leaf(*values), leaf(3.0, 4.0)
    p = w * 1
    y = tg.checkpoint(lambda a, b: a * b)(x, p)
    p += 2
    p[0] = 7.0
    y.sum().backward()
    np.testing.assert_array_equal([x.grad, w.grad], [[3, 4], values])


@pytest.mark.parametrize("values", [(2.0, 5.0), (0.0, 0.0)], ids=["", "with the same result"])
def test_a_variable_that_means_another_tensor_by_now(values):
    for change in (lambda p: p + 2, lambda p: leaf(3.0, 4.0), lambda p: p.detach(), lambda p: rebound(p) or p):
        x, w = leaf(*values), leaf(3.0, 4.0)
        p = w * 1
        y = tg.checkpoint(lambda x: x * p)(x)  # noqa: B023
        p = change(p)
        with pytest.raises(tg.MutationError) as caught:
            y.sum().backward()
        assert str(caught.value) == ELSE


@pytest.mark.parametrize("write", ["y *= 2", "y[0] = 9.0", "y.data[0] = 9.0"])
def test_what_it_returned_may_be_changed(write):
    def run(wrap):
        x = leaf(2.0, 3.0)
        y = wrap(lambda x: x + 3.0)(x)
        exec(write, {"y": y})
        y.sum().backward()
        return [x.grad, y.numpy()]

    assert_same(run)


def test_what_no_rule_needs_may_be_changed():
    x, w = leaf(2.0, 3.0), leaf(4.0, 5.0)
    y = tg.checkpoint(lambda x: (x + w) * 2)(x)
    with tg.no_grad():
        w += 2
    y.sum().backward()
    np.testing.assert_array_equal([x.grad, w.grad], [[2, 2], [2, 2]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_same_run_is_never_taken_for_another(dtype, trials):
    rng = np.random.default_rng(0)
    for _ in range(trials(20, 2000)):
        N, D, H = rng.integers(1, 20, 3)
        params = {name: w.astype(dtype) for name, w in tg.lstm.init(rng, D=D, H=H).items()}
        xs = tg.tensor(rng.standard_normal((N, 3, D)).astype(dtype), requires_grad=True)
        hs, _ = tg.checkpoint(tg.scan)(tg.lstm, xs, None, params)
        y = tg.checkpoint(lambda h: tg.softmax(np.exp(h)).var() + (h * np.array([np.nan] * h.shape[-1], dtype)).sum())(
            hs
        )
        (y + hs.sum()).backward()
