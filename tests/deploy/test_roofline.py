"""Costs by hand, and ceilings that bound what they should."""

from __future__ import annotations

import pytest
from fewerbits.deploy.roofline import Ceilings, costs, least_seconds, measure_ceilings
from fewerbits.network.architecture import architecture


def test_costs_of_vgg32_by_hand() -> None:
    cost = costs(architecture("vgg32"))
    assert cost["conv1"].macs == 28 * 28 * 32 * 9
    assert cost["conv2"].macs == 28 * 28 * 32 * 32 * 9
    assert cost["conv6"].macs == 7 * 7 * 128 * 128 * 9
    assert cost["logits"].macs == 1280
    assert cost["pool1"].macs == 0
    assert cost["conv2"].activations == 2 * 32 * 28 * 28
    assert cost["conv3"].weights == 64 * 32 * 9


def test_depthwise_and_strided_layers_cost_less() -> None:
    cost = costs(architecture("depthwise"))
    assert cost["conv2"].macs == 14 * 14 * 32 * 9
    assert cost["conv3"].macs == 14 * 14 * 64 * 32


def test_time_is_bound_by_the_scarcer_resource() -> None:
    ceilings = Ceilings(bandwidth=10.0, float32=100.0, int8=200.0)
    assert ceilings.seconds(macs=1000, bytes_moved=10, kind="float32") == 10
    assert ceilings.seconds(macs=1000, bytes_moved=10, kind="int8") == 5
    assert ceilings.seconds(macs=1000, bytes_moved=500, kind="int8") == 50
    with pytest.raises(ValueError, match="kind='bfloat16'"):
        ceilings.seconds(1, 1, "bfloat16")


def test_a_larger_batch_shares_the_weights() -> None:
    ceilings = Ceilings(bandwidth=1e9, float32=1e15, int8=1e15)
    assert least_seconds(architecture("vgg32"), ceilings, "int8", batch=64) < least_seconds(
        architecture("vgg32"), ceilings, "int8", batch=1
    )


def test_measured_ceilings_are_those_of_a_computer() -> None:
    ceilings = measure_ceilings()
    assert 1e8 < ceilings.bandwidth < 1e12
    assert 1e9 < ceilings.float32 < 1e13
    assert ceilings.int8 > 0.5 * ceilings.float32
