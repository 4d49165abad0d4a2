"""Formulas are read off the rules: they give the rules' numbers, and read as a textbook has them."""

from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.formula_rules import every_rule, fresh, numbers
from helpers.op_samples import sample
from tinygrad_rnn.engine.op import OPS, OpRule
from tinygrad_rnn.formula import (
    Constant,
    Expr,
    Leaf,
    along,
    evaluate,
    known,
    local_derivative,
    postorder,
    sample_argument,
    simplified,
    text,
)  # fmt: skip


@pytest.mark.sampled(every=4, by=lambda spec, case, k: [(spec.name, k)])
@pytest.mark.parametrize(("spec", "case", "k"), list(every_rule()))
def test_a_formula_gives_the_numbers_of_the_rule(spec, case, k):
    e = local_derivative(spec, k, sample(spec, case).xs, case.attrs)
    xs = fresh(spec, case)
    dy = np.random.default_rng(5).standard_normal(np.shape(known(spec, xs, case.attrs)["y"]))
    expected, values = numbers(spec, k, xs, case.attrs, dy)
    for form in (e, simplified(e)):
        g = evaluate(form, values)
        assert np.shape(g) == expected.shape == form.shape
        np.testing.assert_allclose(np.asarray(g, float), np.asarray(expected, float), rtol=1e-12, atol=1e-13)
    again = local_derivative(spec, k, sample(spec, case).xs, case.attrs)
    assert text(e) == text(again) != "" and along(e) == along(again) != ""
    assert " object at " not in text(e)


def formulas(spec, case, k):
    """The formulas of one rule at ordinary values, and where all values are 0 or huge."""
    xs = sample(spec, case).xs
    for number in (None, 0.0, 1e300):
        other = [x if number is None or x.dtype.kind != "f" else np.full(x.shape, number) for x in xs]
        if spec.name == "binary_cross_entropy":  # refuses other targets
            other[1] = xs[1]
        with np.errstate(all="ignore"):
            yield str(text(local_derivative(spec, k, other, case.attrs)))


def test_a_rule_that_branches_on_values_says_so():
    """The formula of all others is one and the same, whatever the values are."""
    several = [spec.name for spec, case, k in map(attrgetter("values"), every_rule())
               if len(dict.fromkeys(formulas(spec, case, k))) > 1]  # fmt: skip
    assert [*dict.fromkeys(several)] == [name for name, spec in OPS.items() if spec.traits.branches]


def shown(name, k, *shapes, **attrs):
    e = local_derivative(OPS[name], k, shapes, attrs)
    return text(e), along(e)


A, B = (3, 5), (5,)
EXACT = {
    ("tanh", 0, A): ("dy ⊙ (1 − y²)", "⊙ (1 − y²)"),
    ("sigmoid", 0, A): ("dy ⊙ y ⊙ (1 − y)", "⊙ y ⊙ (1 − y)"),
    ("relu", 0, A): ("dy ⊙ [y > 0]", "⊙ [y > 0]"),
    ("multiply", 0, A, A): ("dy ⊙ w", "⊙ w"),
    ("multiply", 1, A, B): ("Σ over N of dy ⊙ x", "⊙ x, Σ over N"),
    ("hadamard", 1, A, A): ("dy ⊙ x", "⊙ x"),
    ("add", 0, A, B): ("dy", "="),
    ("add", 1, A, B): ("Σ over N of dy", "Σ over N"),
    ("add", 1, A, (1, 5)): ("Σ over N of dy", "Σ over N"),
    ("add", 1, A, ()): ("Σ over all of dy", "Σ over all"),
    ("add", 1, (2, 3, 5), (3, 1)): ("Σ over N, columns of dy as (3, 1)", "Σ over N, columns, as (3, 1)"),
    ("subtract", 1, A, A): ("−dy", "−"),
    ("subtract", 1, A, B): ("−Σ over N of dy", "−, Σ over N"),
    ("negative", 0, A): ("−dy", "−"),
    ("divide", 0, A, A): ("dy / w", "/ w"),
    ("divide", 1, A, A): ("−dy ⊙ y / w", "⊙ (−y) / w"),
    ("matmul", 0, A, (5, 4)): ("dy @ wᵀ", "@ wᵀ"),
    ("matmul", 1, A, (5, 4)): ("xᵀ @ dy", "xᵀ @"),
    ("matmul", 0, (9, 20), (20, 4)): ("dy @ wᵀ", "@ wᵀ"),  # which the rule works out as (w @ dyᵀ)ᵀ
    ("affine", 0, A, (5, 4), (4,)): ("dy @ wᵀ", "@ wᵀ"),
    ("affine", 1, A, (5, 4), (4,)): ("xᵀ @ dy", "xᵀ @"),
    ("affine", 2, A, (5, 4), (4,)): ("Σ over N of dy", "Σ over N"),
    ("exp", 0, A): ("dy ⊙ y", "⊙ y"),
    ("log", 0, A): ("dy / x", "/ x"),
    ("sqrt", 0, A): ("dy / (2·y)", "/ (2·y)"),
    ("square", 0, A): ("dy ⊙ 2·x", "⊙ 2·x"),
    ("power", 0, A, 3): ("dy ⊙ 3·x²", "⊙ 3·x²"),
    ("arccos", 0, A): ("−dy / √(1 − x²)", "·(−1) / √(1 − x²)"),
    ("cos", 0, A): ("−dy ⊙ sin(x)", "⊙ (−sin(x))"),
    ("abs", 0, A): ("dy ⊙ sign(x)", "⊙ sign(x)"),
    ("maximum", 0, A, A): ("dy ⊙ ([x > w] + 0.5·[x = w])", "⊙ ([x > w] + 0.5·[x = w])"),
    ("softmax", 0, A): ("y ⊙ (dy − Σ over columns of dy ⊙ y)",) * 2,
    ("sum", 0, A): ("dy spread over all", "spread over all"),
    ("softplus", 0, A): ("dy ⊙ σ(x)", "⊙ σ(x)"),
    ("arctan", 0, A): ("dy / (1 + x²)", "/ (1 + x²)"),
    ("power", 0, A, 0.3): ("dy ⊙ 0.3·x^(−0.7)", "⊙ 0.3·x^(−0.7)"),
    ("logaddexp", 0, A, A): ("dy ⊙ σ(x − w)", "⊙ σ(x − w)"),
    ("logaddexp2", 0, A, A): ("dy ⊙ σ(0.6931·(x − w))", "⊙ σ(0.6931·(x − w))"),
    ("erf", 0, A): ("dy ⊙ 1.128·exp(−x²)", "⊙ 1.128·exp(−x²)"),
    ("gelu", 0, A): ("dy ⊙ (0.5·erfc(−0.7071·x) + 0.3989·x ⊙ exp(−0.5·x²))",
                     "⊙ (0.5·erfc(−0.7071·x) + 0.3989·x ⊙ exp(−0.5·x²))"),
    ("mean_squared_error", 0, A, A): ("dy·2 / 15 ⊙ (x − t)", "·2 / 15 ⊙ (x − t)"),
    ("mean_squared_error", 0, (3, 4), (3, 4)): ("dy / 6 ⊙ (x − t)", "/ 6 ⊙ (x − t)"),
}


@pytest.mark.parametrize("call", EXACT, ids=str)
def test_text(call):
    name, k, *shapes = call
    assert shown(name, k, *shapes) == EXACT[call]


C = np.array([[True], [False], [True]])
WITH_ATTRIBUTES = [
    (shown("getitem", 0, A, index=(slice(None), slice(0, 2))), "dy into [:, 0:2]", "into [:, 0:2]"),
    (shown("getitem", 0, A, index=(..., slice(2, 4))), "dy into [..., 2:4]", "into [..., 2:4]"),
    (shown("concatenate", 1, (2, 3), (2, 2), axis=1), "dy[:, 3:5]", "[:, 3:5]"),
    (shown("stack", 1, (3,), (3,)), "dy[1]", "[1]"),
    (shown("sum", 0, A, axis=0), "dy spread over N", "spread over N"),
    (shown("mean", 0, A, axis=-1), "(dy / 5) spread over columns", "/ 5, spread over columns"),
    (shown("transpose", 0, A), "dyᵀ", "ᵀ"),
    (shown("embedding", 0, (7, 3), np.array([1, 4, 4])), "dy into [ids]", "into [ids]"),
    (shown("where", 1, C, A, A), "dy ⊙ [c]", "⊙ [c]"),
    (shown("where", 2, C, A, A), "dy ⊙ [not c]", "⊙ [not c]"),
    (shown("leaky_relu", 0, A), "dy ⊙ (1 if x > 0 else 0.01)", "⊙ (1 if x > 0 else 0.01)"),
    (shown("dropout", 0, A, rate=0.5), "dy ⊙ mask", "⊙ mask"),
    (shown("max", 0, A, axis=1, keepdims=True),
     "dy ⊙ [x = y] / maximum(Σ over columns of [x = y], 1)", "⊙ [x = y] / maximum(Σ over columns of [x = y], 1)"),
    (shown("einsum", 0, (2, 3), (3, 4), subscripts="ij,jk->ik"),
     "einsum[ik,jk → ij](dy, xs[1])", "einsum[ik,jk → ij](·, xs[1])"),
]  # fmt: skip


@pytest.mark.parametrize(("made", "whole", "box"), WITH_ATTRIBUTES)
def test_text_with_attributes(made, whole, box):
    assert made == (whole, box)


def test_names():
    tanh = local_derivative(OPS["tanh"], 0, [A], {})
    assert text(tanh, {"y": "f", "dy": "df"}) == "df ⊙ (1 − f²)"
    assert along(tanh, {"y": "tanh"}) == "⊙ (1 − tanh²)"
    assert along(tanh, {"y": "h_new"}) == "⊙ (1 − h_new²)"
    assert along(local_derivative(OPS["matmul"], 0, [A, (5, 4)], {}), {"w": "Wh"}) == "@ Whᵀ"
    assert along(local_derivative(OPS["add"], 1, [(2, 3, 5), B], {}), {"axis 1": "T"}) == "Σ over N, T"


# -- it comes from the rule --------------------------------------------------------------------------------------------


def planted(name, k, **rules):
    spec = replace(OPS[name], rules={})
    spec.rules.update({argument: OpRule(spec, argument, fn) for argument, fn in rules.items()})
    return along(local_derivative(spec, k, [A] * len(spec.arguments), {}))


def test_a_wrong_rule_has_a_wrong_formula():
    assert planted("tanh", 0, x=lambda dy, y: dy * (1 + y * y)) == "⊙ (1 + y²)"
    assert planted("tanh", 0, x=lambda dy, x: dy * (1 - x * x)) == "⊙ (1 − x²)"
    assert planted("multiply", 1, w=lambda dy, w: dy * w) == "⊙ w"
    assert planted("subtract", 1, w=lambda dy: dy) == "="
    assert planted("exp", 0, x=lambda dy, y: dy * (y > 1)) == "⊙ [y > 1]"


def test_an_input_without_a_rule_is_refused():
    with pytest.raises(TypeError, match="embedding has no gradient rule for ids"):
        local_derivative(OPS["embedding"], 1, [(5, 3), np.array([1])], {})


def test_a_recorded_operation_is_enough():
    """Nodes stand for arrays of their shape; labels are zeros, and a number is the number."""
    x, ids = tg.tensor(np.ones((3, 2), np.float32), requires_grad=True), np.zeros(4, int)
    y = tg.embedding(x, ids) ** 2
    assert text(local_derivative(y.node.op, 0, [y.node.parents[0], 2], y.node.attrs)) == "dy ⊙ 2·x"
    rng = np.random.default_rng(0)
    assert sample_argument(x.node, (0, 1), rng).dtype == np.float32
    assert sample_argument(np.zeros(3, int), (0, 1), rng).tolist() == [0, 0, 0]


def test_nothing_of_the_caller_is_changed():
    rng, x = np.random.default_rng(1), np.full(A, 0.5)
    x.flags.writeable = False
    before = rng.bit_generator.state
    local_derivative(OPS["dropout"], 0, [x], {"rate": 0.5, "rng": rng})
    assert rng.bit_generator.state == before
    with tg.no_grad():
        e = local_derivative(OPS["getitem"], 0, [x], {"index": 1})
        assert not (tg.tensor(x) * 2).requires_grad
    assert text(e) == "dy into [1]"


# -- trees -------------------------------------------------------------------------------------------------------------


def test_a_formula_can_be_differentiated():
    e = local_derivative(OPS["tanh"], 0, [A], {})
    y = tg.tensor(np.full(A, 0.5), requires_grad=True)
    evaluate(e, {"dy": np.ones(A), "y": y}).backward(np.ones(A))
    np.testing.assert_allclose(y.grad, -1)


def E(op, *args):
    return Expr(op, args, {}, A)


x, y, dy, TWO = Leaf("x", A), Leaf("y", A), Leaf("dy", A), Constant(2)
WRITTEN = {
    "x − (y − dy)": E("subtract", x, E("subtract", y, dy)),
    "x − y − dy": E("subtract", E("subtract", x, y), dy),
    "x + y + dy": E("add", x, E("add", y, dy)),
    "x / (y ⊙ dy)": E("divide", x, E("multiply", y, dy)),
    "x / (y / dy)": E("divide", x, E("divide", y, dy)),
    "x ⊙ y / dy": E("multiply", x, E("divide", y, dy)),
    "(x + y) ⊙ dy": E("multiply", E("add", x, y), dy),
    "(x ⊙ y) @ dy": E("matmul", E("multiply", x, y), dy),
    "x ⊙ (y @ dy)": E("multiply", x, E("matmul", y, dy)),
    "(x + y)²": E("square", E("add", x, y)),
    "√(x²)": E("sqrt", E("square", x)),
    "(√x)²": E("square", E("sqrt", x)),
    "−(x + y)": E("negative", E("add", x, y)),
    "−x²": E("multiply", E("negative", x), x),
    "x": E("negative", E("negative", x)),
    "x − y": E("add", x, E("negative", y)),
    "y − x": E("add", E("negative", x), y),
    "x + y": E("subtract", x, E("negative", y)),
    "2·x": E("multiply", x, TWO),
    "dy·2": E("multiply", dy, TWO),
    "x^y": E("power", x, y),
    "x^(y − 2)": E("power", x, E("subtract", y, TWO)),
    "x³": E("power", x, Constant(3)),
    "exp(x ⊙ y)": E("exp", E("multiply", x, y)),
    "logaddexp(x, y)": E("logaddexp", x, y),
    "|x|": E("abs", x),
    "x ⊙ [y > 2 and y < dy]": E("multiply", x, E("logical_and", E("greater", y, TWO), E("less", y, dy))),
}


@pytest.mark.parametrize("right", WRITTEN)
def test_parentheses(right):
    assert text(WRITTEN[right]) == right


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("op", ["add", "tanh", "negative", "multiply", "matmul"])
def test_no_recursion(op):
    e = Leaf("dy", (2, 2))
    for _ in range(5000):
        e = Expr(op, (e, Leaf("x", (2, 2)))[: len(OPS[op].arguments)], {}, (2, 2))
    assert len(postorder(e)) >= 5001
    assert text(e) and along(e) and np.shape(evaluate(e, {"dy": np.eye(2), "x": np.eye(2)})) == (2, 2)
    assert repr(e).startswith(f"<{op} of ")


def test_a_shared_part_is_worked_out_once():
    e = Leaf("x")
    for _ in range(60):
        e = Expr("add", (e, e))
    assert evaluate(e, {"x": 1.0}) == 2.0**60
