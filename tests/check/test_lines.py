"""The line that is named and the patch that is told, for functions, layers and pairs: the patch mends."""

import json
import linecache
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.bptt_references import cell_of, finals_only
from helpers.layers_by_hand import Layer, sigmoid
from helpers.more_mutants import MUTANTS
from helpers.mutants import compiled
from tinygrad_rnn import check_backward, check_layer

FEW = {"N": 2, "T": 3, "D": 2, "H": 4}
r = np.random.default_rng(0).standard_normal


@pytest.mark.sampled(every=150, first=7, by=lambda name: [])
@pytest.mark.parametrize("name", MUTANTS)
def test_a_patch_of_a_mutant_mends_it(name):
    mutant = MUTANTS[name]
    cell, text = cell_of(mutant), mutant.text()
    report = check_backward(cell, finals_only(mutant.function(), cell), sizes=FEW)
    if report.lines and all(text.count(line.old) == 1 for line in report.lines):
        for line in report.lines:
            text = text.replace(line.old, line.new)
        assert check_backward(cell, compiled(mutant.by, text), sizes=FEW, seed=3).first_wrong is None, str(report)


def rnn_wrong(x, h, *, Wx, Wh, b, dh):
    y = np.tanh(x @ Wx + h @ Wh + b)
    dA = dh * (1 - y)
    return {"dA_h": dA, "dx": dA @ Wx.T, "dh": dA @ Wh.T, "dWx": x.T @ dA, "dWh": h.T @ dA, "db": dA.sum(axis=0)}


def test_the_line_of_a_backward_of_a_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = check_backward(tg.rnn, rnn_wrong, sizes={"N": 2, "D": 2, "H": 4})
    (line,) = report.diagnoses
    assert (line.kind, line.function, line.old.strip()) == ("line", "rnn_wrong", "dA = dh * (1 - y)")
    assert line.new.strip() == "dA = dh * (1 - y ** 2)"
    assert (report.first_wrong, report.smallest) == ("dA_h", {"N": 1, "still": True})
    assert [row.name for row in report.tensors.values() if row.consequence] == ["dx", "dh", "dWx", "dWh", "db"]
    data = json.loads(report.to_json())["diagnoses"][0]
    assert (data["line"], data["column"]) == (line.line, line.old.index("y)") + 2)


def test_git_applies_the_diff(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text("import numpy as np\n\n\ndef f(x):\n    return x * x\n\n\ndef back(x, dy):\n    return dy * x\n")
    names = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    monkeypatch.chdir(tmp_path)
    report = check_backward(names["f"], names["back"], r((2, 3)))
    subprocess.run(["git", "init", "-q"], check=True, capture_output=True)
    subprocess.run(["git", "apply"], input=report.lines[0].diff, text=True, check=True, capture_output=True)
    linecache.checkcache(str(file))
    exec(compile(file.read_text(), str(file), "exec"), names)
    assert check_backward(names["f"], names["back"], r((2, 3))).verdict == "right"


class Zeros(Layer):
    """Writes over ``grads``; half of a gradient is not the gradient times the sigmoid of what was there, which is 0."""

    def __init__(self):
        super().__init__(W=(3, 2))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dy):
        self.grads[0][...] = 2 * self.x.T @ dy
        return dy @ self.W.T


def test_what_stands_in_grads_before_is_no_part_of_a_patch():
    report = check_layer(Zeros(), r((4, 3)))
    assert [line.new.strip() for line in report.lines] == ["self.grads[0][...] = self.x.T @ dy"]


def test_a_lambda_has_no_lines():
    report = check_backward(lambda x: x * x, lambda x, dy: dy * x, r(3))
    assert report.notes[0].startswith("the backward is a lambda: a mistake inside of it has no line")


def test_an_input_of_a_notebook_is_named_by_its_number(monkeypatch):
    """As IPython's compiler names it."""
    cell = "def back(x, dy):\n    return dy * x\n"
    file, names = "123.py", {}
    linecache.cache[file] = len(cell), None, cell.splitlines(keepends=True), file
    exec(compile(cell, file, "exec"), names)
    compiler = SimpleNamespace(format_code_name=lambda name: ("Cell", "In[7]") if name == file else None)
    shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(compile=compiler))
    monkeypatch.setitem(sys.modules, "IPython", shell)
    report = check_backward(lambda x: x * x, names["back"], r((2, 3)))
    assert report.lines[0].text.startswith("In [7]:2 in back: return dy * x")


class Typo(Layer):
    """An LSTM step whose input gate is squashed by tanh, and whose backward is right for that."""

    def __init__(self):
        super().__init__(Wx=(4, 12), Wh=(3, 12), b=12)

    def forward(self, x, h, c):
        A = x @ self.Wx + h @ self.Wh + self.b
        f, g, o = sigmoid(A[:, :3]), np.tanh(A[:, 3:6]), sigmoid(A[:, 9:])
        i = np.tanh(A[:, 6:9])
        new = f * c + g * i
        self.cache = x, h, c, f, g, i, o, new
        return o * np.tanh(new), new

    def backward(self, dh, dc):
        x, h, c, f, g, i, o, new = self.cache
        ds = dc + dh * o * (1 - np.tanh(new) ** 2)
        do = dh * np.tanh(new)
        dA = np.hstack([ds * c * f * (1 - f), ds * i * (1 - g * g), ds * g * (1 - i * i), do * o * (1 - o)])
        self.put(x.T @ dA, h.T @ dA, dA.sum(axis=0))
        return dA @ self.Wx.T, dA @ self.Wh.T, ds * f


def test_the_line_by_which_a_forward_differs_from_the_cell():
    report = check_layer(Typo(), r((5, 4)), r((5, 3)), r((5, 3)), cell=tg.lstm)
    (line,) = report.lines
    assert (report.verdict, line.kind, line.function) == ("wrong", "protocol: forward", "Typo.forward")
    assert (line.old.strip(), line.new.strip()) == ("i = np.tanh(A[:, 6:9])", "i = sigmoid(A[:, 6:9])")
    assert "with this change forward is that of lstm, on 3 inputs" in str(report)
    assert {row.verdict for row in report.tensors.values()} == {"right"}
