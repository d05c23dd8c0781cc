# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 06."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch
from fewerbits.network.arithmetic import integer_conv2d, integer_matmul, quantize_bias
from fewerbits.network.requantize import requantize
from fewerbits.network.saturating import saturating_conv2d, saturating_matmul
from numpy.lib.stride_tricks import sliding_window_view


def accumulate_by_loop(q_x, q_w, x_zero_point, w_zero_point):
    return [
        [sum((int(x) - x_zero_point) * (int(w) - w_zero_point) for x, w in zip(row, out)) for out in q_w] for row in q_x
    ]


def accumulate_by_cross_terms(q_x, q_w, x_zero_point, w_zero_point):
    raw = q_x.astype(np.float64) @ q_w.T
    by_row = w_zero_point * q_x.sum(axis=1, dtype=np.int64)[:, None]
    constant = q_x.shape[1] * x_zero_point * w_zero_point
    return raw - by_row - x_zero_point * q_w.sum(axis=1, dtype=np.int64) + constant


def accumulate_by_torch(q_x, q_w, x_zero_point, w_zero_point):
    wide = torch.from_numpy(q_x).to(torch.int64) - x_zero_point
    return wide @ (torch.from_numpy(q_w).to(torch.int64) - w_zero_point).T


def accumulate_of_the_package(q_x, q_w, x_zero_point, w_zero_point):
    return integer_matmul(q_x, q_w.T.copy(), x_zero_point, w_zero_point)


def bounds_by_choice(q_w, x_zero_point):
    w = q_w.astype(int)
    largest_where_positive = np.where(w > 0, 255 - x_zero_point, -x_zero_point)
    smallest_where_positive = np.where(w > 0, -x_zero_point, 255 - x_zero_point)
    return (smallest_where_positive * w).sum(axis=1), (largest_where_positive * w).sum(axis=1)


def bounds_by_loop(q_w, x_zero_point):
    low, high = [], []
    for row in q_w.tolist():
        low.append(sum(min(-x_zero_point * w, (255 - x_zero_point) * w) for w in row))
        high.append(sum(max(-x_zero_point * w, (255 - x_zero_point) * w) for w in row))
    return low, high


def bounds_by_cross_term(q_w, x_zero_point):
    w = q_w.astype(float)
    shift = x_zero_point * w.sum(axis=1)
    return 255 * w.clip(max=0).sum(axis=1) - shift, 255 * w.clip(min=0).sum(axis=1) - shift


def bias_by_loop(bias, s_x, s_w, q_w, x_zero_point):
    rows = q_w.tolist()
    return [round(float(b) / (s_x * float(s))) - x_zero_point * sum(row) for b, s, row in zip(bias, s_w, rows)]


def bias_in_float(bias, s_x, s_w, q_w, x_zero_point):
    return np.floor(bias / s_w / s_x + 0.5) - (x_zero_point * q_w.astype(float)).sum(axis=1)


def bias_of_the_package(bias, s_x, s_w, q_w, x_zero_point):
    one = np.full((1, q_w.shape[1]), 0, np.uint8)
    return quantize_bias(bias, s_x, s_w) + integer_matmul(one, q_w.T.copy(), x_zero_point)[0]


def sums_by_loop(raw, x_sums, w_sums, terms, x_zero_point, w_zero_point):
    result = raw.astype(int).tolist()
    for i in range(len(x_sums)):
        for j in range(len(w_sums)):
            result[i][j] -= w_zero_point * int(x_sums[i]) + x_zero_point * int(w_sums[j])
            result[i][j] += terms * x_zero_point * w_zero_point
    return result


def sums_by_outer(raw, x_sums, w_sums, terms, x_zero_point, w_zero_point):
    ones = np.ones_like
    shift = np.outer(w_zero_point * x_sums, ones(w_sums)) + np.outer(ones(x_sums), x_zero_point * w_sums)
    return raw - shift + terms * x_zero_point * w_zero_point


def sums_by_centring_the_weights(raw, x_sums, w_sums, terms, x_zero_point, w_zero_point):
    centred = w_sums - terms * w_zero_point
    return raw - w_zero_point * x_sums.reshape(-1, 1) - x_zero_point * centred.reshape(1, -1)


def split(m, bits):
    """M0 and n by counting up, without frexp."""
    n = bits
    while m * 2**n < 2 ** (bits - 1):
        n += 1
    M0 = round(m * 2**n)
    return (M0 // 2, n - 1) if M0.bit_length() > bits else (M0, n)


def rescaled_by_loop(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, [(int(a) * M0 + (1 << (n - 1))) >> n for a in accumulators]


def rescaled_by_fractions(accumulators, m, bits):
    M0, n = split(m, bits)
    return np.int64(M0), n, np.array([round(Fraction(int(a) * M0, 2**n)) for a in accumulators])


def rescaled_by_pythons_integers(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, ((accumulators.astype(object) * M0 + 2 ** (n - 1)) >> n).astype(np.int64)


def convolve_by_windows(q_x, q_w, x_zero_point):
    frame = (q_w.shape[2] // 2,) * 2
    padded = np.pad(q_x.astype(int), [(0, 0), (0, 0), frame, frame], constant_values=x_zero_point) - x_zero_point
    windows = sliding_window_view(padded, q_w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, q_w.astype(int))


def convolve_by_torch(q_x, q_w, x_zero_point):
    x = torch.from_numpy(q_x).to(torch.float64) - x_zero_point
    return torch.nn.functional.conv2d(x, torch.from_numpy(q_w).to(torch.float64), padding=q_w.shape[3] // 2)


def channels_last(array):
    return np.moveaxis(array, 1, -1).reshape(len(array), -1)


def pairs_by_loop(windows, q_w, x_zero_point):
    result = []
    for window in channels_last(windows).tolist():
        result.append([])
        for kernel in channels_last(q_w).tolist():
            total = -x_zero_point * sum(kernel)
            for k in range(0, len(kernel), 2):
                pair = sum(x * w for x, w in zip(window[k : k + 2], kernel[k : k + 2]))
                total += min(max(pair, -(2**15)), 2**15 - 1)
            result[-1].append(total)
    return result


def pairs_of_the_package(windows, q_w, x_zero_point):
    return saturating_matmul(channels_last(windows), channels_last(q_w).T.copy(), x_zero_point)


def pairs_of_a_convolution(windows, q_w, x_zero_point):
    return saturating_conv2d(windows, q_w, x_zero_point)[:, :, 0, 0]


def pairs_by_torch(windows, q_w, x_zero_point):
    x, w = (torch.from_numpy(a).to(torch.int64).permute(0, 2, 3, 1).flatten(1) for a in (windows, q_w))
    products = torch.nn.functional.pad(x[:, None] * w[None], (0, x.shape[1] % 2))
    pairs = products.unflatten(2, (-1, 2)).sum(3)
    return pairs.clamp(-(2**15), 2**15 - 1).sum(2) - x_zero_point * w.sum(1)


def layer_by_torch(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = convolve_by_torch(q_x, q_w, x_zero_point) + torch.from_numpy(q_b).reshape(-1, 1, 1)
    codes = torch.round(sums.to(torch.float32) * torch.from_numpy(m).reshape(-1, 1, 1)) + y_zero_point
    return codes.clamp(y_zero_point, 255).to(torch.uint8)


def layer_of_the_package(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = integer_conv2d(q_x, q_w, x_zero_point, padding=q_w.shape[2] // 2) + q_b.reshape(-1, 1, 1)
    return requantize(sums, m, y_zero_point, y_zero_point, 255)


def layer_with_the_relu_first(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = np.maximum(convolve_by_windows(q_x, q_w, x_zero_point) + q_b[None, :, None, None], 0)
    return np.minimum(np.rint(sums.astype(np.float32) * m[None, :, None, None]) + y_zero_point, 255)


ALTERNATIVES = {
    "accumulate": [accumulate_by_loop, accumulate_by_cross_terms, accumulate_by_torch, accumulate_of_the_package],
    "sum_bounds": [bounds_by_choice, bounds_by_loop, bounds_by_cross_term],
    "bias_codes": [bias_by_loop, bias_in_float, bias_of_the_package],
    "correct_sums": [sums_by_loop, sums_by_outer, sums_by_centring_the_weights],
    "rescale": [rescaled_by_loop, rescaled_by_fractions, rescaled_by_pythons_integers],
    "saturating_sums": [pairs_by_loop, pairs_of_the_package, pairs_of_a_convolution, pairs_by_torch],
    "quantized_layer": [layer_by_torch, layer_of_the_package, layer_with_the_relu_first],
}


def multiplied_in_32_bits(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, (accumulators * M0 + 2 ** (n - 1)) >> n


def rounded_on_the_way(accumulators, m, bits):
    M0, n = split(m, bits)
    halfway = [math.floor(int(a) * M0 / 2**bits + 0.5) for a in accumulators]
    return M0, n, [math.floor(h / 2 ** (n - bits) + 0.5) for h in halfway]


def only_shifted(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, (accumulators.astype(np.int64) * M0) >> n


def divided_and_converted(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, (accumulators.astype(np.int64) * M0 / 2**n).astype(int)


def unguarded(accumulators, m, bits):
    """The lesson's cells, with `bits` in place of 31."""
    fraction, exponent = np.frexp(m)
    M0, n = round(fraction * 2**bits), bits - int(exponent)
    return M0, n, [(int(a) * M0 + 2 ** (n - 1)) >> n for a in accumulators]


def multiplier_cut_off(accumulators, m, bits):
    fraction, exponent = math.frexp(m)
    M0, n = int(fraction * 2**bits), bits - exponent
    return M0, n, (accumulators.astype(np.int64) * M0 + 2 ** (n - 1)) >> n


def rescaled_in_float32(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, np.rint(accumulators.astype(np.float32) * np.float32(M0 / 2**n))


def of_thirty_one_bits(accumulators, m, bits):
    return rescaled_by_loop(accumulators, m, 31)


def in_float64(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, np.rint(accumulators * (M0 / 2**n))


def in_float64_with_floor(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, np.floor(accumulators * float(M0) / 2**n + 0.5)


def divided_in_float64(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, np.round(accumulators.astype(np.int64) * M0 / 2**n).astype(int)


def with_m_itself(accumulators, m, bits):
    return *split(m, bits), np.rint(accumulators * m)


def half_added_then_int(accumulators, m, bits):
    M0, n = split(m, bits)
    return M0, n, [int(int(a) * M0 / 2**n + 0.5) for a in accumulators]


def pairs_ending_in(ending, order=(0, 2, 3, 1)):
    """A slip after the products (M, O, K) in int64, K made even."""

    def slip(windows, q_w, x_zero_point):
        x, w = (a.astype(int).transpose(order).reshape(len(a), -1) for a in (windows, q_w))
        products = np.pad(x[:, None] * w, ((0, 0), (0, 0), (0, x.shape[1] % 2)))
        return ending(products, x_zero_point * w.sum(axis=1))

    return slip


def saturated_pairs(products):
    return (products[..., 0::2] + products[..., 1::2]).clip(-32768, 32767).sum(axis=2)


def products_saturated(windows, q_w, x_zero_point):
    x, w = channels_last(windows).astype(int), channels_last(q_w).astype(int)
    return np.clip(x[:, None] * w, -32768, 32767).sum(axis=2) - x_zero_point * w.sum(axis=1)


def pairs_of_shifted_codes(windows, q_w, x_zero_point):
    x, w = channels_last(windows).astype(int) - x_zero_point, channels_last(q_w).astype(int)
    return saturated_pairs(np.pad(x[:, None] * w, ((0, 0), (0, 0), (0, x.shape[1] % 2))))


def pairs_in_int16(windows, q_w, x_zero_point):
    x, w = channels_last(windows), channels_last(q_w)
    products = np.pad(x[:, None] * w, ((0, 0), (0, 0), (0, x.shape[1] % 2)))
    return saturated_pairs(products) - x_zero_point * w.sum(axis=1, dtype=int)


def loop_that_ends_early(windows, q_w, x_zero_point):
    x, w = channels_last(windows).astype(int), channels_last(q_w).astype(int)
    pairs = [x[:, None, k] * w[:, k] + x[:, None, k + 1] * w[:, k + 1] for k in range(0, x.shape[1] - 1, 2)]
    return np.clip(pairs, -32768, 32767).sum(axis=0) - x_zero_point * w.sum(axis=1)


def layer_with_the_zero_point_of_uint8(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    return layer_of_the_package(q_x - np.uint8(x_zero_point), q_w, q_b, 0, m, y_zero_point)


def layer_in_float64(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    """int32 times float32, which NumPy makes float64."""
    sums = convolve_by_windows(q_x, q_w, x_zero_point).astype(np.int32) + q_b.reshape(-1, 1, 1)
    return np.clip(np.rint(sums * m.reshape(-1, 1, 1)) + y_zero_point, y_zero_point, 255).astype(np.uint8)


def layer_padded_first(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    frame = (q_w.shape[2] // 2,) * 2
    padded = np.pad(q_x, ((0, 0), (0, 0), frame, frame)).astype(np.int32) - x_zero_point
    windows = sliding_window_view(padded, q_w.shape[2:], axis=(2, 3))
    sums = np.einsum("nchwij,ocij->nohw", windows, q_w.astype(np.int32)) + q_b.reshape(-1, 1, 1)
    codes = np.rint(sums.astype(np.float32) * m.reshape(-1, 1, 1)) + y_zero_point
    return codes.clip(y_zero_point, 255)


def layer_with_a_border_of_one(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = integer_conv2d(q_x, q_w, x_zero_point, padding=1) + q_b.reshape(-1, 1, 1)
    return requantize(sums, m, y_zero_point, y_zero_point, 255)


def layer_ending_in(ending):
    def layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
        sums = convolve_by_windows(q_x, q_w, x_zero_point)
        return ending(sums, q_b.reshape(-1, 1, 1), m.reshape(-1, 1, 1), y_zero_point)

    return layer


def layer_of_raw_codes(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    return layer_of_the_package(q_x, q_w, q_b, 0, m, y_zero_point)


def layer_without_its_zero_point(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = convolve_by_windows(q_x, q_w, x_zero_point) + q_b.reshape(-1, 1, 1)
    return np.clip(np.rint(sums * m.reshape(-1, 1, 1)) + y_zero_point, 0, 255)


def layer_that_divides(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = convolve_by_windows(q_x, q_w, x_zero_point) + q_b.reshape(-1, 1, 1)
    return np.clip(np.round(sums / m.reshape(-1, 1, 1)) + y_zero_point, y_zero_point, 255)


def layer_with_floor_and_half(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = convolve_by_windows(q_x, q_w, x_zero_point) + q_b.reshape(-1, 1, 1)
    return np.clip(np.floor(sums * m.reshape(-1, 1, 1) + 0.5) + y_zero_point, y_zero_point, 255)


SLIPS = {
    "accumulate": [
        ("accumulator_too_narrow", lambda x, w, z, v: ((x.astype(int) - z) @ (w.astype(int) - v).T).astype("int8")),
        ("zero_point_ignored_in_the_sum", lambda x, w, z, v: x.astype(np.int32) @ w.astype(np.int32).T),
        ("zero_point_ignored_in_the_sum", lambda x, w, z, v: (x.astype(np.int32) - z) @ w.T.astype(np.int32)),
        ("zero_point_ignored_in_the_sum", lambda x, w, z, v: x @ w.T),
        ("subtraction_in_the_code_type", lambda x, w, z, v: (x - z) @ (w - v).T),
        ("subtraction_in_the_code_type", lambda x, w, z, v: (x - z).astype(int) @ (w.astype(int) - v).T),
        ("subtraction_in_the_code_type", lambda x, w, z, v: (x.astype(int) - z) @ (w - v).T),
    ],
    "sum_bounds": [
        (
            "magnitude_for_both_ends",
            lambda w, z: (max(z, 255 - z) * -abs(w.astype(int)).sum(1), max(z, 255 - z) * abs(w.astype(int)).sum(1)),
        ),
        ("one_code_for_all_inputs", lambda w, z: (-z * w.sum(axis=1), (255 - z) * w.sum(axis=1))),
        (
            "product_in_the_code_type",
            lambda w, z: (
                np.where(w > 0, w * -z, w * (255 - z)).sum(axis=1),
                np.where(w > 0, w * (255 - z), w * -z).sum(axis=1),
            ),
        ),
        ("zero_point_ignored_in_the_sum", lambda w, z: (255 * w.sum(1, where=w < 0), 255 * w.sum(1, where=w > 0))),
    ],
    "bias_codes": [
        ("bias_with_its_own_scale", lambda b, s_x, s_w, w, z: np.round(b / max(abs(b)) * 127) - z * w.sum(1)),
        ("bias_at_one_scale_only", lambda b, s_x, s_w, w, z: np.round(b / s_w) - z * w.sum(1)),
        ("bias_at_one_scale_only", lambda b, s_x, s_w, w, z: np.round(b / s_x) - z * w.sum(1)),
        (
            "bias_in_too_few_bits",
            lambda b, s_x, s_w, w, z: np.rint(b / (s_x * s_w)).astype(int).astype("int8") - z * w.sum(1),
        ),
        ("zero_point_ignored_in_the_sum", lambda b, s_x, s_w, w, z: np.rint(b / (s_x * s_w)).astype(np.int32)),
        ("product_in_the_code_type", lambda b, s_x, s_w, w, z: np.rint(b / (s_x * s_w)) - (z * w).sum(axis=1)),
        ("cross_term_of_wrong_sign", lambda b, s_x, s_w, w, z: np.rint(b / (s_x * s_w)) + z * w.sum(axis=1)),
        ("truncation_for_rounding", lambda b, s_x, s_w, w, z: (b / (s_x * s_w)).astype(int) - z * w.sum(1)),
        ("truncation_for_rounding", lambda b, s_x, s_w, w, z: b // (s_x * s_w) - z * w.sum(1)),
    ],
    "correct_sums": [
        ("cross_term_of_wrong_sign", lambda raw, x, w, k, z_x, z_w: raw - z_w * x[:, None] - z_x * w - k * z_x * z_w),
        ("constant_cross_term_forgotten", lambda raw, x, w, k, z_x, z_w: raw - z_w * x[:, None] - z_x * w),
        (
            "constant_cross_term_forgotten",
            lambda raw, x, w, k, z_x, z_w: raw - z_w * x[:, None] - z_x * w + len(x) * z_x * z_w,
        ),
        ("zero_points_exchanged", lambda raw, x, w, k, z_x, z_w: raw - z_x * x[:, None] - z_w * w + k * z_x * z_w),
    ],
    "rescale": [
        ("shift_without_rounding", only_shifted),
        ("shift_without_rounding", divided_and_converted),
        ("product_in_32_bits", multiplied_in_32_bits),
        ("double_rounding", rounded_on_the_way),
        ("multiplier_of_one_bit_too_many", unguarded),
        ("truncation_for_rounding", multiplier_cut_off),
        ("truncation_for_rounding", half_added_then_int),
        ("codes_from_the_real_multiplier", with_m_itself),
        ("float_in_place_of_integers", in_float64),
        ("float_in_place_of_integers", in_float64_with_floor),
        ("float_in_place_of_integers", divided_in_float64),
        ("float_in_place_of_integers", rescaled_in_float32),
    ],
    "saturating_sums": [
        ("pairs_not_saturated", pairs_ending_in(lambda products, term: products.sum(axis=2) - term)),
        ("pairs_not_saturated", products_saturated),
        (
            "whole_sum_saturated",
            pairs_ending_in(lambda products, term: products.sum(axis=2).clip(-32768, 32767) - term),
        ),
        (
            "pairs_in_channel_order",
            pairs_ending_in(lambda products, term: saturated_pairs(products) - term, (0, 1, 2, 3)),
        ),
        ("zero_point_before_the_pairs", pairs_of_shifted_codes),
        ("zero_point_ignored_in_the_sum", pairs_ending_in(lambda products, term: saturated_pairs(products))),
        ("cross_term_of_wrong_sign", pairs_ending_in(lambda products, term: saturated_pairs(products) + term)),
        ("wrap_instead_of_clamp", pairs_in_int16),
        ("last_product_dropped", loop_that_ends_early),
    ],
    "quantized_layer": [
        ("multiplier_inverted", layer_that_divides),
        ("relu_at_code_zero", layer_without_its_zero_point),
        ("ties_rounded_up", layer_with_floor_and_half),
        (
            "zero_point_inside_the_rounding",
            layer_ending_in(lambda t, b, m, z: np.clip(np.rint((t + b) * m + z), z, 255)),
        ),
        ("bias_after_the_multiplier", layer_ending_in(lambda t, b, m, z: np.clip(np.rint(t * m) + b + z, z, 255))),
        ("bias_after_the_multiplier", layer_ending_in(lambda t, b, m, z: np.clip(np.rint(t * m + b) + z, z, 255))),
        ("output_zero_point_forgotten", layer_ending_in(lambda t, b, m, z: np.clip(np.rint((t + b) * m), 0, 255))),
        ("bias_forgotten", layer_ending_in(lambda t, b, m, z: np.clip(np.rint(t * m) + z, z, 255))),
        (
            "clamped_before_the_zero_point",
            layer_ending_in(lambda t, b, m, z: np.clip(np.rint((t + b) * m), 0, 255) + z),
        ),
        (
            "wrap_instead_of_clamp",
            layer_ending_in(lambda t, b, m, z: (np.rint((t + b) * m) + z).astype(int).astype(np.uint8).clip(z, 255)),
        ),
        ("zero_point_ignored_in_the_sum", layer_of_raw_codes),
        ("padding_with_code_zero", layer_padded_first),
        ("kernel_turned", lambda x, w, *others: layer_by_torch(x, np.flip(w, (2, 3)).copy(), *others)),
        ("kernel_transposed", lambda x, w, *others: layer_by_torch(x, w.transpose(0, 1, 3, 2).copy(), *others)),
        ("subtraction_in_the_code_type", layer_with_the_zero_point_of_uint8),
        ("product_in_float64", layer_in_float64),
    ],
}

UNNAMED = {
    "rescale": [of_thirty_one_bits],
    "quantized_layer": [layer_with_a_border_of_one],
}
