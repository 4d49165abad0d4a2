"""What a report says beside the numbers: smallest case, evidence, ways, blocks; and all of it as JSON."""

import json

import numpy as np
import pytest

from helpers import bptt_references
from helpers.bptt_by_hand import lstm_in_the_loop
from helpers.bptt_references import finals_only
from helpers.layers_by_hand import Affine, Layer
from helpers.mutants import Mutant
from tinygrad_rnn import draw, lstm
from tinygrad_rnn.check import check_backward, check_layer
from tinygrad_rnn.check.report import VERDICTS, Diagnosis, Report, Row, row
from tinygrad_rnn.cli.demo_backward import lstm_backward
from tinygrad_rnn.errors import CheckError

FEW = {"N": 3, "T": 4, "D": 2, "H": 5}
DO, DB = ("do = dh * tanh_c", "do = -dh * tanh_c"), ("db += dA.sum(axis=0)", "db += dA.mean(axis=0)")
OUTSIDE = ("do = dh * tanh_c", "do = dh * np.sin(c_new) ** 3 * np.cos(c_new)")  # nobody writes that


def wrong(*edits, finals=False):
    """The report on the handwriting "lstm in the loop" with other text in some places."""
    backward = Mutant("lstm in the loop", edits).function()
    return check_backward(lstm, finals_only(backward, lstm) if finals else backward, sizes=FEW)


# -- the smallest case -----------------------------------------------------------------------------------------------

#: Of a mistake: the smallest case that shows it, and what all that do have in common.
SEEN = {
    "always": (("dxs[:, t] = dA", "dxs[:, t] = -dA"), {"N": 1, "T": 1, "still": True}, "in every case"),
    "rows": (DB, {"N": 2, "T": 1, "still": True}, "only with N > 1: a sum over the batch"),
    "steps": (("dWx += x.T", "dWx = x.T"), {"N": 1, "T": 2, "still": True}, "only with T > 1: what is carried"),
    "states": (("dWh += h.T", "dWh += (1 + (t < 1)) * h.T"), {"N": 1, "T": 1, "still": False},
               "only with states that are not zero: a factor of the state"),
    "states or steps": (("dWh += h.T", "dWh += 2 * h.T"), {"N": 1, "T": 1, "still": False},
                        "only with states that are not zero, or with T > 1"),
    "rows or steps": (("db += dA.sum(axis=0)", "db = dA.mean(axis=0)"), {"N": 2, "T": 1, "still": True},
                      "only with N > 1, or with T > 1"),
    "rows and steps": (("db += dA.sum(axis=0)", "db += dA[: 1 if t else None].sum(axis=0)"),
                       {"N": 2, "T": 2, "still": True}, "only with N > 1"),
    "three steps": (("dWx += x.T", "dWx += (t < 2) * x.T"), {}, "only larger cases fail than 2 rows and 2 steps"),
}  # fmt: skip


def measured(backward, N, T, still):
    """Is a backward wrong on a case? By numbers that the report has no part in."""
    arrays, params, dys = bptt_references.case(lstm, seed=7, N=N, T=T, D=2, H=5)
    arrays = [arrays[0], *(0 * one if still else one for one in arrays[1:])]
    right = bptt_references.autograd(lstm, arrays, params, dys)
    found = backward(*arrays, **params, **{name: dy.copy() for name, dy in dys.items()})
    return any(np.abs(found[name] - g).max() > 1e-6 for name, g in right.items())


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("name", SEEN)
def test_the_smallest_case_fails_and_no_smaller_one_does(name):
    edit, smallest, evidence = SEEN[name]
    backward, report = Mutant("lstm in the loop", (edit,)).function(), wrong(edit, finals=True)
    assert (report.smallest, report.evidence[: len(evidence)]) == (smallest, evidence)
    if smallest:
        assert measured(backward, **smallest)
    for less in ({"N": 1}, {"T": 1}, {"still": True}):
        one = {**smallest, **less} if smallest else {"N": 2, "T": 2, "still": False}
        assert one == smallest or not measured(backward, **one)


def test_a_case_in_which_every_gradient_is_zero_shows_nothing():
    """The mask leaves nothing of the first row: that it is right there is no evidence."""
    class Masked(Layer):
        def forward(self, x):
            self.mask = np.arange(len(x))[:, None] > 0
            return x * self.mask

        def backward(self, dy):
            return -dy * self.mask

    report = check_layer(Masked(), np.ones((3, 2)))
    assert report.smallest == {"N": 2} and report.evidence.startswith("in every case")


class Steps(Layer):
    """h_t = tanh(x_t W + h_{t-1} U) over time along the first axis; ``wrong`` leaves out what is carried."""

    def __init__(self, wrong=True, dtype="d"):
        super().__init__(W=(3, 2), U=(2, 2))
        self.wrong, self.dtype = wrong, dtype

    def forward(self, xs):
        self.xs, self.hs = xs, [np.zeros((xs.shape[1], 2))]
        for x in xs:
            self.hs.append(np.tanh(x @ self.W + self.hs[-1] @ self.U).astype(self.dtype))
        return np.stack(self.hs[1:])

    def backward(self, dhs):
        dxs, dh, dW, dU = np.zeros_like(self.xs), 0, 0, 0
        for t in reversed(range(len(dhs))):
            da = (dhs[t] + dh) * (1 - self.hs[t + 1] ** 2)
            dxs[t], dh = da @ self.W.T, 0 if self.wrong else da @ self.U.T
            dW, dU = dW + self.xs[t].T @ da, dU + self.hs[t].T @ da * (1 if self.wrong else 2)
        self.put(dW, dU)
        return dxs


@pytest.mark.parametrize(("wrong", "dtype"), [(True, "d"), (False, "d"), (False, "f")])
def test_time_may_be_the_first_axis_and_rounding_is_no_failure(wrong, dtype):
    """Without a carry, or with twice the gradient by U, only T > 1 fails; in float32 too."""
    xs = np.random.default_rng(0).standard_normal((4, 3, 3))
    report = check_layer(Steps(wrong, dtype), xs)
    assert report.smallest == {"N": 1, "T": 2} and report.evidence.startswith("only with T > 1"), str(report)


def test_it_is_said():
    text = str(wrong(DB, finals=True))
    assert "\nsmallest case that fails: N = 2, T = 1, states zero\n" in text
    assert "\nit fails only with N > 1: a sum over the batch, or rows that are mixed\n" in text


# -- ways ------------------------------------------------------------------------------------------------------------


def test_the_wrong_edge_can_be_drawn(searched):
    report = wrong(DO)
    assert report.guilty == [report.diagnoses[0].way] == [("o", "h'")]
    assert draw(lstm, mark=report.guilty, legend=False).source.count("class=marked") == 1
    assert "\nmistake: " in str(report)


def test_a_mistake_without_a_line_has_a_place_only():
    report = wrong(OUTSIDE)
    assert (report.first_wrong, report.diagnoses, report.searched) == ("do", [], True)
    assert "no line was found whose change makes all gradients right; the first wrong one is named above" in str(report)
    others = [one for one in report.tensors.values() if one.verdict == "wrong" and one.name != "do"]
    assert others and all(one.consequence for one in others)
    assert f"these follow from it: {', '.join(one.name for one in others)}" in str(report)


def test_the_blocks_of_a_stacked_gradient_are_told():
    report = wrong(("di * i * (1 - i)", "-di * i * (1 - i)"))
    assert {name: one.verdict for name, one in report.tensors["dA"].blocks.items()} == {
        "dA.f": "wrong", "dA.g": "wrong", "dA.i": "wrong", "dA.o": "wrong"}  # fmt: skip
    report = check_backward(lstm, lambda *a, **k: _last_block(lstm_backward(*a, **k)))
    assert [name for name, one in report.tensors["dWh"].blocks.items() if one.verdict == "wrong"] == ["dWh.o"]


def _last_block(found):
    dWh = found["dWh"].copy()
    dWh[:, -11:] = 0
    return {**found, "dWh": dWh}


# -- as data ---------------------------------------------------------------------------------------------------------


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("made", [
    lambda: check_backward(lstm, lstm_in_the_loop, sizes=FEW), lambda: wrong(DO), lambda: wrong(DO, DB, finals=True),
    lambda: check_layer(Affine(), np.ones((2, 4))),
    lambda: check_backward(lstm, lambda *a, **k: {**lstm_backward(*a, **k), "db": None, "dc": a[2] * np.nan}),
], ids=["right", "one", "two", "a layer", "None and NaN"])  # fmt: skip
def test_all_of_it_is_json(made):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    report = made()
    data = json.loads(report.to_json(), parse_constant=refuse)
    fields = ("ok", "verdict", "first_wrong", "smallest", "evidence", "notes", "title")
    assert {name: data[name] for name in fields} == {name: getattr(report, name) for name in fields}
    assert list(data["tensors"]) == list(report.tensors)
    assert [(one["kind"], one["tensor"], one["text"], one["group"], one["way"]) for one in data["diagnoses"]] == [
        (one.kind, one.tensor, one.text, one.group, one.way and list(one.way)) for one in report.diagnoses
    ]
    for name, one in report.tensors.items():
        assert list(data["tensors"][name]["blocks"]) == list(one.blocks)
        assert data["tensors"][name]["shape"] == list(one.shape)


def test_a_report_is_as_bad_as_its_worst_row_that_counts():
    for k, verdict in enumerate(VERDICTS):
        rows = {one: Row(one, one) for one in VERDICTS[: k + 1]}
        assert Report("", rows).verdict == verdict and Report("", rows).ok is (k < 2)
    assert Report("").verdict == "unchecked"
    assert Report("", {"dx": Row("dx", "right"), "dq": Row("dq", "wrong", counts=False)}).verdict == "right"


def test_a_broken_promise_makes_it_wrong_and_no_number_does():
    report = Report("", {"dx": Row("dx", "right")}, [Diagnosis("protocol: modified", "x", "x: is modified", 0.0)])
    assert (report.verdict, report.first_wrong, report.guilty) == ("wrong", None, [])
    with pytest.raises(CheckError, match="protocol: x: is modified"):
        report.assert_ok()


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_a_row_tells_norms_angle_and_the_worst_element(scale):
    got, right = scale * np.array([[3.0, 0.0], [0.0, -4.0]]), scale * np.array([[3.0, 0.0], [0.0, 4.0]])
    one = row("dx", "wrong", got, right)
    assert one.worst == {"index": (1, 1), "got": got[1, 1], "right": right[1, 1]}
    assert [one.rel_error, one.cosine, one.ratio, one.got / scale, one.right / scale] == pytest.approx(
        [8 / 5, (9 - 16) / 25, 1, 5, 5]
    )
