"""Mistakes in the rules of a diagnosis, which then accuses the innocent or overlooks the fault."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.integers.sums import bias_at_one_scale_only
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.codes import scale_forgotten
from fewerbits.teach.mistakes.uniform.parameters import zero_point_of_wrong_sign
from fewerbits.teach.mistakes.uniform.tensors import scales_along_the_last_axis

Array = NDArray[Any]


@mistake(
    "used_codes",
    symptom="A tensor that uses every code has a share that is not quite 1.",
    cause="Steps were counted, of the tensor or of the range; from the first code to the last is one code more.",
    repair="Add 1 to the difference of two codes to count the codes from the one to the other.",
    source="common, the fence post error",
)
def steps_counted_for_codes(codes: Array, qmin: int, qmax: int) -> float:
    return (int(codes.max()) - int(codes.min())) / (qmax - qmin + 1)


@also(steps_counted_for_codes, "used_codes")
def steps_of_all_steps(codes: Array, qmin: int, qmax: int) -> float:
    return (int(codes.max()) - int(codes.min())) / (qmax - qmin)


@also(steps_counted_for_codes, "used_codes")
def codes_of_all_steps(codes: Array, qmin: int, qmax: int) -> float:
    return (int(codes.max()) - int(codes.min()) + 1) / (qmax - qmin)


@mistake(
    "used_codes",
    symptom="Right for 8 bits, far too small for 4.",
    cause="The share is one of 256 codes, whatever qmin and qmax are.",
    repair="Divide by the number of codes from qmin to qmax.",
    source="common where all tensors at hand have 8 bits",
)
def eight_bits_taken_for_granted(codes: Array, qmin: int, qmax: int) -> float:
    return (int(codes.max()) - int(codes.min()) + 1) / 256


@mistake(
    "used_codes",
    symptom="Small tensors are always suspicious, large ones never.",
    cause="The distinct codes were counted: how many occur depends on the number of values, not on the scale alone.",
    repair="Count the codes from the smallest to the largest, whether or not each one occurs.",
    source="common in first scripts that look for unused codes",
)
def distinct_codes_counted(codes: Array, qmin: int, qmax: int) -> float:
    return np.unique(codes).size / (qmax - qmin + 1)


@mistake(
    "used_codes",
    symptom="Tensors that use more than half of their codes seem to use few, or none.",
    cause="The difference of two codes is computed in their own type, where a result beyond its end wraps around.",
    repair="Convert both codes to Python integers, or to a wider type, before the difference is taken.",
    source="common with int8 and uint8",
)
def difference_in_the_code_type(codes: Array, qmin: int, qmax: int) -> float:
    return float((codes.max(keepdims=True) - codes.min(keepdims=True)).reshape(-1)[0] + 1.0) / (qmax - qmin + 1)


@also(difference_in_the_code_type, "used_codes")
def difference_of_scalars(codes: Array, qmin: int, qmax: int) -> float:
    return (codes.max() - codes.min() + 1) / (qmax - qmin + 1)


@mistake(
    "bias_ratio",
    symptom="The ratio of a healthy layer is the square of its weight scale.",
    cause="Division and product are taken from left to right: the weight scale multiplies, and only s_x divides.",
    repair="Put s_x·s_w in parentheses.",
    source="common, a/b*c for a/(b*c)",
)
def second_scale_multiplied(s_x: float, s_w: Array, s_b: Array) -> Array:
    return s_b / s_x * s_w


@mistake(
    "bias_ratio",
    symptom="A bias that is far too small is reported as far too large.",
    cause="The quotient is upside down: the scale that is needed is divided by the one that is stated.",
    repair="Divide the stated scale by s_x·s_w.",
    source="common",
)
def ratio_upside_down(s_x: float, s_w: Array, s_b: Array) -> Array:
    return s_x * s_w / s_b


@also(bias_at_one_scale_only, "bias_ratio")
def compared_with_the_weight_scale(s_x: float, s_w: Array, s_b: Array) -> Array:
    return s_b / s_w


@also(bias_at_one_scale_only, "bias_ratio")
def compared_with_the_input_scale(s_x: float, s_w: Array, s_b: Array) -> Array:
    return s_b / s_x


@mistake(
    "bias_ratio",
    symptom="Every layer looks healthy: the numbers are all near 0.",
    cause="The two scales were subtracted; they are so small that their difference says nothing.",
    repair="Divide: a quotient is 1 for equal scales, however small they are.",
    source="common where small positive numbers are compared",
)
def difference_for_ratio(s_x: float, s_w: Array, s_b: Array) -> Array:
    return s_b - s_x * s_w


@mistake(
    "scale_axis",
    symptom="The rule is right for convolutions and wrong for transposed ones and for matrix products.",
    cause="The answer is the first axis, whatever the data say.",
    repair="Try each axis that fits, and see along which one the scales restore the weights.",
    source="ONNX Runtime issue 19694: transposed convolutions have their output channels on axis 1",
)
def first_axis_taken_for_granted(w: Array, q: Array, s: Array) -> int:
    return 0


@also(first_axis_taken_for_granted, "scale_axis")
def first_axis_of_that_length(w: Array, q: Array, s: Array) -> int:
    return q.shape.index(s.size)


@also(scales_along_the_last_axis, "scale_axis")
def last_axis_answered(w: Array, q: Array, s: Array) -> int:
    return q.ndim - 1


@mistake(
    "scale_axis",
    symptom="The axis along which the weights are restored worst is named.",
    cause="The axis with the largest error was taken, or the errors have the other sign.",
    repair="Take the axis with the smallest error.",
    source="argmax for argmin, common",
)
def largest_error_taken(w: Array, q: Array, s: Array) -> int:
    axes = [axis for axis, size in enumerate(q.shape) if size == s.size]
    errors = [np.abs(q * s.reshape([-1 if i == axis else 1 for i in range(q.ndim)]) - w).sum() for axis in axes]
    return axes[int(np.argmax(errors))]


def _shift(q_w: Array, s_x: float, s_w: Array, steps: int, axis: int = 1) -> Array:
    return s_x * s_w * steps * q_w.astype(np.int64).sum(axis=axis)


@also(zero_point_of_wrong_sign, "output_shift")
def shift_of_wrong_sign(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return _shift(q_w, s_x, s_w, z_read - z_written)


@also(scale_forgotten, "output_shift")
def shift_in_codes(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return _shift(q_w, 1.0, np.ones(len(q_w)), z_written - z_read)


@mistake(
    "output_shift",
    symptom="The shifts are too large by one factor, or by another for each output.",
    cause="One of the two scales is missing: a product of codes stands for a number only after both.",
    repair="Multiply by s_x and by s_w.",
    source="common where a shift is counted in codes of one side and in numbers of the other",
)
def one_scale_missing(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return _shift(q_w, 1.0, s_w, z_written - z_read)


@also(one_scale_missing, "output_shift")
def shift_without_the_weight_scale(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return _shift(q_w, s_x, np.ones(len(q_w)), z_written - z_read)


@mistake(
    "output_shift",
    symptom="All outputs are predicted to be off by one step of the input.",
    cause="The shift of one input value was taken for that of an output, which adds up many, each times a weight.",
    repair="Every value of the input is off by the same amount: multiply it by the sum of the weights of each output.",
    source="common when a fault in one tensor is followed into the next",
)
def shift_of_one_value(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return np.full(len(q_w), s_x * (z_written - z_read))


@mistake(
    "output_shift",
    symptom="As many numbers as the layer has inputs, or an error of shapes.",
    cause="The weights were added over the outputs; an output adds up products over the inputs.",
    repair="Sum the weights along axis 1, over the inputs.",
    source="common, axis 0 for axis 1",
)
def summed_over_the_outputs(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return _shift(q_w, s_x, s_w, z_written - z_read, axis=0)


@mistake(
    "output_shift",
    symptom="All outputs are said to be off by one and the same number of codes.",
    cause="The inputs were counted; each enters an output times its weight, so that the weights count.",
    repair="Take the sum of the weight codes of each output in place of their number.",
    source="common when weights are thought of as ones",
)
def inputs_counted(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return s_x * s_w * (z_written - z_read) * q_w.shape[1]


@mistake(
    "output_shift",
    symptom="The shifts of all outputs differ by their scales alone.",
    cause="The weights of all outputs were added together; each output has weights of its own.",
    repair="Sum along axis 1, the inputs, and keep axis 0.",
    source="a sum without axis, common",
)
def summed_over_everything(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return s_x * s_w * (z_written - z_read) * q_w.astype(np.int64).sum()


@mistake(
    "output_shift",
    symptom="Every shift is predicted upwards or downwards with the weights, whichever zero point is the larger.",
    cause="The magnitude of the difference was taken: then it is lost which of the two zero points is the larger.",
    repair="Keep the sign of the difference of the zero points.",
    source="common where differences are thought of as distances",
)
def direction_lost(q_w: Array, s_x: float, s_w: Array, z_written: int, z_read: int) -> Array:
    return _shift(q_w, s_x, s_w, abs(z_written - z_read))
