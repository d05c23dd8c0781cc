"""`check.<task>(your_function)` says whether an exercise is solved: ✓, ✗ with the reason, or ○ not attempted yet.

A check is true when the exercise is solved and never raises. A new chapter's tasks are `Task` records in a module
beside this file, imported below.
"""

from __future__ import annotations

from fewerbits.teach.check.calibration.choosing import best_clip, laplace_clip, robust_range, two_errors
from fewerbits.teach.check.calibration.observing import calibration_images, percentile_range, running_range
from fewerbits.teach.check.capstone.codes import add_codes, channel_sqnr, fold_batch_norm
from fewerbits.teach.check.capstone.networks import bits_within, int8_logits
from fewerbits.teach.check.capstone.timing import honest_ratio
from fewerbits.teach.check.codebooks.formats import mx_scales, read_q4_0, round_float, signed_block
from fewerbits.teach.check.codebooks.levels import bits_per_weight, lloyd_step, nearest_level
from fewerbits.teach.check.codebooks.storage import compress
from fewerbits.teach.check.diagnosis.networks import name_mystery, repair
from fewerbits.teach.check.diagnosis.rules import bias_ratio, output_shift, scale_axis, used_codes
from fewerbits.teach.check.integers.requantizing import quantized_layer, rescale
from fewerbits.teach.check.integers.sums import accumulate, bias_codes, correct_sums, saturating_sums, sum_bounds
from fewerbits.teach.check.logarithmic.curves import gradient_levels, mu_law, shift_sum
from fewerbits.teach.check.logarithmic.powers import log_dequantize, log_quantize, nearest_power
from fewerbits.teach.check.mixed.allocating import best_bits, greedy_bits, on_front, smallest_within
from fewerbits.teach.check.mixed.layers import mixed_bytes, mixed_layer, sensitivities
from fewerbits.teach.check.numbers.costs import int8_gain, model_gib
from fewerbits.teach.check.numbers.patterns import float_value, pack_int4, spacing, to_bfloat16
from fewerbits.teach.check.report import Result
from fewerbits.teach.check.task import Between, Output, Task
from fewerbits.teach.check.uniform.storage import store
from fewerbits.teach.check.uniform.tensors import fake_quantize, quantize_per_channel
from fewerbits.teach.check.uniform.values import affine_parameters, dequantize, error_bound, quantize, symmetric_scale

__all__ = [
    "Between",
    "Output",
    "Result",
    "Task",
    "accumulate",
    "add_codes",
    "affine_parameters",
    "best_bits",
    "best_clip",
    "bias_codes",
    "bias_ratio",
    "bits_per_weight",
    "bits_within",
    "calibration_images",
    "channel_sqnr",
    "compress",
    "correct_sums",
    "dequantize",
    "error_bound",
    "fake_quantize",
    "float_value",
    "fold_batch_norm",
    "gradient_levels",
    "greedy_bits",
    "honest_ratio",
    "int8_gain",
    "int8_logits",
    "laplace_clip",
    "lloyd_step",
    "log_dequantize",
    "log_quantize",
    "mixed_bytes",
    "mixed_layer",
    "model_gib",
    "mu_law",
    "mx_scales",
    "name_mystery",
    "nearest_level",
    "nearest_power",
    "on_front",
    "output_shift",
    "pack_int4",
    "percentile_range",
    "quantize",
    "quantize_per_channel",
    "quantized_layer",
    "read_q4_0",
    "repair",
    "rescale",
    "robust_range",
    "round_float",
    "running_range",
    "saturating_sums",
    "scale_axis",
    "sensitivities",
    "shift_sum",
    "signed_block",
    "smallest_within",
    "spacing",
    "store",
    "sum_bounds",
    "symmetric_scale",
    "tasks",
    "to_bfloat16",
    "two_errors",
    "used_codes",
]


def tasks() -> dict[str, Task]:
    """Every task by its name."""
    return {task.name: task for task in globals().values() if isinstance(task, Task)}
