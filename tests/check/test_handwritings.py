"""Verdicts on layers in many handwritings: no right one is called wrong, and no planted mistake right."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.handwritings.at_random import CELLS, HABITS, LAYOUTS, MISTAKES, RETURNS, WEIGHTS, Written, inputs, style
from tinygrad_rnn import check_layer

PLAIN = {"cell": "rnn", "layout": "NTD", "returns": "all", "weights": "(in, out)", "grads": "write", "params": "list",
         "cache": "kept", "state": "zeros", "buffer": "d"}  # fmt: skip
EACH = {"cell": CELLS, "layout": LAYOUTS, "returns": RETURNS, "weights": WEIGHTS, **HABITS}


def checked(style, mistake="", seed=0, **how):
    rng = np.random.default_rng(seed)
    return check_layer(Written(style, mistake), *inputs(rng, style), **how)


@pytest.mark.sampled(every=6, by=lambda **_: [])
@pytest.mark.parametrize(("habit", "way"), [(habit, way) for habit, ways in EACH.items() for way in ways])
def test_a_right_layer_is_right_in_each_way_of_writing_it(habit, way):
    report = checked({**PLAIN, habit: way})
    assert report.verdict == ("precision" if way == "f" else "right"), str(report)
    assert report.diagnoses == []


@pytest.mark.sampled(every=8, by=lambda cell, mistake: [cell])
@pytest.mark.parametrize(("cell", "mistake"), [(cell, mistake) for cell in CELLS for mistake in MISTAKES[cell]])
def test_a_planted_mistake_is_wrong(cell, mistake):
    report = checked({**PLAIN, "cell": cell}, mistake)
    assert report.verdict == "wrong", str(report)


def test_handwritings_at_random(trials):
    for seed in range(trials(2, 2000)):
        rng = np.random.default_rng(seed)
        chosen = style(rng)
        report = checked(chosen, seed=seed)
        assert report.verdict in ("right", "precision"), f"{chosen}\n{report}"
        mistake = str(rng.choice(MISTAKES[chosen["cell"]]))
        report = checked(chosen, mistake, seed)
        assert report.verdict == "wrong", f"{mistake} in {chosen}\n{report}"


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_layout_that_people_use_is_the_cells(cell, layout, weights):
    report = checked({**PLAIN, "cell": cell, "layout": layout, "weights": weights}, cell=getattr(tg, cell))
    assert report.verdict == "right" and report.diagnoses == [], str(report)
