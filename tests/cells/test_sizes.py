"""Sizes: sums and numbers in a `Param`, equal sizes that the equations demand, and the same sizes in every tool."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import assert_gradients, refusal
from tinygrad_rnn import Param, cell
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.cells.probe import choose, probe
from tinygrad_rnn.cells.sizes import Axis, infer, length, parsed, solve
from tinygrad_rnn.exercise.worksheet import Exercise


@cell
def joint(x, h, c, *, W=Param("D + H H", "fgio"), b=Param("H", "fgio")):
    """The LSTM with a single matrix for x and h side by side."""
    xh = tg.concatenate([x, h], axis=-1)
    c = tg.sigmoid(xh @ W.f + b.f) * c + tg.sigmoid(xh @ W.i + b.i) * tg.tanh(xh @ W.g + b.g)
    h = tg.sigmoid(xh @ W.o + b.o) * tg.tanh(c)
    return h, c


@cell
def leaky(x, h, *, Wx=Param("D H"), Wh=Param("H H"), b=Param("1"), rate=Param("", init=0.5)):
    return (1 - rate) * h + rate * tg.tanh(x @ Wx + h @ Wh + b)


@cell
def gated(x, h, *, W=Param("D 2*H"), U=Param("H 2*H"), b=Param("2*H")):
    u, v = tg.split(x @ W + h @ U + b, 2)
    return u * tg.sigmoid(v)


@cell
def adds(x, h, *, W=Param("H H")):
    return tg.tanh(h @ W) + x


@cell
def rows_of_p(x, h, *, W=Param("P H"), U=Param("H H")):
    return tg.tanh(x @ W + h @ U)


SUMS = [joint, leaky, gated, adds, rows_of_p, tg.projected(joint), tg.residual(tg.zoneout(tg.projected(joint), h=0.1)),
        tg.residual(gated), tg.variational_dropout(gated, x=0.2, h=0.2)]  # fmt: skip


def ids(cell):
    return cell.name


# -- words ------------------------------------------------------------------------------------------------------------


def test_a_word_is_a_sum():
    assert (parsed("D+2*H+3+H").counts, parsed("D+2*H+3+H").number) == ({"D": 1, "H": 3}, 3)
    assert length("D+2*H+3", {"D": 5, "H": 7}) == 22
    assert Param("D + H  2 * H").words == ("D+H", "2*H")
    assert [f"{Param(words, blocks)}" for words, blocks in [("D H", "fg"), ("D+H H+1", "fg"), ("1", ""), ("", "")]] == [
        "(D, 2H)", "(D+H, 2(H+1))", "(1,)", "()"]  # fmt: skip
    assert Param("D+H H+1", "fg").shape({"D": 3, "H": 5}) == (8, 12)
    assert Param("").shape({}) == ()


def test_a_word_tells_the_letter_that_is_open():
    sizes = {"D": 3}
    assert infer("D+2*H+1", 14, sizes) == "H" and sizes["H"] == 5
    for word, number in [("D+H", 8), ("P+Q", 8), ("2*P", 7), ("P+9", 8)]:
        assert infer(word, number, dict(sizes)) == ""


def test_sizes_are_solved_in_any_order():
    axes = [Axis("D+H", 8, "W", (8, 10), "(D+H, 2*H)"), Axis("2*H", 10, "W", (8, 10), "(D+H, 2*H)")]
    assert solve("f", axes) == solve("f", axes[::-1]) == {"H": 5, "D": 3}


# -- parameters -------------------------------------------------------------------------------------------------------


def test_the_joint_lstm_is_the_lstm():
    rng = np.random.default_rng(0)
    params = joint.init(rng, dtype=np.float64, D=3, H=5)
    assert {name: p.shape for name, p in params.items()} == {"W": (8, 20), "b": (20,)}
    assert joint.sizes(params) == {"H": 5, "D": 3}
    blocks = np.split(params["W"].numpy(), 4, axis=1)
    split = {"Wx": np.hstack([block[:3] for block in blocks]), "Wh": np.hstack([block[3:] for block in blocks])}
    x, h, c = (rng.standard_normal(shape) for shape in [(2, 3), (2, 5), (2, 5)])
    for ours, theirs in zip(joint(x, h, c, **params), tg.lstm(x, h, c, **split, b=params["b"])):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-14)


@pytest.mark.parametrize("cell", [leaky, gated], ids=ids)
def test_gradients_of_scalars_and_of_double_widths(cell):
    rng = np.random.default_rng(0)
    params = {name: p.numpy() for name, p in cell.init(rng, dtype=np.float64, D=3, H=5).items()}
    assert params.get("rate", np.zeros(())).shape == () and params["b"].shape in [(1,), (10,)]

    def loss(xs, h, params):
        hs, _ = tg.scan(cell, xs, (h,), params)
        return (hs * hs).sum()

    assert_gradients(loss, (rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 5)), params))


SHAPES = {
    "a sum": (joint, "W", (9, 20), "ShapeError: joint: x is (2, 3), should be (N, D) with D = 4 as in W"),
    "a sum of one": (joint, "W", (4, 20), "ShapeError: joint: W is (4, 20), should be (D+H, 4H) with H = 5"),
    "a number": (leaky, "b", (5,), "ShapeError: leaky: b is (5,), should be (1,)"),
    "a scalar": (leaky, "rate", (1,), "ShapeError: leaky: rate is (1,), should be ()"),
    "an odd width": (gated, "W", (3, 9), "ShapeError: gated: W is (3, 9), should be (D, 2*H) with H = 5"),
    "another width": (gated, "b", (12,), "ShapeError: gated: b is (12,), should be (2*H,) with H = 5"),
}


@pytest.mark.parametrize(("cell", "name", "shape", "text"), SHAPES.values(), ids=SHAPES)
def test_shapes_that_contradict_the_words(cell, name, shape, text):
    params = {**cell.init(0, D=3, H=5), name: np.ones(shape, "f")}
    state = [np.zeros((2, 5), "f") for _ in cell.states]
    assert refusal(cell, np.ones((2, 3), "f"), *state, **params) == text


def test_the_input_tells_what_a_sum_leaves_open():
    @cell
    def mixes(x, h, *, W=Param("D+H 1")):
        return h * (tg.concatenate([x, h], axis=-1) @ W)

    W = np.ones((8, 1))
    assert mixes.sizes({"W": W}) == {}
    assert mixes.check(np.ones((2, 3)), [np.ones((2, 5))], {"W": W}) == {"N": 2, "D": 3, "H": 5}
    text = "ShapeError: mixes: W is (8, 1), should be (D+H, 1) with D = 3, H = 4"
    assert refusal(mixes, np.ones((2, 3)), np.ones((2, 4)), W=W) == text


# -- equal sizes ------------------------------------------------------------------------------------------------------


def test_equal_sizes_are_found():
    assert probe(adds).links == {"D": "H"} == probe(tg.residual(tg.gru)).links
    assert probe(rows_of_p).links == {"D": "P"}
    assert [probe(cell).links for cell in [*BUILT_IN.values(), joint, leaky, gated]] == [{}] * (len(BUILT_IN) + 3)
    assert choose(adds, {}) == {"N": 1, "D": 5, "H": 5} and choose(adds, {"D": 4}) == {"N": 1, "D": 4, "H": 4}
    assert choose(tg.lstm, {}) == {"N": 1, "D": 3, "H": 5}


def test_a_probe_leaves_no_trace(capsys):
    calls = []

    @cell
    def noisy(x, h, *, W=Param("D H"), rng=np.random.default_rng(0)):
        calls.append(x.shape)
        print("here")
        return tg.tanh(x @ W) + rng.standard_normal(h.shape)

    rng = noisy.config["rng"]
    before = rng.bit_generator.state
    with tg.no_grad(), tg.trace_nans():
        noisy.init(0, D=3, H=4)
        noisy.init(0, D=3, H=4)
    assert len(calls) == 1 and capsys.readouterr().out == "" and rng.bit_generator.state == before


@pytest.mark.parametrize("cell", SUMS, ids=ids)
def test_every_tool_takes_the_cell(cell):
    """All tools that choose sizes choose those that the cell accepts."""
    assert tg.draw(cell, backward=True).form("json")
    assert tg.gradient_flow(cell, steps=3).layers
    assert tg.check_gradients(cell).ok
    backward = tg.derive(cell, loop=True).functions
    assert any(name.endswith("_bptt") for name in backward)
    assert Exercise(cell).blanks


def test_check_backward_chooses_equal_sizes():
    def backward(x, h, *, W, dh):
        dA = dh * (1 - np.tanh(h @ W) ** 2)
        return {"dW": h.T @ dA, "dx": dh, "dh": dA @ W.T}

    tg.check_backward(adds, backward).assert_ok()
    report = tg.check_backward(adds, lambda x, h, *, W, dh: {**backward(x, h, W=W, dh=dh), "dx": 2 * dh})
    assert (report.verdict, report.first_wrong) == ("wrong", "dx")


def test_layers_and_models_take_the_cell():
    layer = tg.nn.Recurrent(adds, D=4, H=4, rng=np.random.default_rng(0))
    assert layer(np.ones((2, 3, 4), "f"))[0].shape == (2, 3, 4)
    assert tg.nn.Recurrent(adds, H=4, rng=np.random.default_rng(0)).W.shape == (4, 4)
    assert tg.nn.Recurrent(tg.residual(tg.rnn), D=4, rng=np.random.default_rng(0)).Wh.shape == (4, 4)

    @cell
    def over(x, h, *, W=Param("D D")):
        return h + x @ W

    assert tg.scan(over, np.ones((2, 3, 4)), None, over.init(0, dtype=np.float64, D=4))[0].shape == (2, 3, 4)


DIFFERENT = "adds: D = 3, H = 5, should be D = H for its equations"


def test_sizes_that_the_equations_refuse():
    assert refusal(adds.init, 0, D=3, H=5) == f"ShapeError: {DIFFERENT}"
    assert refusal(tg.draw, adds, D=3, H=5) == f"ShapeError: {DIFFERENT}"
    assert refusal(tg.gradient_flow, adds, D=3, H=5) == f"ShapeError: {DIFFERENT}"
    text = "InvalidType: adds: P is not a size of this cell, which are N, D, H"
    assert refusal(tg.draw, adds, P=3) == text


def test_sizes_that_no_letter_tells():
    @cell
    def halves(x, h, *, W=Param("D K"), U=Param("H H")):
        return tg.tanh((x @ W)[:, ::2] + h @ U)

    text = ("ShapeError: halves: no sizes were found that its equations accept (add: x (2, 4) and w (2, 5) do not "
            "broadcast: axis -1 is 4 and 5); its Params should declare them, as in 'D 2*H', or the call give "
            "D, H, K")  # fmt: skip
    for tool in (tg.draw, tg.derive, tg.gradient_flow, tg.check_gradients):
        assert refusal(tool, halves) == text
    assert tg.gradient_flow(halves, steps=2, D=3, H=2, K=4).layers and tg.draw(halves, D=3, H=2, K=4).form("json")


def test_an_axis_that_is_split():
    @cell
    def heads(x, h, *, W=Param("D H"), U=Param("H H")):
        a, b = tg.split(h @ U, 2)
        return tg.tanh(x @ W + tg.concatenate([b, a], axis=-1))

    assert probe(heads).scale == 2 and choose(heads, {}) == {"N": 1, "D": 6, "H": 10}
    assert tg.gradient_flow(heads, steps=2).layers and tg.check_gradients(heads).ok
    text = "DeriveError: heads: splits an axis into 2 parts, should declare it in its sizes, such as '2*H'"
    assert refusal(tg.derive, heads) == text


def test_masks_of_a_sum_are_refused():
    text = "InvalidType: variational_dropout(joint): joint has no matrix with D rows, which x would go through"
    assert refusal(tg.variational_dropout, joint, x=0.1) == text


def test_an_error_of_the_user_is_not_taken_for_sizes():
    @cell
    def raises(x, h, *, W=Param("D H")):
        raise ValueError("mine")

    assert (probe(raises).links, probe(raises).error) == ({}, None)
    assert refusal(tg.draw, raises) == "ValueError: mine"


def test_what_a_cell_remembers_of_its_arguments_depends_on_all_their_shapes():
    params = tg.rnn.init(np.random.default_rng(0), D=3, H=4)
    x, h = np.ones((2, 3), np.float32), np.zeros((2, 4), np.float32)
    first = tg.rnn.check(x, (h,), params)
    first["H"] = 5  # a copy
    assert tg.rnn.check(x, (h,), params) == {"D": 3, "H": 4, "N": 2}
    assert tg.rnn.check(x[:1], (h[:1],), params)["N"] == 1
    for wrong in ((x[:, :2], (h,)), (x, (h[:, :3],)), (x, (h[:1],)), (x, (h, h))):
        with pytest.raises(tg.Error, match=r"^rnn: "):
            tg.rnn.check(*wrong, params)
    with pytest.raises(tg.Error, match=r"^rnn: missing parameter b$"):
        tg.rnn.check(x, (h,), {name: array for name, array in params.items() if name != "b"})
