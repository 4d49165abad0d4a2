"""The shape of a picture as a whole, and whether its text can be read on a slide."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...errors import InvalidValue
from .geometry import Note, Scene
from .theme import SIZES

MARGIN = 14.0  # around the scene, in every format
RATIOS: dict[str, float | None] = {"slide": 16 / 9, "page": 210 / 297, "strip": None}  # width to height; None: as it is
HIGH = 720.0  # pixels of a slide
LEAST = 12.0  # pixels of the smallest text on it
AROUND = 88.0  # about the height of title and legend, with the space between


def ratio_of(aspect: str | float) -> float | None:
    """The width of a picture divided by its height; None leaves both as they are. Raises InvalidValue."""
    if isinstance(aspect, str) and aspect in RATIOS:
        return RATIOS[aspect]
    if not isinstance(aspect, str) and not isinstance(aspect, bool) and 0 < aspect < math.inf:
        return float(aspect)
    raise InvalidValue(f"draw: aspect is {aspect!r}, should be one of {', '.join(RATIOS)}, or width / height, above 0")


def text_height(scene: Scene, around: float = 0.0) -> float:
    """The pixels of the smallest text where the picture fills a slide of 1280 x 720, with ``around`` for the rest."""
    sizes = [shape.size for shape in scene.shapes if shape.lines or shape.ports]
    sizes += [note.size for note in scene.notes] + [note.size for line in scene.lines for note in line.notes]
    height = max(scene.height + around + 2 * MARGIN, (scene.width + 2 * MARGIN) * 9 / 16)
    return min(sizes, default=LEAST) * HIGH / height


def size_on(ratio: float | None) -> Callable[[float, float], float]:
    """The function of a width and a height that tells how large a layout is: up to 1, text of any size is readable.

    A picture without a ratio may have any size.
    """
    if ratio is None:
        return lambda width, height: 0.0
    most = min(SIZES.values()) * HIGH / LEAST

    def size(width: float, height: float) -> float:
        high = max(height + AROUND, (width + 2 * MARGIN) / ratio)
        return max(high, high * ratio * 9 / 16) / most

    return size


def readable(scene: Scene) -> bool:
    """Is the smallest text at least 1/60 of a slide's height?"""
    return text_height(scene) >= LEAST


def warning(scene: Scene) -> str:
    """How small the text is, for a picture whose text is too small for a slide."""
    height = text_height(scene)
    return f"the smallest text is {int(height)} px on a slide of 1280 x 720; a coarser level draws less"


def add_warning(scene: Scene, top: float) -> None:
    """Say how small the text is, below the title."""
    text = warning(scene)
    scene.notes.append(Note(10.0 + 0.27 * 12 * len(text), top, [text], 12.0, "faint"))


def fit(scene: Scene, ratio: float | None) -> None:
    """Widen the paper, or make it higher, to a ratio of width to height; the scene stays in the middle."""
    if ratio is None:
        return
    width, height = scene.width + 2 * MARGIN, scene.height + 2 * MARGIN
    wider, higher = max(ratio * height - width, 0.0), max(width / ratio - height, 0.0)
    scene.shift(wider / 2, higher / 2)
    scene.width, scene.height = scene.width + wider, scene.height + higher
