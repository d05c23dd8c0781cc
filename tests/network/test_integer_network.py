"""A network in integers: what it holds, what it refuses, and what saturation does to it."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits.network import integer_network
from fewerbits.network.quantized import quantize_network


def test_every_value_but_the_logits_is_codes(quantized_vgg32, test_images) -> None:
    values = integer_network.run(quantized_vgg32, test_images[:3])
    assert list(values) == ["image", *(layer.name for layer in quantized_vgg32.layers)]
    assert {codes.dtype for name, codes in values.items() if name != "logits"} == {np.dtype(np.uint8)}
    assert values["logits"].dtype == np.float32


def test_image_codes_are_the_pixels(quantized_vgg32, test_images) -> None:
    codes = integer_network.run(quantized_vgg32, test_images[:3])["image"]
    assert np.array_equal(codes, np.rint(test_images[:3] * 255).astype(np.uint8))


def test_integers_follow_the_simulation_within_one_code(quantized_vgg32, test_images) -> None:
    integers = integer_network.run(quantized_vgg32, test_images[:20])
    simulated = quantized_vgg32.simulate(test_images[:20])
    first = quantized_vgg32.activations["conv1"]
    difference = first.dequantize(integers["conv1"]) - simulated["conv1"]
    assert np.abs(difference).max() <= first.scale * 1.0001
    assert np.array_equal(integers["logits"].argmax(1), simulated["logits"].argmax(1))


def test_accumulators_of_one_pixel_by_hand(quantized_vgg32, test_images) -> None:
    layer = quantized_vgg32.folded.layer("conv1")
    codes = integer_network.run(quantized_vgg32, test_images[:1])["image"]
    got = integer_network.accumulators(quantized_vgg32, layer, codes)[0, 5, 10, 12]
    window = codes[0, 0, 9:12, 11:14].astype(int)
    expected = (window * quantized_vgg32.codes["conv1"][5, 0].astype(int)).sum() + quantized_vgg32.biases["conv1"][5]
    assert got == expected


@pytest.mark.parametrize("rule", ["gemmlowp", "single_half_away", "half_up"])
def test_requantization_rules_differ_by_at_most_one_code_in_the_first_layer(quantized_vgg32, test_images, rule) -> None:
    default = integer_network.run(quantized_vgg32, test_images[:10])["conv1"].astype(int)
    other = integer_network.run(quantized_vgg32, test_images[:10], rule=rule)["conv1"].astype(int)
    assert np.abs(default - other).max() <= 1


def test_seven_bit_weights_never_saturate(quantized_vgg32, test_images) -> None:
    exact = integer_network.run(quantized_vgg32, test_images[:10])
    saturated = integer_network.run(quantized_vgg32, test_images[:10], saturate=True)
    assert all(np.array_equal(exact[name], saturated[name]) for name in exact)


def test_eight_bit_weights_saturate_in_the_first_convolution(vgg32, vgg32_observers, test_images) -> None:
    network = quantize_network(vgg32, vgg32_observers)
    exact = integer_network.run(network, test_images[:10])["conv1"]
    saturated = integer_network.run(network, test_images[:10], saturate=True)["conv1"]
    assert not np.array_equal(exact, saturated)


def test_codes_outside_the_image_are_refused(quantized_vgg32, test_images) -> None:
    with pytest.raises(ValueError, match="x holds nan"):
        integer_network.run(quantized_vgg32, test_images[:1] * np.nan)


def test_an_unknown_rule_is_refused(quantized_vgg32, test_images) -> None:
    with pytest.raises(ValueError, match="rule='bankers'"):
        integer_network.run(quantized_vgg32, test_images[:1], rule="bankers")
