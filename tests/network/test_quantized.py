"""A quantized network keeps the float network's answers, and its parts are what the definitions say."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.tensor.calibration import Percentile


def test_pixels_are_their_own_codes(quantized_vgg32) -> None:
    pixels = np.arange(256, dtype=np.uint8)
    codes = quantized_vgg32.activations["image"].quantize(np.divide(pixels, 255, dtype=np.float32))
    assert np.array_equal(codes, pixels)


def test_calibration_sees_every_batch(vgg32, test_images) -> None:
    observers = calibrate(vgg32, test_images[:250], title="")
    values = vgg32.run(test_images[:250])
    for name in ("conv1", "conv6", "logits"):
        assert observers[name].range() == pytest.approx((values[name].min(), values[name].max()), rel=1e-5)


def test_another_observer_gives_other_ranges(vgg32, test_images) -> None:
    smaller = calibrate(vgg32, test_images[:200], Percentile(percent=99), title="")["conv4"].range(symmetric=False)[1]
    values = vgg32.run(test_images[:200])["conv4"]
    # Half a percent is left out on each side.
    assert smaller == pytest.approx(np.quantile(values, 0.995), rel=0.01)


def test_bias_codes_are_the_bias_in_steps_of_the_accumulator(quantized_vgg32, vgg32) -> None:
    step = quantized_vgg32.activations["conv1"].scale * quantized_vgg32.weights["conv2"].scale.astype(np.float64)
    error = quantized_vgg32.biases["conv2"] * step - vgg32.biases["conv2"]
    assert (np.abs(error) <= step / 2 * 1.0001).all()


def test_max_pooling_passes_its_scale_on(quantized_vgg32) -> None:
    assert quantized_vgg32.activations["pool1"] is quantized_vgg32.activations["conv2"]


def test_activations_after_relu_use_all_codes_above_zero(quantized_vgg32) -> None:
    for name in ("conv1", "conv4", "mean"):
        assert quantized_vgg32.activations[name].zero_point == 0


def test_simulation_answers_as_the_float_network(quantized_vgg32, vgg32, test_images) -> None:
    simulated = quantized_vgg32.simulate(test_images[:200])["logits"].argmax(1)
    real = vgg32.run(test_images[:200])["logits"].argmax(1)
    assert (simulated == real).mean() > 0.98


def test_bytes_are_codes_scales_and_biases(vgg32, vgg32_observers) -> None:
    network = quantize_network(vgg32, vgg32_observers)
    weights = sum(weight.size for weight in vgg32.weights.values())
    channels = sum(bias.size for bias in vgg32.biases.values())
    # One byte a weight, four for each channel's scale and bias, five for each activation's scale and zero point.
    assert network.nbytes() == weights + 8 * channels + 5 * len(network.activations)


@pytest.mark.parametrize("options", [{"per_channel": False}, {"signed_weights": False}, {"signed_activations": True}])
def test_every_combination_simulates_the_same_answers(vgg32, vgg32_observers, test_images, options) -> None:
    network = quantize_network(vgg32, vgg32_observers, **options)
    simulated = network.simulate(test_images[:100])["logits"].argmax(1)
    assert (simulated == vgg32.run(test_images[:100])["logits"].argmax(1)).mean() >= 0.97


def test_fewer_bits_lose_more(vgg32, vgg32_observers, test_images) -> None:
    real = vgg32.run(test_images[:100])["logits"]
    errors = [
        np.abs(
            quantize_network(vgg32, vgg32_observers, weight_bits=bits).simulate(test_images[:100])["logits"] - real
        ).mean()
        for bits in (8, 6, 4, 2)
    ]
    assert errors == sorted(errors)
    assert errors[-1] > 10 * errors[0]
