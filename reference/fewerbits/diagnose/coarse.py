"""Codes that were computed in float16 or bfloat16: predicted with that arithmetic, in the ways it is done."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from fewerbits.diagnose.case import Array, Case

Rounded = Callable[[Array], Array]


def to_float16(values: Array) -> Array:
    return values.astype(np.float16).astype(np.float32)


def to_bfloat16(values: Array) -> Array:
    """The nearest numbers of 8 binary digits, ties to even, as float32: bits 16 to 31 after adding half of bit 16."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def coarse_arithmetic(case: Case) -> str | None:
    """The float type that gives all codes when part of the arithmetic is done in it; None when none does."""
    with np.errstate(all="ignore"):
        for name, low in (("float16", to_float16), ("bfloat16", to_bfloat16)):
            if any(np.array_equal(codes, case.codes) for codes in _codes(case, low)):
                return name
    return None


def _codes(case: Case, low: Rounded) -> Iterator[Array]:
    """Values, scale and quotient in the coarse type or not; a division or a product; z added after or before."""
    either: tuple[Rounded, Rounded] = (low, lambda values: values)
    x, scale, zero_point = (part.astype(np.float32) for part in (case.x, case.scale, case.zero_point))
    for of_x, of_scale, of_quotient in itertools.product(either, repeat=3):
        for quotient in (of_x(x) / of_scale(scale), of_x(x) * of_scale(1 / of_scale(scale))):
            steps = of_quotient(quotient)
            yield np.clip(np.rint(steps) + zero_point, *case.ends)
            if zero_point.any():
                yield np.clip(np.rint(of_quotient(steps + zero_point)), *case.ends)
