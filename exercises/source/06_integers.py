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
# # Exercises: Compute a layer in integers
#
# Six exercises to lesson 06, about **40 minutes**, from ●○○ (a few lines) to ●●● (open). Work in the copy in the
# folder `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with an input that shows it · ○ not attempted. Any correct style passes. When you are stuck,
# open a hint; each says a little more than the one before.

# %%
import numpy as np
from fewerbits.teach import check, exercises

# %% [markdown]
# ## 1 · A sum of codes · ●○○ · 5 min
#
# Write `accumulate(q_x, q_w, x_zero_point)`: the sums Σ (q_x − z_x)·q_w of a linear layer. `q_x` (M, K) holds M inputs
# as `uint8`, `q_w` (N, K) the weights of N outputs as `int8`, symmetric. The result has shape (M, N).
#
# <details><summary>Hint 1</summary>
#
# In which type does NumPy subtract two `uint8`, and in which does it multiply `uint8` by `int8`? Try it with large
# codes.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Convert both tensors to `np.int32` first. `@` multiplies matrices; `q_w.T` has shape (K, N).
#
# </details>


# %%
def accumulate(q_x, q_w, x_zero_point):
    # SOLUTION
    wide = q_x.astype(np.int32) - x_zero_point
    return wide @ q_w.T.astype(np.int32)
    # END SOLUTION


check.accumulate(accumulate)

# %% [markdown]
# ## 2 · The bias · ●○○ · 5 min
#
# Write `bias_codes(bias, s_x, s_w)`: the codes with which a real `bias` (O,) is added to the sums. `s_x` is the scale
# of the input, `s_w` (O,) the scale of the weights of each output. Whole numbers, in any type that holds them.
#
# <details><summary>Hint 1</summary>
#
# What does a sum of 1 mean in real numbers? The bias must count in the same unit.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Section 4 of the lesson, with one scale per output. `np.rint` rounds to nearest.
#
# </details>


# %%
def bias_codes(bias, s_x, s_w):
    # SOLUTION
    return np.rint(bias / (s_x * s_w)).astype(np.int32)
    # END SOLUTION


check.bias_codes(bias_codes)

# %% [markdown]
# ## 3 · Repair raw sums · ●●○ · 6 min
#
# An engine multiplied raw codes: `raw` (M, N) holds Σ q_x·q_w. Weights and inputs have a zero point each. Write
# `correct_sums(raw, x_sums, w_sums, terms, x_zero_point, w_zero_point)`, which makes Σ (q_x − z_x)(q_w − z_w) of it.
# `x_sums` (M,) holds Σ q_x of each input, `w_sums` (N,) Σ q_w of each output, and `terms` is the number K of products.
#
# <details><summary>Hint 1</summary>
#
# Multiply (q_x − z_x)(q_w − z_w) out on paper. Which two terms have a minus?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `x_sums` belongs to the rows of `raw`: `x_sums[:, np.newaxis]` has shape (M, 1). `w_sums` belongs to the columns.
#
# </details>


# %%
def correct_sums(raw, x_sums, w_sums, terms, x_zero_point, w_zero_point):
    # SOLUTION
    by_row = w_zero_point * x_sums[:, np.newaxis]
    by_column = x_zero_point * w_sums
    return raw - by_row - by_column + terms * x_zero_point * w_zero_point
    # END SOLUTION


check.correct_sums(correct_sums)

# %% [markdown] tags=["solution"]
# With symmetric weights `by_row` is 0, and no sum over the input is needed.

# %% [markdown]
# ## 4 · Multiplier and shift · ●●○ · 7 min
#
# Write `rescale(accumulators, M0, n)`: a·M₀/2ⁿ for every sum a (an array of `int32`), rounded to the nearest whole
# number. `M0` is between 2³⁰ and 2³¹, `n` at least 32; both are Python integers. Ties may go either way.
#
# <details><summary>Hint 1</summary>
#
# How many bits can a·M₀ have, and what does an `int32` array do with it?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `>> n` rounds down. Rounding down x + ½ is rounding x to nearest: what is ½ before the division by 2ⁿ?
#
# </details>


# %%
def rescale(accumulators, M0, n):
    # SOLUTION
    product = accumulators.astype(np.int64) * M0
    return (product + 2 ** (n - 1)) >> n
    # END SOLUTION


check.rescale(rescale)

# %% [markdown]
# ## 5 · A convolution · ●●○ · 8 min
#
# Write `convolve(q_x, q_w, x_zero_point)`: the sums of a 3×3 convolution, stride 1, with a border one pixel wide so
# that the image keeps its size. `q_x` (N, C, H, W) is `uint8`, `q_w` (O, C, 3, 3) `int8` and symmetric; the result has
# shape (N, O, H, W). Outside the image lies the number zero.
#
# <details><summary>Hint 1</summary>
#
# Which code means the number zero? `np.pad(..., constant_values=...)` pads with any.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Each of the nine kernel positions (i, j) adds one product: the padded image from row i and column j on, cut to H×W,
# times `q_w[:, :, i, j]`. `np.einsum("nchw,oc->nohw", part, weights)` sums over the channels.
#
# </details>


# %%
def convolve(q_x, q_w, x_zero_point):
    # SOLUTION
    height, width = q_x.shape[2:]
    centred = q_x.astype(np.int32) - x_zero_point
    padded = np.pad(centred, ((0, 0), (0, 0), (1, 1), (1, 1)))
    total = 0
    for i in range(3):
        for j in range(3):
            part = padded[:, :, i : i + height, j : j + width]
            total = total + np.einsum("nchw,oc->nohw", part, q_w[:, :, i, j].astype(np.int32))
    return total
    # END SOLUTION


check.convolve(convolve)

# %% [markdown]
# ## 6 · A layer that agrees with the engine · ●●● · 9 min
#
# The open one. Write `quantized_layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point)`: convolution, bias, ReLU and
# requantization, from codes to codes 0 … 255. `q_x` and `q_w` are as in exercise 5, `q_b` (O,) holds the bias codes,
# `m` (O,) one `float32` multiplier per output channel. Your codes are compared with those of **ONNX Runtime**, every
# one, at last on the first layer of the course's network.
#
# <details><summary>Hint 1</summary>
#
# Use `convolve`. In which order come bias, multiplier, rounding, zero point and clipping? And which code does a ReLU
# clip at?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `q_b.reshape(-1, 1, 1)` and `m.reshape(-1, 1, 1)` belong to the channels of (N, O, H, W). Section 6 of the lesson
# says how ONNX Runtime treats ties.
#
# </details>


# %%
def quantized_layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    # SOLUTION
    total = convolve(q_x, q_w, x_zero_point) + q_b.reshape(-1, 1, 1)
    rounded = np.rint(total.astype(np.float32) * m.reshape(-1, 1, 1))
    return np.clip(rounded + y_zero_point, y_zero_point, 255).astype(np.uint8)
    # END SOLUTION


check.quantized_layer(quantized_layer)

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("06_integers")
