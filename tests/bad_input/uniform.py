"""Wrong arguments of the uniform scheme."""

from __future__ import annotations

from typing import Any

import numpy as np
from fewerbits.tensor.uniform import Uniform, code_range

from tests.bad_input import Case

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
SCALE = np.float32(0.1)
TENSOR = Uniform(SCALE, 0)
CHANNELS = Uniform.fit(X, axis=1)
GROUPS = Uniform.fit(X, axis=1, group_size=3)
FUSED = Uniform(SCALE, 0, reciprocal=True, zero_point_added="fused")


def with_value(value: float) -> np.ndarray:
    x = X.copy()
    x[2, 3] = value
    return x


def fit(**arguments: Any) -> Any:
    return lambda: Uniform.fit(X, **arguments)


def make(scale: Any = SCALE, zero_point: Any = 0, **fields: Any) -> Any:
    return lambda: Uniform(scale, zero_point, **fields)


CASES = [
    # Values.
    *(
        Case(f"{verb} of {value}", lambda verb=verb, value=value: verb_of(verb)(with_value(value)), ValueError, words)
        for verb in ("fit", "quantize")
        for value, words in (
            (np.nan, ("x holds nan", "(2, 3)", "finite")),
            (np.inf, ("x holds inf", "(2, 3)", "finite")),
            (-np.inf, ("x holds -inf", "(2, 3)", "finite")),
        )
    ),
    *(
        Case(f"{verb} of {name}", lambda verb=verb, x=x: verb_of(verb)(x), exception, words)
        for verb in ("fit", "quantize")
        for name, x, exception, words in (
            ("nothing", np.array([], np.float32), ValueError, ("x is empty", "(0,)", "at least one")),
            ("an empty axis", np.ones((3, 0)), ValueError, ("x is empty", "(3, 0)")),
            ("complex numbers", X.astype(np.complex64), TypeError, ("x has dtype complex64", "float32")),
            ("booleans", X > 0, TypeError, ("x has dtype bool", "float32")),
            ("objects", X.astype(object), TypeError, ("x has dtype object", "float32")),
            ("text", np.array(["1.5"]), TypeError, ("x has dtype <U3", "float32")),
            ("None", None, TypeError, ("x has dtype object",)),
        )
    ),
    Case("a scalar that is not a number", lambda: TENSOR.quantize(np.nan), ValueError, ("x holds nan", "only value")),
    Case("an infinite half", lambda: TENSOR.quantize(np.float16("inf")), ValueError, ("x holds inf",)),
    Case("float64 beyond float32", lambda: Uniform.fit([1e300]), ValueError, ("scale", "inf", "finite")),
    Case("fused in float64", lambda: FUSED.quantize(X.astype(float)), TypeError, ("x has dtype float64", "fused")),
    # Shapes.
    Case("other channels", lambda: CHANNELS.quantize(X[:, :5]), ValueError, ("(4, 5)", "axis=1", "(5,)", "(6,)")),
    Case("other channels back", lambda: CHANNELS.dequantize(np.zeros((6, 4), int)), ValueError, ("(6, 4)", "axis=1")),
    Case("too few axes", lambda: CHANNELS.quantize(X[0]), ValueError, ("axis=1", "from -1 to 0")),
    Case("a scalar for channels", lambda: CHANNELS.quantize(1.0), ValueError, ("axis=1", "scalar")),
    Case("other rows of groups", lambda: GROUPS.quantize(X[:2]), ValueError, ("(2, 6)", "group_size=3", "(4, 2)")),
    Case("transposed groups", lambda: GROUPS.quantize(np.ones((2, 12))), ValueError, ("(2, 12)", "(4, 2)")),
    Case("indivisible groups", lambda: GROUPS.quantize(X[:, :5]), ValueError, ("group_size=3", "axis 1", "length 5")),
    # Codes.
    Case("real codes", lambda: TENSOR.dequantize(X), TypeError, ("codes", "float32", "-128..127")),
    Case("boolean codes", lambda: TENSOR.dequantize(X > 0), TypeError, ("codes", "bool", "-128..127")),
    Case("no codes", lambda: TENSOR.dequantize(np.array([], int)), ValueError, ("codes", "empty", "(0,)")),
    Case("codes too high", lambda: TENSOR.dequantize([0, 128]), ValueError, ("codes", "0 to 128", "-128..127")),
    Case("codes too low", lambda: TENSOR.dequantize([-129]), ValueError, ("codes", "-129", "-128..127")),
    Case("unsigned codes", lambda: TENSOR.dequantize(np.array([200], np.uint8)), ValueError, ("codes", "200")),
    Case(
        "the dropped code",
        lambda: Uniform(SCALE, 0, narrow_range=True).dequantize(np.array([-128], np.int8)),
        ValueError,
        ("codes", "-127..127"),
    ),
    Case(
        "4-bit codes", lambda: Uniform(SCALE, 0, 4).dequantize(np.array([8], np.int8)), ValueError, ("codes", "-8..7")
    ),
    # Bits and range of codes.
    Case("no bits", fit(bits=0), ValueError, ("bits=0", "from 1 to 16")),
    Case("17 bits", fit(bits=17), ValueError, ("bits=17", "from 1 to 16")),
    Case("negative bits", fit(bits=-8), ValueError, ("bits=-8", "from 1 to 16")),
    Case("half a bit", fit(bits=8.0), TypeError, ("bits=8.0", "integer")),
    Case("bits as text", fit(bits="8"), TypeError, ("bits='8'", "integer")),
    Case("bits as truth", fit(bits=True), TypeError, ("bits=True", "integer")),
    Case("one symmetric bit", fit(bits=1), ValueError, ("bits=1", "symmetric=True")),
    Case("one narrow bit", lambda: code_range(1, True, True), ValueError, ("narrow_range=True", "bits=1")),
    Case("signed as a number", fit(signed=1), TypeError, ("signed=1", "True or False")),
    Case("narrow_range as text", fit(narrow_range="no"), TypeError, ("narrow_range='no'", "True or False")),
    Case("symmetric as None", fit(symmetric=None), TypeError, ("symmetric=None", "True or False")),
    # Axis and groups.
    Case("axis too high", fit(axis=2), ValueError, ("axis=2", "from -2 to 1")),
    Case("axis too low", fit(axis=-3), ValueError, ("axis=-3", "from -2 to 1")),
    Case("axis as a pair", fit(axis=(0, 1)), TypeError, ("axis=(0, 1)", "integer")),
    Case("axis as truth", fit(axis=False), TypeError, ("axis=False", "integer")),
    Case("axis of a scalar", lambda: Uniform.fit(1.0, axis=0), ValueError, ("axis=0", "scalar")),
    Case("groups of no axis", fit(group_size=3), ValueError, ("axis=None", "group_size")),
    Case("groups that do not divide", fit(axis=1, group_size=4), ValueError, ("group_size=4", "axis 1", "length 6")),
    Case("groups of none", fit(axis=1, group_size=0), ValueError, ("group_size=0", "at least 1")),
    Case("groups of a half", fit(axis=1, group_size=1.5), TypeError, ("group_size=1.5", "integer")),
    # Conventions.
    Case("unknown rounding", fit(rounding="nearest"), ValueError, ("rounding='nearest'", "'half_even'", "'floor'")),
    Case("rounding as a number", fit(rounding=0), ValueError, ("rounding=0", "'half_even'")),
    Case("unknown zero point rule", fit(zero_point_added="never"), ValueError, ("zero_point_added='never'", "'after'")),
    Case("reciprocal as a number", fit(reciprocal=1), TypeError, ("reciprocal=1", "True or False")),
    Case("fused division", fit(zero_point_added="fused"), ValueError, ("reciprocal=False", "zero_point_added='fused'")),
    Case("a negative seed", fit(seed=-1), ValueError, ("seed=-1", "at least 0")),
    Case("a real seed", fit(seed=0.5), TypeError, ("seed=0.5", "integer")),
    Case("an unknown convention", fit(nbits=8), TypeError, ("nbits",)),
    # Scale and zero point.
    Case("zero scale", make(0.0), ValueError, ("scale holds 0.0", "positive")),
    Case("negative scale", make(-0.1), ValueError, ("scale holds -0.1", "positive")),
    Case("a scale of NaN", make(np.nan), ValueError, ("scale holds nan", "finite")),
    Case("an infinite scale", make(np.inf), ValueError, ("scale holds inf", "finite")),
    Case("a scale that float32 loses", make(1e-60), ValueError, ("scale holds 0.0 as float32", "positive")),
    Case("a scale that float32 cannot reach", make(1e60), ValueError, ("scale holds inf as float32", "finite")),
    Case("no scales", make(np.array([], np.float32), np.array([], int), axis=0), ValueError, ("scale is empty",)),
    Case("a complex scale", make(0.1j), TypeError, ("scale has dtype complex128",)),
    Case(
        "a scale without reciprocal", make(np.float32(1e-40), reciprocal=True), ValueError, ("scale", "reciprocal=True")
    ),
    Case("a real zero point", make(zero_point=0.5), TypeError, ("zero_point has dtype float64",)),
    Case("a zero point without code", make(zero_point=128), ValueError, ("zero_point", "128", "-128..127")),
    Case("a negative unsigned zero point", make(zero_point=-1, signed=False), ValueError, ("zero_point", "0..255")),
    Case("one zero point too many", make(zero_point=[0, 0]), ValueError, ("zero_point has shape (2,)", "scale", "()")),
    Case("scales without axis", make([0.1, 0.2], [0, 0]), ValueError, ("scale has shape (2,)", "()")),
    Case("one scale with axis", make(axis=0), ValueError, ("scale has shape ()", "(channels,)")),
    Case("group scales without axis", make([[0.1]], [[0]], group_size=2), ValueError, ("axis=None", "group_size")),
    # Ranges.
    Case("an empty range", lambda: Uniform.from_range(1.0, -1.0), ValueError, ("minimum=1.0", "maximum=-1.0")),
    Case("unequal ranges", lambda: Uniform.from_range([0.0], [1.0, 2.0], axis=0), ValueError, ("minimum", "maximum")),
    Case("a range from NaN", lambda: Uniform.from_range(np.nan, 1.0), ValueError, ("minimum holds nan",)),
    Case("a range to infinity", lambda: Uniform.from_range(0.0, np.inf), ValueError, ("maximum holds inf",)),
    Case("a range of truth", lambda: Uniform.from_range(False, 1.0), TypeError, ("minimum has dtype bool",)),
]


def verb_of(verb: str) -> Any:
    return Uniform.fit if verb == "fit" else TENSOR.quantize
