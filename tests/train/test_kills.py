"""A run may be killed at any operation on a file, its files may be damaged: what goes on is the same run or none."""

import os
import random
import re
import shutil
import signal
from pathlib import Path

import pytest

from helpers.command_line import SMALL, python, write_texts
from helpers.damage import HOW, LOG, damages, rewritten, run_apart
from tinygrad_rnn import files
from tinygrad_rnn.cli import main, runs
from tinygrad_rnn.models import LanguageModel
from tinygrad_rnn.train import History, load_model

pytest.importorskip("safetensors")
pytest.importorskip("tomli_w")

NAMES = ["best.safetensors", "last.safetensors", LOG]
FILES = sorted([*NAMES, "config.toml", "curves.svg", "vocab.json"])
EPOCHS = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No curves are drawn and no gates are measured, which take the most time."""
    monkeypatch.setattr(History, "plot", lambda self, path: files.write_whole(path, ""))
    monkeypatch.setattr(runs, "gates", lambda model, batches: {})


def command(out: Path, *more: str, epochs: int = EPOCHS) -> list[str]:
    """Train, or continue the run that is there."""
    if (out / "last.safetensors").exists():
        return ["resume", str(out), f"--epochs={epochs}"]
    return ["train", "--data", str(out.parent / "texts"), "--out", str(out), *SMALL, f"--epochs={epochs}", *more]


def rows(folder: Path) -> list[str]:
    """The lines of the metrics without the speed and the checksum, which are never the same."""
    return [
        re.sub(r', "(tokens_per_second|crc32)": [^,}]+', "", line) for line in (folder / LOG).read_text().split("\n")
    ]


def same_run(a: Path, b: Path) -> None:
    assert sorted(os.listdir(a)) == sorted(os.listdir(b)) == FILES
    for name in [*NAMES[:2], "config.toml", "vocab.json"]:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    assert rows(a) == rows(b) and len(rows(a)) == 2 * EPOCHS + 1


HARD = {
    "plain": ["--model=gru"],
    "dropout, Adam, cosine": ["--layers=2", "--dropout=0.4", "--variational", "--optimizer=adam", "--lr=0.01",
                              "--schedule=warmup-cosine"],
}  # fmt: skip


@pytest.mark.parametrize("kind", HARD)
def test_a_run_that_is_killed_at_an_operation_on_a_file_continues_as_the_same_run(kind, tmp_path, trials):
    write_texts(tmp_path / "texts")
    code, count = run_apart(command(tmp_path / "whole", *HARD[kind]))
    assert code == 0 and count > 30
    every = [(k, how) for k in range(1, count + 1) for how in HOW]
    kills = random.Random(kind).sample(every, trials(3, 50))
    for k, how in kills:
        out = tmp_path / f"{k} {how}"
        assert run_apart(command(out, *HARD[kind]), k, how)[0] == -signal.SIGKILL
        assert run_apart(command(out, *HARD[kind]))[0] == 0
        same_run(tmp_path / "whole", out)
        shutil.rmtree(out)


def test_a_run_that_is_killed_again_and_again_continues_as_the_same_run(tmp_path, trials):
    write_texts(tmp_path / "texts")
    assert run_apart(command(tmp_path / "whole"))[0] == 0
    for seed in range(trials(1, 20)):
        out, rng, code = tmp_path / f"{seed}", random.Random(seed), -signal.SIGKILL
        while code == -signal.SIGKILL:
            code = run_apart(command(out), rng.randrange(10, 60), rng.choice(HOW))[0]
        assert code == 0
        same_run(tmp_path / "whole", out)


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A run of two epochs and some windows, and another with another seed."""
    write_texts(tmp_path / "texts")
    whole, calls = LanguageModel.loss, []

    def loss(self, ids, targets, state=None):
        calls.append(None)
        if len(calls) == 40:
            signal.raise_signal(signal.SIGINT)
        return whole(self, ids, targets, state)

    for name, seed in {"run": 0, "other": 1}.items():
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(LanguageModel, "loss", loss)
            assert main.main([*command(tmp_path / name), f"--seed={seed}"]) == 130
        place = load_model(tmp_path / name / "last.safetensors")[1]["position"]
        assert place["epoch"] == 2 and place["batch"] > 0
    return tmp_path / "run", tmp_path / "other"


def test_damage_is_an_error_that_names_the_file_and_changes_nothing(stopped, capsys, trials, tmp_path):
    run, other = stopped
    backup = tmp_path / "backup"
    shutil.copytree(run, backup)
    every = list(damages(run, other, random.Random(0), trials(12, 60)))
    capsys.readouterr()
    for name, kind, damage in random.Random(1).sample(every, trials(40, len(every))):
        shutil.rmtree(run)
        shutil.copytree(backup, run)
        resume = command(run)
        damage()
        assert main.main(resume) == 2, (name, kind)
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1) and str(run / name) in err, (name, kind, err)
        assert all((run / left).read_bytes() == (backup / left).read_bytes() for left in FILES if left != name)
        assert [left for left in os.listdir(run) if left not in FILES] == []


WRONG = {
    "a newer version": ({"version": 3}, "{path} is of version 3, should be 2; is it of a newer tinygrad_rnn?"),
    "an older version": (
        {"version": 1},
        "{path} is of version 1, should be 2: train again, or read its weights by train.load_model"),
    "no position": ({"position": 3}, "{path}: position is 3, should have epoch, batch, loss, targets, norm"),
    "a batch that does not exist": (
        {"position": {"epoch": 2, "batch": 99, "loss": 0.0, "targets": 0, "norm": 0.0}},
        "{path}: batch is 99, should be from 0 to 12"),
    "half a batch": (
        {"position": {"epoch": 2, "batch": 1.5, "loss": 0.0, "targets": 0, "norm": 0.0}},
        "{path}: batch is 1.5, should be a whole number from 0"),
    "another role": (
        {"file": "best.safetensors"}, "{path} was written as best.safetensors, should be last.safetensors"),
    "other rows": (
        {"metrics": "00000000"}, "{metrics} has other rows than {path} says, should be the 4 rows of the same run"),
    "another optimiser": (
        {"optimizer": {"lr": 1.0, "W.m": 3}}, "{path}: SGD.load_state_dict: W.m unknown, should be the state of SGD"),
    "generators": ({"rngs": {"a": 3}}, "{path}: the generators are a, should be "),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_file_is_said_in_one_line(wrong, stopped, capsys):
    run, _ = stopped
    path, (change, text) = run / NAMES[1], WRONG[wrong]
    rewritten(path, lambda _, about: about.update(change))
    capsys.readouterr()
    assert main.main(command(run)) == 2
    said = text.replace("{path}", str(path)).replace("{metrics}", str(run / LOG))
    err = capsys.readouterr().err
    assert err.startswith(f"tinygrad-rnn resume: {said}") and err.count("\n") == 1


ARRAYS = {
    "no weights": (lambda arrays: arrays.pop("affine.b"), "{path}: LanguageModel: affine.b missing, should be exactly"),
    "wide weights": (
        lambda arrays: arrays.update({"affine.b": arrays["affine.b"].astype("d")}),
        "{path}: affine.b is float64, should be float32"),
    "no state": (
        lambda arrays: [arrays.pop("state/0"), arrays.pop("state/1")],
        "{path}: the state is not there, should be {'state/0': 'float32 (4, 5)', 'state/1': 'float32 (4, 5)'}"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", ARRAYS)
def test_what_is_wrong_with_the_arrays_is_said_in_one_line(wrong, stopped, capsys):
    run, _ = stopped
    path, (change, text) = run / NAMES[1], ARRAYS[wrong]
    rewritten(path, lambda arrays, _: change(arrays))
    capsys.readouterr()
    assert main.main(command(run)) == 2
    assert capsys.readouterr().err.startswith(f"tinygrad-rnn resume: {text.replace('{path}', str(path))}")


def test_a_line_of_the_metrics_that_has_changed_is_named(stopped, capsys):
    run, _ = stopped
    text = (run / LOG).read_text()
    (run / LOG).write_text(text.replace('"epoch": 2', '"epoch": 7', 1))
    capsys.readouterr()
    assert main.main(command(run)) == 2
    said = f"{run / LOG}, line 3, is not as it was written: is it damaged?"
    assert capsys.readouterr().err == f"tinygrad-rnn resume: {said}\n"


def test_the_best_weights_of_another_run_are_refused(stopped, capsys):
    run, _ = stopped
    path = run / NAMES[0]
    rewritten(path, lambda _, about: about.update(valid=1.5))
    capsys.readouterr()
    assert main.main(command(run)) == 2
    said = rf"tinygrad-rnn resume: {re.escape(str(path))} has the weights of epoch 2 with loss 1.5, but the best of "
    said += r"metrics.jsonl is epoch 2 with loss \S+, should be the best of the same run\n"
    assert re.fullmatch(said, capsys.readouterr().err)


def test_what_the_metrics_have_beyond_the_last_file_is_written_again(stopped):
    run, _ = stopped
    right = (run / LOG).read_text().splitlines()[:4]
    for more in ("half a li", '{"epoch": 3, "valid": 1.0}\n', "\n\n", "\udcff".encode("utf-8", "surrogatepass")):
        (run / LOG).write_bytes("".join(f"{line}\n" for line in right).encode()
                                + (more if isinstance(more, bytes) else more.encode()))  # fmt: skip
        assert main.main(command(run, epochs=2)) == 0
        assert (run / LOG).read_text().splitlines()[:4] == right


def test_the_best_of_a_later_epoch_is_not_taken_for_that_of_an_earlier_one(tmp_path, capsys):
    """Killed between the best and the last file: more epochs are trained again, as many as the last file has are
    refused."""
    write_texts(tmp_path / "texts")
    out = tmp_path / "out"
    assert main.main(command(out, epochs=2)) == 0
    last = (out / NAMES[1]).read_bytes()
    assert main.main(command(out)) == 0
    shutil.copytree(out, tmp_path / "whole")
    (out / NAMES[1]).write_bytes(last)
    capsys.readouterr()
    assert main.main(command(out, epochs=2)) == 2
    text = rf"tinygrad-rnn resume: {re.escape(str(out))}/best.safetensors has the weights of epoch 3 with loss \S+, " \
           r"but the best of metrics.jsonl is epoch 2 with loss \S+, should be the best of the same run\n"  # fmt: skip
    assert re.fullmatch(text, capsys.readouterr().err)
    assert main.main(command(out)) == 0
    same_run(tmp_path / "whole", out)


def test_two_runs_in_one_folder(tmp_path, capsys):
    """The second is refused; the first does not notice; killed, it does not hold the folder."""
    write_texts(tmp_path / "texts", 6000)
    out = tmp_path / "out"
    options = command(out, epochs=1000)
    first = python("-m", "tinygrad_rnn", *options)
    for line in first.stdout:
        if line.startswith("epoch 1:"):
            break
    for where, again in (("--out", options), ("--out", [*options, "--seed=1"]), ("resume", command(out))):
        assert main.main(again) == 2
        text = f"{where}: {out} is in use by another run, should be a folder of its own".removeprefix("resume: ")
        assert capsys.readouterr() == ("", f"tinygrad-rnn {again[0]}: {text}\n")
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    texts = first.communicate(timeout=60)[1].splitlines()
    assert [text for text in texts if "tokens/s" not in text] == []  # on a busy machine there are lines of progress
    epoch = load_model(out / NAMES[1])[1]["position"]["epoch"]
    assert main.main(command(out, epochs=epoch + 1)) == 0
    assert sorted(os.listdir(out)) == FILES
