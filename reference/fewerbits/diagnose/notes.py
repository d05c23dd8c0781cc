"""What may be meant so, and costs much if not: a file cannot tell, so these are notes and no findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.graph import Graph, label
from fewerbits.diagnose.parameters import LIMITS
from fewerbits.diagnose.products import products
from fewerbits.diagnose.words import finding

# Four bits lost: what makes a channel small, and a code an outlier (`diagnose`, which sees the values, says two).
# So many different codes of weights about zero have one sign by chance once in a million layers.
ONE_SIGN = 20
LOST, OUTLIER_RATIO, LEAST_CODES = 16, 16, 100


def notes(graph: Graph) -> Iterator[Finding]:
    """Weights with unused bits, with channels much smaller than others, with one code far from the rest."""
    for product in products(graph):
        limits = LIMITS.get(product.codes.dtype.name)
        if product.w is None or limits is None or not product.w.usable or product.w.block_size:
            continue
        if product.w_axis != product.channel_axis or product.w.scale.size not in (1, product.channels):  # type: ignore[union-attr]
            continue
        where, available = label(product.node), limits[1] - limits[0]
        zero = product.zero_by_channel()
        centred = product.by_channel() - zero
        if product.bias is not None and product.bias.size > 1 and not product.bias.any():
            yield _note("bias_forgotten", where, f"all {product.bias.size} bias codes are 0")
        if limits[0] < 0 and np.unique(centred[centred != 0]).size >= ONE_SIGN and centred.min() >= 0:
            yield _note("sign_lost", where, f"none of {centred.size:,} weights is negative")
        magnitudes = np.abs(centred)
        if not magnitudes.any():
            continue
        fewer, bits = int(np.ptp(np.append(centred, 0))).bit_length(), int(available).bit_length()
        if fewer <= bits - 2:  # one bit less is common: reduce_range
            text = f"all its codes fit in {fewer} of {bits} bits"
            yield _note("codes_of_fewer_bits", where, text)
        per_channel = magnitudes.max(axis=1)
        small = (per_channel > 0) & (per_channel * LOST < per_channel.max())
        if small.any() and not product.w.per_channel:
            text = (
                f"{small.sum()} of {product.channels} output channels have no code beyond ±{per_channel[small].max()}"
            )
            yield _note("one_scale_for_all_channels", where, f"{text}, others reach {per_channel.max()}")
        groups = magnitudes if product.w.per_channel else magnitudes.reshape(1, -1)
        if groups.shape[1] >= LEAST_CODES:
            top = np.partition(groups, groups.shape[1] - 2, axis=1)[:, -2:]
            far = top[:, 1] > OUTLIER_RATIO * np.maximum(top[:, 0], 1)
            if far.any():
                first = int(np.flatnonzero(far)[0])
                text = f"one code is {top[first, 1]} steps from zero, and all others are at most {top[first, 0]}"
                text += f" (channel {first}; so in {far.sum()} of {len(far)})" if len(far) > 1 else ""
                yield _note("one_outlier_takes_the_range", where, text)


def _note(name: str, where: str, evidence: str) -> Finding:
    return replace(finding(name, where, evidence), level="note")
