"""See a computation: `draw` makes one picture of a cell's step, or of the graph behind a Tensor, with its backprop."""

from __future__ import annotations

from typing import Any

from ..cell import Cell
from ..tensor import Tensor
from ..trace import trace_graph, trace_step
from .dot import digraph
from .picture import Picture, RenderError

__all__ = ["Picture", "RenderError", "draw"]


def draw(target: Any, *, backward: bool = True, title: str | None = None, seed: int = 0, **sizes: Any) -> Picture:
    """The picture of a step of a cell, or of the graph behind a Tensor.

    A cell runs once on random inputs of ``sizes`` (N=1, D=3, H=5 if not told), and back from random gradients of all
    its new states; a Tensor's graph is taken as it is, and gone through backwards from ones without touching any
    ``.grad``. ``backward=False`` hides the dashed arrows, and moves nothing. The same target gives the same picture,
    byte for byte.

        draw(lstm).save("lstm.svg")
    """
    if isinstance(target, Cell):
        trace = trace_step(target, seed=seed, **sizes)
    elif isinstance(target, Tensor):
        if sizes:
            raise TypeError(f"draw: a Tensor has the sizes it has; got {', '.join(sizes)}")
        trace = trace_graph(target)
    else:
        raise TypeError(f"draw: target is a {type(target).__name__}, should be a cell or a Tensor")
    return Picture(digraph(trace, title or trace.title, backward))
