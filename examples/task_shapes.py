"""The shapes of tasks for recurrent networks, one model each: what it answers right, and what chance would.

    python examples/task_shapes.py [--quick]

                one-to-one    XOR by two Linear layers, which no recurrent layer is needed for
                one-to-many   a vector to a sequence: a caption of what a picture holds
                many-to-one   a sequence to a label: is a review positive
      many-to-many, direct    a label for each word: its part of speech, reading one way or both
      many-to-many, indirect  a sequence to a sequence of another length: a string backwards
                       cloze  the word in a gap, as in "Exercise is very effective at [ ]", reading one way or both

The accuracy is that of examples that were not in the training; of one-to-one there are four, and all are in it. The
last column is what the best reader of a part of the input reaches, counted over all inputs of the task.
"""

import sys

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import data, nn, optim, train
from tinygrad_rnn.data import tasks
from tinygrad_rnn.models import Classifier, OneToMany, Seq2seq, Tagger


def fit(model, batches, epochs, lr=0.01, loss=None):
    """Train by Adam with clipping, and return the model."""
    train.fit(model, batches, optim.Adam(model, lr=lr), loss=loss, epochs=epochs, max_norm=5.0, report=False)
    return model


def xor(layers):
    """The accuracy of XOR by one Linear layer, or by two with tanh between."""
    xs, ts = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], "f"), np.array([0, 1, 1, 0])
    two = [nn.Linear(2, 8, rng=2, activation="tanh"), nn.Linear(8, 1, rng=3)]
    model = nn.Sequential(*(two if layers == 2 else [nn.Linear(2, 1, rng=2)]))
    fit(model, [(xs, ts)], 200, lr=0.1, loss=lambda x, t: tg.binary_cross_entropy(model(x)[:, 0], t))
    return np.mean((model(xs).numpy()[:, 0] > 0) == ts)


def captions():
    """Number, colour and object as a vector (12,) with three ones, and as words: ``two red cars <eos>``."""
    numbers, colours = ("one", "two", "three"), ("red", "green", "blue", "white")
    objects = ("car", "dog", "cup", "hat", "ball")
    words = [*numbers, *colours, *objects, *(f"{name}s" for name in objects), "<eos>", "<start>"]
    places = np.random.default_rng(0).permutation([(i, j, k) for i in range(3) for j in range(4) for k in range(5)])
    x = np.concatenate([np.eye(3)[places[:, 0]], np.eye(4)[places[:, 1]], np.eye(5)[places[:, 2]]], axis=1)
    texts = [[numbers[i], colours[j], objects[k] + "s" * (i > 0), "<eos>"] for i, j, k in places.tolist()]
    return x, np.array([[words.index(word) for word in text] for text in texts]), words


def caption(epochs):
    """The accuracy of whole captions of 15 combinations that were not among the 45 of the training."""
    x, ts, words = captions()
    V = len(words)
    model = OneToMany(x.shape[1], V, 32, start=V - 1, end=V - 2, rng=0)
    fit(model, data.batches(x[:45], ts[:45], 15), epochs)
    return model.accuracy([(x[45:], ts[45:])])


def accuracy(model, task, epochs, lr=0.01):
    """The accuracy on the test examples after training."""
    return fit(model, task.train.batches(32), epochs, lr).accuracy(task.test.batches(500, seed=None))


def tagger(task, both, epochs):
    """The accuracy of a Tagger that reads both ways, or one way."""
    return accuracy(Tagger(len(task.vocab), 16, 24, len(task.labels), bidirectional=both, rng=0), task, epochs)


def rows(quick):
    """Each row of the table: the shape, the task, the model, its accuracy, chance, and what a limit is of."""
    sizes = (600, 50, 400) if quick else (4000, 500, 500)
    yield "one-to-one", "XOR", "one Linear", xor(1), 0.5, "75.0% of any line"
    yield "one-to-one", "XOR", "two Linear", xor(2), 0.5, ""
    yield "one-to-many", "captions", "OneToMany", caption(100), 1 / 60, ""

    task = tasks.sentiment(sizes=sizes)
    yield "many-to-one", task.name, "Classifier", accuracy(Classifier(len(task.vocab), 16, 24, rng=0), task, 4), 0.5, ""

    task = tasks.tagging(sizes=sizes)
    limit = f"{task.levels['the words up to it']:.1%} of the words up to it"
    yield "many-to-many", task.name, "Tagger, one way", tagger(task, False, 4), task.chance, limit
    yield "many-to-many", task.name, "Tagger, both ways", tagger(task, True, 4), task.chance, ""

    task = tasks.reversal("abcdef", shortest=2, longest=4, sizes=(1000, 100, 400))
    model = Seq2seq(len(task.vocab), 16, 32, start=task.start, end=task.end, attention="dot", rng=0)
    yield "indirect", task.name, "Seq2seq", accuracy(model, task, 6 if quick else 16), task.chance, ""

    task = tasks.cloze(sizes=sizes)
    limit = f"{task.levels['the words before']:.1%} of the words before"
    yield "cloze", task.name, "Tagger, one way", tagger(task, False, 8), task.chance, limit
    yield "cloze", task.name, "Tagger, both ways", tagger(task, True, 8), task.chance, ""


if __name__ == "__main__":
    print(f"{'shape':12s}  {'task':9s}  {'model':17s}  {'right':>6s}  {'chance':>6s}  limit")
    for shape, name, model, right, chance, limit in rows("--quick" in sys.argv):
        print(f"{shape:12s}  {name:9s}  {model:17s}  {right:6.1%}  {chance:6.1%}  {limit}".rstrip(), flush=True)
