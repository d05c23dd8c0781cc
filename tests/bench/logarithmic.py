"""Base-2 codes from the exponent bits against the formula with np.log2, both from float32."""

from __future__ import annotations

import numpy as np
from fewerbits.deploy.timing import paired_ratio
from fewerbits.tensor.logarithmic import Logarithmic
from numpy.typing import NDArray


def run() -> None:
    for size, pairs, target in (
        (10**6, 21, "reported only"),
        (10**7, 15, "≥ 3"),
    ):
        x = np.random.default_rng(0).standard_normal(size, np.float32)
        scheme = Logarithmic.fit(x, bits=4)

        def naive(x: NDArray[np.float32] = x, scheme: Logarithmic = scheme) -> NDArray[np.int8]:
            with np.errstate(divide="ignore"):
                exponents = np.rint(np.log2(np.abs(x)))
            magnitudes = np.clip(exponents - (scheme.top_exponent - scheme.largest_code), 0, scheme.largest_code)
            return (np.sign(x) * magnitudes).astype(np.int8)

        ratio = paired_ratio(naive, lambda x=x, scheme=scheme: scheme.quantize(x), pairs)
        print(f"log2 codes, {size:.0e} float32: exponent bits against np.log2 | {ratio} | {target}")
