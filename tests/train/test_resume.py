"""A run that is interrupted and taken up ends where an uninterrupted one ends, bit for bit, wherever it was stopped."""

import json
import os
import re
import signal

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.cli import main
from tinygrad_rnn.data import grammar, load
from tinygrad_rnn.train import LanguageModel, load_model, perplexity, session

pytest.importorskip("safetensors")
pytest.importorskip("tqdm")

SMALL = [f"--{name}={value}" for name, value in
         {"embed": 4, "hidden": 5, "rows": 4, "window": 6, "lr": 1, "epochs": 3, "sample": 9}.items()]  # fmt: skip
WINDOWS, CHECKS = 12, 2  # of an epoch of training, and of its validation


@pytest.fixture
def texts(tmp_path):
    """A folder of three texts."""
    folder, corpus = tmp_path / "texts", grammar(1000)
    folder.mkdir()
    words = corpus.decode(corpus.ids)
    for name, part in {"train": words[:300], "valid": words[300:700], "test": words[700:]}.items():
        (folder / f"{name}.txt").write_text(f"<unk> {' '.join(part)}\n")
    return folder


@pytest.fixture
def train(texts, tmp_path, capsys):
    """``train(out, *options)``: the exit code, what was printed, what was said on the error stream."""

    def run(out, *options):
        code = main.main(["train", "--data", str(texts), "--out", str(tmp_path / out), *SMALL, *options])
        return (code, *capsys.readouterr())

    return run


def interrupt(monkeypatch, call: int, times: int = 1) -> None:
    """Press Ctrl-C while the model computes its loss for the ``call``-th time from now, in training or validation."""
    whole, calls = LanguageModel.loss, []

    def loss(self, *args):
        calls.append(None)
        if len(calls) == call:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return whole(self, *args)

    monkeypatch.setattr(LanguageModel, "loss", loss)


def log(folder) -> list:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(line["epoch"], line["valid"]) for line in lines]


def same_run(a, b) -> None:
    for name in ("last.safetensors", "best.safetensors"):
        assert (a / name).read_bytes() == (b / name).read_bytes()
    assert log(a) == log(b)
    assert sorted(os.listdir(a)) == sorted(os.listdir(b)) == ["best.safetensors", "last.safetensors", "log.jsonl"]


def ending(printed: str) -> str:
    """The test perplexity and the sample."""
    return re.sub("saved in .*", "", printed[printed.index("test perplexity") :])


PLACES = {
    "in the first window": (1, "epoch 0 and 1 windows"),
    "in the middle of the first epoch": (5, "epoch 0 and 5 windows"),
    "in the last window": (WINDOWS, f"epoch 0 and {WINDOWS} windows"),
    "in the validation": (WINDOWS + 1, f"epoch 0 and {WINDOWS} windows"),
    "at the end of the validation": (WINDOWS + CHECKS, "epoch 1"),
    "in the second epoch": (WINDOWS + CHECKS + 7, "epoch 1 and 7 windows"),
    "at the very end": (3 * (WINDOWS + CHECKS), "epoch 3"),
}


@pytest.mark.parametrize("place", PLACES)
def test_pitfall_20_a_resumed_run_equals_an_uninterrupted_one(place, train, tmp_path, monkeypatch):
    code, whole, _ = train("whole")
    assert code == 0
    call, where = PLACES[place]
    with monkeypatch.context() as patch:
        interrupt(patch, call)
        code, said, err = train("parts")
    assert (code, err) == (130, "")
    parts = tmp_path / "parts"
    text = f"\nstopped after {where}; saved in {parts}, the same command with --resume continues\n"
    assert said.endswith(text)
    code, resumed, _ = train("parts", "--resume")
    assert code == 0 and f"\nresumed after {where}\n" in resumed
    same_run(tmp_path / "whole", parts)
    assert ending(resumed) == ending(whole)


def test_a_run_may_be_stopped_again_and_again(train, tmp_path, monkeypatch):
    train("whole")
    code, stops = 130, 0
    while code == 130:
        with monkeypatch.context() as patch:
            interrupt(patch, 5)
            code, _, _ = train("parts", *["--resume"] * (stops > 0))
        stops += 1
    assert code == 0 and stops == 9
    same_run(tmp_path / "whole", tmp_path / "parts")


def test_more_epochs_go_on_from_a_run_that_is_done(train, tmp_path):
    train("whole")
    assert train("parts", "--epochs", "1")[0] == 0
    assert train("parts", "--epochs", "3", "--resume")[0] == 0
    same_run(tmp_path / "whole", tmp_path / "parts")
    assert train("parts", "--epochs", "2", "--resume")[0] == 0  # only tested again
    same_run(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("broken", ["best.safetensors", "last.safetensors"])
def test_a_crash_between_two_saves_loses_nothing_that_resume_does_not_make_again(broken, train, tmp_path, monkeypatch):
    train("whole")
    save = session.save_model

    def full(path, arrays, about):
        if path.name == broken and about["epoch"] == 2:
            raise OSError(28, "No space left on device")
        save(path, arrays, about)

    with monkeypatch.context() as patch:
        patch.setattr(session, "save_model", full)
        code, _, err = train("parts")
    assert code == 2 and err == "tinygrad-rnn train: [Errno 28] No space left on device\n"
    assert train("parts", "--resume")[0] == 0
    same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_second_ctrl_c_does_not_wait(train, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupt(patch, WINDOWS + CHECKS + 3, times=2)
        code, said, err = train("out")
    assert code == 130 and err == "\ninterrupted\n" and "stopped" not in said
    assert load_model(tmp_path / "out" / "last.safetensors")[1]["epoch"] == 1  # what was there before
    assert signal.getsignal(signal.SIGINT) is before


def test_the_best_weights_are_tested_not_the_last(train, tmp_path, monkeypatch):
    valid = iter([50.0, 40.0, 60.0])
    monkeypatch.setattr(session, "perplexity", lambda *args, **more: (perplexity(*args, **more), next(valid))[1])
    code, said, _ = train("out")
    last, best = (load_model(tmp_path / "out" / f"{name}.safetensors") for name in ("last", "best"))
    assert code == 0 and last[1]["epoch"] == 3 and best[1]["epoch"] == 2 and best[1]["best"] == last[1]["best"] == 40.0
    assert not np.array_equal(last[0]["affine.b"], best[0]["affine.b"])
    found = re.search(r"test perplexity (\S+) \(weights of epoch 2\)", said)
    monkeypatch.undo()
    train("two", "--epochs", "2")  # whose last weights are those of epoch 2
    weights, texts = load_model(tmp_path / "two" / "last.safetensors")[0], load(tmp_path / "texts")
    model = LanguageModel(tg.lstm, len(texts.train.vocab), 4, 5, rng=np.random.default_rng(0))
    model.load_state_dict({name: weights[name] for name in model.params})
    assert found[1] == f"{perplexity(model, texts.test.ids):.2f}"


# -- what is refused -------------------------------------------------------------------------------------------------


def test_a_run_is_not_overwritten(train, tmp_path):
    train("out", "--epochs", "1")
    before = (tmp_path / "out" / "last.safetensors").read_bytes()
    code, _, err = train("out")
    out = tmp_path / "out"
    text = f"--out: {out} holds a run, should be a folder without a run; --resume continues it"
    assert (code, err) == (2, f"tinygrad-rnn train: {text}\n")
    assert (out / "last.safetensors").read_bytes() == before


def test_there_is_nothing_to_resume(train, tmp_path):
    code, _, err = train("out", "--resume")
    path = tmp_path / "out" / "last.safetensors"
    assert (code, err) == (
        2,
        f"tinygrad-rnn train: --resume: there is no {path}, should be the --out of an earlier run\n",
    )


@pytest.mark.parametrize(("option", "name", "was", "value"), [
    ("--lr", "lr", "1.0", "2.0"), ("--hidden", "hidden", "5", "6"), ("--window", "window", "6", "7"),
    ("--seed", "seed", "0", "1"), ("--model", "model", "lstm", "gru"), ("--clip", "clip", "0.25", "1.0"),
])  # fmt: skip
def test_another_run_is_not_taken_up(option, name, was, value, train, tmp_path):
    train("out", "--epochs", "1")
    code, _, err = train("out", "--resume", option, value)
    path = tmp_path / "out" / "last.safetensors"
    text = f"--resume: {path} is of a run with {name} = {was}, should be {value}"
    assert (code, err) == (2, f"tinygrad-rnn train: {text}\n")


def test_a_run_on_another_text_is_not_taken_up(train, texts, tmp_path):
    train("out", "--epochs", "1")
    words = (texts / "train.txt").read_text().split()
    (texts / "train.txt").write_text(" ".join([*words[:10], words[11], words[10], *words[12:]]))
    code, _, err = train("out", "--resume")
    path = re.escape(str(tmp_path / "out" / "last.safetensors"))
    text = rf"tinygrad-rnn train: --resume: {path} is of a run with training text = \w{{8}}, should be \w{{8}}\n"
    assert code == 2 and re.fullmatch(text, err)


def test_a_damaged_file_is_told(train, tmp_path):
    train("out", "--epochs", "1")
    path = tmp_path / "out" / "last.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    code, _, err = train("out", "--resume")
    assert code == 2 and err.startswith(f"tinygrad-rnn train: load_model: {path} is not a whole safetensors file (")


def test_a_training_that_fails_keeps_what_was_saved(train, tmp_path, monkeypatch):
    train("out", "--epochs", "1")
    before = (tmp_path / "out" / "last.safetensors").read_bytes()
    whole = LanguageModel.loss

    def loss(self, *args):
        value, state = whole(self, *args)
        return value * np.float32("nan"), state

    monkeypatch.setattr(LanguageModel, "loss", loss)
    code, _, err = train("out", "--resume")
    assert code == 2
    assert err == "tinygrad-rnn train: fit: the loss is nan; a smaller learning rate or max_norm may help\n"
    assert (tmp_path / "out" / "last.safetensors").read_bytes() == before
