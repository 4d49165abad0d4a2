"""A run that is interrupted and resumed ends where an uninterrupted one ends, bit for bit, wherever it was stopped."""

import importlib.util
import itertools
import json
import os
import re
import signal
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.command_line import SMALL, write_texts
from tinygrad_rnn.cli import main, runs
from tinygrad_rnn.data import load
from tinygrad_rnn.engine import threads
from tinygrad_rnn.errors import InvalidValue
from tinygrad_rnn.models import LanguageModel
from tinygrad_rnn.train import History, load_model, perplexity, run, saved
from tinygrad_rnn.train.console import two_digits

pytest.importorskip("safetensors")
pytest.importorskip("tomli_w")

WINDOWS, CHECKS = 12, 5  # of an epoch of training, and of its validation
FILES = ["best.safetensors", "config.toml", "curves.svg", "last.safetensors", "metrics.jsonl", "vocab.json"]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No curves are drawn and no gates are measured, which take the most time."""
    monkeypatch.setattr(History, "plot", lambda self, path: path.write_text(""))
    monkeypatch.setattr(runs, "gates", lambda model, batches: {})


@pytest.fixture
def texts(tmp_path):
    """A folder of three texts."""
    return write_texts(tmp_path / "texts")


@pytest.fixture
def call(tmp_path, capsys):
    """``call(command, out, *options)``: the exit code, standard output, the error stream."""

    def run(command, out, *options):
        code = main.main([command, str(tmp_path / out), *options])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def train(texts, tmp_path, capsys, call):
    """``train(out, *options)``, likewise."""

    def run(out, *options):
        code = main.main(["train", "--data", str(texts), "--out", str(tmp_path / out), *SMALL, "--epochs=3", *options])
        return (code, *capsys.readouterr())

    return run


def interrupt(monkeypatch, nth: int, times: int = 1, name: int = signal.SIGINT) -> None:
    """Press Ctrl-C while the model computes its loss for the ``nth`` time from now, in training or validation."""
    calls: list[None] = []
    for kind in (LanguageModel,):
        whole = kind.loss

        def loss(self, ids, targets, state=None, whole=whole):
            calls.append(None)
            if len(calls) == nth:
                for _ in range(times):
                    os.kill(os.getpid(), name)
            return whole(self, ids, targets, state)

        monkeypatch.setattr(kind, "loss", loss)


def metrics(folder) -> list:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in ("tokens_per_second", "crc32")} for row in rows]


def same_run(a, b) -> None:
    for name in ("last.safetensors", "best.safetensors", "vocab.json"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    assert metrics(a) == metrics(b)
    assert sorted(os.listdir(a)) == sorted(os.listdir(b)) == FILES


def ending(printed: str) -> str:
    """The test perplexity."""
    return re.sub("saved in .*", "", printed[printed.index("test perplexity") :])


EPOCH = WINDOWS + CHECKS
PLACES = {
    "in the first window": (1, "epoch 0 and 1 batches"),
    "in the middle of the first epoch": (5, "epoch 0 and 5 batches"),
    "in the last window": (WINDOWS, f"epoch 0 and {WINDOWS} batches"),
    "in the validation": (WINDOWS + 1, f"epoch 0 and {WINDOWS} batches"),
    "at the end of the validation": (WINDOWS + CHECKS, "epoch 1"),
    "in the second epoch": (EPOCH + 7, "epoch 1 and 7 batches"),
    "at the very end": (3 * EPOCH, "epoch 3"),
}


@pytest.mark.parametrize("place", PLACES)
def test_pitfall_20_a_resumed_run_equals_an_uninterrupted_one(place, train, call, tmp_path, monkeypatch):
    code, whole, _ = train("whole")
    assert code == 0
    nth, where = PLACES[place]
    with monkeypatch.context() as patch:
        interrupt(patch, nth)
        code, out, err = train("parts")
    assert (code, err) == (130, "")
    parts = tmp_path / "parts"
    assert out.endswith(f"\nstopped after {where}; saved, tinygrad-rnn resume {parts} continues\n")
    code, resumed, _ = call("resume", "parts")
    assert code == 0 and resumed.startswith(f"resumed after {where}\n")
    same_run(tmp_path / "whole", parts)
    assert ending(resumed) == ending(whole)


HARD = {
    "dropout": ["--layers=2", "--dropout=0.5", "--tie", "--embed=5"],
    "variational dropout, Adam": ["--dropout=0.3", "--variational", "--optimizer=adam", "--lr=0.01"],
    "momentum, weight decay": ["--optimizer=momentum", "--weight-decay=0.01", "--model=gru", "--ring=words"],
    "averaged SGD": ["--optimizer=asgd", "--lr=60", "--clip=5"],
    "no validation": ["--no-validate", "--first=200"],
}


@pytest.mark.parametrize("kind", HARD)
def test_masks_and_the_state_of_the_optimiser_are_resumed_too(kind, train, call, tmp_path, monkeypatch):
    assert train("whole", *HARD[kind])[0] == 0
    with monkeypatch.context() as patch:
        interrupt(patch, 7, name=signal.SIGTERM)
        assert train("parts", *HARD[kind])[0] == 130
    assert call("resume", "parts")[0] == 0
    same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_compiled_run_goes_on_with_the_threads_it_was_begun_with(train, call, tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    from tinygrad_rnn.sequence.jit import body, compile

    monkeypatch.setattr(body, "LARGE", 1)  # operations from which two threads share the rows
    monkeypatch.setattr(compile, "LEVEL", 0)
    monkeypatch.setenv("TINYGRAD_RNN_THREADS", "2")
    assert train("whole", "--scan=jit", "--epochs=1")[0] == 0
    with monkeypatch.context() as patch:
        interrupt(patch, 7)
        assert train("parts", "--scan=jit", "--epochs=1")[0] == 130
    monkeypatch.setenv("TINYGRAD_RNN_THREADS", "1")
    used: list[int] = []
    whole = LanguageModel.loss

    def loss(self, ids, targets, state=None):
        used.append(threads.count())
        return whole(self, ids, targets, state)

    monkeypatch.setattr(LanguageModel, "loss", loss)
    assert call("resume", "parts")[0] == 0
    same_run(tmp_path / "whole", tmp_path / "parts")
    assert 2 in used and threads.count() == 1


def test_the_number_of_threads_of_a_damaged_run_is_refused(tmp_path):
    for number in (0, 1.5, "2", None):
        with pytest.raises(InvalidValue, match=r"last: threads is .*, should be a whole number from 1"):
            saved.thread_count({"threads": number}, tmp_path / "last", 2)
    assert saved.thread_count({}, tmp_path, 2) == 2


def test_jit_without_llvmlite_is_refused_before_anything_is_read(train, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    code, _, err = train("run", "--scan=jit")
    assert code == 2 and err.endswith("--scan: jit needs llvmlite: pip install 'tinygrad-rnn[jit]'\n"), err


def test_a_run_may_be_stopped_again_and_again(train, call, tmp_path, monkeypatch):
    train("whole")
    code, stops = 130, 0
    while code == 130:
        with monkeypatch.context() as patch:
            interrupt(patch, 7)  # a validation and the check of the state take 6
            code = call("resume", "parts")[0] if stops else train("parts")[0]
        stops += 1
    assert code == 0 and stops > 5
    same_run(tmp_path / "whole", tmp_path / "parts")


def test_more_epochs_continue_a_finished_run(train, call, tmp_path):
    train("whole")
    assert train("parts", "--epochs=1")[0] == 0
    assert call("resume", "parts", "--epochs=3")[0] == 0
    same_run(tmp_path / "whole", tmp_path / "parts")
    assert (tmp_path / "parts/config.toml").read_text() == (tmp_path / "whole/config.toml").read_text()
    assert call("resume", "parts")[0] == 0  # only tested again
    same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("broken", ["best.safetensors", "last.safetensors"])
def test_a_crash_between_two_saves_loses_nothing_that_resume_does_not_repeat(
    broken, train, call, tmp_path, monkeypatch
):
    train("whole")
    save = run.save_model

    def full(path, arrays, about):
        if path.name == broken and 2 in (about.get("epoch"), about.get("position", {}).get("epoch")):
            raise OSError(28, "No space left on device")
        save(path, arrays, about)

    with monkeypatch.context() as patch:
        patch.setattr(run, "save_model", full)
        code, _, err = train("parts")
    assert code == 2 and err == "tinygrad-rnn train: [Errno 28] No space left on device\n"
    assert call("resume", "parts")[0] == 0
    same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_second_ctrl_c_does_not_wait(train, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        interrupt(patch, EPOCH + 3, times=2)
        code, out, err = train("out")
    assert code == 130 and err == "\ninterrupted\n" and "stopped" not in out
    assert load_model(tmp_path / "out" / "last.safetensors")[1]["position"]["epoch"] == 1  # what was there before
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_there_is_a_checkpoint_every_five_minutes(train, tmp_path, monkeypatch):
    """A window takes 100 seconds on this clock."""
    clock, saves = iter(range(0, 10**9, 100)), []
    save = run.save_model
    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(run, "save_model", lambda path, arrays, about: (saves.append(about), save(path, arrays, about)))
    train("out", "--epochs=1")
    places = [(about["position"]["epoch"], about["position"]["batch"]) for about in saves if "position" in about]
    assert [b - a for (_, a), (_, b) in itertools.pairwise(places) if b][:2] == [4, 4] and places[-1] == (1, 0)


def test_the_best_weights_are_tested_not_the_last(train, call, tmp_path, capsys):
    code, out, _ = train("out", "--lr=200", "--epochs=4", "--clip=5")
    last, best = (load_model(tmp_path / "out" / f"{name}.safetensors") for name in ("last", "best"))
    epoch = best[1]["epoch"]
    assert code == 0 and epoch < last[1]["position"]["epoch"] == 4  # the test needs a training that gets worse
    rows = [row for row in metrics(tmp_path / "out") if "batch" not in row]
    assert best[1]["valid"] == min(row["valid"] for row in rows) == rows[epoch - 1]["valid"]
    found = re.search(rf"test perplexity (\S+) \(weights of epoch {epoch}\)", out)
    model = LanguageModel(tg.lstm, len(load(tmp_path / "texts").train.vocab), 4, 5, rng=np.random.default_rng(0))
    model.load_state_dict(best[0])
    assert found[1] == two_digits(perplexity(model, load(tmp_path / "texts").test.ids, T=6))


def test_patience_ends_the_run_and_a_resume_does_not_train_on(train, call, tmp_path):
    train("out", "--lr=60", "--epochs=9", "--clip=5", "--patience=2")
    before = metrics(tmp_path / "out")
    last = before[-1]["epoch"]
    assert last < 9 and load_model(tmp_path / "out" / "best.safetensors")[1]["epoch"] == last - 2
    assert call("resume", "out")[0] == 0 and metrics(tmp_path / "out") == before


# -- what is refused -------------------------------------------------------------------------------------------------


def test_a_run_is_not_overwritten(train, tmp_path):
    train("out", "--epochs=1")
    before = (tmp_path / "out" / "last.safetensors").read_bytes()
    code, _, err = train("out")
    out = tmp_path / "out"
    text = f"--out: {out} holds a run, should be a folder without a run; tinygrad-rnn resume {out} continues it"
    assert (code, err) == (2, f"tinygrad-rnn train: {text}\n")
    assert (out / "last.safetensors").read_bytes() == before


def test_a_run_that_ended_before_its_first_batch_is_replaced(train, tmp_path, monkeypatch):
    def loss(self, ids, targets, state=None):
        raise ValueError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "loss", loss)
        assert train("out")[0] != 0 and (tmp_path / "out" / "last.safetensors").exists()
    assert train("out", "--epochs=1", "--lr", "0.5")[0] == 0
    assert "lr = 0.5" in (tmp_path / "out" / "config.toml").read_text(encoding="utf-8")
    (tmp_path / "out" / "last.safetensors").write_bytes(b"damaged")
    assert train("out")[0] == 2


@pytest.mark.parametrize("command", ["resume", "eval", "sample", "plot"])
def test_there_is_no_run(command, call, tmp_path):
    path = tmp_path / "out" / "config.toml"
    text = f"tinygrad-rnn {command}: there is no {path}, should be the folder of a run (the --out of train)\n"
    assert call(command, "out") == (2, "", text)


@pytest.mark.parametrize(("name", "was", "value"), [
    ("lr", "1.0", "2.0"), ("hidden", "5", "6"), ("window", "6", "7"), ("seed", "0", "1"), ("clip", "0.25", "1.0"),
    ("model", '"lstm"', '"gru"'), ("rows", "4", "3"), ("layers", "1", "2"), ("optimizer", '"sgd"', '"adam"'),
])  # fmt: skip
def test_settings_that_have_changed_are_refused(name, was, value, train, call, tmp_path):
    train("out", "--epochs=1")
    config, last = tmp_path / "out" / "config.toml", tmp_path / "out" / "last.safetensors"
    text = config.read_text()
    assert f"{name} = {was}\n" in text
    config.write_text(text.replace(f"{name} = {was}\n", f"{name} = {value}\n"))
    before = last.read_bytes()
    code, _, err = call("resume", "out")
    said = f"tinygrad-rnn resume: {last} is of a run with {name} = {was}, should be {value}\n"
    assert (code, err) == (2, said.replace('"', ""))
    assert last.read_bytes() == before


def test_another_text_is_refused(train, call, texts, tmp_path):
    train("out", "--epochs=1")
    words = (texts / "train.txt").read_text().split()
    (texts / "train.txt").write_text(" ".join([*words[:-2], words[-1], words[-2]]))
    code, _, err = call("resume", "out")
    path = re.escape(str(tmp_path / "out" / "last.safetensors"))
    assert code == 2
    assert re.fullmatch(rf"tinygrad-rnn resume: {path} is of a run with text = \w{{8}}, should be \w{{8}}\n", err)
    (texts / "train.txt").write_text(" ".join(reversed(words)))
    code, _, err = call("resume", "out")
    path = tmp_path / "out" / "vocab.json"
    said = f"{path} is not the vocabulary of {texts}, should be: has it changed?"
    assert (code, err) == (2, f"tinygrad-rnn resume: {said}\n")


@pytest.mark.parametrize("command", ["resume", "eval", "sample"])
def test_another_vocabulary_is_refused(command, train, call, tmp_path):
    train("out", "--epochs=1")
    path = tmp_path / "out" / "vocab.json"
    path.write_text(json.dumps(json.loads(path.read_text())[::-1]))
    code, _, err = call(command, "out")
    assert code == 2 and "vocab" in err and err.count("\n") == 1
    for wrong in ("{}", "[3]", "[", "[]"):
        path.write_text(wrong)
        code, _, err = call(command, "out")
        assert code == 2 and str(path) in err and err.count("\n") == 1


def test_a_training_that_fails_keeps_what_was_saved(train, call, tmp_path, monkeypatch):
    train("out", "--epochs=1")
    before = (tmp_path / "out" / "last.safetensors").read_bytes()
    whole = LanguageModel.loss

    def loss(self, ids, targets, state=None):
        value, state = whole(self, ids, targets, state)
        return value * np.float32("nan"), state

    monkeypatch.setattr(LanguageModel, "loss", loss)
    code, _, err = call("resume", "out", "--epochs=2")
    assert code == 2
    text = r"tinygrad-rnn resume: fit: the loss is nan, in epoch 2, batch 1: multiply: .*; a smaller learning rate or "
    assert re.fullmatch(text + r"max_norm may help\n", err)
    assert (tmp_path / "out" / "last.safetensors").read_bytes() == before
