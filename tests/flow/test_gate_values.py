"""gate_values: the activations of a cell over a sequence, by the names of its equations."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import refusal
from tinygrad_rnn import Param

N, T, D, H = 2, 5, 3, 4


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer_and_xs(cell=tg.lstm, **options):
    rng = np.random.default_rng(0)
    layer = tg.nn.Recurrent(cell, D=D, H=H, rng=rng, dtype=np.float64, **options)
    return layer, rng.standard_normal((N, T, D))


def by_hand(layer, xs):
    """The gates of an LSTM by a loop in NumPy."""
    Wx, Wh, b = (layer.params[name].numpy() for name in ("Wx", "Wh", "b"))
    h = c = np.zeros((len(xs), H))
    steps = []
    for t in range(xs.shape[1]):
        f, g, i, o = np.split(xs[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
        c = f * c + g * i
        h = o * np.tanh(c)
        steps.append({"f": f, "g": g, "i": i, "o": o, "tanh(c')": np.tanh(c), "h": h, "c": c})
    return {name: np.stack([step[name] for step in steps], axis=1) for name in steps[0]}


def test_the_gates_of_an_lstm_are_those_of_a_loop():
    layer, xs = layer_and_xs()
    seen, want = tg.gate_values(layer, xs), by_hand(layer, xs)
    assert list(seen.gates) == ["f", "g", "i", "o", "tanh(c')"] and list(seen.states) == ["h", "c"]
    for name, values in {**seen.gates, **seen.states}.items():
        np.testing.assert_allclose(values, want[name], rtol=1e-13, atol=1e-15)
    assert seen.limits["f"] == (0, 1) and seen.limits["g"] == (-1, 1)


@pytest.mark.parametrize("cell", [tg.rnn, tg.gru, tg.mgu, tg.layer_norm_lstm, tg.zoneout(tg.lstm, h=0.1)],
                         ids=lambda cell: cell.name)  # fmt: skip
def test_states_are_those_of_scan(cell):
    layer, xs = layer_and_xs(cell)
    hs, _ = tg.scan(cell, xs, None, layer.params)
    seen = tg.gate_values(layer, xs)
    np.testing.assert_allclose(seen.states[cell.states[0]], hs.numpy(), rtol=1e-12, atol=1e-14)


def test_reverse_lengths_and_a_given_state():
    layer, xs = layer_and_xs(reverse=True)
    state = tuple(np.random.default_rng(1).standard_normal((2, N, H)))
    lengths = np.array([3, 5])
    hs, _ = layer(xs, state, lengths=lengths)
    seen = tg.gate_values(layer, xs, state, lengths=lengths)
    inside = np.arange(T) < lengths[:, None]
    np.testing.assert_allclose(seen.states["h"][inside], hs.numpy()[inside], rtol=1e-12)
    assert np.isnan(seen.gates["f"][~inside]).all() and not np.isnan(seen.gates["f"][inside]).any()


def test_names_are_those_of_the_equations():
    @tg.cell
    def mine(x, h, *, W=Param("D H"), U=Param("H H")):
        gate = tg.hard_sigmoid(x @ W)
        new = tg.relu(h @ U + x @ W)
        return gate * h + (1 - gate) * tg.tanh(tg.tanh(new))

    seen = tg.gate_values(mine, np.ones((N, T, D)), params=mine.init(0, D=D, H=H))
    assert list(seen.gates) == ["gate", "new", "tanh(new)", "tanh"]
    assert seen.limits["new"] is None and seen.gates["gate"].dtype == np.float32


def test_the_table_and_the_means_by_word():
    layer, xs = layer_and_xs()
    seen = tg.gate_values(layer, xs)
    lines = seen.table(["the", "cat", "sat", "down", "."]).splitlines()
    assert lines[0].split() == ["f", "g", "i", "o", "tanh(c')"] and len(lines) == 1 + T
    assert lines[3].split() == ["sat", *(f"{values[0, 2].mean():.2f}" for values in seen.gates.values())]
    assert str(seen).splitlines()[1].split()[0] == "0"
    words = [["a", "b", "a", "c", "c"], ["b", "b", "a", "c", "c"]]
    want = np.mean([seen.gates["f"][0, 0], seen.gates["f"][0, 2], seen.gates["f"][1, 2]])
    assert seen.by_word(words)["a"]["f"] == pytest.approx(want, rel=1e-13)
    assert list(seen.by_word(words)) == ["a", "b", "c"]


def test_a_model_on_words(tmp_path):
    pytest.importorskip("matplotlib")
    model = tg.models.LanguageModel(tg.gru, 7, D, H, rng=np.random.default_rng(0))
    ids = np.arange(6)[None]
    seen = tg.gate_values(model.recurrent, model.embed(ids))
    words = ["the", "café", "<unk>", "$x$", "a_b", "."]
    figure = seen.plot(words, tmp_path / "a.svg")
    seen.plot(words, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    panels = [ax for ax in figure.axes if ax.get_ylabel()]
    assert [ax.get_ylabel() for ax in panels] == ["z", "r", "h_new"]
    assert [label.get_text() for label in panels[-1].get_xticklabels()] == words
    shown = np.array(panels[0].images[0].get_array())
    np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(seen.gates["z"][0].T, axis=0))


def test_what_is_refused():
    layer, xs = layer_and_xs()
    seen = tg.gate_values(layer, xs)
    text = "InvalidType: gate_values: layer is a str, should be a layer such as nn.Recurrent, or a cell with params"
    assert refusal(tg.gate_values, "lstm", xs).startswith(text)
    assert refusal(tg.gate_values, tg.lstm, xs) == "InvalidType: lstm: missing parameter Wx"
    assert refusal(tg.gate_values, layer, xs[0]) == "ShapeError: gate_values: xs is (5, 3), should be (N, T, D)"
    text = "ShapeError: lstm: x is (2, 2), should be (N, D) with D = 3 as in Wx"
    assert refusal(tg.gate_values, layer, xs[..., :2]) == text
    assert refusal(seen.table, ["a"]) == "ShapeError: gate_values: got 1 words, should be 5, one for each step"
    text = "ShapeError: gate_values: got 1 rows of 5 words, should be 2 rows of 5"
    assert refusal(seen.by_word, ["a"] * 5) == text
    assert refusal(seen.table, None, 2) == "InvalidValue: gate_values: row is 2, should be less than N = 2"

    @tg.cell
    def linear(x, h, *, W=Param("D H")):
        return h + x @ W

    text = "InvalidType: gate_values: linear has no activation, should have a gate such as sigmoid(...)"
    assert refusal(tg.gate_values, linear, xs, params=linear.init(0, D=D, H=H)) == text


def test_a_frozen_layer_has_the_same_values():
    layer, xs = layer_and_xs()
    before = tg.gate_values(layer, xs).gates
    after = tg.gate_values(layer.freeze(), xs).gates
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)


@pytest.mark.parametrize(("lengths", "text"), [
    ([[1, 2]], "ShapeError: gate_values: lengths is int64 (1, 2), should be integers (2,), one a row"),
    ([3], "ShapeError: gate_values: lengths is int64 (1,), should be integers (2,), one a row"),
    ([1.5, 2], "ShapeError: gate_values: lengths is float64 (2,), should be integers (2,), one a row"),
    ([9, 2], "InvalidValue: gate_values: lengths holds 9, should be from 0 to T = 5"),
    ([-1, 2], "InvalidValue: gate_values: lengths holds -1, should be from 0 to T = 5"),
])  # fmt: skip
def test_lengths_that_are_none_are_refused(lengths, text):
    assert refusal(tg.gate_values, *layer_and_xs(), lengths=lengths) == text


def test_a_layer_of_layers_is_refused_with_the_name_of_one_of_them():
    stack = tg.nn.Stacked("lstm", [H, H], D=D, rng=0)
    text = refusal(tg.gate_values, stack, layer_and_xs()[1])
    assert text == ("InvalidType: gate_values: layer is a Stacked, should be a layer such as nn.Recurrent, or a cell "
                    "with params (it has the layer layers.0)")  # fmt: skip
