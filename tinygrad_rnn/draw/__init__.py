"""See a computation, forward and backward in one picture, in the names of its code: `draw`."""

from __future__ import annotations

from ..errors import InvalidType, InvalidValue

import inspect
from collections.abc import Iterable
from typing import Any

from ..cells.cell import Cell, advice
from ..engine.tensor import Tensor
from .model import Captured, Graph, of_cell, of_function, of_tensor, resting, view
from .scene.theme import THEMES
from .scene.marks import check_marks
from .formats.picture import Look, Picture
from ..errors import RenderError

__all__ = ["Picture", "RenderError", "draw"]

COARSER = {"op": "cell", "cell": "module"}
LONG, OPEN = 400, 24  # steps up to which a fold can be opened on a page, and how many of them
LARGE = 300  # nodes from which on a coarser picture is kept, for the case that rendering takes too long


def draw(
    target: Any,
    *inputs: Any,
    backward: bool = True,
    steps: int = 1,
    level: str | None = None,
    expand: str | None = None,
    fold: str = "auto",
    unfold: tuple[int, int] | None = None,
    truncate: int | None = None,
    last: bool = False,
    affine: bool = False,
    scale: tuple[float, float] | None = None,
    theme: str = "light",
    title: str | None = None,
    legend: bool = True,
    mark: Iterable[tuple[str, str]] = (),
    seed: int = 0,
    **sizes: Any,
) -> Picture:
    """The picture of a cell, of a function, or of the graph behind a Tensor, with its backward pass.

    ``target``:
    a cell runs ``steps`` times on random inputs of ``sizes`` (N=1, D=3, H=5 if not told) and back from random gradients
    of all its outputs and last states (with ``last`` of the last output only; ``truncate=k`` detaches the state after
    every k steps);
    a function runs on ``inputs``, arrays or Tensors, and back from ones;
    a Tensor's graph is taken as it is, before or after ``backward()``, and gone through from ones.

    ``level``: "op", "cell" (a step is one box; the default for several steps) or "module" (so are all steps, and
    every `scope`). ``expand="adjoint"`` shows the arithmetic of the gradient rules on the way back. ``fold``: "auto"
    folds the middle of more than 8 steps, "none" nothing, "full" all but one body; ``unfold=(a, b)`` keeps steps a up
    to b.
    ``affine=True`` draws ``x @ Wx + h @ Wh + b`` as one box. ``scale=(least, greatest)`` fixes the range of norms that
    colours run over, so that two pictures compare. ``backward=False`` hides the way back, and moves nothing.
    ``theme`` is "light" or "dark". ``mark=[("o", "h'")]`` makes the way back to ``o`` from ``h'`` stand out, or from
    all that read it, ``("o", "")``: a check tells which way is wrong, ``report.guilty``.

    Nothing is changed by it: no graph, no ``.grad``, no random generator. The same target gives the same picture, byte
    for byte.

        draw(lstm).save("lstm.svg")
    """
    _check(steps, expand, theme, truncate)
    marks = tuple(mark)
    if not isinstance(target, Cell) and (sizes or steps != 1 or truncate or last):
        raise InvalidType(f"draw: steps, truncate, last and sizes are for cells; target is a {type(target).__name__}")
    if isinstance(target, Cell) and inputs:
        raise InvalidType(
            f"draw: a cell runs on random inputs; got {len(inputs)} inputs. For your own, draw a function"
        )

    def captured() -> Captured:
        if not isinstance(target, Cell):
            return _captured(target, inputs)
        watch = steps == 1 or level == "op"
        return of_cell(target, steps, seed=seed, truncate=truncate, last=last, watch=watch, **sizes)

    with resting():  # until the captured graph is gone
        graph, coarser, opened = _views(captured(), level, fold, unfold, affine)
    check_marks(graph, marks)
    look = Look(title or graph.title, backward, expand == "adjoint", scale, theme, legend, marks)
    return Picture(graph, look, coarser, opened)


def _views(
    made: Captured, level: str | None, fold: str, unfold: tuple[int, int] | None, affine: bool
) -> tuple[Graph, Graph | None, Graph | None]:
    """What is shown, what is shown where that takes too long, and what a click on a fold opens."""
    graph = view(made, level, fold=fold, unfold=unfold, affine=affine)
    return graph, _coarser(made, graph), _opened(made, graph, affine)


def _check(steps: int, expand: str | None, theme: str, truncate: int | None) -> None:
    for name, count in (("steps", steps), ("truncate", truncate)):
        if count is not None and (not isinstance(count, int) or count < 1):
            raise InvalidValue(f"draw: {name} is {count!r}, should be a whole number from 1")
    if expand not in (None, "adjoint"):
        raise InvalidValue(f"draw: expand is {expand!r}, should be 'adjoint' or None")
    if theme not in THEMES:
        raise InvalidValue(f"draw: theme is {theme!r}, should be one of {', '.join(THEMES)}")


def _captured(target: Any, inputs: Any) -> Captured:
    """A Tensor's graph, or a run of a function."""
    if isinstance(target, Tensor):
        if inputs:
            raise InvalidType(f"draw: a Tensor has been computed already; got {len(inputs)} inputs")
        return of_tensor(target)
    more = advice(target, "draw")
    if not callable(target) or (isinstance(target, type) and not inputs):
        kind = type(target).__name__
        raise InvalidType(f"draw: target is a {kind}, should be a cell, a function or a Tensor{more}")
    try:
        names = list(inspect.signature(target).bind(*inputs).arguments)
    except (TypeError, ValueError) as error:
        name = getattr(target, "__name__", type(target).__name__)
        told = more or f"; its inputs come after it: draw({name}, x)" * (not inputs)
        raise InvalidType(f"draw: {name} cannot be called so: {error}{told}") from None
    names += [f"x{k}" for k in range(len(inputs) - len(names))]
    return of_function(target, inputs, names)


def _opened(made: Captured, graph: Graph, affine: bool) -> Graph | None:
    """The graph with its first fold opened, as far as that can be read: for pages, where a click opens it."""
    if not graph.folds or graph.rows[graph.folds[0].row].steps > LONG:
        return None
    first = graph.folds[0].first
    return view(made, graph.level, unfold=(first, first + OPEN), affine=affine)


def _coarser(made: Captured, graph: Graph) -> Graph | None:
    """The next coarser graph of a large one."""
    if len(graph.nodes) < LARGE or graph.level not in COARSER or not made.rows:
        return None
    return view(made, COARSER[graph.level])
