"""Modules: names, order, tied weights, and setting all parameters at once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import Embedding, Linear, Module, Recurrent


class Holder(Module):
    """A module with what it is given as attributes."""

    def __init__(self, **parts):
        vars(self).update(parts)


def leaf(*shape: int, value: float = 0.0, name: str | None = None) -> tg.Tensor:
    return tg.Tensor(np.full(shape, value), requires_grad=True, name=name)


def words() -> tg.models.LanguageModel:
    return tg.models.LanguageModel(tg.lstm, 7, 3, 4, rng=np.random.default_rng(0))


NAMES = ["embed.W", "recurrent.Wx", "recurrent.Wh", "recurrent.b", "affine.W", "affine.b"]


# -- names and order -------------------------------------------------------------------------------------------------


def test_names_are_paths_of_attributes_in_the_order_of_assignment():
    assert list(words().params) == NAMES
    assert list(Holder(z=leaf(1), a=leaf(2), m=Holder(q=leaf(3), b=leaf(4))).params) == ["z", "a", "m.q", "m.b"]


def test_parameters_are_found_in_lists_tuples_and_dicts():
    rng = np.random.default_rng(0)
    made = Holder(layers=[Linear(2, 3, rng=rng), (leaf(1), Linear(3, 4, rng=rng))], gates={"f": leaf(2), "i": leaf(3)})
    assert list(made.params) == ["layers.0.W", "layers.0.b", "layers.1.0", "layers.1.1.W", "layers.1.1.b",
                                 "gates.f", "gates.i"]  # fmt: skip


def test_what_needs_no_gradient_or_is_computed_is_no_parameter():
    w = leaf(2)
    made = Holder(w=w, constant=tg.tensor([1.0]), computed=w * 2, array=np.ones(3), number=4, text="W", nothing=None)
    assert list(made.params) == ["w"]


def test_pitfall_12_tied_weights_are_one_parameter_by_identity_not_by_value():
    a, b = leaf(3, 3), leaf(3, 3)  # two distinct matrices, both all zero
    made = Holder(first=a, second=b, again=a, inner=Holder(also=b))
    assert made.params == {"first": a, "second": b}
    assert list(made.state_dict()) == ["first", "second"]


def test_a_tied_weight_gets_one_step_from_the_gradients_of_both_uses():
    W = leaf(2, 2, value=1.0)
    tied = Holder(first=W, second=W)
    (tied.first.sum() + 2 * tied.second.sum()).backward()
    assert (W.grad == 3).all()
    tg.optim.SGD(tied, lr=0.5).step()
    assert (W.numpy() == 1 - 0.5 * 3).all()


def test_modules_that_know_each_other_are_gone_through_once():
    child, parent = Holder(w=leaf(1)), Holder(v=leaf(2))
    parent.child, child.parent = child, parent
    assert list(parent.params) == ["v", "child.w"]
    loop: list = [leaf(1)]
    loop.append(loop)
    assert list(Holder(loop=loop).params) == ["loop.0"]


SAVE = """
import sys
import numpy as np, tinygrad_rnn as tg
model = tg.models.LanguageModel(tg.gru, 7, 3, 4, rng=np.random.default_rng(0))
model.extra = {name: tg.nn.Linear(2, 2, rng=np.random.default_rng(1)) for name in ("encoder", "decoder", "attention")}
tg.train.save_model(sys.argv[1], model.state_dict(), {"words": 7, "cell": "gru"})
print(list(model.params))
"""


def test_pitfall_19_names_order_and_saves_are_the_same_in_every_process(tmp_path):
    root, printed = Path(tg.__file__).parent.parent, []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)}
        command = [sys.executable, "-c", SAVE, str(tmp_path / seed)]
        printed.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert printed[0] == printed[1] and "extra.attention.b" in printed[0]
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_repr_lists_the_parameters():
    assert repr(Linear(2, 3, rng=np.random.default_rng(0))) == "Linear(W (2, 3), b (3,))"
    assert repr(Holder(a=1)) == "Holder()"


def test_zero_grad_forgets_all_gradients():
    made = Holder(a=leaf(2), b=leaf(3))
    (made.a.sum() + made.b.sum()).backward()
    made.zero_grad()
    assert made.a.grad is None and made.b.grad is None


# -- all parameters at once ------------------------------------------------------------------------------------------


def test_state_dict_is_a_copy_and_comes_back():
    model = words()
    saved = model.state_dict()
    for one in model.params.values():
        with tg.no_grad():
            one += 1
    assert not any(np.array_equal(saved[name], one.numpy()) for name, one in model.params.items())
    before = {name: id(one) for name, one in model.params.items()}
    model.load_state_dict(saved)
    for name, one in model.params.items():
        np.testing.assert_array_equal(one.numpy(), saved[name])
        assert one.dtype == np.float32 and id(one) == before[name]


def test_another_model_s_parameters_load_as_they_are_and_nothing_is_shared():
    one, other = words(), words()
    one.load_state_dict(other.params)
    with tg.no_grad():
        other.embed.W += 1
    assert not np.array_equal(one.embed.W.numpy(), other.embed.W.numpy())


WRONG = {
    "missing": (
        lambda d: d.pop("recurrent.b"),
        f"LanguageModel: recurrent.b missing, should be exactly {', '.join(NAMES)}",
    ),
    "extra": (
        lambda d: d.update(more=np.zeros(1)),
        f"LanguageModel: more unknown, should be exactly {', '.join(NAMES)}",
    ),
    "renamed": (
        lambda d: d.update(W=d.pop("embed.W"), V=d.pop("affine.W")),
        f"LanguageModel: embed.W, affine.W missing and W, V unknown, should be exactly {', '.join(NAMES)}",
    ),
    "misshaped": (
        lambda d: d.update({"affine.b": np.zeros((7, 1), "f")}),
        "LanguageModel: affine.b is float32 (7, 1), should be float32 (7,)",
    ),
    "broadcasting": (
        lambda d: d.update({"affine.b": np.float32(0)}),
        "LanguageModel: affine.b is float32 (), should be float32 (7,)",
    ),
    "not numbers": (
        lambda d: d.update({"affine.b": np.array(list("abcdefg"))}),
        "LanguageModel: affine.b is <U1 (7,), should be float32 (7,)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_an_error_before_anything_is_set(case):
    model = words()
    before, arrays = model.state_dict(), {name: one + 1 for name, one in model.state_dict().items()}
    change, text = WRONG[case]
    change(arrays)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        model.load_state_dict(arrays)
    for name, one in model.params.items():
        np.testing.assert_array_equal(one.numpy(), before[name])


def test_loading_between_forward_and_backward_is_noticed():
    layer = Linear(2, 3, rng=np.random.default_rng(0))
    loss = (layer(tg.tensor(np.ones((1, 2), "f"), requires_grad=True)) ** 2).sum()
    layer.load_state_dict({name: one * 2 for name, one in layer.state_dict().items()})
    with pytest.raises(tg.MutationError, match=r"^affine: an array of shape"):
        loss.backward()


def test_every_layer_is_a_module_with_float32_parameters():
    rng = np.random.default_rng(0)
    for layer in (Embedding(5, 3, rng=rng), Linear(3, 5, rng=rng), Recurrent(tg.gru, D=3, H=4, rng=rng)):
        assert isinstance(layer, Module) and layer.params
        assert [one.dtype for one in layer.params.values()] == [np.dtype("f")] * len(layer.params)


def test_what_is_differentiated_by_is_a_parameter_at_any_depth():
    layer = Linear(2, 2, rng=np.random.default_rng(0))

    def loss(W):
        layer.W = W
        assert list(layer.params) == ["W", "b"]
        return sum((w**3).sum() for w in layer.params.values())

    np.testing.assert_allclose(tg.grad(loss)(np.ones((2, 2))), np.full((2, 2), 3.0))
    np.testing.assert_allclose(tg.hessian(loss)(np.ones((2, 2))).reshape(4, 4), 6 * np.eye(4))


def test_an_array_in_the_place_of_a_parameter_is_refused_and_its_values_can_be_set():
    for layer in (tg.nn.Linear(2, 3, rng=0), tg.nn.Linear(2, 3, rng=0).freeze()):
        text = (r"^Linear: W is an array, should be a Tensor, since W is a parameter; to set its values: with "
                r"no_grad\(\): layer\.W\[\.\.\.\] = array$")  # fmt: skip
        with pytest.raises(TypeError, match=text):
            layer.W = np.ones((2, 3))
        with tg.no_grad():
            layer.W[...] = np.ones((2, 3))
        assert (layer.W.numpy() == 1).all() and list(layer.state_dict()) == ["W", "b"]
