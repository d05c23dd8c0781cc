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
# **Time**: 60 minutes of reading and guessing, 40 minutes of exercises.
#
# In this lesson you guess before you look. Put a number in place of the dots in `my_guess = ...`, then run this cell
# and the next one. (Percent are numbers like 50; a yes or no goes in quotes: `my_guess = "no"`.) A wrong guess costs
# nothing and is worth more than none. `my_guess = None` shows the answer without a guess.

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
line = np.linspace(-1, 1, 1001, dtype=np.float32)
published_codes = uniform_quantization(line, num_bits=8)

reveal(my_guess, published_codes.max(), digits=0)

# %% [markdown]
# The codes also reach down to the negative of that. Count the different ones, and compare with what 8 bits hold:

# %%
distinct = len(np.unique(published_codes))
print(f"codes from {published_codes.min():.0f} to {published_codes.max():.0f}: {distinct} different ones")
print(f"8 bits hold {2**8}; {distinct} codes need {int(np.ceil(np.log2(distinct)))} bits")

assert distinct == 2 * 255 + 1
assert distinct > 2**8

# %% [markdown]
# **One bit too many.** 8 bits have 256 codes in all. The formula spends 255 on each side of zero. Store these codes in
# eight bits all the same, and the upper half wraps around to the wrong sign:

# %%
stored = published_codes.astype(np.int64).astype(np.int8)
largest = np.argmax(line)

print(f"x = {line[largest]:+.1f}  code {published_codes[largest]:.0f}  stored in int8 as {stored[largest]}")
assert stored[largest] == -1

# %% [markdown]
# There is a second fault, and it is the graver one. The function returns q and forgets s. Which tensor do these codes
# stand for? Multiply the tensor by 128 and look at the codes again.

# %%
codes_of_another_tensor = uniform_quantization(128 * line, num_bits=8)

print("the same codes:", np.array_equal(published_codes, codes_of_another_tensor))
assert np.array_equal(published_codes, codes_of_another_tensor)

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
# x̂ ("x hat") is what comes back, one of the **levels** s·q. Neighbouring levels are s apart, so s is also called the
# **step**. This is **symmetric** quantization: x and −x get opposite codes. (A tensor of zeros would get s = 0, and
# 0/0. Any positive scale serves it; `Uniform`, which you meet below, takes 1.)


# %%
def symmetric_scale(x, bits):
    return np.max(np.abs(x)) / (2 ** (bits - 1) - 1)


def quantize_symmetric(x, scale, qmin, qmax):
    return np.clip(np.rint(x / scale), qmin, qmax).astype(np.int32)


def dequantize_symmetric(codes, scale):
    return scale * codes.astype(np.float32)


# %% [markdown]
# How many different codes do the 1001 values of `line`, from −1 to 1, get now?

# %%
my_guess = ...

# %%
line_scale = symmetric_scale(line, bits=8)
line_codes = quantize_symmetric(line, line_scale, qmin=-128, qmax=127)

reveal(my_guess, len(np.unique(line_codes)), digits=0)

# %%
print(f"s = 1/127 = {line_scale:.5f}, codes from {line_codes.min()} to {line_codes.max()}")

assert line_codes.min() == -127
assert line_codes.max() == 127
assert 2 * 127**2 < 2**15 <= 2 * 128**2

# %% [markdown]
# Code −128 stays unused, because +128 does not exist. Some programs that compute with codes (**engines** from here on)
# forbid it: a **narrow range**. Then two products of codes always fit into 16 bits, and 128·128 + 128·128 just does
# not. Others leave it for later values below −max|x|. Both are fine; but an engine that counts on a narrow range may
# compute nonsense when it gets −128.
#
# Now the way back, with three bits and a narrow range, so that you can see every step.

# %%
# alt: Staircase of a symmetric 3-bit quantizer. Between −1 and 1 seven flat steps, at codes −3 to 3, follow the
# diagonal; each step is one scale high and one scale wide. Beyond 1.17 the output stays at 1: saturated.
three_bits = Uniform.from_range(-1.0, 1.0, bits=3, narrow_range=True)

plots.staircase(three_bits, -1.5, 1.5, title="Three bits: seven levels, one of them zero")

# %% [markdown]
# `Uniform` is the course's own quantizer. It is the formula above with its parameters kept together: a **scheme**,
# which can `quantize`, `dequantize` and say how many bytes it needs (`nbytes`). It agrees with your three functions:

# %%
line_scheme = Uniform.fit(line, bits=8)

assert line_scheme.scale == line_scale
assert np.array_equal(line_scheme.quantize(line), line_codes)
assert np.array_equal(line_scheme.dequantize(line_codes), dequantize_symmetric(line_codes, line_scale))
print(f"scale {line_scheme.scale:.5f}, codes {line_scheme.qmin}..{line_scheme.qmax}")
print(f"{line_scheme.nbytes(line.shape)} bytes for {line.size} values")

# %% [markdown]
# 1001 codes of one byte, and four bytes for the scale. float32 would take 4004.
#
# ## 3 · Saturate, never wrap
#
# A scale is chosen on some data and used on other data. Sooner or later a value lies outside the **range**, which ends
# at the outermost levels. (Half a step further it still is no more than s/2 from a level. That is why the figure shades
# saturation from 1.17 on, not from 1.) At 1.3, what should 8 bits with the range −1 … 1 return?

# %%
my_guess = ...

# %%
outside = np.array([1.3], np.float32)
clipped = dequantize_symmetric(quantize_symmetric(outside, line_scale, -128, 127), line_scale)

reveal(my_guess, float(clipped[0]), digits=2)

# %%
wrapped = dequantize_symmetric(np.rint(outside / line_scale).astype(np.int32).astype(np.int8), line_scale)

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

# %%
print(f"codes {used.min()} to {used.max()} of {symmetric.qmin} to {symmetric.qmax}")
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
# one from the other for s; put s back for z. For codes 0 … 255 (unsigned, the usual choice here) qmin is 0. (A tensor
# of zeros needs the same care as in section 2: s would be 0.)


# %%
def affine_parameters(x, qmin, qmax):
    low, high = min(x.min(), 0), max(x.max(), 0)
    scale = (high - low) / (qmax - qmin)
    zero_point = int(np.clip(np.rint(qmin - low / scale), qmin, qmax))
    return scale, zero_point


# %% [markdown]
# Try it on values from −0.3 to 1.0, with codes 0 … 255. Which code does zero get?

# %%
my_guess = ...

# %%
below_and_above = np.array([-0.3, 0, 1], np.float32)
tilted_scale, tilted_zero_point = affine_parameters(below_and_above, 0, 255)

reveal(my_guess, tilted_zero_point, digits=0)

# %%
tilted = Uniform.from_range(-0.3, 1.0, symmetric=False, signed=False)

print(f"s = 1.3/255 = {tilted_scale:.5f}, and 0.3/s = {0.3 / tilted_scale:.2f} rounds to z = {tilted_zero_point}")
print(below_and_above, "get codes", tilted.quantize(below_and_above))
assert np.isclose(tilted.scale, tilted_scale)
assert tilted.zero_point == tilted_zero_point == tilted.quantize(0.0)

# %% [markdown]
# About 0.3/1.3 of the codes lie below zero's. Now the activations. Their smallest value is 0, so z is 0 as well:

# %%
affine_scale, affine_zero_point = affine_parameters(activations, 0, 255)
affine = Uniform.fit(activations, symmetric=False, signed=False)

print(f"s = {affine_scale:.5f}, z = {affine_zero_point}; symmetric had s = {symmetric.scale:.5f}")
assert affine.scale == affine_scale
assert affine.zero_point == affine_zero_point == activations.min() == 0
assert np.isclose(symmetric.scale / affine.scale, 255 / 127)

# %% [markdown]
# The step is half as wide for the same bytes: one bit of precision for nothing. Here are both directions, complete:


# %%
def quantize(x, scale, zero_point, qmin, qmax):
    return np.clip(np.rint(x / scale) + zero_point, qmin, qmax).astype(np.int32)


def dequantize(codes, scale, zero_point):
    return scale * (codes.astype(np.float32) - zero_point)


affine_codes = quantize(activations, affine_scale, affine_zero_point, 0, 255)
restored = dequantize(affine_codes, affine_scale, affine_zero_point)
assert np.array_equal(affine_codes, affine.quantize(activations))
assert np.array_equal(restored, affine.dequantize(affine_codes))

# %% [markdown]
# z has to be an **integer**, and the range has to **contain zero** (the `min(…, 0)` above), for one reason: then zero
# comes back as exactly zero. A network is full of zeros: convolutions pad with them, ReLU makes them.

# %%
print(f"{100 * np.mean(activations == 0):.0f} % of these activations are exactly zero")

exact_z = 0.3 / tilted_scale
without_rounding = tilted_scale * (round(0 / tilted_scale + exact_z) - exact_z)

print(f"z = {tilted.zero_point}: zero comes back as {fake_quantize(tilted, 0.0):.5f}")
print(f"z = {exact_z:.2f}: zero comes back as {without_rounding:.5f}")
assert fake_quantize(tilted, 0.0) == 0
assert without_rounding != 0

# %% [markdown]
# Rounding z moves the range, both ends by the same part of a step, at most s/2. So an end of the data may lie outside
# and be clipped, as 1.0 is here; that costs no more than s/2 either.

# %%
ends = tilted.dequantize(np.array([tilted.qmin, tilted.qmax])).astype(np.float64)
shifts = (ends - [-0.3, 1.0]) / tilted.scale

print(f"range {ends[0]:.4f} … {ends[1]:.4f}: both ends moved by {shifts[0]:.2f} s")
assert np.allclose(shifts, exact_z - tilted.zero_point, atol=1e-3)
assert np.all(np.abs(shifts) <= 0.5)
assert 0 < 1 - fake_quantize(tilted, 1.0) <= tilted.scale / 2

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
# Outside, x comes back as the nearest end of the range, s (qmin − z) or s (qmax − z). The error is the distance to that
# end, which no s bounds:

# %%
beyond = 1.5
distance = beyond - float(three_bits.scale) * three_bits.qmax
error_there = abs(float(fake_quantize(three_bits, beyond)) - beyond)

print(f"x = {beyond} comes back as 1: error {error_there:.2f}, three times s/2 = {three_bits.scale / 2:.3f}")
assert np.isclose(error_there, distance)
assert np.isclose(error_there, 3 * three_bits.scale / 2)

# %% [markdown]
# Inside, the sawtooth spends the same time at every height. If values fall anywhere in a step, the error is uniformly
# distributed over −s/2 … s/2, and its root mean square is s/√12 ≈ 0.29 s. Check both claims on a million values,
# computed in float64.

# %%
rng = np.random.default_rng(0)
million = rng.uniform(-1, 1, 1_000_000)
s = symmetric_scale(million, bits=8)
error = s * np.rint(million / s) - million
rms_error = np.sqrt(np.mean(error**2))

print(f"largest error  {np.abs(error).max() / s:.3f} s")
print(f"rms error      {rms_error / s:.3f} s, predicted {1 / np.sqrt(12):.3f} s")
assert np.abs(error).max() <= s / 2
assert np.isclose(rms_error, s / np.sqrt(12), rtol=0.01)

# %% [markdown]
# Now the same in float32, as a network does it, on the most unkind values: the middles between two levels. There are
# 254 of them. For how many is the error larger than s/2: "none", "some" or "all"?

# %%
my_guess = ...

# %%
in_float32 = Uniform.fit(million.astype(np.float32))
step = float(in_float32.scale)
middles = ((np.arange(-127, 127) + 0.5) * step).astype(np.float32)
came_back = fake_quantize(in_float32, middles)
middle_error = np.abs(came_back.astype(np.float64) - middles)

too_far = int(np.sum(middle_error > step / 2))

reveal(my_guess, {0: "none", len(middles): "all"}.get(too_far, "some"))

# %%
print(f"{too_far} of {len(middles)}, by at most {(middle_error.max() - step / 2) / step:.1e} s")
assert 0 < too_far < len(middles)

# %% [markdown]
# The quotient x/s and the product s·q are rounded too, to 24 significant bits. A value a hair's breadth below the
# middle may round up, and come back a hair's breadth too far away. The bound that holds in float32 adds those two
# roundings:
#
# $$ |\hat x - x| \;\le\; \frac{s}{2} + \left(|x| + |\hat x|\right) 2^{-24}. $$

# %%
rounding_of_float32 = (np.abs(middles) + np.abs(came_back)) * 2.0**-24

assert np.all(middle_error <= step / 2 + rounding_of_float32)
print(f"holds for all {len(middles)} middles; the extra term is at most {rounding_of_float32.max() / step:.1e} s")

# %% [markdown]
# A test that demands |x̂ − x| ≤ s/2 exactly fails now and then, for no fault of the quantizer. Give it the second
# term.
#
# ## 6 · What is a bit worth?
#
# One number for the damage done to a whole tensor: the **signal-to-quantization-noise ratio**, the power of the signal
# over the power of the error, in decibels (dB). 10 dB more mean a tenth of the error power. (The course's own is
# `metrics.sqnr`.)


# %%
def sqnr_db(x, restored):
    error = restored.astype(np.float64) - x
    return 10 * np.log10(np.mean(np.square(x, dtype=np.float64)) / np.mean(error**2))


line_in_three_bits = fake_quantize(three_bits, line)
assert np.isclose(sqnr_db(line, line_in_three_bits), metrics.sqnr(line, line_in_three_bits))

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
    print(f"{name:21} {per_bit:.1f} dB per bit from 8 to 12")
    assert abs(per_bit - 6.02) < 0.1

# %% [markdown]
# Same slope for all. How high each line lies follows from the **peak**: s is set by the largest value, while the signal
# is as strong as its root mean square (rms). The error power is s²/12. Take s = peak/2ᵇ⁻¹ for peak/(2ᵇ⁻¹ − 1), which
# is 0.1 dB too good at 8 bits and 1.2 dB at 4, and divide:
#
# $$ \frac{\mathrm{rms}^2}{(\mathrm{peak}/2^{b-1})^2/12}
#    = 3 \cdot 4^b \left(\frac{\mathrm{rms}}{\mathrm{peak}}\right)^2. $$
#
# In decibels, the 3 is 10 log₁₀ 3 = 4.77, each factor 4 is 10 log₁₀ 4 = 6.02, and the last square 20 log₁₀:
#
# $$ \mathrm{SQNR} \approx 6.02\,b + 4.77 - 20 \log_{10}\frac{\mathrm{peak}}{\mathrm{rms}} \quad\text{dB}. $$
#
# Uniform numbers have peak/rms = √3, which is 4.77 dB: exactly 6.02 b. Predict the weights at 8 bits: their peak is 6.1
# times their rms. (A guess may be an expression, with `np.log10`.)

# %%
my_guess = ...

# %%
peak_to_rms = 20 * np.log10(np.abs(weights).max() / np.sqrt(np.mean(weights**2)))
predicted = 6.02 * 8 + 4.77 - peak_to_rms

reveal(my_guess, curves["weights of conv4"][6], unit="dB")

# %%
print(f"the formula says {predicted:.1f} dB: the peak costs {peak_to_rms:.1f} dB")
assert abs(predicted - curves["weights of conv4"][6]) < 0.3
assert (round(10 * np.log10(3), 2), round(10 * np.log10(4), 2)) == (4.77, 6.02)
assert (round(20 * np.log10(128 / 127), 1), round(20 * np.log10(8 / 7), 1)) == (0.1, 1.2)

# %%
# alt: SQNR against bits from 2 to 12 for four tensors. From about 4 bits on all four are straight lines parallel to
# 6.02 dB per bit. Uniform numbers lie on that line, the other three 6 to 12 dB below it.
plots.sqnr_against_bits(bits, curves, title="Every bit adds 6 dB; where the line starts depends on the tensor")

# %% [markdown]
# (Below five bits the lines bend. Symmetric codes lack one level of 2ᵇ, which hurts when there are few.)
#
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
# For tensors with few exact zeros, and from about five bits on, three numbers now tell you beforehand how good a
# quantizer will be: bits, peak, rms.
#
# ## 7 · Play: bits against range
#
# The peak hurts. What if the range were smaller than the largest value? A few values saturate, all others get finer
# steps. This function draws it. (Clipping gives code −4 work, so it is used here; it lies one step below the range.)

# %%
peak = float(np.abs(weights).max())


def stairs(bits, percent_of_peak):
    limit = peak * percent_of_peak / 100
    scheme = Uniform.from_range(-limit, limit, bits)
    decibels = sqnr_db(weights, fake_quantize(scheme, weights))
    title = f"{bits} bits, range ±{limit:.2f} ({percent_of_peak} % of the peak): {decibels:.1f} dB"
    return plots.staircase(scheme, -peak, peak, values=weights, title=title)


# %%
# alt: Staircase with 3 bits over the whole range of the weights. Nearly all weights lie within the two steps around
# zero; SQNR is about 5 dB.
stairs(bits=3, percent_of_peak=100)

# %% [markdown]
# Which range is best for 3 bits, in percent of the peak?

# %%
my_guess = ...

# %% [markdown]
# Look for it with the sliders, for 3 bits and for 8. (They need a running kernel.)

# %% tags=["nbval-ignore-output"]
widgets.play(stairs, bits=(2, 8, 3), percent_of_peak=(10, 100, 100))

# %% [markdown]
# Now every range from 10 to 100 %, tried:


# %%
def sqnr_of_range(bits, percent_of_peak):
    limit = peak * percent_of_peak / 100
    return sqnr_db(weights, fake_quantize(Uniform.from_range(-limit, limit, bits), weights))


by_percent = {b: {percent: sqnr_of_range(b, percent) for percent in range(10, 101, 5)} for b in (3, 8)}
best = {b: max(tried, key=tried.get) for b, tried in by_percent.items()}

reveal(my_guess, best[3], unit="%", digits=0)

# %%
for b, tried in by_percent.items():
    gained = tried[best[b]] - tried[100]
    print(f"{b} bits: best at {best[b]} % of the peak, {gained:.1f} dB better than all of it")
    assert (gained > 6.02) == (b == 3)

# %%
# alt: Staircase with 3 bits over 30 percent of the peak. All eight levels, codes −4 to 3, share the region where the
# weights are, few weights saturate; SQNR is about 13 dB.
stairs(bits=3, percent_of_peak=30)

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
    off = np.abs(fake_quantize(eight_bits, part) - part)
    rms_in_steps = np.sqrt(np.mean(off**2)) / eight_bits.scale
    print(f"{number:5} {part.max():11.3f} {rms_in_steps:9.2f} s {100 * np.median(off / part):13.1f} %")
    assert 0.26 < rms_in_steps < 0.32

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

# %%
assert 30 < share_of_zeros < 40
assert np.array_equal(four_bits.quantize(weights) == 0, np.abs(weights / four_bits.scale) <= 0.5)

# %%
# alt: Relative error of every eighth weight at 4 bits against its magnitude, on a logarithmic axis. It is 100 percent
# up to half a step, 0.025. Beyond it falls to zero at the first level, and rises between any two levels to ever lower
# arches: 33 percent, 20, 14, 11.
plots.relative_error(
    four_bits, weights, float(four_bits.scale) / 2, title="At 4 bits, a third of the weights is lost altogether"
)

# %% [markdown]
# Whether that matters depends on what the values do. A small weight often does little. A quantizer whose steps grow
# with the value treats all magnitudes alike: that is lesson 04.
#
# ## 9 · The same numbers, other codes
#
# (Nothing before lesson 06 rests on this section. You can come back to it when two libraries disagree.)
#
# Here are five numbers to quantize with s = 1 and z = 1. Each lies exactly between two levels: a **tie**. Four rules
# round them: NumPy's `rint`, ONNX Runtime, PyTorch, and C's `round`, which TensorFlow Lite takes too. (PyTorch's
# function returns x̂; its codes are read off from that.)

# %%
import onnx
import onnxruntime
import torch

quantize_linear = onnx.parser.parse_model("""
    <ir_version: 10, opset_import: ["": 21]>
    one_node (float[N] x, float scale, uint8 zero_point) => (uint8[N] q) { q = QuantizeLinear(x, scale, zero_point) }
""")
session = onnxruntime.InferenceSession(quantize_linear.SerializeToString())


def by_numpy(x, scale, zero_point):
    return np.clip(np.rint(x / np.float32(scale)) + zero_point, 0, 255).astype(int)


def by_onnx_runtime(x, scale, zero_point):
    inputs = {"x": x, "scale": np.array(scale, np.float32), "zero_point": np.array(zero_point, np.uint8)}
    return session.run(None, inputs)[0].astype(int)


# %%
def by_torch(x, scale, zero_point):
    restored = torch.fake_quantize_per_tensor_affine(torch.from_numpy(x), scale, zero_point, 0, 255)
    return np.rint(restored.numpy() / np.float32(scale) + zero_point).astype(int)


def half_away(x, scale, zero_point):
    quotient = (x / np.float32(scale)).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    return np.clip(rounded + zero_point, 0, 255).astype(int)


# %% [markdown]
# Do all four give the same codes, "yes" or "no"?

# %%
my_guess = ...

# %%
ties = np.array([-0.5, 0.5, 1.5, 2.5, 3.5], np.float32)
answers = {rule.__name__: rule(ties, 1.0, 1) for rule in (by_numpy, by_onnx_runtime, by_torch, half_away)}
all_the_same = all(np.array_equal(q, answers["by_numpy"]) for q in answers.values())

reveal(my_guess, all_the_same)

# %%
print(f"{'x':16}", *(f"{value:5.1f}" for value in ties))
for name, q in answers.items():
    print(f"{name:16}", *(f"{code:5}" for code in q))

assert np.array_equal(answers["by_numpy"], answers["by_onnx_runtime"])
assert np.array_equal(answers["by_numpy"], answers["by_torch"])
assert not np.array_equal(answers["by_numpy"], answers["half_away"])

# %% [markdown]
# Three take **half to even**: a tie goes to the even integer, up as often as down. C's `round` takes **half away from
# zero**: all positive ties go up. Neither is wrong.
#
# Now numbers with two decimals, 0.00, 0.01 … 25.50, and s = 0.1. NumPy and ONNX Runtime divide by s. PyTorch multiplies
# by 1/s, which is rounded first. By how many codes do the two differ at most?

# %%
my_guess = ...

# %%
decimals = (np.arange(2551) / 100).astype(np.float32)
apart = by_torch(decimals, 0.1, 0) - by_numpy(decimals, 0.1, 0)
differ = apart != 0

reveal(my_guess, int(np.abs(apart).max()), digits=0)

# %%
print(f"{np.sum(differ)} of {len(decimals)} codes differ, by one. Look at 12.15:")
number, tenth = np.float32(12.15), np.float32(0.1)

print(f"x / s       = {number / tenth:.6f}")
print(f"x · (1 / s) = {number * (np.float32(1) / tenth):.6f}")
assert number / tenth < 121.5 <= number * (np.float32(1) / tenth)
assert np.array_equal(by_onnx_runtime(decimals, 0.1, 0), by_numpy(decimals, 0.1, 0))
assert 0 < np.sum(differ) < len(decimals) / 10
assert np.abs(apart).max() == 1
assert np.all(np.abs(decimals[differ] * 10 % 1 - 0.5) < 1e-4)

# %% [markdown]
# The two quotients differ in the last bit, and at a tie that bit decides, by one step: just what makes a test fail once
# a month. The remedy is not a better rule, but to **name the rule** and use the same one on both sides. `Uniform` takes
# `rounding` and `reciprocal`, and also `zero_point_added`: some engines add z *before* they round. Its defaults are
# those of ONNX.

# %%
torch_rule = Uniform(0.1, 0, signed=False, reciprocal=True)
c_rule = Uniform(1.0, 1, signed=False, rounding="half_away")

assert np.array_equal(Uniform(0.1, 0, signed=False).quantize(decimals), by_onnx_runtime(decimals, 0.1, 0))
assert np.array_equal(torch_rule.quantize(decimals), by_torch(decimals, 0.1, 0))
assert np.array_equal(c_rule.quantize(ties), half_away(ties, 1.0, 1))

# %% [markdown]
# ## 10 · One scale, or many
#
# A scale is set by the largest value it covers. Cover fewer values with each, and most scales shrink. A scale may be
# shared by the whole tensor, by a **channel** (for weights: one output filter), or by a **group** of consecutive values
# in a channel. Here are 4 channels of 4 weights. The second is ten times larger than the others, and holds an outlier.
#
# In `Uniform`, `axis=0` gives each index of axis 0 (each row) a scale; `axis=1, group_size=2` cuts along axis 1, each
# row into pairs.

# %%
# alt: A 4×4 matrix with an outlier, 4.00, in its second row, and three maps of its absolute error at 4 bits. With one
# scale most errors are as large as the values. With a scale per channel only the second row keeps large errors. With a
# scale per pair only the pair that contains the outlier does.
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
    "per pair: 8 scales": Uniform.fit(matrix, 4, axis=1, group_size=2),
}
boxes = dict(zip(schemes, [(4, 4), (1, 4), (1, 2)]))
plots.shared_scales(matrix, schemes, boxes, title="The fewer values share a scale, the smaller the errors on average")

# %% [markdown]
# *On average.* Only the bound s/2 is sure not to grow. A single value may be unlucky, as 0.11 is: the coarser level
# lay closer.

# %%
rms, error_of_011 = [], []
for name, scheme in schemes.items():
    off = np.abs(fake_quantize(scheme, matrix) - matrix)
    rms.append(np.sqrt(np.mean(off**2)))
    error_of_011.append(off[0, 0])
    print(f"{name:22} scale of shape {scheme.scale.shape!s:7} rms {rms[-1]:.3f}, error of 0.11 {off[0, 0]:.3f}")

assert rms[0] > rms[1] > rms[2]
assert error_of_011[1] < error_of_011[2]
assert np.all(scheme.scale <= schemes["per channel: 4 scales"].scale[:, np.newaxis])

# %% [markdown]
# In NumPy, a group is an axis of its own. `keepdims` keeps it, with length 1, so that each scale meets its own values:

# %%
pairs = matrix.reshape(4, 2, 2)  # channel, pair, value
pair_scales = np.max(np.abs(pairs), axis=2, keepdims=True) / 7  # (4, 2, 1): one per pair
pair_codes = np.clip(np.rint(pairs / pair_scales), -8, 7)
pairs_restored = (pair_codes * pair_scales).reshape(4, 4)

per_pair = schemes["per pair: 8 scales"]
assert per_pair.scale.shape == (4, 2)
assert np.allclose(pair_scales[:, :, 0], per_pair.scale)
assert np.allclose(pairs_restored, fake_quantize(per_pair, matrix))

# %% [markdown]
# On `conv4`: how many dB does a scale per channel (64 scales in place of one) gain at 4 bits?

# %%
my_guess = ...

# %%
per_tensor = Uniform.fit(weights, bits=4)
per_channel = Uniform.fit(weights, bits=4, axis=0)
gain = sqnr_db(weights, fake_quantize(per_channel, weights)) - sqnr_db(weights, fake_quantize(per_tensor, weights))

reveal(my_guess, gain, unit="dB")

# %%
print(f"{per_channel.scale.size} scales from {per_channel.scale.min():.4f} to {per_channel.scale.max():.4f}")
assert 3 < gain < 6
assert per_channel.scale.max() == per_tensor.scale

# %% [markdown]
# For weights, a scale per output channel is nearly free. Activations mostly share one scale per tensor: lesson 06 shows
# the sum of products from which a scale per input channel could not be pulled out.
#
# ## 11 · What few bits really cost
#
# Scales take room. `bits_per_value` divides all bits of a tensor, scales included, by its number of values. Predict
# it for 4-bit codes with one float32 scale per group of 32.

# %%
my_guess = ...

# %%
as_matrix = weights.reshape(64, -1)
groups_of_32 = Uniform.fit(as_matrix, bits=4, axis=1, group_size=32)

reveal(my_guess, bits_per_value(groups_of_32, as_matrix.shape), unit="bits", digits=2)

# %%
assert bits_per_value(groups_of_32, as_matrix.shape) == 4 + 32 / 32

sharing = {"per tensor": {}, "per channel": {"axis": 0}, "per group of 32": {"axis": 1, "group_size": 32}}
cost, quality, zeros = {}, {}, {}

print(f"{'':23}{'bits per value':>15}{'SQNR (dB)':>12}{'zeros (%)':>12}")
for b in (5, 4, 2):
    for name, how in sharing.items():
        scheme = Uniform.fit(as_matrix, b, **how)
        way = b, name
        cost[way] = bits_per_value(scheme, as_matrix.shape)
        quality[way] = sqnr_db(as_matrix, fake_quantize(scheme, as_matrix))
        zeros[way] = 100 * np.mean(scheme.quantize(as_matrix) == 0)
        print(f"{b} bits {name:16}{cost[way]:15.2f}{quality[way]:12.1f}{zeros[way]:12.1f}")

assert zeros[2, "per tensor"] > 99
assert quality[5, "per tensor"] < quality[4, "per group of 32"] < quality[5, "per channel"] - 3
assert cost[5, "per channel"] < cost[4, "per group of 32"] + 0.06

# %% [markdown]
# Two bits, symmetric, are the codes −1, 0, 1 (s is max|x|: nothing lies low enough for −2). With one scale more than 99
# of 100 weights become zero.
#
# Groups of 32 at 4 bits cost 5 bits per value, and beat 5 bits per tensor. But 5 bits per *channel* cost hardly more
# and are 3 dB better still: with float32 scales, groups of 32 are a bad buy here. They pay with smaller scales. In
# float16 (two bytes: `.astype(np.float16)`) they cost 4.5 bits per value, and are as good. A group may also give up a
# part of its peak, as in section 7: try a few fractions, keep the best of each group.

# %%
groups = weights.reshape(-1, 32)
peaks = np.max(np.abs(groups), axis=1, keepdims=True)  # (groups, 1)


def restored_with(fraction):
    scales = (fraction * peaks / 7).astype(np.float16)
    return np.clip(np.rint(groups / scales), -8, 7) * scales


fractions = np.array([0.8, 0.9, 1.0])
errors = [np.sum((restored_with(fraction) - groups) ** 2, axis=1, keepdims=True) for fraction in fractions]
best_fractions = fractions[np.argmin(errors, axis=0)]  # (groups, 1)

chosen, unclipped = sqnr_db(groups, restored_with(best_fractions)), sqnr_db(groups, restored_with(1.0))
cost_in_groups = 4 + 16 / 32
dearer = cost[5, "per channel"] - cost_in_groups
better = quality[5, "per channel"] - chosen
print(
    f"{cost_in_groups} bits: groups of 32 with float16 scales {unclipped:.1f} dB, with a range chosen {chosen:.1f} dB"
)
print(f"5 bits per channel: {dearer:.2f} bits more, worth {6.02 * dearer:.1f} dB, for {better:.1f} dB")
assert abs(unclipped - quality[4, "per group of 32"]) < 0.01
assert chosen > unclipped + 0.5
assert better < 6.02 * dearer - 0.5

# %% [markdown]
# And the network? Replace the weights of all its layers by what comes back from their codes, and count right answers on
# 500 photographs. In float32 about 94 % are right. (These are the weights as trained, before `fold`, because
# `build_model` makes the network that was trained, with its batch normalization.)

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


zeros_as_trained = 100 * np.mean(with_bits(4)["conv4.weight"] == 0)
print(f"{zeros_as_trained:.0f} % of the weights of conv4 are zero at 4 bits per tensor")
print(f"(in section 8 it was {share_of_zeros:.0f} %: folding gives each channel another factor)")
assert 25 < zeros_as_trained < share_of_zeros

# %% [markdown]
# So many dead weights, in one layer of seven. How many of the photographs are right then, in percent?

# %%
my_guess = ...

# %% tags=["nbval-ignore-output"]
right = {"4 bits per tensor": percent_right(with_bits(4))}

reveal(my_guess, right["4 bits per tensor"], unit="%")

# %% tags=["nbval-ignore-output"]
for bits_per_weight in (2, 4, 8):
    right[f"{bits_per_weight} bits per channel"] = percent_right(with_bits(bits_per_weight, axis=0))
right["float32"] = percent_right(trained)

for name, percent in right.items():
    print(f"{name:19}{percent:6.1f} %")

# %%
assert right["float32"] - 5 < right["4 bits per tensor"]
assert right["float32"] - 3 < right["4 bits per channel"]
assert abs(right["8 bits per channel"] - right["float32"]) < 1
assert right["2 bits per channel"] < 50

# %% [markdown]
# So many dead weights, and so little harm? They are the smallest ones: added up, their squares are less than 2 % of
# the layer's. And all errors together have a twentieth of the weights' power, while an answer stays right as long as
# the largest of ten outputs stays the largest.

# %%
conv4 = trained["conv4.weight"]
conv4_in_four_bits = with_bits(4)["conv4.weight"]
power_of_the_dead = np.sum(conv4[conv4_in_four_bits == 0] ** 2) / np.sum(conv4**2)

print(f"conv4: dead weights have {100 * power_of_the_dead:.1f} % of the power; ", end="")
print(f"SQNR {sqnr_db(conv4, conv4_in_four_bits):.1f} dB")
assert power_of_the_dead < 0.02
assert abs(sqnr_db(conv4, conv4_in_four_bits) - 10 * np.log10(20)) < 0.5

# %% [markdown]
# Eight bits cost nothing here. Four per channel cost about five photographs of 500, too few to tell from chance. Two
# leave little more than guessing, which among ten kinds of clothes is right 10 % of the time. What to do between eight
# and two is the subject of most of this course.
#
# ## Where this goes wrong
#
# Three mistakes, symptom first. Lesson 08 shows many more.
#
# **All values come back as one.** Four sensors read 10 to 11 degrees:

# %%
degrees = np.array([10, 10.25, 10.5, 11], np.float32)
degree = (degrees.max() - degrees.min()) / 255
zero_of_degrees = np.clip(np.rint(0 - degrees.min() / degree), 0, 255)

q = np.clip(np.rint(degrees / degree) + zero_of_degrees, 0, 255)
print("codes", q, "come back as", degree * (q - zero_of_degrees))
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
for name, back in {"rint": rounded, "astype": truncated}.items():
    shrinks = np.mean(np.abs(weights) - np.abs(back), dtype=np.float64) / eight_bits.scale
    print(f"{name:7} magnitude shrinks by {shrinks:.2f} s on average, SQNR {sqnr_db(weights, back):.1f} dB")

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
# [Exercises 02](../work/02_uniform.ipynb), 40 minutes: build your own quantizer step by step, and repair a broken one.
# The link opens your own copy in `work/`, which `make lab` has put there. `quantize` and `dequantize` there are the
# pair of section 4, with a zero point.
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
# - ISO/IEC 9899:2018 (C17), 7.12.9.6: `round` takes halfway cases away from zero. TensorFlow Lite's reference kernel
#   for quantization uses it (`TfLiteRound`).
# - "Introduction to AI Model Quantization", the blog post that section 1 quotes.
