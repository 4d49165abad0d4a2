"""Tools that show the steps of a loop show those of a planned scan, as those of the eager loop, byte for byte."""

import json

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.cell_samples import LENGTHS, leaves, sample
from helpers.odd_cells import ODD, odd_sample
from tinygrad_rnn import nn
from tinygrad_rnn.engine.expansion import expanded
from tinygrad_rnn.engine.graph import newest_first

OPTIONS = [{}, {"reverse": True}, {"lengths": LENGTHS}]
each_option = pytest.mark.parametrize("options", OPTIONS, ids=["plain", "reverse", "lengths"])


def loss_of(cell, s, mode, **options):
    """A loss on which the outputs and all last states have an effect, after two windows."""
    params = {name: tg.tensor(array, requires_grad=True, name=name) for name, array in s.params.items()}
    xs, state = tg.tensor(s.xs, requires_grad=True), [tg.tensor(old, requires_grad=True) * 1 for old in s.state]
    with tg.scope("layer"):
        hs, last = tg.scan(cell, xs, state, params, mode=mode, **options)
    more, last = tg.scan(cell, xs[:, :2], last, params, mode=mode)
    return tg.sum(hs * hs) + tg.sum(more) + sum(tg.sum(part * part) for part in last)


def picture_of(loss):
    """In a function of its own, so that both have the name of its variable as the title."""
    return tg.draw(loss, level="cell").svg()


def assert_same_pictures(planned, eager):
    """The bytes at the level of steps; at that of operations all but the last digits of the measured gradients."""
    assert picture_of(planned) == picture_of(eager)
    assert_same_data(*(json.loads(tg.draw(loss, level="op").form("json")) for loss in (planned, eager)))


def assert_same_data(ours, theirs):
    """Equal plain data; measured numbers may differ by rounding."""
    assert type(ours) is type(theirs)
    if isinstance(ours, (list, dict)):
        keys = [list(part) if isinstance(part, dict) else range(len(part)) for part in (ours, theirs)]
        assert keys[0] == keys[1]
        for key in keys[0]:
            assert_same_data(ours[key], theirs[key])
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    else:
        assert ours == theirs


def assert_expands(cell, s, **options):
    """Before and after backward, drawn twice; the gradients are those of a graph that nobody has drawn."""
    planned, eager, quiet = (loss_of(cell, s, mode, **options) for mode in ("plan", "eager", "plan"))
    before = graph(planned)
    assert_same_pictures(planned, eager)
    assert graph(planned) == before
    for loss in (planned, eager, quiet):
        loss.backward()
    assert_same_pictures(planned, eager)
    assert [g.tobytes() for g in grads(planned)] == [g.tobytes() for g in grads(quiet)]


def graph(y):
    return [(node, node.seq, node.edges, node.parents, node.op) for node in newest_first([y.node], used=True)]


def grads(loss):
    return [node.gradient for node in newest_first([loss.node], used=True)[::-1] if not node.parents]


@pytest.mark.sampled(every=3, by=lambda options: [])
@each_option
def test_a_picture_of_a_planned_lstm(options):
    assert_expands(tg.lstm, sample(tg.lstm), **options)


@pytest.mark.sampled(every=6, by=lambda cell: [])
@pytest.mark.parametrize("cell", ODD, ids=lambda cell: cell.name)
def test_a_picture_of_a_planned_odd_cell(cell):
    s = odd_sample(cell)
    assert_same_pictures(loss_of(cell, s, "plan"), loss_of(cell, s, "eager"))


def test_the_flow_of_a_planned_scan():
    s = sample(tg.gru)
    planned, eager = (tg.gradient_flow(loss_of(tg.gru, s, mode)) for mode in ("plan", "eager"))
    assert planned.table() == eager.table()
    assert [len(layer.states["h"]) for layer in planned.layers] == [s.xs.shape[1] + 2]


def test_stacked_layers():
    """The second layer reads the outputs of the first, so that both loops are expanded into one graph."""
    shown = []
    for mode in ("plan", "eager"):
        layer = nn.Stacked(tg.lstm, layers=2, D=3, H=4, rng=np.random.default_rng(0), mode=mode)
        hs, _ = layer(sample(tg.lstm).xs)
        shown.append(tg.draw(tg.sum(hs), level="cell").svg())
    assert shown[0] == shown[1]


def test_a_nan_of_the_backward_pass_is_found_in_its_step():
    @tg.cell
    def rooted(x, h, *, W=tg.Param("D H")):
        return tg.sqrt(h * h) + x @ W

    s = sample(tg.rnn)
    messages = []
    for mode in ("plan", "eager"):
        W = leaves({"W": s.params["Wx"]})
        hs, _ = tg.scan(rooted, s.xs, tg.tensor(np.zeros((5, 4)), requires_grad=True), W, mode=mode)
        with pytest.raises(tg.NanError) as raised, tg.trace_nans():
            tg.sum(hs).backward()
        messages.append(str(raised.value))
    assert messages[0] == messages[1] and messages[0].startswith("backward of sqrt")


def test_an_error_leaves_the_graph_as_it_was():
    loss = loss_of(tg.lstm, sample(tg.lstm), "plan")
    before = graph(loss)
    with pytest.raises(KeyError), expanded([loss.node]):
        assert len(newest_first([loss.node])) > len(before)
        raise KeyError
    assert graph(loss) == before
