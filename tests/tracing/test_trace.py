"""A step under watch: names, numbers and gradients of a recorded computation."""

import gc
import sys
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, Tensor, cell, lstm, tanh
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.engine.context import context
from tinygrad_rnn.engine.graph import newest_first
from tinygrad_rnn.engine.observe import locals_of, observing
from tinygrad_rnn.engine.op import OPS, OpRule
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.formula import evaluate
from tinygrad_rnn.tracing.adjoint import Adjoint
from tinygrad_rnn.tracing.formulas import PRIMES, traced_step
from tinygrad_rnn.tracing.record import record
from tinygrad_rnn.tracing.sample import codes, record_step, sample
from tinygrad_rnn.tracing.trace import pull


def named(trace):
    return {one.name: one for one in trace.values if one.name}


def step(one, **sizes):
    """A step under watch, on random arguments."""
    return record_step(one, sample(one, np.random.default_rng(0), sizes))


def test_values_have_the_names_of_the_users_variables():
    found = named(step(lstm))
    assert list(found) == ["x", "h", "c", "Wx", "Wh", "b", "A", "f", "g", "i", "o", "c'", "h'"]
    assert found["f"].op == "sigmoid"  # a name bound twice is that of the last value
    assert found["c'"].op == "add" and found["c"].kind == "state"


def test_blocks_are_named_by_parameter_and_block():
    found = named(step(tg.gru, N=2, D=3, H=4))
    assert {one.kind for name, one in found.items() if "." in name} == {"block"}
    assert found["Wx.z"].shape == (3, 4)
    assert found["1"].kind == "constant"


def test_a_name_that_the_tensor_has_wins():
    @cell
    def named_inside(x, h, *, W=Param("D H")):
        a = tanh(x @ W)
        a.name = "memory"
        return a + h

    found = named(step(named_inside))
    assert "memory" in found and "a" not in found
    assert found["h'"].op == "add"  # a result without a name is the new state


def test_slices_say_what_they_take():
    assert [one.detail for one in step(lstm, H=2).values if one.op == "getitem"] == [
        "[:, 0:2]", "[:, 2:4]", "[:, 4:6]", "[:, 6:8]"]  # fmt: skip


@pytest.mark.parametrize("name", BUILT_IN)
def test_gradients_are_those_of_backward(name):
    made, rng = BUILT_IN[name], np.random.default_rng(0)
    given = sample(made, rng, {"N": 3, "D": 4, "H": 2})
    recording = record_step(made, given)
    dys = {number: rng.standard_normal(recording.values[number].shape) for number in recording.outputs.values()}
    totals, _ = pull(recording, dys)
    leaves = {key: Tensor(np.array(one), requires_grad=True) for key, one in given.items()}
    order = [made.input, *made.states]
    new = made(*[leaves[key] for key in order], **{k: x for k, x in leaves.items() if k not in order})
    total = sum((dy * y).sum() for dy, y in zip(dys.values(), new if isinstance(new, tuple) else (new,), strict=True))
    total.backward()
    for key, leaf in leaves.items():
        np.testing.assert_allclose(totals[recording.named()[key]], leaf.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", BUILT_IN)
def test_gradients_add_up_where_a_value_branches(name):
    rng = np.random.default_rng(0)
    recording = record_step(BUILT_IN[name], sample(BUILT_IN[name], rng, {"N": 2}))
    dys = {number: rng.standard_normal(recording.values[number].shape) for number in recording.outputs.values()}
    totals, parts = pull(recording, dys)
    for number, total in totals.items():
        ends = [(equation.out, k) for equation, k in recording.readers(number)]
        arriving = sum(parts[end] for end in ends if end in parts)
        np.testing.assert_allclose(arriving + dys.get(number, 0), total, rtol=1e-12, atol=1e-14)


def gradients_by_lines(step, dys):
    """The gradient by every value of a traced step, line by line of its adjoint."""
    values = {f"#{number}": array for number, array in step.arrays.items()}
    values.update({f"in:{state}": dy for state, dy in zip(step.cell.states, dys, strict=True)})
    for number, part in Adjoint(step).lines.items():
        values[f"d#{number}"] = evaluate(part, values)
    return {number: values[f"d#{number}"] for number in Adjoint(step).lines}


ADJOINT_CELLS = [*BUILT_IN.values(), tg.zoneout(lstm, h=0.1), tg.residual(tg.rnn), tg.projected(lstm)]


@pytest.mark.parametrize("made", ADJOINT_CELLS, ids=lambda made: made.name)
def test_the_lines_of_the_adjoint_are_the_plain_walk_back(made):
    rng, step = np.random.default_rng(0), traced_step(made, PRIMES[0])
    dys = [rng.standard_normal(step.shape(number)) for number in step.new]
    totals, _ = pull(step, dict(zip(step.new, dys, strict=True)))
    lines = gradients_by_lines(step, dys)
    assert lines.keys() == totals.keys()
    for number, line in lines.items():
        np.testing.assert_allclose(line, totals[number], rtol=1e-12, atol=1e-11)


def test_a_wrong_rule_is_seen_in_the_lines_of_the_adjoint(monkeypatch):
    step = traced_step(tg.rnn, PRIMES[0])
    dys = [np.ones(step.shape(number)) for number in step.new]
    right = gradients_by_lines(step, dys)
    monkeypatch.setitem(OPS["tanh"].rules, "x", OpRule(OPS["tanh"], "x", lambda dy, y: dy * (1 + y * y)))
    wrong = gradients_by_lines(step, dys)
    assert not np.allclose(right[step.inputs["b"]], wrong[step.inputs["b"]])


@pytest.mark.parametrize("made", ADJOINT_CELLS, ids=lambda made: made.name)
def test_a_traced_step_has_the_numbers_of_a_plain_one(made):
    """To follow the arrays changes none of them, nor any name."""
    step = traced_step(made, PRIMES[0])
    plain = record_step(made, {name: step.arrays[number] for name, number in step.inputs.items()})
    assert [(v.name, v.kind, v.op) for v in step.values] == [(v.name, v.kind, v.op) for v in plain.values]
    for number, array in plain.arrays.items():
        np.testing.assert_array_equal(step.arrays[number], array)
    values = {f"#{number}": array for number, array in step.arrays.items()}
    for number, formula in step.formulas.items():
        np.testing.assert_array_equal(evaluate(formula, values), step.arrays[number])


def centered(a):
    m = a.mean(axis=-1, keepdims=True)
    return a - m


def test_variables_of_a_called_function_are_inner_names():
    @cell
    def calls(x, h, *, W=Param("D H")):
        return tanh(centered(x @ W) + centered(h))

    inner = [value.inner_name for value in step(calls).values if value.inner_name]
    assert inner == ["m", "m"]


def test_it_works_where_nothing_is_recorded_and_leaves_everything_as_it_was():
    before = sys.gettrace()
    with tg.no_grad():
        assert named(step(lstm))["f"].op == "sigmoid"
        assert not context.recording
    assert context.observer is None and sys.gettrace() is before


def test_an_error_inside_the_cell_leaves_everything_as_it_was():
    @cell
    def broken(x, h, *, W=Param("D H")):
        raise KeyError("inside")

    before = sys.gettrace()
    with pytest.raises(KeyError):
        step(broken)
    assert context.observer is None and sys.gettrace() is before


def test_observers_nest():
    seen = {"outer": [], "inner": []}

    class Seen:
        def __init__(self, name):
            self.operation = lambda spec, args, made: seen[name].append(spec.name)
            self.gradient = lambda node, dy: None

    x = Tensor(np.ones(2), requires_grad=True)
    with observing(Seen("outer")):
        with observing(Seen("inner")):
            tanh(x)
        x.sum().backward()
    assert seen == {"outer": ["tanh", "sum"], "inner": ["tanh"]}


def test_a_size_that_the_cell_does_not_have():
    with pytest.raises(TypeError, match="lstm: Q is not a size of this cell, which are N, D, H"):
        step(lstm, Q=3)


def test_outside_tensors_are_constants():
    outside = Tensor(np.ones(2), requires_grad=True, name="w") * 2.0
    recording, y = record(lambda x: x * outside, {"x": np.ones(2)}, {}, [])
    recording.finish({"y": y})
    kinds = [one.kind for one in recording.values]
    assert kinds == ["input", "constant", "operation"]
    assert pull(recording, {2: np.ones(2)})[0].keys() == {2, 0, 1}


def test_wrapped_cells_name_the_values_of_the_inner_one():
    wrapped = tg.cell(lambda x, h, *, W=Param("D H"): tanh(x @ W) + h)
    wrapped.inner = lstm
    assert lstm.function.__code__ in codes(wrapped)


def test_scopes_are_noted_with_every_value():
    @tg.cell
    def scoped(x, h, *, W=tg.Param("D H")):
        with tg.scope("in"), tg.scope("deep"):
            a = x @ W
        return tg.tanh(a + h)

    found = {one.name: one.scope for one in step(scoped).values}
    assert (found["a"], found["h'"], found["x"]) == ("in/deep", "", "")


def test_a_graph_keeps_its_shape_after_backward_and_lets_go_of_its_arrays():
    w = Tensor(np.ones(1000), requires_grad=True)
    held = w.data * 2.0
    y = (w * held).sum()
    alive = weakref.ref(held)
    del held
    before = [node.seq for node in newest_first([y.node])]
    y.backward()
    assert alive() is None
    assert [node.seq for node in newest_first([y.node], used=True)] == before
    with pytest.raises(GraphError, match="used up"):
        newest_first([y.node])


def test_states_tell_which_steps_made_them():
    params = lstm.init(np.random.default_rng(0), D=2, H=3)
    hs, (h, c) = tg.scan(lstm, np.ones((1, 4, 2)), None, params, reverse=True)
    assert hs.node.run is h.node.run is c.node.run
    assert (h.node.run.cell, list(h.node.run.times)) == (lstm, [3, 2, 1, 0])
    assert len(h.node.run.starts) == 4
    assert h.node.run.starts[-1] < h.node.seq < h.node.run.end
    h, c = lstm(np.ones((1, 2)), h, c, **params)
    assert h.node.run.starts[0] < h.node.seq < h.node.run.end


def test_what_was_told_of_local_variables_is_freed_without_the_collector():
    class Told:
        def __call__(self, variables):
            pass

    told = Told()
    alive = weakref.ref(told)
    gc.disable()
    try:
        with locals_of([test_observers_nest.__code__], told):
            pass
        del told
        assert alive() is None
    finally:
        gc.enable()
