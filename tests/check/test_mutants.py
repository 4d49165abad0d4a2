"""Backpropagation through time with mistakes: every mistake is caught, with and without the inner gradients."""

import numpy as np
import pytest

from helpers.bptt_by_hand import BY_HAND
from helpers.bptt_references import CELLS, autograd, broken, case, cell_of, finals_only, inner
from helpers.more_mutants import MUTANTS
from helpers.mutants import Mutant
from tinygrad_rnn.check import check_backward
from tinygrad_rnn.check.report import distance

#: The short run takes every so many of the mutants.
EVERY = 150
FORMS = pytest.mark.parametrize("finals", [False, True], ids=["with intermediates", "finals only"])
SIZES = [{"N": 3, "T": 5, "D": 7, "H": 11}, {"N": 1, "T": 3, "D": 2, "H": 4}, {"N": 2, "T": 1, "D": 3, "H": 5}]


def own(name):
    return CELLS[name.split()[0]], BY_HAND[name][0]


# -- the handwritings are right --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", BY_HAND)
def test_a_handwriting_equals_autograd(name, sizes):
    cell, f = own(name)
    arrays, params, dys = case(cell, seed=1, **sizes)
    got, finals = f(*arrays, **params, **dys), autograd(cell, arrays, params, dys)
    right = {**inner(cell, arrays, params, dys), **finals}
    assert [key for key in finals if key not in got] == []
    for key, g in got.items():
        np.testing.assert_allclose(g, right[key], rtol=0, atol=1e-12 * max(1, np.abs(right[key]).max()), err_msg=key)


@pytest.mark.sampled(every=4, by=lambda **_: [])
@FORMS
@pytest.mark.parametrize("name", BY_HAND)
def test_a_handwriting_passes(name, finals):
    cell, f = own(name)
    assert broken(f, cell) == []
    report = check_backward(cell, finals_only(f, cell) if finals else f)
    assert (report.verdict, report.first_wrong, report.diagnoses) == ("right", None, []), str(report)


# -- the mutants are mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_differs_from_the_right_one(name):
    mutant = MUTANTS[name]
    cell, f = cell_of(mutant), mutant.function()
    arrays, params, dys = case(cell, seed=2)
    right = autograd(cell, arrays, params, dys)
    got = f(*arrays, **params, **{key: dy.copy() for key, dy in dys.items()})
    assert max(distance(got[key], right[key]) for key in right) > 1e-6 or broken(f, cell)


def test_an_edit_that_does_not_stand_once_is_refused():
    with pytest.raises(ValueError, match=r"mutant of rnn in the loop: 'Wh' stands there \d+ times, should be once"):
        Mutant("rnn in the loop", (("Wh", "Wx"),)).function()


@pytest.mark.sampled(every=EVERY, first=0, by=lambda name, finals: [MUTANTS[name].by, finals])
@FORMS
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name, finals):
    """Wrong numbers are wrong, and the causes are not called consequences; a broken contract is told."""
    cell, f = cell_of(MUTANTS[name]), MUTANTS[name].function()
    report = check_backward(cell, finals_only(f, cell) if finals else f)
    assert report.verdict == "wrong", f"{name}\n{report}"
    told = [diagnosis.kind.removeprefix("protocol: ") for diagnosis in report.diagnoses]
    assert report.first_wrong is not None or any(kind in told for kind in broken(f, cell)), f"{name}\n{report}"


MANNERS = {
    "rnn in the loop: caller's dh written over": ["modified"],
    "rnn in the loop: other noise each time": ["again", "linear"],
    "rnn in the loop: fixed noise": ["zero", "linear"],
    "rnn in the loop: clip": ["linear"],
    "lstm in the loop: batch centred": ["batch"],
    "lstm after the loop: dxs backwards in time": ["causal"],
    "gru in steps: db.r of z": [],
}


@pytest.mark.parametrize("name", MANNERS)
def test_broken_manners_are_seen(name):
    assert broken(MUTANTS[name].function(), cell_of(MUTANTS[name])) == MANNERS[name]
