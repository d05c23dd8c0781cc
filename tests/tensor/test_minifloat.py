"""Facts about small floats. Their agreement with other libraries is in tests/oracles/minifloat.py."""

from __future__ import annotations

import numpy as np
import pytest
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
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from hypothesis import given, settings
from hypothesis import strategies as st

every_format = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


def finite_codes(format: FloatFormat) -> np.ndarray:
    """Every finite code, both signs, without the NaN that stands in the place of −0."""
    codes = np.arange(format.max_code + 1)
    if format.signed:
        codes = np.concatenate([codes, codes + 2 ** (format.bits - 1)])
    return codes[np.isfinite(decode(codes, format))]


@pytest.mark.parametrize(
    ("format", "largest", "min_normal", "smallest"),
    [
        # OCP 8-bit Floating Point Specification 1.0, table 1.
        (E4M3FN, 448, 2**-6, 2**-9),
        (E5M2, 57344, 2**-14, 2**-16),
        # OCP Microscaling Formats Specification 1.0, tables 3, 4 and 5.
        (E2M3, 7.5, 1, 0.125),
        (E3M2, 28, 0.25, 0.0625),
        (E2M1, 6, 1, 0.5),
        # The same, section 5.4.1: powers of two only.
        (E8M0, 2.0**127, 2.0**-127, 2.0**-127),
        # ONNX technical note "Float stored in 8 bits".
        (E4M3FNUZ, 240, 2**-7, 2**-10),
        (E5M2FNUZ, 57344, 2**-15, 2**-17),
        # IEEE 754-2019, table 3.5 (binary16); bfloat16 has the exponents of binary32 and 8 bits of precision.
        (FLOAT16, 65504, 2**-14, 2**-24),
        (BFLOAT16, (2 - 2**-7) * 2.0**127, 2.0**-126, 2.0**-133),
    ],
    ids=lambda value: value.name if isinstance(value, FloatFormat) else "",
)
def test_limits_are_those_of_the_specification(
    format: FloatFormat, largest: float, min_normal: float, smallest: float
) -> None:
    assert (format.max, format.min_normal, format.smallest) == (largest, min_normal, smallest)
    values = decode(finite_codes(format), format)
    assert values.max() == largest
    assert values[values > 0].min() == smallest


def test_e2m1_has_the_eight_magnitudes_of_the_specification() -> None:
    assert decode(range(8), E2M1).tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert decode(range(8, 16), E2M1).tolist() == [-0.0, -0.5, -1, -1.5, -2, -3, -4, -6]


def test_e8m0_codes_are_biased_exponents() -> None:
    assert decode([0x00, 0x7F, 0xFE], E8M0).tolist() == [2.0**-127, 1, 2.0**127]
    assert np.isnan(decode(0xFF, E8M0))


def test_special_codes_are_those_of_the_specification() -> None:
    # OCP 8-bit Floating Point Specification 1.0, table 2.
    assert decode([0x7C, 0xFC], E5M2).tolist() == [np.inf, -np.inf]
    assert np.isnan(decode([0x7D, 0x7E, 0x7F, 0xFD, 0xFE, 0xFF], E5M2)).all()
    assert np.flatnonzero(~np.isfinite(decode(range(256), E4M3FN))).tolist() == [0x7F, 0xFF]
    assert np.flatnonzero(~np.isfinite(decode(range(256), E4M3FNUZ))).tolist() == [0x80]


def test_a_record_of_your_own_works_with_every_verb() -> None:
    tiny = FloatFormat("e2m2", exponent_bits=2, mantissa_bits=2, bias=1, specials="none")
    values = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 5, 6, 7]
    assert decode(range(16), tiny).tolist() == values
    assert encode(values, tiny).tolist() == list(range(16))
    assert round_to([0.125, 0.375, 2.7, 100], tiny).tolist() == [0, 0.5, 2.5, 7]


@every_format
@pytest.mark.parametrize("rounding", ["half_even", "half_away", "toward_zero", "floor", "stochastic"])
def test_a_representable_value_keeps_its_code_under_every_rounding(format: FloatFormat, rounding: str) -> None:
    codes = finite_codes(format)
    for dtype in (np.float32, np.float64):
        again = encode(decode(codes, format).astype(dtype), format, rounding=rounding, rng=np.random.default_rng(0))
        assert (again == codes).all()


@every_format
def test_positive_codes_are_ordered_like_their_values(format: FloatFormat) -> None:
    values = decode(np.arange(format.max_code + 1), format)
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize(("format", "emax"), [(E4M3FN, 8), (E5M2, 15), (E2M3, 2), (E3M2, 4), (E2M1, 2)])
def test_emax_is_that_of_the_mx_specification(format: FloatFormat, emax: int) -> None:
    # OCP Microscaling Formats Specification 1.0, section 5.3.
    assert format.emax == emax


def test_ties_go_to_the_even_code() -> None:
    assert round_to([1.0625, 1.1875, 2.5, 0.25], E4M3FN).tolist() == [1, 1.25, 2.5, 0.25]
    assert round_to([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5], E2M1).tolist() == [0, 1, 1, 2, 2, 4, 4]


def test_ties_of_e8m0_go_up_because_both_significands_are_odd() -> None:
    # IEEE 754-2019, 4.3.1: where no even significand exists, the larger magnitude.
    assert round_to([1.5, 3, 6], E8M0).tolist() == [2, 4, 8]


def test_float64_is_rounded_once() -> None:
    just_above_a_tie = 1.0625 + 2.0**-52
    assert np.float32(just_above_a_tie) == 1.0625
    assert round_to(just_above_a_tie, E4M3FN) == 1.125


@pytest.mark.parametrize(
    ("format", "overflow", "expected"),
    [
        # 464 lies midway between 448 and the 480 that the format would hold next; 448 has the even code.
        (E4M3FN, "saturate", [448, 448, 448, 448]),
        (E4M3FN, "native", [448, 448, np.nan, np.nan]),
        (E4M3FN, "nan", [448, 448, np.nan, np.nan]),
        (E4M3FNUZ, "saturate", [240, 240, 240, 240]),
        (E4M3FNUZ, "native", [np.nan, np.nan, np.nan, np.nan]),
        (E2M1, "native", [6, 6, 6, 6]),
    ],
    ids=lambda value: value.name if isinstance(value, FloatFormat) else "",
)
def test_overflow_is_a_parameter(format: FloatFormat, overflow: str, expected: list[float]) -> None:
    x = np.array([448, 464, np.nextafter(464, 465), np.inf])
    np.testing.assert_array_equal(round_to(x, format, overflow=overflow), np.float32(expected))
    np.testing.assert_array_equal(round_to(-x, format, overflow=overflow), -np.float32(expected))


def test_overflow_of_an_ieee_format_begins_half_a_step_beyond_its_largest_value() -> None:
    threshold = 61440.0  # midway between 57344 and 2¹⁶
    x = [np.nextafter(threshold, 0), threshold, -threshold, np.inf]
    assert round_to(x, E5M2).tolist() == [57344, 57344, -57344, 57344]
    assert round_to(x, E5M2, overflow="native").tolist() == [57344, np.inf, -np.inf, np.inf]
    assert round_to(x, E5M2, overflow="infinity").tolist() == [57344, np.inf, -np.inf, np.inf]
    assert np.isnan(round_to(x[1:], E5M2, overflow="nan")).all()


def test_rounding_toward_zero_overflows_only_from_infinity() -> None:
    x = [1e30, -1e30, np.inf, -np.inf]
    assert round_to(x, E5M2, overflow="native", rounding="toward_zero").tolist() == [57344, -57344, np.inf, -np.inf]
    assert round_to(x, E5M2, overflow="native", rounding="floor").tolist() == [57344, -np.inf, np.inf, -np.inf]


def test_signed_zero_is_kept_where_the_format_has_it() -> None:
    x = [0.0, -0.0, 1e-30, -1e-30]
    assert encode(x, E4M3FN).tolist() == [0x00, 0x80, 0x00, 0x80]
    assert encode(x, E4M3FNUZ).tolist() == [0, 0, 0, 0]
    assert encode(x[:2], E8M0).tolist() == [0, 0]


def test_nan_stays_nan_under_every_overflow_policy() -> None:
    signalling = np.array([0x7F800001, 0xFF800001], np.uint32).view(np.float32)
    for format in FORMATS.values():
        if format.nan_code is not None:
            assert np.isnan(round_to([np.nan, 1], format)).tolist() == [True, False]
            assert np.isnan(round_to(signalling, format, overflow="native")).all()


def test_stochastic_rounding_gives_neighbours_whose_mean_is_the_value() -> None:
    rng = np.random.default_rng(0)
    for value, low, high in ((1.03, 1, 1.125), (-300, -320, -288), (0.0005, 0, 2**-9)):
        rounded = round_to(np.full(40_000, value), E4M3FN, rounding="stochastic", rng=rng)
        assert set(rounded.tolist()) == {low, high}
        # Five standard deviations of the mean of two values.
        assert abs(rounded.mean(dtype=np.float64) - value) < 5 * (high - low) / 2 / np.sqrt(rounded.size)


def test_shape_layout_and_dtype_of_the_input_do_not_matter() -> None:
    x = np.random.default_rng(0).standard_normal((3, 5, 70_000)).astype(np.float32)
    codes = encode(x, E5M2)
    assert codes.dtype == np.uint8
    assert codes.shape == x.shape
    assert (encode(x.T, E5M2) == codes.T).all()
    assert (encode(x[:, ::-1, ::3], E5M2) == codes[:, ::-1, ::3]).all()
    assert (encode(x.astype(np.float64), E5M2) == codes).all()
    half = x.astype(np.float16)
    assert (encode(half, E5M2) == encode(half.astype(np.float32), E5M2)).all()
    assert encode(np.int8([0, 1, -3]), E5M2).tolist() == [0, 0x3C, 0xC2]
    assert encode(1.0, BFLOAT16).shape == decode(0, E5M2).shape == ()
    assert encode(1.0, BFLOAT16).dtype == np.uint16


numbers = st.floats(-1e6, 1e6, width=32)


@given(numbers, st.sampled_from([E4M3FN, E5M2, E2M3, E3M2, E2M1, BFLOAT16, FLOAT16]))
@settings(deadline=None)
def test_rounding_is_to_a_nearest_value_odd_and_idempotent(x: float, format: FloatFormat) -> None:
    rounded = float(round_to(x, format))
    clipped = np.clip(x, -format.max, format.max)
    exponent = max(np.frexp(clipped)[1] - 1, format.lowest_exponent)
    assert abs(rounded - clipped) <= 2.0 ** (exponent - format.mantissa_bits) / 2
    assert float(round_to(-x, format)) == -rounded
    assert float(round_to(rounded, format)) == rounded


@given(st.lists(numbers, min_size=2, max_size=20))
@settings(deadline=None)
def test_rounding_is_monotone(values: list[float]) -> None:
    for format in (E4M3FN, E5M2, E2M1):
        assert (np.diff(round_to(np.sort(values), format)) >= 0).all()


def test_fit_maps_the_largest_magnitude_to_the_largest_value() -> None:
    x = np.float32([[0.1, -3], [70, 5]])
    scheme = MiniFloat.fit(x, E4M3FN)
    assert scheme.scale == np.float32(70 / 448)
    assert scheme.quantize(x)[1, 0] == E4M3FN.max_code
    per_channel = MiniFloat.fit(x, E2M1, axis=0)
    assert per_channel.scale.tolist() == [0.5, np.float32(70 / 6)]
    assert fake_quantize(per_channel, x)[0].tolist() == [0, -3]
    assert fake_quantize(MiniFloat.fit(x, E2M1, axis=-1), x)[0] == pytest.approx([0, -4 * 5 / 6])


def test_zeros_alone_have_the_scale_one() -> None:
    assert MiniFloat.fit(np.zeros(3)).scale == 1
    assert MiniFloat.fit([[0.0, 0.0], [0.0, 448.0]], axis=0).scale.tolist() == [1, 1]


def test_scale_of_one_is_a_plain_cast() -> None:
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    assert (fake_quantize(MiniFloat(E4M3FN), x) == round_to(x, E4M3FN)).all()


def test_zeros_constants_and_extremes_are_valid_and_raise_no_warning() -> None:
    x = np.float32([[0, 0], [2, 2], [1e-45, 0], [1e-38, 1e-45], [3.4e38, -3.4e38], [0, -1e-30]])
    for format in (E4M3FN, E5M2, E2M1, FLOAT16):
        restored = fake_quantize(MiniFloat.fit(x, format, axis=0), x)
        assert restored[0].tolist() == [0, 0]
        assert restored[1] == pytest.approx([2, 2])
        assert np.isfinite(restored).all()
        assert np.isfinite(fake_quantize(MiniFloat.fit(x, format), x)).all()
    assert np.isfinite(fake_quantize(MiniFloat.fit(1e-45, E4M3FN), 3e38))


def test_stochastic_scheme_repeats_for_a_seed() -> None:
    x = np.random.default_rng(0).standard_normal(1000)
    codes = [MiniFloat.fit(x, rounding="stochastic", seed=seed).quantize(x) for seed in (1, 1, 2)]
    assert (codes[0] == codes[1]).all()
    assert (codes[0] != codes[2]).any()


def test_bytes_count_packed_codes_and_scales() -> None:
    assert MiniFloat(E2M1).nbytes((3, 5)) == 8  # 60 bits
    assert MiniFloat(E2M3, np.float32(0.5)).nbytes((4,)) == 3 + 4
    assert bits_per_value(MiniFloat(E4M3FN, np.full(16, 0.5), axis=0), (16, 64)) == 8.5
