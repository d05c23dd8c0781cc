"""Mistakes that are planted: those of the catalogue, run as they are written there, and others made here.

Each yields the arguments of one diagnosis and the names that are right for it. Names are several where two mistakes
give the same tensors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from fewerbits import diagnose as diagnosis
from fewerbits.network.saturating import saturating_matmul
from fewerbits.teach import mistakes
from fewerbits.teach.mistakes.record import Mistake
from fewerbits.tensor.uniform import Uniform

Array = np.ndarray


class Planted(NamedTuple):
    """A mistake, the diagnosis that looks for it, its arguments, and the findings that name it."""

    name: str
    look: Callable[..., list[diagnosis.Finding]]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    accepted: tuple[str, ...]


# Mistakes whose tensors are those of another one: no diagnosis from tensors can tell them apart.
SAME_TENSORS = {
    # 4 bits declared for codes of 5: the scale is max|x|/15 either way.
    "bits_understated": "levels_per_side",
    # The values were clipped to the range: the code beyond the end wraps as it does without any clip.
    "clipped_the_values_not_the_codes": "wrap_instead_of_clamp",
}
SEEDS = range(12)


def all_planted() -> Iterator[Planted]:
    for record in mistakes.records():
        if record.task in FROM_CATALOGUE:
            for seed in SEEDS:
                with np.errstate(all="ignore"):
                    yield from FROM_CATALOGUE[record.task](record, np.random.default_rng(seed))
    for plant in MADE_HERE:
        for seed in SEEDS:
            yield from plant(np.random.default_rng(seed))


def _tensor(name: str, *arguments: Any, accepted: tuple[str, ...] = (), **options: Any) -> Planted:
    return Planted(name, diagnosis.diagnose, arguments, options, accepted or (SAME_TENSORS.get(name, name),))


def values(rng: np.random.Generator, size: int = 400) -> Array:
    """A two-sided tensor, longer on one side, without far outliers: float32."""
    x = rng.standard_normal(size) * 10.0 ** rng.uniform(-3, 2)
    return np.clip(x, -1.8 * x.std(), 3 * x.std()).astype(np.float32) * rng.choice([-1, 1])


def affine(x: Array, bits: int = 8) -> tuple[float, int]:
    scheme = Uniform.fit(x.astype(np.float64), bits, symmetric=False, signed=False)
    return float(scheme.scale), int(scheme.zero_point)


def codes_of(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Array:
    return np.clip(np.rint(x.astype(np.float64) / scale) + zero_point, qmin, qmax).astype(np.int32)


def _call(record: Mistake, **known: Any) -> Array:
    """The wrong function with those of the known arguments that it takes."""
    return np.asarray(record.wrong(**{name: known[name] for name in inspect.signature(record.wrong).parameters}))


def _symmetric_scale(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    bits = int(rng.choice([3, 4, 8]))
    x = values(rng)
    if record.name == "zero_scale":
        x = np.zeros(9, np.float32)
    elif record.name == "largest_value_for_largest_magnitude":
        x = -np.abs(x) if rng.random() < 0.3 else x * np.sign(-x[np.argmax(np.abs(x))])
    else:
        x = x * np.sign(x[np.argmax(np.abs(x))])
    scale = record.wrong(x, bits)
    end = 2 ** (bits - 1)
    codes = np.nan_to_num(np.clip(np.rint(x / np.float64(scale)), -end, end - 1)).astype(np.int32)
    yield _tensor(record.name, x, codes, scale, 0, bits, signed=True)
    if record.name == "levels_per_side":
        unclamped = np.rint(x / np.float64(scale)).astype(np.int32)
        yield _tensor(record.name, x, unclamped, scale, 0, bits, signed=True)


def _affine_parameters(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    bits = int(rng.choice([4, 8]))
    x = values(rng)
    if record.name == "zero_scale":
        return
    if record.name == "range_without_zero":
        x = np.abs(x) + 3 * np.abs(x).max()
        x = x if "lower" not in record.wrong.__name__ else -x
        if "upper" not in record.wrong.__name__ and "lower" not in record.wrong.__name__:
            x = x * rng.choice([-1, 1])
    if record.name == "symmetric_range_for_one_sided_data":
        x = np.abs(x)
    scale, zero_point = record.wrong(x, bits)
    right_scale, right_zero_point = affine(x, bits)
    if np.isclose(scale, right_scale, rtol=1e-6) and zero_point == right_zero_point:
        return  # rounding this zero point down is rounding it to the nearest
    accepted: tuple[str, ...] = (record.name,)
    if record.name == "zero_point_minus_one" and zero_point > right_zero_point:
        accepted = ("zero_point_one_too_high",)
    if record.name == "zero_point_minus_one" and zero_point == int(-x.min().astype(np.float64) / right_scale):
        accepted = ("truncated_zero_point",)  # then z − 1 is what dropping the fraction gives
    codes = codes_of(x, scale, zero_point, 0, 2**bits - 1)
    yield _tensor(record.name, x, codes, scale, zero_point, bits, signed=False, accepted=accepted)


def _quantize(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    signed = bool(rng.random() < 0.5)
    qmin, qmax = (-128, 127) if signed else (0, 255)
    scheme = Uniform.fit(x.astype(np.float64), 8, symmetric=False, signed=signed)
    scale, zero_point = float(scheme.scale), int(scheme.zero_point)
    # Two values beyond the range, as data other than that of the calibration has.
    x = np.concatenate([x, [x.max() + 6 * scale, x.min() - 5 * scale]]).astype(np.float32)
    codes = np.asarray(record.wrong(x, scale, zero_point, qmin, qmax))
    if np.array_equal(codes, codes_of(x, scale, zero_point, qmin, qmax)):
        return
    accepted: tuple[str, ...] = (record.name,)
    if np.unique(codes).size == 1:
        accepted = ("one_code_for_all_values",)  # many mistakes give that
    yield _tensor(record.name, x, codes, scale, zero_point, 8, signed=signed, accepted=accepted)


def _dequantize(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scale, zero_point = affine(x)
    codes = codes_of(x, scale, zero_point, 0, 255).astype(np.uint8)
    back = np.asarray(record.wrong(codes, scale, zero_point), np.float32)
    yield _tensor(record.name, x, codes, scale, zero_point, 8, dequantized=back)


def _per_channel(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    size = int(rng.choice([6, 8]))
    shape = (8, size, 3, 3)
    weights = (rng.standard_normal(shape) * 2.0 ** rng.uniform(-4, 2, (8, 1, 1, 1))).astype(np.float32)
    if record.name == "scales_along_the_last_axis":
        weights = weights[:, :, 0, 0] if size == 8 else weights[:, :, :2, :2].reshape(8, -1)[:, :8]
    if record.name == "scaled_by_the_negative_end":
        weights = np.where(weights == weights.min((1, 2, 3), keepdims=True), -weights, weights)
    if record.name == "zero_scale":
        weights[3] = 0
    if record.name == "largest_value_for_largest_magnitude":
        weights[0] *= -np.sign(weights[0].flat[np.argmax(np.abs(weights[0]))])
    bits = int(rng.choice([4, 8]))
    codes, scale = record.wrong(weights, bits)
    accepted: tuple[str, ...] = (SAME_TENSORS.get(record.name, record.name),)
    if record.name == "wrong_axis" and np.ndim(scale) == 3:
        scale = scale[None]  # a scale for each position of the kernel
        accepted = ("wrong_axis",)
    if record.name == "scales_along_the_last_axis":
        accepted = ("scales_along_the_last_axis", "wrong_axis")
    yield _tensor(record.name, weights, codes, scale, 0, bits, signed=True, axis=0, accepted=accepted)


def _fake_quantize(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    """Round trips whose fault is on the way back, or in codes that can be read off x̂."""
    x = values(rng)
    if record.name == "clipped_the_values_not_the_codes":
        # Both ends lie half-way between two codes.
        x = np.append(rng.uniform(-1.5, 253.5, 60), [-1.5, 253.5])
    elif record.name != "subtraction_in_the_code_type":
        return
    scale, zero_point = affine(x)
    back = record.wrong(x.astype(np.float64), float(x.min()), float(x.max()), 8)
    if record.name == "clipped_the_values_not_the_codes":
        codes = (np.rint(back / scale) + zero_point).astype(np.uint8)
        yield _tensor(record.name, x, codes, scale, zero_point, 8)
    else:
        codes = codes_of(x, scale, zero_point, 0, 255).astype(np.uint8)
        yield _tensor(record.name, x, codes, scale, zero_point, 8, dequantized=back)


def _bias_codes(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    bias = rng.standard_normal(16)
    s_x, s_w = 10.0 ** rng.uniform(-3, -1), 10.0 ** rng.uniform(-3, -1, 16)
    codes = _call(record, bias=bias, s_x=s_x, s_w=s_w, q_w=np.zeros((16, 4), np.int8), x_zero_point=0)
    if np.array_equal(codes, np.rint(bias / (s_x * s_w))):
        return  # a mistake with the zero point, which is 0 here
    codes = codes.astype(np.int64)
    yield Planted(record.name, diagnosis.diagnose_bias, (bias, codes, s_x, s_w), {}, (record.name,))


def _accumulate(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    q_x = rng.integers(0, 256, (5, 60)).astype(np.uint8)
    q_w = rng.integers(-127, 128, (7, 60)).astype(np.int8)
    sums = _call(record, q_x=q_x, q_w=q_w, x_zero_point=77, w_zero_point=31)
    arguments = (q_x, q_w, np.asarray(sums), 77, 31)
    yield Planted(record.name, diagnosis.diagnose_sums, arguments, {}, (record.name,))


def _correct_sums(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    q_x = rng.integers(0, 256, (5, 60)).astype(np.uint8)
    q_w = rng.integers(0, 256, (7, 60)).astype(np.uint8)
    x, w = q_x.astype(np.int64), q_w.astype(np.int64)
    sums = record.wrong(x @ w.T, x.sum(1), w.sum(1), 60, 31, 129)
    arguments = (q_x, q_w, np.asarray(sums), 31, 129)
    yield Planted(record.name, diagnosis.diagnose_sums, arguments, {}, (record.name,))


def _running_range(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    if record.name == "nan_in_the_range":
        x = values(rng)
        for bad in (np.nan, np.inf):
            scale = np.float32(np.max(np.abs([*x, bad])) / 127)
            yield _tensor(record.name, x, np.zeros(x.shape, np.int8), scale)


def _store(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    if record.name != "bits_understated":
        return
    weights = values(rng, 432).reshape(8, 6, 3, 3)
    codes, scale, bits = record.wrong(weights)
    yield _tensor(record.name, weights.reshape(codes.shape), codes, scale, 0, bits, signed=True)


def _best_clip(record: Mistake, rng: np.random.Generator) -> Iterator[Planted]:
    if record.name != "one_outlier_takes_the_range":
        return
    x = rng.standard_normal(5000).astype(np.float32)
    x[17] = 60 * rng.choice([-1, 1])
    low, high = record.wrong(x, 8), record.wrong(x, 8)
    limit = float(np.max(np.abs([np.max(low), np.max(high)])))
    scheme = Uniform.from_range(-limit, limit)
    yield _tensor(record.name, x, scheme.quantize(x), scheme.scale)
    yield _tensor(record.name, np.abs(x), Uniform.fit(np.abs(x), symmetric=False, signed=False).quantize(np.abs(x)),
                  Uniform.fit(np.abs(x), symmetric=False, signed=False).scale)  # fmt: skip


FROM_CATALOGUE: dict[str, Callable[[Mistake, np.random.Generator], Iterator[Planted]]] = {
    "symmetric_scale": _symmetric_scale,
    "affine_parameters": _affine_parameters,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "quantize_per_channel": _per_channel,
    "fake_quantize": _fake_quantize,
    "bias_codes": _bias_codes,
    "accumulate": _accumulate,
    "correct_sums": _correct_sums,
    "running_range": _running_range,
    "store": _store,
    "best_clip": _best_clip,
}


def fake_quantized_floats(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scheme = Uniform.fit(x)
    yield _tensor("fake_quantized_floats_stored", x, scheme.dequantize(scheme.quantize(x)), scheme.scale)


def codes_in_a_float_type(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scheme = Uniform.fit(x)
    yield _tensor("codes_in_a_float_type", x, scheme.quantize(x).astype(np.float32), scheme.scale)


def scale_applied_twice(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scale = float(np.abs(x).max() / 127)
    if 0.5 < scale < 2:
        return
    codes = np.clip(np.rint(x / scale / scale), -128, 127).astype(np.int8)
    if not np.array_equal(codes, np.clip(np.rint(x / scale), -128, 127)):
        yield _tensor("scale_applied_twice", x, codes, scale)
    right = np.clip(np.rint(x / scale), -128, 127).astype(np.int8)
    yield _tensor("scale_applied_twice", x, right, scale, dequantized=right * scale * scale)


def scale_not_applied(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng) / np.float32(rng.uniform(0.5, 2))
    x = 90 * x / np.abs(x).max()
    scale = float(np.abs(x).max() / 127)
    yield _tensor("scale_forgotten", x, np.clip(np.rint(x), -128, 127).astype(np.int8), scale)


def symmetric_with_a_zero_point(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scale = float(np.abs(x).max() / 127.5)
    codes = codes_of(x, scale, -1, -128, 127).astype(np.int8)
    yield _tensor("symmetric_with_a_zero_point", x, codes, scale, -1, symmetric=True)


def codes_of_the_other_signedness(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scale, zero_point = affine(x)
    codes = codes_of(x, scale, zero_point, 0, 255)
    yield _tensor("codes_of_the_other_signedness", x, (codes - 128).astype(np.int8), scale, zero_point, signed=False)


def stored_zero_minus_one(rng: np.random.Generator) -> Iterator[Planted]:
    """Codes made with z, and z − 1 handed over; or z + 1."""
    x = values(rng)
    scale, zero_point = affine(x)
    codes = codes_of(x, scale, zero_point, 0, 255).astype(np.uint8)
    yield _tensor("zero_point_minus_one", x, codes, scale, zero_point - 1)
    yield _tensor("zero_point_one_too_high", x, codes, scale, zero_point + 1)


def range_of_another_distribution(rng: np.random.Generator) -> Iterator[Planted]:
    """Calibrated on pixels of 0 to 255 and used on 0 to 1, or the other way round; any factor of 6 to 300."""
    x = values(rng)
    factor = np.float32(10 ** rng.uniform(0.8, 2.5))
    for name, scheme in (("range_too_wide", Uniform.fit(x * factor)), ("range_too_narrow", Uniform.fit(x / factor))):
        codes = scheme.quantize(x)
        alike = np.unique(codes).size == 1
        yield _tensor(name, x, codes, scheme.scale, accepted=(name, "channel_quantized_to_zero") if alike else ())


def twice_the_range(rng: np.random.Generator) -> Iterator[Planted]:
    """A bit wasted: half of the codes, symmetric per tensor and per channel, and affine."""
    x = values(rng)
    scale = 2 * np.abs(x).max() / np.float32(rng.choice([126, 127, 127.5, 128]))
    yield _tensor("one_bit_lost", x, np.rint(x / scale).astype(np.int8), scale)
    weights = rng.standard_normal((6, 40)).astype(np.float32)
    scales = np.abs(weights).max(1) / np.float32(63.5)
    yield _tensor("one_bit_lost", weights, np.rint(weights / scales[:, None]).astype(np.int8), scales, axis=0)
    scale, zero_point = affine(x, 7)
    wide = scale * 127 / 127.5
    codes = codes_of(x, wide, zero_point, 0, 255)
    yield _tensor("one_bit_lost", x, codes, wide, zero_point, signed=False)


def coarse_arithmetic(rng: np.random.Generator) -> Iterator[Planted]:
    """Codes by float16 and bfloat16 of other packages, in the ways of NumPy and torch."""
    x = values(rng, 2000)
    scale = np.float32(np.abs(x).max() / 127)
    for kind in (np.float16, ml_dtypes.bfloat16):
        low, low_scale = x.astype(kind), kind(scale)
        ways = (
            low / low_scale,
            low * (kind(1) / low_scale),
            (low.astype(np.float32) / scale).astype(kind),
            low.astype(np.float32) / scale,
            (x / scale).astype(kind),
        )
        for steps in ways:
            codes = np.clip(np.rint(steps.astype(np.float32)), -128, 127).astype(np.int8)
            if (codes != np.rint(x / scale)).any() and np.unique(codes).size > 1 and scale > 2**-14:
                yield _tensor("computed_in_a_coarse_float_type", x, codes, scale)


def rounded_at_random(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng, 1000)
    scheme = Uniform.fit(x, rounding="stochastic", seed=int(rng.integers(1 << 30)))
    yield _tensor("rounded_at_random", x, scheme.quantize(x), scheme.scale)


def codes_negated(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scheme = Uniform.fit(x)
    yield _tensor("codes_negated", x, -scheme.quantize(x), scheme.scale)


def negative_scale(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    x *= np.sign(x[np.argmax(np.abs(x))])
    scheme = Uniform.fit(x)
    # As the largest value is also the largest magnitude, its formula gives no negative scale.
    yield _tensor("scale_not_positive", x, -scheme.quantize(x), -scheme.scale)
    weights = rng.standard_normal((10, 40)).astype(np.float32)
    scales = np.abs(weights).max(1) / np.float32(127)
    codes = np.rint(weights / scales[:, None]).astype(np.int8)
    scales[3] *= -1
    yield _tensor("scale_not_positive", weights, codes, scales, axis=0)


def sign_lost(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scheme = Uniform.fit(x)
    yield _tensor("sign_lost", x, np.abs(scheme.quantize(x)), scheme.scale)


def clamped_to_a_narrower_range(rng: np.random.Generator) -> Iterator[Planted]:
    """Clamped to about five bits, with the scale of eight."""
    x = values(rng)
    scheme = Uniform.fit(x)
    codes = np.clip(scheme.quantize(x), -40, 39)
    yield _tensor("clamped_to_a_narrower_range", x, codes, scheme.scale)


def one_code_for_all_values(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scale = Uniform.fit(x).scale
    for code in (0, 17):
        yield _tensor("one_code_for_all_values", x, np.full(x.shape, code, np.int8), scale)


def uint8_codes_in_int8(rng: np.random.Generator) -> Iterator[Planted]:
    """As one hands them over, without saying signed=False."""
    x = values(rng)
    scale, zero_point = affine(x)
    codes = codes_of(x, scale, zero_point, 0, 255).astype(np.uint8).view(np.int8)
    yield _tensor("clamped_codes_in_the_wrong_type", x, codes, scale, zero_point)


def int8_codes_in_uint8(rng: np.random.Generator) -> Iterator[Planted]:
    """Symmetric, clipped, and affine int8 codes, handed over as uint8."""
    x = values(rng)
    scheme = Uniform.fit(x)
    yield _tensor("codes_read_in_the_other_type", x, scheme.quantize(x).view(np.uint8), scheme.scale)
    clipped = np.clip(np.rint(x / (0.6 * scheme.scale)), -128, 127).astype(np.int8)
    yield _tensor("codes_read_in_the_other_type", x, clipped.view(np.uint8), 0.6 * scheme.scale)
    scale, zero_point = affine(x)
    codes = codes_of(x, scale, zero_point - 128, -128, 127).astype(np.int8)
    yield _tensor("codes_read_in_the_other_type", x, codes.view(np.uint8), scale, zero_point - 128)


def a_dead_channel(rng: np.random.Generator) -> Iterator[Planted]:
    """One channel of small weights has lost its codes, under a scale per channel or one for all."""
    weights = (0.1 * rng.standard_normal((6, 40))).astype(np.float32)
    for axis in (0, None):
        scheme = Uniform.fit(weights, axis=axis)
        codes = scheme.quantize(weights)
        codes[2] = 0
        yield _tensor("dead_channels", weights, codes, scheme.scale, axis=axis)


def zero_point_not_passed(rng: np.random.Generator) -> Iterator[Planted]:
    """Right codes, and a call without their zero point; or with that of another tensor."""
    x = values(rng)
    scale, zero_point = affine(x)
    codes = codes_of(x, scale, zero_point, 0, 255).astype(np.uint8)
    yield _tensor("zero_point_forgotten", x, codes, scale)
    yield _tensor("zero_point_of_another_range", x, codes, scale, zero_point + 7)


def wrong_in_one_channel(rng: np.random.Generator) -> Iterator[Planted]:
    """One channel of ten has the mistake; a name and its place are expected."""
    weights = (rng.standard_normal((10, 40)) * 2.0 ** rng.uniform(-2, 2, (10, 1))).astype(np.float32)
    scheme = Uniform.fit(weights, axis=0)
    right, scales, channel = scheme.quantize(weights), scheme.scale, int(rng.integers(10))
    doubled = scales.copy()
    doubled[channel] *= 2
    yield _in_place("codes_of_another_scale", channel, weights, right, doubled)
    cut = right.copy()
    cut[channel] = np.trunc(weights[channel] / scales[channel])
    yield _in_place("truncation_for_rounding", channel, weights, cut, scales)
    mixed = right.copy()
    mixed[channel] = mixed[channel][::-1]
    yield _in_place("codes_unexplained", channel, weights, mixed, scales)
    negated = right.copy()
    negated[channel] *= -1
    yield _in_place("codes_negated", channel, weights, negated, scales)


def _in_place(name: str, channel: int, weights: Array, codes: Array, scales: Array) -> Planted:
    def look(*arguments: Any, **options: Any) -> list[diagnosis.Finding]:
        found = diagnosis.diagnose(*arguments, **options)
        placed = [finding for finding in found if f"all at index {channel} of axis 0" in finding.evidence]
        return placed if len(placed) == len(found) else [*found, replace(found[0], name="without its place")]

    return Planted(name, look, (weights, codes, scales), {"axis": 0}, (name,))


def scales_of_other_channels(rng: np.random.Generator) -> Iterator[Planted]:
    weights = (rng.standard_normal((12, 50)) * rng.uniform(0.5, 2, (12, 1))).astype(np.float32)
    scheme = Uniform.fit(weights, axis=0)
    for order in (np.roll(np.arange(12), 1), np.arange(12)[::-1], np.r_[1, 0, 2:12]):
        yield _tensor("scales_of_other_channels", weights, scheme.quantize(weights), scheme.scale[order], axis=0)


def codes_of_another_scale_per_channel(rng: np.random.Generator) -> Iterator[Planted]:
    weights = rng.standard_normal((12, 50)).astype(np.float32)
    scheme = Uniform.fit(weights, axis=0)
    other = scheme.scale * rng.uniform(1.2, 3, 12).astype(np.float32)
    yield _tensor("codes_of_another_scale", weights, scheme.quantize(weights), other, axis=0)


def a_few_codes_off(rng: np.random.Generator) -> Iterator[Planted]:
    """Damage, whose line of best fit is all but the right one: no scale explains it."""
    x = values(rng, 1000)
    scheme = Uniform.fit(x)
    for count, far in ((1, 60), (1, 1), (3, 1), (10, 1), (50, 1)):
        codes = scheme.quantize(x).astype(np.int32)
        places = rng.choice(np.flatnonzero(np.abs(codes) < 60), count, replace=False)
        codes[places] += far * np.where(rng.random(count) < 0.5, -1, 1)
        yield _tensor("codes_unexplained", x, codes, scheme.scale, signed=True)


def bias_of_zeros(rng: np.random.Generator) -> Iterator[Planted]:
    arguments = (rng.standard_normal(8), np.zeros(8, np.int32), 0.01, rng.uniform(0.001, 0.01, 8))
    yield Planted("bias_forgotten", diagnosis.diagnose_bias, arguments, {}, ("bias_forgotten",))


def codes_of_another_scale(rng: np.random.Generator) -> Iterator[Planted]:
    """Right codes, with the scale of another tensor beside them."""
    x = values(rng)
    scheme = Uniform.fit(x)
    other = float(scheme.scale) * rng.uniform(1.1, 3) ** rng.choice([-1, 1])
    yield _tensor("codes_of_another_scale", x, scheme.quantize(x), other)


def another_tensor(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scheme = Uniform.fit(x)
    yield _tensor("codes_unexplained", x, scheme.quantize(rng.permutation(x)), scheme.scale)


def one_code_changed(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scheme = Uniform.fit(x)
    codes = scheme.quantize(x).copy()
    place = int(np.argmin(np.abs(codes)))
    codes[place] += 40
    yield _tensor("codes_unexplained", x, codes, scheme.scale)


def channel_quantized_to_zero(rng: np.random.Generator) -> Iterator[Planted]:
    weights = rng.standard_normal((6, 40)).astype(np.float32)
    scale = np.abs(weights).max(1) / np.float32(127)
    scale[2] *= 1000
    codes = np.clip(np.rint(weights / scale[:, None]), -128, 127).astype(np.int8)
    yield _tensor("channel_quantized_to_zero", weights, codes, scale, axis=0)


def scales_of_the_other_axis(rng: np.random.Generator) -> Iterator[Planted]:
    """A transposed convolution: scales of the input channels, and as many output channels."""
    n = int(rng.choice([5, 16]))
    weights = (rng.standard_normal((n, n, 3, 3)) * 2.0 ** rng.uniform(-3, 3, (1, n, 1, 1))).astype(np.float32)
    scale = np.abs(weights).max((0, 2, 3)) / np.float32(127)
    used_along_the_wrong_axis = np.clip(np.rint(weights / scale.reshape(-1, 1, 1, 1)), -128, 127).astype(np.int8)
    yield _tensor("wrong_axis", weights, used_along_the_wrong_axis, scale, axis=0)
    right_codes = np.clip(np.rint(weights / scale.reshape(1, -1, 1, 1)), -128, 127).astype(np.int8)
    yield _tensor("wrong_axis", weights, right_codes, scale, axis=0)
    yield _tensor("wrong_axis", weights[:, :-1], right_codes[:, :-1], scale[:-1], axis=0)


def ties_by_another_rule(rng: np.random.Generator) -> Iterator[Planted]:
    x = (rng.integers(-126, 126, 60) + 0.5).astype(np.float32)
    x[0] = 127
    codes = np.trunc(x) + np.sign(x) * (x % 1 == 0.5)
    yield _tensor("ties_by_another_rule", x, codes.astype(np.int8), 1.0, rounding="half_even", bits=8)


def zero_point_out_of_range(rng: np.random.Generator) -> Iterator[Planted]:
    x = np.abs(values(rng)) * 0 + rng.uniform(5, 6, 400).astype(np.float32)
    scale = 0.01
    yield _tensor("zero_point_out_of_range", x, codes_of(x, scale, -300, 0, 255).astype(np.uint8), scale, -300)


def dequantized_of_another_tensor(rng: np.random.Generator) -> Iterator[Planted]:
    x = values(rng)
    scheme = Uniform.fit(x)
    codes = scheme.quantize(x)
    yield _tensor("values_unexplained", x, codes, scheme.scale, dequantized=scheme.dequantize(np.roll(codes, 1)))


def bias_beyond_int32(rng: np.random.Generator) -> Iterator[Planted]:
    bias, s_x, s_w = rng.standard_normal(8), 1e-4, np.full(8, 1e-3)
    s_w[3], bias[3] = 1e-8, 3.0
    exact = np.rint(bias / (s_x * s_w))
    for codes in (np.clip(exact, -(2**31), 2**31 - 1), (exact + 2**31) % 2**32 - 2**31):
        arguments = (bias, codes.astype(np.int64), s_x, s_w)
        yield Planted("bias_overflow", diagnosis.diagnose_bias, arguments, {}, ("bias_overflow",))


def shuffled_bias(rng: np.random.Generator) -> Iterator[Planted]:
    bias, s_x, s_w = rng.standard_normal(8), 0.01, rng.uniform(0.001, 0.01, 8)
    codes = np.rint(bias / (s_x * s_w)).astype(np.int32)[::-1]
    yield Planted(
        "bias_codes_unexplained", diagnosis.diagnose_bias, (bias, codes, s_x, s_w), {}, ("bias_codes_unexplained",)
    )


def sums_of_products(rng: np.random.Generator) -> Iterator[Planted]:
    q_x = rng.integers(200, 256, (4, 64)).astype(np.uint8)
    q_w = (rng.integers(90, 128, (6, 64)) * rng.choice([-1, 1], (6, 1))).astype(np.int8)
    exact = q_x.astype(np.int64) @ q_w.T.astype(np.int64)
    saturated = np.clip(exact, -(2**15), 2**15 - 1)
    pairs = saturating_matmul(q_x, q_w.T)
    long_x, long_w = np.full((2, 4001), 255, np.uint8), np.full((3, 4001), 127, np.int8)
    long_x[:, ::3], long_w[:, ::7] = 254, 125
    in_float32 = np.add.accumulate(
        long_x[:, None].astype(np.float32) * long_w.astype(np.float32), axis=2, dtype=np.float32
    )[:, :, -1]
    for name, arguments in (
        ("accumulator_saturated", (q_x, q_w, saturated)),
        ("products_saturated_in_16_bits", (q_x, q_w, pairs)),
        ("summed_in_float32", (long_x, long_w, in_float32)),
        ("sums_unexplained", (q_x, q_w, exact + np.eye(4, 6, dtype=np.int64))),
    ):
        yield Planted(name, diagnosis.diagnose_sums, arguments, {}, (name,))


MADE_HERE: tuple[Callable[[np.random.Generator], Iterator[Planted]], ...] = (
    fake_quantized_floats, codes_in_a_float_type, scale_applied_twice, scale_not_applied, symmetric_with_a_zero_point,
    codes_of_the_other_signedness, stored_zero_minus_one, range_of_another_distribution, codes_of_another_scale,
    another_tensor, one_code_changed, channel_quantized_to_zero, scales_of_the_other_axis, ties_by_another_rule,
    zero_point_out_of_range, dequantized_of_another_tensor, bias_beyond_int32, shuffled_bias, sums_of_products,
    twice_the_range, coarse_arithmetic, rounded_at_random, codes_negated, negative_scale, sign_lost,
    clamped_to_a_narrower_range, one_code_for_all_values, uint8_codes_in_int8, wrong_in_one_channel,
    scales_of_other_channels, codes_of_another_scale_per_channel, a_few_codes_off, bias_of_zeros,
    int8_codes_in_uint8, a_dead_channel, zero_point_not_passed,
)  # fmt: skip
