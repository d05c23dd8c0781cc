"""Windows over images: how many there are, and that unrolling puts each into its column."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.network.windows import images_first, unrolled, window_geometry


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [(28, 3, 1, 1, 28), (28, 3, 2, 1, 14), (7, 2, 2, 0, 3), (5, 5, 1, 0, 1)],
)
def test_output_sizes_are_those_of_the_formula(
    size: int, kernel: int, stride: int, padding: int, expected: int
) -> None:
    assert window_geometry((size, size), (kernel, kernel), stride, padding) == ((padding,) * 4, (expected, expected))


def test_four_paddings_are_top_left_bottom_right() -> None:
    assert window_geometry((4, 5), (2, 2), 1, (1, 2, 3, 4)) == ((1, 2, 3, 4), (7, 10))


def test_each_column_is_one_window_and_images_come_back_first() -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 6, 5)).astype(np.uint8)
    padded = np.pad(x.astype(np.float32) - 128, ((0, 0), (0, 0), (1, 0), (2, 1)), constant_values=9)
    seen = 0
    for images, columns in unrolled(x, (1, 3, 3, 2), 2, (1, 2, 0, 1), np.float32, border=9, lowered_by=128):
        windows = images_first(columns, (3, 4))  # (images, C·K_h·K_w, H', W')
        for i, j in ((0, 0), (1, 3), (2, 1)):
            expected = padded[images, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 2].reshape(len(windows), -1)
            assert np.array_equal(windows[:, :, i, j], expected)
        seen += len(windows)
    assert seen == 40
