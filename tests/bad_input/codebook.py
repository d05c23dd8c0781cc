"""Wrong arguments to codebooks, quantile levels, k-means and Lloyd–Max."""

from __future__ import annotations

import numpy as np
from fewerbits.tensor.codebook import Codebook, double_quantize, nearest
from fewerbits.tensor.k_means import k_means, lloyd
from fewerbits.tensor.lloyd_max import GAUSS, Density, distortion, lloyd_max, uniform_rate_and_distortion
from fewerbits.tensor.quantiles import NF4, normal_float_levels, quantile_levels

from tests.bad_input import Case

NAN = float("nan")
BOOK = Codebook(NF4)
TWO_CHANNELS = Codebook(NF4, np.ones(2, np.float32), axis=0)
X = np.ones((2, 6))

CASES = [
    Case("levels descend", lambda: Codebook(np.array([1.0, 0.0])), ValueError, ("levels", "ascends")),
    Case("levels repeat", lambda: Codebook(np.array([0.0, 0.0])), ValueError, ("levels", "ascends")),
    Case("levels equal in float32", lambda: Codebook(np.array([1.0, 1 + 1e-9])), ValueError, ("levels", "float32")),
    Case("levels in two axes", lambda: Codebook(np.ones((2, 2))), ValueError, ("levels", "(2, 2)")),
    Case("levels NaN", lambda: Codebook(np.array([0.0, NAN])), ValueError, ("levels", "nan")),
    Case("levels too large", lambda: Codebook(np.array([0.0, 1e39])), ValueError, ("levels", "finite")),
    Case("levels too many", lambda: Codebook(np.arange(65537)), ValueError, ("levels", "65536")),
    Case("no levels", lambda: Codebook(np.empty(0)), ValueError, ("levels", "empty")),
    Case("text levels", lambda: Codebook(np.array(["a"])), TypeError, ("levels", "dtype")),
    Case("scale zero", lambda: Codebook(NF4, np.float32(0)), ValueError, ("scale", "0.0", "positive")),
    Case("scale NaN", lambda: Codebook(NF4, np.float32(NAN)), ValueError, ("scale", "nan")),
    Case("scale too small to invert", lambda: Codebook(NF4, 1e-45, reciprocal=True), ValueError, ("scale", "1/s")),
    Case("scales without axis", lambda: Codebook(NF4, np.ones(2)), ValueError, ("scale", "(2,)", "()")),
    Case("one scale with axis", lambda: Codebook(NF4, np.ones(()), axis=0), ValueError, ("scale", "(channels,)")),
    Case("group without axis", lambda: Codebook(NF4, group_size=4), ValueError, ("axis=None", "group_size")),
    Case("ties to odd", lambda: Codebook(NF4, ties="odd"), ValueError, ("ties='odd'", "'lower'")),
    Case("reciprocal by number", lambda: Codebook(NF4, reciprocal=1), TypeError, ("reciprocal=1",)),
    Case("constant by number", lambda: Codebook(NF4, constant_levels=0), TypeError, ("constant_levels=0",)),
    Case("negative bytes", lambda: Codebook(NF4, scale_nbytes=-1), ValueError, ("scale_nbytes=-1",)),
    Case("fit NaN", lambda: Codebook.fit([NAN]), ValueError, ("x", "nan")),
    Case("fit empty", lambda: Codebook.fit([]), ValueError, ("x", "empty")),
    Case("fit complex", lambda: Codebook.fit([1j]), TypeError, ("x", "complex128")),
    Case("fit no bits", lambda: Codebook.fit([1.0], 0), ValueError, ("bits=0", "from 1 to 16")),
    Case("fit 17 bits", lambda: Codebook.fit([1.0], 17), ValueError, ("bits=17",)),
    Case("fit beyond float32", lambda: Codebook.fit([0.0, 1e39]), ValueError, ("levels", "finite")),
    Case("fit scale beyond float32", lambda: Codebook.fit([1e39], levels=NF4), ValueError, ("scale", "inf")),
    Case("fit wrong axis", lambda: Codebook.fit(X, axis=2), ValueError, ("axis=2", "-2 to 1")),
    Case("fit axis of a scalar", lambda: Codebook.fit(1.0, axis=0), ValueError, ("axis=0", "scalar")),
    Case("fit group does not divide", lambda: Codebook.fit(X, axis=1, group_size=4), ValueError, ("group_size=4", "6")),
    Case("fit group without axis", lambda: Codebook.fit(X, group_size=2), ValueError, ("axis=None", "group_size")),
    Case("fit exact by number", lambda: Codebook.fit(X, exact=1), TypeError, ("exact=1",)),
    Case("nf4 of odd length", lambda: Codebook.nf4(np.ones(65)), ValueError, ("group_size=64", "65")),
    Case("quantize infinity", lambda: BOOK.quantize([np.inf]), ValueError, ("x", "inf")),
    Case("quantize boolean", lambda: BOOK.quantize([True]), TypeError, ("x", "bool")),
    Case("quantize other shape", lambda: TWO_CHANNELS.quantize(np.ones((3, 2))), ValueError, ("scale", "(3, 2)")),
    Case("dequantize floats", lambda: BOOK.dequantize([1.0]), TypeError, ("codes", "float64")),
    Case("dequantize beyond", lambda: BOOK.dequantize([16]), ValueError, ("codes", "16", "0..15")),
    Case("dequantize negative", lambda: BOOK.dequantize([-1]), ValueError, ("codes", "-1", "0..15")),
    Case("dequantize other shape", lambda: TWO_CHANNELS.dequantize([[0]]), ValueError, ("scale", "(1, 1)")),
    Case("nearest of NaN", lambda: nearest([NAN], NF4), ValueError, ("x", "nan")),
    Case("nearest of descending", lambda: nearest([0.0], [1.0, 0.0]), ValueError, ("levels", "ascends")),
    Case("nearest by no rule", lambda: nearest([0.0], NF4, "nearest"), ValueError, ("ties", "'even'")),
    Case("double group", lambda: double_quantize(Codebook.nf4(np.ones((3, 64)))), ValueError, ("group_size=256", "3")),
    Case("normal float 1 bit", lambda: normal_float_levels(1), ValueError, ("bits=1", "from 2 to 8")),
    Case("normal float of 4.0 bits", lambda: normal_float_levels(4.0), TypeError, ("bits=4.0",)),
    Case("quantiles of NaN", lambda: quantile_levels([NAN]), ValueError, ("x", "nan")),
    Case("quantiles of no bits", lambda: quantile_levels([1.0], 0), ValueError, ("bits=0",)),
    Case("k-means of NaN", lambda: k_means([NAN], 2), ValueError, ("x", "nan")),
    Case("k-means of nothing", lambda: k_means([], 2), ValueError, ("x", "empty")),
    Case("k-means of objects", lambda: k_means([None], 2), TypeError, ("x", "object")),
    Case("k-means in no clusters", lambda: k_means([1.0], 0), ValueError, ("levels=0", "from 1")),
    Case("k-means in 2.0 clusters", lambda: k_means([1.0], 2.0), TypeError, ("levels=2.0",)),
    Case("lloyd of infinity", lambda: lloyd([np.inf], [0.0]), ValueError, ("x", "inf")),
    Case("lloyd from nowhere", lambda: lloyd([1.0], []), ValueError, ("levels", "empty")),
    Case("lloyd from NaN", lambda: lloyd([1.0], [NAN]), ValueError, ("levels", "nan")),
    Case("lloyd without iterations", lambda: lloyd([1.0], [0.0], 0), ValueError, ("iterations=0",)),
    Case("no levels for a density", lambda: lloyd_max(GAUSS, 0), ValueError, ("levels=0", "from 1 to 256")),
    Case("257 levels for a density", lambda: lloyd_max(GAUSS, 257), ValueError, ("levels=257",)),
    Case("real levels for a density", lambda: lloyd_max(GAUSS, 4.0), TypeError, ("levels=4.0",)),
    Case("density of no mass", lambda: Density.from_pdf(np.zeros_like, 0.0, 1.0), ValueError, ("pdf", "0")),
    Case("density below zero", lambda: Density.from_pdf(lambda t: 6 * t - 2, 0.0, 1.0), ValueError, ("pdf", "-2")),
    Case("density of NaN", lambda: Density.from_pdf(lambda t: t * NAN, 0.0, 1.0), ValueError, ("pdf", "nan")),
    Case("density that is no function", lambda: Density.from_pdf(1.0, 0.0, 1.0), TypeError, ("pdf=1.0", "function")),
    Case("density backwards", lambda: Density.from_pdf(np.ones_like, 1.0, 0.0), ValueError, ("high=0.0",)),
    Case("density without end", lambda: Density.from_pdf(np.ones_like, 0.0, np.inf), ValueError, ("high=inf",)),
    Case("distortion of descending", lambda: distortion(GAUSS, [1.0, 0.0]), ValueError, ("levels", "ascends")),
    Case("distortion of nothing", lambda: distortion(GAUSS, []), ValueError, ("levels", "empty")),
    Case("tiny step", lambda: uniform_rate_and_distortion(GAUSS, 1e-12), ValueError, ("step=1e-12", "out of range")),
    Case("no step", lambda: uniform_rate_and_distortion(GAUSS, 0.0), ValueError, ("step=0.0", "greater than 0")),
]
