"""Whole networks: every integer of every layer against the integers that ONNX Runtime executes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fewerbits import data
from fewerbits.deploy import engines, export
from fewerbits.network import integer_network
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import fold
from fewerbits.network.quantized import QuantizedNetwork, calibrate, quantize_network

from tests.oracles.registry import Pairs, compare

CALIBRATION_IMAGES = 500
SOME_IMAGES = 300


def network(name: str, **options: Any) -> QuantizedNetwork:
    folded = fold(name, data.load_weights(name))
    images = data.to_float(data.load_fashion_mnist("train").images[:CALIBRATION_IMAGES])
    return quantize_network(folded, calibrate(folded, images, title=""), **options)


def values_of(quantized: QuantizedNetwork, count: int) -> Iterator[tuple[Any, Any]]:
    """(ours, the engine's) codes of every value, logits included, for the first `count` test images."""
    engine = engines.OnnxRuntime(export.qdq_model(quantized, expose_codes=True))
    images = data.to_float(data.load_fashion_mnist("test").images[:count])
    for ours, theirs in over_batches(lambda x: (integer_network.run(quantized, x), engine.outputs(x)), images):
        for name, codes in ours.items():
            yield codes, theirs[name if name == quantized.output else f"{name}_codes"]


# Full 8-bit weights with uint8 activations saturate on x86 without VNNI; there 7 bits are the exact case.
U8S8_BITS = 7 if engines.engine_saturates() else 8


@compare("vgg32: every value, u8×u8, 10,000 images", "onnxruntime", "float32 multiplier, half to even", slow=True)
def vgg32_unsigned() -> Pairs:
    yield from values_of(network("vgg32", signed_weights=False), 10_000)


@compare("vgg32: every value, s8×s8, 10,000 images", "onnxruntime", "float32 multiplier, half to even", slow=True)
def vgg32_signed() -> Pairs:
    yield from values_of(network("vgg32", signed_activations=True), 10_000)


@compare(
    f"vgg32: every value, u8×s8, {U8S8_BITS}-bit weights", "onnxruntime", "float32 multiplier, half to even", slow=True
)
def vgg32_mixed() -> Pairs:
    yield from values_of(network("vgg32", weight_bits=U8S8_BITS), SOME_IMAGES)


@compare("vgg32: every value, per tensor", "onnxruntime", "float32 multiplier, half to even", slow=True)
def vgg32_per_tensor() -> Pairs:
    yield from values_of(network("vgg32", signed_weights=False, per_channel=False), SOME_IMAGES)


@compare("tiny: every value, u8×s8, 4-bit weights", "onnxruntime", "float32 multiplier, half to even", slow=True)
def tiny_four_bits() -> Pairs:
    yield from values_of(network("tiny", weight_bits=4), SOME_IMAGES)
