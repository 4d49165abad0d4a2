"""Parity with PyTorch: the learning rates of whole runs."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import optim

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

lr_scheduler = torch.optim.lr_scheduler
STEPS = 60

#: ours from our optimiser, PyTorch's from its own
PAIRS = {
    "constant": (optim.Constant, lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    "step": (lambda o: optim.StepDecay(o, 7, gamma=0.3), lambda o: lr_scheduler.StepLR(o, 7, gamma=0.3)),
    "cosine": (
        lambda o: optim.Cosine(o, STEPS, min_lr=0.01),
        lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.01),
    ),
    "warm-up": (
        lambda o: optim.WarmUp(o, 9, start=0.25),
        lambda o: lr_scheduler.LinearLR(o, start_factor=0.25, total_iters=9),
    ),
    "warm-up, cosine": (
        lambda o: optim.WarmUp(o, 9, optim.Cosine(o, STEPS - 9), start=0.25),
        lambda o: lr_scheduler.SequentialLR(o, [
            lr_scheduler.LinearLR(o, start_factor=0.25, total_iters=9), lr_scheduler.CosineAnnealingLR(o, STEPS - 9),
        ], milestones=[9]),
    ),
    "warm-up, step": (
        lambda o: optim.WarmUp(o, 5, optim.StepDecay(o, 10), start=0.5),
        lambda o: lr_scheduler.SequentialLR(o, [
            lr_scheduler.LinearLR(o, start_factor=0.5, total_iters=5), lr_scheduler.StepLR(o, 10),
        ], milestones=[5]),
    ),
    **{
        f"plateau {divide} {patience}": (
            lambda o, d=divide, p=patience: optim.ReduceOnPlateau(o, divide=d, patience=p, min_lr=1e-3),
            lambda o, d=divide, p=patience: lr_scheduler.ReduceLROnPlateau(
                o, factor=1 / d, patience=p, threshold=0, min_lr=1e-3, eps=0),
        )
        for divide in (4, 3) for patience in (0, 1, 3)
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_the_rates_of_a_run_are_those_of_pytorch(name):
    ours = optim.SGD([tg.tensor(np.ones(2), requires_grad=True)], lr=0.7)
    theirs = torch.optim.SGD([torch.ones(2, requires_grad=True)], lr=0.7)
    schedule, scheduler = PAIRS[name][0](ours), PAIRS[name][1](theirs)
    rng, rates = np.random.default_rng(0), []
    for step in range(STEPS + 1):
        rates.append((ours.lr, theirs.param_groups[0]["lr"]))
        metric = round(3.0 - 0.03 * step + rng.standard_normal(), 1)
        ours.step()
        theirs.step()
        schedule.step(*[metric] * schedule.needs_metric)
        scheduler.step(*[metric] * schedule.needs_metric)
        if step == STEPS - 1 and "cosine" in name:
            break  # PyTorch's is one step further at its end
    np.testing.assert_allclose(*zip(*rates), rtol=1e-12, atol=1e-15)
    assert len(dict(rates)) > 2 or name == "constant"
