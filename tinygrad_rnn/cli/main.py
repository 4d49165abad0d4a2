"""The command line: ``tinygrad-rnn demo | draw | check | derive | train``.

Exit codes: 0 done, 1 checked and wrong, 2 could not be done (said in one line), 130 interrupted.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence

from .. import __version__
from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..draw import draw
from ..errors import UserFileError
from . import check as check_command
from . import derive as derive_command
from . import draw as draw_command
from .console import printable
from .isolated import run_apart
from .target import bug, is_bug, own_lines, user_lines

_ABOUT = "Recurrent cells as forward-only code: draw them, check their gradients, train them."
_TRAIN = """\
Train the book's language model (embedding, recurrent layer, affine, softmax) by truncated BPTT.

The defaults are the book's for PTB: words and states of 100 numbers, 20 rows, windows of 35 words, learning rate 20,
gradients clipped at norm 0.25, the state carried from window to window. After each epoch the validation perplexity is
printed and the weights are saved; the best of them are tested at the end.

Ctrl-C saves after the window that is being worked on. The same command with --resume goes on from there, and gives bit
for bit what it would have given without the interruption."""
_DEMO = """\
Draw an LSTM step, check a backward pass derived by hand (and catch a planted mistake), and train an RNN and an LSTM on
stories whose best possible perplexity is known. It takes under two minutes and writes its files to --out."""
_FILES = """\
files in --out:
  last.safetensors   weights, and where the run is: what --resume reads
  best.safetensors   the weights with the best validation perplexity, which are tested
  log.jsonl          validation perplexity and speed of every epoch

"""
_CODES = "exit codes: 0 done, 1 checked and wrong, 2 could not be done (said in one line), 130 interrupted"
_EXAMPLES = """\
examples:
  tinygrad-rnn train --data ptb/ --model lstm --epochs 4
  tinygrad-rnn train --download --data ptb/            fetch the Penn Treebank first
  tinygrad-rnn train --data my_texts/ --model gru      a folder with train.txt, valid.txt, test.txt"""


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="tinygrad-rnn", description=_ABOUT, epilog=_CODES, formatter_class=raw)
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands (without one: demo)")
    demo = commands.add_parser("demo", help="draw an LSTM, check its gradient, train it, in under two minutes",
                               description=_DEMO, formatter_class=raw)  # fmt: skip
    demo.add_argument("--out", default="tinygrad_rnn_demo", metavar="DIR", help="where the files go (%(default)s)")
    demo.add_argument("--seed", type=_whole, default=0, metavar="S", help="of weights and corpus (%(default)s)")
    demo.add_argument("--epochs", type=_positive, metavar="E", help="of each model (default: RNN 4, LSTM 8)")
    drawing = commands.add_parser("draw", help="draw a cell, forward and backward", description=draw_command.ABOUT,
                                  epilog=draw_command.EXAMPLES, formatter_class=raw)  # fmt: skip
    draw_command.options(drawing)
    checking = commands.add_parser("check", help="check a backward pass derived by hand",
                                   description=check_command.ABOUT, epilog=check_command.EXAMPLES,
                                   formatter_class=raw)  # fmt: skip
    check_command.options(checking)
    deriving = commands.add_parser("derive", help="derive the backward pass of a cell: NumPy, LaTeX, or in words",
                                   description=derive_command.ABOUT, epilog=derive_command.EXAMPLES,
                                   formatter_class=raw)  # fmt: skip
    derive_command.options(deriving)
    train = commands.add_parser("train", help="train a language model", description=_TRAIN, epilog=_FILES + _EXAMPLES,
                                formatter_class=raw)  # fmt: skip
    _train_options(train)
    return top


def _train_options(train: argparse.ArgumentParser) -> None:
    add = train.add_argument
    add("--data", metavar="DIR", help="folder of the three texts (default: the variable TINYGRAD_RNN_DATA)")
    add("--download", action="store_true", help="fetch the Penn Treebank into --data where it is missing")
    add("--model", choices=list(BUILT_IN), default="lstm", help="the cell (%(default)s)")
    add("--epochs", type=_positive, default=4, metavar="E", help="passes over the training text (%(default)s)")
    add("--embed", type=_positive, default=100, metavar="D", help="numbers in a word vector (%(default)s)")
    add("--hidden", type=_positive, default=100, metavar="H", help="hidden units (%(default)s)")
    add("--rows", type=_positive, default=20, metavar="N", help="rows of a batch (%(default)s)")
    add("--window", type=_positive, default=35, metavar="T", help="words of a window (%(default)s)")
    add("--lr", type=_above_zero, default=20.0, metavar="RATE", help="learning rate of SGD (%(default)s)")
    add("--clip", type=_above_zero, default=0.25, metavar="NORM", help="largest norm of the gradient (%(default)s)")
    add("--seed", type=_whole, default=0, metavar="S", help="of the first weights and the sample (%(default)s)")
    add("--out", metavar="DIR", help="where weights are saved (default: runs/MODEL)")
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--sample", type=_whole, default=40, metavar="K", help="words to write at the end (%(default)s)")


def _positive(text: str) -> int:
    return _whole(text, least=1)


def _whole(text: str, least: int = 0) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise argparse.ArgumentTypeError(f"is {text!r}, should be a whole number from {least}")
    return int(text)


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"is {text!r}, should be a number above 0")
    return number


def _picture(cell: Cell, ways: list[tuple[str, str]], file: str) -> None:
    """Draw a cell with ways back marked: what checks know nothing of."""
    draw(cell, mark=ways).save(file)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command in this process; without one, the demo. Returns the exit code."""
    with printable():
        return reported(_parsed(argv), _run)


def program() -> int:
    """What the shell runs: as `main`, but a user's file has a process of its own, which it may end or hang."""
    with printable():
        options = _parsed(None)
        return reported(options, _run_apart if _users_file(options) else _run)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    given = list(sys.argv[1:] if argv is None else argv)
    return parser().parse_args(given or ["demo"])


def _users_file(options: argparse.Namespace) -> str:
    """The first ``FILE.py`` that is named as ``FILE.py:NAME``."""
    hints = [hint for hint in getattr(options, "hint", []) if hint]  # --hint FILE.py:NAME is taken too
    names = [getattr(options, name, None) or "" for name in ("place", "cell", "template")]
    return next((name.rpartition(":")[0] for name in [*names, *hints] if ":" in name), "")


def _run_apart(options: argparse.Namespace) -> int:
    end = run_apart(_child, options, options.timeout)
    if isinstance(end, int):
        return end
    text = f"{_users_file(options)} {end}"
    if options.command == "check":
        return check_command.refused(options, text)
    raise UserFileError(text)


def _child(options: argparse.Namespace) -> int:
    with printable():
        return reported(options, _run)


def _run(options: argparse.Namespace) -> int:
    if options.command == "train":
        from .train import run
    elif options.command == "draw":
        return draw_command.run(options)
    elif options.command == "check":
        return check_command.run(options, _picture)
    elif options.command == "derive":
        return derive_command.run(options)
    else:
        from .demo import run
    return run(options)


def reported(options: argparse.Namespace, run: Callable[[argparse.Namespace], int]) -> int:
    """The exit code of a command; what goes wrong is said on the error stream."""
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BaseException as error:
        print(f"tinygrad-rnn {options.command}: {_said(error, options)}", file=sys.stderr)
        return 2


def _said(error: BaseException, options: argparse.Namespace) -> str:
    """One line for what was refused; the lines of a user's file; all there is of a bug."""
    file = _users_file(options)
    if file and not isinstance(error, UserFileError) and user_lines(error, file):
        return f"{file} was run, and failed:\n{own_lines(error, file)}"
    if is_bug(error):
        return bug(error)
    return (str(error) or type(error).__name__).removeprefix(f"{options.command}: ")
