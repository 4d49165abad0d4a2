"""Dropout and normalisation: what they compute in training and in evaluation."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import BatchNorm, Dropout, LayerNorm, Module, VariationalDropout

RATE = 0.25


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, "f")


@pytest.mark.parametrize("kind", [Dropout, VariationalDropout])
def test_in_training_elements_are_zero_or_scaled_and_in_evaluation_unchanged(kind):
    layer, x = kind(RATE, rng=0), ones(40, 5, 30)
    y = layer(x).numpy()
    assert sorted(dict.fromkeys(y.ravel().tolist())) == pytest.approx([0, 1 / (1 - RATE)]) and y.dtype == np.float32
    assert abs((y == 0).mean() - RATE) < 0.03
    assert not np.array_equal(layer(x).numpy(), y)
    before = layer.rng.bit_generator.state
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x)
    assert layer.rng.bit_generator.state == before and list(layer.rngs) == ["rng"]


def test_the_mode_decides_and_not_no_grad():
    with tg.no_grad():
        assert (Dropout(RATE, rng=0)(ones(40, 5)).numpy() == 0).any()


def test_a_variational_mask_holds_for_all_steps_and_differs_between_rows():
    y = VariationalDropout(0.5, rng=0)(ones(4, 6, 8)).numpy()
    assert (y == y[:, :1]).all() and not (y == y[:1]).all()


@pytest.mark.parametrize("kind", [Dropout, VariationalDropout])
def test_the_gradient_goes_through_the_mask(kind):
    x = tg.tensor(ones(4, 6, 8), requires_grad=True)
    y = kind(0.5, rng=0)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.numpy())


def test_rate_zero_draws_nothing():
    layer = Dropout(0.0, rng=0)
    before = layer.rng.bit_generator.state
    np.testing.assert_array_equal(layer(ones(3, 4)).numpy(), ones(3, 4))
    assert layer.rng.bit_generator.state == before


@pytest.mark.parametrize("shape", [(50, 3), (10, 6, 3)], ids=str)
def test_batch_norm_in_training_has_mean_0_and_deviation_1_and_evaluation_agrees_later(shape):
    layer, x = BatchNorm(3, momentum=0.5, dtype="d"), np.random.default_rng(0).normal(5, 2, shape)
    axes = tuple(range(x.ndim - 1))
    for _ in range(60):
        y = layer(x).numpy()
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axes), 1, atol=1e-5)
    np.testing.assert_allclose(layer.running_mean.numpy(), x.mean(axes), rtol=1e-12)
    count = x.size / 3
    np.testing.assert_allclose(layer.running_var.numpy(), x.var(axes) * count / (count - 1), rtol=1e-12)
    evaluated = layer.eval()(x[:1]).numpy()
    np.testing.assert_allclose(evaluated, y[:1] * np.sqrt((count - 1) / count), atol=1e-4)
    assert list(layer.params) == ["gain", "b"]
    assert list(layer.state_dict()) == ["gain", "b", "running_mean", "running_var"]


def test_running_statistics_are_restored_by_load_state_dict():
    trained, fresh = BatchNorm(3), BatchNorm(3)
    trained(np.random.default_rng(0).normal(5, 2, (20, 3)))
    fresh.load_state_dict(trained.state_dict())
    x = ones(1, 3)
    np.testing.assert_array_equal(fresh.eval()(x).numpy(), trained.eval()(x).numpy())


def test_evaluation_changes_no_statistics():
    layer = BatchNorm(3).eval()
    before = layer.state_dict()
    layer(ones(4, 3))
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("make", [lambda: BatchNorm(4, dtype="d"), lambda: LayerNorm(4, dtype="d")])
def test_gradients_of_a_norm_are_right(make):
    layer = make()
    x, dy = np.random.default_rng(0).normal(1, 2, (3, 2, 4)), np.random.default_rng(1).normal(size=(3, 2, 4))

    def loss(x, gain, b):
        layer.gain, layer.b = gain, b
        return (layer(x) * dy).sum()

    tg.check_gradients(loss, x, np.linspace(0.5, 2, 4), np.linspace(-1, 1, 4))


REFUSED = {
    "a rate of 1": (lambda: Dropout(1.0, rng=0), "Dropout: rate is 1.0, should be at least 0 and less than 1"),
    "a negative rate": (
        lambda: VariationalDropout(-0.1, rng=0),
        "VariationalDropout: rate is -0.1, should be at least 0 and less than 1"),
    "no generator": (
        lambda: Dropout(0.5),
        "Dropout: rng is missing, should be a NumPy generator or a seed: rng=np.random.default_rng(0)"),
    "a rate that is no number": (
        lambda: Dropout("0.5", rng=0), "Dropout: rate is '0.5', should be at least 0 and less than 1"),
    "no width": (lambda: LayerNorm(0), "LayerNorm: H is 0, should be a whole number from 1"),
    "no time axis": (
        lambda: VariationalDropout(0.5, rng=0)(ones(2, 3)), "VariationalDropout: xs is (2, 3), should be (N, T, D)"),
    "a width that is another": (
        lambda: LayerNorm(4)(ones(2, 3)), "LayerNorm: x is (2, 3), should be (..., H) with H = 4"),
    "too many axes": (
        lambda: BatchNorm(4)(ones(2, 3, 5, 4)), "BatchNorm: x is (2, 3, 5, 4), should be (N, H) or (N, T, H)"),
    "a batch of a single row": (
        lambda: BatchNorm(4)(ones(1, 4)),
        "BatchNorm: x is (1, 4), should have two rows or more in training, or be in eval()"),
    "a momentum above 1": (lambda: BatchNorm(4, momentum=2), "BatchNorm: momentum is 2, should be from 0 to 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_misuse_is_refused_in_words(case):
    call, text = REFUSED[case]
    with pytest.raises(tg.Error, match=f"^{re.escape(text)}$"):
        call()


def test_modules_with_dropout_are_switched_from_above():
    model = Module()
    model.drop, model.deep = Dropout(0.5, rng=0), {"also": [VariationalDropout(0.5, rng=1)]}
    model.eval()
    assert not model.drop.training and not model.deep["also"][0].training
