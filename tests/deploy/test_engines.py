"""Every engine gives the same float answers, and what the CPU does with u8×s8 is asked, not assumed."""

from __future__ import annotations

import numpy as np
import pytest
from fewerbits import data
from fewerbits.deploy import engines, export
from fewerbits.network.model import build_model
from fewerbits.teach.environment import describe_cpu


@pytest.mark.parametrize("channels_last", [False, True])
def test_folded_torch_gives_the_logits_of_the_trained_model(channels_last: bool, test_images) -> None:
    model = build_model("vgg32", data.load_weights("vgg32"))
    expected = engines.Torch(model)(test_images[:20])
    got = engines.Torch(engines.folded_torch(model), channels_last=channels_last)(test_images[:20])
    assert np.abs(got - expected).max() < 1e-4


def test_predictions_come_in_order(test_images, test_labels) -> None:
    engine = engines.Torch(build_model("vgg32", data.load_weights("vgg32")))
    predicted = engines.predict(engine, test_images[:600])
    assert predicted.shape == (600,)
    assert (predicted == test_labels[:600]).mean() > 0.9
    assert np.array_equal(predicted[250:260], engines.predict(engine, test_images[250:260]))


def test_a_cpu_with_an_int8_dot_product_does_not_saturate() -> None:
    if describe_cpu().has_int8_dot_product is None:
        pytest.skip("this system does not tell the CPU's instruction sets")
    if describe_cpu().architecture.lower() in ("x86_64", "amd64"):
        assert engines.engine_saturates() is not describe_cpu().has_int8_dot_product
    else:
        assert not engines.engine_saturates()


def test_the_operators_are_those_of_the_optimized_graph(quantized_vgg32, test_images) -> None:
    engine = engines.OnnxRuntime(export.qdq_model(quantized_vgg32))
    before = engine(test_images[:4])
    operators = engine.operators()
    assert operators["QLinearConv"] == 6
    assert not {"Conv", "Gemm"} & set(operators)
    assert np.array_equal(engine(test_images[:4]), before)
