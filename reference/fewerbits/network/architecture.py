"""The course's small CNNs as data: a network is a tuple of layers, each naming what it reads.

The same description builds the float model in PyTorch, the folded network, the integer network
and the exported ONNX graph, so that all four have one shape and one set of names.
"""

from __future__ import annotations

from dataclasses import dataclass

INPUT = "image"
NUM_CLASSES = 10


@dataclass(frozen=True)
class Layer:
    """One operation: its name, what it reads, and its shape parameters.

    `op` is "conv", "linear", "max_pool" (kernel and stride 2), "add" (two inputs) or
    "global_average_pool". A "conv" has no bias of its own: batch norm follows it and supplies one.
    `relu` says that a ReLU follows (after batch norm, after the addition).
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    in_channels: int = 0
    out_channels: int = 0
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    relu: bool = False

    @property
    def padding(self) -> int:
        """Zeros added on each side, so that stride 1 keeps the image size."""
        return self.kernel // 2

    @property
    def has_weights(self) -> bool:
        return self.op in ("conv", "linear")


class _Builder:
    """Appends layers, remembering the last output and its channels."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.last = INPUT
        self.channels = 1

    def add(self, layer: Layer) -> str:
        self.layers.append(layer)
        self.last, self.channels = layer.name, layer.out_channels
        return layer.name

    def conv(
        self, out_channels: int, kernel: int = 3, stride: int = 1, groups: int = 1, relu: bool = True, source: str = ""
    ) -> str:
        name = f"conv{1 + sum(layer.op == 'conv' for layer in self.layers)}"
        source = source or self.last
        in_channels = self.channels_of(source)
        return self.add(Layer(name, "conv", (source,), in_channels, out_channels, kernel, stride, groups, relu))

    def max_pool(self) -> str:
        name = f"pool{1 + sum(layer.op == 'max_pool' for layer in self.layers)}"
        return self.add(Layer(name, "max_pool", (self.last,), self.channels, self.channels, kernel=2, stride=2))

    def residual_block(self, out_channels: int, stride: int = 1) -> str:
        source = self.last
        self.conv(out_channels, stride=stride)
        branch = self.conv(out_channels, relu=False)
        if stride != 1 or self.channels_of(source) != out_channels:
            source = self.conv(out_channels, kernel=1, stride=stride, relu=False, source=source)
        name = f"add{1 + sum(layer.op == 'add' for layer in self.layers)}"
        return self.add(Layer(name, "add", (branch, source), out_channels, out_channels, relu=True))

    def depthwise_block(self, out_channels: int, stride: int = 1) -> str:
        self.conv(self.channels, stride=stride, groups=self.channels)
        return self.conv(out_channels, kernel=1)

    def classifier(self) -> tuple[Layer, ...]:
        self.add(Layer("mean", "global_average_pool", (self.last,), self.channels, self.channels))
        self.add(Layer("logits", "linear", (self.last,), self.channels, NUM_CLASSES))
        return tuple(self.layers)

    def channels_of(self, name: str) -> int:
        return 1 if name == INPUT else next(layer.out_channels for layer in self.layers if layer.name == name)


def _vgg(*widths: int) -> tuple[Layer, ...]:
    """Two 3×3 convolutions at each width, max pooling between widths."""
    net = _Builder()
    for index, width in enumerate(widths):
        if index:
            net.max_pool()
        net.conv(width)
        net.conv(width)
    return net.classifier()


def _residual() -> tuple[Layer, ...]:
    net = _Builder()
    net.conv(32)
    net.residual_block(32)
    net.residual_block(64, stride=2)
    net.residual_block(128, stride=2)
    return net.classifier()


def _depthwise() -> tuple[Layer, ...]:
    net = _Builder()
    net.conv(32)
    net.depthwise_block(64, stride=2)
    net.depthwise_block(128)
    net.depthwise_block(128)
    net.depthwise_block(256, stride=2)
    net.depthwise_block(256)
    return net.classifier()


def _tiny() -> tuple[Layer, ...]:
    net = _Builder()
    net.conv(16)
    net.max_pool()
    net.conv(32)
    net.max_pool()
    net.conv(64)
    return net.classifier()


ARCHITECTURES: dict[str, tuple[Layer, ...]] = {
    "vgg32": _vgg(32, 64, 128),
    "residual": _residual(),
    "depthwise": _depthwise(),
    "tiny": _tiny(),
}


def architecture(name: str) -> tuple[Layer, ...]:
    """The layers of the named network, in the order in which they run.

    Raises ValueError naming the known networks when there is none of that name.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"name={name!r} is not a network of the course: accepted are {sorted(ARCHITECTURES)}")
    return ARCHITECTURES[name]
