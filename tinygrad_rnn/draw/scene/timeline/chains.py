"""Chains of operations as one bar, where the text of a picture over time would be too small for a slide.

::

    softmax loss                                       concatenate → affine → softmax loss
    affine            becomes, step by step,
    concatenate
"""

from __future__ import annotations

from collections import Counter

from .elements import Bar
from .units import Units


def joined_chain(units: Units) -> tuple[str, str] | None:
    """The keys of the next two bars to join: the first leads only into the second. None if there are no such bars.

    Those come first where the second reads nothing else that is computed; of several, the last that are computed. Bars
    of one column beside others, as of an operation in every step, stay.
    """
    level = Counter(bar.level for bar in units.bars)
    out, into = Counter[str](), Counter[str]()
    pairs: dict[tuple[str, str], None] = {}
    for wire in units.wires:
        if isinstance(wire.source, Bar):
            out[wire.source.key] += 1
            if isinstance(wire.target, Bar):
                pairs[wire.source.key, wire.target.key] = None
        if isinstance(wire.target, Bar) and not isinstance(wire.source, str):
            into[wire.target.key] += 1
    beside = {bar.key for bar in units.bars if bar.low == bar.high and level[bar.level] > 1}
    chains = [pair for pair in pairs if out[pair[0]] == 1 and not beside.intersection(pair)]
    return min(reversed(chains), key=lambda pair: into[pair[1]], default=None)
