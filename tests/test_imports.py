"""Imports run one way: a table of who may import whom.

A *room* is a module of the package, or one of its folders. The rooms stand in the order of the table; each may import
``errors``, and what its row names, all of it from rows above.
"""

import ast
import functools
import sys
from pathlib import Path

import pytest

import tinygrad_rnn as tg

ROOT = Path(tg.__file__).parent

MAY = {
    "errors": "",
    # the engine
    "shape": "",
    "mode": "",
    "guard": "mode",
    "files": "",
    "console": "",
    "apart": "",
    "totals": "guard",
    "graph": "guard mode totals",  # knows neither Tensor nor operations
    "border": "mode",  # what NumPy sees of a Tensor: the tables that the operations fill
    "tree": "",
    "portable": "graph tree",
    "tensor": "guard graph border portable tree",
    "recording": "guard mode graph tensor",
    "naming": "",
    "op": "shape graph border tensor recording naming",
    "ops": "shape op",  # rules are written in NumPy; see EXCEPT
    "again": "guard graph tensor",
    "linearize": "graph portable tensor again tree",
    "transforms": "graph tensor ops tree linearize",
    "checkpoint": "graph portable tensor again tree linearize",
    # cells
    "init": "",
    "param": "tensor",
    "run": "graph tensor param",
    "cell": "graph tensor init param run",
    "masks": "tensor ops cell",
    "wrappers": "ops cell masks",
    "cells": "ops cell",
    "userfile": "cell cells",
    # what a run recorded, as plain data
    "observe": "mode graph tensor op",
    "watch": "mode graph tensor op observe",
    "rows": "graph cell run",
    "formula": "mode graph tensor op observe",
    "trace": "tensor cell watch",
    "debug": "mode graph tensor op observe",
    # time
    "scan": "mode graph tensor ops cell run",
    "view": "mode graph op tensor cell run observe rows formula watch trace scan",  # plain data
    "flow": "files graph tensor again cell observe rows trace",
    # the tools: no layer, no model, not each other
    "draw": "files console tensor cell cells userfile view",
    "derive": "files mode tensor op observe cell cells formula trace watch userfile",
    "check": "files graph tensor op ops tree transforms cell cells formula watch trace userfile",
    # training
    "data": "files",
    "nn": "guard mode graph again tensor ops init cell masks scan",
    "optim": "guard graph tensor",
    "train": "files mode tensor ops init cell masks cells data nn optim",
    # the faces
    "__init__": "mode tensor ops transforms checkpoint cell masks wrappers cells debug scan "
    "draw flow check derive data nn optim train",
    "demo": "files cells draw check data optim train",
    "cli": "__init__ console apart cell cells userfile draw check derive train demo",
    "__main__": "cli",
}

#: Files that may import more than their room.
EXCEPT = {
    "ops/face.py": "border tensor",  # NumPy's functions by their own signatures: tells Tensors from arrays
    "ops/methods.py": "border tensor graph guard",  # methods of Tensor; writing into a Tensor in place
    "ops/assignment.py": "tensor graph guard recording",  # x[index] = y puts a new node under the Tensor x
    "ops/joining.py": "recording",  # what operations on any number of arrays say of one
    "ops/output.py": "guard mode tensor recording",  # affine and cross-entropy recorded as two operations, made as one
    "ops/shaping.py": "graph",  # sum_to, the one place of un-broadcasting
    "ops/summation.py": "graph",  # the same
}

#: What comes from outside: who may import it, and when. NumPy and the standard library are free.
OUTSIDE = {
    "graphviz": ("draw", "at the top"),
    "pygraphviz": ("draw", "in a function"),
    "matplotlib": ("demo flow", "in a function"),
    "tqdm": ("train", "in a function"),
    "pytest": ("check", "in a function"),
    "safetensors": ("train", "in a function"),
}


def room(path: Path) -> str:
    """The room of a file, given from the root of the package."""
    return path.parts[0] if len(path.parts) > 1 else path.stem


@functools.cache
def imports(path: Path, root: Path) -> list[tuple[str, bool, int]]:
    """Every import of a file, wherever it stands: the dotted module, is it at the top, its line.

    Imports under TYPE_CHECKING never run, and are left out.
    """
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    tests = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    never = {node for test in tests for part in test.body for node in ast.walk(part)}
    late = {node for function in ast.walk(tree) if isinstance(function, ast.FunctionDef) for node in ast.walk(function)}
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in never]
    return [(name, node not in late, node.lineno) for node in found for name in names(node, path, root)]


def names(node: ast.Import | ast.ImportFrom, path: Path, root: Path) -> list[str]:
    """The modules that an import statement loads, dotted; those of the package begin with ``tinygrad_rnn``."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    package = ["tinygrad_rnn", *path.parts[:-1]]
    base = ".".join([*package[: len(package) + 1 - node.level], *([node.module] if node.module else [])])
    if not node.level:
        base = node.module or ""
    folder = root.joinpath(*base.split(".")[1:])
    modules = [base] if base != "tinygrad_rnn" else []
    for alias in node.names:
        there = (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir()
        modules += [f"{base}.{alias.name}"] if there else [] if modules else [f"{base}.__init__"]
    return modules


def wrong_imports(root: Path) -> list[str]:
    """What breaks the rule, one line each."""
    found = []
    for file in sorted(root.rglob("*.py")):
        path = file.relative_to(root)
        own, allowed = room(path), f"errors {MAY.get(room(path), '')} {EXCEPT.get(path.as_posix(), '')}".split()
        if own not in MAY:
            found.append(f"{path}: the room {own} is not in the table")
        for name, at_top, line in imports(path, root):
            first, _, rest = name.partition(".")
            target = rest.split(".")[0]
            if first == "tinygrad_rnn" and target not in (own, *allowed):
                found.append(f"{path}:{line}: {own} imports {target}")
            elif first != "tinygrad_rnn" and first != "numpy" and first not in sys.stdlib_module_names:
                who, when = OUTSIDE.get(first, ("nobody", ""))
                if own not in who.split() or (when == "in a function" and at_top):
                    found.append(f"{path}:{line}: {own} imports {first}, which is for {who} {when}".rstrip())
    return found


def test_every_import_is_in_the_table():
    assert wrong_imports(ROOT) == []


def test_the_table_runs_one_way_and_holds_nothing_that_is_not_there():
    rooms = list(MAY)
    for number, (own, allowed) in enumerate(MAY.items()):
        assert [name for name in allowed.split() if name not in rooms[:number]] == [], own
        assert (ROOT / own).is_dir() or (ROOT / f"{own}.py").exists(), own
    assert [name for name in EXCEPT if not (ROOT / name).exists()] == []


def test_the_table_is_strict():
    """An entry that no import uses is a door left open."""
    used = {(path.as_posix(), name.split(".")[1]): None
            for path in (file.relative_to(ROOT) for file in ROOT.rglob("*.py"))
            for name, _, _ in imports(path, ROOT) if name.startswith("tinygrad_rnn.")}  # fmt: skip
    by_room = {(room(Path(path)), target): None for path, target in used}
    idle = [
        f"{own} -> {name}" for own, allowed in MAY.items() for name in allowed.split() if (own, name) not in by_room
    ]
    idle += [f"{path} -> {name}" for path, more in EXCEPT.items() for name in more.split() if (path, name) not in used]
    assert idle == []


def test_tools_import_no_layer_no_model_and_not_each_other():
    tools, upper = ["draw", "flow", "check", "derive"], ["scan", "nn", "optim", "data", "train", "demo", "cli"]
    for tool in tools:
        assert [name for name in MAY[tool].split() if name in tools + upper] == []


PLANTED = {
    "graph.py": ("from .tensor import Tensor", "graph.py:1: graph imports tensor"),
    "cells.py": ("def f():\n    from .scan import scan", "cells.py:2: cells imports scan"),
    "optim/sgd.py": ("from ..nn.module import Module", "optim/sgd.py:1: optim imports nn"),
    "draw/dot.py": ("from .. import check", "draw/dot.py:1: draw imports check"),
    "check/report.py": ("import tinygrad_rnn.train", "check/report.py:1: check imports train"),
    "trace.py": ("from tinygrad_rnn.nn import Linear", "trace.py:1: trace imports nn"),
    "nn/layers.py": ("from .. import __version__", "nn/layers.py:1: nn imports __init__"),
    "ops/reduce.py": ("from ..tensor import Tensor", "ops/reduce.py:1: ops imports tensor"),
    "train/fit.py": ("import tqdm", "train/fit.py:1: train imports tqdm, which is for train in a function"),
    "scan.py": ("import scipy.linalg as la", "scan.py:1: scan imports scipy, which is for nobody"),
    "attic.py": ("x = 1", "attic.py: the room attic is not in the table"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_import_is_noticed(name, tmp_path):
    for folder in ("draw", "check", "nn", "optim", "train", "ops"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tensor.py").write_text("from .graph import Node\n")  # right, and stays so
    text, complaint = PLANTED[name]
    (tmp_path / name).write_text(text + "\n")
    assert wrong_imports(tmp_path) == [complaint]


@pytest.mark.parametrize("text", [
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .tensor import Tensor",
    "from . import guard\nimport numpy as np\nfrom .mode import mode",
])  # fmt: skip
def test_a_right_import_is_not(text, tmp_path):
    for name in ("guard", "mode"):
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "graph.py").write_text(text)
    assert wrong_imports(tmp_path) == []
