# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 09."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import torch
from fewerbits import data
from fewerbits.deploy import engines, export
from fewerbits.network import allocation, integer_network, mixed
from fewerbits.network.folding import fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.tensor.calibration import MinMax
from fewerbits.tensor.uniform import Uniform


def folded_by_loop(weight, gamma, beta, mean, variance, epsilon):
    weights, biases = weight.astype(np.float64).copy(), []
    for channel in range(len(weight)):
        gain = gamma[channel] / math.sqrt(variance[channel] + epsilon)
        weights[channel] *= gain
        biases.append(float(beta[channel]) - float(mean[channel]) * gain)
    return weights, biases


def folded_by_einsum_in_float32(weight, gamma, beta, mean, variance, epsilon):
    gain = (gamma / np.sqrt(variance + epsilon)).astype(np.float32)
    shift = mean.astype(np.float32) * gain
    return np.einsum("oikl,o->oikl", weight.astype(np.float32), gain), beta.astype(np.float32) - shift


def folded_by_torch(weight, gamma, beta, mean, variance, epsilon):
    from torch.nn.utils.fusion import fuse_conv_bn_weights

    tensors = [torch.from_numpy(np.asarray(each)) for each in (weight, mean, variance, gamma, beta)]
    w, running_mean, running_var, bn_weight, bn_bias = tensors
    folded, bias = fuse_conv_bn_weights(w, None, running_mean, running_var, epsilon, bn_weight, bn_bias)
    return folded.detach().numpy(), bias.detach().numpy()


def folded_by_probing_the_batch_norm(weight, gamma, beta, mean, variance, epsilon):
    """What batch norm makes of 0 and of 1 is the bias, and the gain above it."""

    def batch_norm(x):
        return (x - mean) / (variance + epsilon) ** 0.5 * gamma + beta

    at_zero = batch_norm(0)
    return (weight.T * (batch_norm(1) - at_zero)).T, at_zero


def added_by_loop(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    codes = []
    for a, b in zip(q_a.tolist(), q_b.tolist()):
        real = s_a * (a - z_a) + s_b * (b - z_b)
        codes.append(min(max(round(real / s_y) + z_y, 0), 255))
    return codes


def added_in_float32(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    a = np.float32(s_a) * (q_a.astype(np.float32) - np.float32(z_a))
    b = np.float32(s_b) * (q_b.astype(np.float32) - np.float32(z_b))
    return np.clip(np.rint((a + b) / np.float32(s_y) + np.float32(z_y)), 0, 255)


def added_by_the_package(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    def scheme(scale, zero_point):
        return Uniform(np.float64(scale), np.int32(zero_point), signed=False)

    real = scheme(s_a, z_a).dequantize(q_a) + scheme(s_b, z_b).dequantize(q_b)
    return scheme(s_y, z_y).quantize(real)


def added_with_two_multipliers(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    """Constants collected beforehand, as an integer kernel does it."""
    constant = Fraction(s_a) * z_a + Fraction(s_b) * z_b
    real = s_a / s_y * q_a.astype(np.int64) + s_b / s_y * q_b.astype(np.int64) - float(constant / Fraction(s_y))
    return np.clip(np.floor(real + 0.5) + z_y, 0, 255).astype(np.uint8)


def sqnr_by_loop(weight, bits):
    peak = float(np.abs(weight).max())
    one_scale, own_scale = [], []
    for channel in weight:
        for result, top in ((one_scale, peak), (own_scale, float(np.abs(channel).max()))):
            scale = top / (2 ** (bits - 1) - 1)
            noise = np.round(channel / scale) * scale - channel
            result.append(20 * math.log10(np.linalg.norm(channel) / np.linalg.norm(noise)))
    return one_scale, own_scale


def sqnr_of_the_package(weight, bits):
    results = []
    for axis in (None, 0):
        scheme = MinMax(axis=axis).observe(weight).fit(bits)
        w_hat = scheme.dequantize(scheme.quantize(weight))
        axes = tuple(range(1, weight.ndim))
        results.append(10 * np.log10((weight**2).sum(axes) / ((w_hat - weight) ** 2).sum(axes)))
    return results


def sqnr_by_torch(weight, bits):
    w = torch.from_numpy(np.asarray(weight)).flatten(1).double()
    largest = 2 ** (bits - 1) - 1
    results = []
    for scale in (w.abs().max() / largest, w.abs().amax(dim=1, keepdim=True) / largest):
        noise = torch.round(w / scale) * scale - w
        results.append(10 * (torch.log10(w.square().mean(dim=1)) - torch.log10(noise.square().mean(dim=1))))
    return results


def logits_by_qoperator(name, calibration, images):
    network = fold(name, data.load_weights(name))
    seen = calibrate(network, calibration[:, None] / np.float32(255), MinMax(), title="")
    model = export.qoperator_model(quantize_network(network, seen, weight_bits=7, per_channel=True))
    return engines.OnnxRuntime(model, threads=2)(data.to_float(images))


def logits_in_two_batches(name, calibration, images):
    network = fold(name, data.load_weights(name))
    halves = [calibrate(network, data.to_float(half), title="") for half in np.array_split(calibration, 2)]
    seen = {value: first.merge(halves[1][value]) for value, first in halves[0].items()}
    engine = engines.OnnxRuntime(export.qdq_model(quantize_network(network, seen, weight_bits=7), expose_codes=True))
    return np.concatenate([engine.outputs(data.to_float(image[None]))["logits"] for image in images])


def logits_of_the_integer_network(name, calibration, images):
    network = fold(name, data.load_weights(name))
    quantized = quantize_network(network, calibrate(network, data.to_float(calibration), title=""), weight_bits=7)
    return integer_network.run(quantized, data.to_float(images))["logits"].astype(np.float64)


def timed(machine, run):
    started = machine.clock()
    run()
    return machine.clock() - started


def ratio_by_numpy(machine, pairs):
    for run in (machine.float32, machine.int8):
        for _ in range(25):
            run()
    samples = np.empty((pairs, 2))
    for index in range(pairs):
        for column in (0, 1) if index % 2 else (1, 0):
            samples[index, column] = timed(machine, (machine.float32, machine.int8)[column])
    return np.median(samples[:, 0] / samples[:, 1])


def ratio_by_sorting(machine, pairs):
    """The middle of sorted logarithms; in the second half of the pairs the order is the other one."""
    for _ in range(12):
        machine.int8()
        machine.float32()
    logarithms = []
    for index in range(pairs):
        if 2 * index < pairs:
            a, b = timed(machine, machine.float32), timed(machine, machine.int8)
        else:
            b, a = timed(machine, machine.int8), timed(machine, machine.float32)
        logarithms.append(math.log(a) - math.log(b))
    return math.exp(sorted(logarithms)[len(logarithms) // 2])


def ratio_in_random_order(machine, pairs):
    coin = random.Random(0)
    for _ in range(40):
        machine.float32()
        machine.int8()
    ratios = []
    for _ in range(pairs):
        runs = [("a", machine.float32), ("b", machine.int8)]
        coin.shuffle(runs)
        seconds = {key: timed(machine, run) for key, run in runs}
        ratios.append(seconds["a"] / seconds["b"])
    return float(np.percentile(ratios, 50))


def ratio_of_four_calls(machine, pairs):
    """float32, int8, int8, float32: what drifts cancels within four calls."""
    for _ in range(10):
        machine.float32()
        machine.int8()
    ratios = []
    for _ in range(pairs):
        a, b, c, d = (timed(machine, run) for run in (machine.float32, machine.int8, machine.int8, machine.float32))
        ratios.append((a + d) / (b + c))
    return np.median(ratios)


def ratio_by_trimmed_mean(machine, pairs):
    """The mean of the logarithms without a quarter at each end; warmed up one form after the other."""
    for run in (machine.float32, machine.int8):
        for _ in range(10):
            run()
    logarithms = []
    for index in range(pairs):
        order = slice(None, None, -1 if index % 2 else 1)
        a, b = [timed(machine, run) for run in (machine.float32, machine.int8)[order]][order]
        logarithms.append(np.log(a / b))
    quarter = pairs // 4
    return np.exp(np.mean(sorted(logarithms)[quarter : pairs - quarter]))


def bits_by_measured_losses_of_other_images(budget):
    network = fold("vgg32", data.load_weights("vgg32"))
    images = data.to_float(data.load_fashion_mnist("train").images[1000:1016])
    return allocation.by_integer_program(
        mixed.measured_sensitivity(network, images, title=""), mixed.weight_bytes(network), budget
    )


def bits_by_noise(budget):
    network = fold("vgg32", data.load_weights("vgg32"))
    return tuple(allocation.exact(mixed.noise_sensitivity(network), mixed.weight_bytes(network), int(budget)).values())


def bits_from_a_table(budget):
    """Found once, on training images, and written down."""
    return np.array([8, 4, 4, 4, 3, 3, 8] if budget >= 120_000 else [8, 4, 4, 4, 3, 2, 6])


ALTERNATIVES = {
    "fold_batch_norm": [
        folded_by_loop,
        folded_by_einsum_in_float32,
        folded_by_torch,
        folded_by_probing_the_batch_norm,
    ],
    "add_codes": [added_by_loop, added_in_float32, added_by_the_package, added_with_two_multipliers],
    "channel_sqnr": [sqnr_by_loop, sqnr_of_the_package, sqnr_by_torch],
    "int8_logits": [logits_by_qoperator, logits_in_two_batches, logits_of_the_integer_network],
    "honest_ratio": [
        ratio_by_numpy,
        ratio_by_sorting,
        ratio_in_random_order,
        ratio_of_four_calls,
        ratio_by_trimmed_mean,
    ],
    "bits_within": [bits_by_measured_losses_of_other_images, bits_by_noise, bits_from_a_table],
}


def added_as_uint8_minus_zero_points(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    return np.clip(np.rint(((q_a - z_a) * s_a + (q_b - z_b) * s_b) / s_y) + z_y, 0, 255)


def added_after_two_requantizations(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    a = np.round(q_a.astype(int) * (s_a / s_y) - z_a * s_a / s_y).astype(int)
    b = np.round(q_b.astype(int) * (s_b / s_y) - z_b * s_b / s_y).astype(int)
    return (a + b + z_y).clip(0, 255)


def added_and_wrapped(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    y = s_a * (q_a.astype(float) - z_a) + s_b * (q_b.astype(float) - z_b)
    return np.round(y / s_y + z_y).astype(int) % 256


def added_with_one_scale(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    total = (q_a.astype(int) - z_a) + (q_b.astype(int) - z_b)
    return np.clip(np.rint(s_a * total / s_y) + z_y, 0, 255)


def added_as_int8(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    a, b = q_a.astype(np.int8) - z_a, q_b.astype(np.int8) - z_b
    return (np.rint((a * s_a + b * s_b) / s_y) + z_y).clip(0, 255).astype(np.uint8)


def added_after_reading_as_int8(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    a, b = (q.astype(np.int8).astype(int) - z for q, z in ((q_a, z_a), (q_b, z_b)))
    return (np.rint((a * s_a + b * s_b) / s_y) + z_y).clip(0, 255).astype(np.uint8)


def added_rightly_and_returned_as_int8(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y):
    codes = np.array(added_by_loop(q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y))
    return codes.astype(np.int8)


def sqnr_with(peaks, levels):
    def sqnr(weight, bits):
        w, low_high = weight.reshape(len(weight), -1), levels(bits)
        results = []
        for peak in (peaks(w).max(), peaks(w)):
            scale = peak / low_high[1]
            noise = np.clip(np.round(w / scale), -low_high[1], low_high[0]) * scale - w
            results.append(10 * np.log10((w * w).sum(1) / (noise * noise).sum(1)))
        return results

    return sqnr


def largest_magnitudes(w):
    return np.abs(w).max(1, keepdims=True)


def largest_values(w):
    return w.max(1, keepdims=True)


def sqnr_over_everything(weight, bits):
    scale = np.abs(weight).max() / (2 ** (bits - 1) - 1)
    own = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True) / (2 ** (bits - 1) - 1)
    noises = [np.rint(weight / s) * s - weight for s in (scale, own)]
    return [np.repeat(10 * np.log10((weight**2).sum() / (noise**2).sum()), len(weight)) for noise in noises]


def sqnr_of_amplitudes(weight, bits):
    first, second = sqnr_by_loop(weight, bits)
    return [0.5 * value for value in first], [0.5 * value for value in second]


def logits_of_the_folded_network(name, calibration, images):
    model = export.float_model(fold(name, data.load_weights(name)))
    return engines.OnnxRuntime(model)(data.to_float(images))


def logits_with(bits=7, calibrated_on=None, **options):
    def logits(name, calibration, images):
        network = fold(name, data.load_weights(name))
        seen = data.to_float(calibration) if calibrated_on is None else calibrated_on(calibration, images)
        observers = calibrate(network, seen.astype(np.float32), title="")
        quantized = quantize_network(network, observers, weight_bits=bits, **options)
        return engines.OnnxRuntime(export.qdq_model(quantized))(data.to_float(images))

    return logits


def logits_simulated(name, calibration, images):
    network = fold(name, data.load_weights(name))
    seen = calibrate(network, data.to_float(calibration), title="")
    return quantize_network(network, seen, weight_bits=7).simulate(data.to_float(images))["logits"]


def logits_of_the_lesson_s_network(name, calibration, images):
    return logits_with()("vgg32", calibration, images)


def timed_in_blocks(machine, pairs):
    for _ in range(10):
        machine.float32()
        machine.int8()
    float32 = [timed(machine, machine.float32) for _ in range(pairs)]
    int8 = [timed(machine, machine.int8) for _ in range(pairs)]
    return np.median(float32) / np.median(int8)


def timed_in_one_order(statistic, warm_up=10):
    def ratio(machine, pairs):
        for _ in range(warm_up):
            machine.float32()
            machine.int8()
        return statistic([timed(machine, machine.float32) / timed(machine, machine.int8) for _ in range(pairs)])

    return ratio


def two_medians(machine, pairs):
    for _ in range(10):
        machine.float32()
        machine.int8()
    float32, int8 = [], []
    for index in range(pairs):
        if index % 2:
            int8.append(timed(machine, machine.int8))
        float32.append(timed(machine, machine.float32))
        if not index % 2:
            int8.append(timed(machine, machine.int8))
    return np.median(float32) / np.median(int8)


def inverted(machine, pairs):
    return 1 / ratio_by_numpy(machine, pairs)


def given(machine, pairs):
    float32 = [timed(machine, machine.float32) for _ in range(pairs)]
    int8 = [timed(machine, machine.int8) for _ in range(pairs)]
    return min(int8) / min(float32)


def given_the_right_way_round(machine, pairs):
    return 1 / given(machine, pairs)


def three_bits(budget):
    return dict.fromkeys(("conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "logits"), 3 if budget > 109_556 else 2)


SLIPS = {
    "fold_batch_norm": [
        (
            "epsilon_forgotten",
            lambda w, g, b, m, v, e: (w * (g / np.sqrt(v))[:, None, None, None], b - m * g / np.sqrt(v)),
        ),
        (
            "variance_not_rooted",
            lambda w, g, b, m, v, e: (w * (g / (v + e))[:, None, None, None], b - m * g / (v + e)),
        ),
        (
            "variance_not_rooted",
            lambda w, g, b, m, v, e: (w * (g / v)[:, None, None, None], b - m * (g / v)),
        ),
        (
            "gain_on_the_input_channels",
            lambda w, g, b, m, v, e: (w * (g / np.sqrt(v + e)), b - m * (g / np.sqrt(v + e))),
        ),
        (
            "mean_left_unscaled",
            lambda w, g, b, m, v, e: (w * (g / np.sqrt(v + e)).reshape(-1, 1, 1, 1), b - m),
        ),
        (
            "beta_scaled_too",
            lambda w, g, b, m, v, e: (
                w * (g / np.sqrt(v + e)).reshape(-1, 1, 1, 1),
                g / np.sqrt(v + e) * (b - m),
            ),
        ),
        ("mean_forgotten", lambda w, g, b, m, v, e: (w * (g / np.sqrt(v + e)).reshape(-1, 1, 1, 1), b)),
    ],
    "add_codes": [
        ("codes_added_as_they_are", lambda q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y: q_a + q_b),
        (
            "zero_points_left_in",
            lambda q_a, s_a, z_a, q_b, s_b, z_b, s_y, z_y: np.clip(
                np.rint((s_a * q_a + s_b * q_b) / s_y) + z_y, 0, 255
            ),
        ),
        ("subtraction_in_the_code_type", added_as_uint8_minus_zero_points),
        ("each_term_rounded", added_after_two_requantizations),
        ("wrap_instead_of_clamp", added_and_wrapped),
        ("scale_of_one_branch_for_both", added_with_one_scale),
        ("codes_read_as_int8", added_as_int8),
        ("codes_read_as_int8", added_after_reading_as_int8),
        ("clamped_codes_in_the_wrong_type", added_rightly_and_returned_as_int8),
    ],
    "channel_sqnr": [
        ("one_ratio_for_the_tensor", sqnr_over_everything),
        ("ratio_of_amplitudes", sqnr_of_amplitudes),
        ("results_in_the_wrong_order", lambda w, bits: sqnr_by_loop(w, bits)[::-1]),
        ("one_scale_for_all_channels", lambda w, bits: [sqnr_by_loop(w, bits)[0]] * 2),
        (
            "scaled_by_the_negative_end",
            sqnr_with(largest_magnitudes, lambda bits: (2 ** (bits - 1) - 1, 2 ** (bits - 1))),
        ),
        ("scaled_by_the_negative_end", sqnr_with(largest_magnitudes, lambda bits: 2 * [2 ** (bits - 1)])),
        (
            "largest_value_for_largest_magnitude",
            sqnr_with(largest_values, lambda bits: 2 * [2 ** (bits - 1) - 1]),
        ),
        ("natural_logarithm", lambda w, bits: [np.log(10) * np.array(each) for each in sqnr_by_loop(w, bits)]),
    ],
    "int8_logits": [
        ("float_network_executed", logits_of_the_folded_network),
        ("eight_bits_where_seven_are_asked", logits_with(bits=8)),
        ("one_scale_for_all_channels", logits_with(per_channel=False)),
        ("calibrated_on_unnormalized_data", logits_with(calibrated_on=lambda seen, images: seen[:, None])),
        (
            "calibrated_on_the_images_to_be_classified",
            logits_with(calibrated_on=lambda seen, images: data.to_float(images)),
        ),
        ("simulated_for_executed", logits_simulated),
        ("one_network_for_all_names", logits_of_the_lesson_s_network),
    ],
    "honest_ratio": [
        ("ratio_the_wrong_way_round", inverted),
        ("ratio_the_wrong_way_round", given),
        ("no_warm_up", given_the_right_way_round),
        ("medians_divided", two_medians),
        ("one_after_the_other", timed_in_blocks),
        ("always_the_same_order", timed_in_one_order(np.median)),
        ("always_the_same_order", timed_in_one_order(np.median, warm_up=30)),
        ("mean_for_median", timed_in_one_order(np.mean)),
        ("no_warm_up", timed_in_one_order(np.median, warm_up=0)),
    ],
    "bits_within": [
        ("budget_not_looked_at", lambda budget: 7 * [8]),
        ("bytes_minimized", lambda budget: np.full(7, 2)),
        ("as_many_bits_as_fit_for_all", three_bits),
    ],
}

# Wrong in other ways: other bits, other images to calibrate on, bytes too many.
UNNAMED = {
    "int8_logits": [logits_with(bits=6), logits_with(calibrated_on=lambda seen, images: data.to_float(seen[:8]))],
    "honest_ratio": [lambda machine, pairs: 1.0],
    "bits_within": [lambda budget: [8, 5, 5, 4, 4, 4, 8], lambda budget: [8, 4, 4], lambda budget: [2.5] * 7],
}
