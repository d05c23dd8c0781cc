"""What a diagnosis names beyond the mistakes of the exercises: each with symptom, cause and repair, without a function.

They are seen in tensors or in a model's file. `mistakes.find` knows them; the checks of the exercises do not.
"""

from __future__ import annotations

from typing import Any, NoReturn

from fewerbits.teach.mistakes.record import Mistake

SOURCE = "fewerbits.diagnose names it, from tensors or from a model's file"


def _no_function(*arguments: Any) -> NoReturn:
    raise TypeError("this fault is seen in tensors or files: no function makes it")


def _fault(name: str, symptom: str, cause: str, repair: str) -> Mistake:
    return Mistake(name, "diagnosis", "diagnose", symptom, cause, repair, SOURCE, _no_function)


_ALL = (
    _fault(
        "accumulator_saturated",
        "Large sums all have the same value, an end of a narrow type.",
        "The accumulator stops at its end, so that everything beyond is lost.",
        "Keep sums in 32 bits: an accumulator that saturates loses everything beyond its end.",
    ),
    _fault(
        "asymmetric_bias",
        "The bias of a layer has a zero point other than 0.",
        "The bias was quantized like an activation; engines add its codes to the sums as they are.",
        "A bias has zero point 0: its codes are added to the accumulator as they are.",
    ),
    _fault(
        "asymmetric_weights",
        "Signed weights have zero points other than 0.",
        "The range of the weights was taken from minimum to maximum, not symmetric about zero.",
        "Quantize signed weights symmetrically, s = max|w|/127 and z = 0.",
    ),
    _fault(
        "bias_scale_is_not_the_product",
        "A file states a scale for a bias that is not s_x·s_w.",
        "The bias was quantized in another unit, or the scale of the input or of the weights was changed afterwards.",
        "Find out which of the three scales was changed, and restore s_bias = s_x·s_w.",
    ),
    _fault(
        "bias_codes_unexplained",
        "Bias codes are not those of the bias, and no known mistake gives them.",
        "Bias, codes and scales may belong to different layers or channels.",
        "Bias codes are round(bias/(s_x·s_w)) in int32, with the scale of the same channel.",
    ),
    _fault(
        "bias_overflow",
        "Bias codes of some channels are wrapped or clipped at the ends of int32.",
        "s_x·s_w of a channel with tiny weights is so small that the bias has more than 2^31 steps.",
        "Widen the weights' scale of that channel until |bias| stays below 2^31 steps of s_x·s_w.",
    ),
    _fault(
        "bias_overflows_int32",
        "Bias codes in a file stand at the ends of int32.",
        "s_x·s_w of a channel with tiny weights is so small that the bias has more than 2^31 steps.",
        "Enlarge the weight scale of these channels until |b|/(s_x·s_w) fits in 31 bits.",
    ),
    _fault(
        "channel_quantized_to_zero",
        "Channels that hold values have no code but that of zero.",
        "Their scale was made for much larger values.",
        "Give each channel the scale of its own largest magnitude.",
    ),
    _fault(
        "clamped_to_a_narrower_range",
        "Codes stop before the last one, and the largest values share the code at which they stop.",
        "They were clamped to other ends than those of the bits: of fewer bits, of an activation, of a narrow range.",
        "Clamp to qmin and qmax of the bits that are declared, or compute the scale for the ends that are used.",
    ),
    _fault(
        "codes_in_a_float_type",
        "Codes are whole numbers in float32.",
        "They were never converted to an integer type.",
        "Convert the codes to an integer type of their bits: as floats they take four bytes each.",
    ),
    _fault(
        "codes_negated",
        "Every value comes back with the other sign.",
        "The codes grow where the values fall: they were made with the scale of the other sign.",
        "Take a positive scale on both sides; a negative one turns the sign of every code.",
    ),
    _fault(
        "codes_of_another_scale",
        "All values come back too large or too small by one factor.",
        "The codes were made with another scale than the one beside them.",
        "Keep each scale with the codes that it made; compute it once, in one place.",
    ),
    _fault(
        "codes_of_different_scales",
        "Codes with different scales are added or concatenated.",
        "The same code stands for different numbers on the two sides.",
        "Dequantize both sides, or requantize one to the parameters of the other first.",
    ),
    _fault(
        "codes_of_fewer_bits",
        "The codes of a layer's weights would fit in fewer bits than their type has.",
        "The scale is too large, or fewer bits are meant: both store the same integers.",
        "If fewer bits are not intended, compute the scale from the range of the weights: s = max|w|/127 for int8.",
    ),
    _fault(
        "codes_read_in_the_other_type",
        "Every negative value comes back as a large positive one.",
        "int8 codes were read as uint8, bit for bit: −1 is read as 255.",
        "Read the codes in the type in which they were made: codes.view(np.int8). Do not clamp them as uint8 codes.",
    ),
    _fault(
        "codes_of_the_other_signedness",
        "All codes are off by half of the range.",
        "Codes −2^(b−1)..2^(b−1) − 1 are read where 0..2^b − 1 are declared, or the reverse.",
        "Subtract 2^(b−1) from the zero point as well when codes move from 0..2^b − 1 to −2^(b−1)..2^(b−1) − 1.",
    ),
    _fault(
        "codes_read_with_other_parameters",
        "The output of one layer is off by a factor or by a constant in the next.",
        "The reader has another scale or zero point than the writer.",
        "Give writer and reader the same scale and zero point.",
    ),
    _fault(
        "codes_unexplained",
        "Some codes are wrong, and no known mistake gives all of them.",
        "Two mistakes at once, values of another tensor, a permuted axis, or damage in a few places.",
        "None of the known mistakes gives these codes: look where they are, and check that values, codes and "
        "parameters belong together.",
    ),
    _fault(
        "computed_in_a_coarse_float_type",
        "Some codes are one off, those of values close to a tie.",
        "The quotient was computed in float16 or bfloat16, which have 11 and 8 digits: it is rounded before it is "
        "rounded to a code.",
        "Convert values and scale to float32 before the division.",
    ),
    _fault(
        "dead_channels",
        "All weights of an output channel have the code of zero.",
        "The scale is too large for the channel, or its float weights are zeros.",
        "Quantize these channels again, each with its own scale. Where the float weights are zeros, remove them.",
    ),
    _fault(
        "denormal_scale",
        "Results are zero, infinite or NaN on some CPUs.",
        "A scale is so small that 1/s overflows, or that an engine takes it for zero.",
        "Give a tensor or channel of zeros, or nearly so, the scale 1.",
    ),
    _fault(
        "fake_quantized_floats_stored",
        "The codes are no whole numbers, and the file is as large as before.",
        "Values were quantized and dequantized, and the floats stored.",
        "Store the integer codes with scale and zero point; make floats when reading.",
    ),
    _fault(
        "float_between_codes",
        "A layer of a quantized model runs in float.",
        "A batch normalization was not folded, or an output was not calibrated.",
        "Fold it into the convolution before it, or calibrate that output and quantize it.",
    ),
    _fault(
        "one_code_for_all_values",
        "Values differ, and all have the same code.",
        "Their scale is far too large, or anything else that makes codes constant: nothing is left to tell.",
        "Look at one value and its scale by hand: x/s must lie between the ends of the codes and spread over them.",
    ),
    _fault(
        "parameters_of_another_shape",
        "There are more scales than zero points, or fewer.",
        "The file was edited or exported incompletely.",
        "Store one zero point for each scale, in the same shape.",
    ),
    _fault(
        "products_saturated_in_16_bits",
        "Large sums are too small on some CPUs.",
        "Pairs of uint8·int8 products are added in 16 bits by an instruction of x86 CPUs without VNNI.",
        "On x86 CPUs without VNNI use 7-bit weights (reduce_range) or uint8 weights: 255·127 twice exceeds 16 bits.",
    ),
    _fault(
        "quantized_twice",
        "A tensor is coarser than its scale says.",
        "It was quantized, read back, and quantized again with other parameters.",
        "Quantize once, with the second scale and zero point, and take out the first pair.",
    ),
    _fault(
        "range_too_narrow",
        "The largest values all come back as the same, smaller one.",
        "The scale was made for smaller values: other preprocessing, too few images, weights before folding.",
        "Calibrate on data as the tensor will see it: the same preprocessing, enough images, weights after folding.",
    ),
    _fault(
        "range_too_wide",
        "Few of the codes are used, and the values come back coarse.",
        "The scale was made for larger values: other preprocessing, other units, an outlier elsewhere.",
        "Calibrate on data as the tensor will see it: the same preprocessing, the same units.",
    ),
    _fault(
        "rounded_at_random",
        "Many codes are the other neighbour of the exact quotient; every run gives others.",
        "Values were rounded up or down at random, as some training does.",
        'Round to nearest for inference; where the randomness is meant, say rounding="stochastic".',
    ),
    _fault(
        "saturates_without_vnni",
        "Large sums are too small on some CPUs.",
        "Pairs of uint8·int8 products are added in 16 bits by an instruction of x86 CPUs without VNNI.",
        "On x86 CPUs without VNNI use 7-bit weights (reduce_range) or uint8 weights: 255·127 twice exceeds 16 bits.",
    ),
    _fault(
        "scale_applied_twice",
        "Values come back too small or too large by the factor s.",
        "The division or the product with the scale was done twice.",
        "Divide by the scale once, where values become codes; multiply once on the way back.",
    ),
    _fault(
        "scale_not_positive",
        "Values come back negated, infinite or NaN.",
        "A scale is negative, zero or not a number.",
        "Take the scale from largest magnitudes; look for NaN or only zeros in the data, and give zeros the scale 1.",
    ),
    _fault(
        "scales_of_other_channels",
        "The restored weights of each channel are off by another factor.",
        "The scales are those of the same tensor, and belong to its channels in another order.",
        "Keep scales and channels in one order: permute both together, or neither.",
    ),
    _fault(
        "summed_in_float32",
        "Sums above 2^24 are off by a little.",
        "float32 holds every integer only up to 2^24.",
        "Add integers in int32 or in float64: float32 holds every integer only up to 2^24.",
    ),
    _fault(
        "sums_unexplained",
        "Sums are wrong, and no known mistake gives all of them.",
        "Codes or zero points may belong to another layer.",
        "A sum is Σ (q_x − z_x)(q_w − z_w), computed in at least 32 bits.",
    ),
    _fault(
        "symmetric_with_a_zero_point",
        "Codes that should be symmetric have a zero point beside 0.",
        "The range was symmetric, and the formula the affine one.",
        "Symmetric codes have z = 0 (signed) or 2^(b−1) (unsigned); divide max|x| by 2^(b−1) − 1.",
    ),
    _fault(
        "ties_by_another_rule",
        "Some codes are one off, those of values exactly half-way between two.",
        "One side rounds ties to even, the other away from zero.",
        "Both rules are sound; use one of them on both sides, and name it when you compare codes.",
    ),
    _fault(
        "unused_codes",
        "Weights reach only a part of the codes.",
        "Their scale is too large: it was made for other weights, or for a whole tensor.",
        "Compute the scale from the range of the weights themselves: s = max|w|/127 for int8.",
    ),
    _fault(
        "values_unexplained",
        "The values that came back are not s·(q − z), and no known mistake gives them.",
        "They may belong to another tensor or to another channel.",
        "The way back is s·(q − z), computed in a float type, with the scale of the same channel.",
    ),
    _fault(
        "weights_in_float",
        "The file is four times as large as its codes would be.",
        "A layer with quantized input has float weights.",
        "Store the codes: an int8 constant followed by DequantizeLinear.",
    ),
    _fault(
        "zero_point_of_another_range",
        "All values come back off by a constant.",
        "Scale and zero point were computed from different ranges.",
        "Compute z = round(qmin − min/s) from the same range as the scale.",
    ),
    _fault(
        "zero_point_of_another_type",
        "An engine refuses the file, or reads the codes with the wrong sign.",
        "The zero point has another type than the codes.",
        "Store the zero point in the type of the codes: it is one of them.",
    ),
    _fault(
        "zero_point_one_too_high",
        "Every value is off by exactly one step.",
        "The zero point is one more than it should be: one was added that nobody had taken away.",
        "Store z as it is, or read and write with the same convention.",
    ),
    _fault(
        "zero_point_out_of_range",
        "No code stands for the number zero.",
        "The range does not contain zero.",
        "Widen the range to contain zero: then round(qmin − min/s) is in qmin..qmax by itself.",
    ),
)
FAULTS = {fault.name: fault for fault in _ALL}
