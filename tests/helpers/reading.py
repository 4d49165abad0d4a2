"""Read a line to change back, and see whether it is so: ``do = dh' * c'  ->  do = dh' * tanh(c')``.

The right side must give the right gradient, of a run at every step; the left side the one that was given, from the
others that were given. What a side does not name as the cell does is not read.
"""

import re

import numpy as np

from helpers.bptt_by_hand import lstm_forward
from helpers.bptt_gru_by_hand import gru_forward
from helpers.layers_by_hand import sigmoid
from tinygrad_rnn.tracing.sample import record_step
from tinygrad_rnn.tracing.trace import pull

LINE = re.compile(r"(?P<name>\S+) (?P<sign>\+?=) (?P<left>.+?) +-> +(?P=name) (?P=sign) (?P<right>.+)")
NAME = re.compile(r"[A-Za-z]\w*(?:\.[a-z]\w*)?'?")
SHIFTED = re.compile(
    r"\(?(?P<name>[A-Za-z][\w.]*'?) of the step (?P<way>before|after)(?P<around> \(around the end\))?\)?"
)
FUNCTIONS = {"tanh": np.tanh, "sigmoid": sigmoid}
GATES = {"rnn": {"h'": "A_h"}, "lstm": {}, "gru": {"z": "A_z", "r": "A_r", "h_new": "A_h_new"}}
INVERSE = {"sigmoid": lambda y: np.log(y) - np.log1p(-y), "tanh": np.arctanh}
SLOPE = {"sigmoid": lambda y: y * (1 - y), "tanh": lambda y: 1 - y * y}


def steps(cell, arrays, params, dys):
    """Of each step: its values by name, the gradients by them, and what each gradient is the sum of."""
    values = FORWARD[cell.name](arrays, params)
    carried, found = [dys[f"d{name}"] for name in cell.states], []
    for t, one in reversed(list(enumerate(values))):
        record = record_step(cell, {name: one[name] for name in [cell.input, *cell.states, *cell.params]})
        carried[0] = carried[0] + dys["dhs"][:, t]
        totals, parts = pull(record, dict(zip(record.outputs.values(), carried)))
        numbers = {f"d{name}": number for name, number in record.named().items()}
        gradients = {name: totals[number] for name, number in numbers.items()}
        ways = {name: _parts(record, number, parts) for name, number in numbers.items()}
        found.insert(0, (_whole(cell, one), _with_arguments(cell, _whole(cell, gradients, "d"), one), ways))
        carried = [gradients[f"d{name}"] for name in cell.states]
    return found


def _parts(record, number, parts):
    keys = [(equation.out, k) for equation, k in record.readers(number)]
    return [parts[key] for key in keys if key in parts]


def _of_rnn(arrays, params):
    xs, h = arrays
    found = []
    for x in np.moveaxis(xs, 1, 0):
        new = np.tanh(x @ params["Wx"] + h @ params["Wh"] + params["b"])
        found.append({**params, "x": x, "h": h, "h'": new})
        h = new
    return found


def _of_lstm(arrays, params):
    names = ["x", "h", "c", "f", "g", "i", "o", "c'"]
    every = [dict(zip(names, one)) for one in lstm_forward(*arrays, *params.values())]
    for one in every:
        one["h'"] = one["o"] * np.tanh(one["c'"])
        one["A"] = one["x"] @ params["Wx"] + one["h"] @ params["Wh"] + params["b"]
    return [{**params, **one} for one in every]


def _of_gru(arrays, params):
    every = [dict(zip(["x", "h", "z", "r", "h_new"], one)) for one in gru_forward(*arrays, *params.values())]
    return [{**params, **one, "h'": (1 - one["z"]) * one["h"] + one["z"] * one["h_new"]} for one in every]


FORWARD = {"rnn": _of_rnn, "lstm": _of_lstm, "gru": _of_gru}


def _whole(cell, named, d=""):
    """With the gate blocks of what is stacked, and the arguments of the gates."""
    found = dict(named)
    for name, param in cell.params.items():
        if param.blocks:
            stacked = [key for key in (f"{d}{name}", f"{d}A") if key in named]
            for key in stacked:
                parts = np.split(named[key], len(param.blocks), axis=-1)
                found |= {f"{key}.{block}": one for block, one in zip(param.blocks, parts)}
    for gate, argument in {} if d else GATES[cell.name].items():
        found[argument] = INVERSE["sigmoid" if gate in "zr" else "tanh"](named[gate])
    return found


def _with_arguments(cell, gradients, values):
    """With the gradients by the arguments of the gates, where those by the gates are there."""
    for gate, argument in GATES[cell.name].items():
        if f"d{gate}" in gradients:
            slope = SLOPE["sigmoid" if gate in "zr" else "tanh"](values[gate])
            gradients[f"d{argument}"] = gradients[f"d{gate}"] * slope
    return gradients


def read(side, names):
    """What one side of a line comes to; None if it has a name that is not known."""
    side = side.replace(".T", "\0")
    if [name for name in NAME.findall(side) if name not in names and name not in FUNCTIONS]:
        return None
    code = NAME.sub(lambda m: m[0] if m[0] in FUNCTIONS else f"_[{m[0]!r}]", side).replace("\0", ".T")
    try:
        return eval(code, {"_": names, **FUNCTIONS})
    except SyntaxError:
        return None


def _shifted(side, moments, t):
    """A side with ``h of the step before`` as a name, and what that is at step t: off the end zero, or around it."""
    found = {}

    def name(match):
        values = [one[match["name"]] for one, *_ in moments]
        s = t + (1 if match["way"] == "after" else -1)
        inside = 0 <= s < len(values) or match["around"]
        found[f"shifted{len(found)}"] = values[s % len(values)] if inside else np.zeros_like(values[t])
        return f"shifted{len(found) - 1}"

    known = [match["name"] in moments[t][0] for match in SHIFTED.finditer(side)]
    return (SHIFTED.sub(name, side), found) if all(known) else (side, {})


def _at(side, moments, t, gradients):
    side, more = _shifted(side, moments, t)
    return read(side, {**moments[t][0], **gradients, **more})


def untrue(text, cell, moments, returned=None):
    """What is not so in a line to change: "right" or "left", its side; and how many sides could be read.

    ``moments`` are the right `steps`; ``returned`` what the backward that is checked gave.
    """
    line = LINE.fullmatch(text)
    if line is None:
        return [], 0
    rights = [_at(line["right"], moments, t, gradients) for t, (_, gradients, _) in enumerate(moments)]
    known = line["name"] in moments[0][1] and all(right is not None for right in rights)
    found = ["right"] if known and not _is_right(line, rights, moments) else []
    lefts = _lefts(line, cell, moments, returned or {})
    if lefts is not None and not _close(*lefts):
        found.append("left")
    return found, known + (lefts is not None)


def _is_right(line, rights, moments):
    for right, (_, gradients, ways) in zip(rights, moments):
        options = [gradients[line["name"]], *(ways.get(line["name"], []) if line["sign"] == "+=" else [])]
        if not any(_close(right, one) for one in options):
            return False
    return True


def _lefts(line, cell, moments, returned):
    """The left side with the gradients that were returned, and the returned one; None if it cannot be told."""
    stacked = {name: g for name, g in returned.items() if np.ndim(g) == 3 and name != "dxs"}
    of = _whole(cell, returned, "d").get(line["name"])
    several = moments[0][2].get(line["name"], [])
    if of is None or line["name"] == "dxs" or (line["sign"] == "+=" and (len(several) > 1 or np.ndim(of) == 3)):
        return None
    made = []
    for t, (values, *_) in enumerate(moments):
        own = _whole(cell, {name: g[:, t] for name, g in stacked.items()}, "d")
        made.append(_at(line["left"], moments, t, _with_arguments(cell, own, values)))
    if any(one is None for one in made):
        return None
    if line["name"] in ("dh", "dc"):
        return made[0], of  # that by the first state is all there is of what is carried
    return (np.stack(made, axis=1) if np.ndim(of) == 3 else sum(made)), of


def _close(a, b):
    return np.shape(a) in ((), np.shape(b)) and np.allclose(a, b, rtol=1e-7, atol=1e-10)
