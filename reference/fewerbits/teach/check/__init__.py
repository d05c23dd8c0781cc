"""`check.<task>(your_function)` says whether an exercise is solved: ✓, ✗ with the reason, or ○ not attempted yet.

A check is true when the exercise is solved and never raises. A new chapter's tasks are `Task` records in a module
beside this file, imported below.
"""

from __future__ import annotations

from fewerbits.teach.check.calibration.choosing import best_clip, laplace_clip, robust_range, two_errors
from fewerbits.teach.check.calibration.observing import calibration_images, percentile_range, running_range
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
    "affine_parameters",
    "best_clip",
    "calibration_images",
    "dequantize",
    "error_bound",
    "fake_quantize",
    "laplace_clip",
    "percentile_range",
    "quantize",
    "quantize_per_channel",
    "robust_range",
    "running_range",
    "store",
    "symmetric_scale",
    "tasks",
    "two_errors",
]


def tasks() -> dict[str, Task]:
    """Every task by its name."""
    return {task.name: task for task in globals().values() if isinstance(task, Task)}
