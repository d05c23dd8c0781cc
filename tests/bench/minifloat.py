"""Small floats: the speed of E4M3 encode and decode beside the casts of ml_dtypes and PyTorch, on one thread."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import torch
from fewerbits.deploy.timing import paired_ratio
from fewerbits.tensor.float_formats import E4M3FN
from fewerbits.tensor.minifloat import decode, encode

SIZE = 10_000_000


def run() -> None:
    torch.set_num_threads(1)
    x = np.random.default_rng(0).standard_normal(SIZE).astype(np.float32)
    theirs = x.astype(ml_dtypes.float8_e4m3fn)
    codes = encode(x, E4M3FN, overflow="native")
    assert (codes == theirs.view(np.uint8)).all()
    tensor = torch.from_numpy(x)

    cast = paired_ratio(lambda: x.astype(ml_dtypes.float8_e4m3fn), lambda: encode(x, E4M3FN, overflow="native"))
    print(f"E4M3 encode, 1e7 float32: ml_dtypes' time over ours | {cast} | ≥ 1")
    cast = paired_ratio(lambda: tensor.to(torch.float8_e4m3fn), lambda: encode(x, E4M3FN))
    print(f"E4M3 encode, 1e7 float32, saturating: torch's time over ours | {cast} | none")
    cast = paired_ratio(lambda: theirs.astype(np.float32), lambda: decode(codes, E4M3FN))
    print(f"E4M3 decode, 1e7 codes: ml_dtypes' time over ours | {cast} | none")
