"""The command line: help, errors in one line, exit codes."""

import re
import sys
from pathlib import Path

import pytest

import tinygrad_rnn as tg
from helpers.command_line import SMALL, python, write_texts
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cli import demo, main
from tinygrad_rnn.errors import NumericalError
from tinygrad_rnn.models import LanguageModel

pytest.importorskip("safetensors")
pytest.importorskip("tomli_w")


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """An empty folder to run in, and no folder of texts in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYGRAD_RNN_DATA", raising=False)
    return tmp_path


# -- help ------------------------------------------------------------------------------------------------------------


def helped(capsys, *command: str) -> str:
    with pytest.raises(SystemExit) as done:
        main.main([*command, "--help"])
    assert done.value.code == 0
    return capsys.readouterr().out


def test_help_names_the_commands_and_the_exit_codes(capsys):
    text = helped(capsys)
    codes = "exit codes: 0 done, 1 checked and wrong, 2 could not be done"
    for word in (*main.COMMANDS, "commands (without one: demo)", codes):
        assert word in text


@pytest.mark.parametrize("command", ["train", "demo", "resume", "eval", "sample", "plot"])
def test_every_option_has_a_help_with_its_default(command, capsys):
    text = " ".join(helped(capsys, command).split())
    actions = next(one for one in main.parser()._actions if one.choices).choices[command]._actions
    for one in actions:
        assert one.help and (one.option_strings or [one.metavar])[-1] in text
        if one.default not in (None, False, "==SUPPRESS=="):
            assert f"({one.default})" in text, one.option_strings
    assert all(name in helped(capsys, "train") for name in BUILT_IN)


def test_the_module_is_the_command(at_home):
    run = python("-m", "tinygrad_rnn", "--help", cwd=at_home)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0 and err == "" and out.startswith("usage: tinygrad-rnn [-h]")
    assert list(at_home.iterdir()) == []


def test_version(capsys):
    with pytest.raises(SystemExit) as done:
        main.main(["--version"])
    assert done.value.code == 0 and capsys.readouterr().out == f"tinygrad-rnn {tg.__version__}\n"


# -- wrong options: exit code 2, said by argparse --------------------------------------------------------------------

WRONG_OPTIONS = {
    "train --epochs 0": "argument --epochs: is '0', should be a whole number from 1",
    "train --rows 2.5": "argument --rows: is '2.5', should be a whole number from 1",
    "train --hidden ²": "argument --hidden: is '²', should be a whole number from 1",
    "train --seed -1": "argument --seed: is '-1', should be a whole number from 0",
    "train --clip -1": "argument --clip: is '-1', should be a number from 0",
    "train --dropout 1": "argument --dropout: is '1', should be a number from 0, below 1",
    "train --tokens letter": "argument --tokens: is 'letter', should be one of word, char, byte",
    "train --ring round": "argument --ring: is 'round', should be one of pairs, words",
    "train --resume": "unrecognized arguments: --resume",
    "sample run --top-k 0": "argument --top-k: is '0', should be a whole number from 1",
    "sample run --top-p 2": "argument --top-p: is '2', should be a probability from above 0 to 1",
    "sample run --temperature 0": "argument --temperature: is '0', should be a number above 0",
    "plot run --ylim 5": "argument --ylim: is '5', should be two numbers such as 0:500",
    "plot run --ylim 9:1": "argument --ylim: is '9:1', should be two numbers such as 0:500",
    "train --lr 0": "argument --lr: is '0', should be a number above 0",
    "train --lr nan": "argument --lr: is 'nan', should be a number above 0",
    "train --lr inf": "argument --lr: is 'inf', should be a number above 0",
    "train --clip big": "argument --clip: is 'big', should be a number from 0",
    "demo --epochs none": "argument --epochs: is 'none', should be a whole number from 1",
    "draw lstm --sizes N=²": "argument --sizes: has 'N=²', should be such as N=1,D=3,H=5",
    "draw lstm --sizes 3": "argument --sizes: has '3', should be such as N=1,D=3,H=5",
    "draw lstm --unfold 3:3": "argument --unfold: is '3:3', should be two steps such as 3:7",
    "check mine.py:f --inputs 3,0": "argument --inputs: is '3,0', should be a shape such as 3,5 or x=3,5, or ids:5 for "
    "whole numbers",
    "train --momentum 1": "unrecognized arguments: --momentum 1",
}


@pytest.mark.parametrize("line", WRONG_OPTIONS)
def test_a_wrong_option_is_refused_in_words(line, capsys):
    with pytest.raises(SystemExit) as done:
        main.main(line.split())
    assert done.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: {WRONG_OPTIONS[line]}")


def test_a_wrong_command_is_answered_with_the_right_ones(capsys):
    with pytest.raises(SystemExit) as done:
        main.main(["fly"])
    err = capsys.readouterr().err
    assert done.value.code == 2 and "invalid choice: 'fly' (choose from" in err
    assert all(name in err for name in main.COMMANDS)


# -- what cannot be done: exit code 2, said in one line --------------------------------------------------------------

SHOULD = "should be a folder with train.txt, valid.txt and test.txt"
FETCH = "--download fetches the Penn Treebank"


def texts(**given):
    return lambda: write_texts(Path("texts"), **given)


def no_file(name):
    return lambda: (write_texts(Path("texts")) / name).unlink()


def a_file(name):
    return lambda: (write_texts(Path("texts")), Path(name).write_text("in the way"))


CANNOT = {
    "no such cell": ("--model lsmt", lambda: None, "--model: there is no cell 'lsmt', did you mean lstm?; yours is "
                     "FILE.py:CELL"),
    "no such optimiser": ("--optimizer adma", lambda: None, "--optimizer: there is no optimizer 'adma', did you mean "
                          "adam?"),
    "no such schedule": ("--schedule cosin", lambda: None, "--schedule: there is no schedule 'cosin', did you mean "
                         "cosine?"),
    "no such preset": ("--preset notes-simpel", lambda: None, "--preset: there is no preset 'notes-simpel', did you "
                       "mean notes-simple?"),
    "tied layers of two sizes": ("--tie --embed 4", lambda: None, "--tie: embed is 4 and hidden is 100, should be "
                                "equal"),
    "a mask without dropout": ("--variational", lambda: None, "--variational: dropout is 0, should be above 0: "
                               "--dropout 0.5"),
    "no block f": ("--model gru --forget-bias 1", lambda: None, "--forget-bias: gru has no bias b with a block f, "
                   "should be 0"),
    "no file of the cell": ("--model mine.py:cell", lambda: None, "mine.py: there is no such file"),
    "no such file of settings": ("--config mine.toml", lambda: None, "[Errno 2] No such file or directory: "
                                 "'mine.toml'"),
    "too few words for the others": (
        "--data texts --first 20", texts(train="a b " * 30 + "<unk> "),
        "--first: the first 20 words have no <unk> for the words of the validation, should be without validation: "
        "--no-validate"),
    "no folder named": ("", lambda: None, f"--data: no folder is named, {SHOULD}; with --download it may be empty"),
    "nor for the download": (
        "--download", lambda: None, f"--data: no folder is named, {SHOULD}; with --download it may be empty"),
    "no such folder": ("--data txets", lambda: None, f"--data: txets is not there, {SHOULD}; {FETCH}"),
    "a file": ("--data file", a_file("file"), f"--data: file is a file, {SHOULD}; {FETCH}"),
    "an empty folder": (
        "--data empty", lambda: Path("empty").mkdir(), f"--data: empty has no train.txt, {SHOULD}; {FETCH}"),
    "no valid text": (
        "--data texts", no_file("valid.txt"),
        "load: texts has no valid text, should have one file valid.txt or NAME.valid.txt"),
    "an empty text": (
        "--data texts", texts(train=" \n"), "read_text: texts/train.txt is empty, it should have at least one word"),
    "a binary text": (
        "--data texts", texts(train=b"a b\n\x89PNG\n"),
        "read_text: texts/train.txt has byte 0x89 in line 2, it should be UTF-8 text; encoding= names another"),
    "a NUL byte": (
        "--data texts", texts(valid=b"a\0b\n"),
        "read_text: texts/valid.txt has a NUL byte in line 1, it should be UTF-8 text; encoding= names another"),
    "a word that is not known": (
        "--data texts", texts(train="a b " * 50, valid="a b\na c\n"),
        "read_text: texts/valid.txt, line 2: 'c' is not in the vocabulary of 3 words, it should be, or the vocabulary "
        "should have <unk> for such words (max_vocab= adds it)"),
    "less than a batch": (
        "--data texts --rows 4 --window 6", texts(train="a <unk> " * 5),
        "--data: the train text has 11 words, should have 25 for a window of 4 rows and 6 words"),
    "too little to validate with": (
        "--data texts --rows 4 --window 6", texts(valid="a b c\n"),
        "--data: the valid text has 4 words, should have 11 for 10 rows: --eval-rows"),
    "too little to test with": (
        "--data texts --rows 4 --window 6", texts(test="a b c\n"),
        "--data: the test text has 4 words, should have 11 for 10 rows: --eval-rows"),
    "a file in place of the output": (
        "--data texts --rows 4 --window 6 --out file", a_file("file"),
        "--out: file cannot be made or written to (File exists), should be a folder"),
    "a file above the output": (
        "--data texts --rows 4 --window 6 --out file/run", a_file("file"),
        "--out: file/run cannot be made or written to (Not a directory), should be a folder"),
}  # fmt: skip


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_be_done_is_said_in_one_line(case, at_home, capsys):
    line, prepare, text = CANNOT[case]
    prepare()
    before = sorted(at_home.rglob("*"))
    assert main.main(["train", *line.split()]) == 2
    assert capsys.readouterr() == ("", f"tinygrad-rnn train: {text}\n")
    assert sorted(at_home.rglob("*")) == before


@pytest.mark.parametrize("where", ["", "ptb"])
def test_a_file_that_only_claims_to_be_the_penn_treebank(where, at_home, capsys):
    folder = at_home / "data" / where
    folder.mkdir(parents=True)
    for name in ("train", "valid", "test"):
        (folder / f"ptb.{name}.txt").write_text("no it was n't black monday\n")
    assert main.main(["train", "--data", "data"]) == 2
    path = Path("data", where, "ptb.train.txt")
    err = capsys.readouterr().err
    text = rf"tinygrad-rnn train: {path}: the MD5 is \w{{32}}, should be f26c4b92c5fdc7b3f8c7cdcb991d8420\n"
    assert re.fullmatch(text, err)


def test_a_demo_that_cannot_write_says_so(at_home, capsys):
    Path("file").write_text("")
    assert main.main(["demo", "--out", "file"]) == 2
    text = "--out: file cannot be made or written to (File exists), should be a folder"
    assert capsys.readouterr().err == f"tinygrad-rnn demo: {text}\n"


@pytest.mark.parametrize(("error", "text"), [
    (MemoryError("Unable to allocate 9 TiB"), "Unable to allocate 9 TiB"), (MemoryError(), "MemoryError"),
    (NumericalError("the loss is nan"), "the loss is nan"),
])  # fmt: skip
def test_what_goes_wrong_on_the_way_is_said_in_one_line_too(error, text, at_home, capsys, monkeypatch):
    def raising(*_, **more):
        raise error

    write_texts(at_home / "texts")
    monkeypatch.setattr(LanguageModel, "loss", raising)
    assert main.main(["train", "--data", "texts", *SMALL]) == 2
    assert capsys.readouterr().err == f"tinygrad-rnn train: {text}\n"


@pytest.mark.parametrize(
    ("command", "module"), [("train", "safetensors"), ("demo", "safetensors"), ("train", "tomli_w")]
)
def test_a_missing_extra_is_told_before_anything_is_trained(command, module, at_home, capsys, monkeypatch):
    write_texts(at_home / "texts")
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(demo, "TOKENS", 2000)
    monkeypatch.setattr(LanguageModel, "loss", None)
    assert main.main([command, *(["--data", "texts", *SMALL] if command == "train" else [])]) == 2
    err = capsys.readouterr().err
    assert f"needs {module.replace('_', '-')}: pip install 'tinygrad-rnn[train]'" in err and err.count("\n") == 1
