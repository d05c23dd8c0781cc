# %% [markdown]
# # 02 · Quantize a tensor in equal steps
#
# **The question.** How do you store real numbers in eight bits, get them back, and know beforehand how wrong they
# will be?
#
# **At the end you can**
#
# - derive the scale, the zero point and the range of codes, symmetric and affine, for any number of bits;
# - quantize and dequantize a tensor in four lines of NumPy, with saturation;
# - bound the error by s/2, and say where float32 arithmetic bends that bound;
# - predict the signal-to-noise ratio of a tensor from its bits and its peak, before you measure it;
# - explain why small values die, and what a scale per channel or group does about it;
# - count what a quantized tensor really costs, metadata included.
#
# **You need** Python and NumPy; lesson 00 to know that everything runs.
#
# **Time**: 45 minutes of reading and guessing, 40 minutes of exercises.
#
# In this lesson you guess before you look. Replace `...` in a cell `my_guess = ...`, then run it and the next one.
# A wrong guess costs nothing and is worth more than none.

# %%
import numpy as np
from fewerbits import data
from fewerbits.network.folding import fold
from fewerbits.teach import plots, widgets
from fewerbits.teach.predict import reveal
from fewerbits.tensor import metrics
from fewerbits.tensor.scheme import bits_per_value, fake_quantize
from fewerbits.tensor.uniform import Uniform

plots.use_style()

# %% [markdown]
# The tensors of this lesson are real: weights and activations of the small convolutional network that ships with the
# course. It recognises clothes in 28×28 images. `conv4` is one of its layers: 64 filters of 64×3×3 weights. (`fold`
# merges its batch normalization into the weights; lesson 09 explains how.)

# %%
network = fold("vgg32", data.load_weights("vgg32"))
photographs = data.load_fashion_mnist("test")
pixels = data.to_float(photographs.images[:8])

weights = network.weights["conv4"]
activations = network.run(pixels)["conv4"]
print("weights", weights.shape, weights.dtype, f"from {weights.min():.2f} to {weights.max():.2f}")
print("activations", activations.shape, f"from {activations.min():.2f} to {activations.max():.2f}")

# %% [markdown]
# ## 1 · A formula, as published
#
# This course grew from a blog post. Here is its function for uniform quantization, word for word. It divides by a
# **scale** s, so that the largest magnitude lands on a large integer, and rounds. The integers q are the **codes**.


# %%
def uniform_quantization(x, num_bits):
    # Calculate the scale factor
    s = np.max(np.abs(x)) / (2**num_bits - 1)
    # Quantize the values
    q = np.round(x / s)
    return q


# %% [markdown]
# Ask it for 8 bits of a tensor that runs from −1 to 1. What is the largest code?

# %%
my_guess = ...

# %%
x = np.linspace(-1, 1, 1001, dtype=np.float32)
codes = uniform_quantization(x, num_bits=8)

reveal(my_guess, codes.max(), digits=0)

# %% [markdown]
# The codes also reach down to the negative of that. How many different codes is that, and how many have room in
# 8 bits?

# %%
distinct = len(np.unique(codes))
print(f"codes from {codes.min():.0f} to {codes.max():.0f}: {distinct} different ones")
print(f"8 bits hold {2**8}; {distinct} codes need {int(np.ceil(np.log2(distinct)))} bits")

assert distinct == 2 * 255 + 1
assert distinct > 2**8

# %% [markdown]
# **One bit too many.** 2⁸ − 1 = 255 is the number of *steps* that 8 bits offer in all. The formula spends it on each
# side of zero. Store these codes in eight bits all the same, and the upper half wraps around to the wrong sign:

# %%
stored = codes.astype(np.int64).astype(np.int8)
largest = np.argmax(x)

print(f"x = {x[largest]:+.1f}  code {codes[largest]:.0f}  stored in int8 as {stored[largest]}")
assert stored[largest] == -1

# %% [markdown]
# There is a second fault, and it is the graver one. The function returns q and forgets s. Which tensor do these codes
# stand for? Multiply x by 128 and look at the codes again.

# %%
codes_of_another_tensor = uniform_quantization(128 * x, num_bits=8)

print("the same codes:", np.array_equal(codes, codes_of_another_tensor))
assert np.array_equal(codes, codes_of_another_tensor)

# %% [markdown]
# **No way back.** Codes without their scale are no tensor. Whatever quantizes must hand over *both*, or the one that
# reads the codes must be told.

# %% [markdown]
# ## 2 · The right range, symmetric
#
# Count first. b bits have 2ᵇ patterns; as signed integers (two's complement) they are −2ᵇ⁻¹ … 2ᵇ⁻¹ − 1, for 8 bits
# −128 … 127. Write **qmin** and **qmax** for the ends.
#
# Two wishes remain: zero shall be code 0, and the largest magnitude shall just fit. The positive side has
# 2ᵇ⁻¹ − 1 codes, so
#
# $$ s = \frac{\max|x|}{2^{b-1}-1}, \qquad
#    q = \mathrm{clip}\!\left(\mathrm{round}\!\left(\frac{x}{s}\right),\, q_\min,\, q_\max\right), \qquad
#    \hat x = s\,q. $$
#
# x̂ ("x hat") is what comes back. This is **symmetric** quantization: x and −x get opposite codes. (A tensor of zeros
# would get s = 0, and 0/0. Any positive scale serves it; `Uniform`, which you meet below, takes 1.)


# %%
def symmetric_scale(x, bits):
    return np.max(np.abs(x)) / (2 ** (bits - 1) - 1)


def quantize(x, scale, qmin, qmax):
    return np.clip(np.rint(x / scale), qmin, qmax).astype(np.int32)


def dequantize(codes, scale):
    return scale * codes.astype(np.float32)


# %% [markdown]
# How many different codes does x, from −1 to 1 in 1001 values, get now?

# %%
my_guess = ...

# %%
scale = symmetric_scale(x, bits=8)
codes = quantize(x, scale, qmin=-128, qmax=127)

reveal(my_guess, len(np.unique(codes)), digits=0)
print(f"s = 1/127 = {scale:.5f}, codes from {codes.min()} to {codes.max()}")
assert codes.min() == -127
assert codes.max() == 127

# %% [markdown]
# 255 of 256: code −128 stays unused, because +128 does not exist. Some engines forbid it (`narrow_range`), others
# just leave it for values below −max|x|. Both are fine. Mixing them is not.
#
# Now the way back, with three bits, so that you can see every step.

# %%
# alt: Staircase of a symmetric 3-bit quantizer. Between −1 and 1 seven flat steps, at codes −3 to 3, follow the
# diagonal; each step is one scale high and one scale wide. Beyond 1.17 the output stays at 1: saturated.
three_bits = Uniform.from_range(-1.0, 1.0, bits=3, narrow_range=True)

plots.staircase(three_bits, -1.5, 1.5, title="Three bits: seven levels, one of them zero")

# %% [markdown]
# `Uniform` is the course's own quantizer. It is the formula above with its parameters kept together: a **scheme**,
# which can `quantize`, `dequantize` and say how many bytes it needs (`nbytes`). It agrees with your three functions:

# %%
scheme = Uniform.fit(x, bits=8)

assert scheme.scale == scale
assert np.array_equal(scheme.quantize(x), codes)
assert np.array_equal(scheme.dequantize(codes), dequantize(codes, scale))
print(
    f"scale {scheme.scale:.5f}, codes {scheme.qmin}..{scheme.qmax}, {scheme.nbytes(x.shape)} bytes for {x.size} values"
)

# %% [markdown]
# 1001 codes of one byte, and four bytes for the scale. float32 would take 4004.
#
# ## 3 · Saturate, never wrap
#
# A scale is chosen on some data and used on other data. Sooner or later a value lies outside the range. At 1.3, just
# beyond the range −1 … 1, what should 8 bits return?

# %%
my_guess = ...

# %%
outside = np.array([1.3], np.float32)
clipped = dequantize(quantize(outside, scale, -128, 127), scale)
wrapped = dequantize(np.rint(outside / scale).astype(np.int32).astype(np.int8), scale)

reveal(my_guess, float(clipped[0]), digits=2)
print(f"clip: {clipped[0]:+.2f}   wrap, without clip: {wrapped[0]:+.2f}")

assert np.isclose(clipped[0], 1.0)
assert wrapped[0] < -0.7

# %% [markdown]
# `clip` gives the nearest value that exists; the code **saturates**. Without it the integer wraps around to the other
# end: a bright pixel turns black. Saturation is an error of 0.3 here, wrapping one of 2.
#
# ## 4 · The zero point
#
# `activations` come out of a ReLU, so none is negative. Quantize them symmetrically in 8 bits: what share of the 256
# codes is used at most, in percent?

# %%
my_guess = ...

# %%
symmetric = Uniform.fit(activations)
used = symmetric.quantize(activations)

reveal(my_guess, 100 * (int(used.max()) + 1) / 256, unit="%", digits=0)
assert used.min() == 0
assert used.max() == 127

# %% [markdown]
# Half of the codes stand for values that never occur. **Affine** quantization moves the range: let code qmin stand
# for the smallest value and qmax for the largest. With an integer **zero point** z, the code of zero:
#
# $$ s = \frac{x_\max - x_\min}{q_\max - q_\min}, \qquad
#    z = \mathrm{round}\!\left(q_\min - \frac{x_\min}{s}\right), $$
#
# $$ q = \mathrm{clip}\!\left(\mathrm{round}\!\left(\frac{x}{s}\right) + z,\, q_\min,\, q_\max\right), \qquad
#    \hat x = s\,(q - z). $$
#
# Derive it yourself: two unknowns, s and z, and two equations, x_min = s (qmin − z) and x_max = s (qmax − z). Subtract
# one from the other for s; put s back for z. For codes 0 … 255 (unsigned, the usual choice here) qmin is 0.


# %%
def affine_parameters(x, qmin, qmax):
    low, high = min(x.min(), 0), max(x.max(), 0)
    scale = (high - low) / (qmax - qmin)
    zero_point = int(np.clip(np.rint(qmin - low / scale), qmin, qmax))
    return scale, zero_point


scale, zero_point = affine_parameters(activations, 0, 255)
affine = Uniform.fit(activations, symmetric=False, signed=False)

print(f"s = {scale:.5f}, z = {zero_point}; symmetric had s = {symmetric.scale:.5f}")
assert affine.scale == scale
assert affine.zero_point == zero_point
assert np.isclose(symmetric.scale / affine.scale, 255 / 127)

# %% [markdown]
# The step is half as wide for the same bytes: one bit of precision for nothing. Here are both directions, complete:


# %%
def quantize(x, scale, zero_point, qmin, qmax):
    return np.clip(np.rint(x / scale) + zero_point, qmin, qmax).astype(np.int32)


def dequantize(codes, scale, zero_point):
    return scale * (codes.astype(np.float32) - zero_point)


codes = quantize(activations, scale, zero_point, 0, 255)
assert np.array_equal(codes, affine.quantize(activations))
assert np.array_equal(dequantize(codes, scale, zero_point), affine.dequantize(codes))

# %% [markdown]
# Why does z have to be an **integer**, and why does the range have to **contain zero** (the `min(…, 0)` above)?
# Because then zero comes back as exactly zero. A network is full of zeros: convolutions pad with them, ReLU makes them.

# %%
print(f"{100 * np.mean(activations == 0):.0f} % of these activations are exactly zero")

tilted = Uniform.from_range(-0.3, 1.0, symmetric=False, signed=False)
step, exact_z = 1.3 / 255, 0.3 / (1.3 / 255)
without_rounding = step * (round(0 / step + exact_z) - exact_z)

print(f"z = {tilted.zero_point}: zero comes back as {fake_quantize(tilted, 0.0):.5f}")
print(f"z = {exact_z:.2f}: zero comes back as {without_rounding:.5f}")
assert fake_quantize(tilted, 0.0) == 0
assert without_rounding != 0

# %% [markdown]
# `fake_quantize(scheme, x)` goes to codes and straight back: x̂ as float32. Networks are simulated with it before they
# are converted.

# %% [markdown]
# ## 5 · How wrong can it be?
#
# Inside the range every value goes to the nearest level, and levels are s apart. So no value moves by more than half
# a step: **|x̂ − x| ≤ s/2**. Here is the error of the three-bit quantizer from section 2.

# %%
# alt: Error against input of the 3-bit quantizer: a sawtooth that runs between plus and minus s/2 = 0.167 from −1.17
# to 1.17, and falls or rises without limit outside, where codes saturate.
plots.error_against_input(
    three_bits, -1.5, 1.5, bound=float(three_bits.scale) / 2, title="Half a step inside the range, unbounded outside"
)

# %% [markdown]
# The sawtooth spends the same time at every height. If values fall anywhere in a step, the error is uniformly
# distributed over −s/2 … s/2, and its root mean square is s/√12 ≈ 0.29 s. Check both claims on a million values,
# computed in float64.

# %%
rng = np.random.default_rng(0)
many = rng.uniform(-1, 1, 1_000_000)
scale = symmetric_scale(many, bits=8)
error = scale * np.rint(many / scale) - many

print(f"largest error  {np.abs(error).max() / scale:.3f} s")
print(f"rms error      {np.sqrt(np.mean(error**2)) / scale:.3f} s, predicted {1 / np.sqrt(12):.3f} s")
assert np.abs(error).max() <= scale / 2
assert np.isclose(np.sqrt(np.mean(error**2)), scale / np.sqrt(12), rtol=0.01)

# %% [markdown]
# Now the same in float32, as a network does it, on the most unkind values: the middles between two levels. There are
# 254 of them. For how many is the error larger than s/2?

# %%
my_guess = ...

# %%
in_float32 = Uniform.fit(many.astype(np.float32))
step = float(in_float32.scale)
middles = ((np.arange(-127, 127) + 0.5) * step).astype(np.float32)
came_back = fake_quantize(in_float32, middles)
error = np.abs(came_back.astype(np.float64) - middles)

reveal(my_guess, int(np.sum(error > step / 2)), digits=0)
print(f"by at most {(error.max() - step / 2) / step:.1e} s")
assert 0 < np.sum(error > step / 2) < len(middles)

# %% [markdown]
# The quotient x/s and the product s·q are rounded too, to 24 significant bits. A value a hair's breadth below the
# middle may round up, and come back a hair's breadth too far away. The bound that holds in float32 adds those two
# roundings:
#
# $$ |\hat x - x| \;\le\; \frac{s}{2} + \left(|x| + |\hat x|\right) 2^{-24}. $$

# %%
rounding_of_float32 = (np.abs(middles) + np.abs(came_back)) * 2.0**-24

assert np.all(error <= step / 2 + rounding_of_float32)
print(f"holds for all {len(middles)} middles; the extra term is at most {rounding_of_float32.max() / step:.1e} s")

# %% [markdown]
# A test that demands |x̂ − x| ≤ s/2 exactly fails now and then, for no fault of the quantizer. Give it the second
# term.
#
# ## 6 · One bit, 6.02 decibels
#
# One number for the damage done to a whole tensor: the **signal-to-quantization-noise ratio**, the power of the signal
# over the power of the error, in decibels (dB). 10 dB more mean a tenth of the error power. (The course's own is
# `metrics.sqnr`.)


# %%
def sqnr_db(x, restored):
    error = restored.astype(np.float64) - x
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)) / np.mean(error**2))


assert np.isclose(sqnr_db(x, fake_quantize(three_bits, x)), metrics.sqnr(x, fake_quantize(three_bits, x)))

# %% [markdown]
# One more bit halves the step. How many dB does that gain?

# %%
my_guess = ...

# %%
gain = 20 * np.log10(2)

reveal(my_guess, gain, unit="dB", digits=2)

# %% [markdown]
# Half the step is half the error: a quarter of its power, 10·log₁₀ 4 = 6.02 dB. Measure it on four tensors: uniform and
# Gaussian random numbers, the weights and the activations of `conv4`.

# %%
tensors = {
    "uniform numbers": rng.uniform(-1, 1, 100_000).astype(np.float32),
    "Gaussian numbers": rng.standard_normal(100_000).astype(np.float32),
    "weights of conv4": weights,
    "activations of conv4": activations,
}


# %% [markdown]
# A tensor with negative values gets a symmetric scheme, one without an affine scheme.


# %%
def measured_sqnr(x, bits):
    signed = bool(x.min() < 0)
    return sqnr_db(x, fake_quantize(Uniform.fit(x, bits, symmetric=signed, signed=signed), x))


bits = range(2, 13)
curves = {name: [measured_sqnr(x, b) for b in bits] for name, x in tensors.items()}
for name, curve in curves.items():
    per_bit = (curve[-1] - curve[6]) / 4
    print(f"{name:21} {curve[6]:5.1f} dB at 8 bits, {per_bit:.1f} dB per bit from 8 to 12")
    assert abs(per_bit - 6.02) < 0.1

# %%
# alt: SQNR against bits from 2 to 12 for four tensors. From about 4 bits on all four are straight lines parallel to
# 6.02 dB per bit. Uniform numbers lie on that line, the other three 6 to 12 dB below it.
plots.sqnr_against_bits(bits, curves, title="Every bit adds 6 dB; where the line starts depends on the tensor")

# %% [markdown]
# (Below five bits the lines bend. Symmetric codes lack one level of 2ᵇ, which hurts when there are few.)
#
# Same slope, different heights. The height follows from the **peak**: s is set by the largest value, while the signal
# is as strong as its root mean square (rms). Put s = peak/2ᵇ⁻¹ into an error power of s²/12:
#
# $$ \mathrm{SQNR} \approx 6.02\,b + 4.77 - 20 \log_{10}\frac{\mathrm{peak}}{\mathrm{rms}} \quad\text{dB}. $$
#
# Uniform numbers have peak/rms = √3, which is 4.77 dB: exactly 6.02 b. A Gaussian of 100,000 numbers peaks at more
# than four times its rms. Predict the weights before you run the cell: their peak is about six times their rms, which
# costs 15.7 dB.

# %%
my_guess = ...

# %%
peak_to_rms = 20 * np.log10(np.abs(weights).max() / np.sqrt(np.mean(weights**2)))
predicted = 6.02 * 8 + 4.77 - peak_to_rms

reveal(my_guess, curves["weights of conv4"][6], unit="dB")
print(f"the formula says {predicted:.1f} dB")
assert abs(predicted - curves["weights of conv4"][6]) < 0.3

# %% [markdown]
# The activations lie higher than the formula allows them, for two reasons. Their range is one-sided, so the step is
# half as wide: +6.0 dB. And most of them are zero, which costs no error at all: only the others carry noise.

# %%
peak_to_rms = 20 * np.log10(activations.max() / np.sqrt(np.mean(activations**2)))
formula = 6.02 * 8 + 4.77 - peak_to_rms
one_sided = 20 * np.log10(2)
exact_zeros = -10 * np.log10(np.mean(activations != 0))
measured = curves["activations of conv4"][6]

print(f"{formula:.1f} + {one_sided:.1f} + {exact_zeros:.1f} = {formula + one_sided + exact_zeros:.1f} dB")
print(f"measured {measured:.1f} dB")
assert abs(formula + one_sided + exact_zeros - measured) < 0.5

# %% [markdown]
# You can now say how good a quantizer will be from three numbers: bits, peak, rms.
#
# ## 7 · Play: bits against range
#
# The peak hurts. What if the range were smaller than the largest value? A few values saturate, all others get finer
# steps. Move the sliders: **which range is best for 3 bits, and which for 8?**

# %%
peak = float(np.abs(weights).max())


def stairs(bits, percent_of_peak):
    limit = peak * percent_of_peak / 100
    scheme = Uniform.from_range(-limit, limit, bits)
    decibels = sqnr_db(weights, fake_quantize(scheme, weights))
    title = f"{bits} bits, range ±{limit:.2f} ({percent_of_peak} % of the peak): {decibels:.1f} dB"
    return plots.staircase(scheme, -peak, peak, values=weights, title=title)


# %% tags=["nbval-ignore-output"]
widgets.play(stairs, bits=(2, 8, 3), percent_of_peak=(10, 100, 100))

# %% [markdown]
# Without a running kernel the sliders do not move. Two positions of them, as figures:

# %%
# alt: Staircase with 3 bits over the whole range of the weights. Nearly all weights lie within the two steps around
# zero; SQNR is about 5 dB.
stairs(bits=3, percent_of_peak=100)

# %%
# alt: Staircase with 3 bits over 30 percent of the peak. All levels share the region where the weights are, few
# weights saturate; SQNR is about 13 dB.
stairs(bits=3, percent_of_peak=30)

# %% [markdown]
# What did you find? Here is every range from 10 to 100 %, tried:


# %%
def sqnr_of_range(bits, percent_of_peak):
    limit = peak * percent_of_peak / 100
    return sqnr_db(weights, fake_quantize(Uniform.from_range(-limit, limit, bits), weights))


for b in (3, 8):
    by_percent = {percent: sqnr_of_range(b, percent) for percent in range(10, 101, 5)}
    best = max(by_percent, key=by_percent.get)
    gain = by_percent[best] - by_percent[100]
    print(f"{b} bits: best at {best} % of the peak, {gain:.1f} dB better than all of it")
    assert (gain > 6.02) == (b == 3)

# %% [markdown]
# At 3 bits, giving up the outer 70 % of the range wins more than a whole bit, for nothing. At 8 bits steps are fine
# anyway, and clipping wins next to nothing. Lesson 03 is about finding the range.
#
# ## 8 · Why small values die
#
# The blog post notes that uniform quantization loses precision "especially for values that are close to zero". Is the
# error larger there? Sort the weights by magnitude, cut them into ten equal parts, and measure each part at 8 bits.

# %%
ordered = np.sort(np.abs(weights.ravel()))
tenths = np.array_split(ordered, 10)
eight_bits = Uniform.fit(weights)

print("tenth   up to |x|   rms error   relative error (median)")
for number, part in enumerate(tenths, 1):
    error = np.abs(fake_quantize(eight_bits, part) - part)
    rms = np.sqrt(np.mean(error**2)) / eight_bits.scale
    print(f"{number:5} {part.max():11.3f} {rms:9.2f} s {100 * np.median(error / part):13.1f} %")
    assert 0.26 < rms < 0.32

# %% [markdown]
# The *error* is the same everywhere, s/√12. It is the *relative* error that grows towards zero, because the value
# shrinks and the step does not. And below half a step nothing is left: round(x/s) = 0.
#
# What share of these 36,864 weights becomes zero at 4 bits, in percent?

# %%
my_guess = ...

# %%
four_bits = Uniform.fit(weights, bits=4)
share_of_zeros = 100 * np.mean(four_bits.quantize(weights) == 0)

reveal(my_guess, share_of_zeros, unit="%")
assert np.array_equal(four_bits.quantize(weights) == 0, np.abs(weights / four_bits.scale) <= 0.5)

# %%
# alt: Relative error of each weight at 4 bits against its magnitude, on a logarithmic axis. It is 100 percent for all
# magnitudes below half a step, then falls in ever lower arches towards 2 percent at the peak.
plots.relative_error(four_bits, weights, title="At 4 bits, a third of the weights is lost altogether")

# %% [markdown]
# Whether that matters depends on what the values do. A small weight often does little. A quantizer whose steps grow
# with the value treats all magnitudes alike: that is lesson 04.
#
# ## 9 · The same tensor, four answers
#
# Quantize five numbers, with s = 1 and z = 1, by NumPy's formula, by ONNX, by PyTorch, and by the rounding that C and
# TensorFlow Lite use. All five lie exactly between two levels: they are **ties**. (PyTorch's function returns x̂, so
# its codes are read off from that.)

# %%
import onnx
import torch
from onnx.reference import ReferenceEvaluator


def by_numpy(x, scale, zero_point):
    return np.clip(np.rint(x / np.float32(scale)) + zero_point, 0, 255).astype(int)


def by_onnx(x, scale, zero_point):
    node = onnx.helper.make_node("QuantizeLinear", ["x", "scale", "zero_point"], ["q"])
    inputs = {"x": x, "scale": np.float32(scale), "zero_point": np.uint8(zero_point)}
    return ReferenceEvaluator(node).run(None, inputs)[0]


# %%
def by_torch(x, scale, zero_point):
    restored = torch.fake_quantize_per_tensor_affine(torch.from_numpy(x), scale, zero_point, 0, 255)
    return np.rint(restored.numpy() / np.float32(scale) + zero_point).astype(int)


def half_away(x, scale, zero_point):
    return Uniform(scale, zero_point, signed=False, rounding="half_away").quantize(x)


# %% [markdown]
# Do all four give the same codes?

# %%
my_guess = ...

# %%
ties = np.array([-0.5, 0.5, 1.5, 2.5, 3.5], np.float32)
answers = {rule.__name__: rule(ties, 1.0, 1) for rule in (by_numpy, by_onnx, by_torch, half_away)}

reveal(my_guess, "no")
print(f"{'x':10}", *(f"{value:5.1f}" for value in ties))
for name, q in answers.items():
    print(f"{name:10}", *(f"{code:5}" for code in q))

assert np.array_equal(answers["by_numpy"], answers["by_onnx"])
assert np.array_equal(answers["by_numpy"], answers["by_torch"])
assert not np.array_equal(answers["by_numpy"], answers["half_away"])

# %% [markdown]
# Three agree: **half to even**, the rule of IEEE 754. A tie goes to the even integer, up as often as down. C's `round`
# takes **half away from zero**. Neither is wrong. Half to even has one advantage, which you can measure on the pixels
# of 200 photographs, 0 … 255, with s = 2: every odd pixel is a tie.

# %%
pixel_values = photographs.images[:200].astype(np.float64)
bias = {}
for rounding in ("half_even", "half_away"):
    every_second = Uniform(2.0, 0, bits=8, signed=False, rounding=rounding)
    bias[rounding] = np.mean(fake_quantize(every_second, pixel_values) - pixel_values)
    print(f"{rounding}: photographs become brighter by {bias[rounding]:.2f} of 255 on average")

assert abs(bias["half_even"]) < 0.03
assert bias["half_away"] > 0.15

# %% [markdown]
# Now a scale that is no power of two, s = 0.1, and one number close to a tie: 12.15. Do all that round half to even
# agree again?

# %%
my_guess = ...

# %%
number = np.array([12.15], np.float32)
answers = {rule.__name__: int(rule(number, 0.1, 0)[0]) for rule in (by_numpy, by_onnx, by_torch)}

reveal(my_guess, "no")
print(answers)
assert answers == {"by_numpy": 121, "by_onnx": 121, "by_torch": 122}

# %% [markdown]
# NumPy and ONNX **divide**: x/s. PyTorch multiplies by the **reciprocal**: x·(1/s), where 1/s is rounded first. The two
# differ in the last bit, and here that bit decides.

# %%
x, s = np.float32(12.15), np.float32(0.1)

print(f"x / s       = {x / s:.6f}")
print(f"x · (1 / s) = {x * (np.float32(1) / s):.6f}")
assert x / s < 121.5 <= x * (np.float32(1) / s)

# %% [markdown]
# A third choice is *when* z is added. After rounding (ONNX, torch `fake_quantize`), or before, in the float (torch's
# older `quantize_per_tensor` on x86). With an odd z, that turns even ties into odd ones:

# %%
for when in ("after", "before"):
    q = Uniform(1.0, 1, signed=False, zero_point_added=when).quantize(ties)
    print(f"z added {when:6} rounding: {q}")

# %% [markdown]
# How often does any of this matter? Rarely, and by one step at most. But "rarely, by one" is just what makes a test
# fail once a month. The remedy is not a better rule. It is to **name the rule** and use the same one on both sides:
# `Uniform` takes `rounding`, `reciprocal` and `zero_point_added`, and its defaults are those of ONNX.

# %%
many = rng.standard_normal(1_000_000).astype(np.float32)
ours = Uniform.fit(many, symmetric=False, signed=False)
others = Uniform.fit(many, symmetric=False, signed=False, reciprocal=True, zero_point_added="fused")
difference = others.quantize(many).astype(int) - ours.quantize(many)

print(f"{np.count_nonzero(difference)} of a million codes differ, by {np.abs(difference).max()}")
assert np.count_nonzero(difference) < 100
assert np.abs(difference).max() <= 1

# %% [markdown]
# ## 10 · One scale, or many
#
# A scale is set by the largest value it covers. Cover fewer values with each, and most scales shrink. A scale may be
# shared by the whole tensor, by a **channel** (for weights: one output filter), or by a **group** of consecutive values
# in a channel. Here are 4 channels of 4 weights. The second is ten times larger than the others, and holds an outlier.

# %%
# alt: Three maps of the absolute error of the same 4×4 matrix at 4 bits. With one scale all rows but the second have
# errors as large as their values. With a scale per channel only the second row keeps large errors. With groups of two
# only the pair that contains the outlier does.
matrix = np.array(
    [
        [0.11, -0.32, 0.24, 0.35],
        [4.00, -2.50, 0.90, 1.20],
        [-0.21, 0.17, 0.38, -0.05],
        [0.06, 0.29, -0.40, 0.13],
    ],
    np.float32,
)
schemes = {
    "per tensor: 1 scale": Uniform.fit(matrix, 4),
    "per channel: 4 scales": Uniform.fit(matrix, 4, axis=0),
    "per group of 2: 8 scales": Uniform.fit(matrix, 4, axis=1, group_size=2),
}
boxes = dict(zip(schemes, [(4, 4), (1, 4), (1, 2)]))
plots.shared_scales(matrix, schemes, boxes, title="The fewer values share a scale, the smaller their errors (4 bits)")

# %% [markdown]
# On `conv4`: how many dB does a scale per channel (64 scales in place of one) gain at 4 bits?

# %%
my_guess = ...

# %%
per_tensor = Uniform.fit(weights, bits=4)
per_channel = Uniform.fit(weights, bits=4, axis=0)
gain = sqnr_db(weights, fake_quantize(per_channel, weights)) - sqnr_db(weights, fake_quantize(per_tensor, weights))

reveal(my_guess, gain, unit="dB")
print(
    f"scales from {per_channel.scale.min():.4f} to {per_channel.scale.max():.4f}; one for all: {per_tensor.scale:.4f}"
)
assert 3 < gain < 6
assert per_channel.scale.max() == per_tensor.scale

# %% [markdown]
# For weights, per channel is nearly free, and engines expect it. For activations it is not: the scale of an input
# channel differs from term to term *inside* a sum of products and cannot be pulled out of it. Lesson 06 shows that sum.
#
# ## 11 · Four bits, two bits, and what they really cost
#
# Scales take room. Count them: `bits_per_value` divides all bytes of a tensor, scales included, by its number of
# values. Predict the bits per value of 4-bit codes with one float32 scale per group of 32.

# %%
my_guess = ...

# %%
as_matrix = weights.reshape(64, -1)
groups_of_32 = Uniform.fit(as_matrix, bits=4, axis=1, group_size=32)

reveal(my_guess, bits_per_value(groups_of_32, as_matrix.shape), unit="bits", digits=2)
assert bits_per_value(groups_of_32, as_matrix.shape) == 4 + 32 / 32

# %%
sharing = {"per tensor": {}, "per channel": {"axis": 0}, "per group of 32": {"axis": 1, "group_size": 32}}

print(f"{'':20}{'bits per value':>15}{'SQNR (dB)':>12}{'zeros (%)':>12}")
for b in (8, 4, 2):
    for name, how in sharing.items():
        scheme = Uniform.fit(as_matrix, b, **how)
        cost = bits_per_value(scheme, as_matrix.shape)
        quality = sqnr_db(as_matrix, fake_quantize(scheme, as_matrix))
        zeros = 100 * np.mean(scheme.quantize(as_matrix) == 0)
        print(f"{b} bits {name:15}{cost:12.2f}{quality:12.1f}{zeros:12.1f}")

# %% [markdown]
# Two bits, symmetric, are the codes −1, 0, 1 (and −2, which nothing reaches). With one scale for the tensor, all but
# one in 200 weights become zero. Five bits per tensor cost as much as 4-bit groups of 32, and are they better?

# %%
five_bits = sqnr_db(as_matrix, fake_quantize(Uniform.fit(as_matrix, bits=5), as_matrix))
four_bits_in_groups = sqnr_db(as_matrix, fake_quantize(groups_of_32, as_matrix))
groups_win = four_bits_in_groups - five_bits

print(f"5 bits each: groups of 32 at 4 bits are {groups_win:.1f} dB better than 5 bits per tensor")
assert groups_win > 0

# %% [markdown]
# Smaller scales, in 16 or 8 bits, make groups cheaper still: lesson 05 counts the formats in use.
#
# And the network? Replace the weights of all its layers by what comes back from their codes, and count right answers
# on 500 photographs.

# %%
from fewerbits.network.model import build_model

trained = data.load_weights("vgg32")
test_pixels = torch.from_numpy(data.to_float(photographs.images[:500]))


def percent_right(weights_by_name):
    with torch.inference_mode():
        logits = build_model("vgg32", weights_by_name)(test_pixels)
    return 100 * np.mean(logits.argmax(dim=1).numpy() == photographs.labels[:500])


def with_bits(bits, **how):
    return {
        name: fake_quantize(Uniform.fit(values, bits, **how), values) if values.ndim > 1 else values
        for name, values in trained.items()
    }


# %% [markdown]
# In float32 about 94 % are right. And with 4 bits per channel?

# %%
my_guess = ...

# %% tags=["nbval-ignore-output"]
right = {f"{bits} bits per channel": percent_right(with_bits(bits, axis=0)) for bits in (8, 4, 2)}
right["4 bits per tensor"] = percent_right(with_bits(4))
right["float32"] = percent_right(trained)

reveal(my_guess, right["4 bits per channel"], unit="%")
for name, percent in right.items():
    print(f"{name:19}{percent:6.1f} %")

# %%
assert abs(right["8 bits per channel"] - right["float32"]) < 1
assert right["float32"] - 5 < right["4 bits per channel"]
assert right["2 bits per channel"] < 50

# %% [markdown]
# Eight bits cost nothing here, four per channel about one in a hundred answers, two nearly all of them. What to do
# between eight and two is the subject of most of this course.
#
# ## Where this goes wrong
#
# Three mistakes, symptom first. Lesson 08 collects many more.
#
# **All values come back as one.** Four sensors read 10 to 11 degrees:

# %%
degrees = np.array([10, 10.25, 10.5, 11], np.float32)
scale = (degrees.max() - degrees.min()) / 255
zero_point = np.clip(np.rint(0 - degrees.min() / scale), 0, 255)

q = np.clip(np.rint(degrees / scale) + zero_point, 0, 255)
print("codes", q, "come back as", scale * (q - zero_point))
assert len(np.unique(q)) == 1

# %% [markdown]
# *Cause*: the range 10 … 11 does not contain zero, so that z = −2550 would be needed; clipped to 0 … 255, it no longer
# belongs to this scale. *Repair*: widen the range to contain zero before you compute s, as `affine_parameters` does.
# The step becomes 11/255. (If that is too coarse, subtract the mean first, and remember it.)
#
# **Negative values come back large and positive.** The codes are right, and so are s and z:

# %%
tilted_codes = tilted.quantize(np.array([-0.3, 0.0, 1.0], np.float32))
wrong = float(tilted.scale) * (tilted_codes - np.uint8(tilted.zero_point))
print(wrong.round(2), "instead of", tilted.dequantize(tilted_codes).round(2))

assert wrong[0] > 0.9
assert np.allclose(tilted.dequantize(tilted_codes), [-0.3, 0, 1], atol=0.01)

# %% [markdown]
# *Cause*: q − z was computed in uint8, where 0 − 59 is 197. *Repair*: widen first, as `dequantize` does with
# `codes.astype(np.float32)`. Most arithmetic on codes overflows their own type.
#
# **Everything comes back a little too close to zero.** No value is far off, yet the mean magnitude shrinks:

# %%
truncated = (weights / eight_bits.scale).astype(np.int8) * eight_bits.scale
rounded = fake_quantize(eight_bits, weights)
for name, restored in {"rint": rounded, "astype": truncated}.items():
    shrinks = np.mean(np.abs(weights) - np.abs(restored), dtype=np.float64) / eight_bits.scale
    print(f"{name:7} magnitude shrinks by {shrinks:.2f} s on average, SQNR {sqnr_db(weights, restored):.1f} dB")

assert sqnr_db(weights, rounded) - sqnr_db(weights, truncated) > 5

# %% [markdown]
# *Cause*: `astype` drops the fraction; it does not round. Half a step is lost on average, and with it 6 dB, one whole
# bit. *Repair*: `np.rint` first.
#
# The course keeps a catalogue of such mistakes, each with its symptom and its source. The checks of the exercises use
# it to tell you which one you made.

# %%
from fewerbits.teach import mistakes

print(mistakes.find("range without zero"))

# %% [markdown]
# ## Key points
#
# - q = clip(round(x/s) + z, qmin, qmax) and x̂ = s(q − z). Codes without s and z are no tensor.
# - b bits have 2ᵇ codes. Symmetric: s = max|x|/(2ᵇ⁻¹ − 1), z = 0. Affine: s = (max − min)/(2ᵇ − 1), z the integer code
#   of zero; the range must contain zero.
# - Inside the range the error is at most s/2, plus (|x| + |x̂|)·2⁻²⁴ in float32; its rms is s/√12. Outside it,
#   saturate, never wrap.
# - SQNR ≈ 6.02 b + 4.77 − 20 log₁₀(peak/rms) dB. A bit is worth 6 dB; an outlier takes it away again.
# - The error is the same for large and small values, so small ones die: below s/2 all become zero.
# - Rounding, dividing and adding z have more than one convention. Name yours.
# - Fewer values per scale: less error, more metadata. Count it.
#
# ## Exercises
#
# [Exercises 02](../exercises/02_uniform.ipynb), 40 minutes: build your own quantizer step by step, and repair a broken
# one. `make lab` puts your own copy into `work/`.
#
# ## Sources
#
# - B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
#   CVPR 2018: scale and zero point, equation 1.
# - ONNX operator specification, QuantizeLinear and DequantizeLinear (opset 21): clip(round(x/s) + z), half to even.
# - W. R. Bennett, "Spectra of Quantized Signals", Bell System Technical Journal 27, 1948: the error power s²/12.
# - R. Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference: A whitepaper", 2018,
#   arXiv:1806.08342: per tensor against per channel.
# - M. Nagel et al., "A White Paper on Neural Network Quantization", 2021, arXiv:2106.08295.
# - H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747: the photographs.
# - "Introduction to AI Model Quantization", the blog post that section 1 quotes.
