# %% [markdown]
# # 05 · Place levels where the values are
#
# **The question.** A code is only the number of a level. If the levels need not be equal steps, where should they lie,
# how much is there to gain, and what does it cost to say where they lie?
#
# **At the end you can**
#
# - derive the two conditions of an optimum quantizer, and run the iteration that meets them;
# - quantize a layer with k-means and count its bytes, codebook included;
# - say how far a scheme stands from the rate–distortion bound, in dB;
# - explain where NF4's levels come from, why they are not optimal, and when they beat equal steps;
# - read a small float (FP8, FP4) as a grid, and predict what it does to large and small values;
# - take a block format (MXFP4, Q4_0, Q8_0) apart: codes, shared scale, bits per weight.
#
# **You need** lesson 02 (scale, codes, SQNR, groups). Lesson 03 helps with clipping.
#
# **Time**: 75 minutes of reading and guessing, 45 minutes of exercises.
#
# Guess before you look: replace `...` after `my_guess =`, run the cell, then the next one. `my_guess = None` shows the
# answer without a guess. The saved outputs below the guesses tell the answers: clear all outputs before you begin.

# %%
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from fewerbits import data
from fewerbits.network.folding import fold
from fewerbits.teach import codebook_plots, mistakes, plots, widgets
from fewerbits.teach.predict import reveal
from fewerbits.tensor import clipping, minifloat
from fewerbits.tensor.blocks import Q4_0, Q8_0
from fewerbits.tensor.codebook import Codebook, double_quantize
from fewerbits.tensor.float_formats import E2M1, E4M3FN, E5M2
from fewerbits.tensor.k_means import lloyd
from fewerbits.tensor.lloyd_max import GAUSS, distortion, lloyd_max, panter_dite, uniform_rate_and_distortion
from fewerbits.tensor.metrics import entropy, sqnr
from fewerbits.tensor.minifloat import MiniFloat
from fewerbits.tensor.mx import MX
from fewerbits.tensor.quantiles import NF4
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from fewerbits.tensor.uniform import Uniform

plots.use_style()

# %% [markdown]
# Two tensors accompany you: 50,000 Gaussian random numbers (mean 0, standard deviation σ = 1), for which the theory is
# known, and the weights of `conv4`, one row for each of its 64 filters.

# %%
rng = np.random.default_rng(0)
numbers = np.sort(rng.standard_normal(50_000))
network = fold("vgg32", data.load_weights("vgg32"))
layers = {name: network.weights[name].reshape(len(network.weights[name]), -1) for name in network.weights}
weights = layers["conv4"]
print("weights", weights.shape, f"σ = {weights.std():.3f}, largest {np.abs(weights).max():.2f}")

# %% [markdown]
# ## 1 · Two conditions
#
# A **codebook** is a list of levels, in ascending order. The code of x is the number of a level; x̂ is that level. Two
# questions, one at a time.
#
# **Levels given: which code?** That of the nearest level. So the code changes midway between two neighbours. With
# levels l₀ < l₁ < …, the **thresholds** are
#
# $$ t_i = \frac{l_i + l_{i+1}}{2}. $$
#
# **Codes given: which level?** All values x of one cell share one level l. The sum Σ(x − l)² has the derivative
# −2 Σ(x − l), which is zero when l is their **mean**, the centroid of the cell:
#
# $$ l_i = \mathrm{mean}\{x : t_{i-1} < x \le t_i\}. $$
#
# An optimum quantizer meets both conditions, or one of the two steps would improve it. Each is one line of NumPy.


# %%
def nearest_level(x, levels):
    thresholds = (levels[1:] + levels[:-1]) / 2
    return np.searchsorted(thresholds, x)


def lloyd_step(x, levels):
    codes = nearest_level(x, levels)
    return np.array([x[codes == code].mean() for code in range(len(levels))])


# %% [markdown]
# `searchsorted` counts the thresholds below x: that is the code. (A cell without any value has no mean; the exercises
# take care of it.)
#
# Neither condition tells you where to start. Lloyd's idea: start anywhere, and apply them in turn. No step can raise
# the error, so it converges. Start four levels in a bad place, all but one far out on the left:

# %%
levels = np.array([-3.0, -2.5, -2.0, 3.0])
path, errors = [], []
for _ in range(60):
    path.append(levels)
    errors.append(np.mean((levels[nearest_level(numbers, levels)] - numbers) ** 2))
    levels = lloyd_step(numbers, levels)

assert np.all(np.diff(errors) <= 1e-15)

# %%
# alt: Left, four levels from −3, −2.5, −2 and 3 move to −1.5, −0.45, 0.45 and 1.5 within about thirty iterations.
# Right, the mean squared error in dB falls from 5 to −9 and never rises: by 10 dB in the first step, then ever more
# slowly; from the twentieth on it is flat.
codebook_plots.convergence(path, errors, title="Lloyd's iteration finds the levels from a bad start")

# %% [markdown]
# Four equal steps, as in lesson 02, would put the levels at −1.5, −0.5, 0.5 and 1.5 times a step; the best step for
# Gaussian numbers is known (`clipping.optimal_step`). By how many dB do the free levels beat the best equal steps?

# %%
my_guess = ...  # dB

# %%
best_step = clipping.optimal_step("gauss", 4)
equal_error = clipping.uniform_error("gauss", best_step, 4)
free = lloyd_max(GAUSS, 4)

reveal(my_guess, 10 * np.log10(equal_error / free.mse), unit="dB", digits=2)

# %%
print("free levels ", free.levels.round(3), f"SQNR {-10 * np.log10(free.mse):.2f} dB")
print("equal steps ", (best_step * (np.arange(4) - 1.5)).round(3), f"SQNR {-10 * np.log10(equal_error):.2f} dB")
print("from numbers", levels.round(2))
assert np.allclose(free.levels, [-1.510, -0.4528, 0.4528, 1.510], atol=5e-4)  # J. Max, 1960, table I
assert np.isclose(free.mse, 0.1175, atol=5e-5)
assert np.allclose(levels, free.levels, atol=0.03)

# %% [markdown]
# Almost nothing. (`lloyd_max` solves the two conditions for a density instead of numbers.) Keep that in mind: when
# the *step* is chosen well, Gaussian numbers in two bits hardly need a codebook. Is that so for weights, in 4 bits?
#
# ## 2 · Play: find the optimum by hand
#
# Four levels, ±inner and ±outer. Move them and watch the SQNR in the title; the dashed lines are the thresholds. How
# close to the optimum, 9.30 dB, do you come?


# %%
def four_levels(inner, outer):
    inner, outer = min(inner, outer - 0.01), max(inner + 0.01, outer)
    mine = np.array([-outer, -inner, inner, outer])
    decibels = -10 * np.log10(distortion(GAUSS, mine))
    title = f"levels ±{inner:.2f} and ±{outer:.2f}: SQNR {decibels:.2f} dB"
    return codebook_plots.levels_over_histogram(numbers, mine, title=title)


# %% tags=["nbval-ignore-output"]
widgets.play(four_levels, inner=(0.05, 1.5, 0.2), outer=(0.5, 4.0, 3.0))

# %% [markdown]
# Without a running notebook the sliders do not move. The optimum, as a figure:

# %%
# alt: Histogram of Gaussian numbers with levels at ±0.45 and ±1.51, thresholds at 0 and ±0.98: each level
# lies in the middle of the mass of its cell, nearer to zero than the middle of the cell. SQNR 9.30 dB.
four_levels(0.45, 1.51)

# %% [markdown]
# ## 3 · k-means on a layer
#
# The same iteration on real weights is known as **k-means** clustering, k being the number of levels. `Codebook.fit`
# does it, and better: on a line the best clusters can be found exactly, without any start. Equal steps over the whole
# range (min-max) reach 11.9 dB at 4 bits. And 16 free levels?

# %%
my_guess = ...  # dB

# %%
equal_4 = Uniform.fit(weights, bits=4)
free_4 = Codebook.fit(weights, bits=4)

reveal(my_guess, sqnr(weights, fake_quantize(free_4, weights)), unit="dB")

# %% [markdown]
# More than a bit's worth. But is it the free levels? The largest weight is six σ, and min-max spends its steps on
# values that hardly occur. Equal steps, too, may saturate a few weights (lesson 03). So try 39 narrower ranges, keep
# the best, and compare again.


# %%
def with_best_range(x):
    parts = np.linspace(0.05, 1, 39)
    tries = [Uniform.from_range(part * x.min(), part * x.max(), bits=4, symmetric=False) for part in parts]
    return max(tries, key=lambda scheme: sqnr(x, fake_quantize(scheme, x)))


clipped_4 = with_best_range(weights)
three = {"equal steps, min-max": equal_4, "equal steps, best range": clipped_4, "free levels": free_4}
min_max_db, clipped_db, free_db = (sqnr(weights, fake_quantize(scheme, weights)) for scheme in three.values())
print(*(f"{name}: {value:.1f} dB" for name, value in zip(three, (min_max_db, clipped_db, free_db))), sep="\n")
assert clipped_db - min_max_db > 4 > 2 > free_db - clipped_db > 1

# %% [markdown]
# Six of the eight decibels belong to the range, and one and a half to the levels. Whoever compares a codebook with
# min-max praises it for what clipping does. Look where the 16 levels lie.

# %%
# alt: Histogram of conv4's weights with 16 levels. Near zero, where most weights are, the levels are 0.02 apart; the
# outermost, at −0.18 and 0.19, are 0.05 from their neighbours. No level lies farther out, where weights go to 0.35.
codebook_plots.levels_over_histogram(weights, free_4.levels, title="Levels are dense where weights are")

# %% [markdown]
# The two conditions hold here. But they are the mark of a *local* optimum only: no small move helps. Another start may
# end elsewhere. Let Lloyd's iteration start from 16 equal steps and go on until no weight changes its cell (`lloyd` of
# the package does it fast):

# %%
stuck = lloyd(weights, np.linspace(weights.min(), weights.max(), 16)).levels
stuck_db = sqnr(weights, stuck[nearest_level(weights, stuck)])

print(f"Lloyd's iteration from equal steps {stuck_db:.1f} dB, exact k-means {free_db:.1f} dB")
for found in (stuck, free_4.levels):
    assert np.allclose(lloyd_step(weights.ravel().astype(np.float64), found), found, atol=1e-6)
assert free_db - stuck_db > 0.3

# %% [markdown]
# Both meet the two conditions, and one of them is 0.4 dB better. A good start, or the exact solution, is worth having.
#
# **The codebook must be stored, too.** 16 levels in float32 are 64 bytes beside 18,432 bytes of codes: nothing. But one
# codebook for *each* filter of 576 weights takes 16·32/576 = 0.89 bits per weight: nearly a bit, and a fifth bit in
# the codes would serve better. Whoever calls that "4 bits" has not counted its metadata.
#
# There is a second cost. Equal steps allow to multiply *codes*, in integers, and to apply the scale once at the end
# (lesson 06). Codes of a codebook are names; each must be looked up before anything is computed. So codebooks serve
# where memory is the bottleneck, and the arithmetic is done in float.
#
# ## 4 · How far from the best possible
#
# Shannon showed what no code of R bits per value can beat, however clever. For independent Gaussian numbers with
# variance σ² the least mean squared error is
#
# $$ D(R) = \sigma^2\, 2^{-2R}, \qquad\text{that is}\qquad \mathrm{SQNR} \le 6.02\,R\ \mathrm{dB}. $$
#
# This is the **rate–distortion bound**: rate R, distortion D. So a scheme can be judged by one number, its distance to
# 6.02 R. (Gaussian numbers are the hardest of their variance;
# other independent numbers may be coded a little better than that.) Lloyd–Max with 2 bits has 9.30 dB, 2.74 dB from the
# bound. Does this distance grow or shrink when you add bits?

# %%
my_guess = ...  # "grow" or "shrink"

# %%
bits = np.arange(1, 9)
bound = 20 * np.log10(2) * bits


def distance(mse):
    return bound + 10 * np.log10(mse)


gaps = {
    "equal steps over ±4 σ": distance([clipping.uniform_error("gauss", 8 / 2**b, 2**b) for b in bits]),
    "equal steps, best step": distance(
        [clipping.uniform_error("gauss", clipping.optimal_step("gauss", 2**b), 2**b) for b in bits]
    ),
    "Lloyd–Max": distance([lloyd_max(GAUSS, 2**b).mse for b in bits]),
}
limit = 10 * np.log10(panter_dite(GAUSS))

reveal(my_guess, "grow" if gaps["Lloyd–Max"][-1] > gaps["Lloyd–Max"][1] else "shrink")

# %%
print(f"{'bits':24}", *(f"{b:6}" for b in bits))
for name, row in gaps.items():
    print(f"{name:24}", *(f"{gap:6.2f}" for gap in row))
print(f"limit of Lloyd–Max for many bits: {limit:.2f} dB")
assert np.all(np.diff(gaps["Lloyd–Max"]) > 0)
assert 0 < limit - gaps["Lloyd–Max"][-1] < 0.1
behind = gaps["equal steps, best step"] - gaps["Lloyd–Max"]
assert np.allclose(behind[[1, 3, 7]], [0.05, 0.85, 3.3], atol=0.05)

# %% [markdown]
# Lloyd–Max ends 4.35 dB from the bound (10·log₁₀(√3π/2), a result of Panter and Dite). Equal steps, each time with the
# best step, drift away: they are 0.05 dB behind Lloyd–Max at 2 bits, 0.85 at 4, 3.3 at 8. That is all a codebook can
# win on Gaussian numbers.
#
# Where do the other 4.35 dB go? Most of them into *fixed length*: frequent codes take as many bits as rare ones. Give
# frequent codes shorter words (**entropy coding**, as zip does), and a code of probability p takes about log₂(1/p)
# bits. The average of that is the **entropy** of the codes, H = Σ p·log₂(1/p). For steps of 0.5, for example:

# %%
_, counts = np.unique(np.rint(numbers / 0.5), return_counts=True)
p = counts / counts.sum()
entropy_of_half_steps = np.sum(p * np.log2(1 / p))
print(
    f"{len(counts)} codes: fixed length {np.ceil(np.log2(len(counts))):.0f} bits, H = {entropy_of_half_steps:.2f} bits"
)
assert np.isclose(entropy_of_half_steps, uniform_rate_and_distortion(GAUSS, 0.5)[0], atol=0.02)

# %% [markdown]
# `uniform_rate_and_distortion` computes H, and the error, from the density. With H in place of whole bits, for steps
# from 0.015 to 3:

# %%
steps = np.geomspace(0.015, 3, 40)
rates, mses = np.array([uniform_rate_and_distortion(GAUSS, step) for step in steps]).T
entropy_gap = 20 * np.log10(2) * rates + 10 * np.log10(mses)
gaps["equal steps, entropy-coded"] = np.interp(bits, rates[::-1], entropy_gap[::-1])

print(f"equal steps, entropy-coded: {entropy_gap[0]:.2f} dB from the bound at {rates[0]:.1f} bits")
assert rates[0] > bits[-1]
assert np.isclose(entropy_gap[0], 10 * np.log10(np.pi * np.e / 6), atol=0.01)
assert np.all(gaps["equal steps, entropy-coded"][3:] < 1.6)

# %%
# alt: Distance to the bound in dB for 1 to 8 bits. Equal steps over ±4 sigma stay above 7 dB. Equal steps with the best
# step rise from 1.6 to 7.6. Lloyd–Max rises from 1.6 to its limit of 4.35, drawn dashed. Entropy-coded equal steps fall
# from 2.7 at 1 bit to 1.5 from 4 bits on.
codebook_plots.curves(
    bits,
    gaps | {"limit of Lloyd–Max": np.full(8, limit)},
    title="How far each scheme stands from the bound (Gaussian numbers)",
    labels=("bits per value", "distance to the bound (dB)"),
    dashed=["limit of Lloyd–Max"],
)

# %% [markdown]
# Entropy-coded equal steps need no codebook at all. From 4 bits on they are within 1.6 dB, a quarter of a bit. (At 1
# bit their levels, multiples of the step, are no longer the means of their cells, and that costs.) Their code words
# have different lengths, so you cannot jump to weight number 1000. That is fine for a file and bad for arithmetic,
# which is why the formats below all keep fixed lengths. With many bits that costs them 4.35 − 1.53 = 2.82 dB, even with
# the best levels. The last 1.53 dB only coding many values *jointly* can win.
#
# ## 5 · NF4
#
# Weights of a trained layer look roughly Gaussian. So fix the levels once, for all layers, and store only a scale: then
# there is no codebook to count. **NF4** (NormalFloat, 4 bits) cuts the area under the normal density into equal shares,
# and puts a level at each cut: these are **quantiles**, values at equal steps of probability. Eight levels above zero,
# seven below (so their shares are a little wider), and zero itself, all divided by the largest. Where to stop? The last
# cut, at probability 1, would be infinite; QLoRA's code stops at 0.968, which is 1.85 σ.

# %%
quantile = NormalDist().inv_cdf
farthest = 1 - (1 / 32 + 1 / 30) / 2  # half a share of 1/16, and of 1/15, before the end: their mean
above = [quantile(p) for p in np.linspace(0.5, farthest, 9)[1:]]
below = [-quantile(p) for p in np.linspace(0.5, farthest, 8)[1:]]
constructed = np.sort([*below, 0, *above]) / quantile(farthest)

print(constructed.round(3))
assert np.allclose(constructed, NF4, atol=1e-6)

# %% [markdown]
# A weight is divided by the largest magnitude in its block of 64, and takes the nearest level. A float32 scale for 64
# weights is half a bit: 4.5 bits per weight. Against equal steps in the same blocks, how many dB does NF4 gain on
# `conv4`?

# %%
my_guess = ...  # dB

# %%
nf4 = Codebook.nf4(weights)
int4_blocks = Uniform.fit(weights, bits=4, axis=1, group_size=64)
nf4_gain = sqnr(weights, fake_quantize(nf4, weights)) - sqnr(weights, fake_quantize(int4_blocks, weights))

reveal(my_guess, nf4_gain, unit="dB")

# %%
for name, scheme in {"NF4": nf4, "int4": int4_blocks}.items():
    print(f"{name:4} in blocks of 64: {sqnr(weights, fake_quantize(scheme, weights)):.1f} dB")
assert bits_per_value(nf4, weights.shape) == bits_per_value(int4_blocks, weights.shape) == 4.5
assert 1 < nf4_gain < 2

# %% [markdown]
# A quarter of a bit. Quantiles make each code about equally likely, and that is sometimes called optimal. Is it? Let
# k-means choose 16 levels for the same scaled weights. Can it beat NF4, with its 64 bytes counted?

# %%
my_guess = ...  # "yes" or "no"

# %%
fitted = Codebook.fit(weights, bits=4, axis=1, group_size=64)

fitted_gain = sqnr(weights, fake_quantize(fitted, weights)) - sqnr(weights, fake_quantize(nf4, weights))
reveal(my_guess, "yes" if fitted_gain > 0 else "no")

# %%
print(f"NF4     {bits_per_value(nf4, weights.shape):.2f} bits, {sqnr(weights, fake_quantize(nf4, weights)):.1f} dB")
print(
    f"k-means {bits_per_value(fitted, weights.shape):.2f} bits, {sqnr(weights, fake_quantize(fitted, weights)):.1f} dB"
)
assert fitted_gain > 0.3

# %%
# alt: Three rows of ticks from −1 to 1. int4 has 15 equal steps. NF4 is dense around zero and has a large gap before
# each end, at 0.72 to 1. k-means lies between: less dense at zero than NF4, with smaller gaps at the ends.
codebook_plots.number_lines(
    {"int4": np.arange(-7, 8) / 7, "NF4": NF4, "k-means": fitted.levels}, title="Levels placed by three rules"
)

# %% [markdown]
# Two reasons. Equal use of the codes is no aim: the *squared error* counts, and a rare value in a wide cell adds a lot
# of it. And the quantiles are those of another scale:

# %%
blocks_of_64 = rng.standard_normal((10_000, 64))
largest = np.abs(blocks_of_64).max(axis=1)
print(f"NF4's largest level: {quantile(farthest):.2f} σ; the largest of 64 numbers: {largest.mean():.2f} σ on average")
print(f"entropy of NF4's codes on conv4: {entropy(nf4.quantize(weights)):.2f} bits of 4")
assert largest.mean() > quantile(farthest) + 0.5
assert entropy(nf4.quantize(weights)) < 3.9

# %% [markdown]
# NF4's levels would be used equally if 1 stood for 1.85 σ. But in a block of 64 it stands for the largest, about 2.6 σ:
# the values crowd nearer to zero than the levels do, and the outer codes are used too little. NF4 is a good fixed
# codebook for weights, no more. Would you take it for numbers spread **uniformly** over −1 … 1, in place of int4? (To
# be fair to both, all scales may shrink by one factor, 0.7 to 1, whichever is best: section 3 showed why.)

# %%
my_guess = ...  # "yes" or "no"

# %%
shapes = {
    "Gaussian": rng.standard_normal((256, 512)),
    "Laplacian": rng.laplace(size=(256, 512)),
    "uniform": rng.uniform(-1, 1, (256, 512)),
}


def best_decibels(x, levels, size):
    book = Codebook.fit(x, levels=levels, axis=1, group_size=size)
    shrunk = (replace(book, scale=book.scale * np.float32(part)) for part in np.linspace(0.7, 1, 13))
    return max(sqnr(x, fake_quantize(each, x)) for each in shrunk)


gains = {
    (name, size): best_decibels(x, NF4, size) - best_decibels(x, np.arange(-7, 8) / 7, size)
    for name, x in shapes.items()
    for size in (8, 64, 512)
}

reveal(my_guess, "yes" if gains["uniform", 64] > 0 else "no")

# %%
print("dB that NF4 gains on int4, both with their best range, in blocks of 8, 64 and 512:")
for name in shapes:
    print(f"{name:10}", *(f"{gains[name, size]:6.1f}" for size in (8, 64, 512)))
assert all(gains["uniform", size] < -2 for size in (8, 64, 512))
assert gains["Gaussian", 8] < 0.2 < 0.8 < gains["Gaussian", 64] < gains["Gaussian", 512]
assert all(gains["Laplacian", size] > gains["Gaussian", size] for size in (8, 64, 512))

# %% [markdown]
# NF4 is better than int4 where blocks are large and values crowd around zero. In blocks of 8 Gaussian numbers the gain
# is gone: the largest of 8 is no outlier. On uniform numbers equal steps win by more than 2 dB.
#
# Half a bit for scales is much. QLoRA quantizes the scales as well (**double quantization**): their mean is taken off,
# and the rest stored in 8 bits, with one float32 scale for a group of scales. `conv4` has 36,864/64 = 576 scales; let
# them be one group. Then two float32 are left for the whole layer, a mean and a scale.

# %%
doubled = double_quantize(nf4, group_size=nf4.scale.size)
before, after = (sqnr(weights, fake_quantize(scheme, weights)) for scheme in (nf4, doubled))
print(f"{bits_per_value(doubled, weights.shape):.3f} bits per weight, {before - after:.3f} dB lost")
assert np.isclose(bits_per_value(doubled, weights.shape), 4 + 8 / 64 + 2 * 32 / weights.size)
assert before - after < 0.02

# %% [markdown]
# ## 6 · Small floats are grids
#
# A float is a codebook as well, one that needs no table. Its code is a sign, an exponent E and a mantissa M of m bits:
#
# $$ x = \pm\, (1 + M/2^m) \cdot 2^{E - \mathrm{bias}}. $$
#
# Where E = 0, the formula changes to ± (M/2ᵐ)·2^(1 − bias): these small values, zero among them, are the
# **subnormals**.
#
# **E2M1** (4 bits: one for the sign, 2 for E, 1 for M; bias 1) has only eight magnitudes. Work out the largest one
# (E = 3, M = 1) by the formula.

# %%
my_guess = ...

# %%
e2m1 = minifloat.decode(np.arange(8), E2M1)

reveal(my_guess, e2m1.max(), digits=0)

# %%
print("E2M1:", e2m1)
assert e2m1.max() == (1 + 1 / 2) * 2 ** (3 - 1)

# %% [markdown]
# Larger formats give some codes away. In **E4M3** the formula ends at (1 + 7/8)·2⁸ = 480, but that code, all ones,
# means NaN, so the largest value is 448. There is no infinity: its full name E4M3FN says *finite, with NaN*. **E5M2**
# keeps its whole highest exponent for infinity and NaN, as float16 does. E2M1 has neither.

# %%
print("format   bits bias  largest  smallest normal")
for record in (E2M1, E4M3FN, E5M2):
    print(f"{record.name.upper():9}{record.bits:4}{record.bias:5}{record.max:9g}  2^{1 - record.bias}")
assert E4M3FN.max == (1 + 6 / 8) * 2**8
assert np.isnan(minifloat.decode([0b0_1111_111], E4M3FN)).all()
assert E5M2.max == (1 + 3 / 4) * 2 ** (30 - 15)

# %% [markdown]
# Within one power of two the steps are equal; at each power of two they double. So rounding to a float is rounding to
# a *local* step. For **E4M3** it is 2^(e−3), where 2^e is the
# power of two at or below |x|, and e never less than −6: below it, the subnormals continue in the last step. So 1.3,
# with steps of 1/8, becomes 1.25, and 70, with steps of 8, becomes 72.

# %%
for value in (0.3, 1.3, 70, 130, 1300, 0.0013):
    print(f"{value:g} becomes {minifloat.round_to([value], E4M3FN)[0]:g}")
assert minifloat.round_to([1.3, 70], E4M3FN).tolist() == [1.25, 72]

# %%
# alt: Ticks from 0 to 1 for the positive levels of int4, E2M1, E4M3 and int8. int4 has 7 equal steps. E2M1 has 7
# levels above zero, denser at zero. E4M3 is nearly a solid band up to 0.07; from there its steps double four times
# towards 1. int8 is an even band.
codebook_plots.number_lines(
    {
        "int4": np.arange(8) / 7,
        "E2M1": e2m1 / e2m1.max(),
        "E4M3": minifloat.decode(np.arange(127), E4M3FN) / 448,
        "int8": np.arange(128) / 127,
    },
    title="Floats double their step at each power of two (positive half)",
)

# %% [markdown]
# E4M3 and int8 have about 250 levels each. Scale both so that the largest weight of `conv4` is the largest level. By
# how many dB is int8 better, or (negative) worse?

# %%
my_guess = ...  # dB, negative when E4M3 is better

# %%
pair = {"int8": Uniform.fit(weights), "E4M3": MiniFloat.fit(weights)}
decibels = {name: sqnr(weights, fake_quantize(scheme, weights)) for name, scheme in pair.items()}

reveal(my_guess, decibels["int8"] - decibels["E4M3"], unit="dB")

# %%
print(*(f"{name}: {value:.1f} dB" for name, value in decibels.items()), sep="\n")
assert 4 < decibels["int8"] - decibels["E4M3"] < 7
assert minifloat.decode([63], E4M3FN)[0] < 448 / 200  # the middle one of 127 levels from 0 to 448

# %% [markdown]
# E4M3 spends half of its levels on values below a 200th of the largest, which hardly matter here. What it buys is
# **indifference to scale**: make all values 100 times smaller, and the relative error stays. Let Gaussian numbers of
# very different σ through three grids whose *scale is not adapted*: int8 with s = 448/127, E4M3, and E5M2.

# %%
sigmas = 2.0 ** np.arange(-14, 16)
fixed = {"int8, s = 448/127": Uniform(448 / 127, 0), "E4M3": MiniFloat(E4M3FN), "E5M2": MiniFloat(E5M2)}
sample = numbers[::10]
by_sigma = {
    name: [sqnr(sigma * sample, fake_quantize(scheme, sigma * sample)) for sigma in sigmas]
    for name, scheme in fixed.items()
}
within_2_db = {name: int(np.sum(np.array(row) > max(row) - 2)) for name, row in by_sigma.items()}

print("powers of two of σ within 2 dB of the best:", within_2_db)
assert within_2_db["int8, s = 448/127"] <= 2
assert within_2_db["E4M3"] >= 10
assert within_2_db["E5M2"] > within_2_db["E4M3"] + 10

# %%
# alt: SQNR against sigma on a logarithmic axis. int8 rises by 6 dB per doubling to a peak of 36 dB at 2^6 and 2^7, then
# falls at once. E4M3 is flat at 31.5 dB from about 2^−4 to 2^6. E5M2 is flat at 25.5 dB from 2^−13 to 2^14.
codebook_plots.curves(
    sigmas,
    by_sigma,
    title="A float is a plateau, an integer is a peak",
    labels=("standard deviation σ of the numbers (logarithmic scale)", "SQNR (dB)"),
    logarithmic=True,
)

# %% [markdown]
# Three mantissa bits make 31.5 dB, two make 25.5: 6 dB for a bit, as ever. Exponent bits make the plateau wide.
#
# At its right end the values are too large. What does 1000 become in E4M3, whose largest value is 448? It depends on
# the **overflow policy**, which the standard leaves open: *saturate* to 448, or become NaN, since E4M3 has no
# infinity. (E5M2 has one.) The package calls the second policy "native". What do you expect when you cast with the
# `ml_dtypes` package, on which ONNX and JAX build?

# %%
my_guess = ...  # "448" or "nan", with the quotes

# %%
import ml_dtypes

by_cast = np.array([1000.0]).astype(ml_dtypes.float8_e4m3fn).astype(np.float32)[0]

reveal(my_guess, str(by_cast))

# %%
for policy in ("saturate", "native"):
    both = [minifloat.round_to([1000.0, 100_000.0], record, overflow=policy) for record in (E4M3FN, E5M2)]
    print(f"{policy:9} E4M3: {both[0]}   E5M2: {both[1]}")
assert np.isnan(by_cast)
assert minifloat.round_to([1000.0], E4M3FN)[0] == 448

# %% [markdown]
# ## 7 · Blocks that share a scale
#
# int4 in blocks, NF4, and now E2M1: all need a scale for few values, and all pay for it. The formats differ in how.
# GGUF is the file format of llama.cpp, a program that runs language models; MX ("microscaling") is a standard of the
# Open Compute Project (OCP), made for hardware.
#
# | format | block | codes | scale | bytes per block |
# |---|---|---|---|---|
# | Q4_0 (GGUF) | 32 | integers −8 … 7 | float16 d, signed | 16 + 2 |
# | Q8_0 (GGUF) | 32 | integers −127 … 127 | float16 d | 32 + 2 |
# | MXFP4 | 32 | E2M1 | power of two (E8M0, one byte) | 16 + 1 |
# | MXFP8 | 32 | E4M3 or E5M2 | power of two (E8M0, one byte) | 32 + 1 |
#
# How many bits per value does MXFP4 take?

# %%
my_guess = ...  # bits per value

# %%
mxfp4, q4_0, q8_0 = MX.fit(weights), Q4_0.fit(weights), Q8_0.fit(weights)

reveal(my_guess, bits_per_value(mxfp4, weights.shape), unit="bits", digits=2)

# %%
for name, scheme in {"MXFP4": mxfp4, "Q4_0": q4_0, "Q8_0": q8_0}.items():
    print(name, bits_per_value(scheme, weights.shape))
assert bits_per_value(mxfp4, weights.shape) == 8 * (16 + 1) / 32
assert bits_per_value(q4_0, weights.shape) == 8 * (16 + 2) / 32
assert bits_per_value(q8_0, weights.shape) == 8 * (32 + 2) / 32

# %% [markdown]
# **Q4_0 by hand.** Sixteen codes −8 … 7 are lopsided: −8 has no partner. Q4_0 uses that. It takes the value of largest
# magnitude, *sign and all*, and gives it the code −8: d = value/(−8). When that value is positive, d is negative.

# %%
block = weights[0, :32]
peak = block[np.argmax(np.abs(block))]
d = peak / np.float32(-8)
block_codes = np.clip(np.rint(block / d), -8, 7)

print(f"largest magnitude {peak:+.4f}, d = {d:+.5f}, codes {block_codes.astype(int)[:8]} …")
assert np.array_equal(block_codes, q4_0.quantize(weights)[0, :32])
assert block_codes[np.argmax(np.abs(block))] == -8

# %% [markdown]
# What would d = max|x|/8 do, without the sign? In every second block the largest value is positive. It would need the
# code +8, which does not exist, and saturate at 7: an eighth of the largest value is lost.

# %%
blocks = weights.reshape(-1, 32)
unsigned_d = np.abs(blocks).max(axis=1, keepdims=True) / 8
restored_unsigned = np.clip(np.rint(blocks / unsigned_d), -8, 7) * unsigned_d
signed_db = sqnr(weights, fake_quantize(q4_0, weights))
print(f"signed d: {signed_db:.1f} dB, without the sign: {sqnr(blocks, restored_unsigned):.1f} dB")
assert signed_db > sqnr(blocks, restored_unsigned) + 0.5
assert 0.45 < np.mean(blocks.max(axis=1) > -blocks.min(axis=1)) < 0.55

# %% [markdown]
# On disk, two codes share a byte, as code + 8 in 0 … 15. GGUF puts code j of a block into the **low** nibble (four
# bits) and code j + 16 into the **high** one of the same byte; ONNX puts neighbours together. Same bits, another order.

# %%
stored = q4_0.to_bytes(q4_0.quantize(weights))[0, 2:18]  # after the two bytes of d
low_nibbles, high_nibbles = stored & 0x0F, stored >> 4
assert np.array_equal(np.concatenate([low_nibbles, high_nibbles]).astype(int) - 8, block_codes)

# %% [markdown]
# **MXFP4 by hand.** The scale is a power of two 2^e, so that one byte holds e. The specification's rule for a block
# whose largest magnitude is a: e = floor(log₂ a) − 2. The 2 is the exponent of the largest element, 6 = 1.5·2² (for
# E4M3 it would be 8), so that a/2^e lies in 4 … 8. A block's largest value is 7.5. What comes back?

# %%
my_guess = ...

# %%
mx_block = np.linspace(-3, 7.5, 32, dtype=np.float32)
exponent_by_floor = np.floor(np.log2(7.5)) - 2
e2m1_levels = np.concatenate([-e2m1[:0:-1], e2m1])
by_hand = 2**exponent_by_floor * e2m1_levels[nearest_level(mx_block / 2**exponent_by_floor, e2m1_levels)]

reveal(my_guess, by_hand[-1], digits=0)

# %%
print(f"scale 2^{exponent_by_floor:.0f}")
assert fake_quantize(MX.fit(mx_block), mx_block)[-1] == by_hand[-1]

# %% [markdown]
# It saturates: everything between 6 and 8 becomes 6. The remedy looks obvious: the smallest power of two with which
# nothing saturates, e = ceil(log₂(a/6)) (`scale_rule="rceil"`). But where the rules differ, the other 31 values pay
# with a step twice as wide:

# %%
for rule in ("floor", "rceil"):
    restored = fake_quantize(MX.fit(weights, scale_rule=rule), weights).reshape(-1, 32)
    peak_kept = np.abs(restored).max(axis=1).mean() / np.abs(blocks).max(axis=1).mean()
    print(f"{rule}: {sqnr(blocks, restored):.1f} dB; the largest of a block keeps {100 * peak_kept:.0f} %")
    assert abs(sqnr(blocks, restored) - 18.65) < 0.3
    assert (peak_kept < 0.97) == (rule == "floor")

# %% [markdown]
# On these weights it is a draw. But "floor" makes the largest values *systematically* smaller, which a mean over random
# errors does not show.
#
# ## 8 · One table
#
# NF4 or integers? In blocks of 64 NF4 gains more than a decibel on int4. But that was not the best that integers can
# do: the signed d of Q4_0 was missing. And the scales need not be float32: with double quantization blocks of 16 fit
# into 4.5 bits. So the same for both: blocks of one size, scales in 8 bits, and the levels are NF4's or −8 … 7 with a
# signed d. How many dB is NF4 ahead in blocks of 16, on `conv4`?

# %%
my_guess = ...  # dB, negative when the integers are ahead


# %%
def nf4_doubled(x, size):
    book = Codebook.nf4(x, size)
    return double_quantize(book, group_size=book.scale.size)


def signed_integers(x, size):
    """Values restored from Q4_0's rule, with d in 8 bits: one float32 for all d of the layer."""
    blocks = x.reshape(-1, size)
    d = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1, keepdims=True), axis=1) / -8
    unit = np.abs(d).max() / 127
    d = np.rint(d / unit) * unit
    codes = np.rint(np.divide(blocks, d, out=np.zeros_like(blocks), where=d != 0))
    return (np.clip(codes, -8, 7) * d).reshape(x.shape)


five = ("conv2", "conv3", "conv4", "conv5", "conv6")
ahead = {
    (name, size): sqnr(layers[name], fake_quantize(nf4_doubled(layers[name], size), layers[name]))
    - sqnr(layers[name], signed_integers(layers[name], size))
    for name in five
    for size in (16, 32, 96)
}

reveal(my_guess, ahead["conv4", 16], unit="dB")

# %% [markdown]
# One layer is one sample. Five of them, in blocks of 16, 32 and 96:

# %%
print("dB that NF4 is ahead of integers with a signed d, both with 8-bit scales:")
for name in five:
    print(name, *(f"{ahead[name, size]:6.1f}" for size in (16, 32, 96)))
assert all(ahead[name, 16] < 0 for name in five)
assert all(ahead[name, 16] < ahead[name, 32] < ahead[name, 96] for name in five)

# %% [markdown]
# In blocks of 16 the integers lead on all five layers, and the larger the blocks, the better for NF4: the result of
# section 5 once more. So "NF4 or integers" has no answer without the size of the blocks.
#
# Now the formats of this lesson on four tensors: Gaussian numbers; the same with every 500th made 20 times larger;
# `conv4`'s weights; and its activations (channels last, so that a block lies in one pixel). Rows of one group share
# their blocks and the type of their scales, so that only the levels differ.

# %%
gaussian = rng.standard_normal((64, 576)).astype(np.float32)
with_outliers = gaussian.copy()
with_outliers.flat[::500] *= 20
photographs = data.to_float(data.load_fashion_mnist("test").images[:4])
activations = np.moveaxis(network.run(photographs)["conv4"], 1, -1).reshape(-1, 64)
tensors = {"Gauss": gaussian, "outliers": with_outliers, "weights": weights, "activations": activations}


def like_q4_0(x, levels):
    book = Codebook.fit(x, levels=levels, axis=-1, group_size=32, constant_levels=True)
    return replace(book, scale=book.scale.astype(np.float16), scale_nbytes=2 * book.scale.size)


groups = {
    "one scale, or levels, for the tensor": {
        "int4": lambda x: Uniform.fit(x, 4),
        "int4, affine": lambda x: Uniform.fit(x, 4, symmetric=False),
        "int4, best range": with_best_range,
        "k-means": lambda x: Codebook.fit(x, 4),
    },
    "blocks of 32, scales in float16": {
        "int4 of 32": lambda x: like_q4_0(x, np.arange(-7, 8) / 7),
        "E2M1 of 32": lambda x: like_q4_0(x, e2m1_levels / 6),
        "NF4 of 32": lambda x: like_q4_0(x, NF4),
        "Q4_0": Q4_0.fit,
    },
    "blocks of 16, scales in 8 bits": {
        "NF4 of 16": lambda x: nf4_doubled(x, 16),
        "signed d of 16": lambda x: signed_integers(x, 16),
    },
    "as used: NF4 64 and float32, MX 32 and a power of two": {"NF4": Codebook.nf4, "MXFP4": MX.fit},
    "8 bits": {
        "int8": Uniform.fit,
        "E4M3": MiniFloat.fit,
        "MXFP8": lambda x: MX.fit(x, E4M3FN),
        "Q8_0": Q8_0.fit,
    },
}

# %%
cost, quality = {}, {}
print(f"{'':18}{'bits':>6}", *(f"{tensor:>12}" for tensor in tensors))
for group, schemes in groups.items():
    print(group)
    for name, fit in schemes.items():
        for tensor, x in tensors.items():
            fitted = fit(x)
            restored = fitted if isinstance(fitted, np.ndarray) else fake_quantize(fitted, x)
            quality[name, tensor] = sqnr(x, restored)
            if tensor == "weights":
                cost[name] = 4 + 8 / 16 + 32 / x.size if restored is fitted else bits_per_value(fitted, x.shape)
        print(f"  {name:16}{cost[name]:6.2f}", *(f"{quality[name, tensor]:12.1f}" for tensor in tensors))

# %% [markdown]
# The bits are those of the weights; a smaller tensor pays more for the same metadata. The rest is SQNR in dB. And for
# the weights, what is left to the bound for Gaussian numbers:

# %%
# alt: One bar per scheme, shortest first: how many dB conv4's weights stay below 6.02 dB per bit. k-means and the two
# formats in blocks of 16 lead with 4.6 to 5.4 dB; Q8_0, Q4_0, int4 with its best range, NF4, MXFP4 and the other blocks
# of 32 follow with 6 to 7; affine int4 and int8 have 11, int4 12, E4M3 17 and MXFP8 19 dB.
distance_of = {name: 20 * np.log10(2) * cost[name] - quality[name, "weights"] for name in cost}
codebook_plots.distance_bars(
    {name: (cost[name], quality[name, "weights"]) for name in sorted(cost, key=distance_of.get)},
    title="conv4's weights: distance to the bound for Gaussian numbers",
)


# %% [markdown]
# Read the table group by group:
#
# - **The range first.** Clipping gains 6 dB on the weights. On the one-sided activations an affine range alone gains
#   nearly 7, since a symmetric one wastes all codes below zero, and clipping 2 more. k-means is ahead of the best range
#   by 1 to 4 dB, and by 10 where a few outliers keep the range wide.
# - **In the same blocks levels are worth a decibel, and so is the sign of d.** In blocks of 32, NF4 and Q4_0 reach the
#   same on these weights, a decibel above int4 and E2M1. NF4 is ahead of Q4_0 where outliers make the largest value of
#   a block far larger than the rest.
# - **Cheap scales pay for small blocks.** From blocks of 32 with float16 to 16 with 8 bits, at the same 4.5 bits, NF4
#   and the signed d both gain, in every column.
# - **MXFP4 is cheap and simple, and pays**: 2.4 dB less than Q4_0 on the weights, for a quarter of a bit. Half of that
#   goes into the power of two (compare "E2M1 of 32"), half into E2M1, which has no signed d.
# - **At 8 bits, integers in blocks** lead E4M3 by more than 8 dB in every column, since three mantissa bits reach 31.5
#   dB with any scale. E4M3 passes int8 only in the column "outliers", where int8 has one scale for all.
#
# Each of these sentences, as a condition that this cell checks:


# %%
def ahead_by(name, other, tensor="weights"):
    return quality[name, tensor] - quality[other, tensor]


assert ahead_by("int4, best range", "int4") > 5
assert ahead_by("int4, affine", "int4", "activations") > 5
assert ahead_by("int4, best range", "int4, affine", "activations") > 1
assert all(ahead_by("k-means", "int4, best range", tensor) > 0.7 for tensor in tensors)
assert ahead_by("k-means", "int4, best range", "outliers") > 8
assert ahead_by("Q4_0", "int4 of 32") > 0.5
assert abs(ahead_by("NF4 of 32", "Q4_0")) < 0.5
assert all(ahead_by("NF4 of 16", "NF4 of 32", tensor) > 0.3 for tensor in tensors)
assert all(ahead_by("signed d of 16", "Q4_0", tensor) > 0.5 for tensor in tensors)
assert 0.8 < ahead_by("E2M1 of 32", "MXFP4") < 1.8
assert 0.8 < ahead_by("Q4_0", "E2M1 of 32") < 1.8
assert ahead_by("NF4 of 32", "Q4_0", "outliers") > 0.5
assert all(abs(ahead_by("NF4 of 32", name) - 1) < 0.5 for name in ("int4 of 32", "E2M1 of 32"))
assert all(ahead_by("Q8_0", name, tensor) > 8 for name in ("E4M3", "MXFP8") for tensor in tensors)
assert ahead_by("E4M3", "int8", "outliers") > 2
assert all(ahead_by("int8", "E4M3", tensor) > 3 for tensor in tensors if tensor != "outliers")

# %% [markdown]
# SQNR is not accuracy, and the errors of a layer matter unequally: that is the matter of lesson 07.
#
# ## Where this goes wrong
#
# Two mistakes, symptom first.
#
# **The codes are right, the file is not "3 bits".** A layer of 576 weights in 3-bit codes, blocks of 16, float32
# scales:

# %%
small = weights[:1]
three_bits = Uniform.fit(small, 3, axis=1, group_size=16)
print(f"{bits_per_value(three_bits, small.shape):.1f} bits per weight")
assert bits_per_value(three_bits, small.shape) == 3 + 32 / 16

# %% [markdown]
# *Cause*: only codes were counted. *Repair*: count scales and codebooks too (`nbytes` does), then choose the block
# size.
#
# **Nearly four times the squared error that the codebook promises.** Codes come from `np.searchsorted(levels, x)`:

# %%
book = free_4.levels
wrong_codes = np.minimum(np.searchsorted(book, weights), 15)
right_codes = nearest_level(weights, book)
wrong_db, right_db = sqnr(weights, book[wrong_codes]), sqnr(weights, book[right_codes])
print(f"levels as thresholds {wrong_db:.1f} dB, midpoints as thresholds {right_db:.1f} dB")
assert right_db - wrong_db > 5

# %% [markdown]
# *Cause*: the levels were used as thresholds, so that every value goes to the next level *above* it. *Repair*: compare
# with the midpoints.
#
# The catalogue has these and more:

# %%
print(mistakes.find("block scale rounded down"))

# %% [markdown]
# ## Key points
#
# - Optimum levels meet two conditions: thresholds are midpoints, levels are means. Applied in turn they never raise the
#   error; on a line, k-means can be solved exactly.
# - The bound for Gaussian numbers is 6.02 dB per bit. Lloyd–Max ends 4.35 dB below it, entropy-coded equal steps 1.53
#   dB.
# - Compare fairly: the same blocks, the same scales, the best range for both. Of the 7.7 dB by which k-means beats
#   min-max on `conv4`, clipping alone wins 6.
# - NF4: quantiles of the normal density, one scale for 64 weights. Good for large blocks of bell-shaped values. In
#   blocks of 16, integers with a signed scale did better on all five layers; on uniform values int4 does, in any block.
# - A float is a grid whose step doubles with each power of two: relative precision from the mantissa, width from the
#   exponent. Know its overflow policy.
# - Bits per value = bits of a code + (bits of scales and codebook)/(number of values that share them).
#
# ## Exercises
#
# [Exercises 05](../work/05_codebooks.ipynb), 45 minutes: nearest levels, Lloyd's iteration with weights, any small
# float, the scale of MX, a block of Q4_0 made and read, and a layer in 4.4 bits. The link opens your own copy, which
# `make lab` put into `work/`.
#
# ## Sources
#
# - S. P. Lloyd, "Least Squares Quantization in PCM", 1957, IEEE Transactions on Information Theory 28, 1982; J. Max,
#   "Quantizing for Minimum Distortion", IRE Transactions on Information Theory 6, 1960: the conditions, and the table.
# - P. F. Panter, W. Dite, "Quantization Distortion in Pulse-Count Modulation", Proceedings of the IRE 39, 1951: 4.35
#   dB.
# - C. E. Shannon, "Coding Theorems for a Discrete Source with a Fidelity Criterion", 1959: the bound.
# - H. Gish, J. N. Pierce, "Asymptotically Efficient Quantizing", IEEE Transactions on Information Theory 14, 1968: 1.53
#   dB.
# - S. Han, H. Mao, W. J. Dally, "Deep Compression", 2016, arXiv:1510.00149: k-means on layers.
# - T. Dettmers et al., "QLoRA", 2023, arXiv:2305.14314: NF4 and double quantization. D. Yoshida, "NF4 Isn't Information
#   Theoretically Optimal (and that's Good)", 2023, arXiv:2306.06965.
# - OCP 8-bit Floating Point Specification 1.0, 2023; OCP Microscaling Formats (MX) Specification 1.0, 2023.
# - ggml, the formats Q4_0, Q4_1 and Q8_0 (quantize_row_q4_0_ref and its neighbours).
