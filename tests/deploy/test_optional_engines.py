"""The optional engines answer like the others, and say how to get them where they are not installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from fewerbits import data
from fewerbits.deploy import engines, export, optional_engines
from fewerbits.network.model import build_model


@pytest.fixture
def without_them(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_what_is_missing_says_how_to_get_it(without_them) -> None:
    assert set(optional_engines.missing()) == {"openvino", "torchao"}
    assert all('pip install -e ".[engines]"' in reason for reason in optional_engines.missing().values())


def test_a_missing_engine_is_a_clear_error(without_them, quantized_vgg32) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"OpenVINO is not installed: .*\[engines\]"):
        optional_engines.OpenVino(export.qdq_model(quantized_vgg32))
    with pytest.raises(ModuleNotFoundError, match=r"torchao is not installed: .*\[engines\]"):
        optional_engines.torchao_engines(build_model("vgg32", data.load_weights("vgg32")), np.zeros((1, 1, 28, 28)), 1)


def test_torchao_needs_a_compiler(monkeypatch) -> None:
    if importlib.util.find_spec("torchao") is None:
        pytest.skip("torchao is not installed")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "C++ compiler" in optional_engines.missing()["torchao"]


@pytest.mark.slow
def test_openvino_gives_the_float_logits_of_onnx_runtime(vgg32, test_images, tmp_path) -> None:
    pytest.importorskip("openvino")
    export.save(export.float_model(vgg32), tmp_path / "float.onnx")
    expected = engines.OnnxRuntime(export.float_model(vgg32))(test_images[:50])
    for model in (export.float_model(vgg32), tmp_path / "float.onnx"):
        got = optional_engines.OpenVino(model, threads=2)(test_images[:50])
        assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.slow
def test_openvino_runs_our_int8_model_with_our_accuracy(quantized_vgg32, test_images, test_labels) -> None:
    pytest.importorskip("openvino")
    model = export.qdq_model(quantized_vgg32)
    expected = engines.OnnxRuntime(model)(test_images[:1000])
    got = optional_engines.OpenVino(model)(test_images[:1000])
    assert np.abs(got - expected).max() <= 0.02 * np.abs(expected).max()
    assert not np.array_equal(got, expected)  # its own kernels, not ours
    assert (got.argmax(1) == expected.argmax(1)).mean() >= 0.998


@pytest.mark.slow
def test_torchao_quantizes_and_compiles_a_network_that_answers_alike(test_images, test_labels) -> None:
    if "torchao" in optional_engines.missing():
        pytest.skip(optional_engines.missing()["torchao"])
    model = build_model("tiny", data.load_weights("tiny"))
    calibration = data.to_float(data.load_fashion_mnist("train").images[:128])
    float32, int8 = optional_engines.torchao_engines(model, calibration, 64)
    expected = engines.Torch(model)(test_images[:64])
    assert np.abs(float32(test_images[:64]) - expected).max() < 1e-3
    got = np.concatenate([int8(test_images[start : start + 64]) for start in range(0, 640, 64)])
    assert not np.array_equal(got[:64], expected)
    assert (got.argmax(1) == engines.Torch(model)(test_images[:640]).argmax(1)).mean() > 0.97
    with pytest.raises(ValueError, match="calibration has 10 images: at least batch=64"):
        optional_engines.torchao_engines(model, calibration[:10], 64)
