"""derive of an operation: the derivative as NumPy, LaTeX and sentences, checked against autograd before it is shown."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import refusal
from tinygrad_rnn import DeriveError, derive
from tinygrad_rnn.cli.main import main
from tinygrad_rnn.derive.operation import OperationDerivative
from tinygrad_rnn.engine.op import OPS

#: What is printed for ∂L/∂x, by operation.
GRADIENTS = {
    "tanh": "dx = dy * (1 - y**2)",
    "sigmoid": "dx = dy * y * (1 - y)",
    "relu": "dx = dy * (y > 0)",
    "leaky_relu": "dx = np.where(x > 0, dy, 0.01 * dy)",
    "exp": "dx = dy * y",
    "matmul": "dx = dy @ w.T",
    "mean": "dx = np.broadcast_to(dy / (N * D), (N, D))",
    "softmax": "dx = y * (dy - (dy * y).sum(axis=-1, keepdims=True))",
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_the_printed_derivative(name):
    assert GRADIENTS[name] in f"{derive(OPS[name].function)}"


def test_the_functions_are_those_of_the_source():
    functions = derive(tg.sigmoid).functions
    x, dy = np.random.default_rng(0).standard_normal((2, 3, 4))
    y, cache = functions["sigmoid_forward"](x)
    np.testing.assert_allclose(y, tg.sigmoid(x), rtol=1e-14)
    want = tg.vjp(tg.sigmoid, x)[1](dy)[0]
    np.testing.assert_allclose(functions["sigmoid_backward"](dy, cache)["dx"], want, rtol=1e-13)


def test_latex_and_sentences():
    tanh = derive(tg.tanh, form="latex")
    assert str(tanh) == tanh.latex and r"\frac{\partial y}{\partial x} &= 1 - y^2" in tanh.latex
    assert "∂y/∂x is `1 - y**2`, so `dx = dy * (1 - y**2)`." in tanh.steps
    assert "The backward pass reads `y`, so that is what the forward pass saves." in tanh.steps
    product = derive(tg.matmul)
    assert r"\partial" not in product.latex.partition("gradients")[0] and r"y &= x \, w" in product.latex
    assert "2. `x` reaches the loss only through y, so `dx = dy @ w.T`." in product.steps
    assert r"\operatorname{leaky\_relu}(x)" in derive(tg.leaky_relu).latex


REFUSED = [
    "sigmoid_of_difference",
    "power_below",
    "arctan_slope",
    "arctan2_slope",
    "where",
    "gaussian",
    "gelu_slope",
    "reshape",
    "squeeze",
    "broadcast_to",
    "pad",
    "getitem",
    "scatter",
    "embedding",
    "einsum",
    "sort",
    "concatenate",
    "stack",
    "assign",
    "binary_cross_entropy",
    "softmax_cross_entropy",
    "cross_entropy_gradient",
    "dropout",
    "astype",
]


@pytest.mark.parametrize("name", [name for name in OPS if name not in REFUSED])
def test_operations_with_a_formula_are_derived(name):
    derived = derive(OPS[name].function)
    assert derived.functions[f"{name}_backward"] and derived.latex and derived.steps


@pytest.mark.parametrize("name", REFUSED)
def test_operations_without_one_are_refused_by_name(name):
    with pytest.raises(DeriveError, match=f"^{name}: "):
        derive(OPS[name].function)


def test_what_is_said():
    text = "DeriveError: dropout: takes any number of inputs, or keeps what it drew, so its derivative is no formula"
    assert refusal(derive, tg.dropout) == text
    text = ("DeriveError: reshape: no formula tells its derivative at every shape: cannot reshape array of size 667 "
            "into shape (2,6)")  # fmt: skip
    assert refusal(derive, tg.reshape) == text
    text = "InvalidType: derive: tanh is an operation, loop should be left out: it has no steps"
    assert refusal(derive, tg.tanh, loop=True) == text


def test_a_wrong_formula_is_not_shown():
    derivative = OperationDerivative(OPS["tanh"])
    wrong = derivative.source().replace("1 - y**2", "1 + y**2")
    with pytest.raises(DeriveError, match="tanh: dx, as derived, differs from autograd; it is not shown"):
        derivative.executed(wrong)


def test_the_command_takes_the_name_of_an_operation(capsys):
    assert main(["derive", "tanh"]) == 0
    assert capsys.readouterr().out == derive(tg.tanh).source
    assert main(["derive", "sigmoid", "--form", "latex"]) == 0
    assert capsys.readouterr().out == derive(tg.sigmoid).latex + "\n"
    assert main(["derive", "tanh", "--loop"]) == 2
    assert "tanh is an operation, loop should be left out" in capsys.readouterr().err
