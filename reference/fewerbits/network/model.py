"""The float CNNs in PyTorch, and their weights on disk as plain arrays.

A network is built from its description in `architecture`; images are NCHW float32 in 0..1,
28×28 pixels with one channel, and the result is (N, 10) logits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fewerbits.network.architecture import INPUT, Layer, architecture


class SmallCNN(nn.Module):
    """A float network whose modules carry the names of the architecture's layers.

    A convolution `conv1` has its batch norm in `conv1_norm`. `forward` takes (N, 1, 28, 28) float32
    and returns (N, 10) float32 logits.
    """

    def __init__(self, name: str = "vgg32") -> None:
        super().__init__()
        self.name = name
        self.layers = architecture(name)
        for layer in self.layers:
            if layer.op == "conv":
                self.add_module(layer.name, _convolution(layer))
                self.add_module(f"{layer.name}_norm", nn.BatchNorm2d(layer.out_channels))
            elif layer.op == "linear":
                self.add_module(layer.name, nn.Linear(layer.in_channels, layer.out_channels))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        values = {INPUT: images}
        for layer in self.layers:
            values[layer.name] = self._run(layer, [values[name] for name in layer.inputs])
        return values[self.layers[-1].name]

    def _run(self, layer: Layer, inputs: list[torch.Tensor]) -> torch.Tensor:
        if layer.op == "conv":
            x = self.get_submodule(f"{layer.name}_norm")(self.get_submodule(layer.name)(inputs[0]))
            return torch.relu(x) if layer.relu else x
        if layer.op == "linear":
            module = self.get_submodule(layer.name)
            return torch_layer(layer, inputs, module.weight, module.bias)
        return torch_layer(layer, inputs)


def torch_layer(
    layer: Layer, inputs: list[torch.Tensor], weight: torch.Tensor | None = None, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """One layer of a folded network in PyTorch: the same function as `folding.float_layer`, with gradients."""
    x = inputs[0]
    if layer.op == "conv":
        assert weight is not None
        x = nn.functional.conv2d(x, weight, bias, layer.stride, layer.padding, groups=layer.groups)
    elif layer.op == "linear":
        assert weight is not None
        x = nn.functional.linear(x, weight, bias)
    elif layer.op == "max_pool":
        x = nn.functional.max_pool2d(x, 2)
    elif layer.op == "add":
        x = x + inputs[1]
    else:
        x = x.mean(dim=(2, 3))
    return torch.relu(x) if layer.relu else x


def _convolution(layer: Layer) -> nn.Conv2d:
    return nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
        bias=False,
    )


def save_weights(model: nn.Module, path: Path) -> None:
    """Write every parameter and running statistic of `model` to an npz file (no pickle)."""
    state = {key: value.numpy() for key, value in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    np.savez_compressed(path, **state)


def build_model(name: str, weights: dict[str, NDArray[np.float32]]) -> SmallCNN:
    """The named network with `weights` (arrays by state-dict name), in evaluation mode.

    Raises ValueError when an array is missing, unexpected or of the wrong shape.
    """
    model = SmallCNN(name)
    expected = {k: tuple(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    found = {key: value.shape for key, value in weights.items()}
    if expected != found:
        wrong = sorted(set(expected.items()) ^ set(found.items()))
        raise ValueError(f"weights do not fit network {name!r}: {wrong[:4]} differ in name or shape")
    model.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()}, strict=False)
    return model.eval()
