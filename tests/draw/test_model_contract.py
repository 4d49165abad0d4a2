"""Looking changes nothing, keeps nothing, and shows the same again."""

import gc
import json
import sys
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.model_targets import LOOKS, TARGETS, params, xs
from tinygrad_rnn import lstm, scan, zoneout
from tinygrad_rnn.draw.model import of_cell, of_function, of_tensor, view
from tinygrad_rnn.engine.context import context
from tinygrad_rnn.engine.graph import newest_first
from tinygrad_rnn.errors import GraphError


def a_loss():
    given = params(lstm)
    x = tg.tensor(xs(12), requires_grad=True, name="xs")
    hs, (h, c) = scan(lstm, x, None, given)
    return tg.sum(hs * hs) + tg.sum(h * c), {**given, "xs": x}


def shape_of(graph):
    """What does not depend on numbers; of constants not even the names, which are numbers too."""
    nodes = [(one.id, one.kind, one.op, one.detail, one.row, one.step, one.kind == "constant" or (one.name, one.shape))
             for one in graph]  # fmt: skip
    edges = [(edge.source, edge.target, edge.operand, edge.argument, edge.cut) for edge in graph.edges]
    return nodes, edges, graph.outputs, [(fold.first, fold.last) for fold in graph.folds]


@pytest.mark.parametrize("look", LOOKS)
def test_looking_changes_nothing(look):
    loss, leaves = a_loss()
    before = [(node.seq, node.parents, node.edges) for node in newest_first([loss.node])]
    view(of_tensor(loss), **LOOKS[look])
    after = [(node.seq, node.parents, node.edges) for node in newest_first([loss.node])]
    assert all(a[0] == b[0] and a[1] is b[1] and a[2] is b[2] for a, b in zip(before, after, strict=True))
    assert all(leaf.grad is None for leaf in leaves.values())
    loss.backward()
    looked = {name: leaf.grad for name, leaf in leaves.items()}
    loss, leaves = a_loss()
    loss.backward()
    assert all(np.array_equal(leaf.grad, looked[name]) for name, leaf in leaves.items())


def test_generators_are_left_alone():
    rng = np.random.default_rng(5)
    before, legacy = rng.bit_generator.state, np.random.get_state()[1].copy()
    view(of_cell(zoneout(lstm, h=0.5), 5), level="op")
    assert rng.bit_generator.state == before and np.array_equal(np.random.get_state()[1], legacy)


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_kept_alive(look):
    gc.collect()
    gc.disable()
    try:
        loss, leaves = a_loss()
        node, array = weakref.ref(loss.node), weakref.ref(leaves["xs"].data)
        graph = view(of_tensor(loss), **LOOKS[look])
        del loss, leaves
        assert node() is None and array() is None and graph.nodes
    finally:
        gc.enable()


def test_nothing_of_a_function_is_kept_alive():
    gc.collect()
    gc.disable()
    try:
        kept = []

        def f(x):
            y = tg.tanh(x)
            kept.append((weakref.ref(y.node), weakref.ref(y._array)))
            return helper(y)

        def helper(y):
            z = y * y
            kept.append((weakref.ref(z.node), weakref.ref(z._array)))
            return tg.sum(z)

        graph = view(of_function(f, [np.ones(3)], ["x"]))
        assert [reference() for pair in kept for reference in pair] == [None] * 4 and graph["y"].op == "tanh"
    finally:
        gc.enable()


def test_everything_is_left_as_it_was():
    before = context.recording, context.observer, context.scope, sys.gettrace(), gc.isenabled()
    with tg.no_grad():
        assert view(of_cell(lstm))["x"].gradient > 0
        assert view(of_function(lambda x: tg.sum(x * x), [np.ones(3)], ["x"]))["x"].gradient > 0
        assert not context.recording
    assert (context.recording, context.observer, context.scope, sys.gettrace(), gc.isenabled()) == before


@pytest.mark.parametrize("recording", [True, False])
def test_an_error_inside_leaves_everything_as_it_was(recording):
    def broken(x):
        with tg.scope("inside"):
            raise KeyError("inside")

    before = context.observer, context.scope, sys.gettrace(), gc.isenabled()
    outer = context.recording
    context.recording = recording
    try:
        with pytest.raises(KeyError, match="inside"):
            of_function(broken, [np.ones(3)], ["x"])
        assert context.recording is recording
    finally:
        context.recording = outer
    assert (context.observer, context.scope, sys.gettrace(), gc.isenabled()) == before


@pytest.mark.parametrize("look", LOOKS)
def test_after_backward_it_is_the_same_without_gradients(look):
    loss, leaves = a_loss()
    before = view(of_tensor(loss), **LOOKS[look])
    loss.backward()
    after = view(of_tensor(loss), **LOOKS[look])
    assert shape_of(before) == shape_of(after)
    assert before.note == "" and "backward() has let go" in after.note
    for one in after:
        if one.name in leaves and one.kind == "parameter":
            assert one.gradient == pytest.approx(np.linalg.norm(leaves[one.name].grad), rel=1e-12)
        else:
            assert one.gradient is None
    assert all(edge.gradient is None for edge in after.edges)


def test_a_retained_graph_has_its_gradients():
    loss, _ = a_loss()
    before = view(of_tensor(loss)).to_json()
    loss.backward(retain_graph=True)
    assert view(of_tensor(loss)).to_json() == before


def test_what_is_seen_while_it_runs_is_what_is_seen_afterwards():
    for steps in (1, 5, 20):
        seen, not_seen = (view(of_cell(lstm, steps, watch=watch)) for watch in (True, False))
        assert shape_of(seen) == shape_of(not_seen)
        assert [one.gradient for one in seen] == [one.gradient for one in not_seen]


@pytest.mark.sampled(every=4, by=lambda **_: [])
@pytest.mark.parametrize("target", TARGETS)
def test_it_is_the_same_again(target):
    assert view(TARGETS[target]()).to_json() == view(TARGETS[target]()).to_json()


def test_numbers_that_are_not_finite_are_json():
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True, name="x")
    with np.errstate(all="ignore"):
        graph = view(of_tensor(tg.sum(x * np.array([np.nan, np.inf, -np.inf]))))
    json.loads(graph.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert '"NaN"' in graph.to_json()


def test_what_cannot_be_looked_at_is_refused():
    with pytest.raises(GraphError, match="draw: this tensor depends on nothing"):
        of_tensor(tg.tensor([1.0]))
    with pytest.raises(GraphError, match="draw: what f returns depends on no input"):
        of_function(f, [np.ones(3)], ["x"])
    for wrong in ({"level": "steps"}, {"fold": "half"}):
        (key, bad), = wrong.items()
        with pytest.raises(ValueError, match=f"draw: {key} is '{bad}', should be one of"):
            view(of_cell(lstm), **wrong)


def f(x):
    """Has nothing to do with its input."""
    return np.ones(2)


def test_a_generator_that_a_cell_draws_from_stays_where_it_is():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    view(of_cell(zoneout(lstm, h=0.5), 3, rng=rng))
    assert rng.bit_generator.state == before
