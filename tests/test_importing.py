"""What importing the package does: it registers operations, and nothing else."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import tinygrad_rnn as tg

ROOT = Path(tg.__file__).parent

QUIET = """
import json, os, random, sys, threading
import numpy as np
before = np.random.get_state()[1].tolist(), random.getstate(), sorted(os.listdir()), np.geterr(), threading.enumerate()
environment = dict(os.environ)
import tinygrad_rnn
after = np.random.get_state()[1].tolist(), random.getstate(), sorted(os.listdir()), np.geterr(), threading.enumerate()
heavy = ["matplotlib", "tqdm", "safetensors", "pygraphviz", "torch", "llvmlite", "tinygrad_rnn.cli.demo",
         "tinygrad_rnn.cli.main"]
print(json.dumps({
    "same": [a == b for a, b in zip(before, after)] + [environment == dict(os.environ)],
    "loaded": [name for name in heavy if name in sys.modules],
}))
"""


def run_python(code: str, folder: Path, *options: str) -> str:
    """What a fresh interpreter prints that starts in ``folder``, where a warning is an error."""
    command = [
        sys.executable,
        "-W",
        "error",
        *options,
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT.parent)!r})\n{code}",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_importing_changes_nothing_and_loads_nothing_heavy(tmp_path):
    found = json.loads(run_python(QUIET, tmp_path))
    assert found == {"same": [True] * 6, "loaded": []}
    assert list(tmp_path.iterdir()) == []


def test_names_at_the_top_survive_the_import_of_every_module(tmp_path):
    """A module has the name of an operation now and then (trace, scan, draw): the operation wins, whatever comes."""
    modules = [file.relative_to(ROOT).with_suffix("") for file in sorted(ROOT.rglob("*.py")) if "__" not in file.name]
    if not find_spec("llvmlite"):
        modules = [path for path in modules if path.parent != Path("sequence/jit")]
    lines = [f"import tinygrad_rnn.{'.'.join(path.parts)}" for path in modules]
    code = "\n".join([
        "import tinygrad_rnn as tg", "first = dict(vars(tg))", *lines,
        "import tinygrad_rnn.tracing.sample, tinygrad_rnn.sequence.scan, tinygrad_rnn.draw.formats.dot",
        "print([name for name in first if vars(tg)[name] is not first[name]])",
        "print(tg.trace(2 * __import__('numpy').eye(3)), *map(callable, (tg.scan, tg.draw, tg.checkpoint)))",
    ])  # fmt: skip
    assert run_python(code, tmp_path) == "[]\n6.0 True True True\n"


@pytest.mark.sampled(every=3, by=lambda **_: [])
@pytest.mark.parametrize("name", [
    "tracing.sample", "sequence.scan", "draw.formats.dot", "engine.checkpoint", "cells.cell",
])  # fmt: skip
def test_a_module_that_is_imported_first_hides_no_function(name, tmp_path):
    code = f"import tinygrad_rnn.{name}\nimport tinygrad_rnn as tg\n"
    code += "print([type(one).__name__ for one in (tg.trace, tg.scan, tg.draw, tg.checkpoint, tg.cell)])"
    assert run_python(code, tmp_path) == f"{['function'] * 5}\n"
