"""Every backward pass equals `pull`, the plain walk back through a recorded computation."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.engine import higher_order
from tinygrad_rnn.engine.graph import backpropagate, fitted, newest_first
from tinygrad_rnn.engine.observe import observing
from tinygrad_rnn.engine.op import OPS
from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.tracing.measure import measure
from tinygrad_rnn.tracing.record import record
from tinygrad_rnn.tracing.sample import sample
from tinygrad_rnn.tracing.trace import pull

N, T, D, H = 2, 3, 4, 5
DROPPED = {f"{name}, dropout": tg.variational_dropout(cell, x=0.3, h=0.3) for name, cell in BUILT_IN.items()}
CELLS = {**BUILT_IN, **DROPPED}


def by_loop(cell, xs, state, params):
    """A loss of three steps, whose outputs branch into the next step, two slices that overlap, and a masked sum."""
    mask, total = np.random.default_rng(3).integers(0, 2, (N, H)) * 2.0, 0.0
    for t in range(T):
        state = cell(xs[:, t], *state, **params)
        h, *memory = state if isinstance(state, tuple) else (state,)
        total = total + tg.sum(h * mask) + tg.sum(h[:, 1:] * h[:, :-1])
        state = (h * mask, *memory)
    return total + tg.sum(state[-1] * state[-1])


def by_scan(cell, xs, state, params):
    """A loss of all outputs and of the last states of `scan`."""
    hs, state = tg.scan(cell, xs, state, params)
    return tg.sum(hs[:, :-1] * hs[:, 1:]) + tg.sum(tg.tanh(hs)) + sum(tg.sum(last * last) for last in state)


def recorded(cell, run):
    """The trace of a loss, and the number of the loss."""
    rng = np.random.default_rng(0)
    arguments = sample(cell, rng, {"N": N, "D": D, "H": H})
    arguments[cell.input] = rng.standard_normal((N, T, D))
    masks = tg.draw_masks(cell, rng, N, {name: arguments[name] for name in cell.params})

    def loss(**tensors):
        state = tuple(tensors[name] for name in cell.states)
        return run(cell, tensors[cell.input], state, {**{name: tensors[name] for name in cell.params}, **masks})

    trace, y = record(loss, arguments, {}, [])
    trace.finish({"loss": y})
    return trace, trace.outputs["loss"]


class Gradients:
    """An observer that keeps the gradient by every node."""

    def __init__(self):
        self.by_node = {}

    def gradient(self, node, dy):
        self.by_node[node] = np.array(dy)

    def operation(self, spec, args, y):
        pass


def by_the_engine(root):
    with observing(Gradients()) as seen:
        backpropagate({root: np.ones(root.shape)}, retain=True)
    return seen.by_node


def on_tensors(root):
    leaves = [node for node in newest_first([root]) if not node.parents]
    with observing(Gradients()) as seen:
        higher_order.backpropagate_recorded({root: Tensor(np.ones(root.shape))}, leaves)
    return seen.by_node


def check_gradients(walk, trace, loss):
    """Every gradient of a backward pass is that of `pull`."""
    totals, _ = pull(trace, {loss: np.ones(())})
    grads = walk(trace.nodes[loss])
    assert {trace.nodes[number]: None for number in totals}.keys() == grads.keys()
    for number, total in totals.items():
        np.testing.assert_allclose(grads[trace.nodes[number]], total, rtol=1e-12, atol=1e-13)


def check_sizes(trace, loss):
    """Every norm and sum of the measured pass, of gradients and of their parts, is that of `pull`."""
    totals, parts = pull(trace, {loss: np.ones(())})
    root = trace.nodes[loss]
    measured = measure(newest_first([root])[::-1], {root: np.ones(())}, {})
    arrays = {trace.nodes[number]: total for number, total in totals.items()}
    assert measured.totals.keys() == arrays.keys() and len(measured.parts) == len(parts)
    for (number, k), part in parts.items():
        arrays[trace.nodes[trace.equations[number].args[k]], trace.nodes[number], k] = part
    for key, size in {**measured.totals, **measured.parts}.items():
        np.testing.assert_allclose(size, [np.linalg.norm(arrays[key]), np.sum(arrays[key])], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("run", [by_loop, by_scan])
@pytest.mark.parametrize("name", CELLS)
def test_every_backward_pass_equals_pull(name, run):
    trace, loss = recorded(CELLS[name], run)
    check_gradients(by_the_engine, trace, loss)
    check_gradients(on_tensors, trace, loss)
    check_sizes(trace, loss)


@pytest.mark.parametrize("run", [by_loop, by_scan])
@pytest.mark.parametrize("name", CELLS)
def test_a_planted_mistake_is_seen(name, run, monkeypatch):
    """Slices whose gradient in place is lost, and a recorded walk that doubles what it passes on."""
    trace, loss = recorded(CELLS[name], run)
    monkeypatch.setattr(OPS["getitem"].rules["x"], "accumulate_into", lambda total, dy, *saved: None)
    monkeypatch.setattr(higher_order, "fitted", lambda g, node: 2.0 * fitted(g, node))
    for walk in (by_the_engine, on_tensors):
        with pytest.raises(AssertionError):
            check_gradients(walk, trace, loss)
    with pytest.raises(AssertionError):
        check_sizes(trace, loss)
