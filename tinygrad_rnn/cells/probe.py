"""One step of a cell on small random arrays tells which sizes its equations accept, and how it uses its parameters.

``h + x`` needs D = H, which no `Param` says. `probe` runs the step at sizes that are all different, then with letters
made equal, until the step runs. On the graph of that step it reads over which axes of a parameter a product sums:
the first of W in ``x @ W``, the last in ``x @ W.T``. Schemes of initialisation need their length, the fan.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.context import context
from ..engine.graph import Node, backpropagate, newest_first
from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue, ShapeError
from .sizes import length, letters_in

if TYPE_CHECKING:
    from .cell import Cell

#: The sizes of letters that the caller gives no size for: small, and all different.
SIZES = {"N": 1, "D": 3, "H": 5}
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
SCALES = (1, 2, 4, 3)  # a cell may split its units into so many parts
TRIES = 120


@dataclass
class Probe:
    """``links``: letters that must be equal, each with the letter that it equals, {"D": "H"}.

    ``scale`` divides every size but N. ``fans``: the axes of each parameter that its first product sums over.
    ``error``: why no sizes were accepted; None if some were, or if the step needs arguments that are not known.
    """

    links: dict[str, str] = field(default_factory=dict)
    scale: int = 1
    fans: dict[str, tuple[int, ...]] = field(default_factory=dict)
    error: ValueError | None = None


def letters(cell: Cell) -> list[str]:
    """The sizes of a cell, each once: N, D, those of the states, those of the parameters."""
    words = [*cell.words.values(), *(param.words for param in cell.params.values())]
    return letters_in(["N", "D", *itertools.chain(*words)])


def probe(cell: Cell) -> Probe:
    """What one step of ``cell`` tells of its sizes. It is run once for each cell; what it prints is not shown."""
    if cell.probed is None:
        cell.probed = Probe()  # a wrapper may ask for it again while the step runs
        if not any(default is inspect.Parameter.empty for default in cell.config.values()):
            with _unobserved(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
                cell.probed = _tried(cell)
    return cell.probed


def choose(cell: Cell, asked: Mapping[str, int], defaults: Mapping[str, int] = SIZES) -> dict[str, int]:
    """A size for each letter of ``cell``: as ``asked``, else equal to a letter that it must equal, else the default.

    Raises InvalidType for a letter that the cell does not have. Raises ShapeError for asked sizes that are different
    and must be equal, and for a cell whose equations accept no sizes of those that were tried.
    """
    known, probed = letters(cell), probe(cell)
    for name in asked:
        if name not in known:
            raise InvalidType(f"{cell.name}: {name} is not a size of this cell, which are {', '.join(known)}")
    if probed.error is not None and any(letter not in asked for letter in known[1:]):
        missing = ", ".join(letter for letter in known[1:] if letter not in asked)
        raise ShapeError(
            f"{cell.name}: no sizes were found that its equations accept ({probed.error}); its Params "
            f"should declare them, as in 'D 2*H', or the call give {missing}"
        ) from probed.error
    sizes = linked(cell, asked)
    taken = {**defaults, **asked}.values()
    unasked = (prime * probed.scale for prime in (2, *PRIMES[3:]) if prime not in taken)
    for letter in known:
        scale = probed.scale if letter != "N" else 1
        first = probed.links.get(letter, letter)
        if letter not in sizes:
            sizes[letter] = sizes[first] if first in sizes else defaults[first] * scale if first in defaults else 0
        sizes[letter] = sizes[letter] or next(unasked)
        sizes.setdefault(first, sizes[letter])
    return {letter: sizes[letter] for letter in known}


def linked(cell: Cell, sizes: Mapping[str, int]) -> dict[str, int]:
    """``sizes``, and those of the letters that must equal one of them. Raises ShapeError if they are not equal."""
    links, complete = probe(cell).links, dict(sizes)
    groups: dict[str, list[str]] = {}
    for letter in letters(cell):
        groups.setdefault(links.get(letter, letter), []).append(letter)
    for group in groups.values():
        given = [letter for letter in group if letter in sizes]
        if any(sizes[letter] != sizes[given[0]] for letter in given):
            got = ", ".join(f"{letter} = {sizes[letter]}" for letter in given)
            raise ShapeError(f"{cell.name}: {got}, should be {' = '.join(group)} for its equations")
        complete.update({letter: sizes[given[0]] for letter in group if given})
    return complete


@contextlib.contextmanager
def _unobserved() -> Iterator[None]:
    """Record inside, whatever the context is; nobody is notified, and no scope is open."""
    before = context.recording, context.observer, context.scope, context.step
    try:
        context.recording, context.observer, context.scope = True, None, ()
        yield
    finally:
        context.recording, context.observer, context.scope, context.step = before


def _tried(cell: Cell) -> Probe:
    """Run the step with as few letters equal as it accepts."""
    first: ValueError | None = None
    tries = itertools.product(SCALES, _partitions([letter for letter in letters(cell) if letter != "N"]))
    for scale, links in itertools.islice(tries, TRIES):
        probed = Probe(links, scale)
        try:
            probed.fans = _fans(cell, *_step(cell, probed))
            return probed
        except (ShapeError, InvalidValue) as error:  # of an operation, or that an axis cannot be split
            first = first or error
        except Exception:  # the cell does not run on random numbers: the tool that runs it will say so
            return Probe()
    return Probe(error=first)


def _partitions(names: Sequence[str]) -> list[dict[str, str]]:
    """The ways to make letters equal, those with the fewest links first; D is linked to others, not they to it."""
    order = [*(name for name in names if name != "D"), *(name for name in names if name == "D")][:5]
    choices = itertools.product(*([order[j] for j in range(k + 1)] for k in range(len(order))))
    ways = [{name: first for name, first in zip(order, firsts) if name != first} for firsts in choices]
    ways = [links for links in ways if not any(first in links for first in links.values())]
    return sorted(ways, key=len)


def _step(cell: Cell, probed: Probe) -> tuple[dict[str, Tensor], tuple[Any, ...]]:
    """The parameters and the new states of a step at small sizes that fit ``probed``."""
    rng = np.random.default_rng(0)
    numbers = {letter: prime * (probed.scale if letter != "N" else 1) for letter, prime in zip(letters(cell), PRIMES)}
    sizes = {letter: numbers[probed.links.get(letter, letter)] for letter in numbers}

    def leaf(words: Sequence[str], blocks: int = 1) -> Tensor:
        shape = [length(word, sizes) for word in words]
        shape[-1:] = [n * blocks for n in shape[-1:]]
        return Tensor(0.5 * rng.standard_normal(shape), requires_grad=True)

    params = {name: leaf(param.words, max(len(param.blocks), 1)) for name, param in cell.params.items()}
    state = [leaf(words) for words in cell.words.values()]
    config = {name: copy.deepcopy(default) for name, default in cell.config.items()
              if isinstance(default, np.random.Generator)}  # fmt: skip
    return params, cell.step(leaf(("N", "D")), state, cell.bind({**params, **config}), check=True)


def _fans(cell: Cell, params: Mapping[str, Tensor], new: Sequence[Any]) -> dict[str, tuple[int, ...]]:
    """The axes of each parameter over which the first operation on it and on data sums; left out if there is none.

    They are the axes along which one element of that operation's result depends on the parameter. A slice, a
    transpose and other operations on parameters alone come before.
    """
    names = {tensor.node: name for name, tensor in params.items() if tensor.node is not None}
    weights = dict.fromkeys(names)  # nodes that depend on parameters alone
    fans: dict[str, tuple[int, ...]] = {}
    for node in reversed(newest_first([tensor.node for tensor in new if tensor.node is not None])):
        parents = [parent for parent in node.parents if parent is not None]
        from_weights = [parent for parent in parents if parent in weights]
        if parents and len(from_weights) == len(parents):
            weights[node] = None
        elif from_weights and any(name not in fans for name in names.values()):
            for name, axes in _summed(node, names, weights).items():
                fans.setdefault(name, axes)
    return fans


def _summed(node: Node, names: Mapping[Node, str], weights: Mapping[Node, Any]) -> dict[str, tuple[int, ...]]:
    """The axes of each parameter along which the last element of ``node`` depends on it, if not on all of it."""
    dy = np.zeros(node.shape, node.dtype)
    dy.reshape(-1)[-1:] = 1
    edges = {node: [edge if edge is not None and edge[0] in weights else None for edge in node.edges]}
    part = Node(edges[node], node.shape, node.dtype)
    axes = {}
    for leaf, gradient in backpropagate({part: dy}, list(names), retain=True).items():
        places = np.argwhere(gradient)
        long = tuple(k for k in range(gradient.ndim) if len(np.unique(places[:, k])) > 1)
        if places.size and long and len(long) < gradient.ndim:
            axes[names[leaf]] = long
    return axes
