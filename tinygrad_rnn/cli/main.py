"""The command line: ``tinygrad-rnn demo | draw | check | derive | train | resume | eval | sample | plot``.

Each command is a module of this folder: ``HELP``, its line in the list of commands; ``ABOUT`` and ``EXAMPLES``, the
texts above and below its options; ``add_options(parser)``; and ``run(options)``, which returns the exit code.

Exit codes: 0 done, 1 checked and wrong, 2 could not be done (said in one line), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from .. import __version__
from ..errors import Error, UserFileError
from . import check, demo, derive, draw, eval, plot, resume, sample, train
from .console import printable
from .isolated import run_apart
from .target import user_lines, user_traceback

COMMANDS: dict[str, Any] = {
    "demo": demo, "draw": draw, "check": check, "derive": derive,
    "train": train, "resume": resume, "eval": eval, "sample": sample, "plot": plot,
}  # fmt: skip
ABOUT = "Recurrent cells as forward-only code: draw them, check their gradients, train them."
EXIT_CODES = "exit codes: 0 done, 1 checked and wrong, 2 could not be done (said in one line), 130 interrupted"


def parser() -> argparse.ArgumentParser:
    """Every command and option."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="tinygrad-rnn", description=ABOUT, epilog=EXIT_CODES, formatter_class=raw)
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands (without one: demo)")
    for name, command in COMMANDS.items():
        command.add_options(commands.add_parser(name, help=command.HELP, description=command.ABOUT,
                                                epilog=command.EXAMPLES, formatter_class=raw))  # fmt: skip
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command in this process; without one, the demo. Returns the exit code."""
    with printable():
        return exit_code(_parsed(argv), _run)


def program() -> int:
    """Run the command of the shell: as `main`, but a user's file, which may end or hang its process, gets its own."""
    with printable():
        options = _parsed(None)
        return exit_code(options, _run_apart if _user_files(options) and options.command != "train" else _run)


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    words = list(sys.argv[1:] if argv is None else argv)
    return parser().parse_args(words or ["demo"])


def _run(options: argparse.Namespace) -> int:
    code: int = COMMANDS[options.command].run(options)
    return code


def _run_apart(options: argparse.Namespace) -> int:
    """Run the command in a process of its own; raise UserFileError if that process did not finish."""
    result = run_apart(_child, options, options.timeout)
    if isinstance(result, str):
        raise UserFileError(f"{_user_files(options)[0]} {result}")
    return result


def _child(options: argparse.Namespace) -> int:
    with printable():
        return exit_code(options, _run)


def _user_files(options: argparse.Namespace) -> list[str]:
    """The ``FILE.py`` of every option that names ``FILE.py:NAME``, or a file alone."""
    hints = [hint for hint in getattr(options, "hint", []) if hint]  # --hint FILE.py:NAME is accepted too
    places = [getattr(options, name, None) or "" for name in ("place", "cell", "template", "model")]
    files = [place.rpartition(":")[0] if ":" in place else place for place in [*places, *hints]]
    return [file for file, place in zip(files, [*places, *hints]) if ":" in place or place.endswith(".py")]


def exit_code(options: argparse.Namespace, run: Callable[[argparse.Namespace], int]) -> int:
    """Run a command and return its exit code; an error is described on the error stream, with --json as data too."""
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BaseException as error:  # a user's file may raise anything
        text = describe(error, options)
        if getattr(options, "json", False):
            with contextlib.suppress(OSError):  # standard output may be what failed
                data = {"ok": False, "verdict": "unchecked", "error": text}
                print(json.dumps(data, ensure_ascii=False), flush=True)
        print(f"tinygrad-rnn {options.command}: {text}", file=sys.stderr)
        return 2


def describe(error: BaseException, options: argparse.Namespace) -> str:
    """The user's own lines that failed; one line for an error that a caller can cause; else the traceback of a bug."""
    files = _user_files(options)
    if not isinstance(error, UserFileError) and user_lines(error, files):
        return f"{files[0]} was run, and failed:\n{user_traceback(error, files)}"
    if isinstance(error, (Error, OSError, MemoryError)):
        return (str(error) or type(error).__name__).removeprefix(f"{options.command}: ")
    lines = "".join(traceback.format_exception(error)).rstrip()
    return f"this is a bug in tinygrad_rnn, please report it with all of this:\n{lines}"
