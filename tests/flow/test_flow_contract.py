"""gradient_flow changes nothing, keeps nothing, takes long sequences, and says what is wrong."""

import copy
import gc
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import GraphError, Tensor
from tinygrad_rnn.flow import gradient_flow


def loss(T=5, **options):
    params = tg.lstm.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    hs, _ = tg.scan(tg.lstm, np.random.default_rng(1).standard_normal((2, T, 3)), None, params, **options)
    return (hs * hs).sum(), params


def test_nothing_changes():
    y, params = loss()
    other, untouched = loss()
    state = np.random.get_state()[1].tolist()
    gradient_flow(y)
    assert [one.grad for one in params.values()] == [None] * 3
    assert np.random.get_state()[1].tolist() == state
    gradient_flow(y)
    y.backward()
    other.backward()
    for name in params:
        assert np.array_equal(params[name].grad, untouched[name].grad)
    before = params["Wx"].grad.copy()
    gradient_flow(loss()[0])
    assert np.array_equal(params["Wx"].grad, before)


def test_it_looks_after_a_backward_that_retained_the_graph():
    y, _ = loss()
    before = gradient_flow(y)
    y.backward(retain_graph=True)
    assert gradient_flow(y) == before


def test_a_generator_that_a_cell_gets_is_left_alone():
    rng = np.random.default_rng(0)
    before = copy.deepcopy(rng.bit_generator.state)
    flow = gradient_flow(tg.zoneout(tg.lstm, h=0.5), steps=4, rng=rng)
    assert rng.bit_generator.state == before
    assert list(flow.layers[0].weights) == ["Wx", "Wh", "b"]


def test_parameters_that_are_given_are_left_alone():
    params = tg.gru.init(np.random.default_rng(0), D=3, H=4)
    flow = gradient_flow(tg.gru, steps=3, N=2, params=params)
    assert all(one.grad is None for one in params.values())
    arrays = {name: one.numpy() for name, one in params.items()}
    assert gradient_flow(tg.gru, steps=3, N=2, params=arrays) == flow


def test_the_result_keeps_no_graph():
    gc.collect()
    gc.disable()
    try:
        y, params = loss()
        node = weakref.ref(y.node)
        flow = gradient_flow(y)
        del y, params
        assert node() is None
        assert flow.layers[0].states["h"][0] > 0
    finally:
        gc.enable()


def test_a_cell_gives_the_same_every_time_and_another_seed_another_run():
    assert gradient_flow(tg.lstm, steps=4) == gradient_flow(tg.lstm, steps=4)
    assert gradient_flow(tg.lstm, steps=4) != gradient_flow(tg.lstm, steps=4, seed=1)


def test_it_records_under_no_grad_too():
    with tg.no_grad():
        assert gradient_flow(tg.lstm, steps=4) == gradient_flow(tg.lstm, steps=4)


def test_all_outputs_or_the_last():
    last, every = (gradient_flow(tg.gru, steps=6, dy=dy).layers[0] for dy in ("last", "all"))
    assert last.states["h"][-1] == every.states["h"][-1] == pytest.approx(np.sqrt(5))
    assert every.states["h"][0] > last.states["h"][0]


def test_thousands_of_steps(trials):
    steps = trials(1500, 5000)
    flow = gradient_flow(tg.lstm, steps=steps, D=2, H=3, jacobian=False)
    (layer,) = flow.layers
    assert len(layer.states["c"]) == steps and layer.verdict == "vanishing"
    assert list(flow.truncation) == [1 << k for k in range(steps.bit_length())]
    assert len(flow.table().splitlines()) < 60


def test_steps_outside_of_a_checkpoint():
    params = tg.rnn.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    x = np.ones((2, 3))

    @tg.checkpoint
    def hidden(h, Wx, Wh, b):
        return tg.rnn(x, h, Wx=Wx, Wh=Wh, b=b)

    h = hidden(np.zeros((2, 4)), *params.values())
    with pytest.raises(GraphError, match="outside of any checkpoint"):
        gradient_flow(h.sum())
    for _ in range(3):
        h = tg.rnn(x, h, **params)
    flow = gradient_flow(h.sum())
    assert len(flow.layers[0].times) == 3 and flow.layers[0].initial["h"] > 0
    assert list(flow.truncation) == [1, 2]


def test_gradients_beyond_what_squares_can_hold():
    params = {"Wx": np.zeros((1, 2)), "Wh": np.eye(2), "b": np.zeros(2)}
    shrunk = gradient_flow(tg.rnn, steps=300, params={**params, "Wh": 0.1 * np.eye(2)}, jacobian=False).layers[0]
    assert shrunk.states["h"][0] == pytest.approx(np.sqrt(2) * 1e-299)
    assert (shrunk.verdict, shrunk.rates["h"]) == ("vanishing", pytest.approx(0.1))
    grown = gradient_flow(tg.rnn, steps=400, params={**params, "Wh": 10 * np.eye(2)}).layers[0]
    assert not np.isfinite(grown.states["h"][0])
    assert (grown.verdict, grown.rates["h"]) == ("exploding", pytest.approx(10))
    assert "exploding" in grown.sentence


# -- what is wrong -----------------------------------------------------------------------------------------------------


def test_a_graph_that_is_used_up():
    y, _ = loss()
    y.backward()
    with pytest.raises(GraphError, match=r"call gradient_flow before backward\(\), or backward\(retain_graph=True\)"):
        gradient_flow(y)


def test_no_cell_ran():
    w = Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(GraphError, match="gradient_flow: no cell ran on the way to this tensor; it should be made by"):
        gradient_flow((w * 2).sum())
    with pytest.raises(GraphError, match="gradient_flow: this tensor depends on nothing that was made with requires_g"):
        gradient_flow(Tensor(np.ones(3)))


@pytest.mark.parametrize(("target", "options", "error", "text"), [
    ({}, {}, TypeError, "target is a dict, should be a Tensor or a cell"),
    ((1, 2), {}, TypeError, "target is a tuple, should be a Tensor or a cell"),
    ("gru", {}, TypeError, "target is a str, should be a Tensor or a cell; write gradient_flow(gru), without quotes"),
    ({"loss": Tensor(1.0)}, {}, TypeError,
     "target is a dict, should be a Tensor or a cell; an item fits: write gradient_flow(...['loss'])"),
    ([tg.lstm], {}, TypeError,
     "target is a list, should be a Tensor or a cell; an item fits: write gradient_flow(...[0])"),
    (np.ones(2), {}, TypeError, "target is a ndarray, should be a Tensor or a cell; an array has no graph: give "
     "the Tensor that it was taken from"),
    (tg.nn.Recurrent, {}, TypeError,
     "target is a type, should be a Tensor or a cell; Recurrent is a class: create an instance first"),
    (tg.nn.Recurrent(tg.lstm, D=2, H=3, rng=np.random.default_rng(0)), {}, TypeError,
     "target is a Recurrent, should be a Tensor or a cell; its cell fits: write gradient_flow(....cell)"),
    (tg.lstm, {"steps": 0}, ValueError, "steps is 0, should be a whole number from 1"),
    (tg.lstm, {"steps": 2.5}, ValueError, "steps is 2.5, should be a whole number from 1"),
    (tg.lstm, {"N": -1}, ValueError, "N is -1, should be a whole number from 1"),
    (tg.lstm, {"dy": "first"}, ValueError, "dy is 'first', should be one of last, all"),
    (tg.lstm, {"threshold": 1.5}, ValueError, "threshold is 1.5, should be more than 0.5 and less than 1"),
    (tg.lstm, {"H": 5, "params": tg.lstm.init(np.random.default_rng(0), D=3, H=4)}, ValueError,
     "H is 4 in params but 5 was asked for"),
])  # fmt: skip
def test_a_wrong_argument(target, options, error, text):
    with pytest.raises(error) as caught:
        gradient_flow(target, **options)
    assert str(caught.value) == f"gradient_flow: {text}"


def test_a_size_that_the_cell_does_not_have():
    with pytest.raises(TypeError, match="lstm: Q is not a size of this cell"):
        gradient_flow(tg.lstm, Q=3)


@pytest.mark.parametrize("options", [{"H": 3}, {"params": {}}, {"steps": 3}, {"dy": "all"}, {"seed": 1}])
def test_what_is_for_cells_only(options):
    with pytest.raises(TypeError, match=f"a Tensor has the steps and sizes it has; got {next(iter(options))}"):
        gradient_flow(loss()[0], **options)
