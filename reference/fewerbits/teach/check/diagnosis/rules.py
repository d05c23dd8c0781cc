"""Rules of a diagnosis on single tensors: codes used, the scale of a bias, the axis of scales, a shift foreseen."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Output, Probe, Task

Array = NDArray[Any]


def right_used_codes(codes: Array, qmin: int, qmax: int) -> float:
    """Counted code by code, in Python's integers."""
    values = codes.ravel().tolist()
    used = sum(min(values) <= code <= max(values) for code in range(qmin, qmax + 1))
    return used / len(range(qmin, qmax + 1))


def _used_codes_probes() -> list[Probe]:
    rng = np.random.default_rng(80)
    return [
        (np.array([-3, 1, 4], np.int8), -8, 7),
        (np.array([0, 255], np.uint8), 0, 255),
        (np.array([-128, 5, 127], np.int8), -128, 127),
        (np.array([[10, 12], [14, 40]], np.uint8), 0, 255),
        (np.array([-100, 60], np.int8), -127, 127),
        (rng.integers(0, 64, (4, 30)).astype(np.uint8), 0, 255),
        (rng.integers(-1900, 1900, 50).astype(np.int16), -2048, 2047),
    ]


used_codes = Task(
    call="used_codes(codes, qmin, qmax)",
    returns=(Output("share"),),
    oracle=right_used_codes,
    probes=_used_codes_probes,
)


def right_bias_ratio(s_x: float, s_w: Array, s_b: Array) -> list[float]:
    """Channel by channel in fractions."""
    return [float(Fraction(float(b)) / (Fraction(s_x) * Fraction(float(w)))) for w, b in zip(s_w, s_b)]


def _bias_ratio_probes() -> list[Probe]:
    rng = np.random.default_rng(81)
    s_w = rng.uniform(0.001, 0.02, 6)
    return [
        (0.5, np.array([0.25, 0.5]), np.array([0.125, 0.5])),
        (0.02, np.array([0.01]), np.array([0.01])),
        (0.05, s_w, 0.05 * s_w),
        (0.004, s_w, 0.004 * s_w * np.array([1, 1, 3, 1, 1, 0.5])),
        (3.0, s_w, s_w),
    ]


bias_ratio = Task(
    call="bias_ratio(s_x, s_w, s_b)",
    returns=(Output("ratio"),),
    oracle=right_bias_ratio,
    probes=_bias_ratio_probes,
    divisible=False,
)


def right_scale_axis(w: Array, q: Array, s: Array) -> int:
    """The axis for which every restored weight lies within half a step of the float weight, index by index."""
    for axis, size in enumerate(q.shape):
        if size == s.size and all(
            abs(float(w[index]) - int(q[index]) * float(s[index[axis]])) <= 0.501 * float(s[index[axis]])
            for index in np.ndindex(*q.shape)
        ):
            return axis
    raise ValueError("no axis fits: this is not a probe")


def _scale_axis_probes() -> list[Probe]:
    rng = np.random.default_rng(82)

    def tensor(shape: tuple[int, ...], axis: int) -> Probe:
        others = tuple(index for index in range(len(shape)) if index != axis)
        gains = np.expand_dims(rng.uniform(0.2, 3, shape[axis]), others)
        w = (rng.normal(size=shape) * gains).astype(np.float32)
        scale = np.abs(w).max(axis=others, keepdims=True) / 127
        return w, np.rint(w / scale).astype(np.int8), scale.ravel().astype(np.float32)

    return [
        tensor((2, 3), 0),
        tensor((3, 3), 1),
        tensor((4, 4), 0),
        tensor((2, 5, 3, 3), 1),
        tensor((6, 6, 3, 3), 0),
        tensor((6, 6, 3, 3), 1),
        tensor((3, 4, 3, 3), 3),
    ]


scale_axis = Task(
    call="scale_axis(w, q, s)",
    returns=(Output("axis", integer=True),),
    oracle=right_scale_axis,
    probes=_scale_axis_probes,
    divisible=False,
)


def right_output_shift(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> list[float]:
    """A layer of input 0 … 255 computed twice, with either zero point, product by product in fractions."""
    q_x = [(37 * k + 11) % 256 for k in range(q_w.shape[1])]

    def outputs(zero: int) -> list[Fraction]:
        scales = [Fraction(s_x) * Fraction(float(scale)) for scale in s_w]
        return [scale * sum((x - zero) * int(w) for x, w in zip(q_x, row)) for scale, row in zip(scales, q_w)]

    return [float(read - written) for read, written in zip(outputs(z_read), outputs(z_written))]


def _output_shift_probes() -> list[Probe]:
    rng = np.random.default_rng(83)

    def layer(outputs: int, inputs: int, s_x: float, z_written: int, z_read: int) -> Probe:
        q_w = rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
        return q_w, s_x, rng.uniform(0.001, 0.02, outputs), z_written, z_read

    return [
        (np.array([[2, 3]], np.int8), 0.5, np.array([0.25]), 10, 9),
        (np.array([[2, -4, 5], [1, 1, 1]], np.int8), 0.1, np.array([0.02, 0.05]), 9, 10),
        layer(3, 4, 0.03, 128, 127),
        layer(4, 40, 0.02, 0, 128),
        layer(10, 64, 0.012, 7, 7),
    ]


output_shift = Task(
    call="output_shift(q_w, s_x, s_w, z_written, z_read)",
    returns=(Output("shift"),),
    oracle=right_output_shift,
    probes=_output_shift_probes,
    divisible=False,
)
