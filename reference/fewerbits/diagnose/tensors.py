"""Name what is wrong with a quantized tensor, from the tensor alone: values, codes, scale and zero point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.diagnose.back import ties, wrong_way_back
from fewerbits.diagnose.case import read
from fewerbits.diagnose.codes import wrong_codes
from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.fitness import unfit_parameters, unusable_numbers
from fewerbits.diagnose.words import finding
from fewerbits.tensor import validation as valid


def diagnose(
    values: ArrayLike,
    codes: ArrayLike,
    scale: ArrayLike,
    zero_point: ArrayLike = 0,
    bits: int | None = None,
    *,
    signed: bool | None = None,
    symmetric: bool | None = None,
    axis: int | None = None,
    dequantized: ArrayLike | None = None,
    rounding: str | None = None,
) -> list[Finding]:
    """What is wrong with `codes` as a uniform quantization of `values`; an empty list when nothing is.

    Three questions, in this order. Are the numbers usable? Are the codes clip(round(values/scale) + zero_point), and
    if not, which known mistake gives exactly these, all of them, or all of the channels that have wrong ones? If none
    does, they are `codes_unexplained`, with how many and where. Do scale and zero point fit the values, and if not,
    which wrong formula gives them? With `dequantized`, also: is that s·(q − z)?

    `values` are the real numbers, all that the scale is meant for; `codes` have their shape. `scale` and `zero_point`
    are numbers, or with `axis` one for each of its indices, or arrays that broadcast with axes of length 1. `signed`
    says whether codes are −2^(b−1)..2^(b−1) − 1 or 0..2^b − 1; None reads it from the type of `codes`, and in a wider
    type from the codes: unsigned when none is negative and one is 2^(b−1) or more. `bits` of None
    are 8, or 16 for codes of a 16-bit type that reach beyond 12. Torch's tensors are read as well, quantized ones and
    bfloat16 included.
    `symmetric=True` adds that the zero point must be the symmetric one. Ties may go either way, to the even or away
    from zero, and a zero point may be added before or after rounding: those are conventions. To have ties examined as
    well, name the rule in `rounding` (as in `tensor.rounding`); with "toward_zero", "floor" or "stochastic" that rule
    is the right one. A narrow range is silent, and so is a range that costs less than two bits (16 times the squared
    error of min-max), clipped or too wide; but one exactly twice too wide, that of one bit less, is `one_bit_lost`.
    Where 7 bits are meant (reduce_range), say `bits=7`.

    A correct min-max quantization has findings in two cases, because it wastes a bit or more: of values with far
    outliers (`one_outlier_takes_the_range`), and symmetric of values with one sign (lesson 02, section 4).

    Raises ValueError/TypeError for arguments that cannot be read: shapes that do not fit, types that are not numbers.
    NaN, infinity and zero scales are findings.

    >>> [found.name for found in diagnose([-1.0, 0.4, 1.0], [-127, 50, 127], 1 / 127)]
    ['truncation_for_rounding']
    """
    values, scale, zero_point, dequantized = (_from_torch(each) for each in (values, scale, zero_point, dequantized))
    integers, found = _integer_codes(_from_torch(codes, codes=True), values, scale, zero_point)
    if integers is None:
        return found
    if bits is None:
        wide = integers.dtype.itemsize == 2 and integers.size and np.abs(integers.astype(np.int64)).max() >= 2**12
        bits = 16 if wide else 8
    if other := _scales_of_another_axis(values, scale, axis):
        return [*found, other]
    case = read(values, integers, scale, zero_point, bits, signed, symmetric, axis, rounding, dequantized)
    if unusable := unusable_numbers(case):
        return found + unusable
    wrong = wrong_codes(case)
    unfit = unfit_parameters(case)
    return [*found, *_first_causes(wrong, unfit), *ties(case), *wrong_way_back(case)]


def _from_torch(given: Any, codes: bool = False) -> Any:
    """A tensor of torch as NumPy has it; anything else as it is. Torch is not imported for that."""
    if not type(given).__module__.startswith("torch") or not hasattr(given, "detach"):
        return given
    tensor = given.detach().cpu()
    if tensor.is_quantized:
        tensor = tensor.int_repr() if codes else tensor.dequantize()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _first_causes(wrong: list[Finding], unfit: list[Finding]) -> list[Finding]:
    """Without what only follows from another finding: codes out of range from a scale made for a bit more, and a scale
    that misfits the values because the codes belong to another one."""
    names = {item.name for item in unfit}
    if names & {"levels_per_side", "zero_point_of_wrong_sign", "range_without_zero"}:
        wrong = [item for item in wrong if item.name != "clamp_forgotten"]
    named = {item.name for item in wrong}
    misfits = {"range_too_wide", "range_too_narrow", "channel_quantized_to_zero"}
    if named & {"scale_the_wrong_way", "scale_applied_twice", "scale_forgotten", "scales_along_the_last_axis"}:
        unfit = [item for item in unfit if item.name not in misfits]
    if named & {"scales_along_the_last_axis", "wrong_axis"}:
        unfit = [item for item in unfit if item.name not in {*misfits, "wrong_axis"}]
    if named & {
        "zero_point_minus_one",
        "zero_point_of_another_range",
        "zero_point_one_too_high",
        "zero_point_of_wrong_sign",
        "zero_point_forgotten",
        "clamped_codes_in_the_wrong_type",
    }:
        unfit = [item for item in unfit if item.where != "zero_point"]
    if named & {
        "codes_of_another_scale",
        "codes_negated",
        "codes_of_the_other_signedness",
        "codes_read_in_the_other_type",
        "scales_of_other_channels",
        "clamped_to_a_narrower_range",
    }:
        unfit = []
    return wrong + unfit


def _integer_codes(
    codes: ArrayLike, values: ArrayLike, scale: ArrayLike, zero_point: ArrayLike
) -> tuple[NDArray[Any] | None, list[Finding]]:
    """Codes as integers, with a finding when they are kept as floats; None when they are no codes at all."""
    array = np.asarray(codes)
    if array.dtype.kind != "f":
        wide = np.iinfo(np.int64)
        return valid.integer_codes(array, wide.min, wide.max), []
    array = valid.real_array(array, "codes", finite=False)
    bad = ~np.isfinite(array)
    if bad.any():
        name = "nan_in_the_range" if not _has_zero(scale) else "zero_scale"
        return None, [finding(name, "codes", f"{int(bad.sum())} of {array.size} codes are {array[bad].flat[0]}")]
    if (array == np.rint(array)).all() and np.abs(array).max() < 2**53:
        text = f"{array.size} codes as {array.dtype}, {array.dtype.itemsize} bytes each"
        whole_by_chance = np.asarray(scale).size == 1 and np.all(np.asarray(scale) == 1)
        return array.astype(np.int64), [] if whole_by_chance else [finding("codes_in_a_float_type", "codes", text)]
    distinct = np.unique(array).size
    text = f"{array.dtype} that are not whole, {distinct} different ones, {array.nbytes} bytes"
    return None, [finding("fake_quantized_floats_stored", "codes", text)]


def _has_zero(scale: ArrayLike) -> bool:
    return bool((np.asarray(scale) == 0).any())


def _scales_of_another_axis(values: ArrayLike, scale: ArrayLike, axis: int | None) -> Finding | None:
    """A finding when there are as many scales as another axis has indices, and this one has not."""
    shape, scales = np.shape(values), np.asarray(scale)
    if axis is None or scales.ndim != 1 or scales.size == 1 or not shape:
        return None
    axis = valid.axis_of(axis, len(shape))
    others = [other for other, length in enumerate(shape) if length == scales.size]
    if scales.size == shape[axis] or not others:
        return None
    text = f"{scales.size} scales for axis {axis} of length {shape[axis]}: they are those of axis {others[0]}"
    return finding("wrong_axis", "scale", text)
