"""What can be wrong with the way through a graph: data that has one sign, and floats between codes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import NodeProto

from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.graph import MOVES, Graph, input_of, label
from fewerbits.diagnose.parameters import LIMITS, feeds_a_mixer
from fewerbits.diagnose.products import stored_codes

POSITIVE = {
    "Relu",
    "Sigmoid",
    "Softmax",
    "HardSigmoid",
    "Exp",
    "Abs",
    "Sqrt",
    "Softplus",
    "QLinearSigmoid",
    "QLinearSoftmax",
}
AVERAGES = {"AveragePool", "GlobalAveragePool", "QLinearAveragePool", "QLinearGlobalAveragePool", "ReduceMean",
            "QLinearReduceMean", "ReduceMax"}  # fmt: skip
KEEP_SIGN = MOVES | AVERAGES | {"QuantizeLinear", "DequantizeLinear"}
KEEP_SIGN_OF_ALL = {"Add", "Mul", "Sum", "Max", "Concat", "QLinearAdd", "QLinearMul", "QLinearConcat"}
PRODUCTS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# Operators for which engines have integer kernels.
KERNELS = PRODUCTS | AVERAGES | {"Add", "Mul", "Sub", "Concat", "Sigmoid", "LeakyRelu", "Softmax", "Resize", "Where"}
# What a kernel does on the way to its codes, or what changes no number.
FUSED = MOVES | {"Relu", "Clip", "Cast"}
SHAPES = {"Shape", "Size", "ArgMax", "ArgMin", "NonZero"}
# Values of these lie within −1 … 1. Two bits lost is more than a calibration with headroom.
WITHIN_ONE = {"Sigmoid", "Softmax", "HardSigmoid", "Tanh", "QLinearSigmoid", "QLinearSoftmax"}
MOST_BEYOND = 4
# Below zero lies at least an eighth of the codes: well beyond what a calibration that clips could leave.
MOST_UNUSED = 1 / 8


def nonnegative_values(graph: Graph) -> set[str]:
    """Values, in numbers or in codes, that are never below zero, as far as the operators say it."""
    known: set[str] = set()
    for node in graph.nodes:
        if node.op_type in POSITIVE or _is_clip_at_zero(graph, node):
            holds = True
        elif node.op_type in KEEP_SIGN:
            holds = input_of(node, 0) in known
        elif node.op_type in KEEP_SIGN_OF_ALL:
            operands = [codes.value for codes in graph.reads(node)] or [value for value in node.input if value]
            holds = bool(operands) and all(value in known for value in operands)
        else:
            holds = False
        if holds or _unused_share(graph, node) == 0:
            known |= {output for output in node.output if output}
    return known


def _is_clip_at_zero(graph: Graph, node: NodeProto) -> bool:
    if node.op_type != "Clip":
        return False
    lowest = graph.constant(input_of(node, 1)) if input_of(node, 1) else None
    attributes = {found.name: found.f for found in node.attribute}
    low = attributes.get("min") if lowest is None or lowest.size != 1 else float(lowest.reshape(()))
    return low is not None and low >= 0 and input_of(node, 0) not in graph.written


def _unused_share(graph: Graph, node: NodeProto) -> float | None:
    """The share of codes below the zero point of what a node writes; None when it writes no codes per tensor."""
    written = graph.writes(node)
    if written is None or not written.parameters.usable or written.parameters.per_channel:
        return None
    zero = written.parameters.zero_point
    if zero is not None and zero.size != 1:
        return None
    low, high = LIMITS.get("uint8" if zero is None else zero.dtype.name, (0, 0))
    return None if high == low else (int(written.parameters.zero().reshape(())) - low) / (high - low)


def signed_codes_for_nonnegative_values(graph: Graph) -> Iterator[Finding]:
    known, on_purpose = nonnegative_values(graph), _all_symmetric(graph)
    for node in graph.nodes:
        share, written = _unused_share(graph, node), graph.writes(node)
        if share is None or written is None or share < MOST_UNUSED or written.value not in known:
            continue
        if _passes_on(graph, node):
            continue
        yield Finding(
            "symmetric_range_for_one_sided_data",
            label(node),
            f"what it quantizes is never negative, and the zero point {written.parameters.zero().item()} leaves "
            f"{share:.0%} of the codes to negative values",
            "Give the range 0 … max all codes: zero point 0 for uint8, −128 for int8."
            + (" All activations here are symmetric; if the engine wants that, leave it." if on_purpose else ""),
            "note" if on_purpose else "mistake",
        )


def _all_symmetric(graph: Graph) -> bool:
    """Whether every activation has the zero point of a symmetric range: an option of quantizers for some engines."""
    zeros = []
    for node in graph.nodes:
        written = graph.writes(node)
        # The range of a softmax is fixed, whatever the option says.
        source = graph.producer.get(input_of(node, 0))
        fixed = node.op_type == "QLinearSoftmax" or (source is not None and source.op_type == "Softmax")
        if written is not None and written.parameters.usable and not fixed:
            zeros.append(written.parameters)
    middles = {name: ((low + high) // 2, (low + high + 1) // 2) for name, (low, high) in LIMITS.items()}
    return len(zeros) > 2 and all(
        each.zero_point is not None and np.isin(each.zero_point, middles.get(each.zero_point.dtype.name, ())).all()
        for each in zeros
    )


def range_beyond_the_function(graph: Graph) -> Iterator[Finding]:
    """Codes for far larger values than an operator can give: a sigmoid lies in 0 … 1."""
    for node in graph.nodes:
        written, source = graph.writes(node), node
        if written is None or not written.parameters.usable or written.parameters.per_channel:
            continue
        if node.op_type == "QuantizeLinear":
            source = graph.producer.get(input_of(node, 0), node)
        zero_point = written.parameters.zero_point
        limits = LIMITS.get("uint8" if zero_point is None else zero_point.dtype.name)
        if source.op_type not in WITHIN_ONE or limits is None or feeds_a_mixer(graph, written.value):
            continue
        scale, zero = written.parameters.scale.item(), written.parameters.zero().item()  # type: ignore[union-attr]
        reach = scale * (limits[1] - zero)
        if reach > MOST_BEYOND:
            yield Finding(
                "range_too_wide",
                label(node),
                f"{source.op_type} gives values up to 1, and the codes reach to {reach:.4g}: only about "
                f"{max(round(1 / scale), 0) + 1} codes from 0 to 1 are used",
                "Take the scale from the range of the values, 1/255 for uint8 and 0 … 1.",
            )


def _passes_on(graph: Graph, node: NodeProto) -> bool:
    """Whether the codes have the parameters of codes that were only moved or averaged: the finding is theirs."""
    written, value = graph.writes(node), input_of(node, 0)
    source = graph.producer.get(value)
    while source is not None and source.op_type in MOVES | AVERAGES and not graph.reads(source):
        source = graph.producer.get(input_of(source, 0))
    reads = (
        graph.reads(source) if source is not None and source.op_type == "DequantizeLinear" else graph.reads(node)[:1]
    )
    return bool(reads) and written is not None and reads[0].parameters.same_as(written.parameters)


def float_between_codes(graph: Graph) -> Iterator[Finding]:
    """Float operators between codes: a note where none of them has weights in codes.

    Whoever leaves out operators on purpose (ONNX Runtime's nodes_to_exclude) leaves them out as a whole.
    """
    for region in regions(graph):
        counted = [node for node in region if node.op_type not in FUSED]
        batch_norm = next((node for node in counted if node.op_type == "BatchNormalization"), None)
        if batch_norm is not None:
            yield Finding(
                "float_between_codes",
                label(batch_norm),
                "a batch normalization runs in float between quantized operators",
                "Fold it into the convolution before it (after it, where that has no padding), and quantize again.",
            )
        elif len(counted) > 1 and (
            all(node.op_type in KERNELS for node in counted) or any(node.op_type in PRODUCTS for node in counted)
        ):
            first, second = counted[0], counted[1]
            products = (node for node in counted if node.op_type in PRODUCTS)
            half_quantized = any(stored_codes(graph, input_of(node, 1)) for node in products)
            yield Finding(
                "float_between_codes",
                label(first),
                f"the result of {first.op_type} {label(first)!r} goes to {second.op_type} {label(second)!r} without "
                "QuantizeLinear and DequantizeLinear between them: engines run both in float",
                f"Calibrate the output of {label(first)!r} and quantize it.{'' if half_quantized else ON_PURPOSE}",
                "mistake" if half_quantized else "note",
            )
        elif len(counted) == 1 and (constant := _float_operand(graph, counted[0])):
            yield Finding(
                "float_between_codes",
                label(counted[0]),
                f"{counted[0].op_type} between quantized operators reads {constant!r} in float: it runs in float",
                f"Quantize the constant as well: codes followed by DequantizeLinear.{ON_PURPOSE}",
                "note",
            )


ON_PURPOSE = " If it was left out on purpose, leave it."


def _float_operand(graph: Graph, node: NodeProto) -> str | None:
    if node.op_type not in ("Add", "Sub", "Mul", "Div"):
        return None
    return next((value for value in node.input if graph.is_constant(value)), None)


def regions(graph: Graph) -> list[list[NodeProto]]:
    """Float operators between DequantizeLinear of data and QuantizeLinear, in groups that values connect."""
    after: set[str] = set()
    for node in graph.nodes:
        if node.op_type == "DequantizeLinear":
            after |= set() if graph.is_weight(node) else set(node.output)
        elif _is_float(graph, node) and any(value in after for value in node.input):
            after |= set(node.output)
    before: set[str] = set()
    for node in reversed(graph.nodes):
        if node.op_type == "QuantizeLinear" or (
            _is_float(graph, node) and any(output in before for output in node.output)
        ):
            before |= set(list(node.input)[:1] if node.op_type == "QuantizeLinear" else node.input)
    groups: dict[str, list[NodeProto]] = {}
    for node in graph.nodes:
        between = any(value in after for value in node.input) and any(output in before for output in node.output)
        if not (between and _is_float(graph, node)):
            continue
        joined, seen = [], set()
        for value in node.input:
            group = groups.get(value)
            if group is not None and id(group) not in seen:
                seen.add(id(group))
                joined.append(group)
        merged = [*(member for group in joined for member in group), node]
        for member in merged:
            groups |= dict.fromkeys(member.output, merged)
    unique = {id(group): group for group in groups.values()}
    return list(unique.values())


def _is_float(graph: Graph, node: NodeProto) -> bool:
    """Whether a node computes in float: it neither reads nor writes codes with parameters."""
    quantizes = node.op_type in ("QuantizeLinear", "DequantizeLinear") or graph.reads(node) or graph.writes(node)
    return not quantizes and node.op_type not in SHAPES and node.op_type != "Constant"


RULES = (signed_codes_for_nonnegative_values, range_beyond_the_function, float_between_codes)
