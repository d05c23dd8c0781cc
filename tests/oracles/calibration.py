"""Observers against those of PyTorch and ONNX Runtime, percentiles and histograms against NumPy's on all the data.

Ranges of min-max observers must be equal. A histogram is an approximation and everyone builds another, so that a
range chosen on one is compared with a tolerance, which each row explains.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from fewerbits.tensor.calibration import MSE, Entropy, MinMax, MovingAverage, Percentile
from fewerbits.tensor.histogram import Histogram
from fewerbits.tensor.observer import Observer
from fewerbits.tensor.range_search import kl_divergence
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform
from numpy.typing import NDArray

from tests.oracles.registry import Pairs, compare

Batches = list[NDArray[np.float32]]
TORCH = ("torch",)
RUNTIME = ("onnxruntime",)
TINY, LARGEST = np.float32(1e-45), np.finfo(np.float32).max


def streams(count: int, shape: tuple[int, ...] = (6, 40), seed: int = 0) -> Iterator[Batches]:
    """Streams of batches: random of every magnitude, growing, shrinking, one-sided, constant, denormal, extreme."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        magnitude = 10.0 ** rng.integers(-30, 30)
        drift = 10.0 ** (np.linspace(0, 1, 5) * rng.integers(-4, 5))
        batches = [(rng.standard_normal(shape) * magnitude * step).astype(np.float32) for step in drift]
        if index % 4 == 1:
            batches = [np.abs(batch) for batch in batches]
        elif index % 4 == 2:
            batches = [-np.abs(batch) for batch in batches]
        if index % 5 == 3:
            batches[2][0] = 0  # a dead channel
        yield batches
    yield [np.zeros(shape, np.float32)] * 3
    yield [np.full(shape, -0.0, np.float32), np.full(shape, TINY), np.full(shape, -TINY)]
    yield [np.full(shape, value, np.float32) for value in (1.5, -3e38, LARGEST / 2)]


def ordinary(count: int = 50_000, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Smooth densities, one-sided and two-sided, of unit scale."""
    rng = np.random.default_rng(seed)
    return {
        "gauss": rng.standard_normal(count).astype(np.float32),
        "laplace": rng.laplace(size=count).astype(np.float32),
        "logistic": rng.logistic(size=count).astype(np.float32),
        "student 5": rng.standard_t(5, count).astype(np.float32),
        "off centre": rng.normal(1, 1, count).astype(np.float32),
        "rectified": np.maximum(rng.standard_normal(count), 0).astype(np.float32),
    }


def watch(observer: Observer, batches: Batches) -> Any:
    for batch in batches:
        observer = observer.observe(batch)
    return observer


def torch_observer(name: str, batches: Batches, **settings: Any) -> Any:
    """An observer of torch.ao.quantization that has seen the batches; its deprecations are silenced by name."""
    import torch

    with warnings.catch_warnings():
        for message in ("torch.ao.quantization is deprecated", "Please use quant_min and quant_max"):
            warnings.filterwarnings("ignore", message=message)
        from torch.ao.quantization import observer as observers

        theirs = getattr(observers, name)(**settings)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # waking a second one takes longer than a small batch
    for batch in batches:
        theirs(torch.from_numpy(batch))
    torch.set_num_threads(threads)
    return theirs


def torch_range(theirs: Any) -> NDArray[np.float32]:
    return np.stack([theirs.min_val.numpy(), theirs.max_val.numpy()])


@compare("calibration.MinMax range", "torch", "minimum and maximum of all batches", requires=TORCH, slow=True)
def min_max() -> Pairs:
    for batches in streams(2000, (4, 8)):
        yield np.stack(watch(MinMax(), batches).range()), torch_range(torch_observer("MinMaxObserver", batches))


@compare("calibration.MinMax range per axis", "torch", "of each channel", requires=TORCH, slow=True)
def min_max_per_axis() -> Pairs:
    for axis in (0, 1, 2):
        for batches in streams(60, (65, 33, 49), seed=axis):
            theirs = torch_observer("PerChannelMinMaxObserver", batches, ch_axis=axis)
            yield np.stack(watch(MinMax(axis=axis), batches).range()), torch_range(theirs)


@compare("calibration.MovingAverage range", "torch", "m + c·(m_batch − m) in float32", requires=TORCH, slow=True)
def moving_average() -> Pairs:
    for rate in (0.01, 0.1, 0.5, 1.0):
        for batches in streams(500, (4, 8), seed=3):
            theirs = torch_observer("MovingAverageMinMaxObserver", batches, averaging_constant=rate)
            # torch overflows where two batches differ by more than the largest float32; a weighted mean need not.
            if np.isfinite(torch_range(theirs)).all():
                yield np.stack(watch(MovingAverage(rate=rate), batches).range()), torch_range(theirs)


@compare("calibration.MovingAverage range per axis", "torch", "of each channel", requires=TORCH, slow=True)
def moving_average_per_axis() -> Pairs:
    for rate in (0.01, 0.3):
        for batches in streams(60, (16, 130), seed=4):
            theirs = torch_observer(
                "MovingAveragePerChannelMinMaxObserver", batches, ch_axis=1, averaging_constant=rate
            )
            yield np.stack(watch(MovingAverage(axis=1, rate=rate), batches).range()), torch_range(theirs)


def torch_parameters(symmetric: bool, signed: bool) -> Pairs:
    """(scale, zero point) of each channel of both, where torch's smallest scale of 2^-23 is not in play."""
    import torch

    settings = {"qscheme": torch.per_channel_symmetric if symmetric else torch.per_channel_affine}
    settings["dtype"] = torch.qint8 if signed else torch.quint8
    for batches in streams(300, (20, 120), seed=5):
        theirs = torch_observer("PerChannelMinMaxObserver", batches, ch_axis=1, **settings)
        scale, zero_point = theirs.calculate_qparams()
        reach = np.abs(torch_range(theirs)).max(axis=0)
        compared = (reach > 1e-4) & (reach < 1e38)
        ours = watch(MinMax(axis=1), batches).fit(8, symmetric=symmetric, signed=signed)
        yield ours.scale[compared], scale.numpy()[compared]
        yield ours.zero_point[compared], zero_point.numpy()[compared]


@compare("calibration.MinMax.fit affine uint8", "torch", "s = (max − min)/255", requires=TORCH, slow=True)
def fit_affine_unsigned() -> Pairs:
    yield from torch_parameters(symmetric=False, signed=False)


@compare("calibration.MinMax.fit affine int8", "torch", "s = (max − min)/255", requires=TORCH, slow=True)
def fit_affine_signed() -> Pairs:
    yield from torch_parameters(symmetric=False, signed=True)


@compare(
    "calibration.MinMax.fit symmetric int8", "torch", "s = absmax/127 here, absmax/127.5 there", expect="differ",
    requires=TORCH, slow=True
)  # fmt: skip
def fit_symmetric() -> Pairs:
    yield from torch_parameters(symmetric=True, signed=True)


@compare("calibration.Histogram counts", "numpy", "np.histogram on the same edges")
def histogram_counts() -> Pairs:
    """Values on edges and beside them included; NumPy closes bins on the left, so the negative half is mirrored."""
    rng = np.random.default_rng(6)
    for batches in streams(40, (500,), seed=6):
        edges = rng.integers(-400, 400, 300).astype(np.float32) * np.abs(batches[0]).max() / np.float32(512)
        neighbours = [np.nextafter(edges, np.float32(side)) for side in (-np.inf, np.inf)]
        batches = [*batches, edges, *neighbours]
        ours = Histogram(4096)
        for batch in batches:
            ours = ours.merge(Histogram.of(batch, 4096))
        everything = np.concatenate(batches).astype(np.float64)
        width = np.float64(2) ** ours.exponent
        for sign in (1, -1):
            half = everything[everything >= 0] if sign == 1 else -everything[everything < 0]
            # 4097 edges: no value reaches the last one, which NumPy would close on the right too.
            theirs, _ = np.histogram(half, np.arange(4098) * width)
            numbers = np.arange(4097) if sign == 1 else -1 - np.arange(4097)
            inside = (numbers >= ours.first) & (numbers < ours.first + ours.counts.size)
            counts = np.zeros(4097, np.int64)
            counts[inside] = ours.counts[numbers[inside] - ours.first]
            yield counts, theirs


PERCENTS = (*np.linspace(10, 95, 35), 99.0, 99.5, 99.9, 99.99, 100.0)


@compare("calibration.Percentile affine", "numpy", "bin of np.percentile(inverted_cdf) of all the data", slow=True)
def percentile_affine() -> Pairs:
    """The bound is the outer edge of the very bin in which the exact percentile lies (or the extreme, if nearer)."""
    for x in percentile_data():
        for percent in PERCENTS:
            ours = Percentile(percent=percent).observe(x)
            width = ours.histograms[0].width
            lower = -np.percentile(-x, 50 + percent / 2, method="inverted_cdf")
            upper = np.percentile(x, 50 + percent / 2, method="inverted_cdf")
            expected = [max(edges(lower, width)[0], x.min()), min(edges(upper, width)[1], x.max())]
            yield np.array(ours.range(symmetric=False)), expected


@compare("calibration.Percentile symmetric", "numpy", "bin of np.percentile(inverted_cdf) of all magnitudes", slow=True)
def percentile_symmetric() -> Pairs:
    for x in percentile_data():
        magnitudes = np.abs(x)
        for percent in PERCENTS:
            ours = Percentile(percent=percent).observe(x)
            clip = np.percentile(magnitudes, percent, method="inverted_cdf")
            expected = min(edges(clip, ours.histograms[0].width)[1], magnitudes.max())
            yield np.abs(ours.range()).max(), expected


def percentile_data() -> Iterator[NDArray[np.float64]]:
    for index, x in enumerate([*ordinary(20_011).values(), np.zeros(77), np.full(77, -2.5), np.arange(-777.0, 20_000)]):
        yield x[index:].astype(np.float64)


def edges(value: float, width: float) -> tuple[float, float]:
    """The edges of the bin that holds `value`: [k·w, (k+1)·w), or its mirror image below zero."""
    inner = np.floor(abs(value) / width) * width
    return (inner, inner + width) if value >= 0 else (-inner - width, -inner)


@compare(
    "calibration.Percentile", "onnxruntime", "percentile of magnitudes, 2048 bins", tolerance=3e-3, requires=RUNTIME,
    reason="relative to the range: one bin there (it takes the inner edge) and one here",
)  # fmt: skip
def percentile_runtime() -> Pairs:
    for x in ordinary().values():
        for percent in (90.0, 99.0, 99.9):
            theirs = runtime_range("percentile", np.split(x, 5), 2048, 128, percent)
            yield (
                np.abs(Percentile(percent=percent).observe(x).range()).max() / np.abs(x).max(),
                np.abs(theirs).max() / np.abs(x).max(),
            )


def runtime_range(method: str, batches: Batches, bins: int, levels: int, percent: float = 99.9) -> NDArray[Any]:
    """(minimum, maximum) of ONNX Runtime's histogram calibrator, which prints as it goes."""
    from onnxruntime.quantization.calibrate import HistogramCollector

    collector = HistogramCollector(method, True, bins, levels, percent, "same")
    with contextlib.redirect_stdout(io.StringIO()):
        for batch in batches:
            collector.collect({"x": batch})
        return np.array(collector.compute_collection_result()["x"][:2], np.float64)


@compare(
    "calibration.Entropy 5 and 7 bits", "onnxruntime", "lowest KL divergence, 1024 bins", tolerance=0.25,
    requires=RUNTIME, slow=True,
    reason="it rounds the expanded counts to integers, smooths zeros and adds what does not divide to the last level",
)  # fmt: skip
def entropy_runtime() -> Pairs:
    for name in ("gauss", "laplace", "student 5"):
        x = ordinary(200_000)[name]
        for bits in (5, 7):
            theirs = runtime_range("entropy", np.split(x, 2), 1024, 2**bits - 1)
            yield Entropy(bins=1024).observe(x).range(bits)[1], np.abs(theirs).max()


@compare(
    "calibration.Entropy default bins", "onnxruntime", "128 bins for 128 levels: it can only keep all", expect="differ",
    requires=RUNTIME,
)  # fmt: skip
def entropy_runtime_default() -> Pairs:
    for x in ordinary().values():
        x = np.append(x, np.float32(100))
        yield Entropy().observe(x).range()[1], runtime_range("entropy", [x], 128, 128)[1]


@compare(
    "calibration.kl_divergence", "onnxruntime", "Σ p·log(p/q) of counts", tolerance=2e-5, requires=RUNTIME, slow=True,
    reason="theirs is computed and summed in float32",
)  # fmt: skip
def divergence_runtime() -> Pairs:
    yield from divergences(empty=0)


@compare(
    "calibration.kl_divergence with p = 0", "onnxruntime", "0·log 0 is 0 here, infinite there (it smooths first)",
    expect="differ", requires=RUNTIME, slow=True,
)  # fmt: skip
def divergence_of_empty_bins() -> Pairs:
    yield from divergences(empty=1)


def divergences(empty: int) -> Pairs:
    """Of histograms of every size, the first `empty` bins of p being empty; in one of ten q has an empty bin too."""
    from onnxruntime.quantization.calibrate import entropy

    rng = np.random.default_rng(7)
    for size in rng.integers(2, 300, 10_000):
        p, q = rng.integers(1, 50, (2, size))
        p[:empty] = 0
        q[-1] *= rng.random() < 0.9
        with np.errstate(divide="ignore", invalid="ignore"):
            theirs = entropy(p, q)
        yield kl_divergence(p, q), theirs


@compare(
    "calibration.MSE symmetric", "torch", "error of the range against exhaustive fake_quantize", tolerance=3e-3,
    requires=TORCH, slow=True,
    reason="relative: a histogram of 4096 bins and 60 to 300 candidates against 400 clips on the data",
)  # fmt: skip
def mse_symmetric() -> Pairs:
    import torch

    for x in ordinary(10_000, seed=8).values():
        values = torch.from_numpy(x)
        for bits in (2, 3, 4, 8):
            low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
            steps = np.linspace(0.02, 1, 400) * np.abs(x).max() / high
            errors = [
                float(((torch.fake_quantize_per_tensor_affine(values, s, 0, low, high) - values) ** 2).mean())
                for s in steps
            ]
            ours = MSE().observe(x).fit(bits)
            yield squared(x, ours) / min(errors), 1.0


@compare(
    "calibration.MSE affine uint8", "torch", "error against HistogramObserver: at most theirs", requires=TORCH,
    slow=True,
)  # fmt: skip
def mse_histogram_observer() -> Pairs:
    """Loose by nature: torch's search stops at its first rise and counts no zero point, so ours may only be better."""
    import torch

    for x in [*ordinary(20_000, seed=9).values(), np.append(ordinary(20_000)["gauss"], np.float32(30))]:
        scale, zero_point = torch_observer("HistogramObserver", np.split(x[: len(x) // 4 * 4], 4)).calculate_qparams()
        theirs = torch.fake_quantize_per_tensor_affine(torch.from_numpy(x), float(scale), int(zero_point), 0, 255)
        ours = squared(x, MSE().observe(x).fit(8, symmetric=False, signed=False))
        yield ours <= 1.001 * float(np.square(theirs.numpy().astype(np.float64) - x).mean()), True


def squared(x: NDArray[np.float32], scheme: Uniform) -> float:
    return float(np.square(x.astype(np.float64) - fake_quantize(scheme, x)).mean())
