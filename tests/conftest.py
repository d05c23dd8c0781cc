"""Set before NumPy and PyTorch start their threads: tests run two at a time and must not fight for the cores."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from fewerbits import data
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.quantized import QuantizedNetwork, calibrate, quantize_network
from fewerbits.tensor.observer import Observer


@pytest.fixture(scope="session")
def test_images():
    """The 10,000 test images as the networks read them, (10000, 1, 28, 28) float32."""
    return data.to_float(data.load_fashion_mnist("test").images)


@pytest.fixture(scope="session")
def test_labels():
    return data.load_fashion_mnist("test").labels


@pytest.fixture(scope="session")
def vgg32() -> FoldedNetwork:
    return fold("vgg32", data.load_weights("vgg32"))


@pytest.fixture(scope="session")
def vgg32_observers(vgg32: FoldedNetwork) -> dict[str, Observer]:
    return calibrate(vgg32, data.to_float(data.load_fashion_mnist("train").images[:500]))


@pytest.fixture(scope="session")
def quantized_vgg32(vgg32: FoldedNetwork, vgg32_observers) -> QuantizedNetwork:
    """The default quantization, with 7-bit weights so that every CPU executes it exactly."""
    return quantize_network(vgg32, vgg32_observers, weight_bits=7)


# Each test of these files runs a process of its own for many seconds; tests of other files stay together.
SPREAD_OVER_WORKERS = ("tests/lessons/test_nbval.py::",)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """`--dist loadscope`, which keeps the tests of a file on one worker, but for the files named above."""
    if config.getvalue("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return nodeid if nodeid.startswith(SPREAD_OVER_WORKERS) else super()._split_scope(nodeid)

    return Scheduling(config, log)
