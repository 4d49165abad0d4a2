"""A hand-derived backward: the right one passes, every planted mistake is caught, and what is said of it is so."""

import inspect
import json

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, cell, lstm, sigmoid, tanh
from tinygrad_rnn.check import check_backward
from tinygrad_rnn.cli import demo_backward
from tinygrad_rnn.cli.demo_backward import lstm_backward
from tinygrad_rnn.engine.op import OPS, op
from tinygrad_rnn.errors import CheckError

SOURCE = inspect.getsource(lstm_backward)

SMALL = {"N": 2, "D": 2, "H": 3}
#: What is wrong: the right line, the wrong one, the first wrong gradient.
MUTANTS = {
    "do: sign": ("do = dh * tanh_c", "do = -dh * tanh_c", "do"),
    "dc': dc ignored": ("dc + dh * o", "dh * o", "dc'"),
    "dc': h ignored": ("dc + dh * o * (1 - tanh_c**2)", "dc", "dc'"),
    "dc': minus": ("dc + dh * o", "dc - dh * o", "dc'"),
    "dc': no derivative of tanh": (" * (1 - tanh_c**2)", "", "dc'"),
    "dc': derivative at c": ("1 - tanh_c**2", "1 - (f * c + g * i)**2", "dc'"),
    "dc': derivative at tanh c": ("1 - tanh_c**2", "1 - np.tanh(tanh_c)**2", "dc'"),
    "dc': activation again": ("(1 - tanh_c**2)", "np.tanh(tanh_c)", "dc'"),
    "dc': activation for derivative": ("(1 - tanh_c**2)", "tanh_c", "dc'"),
    "do: c for tanh c": ("dh * tanh_c", "dh * (f * c + g * i)", "do"),
    "df: new memory": ("df = dc_new * c", "df = dc_new * (f * c + g * i)", "df"),
    "df: twice": ("df = dc_new * c", "df = 2 * dc_new * c", "df"),
    "dg: as di": ("dg = dc_new * i", "dg = dc_new * g", "dg"),
    "di: half": ("di = dc_new * g", "di = dc_new * g / 2", "di"),
    "dA: sign of f": ("df * f * (1 - f)", "-df * f * (1 - f)", "dA"),
    "dA: 1 + g": ("1 - g**2", "1 + g**2", "dA"),
    "dA: f and i swapped": ("[df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i)",
                            "[di * i * (1 - i), dg * (1 - g**2), df * f * (1 - f)", "dA"),
    "dA: o forgotten": ("do * o * (1 - o)]", "0 * do]", "dA"),
    "dWx: mean": ("x.T @ dA", "x.T @ dA / len(x)", "dWx"),
    "dWx: sign": ("x.T @ dA", "-x.T @ dA", "dWx"),
    "dWh: transposed": ("h.T @ dA", "dA.T @ h", "dWh"),
    "dWh: from new h": ("h.T @ dA", "(o * tanh_c).T @ dA", "dWh"),
    "db: mean": ("dA.sum(axis=0)", "dA.mean(axis=0)", "db"),
    "db: zero": ("dA.sum(axis=0)", "0 * b", "db"),
    "db: not summed": ("dA.sum(axis=0)", "dA", "db"),
    "db: first row": ("dA.sum(axis=0)", "dA[0]", "db"),
    "dx: twice": ("dA @ Wx.T", "2 * dA @ Wx.T", "dx"),
    "dh: sign": ("dA @ Wh.T", "-dA @ Wh.T", "dh"),
    "dh: plus incoming": ("dA @ Wh.T", "dA @ Wh.T + dh", "dh"),
    "dc: i for f": ("dc_new * f,", "dc_new * i,", "dc"),
    "dc: no f": ("dc_new * f,", "dc_new,", "dc"),
    "dc: NaN": ("dc_new * f,", "dc_new * np.nan,", "dc"),
}  # fmt: skip


def mutant(old, new):
    assert SOURCE.count(old) == 1
    names = dict(vars(demo_backward))
    exec(SOURCE.replace(old, new), names)
    return names["lstm_backward"]


def test_the_right_one_is_right():
    report = check_backward(lstm, lstm_backward)
    assert (report.ok, report.verdict, report.first_wrong, report.diagnoses) == (True, "right", None, [])
    assert list(report.tensors) == ["do", "dc'", "df", "dg", "di", "dA", "dWx", "dWh", "db", "dx", "dh", "dc"]
    assert max(row.rel_error for row in report.tensors.values()) < 1e-14
    report.assert_ok()


@pytest.mark.sampled(every=8, by=lambda **_: [])
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mistake_is_caught_and_its_consequences_are_told(name):
    old, new, first = MUTANTS[name]
    report = check_backward(lstm, mutant(old, new))
    assert (report.ok, report.verdict, report.first_wrong) == (False, "wrong", first)
    others = [row for row in report.tensors.values() if row.verdict == "wrong" and row.name != first]
    assert all(row.consequence for row in others)
    with pytest.raises(CheckError, match="first wrong"):
        report.assert_ok()


@pytest.mark.parametrize("old, new, said", [
    ("do = dh * tanh_c", "do = -dh * tanh_c", "local variable do, from line 13 on, is never the gradient by o"),
    ("dA.sum(axis=0)", "-dA.sum(axis=0)", "so no line of it is named: run it from a file"),
])  # fmt: skip
def test_without_source_the_first_wrong_local_variable_is_named(old, new, said):
    """``dA`` is right in the last: the mistake is in no variable."""
    assert [note.endswith(said) for note in check_backward(lstm, mutant(old, new), sizes=SMALL).notes] == [True]


def test_two_mistakes_are_told_apart_from_their_consequences():
    wrong = mutant("do = dh * tanh_c", "do = -dh * tanh_c")
    report = check_backward(lstm, lambda *a, **k: {**(r := wrong(*a, **k)), "db": r["db"] / 2})
    assert [(one.kind, one.tensor) for one in report.diagnoses] == [("sign", "do"), ("factor", "db")]
    assert report.tensors["dWx"].consequence and not report.tensors["db"].consequence


def test_the_order_of_the_dict_does_not_hide_the_cause():
    wrong = mutant("do = dh * tanh_c", "do = -dh * tanh_c")
    assert check_backward(lstm, lambda *a, **k: dict(reversed(wrong(*a, **k).items()))).first_wrong == "do"


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_a_sign_is_seen_at_any_scale(scale):
    def forward(x):
        return scale * tg.sin(x)

    x = np.linspace(0.1, 1, 5)
    assert check_backward(forward, lambda x, dy: {"dx": scale * dy * np.cos(x)}, x).ok
    assert check_backward(forward, lambda x, dy: {"dx": -scale * dy * np.cos(x)}, x).verdict == "wrong"


def test_what_is_not_returned_is_unchecked_and_no_pass():
    report = check_backward(lstm, lambda *a, **k: {"dx": lstm_backward(*a, **k)["dx"]})
    assert (report.ok, report.verdict, report.tensors["dWx"].note) == (False, "unchecked", "not returned")
    assert check_backward(lstm, lambda *a, **k: {}).verdict == "unchecked"


def test_an_unknown_name_is_told_and_does_not_count():
    report = check_backward(lstm, lambda *a, **k: {**lstm_backward(*a, **k), "dtanh": 1.0})
    assert report.ok and "no such value; there are dx, dh, dc" in report.tensors["dtanh"].note


def test_none_and_wrong_shapes_are_wrong():
    report = check_backward(lstm, lambda *a, **k: {**lstm_backward(*a, **k), "db": None, "dc": np.ones(3)})
    assert report.first_wrong == "db" and report.tensors["dc"].note == "is (3,), should be (3, 11)"


def test_a_backward_that_gives_no_dict_is_refused():
    with pytest.raises(TypeError, match=r"returned 2 gradients, should be a dict such as {'dx': \.\.\., 'dh': \.\.\.,"):
        check_backward(lstm, lambda *a, **k: [1, 2])


def test_a_function_with_local_variables():
    def forward(x, w):
        a = x @ w
        return sigmoid(a), tanh(a)

    def backward(x, w, dy0, dy1):
        s, t = 1 / (1 + np.exp(-x @ w)), np.tanh(x @ w)
        da = dy0 * s * (1 - s) + sign * dy1 * (1 - t * t)
        return {"da": da, "dx": da @ w.T, "dw": x.T @ da}

    x, w = np.random.default_rng(0).standard_normal((2, 4, 4))
    sign = 1
    assert check_backward(forward, backward, x, w).verdict == "right"
    sign = -1
    report = check_backward(forward, backward, x, w)
    assert report.first_wrong == "da" and report.tensors["dx"].consequence


def test_float32_inside_is_precision():
    def rounded(*args, **params):
        return lstm_backward(*[x.astype("f") for x in args], **{k: x.astype("f") for k, x in params.items()})

    report = check_backward(lstm, rounded)
    assert (report.ok, report.verdict) == (True, "precision")


def test_the_users_arrays_are_not_touched():
    x = np.ones((2, 3))

    def backward(x, dy):
        x *= 0
        return {"dx": 2 * dy}

    report = check_backward(lambda x: 2 * x, backward, x)
    assert (x == 1).all() and report.tensors["dx"].verdict == "right"
    assert ("protocol: modified", "x") in [(one.kind, one.tensor) for one in report.diagnoses] and not report.ok


def _drawn(x, dy):
    return {"dx": 2 * dy * (1 + 1e-6 * np.random.default_rng().standard_normal())}


def _overwrites(x, dy):
    dx = 2 * dy
    dy *= 0
    return {"dx": dx}


PROMISES = {
    "draws": (_drawn, "protocol: again", "dx"),
    "writes dy": (_overwrites, "protocol: modified", "dy that comes in"),
    "constant": (lambda x, dy: {"dx": 2 * dy + 1e-3}, "protocol: zero", "dx"),
    "clips": (lambda x, dy: {"dx": np.clip(2 * dy, -9, 9)}, "protocol: linear", "dx"),
    "mixes": (lambda x, dy: {"dx": 2 * dy - dy.mean(axis=0)}, "protocol: batch", "dx"),
}


@pytest.mark.parametrize("name", PROMISES)
def test_a_broken_promise_is_told(name):
    backward, kind, tensor = PROMISES[name]
    report = check_backward(lambda x: 2 * x, backward, np.random.default_rng(0).standard_normal((3, 4)))
    assert (kind, tensor) in [(one.kind, one.tensor) for one in report.diagnoses] and report.verdict == "wrong"


def test_an_upstream_overwritten_before_its_second_use():
    wrong = mutant("do = dh * tanh_c", "dh *= tanh_c; do = dh")
    report = check_backward(lstm, wrong)
    assert report.first_wrong == "dc'"
    assert ("protocol: modified", "dh that comes in") in [(one.kind, one.tensor) for one in report.diagnoses]


def test_a_gradient_that_is_the_upstream_itself_is_right_and_told():
    report = check_backward(lambda x, w: x + w, lambda x, w, dy: {"dx": dy, "dw": dy}, np.ones((2, 3)), np.ones((2, 3)))
    assert report.verdict == "right" and "dx: shares memory with dy that comes in" in report.notes[0]


def test_sizes_of_a_cell():
    report = check_backward(lstm, lstm_backward, sizes={"N": 2, "D": 4, "H": 5})
    assert report.ok and report.tensors["dWx"].shape == (4, 20)
    with pytest.raises(TypeError, match="Q is not a size of this cell"):
        check_backward(lstm, lstm_backward, sizes={"Q": 2})


@pytest.mark.parametrize("size", [3, 1000])
def test_a_wrong_gradient_rule_of_our_own_is_not_blamed_on_the_user(size):
    def backward(x, dy):
        return {"dx": dy * 3 * x * x}

    cube = _wrong_cube()
    try:
        report = check_backward(cube, backward, np.linspace(0.5, 1, size))
        wrong = check_backward(cube, lambda x, dy: {"dx": -dy * 3 * x * x}, np.linspace(0.5, 1, size))
    finally:
        del OPS["wrong_cube"]
    assert report.ok and not wrong.ok and "so a gradient rule is wrong" in report.tensors["dx"].note


def _wrong_cube():
    @op(name="wrong_cube", arguments="x", numpy=[])
    def wrong_cube(x):
        return x * x * x

    wrong_cube.vjp(x=lambda dy, x: -dy * 3 * x * x)
    return wrong_cube


def test_a_users_cell_with_given_inputs():
    @cell
    def leaky(x, h, *, W=Param("D H")):
        h = 0.5 * h + tanh(x @ W)
        return h

    def backward(x, h, *, W, dh):
        da = dh * (1 - np.tanh(x @ W) ** 2)
        return {"dW": x.T @ da, "dx": da @ W.T, "dh": 0.5 * dh}

    assert check_backward(leaky, backward).ok
    r = np.random.default_rng(0).standard_normal
    given = r((2, 3)).astype("f"), r((2, 4)).astype("f")
    assert check_backward(leaky, backward, *given, W=r((3, 4)).astype("f")).verdict == "right"


def test_the_report_is_data():
    report = check_backward(lstm, mutant("dA.sum(axis=0)", "np.nan * b"))
    data = json.loads(report.to_json())
    assert data["first_wrong"] == "db" and data["tensors"]["db"]["rel_error"] is None
    assert data["verdict"] == "wrong" and data["ok"] is False
    report = check_backward(lstm, mutant("dA @ Wh.T", "-dA @ Wh.T"))
    assert report.tensors["dh"].rel_error == pytest.approx(2)
    assert report.tensors["dh"].worst["got"] == pytest.approx(-report.tensors["dh"].worst["right"])
    assert "\nmistake: dh: its sign is flipped\n" in str(report)


def test_an_activation_applied_again_in_a_stack_of_gates(searched):
    def forward(x, W):
        A = x @ W
        g = tanh(A[:, :3])
        y = g * A[:, 3:]
        return y

    def backward(x, W, dy):
        A = x @ W
        g = np.tanh(A[:, :3])
        dA = np.hstack([dy * A[:, 3:] * np.tanh(g), dy * g])
        return {"dA": dA, "dx": dA @ W.T, "dW": x.T @ dA}

    x, W = np.random.default_rng(0).standard_normal((2, 5)), np.random.default_rng(1).standard_normal((5, 6))
    report = check_backward(forward, backward, x, W)
    assert report.first_wrong == "dA"
    assert [line.new.strip() for line in report.lines] == ["dA = np.hstack([dy * A[:, 3:] * (1 - g**2), dy * g])"]


# -- what differs and is no mistake ----------------------------------------------------------------------------------


def _log_softmax(x):
    p = np.exp(x)
    p = p / np.sum(p, axis=1, keepdims=True)
    return -np.sum(np.log(p + 1e-7))


def _without_the_guard(x, dy, sign=1):
    p = np.exp(x)
    p /= p.sum(axis=1, keepdims=True)
    return {"dx": sign * dy * (p * x.shape[1] - 1)}


def test_an_approximation_that_was_meant_is_no_mistake():
    x = 4 * np.random.default_rng(0).standard_normal((3, 5))
    report = check_backward(_log_softmax, _without_the_guard, x)
    assert report.tensors["dx"].rel_error > 1e-4 and report.verdict == "precision"
    assert "without the 1e-07" in report.tensors["dx"].note
    assert check_backward(_log_softmax, lambda x, dy: _without_the_guard(x, dy, -1), x).verdict == "wrong"
    wrong = check_backward(lambda x: np.sum(x * x + 1e-7), lambda x, dy: {"dx": 2.001 * dy * x}, x)
    assert wrong.verdict == "wrong"


def _relu(x, w):
    a = x * w
    return np.maximum(a, 0)


AT_KINKS = np.array([[0.0, 1.0, -1.0], [2.0, 0.0, 3.0]]), np.array([[1.0, 2.0, 1.0], [2.0, 1.5, 3.0]])


def test_another_slope_at_a_kink_is_no_mistake():
    def backward(x, w, dy):
        da = dy * (x * w >= 0)
        return {"da": da, "dx": da * w, "dw": da * x}

    report = check_backward(_relu, backward, *AT_KINKS)
    assert report.verdict == "right" and report.tensors["dx"].note == "2 at a kink left out", str(report)


def test_a_mistake_beside_kinks_is_one():
    report = check_backward(_relu, lambda x, w, dy: {"dx": dy * w, "dw": dy * x}, *AT_KINKS)
    assert report.verdict == "wrong"  # where a is -1, there is no kink

    def far_off(x, w, dy):
        da = dy * (x * w > 0)
        return {"dx": da * w + 9 * (x == 0), "dw": da * x}

    assert check_backward(_relu, far_off, *AT_KINKS).verdict == "wrong"  # only what is between its slopes is excused


# -- functions of other shapes ---------------------------------------------------------------------------------------


def _affine_over_time(xs, W, b):
    y = np.tanh(xs @ W + b)
    return y


def _by_hand(xs, W, b, dy, slope):
    da = dy * slope(np.tanh(xs @ W + b))
    return {"dxs": da @ W.T, "dW": np.einsum("ntd,nth->dh", xs, da), "db": da.sum((0, 1))}


def test_a_mistake_over_three_axes_is_named():
    r = np.random.default_rng(0).standard_normal
    given = r((3, 5, 7)), r((7, 7)), r(7)
    right = check_backward(_affine_over_time, lambda *a: _by_hand(*a, lambda y: 1 - y * y), *given)
    assert right.verdict == "right"
    wrong = check_backward(_affine_over_time, lambda *a: _by_hand(*a, lambda y: y), *given)
    assert wrong.verdict == "wrong" and not wrong.tensors["dxs"].consequence
    odd = check_backward(_affine_over_time, lambda *a: _by_hand(*a, np.sin), *given)
    assert odd.verdict == "wrong" and odd.diagnoses == []


def _attention(q, k, v):
    s = np.exp(q @ np.swapaxes(k, 1, 2))
    p = s / np.sum(s, axis=-1, keepdims=True)
    return p @ v


def test_odd_shapes_are_no_obstacle():
    r = np.random.default_rng(0).standard_normal
    given = [r((2, 3, 4)) for _ in "qkv"]
    report = check_backward(_attention, lambda q, k, v, dy: {"dq": q, "dk": k, "dv": -v}, *given)
    assert report.verdict == "wrong" and [one for one in report.diagnoses if "protocol" not in one.kind] == []

    def back(x, w, dy):
        return {"dx": -dy[:, None] * w, "dw": x.T @ dy}

    vector = check_backward(lambda x, w: x @ w, back, r((3, 7)), r(7))
    assert vector.first_wrong == "dx" and "sign" in [one.kind for one in vector.diagnoses]


def test_the_column_of_numbers_is_measured_and_no_copy_of_autograd():
    """Of a large tensor, numbers are along a few directions: the error of a wrong gradient differs from autograd's."""
    report = check_backward(lstm, mutant("do = dh * tanh_c", "do = dh * np.arctanh(tanh_c)"))
    wrong, right = report.tensors["dWx"], report.tensors["dc"]
    assert wrong.verdict == "wrong" and 0 < abs(wrong.numbers - wrong.autograd) < 0.5 * wrong.autograd
    assert right.verdict == "right" and right.numbers < 1e-9
