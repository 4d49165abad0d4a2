"""One-to-many: one vector to a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.tensor import Tensor, value
from ..nn import Embedding, Linear, Recurrent
from ..nn.evaluating import evaluating
from ..nn.parameter import check_sizes, generator
from ..ops import softmax_cross_entropy
from .answers import Answers, check_shape
from .decoding import after_end, check_tokens, search, shifted


class OneToMany(Answers):
    """One-to-many: a vector x (N, D) -> tokens (N, S), as a caption from the features of an image.  Equal to::

        h = affine_in(x)                                    # the first state h; c, if there is one, is zero
        hs, _ = recurrent(embed([start, ts[:, :-1]]), h)    # in training: the tokens before (teacher forcing)
        scores = affine(hs)                                 # (N, S, V)

    V tokens, vectors of ``embed`` numbers, H units. ``start`` is the id that begins every sequence; a sequence ends
    with the id ``end``, if there is one. Targets of -1 do not count. Raises InvalidValue for a ``start`` or an
    ``end`` that is no id, ShapeError for x that is not (N, D).
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
        check_sizes("OneToMany", D=D, V=V, H=H, embed=embed)
        check_tokens("OneToMany", V, start, end)
        self.affine_in = Linear(D, H, rng=rng)
        self.embed = Embedding(V, embed, rng=rng, init="normal")
        self.recurrent = Recurrent(cell, D=embed, H=H, rng=rng)
        self.affine = Linear(H, V, rng=rng)

    def first_state(self, x: Any) -> tuple[Tensor, ...]:
        """The state before the first step: h from x, all else zero."""
        check_shape("OneToMany", "x", x, "N", self.affine_in.weight.shape[0])
        h = self.affine_in(x)
        return (h, *self.recurrent.zero_state(len(h))[1:])

    def forward(self, x: Any, targets: Any) -> Tensor:
        check_shape("OneToMany", "targets", targets, len(value(x)), "S")
        hs, _ = self.recurrent(self.embed(shifted(targets, self.start)), self.first_state(x))
        return self.affine(hs)

    def step(self, ids: Any, state: Any) -> tuple[Tensor, Any]:
        """One step of generation: ids (N,) of the tokens before -> scores (N, V) of the next tokens, new state."""
        hs, state = self.recurrent(self.embed(np.asarray(ids)[:, None]), state)
        return self.affine(hs[:, 0]), state

    def loss(self, x: Any, targets: Any, lengths: Any = None) -> Tensor:
        """The mean cross-entropy of the tokens ``targets`` (N, S) that are not -1, a scalar Tensor.

        ``lengths``, the third array of a batch of `data.batches`, is that of the vectors, and is not used.
        """
        return softmax_cross_entropy(self(x, targets), np.asarray(value(targets)))

    def predict(self, x: Any, lengths: Any = None, *, length: int = 20, beam: int = 1) -> np.ndarray:
        """The tokens (N, length) for each x, -1 after ``end``; ``beam`` above 1 searches for likelier ones."""
        with evaluating(self):
            ids = search(self.step, self.first_state(x), self.start, length, beam=beam, end=self.end)
        return after_end(ids, self.end)

    def answers(self, xs: Any, ts: np.ndarray, lengths: Any = None) -> np.ndarray:
        return self.predict(xs, length=ts.shape[1])
