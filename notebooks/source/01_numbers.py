# %% [markdown]
# # 01 · Take numbers apart, and weigh them
#
# **The question.** What does a pattern of bits say, and what is gained when numbers have fewer of them?
#
# **At the end you can**
#
# - read the same bits as int8, int4, float32, float16, bfloat16 and FP8, and write a number in each;
# - say how far apart neighbouring values are, in floats and in integers, and what falls between them;
# - predict the bytes of a model, the time to move them, and the energy of arithmetic on them;
# - measure what your machine can do at most, draw its roofline, and predict what int8 can gain.
#
# **You need** Python and NumPy; lesson 00 to know that everything runs. Sections 1 to 5 are about bits, 6 to 10 about
# what they cost: a good place for a break is between them.
#
# **Time**: 65 minutes of reading and guessing, 50 minutes of exercises.
#
# In this lesson you guess before you look. Put a number in place of the dots in `my_guess = ...`, then run this cell
# and the next one. (Percent are numbers like 50.) A wrong guess costs nothing and is worth more than none.
# `my_guess = None` shows the answer without a guess.

# %%
import math

import numpy as np
from fewerbits import data
from fewerbits.network.folding import fold
from fewerbits.teach import numbers_plots, plots, widgets
from fewerbits.teach.predict import reveal
from fewerbits.tensor import minifloat, packing
from fewerbits.tensor.float_formats import BFLOAT16, E4M3FN, E5M2, FLOAT16, FloatFormat

plots.use_style()

# %% [markdown]
# ## 1 · A byte says nothing by itself
#
# A **bit** is 0 or 1, a **byte** eight of them; a row of bits is a **pattern**. Python writes a pattern as `0b...`, or
# in base 16 with four bits to a digit: `0b11111010` is `0xFA`. What it says depends on who reads it. As an unsigned
# integer, `uint8`, the bits count 128, 64, 32, 16, 8, 4, 2, 1 from the left, so that eight ones are 255. NumPy's `view`
# reads the same bytes as another type and changes none of them. For `int8` one thing differs: the first bit counts
# **−128** in place of 128. Then what are eight ones?

# %%
my_guess = ...

# %%
eight_ones = np.array([0b11111111], np.uint8)

reveal(my_guess, int(eight_ones.view(np.int8)[0]), digits=0)

# %% [markdown]
# −128 + 127. This way to write negative integers is **two's complement**. A pattern that starts with 1 is negative, and
# the same addition serves both types: what runs over the eighth bit is dropped. All 256 patterns, weighed bit by bit:

# %%
every_byte = np.arange(256).astype(np.uint8)
bits_of_bytes = np.unpackbits(every_byte[:, np.newaxis], axis=1)  # (256, 8), the first bit first
weight_of_bit = np.array([-128, 64, 32, 16, 8, 4, 2, 1])

as_int8 = bits_of_bytes @ weight_of_bit
print(f"int8 runs from {as_int8.min()} to {as_int8.max()}: there is no +128")
assert np.array_equal(as_int8, every_byte.view(np.int8))
assert (eight_ones + np.uint8(3)).view(np.int8)[0] == -1 + 3

# %% [markdown]
# **int4** is the same with four bits, which count −8, 4, 2, 1. Which integer is 1001?

# %%
my_guess = ...

# %%
as_int4 = np.array([1, 0, 0, 1]) @ [-8, 4, 2, 1]

reveal(my_guess, int(as_int4), digits=0)

# %% [markdown]
# NumPy has no int4, because no machine addresses half a byte. Two codes share one; this is **packing**. Here −7 takes
# the lower (right) half, and 3 the upper. Exercise 5 packs; a reader takes the byte apart again:

# %%
packed_pair = np.array([0b0011_1001], np.uint8)
codes = packing.unpack(packed_pair, bits=4, count=2, signed=True)

print(f"one byte {packed_pair[0]:08b} holds the codes {codes}")
assert codes.tolist() == [-7, 3]

# %% [markdown]
# That is all there is to integers: equal steps, a first one and a last one. They become fractions only with a
# *scale*, the subject of lesson 02.
#
# ## 2 · A float is a sign, an exponent and a fraction
#
# Scientific notation writes 6500 as 6.5·10³. A float does so in base 2: 6.5 = 1.625·2². Read `float32` from the left:
# **1** bit of sign, **8** bits of exponent, **23** bits of fraction. 1.625 = 1 + 1/2 + 1/8 is 1.101 in base 2. The
# leading digit of a number in base 2 is always 1, so it is not stored: the fraction holds what follows the point. The
# exponent is stored as an unsigned integer, with 127 added to make it positive. 127 is the **bias**. What stands in the
# exponent field of 6.5?

# %%
my_guess = ...

# %%
six_and_a_half = np.array([6.5], np.float32).view(np.uint32)
exponent_field = six_and_a_half >> 23 & 0b11111111

reveal(my_guess, int(exponent_field[0]), digits=0)

# %% [markdown]
# `>>` shifts the pattern to the right and drops what falls off; `&` keeps the bits where the mask has ones. The whole
# pattern, its three fields, and the value put together again. (`astype` matters: the fields are unsigned integers, in
# which 124 − 127 would be a huge number.)


# %%
def with_gaps(pattern, exponent_bits, fraction_bits):
    digits = f"{int(pattern):0{1 + exponent_bits + fraction_bits}b}"
    return f"{digits[0]} {digits[1 : 1 + exponent_bits]} {digits[1 + exponent_bits :]}"


def float32_from_fields(patterns):
    sign = patterns >> 31
    exponent = (patterns >> 23 & 0b11111111).astype(np.int64) - 127
    fraction = (patterns & (2**23 - 1)) / 2**23
    return np.where(sign, -1, 1) * (1 + fraction) * 2.0**exponent


print(with_gaps(six_and_a_half[0], 8, 23), "is", float32_from_fields(six_and_a_half)[0])
assert float32_from_fields(six_and_a_half)[0] == 6.5

# %% [markdown]
# Try it on real numbers: `conv4` is one layer of the small network that comes with the course. (`fold` prepares the
# network for use; lesson 09 explains how.) The formula gives back each of its weights exactly.

# %%
network = fold("vgg32", data.load_weights("vgg32"))
weights = network.weights["conv4"]
weight_patterns = weights.view(np.uint32)

assert np.array_equal(float32_from_fields(weight_patterns), weights)
print(f"{weights.size:,} weights, from {weights.min():.2f} to {weights.max():.2f}")

# %% [markdown]
# The exponent field has 256 patterns. How many different ones occur in these 36,864 weights? (The largest is about a
# third, so its exponent is −2. Near zero the weights are about evenly spread, so that each octave, from a power of two
# to the next, holds half as many as the one above. When are none left?)

# %%
my_guess = ...

# %%
exponents_in_use = np.unique(weight_patterns >> 23 & 0b11111111)

reveal(my_guess, len(exponents_in_use), digits=0)

# %%
exponents_in_use, weights_in_octave = np.unique(weight_patterns >> 23 & 0b11111111, return_counts=True)
print("field  ", *(f"{field:5}" for field in exponents_in_use))
print("weights", *(f"{count:5}" for count in weights_in_octave))
assert len(exponents_in_use) == 18
assert exponents_in_use[np.argmax(weights_in_octave)] == 122
assert weights_in_octave.max() == 11_321 < 2**14

# %% [markdown]
# The fullest octave has field 122. Its 11,321 weights can be halved 13 times before 1 is left, down to field 109. Three
# octaves lie above, and one straggler below.
#
# Trained weights use a small part of what float32 can say. That is the opening for everything in this course.
#
# Two exponent fields are set apart. **All ones**: infinity, or NaN ("not a number"), if the fraction is not 0. **All
# zeros**: here the hidden digit is 0 and not 1, and the exponent is that of field 1. This gives zero, and the
# **subnormals**, which step evenly down to it: field 0 with fraction 000…001 is 0.00…01 in base 2, that is 2⁻²³, times
# 2⁻¹²⁶ (field 1 less 127), which makes 2⁻¹⁴⁹. All other numbers are called **normal**. (`float32_from_fields` is
# right for normal numbers only; exercise 2 makes it complete, and for any format.)

# %%
specials = np.array([0.0, 2.0**-149, 2.0**-126, 1.0, np.inf, np.nan], np.float32)
for special in specials:
    print(f"{with_gaps(special.view(np.uint32), 8, 23)}   {special:.4g}")

assert np.array([1], np.uint32).view(np.float32)[0] == np.finfo(np.float32).smallest_subnormal == 2.0**-149
assert np.finfo(np.float32).smallest_normal == 2.0**-126

# %% [markdown]
# ## 3 · Fewer bits: which ones go?
#
# Half the bits can be divided in two ways. **float16** has 5 of exponent and 10 of fraction, **bfloat16** ("brain
# float") 8 and 7. Of the 8 bits of **FP8** there are two common divisions, named after them: **E4M3**, 4 of exponent
# and 3 of fraction (M for mantissa, another word for it), and **E5M2**.
#
# | | sign | exponent | fraction | bias |
# |---|---|---|---|---|
# | float32 | 1 | 8 | 23 | 127 |
# | bfloat16 | 1 | 8 | 7 | 127 |
# | float16 | 1 | 5 | 10 | 15 |
# | FP8 E5M2 | 1 | 5 | 2 | 15 |
# | FP8 E4M3 | 1 | 4 | 3 | 7 |
#
# The bias of e exponent bits is 2ᵉ⁻¹ − 1, so that 1.0 stands in the middle of the exponents.
#
# The largest normal exponent field of float16 is 30, since 31 is set apart; the bias is 15. What is its largest finite
# value?

# %%
my_guess = ...

# %%
largest_float16 = (1 + 1023 / 1024) * 2 ** (30 - 15)

reveal(my_guess, largest_float16, digits=0)

# %%
assert largest_float16 == np.finfo(np.float16).max == FLOAT16.max

# %% [markdown]
# Not much. bfloat16 keeps all exponents of float32: it *is* the upper half of a float32. Shift, and you have it; shift
# back, and you have a float32 again. Both formats meet 70,000:

# %%
seventy_thousand = np.array([70_000], np.float32)
upper_half = (seventy_thousand.view(np.uint32) >> 16).astype(np.uint16)
from_upper_half = (upper_half.astype(np.uint32) << 16).view(np.float32)
with np.errstate(over="ignore"):
    in_float16 = seventy_thousand.astype(np.float16)

print(f"bfloat16 {with_gaps(upper_half[0], 8, 7)} = {from_upper_half[0]:.0f}    float16 = {in_float16[0]}")
assert np.isinf(in_float16[0])
assert abs(from_upper_half[0] / seventy_thousand[0] - 1) < 2.0**-7

# %% [markdown]
# bfloat16 has the range, float16 the finer steps. (Shifting cuts off; it does not round. More about that at the end.)
# Now 1/3 in all of them, **rounded** to the nearest value by the course's package. `minifloat.encode` gives patterns
# (for what is too large that of the largest value; infinity on request), `minifloat.decode` values:

# %%
third = np.array([1 / 3], np.float32)
print(f"float32   {with_gaps(third.view(np.uint32)[0], 8, 23)}  {third[0]:.7f}")

off = []
for each in (FLOAT16, BFLOAT16, E4M3FN, E5M2):
    pattern = minifloat.encode(1 / 3, each)
    value = float(minifloat.decode(pattern, each))
    off.append(abs(3 * value - 1))
    gaps = with_gaps(pattern, each.exponent_bits, each.mantissa_bits)
    print(f"{each.name:9} {gaps:34}  {value:.7f}  off by {100 * off[-1]:.2f} %")

assert off[0] < off[1] < off[2] < off[3] < 2.0**-3

# %% [markdown]
# Is that package right? A format of 16 bits has only 65,536 patterns, so decode **all** of them as NumPy's float16
# does, and encode many random numbers, a third of them subnormal:

# %%
every_pattern = np.arange(2**16).astype(np.uint16)

assert np.array_equal(minifloat.decode(every_pattern, FLOAT16), every_pattern.view(np.float16), equal_nan=True)

rng = np.random.default_rng(1)
numbers = (rng.normal(size=100_000) * 2.0 ** rng.uniform(-26, 13, size=100_000)).astype(np.float32)
assert np.abs(numbers).max() < 65504
assert np.array_equal(minifloat.encode(numbers, FLOAT16), numbers.astype(np.float16).view(np.uint16))
print("all 65,536 patterns of float16 and 100,000 roundings agree")

# %% [markdown]
# E4M3 makes an exception, to save patterns: it has no infinity, and only fraction 111 in the exponent field of all ones
# is NaN. So its largest value is 1.75·2⁸. (Its full name, E4M3FN, says so: *finite*, with *NaN*.) The column
# `subnormal` holds the smallest of them, the first value above zero:

# %%
print(f"{'':10}{'largest':>12}{'smallest normal':>17}{'subnormal':>12}{'step above 1':>14}")
for each in (BFLOAT16, FLOAT16, E5M2, E4M3FN):
    # The next pattern is the next value.
    one_and_next = minifloat.decode(minifloat.encode(1.0, each) + np.arange(2), each)
    step_above_one = one_and_next[1] - one_and_next[0]
    print(f"{each.name:10}{each.max:12.5g}{each.min_normal:17.3g}{each.smallest:12.3g}{step_above_one:14.4g}")
    assert step_above_one == 2.0**-each.mantissa_bits

assert E4M3FN.max == 1.75 * 2**8 == 448
assert np.isnan(minifloat.decode(0b01111111, E4M3FN))

# %% [markdown]
# ## 4 · What falls between
#
# Between two powers of two, an **octave**, all floats of m fraction bits are evenly spaced: 2ᵐ steps share it. The next
# octave is twice as long and has as many. So in the octave that begins at 2ᵉ, neighbours are 2ᵉ⁻ᵐ apart; at 1 that is
# the last column of the table. For float32, m is 23. Add 1 to 16,777,216 = 2²⁴ in float32, and subtract 2²⁴ again. What
# is left?

# %%
my_guess = ...

# %%
two_to_24 = np.float32(2**24)
left = (two_to_24 + np.float32(1)) - two_to_24

reveal(my_guess, float(left), digits=0)

# %%
print("distance to the next float32:", np.spacing(two_to_24))
assert np.spacing(two_to_24) == 2.0 ** (24 - 23)
assert left == 0

# %% [markdown]
# The next float32 is 2²⁴ + 2. (2²⁴ + 1 lies just between; such a **tie** goes to the value whose last bit is 0.) A
# counter in float32 stands still there, and no error is raised.
#
# Now floats and integers on one axis. Two FP8 formats and int8, the last with a step of 1/8, which brings it to nearly
# 16. (Of the 128 patterns from 0 up, those of the floats that are missing here lie beyond 16.)

# %%
# alt: Three rows of ticks from 0 to 16. E4M3 and E5M2 crowd near zero and thin out to the right, doubling their
# distance at 2, 4 and 8, E5M2 with half as many ticks in each octave. int8 in steps of 1/8 is evenly spaced all along.
patterns_from_zero = np.arange(128)
rows = {
    "E4M3": minifloat.decode(patterns_from_zero, E4M3FN),
    "E5M2": minifloat.decode(patterns_from_zero, E5M2),
    "int8 · 1/8": patterns_from_zero / 8,
}
numbers_plots.ticks(rows, 0, 16, title="Eight bits each: floats crowd around zero, integers are evenly spaced")

# %% [markdown]
# How crowded? Of all float32 patterns that are finite numbers, what share lies between −1 and 1, in percent?

# %%
my_guess = ...

# %%
pattern_of_one = int(np.float32(1).view(np.uint32))
pattern_of_infinity = int(np.float32(np.inf).view(np.uint32))
share_within_one = 100 * pattern_of_one / pattern_of_infinity

reveal(my_guess, share_within_one, "%")

# %% [markdown]
# About half: positive floats have the same order as their patterns, so we only have to count patterns, and 1.0 stands
# in the middle. A float promises a small **relative** error, for normal numbers at most 2⁻ᵐ⁻¹ of the value; an integer
# a small **absolute** one. Here are the distances themselves:

# %%
# alt: Distance to the next value against magnitude, axes in powers of two. Five floats rise as parallel staircases,
# from float32 at the bottom over float16, bfloat16 and E4M3 to E5M2 at the top; float16, E4M3 and E5M2 are level at the
# left, among their subnormals, and end early at the right. int32 is a level line at 1, which float32 crosses at 2 to
# the power 23.
curves = {}
for name, fraction_bits, lowest, highest in [
    ("E5M2", 2, -14, 15),
    ("E4M3", 3, -6, 8),
    ("bfloat16", 7, -126, 127),
    ("float16", 10, -14, 15),
    ("float32", 23, -126, 127),
]:
    exponents = np.arange(-16, min(highest, 31) + 1)
    curves[name] = 2.0**exponents, 2.0 ** (np.maximum(exponents, lowest) - fraction_bits)
curves["int32"] = np.array([1, 2.0**31]), np.array([1, 1])
numbers_plots.spacings(curves, title="Floats keep the relative distance, integers the absolute one")

# %%
normal_values = np.geomspace(2.0**-6, 440, 10_001)
relative_error = np.abs(minifloat.round_to(normal_values, E4M3FN) / normal_values - 1)

print(f"E4M3, normal numbers: relative error at most {relative_error.max():.4f}, promised {2**-4}")
assert relative_error.max() <= 2.0**-4
assert math.isclose(relative_error.max(), 1 / 17, rel_tol=1e-3)

# %% [markdown]
# The worst value is 1 + 1/16, just between 1 and 1.125: half a step, 1/16, of 17/16 is 1/17.
#
# ## 5 · Play with eight bits
#
# `pattern` is a byte from 0 to 255. `exponent_bits` decides who reads it: 1 to 5 makes a float, 0 makes int8. Watch the
# square, which is this pattern among all others of its format. (Zero, the largest value, infinity and NaN have none.
# With 1 to 3 exponent bits no field is set apart for them.)
#
# - Stay at pattern 64 and move `exponent_bits`. Then do the same at 56. Which one is the same number in all floats?
# - Go to pattern 3 and back to four exponent bits: a subnormal. How far is it to the next?
# - Which `exponent_bits` makes a float whose steps are all equal, like an integer's? Why?


# %%
def byte_read_as(pattern, exponent_bits):
    return numbers_plots.eight_bits(pattern, exponent_bits)


# %% tags=["nbval-ignore-output"]
widgets.play(byte_read_as, pattern=(0, 255, 58), exponent_bits=(0, 5, 4))

# %% [markdown]
# (Without a running kernel there is no slider. This is its first position.)

# %%
# alt: Left eight boxes with the bits 0, 0111, 010 in three colours and below them: sign plus, exponent 7 with bias 7,
# fraction 1.25, value 1.25. Right the distance of neighbours of E4M3, a rising staircase of dots, with a square at
# 1.25.
byte_read_as(pattern=58, exponent_bits=4)

# %% [markdown]
# Pattern 64 is 1000000 after the sign: a field of bias + 1, and so 2, in every float; 56 has no such luck. Pattern 3 of
# E4M3 is 3 steps of 2⁻⁹ from zero, and one step from its neighbours. And the last question: 1. Its exponent field is
# 0 or 1, and field 0, that of the subnormals, has the exponent of field 1. So both have one and the same step:

# %%
eight_bit_floats = {
    exponent_bits: FloatFormat("any", exponent_bits, 7 - exponent_bits, 2 ** (exponent_bits - 1) - 1, specials="none")
    for exponent_bits in range(1, 6)
}
for pattern in (64, 56):
    print(f"{pattern}:", *(float(minifloat.decode(pattern, each)) for each in eight_bit_floats.values()))
    assert pattern == 56 or all(minifloat.decode(pattern, each) == 2 for each in eight_bit_floats.values())

steps_of_e1m6 = np.unique(np.diff(minifloat.decode(np.arange(128), eight_bit_floats[1])))
print("steps with one exponent bit:", steps_of_e1m6)
assert len(steps_of_e1m6) == 1
assert minifloat.decode(3, E4M3FN) == 3 * 2.0**-9

# %% [markdown]
# ## 6 · Fewer bits are fewer bytes
#
# Now weigh whole models. Their sizes, as published, are numbers of **parameters**: weights and what else was trained.
# GPT-3 has 175 billion. An accelerator has 80 GB of memory; take a GB as 10⁹ bytes. How many of these does GPT-3 need
# in float16, for its parameters alone?

# %%
my_guess = ...

# %%
accelerators = math.ceil(175e9 * 16 / 8 / 80e9)

reveal(my_guess, accelerators, digits=0)

# %%
vgg32_parameters = sum(tensor.size for part in (network.weights, network.biases) for tensor in part.values())
models = {
    "vgg32 (this course)": vgg32_parameters,
    "ResNet-50": 25.6e6,
    "BERT-base": 110e6,
    "Llama 2 7B": 7e9,
    "GPT-3": 175e9,
}
widths = {"float32": 32, "16 bits": 16, "int8": 8, "4.5 bits": 4.5}

print(f"GPT-3 in float16: {175e9 * 2 / 1e9:.0f} GB, more than {accelerators - 1} × 80 GB")
print(f"{'megabytes (MB, 10⁶ bytes)':26}" + "".join(f"{name:>12}" for name in widths))
for name, parameters in models.items():
    print(f"{name:26}" + "".join(f"{parameters * width / 8 / 1e6:12,.1f}" for width in widths.values()))

assert 1.1e6 < vgg32_parameters * 4 < 1.2e6

# %% [markdown]
# Why 4.5 bits? Codes of 4 bits share scales, and scales take room: one float16 for every 32 codes is half a bit for
# each. What is stored besides the codes is called **metadata**, and this course always counts it.
#
# Watch the unit, too. Memory is sold and reported in GiB, of 2³⁰ bytes, 7 % more than a GB, and often written "GB":

# %%
llama_bytes = 7e9 * 2

print(f"Llama 2 7B in float16: {llama_bytes / 1e9:.1f} GB = {llama_bytes / 2**30:.1f} GiB")
assert math.isclose((llama_bytes / 1e9) / (llama_bytes / 2**30), 1.0737, rel_tol=1e-4)

# %% [markdown]
# ## 7 · Fewer bytes are less to move
#
# A language model that writes for one user multiplies by nearly all its weights once for each **token** (a piece of a
# word). So all of them travel from memory to the processor, once per token. Two channels of DDR4-3200 memory, usual in
# a desktop computer, move 2 × 8 bytes × 3.2·10⁹ per second: 51.2 GB/s. How many tokens per second can Llama 2 7B write
# there at most, in float16?

# %%
my_guess = ...

# %%
desktop_bandwidth = 2 * 8 * 3.2e9  # bytes per second

reveal(my_guess, desktop_bandwidth / (7e9 * 2), "tokens per second")

# %%
tokens_per_second = {name: desktop_bandwidth / (7e9 * width / 8) for name, width in widths.items()}
for name, tokens in tokens_per_second.items():
    print(f"{name:8} at most {tokens:5.1f} tokens per second")

assert math.isclose(tokens_per_second["4.5 bits"] / tokens_per_second["16 bits"], 16 / 4.5)

# %% [markdown]
# No processor was mentioned. As long as memory is what one waits for, speed is the inverse of size, whatever computes.
# This is why language models are stored in four bits although few processors can multiply four-bit numbers.
#
# ## 8 · Fewer bits are less energy
#
# Horowitz published what operations cost on a chip of 2014 (45 nanometres, 0.9 V), in picojoules, 10⁻¹² J. A neural
# network consists of **multiply-accumulates**, MACs: one multiplication and one addition to a sum. In float32 a MAC is
# 3.7 + 0.9 pJ. In int8, with a sum in int32, it is 0.2 + 0.1. By what factor is it cheaper?

# %%
my_guess = ...

# %%
picojoules = {
    "add int8": 0.03,
    "add int32": 0.1,
    "add float16": 0.4,
    "add float32": 0.9,
    "multiply int8": 0.2,
    "multiply float16": 1.1,
    "multiply int32": 3.1,
    "multiply float32": 3.7,
    "read 32 bits from DRAM": 640,
}
mac_float32 = picojoules["multiply float32"] + picojoules["add float32"]
mac_int8 = picojoules["multiply int8"] + picojoules["add int32"]

reveal(my_guess, mac_float32 / mac_int8, "times")

# %%
# alt: Horizontal bars on a logarithmic axis. Additions cost 0.03 to 0.9 pJ, multiplications 0.2 to 3.7 pJ, integers of
# 8 bits least and float32 most. Reading 32 bits from DRAM, in another colour, costs 640 pJ, far beyond all of them.
numbers_plots.energies(picojoules, title="Eight-bit integers are cheap; memory is dear")

# %% [markdown]
# (For DRAM Horowitz gives 1.3 to 2.6 nJ per 64 bits; 640 pJ is half of the lower end. Newer chips need less of
# everything; that memory is far dearer than arithmetic has stayed true.)
#
# The last bar reads from **DRAM**, the memory outside of the chip: one more reason to move fewer bytes. For the energy
# of reading one float32 weight, how many float32 MACs can be done?

# %%
my_guess = ...

# %%
macs_per_read = picojoules["read 32 bits from DRAM"] / mac_float32

reveal(my_guess, macs_per_read, digits=0)

# %% [markdown]
# So it matters how often a weight is **used** after it was read. A convolution uses it at every position of the image;
# with a **batch** of images, which go through the network together, for each of them. A language model uses it, for one
# user, once per token. Energy per image or token, for MACs and for weights from DRAM. The last case reads and writes
# the values between the layers there too:

# %%
vgg32_macs, vgg32_activations = 29_128_448, 195_482  # per image; section 9 counts them
uses = {
    "Llama 2 7B, one token": (7e9, 7e9),
    "vgg32, one image": (vgg32_macs, vgg32_parameters),
    "vgg32, batch of 64": (vgg32_macs, vgg32_parameters / 64),
    "the same, values too": (vgg32_macs, vgg32_parameters / 64 + vgg32_activations),
}
share_of_memory = {}
for name, (macs, values_moved) in uses.items():
    for kind, per_mac, bytes_each in (("float32", mac_float32, 4), ("int8", mac_int8, 1)):
        arithmetic = macs * per_mac * 1e-9  # pJ to mJ
        memory = values_moved * bytes_each * picojoules["read 32 bits from DRAM"] / 4 * 1e-9
        share = share_of_memory[name, kind] = 100 * memory / (arithmetic + memory)
        print(f"{name:24}{kind:8}{arithmetic + memory:12,.3f} mJ, {share:4.1f} % of it for memory")

assert share_of_memory["Llama 2 7B, one token", "float32"] > 99
assert share_of_memory["vgg32, batch of 64", "float32"] < 5
assert 40 < share_of_memory["the same, values too", "float32"] < 50 < share_of_memory["the same, values too", "int8"]

# %% [markdown]
# Counting weights alone, one and the same network is a matter of memory for one image and of arithmetic for 64. That
# holds while the values between the layers stay on the chip. If they leave it they cost about what the MACs cost in
# float32, and far more than these in int8. In all cases int8 needs less: a quarter for memory, a fifteenth for MACs.
#
# ## 9 · What can this machine do?
#
# Energy one cannot measure here; time one can. Two ceilings bound it: the **bandwidth** W, bytes per second from
# memory, and the **peak** P, MACs per second. `measure_ceilings` copies a large array, and multiplies 512×512 matrices
# in float32 and in int8 with ONNX Runtime, the program on which lesson 09 will run its network. All on one **thread**,
# that is, one core. It repeats and keeps the best, because a ceiling is a maximum.

# %% tags=["nbval-ignore-output"]
from fewerbits.deploy.roofline import costs, least_seconds, measure_ceilings
from fewerbits.teach.environment import describe_cpu

print(describe_cpu())
ceilings = measure_ceilings()

# %% [markdown]
# An instruction that handles 32 bytes at once takes 8 values of float32, but 32 of int8. How many times the MACs per
# second of float32 does int8 reach on your machine?

# %%
my_guess = ...

# %% tags=["nbval-ignore-output"]
ratio_of_peaks = ceilings.int8 / ceilings.float32

reveal(my_guess, ratio_of_peaks, "times")

# %% tags=["nbval-ignore-output"]
print(ceilings)
assert 0.5 < ratio_of_peaks < 20

# %% [markdown]
# (1 GMAC is 10⁹ MACs.) On x86 it depends on one feature. With **VNNI** one instruction multiplies and adds four int8
# products per sum, so that 4 is possible. Without it that takes three instructions, and less is left. What
# `describe_cpu` printed says which you have. Other processors have other answers; that is why one measures.
#
# A layer that has M MACs and moves B bytes takes at least M/P seconds for the one, and at least B/W for the other. Both
# go on at the same time, so **the longer one decides**:
#
# $$ t \;\ge\; \max\left(\frac{M}{P},\; \frac{B}{W}\right). $$
#
# Which one is longer depends on M/B, the MACs per byte. Count them for two layers of vgg32, a batch of 64 images at a
# time. Both are convolutions: they read images of 28×28 positions with some values, the **channels**, at each, and
# write images of the same size. `conv1` makes 32 channels out of 1, `conv2` 32 out of 32. For each value that it
# writes, a layer multiplies 3×3 positions of every channel that it reads by weights. The bytes are those of all values
# read, all values **written**, and the weights, which a batch reads once. `conv2` has 32 times as many MACs as `conv1`.
# How many times as many MACs *per byte*?

# %%
my_guess = ...

# %%
batch = 64
by_hand = {}
for name, channels_in, channels_out in (("conv1", 1, 32), ("conv2", 32, 32)):
    macs_of_layer = 28 * 28 * channels_in * channels_out * 9
    values_moved = 28 * 28 * (channels_in + channels_out) + channels_in * channels_out * 9 / batch
    by_hand[name] = macs_of_layer / (4 * values_moved)

reveal(my_guess, by_hand["conv2"] / by_hand["conv1"], "times")

# %% [markdown]
# About 16, and not 32. The weights hardly count, and both layers write 32 channels; `conv1` reads 1 and `conv2` 32, so
# that 33 against 64 are moved, and 32·33/64 is 16.5. `costs` counts the same for all layers (`logits`, the last, has
# ten results, one for each kind of image):

# %%
layer_costs = costs(network.layers)

print("MACs per byte      float32    int8")
for name, cost in layer_costs.items():
    if cost.macs:
        print(f"{name:15}{cost.macs / cost.bytes_moved(4, batch):10.1f}{cost.macs / cost.bytes_moved(1, batch):9.1f}")

assert sum(cost.macs for cost in layer_costs.values()) == vgg32_macs
assert sum(cost.activations for cost in layer_costs.values()) == vgg32_activations
assert 16 < by_hand["conv2"] / by_hand["conv1"] < 17
for name, macs_per_byte in by_hand.items():
    assert math.isclose(macs_per_byte, layer_costs[name].macs / layer_costs[name].bytes_moved(4, batch))

# %% [markdown]
# int8 has four times as many everywhere, since each value is a quarter as large. Draw the bound: the rate that a layer
# can reach is min(P, (M/B)·W). It rises with M/B until it meets the peak. This is the **roofline** of your machine, and
# each dot is a layer in the best case:

# %% tags=["nbval-ignore-output"]
# alt: Two roofs on logarithmic axes: one common slope for memory bandwidth, then level at the float32 peak and, higher,
# at the int8 peak. conv1 and logits lie far to the left, the other five layers to the right. In int8 every layer stands
# four times as far to the right as in float32, and no lower.
numbers_plots.roofline(ceilings, layer_costs, batch, title="vgg32 on the roof of this machine, batch of 64 images")

# %% [markdown]
# Dots on the slope wait for memory: there the *size* of int8 helps, by 4. Dots on a level roof are busy computing:
# there its *peak* helps, by the ratio that you measured. (One thing the figure leaves out: what fits into the
# processor's **cache**, a small memory on the chip, need not come from outside. So a layer may beat the slope. To beat
# the level it would need a better program than the one we measured.)
#
# ## 10 · A prediction, to be checked in lesson 09
#
# Put the layers together: the bound of a network is the sum of its layers' bounds. That includes the **poolings**,
# which make images smaller: they move bytes and multiply nothing. If both came equally near their bounds, how many
# times as fast as in float32 would vgg32 be in int8 on your machine?

# %%
my_guess = ...

# %% tags=["nbval-ignore-output"]
float32_seconds = least_seconds(network.layers, ceilings, "float32", batch)
int8_seconds = least_seconds(network.layers, ceilings, "int8", batch)
predicted_gain = float32_seconds / int8_seconds

reveal(my_guess, predicted_gain, "times")

# %% tags=["nbval-ignore-output"]
print(f"float32 at least {1e3 * float32_seconds:.2f} ms per image, int8 at least {1e3 * int8_seconds:.2f} ms")
assert min(4, ratio_of_peaks) <= predicted_gain * 1.000001
assert predicted_gain <= max(4, ratio_of_peaks) * 1.000001

# %% [markdown]
# It lies between 4 and the ratio of the peaks, on any machine. It must: each layer gains the one, or the other, or
# something between when it changes sides.
#
# Write your number down. Section 7 of lesson 09 computes it again and then measures the real thing. It is a prediction
# and no bound, since float32 may stay further from its roof than int8. Expect less all the same: the roof knows nothing
# of the time to call a layer, to convert numbers to int8 and back, or of a kernel (the program for one operation) that
# is not as good as the matrix product which we measured.
#
# And the language model of section 7, here, one token at a time?

# %% tags=["nbval-ignore-output"]
seconds_per_token = {
    "float32": ceilings.seconds(7e9, 7e9 * 4, "float32"),
    "int8": ceilings.seconds(7e9, 7e9, "int8"),
}
for kind, seconds in seconds_per_token.items():
    print(f"Llama 2 7B in {kind:8} at least {seconds:.2f} s per token on one thread")

assert ceilings.bandwidth < 4 * ceilings.float32  # so memory decides
assert math.isclose(seconds_per_token["float32"], 7e9 * 4 / ceilings.bandwidth)
assert seconds_per_token["int8"] < seconds_per_token["float32"]

# %% [markdown]
# With a quarter of a MAC per byte, float32 stands far out on the slope: your processor would be idle most of the time.
#
# ## Where this goes wrong
#
# Three mistakes, symptom first.
#
# **The weights look fine, and the network knows nothing.** A file was written in bfloat16. It has two bytes per value,
# so it is read as float16:

# %%
file = (weights.ravel()[:6].view(np.uint32) >> 16).astype(np.uint16).tobytes()
as_written = (np.frombuffer(file, np.uint16).astype(np.uint32) << 16).view(np.float32)
as_read = np.frombuffer(file, np.float16)

print("written", as_written.round(3))
print("read   ", as_read.astype(np.float32).round(3))
assert np.array_equal(np.sign(as_written), np.sign(as_read))
assert np.all(np.abs(as_read) > 10 * np.abs(as_written))

# %% [markdown]
# *Cause*: bytes do not say what they are. The shape fits, the signs are right, the numbers are ordinary: nothing raises
# an error. *Repair*: store the format's name with the bytes, and compare one known value after loading.
#
# **One large value, and the answer is infinite.** The rms (root mean square) of a layer's outputs, which many networks
# divide by, computed in float16:

# %%
outputs = np.array([300.0, -20.0, 5.0, 1.0], np.float16)
with np.errstate(over="ignore"):
    rms_in_float16 = np.sqrt(np.mean(outputs**2))
rms_in_float32 = np.sqrt(np.mean(outputs.astype(np.float32) ** 2))

print(f"in float16 {rms_in_float16}, in float32 {rms_in_float32:.1f}")
assert np.isinf(rms_in_float16)
assert np.isfinite(rms_in_float32.astype(np.float16))

# %% [markdown]
# *Cause*: 300² = 90,000 is beyond 65,504, though 300 and the answer are both far below it. *Repair*: compute squares
# and sums in float32, and convert the result. Store narrow, accumulate wide: you will meet this rule again, with int8
# codes and int32 sums.
#
# **Everything shrinks a little.** A float32 is made a bfloat16 by dropping its lower half, as in section 3:

# %%
cut = (weight_patterns >> 16 << 16).view(np.float32)
nearest = minifloat.round_to(weights, BFLOAT16)
magnitude_lost = {
    name: float(np.mean(np.abs(weights) - np.abs(values), dtype=np.float64) / np.mean(np.abs(weights)))
    for name, values in {"cut off": cut, "rounded": nearest}.items()
}
for name, lost in magnitude_lost.items():
    print(f"{name}: the mean magnitude shrinks by {abs(100 * lost):.2f} %")

assert np.all(np.abs(cut) <= np.abs(weights))
assert magnitude_lost["cut off"] > 20 * abs(magnitude_lost["rounded"])

# %% [markdown]
# *Cause*: cutting always goes toward zero, so that errors do not cancel. *Repair*: round to the nearest; exercise 4
# does it on the bits. The course keeps a catalogue of such mistakes, and the checks of the exercises use it to tell you
# which one you made:

# %%
from fewerbits.teach import mistakes

print(mistakes.find("bfloat16 truncated"))

# %% [markdown]
# ## Key points
#
# - A pattern says nothing without its format. Integers: two's complement. Floats: (−1)^sign · 1.fraction ·
#   2^(field − bias), with field 0 for zero and subnormals, and bias 2ᵉ⁻¹ − 1.
# - Exponent bits buy range, fraction bits buy precision. float16 ends at 65,504, E4M3 at 448, bfloat16 where float32
#   does.
# - Floats of m fraction bits are 2ᵉ⁻ᵐ apart in the octave from 2ᵉ: a relative promise. Integers are evenly spaced: an
#   absolute one. float32 counts to 2²⁴.
# - Bytes = parameters × bits / 8, plus metadata. Who waits for memory gains in proportion.
# - In 45 nm an int8 MAC takes a fifteenth of the energy of a float32 MAC, and a word from DRAM that of 139 such MACs.
# - t ≥ max(M/P, B/W). On the slope int8 gains 4, on the level the ratio of the peaks.
#
# ## Exercises
#
# [Exercises 01](../work/01_numbers.ipynb), 50 minutes: read, round and pack patterns, count bytes, and predict a gain.
# The link opens your own copy in `work/`, which `make lab` has put there.
#
# ## Sources
#
# - IEEE 754-2019, sections 3.4 and 4.3: float16 and float32, their patterns, and ties to even.
# - OCP 8-bit Floating Point Specification (OFP8) 1.0, 2023: E4M3 and E5M2.
# - D. Kalamkar et al., "A Study of BFLOAT16 for Deep Learning Training", 2019, arXiv:1905.12322.
# - M. Horowitz, "Computing's Energy Problem (and what we can do about it)", ISSCC 2014: the energies at 45 nm. S. Han
#   et al., "EIE: Efficient Inference Engine on Compressed Deep Neural Network", ISCA 2016, arXiv:1602.01528: 640 pJ for
#   a 32-bit read from DRAM.
# - S. Williams, A. Waterman, D. Patterson, "Roofline: An Insightful Visual Performance Model for Multicore
#   Architectures", Communications of the ACM 52(4), 2009.
# - Numbers of parameters: ResNet-50, torchvision's documentation (25,557,032); BERT-base, J. Devlin et al., 2019,
#   arXiv:1810.04805; Llama 2 7B, H. Touvron et al., 2023, arXiv:2307.09288; GPT-3, T. Brown et al., 2020,
#   arXiv:2005.14165.
# - JEDEC JESD79-4: DDR4, 3.2·10⁹ transfers of 8 bytes per second and channel at its fastest standard grade.
# - ONNX IR specification, TensorProto: INT4, two in a byte, the first in the lower half.
