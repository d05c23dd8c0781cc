"""The risk of 16-bit saturation in products of uint8 and int8 on x86 CPUs without VNNI."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.graph import Graph, attribute, label
from fewerbits.diagnose.products import Product, products
from fewerbits.network.saturating import pairs_at_risk


def saturation(graph: Graph) -> Iterator[Finding]:
    """Layers in which two neighbouring products can exceed 16 bits (vpmaddubsw), with the worst pair of weights."""
    for product in products(graph):
        if product.x_type != "uint8" or product.codes.dtype != np.int8:
            continue
        if product.node.op_type == "ConvTranspose" or _is_depthwise(product):
            continue  # computed in float, and by another kernel
        moved = np.moveaxis(product.codes, product.channel_axis, 0)
        if moved.ndim > 2:
            moved = np.moveaxis(moved, 1, -1)  # kernel rows, columns, then channels: the order of the sum
        columns = np.ascontiguousarray(moved.reshape(len(moved), -1).T)
        risky = pairs_at_risk(columns)
        if not risky.any():
            continue
        wide = np.pad(columns.astype(np.int64), ((0, len(columns) % 2), (0, 0)))
        even, odd = wide[0::2], wide[1::2]
        reach = 255 * np.maximum(np.maximum(even, 0) + np.maximum(odd, 0), -(np.minimum(even, 0) + np.minimum(odd, 0)))
        pair, channel = np.unravel_index(int(reach.argmax()), reach.shape)
        yield Finding(
            "saturates_without_vnni",
            label(product.node),
            f"{risky.sum():,} of {risky.size:,} pairs of weights can saturate; the worst, {even[pair, channel]} and "
            f"{odd[pair, channel]} in output channel {channel}, reaches ±{reach.max():,}, and 16 bits end at 32,767",
            "For x86 CPUs without VNNI quantize weights to 7 bits (|q| ≤ 64; ONNX Runtime: reduce_range=True), or use "
            "uint8 weights. Other CPUs need nothing.",
            level="risk",
        )


def _is_depthwise(product: Product) -> bool:
    group = attribute(product.node, "group", 1)
    return group > 1 and product.codes.ndim > 2 and product.codes.shape[:2] == (group, 1)
