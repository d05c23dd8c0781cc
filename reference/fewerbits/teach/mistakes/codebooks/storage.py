"""Mistakes with what storing codes, scales and levels costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.codebooks.levels import levels_as_thresholds
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.tensors import metadata_not_counted, one_scale_for_all_channels
from fewerbits.tensor.quantiles import NF4

FloatArray = NDArray[np.floating]
Codes = NDArray[Any]


@also(metadata_not_counted, "bits_per_weight")
def codes_alone(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    return math.ceil(math.log2(levels))


@mistake(
    "bits_per_weight",
    symptom="The scales are missing: blocks of 32 seem to cost no more than one scale for the layer.",
    cause="One scale for each group is stored with the tensor, whatever the levels are.",
    repair="Add the bits of all scales.",
    source="common in tables that quote “4 bits” for every block size",
)
def scales_not_counted(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    return math.ceil(math.log2(levels)) + (0 if fixed_levels else 32 * levels / count)


@mistake(
    "bits_per_weight",
    symptom="A small layer with a codebook of its own is larger than its count of bits says.",
    cause="Levels that belong to the tensor are stored with it; only a format that fixes them gets them for nothing.",
    repair="Add 32 bits for each level, unless the levels are fixed.",
    source="common: the first formats one counts, NF4 and integers, have no codebook to store",
)
def codebook_not_counted(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    return math.ceil(math.log2(levels)) + scale_bits * math.ceil(count / group_size) / count


@mistake(
    "bits_per_weight",
    symptom="The count is right for layers that the group size divides, and a little too small for all others.",
    cause="A quotient with decimals is taken for the number of groups, or the last group is left out.",
    repair="Round the number of groups up.",
    source="common where the size of a file is estimated",
)
def incomplete_group_not_counted(
    count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool
) -> float:
    return math.ceil(math.log2(levels)) + scale_bits / group_size + (0 if fixed_levels else 32 * levels / count)


@also(incomplete_group_not_counted, "bits_per_weight")
def incomplete_group_left_out(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    metadata = scale_bits * (count // group_size) + (0 if fixed_levels else 32 * levels)
    return math.ceil(math.log2(levels)) + metadata / count


@mistake(
    "bits_per_weight",
    symptom="A format such as NF4 seems to store its levels, and a fitted codebook none.",
    cause="The condition is the wrong way round: fixed levels are the ones that need no room.",
    repair="Count the levels when they are not fixed.",
    source="common in first implementations",
)
def fixed_levels_inverted(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    metadata = scale_bits * math.ceil(count / group_size) + (32 * levels if fixed_levels else 0)
    return math.ceil(math.log2(levels)) + metadata / count


@mistake(
    "bits_per_weight",
    symptom="A codebook of 12 levels is said to take 3.58 bits, and the file is larger.",
    cause="Codes of a fixed length are whole numbers of bits; the logarithm of the number of levels is not.",
    repair="Round log₂ of the number of levels up.",
    source="common; the entropy of the codes is another thing",
)
def fractional_code_bits(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    metadata = scale_bits * math.ceil(count / group_size) + (0 if fixed_levels else 32 * levels)
    return math.log2(levels) + metadata / count


@mistake(
    "bits_per_weight",
    symptom="A codebook of 12 levels is said to take 3 bits, which can name only 8 of them.",
    cause="The bits of a code are rounded down.",
    repair="Round log₂ of the number of levels up.",
    source="common: int() and // cut the decimals off",
)
def code_bits_rounded_down(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    metadata = scale_bits * math.ceil(count / group_size) + (0 if fixed_levels else 32 * levels)
    return math.floor(math.log2(levels)) + metadata / count


@mistake(
    "bits_per_weight",
    symptom="Codebooks seem far too expensive: each group adds the bits of all levels.",
    cause="The levels are counted once for each group; only the scales are stored that often.",
    repair="Count the levels once for the tensor.",
    source="common where scales and levels are added first",
)
def codebook_for_each_group(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    metadata = math.ceil(count / group_size) * (scale_bits + (0 if fixed_levels else 32 * levels))
    return math.ceil(math.log2(levels)) + metadata / count


@mistake(
    "bits_per_weight",
    symptom="Formats such as NF4 come out larger than they are, above all on small layers.",
    cause="Levels that the format itself fixes are known to every reader; they are not stored with the tensor.",
    repair="Count a codebook only where it belongs to the tensor.",
    source="common in first implementations",
)
def fixed_levels_counted(count: int, levels: int, group_size: int, scale_bits: int, fixed_levels: bool) -> float:
    metadata = scale_bits * math.ceil(count / group_size) + 32 * levels
    return math.ceil(math.log2(levels)) + metadata / count


def _compressed(weights: FloatArray, group_size: int, kind: Any) -> tuple[Codes, FloatArray, FloatArray]:
    blocks = weights.reshape(-1, group_size)
    scale = np.abs(blocks).max(axis=1, keepdims=True).astype(kind)
    levels = NF4.astype(np.float16)
    thresholds = (levels[1:].astype(np.float32) + levels[:-1]) / 2
    return np.searchsorted(thresholds, blocks / scale), levels, scale


@also(metadata_not_counted, "compress")
def scales_that_cost_a_bit(weights: FloatArray) -> tuple[Codes, FloatArray, FloatArray]:
    return _compressed(weights, 32, np.float32)


@also(one_scale_for_all_channels, "compress")
def one_scale_for_the_layer(weights: FloatArray) -> tuple[Codes, FloatArray, FloatArray]:
    return _compressed(weights, weights.size, np.float32)


@also(levels_as_thresholds, "compress")
def levels_as_thresholds_in_a_layer(weights: FloatArray) -> tuple[Codes, FloatArray, FloatArray]:
    _, levels, scale = _compressed(weights, 48, np.float16)
    return levels_as_thresholds(weights.reshape(-1, 48) / scale, levels), levels, scale
