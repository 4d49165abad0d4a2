"""Right gradients of a cell over time, computed without the checker, and which contracts a backward breaks."""

import functools

import numpy as np

import tinygrad_rnn as tg
from helpers.bptt_by_hand import lstm_forward
from helpers.bptt_gru_by_hand import gru_forward
from tinygrad_rnn.tracing.sample import record_step, sample
from tinygrad_rnn.tracing.trace import pull

CELLS = {"rnn": tg.rnn, "lstm": tg.lstm, "gru": tg.gru}


def cell_of(mutant):
    return CELLS[mutant.by.split()[0]]


def finals_only(f, cell):
    """A backward without the gradients by what the steps compute."""
    kept = ["dxs", *(f"d{name}" for name in [*cell.states, *cell.params])]

    @functools.wraps(f)
    def backward(*args, **params):
        return {name: g for name, g in f(*args, **params).items() if name in kept}

    return backward


def case(cell, seed=0, N=3, T=5, D=7, H=11):
    """Random arguments of a backward over time: xs, first states; parameters and cotangents by name."""
    rng = np.random.default_rng(seed)
    given = sample(cell, rng, {"N": N, "D": D, "H": H})
    first = [given[name] for name in cell.states]
    params = {name: given[name] for name in cell.params}
    dys = {"dhs": rng.standard_normal((N, T, H)), **{f"d{name}": rng.standard_normal((N, H)) for name in cell.states}}
    return [rng.standard_normal((N, T, D)), *first], params, dys


def autograd(cell, arrays, params, dys):
    """The final gradients of a run of `scan`, by name."""
    xs, *states = [tg.tensor(one, requires_grad=True) for one in arrays]
    own = {name: tg.tensor(one, requires_grad=True) for name, one in params.items()}
    hs, last = tg.scan(cell, xs, tuple(states), own)
    loss = tg.sum(hs * dys["dhs"])
    for name, one in zip(cell.states, last):
        loss = loss + tg.sum(one * dys[f"d{name}"])
    loss.backward()
    leaves = {"xs": xs, **dict(zip(cell.states, states)), **own}
    return {f"d{name}": one.grad for name, one in leaves.items()}


def inner(cell, arrays, params, dys):
    """The gradients by what a step computes, of all steps, stacked; each step recorded and pulled back by itself."""
    carried, every = [dys[f"d{name}"] for name in cell.states], []
    for t, step in reversed(list(enumerate(FORWARD[cell.name](arrays, params)))):
        record = record_step(cell, {name: step[name] for name in [cell.input, *cell.states, *cell.params]})
        carried[0] = carried[0] + dys["dhs"][:, t]
        totals, _ = pull(record, dict(zip(record.outputs.values(), carried)))
        every.insert(0, {f"d{name}": totals[number] for name, number in record.named().items()})
        carried = [every[0][f"d{name}"] for name in cell.states]
    return {name: np.stack([gradients[name] for gradients in every], axis=1) for name in every[0]}


def _of_rnn(arrays, params):
    xs, h = arrays
    values = []
    for x in np.moveaxis(xs, 1, 0):
        values.append({**params, "x": x, "h": h})
        h = np.tanh(x @ params["Wx"] + h @ params["Wh"] + params["b"])
    return values


def _of_lstm(arrays, params):
    return [{**params, **dict(zip("xhc", step))} for step in lstm_forward(*arrays, *params.values())]


def _of_gru(arrays, params):
    return [{**params, **dict(zip("xh", step))} for step in gru_forward(*arrays, *params.values())]


FORWARD = {"rnn": _of_rnn, "lstm": _of_lstm, "gru": _of_gru}


def broken(f, cell):
    """The manners that a backward breaks, in the words of the checkers, by trying."""
    arrays, params, dys = case(cell, seed=3)
    other = {name: np.random.default_rng(4).standard_normal(dy.shape) for name, dy in dys.items()}

    def run(dys, rows=slice(None)):
        given = [x[rows].copy() for x in arrays], {**params, **{name: dy[rows].copy() for name, dy in dys.items()}}
        return f(*given[0], **given[1])

    def same(a, b):
        return all(np.allclose(a[name], b[name], rtol=1e-9, atol=1e-12) for name in a)

    first, lent = run(dys), {name: dy.copy() for name, dy in dys.items()}
    f(*arrays, **params, **lent)
    summed, second = run({name: dy + other[name] for name, dy in dys.items()}), run(other)
    alone = [run(dys, slice(k, k + 1)) for k in range(len(arrays[0]))]
    rows = ["dxs", *(f"d{name}" for name in cell.states)]
    early = {name: np.zeros_like(dy) for name, dy in dys.items()}
    early["dhs"][:, 1] = dys["dhs"][:, 1]
    together = {name: np.concatenate([one[name] for one in alone]) for name in rows}
    held = {
        "modified": all(np.array_equal(dy, dys[name]) for name, dy in lent.items()),
        "again": same(first, run(dys)),
        "zero": not any(np.any(one) for one in run({name: 0 * dy for name, dy in dys.items()}).values()),
        "linear": same(summed, {name: first[name] + second[name] for name in first}),
        "batch": same(together, first),
        "causal": not np.any(run(early)["dxs"][:, 2:]),
    }
    return [name for name, held_up in held.items() if not held_up]
