"""Test the tests: plant one error in each gradient rule of each operation, and see that the generic checks object.

    cd tests && python -m helpers.rule_mutants [--op NAME]

Every rule is a mutant four times: sign flipped, doubled, zeroed, and zeroed for one element only; its cheaper forms
likewise, and once so that a part of the sum is lost.  Prints operation, rule, form, mutant, caught or missed; exits
with 1 if one is missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from helpers.op_checks import check_gradients, smooth_sample
from helpers.op_samples import INNER, Sample, pairs
from tinygrad_rnn.engine.op import OPS, OpRule


def _but_one(g: Any) -> Any:
    """g with a zero in place of its largest element."""
    size = np.abs(getattr(g, "_array", g))
    return g * (size != size.max(initial=0))


#: What becomes of the result of a rule.
MUTANTS: dict[str, Callable[[Any], Any]] = {
    "sign flipped": lambda g: -g,
    "doubled": lambda g: g * 2,
    "zeroed": lambda g: g * 0,
    "one element zeroed": _but_one,
}


def _rules() -> Iterator[tuple[str, str, OpRule]]:
    for name, spec in OPS.items():
        for argument, rule in spec.rules.items():
            yield name, argument, rule


def _fn_mutants(rule: OpRule, flat: bool) -> Iterator[tuple[str, str, Any]]:
    """(slot, what is planted, the mutant) for the rule itself; one that is 0 everywhere passes dy on instead."""
    right = rule.fn
    if flat:
        yield "fn", "dy added", lambda dy, *kept: right(dy, *kept) + dy
        return
    for text, change in MUTANTS.items():
        yield "fn", text, lambda dy, *kept, change=change: change(right(dy, *kept))


def _into_mutants(into: Any) -> Iterator[tuple[str, str, Any]]:
    for text, change in MUTANTS.items():

        def mutant(total: Any, dy: Any, *kept: Any, change: Any = change) -> None:
            g = np.zeros_like(total)
            into(g, dy, *kept)
            total += change(g)

        yield "accumulate_into", text, mutant

    def forgetful(total: Any, dy: Any, *kept: Any) -> None:
        total[...] = 0
        into(total, dy, *kept)

    yield "accumulate_into", "a part lost", forgetful


def _cheaper_mutants(rule: OpRule) -> Iterator[tuple[str, str, Any]]:
    """The same for the forms of the rule that write in place, or take several uses at once."""
    if rule.accumulate_into is not None:
        yield from _into_mutants(rule.accumulate_into)
    for slot in ("inplace_dy", "sum_over_uses"):
        if (right := getattr(rule, slot)) is not None:
            for text, change in MUTANTS.items():
                yield slot, text, lambda *args, right=right, change=change: change(right(*args))
    if (together := rule.sum_over_uses) is not None:
        yield "sum_over_uses", "a part lost", lambda *calls: together(*(call[1:] for call in calls))


@contextmanager
def planted(rule: OpRule, slot: str, mutant: Any) -> Iterator[None]:
    right = getattr(rule, slot)
    setattr(rule, slot, mutant)
    try:
        yield
    finally:
        setattr(rule, slot, right)


def samples_of(name: str) -> list[Sample]:
    """The samples of an operation, or of the one through which an inner one is tested."""
    wanted = INNER.get(name, name)
    found = [smooth_sample(subject, case) for _, subject, case in pairs() if subject.name == wanted]
    return [s for s in found if s.floats and s.subject is OPS.get(wanted)]


def _is_flat(rule: OpRule, samples: list[Sample]) -> bool:
    """Is the rule 0 on all samples, as that of floor is?"""
    seen: list[float] = []
    right = rule.fn

    def watched(dy: Any, *kept: Any) -> Any:
        g = right(dy, *kept)
        seen.append(float(np.abs(np.asarray(getattr(g, "_array", g))).max(initial=0)))
        return g

    with planted(rule, "fn", watched):
        for s in samples:
            check_gradients(s)
    return bool(seen) and max(seen) == 0


def caught(samples: list[Sample]) -> bool:
    """Does a check object on any sample?"""
    try:
        for s in samples:
            check_gradients(s)
    except Exception:  # wrong shapes and failed asserts alike
        return True
    return False


def run(only: str | None = None) -> Iterator[tuple[str, str, str, str, bool]]:
    """(operation, argument, form of the rule, mutant, caught) for every mutant."""
    for name, argument, rule in _rules():
        if only not in (None, name):
            continue
        samples = samples_of(name)
        assert not caught(samples), f"{name}: the checks object to the rule as it is"
        for slot, text, mutant in [*_fn_mutants(rule, _is_flat(rule, samples)), *_cheaper_mutants(rule)]:
            with planted(rule, slot, mutant):
                yield name, argument, slot, text, caught(samples)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--op", help="one operation only")
    only = parser.parse_args().op
    if only is not None and only not in OPS:
        parser.error(f"--op: no operation {only}")
    rows = list(run(only))
    for name, argument, slot, text, found in rows:
        print(f"{name:24} d{argument:10} {slot:6} {text:20} {'caught' if found else 'MISSED'}")
    cases = sum(len(spec.cases) for name, spec in OPS.items() if only in (None, name))
    operations = len(dict.fromkeys(row[0] for row in rows))
    print(f"{operations} operations, {cases} cases, {len(rows)} mutants, {sum(row[-1] for row in rows)} caught")
    return 0 if all(row[-1] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
