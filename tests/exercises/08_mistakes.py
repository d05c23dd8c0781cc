# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 08."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import torch
from fewerbits.network.quantized import quantize_network
from fewerbits.teach import mysteries
from fewerbits.tensor.calibration import MinMax
from fewerbits.tensor.uniform import Uniform


def used_by_loop(codes, qmin, qmax):
    values = [int(code) for code in codes.ravel()]
    return len(range(min(values), max(values) + 1)) / len(range(qmin, qmax + 1))


def used_by_peak_to_peak(codes, qmin, qmax):
    return (np.ptp(codes.astype(np.float64)) + 1) / (qmax - qmin + 1)


def used_by_torch(codes, qmin, qmax):
    wide = torch.from_numpy(codes.astype(np.int64))
    return (wide.max() - wide.min() + 1) / (qmax - qmin + 1)


def ratio_by_loop(s_x, s_w, s_b):
    return [float(b) / (s_x * float(w)) for w, b in zip(s_w, s_b)]


def ratio_in_two_steps(s_x, s_w, s_b):
    return s_b / s_w / s_x


def ratio_by_torch(s_x, s_w, s_b):
    return torch.from_numpy(s_b) / (torch.from_numpy(s_w) * s_x)


def axis_by_median_quotient(w, q, s):
    """The scale of each index, measured from the quotients of weights and codes."""
    found = []
    for axis, size in enumerate(q.shape):
        if size == s.size:
            measured = []
            for index in range(size):
                part, codes = np.take(w, index, axis), np.take(q, index, axis)
                measured.append(np.median(part[codes != 0] / codes[codes != 0]))
            found.append((np.abs(np.array(measured) - s).sum(), axis))
    return min(found)[1]


def axis_by_quantizing_again(w, q, s):
    for axis in range(q.ndim):
        if q.shape[axis] == s.size:
            scheme = Uniform(s, np.zeros(s.size, np.int32), axis=axis)
            if np.array_equal(scheme.quantize(w), q):
                return axis
    return -1


def axis_by_largest_weight(w, q, s):
    fits = [axis for axis in range(q.ndim) if q.shape[axis] == s.size]
    peaks = {axis: np.abs(w).max(axis=tuple(i for i in range(q.ndim) if i != axis)) / 127 for axis in fits}
    return np.array(next(axis for axis in fits if np.allclose(peaks[axis], s, rtol=1e-3)))


def shift_by_loop(q_w, s_x, s_w, z_written, z_read):
    shifts = []
    for row, scale in zip(q_w, s_w):
        shifts.append(sum(s_x * (z_written - z_read) * int(code) * scale for code in row))
    return shifts


def shift_by_two_layers(q_w, s_x, s_w, z_written, z_read):
    w = q_w * s_w[:, None]
    q_x = np.arange(q_w.shape[1])
    return w @ (s_x * (q_x - z_read)) - w @ (s_x * (q_x - z_written))


def shift_by_matrix_product(q_w, s_x, s_w, z_written, z_read):
    delta = np.full(q_w.shape[1], s_x * (z_written - z_read))
    return (q_w.astype(np.float64) * s_w.reshape(-1, 1)) @ delta


RIGHT = [8, 3, 1, 12, 9, 6, 2, 10, 7, 4]


def named_by_list(number):
    return RIGHT[number - 1]


def named_in_words(number):
    title, _ = mysteries.CANDIDATES[RIGHT[number - 1]]
    return title if number % 2 else title.replace(" ", "_").capitalize()


def named_by_match(number):
    return {1: np.int64(8), 2: np.array(3), 3: 1.0}.get(number, RIGHT[number - 1])


def named_by_array(number):
    return np.array([RIGHT[number - 1]])


def repaired_layer_by_layer(network):
    for name in network.codes:
        network = _one_layer(network, name)
    return network


def _one_layer(network, name):
    weight, bias = network.folded.weights[name], network.folded.biases[name]
    scale = np.abs(weight).reshape(len(weight), -1).max(axis=1) / np.float32(127)
    shape = (-1, *[1] * (weight.ndim - 1))
    codes = np.clip(np.rint(weight / scale.reshape(shape)), -127, 127).astype(np.int8)
    s_x = network.activations[network.folded.layer(name).inputs[0]].scale
    return dataclasses.replace(
        network,
        weights={**network.weights, name: Uniform(scale, np.zeros(len(scale), np.int32), axis=0)},
        codes={**network.codes, name: codes},
        biases={**network.biases, name: np.rint(bias / (s_x * scale).astype(np.float64)).astype(np.int32)},
    )


def repaired_by_the_package(network):
    """Quantized anew from observers that know the ranges of the activations."""
    observers = {
        name: MinMax().observe(scheme.dequantize(np.array([scheme.qmin, scheme.qmax], scheme.code_dtype)))
        for name, scheme in network.activations.items()
    }
    anew = quantize_network(network.folded, observers)
    return replace(anew, activations=network.activations)


def repaired_where_it_differs(network):
    """Only layers whose weights or biases are not restored are quantized again."""
    for name, weight in network.folded.weights.items():
        restored = network.weights[name].dequantize(network.codes[name])
        step = np.abs(weight).max() / 127
        bias = network.biases[name] * network.bias_scale(name)
        if np.abs(restored - weight).max() > step or not np.allclose(bias, network.folded.biases[name], atol=1e-3):
            network = _one_layer(network, name)
    return network


ALTERNATIVES = {
    "used_codes": [used_by_loop, used_by_peak_to_peak, used_by_torch],
    "bias_ratio": [ratio_by_loop, ratio_in_two_steps, ratio_by_torch],
    "scale_axis": [axis_by_median_quotient, axis_by_quantizing_again, axis_by_largest_weight],
    "output_shift": [shift_by_loop, shift_by_two_layers, shift_by_matrix_product],
    "name_mystery": [named_by_list, named_in_words, named_by_match, named_by_array],
    "repair": [repaired_layer_by_layer, repaired_by_the_package, repaired_where_it_differs],
}


def scales_corrected_only(network):
    schemes = {name: Uniform.fit(weight, axis=0) for name, weight in network.folded.weights.items()}
    again = repaired_layer_by_layer(network)
    return replace(again, weights=schemes, codes=network.codes)


def codes_and_bias_under_given_scales(network):
    codes = {name: network.weights[name].quantize(weight) for name, weight in network.folded.weights.items()}
    biases = {name: np.rint(bias / network.bias_scale(name)) for name, bias in network.folded.biases.items()}
    return replace(network, codes=codes, biases={name: bias.astype(np.int32) for name, bias in biases.items()})


SLIPS = {
    "used_codes": [
        ("steps_counted_for_codes", lambda q, low, high: (q.max().item() - q.min().item()) / (high - low)),
        ("difference_in_the_code_type", lambda q, low, high: (np.max(q) - np.min(q) + 1) / (high - low + 1)),
        ("eight_bits_taken_for_granted", lambda q, low, high: len(range(int(q.min()), int(q.max()) + 1)) / 256),
        ("steps_counted_for_codes", lambda q, low, high: (int(q.max()) - int(q.min()) + 1) / (high - low)),
        ("distinct_codes_counted", lambda q, low, high: len(set(q.ravel().tolist())) / (high - low + 1)),
        ("difference_in_the_code_type", lambda q, low, high: (q.max() - q.min() + 1.0) / (high - low + 1)),
    ],
    "bias_ratio": [
        ("ratio_upside_down", lambda s_x, s_w, s_b: (s_w * s_x) / s_b),
        ("difference_for_ratio", lambda s_x, s_w, s_b: [b - s_x * w for w, b in zip(s_w, s_b)]),
        ("second_scale_multiplied", lambda s_x, s_w, s_b: [b / s_x * w for w, b in zip(s_w, s_b)]),
        ("bias_at_one_scale_only", lambda s_x, s_w, s_b: np.divide(s_b, s_w)),
        ("bias_at_one_scale_only", lambda s_x, s_w, s_b: [b / s_x for b in s_b]),
    ],
    "scale_axis": [
        ("first_axis_taken_for_granted", lambda w, q, s: np.zeros((), int)),
        ("first_axis_taken_for_granted", lambda w, q, s: list(q.shape).index(len(s))),
        ("scales_along_the_last_axis", lambda w, q, s: len(q.shape) - 1),
    ],
    "output_shift": [
        ("zero_point_of_wrong_sign", lambda q, s_x, s_w, a, b: s_x * s_w * (b - a) * q.sum(axis=1)),
        ("one_scale_missing", lambda q, s_x, s_w, a, b: s_w * (a - b) * q.sum(1)),
        ("one_scale_missing", lambda q, s_x, s_w, a, b: s_x * (a - b) * q.sum(1)),
        ("direction_lost", lambda q, s_x, s_w, a, b: s_x * s_w * abs(b - a) * q.sum(axis=1)),
        ("inputs_counted", lambda q, s_x, s_w, a, b: s_x * s_w * (a - b) * len(q[0])),
        ("summed_over_everything", lambda q, s_x, s_w, a, b: s_x * s_w * (a - b) * q.sum()),
        ("scale_forgotten", lambda q, s_x, s_w, a, b: (a - b) * q.sum(1)),
        ("summed_over_the_outputs", lambda q, s_x, s_w, a, b: q.sum(axis=0) * s_w * s_x * (a - b)),
        ("shift_of_one_value", lambda q, s_x, s_w, a, b: s_x * (a - b) * np.ones(q.shape[0])),
    ],
    "name_mystery": [
        ("counted_from_zero", lambda number: RIGHT[number - 1] - 1),
        ("number_of_the_network", lambda number: [number]),
    ],
    "repair": [
        ("nothing_repaired", lambda network: replace(network)),
        ("former_codes_under_new_scales", scales_corrected_only),
        ("quantized_with_the_given_scales", codes_and_bias_under_given_scales),
    ],
}

UNNAMED = {
    "name_mystery": [
        lambda number: "wrong axis",
        lambda number: 7,
        lambda number: 99,
        lambda number: {8: 4}.get(number, RIGHT[number - 1]),
    ],
    "repair": [lambda network: mysteries.mystery(1).network, lambda network: network.folded, lambda network: (1, {})],
}
