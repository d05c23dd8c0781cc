"""Mistakes in folding batch norm, in adding codes of two scales, and in judging channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.integers.requantizing import output_zero_point_forgotten
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import (
    clamped_before_the_zero_point,
    subtraction_in_the_code_type,
    truncation_for_rounding,
    wrap_instead_of_clamp,
)
from fewerbits.teach.mistakes.uniform.parameters import levels_per_side
from fewerbits.teach.mistakes.uniform.tensors import one_scale_for_all_channels, wrong_axis

Array = NDArray[Any]
Pair = tuple[Array, Array]


def _gain(gamma: Array, variance: Array, epsilon: float) -> Array:
    return np.asarray(gamma, np.float64) / np.sqrt(np.asarray(variance, np.float64) + epsilon)


def _folded(weight: Array, beta: Array, mean: Array, gain: Array) -> Pair:
    return weight * gain.reshape(-1, *[1] * (weight.ndim - 1)), beta - mean * gain


@mistake(
    "fold_batch_norm",
    symptom="Nearly right; channels that hardly ever fire, whose variance is tiny, explode.",
    cause="The ε that the network was trained with is missing under the root.",
    repair="Divide by √(σ² + ε), with the ε of the training.",
    source="common; invisible where all variances are large",
)
def epsilon_forgotten(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, mean, _gain(gamma, variance, 0))


@mistake(
    "fold_batch_norm",
    symptom="Nearly right; the smaller the variance, the further off.",
    cause="ε is added to the standard deviation, not to the variance.",
    repair="Add ε before taking the root.",
    source="other normalizations write it so",
)
def epsilon_outside_the_root(
    weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float
) -> Pair:
    return _folded(weight, beta, mean, np.asarray(gamma, np.float64) / (np.sqrt(variance) + epsilon))


@mistake(
    "fold_batch_norm",
    symptom="Channels of large variance nearly vanish, those of small variance grow.",
    cause="It is divided by the variance, but batch norm divides by the standard deviation.",
    repair="Take the root of σ² + ε.",
    source="common: running_var taken for a standard deviation",
)
def variance_not_rooted(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, mean, np.asarray(gamma, np.float64) / (np.asarray(variance, np.float64) + epsilon))


@mistake(
    "fold_batch_norm",
    symptom="An error about shapes, or, where a layer has as many inputs as outputs, a wrong answer without any.",
    cause="The gain of an output channel multiplies an input channel, or a column of the kernel.",
    repair="Line the gains up with the first axis: gain.reshape(-1, 1, 1, 1).",
    source="NumPy lines axes up from the last one",
)
def gain_on_the_input_channels(
    weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float
) -> Pair:
    gain = _gain(gamma, variance, epsilon)
    return weight * gain[:, np.newaxis, np.newaxis], beta - mean * gain


@also(gain_on_the_input_channels, "fold_batch_norm")
def gain_on_the_columns(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    gain = _gain(gamma, variance, epsilon)
    return weight * gain, beta - mean * gain


@mistake(
    "fold_batch_norm",
    symptom="Each channel is off by a constant of its own.",
    cause="The mean is subtracted after the gain, but it was measured before it.",
    repair="Multiply the mean by the gain as well: b' = β − μ·gain.",
    source="common",
)
def mean_left_unscaled(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    gain = _gain(gamma, variance, epsilon)
    return _folded(weight, beta, mean, gain)[0], beta - mean


@mistake(
    "fold_batch_norm",
    symptom="Each channel is off by a constant of its own.",
    cause="The shift that is left is not all: what batch norm subtracts first has got lost.",
    repair="b' = β − μ·gain: the mean belongs to the bias.",
    source="common: only γ and β are looked at, the buffers are overlooked",
)
def mean_forgotten(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, np.zeros(len(mean)), _gain(gamma, variance, epsilon))


@mistake(
    "fold_batch_norm",
    symptom="Each channel is off by a constant of its own, twice the shift of its mean.",
    cause="The mean is added, but batch norm subtracts it.",
    repair="b' = β − μ·gain.",
    source="common",
)
def mean_of_wrong_sign(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, -np.asarray(mean), _gain(gamma, variance, epsilon))


@mistake(
    "fold_batch_norm",
    symptom="Each channel is off by a constant of its own.",
    cause="β is multiplied by the gain too, though batch norm adds it at the very end.",
    repair="b' = β − μ·gain: only the mean is scaled.",
    source="common: (β − μ)·gain",
)
def beta_scaled_too(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    gain = _gain(gamma, variance, epsilon)
    return _folded(weight, beta, mean, gain)[0], (beta - mean) * gain


@mistake(
    "fold_batch_norm",
    symptom="All channels have outputs of the same size, and the network answers at random.",
    cause="Only the normalization is folded; what the network learned as its own scale is left out.",
    repair="The gain is γ/√(σ² + ε).",
    source="common",
)
def gamma_forgotten(weight: Array, gamma: Array, beta: Array, mean: Array, variance: Array, epsilon: float) -> Pair:
    return _folded(weight, beta, mean, _gain(np.ones(len(gamma)), variance, epsilon))


def _reals(q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int) -> Pair:
    return s_a * (q_a.astype(np.float64) - z_a), s_b * (q_b.astype(np.float64) - z_b)


def _total(pair: Pair) -> Array:
    return pair[0] + pair[1]


def _codes(real: Array, s_y: float, z_y: int) -> Array:
    return np.clip(np.rint(real / s_y) + z_y, 0, 255)


@mistake(
    "add_codes",
    symptom="Sums are nonsense wherever the two inputs have different scales.",
    cause="Codes were added that count in different units.",
    repair="Bring both back to real numbers, s·(q − z), add, and quantize the sum.",
    source="executorch issue 18999",
)
def codes_added_as_they_are(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return np.clip(q_a.astype(np.int64) + q_b, 0, 255)


@also(codes_added_as_they_are, "add_codes")
def codes_added_in_uint8(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return q_a + q_b


@also(codes_added_as_they_are, "add_codes")
def codes_added_without_their_zero_points(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return np.clip(q_a.astype(np.int64) - z_a + q_b.astype(np.int64) - z_b + z_y, 0, 255)


@mistake(
    "add_codes",
    symptom="All sums are off by one constant, which depends on the scales and zero points alone.",
    cause="The codes were multiplied by their scales as if the code 0 stood for the number 0.",
    repair="Subtract z_a from q_a and z_b from q_b before multiplying.",
    source="common where data after a ReLU, whose zero point is 0, served as the example",
)
def zero_points_left_in(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, 0, q_b, s_b, 0)), s_y, z_y)


@also(zero_points_left_in, "add_codes")
def zero_point_of_the_second_left_in(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, 0)), s_y, z_y)


@mistake(
    "add_codes",
    symptom="One branch arrives too strong or too weak, the other one is right.",
    cause="Both inputs were read with the scale of one of them.",
    repair="Each input has its own scale and zero point.",
    source="common: concatenations and additions that keep the first input's parameters",
)
def scale_of_one_branch_for_both(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_a, z_b)), s_y, z_y)


@also(scale_of_one_branch_for_both, "add_codes")
def scale_of_the_second_for_both(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_b, z_a, q_b, s_b, z_b)), s_y, z_y)


@also(scale_of_one_branch_for_both, "add_codes")
def both_parameters_of_the_first_for_both(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_a, z_a)), s_y, z_y)


@mistake(
    "add_codes",
    symptom="Many sums are right, and about one in four is a step off.",
    cause="Each term is rounded to a code before they are added: two roundings where one is due.",
    repair="Add real numbers, and round the sum once.",
    source="additions built from two requantizations, as in first fixed-point implementations",
)
def each_term_rounded(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    a, b = _reals(q_a, s_a, z_a, q_b, s_b, z_b)
    return np.clip(np.rint(a / s_y) + np.rint(b / s_y) + z_y, 0, 255)


@mistake(
    "add_codes",
    symptom="All codes lie close to the zero point.",
    cause="The sum is rounded as a real number, not in steps of the output.",
    repair="Divide the real sum by s_y before rounding.",
    source="common",
)
def output_scale_forgotten(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, z_b)), 1.0, z_y)


@also(output_zero_point_forgotten, "add_codes")
def sum_without_its_zero_point(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, z_b)), s_y, 0)


@also(wrap_instead_of_clamp, "add_codes")
def sum_that_wraps(q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int) -> Array:
    real = _total(_reals(q_a, s_a, z_a, q_b, s_b, z_b))
    return (np.rint(real / s_y) + z_y).astype(np.int64).astype(np.uint8)


@also(clamped_before_the_zero_point, "add_codes")
def sum_clipped_before_the_zero_point(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a, s_a, z_a, q_b, s_b, z_b)), s_y, 0) + z_y


@also(truncation_for_rounding, "add_codes")
def sum_truncated(q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int) -> Array:
    real = _total(_reals(q_a, s_a, z_a, q_b, s_b, z_b))
    return np.clip(np.trunc(real / s_y + z_y), 0, 255)


@also(truncation_for_rounding, "add_codes")
def sum_truncated_toward_its_zero_point(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    real = _total(_reals(q_a, s_a, z_a, q_b, s_b, z_b))
    return np.clip(np.trunc(real / s_y) + z_y, 0, 255)


@also(subtraction_in_the_code_type, "add_codes")
def zero_points_subtracted_in_uint8(
    q_a: Array, s_a: float, z_a: int, q_b: Array, s_b: float, z_b: int, s_y: float, z_y: int
) -> Array:
    return _codes(_total(_reals(q_a - np.uint8(z_a), s_a, 0, q_b - np.uint8(z_b), s_b, 0)), s_y, z_y)


def _by_channel(weight: Array) -> Array:
    return np.asarray(weight, np.float64).reshape(len(weight), -1)


def _restored(w: Array, peak: Array | float, steps: int) -> Array:
    scale = peak / steps
    return scale * np.rint(w / scale)


def _steps(bits: int) -> int:
    return 2 ** (bits - 1) - 1


def _decibels(w: Array, w_hat: Array) -> Array:
    return 10 * np.log10(np.square(w).sum(axis=1) / np.square(w_hat - w).sum(axis=1))


def _both(weight: Array, bits: int, steps: int | None = None) -> Pair:
    w, steps = _by_channel(weight), steps or _steps(bits)
    peaks = np.abs(w).max(axis=1, keepdims=True)
    return _decibels(w, _restored(w, peaks.max(), steps)), _decibels(w, _restored(w, peaks, steps))


@mistake(
    "channel_sqnr",
    symptom="All channels seem equally good, and the layer looks fine.",
    cause="Signal and noise were summed over the whole tensor: the large channels hide the small ones.",
    repair="Sum over all axes but the first.",
    source="one SQNR per layer, as most tools report it",
)
def one_ratio_for_the_tensor(weight: Array, bits: int) -> Pair:
    w = _by_channel(weight)
    peaks = np.abs(w).max(axis=1, keepdims=True)
    flat = w.reshape(1, -1)
    each = (_restored(w, peaks.max(), _steps(bits)), _restored(w, peaks, _steps(bits)))
    one_scale, own_scale = (np.full(len(w), _decibels(flat, w_hat.reshape(1, -1))[0]) for w_hat in each)
    return one_scale, own_scale


@mistake(
    "channel_sqnr",
    symptom="Every number of decibels is half of what it should be.",
    cause="The ratio of amplitudes was taken for one of powers.",
    repair="10·log₁₀ of a ratio of squares, or 20·log₁₀ of a ratio of amplitudes.",
    source="common",
)
def ratio_of_amplitudes(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return one_scale / 2, own_scale / 2


@mistake(
    "channel_sqnr",
    symptom="Every number of decibels is twice what it should be: 12 dB per bit.",
    cause="The factor 20 belongs to amplitudes; squares are powers already.",
    repair="10·log₁₀ of a ratio of squares.",
    source="common",
)
def decibels_counted_twice(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return 2 * one_scale, 2 * own_scale


@mistake(
    "channel_sqnr",
    symptom="The numbers are negative, and the best channel has the lowest.",
    cause="The noise is divided by the signal.",
    repair="Divide the signal by the noise.",
    source="common",
)
def noise_over_signal(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return -one_scale, -own_scale


@mistake(
    "channel_sqnr",
    symptom="The numbers are 2.3 times too large.",
    cause="A decibel is a tenth of a decimal logarithm, and this is the natural one.",
    repair="np.log10.",
    source="np.log is the natural logarithm",
)
def natural_logarithm(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return one_scale * np.log(10), own_scale * np.log(10)


@mistake(
    "channel_sqnr",
    symptom="A scale per channel seems to be the worse choice.",
    cause="The two results are returned in the wrong order.",
    repair="Return what belongs to one scale first.",
    source="common",
)
def results_in_the_wrong_order(weight: Array, bits: int) -> Pair:
    one_scale, own_scale = _both(weight, bits)
    return own_scale, one_scale


@also(wrong_axis, "channel_sqnr")
def scales_along_the_inputs(weight: Array, bits: int) -> Pair:
    w = np.asarray(weight, np.float64)
    peaks = np.abs(w).max(axis=tuple(axis for axis in range(w.ndim) if axis != 1), keepdims=True)
    return _both(weight, bits)[0], _decibels(_by_channel(w), _by_channel(_restored(w, peaks, _steps(bits))))


@also(one_scale_for_all_channels, "channel_sqnr")
def one_scale_in_both_results(weight: Array, bits: int) -> Pair:
    one_scale, _ = _both(weight, bits)
    return one_scale, one_scale


@also(levels_per_side, "channel_sqnr")
def sqnr_with_levels_per_side(weight: Array, bits: int) -> Pair:
    return _both(weight, bits, steps=2**bits - 1)
