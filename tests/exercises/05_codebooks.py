# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 05."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
import torch
from fewerbits.tensor import codebook, minifloat
from fewerbits.tensor.blocks import Q4_0
from fewerbits.tensor.float_formats import E2M1, E4M3FN, E8M0
from fewerbits.tensor.k_means import lloyd
from fewerbits.tensor.lloyd_max import GAUSS, lloyd_max
from fewerbits.tensor.mx import MX
from fewerbits.tensor.quantiles import NF4

NF4_IN_HALF = NF4.astype(np.float16)


def level_by_distance(x, levels):
    return np.argmin(np.abs(x[..., np.newaxis] - levels), axis=-1)


def level_by_loop(x, levels):
    midpoints = [(low + high) / 2 for low, high in zip(levels.tolist(), levels.tolist()[1:])]
    codes = [bisect_left(midpoints, value) for value in x.ravel().tolist()]
    return np.reshape(codes, x.shape).tolist()


def level_of_the_package(x, levels):
    return codebook.nearest(x, levels, ties="upper")


def level_by_torch(x, levels):
    middles = torch.from_numpy((levels[1:] + levels[:-1]) / 2)
    return torch.bucketize(torch.from_numpy(x), middles, right=True)


def step_by_weights(x, levels):
    codes = level_by_distance(x, levels)
    counts = np.bincount(codes, minlength=len(levels))
    sums = np.bincount(codes, weights=x, minlength=len(levels))
    return np.where(counts > 0, sums / np.maximum(counts, 1), levels)


def step_by_loop(x, levels):
    cells = [[] for _ in levels]
    for value in x.tolist():
        cells[min(range(len(levels)), key=lambda code: abs(value - levels[code]))].append(value)
    return [sum(cell) / len(cell) if cell else float(level) for cell, level in zip(cells, levels)]


def step_in_float32(x, levels):
    single, new = x.astype(np.float32), levels.astype(np.float32)
    codes = level_by_distance(single, new)
    return np.array([single[codes == k].mean() if (codes == k).any() else new[k] for k in range(len(new))])


def step_of_the_package(x, levels):
    found = lloyd(x, levels, iterations=1).levels
    # The package drops levels without values, and the exercise keeps them.
    used = np.unique(level_by_distance(x, levels))
    moved = levels.astype(float)
    moved[used] = found
    return moved


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


def e4m3_of_the_package(x):
    return minifloat.round_to(x, E4M3FN)


def e4m3_by_torch(x):
    clipped = torch.from_numpy(x).clamp(-448, 448)
    return clipped.to(torch.float8_e4m3fn).to(torch.float32).numpy()


def e4m3_by_table(x):
    values = minifloat.decode(np.arange(127), E4M3FN)
    return np.sign(x) * values[level_by_distance(np.abs(x), values)]


def e4m3_by_logarithm(x):
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log2(np.abs(x)))
    step = 2.0 ** np.maximum(exponent - 3, -9)
    return np.minimum(np.maximum(np.floor(x / step + 0.5) * step, -448), 448)


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


def q4_0_by_ends(block):
    low, high = float(block.min()), float(block.max())
    scale = (low if -low >= high else high) / -8
    codes = [0 if scale == 0 else max(-8, min(7, math.floor(value / scale + 0.5))) for value in block.tolist()]
    return scale, codes


def q4_0_of_the_package(block):
    padded = np.zeros((1, 32), np.float32)
    padded[0, : block.size] = block
    scheme = Q4_0.fit(padded)
    return scheme.scale, scheme.quantize(padded)[0, : block.size]


def q4_0_by_torch(block):
    values = torch.from_numpy(block)
    scale = values[values.abs().argmax()] / -8
    codes = torch.round(values / scale).clamp(-8, 7) if scale != 0 else torch.zeros(len(values))
    return scale.numpy(), codes.to(torch.int8).numpy()


def nibbles_by_divmod(packed):
    pairs = [divmod(int(byte), 16) for byte in packed]
    return [low - 8 for _, low in pairs] + [high - 8 for high, _ in pairs]


def nibbles_by_reshape(packed):
    return (np.stack([packed % 16, packed // 16]).reshape(-1).astype(np.int8)) - np.int8(8)


def nibbles_by_bits(packed):
    bits = np.unpackbits(packed[:, None], axis=1, bitorder="little").reshape(-1, 2, 4)
    return (bits @ np.array([1, 2, 4, 8])).T.ravel() - 8


def compress_with_nf4(weights):
    groups = weights.reshape(-1, 48)
    scale = np.abs(groups).max(axis=1, keepdims=True).astype(np.float16)
    return level_of_the_package(groups / scale, NF4), NF4.astype(np.float16), scale


def compress_by_lloyd_max(weights):
    groups = weights.reshape(-1, 48)
    peak = np.abs(groups).max(axis=1, keepdims=True)
    levels = np.linspace(-1, 1, 16) + 0.25 * np.sin(np.pi * np.linspace(-1, 1, 16)) * -0.6
    for _ in range(15):
        levels = step_by_weights((groups / peak).ravel().astype(float), levels)
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
    "nearest_level": [level_by_distance, level_by_loop, level_of_the_package, level_by_torch],
    "lloyd_step": [step_by_weights, step_by_loop, step_in_float32, step_of_the_package],
    "bits_per_weight": [bits_by_integers, bits_by_cases, bits_by_bytes],
    "round_e4m3": [e4m3_of_the_package, e4m3_by_torch, e4m3_by_table, e4m3_by_logarithm],
    "mx_scales": [scales_by_doubling, scales_of_the_package, scales_as_a_column],
    "q4_0": [q4_0_by_ends, q4_0_of_the_package, q4_0_by_torch],
    "unpack_q4_0": [nibbles_by_divmod, nibbles_by_reshape, nibbles_by_bits],
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
    ],
    "lloyd_step": [
        ("median_for_mean", lambda x, levels: [np.median(c) if len(c) else v for c, v in cells(x, levels)]),
        ("median_for_mean", lambda x, levels: [np.median(c) for c, _ in cells(x, levels)]),
        ("empty_cell_becomes_nan", lambda x, levels: [c.mean() for c, _ in cells(x, levels)]),
        ("empty_cell_becomes_zero", lambda x, levels: [c.sum() / max(1, len(c)) for c, _ in cells(x, levels)]),
        (
            "centroid_condition_skipped",
            lambda x, levels: [(min(c) + max(c)) / 2 if len(c) else v for c, v in cells(x, levels)],
        ),
    ],
    "bits_per_weight": [
        ("metadata_not_counted", lambda count, levels, *_: (levels - 1).bit_length()),
        ("fractional_code_bits", lambda n, k, g, s, f: math.log2(k) + (-(-n // g) * s + (not f) * 32 * k) / n),
        ("fixed_levels_counted", lambda n, k, g, s, _: bits_by_integers(n, k, g, s, False)),
    ],
    "round_e4m3": [
        ("overflow_to_nan", lambda x: minifloat.round_to(x, E4M3FN, overflow="native")),
        ("subnormals_flushed", lambda x: np.where(np.abs(y := e4m3_of_the_package(x)) < 1 / 64, 0.0, y)),
        (
            "exponent_without_end",
            lambda x: np.clip(np.round(x / (s := 2.0 ** (np.frexp(x)[1] - 4))) * s, -448, 448),
        ),
    ],
    "mx_scales": [
        (
            "block_scale_rounded_down",
            lambda blocks: MX.fit(blocks, E2M1, block_size=blocks.shape[1]).scale + np.float32(1e-38),
        ),
        ("scale_not_a_power_of_two", lambda blocks: [abs(row).max() / 6 or 1 for row in blocks]),
        ("block_scale_rounded_down", lambda blocks: 2 ** (np.floor(np.log2(abs(blocks).max(axis=1))) - 2)),
        ("block_scale_too_wide", lambda blocks: 2 ** (np.ceil(np.log2(abs(blocks).max(axis=1))) - 2)),
    ],
    "q4_0": [
        ("block_scale_without_sign", lambda b: ((s := abs(b).max() / 8), np.clip(np.round(b / (s or 1)), -8, 7))),
        ("minus_eight_unused", lambda b: ((s := abs(b).max() / 7), np.round(b / (s or 1)))),
        ("clamp_forgotten", lambda b: ((s := b[abs(b).argmax()] / -8), np.round(b / (s or 1)))),
        ("block_scale_without_sign", lambda b: ((s := abs(b).max() / 8), np.clip(np.round(b / s), -8, 7))),
        ("minus_eight_unused", lambda b: ((s := abs(b).max() / 7), np.round(b / s) + 8)),
    ],
    "unpack_q4_0": [
        ("nibbles_swapped", lambda p: [(b >> 4) - 8 for b in p.tolist()] + [b % 16 - 8 for b in p.tolist()]),
        ("nibbles_interleaved", lambda p: [n - 8 for b in p.tolist() for n in (b % 16, b // 16)]),
        ("offset_forgotten", lambda p: np.concatenate([p % 16, p // 16])),
    ],
    "compress": [("metadata_not_counted", compress_with(group_size=32, kind=np.float32))],
}


def cells(x, levels):
    codes = level_by_distance(x, levels)
    return [(x[codes == code], level) for code, level in enumerate(levels)]
