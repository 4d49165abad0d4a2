"""A flow as a picture: norms, saturated gates, parts of the weight gradients, and the effect of truncation."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..figures import figure
from .table import printable

if TYPE_CHECKING:
    from .result import Flow, Layer

#: Colours for colour-blind readers (Okabe and Ito 2008), with dashes and markers that differ without colours.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
MARKS = "os^Dv*P"
SMALLEST = 1e-300  # the least value on a logarithmic axis



def plot(flow: Flow, path: str | os.PathLike[str] | None) -> Any:
    """A matplotlib Figure of the flow, which is also written to ``path`` if given."""
    panels = [(draw, layer) for layer in flow.layers for draw in (_norms, _saturation, _slopes, _parts, _jacobian)
              if draw is not _jacobian or layer.singular]
    lines = math.ceil((len(panels) + 1) / 2)
    with figure(10, 3.1 * lines + 0.4, path) as drawn:
        axes = list(drawn.subplots(lines, 2, squeeze=False).flat)
        for (draw, layer), ax in zip(panels, axes):
            draw(ax, layer)
            ax.set_title(f"{layer.name}: {ax.get_title()}" if len(flow.layers) > 1 else ax.get_title())
        _truncation(axes[len(panels)], flow.truncation)
        for ax in axes[len(panels) + 1 :]:
            ax.remove()
        drawn.suptitle(shown(flow.title, 120), fontsize=11)
    return drawn


def shown(text: str, longest: int) -> str:
    """A user's text, cut with … to the longest that fits."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _curves(ax: Any, layer: Layer, curves: Mapping[str, Sequence[float]]) -> None:
    """A line for each name, with colour, dashes and marker, and a legend to the right."""
    for k, (name, values) in enumerate(curves.items()):
        style = {"color": COLOURS[k % 7], "linestyle": DASHES[k % 7], "marker": MARKS[k % 7]}
        ax.plot(layer.times, values, label=shown(name, 40), markersize=3.5, linewidth=1.3,
                markevery=max(1, len(values) // 10), **style)  # fmt: skip
    ax.set_xlim(min(layer.times) - 0.5, max(layer.times) + 0.5)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("time step t")
    if curves:
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _on_log_axis(ax: Any, layer: Layer, curves: Mapping[str, Sequence[float]], room: Sequence[float] = ()) -> None:
    """Curves of norms; the axis spans at least a decade, and includes the values in ``room``."""
    _curves(ax, layer, {f"‖d{name}‖{_bad(values)}": [norm or math.nan for norm in values]
                        for name, values in curves.items()})  # fmt: skip
    known = [norm for values in [*curves.values(), room] for norm in values if SMALLEST < norm < 1 / SMALLEST]
    if known:
        middle = math.sqrt(min(known)) * math.sqrt(max(known))
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(_power_of_ten)
        ax.yaxis.set_minor_formatter(lambda x, place: "")
        ax.set_ylim(min(*known, middle / 3) / 1.5, max(*known, middle * 3) * 1.5)


def _power_of_ten(x: float, place: int) -> str:
    """A number on a logarithmic axis: 10⁻³. matplotlib's own text is in its notation for formulas, which is off."""
    return "10" + f"{round(math.log10(x))}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")) if x > 0 else "0"


def _bad(values: Sequence[float]) -> str:
    """How many norms a curve lacks because they are NaN or infinite."""
    counts = {"NaN": sum(map(math.isnan, values)), "inf": sum(map(math.isinf, values))}
    return "".join(f", {count} {what}" for what, count in counts.items() if count)


def _norms(ax: Any, layer: Layer) -> None:
    """‖dh_t‖; shaded is where the gradient of the strongest state has changed tenfold on its way back."""
    way_back = list(reversed(layer.states[layer.strongest])) if layer.strongest else []
    start = next((norm for norm in way_back if 0 < norm < math.inf), 0.0)
    _on_log_axis(ax, layer, layer.states, room=[start / 50, start * 50])
    ax.set(title=f"gradient by the state after step t: {layer.verdict}", ylabel="norm over the batch")
    if start:
        low, high = ax.get_ylim()
        x, side = (0.02, "left") if layer.times[0] > layer.times[-1] else (0.98, "right")
        for bottom, top, word, y in ((low, start / 10, "vanishing", 0.03), (start * 10, high, "exploding", 0.97)):
            ax.axhspan(bottom, top, color="0.92", zorder=0, linewidth=0)
            ax.text(x, y, word, transform=ax.transAxes, ha=side, va="bottom" if y < 0.5 else "top", color="0.4")
        ax.set_ylim(low, high)


def _saturation(ax: Any, layer: Layer) -> None:
    _curves(ax, layer, {name: [100 * share for share in values] for name, values in layer.gates.items()})
    ax.set(title="saturated gates", ylabel="elements, %", ylim=(-4, 104))


def _slopes(ax: Any, layer: Layer) -> None:
    _curves(ax, layer, layer.slopes)
    ax.set(title="mean slope of the gates: what they let back through", ylabel="dy/dx", ylim=(-0.04, 1.04))


def _jacobian(ax: Any, layer: Layer) -> None:
    """The spectral radius of each step's Jacobian, and the largest singular value, which is at least as large."""
    largest = [values[0] if values else math.nan for values in layer.singular or []]
    _curves(ax, layer, {"largest singular value": largest, "spectral radius": layer.jacobian or []})
    ax.axhline(1, color="0.6", linestyle=":", linewidth=1)
    ax.set(title="the step's Jacobian ∂h_t/∂h_{t-1}", ylabel="factor of a gradient", ylim=(0, None))


def _parts(ax: Any, layer: Layer) -> None:
    _on_log_axis(ax, layer, layer.weights)
    ax.set(title="each step's part of the weight gradients", ylabel="norm")


def _truncation(ax: Any, truncation: Mapping[int, float]) -> None:
    places = range(len(truncation))  # powers of two, at equal distances
    ax.plot(places, list(truncation.values()), color=COLOURS[0], marker=MARKS[0], markersize=4, linewidth=1.3)
    ax.axhline(1, color="0.6", linestyle=":", linewidth=1)
    ax.set_xticks(places, [str(k) for k in truncation])
    ax.set(title="truncated BPTT: what is left of the gradient", xlabel="steps in a window, k")
    ax.set_ylabel("cosine to the full gradient")
