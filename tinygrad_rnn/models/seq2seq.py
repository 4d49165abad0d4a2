"""Sequence to sequence: an encoder reads, a decoder writes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.tensor import Tensor, value
from ..errors import InvalidValue
from ..figures import figure
from ..nn import Decoder, Encoder
from ..nn.attention import SCORES
from ..nn.evaluating import evaluating
from ..nn.parameter import check_sizes, generator
from ..ops import softmax_cross_entropy
from .answers import Answers, check_shape
from .decoding import after_end, check_tokens, search, shifted


class Seq2seq(Answers):
    """Many-to-many of unequal lengths: ids (N, T) and targets (N, S) -> scores (N, S, V_out).  Equal to::

        encoded = encoder(ids reversed, if reverse)
        scores, _ = decoder([start, targets[:, :-1]], encoded)     # teacher forcing

    V and ``V_out`` are the numbers of tokens that are read and written, the same by default; D numbers a vector, H
    units. The options are those of the book's chapters 7 and 8: ``reverse`` reads the input from its end (Sutskever et
    al. 2014), ``peeky`` shows the encoder's last output to every step of the decoder, ``attention="dot"`` or
    ``"general"`` all its outputs. ``start`` is the id that begins every target; a target ends with the id ``end``, if
    there is one. Targets of -1 do not count. `accuracy` is that of whole sequences. ``dropout`` is between the layers.
    ``embedding`` is the scheme of the vectors. Raises InvalidValue for options that are not these, ShapeError for ids
    that are not (N, T).
    """

    whole = True

    def __init__(
        self,
        V: int,
        D: int,
        H: int,
        *,
        start: int,
        end: int | None = None,
        V_out: int | None = None,
        cell: Cell | str = "lstm",
        layers: int = 1,
        reverse: bool = False,
        peeky: bool = False,
        attention: str | None = None,
        dropout: float = 0.0,
        embedding: Any = "normal",
        rng: Any,
    ):
        rng, self.start, self.end, self.reverse = generator(rng, "Seq2seq"), start, end, reverse
        V_out = V if V_out is None else V_out
        check_sizes("Seq2seq", V=V, D=D, H=H, V_out=V_out, layers=layers)
        check_tokens("Seq2seq", V_out, start, end)
        if attention not in (None, *SCORES):
            raise InvalidValue(f'Seq2seq: attention is {attention!r}, should be "dot", "general" or None')
        if dropout and layers == 1:
            raise InvalidValue(f"Seq2seq: dropout is {dropout}, which is between layers, should be 0 for one layer")
        options = {"cell": cell, "layers": layers, "dropout": dropout, "embedding": embedding, "rng": rng}
        self.encoder = Encoder(V, D, H, **options)
        self.decoder = Decoder(V_out, D, H, peeky=peeky, attention=attention, **options)

    def encode(self, ids: Any, lengths: Any = None) -> Any:
        """What the encoder makes of ids (N, T)."""
        check_shape("Seq2seq", "ids", ids, "N", "T")
        return self.encoder(backwards(ids, lengths) if self.reverse else ids, lengths)

    def forward(self, ids: Any, targets: Any, lengths: Any = None) -> Tensor:
        check_shape("Seq2seq", "targets", targets, len(value(ids)), "S")
        return self.decoder(shifted(targets, self.start), self.encode(ids, lengths))[0]

    def loss(self, ids: Any, targets: Any, lengths: Any = None) -> Tensor:
        """The mean cross-entropy of the tokens ``targets`` (N, S) that are not -1, a scalar Tensor."""
        return softmax_cross_entropy(self(ids, targets, lengths), np.asarray(value(targets)))

    def predict(self, ids: Any, lengths: Any = None, *, length: int = 20, beam: int = 1) -> np.ndarray:
        """The tokens (N, length) that are written for each row, -1 after ``end``; without dropout.

        ``beam=k`` keeps the k likeliest beginnings at each step; 1 takes the likeliest token each time.
        """
        def step(ids: np.ndarray, state: Any) -> tuple[Tensor, Any]:
            encoded, inner = state
            scores, inner = self.decoder.step(ids, encoded, inner)
            return scores, (encoded, inner)

        with evaluating(self):
            encoded = self.encode(ids, None if lengths is None else np.asarray(value(lengths)))
            written = search(step, (encoded, encoded.state), self.start, length, beam=beam, end=self.end)
        return after_end(written, self.end)

    def answers(self, xs: Any, ts: np.ndarray, lengths: Any = None) -> np.ndarray:
        return self.predict(xs, lengths, length=ts.shape[1])

    def attention_weights(self, ids: Any, targets: Any, lengths: Any = None) -> np.ndarray:
        """The weight of every input at every step of the targets, (N, S, T), in the order of ``ids``.

        Rows sum to 1. Raises InvalidType for a model without attention.
        """
        with evaluating(self):
            weights = self.decoder.weights(shifted(targets, self.start), self.encode(ids, lengths)).numpy()
        if not self.reverse:
            return weights
        return np.take_along_axis(weights, _places(np.shape(ids), lengths)[:, None, :], axis=2)

    def plot_attention(
        self,
        ids: Any,
        targets: Any,
        read: Sequence[str] | None = None,
        written: Sequence[str] | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> Any:
        """A matplotlib Figure of the attention weights of one example, which is also written to ``path`` if given.

        ids (T,) and targets (S,) -> a row for each target, a column for each input (the book's figure 8-19), darker
        where the weight is larger. ``read`` and ``written`` are their texts, such as ``[task.vocab[i] for i in ids]``.
        """
        ids, targets = np.asarray(value(ids)), np.asarray(value(targets))
        for name, array, texts in (("ids", ids, read), ("targets", targets, written)):
            check_shape("plot_attention", name, array, "T" if name == "ids" else "S")
            if texts is not None and len(texts) != len(array):
                raise InvalidValue(f"plot_attention: there are {len(texts)} texts for {len(array)} {name}, should be "
                                 "one for each")  # fmt: skip
        weights = self.attention_weights(ids[None], targets[None])[0]
        with figure(max(3.0, 0.32 * len(ids) + 1.2), max(2.0, 0.3 * len(targets) + 0.8), path) as drawn:
            axes = drawn.subplots()
            image = axes.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            axes.set_xticks(range(len(ids)), list(map(str, ids if read is None else read)))
            axes.set_yticks(range(len(targets)), list(map(str, targets if written is None else written)))
            axes.set(xlabel="read", ylabel="written")
            drawn.colorbar(image, ax=axes, ticks=[0, 0.5, 1], label="weight")
        return drawn


def _places(shape: tuple[int, ...], lengths: Any) -> np.ndarray:
    """For each place (N, T), the place that it has when every row is read from its end."""
    steps = np.arange(shape[1])
    if lengths is None:
        return np.broadcast_to(steps[::-1], shape)
    ends = np.asarray(value(lengths))[:, None]
    return np.where(steps < ends, ends - 1 - steps, steps)


def backwards(ids: Any, lengths: Any = None) -> np.ndarray:
    """Every row of ids (N, T) from its end; with ``lengths`` (N,) the padding stays where it is."""
    ids = np.asarray(value(ids))
    return np.take_along_axis(ids, _places(ids.shape, lengths), axis=1)
