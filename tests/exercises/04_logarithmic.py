# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 04."""

from __future__ import annotations

import math

import numpy as np
import torch
from fewerbits.tensor.companding import Companding
from fewerbits.tensor.logarithmic import Logarithmic, shift_dot


def values_by_loop(codes, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    values = []
    for code in codes.ravel().tolist():
        if code == 0:
            values.append(0.0)
        else:
            values.append(math.copysign(math.pow(2, (top - largest + abs(code)) / steps), code))
    return np.reshape(values, codes.shape).tolist()


def values_by_table(codes, top, bits, steps):
    largest = (1 << (bits - 1)) - 1
    positive = np.exp2((top - np.arange(largest)[::-1]) / steps).astype(np.float32)
    table = np.concatenate((-positive[::-1], [0], positive))
    return table[codes.astype(int) + largest]


def values_by_torch(codes, top, bits, steps):
    wide = torch.from_numpy(codes.astype(np.float64))
    base = 2 ** (1 / steps)
    return torch.sign(wide) * base ** (top - 2 ** (bits - 1) + 1 + wide.abs())


def values_of_the_package(codes, top, bits, steps):
    return Logarithmic(top, bits, steps_per_octave=steps).dequantize(codes)


def codes_by_loop(x, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    codes = []
    for value in x.ravel().tolist():
        if value == 0:
            codes.append(0)
            continue
        magnitude = round(steps * math.log2(abs(value))) - top + largest
        magnitude = min(max(magnitude, 1), largest)
        codes.append(magnitude if value > 0 else -magnitude)
    return np.reshape(codes, x.shape).astype(np.int8)


def codes_by_nearest_logarithm(x, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    logarithms = (top - largest + np.arange(1, largest + 1)) / steps
    present = np.abs(np.where(x == 0, 2.0**-200, x)).astype(np.float64)
    distances = np.abs(np.log2(present)[..., np.newaxis] - logarithms)
    return np.where(x == 0, 0, np.sign(x) * (1 + distances.argmin(axis=-1)))


def codes_of_the_package(x, top, bits, steps):
    return Logarithmic(top, bits, steps_per_octave=steps, underflow="smallest").quantize(x)


def codes_of_minus_infinity(x, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    with np.errstate(divide="ignore"):
        exponents = np.floor(np.log(np.abs(x)) / np.log(2 ** (1 / steps)) + 0.5)
    return np.sign(x) * np.minimum(np.maximum(exponents + largest - top, 1), largest)


def codes_in_float32(x, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    single = torch.tensor(x, dtype=torch.float32)
    exponents = torch.round(torch.log2(single.abs().clamp_min(1e-30)) * steps)
    return (single.sign() * (exponents - top + largest).clamp(1, largest)).to(torch.int32)


def power_by_comparing(x):
    powers = 2.0 ** np.arange(-60, 60)
    levels = np.concatenate((-powers, powers))
    nearest = levels[np.abs(np.asarray(x, np.float64)[..., np.newaxis] - levels).argmin(axis=-1)]
    return np.where(x == 0, 0, nearest)


def power_by_frexp(x):
    mantissa, exponent = np.frexp(x)
    return np.sign(x) * np.ldexp(1.0, np.where(np.abs(mantissa) >= 0.75, exponent, exponent - 1)) * (x != 0)


def power_by_loop(x):
    results = []
    for value in x.ravel().tolist():
        if value == 0:
            results.append(0)
            continue
        below = 2.0 ** math.floor(math.log2(abs(value)))
        nearest = below if abs(value) - below <= 2 * below - abs(value) else 2 * below
        results.append(math.copysign(nearest, value))
    return np.array(results, np.float32).reshape(x.shape)


def power_of_the_package(x):
    signs, wide = np.sign(x), Logarithmic(60, 8, rounding="linear")
    return signs * wide.dequantize(wide.quantize(np.abs(x)))


def mu_law_by_loop(x, bits, mu):
    peak, steps = max(abs(v) for v in x.ravel().tolist()), 2 ** (bits - 1) - 1
    restored = []
    for value in x.ravel().tolist():
        if peak == 0:
            restored.append(0.0)
            continue
        y = round(steps * math.log(1 + mu * abs(value) / peak) / math.log(1 + mu)) / steps
        restored.append(math.copysign(peak * ((1 + mu) ** y - 1) / mu, value))
    return np.reshape(restored, x.shape)


def mu_law_of_the_package(x, bits, mu):
    scheme = Companding.fit(x, bits, strength=mu)
    return scheme.dequantize(scheme.quantize(x))


def mu_law_by_signed_codes(x, bits, mu):
    s = np.float32(np.max(np.abs(x))) or np.float32(1)
    largest = 2 ** (bits - 1) - 1
    codes = np.rint(largest * np.sign(x) * np.log1p(np.float32(mu) * np.abs(x / s)) / np.log1p(np.float32(mu)))
    return s * np.sign(codes) * ((1 + mu) ** np.abs(codes / largest) - 1) / mu


def shifts_by_loop(codes, activations):
    total = 0
    for code, a in zip(codes.tolist(), activations.tolist()):
        if code > 0:
            total += a << (code - 1)
        if code < 0:
            total -= a << (-code - 1)
    return total


def shifts_of_the_package(codes, activations):
    scheme = Logarithmic(0, bits=5)
    return shift_dot(scheme, codes, activations).value * 2.0**14


def shifts_by_octave(codes, activations):
    """All activations of one place are added first, so that each place is shifted once."""
    wide, total = activations.astype(np.int32), np.int64(0)
    for place in range(15):
        total += int(wide[codes == place + 1].sum() - wide[codes == -place - 1].sum()) << place
    return [total][0]


def products_after_all(codes, activations):
    weights = np.sign(codes) * 2.0 ** (np.abs(codes.astype(float)) - 1)
    return weights @ activations.astype(float)


def levels_of_the_mu_law(gradient):
    scheme = Companding(float(np.abs(gradient).max()), 6, strength=4000.0)
    return scheme.dequantize(np.arange(-31, 32))


def levels_of_a_geometric_series(gradient):
    peak = float(np.abs(gradient).max())
    positive = [peak]
    while len(positive) < 31:
        positive.append(positive[-1] / 1.43)
    return [*positive, 0.0, *(-level for level in positive)]


def levels_of_the_package(gradient):
    scheme = Logarithmic.fit(gradient, 6, steps_per_octave=2)
    return scheme.dequantize(np.arange(-31, 32))


ALTERNATIVES = {
    "log_dequantize": [values_by_loop, values_by_table, values_by_torch, values_of_the_package],
    "log_quantize": [
        codes_by_loop,
        codes_by_nearest_logarithm,
        codes_of_the_package,
        codes_of_minus_infinity,
        codes_in_float32,
    ],
    "nearest_power": [power_by_comparing, power_by_frexp, power_by_loop, power_of_the_package],
    "mu_law": [mu_law_by_loop, mu_law_of_the_package, mu_law_by_signed_codes],
    "shift_sum": [shifts_by_loop, shifts_of_the_package, shifts_by_octave, products_after_all],
    "gradient_levels": [levels_of_the_mu_law, levels_of_a_geometric_series, levels_of_the_package],
}


def values_in_base_two(codes, top, bits, steps):
    return np.sign(codes) * 2.0 ** (top - 2 ** (bits - 1) + 1 + abs(codes.astype(int)))


def values_with_copysign(codes, top, bits, steps):
    """NumPy counts zero as positive here."""
    return np.copysign(2 ** ((top - 2 ** (bits - 1) + 1 + abs(codes * 1.0)) / steps), codes)


def values_with_signed_exponent(codes, top, bits, steps):
    return np.sign(codes) * np.exp2((top + 1 - 2 ** (bits - 1) + codes.astype(float)) / steps)


def article_with_guards(x, top, bits, steps):
    s = np.abs(x).max() / (2**bits - 1)
    codes = [0 if v == 0 else np.sign(v) * round(math.log(abs(v)) / math.log(s)) for v in x.ravel().tolist()]
    return np.reshape(codes, x.shape)


def codes_with(*, sign=np.sign, whole=np.rint, low=1, more_bits=0, levels=-1, power=1):
    """The solution of exercise 2 with one part exchanged."""

    def log_quantize(x, top, bits, steps):
        largest = 2 ** (bits - 1 + more_bits) + levels
        exponent = whole(steps**power * np.log2(np.abs(np.where(x == 0, 2.0**-300, x))))
        return sign(x) * np.clip(exponent - top + largest, low, largest)

    return log_quantize


def the_lessons_own_cell(x, top, bits, steps):
    largest_code = 2 ** (bits - 1) - 1
    exponent = np.rint(np.log2(np.abs(np.where(x == 0, 1, x))))
    return (np.sign(x) * np.clip(exponent - top + largest_code, 0, largest_code)).astype(np.int8)


def codes_unlimited(x, top, bits, steps):
    return np.round(steps * np.log2(abs(np.where(x == 0, 1, x)))) - top + 2 ** (bits - 1) - 1


def codes_by_loop_without_guard(x, top, bits, steps):
    largest, codes = 2 ** (bits - 1) - 1, []
    for value in x.flat:
        magnitude = min(max(round(math.log2(abs(value)) * steps) - top + largest, 1), largest)
        codes.append(magnitude if value > 0 else -magnitude)
    return np.reshape(codes, x.shape)


def codes_by_linear_midpoints(x, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    levels = 2.0 ** ((top - np.arange(largest)[::-1]) / steps)
    return np.sign(x) * (1 + np.searchsorted((levels[1:] + levels[:-1]) / 2, np.abs(x), side="right"))


def power_of_the_rounded_logarithm(x):
    return np.sign(x) * 2.0 ** np.round(np.log2(np.where(x == 0, 1, abs(x))))


def power_of_the_exponent_bits(x):
    return np.sign(x) * np.ldexp(0.5, np.frexp(x)[1])


def compressed_only(x, bits, mu):
    peak, steps = abs(x).max() or 1, 2 ** (bits - 1) - 1
    return peak * np.sign(x) * np.round(steps * np.log(1 + mu * abs(x) / peak) / np.log(1 + mu)) / steps


def mu_law_with_a_dead_division(x, bits, mu):
    s, steps = np.max(np.abs(x)), 2 ** (bits - 1) - 1
    y = np.round(steps * np.log1p(mu * np.abs(x) / s) / np.log1p(mu)) / steps
    return np.sign(x) * s * ((1 + mu) ** y - 1) / mu


def narrow_shifts(codes, activations):
    places = np.where(codes == 0, 0, np.abs(codes) - 1).astype(np.int8)
    shifted = np.left_shift(activations, places)
    return int(shifted[codes > 0].astype(int).sum() - shifted[codes < 0].astype(int).sum())


def shifts_by_the_code(codes, activations):
    total = 0
    for code, a in zip(codes.tolist(), activations.tolist()):
        if code:
            total += a << code if code > 0 else -(a << -code)
    return total


def zero_counted_as_positive(codes, activations):
    total = 0
    for code, a in zip(codes.tolist(), activations.tolist()):
        total += a << max(code - 1, 0) if code >= 0 else -(a << (-code - 1))
    return total


def exponent_of_int8(codes, top, bits, steps):
    """The second hint, typed as it stands."""
    largest = 2 ** (bits - 1) - 1
    return np.sign(codes) * 2 ** ((top - largest + np.abs(codes)) / steps)


def exponent_of_int8_by_parts(codes, top, bits, steps):
    magnitude = np.abs(codes)
    magnitude -= 2 ** (bits - 1) - 1
    return np.sign(codes) * np.exp2((magnitude + top).astype(float) / steps)


def octaves_at_the_top(codes, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    return np.sign(codes) * 2.0**top * 2.0 ** ((abs(codes.astype(int)) - largest) / steps)


def codes_below_a_top_in_octaves(x, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    exponent = np.rint(steps * (np.log2(np.abs(np.where(x == 0, 1, x))) - top))
    return np.sign(x) * np.clip(exponent + largest, 1, largest)


def codes_by_octaves(x, top, bits, steps):
    largest = 2 ** (bits - 1) - 1
    octaves = np.rint(np.log2(np.abs(np.where(x == 0, 1, x))))
    return np.sign(x) * np.clip(octaves * steps - top + largest, 1, largest)


def codes_with_epsilon(epsilon):
    def log_quantize(x, top, bits, steps):
        largest = 2 ** (bits - 1) - 1
        exponent = np.rint(steps * np.log2(np.abs(x) + epsilon))
        return np.sign(x) * np.clip(exponent - top + largest, 1, largest)

    return log_quantize


def power_with_epsilon(epsilon):
    def nearest_power(x):
        magnitude = np.abs(x) + epsilon
        return np.sign(x) * 2.0 ** (np.floor(np.log2(magnitude / 1.5)) + 1)

    return nearest_power


def mu_law_with(
    *,
    peak=lambda x: np.max(np.abs(x)),
    whole=np.rint,
    largest=None,
    base=lambda mu: 1 + mu,
    mu=None,
    unit=True,
    divided=True,
    back=None,
):
    """The solution of exercise 4 with one part exchanged."""
    fixed = mu

    def mu_law(x, bits, mu):
        mu, steps = fixed or mu, largest(bits) if largest else 2 ** (bits - 1) - 1
        scale = peak(x) if np.any(x) else 1
        y = whole(steps * np.log(1 + mu * np.abs(x) / scale) / (np.log(1 + mu) if divided else 1)) / (back or steps)
        return np.sign(x) * (scale if unit else 1) * ((base(mu) ** y) - 1) / mu

    return mu_law


def loop_of_the_lesson(codes, activations):
    total = 0
    for code, a in zip(codes, activations):
        if code > 0:
            total += a << (code - 1)
        elif code < 0:
            total -= a << (-code - 1)
    return total


def signed_shifts_of_int8(codes, activations):
    places = np.maximum(np.abs(codes) - 1, 0)
    return (np.sign(codes) * (activations << places)).sum()


SLIPS = {
    "log_dequantize": [
        ("exponent_in_the_code_type", exponent_of_int8),
        ("exponent_in_the_code_type", exponent_of_int8_by_parts),
        ("top_in_octaves", octaves_at_the_top),
        ("levels_per_side", lambda codes, top, bits, steps: values_by_loop(codes, top - 2 ** (bits - 1), bits, steps)),
        ("steps_ignored", values_in_base_two),
        ("base_mixed_up", lambda c, top, b, k: np.sign(c) * 2 ** (top / k + 1 - 2 ** (b - 1) + abs(c * 1.0))),
        ("sign_lost", lambda c, top, b, k: 2 ** ((top + 1 - 2 ** (b - 1) + abs(c * 1.0)) / k)),
        ("no_code_for_zero", values_with_copysign),
        ("sign_in_the_exponent", values_with_signed_exponent),
        ("sign_lost", lambda codes, top, bits, steps: abs(values_by_table(codes, top, bits, steps))),
    ],
    "log_quantize": [
        ("scale_taken_for_the_base", article_with_guards),
        ("sign_lost", codes_with(sign=lambda x: x != 0)),
        ("no_code_for_zero", codes_with(sign=lambda x: np.where(x >= 0, 1, -1), low=1)),
        ("floor_of_the_logarithm", codes_with(whole=np.floor)),
        ("levels_per_side", codes_with(more_bits=1)),
        ("the_other_midpoint", codes_by_linear_midpoints),
        ("log_of_zero", codes_by_loop_without_guard),
        ("top_in_octaves", codes_below_a_top_in_octaves),
        ("rounded_before_the_steps", codes_by_octaves),
        ("underflow_to_zero", codes_with(low=0)),
        ("steps_ignored", the_lessons_own_cell),
        ("steps_ignored", codes_with(power=0)),
        ("base_mixed_up", codes_with(power=-1)),
        ("truncation_for_rounding", codes_with(whole=np.trunc)),
        ("clamp_forgotten", lambda x, top, b, k: np.sign(x) * codes_unlimited(x, top, b, k)),
        ("scaled_by_the_negative_end", codes_with(levels=0)),
        ("no_code_for_zero", lambda x, *others: codes_with()(np.where(x == 0, 1, x), *others)),
        *[("epsilon_in_the_logarithm", codes_with_epsilon(epsilon)) for epsilon in (1e-6, 1e-8, 1e-12)],
    ],
    "nearest_power": [
        ("the_other_midpoint", power_of_the_rounded_logarithm),
        ("floor_of_the_logarithm", power_of_the_exponent_bits),
        ("sign_lost", lambda x: abs(power_by_frexp(x))),
        ("sign_lost", lambda x: 2.0 ** (np.floor(np.log2(abs(np.where(x == 0, 1, x)) / 1.5)) + 1)),
    ],
    "mu_law": [
        ("not_expanded", compressed_only),
        ("zero_scale", mu_law_with_a_dead_division),
        ("sign_lost", lambda x, bits, mu: abs(mu_law_by_loop(x, bits, mu))),
        ("levels_per_side", lambda x, bits, mu: mu_law_by_loop(x, bits + 1, mu)),
        ("power_of_mu_alone", mu_law_with(base=lambda mu: mu)),
        ("mu_of_the_telephone", mu_law_with(mu=255)),
        ("unit_not_restored", mu_law_with(unit=False)),
        ("truncation_for_rounding", mu_law_with(whole=np.trunc)),
        ("scaled_by_the_negative_end", mu_law_with(largest=lambda bits: 2 ** (bits - 1))),
        ("largest_value_for_largest_magnitude", mu_law_with(peak=np.max)),
        ("codes_expanded_undivided", mu_law_with(back=1)),
        ("codes_expanded_undivided", lambda x, *others: mu_law_with(back=1)(x.astype(np.float32), *others)),
        ("power_of_e_alone", mu_law_with(base=lambda mu: np.e)),
        ("logarithm_not_normalized", mu_law_with(divided=False)),
        ("logarithm_not_normalized", mu_law_with(divided=False, base=lambda mu: np.e)),
        ("not_rounded", mu_law_with(whole=lambda y: y)),
    ],
    "shift_sum": [
        ("shifted_in_a_narrow_type", narrow_shifts),
        ("shifted_in_a_narrow_type", loop_of_the_lesson),
        ("shifted_in_a_narrow_type", signed_shifts_of_int8),
        ("shifted_in_a_narrow_type", lambda codes, a: loop_of_the_lesson(codes, a.astype(np.int16))),
        ("shifted_in_a_narrow_type", lambda codes, a: signed_shifts_of_int8(codes, a.astype(np.int16))),
        ("shifted_one_too_far", shifts_by_the_code),
        ("no_code_for_zero", zero_counted_as_positive),
    ],
    "gradient_levels": [
        ("equal_steps_over_many_octaves", lambda g: np.arange(-31, 32) * (abs(g).max() / 31)),
        ("sign_lost", lambda g: [*(abs(g).max() * 2 ** (-i / 2) for i in range(31)), 0]),
    ],
}

# Small values come back as ε, whatever it is.
UNNAMED = {"nearest_power": [power_with_epsilon(1e-9), power_with_epsilon(1e-12)]}
