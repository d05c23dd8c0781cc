"""Mistakes in the size of a model."""

from __future__ import annotations

import math

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.tensors import metadata_not_counted


def _bytes(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return parameters * bits / 8 + math.ceil(parameters / group_size) * scale_bytes


@mistake(
    "model_gib",
    symptom="The size is 7 % larger than what the machine reports as free.",
    cause="A gigabyte (GB) has 10⁹ bytes; what is asked for, and what memory comes in, is the gibibyte (GiB).",
    repair="Divide by 2^30 for GiB. Write the unit that you mean.",
    source="common; IEC 80000-13 defines the two",
)
def gigabytes_for_gibibytes(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return _bytes(parameters, bits, group_size, scale_bytes) / 1e9


@mistake(
    "model_gib",
    symptom="The size is a number with nine or more digits.",
    cause="It is counted in bytes; what is asked for are GiB.",
    repair="Divide the bytes by 2^30.",
    source="common in first implementations",
)
def bytes_for_gibibytes(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return _bytes(parameters, bits, group_size, scale_bytes)


@mistake(
    "model_gib",
    symptom="The codes take eight times the room that they need.",
    cause="Bits are counted as if they were bytes.",
    repair="Eight bits make a byte: divide by 8.",
    source="common in first implementations",
)
def bits_for_bytes(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return _bytes(parameters, 8 * bits, group_size, scale_bytes) / 2**30


@mistake(
    "model_gib",
    symptom="The scales take an eighth of the room that they need.",
    cause="The scales are counted as if their size were given in bits; it is in bytes.",
    repair="Divide the bits of the codes by 8, and add the bytes of the scales as they are.",
    source="common in first implementations",
)
def scale_bytes_counted_as_bits(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return (parameters * bits + math.ceil(parameters / group_size) * scale_bytes) / 8 / 2**30


@also(metadata_not_counted, "model_gib")
def scales_not_stored(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return parameters * bits / 8 / 2**30


@mistake(
    "model_gib",
    symptom="Hardly any difference: the size is that of one scale too small, where groups do not come out even.",
    cause="The last group is not full, and it is not counted, or in part; it needs a whole scale all the same.",
    repair="Round the number of groups up: ceil(parameters / group_size).",
    source="common in first implementations",
)
def last_group_not_counted(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return (parameters * bits / 8 + parameters // group_size * scale_bytes) / 2**30


@also(last_group_not_counted, "model_gib")
def last_group_counted_in_part(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return parameters * (bits / 8 + scale_bytes / group_size) / 2**30


@mistake(
    "model_gib",
    symptom="The size is that of one scale too large, where groups come out even.",
    cause="One group is always added to the full ones, also where nothing is left for it.",
    repair="Round the quotient up, and only up: -(-a // b).",
    source="common: a // b + 1 for a quotient rounded up",
)
def group_of_nothing(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return (parameters * bits / 8 + (parameters // group_size + 1) * scale_bytes) / 2**30


@mistake(
    "model_gib",
    symptom="Only tiny tensors differ, by a part of a byte.",
    cause="The codes are rounded to whole bytes; here the size was to stay as it comes.",
    repair="Divide with / and not with //.",
    source="common in first implementations; files do round up, each tensor for itself",
)
def rounded_to_whole_bytes(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return _bytes(parameters * bits // 8, 8, 1, 0) / 2**30 + scale_bytes * math.ceil(parameters / group_size) / 2**30


@also(rounded_to_whole_bytes, "model_gib")
def rounded_up_to_whole_bytes(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return (math.ceil(parameters * bits / 8) + math.ceil(parameters / group_size) * scale_bytes) / 2**30


@mistake(
    "model_gib",
    symptom="The size hardly shrinks however few the bits are: as many scales are stored as values.",
    cause="A scale is counted for every value, and not for every group of values.",
    repair="Divide the number of values by the group size.",
    source="common in first implementations",
)
def scale_for_every_value(parameters: int, bits: int, group_size: int, scale_bytes: int) -> float:
    return parameters * (bits / 8 + scale_bytes) / 2**30
