"""The command line at work: a whole small run, Ctrl-C, the demonstration."""

import io
import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.command_line import SMALL, python, write_texts
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cli import build, demo, main, runs
from tinygrad_rnn.cli.presets import PRESETS
from tinygrad_rnn.cli.settings import SETTINGS, settings
from tinygrad_rnn.data import load, read_text
from tinygrad_rnn.files import alone_in
from tinygrad_rnn.models import LanguageModel
from tinygrad_rnn.train import Position, Progress, console, generate, load_model, perplexity

pytest.importorskip("safetensors")
pytest.importorskip("tomli_w")


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """An empty folder to run in, and no folder of texts in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYGRAD_RNN_DATA", raising=False)
    return tmp_path


# -- a whole run -----------------------------------------------------------------------------------------------------

FILES = ["best.safetensors", "config.toml", "curves.svg", "last.safetensors", "metrics.jsonl", "vocab.json"]


@pytest.mark.parametrize("model", ["rnn", "lstm", "gru"])
def test_train_says_what_it_does_and_leaves_what_it_says(model, at_home, capsys):
    pytest.importorskip("matplotlib")
    write_texts(at_home / "texts")
    assert main.main(["train", "--data", "texts", "--model", model, *SMALL]) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no bar off a terminal, where every update would be a line
    first, *epochs, tested = out.splitlines()
    vocab = load("texts").train.vocab
    trained = LanguageModel(BUILT_IN[model], len(vocab), 4, 5, rng=np.random.default_rng(0))
    count = sum(parameter.size for parameter in trained.params.values())
    assert first == f"{model}: {count:,} parameters; 302 words, {len(vocab)} different; the run is in runs/{model}"
    folder = at_home / "runs" / model
    assert sorted(os.listdir(folder)) == FILES and json.loads((folder / "vocab.json").read_text()) == list(vocab)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row.get("batch")) for row in rows] == [(1, 12), (1, None), (2, 12), (2, None)]
    gates = {"rnn": 1, "lstm": 5, "gru": 3}[model]
    for row, line in zip(rows[1::2], epochs, strict=True):
        assert re.fullmatch(rf"epoch {row['epoch']}: perplexity {row['perplexity']:.2f}, validation perplexity "
                            rf"{row['valid_perplexity']:.2f}, lr 1, [\d,]+ tokens/s", line)  # fmt: skip
        assert len(row["saturated"]) == gates and all(0 <= share <= 1 for share in row["saturated"].values())
    arrays, about = load_model(folder / "best.safetensors")
    assert about["valid"] == min(row["valid"] for row in rows[1::2])
    trained.load_state_dict(arrays)
    assert np.isclose(perplexity(trained, load("texts").valid.ids, T=6), np.exp(about["valid"]), rtol=1e-12)
    found = perplexity(trained, load("texts").test.ids, T=6)
    assert tested == f"test perplexity {found:.2f} (weights of epoch {about['epoch']}), saved in runs/{model}"


def test_the_variable_names_the_folder_and_config_has_its_whole_path(at_home, capsys, monkeypatch):
    write_texts(at_home / "texts")
    monkeypatch.setenv("TINYGRAD_RNN_DATA", "texts")
    assert main.main(["train", *SMALL, "--epochs", "1"]) == 0
    monkeypatch.delenv("TINYGRAD_RNN_DATA")
    assert f'data = "{at_home}/texts"\n' in Path("runs/lstm/config.toml").read_text()
    assert main.main(["eval", "runs/lstm"]) == 0


def test_two_runs_of_one_command_are_the_same_bit_for_bit(at_home, capsys):
    write_texts(at_home / "texts")
    for out in ("a", "b"):
        assert main.main(["train", "--data", "texts", "--out", out, *SMALL]) == 0
    for name in ("best.safetensors", "last.safetensors", "config.toml"):
        assert Path("a", name).read_bytes() == Path("b", name).read_bytes()


# -- the settings ------------------------------------------------------------------------------------------------------


def test_a_preset_a_file_and_options_change_the_settings_in_turn(at_home, capsys):
    Path("mine.toml").write_text('preset = "notes-simple"\nepochs = 3\nlr = 1\nwindow = 6\n')
    found = settings(None, "mine.toml", {"lr": 0.5})
    defaults = settings(None, None, {})
    changed = {name: value for name, value in found.items() if value != defaults[name]}
    assert changed == {"model": "rnn", "first": 1000, "validate": False, "rows": 10, "window": 6, "lr": 0.5,
                       "epochs": 3, "clip": 0.0}  # fmt: skip
    assert type(settings(None, "mine.toml", {})["lr"]) is float
    assert settings("notes-lstm", None, {}) == defaults
    assert settings("notes-better", "mine.toml", {})["layers"] == 2  # the option, not the preset in the file


def test_a_byte_order_mark_of_a_settings_file_is_dropped(at_home):
    Path("mine.toml").write_bytes(b"\xef\xbb\xbfepochs = 3\r\nlr = 1\r\n")
    assert settings(None, "mine.toml", {}) == settings(None, None, {"epochs": 3, "lr": 1.0})


def test_the_settings_of_a_run_begin_another_that_is_equal(at_home, capsys):
    write_texts(at_home / "texts")
    assert main.main(["train", "--data", "texts", "--out", "a", *SMALL, "--layers=2", "--dropout=0.2"]) == 0
    assert main.main(["train", "--config", "a/config.toml", "--out", "b"]) == 0
    assert Path("a/last.safetensors").read_bytes() == Path("b/last.safetensors").read_bytes()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_settings_that_exist_and_fit_together(preset):
    values = settings(preset, None, {})
    assert [name for name in PRESETS[preset].settings if name not in SETTINGS] == []
    assert [name for name, value in values.items() if not SETTINGS[name].kind.holds(value)] == []
    build.check(values)


@pytest.mark.parametrize(("text", "said"), [
    ("hiden = 3", "mine.toml: there is no setting 'hiden', did you mean hidden?"),
    ("zzz = 3", "mine.toml: there is no setting 'zzz', should be one of data, tokens, encoding, "),
    ("hidden = 0", "mine.toml: hidden is 0, should be a whole number from 1"),
    ("hidden = true", "mine.toml: hidden is True, should be a whole number from 1"),
    ('lr = "fast"', "mine.toml: lr is 'fast', should be a number above 0"),
    ("lr = nan", "mine.toml: lr is nan, should be a number above 0"),
    ("tie = 1", "mine.toml: tie is 1, should be true or false"),
    ("format = 2", "mine.toml is of format 2, should be 1; is it of a newer tinygrad_rnn?"),
    ("[model]", "mine.toml: model is {}, should be a text"),
    ("hidden = ", "mine.toml is no TOML file ("),
    ('preset = "notes"', "--preset: there is no preset 'notes', did you mean notes-"),
])  # fmt: skip
def test_a_wrong_file_of_settings_is_refused_in_words(text, said, at_home, capsys):
    Path("mine.toml").write_text(text)
    assert main.main(["train", "--config", "mine.toml"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"tinygrad-rnn train: {said}") and err.count("\n") == 1


def test_a_run_without_a_setting_is_refused(at_home, capsys):
    write_texts(at_home / "texts")
    assert main.main(["train", "--data", "texts", *SMALL, "--epochs=1"]) == 0
    path = Path("runs/lstm/config.toml")
    path.write_text(path.read_text().replace("hidden = 5\n", ""))
    capsys.readouterr()
    assert main.main(["resume", "runs/lstm"]) == 2
    said = f"tinygrad-rnn resume: {path} has no hidden, should have every setting of the run\n"
    assert capsys.readouterr().err == said


def test_a_run_from_before_a_setting_goes_on_as_it_began(at_home, capsys):
    """Without the setting ``scan`` it is resumed step by step, and equals a run that asks for that."""
    write_texts(at_home / "texts")
    for out, mode in (("a", "eager"), ("b", "eager"), ("c", "auto")):
        command = ["train", "--data", "texts", *SMALL, "--epochs=1", f"--scan={mode}", "--out", out]
        assert main.main(command) == 0
    path = Path("a/config.toml")
    path.write_text(path.read_text().replace('scan = "eager"\n', "").replace("epochs = 1", "epochs = 2"))
    for out in ("b", "c"):
        path = Path(out, "config.toml")
        path.write_text(path.read_text().replace("epochs = 1", "epochs = 2"))
    assert [main.main(["resume", out]) for out in "abc"] == [0, 0, 0]
    a, b, c = (load_model(f"{out}/last.safetensors")[0] for out in "abc")
    assert all(a[name].tobytes() == b[name].tobytes() for name in b)
    assert all(np.allclose(a[name], c[name], atol=1e-4) for name in c)


MINE = """from tinygrad_rnn import Param, cell, tanh

@cell
def mine(x, h, *, Wx=Param("D H"), Wh=Param("H H"), scale=1.0):
    return scale * tanh(x @ Wx + h @ Wh)
"""


def test_a_cell_of_the_users_is_copied_to_the_run(at_home, capsys):
    write_texts(at_home / "texts")
    Path("cells.py").write_text(MINE)
    for out in ("a", "b"):
        assert main.main(["train", "--data", "texts", "--model", "cells.py:mine", "--out", out, *SMALL]) == 0
    assert Path("a/cell.py").read_text() == MINE
    assert Path("a/last.safetensors").read_bytes() == Path("b/last.safetensors").read_bytes()
    Path("cells.py").unlink()
    for command in ("resume", "eval", "sample"):
        assert main.main([command, "a"]) == 0
    Path("a/cell.py").write_text(MINE.replace("1.0", "2.0"))
    capsys.readouterr()
    for command, name in (("resume", "last"), ("eval", "best"), ("sample", "best")):
        assert main.main([command, "a"]) == 2
        said = rf"tinygrad-rnn {command}: a/{name}.safetensors is of a run with cell = \w+, should be \w+\n"
        assert re.fullmatch(said, capsys.readouterr().err)


def test_a_file_of_the_users_that_fails_shows_its_own_lines(at_home, capsys):
    Path("cells.py").write_text("import tinygrad_rnn\n1 / 0\n")
    write_texts(at_home / "texts")
    assert main.main(["train", "--data", "texts", "--model", "cells.py:mine", *SMALL]) == 2
    assert "cells.py, line 2: 1 / 0" in capsys.readouterr().err


# -- eval, sample, plot ------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(at_home, capsys):
    """A small run in ``runs/lstm``; its model with the best weights."""
    write_texts(at_home / "texts")
    assert main.main(["train", "--data", "texts", *SMALL]) == 0
    capsys.readouterr()
    model = LanguageModel(BUILT_IN["lstm"], len(load("texts").train.vocab), 4, 5, rng=np.random.default_rng(0))
    model.load_state_dict(load_model("runs/lstm/best.safetensors")[0])
    return model


def test_eval_is_the_perplexity_of_the_best_weights(trained, capsys):
    texts = load("texts")
    Path("mine.txt").write_text("peter came in\nunheard of words\n")
    mine = read_text("mine.txt", texts.train.vocab)
    for options, corpus, name, rows, count in [
        ([], texts.test, "test", 10, 300), (["--split=valid"], texts.valid, "valid", 10, 300),
        (["--split=train", "--eval-rows=1"], texts.train, "train", 1, 301),
        (["--text=mine.txt", "--eval-rows=1"], mine, "mine.txt", 1, 7),
    ]:  # fmt: skip
        assert main.main(["eval", "runs/lstm", *options]) == 0
        value = perplexity(trained, corpus.ids, rows, 6)
        text = f"{name}: perplexity {value:.2f} over {count:,} of {len(corpus) - 1:,} tokens\n"
        assert capsys.readouterr().out == text


def test_sample_writes_what_generate_draws(trained, capsys):
    corpus = load("texts").train
    for options, begin, more in [
        ([], [], {}), (["--prompt=peter and", "--seed=3"], ["peter", "and"], {"rng": 3}),
        (["--temperature=0.5", "--top-k=4"], [], {"temperature": 0.5, "top_k": 4}),
        (["--top-p=0.4", "--length=9"], [], {"top_p": 0.4, "length": 9}),
    ]:  # fmt: skip
        assert main.main(["sample", "runs/lstm", *options]) == 0
        start = corpus.encode(begin or ["<eos>"])
        words = corpus.decode(generate(trained, start, **{"length": 100, "rng": 0, **more}))
        assert capsys.readouterr().out == corpus.text(corpus.encode([*begin, *words])) + "\n"


def test_a_prompt_of_unknown_words_is_read_as_unk_or_refused(trained, capsys):
    assert main.main(["sample", "runs/lstm", "--prompt", "zebra", "--length=1"]) == 0
    assert capsys.readouterr().out.startswith("<unk> ")


KOREAN = "나는 학교에 간다.\n너는 집에 온다!\n" * 20


@pytest.mark.parametrize(("tokens", "options"), [
    ("char", []), ("byte", []), ("char", ["--encoding=cp949"]), ("word", ["--max-vocab=4"]), ("byte", ["--first=600"]),
])  # fmt: skip
def test_characters_and_bytes_are_trained_evaluated_and_sampled(tokens, options, at_home, capsys):
    encoding = "cp949" if "--encoding=cp949" in options else "utf-8"
    write_texts(at_home / "texts", **{name: KOREAN.encode(encoding) for name in ("train", "valid", "test")})
    assert main.main(["train", "--data=texts", f"--tokens={tokens}", *SMALL, "--epochs=1", *options]) == 0
    Path("mine.txt").write_bytes("나는 간다.\n".encode(encoding))
    for more in ([], ["--text=mine.txt", "--eval-rows=1"]):
        assert main.main(["eval", "runs/lstm", *more]) == 0
    capsys.readouterr()
    assert main.main(["sample", "runs/lstm", "--prompt=나는", "--length=200"]) == 0
    out = capsys.readouterr().out
    corpus = load("texts", tokens=tokens, encoding=encoding, max_vocab=4 if tokens == "word" else None).train
    model = build.model(runs.read(Path("runs/lstm")), BUILT_IN["lstm"], len(corpus.vocab))
    model.load_state_dict(load_model("runs/lstm/best.safetensors")[0])
    start = corpus.encode("나는")
    assert out == corpus.text([*start, *generate(model, start, 200, 0)]) + "\n"


def test_plot_draws_the_metrics(trained, capsys):
    pytest.importorskip("matplotlib")
    before = Path("runs/lstm/curves.svg").read_bytes()
    Path("runs/lstm/curves.svg").unlink()
    assert main.main(["plot", "runs/lstm"]) == 0
    assert capsys.readouterr().out == "runs/lstm/curves.svg: History(2 epochs, best in epoch 2)\n"
    assert Path("runs/lstm/curves.svg").read_bytes() == before
    assert main.main(["plot", "runs/lstm", "--out=a.png", "--ylim=0:100"]) == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    shutil.copytree("runs/lstm", "runs/other")
    assert main.main(["plot", "runs/lstm", "runs/other", "--out=both.svg"]) == 0
    assert capsys.readouterr().out == "both.svg: 2 runs\n" and Path("both.svg").read_bytes().startswith(b"<?xml")
    assert main.main(["plot", "runs/lstm", "runs/other", "runs/../runs/lstm"]) == 2
    said = "tinygrad-rnn plot: the run runs/lstm is named 2 times, should be named once\n"
    assert capsys.readouterr().err == said and not Path("curves.svg").exists()
    Path("runs/lstm/metrics.jsonl").write_text("")
    assert main.main(["plot", "runs/lstm"]) == 2
    said = "runs/lstm/metrics.jsonl has no rows yet: nothing is saved so far, should be drawn later"
    assert capsys.readouterr().err == f"tinygrad-rnn plot: {said}\n"


def test_without_matplotlib_a_run_has_no_curves_and_says_so_once(at_home, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_texts(at_home / "texts")
    assert main.main(["train", "--data", "texts", *SMALL]) == 0
    said = "no curves.svg: plot: needs matplotlib: pip install 'tinygrad-rnn[train]'\n"
    assert capsys.readouterr().out.count(said) == 1
    assert sorted(os.listdir("runs/lstm")) == [name for name in FILES if name != "curves.svg"]


def test_a_model_that_has_diverged_is_saved_without_its_gates(at_home, capsys):
    write_texts(at_home / "texts")
    with np.errstate(all="ignore"):
        assert main.main(["train", "--data", "texts", *SMALL, "--lr=1e30", "--clip=0"]) == 0
    rows = [json.loads(line) for line in Path("runs/lstm/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["epoch"] == 2 and "saturated" not in rows[-1] and rows[-1]["valid_perplexity"] > 1e300


def test_a_training_text_alone_is_trained_and_evaluated(at_home, capsys):
    write_texts(at_home / "texts")
    for name in ("valid.txt", "test.txt"):
        (at_home / "texts" / name).unlink()
    assert main.main(["train", "--data=texts", *SMALL, "--first=100", "--no-validate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "100 words" in lines[0] and "validation" not in lines[1]
    best = re.fullmatch(r"epoch 2: perplexity (\S+), lr 1, [\d,]+ tokens/s", lines[2])[1]
    assert lines[3] == f"training perplexity {best} in epoch 2, saved in runs/lstm"
    assert main.main(["eval", "runs/lstm"]) == 0
    assert capsys.readouterr().out.startswith("train: perplexity ")


# -- a terminal, a real process ----------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_there_is_a_bar_on_a_terminal_only(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    progress = Progress(1, 4, 4, 10, 1.0, 3.0, 100.0, 0.5, 20.0, 60.0, Position())
    for stream, count in ((io.StringIO(), 0), (Terminal(), 1)):
        monkeypatch.setattr(sys, "stderr", stream)
        with console.Console(True) as shown:
            for batch in range(4, 11):
                progress.batch = batch
                shown.batch(progress)
        assert stream.getvalue().count("10/10") == count == stream.getvalue().count("epoch 1/4: 100%")


def test_a_terminal_without_tqdm_has_lines(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with console.Console(True, interval=0.0) as shown:
        shown.batch(Progress(1, 4, 4, 10, 1.0, 3.0, 100.0, 0.5, 20.0, 60.0, Position()))
    text = "epoch 1/4, batch 4/10: perplexity 3.00, 100 tokens/s, norm 0.5, lr 20, 1:00 left\n"
    assert stream.getvalue() == text


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_real_process(name, at_home):
    """In the middle of an epoch: exit code 130, a message, and a checkpoint from which it is resumed."""
    write_texts(at_home / "texts", 6000)
    run = python("-m", "tinygrad_rnn", "train", "--data=texts", *SMALL, "--epochs=1000", cwd=at_home)
    for line in run.stdout:
        if line.startswith("epoch 1:"):
            break
    time.sleep(0.15)
    run.send_signal(name)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, err) == (130, "")
    found = re.search(r"\nstopped after epoch (\d+)(?: and (\d+) batches)?; saved, tinygrad-rnn resume runs/lstm "
                      r"continues\n$", out)  # fmt: skip
    arrays, about = load_model("runs/lstm/last.safetensors")
    place = about["position"]
    assert place["epoch"] == int(found[1]) >= 1 and place["batch"] == int(found[2] or 0)
    assert load_model("runs/lstm/best.safetensors")[1]["epoch"] >= 1
    assert "state/1" in arrays  # it is carried from epoch to epoch too


def test_ctrl_c_elsewhere_is_told_too(at_home, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "drawn", interrupted)
    assert main.main(["demo"]) == main.main([]) == 130  # no command is the demo
    assert capsys.readouterr().err == "\ninterrupted\n" * 2


# -- the demonstration -----------------------------------------------------------------------------------------------


def test_the_demo_draws_checks_trains_and_lists_its_files(at_home, capsys, monkeypatch, searched):
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
    (line,) = both["planted"]["diagnoses"]
    assert Path(line["file"]).name == "lstm_wrong.py" and line["new"].replace('"db": dA', '"db": -dA') == line["old"]
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
