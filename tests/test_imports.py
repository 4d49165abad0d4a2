"""Imports run one way: a table of who may import whom.

A *room* is a folder of the package, or a module directly under it. The rooms stand in the order of the table; each may
import what its row names, all of it from rows above. Inside of a room, no modules import each other in a circle.
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
    "files": "",
    "figures": "errors files",  # plots by matplotlib
    "engine": "errors",  # tensors, operations, the graph, transforms
    "ops": "errors engine",
    "formula": "errors engine",  # a gradient rule as an expression
    "cells": "errors engine ops",
    "tracing": "errors engine formula cells",  # the recorded computation, its names and its adjoint
    "sequence": "errors files engine ops formula cells tracing",  # scan, and its plan
    # the tools: no layer, no model, not each other
    "flow": "errors figures engine cells tracing",
    "derive": "errors engine formula cells tracing",
    "check": "errors engine ops formula cells tracing",
    "draw": "errors files engine formula cells tracing sequence",
    "exercise": "errors engine formula cells tracing check",
    # training: no tool
    "nn": "errors engine ops cells sequence",
    "optim": "errors engine",
    "data": "errors files",
    "models": "errors figures engine ops cells nn data",
    "train": "errors files figures engine nn optim data",
    # the faces
    "__init__": "errors engine ops cells sequence flow derive check draw nn optim data models train",
    "cli": "errors files figures __init__ cells tracing derive check draw exercise optim data models train",
    "__main__": "cli",
}

#: What comes from outside: who may import it, and when. NumPy and the standard library are free.
OUTSIDE = {
    "graphviz": ("draw", "at the top"),
    "pygraphviz": ("draw", "in a function"),
    "cairosvg": ("draw", "in a function"),
    "resvg_py": ("draw", "in a function"),
    "matplotlib": ("figures", "in a function"),
    "llvmlite": ("sequence", "at the top"),  # of sequence/jit, whose modules are imported in a function
    "tqdm": ("train", "in a function"),
    "pytest": ("check", "in a function"),
    "safetensors": ("train", "in a function"),
    "tomli": ("cli", "in a function"),  # tomllib of Python 3.11 for 3.10
    "tomllib": ("cli", "in a function"),
    "tomli_w": ("cli", "in a function"),
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
    nodes = list(ast.walk(tree))
    tests = [node for node in nodes if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    never = {node for test in tests for part in test.body for node in ast.walk(part)}
    found = [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) and node not in never]
    indented = any(node.col_offset for node in found)
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)] if indented else []
    late = {node for function in functions for node in ast.walk(function)}
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
        own, allowed = room(path), MAY.get(room(path), "").split()
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


def test_the_table_is_strict():
    """An entry that no import uses is a door left open."""
    used = {(room(path), name.split(".")[1]): None
            for path in (file.relative_to(ROOT) for file in ROOT.rglob("*.py"))
            for name, _, _ in imports(path, ROOT) if name.startswith("tinygrad_rnn.")}  # fmt: skip
    assert [f"{own} -> {name}" for own, row in MAY.items() for name in row.split() if (own, name) not in used] == []


def circles(root: Path) -> list[list[str]]:
    """Modules that import each other in a circle, in a function or at the top; each circle once."""
    files = {module(file.relative_to(root)): file.relative_to(root) for file in sorted(root.rglob("*.py"))}
    edges = {name: [other for other, _, _ in imports(path, root) if other in files] for name, path in files.items()}
    done: dict[str, None] = {}
    found = []

    def visit(name: str, way: list[str]) -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
        elif name not in done:
            for other in edges[name]:
                if other != name and not name.startswith(f"{other}."):  # a package loads before its modules
                    visit(other, [*way, name])
            done[name] = None

    for name in files:
        visit(name, [])
    return found


def module(path: Path) -> str:
    """The dotted name of a file, given from the root of the package."""
    return ".".join(["tinygrad_rnn", *path.with_suffix("").parts]).removesuffix(".__init__")


def test_no_modules_import_each_other_in_a_circle():
    assert circles(ROOT) == []


def test_a_circle_is_noticed(tmp_path):
    for name, text in {"a": "from .b import x", "b": "def f():\n    from .c import y", "c": "from . import a"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    assert circles(tmp_path) == [[f"tinygrad_rnn.{name}" for name in "abca"]]


def test_no_room_has_the_name_of_a_public_function():
    public = [name for name in tg.__all__ if callable(getattr(tg, name))]
    assert [name for name in MAY if name in public] == ["derive", "draw"]


def test_dir_shows_the_public_names_alone():
    assert sorted(name for name in dir(tg) if not name.startswith("_")) == sorted(tg.__all__)
    assert [name for name in tg.__all__ if not hasattr(tg, name)] == []


def test_tools_import_no_layer_no_model_and_not_each_other():
    tools, upper = ["draw", "flow", "check", "derive"], ["nn", "optim", "data", "train", "cli"]
    for tool in tools:
        assert [name for name in MAY[tool].split() if name in tools + upper] == []


PLANTED = {
    "engine/graph.py": ("from ..ops import add", "engine/graph.py:1: engine imports ops"),
    "cells/cell.py": ("def f():\n    from ..sequence.scan import scan", "cells/cell.py:2: cells imports sequence"),
    "optim/sgd.py": ("from ..nn.module import Module", "optim/sgd.py:1: optim imports nn"),
    "draw/dot.py": ("from .. import check", "draw/dot.py:1: draw imports check"),
    "check/report.py": ("import tinygrad_rnn.train", "check/report.py:1: check imports train"),
    "tracing/record.py": ("from tinygrad_rnn.nn import Linear", "tracing/record.py:1: tracing imports nn"),
    "nn/layers.py": ("from .. import __version__", "nn/layers.py:1: nn imports __init__"),
    "train/fit.py": ("import tqdm", "train/fit.py:1: train imports tqdm, which is for train in a function"),
    "sequence/scan.py": ("import scipy.linalg as la",
                         "sequence/scan.py:1: sequence imports scipy, which is for nobody"),
    "attic.py": ("x = 1", "attic.py: the room attic is not in the table"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_import_is_noticed(name, tmp_path):
    for folder in MAY:
        (tmp_path / folder).mkdir()
    (tmp_path / "engine/tensor.py").write_text("from .graph import Node\n")  # right, and stays so
    text, complaint = PLANTED[name]
    (tmp_path / name).write_text(text + "\n")
    assert wrong_imports(tmp_path) == [complaint]


@pytest.mark.parametrize("text", [
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..nn import Linear",
    "from . import versions\nimport numpy as np\nfrom .context import context",
    "from ..errors import GraphError",
])  # fmt: skip
def test_a_right_import_is_not(text, tmp_path):
    (tmp_path / "engine").mkdir()
    for name in ("engine/versions.py", "engine/context.py", "errors.py"):
        (tmp_path / name).touch()
    (tmp_path / "engine/graph.py").write_text(text)
    assert wrong_imports(tmp_path) == []
