import numpy as np


def squash(v):
    return 1.0 / (1.0 + np.exp(-v))


def run(xs, h0, c0, W, U, b, V):
    T, H = len(xs), len(h0)
    act = np.zeros((T, 4 * H))
    h, c = np.zeros((T + 1, H)), np.zeros((T + 1, H))
    h[0], c[0] = h0, c0
    for t in range(T):
        pre = np.einsum('ij,j->i', W, xs[t]) + np.einsum('ij,j->i', U, h[t]) + b
        act[t, :3*H] = squash(pre[:3*H])
        act[t, 3*H:] = np.tanh(pre[3*H:])
        fg, ig, og, cand = np.split(act[t], 4)
        c[t + 1] = fg * c[t] + ig * cand
        h[t + 1] = og * np.tanh(c[t + 1])
    return act, h, c


def loss_and_gradients(xs, ys, h0, c0, W, U, b, V):
    act, h, c = run(xs, h0, c0, W, U, b, V)
    T, H = len(xs), len(h0)
    err = np.einsum('ti,ki->tk', h[1:], V) - ys
    loss = np.sum(err ** 2) / (2 * T)
    err = err / T
    grad_V = np.einsum('tk,ti->ki', err, h[1:])
    grad_W, grad_U, grad_b = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    grad_xs = np.zeros_like(xs)
    back_h, back_c = np.zeros(H), np.zeros(H)
    for t in range(T)[::-1]:
        fg, ig, og, cand = act[t, :H], act[t, H:2*H], act[t, 2*H:3*H], act[t, 3*H:]
        gh = V.T @ err[t] + back_h
        tanh_c = np.tanh(c[t + 1])
        gc = back_c + gh * og * (1 - tanh_c ** 2)
        gp = np.zeros(4 * H)
        gp[:H] += gc * c[t] * fg * (1 - fg)
        gp[H:2*H] += gc * cand * ig * (1 - ig)
        gp[2*H:3*H] += gh * tanh_c * og * (1 - og)
        gp[3*H:] += gc * ig * (1 - cand ** 2)
        grad_W += np.outer(gp, xs[t])
        grad_U += np.outer(gp, h[t])
        grad_b += gp
        grad_xs[t] = np.einsum('ij,i->j', W, gp)
        back_h = np.einsum('ij,i->j', U, gp)
        back_c = gc * fg
    return loss, grad_xs, back_h, back_c, grad_W, grad_U, grad_b, grad_V
