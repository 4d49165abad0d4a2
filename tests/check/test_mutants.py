"""Backpropagation through time with mistakes: every one is caught, and nothing is said of it that is not so.

Each mutant is checked twice: with the gradients by what a step computes, and with the final ones only.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from helpers import judging
from helpers.bptt_by_hand import BY_HAND
from helpers.judging import CELLS, autograd, broken, case, cell_of, finals_only, inner, judge, lines, outcome, pairs
from helpers.more_mutants import DOUBLE, OUTSIDE, TABLES
from helpers.mutants import SINGLE, Mutant
from tinygrad_rnn.check import Diagnosis, check_backward
from tinygrad_rnn.check.report import distance

MUTANTS = {name: mutant for table in TABLES.values() for name, mutant in table.items()}
KINDS = """sign; factor; factor N; factor T; factor N T; missing; transposed; reversed; copied; permuted; overwritten;
step left out; path missing; path doubled; path sign; cut; incoming; derivative; activation; argument; operand; step;
not transposed; extra; protocol: modified"""
#: The short run takes every so many of the mutants.
EVERY = 60
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


def test_there_are_enough():
    assert len(SINGLE) >= 80 and len(DOUBLE) >= 12 and len(OUTSIDE) >= 20
    least = {"rnn": 20, "lstm": 35, "gru": 25}
    assert all(sum(name.startswith(cell) for name in SINGLE) >= n for cell, n in least.items())
    assert len(MUTANTS) == len(SINGLE) + len(DOUBLE) + len(OUTSIDE)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_differs_from_the_right_one(name):
    mutant = MUTANTS[name]
    cell, f = cell_of(mutant), mutant.function()
    arrays, params, dys = case(cell, seed=2)
    right = autograd(cell, arrays, params, dys)
    got = f(*arrays, **params, **{key: dy.copy() for key, dy in dys.items()})
    assert max(distance(got[key], right[key]) for key in right) > 1e-6 or broken(f, cell)


def test_what_is_expected_is_in_the_words_of_the_checkers():
    kinds = [kind.strip() for kind in KINDS.split(";")]
    said = {kind: name for name, mutant in MUTANTS.items() for told, *_ in mutant.expected for kind, _ in pairs(told)}
    assert [kind for kind in said if kind not in kinds] == []
    assert [kind for kind in kinds if kind not in said] == []
    assert [name for name, mutant in {**SINGLE, **DOUBLE}.items() if not mutant.expected] == []
    assert [name for name, mutant in OUTSIDE.items() if mutant.expected] == []


def test_an_edit_that_does_not_stand_once_is_refused():
    with pytest.raises(ValueError, match=r"mutant of rnn in the loop: 'Wh' stands there \d+ times, should be once"):
        Mutant("rnn in the loop", (("Wh", "Wx"),)).function()


# -- what is said of them --------------------------------------------------------------------------------------------


def kinds_of(name, finals):
    """What the sample has all of: every handwriting in both forms, every kind of mistake."""
    kinds = [kind for told, *_ in MUTANTS[name].expected for kind, _ in pairs(told)]
    return [(MUTANTS[name].by, finals), *kinds]


@pytest.mark.sampled(every=EVERY, first=0, by=kinds_of)
@FORMS
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught_and_nothing_untrue_is_said_of_it(name, finals):
    report, verdict, _ = outcome(MUTANTS[name], finals)
    assert verdict not in ("missed", "wrong"), f"{name}\n{report}"
    assert verdict == "place only" or name not in OUTSIDE


@FORMS
def test_most_single_mistakes_are_named(finals, trials):
    """In the short run, of the sample that the test before takes along its diagonals."""
    every = trials(EVERY, 1)
    names = [name for place, name in enumerate(SINGLE) if (place + finals) % every == 0]
    verdicts = {name: outcome(SINGLE[name], finals)[1] for name in names}
    others = {name: verdict for name, verdict in verdicts.items() if verdict != "right"}
    assert len(others) <= 0.15 * len(verdicts), others


# -- the testers -----------------------------------------------------------------------------------------------------


def made_up(*said, ok=False, verdict="wrong", first="do"):
    """A report that says (kind, tensor, text) each."""
    said = [Diagnosis(*one, 0.0, group) for group, one in enumerate(said)]
    return SimpleNamespace(ok=ok, verdict=verdict, first_wrong=first, diagnoses=said)


ONE = (("argument: do", r"tanh\(c'\)", "argument: dA.o"),)
TWO = (*ONE, ("factor N: db; factor T: db dW*", "N", ""))
TRUE = ("argument", "do", "do = dh' * c'  ->  do = dh' * tanh(c')")
MEAN = ("factor N", "db", "db += dA.sum(axis=0) / N  ->  db += dA.sum(axis=0)")
LINEAR = ("protocol: linear", "dh", "is not linear")
JUDGED = {
    "nothing found": (made_up(ok=True, verdict="right"), ONE, "missed"),
    "not looked at": (made_up(verdict="unchecked"), ONE, "missed"),
    "rounding": (made_up(TRUE, ok=True, verdict="precision"), ONE, "missed"),
    "the place": (made_up(), ONE, "place only"),
    "another place": (made_up(first="df"), ONE, "wrong"),
    "no place": (made_up(first=None), ONE, "wrong"),
    "the truth": (made_up(TRUE), ONE, "right"),
    "the truth, elsewhere": (made_up(TRUE, first="df"), ONE, "wrong"),
    "another kind": (made_up(("sign", *TRUE[1:])), ONE, "wrong"),
    "another tensor": (made_up(("argument", "df", TRUE[2])), ONE, "wrong"),
    "what is true of final gradients": (made_up(("argument", "dA.o", TRUE[2])), ONE, "wrong"),
    "another quantity": (made_up((*TRUE[:2], "do = dh' * tanh(c')  ->  do = dh' * c'")), ONE, "wrong"),
    "no arrow": (made_up((*TRUE[:2], "tanh(c') belongs there")), ONE, "right"),
    "the truth and more": (made_up(TRUE, MEAN), ONE, "wrong"),
    "one of two": (made_up(TRUE), TWO, "in part"),
    "both": (made_up(TRUE, MEAN), TWO, "right"),
    "neither": (made_up(), TWO, "place only"),
    "one of two and a lie": (made_up(TRUE, ("sign", "dc'", "")), TWO, "wrong"),
    "a lie of an odd one": (made_up(TRUE), (), "wrong"),
    "nothing of an odd one": (made_up(), (), "place only"),
    "a manner that is kept": (made_up(LINEAR), ONE, "wrong"),
    "a manner that is broken": (made_up(("protocol: zero", "dh", ""), TRUE), ONE, "right"),
    "a manner, of an odd one": (made_up(("protocol: zero", "dh", "")), (), "place only"),
}  # fmt: skip


@pytest.mark.parametrize("name", JUDGED)
def test_the_judge_judges(name):
    report, expected, verdict = JUDGED[name]
    assert judge(report, expected, False, ["zero"], "do dA") == verdict


def test_the_judge_knows_what_final_gradients_cannot_tell():
    said = ("argument", "dA.o", TRUE[2])
    assert judge(made_up(said, first="dWx"), ONE, True, [], "do") == "right"
    assert judge(made_up(said), (("argument: do", "", ""),), True) == "wrong"


@pytest.mark.parametrize(("left", "verdict"), [("dh' * c'", "right"), ("dh' * c", "wrong")])
def test_a_line_that_is_not_so_in_the_numbers_is_wrong(left, verdict, monkeypatch):
    said = made_up(("argument", "do", f"do = {left}   ->   do = dh' * tanh(c')"))
    monkeypatch.setattr(judging, "check_backward", lambda cell, f: said)
    assert outcome.__wrapped__(SINGLE["lstm in the loop: do with c'"], False)[1] == verdict


def test_what_no_number_tells_apart_is_one_statement():
    report = made_up(TRUE, ("sign", "dc'", ""))
    report.diagnoses[1].group = 0
    assert judge(report, ONE, False, [], "do") == "right"


def test_the_judge_wants_what_was_expected_of_the_manners():
    expected = (("protocol: modified: *", "", ""),)
    assert judge(made_up(("protocol: modified", "dh", "")), expected, False, ["modified"]) == "right"
    assert judge(made_up(), expected, False, ["modified"]) == "place only"


def test_pairs_are_read():
    assert pairs("factor N: db; not transposed: dh d*") == [
        ("factor N", "db"), ("not transposed", "dh"), ("not transposed", "d*")]  # fmt: skip
    assert pairs("sign: dA.f") == [("sign", "dA.f"), ("path sign", "dA")]
    assert pairs("step: do") == [("step", "do"), ("operand", "do")]
    assert [kind for kind, _ in dict.fromkeys(pairs("activation: do"))] == [
        "activation", "derivative", "argument", "operand"]  # fmt: skip
    assert pairs("") == []


def test_lines_are_those_expected_that_are_there():
    every = ["dh'", "do", "dA", "dWx", "dh"]
    mutant = Mutant("lstm in the loop", (), (("sign: do dA.o", "", ""), ("cut: dh", "", "")))
    assert lines(mutant, every) == ["do", "dA", "dh", "dh'"] and lines(mutant, ["dh"]) == ["dh"]
    assert lines(Mutant("lstm in the loop", (), (("sign: *", "", ""),)), every) == []
    assert lines(Mutant("lstm in the loop", (), at="do dx"), every) == ["do"]


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
