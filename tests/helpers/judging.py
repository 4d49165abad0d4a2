"""Is what a checker says of a mistake true? Judged by what was written down before, never by what the checker says.

The verdict on a report is "right" (all that was expected is said), "in part" (one of two mistakes), "place only" (no
mistake is named), "wrong" (something is said that is not so) or "missed" (the report finds nothing).
"""

import functools
import re
import time
from fnmatch import fnmatchcase

import numpy as np

import tinygrad_rnn as tg
from helpers.reading import steps, untrue
from tinygrad_rnn.check import check_backward
from tinygrad_rnn.tracing.sample import sample

CELLS = {"rnn": tg.rnn, "lstm": tg.lstm, "gru": tg.gru}

#: What may be said in other words: of a value that is used once, its only path has the mistake; and a factor in a
#: product that is wrong in whatever way is another one than belongs there.
ON_THE_PATH = {"sign": "path sign", "missing": "path missing", "factor": "path doubled"}
AT_AN_ACTIVATION = ("derivative", "activation", "argument")  # what stands for a derivative may be any of these
IN_A_PRODUCT = (*AT_AN_ACTIVATION, "step")
#: Of these, what matters may stand on either side of the arrow: a factor too many, "where dA has no dA.i".
EITHER_SIDE = ("factor", "factor N", "factor T", "factor N T", "path doubled", "path missing", "path sign")


def pairs(expected):
    """``"sign: do dA.o; factor N: db"`` as (kind, pattern of tensors) pairs; the last word of a block is of it."""
    result = []
    for part in filter(None, (text.strip() for text in expected.split(";"))):
        kind, tensors = part.rsplit(": ", 1)
        result += [(kind, tensor) for tensor in tensors.split()]
    whole = [(kind, tensor.split(".")[0]) for kind, tensor in result if kind in ON_THE_PATH]
    result += [(ON_THE_PATH[kind], tensor) for kind, tensor in whole]
    result += [(other, tensor) for kind, tensor in result if kind in AT_AN_ACTIVATION for other in AT_AN_ACTIVATION]
    return result + [("operand", tensor) for kind, tensor in result if kind in IN_A_PRODUCT]


def fits(diagnosis, expected, says):
    """Is a diagnosis one of those that were expected, and does it name the right quantity, after its arrow?"""
    tensor = {"dx": "dxs"}.get(diagnosis.tensor, diagnosis.tensor)  # by the input of a step, or of all
    named = any(diagnosis.kind == kind and fnmatchcase(tensor, pattern) for kind, pattern in pairs(expected))
    text = diagnosis.text if diagnosis.kind in EITHER_SIDE else diagnosis.text.split("->")[-1]
    return named and re.search(says, text) is not None


def judge(report, expected, finals, broken=(), at=""):
    """The verdict on a report of a mutant that has the mistakes ``expected``: (told, says, told without inner) each.

    ``finals``: were only the final gradients there? ``broken``: the manners that the mutant does break, as measured.
    ``at``: the lines of the derivation that may be called the first wrong one, where the lines are there.
    """
    if report.ok or report.verdict != "wrong":
        return "missed"
    options = [(f"{kinds}; {extra}" if finals else kinds, says) for kinds, says, extra in expected]
    groups = {}  # what no number tells apart is one statement: "one of these"
    for diagnosis in report.diagnoses:
        groups.setdefault(_manner(diagnosis.kind) or diagnosis.group, []).append(diagnosis)
    said = [
        [any(fits(diagnosis, kinds, says) for diagnosis in group) for kinds, says in options]
        for group in groups.values()
    ]
    true = [any(row) or _manner(group[0].kind) in broken for group, row in zip(groups.values(), said)]
    misplaced = bool(at) and not finals and report.first_wrong not in at.split()
    if not all(true) or misplaced:
        return "wrong"
    said_of = [any(row[k] for row in said) for k in range(len(options))]
    return "place only" if not any(said_of) else "right" if all(said_of) else "in part"


def _manner(kind):
    """Which manner a diagnosis is about; nothing for one of the numbers."""
    return kind.removeprefix("protocol: ") if kind.startswith("protocol: ") else None


# -- a mutant before the checker -------------------------------------------------------------------------------------


def cell_of(mutant):
    return CELLS[mutant.by.split()[0]]


def finals_only(f, cell):
    """A backward without the gradients by what the steps compute."""
    kept = ["dxs", *(f"d{name}" for name in [*cell.states, *cell.params])]

    @functools.wraps(f)
    def backward(*args, **params):
        return {name: g for name, g in f(*args, **params).items() if name in kept}

    return backward


def lines(mutant, returned):
    """The lines that may be called the first wrong one: those expected, or where they are carried to; [] for any.

    The gradient that a step hands on, ``dh``, is seen first in what the step before makes of it, ``dh'``.
    """
    tensors = mutant.at.split() or [tensor for kinds, *_ in mutant.expected for _, tensor in pairs(kinds)]
    names = dict.fromkeys(tensor.split(".")[0] for tensor in tensors)
    names |= dict.fromkeys(f"d{name}'" for name in cell_of(mutant).states if f"d{name}" in names)
    return [] if "*" in names else [name for name in names if name in returned]


@functools.cache
def outcome(mutant, finals):
    """The report on a mutant, the verdict on the report, and the seconds it took.

    A line to change that is not so in the numbers (`reading`) is wrong, whatever was expected.
    """
    cell, f = cell_of(mutant), mutant.function()
    arrays, params, dys = case(cell)
    returned, at = f(*arrays, **params, **{name: dy.copy() for name, dy in dys.items()}), ""
    if not finals:
        at = " ".join(lines(mutant, returned))
    start = time.perf_counter()
    report = check_backward(cell, finals_only(f, cell) if finals else f)
    seconds = time.perf_counter() - start
    numbers = _moments(cell), None if finals else returned
    lies = [diagnosis for diagnosis in report.diagnoses if untrue(diagnosis.text, cell, *numbers)[0]]
    return report, "wrong" if lies else judge(report, mutant.expected, finals, broken(f, cell), at), seconds


@functools.cache
def _moments(cell):
    return steps(cell, *case(cell))


# -- what is so, measured --------------------------------------------------------------------------------------------


def case(cell, seed=0, N=3, T=5, D=7, H=11):
    """Random arguments of a backward over time: xs, first states; parameters and cotangents by name."""
    rng = np.random.default_rng(seed)
    given = sample(cell, rng, {"N": N, "D": D, "H": H})
    first = [given[name] for name in cell.states]
    params = {name: given[name] for name in cell.params}
    dys = {"dhs": rng.standard_normal((N, T, H)), **{f"d{name}": rng.standard_normal((N, H)) for name in cell.states}}
    return [rng.standard_normal((N, T, D)), *first], params, dys


def autograd(cell, arrays, params, dys):
    """The final gradients of a run of `scan`, by name."""
    xs, *states = [tg.tensor(one, requires_grad=True) for one in arrays]
    own = {name: tg.tensor(one, requires_grad=True) for name, one in params.items()}
    hs, last = tg.scan(cell, xs, tuple(states), own)
    loss = tg.sum(hs * dys["dhs"])
    for name, one in zip(cell.states, last):
        loss = loss + tg.sum(one * dys[f"d{name}"])
    loss.backward()
    leaves = {"xs": xs, **dict(zip(cell.states, states)), **own}
    return {f"d{name}": one.grad for name, one in leaves.items()}


def inner(cell, arrays, params, dys):
    """The gradients by what a step computes, of all steps, stacked; each step recorded and pulled back by itself."""
    every = [gradients for _, gradients, _ in steps(cell, arrays, params, dys)]
    return {name: np.stack([one[name] for one in every], axis=1) for name in every[0]}


def broken(f, cell):
    """The manners that a backward breaks, in the words of the checkers, by trying."""
    arrays, params, dys = case(cell, seed=3)
    other = {name: np.random.default_rng(4).standard_normal(dy.shape) for name, dy in dys.items()}

    def run(dys, rows=slice(None)):
        given = [x[rows].copy() for x in arrays], {**params, **{name: dy[rows].copy() for name, dy in dys.items()}}
        return f(*given[0], **given[1])

    def same(a, b):
        return all(np.allclose(a[name], b[name], rtol=1e-9, atol=1e-12) for name in a)

    first, lent = run(dys), {name: dy.copy() for name, dy in dys.items()}
    f(*arrays, **params, **lent)
    summed, second = run({name: dy + other[name] for name, dy in dys.items()}), run(other)
    alone = [run(dys, slice(k, k + 1)) for k in range(len(arrays[0]))]
    rows = ["dxs", *(f"d{name}" for name in cell.states)]
    early = {name: np.zeros_like(dy) for name, dy in dys.items()}
    early["dhs"][:, 1] = dys["dhs"][:, 1]
    together = {name: np.concatenate([one[name] for one in alone]) for name in rows}
    held = {
        "modified": all(np.array_equal(dy, dys[name]) for name, dy in lent.items()),
        "again": same(first, run(dys)),
        "zero": not any(np.any(one) for one in run({name: 0 * dy for name, dy in dys.items()}).values()),
        "linear": same(summed, {name: first[name] + second[name] for name in first}),
        "batch": same(together, first),
        "causal": not np.any(run(early)["dxs"][:, 2:]),
    }
    return [name for name, held_up in held.items() if not held_up]
