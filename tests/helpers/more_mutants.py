"""Two mistakes at once, and mistakes that no list of slips foresees: of these only the place should be told.

``AT`` after an odd mistake are the lines that may be called the first wrong one; nothing where any may.
"""

from helpers.mutants import SINGLE, Mutant

#: A handwriting and two of its single mistakes.
PAIRS = [
    ("rnn in the loop", "no derivative", "db averaged over the batch"),
    ("rnn in the loop", "dWx overwritten", "dWh without the last step"),
    ("rnn in the loop", "dhs doubled", "dxs backwards in time"),
    ("rnn in steps", "dh not handed on", "dWh doubled"),
    ("rnn after the loop", "dWx averaged over T", "dxs without the derivative"),
    ("lstm in the loop", "do upside down", "db without the first step"),
    ("lstm in the loop", "dc: derivative with c'", "dWx overwritten"),
    ("lstm in the loop", "df with the new memory", "dA.g with sigmoid'"),
    ("lstm in the loop", "do with c'", "dA.f without derivative"),
    ("lstm in steps", "dh not handed on", "dc not handed on"),
    ("lstm in steps", "dWx: i first", "db.i and db.g of f"),
    ("lstm in steps", "dh overwritten before its second use", "dWh.o from c"),
    ("lstm after the loop", "dc_T ignored", "dWh of the memories"),
    ("lstm after the loop", "dxs backwards in time", "half of dWh"),
    ("gru in the loop", "dh: 1 - z forgotten", "dWh.h of h"),
    ("gru in the loop", "dz: old state forgotten", "dWx overwritten"),
    ("gru in the loop", "dr with h_new", "db averaged over the batch"),
    ("gru in steps", "dx: a gate forgotten", "db.r of z"),
    ("gru after the loop", "dhs doubled", "dWx times N"),
]

OF_A = "dWx dWh db dxs dh dh'"  # what shows that the gradient by the argument of an activation is wrong

#: Handwriting, name: the text, what stands there instead, where.
ODD = {
    "rnn in the loop": {
        "cos for 1 - h²": ("1 - hs[t + 1] ** 2", "np.cos(hs[t + 1])", OF_A),
        "1 - h³": ("1 - hs[t + 1] ** 2", "1 - hs[t + 1] ** 3", OF_A),
        "square root": ("(1 - hs[t + 1] ** 2)", "np.sqrt(1 - hs[t + 1] ** 2)", OF_A),
        "relu's derivative": ("(1 - hs[t + 1] ** 2)", "(hs[t + 1] > 0)", OF_A),
        "clip": ("dh = dA @ Wh.T", "dh = np.clip(dA @ Wh.T, -0.5, 0.5)", "dh dh'"),
        "momentum": ("dh = dA @ Wh.T", "dh = 0.7 * dA @ Wh.T + 0.3 * dh", "dh dh'"),
        "all units summed": ("dA.sum(axis=0)", "dA.sum()", "db"),
        "rows summed, not columns": ("dA.sum(axis=0)", "np.resize(dA.sum(axis=1), dA.shape[1])", "db"),
        "rounded": ("db += dA", "db += np.round(dA, 2)", "db"),
        "one unit forgotten": ("hs[t].T @ dA", "(hs[t] * (np.arange(hs[t].shape[1]) != 4)).T @ dA", "dWh"),
        "a middle step left out": ("xs[:, t].T @ dA", "(t != 2) * (xs[:, t].T @ dA)", "dWx"),
        "fixed noise": ('"dWh": dWh,', '"dWh": dWh + 1e-3 * np.random.default_rng(0).standard_normal(dWh.shape),',
                        "dWh"),
        "other noise each time": ('"db": db', '"db": db * (1 + 0.1 * np.random.default_rng().random(db.shape))', "db"),
    },
    "lstm in the loop": {
        "sin for tanh": ("do = dh * tanh_c", "do = dh * np.sin(c_new)", "do"),
        "|dh|": ("do = dh * tanh_c", "do = np.abs(dh) * tanh_c", "do"),
        "square root of f": ("dc = dc * f", "dc = dc * np.sqrt(f)", "dc dc'"),
        "gates mixed": ("df * f * (1 - f)", "df * np.sqrt(f * i * o)", "dA"),
        "half precision": ("df = dc * c", "df = (dc * c).astype('e').astype('d')", "df"),
        "batch centred": ("dg = dc * i", "dg = dc * i - (dc * i).mean(axis=0)", "dg"),
        "tanh of the gradient": ("di = dc * g", "di = np.tanh(dc * g)", "di"),
        "neighbouring units": ("dc = dc * f", "dc = np.roll(dc * f, 1, axis=1)", "dc dc'"),
    },
    "gru in the loop": {
        "√r": ("drh * r", "drh * np.sqrt(r)", "dh dh'"),
        "unit length": ("dr = drh * h", "dr = drh * h / np.linalg.norm(h)", "dr"),
        "running sum": ('"db": db', '"db": np.cumsum(db)', "db"),
        "reset by half": ("(r * h).T @ an", "((r + 1) / 2 * h).T @ an", "dWh"),
    },
}  # fmt: skip


def both(by, first, second):
    one, two = SINGLE[f"{by}: {first}"], SINGLE[f"{by}: {second}"]
    return Mutant(by, one.edits + two.edits, one.expected + two.expected)


DOUBLE = {f"{by}: {first}, and {second}": both(by, first, second) for by, first, second in PAIRS}
OUTSIDE = {
    f"{by}: {name}": Mutant(by, ((old, new),), at=at)
    for by, rows in ODD.items()
    for name, (old, new, at) in rows.items()
}
TABLES = {"single": SINGLE, "double": DOUBLE, "outside": OUTSIDE}
