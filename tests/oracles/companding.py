"""The telephone codec against the C code in `audioop`; the smooth curves against PyTorch in float64."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType
from typing import Any

import numpy as np
from fewerbits.tensor.companding import Companding, mu_law_decode, mu_law_encode

from tests.oracles.registry import Pairs, compare


def audioop() -> ModuleType:
    """In the standard library up to 3.12, which warns that it will go; then the package audioop-lts."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'audioop' is deprecated", category=DeprecationWarning)
        return importlib.import_module("audioop")


@compare("companding.mu_law_encode", "audioop", "G.711 of every 16-bit sample", requires=("audioop",))
def encode_every_sample() -> Pairs:
    samples = np.arange(-(2**15), 2**15).astype(np.int16)
    yield mu_law_encode(samples), np.frombuffer(audioop().lin2ulaw(samples.tobytes(), 2), np.uint8)


@compare("companding.mu_law_decode", "audioop", "G.711 of every code", requires=("audioop",))
def decode_every_code() -> Pairs:
    codes = np.arange(256, dtype=np.uint8)
    yield mu_law_decode(codes), np.frombuffer(audioop().ulaw2lin(codes.tobytes(), 2), np.int16)


def torch_curve(scheme: Companding, u: Any) -> Any:
    """c(|u|) with the sign of u, written without expm1 and log1p."""
    import torch

    strength = torch.tensor(scheme.strength, dtype=torch.float64)
    if scheme.compressor == "mu_law":
        return torch.copysign(torch.log(1 + strength * u.abs()) / torch.log(1 + strength), u)
    return torch.copysign((1 - torch.exp(-strength * u.abs())) / (1 - torch.exp(-strength)), u)


SCHEMES = [
    Companding(scale, bits, compressor, strength)
    for scale in (1.0, 3e-5, 1e30)
    for bits in (2, 4, 8, 12)
    for compressor, strength in (("mu_law", 255.0), ("mu_law", 5.0), ("exponential", 1.0), ("exponential", 8.0))
]


@compare("companding.quantize", "torch", "round(P·c(x/s)) in float64, values around each threshold included")
def quantize_torch() -> Pairs:
    import torch

    rng = np.random.default_rng(0)
    for scheme in SCHEMES:
        levels = scheme.dequantize(np.arange(-scheme.largest_code, scheme.largest_code + 1)).astype(np.float64)
        # Just off the thresholds: at one itself the last digits of log and log1p decide.
        halves = scheme.expand((np.arange(scheme.largest_code) + 0.5) / scheme.largest_code) * scheme.scale
        near = np.concatenate((halves * (1 - 1e-9), halves * (1 + 1e-9)))
        random = rng.uniform(-1.2, 1.2, 2000) * scheme.scale
        x = np.concatenate((levels, near, -near, random, [0.0, 5e-324, 1e300]))
        u = (torch.from_numpy(x) / scheme.scale).clamp(-1, 1)
        yield scheme.quantize(x), torch.round(torch_curve(scheme, u) * scheme.largest_code).int().numpy()


@compare(
    "companding.dequantize", "torch", "s·c⁻¹(q/P) in float64, rounded to float32", tolerance=2e-7, reason="cancellation"
)
def dequantize_torch() -> Pairs:
    import torch

    for scheme in SCHEMES:
        codes = np.arange(-scheme.largest_code, scheme.largest_code + 1)
        y = torch.from_numpy(codes).double() / scheme.largest_code
        strength = torch.tensor(scheme.strength, dtype=torch.float64)
        if scheme.compressor == "mu_law":
            u = (torch.pow(1 + strength, y.abs()) - 1) / strength
        else:
            u = -torch.log(1 - y.abs() * (1 - torch.exp(-strength))) / strength
        yield scheme.dequantize(codes) / scheme.scale, torch.copysign(u, y).float().numpy()
