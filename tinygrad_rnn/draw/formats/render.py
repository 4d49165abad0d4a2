"""Render DOT with the system's Graphviz (``dot``), else with pygraphviz, whose wheels include Graphviz."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

from ...errors import NoRendererError, RenderError, RenderTimeoutError

LIMIT = 20.0  # seconds
NO_RENDERER = (
    "draw: no Graphviz to render with. Install it (apt install graphviz, brew install graphviz, "
    "winget install graphviz), or pip install 'tinygrad-rnn[draw]', which brings its own. "
    "Without one there are .dot, .mmd, .txt, .json and .html"
)
BUNDLED = (
    "import sys, pygraphviz; sys.stdout.buffer.write("
    "pygraphviz.AGraph(string=sys.stdin.buffer.read().decode()).draw(format=sys.argv[1], prog='nop2'))"
)


def rendered(source: str, format: str, limit: float = LIMIT) -> bytes:
    """Render ``source`` with Graphviz. Raises RenderTimeoutError after ``limit`` seconds, or another RenderError."""
    if not format.isalnum():
        raise RenderError(f"draw: {format!r} is no format, should be one such as svg, png, pdf or html")
    dot = shutil.which("dot")
    if dot is None and importlib.util.find_spec("pygraphviz") is None:
        raise NoRendererError(NO_RENDERER)
    command = [dot, f"-T{format}"] if dot else [sys.executable, "-c", BUNDLED, format]
    try:
        process = subprocess.run(command, input=source.encode(), capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise RenderTimeoutError(
            f"draw: Graphviz took longer than {limit:g} s; draw less: level='cell', fewer steps, a part"
        ) from None
    if process.returncode or not process.stdout:
        errors = process.stderr.decode(errors="replace").strip().splitlines()
        known = "svg, png, pdf, html, dot, mmd, json and txt"
        raise RenderError(f"draw: {format!r} is no format that Graphviz can make, such as {known}: {errors[-1:] or ''}")
    return process.stdout
