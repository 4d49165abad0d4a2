"""Autograd against numbers: wrong rules fail at every scale, right code never does."""

from collections import namedtuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Tensor, lstm, nn, scan
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.check import check_gradients
from tinygrad_rnn.check.numeric.derivatives import roundoff
from tinygrad_rnn.check.numeric.richardson import derivative, kink, remainder_order, second_opinion
from tinygrad_rnn.check.report import Row
from tinygrad_rnn.engine.op import OPS, op
from tinygrad_rnn.engine.tensor import value

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


def test_the_worst_element_of_a_large_tensor_is_found():
    @op(name="sin_but_for_one", arguments="x", numpy=[])
    def sin_but_for_one(x):
        return np.sin(x)

    sin_but_for_one.vjp(x=lambda dy, x: dy * np.cos(x) * np.where(np.arange(x.size).reshape(x.shape) == 54321, 1.5, 1))
    try:
        w = rng.standard_normal((300, 400))
        row = check_gradients(sin_but_for_one, w).tensors["dx"]
    finally:
        del OPS["sin_but_for_one"]
    assert row.verdict == "wrong" and row.worst["index"] == (54321 // 400, 54321 % 400)
    assert row.worst["got"] == pytest.approx(1.5 * row.worst["right"], rel=1e-9)


def test_middle_sized_tensors_are_looked_at_one_by_one_if_something_is_off(flipped):
    w = rng.standard_normal((20, 30))
    report = check_gradients(lambda w: tg.where(np.arange(600).reshape(20, 30) == 77, flipped(w), tg.sin(w)), w)
    assert report.verdict == "wrong" and report.tensors["dw"].worst["index"] == (2, 17)


def test_trees_integers_and_several_outputs():
    def f(pair, table, ids):
        return {"a": tg.embedding(table, ids) + pair["x"], "b": [pair["y"] * 2.0]}

    pair = {"x": rng.standard_normal(3), "y": Tensor(rng.standard_normal(2))}
    report = check_gradients(f, pair, rng.standard_normal((4, 3)), np.array([1, 1, 3]))
    assert report.verdict == "right" and list(report.tensors) == ["dpair.x", "dpair.y", "dtable"]


def test_an_input_that_is_not_used_has_gradient_zero():
    report = check_gradients(lambda x, unused: x * x, np.ones(2), np.ones(3))
    assert report.verdict == "right" and report.tensors["dunused"].got == 0


def test_nothing_to_check_is_no_pass():
    report = check_gradients(lambda n: n * 0.5, np.array([1, 2]))
    assert (report.ok, report.verdict) == (False, "unchecked")
    assert report.notes == ["none of the inputs is floating: there is nothing to differentiate by"]
    assert check_gradients(lambda: tg.zeros(3)).verdict == "unchecked"


@pytest.mark.parametrize("f, told", [
    (lambda x: value(x) > 0, r"returned bool \(2,\), should be floating to have a gradient"),
    (lambda x: (np.array([1]), "a"), r"returned int64 \(1,\), str, should be floating"),
    (lambda x: None, "returned NoneType, should be floating"),
    (lambda x: [], "returned nothing, should be floating"),
])  # fmt: skip
def test_an_output_that_is_not_floating_is_refused(f, told):
    with pytest.raises(TypeError, match=f"check_gradients: <lambda> {told}"):
        check_gradients(f, np.ones(2))


def test_what_the_function_raises_is_told():
    def wrong(x, w):
        return x @ w

    with pytest.raises(ValueError, match=r"^check_gradients: wrong raised ShapeError on x \(2, 3\), w \(4, 5\): mat"):
        check_gradients(wrong, np.ones((2, 3)), np.ones((4, 5)))


@pytest.mark.parametrize("order", [0, -1, 1.5, "2"])
def test_an_order_that_is_none_is_refused(order):
    with pytest.raises(ValueError, match=r"order is .*, should be 1, 2 \(gradients of gradients\)"):
        check_gradients(tg.sin, np.ones(2), order=order)


def test_a_function_that_changes_is_refused():
    with pytest.raises(ValueError, match="gives another result when it is called again"):
        check_gradients(lambda x: tg.dropout(x, rate=0.5, rng=rng), np.ones(20))


def test_a_state_that_is_kept_is_refused():
    layer = nn.Recurrent(tg.rnn, D=2, H=3, rng=rng, stateful=True)
    with pytest.raises(ValueError, match="check_gradients: Recurrent gives another result when it is called again"):
        check_gradients(layer, rng.standard_normal((1, 4, 2)))


def test_nan_is_wrong():
    with np.errstate(invalid="ignore", divide="ignore"):
        report = check_gradients(lambda x: tg.sqrt(x) * np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert report.verdict == "wrong"


def test_kinks_of_a_middle_sized_tensor_are_counted():
    w = rng.standard_normal((10, 20))
    w[3, :7] = 0
    report = check_gradients(lambda w: tg.relu(w) * 2.0, w)
    assert (report.verdict, report.tensors["dw"].note) == ("right", "7 at a kink left out")


def test_a_large_tensor_at_a_kink_is_not_failed_and_a_wrong_one_is(flipped):
    w = np.where(rng.uniform(size=(50, 40)) < 0.1, 0.0, rng.standard_normal((50, 40)))
    report = check_gradients(lambda w: tg.relu(w) * 2.0, w)
    assert (report.verdict, report.tensors["dw"].note) == ("right", "at a kink here; right beside it")
    assert check_gradients(lambda w: tg.relu(w) + flipped(w), w).verdict == "wrong"


def test_a_kink_near_by_is_no_mistake():
    x = np.array([1e-4, -1e-5, 0.5, 1.0])
    assert check_gradients(lambda x: tg.abs(x) * x + tg.abs(x), x).ok


# -- every input and parameter by name -------------------------------------------------------------------------------


def leaf(*shape):
    return Tensor(rng.standard_normal(shape), requires_grad=True)


class Net:
    """Parameters of its own, as a layer has them."""

    def __init__(self, wrong):
        self.params = {"W": leaf(3, 2), "b": leaf(2), "idle": leaf(2)}
        self.sin = wrong

    def __call__(self, x):
        return tg.tanh(x @ self.params["W"]) + self.sin(self.params["b"])

    def method(self, x):
        return self(x)


def test_parameters_of_a_layer_are_checked_by_their_names(flipped):
    x, net = rng.standard_normal((4, 3)), Net(tg.sin)
    before = {name: (one, one.numpy(), one.node) for name, one in net.params.items()}
    report = check_gradients(net, x)
    assert report.verdict == "right" and list(report.tensors) == ["dx", "dW", "db"]
    assert list(check_gradients(net.method, x).tensors) == ["dx", "dW", "db"]
    for name, (one, array, node) in before.items():
        assert net.params[name] is one and one.node is node and (one.numpy() == array).all() and one.grad is None
    wrong = check_gradients(Net(flipped), x)
    assert {name: row.verdict for name, row in wrong.tensors.items()} == {"dx": "right", "dW": "right", "db": "wrong"}


def test_parameters_that_are_closed_over_are_checked(flipped):
    W, net, pair, idle = leaf(3, 2), Net(flipped), [leaf(2), leaf(2)], leaf(2)

    def loss(x):
        unused = idle  # noqa: F841
        return (x @ W + pair[1] + net.params["b"]) * flipped(pair[0])

    report = check_gradients(loss, rng.standard_normal((4, 3)))
    assert list(report.tensors) == ["dx", "dW", "dnet.b", "dpair[0]", "dpair[1]"]
    assert [name for name, row in report.tensors.items() if row.verdict == "wrong"] == ["dpair[0]"]
    assert not check_gradients(lambda: flipped(W)).ok and check_gradients(lambda: tg.sin(W)).ok


def test_a_parameter_with_two_names_is_one_and_fields_have_names():
    W, Pair = leaf(2), namedtuple("Pair", "left right")
    tied = [W]
    report = check_gradients(lambda pair: pair.left * W + pair.right * tied[0], Pair(np.ones(2), np.ones(2)))
    assert report.verdict == "right" and list(report.tensors) == ["dpair.left", "dpair.right", "dW"]


def test_a_parameter_without_a_name_is_told():
    hidden = [leaf(2)]
    report = check_gradients(lambda x: x * (lambda: hidden[0])(), np.ones(2))
    assert report.ok and list(report.tensors) == ["dx", "dhidden[0]"] and "not checked" not in str(report)

    class Box:
        inside = leaf(2)

    box = Box()
    report = check_gradients(lambda x: x * box.inside, np.ones(2))
    assert report.notes[-1] == (
        "not checked: the result depends on a parameter that is not among its inputs, one (2,); hand it in"
    )


def test_named_arguments_and_cells_with_inputs(flipped):
    params = lstm.init(np.random.default_rng(1), D=2, H=3, dtype=np.float64)
    given = [rng.standard_normal(shape) for shape in ((4, 2), (4, 3), (4, 3))]
    report = check_gradients(lstm, *given, **params)
    assert report.verdict == "right" and list(report.tensors) == ["dx", "dh", "dc", "dWx", "dWh", "db"]
    report = check_gradients(lambda x, *, more, n: x * flipped(more["a"]) * n, np.ones(2), more={"a": np.ones(2)}, n=2)
    assert {name: row.verdict for name, row in report.tensors.items()} == {"dx": "right", "dmore.a": "wrong"}
    assert check_gradients(lstm, sizes={"N": 2, "D": 1, "H": 1}).tensors["dWx"].shape == (1, 4)


# -- any order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_the_gradient_of_the_gradient_is_right(name):
    report = check_gradients(BUILT_IN[name], order=2, sizes={"N": 2, "D": 2, "H": 3})
    once = list(check_gradients(BUILT_IN[name], sizes={"N": 2, "D": 2, "H": 3}).tensors)
    assert report.verdict == "right" and list(report.tensors) == once + [f"d{one}" for one in once], str(report)


@pytest.fixture
def cut():
    """A sine whose rule is right, and breaks the graph of the gradient."""

    @op(name="cut_sin", arguments="x", numpy=[])
    def cut_sin(x):
        return np.sin(x)

    cut_sin.vjp(x=lambda dy, x: dy * np.cos(value(x)))
    yield cut_sin
    del OPS["cut_sin"]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_rule_that_cannot_be_differentiated_again_is_wrong_in_second_order(cut, scale):
    x = rng.uniform(0.5, 1, 4)
    assert check_gradients(lambda x: cut(x) * scale, x).ok
    report = check_gradients(lambda x: cut(x) * scale, x, order=2)
    assert {name: row.verdict for name, row in report.tensors.items()} == {"dx": "right", "ddx": "wrong"}
    assert check_gradients(lambda x: tg.sin(x) * scale, x, order=3).verdict == "right"


# -- the ladder ------------------------------------------------------------------------------------------------------

PLACES = {
    "smooth": (lambda x: np.sum(np.exp(x)), [0.3, -1.0]),
    "kink": (lambda x: np.sum(np.maximum(x, 0)), [0.0, 1.0]),
    "jump": (lambda x: np.sum(np.where(x > 0, x, x - 1)), [0.0, 1.0]),
    "straight": (lambda x: np.sum(3 * x), [0.3, 1.0]),
    "rounding": (lambda x: np.sum(np.exp(x) + 1e-9 * np.sin(1e17 * x)), [0.3, 1.0]),
}


@pytest.mark.parametrize("kind", PLACES)
def test_a_gap_is_seen_at_a_kink_and_at_a_jump_alone(kind):
    f, x = PLACES[kind]
    xs = [np.array(x)]
    L = lambda xs: f(xs[0])
    noise = 1e-15 if kind != "rounding" else 1e-12  # less than is there: the slope tells it nevertheless
    ladder = kink(L, xs, 0, np.array([1.0, 0.0]), noise)
    assert (ladder.gap > 0) == (kind in ("kink", "jump"))
    assert kind != "kink" or ladder.gap == pytest.approx(1, rel=1e-3)


def test_a_sharp_bend_is_no_kink():
    """At 1e-2 a softplus of 1000 x looks like one."""
    xs, v = [np.array([1e-5, 1.0])], np.array([1.0, 0.0])
    L = lambda xs: np.sum(np.logaddexp(0, 1000 * xs[0]))
    assert kink(L, xs, 0, v, roundoff(L, xs)).gap == 0


@pytest.mark.parametrize("at", [1e-12, 1e-3, 1.0, 1e6, 1e12])
def test_steps_fit_the_magnitude(at):
    for f, df in ((np.log, lambda x: 1 / x), (lambda x: x**3, lambda x: 3 * x**2)):
        xs = [np.array([at, 2 * at])]
        L = lambda xs, f=f: np.sum(f(xs[0]))
        ladder = derivative(L, xs, 0, np.array([1.0, 0.0]), roundoff(L, xs))
        assert ladder.best == pytest.approx(df(at), rel=1e-9)
        assert abs(ladder.best - df(at)) <= ladder.error


def test_extrapolation_makes_a_few_rungs_do():
    xs, L = [np.array([0.5])], lambda xs: np.sum(np.exp(xs[0]))
    ladder = derivative(L, xs, 0, np.array([1.0]), roundoff(L, xs))
    assert len(ladder.steps) <= 5 and ladder.best == pytest.approx(np.exp(0.5), rel=1e-12)


def test_steps_that_are_far_too_long_are_found_out():
    """sin turns many times within a tenth of 1e5: there the first differences agree on nothing but small numbers."""
    xs, L = [np.array([1e5])], lambda xs: np.sum(np.sin(xs[0]))
    ladder = derivative(L, xs, 0, np.array([1.0]), roundoff(L, xs))
    assert ladder.best == pytest.approx(np.cos(1e5), rel=1e-6)


def test_halves_that_agree_by_bad_luck_are_found_out():
    """100 is nearly 32 π: from there all halves down to 2 π see the sine in the same place, up to a factor."""
    xs, L = [np.array([1e3, 1.0])], lambda xs: np.sum(np.abs(np.sin(xs[0])))
    ladder = derivative(L, xs, 0, np.array([1.0, 0.0]), roundoff(L, xs))
    assert ladder.best == pytest.approx(-np.cos(1e3) if np.sin(1e3) < 0 else np.cos(1e3), rel=1e-8)
    x = np.array([1e-5, 1.0, 1e3])
    assert check_gradients(lambda x: tg.abs(tg.sin(x)), x).verdict == "right"


@pytest.mark.parametrize("near", [1e-2, 1e-5, 1e-8])
def test_a_kink_near_by_does_not_spoil_the_difference(near):
    xs, L = [np.array([near, 1.0])], lambda xs: np.sum(np.abs(xs[0]) * (1 + xs[0]))
    ladder = derivative(L, xs, 0, np.array([1.0, 0.0]), roundoff(L, xs))
    assert ladder.best == pytest.approx(1 + 2 * near, rel=1e-6)


def test_the_rounding_of_float32_is_measured():
    x = rng.uniform(0.5, 1, 30)
    exact, rough = (lambda xs: float(np.sum(np.sin(xs[0])))), (lambda xs: float(np.sum(np.sin(xs[0].astype("f")))))
    assert roundoff(exact, [x]) < 1e-13 and 1e-8 < roundoff(rough, [x]) < 1e-5


def test_a_wrong_rule_at_an_element_beside_kinks_is_not_left_out(flipped):
    x = np.array([0.0, 0.0, 0.7, 0.0])
    assert check_gradients(lambda x: tg.relu(x) + tg.sin(x), x).tensors["dx"].note == "3 at a kink left out"
    report = check_gradients(lambda x: tg.relu(x) + tg.where(x > 0.5, flipped(x), tg.sin(x)), x)
    assert report.verdict == "wrong" and report.tensors["dx"].worst["index"] == (2,)


def test_a_kink_excuses_no_more_than_its_own_size(flipped):
    x, first = np.array([0.0, 0.5]), np.array([True, False])
    report = check_gradients(lambda x: 1e-3 * tg.relu(x) + tg.where(first, flipped(x), tg.sin(x)), x)
    assert report.verdict == "wrong" and report.tensors["dx"].worst["index"] == (0,)


def test_kinks_that_cancel_are_kinks():
    """Either slope of each is right; the slopes of the sum change by nothing at all."""
    w = np.array([1.0, -1.0, 0.25])
    report = check_gradients(lambda x: tg.sum(tg.relu(x * w) * np.array([1.0, -1.2, 0.1])) + x, np.array([0.0]))
    assert report.ok, str(report)


def test_where_every_element_is_at_a_kink_a_wrong_rule_is_not_passed():
    @op(name="flat_relu", arguments="x", numpy=[])
    def flat_relu(x):
        return np.maximum(x, 0)

    flat_relu.vjp(x=lambda dy: dy * 0.3)
    try:
        assert check_gradients(flat_relu, np.zeros(3)).verdict == "unchecked"
        assert check_gradients(flat_relu, np.array([0.0, 1.0])).verdict == "wrong"
    finally:
        del OPS["flat_relu"]
    assert check_gradients(tg.relu, np.zeros(3)).verdict == "right"


def test_a_buffer_that_drops_a_small_part_blames_nobody():
    """The imaginary part of one element is lost: too little for the probe to see, and the gradient is right."""
    x = np.array([1.0, 2.0, 3.0, 1.0])
    part = np.array([0, 0, 0, 1e-6])
    report = check_gradients(lambda x: x * x + tg.abs(x) * part, x)
    assert report.verdict == "right"


def test_a_function_that_insists_on_float32():
    def strict(x):
        assert x.dtype == np.float32, "float32 only"
        return tg.sin(x)

    x = rng.uniform(0.1, 1, 6).astype(np.float32)
    assert check_gradients(strict, x).ok


def test_where_the_function_is_no_number_nothing_is_told():
    with np.errstate(all="ignore"):
        report = check_gradients(lambda x: tg.log(x), np.array([-1.0, 1.0]))
    assert report.verdict == "unchecked" and report.tensors["dx"].note.startswith("no numbers")


@pytest.mark.parametrize("scale", [1e-13, 1e-15, 1e-17])
def test_what_the_complex_step_misses_and_rounding_hides_blames_nobody(scale):
    for seed in range(5):
        x = np.random.default_rng(seed).uniform(0.5, 1, 5)
        assert check_gradients(lambda x: 1.0 + scale * tg.abs(x), x).verdict != "wrong"


# -- the Taylor test -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("off", [-1.0, 0.5, 1.001])
def test_the_remainder_falls_as_the_square_only_for_the_right_gradient(scale, off):
    x, v = rng.standard_normal(5), rng.standard_normal(5)
    L = lambda xs: scale * np.sum(np.exp(xs[0]))
    slope, noise = scale * float(np.exp(x) @ v), roundoff(L, [x])
    assert remainder_order(L, [x], 0, v, slope, noise) == pytest.approx(2, abs=0.05)
    assert remainder_order(L, [x], 0, v, off * slope, noise) == pytest.approx(1, abs=0.05)


def test_a_straight_line_leaves_no_remainder():
    L = lambda xs: 3 * np.sum(xs[0])
    assert remainder_order(L, [np.ones(3)], 0, np.ones(3), 9.0, 1e-15) is None


def test_the_taylor_test_agrees_and_a_disagreement_is_told(flipped):
    x = rng.uniform(0.1, 1, 6)
    assert check_gradients(tg.sin, x).notes == ["the Taylor test agrees: remainders fall as h^2.00 (dx)"]
    notes = check_gradients(lambda x, y: tg.sin(x) + flipped(y), x, x).notes
    assert notes == ["the Taylor test agrees: remainders fall as h^2.00 (dx), as h^1.00 (dy)"]
    rows = [Row("dx", "right"), Row("dy", "wrong"), Row("dz", "right")]
    assert second_opinion(rows, [1.0, 2.0, 2.0]) == [
        "the Taylor test disagrees: the remainder of dx falls as h^1.00, but its verdict is 'right'",
        "the Taylor test disagrees: the remainder of dy falls as h^2.00, but its verdict is 'wrong'",
    ]
    report = check_gradients(tg.abs, np.array([0.0, 1.0]))  # 0, where both slopes are 1
    assert report.notes == [] and report.tensors["dx"].note == "at a kink, where a gradient is one of several"
    assert second_opinion([Row("dx", "unchecked"), Row("dy", "right")], [1.0, None]) == []
