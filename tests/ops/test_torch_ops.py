"""Parity with PyTorch: values and gradients, float64, of the activations, reductions and losses around the cells."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import assert_same

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

F = torch.nn.functional


def normal_inputs(*shapes):
    rng = np.random.default_rng(5)
    return [rng.normal(0, 2, shape) for shape in shapes]


def assert_parity(ours, theirs, *arrays):
    """Values and gradients of a random weighted sum, to 1e-12."""
    tensors = [torch.tensor(one, requires_grad=True) for one in arrays]
    y = theirs(*tensors)
    w = np.random.default_rng(6).normal(size=tuple(y.shape))
    (y * torch.tensor(w)).sum().backward()
    np.testing.assert_allclose(ours(*arrays), y.detach().numpy(), rtol=1e-12, atol=1e-12)
    grads = tg.grad(lambda *xs: tg.sum(ours(*xs) * w), argnums=tuple(range(len(arrays))))(*arrays)
    assert_same(grads, tuple(one.grad for one in tensors), rtol=1e-12, atol=1e-12)


UNARY = {
    "gelu": (tg.gelu, F.gelu),
    "softplus": (tg.softplus, F.softplus),
    "hard_sigmoid": (tg.hard_sigmoid, lambda x: torch.clamp(x / 6 + 0.5, 0, 1)),
    "silu": (tg.silu, F.silu),
    "elu": (tg.elu, F.elu),
    "elu, alpha": (lambda x: tg.elu(x, alpha=0.3), lambda x: F.elu(x, alpha=0.3)),
    "leaky_relu": (tg.leaky_relu, F.leaky_relu),
    "leaky_relu, slope": (lambda x: tg.leaky_relu(x, slope=0.2), lambda x: F.leaky_relu(x, 0.2)),
    "relu": (tg.relu, F.relu),
    "sigmoid": (tg.sigmoid, torch.sigmoid),
    "tanh": (tg.tanh, torch.tanh),
    "erf": (tg.erf, torch.erf),
    "softmax": (tg.softmax, lambda x: F.softmax(x, dim=-1)),
    "softmax, axis": (lambda x: tg.softmax(x, axis=0), lambda x: F.softmax(x, dim=0)),
    "log_softmax": (tg.log_softmax, lambda x: F.log_softmax(x, dim=-1)),
    "std": (lambda x: tg.std(x, axis=1), lambda x: torch.std(x, dim=1, correction=0)),
    "std, ddof": (lambda x: tg.std(x, axis=1, ddof=1), lambda x: torch.std(x, dim=1)),
    "var": (lambda x: tg.var(x, axis=0), lambda x: torch.var(x, dim=0, correction=0)),
    "var, ddof": (lambda x: tg.var(x, ddof=1), torch.var),
    "logsumexp": (lambda x: tg.logsumexp(x, axis=1), lambda x: torch.logsumexp(x, dim=1)),
    "logsumexp, keepdims": (
        lambda x: tg.logsumexp(x, axis=0, keepdims=True), lambda x: torch.logsumexp(x, dim=0, keepdim=True)),
}  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs"), UNARY.values(), ids=UNARY)
def test_functions(ours, theirs):
    assert_parity(ours, theirs, *normal_inputs((5, 7)))


def test_hard_sigmoid_is_the_one_of_pytorch():
    """Values only: for float64, its own backward multiplies by 1/6 in float32, which is off by 3e-8."""
    (x,) = normal_inputs((5, 7))
    np.testing.assert_allclose(tg.hard_sigmoid(x), F.hardsigmoid(torch.tensor(x)).numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("labels", [[3, 0, 6, 2, 2], [3, -1, 6, -1, 2], [-1, -1, -1, -1, 4]], ids=str)
def test_softmax_cross_entropy(labels):
    """The mean is over the rows that count."""
    labels = np.array(labels)
    assert_parity(
        lambda x: tg.softmax_cross_entropy(x, labels),
        lambda x: F.cross_entropy(x, torch.tensor(labels), ignore_index=-1),
        *normal_inputs((5, 7)),
    )


def test_softmax_cross_entropy_over_time():
    labels = np.random.default_rng(7).integers(-1, 7, (4, 5))
    assert_parity(
        lambda x: tg.softmax_cross_entropy(x, labels),
        lambda x: F.cross_entropy(x.reshape(-1, 7), torch.tensor(labels).reshape(-1), ignore_index=-1),
        *normal_inputs((4, 5, 7)),
    )


@pytest.mark.parametrize("scale", [1.0, 50.0])
def test_binary_cross_entropy(scale):
    x, t = normal_inputs((5, 7), (5, 7))
    assert_parity(tg.binary_cross_entropy, F.binary_cross_entropy_with_logits, scale * x, 1 / (1 + np.exp(-t)))


def test_mean_squared_error():
    assert_parity(tg.mean_squared_error, F.mse_loss, *normal_inputs((5, 7), (5, 7)))
