"""What `gradient_flow` finds, computed in other ways: by perturbations, and with the loop in plain sight."""

import numpy as np

import tinygrad_rnn as tg


def unrolled(cell, xs, params, loss, state=None, each=None):
    """``loss`` of all outputs (N, T, H) of a loop, in which ``each(t, state, params)`` may change what a step gets."""
    state = [np.zeros((len(xs), params["Wh"].shape[0]))] * len(cell.states) if state is None else state
    hs = []
    for t in range(xs.shape[1]):
        state, step_params = each(t, state, params) if each else (state, params)
        state = cell(xs[:, t], *state, **step_params)
        state = state if isinstance(state, tuple) else (state,)
        hs.append(state[0])
    return loss(tg.stack(hs, axis=1), state)


def lstm(x, h, c, added, *, Wx, Wh, b, p=None):
    """The equations in one piece, with peepholes if there is p, and something added to both states."""
    p_f, p_i, p_o = (0, 0, 0) if p is None else tg.split(p, 3)
    f, g, i, o = tg.split(x @ Wx + h @ Wh + b, 4)
    c = tg.sigmoid(f + p_f * c) * c + tg.tanh(g) * tg.sigmoid(i + p_i * c) + added["c"]
    return tg.sigmoid(o + p_o * c) * tg.tanh(c) + added["h"], c


def layer_norm(a, gain):
    d = a - tg.mean(a, axis=-1, keepdims=True)
    return gain * d / tg.sqrt(tg.mean(d * d, axis=-1, keepdims=True) + 1e-5)


def layer_norm_lstm(x, h, c, added, *, Wx, Wh, b, gx, gh, gc, bc):
    f, g, i, o = tg.split(layer_norm(x @ Wx, gx) + layer_norm(h @ Wh, gh) + b, 4)
    c = tg.sigmoid(f) * c + tg.tanh(g) * tg.sigmoid(i) + added["c"]
    return tg.sigmoid(o) * tg.tanh(layer_norm(c, gc) + bc) + added["h"], c


MEMORIES = {"lstm": lstm, "in_blocks": lstm, "peephole_lstm": lstm, "layer_norm_lstm": layer_norm_lstm}


def states_by_perturbation(cell, xs, params, loss, shape):
    """dh_t for every state and t: the gradient by something that is added to the state after step t.

    A memory is read by h of the same step, so there the addition has to be made in between: see `MEMORIES`.
    """
    T = xs.shape[1]

    def perturbed(added):
        state, hs = [np.zeros(shape)] * len(cell.states), []
        for t in range(T):
            added_now = {name: added[name][t] for name in cell.states}
            if len(cell.states) > 1:
                state = MEMORIES[cell.name](xs[:, t], *state, added_now, **params)
            else:
                state = (cell(xs[:, t], *state, **params) + added_now["h"],)
            hs.append(state[0])
        return loss(tg.stack(hs, axis=1), state)

    return tg.grad(perturbed)({name: [np.zeros(shape) for _ in range(T)] for name in cell.states})


def parts_by_copies(cell, xs, params, loss):
    """Each step's part of the weight gradients: every step has weights of its own, equal to the others'."""
    T = xs.shape[1]
    arrays = {name: tg.tensor(array).numpy() for name, array in params.items()}

    def copied(copies):
        return unrolled(cell, xs, params, loss, each=lambda t, state, _: (state, copies[t]))

    return tg.grad(copied)([dict(arrays) for _ in range(T)])


def truncated_gradients(cell, xs, params, loss, k):
    """The weight gradient where the state is detached before every k-th step, as one vector."""

    def cut(params):
        def each(t, state, given):
            return (tg.detach(state) if t % k == 0 else state), given

        return unrolled(cell, xs, params, loss, each=each)

    grads = tg.grad(cut)({name: tg.tensor(array).numpy() for name, array in params.items()})
    return np.concatenate([g.ravel() for g in grads.values()])


def step_jacobian(cell, x, state, params):
    """∂(new states)/∂(old states) of a batch of one, all side by side."""
    sizes = np.cumsum([array.size for array in state])[:-1]

    def step(flat):
        new = cell(x, *(part.reshape(1, -1) for part in tg.split(flat, list(sizes))), **params)
        return tg.concatenate([array.reshape(-1) for array in (new if isinstance(new, tuple) else (new,))])

    return tg.jacobian(step)(np.concatenate([np.ravel(array) for array in state]))
