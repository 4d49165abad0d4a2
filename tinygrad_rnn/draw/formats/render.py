"""PNG, PDF and the like: by Graphviz (``dot``, else pygraphviz) from DOT, else by cairosvg or resvg from SVG."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable

from ...errors import NoRendererError, RenderError, RenderTimeoutError

LIMIT = 20.0  # seconds
SCALE = 2.0  # pixels of a PNG for a unit of the SVG
NO_RENDERER = (
    "draw: {} needs a renderer. Install Graphviz (apt install graphviz, brew install graphviz, "
    "winget install graphviz), or pip install 'tinygrad-rnn[draw]', which brings its own, or cairosvg (png, pdf) "
    "or resvg-py (png). Without one there are .svg, .html, .dot, .mmd, .txt and .json"
)
BUNDLED = (
    "import sys, pygraphviz; sys.stdout.buffer.write("
    "pygraphviz.AGraph(string=sys.stdin.buffer.read().decode()).draw(format=sys.argv[1], prog='nop2'))"
)


def rendered(source: str, svg: Callable[[], str], format: str, limit: float = LIMIT) -> bytes:
    """Render ``source`` with Graphviz, or ``svg()`` with a library.

    Raises RenderTimeoutError after ``limit`` seconds, NoRendererError without a renderer, or another RenderError.
    """
    if not format.isalnum():
        raise RenderError(f"draw: {format!r} is no format, should be one such as svg, png, pdf or html")
    dot = shutil.which("dot")
    if dot is not None or importlib.util.find_spec("pygraphviz") is not None:
        return _by_graphviz([dot, f"-T{format}"] if dot else [sys.executable, "-c", BUNDLED, format], source, limit)
    if format in ("png", "pdf") and importlib.util.find_spec("cairosvg") is not None:
        import cairosvg

        convert = cairosvg.svg2png if format == "png" else cairosvg.svg2pdf
        return bytes(convert(bytestring=svg().encode(), scale=SCALE if format == "png" else 1.0))
    if format == "png" and importlib.util.find_spec("resvg_py") is not None:
        import resvg_py

        return bytes(resvg_py.svg_to_bytes(svg_string=svg(), zoom=int(SCALE)))
    raise NoRendererError(NO_RENDERER.format(format))


def _by_graphviz(command: list[str], source: str, limit: float) -> bytes:
    """What a command of Graphviz makes of ``source``."""
    try:
        process = subprocess.run(command, input=source.encode(), capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise RenderTimeoutError(
            f"draw: Graphviz took longer than {limit:g} s; draw less: level='cell', fewer steps, a part"
        ) from None
    if process.returncode or not process.stdout:
        errors = process.stderr.decode(errors="replace").strip().splitlines()
        known = "svg, png, pdf, html, dot, mmd, json and txt"
        raise RenderError(f"draw: {command[-1].removeprefix('-T')!r} is no format that Graphviz can make, such as "
                          f"{known}: {errors[-1:] or ''}")  # fmt: skip
    return process.stdout
