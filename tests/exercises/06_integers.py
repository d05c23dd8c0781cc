# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 06."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch
from fewerbits.network.arithmetic import integer_conv2d, integer_matmul, quantize_bias
from fewerbits.network.requantize import requantize, scale_by_fixed_point
from numpy.lib.stride_tricks import sliding_window_view


def accumulate_by_loop(q_x, q_w, x_zero_point):
    return [[sum((int(x) - x_zero_point) * int(w) for x, w in zip(row, out)) for out in q_w] for row in q_x]


def accumulate_by_cross_term(q_x, q_w, x_zero_point):
    raw = q_x.astype(np.float64) @ q_w.T
    return raw - x_zero_point * q_w.sum(axis=1, dtype=np.int64)


def accumulate_by_torch(q_x, q_w, x_zero_point):
    wide = torch.from_numpy(q_x).to(torch.int64) - x_zero_point
    return wide @ torch.from_numpy(q_w).to(torch.int64).T


def accumulate_of_the_package(q_x, q_w, x_zero_point):
    return integer_matmul(q_x, q_w.T.copy(), x_zero_point)


def bias_by_loop(bias, s_x, s_w):
    return [round(float(b) / (s_x * float(s))) for b, s in zip(bias, s_w)]


def bias_in_float(bias, s_x, s_w):
    return np.floor(bias / s_w / s_x + 0.5)


def bias_of_the_package(bias, s_x, s_w):
    return quantize_bias(bias, s_x, s_w)


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


def rescaled_by_loop(accumulators, M0, n):
    if accumulators.ndim > 1:
        return [rescaled_by_loop(row, M0, n) for row in accumulators]
    return [(int(a) * M0 + (1 << (n - 1))) >> n for a in accumulators]


def rescaled_in_float(accumulators, M0, n):
    return np.rint(accumulators * (M0 / 2**n))


def rescaled_by_fractions(accumulators, M0, n):
    exact = [round(Fraction(int(a) * M0, 2**n)) for a in accumulators.ravel()]
    return np.array(exact).reshape(accumulators.shape)


def rescaled_by_the_package(accumulators, M0, n):
    return scale_by_fixed_point(accumulators, M0, 31 - n, "single_half_away")


def convolve_by_windows(q_x, q_w, x_zero_point):
    padded = np.pad(q_x.astype(int), [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=x_zero_point) - x_zero_point
    return np.einsum("nchwij,ocij->nohw", sliding_window_view(padded, (3, 3), axis=(2, 3)), q_w.astype(int))


def convolve_by_torch(q_x, q_w, x_zero_point):
    x = torch.from_numpy(q_x).to(torch.float64) - x_zero_point
    return torch.nn.functional.conv2d(x, torch.from_numpy(q_w).to(torch.float64), padding=1)


def convolve_of_the_package(q_x, q_w, x_zero_point):
    return integer_conv2d(q_x, q_w, x_zero_point, padding=1)


def layer_by_torch(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = convolve_by_torch(q_x, q_w, x_zero_point) + torch.from_numpy(q_b).reshape(-1, 1, 1)
    codes = torch.round(sums.to(torch.float32) * torch.from_numpy(m).reshape(-1, 1, 1)) + y_zero_point
    return codes.clamp(y_zero_point, 255).to(torch.uint8)


def layer_of_the_package(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = integer_conv2d(q_x, q_w, x_zero_point, padding=1) + q_b.reshape(-1, 1, 1)
    return requantize(sums, m, y_zero_point, y_zero_point, 255)


def layer_with_the_relu_first(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    sums = np.maximum(convolve_by_windows(q_x, q_w, x_zero_point) + q_b[None, :, None, None], 0)
    return np.minimum(np.rint(sums.astype(np.float32) * m[None, :, None, None]) + y_zero_point, 255)


ALTERNATIVES = {
    "accumulate": [accumulate_by_loop, accumulate_by_cross_term, accumulate_by_torch, accumulate_of_the_package],
    "bias_codes": [bias_by_loop, bias_in_float, bias_of_the_package],
    "correct_sums": [sums_by_loop, sums_by_outer, sums_by_centring_the_weights],
    "rescale": [rescaled_by_loop, rescaled_in_float, rescaled_by_fractions, rescaled_by_the_package],
    "convolve": [convolve_by_windows, convolve_by_torch, convolve_of_the_package],
    "quantized_layer": [layer_by_torch, layer_of_the_package, layer_with_the_relu_first],
}


def multiplied_in_32_bits(accumulators, M0, n):
    return (accumulators * M0 + 2 ** (n - 1)) >> n


def rounded_on_the_way(accumulators, M0, n):
    halfway = [math.floor(int(a) * M0 / 2**31 + 0.5) for a in accumulators.ravel()]
    return np.array([math.floor(h / 2 ** (n - 31) + 0.5) for h in halfway]).reshape(accumulators.shape)


def convolve_padded_first(q_x, q_w, x_zero_point):
    padded = np.pad(q_x, ((0, 0), (0, 0), (1, 1), (1, 1))).astype(np.int32) - x_zero_point
    return np.einsum("nchwij,ocij->nohw", sliding_window_view(padded, (3, 3), axis=(2, 3)), q_w.astype(np.int32))


def convolve_raw_codes(q_x, q_w, x_zero_point):
    return integer_conv2d(q_x, q_w, 0, padding=1)


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
        ("accumulator_too_narrow", lambda q_x, q_w, z: ((q_x.astype(int) - z) @ q_w.T.astype(int)).astype("int8")),
        ("zero_point_ignored_in_the_sum", lambda q_x, q_w, z: q_x.astype(np.int32) @ q_w.astype(np.int32).T),
        ("zero_point_ignored_in_the_sum", lambda q_x, q_w, z: q_x @ q_w.T),
        ("subtraction_in_the_code_type", lambda q_x, q_w, z: (q_x - z) @ q_w.T),
        ("subtraction_in_the_code_type", lambda q_x, q_w, z: (q_x - z).astype(int) @ q_w.T),
    ],
    "bias_codes": [
        ("bias_with_its_own_scale", lambda bias, s_x, s_w: np.round(bias / max(abs(bias)) * 127)),
        ("bias_at_one_scale_only", lambda bias, s_x, s_w: np.round(bias / s_w)),
        ("bias_at_one_scale_only", lambda bias, s_x, s_w: np.round(bias / s_x)),
        ("truncation_for_rounding", lambda bias, s_x, s_w: (bias / (s_x * s_w)).astype(int)),
        ("truncation_for_rounding", lambda bias, s_x, s_w: bias // (s_x * s_w)),
    ],
    "correct_sums": [
        ("cross_term_of_wrong_sign", lambda raw, x, w, k, z_x, z_w: raw - z_w * x[:, None] - z_x * w - k * z_x * z_w),
        ("constant_cross_term_forgotten", lambda raw, x, w, k, z_x, z_w: raw - z_w * x[:, None] - z_x * w),
        ("zero_points_exchanged", lambda raw, x, w, k, z_x, z_w: raw - z_x * x[:, None] - z_w * w + k * z_x * z_w),
    ],
    "rescale": [
        ("shift_without_rounding", lambda a, M0, n: (a.astype(np.int64) * M0) >> n),
        ("shift_without_rounding", lambda a, M0, n: (a * (M0 / 2**n)).astype(int)),
        ("product_in_32_bits", multiplied_in_32_bits),
        ("double_rounding", rounded_on_the_way),
    ],
    "convolve": [
        ("padding_with_code_zero", convolve_padded_first),
        ("zero_point_ignored_in_the_sum", convolve_raw_codes),
        ("kernel_turned", lambda q_x, q_w, z: convolve_by_windows(q_x, np.flip(q_w, (2, 3)), z)),
    ],
    "quantized_layer": [
        ("multiplier_inverted", layer_that_divides),
        ("relu_at_code_zero", layer_without_its_zero_point),
        ("ties_rounded_up", layer_with_floor_and_half),
    ],
}
