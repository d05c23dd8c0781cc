"""The figures that the whole course shares, for any scheme, in one style.

Each function returns a figure; as the last line of a cell it is shown. Figures are 8 inches wide at 100 dots
per inch, so that JupyterLab shows them at their size. Colours: Okabe–Ito for lines, cividis for maps.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor.scheme import Scheme, fake_quantize

# Okabe and Ito, "Color Universal Design", 2008.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
LINES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDTH = 8.0
# More cells than this and their numbers would not be readable at 100 %.
MOST_NUMBERS = (8, 5)

STYLE: Any = {
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "lines.linewidth": 1.8,
    "image.cmap": "cividis",
    "axes.prop_cycle": cycler(color=LINES),
}


class Figure(matplotlib.figure.Figure):
    """A figure that shows itself as PNG wherever it is the value of a cell, and is known to no global list."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi="figure")
        return buffer.getvalue()


def use_style() -> None:
    """Give every later figure of this session, the course's and your own, the course's style."""
    matplotlib.rcParams.update(STYLE)


def new_figure(height: float = 3.6, columns: int = 1, **subplots: Any) -> tuple[Figure, Any]:
    """An empty figure of the course's width with one row of axes; returns it and its axes, as `plt.subplots`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
        return figure, figure.subplots(1, columns, **subplots)


def staircase(
    scheme: Scheme, low: float, high: float, values: ArrayLike | None = None, title: str = "What each value becomes"
) -> Figure:
    """x̂ against x from `low` to `high`, for a scheme with one scale per tensor; codes on the right axis.

    Where the codes saturate the background is shaded. `values`, if given, appear as a histogram behind the stairs.
    """
    figure, axes = new_figure()
    x = np.linspace(low, high, 4001, dtype=np.float32)
    y = fake_quantize(scheme, x)
    levels = np.unique(y)
    if values is not None:
        _histogram_behind(axes, values, low, high)
    axes.plot(x, x, "--", color=BLACK, linewidth=1, label="x (no quantization)")
    axes.plot(x, y, color=BLUE, label="x̂ (after quantization)")
    for start, end in _saturated(x, y):
        axes.axvspan(start, end, color=ORANGE, alpha=0.2, linewidth=0, label="saturated")
    axes.set(title=title, xlabel="value x", ylabel="value x̂ after the way back", xlim=(low, high))
    margin = 0.04 * (high - low)
    axes.set_ylim(min(low, levels[0]) - margin, max(high, levels[-1]) + margin)
    _legend_once(axes, loc="upper left")
    labelled = _spread(levels, axes.get_ylim())
    codes = axes.secondary_yaxis("right")
    codes.set_yticks(labelled, [_minus(f"{code}") for code in scheme.quantize(labelled)])
    codes.set_ylabel("code q")
    return figure


def error_against_input(
    scheme: Scheme, low: float, high: float, bound: float | None = None, title: str = "The error of each value"
) -> Figure:
    """x̂ − x against x from `low` to `high`; dashed lines at ±`bound` when it is given."""
    figure, axes = new_figure(3.2)
    x = np.linspace(low, high, 4001, dtype=np.float32)
    axes.plot(x, fake_quantize(scheme, x) - x, color=BLUE, label="error x̂ − x")
    if bound is not None:
        axes.axhline(bound, color=VERMILLION, linestyle="--", linewidth=1.2, label=f"bound ±{bound:.3g}")
        axes.axhline(-bound, color=VERMILLION, linestyle="--", linewidth=1.2)
    axes.set(title=title, xlabel="value x", ylabel="error x̂ − x (unit of x)", xlim=(low, high))
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.3 * (top - bottom))  # room for the legend above the curve
    axes.legend(loc="upper center", ncols=2)
    return figure


def relative_error(
    scheme: Scheme,
    values: ArrayLike,
    half_step: float | None = None,
    title: str = "The smaller the value, the larger its relative error",
) -> Figure:
    """|x̂ − x|/|x| in percent against |x| (logarithmic axis), one dot for each of at most 5000 of the `values`.

    A dashed line at `half_step` when it is given. The smallest twentieth of the values is left of the axis: it would
    take half of a logarithmic one.
    """
    figure, axes = new_figure(3.6)
    x = np.asarray(values, np.float32)
    relative = 100 * np.abs(fake_quantize(scheme, x) - x).ravel()
    magnitude = np.abs(x).ravel()
    present = np.flatnonzero(magnitude)
    shown = present[:: math.ceil(len(present) / 5000)]
    name = "one dot per value" if len(shown) == len(present) else f"{len(shown):,} of {len(present):,} values"
    axes.plot(magnitude[shown], relative[shown] / magnitude[shown], ".", color=BLUE, markersize=3, label=name)
    axes.set(title=title, xlabel="magnitude |x| (logarithmic scale)", ylabel="relative error (%)", xscale="log")
    axes.set_xlim(left=float(np.quantile(magnitude[shown], 0.05)))
    if half_step is not None:
        axes.axvline(half_step, color=VERMILLION, linestyle="--", linewidth=1.2, label=f"half a step: {half_step:.3g}")
    axes.legend(loc="upper right", markerscale=3)
    return figure


def triptych(x: ArrayLike, scheme: Scheme, title: str = "Original, quantized, error", unit: str = "") -> Figure:
    """Three maps of a matrix: x, x̂ and x̂ − x, with numbers in the cells when there are few."""
    original = np.asarray(x, np.float32)
    restored = fake_quantize(scheme, original)
    figure, axes = new_figure(_map_height(original, 3), columns=3)
    limits = (float(original.min()), float(original.max()))
    error = restored - original
    largest = float(np.abs(error).max())
    suffix = f" ({unit})" if unit else ""
    _map(axes[0], original, f"original x{suffix}", limits)
    values = _map(axes[1], restored, f"quantized x̂{suffix}", limits)
    errors = _map(axes[2], error, f"error x̂ − x{suffix}", (-largest, largest))
    figure.colorbar(values, ax=axes[:2], location="bottom", shrink=0.6, aspect=40)
    figure.colorbar(errors, ax=axes[2], location="bottom", aspect=20)
    figure.suptitle(title, fontsize=STYLE["axes.titlesize"])
    return figure


def shared_scales(
    x: ArrayLike, schemes: Mapping[str, Scheme], scale_shapes: Mapping[str, tuple[int, int]], title: str
) -> Figure:
    """The matrix `x`, and a map of |x̂ − x| per scheme; boxes surround the values that share one scale.

    `scale_shapes[name]` is the (rows, columns) of one box.
    """
    original = np.asarray(x, np.float32)
    errors = {name: np.abs(fake_quantize(scheme, original) - original) for name, scheme in schemes.items()}
    limits = (0.0, max(float(error.max()) for error in errors.values()))
    figure, axes = new_figure(_map_height(original, 1 + len(schemes)), columns=1 + len(schemes))
    # In grey, because its colours mean values and those of the other panels errors.
    values = _map(axes[0], original, "the values x", (float(original.min()), float(original.max())), "gray")
    for panel, (name, error) in zip(axes[1:], errors.items()):
        image = _map(panel, error, name, limits)
        rows, columns = scale_shapes[name]
        for row in range(0, original.shape[0], rows):
            for column in range(0, original.shape[1], columns):
                corner = (column - 0.46, row - 0.46)
                box = Rectangle(corner, columns - 0.08, rows - 0.08, fill=False, color=ORANGE, linewidth=2.5)
                panel.add_patch(box)
    figure.colorbar(values, ax=axes[0], location="bottom", aspect=14).set_label("x")
    bar = figure.colorbar(image, ax=axes[1:], location="bottom", shrink=0.6, aspect=40)
    bar.set_label("error |x̂ − x| (unit of x)")
    figure.suptitle(title, fontsize=STYLE["axes.titlesize"])
    return figure


def sqnr_against_bits(
    bits: Sequence[int], curves: Mapping[str, Sequence[float]], title: str = "Each bit adds 6.02 dB"
) -> Figure:
    """Measured signal-to-noise ratios (dB), one line per name, with the slope of 6.02 dB per bit for comparison."""
    figure, axes = new_figure(4.2)
    for (name, decibels), color, marker in zip(curves.items(), LINES, MARKERS):
        axes.plot(bits, decibels, color=color, marker=marker, markersize=6, label=name)
    axes.plot(bits, 6.0206 * np.asarray(bits), "--", color=BLACK, linewidth=1.2, label="6.02 dB × bits")
    axes.set(title=title, xlabel="bits per value", ylabel="SQNR (dB)", xticks=list(bits))
    axes.legend(loc="upper left")
    return figure


def histogram(x: ArrayLike, scheme: Scheme, title: str = "Values and levels", unit: str = "") -> Figure:
    """How often each value of `x` occurs (log scale), with the levels of the scheme as a rug below."""
    values = np.asarray(x, np.float32).ravel()
    figure, axes = new_figure(3.4)
    axes.hist(values, bins=120, color=SKY, log=True, label="values")
    # The finest rug that still shows every level: no shared scheme here has more than 2^12 of them.
    levels = np.unique(fake_quantize(scheme, np.linspace(values.min(), values.max(), 20001, dtype=np.float32)))
    axes.plot(levels, np.full(len(levels), 0.03), "|", color=VERMILLION, markersize=11, label=f"{len(levels)} levels",
              transform=axes.get_xaxis_transform())  # fmt: skip
    axes.set(title=title, xlabel=f"value{f' ({unit})' if unit else ''}", ylabel="count (log scale)")
    axes.legend(loc="upper right")
    return figure


def _spread(levels: NDArray[Any], limits: tuple[float, float]) -> NDArray[Any]:
    """Every level, or every second, fourth, ... counted from zero, so that their labels do not touch; and the ends."""
    every, closest = 1, 0.045 * (limits[1] - limits[0])
    zero = int(np.argmin(np.abs(levels)))
    while len(levels) > 2 * every and np.min(np.diff(levels[zero % every :: every])) < closest:
        every *= 2
    spread = levels[zero % every :: every]
    for end in (levels[0], levels[-1]):
        if end not in spread and abs(end - levels[zero]) >= closest:
            spread = np.sort(np.append(spread[np.abs(spread - end) >= closest], end))
    return spread


def _minus(number: str) -> str:
    """A number with the minus sign that the axes use."""
    return number.replace("-", "−")


def _saturated(x: NDArray[Any], y: NDArray[Any]) -> list[tuple[float, float]]:
    """The ends of the interval x, if any, that lie more than a half step beyond the outermost levels."""
    levels = np.unique(y)
    if len(levels) < 2:
        return []
    half = (levels[1] - levels[0]) / 2, (levels[-1] - levels[-2]) / 2
    ends = [(float(x[0]), float(levels[0] - half[0])), (float(levels[-1] + half[1]), float(x[-1]))]
    return [(start, end) for start, end in ends if start < end]


def _histogram_behind(axes: Axes, values: ArrayLike, low: float, high: float) -> None:
    behind = axes.twinx()
    behind.hist(np.asarray(values).ravel(), bins=80, range=(low, high), color="#BBBBBB")
    behind.set_zorder(axes.get_zorder() - 1)
    behind.set_yticks([])
    behind.spines[:].set_visible(False)
    axes.patch.set_visible(False)
    axes.plot([], [], color="#BBBBBB", linewidth=6, label="data (count)")


def _legend_once(axes: Axes, **options: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(*zip(*{label: (handle, label) for handle, label in zip(handles, labels)}.values()), **options)


def _map_height(matrix: NDArray[Any], panels: int) -> float:
    rows, columns = matrix.shape
    return WIDTH / panels * min(rows / columns, 1.6) + 1.1


def _map(axes: Axes, matrix: NDArray[Any], title: str, limits: tuple[float, float], colors: str = "cividis") -> Any:
    """A matrix as colours on a fixed scale, with its numbers when there are few."""
    image = axes.imshow(matrix, vmin=limits[0], vmax=limits[1], cmap=colors)
    axes.set_title(title, fontsize=11)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    rows, columns = matrix.shape
    if rows <= MOST_NUMBERS[0] and columns <= MOST_NUMBERS[1]:
        middle = sum(limits) / 2
        for (row, column), value in np.ndenumerate(matrix):
            color = "white" if value < middle else "black"
            axes.text(column, row, _minus(f"{value:.2f}"), ha="center", va="center", fontsize=10, color=color)
    return image
