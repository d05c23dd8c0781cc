"""Sums of codes: linear layer, bias, cross terms, saturating pairs. Right answers by loops over Python's integers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Between, Output, Probe, Task

Array = NDArray[Any]


def right_accumulate(q_x: Array, q_w: Array, x_zero_point: int, w_zero_point: int) -> list[list[int]]:
    """Σ_k (q_x − z_x)·(q_w − z_w), product by product."""
    rows, weights = q_x.tolist(), q_w.tolist()
    return [
        [sum((x - x_zero_point) * (w - w_zero_point) for x, w in zip(row, column)) for column in weights]
        for row in rows
    ]


def _accumulate_probes() -> list[Probe]:
    rng = np.random.default_rng(60)

    def layer(rows: int, outputs: int, terms: int, x_zero_point: int, w_zero_point: int) -> Probe:
        q_x = rng.integers(0, 256, (rows, terms)).astype(np.uint8)
        return q_x, rng.integers(-127, 128, (outputs, terms)).astype(np.int8), x_zero_point, w_zero_point

    return [
        (np.array([[3, 5]], np.uint8), np.array([[2, 4]], np.int8), 2, 1),
        (np.array([[3, 5]], np.uint8), np.array([[2, -4]], np.int8), 4, 0),
        (np.array([[100, 25, 62, 150]], np.uint8), np.array([[60, -90, 35, 85]], np.int8), 50, 10),
        (np.full((1, 3), 255, np.uint8), np.full((2, 3), 127, np.int8), 0, -100),
        layer(3, 2, 5, 128, 0),
        layer(4, 6, 40, 7, -3),
        layer(2, 3, 300, 200, 20),
    ]


accumulate = Task(
    call="accumulate(q_x, q_w, x_zero_point, w_zero_point)",
    returns=(Output("accumulators", integer=True),),
    oracle=right_accumulate,
    probes=_accumulate_probes,
    divisible=False,
)


def right_sum_bounds(q_w: Array, x_zero_point: int) -> tuple[list[int], list[int]]:
    """Weight by weight the least and the greatest of all 256 products, added."""
    products = [[[(code - x_zero_point) * w for code in range(256)] for w in row] for row in q_w.tolist()]
    return [sum(map(min, row)) for row in products], [sum(map(max, row)) for row in products]


def _sum_bounds_probes() -> list[Probe]:
    rng = np.random.default_rng(66)
    return [
        (np.array([[2, -1]], np.int8), 55),
        (np.array([[3, -128, 127]], np.int8), 128),
        (np.array([[50, -100, 25, 75], [-30, 12, 110, -70]], np.int8), 50),
        (np.array([[5, 7], [-5, -7]], np.int8), 0),
        (rng.integers(-127, 128, (3, 20)).astype(np.int8), 255),
        (rng.integers(-128, 128, (2, 60)).astype(np.int8), 201),
    ]


sum_bounds = Task(
    call="sum_bounds(q_w, x_zero_point)",
    returns=(Output("low", integer=True), Output("high", integer=True)),
    oracle=right_sum_bounds,
    probes=_sum_bounds_probes,
    divisible=False,
)


def nearest(value: Fraction) -> tuple[int, int]:
    """The nearest whole number, twice; both neighbours where rounding errors of a float decide."""
    slack = abs(value) * Fraction(1, 2**20) + Fraction(1, 2**40)
    half = Fraction(1, 2)
    return math.ceil(value - half - slack), math.floor(value + half + slack)


def right_bias_codes(bias: Array, s_x: float, s_w: Array, q_w: Array, x_zero_point: int) -> Between:
    """bias/(s_x·s_w) in fractions, less the cross term of z_x, channel by channel."""
    ends = [nearest(Fraction(float(b)) / (Fraction(s_x) * Fraction(float(s)))) for b, s in zip(bias, s_w)]
    terms = [x_zero_point * sum(row) for row in q_w.tolist()]
    return Between(*(np.array(end) - terms for end in zip(*ends)))


def _bias_codes_probes() -> list[Probe]:
    rng = np.random.default_rng(61)

    def layer(bias: Array, s_x: float, s_w: Array, terms: int, x_zero_point: int) -> Probe:
        return bias, s_x, s_w, rng.integers(-127, 128, (len(bias), terms)).astype(np.int8), x_zero_point

    few = np.array([[5, -3], [2, 4]], np.int8)
    return [
        (np.array([0.30013, -0.20006]), 0.02, np.array([0.01, 0.01]), few, 10),
        (np.array([0.5]), 0.03, np.array([0.02]), few[:1], 0),
        (np.array([-0.5, 0.25]), 0.03, np.array([0.02, 0.007]), few, 100),
        layer(np.array([0.0, 2.0, -1.0]), 0.004, np.array([0.5, 0.003, 0.009]), 4, 50),
        layer(rng.normal(size=8), 0.05, rng.uniform(0.001, 0.02, 8), 40, 128),
        layer(rng.normal(size=12) * 3, 0.11, rng.uniform(0.01, 0.2, 12), 300, 7),
    ]


bias_codes = Task(
    call="bias_codes(bias, s_x, s_w, q_w, x_zero_point)",
    returns=(Output("codes", integer=True),),
    oracle=right_bias_codes,
    probes=_bias_codes_probes,
    divisible=False,
)


def right_correct_sums(
    raw: Array, x_sums: Array, w_sums: Array, terms: int, x_zero_point: int, w_zero_point: int
) -> list[list[int]]:
    """Element by element, in Python's integers."""
    return [
        [
            total - w_zero_point * of_x - x_zero_point * of_w + terms * x_zero_point * w_zero_point
            for total, of_w in zip(row, w_sums.tolist())
        ]
        for row, of_x in zip(raw.tolist(), x_sums.tolist())
    ]


def _correct_sums_probes() -> list[Probe]:
    rng = np.random.default_rng(62)

    def layer(rows: int, outputs: int, terms: int, x_zero_point: int, w_zero_point: int) -> Probe:
        q_x = rng.integers(0, 256, (rows, terms)).astype(np.int32)
        q_w = rng.integers(-128, 128, (outputs, terms)).astype(np.int32)
        return q_x @ q_w.T, q_x.sum(axis=1), q_w.sum(axis=1), terms, x_zero_point, w_zero_point

    q_x, q_w = np.array([[3, 5]], np.int32), np.array([[2, -4]], np.int32)
    return [
        (q_x @ q_w.T, q_x.sum(axis=1), q_w.sum(axis=1), 2, 4, 1),
        layer(1, 2, 4, 50, 0),
        layer(2, 1, 4, 0, 10),
        layer(2, 3, 4, 50, 10),
        layer(3, 3, 9, 128, -3),
        layer(5, 4, 60, 3, 90),
    ]


correct_sums = Task(
    call="correct_sums(raw, x_sums, w_sums, terms, x_zero_point, w_zero_point)",
    returns=(Output("accumulators", integer=True),),
    oracle=right_correct_sums,
    probes=_correct_sums_probes,
    divisible=False,
)


def right_saturating_sums(windows: Array, q_w: Array, x_zero_point: int) -> list[list[int]]:
    """Pair by pair along kernel rows, kernel columns, channels; each pair cut off at the ends of 16 bits."""
    count, channels, rows, columns = windows.shape
    order = [(c, i, j) for i in range(rows) for j in range(columns) for c in range(channels)]

    def total(window: Array, kernel: Array) -> int:
        products = [int(window[place]) * int(kernel[place]) for place in order]
        pairs = [sum(products[first : first + 2]) for first in range(0, len(products), 2)]
        return sum(max(-32_768, min(32_767, pair)) for pair in pairs) - x_zero_point * int(kernel.sum(dtype=np.int64))

    return [[total(windows[one], kernel) for kernel in q_w] for one in range(count)]


def _saturating_sums_probes() -> list[Probe]:
    rng = np.random.default_rng(63)

    def layer(count: int, outputs: int, channels: int, side: int, x_zero_point: int, low: int = 0) -> Probe:
        windows = rng.integers(low, 256, (count, channels, side, side)).astype(np.uint8)
        return windows, rng.integers(-128, 128, (outputs, channels, side, side)).astype(np.int8), x_zero_point

    def few(codes: list[int], weights: list[int]) -> tuple[Array, Array]:
        return np.array(codes, np.uint8).reshape(1, -1, 1, 1), np.array(weights, np.int8).reshape(1, -1, 1, 1)

    return [
        (*few([200, 180], [120, 100]), 0),
        (*few([200, 180, 250, 250], [120, 100, -90, -60]), 10),
        (*few([255, 250, 240], [-127, -120, -110]), 0),
        layer(2, 1, 1, 3, 0, 200),
        layer(3, 2, 2, 3, 0, 150),
        layer(3, 4, 3, 3, 128, 100),
        layer(4, 8, 16, 3, 40),
    ]


saturating_sums = Task(
    call="saturating_sums(windows, q_w, x_zero_point)",
    returns=(Output("sums", integer=True),),
    oracle=right_saturating_sums,
    probes=_saturating_sums_probes,
    divisible=False,
)
