"""Random cells: equations over one to three states, run over time by `scan`, a loop, a layer, or wrapped.

The equations exist twice, as a cell of the library (blocks by name) and as a plain function (slices), and what runs
the plain one is a loop over rows that knows nothing of masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tg
from helpers.random import built_in
from helpers.random.plain import Plain
from helpers.random.programs import Builder, Program, Skip

STATES = ["h", "c", "s"]
BLOCKS = "fgiorzu"
SQUASHED = ["F.tanh({})", "F.sigmoid({})", "F.sigmoid({})", "F.silu({})", "np.sin({})", "F.softplus({})"]


class Equations:
    """The text of a random cell, as ours and as plain."""

    def __init__(self, b: Builder, D: int, H: int, masked: bool):
        self.b, self.D, self.H, self.masked = b, D, H, masked
        self.states = STATES[: int(b.choose([1, 1, 2, 2, 3]))]
        self.blocks = BLOCKS[: int(b.choose([1, 2, 2, 3, 4]))]
        self.peephole = len(self.states) > 1 and b.chance(0.3)
        self.scaled = b.chance(0.2)
        self.lines: list[tuple[str, str]] = []
        self.write()

    @property
    def params(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and declaration of each parameter."""
        D, H, k, names = self.D, self.H, len(self.blocks), f'"{self.blocks}"'
        found = {"Wx": ((D, k * H), f'tg.Param("D H", {names})'), "Wh": ((H, k * H), f'tg.Param("H H", {names})'),
                 "b": ((k * H,), f'tg.Param("H", {names})')}  # fmt: skip
        if self.peephole:
            found["p"] = ((H,), 'tg.Param("H")')
        return found

    def add(self, ours: str, plain: str | None = None) -> None:
        self.lines.append((ours, ours if plain is None else plain))

    def write(self) -> None:
        b, H = self.b, self.H
        x, h = ("(x * mask_x)", "(h * mask_h)") if self.masked else ("x", "h")
        if b.chance(0.4):
            self.add("A = x @ Wx + h @ Wh + b", f"A = {x} @ Wx + {h} @ Wh + b")
            gates = ", ".join(self.blocks) if len(self.blocks) > 1 else f"{self.blocks},"
            self.add(f"{gates} = F.split(A, {len(self.blocks)})")
        else:
            for k, g in enumerate(self.blocks):
                at = f"[..., {k * H}:{(k + 1) * H}]"
                self.add(f"{g} = x @ Wx.{g} + h @ Wh.{g} + b.{g}", f"{g} = {x} @ Wx{at} + {h} @ Wh{at} + b{at}")
        for k, g in enumerate(self.blocks):
            inside = f"{g} + p * c" if self.peephole and k == 0 else f"{g} * scale" if self.scaled and k == 0 else g
            self.add(f"{g} = {b.choose(SQUASHED).format(inside)}")
        for state in b.rng.permutation(self.states):
            self.add(f"{state}_new = {self.new(str(state))}")
        self.add(f"return {', '.join(f'{state}_new' for state in self.states)}")

    def new(self, state: str) -> str:
        """The new value of a state: gated, passed on, swapped, or from another one."""
        b = self.b
        g, i = b.choose(self.blocks), b.choose(self.blocks)
        other, third = b.choose(self.states), b.choose(self.states)
        return b.choose([
            f"{g} * {state} + (1 - {g}) * {i}", f"{g} * {state} + {i}", f"{g} * F.tanh({other})", f"{g}", state, other,
            f"{state} + 0.5 * ({g} - {state})", f"F.where({g} > 0.3, {g} * {other}, {state})",
            f"{other} * {third} * {g}",
            f"{i} * np.cos({other}) + {state} * 0.3", f"F.maximum({g}, {state})", f"{state} / (1 + F.square({other}))",
        ])  # fmt: skip

    def signature(self, plain: bool) -> str:
        masks = ["mask_x", "mask_h"] if plain and self.masked else []
        scale = ["scale=0.7"] if self.scaled else []
        named = [*(name if plain else f"{name}={text}" for name, (_, text) in self.params.items()), *scale, *masks]
        return f"x, {', '.join(self.states)}, *, {', '.join(named)}"

    def text(self, name: str, plain: bool) -> str:
        body = "\n".join(f"    {line[plain]}" for line in self.lines)
        return f"def {name}({self.signature(plain)}):\n{body}\n"


def define(b: Builder, name: str, e: Equations, wrap: str) -> None:
    """Put the cell and its plain function among the helpers of the program."""
    ours, plain = e.text(name, plain=False), e.text(name, plain=True)
    names: dict[str, Any] = {"F": tg, "np": np, "tg": tg}
    exec(f"{ours}\n{name} = {WRAPPED[wrap].format(f'tg.cell({name})')}", names)
    b.program.helpers[0][name] = names[name]
    bare: dict[str, Any] = {"F": Plain(wide=True), "np": np}
    exec(plain, bare)
    b.program.helpers[1][name] = PLAIN_WRAPPED[wrap](bare[name])
    b.program.preamble.append(f"{ours}{name} = {WRAPPED[wrap].format(f'tg.cell({name})')}".replace("F.", "tg."))


WRAPPED = {
    "": "{}", "residual": "tg.residual({})", "zoneout": "tg.zoneout({}, h=0.3)",
    "variational": "tg.variational_dropout({}, x=0.3, h=0.2)",
}  # fmt: skip


def _residual(f: Any) -> Any:
    def step(x: Any, y: Any, *state: Any, **given: Any) -> Any:
        new = f(x, *state, **given)
        new = new if isinstance(new, tuple) else (new,)
        return x + new[0], *new

    return step


def _zoneout(f: Any) -> Any:
    def step(x: Any, *state: Any, **given: Any) -> Any:
        new = f(x, *state, **given)
        new = new if isinstance(new, tuple) else (new,)
        return 0.3 * state[0] + 0.7 * new[0], *new[1:]

    return step


PLAIN_WRAPPED: dict[str, Any] = {
    "": lambda f: f, "residual": _residual, "zoneout": _zoneout, "variational": lambda f: f,
}  # fmt: skip


def _arguments(b: Builder, e: Equations, N: int, T: int, wrap: str) -> tuple[str, list[str], dict[str, str]]:
    """Values for xs, the states and the parameters, all of one dtype."""
    xs = b.array(shape=(N, T, e.D))
    count = len(e.states) + (wrap == "residual")
    states = [b.array(shape=(N, e.D if wrap == "residual" and k == 0 else e.H)) for k in range(count)]
    if len(states) > 1 and b.chance(0.1) and e.D == e.H:
        states[1] = states[0]
    params = {name: b.array(-1, 1, shape=shape) for name, (shape, _) in e.params.items()}
    if len({b.values[v].dtype for v in [xs, *states, *params.values()]}) > 1:
        raise Skip
    return xs, states, params


def _layer(cell: Any, given: dict[str, Any], sizes: dict[str, int], reverse: bool) -> Any:
    """`nn.Recurrent` with these parameters."""
    layer = tg.nn.Recurrent(cell, rng=np.random.default_rng(0), reverse=reverse, dtype=np.float64, **sizes)
    vars(layer).update(given)
    return layer


def scan(b: Builder) -> None:
    """One run over time, in one of the ways there are."""
    wrap = b.choose(["", "", "", "residual", "zoneout", "variational"])
    N, T, D, H = (int(b.choose([1, 2, 3])) for _ in range(4))
    D = H if wrap == "residual" else D
    e = Equations(b, D, H, wrap == "variational")
    name = f"cell_{len(b.program.preamble)}"
    define(b, name, e, wrap)
    xs, states, params = _arguments(b, e, N, T, wrap)
    scale = ["scale=0.9"] if e.scaled and b.chance(0.5) else []
    given = ", ".join([*(f"{key}={v}" for key, v in params.items()), *scale])
    if e.masked:
        for mask, n in (("mask_x", D), ("mask_h", H)):
            given += f", {mask}={b.add((b.rng.random((N, n)) < 0.7) / np.asarray(0.7, b.values[xs].dtype))}"
    lengths, reverse = ([int(n) for n in b.rng.integers(0, T + 1, N)] if b.chance(0.4) else None), b.chance(0.3)
    outs = [f"v{len(b.values) + k}" for k in range(len(states) + 1)]
    form = b.choose(["scan", "scan", "loop", "layer"])
    targets, state = f"{outs[0]}, ({', '.join(outs[1:])},)", f"({', '.join(states)},)"
    options = f", lengths={lengths}, reverse={reverse}"
    plain = f"{targets} = F.scan({name}, {xs}, {state}, dict({given}){options})"
    ours = plain
    if form == "loop" and lengths is None and not reverse:
        ours = f"{targets} = loop({name}, {xs}, {state}, dict({given}))"
        b.program.helpers[0]["loop"] = loop
    if form == "layer" and not e.masked and "scale" not in given and b.program.tight:
        sizes, draws = f"dict(D={D}, H={H})", ", rng=None" * (wrap == "zoneout")
        ours = f"{targets} = layer({name}, dict({given}), {sizes}, {reverse})({xs}, {state}, lengths={lengths}{draws})"
        b.program.helpers[0]["layer"] = _layer
    b.statement(ours, plain, "scan")


def built(b: Builder) -> None:
    """A built-in cell over time, or a projected LSTM."""
    N, T, D, H, P = (int(b.choose([1, 2, 3])) for _ in range(5))
    kind = b.choose([*built_in.PLAIN, "projected"])
    cell = tg.projected(tg.lstm) if kind == "projected" else getattr(tg, kind)
    text = "tg.projected(tg.lstm)" if kind == "projected" else f"tg.{kind}"
    b.program.helpers[1][kind] = built_in.PLAIN.get(kind, built_in.projected_lstm)
    sizes = {"N": N, "D": D, "H": H, "P": P}
    xs = b.array(shape=(N, T, D))
    states = [b.array(shape=tuple(sizes[word] for word in cell.words[name])) for name in cell.states]
    params = {name: b.array(-1, 1, shape=param.shape(sizes)) for name, param in cell.params.items()}
    if len({b.values[v].dtype for v in [xs, *states, *params.values()]}) > 1:
        raise Skip
    given = f"dict({', '.join(f'{name}={v}' for name, v in params.items())})"
    lengths, reverse = ([int(n) for n in b.rng.integers(0, T + 1, N)] if b.chance(0.4) else None), b.chance(0.3)
    outs = [f"v{len(b.values) + k}" for k in range(len(states) + 1)]
    targets, rest = f"{outs[0]}, ({', '.join(outs[1:])},)", f"({', '.join(states)},), {given}, lengths={lengths}"
    b.statement(f"{targets} = tg.scan({text}, {xs}, {rest}, reverse={reverse})",
                f"{targets} = F.scan({kind}, {xs}, {rest}, reverse={reverse})", "built-in cell")  # fmt: skip


def loop(cell: Any, xs: Any, state: Any, params: Any) -> Any:
    """The loop in the docstring of `scan`."""
    hs = []
    for t in range(xs.shape[1]):
        new = cell(xs[:, t], *state, **params)
        state = new if isinstance(new, tuple) else (new,)
        hs.append(state[0])
    return tg.stack(hs, axis=1), state


def build(seed: int) -> Program:
    """A program around one random cell: what comes in may be computed, and what comes out goes on."""
    for attempt in range(200):
        b = Builder(seed + 10**9 * attempt, tight=seed % 10 < 7)
        if not b.attempt(built if b.chance(0.2) else scan):
            continue
        try:
            program = b.finish()
        except Skip:
            continue
        if program.tracked:
            program.seed = seed
            return program
    raise AssertionError(f"no cell for seed {seed}")
