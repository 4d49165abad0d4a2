"""What is seen in an SVG: its lines, boxes and texts, and whether they lie on each other."""

import itertools
import math
import re
import xml.etree.ElementTree as ET

import numpy as np

SVG = "{http://www.w3.org/2000/svg}"


class Seen:
    """The pieces of lines, the boxes and the texts of an SVG, as rectangles (left, top, right, bottom)."""

    def __init__(self, svg):
        root = ET.fromstring(svg)
        self.boxes, self.lines, self.texts, self.sizes = {}, {}, [], []
        self.view = [float(part) for part in root.get("viewBox").split()]
        for group in root.iter(f"{SVG}g"):
            kind = group.get("class").split()[0]
            point = group.get("class").startswith(("node dot", "node joint"))
            for part in group:
                if part.tag == f"{SVG}text":
                    self.add_text(part)
                elif kind == "node" and part.tag in (f"{SVG}rect", f"{SVG}circle") and not point:
                    self.boxes.setdefault(group.get("id"), rectangle(part))
                elif part.tag == f"{SVG}path" and kind == "edge":
                    self.lines[group.get("id")] = list(itertools.pairwise(points_of(part.get("d"))))
        for part in root.findall(f"{SVG}text"):
            self.add_text(part)

    def add_text(self, part):
        size, text = float(part.get("font-size")), part.text or ""
        x, y, wide = float(part.get("x")), float(part.get("y")), 0.5 * size * len(text)
        self.sizes.append(size)
        self.texts.append((text, (x - wide / 2, y - 0.72 * size, x + wide / 2, y + 0.05 * size)))


def points_of(path):
    """The points of a path; those of Bézier pieces at eight places each."""
    points = []
    for kind, numbers in re.findall("([MLC])([^MLC]*)", path):
        found = list(map(float, numbers.split()))
        pairs = list(zip(found[::2], found[1::2]))
        if kind == "C":
            a, (b, c, d) = points[-1], pairs
            pairs = [tuple((1 - t) ** 3 * a[k] + 3 * t * (1 - t) ** 2 * b[k] + 3 * t * t * (1 - t) * c[k] + t**3 * d[k]
                           for k in (0, 1)) for t in (k / 8 for k in range(1, 9))]  # fmt: skip
        points += pairs
    return points


def rectangle(part):
    number = {key: float(value) for key, value in part.items() if re.fullmatch(r"-?[\d.]+", value)}
    if part.tag == f"{SVG}circle":
        x, y, r = number["cx"], number["cy"], number["r"]
        return x - r, y - r, x + r, y + r
    return number["x"], number["y"], number["x"] + number["width"], number["y"] + number["height"]


def touch(a, b, by=0.0):
    """Do two rectangles share more than ``by``?"""
    return min(a[2], b[2]) - max(a[0], b[0]) > by and min(a[3], b[3]) - max(a[1], b[1]) > by


def around(piece):
    (ax, ay), (bx, by) = piece
    return min(ax, bx) - 0.01, min(ay, by) - 0.01, max(ax, bx) + 0.01, max(ay, by) + 0.01


def crossings(lines):
    """Pairs of lines whose pieces share a point that is inside of both."""
    pieces = [(id, piece, around(piece)) for id, line in lines.items() for piece in line]
    places = [place for *_, place in pieces]
    near = [(pieces[k][0], pieces[j][0], pieces[k][1], pieces[j][1]) for k, j in touching(places, places)
            if k < j and pieces[k][0][1:] != pieces[j][0][1:]]  # fmt: skip
    return [(a, b) for a, b, *both in near if all(map(upright, both)) or meet(*both)]


def upright(piece):
    """Is a piece level or upright?"""
    (ax, ay), (bx, by) = piece
    return abs(ax - bx) < 0.02 or abs(ay - by) < 0.02


def meet(first, second):
    """Do two pieces cross inside of both?"""
    (a, b), (c, d) = first, second

    def side(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < -1e-3 and side(c, d, a) * side(c, d, b) < -1e-3


def touching(first, second, by=0.0):
    """The pairs of places of rectangles that share more than ``by``."""
    if not first or not second:
        return []
    a, b = np.array(first)[:, None], np.array(second)[None]
    shared = [np.minimum(a[..., k + 2], b[..., k + 2]) - np.maximum(a[..., k], b[..., k]) for k in (0, 1)]
    return np.argwhere((shared[0] > by) & (shared[1] > by)).tolist()


def on_lines(found):
    """The texts that lie on a line."""
    pieces = [around(piece) for line in found.lines.values() for piece in line]
    texts = [found.texts[k][0] for k, _ in touching([place for _, place in found.texts], pieces)]
    return list(dict.fromkeys(texts))


def on_texts(found):
    """The pairs of texts that lie on each other."""
    places = [place for _, place in found.texts]
    return [(found.texts[k][0], found.texts[j][0]) for k, j in touching(places, places) if k < j]


def through_boxes(found, by=1.2, ends=None):
    """The lines that run through a box by more than so much; ``ends`` are the boxes at which each line may end."""
    pieces = [(id, piece) for id, line in found.lines.items() for piece in line]
    boxes = list(found.boxes.items())
    inner = [(left + by, top + by, right - by, bottom - by) for _, (left, top, right, bottom) in boxes]
    near = [(*pieces[k], *boxes[j]) for k, j in touching([around(piece) for _, piece in pieces], inner)]
    return [(id, box) for id, piece, box, edges in near
            if box not in (ends or {}).get(id, ()) and (upright(piece) or inside(piece, edges, by))]  # fmt: skip


def inside(piece, edges, by):
    """Is a place along a slanting piece in a box, or in the circle in a square?"""
    (ax, ay), (bx, by_), (left, top, right, bottom) = *piece, edges
    x, y, wide, high = (left + right) / 2, (top + bottom) / 2, (right - left) / 2 - by, (bottom - top) / 2 - by
    places = [(ax + (bx - ax) * t / 8 - x, ay + (by_ - ay) * t / 8 - y) for t in range(9)]
    if abs(wide - high) < 0.01:
        return any(math.hypot(dx, dy) < wide for dx, dy in places)
    return any(abs(dx) < wide and abs(dy) < high for dx, dy in places)


def forward(found):
    """The lines of the forward pass."""
    return {id: line for id, line in found.lines.items() if not id.rpartition("_")[2].startswith("b")}


def measured(picture):
    """What is told of a picture in the gallery: pixels of the smallest text on a slide, aspect, crossings, overlaps."""
    found, ends = Seen(picture.svg()), {line.id: (line.source, line.target) for line in picture.scene.lines}
    found.lines = {id: line for id, line in found.lines.items() if not id.startswith(("strip", "key"))}
    width, height = found.view[2:]
    text = min(found.sizes) * min(1280 / width, 720 / height)
    pieces = [(id, piece) for id, line in forward(found).items() for piece in line]
    pairs = dict.fromkeys((a, b) for (a, first), (b, second) in itertools.combinations(pieces, 2)
                          if a != b and meet(first, second))  # fmt: skip
    over = len(on_lines(found)) + len(on_texts(found)) + len(through_boxes(found, 1.2, ends))
    return text, width / height, len(pairs), over
