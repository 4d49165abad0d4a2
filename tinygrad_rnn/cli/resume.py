"""``tinygrad-rnn resume RUN``: continue a run that was stopped or killed, or train a finished one for longer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..files import alone_in, write_whole
from ..train.store import needed
from . import runs
from .option_types import count
from .settings import config_text
from .train import continued

HELP = "continue a run"
ABOUT = """\
Continue the run in the folder RUN from its last checkpoint. The settings are those of its config.toml. It ends, bit for
bit, where the run would have ended without the interruption.

Damaged files, files of another run or another text, and files of a newer version are refused before anything is
changed."""
EXAMPLES = """\
examples:
  tinygrad-rnn resume runs/lstm
  tinygrad-rnn resume runs/lstm --epochs 12      train for more epochs than it was begun with"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("folder", metavar="RUN", help="folder of the run: the --out of train")
    parser.add_argument("--epochs", type=count, metavar="E", help="passes in all, in the place of those in config.toml")


def run(options: Any) -> int:
    """Continue the run; the exit code."""
    needed()
    folder = Path(options.folder)
    runs.read(folder)
    with alone_in(folder, "resume"):
        continuing, settings, splits = runs.reopened(folder, options.epochs)
        if options.epochs:
            write_whole(folder / runs.CONFIG, config_text(settings))
        print(f"resumed after {continuing.where()}", flush=True)
        return continued(continuing, settings, splits)
