"""From sums to codes: multiplier and shift by fractions, and a whole layer against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.network.folding import fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.teach.check.task import Between, Output, Probe, Task
from fewerbits.teach.mistakes.integers.requantizing import product_in_float64

Array = NDArray[Any]


def right_multiplier(m: float, bits: int) -> tuple[int, int]:
    """Of all M0/2^n with M0 of just that many bits the one nearest to m, in fractions."""
    exact, least, end = Fraction(m), 2 ** (bits - 1), 2**bits
    candidates = [(int(exact * 2**n) + more, n) for n in range(80) for more in (0, 1)]
    return min(
        ((M0, n) for M0, n in candidates if least <= M0 < end),
        key=lambda pair: abs(Fraction(pair[0], 2 ** pair[1]) - exact),
    )


def right_rescale(accumulators: Array, m: float, bits: int) -> tuple[int, int, Between]:
    """M0, n, and a·M0/2^n in fractions; at a tie both neighbours."""
    M0, n = right_multiplier(m, bits)
    exact = [Fraction(int(a) * M0, 2**n) for a in accumulators]
    half = Fraction(1, 2)
    low = [-((half - value) // 1) for value in exact]
    high = [(value + half) // 1 for value in exact]
    return M0, n, Between(np.array(low, np.float64), np.array(high, np.float64))


def _rescale_probes() -> list[Probe]:
    rng = np.random.default_rng(64)
    return [
        (np.array([1, 3], np.int32), 0.25, 8),
        (np.array([14_300, -8_480, 14_390], np.int32), 0.01, 31),
        (np.array([-3, -1, 5, 9, 21], np.int32), 0.125, 31),
        (np.array([100, -3_000, 20_000], np.int32), 0.01, 8),
        (np.arange(-20, 21, dtype=np.int32), 0.09375, 31),
        (np.array([-200, 7, 500, 1_000], np.int32), 0.999, 8),
        (rng.integers(-(2**17), 2**17, 120).astype(np.int32), 0.0016371, 31),
        (rng.integers(-(2**20), 2**20, 200).astype(np.int32), 0.0023, 16),
        (rng.integers(2**30, 2**31 - 1, 40).astype(np.int32), 0.0097, 31),
        # a·M0/2^n is so little below a half that in the 53 bits of a float it is one.
        (np.array([1_327_912_917], np.int32), 0.0012, 31),
        (np.array([667_179_762], np.int32), 0.0021, 31),
    ]


rescale = Task(
    call="rescale(accumulators, m, bits)",
    returns=(Output("M0", integer=True), Output("n", integer=True), Output("codes", integer=True)),
    oracle=right_rescale,
    probes=_rescale_probes,
)


def by_onnxruntime(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, multiplier: Array, y_zero_point: int
) -> Array:
    """QLinearConv of the engine, with scales whose multiplier is exact; then the ReLU, which is a lower bound."""
    # Loaded here, so that copying exercises and printing progress start at once.
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    one, outputs = np.float32(1), min(len(q_w), len(q_b), len(multiplier))
    q_w, q_b, multiplier = q_w[:outputs], q_b[:outputs], multiplier[:outputs]
    parameters = {
        "s_x": one, "z_x": np.uint8(x_zero_point), "q_w": q_w, "s_w": multiplier.astype(np.float32),
        "z_w": np.zeros(len(q_w), np.int8), "s_y": one, "z_y": np.uint8(y_zero_point), "q_b": q_b,
    }  # fmt: skip
    order = ["q_x", "s_x", "z_x", "q_w", "s_w", "z_w", "s_y", "z_y", "q_b"]
    node = helper.make_node("QLinearConv", order, ["q_y"], pads=[q_w.shape[2] // 2] * 4)
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("q_x", TensorProto.UINT8, q_x.shape)],
        [helper.make_tensor_value_info("q_y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in parameters.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    codes: Array = np.asarray(session.run(None, {"q_x": q_x})[0])
    return np.maximum(codes, np.uint8(y_zero_point))


@cache
def _first_layer() -> Probe:
    """`conv1` of the course's network on two photographs, with 7-bit weights: they saturate on no CPU."""
    network = fold("vgg32", data.load_weights("vgg32"))
    images = data.load_fashion_mnist("test").images[:2]
    seen = calibrate(network, data.to_float(data.load_fashion_mnist("train").images[:20]), title="")
    quantized = quantize_network(network, seen, weight_bits=7)
    multiplier = quantized.bias_scale("conv1") / quantized.activations["conv1"].scale
    return images[:, np.newaxis], quantized.codes["conv1"], quantized.biases["conv1"], 0, multiplier, 0


def _quantized_layer_probes() -> list[Probe]:
    rng = np.random.default_rng(65)
    image = np.array([[[[10, 12], [14, 16]]]], np.uint8)
    kernel = np.arange(1, 10, dtype=np.int8).reshape(1, 1, 3, 3)
    centre = (kernel == 5).astype(np.int8)
    at_ties = np.array([[[[10, 13], [15, 19]]]], np.uint8)
    # With m = 0.1 all of 0.5, 1.5, 2.5 ...: above the tie in float64, rounded to the tie in float32.
    next_to_ties = np.arange(5, 165, 10, dtype=np.uint8).reshape(1, 1, 4, 4)
    many = rng.integers(0, 256, (2, 3, 6, 5)).astype(np.uint8)
    weights = rng.integers(-63, 64, (4, 3, 3, 3)).astype(np.int8)
    biases = rng.integers(-9000, 9000, 4).astype(np.int32)
    return [
        (image, kernel, np.array([20], np.int32), 10, np.array([0.125], np.float32), 3),
        # Halves and an odd zero point: whether it is added before or after rounding shows.
        (at_ties, centre, np.zeros(1, np.int32), 10, np.array([0.5], np.float32), 3),
        (image, -kernel, np.array([61], np.int32), 12, np.array([0.25], np.float32), 20),
        (image, kernel, np.array([-11], np.int32), 5, np.array([0.5], np.float32), 100),
        (many, weights, biases, 120, rng.uniform(0.002, 0.01, 4).astype(np.float32), 40),
        (many, weights[:, :, :1, :1], biases // 9, 90, rng.uniform(0.005, 0.02, 4).astype(np.float32), 11),
        (
            many,
            rng.integers(-63, 64, (2, 3, 5, 5)).astype(np.int8),
            biases[:2],
            160,
            np.array([0.003, 0.006], np.float32),
            77,
        ),
        (next_to_ties, centre, np.zeros(1, np.int32), 0, np.array([0.1], np.float32), 3),
        _first_layer(),
    ]


def _precision_decides(
    q_x: Array, q_w: Array, q_b: Array, x_zero_point: int, multiplier: Array, y_zero_point: int
) -> bool:
    """Whether float32 and float64 products round to different codes: what happens there hides no other mistake."""
    arguments = q_x, q_w, q_b, x_zero_point, multiplier, y_zero_point
    return not np.array_equal(by_onnxruntime(*arguments), product_in_float64(*arguments))


def _summary(probes: Sequence[Probe], answers: Sequence[Any]) -> str:
    return f"all {answers[-1][0].size:,} codes of conv1 on two photographs are those of ONNX Runtime."


quantized_layer = Task(
    call="quantized_layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point)",
    returns=(Output("codes", integer=True),),
    oracle=by_onnxruntime,
    probes=_quantized_layer_probes,
    summary=_summary,
    seconds=20,
    divisible=False,
    degenerate=_precision_decides,
)
