# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 02."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import torch
from fewerbits.tensor.uniform import Uniform


def scale_by_loop(x, bits):
    largest = 0.0
    for value in np.ravel(x).tolist():
        if abs(value) > largest:
            largest = abs(value)
    if largest == 0:
        return 1
    return largest / (2 ** (bits - 1) - 1)


def scale_from_both_ends(x, bits):
    peak = np.float32(max(-x.min(), x.max()))
    return np.array([max(peak, np.float32(1e-8)) / np.float32((1 << (bits - 1)) - 1)])


def scale_by_torch(x, bits):
    peak = torch.from_numpy(x).abs().max()
    return peak / (2 ** (bits - 1) - 1) if peak else torch.tensor(0.5)


def scale_of_the_package(x, bits):
    return Uniform.fit(x, bits).scale


def parameters_by_sorting(x, bits):
    values = sorted([0.0, *np.ravel(x).astype(float)])
    steps = (1 << bits) - 1
    scale = (values[-1] - values[0]) / steps
    if not scale:
        return [0.25, 3]
    return [scale, math.floor(-values[0] / scale + 0.5)]


def parameters_from_the_upper_end(x, bits):
    qmax = 2**bits - 1
    low, high = np.minimum(x.min(), 0), np.maximum(x.max(), 0)
    scale = np.float32(max(high - low, np.float32(1e-6))) / np.float32(qmax)
    return np.array([scale, qmax - np.rint(high / scale)]) if high > low else (scale, np.uint8(0))


def parameters_of_the_package(x, bits):
    scheme = Uniform.fit(x, bits, symmetric=False, signed=False)
    return scheme.scale, scheme.zero_point


def parameters_by_torch(x, bits):
    observer = torch.ao.quantization.MinMaxObserver(
        dtype=torch.quint8, qscheme=torch.per_tensor_affine, quant_min=0, quant_max=2**bits - 1
    )
    observer(torch.from_numpy(x))
    return tuple(part.numpy() for part in observer.calculate_qparams())


def codes_by_loop(x, scale, zero_point, qmin, qmax):
    def code(value):
        return int(min(max(round(value / scale) + zero_point, qmin), qmax))

    return np.array([code(float(value)) for value in x.flat]).reshape(x.shape).tolist()


def codes_half_away(x, scale, zero_point, qmin, qmax):
    quotients = x.astype(np.float64) / scale
    away = np.sign(quotients) * np.floor(np.abs(quotients) + 0.5)
    return np.minimum(np.maximum(away + zero_point, qmin), qmax).astype(np.float16)


def codes_by_reciprocal_zero_point_first(x, scale, zero_point, qmin, qmax):
    inverse = np.float32(1) / np.float32(scale)
    return np.floor(np.clip(x.astype(np.float32) * inverse + zero_point, qmin, qmax) + np.float32(0.5)).astype(np.int64)


def codes_by_nearest_level(x, scale, zero_point, qmin, qmax):
    levels = [(code - zero_point) * scale for code in range(qmin, qmax + 1)]
    return qmin + np.argmin(np.abs(np.subtract.outer(x, levels)), axis=-1)


def codes_by_torch(x, scale, zero_point, qmin, qmax):
    return torch.clamp(torch.round(torch.tensor(x) / scale) + zero_point, qmin, qmax).to(torch.int32)


def values_by_loop(codes, scale, zero_point):
    return (
        [[(int(q) - zero_point) * scale for q in row] for row in codes]
        if codes.ndim == 2
        else (np.array([(q - zero_point) * scale for q in codes.ravel().tolist()]).reshape(codes.shape))
    )


def values_by_multiply_add(codes, scale, zero_point):
    return codes * np.float32(scale) + np.float32(-zero_point * scale)


def values_by_table(codes, scale, zero_point):
    table = (np.arange(-128, 256) - zero_point) * scale
    return table[codes.astype(int) + 128]


def values_in_int16(codes, scale, zero_point):
    return (codes.astype(np.int16) - np.int16(zero_point)) * scale


def bound_by_loop(x, scale, zero_point, qmin, qmax):
    low, high = (qmin - zero_point) * scale, (qmax - zero_point) * scale
    bounds = []
    for value in x.flat:
        if value < low:
            bounds.append(low - float(value))
        elif value > high:
            bounds.append(float(value) - high)
        else:
            bounds.append(scale / 2)
    return np.reshape(bounds, x.shape)


def bound_by_maximum(x, scale, zero_point, qmin, qmax):
    low, high = np.float32((qmin - zero_point) * scale), np.float32((qmax - zero_point) * scale)
    return np.maximum.reduce([low - x, x - high, np.full_like(x, scale / 2)])


def bound_by_select(x, scale, zero_point, qmin, qmax):
    units = x / scale + zero_point
    return scale * np.select([units < qmin, units > qmax], [qmin - units, units - qmax], 0.5)


def channels_by_loop(weights, bits):
    largest = 2 ** (bits - 1) - 1
    codes, scales = [], []
    for channel in weights:
        scale = float(np.abs(channel).max()) / largest or 1.0
        codes.append(np.round(channel / scale).tolist())
        scales.append(scale)
    return codes, scales


def channels_by_broadcasting(weights, bits):
    axes = tuple(range(1, weights.ndim))
    qmax = 2 ** (bits - 1) - 1
    scales = np.maximum(np.abs(weights).max(axis=axes, keepdims=True).astype(np.float32), 1e-8) / qmax
    return np.clip(np.rint(weights / scales), -qmax - 1, qmax).astype(np.int8), scales


def channels_of_the_package(weights, bits):
    scheme = Uniform.fit(weights, bits, axis=0)
    return scheme.quantize(weights), scheme.scale


def channels_transposed(weights, bits):
    last = np.moveaxis(weights, 0, -1)
    scales = np.abs(last).reshape(-1, len(weights)).max(axis=0) / (2 ** (bits - 1) - 1)
    scales = np.where(scales > 0, scales, 1)
    return [np.moveaxis(np.rint(last / scales), -1, 0).astype(int), scales]


def round_trip_of_the_package(x, low, high, bits):
    scheme = Uniform.from_range(low, high, bits, symmetric=False, signed=False)
    return scheme.dequantize(scheme.quantize(x))


def round_trip_in_values(x, low, high, bits):
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / (2**bits - 1)
    shifted = round(low / step) * step
    return np.clip(np.rint(x / step) * step, shifted, shifted + (2**bits - 1) * step)


def round_trip_by_loop(x, low, high, bits):
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / (2**bits - 1)
    zero_point = int(Decimal(-low / scale).to_integral_value(ROUND_HALF_UP))
    restored = []
    for value in x.ravel():
        code = int(Decimal(float(value) / scale).to_integral_value(ROUND_HALF_UP)) + zero_point
        restored.append((max(0, min(code, 2**bits - 1)) - zero_point) * scale)
    return np.array(restored, np.float32).reshape(x.shape)


def store_channels(weights):
    codes, scales = channels_by_broadcasting(weights, 5)
    return codes, scales.astype(np.float32), 5


def store_groups_of_24(weights):
    groups = weights.reshape(-1, 24)
    scale = (0.9 * np.abs(groups).max(axis=1, keepdims=True) / 7).astype(np.float16)
    return np.clip(np.rint(groups / scale), -8, 7), scale, np.int64(4)


def store_in_clipped_groups(weights, fractions):
    """4.5 bits: groups of 32 in 4 bits, float16 scales; of the fractions of the peak the best for each group."""
    groups = weights.reshape(-1, 32)
    peak = np.abs(groups).max(axis=1, keepdims=True)
    scales = np.stack([fraction * peak / 7 for fraction in fractions]).astype(np.float16)
    codes = np.clip(np.rint(groups / scales), -8, 7)
    best = np.sum((codes * scales - groups) ** 2, axis=2, keepdims=True).argmin(axis=0, keepdims=True)
    return np.take_along_axis(codes, best, axis=0)[0], np.take_along_axis(scales, best, axis=0)[0], 4


def store_by_hints_3_and_4(weights):
    return store_in_clipped_groups(weights, [1, 0.9, 0.8])


def store_as_lists(weights):
    rows = weights.reshape(len(weights), -1).astype(float)
    scale = (np.abs(rows).max(axis=1) / 15)[:, None]
    return np.rint(rows / scale).astype(int).tolist(), scale.tolist(), 5.0


ALTERNATIVES = {
    "symmetric_scale": [scale_by_loop, scale_from_both_ends, scale_by_torch, scale_of_the_package],
    "affine_parameters": [
        parameters_by_sorting,
        parameters_from_the_upper_end,
        parameters_of_the_package,
        parameters_by_torch,
    ],
    "quantize": [
        codes_by_loop,
        codes_half_away,
        codes_by_reciprocal_zero_point_first,
        codes_by_nearest_level,
        codes_by_torch,
    ],
    "dequantize": [values_by_loop, values_by_multiply_add, values_by_table, values_in_int16],
    "error_bound": [bound_by_loop, bound_by_maximum, bound_by_select],
    "quantize_per_channel": [
        channels_by_loop,
        channels_by_broadcasting,
        channels_of_the_package,
        channels_transposed,
    ],
    "fake_quantize": [round_trip_of_the_package, round_trip_in_values, round_trip_by_loop],
    "store": [store_channels, store_groups_of_24, store_as_lists, store_by_hints_3_and_4],
}


def article(x, num_bits):
    s = np.max(np.abs(x)) / (2**num_bits - 1)
    return s if s else 1.0


def quantize_with_int8_only(x, scale, zero_point, qmin, qmax):
    rounded = np.round(x / scale).astype(np.int64) + zero_point
    return rounded.astype(np.uint8 if qmin == 0 else np.int8)


def codes_kept_in(code_type):
    def quantize(x, scale, zero_point, qmin, qmax):
        return np.clip(np.rint(x / scale) + zero_point, qmin, qmax).astype(np.int16).astype(code_type)

    return quantize


def truncate_each(x, scale, zero_point, qmin, qmax):
    codes = [min(max(int(value / scale) + zero_point, qmin), qmax) for value in x.ravel().tolist()]
    return np.reshape(codes, x.shape)


def per_channel_with_a_flat_scale(weights, bits):
    largest = 2 ** (bits - 1) - 1
    scales = np.array([abs(channel).max() for channel in weights]) / largest
    scales[scales == 0] = 1
    return np.clip(np.round(weights / scales), -largest, largest), scales


def per_channel_without_the_zero_case(weights, bits):
    codes, scales = [], []
    for channel in weights:
        scale = np.max(np.abs(channel)) / (2 ** (bits - 1) - 1)
        codes.append(np.rint(channel / scale))
        scales.append(scale)
    return np.array(codes), np.array(scales)


def per_channel(scale_of, *, unused=None):
    """Codes and scales by a loop that guards against nothing; `unused` codes at the lower end are clamped away."""

    def quantize_per_channel(weights, bits):
        codes, scales = [], []
        for channel in weights:
            scale = scale_of(channel, bits)
            code = np.rint(channel / scale)
            if unused is not None:
                code = np.clip(code, unused - 2 ** (bits - 1), 2 ** (bits - 1) - 1)
            codes.append(code)
            scales.append(scale)
        return np.array(codes), np.array(scales)

    return quantize_per_channel


def truncated_in_each_channel(weights, bits):
    scales = np.array([np.abs(channel).max() for channel in weights]) / (2 ** (bits - 1) - 1)
    return (weights / scales.reshape(-1, *[1] * (weights.ndim - 1))).astype(int), scales


def one_number_for_all_channels(weights, bits):
    scale = np.abs(weights).max() / (2 ** (bits - 1) - 1)
    return np.rint(weights / scale), scale


def parameters_with(steps_of, *, widen=True, code=lambda low, scale: round(-low / scale)):
    """Scale and zero point without a guard against zeros."""

    def affine_parameters(x, bits):
        low, high = (min(x.min(), 0), max(x.max(), 0)) if widen else (x.min(), x.max())
        scale = (high - low) / steps_of(bits)
        return scale, code(low, scale)

    return affine_parameters


def all_steps(bits):
    return 2**bits - 1


def parameters_in_python_numbers(x, bits):
    low, high = min(*x.ravel().tolist(), 0), max(*x.ravel().tolist(), 0)
    scale = (high - low) / (2**bits - 1)
    return scale, round(-low / scale)


def parameters_of_range(ends, *, last=None):
    """Scale and zero point of a range, guarded against zeros; a zero point clamped to 0..last, if that is given."""

    def affine_parameters(x, bits):
        low, high = ends(x)
        scale = (high - low) / (2**bits - 1) or 1
        code = round(-low / scale)
        return scale, code if last is None else max(0, min(code, last * (2**bits - 1) // 255))

    return affine_parameters


def exchanged(affine_parameters):
    return lambda x, bits: affine_parameters(x, bits)[::-1]


def distance_to_range(x, s, z, qmin, qmax):
    return abs(x - np.clip(x, s * (qmin - z), s * (qmax - z)))


def round_trip_with(*, last=lambda bits: 2**bits - 1, whole=np.rint, clip=True, steps=all_steps):
    """A round trip in values, with a fault that is none of the four of exercise 7."""

    def fake_quantize(x, low, high, bits):
        low, high = min(low, 0), max(high, 0)
        scale = (high - low) / steps(bits)
        codes, lowest = whole(x / scale), np.rint(low / scale)
        return scale * (np.clip(codes, lowest, lowest + last(bits)) if clip else codes)

    return fake_quantize


def fake_quantize_with(*, widen=True, whole=round, clip=True, wide_type=np.float64):
    """The code of exercise 7 with some of its four faults left in."""

    def fake_quantize(x, low, high, bits):
        if widen:
            low, high = min(low, 0), max(high, 0)
        scale = (high - low) / (2**bits - 1)
        zero_point = max(0, min(whole(-low / scale), 2**bits - 1))
        codes = np.rint(x / scale) + zero_point
        codes = np.clip(codes, 0, 2**bits - 1) if clip else codes.astype(np.int64).astype(np.uint8)
        return (codes.astype(wide_type) - zero_point) * scale

    return fake_quantize


SLIPS = {
    "symmetric_scale": [
        ("levels_per_side", article),
        ("largest_value_for_largest_magnitude", lambda x, bits: x.max() / (2 ** (bits - 1) - 1) or 1),
        ("scaled_by_the_negative_end", lambda x, bits: np.float32(abs(x).max()) / 2 ** (bits - 1) or 1),
        ("zero_scale", lambda x, bits: sorted(abs(v) for v in x.flat)[-1] / (2 ** (bits - 1) - 1)),
        ("levels_per_side", lambda x, bits: np.max(np.abs(x)) / (2**bits - 1)),
        ("levels_per_side", lambda x, bits: 1 / ((2**bits - 1) / max(abs(v) for v in x.ravel().tolist()))),
        ("scaled_by_the_negative_end", lambda x, bits: np.max(np.abs(x)) / 2 ** (bits - 1)),
        ("largest_value_for_largest_magnitude", lambda x, bits: np.max(x) / (2 ** (bits - 1) - 1)),
    ],
    "affine_parameters": [
        ("range_without_zero", lambda x, bits: ((s := (np.ptp(x) / (2**bits - 1)) or 1), round(-x.min() / s))),
        (
            "truncated_zero_point",
            lambda x, bits: (
                (s := (max(x.max(), 0) - min(x.min(), 0)) / (2**bits - 1) or 1),
                int(-min(x.min(), 0) / s),
            ),
        ),
        (
            "symmetric_range_for_one_sided_data",
            lambda x, bits: [abs(x).max() / (2 ** (bits - 1) - 1) or 1, 1 << (bits - 1)],
        ),
        ("range_without_zero", parameters_with(all_steps, widen=False)),
        ("range_without_zero", parameters_with(all_steps, widen=False, code=lambda low, scale: int(-low / scale))),
        ("codes_counted_for_steps", parameters_with(lambda bits: 2**bits)),
        ("one_bit_lost", parameters_with(lambda bits: 2 ** (bits - 1) - 1)),
        ("one_bit_lost", parameters_with(lambda bits: 2 ** (bits - 1))),
        ("zero_point_of_wrong_sign", parameters_with(all_steps, code=lambda low, scale: round(low / scale))),
        ("fractional_zero_point", parameters_with(all_steps, code=lambda low, scale: -low / scale)),
        ("scale_and_zero_point_exchanged", exchanged(parameters_with(all_steps))),
        ("zero_scale", parameters_with(all_steps)),
        ("zero_scale", parameters_in_python_numbers),
        ("zero_scale", parameters_with(all_steps, code=lambda low, s: int(np.clip(np.rint(-low / s), 0, 255)))),
        ("zero_point_always_zero", parameters_with(all_steps, code=lambda low, scale: 0)),
        ("zero_point_always_zero", parameters_with(all_steps, code=lambda low, s: int(np.clip(low / s, 0, 255)))),
        ("range_without_zero", parameters_of_range(lambda x: (min(x.min(), 0), x.max()))),
        ("range_without_zero", parameters_of_range(lambda x: (x.min(), max(x.max(), 0)))),
        ("range_without_zero", parameters_of_range(lambda x: (min(x.min(), 0), x.max()), last=255)),
        ("range_without_zero", parameters_of_range(lambda x: (x.min(), max(x.max(), 0)), last=255)),
    ],
    "quantize": [
        ("wrap_instead_of_clamp", quantize_with_int8_only),
        ("truncation_for_rounding", truncate_each),
        (
            "clamp_forgotten",
            lambda x, scale, zero_point, qmin, qmax: np.floor(x / scale + 0.5 + zero_point).astype(np.int32),
        ),
        (
            "clamped_before_the_zero_point",
            lambda x, s, z, qmin, qmax: np.minimum(np.maximum(np.round(x * (1 / s)), qmin), qmax) + z,
        ),
        ("zero_point_forgotten", lambda x, s, z, qmin, qmax: np.clip(np.round(x / s), qmin, qmax).tolist()),
        ("clamped_codes_in_the_wrong_type", codes_kept_in(np.int8)),
        ("clamped_codes_in_the_wrong_type", codes_kept_in(np.uint8)),
        ("zero_point_in_the_unit_of_x", lambda x, s, z, qmin, qmax: np.clip(np.round((x - z) / s), qmin, qmax)),
        ("wrap_instead_of_clamp", lambda x, s, z, qmin, qmax: (np.round(x / s) + z).astype(np.int64).astype(np.int8)),
        ("wrap_instead_of_clamp", lambda x, s, z, qmin, qmax: (np.round(x / s) + z).astype(np.int64).astype(np.uint8)),
    ],
    "dequantize": [
        ("subtraction_in_the_code_type", lambda codes, scale, zero_point: (codes - zero_point) * scale),
        ("scale_forgotten", lambda codes, scale, zero_point: [q - zero_point for q in codes.astype(int)]),
        ("zero_point_forgotten", lambda codes, scale, zero_point: codes * scale),
        ("subtraction_in_the_code_type", lambda codes, scale, zero_point: (codes - np.uint8(zero_point)) * scale),
        ("subtraction_in_the_code_type", lambda codes, scale, z: (codes - codes.dtype.type(z)) * scale),
    ],
    "error_bound": [
        ("saturation_overlooked", lambda x, scale, zero_point, qmin, qmax: x * 0 + scale / 2),
        (
            "whole_step_bound",
            lambda x, s, z, qmin, qmax: np.where(
                np.clip(x, s * (qmin - z), s * (qmax - z)) == x, s, abs(x - np.clip(x, s * (qmin - z), s * (qmax - z)))
            ),
        ),
        ("rounding_overlooked", distance_to_range),
        ("rounding_and_saturation_added", lambda x, s, *codes: s / 2 + distance_to_range(x, s, *codes)),
    ],
    "quantize_per_channel": [
        ("scales_along_the_last_axis", per_channel_with_a_flat_scale),
        ("zero_scale", per_channel_without_the_zero_case),
        ("truncation_for_rounding", truncated_in_each_channel),
        ("one_scale_for_all_channels", one_number_for_all_channels),
        ("wrong_axis", lambda w, bits: (np.rint(w / (s := abs(w).max(axis=0) / (2 ** (bits - 1) - 1))), s)),
        *(
            (name, per_channel(scale_of, unused=unused))
            for unused in (None, 0, 1)
            for name, scale_of in (
                ("levels_per_side", lambda channel, bits: abs(channel).max() / (2**bits - 1)),
                ("scaled_by_the_negative_end", lambda channel, bits: abs(channel).max() / 2 ** (bits - 1)),
                ("largest_value_for_largest_magnitude", lambda channel, bits: channel.max() / (2 ** (bits - 1) - 1)),
            )
        ),
    ],
    "fake_quantize": [
        ("range_without_zero", fake_quantize_with(widen=False)),
        ("truncated_zero_point", fake_quantize_with(whole=int)),
        ("wrap_instead_of_clamp", fake_quantize_with(clip=False)),
        ("subtraction_in_the_code_type", fake_quantize_with(wide_type=np.uint8)),
        (
            "clipped_the_values_not_the_codes",
            lambda x, low, high, bits: fake_quantize_with(clip=False)(np.clip(x, low, high), low, high, bits),
        ),
    ],
    "store": [
        (
            "one_scale_for_all_channels",
            lambda weights: (np.rint(weights / (s := abs(weights).max() / 15)), s, 5),
        ),
    ],
}

# Wrong in a way that no known mistake describes, or in two ways at once: any name would mislead.
UNNAMED = {
    "symmetric_scale": [
        lambda x, bits: np.max(np.abs(x)) / (2 ** (bits - 1) - 1) or -1,
        lambda x, bits: np.max(np.abs(x)) / 2**bits,
        lambda x, bits: np.max(x) / (2**bits - 1),
        lambda x, bits: np.ptp(x) / (2**bits - 1),
    ],
    "affine_parameters": [
        parameters_with(all_steps, code=lambda low, scale: round(-low)),
        parameters_with(lambda bits: 2**bits, widen=False),
    ],
    "quantize": [
        lambda x, s, z, qmin, qmax: np.clip(np.ceil(x / s) + z, qmin, qmax),
        lambda x, s, z, qmin, qmax: np.clip(np.rint(x / s) + z, 0, 255),
    ],
    "dequantize": [
        lambda codes, scale, zero_point: (codes.astype(np.int8) - float(zero_point)) * scale,
        lambda codes, scale, zero_point: (codes.astype(np.float32) - zero_point) * scale + scale / 2,
    ],
    "error_bound": [
        lambda x, s, z, qmin, qmax: np.maximum(s / 2, x - s * (qmax - z)),
        lambda x, s, *codes: np.maximum(s / 2, distance_to_range(x, s, *codes)).astype(np.float16),
    ],
    "quantize_per_channel": [
        per_channel(lambda channel, bits: abs(channel).max() / 2**bits),
        per_channel(lambda channel, bits: np.ptp(channel) / (2**bits - 1)),
    ],
    "fake_quantize": [
        lambda x, low, high, bits: x,
        lambda x, low, high, bits: fake_quantize_with(clip=False)(x, low, high, bits) if bits == 8 else x,
        round_trip_with(last=lambda bits: 2**bits),
        round_trip_with(clip=False),
        round_trip_with(whole=np.floor),
        round_trip_with(steps=lambda bits: 2**bits),
    ],
    "store": [lambda weights: store_in_clipped_groups(weights, [0.88])],
}
