"""Whether scale and zero point fit the values: sound numbers, the right formula, a range worth its codes.

Formulas are recognised by giving the very scale that is there (to the precision of float32), never by its being
large or small. Only a few findings rest on a threshold, and each states it: a range too wide or too narrow, an
outlier, one scale for unequal channels, and data of one sign.
"""

from __future__ import annotations

import numpy as np

from fewerbits.diagnose.case import Array, Case
from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.words import finding

# Min-max needs no skill. Squared error of 16 times its own (12 dB, two bits) is no choice of clip, but a foreign scale.
FOREIGN = 16.0
# Two bits: without these few values all others could have a quarter of the step. Of a hundred values of normal or
# Laplace data the largest is never so far out (for Laplace: less than once in 10⁵).
OUTLIER_RATIO, OUTLIER_SHARE, LEAST_VALUES = 4.0, 0.001, 100
# So many different values of a distribution about zero have one sign with probability 2⁻¹⁹.
ONE_SIDED_VALUES = 20
# A scale this small was raised to the smallest normal float32, whatever the formula said.
SMALLEST_SCALE = 2 * np.finfo(np.float32).tiny


def unusable_numbers(case: Case) -> list[Finding]:
    """NaN, infinity, a scale that is not positive, a zero point that is not whole: nothing else can be said then."""
    for name, array in (("scale", case.scale), ("zero_point", case.zero_point), ("values", case.x)):
        bad = ~np.isfinite(array)
        if bad.any():
            text = f"{name} holds {array[bad][0]} ({int(bad.sum())} of {array.size})"
            return [finding("nan_in_the_range", name, text)]
    if (case.scale == 0).any():
        zeros = int((case.scale == 0).sum())
        return [finding("zero_scale", "scale", f"{zeros} of {case.scale.size} scales are 0, which divide 0/0")]
    if (negative := case.scale < 0).any():
        of_largest = np.abs(case.scale - case.high / max(2 ** (case.bits - 1) - 1, 1)) <= case.precision * np.abs(
            case.scale
        )
        if of_largest[negative].all():
            text = f"the scale is {case.scale.min():.4g}, and the largest value {case.x.max():.4g}"
            return [finding("largest_value_for_largest_magnitude", "scale", text)]
        at = f", the first at index {np.flatnonzero(negative)[0]}" if negative.size > 1 else ""
        text = f"{int(negative.sum())} of {negative.size} scales are negative{at}: {case.scale[negative][0]:.4g}"
        return [finding("scale_not_positive", "scale", text)]
    fraction = case.zero_point != np.rint(case.zero_point)
    if fraction.any():
        span = _widened(case)[2] / (2**case.bits - 1)
        is_step = (np.abs(case.zero_point) < 1) | (np.abs(case.zero_point - span) <= case.precision * span)
        exchanged = (case.scale == np.rint(case.scale)).all() and is_step.all()
        name = "scale_and_zero_point_exchanged" if exchanged else "fractional_zero_point"
        text = f"zero_point is {case.zero_point[fraction][0]:.6g}, and the scale {case.scale.flat[0]:.6g}"
        return [finding(name, "zero_point", text)]
    return []


def unfit_parameters(case: Case) -> list[Finding]:
    """What is wrong with scale and zero point for these values, the special before the general."""
    if case.symmetric and not case.is_symmetric:
        text = f"zero_point is {_some(case.zero_point)}, where symmetric codes have {case.symmetric_zero_point}"
        return [finding("symmetric_with_a_zero_point", "zero_point", text)]
    special = wrong_axis(case) or wrong_formula(case) or wrong_zero_point(case)
    if special:
        return special
    misfit = one_scale_for_channels(case) or dead_channels(case) or foreign_scale(case)
    return misfit or one_sided(case) + outlier(case)


def wrong_axis(case: Case) -> list[Finding]:
    """Scales that are those of another axis of the same length."""
    if case.axis is None or case.scale.size == 1:
        return []
    if case.scale.shape[case.axis] == 1 and case.x.shape[case.axis] > 1:
        text = f"scales of shape {case.scale.shape} do not vary along axis {case.axis}, the one asked for"
        return [finding("wrong_axis", "scale", text)]
    if _is_min_max(case) or not case.live.any():
        return []
    largest = max(2 ** (case.bits - 1) - 1, 1)
    for axis in range(case.x.ndim):
        if axis != case.axis and case.x.shape[axis] == case.scale.size:
            others = tuple(other for other in range(case.x.ndim) if other != axis)
            scales = np.abs(case.x).max(axis=others) / largest
            live = scales > 0
            if np.allclose(scales[live], case.scale.ravel()[live], rtol=case.precision, atol=0):
                text = f"the {case.scale.size} scales are those of axis {axis}, and are used along axis {case.axis}"
                return [finding("wrong_axis", "scale", text)]
    return []


def wrong_formula(case: Case) -> list[Finding]:
    """The scale of a known wrong formula, unless a right one gives the same number."""
    if _is_min_max(case):
        return []
    bits, peak, high = case.bits, case.peak, case.high
    low, top, span = _widened(case)
    half, whole = 2 ** (bits - 1), 2**bits - 1
    if case.is_symmetric and case.signed:
        if case.same(peak / whole):
            text = f"the scale is max|x|/{whole}, so that codes up to ±{whole} are needed; {bits} bits have ±{half - 1}"
            return [finding("levels_per_side", "scale", text)]
        if case.same(peak / half) and (high / case.scale > half - 0.5 + 2**-10).any():
            text = f"the scale is max|x|/{half}: the largest value needs code {half}, and the last is {half - 1}"
            return [finding("scaled_by_the_negative_end", "scale", text)]
        if bits > 1 and case.same(high / (half - 1)) and (peak > high).any():
            text = f"the scale fits the largest value, {high.max():.4g}; the largest magnitude is {peak.max():.4g}"
            return [finding("largest_value_for_largest_magnitude", "scale", text)]
    excludes_zero = (case.low > 0) | (case.high < 0)
    if excludes_zero[case.live].any() and case.same(np.where(excludes_zero, case.high - case.low, span) / whole):
        text = (
            f"the scale is (max − min)/{whole} of {case.low.min():.4g} to {case.high.max():.4g}, a range without zero"
        )
        return [finding("range_without_zero", "scale", f"{text}; {_distinct(case)}")]
    if case.is_symmetric and case.signed:
        for steps in sorted({half / 2 - 1, (half - 1) / 2, whole / 4, half / 2}) if bits > 2 else ():
            if case.same(peak / steps):
                text = f"the scale is max|x|/{steps:g}, that of {bits - 1} bits; {_distinct(case)} of {2**bits}"
                return [finding("one_bit_lost", "scale", f"{text} (where fewer bits are meant, say so in bits)")]
        return []
    for steps in sorted({half - 1, whole / 2, half} - {0, whole, whole - 1} if bits > 1 else ()):
        if case.same(span / steps):
            text = f"the scale is (max − min)/{steps:g}, that of {bits - 1} bits; {_distinct(case)} of {2**bits}"
            return [finding("one_bit_lost", "scale", text)]
    if case.same(span / (whole + 1)):
        text = f"the scale is (max − min)/{whole + 1}: the range {low.min():.4g} to {top.max():.4g} needs one code more"
        return [finding("codes_counted_for_steps", "scale", text)]
    return []


def wrong_zero_point(case: Case) -> list[Finding]:
    """A zero point outside the codes, or one that does not belong to the range that the scale was made for."""
    qmin, qmax = case.ends
    outside = bool(((case.zero_point < qmin) | (case.zero_point > qmax)).any())
    if not outside and (_is_min_max(case) or (case.is_symmetric and case.signed)):
        return []
    low, _, span = _widened(case)
    exact = qmin - low / case.scale
    given = f"zero_point is {_some(case.zero_point)}"
    if case.same(span / (2**case.bits - 1)):
        wanted = np.clip(np.rint(exact), qmin, qmax)
        candidates = (
            ("truncated_zero_point", np.trunc(exact)),
            ("zero_point_minus_one", wanted - 1),
            ("zero_point_one_too_high", wanted + 1),
            ("zero_point_of_wrong_sign", -np.rint(exact)),
            ("zero_point_always_zero", np.zeros_like(exact)),
            ("zero_point_of_another_range", case.zero_point),
        )
        for name, candidate in candidates:
            if (case.zero_point == candidate)[case.live | (case.zero_point.size == 1)].all():
                evidence = f"{given}; for the range of this scale it is {_some(wanted)} ({_some(exact)} rounded)"
                return [finding(name, "zero_point", evidence)]
    if outside:
        return [finding("zero_point_out_of_range", "zero_point", f"{given}, outside of {qmin}..{qmax}")]
    return []


def foreign_scale(case: Case) -> list[Finding]:
    """Squared error of FOREIGN times what min-max of these values would have: the scale belongs to others.

    That is four times the range that the values need (two wasted bits), or clipping that costs as much.
    """
    if case.scale.max() <= SMALLEST_SCALE or not case.live.any():
        return []
    expected = np.broadcast_to(_min_max_step(case) ** 2 / 12, case.x.shape).mean()
    low, high = ((end - case.zero_point) * case.scale for end in case.ends)
    with np.errstate(all="ignore"):
        error = np.mean((case.scale * (case.predicted(case.x) - case.zero_point) - case.x) ** 2)
        ratio = error / expected
    if not (np.isfinite(ratio) and ratio > FOREIGN):
        return []
    half_a_step = case.scale / 2
    clipped = (case.x > high + half_a_step) | (case.x < low - half_a_step)
    # Too narrow where clipped values make most of the error, too wide where steps do.
    beyond = np.maximum(case.x - high, low - case.x)
    narrow = np.sum(np.where(clipped, beyond, 0.0) ** 2) > 0.5 * error * case.x.size
    text = f"squared error {ratio:.3g} times that of min-max on these values; {100 * clipped.mean():.3g} % are clipped"
    name = "range_too_narrow" if narrow else "range_too_wide"
    text = f"{text}; {_distinct(case)} of {2**case.bits}"
    needed = int(np.abs(case.codes - case.zero_point).max()).bit_length() + 1
    if name == "range_too_wide" and needed < case.bits:
        text = f"{text} (if {needed} bits are meant, say bits={needed})"
    return [finding(name, "scale", text)]


def dead_channels(case: Case) -> list[Finding]:
    """Channels with values, all of whose codes are that of zero. Min-max never does that: the peak gets a code."""
    if case.scale.size == 1 or case.scale.max() <= SMALLEST_SCALE:
        return []
    others = tuple(axis for axis in range(case.x.ndim) if case.scale.shape[axis] == 1)
    silent = (case.predicted(case.x) == case.zero_point).all(axis=others, keepdims=True)
    silent &= np.broadcast_to(case.live, silent.shape) & (case.scale > SMALLEST_SCALE)
    if not silent.any():
        return []
    text = f"{int(silent.sum())} of {silent.size} channels hold values and get no code but that of zero"
    return [finding("channel_quantized_to_zero", "scale", text)]


def one_scale_for_channels(case: Case) -> list[Finding]:
    """Per channel is asked for, and one scale serves all although it costs some channel OUTLIER_RATIO (two bits)."""
    if case.axis is None or np.unique(case.scale).size > 1 or case.scale.max() <= SMALLEST_SCALE:
        return []
    others = tuple(other for other in range(case.x.ndim) if other != case.axis)
    peaks = np.abs(case.x).max(axis=others)
    peaks = peaks[peaks > 0]
    if peaks.size < 2 or peaks.max() < OUTLIER_RATIO * peaks.min():
        return []
    text = f"one scale for channels whose largest magnitudes run from {peaks.min():.4g} to {peaks.max():.4g}"
    return [finding("one_scale_for_all_channels", "scale", text)]


def one_sided(case: Case) -> list[Finding]:
    """A range symmetric about zero for values of one sign: half of its codes can never occur."""
    if not case.is_symmetric or (case.x.min() < 0 < case.x.max()):
        return []
    if np.unique(case.x[case.x != 0]).size < ONE_SIDED_VALUES:
        return []
    text = f"values from {case.x.min():.4g} to {case.x.max():.4g}; {_distinct(case)} of {2**case.bits}"
    return [finding("symmetric_range_for_one_sided_data", "zero_point", text)]


def outlier(case: Case) -> list[Finding]:
    """A range that covers a few values far out, and is OUTLIER_RATIO times what all others need.

    A heavy-tailed tensor quantized by min-max has this finding rightly: its codes are correct, and two bits of them
    are spent on one value in a thousand.
    """
    if case.scale.size == 1:
        groups = case.x[None]
    elif case.axis is not None and case.scale.size == case.x.shape[case.axis]:
        groups = np.moveaxis(case.x, case.axis, 0)
    else:
        return []  # groups, of which each scale serves too few values to speak of outliers
    reach = np.maximum(*(np.abs(end - case.zero_point) * case.scale for end in case.ends)).ravel()
    worst, text = 0.0, ""
    for values, end in zip(groups.reshape(len(groups), -1), reach):
        magnitudes = np.abs(values[values != 0])
        if magnitudes.size < LEAST_VALUES:
            continue
        few = max(1, int(OUTLIER_SHARE * magnitudes.size))
        magnitudes = np.partition(magnitudes, (magnitudes.size - few - 1, magnitudes.size - 1))
        others, largest = float(magnitudes[-few - 1]), float(magnitudes[-1])
        if min(largest, end) >= OUTLIER_RATIO * others and largest / others > worst:
            worst = largest / others
            text = f"the largest magnitude is {largest:.4g}, and all but {few} of {magnitudes.size} are at most"
            text = f"{text} {others:.4g}: that costs them {np.log2(worst):.1f} bits"
    return [finding("one_outlier_takes_the_range", "scale", text)] if text else []


def _widened(case: Case) -> tuple[Array, Array, Array]:
    """Lowest and highest value with zero between them, and their distance."""
    low, high = np.minimum(case.low, 0), np.maximum(case.high, 0)
    return low, high, high - low


def _min_max_step(case: Case) -> Array:
    """The step that min-max gives these values, symmetric where the zero point is."""
    _, _, span = _widened(case)
    if case.is_symmetric and case.bits > 1:
        return case.peak / (2 ** (case.bits - 1) - 1)
    return span / (2**case.bits - 1)


def _is_min_max(case: Case) -> bool:
    """Whether a right formula gives these parameters.

    That is max|x| over the largest code or over half of all steps, or (max − min) over all steps (one fewer in a
    narrow range) with the zero point of that range, either neighbour where it is half-way.
    """
    low, _, span = _widened(case)
    steps = 2**case.bits - 1
    halves = [n for n in ((steps - 1) / 2, steps / 2) if n > 0]
    if case.is_symmetric and any(case.same(case.peak / n) for n in halves):
        return True
    for narrow in (0, 1):
        if steps > narrow and case.same(span / (steps - narrow)):
            off = np.abs(case.zero_point - np.clip(case.ends[0] + narrow - low / case.scale, *case.ends))
            if (off <= 0.5 + 2**-10)[case.live | (off.size == 1)].all():
                return True
    return False


def _distinct(case: Case) -> str:
    return f"{np.unique(case.codes).size} different codes are used"


def _some(values: Array) -> str:
    """One number, or the ends of several."""
    low, high = f"{values.min() + 0.0:.6g}", f"{values.max() + 0.0:.6g}"  # + 0.0: no "-0"
    return low if low == high else f"{low} to {high}"
