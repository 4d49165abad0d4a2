"""`state_dict` of an optimiser: a resumed run equals an uninterrupted one bit for bit; what does not fit is refused."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.optim import OPTIMIZERS, SGD, Adam, Optimizer

SHAPES = {"W": (3, 2), "W.m": (2,), "late": (4,)}


def leaves(dtype="f"):
    rng = np.random.default_rng(0)
    return {name: tg.tensor(rng.standard_normal(shape).astype(dtype), True) for name, shape in SHAPES.items()}


def steps(optimizer: Optimizer, first: int, last: int) -> None:
    for step in range(first, last):
        optimizer.lr *= 0.9
        if step == 2 and hasattr(optimizer, "trigger"):
            optimizer.trigger()
        for k, (name, tensor) in enumerate(optimizer.params.items()):
            g = np.random.default_rng([step, k]).standard_normal(tensor.shape)
            tensor.grad = None if name == "late" and step < 6 else g
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(name):
    whole, before, after = leaves(), leaves(), leaves()
    uninterrupted = OPTIMIZERS[name](whole, lr=0.1)
    steps(uninterrupted, 0, 9)
    stopped = OPTIMIZERS[name](before, lr=0.1)
    steps(stopped, 0, 5)
    state = {key: np.asarray(value) for key, value in stopped.state_dict().items()}  # as a file of arrays gives it
    for key, tensor in after.items():
        tensor.data[...] = before[key].data
    steps(stopped, 5, 7)  # the state is a copy
    resumed = OPTIMIZERS[name](after, lr=5.0)
    resumed.load_state_dict(state)
    steps(resumed, 5, 9)
    for key in SHAPES:
        np.testing.assert_array_equal(after[key].numpy(), whole[key].numpy())
    assert resumed.state_dict().keys() == uninterrupted.state_dict().keys()
    for key, value in uninterrupted.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[key], value)


def test_names_are_those_of_the_parameters_and_values_arrays_or_numbers():
    optimizer = Adam(leaves(), lr=0.1)
    assert optimizer.state_dict() == {"lr": 0.1}
    steps(optimizer, 0, 3)
    state = optimizer.state_dict()
    assert list(state) == ["lr", "W.m", "W.v", "W.t", "W.m.m", "W.m.v", "W.m.t"]
    assert state["W.t"] == 3 and state["W.m"].shape == (3, 2) and state["W.m.m"].dtype == np.float32
    assert list(SGD(leaves(), lr=1).state_dict()) == ["lr"]


def test_a_loaded_state_is_a_copy():
    optimizer, other = (Adam(leaves(), lr=0.1) for _ in range(2))
    steps(optimizer, 0, 1)
    state = optimizer.state_dict()
    other.load_state_dict(state)
    steps(other, 1, 2)
    np.testing.assert_array_equal(state["W.v"], optimizer.state_dict()["W.v"])


KEEPS = "should be the state of Adam, which keeps m, v, t for each of W, W.m, late"
WRONG = {
    "missing": (lambda state: state.pop("W.v"), f"W.v missing, {KEEPS}"),
    "no lr": (lambda state: state.pop("lr"), f"lr missing, {KEEPS}"),
    "unknown": (lambda state: state.update({"other.m": 1, "W.x": 2}), f"other.m, W.x unknown, {KEEPS}"),
    "shape": (lambda state: state.update({"W.m": np.zeros((2, 3), "f")}),
              "W.m is float32 (2, 3), should be float32 (3, 2)"),
    "dtype": (lambda state: state.update({"W.m": np.zeros((3, 2))}), "W.m is float64 (3, 2), should be float32 (3, 2)"),
    "number": (lambda state: state.update({"W.t": np.zeros(2)}), "W.t is float64 (2,), should be a number"),
    "text": (lambda state: state.update({"lr": "0.1"}), "lr is <U3 (), should be a number"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_set(case):
    optimizer, change = Adam(leaves(), lr=0.1), WRONG[case][0]
    steps(optimizer, 0, 3)
    state, before = optimizer.state_dict(), optimizer.state_dict()
    state["W.m.m"], state["lr"] = state["W.m.m"] + 1, 3.0
    change(state)
    text = f"Adam.load_state_dict: {WRONG[case][1]}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        optimizer.load_state_dict(state)
    for key, value in before.items():
        np.testing.assert_array_equal(optimizer.state_dict()[key], value)


def test_the_state_of_another_optimiser_is_refused():
    momentum = OPTIMIZERS["momentum"](leaves(), lr=0.1)
    steps(momentum, 0, 2)
    with pytest.raises(tg.Error, match=r"^SGD.load_state_dict: W.v, W.m.v unknown, should be the state of SGD, which "
                                       r"keeps nothing for each of W, W.m, late$"):  # fmt: skip
        SGD(leaves(), lr=0.1).load_state_dict(momentum.state_dict())
