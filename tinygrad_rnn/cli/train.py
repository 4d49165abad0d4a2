"""``tinygrad-rnn train``: train a language model on three texts, in a folder that can be resumed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..cells.builtin import BUILT_IN
from ..data import Splits
from ..files import alone_in
from ..optim import OPTIMIZERS, SCHEDULES
from ..train.console import two_digits
from ..train.run import Run
from ..train.store import needed
from . import build, runs
from .presets import PRESETS
from .settings import FLAG, GROUPS, SETTINGS, Setting, config_text, settings

HELP = "train a language model"
ABOUT = """\
Train a language model (embedding, recurrent layers, affine, softmax) by truncated BPTT.

The defaults are the book's for PTB: an LSTM, words and states of 100 numbers, 20 rows, windows of 35 words, learning
rate 20, gradients clipped at norm 0.25, the state carried from window to window. A preset, a TOML file and options
change them, each the one before. After each epoch the validation perplexity is printed; the best weights are tested.

Ctrl-C finishes the current window and saves; so does SIGTERM. `tinygrad-rnn resume RUN` continues and gives, bit for
bit, what the run would have given without the interruption. A run that is killed loses at most five minutes."""
PRESET_LINES = "\n".join(f"  {name:13s} {preset.about}" for name, preset in PRESETS.items())
EXAMPLES = f"""\
presets:
{PRESET_LINES}

files in --out, the folder of the run:
  config.toml        the settings; with it and vocab.json, eval, sample and resume need no option
  metrics.jsonl      the curves: a line every 20 batches, and a line every epoch
  curves.svg         their plot
  best.safetensors   the weights with the best validation perplexity
  last.safetensors   all that a resumed run needs

examples:
  tinygrad-rnn train --data stories --preset stories       a text whose best possible perplexity is known
  tinygrad-rnn train --data ptb/ --download --preset notes-lstm
  tinygrad-rnn train --data my_texts/ --model gru --layers 2 --dropout 0.3 --optimizer adam --lr 0.002
  tinygrad-rnn train --data my_texts/ --model cells.py:mycell --config mine.toml
  tinygrad-rnn resume runs/lstm                            continue
  tinygrad-rnn eval runs/lstm                              perplexity of the test text
  tinygrad-rnn sample runs/lstm --prompt "the"             text of the model"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command: those of the table of settings, and the files."""
    parser.add_argument("--preset", metavar="NAME", help=f"settings by name: {', '.join(PRESETS)}")
    parser.add_argument("--config", metavar="FILE", help="a TOML file with settings, as the config.toml of a run")
    parser.add_argument("--out", metavar="DIR", help="folder of the run (default: runs/PRESET or runs/MODEL)")
    parser.add_argument("--download", action="store_true", help="fetch the Penn Treebank into --data")
    for title, group in GROUPS.items():
        part = parser.add_argument_group(title)
        for name, row in group.items():
            _add(part, name, row)


def _add(part: Any, name: str, row: Setting) -> None:
    """Add the option of a setting. It is absent from the parsed options unless it is given."""
    option, default = name.replace("_", "-"), argparse.SUPPRESS
    if row.kind is FLAG:
        flag = f"--no-{option}" if row.default else f"--{option}"
        part.add_argument(flag, dest=name, action="store_false" if row.default else "store_true", default=default,
                          help=row.help)  # fmt: skip
        return

    def parse(text: str) -> Any:
        value = row.kind.parse(text)
        if not row.kind.holds(value):
            raise argparse.ArgumentTypeError(f"is {text!r}, should be {row.kind.should}")
        return value

    tables = {"model": BUILT_IN, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    names = f": {', '.join(tables[name])}" if name in tables else ""
    shown = f"{row.help}{names} ({row.default})" if row.default != "" else row.help
    part.add_argument(f"--{option}", type=parse, default=default, metavar=row.metavar, help=shown)


def run(options: Any) -> int:
    """Train, validate after every epoch, and test the best weights; the exit code."""
    needed()
    given = {name: value for name, value in vars(options).items() if name in SETTINGS}
    chosen = settings(options.preset, options.config, given)
    config_text(chosen)  # raises without tomli-w, before any work
    kind = build.check(chosen)
    splits = build.texts(chosen, options.download)
    build.check_lengths(splits, chosen)
    name = options.preset or Path(chosen["model"].rpartition(":")[2]).name
    out = runs.writable(options.out or Path("runs") / name)
    with alone_in(out, "--out"):
        return continued(runs.new(chosen, splits, out, kind), chosen, splits)


def continued(run: Run, chosen: dict[str, Any], splits: Splits) -> int:
    """Train to the last epoch, in a folder to which no other run writes, and test the best weights; the exit code."""
    count = sum(parameter.size for parameter in run.model.params.values())
    words = f"{len(splits.train):,} {'words' if chosen['tokens'] == 'word' else chosen['tokens'] + 's'}"
    kinds = f"{len(splits.train.vocab):,} different"
    print(f"{chosen['model']}: {count:,} parameters; {words}, {kinds}; the run is in {run.folder}", flush=True)
    valid = build.checks(chosen, splits.valid) if chosen["validate"] else None
    try:
        run.fit(build.batches(chosen, splits), valid=valid, epochs=chosen["epochs"],
                max_norm=chosen["clip"] or None, patience=chosen["patience"] or None)  # fmt: skip
    except KeyboardInterrupt:
        if not run.signals.handled:
            raise
        resume = f"saved, tinygrad-rnn resume {run.folder} continues"
        print(f"\nstopped after {run.where()}; {resume}", flush=True)
        return 130
    best = run.history.best or {}
    if chosen["validate"]:
        test = runs.tested(run.model, splits.test, chosen)
        print(f"test perplexity {two_digits(test)} (weights of epoch {best['epoch']}), saved in {run.folder}")
    else:
        print(f"training perplexity {two_digits(best['perplexity'])} in epoch {best['epoch']}, saved in {run.folder}")
    return 0
