"""What a diagnosis writes is Python in the names of the cell: read back, it gives the numbers that it speaks of."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.user_cells import CELLS
from tinygrad_rnn import Param, cell, sigmoid, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.check import check_backward
from tinygrad_rnn.check.diagnose.as_python import added, code, enclosed
from tinygrad_rnn.check.diagnose.cases import case_of_cell
from tinygrad_rnn.check.numeric.inputs import by_name
from tinygrad_rnn.engine.graph import fitted
from tinygrad_rnn.engine.op import OPS
from tinygrad_rnn.formula import Constant, Expr, Leaf
from tinygrad_rnn.formula.numpy_printer import FORMS
from tinygrad_rnn.tracing.sample import sample

WRAPPED = [tg.zoneout(tg.lstm, h=0.1, c=0.5), tg.residual(tg.rnn), tg.projected(tg.lstm)]
PLACES = ("", "getitem", "assign")  # what is given, and what is told by its places
#: These choose by a parameter, which no line says.
CHOOSING = ("functions", "kinks")
EVERY = [one for one in [*BUILT_IN.values(), *WRAPPED, *CELLS] if one.name not in CHOOSING]
NAME = re.compile(r"[A-Za-z_]\w*(?:\.[a-z]\b(?!\())?'*")
FUNCTIONS = {**{name: getattr(np, name) for name in dir(np)}, **{name: op.function for name, op in OPS.items()}}


def case(one, seed=0):
    """A step on random arguments, as it is checked."""
    rng, sizes = np.random.default_rng(seed), {"N": 3, "D": 7, "H": 11}
    given = sample(one, rng, {**sizes, "D": 11} if "residual" in one.name or one.name == "same" else sizes)
    return case_of_cell(one, by_name(one), given, rng, False)


def read(told, names):
    """What a text comes to."""

    def name(match):
        known = match[0] in names and not told[: match.start()].endswith(".")
        return f"_[{match[0]!r}]" if known else match[0]

    return eval(NAME.sub(name, told), {**FUNCTIONS, "_": names})


def named(words):
    """The values that have a name of their own, by it."""
    found = {}
    for number in range(len(words.tape.values)):
        label = words.label(number)
        if NAME.fullmatch(label):
            found.setdefault(label, words.tape.arrays[number])
    return found


def untrue(one):
    """The lines that are not so, and how many were read: what goes back from each operation to each operand."""
    words, rng = case(one).words, np.random.default_rng(1)
    tape, names, found, count = words.tape, named(words), [], 0
    for number, k, rule, kept, node in [(n, k, *rest) for n, ways in tape.ways.items() for k, _, *rest in ways]:
        told = words.part_of("dy", number, k)
        if "..." in told or tape.values[number].op in PLACES:
            continue
        dy, count = rng.standard_normal(tape.arrays[number].shape), count + 1
        right = fitted(np.asarray(rule(dy, *kept)), node)
        got = read(told, {**names, "dy": dy})
        found += [] if np.allclose(*np.broadcast_arrays(got, right), rtol=1e-9, atol=1e-12) else [told]
    return found, count


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
def test_what_goes_back_is_told_as_it_is(one):
    found, count = untrue(one)
    assert found == [] and count >= 3


@pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
def test_a_value_is_told_as_it_is(one):
    words = case(one).words
    names, tape = named(words), words.tape
    for number in tape.nodes:
        told = words.expression(number)
        if "..." not in told and tape.values[number].op not in PLACES:
            np.testing.assert_allclose(read(told, names), tape.arrays[number], rtol=1e-12)


@pytest.mark.parametrize(("form", "style"), [
    ("reduction", lambda w, node, parts: parts[0]),
    ("square", lambda w, node, parts: parts[0]),
    ("negative", lambda w, node, parts: parts[0]),
])  # fmt: skip
def test_a_line_that_is_not_so_is_noticed(form, style, monkeypatch):
    monkeypatch.setitem(FORMS, form, style)
    assert any(untrue(one)[0] for one in (tg.peephole_lstm, tg.gru))


@cell
def mixed(x, h, *, W=Param("D H"), U=Param("H H"), p=Param("H")):
    z = sigmoid(x @ W + p * h)
    g = tanh(h @ U)
    h = (1 - z) * h + z * g
    return h


def by_hand(mistake, x, h, *, W, U, p, dh):
    z, g = 1 / (1 + np.exp(-(x @ W + p * h))), np.tanh(h @ U)
    dz = dh * g - dh * (z if mistake == "dz" else h)
    dA = dz * z * (1 - z)
    dp = (dA if mistake == "dp" else dA * h).sum(axis=0)
    dG = dh * z * (1 - g**2)
    return {"dz": dz, "dW": x.T @ dA, "dp": dp, "dU": h.T @ dG, "dx": dA @ W.T, "dh": dh * (1 - z) + dA * p + dG @ U.T}


@pytest.mark.parametrize(("mistake", "said"), [
    ("dp", "dp = dA_z.sum(axis=0)   ->   dp = (dA_z * h).sum(axis=0)"),  # not dA_z.sum(axis=0) * h
    ("dz", "dz += -(dh' * z)   ->   dz += -(dh' * h)"),  # the gradient by z, and not by the 1 of 1 - z
])  # fmt: skip
def test_the_line_to_change(mistake, said):
    def backward(*args, **more):
        return by_hand(mistake, *args, **more)

    assert said in [one.text for one in check_backward(mixed, backward).diagnoses]


a, b = Leaf("a", (3, 4)), Leaf("b", (3, 4))


@pytest.mark.parametrize(("part", "said"), [
    (Expr("multiply", (a, b)), "dh' * (r * h)"),
    (Expr("tanh", (b,)), "tanh(r * h)"),
    (Expr("sum", (b,), {"axis": 0}), "(r * h).sum(axis=0)"),
    (Expr("softmax", (a,), {"axis": -1}), "softmax(dh')"),  # the usual axis
    (Expr("softmax", (a,), {"axis": 0}), "softmax(dh', axis=0)"),
    (Expr("add", (a, Constant(1e-5))), "dh' + 1e-05"),
    (Expr("where", (Constant(np.eye(3)), a, b)), "where(a constant, dh', r * h)"),
    (Expr("getitem", (a,), {"index": (slice(None), slice(2, 4))}, (3, 2)), "dh'[:, 2:]"),
    (Expr("getitem", (b,), {"index": Leaf("ids")}, (3, 4)), "(r * h)[ids]"),  # no formula: as in a textbook
], ids=str)  # fmt: skip
def test_the_text(part, said):
    assert code(part, {"a": "dh'", "b": "r * h"}) == said


@pytest.mark.parametrize("told", ["c'", "Wx.f", "tanh(r * h)", "x[:, 1:3]", "1e-05", "(a + b)", "d(a + b)"])
def test_what_needs_no_parentheses(told):
    assert enclosed(told) == told


@pytest.mark.parametrize("told", ["r * h", "-h", "h**2", "x.T @ dA", "tanh(a) + b"])
def test_what_needs_parentheses(told):
    assert enclosed(told) == f"({told})"


def test_summands():
    assert added(["dh' * g", "-(dh' * h)", "dc @ W.T"]) == "dh' * g - (dh' * h) + dc @ W.T"


def test_a_summand_is_not_stretched_and_a_factor_is():
    words = case(tg.layer_norm_lstm).words
    means = [n for n, one in enumerate(words.tape.values) if one.op == "mean" and words.operand(n, 0) == "x @ Wx"]
    assert words.summand(means[0], 0) == "(-d(x @ Wx - mean(...)).sum(axis=1, keepdims=True)) / 44"
    assert words.part(means[0], 0) == f"broadcast_to({words.summand(means[0], 0)}, (3, 44))"


def test_what_is_too_long_is_told_by_what_it_is_made_of():
    words = case(tg.layer_norm_lstm).words
    told = {words.label(n): None for n, one in enumerate(words.tape.values) if one.op in ("sqrt", "divide", "add")}
    assert "sqrt(mean(...) + 1e-05)" in told and "subtract(...) / sqrt(...)" in told
