"""Recurrent: a cell that owns its parameters, and may hold a state."""

import copy
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


# -- cells that draw -------------------------------------------------------------------------------------------------

DRAWING = {
    "rng": (tg.zoneout(tg.lstm, h=0.5), {}),
    "mask_h": (tg.variational_dropout(tg.gru, h=0.5), {}),
    "mask_x, rng": (tg.residual(tg.zoneout(tg.variational_dropout(tg.projected(tg.lstm), x=0.5), c=0.5)), {"P": D}),
}
each_drawing = pytest.mark.parametrize("names", DRAWING)


def drawing(names: str) -> Recurrent:
    cell, sizes = DRAWING[names]
    return Recurrent(cell, D=D, H=H, rng=np.random.default_rng(0), **sizes)


@each_drawing
def test_a_cell_that_draws_is_trained_by_the_generator_of_the_layer(names):
    made = drawing(names)
    beside = copy.deepcopy(made.rng)
    hs, _ = made(xs())
    given = {**tg.draw_masks(made.cell, beside, N, made.params), **({"rng": beside} if "rng" in names else {})}
    want, _ = tg.scan(made.cell, tg.Tensor(xs()), None, {**made.params, **given})
    same([hs], [want])
    assert list(made.rngs) == ["rng"] and made.rng.random() == beside.random()
    assert not np.array_equal(made(xs())[0].numpy(), hs.numpy())  # every call draws anew


@each_drawing
def test_the_mode_alone_decides_whether_it_draws(names):
    made = drawing(names)
    before = copy.deepcopy(made.rng)
    want, _ = tg.scan(made.cell, tg.Tensor(xs()), None, made.params)
    same([made.eval()(xs())[0]], [want])
    with tg.no_grad():
        same([made(xs())[0]], [want])
        assert made.rng.bit_generator.state == before.bit_generator.state
        assert not np.array_equal(made.train()(xs())[0].numpy(), want.numpy())


@each_drawing
def test_configuration_at_the_call_takes_precedence(names):
    made = drawing(names)
    none, before = dict.fromkeys(names.split(", ")), copy.deepcopy(made.rng)
    want, _ = tg.scan(made.cell, tg.Tensor(xs()), None, made.params)
    same([made(xs(), **none)[0]], [want])
    assert made.rng.bit_generator.state == before.bit_generator.state  # what is given is not drawn
    masks = tg.draw_masks(made.cell, np.random.default_rng(3), N, made.params)
    given = {**masks, **({"rng": np.random.default_rng(4)} if "rng" in names else {})}
    hs, _ = made.eval()(xs(), **copy.deepcopy(given))
    same([hs], [tg.scan(made.cell, tg.Tensor(xs()), None, {**made.params, **given})[0]])


def test_one_mask_holds_for_all_steps_of_a_call():
    made = Recurrent(tg.variational_dropout(tg.rnn, x=0.5), D=D, H=H, rng=0, init={"Wh": 0.0})
    hs = made(np.ones((N, T, D)))[0].numpy()
    assert (hs == hs[:, :1]).all() and not (hs[0] == hs[1]).all()


def test_a_layer_that_draws_nothing_keeps_no_generator():
    assert layer().rngs == {} and layer().rng is None


# -- what the call accepts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_cell_may_be_given_by_its_name_and_a_generator_by_its_seed(name):
    same(Recurrent(name, D=D, H=H, rng=0).params.values(), layer(BUILT_IN[name]).params.values())


@pytest.mark.parametrize("kind", [np.asarray, tg.Tensor], ids=["arrays", "Tensors"])
def test_xs_may_be_a_list_over_time(kind):
    made, steps = layer(), [kind(xs()[:, t]) for t in range(T)]
    want, _ = made(xs())
    same([made(steps)[0], made(tuple(steps))[0], made(xs().tolist())[0]], [want] * 3)


def test_gradients_reach_a_list_over_time():
    steps = [tg.Tensor(xs()[:, t], requires_grad=True) for t in range(T)]
    layer()(steps)[0].sum().backward()
    assert all(step.grad.any() for step in steps)


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


def test_set_state_of_h_alone_leaves_c_at_zero():
    made, (h, _) = layer(stateful=True), state_of(tg.lstm)
    want, _ = layer()(xs(), (h, np.zeros_like(h)))
    for given in ((h,), (h, None), ((h,),)):
        made.set_state(*given)
        same([made(xs())[0]], [want])
    made.set_state(layer()(xs())[1])  # the tuple that a call returns
    same(made.state, layer()(xs())[1])


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
        lambda: layer(stateful=True).set_state(),
        "Recurrent(lstm): set_state got 0 arrays, should be 1 to 2: h, c",
    ),
    "set_state with too many": (
        lambda: layer(tg.rnn, stateful=True).set_state(*state_of(tg.lstm)),
        "Recurrent(rnn): set_state got 2 arrays, should be 1: h",
    ),
    "set_state without the first": (
        lambda: layer(stateful=True).set_state(None, np.zeros((N, H))),
        "Recurrent(lstm): set_state got None first, should be 1 to 2: h, c",
    ),
    "the name of no cell": (
        lambda: layer("lstmm"),
        f"Recurrent: cell is 'lstmm', should be a cell, or one of {', '.join(BUILT_IN)}",
    ),
    "the equations without @cell": (
        lambda: layer(sized.function),
        "Recurrent: cell is a function, should be a cell: equations under @cell; put @cell above it",
    ),
    "no generator": (
        lambda: Recurrent(tg.lstm, D=D, H=H, rng=None),
        "Recurrent: rng is missing, should be a NumPy generator or a seed: rng=np.random.default_rng(0)",
    ),
    "a list of sequences": (
        lambda: layer()([np.zeros((4, D)), np.zeros((2, D))]),
        "Recurrent: xs is a list of arrays (4, 3), (2, 3), should be an array (N, T, D), or a list over time of arrays "
        "(N, D)",
    ),
    "a list of arrays over other axes": (
        lambda: layer()([xs()]),
        "Recurrent: xs is a list of arrays (2, 4, 3), should be an array (N, T, D), or a list over time of arrays "
        "(N, D)",
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
        "lstm.init: missing size H, should be given, such as H=100, or be a number in Param",
    ),
    "a cell without its sizes": (
        lambda: Recurrent("lstm", rng=0),
        "lstm.init: missing size D, H, should be given, such as D=100, H=100, or be a number in Param",
    ),
    "too few states at the call": (
        lambda: layer()(xs(), np.zeros((N, H))),
        "lstm: got 1 state, should be 2: h, c",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_misuse_is_refused_in_words(case):
    call, text = REFUSED[case]
    with pytest.raises(tg.Error, match=f"^{re.escape(text)}$"):
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


def test_a_cell_without_parameters_runs_in_float32():
    @tg.cell
    def total(x, h):
        return x + h

    hs, _ = Recurrent(total, rng=0)(xs(), np.zeros((N, D)))
    np.testing.assert_allclose(hs.numpy(), np.cumsum(xs(), axis=1), rtol=1e-5)
