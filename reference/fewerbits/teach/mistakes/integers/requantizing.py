"""Mistakes on the way from a sum to a code: the multiplier, its shift, rounding, and the ends of the range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fewerbits.teach.mistakes.integers.sums import zero_point_ignored_in_the_sum
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import (
    clamped_before_the_zero_point,
    subtraction_in_the_code_type,
    truncation_for_rounding,
    wrap_instead_of_clamp,
)

Array = NDArray[Any]


def _multiplier(m: float, bits: int) -> tuple[int, int]:
    """M0 of so many bits and n with M0/2^n nearest to m."""
    fraction, exponent = np.frexp(m)
    M0, n = round(float(fraction) * 2**bits), bits - int(exponent)
    return (M0 // 2, n - 1) if 2**bits == M0 else (M0, n)


def _product(accumulators: Array, M0: int) -> Array:
    return accumulators.astype(np.int64) * M0


def _high(accumulators: Array, M0: int, bits: int) -> Array:
    """The product without its last `bits` bits, rounded."""
    return (_product(accumulators, M0) + 2 ** (bits - 1)) >> bits


def _nearest(accumulators: Array, M0: int, n: int) -> tuple[int, int, Array]:
    return M0, n, (_product(accumulators, M0) + (1 << (n - 1))) >> n


@mistake(
    "rescale",
    symptom="Outputs are half a step too low on average, and the error grows from layer to layer.",
    cause="A shift alone rounds down, to the lower of two neighbours.",
    repair="Add half of what one unit of the result is worth, 2^(n−1), before the shift.",
    source="common in first fixed-point implementations",
)
def shift_without_rounding(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    M0, n = _multiplier(m, bits)
    return M0, n, _product(accumulators, M0) >> n


@also(shift_without_rounding, "rescale")
def division_toward_zero(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    M0, n = _multiplier(m, bits)
    return M0, n, np.trunc(accumulators.astype(np.float64) * (M0 / 2.0**n)).astype(np.int64)


@mistake(
    "rescale",
    symptom="Nonsense of either sign as soon as sums are larger than a few, or an OverflowError.",
    cause="The product of sum and multiplier needs up to 62 bits and is computed in 32.",
    repair="Convert the sums to int64 before multiplying.",
    source="common; C multiplies two int32 in 32 bits, and so does NumPy",
)
def product_in_32_bits(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    M0, n = _multiplier(m, bits)
    return M0, n, (accumulators * np.int32(M0) + (1 << (n - 1))) >> n


@also(product_in_32_bits, "rescale")
def product_in_32_bits_shifted_in_64(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    M0, n = _multiplier(m, bits)
    wrapped = (accumulators * np.int32(M0)).astype(np.int64)
    return M0, n, (wrapped + (1 << (n - 1))) >> n


@mistake(
    "rescale",
    symptom="Most outputs are right; some that lie a little below a half are one too high.",
    cause="The product is rounded once on the way and once more at the end.",
    repair="Keep all bits of the product and round once, in the last shift.",
    source="gemmlowp's two steps, kept on purpose in TensorFlow Lite's reference kernels",
)
def double_rounding(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    M0, n = _multiplier(m, bits)
    high, rest = _high(accumulators, M0, bits), n - bits
    # Of a multiplier of 1, which 0.999 becomes in few bits, half the result is left, and nothing to round.
    codes = high * 2 if rest < 0 else (high + ((1 << rest) >> 1) - ((high < 0) & (rest > 0))) >> rest
    return M0, n, codes


@also(double_rounding, "rescale")
def double_rounding_half_up(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    M0, n = _multiplier(m, bits)
    high, rest = _high(accumulators, M0, bits), n - bits
    return M0, n, high * 2 if rest < 0 else (high + ((1 << rest) >> 1)) >> rest


@mistake(
    "rescale",
    symptom="Nearly always right; a multiplier just below a power of two gives an M0 that does not fit its type.",
    cause="Rounding took the fraction up to 1, so that M0 is 2^bits and needs one bit more than there are.",
    repair="Where M0 is 2^bits, halve it and lower n by one.",
    source="TensorFlow Lite's QuantizeMultiplier has the guard that first versions forget",
)
def multiplier_of_one_bit_too_many(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    fraction, exponent = np.frexp(m)
    return _nearest(accumulators, round(float(fraction) * 2**bits), bits - int(exponent))


@mistake(
    "rescale",
    symptom="M0 and n are right, and with few bits the codes are not those of M0/2^n.",
    cause="The codes come from m itself; M0 and n are returned and never used.",
    repair="Compute the codes as the processor does, from M0 and n alone.",
    source="common: a processor that has m needs neither M0 nor n",
)
def codes_from_the_real_multiplier(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    return *_multiplier(m, bits), np.rint(accumulators * float(m)).astype(np.int64)


@mistake(
    "rescale",
    symptom="Right for all but very large sums; of these a few near a half are off by one.",
    cause="The product goes through a float, which keeps 53 bits at most; the product has up to 62.",
    repair="Stay with integers: int64 product, half of 2^n, shift.",
    source="a float64 is often thought to hold every integer",
)
def float_in_place_of_integers(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    M0, n = _multiplier(m, bits)
    return M0, n, np.rint(accumulators * (M0 / 2.0**n)).astype(np.int64)


@also(truncation_for_rounding, "rescale")
def half_added_and_truncated(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    M0, n = _multiplier(m, bits)
    return M0, n, np.trunc(accumulators * (M0 / 2.0**n) + 0.5).astype(np.int64)


@also(truncation_for_rounding, "rescale")
def truncated_multiplier(accumulators: Array, m: float, bits: int) -> tuple[int, int, Array]:
    fraction, exponent = np.frexp(m)
    return _nearest(accumulators, int(float(fraction) * 2**bits), bits - int(exponent))


def windows_times_weights(padded: Array, q_w: Array) -> Array:
    """Sums of k×k windows of `padded` (N, C, H + k − 1, W + k − 1) times weights (O, C, k, k): (N, O, H, W)."""
    windows = sliding_window_view(padded.astype(np.int64), q_w.shape[2:], axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, q_w.astype(np.int64))


def bordered(q_x: Array, code: int, q_w: Array) -> Array:
    """Codes in int64 with a frame of one `code` around each image, half as wide as the kernel."""
    frame = (q_w.shape[2] // 2,) * 2
    return np.pad(q_x.astype(np.int64), ((0, 0), (0, 0), frame, frame), constant_values=int(code))


def _layer(
    q_x: Array,
    q_w: Array,
    q_b: Array,
    x_zero_point: int,
    multiplier: Array,
    y_zero_point: int,
    *,
    fault: str,
) -> Array:
    if fault == "code type":
        q_x, x_zero_point = q_x - np.uint8(x_zero_point), 0
    border = 0 if fault == "border" else x_zero_point
    kernel = {"turned": q_w[..., ::-1, ::-1], "transposed": q_w.swapaxes(2, 3)}.get(fault, q_w)
    sums = windows_times_weights(bordered(q_x, border, q_w) - int(x_zero_point), kernel)
    bias = q_b.astype(np.int64).reshape(-1, 1, 1)
    zero = int(y_zero_point)
    # Otherwise the product is the engine's, in float32.
    precision: Any = np.float64 if fault == "float64" else np.float32
    factor = multiplier.astype(precision).reshape(-1, 1, 1)
    real = (sums if fault in ("late bias", "bias as output", "no bias") else sums + bias).astype(precision) * factor
    codes = {
        "inverted": lambda: np.rint((sums + bias) / factor) + zero,
        "ties": lambda: np.floor(real + 0.5) + zero,
        "floor": lambda: np.floor(real) + zero,
        "late bias": lambda: np.rint(real) + bias + zero,
        "bias as output": lambda: np.rint(real + bias) + zero,
        "zero first": lambda: np.rint(real + zero),
        "no zero": lambda: np.rint(real),
    }.get(fault, lambda: np.rint(real) + zero)()
    if fault == "wrap":
        return np.maximum(codes, zero).astype(np.int64).astype(np.uint8)
    if fault == "wrap, then clip":
        return np.maximum(codes.astype(np.int64).astype(np.uint8), np.uint8(zero))
    if fault == "no clip":
        return codes.astype(np.int64).astype(np.uint8)
    if fault == "clip first":
        return np.clip(codes - zero, 0, 255) + zero
    return np.clip(codes, 0 if fault in ("relu", "no zero") else zero, 255).astype(np.uint8)


@mistake(
    "quantized_layer",
    symptom="All codes are at one end of the range or the other.",
    cause="The sum is divided by the multiplier, or the multiplier is s_y/(s_x·s_w): scales the wrong way round.",
    repair="Multiply the sum by m = s_x·s_w/s_y, which is well below 1 in most layers.",
    source="common in first implementations",
)
def multiplier_inverted(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="inverted")


@mistake(
    "quantized_layer",
    symptom="Negative outputs survive the ReLU.",
    cause="The ReLU cuts at the code 0, but the number zero has another code.",
    repair="Clip at the zero point of the output: lower codes are negative numbers.",
    source="common; hidden where the zero point of the output is 0",
)
def relu_at_code_zero(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="relu")


@mistake(
    "quantized_layer",
    symptom="Channels with a large bias are always at an end of the range.",
    cause="The bias is added after the multiplier, but its codes count in the unit of the sum.",
    repair="Add the bias to the sum first, and multiply both.",
    source="common in first implementations",
)
def bias_after_the_multiplier(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int
) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="late bias")


@also(bias_after_the_multiplier, "quantized_layer")
def bias_code_as_an_output(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="bias as output")


@mistake(
    "quantized_layer",
    symptom="A few codes differ by one from the engine's, all at exact halves, and only with an odd zero point.",
    cause="The zero point is added before rounding: with an odd one, every half then goes to its other neighbour.",
    repair="Round first, then add the zero point.",
    source="np.rint(x/s + z), as the formula is often written",
)
def zero_point_inside_the_rounding(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int
) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="zero first")


@mistake(
    "quantized_layer",
    symptom="All outputs are too small by one constant, and most are 0.",
    cause="The rounded number counts from the number zero, and the code of zero is missing.",
    repair="Add the zero point of the output after rounding, before clipping.",
    source="common where data after a ReLU, whose zero point is 0, served as the example",
)
def output_zero_point_forgotten(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int
) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="no zero")


@mistake(
    "quantized_layer",
    symptom="Each channel is off by a constant of its own, for every input.",
    cause="The bias is never added.",
    repair="Add the codes of the bias to the sums, channel by channel.",
    source="common in first implementations",
)
def bias_forgotten(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="no bias")


@mistake(
    "quantized_layer",
    symptom="A few codes are one higher than the engine's, all of them at exact halves.",
    cause="Halves are rounded up; the engine rounds them to the even neighbour.",
    repair="Use the engine's rule: np.rint, ties to even, for ONNX Runtime.",
    source="floor(x + 0.5) in C; TensorFlow Lite's single rounding does so on purpose",
)
def ties_rounded_up(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="ties")


@also(truncation_for_rounding, "quantized_layer")
def layer_rounded_down(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="floor")


@also(wrap_instead_of_clamp, "quantized_layer")
def layer_that_wraps(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="wrap")


@mistake(
    "quantized_layer",
    symptom="A frame of error surrounds every image; inside it all codes are right.",
    cause="Outside the image stands the code 0, which is another number than zero.",
    repair="Pad with the zero point, the code of zero.",
    source="common in hand-written kernels; hidden after a ReLU, where the zero point is 0",
)
def padding_with_code_zero(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="border")


@also(wrap_instead_of_clamp, "quantized_layer")
def layer_cast_before_it_is_clipped(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int
) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="wrap, then clip")


@also(wrap_instead_of_clamp, "quantized_layer")
def layer_never_clipped(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="no clip")


@also(clamped_before_the_zero_point, "quantized_layer")
def layer_clipped_before_the_zero_point(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int
) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="clip first")


@also(zero_point_ignored_in_the_sum, "quantized_layer")
def layer_of_raw_codes(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, 0, m, y_zero_point, fault="")


@mistake(
    "quantized_layer",
    symptom="Codes are wrong everywhere, but right for kernels that look the same upside down.",
    cause="The kernel is turned by half a turn, as in the convolution of mathematics.",
    repair="Multiply window and kernel position by position, without turning: engines compute the cross-correlation.",
    source="scipy.signal.convolve2d turns the kernel, torch and ONNX do not",
)
def kernel_turned(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="turned")


@mistake(
    "quantized_layer",
    symptom="Codes are wrong everywhere, but right for kernels that are symmetric about their diagonal.",
    cause="Rows and columns of the kernel are exchanged.",
    repair="Pair the row index of the kernel with the row index of the image.",
    source="common in first implementations, where two loop variables change places",
)
def kernel_transposed(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="transposed")


@mistake(
    "quantized_layer",
    symptom="All but a few codes agree with the engine's; these are off by one, where the product is next to a half.",
    cause="The product with the multiplier is computed in float64, without a word; the engine keeps fewer bits.",
    repair="Convert the sums to float32 before multiplying: NumPy takes int32 times float32 to float64.",
    source="NumPy's type promotion",
)
def product_in_float64(q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="float64")


@also(subtraction_in_the_code_type, "quantized_layer")
def layer_subtracting_in_uint8(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, m: Array, y_zero_point: int
) -> Array:
    return _layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point, fault="code type")
