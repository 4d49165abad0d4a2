"""``tinygrad-rnn train``: train the book's language model on three texts, and save its weights."""

from __future__ import annotations

import argparse
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..cells.builtin import BUILT_IN
from ..data import Splits, load, ptb
from ..data.ptb import VARIABLE
from ..errors import InvalidValue
from ..files import alone_in
from ..train.evaluate import ROWS, generate, perplexity
from ..train.language_model import LanguageModel
from ..train.session import Session
from ..train.store import needed
from .option_types import above_zero, count, whole_number

HELP = "train a language model"
ABOUT = """\
Train the book's language model (embedding, recurrent layer, affine, softmax) by truncated BPTT.

The defaults are the book's for PTB: words and states of 100 numbers, 20 rows, windows of 35 words, learning rate 20,
gradients clipped at norm 0.25, the state carried from window to window. After each epoch the validation perplexity is
printed and the weights are saved; the best of them are tested at the end.

Ctrl-C finishes the current window and saves. The same command with --resume continues from there, and gives bit for bit
what it would have given without the interruption."""
EXAMPLES = """\
files in --out:
  last.safetensors   the weights and the position in the text: what --resume reads
  best.safetensors   the weights with the best validation perplexity, which are tested
  log.jsonl          validation perplexity and speed of every epoch

examples:
  tinygrad-rnn train --data ptb/ --model lstm --epochs 4
  tinygrad-rnn train --download --data ptb/            fetch the Penn Treebank first
  tinygrad-rnn train --data my_texts/ --model gru      a folder with train.txt, valid.txt, test.txt"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of the three texts (default: the variable TINYGRAD_RNN_DATA)")
    add("--download", action="store_true", help="fetch the Penn Treebank into --data where it is missing")
    add("--model", choices=list(BUILT_IN), default="lstm", help="the cell (%(default)s)")
    add("--epochs", type=count, default=4, metavar="E", help="passes over the training text (%(default)s)")
    add("--embed", type=count, default=100, metavar="D", help="numbers in a word vector (%(default)s)")
    add("--hidden", type=count, default=100, metavar="H", help="hidden units (%(default)s)")
    add("--rows", type=count, default=20, metavar="N", help="rows of a batch (%(default)s)")
    add("--window", type=count, default=35, metavar="T", help="words of a window (%(default)s)")
    add("--lr", type=above_zero, default=20.0, metavar="RATE", help="learning rate of SGD (%(default)s)")
    add("--clip", type=above_zero, default=0.25, metavar="NORM", help="largest norm of the gradient (%(default)s)")
    add("--seed", type=whole_number, default=0, metavar="S",
        help="seed of the initial weights and the sample (%(default)s)")  # fmt: skip
    add("--out", metavar="DIR", help="where weights are saved (default: runs/MODEL)")
    add("--resume", action="store_true", help="continue the run in --out")
    add("--sample", type=whole_number, default=40, metavar="K", help="words to write at the end (%(default)s)")


def writable(folder: str | os.PathLike[str]) -> Path:
    """The folder, created if need be; raises OSError if it cannot be written to."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"--out: {path} cannot be made or written to ({why}), should be a folder") from error


def corpora(data: str | None, download: bool) -> Splits:
    """The three texts of the folder ``data``, or of the environment variable; with ``download`` the Penn Treebank."""
    named = data or os.environ.get(VARIABLE)
    should = "should be a folder with train.txt, valid.txt and test.txt"
    if not named:
        raise FileNotFoundError(f"--data: no folder is named, {should}; with --download it may be empty")
    folder = Path(named)
    if download:
        print(f"the Penn Treebank in {folder}, fetched where it is missing", flush=True)
        return ptb(folder, download=True)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise NotADirectoryError(f"--data: {folder} {what}, {should}; --download fetches the Penn Treebank")
    if any(folder.glob("*train.txt")):
        return load(folder)
    if (folder / "ptb").is_dir():
        return ptb(folder)
    raise FileNotFoundError(f"--data: {folder} has no train.txt, {should}; --download fetches the Penn Treebank")


def run(options: Any) -> int:
    """Train, validate after every epoch, test the best weights, and generate some text; the exit code."""
    needed()
    splits = corpora(options.data, options.download)
    _long_enough(splits, options.rows, options.window)
    out = writable(options.out or Path("runs") / options.model)
    with alone_in(out, "--out"):
        return _run(options, splits, out)


def _run(options: Any, splits: Splits, out: Path) -> int:
    """The run, in a folder to which no other run writes."""
    rng = np.random.default_rng(options.seed)
    session = _session(options, splits, out, rng)
    try:
        with session.patient():
            while session.place.epoch < options.epochs:
                session.train(options)
                session.pause()
    except KeyboardInterrupt:
        if not session.stopped:
            raise
        saved = f"saved in {session.out}, the same command with --resume continues"
        print(f"\nstopped after {session.where()}; {saved}", flush=True)
        return 130
    _finish(session, options, rng)
    return 0


def _session(options: Any, splits: Splits, out: Path, rng: np.random.Generator) -> Session:
    """The run that the options describe, new or resumed; errors in the options are raised here."""
    model = LanguageModel(BUILT_IN[options.model], len(splits.train.vocab), options.embed, options.hidden, rng=rng)
    session = Session(model, splits, out, _about(options, splits))
    if options.resume:
        session.resume()
    else:
        session.begin()
    count = sum(parameter.size for parameter in model.params.values())
    words = f"{len(splits.train):,} words, {len(splits.train.vocab):,} different"
    print(f"{options.model}: {count:,} parameters; {words}; weights go to {out}", flush=True)
    if options.resume:
        print(f"resumed after {session.where()}", flush=True)
    return session


def _long_enough(splits: Splits, N: int, T: int) -> None:
    """Raise InvalidValue for a text that is too short, before the training."""
    for name, corpus in splits._asdict().items():
        least = N * T + 1 if name == "train" else ROWS + 1
        if len(corpus) < least:
            why = f"a window of {N} rows and {T} words" if name == "train" else f"{ROWS} rows"
            raise InvalidValue(f"--data: the {name} text has {len(corpus)} words, should have {least} for {why}")


def _about(options: Any, splits: Splits) -> dict[str, Any]:
    """The options, and a checksum of the text, which must be the same to resume a run."""
    names = ("model", "embed", "hidden", "rows", "window", "lr", "clip", "seed")
    text = zlib.crc32(" ".join(splits.train.vocab).encode(), zlib.crc32(splits.train.ids.tobytes()))
    same = {name: getattr(options, name) for name in names}
    return {**same, "V": len(splits.train.vocab), "training text": f"{text:08x}"}


def _finish(session: Session, options: Any, rng: np.random.Generator) -> None:
    """Test the best weights, and generate text with them."""
    epoch = session.take_best()
    test = perplexity(session.model, session.splits.test.ids)
    print(f"test perplexity {test:.2f} (weights of epoch {epoch}), saved in {session.out}")
    if options.sample > 0:
        corpus = session.splits.train
        start = corpus.ids[:1]
        words = [*start.tolist(), *generate(session.model, start, options.sample, rng)]
        lines = " ".join(corpus.decode(words)).split("<eos>")
        print("\n" + "\n".join(line.strip() for line in lines))
