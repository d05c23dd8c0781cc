"""Optimum quantizers of a known density, by the two conditions of Lloyd (1957, published 1982) and Max (1960).

Each threshold lies midway between its levels, and each level is the mean of its cell. Where many levels are used the
error approaches the limit of Panter and Dite (1951), and rate–distortion theory says how far from it any code stays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fewerbits.tensor import validation as valid

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]
PANELS = 512
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Density:
    """A probability density on low..high, by functions of float64 arrays.

    `pdf(t)` is p. `tails(t)` are the integrals of p and x·p (first axis 2) from low to t where t ≤ 0, and minus those
    from t to high where t > 0: thus the moments of a cell far out are exact to the last digits. `total` are the
    integrals of p, x·p and x²·p over all. Infinite tails are cut where they hold less than 1e-40 of the probability.
    `even` promises p(−t) = p(t) and low = −high.
    """

    pdf: Function
    tails: Function
    total: tuple[float, float, float]
    low: float
    high: float
    even: bool = False

    @classmethod
    def symmetric(cls, pdf: Function, upper_tail: Function, variance: float, reach: float) -> Density:
        """A density that is even in t, on −reach..reach, from the integrals of p and x·p from t ≥ 0 on."""

        def tails(t: NDArray[np.float64]) -> NDArray[np.float64]:
            mass, first = upper_tail(np.abs(t))
            return np.stack([np.where(t > 0, -mass, mass), -first])

        return cls(pdf, tails, (1.0, 0.0, variance), -reach, reach, even=True)

    @classmethod
    def from_pdf(cls, pdf: Function, low: float, high: float) -> Density:
        """The density `pdf`, smooth inside low..high, integrated by the Gauss–Legendre rule on 512 panels.

        Raises ValueError when low ≥ high, and when `pdf` is negative, not finite or does not integrate to 1 ± 1e-6;
        TypeError when it is no function.
        """
        if not callable(pdf):
            raise TypeError(f"pdf={pdf!r} is not accepted: it must be a function of a float64 array")
        edges = np.linspace(valid.real(low, "low"), valid.real(high, "high", above=low), PANELS + 1)

        def integrals(start: NDArray[np.float64], stop: NDArray[np.float64], powers: int = 2) -> NDArray[np.float64]:
            x, weights = _nodes(start, stop)
            return np.stack([(pdf(x) * x**power * weights).sum(-1) for power in range(powers)])

        panels = integrals(edges[:-1], edges[1:], powers=3)
        values = np.asarray(pdf(edges))
        if not (np.isfinite(values).all() and (values >= 0).all() and abs(panels[0].sum() - 1) < 1e-6):
            raise ValueError(
                f"pdf integrates to {panels[0].sum():.6g} over low={low!r}..high={high!r}, smallest value "
                f"{values.min():.6g}: it must be finite, not negative and integrate to 1"
            )
        mass, first, second = (float(value) for value in panels.sum(axis=1))
        nothing = np.zeros((2, 1))
        below = np.concatenate((nothing, np.cumsum(panels[:2], axis=1)), axis=1)  # (2, panels + 1)
        above = np.concatenate((np.cumsum(panels[:2, ::-1], axis=1)[:, ::-1], nothing), axis=1)

        def tails(t: NDArray[np.float64]) -> NDArray[np.float64]:
            panel = np.clip(np.searchsorted(edges, t, side="right") - 1, 0, PANELS - 1)
            up_to = below[:, panel] + integrals(edges[panel], t)
            return np.where(t > 0, -above[:, panel + 1] - integrals(t, edges[panel + 1]), up_to)

        return cls(pdf, tails, (mass, first, second), float(low), float(high))

    def cells(self, thresholds: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(edges, integrals of p and x·p over each cell) where `thresholds` divide the cells: (N + 1,), (2, N)."""
        edges = np.concatenate(([self.low], np.clip(thresholds, self.low, self.high), [self.high]))
        holds_zero = (edges[:-1] <= 0) & (edges[1:] > 0)
        return edges, np.diff(self.tails(edges), axis=1) + np.outer(self.total[:2], holds_zero)


def _nodes(start: NDArray[np.float64], stop: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Abscissas and weights of the 16-point Gauss–Legendre rule on each interval: (..., 16) both."""
    half = (stop - start)[..., None] / 2
    return start[..., None] + half * (1 + NODES), half * WEIGHTS


def _gauss_pdf(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)


def _gauss_tail(t: NDArray[np.float64]) -> NDArray[np.float64]:
    mass = np.reshape([math.erfc(value / math.sqrt(2)) / 2 for value in t.flat], t.shape)
    return np.stack([mass, _gauss_pdf(t)])


def _laplace_pdf(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-math.sqrt(2) * np.abs(t)) / math.sqrt(2)


def _laplace_tail(t: NDArray[np.float64]) -> NDArray[np.float64]:
    mass = np.exp(-math.sqrt(2) * t) / 2
    return np.stack([mass, mass * (t + math.sqrt(0.5))])


def _uniform_pdf(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full(t.shape, 1 / math.sqrt(12))


def _uniform_tail(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([math.sqrt(3) - t, (3 - t**2) / 2]) / math.sqrt(12)


# Mean 0 and variance 1 each. At the ends even p^⅓, which `panter_dite` integrates, has vanished.
GAUSS = Density.symmetric(_gauss_pdf, _gauss_tail, 1.0, 16.0)
LAPLACE = Density.symmetric(_laplace_pdf, _laplace_tail, 1.0, 72.0)
UNIFORM = Density.symmetric(_uniform_pdf, _uniform_tail, 1.0, math.sqrt(3))


class OptimumQuantizer(NamedTuple):
    """`levels` (N,), `thresholds` between them (N − 1,), `probabilities` of the levels (N,), mean squared error."""

    levels: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    mse: float


def lloyd_max(density: Density, levels: int) -> OptimumQuantizer:
    """The quantizer of `levels` levels (1..256) that meets both optimality conditions for `density`.

    It starts from the levels that are best when there are many (the density of levels follows p^⅓) and applies
    Newton's method to centroid − level = 0; where that leaves the order, a step of Lloyd's iteration (each level to
    the mean of its cell) goes on. The optimum is unique where log p is concave (Fleischer 1964), as for Gauss, Laplace
    and uniform; otherwise it is one that meets the conditions. Raises RuntimeError when it does not converge.
    """
    count = valid.integer(levels, "levels", 1, 256)
    x = _many_levels(density, count)
    span = density.high - density.low
    for _ in range(1000):
        thresholds = (x[1:] + x[:-1]) / 2
        edges, (mass, first) = density.cells(thresholds)
        if (mass <= 0).any():
            raise RuntimeError(f"levels={levels}: a cell is empty of probability; fewer levels may work")
        centroids = first / mass
        residual = centroids - x
        if np.abs(residual).max() <= 1e-12 * span:
            return OptimumQuantizer(x, thresholds, mass, distortion(density, x))
        weight = density.pdf(edges)
        # The derivative of a centroid with respect to the lower and upper end of its cell, each half a level's.
        lower, upper = (
            weight[:-1] * (centroids - edges[:-1]) / mass / 2,
            weight[1:] * (edges[1:] - centroids) / mass / 2,
        )
        lower[0] = upper[-1] = 0
        jacobian = np.diag(lower + upper - 1) + np.diag(lower[1:], -1) + np.diag(upper[:-1], 1)
        newton = x - np.linalg.solve(jacobian, residual)
        inside = np.concatenate(([density.low], newton, [density.high]))
        x = newton if (np.diff(inside) > 0).all() else centroids
        if density.even:
            # Two Laplace levels can shift together at no first-order cost: symmetry decides.
            x = (x - x[::-1]) / 2
    raise RuntimeError(f"levels={levels}: no convergence; the largest residual is {np.abs(residual).max():.3g}")


def distortion(density: Density, levels: ArrayLike) -> float:
    """Mean squared error of `density` under the nearest of `levels`, which must ascend strictly."""
    x = valid.real_array(levels, "levels").astype(np.float64)
    if x.ndim != 1 or (np.diff(x) <= 0).any():
        raise ValueError(f"levels={levels!r} are not accepted: a list that ascends strictly is needed")
    mass, first = density.cells((x[1:] + x[:-1]) / 2)[1]
    return float(density.total[2] - (2 * x * first - x**2 * mass).sum())


def panter_dite(density: Density) -> float:
    """The limit of N²·(mean squared error) of optimum quantizers with N levels: (∫p^⅓)³/12.

    √3π/2 = 2.7207 for Gauss, 9/2 for Laplace, 1 for uniform (variance 1). Source: Panter and Dite (1951).
    """
    return float(_cumulative_cube_root(density)[1][-1] ** 3 / 12)


def uniform_rate_and_distortion(density: Density, step: float) -> tuple[float, float]:
    """(entropy of the codes in bits, mean squared error) of a uniform quantizer with levels at all multiples of `step`.

    Entropy-coded, it needs ½·log2(πe/6) = .2546 bit above the rate–distortion bound when the step is small, so that
    its error is 1.533 dB above the best possible of that rate (Gish and Pierce 1968). At most 2^24 steps are accepted.
    """
    step = valid.real(step, "step", above=0, low=(density.high - density.low) / 2**24)
    inside = step * np.arange(math.ceil(density.low / step), math.floor(density.high / step) + 1)
    mass = density.cells((inside[1:] + inside[:-1]) / 2)[1][0]
    mass = mass[mass > 0]
    return float(-(mass * np.log2(mass)).sum()), distortion(density, inside)


def _cumulative_cube_root(density: Density) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(edges, integral of p^⅓ from low to each edge), by the Gauss–Legendre rule on each panel."""
    edges = np.linspace(density.low, density.high, PANELS + 1)
    x, weights = _nodes(edges[:-1], edges[1:])
    panels = (np.cbrt(density.pdf(x)) * weights).sum(axis=1)
    return edges, np.concatenate(([0.0], np.cumsum(panels)))


def _many_levels(density: Density, count: int) -> NDArray[np.float64]:
    """Levels at the quantiles (i + ½)/count of p^⅓: optimal when they are many."""
    edges, cumulative = _cumulative_cube_root(density)
    return np.interp((np.arange(count) + 0.5) / count * cumulative[-1], cumulative, edges)
