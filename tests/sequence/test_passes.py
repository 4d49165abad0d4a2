"""Each pass of the plan alone, on a small program: what it changes, and that the values stay equal."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.sequence.plan import rules
from tinygrad_rnn.sequence.plan.adjoint import CARRIED, KNOWN, STATIC, Adjoint, leaf_classes
from tinygrad_rnn.sequence.plan.bulk import BulkBuffers
from tinygrad_rnn.sequence.plan.merge import merge
from tinygrad_rnn.sequence.plan.program import Program
from tinygrad_rnn.sequence.plan.reach import reached
from tinygrad_rnn.sequence.plan.regroup import regrouped
from tinygrad_rnn.sequence.plan.schedule import schedule

rng = np.random.default_rng(0)
N, D, H = 2, 3, 4


def program():
    """x (N, D), h (N, H), W (D, 2H), U (H, 2H), b (2H,)"""
    p, shapes = Program(), {"x": (N, D), "h": (N, H), "W": (D, 2 * H), "U": (H, 2 * H), "b": (2 * H,)}
    kinds = {"x": "input", "h": "state"}
    return p, {name: p.leaf(kinds.get(name, "parameter"), name, rng.standard_normal(shape))
               for name, shape in shapes.items()}  # fmt: skip


def block(p, number, k):
    return p.add("getitem", (number,), {"index": (..., slice(k * H, (k + 1) * H))})


def ops(p, roots):
    return [statement.op for statement in p.used(roots).values()]


def array(p, number):
    return np.asarray(p.values[number].array)


def test_common_subexpressions_are_a_single_statement():
    p, at = program()
    first, again = p.add("matmul", (at["x"], at["W"])), p.add("matmul", (at["x"], at["W"]))
    assert first == again
    assert p.add("tanh", (first,)) != p.add("sigmoid", (first,))
    assert p.leaf("constant", "", 2.0) == p.leaf("constant", "", 2.0) != p.leaf("constant", "", 2)


def test_merge_joins_the_blocks_of_a_stacked_parameter():
    p, at = program()
    gates = [p.add("tanh", (p.add("add", (p.add("matmul", (at["x"], block(p, at["W"], k))), block(p, at["b"], k))),))
             for k in (0, 1)]  # fmt: skip
    out = p.add("multiply", gates)
    new, numbers = merge(p, [out])
    counts = [[ops(*pair).count(op) for op in ("matmul", "add", "tanh", "multiply")]
              for pair in ((p, [out]), (new, [numbers[out]]))]  # fmt: skip
    assert counts == [[2, 2, 2, 1], [1, 1, 1, 1]]
    np.testing.assert_allclose(array(new, numbers[out]), array(p, out), rtol=1e-14)
    assert [text.partition(" of ")[0] for text in new.merged] == ["matmul", "add", "tanh"]


@pytest.mark.parametrize("other", ["another operand", "not a neighbour", "another function"])
def test_merge_leaves_what_does_not_fit(other):
    p, at = program()
    first = p.add("tanh", (block(p, at["b"], 0),))
    if other == "another operand":
        second = p.add("tanh", (block(p, p.add("exp", (at["b"],)), 1),))
    elif other == "not a neighbour":
        second = p.add("tanh", (p.add("getitem", (at["b"],), {"index": (..., slice(H + 1, 2 * H))}),))
    else:
        second = p.add("exp", (block(p, at["b"], 1),))
    new, numbers = merge(p, [first, second])
    assert ops(new, [numbers[first], numbers[second]]) == ops(p, [first, second])


def test_regroup_separates_what_is_carried():
    """((x W + h U) + b) - h U c  ->  one sum of known terms; products of h with known coefficients."""
    p, at = program()
    xW, hU = p.add("matmul", (at["x"], at["W"])), p.add("matmul", (at["h"], at["U"]))
    out = p.add("add", (p.add("add", (xW, hU)), at["b"]))
    new, numbers = regrouped(p, leaf_classes(p), [out])
    total = new.statements[numbers[out]]
    assert total.op == "add"
    known = next(arg for arg in total.args if new.statements[arg].op == "add")
    assert [new.statements[arg].op for arg in new.statements[known].args if arg in new.statements] == ["matmul"]
    np.testing.assert_allclose(array(new, numbers[out]), array(p, out), rtol=1e-14)


def test_regroup_keeps_a_difference_of_carried_values():
    p, at = program()
    f = p.add("sigmoid", (block(p, at["b"], 0),))
    out = p.add(
        "subtract", (p.add("multiply", (at["h"], f)), p.add("multiply", (at["h"], p.leaf("constant", "", 2.0))))
    )
    new, numbers = regrouped(p, leaf_classes(p), [out])
    assert ops(new, [numbers[out]]).count("multiply") == 1  # h * (f - 2)
    np.testing.assert_allclose(array(new, numbers[out]), array(p, out), rtol=1e-14)


def test_schedule_hoists_and_sinks():
    p, at = program()
    gate = p.add("sigmoid", (block(p, at["b"], 0),))
    known = p.add("matmul", (at["x"], block(p, at["W"], 0)))
    new_h = p.add("tanh", (p.add("add", (known, p.add("multiply", (at["h"], gate)))),))
    output = p.add("exp", (new_h,))
    plan = schedule(p, leaf_classes(p), [new_h], [output])
    place = {p.statements[out].op: name for out, name in plan.place.items()}
    assert place == {"getitem": "once", "sigmoid": "once", "matmul": "before", "multiply": "loop", "add": "loop",
                     "tanh": "loop", "exp": "after"}  # fmt: skip
    assert list(plan.histories) == [new_h]  # exp reads it at all steps
    assert [plan.of_class[number] for number in (gate, known, new_h)] == [STATIC, KNOWN, CARRIED]


def test_the_gradient_of_a_weight_is_summed_after_the_loop():
    p, at = program()
    new_h = p.add("tanh", (p.add("matmul", (at["h"], block(p, at["U"], 0))),))
    adjoint = Adjoint(p, new_h, [at["h"]], [new_h], [at["U"]]).result
    statement = p.statements[adjoint.of[at["U"]]]
    assert "time_sum" in [statement.op, *ops(p, [statement.out])]
    dh, g = array(p, adjoint.incoming) + array(p, adjoint.carried[0]), 1 - array(p, new_h) ** 2
    np.testing.assert_allclose(array(p, adjoint.before[0]), (dh * g) @ array(p, at["U"])[:, :H].T, rtol=1e-12)


@pytest.mark.parametrize("shape", [(), (3, 4), (700, 300), (2, 90_000)])
def test_a_formula_that_gives_other_numbers_than_its_rule_is_seen(shape):
    truth = rng.standard_normal(shape)
    assert rules._same(truth * (1 + 1e-14), truth)
    for wrong in (truth * (1 + 1e-8), -truth, truth[..., None], np.full(shape, np.nan)):
        assert not rules._same(wrong, truth)


def test_a_formula_serves_all_statements_on_such_shapes():
    p, at = program()
    squares = [p.add("tanh", (p.add("multiply", (at[name], at[name])),)) for name in ("x", "x", "h")]
    for number in squares:
        rules.pulled(p, p.statements[number], 0, p.leaf("cotangent", "", np.ones(p.shape(number))))
    assert [key[2][0] for key in p.formulas] == [(N, D), (N, H)]


@pytest.mark.parametrize("holds", [True, False])
def test_the_formula_of_small_arrays_is_taken_if_it_holds_for_large_ones(holds, monkeypatch):
    p, at = program()
    W, derivative, shapes = at["W"], rules.local_derivative, []

    def of_some_operand(spec, k, args, attrs):
        shapes.append(args[0].shape)
        return derivative(spec, k if holds or args[0].shape == p.shape(W) else 0, args, attrs)

    monkeypatch.setattr(rules, "COMPARED", 1)
    monkeypatch.setattr(rules, "local_derivative", of_some_operand)
    dy = p.leaf("cotangent", "", np.ones(p.shape(W)))
    number = rules.pulled(p, p.statements[p.add("subtract", (W, W))], 1, dy)
    assert shapes == ([(2, 3)] if holds else [(2, 3), p.shape(W)])
    assert p.statements[number].op == "negative"
    np.testing.assert_array_equal(array(p, number), -1)


def test_bulk_statements_write_over_operands_that_die():
    p, at = program()
    known = p.add("matmul", (at["x"], block(p, at["W"], 0)))
    first = p.add("exp", (known,))
    second = p.add("multiply", (first, first))
    last = p.add("add", (second, known))
    plan = schedule(p, leaf_classes(p), [], [last])
    assert BulkBuffers(plan, [last]).over == {second: first, last: second}
    assert BulkBuffers(plan, [last, first]).over == {last: second}  # first is saved


def test_bulk_statements_spare_the_memory_of_views():
    p, at = program()
    known = p.add("exp", (at["x"],))
    view = p.add("getitem", (known,), {"index": (..., slice(0, 2))})
    double = p.add("multiply", (known, known))
    last = p.add("add", (p.add("getitem", (double,), {"index": (..., slice(0, 2))}), view))
    plan = schedule(p, leaf_classes(p), [], [last])
    assert BulkBuffers(plan, [last]).over == {}


def test_what_is_reached_after_some_steps():
    """h' = c, c' = h: after an odd number of steps they have changed places."""
    step = {"": {"x": None}, "h": {"c": None}, "c": {"h": None}}
    for T, states in ((1, [["c"], ["h"]]), (2, [["h"], ["c"]]), (100_001, [["c"], ["h"]])):
        outputs, *last = map(list, reached(step, ["x", "h", "c"], T))
        assert (outputs, last) == (["x"], states)
    assert reached(step, ["h"], 1) == [{}, {}, {"h": None}]


def test_explain_names_what_each_pass_has_done():
    text = tg.plan(tg.gru, N=2, D=3, H=4).explain(measure=True)
    for line in ("merged: matmul of Wx.z, Wx.r, Wx.h", "merged: sigmoid of z, r", "xWx = x @ Wx    (2, 3) @ (3, 12)",
                 "with checkpoint=k: ", "32 for every k-th step", "measured: ", "of a large product"):  # fmt: skip
        assert line in text, line
    assert tg.plan(tg.gru, N=2, D=3, H=4).explain() == tg.plan(tg.gru, N=2, D=3, H=4).explain()
