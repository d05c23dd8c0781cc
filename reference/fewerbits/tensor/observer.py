"""What every observer of data shares: it takes batches, joins with others, and yields a range and a quantizer.

An observer is a frozen record: `observe` and `merge` (or `+`) return a new one, so that the state before is never
lost and two observers of half the data each can be added. The kinds of observer are in `calibration`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid
from fewerbits.tensor.range_search import Conventions
from fewerbits.tensor.uniform import Uniform

Range = tuple[NDArray[Any], NDArray[Any]]


class Batch(NamedTuple):
    """Values with channels along the first axis, which of them are finite (None: all), the extremes of each channel.

    A channel without a finite value has the extremes +inf and −inf, which any value replaces.
    """

    values: NDArray[Any]
    finite: NDArray[np.bool_] | None
    minimum: NDArray[Any]
    maximum: NDArray[Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Observer(ABC):
    """What all observers share. `axis`: one range for each index of that axis; None: one for the whole tensor.

    `on_non_finite`: "refuse" raises ValueError at a NaN or infinity; "skip" leaves it out and counts it in `skipped`.
    Fields marked `compare=False` are what was seen; the others are settings, which two observers to merge must share.
    """

    axis: int | None = None
    on_non_finite: str = "refuse"
    skipped: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if self.axis is not None:
            valid.integer(self.axis, "axis", -64, 63)
        valid.one_of(self.on_non_finite, "on_non_finite", ("refuse", "skip"))

    @property
    @abstractmethod
    def channels(self) -> int:
        """How many ranges it keeps: 0 before the first batch, 1 per tensor."""

    @abstractmethod
    def _of(self, batch: Batch) -> Self:
        """An observer with these settings that has seen this one batch."""

    @abstractmethod
    def _join(self, other: Self) -> Self:
        """The observer of what both have seen, channel by channel."""

    @abstractmethod
    def _ranges(self, conventions: Conventions) -> Range:
        """(minimum, maximum), each of shape (channels,)."""

    def observe(self, batch: ArrayLike) -> Self:
        """A new observer that has also seen `batch`: real numbers of any shape that has `axis`.

        Raises TypeError for a dtype that is not real; ValueError for an empty batch, another number of channels than
        before, and NaN or infinity unless they are to be skipped.
        """
        x = valid.real_array(batch, "batch", finite=False)
        if x.dtype == np.float16:
            x = x.astype(np.float32)
        values = x[np.newaxis] if self.axis is None else np.moveaxis(x, valid.axis_of(self.axis, x.ndim), 0)
        others = tuple(range(1, values.ndim))
        finite = None
        # A NaN makes both extremes NaN and an infinity is one of them: data that is finite is read no third time.
        with np.errstate(invalid="ignore"):
            minimum, maximum = values.min(axis=others), values.max(axis=others)
        if not (np.isfinite(minimum).all() and np.isfinite(maximum).all()):
            if self.on_non_finite == "refuse":
                valid.require_finite(x, "batch")
            finite = np.isfinite(values)
            minimum = values.min(axis=others, where=finite, initial=np.inf)
            maximum = values.max(axis=others, where=finite, initial=-np.inf)
        seen = self._of(Batch(values, finite, minimum, maximum))
        return self.merge(replace(seen, skipped=0 if finite is None else int(np.count_nonzero(~finite))))

    def merge(self, other: Self) -> Self:
        """The observer of all that both have seen; for `MovingAverage`, what `other` saw comes after.

        Raises TypeError for another kind of observer, ValueError for other settings or another number of channels.
        """
        if type(other) is not type(self):
            raise TypeError(f"other={type(other).__name__} is not accepted: it must be a {type(self).__name__}")
        for setting in (setting.name for setting in fields(self) if setting.compare):
            if getattr(self, setting) != getattr(other, setting):
                wanted = f"it must be {getattr(self, setting)!r}, as here"
                raise ValueError(f"other.{setting}={getattr(other, setting)!r} is not accepted: {wanted}")
        if self.channels and other.channels and self.channels != other.channels:
            raise ValueError(
                f"batch or other has {other.channels} channels on axis={self.axis}: {self.channels} were seen before"
            )
        joined = self._join(other) if self.channels and other.channels else other if other.channels else self
        return replace(joined, skipped=self.skipped + other.skipped)

    __add__ = merge

    def range(self, bits: int = 8, *, symmetric: bool = True, signed: bool = True, narrow_range: bool = False) -> Range:
        """(minimum, maximum) for a quantizer of these conventions: shape () per tensor, (channels,) with `axis`.

        Raises ValueError when nothing was seen, or no finite value of some channel, and for bad conventions.
        """
        Uniform.from_range(0.0, 0.0, bits, symmetric=symmetric, signed=signed, narrow_range=narrow_range)
        if not self.channels:
            raise ValueError("observer has seen no batch: call observe(batch) first")
        minimum, maximum = self._ranges(Conventions(bits, symmetric, signed, narrow_range))
        if not np.isfinite(minimum).all():
            unseen = int(np.flatnonzero(~np.isfinite(minimum))[0])
            raise ValueError(f"observer has seen no finite value of channel {unseen}: at least one is needed")
        return (minimum.reshape(()), maximum.reshape(())) if self.axis is None else (minimum, maximum)

    def fit(
        self,
        bits: int = 8,
        *,
        symmetric: bool = True,
        signed: bool = True,
        narrow_range: bool = False,
        **conventions: Any,
    ) -> Uniform:
        """The uniform quantizer of the chosen range; `conventions` are further fields of `Uniform`."""
        minimum, maximum = self.range(bits, symmetric=symmetric, signed=signed, narrow_range=narrow_range)
        return Uniform.from_range(
            minimum,
            maximum,
            bits,
            symmetric=symmetric,
            signed=signed,
            narrow_range=narrow_range,
            axis=self.axis,
            **conventions,
        )
