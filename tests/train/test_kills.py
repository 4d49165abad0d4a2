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
from tinygrad_rnn.cli import main
from tinygrad_rnn.train import LanguageModel, load_model

pytest.importorskip("safetensors")
pytest.importorskip("tqdm")

NAMES = ["best.safetensors", "last.safetensors", LOG]


def command(out: Path, *more: str) -> list[str]:
    """Train, or go on with what there is."""
    resume = ["--resume"] * (out / "last.safetensors").exists()
    return ["train", "--data", str(out.parent / "texts"), "--out", str(out), *SMALL, "--epochs=3", *resume, *more]


def log(folder: Path) -> list[str]:
    """The lines without the speed and the checksum, which are never the same."""
    return [re.sub(r', "tokens_per_second.*', "", line) for line in (folder / LOG).read_text().split("\n")]


def same_run(a: Path, b: Path) -> None:
    assert sorted(os.listdir(a)) == sorted(os.listdir(b)) == NAMES
    for name in NAMES[:2]:
        assert (a / name).read_bytes() == (b / name).read_bytes()
    assert log(a) == log(b) and len(log(a)) == 4


@pytest.mark.parametrize("model", ["lstm", "gru"])
def test_a_run_that_is_killed_at_an_operation_on_a_file_goes_on_as_the_same_run(model, tmp_path, trials):
    write_texts(tmp_path / "texts")
    code, count = run_apart(command(tmp_path / "whole", "--model", model))
    assert code == 0 and count > 30
    every = [(k, how) for k in range(1, count + 1) for how in HOW]
    kills = random.Random(model).sample(every, trials(3, len(every)))
    for k, how in kills:
        out = tmp_path / f"{k} {how}"
        assert run_apart(command(out, "--model", model), k, how)[0] == -signal.SIGKILL
        assert run_apart(command(out, "--model", model))[0] == 0
        same_run(tmp_path / "whole", out)
        shutil.rmtree(out)


def test_a_run_that_is_killed_again_and_again_goes_on_as_the_same_run(tmp_path, trials):
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
    """A run of two epochs and some windows, and another."""
    write_texts(tmp_path / "texts")
    whole, calls = LanguageModel.loss, []

    def loss(self, *args):
        calls.append(None)
        if len(calls) == 35:
            signal.raise_signal(signal.SIGINT)
        return whole(self, *args)

    for name, seed in {"run": 0, "other": 1}.items():
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(LanguageModel, "loss", loss)
            assert main.main([*command(tmp_path / name), f"--seed={seed}"]) == 130
        about = load_model(tmp_path / name / "last.safetensors")[1]
        assert about["epoch"] == 2 and about["done"] > 0
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
        assert main.main([*resume, "--resume"]) == 2, (name, kind)
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1) and str(run / name) in err, (name, kind, err)
        assert all((run / left).read_bytes() == (backup / left).read_bytes() for left in NAMES if left != name)
        assert [left for left in os.listdir(run) if left not in NAMES] == []


WRONG = {
    "a newer version": ({"version": 2}, "{path} is of version 2, should be at most 1; is it of a newer tinygrad_rnn?"),
    "no place": ({"done": None}, "{path}: done is None, should be a whole number from 0"),
    "a place that is not there": ({"done": 99}, "{path}: done is 99, should be from 0 to 12"),
    "another best": (
        {"best": 1.5, "valid": [2.0, 3.0]}, "{path}: best is 1.5, valid is [2.0, 3.0] after 2 epochs, should be the "
        "validation perplexities and the best of them"),
    "another role": (
        {"file": "best.safetensors"}, "{path} was written as best.safetensors, should be last.safetensors"),
    "another run": (
        {"best": 1.5, "valid": [1.5, 3.0]}, "{best} says {is_best} after epoch 2, but last.safetensors 1.5 after epoch "
        "2, should be the best of the same run"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_file_is_said_in_one_line(wrong, stopped, capsys):
    run, _ = stopped
    path, (change, text) = run / NAMES[1], WRONG[wrong]
    is_best = load_model(path)[1]["best"]
    rewritten(path, lambda _, about: about.update(change))
    capsys.readouterr()
    assert main.main(command(run)) == 2
    said = text.replace("{path}", str(path)).replace("{best}", str(run / NAMES[0])).replace("{is_best}", str(is_best))
    assert capsys.readouterr().err == f"tinygrad-rnn train: --resume: {said}\n"


ARRAYS = {
    "no weights": (lambda arrays: arrays.pop("affine.b"), "{path}: LanguageModel: affine.b missing, should be exactly"),
    "wide weights": (
        lambda arrays: arrays.update({"affine.b": arrays["affine.b"].astype("d")}),
        "{path}: affine.b is float64, should be float32"),
    "no state": (
        lambda arrays: [arrays.pop("state.0"), arrays.pop("state.1")],
        "{path}: the state is not there, should be {'state.0': 'float32 (4, 5)', 'state.1': 'float32 (4, 5)'}"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", ARRAYS)
def test_what_is_wrong_with_the_arrays_is_said_in_one_line(wrong, stopped, capsys):
    run, _ = stopped
    path, (change, text) = run / NAMES[1], ARRAYS[wrong]
    rewritten(path, lambda arrays, _: change(arrays))
    capsys.readouterr()
    assert main.main(command(run)) == 2
    assert capsys.readouterr().err.startswith(f"tinygrad-rnn train: --resume: {text.replace('{path}', str(path))}")


def test_a_line_of_the_log_that_has_changed_is_named(stopped, capsys):
    run, _ = stopped
    text, valid = (run / LOG).read_text(), load_model(run / NAMES[1])[1]["valid"][1]
    (run / LOG).write_text(text.replace('"epoch": 2', '"epoch": 7'))
    capsys.readouterr()
    assert main.main(command(run)) == 2
    said = f"--resume: {run / LOG}, line 2, is not as it was written for epoch 2 with validation perplexity {valid}; "
    assert capsys.readouterr().err == f"tinygrad-rnn train: {said}is it damaged, or of another run?\n"


def test_what_the_log_has_beyond_the_last_file_is_made_again(stopped):
    run, _ = stopped
    right = (run / LOG).read_text()
    for more in ("half a li", '{"epoch": 3, "valid": 1.0}\n', "\n\n", "\udcff".encode("utf-8", "surrogatepass")):
        (run / LOG).write_bytes(right.encode() + (more if isinstance(more, bytes) else more.encode()))
        assert main.main([*command(run), "--epochs=2"]) == 0
        assert (run / LOG).read_text() == right


def test_a_run_of_a_version_without_checksums_goes_on(stopped, tmp_path, capsys):
    """Its files say no version, no role, and of the validations only the best."""
    run, _ = stopped
    shutil.copytree(run, tmp_path / "whole")
    for name in NAMES[:2]:
        rewritten(run / name, lambda _, about: [about.pop(key) for key in ("version", "file", "valid", "unlogged")])
    lines = (run / LOG).read_text().splitlines()
    (run / LOG).write_text("".join(re.sub(r', "crc32.*', "}\n", line) for line in lines) + '{"epoch": 3, "va')
    for out in (run, tmp_path / "whole"):
        assert main.main(command(out)) == 0
    assert [line.split(", ")[:2] for line in log(run)] == [line.split(", ")[:2] for line in log(tmp_path / "whole")]
    for name in NAMES[:2]:
        arrays, right = load_model(run / name)[0], load_model(tmp_path / "whole" / name)[0]
        assert arrays.keys() == right.keys() and all((arrays[key] == right[key]).all() for key in right)


def test_the_best_of_a_later_epoch_is_not_taken_for_that_of_an_earlier_one(tmp_path, capsys):
    """Killed between the best and the last file; more epochs go on, as many as the last file has do not."""
    write_texts(tmp_path / "texts")
    out = tmp_path / "out"
    assert main.main([*command(out), "--epochs=2"]) == 0
    last = (out / NAMES[1]).read_bytes()
    assert main.main(command(out)) == 0
    shutil.copytree(out, tmp_path / "whole")
    (out / NAMES[1]).write_bytes(last)
    capsys.readouterr()
    assert main.main([*command(out), "--epochs=2"]) == 2
    text = rf"tinygrad-rnn train: --resume: {re.escape(str(out))}/best.safetensors says \S+ after epoch 3, but " \
           r"last.safetensors \S+ after epoch 2, should be the best of the same run\n"  # fmt: skip
    assert re.fullmatch(text, capsys.readouterr().err)
    assert main.main(command(out)) == 0
    same_run(tmp_path / "whole", out)


def test_two_runs_in_one_folder(tmp_path, capsys):
    """The second is refused; the first does not notice; killed, it does not hold the folder."""
    write_texts(tmp_path / "texts", 6000)
    out = tmp_path / "out"
    options = [*command(out), "--epochs=1000"]
    first = python("-m", "tinygrad_rnn", *options)
    for said in first.stdout:
        if said.startswith("epoch 1:"):
            break
    for more in ([], ["--resume"], ["--seed=1"]):
        assert main.main([*options, *more]) == 2
        text = f"tinygrad-rnn train: --out: {out} is in use by another run, should be a folder of its own\n"
        assert capsys.readouterr() == ("", text)
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    assert first.communicate(timeout=60)[1] == ""
    assert main.main([*options, "--resume", f"--epochs={3 + load_model(out / NAMES[1])[1]['epoch']}"]) == 0
    assert sorted(os.listdir(out)) == NAMES
