"""Sensitivities measure what they say, and bits by layer are what each layer gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fewerbits import data
from fewerbits.network import mixed
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.tensor.calibration import MSE, MinMax
from fewerbits.tensor.metrics import sqnr

CHOICES = (2, 4, 8)


@pytest.fixture(scope="module")
def tiny() -> FoldedNetwork:
    return fold("tiny", data.load_weights("tiny"))


@pytest.fixture(scope="module")
def few() -> np.ndarray:
    return data.to_float(data.load_fashion_mnist("test").images[:60])


def test_each_layer_gets_its_bits(tiny) -> None:
    bits = {"conv1": 8, "conv2": 3, "conv3": 2, "logits": 4}
    rounded = mixed.round_weights(tiny, bits).weights
    for name, number in bits.items():
        # Symmetric codes reach ±(2^(b−1) − 1) when the range is the largest magnitude of each channel.
        levels = {len(np.unique(channel)) for channel in rounded[name].reshape(len(rounded[name]), -1)}
        assert max(levels) <= 2**number - 1
    assert mixed.average_bits(tiny, bits) == (144 * 8 + 4608 * 3 + 18_432 * 2 + 640 * 4) / (144 + 4608 + 18_432 + 640)


def test_bytes_are_packed_codes_and_scales(tiny) -> None:
    table = mixed.weight_bytes(tiny, (3, 8))
    assert table["conv1"] == {3: 144 * 3 // 8 + 4 * 16, 8: 144 + 4 * 16}
    assert table["conv3"] == {3: 18_432 * 3 // 8 + 4 * 64, 8: 18_432 + 4 * 64}


@pytest.mark.slow
def test_the_observer_chooses_the_range(tiny) -> None:
    by_mse = mixed.round_weights(tiny, 3, MSE(axis=0)).weights["conv2"]
    by_extremes = mixed.round_weights(tiny, 3).weights["conv2"]
    weight = tiny.weights["conv2"]
    assert np.square(by_mse - weight).sum() < np.square(by_extremes - weight).sum()


def test_divergence_of_a_coin_is_known() -> None:
    # Σ p·log(p/q) for p = (1/2, 1/2), q = (1/4, 3/4): log 2 − log(3)/2.
    result = mixed.divergence([[0.0, 0.0]], [[0.0, np.log(3.0)]])
    assert result == pytest.approx([np.log(2) - np.log(3) / 2])


def test_equal_answers_do_not_diverge() -> None:
    logits = np.array([[3.0, -1.0, 800.0], [0.0, 0.0, -800.0]])
    assert mixed.divergence(logits, logits + 5).tolist() == [0, 0]


@pytest.mark.slow
def test_one_layer_at_a_time_is_one_network_per_layer(tiny, few) -> None:
    table = mixed.measured_sensitivity(tiny, few, CHOICES, title="")
    exact = tiny.run(few)["logits"]
    for name in tiny.weights:
        for bits in CHOICES:
            only = tiny.weights | {name: mixed.round_weights(tiny, bits).weights[name]}
            alone = mixed.divergence(exact, replace(tiny, weights=only).run(few)["logits"]).mean()
            assert table[name][bits] == pytest.approx(alone, rel=1e-3, abs=1e-8)


def test_fisher_is_the_mean_squared_gradient(tiny, few) -> None:
    """Against torch's own per-sample gradients of the linear layer, (p − y)·activation."""
    labels = np.arange(60) % 10
    found = mixed.fisher_diagonal(tiny, few, labels)
    values = tiny.run(few)
    p = torch.softmax(torch.from_numpy(values["logits"]), 1).numpy()
    error = p - np.eye(10, dtype=np.float32)[labels]
    expected = np.mean((error[:, :, None] * values["mean"][:, None, :]) ** 2, axis=0)
    assert found["logits"] == pytest.approx(expected, rel=1e-3, abs=1e-12)


def test_fisher_of_a_convolution_is_the_slope_of_the_loss(tiny, few) -> None:
    image, label = few[:1], np.array([3])
    found = mixed.fisher_diagonal(tiny, image, label)["conv2"]
    place = np.unravel_index(found.argmax(), found.shape)

    def loss(step: float) -> float:
        moved = dict(tiny.weights) | {"conv2": tiny.weights["conv2"].copy()}
        moved["conv2"][place] += step
        logits = FoldedNetwork(tiny.name, tiny.layers, moved, tiny.biases).run(image)["logits"][0].astype(float)
        return float(np.log(np.exp(logits - logits[3]).sum()))

    slope = (loss(1e-3) - loss(-1e-3)) / 2e-3
    assert found[place] == pytest.approx(slope**2, rel=0.02)


@pytest.mark.slow
def test_fisher_predicts_small_divergences_of_the_last_layer(tiny) -> None:
    """With the labels drawn from the network, ½·Σ F·Δw² is the divergence of a small change, within its noise."""
    images = data.to_float(data.load_fashion_mnist("test").images[:300])
    logits = tiny.run(images)["logits"]
    p = torch.softmax(torch.from_numpy(logits), 1)
    labels = torch.multinomial(p, 1, generator=torch.Generator().manual_seed(0))[:, 0].numpy()
    predicted = mixed.fisher_sensitivity(tiny, mixed.fisher_diagonal(tiny, images, labels), (6,))
    measured = mixed.measured_sensitivity(tiny, images, (6,), title="")
    assert 1 / 3 < predicted["logits"][6] / measured["logits"][6] < 3


def test_noise_is_the_reciprocal_of_sqnr(tiny) -> None:
    rounded = mixed.round_weights(tiny, 4).weights["conv2"]
    assert mixed.noise_sensitivity(tiny, (4,))["conv2"][4] == pytest.approx(
        10 ** (-sqnr(tiny.weights["conv2"], rounded) / 10)
    )


def test_a_bit_more_means_a_quarter_of_the_noise(tiny) -> None:
    row = mixed.noise_sensitivity(tiny, (6, 8))["conv3"]
    assert row[6] / row[8] == pytest.approx(16, rel=0.2)


def test_bits_by_name_reach_weights_and_activations(tiny, few) -> None:
    seen = calibrate(tiny, few, title="")
    weight_bits = {"conv1": 8, "conv2": 3, "conv3": 2, "logits": 4}
    activation_bits = {"image": 8, "conv1": 4, "conv2": 6, "conv3": 16, "mean": 5}
    network = quantize_network(tiny, seen, weight_bits=weight_bits, activation_bits=activation_bits)
    assert {name: scheme.bits for name, scheme in network.weights.items()} == weight_bits
    assert {name: network.activations[name].bits for name in activation_bits} == activation_bits
    assert network.activations["pool1"] is network.activations["conv1"]


def test_one_number_is_the_same_as_that_number_everywhere(tiny, few) -> None:
    seen = calibrate(tiny, few, title="")
    one = quantize_network(tiny, seen, weight_bits=4)
    many = quantize_network(tiny, seen, weight_bits=dict.fromkeys(tiny.weights, 4))
    for name in tiny.weights:
        assert np.array_equal(one.codes[name], many.codes[name])
        assert np.array_equal(one.biases[name], many.biases[name])


@pytest.mark.slow
def test_the_weight_observer_is_used(tiny, few) -> None:
    seen = calibrate(tiny, few, title="")
    default = quantize_network(tiny, seen, weight_bits=4)
    same = quantize_network(tiny, seen, weight_bits=4, weight_observer=MinMax(axis=0))
    other = quantize_network(tiny, seen, weight_bits=4, weight_observer=MSE(axis=0))
    assert np.array_equal(default.codes["conv3"], same.codes["conv3"])
    assert (other.weights["conv3"].scale <= default.weights["conv3"].scale * 1.0001).all()
    assert (other.weights["conv3"].scale < default.weights["conv3"].scale).any()
