"""The table of the notes stays true: every row is there, and all that it names exists and takes these options.

The Python blocks of the page are run by `test_docs`, the examples by `test_examples`.
"""

import ast
import inspect
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from test_examples import SHOWS
from tinygrad_rnn import data, models, nn, optim, train
from tinygrad_rnn.cli.main import parser
from tinygrad_rnn.cli.presets import PRESETS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "notes.md").read_text(encoding="utf-8")
LENGTHS = {"A": 21, "B": 19, "C": 8, "D": 17, "E": 7, "F": 16}
IDS = [f"{section}{number}" for section, length in LENGTHS.items() for number in range(1, length + 1)]
LATER = {"A6", "A20", "H7", "H9"}  # what pictures cannot show yet
NAMES = {"tg": tg, "np": np, "nn": nn, "optim": optim, "data": data, "models": models, "train": train}


class Row(NamedTuple):
    """A row of a table: what the notes have, where it is here, what shows it, what was seen."""

    id: str
    item: str
    here: str
    run: str
    seen: str = "-"


def rows_of(page: str) -> list[Row]:
    """The rows of all tables whose first column is a row of the notes."""
    cells = [[cell.strip() for cell in line.strip("|").split(" |")] for line in re.findall(r"^\|.*\|$", page, re.M)]
    return [Row(*row) for row in cells if re.fullmatch(r"[A-H]\d*", row[0])]


ROWS = rows_of(PAGE)
BLOCKS = "".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M))


def spans(text: str) -> list[str]:
    """What is in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def attribute(owner: Any, name: str) -> Any:
    """An attribute of a module or class; of a field that only objects have, None."""
    if name in getattr(owner, "__annotations__", {}):
        return getattr(owner, name, None)
    return getattr(owner, name)


def resolved(node: ast.expr) -> Any:
    """The object that an expression such as ``nn.Linear`` names. Raises AttributeError or KeyError if there is none."""
    if isinstance(node, ast.Attribute):
        return attribute(resolved(node.value), node.attr)
    assert isinstance(node, ast.Name), ast.unparse(node)
    return NAMES[node.id]


def check_expression(text: str) -> None:
    """The name exists; a call of it takes the keywords that are given."""
    node = ast.parse(text, mode="eval").body
    if not isinstance(node, ast.Call):
        resolved(node)
        return
    parameters = inspect.signature(resolved(node.func)).parameters
    anything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for keyword in node.keywords:
        assert anything or keyword.arg in parameters, f"{text}: there is no {keyword.arg}="


def check_command(text: str) -> None:
    """The command line parses; its preset exists, and so does the function that it names."""
    words = shlex.split(text)[1:]
    try:
        options = vars(parser().parse_args(words))
    except SystemExit:
        raise AssertionError(f"{text} is refused") from None
    assert options.get("preset") in {None, *PRESETS}
    for word in words:
        if ".py:" in word:
            path, _, name = word.rpartition(":")
            assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")


def check_example(text: str) -> None:
    """The example exists, is run by the tests, and knows the options."""
    _, path, *words = shlex.split(text)
    source = (ROOT / path).read_text(encoding="utf-8")
    assert Path(path).stem in SHOWS, f"{path} is not run by the tests"
    for word in words:
        assert not word.startswith("-") or f'"{word}"' in source, f"{path} has no {word}"
        assert word.startswith("-") or "sys.argv" in source or '"-o"' in source, f"{path} takes no {word}"


def check_path(text: str) -> None:
    """The file exists, and the function in it after ``::``."""
    path, _, name = text.partition("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    assert not name or f"def {name}(" in source, f"there is no {text}"


def check(text: str) -> None:
    """Check a name, a command, or a file in backquotes."""
    if text.startswith("tinygrad-rnn "):
        check_command(text)
    elif text.startswith("python "):
        check_example(text)
    elif re.match(r"(tests|examples)/", text):
        check_path(text)
    elif text not in PRESETS:
        check_expression(text)


def test_the_88_rows_are_there_in_order():
    assert [row.id for row in ROWS if row.id[0] in LENGTHS] == IDS and len(IDS) == 88
    assert [row.id for row in ROWS if row.id[0] == "H"] == [f"H{number}" for number in range(1, 10)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_what_a_row_names_exists(row):
    for text in spans(f"{row.here} {row.run}" if row.id[0] != "H" else row.run):
        check(text)


def test_every_row_says_where_how_and_what():
    assert [row.id for row in ROWS if not (row.item and row.here and (row.run or row.id in LATER) and row.seen)] == []
    shown = [row.id for row in ROWS if spans(row.run) or "](" in row.run or "block" in row.run]
    assert [row.id for row in ROWS if row.id not in shown] == ["H9"]
    assert {row.id for row in ROWS if "pictures: later" in " ".join(row)} <= LATER


def test_a_row_that_is_shown_by_a_block_is_in_one():
    shown = [row.id for row in ROWS if re.match(r"block\b", row.run)]
    assert len(shown) > 35
    assert [name for name in shown if not re.search(rf"\"{name}[ \"]", BLOCKS)] == []


# -- the testers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [
    "tg.lstn", "nn.Linear.shape_of", "nn.Linear(tie=embed)", "optim.SGD(speed=1)", "tg.flow.Flow.truncated", "torch.nn",
    "tinygrad-rnn trane", "tinygrad-rnn train --layrs 2", "tinygrad-rnn train --preset notes",
    "tinygrad-rnn check examples/lstm_right.py:lstm", "python examples/gone.py", "python examples/lstm_by_hand.py",
    "python examples/exploding_remedies.py --fast", "python examples/count_ones.py picture.svg", "tests/gone.py",
    "tests/test_notes.py::test_gone",
])  # fmt: skip
def test_what_does_not_exist_is_noticed(text):
    with pytest.raises((AssertionError, AttributeError, KeyError, FileNotFoundError)):
        check(text)


@pytest.mark.parametrize("text", [
    "tg.lstm", "nn.Linear(tied=embed)", "optim.SGD(momentum=0.9)", "tg.flow.Flow.truncation", "train.History.epochs",
    "notes-lstm", "tinygrad-rnn derive lstm --loop", "tinygrad-rnn check examples/lstm_right.py:lstm_bptt",
    "python examples/exploding_remedies.py -o x.png", "tests/test_notes.py::test_what_does_not_exist_is_noticed",
])  # fmt: skip
def test_what_exists_is_accepted(text):
    check(text)
