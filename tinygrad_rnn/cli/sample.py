"""``tinygrad-rnn sample RUN``: text of a trained language model."""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from ..data import EOS
from ..train.evaluate import stream
from ..train.store import needed
from . import runs
from .option_types import above_zero, count, whole_number

HELP = "text of a trained model"
ABOUT = """\
Write text with the best weights of a run, token by token as it is drawn. Each token is drawn from the softmax of the
model's scores, which are divided by the temperature: below 1 likely tokens become likelier."""
EXAMPLES = """\
examples:
  tinygrad-rnn sample runs/lstm
  tinygrad-rnn sample runs/lstm --prompt "the company said" --length 60 --temperature 0.8
  tinygrad-rnn sample runs/lstm --top-k 20                draw from the 20 likeliest tokens
  tinygrad-rnn sample runs/lstm --top-p 0.9 --seed 7      from the likeliest that have 0.9 of the probability"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("folder", metavar="RUN", help="folder of the run: the --out of train")
    add("--prompt", metavar="TEXT", help="how the text begins (default: the beginning of a line)")
    add("--length", type=count, default=100, metavar="N", help="tokens to write (%(default)s)")
    add("--temperature", type=above_zero, default=1.0, metavar="X", help="divides the scores (%(default)s)")
    add("--top-k", type=count, metavar="K", help="draw from the K likeliest tokens (default: all)")
    add("--top-p", type=share, metavar="P", help="draw from the likeliest tokens with probability P together")
    add("--seed", type=whole_number, default=0, metavar="S", help="seed of the draws (%(default)s)")


def share(text: str) -> float:
    """``text`` as a probability above 0."""
    number = above_zero(text, "a probability")
    if number > 1:
        raise argparse.ArgumentTypeError(f"is {text!r}, should be a probability from above 0 to 1")
    return number


def run(options: Any) -> int:
    """Write the prompt and the text; the exit code."""
    needed()
    model, _, corpus = runs.trained(Path(options.folder))
    start = corpus.encode(options.prompt) if options.prompt else _begin(corpus)
    drawn = stream(model, start, np.random.default_rng(options.seed), options.temperature, top_k=options.top_k,
                   top_p=options.top_p)  # fmt: skip
    tokens = start.tolist() if options.prompt else []
    shown = corpus.text(tokens)
    print(shown, end="", flush=True)
    for token in itertools.islice(drawn, options.length):
        tokens.append(token)
        text = corpus.text(tokens).rstrip("\N{REPLACEMENT CHARACTER}")  # a character may have begun only
        print(text[len(shown) :], end="", flush=True)
        shown = text
    print(corpus.text(tokens)[len(shown) :])
    return 0


def _begin(corpus: Any) -> np.ndarray:
    """The token after which a line begins: the end of a line, or the first token of the vocabulary."""
    ends = [corpus.word_to_id[end] for end in (EOS, "\n", "0x0a") if end in corpus.word_to_id]
    return np.array([*ends, 0][:1])
