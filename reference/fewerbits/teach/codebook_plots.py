"""Figures of codebooks: levels on a line, Lloyd's iteration, and schemes against the best possible. Style: `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from fewerbits.teach.plots import BLACK, BLUE, LINES, MARKERS, SKY, VERMILLION, Figure, new_figure

MOST_WITH_THRESHOLDS = 8


def number_lines(
    rows: Mapping[str, ArrayLike], title: str, label: str = "level, in units of the largest magnitude"
) -> Figure:
    """The levels of each row as ticks on a line of their own, the first row on top."""
    figure, axes = new_figure(1.3 + 0.55 * len(rows))
    for height, (levels, color) in enumerate(zip(rows.values(), LINES)):
        x = np.asarray(levels, np.float64)
        axes.plot(x, np.full(x.shape, -height), "|", color=color, markersize=20, markeredgewidth=1.8)
    axes.set(title=title, xlabel=label, ylabel="format", ylim=(-len(rows) + 0.4, 0.6))
    axes.set_yticks(-np.arange(len(rows)), list(rows))
    axes.grid(visible=False, axis="x")
    return figure


def levels_over_histogram(x: ArrayLike, levels: ArrayLike, title: str) -> Figure:
    """The histogram of `x`, the `levels` as solid lines and, of few, the thresholds midway between as dashed ones."""
    figure, axes = new_figure(3.4)
    places = np.sort(np.asarray(levels, np.float64))
    axes.hist(np.asarray(x).ravel(), bins=120, color=SKY, histtype="stepfilled")
    for position, place in enumerate(places):
        axes.axvline(float(place), color=VERMILLION, linewidth=1.6, label=None if position else "level")
    thresholds = (places[1:] + places[:-1]) / 2
    for position, place in enumerate(thresholds if places.size <= MOST_WITH_THRESHOLDS else ()):
        axes.axvline(float(place), color=BLACK, linewidth=1, linestyle="--", label=None if position else "threshold")
    axes.set(title=title, xlabel="value x", ylabel="count")
    axes.legend(loc="upper right")
    return figure


def convergence(paths: ArrayLike, errors: ArrayLike, title: str) -> Figure:
    """Left where each level stands after each iteration (`paths`, (iterations, levels)); right the mean squared error,
    in dB.

    The errors belong to the same iterations.
    """
    figure, (left, right) = new_figure(3.6, columns=2)
    places, mse = np.asarray(paths), np.asarray(errors)
    left.plot(places, color=BLUE)
    left.set(xlabel="iteration", ylabel="level")
    right.plot(10 * np.log10(mse), color=VERMILLION)
    right.set(xlabel="iteration", ylabel="mean squared error (dB)")
    figure.suptitle(title, fontsize=12)
    return figure


def curves(
    x: ArrayLike,
    by_name: Mapping[str, Sequence[float]],
    title: str,
    labels: tuple[str, str],
    *,
    logarithmic: bool = False,
    dashed: Sequence[str] = (),
) -> Figure:
    """One line for each name over a common `x`; `labels` of both axes; names in `dashed` are drawn as limits."""
    figure, axes = new_figure(4.0)
    colors = iter(zip(LINES, MARKERS))
    for name, y in by_name.items():
        if name in dashed:
            axes.plot(x, y, "--", color=BLACK, linewidth=1.2, label=name)
        else:
            color, marker = next(colors)
            axes.plot(x, y, color=color, marker=marker, markersize=5, label=name)
    axes.set(title=title, xlabel=labels[0], ylabel=labels[1])
    if logarithmic:
        axes.set_xscale("log", base=2)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def distance_bars(points: Mapping[str, tuple[float, float]], title: str) -> Figure:
    """For each scheme, (bits per value, SQNR in dB), how far it stays below the bound of 6.02 dB per bit; first on top.

    Schemes below 6 bits per value and those above have different colours.
    """
    figure, axes = new_figure(1.2 + 0.29 * len(points))
    places = -np.arange(len(points))
    bits, decibels = np.array(list(points.values())).T
    axes.barh(places, 20 * np.log10(2) * bits - decibels, color=np.where(bits < 6, SKY, BLUE), height=0.7)
    handles = [Patch(color=SKY, label="4-bit codes"), Patch(color=BLUE, label="8-bit codes")]
    axes.legend(handles=handles, loc="upper right")
    axes.set(title=title, xlabel="distance to 6.02 dB per bit (dB)", ylabel="scheme and its bits per value")
    axes.set_yticks(places, [f"{name}: {cost:.2f}" for name, cost in zip(points, bits)])
    axes.grid(visible=False, axis="y")
    return figure
