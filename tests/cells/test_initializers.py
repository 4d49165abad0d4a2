"""Where parameters start: schemes by name, number, function and array, for whole parameters and for single blocks."""

import functools

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import assert_same, refusal
from tinygrad_rnn import Param, cell
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cells.probe import probe


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


# -- the fan ----------------------------------------------------------------------------------------------------------


@cell
def turned(x, h, *, Wx=Param("H D"), Wh=Param("H H", "ab"), b=Param("H")):
    """The convention of columns: W (out, in), used as x @ W.T."""
    return tg.tanh(x @ Wx.T + h @ Wh.a.T + (h * h) @ Wh.b.T + b)


def test_the_fan_is_the_axis_that_the_product_sums():
    """W (25, 400) used as x @ W.T has 400 inputs."""
    params = turned.init(0, dtype=np.float64, D=400, H=25)
    assert params["Wx"].numpy().std() == pytest.approx(1 / np.sqrt(400), rel=0.03)
    plain = tg.rnn.init(0, dtype=np.float64, D=400, H=25)
    np.testing.assert_array_equal(params["Wx"].numpy(), plain["Wx"].numpy().T)


@pytest.mark.parametrize("scheme", ["book", "uniform", "xavier", "he", "orthogonal", "normal"])
def test_a_transposed_matrix_starts_as_the_transpose(scheme):
    params = turned.init(0, D=7, H=5, init={"Wx": scheme})
    plain = tg.rnn.init(0, D=7, H=5, init={"Wx": scheme})
    np.testing.assert_array_equal(params["Wx"].numpy(), plain["Wx"].numpy().T)


def test_functions_and_arrays_are_not_turned():
    params = turned.init(0, D=3, H=5, init={"Wx": lambda rng, shape: np.arange(15.0).reshape(shape)})
    assert params["Wx"].numpy().tolist() == np.arange(15.0).reshape(5, 3).tolist()
    params = turned.init(0, D=3, H=5, init={"Wx": np.arange(15.0).reshape(5, 3)})
    assert params["Wx"].numpy().tolist() == np.arange(15.0).reshape(5, 3).tolist()


def test_the_fan_of_other_uses():
    @cell
    def bilinear(x, h, *, V=Param("D H H"), W=Param("H D"), p=Param("H H")):
        return tg.tanh(tg.einsum("nd,dij,nj->ni", x, V, h) + tg.matmul(x, tg.swapaxes(W, 0, 1)) + h @ (p * p))

    assert probe(bilinear).fans == {"V": (0, 2), "W": (1,), "p": (0,)}
    params = bilinear.init(0, dtype=np.float64, D=40, H=30)
    assert params["V"].numpy().std() == pytest.approx(1 / np.sqrt(40 * 30), rel=0.03)


def test_the_fan_that_the_param_says():
    def deviation(**options):
        @cell
        def joint(x, h, *, A=Param("D H", **options), B=Param("H H", **options)):
            return tg.tanh(tg.concatenate([x, h], axis=-1) @ tg.concatenate([A, B], axis=0))

        return joint.init(0, dtype=np.float64, D=300, H=100)["A"].numpy().std()

    assert deviation() == pytest.approx(1 / np.sqrt(300), rel=0.02)
    assert deviation(fan="D+H") == pytest.approx(1 / np.sqrt(400), rel=0.02)
    assert deviation(fan="H") == pytest.approx(1 / np.sqrt(100), rel=0.02)
    assert deviation(fan=25) == pytest.approx(1 / 5, rel=0.02)


def test_a_cell_that_cannot_be_probed_has_the_first_axis_as_its_fan():
    @cell
    def needs(x, h, *, W=Param("H D"), rate):
        return rate * h + tg.tanh(x @ W.T)

    @cell
    def fails(x, h, *, W=Param("H D")):
        raise RuntimeError("no")

    for each in (needs, fails):
        assert each.init(0, dtype=np.float64, D=400, H=25)["W"].numpy().std() == pytest.approx(1 / 5, rel=0.03)


@pytest.mark.parametrize("builtin", BUILT_IN.values(), ids=BUILT_IN)
def test_built_in_cells_start_with_the_numbers_of_the_plain_scheme(builtin):
    """Every block is drawn in turn, normal with deviation 1/√n, n its rows, whatever the equations tell."""
    rng, sizes = np.random.default_rng(3), {"D": 7, "H": 5}
    for name, tensor in builtin.init(np.random.default_rng(3), dtype=np.float64, **sizes).items():
        param = builtin.params[name]
        if len(param.words) == 2:
            shape = tuple(sizes[word] for word in param.words)
            blocks = [rng.standard_normal(shape) / np.sqrt(shape[0]) for _ in param.blocks or [""]]
            np.testing.assert_array_equal(tensor.numpy(), np.concatenate(blocks, axis=1))


# -- what is refused -------------------------------------------------------------------------------------------------

INITS = {
    "missing size": (
        {"D": 3}, "InvalidType: lstm.init: missing size H, should be given, such as H=100, or be a number in Param"),
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
