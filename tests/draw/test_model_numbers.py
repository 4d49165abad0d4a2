"""Every number of a view is that of the backward pass, at every level and however it is folded."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.model_references import (
    backward_densely,
    close,
    from_outside,
    looked_at,
    of_the_engine,
    read_back,
    wrong_edges,
    wrong_sums,
)
from helpers.model_targets import CELLS, LOOKS, TARGETS
from tinygrad_rnn import lstm, scan
from tinygrad_rnn.draw.model import of_cell, of_tensor, view
from tinygrad_rnn.engine.graph import Node
from tinygrad_rnn.tracing.magnitudes import TOGETHER, Sizes, size
from tinygrad_rnn.tracing.measure import _Passing
from tinygrad_rnn.tracing.sample import record_step, sample
from tinygrad_rnn.tracing.trace import pull


@pytest.mark.sampled(every=10)
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("target", TARGETS)
def test_every_edge_brings_back_what_backward_brings_back(target, look, monkeypatch):
    made = TARGETS[target]()
    graph, builder = looked_at(monkeypatch, made, **LOOKS[look])
    assert wrong_edges(read_back(graph), builder, made) == []


@pytest.mark.sampled(every=10)
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("target", TARGETS)
def test_gradients_add_up_where_a_value_branches(target, look):
    made = TARGETS[target]()
    assert wrong_sums(read_back(view(made, **LOOKS[look])), made) == []


@pytest.mark.sampled(every=10)
@pytest.mark.parametrize("look", ["op", "affine", "cell", "module", "folded"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_value_has_the_gradient_that_the_engine_gives_it(target, look, monkeypatch):
    made = TARGETS[target]()
    graph, builder = looked_at(monkeypatch, made, **LOOKS[look])
    nodes = {id(one): key if isinstance(key, Node) else key[1] for key, one in builder.vertices.items()
             if isinstance(key, Node) or (isinstance(key, tuple) and key[0] != "constant" and isinstance(key[1], Node))}
    totals, parts = backward_densely(made)
    for one in graph:
        if id(one) in nodes and one.shape is not None:
            node = nodes[id(one)]
            dy = totals[node] if one.kind != "value" else from_outside(made, builder, parts, node)
            assert close(one.gradient, np.linalg.norm(dy))
            assert close(one.gradient_sum, dy.sum(), np.abs(dy).sum())
    some = list(totals)[:: max(len(totals) // 12, 1)]
    for node in some:  # the reference itself, by the engine's own pass
        if node.shape is not None:
            np.testing.assert_allclose(totals[node], of_the_engine(made, [node])[node], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_one_step_is_the_one_that_a_recording_goes_back_through(name):
    cell, sizes = CELLS[name]
    rng = np.random.default_rng(0)
    recording = record_step(cell, sample(cell, rng, {"N": 2, **sizes}))
    dys = {number: rng.standard_normal(recording.values[number].shape) for number in recording.outputs.values()}
    totals, parts = pull(recording, dys)
    graph = read_back(view(of_cell(cell, N=2, **sizes), level="op"))
    theirs = [one.number for one in recording.values if one.kind == "operation"]
    ours = [one for one in graph if one.kind == "operation"]
    assert [one.op for one in ours] == [recording.values[number].op for number in theirs]
    into = {(edge.target, edge.operand): edge for edge in graph.edges}
    for one, number in zip(ours, theirs, strict=True):
        assert one.name == recording.values[number].name
        assert close(one.gradient, np.linalg.norm(totals[number]))
        for (target, operand), part in parts.items():
            if target == number:
                assert close(into[one.id, operand].gradient, np.linalg.norm(part))
                assert close(into[one.id, operand].gradient_sum, part.sum(), np.abs(part).sum())


def test_leaves_have_the_gradients_that_backward_leaves_on_them():
    given = lstm.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)
    xs = tg.tensor(np.random.default_rng(1).standard_normal((2, 20, 3)), requires_grad=True, name="xs")
    hs, (h, c) = scan(lstm, xs, None, given)
    loss = tg.sum(hs * hs) + tg.sum(h * c)
    graphs = [read_back(view(of_tensor(loss), **look)) for look in LOOKS.values()]
    loss.backward()
    for graph in graphs:
        for name, leaf in {**given, "xs": xs}.items():
            assert close(graph[name].gradient, np.linalg.norm(leaf.grad))
            assert close(graph[name].gradient_sum, leaf.grad.sum(), np.abs(leaf.grad).sum())


@pytest.mark.parametrize("scale", [1e-200, 1e200, 1e-300])
def test_norms_neither_overflow_nor_vanish(scale):
    x = tg.tensor([3.0, 4.0], requires_grad=True, name="x")
    graph = view(of_tensor(tg.sum(x * np.array([3.0, 4.0]) * scale)))
    assert graph["x"].gradient == pytest.approx(5 * scale, rel=1e-12)


def test_a_part_in_float32_has_the_size_of_the_float32_gradient():
    x = tg.tensor(np.ones(1000, np.float32), requires_grad=True, name="x")
    graph = view(of_tensor(tg.sum(x * np.float32(0.1))))
    assert graph["x"].dtype == "float32"
    assert close(graph["x"].gradient, np.sqrt(1000 * np.float64(np.float32(0.1)) ** 2))


# -- the testers


def test_a_rule_that_gives_twice_as_much_is_noticed(monkeypatch):
    made = of_cell(lstm)
    rule = tg.tanh.spec.rules["x"]
    right = rule.fn
    rule.fn = lambda dy, *kept: 2 * right(dy, *kept)
    try:
        graph, builder = looked_at(monkeypatch, made)
    finally:
        rule.fn = right
    assert len(wrong_edges(graph, builder, made)) > 3


@pytest.mark.parametrize("field", ["gradient", "gradient_sum"])
def test_one_wrong_number_is_noticed(field, monkeypatch):
    made = of_cell(lstm, 5)
    graph, builder = looked_at(monkeypatch, made)
    values = [one.id for one in graph if one.kind == "value"]
    for edge in graph.edges:
        if edge.target not in values:
            right = getattr(edge, field)
            setattr(edge, field, right + 1e-9)
            assert len(wrong_edges(graph, builder, made)) == 1
            assert len(wrong_sums(graph, made)) == (field == "gradient_sum")
            setattr(edge, field, right)


def test_a_part_that_is_missing_is_noticed(monkeypatch):
    made = of_cell(lstm, 5)
    monkeypatch.setattr(_Passing, "array", lambda self, node: np.zeros(3))
    graph, builder = looked_at(monkeypatch, made)
    assert wrong_edges(graph, builder, made) and wrong_sums(graph, made)


@pytest.mark.parametrize("count", [1, 3, TOGETHER, TOGETHER + 1])
def test_sizes_taken_together_are_those_taken_alone(count):
    rng, sizes, found = np.random.default_rng(0), Sizes(), {}
    arrays = [scale * rng.standard_normal((2, 3)) for scale in 10.0 ** rng.integers(-250, 250, count)]
    arrays += [np.zeros((2, 3)), np.full((2, 3), np.inf), np.ones(5000), np.ones((0, 3)), np.full(4, 2.0, "f")]
    with np.errstate(all="ignore"):
        for k, x in enumerate(arrays):
            sizes.into(found, k, x)
        sizes.finish()
        assert found == {k: size(x) for k, x in enumerate(arrays)}
