"""Convolution agrees with PyTorch's for every combination of kernel, stride, padding and groups that a CNN has."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from fewerbits.network.convolution import convolve

CASES = list(itertools.product((1, 3, 5), (1, 2), (0, 1, 2), (1, 2, 6)))


@pytest.mark.parametrize(("kernel", "stride", "padding", "groups"), CASES)
def test_convolution_is_that_of_torch(kernel: int, stride: int, padding: int, groups: int) -> None:
    # Small integers: every sum is exact in float32, so that the results must be equal, whatever the order.
    rng = np.random.default_rng(kernel)
    x = rng.integers(-8, 8, (2, 6, 9, 11)).astype(np.float32)
    w = rng.integers(-8, 8, (6, 6 // groups, kernel, kernel)).astype(np.float32)
    theirs = torch.nn.functional.conv2d(
        torch.from_numpy(x), torch.from_numpy(w), stride=stride, padding=padding, groups=groups
    )
    assert np.array_equal(convolve(x, w, stride, padding, groups), theirs.numpy())
