"""What can be wrong with weights, their scales, and the bias."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.graph import Graph, attribute, input_of, label
from fewerbits.diagnose.parameters import LIMITS
from fewerbits.diagnose.products import FLOAT_PRODUCTS, Product, products

# Relative: s_x·s_w in float32 is right to 6e-8; scales stored with six digits are still the same scale.
BIAS_TOLERANCE = 1e-4
# A bias code as large as this is rare but for scales that were too small; scales were then made larger on purpose.
LARGE_BIAS = 2**28


def wrong_axis(graph: Graph) -> Iterator[Finding]:
    for product in products(graph):
        w = product.w
        if w is None or w.scale is None or not w.per_channel or w.block_size:
            continue
        shape = product.codes.shape
        if product.w_axis != product.channel_axis:
            evidence = (
                f"the {w.scale.size} scales follow axis {product.w_axis} of the weights {shape}; the output channels "
                f"of {product.node.op_type} are on axis {product.channel_axis}"
            )
        elif w.scale.size != product.channels:
            evidence = f"there are {w.scale.size} scales for {product.channels} output channels, weights {shape}"
        else:
            continue
        yield Finding(
            "wrong_axis",
            label(product.node),
            evidence,
            "Compute one scale per output channel and state that axis: 0 for Conv, 1 for ConvTranspose, the last for "
            "MatMul, 0 for Gemm with transB = 1 and 1 without.",
        )


def unused_codes(graph: Graph) -> Iterator[Finding]:
    """Weights that reach less than half of the codes of any whole number of bits.

    Not a finding: weights that use exactly the codes of fewer bits (±63 in int8, or ±7). Fewer bits on purpose, and a
    scale too large, store the same integers: `notes.notes` says it.
    """
    for product in products(graph):
        limits = LIMITS.get(product.codes.dtype.name)
        if product.w is None or limits is None or not product.w.usable or product.w.block_size:
            continue
        if product.w.per_channel and product.w.scale.size != product.channels:  # type: ignore[union-attr]
            continue
        reach = _reach(product, signed=limits[0] < 0)
        largest, available = int(reach.max()), limits[1] - limits[0]
        if largest == 0 or product.w_axis != product.channel_axis:
            continue
        low = (reach > 0) & (reach < min(_steps(largest), available) // 2 - 1) & ~_corrected(product)
        if product.w.per_channel and low.any():
            few = f"{low.sum()} of {len(reach)} output channels reach at most {reach[low].max() + 1} codes"
        elif largest < available // 2 - 1 and not _whole_bits(largest):
            few = f"they reach no more than {largest + 1} of {available + 1} codes"
        else:
            continue
        yield Finding(
            "unused_codes",
            label(product.node),
            f"weights {product.codes.dtype.name}: {few}, so their scale is too large",
            "Compute the scale from the range of the weights themselves: s = max|w|/127 for int8.",
        )


def _reach(product: Product, signed: bool) -> np.ndarray:
    """The steps that each output channel needs, zero included: on both sides of it where the range is symmetric."""
    zero = product.zero_by_channel()
    centred = product.by_channel() - zero
    if product.w is not None and not product.w.per_channel:
        centred, zero = centred.reshape(1, -1), zero[:1]
    both_sides = 2 * np.abs(centred).max(axis=1)
    if signed:
        return both_sides
    # Unsigned codes with z = 2^(b−1) or one less, such as 128 or 64, are symmetric ones with an offset.
    symmetric = (np.abs(zero - 2 ** np.rint(np.log2(np.maximum(zero, 1)))) <= 1)[:, 0] & (zero[:, 0] > 1)
    spread = np.maximum(centred.max(axis=1), 0) - np.minimum(centred.min(axis=1), 0)
    return np.where(symmetric, np.maximum(both_sides, spread), spread)


def _whole_bits(reach: int) -> bool:
    """Whether codes reach to the ends of some whole number of bits: 2^b − 2 steps, or one or two more."""
    return _steps(reach) - reach <= 2


def _steps(reach: int) -> int:
    """The steps of the fewest bits that have at least `reach`, symmetric with −2^(b−1) used."""
    return int(2 ** np.ceil(np.log2(max(reach, 1))))


def _corrected(product: Product) -> np.ndarray:
    """Channels whose scale was made larger so that the bias fits in int32."""
    if product.bias is None or product.bias.size != product.channels:
        return np.zeros(1, bool)
    return np.asarray(np.abs(product.bias.astype(np.int64).ravel()) > LARGE_BIAS)


def dead_channels(graph: Graph) -> Iterator[Finding]:
    for product in products(graph):
        if product.w is None or product.w_axis != product.channel_axis or not product.w.usable:
            continue
        dead = np.flatnonzero((product.by_channel() == product.zero_by_channel()).all(axis=1))
        if dead.size:
            shown = "channels " * (dead.size > 1) or "channel "
            shown += ", ".join(map(str, dead[:8])) + (" …" if dead.size > 8 else "")
            per_channel = product.w.per_channel
            yield Finding(
                "dead_channels",
                label(product.node),
                f"all weights of {dead.size} of {product.channels} output channels have the code of zero: {shown}",
                "Check the scale of these channels. If their float weights are zeros too, remove the channels."
                if per_channel
                else "Use one scale per output channel. If the float weights are zeros too, remove the channels.",
            )


def asymmetric_weights(graph: Graph) -> Iterator[Finding]:
    for product in products(graph):
        if product.w is None or product.codes.dtype.kind != "i":
            continue
        if product.w.zero_point is None or product.w.zero_point.dtype != product.codes.dtype:
            continue
        zero = product.w.zero()
        if zero.any():
            yield Finding(
                "asymmetric_weights",
                label(product.node),
                f"{np.count_nonzero(zero)} of {zero.size} zero points of the {product.codes.dtype.name} weights are "
                f"not 0, the first is {zero[zero != 0].ravel()[0]}",
                "Quantize signed weights symmetrically, s = max|w|/127 and z = 0: it saves a sum over the input for "
                "every output, and some engines refuse anything else.",
            )


def bias_scale(graph: Graph) -> Iterator[Finding]:
    for product in products(graph):
        x, w, b = product.x, product.w, product.bias_parameters
        if x is None or w is None or b is None or product.bias is None or product.bias_node is None:
            continue
        if not (x.usable and w.usable and b.usable) or x.per_channel or _weighted(product):
            continue
        wanted = x.scale.astype(np.float64).ravel() * w.scale.astype(np.float64).ravel()  # type: ignore[union-attr]
        stated = b.scale.astype(np.float64).ravel()  # type: ignore[union-attr]
        if stated.size not in (1, wanted.size) and wanted.size != 1:
            continue
        ratio = stated / wanted
        if (np.abs(ratio - 1) <= BIAS_TOLERANCE).all():
            continue
        worst = int(np.argmax(np.abs(np.log(ratio))))
        even = (np.abs(ratio / ratio[worst] - 1) <= BIAS_TOLERANCE).all()
        off = np.count_nonzero(np.abs(ratio - 1) > BIAS_TOLERANCE)
        channel = f" in channel {worst}; {off} of {ratio.size} channels are off"
        if ratio.size > 1 and even:
            channel = f" in channel {worst}, and as many times in all {ratio.size} channels"
        elif ratio.size == 1:
            channel = ""
        text = (
            f"{label(product.bias_node)} has the bias at scale {stated[worst % stated.size]:.6g}, which is "
            f"{ratio[worst]:.4g} times s_x·s_w = {wanted[worst % wanted.size]:.6g}{channel}"
        )
        if stated.size > 1 and _close(np.sort(stated), np.sort(wanted)):
            yield Finding(
                "scales_of_other_channels",
                label(product.node),
                f"the scales of the bias are s_x·s_w in another order of the channels; {off} of {ratio.size} are off",
                "Either the scales of the weights or those of the bias are in the wrong order: put them in the order "
                "of the output channels, those of the weights as s_bias/s_x if the bias was not touched.",
            )
        elif _is_of_its_own(product, stated, wanted):
            yield Finding(
                "bias_with_its_own_scale",
                label(product.node),
                text,
                "Store the bias as int32 codes rint(b/(s_x·s_w)) with scale s_x·s_w and zero point 0: engines add the "
                "codes to the accumulator and do not look at another scale.",
            )
        else:
            pixels = min(abs(ratio[worst] / 255 - 1), abs(ratio[worst] * 255 - 1)) < 0.01 and even
            yield Finding(
                "bias_scale_is_not_the_product",
                label(product.node),
                text + (" (255: pixels of 0 … 255 in one place and of 0 … 1 in another?)" if pixels else ""),
                "One of three scales is wrong. If that of the input or of the weights was changed after the bias was "
                "stored, restore it. If that of the bias is wrong, store the bias as int32 codes rint(b/(s_x·s_w)) "
                "with scale s_x·s_w: engines add the codes to the accumulator and do not look at another scale.",
            )


def _close(left: np.ndarray, right: np.ndarray) -> bool:
    return left.shape == right.shape and bool((np.abs(left / right - 1) <= BIAS_TOLERANCE).all())


def _is_of_its_own(product: Product, stated: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether it must be the bias that is wrong: one scale for channels of different ones, or s_w or s_x alone."""
    x, w = (each.scale.astype(np.float64).ravel() for each in (product.x, product.w))  # type: ignore[union-attr]
    one_for_all = np.ptp(stated) == 0 and np.ptp(wanted) > 0
    return bool(one_for_all) or any(_close(*np.broadcast_arrays(stated, scale)) for scale in (x, w))


def _weighted(product: Product) -> bool:
    """Whether a Gemm multiplies its parts by factors, which belong to the scales."""
    return any(attribute(product.node, name, 1.0) != 1.0 for name in ("alpha", "beta"))


def bias_codes(graph: Graph) -> Iterator[Finding]:
    for product in products(graph):
        if product.bias is None or product.bias.size == 0 or product.bias.dtype.kind == "f":
            continue
        where = label(product.bias_node or product.node)
        if product.bias.dtype != np.int32:
            yield Finding(
                "bias_in_too_few_bits",
                where,
                f"the bias of {label(product.node)} has {product.bias.dtype.name} codes",
                "Store the bias as int32 at scale s_x·s_w.",
            )
            continue
        if product.bias_parameters is not None and product.bias_parameters.zero().any():
            yield Finding(
                "asymmetric_bias",
                where,
                f"the bias of {label(product.node)} has zero point {product.bias_parameters.zero().ravel()[0]}",
                "A bias has zero point 0: its codes are added to the accumulator as they are.",
            )
        # The largest float32 below 2³¹ is 2³¹ − 128: what a clip in float32 leaves.
        ends = np.abs(product.bias.astype(np.int64)) >= 2**31 - 128
        if ends.any():
            yield Finding(
                "bias_overflows_int32",
                where,
                f"{ends.sum()} of {ends.size} bias codes of {label(product.node)} are at the end of int32, the first "
                f"is {product.bias[ends].ravel()[0]}: s_x·s_w is too small for this bias",
                "Enlarge the weight scale of these channels until |b|/(s_x·s_w) fits in 31 bits.",
            )


def weights_in_float(graph: Graph) -> Iterator[Finding]:
    """Float weights under a quantized input: a note where the layer is in float as a whole and others have codes.

    That is what leaving out a layer on purpose looks like (ONNX Runtime's nodes_to_exclude).
    """
    some_have_codes = any(product.w is not None for product in products(graph))
    for node in graph.of_type(*FLOAT_PRODUCTS):
        reader = graph.dequantizer(input_of(node, 0))
        if reader is None or graph.is_weight(reader):
            continue
        value = input_of(node, 1)
        bias = graph.producer.get(input_of(node, 2)) if len(node.input) > 2 else None
        as_a_whole = some_have_codes and (bias is None or bias.op_type != "DequantizeLinear")
        producer, how = graph.producer.get(value), "has float weights though its input is quantized"
        if producer is not None and producer.op_type == "DequantizeLinear":
            quantizer = graph.producer.get(input_of(producer, 0))
            if quantizer is None or quantizer.op_type != "QuantizeLinear":
                continue
            as_a_whole = False
            value, how = input_of(quantizer, 0), "stores float weights, which are quantized anew at every start"
        weights = graph.constant(value) if value else None
        if weights is None or weights.dtype.name not in ("float32", "float16", "bfloat16", "float64"):
            continue
        yield Finding(
            "weights_in_float",
            label(node),
            f"{how}: {weights.nbytes:,} bytes, as int8 codes {weights.size:,}",
            "Store the codes: an int8 constant followed by DequantizeLinear."
            + (" If the layer was left out on purpose, leave it." if as_a_whole else ""),
            "note" if as_a_whole else "mistake",
        )


RULES = (
    wrong_axis,
    unused_codes,
    dead_channels,
    asymmetric_weights,
    bias_scale,
    bias_codes,
    weights_in_float,
)
