"""What holds for every operation, at every case that it declares.  A new operation needs no test of its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from op_checks import check_adjoint, check_jvp, check_second_order, differences, direction, smooth_sample
from op_references import reference
from op_samples import INNER, Array, Sample, attributes, function, is_variadic, pairs, sample, subjects

import tinygrad_rnn as tg
from tinygrad_rnn.op import OPS, Op

CASES = [pytest.param(subject, case, id=label) for label, subject, case in pairs()]
RAISING = [pytest.param(subject, case, id=label) for label, subject, case in pairs(raising=True)]
every_case = pytest.mark.parametrize(("subject", "case"), CASES)
FLOATS = [param for param in CASES if sample(*param.values).floats]
every_differentiable_case = pytest.mark.parametrize(("subject", "case"), FLOATS)
#: Operations whose result has the dtype that they are told.
CASTS = ["astype"]


def parts(y: Any) -> list[Any]:
    return list(y) if isinstance(y, (list, tuple)) else [y]


def call(s: Sample, xs: list[Any]) -> list[Any]:
    """The outputs, each on its own."""
    return parts(function(s.subject)(*xs, **attributes(s.subject, s.case)))


def tensors(xs: list[Any], requires_grad: bool = True) -> list[Any]:
    return [tg.tensor(x, requires_grad) if x.dtype.kind == "f" else x for x in xs]


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("subject", "case"), [p for p in CASES if reference(p.values[0])])
def test_value_is_that_of_numpy_or_of_a_formula(subject, case):
    s = smooth_sample(subject, case)
    expected = parts(reference(subject)(*s.xs, **attributes(subject, case)))
    for y, right in zip(call(s, s.xs), expected, strict=True):
        assert np.shape(y) == np.shape(right)
        np.testing.assert_allclose(y, right, rtol=1e-12, atol=1e-14)


@every_case
def test_tensors_give_what_arrays_give(subject, case):
    s = sample(subject, case)
    for y, of_arrays in zip(call(s, tensors(s.xs)), call(s, s.xs), strict=True):
        assert isinstance(y, tg.Tensor) == bool(s.floats) and not isinstance(of_arrays, tg.Tensor)
        assert np.asarray(tg.detach(y)).tobytes() == np.asarray(of_arrays).tobytes()
        assert y.shape == np.shape(of_arrays) and y.dtype == of_arrays.dtype


@every_case
def test_without_a_leaf_nothing_is_recorded(subject, case):
    s = sample(subject, case)
    assert not any(getattr(y, "requires_grad", False) for y in call(s, tensors(s.xs, requires_grad=False)))


@pytest.mark.parametrize(("subject", "case"), [p for p in CASES if getattr(p.values[0], "shape", None)])
def test_shape_rule_predicts_the_shape(subject, case):
    s = sample(subject, case)
    shape = subject.shape(subject.named(s.xs), {**subject.attributes, **case.attrs})
    assert shape == np.shape(s.f(*s.xs))


@pytest.mark.parametrize(("subject", "case"), RAISING)
@pytest.mark.parametrize("lift", [lambda xs: xs, tensors], ids=["arrays", "tensors"])
def test_promised_error(subject, case, lift):
    s = sample(subject, case)
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        s.f(*lift(s.xs))
    assert str(caught.value) == case.raises


# -- dtype -----------------------------------------------------------------------------------------------------------


@every_differentiable_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_by_values_and_gradients(subject, case, dtype):
    s = sample(subject, case)
    leaves = tensors(s.as_dtype(dtype))
    y = s.f(*leaves)
    assert y.dtype == dtype or subject.name in CASTS
    y.backward(np.ones(y.shape))
    for k in s.floats:
        assert leaves[k].grad is None or leaves[k].grad.dtype == dtype


@pytest.mark.parametrize(("subject", "case"), [p for p in FLOATS if hasattr(p.values[0], "rules")])
def test_rules_themselves_stay_in_float32(subject, case):
    """Not cast at the end: computed in float32 all along."""
    s = sample(subject, case)
    y = s.f(*tensors(s.as_dtype(np.float32)))
    for edge in y.node.edges:
        if edge is not None:
            _, rule, kept = edge
            assert subject.name in CASTS or rule.fn(np.ones(y.shape, np.float32), *kept).dtype == np.float32


BINARY = [spec for spec in subjects() if isinstance(spec, Op) and spec.shape is tg.shape.broadcast]
BINARY = [spec for spec in BINARY if len(spec.arguments) == 2]


@pytest.mark.parametrize("spec", BINARY, ids=lambda spec: spec.name)
@pytest.mark.parametrize("scalar", [1, 1.5, np.float32(1.5), tg.tensor(np.float32(1.5))], ids=repr)
def test_a_number_never_widens(spec, scalar):
    x = tg.tensor(np.full((2, 3), 0.7, np.float32), requires_grad=True)
    for y in (function(spec)(x, scalar), function(spec)(scalar, x)):
        assert y.dtype == np.float32
        for _, rule, kept in filter(None, y.node.edges):
            assert rule.fn(np.ones((2, 3), np.float32), *kept).dtype == np.float32


# -- gradients -------------------------------------------------------------------------------------------------------


@every_differentiable_case
@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_vjp_is_the_adjoint(subject, case, scale):
    check_adjoint(smooth_sample(subject, case), scale)


@every_differentiable_case
def test_jvp_is_the_derivative_in_a_direction(subject, case):
    check_jvp(smooth_sample(subject, case))


@every_differentiable_case
def test_second_order_is_the_adjoint_of_the_gradient(subject, case):
    check_second_order(smooth_sample(subject, case))


# -- memory ----------------------------------------------------------------------------------------------------------


def strided(x: Array) -> Array:
    """The same values with gaps between them, backwards in memory."""
    wide = np.zeros([2 * n for n in x.shape], x.dtype)
    view = wide[(..., *(slice(None, None, -2) for _ in x.shape))]
    view[...] = x
    return view


def frozen(x: Array) -> Array:
    x = np.array(x)
    x.flags.writeable = False
    return x


def by_columns(x: Array) -> Array:
    return np.array(x, order="F")


@every_differentiable_case
@pytest.mark.parametrize("layout", [strided, frozen, by_columns], ids=lambda f: f.__name__)
def test_layout_in_memory_does_not_matter(subject, case, layout):
    s = sample(subject, case)
    results = []
    for xs in (s.xs, [layout(x) for x in s.xs]):
        leaves = [tg.Tensor(x, requires_grad=True) if x.dtype.kind == "f" else x for x in xs]
        before = [np.array(x) for x in xs]
        y = s.f(*leaves)
        y.backward(direction(np.random.default_rng(0), y))
        results.append([np.asarray(y.detach()), *(leaves[k].grad for k in s.floats)])
        assert all(np.array_equal(x, old) for x, old in zip(xs, before, strict=True)), "an input was written to"
    for plain, other in zip(*results, strict=True):
        assert (plain is None) == (other is None)
        if plain is not None:
            np.testing.assert_allclose(other, plain, rtol=1e-12, atol=1e-14)


@every_differentiable_case
def test_gradients_are_arrays_of_their_own(subject, case):
    s = sample(subject, case)
    leaves = [tg.tensor(x, requires_grad=True) for x in s.values()]
    y = s.of_floats(*leaves)
    y.backward(np.ones(y.shape))
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    assert all(type(g) is np.ndarray and g.flags.writeable for g in grads)
    for k, g in enumerate(grads):
        assert not any(np.shares_memory(g, other) for other in [*grads[:k], *(leaf.data for leaf in leaves)])


# -- declarations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)
def test_is_declared_in_full(subject):
    assert any(case.raises is None for case in subject.cases), "has no case"
    doc = subject.doc if isinstance(subject, Op) else subject.function.__doc__
    assert doc and doc.strip(), "has no docstring"
    assert subject.name in tg.ops.__all__ and hasattr(tg, subject.name), "is not exported"
    for case in subject.cases:
        floats = [k for k, given in enumerate(case.inputs) if isinstance(given, tuple)]
        for k in floats if isinstance(subject, Op) else ():
            argument = subject.arguments[0 if subject.variadic else k]
            assert argument in subject.rules, f"has no gradient rule for {argument}"


@pytest.mark.parametrize("lacking", [{"cases": ()}, {"doc": " "}, {"rules": {}}, {"name": "nobody"}], ids=str)
def test_what_is_not_declared_in_full_is_noticed(lacking):
    with pytest.raises(AssertionError):
        test_is_declared_in_full(replace(OPS["multiply"], **lacking))


def test_inner_operations_are_reached_through_others():
    assert list(INNER) == [name for name in OPS if name not in tg.ops.__all__]


def test_draws_are_smooth():
    """The tests of the tests: a kink between two differences is noticed."""
    x, v = np.array([1e-4]), np.array([1.0])
    assert not differences(lambda x: [np.abs(x)], [x], [v])[1]
    assert differences(lambda x: [np.abs(x)], [x + 0.1], [v])[1]
    assert is_variadic(tg.vstack) and not is_variadic(np.vstack)
