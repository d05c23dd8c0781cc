"""What can be wrong with scales and zero points alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.graph import MOVES, Codes, Graph, attribute, input_of, label, number

LIMITS = {
    "int2": (-2, 1), "uint2": (0, 3), "int4": (-8, 7), "uint4": (0, 15), "int8": (-128, 127), "uint8": (0, 255),
    "int16": (-(2**15), 2**15 - 1), "uint16": (0, 2**16 - 1), "int32": (-(2**31), 2**31 - 1),
}  # fmt: skip
SMALLEST_NORMAL = {"float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}
MIXERS = {"Concat", "Add", "Sub", "Mul", "Sum", "Max", "Min", "Where"}


def every_use(graph: Graph) -> Iterator[Codes]:
    """All codes that nodes read or write with parameters of their own."""
    for node in graph.nodes:
        yield from graph.reads(node)
        if written := graph.writes(node):
            yield written


def _stated_once(graph: Graph) -> Iterator[Codes]:
    """As `every_use`, each pair of scale and zero point once: a Q and its DQ share their constants."""
    seen = set()
    for use in every_use(graph):
        names = tuple(name for name in use.node.input if name and graph.is_constant(name) and name != use.value)
        if (key := names or (label(use.node),)) not in seen:
            seen.add(key)
            yield use


def parameters_of_another_shape(graph: Graph) -> Iterator[Finding]:
    for use in _stated_once(graph):
        scale, zero = use.parameters.scale, use.parameters.zero_point
        if scale is not None and not use.parameters.fits:
            yield Finding(
                "parameters_of_another_shape",
                label(use.node),
                f"the codes {use.value!r} have {scale.size} scales and {0 if zero is None else zero.size} zero points",
                "Store one zero point for each scale, in the same shape.",
            )


def scale_not_positive(graph: Graph) -> Iterator[Finding]:
    for use in _stated_once(graph):
        scale = use.parameters.scale
        if scale is None or scale.dtype.kind != "f" or not use.parameters.fits or use.parameters.usable:
            continue
        wrong = scale.ravel()[~(np.isfinite(scale) & (scale > 0)).ravel()]
        yield Finding(
            "scale_not_positive",
            label(use.node),
            f"{wrong.size} of {scale.size} scales of {use.value!r} are not positive numbers, the first is {wrong[0]}",
            "Look for NaN, infinity or only zeros in the data of calibration; give zeros the scale 1.",
        )


def denormal_scale(graph: Graph) -> Iterator[Finding]:
    for use in _stated_once(graph):
        scale = use.parameters.scale
        if scale is None or scale.dtype.name not in SMALLEST_NORMAL or not use.parameters.usable:
            continue
        small = scale.astype(np.float64) < SMALLEST_NORMAL[scale.dtype.name]
        if small.any() and not _is_bias(graph, use):
            yield Finding(
                "denormal_scale",
                label(use.node),
                f"{small.sum()} of {scale.size} scales of {use.value!r} are denormal, the least is {scale.min():.3g}; "
                "engines may flush it to zero, and 1/s may be infinite",
                "Give a tensor or channel of zeros, or nearly so, the scale 1.",
            )


def _is_bias(graph: Graph, use: Codes) -> bool:
    """Whether the codes are a bias: s_x·s_w may well be small."""
    codes = graph.constant(use.value) if graph.is_constant(use.value) else None
    return codes is not None and codes.dtype == np.int32


def zero_point_of_another_type(graph: Graph) -> Iterator[Finding]:
    for use in every_use(graph):
        zero = use.parameters.zero_point
        if zero is None or zero.size == 0:
            continue
        wanted = _type_of_codes(graph, use)
        if wanted is None or wanted == zero.dtype.name:
            continue
        limits = LIMITS.get(wanted)
        outside = limits is not None and bool(((zero < limits[0]) | (zero > limits[1])).any())
        fractional = zero.dtype.kind == "f" and limits is not None
        if outside or fractional:
            what = f"zero point {number(zero)} ({zero.dtype.name})" if fractional else f"zero point {zero.ravel()[0]}"
            yield Finding(
                "range_without_zero",
                label(use.node),
                f"the codes {use.value!r} are {wanted}, and {what} is none of them: no code stands for zero",
                "Widen the range so that it contains 0, round the zero point, and quantize again.",
            )
        else:
            yield Finding(
                "zero_point_of_another_type",
                label(use.node),
                f"the codes {use.value!r} are {wanted}, their zero point is {zero.dtype.name}",
                f"Store the zero point as {wanted}: it is one of the codes.",
            )


def _type_of_codes(graph: Graph, use: Codes) -> str | None:
    """The type of codes as the node itself or their writer says; None when nothing but the zero point says it."""
    if graph.is_constant(use.value):
        codes = graph.constant(use.value)
        return None if codes is None else codes.dtype.name
    writer = graph.written.get(use.value)
    if writer is None or writer.node is use.node:
        kind = attribute(use.node, "output_dtype", 0) if use.node.op_type == "QuantizeLinear" else 0
        names = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 21: "uint4", 22: "int4"}
        return names.get(kind)
    zero = writer.parameters.zero_point
    return "uint8" if zero is None else zero.dtype.name


def range_without_zero(graph: Graph) -> Iterator[Finding]:
    """Codes clipped to a range that does not hold their zero point (fewer bits than the type: Q, Clip, DQ)."""
    for node in graph.of_type("Clip"):
        writer = graph.written.get(input_of(node, 0))
        if writer is None or not writer.parameters.usable:
            continue
        ends = [graph.constant(input_of(node, place)) if input_of(node, place) else None for place in (1, 2)]
        low, high = (float(end.reshape(())) if end is not None and end.size == 1 else None for end in ends)
        zero = writer.parameters.zero()
        if (low is not None and (zero < low).any()) or (high is not None and (zero > high).any()):
            yield Finding(
                "range_without_zero",
                label(node),
                f"the codes are clipped to {low} … {high}, and the zero point {zero.ravel()[0]} is none of them: "
                "no code stands for zero",
                "Widen the range so that it contains 0, and compute the zero point for the codes that remain.",
            )


def codes_read_with_other_parameters(graph: Graph) -> Iterator[Finding]:
    for node in graph.nodes:
        for read in graph.reads(node):
            writer = graph.written.get(read.value)
            if writer is None or writer.parameters.same_as(read.parameters):
                continue
            if not _comparable(writer, read):
                continue
            yield Finding(
                "codes_read_with_other_parameters",
                label(node),
                f"{label(writer.node)} writes {read.value!r} with {writer.parameters}, this node reads it with "
                f"{read.parameters}",
                "Give writer and reader the same scale and zero point.",
            )


def _comparable(first: Codes, second: Codes) -> bool:
    """Whether both have positive scales and zero points of one type; other rules speak of those that do not."""
    zero_points = first.parameters.zero_point, second.parameters.zero_point
    types = {None if zero is None else zero.dtype for zero in zero_points}
    return first.parameters.usable and second.parameters.usable and len(types) == 1


def codes_of_different_scales(graph: Graph) -> Iterator[Finding]:
    for node in graph.of_type(*MIXERS):
        inputs = list(node.input)[1:] if node.op_type == "Where" else list(node.input)
        writers = [graph.written[value] for value in inputs if value in graph.written]
        other = next((each for each in writers[1:] if not each.parameters.same_as(writers[0].parameters)), None)
        if other is not None:
            yield Finding(
                "codes_of_different_scales",
                label(node),
                f"{node.op_type} takes codes with {writers[0].parameters} (from {label(writers[0].node)}) together "
                f"with codes with {other.parameters} (from {label(other.node)})",
                "Dequantize both sides, or requantize one to the parameters of the other first.",
            )


def quantized_twice(graph: Graph) -> Iterator[Finding]:
    """Codes read back and quantized again with other parameters, while nothing else needs the first codes."""
    for node in graph.of_type("QuantizeLinear"):
        value, between = input_of(node, 0), graph.producer.get(input_of(node, 0))
        while between is not None and between.op_type in MOVES and len(graph.consumers[value]) == 1:
            value = input_of(between, 0)
            between = graph.producer.get(value)
        if between is None or between.op_type != "DequantizeLinear" or len(graph.consumers[value]) != 1:
            continue
        codes = input_of(between, 0)
        first, second = graph.written.get(codes), graph.writes(node)
        if first is None or second is None or len(graph.consumers[codes]) != 1 or codes in graph.outputs:
            continue
        if not _comparable(first, second) or first.parameters.same_as(second.parameters):
            continue
        if feeds_a_mixer(graph, second.value):
            continue
        yield Finding(
            "quantized_twice",
            label(node),
            f"quantizes with {second.parameters} what {label(first.node)} has just quantized with {first.parameters}: "
            "values are rounded and clipped twice",
            "Quantize once, with the second scale and zero point, and take out the first pair.",
        )


def feeds_a_mixer(graph: Graph, codes: str) -> bool:
    """Whether the codes were made to share their parameters with those of another branch."""
    for reader in graph.consumers[codes]:
        further = [node for output in reader.output for node in graph.consumers[output]]
        if any(node.op_type in MIXERS or node.op_type == "QLinearConcat" for node in (reader, *further)):
            return True
    return False


RULES = (
    parameters_of_another_shape,
    scale_not_positive,
    denormal_scale,
    zero_point_of_another_type,
    range_without_zero,
    codes_read_with_other_parameters,
    codes_of_different_scales,
    quantized_twice,
)
