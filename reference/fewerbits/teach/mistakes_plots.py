"""Figures of mistakes: a photograph that went through one, and what each value became. Style as in `plots`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

from fewerbits.teach import mistakes
from fewerbits.teach.plots import BLACK, BLUE, STYLE, WIDTH, Figure, new_figure
from fewerbits.tensor.uniform import Uniform

FloatArray = NDArray[np.floating]


def _quantized_by(name: str) -> Callable[[FloatArray, Uniform], FloatArray]:
    """The mistake is made on the way to codes; the way back is right."""

    def through(x: FloatArray, scheme: Uniform) -> FloatArray:
        scale, zero_point = float(scheme.scale), int(scheme.zero_point)
        codes = mistakes.find(name, "quantize")(x, scale, zero_point, scheme.qmin, scheme.qmax)
        return scale * (codes - np.float64(zero_point))

    return through


def _dequantized_by(name: str) -> Callable[[FloatArray, Uniform], FloatArray]:
    """The codes are right; the mistake is made on the way back."""

    def through(x: FloatArray, scheme: Uniform) -> FloatArray:
        wrong = mistakes.find(name, "dequantize")
        return np.asarray(wrong(scheme.quantize(x), float(scheme.scale), int(scheme.zero_point)))

    return through


def _without_zero(x: FloatArray, scheme: Uniform) -> FloatArray:
    """Values and range stand 10 higher, so that the range does not contain zero, and come back that much lower."""
    ends = 10.0 + float(scheme.scale) * (np.array([scheme.qmin, scheme.qmax]) - int(scheme.zero_point))
    scale, zero_point = mistakes.find("range without zero", "affine_parameters")(ends, scheme.bits)
    codes = np.clip(np.rint((x + 10.0) / scale) + zero_point, scheme.qmin, scheme.qmax)
    return scale * (codes - zero_point) - 10.0


# Each takes values and the right quantizer, and gives what comes back.
MADE: dict[str, Callable[[FloatArray, Uniform], FloatArray]] = {
    "wrap_instead_of_clamp": _quantized_by("wrap_instead_of_clamp"),
    "truncation_for_rounding": _quantized_by("truncation_for_rounding"),
    "clamped_codes_in_the_wrong_type": _quantized_by("clamped_codes_in_the_wrong_type"),
    "zero_point_forgotten": _dequantized_by("zero_point_forgotten"),
    "subtraction_in_the_code_type": _dequantized_by("subtraction_in_the_code_type"),
    "scale_the_wrong_way": _dequantized_by("scale_the_wrong_way"),
    "range_without_zero": _without_zero,
}

# Who is who in the row of photographs of lesson 08.
SUSPECTS = {
    "A": "subtraction_in_the_code_type",
    "B": "range_without_zero",
    "C": "truncation_for_rounding",
    "D": "wrap_instead_of_clamp",
    "E": "clamped_codes_in_the_wrong_type",
    "F": "zero_point_forgotten",
}


def made(name: str, x: ArrayLike, low: float, high: float, bits: int = 8) -> FloatArray:
    """What comes back of `x` through uint8 codes for the range low..high when the mistake `name` of MADE is made."""
    scheme = Uniform.from_range(low, high, bits, symmetric=False, signed=False)
    return MADE[name](np.asarray(x, np.float32), scheme)


def photographs(images: Mapping[str, ArrayLike], limits: tuple[float, float], title: str) -> Figure:
    """Images side by side in grey, all on the scale `limits`, at most four in a row."""
    figure, grid = _grid(len(images), title)
    for axes, (name, image) in zip(grid, images.items()):
        _photograph(axes, np.asarray(image), limits, name)
    return figure


def curves(x: ArrayLike, back: Mapping[str, ArrayLike], title: str) -> Figure:
    """What came back against `x`, which is sorted: one panel per name, at most three in a row."""
    figure, grid = _grid(len(back), title, most=3)
    for axes, (name, values) in zip(grid, back.items()):
        _curve(axes, np.asarray(x), np.asarray(values), textwrap.fill(name, 22))
    return figure


def both(name: str, image: ArrayLike, low: float, high: float, title: str, bits: int = 8) -> Figure:
    """The photograph before and after the mistake `name`, and the curve of what each value becomes."""
    x = np.asarray(image, np.float32)
    figure, (before, after, curve) = new_figure(3.2, columns=3)
    limits = (float(x.min()), float(x.max()))
    _photograph(before, x, limits, "as it was")
    _photograph(after, made(name, x, low, high, bits), limits, "as it comes back")
    line = np.linspace(*limits, 2001, dtype=np.float32)
    _curve(curve, line, made(name, line, low, high, bits), "value by value")
    figure.suptitle(title, fontsize=12)
    return figure


def _grid(panels: int, title: str, most: int = 4) -> tuple[Figure, list[Axes]]:
    """Axes for so many panels in rows of at most `most`, each about as high as it is wide."""
    columns = min(panels, most)
    rows = math.ceil(panels / columns)
    with matplotlib.rc_context(STYLE):
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06)
        figure = Figure(figsize=(WIDTH, rows * (WIDTH / columns + 0.25) + 0.4), layout=layout)
        grid = list(np.ravel(figure.subplots(rows, columns)))
    for axes in grid[panels:]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=12)
    return figure, grid[:panels]


def _photograph(axes: Axes, image: FloatArray, limits: tuple[float, float], name: str) -> None:
    axes.imshow(image, vmin=limits[0], vmax=limits[1], cmap="gray", interpolation="nearest")
    axes.set_title(name, fontsize=11)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _curve(axes: Axes, x: FloatArray, back: FloatArray, name: str) -> None:
    axes.plot(x, x, "--", color=BLACK, linewidth=1)
    axes.plot(x, back, ".", color=BLUE, markersize=2)
    axes.set_title(name, fontsize=11)
    axes.set(xlabel="value x", ylabel="comes back as")
