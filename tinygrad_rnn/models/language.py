"""Language models: embedding, recurrent layers, affine layer, softmax with cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells import initializers as schemes
from ..cells.builtin import lstm, rnn
from ..cells.cell import Cell
from ..engine.tensor import Tensor, value
from ..errors import InvalidValue
from ..nn import Dropout, Embedding, Linear, Module, Recurrent, Stacked, VariationalDropout
from ..nn.evaluating import evaluating
from ..nn.parameter import generator
from ..ops import affine_cross_entropy, log_softmax
from .answers import check_shape


class LanguageModel(Module):
    """Predicts each next token:  ids (N, T) -> scores (N, T, V), state.  Equal to::

        hs, state = recurrent(drop(embed(ids)), state)      # `layers` layers of `cell`, dropout between them
        scores = affine(drop(hs))                           # tied: the matrix of affine is embed.W.T

    V is the number of tokens, D the width of their vectors, H the units of a layer. Only the caller holds the state: to
    carry it from window to window, pass ``detach(state)`` to the next call. It is that of `Recurrent` for one layer,
    that of `Stacked` for several. ``dropout`` is a rate in depth, in training mode alone; with ``variational=True`` a
    mask holds for all steps of a call (Gal and Ghahramani 2016). ``tied=True`` needs D = H (Press and Wolf 2017).

    ``mode`` is that of `scan`: "auto" runs the layers in a planned loop, quicker and equal but for the last bits.
    ``sizes`` are those of the cell beside D and H, by letter. ``init`` has schemes by parameter of the cell.
    ``embedding`` is the scheme of the word vectors: the default is the book's, for SGD with a large learning rate;
    "normal" suits Adam.
    """

    def __init__(
        self,
        cell: Cell | str,
        V: int,
        D: int,
        H: int,
        *,
        layers: int = 1,
        dropout: float = 0.0,
        variational: bool = False,
        tied: bool = False,
        mode: str = "auto",
        rng: Any,
        init: Mapping[str, Any] | None = None,
        embedding: Any = schemes.embedding,
        **sizes: int,
    ):
        rng = generator(rng, type(self).__name__)
        self.embed = Embedding(V, D, rng=rng, init=embedding)
        self.drop = (VariationalDropout if variational else Dropout)(dropout, rng=rng)
        options = {"D": D, "H": H, "rng": rng, "init": init, "mode": mode, **sizes}
        self.recurrent: Recurrent | Stacked = (
            Recurrent(cell, **options)
            if layers == 1
            else Stacked(cell, layers=layers, dropout=dropout, variational=variational, **options)
        )
        self.affine = Linear(H, V, rng=rng, tied=self.embed if tied else None)

    def hidden(self, ids: Any, state: Any = None) -> tuple[Tensor, Any]:
        """What the affine layer reads, (N, T, H), and the last state."""
        check_shape(type(self).__name__, "ids", ids, "N", "T")
        hs, state = self.recurrent(self.drop(self.embed(ids)), state)
        return self.drop(hs), state

    def forward(self, ids: Any, state: Any = None) -> tuple[Tensor, Any]:
        hs, state = self.hidden(ids, state)
        return self.affine(hs), state

    def loss(self, ids: Any, targets: Any, state: Any = None) -> tuple[Tensor, Any]:
        """The mean cross-entropy of ``targets`` (N, T) in nats per token, a scalar Tensor, and the last state."""
        check_shape(type(self).__name__, "targets", targets, *np.shape(value(ids)))
        hs, state = self.hidden(ids, state)
        return affine_cross_entropy(hs, self.affine.weight, self.affine.b, targets), state

    def predict(self, ids: Any, state: Any = None) -> tuple[np.ndarray, Any]:
        """The most likely next token at every place, (N, T) of integers, and the last state; without dropout."""
        with evaluating(self):
            scores, state = self(ids, state)
        return scores.numpy().argmax(axis=-1), state

    def log_probability(self, ids: Any) -> np.ndarray:
        """ln P(w₂, ..., w_T | w₁) of each row of ids (N, T), as (N,); without dropout.

        The joint probability is the product of the posterior ones:  P(w₁, ..., w_T) = Π P(w_t | w₁, ..., w_{t-1}) (the
        book's equation 5.4).
        """
        ids = np.asarray(ids)
        with evaluating(self):
            logs = log_softmax(self(ids[:, :-1])[0]).numpy()
        return np.take_along_axis(logs, ids[:, 1:, None], axis=-1).sum(axis=(1, 2))


class SimpleRnnlm(LanguageModel):
    """The book's SimpleRnnlm (figure 5-30): a `LanguageModel` of `rnn`, one layer."""

    def __init__(self, V: int, D: int = 100, H: int = 100, *, rng: Any, **options: Any):
        super().__init__(rnn, V, D, H, rng=rng, **options)


class Rnnlm(LanguageModel):
    """The book's Rnnlm (figure 6-20): a `LanguageModel` of `lstm`, one layer."""

    def __init__(self, V: int, D: int = 100, H: int = 100, *, rng: Any, **options: Any):
        super().__init__(lstm, V, D, H, rng=rng, **options)


class BetterRnnlm(LanguageModel):
    """The book's BetterRnnlm (section 6.5): two layers of `lstm`, dropout, tied weights.

    H units and word vectors of H numbers; raises InvalidValue for another D.
    ``variational=True`` draws one mask for all steps of a call.
    """

    def __init__(
        self,
        V: int,
        H: int = 650,
        *,
        layers: int = 2,
        dropout: float = 0.5,
        variational: bool = False,
        tied: bool = True,
        rng: Any,
        **options: Any,
    ):
        if options.pop("D", H) != H:
            raise InvalidValue(f"BetterRnnlm: D should be H = {H}, the size of a word vector; LanguageModel has both")
        super().__init__(lstm, V, H, H, layers=layers, dropout=dropout, variational=variational, tied=tied, rng=rng,
                         **options)  # fmt: skip
