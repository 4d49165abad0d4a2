"""Operations that draw random numbers from a generator that the caller passes."""

from __future__ import annotations

import numpy as np

from ..engine.op import case, op
from ..engine.shape import broadcast
from ..errors import InvalidType, InvalidValue


@op(broadcast, keeps=["mask"], cases=[
    case((3, 4), rate=0.5), case((3, 4), rate=0.0),
    case((3,), rate=1.0, raises="dropout: rate is 1.0, should be at least 0 and less than 1; x is (3,)"),
])  # fmt: skip
def dropout(x, *, rate=0.5, rng=None):
    """Each element 0 with probability ``rate``, else divided by 1 - rate (Srivastava et al. 2014, inverted).

    ``rng`` (a NumPy generator) draws a new mask at every call; evaluate without calling it.  dx = dy ⊙ mask.
    """
    if not 0 <= rate < 1:
        raise InvalidValue(f"rate is {rate}, should be at least 0 and less than 1")
    if rng is None:
        raise InvalidType("rng is missing, should be a NumPy generator: dropout(x, rate=0.5, rng=rng)")
    dtype = np.result_type(x, np.float16)
    keep = rng.random(np.shape(x), dtype=np.float32) >= rate
    mask = keep.astype(dtype) / dtype.type(1 - rate)
    return x * mask, mask


dropout.vjp(x=lambda dy, mask: dy * mask)
