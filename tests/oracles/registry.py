"""Comparisons with implementations that no one here wrote; each is a row of the matrix that `make verify` prints.

A comparison is a function that yields (ours, theirs) pairs of arrays. `expect="equal"` rows must agree bit for
bit (NaN equals NaN, −0 differs from +0 only for float arrays compared by their bits); `tolerance` allows a stated
absolute or relative difference, with its reason; `expect="differ"` rows document where two conventions or two
oracles legitimately disagree, and fail when they no longer do.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Pairs = Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class Row:
    """One comparison: what is compared, with whom, under which rule."""

    operation: str
    oracle: str
    rule: str
    pairs: Callable[[], Pairs]
    expect: str = "equal"
    tolerance: float = 0.0
    reason: str = ""
    requires: tuple[str, ...] = field(default=())
    slow: bool = False

    @property
    def missing(self) -> str | None:
        """The first module this row needs that is not installed, else None."""
        return next((name for name in self.requires if importlib.util.find_spec(name) is None), None)

    def count(self) -> tuple[int, int]:
        """(cases, mismatches) over all pairs."""
        cases = mismatches = 0
        for ours, theirs in self.pairs():
            ours, theirs = np.asarray(ours), np.asarray(theirs)
            if ours.shape != theirs.shape:
                raise AssertionError(f"{self.operation} against {self.oracle}: shapes {ours.shape} and {theirs.shape}")
            cases += ours.size
            mismatches += int(np.count_nonzero(~_agree(ours, theirs, self.tolerance)))
        return cases, mismatches


ROWS: list[Row] = []


def compare(
    operation: str,
    oracle: str,
    rule: str = "",
    *,
    expect: str = "equal",
    tolerance: float = 0.0,
    reason: str = "",
    requires: tuple[str, ...] = (),
    slow: bool = False,
) -> Callable[[Callable[[], Pairs]], Callable[[], Pairs]]:
    """Register the decorated generator of (ours, theirs) pairs as a row. A tolerance needs a reason.

    A `slow` row takes more than about a second: `make quick` leaves it out.
    """
    if expect not in ("equal", "differ") or (tolerance and not reason):
        raise ValueError("expect must be 'equal' or 'differ', and a tolerance needs a reason")

    def register(pairs: Callable[[], Pairs]) -> Callable[[], Pairs]:
        ROWS.append(Row(operation, oracle, rule, pairs, expect, tolerance, reason, requires, slow))
        return pairs

    return register


def all_rows() -> list[Row]:
    """Every row of every module beside this file whose name does not begin with `test_` or `_`."""
    package = __name__.rpartition(".")[0]
    folder = str(importlib.import_module(package).__path__[0])
    for module in sorted(info.name for info in pkgutil.iter_modules([folder])):
        if not module.startswith(("test_", "_")) and module != "registry":
            importlib.import_module(f"{package}.{module}")
    return ROWS


def _agree(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> np.ndarray:
    if ours.dtype.kind != "f" and theirs.dtype.kind != "f":
        return np.asarray(ours == theirs)
    both_nan = np.isnan(ours) & np.isnan(theirs)
    if tolerance:
        with np.errstate(invalid="ignore"):
            return both_nan | np.isclose(ours, theirs, rtol=tolerance, atol=tolerance)
    return both_nan | ((ours == theirs) & (np.signbit(ours) == np.signbit(theirs)))
