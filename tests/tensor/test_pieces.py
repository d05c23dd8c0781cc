"""Dividing an array loses nothing, repeats nothing and keeps every piece small."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.tensor.pieces import as_groups, cuts


@pytest.mark.parametrize(
    "shape",
    [(), (1,), (7,), (100,), (101,), (3, 70), (70, 3), (250, 2, 3), (5, 1, 300, 2), (2, 3, 4), (1, 1, 1), (5, 150)],
)
def test_cuts_visit_each_value_once(shape: tuple[int, ...]) -> None:
    visits = np.zeros(shape, int)
    for cut in cuts(shape, 100):
        piece = visits[*cut, ...]
        assert 1 <= piece.size <= 100
        assert piece.flags.c_contiguous
        piece += 1
    assert (visits == 1).all()


def test_cuts_are_not_needlessly_small() -> None:
    assert len(list(cuts((1000, 10), 100))) == 100
    assert len(list(cuts((99,), 100))) == 1


def test_groups_are_a_view_and_share_one_axis() -> None:
    x = np.arange(24.0).reshape(2, 12)
    for source in (x, x.T.copy().T):
        view, shared = as_groups(source, 1, 4)
        assert view.shape == (2, 3, 4)
        assert shared == (2,)
        assert np.shares_memory(view, source)
        np.testing.assert_array_equal(view[1, 2], [20, 21, 22, 23])


def test_an_axis_shares_all_others() -> None:
    x = np.zeros((2, 3, 4))
    assert as_groups(x, None)[1] == (0, 1, 2)
    assert as_groups(x, 1)[1] == (0, 2)
    assert as_groups(x, -1)[1] == (0, 1)
