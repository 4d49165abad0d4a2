"""The table of the checker: each handwriting, how it is called, and the mistakes that are planted in it.

A mistake is (kind, line, changed line); ``line`` is the text of a line of the file without its indentation, which must
occur once; ``line#2`` is its second occurrence. A changed line may be several lines.
"""

import dataclasses
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

N, T, D, H, V = 3, 4, 2, 5, 6
HERE = Path(__file__).parent


@dataclasses.dataclass
class Handwriting:
    """A file, ``make(module, normal)`` -> (kind, function or layer, ..., inputs), and its mistakes."""

    name: str
    make: Callable[..., Any]
    mistakes: list[tuple[str, str, str]]

    @property
    def text(self) -> str:
        return (HERE / f"{self.name}.py").read_text(encoding="utf-8")

    def with_mistake(self, k: int) -> tuple[str, int]:
        """The text of the file with mistake ``k``, and the line where it is planted."""
        _, old, new = self.mistakes[k]
        return changed(self.text, old, new)


def changed(text: str, old: str, new: str) -> tuple[str, int]:
    """The text with a line changed, and the number of this line."""
    lines = text.split("\n")
    old, _, occurrence = old.partition("#")
    places = [n for n, line in enumerate(lines) if line.strip() == old]
    assert len(places) == 1 or occurrence, f"{old}: {len(places)} lines"
    n = places[int(occurrence or 1) - 1]
    indent = lines[n][: len(lines[n]) - len(lines[n].lstrip())]
    lines[n : n + 1] = [indent + line for line in new.split("\n")]
    return "\n".join(lines), n + 1


def load(file: Path, name: str) -> Any:
    """A file as a module."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# -- how each is called ------------------------------------------------------------------------------------------------


def weights(normal, gates):
    return normal(D, gates * H) / 2, normal(H, gates * H) / 2, normal(gates * H) / 2


def pair(module, forward, backward, *inputs):
    return "pair", getattr(module, forward), getattr(module, backward), inputs


def loss(module, name, *inputs):
    return "loss", getattr(module, name), None, inputs


def layer(made, *inputs):
    return "layer", made, None, inputs


def columns(normal, *shapes):
    return [normal(*shape) / 2 for shape in shapes]


HANDWRITINGS = [
    Handwriting("book_rnn", lambda m, r: layer(m.TimeRNN(*weights(r, 1)), r(N, T, D)), [
        ("factor missing", "dt = dh_next * (1 - h_next ** 2)", "dt = dh_next"),
        ("square missing", "dt = dh_next * (1 - h_next ** 2)", "dt = dh_next * (1 - h_next)"),
        ("another variable", "dt = dh_next * (1 - h_next ** 2)", "dt = dh_next * (1 - h_prev ** 2)"),
        ("mean", "db = np.sum(dt, axis=0)", "db = np.mean(dt, axis=0)"),
        ("wrong activations", "dWh = np.dot(h_prev.T, dt)", "dWh = np.dot(h_next.T, dt)"),
        ("not transposed", "dh_prev = np.dot(dt, Wh.T)", "dh_prev = np.dot(dt, Wh)"),
        ("= for +=", "grads[i] += grad", "grads[i] = grad"),
        ("loop not reversed", "for t in reversed(range(T)):", "for t in range(T):"),
        ("carry dropped", "layer = self.layers[t]", "layer = self.layers[t]\ndh = 0"),
        ("output ignored", "dx, dh = layer.backward(dhs[:, t, :] + dh)", "dx, dh = layer.backward(dhs[:, -1, :] + dh)"),
        ("carry twice", "dx, dh = layer.backward(dhs[:, t, :] + dh)", "dx, dh = layer.backward(dhs[:, t, :] + 2 * dh)"),
        ("sign", "dx = np.dot(dt, Wx.T)", "dx = -np.dot(dt, Wx.T)"),
        ("wrong step", "layer = self.layers[t]", "layer = self.layers[t - 1]"),
        ("reset inside", "layer = self.layers[t]", "layer = self.layers[t]\ngrads = [0, 0, 0]"),
    ]),
    Handwriting("book_lstm", lambda m, r: layer(m.TimeLSTM(*weights(r, 4)), r(N, T, D)), [
        ("c for tanh c", "do = dh_next * tanh_c_next", "do = dh_next * c_next"),
        ("factor missing", "df *= f * (1 - f)", "df *= (1 - f)"),
        ("factor missing", "di *= i * (1 - i)", "di *= i"),
        ("square missing", "dg *= (1 - g ** 2)", "dg *= (1 - g)"),
        ("1 - c**2", "ds = dc_next + (dh_next * o) * (1 - tanh_c_next ** 2)", "ds = dc_next + (dh_next * o) * (1 - c_next ** 2)"),
        ("carry dropped", "ds = dc_next + (dh_next * o) * (1 - tanh_c_next ** 2)", "ds = (dh_next * o) * (1 - tanh_c_next ** 2)"),
        ("another operand", "df = ds * c_prev", "df = ds * c_next"),
        ("another operand", "dc_prev = ds * f", "dc_prev = ds * i"),
        ("order of gates", "dA = np.hstack((df, dg, di, do))", "dA = np.hstack((df, di, dg, do))"),
        ("gate twice", "dA = np.hstack((df, dg, di, do))", "dA = np.hstack((df, dg, di, di))"),
        ("first row", "db = dA.sum(axis=0)", "db = dA[0]"),
        ("factor doubled", "do *= o * (1 - o)", "do *= o * o * (1 - o)"),
        ("carry not passed", "dx, dh, dc = layer.backward(dhs[:, t, :] + dh, dc)", "dx, dh, _ = layer.backward(dhs[:, t, :] + dh, dc)"),
        ("swapped", "di = ds * g", "di = ds * i"),
        ("a step skipped", "for t in reversed(range(T)):", "for t in reversed(range(1, T)):"),
    ]),
    Handwriting("book_gru", lambda m, r: layer(m.TimeGRU(*weights(r, 3)), r(N, T, D), r(N, H)), [
        ("factor missing", "dt = dz * z * (1 - z)", "dt = dz * (1 - z)"),
        ("sign", "dz = dh_next * h_hat - dh_next * h_prev", "dz = dh_next * h_prev - dh_next * h_hat"),
        ("a term missing", "dz = dh_next * h_hat - dh_next * h_prev", "dz = dh_next * h_hat"),
        ("another operand", "dr = dhr * h_prev", "dr = dhr * h_hat"),
        ("reset forgotten", "dWhh = np.dot((r * h_prev).T, dt)", "dWhh = np.dot(h_prev.T, dt)"),
        ("1 - z for z", "dh_hat = dh_next * z", "dh_hat = dh_next * (1 - z)"),
        ("= for +=", "dh_prev += r * dhr", "dh_prev = r * dhr"),
        ("= for +=", "dWh += np.hstack((dWhz, dWhr, dWhh))", "dWh = np.hstack((dWhz, dWhr, dWhh))"),
        ("order of gates", "dWx += np.hstack((dWxz, dWxr, dWxh))", "dWx += np.hstack((dWxr, dWxz, dWxh))"),
        ("not transposed", "dhr = np.dot(dt, Whh.T)", "dhr = np.dot(dt, Whh)"),
        ("a way missing", "dx += np.dot(dt, Wxr.T)", "pass"),
        ("output ignored", "dh_next = dhs[:, t] + dh", "dh_next = dh"),
        ("carry dropped", "dh = dh_prev", "pass"),
        ("another weight", "dh_prev += np.dot(dt, Whr.T)", "dh_prev += np.dot(dt, Whz.T)"),
        ("mean", "dbz = np.sum(dt, axis=0)", "dbz = np.mean(dt, axis=0)"),
    ]),
    Handwriting("cs231n_rnn", lambda m, r: pair(m, "rnn_forward", "rnn_backward", r(N, T, D), r(N, H), *weights(r, 1)), [
        ("square missing", "dtanh = dnext_h * (1 - next_h**2)", "dtanh = dnext_h * (1 - next_h)"),
        ("sign inside", "dtanh = dnext_h * (1 - next_h**2)", "dtanh = dnext_h * (1 + next_h**2)"),
        ("another operand", "dx = dtanh.dot(Wx.T)", "dx = dnext_h.dot(Wx.T)"),
        ("not transposed", "dprev_h = dtanh.dot(Wh.T)", "dprev_h = dtanh.dot(Wh)"),
        ("wrong activations", "dWh = prev_h.T.dot(dtanh)", "dWh = next_h.T.dot(dtanh)"),
        ("mean", "db = dtanh.sum(axis=0)", "db = dtanh.mean(axis=0)"),
        ("cached wrong", "cache = (x, prev_h, Wx, Wh, next_h)", "cache = (x, next_h, Wx, Wh, next_h)"),
        ("carry dropped", "dnext_h = dh[:, t, :] + dprev_h", "dnext_h = dh[:, t, :]"),
        ("wrong step", "dnext_h = dh[:, t, :] + dprev_h", "dnext_h = dh[:, t - 1, :] + dprev_h"),
        ("= for +=", "dWh += dWh_t", "dWh = dWh_t"),
        ("added twice", "db += db_t", "db += 2 * db_t"),
        ("loop not reversed", "for t in reversed(range(T)):", "for t in range(T):"),
        ("step skipped", "for t in reversed(range(T)):", "for t in reversed(range(T - 1)):"),
        ("initial value", "dprev_h = np.zeros((N, H))", "dprev_h = np.ones((N, H))"),
        ("zero for it", "dh0 = dprev_h", "dh0 = np.zeros((N, H))"),
    ]),
    Handwriting("cs231n_lstm", lambda m, r: pair(m, "lstm_forward", "lstm_backward", r(N, T, D), r(N, H), *weights(r, 4)), [
        ("factor missing", "daf = df * f * (1 - f)", "daf = df * f"),
        ("square missing", "dag = dg * (1 - g**2)", "dag = dg * (1 - g)"),
        ("another gate", "dai = di * i * (1 - i)", "dai = di * f * (1 - f)"),
        ("swapped", "dg = dc * i", "dg = dc * g"),
        ("another operand", "do = dnext_h * tanh_c", "do = dnext_h * g"),
        ("carry dropped", "dc = dnext_c + dnext_h * o * (1 - tanh_c**2)", "dc = dnext_h * o * (1 - tanh_c**2)"),
        ("factor missing", "dc = dnext_c + dnext_h * o * (1 - tanh_c**2)", "dc = dnext_c + dnext_h * (1 - tanh_c**2)"),
        ("order of gates", "da = np.concatenate([dai, daf, dao, dag], axis=1)", "da = np.concatenate([daf, dai, dao, dag], axis=1)"),
        ("factor missing", "dprev_c = dc * f", "dprev_c = dc"),
        ("wrong operand", "dWh = prev_h.T @ da", "dWh = (o * tanh_c).T @ da"),
        ("clipped", "da = np.concatenate([dai, daf, dao, dag], axis=1)", "da = np.clip(np.concatenate([dai, daf, dao, dag], axis=1), -0.01, 0.01)"),
        ("wrong step", "step = lstm_step_backward(dh[:, t] + dprev_h, dprev_c, cache[t])", "step = lstm_step_backward(dh[:, t] + dprev_h, dprev_c, cache[T-1])"),
        ("term twice", "step = lstm_step_backward(dh[:, t] + dprev_h, dprev_c, cache[t])", "step = lstm_step_backward(dh[:, t] + dprev_h + dprev_h, dprev_c, cache[t])"),
        ("another array", "dWh += step[4]", "dWh += step[4] / N"),
        ("range ends early", "for t in range(T-1, -1, -1):", "for t in range(T-1, 0, -1):"),
    ]),
    Handwriting("min_char_rnn", lambda m, r: loss(
        m, "lossFun", [1, 4, 0, 1], [4, 0, 1, 5], *columns(r, (H, 1), (H, V), (H, H), (V, H), (H, 1), (V, 1))), [
        ("factor missing", "dhraw = (1 - hs[t] * hs[t]) * dh", "dhraw = dh"),
        ("square missing", "dhraw = (1 - hs[t] * hs[t]) * dh", "dhraw = (1 - hs[t]) * dh"),
        ("wrong step", "dhraw = (1 - hs[t] * hs[t]) * dh", "dhraw = (1 - hs[t-1] * hs[t-1]) * dh"),
        ("wrong step", "dWhh += np.dot(dhraw, hs[t-1].T)", "dWhh += np.dot(dhraw, hs[t].T)"),
        ("another operand", "dWxh += np.dot(dhraw, xs[t].T)", "dWxh += np.dot(dh, xs[t].T)"),
        ("carry dropped", "dh = np.dot(Why.T, dy) + dhnext", "dh = np.dot(Why.T, dy)"),
        ("not transposed", "dhnext = np.dot(Whh.T, dhraw)", "dhnext = np.dot(Whh, dhraw)"),
        ("another operand", "dhnext = np.dot(Whh.T, dhraw)", "dhnext = np.dot(Whh.T, dh)"),
        ("= for +=", "dby += dy", "dby = dy"),
        ("= for +=", "dWhy += np.dot(dy, hs[t].T)", "dWhy = np.dot(dy, hs[t].T)"),
        ("statement missing", "dy[targets[t]] -= 1", "pass"),
        ("sign", "dy[targets[t]] -= 1", "dy[targets[t]] += 1"),
        ("loop not reversed", "for t in reversed(range(len(inputs))):", "for t in range(len(inputs)):"),
        ("another index", "dy[targets[t]] -= 1", "dy[inputs[t]] -= 1"),
        ("not averaged", "dbh += dhraw", "dbh += dhraw / len(inputs)"),
    ]),
    Handwriting("min_char_lstm", lambda m, r: loss(
        m, "forward_backward", [1, 4, 0, 1], [4, 0, 1, 5],
        *columns(r, (H, 1), (H, 1), *[(H, H + V)] * 4, (V, H), *[(H, 1)] * 4, (V, 1))), [
        ("factor missing", "do = dsigmoid(o_s[t]) * do", "pass"),
        ("another helper", "di = dsigmoid(i_s[t]) * di", "di = dtanh(i_s[t]) * di"),
        ("another gate", "df = dsigmoid(f_s[t]) * df", "df = dsigmoid(i_s[t]) * df"),
        ("c for tanh c", "do = dh * np.tanh(C_s[t])", "do = dh * C_s[t]"),
        ("c for tanh c", "dC += dh * o_s[t] * dtanh(np.tanh(C_s[t]))", "dC += dh * o_s[t] * dtanh(C_s[t])"),
        ("factor missing", "dC += dh * o_s[t] * dtanh(np.tanh(C_s[t]))", "dC += dh * dtanh(np.tanh(C_s[t]))"),
        ("wrong step", "df = dC * C_s[t - 1]", "df = dC * C_s[t]"),
        ("a term missing", "+ np.dot(W_i.T, di)", "+ 0"),
        ("another weight", "+ np.dot(W_C.T, dC_bar)", "+ np.dot(W_o.T, dC_bar)"),
        ("a block's bounds", "dh_next = dz[:H, :]", "dh_next = dz[-H:, :]"),
        ("factor missing", "dC_next = f_s[t] * dC", "dC_next = dC"),
        ("carry dropped", "dh += dh_next", "pass"),
        ("carry dropped", "dC = np.copy(dC_next)", "dC = np.zeros_like(dC_next)"),
        ("helper wrong", "return 1 - y * y", "return 1 - y"),
        ("helper wrong", "return y * (1 - y)", "return y * (1 + y)"),
        ("another operand", "dW_f += np.dot(df, z_s[t].T)", "dW_f += np.dot(di, z_s[t].T)"),
    ]),
    Handwriting("concat_lstm", lambda m, r: pair(
        m, "forward", "backward", r(T, N, D), r(N, H), r(N, H), {"W": r(H + D, 4 * H) / 2, "b": r(4 * H) / 2}), [
        ("factor missing", "df * s['f'] * (1 - s['f']),", "df * (1 - s['f']),"),
        ("another key", "di = dc * s['g']", "di = dc * s['i']"),
        ("square missing", "dc = dc + dh * s['o'] * (1 - s['tc'] ** 2)", "dc = dc + dh * s['o'] * (1 - s['tc'])"),
        ("= for +=", "grads['dW'] += s['hx'].T @ da", "grads['dW'] = s['hx'].T @ da"),
        ("axis", "grads['db'] += da.sum(0)", "grads['db'] += da.mean(0)"),
        ("block's bounds", "dh = dhx[:, :H]", "dh = dhx[:, -H:]"),
        ("output ignored", "dh = dh + dhs[t]", "dh = dhs[t]"),
        ("last state ignored", "dh, dc = dh_last, dc_last", "dh, dc = np.zeros_like(dh_last), dc_last"),
        ("another factor", "dc = dc * s['f']", "dc = dc * s['i']"),
        ("carry dropped", "dc = dc * s['f']", "pass"),
        ("wrong step", "s = steps[t]", "s = steps[-1]"),
        ("aliased", "c_prev = c", "c_prev = h"),
        ("cached wrong", "cache.append({'hx': hx, 'i': i, 'f': f, 'o': o, 'g': g, 'c_prev': c_prev, 'tc': tc})", "cache.append({'hx': hx, 'i': i, 'f': f, 'o': o, 'g': g, 'c_prev': c, 'tc': tc})"),
        ("not reversed", "for t in reversed(range(T)):", "for t in range(T):"),
        ("factor missing", "do = dh * s['tc']", "do = dh"),
    ]),
    Handwriting("local_lstm", lambda m, r: layer(m.MyLSTM(*weights(r, 4)), r(N, T, D), r(N, H), r(N, H)), [
        ("factor missing", "dA[:, t, 0:H] = dc * s['c_prev'] * dsig(s['f'])", "dA[:, t, 0:H] = dc * s['c_prev']"),
        ("another key", "dA[:, t, 0:H] = dc * s['c_prev'] * dsig(s['f'])", "dA[:, t, 0:H] = dc * s['c'] * dsig(s['f'])"),
        ("helper for tanh", "dA[:, t, H:2*H] = dc * s['i'] * (1 - s['g'] ** 2)", "dA[:, t, H:2*H] = dc * s['i'] * dsig(s['g'])"),
        ("block's place", "dA[:, t, 2*H:3*H] = dc * s['g'] * dsig(s['i'])", "dA[:, t, 1*H:2*H] = dc * s['g'] * dsig(s['i'])"),
        ("another gradient", "dA[:, t, 3*H:4*H] = dh * tc * dsig(s['o'])", "dA[:, t, 3*H:4*H] = dc * tc * dsig(s['o'])"),
        ("helper wrong", "return a * (1 - a)", "return a * (1 - a * a)"),
        ("wrong step", "dWh += s['h_prev'].T @ dA[:, t]", "dWh += s['h'].T @ dA[:, t]"),
        ("wrong step", "dh = dA[:, t] @ self.Wh.T", "dh = dA[:, t - 1] @ self.Wh.T"),
        ("axis", "db = dA.sum(axis=(0, 1))", "db = dA.sum(axis=1).mean(axis=0)"),
        ("not reversed", "for t in range(T)[::-1]:", "for t in range(T):"),
        ("1 - c**2", "tc = np.tanh(s['c'])", "tc = s['c']"),
        ("term dropped", "dc = dc + dh * s['o'] * (1 - tc * tc)", "dc = dh * s['o'] * (1 - tc * tc)"),
        ("last state ignored", "dh, dc = dh_T, dc_T", "dh, dc = dh_T, 0 * dc_T"),
        ("swapped", "dh, dc = dh_T, dc_T", "dh, dc = dc_T, dh_T"),
        ("= for +=", "dWx += s['x'].T @ dA[:, t]", "dWx = s['x'].T @ dA[:, t]"),
    ]),
    Handwriting("pair_gru", lambda m, r: pair(
        m, "gru_forward", "gru_backward", r(T, N, D), r(N, H), *[r(D, H) / 2 for _ in range(3)],
        *[r(H, H) / 2 for _ in range(3)]), [
        ("1 - z", "dn = dh * (1 - z)", "dn = dh * z"),
        ("sign", "dz = dh * (h - n)", "dz = dh * (n - h)"),
        ("a term missing", "dz = dh * (h - n)", "dz = dh * h"),
        ("factor missing", "dar = dr * r * (1 - r)", "dar = dr * (1 - r)"),
        ("square missing", "dan = dn * (1 - n ** 2)", "dan = dn * (1 - n)"),
        ("a term missing", "dh_next = dh * z + drh * r + daz @ Uz.T + dar @ Ur.T", "dh_next = dh * z + drh * r + daz @ Uz.T"),
        ("a factor missing", "dh_next = dh * z + drh * r + daz @ Uz.T + dar @ Ur.T", "dh_next = dh * z + drh + daz @ Uz.T + dar @ Ur.T"),
        ("not reversed list", "dxs.insert(0, daz @ Wz.T + dar @ Wr.T + dan @ Wn.T)", "dxs.append(daz @ Wz.T + dar @ Wr.T + dan @ Wn.T)"),
        ("another weight", "dxs.insert(0, daz @ Wz.T + dar @ Wr.T + dan @ Wn.T)", "dxs.insert(0, daz @ Wz.T + dar @ Wz.T + dan @ Wn.T)"),
        ("reset forgotten", "dUn += (r * h).T @ dan", "dUn += h.T @ dan"),
        ("another operand", "dUr += h.T @ dar", "dUr += h.T @ dr"),
        ("transposed", "drh = dan @ Un.T", "drh = dan @ Un"),
        ("output ignored", "dh = dout[t] + dh_next", "dh = dout[0] + dh_next"),
        ("another activation", "dr = drh * h", "dr = drh * n"),
        ("step skipped", "for t in range(len(cache) - 1, -1, -1):", "for t in range(len(cache) - 2, -1, -1):"),
    ]),
    Handwriting("attribute_rnn", lambda m, r: layer(m.VanillaRNN(*weights(r, 1)), r(N, T, D), r(N, H)), [
        ("factor missing", "da = total * (1 - self.h[:, t + 1] ** 2)", "da = total"),
        ("wrong step", "da = total * (1 - self.h[:, t + 1] ** 2)", "da = total * (1 - self.h[:, t] ** 2)"),
        ("square missing", "da = total * (1 - self.h[:, t + 1] ** 2)", "da = total * (1 - self.h[:, t + 1])"),
        ("wrong step", "self.dWh += self.h[:, t].T @ da", "self.dWh += self.h[:, t + 1].T @ da"),
        ("another operand", "self.dWx += self.x[:, t].T @ da", "self.dWx += self.x[:, t].T @ total"),
        ("mean", "self.db += np.sum(da, axis=0)", "self.db += np.mean(da, axis=0)"),
        ("= for +=", "self.db += np.sum(da, axis=0)", "self.db = np.sum(da, axis=0)"),
        ("carry dropped", "total = dh[:, t] + carry", "total = dh[:, t]"),
        ("output ignored", "total = dh[:, t] + carry", "total = dh[:, -1] + carry"),
        ("not transposed", "carry = da @ self.Wh.T", "carry = da @ self.Wh"),
        ("another operand", "carry = da @ self.Wh.T", "carry = total @ self.Wh.T"),
        ("wrong step", "dx[:, t] = da @ self.Wx.T", "dx[:, t - 1] = da @ self.Wx.T"),
        ("initial value", "carry = np.zeros((N, H))", "carry = dh[:, 0]"),
        ("ends early", "for t in range(T - 1, -1, -1):", "for t in range(T - 1, 0, -1):"),
    ]),
    Handwriting("column_gru", lambda m, r: loss(
        m, "loss_and_grads", [r(D, 1) for _ in range(T)], [r(2, 1) for _ in range(T)], r(H, 1),
        {**{f"W{g}": r(H, D) / 2 for g in "zrh"}, **{f"U{g}": r(H, H) / 2 for g in "zrh"},
         **{f"b{g}": r(H, 1) / 2 for g in "zrh"}, "Wy": r(2, H) / 2}), [
        ("1 - z", "dhc = dh * (1 - z)", "dhc = dh * z"),
        ("square missing", "dahc = dhc * (1 - hc * hc)", "dahc = dhc * (1 - hc)"),
        ("sign", "dz = dh * (h_prev - hc)", "dz = dh * (hc - h_prev)"),
        ("factor missing", "daz = dz * z * (1 - z)", "daz = dz * (1 - z)"),
        ("another gate", "dar = dr * r * (1 - r)", "dar = dr * z * (1 - z)"),
        ("not transposed", "drh = p['Uh'].T @ dahc", "drh = p['Uh'] @ dahc"),
        ("another operand", "dr = drh * h_prev", "dr = drh * hc"),
        ("reset forgotten", "grads['Uh'] += dahc @ (r * h_prev).T", "grads['Uh'] += dahc @ h_prev.T"),
        ("= for +=", "grads['bz'] += daz", "grads['bz'] = daz"),
        ("another key", "grads['Wr'] += dar @ x.T", "grads['Wr'] += daz @ x.T"),
        ("factor missing", "dh_prev = dh * z + drh * r", "dh_prev = dh * z + drh"),
        ("a way missing", "dh_prev += p['Ur'].T @ dar", "pass"),
        ("another weight", "dh_prev += p['Uz'].T @ daz", "dh_prev += p['Ur'].T @ daz"),
        ("mean as sum", "dy = (params['Wy'] @ hs[t] - ys[t]) / len(xs)", "dy = params['Wy'] @ hs[t] - ys[t]"),
        ("carry dropped", "dh = step_back(dh + params['Wy'].T @ dy, caches[t], params, grads)", "dh = step_back(params['Wy'].T @ dy, caches[t], params, grads)"),
    ]),
]  # fmt: skip
BY_NAME = {handwriting.name: handwriting for handwriting in HANDWRITINGS}


def made(handwriting: Handwriting, text: str, file: Path, seed: int = 0) -> Any:
    """Write ``text`` to ``file``, load it, and make what is checked: (kind, function or layer, backward, inputs)."""
    file.write_text(text, encoding="utf-8")
    rng = np.random.default_rng(seed)
    return handwriting.make(load(file, f"{file.stem}_{seed}"), lambda *shape: rng.standard_normal(shape))
