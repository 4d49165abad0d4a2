"""Dropout in an LSTM: between the layers (depth), between the steps (time), or with one mask for all steps.

    python examples/where_to_drop.py [--quick] [PICTURE.svg]

A language model on little text overfits, and any dropout helps against that. Dropout in depth, on what goes into the
LSTM and comes out of it, helps most here. Dropout in time, with a new mask at every step on the state that goes to the
next step, helps least: a memory that the gates would keep is lost after a few steps, because every step drops a part of
what is left. Variational dropout draws one mask for the whole sequence, on what the matrices read, so nothing
accumulates over time (Gal and Ghahramani 2016).
"""

import sys

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import Param

RATE, D, H, N, T = 0.3, 24, 48, 16, 20


@tg.cell
def dropped_in_time(x, h, c, *, Wx=Param("D H", "fgio"), Wh=Param("H H", "fgio"), b=Param("H", "fgio"), rng=None):
    """An LSTM whose whole state, h and c, is dropped before every step."""
    if rng is not None:
        h, c = tg.dropout(h, rate=RATE, rng=rng), tg.dropout(c, rate=RATE, rng=rng)
    return tg.lstm(x, h, c, Wx=Wx, Wh=Wh, b=b)


CELLS = {
    "none": tg.lstm,
    "time": dropped_in_time,
    "depth": tg.lstm,
    "variational": tg.variational_dropout(tg.lstm, x=RATE, h=RATE),
}


class Model(tg.nn.Module):
    """Embedding, LSTM, affine layer; ``where`` says which dropout it has in training."""

    def __init__(self, V, where, rng):
        self.where, self.rng = where, rng
        self.embed = tg.nn.Embedding(V, D, rng=rng, init="normal")
        self.recurrent = tg.nn.Recurrent(CELLS[where], D=D, H=H, rng=rng)
        self.affine = tg.nn.Linear(H, V, rng=rng)

    def loss(self, ids, targets, training):
        xs, given, deep = self.embed(ids), {}, training and self.where == "depth"
        if deep:
            xs = tg.dropout(xs, rate=RATE, rng=self.rng)
        if training and self.where == "time":
            given = {"rng": self.rng}
        if training and self.where == "variational":
            given = tg.draw_masks(self.recurrent.cell, self.rng, len(ids), self.recurrent.params)
        hs, _ = self.recurrent(xs, **given)
        hs = tg.dropout(hs, rate=RATE, rng=self.rng) if deep else hs
        return tg.softmax_cross_entropy(self.affine(hs), targets)


def windows(ids, rng):
    """N windows of T words that start anywhere, and the words after them."""
    starts = rng.integers(0, len(ids) - T - 1, N)
    words = ids[starts[:, None] + np.arange(T + 1)]
    return words[:, :-1], words[:, 1:]


def curve(where, train, valid, V, steps, seed):
    """The perplexity on other text, ten times during the training."""
    model = Model(V, where, np.random.default_rng(seed))
    rng, perplexities = np.random.default_rng(seed), []
    optimizer = tg.optim.Adam(model.params, lr=0.01)
    rows = valid[: len(valid) // (T + 1) * (T + 1)].reshape(-1, T + 1)
    for step in range(1, steps + 1):
        model.loss(*windows(train, rng), training=True).backward()
        tg.optim.clip_grad_norm(model.params, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % (steps // 10) == 0:
            with tg.no_grad():
                loss = model.loss(rows[:, :-1], rows[:, 1:], training=False)
            perplexities.append(float(np.exp(loss.numpy())))
    return perplexities


def kept(where, steps=40, rows=64):
    """The share of the numbers in the memory that are left after each step, where the gates keep everything.

    f is 1 and i is 0, so without dropout c_t is c_0, and the share is 1. With a new mask at each step it is 0.7^t.
    """
    rng = np.random.default_rng(0)
    cell = CELLS[where]
    params = cell.init(rng, dtype=np.float64, D=D, H=H, init={"b": {"f": 800.0, "i": -800.0}})
    h, c, result = np.zeros((rows, H)), rng.standard_normal((rows, H)), []
    given = tg.draw_masks(cell, rng, rows, params) if where == "variational" else {}
    for _ in range(steps):
        x = rng.standard_normal((rows, D))
        x = tg.dropout(x, rate=RATE, rng=rng) if where == "depth" else x
        h, c = cell(x, h, c, **params, **given, **({"rng": rng} if where == "time" else {}))
        result.append(float(np.mean(c.numpy() != 0)))
    return result


def plot(curves, steps, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, values), style in zip(curves.items(), ["o:", "s--", "^-", "D-."]):
        left.plot(np.arange(1, 11) * (steps // 10), values, style, markersize=4, label=name)
        right.plot(range(1, 41), kept(name), style, markersize=4, markevery=5, label=name)
    left.set(xlabel="training step", ylabel="perplexity on other text", title=f"a language model, rate {RATE}")
    right.set(xlabel="steps", ylabel="share of the numbers that are left", title="a memory that the gates keep")
    left.legend(frameon=False)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    print(f"wrote {path}")


if __name__ == "__main__":
    quick = "--quick" in sys.argv
    paths = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    corpus = tg.data.grammar(8000)
    ids, steps, seeds = np.array(corpus.ids), 60 if quick else 600, (0,) if quick else (0, 1)
    train, valid = ids[:1500], ids[-3000:]
    curves = {}
    for where in CELLS:
        runs = [curve(where, train, valid, len(corpus.vocab), steps, seed) for seed in seeds]
        curves[where] = np.mean(runs, axis=0)
        left = kept(where)
        print(f"{where:12s} best {curves[where].min():6.2f}   at the end {curves[where][-1]:6.2f}   "
              f"memory kept after 5 steps {left[4]:.2f}, after 20 {left[19]:.2f}")  # fmt: skip
    if paths:
        plot(curves, steps, paths[0])
