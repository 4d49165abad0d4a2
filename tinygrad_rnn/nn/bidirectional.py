"""`Bidirectional`: a layer that reads a sequence from both ends."""

from __future__ import annotations

from typing import Any

from ..cells.cell import Cell
from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue
from ..ops import concatenate
from .module import Module
from .parameter import generator
from .recurrent import Recurrent, over_time

MERGES = ("concat", "sum")


class Bidirectional(Module):
    """Two recurrent layers, one of which reads backward (Schuster and Paliwal 1997): ``hs, state = layer(xs)``.

    Equal to::

        hs_ahead, state_ahead = ahead(xs, state[0], lengths=lengths)
        hs_behind, state_behind = behind(xs, state[1], lengths=lengths)
        hs = concatenate([hs_ahead, hs_behind], axis=-1)      # merge="sum": hs_ahead + hs_behind

    xs (N, T, D) -> hs (N, T, 2H), or (N, T, H) by the sum; state is the tuple of the two. ``behind`` starts at the last
    step of each row, so with ``lengths`` the output of a row is that of the row alone, whatever the padding holds, NaN
    too. ``options`` are those of `Recurrent`. Raises InvalidValue for another ``merge``.
    """

    def __init__(self, cell: Cell | str, *, rng: Any, merge: str = "concat", **options: Any):
        if merge not in MERGES:
            raise InvalidValue(f"Bidirectional: merge is {merge!r}, should be {' or '.join(MERGES)}")
        if "reverse" in options or "stateful" in options:
            raise InvalidType("Bidirectional: it reads both ways from zeros or from the state of the call, "
                            "should be without reverse= and stateful=")  # fmt: skip
        rng, self.merge = generator(rng, "Bidirectional"), merge
        self.ahead = Recurrent(cell, rng=rng, **options)
        self.behind = Recurrent(cell, rng=rng, reverse=True, **options)

    def forward(
        self, xs: Any, state: Any = None, *, lengths: Any = None
    ) -> tuple[Tensor, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
        if state is not None and not (isinstance(state, (tuple, list)) and len(state) == 2):
            raise InvalidType("Bidirectional: state should be a tuple of two, the states of ahead and of behind")
        ahead, behind = (None, None) if state is None else state
        xs = over_time(xs)
        hs, last = self.ahead(xs, ahead, lengths=lengths)
        back, first = self.behind(xs, behind, lengths=lengths)
        return self.merged(hs, back), (last, first)

    def merged(self, ahead: Tensor, behind: Tensor) -> Tensor:
        """Two arrays of the two layers joined: (..., 2H), or (..., H) by the sum."""
        return concatenate([ahead, behind], axis=-1) if self.merge == "concat" else ahead + behind

    @property
    def width(self) -> int:
        """The size of the output: 2H, or H by the sum."""
        return self.ahead.width * (2 if self.merge == "concat" else 1)

    def __repr__(self) -> str:
        return f"Bidirectional({self.ahead!r}, merge={self.merge!r})"
