"""`draw`: the graph of a computation, forward and backward in one picture, in the names of its code."""

from __future__ import annotations

from ..errors import InvalidType, InvalidValue

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any

from ..cells.cell import Cell, advice
from ..engine.tensor import Tensor
from ..sequence.plan.explain import Explained
from .model import (
    Captured, Graph, is_layer, of_cell, of_function, of_layer, of_plan, of_tensor, opened, resting,
    variables_of, view,
)  # fmt: skip
from .scene.aspect import ratio_of, readable, text_height
from .scene.theme import THEMES
from .scene.marks import check_marks
from .formats.picture import Opened, Options, Picture
from ..errors import RenderError

__all__ = ["Picture", "RenderError", "draw"]

SHAPES = ("changes", "all", "none")
LAYOUTS = ("auto", "book", "layered")
MANY = 2000  # vertices; the text of a larger graph is too small at every level
COARSER = "drawn with {1}: the text of a picture with level={0!r} would be too small for a slide"
LONG, OPEN = 400, 24  # a page can open a fold of a row of up to LONG steps; it then shows OPEN of them


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
    layout: str | None = None,
    aspect: str | float | None = None,
    shapes: str = "changes",
    values: bool = False,
    seed: int = 0,
    **sizes: Any,
) -> Picture:
    """Draw a cell, a function, or the graph behind a Tensor, with its backward pass.

    ``target`` is one of:

    - a cell: it runs ``steps`` times on random inputs of ``sizes`` (default N=1, D=3, H=5). The backward pass starts
      from random gradients of all outputs and last states; with ``last``, of the last output only. ``truncate=k``
      detaches the state after every k steps.
    - a function: it runs on ``inputs``, arrays or Tensors. It returns a Tensor, several, or a dict of them. The
      backward pass starts from ones, or from random gradients where ones give zeros to all inputs; a note says so.
    - a layer of NumPy, as `check_layer` takes it: its ``forward`` runs on ``inputs``, with Tensors for all arrays that
      it holds; its ``backward`` is not called.
    - the plan of a cell: a box for what runs before the loop over time, in it and after it.
    - a Tensor: its graph is drawn as it is, before or after ``backward()``. The backward pass starts from ones. The
      variables of the code that calls `draw` name its values, and the modules among them name their parameters.

    ``level``: "op" draws every operation, "cell" draws a step as one box (the default for several steps), "module"
    draws all steps, and every `scope`, as one box. ``expand="adjoint"`` shows the arithmetic of the gradient rules on
    the backward edges. ``fold``: "auto" folds the middle of more than 8 steps, "none" folds nothing, "full" folds all
    steps into one body; ``unfold=(a, b)`` keeps the steps from a up to b. ``affine=True`` draws
    ``x @ Wx + h @ Wh + b`` as one box.

    ``layout``: "book" draws a step of a gated cell as books do, with the memory on top, a row of gates below it, and
    each gate's affine map as one box; "layered" draws any graph in columns; "auto" is the former where it applies. The
    default is "auto", and "layered" where ``level``, ``expand`` or ``affine`` is given.

    ``aspect`` is the shape of the picture: "slide" (16:9, the default for a single step and for functions), "page" (A4,
    upright), "strip" (as wide and as high as it is, the default over time), or width / height. Where the smallest text
    would be below 1/60 of a slide's height, the next coarser level is drawn; a level that was asked for is kept. The
    picture says so in both cases. ``shapes``: "changes" writes the shapes of
    arguments and results, in columns also where an operation changes the shape; "all" writes all that have room, "none"
    writes none. ``values=True`` writes the values of arrays of at most 12 numbers in columns; scalars and small
    constants have theirs always.

    ``scale=(least, greatest)`` fixes the range of norms for the colours, so that two pictures can be compared.
    ``backward=False`` hides the backward edges; everything else keeps its place. ``theme`` is "light" or "dark".
    ``mark=[("o", "h'")]`` highlights the backward edge from ``h'`` to ``o``; ``("o", "")`` highlights the edges to
    ``o`` from all its readers. ``report.guilty`` of a check lists the wrong edges in this form.

    Returns a `Picture`. The graph, ``.grad`` and all random generators are unchanged. The same target gives the same
    picture, byte for byte.

        draw(lstm).save("lstm.svg")

    Raises InvalidType or InvalidValue for an argument that does not fit, and what running ``target`` raises.
    """
    asked = level is not None or expand is not None or affine
    layout = layout or ("layered" if asked else "auto")
    _check(steps, expand, theme, truncate)
    _check_form(layout, shapes, aspect)
    marks = tuple(mark)
    _check_target(target, inputs, bool(sizes or steps != 1 or truncate or last))
    options = Options(title or "", backward, expand == "adjoint", scale, theme, legend, marks, layout,
                      aspect or "", shapes, values)  # fmt: skip
    if isinstance(target, Explained):
        return _drawn(of_plan(target), replace(options, layout="layered", aspect=aspect or "strip"), None)

    watch = steps == 1 or level == "op"
    run: dict[str, Any] = {"steps": steps, "seed": seed, "truncate": truncate, "last": last, "watch": watch, **sizes}
    if level in (None, "cell") and aspect != "slide":  # else operations or whole modules may be drawn
        run |= {"fold": fold, "unfold": unfold}
    captured = functools.partial(of_cell, target, **run) if isinstance(target, Cell) else \
        functools.partial(_captured, target, inputs, sys._getframe(1))  # whose variables name what it computed
    form: dict[str, Any] = {"fold": fold, "unfold": unfold, "affine": affine}
    with resting(), contextlib.closing(captured()) as known:  # until the captured graph is freed
        inside: Any = functools.partial(_ran_again, functools.partial(captured, watch=True), level, form)
        if isinstance(target, Cell):
            graph = view(known, level, **form)
        else:  # nothing of a graph is kept alive
            graph, inside = _opened(known, level, form)
        picture = _drawn(graph, options, inside)
        return picture if layout != "auto" or marks else _readable(known, picture)


def _drawn(graph: Graph, options: Options, opened: Opened | Callable[[], Opened] | None) -> Picture:
    """The picture of a graph, with its title and its aspect where none was asked for."""
    check_marks(graph, options.marks)
    return Picture(graph, replace(options, title=options.title or graph.title, aspect=options.aspect or _aspect(graph)),
                   opened)  # fmt: skip


def _aspect(graph: Graph) -> str:
    """The aspect of a picture for which none was asked."""
    return "strip" if any(row.steps > 1 for row in graph.rows) else "slide"


def _check(steps: int, expand: str | None, theme: str, truncate: int | None) -> None:
    for name, count in (("steps", steps), ("truncate", truncate)):
        if count is not None and (not isinstance(count, int) or count < 1):
            raise InvalidValue(f"draw: {name} is {count!r}, should be a whole number from 1")
    if expand not in (None, "adjoint"):
        raise InvalidValue(f"draw: expand is {expand!r}, should be 'adjoint' or None")
    if theme not in THEMES:
        raise InvalidValue(f"draw: theme is {theme!r}, should be one of {', '.join(THEMES)}")


def _check_target(target: Any, inputs: tuple[Any, ...], sized: bool) -> None:
    if not isinstance(target, Cell) and sized:
        raise InvalidType(f"draw: steps, truncate, last and sizes are for cells; target is a {type(target).__name__}")
    if isinstance(target, Cell) and inputs:
        raise InvalidType(
            f"draw: a cell runs on random inputs; got {len(inputs)} inputs. For your own, draw a function"
        )


def _check_form(layout: str, shapes: str, aspect: str | float | None) -> None:
    if shapes not in SHAPES:
        raise InvalidValue(f"draw: shapes is {shapes!r}, should be one of {', '.join(SHAPES)}")
    if layout not in LAYOUTS:
        raise InvalidValue(f"draw: layout is {layout!r}, should be one of {', '.join(LAYOUTS)}")
    if aspect is not None:
        ratio_of(aspect)


def _captured(target: Any, inputs: Any, caller: FrameType) -> Captured:
    """The graph of a Tensor, which ``caller`` draws, or of a function or a layer that runs on ``inputs``."""
    if isinstance(target, Tensor):
        if inputs:
            raise InvalidType(f"draw: a Tensor has been computed already; got {len(inputs)} inputs")
        return of_tensor(target, variables_of(caller))
    more, layer = advice(target, "draw"), is_layer(target)
    if not (layer or callable(target)) or (isinstance(target, type) and not inputs):
        kind = type(target).__name__
        raise InvalidType(f"draw: target is a {kind}, should be a cell, a function or a Tensor{more}")
    try:
        names = list(inspect.signature(getattr(target, "forward", target) if layer else target).bind(*inputs).arguments)
    except (TypeError, ValueError) as error:
        name = getattr(target, "__name__", type(target).__name__)
        hint = more or f"; its inputs come after it: draw({name}, x)" * (not inputs)
        raise InvalidType(f"draw: {name} cannot be called with these inputs: {error}{hint}") from None
    names += [f"x{k}" for k in range(len(inputs) - len(names))]
    return of_layer(target, inputs, names) if layer else of_function(target, inputs, names)


def _ran_again(run: Callable[[], Captured], level: str | None, form: Mapping[str, Any]) -> Opened:
    """What a page opens in the picture of a cell, which runs again."""
    with resting(), contextlib.closing(run()) as captured:
        return _opened(captured, level, form)[1]


def _opened(captured: Captured, level: str | None, form: Mapping[str, Any]) -> tuple[Graph, Opened]:
    """The graph of `view`; the insides of its boxes, and the graph with up to `OPEN` steps of its first fold."""
    graph, boxes = opened(captured, level, **form)
    if not graph.folds or graph.rows[graph.folds[0].row].steps > LONG:
        return graph, Opened(None, boxes)
    first = graph.folds[0].first
    return graph, Opened(view(captured, graph.level, unfold=(first, first + OPEN), affine=form["affine"]), boxes)


def _readable(captured: Captured, picture: Picture) -> Picture:
    """The picture, or the first coarser one whose text can be read on a slide, else that with the largest text."""
    graph = picture.graph
    if picture.options.aspect != "slide" or len(graph.nodes) > MANY or readable(picture.scene):
        return picture
    affine_maps, scopes = any(node.op == "matmul" for node in graph), any(node.scope for node in graph)
    steps = len(graph.rows) > 1 or any(row.steps > 1 for row in graph.rows)  # one step as one box tells nothing
    coarse = [("op", True)] * affine_maps + [("cell", False)] * steps + [("module", False)] * scopes
    for level, affine in coarse:
        coarser = view(captured, level, affine=affine)
        if 1 < len(coarser.nodes) <= len(graph.nodes):
            coarser.note = coarser.note or COARSER.format("op", "affine=True" if affine else f"level={level!r}")
            candidate = Picture(coarser, replace(picture.options, layout="layered"))
            if readable(candidate.scene):
                return candidate
            picture = max(picture, candidate, key=lambda drawn: text_height(drawn.scene))
    return picture
