"""What the network floor refuses."""

from __future__ import annotations

import numpy as np
from fewerbits import data
from fewerbits.network.architecture import architecture
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.model import build_model
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.tensor.calibration import MinMax
from fewerbits.tensor.observer import Observer

from tests.bad_input import Case

IMAGES = np.zeros((2, 1, 28, 28), np.float32)


def tiny() -> FoldedNetwork:
    return fold("tiny", data.load_weights("tiny"))


def observers(without: str = "") -> dict[str, Observer]:
    names = ["image", *(layer.name for layer in architecture("tiny"))]
    return {name: MinMax().observe([0.0, 1.0]) for name in names if name != without}


CASES = [
    Case("unknown network", lambda: architecture("vgg99"), ValueError, ("name", "vgg99", "vgg32")),
    Case("weights of another network", lambda: build_model("tiny", data.load_weights("vgg32")), ValueError, ("tiny",)),
    Case("NaN image", lambda: calibrate(tiny(), IMAGES * np.nan), ValueError, ("images", "nan")),
    Case("images without channel", lambda: calibrate(tiny(), IMAGES[:, 0]), ValueError, ("images", "(2, 28, 28)")),
    Case("no images", lambda: calibrate(tiny(), IMAGES[:0]), ValueError, ("images", "empty")),
    Case("complex images", lambda: calibrate(tiny(), IMAGES * 1j), TypeError, ("images", "complex64")),
    Case("observer missing", lambda: quantize_network(tiny(), observers("conv2")), ValueError, ("observers", "conv2")),
    Case("no bits", lambda: quantize_network(tiny(), observers(), weight_bits=0), ValueError, ("weight_bits", "0")),
    Case(
        "fractional bits",
        lambda: quantize_network(tiny(), observers(), weight_bits=4.5),
        TypeError,
        ("weight_bits", "4.5"),
    ),
    Case(
        "per_channel as a number",
        lambda: quantize_network(tiny(), observers(), per_channel=1),
        TypeError,
        ("per_channel", "True or False"),
    ),
    Case("empty batch", lambda: list(over_batches(len, IMAGES, batch=0)), ValueError, ("batch", "0")),
]
