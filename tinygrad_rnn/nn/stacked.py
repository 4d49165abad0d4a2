"""`Stacked`: recurrent layers on top of each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..cells.cell import Cell
from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue
from .bidirectional import Bidirectional
from .dropout import Dropout, VariationalDropout
from .module import Module
from .parameter import check_sizes, generator
from .recurrent import Recurrent


class Stacked(Module):
    """Recurrent layers on top of each other: ``hs, state = layer(xs, state=None, lengths=None)``. Equal to::

        for k, layer in enumerate(layers):
            hs, state[k] = layer(dropout(xs) if k else xs, state[k], lengths=lengths)
            xs = xs + hs if residual and k else hs

    xs (N, T, D) -> hs (N, T, H) of the top layer; state is a tuple with the tuple of each layer, the lowest first.
    ``Stacked(lstm, [64, 32], D=10, rng=rng)`` has two layers of these widths, ``Stacked(lstm, layers=2, D=10, H=64,
    rng=rng)`` two of H units. ``dropout`` is the rate between layers, nothing is dropped below the first and above the
    last; with ``variational=True`` a mask holds for all steps. With ``residual=True`` every layer but the first adds
    its input to its output (Wu et al. 2016), so the widths have to be equal. ``options`` are those of `Recurrent`,
    among them ``stateful`` and the other sizes of the cell. With ``bidirectional=True`` every layer is `Bidirectional`,
    and the next reads both directions. Raises InvalidType or InvalidValue for sizes that are missing or do not fit.
    """

    def __init__(
        self,
        cell: Cell | str,
        widths: Sequence[int] | None = None,
        *,
        rng: Any,
        layers: int | None = None,
        dropout: float = 0.0,
        variational: bool = False,
        residual: bool = False,
        bidirectional: bool = False,
        D: int,
        H: int | None = None,
        **options: Any,
    ):
        rng, self.residual = generator(rng, "Stacked"), residual
        self.layers: list[Recurrent | Bidirectional] = []
        for width in _widths(widths, layers, H):
            below = self.layers[-1].width if self.layers else D
            layer = Bidirectional if bidirectional else Recurrent
            self.layers.append(layer(cell, rng=rng, D=below, H=width, **options))
        if residual and len(all_widths := dict.fromkeys(layer.width for layer in self.layers)) > 1:
            seen = ", ".join(map(str, all_widths))
            raise InvalidValue(f"Stacked: residual adds widths {seen}, should be one width for all layers")
        self.dropout = (VariationalDropout if variational else Dropout)(dropout, rng=rng)

    def forward(self, xs: Any, state: Any = None, *, lengths: Any = None) -> tuple[Tensor, tuple[Any, ...]]:
        count, new = len(self.layers), []
        states = [None] * count if state is None else state
        if not isinstance(states, (tuple, list)) or len(states) != count:
            got = f"{len(states)} items" if isinstance(states, (tuple, list)) else f"a {type(states).__name__}"
            raise InvalidType(f"Stacked: state is {got}, should be a tuple of {count}, the states of each layer")
        for k, layer in enumerate(self.layers):
            hs, last = layer(self.dropout(xs) if k else xs, states[k], lengths=lengths)
            xs = xs + hs if self.residual and k else hs
            new.append(last)
        return xs, tuple(new)

    @property
    def width(self) -> int:
        """The size of the output."""
        return self.layers[-1].width

    def reset_state(self) -> None:
        """Start the next sequence from zeros in every layer."""
        for layer in self.layers:
            if isinstance(layer, Recurrent):
                layer.reset_state()

    def __repr__(self) -> str:
        above = f", dropout={self.dropout.rate}" if self.dropout.rate else ""
        layers = ", ".join(map(repr, self.layers))
        return f"Stacked({layers}{above}{', residual' if self.residual else ''})"


def _widths(widths: Sequence[int] | None, layers: int | None, H: int | None) -> list[int]:
    """The width of each layer."""
    if widths is not None:
        if layers is not None or H is not None:
            raise InvalidType("Stacked: widths are given with layers or H, should be one of them: "
                            "Stacked(cell, [64, 64], D=10), or layers=2, D=10, H=64")  # fmt: skip
        if isinstance(widths, int) or not len(widths):
            raise InvalidType(f"Stacked: widths is {widths!r}, should be a list with a size for each layer")
        return list(widths)
    count = 2 if layers is None else layers
    if H is None:
        raise InvalidType("Stacked: H is missing, should be Stacked(cell, [64, 64], D=10), or layers=2, D=10, H=64")
    check_sizes("Stacked", layers=count)
    return [H] * count
