"""Handwritings that the edits of the debugger were not tuned to, with their mistakes: for honest figures."""

from .table import D, H, Handwriting, N, T, layer, loss, pair, weights


def by_gate(normal, *shape):
    return {gate: normal(*shape) / 2 for gate in "ifou"}


FRESH = [
    Handwriting("stepwise_gru", lambda m, r: layer(m.GRUModel(*weights(r, 3)), r(N, T, D)), [
        ("factor missing", "d_gates[:, :H] *= z * (1 - z)", "d_gates[:, :H] *= z"),
        ("sign", "d_gates[:, :H] = d_out * (h - n)", "d_gates[:, :H] = d_out * (n - h)"),
        ("1 - z for z", "d_h = d_out * z", "d_h = d_out * (1 - z)"),
        ("square missing", "d_gates[:, 2*H:] = d_out * (1 - z) * (1 - n**2)", "d_gates[:, 2*H:] = d_out * (1 - z) * (1 - n)"),
        ("another block", "d_rh = d_gates[:, 2*H:] @ Wn.T", "d_rh = d_gates[:, :H] @ Wn.T"),
        ("factor missing", "d_gates[:, H:2*H] = d_rh * h * r * (1 - r)", "d_gates[:, H:2*H] = d_rh * r * (1 - r)"),
        ("a way missing", "d_h += d_rh * r", "pass"),
        ("another weight", "d_h += d_gates[:, H:2*H] @ Wr.T", "d_h += d_gates[:, H:2*H] @ Wz.T"),
        ("reset forgotten", "g['Wh'][:, 2*H:] += rh.T @ d_gates[:, 2*H:]", "g['Wh'][:, 2*H:] += h.T @ d_gates[:, 2*H:]"),
        ("= for +=", "g['b'] += d_gates.sum(axis=0)", "g['b'] = d_gates.sum(axis=0)"),
        ("carry dropped", "d_x, d_h = self.backward_step(d_out[:, t] + d_h)", "d_x, d_h = self.backward_step(d_out[:, t])"),
        ("not reversed", "return np.stack(d_xs[::-1], axis=1)", "return np.stack(d_xs, axis=1)"),
    ]),
    Handwriting("batch_last_lstm", lambda m, r: pair(
        m, "forward", "backward", r(D, N, T), by_gate(r, H, D), by_gate(r, H, H), by_gate(r, H, 1)), [
        ("factor missing", "da['i'] = dc * u * i * (1 - i)", "da['i'] = dc * u * (1 - i)"),
        ("another gate", "da['f'] = dc * cs[:, :, t] * f * (1 - f)", "da['f'] = dc * cs[:, :, t] * i * (1 - i)"),
        ("wrong step", "da['f'] = dc * cs[:, :, t] * f * (1 - f)", "da['f'] = dc * cs[:, :, t + 1] * f * (1 - f)"),
        ("tanh missing", "tc = np.tanh(cs[:, :, t + 1])", "tc = cs[:, :, t + 1]"),
        ("wrong step", "tc = np.tanh(cs[:, :, t + 1])", "tc = np.tanh(cs[:, :, t])"),
        ("carry dropped", "dc = dc + dh * o * (1 - tc**2)", "dc = dh * o * (1 - tc**2)"),
        ("factor missing", "dc = dc * f", "pass"),
        ("not reset", "dh_rec = np.zeros((H, B))#2", "pass"),
        ("wrong step", "dU[k] += da[k] @ hs[:, :, t].T", "dU[k] += da[k] @ hs[:, :, t + 1].T"),
        ("mean", "db[k] += da[k].sum(axis=1, keepdims=True)", "db[k] += da[k].mean(axis=1, keepdims=True)"),
        ("= for +=", "dX[:, :, t] += W[k].T @ da[k]", "dX[:, :, t] = W[k].T @ da[k]"),
        ("not transposed", "dh_rec += U[k].T @ da[k]", "dh_rec += U[k] @ da[k]"),
    ]),
    Handwriting("vector_lstm", lambda m, r: loss(
        m, "loss_and_gradients", r(T, D), r(T, 2), r(H), r(H), r(4 * H, D) / 2, r(4 * H, H) / 2, r(4 * H) / 2, r(2, H)), [
        ("not averaged", "err = err / T", "pass"),
        ("factor missing", "gp[:H] += gc * c[t] * fg * (1 - fg)", "gp[:H] += gc * c[t] * fg"),
        ("wrong step", "gp[:H] += gc * c[t] * fg * (1 - fg)", "gp[:H] += gc * c[t + 1] * fg * (1 - fg)"),
        ("another block", "gp[H:2*H] += gc * cand * ig * (1 - ig)", "gp[2*H:3*H] += gc * cand * ig * (1 - ig)"),
        ("c for tanh c", "gp[2*H:3*H] += gh * tanh_c * og * (1 - og)", "gp[2*H:3*H] += gh * c[t + 1] * og * (1 - og)"),
        ("another operand", "gp[3*H:] += gc * ig * (1 - cand ** 2)", "gp[3*H:] += gc * cand * (1 - cand ** 2)"),
        ("wrong activations", "grad_U += np.outer(gp, h[t])", "grad_U += np.outer(gp, h[t + 1])"),
        ("indices", "back_h = np.einsum('ij,i->j', U, gp)", "back_h = 0.5 * np.einsum('ij,i->j', U, gp)"),
        ("carry dropped", "gh = V.T @ err[t] + back_h", "gh = V.T @ err[t]"),
        ("another factor", "back_c = gc * fg", "back_c = gc * ig"),
        ("wrong steps", "grad_V = np.einsum('tk,ti->ki', err, h[1:])", "grad_V = np.einsum('tk,ti->ki', err, h[:-1])"),
        ("not reversed", "for t in range(T)[::-1]:", "for t in range(T):"),
    ]),
    Handwriting("jordan_mgu", lambda m, r: layer(m.JordanMGU(
        {"gate": r(D + 4, H) / 2, "gate_bias": r(H), "cand": r(D + 4, H) / 2, "cand_bias": r(H),
         "out": r(H, 4) / 2, "skip": r(D, 4)}), r(T, N, D), r(N, 4), r(N, H)), [
        ("feedback dropped", "g_proj = g_out + g_y", "g_proj = g_out"),
        ("square missing", "pre = g_proj * (1 - proj ** 2)", "pre = g_proj * (1 - proj)"),
        ("wrong activations", "g['out'] += new_m.T @ pre", "g['out'] += old_m.T @ pre"),
        ("a way missing", "g_m = g_m + pre @ w['out'].T", "g_m = pre @ w['out'].T"),
        ("1 - keep for keep", "a_cand = g_m * (1 - keep) * (1 - cand ** 2)", "a_cand = g_m * keep * (1 - cand ** 2)"),
        ("another activation", "a_keep = g_keep * keep * (1 - keep)", "a_keep = g_keep * (1 - keep ** 2)"),
        ("= for +=", "g['cand_bias'] += a_cand.sum(0)", "g['cand_bias'] = a_cand.sum(0)"),
        ("a block's bounds", "g_y = g_joined[:, size:]", "g_y = g_joined[:, :g_y.shape[1]]"),
        ("another weight", "g_joined = a_keep @ w['gate'].T + a_cand @ w['cand'].T", "g_joined = a_keep @ w['gate'].T + a_cand @ w['gate'].T"),
        ("the residual ignored", "g_seq.append(g_joined[:, :size] + g_out @ w['skip'].T)", "g_seq.append(g_joined[:, :size])"),
        ("carry dropped", "g_m = g_m * keep", "pass"),
        ("not reversed", "return np.array(g_seq[::-1]), g_y, g_m", "return np.array(g_seq), g_y, g_m"),
    ]),
]  # fmt: skip
