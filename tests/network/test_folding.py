"""Folding batch norm changes nothing that float32 can tell, and the NumPy network is the PyTorch network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fewerbits import data
from fewerbits.network.architecture import ARCHITECTURES
from fewerbits.network.folding import fold, max_pool
from fewerbits.network.model import SmallCNN


def random_model(name: str) -> SmallCNN:
    """A network with random weights and random, uneven batch norm statistics."""
    torch.manual_seed(1)
    model = SmallCNN(name).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
            module.running_mean.normal_()
            module.running_var.uniform_(0.1, 3)
    return model


def arrays(model: SmallCNN) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in model.state_dict().items() if not key.endswith("tracked")}


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_folded_network_gives_the_logits_of_the_torch_model(name: str) -> None:
    model = random_model(name)
    images = np.random.default_rng(2).random((3, 1, 28, 28), np.float32)
    with torch.inference_mode():
        expected = model(torch.from_numpy(images)).numpy()
    got = fold(name, arrays(model)).run(images)["logits"]
    assert np.abs(got - expected).max() <= 2e-5 * np.abs(expected).max()


def test_folding_leaves_the_accuracy_of_the_shipped_network(vgg32, test_images, test_labels) -> None:
    assert (vgg32.run(test_images[:500])["logits"].argmax(1) == test_labels[:500]).mean() > 0.9


def test_every_value_is_there_to_look_at(vgg32, test_images) -> None:
    values = vgg32.run(test_images[:2])
    assert list(values) == ["image", *(layer.name for layer in vgg32.layers)]
    assert values["conv1"].shape == (2, 32, 28, 28)
    assert values["mean"].shape == (2, 128)
    assert values["logits"].shape == (2, 10)


def test_max_pool_is_that_of_torch() -> None:
    x = np.random.default_rng(3).normal(size=(2, 3, 9, 8)).astype(np.float32)
    assert np.array_equal(max_pool(x), torch.nn.functional.max_pool2d(torch.from_numpy(x), 2).numpy())


def test_a_missing_array_is_named() -> None:
    state = dict(data.load_weights("vgg32"))
    del state["conv3_norm.running_var"]
    with pytest.raises(ValueError, match=r"state has no array 'conv3_norm\.running_var'"):
        fold("vgg32", state)


def test_an_unknown_layer_is_refused_with_the_list(vgg32) -> None:
    with pytest.raises(ValueError, match=r"name='conv9'.*conv1"):
        vgg32.layer("conv9")
