"""The exported models are valid ONNX, carry our own numbers, and the engine answers as the simulation predicts."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from fewerbits import data
from fewerbits.deploy import engines, export
from fewerbits.network import integer_network
from fewerbits.network.architecture import ARCHITECTURES
from fewerbits.network.folding import fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.tensor.calibration import MinMax
from onnx import numpy_helper

from tests.network.test_folding import arrays, random_model

RANDOM_IMAGES = np.random.default_rng(7).random((20, 1, 28, 28), np.float32)


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_float_model_gives_the_logits_of_the_folded_network(name: str) -> None:
    network = fold(name, arrays(random_model(name)))
    images = np.random.default_rng(4).random((3, 1, 28, 28), np.float32)
    expected = network.run(images)["logits"]
    got = engines.OnnxRuntime(export.float_model(network))(images)
    assert np.abs(got - expected).max() <= 2e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_quantizes_and_executes(name: str) -> None:
    network = fold(name, arrays(random_model(name)))
    images = np.random.default_rng(5).random((20, 1, 28, 28), np.float32)
    quantized = quantize_network(network, calibrate(network, images, title=""), weight_bits=7)
    simulated = quantized.simulate(images)["logits"]
    executed = engines.OnnxRuntime(export.qdq_model(quantized))(images)
    # One code of a late activation may differ by rounding: a few steps of the logits' scale, no more.
    assert np.abs(executed - simulated).max() <= 0.02 * np.abs(simulated).max()


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
@pytest.mark.parametrize(
    "options", [{}, {"signed_activations": True}, {"signed_weights": False}, {"per_channel": False}], ids=str
)
def test_both_forms_execute_the_same_integers_and_they_are_ours(name: str, options: dict) -> None:
    network = fold(name, arrays(random_model(name)))
    images = np.random.default_rng(6).random((8, 1, 28, 28), np.float32)
    bits = 7 if options.get("signed_weights", True) else 8
    quantized = quantize_network(network, calibrate(network, images, title=""), weight_bits=bits, **options)
    ours = integer_network.run(quantized, images)
    for build in (export.qdq_model, export.qoperator_model):
        theirs = engines.OnnxRuntime(build(quantized, expose_codes=True)).outputs(images)
        assert len(theirs) == len(ours)
        for value, codes in ours.items():
            assert np.array_equal(codes, theirs["logits" if value == "logits" else f"{value}_codes"]), (build, value)


def test_qoperator_refuses_a_relu_that_its_kernels_would_not_apply(vgg32, vgg32_observers) -> None:
    quantized = quantize_network(vgg32, vgg32_observers | {"conv3": MinMax().observe([-1.0, 2.0])})
    with pytest.raises(ValueError, match="layer 'conv3' has a ReLU"):
        export.qoperator_model(quantized)


def test_qdq_model_carries_our_scales_and_codes(quantized_vgg32) -> None:
    found = constants(export.qdq_model(quantized_vgg32))
    for name, codes in quantized_vgg32.codes.items():
        assert np.array_equal(found[f"{name}_weight_codes"], codes)
        assert found[f"{name}_weight_codes"].dtype == np.int8
        assert np.array_equal(found[f"{name}_weight_scale"], quantized_vgg32.weights[name].scale)
        assert found[f"{name}_bias_codes"].dtype == np.int32
        source = quantized_vgg32.folded.layer(name).inputs[0]
        product = quantized_vgg32.activations[source].scale * quantized_vgg32.weights[name].scale
        assert np.array_equal(found[f"{name}_bias_scale"], product)
    for name, scheme in quantized_vgg32.activations.items():
        if not name.startswith("pool"):
            assert found[f"{name}_scale"] == scheme.scale


def test_a_first_layer_left_in_float_is_computed_in_float_and_the_next_ones_in_integers(
    quantized_vgg32, test_images
) -> None:
    model = export.qdq_model(quantized_vgg32, expose_codes=True, float_first_layer=True)
    images = test_images[:20]
    theirs = engines.OnnxRuntime(model).outputs(images)

    folded = quantized_vgg32.folded
    real = np.maximum(
        torch.nn.functional.conv2d(
            torch.from_numpy(images.astype(np.float64)),
            torch.from_numpy(folded.weights["conv1"].astype(np.float64)),
            torch.from_numpy(folded.biases["conv1"].astype(np.float64)),
            padding=1,
        ).numpy(),
        0,
    )
    scale = float(quantized_vgg32.activations["conv1"].scale)
    differ = np.abs(theirs["conv1_codes"].astype(int) - np.clip(np.rint(real / scale), 0, 255))
    assert differ.max() <= 1  # a float32 sum on the other side of a tie
    assert (differ > 0).mean() < 1e-4
    conv2 = integer_network.run_layer(quantized_vgg32, folded.layer("conv2"), [theirs["conv1_codes"]])
    assert np.array_equal(conv2, theirs["conv2_codes"])


def test_executed_answers_are_the_simulated_ones(quantized_vgg32, test_images) -> None:
    engine = engines.OnnxRuntime(export.qdq_model(quantized_vgg32))
    simulated = quantized_vgg32.simulate(test_images[:300])["logits"].argmax(1)
    assert (engines.predict(engine, test_images[:300]) == simulated).mean() > 0.99


def test_int8_file_is_at_most_29_hundredths_of_the_float_file(vgg32, quantized_vgg32, tmp_path) -> None:
    int8 = export.save(export.qdq_model(quantized_vgg32), tmp_path / "int8.onnx")
    assert int8 == (tmp_path / "int8.onnx").stat().st_size
    assert int8 <= 0.29 * export.save(export.float_model(vgg32), tmp_path / "float.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vgg32", "residual", "depthwise"])
def test_the_qoperator_file_is_at_most_28_hundredths_of_the_float_file(name: str, tmp_path) -> None:
    network = fold(name, data.load_weights(name))
    quantized = quantize_network(network, calibrate(network, RANDOM_IMAGES, title=""))
    int8 = export.save(export.qoperator_model(quantized), tmp_path / "int8.onnx")
    assert int8 <= 0.28 * export.save(export.float_model(network), tmp_path / "float.onnx")


@pytest.mark.slow
def test_executed_int8_accuracy_is_within_three_tenths_of_a_point(
    vgg32, quantized_vgg32, test_images, test_labels
) -> None:
    float32 = engines.predict(engines.OnnxRuntime(export.float_model(vgg32)), test_images)
    int8 = engines.predict(engines.OnnxRuntime(export.qdq_model(quantized_vgg32)), test_images)
    accuracy = (float32 == test_labels).mean()
    assert accuracy >= 0.935
    assert abs((int8 == test_labels).mean() - accuracy) <= 0.003
