"""A scan of one step, of which nothing is saved, runs a source without a loop, and equals the loop step by step."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import CELLS, sample
from helpers.odd_cells import ODD, odd_sample
from tinygrad_rnn.sequence.plan import cache, compiled, verify
from tinygrad_rnn.sequence.plan import run as plan_run

WRAPPED = [tg.projected(tg.lstm), tg.residual(tg.layer_norm_lstm)]


@pytest.fixture
def steps(monkeypatch):
    """The x of each step that is run by such a source."""
    seen, step = [], compiled.Plan.step
    monkeypatch.setattr(compiled.Plan, "step", lambda plan, x, *rest: seen.append(x) or step(plan, x, *rest))
    return seen


def generated(cell, s, mode="plan", rng=None):
    """Outputs and last states by a call for each step; each call gives memory of its own."""
    params, state, outputs = {**s.params, **({} if rng is None else {"rng": rng})}, s.state, []
    for t in range(s.xs.shape[1]):
        before = [s.xs, *state, *s.params.values()]
        with tg.no_grad():
            output, state = tg.scan(cell, s.xs[:, t : t + 1], state, params, mode=mode)
        arrays = [output, *state]
        pairs = [(array, other) for k, array in enumerate(arrays) for other in [*before, *arrays[:k]]]
        assert mode == "eager" or not any(np.shares_memory(*pair) for pair in pairs)
        outputs.append(output)
    return [np.concatenate(outputs, axis=1), *state]


@pytest.mark.parametrize("cell", [*CELLS, *ODD, *WRAPPED], ids=lambda cell: cell.name)
def test_steps_equal_the_loop(cell, steps):
    s = sample(cell, T=3) if cell in CELLS else odd_sample(cell, D=4, P=4)
    s.xs.flags.writeable = False
    cache.clear()
    ours = generated(cell, s)
    assert len(steps) == verify.STEPS + s.xs.shape[1]  # some to compare it with the loop
    for mine, theirs in zip(ours, generated(cell, s, "eager"), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-14)


def test_random_numbers_are_those_of_the_loop():
    cell = tg.zoneout(tg.lstm, h=0.3, c=0.5)
    s = sample(tg.lstm, T=4)
    ours, theirs = (generated(cell, s, mode, np.random.default_rng(3)) for mode in ("plan", "eager"))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)


def test_what_is_no_single_step_runs_the_loop(steps):
    s = sample(tg.gru, T=1)
    generated(tg.gru, s)
    assert steps
    del steps[:]
    params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
    tg.scan(tg.gru, s.xs, s.state, params, mode="plan")  # saves what the gradient needs
    tg.scan(tg.gru, s.xs, s.state, s.params, mode="plan", lengths=[0, 1, 1, 1, 1])
    tg.scan(tg.gru, sample(tg.gru, T=2).xs, s.state, s.params, mode="plan")
    assert not steps
    with tg.no_grad():
        tg.scan(tg.gru, s.xs, s.state, params, mode="plan", reverse=True, checkpoint=2)
    assert steps


def test_a_step_that_gives_other_numbers_is_refused(monkeypatch):
    monkeypatch.setattr(compiled.Plan, "step", lambda plan, x, state, *rest: [state[0][:, None] + 1, *state])
    cache.clear()
    s = sample(tg.rnn)
    with pytest.raises(tg.PlanError, match=r"^scan: rnn cannot be planned: the plan gives another output than the "):
        tg.scan(tg.rnn, s.xs, s.state, s.params, mode="plan")
    cache.clear()


@pytest.mark.parametrize("N", [1, plan_run.FEW])
def test_few_rows_are_not_compiled(N, steps, monkeypatch):
    pytest.importorskip("llvmlite")
    cache.clear()
    s = sample(tg.rnn, N=N, T=2)
    ours, theirs = (generated(tg.rnn, s, mode) for mode in ("jit", "eager"))
    assert bool(steps[verify.STEPS :]) == (N == 1)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-12)
