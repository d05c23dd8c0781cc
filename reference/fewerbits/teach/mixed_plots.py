"""Figures of mixed precision: which side hurts, which layer is sensitive, who got which bits. Style as in `plots`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.ticker import NullFormatter, PercentFormatter
from scipy.stats import spearmanr

from fewerbits.teach.plots import BLACK, BLUE, LINES, MARKERS, Figure, new_figure

# Answers among ten classes that know nothing.
CHANCE = 0.1


def accuracy_against_bits(
    bits: Sequence[int], curves: Mapping[str, Sequence[float]], exact: float, title: str
) -> Figure:
    """Share of right answers against bits, one line per name; the float accuracy and chance as horizontal lines."""
    figure, axes = new_figure(4.2)
    for (name, shares), color, marker in zip(curves.items(), LINES, MARKERS):
        axes.plot(bits, shares, color=color, marker=marker, markersize=7, label=name)
    axes.axhline(exact, color=BLACK, linestyle="--", linewidth=1.2, label="float32")
    axes.axhline(CHANCE, color=BLACK, linestyle=":", linewidth=1.2, label="chance")
    axes.set(title=title, xlabel="bits", ylabel="share of right answers", xticks=list(bits), ylim=(0, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="center right")
    return figure


def sensitivity(table: Mapping[str, Mapping[int, float]], title: str) -> Figure:
    """A map of layers by bits: what is lost (nats), on a logarithmic scale, with the numbers in its cells."""
    figure, axes = new_figure(1.5 + 0.42 * len(table))
    bits = list(next(iter(table.values())))
    values = np.array([[row[b] for b in bits] for row in table.values()])
    image = axes.imshow(values, norm=LogNorm(values.min(), values.max()), aspect="auto", cmap="cividis")
    for (row, column), value in np.ndenumerate(values):
        share = image.norm(value)
        axes.text(column, row, f"{value:.1g}", ha="center", va="center", color="white" if share < 0.55 else "black")
    axes.set_xticks(range(len(bits)), [str(b) for b in bits])
    axes.set_yticks(range(len(table)), list(table))
    axes.set(title=title, xlabel="bits of this layer's weights, all others in float32")
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes).set_label("divergence (nats)")
    return figure


def predictions(predicted: Mapping[str, Sequence[float]], truth: Sequence[float], title: str) -> Figure:
    """Measured loss of whole allocations against each prediction, both logarithmic; rank correlations in the titles."""
    figure, axes = new_figure(3.6, columns=len(predicted), sharey=True)
    for panel, (name, values), color, marker in zip(axes, predicted.items(), LINES, MARKERS):
        panel.plot(values, truth, marker, color=color, markersize=6, alpha=0.8)
        panel.set(xscale="log", yscale="log", xlabel="prediction (logarithmic)")
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_title(f"{name}: rank correlation {spearmanr(values, truth).statistic:.2f}", fontsize=10)
    axes[0].set_ylabel("measured (nats, logarithmic)")
    figure.suptitle(title, fontsize=mpl.rcParams["axes.titlesize"])
    return figure


def bits_by_layer(sizes: Mapping[str, int], bits: Mapping[str, int], title: str) -> Figure:
    """One bar per layer, as wide as it has weights and as high as each has bits: its area is the memory."""
    figure, axes = new_figure(3.6)
    start, height = 0.0, max(8, *bits.values())
    for index, (name, size) in enumerate(sizes.items()):
        width = size / 1000
        color = LINES[index % len(LINES)]
        axes.bar(start, bits[name], width, align="edge", color=color, edgecolor="white", label=f"{name}: {bits[name]}")
        start += width
    mean = sum(bits[name] * size for name, size in sizes.items()) / sum(sizes.values())
    axes.axhline(mean, color=BLACK, linestyle="--", linewidth=1.2, label=f"average: {mean:.2f}")
    axes.set(title=title, xlabel="weights (thousands), layer after layer", ylabel="bits per weight")
    axes.set(ylim=(0, height + 0.5), xlim=(0, start))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), title="bits")
    return figure


def front(
    groups: Mapping[str, Mapping[str, tuple[float, float]]], on_front: Collection[str], exact: float, title: str
) -> Figure:
    """Accuracy against kibibytes: one marker per group, each candidate with its name, a line through the front."""
    figure, axes = new_figure(4.6)
    for (group, candidates), color, marker in zip(groups.items(), LINES, MARKERS):
        axes.plot(*zip(*candidates.values()), marker, color=color, markersize=8, label=group)
        for name, (kib, share) in candidates.items():
            offset = (8, -15) if color == BLUE else (-12, 8)
            label = axes.annotate(name, (kib, share), offset, textcoords="offset points", ha="center", fontsize=10)
            label.set(color=color, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    line = sorted(point for each in groups.values() for name, point in each.items() if name in on_front)
    axes.step(*zip(*line), where="post", color=BLACK, linewidth=1.2, label="Pareto front")
    axes.axhline(exact, color=BLACK, linestyle="--", linewidth=1.2, label="float32")
    axes.set(title=title, xlabel="weights and their scales (KiB)", ylabel="share of right answers")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(loc="lower right")
    axes.margins(x=0.08, y=0.12)
    return figure
