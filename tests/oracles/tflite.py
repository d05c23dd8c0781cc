"""Layers and a whole small network in int8 against tflite_micro, which requantizes by the gemmlowp rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from fewerbits.network.arithmetic import add_bias, integer_conv2d, integer_matmul
from fewerbits.network.operations import max_pool2d
from fewerbits.network.requantize import output_multiplier, requantize

from tests.oracles.registry import Pairs, compare

TFLITE = ("tflite_micro", "flatbuffers")
RULE = "RoundingDivideByPOT(SRDHM(acc, M0), n), m in float64"


def codes(rng: np.random.Generator, *shape: int, low: int = -128) -> Any:
    return rng.integers(low, 128, shape).astype(np.int8)


class Layer:
    """Random weights (O, C/groups, K, K) and scales per output channel for one layer, and our integers for it."""

    def __init__(
        self, rng: np.random.Generator, shape: tuple[int, int, int, int], s_x: Any, z_x: int, **how: Any
    ) -> None:
        self.w = codes(rng, *shape, low=-127)
        self.bias = rng.integers(-2000, 2000, shape[0]).astype(np.int32)
        self.s_x, self.z_x = s_x, z_x
        self.s_w = rng.uniform(0.002, 0.02, shape[0]).astype(np.float32)
        terms = int(np.prod(shape[1:]))
        self.s_y = np.float32(s_x * self.s_w.mean() * 73 * 60 * np.sqrt(terms) / 50)
        self.z_y = int(rng.integers(-128, 128))
        self.how = {"stride": 1, "same": True, "relu": False, "groups": 1} | how

    def run(self, x: Any) -> Any:
        """x (N, C, H, W) int8 to (N, O, H', W')."""
        padding = (0, 0, 0, 0)
        if self.how["same"]:
            padding = self._padding(x.shape)
        accumulators = integer_conv2d(x, self.w, self.z_x, 0, self.how["stride"], padding, self.how["groups"])
        multiplier = output_multiplier(self.s_x, self.s_w, self.s_y, "float64")
        low = self.z_y if self.how["relu"] else -128
        total = add_bias(accumulators, self.bias)
        return requantize(total, multiplier, self.z_y, low, 127, "gemmlowp", dtype=np.int8)

    def add_to(self, model: Any) -> None:
        """Append the same layer to a TensorFlow Lite model."""
        from tests.oracles._tflite_models import SAME, VALID

        depthwise = self.how["groups"] > 1
        w = self.w.transpose(1, 2, 3, 0) if depthwise else self.w.transpose(0, 2, 3, 1)
        how = {"stride": self.how["stride"], "padding": SAME if self.how["same"] else VALID, "relu": self.how["relu"]}
        weights = np.ascontiguousarray(w)
        model.conv(weights, self.bias, self.s_x, self.s_w, self.s_y, self.z_y, depthwise=depthwise, **how)

    def _padding(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        from tests.oracles._tflite_models import same_padding

        (top, bottom), (left, right) = (same_padding(size, self.w.shape[2], self.how["stride"]) for size in shape[2:])
        return top, left, bottom, right


def one_layer(
    rng: np.random.Generator, x_shape: tuple[int, int, int, int], w_shape: Any, **how: Any
) -> tuple[Any, Any]:
    """(our codes, tflite_micro's) of one random layer on a random input, channels first."""
    from tests.oracles._tflite_models import Model

    x, z_x = codes(rng, *x_shape), int(rng.integers(-128, 128))
    layer = Layer(rng, w_shape, np.float32(rng.uniform(0.01, 0.1)), z_x, **how)
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    model = Model(channels_last.shape, layer.s_x, z_x)
    layer.add_to(model)
    return layer.run(x), model.run(channels_last).transpose(0, 3, 1, 2)


@compare("fully connected", "tflite_micro", RULE, requires=TFLITE)
def fully_connected() -> Pairs:
    from tests.oracles._tflite_models import Model

    for index, (count, terms, outputs) in enumerate([(256, 64, 200), (100, 333, 64), (1, 2000, 10), (300, 1, 100)] * 2):
        rng = np.random.default_rng(index)
        x, w = codes(rng, count, terms), codes(rng, outputs, terms, low=-127)
        bias = rng.integers(-9000, 9000, outputs).astype(np.int32)
        s_x, s_w = np.float32(rng.uniform(0.01, 0.1)), np.float32(rng.uniform(0.002, 0.02))
        z_x, z_y = (int(zero) for zero in rng.integers(-128, 128, 2))
        s_y = np.float32(s_x * s_w * 73 * 80 * np.sqrt(terms) / 50)
        model = Model(x.shape, s_x, z_x)
        model.fully_connected(w, bias, s_x, s_w, s_y, z_y, relu=index > 3)
        total = add_bias(integer_matmul(x, w.T, z_x), bias)
        low = z_y if index > 3 else -128
        multiplier = output_multiplier(s_x, s_w, s_y, "float64")
        yield requantize(total, multiplier, z_y, low, 127, "gemmlowp", dtype=np.int8), model.run(x)


@compare("conv2d", "tflite_micro", f"{RULE}, per channel", requires=TFLITE)
def convolution() -> Pairs:
    for index in range(12):
        rng = np.random.default_rng(index)
        kernel, stride = (3, 1, 5, 3)[index % 4], 1 + index % 2
        x_shape = (2 + index % 3, (1, 8, 16)[index % 3], 14 + index, 17)
        w_shape = ((16, 24)[index % 2], x_shape[1], kernel, kernel)
        yield one_layer(rng, x_shape, w_shape, stride=stride, same=index % 3 > 0, relu=index % 5 > 2)


@compare("depthwise conv2d", "tflite_micro", f"{RULE}, per channel", requires=TFLITE)
def depthwise_convolution() -> Pairs:
    for index in range(12):
        rng = np.random.default_rng(index)
        kernel, stride, channels = (3, 5)[index % 2], 1 + index // 2 % 2, (3, 8, 33)[index % 3]
        how = {"stride": stride, "same": index % 3 > 0, "relu": index % 5 > 2, "groups": channels}
        yield one_layer(rng, (3, channels, 15 + index, 16), (channels, 1, kernel, kernel), **how)


@compare("whole network", "tflite_micro", "conv, depthwise, max pool, conv, fully connected", requires=TFLITE)
def whole_network() -> Pairs:
    """A small CNN on images of 28×28, 10 outputs: nothing but integers from the first code to the last."""
    from tests.oracles._tflite_models import Model

    for index in range(4):
        rng = np.random.default_rng(index)
        x = codes(rng, 40, 1, 28, 28)
        first = Layer(rng, (8, 1, 3, 3), np.float32(1 / 255), -128, relu=True)
        second = Layer(rng, (8, 1, 3, 3), first.s_y, first.z_y, groups=8, stride=1 + index % 2, relu=True)
        third = Layer(rng, (16, 8, 3, 3), second.s_y, second.z_y, same=False)
        pooled = max_pool2d(second.run(first.run(x)))
        features = third.run(pooled).transpose(0, 2, 3, 1).reshape(len(x), -1)  # channels last, as TFLite flattens
        w = codes(rng, 10, features.shape[1], low=-127)
        bias = rng.integers(-2000, 2000, 10).astype(np.int32)
        s_w, s_y = np.float32(0.01), np.float32(third.s_y * 0.01 * 73 * 60 * np.sqrt(features.shape[1]) / 50)
        multiplier = output_multiplier(third.s_y, s_w, s_y, "float64")
        total = add_bias(integer_matmul(features, w.T, third.z_y), bias)
        ours = requantize(total, multiplier, 5, -128, 127, "gemmlowp")

        model = Model((len(x), 28, 28, 1), first.s_x, -128)
        first.add_to(model)
        second.add_to(model)
        model.max_pool(2, second.s_y, second.z_y)
        third.add_to(model)
        model.fully_connected(w, bias, third.s_y, s_w, s_y, 5)
        yield ours, model.run(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
