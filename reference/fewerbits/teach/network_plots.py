"""Figures of whole networks: scales per layer, accuracies with intervals, time ratios. Style as in `plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.transforms import ScaledTranslation

from fewerbits.deploy.evaluation import Accuracy
from fewerbits.deploy.timing import Ratio
from fewerbits.network.quantized import QuantizedNetwork
from fewerbits.teach.plots import BLACK, BLUE, LINES, MARKERS, ORANGE, VERMILLION, Figure, new_figure


def scales(network: QuantizedNetwork, title: str = "Every scale of the network") -> Figure:
    """The step of each activation, and of each output channel's weights, by layer (logarithmic axis)."""
    figure, axes = new_figure(3.8)
    names = list(network.weights)
    for position, name in enumerate(names):
        steps = np.atleast_1d(network.weights[name].scale)
        label = "weights, one dot per channel" if position == 0 else None
        axes.plot(np.full(len(steps), position), steps, ".", color=BLUE, alpha=0.5, markersize=5, label=label)
        source = network.folded.layer(name).inputs[0]
        step = float(network.activations[source].scale)
        label = "activations that the layer reads" if position == 0 else None
        axes.plot(position + 0.25, step, "s", color=VERMILLION, markersize=6, label=label)
    axes.set(title=title, ylabel="scale s (step between levels)", yscale="log", xlabel="layer")
    axes.set_xticks(range(len(names)), names)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.02), ncols=2)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 4)
    return figure


def accuracies(results: Mapping[str, Accuracy], title: str = "Accuracy with its 95 % interval") -> Figure:
    """One dot with its interval per model, best read against the first one's interval (shaded)."""
    figure, axes = new_figure(0.9 + 0.45 * len(results))
    first = next(iter(results.values()))
    label = f"interval of {next(iter(results))}"
    axes.axvspan(first.low, first.high, color=ORANGE, alpha=0.2, linewidth=0, label=label)
    for row, result in enumerate(results.values()):
        spread = [[result.value - result.low], [result.high - result.value]]
        axes.errorbar(result.value, row, xerr=spread, fmt="o", color=BLUE, capsize=4, markersize=6)
    axes.set_yticks(range(len(results)), list(results))
    axes.set(title=title, xlabel="share of right answers", ylim=(len(results) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.1)
    return figure


def ratios(
    measured: Mapping[str, Sequence[Ratio]],
    groups: Sequence[str],
    predicted: Mapping[str, Sequence[float]],
    title: str = "How much faster is int8?",
) -> Figure:
    """Median ratios with the interval of the median: one row per name, one marker per group, a line at 1.

    `predicted` has ratios by group for some of the rows: a short dashed line in that row.
    """
    figure, axes = new_figure(1.3 + 0.6 * len(measured))
    for index, group in enumerate(groups):
        offset = 0.22 * (index - (len(groups) - 1) / 2)
        for row, (name, series) in enumerate(measured.items()):
            ratio = series[index]
            spread = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
            axes.errorbar(
                ratio.median,
                row + offset,
                xerr=spread,
                fmt=MARKERS[index],
                color=LINES[index],
                capsize=3,
                markersize=6,
                label=group if row == 0 else None,
            )
            if name in predicted:
                at = row + offset
                label = None if index else "roofline's prediction"
                axes.plot(
                    [predicted[name][index]] * 2, [at - 0.12, at + 0.12], "-", color=BLACK, linewidth=3, label=label
                )
    axes.axvline(1, color=BLACK, linewidth=1, linestyle=":", label="as fast")
    axes.set_yticks(range(len(measured)), list(measured))
    axes.set(
        title=title, xlabel="time of the candidate / time of int8", ylim=(len(measured) - 0.5, -0.5), xlim=(0, None)
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3 if len(measured) < 3 else -0.2), ncols=len(groups) + 2)
    return figure


def capstone(
    accuracy: Mapping[str, Mapping[str, Accuracy]],
    file_bytes: Mapping[str, Mapping[str, int]],
    ratios: Mapping[str, Mapping[str, Ratio]],
    predicted: Mapping[str, float],
) -> Figure:
    """Three panels with one row per network: accuracy with intervals, bytes of the file, int8's speed at batch 64."""
    figure, (left, middle, right) = new_figure(2.1 + 0.75 * len(accuracy), columns=3, sharey=True)
    panels: tuple[tuple[Any, Mapping[str, Mapping[str, Any]]], ...] = ((left, accuracy), (right, ratios))
    for axes, series in panels:
        kinds = list(next(iter(series.values())))
        for index, kind in enumerate(kinds):
            rows = np.arange(len(series)) + 0.2 * (index - (len(kinds) - 1) / 2)
            low, middles, high = np.array([_interval(series[name][kind]) for name in series]).T
            spread = [middles - low, high - middles]
            style = {"fmt": MARKERS[index], "color": LINES[index], "capsize": 3, "markersize": 6}
            axes.errorbar(middles, rows, xerr=spread, label=kind, **style)
    kinds = list(next(iter(file_bytes.values())))
    for index, kind in enumerate(kinds):
        sizes = [file_bytes[name][kind] / 1e3 for name in file_bytes]
        rows = np.arange(len(sizes)) + 0.8 * ((index + 0.5) / len(kinds) - 0.5)
        middle.barh(rows, sizes, height=0.72 / len(kinds), color=LINES[index], label=kind)
    for row, name in enumerate(predicted):
        label = "roofline's prediction" if row == 0 else None
        right.plot([predicted[name]] * 2, [row - 0.4, row + 0.4], "--", color=ORANGE, label=label)
    right.axvline(1, color=BLACK, linewidth=1)
    left.set_yticks(range(len(accuracy)), list(accuracy))
    left.set(title="Accuracy, 95 % interval", xlabel="share of right answers", ylim=(len(accuracy) - 0.5, -0.5))
    left.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    left.xaxis.set_major_locator(MaxNLocator(3))
    middle.set(title="Size of the file", xlabel="kilobytes (1 kB = 1000 bytes)")
    right.set(title="int8 is faster than", xlabel="ratio of times, one thread", xlim=(0, None))
    for axes in (left, middle, right):
        below = axes.transAxes + ScaledTranslation(0, -45 / 72, figure.dpi_scale_trans)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below)
    return figure


def _interval(point: Accuracy | Ratio) -> tuple[float, float, float]:
    """Lower end, middle and upper end."""
    if isinstance(point, Accuracy):
        return point.low, point.value, point.high
    return point.low, point.median, point.high
