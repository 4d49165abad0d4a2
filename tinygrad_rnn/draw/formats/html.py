"""One interactive page, in a file that needs no network: the picture inside, its data as JSON, a little JavaScript.

What a reader can do with it is told by the page itself (``?``). Text of a user gets into it in two ways only: through
`escaped` as text of HTML, and through `data` as JSON, from which the script sets the texts of elements, never markup.
"""

from __future__ import annotations

import html
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model import Graph
from ..scene.geometry import BACK, Line, Scene, Shape
from ..scene.labels import plain
from ..scene.theme import THEMES, paints
from .curves import number
from .svg import ABOUT, FONTS, Writer, view_box
from .svg import escaped as escaped_line

AHEAD = ("forward", "cut")  # looks of lines
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
PAGE = """<!DOCTYPE html>
<html lang="en"{theme}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header id="bar"><h1>{title}</h1></header>
{main}
<details><summary>the same as text</summary><pre tabindex="0">{text}</pre></details>
<script type="application/json" id="data">{data}</script>
<script>
{script}</script>
</body>
</html>
"""
STAGE = """<main>
<div id="stage">
{}<div id="tip" role="tooltip" hidden></div>
</div>
<p id="status" role="status" aria-live="polite"></p>
<dialog id="keys" aria-label="keys"><table></table><form method="dialog"><button>close</button></form></dialog>
<dialog id="norms" aria-label="norms by step"><h2></h2><div tabindex="0"><table></table></div>
<form method="dialog"><button>close</button></form></dialog>
</main>"""


@dataclass
class View:
    """A graph, where its parts stand, and the number of the view that a box ``opens``, by the id of its vertex."""

    graph: Graph
    scene: Scene
    opens: dict[str, int] = field(default_factory=dict)


def page(views: Sequence[View], title: str, theme: str, text: str) -> str:
    """The page; of several views, the first is shown, and the second has its fold opened if it has one."""
    pictures, content = "", []
    for place, view in enumerate(views):
        marks = Reader(view).marks()
        pictures += picture(view.scene, f"v{place}-", title, marks)  # ids of two pictures are two
        hidden = {shape.id for shape in view.scene.shapes if shape.look == "port"}
        shown = {f"v{place}-{id}": mark for id, mark in marks.items() if id not in hidden}
        content.append({"graph": json.loads(view.graph.to_json(6)), "marks": shown, "order": order(view.graph),
                        "opens": view.opens})
    return PAGE.format(
        theme=' data-theme="dark"' * (theme == "dark"), policy=POLICY, title=escaped(title),
        style=palette() + asset("page.css"), main=STAGE.format(pictures), text=escaped(text),
        data=data({"views": content}), script=asset("page.js"),
    )  # fmt: skip


# -- text of a user --------------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    """Text as text of HTML, in its lines; what does not print is a space."""
    return html.escape("\n".join(plain(line) for line in text.split("\n")))


def data(content: object) -> str:
    """JSON, in ASCII, without a character that means something in HTML."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def asset(name: str) -> str:
    """A file that lies beside this one."""
    return importlib.resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


# -- what the parts of a picture stand for ---------------------------------------------------------------------------


def order(graph: Graph) -> list[int]:
    """The numbers of the edges that a gradient comes back on, in the order of the backward pass."""
    return [k for k in reversed(range(len(graph.edges))) if graph.edges[k].gradient is not None]


class Reader:
    """Finds for each shape its vertices, for each line its edges, and when in the backward pass it is gone through."""

    def __init__(self, view: View):
        self.graph, self.edges = view.graph, view.graph.edges
        self.lines, self.shapes, self.known = view.scene.lines, view.scene.shapes, view.graph.known
        self.at = {k: at for at, k in enumerate(order(view.graph))}
        self.joined: dict[tuple[str, str], list[int]] = {}
        self.after: dict[str, list[str]] = {}
        for k, edge in enumerate(self.edges):
            self.joined.setdefault((edge.source, edge.target), []).append(k)
            self.after.setdefault(edge.source, []).append(edge.target)
        self.about = {shape.id: shape.about for shape in self.shapes}
        self.boxes = {shape.id: shape for shape in self.shapes if shape.look == "formula"}
        self.before = {line.target: line.source for line in self.lines if line.target in self.boxes}
        self.behind = {line.source: line.target for line in self.lines if line.source in self.boxes}
        self.out: dict[str, list[Line]] = {}
        self.back: dict[str, list[Line]] = {}  # the lines that come back to a shape
        for line in self.lines:
            lines = self.out if line.look in AHEAD else self.back if line.look in BACK else {}
            lines.setdefault(self.ends(line)[0], []).append(line)
        self.vertices = {shape.id: self.vertices_of(shape) for shape in self.shapes}
        self.shown = dict.fromkeys(id for ids in self.vertices.values() for id in ids)

    def ends(self, line: Line) -> tuple[str, str]:
        """What a line joins, in the sense of its edge; a box of arithmetic on the way is no end."""
        start, end = self.before.get(line.source, line.source), self.behind.get(line.target, line.target)
        return (end, start) if line.look in BACK else (start, end)

    def vertices_of(self, shape: Shape) -> list[str]:
        """What a shape shows: by what it is about, or by the lines that run out of it, also from its dot."""
        if shape.members or (shape.look != "slice" and shape.about in self.known):
            return list(shape.members or [shape.about])
        lines = self.out.get(shape.id, [])
        for line in lines if shape.about else []:
            if self.about[line.target] == shape.about:
                lines = lines + self.out.get(line.target, [])
        sources = [self.edges[line.about].source for line in lines if line.about is not None]
        if sources:
            return list(dict.fromkeys(sources))
        into = dict.fromkeys(self.about[line.target] for line in lines)  # of a box of all parameters
        return [edge.source for id in into for _, edge in self.graph.into.get(id, ())
                if self.known[edge.source].kind in ("parameter", "block")]  # fmt: skip

    def edges_of(self, line: Line) -> list[int]:
        """The edges that a line stands for: between its ends, or through a value that has no shape."""
        if line.edges:
            return list(line.edges)
        source, target = self.ends(line)
        pairs = [(a, b) for a in self.vertices.get(source, []) for b in self.vertices.get(target, [])]
        between = [k for pair in pairs for k in self.joined.get(pair, [])]
        about = line.about
        if not between and not any(a == b for a, b in pairs):
            ways = [(a, m, b) for a, b in pairs for m in self.after.get(a, [])
                    if m not in self.shown and (m, b) in self.joined]  # fmt: skip
            if about is None:
                ways = [way for way in ways if line.id.endswith(self.known[way[1]].state)][:1]
            between = list(dict.fromkeys(k for a, m, b in ways for k in self.joined[a, m] + self.joined[m, b]))
            return between if about is None or about in between else [about]
        return between if about is None or (about in between and len(pairs) > 1) else [about]

    def when(self, line: Line, far: int = 4) -> int:
        """The last step that a line back waits for; -1 if for none, as where a gradient comes in from outside."""
        times = [self.at[k] for k in self.edges_of(line) if k in self.at]
        if times or not far:
            return max(times, default=-1)
        return max((self.when(behind, far - 1) for behind in self.back.get(self.ends(line)[1], [])), default=-1)

    def marks(self) -> dict[str, dict[str, Any]]:
        """By the id of a part of the SVG: ``of`` vertices, or ``edges``; of lines the ``ends``, and back, ``when``."""
        marks: dict[str, dict[str, Any]] = {id: {"of": ids} for id, ids in self.vertices.items() if ids}
        for line in self.lines:
            mark: dict[str, Any] = {"edges": self.edges_of(line), "ends": self.ends(line)}
            mark["of"] = [] if mark["edges"] else self.vertices.get(self.ends(line)[0], [])
            if line.look in BACK:
                mark["when"] = self.when(line)
            if mark["edges"] or mark["of"]:
                marks |= {id: mark for id in (line.source, line.id) if id == line.id or id in self.boxes}
        return marks


# -- the picture as a part of the page -------------------------------------------------------------------------------


def picture(scene: Scene, prefix: str, title: str, marks: Mapping[str, Any]) -> str:
    """The SVG as an element of HTML: its ids begin with ``prefix``, its colours are variables of the style sheet."""
    writer = Writer({name: f"var(--{name})" for name, _ in paints(THEMES["light"])}, prefix, marks)
    box = " ".join(map(number, view_box(scene)))
    hidden = "" if prefix == "v0-" else " hidden"
    return (
        f'<svg id="{prefix}picture" class="picture" viewBox="{box}" role="group" aria-labelledby="{prefix}title" '
        f'aria-describedby="{prefix}about" font-family="{FONTS}"{hidden}><title id="{prefix}title">'
        f'{escaped_line(title)}</title><desc id="{prefix}about">{ABOUT}</desc>\n<g class="world">\n'
        f"{writer.content(scene)}</g></svg>\n"
    )


def palette() -> str:
    """The colours of both themes as variables of the style sheet: what was drawn light follows the reader's system."""
    light, dark = (
        f"color-scheme:{theme};" + "".join(f"--{name}:{value};" for name, value in paints(THEMES[theme]))
        for theme in ("light", "dark")
    )
    return (f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
            f":root[data-theme=dark]{{{dark}}}\n")  # fmt: skip
