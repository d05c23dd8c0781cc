"""Checks of arguments let through exactly what they say; what they refuse is in `tests/bad_input`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fewerbits.tensor import validation as valid


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_arrays_are_returned_as_they_are(dtype: type[Any]) -> None:
    x = np.ones(3, dtype)
    assert valid.real_array(x) is x


@pytest.mark.parametrize(
    ("value", "kind"),
    [(np.int8(-128), np.float32), (np.uint16(65535), np.float32), (np.int32(2**24 + 1), np.float64), (3, np.float64)],
)
def test_integers_become_floats_exactly(value: Any, kind: type[Any]) -> None:
    array = valid.real_array(value)
    assert array.dtype == kind
    assert int(array) == int(value)


def test_codes_at_the_limits_are_accepted_and_beyond_them_refused() -> None:
    for dtype in (np.int8, np.int64):
        codes = np.array([-4, 3], dtype)
        assert valid.integer_codes(codes, -4, 3) is codes
        for outside in (-5, 4):
            with pytest.raises(ValueError, match=r"accepted are -4\.\.3"):
                valid.integer_codes(np.array([0, outside], dtype), -4, 3)


def test_numbers_at_the_limits_are_accepted() -> None:
    assert valid.integer(np.int16(4), "n", 1, 4) == 4
    assert type(valid.integer(np.int16(4), "n", 1, 4)) is int
    assert valid.integer(1, "n", 1) == 1
    assert valid.real(2, "a", low=2, high=2) == 2
    assert type(valid.real(np.float32(2), "a")) is float
    assert valid.real(np.nextafter(0, 1), "a", above=0) > 0
    assert valid.boolean(np.True_, "b") is True
    assert valid.one_of("b", "word", ("a", "b")) == "b"


def test_negative_axes_count_from_the_end() -> None:
    assert [valid.axis_of(axis, 3) for axis in (0, 2, -1, -3)] == [0, 2, 2, 0]
