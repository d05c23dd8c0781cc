"""Checks of arguments, shared by every floor: a wrong one is refused by name, value and what is accepted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def real_array(x: ArrayLike, name: str = "x", *, finite: bool = True) -> NDArray[Any]:
    """`x` as a non-empty array of float16, float32 or float64; integers become float32 or float64, exactly.

    Raises TypeError for complex, boolean, object and text dtypes, ValueError for an empty array and, unless
    `finite` is false, for NaN or infinity. A float array is returned as it is, not copied.
    """
    array = _array(x, name)
    if array.dtype.kind in "iu":
        array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    elif array.dtype not in (np.float16, np.float32, np.float64):
        raise TypeError(f"{name} has dtype {array.dtype}: accepted are float16, float32, float64 and integers")
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}): at least one value is needed")
    if finite:
        require_finite(array, name)
    return array


def require_finite(array: NDArray[Any], name: str = "x") -> None:
    """Raise ValueError naming the first NaN or infinity of a float array."""
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = f"at index {index}" if index else "as its only value"
        raise ValueError(f"{name} holds {array[index]} {where}: only finite values are accepted")


def integer_codes(codes: ArrayLike, low: int, high: int, name: str = "codes") -> NDArray[Any]:
    """`codes` as an integer array whose values lie in low..high.

    Raises TypeError for a dtype that is not an integer and ValueError for an empty array or a value outside.
    """
    array = _array(codes, name)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}: accepted are integers in {low}..{high}")
    if array.size == 0:
        raise ValueError(f"{name} is empty (shape {array.shape}): at least one code is needed")
    limits = np.iinfo(array.dtype)
    if (limits.min < low and array.min() < low) or (limits.max > high and array.max() > high):
        raise ValueError(f"{name} reach from {array.min()} to {array.max()}: accepted are {low}..{high}")
    return array


def integer(value: Any, name: str, low: int, high: int | None = None) -> int:
    """`value` as an int in low..high (no upper limit when `high` is None); a bool is not an integer here."""
    accepted = f"an integer from {low} to {high}" if high is not None else f"an integer of at least {low}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}={value!r} is not accepted: it must be {accepted}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}={value!r} is out of range: it must be {accepted}")
    return int(value)


def real(value: Any, name: str, *, above: float | None = None, low: float = -np.inf, high: float = np.inf) -> float:
    """`value` as a finite float in low..high, and strictly greater than `above` when that is given."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name}={value!r} is not accepted: it must be a real number")
    if not np.isfinite(value):
        raise ValueError(f"{name}={value!r} is not accepted: it must be finite")
    if above is not None and value <= above:
        raise ValueError(f"{name}={value!r} is out of range: it must be greater than {above}")
    if not low <= value <= high:
        raise ValueError(f"{name}={value!r} is out of range: it must lie in {low}..{high}")
    return float(value)


def boolean(value: Any, name: str) -> bool:
    """`value` as a bool; raises TypeError for anything else (0 and 1 included)."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r} is not accepted: it must be True or False")
    return bool(value)


def one_of(value: Any, name: str, accepted: Collection[str]) -> str:
    """`value` when it is one of the accepted words; raises ValueError listing them otherwise."""
    if not isinstance(value, str) or value not in accepted:
        raise ValueError(f"{name}={value!r} is not known: accepted are {', '.join(repr(word) for word in accepted)}")
    return value


def axis_of(axis: Any, ndim: int, name: str = "axis") -> int:
    """`axis` as a non-negative index into `ndim` dimensions; negative ones count from the end."""
    if ndim == 0:
        raise ValueError(f"{name}={axis!r} is not accepted for a scalar: it has no axes")
    return integer(axis, name, -ndim, ndim - 1) % ndim


def _array(values: ArrayLike, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} is not an array: nested lists must be of equal length") from error
