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
    """For each step: its values by name, the gradients by them, and the terms whose sum each gradient is."""
    values = FORWARD[cell.name](arrays, params)
    carried, moments = [dys[f"d{name}"] for name in cell.states], []
    for t, step in reversed(list(enumerate(values))):
        record = record_step(cell, {name: step[name] for name in [cell.input, *cell.states, *cell.params]})
        carried[0] = carried[0] + dys["dhs"][:, t]
        totals, parts = pull(record, dict(zip(record.outputs.values(), carried)))
        numbers = {f"d{name}": number for name, number in record.named().items()}
        gradients = {name: totals[number] for name, number in numbers.items()}
        ways = {name: _parts(record, number, parts) for name, number in numbers.items()}
        moments.insert(0, (_whole(cell, step), _with_arguments(cell, _whole(cell, gradients, "d"), step), ways))
        carried = [gradients[f"d{name}"] for name in cell.states]
    return moments


def _parts(record, number, parts):
    keys = [(equation.out, k) for equation, k in record.readers(number)]
    return [parts[key] for key in keys if key in parts]


def _of_rnn(arrays, params):
    xs, h = arrays
    values = []
    for x in np.moveaxis(xs, 1, 0):
        new = np.tanh(x @ params["Wx"] + h @ params["Wh"] + params["b"])
        values.append({**params, "x": x, "h": h, "h'": new})
        h = new
    return values


def _of_lstm(arrays, params):
    names = ["x", "h", "c", "f", "g", "i", "o", "c'"]
    every = [dict(zip(names, step)) for step in lstm_forward(*arrays, *params.values())]
    for step in every:
        step["h'"] = step["o"] * np.tanh(step["c'"])
        step["A"] = step["x"] @ params["Wx"] + step["h"] @ params["Wh"] + params["b"]
    return [{**params, **step} for step in every]


def _of_gru(arrays, params):
    every = [dict(zip(["x", "h", "z", "r", "h_new"], step)) for step in gru_forward(*arrays, *params.values())]
    return [{**params, **step, "h'": (1 - step["z"]) * step["h"] + step["z"] * step["h_new"]} for step in every]


FORWARD = {"rnn": _of_rnn, "lstm": _of_lstm, "gru": _of_gru}


def _whole(cell, named, d=""):
    """The values, the gate blocks of the stacked ones, and the arguments of the gates."""
    result = dict(named)
    for name, param in cell.params.items():
        if param.blocks:
            stacked = [key for key in (f"{d}{name}", f"{d}A") if key in named]
            for key in stacked:
                parts = np.split(named[key], len(param.blocks), axis=-1)
                result |= {f"{key}.{block}": part for block, part in zip(param.blocks, parts)}
    for gate, argument in {} if d else GATES[cell.name].items():
        result[argument] = INVERSE["sigmoid" if gate in "zr" else "tanh"](named[gate])
    return result


def _with_arguments(cell, gradients, values):
    """The gradients, and those by the arguments of the gates whose gradients are known."""
    for gate, argument in GATES[cell.name].items():
        if f"d{gate}" in gradients:
            slope = SLOPE["sigmoid" if gate in "zr" else "tanh"](values[gate])
            gradients[f"d{argument}"] = gradients[f"d{gate}"] * slope
    return gradients


def read(side, names):
    """The value of one side of a line; None if a name in it is unknown."""
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
    shifted = {}

    def name(match):
        values = [values_at[match["name"]] for values_at, *_ in moments]
        s = t + (1 if match["way"] == "after" else -1)
        inside = 0 <= s < len(values) or match["around"]
        shifted[f"shifted{len(shifted)}"] = values[s % len(values)] if inside else np.zeros_like(values[t])
        return f"shifted{len(shifted) - 1}"

    known = [match["name"] in moments[t][0] for match in SHIFTED.finditer(side)]
    return (SHIFTED.sub(name, side), shifted) if all(known) else (side, {})


def _at(side, moments, t, gradients):
    side, more = _shifted(side, moments, t)
    return read(side, {**moments[t][0], **gradients, **more})


def untrue(text, cell, moments, returned=None):
    """The sides of a line to change that are wrong, "right" or "left", and the number of sides that could be read.

    ``moments`` are the right `steps`; ``returned`` is the result of the backward that is checked.
    """
    line = LINE.fullmatch(text)
    if line is None:
        return [], 0
    rights = [_at(line["right"], moments, t, gradients) for t, (_, gradients, _) in enumerate(moments)]
    known = line["name"] in moments[0][1] and all(right is not None for right in rights)
    sides = ["right"] if known and not _is_right(line, rights, moments) else []
    lefts = _lefts(line, cell, moments, returned or {})
    if lefts is not None and not _close(*lefts):
        sides.append("left")
    return sides, known + (lefts is not None)


def _is_right(line, rights, moments):
    for right, (_, gradients, ways) in zip(rights, moments):
        options = [gradients[line["name"]], *(ways.get(line["name"], []) if line["sign"] == "+=" else [])]
        if not any(_close(right, gradient) for gradient in options):
            return False
    return True


def _lefts(line, cell, moments, returned):
    """The left side with the gradients that were returned, and the returned one; None if it cannot be told."""
    stacked = {name: g for name, g in returned.items() if np.ndim(g) == 3 and name != "dxs"}
    of = _whole(cell, returned, "d").get(line["name"])
    several = moments[0][2].get(line["name"], [])
    if of is None or line["name"] == "dxs" or (line["sign"] == "+=" and (len(several) > 1 or np.ndim(of) == 3)):
        return None
    sides = []
    for t, (values, *_) in enumerate(moments):
        gradients = _whole(cell, {name: g[:, t] for name, g in stacked.items()}, "d")
        sides.append(_at(line["left"], moments, t, _with_arguments(cell, gradients, values)))
    if any(side is None for side in sides):
        return None
    if line["name"] in ("dh", "dc"):
        return sides[0], of  # that by the first state is all there is of what is carried
    return (np.stack(sides, axis=1) if np.ndim(of) == 3 else sum(sides)), of


def _close(a, b):
    return np.shape(a) in ((), np.shape(b)) and np.allclose(a, b, rtol=1e-7, atol=1e-10)
