"""Figures of ranges: the two errors of a clip, schemes layer by layer, and how samples scatter. Style as in `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from fewerbits.teach.plots import BLACK, BLUE, LINES, MARKERS, ORANGE, SKY, VERMILLION, Figure, new_figure

# Lines and shades end here, in parts of the height, so that a legend above hides none of them.
LEGEND_FROM = 0.78


def error_curves(clips: ArrayLike, clipping: ArrayLike, rounding: ArrayLike, title: str) -> Figure:
    """Clipping error, rounding error and their sum against the clip (logarithmic axis); the minimum is marked."""
    figure, axes = new_figure(3.8)
    _curves(axes, np.asarray(clips), np.asarray(clipping), np.asarray(rounding))
    axes.set(title=title)
    axes.legend(loc="upper right")
    return figure


def clip_over_histogram(
    x: ArrayLike, clip: float, clips: ArrayLike, clipping: ArrayLike, rounding: ArrayLike, title: str
) -> Figure:
    """Left the values `x` with everything beyond `clip` shaded, right both error curves with that clip as a line."""
    figure, (left, right) = new_figure(3.8, columns=2)
    values = np.asarray(x).ravel()
    end = float(np.max(np.asarray(clips)))
    left.hist(values, bins=100, range=(float(values.min()), end), color=SKY, log=True)
    left.axvline(clip, ymax=LEGEND_FROM, color=BLACK, linewidth=1.4)
    if clip < end:
        left.axvspan(clip, end, ymax=LEGEND_FROM, color=ORANGE, alpha=0.2, linewidth=0, label="saturates")
        left.legend(loc="upper right")
    left.set(xlabel="value x", ylabel="count (logarithmic scale)")
    _curves(right, np.asarray(clips), np.asarray(clipping), np.asarray(rounding))
    right.axvline(clip, ymax=LEGEND_FROM, color=BLACK, linewidth=1.4)
    right.legend(loc="upper center", ncols=2)
    figure.suptitle(title, fontsize=12)
    return figure


def by_layer(curves: Mapping[str, Sequence[float]], layers: Sequence[str], title: str) -> Figure:
    """SQNR (dB) of each way to choose a range, layer by layer."""
    figure, axes = new_figure(4.2)
    for (name, decibels), color, marker in zip(curves.items(), LINES, MARKERS):
        axes.plot(range(len(layers)), decibels, color=color, marker=marker, markersize=6, label=name)
    axes.set(title=title, xlabel="layer (the lines only guide the eye)", ylabel="SQNR on new images (dB)")
    axes.set_xticks(range(len(layers)), layers)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def scatter_of_draws(draws: Mapping[str, Mapping[int, Sequence[float]]], title: str) -> Figure:
    """The end of the range that each sample of images gave: name → number of images → one value per sample."""
    figure, axes = new_figure(3.8)
    for (name, by_size), color, marker in zip(draws.items(), (VERMILLION, BLUE, BLACK), ("s", "o", "^")):
        sizes = np.repeat(list(by_size), [len(values) for values in by_size.values()])
        axes.plot(sizes, np.concatenate(list(by_size.values())), marker, color=color, alpha=0.6, label=name)
    axes.set(title=title, xlabel="calibration images (logarithmic scale)", ylabel="end of the range", xscale="log")
    shown = list(next(iter(draws.values())))
    axes.set_xticks(shown, [f"{size:,}" for size in shown])
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right", bbox_to_anchor=(1, 0.32))
    return figure


def divergence_curves(ends: ArrayLike, divergences: Mapping[int, Sequence[float]], title: str) -> Figure:
    """Divergence against the end of the range: bits → one value per end; the least of each is marked."""
    figure, axes = new_figure(3.8)
    tried = np.asarray(ends)
    for (bits, values), color, line in zip(divergences.items(), (BLUE, VERMILLION), ("-", "--")):
        best = int(np.argmin(values))
        axes.plot(tried, values, color=color, linestyle=line, label=f"{bits} bits, least at {tried[best]:.2f}")
        axes.plot(tried[best], values[best], "o", color=color, markersize=8)
    axes.set(title=title, xlabel="end of the range", ylabel="divergence")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")
    return figure


def _curves(
    axes: Axes, clips: NDArray[np.floating], clipping: NDArray[np.floating], rounding: NDArray[np.floating]
) -> None:
    total = clipping + rounding
    best = int(np.argmin(total))
    # What is never clipped has the error 0, which a logarithmic axis cannot show.
    shown = clipping > 0
    axes.plot(clips[shown], clipping[shown], color=VERMILLION, linestyle="--", label="clipping")
    axes.plot(clips, rounding, color=BLUE, linestyle="-.", label="rounding")
    axes.plot(clips, total, color=BLACK, label="both")
    axes.plot(clips[best], total[best], "o", color=BLACK, markersize=8, label=f"least at {clips[best]:.2f}")
    axes.set(xlabel="end of the range (clip)", ylabel="mean squared error", yscale="log")
    # Room for the legend above the curves.
    axes.set_ylim(float(rounding.min()) / 2, 10 * float(total.max()))
