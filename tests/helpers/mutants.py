"""Single mistakes as learners make them, and what a right diagnosis says of each, written down beforehand.

By handwriting (`bptt_by_hand`) and name: the text in its source, what stands there instead, the diagnoses that are
right as ``"kind: tensor tensor; kind: tensor"`` (a tensor may be a pattern: ``*`` where the line has no name of its
own), what the text of the diagnosis must have to the right of its arrow, and what is as true if only the final
gradients are there: ``do`` upside down and ``dA.o`` upside down are then the same.
"""

from dataclasses import dataclass

from helpers.bptt_by_hand import BY_HAND, source

OLD_C, OLD_H, TANH_C = r"\bc\b(?!')", r"\bh\b(?!')", r"tanh\(c'\)"  # c and h that came in; the new memory squashed

RNN = {
    "rnn in the loop": {
        "carry subtracted": ("dh = dh + dhs[:, t]", "dh = dhs[:, t] - dh", "path sign: dh' dh; incoming: dh"),
        "dhs doubled": ("dh + dhs[:, t]", "dh + 2 * dhs[:, t]", "incoming: dh' dhs; path doubled: dh'; extra: dh'"),
        "dh_T ignored": ("dh + dhs[:, t]", "(dh if t < T - 1 else 0) + dhs[:, t]", "incoming: dh' dh", "",
                         "path missing: dA_h"),
        "caller's dh written over": ("dh = dh + dhs[:, t]", "dh += dhs[:, t]", "protocol: modified: *"),
        "cut": ("dh = dA @ Wh.T", "dh = np.zeros_like(h)", "cut: dh dh'; missing: dh"),
        "Wh not transposed": ("dh = dA @ Wh.T", "dh = dA @ Wh", "not transposed: dh", r"Wh\.?[Tᵀ]"),
        "carry upside down": ("dh = dA @ Wh.T", "dh = -(dA @ Wh.T)", "sign: dh; path sign: dh'"),
        "dh carried twice": ("dh = dA @ Wh.T", "dh = dA @ Wh.T + dh", "extra: dh dh'"),
        "no derivative": ("dA = dh * (1 - hs[t + 1] ** 2)", "dA = dh", "derivative: *; copied: *", "1 - h'|dh'"),
        "derivative at the state before": ("1 - hs[t + 1] ** 2", "1 - hs[t] ** 2", "step: *", "h'"),
        "activation for its derivative": ("(1 - hs[t + 1] ** 2)", "hs[t + 1]", "activation: *", "1 - h'"),
        "activation again": ("(1 - hs[t + 1] ** 2)", "np.tanh(hs[t + 1])", "activation: *", "1 - h'"),
        "derivative at the activated": ("1 - hs[t + 1] ** 2", "1 - np.tanh(hs[t + 1]) ** 2", "argument: *", "1 - h'"),
        "derivative with the argument": ("1 - hs[t + 1] ** 2", "1 - np.arctanh(hs[t + 1]) ** 2", "argument: *",
                                         "1 - h'"),
        "sigmoid' for tanh'": ("(1 - hs[t + 1] ** 2)", "hs[t + 1] * (1 - hs[t + 1])", "derivative: *; activation: *",
                               "1 - h'"),
        "1 + h²": ("1 - hs[t + 1] ** 2", "1 + hs[t + 1] ** 2", "derivative: *", "1 - h'"),
        "1 - h": ("1 - hs[t + 1] ** 2", "1 - hs[t + 1]", "derivative: *", "1 - h'"),
        "carry fades": ("dh = dA @ Wh.T", "dh = 0.97 * dA @ Wh.T", "factor: dh", "0.97"),
        "dWx overwritten": ("dWx += ", "dWx = ", "overwritten: dWx"),
        "dWh from the new state": ("dWh += hs[t].T", "dWh += hs[t + 1].T", "step: dWh", OLD_H),
        "dWx from the input before": ("xs[:, t].T @ dA", "xs[:, t - 1].T @ dA", "step: dWx", r"\bxs?\b"),
        "db averaged over the batch": ("dA.sum(axis=0)", "dA.mean(axis=0)", "factor N: db", r"\bN\b"),
        "db without the first step": ("db += dA", "db += (t > 0) * dA", "step left out: db", "first"),
        "dWh without the last step": ("hs[t].T @ dA", "hs[t].T @ dA * (t < T - 1)", "step left out: dWh", "last"),
        "dxs backwards in time": ("dxs[:, t] =", "dxs[:, T - 1 - t] =", "reversed: dxs"),
        "weight decay left in": ('"dWh": dWh,', '"dWh": dWh + Wh,', "extra: dWh"),
    },
    "rnn in steps": {
        "dh not handed on": ("step, dy + dh, Wx", "step, dy, Wx", "cut: dh' dh; path missing: dh' dh"),
        "averaged over T": ('db")}', 'db")}\n    over = {name: one / len(found) for name, one in over.items()}',
                            "factor T: dWx dWh db", r"\bT\b"),
        "dhs in the wrong order": ("np.moveaxis(dhs, 1, 0)[::-1]", "np.moveaxis(dhs, 1, 0)",
                                   "reversed: dh' dhs; incoming: dh' dhs"),
        "dA upside down": ("da = dnew * slope", "da = -dnew * slope", "sign: *; path sign: *"),
        "dh without the derivative": ("np.dot(da, Wh.T)", "np.dot(dnew, Wh.T)", "derivative: dh",
                                      "1 - h'|dA"),
        "dWh doubled": ('"dWh": np.dot(h.T, da)', '"dWh": 2 * np.dot(h.T, da)', "factor: dWh", "2"),
    },
    "rnn after the loop": {
        "dhs ignored": ("dhs.copy()", "np.zeros_like(dhs)", "incoming: dh' dhs; path missing: dh'; extra: dh'", "",
                        "path missing: dA_h"),
        "dWx averaged over T": ("xs, dA)", "xs, dA) / T", "factor T: dWx", r"\bT\b"),
        "db averaged over all": ("dA.sum(axis=(0, 1))", "dA.mean(axis=(0, 1))", "factor N T: db", r"N.*T|T.*N"),
        "carry doubled": ("dh = dA[:, t] @ Wh.T", "dh = 2 * dA[:, t] @ Wh.T", "factor: dh; path doubled: dh' dh"),
        "dxs without the derivative": ("dA @ Wx.T", "total @ Wx.T", "derivative: dxs", "1 - h'|dA"),
        "dWh forgotten": ("before, dA)", "0 * before, dA)", "missing: dWh"),
    },
}  # fmt: skip

LSTM = {
    "lstm in the loop": {
        "caches of the step before": ("= steps[t]\n", "= steps[t - 1]\n", "step: *"),
        "do upside down": ("do = dh * tanh_c", "do = -dh * tanh_c", "sign: do", "", "sign: dA.o"),
        "0.9 of do": ("do = dh * tanh_c", "do = 0.9 * dh * tanh_c", "factor: do", "0.9", "factor: dA.o"),
        "do with c'": ("do = dh * tanh_c", "do = dh * c_new", "argument: do", TANH_C),
        "do with tanh twice": ("do = dh * tanh_c", "do = dh * np.tanh(tanh_c)", "argument: do; activation: do", TANH_C),
        "do with the derivative": ("do = dh * tanh_c", "do = dh * (1 - tanh_c**2)",
                                   "argument: do; activation: do", TANH_C),
        "do with the memory before": ("do = dh * tanh_c", "do = dh * np.tanh(c)", "step: do; argument: do",
                                      TANH_C),
        "dc: carry forgotten": ("dc = dc + dh * o", "dc = dh * o", "cut: dc' dc; path missing: dc' dc"),
        "dc: way through h forgotten": ("dc = dc + dh * o * (1 - tanh_c**2)", "dc = dc + 0",
                                        "path missing: dc'; missing: dtanh(c')"),
        "dc: way through h upside down": ("dc = dc + dh * o", "dc = dc - dh * o",
                                          "path sign: dc'; sign: dc' dtanh(c')"),
        "dc: o forgotten": ("dh * o * (1", "dh * (1", "derivative: dc' dtanh(c')", r"\bo\b"),
        "dc: no derivative": ("dh * o * (1 - tanh_c**2)", "dh * o", "derivative: dc'", "1 - " + TANH_C),
        "dc: derivative with c'": ("1 - tanh_c**2", "1 - c_new**2", "argument: dc'", TANH_C),
        "dc: derivative with tanh twice": ("1 - tanh_c**2", "1 - np.tanh(tanh_c) ** 2", "argument: dc'", TANH_C),
        "df with the new memory": ("df = dc * c", "df = dc * c_new", "step: df", OLD_C),
        "df with g": ("df = dc * c", "df = dc * g", "operand: df; copied: df", "", "operand: dA.f"),
        "dg with f": ("dg = dc * i", "dg = dc * f", "operand: dg; copied: dg", "", "operand: dA.g"),
        "di with g before its tanh": ("di = dc * g", "di = dc * np.arctanh(g)", "argument: di", r"\bg\b|tanh\("),
        "di doubled": ("di = dc * g", "di = 2 * dc * g", "factor: di", "2", "factor: dA.i"),
        "dA.f upside down": ("df * f", "-df * f", "sign: dA.f", "", "sign: df"),
        "dA: f and i swapped": ("[df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i)",
                                "[di * i * (1 - i), dg * (1 - g**2), df * f * (1 - f)",
                                "permuted: dA dA.f dA.i; copied: dA.f dA.i"),
        "dA.g with sigmoid'": ("dg * (1 - g**2)", "dg * g * (1 - g)", "derivative: dA.g; activation: dA.g", "1 - g"),
        "dA.o with tanh'": ("do * o * (1 - o)", "do * (1 - o**2)", "derivative: dA.o; activation: dA.o", "1 - o"),
        "dA.f without derivative": ("df * f * (1 - f)", "df", "derivative: dA.f; copied: dA.f", "1 - f|df"),
        "dA.i with the activation": ("di * i * (1 - i)", "di * i", "activation: dA.i; derivative: dA.i", "1 - i"),
        "dA.f with i's derivative": ("df * f * (1 - f)", "df * i * (1 - i)", "derivative: dA.f", "1 - f"),
        "dWx overwritten": ("dWx += ", "dWx = ", "overwritten: dWx"),
        "dWh from the new state": ("h.T @ dA", "(o * tanh_c).T @ dA", "step: dWh", OLD_H),
        "db without the first step": ("db += dA", "db += (t > 0) * dA", "step left out: db", "first"),
        "dc carried as it is": ("dc = dc * f", "dc = dc * f + dc", "extra: dc dc'"),
    },
    "lstm in steps": {
        "dh overwritten before its second use": ("ds = dh * o", "ds = do * o", "operand: dc' dtanh(c')", "dh'"),
        "dh not handed on": ("dhs[:, t] + dh, dc", "dhs[:, t], dc", "cut: dh' dh; path missing: dh' dh"),
        "dc not handed on": ('one["dh"], one["dc"]', 'one["dh"], 0 * dc',
                               "cut: dc dc'; missing: dc; path missing: dc'"),
        "dx: a gate forgotten": (" + ai @ Wi.T", "", "path missing: dxs", r"\bi\b"),
        "dh: a gate forgotten": (" + ag @ Ug.T", "", "path missing: dh dh'", r"\bg\b"),
        "dh: Wh.f not transposed": ("af @ Uf.T", "af @ Uf", "not transposed: dh dh.f", r"Wh\S*[Tᵀ]"),
        "dc without f": ('"dc": dm * f', '"dc": dm', "derivative: dc; copied: dc", r"\bf\b|dc'"),
        "dc with i": ('"dc": dm * f', '"dc": dm * i', "operand: dc; copied: dc", r"\bf\b|dg"),
        "dWx.i from g": ("x.T @ ai", "x.T @ ag", "copied: dWx.i; operand: dWx.i"),
        "dWh.o from c": ("h.T @ ao", "c.T @ ao", "operand: dWh.o", OLD_H),
        "dWx: i first": ("[x.T @ af, x.T @ ag, x.T @ ai", "[x.T @ ai, x.T @ af, x.T @ ag",
                         "permuted: dWx; copied: dWx.f dWx.g dWx.i"),
        "db.i and db.g of f": ("ag.sum(axis=0), ai.sum(axis=0)", "af.sum(axis=0), af.sum(axis=0)",
                               "copied: db.i db.g", r"\bf\b"),
        "ao averaged in db": ("ao.sum(axis=0)", "ao.mean(axis=0)", "factor N: db.o", r"\bN\b"),
    },
    "lstm after the loop": {
        "dc_T ignored": ("dC[:, t] = dc + dH", "dC[:, t] = (dc if t < len(steps) - 1 else 0) + dH", "incoming: dc' dc"),
        "dh_T ignored": ("dH[:, t] += dh", "dH[:, t] += dh * (t < len(steps) - 1)", "incoming: dh' dh"),
        "dhs doubled": ("dhs.copy()", "2 * dhs", "incoming: dh' dhs; path doubled: dh'; extra: dh'"),
        "dWx averaged over T": ("xs, dA)", "xs, dA) / len(steps)", "factor T: dWx", r"\bT\b"),
        "dWh of the memories": ("before, dA)", "memory, dA)", "operand: dWh", OLD_H),
        "dWx without the last step": ("xs, dA)", "xs[:, :-1], dA[:, :-1])", "step left out: dWx", "last"),
        "dxs backwards in time": ("dA @ Wx.T", "(dA @ Wx.T)[:, ::-1]", "reversed: dxs"),
        "i for o on the way to c": ("into_memory = o", "into_memory = i", "operand: dc' dtanh(c')", r"\bo\b"),
        "weight decay left in": ("xs, dA)", "xs, dA) + 0.01 * Wx", "extra: dWx"),
        "half of dWh": ("before, dA)", "before, dA) / 2", "factor: dWh", r"/ ?2|0\.5"),
    },
}  # fmt: skip

GRU = {
    "gru in the loop": {
        "dh: straight way upside down": ("dh = dh * (1 - z) + drh", "dh = -dh * (1 - z) + drh", "path sign: dh",
                                         "1 - z"),
        "dh: z for 1 - z": ("dh = dh * (1 - z) + drh", "dh = dh * z + drh", "argument: dh", "1 - z"),
        "dh: 1 - z forgotten": ("dh = dh * (1 - z) + drh", "dh = dh + drh", "derivative: dh", "1 - z"),
        "dh: straight way forgotten": ("dh = dh * (1 - z) + drh", "dh = drh", "path missing: dh", "1 - z"),
        "dh: r forgotten": ("drh * r + az", "drh + az", "derivative: dh", r"\br\b"),
        "dh: way through r ⊙ h forgotten": (" + drh * r", "", "path missing: dh", r"\br\b"),
        "dh: way through z forgotten": (" + az @ Uz.T", "", "path missing: dh", r"\bz\b"),
        "dh: Wh.z not transposed": ("az @ Uz.T", "az @ Uz", "not transposed: dh", r"Wh\.z\.?[Tᵀ]"),
        "dz upside down": ("(n - h)", "(h - n)", "sign: dz", "", "sign: *"),
        "dz: old state forgotten": ("(n - h)", "n", "path missing: dz", OLD_H, "path missing: dA_z"),
        "dh_new with 1 - z": ("dn = dh * z", "dn = dh * (1 - z)", "argument: dh_new", r"\bz\b"),
        "dh_new without z": ("dn = dh * z", "dn = dh", "derivative: dh_new; copied: dh_new", r"\bz\b|dh'"),
        "no tanh'": ("an = dn * (1 - n**2)", "an = dn", "derivative: *; copied: *", "1 - h_new|dh_new"),
        "z with tanh'": ("az = dz * z * (1 - z)", "az = dz * (1 - z**2)", "derivative: *; activation: *", "1 - z"),
        "r without sigmoid'": ("ar = dr * r * (1 - r)", "ar = dr", "derivative: *; copied: *", "1 - r|dr"),
        "dh with (1 - z)²": ("dh * (1 - z) + drh", "dh * (1 - z) ** 2 + drh", "derivative: dh", "1 - z"),
        "n² for n": ("dh * (n - h)", "dh * (n * n - h)", "derivative: dz", "h_new"),
        "dr with h_new": ("dr = drh * h", "dr = drh * n", "operand: dr", OLD_H),
        "Wh.h not transposed": ("an @ Un.T", "an @ Un", "not transposed: *", r"Wh\.h\.?[Tᵀ]"),
        "dWh.h of h": ("(r * h).T @ an", "h.T @ an", "derivative: dWh.h", r"\br\b"),
        "dWh.z of r ⊙ h": ("h.T @ az", "(r * h).T @ az", "operand: dWh.z", OLD_H),
        "dWx overwritten": ("dWx += ", "dWx = ", "overwritten: dWx"),
        "db averaged over the batch": ("dA.sum(axis=0)", "dA.mean(axis=0)", "factor N: db", r"\bN\b"),
        "cut": ("dh = dh * (1 - z) + drh * r + az @ Uz.T + ar @ Ur.T", "dh = 0 * dh", "cut: dh dh'; missing: dh"),
    },
    "gru in steps": {
        "dz: plus h": ("dnew * n - dnew * h", "dnew * n + dnew * h", "path sign: dz", OLD_H),
        "dx: a gate forgotten": (" + a_n @ W[2].T", "", "path missing: dxs", r"\.h\b|h_new"),
        "dh not handed on": ("dhs[:, t] + dh, W", "dhs[:, t], W", "cut: dh' dh; path missing: dh' dh"),
        "db.r of z": ("a_r.sum(axis=0)", "a_z.sum(axis=0)", "copied: db.r", "z"),
        "db: r first": ("[a_z.sum(axis=0), a_r.sum(axis=0)", "[a_r.sum(axis=0), a_z.sum(axis=0)",
                        "permuted: db; copied: db.z db.r"),
        "dWh.r transposed": ("h.T @ a_r", "a_r.T @ h", "transposed: dWh.r"),
    },
    "gru after the loop": {
        "dhs doubled": ("dhs.copy()", "2 * dhs", "incoming: dh' dhs; path doubled: dh'; extra: dh'"),
        "dh_T ignored": ("total[:, t] += dh", "total[:, t] += dh * (t < dhs.shape[1] - 1)", "incoming: dh' dh"),
        "dWh of the new states": ("before, gates)", "(1 - z) * before + z * n, gates)",
                                  "step: dWh.z dWh.r dWh", OLD_H),
        "dxs backwards in time": ("dA @ Wx.T", "(dA @ Wx.T)[:, ::-1]", "reversed: dxs"),
        "dWx times N": ("xs, dA)", "xs, dA) * len(xs)", "factor N: dWx", r"\bN\b"),
        "db without the first step": ("dA.sum", "dA[:, 1:].sum", "step left out: db", "first"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A handwriting with mistakes: the edits of its source, and what is right to say of each, as `judging` takes it."""

    by: str
    edits: tuple[tuple[str, str], ...]
    expected: tuple[tuple[str, str, str], ...] = ()
    at: str = ""  # the lines that may be called the first wrong one, where those expected do not tell

    def function(self):
        """The backward with its mistakes."""
        text = source(self.by)
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"mutant of {self.by}: {old!r} stands there {text.count(old)} times, should be once")
            text = text.replace(old, new)
        names = dict(BY_HAND[self.by][0].__globals__)
        exec(text, names)
        return names[BY_HAND[self.by][0].__name__]


def single(by, old, new, told, says="", finals=""):
    return Mutant(by, ((old, new),), ((told, says, finals),))


SINGLE = {
    f"{by}: {name}": single(by, *row)
    for table in (RNN, LSTM, GRU)
    for by, rows in table.items()
    for name, row in rows.items()
}
