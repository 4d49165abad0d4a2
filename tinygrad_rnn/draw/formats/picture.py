"""A picture that can be saved and shown in every form: DOT, what Graphviz makes of it, HTML, Mermaid, JSON, text."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import graphviz

from ...errors import NoRendererError, RenderError, RenderTimeoutError
from ...files import write_whole
from ..model import Graph
from ..scene.compose import compose
from ..scene.geometry import Scene
from ..scene.marks import marked
from .dot import digraph
from .html import View, page
from .mermaid import mermaid
from .render import LIMIT, rendered
from .terminal import terminal

#: Forms that are text and need no renderer, by the ending of a file.
TEXTS = {"": "dot", ".dot": "dot", ".gv": "dot", ".json": "json", ".mmd": "mermaid", ".txt": "text", ".html": "html"}
COARSER = "drawn coarser than asked for: rendering the whole took longer than {} s"


@dataclass
class Look:
    """How a picture is drawn: `draw` tells what the options mean."""

    title: str = ""
    backward: bool = True
    adjoint: bool = False
    scale: tuple[float, float] | None = None
    theme: str = "light"
    legend: bool = True
    marks: tuple[tuple[str, str], ...] = ()


class Picture:
    """A drawn `Graph`, used as `graphviz.Digraph` is: ``source``, ``save``, ``render``, ``pipe``; shown in a notebook.

    ``graph`` is the plain data behind it.
    """

    def __init__(self, graph: Graph, look: Look, coarser: Graph | None = None, opened: Graph | None = None):
        self.graph, self.look, self.coarser, self.opened = graph, look, coarser, opened

    @functools.cached_property
    def scene(self) -> Scene:
        """Where everything stands."""
        look = self.look
        return compose(self.graph, look.title, backward=look.backward, adjoint=look.adjoint, within=look.scale,
                       legend=look.legend, marks=marked(self.graph, look.marks))  # fmt: skip

    @functools.cached_property
    def digraph(self) -> graphviz.Digraph:
        """The picture as the `graphviz` package has it."""
        return digraph(self.scene, self.look.theme)

    @property
    def source(self) -> str:
        """The DOT text."""
        return self.digraph.source

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"<picture of {self.graph.title!r}, {len(self.graph.nodes)} nodes: .save('a.svg'), .source, .graph>"

    # -- its forms

    def mermaid(self) -> str:
        """Mermaid text, for Markdown pages that render it."""
        return mermaid(self.graph, self.look.title, self.look.backward)

    def text(self, width: int = 100) -> str:
        """The computation as lines of text, for a terminal."""
        return terminal(self.graph, self.look.title, self.look.backward, width)

    def html(self) -> str:
        """One page that needs no network: pan, zoom, hover, and step through the backward pass."""
        pictures = [self] + ([Picture(self.opened, self.look)] if self.opened else [])
        try:
            made = [one.rendered("svg", LIMIT) for one in pictures]
            views = [View(one.graph, one.scene, svg.decode()) for one, svg in made]
        except NoRendererError as error:
            return page([View(self.graph, self.scene, "")], self.look.title, str(error), self.text())
        return page(views, self.look.title, "", self.text())

    def to_json(self) -> str:
        """The `Graph` as JSON."""
        return self.graph.to_json()

    def pipe(self, format: str = "svg", *, limit: float = LIMIT) -> bytes:
        """The picture in a format of Graphviz (svg, png, pdf, ...), rendered within ``limit`` seconds.

        If that is not enough, the picture is drawn coarser, and says so.
        """
        return self.rendered(format, limit)[1]

    def rendered(self, format: str, limit: float) -> tuple[Picture, bytes]:
        """The picture that was drawn, which may be the coarser one, and its bytes."""
        try:
            return self, rendered(self.source, format, limit)
        except RenderTimeoutError:
            if self.coarser is None:
                raise
        self.coarser.note = COARSER.format(f"{limit:g}")
        return Picture(self.coarser, self.look).rendered(format, limit)

    def form(self, name: str) -> bytes:
        """The picture in any form by its name: "dot", "html", "mermaid", "json", "text", or a format of Graphviz."""
        texts = {"dot": lambda: self.source, "html": self.html, "mermaid": self.mermaid, "json": self.to_json,
                 "text": self.text}  # fmt: skip
        return texts[name]().encode() if name in texts else self.pipe(name)

    def save(self, path: str | os.PathLike[str] = "graph.dot", *, format: str | None = None) -> str:
        """Write the picture in ``format``, or in the form that the ending names; the path, as text.

        Endings are .svg .png .pdf, .html, .dot .gv, .mmd (Mermaid), .json, .txt. The file appears whole or not at all.
        """
        ending = Path(path).suffix.lower()
        write_whole(path, self.form(format or TEXTS.get(ending, ending[1:])))
        return str(path)

    def render(
        self, path: str | os.PathLike[str] = "graph", *, format: str = "svg", view: bool = False, cleanup: bool = False
    ) -> str:
        """Write the DOT text as ``path`` (unless ``cleanup``) and the picture as ``path.format``; the latter's path."""
        made = f"{os.fspath(path)}.{format}"
        content = self.form(format)
        if not cleanup:
            write_whole(path, self.source)
        write_whole(made, content)
        if view:
            graphviz.view(made)
        return made

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What a notebook shows: the picture, or where there is no renderer, the text and how to get one."""
        try:
            return {"image/svg+xml": self.pipe("svg").decode(), "text/plain": repr(self)}
        except NoRendererError as error:
            return {"text/plain": f"{self.text()}\n\n{error}"}


__all__ = ["Look", "Picture", "RenderError"]
