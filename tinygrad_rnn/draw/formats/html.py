"""One interactive page, in a file that needs no network: the picture inside, its data as JSON, a little JavaScript.

What a reader can do with it is told by the page itself (``?``). Text of a user gets into it in two ways only: through
`escaped` as text of HTML, and through `data` as JSON, from which the script sets the texts of elements, never markup.
"""

from __future__ import annotations

import html
import importlib.resources
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..model import Graph
from ..scene.geometry import BACK, Line, Scene, Shape
from ..scene.labels import plain
from ..scene.theme import LEVELS, THEMES, Theme, colour

AHEAD = ("forward", "cut")  # looks of lines
KEPT = ("id", "class", "d", "points", "x", "y", "cx", "cy", "rx", "ry", "fill", "stroke", "stroke-width",
        "stroke-dasharray", "text-anchor", "font-size", "transform", "viewBox")  # fmt: skip
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
ABOUT = "The graph of a computation: solid arrows run forward, dashed ones backward, with the norms of the gradients."
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
<details{open}><summary>the same as text</summary><pre tabindex="0">{text}</pre></details>
<script type="application/json" id="data">{data}</script>
{script}</body>
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
    """A graph, where its parts stand, and its rendered SVG ("" where there is no renderer)."""

    graph: Graph
    scene: Scene
    svg: str


def page(views: Sequence[View], title: str, advice: str, text: str) -> str:
    """The page; the second view, if there is one, has the fold of the first opened."""
    pictures, content, drawn_in = "", [], None
    for number, view in enumerate(views):
        marks: dict[str, Any] = {}
        if view.svg:
            root = ET.fromstring(view.svg)
            drawn_in = drawn_in or theme_of(root)
            prefix = f"v{number}-"  # ids of two pictures are two
            ids = {part.get("id", "") for part in root.iter()}
            marks = {prefix + id: mark for id, mark in Reader(view).marks().items() if id in ids}
            pictures += picture(root, prefix, title, marks)
        content.append({"graph": json.loads(view.graph.to_json(6)), "marks": marks, "order": order(view.graph)})
    advised = f'<p class="advice">{escaped(advice)}</p>\n' if advice else ""
    return PAGE.format(
        theme=' data-theme="dark"' if drawn_in is THEMES["dark"] else "", policy=POLICY, title=escaped(title),
        style=palette() + asset("page.css"), main=advised + (STAGE.format(pictures) if pictures else ""),
        open="" if pictures else " open", text=escaped(text), data=data({"views": content}),
        script=f"<script>\n{asset('page.js')}</script>\n" if pictures else "",
    )  # fmt: skip


# -- text of a user --------------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    """Text as text of HTML, in its lines; what does not print is a space."""
    return html.escape("\n".join(plain(line) for line in text.split("\n")))


def data(content: object) -> str:
    """JSON, in ASCII, without a character that means something in HTML."""
    made = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return made.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


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
        if shape.look != "slice" and shape.about in self.known:
            return [shape.about]
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
        source, target = self.ends(line)
        pairs = [(a, b) for a in self.vertices.get(source, []) for b in self.vertices.get(target, [])]
        found = [k for pair in pairs for k in self.joined.get(pair, [])]
        own = line.about
        if not found and not any(a == b for a, b in pairs):
            ways = [(a, m, b) for a, b in pairs for m in self.after.get(a, [])
                    if m not in self.shown and (m, b) in self.joined]  # fmt: skip
            if own is None:
                ways = [way for way in ways if line.id.endswith(self.known[way[1]].state)][:1]
            found = list(dict.fromkeys(k for a, m, b in ways for k in self.joined[a, m] + self.joined[m, b]))
            return found if own is None or own in found else [own]
        return found if own is None or (own in found and len(pairs) > 1) else [own]

    def when(self, line: Line, far: int = 4) -> int:
        """The last step that a line back waits for; -1 if for none, as where a gradient comes in from outside."""
        own = [self.at[k] for k in self.edges_of(line) if k in self.at]
        if own or not far:
            return max(own, default=-1)
        return max((self.when(one, far - 1) for one in self.back.get(self.ends(line)[1], [])), default=-1)

    def marks(self) -> dict[str, dict[str, Any]]:
        """By the id of a part of the SVG: ``of`` vertices, or ``edges``; of lines the ``ends``, and back, ``when``."""
        found: dict[str, dict[str, Any]] = {id: {"of": ids} for id, ids in self.vertices.items() if ids}
        for line in self.lines:
            mark: dict[str, Any] = {"edges": self.edges_of(line), "ends": self.ends(line)}
            mark["of"] = [] if mark["edges"] else self.vertices.get(self.ends(line)[0], [])
            if line.look in BACK:
                mark["when"] = self.when(line)
            if mark["edges"] or mark["of"]:
                found |= {id: mark for id in (line.source, line.id) if id == line.id or id in self.boxes}
        return found


# -- the picture as a part of the page -------------------------------------------------------------------------------


def picture(root: ET.Element, prefix: str, title: str, marks: dict[str, Any]) -> str:
    """The SVG as an element of HTML: with ids of its own, colours by their meaning, and nothing that is not drawn."""
    colours = {value: f"var(--{name})" for name, value in reversed(list(meanings(theme_of(root))))}
    for part in list(root.iter()):
        part.tag, part.tail = part.tag.rpartition("}")[2], None
        kept = {key: colours.get(value, value) for key, value in part.items() if key in KEPT}
        part.attrib.clear()
        part.attrib.update(kept)
        part[:] = [child for child in part if not child.tag.endswith("}title")]
        if "id" in kept:
            part.set("id", prefix + kept["id"])
            part.set("class", kept.get("class", "") + ("" if prefix + kept["id"] in marks else " still"))
    world = ET.Element("g", {"class": "world"})
    world.extend(list(root))
    root[:] = [_worded("title", f"{prefix}title", title), _worded("desc", f"{prefix}about", ABOUT), world]
    root.attrib.update({"class": "picture", "role": "group", "aria-labelledby": f"{prefix}title",
                        "aria-describedby": f"{prefix}about", "id": f"{prefix}picture"})  # fmt: skip
    if prefix != "v0-":
        root.set("hidden", "")
    return ET.tostring(root, encoding="unicode").strip() + "\n"


def _worded(tag: str, id: str, text: str) -> ET.Element:
    made = ET.Element(tag, {"id": id})
    made.text = plain(text)
    return made


def theme_of(root: ET.Element) -> Theme:
    """The theme that a picture was drawn in, by its paper."""
    paper = next((part.get("fill") for part in root.iter() if part.tag.endswith("polygon")), "")
    return next((theme for theme in THEMES.values() if theme.paper == paper), THEMES["light"])


def meanings(theme: Theme) -> Iterator[tuple[str, str]]:
    """The names of a theme's colours, and the colours."""
    for name in ("paper", "ink", "faint", "operation", "parameter", "box", "frame", "bad"):
        yield name, getattr(theme, name)
    for level in range(LEVELS):
        yield f"level-{level}", colour(theme, level)


def palette() -> str:
    """The colours of both themes as variables of the style sheet: what was drawn light follows the reader's system."""
    light, dark = (
        f"color-scheme:{one};" + "".join(f"--{name}:{value};" for name, value in meanings(THEMES[one]))
        for one in ("light", "dark")
    )
    return (f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
            f":root[data-theme=dark]{{{dark}}}\n")  # fmt: skip
