"""Long runs in parts: how a sweep is cut, and what it says in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

#: A full sweep is a test in so many parts, which run beside each other under ``pytest -n``.
PARTS = 20
in_parts = pytest.mark.parametrize("part", range(PARTS))


def seeds(part: int, count: int) -> range:
    """The seeds of one part of a sweep over ``count``: every part has some in every run."""
    return range(part, max(count, PARTS), PARTS)


def assert_all_right(failure: Callable[[int], str], numbers: Iterable[int]) -> None:
    """Run ``failure`` on every seed; it returns what is wrong, or nothing. The first three are printed whole."""
    wrong = {seed: text for seed in numbers if (text := failure(seed))}
    shown = "\n\n".join(f"seed {seed}: {text}" for seed, text in list(wrong.items())[:3])
    assert not wrong, f"{len(wrong)} seeds are wrong: {list(wrong)[:40]}\n\n{shown}"
