"""The picture of a plan: what runs before the loop over time, in it, and after it."""

import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import draw, errors
from tinygrad_rnn.cells.builtin import BUILT_IN


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_boxes_are_the_parts_of_the_plan(name):
    plan = tg.plan(BUILT_IN[name], N=2, D=3, H=4)
    if plan.plan is None:
        pytest.fail(f"{name} has no plan: {plan.reason}")
    boxes = {node.op: node for node in draw(plan).graph if node.kind == "module"}
    counts = re.findall(r"kept in the loop: (\d+) operations", plan.explain())
    assert [boxes[f"{scope}: in the loop"].operations for scope in ("forward", "backward")] == list(map(int, counts))
    every = map(int, re.findall(r"(\d+) operations", plan.explain()))
    assert sum(node.operations for node in boxes.values()) == sum(every)


def test_what_is_computed_before_the_loop_leads_into_it():
    graph = draw(tg.plan(tg.lstm, N=2, D=3, H=4)).graph
    before, inside = (next(node for node in graph if node.op == f"forward: {part}") for part in
                      ("before the loop", "in the loop"))  # fmt: skip
    (edge,) = graph.uses(before.id)
    assert [after.target for after in graph.uses(edge.target)] == [inside.id]
    assert {graph.known[edge.source].name for _, edge in graph.into[before.id]} == {"x", "Wx, b"}


def test_it_is_the_same_in_every_form_and_has_no_gradients():
    first, second = (draw(tg.plan(tg.gru, N=2, D=3, H=4)) for _ in range(2))
    for form in ("svg", "dot", "html", "json", "mermaid", "text"):
        assert first.form(form) == second.form(form)
    assert not [line for line in first.scene.lines if line.look == "backward"]


def test_a_cell_without_a_plan_is_refused():
    @tg.cell
    def noisy(x, h, *, W=tg.Param("D H")):
        return tg.tanh(x @ W + h) * float(np.random.default_rng(0).random() + tg.value(h).sum())

    with pytest.raises(errors.PlanError, match="draw: noisy cannot be planned: "):
        draw(tg.plan(noisy, N=2, D=3, H=4))
