"""Mistakes with whole networks: from trained weights to an engine's logits, and from a budget to bits."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.teach.mistakes.calibration.observing import calibrated_on_unnormalized_data
from fewerbits.teach.mistakes.mixed.allocating import budget_not_looked_at, bytes_minimized
from fewerbits.teach.mistakes.mixed.measuring import metadata_forgotten_in_the_budget
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.tensors import one_scale_for_all_channels

Array = NDArray[Any]


def _network(name: str) -> FoldedNetwork:
    return fold(name, data.load_weights(name))


def _raw(pixels: Array) -> Array:
    return pixels[:, np.newaxis].astype(np.float32)


def _executed(name: str, seen: Array, images: Array, *, bits: int = 7, per_channel: bool = True) -> Array:
    """Logits of ONNX Runtime for float `images`, calibrated on float images `seen`."""
    return _logits(name, seen.tobytes(), images.tobytes(), bits, per_channel).copy()


# A check compares a wrong answer with every mistake, again and again.
@lru_cache(maxsize=32)
def _logits(name: str, seen: bytes, images: bytes, bits: int, per_channel: bool) -> Array:
    # Loaded here, so that copying exercises and printing progress start at once.
    from fewerbits.deploy import engines, export

    network = _network(name)
    shown, classified = (np.frombuffer(each, np.float32).reshape(-1, 1, 28, 28) for each in (seen, images))
    observers = calibrate(network, shown, title="")
    quantized = quantize_network(network, observers, weight_bits=bits, per_channel=per_channel)
    return engines.OnnxRuntime(export.qdq_model(quantized))(classified)


@mistake(
    "int8_logits",
    symptom="The accuracy is that of the float network to the last image.",
    cause="The float network answered: folded, or exported, but never quantized.",
    repair="Export the quantized network with qdq_model, and run that.",
    source="common: the wrong variable handed to the engine",
)
def float_network_executed(name: str, calibration: Array, images: Array) -> Array:
    return _network(name).run(data.to_float(images))["logits"]


@mistake(
    "int8_logits",
    symptom="Logits agree to three digits, and not to five.",
    cause="Float arithmetic on rounded values was computed: a prediction of what the engine does.",
    repair="Export and execute: only the engine's own arithmetic tells what will be shipped.",
    source="fake quantization, reported as int8 accuracy in many papers",
)
def simulated_for_executed(name: str, calibration: Array, images: Array) -> Array:
    network = _network(name)
    quantized = quantize_network(network, calibrate(network, data.to_float(calibration), title=""), weight_bits=7)
    return quantized.simulate(data.to_float(images))["logits"]


@mistake(
    "int8_logits",
    symptom="Fine here, and points lost on x86 CPUs without VNNI.",
    cause="The weights have eight bits: pairs of products may saturate on some CPUs.",
    repair="Pass weight_bits=7, ONNX Runtime's reduce_range.",
    source="pytorch issue 44939",
)
def eight_bits_where_seven_are_asked(name: str, calibration: Array, images: Array) -> Array:
    return _executed(name, data.to_float(calibration), data.to_float(images), bits=8)


@mistake(
    "int8_logits",
    symptom="A little better than it will be on new images, and nobody notices.",
    cause="The ranges come from the very images that are to be classified.",
    repair="Calibrate on the images that were given for it, and never look at those of the test.",
    source="common in examples with one data loader",
)
def calibrated_on_the_images_to_be_classified(name: str, calibration: Array, images: Array) -> Array:
    return _executed(name, data.to_float(images), data.to_float(images))


@mistake(
    "int8_logits",
    symptom="Every image gets the same answer, or nearly.",
    cause="The engine was given pixels from 0 to 255 and takes numbers from 0 to 1: everything above 1 saturates.",
    repair="Convert the images to be classified like those of the training: data.to_float.",
    source="common where preprocessing is written twice",
)
def raw_pixels_to_the_engine(name: str, calibration: Array, images: Array) -> Array:
    return _executed(name, data.to_float(calibration), _raw(images))


@mistake(
    "int8_logits",
    symptom="Plausible logits for both networks, and the same for each image.",
    cause="One network answers for all names: the argument is not used.",
    repair="Hand `name` on, to the architecture and to the weights.",
    source="code copied from a notebook about one network",
)
def one_network_for_all_names(name: str, calibration: Array, images: Array) -> Array:
    return _executed("vgg32", data.to_float(calibration), data.to_float(images))


@also(one_network_for_all_names, "int8_logits")
def residual_for_all_names(name: str, calibration: Array, images: Array) -> Array:
    return _executed("residual", data.to_float(calibration), data.to_float(images))


@also(raw_pixels_to_the_engine, "int8_logits")
def raw_pixels_everywhere(name: str, calibration: Array, images: Array) -> Array:
    return _executed(name, _raw(calibration), _raw(images))


@also(calibrated_on_unnormalized_data, "int8_logits")
def network_calibrated_on_raw_pixels(name: str, calibration: Array, images: Array) -> Array:
    return _executed(name, _raw(calibration), data.to_float(images))


@also(one_scale_for_all_channels, "int8_logits")
def network_with_one_scale_per_tensor(name: str, calibration: Array, images: Array) -> Array:
    return _executed(name, data.to_float(calibration), data.to_float(images), per_channel=False)


@also(budget_not_looked_at, "bits_within")
def eight_bits_everywhere(budget: int) -> list[int]:
    return [8] * 7


@also(bytes_minimized, "bits_within")
def two_bits_everywhere(budget: int) -> list[int]:
    return [2] * 7


@mistake(
    "bits_within",
    symptom="It fits, with many bytes left, and is far from what the bytes could give.",
    cause="All layers got the same number of bits, the sensitive and the patient ones.",
    repair="Measure what each layer loses with few bits, and let `allocation.exact` divide the bytes.",
    source="uniform quantization as the only choice",
)
def as_many_bits_as_fit_for_all(budget: int) -> list[int]:
    from fewerbits.network.mixed import weight_bytes

    sizes = weight_bytes(_network("vgg32"))
    fitting = [bits for bits in (2, 3, 4, 5, 6, 8) if sum(row[bits] for row in sizes.values()) <= budget]
    return [max(fitting)] * len(sizes)


@mistake(
    "bits_within",
    symptom="The first layers are fine, and a large layer with two bits ruins the answers.",
    cause="The bytes are given away in the order of the layers, and the last ones get what is left.",
    repair="Decide for all layers together: `allocation.exact`.",
    source="common in first allocations",
)
def spent_from_the_first_layer_on(budget: int) -> list[int]:
    from fewerbits.network.mixed import weight_bytes

    sizes = weight_bytes(_network("vgg32"))
    chosen = dict.fromkeys(sizes, 2)
    for name, row in sizes.items():
        used = sum(sizes[other][bits] for other, bits in chosen.items() if other != name)
        chosen[name] = max((bits for bits, size in row.items() if used + size <= budget), default=2)
    return list(chosen.values())


@cache
def _losses() -> dict[str, dict[int, float]]:
    from fewerbits.network.mixed import measured_sensitivity

    images = data.to_float(data.load_fashion_mnist("train").images[:32])
    return measured_sensitivity(_network("vgg32"), images, title="")


@also(metadata_forgotten_in_the_budget, "bits_within")
def allocated_without_the_scales(budget: int) -> list[int]:
    from fewerbits.network.allocation import exact
    from fewerbits.network.mixed import CHOICES

    codes = {name: {b: -(-w.size * b // 8) for b in CHOICES} for name, w in _network("vgg32").weights.items()}
    return list(exact(_losses(), codes, budget).values())
