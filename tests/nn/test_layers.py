"""Embedding and Linear: shapes, dtypes, where they start, gradients."""

import copy
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import Embedding, Linear, Module


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (1, 3, 2)], ids=str)
def test_layers_take_any_leading_axes(lead):
    ids = rng().integers(0, 5, lead)
    vectors = Embedding(5, 3, rng=rng())(ids)
    assert vectors.shape == (*lead, 3) and vectors.dtype == np.float32
    scores = Linear(3, 5, rng=rng())(vectors)
    assert scores.shape == (*lead, 5) and scores.dtype == np.float32


def test_embedding_gives_the_rows_of_its_matrix():
    layer, ids = Embedding(5, 3, rng=rng()), np.array([[4, 0, 4], [1, 1, 2]])
    np.testing.assert_array_equal(layer(ids).numpy(), layer.W.numpy()[ids])


def test_the_gradient_of_an_embedding_adds_up_over_equal_words():
    layer = Embedding(5, 2, rng=rng(), dtype=np.float64)
    dy = rng(1).standard_normal((2, 3, 2))
    ids = np.array([[4, 0, 4], [1, 4, 2]])
    layer(ids).backward(dy)
    want = np.zeros((5, 2))
    for n in range(2):
        for t in range(3):
            want[ids[n, t]] += dy[n, t]
    np.testing.assert_allclose(layer.W.grad, want, rtol=0, atol=1e-15)


def test_linear_is_x_W_plus_b_and_so_are_its_gradients():
    layer = Linear(3, 5, rng=rng(), dtype=np.float64)
    layer.load_state_dict({"W": rng(1).standard_normal((3, 5)), "b": rng(2).standard_normal(5)})
    x, dy = tg.tensor(rng(3).standard_normal((2, 4, 3)), requires_grad=True), rng(4).standard_normal((2, 4, 5))
    y = layer(x)
    W, b = layer.W.numpy(), layer.b.numpy()
    dx, dW, db = np.zeros((2, 4, 3)), np.zeros((3, 5)), np.zeros(5)
    for n in range(2):
        for t in range(4):
            for v in range(5):
                want = b[v] + sum(x.data[n, t, h] * W[h, v] for h in range(3))
                assert abs(y.numpy()[n, t, v] - want) < 1e-13
                db[v] += dy[n, t, v]
                for h in range(3):
                    dx[n, t, h] += dy[n, t, v] * W[h, v]
                    dW[h, v] += dy[n, t, v] * x.data[n, t, h]
    y.backward(dy)
    for got, want in ((x.grad, dx), (layer.W.grad, dW), (layer.b.grad, db)):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-13)


def test_layers_start_as_in_the_book():
    W = Embedding(1000, 50, rng=rng()).W.numpy()
    assert abs(W.std() - 0.01) < 2e-4 and abs(W.mean()) < 2e-4
    layer = Linear(400, 200, rng=rng())
    assert abs(layer.W.numpy().std() - 1 / 20) < 1e-3
    assert (layer.b.numpy() == 0).all() and layer.b.dtype == np.float32


def test_init_is_a_scheme_a_number_or_an_array():
    assert (Linear(2, 3, rng=rng(), init=0.5).W.numpy() == 0.5).all()
    given = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Embedding(2, 3, rng=rng(), init=given).W.numpy(), given.astype("f"))
    np.testing.assert_array_equal(
        Linear(3, 3, rng=rng(), init="orthogonal").W.numpy(), tg.init.orthogonal(rng(), (3, 3)).astype("f")
    )
    with pytest.raises(ValueError, match=re.escape("Linear: W: init is 'best', should be one of zeros, book, ")):
        Linear(2, 3, rng=rng(), init="best")
    with pytest.raises(ValueError, match=r"^Embedding: W: init gave shape \(3,\), should be \(2, 3\)$"):
        Embedding(2, 3, rng=rng(), init=np.zeros(3))


def test_the_generator_decides_and_is_an_argument():
    np.testing.assert_array_equal(Linear(2, 3, rng=rng(7)).W.numpy(), Linear(2, 3, rng=rng(7)).W.numpy())
    assert not np.array_equal(Linear(2, 3, rng=rng(7)).W.numpy(), Linear(2, 3, rng=rng(8)).W.numpy())


@pytest.mark.parametrize("own", [np.float32, np.float64])
@pytest.mark.parametrize("given", [np.float16, np.float32, np.float64, np.int64])
def test_inputs_are_cast_to_the_dtype_of_the_layer(own, given):
    layer = Linear(3, 4, rng=rng(), dtype=own)
    x = np.ones((2, 3), given)
    assert layer(x).dtype == own
    if np.dtype(given).kind == "f":
        x = tg.Tensor(x, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad.dtype == given and layer.W.grad.dtype == own


def test_wrong_inputs_are_refused_in_words():
    with pytest.raises(IndexError, match=r"^embedding: ids holds 5, should be from 0 to 4"):
        Embedding(5, 3, rng=rng())(np.array([0, 5]))
    with pytest.raises(TypeError, match=r"^embedding: ids is float64, should be integers"):
        Embedding(5, 3, rng=rng())(np.array([0.0, 1.0]))
    with pytest.raises(tg.ShapeError, match=r"^affine: .* is 4 in x \(2, 4\) but 3 in w \(3, 5\)$"):
        Linear(3, 5, rng=rng())(np.ones((2, 4)))


# -- options of Linear and Embedding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "gelu", "softmax"])
def test_an_activation_is_applied_by_name_or_as_a_function(name):
    plain, x = Linear(3, 4, rng=0), rng(1).standard_normal((2, 3)).astype("f")
    want = getattr(tg, name)(plain(x)).numpy()
    np.testing.assert_array_equal(Linear(3, 4, rng=0, activation=name)(x).numpy(), want)
    np.testing.assert_array_equal(Linear(3, 4, rng=0, activation=getattr(tg, name))(x).numpy(), want)


def test_without_bias_y_is_x_W():
    layer, x = Linear(3, 4, rng=0, bias=False), rng(1).standard_normal((2, 5, 3)).astype("f")
    assert list(layer.params) == ["W"] and layer.b is None
    np.testing.assert_allclose(layer(x).numpy(), x @ layer.W.numpy(), rtol=1e-6)


def test_a_tied_layer_adds_both_gradients_into_the_embedding():
    model = Module()
    model.embed = Embedding(5, 3, rng=0, dtype=np.float64)
    model.affine = Linear(3, 5, tied=model.embed)
    assert list(model.params) == ["embed.W", "affine.b"] and list(model.state_dict()) == ["embed.W", "affine.b"]
    assert model.affine.weight.shape == (3, 5) and model.affine.b.dtype == np.float64
    ids, dy = np.array([[0, 4, 4]]), rng(2).standard_normal((1, 3, 5))
    model.affine(model.embed(ids)).backward(dy)
    W = model.embed.W.numpy()
    want = dy[0].T @ W[ids[0]]
    np.add.at(want, ids[0], dy[0] @ W)
    np.testing.assert_allclose(model.embed.W.grad, want, rtol=1e-13)
    again = copy.deepcopy(model)
    assert again.affine.tied is again.embed and list(again.params) == ["embed.W", "affine.b"]


def test_pretrained_vectors_are_copied_and_may_be_frozen():
    vectors = rng().standard_normal((5, 3))
    layer = Embedding(weights=vectors, frozen=True)
    np.testing.assert_array_equal(layer.W.numpy(), vectors.astype("f"))
    assert layer.params == {} and list(layer.state_dict()) == ["W"]
    vectors[:] = 0
    assert layer.W.numpy().all()
    assert list(Embedding(5, 3, weights=tg.Tensor(vectors)).params) == ["W"]


REFUSED = {
    "vectors of other sizes": (
        lambda: Embedding(5, 4, weights=np.zeros((5, 3))), "Embedding: weights is (5, 3), should be (5, 4)"),
    "vectors that are no matrix": (
        lambda: Embedding(weights=np.zeros(3)), "Embedding: weights is (3,), should be (V, D)"),
    "no sizes": (
        lambda: Embedding(5, rng=0),
        "Embedding: sizes are missing, should be Embedding(V, D, rng=rng), or weights=vectors"),
    "no generator": (
        lambda: Embedding(5, 3),
        "Embedding: rng is missing, should be a NumPy generator or a seed: rng=np.random.default_rng(0)"),
    "a size of 0": (lambda: Linear(0, 3, rng=0), "Linear: H is 0, should be a whole number from 1"),
    "a size that is no whole number": (
        lambda: Embedding(5.0, 3, rng=0), "Embedding: V is 5.0, should be a whole number from 1"),
    "an unknown activation": (
        lambda: Linear(3, 4, rng=0, activation="step"),
        "Linear: activation is 'step', should be a function, or an operation such as exp, tanh, sigmoid, relu, "
        "leaky_relu, elu, silu, softplus, hard_sigmoid, gelu"),
    "tied to an array": (
        lambda: Linear(3, 4, tied=np.zeros((4, 3))),
        "Linear: tied is a ndarray, should be an Embedding: Linear(..., tied=embed)"),
    "tied to an embedding of another shape": (
        lambda: Linear(4, 3, tied=Embedding(4, 3, rng=0)),
        "Linear: the tied embedding is (4, 3), should be (V, H) = (3, 4)"),
    "tied to an embedding of another dtype": (
        lambda: Linear(3, 4, tied=Embedding(4, 3, rng=0), dtype="d"),
        "Linear: the tied embedding is float32, should be float64 as the layer is"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_misuse_is_refused_in_words(case):
    call, text = REFUSED[case]
    with pytest.raises(tg.Error, match=f"^{re.escape(text)}$"):
        call()
