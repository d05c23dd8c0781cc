# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 01."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

import numpy as np
import torch
from fewerbits.deploy.roofline import Ceilings, Cost
from fewerbits.tensor import minifloat, packing
from fewerbits.tensor.float_formats import BFLOAT16, FloatFormat


def gib_of_each_part(parameters, bits, group_size, scale_bytes):
    scales = (parameters + group_size - 1) // group_size
    return parameters * bits / 1024**3 / 8 + scale_bytes * scales / 1024**3


def gib_by_ceil(parameters, bits, group_size, scale_bytes):
    total_bits = parameters * bits + 8 * scale_bytes * math.ceil(parameters / group_size)
    return np.float64(total_bits) / 8 / 1024 / 1024 / 1024


def gib_in_decimals(parameters, bits, group_size, scale_bytes):
    groups, rest = divmod(parameters, group_size)
    return float((Decimal(parameters) * bits / 8 + (groups + bool(rest)) * scale_bytes) / Decimal(2**30))


def value_by_loop(patterns, exponent_bits, fraction_bits):
    bias, values = 2 ** (exponent_bits - 1) - 1, []
    for pattern in patterns.ravel().tolist():
        sign = -1 if pattern & (1 << exponent_bits + fraction_bits) else 1
        field = pattern >> fraction_bits & (1 << exponent_bits) - 1
        fraction = pattern & (1 << fraction_bits) - 1
        if field == 0:
            values.append(sign * fraction * 2.0 ** (1 - bias - fraction_bits))
        else:
            values.append(sign * (1 + fraction / 2**fraction_bits) * 2.0 ** (field - bias))
    return np.reshape(values, patterns.shape).tolist()


def value_of_the_package(patterns, exponent_bits, fraction_bits):
    bias = 2 ** (exponent_bits - 1) - 1
    return minifloat.decode(patterns, FloatFormat("any", exponent_bits, fraction_bits, bias, specials="ieee"))


def value_through_float32_bits(patterns, exponent_bits, fraction_bits):
    """The magnitude moved to where float32 has its fields, and scaled by the difference of the biases."""
    wide = patterns.astype(np.uint32)
    magnitude = (wide % 2 ** (exponent_bits + fraction_bits)) << (23 - fraction_bits)
    value = magnitude.view(np.float32).astype(np.float64) * 2.0 ** (127 - (2 ** (exponent_bits - 1) - 1))
    return np.where(wide >> (exponent_bits + fraction_bits), -value, value).astype(np.float32)


def value_by_torch(patterns, exponent_bits, fraction_bits):
    wide = torch.from_numpy(patterns.astype(np.int64))
    field = wide.bitwise_right_shift(fraction_bits) % 2**exponent_bits
    fraction = (wide % 2**fraction_bits).double() / 2**fraction_bits
    power = torch.ldexp(torch.ones(()).double(), field.clamp_min(1) - 2 ** (exponent_bits - 1) + 1)
    return (1 - 2 * (wide >> exponent_bits + fraction_bits)) * (fraction + (field > 0)) * power


def value_one_by_one(patterns, exponent_bits, fraction_bits):
    """A plain loop over what it is given, with NumPy's own numbers."""
    values = []
    for pattern in patterns:
        bits = bin(int(pattern))[2:].zfill(1 + exponent_bits + fraction_bits)
        field, fraction = int(bits[1 : 1 + exponent_bits], 2), int("0" + bits[1 + exponent_bits :], 2)
        if field == 0:
            value = fraction / 2**fraction_bits * 2.0 ** (2 - 2 ** (exponent_bits - 1))
        else:
            value = (1 + fraction / 2**fraction_bits) * 2.0 ** (field + 1 - 2 ** (exponent_bits - 1))
        values.append(-value if bits[0] == "1" else value)
    return values


def spacing_one_by_one(x, fraction_bits, lowest_exponent):
    results = []
    for value in x:
        magnitude = max(abs(value), 2**lowest_exponent)
        results.append(2 ** (math.floor(math.log2(magnitude)) - fraction_bits))
    return results


def bfloat16_one_by_one(patterns):
    rounded = []
    for pattern in patterns:
        kept, rest = pattern >> 16, pattern & 0xFFFF
        if rest > 0x8000 or (rest == 0x8000 and kept % 2 == 1):
            kept += 1
        rounded.append(kept)
    return np.array(rounded)


def spacing_by_loop(x, fraction_bits, lowest_exponent):
    results = []
    for value in np.abs(x).ravel().tolist():
        exponent = lowest_exponent if value == 0 else max(math.floor(math.log2(value)), lowest_exponent)
        results.append(2.0 ** (exponent - fraction_bits))
    return np.reshape(results, x.shape)


def spacing_by_frexp(x, fraction_bits, lowest_exponent):
    octave = np.where(x == 0, lowest_exponent, np.frexp(x)[1] - 1)
    return np.ldexp(1.0, np.maximum(octave, lowest_exponent) - fraction_bits)


def spacing_by_values(x, fraction_bits, lowest_exponent):
    """All values of the format from zero up, and the difference of the two around |x|; NumPy's own for float32."""
    if fraction_bits == 23:
        return np.spacing(np.abs(x).astype(np.float32))
    steps = np.arange(2**fraction_bits) * 2.0**-fraction_bits
    octaves = [(1 + steps) * 2.0**exponent for exponent in range(lowest_exponent, 13)]
    values = np.concatenate([steps * 2.0**lowest_exponent, *octaves])
    at = np.searchsorted(values, np.abs(x), side="right")
    return values[at] - values[at - 1]


def bfloat16_by_the_trick(patterns):
    return (patterns + 0x7FFF + (patterns >> 16) % 2) >> 16


def bfloat16_by_loop(patterns):
    rounded = []
    for pattern in patterns.ravel().tolist():
        kept, rest = divmod(pattern, 65536)
        if rest > 32768 or (rest == 32768 and kept % 2):
            kept += 1
        rounded.append(kept)
    return np.reshape(rounded, patterns.shape)


def bfloat16_of_torch(patterns):
    values = torch.from_numpy(patterns.view(np.float32).copy())
    return values.to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)


def bfloat16_of_the_package(patterns):
    return minifloat.encode(patterns.view(np.float32), BFLOAT16, overflow="infinity")


def bfloat16_in_floats(patterns):
    """np.rint rounds half to even too."""
    return np.rint(patterns / 65536)


def packed_by_the_package(codes):
    return packing.pack(codes, bits=4)


def packed_by_loop(codes):
    packed = []
    for start in range(0, len(codes), 2):
        pair = [int(code) % 16 for code in codes[start : start + 2]]
        packed.append(sum(nibble * 16**place for place, nibble in enumerate(pair)))
    return packed


def packed_by_struct(codes):
    padded = [*codes.tolist(), 0]
    pairs = zip(padded[0::2], padded[1::2])
    return np.frombuffer(b"".join(struct.pack("B", (b % 16) << 4 | a % 16) for a, b in pairs), np.uint8)


def packed_by_bits(codes):
    bits = np.unpackbits(codes.view(np.uint8)[:, np.newaxis], axis=1, bitorder="little")[:, :4]
    return np.packbits(bits.ravel(), bitorder="little")


def gain_of_the_package(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak):
    ceilings = Ceilings(bandwidth, float32_peak, int8_peak)
    layers = [Cost(*each) for each in zip(macs.tolist(), activations.tolist(), weights.tolist())]
    times = {
        kind: sum(ceilings.seconds(layer.macs, layer.bytes_moved(size, batch), kind) for layer in layers)
        for kind, size in {"float32": 4, "int8": 1}.items()
    }
    return times["float32"] / times["int8"]


def gain_by_loop(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak):
    slow = fast = 0.0
    for m, a, w in zip(macs, activations, weights):
        values = a * batch + w
        slow += max(m * batch / float32_peak, 4 * values / bandwidth)
        fast += max(m * batch / int8_peak, values / bandwidth)
    return slow / fast


def gain_by_rates(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak):
    """Attained rates from MACs per byte; layers without MACs by their bytes alone."""
    total = []
    for size, peak in ((4, float32_peak), (1, int8_peak)):
        moved = size * (activations + weights / batch)
        rate = np.minimum(peak, macs / moved * bandwidth)
        total.append(np.where(macs > 0, macs / np.where(macs > 0, rate, 1), moved / bandwidth).sum())
    return total[0] / total[1]


ALTERNATIVES = {
    "model_gib": [gib_of_each_part, gib_by_ceil, gib_in_decimals],
    "float_value": [
        value_by_loop,
        value_one_by_one,
        value_of_the_package,
        value_through_float32_bits,
        value_by_torch,
    ],
    "spacing": [spacing_by_loop, spacing_one_by_one, spacing_by_frexp, spacing_by_values],
    "to_bfloat16": [
        bfloat16_by_the_trick,
        bfloat16_by_loop,
        bfloat16_one_by_one,
        bfloat16_of_torch,
        bfloat16_of_the_package,
        bfloat16_in_floats,
    ],
    "pack_int4": [packed_by_the_package, packed_by_loop, packed_by_struct, packed_by_bits],
    "int8_gain": [gain_of_the_package, gain_by_loop, gain_by_rates],
}


def value_in_the_patterns_own_type(patterns, exponent_bits, fraction_bits):
    bias = 2 ** (exponent_bits - 1) - 1
    sign = patterns >> (exponent_bits + fraction_bits)
    exponent = (patterns >> fraction_bits) & (2**exponent_bits - 1)
    fraction = patterns & (2**fraction_bits - 1)
    return (-1.0) ** sign * (1 + fraction / 2**fraction_bits) * 2.0 ** (exponent - bias)


def value_with(*, one=1, bias=-1, signed=True, mask=True):
    """Exercise 2 by a loop, for normal numbers, with one part exchanged."""

    def float_value(patterns, exponent_bits, fraction_bits):
        values = []
        for pattern in patterns.ravel().tolist():
            exponent = pattern >> fraction_bits
            if mask:
                exponent %= 2**exponent_bits
            fraction = pattern % 2**fraction_bits / 2**fraction_bits
            sign = -1 if signed and pattern >> (exponent_bits + fraction_bits) else 1
            value = sign * (one + fraction) * np.float64(2) ** (exponent - 2 ** (exponent_bits - 1) - bias)
            values.append(value)
        return np.reshape(values, patterns.shape)

    return float_value


def value_of_normals_only(patterns, exponent_bits, fraction_bits):
    field = patterns.astype(int) >> fraction_bits & 2**exponent_bits - 1
    return np.where(field == 0, 0, value_by_loop(patterns, exponent_bits, fraction_bits))


def spacing_with_astype(x, fraction_bits, lowest_exponent):
    exponents = np.log2(np.maximum(np.abs(x), 2.0**lowest_exponent)).astype(int)
    return 2.0 ** (exponents - fraction_bits)


def spacing_from_the_logarithm(x, fraction_bits, lowest_exponent):
    return 2.0 ** (np.floor(np.log2(abs(x))) - fraction_bits)


def spacing_by_math(x, fraction_bits, lowest_exponent):
    steps = [2.0 ** (math.floor(math.log2(abs(v))) - fraction_bits) for v in x.ravel().tolist()]
    return np.reshape(steps, x.shape)


def spacing_by_round(x, fraction_bits, lowest_exponent):
    return 2.0 ** (np.round(np.log2(np.maximum(abs(x), 2.0**lowest_exponent))) - fraction_bits)


def value_with_two_biases(patterns, exponent_bits, fraction_bits):
    wide = patterns.astype(int)
    field, fraction = wide >> fraction_bits & 2**exponent_bits - 1, (wide & 2**fraction_bits - 1) / 2**fraction_bits
    power = 2.0 ** (np.where(field, field, 1) - (127 if exponent_bits == 8 else 15))
    return np.where(wide >> exponent_bits + fraction_bits, -1, 1) * (fraction + (field > 0)) * power


def value_with_zero_repaired(patterns, exponent_bits, fraction_bits):
    zero = patterns % 2 ** (exponent_bits + fraction_bits) == 0
    return np.where(zero, 0, value_with()(patterns, exponent_bits, fraction_bits))


def value_by_the_lessons_function(patterns, exponent_bits, fraction_bits):
    sign = patterns >> (exponent_bits + fraction_bits)
    exponent = (patterns >> fraction_bits & (2**exponent_bits - 1)) - 127
    fraction = (patterns & (2**fraction_bits - 1)) / 2**fraction_bits
    return np.where(sign, -1, 1) * (1 + fraction) * 2.0**exponent


def spacing_with_epsilon(x, fraction_bits, lowest_exponent):
    octave = np.floor(np.log2(np.abs(x) + 1e-12))
    return 2.0 ** (np.maximum(octave, lowest_exponent) - fraction_bits)


def two_rows(codes):
    return np.append(codes, np.zeros(len(codes) % 2, np.int8)).reshape(2, -1)


def packed_with_sign_bits(codes):
    return packed_by_loop([abs(int(code)) % 8 + 8 * (code < 0) for code in codes])


def gain_by_plain_rates(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak):
    def seconds(size, peak):
        moved = size * (activations + weights / batch)
        return np.sum(macs / np.minimum(peak, macs / moved * bandwidth))

    return seconds(4, float32_peak) / seconds(1, int8_peak)


def packed_without_mask(codes):
    if len(codes) % 2:
        codes = np.append(codes, np.int8(0))
    return (codes[::2] | codes[1::2] << 4).astype(np.uint8)


def packed_signed(codes):
    return [int(a) + 16 * int(b) & 255 for a, b in zip(codes[::2], codes[1::2])]


def packed_the_other_way(codes):
    nibbles = np.append(codes, np.zeros(len(codes) % 2, np.int8)).astype(np.uint8) % 16
    return nibbles[::2] * 16 + nibbles[1::2]


def packed_pairs_only(codes):
    nibbles = codes.astype(np.uint8) % 16
    return nibbles[::2] + 16 * nibbles[1::2]


def gain_by_intensity(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak):
    """One dot for the network."""
    m, values = macs.sum(), (activations + weights / batch).sum()
    rates = [min(peak, m / (size * values) * bandwidth) for size, peak in ((4, float32_peak), (1, int8_peak))]
    return rates[1] / rates[0]


def gain_with(*, join=np.maximum, total=np.sum, sizes=(4, 1), shared=True):
    def int8_gain(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak):
        values = activations + weights / (batch if shared else 1)
        slow = join(macs / float32_peak, sizes[0] * values / bandwidth)
        fast = join(macs / int8_peak, sizes[1] * values / bandwidth)
        return total(slow) / total(fast) if total is np.sum else total(slow / fast)

    return int8_gain


SLIPS = {
    "model_gib": [
        ("gigabytes_for_gibibytes", lambda p, b, g, s: gib_by_ceil(p, b, g, s) * 1.073741824),
        ("bytes_for_gibibytes", lambda p, b, g, s: p * b / 8 + math.ceil(p / g) * s),
        ("metadata_not_counted", lambda p, b, *_: p * b / 2**33),
        ("bits_for_bytes", lambda p, b, g, s: (p * b + s * -(-p // g)) / 2**30),
        ("last_group_not_counted", lambda p, b, g, s: (p * b / 8 + p // g * s) / 2**30),
        ("group_of_nothing", lambda p, b, g, s: (p * b / 8 + (p // g + 1) * s) / 2**30),
        ("rounded_to_whole_bytes", lambda p, b, g, s: (p * b // 8 + -(-p // g) * s) / 2**30),
        ("scale_bytes_counted_as_bits", lambda p, b, g, s: (p * b + -(-p // g) * s) / 8 / 2**30),
        ("last_group_not_counted", lambda p, b, g, s: (p * b / 8 + p / g * s) / 2**30),
        ("scale_for_every_value", lambda p, b, g, s: (p * b / 8 + p * s) / 2**30),
    ],
    "float_value": [
        ("exponent_in_an_unsigned_type", value_in_the_patterns_own_type),
        ("implicit_one_forgotten", value_with(one=0)),
        ("subnormals_read_as_normal", value_with()),
        ("wrong_bias", value_with(bias=0)),
        ("wrong_bias", value_with_two_biases),
        ("subnormals_read_as_normal", value_with_zero_repaired),
        ("exponent_in_an_unsigned_type", value_by_the_lessons_function),
        ("subnormals_read_as_zero", value_of_normals_only),
        ("sign_bit_unused", value_with(signed=False)),
        ("sign_left_in_the_exponent", value_with(mask=False)),
        ("minus_applied_after_the_power", lambda *arguments: -np.abs(value_with()(*arguments))),
    ],
    "spacing": [
        ("distance_proportional_to_x", lambda x, m, low: abs(x) * 2.0**-m),
        ("distance_proportional_to_x", lambda x, m, low: 2.0 ** (np.log2(np.maximum(abs(x), 2.0**low)) - m)),
        ("no_lowest_octave", spacing_from_the_logarithm),
        ("no_lowest_octave", spacing_by_math),
        ("no_lowest_octave", lambda x, m, low: 2.0 ** (np.floor(np.log2(np.maximum(abs(x), 2.0 ** (low - m)))) - m)),
        ("no_lowest_octave", lambda x, m, low: 2.0 ** (np.floor(np.log2(np.where(x, abs(x), 2.0**low))) - m)),
        ("small_number_added_before_the_logarithm", spacing_with_epsilon),
        ("logarithm_rounded_to_nearest", spacing_by_round),
        ("logarithm_truncated", spacing_with_astype),
        ("octave_off_by_one", lambda x, m, low: spacing_by_loop(x, m, low) / 2),
        ("spacing_of_the_type_of_the_array", lambda x, m, low: abs(np.spacing(x))),
        ("magnitude_forgotten", lambda x, m, low: spacing_by_loop(np.maximum(x, 2.0**low), m, low)),
        ("spacing_at_one", lambda x, m, low: 0 * x + 2.0**-m),
    ],
    "to_bfloat16": [
        ("bfloat16_truncated", lambda patterns: patterns // 65536),
        ("bfloat16_ties_up", lambda patterns: (patterns >> 16) + (patterns % 65536 >= 32768)),
        ("bfloat16_ties_down", lambda patterns: (patterns >> 16) + (patterns % 65536 > 32768)),
        ("bfloat16_ties_to_odd", lambda patterns: (patterns + 0x8000 - (patterns >> 16) % 2) >> 16),
        ("lower_half_kept", lambda patterns: patterns % 65536),
        ("still_a_float32", lambda patterns: patterns >> 16 << 16),
        ("still_a_float32", lambda patterns: (bfloat16_by_the_trick(patterns) << 16).view(np.float32)),
        ("bfloat16_saturated", lambda patterns: minifloat.encode(patterns.view(np.float32), BFLOAT16)),
        ("patterns_with_a_sign", lambda patterns: bfloat16_of_torch(patterns).view(np.int16)),
        ("float16_for_bfloat16", lambda patterns: patterns.view(np.float32).astype(np.float16).view(np.uint16)),
    ],
    "pack_int4": [
        ("sign_bits_cover_the_neighbour", packed_without_mask),
        ("sign_bits_cover_the_neighbour", packed_signed),
        ("sign_bits_cover_the_neighbour", lambda codes: codes[::2] | codes[1::2] << 4),
        ("sign_bits_cover_the_neighbour", lambda codes: codes[::2].astype(int) + 16 * codes[1::2].astype(int)),
        ("bytes_with_a_sign", lambda codes: codes[::2] % 16 | codes[1::2] % 16 << 4),
        ("bytes_with_a_sign", lambda codes: (codes[::2] & 15) + 16 * codes[1::2].astype(int)),
        ("sign_and_magnitude", packed_with_sign_bits),
        ("halves_for_pairs", lambda codes: packed_by_loop(np.ravel(two_rows(codes), order="F"))),
        ("first_code_in_the_upper_half", packed_the_other_way),
        ("last_code_lost", packed_pairs_only),
        ("offset_for_twos_complement", lambda codes: packed_by_loop(codes + 8)),
    ],
    "int8_gain": [
        ("peak_alone", lambda m, a, w, batch, bandwidth, slow, fast: fast / slow),
        ("times_added", gain_with(join=np.add)),
        ("shorter_time_taken", gain_with(join=np.minimum)),
        ("mean_of_ratios", gain_with(total=np.mean)),
        ("values_for_bytes", gain_with(sizes=(1, 1))),
        ("weights_read_for_every_image", gain_with(shared=False)),
        ("activations_shared_by_the_batch", lambda m, a, w, n, *rest: gain_by_loop(m * n, a, w, 1, *rest)),
        ("one_image_against_a_batch", lambda m, a, w, n, *rest: gain_by_loop(m, a * n, w, 1, *rest)),
        ("weights_not_read", lambda m, a, w, *rest: gain_by_loop(m, a, np.zeros(len(w)), *rest)),
        ("rate_of_a_layer_without_macs", gain_by_plain_rates),
        ("network_as_one_layer", gain_by_intensity),
        ("gain_upside_down", lambda *arguments: 1 / gain_by_loop(*arguments)),
    ],
}
