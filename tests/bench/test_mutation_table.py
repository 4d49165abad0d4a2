"""The table of mutants prints what the judge says; no time is asserted."""

import pytest

import mutation_table
from helpers.more_mutants import TABLES
from helpers.mutants import SINGLE
from tinygrad_rnn.check import Diagnosis, Report

NAME = "lstm in the loop: do with c'"
SAID = {
    "right": (Diagnosis("argument", "do", "do = a | b  ->  do = tanh(c')", 0.0), r"`do = a \| b  ->  do = tanh(c')`"),
    "wrong": (Diagnosis("sign", "do", "its sign is flipped", 0.0), "its sign is flipped"),
    "place only": (None, "(first wrong: None)"),
}


@pytest.mark.parametrize("verdict", SAID)
def test_the_table_has_a_line_for_each_form_and_totals(verdict, monkeypatch, capsys):
    one, cell = SAID[verdict]
    report = Report("made up", diagnoses=[one] if one else [])
    monkeypatch.setattr(mutation_table, "outcome", lambda mutant, finals: (report, verdict, 0.25 + finals))
    monkeypatch.setitem(TABLES, "single", {NAME: SINGLE[NAME]})
    monkeypatch.setattr("sys.argv", ["mutation_table.py", "--kind", "single"])
    mutation_table.main()
    out = capsys.readouterr().out.splitlines()
    assert f"| {NAME} | finals | yes | {cell} | {verdict} |" in out
    numbers = " | ".join(str(int(one == verdict)) for one in mutation_table.VERDICTS)
    assert f"| single | intermediates | {numbers} | 1 |" in out and out[-1] == "2 checks in 2 s, 1.2 s at most"
