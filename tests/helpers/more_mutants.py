"""Two mistakes at once, and mistakes that no list of slips foresees."""

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

#: Handwriting, name: the text, what stands there instead.
ODD = {
    "rnn in the loop": {
        "cos for 1 - h²": ("1 - hs[t + 1] ** 2", "np.cos(hs[t + 1])"),
        "1 - h³": ("1 - hs[t + 1] ** 2", "1 - hs[t + 1] ** 3"),
        "square root": ("(1 - hs[t + 1] ** 2)", "np.sqrt(1 - hs[t + 1] ** 2)"),
        "relu's derivative": ("(1 - hs[t + 1] ** 2)", "(hs[t + 1] > 0)"),
        "clip": ("dh = dA @ Wh.T", "dh = np.clip(dA @ Wh.T, -0.5, 0.5)"),
        "momentum": ("dh = dA @ Wh.T", "dh = 0.7 * dA @ Wh.T + 0.3 * dh"),
        "all units summed": ("dA.sum(axis=0)", "dA.sum()"),
        "rows summed, not columns": ("dA.sum(axis=0)", "np.resize(dA.sum(axis=1), dA.shape[1])"),
        "rounded": ("db += dA", "db += np.round(dA, 2)"),
        "one unit forgotten": ("hs[t].T @ dA", "(hs[t] * (np.arange(hs[t].shape[1]) != 4)).T @ dA"),
        "a middle step left out": ("xs[:, t].T @ dA", "(t != 2) * (xs[:, t].T @ dA)"),
        "fixed noise": ('"dWh": dWh,', '"dWh": dWh + 1e-3 * np.random.default_rng(0).standard_normal(dWh.shape),'),
        "other noise each time": ('"db": db', '"db": db * (1 + 0.1 * np.random.default_rng().random(db.shape))'),
    },
    "lstm in the loop": {
        "sin for tanh": ("do = dh * tanh_c", "do = dh * np.sin(c_new)"),
        "|dh|": ("do = dh * tanh_c", "do = np.abs(dh) * tanh_c"),
        "square root of f": ("dc = dc * f", "dc = dc * np.sqrt(f)"),
        "gates mixed": ("df * f * (1 - f)", "df * np.sqrt(f * i * o)"),
        "half precision": ("df = dc * c", "df = (dc * c).astype('e').astype('d')"),
        "batch centred": ("dg = dc * i", "dg = dc * i - (dc * i).mean(axis=0)"),
        "tanh of the gradient": ("di = dc * g", "di = np.tanh(dc * g)"),
        "neighbouring units": ("dc = dc * f", "dc = np.roll(dc * f, 1, axis=1)"),
    },
    "gru in the loop": {
        "√r": ("drh * r", "drh * np.sqrt(r)"),
        "unit length": ("dr = drh * h", "dr = drh * h / np.linalg.norm(h)"),
        "running sum": ('"db": db', '"db": np.cumsum(db)'),
        "reset by half": ("(r * h).T @ an", "((r + 1) / 2 * h).T @ an"),
    },
}  # fmt: skip

DOUBLE = {
    f"{by}: {first}, and {second}": Mutant(by, SINGLE[f"{by}: {first}"].edits + SINGLE[f"{by}: {second}"].edits)
    for by, first, second in PAIRS
}
OUTSIDE = {f"{by}: {name}": Mutant(by, (edit,)) for by, rows in ODD.items() for name, edit in rows.items()}
MUTANTS = {**SINGLE, **DOUBLE, **OUTSIDE}
