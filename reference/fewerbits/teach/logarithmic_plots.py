"""Figures of logarithmic quantizers: two kinds of error, signals of any loudness, tensors side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fewerbits.teach.plots import LINES, MARKERS, Figure, new_figure
from fewerbits.tensor.scheme import Scheme, fake_quantize


def two_errors(schemes: Mapping[str, Scheme], low: float, high: float, title: str) -> Figure:
    """Left the rms error over an octave around x, right the relative error |x̂ − x|/x at x, from `low` to `high` > 0.

    All axes are logarithmic but that of the relative error, in percent.
    """
    figure, (left, right) = new_figure(3.8, columns=2)
    per_octave = 400
    octaves = np.log2(high / low)
    x = (low * np.exp2(np.arange(octaves * per_octave + 1) / per_octave)).astype(np.float32)
    inside = slice(per_octave // 2, 1 - per_octave // 2)
    for (name, scheme), color, style in zip(schemes.items(), LINES, ("-", "--", "-.", ":")):
        error = np.abs(fake_quantize(scheme, x) - x)
        rms = np.sqrt(np.convolve(error**2, np.full(per_octave, 1 / per_octave), mode="valid"))
        left.plot(x[inside], rms, style, color=color, linewidth=1.4, label=name)
        right.plot(x, 100 * error / x, style, color=color, linewidth=1.4, label=name)
    left.set(xscale="log", yscale="log", xlabel="value x (logarithmic)", ylabel="rms error over an octave (unit of x)")
    right.set(xscale="log", xlabel="value x (logarithmic)", ylabel="relative error (%)")
    right.legend(loc="upper right")
    figure.suptitle(title, fontsize=12)
    return figure


def against_loudness(loudness: Sequence[float], curves: Mapping[str, Sequence[float]], title: str) -> Figure:
    """SQNR (dB) against the loudness of a signal (dB below the loudest), one line per name."""
    figure, axes = new_figure(3.8)
    for (name, decibels), color, marker in zip(curves.items(), LINES, MARKERS):
        axes.plot(loudness, decibels, color=color, marker=marker, markersize=6, label=name)
    axes.set(title=title, xlabel="loudness (dB, 0 is the loudest)", ylabel="SQNR (dB)")
    axes.legend(loc="lower right")
    return figure


def by_tensor(
    bits: Sequence[int], curves: Mapping[str, Mapping[str, Sequence[float]]], quantity: str, title: str
) -> Figure:
    """A panel per tensor: `quantity` against bits, one line per scheme. `curves` is tensor → scheme → values."""
    figure, panels = new_figure(3.9, columns=len(curves), sharey=True)
    for panel, (tensor, lines) in zip(np.atleast_1d(panels), curves.items()):
        for (name, values), color, marker in zip(lines.items(), LINES, MARKERS):
            panel.plot(bits, values, color=color, marker=marker, markersize=5, label=name)
        panel.set_title(tensor, fontsize=11)
        panel.set(xlabel="bits per value", xticks=list(bits))
    first = np.atleast_1d(panels)[0]
    first.set_ylabel(quantity)
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.suptitle(title, fontsize=12)
    return figure
