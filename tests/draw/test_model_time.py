"""Steps in time: what each gives back, cut by cut, by a loop of cell calls that are gone back through one by one."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.model_references import close, read_back
from helpers.model_targets import CELLS
from tinygrad_rnn import gru, lstm
from tinygrad_rnn.draw.model import extremes, of_cell, of_function, view
from tinygrad_rnn.tracing.sample import sample

N = 2


def backward_by_hand(cell, steps, sizes, last=False, truncate=None):
    """What each step of `of_cell` gets and gives: per step, the gradients of its new states and of its arguments."""
    rng = np.random.default_rng(0)
    given = sample(cell, rng, {"N": N, **sizes})
    xs = rng.standard_normal((N, steps, given[cell.input].shape[1]))
    params = {name: given[name] for name in cell.params}
    state, pulls = tuple(given[name] for name in cell.states), []
    for t in range(steps):
        if truncate and t % truncate == 0:
            state = tuple(np.array(one) for one in state)
        new, pull = tg.vjp(lambda x, s, p: cell(x, *s, **p), xs[:, t], state, params)
        state = new if isinstance(new, tuple) else (new,)
        pulls.append(pull)
    width = truncate or steps
    dhs = [rng.standard_normal((N, width, *state[0].shape[1:])) for _ in range(steps // width)]
    dstate = [rng.standard_normal(one.shape) for one in state]
    if last:
        dhs[-1][:, :-1], dstate = 0, [one * 0 for one in dstate]
    return _pull_all(pulls, np.concatenate(dhs, axis=1), dstate, truncate)


def _pull_all(pulls, dhs, dstate, truncate):
    found = []
    for t in reversed(range(len(pulls))):
        dnew = [dstate[0] + dhs[:, t], *dstate[1:]]
        dx, before, dparams = pulls[t](tuple(dnew) if len(dnew) > 1 else dnew[0])
        found.append((dnew, dx, before, dparams))
        dstate = [one * 0 for one in before] if truncate and t % truncate == 0 else list(before)
    return found[::-1]


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("steps, options", [(2, {}), (5, {}), (20, {}), (6, {"last": True}), (12, {"truncate": 4})])
@pytest.mark.parametrize("name", CELLS)
def test_every_step_gives_back_what_a_call_of_the_cell_gives_back(name, steps, options):
    cell, sizes = CELLS[name]
    graph = read_back(view(of_cell(cell, steps, N=N, **options, **sizes), level="cell", fold="none"))
    boxes = {one.step: one.id for one in graph if one.kind == "cell"}
    into = {(edge.target, edge.argument): edge for edge in graph.edges}
    values = {(one.state, one.step): one for one in graph if one.kind == "value"}
    for t, (dnew, dx, before, dparams) in enumerate(backward_by_hand(cell, steps, sizes, **options)):
        cut = bool(t and options.get("truncate") and t % options["truncate"] == 0)
        for state, dy, back in zip(cell.states, dnew, before):
            one = values.get((state, t))
            assert one is None or close(one.gradient, np.linalg.norm(dy))
            edge = into.get((boxes[t], state))
            assert edge is None or edge.cut is cut
            assert edge is None or cut or close(edge.gradient, np.linalg.norm(back))
        x = next(edge for edge in graph.edges if edge.target == boxes[t] and edge.shape[-1] == dx.shape[-1])
        assert close(x.gradient, np.linalg.norm(dx))
        for param, dw in dparams.items():
            assert close(into[boxes[t], param].gradient, np.linalg.norm(dw))
            assert close(into[boxes[t], param].gradient_sum, dw.sum(), np.abs(dw).sum())


@pytest.mark.sampled(every=8)
@pytest.mark.parametrize("steps, options", [(5, {}), (20, {}), (12, {"truncate": 4})])
@pytest.mark.parametrize("look", [{}, {"level": "op"}, {"fold": "full"}], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_rows_tell_the_gradients_by_step(name, look, steps, options):
    cell, sizes = CELLS[name]
    graph = read_back(view(of_cell(cell, steps, N=N, **options, **sizes), **look))
    (row,) = graph.rows
    wanted = backward_by_hand(cell, steps, sizes, **options)
    assert (row.cell, row.reverse, row.steps, row.states) == (cell.name, False, steps, list(cell.states))
    assert row.cuts == list(range(options["truncate"], steps, options["truncate"]) if options else [])
    for k, (_, _, before, dparams) in enumerate(wanted):
        for state, back in zip(cell.states, before):
            carried = row.carried[f"d{state}"][k]
            assert carried is None or close(carried, np.linalg.norm(back))
            assert (carried is None) <= (k in row.cuts or not np.any(back))
        for param, dw in dparams.items():
            assert close(row.weights[f"d{param}"][k], np.linalg.norm(dw))
    for param in cell.params:  # the parts add up to the whole, as vectors
        whole = sum(dparams[param] for _, _, _, dparams in wanted)
        assert close(graph[param].gradient, np.linalg.norm(whole), 10)
        assert close(row.totals[f"d{param}"], np.linalg.norm(whole), 10)


def test_gradients_of_states_are_over_all_paths():
    """Of a memory that its own step reads too, with what comes back through there."""
    graph = read_back(view(of_cell(lstm, 5, N=N), level="op", fold="none"))
    (row,) = graph.rows
    for state in row.states:
        norms = [one.gradient for one in graph if one.state == state]
        assert row.gradients[f"d{state}"] == norms


def test_rows_of_a_reversed_scan_are_in_time():
    given = gru.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    weights = np.random.default_rng(1).standard_normal((N, 5, 4))

    def back(xs):
        return tg.sum(tg.scan(gru, xs, None, given, reverse=True)[0] * weights)

    (row,) = view(of_function(back, [np.ones((N, 5, 3))], ["xs"])).rows
    assert row.reverse and close(row.gradients["dh"][0], np.linalg.norm(weights[:, 0]))  # the last one to run


@pytest.mark.parametrize("level", ["op", "cell"])
@pytest.mark.parametrize("truncate", [2, 4])
def test_a_cut_is_where_the_state_was_detached(level, truncate):
    graph = view(of_cell(lstm, 8, truncate=truncate), level=level, fold="none")
    known = {one.id: one for one in graph}
    cuts = [edge for edge in graph.edges if edge.cut]
    assert all(edge.gradient is None and edge.gradient_sum is None for edge in cuts)
    assert list(dict.fromkeys(known[edge.target].step for edge in cuts)) == list(range(truncate, 8, truncate))
    assert all(known[edge.source].step == known[edge.target].step - 1 for edge in cuts)
    assert {known[edge.source].state: None for edge in cuts} == {"h": None, "c": None}
    assert graph.rows[0].cuts == list(range(truncate, 8, truncate))


@pytest.mark.parametrize("steps", [9, 20, 100])
def test_folds_tell_the_range_of_what_they_hide(steps):
    graph = view(of_cell(lstm, steps))
    (row,), (fold,) = graph.rows, graph.folds
    assert (fold.first, fold.last, fold.count) == (2, steps - 3, steps - 4)
    for name, norms in row.gradients.items():
        hidden = norms[fold.first : fold.last + 1]
        assert (fold.least[name], fold.greatest[name]) == (min(hidden), max(hidden))
    assert graph[fold.id].kind == "fold"


def test_steps_that_are_asked_for_are_shown():
    graph = view(of_cell(lstm, 30), unfold=(10, 13))
    assert [one.step for one in graph if one.kind == "cell"] == [0, 1, 10, 11, 12, 28, 29]
    assert [(fold.first, fold.last) for fold in graph.folds] == [(2, 9), (13, 27)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_step_that_is_not_finite_is_shown(bad):
    given = lstm.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    factors = np.ones((N, 40, 4))
    factors[:, 20] = bad

    def loss(xs):
        return tg.sum(tg.scan(lstm, xs, None, given)[0] * factors)

    with np.errstate(all="ignore"):
        graph = view(of_function(loss, [np.ones((N, 40, 3))], ["xs"]))
    shown = [one.step for one in graph if one.kind == "cell"]
    assert 20 in shown and 21 in shown and len(shown) < 12
    plain = read_back(graph)  # JSON stays JSON
    found = plain.rows[0].gradients["dh"]
    assert found[20] in ("NaN", "inf") and isinstance(found[21], float)


@pytest.mark.parametrize("order", [(1.0, math.nan, 2.0), (math.nan, 1.0, 2.0), (2.0, 1.0, math.nan)])
def test_nan_is_more_than_any_number(order):
    least, greatest = extremes(order)
    assert least == 1.0 and math.isnan(greatest)
    assert extremes([math.inf, 1.0]) == (1.0, math.inf)
    assert all(map(math.isnan, extremes([math.nan])))


@pytest.mark.parametrize("at", [10, 15, 20])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_fold_tells_of_what_is_not_finite_behind_it(bad, at):
    """A gradient that is broken at one step, and behind it at all the others."""
    given = lstm.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    factors = np.ones((N, 40, 4))
    factors[:, at] = bad
    with np.errstate(all="ignore"):
        graph = view(of_function(lambda xs: tg.sum(tg.scan(lstm, xs, None, given)[0] * factors),
                                 [np.ones((N, 40, 3))], ["xs"]), fold="full")  # fmt: skip
    (fold,) = graph.folds
    for name, norms in graph.rows[0].gradients.items():
        known = [norm for norm in norms[fold.first : fold.last + 1] if norm is not None]
        broken = [norm for norm in known if not math.isfinite(norm)]
        assert broken and not math.isfinite(fold.greatest[name])
        assert math.isnan(fold.greatest[name]) == any(map(math.isnan, broken))
