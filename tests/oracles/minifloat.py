"""Small floats against ml_dtypes, gfloat, PyTorch, NumPy's float16, the ONNX evaluator and ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from fewerbits.tensor.float_formats import (
    BFLOAT16,
    E2M1,
    E2M3,
    E3M2,
    E4M3FN,
    E4M3FNUZ,
    E5M2,
    E5M2FNUZ,
    E8M0,
    FLOAT16,
    FORMATS,
    FloatFormat,
)
from fewerbits.tensor.minifloat import MiniFloat, decode, encode, round_to
from numpy.typing import NDArray

from tests.oracles.registry import Pairs, compare

ML_DTYPES = {
    "e4m3fn": "float8_e4m3fn",
    "e5m2": "float8_e5m2",
    "e4m3fnuz": "float8_e4m3fnuz",
    "e5m2fnuz": "float8_e5m2fnuz",
    "e2m3": "float6_e2m3fn",
    "e3m2": "float6_e3m2fn",
    "e2m1": "float4_e2m1fn",
    "e8m0": "float8_e8m0fnu",
    "bfloat16": "bfloat16",
    "float16": "float16",
}
GFLOAT = {
    "e4m3fn": "ocp_e4m3",
    "e5m2": "ocp_e5m2",
    "e2m3": "ocp_e2m3",
    "e3m2": "ocp_e3m2",
    "e2m1": "ocp_e2m1",
    "bfloat16": "bfloat16",
    "float16": "binary16",
}
# Records of nobody's standard set: any combination of fields must do.
OTHERS = {
    "float8_e4m3": FloatFormat("e4m3", 4, 3, bias=7),
    "float8_e3m4": FloatFormat("e3m4", 3, 4, bias=3),
    "float8_e4m3b11fnuz": FloatFormat("e4m3b11fnuz", 4, 3, bias=11, specials="negative_zero_is_nan"),
}
SIZE = 30_000


def hard_values(format: FloatFormat, dtype: Any, nan: bool = True, count: int = SIZE) -> NDArray[Any]:
    """Representable values, the midpoints between them, the neighbours of both in `dtype`, the overflow threshold,
    zeros, the extremes and denormals of `dtype`, infinity, NaN, and random values of every magnitude."""
    rng = np.random.default_rng(0)
    values = np.unique(decode(np.arange(format.max_code + 1), format).astype(np.float64))
    values = np.append(values, 2 * values[-1] - values[-2])
    if values.size > 4096:
        values = np.unique(np.concatenate([values[:600], values[-600:], rng.choice(values, 3000, replace=False)]))
    middle = (values[1:] + values[:-1]) / 2
    with np.errstate(over="ignore", invalid="ignore"):
        exact = np.concatenate([values, middle, 2 * values[-3:], 1e3 * values[-3:]]).astype(dtype)
    info = np.finfo(dtype)
    edges = np.array([0, info.smallest_subnormal, 3 * info.smallest_subnormal, info.tiny, info.max, np.inf], dtype)
    centre = np.concatenate([exact, edges])
    with np.errstate(over="ignore"):
        hard = np.concatenate([centre, np.nextafter(centre, dtype(0)), np.nextafter(centre, dtype(np.inf))])
    exponents = rng.uniform(np.log2(format.smallest) - 3, format.emax + 2, count)
    any_bits = rng.integers(0, 2**31, count // 4, dtype=np.int32).view(np.float32)
    any_bits[np.isnan(any_bits)] = np.nan
    random = np.concatenate([any_bits.astype(dtype), np.exp2(np.minimum(exponents, 127.9)).astype(dtype)])
    x = np.concatenate([hard, random])
    if format.signed:
        x = np.concatenate([x, -x])
    return x if nan else x[~np.isnan(x)]


def ml_dtypes_codes(x: NDArray[Any], name: str, format: FloatFormat) -> NDArray[Any]:
    import ml_dtypes

    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(np.float16 if name == "float16" else getattr(ml_dtypes, name)).view(format.code_dtype)


def between_the_lowest_two(x: NDArray[Any]) -> NDArray[np.bool_]:
    """Where ml_dtypes and PyTorch round to E8M0 as no rule says: every float32 between 2⁻¹²⁷ and 2⁻¹²⁶ goes up."""
    return (x > 2.0**-127) & (x < 2.0**-126)


def gfloat_format(format: FloatFormat) -> Any:
    from gfloat import Domain, FormatInfo
    from gfloat import formats as gfloat_formats

    if format.specials != "negative_zero_is_nan":
        return getattr(gfloat_formats, f"format_info_{GFLOAT[format.name]}")
    return FormatInfo(
        format.name,
        8,
        precision={"e4m3fnuz": 4, "e5m2fnuz": 3}[format.name],
        bias={"e4m3fnuz": 8, "e5m2fnuz": 16}[format.name],
        is_signed=True,
        domain=Domain.Finite,
        has_nz=False,
        num_high_nans=0,
        has_subnormals=True,
        is_twos_complement=False,
    )


@compare("minifloat.decode 10 formats", "ml_dtypes", "every code", requires=("ml_dtypes",))
def decode_ml_dtypes() -> Pairs:
    import ml_dtypes

    for name, format in FORMATS.items():
        codes = np.arange(2**format.bits).astype(format.code_dtype)
        theirs = codes.view(np.float16 if name == "float16" else getattr(ml_dtypes, ML_DTYPES[name]))
        yield decode(codes, format), theirs.astype(np.float32)


@compare("minifloat.decode 10 formats", "gfloat", "every code", requires=("gfloat",))
def decode_gfloat() -> Pairs:
    from gfloat import decode_ndarray
    from gfloat.formats import format_info_ocp_e8m0

    for format in FORMATS.values():
        codes = np.arange(2**format.bits)
        theirs = decode_ndarray(format_info_ocp_e8m0 if format is E8M0 else gfloat_format(format), codes)
        yield decode(codes, format), theirs.astype(np.float32)


@compare("minifloat.decode fp8", "torch", "every code", requires=("torch",))
def decode_torch() -> Pairs:
    import torch

    for format in (E4M3FN, E5M2, E4M3FNUZ, E5M2FNUZ, E8M0):
        codes = np.arange(256).astype(np.uint8)
        theirs = torch.from_numpy(codes).view(getattr(torch, ML_DTYPES[format.name]))
        yield decode(codes, format), theirs.to(torch.float32).numpy()


def register_encode_ml_dtypes(format: FloatFormat, name: str) -> None:
    rule = "positive values" if format is E8M0 else "overflow native"

    @compare(f"minifloat.encode {format.name}", "ml_dtypes", f"from float32, {rule}", requires=("ml_dtypes",))
    def encode_ml_dtypes() -> Pairs:
        x = hard_values(format, np.float32, nan=format.nan_code is not None)
        x = x[x > 0] if format is E8M0 else x
        x = x[~between_the_lowest_two(x)] if format is E8M0 else x
        yield encode(x, format, overflow="native"), ml_dtypes_codes(x, name, format)


def register_encode_gfloat(format: FloatFormat) -> None:
    @compare(f"minifloat.encode {format.name}", "gfloat", "from float32 and float64", requires=("gfloat",))
    def encode_gfloat() -> Pairs:
        from gfloat import RoundMode

        for dtype in (np.float32, np.float64):
            yield from gfloat_pairs(format, dtype, "half_even", RoundMode.TiesToEven)


def gfloat_pairs(format: FloatFormat, dtype: Any, rounding: str, mode: Any, count: int = SIZE // 2) -> Pairs:
    """Ours and gfloat's codes; those of NaN, whose bits it leaves open, compared as values."""
    from gfloat import encode_ndarray, round_ndarray

    x = hard_values(format, dtype, nan=format.nan_code is not None, count=count)
    theirs = gfloat_format(format)
    for overflow in ("saturate", "native"):
        saturates = overflow == "saturate" or format.specials == "none"
        with np.errstate(all="ignore"):
            rounded = round_ndarray(theirs, x.astype(np.float64), mode, sat=saturates)
        ours = encode(x, format, overflow=overflow, rounding=rounding)
        number = ~np.isnan(rounded)
        yield ours[number], encode_ndarray(theirs, rounded[number])
        yield decode(ours, format), rounded.astype(np.float32)


for registered in FORMATS.values():
    register_encode_ml_dtypes(registered, ML_DTYPES[registered.name])
    if registered is not E8M0:
        register_encode_gfloat(registered)
for other_name, other in OTHERS.items():
    register_encode_ml_dtypes(other, other_name)


def register_roundings() -> None:
    for rounding, mode in (("half_away", "TiesToAway"), ("toward_zero", "TowardZero"), ("floor", "TowardNegative")):

        @compare(f"minifloat.encode {rounding}", "gfloat", "9 formats, from float64", requires=("gfloat",))
        def encode_rounding(rounding: str = rounding, mode: str = mode) -> Pairs:
            from gfloat import RoundMode

            for format in FORMATS.values():
                if format is not E8M0:
                    yield from gfloat_pairs(format, np.float64, rounding, RoundMode[mode], count=3_000)


register_roundings()


@compare(
    "minifloat.encode e8m0",
    "gfloat",
    "ties: up as IEEE 754, gfloat to the even code",
    expect="differ",
    requires=("gfloat",),
)
def encode_e8m0_gfloat() -> Pairs:
    from gfloat import encode_ndarray, round_ndarray
    from gfloat.formats import format_info_ocp_e8m0

    x = np.exp2(np.arange(-126.0, 127)) * 1.5
    yield encode(x, E8M0), encode_ndarray(format_info_ocp_e8m0, round_ndarray(format_info_ocp_e8m0, x))


@compare("minifloat.encode e8m0", "torch", "zero and positive values, overflow native", requires=("torch",))
def encode_e8m0_torch() -> Pairs:
    import torch

    x = hard_values(E8M0, np.float32)
    x = x[~between_the_lowest_two(x)]
    yield encode(x, E8M0, overflow="native"), torch.from_numpy(x).to(torch.float8_e8m0fnu).view(torch.uint8).numpy()


@compare(
    "minifloat.encode e8m0",
    "torch",
    "between 2⁻¹²⁷ and 2⁻¹²⁶ torch and ml_dtypes always round up",
    expect="differ",
    requires=("torch",),
)
def encode_lowest_e8m0_torch() -> Pairs:
    import torch

    x = np.linspace(2.0**-127, 1.49 * 2.0**-127, 1000).astype(np.float32)
    yield encode(x, E8M0), torch.from_numpy(x).to(torch.float8_e8m0fnu).view(torch.uint8).numpy()


@compare("minifloat.encode e4m3fn", "torch", "from float32, saturates infinity too", requires=("torch",))
def encode_e4m3fn_torch() -> Pairs:
    import torch

    x = hard_values(E4M3FN, np.float32)
    yield encode(x, E4M3FN), torch.from_numpy(x).to(torch.float8_e4m3fn).view(torch.uint8).numpy()


@compare("minifloat.round_to fp8, bfloat16, float16", "torch", "from float32, overflow native", requires=("torch",))
def round_to_torch() -> Pairs:
    import torch

    for format in (E5M2, E4M3FNUZ, E5M2FNUZ, BFLOAT16, FLOAT16):
        x = hard_values(format, np.float32)
        theirs = torch.from_numpy(x).to(getattr(torch, ML_DTYPES[format.name])).to(torch.float32)
        yield round_to(x, format, overflow="native"), theirs.numpy()


@compare("minifloat.encode float16", "numpy", "from float32 and float64")
def encode_float16_numpy() -> Pairs:
    for dtype in (np.float32, np.float64):
        x = hard_values(FLOAT16, dtype, nan=False)
        yield encode(x, FLOAT16, overflow="native"), ml_dtypes_codes(x, "float16", FLOAT16)


@compare(
    "minifloat.encode float64 by way of float32",
    "ml_dtypes",
    "rounds twice, by way of float32",
    requires=("ml_dtypes",),
)
def encode_twice_ml_dtypes() -> Pairs:
    for format in (E4M3FN, E5M2, E4M3FNUZ, E5M2FNUZ, E2M3, E3M2, E2M1):
        x = hard_values(format, np.float64, nan=format.nan_code is not None)
        with np.errstate(over="ignore"):
            narrow = x.astype(np.float32)
        yield encode(narrow, format, overflow="native"), ml_dtypes_codes(x, ML_DTYPES[format.name], format)


@compare(
    "minifloat.encode e4m3fn from float64",
    "ml_dtypes",
    "rounds once; ml_dtypes twice",
    expect="differ",
    requires=("ml_dtypes",),
)
def encode_once_ml_dtypes() -> Pairs:
    x = hard_values(E4M3FN, np.float64)
    yield encode(x, E4M3FN, overflow="native"), ml_dtypes_codes(x, "float8_e4m3fn", E4M3FN)


def cast_model(format: FloatFormat, saturate: bool) -> Any:
    """An ONNX model that casts float32 to `format` and back."""
    from onnx import TensorProto, helper

    to = getattr(TensorProto, f"FLOAT8{format.name.upper()}")
    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node("Cast", ["x"], ["codes"], to=to, saturate=int(saturate)),
                helper.make_node("Cast", ["codes"], ["y"], to=TensorProto.FLOAT),
            ],
            "cast",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None])],
        ),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )


def evaluate_cast(x: NDArray[np.float32], format: FloatFormat, saturate: bool) -> NDArray[np.float32]:
    from onnx.reference import ReferenceEvaluator

    with np.errstate(all="ignore"):
        return ReferenceEvaluator(cast_model(format, saturate)).run(None, {"x": x})[0]


def run_cast(x: NDArray[np.float32], format: FloatFormat, saturate: bool) -> NDArray[np.float32]:
    import onnxruntime

    model = cast_model(format, saturate).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


@compare("minifloat.round_to fp8", "onnx", "Cast, saturate=1 and saturate=0", requires=("onnx",))
def round_to_onnx() -> Pairs:
    for format in (E4M3FN, E5M2, E4M3FNUZ, E5M2FNUZ):
        x = hard_values(format, np.float32, count=3_000)
        yield round_to(x, format), evaluate_cast(x, format, saturate=True)
        yield round_to(x, format, overflow="native"), evaluate_cast(x, format, saturate=False)


@compare("minifloat.round_to fp8", "onnxruntime", "Cast, saturate=1", requires=("onnxruntime",))
def round_to_onnxruntime() -> Pairs:
    for format in (E4M3FN, E5M2, E4M3FNUZ, E5M2FNUZ):
        x = hard_values(format, np.float32)
        yield round_to(x, format), run_cast(x, format, saturate=True)


@compare(
    "minifloat.round_to fp8",
    "onnxruntime",
    "Cast, saturate=0: 480 becomes 448, 61440 NaN in e5m2",
    expect="differ",
    requires=("onnxruntime",),
)
def round_to_onnxruntime_overflow() -> Pairs:
    for format, x in ((E4M3FN, 480.0), (E5M2, 61440.0)):
        values = np.array([x, -x], np.float32)
        yield round_to(values, format, overflow="native"), run_cast(values, format, saturate=False)


def scaled_values(format: FloatFormat) -> NDArray[np.float32]:
    """40 channels at scales of all magnitudes: values and midpoints of `format`, where the division decides, and
    their neighbours; then a channel of zeros and one of denormals."""
    rng = np.random.default_rng(1)
    values = decode(np.arange(format.max_code + 1), format).astype(np.float64)
    values = values if values.size <= 128 else rng.choice(values[values < 1e6], 128, replace=False)
    values = np.concatenate([values, (np.sort(values)[1:] + np.sort(values)[:-1]) / 2])
    limit = 40 if format is not BFLOAT16 else 0
    x = (values * np.exp2(rng.uniform(-limit, limit, (40, 1)))).astype(np.float32)
    x = np.concatenate([x, np.nextafter(x, np.float32(0)), np.nextafter(x, np.float32(np.inf))], axis=1)
    x[3] = 0
    x[4] = rng.integers(-1000, 1000, x.shape[1]) * 2.0**-149
    return x * rng.choice(np.float32([-1, 1]), x.shape)


@compare("MiniFloat.quantize and dequantize, scaled", "ml_dtypes", "per tensor and axis", requires=("ml_dtypes",))
def scheme_ml_dtypes() -> Pairs:
    import ml_dtypes

    for format in (E4M3FN, E5M2, E2M3, E3M2, E2M1, BFLOAT16):
        x = scaled_values(format)
        dtype = getattr(ml_dtypes, ML_DTYPES[format.name])
        for axis in (None, 0):
            scheme = MiniFloat.fit(x, format, axis=axis)
            scale = scheme.scale if axis is None else scheme.scale[:, None]
            # The finite limit of each type, because its own cast would overflow to NaN or infinity.
            limit = np.float32(ml_dtypes.finfo(dtype).max)
            theirs = np.clip(x / scale, -limit, limit).astype(dtype)
            codes = scheme.quantize(x)
            yield codes, theirs.view(format.code_dtype)
            yield scheme.dequantize(codes), theirs.astype(np.float32) * scale
