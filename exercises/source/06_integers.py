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
# Seven exercises to lesson 06, about **52 minutes**, from ●○○ (a few lines) to ●●● (open). Work in the copy in the
# folder `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with an input that shows it · ○ not attempted. Any correct style passes. When you are stuck,
# open a hint; each says a little more than the one before.

# %%
import numpy as np
from fewerbits.teach import check, exercises

# %% [markdown]
# ## 1 · A sum of codes · ●○○ · 4 min
#
# Write `accumulate(q_x, q_w, x_zero_point, w_zero_point)`: the sums Σ (q_x − z_x)(q_w − z_w) of a linear layer. `q_x`
# (M, K) holds M inputs as `uint8`, `q_w` (N, K) the weights of N outputs as `int8`. Here weights have a zero point
# too. The result has shape (M, N).
#
# <details><summary>Hint 1</summary>
#
# In which type does NumPy subtract two `uint8`, and in which does it multiply `uint8` by `int8`? Try it with large
# codes.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Both tensors need a wider type before anything is computed. `@` multiplies matrices; which of them must be
# transposed?
#
# </details>


# %%
def accumulate(q_x, q_w, x_zero_point, w_zero_point):
    # SOLUTION
    x = q_x.astype(np.int32) - x_zero_point
    w = q_w.astype(np.int32) - w_zero_point
    return x @ w.T
    # END SOLUTION


check.accumulate(accumulate)

# %% [markdown]
# ## 2 · How low, how high? · ●●○ · 7 min
#
# The bound of the lesson holds for both signs, so it is seldom reached. Write `sum_bounds(q_w, x_zero_point)`, which
# returns `(low, high)`, each (O,): the smallest and the largest Σ (q_x − z_x)·q_w that **any** `uint8` input can give,
# for each row of the symmetric weights `q_w` (O, K).
#
# <details><summary>Hint 1</summary>
#
# Each input may be chosen by itself. Take a single weight of −3 and the zero point 50: which code makes the product
# largest, which smallest?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Only the codes 0 and 255 matter. For each weight compute both products, in a type that holds them; `np.minimum` and
# `np.maximum` choose.
#
# </details>


# %%
def sum_bounds(q_w, x_zero_point):
    # SOLUTION
    wide = q_w.astype(np.int32)
    with_code_0, with_code_255 = -x_zero_point * wide, (255 - x_zero_point) * wide
    low = np.minimum(with_code_0, with_code_255).sum(axis=1)
    high = np.maximum(with_code_0, with_code_255).sum(axis=1)
    return low, high
    # END SOLUTION


check.sum_bounds(sum_bounds)

# %% [markdown]
# ## 3 · A bias for raw sums · ●●○ · 6 min
#
# An engine adds raw codes, Σ q_x·q_w, and then **one** whole number per output, which does the work of the bias and of
# the input's zero point. Write that number: `bias_codes(bias, s_x, s_w, q_w, x_zero_point)`. `bias` (O,) is real, `s_x`
# the scale of the input, `s_w` (O,) the scale of each row of the symmetric weights `q_w` (O, K). The result has shape
# (O,), in any type that holds it.
#
# <details><summary>Hint 1</summary>
#
# What does a sum of 1 mean in real numbers? The bias must count in the same unit.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Section 4 gives the codes of the bias, with one scale per output. Which of section 3's terms is known before any
# input arrives, and with which sign? In which type is it added up?
#
# </details>


# %%
def bias_codes(bias, s_x, s_w, q_w, x_zero_point):
    # SOLUTION
    cross_term = -x_zero_point * q_w.astype(np.int32).sum(axis=1)
    return np.rint(bias / (s_x * s_w)).astype(np.int32) + cross_term
    # END SOLUTION


check.bias_codes(bias_codes)

# %% [markdown]
# ## 4 · Repair raw sums · ●●○ · 5 min
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
# ## 5 · Multiplier and shift · ●●○ · 9 min
#
# Some processors have narrower multipliers than the 31 bits of the lesson. Write `rescale(accumulators, m, bits)`,
# which returns `(M0, n, codes)`. `M0` has just that many `bits`, 2^(bits−1) ≤ M₀ < 2^bits, and M₀/2ⁿ is as near to `m`
# as such numbers come (0 < m < 1, and 8 to 31 bits). `codes` (K,) are a·M₀/2ⁿ for the sums a in `accumulators`, (K,)
# `int32`, rounded to the nearest whole number; ties may go either way.
# The processor has no float: every sum that fits `int32` must come out right, to the last bit.
#
# <details><summary>Hint 1</summary>
#
# How many bits can a·M₀ have, and what does an `int32` array do with it? And what is M₀ for m = 0.999 with 8 bits?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.frexp` splits m. When rounding takes M₀ to 2^bits, which pair M₀, n stands for the same number? `>> n` rounds
# down; rounding down x + ½ is rounding x to nearest: what is ½ before the division by 2ⁿ?
#
# </details>


# %%
def rescale(accumulators, m, bits):
    # SOLUTION
    fraction, exponent = np.frexp(m)
    M0, n = round(fraction * 2**bits), bits - int(exponent)
    if M0.bit_length() > bits:  # rounding took it to 2^bits
        M0, n = M0 // 2, n - 1
    product = accumulators.astype(np.int64) * M0
    return M0, n, (product + 2 ** (n - 1)) >> n
    # END SOLUTION


check.rescale(rescale)

# %% [markdown]
# ## 6 · Predict an older CPU · ●●○ · 9 min
#
# Section 8 predicts what an x86 CPU without VNNI makes of a layer. Write that prediction:
# `saturating_sums(windows, q_w, x_zero_point)`. `windows` (M, C, k, k) holds the raw `uint8` codes under M positions of
# a kernel, `q_w` (O, C, k, k) the `int8` weights. The result has shape (M, O): the sums Σ (q_x − z_x)·q_w as such a
# CPU gets them. It pairs the products of **raw** codes, saturates each pair, adds the pairs in 32 bits, and then
# subtracts the cross term of z_x, which is exact. Products run over kernel rows, then columns, then channels, which
# change **fastest**.
#
# <details><summary>Hint 1</summary>
#
# What are the first two products for two channels? A `transpose` followed by a `reshape` puts codes and weights in
# that order. What happens to the last of 27 products?
#
# </details>
# <details><summary>Hint 2</summary>
#
# With (M, 1, K) times (O, K) all products stand in an array (M, O, K), in a type wide enough for a pair. Products
# 0, 2, 4 … are `[..., 0::2]`, their neighbours `[..., 1::2]`; a zero appended makes an odd K even.
#
# </details>


# %%
def saturating_sums(windows, q_w, x_zero_point):
    # SOLUTION
    codes = windows.transpose(0, 2, 3, 1).reshape(len(windows), 1, -1).astype(np.int32)
    weights = q_w.transpose(0, 2, 3, 1).reshape(len(q_w), -1).astype(np.int32)
    products = codes * weights
    if products.shape[2] % 2:
        products = np.pad(products, ((0, 0), (0, 0), (0, 1)))
    pairs = np.clip(products[..., 0::2] + products[..., 1::2], -(2**15), 2**15 - 1)
    return pairs.sum(axis=2) - x_zero_point * weights.sum(axis=1)
    # END SOLUTION


check.saturating_sums(saturating_sums)

# %% [markdown]
# ## 7 · A layer that agrees with the engine · ●●● · 12 min
#
# The open one. Write `quantized_layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point)` with NumPy alone: convolution,
# bias, requantization and ReLU, from codes to codes 0 … 255. `q_x` (N, C, H, W) is `uint8`. `q_w` (O, C, k, k) is
# `int8` and symmetric, with k = 1, 3 or 5; a border of (k − 1)/2 pixels, in which the number zero lies, keeps the size
# of the image. `q_b` (O,) holds the bias codes at s_x·s_w (nothing of the zero point is in them), `m` (O,) one
# `float32` multiplier per output channel. The result has shape (N, O, H, W). Your codes are compared with those of
# **ONNX Runtime**, every one, also with zero points that are not 0 and with sums that are almost ties, and at last on
# the first layer of the course's network.
#
# <details><summary>Hint 1</summary>
#
# What is zero after the subtraction, and in which type do you subtract? In which order come bias, multiplier, rounding,
# zero point and clipping? And which code does a ReLU clip at?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `q_b.reshape(-1, 1, 1)` and `m.reshape(-1, 1, 1)` belong to the channels of (N, O, H, W). Section 6 of the lesson
# says how ONNX Runtime rounds, and in which type it multiplies: print the `dtype` of your product.
#
# </details>


# %%
def quantized_layer(q_x, q_w, q_b, x_zero_point, m, y_zero_point):
    # SOLUTION
    height, width = q_x.shape[2:]
    side = q_w.shape[2]
    border = (side // 2, side // 2)
    padded = np.pad(q_x.astype(np.int32) - x_zero_point, ((0, 0), (0, 0), border, border))
    total = q_b.reshape(-1, 1, 1)
    for i in range(side):
        for j in range(side):
            part = padded[:, :, i : i + height, j : j + width]
            total = total + np.einsum("nchw,oc->nohw", part, q_w[:, :, i, j].astype(np.int32))
    rounded = np.rint(total.astype(np.float32) * m.reshape(-1, 1, 1))
    return np.clip(rounded + y_zero_point, y_zero_point, 255).astype(np.uint8)
    # END SOLUTION


check.quantized_layer(quantized_layer)

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("06_integers")
