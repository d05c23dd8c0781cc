"""Facts about MX formats. Their agreement with gfloat, ml_dtypes and ONNX is in tests/oracles/blocks.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fewerbits.tensor.float_formats import E2M1, E2M3, E3M2, E4M3FN, E5M2, FloatFormat
from fewerbits.tensor.mx import MX, SCALE_RULES
from fewerbits.tensor.packing import pack
from fewerbits.tensor.scheme import bits_per_value, fake_quantize

ELEMENTS = (E4M3FN, E5M2, E2M3, E3M2, E2M1)
every_element = pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.name)
every_rule = pytest.mark.parametrize("rule", SCALE_RULES)


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("element", "bits"), [(E2M1, 4.25), (E2M3, 6.25), (E3M2, 6.25), (E4M3FN, 8.25), (E5M2, 8.25)])
def test_bits_per_weight_count_the_scales(element: FloatFormat, bits: float) -> None:
    # OCP Microscaling Formats Specification 1.0, table 1: 32 elements and 8 bits of scale.
    x = weights(4, 96)
    scheme = MX.fit(x, element)
    assert bits_per_value(scheme, x.shape) == bits
    packed = pack(scheme.quantize(x), element.bits)
    assert packed.nbytes + scheme.scale_codes.nbytes == scheme.nbytes(x.shape)


def block_with_maximum(value: float) -> np.ndarray:
    x = np.zeros(32, np.float32)
    x[3] = value
    return x


@pytest.mark.parametrize(
    ("value", "exponents"),
    [
        # MXFP4: max = 6 = 1.5 · 2², emax = 2. The exponents of floor, rceil, ceil, even, by hand.
        (4, (0, 0, 0, 0)),
        (6, (0, 0, 1, 0)),
        (6.5, (0, 1, 1, 0)),
        (7, (0, 1, 1, 1)),
        (-7.5, (0, 1, 1, 1)),
        (8, (1, 1, 1, 1)),
        (0.75, (-3, -3, -2, -3)),
    ],
)
def test_scale_rules_differ_between_the_largest_element_and_the_next_power_of_two(
    value: float, exponents: tuple[int, ...]
) -> None:
    x = block_with_maximum(value)
    found = tuple(
        int(math.log2(MX.fit(x, E2M1, scale_rule=rule).scale[0])) for rule in ("floor", "rceil", "ceil", "even")
    )
    assert found == exponents


def test_the_rule_of_the_specification_lets_block_maxima_saturate() -> None:
    x = block_with_maximum(7.5)
    assert fake_quantize(MX.fit(x, E2M1), x)[3] == 6
    assert fake_quantize(MX.fit(x, E2M1, scale_rule="rceil"), x)[3] == 8


@every_element
@pytest.mark.parametrize("rule", ["rceil", "ceil"])
def test_rules_that_round_up_never_saturate(element: FloatFormat, rule: str) -> None:
    x = weights(200, 32) * np.exp2(np.linspace(-100, 100, 200))[:, None].astype(np.float32)
    scheme = MX.fit(x, element, scale_rule=rule)
    assert (np.abs(x).max(axis=1) <= element.max * scheme.scale[:, 0]).all()
    # And rceil is the smallest that does not.
    if rule == "rceil":
        assert (np.abs(x).max(axis=1) > element.max * scheme.scale[:, 0] / 2).all()


def test_a_logarithm_is_not_needed_beside_a_power_of_two() -> None:
    just_below = np.nextafter(8.0, 0)  # log2 of it rounds to 3
    assert math.floor(math.log2(just_below)) == 3
    assert MX.fit(np.full(32, just_below), E2M1).scale == 1
    assert MX.fit(np.full(32, 8.0), E2M1).scale == 2


@every_element
@every_rule
def test_powers_of_two_scale_exactly(element: FloatFormat, rule: str) -> None:
    x = weights(8, 64)
    codes = MX.fit(x, element, scale_rule=rule).quantize(x)
    scaled = MX.fit(x * 1024, element, scale_rule=rule)
    assert (scaled.quantize(x * 1024) == codes).all()
    assert (scaled.dequantize(codes) == 1024 * fake_quantize(MX.fit(x, element, scale_rule=rule), x)).all()


@every_element
@every_rule
def test_zeros_denormals_and_the_largest_float32_are_valid(element: FloatFormat, rule: str) -> None:
    x = np.zeros((6, 32), np.float32)
    x[1], x[2], x[3], x[4] = 2.0**-149, 2.0**-126, np.finfo(np.float32).max, -np.finfo(np.float32).max
    x[5, ::2] = -1e-42
    scheme = MX.fit(x, element, scale_rule=rule)
    restored = scheme.dequantize(scheme.quantize(x))
    assert (restored[0] == 0).all()
    assert scheme.scale_codes[0] == 0
    assert np.isfinite(restored).all()
    assert restored[2] == pytest.approx(2.0**-126)
    assert restored[3] == pytest.approx(x[3], rel=0.25)


def test_blocks_run_along_the_last_axis() -> None:
    x = np.ones((2, 64), np.float32)
    x[0, 32:] = 1024
    assert (MX.fit(x, E2M1).scale * 4).tolist() == [[1, 1024], [1, 1]]
    assert MX.fit(x, E2M1, block_size=64).scale.shape == (2, 1)


def test_stochastic_rounding_repeats_for_a_seed_and_is_right_on_average() -> None:
    x = np.full(32_000, 2.6, np.float32)
    x[::32] = 4
    first, again, other = (MX.fit(x, E2M1, rounding="stochastic", seed=seed) for seed in (1, 1, 2))
    assert (first.quantize(x) == again.quantize(x)).all()
    assert (first.quantize(x) != other.quantize(x)).any()
    assert fake_quantize(first, x)[x < 4].mean(dtype=np.float64) == pytest.approx(2.6, abs=5 * 0.5 / np.sqrt(31_000))
