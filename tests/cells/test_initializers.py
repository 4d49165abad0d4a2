"""Where parameters start: schemes by name, number, function and array, for whole parameters and for single blocks."""

import functools

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import assert_same, refusal
from tinygrad_rnn import Param, cell


def test_init_is_float32_leaves_by_name_in_order():
    params = tg.lstm.init(np.random.default_rng(0), D=3, H=5)
    assert {name: one.shape for name, one in params.items()} == {"Wx": (3, 20), "Wh": (5, 20), "b": (20,)}
    assert all(one.dtype == np.float32 and one.requires_grad and one.name == name for name, one in params.items())
    again = tg.lstm.init(np.random.default_rng(0), D=3, H=5)
    assert_same(params_as_arrays(params), params_as_arrays(again))


GRID = np.arange(15.0).reshape(3, 5)


def params_as_arrays(params):
    return {name: one.numpy() for name, one in params.items()}


def test_forget_bias_is_one_where_it_is_asked_for():
    asked = tg.lstm.init(np.random.default_rng(0), D=3, H=5, init={"b": {"f": 1.0}})
    assert asked["b"].tolist() == [1.0] * 5 + [0.0] * 15

    @cell
    def remembers(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio", init={"f": 1.0})):
        return tg.lstm.step(x, (h, c), {"Wx": Wx, "Wh": Wh, "b": b}, check=False)

    assert remembers.init(np.random.default_rng(0), D=3, H=5)["b"].tolist() == asked["b"].tolist()


def test_layer_norm_starts_with_gain_one():
    params = tg.layer_norm_lstm.init(np.random.default_rng(0), D=3, H=5)
    assert all((params[name].numpy() == 1).all() for name in ("gx", "gh", "gc"))
    assert not params["bc"].numpy().any()


def test_schemes_by_name_number_function_and_array():
    given = {
        "Wx": {"f": "zeros", "g": 2.0, "i": lambda rng, shape: np.full(shape, 3.0), "o": GRID},
        "Wh": "orthogonal", "b": np.arange(20.0),
    }  # fmt: skip
    params = params_as_arrays(tg.lstm.init(np.random.default_rng(0), D=3, H=5, init=given, dtype=np.float64))
    blocks = np.split(params["Wx"], 4, axis=1)
    assert [np.unique(one).tolist() for one in blocks[:3]] == [[0], [2], [3]]
    assert blocks[3].tolist() == GRID.tolist()
    for one in np.split(params["Wh"], 4, axis=1):  # each gate's own matrix, not the stack of them
        np.testing.assert_allclose(one.T @ one, np.eye(5), atol=1e-14)
    assert params["b"].tolist() == list(range(20))


@pytest.mark.parametrize(("scheme", "deviation"), [
    ("book", 0.1), ("uniform", 0.1 / np.sqrt(3)), ("xavier", np.sqrt(2 / 300)), ("he", np.sqrt(0.02)),
    ("embedding", 0.01), ("orthogonal", np.sqrt(1 / 200)), ("zeros", 0.0),
])  # fmt: skip
def test_spread_of_the_schemes(scheme, deviation):
    (W,) = [tg.rnn.init(np.random.default_rng(0), D=100, H=200, init={"Wx": scheme})["Wx"].numpy()]
    assert W.std() == pytest.approx(deviation, rel=0.02)
    assert abs(W.mean()) <= 0.01 * deviation + 1e-12


# -- what is refused -------------------------------------------------------------------------------------------------

INITS = {
    "missing size": ({"D": 3}, "InvalidType: lstm.init: missing size H"),
    "unknown size": ({"D": 3, "H": 4, "P": 2}, "InvalidType: lstm.init: has no size P, only D, H"),
    "parameter as size": ({"D": 3, "H": 4, "Wx": 2}, "InvalidType: lstm.init: has no size Wx, only D, H"),
    "float": ({"D": 3, "H": 4.0}, "InvalidValue: lstm.init: H is 4.0, should be a whole number from 1"),
    "zero": ({"D": 0, "H": 4}, "InvalidValue: lstm.init: D is 0, should be a whole number from 1"),
    "unknown parameter": ({"init": {"U": 0.0}}, "InvalidType: lstm.init: has no parameter U, only Wx, Wh, b"),
    "size as parameter": ({"init": {"H": 0.0}}, "InvalidType: lstm.init: has no parameter H, only Wx, Wh, b"),
    "unknown scheme": (
        {"init": {"Wx": "glorot"}},
        "InvalidValue: lstm: Wx.f: init is 'glorot', should be one of "
        "zeros, book, embedding, normal, uniform, xavier, he, orthogonal"),
    "unknown scheme of a block": (
        {"init": {"Wx": {"i": "ones"}}},
        "InvalidValue: lstm: Wx.i: init is 'ones', should be one of "
        "zeros, book, embedding, normal, uniform, xavier, he, orthogonal"),
    "unknown block": (
        {"init": {"b": {"q": 1.0}}}, "InvalidValue: lstm: b: init names block 'q', should be among f, g, i, o"),
    "orthogonal vector": (
        {"init": {"b": "orthogonal"}},
        "InvalidValue: lstm: b.f: init is 'orthogonal' for (4,), should be for a matrix"),
    "shape of an array": (
        {"init": {"b": np.zeros(4)}}, "InvalidValue: lstm: b: init gave shape (4,), should be (16,)"),
    "shape of a block": (
        {"init": {"b": {"f": np.zeros(3)}}}, "InvalidValue: lstm: b.f: init gave shape (3,), should be (4,)"),
    "shape from a function": (
        {"init": {"Wx": lambda rng, shape: np.zeros(2)}},
        "InvalidValue: lstm: Wx.f: init gave shape (2,), should be (3, 4)"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "text"), INITS.values(), ids=INITS)
def test_init_that_cannot_be(options, text):
    sizes = {} if "D" in options else {"D": 3, "H": 4}
    assert refusal(functools.partial(tg.lstm.init, np.random.default_rng(0)), **sizes, **options) == text
