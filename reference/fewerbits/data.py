"""Loaders for the data that the course ships; every file is checked against its sha256 before it is read.

Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, https://github.com/zalandoresearch/fashion-mnist, MIT licence.
Nothing here downloads anything.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DATASETS = Path(__file__).resolve().parents[2] / "datasets"

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


class DataError(Exception):
    """A shipped file is missing, truncated or altered; the message says which and how to restore it."""


class FashionMNIST(NamedTuple):
    """One split: `images` (N, 28, 28) uint8, 0 = background, 255 = brightest; `labels` (N,) uint8 in 0..9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def load_fashion_mnist(split: str, datasets: Path | None = None) -> FashionMNIST:
    """Load the "train" (60,000) or "test" (10,000) images and labels as published.

    `datasets` is the folder that holds SHA256SUMS; by default the repository's own.
    Raises ValueError for another split and DataError when a file is not as published.
    """
    prefixes = {"train": "train", "test": "t10k"}
    if split not in prefixes:
        raise ValueError(f"split={split!r} does not exist: accepted are 'train' and 'test'")
    prefix = prefixes[split]
    images = _read_idx(f"fashion_mnist/{prefix}-images-idx3-ubyte.gz", datasets or DATASETS)
    labels = _read_idx(f"fashion_mnist/{prefix}-labels-idx1-ubyte.gz", datasets or DATASETS)
    return FashionMNIST(images, labels)


def to_float(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels as the networks read them: (N, 28, 28) uint8 to (N, 1, 28, 28) float32 in 0..1, x/255."""
    return np.divide(images[:, np.newaxis], np.float32(255), dtype=np.float32)


def load_weights(name: str, datasets: Path | None = None) -> dict[str, NDArray[np.float32]]:
    """The trained float32 weights of one network ("vgg32", "residual", "depthwise", "tiny") by array name.

    Names and shapes are those of the state dict of `fewerbits.network.model.SmallCNN`. The file is
    an npz without pickled objects. Raises DataError when it is not as shipped.
    """
    path = verified(f"weights/{name}.npz", datasets or DATASETS)
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def verified(relative: str, datasets: Path = DATASETS) -> Path:
    """The path of a shipped file, after its sha256 was compared with `datasets/SHA256SUMS`.

    Raises DataError saying which file, what was expected and found, and how to restore it.
    """
    expected = checksums(datasets).get(relative)
    if expected is None:
        known = ", ".join(sorted(checksums(datasets)))
        raise DataError(f"datasets/{relative} is not a shipped file; SHA256SUMS lists: {known}")
    path = datasets / relative
    restore = f"Restore it with:  git checkout -- datasets/{relative}"
    if not path.is_file():
        raise DataError(f"datasets/{relative} is missing from {datasets}. {restore}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DataError(
            f"datasets/{relative} is not the file as shipped: expected sha256 {expected}, "
            f"found {found} ({len(content):,} bytes). {restore}"
        )
    return path


def checksums(datasets: Path = DATASETS) -> dict[str, str]:
    """sha256 (hex) of each shipped file by its path below `datasets`."""
    listing = datasets / "SHA256SUMS"
    if not listing.is_file():
        raise DataError(
            f"{listing} is missing: fewerbits reads its data from a clone of the course. "
            "Run from a clone (pip install -e .), or restore it with:  git checkout -- datasets/"
        )
    pairs = (line.split(maxsplit=1) for line in listing.read_text().splitlines() if line.strip())
    return {name.strip(): digest for digest, name in pairs}


def _read_idx(relative: str, datasets: Path) -> NDArray[np.uint8]:
    """One IDX file of bytes (two zero bytes, type 0x08, number of dimensions, big-endian sizes, data)."""
    raw = gzip.decompress(verified(relative, datasets).read_bytes())
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">u4", count=dimensions, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy()
