"""The pages about the checker: commands print what the guide shows, and the reference names all that there is."""

import argparse
import contextlib
import dataclasses
import inspect
import io
import re

import pytest

import tinygrad_rnn as tg
from helpers.command_line import CHECKOUT
from helpers.pages import plain
from tinygrad_rnn.check import Diagnosis, Report, Row
from tinygrad_rnn.cli import check, main
from tinygrad_rnn.exercise.result import Answer, Grades

CONSOLE = re.compile(r"^```console\n\$ tinygrad-rnn (.*?)\n(.*?)^```\n", re.S | re.M)


def page(name: str) -> str:
    return (CHECKOUT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def test_the_commands_print_what_the_guide_shows(monkeypatch, searched):
    monkeypatch.chdir(CHECKOUT)
    shown = dict(CONSOLE.findall(page("check")))
    codes: list[int] = []
    for command in (f"check examples/lstm_{kind}.py:lstm_bptt" for kind in ("wrong", "right")):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            codes.append(main.main(command.split()))
        assert plain(out.getvalue()) == plain(shown.pop(command)), out.getvalue()
    assert codes == [1, 0] and not shown


def missing(names: list[str], text: str) -> list[str]:
    """The names that no table row or line of the text has in backquotes."""
    quoted = re.findall(r"`([^`\n]+)`", text)
    return [name for name in names if not any(re.search(rf"(?<![\w-]){re.escape(name)}(?!\w)", one) for one in quoted)]


def section(title: str, text: str) -> str:
    """The part of a page under a heading of the second level."""
    return re.split(r"^## ", text.split(f"\n## {title}\n", 1)[1], flags=re.M)[0]


@pytest.mark.parametrize("function", [tg.check_backward, tg.check_layer, tg.check_gradients],
                         ids=lambda function: function.__name__)  # fmt: skip
def test_the_reference_names_every_argument(function):
    text = section(function.__name__, page("check_reference"))
    assert missing(list(inspect.signature(function).parameters), text) == []


@pytest.mark.parametrize("kind", [Report, Row, Diagnosis], ids=lambda kind: kind.__name__)
def test_the_reference_names_every_field_of_a_report(kind):
    public = [name for name in vars(kind) if not name.startswith("_")]
    names = list(dict.fromkeys([*(field.name for field in dataclasses.fields(kind)), *public]))
    assert missing(names, section("Report", page("check_reference"))) == []


@pytest.mark.parametrize("kind", [Grades, Answer], ids=lambda kind: kind.__name__)
def test_the_page_of_the_exercise_names_every_field_of_its_json(kind):
    names = [field.name for field in dataclasses.fields(kind) if field.name != "answers"]  # "lines" in JSON
    assert missing([*names, "lines"], section("As JSON", page("exercise"))) == []


def test_the_reference_names_every_option():
    parser = argparse.ArgumentParser(add_help=False)
    check.add_options(parser)
    names = [action.option_strings[-1] for action in parser._actions if action.option_strings]
    assert "--timeout" in names and missing(names, section("The command line", page("check_reference"))) == []


def test_a_missing_name_is_noticed():
    assert missing(["seed", "dtype", "--out"], "`f(seed=0)` and dtype and `--outer`") == ["dtype", "--out"]
