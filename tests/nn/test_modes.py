"""Modules: the two names of the computation, training and evaluation, freezing, buffers, generators, copies."""

import copy
import pickle
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import Buffer, Embedding, Linear, Module
from tinygrad_rnn.nn.evaluating import evaluating


def linear(seed: int = 0) -> Linear:
    return Linear(3, 2, rng=np.random.default_rng(seed))


class Forward(Module):
    def __init__(self):
        self.affine = linear()

    def forward(self, x, scale=1.0):
        return self.affine(x) * scale


class Call(Module):
    def __init__(self):
        self.affine = linear()

    def __call__(self, x, scale=1.0):
        return self.affine(x) * scale


class Deep(Module):
    """Modules at every kind of place."""

    def __init__(self):
        self.layers = [linear(1), (linear(2), {"last": Forward()})]
        self.count = Buffer(np.zeros(3))
        self.rng = np.random.default_rng(0)
        self.again = {"rng": self.rng, "other": np.random.default_rng(1)}


X = np.arange(6.0, dtype="f").reshape(2, 3)


# -- forward and __call__ --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Forward, Call])
def test_forward_and_call_are_the_same_whichever_is_written(kind):
    model = kind()
    want = model.affine(X).numpy() * 2
    np.testing.assert_array_equal(model(X, scale=2.0).numpy(), want)
    np.testing.assert_array_equal(model.forward(X, 2.0).numpy(), want)


def test_a_subclass_of_a_layer_may_write_either():
    class Doubled(Linear):
        def forward(self, x):
            return super().forward(x) * 2

    class Tripled(Doubled):
        def __call__(self, x):
            return super().__call__(x) * 3

    want = linear()(X).numpy()
    np.testing.assert_array_equal(Doubled(3, 2, rng=0)(X).numpy(), want * 2)
    np.testing.assert_array_equal(Tripled(3, 2, rng=0)(X).numpy(), want * 2 * 3)


def test_a_call_that_the_user_wrote_around_forward_stays():
    class Logged(Module):
        def __call__(self, *args):
            return "logged", self.forward(*args)

    class Model(Logged):
        def forward(self, x):
            return x + 1

    assert Model()(1) == ("logged", 2)


def test_forward_from_another_base_class_is_called():
    class Mixin:
        def forward(self, x):
            return x + 1

    class Model(Mixin, Module):
        pass

    assert Model()(1) == 2


def test_a_module_without_forward_says_so():
    class Empty(Module):
        pass

    for call in (Empty(), Empty().forward):
        with pytest.raises(TypeError, match=r"^Empty: it has no forward, should define forward\(self, \.\.\.\)$"):
            call(X)


# -- modes -----------------------------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module_below():
    model = Deep()
    assert list(model.modules) == ["", "layers.0", "layers.1.0", "layers.1.1.last", "layers.1.1.last.affine"]
    assert all(module.training for module in model.modules.values())
    assert model.eval() is model and not any(module.training for module in model.modules.values())
    assert linear().training  # another module is not affected
    assert model.train() is model and all(module.training for module in model.modules.values())
    assert not model.train(False).training


def test_generators_are_listed_once_by_their_first_path():
    model = Deep()
    assert list(model.rngs) == ["rng", "again.other"]
    assert model.rngs["rng"] is model.rng


# -- freezing and buffers --------------------------------------------------------------------------------------------


def test_a_frozen_parameter_is_saved_and_not_trained():
    model = Forward()
    model.affine.freeze()
    assert model.params == {} and list(model.state_dict()) == ["affine.W", "affine.b"]
    assert not model(X).requires_grad
    new = {name: array + 1 for name, array in model.state_dict().items()}
    model.load_state_dict(new)
    np.testing.assert_array_equal(model.affine.W.numpy(), new["affine.W"])


def test_unfreeze_undoes_freeze_for_the_same_objects_and_leaves_buffers():
    model = Deep()
    before = model.params
    saved = list(model.state_dict())
    assert "count" in saved and "count" not in before
    assert model.freeze().params == {} and list(model.state_dict()) == saved
    model.unfreeze()
    assert list(model.params) == list(before) and all(model.params[name] is before[name] for name in before)
    model.layers[0](X).sum().backward()
    assert model.layers[0].W.grad is not None and model.layers[0].W.node.name == "W"


def test_a_part_is_frozen_and_an_optimiser_trains_the_rest():
    model = Module()
    model.embed, model.affine = Embedding(5, 3, rng=0), linear()
    model.embed.freeze()
    before = model.state_dict()
    optimizer = tg.optim.SGD(model, lr=0.1)
    model.affine(model.embed(np.array([0, 1]))).sum().backward()
    optimizer.step()
    after = model.state_dict()
    np.testing.assert_array_equal(after["embed.W"], before["embed.W"])
    assert not np.array_equal(after["affine.W"], before["affine.W"])


def test_what_is_frozen_during_a_transform_is_still_differentiated_by():
    layer = Linear(3, 2, rng=0, dtype=np.float64)

    def loss(W):
        layer.W = W
        layer.freeze()
        return (W**2).sum()

    np.testing.assert_allclose(tg.grad(loss)(np.ones((3, 2))), np.full((3, 2), 2.0))


# -- a computed Tensor is no parameter -------------------------------------------------------------------------------


def test_a_computed_tensor_in_the_place_of_a_parameter_is_refused_with_the_advice():
    model = Module()
    model.embed, model.affine = Embedding(5, 3, rng=0), Linear(3, 5, rng=0)
    text = ("Linear: W is the output (3, 5) of transpose, should be a leaf, since W is a parameter; "
            "to tie an output layer to an embedding: Linear(..., tied=embed)")  # fmt: skip
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        model.affine.W = model.embed.W.T
    assert list(model.params) == ["embed.W", "affine.W", "affine.b"]


def test_a_state_a_leaf_and_a_weight_inside_of_a_transform_are_not_refused():
    layer = linear()
    layer.h = layer(X)
    layer.h = layer.h * 2
    layer.W = tg.tensor(np.zeros((3, 2)), requires_grad=True)
    layer.b = None

    def loss(V):
        layer.W = V / tg.norm(V)
        return layer.W.sum()

    assert tg.grad(loss)(np.ones((3, 2))).shape == (3, 2)


@pytest.mark.parametrize("name", ["params", "modules", "train", "forward", "summary"])
def test_a_name_that_every_module_has_is_refused_as_an_attribute(name):
    with pytest.raises(AttributeError, match=f"^Module: {name} is what every Module has, should be another name$"):
        setattr(Module(), name, [])


def test_a_frozen_parameter_is_not_replaced_by_a_computed_tensor():
    layer = linear().freeze()
    with pytest.raises(TypeError, match=r"^Linear: W is the output \(3, 2\) of multiply, should be a leaf"):
        layer.W = linear().W * 2


def test_a_buffer_stays_one_when_it_is_assigned():
    model = Deep()
    before = model.count
    model.count = 0.5 * model.count + tg.tensor(np.ones(3), requires_grad=True) * 2
    assert model.count is before and not model.count.requires_grad and model.count.tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match=r"^data: got float64 \(2,\), should be float64 \(3,\) as before"):
        model.count = tg.tensor(np.ones(2))
    model.count = Buffer(np.ones(2))
    assert model.state_dict()["count"].shape == (2,)


# -- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_has_the_values_the_modes_and_the_generators_and_shares_nothing(copied):
    model = Deep().eval()
    model.layers[0].freeze()
    model.rng.random()
    twin = copied(model)
    assert list(twin.state_dict()) == list(model.state_dict()) and list(twin.params) == list(model.params)
    assert not any(module.training for module in twin.modules.values())
    assert twin.rng is twin.again["rng"] and twin.rng.random() == model.rng.random()
    twin.load_state_dict({name: array + 1 for name, array in twin.state_dict().items()})
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[name], array + 1)


# -- the generator of a layer ----------------------------------------------------------------------------------------


def test_a_seed_is_a_generator_of_that_seed():
    np.testing.assert_array_equal(Linear(3, 2, rng=0).W.numpy(), linear(0).W.numpy())
    np.testing.assert_array_equal(Embedding(3, 2, rng=np.int64(5)).W.numpy(),
                                  Embedding(3, 2, rng=np.random.default_rng(5)).W.numpy())  # fmt: skip


@pytest.mark.parametrize(("rng", "what"), [(None, "is missing"), ("0", "is '0'"), (0.5, "is 0.5"), (-1, "is -1")])
def test_another_rng_is_refused(rng, what):
    text = f"Linear: rng {what}, should be a NumPy generator or a seed: rng=np.random.default_rng(0)"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        Linear(3, 2, rng=rng)


def test_evaluating_can_be_entered_again_and_restores_every_mode():
    """Also nested, around an error, with a part in evaluation mode, or with an ``eval`` that is overridden."""

    class Loud(tg.nn.Module):
        calls = 0

        def eval(self):
            self.calls += 1
            return super().eval()

    for model in (tg.nn.Sequential(tg.nn.Dropout(0.5, rng=0), tg.nn.Dropout(0.5, rng=0).eval()), Loud()):
        before = [module.training for module in model.modules.values()]
        evaluation = evaluating(model)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError), evaluation, evaluation:
                assert not any(module.training for module in model.modules.values())
                assert not tg.tanh(tg.tensor(1.0, requires_grad=True)).requires_grad
                _ = 1 / 0
            assert [module.training for module in model.modules.values()] == before
            assert tg.tanh(tg.tensor(1.0, requires_grad=True)).requires_grad
    assert model.calls == 4
