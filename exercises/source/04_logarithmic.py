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
# # Exercises: Quantize in the logarithm
#
# Six exercises to lesson 04, about **45 minutes**, from ●○○ (one formula) to ●●● (open). Work in the copy in the
# folder `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with the smallest input that shows it · ○ not attempted. Any correct style passes: loops or
# NumPy, float32 or float64, and where two answers are equally near, either. Arrays come in **any shape** unless said
# otherwise, and the answer has the same: a loop goes over `x.ravel()` or `np.ndenumerate(x)`.
#
# In exercises 1 and 2, `steps` is the number of **steps per octave**: 1 is base 2, 2 is base √2. P = 2ᵇ⁻¹ − 1 is the
# largest code of b bits, `top` the exponent of the largest level, **counted in steps**, not in octaves. So code ±P
# stands for ±2^(top/steps), and the next lower code for one step less.

# %%
import numpy as np
from fewerbits.teach import check, exercises

# %% [markdown]
# ## 1 · Back from the logarithm · ●○○ · 5 min
#
# Write `log_dequantize(codes, top, bits, steps)`: the values that the codes −P … P stand for, code 0 for exactly zero.
# `codes` is an array of type `int8`, and `bits` at most 8. Example: with 3 bits P is 3; for `top = 0` and `steps = 1`
# the codes −3, 0, 1 stand for −1, 0, 0.25.
#
# <details><summary>Hint 1</summary>
#
# Write down what the codes 1, 2, 3 stand for in the example, as powers of two. What is the exponent of |c|?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The exponent is top − P + |c|, in steps; in octaves it is that divided by `steps`. The sign stands in front, and
# `np.sign(0)` is 0. Which of these numbers does `int8` not hold when b is 8?
#
# </details>


# %%
def log_dequantize(codes, top, bits, steps):
    # SOLUTION
    largest_code = 2 ** (bits - 1) - 1
    exponent = (top - largest_code + np.abs(codes.astype(int))) / steps
    return np.sign(codes) * 2.0**exponent
    # END SOLUTION


check.log_dequantize(log_dequantize)

# %% [markdown] tags=["solution"]
# `np.sign` does two things at once: it puts the sign in front, and makes code 0 an exact zero.

# %% [markdown]
# ## 2 · To the logarithm · ●●○ · 9 min
#
# Write `log_quantize(x, top, bits, steps)`: the codes of `x`, in its shape. The exponent is steps·log₂|x|, **rounded to
# the nearest integer in the logarithm**, as the lesson's first rule does. Values too large get the largest code of
# their sign. Values too small are treated **otherwise than in the lesson**: they get the smallest level of their sign,
# so that nothing but zero gets code 0.
#
# <details><summary>Hint 1</summary>
#
# Solve it for positive x first. Which code has the exponent `top`? Which one has `top` − 1?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The magnitude of the code is exponent − top + P, within limits. Which magnitudes are allowed for a value that is not
# zero? Limit it *before* the sign comes back.
#
# </details>
# <details><summary>Hint 3</summary>
#
# `np.where(x == 0, 1, x)` is an array whose logarithm exists everywhere. What you put in place of zero is no matter, if
# the sign of x makes the code zero afterwards.
#
# </details>


# %%
def log_quantize(x, top, bits, steps):
    # SOLUTION
    largest_code = 2 ** (bits - 1) - 1
    nonzero = np.where(x == 0, 1, x)
    exponent = np.rint(steps * np.log2(np.abs(nonzero)))
    magnitude = np.clip(exponent - top + largest_code, 1, largest_code)
    return (np.sign(x) * magnitude).astype(np.int64)
    # END SOLUTION


check.log_quantize(log_quantize)

# %% [markdown]
# ## 3 · The nearest power · ●●○ · 6 min
#
# Now by value. Write `nearest_power(x)`: for each value of `x` the power of two, with its sign, that is **nearest in
# value**: the smallest |x̂ − x|. Zero stays zero. At equal distance either power is right.
#
# <details><summary>Hint 1</summary>
#
# 1.45 lies between 1 and 2. How far from each? Compare with `2.0 ** np.rint(np.log2(1.45))`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Take the power below, 2^⌊log₂|x|⌋. From which multiple of it on is the next power nearer?
#
# </details>


# %%
def nearest_power(x):
    # SOLUTION
    magnitude = np.where(x == 0, 1, np.abs(x)).astype(float)
    below = 2.0 ** np.floor(np.log2(magnitude))
    return np.sign(x) * np.where(magnitude < 1.5 * below, below, 2 * below)
    # END SOLUTION


check.nearest_power(nearest_power)

# %% [markdown] tags=["solution"]
# The exponent in one go is `np.floor(np.log2(magnitude / 1.5)) + 1`: dividing by 1.5 moves the midpoint to where floor
# changes.

# %% [markdown]
# ## 4 · The µ-law · ●●○ · 9 min
#
# Write `mu_law(x, bits, mu)`, which takes `x` to codes and straight back: compress |x|/max|x| by ln(1 + µu)/ln(1 + µ),
# round to the nearest of P = 2ᵇ⁻¹ − 1 equal steps, expand by the inverse. The result is in the unit of `x`, with its
# sign. A tensor of zeros comes back as zeros.
#
# <details><summary>Hint 1</summary>
#
# Three lines: compress, round, expand. With u = 1 each of them gives 1. What does the middle one do to 0.4, for P = 7?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The inverse: solve y = ln(1 + µu)/ln(1 + µ) for u. Test it with y = 0 and y = 1.
#
# </details>
# <details><summary>Hint 3</summary>
#
# u = ((1 + µ)^y − 1)/µ. NumPy has `np.log1p` and `np.expm1` for such formulas.
#
# </details>


# %%
def mu_law(x, bits, mu):
    # SOLUTION
    scale, largest_code = np.max(np.abs(x)), 2 ** (bits - 1) - 1
    if scale == 0:
        return np.zeros_like(x)
    compressed = np.log1p(mu * np.abs(x) / scale) / np.log1p(mu)
    rounded = np.rint(compressed * largest_code) / largest_code
    return np.sign(x) * scale * np.expm1(rounded * np.log1p(mu)) / mu
    # END SOLUTION


check.mu_law(mu_law)

# %% [markdown]
# ## 5 · A sum of shifts · ●●○ · 6 min
#
# Write `shift_sum(codes, activations)`: the dot product of base-2 weights and integer activations, **without a
# multiplication**. Both are arrays of type `int8` and equally long, and no |c| is above 15. Code c stands for ±2^(|c| −
# 1), so code 1 is the weight 1, code −3 the weight −4, code 0 the weight 0. Return one whole number. (The check cannot
# see how you compute it. You can.)
#
# <details><summary>Hint 1</summary>
#
# By hand: codes 3, −1, 0 and activations 5, 7, 9. Which places are shifted how far, and what is added or subtracted?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `a << n` shifts. Try `np.array([127], np.int8) << 6` in a cell of its own. What type has the result?
#
# </details>
# <details><summary>Hint 3</summary>
#
# Which type is wide enough for any activation shifted by 14 places? Convert before you shift. Then sum where codes are
# positive and where they are negative.
#
# </details>


# %%
def shift_sum(codes, activations):
    # SOLUTION
    places = np.maximum(np.abs(codes.astype(np.int64)) - 1, 0)
    shifted = activations.astype(np.int64) << places
    return shifted[codes > 0].sum() - shifted[codes < 0].sum()
    # END SOLUTION


check.shift_sum(shift_sum)

# %% [markdown] tags=["solution"]
# 127 shifted by six places needs 13 bits and a sign. In `int8` its upper bits fall off without a word.

# %% [markdown]
# ## 6 · Save a gradient · ●●● · 10 min
#
# The open one. `gradient_levels(gradient)` gets a real gradient, as it arrives at three layers of the course's network,
# and returns **at most 64 levels**: six bits per value. Each value will go to the level nearest in value. Reach, for
# all three layers,
#
# - an SQNR of at least **19 dB**, and
# - at most **2 %** of the non-zero values lost, that is, turned into zero;
# - and exact zeros stay exact zeros: most of a gradient is zero, because of ReLU.
#
# 64 equal steps fail by far: they lose more than half of the values.
#
# Solved? There is a ★ for **21 dB** on all three, within the same 2 %. It takes one more idea of the lesson.
#
# <details><summary>Hint 1</summary>
#
# How many octaves do the values span? The lesson counted them. How many levels per octave can you afford, with two
# signs and a zero?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Base 2 has range to spare and reaches 14 dB. Section 4 says which base gives 20.
#
# </details>
# <details><summary>Hint 3</summary>
#
# The largest level is max|gradient|, each next one is smaller by the same factor. How many are there of one sign, when
# both signs and zero have to fit into 64?
#
# </details>
# <details><summary>Hint 4</summary>
#
# For the ★, finer bases do not get there. Take a curve between logarithm and straight line, as in section 5. The levels
# are what P equal steps become when they are expanded. Try some strengths: the right one is far beyond the telephone's.
#
# </details>


# %%
def gradient_levels(gradient):
    # SOLUTION
    peak = np.max(np.abs(gradient))
    positive = peak * 2.0 ** (-np.arange(31) / 2)
    return np.concatenate((-positive, [0], positive))
    # END SOLUTION


check.gradient_levels(gradient_levels)

# %% [markdown] tags=["solution"]
# The µ-law is a logarithm for large values, and a straight line below max|x|/µ. The larger µ, the farther down it
# reaches.


# %% tags=["solution"]
def levels_by_the_mu_law(gradient, mu=4000):
    places = np.arange(1, 32) / 31
    positive = np.max(np.abs(gradient)) * np.expm1(places * np.log1p(mu)) / mu
    return np.concatenate((-positive, [0], positive))


check.gradient_levels(levels_by_the_mu_law)

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("04_logarithmic")
