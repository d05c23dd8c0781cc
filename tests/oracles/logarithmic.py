"""Logarithmic codes against casts to powers of two and against logarithms taken by PyTorch in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from fewerbits.tensor.logarithmic import Logarithmic, shift_dot, top_exponent_range
from numpy.typing import NDArray

from tests.oracles.registry import Pairs, compare

LARGEST = np.finfo(np.float32).max
# Nine bits of base 2 hold 255 exponents: with this top, −127..127, those of E8M0.
WHOLE_RANGE = Logarithmic(127, bits=9, rounding="linear", underflow="smallest")


def hard_values(factors: tuple[float, ...], seed: int = 0) -> NDArray[np.float32]:
    """Each power of two times each factor with both float32 neighbours, then random bit patterns; all positive."""
    powers = np.ldexp(1.0, np.arange(-149, 128))
    centres = np.minimum(np.outer(powers, (1.0, *factors)).ravel(), float(LARGEST)).astype(np.float32)
    near = np.concatenate((np.nextafter(centres, np.float32(0)), centres, np.nextafter(centres, LARGEST)))
    random = np.random.default_rng(seed).integers(1, 0x7F800000, 60_000, np.uint32).view(np.float32)
    return np.concatenate((near[near > 0], random, [LARGEST]))


def castable(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values that the casts round to the nearest number of E8M0: it has none above 2^127, where we saturate, and they
    send every denormal above 2^-127 up to 2^-126 (the row below)."""
    x = x[x < np.float32(1.5) * np.float32(2.0**127)]
    return x[(x <= 2.0**-127) | (x >= 2.0**-126)]


@compare(
    "logarithmic.fake_quantize base 2 linear",
    "ml_dtypes",
    "cast to float8_e8m0fnu: nearest power of two, ties up",
    requires=("ml_dtypes",),
)
def ml_dtypes_e8m0() -> Pairs:
    import ml_dtypes

    x = castable(hard_values((1.5,)))
    yield WHOLE_RANGE.dequantize(WHOLE_RANGE.quantize(x)), x.astype(ml_dtypes.float8_e8m0fnu).astype(np.float32)


@compare("logarithmic.fake_quantize base 2 linear", "torch", "cast to float8_e8m0fnu: ties up")
def torch_e8m0() -> Pairs:
    import torch

    x = castable(hard_values((1.5,), seed=1))
    theirs = torch.from_numpy(x).to(torch.float8_e8m0fnu).to(torch.float32).numpy()
    yield WHOLE_RANGE.dequantize(WHOLE_RANGE.quantize(x)), theirs


@compare(
    "logarithmic.fake_quantize base 2 linear denormals",
    "ml_dtypes",
    "the cast rounds float32 denormals from 2^-127 to 1.5·2^-127 up, not to the nearest",
    expect="differ",
    requires=("ml_dtypes",),
)
def ml_dtypes_denormals() -> Pairs:
    import ml_dtypes

    x = np.linspace(2.0**-127, 1.5 * 2.0**-127, 1000, endpoint=False).astype(np.float32)[1:]
    yield WHOLE_RANGE.dequantize(WHOLE_RANGE.quantize(x)), x.astype(ml_dtypes.float8_e8m0fnu).astype(np.float32)


@compare(
    "logarithmic.fake_quantize base 2 linear ties",
    "gfloat",
    "E8M0 ties go to the even exponent there, up in ml_dtypes and torch",
    expect="differ",
    requires=("gfloat",),
)
def gfloat_ties() -> Pairs:
    from gfloat import round_float
    from gfloat.formats import format_info_ocp_e8m0

    x = np.float32(1.5) * np.ldexp(np.float32(1), np.arange(-120, 120))
    theirs = np.array([round_float(format_info_ocp_e8m0, float(value)) for value in x], np.float32)
    yield WHOLE_RANGE.dequantize(WHOLE_RANGE.quantize(x)), theirs


@compare("logarithmic.quantize base 2", "torch", "exponent and fraction by frexp in float64")
def torch_frexp() -> Pairs:
    import torch

    values = hard_values((np.sqrt(2), 1.5))
    x = np.concatenate((values, -values, [np.float32(0), np.float32(-0.0)]))
    fraction, exponent = torch.frexp(torch.from_numpy(x).double().abs())  # fraction in [½, 1)
    for rounding, threshold in (("log", float(np.sqrt(0.5))), ("linear", 0.75)):
        nearest = exponent - 1 + (fraction >= threshold)
        for top, bits in ((127, 9), (105, 9), (0, 8), (-23, 8), (0, 4), (-140, 4), (127, 2)):
            scheme = Logarithmic(top, bits, rounding=rounding)
            magnitude = (nearest - (top - scheme.largest_code)).clamp(0, scheme.largest_code)
            theirs = torch.where(torch.from_numpy(x) == 0, 0, magnitude * torch.from_numpy(np.sign(x)).int())
            yield scheme.quantize(x), theirs.numpy()


@compare("logarithmic.quantize base 2^(1/k) log", "torch", "round(k·log2|x|) in float64")
def torch_log2() -> Pairs:
    import torch

    for steps in (2, 3, 4, 8):
        factors = tuple(float(f) for f in np.exp2((np.arange(steps) + 0.5) / steps))
        values = hard_values(factors, seed=steps)
        x = np.concatenate((values, -values))
        exponents = torch.round(steps * torch.log2(torch.from_numpy(np.abs(x)).double())).numpy()
        for top, bits in ((0, 4), (0, 8), (100 * steps, 8), (-140 * steps, 4)):
            scheme = Logarithmic(top, bits, steps, underflow="smallest")
            magnitude = np.clip(exponents - (top - scheme.largest_code), 1, scheme.largest_code)
            yield scheme.quantize(x), (np.sign(x) * magnitude).astype(np.int64)


@compare("logarithmic.quantize base 2^(1/k) linear", "torch", "bucketize at the midpoints in float64")
def torch_bucketize() -> Pairs:
    import torch

    for steps in (1, 2, 3, 8):
        levels = torch.pow(torch.tensor(2.0, dtype=torch.float64), torch.arange(-126, 1).double() / steps)
        midpoints = (levels[1:] + levels[:-1]) / 2
        near = midpoints.numpy().astype(np.float32)
        x = np.concatenate(
            (hard_values((), steps), near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(1)))
        )
        scheme = Logarithmic(0, 8, steps, rounding="linear", underflow="smallest")
        theirs = torch.bucketize(torch.from_numpy(x).double(), midpoints, right=True) + 1
        yield scheme.quantize(x), theirs.numpy()


@compare("logarithmic.dequantize", "torch", "ldexp for base 2, pow in float64 for the others")
def torch_powers() -> Pairs:
    import torch

    for steps in range(1, 17):
        low, high = top_exponent_range(9, steps)
        for top in (low, (low + high) // 2, high):
            scheme = Logarithmic(top, 9, steps)
            codes = np.arange(-255, 256)
            exponents = torch.from_numpy(top - 255 + np.abs(codes)).double()
            sign = torch.from_numpy(np.sign(codes)).double()
            if steps == 1:
                powers = torch.ldexp(sign, exponents)
            else:
                powers = sign * torch.pow(torch.tensor(2.0, dtype=torch.float64), exponents / steps)
            yield scheme.dequantize(codes), powers.float().numpy()


@compare("logarithmic.shift_dot", "torch", "matrix product in float64, exact below 2^53")
def torch_matmul() -> Pairs:
    import torch

    rng = np.random.default_rng(0)
    for bits, length, spread in ((2, 4096, 1), (3, 2000, 3), (4, 2000, 7), (8, 300, 20)):
        scheme = Logarithmic(3, bits)
        codes: NDArray[Any] = rng.integers(scheme.largest_code - spread + 1, scheme.largest_code + 1, (600, length))
        codes = codes * rng.integers(-1, 2, codes.shape)
        activations = rng.integers(-255, 256, length)
        weights = torch.from_numpy(scheme.dequantize(codes)).double()
        yield shift_dot(scheme, codes, activations).value, (weights @ torch.from_numpy(activations).double()).numpy()
