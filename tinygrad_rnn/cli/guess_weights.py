"""Weights in a single argument, a dict or a tuple: made by a function of the file, or known by the keys that are read.

params = init_params(vocab_size, hidden_size);   h = np.tanh(x @ params["Wx"]);   Wx, Wh, b = params
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..check.layers.arguments import plain, required
from ..check.layers.discovered import floats_by_path
from ..check.layers.names import as_dict

#: What constructors call sizes, by letter, without capitals and underscores.
SIZE_NAMES = {
    "D": ("d", "din", "inputsize", "inputdim", "insize", "indim", "nin", "ninput", "ninp", "nx", "features",
          "nfeatures"),
    "H": ("h", "hiddensize", "hiddendim", "hidden", "hiddenunits", "units", "nhidden", "nhid", "nh", "na", "statesize",
          "numhiddens", "nunits"),
    "N": ("n", "batchsize", "batch"),
    "T": ("t", "timesize", "timesteps", "seqlen", "seqlength", "steps"),
    "V": ("v", "vocabsize", "outputsize", "outputdim", "outsize", "outdim", "nout", "noutput", "nclasses", "ny"),
}  # fmt: skip
GENERATORS = ("rng", "generator")
MAKERS = re.compile("init|param|weight|make|create|build|new", re.IGNORECASE)
OTHERS = (6, 4, 8, 10, 9, 12)  # for sizes of another name: small, and none of the usual ones


def size_letter(name: str) -> str:
    """The letter of the size that an argument is named after, ``hidden_size`` -> "H"; "" for another argument."""
    return next((letter for letter, names in SIZE_NAMES.items() if plain(name) in names), "")


def sized(names: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Any]:
    """Values for arguments of what makes weights: sizes, different numbers for sizes of other names, a generator.

    The number of heads, 2, divides the first size of another name.
    """
    others = iter([*OTHERS, *range(14, 99)])
    return {name: np.random.default_rng(0) if plain(name) in GENERATORS else 2 if plain(name).endswith("heads") else
            sizes[size_letter(name)] if size_letter(name) else next(others) for name in names}  # fmt: skip


def made_weights(function: Callable[..., Any], names: Sequence[str], sizes: Mapping[str, int]) -> dict[str, Any]:
    """The containers of weights among the arguments, made by a function of the file that returns such a container."""
    around, weights = getattr(inspect.unwrap(function), "__globals__", {}), dict[str, Any]()
    makers = [make for name, make in around.items() if inspect.isfunction(make) and MAKERS.search(name)
              and make.__globals__ is around and make is not function]  # fmt: skip
    for argument in names:
        keys = keys_read(function, argument)
        for make in makers if keys else ():
            try:
                container = make(**sized(required(make), sizes))
            except Exception:  # of the user's code: it takes other arguments
                continue
            fields = as_dict(container)
            fits = set(keys) <= set(fields) if fields is not None else (
                isinstance(container, (list, tuple)) and len(container) == len(keys))  # fmt: skip
            if fits and floats_by_path(container):
                weights.setdefault(argument, container)
    return weights


def keys_read(function: Callable[..., Any], argument: str) -> Any:
    """The keys of a dict that the file reads of the argument, as a dict; or the names that it is unpacked into."""
    tree: ast.AST = _tree(getattr(getattr(function, "__code__", None), "co_filename", ""))
    assigned = [(node.targets[0], node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    same = [argument, *(target.id for target, value in assigned if isinstance(target, ast.Name) and
                        isinstance(value, ast.Name) and value.id == argument)]  # fmt: skip
    keys = [node.slice.value for node in ast.walk(tree) if isinstance(node, ast.Subscript) and isinstance(
        node.value, ast.Name) and node.value.id in same and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)]  # fmt: skip
    unpacked: list[Any] = [[part.id for part in target.elts if isinstance(part, ast.Name)] for target, value in assigned
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Name) and value.id in same]  # fmt: skip
    return dict.fromkeys(keys) or (unpacked[0] if unpacked else None)


def _tree(file: str) -> ast.AST:
    """The syntax tree of a file; an empty one if there is none."""
    return ast.parse(Path(file).read_text(encoding="utf-8") if Path(file).is_file() else "")
