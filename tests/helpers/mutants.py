"""Mistakes as learners make them: by handwriting (`bptt_by_hand`) and name, the text in its source and the wrong text.
"""

import linecache
from dataclasses import dataclass

from helpers.bptt_by_hand import BY_HAND, source

RNN = {
    "rnn in the loop": {
        "carry subtracted": ("dh = dh + dhs[:, t]", "dh = dhs[:, t] - dh"),
        "dhs doubled": ("dh + dhs[:, t]", "dh + 2 * dhs[:, t]"),
        "dh_T ignored": ("dh + dhs[:, t]", "(dh if t < T - 1 else 0) + dhs[:, t]"),
        "caller's dh written over": ("dh = dh + dhs[:, t]", "dh += dhs[:, t]"),
        "cut": ("dh = dA @ Wh.T", "dh = np.zeros_like(h)"),
        "Wh not transposed": ("dh = dA @ Wh.T", "dh = dA @ Wh"),
        "carry upside down": ("dh = dA @ Wh.T", "dh = -(dA @ Wh.T)"),
        "dh carried twice": ("dh = dA @ Wh.T", "dh = dA @ Wh.T + dh"),
        "no derivative": ("dA = dh * (1 - hs[t + 1] ** 2)", "dA = dh"),
        "derivative at the state before": ("1 - hs[t + 1] ** 2", "1 - hs[t] ** 2"),
        "activation for its derivative": ("(1 - hs[t + 1] ** 2)", "hs[t + 1]"),
        "activation again": ("(1 - hs[t + 1] ** 2)", "np.tanh(hs[t + 1])"),
        "derivative at the activated": ("1 - hs[t + 1] ** 2", "1 - np.tanh(hs[t + 1]) ** 2"),
        "derivative with the argument": ("1 - hs[t + 1] ** 2", "1 - np.arctanh(hs[t + 1]) ** 2"),
        "sigmoid' for tanh'": ("(1 - hs[t + 1] ** 2)", "hs[t + 1] * (1 - hs[t + 1])"),
        "1 + h²": ("1 - hs[t + 1] ** 2", "1 + hs[t + 1] ** 2"),
        "1 - h": ("1 - hs[t + 1] ** 2", "1 - hs[t + 1]"),
        "carry fades": ("dh = dA @ Wh.T", "dh = 0.97 * dA @ Wh.T"),
        "dWx overwritten": ("dWx += ", "dWx = "),
        "dWh from the new state": ("dWh += hs[t].T", "dWh += hs[t + 1].T"),
        "dWx from the input before": ("xs[:, t].T @ dA", "xs[:, t - 1].T @ dA"),
        "db averaged over the batch": ("dA.sum(axis=0)", "dA.mean(axis=0)"),
        "db without the first step": ("db += dA", "db += (t > 0) * dA"),
        "dWh without the last step": ("hs[t].T @ dA", "hs[t].T @ dA * (t < T - 1)"),
        "dxs backwards in time": ("dxs[:, t] =", "dxs[:, T - 1 - t] ="),
        "weight decay left in": ('"dWh": dWh,', '"dWh": dWh + Wh,'),
    },
    "rnn in steps": {
        "dh not handed on": ("step, dy + dh, Wx", "step, dy, Wx"),
        "averaged over T": ('db")}', 'db")}\n    over = {name: one / len(found) for name, one in over.items()}'),
        "dhs in the wrong order": ("np.moveaxis(dhs, 1, 0)[::-1]", "np.moveaxis(dhs, 1, 0)"),
        "dA upside down": ("da = dnew * slope", "da = -dnew * slope"),
        "dh without the derivative": ("np.dot(da, Wh.T)", "np.dot(dnew, Wh.T)"),
        "dWh doubled": ('"dWh": np.dot(h.T, da)', '"dWh": 2 * np.dot(h.T, da)'),
    },
    "rnn after the loop": {
        "dhs ignored": ("dhs.copy()", "np.zeros_like(dhs)"),
        "dWx averaged over T": ("xs, dA)", "xs, dA) / T"),
        "db averaged over all": ("dA.sum(axis=(0, 1))", "dA.mean(axis=(0, 1))"),
        "carry doubled": ("dh = dA[:, t] @ Wh.T", "dh = 2 * dA[:, t] @ Wh.T"),
        "dxs without the derivative": ("dA @ Wx.T", "total @ Wx.T"),
        "dWh forgotten": ("before, dA)", "0 * before, dA)"),
    },
}  # fmt: skip

LSTM = {
    "lstm in the loop": {
        "caches of the step before": ("= steps[t]\n", "= steps[t - 1]\n"),
        "do upside down": ("do = dh * tanh_c", "do = -dh * tanh_c"),
        "0.9 of do": ("do = dh * tanh_c", "do = 0.9 * dh * tanh_c"),
        "do with c'": ("do = dh * tanh_c", "do = dh * c_new"),
        "do with tanh twice": ("do = dh * tanh_c", "do = dh * np.tanh(tanh_c)"),
        "do with the derivative": ("do = dh * tanh_c", "do = dh * (1 - tanh_c**2)"),
        "do with the memory before": ("do = dh * tanh_c", "do = dh * np.tanh(c)"),
        "dc: carry forgotten": ("dc = dc + dh * o", "dc = dh * o"),
        "dc: way through h forgotten": ("dc = dc + dh * o * (1 - tanh_c**2)", "dc = dc + 0"),
        "dc: way through h upside down": ("dc = dc + dh * o", "dc = dc - dh * o"),
        "dc: o forgotten": ("dh * o * (1", "dh * (1"),
        "dc: no derivative": ("dh * o * (1 - tanh_c**2)", "dh * o"),
        "dc: derivative with c'": ("1 - tanh_c**2", "1 - c_new**2"),
        "dc: derivative with tanh twice": ("1 - tanh_c**2", "1 - np.tanh(tanh_c) ** 2"),
        "df with the new memory": ("df = dc * c", "df = dc * c_new"),
        "df with g": ("df = dc * c", "df = dc * g"),
        "dg with f": ("dg = dc * i", "dg = dc * f"),
        "di with g before its tanh": ("di = dc * g", "di = dc * np.arctanh(g)"),
        "di doubled": ("di = dc * g", "di = 2 * dc * g"),
        "dA.f upside down": ("df * f", "-df * f"),
        "dA: f and i swapped": ("[df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i)",
                                "[di * i * (1 - i), dg * (1 - g**2), df * f * (1 - f)"),
        "dA.g with sigmoid'": ("dg * (1 - g**2)", "dg * g * (1 - g)"),
        "dA.o with tanh'": ("do * o * (1 - o)", "do * (1 - o**2)"),
        "dA.f without derivative": ("df * f * (1 - f)", "df"),
        "dA.i with the activation": ("di * i * (1 - i)", "di * i"),
        "dA.f with i's derivative": ("df * f * (1 - f)", "df * i * (1 - i)"),
        "dWx overwritten": ("dWx += ", "dWx = "),
        "dWh from the new state": ("h.T @ dA", "(o * tanh_c).T @ dA"),
        "db without the first step": ("db += dA", "db += (t > 0) * dA"),
        "dc carried as it is": ("dc = dc * f", "dc = dc * f + dc"),
    },
    "lstm in steps": {
        "dh overwritten before its second use": ("ds = dh * o", "ds = do * o"),
        "dh not handed on": ("dhs[:, t] + dh, dc", "dhs[:, t], dc"),
        "dc not handed on": ('one["dh"], one["dc"]', 'one["dh"], 0 * dc'),
        "dx: a gate forgotten": (" + ai @ Wi.T", ""),
        "dh: a gate forgotten": (" + ag @ Ug.T", ""),
        "dh: Wh.f not transposed": ("af @ Uf.T", "af @ Uf"),
        "dc without f": ('"dc": dm * f', '"dc": dm'),
        "dc with i": ('"dc": dm * f', '"dc": dm * i'),
        "dWx.i from g": ("x.T @ ai", "x.T @ ag"),
        "dWh.o from c": ("h.T @ ao", "c.T @ ao"),
        "dWx: i first": ("[x.T @ af, x.T @ ag, x.T @ ai", "[x.T @ ai, x.T @ af, x.T @ ag"),
        "db.i and db.g of f": ("ag.sum(axis=0), ai.sum(axis=0)", "af.sum(axis=0), af.sum(axis=0)"),
        "ao averaged in db": ("ao.sum(axis=0)", "ao.mean(axis=0)"),
    },
    "lstm after the loop": {
        "dc_T ignored": ("dC[:, t] = dc + dH", "dC[:, t] = (dc if t < len(steps) - 1 else 0) + dH"),
        "dh_T ignored": ("dH[:, t] += dh", "dH[:, t] += dh * (t < len(steps) - 1)"),
        "dhs doubled": ("dhs.copy()", "2 * dhs"),
        "dWx averaged over T": ("xs, dA)", "xs, dA) / len(steps)"),
        "dWh of the memories": ("before, dA)", "memory, dA)"),
        "dWx without the last step": ("xs, dA)", "xs[:, :-1], dA[:, :-1])"),
        "dxs backwards in time": ("dA @ Wx.T", "(dA @ Wx.T)[:, ::-1]"),
        "i for o on the way to c": ("into_memory = o", "into_memory = i"),
        "weight decay left in": ("xs, dA)", "xs, dA) + 0.01 * Wx"),
        "half of dWh": ("before, dA)", "before, dA) / 2"),
    },
}  # fmt: skip

GRU = {
    "gru in the loop": {
        "dh: straight way upside down": ("dh = dh * (1 - z) + drh", "dh = -dh * (1 - z) + drh"),
        "dh: z for 1 - z": ("dh = dh * (1 - z) + drh", "dh = dh * z + drh"),
        "dh: 1 - z forgotten": ("dh = dh * (1 - z) + drh", "dh = dh + drh"),
        "dh: straight way forgotten": ("dh = dh * (1 - z) + drh", "dh = drh"),
        "dh: r forgotten": ("drh * r + az", "drh + az"),
        "dh: way through r ⊙ h forgotten": (" + drh * r", ""),
        "dh: way through z forgotten": (" + az @ Uz.T", ""),
        "dh: Wh.z not transposed": ("az @ Uz.T", "az @ Uz"),
        "dz upside down": ("(n - h)", "(h - n)"),
        "dz: old state forgotten": ("(n - h)", "n"),
        "dh_new with 1 - z": ("dn = dh * z", "dn = dh * (1 - z)"),
        "dh_new without z": ("dn = dh * z", "dn = dh"),
        "no tanh'": ("an = dn * (1 - n**2)", "an = dn"),
        "z with tanh'": ("az = dz * z * (1 - z)", "az = dz * (1 - z**2)"),
        "r without sigmoid'": ("ar = dr * r * (1 - r)", "ar = dr"),
        "dh with (1 - z)²": ("dh * (1 - z) + drh", "dh * (1 - z) ** 2 + drh"),
        "n² for n": ("dh * (n - h)", "dh * (n * n - h)"),
        "dr with h_new": ("dr = drh * h", "dr = drh * n"),
        "Wh.h not transposed": ("an @ Un.T", "an @ Un"),
        "dWh.h of h": ("(r * h).T @ an", "h.T @ an"),
        "dWh.z of r ⊙ h": ("h.T @ az", "(r * h).T @ az"),
        "dWx overwritten": ("dWx += ", "dWx = "),
        "db averaged over the batch": ("dA.sum(axis=0)", "dA.mean(axis=0)"),
        "cut": ("dh = dh * (1 - z) + drh * r + az @ Uz.T + ar @ Ur.T", "dh = 0 * dh"),
    },
    "gru in steps": {
        "dz: plus h": ("dnew * n - dnew * h", "dnew * n + dnew * h"),
        "dx: a gate forgotten": (" + a_n @ W[2].T", ""),
        "dh not handed on": ("dhs[:, t] + dh, W", "dhs[:, t], W"),
        "db.r of z": ("a_r.sum(axis=0)", "a_z.sum(axis=0)"),
        "db: r first": ("[a_z.sum(axis=0), a_r.sum(axis=0)", "[a_r.sum(axis=0), a_z.sum(axis=0)"),
        "dWh.r transposed": ("h.T @ a_r", "a_r.T @ h"),
    },
    "gru after the loop": {
        "dhs doubled": ("dhs.copy()", "2 * dhs"),
        "dh_T ignored": ("total[:, t] += dh", "total[:, t] += dh * (t < dhs.shape[1] - 1)"),
        "dWh of the new states": ("before, gates)", "(1 - z) * before + z * n, gates)"),
        "dxs backwards in time": ("dA @ Wx.T", "(dA @ Wx.T)[:, ::-1]"),
        "dWx times N": ("xs, dA)", "xs, dA) * len(xs)"),
        "db without the first step": ("dA.sum", "dA[:, 1:].sum"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A handwriting with mistakes: the edits of its source."""

    by: str
    edits: tuple[tuple[str, str], ...]

    def text(self):
        """The source with the mistakes."""
        text = source(self.by)
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"mutant of {self.by}: {old!r} stands there {text.count(old)} times, should be once")
            text = text.replace(old, new)
        return text

    def function(self):
        """The backward with its mistakes."""
        return compiled(self.by, self.text())


def compiled(by, text):
    """The backward of a handwriting from another text, which stands in a file for `linecache`."""
    file = f"<{by}: {hash(text)}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    names = dict(BY_HAND[by][0].__globals__)
    exec(compile(text, file, "exec"), names)
    return names[BY_HAND[by][0].__name__]


SINGLE = {
    f"{by}: {name}": Mutant(by, (edit,))
    for table in (RNN, LSTM, GRU)
    for by, rows in table.items()
    for name, edit in rows.items()
}
