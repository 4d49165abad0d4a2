"""What `check_backward` says of backpropagation through time with mistakes: ``python tests/bench/mutation_table.py``.

A table in Markdown: each mutant, with the gradients by what a step computes and with the final ones only; then totals.
The verdict on what is said is that of tests/helpers/judging.py.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from helpers.judging import outcome
from helpers.more_mutants import TABLES

FORMS = {"intermediates": False, "finals": True}
VERDICTS = ("right", "in part", "place only", "wrong", "missed")


def said(report) -> str:
    """The diagnoses in a cell of a table, or the place."""
    texts = [f"`{one.text}`" if "->" in one.text else one.text for one in report.diagnoses]
    return " <br> ".join(texts or [f"(first wrong: {report.first_wrong})"]).replace("|", "\\|")


def row(name: str, mutant, form: str) -> tuple[str, str, float]:
    """One line of the table, its verdict and seconds."""
    report, verdict, seconds = outcome(mutant, FORMS[form])
    caught = "no" if verdict == "missed" else "yes"
    return f"| {name} | {form} | {caught} | {said(report)} | {verdict} |", verdict, seconds


def table(kind: str, forms: list[str]) -> tuple[Counter, list[float]]:
    """Print the rows of one kind of mistakes; how often each verdict came, by form, and the seconds."""
    print(f"\n**{kind}**\n\n| mutant | returned | caught | diagnosis | verdict |\n| --- | --- | --- | --- | --- |")
    count: Counter = Counter()
    times = []
    for name, mutant in TABLES[kind].items():
        for form in forms:
            line, verdict, seconds = row(name, mutant, form)
            print(line, flush=True)
            count[form, verdict] += 1
            times.append(seconds)
    return count, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=TABLES, action="append", help="which mistakes (all)")
    parser.add_argument("--form", choices=FORMS, action="append", help="what is returned (both)")
    args = parser.parse_args()
    forms = args.form or list(FORMS)
    found = {kind: table(kind, forms) for kind in args.kind or TABLES}
    print(f"\n| | returned | {' | '.join(VERDICTS)} | of |\n|{' --- |' * (len(VERDICTS) + 3)}")
    for kind, (count, _) in found.items():
        for form in forms:
            numbers = [count[form, verdict] for verdict in VERDICTS]
            print(f"| {kind} | {form} | {' | '.join(map(str, numbers))} | {sum(numbers)} |")
    times = [one for _, seconds in found.values() for one in seconds]
    print(f"\n{len(times)} checks in {sum(times):.0f} s, {max(times):.1f} s at most")


if __name__ == "__main__":
    main()
