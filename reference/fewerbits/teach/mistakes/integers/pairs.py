"""Mistakes in the sums of a CPU that adds products in saturating pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.integers.sums import cross_term_of_wrong_sign, zero_point_ignored_in_the_sum
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import wrap_instead_of_clamp

Array = NDArray[Any]
LAST = (0, 2, 3, 1)  # channels last


def _pairs(windows: Array, q_w: Array, axes: tuple[int, ...] = LAST, zero_point: int = 0) -> Array:
    """Sums of neighbouring products, not saturated: (M, O, ⌈K/2⌉)."""
    x = windows.astype(np.int64).transpose(axes).reshape(len(windows), 1, -1) - int(zero_point)
    products = x * q_w.astype(np.int64).transpose(axes).reshape(len(q_w), -1)
    return np.add.reduceat(products, range(0, products.shape[2], 2), axis=2)


def _saturated(sums: Array) -> Array:
    return np.clip(sums, -(2**15), 2**15 - 1)


def _cross_term(q_w: Array, x_zero_point: int) -> Array:
    return int(x_zero_point) * q_w.astype(np.int64).sum(axis=(1, 2, 3))


@mistake(
    "saturating_sums",
    symptom="The sums of an exact engine; an older CPU gives others where codes and weights are large.",
    cause="Nothing saturates, or single products do: two 8-bit codes give at most 32,640, which fits.",
    repair="Clip the sum of each pair of products to 16 bits, then add the pairs.",
    source="common: one product is thought of, not the two that the instruction adds",
)
def pairs_not_saturated(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    return _pairs(windows, q_w).sum(axis=2) - _cross_term(q_w, x_zero_point)


@mistake(
    "saturating_sums",
    symptom="No result is beyond 16 bits, though pairs are added in 32.",
    cause="The whole sum is clipped to 16 bits, not the pairs of which it is made.",
    repair="Clip each pair, then add the pairs in 32 bits.",
    source="common where a saturating accumulator is imagined",
)
def whole_sum_saturated(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    return _saturated(_pairs(windows, q_w).sum(axis=2)) - _cross_term(q_w, x_zero_point)


@also(whole_sum_saturated, "saturating_sums")
def whole_sum_saturated_last(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    return _saturated(_pairs(windows, q_w).sum(axis=2) - _cross_term(q_w, x_zero_point))


@mistake(
    "saturating_sums",
    symptom="Right for one channel; with several, other sums saturate than in the engine.",
    cause="Products are paired channel by channel, in the order of the array; the engine works channels last.",
    repair="Move the channel axis of windows and weights to the end before pairing.",
    source="NumPy and PyTorch keep channels first; ONNX Runtime's integer kernels work channels last",
)
def pairs_in_channel_order(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    return _saturated(_pairs(windows, q_w, (0, 1, 2, 3))).sum(axis=2) - _cross_term(q_w, x_zero_point)


@mistake(
    "saturating_sums",
    symptom="Right while the zero point is 0; with another one too few pairs saturate.",
    cause="The zero point is subtracted before the products are paired, but such a CPU multiplies raw codes.",
    repair="Pair raw codes; subtract z_x·Σ q_w from the sum afterwards.",
    source="the formula of the layer, taken for the order of the instructions",
)
def zero_point_before_the_pairs(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    return _saturated(_pairs(windows, q_w, zero_point=x_zero_point)).sum(axis=2)


@also(zero_point_ignored_in_the_sum, "saturating_sums")
def pairs_of_raw_codes_only(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    return _saturated(_pairs(windows, q_w)).sum(axis=2)


@also(cross_term_of_wrong_sign, "saturating_sums")
def pairs_with_the_cross_term_added(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    return _saturated(_pairs(windows, q_w)).sum(axis=2) + _cross_term(q_w, x_zero_point)


@also(wrap_instead_of_clamp, "saturating_sums")
def pairs_that_wrap(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    return _pairs(windows, q_w).astype(np.int16).astype(np.int64).sum(axis=2) - _cross_term(q_w, x_zero_point)


@mistake(
    "saturating_sums",
    symptom="Right for an even number of products; with 9 or 27 a little is missing.",
    cause="An odd number of products leaves a last one without a neighbour, and it is dropped.",
    repair="Add the last product alone.",
    source="a loop in steps of two that ends one product early",
)
def last_product_dropped(windows: Array, q_w: Array, x_zero_point: int) -> Array:
    pairs, products = _pairs(windows, q_w), windows[0].size
    return _saturated(pairs[:, :, : products // 2]).sum(axis=2) - _cross_term(q_w, x_zero_point)
