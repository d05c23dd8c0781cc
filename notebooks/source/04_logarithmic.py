# %% [markdown]
# # 04 · Quantize in the logarithm
#
# **The question.** Equal steps lose small values. What do you gain, and what do you lose, when the steps grow with the
# value?
#
# **At the end you can**
#
# - say what is wrong with a published logarithmic quantizer, and write one that works: a sign, a true zero, a base;
# - predict its relative error and its signal-to-noise ratio from the base alone, and say what its bits are for;
# - compress, round and expand: the µ-law of the telephone, and the exponential curve;
# - decide, for weights, activations and gradients, whether a logarithm beats equal steps;
# - replace multiplications by shifts, and count them.
#
# **You need** lesson 02: scale, codes, saturation, SQNR (signal-to-quantization-noise ratio, in dB), and why small
# values die.
#
# **Time**: 60 minutes of reading and guessing, 45 minutes of exercises.
#
# Guess before you look: replace `...` after `my_guess =`, run that cell, then the next one. `my_guess = None` shows the
# answer without a guess.

# %%
import numpy as np
import torch
from fewerbits import data
from fewerbits.network.model import build_model
from fewerbits.teach import article, logarithmic_plots, mistakes, plots, widgets
from fewerbits.teach.predict import reveal
from fewerbits.tensor.companding import Companding, mu_law_decode, mu_law_encode
from fewerbits.tensor.logarithmic import Logarithmic, shift_dot
from fewerbits.tensor.metrics import sqnr
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform

plots.use_style()

trained = data.load_weights("vgg32")
photographs = data.load_fashion_mnist("test")
weights = trained["conv4.weight"]

# %% [markdown]
# `weights` are those of the layer `conv4` as trained. (Lesson 02 had them with the batch normalization folded in, so
# its numbers differ a little.)
#
# ## 1 · A formula, as published
#
# The blog post that this course grew from also has a logarithmic quantizer. Here it is, word for word. (`article` holds
# the same function, so that nobody has to copy it.)


# %%
def logarithmic_quantization(x, num_bits):
    # Calculate the scale factor
    s = np.max(np.abs(x)) / (2**num_bits - 1)
    # Quantize the values
    q = np.round(np.log(np.abs(x)) / np.log(s))
    return q


# %% [markdown]
# Give it 1000 numbers between 0.001 and 1, and 8 bits. How many different codes come out?

# %%
my_guess = ...

# %%
thousand = np.geomspace(0.001, 1, 1000)
published = logarithmic_quantization(thousand, num_bits=8)

reveal(my_guess, len(np.unique(published)), digits=0)
assert np.array_equal(published, article.logarithmic_quantization(thousand, 8))

# %% [markdown]
# A bit would have been enough for that. **The base is wrong.** log(x)/log(s) is the logarithm of x to the base s. But s
# is a *scale*, a unit of x; here it is 1/255. So one step of the code is a factor of 255:

# %%
for code in np.unique(published):
    group = thousand[published == code]
    print(f"code {code:.0f}: all of {group.min():.3f} … {group.max():.3f}")

assert len(np.unique(published)) == 2

# %% [markdown]
# And when you change the unit of x, the base changes with it. In one unit it is even 1, whose logarithm is 0.
# (`errstate` keeps NumPy from warning; the result is warning enough.)

# %%
with np.errstate(divide="ignore"):
    for unit in (1, 100, 255, 1000):
        q = logarithmic_quantization(unit * np.array([0.25, 0.5, 1.0]), num_bits=8)
        print(f"x = {unit:4} · (0.25, 0.5, 1)   base s = {unit / 255:.3f}   codes {q}")

assert np.isinf(q).sum() == 0
assert np.array_equal(q, [4, 5, 5])

# %% [markdown]
# Next: −0.5, 0 and 0.5 (and 1.0, for the scale). How many different codes will the first three get? Whatever comes out
# counts as a code.

# %%
my_guess = ...

# %%
with np.errstate(divide="ignore"):
    three_codes = logarithmic_quantization(np.array([-0.5, 0.0, 0.5, 1.0]), num_bits=8)[:3]

reveal(my_guess, len(np.unique(three_codes)), digits=0)
assert three_codes[0] == three_codes[2]
assert np.isinf(three_codes[1])

# %% [markdown]
# **The sign is lost**, because |x| has none. **Zero is lost**, because log 0 is −∞ (here +∞, after division by a
# negative log s), and no integer holds that. And as in lesson 02 **there is no way back**: the function returns q
# alone.
#
# Four faults in one line. The idea behind it is good all the same. Let us build it properly.
#
# ## 2 · A sign, a zero, a base
#
# Choose the base first: **2**. Then levels are powers of two, and e = round(log₂|x|) is the exponent of the nearest
# one. A step of e is one **octave**, a factor of 2.
#
# Now the code. b bits hold the signed integers −P … P with P = 2ᵇ⁻¹ − 1. Use them like this:
#
# - code 0 is zero, exactly;
# - the sign of the code is the sign of x;
# - the magnitude |c| counts levels upwards: 1 is the smallest level, P the largest, 2^top.
#
# $$ c = \mathrm{sign}(x)\cdot\mathrm{clip}\bigl(\mathrm{round}(\log_2|x|) - \mathrm{top} + P,\; 0,\; P\bigr), \qquad
#    \hat x = \mathrm{sign}(c)\cdot 2^{\,\mathrm{top} - P + |c|} \;\text{ for } c \ne 0. $$
#
# `top` plays the part of the scale: one number per tensor, to be kept with the codes. Here it is an integer.


# %%
def log_quantize(x, top, bits):
    largest_code = 2 ** (bits - 1) - 1
    nonzero = np.where(x == 0, 1, x)  # any number that has a logarithm; sign(x) below makes its code 0
    exponent = np.rint(np.log2(np.abs(nonzero)))
    magnitude = np.clip(exponent - top + largest_code, 0, largest_code)
    return (np.sign(x) * magnitude).astype(np.int8)


def log_dequantize(codes, top, bits):
    largest_code = 2 ** (bits - 1) - 1
    magnitude = np.abs(codes.astype(int))  # int8 ends at ±127: top − P + |c| may lie outside
    return np.sign(codes) * 2.0 ** (top - largest_code + magnitude)


# %% [markdown]
# With 4 bits P is 7. Let the largest level be 1, that is top = 0. What is the smallest positive level?

# %%
my_guess = ...

# %%
all_codes = np.arange(-7, 8)
levels = log_dequantize(all_codes, top=0, bits=4)

reveal(my_guess, levels[levels > 0].min(), digits=4)
assert levels[levels > 0].max() / levels[levels > 0].min() == 2**6

# %% [markdown]
# Seven levels of each sign, and between the smallest and the largest a factor of 2⁶ = 64. Back and forth:

# %%
print("codes 1 … 7 stand for", levels[8:])
sample = np.array([-0.9, -0.3, 0.0, 0.02, 0.001, 0.7, 5.0])
sample_codes = log_quantize(sample, top=0, bits=4)
sample_back = log_dequantize(sample_codes, top=0, bits=4)

for value, code, back in zip(sample, sample_codes, sample_back):
    print(f"{value:6.3f}   code {code:2}   comes back as {back:.5g}")
assert sample_back[2] == 0
assert sample_back[4] == 0
assert sample_back[-1] == 1

# %% [markdown]
# Sign kept, zero kept. 5.0 saturates at the largest level. 0.001 lies too far below the smallest level and becomes
# zero: an **underflow**. (The other choice is to lift it to the smallest level. Then nothing but zero becomes zero.)
#
# `Logarithmic` is the course's own. Its `fit` takes as the largest level what the largest magnitude rounds to (its
# `top_exponent` is `top`), and it agrees with your two functions:

# %%
four_bit_log = Logarithmic.fit(weights, bits=4)
top_of_weights = int(np.rint(np.log2(np.abs(weights).max())))

assert four_bit_log.top_exponent == top_of_weights
assert np.array_equal(four_bit_log.quantize(weights), log_quantize(weights, top_of_weights, 4))
assert np.array_equal(
    fake_quantize(four_bit_log, weights), log_dequantize(log_quantize(weights, top_of_weights, 4), top_of_weights, 4)
)
print(f"largest |weight| {np.abs(weights).max():.3f}, largest level 2^{four_bit_log.top_exponent}")

# %%
# alt: Staircase of the 4-bit logarithmic quantizer over the inner third of the weights of conv4, from -0.06 to 0.06.
# Steps are narrow and dense around zero and twice as wide and high with each octave; the histogram behind is
# highest within 0.02 of zero.
plots.staircase(
    four_bit_log, -0.06, 0.06, values=weights, title="Steps grow with the value: the inner levels of 4 bits"
)

# %% [markdown]
# The finest steps lie around zero, where the histogram peaks, coarse ones far out: beyond this figure follow only 0.125
# and 0.25.
#
# ## 3 · Two kinds of error
#
# With equal steps the *error* is the same everywhere, and the relative error grows towards zero. Now it is the other
# way round. The exponent is at most ±½ off, whatever the value. What is the largest **relative** error of base 2,
# inside its range, in percent?

# %%
my_guess = ...

# %%
octaves = np.geomspace(2.0**-6, 1, 100_001)
relative = np.abs(log_dequantize(log_quantize(octaves, 0, 4), 0, 4) - octaves) / octaves

reveal(my_guess, 100 * relative.max(), unit="%")
assert abs(relative.max() - (np.sqrt(2) - 1)) < 1e-3

# %% [markdown]
# The worst place is the middle between two exponents: a value just above √½ = 0.707 is lifted to 1, by a factor of √2:
# +41 %. One just below it falls to ½: only −29 %.
#
# A finer base has a finer error. With k **steps per octave** the base is 2^(1/k): k = 2 is base √2. Then
# e = round(k·log₂|x|), and everything is counted in **steps**, `top` too:
#
# $$ \hat x = \mathrm{sign}(c)\cdot 2^{\,(\mathrm{top} - P + |c|)/k} \;\text{ for } c \ne 0. $$

# %%
three_bits = Logarithmic(top_exponent=4, bits=3, steps_per_octave=2)
print("base √2, top = 4 steps = 2 octaves, 3 bits: codes 1, 2, 3 are", three_bits.dequantize(np.array([1, 2, 3])))
assert three_bits.dequantize(np.array([3])) == 2 ** (4 / 2)

# %% [markdown]
# Compare both bases with equal steps, at 8 bits. Left the rms error of the values in an octave (a factor of 2) around
# x, right the relative error of x itself:

# %%
# alt: Two panels over values from 0.0001 to 1 at 8 bits. Left, rms error: a level line for equal steps, which bends
# down below 0.004; straight lines that rise with the value for base 2 and, half as high, base root 2. They cross the
# level line near 0.01 and 0.02. Right, relative error: equal steps reach 100 percent below 0.004 and fall towards zero
# at 1; base 2 stays below 42 percent and base root 2 below 19 everywhere.
at_8_bits = {
    "equal steps": Uniform.from_range(-1, 1, bits=8, narrow_range=True),
    "base 2": Logarithmic(top_exponent=0, bits=8),
    "base √2": Logarithmic(top_exponent=0, bits=8, steps_per_octave=2),
}
logarithmic_plots.two_errors(at_8_bits, 1e-4, 1.0, title="Left: level for equal steps. Right: bounded for a logarithm")

# %% [markdown]
# Near the maximum equal steps are far better, near zero far worse. (Below half a step, 0.004, they turn everything into
# 0: the error is x itself, 100 %.) The curves cross. Where, for base 2? The rms error of equal steps is s/√12. That of
# base 2 is about 20 % of the value, as the left panel shows: 0.02 at x = 0.1.

# %%
step_of_8_bits = float(at_8_bits["equal steps"].scale)
crossing = (step_of_8_bits / np.sqrt(12)) / 0.2
print(f"cross near x = {crossing:.3f}: {np.log2(1 / crossing):.1f} octaves below the maximum")

for x_low, x_high in ((0.5, 1.0), (0.001, 0.002)):
    octave = np.linspace(x_low, x_high, 10_001, dtype=np.float32)
    rms = {name: np.sqrt(np.mean((fake_quantize(scheme, octave) - octave) ** 2)) for name, scheme in at_8_bits.items()}
    print(f"{x_low:.3f} … {x_high:.3f}:", ", ".join(f"{name} {error:.5f}" for name, error in rms.items()))
    assert (rms["equal steps"] < rms["base 2"]) == (x_low > crossing)

# %% [markdown]
# ## 4 · What the bits are for
#
# Equal steps gain 6 dB of SQNR with each bit. How many dB does base 2 gain on the weights of `conv4` from 6 bits to 8?

# %%
my_guess = ...

# %%
at_6, at_8 = (sqnr(weights, fake_quantize(Logarithmic.fit(weights, b), weights)) for b in (6, 8))

reveal(my_guess, at_8 - at_6, unit="dB", digits=1)
assert abs(at_8 - at_6) < 0.05

# %% [markdown]
# Nothing. More bits add levels *below*: 6 bits span 2⁵ − 2 = 30 octaves, 8 bits span 126, from 0.25 down to about
# 10⁻³⁹. What lives down there adds almost nothing to a sum of squares.
#
# **Bits buy range. The base buys precision.** How much? Neighbouring levels differ by a factor of base, so ln x is
# rounded in equal steps of ln(base). By lesson 02 the rms error of ln x is ln(base)/√12, and a small error of ln x *is*
# the relative error of x (up to 41 % is not very small: hence 14.0 below, and 13.7 measured):
#
# $$ \mathrm{SQNR} \approx 20\log_{10}\frac{\sqrt{12}}{\ln(\mathrm{base})} = 14.0 + 20 \log_{10} k \;\text{dB}. $$

# %%
print("steps per octave   formula   measured (8 bits)")
for k in (1, 2, 4):
    formula = 20 * np.log10(np.sqrt(12) / np.log(2 ** (1 / k)))
    measured = sqnr(weights, fake_quantize(Logarithmic.fit(weights, 8, steps_per_octave=k), weights))
    print(f"{k:10} {formula:15.1f} {measured:12.1f} dB")
    assert abs(formula - measured) < 0.5

# %% [markdown]
# No peak, no rms, no shape of the distribution in this formula: a logarithm treats all tensors alike. Twice the steps
# per octave are +6 dB and halve the range that the same bits span, so a bit is worth 6 dB here too, if you spend it on
# the base. What the range has to be is the question of section 6.
#
# **Which neighbour is nearest?** 1.45 lies between the levels 1 and 2. In the logarithm it is nearer to 2 (the middle
# is √2 = 1.414). In value it is nearer to 1 (the middle is 1.5). Both rules are in use: `rounding="log"` is the formula
# above, `"linear"` gives the smaller squared error.

# %%
by_rounding = {}
for rounding in ("log", "linear"):
    restored = fake_quantize(Logarithmic.fit(weights, 5, rounding=rounding), weights)
    by_rounding[rounding] = sqnr(weights, restored)
    size = 100 * np.sum(np.abs(restored), dtype=float) / np.sum(np.abs(weights), dtype=float)
    at_145 = float(fake_quantize(Logarithmic(top_exponent=4, rounding=rounding), 1.45))
    print(
        f"{rounding:6} 1.45 → {at_145:.0f}; {by_rounding[rounding]:.1f} dB, mean magnitude {size:.0f} % of the original"
    )

assert 0.2 < by_rounding["linear"] - by_rounding["log"] < 0.6

# %% [markdown]
# 0.4 dB, and a bias in opposite directions. Say which rule you use.
#
# ### Play: bits against base
#
# 4 bits are 7 levels of each sign. Spread them over six octaves in steps of 2, or over three in steps of √2? Which base
# is best at 4 bits, which at 6? Decide before you move the sliders. (Without a running kernel they stay where they are;
# a figure and a table follow.)


# %%
peak = float(np.abs(weights).max())


def log_stairs(bits, steps_per_octave):
    scheme = Logarithmic.fit(weights, bits, steps_per_octave=steps_per_octave)
    decibels = sqnr(weights, fake_quantize(scheme, weights))
    title = f"{bits} bits, {steps_per_octave} steps per octave: {decibels:.1f} dB"
    return plots.staircase(scheme, -peak, peak, values=weights, title=title)


# %% tags=["nbval-ignore-output"]
widgets.play(log_stairs, bits=(3, 6, 4), steps_per_octave=(1, 4, 1))

# %%
# alt: Staircase with 4 bits and 4 steps per octave. All levels lie in the outer part of the range; the wide flat step
# at zero swallows nearly all weights, whose histogram is behind it.
log_stairs(bits=4, steps_per_octave=4)

# %%
print("bits    k = 1    k = 2    k = 4   (SQNR, dB)")
table = {}
for b in (3, 4, 5, 6):
    for k in (1, 2, 4):
        table[b, k] = sqnr(weights, fake_quantize(Logarithmic.fit(weights, b, steps_per_octave=k), weights))
    print(f"{b:4}" + "".join(f"{table[b, k]:9.1f}" for k in (1, 2, 4)))

assert max((1, 2, 4), key=lambda k: table[4, k]) == 1
assert max((1, 2, 4), key=lambda k: table[6, k]) == 4

# %% [markdown]
# Each base needs its bits: until the range holds nearly all of the tensor's energy, a finer base only makes it lose
# more. At 4 bits base 2 and base √2 are about even, at 6 the finest one wins.
#
# ## 5 · Compress, round, expand
#
# A logarithm never arrives at zero; that is why zero needs a code of its own. The telephone solved this differently.
# Bend the axis by a smooth curve c that *does* pass through zero, round in equal steps, and bend back: **companding**.
# With u = |x|/max|x| the two curves of this lesson are
#
# $$ \text{µ-law: } c(u) = \frac{\ln(1+\mu u)}{\ln(1+\mu)}, \qquad
#    \text{exponential: } c(u) = \frac{1-e^{-au}}{1-e^{-a}}. $$
#
# The µ-law is a straight line near zero, up to about u = 1/µ, and a logarithm beyond. Follow a small value and a large
# one through the three steps; `strength` is µ. (You write them yourself in exercise 4.)

# %%
compander = Companding(scale=1.0, bits=4, strength=255.0)
for u in (0.02, 0.9):
    compressed = compander.compress(np.array(u))
    rounded = np.rint(compressed * 7) / 7
    expanded = compander.expand(rounded)
    print(f"u = {u:4}  compressed {compressed:.3f}  rounded to {7 * rounded:.0f}/7  expanded {expanded:.4f}")
    assert np.isclose(expanded, fake_quantize(compander, np.array(u)))

assert fake_quantize(compander, np.array(0.02)) > 0
assert np.rint(0.02 * 7) == 0  # seven equal steps would lose it

# %% [markdown]
# Why did the telephone want it? Some people speak softly. A voice (here: Gaussian noise) becomes softer in steps of
# 10 dB, while the range of the 8-bit quantizer stays where the loudest voice needs it. Equal steps lose 10 dB with each
# step, until nothing is left. How many dB does the µ-law lose from the loudest to 40 dB below?

# %%
my_guess = ...

# %%
voice = np.random.default_rng(4).standard_normal(20_000).clip(-4, 4) / 4
line = {"equal steps": Uniform.from_range(-1, 1, 8), "µ-law": Companding(scale=1.0, bits=8)}
loudness = [0, -10, -20, -30, -40, -50]
quality = {}
for name, scheme in line.items():
    softer = [(voice * 10 ** (level / 20)).astype(np.float32) for level in loudness]
    quality[name] = [sqnr(x, fake_quantize(scheme, x)) for x in softer]

mu_loss, step_loss = (quality[name][0] - quality[name][4] for name in ("µ-law", "equal steps"))
reveal(my_guess, mu_loss, unit="dB")
assert mu_loss < 8
assert abs(step_loss - 39) < 1

# %%
# alt: SQNR against loudness from −50 to 0 dB. Equal steps rise by 10 dB per 10 dB, from about 0 to 41 dB. The µ-law
# stays between 35 and 38 dB down to −30 dB and falls to 23 dB at −50. The lines cross just below the loudest voice.
logarithmic_plots.against_loudness(loudness, quality, title="The µ-law serves soft voices too")

# %% [markdown]
# It loses less than 8 dB where equal steps lose 39. Telephone exchanges in North America and Japan speak a close
# relative of this, **ITU-T G.711**: the sign, three bits for the octave, four bits for 16 equal steps inside it, all
# bits inverted. `mu_law_encode` is that codec:

# %%
samples = np.arange(-(2**15), 2**15, dtype=np.int16)
audible = samples[np.abs(samples.astype(int)) >= 2**9]
off = np.abs(mu_law_decode(mu_law_encode(audible)).astype(int) - audible) / np.abs(audible.astype(int))

# 128 is 1000 0000, inverted 0111 1111: sign +, the highest octave, its last step.
silence, loudest = mu_law_encode(np.array([0]))[0], mu_law_decode(np.array([128]))[0]
print(f"silence is code {silence}; the largest sample comes back as {loudest}")
print(f"relative error above 512: at most {100 * off.max():.1f} %")
assert (silence, loudest) == (255, 32124)
assert off.max() < 0.04

# %% [markdown]
# How much should a curve bend? µ = 255 serves voices between loud and 40 dB softer. Weights span fewer octaves. The
# **exponential** curve bends gently. Many levels are placed best with a density that is the cube root of the values'
# own (Panter and Dite, see Sources; no cell here proves it). For Laplacian values, e^(−|x|), that is this curve, with a
# third of max|x|/mean|x| as its a: 2.3 here. Weights look somewhat Laplacian.

# %%
curves = {f"µ-law, µ = {mu}": {"strength": mu} for mu in (5, 255, 4000)}
curves["exponential"] = {"compressor": "exponential"}
on_weights = {"equal steps": [sqnr(weights, fake_quantize(Uniform.fit(weights, b), weights)) for b in (4, 6, 8)]}
for name, options in curves.items():
    schemes = [Companding.fit(weights, b, **options) for b in (4, 6, 8)]
    on_weights[name] = [sqnr(weights, fake_quantize(scheme, weights)) for scheme in schemes]
for name, row in on_weights.items():
    print(f"{name:15}" + "".join(f"{decibels:7.1f}" for decibels in row) + "  dB at 4, 6, 8 bits")

for column in range(3):
    even, gentle, telephone, steep, exponential = (row[column] for row in on_weights.values())
    assert exponential - even > 4
    assert even + 3 < gentle < exponential < gentle + 1.5
    assert steep + 2 < telephone < even

# %% [markdown]
# The telephone's µ is *worse* than equal steps here, a small µ almost as good as the exponential. It is not the name of
# the curve that counts, but its bend: **few octaves, small µ; many octaves, large µ**. A gentle curve gains 4 dB over
# equal steps at the same bits, most of a bit, for one more number per tensor. But nothing can be computed with such
# codes: they have to be expanded first.
#
# ## 6 · Weights, activations, gradients
#
# Three kinds of tensors, three shapes. A **gradient** says how the loss would change with each value; training needs
# it. One pass of 64 photographs forward and backward gives real ones: what arrives at the output of `conv4` (after its
# batch normalization). The network is trained already, and these are test photographs; the gradients of a first epoch
# may look different.

# %%
model = build_model("vgg32", trained)
kept = {}


def keep(module, inputs, output):
    output.retain_grad()
    kept["conv4"] = output


model.conv4_norm.register_forward_hook(keep)
pixels = torch.from_numpy(data.to_float(photographs.images[:64]))
labels = torch.from_numpy(photographs.labels[:64].astype(np.int64))
torch.nn.functional.cross_entropy(model(pixels), labels).backward()

tensors = {
    "weights": weights,
    "activations": torch.relu(kept["conv4"]).detach().numpy(),
    "gradients": kept["conv4"].grad.numpy(),
}
spans = {}
for name, x in tensors.items():
    nonzero_values = np.abs(x[x != 0])
    spans[name] = np.log2(np.quantile(nonzero_values, 0.99) / np.quantile(nonzero_values, 0.01))
    print(f"{name:12} {x.shape}, {spans[name]:.0f} octaves hold 98 % of all that is not zero")

assert spans["gradients"] > spans["weights"] + 2

# %% [markdown]
# Where do so many octaves come from? The network is sure of most photographs, and those have tiny gradients; a few
# surprise it:

# %%
gradients = tensors["gradients"]
loudest_of_each = np.abs(gradients).max(axis=(1, 2, 3))
least, middle, most = np.quantile(loudest_of_each, (0, 0.5, 1))
print(f"largest |gradient| of a photograph: {least:.5f} at least, {middle:.5f} in the middle, {most:.5f} at most")
assert most > 10 * middle

# %% [markdown]
# Now store the gradients in **5 bits of equal steps**. Of how many of the 64 photographs does nothing at all survive,
# in percent?

# %%
my_guess = ...


# %% tags=["nbval-ignore-output"]
def silent_photographs(scheme):
    return 100 * np.mean([not np.any(scheme.quantize(one)) for one in gradients])


reveal(my_guess, silent_photographs(Uniform.fit(gradients, 5)), unit="%", digits=0)

# %%
assert abs(silent_photographs(Uniform.fit(gradients, 5)) - 50) < 12
assert silent_photographs(Logarithmic.fit(gradients, 5)) == 0

# %% [markdown]
# About half: a photograph whose gradient is all zeros teaches the network nothing. Base 2 silences none of them
# with the same 5 bits. Here are all three tensors, first by SQNR:


# %%
def schemes_for(x, bits):
    signed = bool(x.min() < 0)
    return {
        "equal steps": Uniform.fit(x, bits, symmetric=signed, signed=signed),
        "base 2": Logarithmic.fit(x, bits, signed=signed),
        "base √2": Logarithmic.fit(x, bits, signed=signed, steps_per_octave=2),
        "µ-law": Companding.fit(x, bits),
    }


def measure(quantity):
    """For each tensor and each kind of scheme the list of `quantity(x, scheme)` at 3 to 8 bits."""
    result = {}
    for name, x in tensors.items():
        at_each = [schemes_for(x, bits) for bits in range(3, 9)]
        result[name] = {kind: [quantity(x, schemes[kind]) for schemes in at_each] for kind in at_each[0]}
    return result


decibels_by = measure(lambda x, scheme: sqnr(x, fake_quantize(scheme, x)))

# %%
# alt: SQNR against 3 to 8 bits for weights, activations and gradients. Equal steps rise by about 6 dB per bit in each
# panel, to 38, 39 and 28 dB. Base 2 is flat at 14 dB and base root 2 at 20 dB once they have enough bits; they lie
# above equal steps only at few bits, on gradients up to 6. The µ-law rises to 38 dB in each panel: on gradients far
# above all others.
logarithmic_plots.by_tensor(
    range(3, 9), decibels_by, "SQNR (dB)", title="By SQNR a plain logarithm wins only where bits are few"
)

# %% [markdown]
# The µ-law is the best of both on gradients: fine near zero, and 6 dB for each bit. (µ is 255 everywhere here, more
# than weights want; and its codes have a sign, which activations do not need: one bit lost there.)
#
# Now by what is **lost**: the share of all non-zero values that become zero.


# %%
def percent_lost(x, scheme):
    return 100 * np.mean(scheme.quantize(x[x != 0]) == getattr(scheme, "zero_point", 0))


lost_by = measure(percent_lost)
for name in tensors:
    row = ", ".join(f"{kind} {values[3]:.0f} %" for kind, values in lost_by[name].items())
    print(f"6 bits, {name:12} {row}")

assert lost_by["gradients"]["equal steps"][3] > 60
assert lost_by["gradients"]["base 2"][3] < 1
for name, least_bits in {"weights": 5, "activations": 4, "gradients": 5}.items():
    lost = {kind: np.array(row) for kind, row in lost_by[name].items()}
    few, enough = slice(0, least_bits - 3), slice(least_bits - 3, None)
    assert all((lost["µ-law"][few] < lost[kind][few]).all() for kind in lost if kind != "µ-law")
    assert (lost["base 2"][enough] < np.minimum(1, lost["µ-law"][enough])).all()
    assert (lost["base √2"][3:] < 1).all()
for name in ("weights", "gradients"):
    assert lost_by[name]["base √2"][1] > lost_by[name]["equal steps"][1]

# %%
# alt: Share of non-zero values that become zero against bits, three panels. On weights and activations all schemes lose
# less than a tenth from 6 bits on. On gradients equal steps lose most values up to 7 bits and about half at 8; base 2
# loses almost nothing from 5 bits on, base root 2 from 6 on, and the µ-law sinks slowly from 58 percent to 1.
logarithmic_plots.by_tensor(
    range(3, 9), lost_by, "non-zero values lost (%)", title="By what survives, equal steps fail on gradients"
)

# %% [markdown]
# A base helps only where its range is wide enough: at 4 bits base √2 loses *more* weights and gradients than equal
# steps. Who of these four wins by SQNR, and from how many bits on? (The gentle curve of section 5 is not among them. On
# weights it beats them all.)

# %%
best_kind = {}
for name, lines in decibels_by.items():
    best_kind[name] = [max(lines, key=lambda kind: lines[kind][column]) for column in range(6)]
    print(f"{name:12}" + ", ".join(f"{b} bits {kind}" for b, kind in zip((4, 5, 6, 7), best_kind[name][1:5])))

assert best_kind["activations"][2:] == ["equal steps"] * 4
assert best_kind["weights"][3:] == ["equal steps"] * 3
for column in (1, 2):
    row = decibels_by["weights"]
    assert abs(max(row["base 2"][column], row["base √2"][column]) - row["equal steps"][column]) < 1
assert best_kind["gradients"][3:] == ["µ-law"] * 3
for column, b in enumerate(range(3, 9)):
    curved = sqnr(weights, fake_quantize(Companding.fit(weights, b, compressor="exponential"), weights))
    assert curved > max(row[column] for row in decibels_by["weights"].values()) + 3
assert decibels_by["gradients"]["µ-law"][3] > decibels_by["gradients"]["base √2"][3] + 4

# %% [markdown]
# Two measures, two winners. SQNR asks about the large values, for they carry the power. The share lost asks about the
# small ones. Which of them matters depends on the use:
#
# | tensor | why | by SQNR | by what survives |
# |---|---|---|---|
# | activations | one-sided; large ones decide the sum | equal steps from 5 bits on | µ-law; from 4 bits on base 2 |
# | weights | many small, few large | even at 4 and 5 bits, then equal steps | µ-law; from 5 bits on base 2 |
# | gradients | twelve octaves | a logarithm at 4 bits, the µ-law from 6 on | µ-law; from 5 bits on base 2 |
#
# One more question decides: what may be done with the codes? Those of a curve, and of base √2, must be expanded before
# they are multiplied. Equal steps multiply as integers (lesson 06), and base 2 as shifts: the next section.
#
# The float formats with 8 bits (lesson 05) are a compromise: a few octaves, and equal steps inside each.
#
# ## 7 · Multiply by shifting
#
# A base of 2 has a second use. 13 · 2³ is 13 shifted to the left by three places. When weights are powers of two, a
# dot product needs no multiplier at all. By hand:

# %%
small_codes, small_activations = [3, -1, 0, 2], [13, 7, 100, 5]  # codes c stand for ±2^(|c| − 1), 0 for zero
total = 0
for code, a in zip(small_codes, small_activations):
    if code > 0:
        total += a << (code - 1)
    elif code < 0:
        total -= a << (-code - 1)

print(f"13·4 − 7·1 + 100·0 + 5·2 = {total}")
assert total == 13 * 4 - 7 * 1 + 100 * 0 + 5 * 2

# %% [markdown]
# Now `conv4`: 64 filters of 576 weights in 4 bits, and 576 activations, what one place of an image needs, as 8-bit
# codes. (Random codes stand in for them; the count does not depend on them.) That is 36,864 multiplications. How many
# shifts replace them? Fewer, for some weights become zero: read off how many at 4 bits, in the left panel of the last
# figure.

# %%
my_guess = ...

# %%
filters = Logarithmic.fit(weights, bits=4)
filter_codes = filters.quantize(weights).reshape(64, 576)
patch = np.random.default_rng(7).integers(0, 256, 576)
shifted = shift_dot(filters, filter_codes, patch)

reveal(my_guess, shifted.shifts, digits=0)
exact = filters.dequantize(filter_codes).astype(np.float64) @ patch
assert np.array_equal(shifted.value, exact)
assert shifted.shifts == np.count_nonzero(filter_codes)
assert filters.dequantize(np.array([1])) == 2.0**-8
assert abs(shifted.shifts - 34_500) < 50

# %% [markdown]
# About 34,500, for 6 % of the weights are zero: one shift and one addition for each of the others, and no
# multiplication at all. The smallest level of these filters is 2⁻⁸, not 1 as by hand. So the whole sum is taken as by
# hand and scaled once at the end, by 2⁻⁸. The sums are *equal*, not close: shifting whole numbers is exact.
#
# Three limits, so that you expect no wonders. A CPU multiplies as fast as it shifts; the gain is in the area and the
# energy of a chip made for it. Sums get longer: a shift by up to six places makes an activation six bits longer, a
# product with a 4-bit integer only three. And it works for base 2 only, since 13·√2 is no integer.
#
# ## 8 · The network
#
# All weights of the network, once in equal steps and once in base 2, with one scale or one `top` per layer: the same
# bits per weight, so the same bytes, but for 2 per layer (a scale is a float32, `top` fits into two bytes). 300
# photographs judge it, so one photograph is a third of a percent, and differences of two percent are within chance.


# %%
def percent_right(weights_by_name):
    images = torch.from_numpy(data.to_float(photographs.images[:300]))
    with torch.inference_mode():
        logits = build_model("vgg32", weights_by_name)(images)
    return 100 * np.mean(logits.argmax(dim=1).numpy() == photographs.labels[:300])


def with_weights(fit):
    return {name: fake_quantize(fit(x), x) if x.ndim > 1 else x for name, x in trained.items()}


def total_bytes(fit):
    return sum(fit(x).nbytes(x.shape) for x in trained.values() if x.ndim > 1)


by_8, by_4 = (
    [total_bytes(lambda x, b=b, kind=kind: kind.fit(x, b)) for kind in (Uniform, Logarithmic)] for b in (8, 4)
)
print(
    "bytes of all weights, equal steps and base 2:", f"{by_8[0]:,} {by_8[1]:,} at 8 bits, {by_4[0]:,} {by_4[1]:,} at 4"
)
assert by_8[0] - by_8[1] == 2 * 7

# %% [markdown]
# In float32 95 % of the photographs are classified rightly. How many with all weights in 8 bits of base 2, in percent?

# %%
my_guess = ...

# %% tags=["nbval-ignore-output"]
kinds = {
    "equal steps": lambda b: lambda x: Uniform.fit(x, b),
    "base 2": lambda b: lambda x: Logarithmic.fit(x, b),
    "base √2": lambda b: lambda x: Logarithmic.fit(x, b, steps_per_octave=2),
}
right = {(name, b): percent_right(with_weights(kind(b))) for name, kind in kinds.items() for b in (8, 4, 3)}
right_float = percent_right(trained)

reveal(my_guess, right["base 2", 8], unit="%", digits=0)

# %% tags=["nbval-ignore-output"]
print(f"right (%), float32 {right_float:.0f}")
print("              8 bits  4 bits  3 bits")
for name in kinds:
    print(f"{name:12}" + "".join(f"{right[name, b]:8.0f}" for b in (8, 4, 3)))

# %%
assert abs(right_float - 95) < 1.5
assert right["equal steps", 8] > 90
assert right["base 2", 8] < right["equal steps", 8] - 5
assert abs(right["base 2", 8] - right["base 2", 4]) < 2
assert right["base √2", 8] > 88
assert max(right[name, 3] for name in kinds) < 60

# %% [markdown]
# Base 2 loses a dozen percent, and the bits cannot help: 8 are no better than 4. Is that the price of base 2? First
# look *where* it is lost: put one layer at a time into base 2.

# %% tags=["nbval-ignore-output"]
layers = [name for name, x in trained.items() if x.ndim > 1]
only = {}
for name in layers:
    one_layer = {**trained, name: fake_quantize(Logarithmic.fit(trained[name], 4), trained[name])}
    only[name] = percent_right(one_layer)
    print(f"{name:14} {trained[name].size:7,} weights  {only[name]:5.1f} %")

# %%
assert min(only, key=only.get) == "conv1.weight"
assert all(only[name] > 90 for name in layers[1:])

# %% [markdown]
# **It is the first layer**: 288 weights, a thousandth of all. Now be careful: one figure is one draw. Where the levels
# lie relative to the weights is an accident, for they are powers of two whatever the weights are. So move them:
# multiply the weights of `conv1` by 2^d, quantize, and divide again. Then all levels lie d octaves lower.


# %% tags=["nbval-ignore-output"]
def moved(x, d):
    factor = np.float32(2**d)
    return fake_quantize(Logarithmic.fit(x * factor, 4), x * factor) / factor


draws = [percent_right({**trained, "conv1.weight": moved(trained["conv1.weight"], d)}) for d in np.arange(8) / 8]
print("conv1 in base 2, levels moved by 0, 1/8 … 7/8 octave:", " ".join(f"{each:.0f}" for each in draws), "%")

# %%
assert draws[0] < min(draws) + 1.5
assert max(draws) - min(draws) > 6
assert np.median(draws) > draws[0] + 4

# %% [markdown]
# The same base, the same bits, the same weights: 83 to 94 % right. Our first figure was the unluckiest of eight draws;
# the price of base 2 in this layer is **between 1 and 12 percent**, in the middle 4. (Why this layer? Perhaps because a
# sum of nine products averages fewer errors away than one of hundreds. That is a guess; nothing here shows it.)
#
# A format that depends on luck is not one to build on. Give the first layer 8 bits of equal steps (146 bytes more),
# leave the rest in 4 bits of base 2, and draw again. To be fair, equal steps get the same first layer too:

# %% tags=["nbval-ignore-output"]
first = "conv1.weight"
safe_first = fake_quantize(Uniform.fit(trained[first], 8), trained[first])
mixed = [
    percent_right({**{name: moved(x, d) if x.ndim > 1 else x for name, x in trained.items()}, first: safe_first})
    for d in (0, 0.25, 0.5, 0.75)
]
print("first layer 8 bits of equal steps, the others base 2 at 4 bits:", " ".join(f"{each:.0f}" for each in mixed), "%")
right_fair = percent_right({**with_weights(kinds["equal steps"](4)), first: safe_first})
print(f"first layer 8 bits of equal steps, the others equal steps at 4 bits: {right_fair:.0f} %")
print(f"equal steps at 4 bits everywhere: {right['equal steps', 4]:.0f} %")

# %%
assert min(mixed) > 92
assert right_fair > 91
extra = Uniform.fit(trained[first], 8).nbytes((32, 1, 3, 3)) - Logarithmic.fit(trained[first], 4).nbytes((32, 1, 3, 3))
assert extra == 146

# %% [markdown]
# In 4 bits, and with shifts in place of nearly all multiplications, the network is about as good as with equal steps of
# 4 bits and the same first layer, wherever the levels lie: they differ by no more than chance. Which layer needs what
# is a subject of its own: lesson 07.
#
# ## Where this goes wrong
#
# **Zeros come back as something.** A quantizer without a code for zero, on activations after a ReLU (`signed=False`: no
# signs; `underflow="smallest"`: what is too small is lifted to the smallest level):

# %%
after_relu = tensors["activations"]
lifted = np.where(after_relu == 0, 2.0**-6, after_relu)
restored_wrong = fake_quantize(Logarithmic(0, bits=4, signed=False, underflow="smallest"), lifted)

print(f"zeros before: {100 * np.mean(after_relu == 0):.0f} %, after: {100 * np.mean(restored_wrong == 0):.0f} %")
assert np.mean(restored_wrong == 0) == 0
assert np.mean(after_relu == 0) > 0.3

# %% [markdown]
# *Cause*: log 0 was dodged with a small number, log(|x| + ε), and that number has a level of its own. *Repair*: keep
# one code for zero, and set it where x == 0.
#
# **All magnitudes come back squared.** Codes of base √2, read as base 2:

# %%
root_two = Logarithmic.fit(weights, 6, steps_per_octave=2)
as_base_two = Logarithmic(root_two.top_exponent, 6, steps_per_octave=1)
confused = as_base_two.dequantize(root_two.quantize(weights))

print(f"median |x| {np.median(np.abs(weights)):.4f} comes back as {np.median(np.abs(confused)):.6f}")
assert np.median(np.abs(confused)) < 0.1 * np.median(np.abs(weights))
print(f"SQNR {sqnr(weights, confused):.1f} dB, read correctly {sqnr(weights, fake_quantize(root_two, weights)):.1f} dB")

# %% [markdown]
# *Cause*: the base is part of the codes' meaning, as the scale is, and it was not kept with them. Natural logarithms
# decoded with 2ˣ are the same mistake. *Repair*: store base and top with the codes; `Logarithmic` holds both.
#
# **Everything shrinks.** The exponent was taken by `floor`, or from the exponent bits of the float:

# %%
floored = np.sign(weights) * 2.0 ** np.floor(np.log2(np.abs(weights)))
nearest = np.sign(weights) * 2.0 ** np.rint(np.log2(np.abs(weights)))
for name, values in {"rint": nearest, "floor": floored}.items():
    size = 100 * np.sum(np.abs(values), dtype=float) / np.sum(np.abs(weights), dtype=float)
    print(f"{name:6} mean magnitude {size:.0f} %, SQNR {sqnr(weights, values):.1f} dB")

assert sqnr(weights, nearest) - sqnr(weights, floored) > 3

# %% [markdown]
# *Cause*: floor(log₂|x|) is the level below, not the nearest one. *Repair*: `np.rint` of the logarithm.
#
# The catalogue knows these and some more:

# %%
print(mistakes.find("scale taken for the base"))

# %% [markdown]
# ## Key points
#
# - A logarithmic code needs a sign, a code for zero, a base that is no scale, and a `top`. The published formula has no
#   sign, no zero and no way back, and its base changes with the unit.
# - The relative error is bounded, and the same in every octave: at most √2 − 1 = 41 % for base 2, and about
#   ln(base)/√12 in the rms.
# - Bits buy range, the base buys precision: 14 dB for base 2, 20 dB for base √2, whatever the tensor, once its range is
#   covered.
# - On weights and activations equal steps win by SQNR over a plain logarithm from 5 or 6 bits on; on weights a gentle
#   curve beats both. Where values span many octaves, as gradients do, a logarithm or the µ-law keeps what equal steps
#   lose.
# - Companding bends the axis, rounds, and bends back. The bend must fit: gentle for weights, strong for signals of many
#   octaves.
# - Base 2 turns products into shifts, exactly. A chip gains by that, a CPU does not.
# - In the network one small layer can cost more than all others, and one figure may be one unlucky draw. Move the
#   levels before you judge a format.
#
# ## Exercises
#
# [Exercises 04](../work/04_logarithmic.ipynb), 45 minutes: write the quantizer, the µ-law and the sum of shifts
# yourself, and save a gradient. `make lab` makes your own copy in `work/`, which this link opens.
#
# ## Sources
#
# - D. Miyashita, E. H. Lee, B. Murmann, "Convolutional Neural Networks using Logarithmic Data Representation", 2016,
#   arXiv:1603.01025: base 2 and base √2, shifts for products.
# - ITU-T Recommendation G.711, "Pulse code modulation (PCM) of voice frequencies", 1988: the µ-law codec.
# - B. Smith, "Instantaneous Companding of Quantized Signals", Bell System Technical Journal 36, 1957: the µ-law.
# - P. F. Panter, W. Dite, "Quantization Distortion in Pulse-Count Modulation with Nonuniform Spacing of Levels",
#   Proceedings of the IRE 39, 1951: the best curve for a density.
# - H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747: the photographs.
# - "Introduction to AI Model Quantization", the blog post that section 1 quotes; section “Non-Uniform Quantization”.
