"""Zoneout and variational dropout: what is dropped, how often, and for how long a draw holds."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers import scalar_cells as scalar
from helpers.cell_samples import CELLS, H, assert_same, leaves, refusal, sample, scanned
from tinygrad_rnn import Param, cell
from tinygrad_rnn.cells.masks import draw_masks
from tinygrad_rnn.cells.wrappers import variational_dropout, zoneout

each_cell = pytest.mark.parametrize("one", CELLS, ids=lambda one: one.name)


# -- zoneout ---------------------------------------------------------------------------------------------------------


@each_cell
def test_zoneout_keeps_or_takes_each_unit(one):
    """Every unit is its old value or the cell's new one, in about the asked proportion; nothing between."""
    s = sample(one, N=400)
    old, x = s.state, s.xs[:, 0]
    new = one(x, *old, **s.params)
    new = new if isinstance(new, tuple) else (new,)
    rates = dict(zip(one.states, (0.3, 0.05)))
    zoned = zoneout(one, **rates)(x, *old, **s.params, rng=np.random.default_rng(0))
    for name, a, b, z in zip(one.states, old, new, zoned if isinstance(zoned, tuple) else (zoned,), strict=True):
        kept = z == a
        np.testing.assert_allclose(z[~kept], b[~kept], rtol=1e-13, atol=1e-13)
        assert kept.mean() == pytest.approx(rates[name], abs=0.03)


def test_zoneout_is_its_mean_in_evaluation():
    """Without rng, a step is the average of many steps with one."""
    s = sample(tg.lstm, N=2)
    one, rng = zoneout(tg.lstm, h=0.3, c=0.1), np.random.default_rng(0)
    drawn = [one(s.xs[:, 0], *s.state, **s.params, rng=rng) for _ in range(4000)]
    for k, mean in enumerate(one(s.xs[:, 0], *s.state, **s.params)):
        np.testing.assert_allclose(np.mean([new[k] for new in drawn], axis=0), mean, atol=0.05)
    new = tg.lstm(s.xs[:, 0], *s.state, **s.params)
    for rate, old, mine, found in zip((0.3, 0.1), s.state, new, one(s.xs[:, 0], *s.state, **s.params), strict=True):
        np.testing.assert_allclose(found, rate * old + (1 - rate) * mine, rtol=1e-14)


def test_zoneout_draws_anew_at_every_step_and_call():
    """Pitfall 16: a draw that holds over time, or over calls, is another method."""
    s = sample(tg.rnn, N=50, T=3)
    still = {name: np.zeros_like(one) for name, one in s.params.items()}  # new h = 0, so kept units are the rest
    one, rng = zoneout(tg.rnn, h=0.5), np.random.default_rng(0)
    hs, _ = tg.scan(one, s.xs, np.ones((50, H)), {**still, "rng": rng})
    assert [step.mean() for step in hs.swapaxes(0, 1)] == pytest.approx([0.5, 0.25, 0.125], abs=0.08)
    again, _ = tg.scan(one, s.xs, np.ones((50, H)), {**still, "rng": rng})
    assert (again != hs).any()
    repeated, _ = tg.scan(one, s.xs, np.ones((50, H)), {**still, "rng": np.random.default_rng(0)})
    assert_same(repeated, hs)


def test_zoneout_of_some_states_leaves_the_others():
    s = sample(tg.lstm)
    h, c = zoneout(tg.lstm, c=0.5)(s.xs[:, 0], *s.state, **s.params)
    new_h, new_c = tg.lstm(s.xs[:, 0], *s.state, **s.params)
    assert_same(h, new_h)
    assert_same(c, (s.state[1] + new_c) / 2, rtol=1e-13)


def test_zoneout_shares_the_generator_with_the_cell_inside():
    @cell
    def noisy(x, h, *, W=Param("D H"), rng=None):
        return tg.tanh(x @ W) + (0 if rng is None else rng.normal(size=h.shape))

    s = sample(noisy)
    one = zoneout(noisy, h=0.0)
    same = [each(s.xs[:, 0], *s.state, **s.params, rng=np.random.default_rng(0)) for each in (noisy, one)]
    assert_same(*same, rtol=1e-12)


# -- variational dropout ---------------------------------------------------------------------------------------------


@each_cell
def test_masked_matrices_equal_matrices_without_rows(one):
    """For one row of the batch, a mask is a diagonal matrix: (a ⊙ m) W = a (diag(m) W), whatever else a is used for."""
    s, wrapped = sample(one, N=1), variational_dropout(one, x=0.4, h=0.4)
    masks = draw_masks(wrapped, np.random.default_rng(3), 1, s.params)
    assert not masks["mask_x"].all() and not masks["mask_h"].all()
    fewer = {**s.params, "Wx": masks["mask_x"].T * s.params["Wx"], "Wh": masks["mask_h"].T * s.params["Wh"]}
    wanted = scalar.over_time(one.name, s.xs, s.state, fewer)
    assert_same(tg.scan(wrapped, s.xs, s.state, {**s.params, **masks}), wanted, atol=1e-12)


@each_cell
def test_masks_hold_for_the_whole_sequence(one):
    """A dropped input gets no gradient at any step, another one at every step (pitfall 16)."""
    s, wrapped = sample(one, N=8), variational_dropout(one, x=0.5)
    masks = draw_masks(wrapped, np.random.default_rng(0), 8, s.params)
    dxs = tg.grad(lambda xs: scanned(wrapped)(xs, s.state, {**s.params, **masks}))(s.xs)
    dropped = masks["mask_x"] == 0
    assert dropped.any() and not dropped.all()
    assert ((dxs == 0) == dropped[:, None, :]).all()


def test_masks_are_drawn_by_rate_and_scaled():
    wrapped = variational_dropout(tg.lstm, x=0.25, h=0.5)
    params = wrapped.init(np.random.default_rng(0), D=50, H=60)
    masks = draw_masks(wrapped, np.random.default_rng(1), 100, params)
    assert {name: (mask.shape, mask.dtype) for name, mask in masks.items()} == {
        "mask_x": ((100, 50), np.float32), "mask_h": ((100, 60), np.float32)}  # fmt: skip
    for mask, rate in zip(masks.values(), (0.25, 0.5), strict=True):
        assert np.unique(mask).tolist() == [0, np.float32(1 / (1 - rate))]
        assert (mask == 0).mean() == pytest.approx(rate, abs=0.03)
    again = draw_masks(wrapped, np.random.default_rng(1), 100, params)
    assert_same(again, masks)


@each_cell
def test_without_masks_nothing_is_dropped(one):
    s = sample(one)
    wrapped = variational_dropout(one, x=0.5, h=0.5)
    assert_same(tg.scan(wrapped, s.xs, s.state, s.params), tg.scan(one, s.xs, s.state, s.params))
    assert draw_masks(one, np.random.default_rng(0), 5, s.params) == {}


def test_a_carried_state_is_not_masked():
    """A GRU that lets nothing in keeps its state to the bit, dropped units too."""
    s, wrapped = sample(tg.gru), variational_dropout(tg.gru, h=0.5)
    s.params["b"][:H] = -1e4
    masks = draw_masks(wrapped, np.random.default_rng(0), 5, s.params)
    _, (h,) = tg.scan(wrapped, s.xs, s.state, {**s.params, **masks})
    assert_same(h, s.state[0])


def test_all_gates_see_one_masked_value():
    """x ⊙ mask is computed once a step, not once for each of gru's gates; h and r ⊙ h make two more."""
    s, wrapped = sample(tg.gru, T=1), variational_dropout(tg.gru, x=0.5, h=0.5)
    masks = draw_masks(wrapped, np.random.default_rng(0), 5, s.params)

    def products(one, config):
        hs, _ = tg.scan(one, tg.tensor(s.xs, requires_grad=True), s.state, {**leaves(s.params), **config}, mode="eager")
        seen, todo = {hs.node: None}, [hs.node]
        while todo:
            for edge in todo.pop().edges:
                if edge is not None and edge[0] not in seen:
                    seen[edge[0]] = None
                    todo.append(edge[0])
        return sum(node.op is not None and node.op.name == "multiply" for node in seen)

    assert products(wrapped, masks) - products(tg.gru, {}) == 2  # h, the first state, needs no gradient here


@cell
def by_function(x, h, *, Wx=Param("D H"), Wh=Param("H H")):
    return tg.tanh(x @ Wx + tg.matmul(h, Wh))


def test_a_mask_that_does_not_fit():
    s, one = sample(tg.lstm), variational_dropout(tg.lstm, h=0.5)
    given = {**s.params, "mask_h": np.ones((4, H))}
    text = "ShapeError: variational_dropout(lstm): mask_h is (4, 4), should be (5, 4)"
    assert refusal(tg.scan, one, s.xs, s.state, given) == text


def test_a_mask_that_would_be_lost():
    """matmul(h, Wh) does not ask Wh first, so the mask could not be applied: said, not passed over."""
    s, one = sample(by_function), variational_dropout(by_function, h=0.5)
    masks = draw_masks(one, np.random.default_rng(0), 5, s.params)
    text = "InvalidType: variational_dropout(by_function): Wh is masked, should be used as a @ Wh only"
    assert refusal(tg.scan, one, s.xs, s.state, {**s.params, **masks}) == text
    assert_same(tg.scan(one, s.xs, s.state, s.params), tg.scan(by_function, s.xs, s.state, s.params))
