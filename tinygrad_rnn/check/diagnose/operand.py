"""An operand through which a gradient goes back: the line that says what, and what may go wrong with any such line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...formula.numpy_functions import traits
from .as_python import enclosed
from .candidates import Seen, Slots
from .tape import Change, Edit, Line, Slot, Tape
from .wording import Words

#: Factors, as they are written, by the counts of a case.
FACTORS: dict[str, tuple[str, Callable[[dict[str, int]], float]]] = {
    "-{r}": ("sign", lambda n: -1.0),
    "2 * {r}": ("factor", lambda n: 2.0),
    "{r} / 2": ("factor", lambda n: 0.5),
    "N * {r}": ("factor N", lambda n: n["N"]),
    "{r} / N": ("factor N", lambda n: 1 / n["N"]),
    "T * {r}": ("factor T", lambda n: n["T"]),
    "{r} / T": ("factor T", lambda n: 1 / n["T"]),
    "{r} / (N * T)": ("factor N T", lambda n: 1 / (n["N"] * n["T"])),
}


#: What it is if the line is one of several that are added up.
OF_SEVERAL = {"-{r}": "path sign", "2 * {r}": "path doubled"}
#: The same, as what is too many.
SAID = {form: f"   (a factor {form.replace('{r}', '1').removesuffix(' * 1')} too many)" for form in FACTORS}
SAID["-{r}"] = ""
SAME = "it is the right line"


class Place:
    """An operand of a line, through which a gradient goes back."""

    def __init__(self, words: Words, slots: Slots, slot: Slot, target: int, source: int):
        self.words, self.slots, self.slot, self.target, self.source = words, slots, slot, target, source
        self.tape, self.tensor = words.tape, words.tensor(target, slot[1] or 0)
        self.right = words.part(target, slot[1] or 0)
        self.dy = enclosed(words.gradient(target))
        stretched = self.tape.values[source].shape != self.tape.values[target].shape
        elementwise = stretched and traits(self.tape.values[target].op).form == "product"
        self.whole = words.part_of(words.gradient(target), target, slot[1] or 0, True) if elementwise else self.right
        self.op = self.tape.values[target].op

    def silent(self) -> bool:
        """Is it nothing that one writes: the slice of a parameter, or what an addition passes on to a sum inside?"""
        one = self.tape.values[self.source]
        cut = self.op == "getitem"
        sum_inside = one.op == "add" and self.op == "add"
        return cut or one.kind == "constant" or sum_inside

    def edit(self, kind: str, wrong: str, change: Change, rank: int = 1, said: str = "") -> Edit:
        text = self.words.replaced(self.target, self.slot[1] or 0, wrong) + said if wrong != self.right else SAME
        return Edit(kind, self.tensor, text, along={self.slot: change}, rank=rank,
                    way=self.words.named_way(self.target, self.slot[1] or 0))  # fmt: skip

    def factors(self) -> Iterator[Edit]:
        if self.words.hidden(self.source):
            return  # what is written is the line of what it is made of
        several = self.words.several(self.source)
        for form, (kind, number) in FACTORS.items():
            kind = OF_SEVERAL.get(form, kind) if several else kind
            said = SAID.get(form, "")
            if "T" not in form or self.tape.counts.get("T", 1) > 1:
                wrong = form.format(r=enclosed(self.right) if form[0] == "-" else self.right)
                yield self.edit(kind, wrong, times(number), 0, said)
        yield self.edit("path missing" if several else "missing", "0", times(lambda n: 0.0), 0)

    def written(self, factor: str = "") -> str:
        """``dy``, or a product with it."""
        return self.words.summed(f"{self.dy} * {factor}" if factor else self.dy, self.target, self.slot[1] or 0)

    def further(self, factor: str) -> str:
        """The right line with a factor too many."""
        return self.words.summed(f"{self.whole} * {factor}", self.target, self.slot[1] or 0)

    def multiplied(self, seen: Seen, k: int) -> str:
        return f"{self.dy} @ {seen.atom}.T" if k == 0 else f"{seen.atom}.T @ {self.dy}"

    def one_way(self) -> Iterator[Edit]:
        """The dy of the line is not all of it: one of the ways that add up to it is left out, on this line only."""
        total = self.words.passed_on(self.target)
        if not self.words.shared(total):
            return
        for seen in self.slots.ways(total):
            told = f"{self.right}, where {self.words.gradient_name(total)} has no {seen.label}"
            yield self.edit("path missing", told, _without(seen.number, self.slot, self.tape.site[total]), 2)


def times(number: Callable[[dict[str, int]], float]) -> Change:
    return lambda tape, t, dy, part: part * number(tape.counts)


def _without(way: Any, slot: Slot, total: Line) -> Change:
    """The part that goes back if one way into the ``total`` had been forgotten on this line."""

    def change(tape: Tape, t: int, dy: Any, part: Any) -> Any:
        number, upper = tape.lines[slot[0]][t], tape.lines[total][t]
        gone = [one for key, one in tape.parts[upper] if tape.way(key, upper) == way]
        if not gone:
            return part
        rule = next(one for one in tape.ways[number] if one[0] == slot[1])
        return rule[2](dy - sum(gone), *rule[3])

    return change
