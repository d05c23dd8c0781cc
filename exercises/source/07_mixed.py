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
# # Exercises: Give each layer the bits it needs
#
# Seven exercises to lesson 07, about **45 minutes**, from ●○○ (a few lines) to ●●● (an algorithm of your own).
# Work in the copy in the folder `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with an input that shows it · ○ not attempted. Any correct style passes. When you are stuck,
# open a hint; each says a little more than the one before.

# %%
import numpy as np
from fewerbits.teach import check, exercises


def run(layers, x):
    """What the small network of exercise 3 computes."""
    for w in layers[:-1]:
        x = np.maximum(x @ w.T, 0)
    return x @ layers[-1].T


def rounded(w, bits):
    """The weights of one layer after rounding to symmetric codes."""
    scale = np.abs(w).max() / (2 ** (bits - 1) - 1)
    return scale * np.rint(w / scale)


# %% [markdown]
# ## 1 · What an allocation weighs · ●○○ · 5 min
#
# Write `mixed_bytes(sizes, channels, bits)`: the bytes of a network's weights. Layer i has `sizes[i]` weights in
# `channels[i]` channels and gets `bits[i]` bits; all three are arrays of whole numbers. Codes are packed, each layer
# begins in a new byte, and each channel has one `float32` scale.
#
# <details><summary>Hint 1</summary>
#
# How many bytes do nine codes of 3 bits take, if the tenth code belongs to another layer?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.ceil` per layer, then the sum. A `float32` has 4 bytes.
#
# </details>


# %%
def mixed_bytes(sizes, channels, bits):
    # SOLUTION
    codes = np.ceil(sizes * bits / 8)
    return int(np.sum(codes + 4 * channels))
    # END SOLUTION


check.mixed_bytes(mixed_bytes)

# %% [markdown]
# ## 2 · Repair the article's function · ●●○ · 7 min
#
# The article rounds one tensor twice. Write `mixed_layer(weights, activations, weight_bits, activation_bits)`: what a
# layer with two precisions computes, x̂·ŵᵀ, as real numbers. `weights` is (N, K), `activations` (M, K), the result
# (M, N).
#
# - Weights: symmetric, signed, one scale for the tensor: the largest magnitude gets the code 2^(b−1) − 1.
# - Activations: affine, unsigned, codes 0 … 2^b − 1, from the smallest value *or zero* to the largest *or zero*, with a
#   zero point that is rounded.
#
# <details><summary>Hint 1</summary>
#
# Two tensors, two scales: write the way to codes and back twice, once symmetric and once affine (lesson 02).
#
# </details>
# <details><summary>Hint 2</summary>
#
# `s_x = (high - low) / (2**activation_bits - 1)` and `z_x = np.rint(-low / s_x)`. `min(x.min(), 0)` widens a range.
#
# </details>
# <details><summary>Hint 3</summary>
#
# `x_hat @ w_hat.T`, or the product of codes times s_x·s_w: the result is the same.
#
# </details>


# %%
def mixed_layer(weights, activations, weight_bits, activation_bits):
    # SOLUTION
    w_step = np.abs(weights).max() / (2 ** (weight_bits - 1) - 1)
    w_codes = np.rint(weights / w_step)
    low, high = min(activations.min(), 0), max(activations.max(), 0)
    x_step = (high - low) / (2**activation_bits - 1)
    zero = np.rint(-low / x_step)
    x_codes = np.clip(np.rint(activations / x_step) + zero, 0, 2**activation_bits - 1)
    return w_step * x_step * ((x_codes - zero) @ w_codes.T)
    # END SOLUTION


check.mixed_layer(mixed_layer)

# %% [markdown]
# ## 3 · One layer at a time · ●●○ · 7 min
#
# A small network: `layers` (L, n, n) holds the weights of L linear layers, with a ReLU between them. `run`, at the top,
# computes it, `rounded` rounds the weights of one layer. Write `sensitivities(layers, x, bits)`: for each layer, the
# mean squared change of the outputs when **only that layer** is rounded.
#
# <details><summary>Hint 1</summary>
#
# What must hold for the other layers when the second one is measured? And what does `other = layers` copy?
#
# </details>
# <details><summary>Hint 2</summary>
#
# For each index: `other = layers.copy()`, replace one of its layers, run, compare with `run(layers, x)`.
#
# </details>


# %%
def sensitivities(layers, x, bits):
    # SOLUTION
    exact = run(layers, x)
    changes = []
    for index, w in enumerate(layers):
        trial = layers.copy()
        trial[index] = rounded(w, bits)
        changes.append(np.mean((run(trial, x) - exact) ** 2))
    return np.array(changes)
    # END SOLUTION


check.sensitivities(sensitivities)

# %% [markdown]
# ## 4 · A greedy allocation · ●●● · 9 min
#
# Two tables, one row per layer and one column per number of bits, from few to many: `losses` (L, C), which fall from
# left to right, and `sizes` (L, C) in bytes, which grow. Write `greedy_bits(losses, sizes, budget)`: the column of each
# layer, by this rule:
#
# - All layers begin in column 0, for which the budget always suffices.
# - A step moves one layer to its *next* column. Only steps after which the bytes are within `budget` are allowed.
# - Take the allowed step that lowers the loss most per byte, again and again, until none is allowed.
#
# <details><summary>Hint 1</summary>
#
# In each round, look at every layer that has a next column: how many bytes more, how much less loss, and the second
# divided by the first?
#
# </details>
# <details><summary>Hint 2</summary>
#
# If the best step does not fit, a smaller one may. Make a list of allowed steps in each round; return when it is empty.
#
# </details>


# %%
def greedy_bits(losses, sizes, budget):
    # SOLUTION
    columns = np.zeros(len(losses), int)
    left = budget - sizes[:, 0].sum()
    while True:
        steps = []
        for row, column in enumerate(columns):
            if column + 1 < losses.shape[1]:
                extra = sizes[row, column + 1] - sizes[row, column]
                saved = losses[row, column] - losses[row, column + 1]
                if extra <= left:
                    steps.append((saved / extra, row, extra))
        if not steps:
            return columns
        _, row, extra = max(steps)
        columns[row] += 1
        left -= extra
    # END SOLUTION


check.greedy_bits(greedy_bits)

# %% [markdown]
# ## 5 · The best allocation · ●●○ · 8 min
#
# The same tables, and a harder promise. Write `best_bits(losses, sizes, budget)`: the columns with the **smallest total
# loss** whose bytes are within `budget`. One of the inputs has 12 layers with 6 choices each, more than two thousand
# million allocations, and 5 seconds are allowed.
#
# <details><summary>Hint 1</summary>
#
# Section 6 of the lesson keeps (bytes, loss) for the layers so far and returns a loss. You need the columns too.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Let a state be (bytes, loss, columns), with columns a tuple that grows by one number per layer: `(*columns, column)`.
#
# </details>
# <details><summary>Hint 3</summary>
#
# Sort the new states. Go through them by growing bytes, and keep a state only if its loss is smaller than that of the
# last one that you kept. At the end the last state is the answer.
#
# </details>


# %%
def best_bits(losses, sizes, budget):
    # SOLUTION
    states = [(0, 0.0, ())]
    for row in range(len(losses)):
        longer = []
        for size, loss, columns in states:
            for column in range(losses.shape[1]):
                longer.append((size + sizes[row, column], loss + losses[row, column], (*columns, column)))
        states = []
        for state in sorted(longer):
            if state[0] <= budget and (not states or state[1] < states[-1][1]):
                states.append(state)
    return states[-1][2]
    # END SOLUTION


check.best_bits(best_bits)

# %% [markdown]
# ## 6 · The front · ●○○ · 4 min
#
# Write `on_front(sizes, accuracies)` for candidates with bytes `sizes` (N,) and `accuracies` (N,): the indices, in
# ascending order, of all candidates that no other **beats**. A candidate beats another if it is no larger and
# no worse, and in one of the two truly better. Candidates that are equal do not beat each other.
#
# <details><summary>Hint 1</summary>
#
# Two conditions with ≤ and ≥, and one of them strict.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Compare all with all: `sizes[:, np.newaxis]` against `sizes` gives an (N, N) array. `.any(axis=0)` asks whether any
# row beats the column, and `np.flatnonzero` turns truth values into indices.
#
# </details>


# %%
def on_front(sizes, accuracies):
    # SOLUTION
    smaller, as_small = sizes[:, np.newaxis] < sizes, sizes[:, np.newaxis] <= sizes
    better, as_good = accuracies[:, np.newaxis] > accuracies, accuracies[:, np.newaxis] >= accuracies
    beats = (as_small & better) | (smaller & as_good)
    return np.flatnonzero(~beats.any(axis=0))
    # END SOLUTION


check.on_front(on_front)

# %% [markdown]
# ## 7 · Choose a precision · ●●○ · 5 min
#
# K quantized networks have been run on N images. `right` (K, N) says which images each of them got right, `float_right`
# (N,) which the float network did; `sizes` (K,) holds their bytes. Write
# `smallest_within(sizes, right, float_right, allowed)`: the index of the **smallest** network that surely loses no more
# than `allowed` (a share: 0.01 is one point), or −1 if there is none.
#
# "Surely": the loss of an image is `float_right` minus `right`, that is 1, 0 or −1. Its mean over images plus 1.96
# standard errors may not exceed `allowed`. The standard error is the standard deviation divided by √N. (For this many
# images it gives nearly the interval of the bootstrap.)
#
# <details><summary>Hint 1</summary>
#
# NumPy refuses to subtract truth values: `float_right.astype(float)`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `losses` (K, N), then `losses.mean(axis=1)` and `losses.std(axis=1)`. Among the candidates that pass, take the one
# with the fewest bytes; they are not always sorted.
#
# </details>


# %%
def smallest_within(sizes, right, float_right, allowed):
    # SOLUTION
    losses = float_right.astype(float) - right
    upper = losses.mean(axis=1) + 1.96 * losses.std(axis=1) / np.sqrt(losses.shape[1])
    passing = np.flatnonzero(upper <= allowed)
    return int(passing[np.argmin(sizes[passing])]) if len(passing) else -1
    # END SOLUTION


check.smallest_within(smallest_within)

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("07_mixed")
