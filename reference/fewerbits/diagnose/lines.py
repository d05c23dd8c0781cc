"""Codes of another scale: which factors of the scale give all codes, if any does; for a tensor, or channel by channel.

Each code q of a value x allows the factors f with q − ½ ≤ f·x/s + z ≤ q + ½ (one side only at an end of the codes).
A factor that all allow explains the codes; a line that merely passes near them does not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fewerbits.diagnose.case import Array, Case

# Below this many values a factor and a zero point explain nearly anything.
LEAST_VALUES = 8


class Line(NamedTuple):
    """Factors low..high of x/s that give all codes together with a zero point `offset` from the one given."""

    low: float
    high: float
    offset: int

    @property
    def times(self) -> float:
        """How many times the scale given the codes' own scale is."""
        return 2 / (self.low + self.high)


def line_of(case: Case) -> Line | None:
    """The factors of the scale that give all codes of a case; None when there is none."""
    inside = (case.codes > case.codes.min()) & (case.codes < case.codes.max())
    relative = case.codes - np.broadcast_to(case.zero_point, case.x.shape)
    steps, codes = case.steps[inside], relative[inside]
    if codes.size < LEAST_VALUES or np.ptp(codes) == 0 or np.ptp(steps) == 0:
        return None
    with np.errstate(all="ignore"):
        _, intercept = np.polyfit(steps, codes, 1)
        if not np.isfinite(intercept) or abs(intercept) > 2.0**17:
            return None
        for offset in sorted(range(round(intercept) - 1, round(intercept) + 2), key=abs):
            low, high = _factors(case, relative - offset)
            if low <= high and np.isfinite(low + high) and low * high > 0:
                return Line(low, high, offset)
    return None


def _factors(case: Case, relative: Array) -> tuple[float, float]:
    """The least and the largest factor that every value allows."""
    qmin, qmax = case.ends
    # A narrow range ends one code higher.
    first = qmin + 1 if case.signed and case.codes.min() > qmin else qmin
    room = 0.5 + (np.abs(relative) + np.abs(case.zero_point) + 1) * 2.0**-20
    least = np.where(case.codes <= first, -np.inf, relative - room)
    most = np.where(case.codes >= qmax, np.inf, relative + room)
    zero = case.steps == 0
    if ((least > 0) | (most < 0))[zero].any():
        return np.inf, -np.inf
    steps, least, most = case.steps[~zero], least[~zero], most[~zero]
    bounds = np.where(steps > 0, least / steps, most / steps), np.where(steps > 0, most / steps, least / steps)
    return float(bounds[0].max(initial=-np.inf)), float(bounds[1].min(initial=np.inf))


def permuted(lines: list[Line], scales: Array) -> bool:
    """Whether the scales of these channels, in another order, are those that made their codes.

    Points to intervals: each scale, from the smallest, takes the free interval that holds it and ends first.
    """
    if len(lines) < 2 or any(line.offset or line.low <= 0 for line in lines):
        return False
    slack = 1 + 2.0**-20
    free = [(scale / line.high / slack, scale / line.low * slack) for line, scale in zip(lines, scales)]
    for scale in np.sort(scales):
        holding = [interval for interval in free if interval[0] <= scale <= interval[1]]
        if not holding:
            return False
        free.remove(min(holding, key=lambda interval: interval[1]))
    return True
