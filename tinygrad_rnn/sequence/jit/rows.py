"""Loops over the same rows as one loop, so that what a row is computed from is still in the first cache.

::

    for n_ in range(20):                        for n_ in range(20):
        for j_ in range(400):                       for j_ in range(400):
            a[n_, j_] = x[t, n_, j_] * 2    ->          a[0, j_] = x[t, n_, j_] * 2
    for n_ in range(20):                            for j_ in range(400):
        for j_ in range(400):                           y[t, n_, j_] = a[0, j_] + 1
            y[t, n_, j_] = a[n_, j_] + 1

A value of the step that only this loop uses needs memory for one row.

Where no row is read in another row, two threads may compute half of the rows each: loops go over
``range(part * 10, part * 10 + 10)``, and products take these rows of their left operand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

ELEMENT = re.compile(r"\b(\w+)\[([^\[\]]*)\]")
HEAD = "for n_ in range("


def merged(lines: Sequence[str]) -> list[list[str]]:
    """The lines as blocks, each a loop with its body or a single line; neighbouring loops over rows are one."""
    blocks: list[list[str]] = []
    for line in lines:
        if line.startswith(" "):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    result: list[list[str]] = []
    for block in blocks:
        if result and block[0].startswith(HEAD) and block[0] == result[-1][0] and _fit(result[-1], block):
            result[-1] += block[1:]
        else:
            result.append(block)
    return result


def _fit(first: Sequence[str], second: Sequence[str]) -> bool:
    """May a row of the second loop be computed right after that row of the first?"""
    before, after = _accesses(first), _accesses(second)
    written = [name for name in before if name in after and (before[name][0] or after[name][0])]
    return all(before[name][1] and after[name][1] for name in written)


def _accesses(block: Sequence[str]) -> dict[str, tuple[bool, bool]]:
    """For each array: is it written, and is each of its elements in the row of the loop?"""
    result: dict[str, tuple[bool, bool]] = {}
    local = [line.split()[0] for line in block if "= local(" in line]
    for line in block:
        left = line.partition(" = ")[0].strip()
        for match in ELEMENT.finditer(line):
            name, index = match.group(1), match.group(2).split(", ")
            written, of_row = result.get(name, (False, True))
            place = index[1:] if index[0] in ("t", "t + 1") else index
            if name not in local:
                result[name] = written or left == match.group(0), of_row and place[:1] == ["n_"]
    return result


def of_one_row(blocks: Sequence[list[str]], names: Iterable[str], row: str = "0") -> list[str]:
    """Those of the arrays ``names`` that a single loop over rows uses; their index of the row becomes ``row``."""
    result = []
    for name in names:
        users = [block for block in blocks if any(re.search(rf"\b{name}\b", line) for line in block)]
        if len(users) == 1 and users[0][0].startswith(HEAD) and _accesses(users[0]).get(name, (True, False))[1]:
            users[0][:] = [re.sub(rf"\b{name}\[n_\b", f"{name}[{row}", line) for line in users[0]]
            result.append(name)
    return result


def apart(blocks: Sequence[Sequence[str]], rows: int) -> bool:
    """Is each of ``rows`` rows computed from itself alone, by loops over rows and by products with weights?"""
    accesses = [_accesses(block) for block in blocks if not block[0].startswith("multiply(")]
    heads = [block[0] for block in blocks if not block[0].startswith("multiply(")]
    written = [name for access in accesses for name in access if access[name][0]]
    in_row = all(access[name][1] for access in accesses for name in written if name in access)
    return bool(heads) and in_row and all(head == f"{HEAD}{rows}):" for head in heads)


def of_part(blocks: Sequence[list[str]], rows: int) -> None:
    """Change loops and products so that they go over the rows of a ``part`` alone, which are ``rows``."""
    for block in blocks:
        if block[0].startswith(HEAD):
            block[0] = f"{HEAD}part * {rows}, part * {rows} + {rows}):"
        else:
            block[0] = re.sub(r"rows\((\w+), ([^,]*), (\d+)\)", rf"rows(\1, \2 + part * {rows} * \3, \3)", block[0])
