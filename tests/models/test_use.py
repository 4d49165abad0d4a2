"""The models in use: options that take effect, bad input refused in the user's words, copies, `fit` on every task."""

import copy
import functools
import pickle
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import data, models, optim, train
from tinygrad_rnn.data import tasks
from tinygrad_rnn.errors import ShapeError

rng = np.random.default_rng(0)
IDS, X = rng.integers(0, 7, (3, 5)), rng.standard_normal((3, 6))
SIZES = (40, 10, 10)


def classifier(classes=1, **options):
    return models.Classifier(7, 3, 4, classes, rng=0, **options)


def tagger(**options):
    return models.Tagger(7, 3, 4, 5, rng=0, **options)


def seq2seq(**options):
    return models.Seq2seq(7, 4, 5, **{"start": 6, "rng": 0, **options})


def one_to_many(**options):
    return models.OneToMany(6, 7, 8, **{"start": 0, "rng": 0, **options})


#: A model and a batch of it.
USES = {
    "classifier": (classifier, IDS, [0, 1, 1]),
    "classes": (lambda: classifier(3), IDS, [0, 1, 2]),
    "tagger": (tagger, IDS, IDS % 5),
    "seq2seq": (seq2seq, IDS, IDS[:, :3]),
    "one_to_many": (one_to_many, X, IDS[:, :3]),
    "counting": (models.CountingNetwork, IDS % 2, [1, 2, 3]),
}
every_model = pytest.mark.parametrize(("make", "xs", "ts"), USES.values(), ids=list(USES))


@every_model
def test_lists_small_integers_and_tensors_are_arrays(make, xs, ts):
    model, ts = make(), np.asarray(ts)
    loss, answers = model.loss(xs, ts).item(), model.predict(xs)
    small = xs.astype(np.int8) if xs.dtype.kind == "i" else xs.astype(np.float32)
    for inputs, targets in ((xs.tolist(), ts.tolist()), (small, ts.astype(np.int8)), (tg.Tensor(xs), tg.Tensor(ts))):
        assert model.loss(inputs, targets).item() == pytest.approx(loss, rel=1e-6)
        assert np.array_equal(model.predict(inputs), answers)
        assert model.accuracy([(inputs, targets)]) == model.accuracy([(xs, ts)])


@every_model
def test_a_single_row_and_no_row(make, xs, ts):
    model = make()
    assert np.array_equal(model.predict(xs[:1]), model.predict(xs)[:1])
    assert model.predict(xs[:0]).shape == (0, *model.predict(xs).shape[1:])


@every_model
def test_copies_draw_and_train_without_the_frozen(make, xs, ts):
    model = make()
    loss = model.loss(xs, ts).item()
    assert pickle.loads(pickle.dumps(model)).loss(xs, ts).item() == loss == copy.deepcopy(model).loss(xs, ts).item()
    assert tg.draw(model.loss(xs, ts)).text()
    model.freeze()
    assert model.loss(xs, ts).item() == loss and not model.params


@pytest.mark.parametrize(
    ("task", "make"),
    [
        (tasks.sentiment, lambda t: models.Classifier(len(t.vocab), 3, 4, rng=0)),
        (tasks.tagging, lambda t: models.Tagger(len(t.vocab), 3, 4, len(t.labels), rng=0)),
        (tasks.reversal, lambda t: models.Seq2seq(len(t.vocab), 3, 4, start=t.start, end=t.end, rng=0)),
        (tasks.count_ones, lambda t: models.CountingNetwork(0.5, 0.9)),
    ],
    ids=["classifier", "tagger", "seq2seq", "counting"],
)
def test_fit_takes_the_batches_of_a_task(task, make):
    task = task(sizes=SIZES)
    model = make(task)
    history = train.fit(model, task.train.batches(16), optim.Adam(model, lr=0.01), epochs=2, max_norm=1.0,
                        valid=task.valid.batches(100, seed=None), report=False)  # fmt: skip
    assert history.epochs[-1]["valid"] < history.epochs[0]["valid"]


def test_fit_takes_vectors_with_sequences():
    model, batches = one_to_many(), data.batches(X, [[1, 2], [3, 4], [5]], 2)
    history = train.fit(model, batches, optim.Adam(model, lr=0.01), epochs=3, report=False, valid=batches)
    assert history.epochs[-1]["valid"] < history.epochs[0]["valid"]


@pytest.mark.parametrize(("make", "options"), [
    (classifier, {"layers": 2, "bidirectional": True}), (tagger, {"layers": 2, "dropout": 0.5}),
    (functools.partial(seq2seq, layers=2), {"dropout": 0.5}), (classifier, {"dropout": 0.5}),
    (one_to_many, {"cell": tg.variational_dropout(tg.lstm, h=0.5)}), (seq2seq, {"embedding": "book"}),
])  # fmt: skip
def test_every_option_takes_effect(make, options):
    xs, ts = (X, IDS) if make is one_to_many else (IDS, [0, 1, 1] if make is classifier else IDS % 5)
    loss, before = make(**options).loss(xs, ts), None
    for name in options:
        less = {other: x for other, x in options.items() if other != name}
        before = make(**less).loss(xs, ts).item()
        assert abs(loss.item() - before) > 1e-7, f"{name} changes nothing"


def test_a_tagger_drops_below_between_and_above_the_layers():
    model, draw = tagger(layers=2, dropout=0.5), np.random.default_rng()
    draw.bit_generator.state = next(iter(model.rngs.values())).bit_generator.state
    hs = model.embed(IDS)
    for layer in model.recurrent.layers:
        hs, _ = layer(tg.dropout(hs, rate=0.5, rng=draw))
    scores = model(IDS).numpy()
    np.testing.assert_allclose(scores, model.affine(tg.dropout(hs, rate=0.5, rng=draw)).numpy(), rtol=1e-5, atol=1e-6)


def test_both_embeddings_of_seq2seq_have_the_scheme():
    model = models.Seq2seq(50, 20, 3, start=0, embedding="normal", rng=0)
    assert all(0.9 < part.embed.W.numpy().std() < 1.1 for part in (model.encoder, model.decoder))


def test_the_layers_of_a_classifier_read_both_ways():
    model = classifier(layers=2, bidirectional=True)
    hs, _ = model.recurrent(model.embed(IDS), lengths=[5, 1, 3])
    last = np.stack([hs.numpy()[n, end, :4] for n, end in enumerate([4, 0, 2])])
    h = tg.Tensor(np.concatenate([last, hs.numpy()[:, 0, 4:]], axis=1))
    np.testing.assert_allclose(model(IDS, [5, 1, 3]).numpy(), model.affine(h).numpy()[:, 0], rtol=1e-6)


def test_the_cell_of_one_to_many_starts_with_c_at_zero():
    model = one_to_many(cell="lstm")
    h, c = model.first_state(X)
    np.testing.assert_allclose(h.numpy(), X @ model.affine_in.W.numpy(), rtol=1e-5, atol=1e-6)
    assert c.shape == (3, 8) and not c.numpy().any()


def test_a_beam_wider_than_the_vocabulary_is_the_whole_of_it():
    model = seq2seq()
    assert np.array_equal(model.predict(IDS, length=2, beam=1000), model.predict(IDS, length=2, beam=49))
    assert models.Seq2seq(1, 2, 3, start=0, rng=0).predict([[0, 0]], length=3, beam=5).tolist() == [[0, 0, 0]]


def test_ids_that_the_dtype_of_the_targets_cannot_hold():
    model = models.Seq2seq(300, 2, 3, start=299, end=298, rng=0)
    small = np.array([[1, 2, -1]], np.int8)
    assert model.loss([[1]], small).item() == model.loss([[1]], small.astype(int)).item()


def test_counting_stops_at_the_lengths():
    model = models.CountingNetwork(1.0, 1.0)
    assert model.predict([[1, 1, 9], [0, 1, 1]], [2, 3]).tolist() == [2, 2]
    assert model.loss([[1, 1, 9]], [2], [2]).item() == 0


@pytest.mark.parametrize(("make", "ts"), [(lambda: classifier(5), IDS[:, 0] % 5), (tagger, IDS % 5)])
def test_one_hot_targets_are_their_labels(make, ts):
    model, hot = make(), np.eye(5, dtype=int)[ts]
    assert model.loss(IDS, hot).item() == model.loss(IDS, ts).item()
    assert model.accuracy([(IDS, hot)]) == model.accuracy([(IDS, ts)])


@pytest.mark.parametrize(("make", "call", "text"), [
    (classifier, lambda m: m.predict(IDS[0]), "Classifier: ids is (5,), should be (N, T)"),
    (classifier, lambda m: m.loss(IDS, [[0], [1], [1]]), "Classifier: targets is (3, 1), should be (3,)"),
    (classifier, lambda m: m.loss(IDS, 1), "Classifier: targets is (), should be (3,)"),
    (classifier, lambda m: m.accuracy([(IDS, [[0], [1], [1]])]),
     "Classifier.accuracy: the targets is (3, 1), should be (3,)"),
    (tagger, lambda m: m.predict([[1, 2], [3]]),
     "Tagger: ids has rows of unequal length, should be (N, T): data.pad pads them"),
    (tagger, lambda m: m.loss(IDS, IDS[:, :2]), "Tagger: targets is (3, 2), should be (3, 5)"),
    (tagger, lambda m: m.loss(IDS, np.eye(7, dtype=int)[IDS]), "Tagger: targets is (3, 5, 7), should be (3, 5)"),
    (seq2seq, lambda m: m.predict(IDS[0]), "Seq2seq: ids is (5,), should be (N, T)"),
    (seq2seq, lambda m: m.loss(IDS, IDS[0]), "Seq2seq: targets is (5,), should be (3, S)"),
    (one_to_many, lambda m: m.predict(X[:, :2]), "OneToMany: x is (3, 2), should be (N, 6)"),
    (one_to_many, lambda m: m.loss(X, IDS[:2]), "OneToMany: targets is (2, 5), should be (3, S)"),
    (models.CountingNetwork, lambda m: m.loss(IDS, [[1], [2], [3]]),
     "CountingNetwork: counts is (3, 1), should be (3,)"),
    (models.CountingNetwork, lambda m: m.predict([1, 0]), "CountingNetwork: xs is (2,), should be (N, T)"),
    (lambda: models.Rnnlm(7, 3, 4, rng=0), lambda m: m.predict(IDS[0]), "Rnnlm: ids is (5,), should be (N, T)"),
    (lambda: models.Rnnlm(7, 3, 4, rng=0), lambda m: m.loss(IDS, IDS[0]), "Rnnlm: targets is (5,), should be (3, 5)"),
    (lambda: seq2seq(attention="dot"), lambda m: m.plot_attention(IDS, IDS[0]),
     "plot_attention: ids is (3, 5), should be (T,)"),
])  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(make, call, text):
    with pytest.raises(ShapeError, match=f"^{re.escape(text)}$"):
        call(make())


@pytest.mark.parametrize(("make", "options", "text"), [
    (seq2seq, {"start": 7}, "Seq2seq: start is 7, should be an id from 0 to 6"),
    (seq2seq, {"end": -1}, "Seq2seq: end is -1, should be an id from 0 to 6"),
    (seq2seq, {"V_out": 3}, "Seq2seq: start is 6, should be an id from 0 to 2"),
    (seq2seq, {"V_out": 0}, "Seq2seq: V_out is 0, should be a whole number from 1"),
    (seq2seq, {"dropout": 0.5}, "Seq2seq: dropout is 0.5, which is between layers, should be 0 for one layer"),
    (seq2seq, {"attention": True}, 'Seq2seq: attention is True, should be "dot", "general" or None'),
    (one_to_many, {"start": None}, "OneToMany: start is None, should be an id from 0 to 6"),
    (one_to_many, {"embed": 0}, "OneToMany: embed is 0, should be a whole number from 1"),
])  # fmt: skip
def test_options_that_are_none_are_refused(make, options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make(**options)


def test_a_batch_in_the_place_of_batches_is_refused():
    text = "Tagger.accuracy: batches holds no batches, should hold tuples (xs, ts) or (xs, ts, lengths)"
    with pytest.raises(TypeError, match=re.escape(text)):
        tagger().accuracy((IDS, IDS % 5))


def test_an_attention_picture_needs_a_text_for_each_id():
    text = "plot_attention: there are 2 texts for 5 ids, should be one for each"
    with pytest.raises(ValueError, match=re.escape(text)):
        seq2seq(attention="dot").plot_attention(IDS[0], IDS[0], read="ab")


def test_a_label_of_minus_one_does_not_count_in_the_loss_of_a_classifier():
    for classes in (1, 2):
        model = models.Classifier(9, 4, 5, classes, rng=0)
        loss, kept = model.loss(IDS, [1, -1, 0]), model.loss(IDS[[0, 2]], [1, 0])
        assert abs(loss.item() - kept.item()) < 1e-6
        assert model.loss(IDS, [-1, -1, -1]).item() == 0


def test_a_label_above_one_is_refused_by_a_classifier_of_one_class():
    text = ("Classifier: targets holds 2, should be 0 or 1, or -1 to be ignored, since classes is 1: "
            "Classifier(V, D, H, classes=3) has three labels")  # fmt: skip
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        models.Classifier(9, 4, 5, rng=0).loss(IDS, [0, 2, 1])
