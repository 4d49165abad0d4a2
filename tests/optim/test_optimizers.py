"""The optimisers against loops over Python numbers, in blocks, and what a step forbids."""

import math
import re
import tracemalloc

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.nn import Linear
from tinygrad_rnn.optim import ASGD, SGD, AdaGrad, Adam, AdamW, Optimizer, RMSprop, Rprop
from tinygrad_rnn.optim.params import BLOCK

SHAPES = {"W": (3, 4), "b": (4,), "s": ()}
STEPS = 6


def leaves(dtype: str = "d") -> dict[str, tg.Tensor]:
    rng = np.random.default_rng(0)
    return {name: tg.tensor(rng.standard_normal(shape).astype(dtype), True, name) for name, shape in SHAPES.items()}


def gradients(dtype: str = "d") -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)

    def one():
        return {name: np.asarray(rng.standard_normal(shape), dtype) for name, shape in SHAPES.items()}

    return [one() for _ in range(STEPS)]


def run(optimizer: Optimizer, params: dict[str, tg.Tensor], dtype: str = "d", rates: list[float] | None = None) -> None:
    for k, grads in enumerate(gradients(dtype)):
        for name, one in params.items():
            one.grad = grads[name].copy()
        if rates:
            optimizer.lr = rates[k]
        optimizer.step()


def by_hand(rule, rates: list[float]) -> dict[str, np.ndarray]:
    """Every element on its own, in Python floats: ``rule(p, g, lr, t, memory) -> p``."""
    found = {}
    for name, start in ((name, one.numpy()) for name, one in leaves().items()):
        result = np.empty(start.shape)
        for index in np.ndindex(*start.shape):
            p, memory = float(start[index]), {}
            for t, grads in enumerate(gradients(), 1):
                p = rule(p, float(grads[name][index]), rates[t - 1], t, memory)
            result[index] = p
        found[name] = result
    return found


def sgd(p, g, lr, t, memory):
    return p - lr * g


def momentum(p, g, lr, t, memory):
    memory["v"] = 0.9 * memory.get("v", 0.0) + g
    return p - lr * memory["v"]


def nesterov(p, g, lr, t, memory):
    """Sutskever et al. 2013, in the variables of PyTorch."""
    memory["v"] = 0.9 * memory.get("v", 0.0) + g
    return p - lr * (g + 0.9 * memory["v"])


def adagrad(p, g, lr, t, memory):
    memory["s"] = memory.get("s", 0.0) + g * g
    return p - lr * g / (math.sqrt(memory["s"]) + 1e-10)


def rmsprop(p, g, lr, t, memory):
    memory["v"] = 0.99 * memory.get("v", 0.0) + 0.01 * g * g
    return p - lr * g / (math.sqrt(memory["v"]) + 1e-8)


def rprop(p, g, lr, t, memory):
    """The sign of g tells the direction; the size grows while it stays the same, and shrinks after it has changed."""
    size, before = memory.get("size", lr), memory.get("g", 0.0)
    size = size * 1.2 if g * before > 0 else size * 0.5 if g * before < 0 else size
    memory["size"], memory["g"] = min(max(size, 1e-6), 50.0), 0.0 if g * before < 0 else g
    return p - memory["size"] * (memory["g"] > 0) + memory["size"] * (memory["g"] < 0)


def adam(p, g, lr, t, memory, b1=0.9, b2=0.999, eps=1e-8):
    """Kingma and Ba 2015, algorithm 1."""
    memory["m"] = b1 * memory.get("m", 0.0) + (1 - b1) * g
    memory["v"] = b2 * memory.get("v", 0.0) + (1 - b2) * g * g
    m, v = memory["m"] / (1 - b1**t), memory["v"] / (1 - b2**t)
    return p - lr * m / (math.sqrt(v) + eps)


def adamw(p, g, lr, t, memory):
    return adam(p * (1 - lr * 0.01), g, lr, t, memory)


MADE = {
    "sgd": (lambda params, lr: SGD(params, lr=lr), sgd),
    "momentum": (lambda params, lr: SGD(params, lr=lr, momentum=0.9), momentum),
    "nesterov": (lambda params, lr: SGD(params, lr=lr, momentum=0.9, nesterov=True), nesterov),
    "sgd, weight decay": (
        lambda params, lr: SGD(params, lr=lr, weight_decay=0.3),
        lambda p, g, *rest: sgd(p, g + 0.3 * p, *rest),
    ),
    "asgd": (ASGD, sgd),
    "adagrad": (AdaGrad, adagrad),
    "rmsprop": (RMSprop, rmsprop),
    "rprop": (Rprop, rprop),
    "adamw": (AdamW, adamw),
    "adam": (lambda params, lr: Adam(params, lr=lr), adam),
    "adam, other constants": (
        lambda params, lr: Adam(params, lr=lr, betas=(0.5, 0.9), eps=1e-3),
        lambda *args: adam(*args, b1=0.5, b2=0.9, eps=1e-3),
    ),
}


@pytest.mark.parametrize("block", [1 << 16, 5, 1])
@pytest.mark.parametrize("name", MADE)
def test_an_optimiser_is_its_formula(name, block, monkeypatch):
    """The block is smaller than a parameter, does not divide it, is one element: it makes no difference."""
    for module in ("optimizer", "params"):
        monkeypatch.setattr(f"tinygrad_rnn.optim.{module}.BLOCK", block)
    make, rule = MADE[name]
    params = leaves()
    run(make(params, 0.1), params)
    for key, want in by_hand(rule, [0.1] * STEPS).items():
        np.testing.assert_allclose(params[key].numpy(), want, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", MADE)
def test_the_learning_rate_may_change_between_steps(name):
    make, rule = MADE[name]
    rates, params = [0.1 / (1 + k) for k in range(STEPS)], leaves()
    run(make(params, 1.0), params, rates=rates)
    for key, want in by_hand(rule, rates).items():
        np.testing.assert_allclose(params[key].numpy(), want, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dtype", ["e", "f"])
@pytest.mark.parametrize("name", MADE)
def test_a_step_keeps_dtype_shape_and_memory(name, dtype):
    make, rule = MADE[name]
    params = leaves(dtype)
    arrays = {key: one.data for key, one in params.items()}
    run(make(params, 0.1), params, dtype, rates=[np.float64(0.1)] * STEPS)  # a NumPy number widens nothing either
    for key, want in by_hand(rule, [0.1] * STEPS).items():
        assert params[key].dtype == dtype and params[key].shape == SHAPES[key]
        assert np.shares_memory(params[key].data, arrays[key])
        np.testing.assert_allclose(params[key].numpy(), want, atol={"f": 2e-5, "e": 5e-2}[dtype])


@pytest.mark.parametrize("name", MADE)
def test_an_array_larger_than_a_block_is_changed_to_its_end_without_a_copy(name):
    size = 12 * BLOCK + 17
    leaf = tg.tensor(np.zeros(size, "f"), requires_grad=True)
    optimizer = MADE[name][0]([leaf], 0.5)
    leaf.grad = np.ones(size, "f")
    optimizer.step()
    assert (leaf.numpy() == leaf.numpy()[0]).all() and leaf.numpy()[0] < -0.4
    tracemalloc.start()
    try:
        optimizer.step()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < leaf.grad.nbytes / 2, "a few blocks, whatever the size"


@pytest.mark.parametrize("name", MADE)
def test_a_parameter_that_is_not_contiguous_is_changed_too(name):
    make, rule = MADE[name]
    params = leaves()
    params["W"] = tg.Tensor(np.asfortranarray(params["W"].numpy()), requires_grad=True)
    assert not params["W"].data.flags.c_contiguous
    run(make(params, 0.1), params)
    np.testing.assert_allclose(params["W"].numpy(), by_hand(rule, [0.1] * STEPS)["W"], rtol=1e-13, atol=1e-15)


# -- what it takes ---------------------------------------------------------------------------------------------------


def test_parameters_come_as_a_dict_a_list_a_generator_or_a_module():
    layer = Linear(2, 3, rng=np.random.default_rng(0))
    W, b = layer.W, layer.b
    for given in (layer, layer.params, SGD(layer, lr=1)):
        assert SGD(given, lr=1).params == {"W": W, "b": b}
    for given in ([W, b], (W, b), iter([W, b]), [W, b, W]):
        assert SGD(given, lr=1).params == {"W": W, "b": b}
    assert SGD(W, lr=1).params == {"W": W}
    nameless = [tg.tensor([1.0], True), tg.tensor([1.0], True, "W"), tg.tensor([1.0], True, "W")]
    assert SGD(nameless, lr=1).params == {"number 0": nameless[0], "W": nameless[1], "W (number 2)": nameless[2]}


def test_a_parameter_without_a_gradient_stays():
    params = leaves()
    for make, _ in MADE.values():
        before, optimizer = params["W"].numpy(), make(params, 0.1)
        optimizer.zero_grad()
        params["b"].grad = np.ones(4)
        optimizer.step()
        np.testing.assert_array_equal(params["W"].numpy(), before)
        optimizer.zero_grad()
        assert params["b"].grad is None


def test_a_step_leaves_the_gradient_as_it_is():
    params = leaves()
    for make, _ in MADE.values():
        for name, one in params.items():
            one.grad = gradients()[0][name]
        make(params, 0.1).step()
        for name, one in params.items():
            np.testing.assert_array_equal(one.grad, gradients()[0][name])


def test_a_tied_parameter_gets_one_step():
    W = tg.tensor(np.ones((2, 2)), requires_grad=True)
    W.grad = np.ones((2, 2))
    SGD({"embed.W": W, "affine.W": W}, lr=0.5).step()
    assert (W.numpy() == 0.5).all()


# -- what it refuses -------------------------------------------------------------------------------------------------


def test_pitfall_06_a_graph_from_before_a_step_raises():
    rng = np.random.default_rng(0)
    layer, x = Linear(3, 2, rng=rng), tg.tensor(rng.standard_normal((4, 3)).astype("f"), requires_grad=True)
    for make, _ in MADE.values():
        optimizer, loss = make(layer, 0.1), (layer(x) ** 2).sum()
        optimizer.zero_grad()
        layer(x).sum().backward()
        optimizer.step()
        text = ("affine: an array of shape (3, 2) that its gradient needs was changed after the forward pass; "
                "change it after backward(), or compute with a copy")  # fmt: skip
        with pytest.raises(tg.MutationError, match=f"^{re.escape(text)}$"):
            loss.backward()
        (layer(x) ** 2).sum().backward()  # one from after it is right


def test_a_step_without_gradients_changes_nothing_and_forbids_nothing():
    x = tg.tensor([2.0], requires_grad=True)
    loss = x * x
    SGD([x], lr=0.1).step()
    loss.backward()
    assert x.grad == 4.0


W = tg.tensor([1.0], requires_grad=True)

REFUSED = {
    "lr 0": (lambda: SGD([W], lr=0), "SGD: lr is 0, should be more than 0, and finite"),
    "lr below 0": (lambda: Adam([W], lr=-0.1), "Adam: lr is -0.1, should be more than 0, and finite"),
    "lr nan": (lambda: SGD([W], lr=math.nan), "SGD: lr is nan, should be more than 0, and finite"),
    "lr inf": (lambda: SGD([W], lr=math.inf), "SGD: lr is inf, should be more than 0, and finite"),
    "momentum": (lambda: SGD([W], lr=1, momentum=1.0), "SGD: momentum is 1.0, should be from 0 to less than 1"),
    "betas": (
        lambda: Adam([W], betas=(0.9, 1.0)),
        "Adam: betas[1] is 1.0, should be from 0 to less than 1",
    ),
    "one beta": (lambda: Adam([W], betas=0.9), "Adam: betas is 0.9, should be two numbers"),
    "one eta": (lambda: Rprop([W], etas=(0.5,)), "Rprop: etas is (0.5,), should be two numbers"),
    "one size": (lambda: Rprop([W], step_sizes=3), "Rprop: step_sizes is 3, should be two numbers"),
    "nothing": (
        lambda: Adam(None),
        "optim: params is a NoneType, should be a module, or a dict or a list of parameters",
    ),
    "eps": (lambda: Adam([W], eps=0), "Adam: eps is 0, should be more than 0, and finite"),
    "lr is text": (lambda: SGD([W], lr="0.1"), "SGD: lr is '0.1', should be more than 0, and finite"),
    "nesterov": (lambda: SGD([W], lr=1, nesterov=True), "SGD: momentum is 0.0, should be more than 0 and less than 1"),
    "weight decay": (lambda: AdamW([W], weight_decay=-1), "AdamW: weight_decay is -1, should be 0 or more, and finite"),
    "rho": (lambda: RMSprop([W], rho=1.5), "RMSprop: rho is 1.5, should be from 0 to less than 1"),
    "eps of RMSprop": (lambda: RMSprop([W], eps=0.0), "RMSprop: eps is 0.0, should be more than 0, and finite"),
    "eps of AdaGrad": (lambda: AdaGrad([W], eps=-1), "AdaGrad: eps is -1, should be more than 0, and finite"),
    "etas": (lambda: Rprop([W], etas=(0.5, 0.9)), "Rprop: etas[1] is 0.9, should be more than 1, and finite"),
    "eta down": (lambda: Rprop([W], etas=(1, 1.2)), "Rprop: etas[0] is 1, should be more than 0 and less than 1"),
    "step sizes": (
        lambda: Rprop([W], step_sizes=(1.0, 0.1)),
        "Rprop: step_sizes[1] is 0.1, should be 1.0 or more, and finite",
    ),
    "no parameters": (lambda: SGD([], lr=1), "SGD: there are no parameters, should be at least one"),
    "a used-up generator": (lambda: SGD((w for w in ()), lr=1), "SGD: there are no parameters, should be at least one"),
    "an array": (
        lambda: SGD([W, np.ones(2)], lr=1),
        "optim: parameter number 1 is a ndarray, should be a leaf Tensor with requires_grad=True",
    ),
    "a constant": (
        lambda: SGD({"scale": tg.tensor([1.0, 2.0])}, lr=1),
        "optim: parameter scale is a Tensor (2,) that needs no gradient, should be a leaf Tensor with "
        "requires_grad=True",
    ),
    "a result": (
        lambda: SGD([W * 2], lr=1),
        "optim: parameter number 0 is the output (1,) of multiply, should be a leaf Tensor with requires_grad=True",
    ),
    "no rule": (
        lambda: with_gradient(Optimizer([W], lr=1)).step(),
        "Optimizer has no update rule, should define update(self, p, g)",
    ),
}


def with_gradient(optimizer: Optimizer) -> Optimizer:
    W.grad = np.ones(1)
    return optimizer


@pytest.mark.parametrize("case", REFUSED)
def test_misuse_is_refused_in_words(case):
    call, text = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=f"^{re.escape(text)}$"):
        call()
    assert W.numpy() == 1.0
