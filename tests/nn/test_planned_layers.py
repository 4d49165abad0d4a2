"""Layers of layers in planned loops equal those of eager loops: outputs, states, all gradients, the masks drawn."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

N, T, D, H = 4, 5, 3, 4
LAYERS = {
    "recurrent": lambda rng, **options: nn.Recurrent("gru", D=D, H=H, rng=rng, **options),
    "reverse": lambda rng, **options: nn.Recurrent("lstm", D=D, H=H, rng=rng, reverse=True, **options),
    "stateful": lambda rng, **options: nn.Recurrent("lstm", D=D, H=H, rng=rng, stateful=True, **options),
    "checkpoint": lambda rng, **options: nn.Recurrent("lstm", D=D, H=H, rng=rng, checkpoint=2, **options),
    "bidirectional": lambda rng, **options: nn.Bidirectional("lstm", D=D, H=H, rng=rng, **options),
    "stacked": lambda rng, **options: nn.Stacked("lstm", [4, 3, 2], D=D, rng=rng, **options),
    "stacked both ways, dropout": lambda rng, **options: nn.Stacked(
        "gru", layers=2, D=D, H=H, rng=rng, bidirectional=True, dropout=0.4, **options),
    "residual, variational": lambda rng, **options: nn.Stacked(
        tg.variational_dropout(tg.lstm, x=0.2, h=0.3), layers=3, D=H, H=H, rng=rng, residual=True, dropout=0.2,
        variational=True, **options),
    "zoneout": lambda rng, **options: nn.Stacked(
        tg.zoneout(tg.lstm, h=0.2, c=0.3), layers=2, D=D, H=H, rng=rng, **options),
}  # fmt: skip


def run(make, mode, lengths, training):
    """Two calls, so that the second draws other masks, or goes on from the state."""
    layer = make(np.random.default_rng(0), mode=mode, dtype=np.float64).train(training)
    width = H if "Stacked" in type(layer).__name__ and layer.residual else D
    rng = np.random.default_rng(1)
    xs = tg.tensor(rng.standard_normal((N, T, width)), requires_grad=True)
    results = []
    for _ in range(2):
        hs, state = layer(xs, lengths=lengths)
        loss = tg.sum(hs * rng.standard_normal(hs.shape)) + sum(tg.sum(part**2) for part in flat(state))
        loss.backward()
        results += [hs.numpy(), *(part.numpy() for part in flat(state))]
    return [*results, xs.grad, *(parameter.grad for parameter in layer.params.values())]


def flat(state):
    return [part for inner in state for part in flat(inner)] if isinstance(state, tuple) else [state]


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize("lengths", [None, [5, 2, 0, 4]], ids=["whole", "lengths"])
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_planned_layer_equals_an_eager_one(make, lengths):
    for training in (True, False):
        planned, eager = (run(make, mode, lengths, training) for mode in ("plan", "eager"))
        assert len(planned) == len(eager)
        for ours, theirs in zip(planned, eager):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)
