"""Block formats: GGUF's byte for byte against gguf, MX against gfloat, ml_dtypes and ONNX's E8M0 rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from fewerbits.tensor.blocks import Q4_0, Q4_1, Q8_0
from fewerbits.tensor.float_formats import E2M1, E2M3, E3M2, E4M3FN, E5M2, FloatFormat
from fewerbits.tensor.mx import MX
from numpy.typing import NDArray

from tests.oracles.minifloat import ML_DTYPES
from tests.oracles.registry import Pairs, compare

MX_ELEMENTS = {"mxfp8_e4m3": E4M3FN, "mxfp8_e5m2": E5M2, "mxfp6_e2m3": E2M3, "mxfp6_e3m2": E3M2, "mxfp4_e2m1": E2M1}


def hard_blocks(steps: tuple[int, ...]) -> NDArray[np.float32]:
    """Blocks of 32 float32, (n, 32): zeros, constants, one outlier, ±max together, ties of a format whose largest
    code is one of `steps` and their neighbours, denormals, all magnitudes up to 60000."""
    rng = np.random.default_rng(0)
    blocks = [np.zeros(32), -np.zeros(32), np.ones(32), -np.ones(32), np.full(32, 1e-7), np.full(32, 60000.0)]
    for outlier in (1e-3, 1.0, -77.0, 50000.0, -50000.0):
        blocks.append(np.append(rng.standard_normal(31) * 1e-3, outlier))
        blocks.append(np.append(np.zeros(31), outlier))
        blocks.append(np.tile([outlier, -outlier], 16))
        blocks.append(np.append([-outlier, outlier], rng.uniform(-1, 1, 30) * outlier))
    for step in steps:
        for scale in (1.0, 0.1, 3e-5, 1e-6, 1e-37, 70.0):
            for sign in (1, -1):
                half_codes = np.resize(np.arange(-step, step + 0.5, 0.5), 31 * (4 * step // 31 + 1)).reshape(-1, 31)
                ties = np.column_stack([half_codes, np.full(len(half_codes), step)]) * (sign * scale)
                ties = ties.astype(np.float32)
                blocks.extend([*ties, *np.nextafter(ties, np.float32(9)), *np.nextafter(ties, np.float32(-9))])
    exponents = rng.uniform(-124, 15, 600)
    random = rng.standard_normal((600, 32)) * np.exp2(exponents)[:, None]
    within_a_block = np.exp2(rng.uniform(-140, 14, (300, 32))) * rng.choice([-1, 1], (300, 32))
    weights = rng.standard_normal((600, 32)) * 0.02
    return np.concatenate([np.array(blocks), random, within_a_block, weights]).astype(np.float32)


def register_gguf(scheme: Any, steps: tuple[int, ...]) -> None:
    name = scheme.__name__

    @compare(f"blocks.{name} quantize, bytes", "gguf", "byte for byte", requires=("gguf",))
    def quantize_gguf() -> Pairs:
        from gguf import GGMLQuantizationType, quants

        x = hard_blocks(steps)
        for shape in (x.shape, (-1,), (3, -1, 64)):
            values = x[: len(x) // 6 * 6].reshape(shape) if shape != x.shape else x
            fitted = scheme.fit(values)
            with np.errstate(all="ignore"):
                theirs = quants.quantize(values, GGMLQuantizationType[name])
            yield fitted.to_bytes(fitted.quantize(values)), theirs

    @compare(f"blocks.{name} dequantize", "gguf", "codes and scales as stored", requires=("gguf",))
    def dequantize_gguf() -> Pairs:
        from gguf import GGMLQuantizationType, quants

        x = hard_blocks(steps)
        fitted = scheme.fit(x)
        codes = fitted.quantize(x)
        yield fitted.dequantize(codes), quants.dequantize(fitted.to_bytes(codes), GGMLQuantizationType[name])
        packed = np.random.default_rng(1).integers(0, 256, (1000, 2 * scheme.block_bytes)).astype(np.uint8)
        # No infinity or NaN as scale or minimum: clear a bit of each float16's exponent.
        packed.reshape(2000, -1)[:, [1, 3]] &= 0xBF
        read, codes = scheme.from_bytes(packed)
        yield read.dequantize(codes), quants.dequantize(packed, GGMLQuantizationType[name])
        yield read.to_bytes(codes), packed


register_gguf(Q4_0, (8,))
register_gguf(Q4_1, (15,))
register_gguf(Q8_0, (127,))


def mx_blocks(count: int) -> NDArray[np.float32]:
    """Blocks (count, 32) of every magnitude, with zeros, denormals, and maxima at and beside powers of two and the
    elements' largest values."""
    rng = np.random.default_rng(2)
    exponents = rng.uniform(-150, 127, count)
    x = (rng.uniform(-1, 1, (count, 32)) * np.exp2(exponents)[:, None]).astype(np.float32)
    x[0], x[1], x[2] = 0, -0.0, 2.0**-149
    for row, peak in enumerate((1.0, 1.5, 1.75, 1.875, 1.9375, 1.96875, 2.0, 448, 57344, 7.5, 28, 6, 5, 7), start=3):
        for offset, value in enumerate((peak, np.nextafter(np.float32(peak), 0), np.nextafter(np.float32(peak), 1e9))):
            x[3 * row + offset] = rng.uniform(-1, 1, 32) * float(value)
            x[3 * row + offset, 7] = -value
    x[-1, 0] = np.finfo(np.float32).max
    return x


def register_gfloat_blocks(name: str, element: FloatFormat) -> None:
    @compare(f"mx.MX {name} round trip", "gfloat", "quantize_block, scale rule floor", requires=("gfloat",), slow=True)
    def round_trip_gfloat() -> Pairs:
        import gfloat
        from gfloat import formats as gfloat_formats

        x = mx_blocks(400)
        block_format = getattr(gfloat_formats, f"format_info_{name}")
        with np.errstate(all="ignore"):
            theirs = [
                gfloat.quantize_block(block_format, block, gfloat.compute_scale_amax) for block in x.astype(np.float64)
            ]
        scheme = MX.fit(x, element)
        yield scheme.dequantize(scheme.quantize(x)), np.array(theirs).astype(np.float32)

    @compare(f"mx.MX {name} elements", "ml_dtypes", "four scale rules", requires=("ml_dtypes",))
    def elements_ml_dtypes() -> Pairs:
        import ml_dtypes

        x = mx_blocks(2000)
        dtype = getattr(ml_dtypes, ML_DTYPES[element.name])
        limit = np.float32(ml_dtypes.finfo(dtype).max)
        for rule in ("floor", "rceil", "ceil", "even"):
            scheme = MX.fit(x, element, scale_rule=rule)
            scales = scheme.scale_codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
            theirs = np.clip(x.astype(np.float64) / scales, -limit, limit).astype(np.float32).astype(dtype)
            codes = scheme.quantize(x)
            yield codes, theirs.view(np.uint8)
            yield scheme.dequantize(codes), theirs.astype(np.float32) * scales


for registered_name, registered_element in MX_ELEMENTS.items():
    register_gfloat_blocks(registered_name, registered_element)


@compare("mx.MX scale rules", "gfloat", "floor, rceil, ceil, even: directed rounding to E8M0", requires=("gfloat",))
def scale_rules_gfloat() -> Pairs:
    from gfloat import RoundMode, decode_ndarray, encode_ndarray, round_ndarray
    from gfloat import formats as gfloat_formats
    from gfloat.types import Domain, FormatInfo

    x = mx_blocks(2000)[3:]
    x = x[np.abs(x).max(axis=1) > 2.0**-100]
    largest = np.abs(x).max(axis=1).astype(np.float64)
    e8m0 = gfloat_formats.format_info_ocp_e8m0

    def to_e8m0(values: NDArray[np.float64], mode: RoundMode) -> NDArray[np.float64]:
        return decode_ndarray(e8m0, encode_ndarray(e8m0, round_ndarray(e8m0, values, mode, sat=True)).astype(np.int64))

    for name, element in MX_ELEMENTS.items():
        info = getattr(gfloat_formats, f"format_info_{name}").etype
        power = 2.0**info.emax
        # The element's precision and more exponents than needed.
        wide = FormatInfo(
            "wide",
            10 + info.precision,
            info.precision,
            bias=511,
            has_nz=True,
            domain=Domain.Extended,
            num_high_nans=2 ** (info.precision - 1) - 1,
            has_subnormals=True,
            is_signed=True,
            is_twos_complement=False,
        )
        expected = {
            "floor": to_e8m0(largest / power, RoundMode.TowardZero),
            "rceil": to_e8m0(largest / info.max, RoundMode.TowardPositive),
            "ceil": to_e8m0(largest / power, RoundMode.TowardPositive),
            "even": to_e8m0(round_ndarray(wide, largest, RoundMode.TiesToEven) / power, RoundMode.TowardZero),
        }
        for rule, scales in expected.items():
            # Our own limit: no decoded value may leave float32.
            theirs = np.minimum(scales, 2.0 ** (127 - info.emax))
            yield MX.fit(x, element, scale_rule=rule).scale[:, 0], theirs.astype(np.float32)


@compare("mx.MX scale rules", "onnx", "floor and ceil: to_float8e8m0, down and up", requires=("onnx", "ml_dtypes"))
def scale_rules_onnx() -> Pairs:
    from onnx.numpy_helper import to_float8e8m0

    x = mx_blocks(5000)
    largest = np.abs(x).max(axis=1)
    x, largest = x[(largest > 2.0**-100) & (largest < 2.0**126)], largest[(largest > 2.0**-100) & (largest < 2.0**126)]
    for element in MX_ELEMENTS.values():
        for rule, mode in (("floor", "down"), ("ceil", "up")):
            theirs = to_float8e8m0(largest / np.float32(2.0**element.emax), round_mode=mode)
            yield MX.fit(x, element, scale_rule=rule).scale_codes[:, 0], theirs.view(np.uint8)
