"""Uniform quantization: equally spaced levels, q = clip(round(x/s) + z, qmin, qmax) and x̂ = s·(q − z).

Conventions are parameters. The defaults are those of ONNX QuantizeLinear: divide by the scale, round half
to even, add the zero point after rounding, saturate. Source: ONNX operator specification, opset 21.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid
from fewerbits.tensor.pieces import PIECE_BYTES, as_groups, cuts
from fewerbits.tensor.rounding import ROUNDINGS, fused_multiply_add, round_in_place

ZERO_POINT_RULES = ("after", "before", "fused")


def code_range(bits: int, signed: bool = True, narrow_range: bool = False) -> tuple[int, int]:
    """(qmin, qmax) of `bits`-bit codes: −128..127 signed, 0..255 unsigned; narrow drops the lowest code.

    Raises ValueError for bits outside 1..16, and for a narrow range of one bit, which has a single code.
    """
    bits = valid.integer(bits, "bits", 1, 16)
    qmin = -(2 ** (bits - 1)) if valid.boolean(signed, "signed") else 0
    if valid.boolean(narrow_range, "narrow_range"):
        if bits == 1:
            raise ValueError("narrow_range=True leaves one code of bits=1: accepted from 2 bits on")
        return qmin + 1, qmin + 2**bits - 1
    return qmin, qmin + 2**bits - 1


@dataclass(frozen=True, eq=False)
class Uniform:
    """A fitted uniform quantizer (one scale and zero point per tensor, channel or group).

    `scale` is float32 and positive, `zero_point` int32 in qmin..qmax, both of the same shape:
    () per tensor; (C,) with `axis`; the shape of x with `axis` divided by `group_size` for groups (as
    ONNX's blocked QuantizeLinear).

    Conventions: `rounding` as in `tensor.rounding`; `reciprocal` multiplies by float32(1/s) instead of
    dividing (PyTorch); `zero_point_added` "after" rounding (ONNX, ONNX Runtime, torch fake_quantize), "before"
    rounding in float arithmetic (torch.quantize_per_channel), or "fused": before, in one fused multiply-add of
    float32 (torch.quantize_per_tensor on x86 and Arm). They differ at ties and right beside them. Stochastic rounding
    starts from `seed` at each call.
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int32]
    bits: int = 8
    signed: bool = True
    narrow_range: bool = False
    axis: int | None = None
    group_size: int | None = None
    rounding: str = "half_even"
    reciprocal: bool = False
    zero_point_added: str = "after"
    seed: int = 0

    def __post_init__(self) -> None:
        qmin, qmax = code_range(self.bits, self.signed, self.narrow_range)
        with np.errstate(over="ignore", under="ignore"):
            scale = valid.real_array(self.scale, "scale").astype(np.float32)
            reciprocal_finite = np.isfinite(np.float32(1) / scale[scale > 0]).all()
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(f"scale holds {scale.min()} as float32: every scale must be positive and finite")
        zero_point = valid.integer_codes(self.zero_point, qmin, qmax, "zero_point").astype(np.int32)
        if zero_point.shape != scale.shape:
            raise ValueError(f"zero_point has shape {zero_point.shape}: it must be that of scale, {scale.shape}")
        if self.group_size is not None:
            valid.integer(self.group_size, "group_size", 1)
            if self.axis is None:
                raise ValueError("axis=None is not accepted with group_size: name the axis that is divided into groups")
        elif scale.ndim != (0 if self.axis is None else 1):
            wanted = "() for one scale per tensor" if self.axis is None else "(channels,) with axis"
            raise ValueError(f"scale has shape {scale.shape}: it must be {wanted}")
        valid.one_of(self.rounding, "rounding", ROUNDINGS)
        valid.one_of(self.zero_point_added, "zero_point_added", ZERO_POINT_RULES)
        if valid.boolean(self.reciprocal, "reciprocal") and not reciprocal_finite:
            raise ValueError(f"scale holds {scale.min()}: reciprocal=True needs scales whose 1/s is finite in float32")
        if self.zero_point_added == "fused" and not self.reciprocal:
            raise ValueError("reciprocal=False is not accepted with zero_point_added='fused': it fuses x·(1/s) + z")
        valid.integer(self.seed, "seed", 0)
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "zero_point", zero_point)

    @cached_property
    def qmin(self) -> int:
        """Lowest code."""
        return code_range(self.bits, self.signed, self.narrow_range)[0]

    @cached_property
    def qmax(self) -> int:
        """Highest code."""
        return code_range(self.bits, self.signed, self.narrow_range)[1]

    @cached_property
    def _shifted(self) -> bool:
        return bool(self.zero_point.any())

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """int8 or uint8 up to 8 bits, int16 or uint16 above."""
        return np.dtype(f"{'int' if self.signed else 'uint'}{8 if self.bits <= 8 else 16}")

    @classmethod
    def fit(
        cls,
        x: ArrayLike,
        bits: int = 8,
        *,
        symmetric: bool = True,
        axis: int | None = None,
        group_size: int | None = None,
        **conventions: Any,
    ) -> Uniform:
        """The quantizer whose range is the smallest and largest value of `x` (min-max), widened to contain zero.

        `axis` gives each index of that axis its own scale; with `group_size`, each run of that many values along
        it. `conventions` are the remaining fields of the class (signed, narrow_range, rounding, ...).
        Raises ValueError/TypeError for NaN, infinity, empty or non-real `x`, a wrong axis, or a group size that
        does not divide the axis.

        Zero always gets a code of its own, so data far from zero wastes the codes between: [10, 11] in 8 affine
        bits has the step 11/255, not 1/255, and 24 codes of 256 are left for it.

        >>> scheme = Uniform.fit([10.0, 11.0], symmetric=False, signed=False)
        >>> scheme.quantize([0.0, 10.0, 11.0])
        array([  0, 232, 255], dtype=uint8)
        """
        x = valid.real_array(x)
        view, other_axes = as_groups(x, axis, group_size)
        return cls.from_range(
            view.min(axis=other_axes),
            view.max(axis=other_axes),
            bits,
            symmetric=symmetric,
            axis=None if axis is None else valid.axis_of(axis, x.ndim),
            group_size=group_size,
            **conventions,
        )

    @classmethod
    def from_range(
        cls,
        minimum: ArrayLike,
        maximum: ArrayLike,
        bits: int = 8,
        *,
        symmetric: bool = True,
        signed: bool = True,
        narrow_range: bool = False,
        **conventions: Any,
    ) -> Uniform:
        """The quantizer that covers minimum..maximum (arrays of the shape of scale), widened to contain zero.

        Symmetric: s = max(|minimum|, |maximum|)/P where P = 2^(bits−1) − 1, and z is 0 (signed) or 2^(bits−1)
        (unsigned). Affine: s = (maximum − minimum)/(qmax − qmin), z = clip(round(qmin − minimum/s)), computed in
        the dtype of the range: in float32 as ONNX DynamicQuantizeLinear, in float64 as ONNX Runtime's quantization
        tool (Jacob et al. 2018, eq. 1). torch's MinMaxObserver has max/127.5 for −128..127, this one max/127.
        An empty range (only zero) gets s = 1; a scale too small for float32 becomes its smallest normal number.
        Raises ValueError when minimum exceeds maximum, and for one symmetric bit, which has no positive code.
        """
        qmin, qmax = code_range(bits, signed, narrow_range)
        low, high = valid.real_array(minimum, "minimum"), valid.real_array(maximum, "maximum")
        if low.shape != high.shape or (low > high).any():
            raise ValueError(
                f"minimum={minimum!r} and maximum={maximum!r}: equal shapes and minimum ≤ maximum are needed"
            )
        kind = np.result_type(low, high, np.float32).type
        low, high = np.minimum(low, 0, dtype=kind), np.maximum(high, 0, dtype=kind)
        with np.errstate(over="ignore", under="ignore"):
            if valid.boolean(symmetric, "symmetric"):
                if bits == 1:
                    raise ValueError(
                        "bits=1 is not accepted with symmetric=True: it has no positive code; use 2 or more"
                    )
                scale = np.maximum(-low, high) / kind(2 ** (bits - 1) - 1)
            else:
                levels = kind(qmax - qmin)
                span = high - low
                scale = np.where(np.isfinite(span), span / levels, high / levels - low / levels)
            scale = np.maximum(scale.astype(np.float32), np.finfo(np.float32).tiny)
        scale = np.where((low == 0) & (high == 0), np.float32(1), scale)
        if symmetric:
            zero_point = np.full(scale.shape, 0 if signed else 2 ** (bits - 1), np.int32)
        else:
            zero_point = np.clip(np.rint(qmin - low / scale), qmin, qmax).astype(np.int32)
        return cls(scale, zero_point, bits, signed, narrow_range, **conventions)

    def quantize(self, x: ArrayLike) -> NDArray[Any]:
        """Codes of `x` in the shape of `x`, dtype `code_dtype`; values outside the range saturate.

        The quotient is computed in the dtype of `x`, at least float32: pass float32 values to get what an engine
        gets. Beside the codes it needs less than 1 MiB, whatever the size of `x`. Raises ValueError/TypeError for
        NaN, infinity, empty or non-real `x`, and for a shape that does not fit `scale`.
        """
        x = valid.real_array(x, finite=False)
        if self.zero_point_added == "fused" and x.dtype == np.float64:
            raise TypeError("x has dtype float64: zero_point_added='fused' is defined for float32 and float16")
        codes = np.empty(x.shape, self.code_dtype)
        kind = np.result_type(x, np.float32)
        # A fused multiply-add works in four arrays of float64.
        bytes_per_value = 32 if self.zero_point_added == "fused" else kind.itemsize
        scratch = np.empty(min(PIECE_BYTES // bytes_per_value, x.size), kind)
        rng = np.random.default_rng(self.seed) if self.rounding == "stochastic" else None
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for values, scale, zero_point, target in self._pieces(x, codes, scratch.size):
                # The sum of squares is the cheapest test that nothing is infinite or NaN; it may overflow by itself.
                if not math.isfinite(np.vdot(values, values)) and not np.isfinite(values).all():
                    valid.require_finite(x)
                q = scratch[: values.size].reshape(values.shape)
                self._real_codes(values, scale, zero_point, rng, out=q)
                np.copyto(target, q, casting="unsafe")
        return codes

    def dequantize(self, codes: ArrayLike) -> NDArray[np.float32]:
        """x̂ = s·(q − z) in float32, in the shape of `codes` (integers in qmin..qmax).

        Infinite where s·(q − z) exceeds float32. Raises TypeError for codes that are not integers, ValueError for
        codes outside qmin..qmax, and for a shape that does not fit `scale`.
        """
        q = valid.integer_codes(codes, self.qmin, self.qmax)
        x = np.empty(q.shape, np.float32)
        with np.errstate(over="ignore", under="ignore"):
            for values, scale, zero_point, target in self._pieces(q, x, PIECE_BYTES // 4):
                np.copyto(target, values)
                if self._shifted:
                    np.subtract(target, zero_point.astype(np.float32), out=target)
                np.multiply(target, scale, out=target)
        return x

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of `shape`: packed codes, 4 per scale and, unless every zero point is the symmetric
        one (0, or 2^(bits−1) for unsigned codes), 1 or 2 (above 8 bits) per zero point."""
        packed = math.ceil(math.prod(shape) * self.bits / 8)
        symmetric = (self.zero_point == (0 if self.signed else 2 ** (self.bits - 1))).all()
        per_zero_point = 0 if symmetric else self.code_dtype.itemsize
        return packed + self.scale.size * (4 + per_zero_point)

    def _real_codes(
        self,
        x: NDArray[Any],
        scale: NDArray[Any],
        zero_point: NDArray[Any],
        rng: np.random.Generator | None,
        out: NDArray[Any],
    ) -> None:
        """The formula on one piece: writes integers in qmin..qmax to the float array `out`."""
        kind = out.dtype.type
        if self.zero_point_added == "fused":
            np.copyto(out, fused_multiply_add(x, np.float32(1) / scale, zero_point))
        elif self.reciprocal:
            np.multiply(x, (np.float32(1) / scale).astype(kind), out=out)
        else:
            np.divide(x, scale.astype(kind, copy=False), out=out)
        if self.zero_point_added == "before":
            np.add(out, zero_point.astype(kind), out=out)
        round_in_place(out, self.rounding, rng)
        if self.zero_point_added == "after" and self._shifted:
            np.add(out, zero_point.astype(kind), out=out)
        out.clip(kind(self.qmin), kind(self.qmax), out=out)  # twice as fast as np.clip

    def _pieces(self, source: NDArray[Any], target: NDArray[Any], size: int) -> Iterator[tuple[NDArray[Any], ...]]:
        """(values, scale, zero_point, target) for views of at most `size` values; the scales broadcast to them."""
        view, shared_axes = as_groups(source, self.axis, self.group_size)
        shape = tuple(1 if axis in shared_axes else n for axis, n in enumerate(view.shape))
        wanted = () if self.axis is None else tuple(n for axis, n in enumerate(view.shape) if axis not in shared_axes)
        if self.scale.shape != wanted:
            raise ValueError(
                f"x has shape {source.shape}: with axis={self.axis} and group_size={self.group_size} it needs scales "
                f"of shape {wanted}, not {self.scale.shape}"
            )
        scale, zero_point = self.scale.reshape(shape), self.zero_point.reshape(shape)
        target_view = target.reshape(view.shape)
        for cut in cuts(view.shape, size):
            own = tuple(part if n > 1 else slice(None) for part, n in zip(cut, shape)) if scale.size > 1 else ()
            yield view[*cut, ...], scale[own], zero_point[own], target_view[*cut, ...]
