"""Parity with PyTorch: 20 steps of each optimiser, in float64 and float32, also with gradients that are missing."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

SHAPES = {"W": (5, 3), "b": (3,), "scale": (), "empty": (0, 2), "unused": (2,), "conv": (2, 3, 4)}
STEPS, LR = 20, 0.03

#: ours, and PyTorch's, made from the parameters
PAIRS = {
    "sgd": (lambda p: optim.SGD(p, lr=LR), lambda p: torch.optim.SGD(p, lr=LR)),
    "sgd, decay": (
        lambda p: optim.SGD(p, lr=LR, weight_decay=0.1), lambda p: torch.optim.SGD(p, lr=LR, weight_decay=0.1)
    ),
    "momentum": (
        lambda p: optim.SGD(p, lr=LR, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=LR, momentum=0.9, weight_decay=0.1),
    ),
    "nesterov": (
        lambda p: optim.SGD(p, lr=LR, momentum=0.8, nesterov=True, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=LR, momentum=0.8, nesterov=True, weight_decay=0.1),
    ),
    "asgd": (
        lambda p: optim.ASGD(p, lr=1 / 32, weight_decay=0.1),  # PyTorch's rounds lr to float32
        lambda p: torch.optim.ASGD(p, lr=1 / 32, lambd=0, t0=0, weight_decay=0.1),
    ),
    "adagrad": (
        lambda p: optim.AdaGrad(p, lr=LR, weight_decay=0.1),
        lambda p: torch.optim.Adagrad(p, lr=LR, weight_decay=0.1),
    ),
    "rmsprop": (
        lambda p: optim.RMSprop(p, lr=LR, rho=0.9, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, lr=LR, alpha=0.9, weight_decay=0.1),
    ),
    "rprop": (lambda p: optim.Rprop(p, lr=LR), lambda p: torch.optim.Rprop(p, lr=LR)),
    "rprop, small steps": (
        lambda p: optim.Rprop(p, lr=LR, etas=(0.3, 2.0), step_sizes=(0.02, 0.05)),
        lambda p: torch.optim.Rprop(p, lr=LR, etas=(0.3, 2.0), step_sizes=(0.02, 0.05)),
    ),
    "adam": (
        lambda p: optim.Adam(p, lr=LR, weight_decay=0.1), lambda p: torch.optim.Adam(p, lr=LR, weight_decay=0.1)
    ),
    "adamw": (
        lambda p: optim.AdamW(p, lr=LR, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=LR, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
    ),
    **{
        f"{name}, defaults": (getattr(optim, ours), getattr(torch.optim, theirs))
        for name, ours, theirs in (
            ("adagrad", "AdaGrad", "Adagrad"), ("rmsprop", "RMSprop", "RMSprop"), ("rprop", "Rprop", "Rprop"),
            ("adam", "Adam", "Adam"), ("adamw", "AdamW", "AdamW"),
        )
    },
}  # fmt: skip


def gradient(rng, step, name, dtype):
    """A gradient, or None: always for one parameter, at the first steps for another, now and then for the rest."""
    g = rng.standard_normal(SHAPES[name]).astype(dtype)
    missing = name == "unused" or (name == "b" and step < 3) or (step + len(name)) % 5 == 0
    return None if missing else g


def both(name, dtype, rates=None):
    """The parameters of ours and of PyTorch's after the steps, and both optimisers."""
    rng = np.random.default_rng(0)
    ours = {key: tg.tensor(rng.standard_normal(shape).astype(dtype), True) for key, shape in SHAPES.items()}
    theirs = {key: torch.tensor(tensor.numpy(), requires_grad=True) for key, tensor in ours.items()}
    frozen = torch.ones(3, requires_grad=False)
    our, their = PAIRS[name][0](ours), PAIRS[name][1]([*theirs.values(), frozen])
    for step in range(STEPS):
        if rates is not None:
            our.lr = their.param_groups[0]["lr"] = rates[step]
        for key, tensor in ours.items():
            g = gradient(rng, step, key, dtype)
            tensor.grad = g
            theirs[key].grad = None if g is None else torch.tensor(g)
        our.step()
        their.step()
    return ours, theirs, our, their


def assert_same(ours, theirs, dtype):
    for key, tensor in ours.items():
        tolerance = {"d": 1e-12, "f": 2e-6}[dtype]
        np.testing.assert_allclose(tensor.numpy(), theirs[key].detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["d", "f"])
@pytest.mark.parametrize("name", PAIRS)
def test_twenty_steps_are_those_of_pytorch(name, dtype):
    ours, theirs, _, _ = both(name, dtype)
    assert_same(ours, theirs, dtype)


@pytest.mark.parametrize("name", [name for name in PAIRS if "asgd" not in name])  # PyTorch's takes the lr of before
def test_the_learning_rate_is_that_of_the_step(name):
    rates = [LR / (1 + step) for step in range(STEPS)]
    ours, theirs, _, _ = both(name, "d", rates)
    assert_same(ours, theirs, "d")


def test_the_average_of_asgd_is_that_of_pytorch(monkeypatch):
    make = PAIRS["asgd"][0]

    def triggered(params):
        optimizer = make(params)
        optimizer.trigger()
        return optimizer

    monkeypatch.setitem(PAIRS, "asgd", (triggered, PAIRS["asgd"][1]))
    ours, theirs, our, their = both("asgd", "d")
    assert_same(ours, theirs, "d")
    with our.averaged():
        for key, tensor in ours.items():
            average = their.state[theirs[key]].get("ax", theirs[key]).detach().numpy()
            np.testing.assert_allclose(tensor.numpy(), average, rtol=1e-7, atol=1e-7)  # PyTorch's 1 / t is float32
    assert_same(ours, theirs, "d")
