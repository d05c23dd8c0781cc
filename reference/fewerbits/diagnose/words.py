"""What to do about each finding: the catalogue's repair where the catalogue has the mistake, else the one below."""

from __future__ import annotations

from functools import cache

from fewerbits.diagnose.finding import Finding
from fewerbits.teach import mistakes

REPAIRS = {
    "accumulator_saturated": "Keep sums in 32 bits: an accumulator that saturates loses everything beyond its end.",
    "products_saturated_in_16_bits": (
        "On x86 CPUs without VNNI use 7-bit weights (reduce_range) or uint8 weights: 255·127 twice exceeds 16 bits."
    ),
    "summed_in_float32": "Add integers in int32 or in float64: float32 holds every integer only up to 2^24.",
    "sums_unexplained": "A sum is Σ (q_x − z_x)(q_w − z_w), computed in at least 32 bits.",
    "channel_quantized_to_zero": "Give each channel the scale of its own largest magnitude.",
    "codes_in_a_float_type": "Convert the codes to an integer type of their bits: as floats they take four bytes each.",
    "codes_of_another_scale": "Keep each scale with the codes that it made; compute it once, in one place.",
    "codes_of_the_other_signedness": (
        "Subtract 2^(b−1) from the zero point as well when codes move from 0..2^b − 1 to −2^(b−1)..2^(b−1) − 1."
    ),
    "codes_unexplained": (
        "None of the known mistakes gives these codes: check that values, codes and parameters belong together, and "
        "that no axis was permuted."
    ),
    "fake_quantized_floats_stored": "Store the integer codes with scale and zero point; make floats when reading.",
    "scale_applied_twice": "Divide by the scale once, where values become codes; multiply once on the way back.",
    "scale_of_another_distribution": (
        "Calibrate on data as the tensor will see it: the same preprocessing, enough images, weights after folding."
    ),
    "symmetric_with_a_zero_point": (
        "Symmetric codes have z = 0 (signed) or 2^(b−1) (unsigned); divide max|x| by 2^(b−1) − 1."
    ),
    "ties_by_another_rule": "Both rules are sound; use one of them on both sides, and name it when you compare codes.",
    "values_unexplained": "The way back is s·(q − z), computed in a float type, with the scale of the same channel.",
    "zero_point_of_another_range": "Compute z = round(qmin − min/s) from the same range as the scale.",
    "zero_point_out_of_range": "Widen the range to contain zero: then round(qmin − min/s) is in qmin..qmax by itself.",
    "bias_overflow": "Widen the weights' scale of that channel until |bias| stays below 2^31 steps of s_x·s_w.",
    "bias_codes_unexplained": "Bias codes are round(bias/(s_x·s_w)) in int32, with the scale of the same channel.",
}


@cache
def _repairs() -> dict[str, str]:
    return REPAIRS | {entry.name: entry.repair for entry in mistakes.catalogue()}


def finding(name: str, where: str, evidence: str) -> Finding:
    """A finding with its repair."""
    return Finding(name, where, evidence, _repairs()[name])
