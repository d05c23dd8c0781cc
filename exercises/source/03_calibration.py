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
# # Exercises: Choose the range of a tensor
#
# Seven exercises to lesson 03, about **50 minutes**, from ●○○ (a few lines) to ●●● (open). Work in the copy in the
# folder `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with an input that shows it · ○ not attempted. Any correct style passes. When you are stuck,
# open a hint; each says a little more than the one before. The package has most of what is asked for: write it
# yourself.

# %%
import numpy as np
from fewerbits import data
from fewerbits.teach import check, exercises

# %% [markdown]
# ## 1 · Watch batch by batch · ●○○ · 4 min
#
# Write `running_range(batches)`: the smallest and the largest value of all batches, `low, high`. `batches` is a
# matrix, one batch per row. The range shall contain zero, and values that are NaN or infinite shall be left out. If
# nothing is left, both are 0.
#
# <details><summary>Hint 1</summary>
#
# What should be left of the first batch when the second has been seen?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.isfinite(batch)` is a mask; `batch[mask]` are the values where it is true. There may be none.
#
# </details>


# %%
def running_range(batches):
    # SOLUTION
    low = high = 0.0
    for batch in batches:
        values = batch[np.isfinite(batch)]
        if values.size:
            low, high = min(low, values.min()), max(high, values.max())
    return low, high
    # END SOLUTION


check.running_range(running_range)

# %% [markdown] tags=["solution"]
# Beginning at 0 makes the range contain zero without another line. Leaving NaN out is a choice: in earnest, count what
# you leave out, and look at it.

# %% [markdown]
# ## 2 · Which images? · ●○○ · 4 min
#
# Write `calibration_images(pixels, count)`: the images on which the course's network shall be calibrated. `pixels` are
# photographs of shape (N, 28, 28) as `uint8`, **sorted by class**; `count` is less than N. Return `count` different
# photographs in the shape (count, 1, 28, 28), with values as the network was trained on them, 0 to 1. Take them from
# everywhere in the file: cut it into ten equal parts, and at least five must be represented.
#
# <details><summary>Hint 1</summary>
#
# The first photographs of this file all show T-shirts. Take some from everywhere.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `pixels[np.array([0, 10, 20])]` picks three images. `images[:, np.newaxis]` adds an axis. The largest `uint8` is 255.
#
# </details>


# %%
def calibration_images(pixels, count):
    # SOLUTION
    evenly = np.arange(count) * len(pixels) // count
    return pixels[evenly][:, np.newaxis].astype(np.float32) / 255
    # END SOLUTION


check.calibration_images(calibration_images)

# %% [markdown]
# ## 3 · The central part · ●●○ · 6 min
#
# Write `percentile_range(x, percent)`: the range `low, high` that holds the central `percent` of the values of `x`, for
# an **affine** quantizer. As many are given up at the lower end as at the upper. The range shall contain zero.
# Whether you count values or interpolate between two makes no difference to the check. `x` has any shape, a single
# value included, and `percent` may be 100.
#
# <details><summary>Hint 1</summary>
#
# For 90 percent of 100 values: how many are given up in all, and how many at each end?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.percentile(x, 3)` is the value below which 3 % of `x` lie. You need two such numbers.
#
# </details>


# %%
def percentile_range(x, percent):
    # SOLUTION
    tail = (100 - percent) / 2
    low, high = np.percentile(x, [tail, 100 - tail])
    return min(low, 0), max(high, 0)
    # END SOLUTION


check.percentile_range(percentile_range)

# %% [markdown]
# ## 4 · Two errors · ●●○ · 6 min
#
# Write `two_errors(x, clip, bits)` for **symmetric** quantization with the codes −(2ᵇ⁻¹ − 1) … 2ᵇ⁻¹ − 1, of which the
# outermost stand for ±clip. Return `clipping, rounding`: the mean squared error that comes from values beyond the
# clip, and that from all others. Both are means over **all** values, so that they add up to the whole. `x` has any
# shape and both signs. (The lesson's function of that name is for data without a sign.)
#
# <details><summary>Hint 1</summary>
#
# A value beyond the clip comes back as ±clip. How far did it move? A value within the range moves by rounding only.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The step is clip/(2ᵇ⁻¹ − 1). `np.where(mask, a, b)` takes from `a` where the mask is true and else from `b`.
#
# </details>


# %%
def two_errors(x, clip, bits):
    # SOLUTION
    step = clip / (2 ** (bits - 1) - 1)
    outside = np.abs(x) > clip
    clipping = np.mean(np.where(outside, np.abs(x) - clip, 0) ** 2)
    rounding = np.mean(np.where(outside, 0, x - step * np.rint(x / step)) ** 2)
    return clipping, rounding
    # END SOLUTION


check.two_errors(two_errors)

# %% [markdown]
# ## 5 · The best clip · ●●○ · 7 min
#
# Write `best_clip(x, bits)`: the clip of a symmetric quantizer, as in exercise 4, with the smallest mean squared error
# on `x`, which has any shape. An error up to 2 % above the least passes. How you search is up to you.
#
# <details><summary>Hint 1</summary>
#
# Try many clips, measure the error of each, and keep the best. Between which two numbers must it lie?
#
# </details>
# <details><summary>Hint 2</summary>
#
# A hundred clips evenly spaced from a hundredth of the largest magnitude up to all of it are close enough.
#
# </details>


# %%
def best_clip(x, bits):
    # SOLUTION
    peak = np.max(np.abs(x))
    clips = np.linspace(peak / 200, peak, 200)
    errors = [sum(two_errors(x, clip, bits)) for clip in clips]
    return clips[np.argmin(errors)]
    # END SOLUTION


check.best_clip(best_clip)

# %% [markdown]
# ## 6 · Without a search · ●●○ · 8 min
#
# Write `laplace_clip(x, bits)`: the ACIQ clip α for data of a Laplace density. It solves
#
# $$ \frac{\alpha}{\beta}\, e^{\alpha/\beta} = 3\cdot 4^b, $$
#
# where β = mean(|x − mean(x)|) is the mean distance of the values from their mean, and b are the bits. `x` has any
# shape, and its mean need not be 0. One percent of tolerance.
#
# <details><summary>Hint 1</summary>
#
# Write u = α/β. The equation for u has no data in it, only the bits: solve it first, then multiply by β.
#
# </details>
# <details><summary>Hint 2</summary>
#
# u·exp(u) grows with u. Halve an interval again and again, or try `np.linspace(0, 30, 100_000)`.
#
# </details>


# %%
def laplace_clip(x, bits):
    # SOLUTION
    beta = np.mean(np.abs(x - np.mean(x)))
    u = np.linspace(0.1, 30, 100_000)
    return beta * u[np.argmin(np.abs(u * np.exp(u) - 3 * 4**bits))]
    # END SOLUTION


check.laplace_clip(laplace_clip)

# %% [markdown] tags=["solution"]
# It holds for the density, not for your data. Compare it with `best_clip` before you rely on it:

# %% tags=["solution"]
weights = data.load_weights("vgg32")["conv4.weight"]
print(f"conv4 at 4 bits: search {best_clip(weights, 4):.2f}, formula {laplace_clip(weights, 4):.2f}")

# %% [markdown]
# ## 7 · Spoiled data · ●●● · 15 min
#
# The open one. Write `robust_range(seen, bits)`: the range `low, high` of an affine quantizer for activations of three
# real layers (`conv2`, `conv4`, `conv6`), after a ReLU. `seen` is what 16 photographs gave, and it was spoiled on the
# way: some values are NaN or infinite, and one is 40 times larger than any that belongs there. The range is judged on
# **new** photographs: at least **19 dB at 4 bits and 36 dB at 8 bits**, in every layer.
#
# The check tells you what you reached.
#
# <details><summary>Hint 1</summary>
#
# Exercise 1 has the first repair. For the outlier take the observer that counts from the end: it does not see how
# *far* away a value is.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A percentile that leaves out one value in 100,000 removes the outlier; one in a thousand is far too many for 8 bits.
# As a range each serves one number of bits only: remove what lies beyond it, and then search among the rest, as in
# exercise 5. (Without a sign, b bits have as many steps above zero, 2ᵇ − 1, as b + 1 bits with one.)
#
# </details>


# %%
def robust_range(seen, bits):
    # SOLUTION
    values = seen[np.isfinite(seen)]
    values = values[values <= np.percentile(values, 99.999)]
    clips = np.linspace(values.max() / 50, values.max(), 50)
    # Without a sign, b bits have the steps of b + 1 bits with one.
    errors = [sum(two_errors(values, clip, bits + 1)) for clip in clips]
    return 0, clips[np.argmin(errors)]
    # END SOLUTION


check.robust_range(robust_range)

# %% [markdown] tags=["solution"]
# In `conv2` this leaves out four real values besides the planted one, 2.9 to 3.3; the largest of the new photographs
# is 2.2. Remove the planted value alone, and more than a decibel is lost at 8 bits: the squared error of few images
# follows their few largest values, which other images need not repeat.

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("03_calibration")
