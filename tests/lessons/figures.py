"""Whether two pictures show the same: pixels of stored and of fresh figures, which nbval never compares."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BLOCK = 8
# A missing 1.5-point line darkens a block it crosses by about 34 of 255; another freetype's text by less than this.
MARGIN = 24.0
DIFFERING_BLOCKS = 0.003


def images_of(outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The PNG images (base64) among the outputs of a cell."""
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


def pixels(png: str) -> NDArray[np.float64]:
    """(height, width) brightness from 0 to 255 on a white page."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        page = Image.new("RGBA", image.size, "white")
        page.alpha_composite(image.convert("RGBA"))
        return np.asarray(page.convert("L"), np.float64)


def is_blank(png: str) -> bool:
    """Whether nothing is drawn: every pixel has the same brightness."""
    return bool(np.ptp(pixels(png)) == 0)


def look_alike(stored: str, fresh: str) -> bool:
    """Whether a reader would call them the same figure.

    Sizes may differ by 5 %. In blocks of 8×8 pixels, each block of one must lie between the darkest and the
    brightest of the nine blocks around it in the other, plus a margin: so text may move by a few pixels, as it does
    from one matplotlib to the next, but a curve may not be missing or run elsewhere.
    """
    first, second = pixels(stored), pixels(fresh)
    if any(abs(a - b) > 0.05 * a for a, b in zip(first.shape, second.shape)):
        return False
    height, width = first.shape
    with Image.fromarray(second.astype(np.uint8)) as image:
        second = np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float64)
    first, second = _block_means(first), _block_means(second)
    return bool(max(_outside(first, second), _outside(second, first)) <= DIFFERING_BLOCKS)


def _block_means(image: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = (size // BLOCK * BLOCK for size in image.shape)
    return image[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean(axis=(1, 3))


def _outside(blocks: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The share of `blocks` that lie outside the range of their neighbourhood in `other`."""
    padded = np.pad(other, 1, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    too_dark = blocks < around.min(axis=(2, 3)) - MARGIN
    too_bright = blocks > around.max(axis=(2, 3)) + MARGIN
    return float((too_dark | too_bright).mean())
