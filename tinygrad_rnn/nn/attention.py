"""`Attention`: a weighted mean over the outputs of an encoder."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..cells import initializers as schemes
from ..engine.tensor import Tensor, value
from ..errors import InvalidType, InvalidValue, ShapeError
from ..sequence.call import length_mask
from .layers import as_dtype
from .module import Module
from .parameter import check_sizes, generator, parameter

SCORES = ("dot", "general")


class Attention(Module):
    """A weighted mean of ``hs`` for every query: ``context, weights = attention(queries, hs)`` (Luong et al. 2015)::

        scores = queries @ hs.T                  # "dot", for each row; "general": queries @ W @ hs.T
        weights = softmax(scores)                # over the steps of hs
        context = weights @ hs

    queries (N, S, H) and hs (N, T, D) -> context (N, S, D), weights (N, S, T). A single query (N, H) gives context
    (N, D) and weights (N, T). ``Attention()`` has no parameters and needs H = D; ``Attention("general", H=4, D=3,
    rng=rng)`` has W (H, D). With ``lengths`` (N,), steps of hs from lengths[n] on have weight 0 in row n, whatever hs
    holds there, NaN too; a row of length 0 has a context of zeros. Raises ShapeError for shapes that do not fit.
    """

    def __init__(
        self,
        score: str = "dot",
        *,
        H: int | None = None,
        D: int | None = None,
        rng: Any = None,
        init: Any = schemes.book,
        dtype: Any = np.float32,
    ):
        if score not in SCORES:
            raise InvalidValue(f"Attention: score is {score!r}, should be {' or '.join(SCORES)}")
        self.score, self.W = score, None
        if score == "general":
            if H is None or D is None:
                raise InvalidType('Attention: sizes are missing, should be Attention("general", H=4, D=3, rng=rng), '
                                "H of the queries and D of hs")  # fmt: skip
            check_sizes("Attention", H=H, D=D)
            array = schemes.draw(init, generator(rng, "Attention"), (H, D), "Attention: W")
            self.W = parameter(array.astype(dtype), "W")

    def forward(self, queries: Any, hs: Any, lengths: Any = None) -> tuple[Tensor, Tensor]:
        dtype = self.W.dtype if self.W is not None else np.result_type(value(queries), value(hs))
        queries, hs = as_dtype(queries, dtype), as_dtype(hs, dtype)
        self._check(queries.shape, hs.shape)
        single = queries.ndim == 2
        queries = ops.expand_dims(queries, axis=1) if single else queries
        if self.W is not None:
            queries = queries @ self.W
        mask = None if lengths is None else length_mask(lengths, hs.shape[0], hs.shape[1], "Attention")
        hs = hs if mask is None else ops.where(mask, hs, 0)
        weights = _weights(queries @ ops.swapaxes(hs, 1, 2), mask)
        context = weights @ hs
        return (context[:, 0], weights[:, 0]) if single else (context, weights)

    def _check(self, queries: tuple[int, ...], hs: tuple[int, ...]) -> None:
        """Raise ShapeError for shapes that do not fit each other or W."""
        H, D = self.W.shape if self.W is not None else (hs[-1], hs[-1])
        if len(hs) != 3 or hs[-1] != D or hs[1] == 0:
            raise ShapeError(f"Attention: hs is {hs}, should be (N, T, D) with D = {D} and T from 1")
        if len(queries) not in (2, 3) or queries[0] != hs[0] or queries[-1] != H:
            wanted = f"(N, S, H) or (N, H) with N = {hs[0]}, H = {H}"
            raise ShapeError(f"Attention: queries is {queries}, should be {wanted}")


def _weights(scores: Tensor, mask: np.ndarray | None) -> Tensor:
    """The softmax of scores (N, S, T) over the steps that ``mask`` (N, T, 1) allows; 0 at all others."""
    if mask is None:
        return ops.softmax(scores)
    allowed = mask.swapaxes(1, 2)
    least = float(np.finfo(scores.dtype).min)  # finite, so that a row of length 0 gives no NaN
    return ops.where(allowed, ops.softmax(ops.where(allowed, scores, least)), 0)
