"""A plan equals the loop: every cell, every kind of call, every gradient; and what is not planned says why."""

import gc
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import CELLS, LENGTHS, everything, flat, sample, scanned
from helpers.odd_cells import ODD, odd_sample
from helpers.random import plan_cells
from helpers.random.sweeps import assert_all_right, in_parts, seeds
from tinygrad_rnn import Param
from tinygrad_rnn.sequence.plan import buffers, cache

WRAPPED = [
    tg.residual(tg.lstm), tg.projected(tg.lstm), tg.zoneout(tg.lstm, h=0.1, c=0.5),
    tg.residual(tg.zoneout(tg.projected(tg.lstm), h=0.1)), tg.variational_dropout(tg.gru, x=0.2, h=0.3),
    tg.zoneout(tg.residual(tg.layer_norm_lstm), h=0.2), tg.variational_dropout(tg.projected(tg.lstm), x=0.3),
]  # fmt: skip
OPTIONS = [{}, {"reverse": True}, {"lengths": LENGTHS}, {"lengths": LENGTHS, "reverse": True}]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=["plain", "reverse", "lengths", "both"])


def distance(ours, theirs):
    ours, theirs = flat(ours), flat(theirs)
    return max(plan_cells.distance(np.asarray(ours[key], float), np.asarray(theirs[key], float)) for key in theirs)


def assert_planned(cell, s, limit=1e-12, **options):
    """Outputs, last states and all gradients, by the plan and by the loop; no argument is written."""
    before = {path: array.copy() for path, array in flat((s.xs, s.state, s.params)).items()}
    values = [tg.scan(cell, s.xs, s.state, s.params, mode=mode, **options) for mode in ("plan", "eager")]
    assert distance(*values) < limit
    assert distance(*(everything(scanned(cell, mode=mode, **options), s) for mode in ("plan", "eager"))) < limit
    for path, array in flat((s.xs, s.state, s.params)).items():
        np.testing.assert_array_equal(array, before[path], err_msg=path)


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@each_option
def test_built_in_cells(cell, options):
    assert_planned(cell, sample(cell), **options)


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("cell", ODD, ids=lambda cell: cell.name)
@each_option
def test_odd_cells(cell, options):
    assert_planned(cell, odd_sample(cell), **options)


@pytest.mark.parametrize("cell", WRAPPED, ids=lambda cell: cell.name)
def test_wrapped_cells(cell):
    assert_planned(cell, odd_sample(cell, D=4, P=4), lengths=LENGTHS)


@tg.cell
def powers(x, h, c, *, U=Param("D H"), W=Param("H H")):
    return tg.tanh(x @ U + h), tg.sigmoid(c) @ W


@pytest.mark.parametrize("mode", ["plan", "eager"])
def test_states_and_their_gradients_may_be_in_any_order_of_memory(mode):
    s = sample(powers)
    state = tuple(map(np.asfortranarray, s.state))
    ours, theirs = (tg.scan(powers, s.xs, start, s.params, mode=mode) for start in (state, s.state))
    assert distance(ours, theirs) < 1e-14

    def loss(c):
        last = tg.scan(powers, s.xs, (s.state[0], c), s.params, mode=mode)[1][1]
        return tg.sum(last.T * np.arange(20.0).reshape(4, 5))

    assert distance(tg.grad(loss)(state[1]), tg.grad(loss)(s.state[1])) < 1e-14


@pytest.mark.parametrize("N, T", [(1, 1), (1, 7), (5, 2)])
def test_sizes(N, T):
    for cell in (tg.lstm, tg.gru):
        assert_planned(cell, sample(cell, N=N, T=T))


def test_float32():
    """As far from float64 as the loop is, or nearer than 2e-6."""
    for cell in CELLS:
        s = sample(cell, dtype=np.float32)
        assert_planned(cell, s, limit=2e-6)
        assert tg.scan(cell, s.xs, s.state, s.params, mode="plan")[0].dtype == np.float32


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_products_with_a_transposed_weight(cell, monkeypatch):
    """Every such product of the loop as (W @ yᵀ)ᵀ, as those of large weights are."""
    monkeypatch.setattr(buffers, "LARGE_WEIGHT", 0)
    cache.clear()
    try:
        assert_planned(cell, sample(cell), lengths=LENGTHS)
        assert ".T, out=" in tg.plan(cell, N=2, D=3, H=4).source
        assert ".T, out=" not in tg.plan(cell, N=1, D=3, H=4).source
    finally:
        cache.clear()


@in_parts
def test_random_cells(part, trials):
    assert_all_right(plan_cells.failure, seeds(part, trials(60, 20_000)))


@pytest.mark.sampled(every=3, by=lambda cell: [])
@pytest.mark.parametrize(
    "cell", [tg.lstm, *(cell for cell in ODD if cell.name != "in_place")], ids=lambda cell: cell.name
)
def test_what_needs_a_gradient_and_gets_one(cell):
    """As in the graph of the loop: an output that depends on nothing, an argument that has no effect on the loss."""
    s = sample(cell) if cell is tg.lstm else odd_sample(cell)
    arguments = {"xs": s.xs, **dict(zip(cell.states, s.state)), **s.params}
    for wanted in [[name] for name in arguments] + [list(arguments)]:
        results = []
        for mode in ("plan", "eager"):
            given = {name: tg.tensor(array, requires_grad=name in wanted) for name, array in arguments.items()}
            params = {name: given[name] for name in s.params}
            hs, last = tg.scan(cell, given["xs"], [given[name] for name in cell.states], params, mode=mode)
            known = [y.requires_grad for y in (hs, *last)]
            if hs.requires_grad:
                tg.sum(hs).backward()
            results.append((known, {name: tensor.grad is None for name, tensor in given.items()}))
        assert results[0] == results[1], wanted


def test_a_weight_that_changes_between_the_runs_of_a_checkpoint_is_refused():
    s = sample(tg.lstm)
    Wh = s.params["Wh"].copy()
    params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items() if name != "Wh"}

    def loss(xs):
        return tg.sum(tg.scan(tg.lstm, xs, s.state, {**params, "Wh": Wh}, mode="plan")[0])

    y = tg.checkpoint(loss)(s.xs)
    Wh *= 2
    with pytest.raises(tg.MutationError, match="gave another result when run again"):
        y.backward()


def test_masks_of_a_sequence():
    cell = tg.variational_dropout(tg.zoneout(tg.lstm, h=0.3), x=0.4, h=0.3)
    s = odd_sample(cell)
    results = []
    for mode in ("plan", "eager"):
        rng = np.random.default_rng(3)
        masks = tg.draw_masks(cell, rng, 5, s.params)
        params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
        for _ in range(2):  # the second call draws other numbers
            hs, last = tg.scan(cell, s.xs, s.state, {**params, **masks, "rng": rng}, mode=mode)
            (tg.sum(hs * hs) + tg.sum(last[1])).backward()
        results.append([hs.numpy(), last[0].numpy(), rng.random(), *(p.grad for p in params.values())])
    assert max(map(plan_cells.distance, *results)) < 1e-12


def test_higher_order_gradients():
    s = sample(tg.lstm)

    def norm(xs, mode):
        slope = tg.grad(lambda xs: tg.sum(tg.tanh(tg.scan(tg.lstm, xs, s.state, s.params, mode=mode)[0])))
        return tg.sum(tg.square(slope(xs)))

    ours, theirs = (tg.grad(lambda xs, mode=mode: norm(xs, mode))(s.xs) for mode in ("plan", "eager"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


def test_a_parameter_that_two_scans_share_and_two_backward_passes():
    s = sample(tg.lstm)
    grads = []
    for mode in ("plan", "eager"):
        params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
        hs, state = tg.scan(tg.lstm, s.xs[:, :3], s.state, params, mode=mode)
        more, _ = tg.scan(tg.lstm, s.xs[:, 3:], state, params, mode=mode)
        loss = tg.sum(hs[:, -1] * more[:, 0])
        loss.backward(retain_graph=True)
        loss.backward()
        with pytest.raises(tg.GraphError):
            loss.backward()
        grads.append({name: p.grad for name, p in params.items()})
    assert distance(*grads) < 1e-12


def numbered(plan):
    """The source without comments, each name replaced by the number of its first use."""
    names = {}
    code = re.sub(r" *#.*", "", plan.source).replace("[..., ", "[:, ")
    return re.sub(r"\b[A-Za-z_]\w*", lambda name: f"v{names.setdefault(name.group(), len(names))}", code)


def test_gate_by_gate_an_lstm_has_the_plan_of_the_stacked_form():
    Wx, Wh, b = (Param(words, "fgio") for words in ("D H", "H H", "H"))

    @tg.cell
    def gates(x, h, c, *, Wx=Wx, Wh=Wh, b=b):
        f = tg.sigmoid(x @ Wx.f + h @ Wh.f + b.f)
        g = tg.tanh(x @ Wx.g + h @ Wh.g + b.g)
        i = tg.sigmoid(x @ Wx.i + h @ Wh.i + b.i)
        o = tg.sigmoid(x @ Wx.o + h @ Wh.o + b.o)
        c = f * c + g * i
        return o * tg.tanh(c), c

    assert numbered(tg.plan(gates, N=5, D=3, H=4)) == numbered(tg.plan(tg.lstm, N=5, D=3, H=4))


@tg.cell
def detaching(x, h, g, *, W=Param("D D"), U=Param("D D")):
    h = tg.tanh(x @ W + tg.detach(h) @ tg.detach(U) + g)
    return h, tg.detach(g) * 0.5 + h


@tg.cell
def closing(x, h, g, *, W=Param("D D"), U=Param("D D")):
    return tg.tanh(x @ W + tg.detach(CLOSED) @ U + h), g


CLOSED, OTHER = (tg.tensor(np.random.default_rng(seed).normal(size=(2, 4))) for seed in (1, 2))


@pytest.mark.parametrize("cell, second", [(detaching, CLOSED), (closing, OTHER)])
def test_an_array_that_is_given_twice_is_two_arguments(cell, second):
    rng = np.random.default_rng(0)
    W, U = (tg.tensor(rng.normal(size=(4, 4)), requires_grad=True) for _ in "WU")
    for params, state in (({"W": W, "U": W}, (CLOSED, second)), ({"W": W, "U": U}, (OTHER, CLOSED))):
        xs = rng.normal(size=(2, 5, 4))
        ours, theirs = (tg.scan(cell, xs, state, params, mode=mode)[0].numpy() for mode in ("plan", "eager"))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)


def test_nothing_is_saved_under_no_grad():
    s = sample(tg.lstm)
    params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
    with tg.no_grad():
        hs, last = tg.scan(tg.lstm, s.xs, s.state, params, mode="plan")
    assert not any(y.requires_grad for y in (hs, *last))


def test_a_graph_is_freed_without_the_collector():
    s = sample(tg.lstm)
    params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
    tg.scan(tg.lstm, s.xs, s.state, params, mode="plan")
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        hs, last = tg.scan(tg.lstm, s.xs, s.state, params, mode="plan")
        del hs, last
        assert len(gc.get_objects()) - before < 20
    finally:
        gc.enable()


def test_making_a_plan_leaves_nothing_to_the_collector():
    s = sample(tg.lstm)
    params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
    tg.sum(tg.scan(tg.lstm, s.xs, s.state, params, mode="plan")[0]).backward()
    cache.clear()
    gc.collect()
    gc.disable()
    try:
        tg.sum(tg.scan(tg.lstm, s.xs, s.state, params, mode="plan")[0]).backward()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_weight_that_changes_between_forward_and_backward_is_refused():
    s = sample(tg.lstm)
    params = {name: tg.tensor(array, requires_grad=True) for name, array in s.params.items()}
    hs, _ = tg.scan(tg.lstm, s.xs, s.state, params, mode="plan")
    with tg.no_grad():
        params["Wh"] -= 0.1
    with pytest.raises(
        tg.MutationError, match=r"scan of lstm: Wh, an array of shape \(4, 16\) that its gradient needs, was"
    ):
        tg.sum(hs).backward()


def test_layers():
    """A stateful layer, and layers on each other in both directions, whose modes are set."""
    results = []
    for mode in ("plan", "eager"):
        rng = np.random.default_rng(0)
        first = tg.nn.Recurrent(tg.lstm, D=3, H=4, rng=rng, mode=mode, dtype=np.float64, stateful=True)
        back = tg.nn.Recurrent(tg.gru, D=4, H=4, rng=rng, mode=mode, dtype=np.float64, reverse=True)
        xs = rng.standard_normal((5, 6, 3))
        for _ in range(2):
            hs = back(first(xs)[0], lengths=LENGTHS)[0]
            tg.sum(hs * hs).backward()
        results.append([hs.numpy(), *(p.grad for layer in (first, back) for p in layer._params.values())])
    assert max(map(plan_cells.distance, *results)) < 1e-12


def test_threads():
    """Several threads that ask for the same new plan get right results."""
    s = sample(tg.mgu, N=3)
    expected = tg.scan(tg.mgu, s.xs, s.state, s.params, mode="eager")[0]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(tg.scan, tg.mgu, s.xs, s.state, s.params, mode="plan") for _ in range(8)]
        assert max(plan_cells.distance(call.result()[0], expected) for call in calls) < 1e-12


# -- cells that change, and cells that are not planned ---------------------------------------------------------------


def test_a_cell_whose_closure_changes_is_planned_anew():
    factor, table = 1.0, np.ones(4)

    @tg.cell
    def scaled(x, h, *, W=Param("D H")):
        return tg.tanh(x @ W + factor * h * table)

    s = odd_sample(scaled)
    for change in range(3):
        factor, table[0] = 1.0 + change, 2.0 * change
        assert_planned(scaled, s)


def by_branch(x, h, *, W=Param("D H")):
    return tg.tanh(x @ W) if (h > 100).any() else tg.tanh(x @ W + h)


def by_number(x, h, *, W=Param("D H")):
    return tg.tanh(x @ W * float(tg.detach(h).mean()) + h)


def by_array(x, h, *, W=Param("D H")):
    return tg.tanh(x @ W + h) + h.detach().numpy() * 2


def drawing(x, h, *, W=Param("D H")):
    return tg.tanh(x @ W + h) + np.random.rand()


def printing(x, h, *, W=Param("D H")):
    print(end="")
    return tg.tanh(x @ W + h)


REFUSED = {
    by_branch: "the cell reads values of a Tensor (any) at",
    by_number: "the cell reads values of a Tensor (float) at",
    by_array: "the cell reads values of a Tensor (numpy) at",
    drawing: "drawing calls .random, which may change something or draw random numbers",
    printing: "the cell reads print, a builtin_function_or_method",
}


@pytest.mark.parametrize("function", REFUSED, ids=lambda function: function.__name__)
def test_a_cell_that_does_more_than_compute_runs_eagerly(function):
    cell = tg.cell(function)
    s = odd_sample(cell)
    if function is not drawing:
        both = [tg.scan(cell, s.xs, s.state, s.params, mode=mode) for mode in ("auto", "eager")]
        assert distance(*both) == 0
    with pytest.raises(tg.PlanError) as error:
        tg.scan(cell, s.xs, s.state, s.params, mode="plan")
    assert str(error.value).startswith(f"scan: {function.__name__} cannot be planned: {REFUSED[function]}")
