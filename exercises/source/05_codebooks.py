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
# Eight exercises to lesson 05, about **40 minutes**, from ●○○ (one formula) to ●●● (open). Work in the copy in the
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
# Write `nearest_level(x, levels)`: for each value of `x` the number (0, 1, …) of the level that is nearest to it, in
# the shape of `x`. `levels` is a list that ascends. For levels 0, 1 and 4 the values 0.2, 0.7 and 2 get the codes 0, 1,
# 1.
#
# <details><summary>Hint 1</summary>
#
# Where does the code change from one level to the next? With levels 1 and 4, which side does 2.4 belong to, and 2.6?
#
# </details>
# <details><summary>Hint 2</summary>
#
# At the midpoints, `(levels[1:] + levels[:-1]) / 2`. The code is the number of midpoints below x:
# `np.searchsorted(midpoints, x)`. Or compare all distances: `np.abs(x[..., np.newaxis] - levels)`.
#
# </details>


# %%
def nearest_level(x, levels):
    # SOLUTION
    thresholds = (levels[1:] + levels[:-1]) / 2
    return np.searchsorted(thresholds, x)
    # END SOLUTION


check.nearest_level(nearest_level)

# %% [markdown]
# ## 2 · One step of Lloyd's iteration · ●●○ · 6 min
#
# Write `lloyd_step(x, levels)`: the levels after one iteration. Each value goes to its nearest level, then each level
# becomes what is best for its values. A level that no value is nearest to **stays where it is**. `x` is a list of
# numbers (one axis).
#
# <details><summary>Hint 1</summary>
#
# You have the codes from exercise 1. Which values belong to level 0? Which single number has the smallest sum of
# squared distances to them?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `x[codes == 0]` are the values of level 0, and their mean is the best level. Go through all levels with a loop.
#
# </details>
# <details><summary>Hint 3</summary>
#
# When `x[codes == code]` is empty, its mean is NaN. Ask `.size` first, and start from `levels.copy()`.
#
# </details>


# %%
def lloyd_step(x, levels):
    # SOLUTION
    codes = nearest_level(x, levels)
    moved = levels.astype(np.float64)
    for code in np.unique(codes):
        moved[code] = x[codes == code].mean()
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
# ## 4 · Round to a small float · ●●○ · 6 min
#
# Write `round_e4m3(x)`: each value of `x` rounded to the nearest value of E4M3. Those are, with either sign,
# (1 + M/8)·2^e for e = −6 … 8 and M = 0 … 7, but for the last one (480, whose code means NaN); and the subnormals, the
# multiples of 2⁻⁹ below 2⁻⁶. Values beyond ±448 **saturate**. For example, 1.3 becomes 1.25, and 1000 becomes 448.
#
# <details><summary>Hint 1</summary>
#
# From 1 to 2 the values are 1/8 apart, from 2 to 4 they are 2/8 apart. How far between 2^e and 2^(e+1)? And below 2⁻⁶?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The step is 2^(e−3), with e = −6 for all smaller values. Round x to a multiple of its own step.
#
# </details>
# <details><summary>Hint 3</summary>
#
# `np.frexp(x)[1] - 1` is e for every x but zero, without a logarithm; `np.maximum(…, -6)` ends it below. Clip last.
#
# </details>


# %%
def round_e4m3(x):
    # SOLUTION
    exponent = np.maximum(np.frexp(x)[1] - 1, -6)
    step = 2.0 ** (exponent - 3)
    return np.clip(np.rint(x / step) * step, -448, 448)
    # END SOLUTION


check.round_e4m3(round_e4m3)

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
# ## 6 · A block of Q4_0 · ●●○ · 5 min
#
# Write `q4_0(block)`, which returns the scale and the codes of one block (an array with one axis). As in the lesson:
# the value of largest magnitude gets the code −8, whatever its sign, and codes are −8 … 7. (Keep the scale in float
# here; the format rounds it to float16.) A block of zeros has the codes 0 and any scale.
#
# <details><summary>Hint 1</summary>
#
# x̂ = scale · code. Which scale makes the code −8 stand for the value 1.6? Which for −1.6?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `block[np.argmax(np.abs(block))]` is the value of largest magnitude, sign and all. Divide it by −8.
#
# </details>
# <details><summary>Hint 3</summary>
#
# The codes are round(x/scale). A value of nearly the same magnitude and the other sign would get +8: clip.
#
# </details>


# %%
def q4_0(block):
    # SOLUTION
    scale = block[np.argmax(np.abs(block))] / -8
    if scale == 0:
        return scale, np.zeros(block.shape, int)
    return scale, np.clip(np.rint(block / scale), -8, 7).astype(int)
    # END SOLUTION


check.q4_0(q4_0)

# %% [markdown]
# ## 7 · Two codes in a byte · ●○○ · 3 min
#
# A block of Q4_0 stores code + 8, a number from 0 to 15, and two of them in each byte: the first half of the codes in
# the low nibbles (the lower four bits), the second half in the high nibbles. Write `unpack_q4_0(packed)`: from n bytes
# (`uint8`) the 2n codes, −8 … 7, in their order.
#
# <details><summary>Hint 1</summary>
#
# The byte 0xA3 is 10·16 + 3: its low nibble is 3, its high nibble 10. `& 15` keeps the low one. And the high one?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `packed >> 4` is the high nibble. `np.concatenate` puts the halves one behind the other. Widen the type before you
# subtract.
#
# </details>


# %%
def unpack_q4_0(packed):
    # SOLUTION
    nibbles = np.concatenate([packed & 15, packed >> 4])
    return nibbles.astype(int) - 8
    # END SOLUTION


check.unpack_q4_0(unpack_q4_0)

# %% [markdown]
# ## 8 · A layer in 4.4 bits · ●●● · 8 min
#
# The open one. Write `compress(weights)` for three layers of the network that ships with the course (`conv2`, `conv4`,
# `conv6`). It returns `codes, levels, scale`, such that
#
# - `levels[codes] * scale` gives the weights back, in their order. Shapes are yours: `codes` may be `(groups,
#   group_size)` and `scale` `(groups, 1)`;
# - the SQNR is at least **20 dB**;
# - at most **4.4 bits per weight**, counted as in exercise 3: codes in whole bits; levels and scales 4 bytes each, or 2
#   if you return them as `float16`.
#
# Levels may be NF4's, or your own. The cell after the check is for experiments. Solved? Then try 4.3 bits.
#
# <details><summary>Hint 1</summary>
#
# Four bits for the codes leave 0.4 bits for scales. How many weights must share a float16 scale?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Groups of 48: all three layers divide by it (`weights.reshape(-1, 48)`). Divide each group by its largest magnitude,
# and take the nearest level.
#
# </details>
# <details><summary>Hint 3</summary>
#
# NF4 is enough: 20.2 dB on conv2. Better: start from NF4 and let `lloyd_step` move the levels ten times, on all scaled
# weights at once (`.ravel()`). Return levels as float16, too.
#
# </details>


# %%
def compress(weights):
    # SOLUTION
    groups = weights.reshape(-1, 48)
    scale = np.abs(groups).max(axis=1, keepdims=True).astype(np.float16)
    scaled = groups / scale.astype(np.float32)
    moved = NF4
    for _ in range(10):
        moved = lloyd_step(scaled.ravel(), moved)
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
