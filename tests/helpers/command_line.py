"""What the tests of the command line share: three small texts, options for a small run, a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import tinygrad_rnn as tg
from tinygrad_rnn.data import grammar

ROOT = Path(tg.__file__).parent.parent  # where the package is, which may be installed elsewhere
CHECKOUT = Path(__file__).parents[2]  # where examples and pages are
SMALL = [f"--{name}={value}" for name, value in
         {"embed": 4, "hidden": 5, "rows": 4, "window": 6, "lr": 1, "epochs": 2}.items()]  # fmt: skip


def write_texts(folder: Path, n: int = 300, **texts: str | bytes) -> Path:
    """Three texts; those named are as given, or left out where empty."""
    corpus = grammar(n)
    words = "<unk> " + " ".join(corpus.decode(corpus.ids)) + "\n"
    folder.mkdir(exist_ok=True)
    for name in ("train", "valid", "test"):
        text = texts.get(name, words)
        (folder / f"{name}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def python(*args: str, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""}
    return subprocess.Popen([sys.executable, "-W", "error", *args], env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)  # fmt: skip
