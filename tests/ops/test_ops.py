"""What holds for every operation, at every case that it declares.  A new operation needs no test of its own."""

import copy
from copy import deepcopy
from dataclasses import replace
from inspect import Parameter, signature
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.op_checks import (
    check_adjoint,
    check_jvp,
    check_second_order,
    differences,
    direction,
    leaves_of,
    smooth_sample,
)
from helpers.op_references import reference, without_reference
from helpers.op_samples import INNER, Array, Sample, attributes, function, is_variadic, pairs, sample, subjects
from tinygrad_rnn.engine.op import OPS, Case, Composite, Op
from tinygrad_rnn.engine.shape import broadcast

CASES = [pytest.param(subject, case, id=label) for label, subject, case in pairs()]
RAISING = [pytest.param(subject, case, id=label) for label, subject, case in pairs(raising=True)]
every_case = pytest.mark.parametrize(("subject", "case"), CASES)
FLOATS = [param for param in CASES if sample(*param.values).floats]
every_differentiable_case = pytest.mark.parametrize(("subject", "case"), FLOATS)


def by_operation(subject: Op | Composite, case: Case, **axes: Any) -> list[Any]:
    """What the sample of a grid has all of: each operation with each value of each other axis."""
    return [(subject.name, *axes.values())]


some_cases = pytest.mark.sampled(every=12, by=by_operation)
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


def test_every_operation_has_an_independent_value():
    assert without_reference() == []


def test_an_operation_without_an_independent_value_is_noticed(monkeypatch):
    monkeypatch.setitem(OPS, "halved", replace(OPS["relu"], name="halved"))
    assert without_reference() == ["halved"]


@some_cases
@every_case
def test_value_is_that_of_numpy_or_of_a_formula(subject, case):
    s = smooth_sample(subject, case)
    expected = parts(reference(subject)(*s.xs, **attributes(subject, case)))
    for y, right in zip(call(s, s.xs), expected, strict=True):
        assert np.shape(y) == np.shape(right)
        np.testing.assert_allclose(y, right, rtol=1e-12, atol=1e-14)


@some_cases
@every_case
def test_tensors_give_what_arrays_give(subject, case):
    s = sample(subject, case)
    for y, of_arrays in zip(call(s, tensors(s.xs)), call(s, s.xs), strict=True):
        assert isinstance(y, tg.Tensor) == bool(s.floats) and not isinstance(of_arrays, tg.Tensor)
        assert np.asarray(tg.detach(y)).tobytes() == np.asarray(of_arrays).tobytes()
        assert y.shape == np.shape(of_arrays) and y.dtype == of_arrays.dtype


@some_cases
@every_case
def test_without_a_leaf_nothing_is_recorded(subject, case):
    s = sample(subject, case)
    assert not any(getattr(y, "requires_grad", False) for y in call(s, tensors(s.xs, requires_grad=False)))


@some_cases
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


@some_cases
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


@some_cases
@pytest.mark.parametrize(("subject", "case"), [p for p in FLOATS if hasattr(p.values[0], "rules")])
def test_rules_themselves_stay_in_float32(subject, case):
    """Not cast at the end: computed in float32 all along."""
    s = sample(subject, case)
    y = s.f(*tensors(s.as_dtype(np.float32)))
    for edge in y.node.edges:
        if edge is not None:
            _, rule, kept = edge
            assert subject.name in CASTS or rule.fn(np.ones(y.shape, np.float32), *kept).dtype == np.float32


SEVERAL = [p for p in FLOATS if len(sample(*p.values).floats) > 1 and hasattr(p.values[0], "rules")]


@pytest.mark.parametrize(("subject", "case"), SEVERAL)
def test_a_narrow_operand_takes_no_digits_from_the_gradients_of_others(subject, case):
    """A rule works in the dtype of the result: with float32 values in float64, every gradient is the same."""
    s = smooth_sample(subject, case)
    s.xs = s.as_dtype(np.float32)
    wide = s.as_dtype(np.float64)
    for k in s.floats:
        mixed = [wide[j] if j == k else x for j, x in enumerate(s.xs)]
        gradients = []
        for xs in (wide, mixed):
            leaf = tg.tensor(xs[k], requires_grad=True)
            y = s.f(*(leaf if j == k else x for j, x in enumerate(xs)))
            y.backward(np.random.default_rng(1).standard_normal(y.shape))
            gradients.append(leaf.grad)
        if y.dtype == np.float64:  # assignment gives the dtype of what is assigned to
            np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-12, atol=1e-14)


def test_a_loss_of_narrow_targets_is_as_accurate_as_its_dtype():
    x, t = np.linspace(-3, 3, 7), np.linspace(0.1, 0.9, 7, dtype=np.float32)
    for one, other in ((x, t), (x.astype(np.float32), t.astype(float))):
        right = tg.binary_cross_entropy(one.astype(float), other.astype(float))
        np.testing.assert_allclose(tg.binary_cross_entropy(one, other), right, rtol=1e-14)


BINARY = [spec for spec in subjects() if isinstance(spec, Op) and spec.shape is broadcast]
BINARY = [spec for spec in BINARY if len(spec.arguments) == 2]


@pytest.mark.parametrize("spec", BINARY, ids=lambda spec: spec.name)
@pytest.mark.parametrize("scalar", [1, 1.5, np.float32(1.5), tg.tensor(np.float32(1.5))], ids=repr)
def test_a_number_never_widens(spec, scalar):
    x = tg.tensor(np.full((2, 3), 0.7, np.float32), requires_grad=True)
    for y in (function(spec)(x, scalar), function(spec)(scalar, x)):
        assert y.dtype == np.float32
        for _, rule, kept in filter(None, y.node.edges):
            assert rule.fn(np.ones((2, 3), np.float32), *kept).dtype == np.float32


# -- memory ----------------------------------------------------------------------------------------------------------


def written_over(x: Any) -> None:
    """Other values in the same memory."""
    if isinstance(x, np.ndarray):
        x[...] = x[::-1].copy() if x.ndim and x.dtype.kind != "f" else ~x if x.dtype == bool else x * 0
    elif isinstance(x, tuple):
        for part in x:
            written_over(part)


@some_cases
@every_differentiable_case
def test_what_user_code_holds_may_be_written_to_after_the_forward_pass(subject, case):
    """Plain operands, arrays among the attributes, and the array that ``.data`` handed out before."""
    s = sample(subject, case)
    for k in s.floats:
        grads = []
        for write in (False, True):
            xs = [np.array(x) for x in s.xs]
            leaf = tg.tensor(s.xs[k], requires_grad=True)
            own = Sample(subject, replace(case, attrs=copy.deepcopy(case.attrs)), xs, s.floats)
            handed = leaf.data
            y = own.f(*[leaf if j == k else x for j, x in enumerate(xs)])
            if write:
                for x in (handed, *xs, *own.case.attrs.values()):
                    written_over(x)
            y.backward(np.ones(y.shape))
            grads.append(np.zeros(leaf.shape) if leaf.grad is None else leaf.grad)
        np.testing.assert_array_equal(*grads)


# -- gradients -------------------------------------------------------------------------------------------------------


@some_cases
@every_differentiable_case
@pytest.mark.parametrize("scale", [1.0, 1e-12])
def test_vjp_is_the_adjoint(subject, case, scale):
    check_adjoint(smooth_sample(subject, case), scale)


@some_cases
@every_differentiable_case
def test_jvp_is_the_derivative_in_a_direction(subject, case):
    check_jvp(smooth_sample(subject, case))


@some_cases
@every_differentiable_case
def test_second_order_is_the_adjoint_of_the_gradient(subject, case):
    check_second_order(smooth_sample(subject, case))


# -- operands and attributes that are no arrays ----------------------------------------------------------------------


def joins(subject: Any) -> bool:
    """Does it take a list of arrays?"""
    f = subject.forward if isinstance(subject, Op) else subject.function
    return not isinstance(f, np.ufunc) and next(iter(signature(f).parameters.values())).kind is Parameter.VAR_POSITIONAL


SEVERAL = [p for p in FLOATS if len(p.values[1].inputs) > 1]


@pytest.mark.parametrize(("subject", "case"), SEVERAL)
def test_a_list_is_what_its_array_is(subject, case):
    """Also in the backward pass: each input in turn is a list of Python numbers."""
    s = sample(subject, case)
    for k in [k for k, x in enumerate(s.xs) if x.size]:  # an empty list has no shape
        results = []
        for other in (s.xs[k], s.xs[k].tolist()):
            leaves = {j: tg.tensor(s.xs[j], requires_grad=True) for j in s.floats if j != k}
            xs = [other if j == k else leaves.get(j, x) for j, x in enumerate(s.xs)]
            y = s.f(xs) if joins(subject) else s.f(*xs)
            if leaves:
                y.backward(direction(np.random.default_rng(0), y))
            results.append([tg.detach(y), *(leaf.grad for leaf in leaves.values())])
        for of_array, of_list in zip(*results, strict=True):
            np.testing.assert_array_equal(of_list, of_array)


def holds_array(attribute: Any) -> bool:
    parts = attribute if isinstance(attribute, tuple) else [attribute]
    return any(isinstance(part, (np.ndarray, list)) for part in parts)


HOLDING = [p for p in FLOATS if isinstance(p.values[0], Op) and any(map(holds_array, p.values[1].attrs.values()))]


def overwritten(attribute: Any) -> None:
    """The same object with other contents."""
    if isinstance(attribute, tuple):
        for part in attribute:
            overwritten(part)
    elif isinstance(attribute, list):
        attribute.clear()
    elif isinstance(attribute, np.ndarray):
        attribute[...] = 0


@pytest.mark.parametrize(("subject", "case"), HOLDING)
def test_an_attribute_may_be_overwritten_after_the_call(subject, case):
    """The node keeps what it was called with."""
    results = []
    for change in (lambda attribute: None, overwritten):
        s = sample(subject, replace(case, attrs=deepcopy(case.attrs)))
        leaves = leaves_of(s)
        y = s.of_floats(*leaves)
        for attribute in s.case.attrs.values():
            change(attribute)
        for name, kept in case.attrs.items():
            np.testing.assert_equal(parts_of(y.node.attrs[name]), parts_of(kept))
        y.backward(direction(np.random.default_rng(0), y))
        results.append([leaf.grad for leaf in leaves])
    np.testing.assert_equal(*results)


def parts_of(attribute: Any) -> list[Any]:
    return list(attribute) if isinstance(attribute, tuple) else [attribute]


CONFIGURED = [p for p in FLOATS if isinstance(p.values[0], Op) and p.values[1].attrs]


@pytest.mark.parametrize(("subject", "case"), CONFIGURED)
def test_an_attribute_that_needs_a_gradient_is_refused(subject, case):
    """No rule sends it one."""
    s = sample(subject, case)
    for name in case.attrs:
        attrs = {**attributes(subject, case), name: tg.tensor(0.5, requires_grad=True)}
        with pytest.raises(TypeError) as caught:
            function(subject)(*tensors(s.xs), **attrs)
        why = f"{name} is a Tensor that needs a gradient, which only positional arguments have"
        assert f"{subject.name}: {why}; {name}.detach() is a constant; " in str(caught.value)


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


@some_cases
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


@some_cases
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
