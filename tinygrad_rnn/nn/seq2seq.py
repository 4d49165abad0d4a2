"""`Encoder` and `Decoder`: the two halves of a sequence-to-sequence model."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..cells import initializers as schemes
from ..cells.cell import Cell
from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue
from .attention import Attention
from .bidirectional import Bidirectional
from .layers import Embedding, Linear
from .module import Module
from .parameter import generator
from .stacked import Stacked


class Encoded(NamedTuple):
    """What an `Encoder` returns, and a `Decoder` reads."""

    hs: Tensor  #: (N, T, H), the outputs of the top layer, zero past lengths
    state: tuple[tuple[Tensor, ...], ...]  #: the last states, a tuple for each layer
    lengths: Any  #: (N,) as they were given, or None

    @property
    def h(self) -> Tensor:
        """The last state h of the top layer, (N, H): what a peeky decoder sees at every step."""
        return self.state[-1][0]


class Encoder(Module):
    """Ids (N, T) -> `Encoded`: embedding and recurrent layers. ``encoded = encoder(ids, lengths)``. Equal to::

        hs, state = stacked(embed(ids), lengths=lengths)

    V is the number of ids, D the width of their vectors, H the units of each of ``layers`` layers. ``embedding`` is the
    scheme of the vectors; ``options`` are those of `Stacked`. With ``bidirectional=True`` every layer reads both ways
    (`Bidirectional`). Its states are joined as its outputs are, so the decoder needs 2H units.
    """

    def __init__(
        self,
        V: int,
        D: int,
        H: int,
        *,
        rng: Any,
        cell: Cell | str = "lstm",
        layers: int = 1,
        bidirectional: bool = False,
        embedding: Any = schemes.embedding,
        dtype: Any = np.float32,
        **options: Any,
    ):
        rng = generator(rng, "Encoder")
        self.embed = Embedding(V, D, rng=rng, init=embedding, dtype=dtype)
        options = {"bidirectional": bidirectional, "dtype": dtype, **options}
        self.recurrent = Stacked(cell, layers=layers, D=D, H=H, rng=rng, **options)

    def forward(self, ids: Any, lengths: Any = None) -> Encoded:
        hs, state = self.recurrent(self.embed(ids), lengths=lengths)
        joined = tuple(_joined(layer, last) for layer, last in zip(self.recurrent.layers, state, strict=True))
        return Encoded(hs, joined, lengths)


def _joined(layer: Module, state: Any) -> tuple[Tensor, ...]:
    """The state of a layer; of a bidirectional layer, each state of the two directions joined."""
    return tuple(layer.merged(*pair) for pair in zip(*state)) if isinstance(layer, Bidirectional) else state


class Decoder(Module):
    """Ids (N, S) and what was encoded -> scores (N, S, V), state: ``decoder(ids, encoded, state=None)``. Equal to::

        xs = embed(ids)
        hs, state = stacked(xs, state or encoded.state)        # peeky: of [xs, h], h the encoder's last output
        scores = affine(hs)                                    # peeky: of [hs, h];  attention: of [hs, context]

    In training ``ids`` are the target words after a start symbol (teacher forcing), and one call computes all steps.
    `step` computes one step for generation, and gives the same scores. ``peeky=True`` lets every step see the encoder's
    last output (Cho et al. 2014, the book's PeekySeq2seq). ``attention="dot"`` or ``"general"`` lets every step see a
    weighted mean of all its outputs (`Attention`). ``H_encoder`` is the width of the encoder's outputs if it is not H;
    then the state does not fit, and is given at the call. ``embedding`` and ``options`` are those of `Encoder`.
    """

    def __init__(
        self,
        V: int,
        D: int,
        H: int,
        *,
        rng: Any,
        cell: Cell | str = "lstm",
        layers: int = 1,
        peeky: bool = False,
        attention: str | None = None,
        H_encoder: int | None = None,
        embedding: Any = schemes.embedding,
        dtype: Any = np.float32,
        **options: Any,
    ):
        rng, self.peeky, seen = generator(rng, "Decoder"), peeky, H_encoder or H
        self.embed = Embedding(V, D, rng=rng, init=embedding, dtype=dtype)
        below = D + (seen if peeky else 0)
        self.recurrent = Stacked(cell, layers=layers, D=below, H=H, rng=rng, dtype=dtype, **options)
        width = self.recurrent.width
        if attention == "dot" and seen != width:
            raise InvalidValue(f'Decoder: outputs of {seen} and of {width} units have no product, should be as wide, '
                             'or attention="general"')  # fmt: skip
        sizes = {"H": width, "D": seen, "rng": rng} if attention == "general" else {}
        self.attention = None if attention is None else Attention(attention, dtype=dtype, **sizes)
        above = width + (seen if peeky else 0) + (seen if attention else 0)
        self.affine = Linear(above, V, rng=rng, dtype=dtype)

    def forward(self, ids: Any, encoded: Encoded, state: Any = None) -> tuple[Tensor, Any]:
        scores, state, _ = self._run(ids, encoded, state)
        return scores, state

    def step(self, ids: Any, encoded: Encoded, state: Any = None) -> tuple[Tensor, Any]:
        """One step of generation: ids (N,) of the words before -> scores (N, V) of the next words, new state."""
        scores, state = self(np.asarray(ids)[:, None], encoded, state)
        return scores[:, 0], state

    def weights(self, ids: Any, encoded: Encoded, state: Any = None) -> Tensor:
        """The attention weights (N, S, T) of a call with these arguments. Raises InvalidType without attention."""
        if self.attention is None:
            raise InvalidType('Decoder: it has no attention, should be Decoder(..., attention="dot")')
        return self._run(ids, encoded, state)[2]

    def _run(self, ids: Any, encoded: Encoded, state: Any) -> tuple[Tensor, Any, Any]:
        """The scores, the state, and the attention weights or None."""
        if not isinstance(encoded, Encoded):
            raise InvalidType(f"Decoder: encoded is a {type(encoded).__name__}, should be what an Encoder returns")
        xs = self.embed(ids)
        peek = [_repeated(encoded.h, xs.shape[1])] if self.peeky else []
        below = ops.concatenate([xs, *peek], axis=-1) if peek else xs
        hs, state = self.recurrent(below, encoded.state if state is None else state)
        features, weights = [hs, *peek], None
        if self.attention is not None:
            context, weights = self.attention(hs, encoded.hs, encoded.lengths)
            features.append(context)
        return self.affine(ops.concatenate(features, axis=-1) if len(features) > 1 else hs), state, weights


def _repeated(h: Tensor, S: int) -> Tensor:
    """h (N, H) at each of S steps: (N, S, H)."""
    return ops.broadcast_to(ops.expand_dims(h, axis=1), shape=(h.shape[0], S, h.shape[1]))
