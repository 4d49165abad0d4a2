"""The debugger: functions run as they are written, the wrong line is named, and the patch that is told is right."""

import ast
import json
import time

import numpy as np
import pytest

from helpers.handwritings.elsewhere import BOTH_WAYS
from helpers.handwritings.jobs import job_of
from helpers.handwritings.table import BY_NAME, HANDWRITINGS, changed, load, made
from tinygrad_rnn import check_backward, check_layer, check_loss
from tinygrad_rnn.check.debugger import chain, search
from tinygrad_rnn.check.debugger.chain import chained
from tinygrad_rnn.check.debugger.instrument import instrumented
from tinygrad_rnn.check.debugger.job import Job, derivatives
from tinygrad_rnn.check.debugger.patch import Patch
from tinygrad_rnn.check.debugger.source import replaced, units_of
from tinygrad_rnn.check.layers.adapter import Adapter
from tinygrad_rnn.check.layers.functions import loss_as_layer
from tinygrad_rnn.errors import Uncheckable

RIGHT = ("right", "precision")


def checked(handwriting, text, folder, name="", seed=0):
    kind, function, backward, inputs = made(handwriting, text, folder / f"{handwriting.name}{name}.py", seed)
    if kind == "pair":
        return check_backward(function, backward, *inputs)
    return check_loss(function, *inputs) if kind == "loss" else check_layer(function, *inputs)


@pytest.mark.sampled(every=4, by=lambda name: [])
@pytest.mark.parametrize("name", BY_NAME)
def test_right_code_is_right_in_each_handwriting(name, tmp_path):
    report = checked(BY_NAME[name], BY_NAME[name].text, tmp_path)
    assert report.verdict in RIGHT and report.diagnoses == [], str(report)


@pytest.mark.sampled(every=1000, first=3, by=lambda name, k: [])
@pytest.mark.parametrize(("name", "k"), [(h.name, k) for h in HANDWRITINGS for k in range(len(h.mistakes))])
def test_a_planted_mistake_is_found_and_what_is_told_mends_it(name, k, tmp_path):
    handwriting = BY_NAME[name]
    text, _ = handwriting.with_mistake(k)
    report = checked(handwriting, text, tmp_path)
    assert report.verdict == "wrong"
    lines = [diagnosis for diagnosis in report.diagnoses if diagnosis.kind == "line"]
    for diagnosis in lines:
        mended = text.replace(diagnosis.old, diagnosis.new, 1) if text.count(diagnosis.old) == 1 else None
        if mended is not None:
            assert checked(handwriting, mended, tmp_path, "_mended", seed=7).verdict in RIGHT, str(report)


def wrong(folder, name="book_rnn", old="dt = dh_next * (1 - h_next ** 2)", new="dt = dh_next * (1 - h_next)"):
    text, line = changed(BY_NAME[name].text, old, new)
    return checked(BY_NAME[name], text, folder), line


def test_the_diagnosis_has_the_file_the_line_and_the_new_source(tmp_path):
    report, line = wrong(tmp_path)
    (diagnosis,) = report.diagnoses
    assert (diagnosis.kind, diagnosis.file, diagnosis.line) == ("line", str(tmp_path / "book_rnn.py"), line)
    assert diagnosis.function == "RNN.backward"
    assert diagnosis.old.strip() == "dt = dh_next * (1 - h_next)"
    assert diagnosis.new.strip() == "dt = dh_next * (1 - h_next ** 2)"
    assert "with this change all 4 gradients are right" in str(report)
    assert json.loads(report.to_json())["diagnoses"][0]["new"] == diagnosis.new


def test_the_diff_names_the_file_and_both_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report, _ = wrong(tmp_path)
    head = report.diagnoses[0].diff.split("\n")[:2]
    assert head == ["--- a/book_rnn.py", "+++ b/book_rnn.py"]


def test_neither_file_nor_module_is_changed(tmp_path):
    file = tmp_path / "book_rnn.py"
    handwriting = BY_NAME["book_rnn"]
    text, _ = handwriting.with_mistake(3)
    _, layer, _, inputs = made(handwriting, text, file)
    codes = {unit.name: unit.function.__code__ for unit in units_of([layer])}
    check_layer(layer, *inputs)
    assert {unit.name: unit.function.__code__ for unit in units_of([layer])} == codes
    assert file.read_text() == text


# -- the parts ---------------------------------------------------------------------------------------------------------


def outer(y):
    def inner(x):
        """Adds."""
        return x + y

    return inner


def test_units_are_the_users_functions_not_those_of_libraries():
    inner = outer(2)
    assert [unit.name for unit in units_of([inner]) if unit.function is inner] == ["outer.inner"]
    assert all(not unit.file.startswith(np.__path__[0]) for unit in units_of([outer, np.linalg.norm]))


def test_instrumented_code_gives_the_same_and_passes_values_on():
    inner, seen = outer(2), []
    (unit,) = [unit for unit in units_of([inner]) if unit.function is inner]
    nodes = [node for node in ast.walk(unit.node) if isinstance(node, ast.BinOp)]
    code = instrumented(unit, nodes, 5, lambda k, value: seen.append((k, value)) or value)
    before = inner.__code__
    with replaced({0: code}, [unit]):
        assert inner(3) == 5
    assert seen == [(5, 5)]
    assert inner.__code__ is before


def test_the_code_is_put_back_when_the_user_raises():
    inner = outer("a")
    (unit,) = [unit for unit in units_of([inner]) if unit.function is inner]
    before = inner.__code__
    with pytest.raises(TypeError), replaced({0: unit.compiled()}, [unit]):
        inner(1)
    assert inner.__code__ is before


# -- check_loss --------------------------------------------------------------------------------------------------------


def square(x, w):
    return 0.5 * np.sum((x * w) ** 2), x * w * w, x * x * w


def test_gradients_are_matched_by_order_and_what_fits_no_input_is_left_alone():
    x, w = np.arange(1.0, 4), np.arange(2.0, 5)
    assert check_loss(square, x, w).verdict == "right"
    report = check_loss(lambda x: (np.sum(x * x), 2 * x, "state"), x)
    assert report.verdict == "right" and list(report.tensors) == ["dx"]


def test_gradients_are_matched_by_name():
    def loss(x, w):
        dw, dx = 0 * w + x, 0 * x + w
        return np.sum(x * w), dw, dx

    assert check_loss(loss, np.arange(1.0, 4), np.arange(2.0, 5)).verdict == "right"


def test_a_wrong_gradient_of_a_loss_is_wrong():
    def loss(x):
        return np.sum(x**3), 3 * x

    report = check_loss(loss, np.arange(1.0, 4))
    assert report.verdict == "wrong"
    assert report.diagnoses[0].new.strip() == "return np.sum(x**3), 3 * x ** 2"


def test_what_is_no_loss_is_refused():
    with pytest.raises(Uncheckable, match=r"square.x, w. is handed 1 input, should be check_loss.square, x, w."):
        check_loss(square, np.ones(3))
    with pytest.raises(Uncheckable, match="check_loss: it is handed a int, should be a function that returns the loss"):
        check_loss(3)
    with pytest.raises(Uncheckable, match="check_loss: <lambda> returns a float64, should be the loss, then gradients"):
        check_loss(lambda x: np.sum(x), np.ones(3))


# -- a line without a patch, and several mistakes ----------------------------------------------------------------------


def bent(x, w):
    y = x * w
    dy = np.cosh(3 * y) + 0.1 * y**3
    dx = dy * w
    dw = dy * x
    return np.sum(np.sinh(y)), dx, dw


def test_a_line_that_no_edit_mends_is_named_with_what_it_should_hold():
    x, w = np.arange(1.0, 9) / 4, np.arange(2.0, 10) / 5
    (diagnosis,) = check_loss(bent, x, w).diagnoses
    assert (diagnosis.kind, diagnosis.new) == ("line", None)
    assert diagnosis.old.strip() == "dy = np.cosh(3 * y) + 0.1 * y**3"
    dy, right = np.cosh(3 * x * w) + 0.1 * (x * w) ** 3, np.cosh(x * w)
    worst = int(np.argmax(np.abs(dy - right)))
    assert f"[{worst}] is {dy[worst]:.6g}, should be {right[worst]:.6g}" in diagnosis.text
    assert "no small edit gives them" in diagnosis.text


def test_a_slow_machine_finds_the_same(monkeypatch):
    """The search is limited by a number of runs, and time is what it takes."""
    x, w = np.arange(1.0, 9) / 4, np.arange(2.0, 10) / 5
    text, clock = str(check_loss(bent, x, w)), time.process_time
    monkeypatch.setattr(time, "process_time", lambda: 10 * clock())
    assert str(check_loss(bent, x, w)) == text


def test_mistakes_that_each_have_gradients_of_their_own_are_told_one_after_another(tmp_path):
    handwriting = BY_NAME["min_char_rnn"]
    text, first = changed(handwriting.text, "dWhh += np.dot(dhraw, hs[t-1].T)", "dWhh += np.dot(dhraw, hs[t].T)")
    text, second = changed(text, "dhraw = (1 - hs[t] * hs[t]) * dh", "dhraw = (1 - hs[t]) * dh")
    _, function, _, inputs = made(handwriting, text, tmp_path / "min_char_rnn.py")
    patches = search.several(Job(Adapter(loss_as_layer(function), inputs), [function]))
    assert [patch.line for patch in patches] == [second, first]
    assert all("with the 2 changes together all " in str(patch) for patch in patches)


def shortened(monkeypatch, first=100.0, work=600.0):
    """A search that ends early."""
    for module, name, most in [(search, "FIRST", first), (search, "WORK", work), (chain, "WORK", work)]:
        monkeypatch.setattr(module, name, most)


CHAINS = {
    "book_lstm": [("df = ds * c_prev", "df = ds * c_next"), ("df *= f * (1 - f)", "df *= f")],
    "book_rnn": [("dt = dh_next * (1 - h_next ** 2)", "dt = dh_next * (1 - h_next)"),
                 ("dh_prev = np.dot(dt, Wh.T)", "dh_prev = np.dot(dt, Wh)")],
    "attribute_rnn": [("self.dWx += self.x[:, t].T @ da", "self.dWx += -self.x[:, t].T @ da"),
                      ("self.dWh += self.h[:, t].T @ da", "self.dWh += self.h[:, t + 1].T @ da")],
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_mistakes_in_one_chain_are_told_one_after_another(name, tmp_path):
    """Neither change alone makes any gradient right."""
    text, lines = BY_NAME[name].text, []
    for old, new in CHAINS[name]:
        text, line = changed(text, old, new)
        lines.append(line)
    job = job_of(BY_NAME[name], text, tmp_path / f"{name}.py")
    patches = chained(job, job)
    assert [(patch.line, patch.new.strip()) for patch in patches] == [
        (line, right) for line, (right, _) in zip(lines, CHAINS[name])]  # fmt: skip
    assert patches[0].text == patches[1].before and patches[1].text == BY_NAME[name].text
    assert not job.first.wrong


def test_an_edit_that_does_not_run_on_all_inputs_does_not_end_the_search(tmp_path):
    """It runs on the smaller inputs of the search, where arrays of other shapes happen to fit."""
    report, _ = wrong(tmp_path, "book_gru", "dz = dh_next * h_hat - dh_next * h_prev", "dz = dh_next * h_hat")
    assert report.verdict == "wrong" and not any("looked for" in note for note in report.notes), str(report)


def test_where_no_chain_of_changes_is_right_nothing_is_told_and_nothing_stays(tmp_path):
    text, _ = changed(BY_NAME["book_rnn"].text, "dt = dh_next * (1 - h_next ** 2)", "dt = np.cosh(dh_next)")
    _, layer, _, inputs = made(BY_NAME["book_rnn"], text, tmp_path / "book_rnn.py")
    job = Job(Adapter(layer, inputs), [layer])
    units = list(job.units)
    assert chained(job, job) == [] and job.units == units and job.first.wrong


def test_a_variable_may_have_another_shape_at_another_run(tmp_path, monkeypatch):
    """Such a variable does not end the search."""
    shortened(monkeypatch)
    report, _ = wrong(tmp_path, "cs231n_rnn", "dtanh = dnext_h * (1 - next_h**2)", "dtanh = dnext_h * (1 - next_h + 2)")
    assert report.verdict == "wrong" and not any("looked for" in note for note in report.notes), str(report)


def test_gradients_that_are_not_finite_do_not_end_the_search(tmp_path, monkeypatch):
    shortened(monkeypatch)
    with np.errstate(all="ignore"):
        report, _ = wrong(tmp_path, "attribute_rnn", "total = dh[:, t] + carry", "total = dh[:, t] / carry")
    assert report.verdict == "wrong" and not any("looked for" in note for note in report.notes), str(report)


def test_a_forward_that_is_not_finite_does_not_warn():
    infinite, rng = np.array([np.inf, -np.inf]), np.random.default_rng(0)
    assert not np.isfinite(derivatives(lambda xs: np.sum(infinite * xs[0]), [np.ones(2)], 0, rng, 2).values).any()


def test_a_gradient_of_signalling_nans_does_not_warn(tmp_path):
    job = job_of(BY_NAME["book_rnn"], BY_NAME["book_rnn"].text, tmp_path / "book_rnn.py")
    for name, g in job.first.gradients.items():
        assert job.error(name, np.full(np.shape(g), 0x7F800001, np.uint32).view("f")) > 1


def test_a_missing_statement_is_put_in(tmp_path):
    handwriting = BY_NAME["min_char_rnn"]
    text, _ = changed(handwriting.text, "dy[targets[t]] -= 1", "pass")
    _, function, _, inputs = made(handwriting, text, tmp_path / "min_char_rnn.py")
    patch = search.search(Job(Adapter(loss_as_layer(function), inputs), [function])).patches[0]
    assert (patch.old, patch.new.strip()) == ("", "dy[targets[t]] -= 1")


@pytest.mark.parametrize(("right", "wrong"), [
    ("self.back.backward(dy[..., 3:][:, ::-1])[:, ::-1]", "self.back.backward(dy[..., 3:][:, ::-1])"),
    ("dx = self.forth.backward(dy[..., :3])", "dx = self.forth.backward(dy[..., :3])[:, ::-1]"),
])  # fmt: skip
def test_steps_in_the_wrong_order_are_turned_round(right, wrong, tmp_path):
    (tmp_path / "both.py").write_text(BOTH_WAYS.replace(right, wrong), encoding="utf-8")
    report = check_layer(load(tmp_path / "both.py", "both").BothWays(), np.random.default_rng(0).normal(size=(2, 3, 2)))
    assert report.verdict == "wrong" and right in report.lines[0].new, str(report)


NARROW = """
import numpy as np

F32, KIND = np.float32, "f4"

def sigma(x):
    return 1 / (1 + np.exp(-x, dtype=F32))

class GatedRNN:
    def __init__(self):
        self.params = [np.ones((3, 4), F32) / 3, np.eye(4, dtype=KIND) / 2]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, xs):
        Wx, Wh = self.params
        self.xs, self.hs = xs, np.zeros((xs.shape[1] + 1, len(xs), 4), KIND)
        for t in range(xs.shape[1]):
            self.hs[t + 1] = sigma(xs[:, t] @ Wx + self.hs[t] @ Wh) - F32(0.3)
        return self.hs[1:].transpose(1, 0, 2)

    def backward(self, dhs):
        Wx, Wh = self.params
        for g in self.grads:
            g[...] = 0
        dxs, dh = np.empty_like(self.xs), 0
        for t in reversed(range(dhs.shape[1])):
            s = self.hs[t + 1] + F32(0.3)
            da = (dhs[:, t] + dh) * s * (1 - s)
            self.grads[0] += self.xs[:, t].T @ da
            self.grads[1] += self.hs[t].T @ da
            dxs[:, t] = da @ Wx.T
            dh = da @ Wh.T
        return dxs
"""


def test_float32_by_another_name_does_not_hide_the_right_line(tmp_path):
    (tmp_path / "narrow.py").write_text(NARROW.replace("(dhs[:, t] + dh) * s * (1", "(dhs[:, t] + dh) * (1"))
    xs = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("f")
    (line,) = check_layer(load(tmp_path / "narrow.py", "narrow").GatedRNN(), xs).lines
    assert line.new is not None and line.old.strip() == "da = (dhs[:, t] + dh) * (1 - s)"
    (tmp_path / "right.py").write_text(NARROW)
    assert check_layer(load(tmp_path / "right.py", "narrow_right").GatedRNN(), xs).verdict == "precision"


# -- an approximation that was meant -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("old", "new", "before", "said"), [
    ("dh = np.clip(dh, -1, 1)", "dh = dh", [], "the clip"),
    ("da = np.round(dh * f, 3)", "da = dh * f", [], "the rounding"),
    ("    dh = np.zeros_like(dh)", "", ["if t % 20 == 0:", "    dh = np.zeros_like(dh)"],
     "the cut of the backpropagation through time"),
    ("if t % k == 0: dh = 0", "pass", ["if t % k == 0: dh = 0"], "the cut of the backpropagation through time"),
    ("dh = np.zeros_like(dh)", "", ["for t in steps:", "dh = np.zeros_like(dh)"], ""),
    ("dg = np.clip(dc, 0, 1)", "dg = np.clip(dc * i, 0, 1)", [], ""),
])  # fmt: skip
def test_what_can_have_been_meant_is_said_to_be_an_approximation(old, new, before, said):
    patch = Patch("a.py", len(before) or 1, "f", old, new, "", "\n".join(before))
    line = f"if {said} was meant, the gradient is an approximation, and right as such"
    assert (line in str(patch)) == bool(said) and ("approximation" in str(patch)) == bool(said)
