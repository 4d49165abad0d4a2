"""What holds for every layer: copies, modes, summaries, pictures, dtypes and gradients."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.engine.pytree import flatten

N, T, D, H, V = 2, 3, 4, 4, 5
DROPPING = tg.zoneout(tg.variational_dropout(tg.gru, x=0.5), h=0.2)


def xs(dtype: str = "d") -> np.ndarray:
    return np.random.default_rng(0).standard_normal((N, T, D)).astype(dtype)


def ids(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, (N, T))


class Translator(nn.Module):
    """A model of the user's: attributes of every kind, and both halves of a sequence-to-sequence model."""

    def __init__(self, dtype: str):
        self.halves = {"encoder": nn.Encoder(V, D, H, rng=0, dtype=dtype, layers=2, dropout=0.3)}
        self.decoder = nn.Decoder(V, D, H, rng=1, dtype=dtype, layers=2, attention="general", peeky=True)

    def forward(self, sources, targets):
        return self.decoder(targets, self.halves["encoder"](sources, [2, 3]))


#: A layer of a dtype, and arguments of a call of it.
LAYERS = {
    "Embedding": (lambda dtype: nn.Embedding(V, D, rng=0, dtype=dtype), (ids(),)),
    "Linear": (lambda dtype: nn.Linear(D, 3, rng=0, activation="tanh", dtype=dtype), (xs(),)),
    "Dropout": (lambda dtype: nn.Dropout(0.5, rng=0), (xs(),)),
    "VariationalDropout": (lambda dtype: nn.VariationalDropout(0.5, rng=0), (xs(),)),
    "LayerNorm": (lambda dtype: nn.LayerNorm(D, dtype=dtype), (xs(),)),
    "BatchNorm": (lambda dtype: nn.BatchNorm(D, dtype=dtype), (xs(),)),
    "Sequential": (
        lambda dtype: nn.Sequential(nn.Recurrent("mgu", D=D, H=H, rng=0, dtype=dtype), nn.LastStep(), tg.sigmoid),
        (xs(),)),
    "LastStep": (lambda dtype: nn.LastStep(), (xs(),)),
    "Recurrent": (lambda dtype: nn.Recurrent(DROPPING, D=D, H=H, rng=0, dtype=dtype, stateful=True), (xs(),)),
    "Stacked": (
        lambda dtype: nn.Stacked("lstm", layers=2, D=D, H=H, rng=0, dropout=0.5, residual=True, dtype=dtype), (xs(),)),
    "Bidirectional": (lambda dtype: nn.Bidirectional(DROPPING, D=D, H=H, rng=0, merge="sum", dtype=dtype), (xs(),)),
    "Attention": (lambda dtype: nn.Attention("general", H=D, D=D, rng=0, dtype=dtype), (xs(), xs() + 1)),
    "Encoder": (lambda dtype: nn.Encoder(V, D, H, rng=0, bidirectional=True, dtype=dtype), (ids(),)),
    "Decoder": (Translator, (ids(), ids(1))),
}  # fmt: skip
each_layer = pytest.mark.parametrize("name", LAYERS)
COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda layer: pickle.loads(pickle.dumps(layer))}


def outputs(result) -> list[np.ndarray]:
    """All arrays of the result of a call."""
    return [leaf.numpy() for leaf in flatten(result)[0] if isinstance(leaf, tg.Tensor)]


def same(got, want) -> None:
    for a, b in zip(outputs(got), outputs(want), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_layer_is_left_out():
    assert sorted([*LAYERS, "Module", "Buffer", "Summary", "Encoded"]) == sorted(nn.__all__)


@each_layer
@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_computes_the_same_and_shares_nothing(name, copied):
    make, arguments = LAYERS[name]
    layer = make("d")
    layer(*arguments)  # statistics, states and generators have moved on
    twin = COPIES[copied](layer)
    assert repr(twin) == repr(layer) and list(twin.rngs) == list(layer.rngs)
    same(twin(*arguments), layer(*arguments))
    for key, array in layer.state_dict().items():
        assert twin.state_dict()[key].tolist() == array.tolist()
    with tg.no_grad():
        for tensor in twin.params.values():
            tensor += 1
    assert all(np.array_equal(array + 1, twin.state_dict()[key]) for key, array in layer.state_dict().items()
               if key in layer.params)  # fmt: skip


@each_layer
def test_evaluation_draws_nothing_and_repeats(name):
    make, arguments = LAYERS[name]
    layer = make("d").eval()
    before = [copy.deepcopy(rng.bit_generator.state) for rng in layer.rngs.values()]
    first = layer(*arguments)
    if hasattr(layer, "reset_state"):
        layer.reset_state()
    same(layer(*arguments), first)
    assert [rng.bit_generator.state for rng in layer.rngs.values()] == before


@each_layer
def test_summaries_and_pictures_leave_a_layer_as_it_is(name):
    make, arguments = LAYERS[name]
    layer = make("d")
    before, states = layer.state_dict(), [copy.deepcopy(rng.bit_generator.state) for rng in layer.rngs.values()]
    summary = layer.summary(*arguments)
    first = outputs(copy.deepcopy(layer)(*arguments))[0]
    assert summary.rows[0].output == first.shape
    assert summary.parameters == sum(tensor.size for tensor in layer.params.values())
    inputs = [tg.tensor(x, requires_grad=True) if x.dtype.kind == "f" else x for x in arguments]
    assert tg.draw(layer, *inputs).graph.nodes
    assert layer.training and getattr(layer, "state", None) is None
    assert [rng.bit_generator.state for rng in layer.rngs.values()] == states
    for key, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


@each_layer
def test_a_loaded_state_dict_computes_the_same(name):
    make, arguments = LAYERS[name]
    layer, other = make("d"), make("d")
    layer(*arguments)
    rng = np.random.default_rng(9)
    layer.load_state_dict({key: rng.uniform(0.2, 1, array.shape) for key, array in layer.state_dict().items()})
    other.load_state_dict(layer.state_dict())
    if hasattr(layer, "reset_state"):
        layer.reset_state()
    same(other.eval()(*arguments), layer.eval()(*arguments))


def test_a_repr_has_shapes_and_what_is_frozen():
    assert repr(nn.Embedding(5, 3, rng=0).freeze()) == "Embedding(W (5, 3) frozen)"
    assert repr(nn.Sequential(nn.Dropout(0.5, rng=0), nn.Linear(3, 2, rng=0), tg.tanh)) == (
        "Sequential(Dropout(0.5), Linear(W (3, 2), b (2,)), tanh)"
    )
    assert repr(nn.BatchNorm(3)) == "BatchNorm(gain (3,), b (3,), running_mean (3,), running_var (3,))"
    assert repr(nn.Stacked("rnn", [4, 5], D=3, rng=0, dropout=0.5)) == (
        "Stacked(Recurrent(rnn, D=3, H=4), Recurrent(rnn, D=4, H=5), dropout=0.5)"
    )


@each_layer
def test_float32_stays_float32(name):
    make, arguments = LAYERS[name]
    inputs = [x.astype("f") if x.dtype.kind == "f" else x for x in arguments]
    layer = make("f")
    result = layer(*inputs)
    assert [array.dtype for array in outputs(result)] == [np.dtype("f")] * len(outputs(result))
    if layer.params:
        flatten(result)[0][0].sum().backward()
        assert all(tensor.grad.dtype == np.float32 for tensor in layer.params.values() if tensor.grad is not None)


@each_layer
def test_the_gradient_is_the_slope_along_a_direction(name):
    """Of a loss of all outputs, by all parameters and inputs at once: central differences, the masks held."""
    make, arguments = LAYERS[name]
    layer, rng = make("d"), np.random.default_rng(7)
    layer.load_state_dict({key: rng.uniform(0.2, 1, array.shape) for key, array in layer.state_dict().items()})
    inputs = [tg.tensor(x, requires_grad=True) if x.dtype.kind == "f" else x for x in arguments]
    leaves = [*layer.params.values(), *(x for x in inputs if isinstance(x, tg.Tensor))]
    directions = [rng.standard_normal(leaf.shape) for leaf in leaves]

    def loss():
        result = copy.deepcopy((layer, inputs))  # so every call draws the same masks
        return total(result[0](*result[1])).item()

    def moved(step: float) -> float:
        with tg.no_grad():
            for leaf, direction in zip(leaves, directions, strict=True):
                leaf += step * direction
        return loss()

    ahead, behind = moved(1e-5), moved(-2e-5)
    moved(1e-5)
    total(layer(*inputs)).backward()
    slope = sum((leaf.grad * direction).sum() for leaf, direction in zip(leaves, directions, strict=True))
    assert slope == pytest.approx((ahead - behind) / 2e-5, rel=1e-6) and slope


def total(result) -> tg.Tensor:
    """A loss in which no output counts as much as another."""
    return sum((leaf * weight(leaf.shape)).sum() for leaf in flatten(result)[0] if isinstance(leaf, tg.Tensor))


def weight(shape: tuple[int, ...]) -> np.ndarray:
    """Fixed weights, all different."""
    return np.cos(np.arange(np.prod(shape, dtype=int)) + 1.0).reshape(shape)
