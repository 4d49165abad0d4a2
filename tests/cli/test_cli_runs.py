"""The command line at work: a whole small run, Ctrl-C, the demonstration."""

import io
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.command_line import SMALL, python, write_texts
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cli import demo, main
from tinygrad_rnn.data import load
from tinygrad_rnn.files import alone_in
from tinygrad_rnn.train import LanguageModel, load_model, perplexity, session

pytest.importorskip("safetensors")
pytest.importorskip("tqdm")


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """An empty folder to run in, and no folder of texts in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYGRAD_RNN_DATA", raising=False)
    return tmp_path


# -- a whole run -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_train_says_what_it_does_and_leaves_what_it_says(model, at_home, capsys):
    write_texts(at_home / "texts")
    assert main.main(["train", "--data", "texts", "--model", model, *SMALL]) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no bar off a terminal, where every update would be a line
    first, *epochs, tested = out.split("\n\n")[0].splitlines()
    V = len(load("texts").train.vocab)
    made = LanguageModel(BUILT_IN[model], V, 4, 5, rng=np.random.default_rng(0))
    count = sum(one.size for one in made.params.values())
    assert first == f"{model}: {count:,} parameters; 302 words, {V} different; weights go to runs/{model}"
    folder = at_home / "runs" / model
    assert sorted(os.listdir(folder)) == ["best.safetensors", "last.safetensors", "log.jsonl"]
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2] and all(line["tokens_per_second"] > 0 for line in log)
    for line, said in zip(log, epochs, strict=True):
        assert re.fullmatch(rf"epoch {line['epoch']}: validation perplexity {line['valid']:.2f}, [\d,]+ tokens/s", said)
    arrays, about = load_model(folder / "best.safetensors")
    assert about["best"] == min(line["valid"] for line in log) and about["model"] == model
    made.load_state_dict(arrays)
    assert perplexity(made, load("texts").valid.ids) == about["best"]
    found = perplexity(made, load("texts").test.ids)
    assert tested == f"test perplexity {found:.2f} (weights of epoch {about['epoch']}), saved in runs/{model}"
    sample = out.split("\n\n", 1)[1].removesuffix("\n").replace("\n", " <eos> ").split()
    vocab = load("texts").train.vocab  # the first word of the text, and nine of the model's own
    assert len(sample) == 10 and sample[0] == "<unk>" and all(word in vocab for word in sample)


def test_the_variable_names_the_folder_and_no_sample_is_written(at_home, capsys, monkeypatch):
    write_texts(at_home / "texts")
    monkeypatch.setenv("TINYGRAD_RNN_DATA", "texts")
    assert main.main(["train", *SMALL, "--sample", "0", "--epochs", "1"]) == 0
    assert capsys.readouterr().out.endswith("saved in runs/lstm\n")


def test_two_runs_of_one_command_are_the_same_bit_for_bit(at_home, capsys):
    write_texts(at_home / "texts")
    for out in ("a", "b"):
        assert main.main(["train", "--data", "texts", "--out", out, *SMALL]) == 0
    for name in ("best.safetensors", "last.safetensors"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_there_is_a_bar_on_a_terminal_only(monkeypatch):
    for stream, count in ((io.StringIO(), 0), (Terminal(), 1)):
        monkeypatch.setattr(sys, "stderr", stream)
        with session.bar(10, "epoch 1/4", done=3) as shown:
            shown.set_postfix_str("perplexity 3.0", refresh=False)
            for _ in range(7):
                shown.update()
        assert stream.getvalue().count("10/10") == count == stream.getvalue().count("epoch 1/4: 100%")


def test_ctrl_c_in_a_real_process(at_home):
    """In the middle of an epoch: exit code 130, a message, what was done on disk, and it can be gone on from."""
    write_texts(at_home / "texts", 6000)
    run = python("-m", "tinygrad_rnn", "train", "--data=texts", *SMALL, "--epochs=1000", cwd=at_home)
    for said in run.stdout:
        if said.startswith("epoch 1:"):
            break
    time.sleep(0.15)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (130, "")
    found = re.search(r"\nstopped after epoch (\d+)(?: and (\d+) windows)?; saved in runs/lstm, the same command with "
                      r"--resume continues\n$", out)  # fmt: skip
    arrays, about = load_model("runs/lstm/last.safetensors")
    assert about["epoch"] == int(found[1]) >= 1 and about["done"] == int(found[2] or 0)
    assert load_model("runs/lstm/best.safetensors")[1]["epoch"] >= 1
    assert "state.1" in arrays  # it is carried from epoch to epoch too


def test_ctrl_c_elsewhere_is_told_too(at_home, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "drawn", interrupted)
    assert main.main(["demo"]) == main.main([]) == 130  # no command is the demo
    assert capsys.readouterr().err == "\ninterrupted\n" * 2


# -- the demonstration -----------------------------------------------------------------------------------------------


def test_the_demo_draws_checks_trains_and_lists_its_files(at_home, capsys, monkeypatch):
    monkeypatch.setattr(demo, "TOKENS", 3000)
    monkeypatch.setattr(demo, "VALID", 800)
    assert main.main(["demo", "--epochs", "1", "--out", "shown"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for part in ("1. An LSTM step", "2. An LSTM's backward pass", "3. A language model", "4. The files, after"):
        assert f"\n{part}" in out
    listed = re.findall(r"^   (shown/\S+)  \S", out[out.index("4. The files") :], re.M)
    assert listed and all(Path(path).stat().st_size > 0 for path in listed)
    made = sorted(str(path) for path in Path("shown").iterdir())
    assert [path for path in made if path not in listed] == ["shown/lstm.dot"] * ("shown/lstm.svg" in made)
    both = json.loads(Path("shown/check.json").read_text())
    assert both["right"]["ok"] is True and both["planted"]["ok"] is False and both["planted"]["first_wrong"] == "db"
    curves = json.loads(Path("shown/perplexity.json").read_text())
    assert all(f"{name:5s} validation perplexity {curves[name][0]:.3f}" in out for name in ("rnn", "lstm"))


def test_two_demos_do_not_write_to_one_folder(at_home, capsys):
    Path("shown").mkdir()
    with alone_in(Path("shown"), "--out"):
        assert main.main(["demo", "--out", "shown"]) == 2
    text = "--out: shown is in use by another run, should be a folder of its own"
    assert capsys.readouterr() == ("", f"tinygrad-rnn demo: {text}\n")
    assert list(Path("shown").iterdir()) == []


def test_the_demo_without_matplotlib_says_what_is_missing(at_home, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_svg", None)
    files = demo.compared({"rnn": [3.0, 2.5]}, at_home)
    assert [path.name for path, _ in files] == ["perplexity.json"]
    assert capsys.readouterr().out == "   no plot of them: it needs matplotlib, pip install 'tinygrad-rnn[train]'\n"
