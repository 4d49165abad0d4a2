"""The module that is printed: a forward step, a backward step, and the loop over time."""

from __future__ import annotations

import re

from ..formula import Leaf, postorder
from ..tracing.sample import size_texts
from .helpers import head
from .program import Line, Program
from .standalone_numpy import Writer
from .wrap_lines import function

LOOP = '''
def {name}_bptt(xs, {states}, params, dhs{last}):
    """Backpropagation through time: xs (N, T, D), dhs (N, T, H), the gradient by the output of every step."""
    T, caches = xs.shape[1], []
    for t in range(T):
        {new}, cache = {name}_forward(xs[:, t], {states}, **params)
        caches.append(cache)
    dxs, grads = np.empty_like(xs), {{}}
    for t in reversed(range(T)):
        step = {name}_backward({first} + dhs[:, t]{others}, caches[t])
        dxs[:, t], {dstates} = step.pop({dx!r}), {popped}
        for name in step:  # a weight is used at every step, so its gradients add up
            grads[name] = grads[name] + step[name] if t < T - 1 else step[name]
    return {{{result}, **grads}}
'''


class Module:
    """The text of the module, and its names: ``arguments`` as printed, ``keys`` of the gradients that it returns."""

    def __init__(self, program: Program, loop: bool):
        cell, known, numbers = program.step.cell, program.known, program.step.inputs
        self.program, self.name = program, re.sub(r"\W+", "_", cell.name).strip("_")
        self.arguments = {name: known[number] for name, number in numbers.items()}
        self.incoming = [program.leaves[f"in:{state}"] for state in cell.states]
        self.keys = {name: f"d{name}" for name in numbers}
        self.helpers: dict[str, None] = {}
        parts = [self.forward(), self.backward(), *([self.loop()] if loop else [])]
        self.text = "\n\n".join([*head(self.helpers), *parts]).rstrip() + "\n"

    def writer(self) -> Writer:
        """A writer of formulas for one function."""
        return Writer(self.program.step.sizes, self.program.leaves)

    def cached(self) -> list[str]:
        """The values that the backward step reads, in the order in which the forward step computes them."""
        read: dict[str, None] = {}
        for line in self.program.backward:
            read.update((part.name, None) for part in postorder(line.part) if isinstance(part, Leaf))
        writer = self.writer()
        for line in self.program.backward:
            writer.text(line.part)
        self.sizes = [f"{letter} = {self.size(letter, read)}" for letter in writer.used]
        self.helpers.update(writer.helpers)
        order = [*self.program.step.inputs.values(), *(line.number for line in self.program.forward)]
        return [self.program.known[number] for number in order if f"#{number}" in read]

    def size(self, letter: str, among: dict[str, None] | None = None) -> str:
        """How a size is read: from the shape of an argument, if possible of one ``among`` those that are saved."""
        cell, numbers, texts = self.program.step.cell, self.program.step.inputs, size_texts(self.program.step.cell)
        places = [(name, text) for name in [*cell.states, cell.input, *cell.params]
                  for size, text in texts[name] if size == letter]  # fmt: skip
        there = [(name, text) for name, text in places if among is None or f"#{numbers[name]}" in among]
        name, text = (there or places)[0]
        if not there and among is not None:
            among[f"#{numbers[name]}"] = None
        return f"{self.arguments[name]}.{text}"

    # -- the functions

    def forward(self) -> str:
        program, cell, writer = self.program, self.program.step.cell, self.writer()
        lines = [*self.blocks(writer), *(f"{line.name} = {writer.text(line.part)}" for line in program.lines)]
        given = [self.arguments[name] for name in [cell.input, *cell.states]]
        named = "".join(f", {self.arguments[name]}" for name in cell.params)
        new = ", ".join(program.known[number] for number in program.step.new)
        sizes = [f"{letter} = {self.size(letter)}" for letter in writer.used]
        self.helpers.update(writer.helpers)
        self.saved = self.cached()
        saved = f"{', '.join(self.saved)}{',' * (len(self.saved) == 1)}"
        state = f"({new})" if len(cell.states) > 1 else new
        head = f"def {self.name}_forward({', '.join(given)}{', *' if named else ''}{named}):"
        body = [*sizes, *lines, f"cache = ({saved})", f"return {state}, cache"]
        return function(head, body)

    def blocks(self, writer: Writer) -> list[str]:
        """A line for each parameter that is read by blocks: ``Wx_z, Wx_r, Wx_h = np.split(Wx, 3, axis=1)``."""
        texts = []
        for name, lines in self.program.blocks.items():
            param, stacked = self.program.step.cell.params[name], self.arguments[name]
            if len(lines) == len(param.blocks) > 1:
                axis = f", axis={len(param.words) - 1}" * (len(param.words) > 1)
                texts.append(f"{', '.join(line.name for line in lines)} = np.split({stacked}, {len(lines)}{axis})")
            else:
                texts += [f"{line.name} = {writer.text(line.part)}" for line in lines]
        return texts

    def backward(self) -> str:
        program, writer = self.program, self.writer()
        body = [f"{', '.join(self.saved)}{',' * (len(self.saved) == 1)} = cache", *self.sizes]
        position = len(program.forward)
        for line in program.backward:
            if 0 <= line.under < position:
                above = reversed(program.forward[line.under : position])
                body += [f"# {self.equation(comment)}" for comment in above if comment in program.lines]
                position = line.under
            body.append(f"{line.name} = {writer.text(line.part)}")
        inputs = program.step.inputs
        pairs = [f'"{self.keys[name]}": {program.leaves[f"d#{number}"]}' for name, number in inputs.items()]
        body.append(f"return {{{', '.join(pairs)}}}")
        return function(f"def {self.name}_backward({', '.join(self.incoming)}, cache):", body)

    def equation(self, line: Line) -> str:
        return f"{line.name} = {self.writer().text(line.part)}"

    def loop(self) -> str:
        cell = self.program.step.cell
        last = [f'"{self.keys[name]}": {d}' for name, d in zip(cell.states, self.incoming)]
        states = [self.arguments[name] for name in cell.states]
        return LOOP.format(
            name=self.name, states=", ".join(states), dx=self.keys[cell.input],
            new=f"({', '.join(states)})" if len(states) > 1 else states[0],
            last="".join(f", {d}=0" for d in self.incoming), first=self.incoming[0],
            others="".join(f", {d}" for d in self.incoming[1:]), dstates=", ".join(self.incoming),
            popped=", ".join(f"step.pop({self.keys[name]!r})" for name in cell.states),
            result=", ".join(['"dxs": dxs', *last]),
        ).strip().replace("'", '"') + "\n"  # fmt: skip

