"""One-to-many: one vector to a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.tensor import Tensor
from ..nn import Embedding, Linear, Recurrent
from ..nn.evaluating import evaluating
from ..nn.layers import as_dtype
from ..nn.parameter import generator
from ..ops import softmax_cross_entropy
from .answers import Answers
from .decoding import after_end, search, shifted


class OneToMany(Answers):
    """One-to-many: a vector x (N, D) -> tokens (N, S), as a caption from the features of an image.  Equal to::

        h = affine_in(x)                                    # the first state h; c, if there is one, is zero
        hs, _ = recurrent(embed([start, ts[:, :-1]]), h)    # in training: the tokens before (teacher forcing)
        scores = affine(hs)                                 # (N, S, V)

    V tokens, vectors of ``embed`` numbers, H units. ``start`` is the id that begins every sequence; a sequence ends
    with the id ``end``, if there is one. Targets of -1 do not count.
    """

    whole = True

    def __init__(
        self,
        D: int,
        V: int,
        H: int,
        *,
        start: int,
        end: int | None = None,
        embed: int = 16,
        cell: Cell | str = "gru",
        rng: Any,
    ):
        rng, self.start, self.end = generator(rng, "OneToMany"), start, end
        self.affine_in = Linear(D, H, rng=rng)
        self.embed = Embedding(V, embed, rng=rng, init="normal")
        self.recurrent = Recurrent(cell, D=embed, H=H, rng=rng)
        self.affine = Linear(H, V, rng=rng)

    def first_state(self, x: Any) -> tuple[Tensor, ...]:
        """The state before the first step: h from x, all else zero."""
        h = self.affine_in(as_dtype(x, self.affine.W.dtype))
        zeros = self.recurrent.cell.zero_state(len(h), self.recurrent.params, h.dtype)
        return (h, *map(Tensor, zeros[1:]))

    def forward(self, ids: Any, state: Any) -> tuple[Tensor, Any]:
        """Scores of the tokens after ``ids`` (N, S), and the state."""
        hs, state = self.recurrent(self.embed(ids), state)
        return self.affine(hs), state

    def loss(self, x: Any, targets: Any) -> Tensor:
        """The mean cross-entropy of the tokens ``targets`` (N, S) that are not -1, a scalar Tensor."""
        scores, _ = self(shifted(targets, self.start), self.first_state(x))
        return softmax_cross_entropy(scores, targets)

    def predict(self, x: Any, lengths: Any = None, *, length: int = 20, beam: int = 1) -> np.ndarray:
        """The tokens (N, length) for each x, -1 after ``end``; ``beam`` above 1 searches for likelier ones."""
        with evaluating(self):
            ids = search(lambda ids, state: _last(self(ids[:, None], state)), self.first_state(x), self.start,
                         length, beam=beam, end=self.end)  # fmt: skip
        return after_end(ids, self.end)

    def answers(self, xs: Any, ts: np.ndarray, lengths: Any = None) -> np.ndarray:
        return self.predict(xs, length=ts.shape[1])


def _last(result: tuple[Tensor, Any]) -> tuple[Tensor, Any]:
    return result[0][:, -1], result[1]
