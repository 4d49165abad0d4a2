"""What a line should hold is said in the user's names, in each handwriting, and it is true."""

import numpy as np
import pytest

from helpers.handwritings.jobs import ALL, job_of
from helpers.handwritings.table import BY_NAME, changed
from tinygrad_rnn import check_backward, check_loss, lstm
from tinygrad_rnn.check.debugger.holds import should_hold
from tinygrad_rnn.check.debugger.patch import Patch

THROUGH = "the part of the gradient by {} that comes through {}"
#: By handwriting: lines of the right file, and what they hold.
HOLDS = {
    "book_rnn": {"dt = dh_next * (1 - h_next ** 2)": "the gradient by t",
                 "dh_prev = np.dot(dt, Wh.T)": "the gradient by h_prev",
                 "dx, dh = layer.backward(dhs[:, t, :] + dh)": "the gradient by self.h"},
    "book_lstm": {"df *= f * (1 - f)": "the gradient by f, before the sigmoid",
                  "di = ds * g": "the gradient by i",
                  "dg *= (1 - g ** 2)": "the gradient by g, before the tanh",
                  "dA = np.hstack((df, dg, di, do))": "the gradient by A",
                  "dc_prev = ds * f": "the gradient by c_prev"},
    "book_gru": {"dhr = np.dot(dt, Whh.T)": "the gradient by r * h_prev",
                 "dWhh = np.dot((r * h_prev).T, dt)": THROUGH.format("Whh", "np.dot(r * h_prev, Whh)")},
    "cs231n_rnn": {"db += db_t": "the gradient by b", "dtanh = dnext_h * (1 - next_h**2)":
                   "the gradient by next_h, before the tanh"},
    "cs231n_lstm": {"dai = di * i * (1 - i)": "the gradient by i, before the sigmoid"},
    "min_char_rnn": {"dh = np.dot(Why.T, dy) + dhnext": "the gradient by hs[t]",
                     "dy[targets[t]] -= 1": "the gradient by ys[t]",
                     "dhnext = np.dot(Whh.T, dhraw)": THROUGH.format("hs[t - 1]", "np.dot(Whh, hs[t - 1])")},
    "min_char_lstm": {"do = dsigmoid(o_s[t]) * do": "the gradient by o_s[t], before the sigmoid"},
    "concat_lstm": {"dg = dc * s['i']": "the gradient by g"},
    "local_lstm": {"dA[:, t, 2*H:3*H] = dc * s['g'] * dsig(s['i'])": "the gradient by gates['i'], before the sig"},
    "pair_gru": {"daz = dz * z * (1 - z)": "the gradient by x @ Wz + h @ Uz"},
    "attribute_rnn": {"carry = da @ self.Wh.T": THROUGH.format("self.h[:, t]", "self.h[:, t] @ self.Wh")},
    "column_gru": {"drh = p['Uh'].T @ dahc": "the gradient by r * h_prev", "dahc = dhc * (1 - hc * hc)":
                   "the gradient by hc, before the tanh"},
    "stepwise_gru": {"d_rh = d_gates[:, 2*H:] @ Wn.T": "the gradient by rh"},
    "batch_last_lstm": {"dc = dc + dh * o * (1 - tc**2)": "the gradient by cs[:, :, t + 1]"},
    "vector_lstm": {"gc = back_c + gh * og * (1 - tanh_c ** 2)": "the gradient by c[t + 1]"},
}  # fmt: skip


@pytest.mark.parametrize("name", HOLDS)
def test_a_right_line_holds_the_gradient_that_is_said(name, tmp_path):
    handwriting = ALL[name]
    job = job_of(handwriting, handwriting.text, tmp_path / f"{name}.py")
    for text, words in HOLDS[name].items():
        _, line = changed(handwriting.text, text, text)
        unit = next(k for k, unit in enumerate(job.units) if unit.node.lineno <= line <= unit.node.end_lineno)
        assert should_hold(job, Patch("", line, "", "", text, "", "", unit=unit)) == words


def test_what_is_no_gradient_has_no_name(tmp_path):
    """Twice the gradient by i, and a value of the forward."""
    handwriting = BY_NAME["book_lstm"]
    for k, text in enumerate(("di = ds * (g + g)", "di = g + 0 * ds")):
        changed_text, line = changed(handwriting.text, "di = ds * g", text)
        job = job_of(handwriting, changed_text, tmp_path / f"twice{k}.py")
        unit = next(k for k, unit in enumerate(job.units) if unit.node.lineno <= line <= unit.node.end_lineno)
        assert should_hold(job, Patch("", line, "", "", text, "", "", unit=unit)) == ""


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step_back(x, h, c, *, Wx, Wh, b, dh, dc):
    f, g, i, o = np.split(x @ Wx + h @ Wh + b, 4, axis=1)
    f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
    tanh_c = np.tanh(f * c + g * i)
    s = dc + dh * o * (1 - tanh_c)
    dA = np.hstack([s * c * f * (1 - f), s * i * (1 - g**2), s * g * i * (1 - i), dh * tanh_c * o * (1 - o)])
    return {"dx": dA @ Wx.T, "dWx": x.T @ dA, "dWh": h.T @ dA, "db": dA.sum(axis=0), "dh": dA @ Wh.T, "dc": s * f}


def test_of_a_cell_the_names_are_the_cells():
    report = check_backward(lstm, step_back, sizes={"N": 2, "D": 2, "H": 3})
    assert report.lines[0].holds == "the gradient by c'"
    assert "\n    it should hold the gradient by c'\n" in str(report)


def bent(x, w):
    y = x * w
    dy = np.cosh(3 * y) + 0.1 * y**3
    return np.sum(y**2 * np.sin(y)), dy * w, dy * x


def test_a_line_without_a_patch_says_it_too():
    report = check_loss(bent, np.arange(1.0, 9) / 4, np.arange(2.0, 10) / 5)
    (line,) = report.lines
    assert (line.new, line.holds) == (None, "the gradient by y")
    assert "    it should hold the gradient by y, an array (8,): " in line.text
