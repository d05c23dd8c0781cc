# %% [markdown]
# # 08 · Recognise a mistake from its symptom
#
# **The question.** A quantized tensor or network is wrong. What did somebody do, and how do you find out without
# reading the code?
#
# **At the end you can**
#
# - tell six mistakes from a picture, and more from a number;
# - say which mistakes an accuracy shows, and which it hides;
# - rule mistakes out by a prediction: compute what each would give, and compare;
# - let `diagnose` do that with your own tensors, and `diagnose_model` with your own ONNX files;
# - search the catalogue by name.
#
# **You need** lessons 02, 03 and 06.
#
# **Time**: 40 minutes of reading and guessing, 50 minutes of exercises.
#
# Each section shows a symptom. Guess, then run the next cell: a number in place of the dots in `my_guess = ...`, or a
# word in quotes. (`my_guess = None` shows the answer without a guess.)

# %%
import contextlib
import dataclasses
import tempfile

import numpy as np
import onnx
from fewerbits import data
from fewerbits.deploy import export
from fewerbits.diagnose import diagnose, diagnose_bias, diagnose_model, diagnose_sums
from fewerbits.network import integer_network
from fewerbits.network.arithmetic import integer_conv2d, quantize_bias
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.teach import mistakes, mistakes_plots, plots, widgets
from fewerbits.teach.article import uniform_quantization
from fewerbits.teach.predict import reveal
from fewerbits.tensor.metrics import sqnr
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform
from onnx import numpy_helper

plots.use_style()

# %% [markdown]
# The patient is `vgg32` from lesson 09, the course's small network for photographs of clothes: six convolutions and a
# linear layer. 200 photographs are enough here, because the mistakes are large.

# %% tags=["nbval-ignore-output"]
trained = data.load_weights("vgg32")
network = fold("vgg32", trained)
train, test = data.load_fashion_mnist("train"), data.load_fashion_mnist("test")
images, labels = data.to_float(test.images[:200]), test.labels[:200]
calibration_images = data.to_float(train.images[:200])

observers = calibrate(network, calibration_images)
quantized = quantize_network(network, observers)


# %%
def percent_right(values):
    return 100 * np.mean(values["logits"].argmax(axis=1) == labels)


healthy = {"float32": percent_right(network.run(images)), "int8": percent_right(quantized.simulate(images))}
for name, percent in healthy.items():
    print(f"{name:8}{percent:5.0f} % right")
assert healthy["float32"] > 90
assert abs(healthy["int8"] - healthy["float32"]) < 2

# %% [markdown]
# ## 1 · The scale, not accounted for
#
# The article from which this course grew names two common mistakes. The first is "not accounting for the scale factor".
# Here is what that does. A layer's sums of codes stand for real numbers only after the factor s_x·s_w. Somebody leaves
# it out in the first convolution, so that its sums arrive as if each unit of the accumulator were 1.
#
# *Symptom*: what comes out of conv1 is too large. These are the scales of its input and of its first filter:

# %%
s_x, s_w = quantized.activations["image"].scale, quantized.weights["conv1"].scale
print(f"s_x = {s_x:.5f}, s_w = {s_w[0]:.4f}")

# %% [markdown]
# How many times too large is its first output channel?

# %%
my_guess = ...

# %%
too_large = 1 / float(s_x * s_w[0])

reveal(my_guess, too_large, unit="times", digits=0)
assert 10_000 < too_large < 100_000

# %% [markdown]
# Tens of thousands of times. And the network? The bias was in the right unit, and is now lost beside the sums. What
# share of the photographs does it still get right, in percent?

# %%
my_guess = ...


# %%
def with_weights(changed):
    """The float network (lesson 09 explains its class) with some of its weights replaced."""
    return FoldedNetwork("vgg32", network.layers, {**network.weights, **changed}, network.biases)


def scale_forgotten_in(layer):
    """Weights divided by s_x·s_w, so that sums are as large as those of the codes."""
    weight = network.weights[layer]
    unit_of_sums = quantized.bias_scale(layer).reshape(-1, *[1] * (weight.ndim - 1))
    return percent_right(with_weights({layer: weight / unit_of_sums}).run(images))


forgotten_first = scale_forgotten_in("conv1")

reveal(my_guess, forgotten_first, unit="%", digits=0)
assert forgotten_first < 50

# %%
print(f"scales forgotten in conv1: {forgotten_first:.0f} % right")

# %% [markdown]
# Now the same mistake in the *last* layer, where the sums are the logits. How many are right?

# %%
my_guess = ...

# %%
forgotten_last = scale_forgotten_in("logits")

reveal(my_guess, forgotten_last, unit="%", digits=0)
assert forgotten_last > healthy["float32"] - 5

# %% [markdown]
# **Nearly all.** The largest of ten numbers stays the largest when all are multiplied by about the same factor:

# %%
logits_too_large = 1 / quantized.bias_scale("logits")
print(f"scales forgotten in the last layer: {forgotten_last:.0f} % right")
print(f"logits are {logits_too_large.min():,.0f} to {logits_too_large.max():,.0f} times too large")
assert logits_too_large.min() > 1_000
assert logits_too_large.max() < 3 * logits_too_large.min()

# %% [markdown]
# So an accuracy can be right while every value is nonsense; a probability or a threshold made of such logits would be.
# *An accuracy is a weak test.* Compare values.
#
# *Repair*: keep each scale with its codes, and multiply by s_x·s_w exactly once.
#
# ## 2 · The wrong precision
#
# The article's second mistake is "using the wrong precision". It has two faces. The first: codes of one precision in
# arithmetic of another. Take the sums of conv1, and keep them in 16 bits, where lesson 06 asked for 32.

# %%
integers = integer_network.run(quantized, images[1:2])
sums = integer_network.accumulators(quantized, network.layer("conv1"), integers["image"])
in_16_bits = sums.astype(np.int16).astype(np.int32)

channel = 2
wrong_share = 100 * np.mean(sums[0, channel] != in_16_bits[0, channel])
print(f"channel {channel}: sums from {sums[0, channel].min():,} to {sums[0, channel].max():,}")
print(f"{wrong_share:.0f} % of them do not fit into 16 bits")
assert wrong_share > 10
assert np.abs(sums[0, channel]).max() < 2**16

# %% [markdown]
# *Symptom*: look at the picture. What became of the white edge on the left, and of the black hem?

# %%
# alt: A pullover after the first convolution, twice. With sums of 32 bits its left edge is white, its right edge
# and its hem are black. With 16 bits most of the left edge is dark, and the hem and parts of the right edge are light.
mistakes_plots.photographs(
    {"sums in 32 bits": sums[0, channel], "sums in 16 bits": in_16_bits[0, channel]},
    (float(sums[0, channel].min()), float(sums[0, channel].max())),
    "The same sums, kept in 32 bits and in 16",
)

# %% [markdown]
# Sums that do not fit start again at the other end: what is brightest turns dark, and what is darkest turns light. That
# is the mark of **wrapping**, wherever it happens: in codes, in sums, in a bias. (Beyond 65,536 a sum would come round
# with its own sign again; none here does.) NumPy does it without a word:

# %%
hundred, two = np.array([100], np.int8), np.array([2], np.int8)
print("100 · 2 in int8:", (hundred * two)[0], "· in int32:", (hundred.astype(np.int32) * two)[0])
assert (hundred * two)[0] == -56

# %% [markdown]
# *Repair*: widen before the product, not after it.
#
# The other face: too few bits for the values. All activations of the network get 4 bits in place of 8, once unsigned
# (0 … 15) and once signed and symmetric (−7 … 7). Both are 4 bits:


# %%
def with_activations(bits, signed):
    """The network with activations of so many bits: affine and unsigned, or symmetric and signed."""
    right = quantize_network(network, observers, activation_bits=bits)
    if not signed:
        return right
    schemes = {"image": right.activations["image"]}
    for layer in network.layers[:-1]:
        source = layer.inputs[0]
        own = observers[layer.name].fit(bits, symmetric=True, signed=True)
        schemes[layer.name] = schemes[source] if layer.op == "max_pool" else own
    biases = {
        name: quantize_bias(bias, schemes[network.layer(name).inputs[0]].scale, right.weights[name].scale)
        for name, bias in network.biases.items()
    }
    return dataclasses.replace(right, activations=schemes, biases=biases)


# %% [markdown]
# Which share is right with unsigned codes?

# %%
my_guess = ...

# %%
four_bits = {
    "unsigned": percent_right(with_activations(4, signed=False).simulate(images)),
    "signed": percent_right(with_activations(4, signed=True).simulate(images)),
}

reveal(my_guess, four_bits["unsigned"], unit="%", digits=0)

# %% [markdown]
# And with signed codes?

# %%
my_guess = ...

# %%
reveal(my_guess, four_bits["signed"], unit="%", digits=0)
assert four_bits["unsigned"] > 85
assert four_bits["signed"] < four_bits["unsigned"] - 20

# %% [markdown]
# *Cause*: every activation comes out of a ReLU. No value is negative, so codes −7 … −1 never occur, and 8 codes are
# left of 16: these are **three** bits. At 8 bits the same mistake costs nothing that anyone would notice:

# %%
signed_at_8_bits = percent_right(with_activations(8, signed=True).simulate(images))
for name, percent in four_bits.items():
    print(f"4 bits, {name}: {percent:.0f} % right")
print(f"8 bits, signed: {signed_at_8_bits:.0f} % right")
assert abs(signed_at_8_bits - healthy["int8"]) < 2

# %% [markdown]
# So it waits in the code until somebody lowers the bits. *Repair*: unsigned codes (or a zero point at the lowest code)
# where data have one sign.
#
# ## 3 · Six mistakes in pictures
#
# A photograph shows more than a number. This one was normalized, so that dark is negative: −0.8 … 2.0. It was quantized
# with 8 bits for the range −0.85 … 1.4, so the whitest pixels should saturate. Six people made a mistake each, one of
# these:
#
# | mistake | what happened |
# |---|---|
# | wrap instead of clamp | codes beyond the last start again at the other end |
# | truncation for rounding | the fraction was cut off (3 bits, so that you can see it) |
# | clamped codes in the wrong type | codes 0 … 255 were put into `int8` |
# | zero point forgotten | on the way back z was not subtracted |
# | subtraction in the code type | on the way back q − z was computed in `uint8` |
# | range without zero | the photograph was brighter by 10, the range 9.15 … 11.4; afterwards 10 is subtracted again |
#
# Who is who? Decide for each letter before you go on. (Values outside −0.8 … 2.0 are shown black and white.)

# %%
photograph = (data.to_float(test.images[1:2])[0, 0] - 0.286) / 0.353
suspects = mistakes_plots.SUSPECTS  # by letter; no peeping


def bits_of(name):
    return 3 if name == "truncation_for_rounding" else 8


def comes_back(name, x):
    return mistakes_plots.made(name, x, low=-0.85, high=1.4, bits=bits_of(name))


# %%
# alt: A light pullover on black, and six spoiled copies. A: the black background is light grey and the letters are
# blurred spots. B: all black. C: few greys, a little darker. D: the light cloth is nearly black, its shadows are light.
# E: everything is black but some edges. F: everything is lighter, the background is grey and the cloth white.
mistakes_plots.photographs(
    {"as it was": photograph} | {letter: comes_back(name, photograph) for letter, name in suspects.items()},
    (float(photograph.min()), float(photograph.max())),
    "One photograph, six mistakes",
)

# %% [markdown]
# Which letter is "wrap instead of clamp"?

# %%
my_guess = ...

# %%
letter_of = {name: letter for letter, name in suspects.items()}
reveal(my_guess, letter_of["wrap_instead_of_clamp"])

# %% [markdown]
# Which one is "subtraction in the code type"?

# %%
my_guess = ...

# %%
reveal(my_guess, letter_of["subtraction_in_the_code_type"])

# %% [markdown]
# The curve behind each picture says why: what comes back, against what went in. Right would be the dashed line, flat
# from 1.4 on.

# %%
# alt: Six curves with the dashed diagonal. A jumps up below zero: negative values come back large. B is flat at −7.75.
# C is a staircase that lies on the side of zero. D follows the diagonal and falls at 1.4. E falls in the middle of the
# range, at 0.3. F is parallel to the diagonal, 0.8 higher.
line = np.linspace(-0.9, 2.1, 2001, dtype=np.float32)
back = {f"{letter}: {mistakes.find(name).title}": comes_back(name, line) for letter, name in suspects.items()}
mistakes_plots.curves(line, back, "What each value became")

# %%
ends = np.array([-0.5, 0.0, 0.5, 2.0], np.float32)
print(f"{'':34}{'−0.5':>7}{'0.0':>7}{'0.5':>7}{'2.0':>7}")
for letter, name in suspects.items():
    print(f"{letter} {name:32}" + "".join(f"{value:7.2f}" for value in comes_back(name, ends)))

after = {name: comes_back(name, ends) for name in suspects.values()}
assert after["wrap_instead_of_clamp"][3] < 0 < after["subtraction_in_the_code_type"][0]
assert np.allclose(after["range_without_zero"], 2.25 - 10)
assert np.allclose(np.diff(after["zero_point_forgotten"][:3]), 0.5, atol=0.01)
assert after["clamped_codes_in_the_wrong_type"][2] < -1
assert np.all(np.abs(after["truncation_for_rounding"]) <= np.abs(ends) + 1e-6)

# %% [markdown]
# The *place* of the damage names the mistake: at the end of the range (D), in its middle, where the code type ends (E),
# at zero (A), everywhere by a constant (F), towards zero (C), everything at once (B).
#
# Why is B flat? The range 9.15 … 11.4 has the step 2.25/255, so that its zero point would be −9.15/step = −1037. The
# last code there is has to do, 0, and codes stand for 0 … 2.25 only. All values are above that: each gets code 255,
# comes back as 2.25, and 10 less is −7.75.
#
# Play with it: each number is a mistake, 1 to 7; one of them is new. (Sliders need a running kernel.)


# %%
def look(mistake, range_ends_at):
    name = list(mistakes_plots.MADE)[mistake - 1]
    title = f"{mistake}: {name.replace('_', ' ')}"
    return mistakes_plots.both(name, photograph, -0.85, range_ends_at, title, bits_of(name))


# %% tags=["nbval-ignore-output"]
widgets.play(look, mistake=(1, len(mistakes_plots.MADE), 1), range_ends_at=(0.5, 2.1, 1.4))

# %%
# alt: The pullover before and after codes were divided by the scale where they should be multiplied: black and white
# only. The curve beside it is a straight line from minus 10,000 to plus 18,000.
look(list(mistakes_plots.MADE).index("scale_the_wrong_way") + 1, 1.4)

# %% [markdown]
# ## 4 · The bias that arrives as nothing
#
# *Symptom*: all layers of the quantized network were checked, weight by weight, and all codes are right. Yet the
# accuracy is near that of guessing. Somebody quantized the biases "like everything else": to 8 bits, with a scale of
# their own.

# %%
own_scale = {name: np.abs(bias).max() / 127 for name, bias in network.biases.items()}
own_codes = {name: np.rint(bias / own_scale[name]).astype(np.int32) for name, bias in network.biases.items()}
own_bias = percent_right(dataclasses.replace(quantized, biases=own_codes).simulate(images))
print(f"bias with its own scale: {own_bias:.0f} % right")

# %% [markdown]
# Before you look for the cause, a prediction. What share is right when all biases are simply 0?

# %%
my_guess = ...

# %%
no_codes = {name: np.zeros_like(codes) for name, codes in quantized.biases.items()}
no_bias = percent_right(dataclasses.replace(quantized, biases=no_codes).simulate(images))

reveal(my_guess, no_bias, unit="%", digits=0)
assert abs(own_bias - no_bias) < 5
assert own_bias < 50

# %% [markdown]
# The same. *Cause*: the sum counts in units of s_x·s_w, hundreds of times finer than the bias's own scale. So codes of
# at most 127 are added to sums of tens of thousands. *Repair*: bias codes are round(b/(s_x·s_w)), in `int32`.

# %%
largest_right, largest_own = (np.abs(codes["conv1"]).max() for codes in (quantized.biases, own_codes))
print(f"largest bias code of conv1: {largest_right:,}; with a scale of its own {largest_own}")
assert largest_right > 100 * largest_own

# %% [markdown]
# ## 5 · Scales of something else
#
# Three mistakes have one thing in common: scales were computed on one thing, and used on another. Guess the accuracies
# together. Which is the *least* harmful: (a) activations calibrated on pixels of 0 … 255, used on 0 … 1; (b) weight
# scales taken before batch norm was folded in (folding multiplies each filter by γ/σ: weights may grow several times);
# (c) scales of the output channels, applied to the input channels when the weights come back?

# %%
my_guess = ...  # "a", "b" or "c"

# %% tags=["nbval-ignore-output"]
raw_pixels = 255 * calibration_images
on_raw_pixels = quantize_network(network, calibrate(network, raw_pixels))
misfit = {"a": percent_right(on_raw_pixels.simulate(images))}

# %%
before_folding = {name: Uniform.fit(trained[f"{name}.weight"], axis=0) for name in network.weights}
clipped = {name: fake_quantize(scheme, network.weights[name]) for name, scheme in before_folding.items()}
misfit["b"] = percent_right(with_weights(clipped).run(images))


def read_along_axis_1(weights):
    """Weights of square layers: quantized along axis 0, and read as if the scales belonged to axis 1."""
    back = {}
    for name, weight in weights.items():
        if weight.ndim == 4 and weight.shape[0] == weight.shape[1]:
            scheme = Uniform.fit(weight, axis=0)
            back[name] = Uniform(scheme.scale, scheme.zero_point, axis=1).dequantize(scheme.quantize(weight))
    return back


misfit["c"] = percent_right(with_weights(read_along_axis_1(network.weights)).run(images))

reveal(my_guess, max(misfit, key=misfit.get))

# %%
for letter, percent in misfit.items():
    print(f"({letter}) {percent:.0f} % right")
assert misfit["a"] < 30
assert misfit["b"] < 60
assert misfit["c"] > 80

# %% [markdown]
# (a) leaves little more than guessing: the ranges are up to 255 times too wide, and most activations get code 0.
# *Repair*: calibrate on data as the network will see it. (b) clips weights that folding has made larger. *Repair*: fold
# first, then choose scales.

# %%
zeros = {
    name: 100 * np.mean(scheme.quantize(network.run(images[:20])["conv4"]) == 0)
    for name, scheme in {"right": quantized.activations["conv4"], "a": on_raw_pixels.activations["conv4"]}.items()
}
too_early = before_folding["conv6"].quantize(network.weights["conv6"])
clipped_share = 100 * np.mean((too_early <= -127) | (too_early == 127))
print(f"activations of conv4 with code 0: {zeros['right']:.0f} %, in (a) {zeros['a']:.0f} %")
print(f"weights of conv6 at an end of the codes, in (b): {clipped_share:.0f} %")
assert zeros["a"] > zeros["right"] + 20
assert clipped_share > 50

# %% [markdown]
# (c) is the dangerous one, *because it does so little here*. The scales of vgg32 happen to lie close together, so
# exchanging them changes little, and the test passes. Take another network that computes **the same function**: the
# output channels of conv4 multiplied by factors between ⅛ and 8, the matching input channels of conv5 divided by them
# (ReLU and max pooling let positive factors through). Float accuracy cannot change. What becomes of (c)?

# %%
my_guess = ...  # percent right

# %%
factors = 2.0 ** np.random.default_rng(8).uniform(-3, 3, 64).astype(np.float32)
stretched_weights = {
    **network.weights,
    "conv4": network.weights["conv4"] * factors[:, None, None, None],
    "conv5": network.weights["conv5"] / factors[None, :, None, None],
}
stretched_biases = {**network.biases, "conv4": network.biases["conv4"] * factors}


def accuracy_of(weights):
    return percent_right(FoldedNetwork("vgg32", network.layers, weights, stretched_biases).run(images))


same_function = accuracy_of(stretched_weights)
stretched_and_read_wrong = accuracy_of({**stretched_weights, **read_along_axis_1(stretched_weights)})

reveal(my_guess, stretched_and_read_wrong, unit="%", digits=0)
assert abs(same_function - healthy["float32"]) < 1
assert stretched_and_read_wrong < misfit["c"] - 20

# %%
print(f"the same function: {same_function:.0f} % right, with the mistake {stretched_and_read_wrong:.0f} %")

# %% [markdown]
# *Repair*: name the axis, and test with scales that differ. **A test proves only what its data can tell apart.**
#
# ## 6 · A frame around the picture
#
# *Symptom*: the output of one convolution is right everywhere but at the border. The input is affine: the photograph of
# section 3, whose zero point is not 0. The convolution is padded, so that its output is as large as its input.

# %%
pixels = Uniform.fit(photograph, symmetric=False, signed=False)
pixel_codes = pixels.quantize(photograph)[None, None]
kernel = int(np.argmax(np.abs(quantized.codes["conv1"].sum(axis=(1, 2, 3)))))
kernel_codes = quantized.codes["conv1"][kernel : kernel + 1]
z = int(pixels.zero_point)

right_sums = integer_conv2d(pixel_codes, kernel_codes, z, padding=1)
padded_with_0 = np.pad(pixel_codes, ((0, 0), (0, 0), (1, 1), (1, 1)))
wrong_sums = integer_conv2d(padded_with_0, kernel_codes, z, padding=0)
errors = wrong_sums[0, 0] - right_sums[0, 0]
print("zero point", z, "· sums that differ:", np.count_nonzero(errors), "of", errors.size)
assert np.all(errors[1:-1, 1:-1] == 0)
assert np.count_nonzero(errors) > 80

# %%
# alt: A pullover after a convolution. Right, its background has a frame one pixel wide of another grey. Padded with
# code 0, the frame is missing. The difference is zero everywhere but in the frame.
largest_sum = float(np.abs(right_sums).max())
mistakes_plots.photographs(
    {"right": right_sums[0, 0], "padded with code 0": wrong_sums[0, 0], "difference, 4 times": 4 * errors},
    (-largest_sum, largest_sum),
    "The border is padded with the code 0, which does not stand for zero",
)

# %% [markdown]
# To the eye the wrong one even looks better, for its background goes on beyond the edge. But it is not what the float
# network computes, and that is what the weights were trained for. Which code should stand in the border?

# %%
my_guess = ...  # a code

# %%
reveal(my_guess, z, digits=0)
assert pixels.dequantize(np.array([z])) == 0

# %% [markdown]
# *Cause*: padding means the **number** zero, and its code is z. After a ReLU z is 0 and the mistake is invisible; on a
# normalized image it frames every picture. *Repair*: pad with z.
#
# ## 7 · One value among thousands
#
# *Symptom*: the SQNR of one layer is far below that of the others, and yet all of its codes are correct. How many
# different codes does this tensor of 10,000 values use, of 256?

# %%
my_guess = ...

# %%
rng = np.random.default_rng(0)
tensor = rng.standard_normal(10_000).astype(np.float32)
tensor[1234] = 40

by_min_max = Uniform.fit(tensor)
codes = by_min_max.quantize(tensor)
reveal(my_guess, len(np.unique(codes)), digits=0)
assert len(np.unique(codes)) < 40

# %%
others = np.delete(tensor, 1234)
with_outlier = sqnr(others, fake_quantize(by_min_max, others))
without = sqnr(others, fake_quantize(Uniform.fit(others), others))
print(f"codes used: {len(np.unique(codes))} of 256")
print(f"SQNR of the other 9,999 values: {with_outlier:.0f} dB; with a range of their own {without:.0f} dB")
assert without - with_outlier > 12

# %% [markdown]
# *Cause*: one value sets the step of all others. *Repair*: clip (lesson 03), or a scale for fewer values.
#
# ## 8 · Let the tensors tell
#
# There is a method: **predict** the codes that each suspect would give, and compare *all* of them with the codes at
# hand. First without help. These codes are wrong; who made them?

# %%
x = rng.standard_normal(1000).astype(np.float32)
scale = np.abs(x).max() / 127
truncated = (x / scale).astype(np.int8)

suspected = {
    "right": np.rint(x / scale),
    "truncation for rounding": np.trunc(x / scale),
    "scale applied twice": np.clip(np.rint(x / scale / scale), -128, 127),
}
for name, predicted in suspected.items():
    print(f"{name:26}{100 * np.mean(predicted == truncated):4.0f} % of the codes")
assert np.all(suspected["truncation for rounding"] == truncated)
assert np.mean(suspected["right"] == truncated) < 0.8

# %% [markdown]
# Half of the codes fit the definition too, so "most fit" convicts nobody; all of them do. `diagnose` does this with all
# mistakes that it knows, for any quantizer, yours or anyone's. It wants values, codes, scale, the zero point if it is
# not 0, and `axis=` if there are scales per channel. Mistakes on the way back (A and F of section 3) are seen with
# `dequantized=`.

# %%
for finding in diagnose(x, truncated, scale):
    print(finding)

# %% [markdown]
# Correct codes have no finding:

# %%
right = np.clip(np.rint(x / scale), -128, 127).astype(np.int8)
print(diagnose(x, right, scale))
assert diagnose(x, right, scale) == []

# %% [markdown]
# And damage that no known mistake explains is not given a name. It says how many codes are wrong, and where:

# %%
weights, damaged = x.reshape(10, 100), right.reshape(10, 100).copy()
damaged[3] = damaged[3, ::-1]

for finding in diagnose(weights, damaged, scale):
    print(finding)
assert [finding.name for finding in diagnose(weights, damaged, scale)] == ["codes_unexplained"]

# %% [markdown]
# The article's formula (lesson 02) has the scale max|x|/255 for 8 bits. What is wrong with that, and with its codes?

# %%
published = uniform_quantization(x, 8)
published_scale = np.abs(x).max() / 255

for finding in diagnose(x, published, published_scale, bits=8):
    print(finding)

named = [finding.name for finding in diagnose(x, published, published_scale, bits=8)]
assert named == ["codes_in_a_float_type", "levels_per_side"]

# %% [markdown]
# The other patients of this lesson, one line each:

# %%
after_relu = network.run(images[:20])["conv4"]
signed_scheme = Uniform.fit(after_relu)
conv4, conv4_scheme, conv4_codes = network.weights["conv4"], quantized.weights["conv4"], quantized.codes["conv4"]
first_own, first_scale = own_codes["conv1"], quantized.activations["image"].scale

q_x = rng.integers(0, 256, (5, 100)).astype(np.uint8)
q_w = rng.integers(-127, 128, (3, 100)).astype(np.int8)
narrow_sums = (q_x.astype(np.int32) @ q_w.T.astype(np.int32)).astype(np.int16)

patients = {
    "signed codes after ReLU": diagnose(after_relu, signed_scheme.quantize(after_relu), signed_scheme.scale),
    "scales on the wrong axis": diagnose(conv4, conv4_codes, conv4_scheme.scale, axis=1),
    "one value of 40": diagnose(tensor, codes, by_min_max.scale),
    "scale before folding": diagnose(
        conv4, before_folding["conv4"].quantize(conv4), before_folding["conv4"].scale, axis=0
    ),
    "bias": diagnose_bias(network.biases["conv1"], first_own, first_scale, quantized.weights["conv1"].scale),
    "sums in 16 bits": diagnose_sums(q_x, q_w, narrow_sums),
}
for patient, findings in patients.items():
    print(f"{patient:26}{', '.join(finding.title for finding in findings)}")

assert [finding.name for finding in patients["scales on the wrong axis"]] == ["wrong_axis"]
assert [finding.name for finding in patients["one value of 40"]] == ["one_outlier_takes_the_range"]
assert [finding.name for finding in patients["signed codes after ReLU"]] == ["symmetric_range_for_one_sided_data"]
assert [finding.name for finding in patients["scale before folding"]] == ["range_too_narrow"]
assert [finding.name for finding in patients["bias"]] == ["bias_with_its_own_scale"]
assert [finding.name for finding in patients["sums in 16 bits"]] == ["accumulator_too_narrow"]

# %% [markdown]
# What it cannot do: where two mistakes give the same tensors, it has one name. Codes of 5 bits that are declared as 4
# have the scale max|x|/15, just as the article's formula for 4 bits:

# %%
five = Uniform.fit(x, bits=5)
print([finding.title for finding in diagnose(x, five.quantize(x), five.scale, bits=4)])
assert [finding.name for finding in diagnose(x, five.quantize(x), five.scale, bits=4)] == ["levels_per_side"]

# %% [markdown]
# And a tie, rounded to even or away from zero, is a
# convention and no mistake; name the rule your engine uses (`rounding="half_even"`) to have ties examined.

# %%
ties = np.append(np.arange(-126, 126) + 0.5, 127).astype(np.float32)
away = Uniform(1.0, 0, rounding="half_away").quantize(ties)

assert diagnose(ties, away, 1.0) == []
print(*diagnose(ties, away, 1.0, rounding="half_even"))

# %% [markdown]
# ## 9 · Let the model tell
#
# A file has no values beside its codes, but it has a structure, and many mistakes show there. `diagnose_model` reads
# any quantized ONNX model. First the healthy one, as lesson 09 exports it:

# %%
model = export.qdq_model(quantized)
print(diagnose_model(model))
assert diagnose_model(model) == []

# %% [markdown]
# Now break it: the bias of conv3 gets a scale twice too large. (Initializers are the constants of an ONNX file.)

# %%
broken = onnx.ModelProto()
broken.CopyFrom(model)
bias_scale = next(array for array in broken.graph.initializer if array.name == "conv3_bias_scale")
bias_scale.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(bias_scale), bias_scale.name))

findings = diagnose_model(broken)
for finding in findings:
    print(finding)
assert len(findings) == 1
assert "bias" in findings[0].name

# %% [markdown]
# On the command line it is `python -m fewerbits.diagnose model.onnx`. Notes at the end say what may be meant so, such
# as weights that fit in 4 of 8 bits. The exit code is 0 when nothing was found, 1 when something was, and 2 when the
# file cannot be read; `--json` is for programs, `--help` tells what is looked for. Nothing found is not a proof: a file
# holds no float values to compare with, so the first line says what was examined. What you mean to be so, you allow:
# `--allow wrong_axis`.

# %%
from fewerbits.diagnose.__main__ import main

with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    onnx.save(broken, "broken.onnx")
    exit_code = main(["broken.onnx"])
print("exit code", exit_code)
assert exit_code == 1

# %% [markdown]
# ## 10 · The catalogue
#
# The catalogue holds the mistakes that the checks of the exercises know, each with symptom, cause, repair, and where it
# was made. `mistakes.find` knows these, and whatever else `diagnose` and `diagnose_model` can name.

# %% tags=["nbval-ignore-output"]
for topic in mistakes.TOPICS:
    print(f"{topic:14}{len(mistakes.catalogue(topic)):4} mistakes")
print(f"{'together':14}{len(mistakes.catalogue()):4}")

# %%
assert len(mistakes.catalogue()) > 100
print(mistakes.find("wrong axis"))
print(mistakes.find("range too narrow"))

# %% [markdown]
# A name that is not there brings similar ones, and any word can be looked for in the symptoms:

# %% tags=["nbval-ignore-output"]
try:
    mistakes.find("zero point forgoten")
except ValueError as error:
    print(error)

# %% tags=["nbval-ignore-output"]
for entry in mistakes.catalogue():
    if "NaN" in entry.symptom:
        print(f"{entry.title:36} {entry.symptom}")

# %% [markdown]
# ## Where this goes wrong
#
# **The accuracy is right, so the network is right.** Section 1 lost every scale of the last layer and kept its
# accuracy; section 5 read three layers along the wrong axis and lost hardly a photograph. Compare tensors.
#
# **The test data hide the mistake.** Zero points of 0, scales that are all alike, values that never saturate: test with
# data on which a mistake would show.
#
# ## Key points
#
# - Look at *where* values are wrong: the end of the range (saturation), the middle (type), zero (zero point),
#   everywhere by a factor (scale) or by a constant (zero point), towards zero (truncation).
# - What is largest and comes back with the other sign has wrapped.
# - Accuracy is a weak test: it does not see a factor, a code that is never used, or scales that happen to be alike.
# - Predict what each suspect would give, and compare all codes. One that matches everywhere is convicted.
# - Scales belong to what they were computed on: the same preprocessing, the same axis, after folding.
# - Sums in 32 bits, bias at s_x·s_w, padding with the code of zero.
#
# ## Exercises
#
# [Exercises 08](../work/08_mistakes.ipynb), 50 minutes: rules of a diagnosis, and the mystery set, ten broken networks.
# (`make lab` puts your own copy into `work/`.)
#
# ## Sources
#
# - "Introduction to AI Model Quantization", the blog post whose two mistakes lead this lesson, “Common Mistakes”.
# - B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
#   CVPR 2018, arXiv:1712.05877: bias at s_x·s_w in 32 bits, an exact zero for padding.
# - M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
#   arXiv:1906.04721: factors between channels that leave the function as it is (section 5).
# - Where mistakes were made: issues onnxruntime 19694 (axis), 22020 (bias), 14640 (unused codes), brevitas 415
#   (folding), triton 2296 and iree 8491 (wrapping); each entry of the catalogue names its own.
