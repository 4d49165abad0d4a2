"""Attention, Encoder and Decoder: their equations, lengths, and steps that equal the whole call."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

N, T, S, D, H, V = 3, 5, 4, 4, 6, 9
LENGTHS = np.array([2, 5, 1])
KINDS = {
    "plain": {},
    "peeky": {"peeky": True},
    "dot": {"attention": "dot"},
    "general, peeky, deep": {"attention": "general", "peeky": True, "layers": 2},
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def ids(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, (N, length))


def pair(kind: str, **options) -> tuple[nn.Encoder, nn.Decoder]:
    given = {**KINDS[kind], **options}
    encoder = nn.Encoder(V, D, H, rng=0, dtype="d", layers=given.get("layers", 1), cell=given.get("cell", "lstm"))
    return encoder, nn.Decoder(V, D, H, rng=1, dtype="d", **given)


# -- Attention -------------------------------------------------------------------------------------------------------


def test_attention_is_its_equations_in_loops():
    rng = np.random.default_rng(0)
    attention = nn.Attention("general", H=H, D=D, rng=rng, dtype="d")
    queries, hs, W = rng.standard_normal((N, S, H)), rng.standard_normal((N, T, D)), attention.W.numpy()
    context, weights = attention(queries, hs, LENGTHS)
    for n, length in enumerate(LENGTHS):
        for s in range(S):
            scores = [queries[n, s] @ W @ hs[n, t] for t in range(length)]
            p = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(weights.numpy()[n, s], [*p, *[0] * (T - length)], rtol=1e-12)
            want = sum(p[t] * hs[n, t] for t in range(length))
            np.testing.assert_allclose(context.numpy()[n, s], want, rtol=1e-12)


def test_padding_of_nan_and_a_row_of_length_0_give_no_nan():
    hs = np.random.default_rng(0).standard_normal((N, T, H))
    queries, lengths = tg.tensor(hs[:, :S], requires_grad=True), np.array([2, 5, 0])
    spoiled = tg.tensor(np.where((np.arange(T) < lengths[:, None])[..., None], hs, np.nan), requires_grad=True)
    context, weights = nn.Attention()(queries, spoiled, lengths)
    assert not weights.numpy()[2].any() and not context.numpy()[2].any()
    np.testing.assert_allclose(weights.numpy()[:2].sum(-1), 1)
    context.sum().backward()
    assert np.isfinite(spoiled.grad).all() and np.isfinite(queries.grad).all()


def test_a_single_query_is_a_row_of_queries():
    rng = np.random.default_rng(0)
    queries, hs = rng.standard_normal((N, S, H)), rng.standard_normal((N, T, H))
    context, weights = nn.Attention()(queries, hs)
    first, row = nn.Attention()(queries[:, 0], hs)
    np.testing.assert_allclose(first.numpy(), context.numpy()[:, 0], rtol=1e-12)
    np.testing.assert_allclose(row.numpy(), weights.numpy()[:, 0], rtol=1e-12)


# -- Encoder and Decoder ---------------------------------------------------------------------------------------------


@each_kind
def test_steps_equal_the_call_over_all_of_them(kind):
    encoder, decoder = pair(kind)
    encoded, targets = encoder(ids(T), LENGTHS), ids(S, seed=1)
    scores, last = decoder(targets, encoded)
    state = None
    for s in range(S):
        step, state = decoder.step(targets[:, s], encoded, state)
        assert step.shape == (N, V)
        np.testing.assert_allclose(step.numpy(), scores.numpy()[:, s], rtol=0, atol=1e-15)
    for got, want in zip(state, last, strict=True):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0, atol=1e-15)


@each_kind
def test_what_stands_in_the_padding_changes_nothing(kind):
    encoder, decoder = pair(kind)
    sources = ids(T)
    other = np.where(np.arange(T) < LENGTHS[:, None], sources, (sources + 1) % V)
    got, want = (decoder(ids(S), encoder(x, LENGTHS))[0].numpy() for x in (sources, other))
    np.testing.assert_array_equal(got, want)


@each_kind
def test_gradients_reach_every_parameter(kind):
    encoder, decoder = pair(kind)
    scores, _ = decoder(ids(S), encoder(ids(T), LENGTHS))
    tg.softmax_cross_entropy(scores, ids(S, seed=2)).backward()
    assert all(tensor.grad.any() for half in (encoder, decoder) for tensor in half.params.values())


def test_a_peeky_decoder_sees_the_last_output_of_the_top_layer():
    encoder, decoder = pair("general, peeky, deep")
    encoded = encoder(ids(T), LENGTHS)
    np.testing.assert_array_equal(encoded.h.numpy(), encoded.hs.numpy()[np.arange(N), LENGTHS - 1])
    below = np.concatenate([decoder.embed(ids(1)).numpy()[:, 0], encoded.h.numpy()], axis=-1)
    hs, _ = decoder.recurrent(below[:, None], encoded.state)
    context, _ = decoder.attention(hs, encoded.hs, LENGTHS)
    want = decoder.affine(np.concatenate([hs.numpy()[:, 0], encoded.h.numpy(), context.numpy()[:, 0]], axis=-1))
    np.testing.assert_allclose(decoder(ids(1), encoded)[0].numpy()[:, 0], want.numpy(), rtol=1e-12)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_a_bidirectional_encoder_feeds_a_decoder_of_its_width(merge, layers):
    encoder = nn.Encoder(V, D, H, rng=0, bidirectional=True, merge=merge, layers=layers)
    width = encoder.recurrent.width
    encoded = encoder(ids(T), LENGTHS)
    assert encoded.h.shape == (N, width) and encoded.hs.shape == (N, T, width)
    decoder = nn.Decoder(V, D, width, rng=1, attention="dot", peeky=True, layers=layers)
    assert decoder(ids(S), encoded)[0].shape == (N, S, V)


def test_an_encoder_of_another_width_is_attended_to_from_a_state_of_the_caller():
    encoder, decoder = nn.Encoder(V, D, 5, rng=0), nn.Decoder(V, D, H, rng=1, attention="general", H_encoder=5)
    encoded, zeros = encoder(ids(T)), np.zeros((N, H))
    assert decoder(ids(S), encoded, ((zeros, zeros),))[0].shape == (N, S, V)


def test_attention_weights_are_those_of_the_call():
    encoder, decoder = pair("dot")
    weights = decoder.weights(ids(S), encoder(ids(T), LENGTHS)).numpy()
    assert weights.shape == (N, S, T) and not weights[0, :, 2:].any()
    np.testing.assert_allclose(weights.sum(-1), 1)


def test_a_sequence_to_sequence_model_is_drawn_with_a_row_for_each_half():
    encoder, decoder = pair("dot", cell="gru")

    class Model(nn.Module):
        def __init__(self):
            self.encoder, self.decoder = encoder, decoder

        def loss(self, sources, targets):
            return tg.softmax_cross_entropy(self.decoder(targets, self.encoder(sources))[0], targets)

    rows = tg.draw(Model().loss, ids(T), ids(S)).graph.rows
    assert [(row.cell, row.steps) for row in rows] == [("gru", T), ("gru", S)]


REFUSED = {
    "another score": (lambda: nn.Attention("cosine"), "Attention: score is 'cosine', should be dot or general"),
    "no sizes": (
        lambda: nn.Attention("general", rng=0),
        'Attention: sizes are missing, should be Attention("general", H=4, D=3, rng=rng), H of the queries and D of '
        "hs"),
    "hs of another rank": (
        lambda: nn.Attention()(np.zeros((2, 3)), np.zeros((2, 3))),
        "Attention: hs is (2, 3), should be (N, T, D) with D = 3 and T from 1"),
    "queries of another width": (
        lambda: nn.Attention()(np.zeros((2, 4)), np.zeros((2, 5, 3))),
        "Attention: queries is (2, 4), should be (N, S, H) or (N, H) with N = 2, H = 3"),
    "lengths that are no integers": (
        lambda: nn.Attention()(np.zeros((2, 3)), np.zeros((2, 5, 3)), [1.0, 2.0]),
        "Attention: lengths is float64 (2,), should be integers (2,), one a row"),
    "outputs in the place of what was encoded": (
        lambda: nn.Decoder(V, D, H, rng=0)(ids(S), np.zeros((N, T, H))),
        "Decoder: encoded is a ndarray, should be what an Encoder returns"),
    "a product of different widths": (
        lambda: nn.Decoder(V, D, H, rng=0, attention="dot", H_encoder=5),
        'Decoder: outputs of 5 and of 6 units have no product, should be as wide, or attention="general"'),
    "a size of attention": (
        lambda: nn.Attention("general", H=True, D=3, rng=0), "Attention: H is True, should be a whole number from 1"),
    "weights without attention": (
        lambda: pair("plain")[1].weights(ids(S), pair("plain")[0](ids(T))),
        'Decoder: it has no attention, should be Decoder(..., attention="dot")'),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_misuse_is_refused_in_words(case):
    call, text = REFUSED[case]
    with pytest.raises(tg.Error, match=f"^{re.escape(text)}$"):
        call()
