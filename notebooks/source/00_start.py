# %% [markdown]
# # 00 · Start: check your machine, quantize an image and a layer
#
# **The question.** Does everything run here, and what is this course about?
#
# **At the end you can**
#
# - say whether your machine is ready, and what to do if it is not;
# - quantize an image and a layer of a real network, and see what is saved and what is lost;
# - find your way through the lessons.
#
# **You need** nothing but this page. Run a cell with Shift+Enter.
#
# **Time**: 5 minutes.
#
# ## Is everything here?

# %% tags=["nbval-ignore-output"]
from fewerbits.teach import environment

ready = environment.show(environment.check())

# %% [markdown]
# Lines with ✓ are fine, those with · only inform. A line with ✗ says after the arrow what to do. The same check runs in
# a terminal: `python -m fewerbits.teach.environment`.
#
# ## An image in fewer bits
#
# The course comes with Fashion-MNIST: small photographs of clothes, 28×28 pixels, one byte per pixel. Here are 16 of
# them as one image, with pixels from 0 (dark) to 1 (bright).

# %%
from fewerbits import data
from fewerbits.teach import plots, widgets
from fewerbits.teach.predict import reveal
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform

photographs = data.load_fashion_mnist("test")
image = photographs.images[:16].reshape(4, 4, 28, 28).swapaxes(1, 2).reshape(112, 112) / 255

print(image.shape, "pixels from", image.min(), "to", image.max())

# %% [markdown]
# To **quantize** is to replace each number by one of a few, and to store only which one: its **code**. Eight bits make
# 256 codes. How many shades of grey are left with two bits? Put a number in place of the dots, then run both cells.
# (`my_guess = None` shows the answer without a guess.)

# %%
my_guess = ...

# %%
two_bits = Uniform.fit(image, bits=2, symmetric=False, signed=False)
codes = two_bits.quantize(image)

reveal(my_guess, len(set(codes.ravel())), digits=0)

# %%
assert set(codes.ravel()) == {0, 1, 2, 3}

# %%
# alt: Three panels of the same 16 photographs. The original; the image in four shades, with all outlines
# kept and soft shading gone; and the error, which lies between minus and plus one sixth.
plots.triptych(image, two_bits, title="Two bits per pixel: four shades are enough to recognise clothes")

# %% [markdown]
# A quarter of the bytes, and every shoe is still a shoe. Neural networks forgive in the same way; that is why
# quantization works. Move the slider: from how many bits on do you see no difference?


# %%
def with_bits(bits):
    scheme = Uniform.fit(image, bits=bits, symmetric=False, signed=False)
    return plots.triptych(image, scheme, title=f"{bits}-bit pixels: {2**bits} shades")


# %% tags=["nbval-ignore-output"]
widgets.play(with_bits, bits=(1, 8, 1))

# %% [markdown]
# (Without a running kernel there is no slider. This is its position 4.)

# %%
# alt: The same three panels with four bits per pixel, 16 shades. The quantized image looks like the original; the
# error lies between minus and plus one thirtieth.
with_bits(4)

# %% [markdown]
# ## A layer in fewer bits
#
# The course also comes with a trained network that tells those clothes apart. `conv4` is one of its six convolutions.
# Its weights are float32, four bytes each. In eight bits, by what factor do they shrink?

# %%
my_guess = ...

# %%
trained = data.load_weights("vgg32")
weights = trained["conv4.weight"]
eight_bits = Uniform.fit(weights, bits=8)

factor = weights.nbytes / eight_bits.nbytes(weights.shape)
reveal(my_guess, factor, "times")

# %%
print(f"{weights.nbytes:,} bytes become {eight_bits.nbytes(weights.shape):,}")
assert 3.99 < factor < 4

# %% [markdown]
# Not quite 4.0000 times: next to the codes you have to keep one number, the **scale**, which says how far apart the
# levels are. Forget it, and the codes mean nothing. With it, every weight comes back to within half a step:

# %%
restored = fake_quantize(eight_bits, weights)
step = float(eight_bits.scale)

print(f"step {step:.5f}, largest error {abs(restored - weights).max():.5f}")
assert abs(restored - weights).max() <= 0.5001 * step

# %% [markdown]
# Does the network notice? Let it look at 500 photographs, with the weights of `conv4` as trained, in eight bits, and in
# two.

# %%
import torch
from fewerbits.network.model import build_model

test_pixels = torch.from_numpy(data.to_float(photographs.images[:500]))


def percent_right(conv4_weights):
    model = build_model("vgg32", {**trained, "conv4.weight": conv4_weights})
    with torch.inference_mode():
        answers = model(test_pixels).argmax(dim=1).numpy()
    return 100 * (answers == photographs.labels[:500]).mean()


# %% tags=["nbval-ignore-output"]
right = {
    "float32": percent_right(weights),
    "8 bits": percent_right(restored),
    "2 bits": percent_right(fake_quantize(Uniform.fit(weights, bits=2), weights)),
}
for name, percent in right.items():
    print(f"{name:8}{percent:5.1f} % right")

# %%
assert right["float32"] > 90
assert abs(right["8 bits"] - right["float32"]) <= 0.6
assert right["2 bits"] < right["8 bits"] - 20

# %% [markdown]
# Eight bits cost nothing; two bits, done this way, destroy the network. Better ways to use few bits, and how to know
# beforehand what they will cost, are what this course is about.
#
# ## The map
#
# Lessons 00 to 09 are the core, 10 to 13 are electives. Exercises carry the name of their lesson.
#
# | lesson | at its end you can |
# |---|---|
# | **00 start** | run the environment check, read the map, quantize an image and a layer |
# | [01 numbers](01_numbers.ipynb) | say what float32, bfloat16, float16 and int8 store; predict size, traffic, energy |
# | [02 uniform](02_uniform.ipynb) | derive scale, zero point and ranges; bound the error; measure 6.02 dB per bit |
# | [03 calibration](03_calibration.ipynb) | choose a range: min-max, percentile, MSE, entropy, analytic; outliers |
# | [04 logarithmic](04_logarithmic.ipynb) | quantize in the log domain, with a sign and a true zero |
# | [05 codebooks](05_codebooks.ipynb) | use optimum quantizers, small floats and block formats; count their metadata |
# | [06 integers](06_integers.ipynb) | compute a layer in integers only, and requantize its sums |
# | [07 mixed](07_mixed.ipynb) | give layers different bits under a budget |
# | [08 mistakes](08_mistakes.ipynb) | recognise, explain and repair scale-factor mistakes from their symptoms |
# | [09 small_cnn](09_small_cnn.ipynb) | capstone: train, fold, calibrate, quantize, verify and time a small CNN |
# | 10 qat *(not written yet)* | train with quantization in the loop, and say when it is worth it |
# | 11 compress *(not written yet)* | combine pruning, distillation and quantization, down to coded bytes |
# | 12 language_model *(not written yet)* | quantize the weights of a small transformer: groups, GPTQ, AWQ |
# | 13 shipping *(not written yet)* | export a model, run it elsewhere, tick the checklist before you ship |
#
# ## Key points
#
# - Quantizing replaces numbers by codes of a few bits. Codes and scale together are the tensor.
# - The error is at most half a step, and the step about doubles with every bit you give up.
# - Eight bits are a quarter of float32, and this network does not notice them.
#
# ## Sources
#
# - H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
#   2017, arXiv:1708.07747 (MIT licence).
