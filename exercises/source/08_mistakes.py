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
# # Exercises: Diagnose a quantized network
#
# Six exercises to lesson 08, about **50 minutes**, from ●○○ (a few lines) to ●●● (open). First you write four rules
# of a diagnosis; then you name and repair what is wrong with **ten broken networks**. Work in the copy in the folder
# `work/`: no update touches it.
#
# Each exercise is one cell. Replace `raise NotImplementedError`, run the cell, and the check at its end answers:
# ✓ solved · ✗ not yet, with an input that shows it · ○ not attempted. Any correct style passes. When you are stuck,
# open a hint; each says a little more than the one before.

# %%
from dataclasses import replace

import numpy as np
from fewerbits.network import integer_network
from fewerbits.network.arithmetic import quantize_bias
from fewerbits.teach import check, exercises, mysteries
from fewerbits.tensor.uniform import Uniform

# %% [markdown]
# ## 1 · How many codes are used · ●○○ · 4 min
#
# A scale that is too large leaves codes unused. Write `used_codes(codes, qmin, qmax)`: the share of the codes
# `qmin` … `qmax` that lie from the smallest to the largest code of a tensor, these two included. For the codes −3, 1, 4
# of −8 … 7 it is 8/16 = 0.5. `codes` is an array of any integer type, often `int8` or `uint8`.
#
# <details><summary>Hint 1</summary>
#
# How many whole numbers are there from −3 to 4?
#
# </details>
# <details><summary>Hint 2</summary>
#
# What is 127 − (−128) in `int8`? `int(codes.max())` is a Python integer, which does not wrap around.
#
# </details>


# %%
def used_codes(codes, qmin, qmax):
    # SOLUTION
    used = int(codes.max()) - int(codes.min()) + 1
    return used / (qmax - qmin + 1)
    # END SOLUTION


check.used_codes(used_codes)

# %% [markdown]
# ## 2 · Is the bias in the right unit · ●○○ · 4 min
#
# A model states a scale for each bias, `s_b` (O,). Write `bias_ratio(s_x, s_w, s_b)`: for each output channel how many
# times the stated scale is the one that the sum needs. `s_x` is the scale of the input, a number; `s_w` (O,) are those
# of the weights. A healthy layer has ratios of 1.
#
# <details><summary>Hint 1</summary>
#
# A sum of products counts in which unit? Lesson 06, section 4.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The input matters as much as the weights: both scales belong to the unit.
#
# </details>


# %%
def bias_ratio(s_x, s_w, s_b):
    # SOLUTION
    return s_b / (s_x * s_w)
    # END SOLUTION


check.bias_ratio(bias_ratio)

# %% [markdown]
# ## 3 · Which axis do the scales follow · ●●○ · 7 min
#
# Weights `q` (`int8`, two axes or four) come with a vector of scales `s`, and no one says for which axis. You have the
# float weights `w` too. Write `scale_axis(w, q, s)`: the number of the axis, counted from 0, along which the scales
# restore the weights. Several axes may have the length of `s`.
#
# <details><summary>Hint 1</summary>
#
# Only axes of length `s.size` come into question. For each of them restore the weights, and compare with `w`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.moveaxis(q, axis, -1) * s` lines the scales up with `axis`; move the axis of `w` as well before you compare.
#
# </details>


# %%
def scale_axis(w, q, s):
    # SOLUTION
    candidates = [axis for axis in range(q.ndim) if q.shape[axis] == s.size]
    restored = {axis: np.moveaxis(np.moveaxis(q, axis, -1) * s, -1, axis) for axis in candidates}
    return min(candidates, key=lambda axis: np.abs(restored[axis] - w).mean())
    # END SOLUTION


check.scale_axis(scale_axis)

# %% [markdown]
# ## 4 · Foresee a symptom · ●●○ · 7 min
#
# A linear layer has inputs that were quantized with zero point `z_written`, and the next program reads their codes with
# `z_read`. Write `output_shift(q_w, s_x, s_w, z_written, z_read)`: by how much each of the O outputs, as a real number,
# lies above the right one. `q_w` (O, K) are weight codes, symmetric, with the scales `s_w` (O,); `s_x` is the scale of
# the input. You need no input: think why.
#
# <details><summary>Hint 1</summary>
#
# x̂ = s·(q − z). By how much is one input off, and does that depend on its code?
#
# </details>
# <details><summary>Hint 2</summary>
#
# An output is Σ x̂·ŵ over K products. Every x̂ is off by the same number, so that it stands before the sum.
#
# </details>


# %%
def output_shift(q_w, s_x, s_w, z_written, z_read):
    # SOLUTION
    shift_of_x = s_x * (z_written - z_read)
    return shift_of_x * s_w * q_w.astype(np.int32).sum(axis=1)
    # END SOLUTION


check.output_shift(output_shift)

# %% [markdown]
# # The mystery set
#
# Ten times the same small network was quantized to 8 bits, and each time one mistake was made. What you see is the
# symptom: how many of 100 photographs are still named rightly, and how near the logits come to those of the float
# network, as SQNR.

# %%
mysteries.show()

# %% [markdown]
# Not every mistake costs accuracy: look at networks 4 and 5. `mysteries.mystery(3).network` is a network, and all of it
# lies open: `network.codes["conv2"]`, `network.weights["conv2"].scale`, `network.biases["conv2"]`,
# `network.bias_scale("conv2")`, `network.activations["conv2"]` with `scale`, `zero_point`, `qmin` and `qmax`; the float
# network that was quantized, `network.folded.weights["conv2"]` and `network.folded.biases["conv2"]`. The layers with
# weights are conv1, conv2, conv3 and logits. To see the codes that flow through it:

# %%
photographs, labels = mysteries.photographs()
network = mysteries.mystery(1).network
for name, codes in integer_network.run(network, photographs[:20]).items():
    print(f"{name:<7} from {codes.min():6.1f} to {codes.max():6.1f}")

# %% [markdown]
# ## 5 · Name ten mistakes · ●●● · 18 min
#
# Complete `name_mystery(number)`: for each network the number of its mistake in the list above. Two of the list are in
# no network. The number or the name in quotes will do. The check stops at the first that is wrong, and says what one
# would see if that name were true. Where two names seem to fit, ask which one changed a *sign* or left codes *unused*:
# `diagnose` may report a scale as well that only gave the occasion. Name them by your own looking first; then give the
# same tensors to `diagnose` and `diagnose_bias`, and see whether they agree.
#
# <details><summary>Hint 1</summary>
#
# Ask in this order: is the zero point of each activation 0, and s·255 within a fifth of the largest value of the float
# network (`network.folded.run(photographs)`)? (A range that is meant in the list is more than ten times too wide, or
# less than a fifth.) Do weight codes, times their scale, restore the float weights? Do bias codes, times `bias_scale`,
# restore the float biases?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `network.weights[name].dequantize(network.codes[name])` restores the weights. Divide by the float weights and look at
# the quotients: what do they have in common within a layer, within an output channel, for large and for small weights?
#
# </details>
# <details><summary>Hint 3</summary>
#
# `diagnose(network.folded.weights[name], network.codes[name], network.weights[name].scale, axis=0)` examines weights,
# `diagnose_bias` a bias, and `diagnose` also an activation: values of the float network, and what `quantize` of its
# scheme gives.
#
# </details>


# %%
def name_mystery(number):
    # SOLUTION
    answers = {1: 8, 2: 3, 3: 1, 4: 12, 5: 9, 6: 6, 7: 2, 8: 10, 9: 7, 10: 4}
    return answers[number]
    # GIVEN
    # answers = {1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 6: 0, 7: 0, 8: 0, 9: 0, 10: 0}
    # return answers[number]
    # END SOLUTION


check.name_mystery(name_mystery)

# %% [markdown]
# ## 6 · Repair them · ●●● · 10 min
#
# Write `repair(network)`: it gets one of the networks 2, 3, 6 and 8, whose activations are right, and returns a network
# with the integers of the one before the mistake, every one. Weights were quantized to 8 bits, symmetric, `int8`, one
# scale per output channel. Keep `network.activations`: their ranges were measured on photographs that you do not have.
#
# <details><summary>Hint 1</summary>
#
# You need not know which mistake it is: quantize the float weights and biases of `network.folded` again.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `Uniform.fit(weight, axis=0)` and its `quantize`; `quantize_bias(bias, s_x, s_w)`. The input of a layer is
# `network.folded.layer(name).inputs[0]`.
#
# </details>
# <details><summary>Hint 3</summary>
#
# `replace(network, weights=..., codes=..., biases=...)` makes the new network; each is a dictionary by layer name.
#
# </details>


# %%
def repair(network):
    # SOLUTION
    weights, codes, biases = {}, {}, {}
    for name, weight in network.folded.weights.items():
        s_x = network.activations[network.folded.layer(name).inputs[0]].scale
        weights[name] = Uniform.fit(weight, axis=0)
        codes[name] = weights[name].quantize(weight)
        biases[name] = quantize_bias(network.folded.biases[name], s_x, weights[name].scale)
    return replace(network, weights=weights, codes=codes, biases=biases)
    # END SOLUTION


check.repair(repair)

# %% [markdown]
# ## What you have solved

# %% tags=["nbval-ignore-output"]
exercises.show_progress("08_mistakes")
