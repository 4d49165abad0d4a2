"""Values are called what the user calls them, and no name does any harm."""

import gc
import json
import weakref

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Param, cell, gru, lstm, projected, residual, scan, zoneout
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.draw.model import of_cell, of_function, of_tensor, view
from tinygrad_rnn.tracing.sample import record_step, sample

HOSTILE = ['a"b', "a\nb", "a\0b", "<b>bold</b>", "x" * 1000, "", "\ud800", "</script>", "\u202e"]


def names(graph):
    return list(dict.fromkeys(one.name for one in graph if one.name))


def test_an_lstm_has_the_names_of_its_equations():
    graph = view(of_cell(lstm))
    assert sorted(names(graph)) == sorted(["x", "h", "c", "Wx", "Wh", "b", "A", "f", "g", "i", "o", "c'", "h'"])
    assert graph["f"].op == "sigmoid"  # bound twice: what it is at the end
    assert graph["c'"].op == "add" and graph["c"].kind == "state"  # an argument that is bound anew


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("steps", [1, 3])
def test_steps_have_the_names_of_one_step_under_watch(name, steps):
    made = BUILT_IN[name]
    recording = record_step(made, sample(made, np.random.default_rng(0), {}))
    wanted = [one.name for one in recording.values if one.kind == "operation"]
    graph = view(of_cell(made, steps, watch=False), level="op", fold="none")
    for t in range(steps):
        own = [one.name for one in graph if one.kind == "operation" and one.step == t]
        assert own == wanted


@pytest.mark.parametrize("made, sizes", [(zoneout(lstm, h=0.1), {}), (residual(projected(lstm)), {"D": 4, "P": 4})],
                         ids=["zoneout", "residual"])  # fmt: skip
def test_wrapped_cells_keep_the_names_of_the_cell_inside(made, sizes):
    found = names(view(of_cell(made, 2, **sizes), level="op"))
    assert [one for one in ("A", "f", "g", "i", "o", "c'") if one not in found] == []


def test_blocks_are_named_by_parameter_and_block():
    graph = view(of_cell(gru))
    assert [one.name for one in graph if one.kind == "block"] == [f"{w}.{b}" for b in "zrh" for w in ("Wx", "Wh", "b")]


def test_the_name_of_a_tensor_wins():
    @cell
    def named_inside(x, h, *, W=Param("D H")):
        a = tg.tanh(x @ W)
        a.name = "memory"
        return a + h

    found = names(view(of_cell(named_inside)))
    assert "memory" in found and "a" not in found and "h'" in found


def test_local_variables_of_a_function_name_its_values():
    given = lstm.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64)

    def loss(xs, targets):
        hs, (_, c) = scan(lstm, xs, None, given)
        error = hs - targets
        xs = tg.sum(c)
        return tg.sum(error * error) + xs

    graph = view(of_function(loss, [np.ones((2, 3, 3)), np.ones((2, 3, 4))], ["xs", "targets"]))
    assert (graph["hs"].op, graph["error"].symbol, graph["targets"].kind) == ("stack", "-", "input")
    assert graph["xs"].kind == "input" and graph["xs'"].op == "sum"
    assert graph.title == "loss"


def test_local_variables_name_tensors_that_need_no_gradient():
    def masked(x):
        mask = tg.tensor(np.ones(3))
        return tg.sum(x * mask * 0.5)

    constants = [one.name for one in view(of_function(masked, [np.ones(3)], ["x"])) if one.kind == "constant"]
    assert constants == ["mask", "0.5"]


def test_scopes_are_told():
    def model(x):
        with tg.scope("encoder"):
            a = tg.tanh(x)
            with tg.scope("attention"):
                b = a * a
        return tg.sum(b)

    made = of_function(model, [np.ones(3)], ["x"])
    graph = view(made)
    assert [graph[name].scope for name in ("x", "a", "b")] == ["", "encoder", "encoder/attention"]
    boxes = [one for one in view(made, "module") if one.kind == "module"]
    assert [(one.op, one.operations) for one in boxes] == [("encoder", 2)]


def test_a_checkpoint_is_called_one():
    f = tg.checkpoint(lambda x: tg.tanh(x) * 2.0)
    graph = view(of_function(lambda x: tg.sum(f(x)), [np.ones(3)], ["x"]))
    assert next(one.op for one in graph if one.kind == "operation") == "checkpoint"


def test_a_part_of_an_input_is_an_operation_and_not_a_block():
    graph = view(of_function(lambda x: tg.sum(x[1:]), [np.ones(3)], ["x"]))
    assert [(one.kind, one.detail) for one in graph if one.op == "getitem"] == [("operation", "[1:]")]


# -- slices, however they are written ----------------------------------------------------------------------------------

SLICES = {
    "of the input": (lambda x, h, Wx, b: x[:, :2], lambda x, h, Wx, b: x[..., :2]),
    "by numbers": (lambda x, h, Wx, b: x[:, [0, 1]], lambda x, h, Wx, b: x[..., [0, 1]]),
    "of the state": (lambda x, h, Wx, b: h[:, ::-1], lambda x, h, Wx, b: h[..., ::-1]),
    "of a parameter": (lambda x, h, Wx, b: Wx[:, :1], lambda x, h, Wx, b: Wx[..., :1]),
    "of a vector": (lambda x, h, Wx, b: b[:1], lambda x, h, Wx, b: b[..., :1]),
    "in parts": (lambda x, h, Wx, b: Wx[:, :4], lambda x, h, Wx, b: tg.split(Wx, 2)[0]),
}


def sliced_cell(part):
    @cell
    def sliced(x, h, *, Wx=Param("D H", "ab"), Wh=Param("H H"), b=Param("H")):
        piece = part(x, h, Wx, b)
        a = x @ Wx.a * tg.sum(piece)
        new = tg.tanh(a + h @ Wh + b)
        return new

    return sliced


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("width", [np.array, lambda x: tg.tensor(x, requires_grad=True)], ids=["array", "leaf"])
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("ways", SLICES.values(), ids=SLICES)
def test_a_slice_has_its_name_however_it_is_written(ways, steps, width):
    for part in ways:
        one = sliced_cell(part)
        xs = width(np.random.default_rng(0).standard_normal((2, steps, 3)))
        hs, _ = tg.scan(one, xs, None, one.init(np.random.default_rng(0), D=3, H=4, dtype=np.float64))
        for graph in (view(of_cell(one, steps), level="op"), view(of_tensor(tg.sum(hs)), level="op")):
            names = [vertex.name for vertex in graph if vertex.kind == "operation"]
            assert names.count("a") == names.count("new") == steps
            pieces = [v for v in graph if v.op == "getitem" and v.kind == "operation" and v.step is not None]
            assert [v.name for v in pieces] == ["piece"] * len(pieces)  # as many as need a gradient
            assert [vertex.name for vertex in graph if vertex.kind == "block"] == ["Wx.a"]


@pytest.mark.parametrize("state", ["h", "c"])
def test_a_step_of_which_a_part_is_used_keeps_its_names(state):
    """The last h and what it is made of are not in the graph of a loss of the memory alone."""
    given = lstm.init(np.random.default_rng(0), D=3, H=4)
    _, (h, c) = scan(lstm, np.ones((2, 3, 3), "f"), None, given)
    graph = view(of_tensor(tg.sum(h if state == "h" else c)), level="op")
    called = {one.name: None for one in graph if one.step == 2 and one.kind == "operation" and one.name}
    assert sorted(called) == sorted(["A", "f", "g", "i", "c'", *(["o", "h'"] if state == "h" else [])])


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_survive(name):
    x = tg.tensor(np.ones(2), requires_grad=True, name=name)
    with tg.scope(name):
        y = tg.tanh(x)
    y.name = name
    graph = view(of_tensor(y))
    plain = json.loads(graph.to_json())
    assert [one["name"] for one in plain["nodes"]] == [name, name]
    assert graph.diff(graph) == []


def test_an_unknown_name_is_told_with_those_that_are_known():
    with pytest.raises(KeyError, match="graph: there is no 'q', only x, Wx, h"):
        view(of_cell(lstm))["q"]


def test_two_cells_differ_in_what_they_do():
    one, other = view(of_cell(lstm)), view(of_cell(gru))
    assert one.diff(one) == [] == other.diff(view(of_cell(gru, seed=3)))
    found = one.diff(other)
    assert "- σ f" in found and "- state c (1, 5)" in found and "+ block Wx.z" in found
    assert sorted(line[1:] for line in found) == sorted(line[1:] for line in other.diff(one))


def test_a_tensor_has_the_names_of_the_variables_around():
    W = tg.tensor(np.ones((3, 3)), requires_grad=True)
    hidden = tg.tanh(np.ones((2, 3)) @ W)
    error = tg.sum(hidden * hidden)
    graph = tg.draw(error).graph
    assert graph.title == "error" and list(graph.outputs) == ["error"]
    assert sorted(names(graph)) == ["W", "error", "hidden"]


def test_a_loss_of_a_model_has_its_class_and_its_paths():
    model = tg.models.Rnnlm(7, 3, 4, rng=0)
    loss, _ = model.loss(np.array([[1, 2, 3]]), np.array([[2, 3, 4]]))
    graph = tg.draw(loss).graph
    assert graph.title == "Rnnlm: loss"
    assert [node.name for node in graph if node.kind == "parameter"] == list(model.params)


def test_the_variables_around_are_not_kept_alive():
    gc.collect()
    gc.disable()
    try:
        loss = tg.sum(tg.tensor(np.ones((2, 3)), requires_grad=True) * 2.0)
        node = weakref.ref(loss.node)
        picture = tg.draw(loss)
        del loss
        assert node() is None and picture.graph.title == "loss" and picture.html()
    finally:
        gc.enable()
