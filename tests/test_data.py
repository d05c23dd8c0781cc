"""The shipped data is as published, and a damaged file is named with the way to restore it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from fewerbits import data


@pytest.mark.parametrize(("split", "count"), [("train", 60_000), ("test", 10_000)])
def test_fashion_mnist_has_the_published_sizes_and_balanced_classes(split: str, count: int) -> None:
    images, labels = data.load_fashion_mnist(split)
    assert images.shape == (count, 28, 28)
    assert images.dtype == labels.dtype == np.uint8
    # The paper: ten classes, equally many images of each.
    assert np.bincount(labels).tolist() == [count // 10] * 10
    assert (images.min(), images.max()) == (0, 255)


@pytest.mark.slow
def test_published_statistics_of_the_training_pixels() -> None:
    # The mean and deviation that the field normalizes Fashion-MNIST with: 0.2860 and 0.3530.
    images = data.load_fashion_mnist("train").images / 255.0
    assert images.mean() == pytest.approx(0.2860, abs=5e-5)
    assert images.std() == pytest.approx(0.3530, abs=5e-5)


def test_to_float_gives_pixels_over_255() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    result = data.to_float(pixels)
    assert result.shape == (1, 1, 16, 16)
    assert result.dtype == np.float32
    assert np.array_equal(result.ravel(), (np.arange(256) / 255).astype(np.float32))


def test_every_listed_file_is_as_shipped() -> None:
    for relative in data.checksums():
        assert data.verified(relative).is_file()


def test_every_shipped_binary_is_listed() -> None:
    shipped = {str(path.relative_to(data.DATASETS).as_posix()) for path in data.DATASETS.glob("*/*.[gn][zp]*")}
    assert shipped == set(data.checksums())


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "datasets"
    shutil.copytree(data.DATASETS, folder)
    return folder


LABELS = "fashion_mnist/t10k-labels-idx1-ubyte.gz"


def test_missing_file_is_named_with_the_way_to_restore_it(copied: Path) -> None:
    (copied / LABELS).unlink()
    with pytest.raises(data.DataError, match=rf"{LABELS} is missing.*git checkout -- datasets/{LABELS}"):
        data.load_fashion_mnist("test", copied)


def test_truncated_file_is_named_with_its_size(copied: Path) -> None:
    path = copied / LABELS
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(data.DataError, match=rf"{LABELS} .*expected sha256 8d3605d1.*1,000 bytes.*git checkout"):
        data.load_fashion_mnist("test", copied)


def test_one_altered_byte_is_noticed(copied: Path) -> None:
    path = copied / "weights/vgg32.npz"
    content = bytearray(path.read_bytes())
    content[1234] ^= 1
    path.write_bytes(content)
    with pytest.raises(data.DataError, match=r"weights/vgg32\.npz is not the file as shipped"):
        data.load_weights("vgg32", copied)


def test_a_folder_without_checksums_says_that_a_clone_is_needed(tmp_path: Path) -> None:
    with pytest.raises(data.DataError, match=r"SHA256SUMS is missing.*clone"):
        data.load_fashion_mnist("test", tmp_path)


def test_weights_that_are_not_shipped_are_refused_with_the_list() -> None:
    with pytest.raises(data.DataError, match=r"weights/resnet50\.npz is not a shipped file.*vgg32"):
        data.load_weights("resnet50")


def test_weights_cannot_execute_code() -> None:
    # An npz of plain arrays loads without pickle; an object array would be refused.
    for array in data.load_weights("vgg32").values():
        assert array.dtype == np.float32


def test_another_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split='validation'"):
        data.load_fashion_mnist("validation")
