"""Stacked, Bidirectional, Sequential and LastStep: the loops that they equal, lengths, states, refusals."""

import copy
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

N, T, D, H = 3, 5, 4, 6
LENGTHS = np.array([2, 5, 1])


def xs(seed: int = 0, dtype: str = "f") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, T, D)).astype(dtype)


def padded() -> np.ndarray:
    """xs with NaN in the padding."""
    return np.where((np.arange(T) < LENGTHS[:, None])[..., None], xs(), np.nan).astype("f")


def same(got, want) -> None:
    if isinstance(got, tuple):
        for a, b in zip(got, want, strict=True):
            same(a, b)
    else:
        np.testing.assert_array_equal(got.numpy(), want.numpy())


# -- Stacked ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{"widths": [6, 3]}, {"layers": 2, "H": 6}, {"layers": 3, "H": 6, "residual": True}]
)
def test_stacked_is_the_loop_of_its_docstring(options):
    layer = nn.Stacked("gru", rng=0, D=D, **options)
    hs, state, below = tg.Tensor(xs()), (), None
    for k, part in enumerate(layer.layers):
        below, hs = hs, None
        hs, last = part(below, lengths=LENGTHS)
        hs = below + hs if k and options.get("residual") else hs
        state += (last,)
    same(layer(xs(), lengths=LENGTHS), (hs, state))
    assert hs.shape == (N, T, layer.width) and next(iter(layer.params)) == "layers.0.Wx"


def test_bidirectional_layers_are_stacked_on_both_directions():
    layer = nn.Stacked("gru", [6, 3], rng=0, D=D, bidirectional=True)
    first, second = layer.layers
    below, last = first(padded(), lengths=LENGTHS)
    hs, state = layer(padded(), lengths=LENGTHS)
    assert isinstance(first, nn.Bidirectional) and below.shape == (N, T, 12) and hs.shape == (N, T, 6)
    same((hs, state), (second(below, lengths=LENGTHS)[0], (last, second(below, lengths=LENGTHS)[1])))
    layer.reset_state()  # it holds none
    same(layer(xs()), layer(xs()))


def test_stacked_goes_on_from_its_state_and_may_hold_it():
    layer = nn.Stacked(tg.lstm, [6, 3], rng=0, D=D)
    first, state = layer(xs(1)[:, :2])
    second, last = layer(xs(1)[:, 2:], state)
    whole, end = layer(xs(1))
    same((tg.concatenate([first, second], axis=1), last), (whole, end))
    held = nn.Stacked(tg.lstm, [6, 3], rng=0, D=D, stateful=True)
    held(xs(1)[:, :2])
    same(held(xs(1)[:, 2:])[0], second)
    held.reset_state()
    same(held(xs(1)[:, :2])[0], first)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_is_between_the_layers_in_training_alone(variational):
    layer = nn.Stacked("rnn", [6, 3], rng=0, D=D, dropout=0.5, variational=variational)
    beside = copy.deepcopy(layer.dropout)
    hs, _ = layer(xs())
    below, _ = layer.layers[0](xs())
    same(hs, layer.layers[1](beside(below))[0])
    same(layer.eval()(xs())[0], layer.layers[1](below)[0])
    assert list(layer.rngs) == ["dropout.rng"]


def test_every_layer_of_a_drawing_cell_draws_for_itself():
    layer = nn.Stacked(tg.variational_dropout(tg.lstm, h=0.5), layers=2, D=D, H=H, rng=0)
    assert list(layer.rngs) == ["layers.0.rng"]  # one generator for all
    assert not np.array_equal(layer(xs())[0].numpy(), layer(xs())[0].numpy())
    same(layer.eval()(xs()), layer(xs()))


def test_layers_of_a_projected_cell_fit_each_other():
    layer = nn.Stacked(tg.projected(tg.lstm), layers=2, D=D, H=H, P=2, rng=0)
    hs, ((h, c), _) = layer(xs())
    assert hs.shape == (N, T, 2) and h.shape == (N, 2) and c.shape == (N, H)


# -- Bidirectional ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("merge", ["concat", "sum"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_bidirectional_outputs_are_those_of_each_row_alone(merge, cell):
    layer = nn.Bidirectional(cell, D=D, H=H, rng=0, merge=merge)
    hs, state = layer(padded(), lengths=LENGTHS)
    for n, length in enumerate(LENGTHS):
        row = xs()[n : n + 1, :length]
        ahead, last = layer.ahead(row)
        behind, first = tg.scan(layer.behind.cell, tg.Tensor(row[:, ::-1]), None, layer.behind.params)
        back = behind[:, ::-1]
        want = tg.concatenate([ahead, back], axis=-1) if merge == "concat" else ahead + back
        np.testing.assert_allclose(hs.numpy()[n, :length], want.numpy()[0], rtol=0, atol=1e-6)
        assert not hs.numpy()[n, length:].any()
        for got, right in zip((*state[0], *state[1]), (*last, *first), strict=True):
            np.testing.assert_allclose(got.numpy()[n], right.numpy()[0], rtol=0, atol=1e-6)
    assert hs.shape[-1] == layer.width == (2 * H if merge == "concat" else H)


def test_no_gradient_reaches_or_comes_from_the_padding():
    layer, x = nn.Bidirectional("gru", D=D, H=H, rng=0), tg.Tensor(padded(), requires_grad=True)
    layer(x, lengths=LENGTHS)[0].sum().backward()
    inside = (np.arange(T) < LENGTHS[:, None])[..., None]
    assert (x.grad[~np.broadcast_to(inside, x.shape)] == 0).all() and np.isfinite(x.grad).all()
    assert all(np.isfinite(tensor.grad).all() for tensor in layer.params.values())


def test_bidirectional_starts_from_a_given_state():
    layer = nn.Bidirectional("gru", D=D, H=H, rng=0)
    ahead, behind = (np.full((N, H), value, "f") for value in (0.5, -0.5))
    hs, _ = layer(xs(), (ahead, behind))
    same(hs, tg.concatenate([layer.ahead(xs(), ahead)[0], layer.behind(xs(), behind)[0]], axis=-1))


# -- Sequential and LastStep -----------------------------------------------------------------------------------------


def classifier() -> nn.Sequential:
    layers = nn.Embedding(9, D, rng=0), nn.Recurrent("gru", D=D, H=H, rng=1), nn.LastStep(), nn.Dropout(0.5, rng=2)
    return nn.Sequential(*layers, tg.tanh, nn.Linear(H, 1, rng=3, activation="sigmoid"))


def test_sequential_is_one_layer_after_another_and_passes_lengths_on():
    model, ids = classifier().eval(), np.random.default_rng(0).integers(0, 9, (N, T))
    p = model(ids, lengths=LENGTHS)
    for n, length in enumerate(LENGTHS):
        hs, _ = model[1](model[0](ids[n : n + 1, :length]))
        want = model[5](tg.tanh(hs[:, -1]))
        np.testing.assert_allclose(p.numpy()[n], want.numpy()[0], rtol=1e-6)
    assert len(model) == 6 and list(model.params)[-1] == "layers.5.b"
    same(model(ids), model(ids, lengths=np.full(N, T)))


def test_last_step_reads_the_last_output_of_each_row():
    hs = np.arange(N * T * 2.0).reshape(N, T, 2)
    np.testing.assert_array_equal(nn.LastStep()(hs).numpy(), hs[:, -1])
    np.testing.assert_array_equal(nn.LastStep()(hs, LENGTHS).numpy(), hs[np.arange(N), LENGTHS - 1])


# -- pictures and refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [nn.Stacked("rnn", [6, 3], D=D, rng=0), nn.Bidirectional("rnn", D=D, H=H, rng=0)])
def test_every_layer_is_a_row_of_a_picture(layer):
    assert [row.steps for row in tg.draw(layer, xs()).graph.rows] == [T, T]


REFUSED = {
    "no width": (
        lambda: nn.Stacked("rnn", layers=2, D=D, rng=0),
        "Stacked: H is missing, should be Stacked(cell, [64, 64], D=10), or layers=2, D=10, H=64"),
    "widths twice": (
        lambda: nn.Stacked("rnn", [6, 6], layers=2, D=D, rng=0),
        "Stacked: widths are given with layers or H, should be one of them: Stacked(cell, [64, 64], D=10), or "
        "layers=2, D=10, H=64"),
    "a number as widths": (
        lambda: nn.Stacked("rnn", 6, D=D, rng=0), "Stacked: widths is 6, should be a list with a size for each layer"),
    "no layer": (
        lambda: nn.Stacked("rnn", layers=0, H=H, D=D, rng=0), "Stacked: layers is 0, should be a whole number from 1"),
    "residual over different widths": (
        lambda: nn.Stacked("rnn", [6, 3], D=D, rng=0, residual=True),
        "Stacked: residual adds widths 6, 3, should be one width for all layers"),
    "a flat state": (
        lambda: nn.Stacked("lstm", [6, 3], D=D, rng=0)(xs(), (0, 0, 0, 0)),
        "Stacked: state is 4 items, should be a tuple of 2, the states of each layer"),
    "an array as state": (
        lambda: nn.Stacked("lstm", [6, 3], D=D, rng=0)(xs(), xs()),
        "Stacked: state is a ndarray, should be a tuple of 2, the states of each layer"),
    "another merge": (
        lambda: nn.Bidirectional("rnn", D=D, H=H, rng=0, merge="mean"),
        "Bidirectional: merge is 'mean', should be concat or sum"),
    "a direction": (
        lambda: nn.Bidirectional("rnn", D=D, H=H, rng=0, reverse=True),
        "Bidirectional: it reads both ways from zeros or from the state of the call, should be without reverse= and "
        "stateful="),
    "one state for both ways": (
        lambda: nn.Bidirectional("rnn", D=D, H=H, rng=0)(xs(), xs()[:, 0]),
        "Bidirectional: state should be a tuple of two, the states of ahead and of behind"),
    "a class as layer": (
        lambda: nn.Sequential(nn.LastStep),
        "Sequential: layer 0 is the class LastStep, should be a module or a function of one argument"),
    "a number as layer": (
        lambda: nn.Sequential(tg.tanh, 3),
        "Sequential: layer 1 is a int, should be a module or a function of one argument"),
    "no time axis": (
        lambda: nn.LastStep()(np.zeros((2, 3))), "LastStep: hs is (2, 3), should be (N, T, H)"),
    "lengths beyond the end": (
        lambda: nn.LastStep()(xs(), [2, 6, 1]), "LastStep: lengths holds 6, should be from 0 to T = 5"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_misuse_is_refused_in_words(case):
    call, text = REFUSED[case]
    with pytest.raises(tg.Error, match=f"^{re.escape(text)}$"):
        call()
