"""Mistakes with the bytes of many layers, and with what each of them loses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.mixed.layers import rounded_weights
from fewerbits.teach.mistakes.record import also, mistake

Array = NDArray[Any]


def _packed(sizes: Array, bits: Array) -> Array:
    return np.ceil(np.asarray(sizes) * np.asarray(bits) / 8)


@mistake(
    "mixed_bytes",
    symptom="The file is larger than planned; with many channels and few bits by a lot.",
    cause="Only the codes are counted: the metadata without which nobody can read them is missing.",
    repair="Add 4 bytes for each float32 scale.",
    source="common in tables that compare “average bits”",
)
def metadata_forgotten_in_the_budget(sizes: Array, channels: Array, bits: Array) -> float:
    return float(_packed(sizes, bits).sum())


@mistake(
    "mixed_bytes",
    symptom="The number is eight times too large.",
    cause="Bits and bytes are mixed up.",
    repair="Eight bits are one byte.",
    source="common",
)
def bits_counted_as_bytes(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits) + 4 * np.sum(channels))


@mistake(
    "mixed_bytes",
    symptom="Right for layers of equal size, wrong for all others.",
    cause="The bits were averaged over layers, as if each layer had as many weights.",
    repair="Each layer counts as often as it has weights.",
    source="common in reports of mixed precision",
)
def bits_averaged_over_layers(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.ceil(np.sum(sizes) * np.mean(bits) / 8) + 4 * np.sum(channels))


@mistake(
    "mixed_bytes",
    symptom="The size does not change below 8 bits.",
    cause="Each code is stored in a byte of its own.",
    repair="Pack codes: eight codes of b bits take b bytes.",
    source="q-diffusion issue 12: the quantized file is as large as before",
)
def codes_not_packed(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(sizes * np.ceil(np.asarray(bits) / 8)) + 4 * np.sum(channels))


@mistake(
    "mixed_bytes",
    symptom="A few bytes too few: a layer would end in the middle of a byte.",
    cause="The bits of a layer were divided by 8 and rounded down, or the layers were joined before rounding.",
    repair="Round the bytes of each layer up.",
    source="common with `// 8`",
)
def begun_bytes_dropped(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits // 8) + 4 * np.sum(channels))


@also(begun_bytes_dropped, "mixed_bytes")
def layers_joined_before_rounding(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.ceil(np.sum(np.asarray(sizes) * bits) / 8) + 4 * np.sum(channels))


@also(begun_bytes_dropped, "mixed_bytes")
def begun_bytes_left_as_fractions(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits / 8) + 4 * np.sum(channels))


@mistake(
    "mixed_bytes",
    symptom="Too few bytes, by the scales and now and then by one more.",
    cause="Two things are missing: the metadata, and the bytes that a layer begins and does not fill.",
    repair="Round the bytes of each layer up, and add 4 for each float32 scale.",
    source="the first formula one writes: weights times bits over 8",
)
def only_weights_times_bits(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits // 8))


@also(only_weights_times_bits, "mixed_bytes")
def only_weights_times_bits_as_a_fraction(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits / 8))


@also(only_weights_times_bits, "mixed_bytes")
def only_weights_times_bits_of_all_layers(sizes: Array, channels: Array, bits: Array) -> float:
    return float(np.sum(np.asarray(sizes) * bits) // 8)


def _run(layers: Array, x: Array) -> Array:
    for w in layers[:-1]:
        x = np.maximum(x @ w.T, 0)
    return x @ layers[-1].T


def _change(layers: Array, other: Array, x: Array) -> float:
    return float(np.mean(np.square(_run(other, x) - _run(layers, x))))


def _with(layers: Array, chosen: list[int], bits: int) -> Array:
    other = np.array(layers, np.float64)
    for index in chosen:
        other[index] = rounded_weights(layers[index], bits)
    return other


@mistake(
    "sensitivities",
    symptom="Every layer looks worse than the one before it, whatever the layers are.",
    cause="Layers rounded earlier stay rounded: each number is that of all layers so far.",
    repair="Begin with the exact layers for each measurement, and round one.",
    source="common where a network is changed in place",
)
def earlier_layers_left_rounded(layers: Array, x: Array, bits: int) -> Array:
    count = range(len(layers))
    return np.array([_change(layers, _with(layers, list(range(i + 1)), bits), x) for i in count])


@mistake(
    "sensitivities",
    symptom="Layers that hardly matter look as bad as those that decide the answer.",
    cause="The error of the weights was measured instead of what the network makes of it.",
    repair="Run the network, and compare its outputs.",
    source="SQNR as the only guide to bits per layer",
)
def error_of_the_weights_for_the_loss(layers: Array, x: Array, bits: int) -> Array:
    return np.array([np.mean(np.square(rounded_weights(w, bits) - w)) for w in layers])


@mistake(
    "sensitivities",
    symptom="The most important layer seems to be the one whose rounding does no harm.",
    cause="One layer was kept exact and all others were rounded.",
    repair="Round one layer, keep all others exact.",
    source="common: “leave one out” taken for “one at a time”",
)
def all_but_one_rounded(layers: Array, x: Array, bits: int) -> Array:
    count = range(len(layers))
    return np.array([_change(layers, _with(layers, [j for j in count if j != i], bits), x) for i in count])


@mistake(
    "sensitivities",
    symptom="Layers look harmless whose errors have both signs.",
    cause="The mean of the differences was taken, in which plus and minus cancel.",
    repair="Square the differences before the mean.",
    source="common",
)
def errors_that_cancel(layers: Array, x: Array, bits: int) -> Array:
    exact = _run(layers, x)
    return np.array([np.mean(_run(_with(layers, [i], bits), x) - exact) for i in range(len(layers))])


@mistake(
    "sensitivities",
    symptom="Layers keep their order, but the numbers grow with the number of inputs.",
    cause="The squared changes were added up, not averaged.",
    repair="Take the mean over all outputs of all inputs.",
    source="common",
)
def sum_for_the_mean(layers: Array, x: Array, bits: int) -> Array:
    exact = _run(layers, x)
    return np.array([np.sum(np.square(_run(_with(layers, [i], bits), x) - exact)) for i in range(len(layers))])
