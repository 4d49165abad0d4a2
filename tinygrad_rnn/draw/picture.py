"""A picture that can be saved and shown: DOT, and whoever can render it.

Rendering is done by the system's Graphviz (``dot``), else by pygraphviz, whose wheels bring a Graphviz of their own.
"""

from __future__ import annotations

import os
from pathlib import Path

import graphviz

from ..files import write_whole

SOURCES = ("", ".dot", ".gv")


class RenderError(RuntimeError):
    """There is nobody to render the picture, or the format is unknown."""


class Picture:
    """A drawn graph, used as `graphviz.Digraph` is: ``source``, ``save``, ``render``, ``pipe``; shown in a notebook."""

    def __init__(self, digraph: graphviz.Digraph):
        self.digraph = digraph

    @property
    def source(self) -> str:
        """The DOT text."""
        return self.digraph.source

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f'<picture of {len(self.source.splitlines())} lines of DOT: .save("a.svg"), .source>'

    def pipe(self, format: str = "svg") -> bytes:
        """The picture in any format that Graphviz knows (svg, png, pdf, ...)."""
        try:
            return self.digraph.pipe(format=format)
        except graphviz.ExecutableNotFound:
            return self._bundled(format)
        except ValueError as error:
            raise RenderError(f"draw: {format!r} is no format of Graphviz, should be svg, png, pdf or dot") from error

    def _bundled(self, format: str) -> bytes:
        try:
            from pygraphviz import AGraph
        except ImportError:
            raise RenderError(
                "draw: no Graphviz to render with. Install it (apt install graphviz, brew install graphviz, "
                "winget install graphviz), or pip install 'tinygrad-rnn[draw]', which brings its own. "
                'save("a.dot") works without'
            ) from None
        return AGraph(string=self.source).draw(format=format, prog="dot")

    def save(self, path: str | os.PathLike[str] = "graph.dot") -> str:
        """Write the picture in the format that the ending of ``path`` names (.svg .png .pdf .dot); the path, as text.

        The file appears whole or not at all.
        """
        path = Path(path)
        ending = path.suffix.lower()
        content = self.source.encode() if ending in SOURCES else self.pipe(ending[1:])
        write_whole(path, content)
        return str(path)

    def render(
        self, path: str | os.PathLike[str] = "graph", *, format: str = "svg", view: bool = False, cleanup: bool = False
    ) -> str:
        """Write the DOT text as ``path`` (unless ``cleanup``) and the picture as ``path.format``; the latter's path."""
        rendered = f"{os.fspath(path)}.{format}"
        content = self.pipe(format)
        if not cleanup:
            write_whole(path, self.source)
        write_whole(rendered, content)
        if view:
            graphviz.view(rendered)
        return rendered

    def _repr_svg_(self) -> str:
        return self.pipe("svg").decode()
