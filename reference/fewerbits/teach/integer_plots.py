"""Figures of integer arithmetic: room for sums, rounding rules, and sums that saturated. Style as in `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from fewerbits.network.requantize import RULES, requantize
from fewerbits.teach.plots import BLACK, LINES, MARKERS, SKY, VERMILLION, Figure, new_figure


def headroom(sums: Mapping[str, Sequence[float]], layers: Sequence[str], title: str) -> Figure:
    """Magnitudes of accumulators by layer on a logarithmic axis, with lines where 8, 16 and 32 bits end."""
    figure, axes = new_figure(4.0)
    for bits in (8, 16, 32):
        axes.axhline(2.0 ** (bits - 1), color=BLACK, linestyle=":", linewidth=1.2)
        axes.text(len(layers) - 0.6, 2.0 ** (bits - 1), f"int{bits}", fontsize=10, va="bottom")
    for (name, values), color, marker in zip(sums.items(), LINES, MARKERS):
        axes.plot(range(len(layers)), values, color=color, marker=marker, markersize=8, linestyle="", label=name)
    axes.set(title=title, xlabel="layer", ylabel="magnitude of a sum", yscale="log", ylim=(50, 3e11))
    axes.set_xlim(-0.4, len(layers))
    axes.set_xticks(range(len(layers)), layers)
    axes.legend(loc="upper center", ncols=3)
    return figure


def rounding_rules(accumulators: ArrayLike, multiplier: float, title: str) -> Figure:
    """The code that each requantization rule gives to each accumulator, against accumulator·multiplier."""
    figure, axes = new_figure(4.2)
    sums = np.asarray(accumulators, np.int32)
    real = sums * multiplier
    lowest, highest = int(np.rint(real.min())), int(np.rint(real.max()))
    for code in range(lowest, highest + 1):
        # A band for each code: the rows inside it all stand for this code.
        axes.axhspan(code - 0.4, code + 0.4, color=BLACK, alpha=0.07, linewidth=0)
    for place, (rule, color, marker) in enumerate(zip(RULES, LINES, MARKERS)):
        codes = requantize(sums, multiplier, 0, -128, 127, rule)
        axes.plot(real, codes + 0.16 * (1.5 - place), marker, color=color, markersize=5, label=rule)
    axes.set(title=title, xlabel="accumulator · m", ylabel="code: one band, four rules")
    axes.set_yticks(range(lowest, highest + 1))
    axes.legend(loc="upper left")
    return figure


def saturated_sums(exact: ArrayLike, saturated: ArrayLike, title: str) -> Figure:
    """Each sum as 16-bit pairs saturate it, against the exact one; those that differ stand out."""
    figure, axes = new_figure(4.2)
    right, wrong = np.asarray(exact).ravel(), np.asarray(saturated).ravel()
    differ = right != wrong
    axes.plot(right[~differ], wrong[~differ], "o", color=SKY, markersize=3, label="unchanged")
    axes.plot(right[differ], wrong[differ], "s", color=VERMILLION, markersize=3, label="saturated")
    axes.set(title=title, xlabel="exact sum", ylabel="sum with 16-bit pairs")
    axes.legend(loc="upper left", markerscale=2)
    return figure
