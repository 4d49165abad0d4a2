"""Autograd against numbers: wrong rules fail at every scale, right code never does."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Tensor, lstm, scan
from tinygrad_rnn.cells import BUILT_IN
from tinygrad_rnn.check import check_gradients
from tinygrad_rnn.op import OPS, op

rng = np.random.default_rng(0)


@pytest.fixture
def flipped():
    """A sine whose gradient rule has the wrong sign."""

    @op(name="flipped_sin", arguments="x", numpy=[])
    def flipped_sin(x):
        return np.sin(x)

    flipped_sin.vjp(x=lambda dy, x: -dy * np.cos(x))
    yield flipped_sin
    del OPS["flipped_sin"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e-8, 1.0, 1e12])
def test_a_flipped_sign_fails_and_the_right_rule_passes_at_any_scale(flipped, scale, dtype):
    x = rng.uniform(0.1, 1, 6).astype(dtype)
    scale = dtype(scale)
    report = check_gradients(lambda x: flipped(x) * scale, x)
    assert (report.verdict, report.first_wrong) == ("wrong", "dx")
    assert report.tensors["dx"].rel_error == pytest.approx(2)
    assert check_gradients(lambda x: tg.sin(x) * scale, x).ok


def test_a_small_gradient_beside_a_large_value(flipped):
    assert not check_gradients(lambda x: 1.0 + 1e-12 * flipped(x), rng.uniform(0.1, 1, 6)).ok
    assert check_gradients(lambda x: 1.0 + 1e-12 * tg.sin(x), rng.uniform(0.1, 1, 6)).ok


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_cell_is_right(name):
    report = check_gradients(BUILT_IN[name])
    assert report.verdict == "right"
    assert max(row.rel_error for row in report.tensors.values()) < 1e-12


@pytest.mark.parametrize("T", [3, 100])
def test_right_float32_code_is_not_failed(T):
    params = lstm.init(rng, D=2, H=3)
    names = list(params)

    def loss(xs, *given):
        return scan(lstm, xs, None, dict(zip(names, given, strict=True)))[0]

    xs = rng.standard_normal((1, T, 2)).astype(np.float32)
    report = check_gradients(loss, xs, *params.values())
    assert report.ok, str(report)


def test_a_gradient_that_is_zero_but_for_rounding_is_not_failed():
    report = check_gradients(lambda x: tg.softmax(x).sum(), rng.standard_normal((3, 4)))
    assert report.ok, str(report)


def test_elements_at_a_kink_are_left_out_and_counted():
    report = check_gradients(lambda x: tg.relu(x) * 2.0, np.array([-1.0, 0.0, 1.0]))
    assert report.ok and report.tensors["dx"].note == "1 at a kink left out"


def test_what_the_complex_step_does_not_see_is_left_to_differences(flipped):
    x = rng.uniform(0.5, 1, 5)
    assert check_gradients(lambda x: tg.abs(-x) * x, x).ok
    assert not check_gradients(lambda x: tg.abs(-x) * flipped(x), x).ok
    assert check_gradients(lambda x: tg.sort(x) * np.arange(5.0), x).ok


def test_a_real_buffer_inside_is_noticed():
    def buffered(x):
        h = tg.zeros((3, 2), dtype=np.float64)
        for t in range(3):
            h[t] = x * float(t + 1)
        return h * h

    assert check_gradients(buffered, np.array([0.5, 2.0])).ok


def test_large_tensors_are_looked_at_along_directions(flipped):
    w = rng.standard_normal((50, 40))
    assert check_gradients(lambda w: tg.sin(w), w).ok
    report = check_gradients(lambda w: tg.where(np.arange(2000).reshape(50, 40) < 200, flipped(w), tg.sin(w)), w)
    assert report.verdict == "wrong" and report.tensors["dw"].shape == (50, 40)


def test_trees_integers_and_several_outputs():
    def f(pair, table, ids):
        return {"a": tg.embedding(table, ids) + pair["x"], "b": [pair["y"] * 2.0]}

    pair = {"x": rng.standard_normal(3), "y": Tensor(rng.standard_normal(2))}
    report = check_gradients(f, pair, rng.standard_normal((4, 3)), np.array([1, 1, 3]))
    assert report.verdict == "right" and list(report.tensors) == ["dpair[0]", "dpair[1]", "dtable"]


def test_an_input_that_is_not_used_has_gradient_zero():
    report = check_gradients(lambda x, unused: x * x, np.ones(2), np.ones(3))
    assert report.verdict == "right" and report.tensors["dunused"].got == 0


def test_nothing_to_check_is_no_pass():
    report = check_gradients(lambda n: n, np.array([1, 2]))
    assert (report.ok, report.verdict) == (False, "unchecked")


def test_a_function_that_changes_is_refused():
    with pytest.raises(ValueError, match="f gives another result when it is called again"):
        check_gradients(lambda x: tg.dropout(x, rate=0.5, rng=rng), np.ones(20))


def test_nan_is_wrong():
    with np.errstate(invalid="ignore", divide="ignore"):
        report = check_gradients(lambda x: tg.sqrt(x) * np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert report.verdict == "wrong"


def test_a_large_tensor_at_a_kink_is_not_failed_and_a_wrong_one_is(flipped):
    w = np.where(rng.uniform(size=(30, 20)) < 0.1, 0.0, rng.standard_normal((30, 20)))
    report = check_gradients(lambda w: tg.relu(w) * 2.0, w)
    assert (report.verdict, report.tensors["dw"].note) == ("right", "at a kink here; right beside it")
    assert check_gradients(lambda w: tg.relu(w) + flipped(w), w).verdict == "wrong"


def test_a_kink_near_by_is_no_mistake():
    x = np.array([1e-4, -1e-5, 0.5, 1.0])
    assert check_gradients(lambda x: tg.abs(x) * x + tg.abs(x), x).ok
