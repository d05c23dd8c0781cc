"""The architectures have the published sizes, and shipped weights load into them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fewerbits import data
from fewerbits.network.architecture import ARCHITECTURES, architecture
from fewerbits.network.model import SmallCNN, build_model, save_weights
from fewerbits.network.train import accuracy, augment

SHIPPED = sorted(name.split("/")[1][:-4] for name in data.checksums() if name.startswith("weights/"))


def test_vgg32_has_six_3x3_convolutions_and_288_thousand_parameters() -> None:
    convolutions = [layer for layer in architecture("vgg32") if layer.op == "conv"]
    assert [(layer.kernel, layer.out_channels) for layer in convolutions] == [
        (3, w) for w in (32, 32, 64, 64, 128, 128)
    ]
    # By hand: 9·(1·32 + 32·32 + 32·64 + 64·64 + 64·128 + 128·128), 2 per batch norm channel, 129·10 at the end.
    assert sum(parameter.numel() for parameter in SmallCNN("vgg32").parameters()) == 285_984 + 896 + 1_290


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_layer_reads_what_exists_and_fits(name: str) -> None:
    channels = {"image": 1}
    for layer in architecture(name):
        assert [channels[source] for source in layer.inputs] == [layer.in_channels] * len(layer.inputs)
        channels[layer.name] = layer.out_channels
    assert channels["logits"] == 10


def test_weights_survive_a_round_trip(tmp_path) -> None:
    model = SmallCNN("tiny").eval()
    save_weights(model, tmp_path / "tiny.npz")
    with np.load(tmp_path / "tiny.npz", allow_pickle=False) as archive:
        again = build_model("tiny", dict(archive))
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(model(images), again(images))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_score_what_their_log_says(name: str, test_images, test_labels) -> None:
    log = (data.DATASETS / "weights" / f"{name}.log").read_text()
    logged = float(log.split("test accuracy ")[1])
    model = build_model(name, data.load_weights(name))
    measured = accuracy(model, torch.from_numpy(test_images), torch.from_numpy(test_labels))
    # Another CPU may break a near tie differently.
    assert measured == pytest.approx(logged, abs=0.0005)


def test_augmentation_shifts_and_flips_without_changing_the_pixels_inside() -> None:
    images = torch.zeros(200, 1, 28, 28)
    images[:, 0, 10:18, 8:20] = torch.arange(96, dtype=torch.float32).reshape(8, 12) + 1
    generator = torch.Generator().manual_seed(0)
    result = augment(images, generator)
    assert result.shape == images.shape
    assert torch.equal(result.sum(dim=(1, 2, 3)), images.sum(dim=(1, 2, 3)))
    rows = {int(row) for row in (result.amax(dim=(1, 3)) > 0).int().argmax(1)}
    assert rows == {8, 9, 10, 11, 12}
    flipped = sum(float(image[0, image[0].amax(1).argmax()].argmax()) < 14 for image in result)
    assert 60 < flipped < 140
