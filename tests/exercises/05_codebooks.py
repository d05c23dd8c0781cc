# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 05."""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from itertools import pairwise

import numpy as np
import torch
from fewerbits.tensor import codebook, minifloat
from fewerbits.tensor.blocks import Q4_0
from fewerbits.tensor.float_formats import E2M1, E8M0
from fewerbits.tensor.k_means import lloyd
from fewerbits.tensor.lloyd_max import GAUSS, lloyd_max
from fewerbits.tensor.mx import MX
from fewerbits.tensor.quantiles import NF4

NF4_IN_HALF = NF4.astype(np.float16)


def level_by_distance(x, levels):
    return np.argmin(np.abs(x[..., np.newaxis] - levels), axis=-1)


def level_by_loop(x, levels):
    distances = [[abs(value - level) for level in levels.tolist()] for value in x.ravel().tolist()]
    return np.reshape([each.index(min(each)) for each in distances], x.shape).tolist()


def level_of_the_package(x, levels):
    order = np.argsort(levels)
    return order[codebook.nearest(x, levels[order], ties="upper")]


def level_by_torch(x, levels):
    ascending, order = torch.from_numpy(levels).sort()
    places = torch.bucketize(torch.from_numpy(x), (ascending[1:] + ascending[:-1]) / 2, right=True)
    return order[places]


def level_by_bisection(x, levels):
    ascending = sorted((level, code) for code, level in enumerate(levels.tolist()))
    midpoints = [(low + high) / 2 for (low, _), (high, _) in pairwise(ascending)]
    return np.reshape([ascending[bisect_left(midpoints, value)][1] for value in x.ravel().tolist()], x.shape)


def step_by_weights(x, levels, importance):
    codes = level_by_distance(x, levels)
    total = np.bincount(codes, weights=importance, minlength=len(levels))
    sums = np.bincount(codes, weights=importance * x, minlength=len(levels))
    return np.where(total > 0, sums / np.where(total > 0, total, 1), levels)


def step_by_loop(x, levels, importance):
    cells = [[] for _ in levels]
    for value, weight in zip(x.tolist(), importance.tolist()):
        cells[min(range(len(levels)), key=lambda code: abs(value - levels[code]))].append((value, weight))
    return [
        sum(v * w for v, w in cell) / sum(w for _, w in cell) if cell else float(level)
        for cell, level in zip(cells, levels)
    ]


def step_in_float32(x, levels, importance):
    single, new, weight = (each.astype(np.float32) for each in (x, levels, importance))
    codes = level_by_distance(single, new)
    found = [(single[codes == k], weight[codes == k], new[k]) for k in range(len(new))]
    return np.array([np.average(v, weights=w) if v.size else level for v, w, level in found])


def step_by_one_hot(x, levels, importance):
    chosen = importance[:, np.newaxis] * (level_by_distance(x, levels)[:, np.newaxis] == np.arange(len(levels)))
    total = chosen.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, (x @ chosen) / total, levels)


def bits_by_integers(count, levels, group_size, scale_bits, fixed_levels):
    code_bits = (levels - 1).bit_length()
    groups = (count + group_size - 1) // group_size
    return (count * code_bits + groups * scale_bits + 32 * levels * (not fixed_levels)) / count


def bits_by_cases(count, levels, group_size, scale_bits, fixed_levels):
    bits = math.ceil(math.log2(levels)) + math.ceil(count / group_size) * scale_bits / count
    if not fixed_levels:
        bits += levels * 4 * 8 / count
    return np.float32(bits)


def bits_by_bytes(count, levels, group_size, scale_bits, fixed_levels):
    code_bits = len(bin(levels - 1)) - 2
    total_bytes = count * code_bits / 8 + -(-count // group_size) * scale_bits / 8 + (0 if fixed_levels else 4 * levels)
    return [8 * total_bytes / count]


def float_of_the_package(x, mantissa_bits, lowest, largest):
    top = math.floor(math.log2(largest))
    exponent_bits = math.ceil(math.log2(top - lowest + 2))
    specials = "ieee" if (mantissa_bits, largest) == (2, 57344) else "one_nan" if largest == 448 else "none"
    if specials == "ieee":
        exponent_bits = 5
    record = minifloat.FloatFormat("a format", exponent_bits, mantissa_bits, 1 - lowest, specials)
    return minifloat.round_to(np.clip(x, -largest, largest), record)


def float_by_table(x, mantissa_bits, lowest, largest):
    magnitudes = [
        (m + (e > lowest - 1) * 2**mantissa_bits) * 2.0 ** (max(e, lowest) - mantissa_bits)
        for e in range(lowest - 1, 20)
        for m in range(2**mantissa_bits)
    ]
    values = np.array([value for value in magnitudes if value <= largest])
    return np.sign(x) * values[level_by_distance(np.abs(x), values)]


def float_by_logarithm(x, mantissa_bits, lowest, largest):
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log2(np.abs(x)))
    step = 2.0 ** (np.maximum(exponent, lowest) - mantissa_bits)
    return np.minimum(np.maximum(np.floor(x / step + 0.5) * step, -largest), largest)


def float_by_loop(x, mantissa_bits, lowest, largest):
    def one(value):
        exponent = max(math.frexp(value)[1] - 1 if value else lowest, lowest)
        step = math.ldexp(1.0, exponent - mantissa_bits)
        return max(-largest, min(largest, round(value / step) * step))

    return np.reshape([one(value) for value in x.ravel().tolist()], x.shape).astype(np.float32)


def scales_by_doubling(blocks):
    scales = []
    for block in blocks:
        peak, scale = float(np.abs(block).max()), 2.0**-60
        while 6 * scale < peak:
            scale *= 2
        scales.append(scale)
    return scales


def scales_of_the_package(blocks):
    scheme = MX.fit(blocks, E2M1, scale_rule="rceil", block_size=blocks.shape[1])
    return np.maximum(minifloat.decode(scheme.scale_codes, E8M0), np.float32(1e-30))


def scales_as_a_column(blocks):
    peaks = np.maximum(np.abs(blocks).max(axis=1, keepdims=True), 1e-20)
    return np.exp2(np.ceil(np.log2(peaks) - np.log2(6)))


def block_by_ends(block, bits):
    low, high, half = float(block.min()), float(block.max()), 2 ** (bits - 1)
    scale = (low if -low >= high else high) / -half
    codes = [
        0 if scale == 0 else max(-half, min(half - 1, math.floor(value / scale + 0.5))) for value in block.tolist()
    ]
    return scale, codes


def block_by_distance(block, bits):
    codes = np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1))
    scale = block[abs(block).argmax()] / codes[0]
    return [scale], codes[level_by_distance(block, scale * codes)] if scale else 0 * block


def block_by_torch(block, bits):
    values, half = torch.from_numpy(block), 2 ** (bits - 1)
    scale = values[values.abs().argmax()] / -half
    codes = torch.round(values / scale).clamp(-half, half - 1) if scale != 0 else torch.zeros(len(values))
    return scale.numpy(), codes.to(torch.int8).numpy()


def q4_0_by_divmod(stored):
    (d,) = struct.unpack("<e", stored[:2].tobytes())
    pairs = [divmod(int(byte), 16) for byte in stored[2:]]
    return [d * (low - 8) for _, low in pairs] + [d * (high - 8) for high, _ in pairs]


def q4_0_of_the_package(stored):
    scheme, codes = Q4_0.from_bytes(stored.reshape(1, 18))
    return scheme.dequantize(codes)[0]


def q4_0_by_bits(stored):
    bits = np.unpackbits(stored[2:, None], axis=1, bitorder="little").reshape(-1, 2, 4)
    return np.frombuffer(bytes(stored), "<f2", 1).astype(float) * ((bits @ np.array([1, 2, 4, 8])).T.ravel() - 8)


def q4_0_in_float32(stored):
    d = stored[:2].copy().view(np.float16).astype(np.float32)
    nibbles = np.stack([stored[2:] % 16, stored[2:] // 16]).reshape(-1).astype(np.int8) - np.int8(8)
    return d * nibbles


def q4_0_in_float16(stored):
    return stored[:2].view(np.float16) * (np.concatenate([stored[2:] & 15, stored[2:] >> 4]).astype(np.int8) - 8)


def compress_with_nf4(weights):
    groups = weights.reshape(-1, 48)
    scale = np.abs(groups).max(axis=1, keepdims=True).astype(np.float16)
    return codebook.nearest(groups / scale, NF4), NF4.astype(np.float16), scale


def compress_by_lloyd_max(weights):
    groups = weights.reshape(-1, 48)
    peak = np.abs(groups).max(axis=1, keepdims=True)
    levels = np.linspace(-1, 1, 16) + 0.25 * np.sin(np.pi * np.linspace(-1, 1, 16)) * -0.6
    for _ in range(15):
        levels = step_by_weights((groups / peak).ravel().astype(float), levels, np.ones(groups.size))
    return codebook.nearest(groups / peak, levels).astype(int).tolist(), levels.tolist(), peak.astype(np.float16)


def compress_flat(weights):
    """Scales repeated for each value would cost too much: they come per group, in columns."""
    groups = weights.reshape(-1, 48).T.copy()
    rms_levels = lloyd_max(GAUSS, 16).levels / 2.4
    scale = np.abs(groups).max(axis=0, keepdims=True).astype(np.float16)
    levels = lloyd((groups / scale), rms_levels).levels.astype(np.float16)
    codes = codebook.nearest(groups / scale, levels)
    return codes.T, levels, scale.T


ALTERNATIVES = {
    "nearest_level": [level_by_distance, level_by_loop, level_of_the_package, level_by_torch, level_by_bisection],
    "lloyd_step": [step_by_weights, step_by_loop, step_in_float32, step_by_one_hot],
    "bits_per_weight": [bits_by_integers, bits_by_cases, bits_by_bytes],
    "round_float": [float_of_the_package, float_by_table, float_by_logarithm, float_by_loop],
    "mx_scales": [scales_by_doubling, scales_of_the_package, scales_as_a_column],
    "signed_block": [block_by_ends, block_by_distance, block_by_torch],
    "read_q4_0": [q4_0_by_divmod, q4_0_of_the_package, q4_0_by_bits, q4_0_in_float32, q4_0_in_float16],
    "compress": [compress_with_nf4, compress_by_lloyd_max, compress_flat],
}


def compress_with(*, group_size=48, kind=np.float16, levels=NF4_IN_HALF):
    def compress(weights):
        groups = weights.reshape(-1, group_size)
        scale = np.max(np.abs(groups), axis=1, keepdims=True).astype(kind)
        return level_by_distance(groups / scale, levels), levels, scale

    return compress


SLIPS = {
    "nearest_level": [
        ("levels_as_thresholds", lambda x, levels: np.digitize(x, levels[1:])),
        ("levels_as_thresholds", lambda x, levels: np.searchsorted(levels[:-1], x)),
        ("levels_as_thresholds", lambda x, levels: np.searchsorted(levels, x)),
        ("levels_as_thresholds", lambda x, levels: np.digitize(x, levels)),
        (
            "codebook_taken_for_equal_steps",
            lambda x, levels: np.clip(
                np.round((x - levels.min()) * (len(levels) - 1) / np.ptp(levels)), 0, len(levels) - 1
            ),
        ),
        ("difference_for_distance", lambda x, levels: np.subtract.outer(x, levels).argmin(axis=-1)),
        ("ascending_levels_presumed", lambda x, levels: np.searchsorted(levels[:-1] + np.diff(levels) / 2, x)),
        ("places_among_the_sorted_levels", lambda x, levels: level_by_distance(x, np.sort(levels))),
        ("levels_for_codes", lambda x, levels: levels[level_by_distance(x, levels)]),
    ],
    "lloyd_step": [
        ("median_for_mean", lambda x, levels, _: [np.median(c) if len(c) else v for c, _, v in cells(x, levels)]),
        ("median_for_mean", lambda x, levels, _: [np.median(c) for c, _, v in cells(x, levels)]),
        ("codes_recomputed", lambda x, levels, importance: _step_with_codes_recomputed(x, levels, importance)),
        ("importance_ignored", lambda x, levels, _: [c.mean() for c, _, v in cells(x, levels)]),
        ("weighted_sum_over_the_count", lambda *all: [(c * w).mean() if len(c) else v for c, w, v in cells(*all)]),
        ("empty_cell_becomes_nan", lambda *all: [(c * w).sum() / w.sum() for c, w, _ in cells(*all)]),
        ("empty_cell_becomes_zero", lambda *all: [(c * w).sum() / max(1e-9, w.sum()) for c, w, _ in cells(*all)]),
        (
            "centroid_condition_skipped",
            lambda x, levels, _: [(min(c) + max(c)) / 2 if len(c) else v for c, _, v in cells(x, levels)],
        ),
    ],
    "bits_per_weight": [
        ("metadata_not_counted", lambda count, levels, *_: (levels - 1).bit_length()),
        ("code_bits_rounded_down", lambda n, k, g, s, f: int(np.log2(k)) + (-(-n // g) * s + (not f) * 32 * k) / n),
        ("codebook_for_each_group", lambda n, k, g, s, f: bits_by_integers(n, k, g, s + (not f) * 32 * k, True)),
        ("fractional_code_bits", lambda n, k, g, s, f: math.log2(k) + (-(-n // g) * s + (not f) * 32 * k) / n),
        ("fixed_levels_counted", lambda n, k, g, s, _: bits_by_integers(n, k, g, s, False)),
        ("fixed_levels_inverted", lambda n, k, g, s, f: bits_by_integers(n, k, g, s, not f)),
        ("codebook_not_counted", lambda n, k, g, s, _: bits_by_integers(n, k, g, s, True)),
        ("scales_not_counted", lambda n, k, g, s, f: bits_by_integers(n, k, g, 0, f)),
        ("incomplete_group_not_counted", lambda n, k, g, s, f: bits_by_integers(n, k, g, 0, f) + s / g),
    ],
    "round_float": [
        ("overflow_to_nan", lambda x, m, low, top: np.where(abs(y := grid(x, m, low)) > top, np.nan, y)),
        (
            "subnormals_flushed",
            lambda x, m, low, top: np.where(abs(y := float_by_logarithm(x, m, low, top)) < 2.0**low, 0.0, y),
        ),
        ("subnormals_flushed", lambda x, m, low, top: float_by_loop(np.where(abs(x) < 2.0**low, 0, x), m, low, top)),
        ("truncation_for_rounding", lambda x, m, low, top: np.clip(grid(x, m, low, np.floor), -top, top)),
        ("exponent_without_end", lambda x, m, low, top: np.clip(grid(x, m, -99), -top, top)),
        ("constants_of_one_format", lambda x, m, low, top: np.clip(grid(x, 3, -6), -448, 448)),
        ("constants_of_one_format", lambda x, m, low, top: np.clip(grid(x, m, -6), -top, top)),
        ("truncation_for_rounding", lambda x, m, low, top: np.clip(grid(x, m, low, np.fix), -top, top)),
    ],
    "mx_scales": [
        (
            "block_scale_rounded_down",
            lambda blocks: MX.fit(blocks, E2M1, block_size=blocks.shape[1]).scale + np.float32(1e-38),
        ),
        ("scale_not_a_power_of_two", lambda blocks: [abs(row).max() / 6 or 1 for row in blocks]),
        ("block_scale_rounded_down", lambda blocks: 2 ** (np.floor(np.log2(abs(blocks).max(axis=1))) - 2)),
        ("block_scale_too_wide", lambda blocks: 2 ** (np.ceil(np.log2(abs(blocks).max(axis=1))) - 2)),
        ("exponent_for_scale", lambda blocks: np.ceil(np.log2(np.where((p := abs(blocks).max(axis=1)) > 0, p, 1) / 6))),
    ],
    "signed_block": [
        ("block_scale_without_sign", lambda b, n: ((s := abs(b).max() / 2 ** (n - 1)), clip(b / (s or 1), n))),
        ("most_negative_code_unused", lambda b, n: ((s := abs(b).max() / (2 ** (n - 1) - 1)), np.round(b / (s or 1)))),
        ("clamp_forgotten", lambda b, n: ((s := b[abs(b).argmax()] / -(2 ** (n - 1))), np.round(b / (s or 1)))),
        ("bits_ignored", lambda b, n: ((s := b[abs(b).argmax()] / -8), clip(b / (s or 1), 4))),
        ("bits_ignored", lambda b, n: ((s := block_by_ends(b, n)[0]), clip(b / (s or 1), 4))),
        ("zero_scale", lambda b, n: ((s := block_by_ends(b, n)[0]), _whole(clip(b / np.float64(s), n)))),
        (
            "stored_codes_for_signed_ones",
            lambda b, n: ((s := block_by_ends(b, n)[0]), clip(b / (s or 1), n) + 2 ** (n - 1)),
        ),
        ("truncation_for_rounding", lambda b, n: ((s := block_by_ends(b, n)[0]), clip(np.fix(b / (s or 1)), n))),
    ],
    "read_q4_0": [
        (
            "nibbles_swapped",
            lambda p: (
                half(p) * np.array([b // 16 - 8 for b in p[2:].tolist()] + [b % 16 - 8 for b in p[2:].tolist()], float)
            ),
        ),
        ("nibbles_interleaved", lambda p: [half(p) * (n - 8) for b in p[2:].tolist() for n in (b % 16, b // 16)]),
        ("high_nibble_not_shifted", lambda p: half(p) * (np.concatenate([p[2:] & 15, p[2:] & 240]).astype(int) - 8)),
        (
            "subtraction_in_the_code_type",
            lambda p: p[:2].view(np.float16)[0] * (np.concatenate([p[2:] & 15, p[2:] >> 4]) - 8),
        ),
        ("offset_forgotten", lambda p: half(p) * np.concatenate([p[2:] % 16, p[2:] // 16])),
        ("scale_forgotten", lambda p: [b % 16 - 8 for b in p[2:].tolist()] + [b // 16 - 8 for b in p[2:].tolist()]),
        (
            "scale_read_as_an_integer",
            lambda p: (int(p[0]) + 256 * int(p[1])) * (np.concatenate([p[2:] % 16, p[2:] // 16]) - 8.0),
        ),
    ],
    "compress": [("metadata_not_counted", compress_with(group_size=32, kind=np.float32))],
}


UNNAMED = {
    "lloyd_step": [lambda x, levels, importance: _step_in_place(x, levels, importance)],
    "signed_block": [lambda block, bits: block_by_ends(block, bits)[1]],
}


def _step_in_place(x, levels, importance):
    codes = level_by_distance(x, levels)
    for code in np.unique(codes):
        levels[code] = np.average(x[codes == code], weights=importance[codes == code])
    return levels


def _step_with_codes_recomputed(x, levels, importance):
    moved = levels.copy()
    for code in range(len(levels)):
        mine = level_by_distance(x, moved) == code
        if mine.any():
            moved[code] = np.average(x[mine], weights=importance[mine])
    return moved


def _whole(codes):
    """NaN as x86 makes an integer of it."""
    return [int(code) if code == code else -(2**63) for code in codes]


def cells(x, levels, importance=None):
    codes, importance = level_by_distance(x, levels), x if importance is None else importance
    return [(x[codes == code], importance[codes == code], level) for code, level in enumerate(levels)]


def grid(x, mantissa_bits, lowest, rounding=np.rint):
    step = 2.0 ** (np.maximum(np.frexp(x)[1] - 1, lowest) - mantissa_bits)
    return rounding(x / step) * step


def clip(codes, bits):
    return np.clip(np.round(codes), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def half(stored):
    return float(stored[:2].view(np.float16)[0])
