"""The models: their equations, their answers without dropout, their accuracy, and that each learns its task."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import models, optim, scan
from tinygrad_rnn.data import tasks
from tinygrad_rnn.models.answers import Answers

rng = np.random.default_rng(0)
IDS, NEXT = rng.integers(0, 7, (3, 5)), rng.integers(0, 7, (3, 5))


def trained(model, batches, epochs, lr=0.01):
    optimizer = optim.Adam(model, lr=lr)
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            optimizer.zero_grad()
            model.loss(*batch).backward()
            optim.clip_grad_norm(optimizer.params, 5.0)
            optimizer.step()
    return model


# -- language models ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "cell"), [(models.SimpleRnnlm, tg.rnn), (models.Rnnlm, tg.lstm)])
def test_a_language_model_is_that_of_the_book(make, cell):
    model = make(7, 3, 4, rng=0)
    p = model.params
    weights = {name.split(".")[1]: tensor for name, tensor in p.items() if name.startswith("recurrent")}
    scores = scan(cell, p["embed.W"][IDS], None, weights)[0] @ p["affine.W"] + p["affine.b"]
    np.testing.assert_allclose(model(IDS)[0].numpy(), scores.numpy(), rtol=1e-6)
    assert model.loss(IDS, NEXT)[0].item() == pytest.approx(tg.softmax_cross_entropy(scores, NEXT).item(), rel=1e-6)


def test_better_rnnlm_has_two_layers_dropout_and_one_matrix():
    model = models.BetterRnnlm(7, 4, dropout=0.5, rng=0)
    assert [name for name in model.params if name.endswith(".W")] == ["embed.W"]
    assert len(model.recurrent.layers) == 2
    losses = {model.loss(IDS, NEXT)[0].item() for _ in range(4)}
    model.eval()
    assert len(losses) == 4 and len({model.loss(IDS, NEXT)[0].item() for _ in range(4)}) == 1


@pytest.mark.parametrize("layers", [1, 2])
def test_sizes_of_the_cell_beside_d_and_h_are_given_by_letter(layers):
    @tg.cell
    def narrow(x, h, *, Wx=tg.Param("D K"), Wo=tg.Param("K H")):
        return tg.tanh(x @ Wx @ Wo + h)

    model = models.LanguageModel(narrow, 7, 4, 6, layers=layers, rng=0, K=3)
    shapes = [p.shape for name, p in model.params.items() if name.endswith("Wx")]
    assert shapes == [(4, 3), (6, 3)][:layers]
    with pytest.raises(tg.Error, match=r"^narrow\.init: missing size K, should be given, such as K=100, or"):
        models.LanguageModel(narrow, 7, 4, 6, layers=layers, rng=0)


def test_word_vectors_of_the_better_model_have_h_numbers():
    assert models.BetterRnnlm(7, D=4, H=4, rng=0).embed.W.shape == (7, 4)
    with pytest.raises(tg.Error, match=r"^BetterRnnlm: D should be H = 4, the size of a word vector"):
        models.BetterRnnlm(7, D=3, H=4, rng=0)


def test_dropout_is_below_between_and_above_the_layers():
    model, draw = models.BetterRnnlm(7, 4, dropout=0.5, rng=0), np.random.default_rng()
    draw.bit_generator.state = next(iter(model.rngs.values())).bit_generator.state
    xs = model.embed(IDS)
    for layer in model.recurrent.layers:
        xs, _ = layer(tg.dropout(xs, rate=0.5, rng=draw))
    got, drawn = model(IDS)[0].numpy(), tg.dropout(xs, rate=0.5, rng=draw)
    np.testing.assert_allclose(got, (drawn @ model.embed.W.T + model.affine.b).numpy(), rtol=1e-6)


def test_the_joint_probability_is_the_product_of_the_posterior_ones():
    model = models.Rnnlm(7, 3, 4, rng=0)
    p = tg.softmax(model(IDS)[0]).numpy()
    product = [np.prod([p[n, t, IDS[n, t + 1]] for t in range(4)]) for n in range(3)]
    np.testing.assert_allclose(np.exp(model.log_probability(IDS)), product, rtol=1e-5)
    total = sum(np.exp(model.log_probability([[2, a, b]]))[0] for a in range(7) for b in range(7))
    assert total == pytest.approx(1, rel=1e-5)


def test_predictions_are_without_dropout_and_leave_the_mode():
    model = models.BetterRnnlm(7, 4, rng=0)
    model.embed.eval()
    first, second = model.predict(IDS)[0], model.predict(IDS)[0]
    assert np.array_equal(first, second) and first.shape == IDS.shape
    assert model.training and model.drop.training and not model.embed.training


# -- answers -----------------------------------------------------------------------------------------------------------


def test_accuracy_counts_the_targets_that_count():
    class Parrot(Answers):
        def predict(self, xs, lengths=None):
            return xs

    batches = [
        (np.array([[1, 2, 3], [4, 5, 6]]), np.array([[1, 2, -1], [4, 0, 6]])),
        (np.array([[1]]), np.array([[1]])),
    ]
    assert Parrot().accuracy(batches) == 5 / 6
    Parrot.whole = True
    assert Parrot().accuracy(batches) == 2 / 3
    with pytest.raises(ValueError, match=re.escape("Parrot.accuracy: there is no target, should be at least one")):
        Parrot().accuracy([(np.array([[1]]), np.array([[-1]]))])


def test_a_model_without_a_prediction_says_what_to_write():
    with pytest.raises(TypeError, match=r"^Answers has no prediction, should define predict"):
        Answers().predict(IDS)


def test_the_classifier_of_the_notes_has_the_parameters_of_keras():
    model = models.Classifier(5000, 128, 256, cell="gru_after", rng=0)
    assert sum(parameter.size for parameter in model.params.values()) == 936_705
    p = model.probabilities(IDS)
    assert p.shape == (3,) and ((p > 0) & (p < 1)).all() and np.array_equal(model.predict(IDS), p > 0.5)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"layers": 2, "dropout": 0.2}], ids=str)
@pytest.mark.parametrize("classes", [1, 2])
def test_padding_changes_no_class(classes, options):
    model = models.Classifier(7, 3, 4, classes, rng=0, **options).eval()
    padded = np.concatenate([IDS, np.full((3, 2), 6)], axis=1)
    np.testing.assert_allclose(model(padded, np.full(3, 5)).numpy(), model(IDS).numpy(), rtol=1e-5)


def test_a_classifier_learns_the_sentiment_of_reviews():
    task = tasks.sentiment(sizes=(600, 50, 200))
    model = models.Classifier(len(task.vocab), 16, 24, rng=0)
    assert trained(model, task.train.batches(32), 4).accuracy(task.test.batches(100, seed=None)) > 0.95 > task.chance


def test_a_tagger_needs_both_directions():
    task = tasks.tagging(sizes=(600, 50, 200))
    reached = []
    for bidirectional in (True, False):
        model = models.Tagger(len(task.vocab), 16, 24, len(task.labels), bidirectional=bidirectional, rng=0)
        reached.append(trained(model, task.train.batches(32), 4).accuracy(task.test.batches(100, seed=None)))
    assert reached[0] > 0.97 > task.levels["the words up to it"] + 0.02 > reached[1]


def test_one_to_many_writes_as_many_ones_as_it_is_shown():
    x, ts = np.eye(6), np.full((6, 6), -1)
    for k in range(6):
        ts[k, :k], ts[k, k] = 1, 2
    model = models.OneToMany(6, 3, 16, start=0, end=2, rng=0)
    optimizer = optim.Adam(model, lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        model.loss(x, ts).backward()
        optimizer.step()
    assert model.accuracy([(x, ts)]) == 1 and np.array_equal(model.predict(x, length=6), ts)


@pytest.mark.parametrize(("U", "W", "right"), [(1.0, 1.0, 1.0), (1.2, 1.3, 0.0)])
def test_the_counting_network_of_the_notes(U, W, right):
    xs = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [0, 1, 1, 1]])
    model, counts, s = models.CountingNetwork(U, W), xs.sum(axis=1), 0.0
    for x in xs.T:
        s = x * U + s * W
    assert model.loss(xs, counts).item() == pytest.approx(((s - counts) ** 2).mean(), rel=1e-12)
    assert model.accuracy([(xs, counts)]) == right
