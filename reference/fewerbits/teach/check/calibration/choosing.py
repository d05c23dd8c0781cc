"""What is chosen: the two errors, the best clip, the analytic clip, and ranges of real layers on new images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits import data
from fewerbits.network.folding import fold
from fewerbits.teach.check.task import Between, Output, Probe, Task

Array = NDArray[Any]
# How much more than the least error, found by trying 400 clips, a good clip may cost.
MOST_EXCESS = 0.02
LAYERS = ("conv2", "conv4", "conv6")
# By bits. At 4 the least squared error reaches 19.7 dB and more, at 8 37 and more. A percentile that reaches the first
# (99.97 and below) stays under 35 dB at 8 bits in one layer at least; one that reaches the second stays under 19 at 4.
LEAST_DECIBELS = {4: 19.0, 8: 36.0}


def right_two_errors(x: Array, clip: float, bits: int) -> tuple[Between, Between]:
    """Value by value in exact fractions; at a tie both neighbours have the same error."""
    end = Fraction(float(clip))
    step = end / (2 ** (bits - 1) - 1)
    clipping, rounding = Fraction(0), Fraction(0)
    for value in (abs(Fraction(float(each))) for each in x.flat):
        if value > end:
            clipping += (value - end) ** 2
        else:
            rounding += (value - step * round(value / step)) ** 2
    # float32 may miss a value by a few units in its last place; that error does not vanish where the true one does.
    slack = (float(np.max(np.abs(x))) * 2.0**-21) ** 2
    return _about(float(clipping / x.size), slack), _about(float(rounding / x.size), slack)


def _about(result: float, slack: float) -> Between:
    """Where nothing is lost, exactly 0."""
    return Between(max(result - slack, 0), result + slack) if result else Between(0, 0)


def _two_errors_probes() -> list[Probe]:
    rng = np.random.default_rng(32)
    return [
        (np.array([0.4]), 1.0, 2),
        (np.array([0.4, 3.0]), 1.0, 2),
        (np.array([0.4, -3.0, 0.9, 0.1]), 1.0, 2),
        (np.array([0.3, -0.2]), 1.0, 3),
        (rng.normal(size=(4, 5)).astype(np.float32), 0.8, 3),
        (rng.normal(size=(6, 9)), 1.9, 4),
        (rng.normal(size=60).astype(np.float32), 2.6, 8),
    ]


two_errors = Task(
    call="two_errors(x, clip, bits)",
    returns=(Output("clipping", loose_shape=True, rtol=1e-4), Output("rounding", loose_shape=True, rtol=1e-4)),
    oracle=right_two_errors,
    probes=_two_errors_probes,
)


def error_of(x: Array, clip: float, bits: int) -> float:
    """Mean squared error of 2^bits − 1 symmetric levels between ±clip."""
    step = clip / (2 ** (bits - 1) - 1)
    return float(np.mean((np.clip(np.rint(x / step) * step, -clip, clip) - x) ** 2))


def _is_a_clip(answer: Array, x: Array, bits: int) -> str | None:
    if answer.size != 1 or not np.isfinite(answer).all() or answer.min() <= 0:
        return f"clip must be one positive number; it is {answer}"
    return None


def _costs_little(answer: Array, x: Array, bits: int) -> str | None:
    values = x.astype(np.float64)
    peak = float(np.abs(values).max())
    least, best = min((error_of(values, clip, bits), clip) for clip in np.linspace(peak / 400, peak, 400))
    clip = float(answer.item())
    excess = error_of(values, clip, bits) / least
    if excess <= 1 + MOST_EXCESS:
        return None
    here = f"x runs from {x.min():.4g} to {x.max():.4g}; at {bits} bits "
    if clip > 1.5 * peak and clip == round(clip):
        return f"{here}the clip {clip:g} lies far beyond all of it: is it the index of a clip, and not the clip?"
    if abs(clip / least - 1) < 0.05:
        return f"{here}{clip:.4g} is about the least mean squared error itself, and not the clip that has it"
    around = [error_of(values, clip + steps * peak / 100, bits) for steps in (-1, 0, 1)]
    if clip < 0.98 * peak and around[1] < min(around[0], around[2]):
        return (
            f"{here}the clip {clip:.4g} is better than its neighbours, and costs {excess:.3g} times the mean squared "
            f"error of {best:.4g}: the error has more than one minimum, and the first you meet need not be the least"
        )
    return (
        f"{here}the clip {clip:.4g} costs {excess:.3g} times the mean squared error of {best:.4g}; "
        f"at most {1 + MOST_EXCESS:g} times are asked for"
    )


def _best_clip_probes() -> list[Probe]:
    rng = np.random.default_rng(33)
    with_outlier = rng.normal(size=2000).astype(np.float32)
    with_outlier[99] = 25
    return [
        (rng.normal(size=3000), 3),
        (rng.normal(size=3000), 4),
        (rng.uniform(-1, 1, size=2000).astype(np.float32), 4),
        (rng.laplace(size=(30, 100)), 4),
        (with_outlier, 3),
        (-rng.exponential(size=2000) * 1e-3, 6),
        # A quarter of the values equal: several minima, and neither the first nor the last is the least.
        (np.concatenate([np.random.default_rng(35).normal(size=1500), np.full(500, 1.4)]), 4),
    ]


best_clip = Task(
    call="best_clip(x, bits)",
    returns=(Output("clip", loose_shape=True),),
    properties=(_is_a_clip, _costs_little),
    probes=_best_clip_probes,
    seconds=20,
    divisible=False,
)


def right_laplace_clip(x: Array, bits: int) -> float:
    """β·u with u·exp(u) = 3·4^bits, by bisection; β is the mean distance from the mean."""
    low, high = 0.0, 50.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if middle * math.exp(middle) < 3 * 4**bits else (low, middle)
    values = [float(value) for value in x.flat]
    mean = math.fsum(values) / len(values)
    return high * math.fsum(abs(value - mean) for value in values) / len(values)


def _laplace_clip_probes() -> list[Probe]:
    rng = np.random.default_rng(34)
    return [
        (np.array([-1.0, 1.0]), 4),
        (np.array([-3.0, 0.0, 0.0, 3.0]), 4),
        (np.array([0.0, 2.0, 5.0]), 2),
        (rng.laplace(size=400).astype(np.float32), 4),
        (rng.laplace(2, 0.5, size=(20, 20)), 3),
        (rng.laplace(-1, 3, size=300), 8),
    ]


laplace_clip = Task(
    call="laplace_clip(x, bits)",
    returns=(Output("clip", loose_shape=True, rtol=0.01),),
    oracle=right_laplace_clip,
    probes=_laplace_clip_probes,
    divisible=False,
)


@cache
def _layers() -> dict[tuple[int, ...], tuple[Array, Array]]:
    """By the shape of one image's activations: what a learner sees, spoiled, and new activations of that layer."""
    network = fold("vgg32", data.load_weights("vgg32"))
    seen = network.run(data.to_float(data.load_fashion_mnist("train").images[:16]))
    fresh = network.run(data.to_float(data.load_fashion_mnist("test").images[:16]))
    layers = {}
    for name in LAYERS:
        spoiled = seen[name].copy()
        spoiled.flat[[1234, 2345]] = np.nan, np.inf
        spoiled.flat[3456] = 40 * seen[name].max()
        layers[spoiled.shape[1:]] = spoiled, fresh[name]
    return layers


def _decibels(answer: tuple[Array, ...], seen: Array, bits: int) -> float:
    """SQNR on the new activations of the layer that has this shape, affine codes without a sign."""
    fresh = _layers()[seen.shape[1:]][1].astype(np.float64)
    low, high = (float(end.reshape(())) for end in answer)
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / (2**bits - 1)
    zero_point = round(-low / step)
    restored = (np.clip(np.rint(fresh / step) + zero_point, 0, 2**bits - 1) - zero_point) * step
    return 10 * math.log10(float(np.sum(fresh**2)) / float(np.sum((restored - fresh) ** 2)))


def _is_a_range(answer: tuple[Array, ...], seen: Array, bits: int) -> str | None:
    ends = [end.astype(np.float64) for end in answer]
    if any(end.size != 1 or not np.isfinite(end).all() for end in ends):
        return f"low and high must be two finite numbers; they are {answer[0]} and {answer[1]}"
    if not ends[0].item() < ends[1].item():
        return f"low must be below high; they are {ends[0].item():g} and {ends[1].item():g}"
    return None


def _rounded_down(decibels: float) -> str:
    """One decimal, such that what falls short of a limit does not look like it."""
    return f"{math.floor(10 * decibels) / 10:.1f} dB"


def _serves_new_images(answer: tuple[Array, ...], seen: Array, bits: int) -> str | None:
    decibels = _decibels(answer, seen, bits)
    if decibels < LEAST_DECIBELS[bits]:
        name = dict(zip(_layers(), LAYERS))[seen.shape[1:]]
        return (
            f"on new images of {name} at {bits} bits the range {float(answer[0].item()):.3g} to "
            f"{float(answer[1].item()):.3g} reaches {_rounded_down(decibels)}; "
            f"{LEAST_DECIBELS[bits]:g} dB are asked for"
        )
    return None


def _robust_range_probes() -> list[Probe]:
    return [(seen, bits) for bits in LEAST_DECIBELS for seen, _ in _layers().values()]


def _measure(answer: tuple[Array, ...], seen: Array, bits: int) -> str:
    return _rounded_down(_decibels(answer, seen, bits))


def _robust_range_summary(probes: Sequence[Probe], answers: Sequence[tuple[Array, ...]]) -> str:
    reached = [_measure(answer, *arguments) for answer, arguments in zip(answers, probes)]
    return "on new images " + ", ".join(f"{name} {each}" for name, each in zip(robust_range.names, reached)) + "."


robust_range = Task(
    call="robust_range(seen, bits)",
    returns=(Output("low", loose_shape=True), Output("high", loose_shape=True)),
    properties=(_is_a_range, _serves_new_images),
    probes=_robust_range_probes,
    summary=_robust_range_summary,
    seconds=20,
    divisible=False,
    names=tuple(f"{name} at {bits} bits" for bits in LEAST_DECIBELS for name in LAYERS),
    measure=_measure,
)
