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
# # Exercises: Quantize a tensor in equal steps
#
# Eight exercises to lesson 02, about **40 minutes**, from ●○○ (one formula) to ●●● (open). Work in the copy in the
# folder `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with the smallest input that shows it · ○ not attempted. Any correct style passes: loops or
# NumPy, float32 or float64, and at ties either neighbour. Exercises 1, 3 and 4 are functions of the lesson: write them
# without looking back. When you are stuck, open a hint; each says a little more
# than the one before.

# %%
import numpy as np
from fewerbits import data
from fewerbits.teach import check, exercises
from fewerbits.tensor import metrics

# %% [markdown]
# ## 1 · A scale that fits · ●○○ · 3 min
#
# Write `symmetric_scale(x, bits)`: the scale s of symmetric signed quantization, so that the largest magnitude in `x`
# lands on the largest positive code. `x` is an array of any shape. If it holds only zeros, every positive scale is
# right; return 1.
#
# <details><summary>Hint 1</summary>
#
# How many codes are there on the positive side of zero, for 3 bits? Write all eight patterns down as signed integers.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The largest positive code of b bits is 2ᵇ⁻¹ − 1. The value that should land on it is max |x|.
#
# </details>


# %%
def symmetric_scale(x, bits):
    # SOLUTION
    largest = np.max(np.abs(x))
    return largest / (2 ** (bits - 1) - 1) if largest > 0 else 1.0
    # END SOLUTION


check.symmetric_scale(symmetric_scale)

# %% [markdown] tags=["solution"]
# A tensor of zeros is nothing exotic: pruned channels and dead ReLUs are all zero, and 0/0 would spread NaN.

# %% [markdown]
# ## 2 · A range that is not symmetric · ●●○ · 6 min
#
# Write `affine_parameters(x, bits)`, which returns the scale and the zero point for **unsigned** codes 0 … 2ᵇ − 1. The
# whole range of `x` shall be covered (but for the rounding of z) with the smallest possible step, and zero shall have a
# code of its own. For an `x` of zeros only, return 1 and 0.
#
# <details><summary>Hint 1</summary>
#
# Which code does the value zero get, if x runs from 10 to 11? Is it one of 0 … 255? What does that say about the range?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Widen the range: from min(min x, 0) to max(max x, 0). There are 2ᵇ codes, but how many steps between them?
#
# </details>
# <details><summary>Hint 3</summary>
#
# The smallest value shall get code 0: low = s·(0 − z). Solve for z, then make it a whole number, the nearest one.
#
# </details>


# %%
def affine_parameters(x, bits):
    # SOLUTION
    low, high = min(np.min(x), 0), max(np.max(x), 0)
    if low == high:
        return 1.0, 0
    scale = (high - low) / (2**bits - 1)
    return scale, int(np.rint(-low / scale))
    # END SOLUTION


check.affine_parameters(affine_parameters)

# %% [markdown] tags=["solution"]
# Because the range contains zero, −low/s lies in 0 … 2ᵇ − 1 by itself. It needs no clipping here; after a range that
# someone else hands you, clip all the same.

# %% [markdown]
# ## 3 · To codes · ●○○ · 4 min
#
# Write `quantize(x, scale, zero_point, qmin, qmax)`: the codes of `x`, in its shape, as whole numbers from `qmin` to
# `qmax`. Values outside the range saturate. Ties may go either way.
#
# <details><summary>Hint 1</summary>
#
# Four steps: into units of the scale, to whole numbers, shift, limit. The order of the last two matters.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.rint` rounds to the nearest whole number, `np.clip(codes, qmin, qmax)` limits. Converting to an integer type
# does neither.
#
# </details>


# %%
def quantize(x, scale, zero_point, qmin, qmax):
    # SOLUTION
    codes = np.rint(x / scale) + zero_point
    return np.clip(codes, qmin, qmax).astype(np.int32)
    # END SOLUTION


check.quantize(quantize)

# %% [markdown]
# ## 4 · And back · ●○○ · 3 min
#
# Write `dequantize(codes, scale, zero_point)`: the values x̂ that the codes stand for. `codes` is an array of type
# `int8` or `uint8`, as codes are stored; `scale` and `zero_point` are plain Python numbers.
#
# <details><summary>Hint 1</summary>
#
# The codes were x/s + z. Undo it, last step first.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Try `np.array([0], np.uint8) - 128` in a cell of its own. What type does the result have, and what value?
#
# </details>


# %%
def dequantize(codes, scale, zero_point):
    # SOLUTION
    return scale * (codes.astype(np.float32) - zero_point)
    # END SOLUTION


check.dequantize(dequantize)

# %% [markdown] tags=["solution"]
# NumPy keeps `uint8` when a Python number is subtracted, so 0 − 128 is 128 again. Convert first, then subtract.

# %% [markdown]
# ## 5 · A promise about the error · ●●○ · 5 min
#
# Write `error_bound(x, scale, zero_point, qmin, qmax)`: for each value of `x` a bound of its error |x̂ − x|, **without**
# quantizing it. Inside the range of the quantizer: s/2. Outside: the distance to the nearer end (within half a step of
# the end, s/2 is accepted too). For example, with s = 1, z = 0 and codes −2 … 1, the bound for x = 2.2 is 1.2. (Leave
# the roundings of float32 aside.)
#
# <details><summary>Hint 1</summary>
#
# Which values do the codes `qmin` and `qmax` stand for? These two are the ends of the range.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A value beyond an end comes back as that end.
#
# </details>
# <details><summary>Hint 3</summary>
#
# `np.clip(x, low, high)` moves each value to the nearest one inside the range. How far did it move?
#
# </details>


# %%
def error_bound(x, scale, zero_point, qmin, qmax):
    # SOLUTION
    low, high = scale * (qmin - zero_point), scale * (qmax - zero_point)
    distance_to_range = np.abs(x - np.clip(x, low, high))
    return np.maximum(distance_to_range, scale / 2)
    # END SOLUTION


check.error_bound(error_bound)

# %% [markdown]
# ## 6 · A scale for each channel · ●●○ · 6 min
#
# Write `quantize_per_channel(weights, bits)`, symmetric and signed, with one scale for each output channel. Output
# channels are the **first** axis; there are two axes (a linear layer) or four (a convolution). Return the codes, in the
# shape of `weights`, and the scales, one per channel. A channel of zeros may have any positive scale.
#
# <details><summary>Hint 1</summary>
#
# Solve it for a single channel first: `weights[0]` is an array whose scale you can compute as in exercise 1. A loop
# over the channels is a correct solution.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Without a loop: `weights.reshape(len(weights), -1)` has one row per channel.
#
# </details>
# <details><summary>Hint 3</summary>
#
# NumPy lines shapes up from the right. Scales of shape `(channels, 1)` fit the rows of hint 2, scales of shape
# `(channels,)` do not.
#
# </details>


# %%
def quantize_per_channel(weights, bits):
    # SOLUTION
    qmax = 2 ** (bits - 1) - 1
    rows = weights.reshape(len(weights), -1)
    scales = np.max(np.abs(rows), axis=1, keepdims=True) / qmax
    scales[scales == 0] = 1
    codes = np.clip(np.rint(rows / scales), -qmax, qmax).astype(np.int32)
    return codes.reshape(weights.shape), scales[:, 0]
    # END SOLUTION


check.quantize_per_channel(quantize_per_channel)

# %% [markdown]
# ## 7 · Repair it · ●●○ · 6 min
#
# `fake_quantize(x, low, high, bits)` takes `x` to unsigned codes 0 … 2ᵇ − 1 and straight back, for a range from `low`
# to `high` that was measured on other data. The version below was found in a project. It runs, it looks reasonable,
# and it has **four** faults. Find and repair them; the check shows you one input at a time.
#
# Before you run anything: read it, and write down where you would look first.
#
# <details><summary>Hint 1</summary>
#
# Try `low, high = 10, 11`. Then an `x` outside of the range. Then an `x` below zero. Then compare the zero point with
# the exact quotient.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Two of the faults are about what an integer type does: on conversion from float, and on subtraction. One is about
# the range, and one about the zero point.
#
# </details>
# <details><summary>Hint 3</summary>
#
# Exercises 2, 3 and 4 each contain one of the repairs, and exercise 2 two of them.
#
# </details>


# %%
def fake_quantize(x, low, high, bits):
    # SOLUTION
    low, high = min(low, 0), max(high, 0)
    scale = (high - low) / (2**bits - 1)
    zero_point = round(-low / scale)
    codes = np.clip(np.rint(x / scale) + zero_point, 0, 2**bits - 1)
    return (codes - zero_point) * scale
    # GIVEN
    # scale = (high - low) / (2**bits - 1)
    # zero_point = max(0, min(int(-low / scale), 2**bits - 1))
    # codes = (np.rint(x / scale) + zero_point).astype(np.int64).astype(np.uint8)
    # return (codes - zero_point) * scale
    # END SOLUTION


check.fake_quantize(fake_quantize)

# %% [markdown] tags=["solution"]
# The four: the range did not contain zero; `int` cut the zero point's fraction off; values beyond the range wrapped
# around in `uint8` instead of being clipped; and `codes - zero_point` wrapped around below zero, because it was
# computed in `uint8`. Each alone is easy to overlook, since most values survive it.

# %% [markdown]
# ## 8 · Real weights, few bits · ●●● · 7 min
#
# The open one. Write `store(weights)` for three real layers of the network that ships with the course. It returns
# `codes, scale, bits`, such that
#
# - `codes * scale` gives the weights back, in their order. Shapes are yours: `codes` may be `(groups, group_size)` and
#   `scale` `(groups, 1)`; the values are put into the shape of `weights` afterwards;
# - `codes` are whole numbers from −2ᵇ⁻¹ to 2ᵇ⁻¹ − 1, with b = `bits`;
# - the SQNR is at least **20 dB**;
# - at most **5.15 bits per weight**, scales counted: 4 bytes each, or 2 if you return them as `float16`.
#
# The check tells you what you reached for each layer. Solved? Then see how far down you get: 4.5 bits are possible with
# what lesson 02 taught. The cell below the check is there for your experiments.
#
# <details><summary>Hint 1</summary>
#
# What does a scale per tensor reach with 5 bits, and what does one per channel cost? A channel of these layers has 288
# to 1152 weights.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Each bit gives 6 dB. Count how many dB are missing before you choose.
#
# </details>
# <details><summary>Hint 3</summary>
#
# For 4.5 bits: groups of 32 in 4 bits, scales in float16, and a range that gives up a little of the peak (section 7
# of the lesson). How much of it pays differs from group to group: no single fraction is enough for all three layers.
#
# </details>
# <details><summary>Hint 4</summary>
#
# Quantize every group three times: with codes −8 … 7 and the scales 1, 0.9 and 0.8 times peak/7. For each group keep
# the scale whose squared error is the smallest.
#
# </details>


# %%
def store(weights):
    # SOLUTION
    bits = 5
    rows = weights.reshape(len(weights), -1)
    scale = np.max(np.abs(rows), axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    codes = np.rint(rows / scale).astype(np.int8)
    return codes, scale, bits
    # END SOLUTION


check.store(store)

# %%
weights = data.load_weights("vgg32")["conv2.weight"]  # also conv4.weight and conv6.weight
restored = weights.astype(np.float16)
print(f"{weights.shape}: {metrics.sqnr(weights, restored):.1f} dB in float16")

# %% [markdown] tags=["solution"]
# 4.5 bits: for each group of 32 try several ranges and keep the one with the smallest error.


# %% tags=["solution"]
def store_in_less(weights):
    groups = weights.reshape(-1, 32)
    peak = np.max(np.abs(groups), axis=1, keepdims=True)
    best_error = np.full(peak.shape, np.inf)
    best_scale = peak.copy()
    for part_of_peak in np.linspace(0.6, 1, 9):
        scale = (part_of_peak * peak / 7).astype(np.float16)
        restored = np.clip(np.rint(groups / scale), -8, 7) * scale
        error = np.sum((restored - groups) ** 2, axis=1, keepdims=True)
        best_scale = np.where(error < best_error, scale, best_scale)
        best_error = np.minimum(error, best_error)
    scale = best_scale.astype(np.float16)
    return np.clip(np.rint(groups / scale), -8, 7).astype(np.int8), scale, 4


check.store(store_in_less)

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("02_uniform")
