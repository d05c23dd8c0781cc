"""Figures of chapter 01: where the values of a format lie, one pattern taken apart, energies, and a roofline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from fewerbits.deploy.roofline import Ceilings, Cost
from fewerbits.teach.plots import BLACK, BLUE, LINES, MARKERS, ORANGE, VERMILLION, Figure, new_figure
from fewerbits.tensor.float_formats import FloatFormat

# Sign, exponent, fraction: light enough to read black digits on them.
SIGN, EXPONENT, FRACTION = "#DDDDDD", ORANGE, "#9AD0F0"
# Layers closer than this on the roofline share one label (in powers of ten).
CLOSE = 0.07


def ticks(values: Mapping[str, ArrayLike], low: float, high: float, title: str) -> Figure:
    """One row per name on a common axis: a tick for each of its values from `low` to `high`, and how many there are."""
    figure, axes = new_figure(0.8 + 0.65 * len(values))
    for row, ((_, numbers), color) in enumerate(zip(values.items(), LINES)):
        inside = np.unique([value for value in np.ravel(numbers) if low <= value <= high])
        axes.vlines(inside, -row - 0.32, -row + 0.32, color=color, linewidth=1)
        axes.annotate(f"{len(inside)} values", (1.01, -row), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks([-row for row in range(len(values))], list(values))
    margin = 0.01 * (high - low)
    axes.set(title=title, xlabel="value", xlim=(low - margin, high + margin), ylim=(0.5 - len(values), 0.5))
    axes.grid(visible=False)
    return figure


def spacings(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], title: str) -> Figure:
    """Distance to the next value against the magnitude, in powers of two; a (magnitudes, distances) pair per name."""
    figure, axes = new_figure(4.0)
    for (name, (x, distance)), color, style in zip(curves.items(), LINES, ("-", "--", "-.", ":", "-", "--", "-.")):
        axes.step(x, distance, style, where="post", color=color, linewidth=1.6, label=name)
    axes.set_title(title)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set(xlabel="magnitude (powers of two)", ylabel="distance to the next value")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
    return figure


def eight_bits(pattern: int, exponent_bits: int) -> Figure:
    """A pattern of 8 bits taken apart, and its place among all values of its format.

    `exponent_bits` from 1 to 5 makes a float with 7 − exponent_bits bits of fraction; 0 makes int8.
    """
    name, values, lines = _read(pattern, exponent_bits)
    figure, (card, axes) = new_figure(3.4, columns=2, width_ratios=[1, 1.25])
    parts = [SIGN, *[EXPONENT] * exponent_bits, *[FRACTION] * (7 - exponent_bits)]
    for place, (bit, color) in enumerate(zip(f"{pattern:08b}", parts)):
        card.add_patch(Rectangle((place, 0), 0.92, 1, facecolor=color, edgecolor=BLACK, linewidth=0.8))
        card.text(place + 0.46, 0.48, bit, ha="center", va="center", fontsize=14, family="monospace")
    for row, line in enumerate(lines):
        card.text(0, -0.8 - 0.85 * row, line, va="center")
    card.set(xlim=(-0.1, 8.1), ylim=(-4.2, 1.2))
    card.set_axis_off()
    positive = np.unique(np.abs(values[np.isfinite(values)]))
    distance = np.diff(positive)
    axes.plot(positive[1:-1], distance[1:], ".", color=BLUE, markersize=4, label=f"{name}, magnitudes above zero")
    here = abs(values[pattern])
    if np.isfinite(here) and 0 < here < positive[-1]:
        at = int(np.searchsorted(positive, here))
        axes.plot(here, distance[at], "s", color=VERMILLION, markersize=9, label="this pattern")
    axes.set(xscale="log", yscale="log", xlabel="magnitude (logarithmic)", ylabel="distance to the next value")
    axes.set_ylim(distance.min() / 4, distance.max() * 16)
    axes.legend(loc="upper left")
    figure.suptitle(f"{pattern:08b} read as {name}: {values[pattern]:.8g}".replace("-", "−"), fontsize=12)
    return figure


def _read(pattern: int, exponent_bits: int) -> tuple[str, NDArray[np.float64], list[str]]:
    """Name and all 256 values of the format, and the sentences that take `pattern` apart."""
    codes = np.arange(256)
    if exponent_bits == 0:
        values = np.where(codes < 128, codes, codes - 256).astype(np.float64)
        lines = [
            f"the first bit counts −128: {-128 * (pattern >> 7)}",
            f"the others count 64 … 1: +{pattern & 127}",
            f"value {values[pattern]:.0f}",
        ]
        return "int8", values, [line.replace("-", "−") for line in lines]
    fraction_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    specials = {4: "one_nan", 5: "ieee"}.get(exponent_bits, "none")
    name = f"E{exponent_bits}M{fraction_bits}"
    values = FloatFormat(name, exponent_bits, fraction_bits, bias, specials).values(codes).astype(np.float64)
    exponent, fraction = (pattern >> fraction_bits) % 2**exponent_bits, pattern % 2**fraction_bits
    one = int(exponent > 0)
    lines = [
        f"sign {pattern >> 7}: {'−' if pattern >> 7 else '+'}",
        f"exponent {exponent}, bias {bias}: 2^{max(exponent, 1) - bias}",
        f"fraction {fraction}: {one} + {fraction}/{2**fraction_bits} = {one + fraction / 2**fraction_bits:g}",
        f"value {values[pattern]:.8g}",
    ]
    if not np.isfinite(values[pattern]):
        special = "not a number (NaN)" if np.isnan(values[pattern]) else "infinity"
        lines[1:] = ["exponent and fraction together are", f"set apart: {special}"]
    elif not one and fraction:
        lines[2] += " (subnormal)"
    return name, values, [line.replace("-", "−") for line in lines]


def energies(picojoules: Mapping[str, float], title: str) -> Figure:
    """A bar for each operation, in pJ on a logarithmic axis, with its number."""
    figure, axes = new_figure(0.9 + 0.34 * len(picojoules))
    names = list(picojoules)[::-1]
    numbers = [picojoules[name] for name in names]
    axes.barh(names, numbers, color=[VERMILLION if "read" in name else BLUE for name in names])
    for row, number in enumerate(numbers):
        axes.annotate(f"{number:g}", (number, row), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set(title=title, xlabel="energy (pJ, logarithmic)", xscale="log", xlim=(min(numbers) / 2, max(numbers) * 3))
    axes.grid(visible=False, axis="y")
    return figure


def roofline(ceilings: Ceilings, costs: Mapping[str, Cost], batch: int, title: str) -> Figure:
    """What this machine attains at most against MACs per byte, and where each layer stands in float32 and in int8.

    Layers without multiplications have no place on it.
    """
    figure, axes = new_figure(4.8)
    layers = {name: cost for name, cost in costs.items() if cost.macs}
    kinds = {"float32": (4, ceilings.float32), "int8": (1, ceilings.int8)}
    intensities = {
        kind: {name: cost.macs / cost.bytes_moved(size, batch) for name, cost in layers.items()}
        for kind, (size, _) in kinds.items()
    }
    every = [value for by_name in intensities.values() for value in by_name.values()]
    x = np.geomspace(min(every) / 4, max(every) * 3, 400)
    for (kind, (_, peak)), color, marker, style in zip(kinds.items(), LINES, MARKERS, ("-", "--")):
        roof = np.minimum(peak, x * ceilings.bandwidth) / 1e9
        axes.plot(x, roof, style, color=color, label=f"{kind}: at most {peak / 1e9:.0f} GMAC/s")
        at = np.array(list(intensities[kind].values()))
        heights = np.minimum(peak, at * ceilings.bandwidth) / 1e9
        axes.plot(at, heights, marker, color=color, markersize=7, linestyle="", label=f"layers in {kind}")
        _label(axes, list(layers), at, heights, above=kind == "int8")
    axes.set(title=title, xscale="log", yscale="log", xlim=(x[0], x[-1]))
    low, high = axes.get_ylim()
    axes.set_ylim(low / 2, high * 6)
    axes.set(xlabel="MACs per byte moved (logarithmic)", ylabel="GMAC/s (logarithmic)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _label(axes: Axes, names: Sequence[str], x: NDArray[np.float64], y: NDArray[np.float64], above: bool) -> None:
    """Names written upright at their points; points close together share one label."""
    order = np.argsort(x)
    groups: list[list[int]] = []
    for index in order:
        if groups and np.log10(x[index] / x[groups[-1][0]]) < CLOSE:
            groups[-1].append(int(index))
        else:
            groups.append([int(index)])
    for group in groups:
        text = ", ".join(names[index] for index in group)
        offset, side = ((0, 8), "bottom") if above else ((0, -8), "top")
        axes.annotate(
            text, (x[group[0]], y[group[0]]), xytext=offset, textcoords="offset points",
            rotation=90, ha="center", va=side, fontsize=9,
        )  # fmt: skip
