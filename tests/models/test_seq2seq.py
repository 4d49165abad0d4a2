"""Sequence to sequence: reversal of the input, the search of a beam, attention, and PyTorch."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import models, optim
from tinygrad_rnn.data import tasks
from tinygrad_rnn.models.decoding import after_end, search, shifted
from tinygrad_rnn.models.seq2seq import backwards

rng = np.random.default_rng(0)
IDS, TARGETS = rng.integers(0, 5, (3, 4)), rng.integers(0, 5, (3, 3))
OPTIONS = [{}, {"peeky": True}, {"attention": "dot"}, {"attention": "general", "peeky": True, "reverse": True},
           {"layers": 2, "cell": "gru"}]  # fmt: skip


def small(**options):
    return models.Seq2seq(6, 4, 5, start=5, rng=0, **options)


def test_rows_are_reversed_within_their_lengths():
    assert backwards([[1, 2, 3, 9], [4, 9, 9, 9]], [3, 1]).tolist() == [[3, 2, 1, 9], [4, 9, 9, 9]]
    assert backwards([[1, 2, 3]]).tolist() == [[3, 2, 1]]


def test_the_decoder_sees_the_targets_one_step_late():
    assert shifted([[1, 2, 3], [4, -1, -1]], 9).tolist() == [[9, 1, 2], [9, 4, 9]]
    assert after_end(np.array([[1, 7, 2], [7, 7, 7]]), 7).tolist() == [[1, 7, -1], [7, -1, -1]]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_padding_changes_nothing_with_lengths(options):
    model, lengths = small(**options), np.full(3, 4)
    padded, scores = np.concatenate([IDS, np.full((3, 2), 1)], axis=1), model(IDS, TARGETS, lengths).numpy()
    np.testing.assert_allclose(model(padded, TARGETS, lengths).numpy(), scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model(IDS, TARGETS).numpy(), scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_predicted_is_what_the_teacher_forced_scores_prefer(options):
    model = small(**options)
    ids = model.predict(IDS, length=3)
    assert np.array_equal(model(IDS, ids).numpy().argmax(axis=-1), ids)


@pytest.mark.parametrize("end", [None, 2])
def test_a_beam_as_wide_as_all_sequences_finds_the_best(end):
    """Against every sequence of three tokens."""
    model, V, S = small(attention="dot", end=end), 6, 3
    model.decoder.affine.W.data[...] *= 20  # scores that are far apart
    every = np.array(list(itertools.product(range(V), repeat=S)))
    every = np.unique(after_end(every, end), axis=0)
    for row, found in zip(IDS, model.predict(IDS, length=S, beam=V**S)):
        logs = tg.log_softmax(model(np.tile(row, (len(every), 1)), every)).numpy()
        chosen = np.take_along_axis(logs, np.maximum(every, 0)[:, :, None], axis=2)[:, :, 0]
        assert found.tolist() == every[np.where(every < 0, 0, chosen).sum(axis=1).argmax()].tolist()


def test_a_beam_finds_what_the_greedy_search_misses():
    """Token 0 is likelier first, but each token after it is unlikely."""
    first, after = np.log([0.6, 0.4]), np.log([[0.5, 0.5], [0.99, 0.01]])

    def step(ids, state):
        return tg.Tensor(np.where(state.numpy() == 0, first, after[ids])), state + 1

    state = tg.Tensor(np.zeros((1, 1)))
    assert search(step, state, 0, 2, beam=1).tolist() == [[0, 0]]
    assert search(step, state, 0, 2, beam=2).tolist() == [[1, 0]]


@pytest.mark.parametrize("reverse", [False, True])
def test_attention_weights_are_in_the_order_of_the_input(reverse):
    model, lengths = small(attention="dot", reverse=reverse), np.array([4, 2, 3])
    weights, encoded = model.attention_weights(IDS, TARGETS, lengths), model.encode(IDS, lengths)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    assert all((weights[n, :, length:] == 0).all() for n, length in enumerate(lengths))
    queries, _ = model.decoder.recurrent(model.decoder.embed(shifted(TARGETS, 5)), encoded.state)
    hs = encoded.hs.numpy()[1, :2]
    wanted = tg.softmax(queries.numpy()[1] @ (hs[::-1] if reverse else hs).T)
    np.testing.assert_allclose(weights[1, :, :2], wanted, rtol=1e-4)


def test_attention_as_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    model = small(attention="dot")
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        figure = model.plot_attention(IDS[0], TARGETS[0], list("abcd"), list("xyz"), path=path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == list("abcd")
    np.testing.assert_array_equal(axes.images[0].get_array(), model.attention_weights(IDS[:1], TARGETS[:1])[0])


def test_a_model_without_attention_has_no_weights():
    with pytest.raises(TypeError, match=r"^Decoder: it has no attention"):
        small().attention_weights(IDS, TARGETS)


@pytest.mark.parametrize(("options", "text"), [({"length": 0}, "length is 0"), ({"beam": 1.5}, "beam is 1.5")])
def test_a_search_of_no_size_is_refused(options, text):
    with pytest.raises(ValueError, match=f"^predict: {text}, should be a positive int"):
        small().predict(IDS, **options)


def test_short_words_are_reversed():
    task = tasks.reversal("abc", shortest=2, longest=3, sizes=(24, 4, 4))
    model = models.Seq2seq(
        len(task.vocab), 8, 16, start=task.start, end=task.end, V_out=len(task.labels), attention="dot", rng=0
    )
    optimizer = optim.Adam(model, lr=0.02)
    for epoch in range(60):
        for batch in task.train.batches(24).epoch(epoch):
            optimizer.zero_grad()
            model.loss(*batch).backward()
            optimizer.step()
    assert model.accuracy(task.train.batches(24, seed=None)) == 1


@pytest.mark.torch
@pytest.mark.parametrize("layers", [1, 2])
def test_the_loss_and_its_gradients_are_those_of_pytorch(layers):
    torch = pytest.importorskip("torch")
    model = models.Seq2seq(6, 4, 5, start=5, layers=layers, rng=0)
    loss = model.loss(IDS, TARGETS)
    loss.backward()
    p = {name: torch.tensor(array, requires_grad=True) for name, array in model.state_dict().items()}

    def run(part, ids, state):
        xs, new = p[f"{part}.embed.W"][torch.tensor(ids)], []
        for k in range(layers):
            (h, c), hs, at = state[k], [], f"{part}.recurrent.layers.{k}."
            for t in range(xs.shape[1]):
                f, g, i, o = (xs[:, t] @ p[at + "Wx"] + h @ p[at + "Wh"] + p[at + "b"]).chunk(4, dim=1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
                hs.append(h)
            xs = torch.stack(hs, dim=1)
            new.append((h, c))
        return xs, new

    _, state = run("encoder", IDS, [(torch.zeros(3, 5), torch.zeros(3, 5))] * layers)
    scores = run("decoder", shifted(TARGETS, 5), state)[0] @ p["decoder.affine.W"] + p["decoder.affine.b"]
    wanted = torch.nn.functional.cross_entropy(scores.reshape(-1, 6), torch.tensor(TARGETS).reshape(-1))
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    for name, parameter in model.params.items():
        np.testing.assert_allclose(parameter.grad, p[name].grad.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)
