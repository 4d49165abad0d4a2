"""``tinygrad-rnn demo``: draw, check and train, in under two minutes, with files to look at afterwards."""

from __future__ import annotations

import argparse
import inspect
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import models
from .. import train as training
from ..cells.builtin import BUILT_IN, lstm
from ..check import check_backward
from ..data import STORIES, Corpus, grammar, windows
from ..draw import RenderError, draw
from ..errors import InvalidValue, MissingDependency
from ..figures import figure
from ..files import alone_in, write_whole
from ..optim import Adam
from ..train.store import needed
from . import demo_backward
from .demo_backward import lstm_backward
from .option_types import count, whole_number
from .runs import writable
from .target import load_names

HELP = "draw an LSTM, check its gradient, train it, in under two minutes"
ABOUT = """\
Draw an LSTM step, check a backward pass derived by hand (and catch a planted mistake), and train an RNN and an LSTM on
stories whose best possible perplexity is known. It takes under two minutes and writes its files to --out."""
EXAMPLES = """\
examples:
  tinygrad-rnn demo
  tinygrad-rnn demo --epochs 1 --out shown               a shorter training"""
TOKENS, VALID, N, T, SIZE, MAX_NORM = 200_000, 20_000, 20, 35, 100, 1.0
#: How each cell is trained: epochs, learning rate, schemes of its parameters.
PLANS: dict[str, tuple[int, float, Any]] = {
    "rnn": (4, 0.002, None),
    "lstm": (8, 0.005, {"b": {"f": 1.0}}),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--out", default="tinygrad_rnn_demo", metavar="DIR", help="where the files go (%(default)s)")
    add("--seed", type=whole_number, default=0, metavar="S", help="seed of the weights and the corpus (%(default)s)")
    add("--epochs", type=count, metavar="E", help="epochs of each model (default: RNN 4, LSTM 8)")


def run(options: Any) -> int:
    """Draw, check and train; the exit code."""
    needed()
    out = writable(options.out)
    with alone_in(out, "--out"):
        return demonstrate(options, out)


def demonstrate(options: Any, out: Path) -> int:
    """The demonstration, in a folder to which no other run writes."""
    start = time.perf_counter()
    files = [drawn(out), *checked(out)]
    corpus, valid = corpora(options.seed)
    curves = {name: trained(name, corpus, valid, options, out) for name in PLANS}
    files += [(out / f"{name}.safetensors", f"the trained {name}") for name in PLANS]
    files += compared(curves, out)
    print(f"\n4. The files, after {time.perf_counter() - start:.0f} seconds")
    for path, what in files:
        print(f"   {path}  {what}")
    return 0


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


def drawn(out: Path) -> tuple[Path, str]:
    """Draw one LSTM step, forward and backprop; as DOT only where no renderer is installed. The file and its title."""
    heading("1. An LSTM step, forward and backprop, drawn from its equations")
    picture = draw(lstm)
    picture.save(out / "lstm.dot")
    try:
        picture.save(out / "lstm.svg")
    except RenderError as error:
        print(f"   {error}")
        return out / "lstm.dot", "the picture, as DOT"
    print(f"   {out / 'lstm.svg'}")
    return out / "lstm.svg", "the picture: open it in a browser"


def checked(out: Path) -> list[tuple[Path, str]]:
    """Check a backward pass derived by hand, right and then with one sign wrong."""
    heading("2. An LSTM's backward pass, derived by hand, against autograd and against numbers")
    report = check_backward(lstm, lstm_backward)
    print(report)
    print("\n   The same with one mistake planted, db with the wrong sign:\n")
    planted = out / "lstm_wrong.py"
    write_whole(planted, inspect.getsource(demo_backward).replace('"db": dA', '"db": -dA'))
    wrong = check_backward(lstm, load_names(f"{planted}:lstm_backward")["lstm_backward"])
    print(wrong)
    if not report.ok or wrong.ok:
        raise InvalidValue("the check is broken: it should accept the first and refuse the second")
    path = out / "check.json"
    both = {"right": json.loads(report.to_json()), "planted": json.loads(wrong.to_json())}
    write_whole(path, json.dumps(both, indent=1))
    return [(planted, "the wrong backward"), (path, "both reports as data")]


def corpora(seed: int) -> tuple[Corpus, Corpus]:
    """The stories for training and for validation; prints what is known about them."""
    heading("3. A language model on stories whose best possible perplexity is known")
    corpus, valid = grammar(TOKENS, seed), grammar(VALID, seed + 1)
    print(f"   {' '.join(corpus.decode(corpus.ids[:44]))} ...")
    print(f"   best possible perplexity {STORIES.perplexity:.3f}", end=", ")
    print(f"for a model without memory {STORIES.forgetful_perplexity:.3f}\n", flush=True)
    return corpus, valid


def trained(name: str, corpus: Corpus, valid: Corpus, options: Any, out: Path) -> list[float]:
    """Train a model on the stories; its validation perplexity after each epoch."""
    epochs, lr, init = PLANS[name]
    epochs, rng = options.epochs or epochs, np.random.default_rng(options.seed)
    cell, V = BUILT_IN[name], len(corpus.vocab)
    model = models.LanguageModel(cell, V, SIZE, SIZE, rng=rng, init=init, embedding="normal")
    optimizer = Adam(model, lr=lr)

    def after_epoch(row: dict[str, Any]) -> None:
        optimizer.lr *= 0.6 if row["epoch"] > epochs // 2 else 1

    history = training.fit(model, windows(corpus.ids, N, T), optimizer, epochs=epochs, max_norm=MAX_NORM,
                           valid=windows(valid.ids, N, T, tail=True), after_epoch=after_epoch)  # fmt: skip
    curve = [row["valid_perplexity"] for row in history.epochs]
    print(f"   {name:5s} validation perplexity {min(curve):.3f}  (limit {STORIES.perplexity:.3f})", flush=True)
    training.save_model(out / f"{name}.safetensors", model.state_dict(), {"model": name, "valid": min(curve)})
    print(f"         it writes: {written(model, corpus, rng)}\n", flush=True)
    return curve


def written(model: Any, corpus: Any, rng: np.random.Generator) -> str:
    """A story that the model generates."""
    eos = corpus.word_to_id["<eos>"]
    words = training.generate(model, [eos], 60, rng, temperature=0.5)
    return " ".join(corpus.decode(words[: words.index(eos)] if eos in words else words))


def compared(curves: dict[str, list[float]], out: Path) -> list[tuple[Path, str]]:
    """Write the curves as numbers, and as a plot where matplotlib is installed; the files and their titles."""
    path = out / "perplexity.json"
    limits = {"best possible": STORIES.perplexity, "without memory": STORIES.forgetful_perplexity}
    write_whole(path, json.dumps({**curves, **limits}, indent=1))
    files = [(path, "validation perplexity by epoch")]
    try:
        with figure(7, 4.5, out / "perplexity.svg") as drawn:
            axes = drawn.subplots()
            for name, curve in curves.items():
                axes.plot(range(1, len(curve) + 1), curve, marker="o", label=name)
            for (name, limit), style in zip(limits.items(), ("-", ":")):
                axes.axhline(limit, color="gray", linestyle=style, label=f"{name}, {limit:.3f}")
            axes.set(xlabel="epoch", ylabel="validation perplexity", title="Remembering who came in, and with what")
            axes.set_ylim(1.5, 4)
            axes.legend()
    except MissingDependency:
        print("   no plot of them: it needs matplotlib, pip install 'tinygrad-rnn[train]'")
        return files
    return [*files, (out / "perplexity.svg", "the same as a plot")]
