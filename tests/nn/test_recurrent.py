"""Recurrent: a cell that owns its parameters, and may hold a state."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.nn import Recurrent

N, T, D, H = 2, 4, 3, 5


def layer(cell=tg.lstm, seed: int = 0, **options) -> Recurrent:
    return Recurrent(cell, D=D, H=H, rng=np.random.default_rng(seed), **options)


def xs(seed: int = 1, dtype: str = "f") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, T, D)).astype(dtype)


def state_of(cell, value: float = 0.5, dtype: str = "f") -> tuple[np.ndarray, ...]:
    return tuple(np.full((N, H), value, dtype) for _ in cell.states)


def same(a, b) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("cell", BUILT_IN.values(), ids=BUILT_IN)
def test_it_is_scan_with_parameters_of_its_own(cell):
    made = layer(cell)
    assert list(made.params) == list(cell.params)
    hs, state = made(xs())
    assert hs.shape == (N, T, H) and hs.dtype == np.float32
    assert [one.shape for one in state] == [(N, H)] * len(cell.states)
    want, last = tg.scan(cell, tg.Tensor(xs()), None, made.params)
    same([hs, *state], [want, *last])


@pytest.mark.parametrize("cell", BUILT_IN.values(), ids=BUILT_IN)
def test_its_gradients_are_those_of_scan(cell):
    made, inputs = layer(cell, dtype=np.float64), tg.Tensor(xs(dtype="d"), requires_grad=True)
    dy = np.random.default_rng(2).standard_normal((N, T, H))
    made(inputs)[0].backward(dy)

    def loss(x, params):
        return (tg.scan(cell, x, None, params)[0] * dy).sum()

    want = tg.grad(loss, argnums=(0, 1))(xs(dtype="d"), {name: one.numpy() for name, one in made.params.items()})
    np.testing.assert_allclose(inputs.grad, want[0], rtol=0, atol=1e-14)
    for name, one in made.params.items():
        np.testing.assert_allclose(one.grad, want[1][name], rtol=0, atol=1e-14)


@pytest.mark.parametrize("own", ["f", "d"])
@pytest.mark.parametrize("given", ["e", "f", "d", "i"])
def test_xs_and_state_are_cast_to_the_dtype_of_the_parameters(own, given):
    made = layer(dtype=own)
    hs, state = made(xs(dtype=given), state_of(tg.lstm, 1, given))
    assert [one.dtype for one in (hs, *state)] == [np.dtype(own)] * 3
    want, _ = made(xs(dtype=given).astype(own), state_of(tg.lstm, 1, own))
    same([hs], [want])


def test_a_cell_of_one_state_takes_it_bare():
    made, h = layer(tg.rnn), np.full((N, H), 0.5, "f")
    same([made(xs(), h)[0]], [made(xs(), (h,))[0]])


def test_lengths_reverse_and_init_are_passed_on():
    lengths = np.array([2, 4])
    hs, _ = layer(reverse=True)(xs(), lengths=lengths)
    want, _ = tg.scan(tg.lstm, tg.Tensor(xs()), None, layer().params, lengths=lengths, reverse=True)
    same([hs], [want])
    b = layer(init={"b": {"f": 1.0}}).b.numpy()
    np.testing.assert_array_equal(b, np.repeat([1, 0, 0, 0], H))


def test_configuration_is_given_at_the_call():
    dropped = tg.variational_dropout(tg.lstm, x=0.5)
    made = layer(dropped)
    masks = tg.draw_masks(dropped, np.random.default_rng(3), N, made.params)
    hs, _ = made(xs(), **masks)
    want, _ = tg.scan(dropped, tg.Tensor(xs()), None, {**made.params, **masks})
    same([hs], [want])
    with tg.no_grad():  # without masks: the cell to evaluate
        evaluated, _ = made(xs())
    same([evaluated], [tg.scan(dropped, tg.Tensor(xs()), None, made.params)[0]])
    same([evaluated], [made(xs(), mask_x=None)[0]])
    assert not np.array_equal(hs.numpy(), evaluated.numpy())


DRAWING = {
    "rng": (tg.zoneout(tg.lstm, h=0.1), "rng=rng", "rng=None"),
    "mask_h": (tg.variational_dropout(tg.gru, h=0.1), "**draw_masks(cell, rng, N, params)", "mask_h=None"),
    "mask_x, rng": (
        tg.residual(tg.zoneout(tg.variational_dropout(tg.projected(tg.lstm), x=0.1), c=0.2)),
        "**draw_masks(cell, rng, N, params), rng=rng", "mask_x=None, rng=None"),
}  # fmt: skip


@pytest.mark.parametrize("names", DRAWING)
def test_a_cell_that_draws_is_not_trained_without(names):
    cell, written, evaluated = DRAWING[names]
    sizes = {"D": 4, "H": 6, "P": 4} if "projected" in cell.name else {"D": 4, "H": 4}
    made = Recurrent(cell, rng=np.random.default_rng(0), **sizes)
    text = (f"Recurrent: {cell.name} draws {names} in training, should be called as layer(xs, {written}); to evaluate, "
            f"under no_grad() or with {evaluated}")  # fmt: skip
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        made(np.zeros((2, 3, 4), "f"))
    with tg.no_grad():
        made(np.zeros((2, 3, 4), "f"))
    made(np.zeros((2, 3, 4), "f"), **dict.fromkeys(names.split(", ")))


def test_the_caller_holds_the_state_unless_told_otherwise():
    made = layer()
    first, _ = made(xs())
    again, _ = made(xs())
    same([first], [again])
    assert made.state is None


# -- stateful --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [tg.rnn, tg.lstm], ids=["rnn", "lstm"])
def test_a_stateful_layer_goes_on_where_it_ended(cell):
    made, plain = layer(cell, stateful=True), layer(cell)
    _, state = plain(xs(1))
    want, last = plain(xs(2), state)
    made(xs(1))
    hs, _ = made(xs(2))
    same([hs, *made.state], [want, *last])


def test_what_it_holds_is_detached_and_what_it_returns_is_not():
    made = layer(stateful=True)
    hs, state = made(xs())
    assert all(one.requires_grad for one in (hs, *state))
    assert not any(one.requires_grad for one in made.state)
    hs.sum().backward()
    made(xs())[0].sum().backward()  # the graph of the first call is used up, and nothing leads there


def test_it_says_what_it_holds():
    made = layer(stateful=True)
    assert repr(layer()) == "Recurrent(lstm, D=3, H=5)"
    assert repr(made) == "Recurrent(lstm, D=3, H=5, holds no state)"
    made(xs())
    assert repr(made) == "Recurrent(lstm, D=3, H=5, holds h (2, 5), c (2, 5))"
    made.reset_state()
    assert repr(made) == "Recurrent(lstm, D=3, H=5, holds no state)"


def test_reset_state_starts_from_zeros():
    made = layer(stateful=True)
    first, _ = made(xs())
    second, _ = made(xs())
    made.reset_state()
    third, _ = made(xs())
    assert not np.array_equal(first.numpy(), second.numpy())
    same([first], [third])


def test_set_state_starts_from_it_detached():
    made = layer(stateful=True)
    given = [tg.Tensor(one, requires_grad=True) for one in state_of(tg.lstm)]
    made.set_state(*given)
    assert list(made.params) == ["Wx", "Wh", "b"]  # a state that is held is no parameter
    hs, _ = made(xs())
    same([hs], [layer()(xs(), state_of(tg.lstm))[0]])
    hs.sum().backward()
    assert given[0].grad is None
    made.set_state(*(one.astype("d") for one in state_of(tg.lstm)))
    assert made(xs())[0].dtype == np.float32


def test_a_state_that_is_passed_wins_over_the_one_held_and_is_held_from_then_on():
    made, plain = layer(stateful=True), layer()
    made(xs(1))
    hs, last = made(xs(2), state_of(tg.lstm))
    want, state = plain(xs(2), state_of(tg.lstm))
    same([hs, *last, *made.state], [want, *state, *state])


# -- errors ----------------------------------------------------------------------------------------------------------


@tg.cell
def sized(x, h, *, sizes=tg.Param("D H")):
    return tg.tanh(x @ sizes + h)


REFUSED = {
    "set_state of a layer that holds none": (
        lambda: layer().set_state(*state_of(tg.lstm)),
        "Recurrent(lstm): it holds no state, should be stateful=True; or give the state to the call",
    ),
    "set_state with too few": (
        lambda: layer(stateful=True).set_state(np.zeros((N, H))),
        "Recurrent(lstm): set_state got 1 arrays, should be 2: h, c",
    ),
    "a parameter with the name of something else": (
        lambda: layer(sized),
        "Recurrent: sized has a parameter sizes, which the layer needs for itself",
    ),
    "configuration that is none": (
        lambda: layer()(xs(), train=True),
        "Recurrent: train is no configuration of lstm, which has none",
    ),
    "a parameter as configuration": (
        lambda: layer(tg.zoneout(tg.rnn, h=0.1))(xs(), Wx=np.zeros((D, H))),
        "Recurrent: Wx is no configuration of zoneout(rnn), which has rng",
    ),
    "a missing size": (
        lambda: Recurrent(tg.lstm, D=3, rng=np.random.default_rng(0)),
        "lstm.init: missing size H",
    ),
    "too few states at the call": (
        lambda: layer()(xs(), np.zeros((N, H))),
        "lstm: got 1 state, should be 2: h, c",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_misuse_is_refused_in_words(case):
    call, text = REFUSED[case]
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        call()


def test_misfits_are_told_in_the_names_of_the_cell():
    with pytest.raises(tg.ShapeError, match=r"^lstm: x is \(2, 4\), should be \(N, D\) with D = 3 as in Wx$"):
        layer()(np.zeros((2, 6, 4)))
    made = layer(stateful=True)
    made(xs())
    with pytest.raises(tg.ShapeError, match=r"^lstm: h is \(2, 5\), should be \(N, H\) = \(1, 5\)$"):
        made(xs()[:1])  # another batch size: reset_state() first
    with pytest.raises(ValueError, match=r"^scan: mode is 'fast', should be one of auto, "):
        layer(mode="fast")(xs())
