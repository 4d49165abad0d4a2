"""From measured tables to docs/speed.md: the tables between its marks, and the plots.

``python tests/bench/report.py FILE`` reads what ``run.py --json FILE`` has written; ``run.py --docs`` does both. A part
of the page whose tables were not measured stays as it is.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from plots import plots
from table import markdown

DOCS = Path(__file__).resolve().parents[2] / "docs"
SMALL, LARGE, LONG = "N20 T35 D100 H100", "N20 T35 D650 H650", "N1 T200 D32 H32"
LAYER = "LSTM layer, forward + backward"
CELLS = {"peephole_lstm": "peephole LSTM", "layer_norm_lstm": "LSTM with layer normalisation",
         "mgu": "minimal gated unit", "own": "a cell of a user"}  # fmt: skip


class Missing(Exception):
    """A table or a contender was not measured."""


class Measured:
    """What a run has measured: medians in seconds and memory in MB, by the title of the table, size and contender."""

    def __init__(self, tables: Sequence[Mapping[str, Any]]) -> None:
        self.tables = {(table["title"], table["size"]): table for table in tables}

    def row(self, title: str, size: str, name: str) -> Mapping[str, Any]:
        """The row of a contender. Raises Missing."""
        for row in self.tables.get((title, size), {"rows": ()})["rows"]:
            if row["name"] == name and row["times"] and not row["status"]:
                return row
        raise Missing(f"{title}, {size}: {name}")

    def seconds(self, title: str, size: str, name: str) -> float:
        """The median of a contender's times."""
        return median(self.row(title, size, name)["times"])

    def ratio(self, title: str, size: str, top: str, bottom: str) -> str:
        """The ratio of medians, with its target in brackets if there is one."""
        number = self.seconds(title, size, top) / self.seconds(title, size, bottom)
        wanted = [target["at_most"] for target in self.tables[title, size]["targets"]
                  if (target["top"], target["bottom"]) == (top, bottom)]  # fmt: skip
        return " ".join([f"{number:.2f}", *(f"(≤ {most:.2f})" for most in wanted)])


def number(seconds: float, per_second: float = 1e3) -> str:
    """Three digits of a time, in milliseconds unless told otherwise."""
    return f"{float(f'{seconds * per_second:.3g}'):g}"


def layer(measured: Measured) -> list[str]:
    """The LSTM layer at three sizes."""
    sizes = (SMALL, LARGE, LONG)
    rows = [[f"{name}, ms", *(number(measured.seconds(LAYER, size, key)) for size in sizes)] for name, key in (
        ("plan", "ours, plan"), ("jit", "ours, jit"), ("`nn.LSTM`", "torch, nn.LSTM"))]  # fmt: skip
    pairs = {
        "plan / book": ("ours, plan", "book"), "plan / eager PyTorch": ("ours, plan", "torch, eager"),
        "plan of the nine lines / plan": ("ours, nine lines, plan", "ours, plan"),
        "jit / `nn.LSTM`": ("ours, jit", "torch, nn.LSTM"), "jit / JAX, jit(scan)": ("ours, jit", "jax, jit(scan)"),
    }  # fmt: skip
    rows += [[name, *(measured.ratio(LAYER, size, *pair) for size in sizes)] for name, pair in pairs.items()]
    return markdown(["", *sizes], rows)


def cells(measured: Measured) -> list[str]:
    """Cells that no library has as a layer, by jit and by plan, beside eager PyTorch."""
    rows = []
    for mode in ("jit", "plan"):
        for name, words in CELLS.items():
            title = f"{words if name == 'own' else name}, forward + backward"
            pair = f"{name} ours, {mode}", f"{name} torch, eager"
            rows.append([f"{mode}, {words}", *(measured.ratio(title, size, *pair) for size in (SMALL, LARGE, LONG))])
    return markdown(["", SMALL, LARGE, LONG], rows)


def kinds(measured: Measured) -> list[str]:
    """Other layers beside PyTorch's."""
    title, rows = "a layer beside PyTorch's", []
    for size in ("GRU", "RNN", "LSTM float64", "LSTM forward only"):
        times = [number(measured.seconds(title, size, name)) for name in ("torch, layer", "ours, plan", "ours, jit")]
        ratios = [measured.ratio(title, size, f"ours, {mode}", "torch, layer") for mode in ("plan", "jit")]
        rows.append([size, *times, *ratios])
    return markdown(["", "PyTorch, ms", "plan, ms", "jit, ms", "plan / PyTorch", "jit / PyTorch"], rows)


def memory(measured: Measured) -> list[str]:
    """The memory that the runs need beside libraries, inputs and weights."""
    rows = []
    for name, key in (("plan", "ours, plan"), ("jit", "ours, jit"), ("`nn.LSTM`", "torch, nn.LSTM"),
                      ("JAX, jit(scan)", "jax, jit(scan)"), ("book", "book")):  # fmt: skip
        both = [measured.row(LAYER, size, key) for size in (SMALL, LARGE)]
        rows.append([name, *(f"{row[what]:.0f}" for what in ("needs", "peak") for row in both)])
    return markdown(["MB", "runs, D100", "runs, D650", "process, D100", "process, D650"], rows)


def first_use(measured: Measured) -> list[str]:
    """What the first use takes longer than a later one."""
    title, later = "first use of an LSTM", "a later use"
    names = {"plan": "making a plan", "jit, from disk": "jit, machine code on disk",
             "jit, first ever": "jit, first ever", "jax, jit(scan)": "JAX, jit(scan)"}  # fmt: skip
    rows = [[words, *(number(measured.seconds(title, size, name) - measured.seconds(title, size, later))
                      for size in (SMALL, LARGE))] for name, words in names.items()]  # fmt: skip
    return markdown(["ms", "D100", "D650"], rows)


def models(measured: Measured) -> list[str]:
    """A training step of a language model."""
    step, torch = "language model, one training step", "torch, nn.LSTM"
    places = {"D = H = 100": (step, "V10000 D100 H100 N20 T35"), "D = H = 650": (step, "V10000 D650 H650 N20 T35"),
              "two layers of 650, dropout, tied": ("language model, two layers, dropout, tied, one training step",
                                                   "V10000 H650 N20 T35")}  # fmt: skip
    rows = []
    for words, place in places.items():
        times = [number(measured.seconds(*place, name)) for name in ("ours", torch)]
        needs = [f"{measured.row(*place, name)['needs']:.0f}" for name in ("ours", torch)]
        rows.append([words, *times, measured.ratio(*place, "ours", torch), " / ".join(needs)])
    return markdown(["", "ours, ms", "PyTorch, ms", "ours / PyTorch", "memory of the runs, MB"], rows)


def generation(measured: Measured) -> list[str]:
    """Steps a second, one at a time."""
    place = "generation, one step", "N1 D100 H100"
    names = {"torch, nn.LSTMCell": "`nn.LSTMCell`", **{f"ours, {mode}": mode for mode in ("eager", "plan", "jit")}}
    times = {words: measured.seconds(*place, name) for name, words in names.items()}
    rows = [[words, f"{1 / seconds:,.0f}", number(seconds, 1e6)] for words, seconds in times.items()]
    return markdown(["", "steps a second", "µs a step"], rows)


def passes(measured: Measured) -> list[str]:
    """The nine lines without a pass, as a multiple of the whole plan."""
    title, whole, sizes = "the plan without a pass", "all passes", (SMALL, LONG, f"{SMALL} float64")
    names = [row["name"] for row in measured.tables.get((title, SMALL), {"rows": ()})["rows"][1:]]
    rows = [["the whole plan, ms", *(number(measured.seconds(title, size, whole)) for size in sizes)]]
    rows += [[name, *(measured.ratio(title, size, name, whole) for size in sizes)] for name in names]
    return markdown(["", *sizes], rows)


PARTS: Mapping[str, Callable[[Measured], list[str]]] = {
    part.__name__: part for part in (layer, cells, kinds, memory, first_use, models, generation, passes)
}


def filled(page: str, measured: Measured) -> tuple[str, list[str]]:
    """The page with the tables of all parts that were measured between their marks, and what is missing in others."""
    missing: list[str] = []
    for name, part in PARTS.items():
        lines: list[str] = []
        with noted(name, missing):
            lines = part(measured)
        if lines:
            mark, end = f"<!-- {name} -->\n", "<!-- end -->"
            before, found, rest = page.partition(mark)
            if not found:
                raise ValueError(f"report: speed.md has no mark {mark}")
            page = "\n".join([f"{before}{mark}" + lines[0], *lines[1:], end + rest.partition(end)[2]])
    return page, missing


@contextmanager
def noted(name: str, missing: list[str]) -> Iterator[None]:
    """What is missing inside is added to a list."""
    try:
        yield
    except Missing as lack:
        missing.append(f"{name}: {lack}")


def write(tables: Sequence[Mapping[str, Any]], docs: Path = DOCS) -> None:
    """Write the tables into docs/speed.md and the plots into docs/pictures; say what was not measured."""
    measured, path = Measured(tables), docs / "speed.md"
    page, missing = filled(path.read_text(encoding="utf-8"), measured)
    path.write_text(page, encoding="utf-8", newline="\n")
    for name, draw in plots(measured).items():
        with noted(name, missing):
            draw(docs / "pictures" / f"{name}.svg")
    print("\n".join([f"written: {path}", *(f"as before, not measured: {text}" for text in missing)]), file=sys.stderr)


if __name__ == "__main__":
    write(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["tables"])
