"""A picture in all its formats: SVG, HTML, DOT, Mermaid, JSON, text, and what a renderer makes: PNG, PDF."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import graphviz

from ...errors import RenderError
from ...files import write_whole
from ..model import Graph
from ..scene.compose import compose
from ..scene.geometry import Scene
from ..scene.marks import marked
from .dot import digraph
from .hover import hover
from .html import View, page
from .mermaid import mermaid
from .render import LIMIT, rendered
from .svg import svg
from .terminal import terminal

#: Text formats, which need no renderer, by the ending of a file.
TEXTS = {"": "dot", ".dot": "dot", ".gv": "dot", ".json": "json", ".mmd": "mermaid", ".txt": "text", ".html": "html",
         ".svg": "svg"}  # fmt: skip


@dataclass
class Options:
    """How a picture is drawn; the docstring of `draw` describes the options."""

    title: str = ""
    backward: bool = True
    adjoint: bool = False
    scale: tuple[float, float] | None = None
    theme: str = "light"
    legend: bool = True
    marks: tuple[tuple[str, str], ...] = ()
    layout: str = "layered"
    aspect: str | float = "strip"
    shapes: str = "changes"
    values: bool = False


class Opened(NamedTuple):
    """What a picture can open: the graph with its first ``fold`` open, and the insides of ``boxes`` by their ids."""

    fold: Graph | None = None
    boxes: Mapping[str, Graph] = MappingProxyType({})


class Picture:
    """A drawn `Graph`, with the interface of `graphviz.Digraph`: ``source``, ``save``, ``render``, ``pipe``.

    Notebooks show it as SVG. ``graph`` is the data of the picture.
    """

    def __init__(self, graph: Graph, options: Options, open: Opened | Callable[[], Opened] | None = None):
        self.graph, self.options, self.open = graph, options, open

    @functools.cached_property
    def opened(self) -> Opened:
        """What an HTML page opens by a click."""
        return self.open() if callable(self.open) else self.open or Opened()

    @functools.cached_property
    def scene(self) -> Scene:
        """The geometry: all shapes, lines and texts with their positions."""
        options = self.options
        return compose(self.graph, options.title, backward=options.backward, adjoint=options.adjoint,
                       within=options.scale, legend=options.legend,
                       marks=marked(self.graph, options.marks), layout=options.layout,
                       aspect=options.aspect, shapes=options.shapes, values=options.values)  # fmt: skip

    @functools.cached_property
    def digraph(self) -> graphviz.Digraph:
        """The picture as a `graphviz.Digraph`."""
        return digraph(self.scene, self.options.theme)

    @property
    def source(self) -> str:
        """The DOT text."""
        return self.digraph.source

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"<picture of {self.graph.title!r}, {len(self.graph.nodes)} nodes: .save('a.svg'), .source, .graph>"

    # -- formats

    def mermaid(self) -> str:
        """Mermaid text, for Markdown pages that render it."""
        return mermaid(self.graph, self.options.title, self.options.backward)

    def text(self, width: int = 100) -> str:
        """The computation as lines of text, for a terminal."""
        return terminal(self.graph, self.options.title, self.options.backward, width)

    def svg(self) -> str:
        """The picture as an SVG file."""
        texts = hover(self.graph, self.scene, self.options.backward)
        return svg(self.scene, self.options.title, self.options.theme, texts)

    def html(self) -> str:
        """An HTML page that needs no network: pan, zoom, hover, open boxes, and step through the backward pass."""
        fold, boxes = self.opened
        pictures = [self] + ([Picture(fold, self.options)] if fold else [])
        views = [View(picture.graph, picture.scene) for picture in pictures]
        for id, graph in boxes.items():
            views[0].opens[id] = len(views)
            layout = "auto" if self.options.layout == "auto" else "layered"
            inside = replace(self.options, title=graph.title, layout=layout, aspect="slide")
            views.append(View(graph, Picture(graph, inside).scene))
        return page(views, self.options.title, self.options.theme, self.text())

    def to_json(self) -> str:
        """The `Graph` as JSON."""
        return self.graph.to_json()

    def pipe(self, format: str = "svg", *, limit: float = LIMIT) -> bytes:
        """The picture as SVG, or in a format that a renderer makes (png, pdf, ...) within ``limit`` seconds."""
        return self.svg().encode() if format == "svg" else rendered(self.source, self.svg, format, limit)

    def form(self, name: str) -> bytes:
        """The picture in a format: "dot", "html", "mermaid", "json", "text", "svg", or a format of a renderer."""
        texts = {"svg": self.svg, "dot": lambda: self.source, "html": self.html, "mermaid": self.mermaid,
                 "json": self.to_json, "text": self.text}  # fmt: skip
        return texts[name]().encode() if name in texts else self.pipe(name)

    def save(self, path: str | os.PathLike[str] = "graph.dot", *, format: str | None = None) -> str:
        """Write the picture in ``format``, by default that of the file's ending. Returns the path as text.

        Endings are .svg .png .pdf, .html, .dot .gv, .mmd (Mermaid), .json, .txt. The file is written whole or not at
        all.
        """
        ending = Path(path).suffix.lower()
        write_whole(path, self.form(format or TEXTS.get(ending, ending[1:])))
        return str(path)

    def render(
        self, path: str | os.PathLike[str] = "graph", *, format: str = "svg", view: bool = False, cleanup: bool = False
    ) -> str:
        """Write DOT to ``path`` (unless ``cleanup``) and the picture to ``path.format``. Returns the latter path."""
        target = f"{os.fspath(path)}.{format}"
        content = self.form(format)
        if not cleanup:
            write_whole(path, self.source)
        write_whole(target, content)
        if view:
            graphviz.view(target)
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the picture as SVG."""
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}


__all__ = ["Opened", "Options", "Picture", "RenderError"]
