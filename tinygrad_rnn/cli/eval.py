"""``tinygrad-rnn eval RUN``: the perplexity of the best weights of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..data import read_text
from ..errors import InvalidValue
from ..train.console import two_digits
from ..train.store import needed
from . import build, runs
from .option_types import count

HELP = "perplexity of a trained model"
ABOUT = """\
Print the perplexity of the best weights of a run on its test text, its other texts, or a text of yours. The state is
carried from the beginning of each row to its end, nothing is dropped, and every word counts once.

The words are those of the run's vocabulary: a text with another vocabulary is refused, and unknown words in a text of
yours become <unk>."""
EXAMPLES = """\
examples:
  tinygrad-rnn eval runs/lstm
  tinygrad-rnn eval runs/lstm --split valid --eval-rows 1     a single row: no word of the text is left out
  tinygrad-rnn eval runs/lstm --text letter.txt"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("folder", metavar="RUN", help="folder of the run: the --out of train")
    add("--split", choices=("train", "valid", "test"), default="test", help="which text of the run (%(default)s)")
    add("--text", metavar="FILE", help="a text file in the place of the texts of the run")
    add("--eval-rows", type=count, metavar="N", help="rows of a batch (default: those of the run)")


def run(options: Any) -> int:
    """Print the perplexity; the exit code."""
    needed()
    model, settings, empty = runs.trained(Path(options.folder))
    if options.text:
        corpus = read_text(options.text, empty.vocab, tokens=settings["tokens"], encoding=settings["encoding"])
    else:
        splits = build.texts(settings)
        if splits.train.vocab != empty.vocab:
            what = f"the vocabulary of {settings['data']} is not that of the run"
            raise InvalidValue(f"{what}, should be the same text as in {runs.CONFIG}")
        corpus = getattr(splits, options.split if settings["validate"] else "train")
    settings["eval_rows"] = options.eval_rows or settings["eval_rows"]
    perplexity = runs.tested(model, corpus, settings)
    rows = settings["eval_rows"]
    count = (len(corpus) - 1) // rows * rows
    name = options.text or (options.split if settings["validate"] else "train")
    print(f"{name}: perplexity {two_digits(perplexity)} over {count:,} of {len(corpus) - 1:,} tokens")
    return 0
