"""The date task: a day, written in one of many ways, as an ISO date."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from .numbers import START
from .task import FIXED, Space, Task

# English, whatever the locale.
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FIRST, LAST = date(1950, 1, 1), date(2049, 12, 31)  #: a century, so that two digits of a year tell which


def ordinal(day: int) -> str:
    """``1st 2nd 3rd 4th ... 11th 12th 13th ... 21st ...``"""
    last = 0 if 10 < day < 20 else day % 10
    return str(day) + {1: "st", 2: "nd", 3: "rd"}.get(last, "th")


def month(day: date) -> str:
    """The English name of the month."""
    return MONTHS[day.month - 1]


#: The spellings. No two dates have one spelling in common; numbers alone are month, day, year.
SPELLINGS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{month(d)} {d.day}, {d.year}",
    lambda d: f"{d.day} {month(d)} {d.year}",
    lambda d: f"{DAYS[d.weekday()]}, {month(d)} {d.day}, {d.year}",
    lambda d: f"{month(d)} {ordinal(d.day)}, {d.year}",
    lambda d: f"the {ordinal(d.day)} of {month(d)} {d.year}",
    lambda d: f"{month(d)[:3].upper()} {d.day} {d.year}",
    lambda d: f"{d.day}-{month(d)[:3]}-{d.year % 100:02}",
    lambda d: f"{month(d)[:3]} {d.day} '{d.year % 100:02}",
    lambda d: f"{d.month}/{d.day}/{d.year}",
    lambda d: f"{d.month}/{d.day}/{d.year % 100:02}",
)


def dates(*, sizes: tuple[int, int, int] = (45_000, 2500, 2500), seed: int = 0) -> Task:
    """Sequence to sequence: a date in one of ten spellings as an ISO date, ``"Sep 7 '94" -> "1994-09-07"``.

    Inputs have 6 to 29 characters, targets ten. Every day from 1950 to 2049 in every spelling is equally likely; the
    two-digit years 50 to 99 are those of the 20th century. Month names are English on every machine. ``start`` is
    ``"_"``. Chance, of the whole answer, is ``1 / 36525``, one over the number of days. The characters of the task are
    those of its spellings, in the order of their codes. (After *Deep Learning from Scratch 2*, section 8.3.)
    """

    def example(i: int) -> tuple[list[str], list[str]]:
        number, spelling = divmod(i, len(SPELLINGS))
        day = date.fromordinal(FIRST.toordinal() + number)
        return list(SPELLINGS[spelling](day)), list(day.isoformat())

    days = LAST.toordinal() - FIRST.toordinal() + 1
    every = "".join([*MONTHS, *(name[:3].upper() for name in MONTHS), *DAYS, "the of stndrdth0123456789 ,-/'"])
    vocab = (*sorted(dict.fromkeys(every)), START)
    options = {"start": vocab.index(START)}
    return Space(days * len(SPELLINGS), example, vocab, vocab, {FIXED: 1 / days}, options).draw("dates", sizes, seed)
