# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises: Take numbers apart, and weigh them
#
# Six exercises to lesson 01, about **50 minutes**, from ●○○ (one formula) to ●●● (several ideas at once). Work in the
# copy in the folder `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with the smallest input that shows it · ○ not attempted. Any correct style passes: loops or
# NumPy, lists or arrays. (The package can do some of it; write your own.) All arrays have one dimension. Messages show
# patterns in binary, with `_` between the fields. When you are stuck, open a hint; each says a little more than the one
# before.

# %%
import numpy as np
from fewerbits.teach import check, exercises

# %% [markdown]
# ## 1 · Does it fit? · ●○○ · 5 min
#
# Write `model_gib(parameters, bits, group_size, scale_bytes)`: the size of a quantized model in **GiB**, as the memory
# of a machine is counted. Each parameter is a code of `bits` bits. In file order, every `group_size` parameters share
# one scale of `scale_bytes` bytes; what is left at the end shares one too. For example 100 parameters in groups of 64
# have two scales, and so have 128. Do not round: 10 codes of 3 bits are 3.75 bytes here.
#
# <details><summary>Hint 1</summary>
#
# How many bytes do the codes take together? And how many scales are there, each of `scale_bytes` bytes?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `//` rounds down. Rounded up, a quotient is `-(-a // b)`, or `math.ceil(a / b)`. A GiB is 2³⁰ bytes.
#
# </details>


# %%
def model_gib(parameters, bits, group_size, scale_bytes):
    # SOLUTION
    groups = -(-parameters // group_size)
    return (parameters * bits / 8 + groups * scale_bytes) / 2**30
    # END SOLUTION


check.model_gib(model_gib)

# %% [markdown] tags=["solution"]
# The unfinished group is a matter of four bytes. But a reader that expects a scale that is not there reads the next
# tensor instead: sizes that are almost right are the dangerous ones.

# %% [markdown]
# ## 2 · What does it say? · ●●○ · 13 min
#
# Write `float_value(patterns, exponent_bits, fraction_bits)`: the values of float patterns of any division. `patterns`
# is an array of `uint8` or `uint16`; from the left each has one sign bit, the exponent field and the fraction. The
# bias follows from the number of exponent bits, as under the table of section 3. Zero and the subnormals are to be
# right too. Exponent fields of all ones, infinity and NaN, do not occur (for one format, E4M3, they are ordinary values
# and read like the others).
#
# <details><summary>Hint 1</summary>
#
# Three whole numbers first: `patterns >> n` drops the last n bits, `patterns % 2**n` keeps only them. Try
# `np.array([14], np.uint8) - 15` in a cell of its own, then decide on the type to compute in.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Which bias do 3 exponent bits have? And what is the value of 0 00 01, by hand, with two bits of exponent and two of
# fraction?
#
# </details>
# <details><summary>Hint 3</summary>
#
# Where the exponent field is 0, there is no 1 before the point, and the power is that of field 1. `np.where` and
# `np.maximum` say both without a loop.
#
# </details>


# %%
def float_value(patterns, exponent_bits, fraction_bits):
    # SOLUTION
    patterns = patterns.astype(np.int64)
    sign = patterns >> (exponent_bits + fraction_bits)
    field = (patterns >> fraction_bits) % 2**exponent_bits
    fraction = patterns % 2**fraction_bits / 2**fraction_bits
    significand = np.where(field > 0, 1 + fraction, fraction)
    exponent = np.maximum(field, 1) - (2 ** (exponent_bits - 1) - 1)
    return (-1.0) ** sign * significand * 2.0**exponent
    # END SOLUTION


check.float_value(float_value)

# %% [markdown] tags=["solution"]
# One function reads float16, bfloat16, E4M3 and E5M2 alike. A format is no more than two numbers, and what it does with
# the exponent of all ones.

# %% [markdown]
# ## 3 · How far to the neighbour? · ●●○ · 7 min
#
# Write `spacing(x, fraction_bits, lowest_exponent)`: for each value of `x`, the distance from its magnitude |x| to the
# next larger value of a float format, which has `fraction_bits` bits of fraction and whose lowest normal octave begins
# at 2 to the power `lowest_exponent`. (−6 for E4M3, −14 for float16.) `x` may hold zero and negative values; overflow
# at the top is none of your concern. For E4M3 and x = 5 the answer is 0.5, since 5 is followed by 5.5. If x lies
# between two values of the format, return the distance of those two.
#
# <details><summary>Hint 1</summary>
#
# In the octave from 4 to 8, 2ᵐ steps share a length of 4. And 4 is the power of two at or below x = 5.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The octave's exponent is floor(log₂|x|), but never less than the lowest one. What is log₂ 0?
#
# </details>
# <details><summary>Hint 3</summary>
#
# Make |x| at least 2 to the power `lowest_exponent`, with `np.maximum`, and there is no logarithm of 0.
#
# </details>


# %%
def spacing(x, fraction_bits, lowest_exponent):
    # SOLUTION
    magnitude = np.maximum(np.abs(x), 2.0**lowest_exponent)
    octave = np.floor(np.log2(magnitude))
    return 2.0 ** (octave - fraction_bits)
    # END SOLUTION


check.spacing(spacing)

# %% [markdown] tags=["solution"]
# Between 2⁻ᵐ⁻¹ and 2⁻ᵐ, relative to x: that is all that a float promises, and near zero not even that. `np.spacing`
# does this for float16, float32 and float64.

# %% [markdown]
# ## 4 · Sixteen bits less · ●●○ · 9 min
#
# Write `to_bfloat16(patterns)`: float32 patterns (an array of `uint32`) become bfloat16 patterns, whole numbers from 0
# to 65535, **rounded to the nearest** value. A tie, just between two neighbours, goes to the pattern whose last bit is
# 0. NaN and infinity do not occur. What is rounded up beyond the largest bfloat16 shall become infinity, an exponent
# field of all ones and a fraction of 0; with most ways to write it, it does so by itself.
#
# <details><summary>Hint 1</summary>
#
# Patterns of equal sign are ordered like their magnitudes. The next larger magnitude has the pattern plus 1, even
# when that carries from the fraction into the exponent.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The lower 16 bits are a number from 0 to 65535. Compare it with 32768, a half: below, above, and equal.
#
# </details>
# <details><summary>Hint 3</summary>
#
# `kept + 1` where the rest is above half, or is half and `kept` is odd. (A trick that does it in one sum: what do you
# have to add so that exactly these carry into the upper half?)
#
# </details>


# %%
def to_bfloat16(patterns):
    # SOLUTION
    kept = patterns >> 16
    rest = patterns % 2**16
    up = (rest > 2**15) | ((rest == 2**15) & (kept % 2 == 1))
    return kept + up
    # END SOLUTION


check.to_bfloat16(to_bfloat16)

# %% [markdown] tags=["solution"]
# The trick: `(patterns + 32767 + (patterns >> 16) % 2) >> 16`. An odd pattern needs half to carry, an even one a
# little more. NaN needs care in both: its fraction may be cut off, which leaves infinity, or carry into the sign.

# %% [markdown]
# ## 5 · Two in a byte · ●●○ · 6 min
#
# Write `pack_int4(codes)`: int4 codes, an `int8` array of values from −8 to 7, become bytes from 0 to 255, two codes
# in each. The **first** code of a pair takes the lower four bits of its byte, the second the upper four; negative codes
# are in two's complement. If the number of codes is odd, the last byte's upper bits are 0. (ONNX stores INT4 so.)
#
# <details><summary>Hint 1</summary>
#
# Write −3 as int8, all eight bits. Which four of them should go into the byte?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `code & 0b1111` keeps the lower four bits. Shifted by four, `<< 4`, or times 16, they are the upper half. What is
# `np.array([15], np.int8) << 4`, and why?
#
# </details>
# <details><summary>Hint 3</summary>
#
# `codes[::2]` are the first ones of the pairs, `codes[1::2]` the second ones. An odd number needs one more zero first.
#
# </details>


# %%
def pack_int4(codes):
    # SOLUTION
    padding = np.zeros(len(codes) % 2, np.int8)
    nibbles = np.concatenate([codes, padding]).astype(np.uint8) & 0b1111
    return nibbles[::2] | nibbles[1::2] << 4
    # END SOLUTION


check.pack_int4(pack_int4)

# %% [markdown]
# ## 6 · What int8 can gain · ●●● · 10 min
#
# Write `int8_gain(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak)`: how many times as fast as
# float32 a network can be in int8 at most, by its roofline. The first three are arrays with one entry per layer:
# multiply-accumulates per image, values that it reads and writes per image, and its number of weights. The weights are
# read once for the whole `batch`. `bandwidth` is in bytes per second, the peaks are in multiply-accumulates per
# second. A float32 value has 4 bytes, an int8 value 1. Layers run one after the other. A pooling is a layer too, with 0
# MACs and 0 weights.
#
# For example, one layer of 10,000 MACs, 20,000 activations and 100 weights, batch 1, at 10¹⁰ bytes per second and
# peaks of 5·10¹⁰ and 10¹¹ gains 4: it waits for its bytes both times.
#
# <details><summary>Hint 1</summary>
#
# One layer in one format has two times: for its arithmetic, and for its bytes. Both go on at once. Which of them
# decides?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Count everything for one image. Which of the three numbers per layer does a batch share?
#
# </details>
# <details><summary>Hint 3</summary>
#
# Bytes per image: bytes per value × (activations + weights / batch). A helper `seconds(peak, size)` adds up
# `np.maximum(...)` of all layers and is called twice. The gain is the ratio of the two sums.
#
# </details>


# %%
def int8_gain(macs, activations, weights, batch, bandwidth, float32_peak, int8_peak):
    # SOLUTION
    def seconds(peak, size):
        arithmetic = macs / peak
        memory = size * (activations + weights / batch) / bandwidth
        return np.sum(np.maximum(arithmetic, memory))

    return seconds(float32_peak, 4) / seconds(int8_peak, 1)
    # END SOLUTION


check.int8_gain(int8_gain)

# %% [markdown] tags=["solution"]
# The gain always lies between 4 and the ratio of the peaks, since each layer's does. Lesson 09 measures how much of it
# an engine attains.

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("01_numbers")
