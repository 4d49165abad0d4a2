"""``tinygrad-rnn check FILE.py``: what is in the file is found, run on guessed inputs, and mended by a patch."""

import json
import shutil
import subprocess

import pytest

from helpers.command_line import CHECKOUT, python
from helpers.handwritings import courses
from helpers.handwritings.elsewhere import CONTAINERS, GLOBALS, METHOD, TAPE
from tinygrad_rnn.cli import main

HANDWRITINGS = CHECKOUT / "tests" / "helpers" / "handwritings"
SQUARE = """\
class Square:
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        return dy * x
"""
ELMAN = """\
import numpy as np


class Elman:
    def __init__(self, input_size, hidden_size, output_size):
        normal = np.random.default_rng(0).standard_normal
        self.U, self.W = normal((input_size, hidden_size)), normal((hidden_size, hidden_size))
        self.V = normal((hidden_size, output_size))

    def forward(self, x, h):
        self.x, self.h_prev, self.h = x, h, np.tanh(x @ self.U + h @ self.W)
        return self.h @ self.V, self.h

    def backward(self, dy, dh_next):
        dz = (dy @ self.V.T + dh_next) * (1 - self.h)
        self.dU, self.dW, self.dV = self.x.T @ dz, self.h_prev.T @ dz, self.h.T @ dy
        return dz @ self.U.T, dz @ self.W.T
"""
LOSS = """\
def loss(x, w):
    return 0.5 * ((x @ w) ** 2).sum(), x.T @ x @ w
"""
PAIR = """\
def forward(x, strange):
    return x * strange, x


def backward(dy, cache):
    return dy, dy * cache
"""
BROADCAST = """\
x, s = cache
    dx = dy * s
    return dx.sum(-1, keepdims=True) if x.shape[1] == 1 else dx, dy * x
"""
MODEL = """\
import numpy as np


class Strict:
    def __init__(self, config):
        self.W = np.ones(config["shape"])

    def forward(self, x):
        return x @ self.W

    def backward(self, dy):
        self.dW = 0
        return dy @ self.W.T
"""


NO_CACHE = """\
import numpy as np


def affine_forward(x, W, b):
    return np.tanh(x @ W + b)


def affine_backward(x, W, b, grad_y):
    g = grad_y * (1 - np.tanh(x @ W + b)**2)
    return {"dx": g @ W.T, "dW": x.T @ g, "db": np.sum(g, axis=0)}
"""
GRU = """\
import numpy as np


class SimpleGRU:
    def __init__(self, input_size, hidden_size):
        self.params = [0.3 * np.random.default_rng(0).standard_normal((input_size + hidden_size, hidden_size))]
        self.grads = [np.zeros_like(self.params[0])]

    def forward(self, x, h):
        self.v, self.h = np.hstack([x, h]), h
        self.z = 1 / (1 + np.exp(-self.v @ self.params[0]))
        return (1 - self.z) * h

    def backward(self, dh):
        dv = -dh * self.h * self.z * (1 - self.z)
        self.grads[0][...] = self.v.T @ dv
        gv, D = dv @ self.params[0].T, self.v.shape[1] - dh.shape[1]
        return gv[:, :D], gv[:, D:] + dh * (1 - self.z)
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(text, *more):
        (tmp_path / "mine.py").write_text(text)
        code = main.main(["check", *(more or ["mine.py"])])
        out = capsys.readouterr()
        assert "Traceback" not in out.out + out.err
        return code, out.err if code == 2 else out.out

    return run


@pytest.mark.parametrize("text", [CONTAINERS, GLOBALS, TAPE], ids=["containers", "globals", "a tape"])
def test_sizes_are_guessed_from_names_and_weights(text, run):
    code, out = run(text)
    assert code == 0 and "verdict: right" in out


@pytest.mark.parametrize("place", ["mine.py", "mine.py:WordModel", "mine.py:WordModel.loss", "mine.py:model.loss"])
def test_a_method_that_returns_a_loss_is_checked_on_an_object_that_is_made(place, run):
    text = METHOD.replace("words", "vocabulaire").replace("hidden", "cachees")
    text += "\n\nmodel = WordModel(8, 6)\n" if "model" in place else ""
    code, out = run(text, place)
    assert code == 0 and "WordModel.loss: the gradients" in out, out
    assert all(f"\n{name}" in out for name in ("dE", "dW", "dV"))


def test_a_method_that_is_not_there_is_named(run):
    code, out = run(METHOD, "mine.py:WordModel.lose")
    assert code == 2 and "or no lose; should be one of: mine.py:WordModel.loss" in out, out


def test_a_class_that_is_no_cell_is_made_of_sizes_and_fed_by_the_names_of_its_arguments(run):
    """Of ``params`` and ``grads`` it has attributes only."""
    code, out = run(ELMAN.replace("(1 - self.h)", "(1 - self.h**2)"), "mine.py", "--sizes", "N=2,D=3,H=4,V=5", "--json")
    shapes = {name: tuple(row["shape"]) for name, row in json.loads(out)["tensors"].items()}
    assert shapes == {"dx": (2, 3), "dh": (2, 4), "dU": (3, 4), "dW": (4, 4), "dV": (4, 5)} and code == 0
    assert run(ELMAN)[0] == 1


def test_the_only_thing_of_a_file_is_checked_and_git_applies_the_patch(run, tmp_path, searched):
    code, out = run(SQUARE, "mine.py", "--patch", "mine.diff")
    assert code == 1 and "mistake: mine.py:10 in Square.backward: return dy * x\n" in out
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["git", "apply", "mine.diff"], cwd=tmp_path, check=True, capture_output=True)
    assert run((tmp_path / "mine.py").read_text())[0] == 0


def test_json_has_the_place_and_both_texts(run, searched):
    (line,) = json.loads(run(SQUARE, "mine.py", "--json")[1])["diagnoses"]
    assert (line["file"].rpartition("/")[2], line["line"], line["column"]) == ("mine.py", 10, 16)
    assert (line["old"].strip(), line["new"].strip()) == ("return dy * x", "return 2 * dy * x")


def test_no_patch_is_said(run, tmp_path, capsys):
    assert run(SQUARE.replace("dy * x", "2 * dy * x"), "mine.py", "--patch", "mine.diff")[0] == 0
    assert not (tmp_path / "mine.diff").exists()


def test_several_are_listed(run, tmp_path):
    code, out = run((HANDWRITINGS / "cs231n_rnn.py").read_text())
    assert code == 2 and "mine.py has several things that can be checked; name one:\n" in out
    assert "  tinygrad-rnn check mine.py:rnn_step_backward   pair\n" in out


LOSS_THEN_BPTT = """
import numpy as np

class Reader:
    def __init__(self, hidden_size):
        self.params = {"U": np.eye(hidden_size) / 2, "v": np.ones((1, hidden_size))}

    def loss(self, X, y):
        s, old = np.zeros((len(self.params["U"]), X.shape[-1])), []
        for x in X:
            old.append(s)
            s = np.tanh(self.params["U"] @ s + x)
        pred = self.params["v"] @ s
        return np.sum((pred - y) ** 2) / 2, self.bptt(old, s, pred - y)

    def bptt(self, old, s, dpred):
        ds, dU = self.params["v"].T @ dpred, 0
        dv = dpred @ s.T
        for before in old[::-1]:
            da = ds * (1 - s**2)
            dU, ds, s = dU + da @ before.T, self.params["U"].T @ da, before
        return {"U": dU, "v": dv}
"""


def test_a_loss_that_hands_on_what_a_backward_returns_is_listed(run):
    code, out = run(LOSS_THEN_BPTT)
    assert code == 0 and out.count("  right") == 2, out
    assert "the batch is one column, which hides a mistake in a sum over the batch" in out
    assert run(LOSS_THEN_BPTT.replace("dpred @ s.T", "2 * dpred @ s.T"))[0] == 1


@pytest.mark.sampled(every=3, by=lambda name, what: [])
@pytest.mark.parametrize(("name", "what"), [
    ("min_char_rnn", ""), ("min_char_lstm", ""), ("pair_gru", ""), ("local_lstm", ""), ("cs231n_rnn", ":rnn_backward"),
    ("cs231n_lstm", ":lstm_step_backward"), ("cs231n_lstm", ":lstm_backward"), ("book_rnn", ":RNN"),
    ("book_lstm", ":TimeLSTM"),
])  # fmt: skip
def test_files_as_students_have_them_are_run_as_they_are(name, what, run, tmp_path):
    shutil.copy(HANDWRITINGS / f"{name}.py", tmp_path)
    code, out = run("", f"{name}.py{what}")
    assert code == 0, out


@pytest.mark.parametrize("name", courses.SLIPS)
def test_files_in_the_conventions_of_courses_are_run_as_they_are(name, run, monkeypatch):
    monkeypatch.setattr("tinygrad_rnn.check.mistakes.diagnoses", lambda job: [])
    text, (line, slip) = getattr(courses, name), courses.SLIPS[name]
    assert text.count(line) == 1
    code, out = run(text)
    assert code == 0 and out.count("  right") > 2, out
    assert run(text.replace(line, slip))[0] == 1


@pytest.mark.parametrize(("text", "more", "said"), [
    (PAIR, ["--inputs", "3,7", "3,7", "7"], "takes 2 inputs and --inputs has 3 shapes, should have one for each, or "
     "name their arguments: --inputs strange=3,7"),
    (PAIR, ["--inputs", "y=3,7"], "takes 2 inputs and --inputs has 1 shapes, should have one for each, or name"),
    (LOSS.replace("x @ w)", "x @ w @ w)"), [], "loss(x, w) runs on none of the usual shapes; --inputs should say those "
     "of x, w, such as --inputs x=3,7 w=3,7, or x=ids:5 for whole numbers; a dict or a list is handed over in Python"),
    (MODEL, ["mine.py:Strict"], "Strict(config=6) cannot be made: TypeError: 'int' object is not subscriptable; create "
     "the layer in the file, layer = Strict(...), and check FILE.py:layer"),
    ("import math\n\n\ndef f(x):\n    return x\n", [], "mine.py has f, and nothing that looks as if it could be"),
])  # fmt: skip
def test_what_cannot_be_guessed_is_named_with_how_to_give_it(text, more, said, run):
    code, out = run(text.replace("x.T @ x @ w", "dw").replace("    return 0.5", "    dw = x.T @ x @ w\n    return 0.5"),
                    *(more if more[:1] == ["mine.py:Strict"] else ["mine.py", *more]))  # fmt: skip
    assert code == 2 and said in out, out


@pytest.mark.parametrize("shapes", [["3,7", "3,7"], ["strange=3,7"], ["3,7"], ["3,1", "strange=3,7"], []])
def test_shapes_that_are_given_are_taken_and_the_others_are_guessed(shapes, run):
    right = PAIR.replace("strange, x", "strange, (x, strange)").replace("return dy, dy * cache", BROADCAST)
    code, out = run(right, "mine.py", "--json", *(["--inputs", *shapes] if shapes else []))
    assert code == 0, out
    assert json.loads(out)["tensors"]["dx"]["shape"] == [3, 1 if "3,1" in shapes else 7]


def test_whole_numbers_are_given_as_ids(run):
    text = (
        LOSS.replace("x.T @ x @ w", "dw")
        .replace("x @ w", "w[x]")
        .replace(
            "    return",
            """\
    dw = np.zeros_like(w)
    np.add.at(dw, x, w[x])
    return""",
        )
    )
    for more in ([], ["--inputs", "x=ids:2,3"], ["--inputs", "ids:4", "5,6"]):
        code, out = run("import numpy as np\n" + text, "mine.py", *more)
        assert code == 0 and "dw  (5, 6)" in out if len(more) == 3 else code == 0, out


def test_a_file_that_never_ends_is_no_pass(tmp_path):
    (tmp_path / "mine.py").write_text("while True:\n    pass\n")
    process = python("-m", "tinygrad_rnn", "check", "mine.py", "--timeout", "3", cwd=tmp_path)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "mine.py, line 1: while True:\n  TookTooLong: a call runs for longer than 2.7 s" in err


@pytest.mark.parametrize("text", [NO_CACHE, GRU], ids=["a backward that takes the inputs", "a layer called as a cell"])
def test_right_code_that_takes_no_cache_or_has_parameters_of_its_own_is_right(run, text):
    code, out = run(text)
    assert code == 0 and "taken for" not in out, out
    assert run(text.replace("g @ W.T", "-g @ W.T").replace("dh * (1 - self.z)", "dh"))[0] == 1
