"""What sensitivities, allocations and bits by name refuse."""

from __future__ import annotations

import numpy as np
from fewerbits import data
from fewerbits.deploy.evaluation import bootstrap_difference
from fewerbits.network import allocation, mixed
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.quantized import quantize_network

from tests.bad_input import Case
from tests.bad_input.network import observers

IMAGES = np.zeros((2, 1, 28, 28), np.float32)
COSTS = {"a": {2: 1.0, 4: 0.5}, "b": {2: 2.0, 4: 0.1}}
SIZES = {"a": {2: 10, 4: 20}, "b": {2: 10, 4: 20}}


def tiny() -> FoldedNetwork:
    return fold("tiny", data.load_weights("tiny"))


CASES = [
    Case("one bit", lambda: mixed.round_weights(tiny(), 1), ValueError, ("bits=1", "2 to 16")),
    Case("a layer too few", lambda: mixed.round_weights(tiny(), {"conv1": 4}), ValueError, ("bits", "conv2")),
    Case(
        "a layer too many",
        lambda: mixed.round_weights(tiny(), dict.fromkeys([*tiny().weights, "conv9"], 4)),
        ValueError,
        ("bits", "conv9"),
    ),
    Case(
        "half a bit",
        lambda: mixed.round_weights(tiny(), dict.fromkeys(tiny().weights, 4.5)),
        TypeError,
        ("bits['conv1']", "4.5"),
    ),
    Case(
        "activations by layer without the image",
        lambda: quantize_network(tiny(), observers(), activation_bits={"conv1": 8}),
        ValueError,
        ("activation_bits", "image"),
    ),
    Case("no choices", lambda: mixed.weight_bytes(tiny(), ()), ValueError, ("choices", "empty")),
    Case("seventeen bits", lambda: mixed.noise_sensitivity(tiny(), (17,)), ValueError, ("choices=17",)),
    Case("logits of one image", lambda: mixed.divergence([1.0, 2.0], [1.0, 2.0]), ValueError, ("logits", "(2,)")),
    Case("NaN logits", lambda: mixed.divergence([[1.0, 2.0]], [[np.nan, 2.0]]), ValueError, ("other", "nan")),
    Case(
        "no images",
        lambda: mixed.measured_sensitivity(tiny(), IMAGES[:0], title=""),
        ValueError,
        ("images", "empty"),
    ),
    Case("a label too few", lambda: mixed.fisher_diagonal(tiny(), IMAGES, [1]), ValueError, ("labels", "(1,)")),
    Case("label 10", lambda: mixed.fisher_diagonal(tiny(), IMAGES, [1, 10]), ValueError, ("labels", "0..9")),
    Case("fisher of nothing", lambda: mixed.fisher_sensitivity(tiny(), {}), ValueError, ("fisher", "conv1")),
    Case("budget too small", lambda: allocation.exact(COSTS, SIZES, 19), ValueError, ("budget=19", "20")),
    Case("budget too small for greedy", lambda: allocation.greedy(COSTS, SIZES, 19), ValueError, ("budget=19", "20")),
    Case("a budget in halves", lambda: allocation.exact(COSTS, SIZES, 25.5), TypeError, ("budget=25.5",)),
    Case("no layers", lambda: allocation.exact({}, {}, 10), ValueError, ("costs", "empty")),
    Case("a layer without sizes", lambda: allocation.exact(COSTS, {"a": SIZES["a"]}, 99), ValueError, ("sizes",)),
    Case("NaN cost", lambda: allocation.exact({"a": {2: np.nan}}, {"a": {2: 1}}, 9), ValueError, ("costs['a'][2]",)),
    Case(
        "a size in halves", lambda: allocation.exact({"a": {2: 1}}, {"a": {2: 0.5}}, 9), TypeError, ("sizes['a'][2]",)
    ),
    Case(
        "too many to try",
        lambda: allocation.brute_force(COSTS, SIZES, 99, most=3),
        ValueError,
        ("costs", "4 allocations", "most=3"),
    ),
    Case("unequal front", lambda: allocation.pareto_front([1, 2], [0.5]), ValueError, ("sizes", "accuracies", "(1,)")),
    Case("NaN accuracy", lambda: allocation.pareto_front([1], [np.nan]), ValueError, ("accuracies", "nan")),
    Case("no resamples", lambda: bootstrap_difference([1], [1], [1], resamples=0), ValueError, ("resamples=0",)),
    Case("answers of other images", lambda: bootstrap_difference([1], [1, 2], [1, 2]), ValueError, ("predicted",)),
]
