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
# # Exercises: Place levels where the values are
#
# Eight exercises to lesson 05, about **45 minutes**, from ●○○ (one formula) to ●●● (open). Work in the copy in the
# folder `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with an input that shows it · ○ not attempted. Any correct style passes: loops or NumPy,
# float32 or float64, and at ties either neighbour. When you are stuck, open a hint; each says a little more than the
# one before.

# %%
import numpy as np
from fewerbits import data
from fewerbits.teach import check, exercises
from fewerbits.tensor.quantiles import NF4

# %% [markdown]
# ## 1 · The nearest level · ●○○ · 4 min
#
# Write `nearest_level(x, levels)`: for each value of `x` the number (0, 1, …) of the level that is nearest to it. Both
# are arrays; the codes have the shape of `x`, which may have several axes. Unlike in the lesson, `levels` may come in
# **any order**: those of E2M1, in the order of their codes, are 0, 0.5, 1, … 6, −0.5, … −6. For levels 1, 4 and −1 the
# values 0.9, 3.2 and −0.3 get the codes 0, 1, 2.
#
# <details><summary>Hint 1</summary>
#
# Midpoints between neighbours help only if the levels ascend. What is true of the nearest level in any order?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Compare all distances: `x[..., np.newaxis] - levels` has one more axis than x, with one entry for each level. Which
# function gives the place of the smallest? (Large arrays: sort the levels, with `np.argsort` to remember their places.)
#
# </details>


# %%
def nearest_level(x, levels):
    # SOLUTION
    return np.argmin(np.abs(x[..., np.newaxis] - levels), axis=-1)
    # END SOLUTION


check.nearest_level(nearest_level)

# %% [markdown]
# ## 2 · One step of Lloyd's iteration, weighted · ●●○ · 7 min
#
# Not all weights matter equally: some move the network's output more than others. Write
# `lloyd_step(x, levels, importance)`: the levels after one iteration that lowers Σ importance·(x − x̂)². `x` and
# `importance` are arrays of the same length, with one axis; importance is positive. Each value goes to its nearest
# level, then each level becomes what is best for its values. A level that no value is nearest to **stays where it
# is**.
#
# <details><summary>Hint 1</summary>
#
# You have the codes from exercise 1. Which values belong to level 0? Set the derivative of Σ w·(x − l)² to zero: where
# does w stay?
#
# </details>
# <details><summary>Hint 2</summary>
#
# l = Σ w·x / Σ w, over the values of the level: for level 0 these are `x[codes == 0]` and `importance[codes == 0]`. Go
# through all levels with a loop.
#
# </details>
# <details><summary>Hint 3</summary>
#
# When `x[codes == code]` is empty, both sums are 0. Ask `.size` first, and start from `levels.copy()`.
#
# </details>


# %%
def lloyd_step(x, levels, importance):
    # SOLUTION
    codes = nearest_level(x, levels)
    moved = levels.astype(np.float64)
    for code in np.unique(codes):
        moved[code] = np.average(x[codes == code], weights=importance[codes == code])
    return moved
    # END SOLUTION


check.lloyd_step(lloyd_step)

# %% [markdown]
# ## 3 · Everything counted · ●○○ · 3 min
#
# Write `bits_per_weight(count, levels, group_size, scale_bits, fixed_levels)`: the bits that each of `count` weights
# takes, as a number with decimals. Each code of one of `levels` levels takes a fixed, whole number of bits. One scale
# of `scale_bits` bits serves `group_size` weights; the last group may be incomplete and has a scale as well. The levels
# are stored in float32, unless `fixed_levels` is true: then the format fixes them.
#
# For example, 64 weights with 16 levels in groups of 64, scales in float32 and fixed levels: 4.5.
#
# <details><summary>Hint 1</summary>
#
# Three parts: codes, scales, levels. Count the bits of each for the whole tensor, then divide by `count`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# How many bits do 12 levels need? Eight fit into 3 bits, sixteen into 4. `np.ceil` rounds up. It also helps with 100
# weights in groups of 32.
#
# </details>


# %%
def bits_per_weight(count, levels, group_size, scale_bits, fixed_levels):
    # SOLUTION
    code_bits = np.ceil(np.log2(levels))
    scales = np.ceil(count / group_size) * scale_bits
    codebook = 0 if fixed_levels else 32 * levels
    return code_bits + (scales + codebook) / count
    # END SOLUTION


check.bits_per_weight(bits_per_weight)

# %% [markdown]
# ## 4 · Round to any small float · ●●○ · 7 min
#
# The lesson rounds to E4M3. Write `round_float(x, mantissa_bits, lowest, largest)` for all such formats: each value of
# `x` rounded to the nearest of ± (1 + M/2ᵐ)·2^e, with m = `mantissa_bits`, M = 0 … 2ᵐ − 1 and e from `lowest` on, or of
# the subnormals, ± (M/2ᵐ)·2^lowest. Values beyond ±`largest` **saturate**. For example, 1.3 becomes 1.25 in E4M3
# (`3, -6, 448`) and 1.5 in E2M1 (`1, 0, 6`), where 0.2 becomes 0.
#
# <details><summary>Hint 1</summary>
#
# In E4M3 the values from 1 to 2 are 1/8 apart, from 2 to 4 they are 2/8 apart. How far between 2^e and 2^(e+1), with m
# bits? And below 2^lowest?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The step is 2^(e−m), with e = lowest for all smaller values. Round x to a multiple of its own step. (NumPy wants
# `2.0 **` here: the integer 2 has no negative powers.)
#
# </details>
# <details><summary>Hint 3</summary>
#
# `np.frexp(x)[1] - 1` is e for every x but zero, without a logarithm; `np.maximum(…, lowest)` ends it below. Clip last.
#
# </details>


# %%
def round_float(x, mantissa_bits, lowest, largest):
    # SOLUTION
    exponent = np.maximum(np.frexp(x)[1] - 1, lowest)
    step = 2.0 ** (exponent - mantissa_bits)
    return np.clip(np.rint(x / step) * step, -largest, largest)
    # END SOLUTION


check.round_float(round_float)

# %% [markdown] tags=["solution"]
# A value that is rounded up to the next power of two needs no special case: 2^(e+1) is a multiple of the step below it.

# %% [markdown]
# ## 5 · The scale of a block · ●●○ · 5 min
#
# MXFP4 stores E2M1 elements, whose largest value is 6, and one scale for each block, a **power of two**. Write
# `mx_scales(blocks)`: for each row of `blocks` the smallest power of two 2^e with which nothing saturates. (The rule of
# the specification is another one: it lets a few values saturate.) A block of zeros may have any positive scale. A
# block whose largest magnitude is 7 gets 2, one with 5 gets 1.
#
# <details><summary>Hint 1</summary>
#
# Without the power of two, the scale would be max|x|/6. The power of two must not be smaller than that.
#
# </details>
# <details><summary>Hint 2</summary>
#
# e = ceil(log₂(max|x|/6)), one for each row: `axis=1`.
#
# </details>
# <details><summary>Hint 3</summary>
#
# log₂ 0 is −∞. Replace the maximum of a block of zeros before: `np.where(peaks > 0, peaks, 1)`.
#
# </details>


# %%
def mx_scales(blocks):
    # SOLUTION
    peaks = np.max(np.abs(blocks), axis=1)
    peaks = np.where(peaks > 0, peaks, 1)
    return 2.0 ** np.ceil(np.log2(peaks / 6))
    # END SOLUTION


check.mx_scales(mx_scales)

# %% [markdown]
# ## 6 · A block with a signed scale · ●●○ · 4 min
#
# GGUF has Q4_0, and with the same idea Q5_0, of 5 bits. Write `signed_block(block, bits)`, which returns the scale and
# the codes of one block (an array with one axis): the value of largest magnitude gets the most negative code, −8 with 4
# bits, whatever its sign; codes are −2^(bits−1) … 2^(bits−1) − 1. Keep the scale in float here. A block of zeros has
# the codes 0 and any scale. For example, 0.65, −1.6 and 0 in 4 bits: the scale 0.2 and the codes 3, −8 and 0.
#
# <details><summary>Hint 1</summary>
#
# x̂ = scale · code. Which scale makes the code −8 stand for the value 1.6? Which for −1.6? And with 5 bits?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `block[np.argmax(np.abs(block))]` is the value of largest magnitude, sign and all. Divide it by the code it shall get.
#
# </details>
# <details><summary>Hint 3</summary>
#
# The codes are round(x/scale). A value of nearly the same magnitude and the other sign would get +8: clip. In a block
# of zeros the scale is 0, and x/0 no number: return zeros before you divide.
#
# </details>


# %%
def signed_block(block, bits):
    # SOLUTION
    half = 2 ** (bits - 1)
    scale = block[np.argmax(np.abs(block))] / -half
    if scale == 0:
        return scale, np.zeros(block.shape, int)
    return scale, np.clip(np.rint(block / scale), -half, half - 1).astype(int)
    # END SOLUTION


check.signed_block(signed_block)

# %% [markdown]
# ## 7 · Read a block from a file · ●●○ · 5 min
#
# A GGUF file stores 32 weights in Q4_0 as 18 bytes. Write `read_q4_0(stored)`: from the bytes (`uint8`) the 32 weights.
# The first two bytes are the scale d, a float16 with its low byte first. Each further byte holds two codes, stored as
# code + 8: byte j the code of weight j in its low nibble (the lower four bits), and that of weight j + 16 in its high
# one. For example, after d = 1.5, the first byte 163 is 10·16 + 3. So weight 0 is 1.5·(3 − 8) = −7.5, and weight 16 is
# 1.5·(10 − 8) = 3.
#
# <details><summary>Hint 1</summary>
#
# `& 15` keeps the low nibble, 3 of 163. Which operation makes 10 of it, not 160?
# `np.concatenate` puts the halves one behind the other.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `stored[:2].view("<f2")` reads two bytes as one float16, low byte first ("<"). It is an array of one value.
#
# </details>
# <details><summary>Hint 3</summary>
#
# Widen the nibbles before you subtract 8 (`.astype(int)`): `uint8` knows no negative numbers. Widen d as well
# (`float`).
#
# </details>


# %%
def read_q4_0(stored):
    # SOLUTION
    scale = float(stored[:2].view("<f2")[0])
    nibbles = np.concatenate([stored[2:] & 15, stored[2:] >> 4])
    return scale * (nibbles.astype(int) - 8)
    # END SOLUTION


check.read_q4_0(read_q4_0)

# %% [markdown]
# ## 8 · A layer in 4.4 bits · ●●● · 10 min
#
# The open one. Write `compress(weights)` for three layers of the network that ships with the course (`conv2`, `conv4`,
# `conv6`). It returns `codes, levels, scale`, such that
#
# - `levels[codes] * scale` gives the weights back, in their order. Shapes are yours: `codes` may be `(groups,
#   group_size)` and `scale` `(groups, 1)`;
# - the SQNR is at least **20 dB**;
# - at most **4.4 bits per weight**, counted as in exercise 3: codes in whole bits; levels (NF4's, too) and scales 4
#   bytes each, or 2 if you return them as `float16`.
#
# Levels may be NF4's, or your own. The cell after the check is for experiments. Solved? Then try 4.3 bits.
#
# <details><summary>Hint 1</summary>
#
# Four bits for the codes leave 0.4 bits for scales and levels. How many weights must share a float16 scale?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The rows of conv2 have 288 weights. Which divisors of 288 leave less than 0.4 bits for a scale, and which of them is
# the smallest? `weights.reshape(-1, size)` makes the groups, of all three layers. Divide each by its largest magnitude.
#
# </details>
# <details><summary>Hint 3</summary>
#
# NF4 in groups of 48 is just enough: 20.3 dB on conv2. Better levels: start from NF4 and let `lloyd_step` move them ten
# times, on all scaled weights at once (`.ravel()`). The importance of a scaled weight is the square of its scale, since
# its error is multiplied by the scale; equal importance does nearly as well here.
#
# </details>


# %%
def compress(weights):
    # SOLUTION
    groups = weights.reshape(-1, 48)
    scale = np.abs(groups).max(axis=1, keepdims=True).astype(np.float16)
    scaled = groups / scale.astype(np.float32)
    importance = np.broadcast_to(scale.astype(np.float64) ** 2, groups.shape).ravel()
    moved = NF4
    for _ in range(10):
        moved = lloyd_step(scaled.ravel(), moved, importance)
    rounded = moved.astype(np.float16)
    return nearest_level(scaled, rounded.astype(np.float32)), rounded, scale
    # END SOLUTION


check.compress(compress)

# %%
conv2 = data.load_weights("vgg32")["conv2.weight"]
groups_of_48 = conv2.reshape(-1, 48)
print(conv2.shape, "largest magnitude of the first group:", np.abs(groups_of_48[0]).max().round(3))
print("NF4:", NF4.round(2))

# %% [markdown] tags=["solution"]
# 4.28 bits: groups of 64, and levels that k-means finds exactly (`Codebook.fit` in the lesson).

# %% tags=["solution"]
from fewerbits.tensor.k_means import k_means


def compress_more(weights):
    groups = weights.reshape(-1, 64)
    scale = np.abs(groups).max(axis=1, keepdims=True).astype(np.float16)
    scaled = groups / scale.astype(np.float32)
    best_levels = k_means(scaled[:: max(1, len(scaled) // 600)], 16).levels.astype(np.float16)
    return nearest_level(scaled, best_levels.astype(np.float32)), best_levels, scale


check.compress(compress_more)

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("05_codebooks")
