"""The layers below and above the recurrent layer. They take any leading axes: all time steps are one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..cells import initializers as schemes
from ..engine.op import OPS
from ..engine.tensor import Tensor, value
from ..errors import InvalidType, InvalidValue, ShapeError
from .module import Module
from .parameter import check_sizes, generator, parameter


class Embedding(Module):
    """Words to vectors:  y = W[ids],  ids (...) of integers from 0 to V - 1 -> (..., D),  W (V, D).

    ``init`` is a scheme of `tg.init` for W, by default normal with standard deviation 1/100, as in the book. With
    ``weights``, an array (V, D), W starts as a copy of pretrained vectors: ``Embedding(weights=vectors)``. With
    ``frozen=True`` they stay as they are. Raises ShapeError for weights that are no matrix, or not (V, D).
    """

    def __init__(
        self,
        V: int | None = None,
        D: int | None = None,
        *,
        rng: Any = None,
        init: Any = schemes.embedding,
        weights: Any = None,
        frozen: bool = False,
        dtype: Any = np.float32,
    ):
        if weights is not None:
            array = np.array(value(weights))
            if array.ndim != 2 or array.shape != (V or len(array), D or array.shape[1]):
                wanted = (V or "V", D or "D")
                raise ShapeError(f"Embedding: weights is {array.shape}, should be ({wanted[0]}, {wanted[1]})")
        elif V is None or D is None:
            raise InvalidType("Embedding: sizes are missing, should be Embedding(V, D, rng=rng), or weights=vectors")
        else:
            check_sizes("Embedding", V=V, D=D)
            array = schemes.draw(init, generator(rng, "Embedding"), (V, D), "Embedding: W")
        self.W = parameter(array.astype(dtype), "W")
        if frozen:
            self.freeze()

    def forward(self, ids: Any) -> Tensor:
        return ops.embedding(self.W, ids)


class Linear(Module):
    """The affine layer:  y = activation(x @ W + b),  x (..., H) -> (..., V),  W (H, V),  b (V,).

    ``init`` is a scheme of `tg.init` for W, by default normal with standard deviation 1/√H, as in the book; b starts at
    0, and ``bias=False`` leaves it out. ``activation`` is a function, or a name such as "sigmoid"; none by default. x
    is cast to the dtype of the layer.

    ``tied=embed`` shares the matrix of an `Embedding` (V, H):  y = x @ embed.W.T + b  (Press and Wolf 2017). The
    Tensor ``embed.W`` gets the gradients of both uses and is one parameter. ``weight`` is the matrix (H, V) either way.
    """

    def __init__(
        self,
        H: int,
        V: int,
        *,
        rng: Any = None,
        activation: str | Callable[[Any], Any] | None = None,
        bias: bool = True,
        tied: Any = None,
        init: Any = schemes.book,
        dtype: Any = None,
    ):
        check_sizes("Linear", H=H, V=V)
        self.activation, self.tied = _activation(activation), tied
        if tied is None:
            array = schemes.draw(init, generator(rng, "Linear"), (H, V), "Linear: W")
            self.W = parameter(array.astype(dtype or np.float32), "W")
        else:
            _check_tied(tied, H, V, dtype)
        self.b = parameter(np.zeros(V, self.weight.dtype), "b") if bias else None

    @property
    def weight(self) -> Tensor:
        """The matrix (H, V): W, or the transposed matrix of the embedding."""
        return self.W if self.tied is None else self.tied.W.T

    def forward(self, x: Any) -> Tensor:
        W = self.weight
        x = as_dtype(x, W.dtype)
        y = x @ W if self.b is None else ops.affine(x, W, self.b)
        return y if self.activation is None else self.activation(y)


def _activation(activation: Any) -> Callable[[Any], Any] | None:
    """The function of an activation, given as one, by name, or as None."""
    if activation is None or callable(activation):
        return activation
    if activation not in ops.__all__:
        known = ", ".join(name for name in ops.__all__ if name in OPS and OPS[name].traits.activation)
        should = f"should be a function, or an operation such as {known}"
        raise InvalidValue(f"Linear: activation is {activation!r}, {should}")
    function: Callable[[Any], Any] = getattr(ops, activation)
    return function


def _check_tied(tied: Any, H: int, V: int, dtype: Any) -> None:
    """Raise unless ``tied`` is an embedding of shape (V, H) and of the dtype that is asked for."""
    if not isinstance(tied, Embedding):
        raise InvalidType(f"Linear: tied is a {type(tied).__name__}, should be an Embedding: Linear(..., tied=embed)")
    if tied.W.shape != (V, H):
        raise ShapeError(f"Linear: the tied embedding is {tied.W.shape}, should be (V, H) = {(V, H)}")
    if dtype is not None and tied.W.dtype != dtype:
        raise InvalidType(f"Linear: the tied embedding is {tied.W.dtype}, should be {np.dtype(dtype)} as the layer is")


def as_dtype(x: Any, dtype: Any) -> Tensor:
    """``x`` as a Tensor of ``dtype``."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    return x if x.dtype == dtype else x.astype(dtype)
