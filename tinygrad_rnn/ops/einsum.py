"""Einstein summation."""

from __future__ import annotations

import numpy as np

from ..engine.graph import sum_to
from ..engine.op import case, op
from ..engine.shape import words
from ..errors import InvalidType, InvalidValue, ShapeError
from .index import scatter
from .shaping import transpose


def _by_labels(shapes, attrs):
    """Equal labels are equal sizes: the rule of the subscripts, with every ``...`` moved to the front."""
    terms, result = _terms(attrs["subscripts"], len(shapes))
    fronted: dict[str, tuple[int, ...]] = {}
    size: dict[str, int] = {}
    for term, shape in zip(terms, shapes.values(), strict=True):
        for label, n in zip(term.replace("...", ""), _sizes(term, shape)):
            size[label] = n if size.get(label, 1) == 1 else size[label]  # a 1 stretches
    for term, (name, shape) in zip(terms, shapes.items(), strict=True):
        start, count = max(term.find("..."), 0), len(term.replace("...", ""))
        labelled = [size[c] if n == 1 else n for c, n in zip(term.replace("...", ""), _sizes(term, shape))]
        fronted[name] = (*shape[start:][: len(shape) - count], *labelled)
    joint = words(", ".join(map(_spaced, terms)) + " -> " + _spaced(result))(fronted, attrs)
    start, lead = max(result.find("..."), 0), len(joint) - len(result.replace("...", ""))
    return joint[lead : lead + start] + joint[:lead] + joint[lead + start :]


def _spaced(term):
    """``i...j`` as the words ``... i j``."""
    return " ".join(["..."] * ("..." in term) + list(term.replace("...", "")))


@op(_by_labels, form="einsum", cases=[
    case((2, 3), (3, 4), subscripts="ij,jk->ik"),
    case((2, 3), subscripts="ij->j"),
    case((2, 3), (3,), subscripts="ij,j"),
    case((5, 2, 3), (5, 3, 4), subscripts="...ij,...jk->...ik"),
    case((3, 3), subscripts="ii->i"),
    case((2, 3), (4, 3), (2, 4), subscripts="ia,ja,ij->ij"),
    case((5, 2, 3), (3, 4), subscripts="...j,jk->...k"),
    case((3, 5, 2), (2, 4), subscripts="i...j,jk"),
    case((3, 5), (5, 3, 4), subscripts="i...,...ik->...k"),
    case((5, 3, 3), subscripts="...ii->..."),
    case((5, 3, 3), (1, 3), subscripts="...ii,...i->...i"),
    case((2, 3), (2, 1), (1, 4), subscripts="ij,ij,jk->ik"),
    case((2, 3), (1, 3), subscripts="ij,ij->j"),
    case((2, 3), (4, 2), subscripts="ij,jk->ik",
         raises="einsum: j is 3 in xs[0] (2, 3) but 4 in xs[1] (4, 2)"),
    case((2, 3), subscripts="ij,jk", raises="einsum: 'ij,jk' has 2 operands, got 1"),
])  # fmt: skip
def einsum(*xs, subscripts):
    """Einstein's summation, ``einsum("ij,jk->ik", x, w)``.  Each gradient is an einsum of dy with the others."""
    _terms(subscripts, len(xs))
    return np.einsum(subscripts, *xs)


def _terms(subscripts, count):
    """The labels of each operand and of the result, which is inferred if the subscripts have no arrow."""
    if not isinstance(subscripts, str):
        raise InvalidType("needs subscripts first, such as einsum('ij,jk->ik', x, w); np.einsum takes lists of labels")
    inputs, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow:
        letters = sorted(dict.fromkeys(inputs.replace(",", "").replace("...", "")))
        result = "..." * ("..." in inputs) + "".join(c for c in letters if inputs.count(c) == 1)
    if len(terms) != count:
        raise ShapeError(f"{subscripts!r} has {len(terms)} operands, got {count}")
    return terms, result


def _einsum_x(dy, i, xs, subscripts):
    """Arrays of ones stand for labels that only this operand has, which were summed. A repeated label is a diagonal."""
    terms, result = _terms(subscripts, len(xs))
    term, others = terms[i], terms[:i] + terms[i + 1 :]
    letters = "".join(dict.fromkeys(term.replace("...", "")))
    size = dict(zip(term.replace("...", ""), _sizes(term, xs[i].shape)))
    lone = [c for c in letters if c not in result and all(c not in other for other in others)]
    ones = [np.ones(size[c], xs[i].dtype) for c in lone]
    spec = ",".join([result, *others, *lone]) + "->" + "..." * ("..." in subscripts) + letters
    g = np.einsum(spec, dy, *(x for k, x in enumerate(xs) if k != i), *ones)
    batch = xs[i].shape[term.index("...") :][: len(xs[i].shape) - len(term) + 3] if "..." in term else ()
    shape = batch + tuple(size[c] for c in letters)
    g = np.broadcast_to(g, np.broadcast_shapes(g.shape, shape))  # where the others have size 1
    return _in_place_of(sum_to(g, shape), term, xs[i].shape)


def _sizes(term, shape):
    """The sizes of the labelled axes of one operand."""
    if "..." not in term:
        return shape
    before, _, after = term.partition("...")
    return shape[: len(before)] + shape[len(shape) - len(after) :]


def _in_place_of(g, term, shape):
    """A gradient with axes (..., distinct labels) in the layout of the operand: its order of axes, its diagonals."""
    labels, start = term.replace("...", ""), term.find("...")
    letters = list(dict.fromkeys(labels))
    lead = g.ndim - len(letters)
    if len(letters) < len(labels):
        if start > 0:
            raise InvalidValue(f"einsum: {term!r} repeats a label before '...', which has no gradient")
        grid = np.indices(g.shape[lead:], sparse=True)
        return scatter(g, index=(*(slice(None),) * lead, *(grid[letters.index(c)] for c in labels)), shape=shape)
    if start <= 0:
        return g
    return transpose(g, [*range(lead, lead + start), *range(lead), *range(lead + start, g.ndim)])


einsum.vjp(xs=_einsum_x)
