"""The GRU's backpropagation through time by hand, in the three handwritings of `bptt_by_hand`.

z = σ(x Wx.z + h Wh.z + b.z),  r = σ(...),  h_new = tanh(x Wx.h + (r ⊙ h) Wh.h + b.h),  h' = (1 - z) ⊙ h + z ⊙ h_new.
Blocks z r h. In the code n stands for h_new.
"""

import numpy as np

from helpers.layers_by_hand import sigmoid


def gru_forward(xs, h, Wx, Wh, b):
    """What each step has seen and made."""
    (Wz, Wr, Wn), (Uz, Ur, Un), (bz, br, bn) = (np.split(one, 3, axis=-1) for one in (Wx, Wh, b))
    steps = []
    for x in np.moveaxis(xs, 1, 0):
        z, r = sigmoid(x @ Wz + h @ Uz + bz), sigmoid(x @ Wr + h @ Ur + br)
        n = np.tanh(x @ Wn + (r * h) @ Un + bn)
        steps.append((x, h, z, r, n))
        h = (1 - z) * h + z * n
    return steps


def gru_in_the_loop(xs, h, *, Wx, Wh, b, dhs, dh):
    steps = gru_forward(xs, h, Wx, Wh, b)
    Uz, Ur, Un = np.split(Wh, 3, axis=1)
    dWx, dWh, db, dxs = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b), np.zeros_like(xs)
    kept = {"dh'": [], "dh_new": [], "dz": [], "dr": []}
    for t in reversed(range(len(steps))):
        x, h, z, r, n = steps[t]
        dh = dh + dhs[:, t]
        dn = dh * z
        an = dn * (1 - n**2)
        dz = dh * (n - h)
        az = dz * z * (1 - z)
        drh = an @ Un.T
        dr = drh * h
        ar = dr * r * (1 - r)
        for name, one in zip(kept, (dh, dn, dz, dr)):
            kept[name].insert(0, one)
        dA = np.hstack([az, ar, an])
        dWx += x.T @ dA
        dWh += np.hstack([h.T @ az, h.T @ ar, (r * h).T @ an])
        db += dA.sum(axis=0)
        dxs[:, t] = dA @ Wx.T
        dh = dh * (1 - z) + drh * r + az @ Uz.T + ar @ Ur.T
    inner = {name: np.stack(every, axis=1) for name, every in kept.items()}
    return {**inner, "dWx": dWx, "dWh": dWh, "db": db, "dxs": dxs, "dh": dh}


def gru_in_steps(xs, h, *, Wx, Wh, b, dhs, dh):
    W, U, found = np.split(Wx, 3, axis=1), np.split(Wh, 3, axis=1), []
    for t, step in reversed(list(enumerate(gru_forward(xs, h, Wx, Wh, b)))):
        one = gru_step(step, dhs[:, t] + dh, W, U)
        dh = one["dh"]
        found.insert(0, one)
    over = {name: sum(one[name] for one in found) for name in ("dWx", "dWh", "db")}
    along = {name: np.stack([one[name] for one in found], axis=1) for name in ("dh'", "dz", "dh_new", "dr")}
    return {**along, **over, "dxs": np.stack([one["dx"] for one in found], axis=1), "dh": dh}


def gru_step(step, dnew, W, U):
    x, h, z, r, n = step
    dz = dnew * n - dnew * h
    dn = dnew * z
    a_z, a_n = dz * (z - z * z), dn * (1 - n * n)
    d_reset = a_n @ U[2].T
    dr = d_reset * h
    a_r = dr * (r - r * r)
    straight = dnew * (1 - z)
    dh = straight + d_reset * r + a_z @ U[0].T + a_r @ U[1].T
    dx = a_z @ W[0].T + a_r @ W[1].T + a_n @ W[2].T
    return {
        "dh'": dnew, "dz": dz, "dh_new": dn, "dr": dr,
        "dWx": np.hstack([x.T @ a_z, x.T @ a_r, x.T @ a_n]),
        "dWh": np.hstack([h.T @ a_z, h.T @ a_r, (h * r).T @ a_n]),
        "db": np.hstack([a_z.sum(axis=0), a_r.sum(axis=0), a_n.sum(axis=0)]), "dx": dx, "dh": dh,
    }  # fmt: skip


def gru_after_the_loop(xs, h, *, Wx, Wh, b, dhs, dh):
    _, before, z, r, n = (np.stack(one, axis=1) for one in zip(*gru_forward(xs, h, Wx, Wh, b)))
    H = h.shape[1]
    of_z, of_r, of_n = (n - before) * z * (1 - z), before * r * (1 - r), z * (1 - n**2)
    total, dA = dhs.copy(), np.empty((*dhs.shape[:2], 3 * H))
    for t in range(dhs.shape[1] - 1, -1, -1):
        total[:, t] += dh
        dA[:, t, :H] = total[:, t] * of_z[:, t]
        dA[:, t, 2 * H :] = total[:, t] * of_n[:, t]
        through = dA[:, t, 2 * H :] @ Wh[:, 2 * H :].T
        dA[:, t, H : 2 * H] = through * of_r[:, t]
        dh = total[:, t] * (1 - z[:, t]) + through * r[:, t] + dA[:, t, : 2 * H] @ Wh[:, : 2 * H].T
    gates, candidate = dA[..., : 2 * H], dA[..., 2 * H :]
    dWh = [np.einsum("ntk,nth->kh", before, gates), np.einsum("ntk,nth->kh", r * before, candidate)]
    return {
        "dh'": total, "dWx": np.einsum("ntd,nth->dh", xs, dA), "dWh": np.concatenate(dWh, axis=1),
        "db": dA.sum(axis=(0, 1)), "dxs": dA @ Wx.T, "dh": dh,
    }  # fmt: skip
