"""Codebooks: any list of levels, each value stored as the index of the nearest one.

Levels come from the data (k-means, quantiles), from a density (`lloyd_max`, normal quantiles), or from a format: NF4 is
16 fixed levels and one scale for each block of 64 weights. Source: Dettmers et al., "QLoRA" (2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid
from fewerbits.tensor.k_means import k_means, lloyd
from fewerbits.tensor.pieces import PIECE_BYTES, as_groups
from fewerbits.tensor.quantiles import NF4
from fewerbits.tensor.uniform import Uniform

TIES = ("lower", "upper", "even")
# Counting comparisons beats binary search up to so many levels (measured on 1e6 values: 10 times at 16 levels).
COUNTED_LEVELS = 256
# How many quantiles of the data `Codebook.fit` clusters exactly where it does not cluster all values exactly.
QUANTILES = 4096


@dataclass(frozen=True, eq=False)
class Codebook:
    """A fitted codebook: q is the index of the level nearest to x/s, and x̂ = s·levels[q].

    `levels` are float32, ascending, 1 to 65536 of them; codes are 0..N−1. `scale` is float32 and positive, of shape ()
    per tensor, (C,) with `axis`, or the shape of x with `axis` divided by `group_size`.

    Conventions: a value midway between two levels goes to the "lower" one (bitsandbytes' kernels, for NF4), the
    "upper", or the one of "even" index, by `ties`; the midpoint is exact, not rounded to float32. `reciprocal`
    multiplies by float32(1/s) (bitsandbytes) instead of dividing. `constant_levels` says that a format fixes the
    levels, so that they are not stored; `scale_nbytes` counts the scales when they are stored in fewer bytes than
    float32 takes (`double_quantize`).
    """

    levels: NDArray[np.float32]
    scale: NDArray[np.float32] = field(default_factory=lambda: np.ones((), np.float32))
    axis: int | None = None
    group_size: int | None = None
    ties: str = "lower"
    reciprocal: bool = False
    constant_levels: bool = False
    scale_nbytes: int | None = None

    def __post_init__(self) -> None:
        with np.errstate(over="ignore", under="ignore"):
            scale = valid.real_array(self.scale, "scale").astype(np.float32)
            inverse = np.float32(1) / scale[scale > 0]
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(f"scale holds {scale.min()} as float32: every scale must be positive and finite")
        if valid.boolean(self.reciprocal, "reciprocal") and not np.isfinite(inverse).all():
            raise ValueError(f"scale holds {scale.min()}: reciprocal=True needs scales whose 1/s is finite in float32")
        if self.group_size is None and scale.ndim != (0 if self.axis is None else 1):
            wanted = "() for one scale per tensor" if self.axis is None else "(channels,) with axis"
            raise ValueError(f"scale has shape {scale.shape}: it must be {wanted}")
        if self.group_size is not None and self.axis is None:
            raise ValueError("axis=None is not accepted with group_size: name the axis that is divided into groups")
        valid.one_of(self.ties, "ties", TIES)
        valid.boolean(self.constant_levels, "constant_levels")
        if self.scale_nbytes is not None:
            valid.integer(self.scale_nbytes, "scale_nbytes", 0)
        object.__setattr__(self, "levels", _checked(self.levels))
        object.__setattr__(self, "scale", scale)

    @property
    def bits(self) -> int:
        """Bits of one code: ⌈log2 N⌉, at least 1."""
        return max(1, (self.levels.size - 1).bit_length())

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """uint8 up to 256 levels, uint16 above."""
        return np.dtype(np.uint8 if self.bits <= 8 else np.uint16)

    @classmethod
    def fit(
        cls,
        x: ArrayLike,
        bits: int = 4,
        *,
        levels: ArrayLike | None = None,
        axis: int | None = None,
        group_size: int | None = None,
        exact: bool = True,
        **conventions: Any,
    ) -> Codebook:
        """The codebook for `x`: its scales are the largest |x| of each channel or group, and 1 without an `axis`.

        Without `levels`, the best 2^bits of them for x/s, by k-means: the optimum when `exact` (a quarter of a second
        for 1e5 values and 16 levels), otherwise Lloyd's iteration from the optimum for 4096 quantiles. Fewer distinct
        values give fewer levels. Given `levels` (which span −1..1, as a rule) fix `bits`, and then the scale is the
        largest |x| per tensor, too. A channel, group or tensor of zeros gets the scale 1. `conventions` are the
        remaining fields.
        Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`, bits outside 1..16, a wrong axis, and a
        group size that does not divide the axis.
        """
        x = valid.real_array(x)
        valid.integer(bits, "bits", 1, 16)
        valid.boolean(exact, "exact")
        view, other_axes = as_groups(x, axis, group_size)
        axis = None if axis is None else valid.axis_of(axis, x.ndim)
        scale = np.ones((), np.float32)
        if axis is not None or levels is not None:
            with np.errstate(over="ignore", under="ignore"):
                largest = np.maximum(view.max(axis=other_axes), -view.min(axis=other_axes)).astype(np.float32)
            scale = np.where(largest == 0, np.float32(1), np.maximum(largest, np.finfo(np.float32).tiny))
        if levels is None:
            unfitted = cls(np.zeros(1, np.float32), scale, axis, group_size, **conventions)
            return replace(unfitted, levels=_best_levels(unfitted._scaled(x), 2**bits, exact))
        return cls(np.asarray(levels), scale, axis, group_size, **conventions)

    @classmethod
    def nf4(cls, x: ArrayLike, group_size: int = 64, **conventions: Any) -> Codebook:
        """NF4 for `x`, scaled by the largest |x| of each run of `group_size` values along the last axis.

        Conventions are those of bitsandbytes: ties to the lower level, multiplication by 1/s. Errors as in `fit`.
        """
        return cls.fit(
            x, levels=NF4, axis=-1, group_size=group_size, **{"reciprocal": True, "constant_levels": True} | conventions
        )

    def quantize(self, x: ArrayLike) -> NDArray[Any]:
        """Codes of `x` in the shape of `x`, dtype `code_dtype`; values outside the levels go to the outermost.

        The quotient is computed in the dtype of `x`, at least float32. Raises ValueError/TypeError for NaN, infinity,
        empty or non-real `x`, and for a shape that does not fit `scale`.
        """
        return _nearest(self._scaled(valid.real_array(x)), self.levels, self.ties)

    def dequantize(self, codes: ArrayLike) -> NDArray[np.float32]:
        """x̂ = s·levels[q] in float32, in the shape of `codes` (integers in 0..N−1).

        Raises TypeError for codes that are not integers, ValueError for codes outside 0..N−1, and for a shape that
        does not fit `scale`.
        """
        values = self.levels[valid.integer_codes(codes, 0, self.levels.size - 1).astype(np.intp)]
        view, scale = self._with_scale(values)
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(view * scale).reshape(values.shape)

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of `shape`: packed codes, 4 per level unless they are constants of the format, and 4 per
        scale (or `scale_nbytes`) unless there is one scale and it is 1."""
        packed = math.ceil(math.prod(shape) * self.bits / 8)
        scales = 0 if self.scale.ndim == 0 and self.scale == 1 else 4 * self.scale.size
        return (
            packed
            + (scales if self.scale_nbytes is None else self.scale_nbytes)
            + (0 if self.constant_levels else 4 * self.levels.size)
        )

    def _with_scale(self, x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """A view of `x` with its groups apart, and the scales in a shape that broadcasts against it."""
        view, other_axes = as_groups(x, self.axis, self.group_size)
        wanted = tuple(size for axis, size in enumerate(view.shape) if axis not in other_axes)
        if self.scale.shape != wanted:
            raise ValueError(
                f"x has shape {x.shape}: scale has shape {self.scale.shape} and does not fit "
                f"axis={self.axis}, group_size={self.group_size}"
            )
        return view, np.expand_dims(self.scale, other_axes)

    def _scaled(self, x: NDArray[Any]) -> NDArray[Any]:
        """x/s in the shape of `x`, float32 or float64."""
        kind = np.result_type(x, np.float32)
        view, scale = self._with_scale(x.astype(kind, copy=False))
        with np.errstate(over="ignore", under="ignore"):
            factor = (np.float32(1) / scale).astype(kind) if self.reciprocal else scale.astype(kind)
            return np.asarray(view * factor if self.reciprocal else view / factor).reshape(x.shape)


def nearest(x: ArrayLike, levels: ArrayLike, ties: str = "lower") -> NDArray[Any]:
    """The index of the level nearest to each value, uint8 or (above 256 levels) uint16, in the shape of `x`.

    `levels` are float32 and ascend strictly. It is exact: the midpoint of two levels is not rounded, and `ties` (see
    `Codebook`) decides only for values that lie midway. Raises ValueError/TypeError for NaN, infinity, empty or
    non-real `x` and for levels that do not ascend.
    """
    x = valid.real_array(x)
    return _nearest(
        x.astype(np.result_type(x, np.float32), copy=False), _checked(levels), valid.one_of(ties, "ties", TIES)
    )


def double_quantize(codebook: Codebook, group_size: int = 256) -> Codebook:
    """The codebook with its scales stored in 8 bits: less their mean, uniform, one float32 per `group_size` of them.

    NF4 in blocks of 64 falls from 4.5 to 4 + 8/64 + 32/(64·256) = 4.127 bits per value. QLoRA, section 3, does so with
    an 8-bit float for the second step. Raises ValueError when `group_size` does not divide the number of scales.
    """
    scales = codebook.scale.reshape(-1)
    mean = scales.mean(dtype=np.float64).astype(np.float32)
    scheme = Uniform.fit(scales - mean, 8, axis=0, group_size=group_size)
    stored = scheme.dequantize(scheme.quantize(scales - mean)) + mean
    return replace(
        codebook,
        scale=np.maximum(stored, np.finfo(np.float32).tiny).reshape(codebook.scale.shape),
        scale_nbytes=scheme.nbytes(scales.shape) + 4,
    )


def _checked(levels: ArrayLike) -> NDArray[np.float32]:
    with np.errstate(over="ignore", under="ignore"):
        checked = valid.real_array(levels, "levels").astype(np.float32)
    if (
        checked.ndim != 1
        or checked.size > 65536
        or not np.isfinite(checked).all()
        or (checked[1:] <= checked[:-1]).any()
    ):
        raise ValueError(
            f"levels of shape {checked.shape} from {checked.min()} to {checked.max()}: a list of at most 65536 finite "
            "levels is needed that ascends strictly as float32"
        )
    return checked


def _nearest(x: NDArray[Any], levels: NDArray[np.float32], ties: str) -> NDArray[Any]:
    """`nearest` for checked arguments; the quotient x/s may have become infinite."""
    firsts = _first_of_upper(levels, ties, x.dtype)
    if firsts.size >= COUNTED_LEVELS:
        return np.searchsorted(firsts, x, side="right").astype(np.uint16)
    codes = np.zeros(x.shape, np.uint8)
    flat, target = np.ascontiguousarray(x).reshape(-1), codes.reshape(-1)
    size = min(PIECE_BYTES // 4, flat.size)
    reached = np.empty(size, np.bool_)
    for start in range(0, flat.size, size):
        values, out = flat[start : start + size], target[start : start + size]
        for first in firsts:
            np.greater_equal(values, first, out=reached[: values.size])
            np.add(out, reached[: values.size].view(np.uint8), out=out)
    return codes


def _best_levels(x: NDArray[Any], count: int, exact: bool) -> NDArray[np.float32]:
    if exact or x.size <= QUANTILES:
        levels = k_means(x, count).levels
    else:
        sample = np.sort(x, axis=None)[np.linspace(0, x.size - 1, QUANTILES).astype(np.intp)]
        levels = lloyd(x, k_means(sample, count).levels).levels
    with np.errstate(over="ignore"):
        return np.unique(levels.astype(np.float32))


def _first_of_upper(levels: NDArray[np.float32], ties: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """For each pair of neighbouring levels the least number of `dtype` that belongs to the upper one."""
    lower, upper = levels[:-1].astype(np.float64), levels[1:].astype(np.float64)
    total = lower + upper
    # What the sum lost, exactly (Knuth's TwoSum): the midpoint lies above total/2 where it is positive.
    part = total - lower
    lost = (lower - (total - part)) + (upper - part)
    tie_goes_up = np.array(
        [ties == "upper" or (ties == "even" and index % 2 == 1) for index in range(lower.size)], bool
    )
    above = (lost > 0) | ((lost == 0) & ~tie_goes_up)
    first = np.where(above, np.nextafter(total / 2, np.inf), total / 2)
    rounded = first.astype(dtype)
    return np.where(rounded < first, np.nextafter(rounded, dtype.type(np.inf)), rounded)
