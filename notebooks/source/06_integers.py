# %% [markdown]
# # 06 · Compute a layer in integers
#
# **The question.** Codes are stored in eight bits. Can a layer also be *computed* with codes, and will an engine get
# the same integers as you?
#
# **At the end you can**
#
# - compute a linear layer and a convolution with integers only: sums, bias, and codes again;
# - say how large a sum can become, and which integer type holds it;
# - name the three terms that zero points add to a sum, and say why engines like symmetric weights;
# - turn a real multiplier into an integer and a shift, and say where four rounding rules differ;
# - predict which sums saturate on older x86 CPUs;
# - compute the first layer of the course's network by yourself and get ONNX Runtime's integers, every one.
#
# **You need** lessons 02 and 03: scale, zero point, saturation, one scale per channel, calibration.
#
# **Time**: 45 minutes of reading and guessing, 52 minutes of exercises.
#
# Guess before you look. Replace `...` after `my_guess =` by a number, run the cell, then the next one.
# (`my_guess = None` shows the answer without a guess.)

# %%
import numpy as np
from fewerbits import data
from fewerbits.deploy import engines, export
from fewerbits.network import integer_network
from fewerbits.network.arithmetic import integer_conv2d
from fewerbits.network.folding import fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.network.requantize import RULES, fixed_point_multiplier, output_multiplier, requantize
from fewerbits.network.saturating import saturating_conv2d
from fewerbits.teach import integer_plots, mistakes, plots, widgets
from fewerbits.teach.check.integers.requantizing import by_onnxruntime
from fewerbits.teach.predict import reveal
from numpy.lib.stride_tricks import sliding_window_view

plots.use_style()

# %% [markdown]
# ## 1 · Four inputs, two outputs
#
# A **linear layer** multiplies each input by a weight and adds the products, once for each output: y = W·x + bias.
# Here is one that is small enough for paper. Its input has s_x = 0.02 and z_x = 50, with codes of `uint8`. Its weights
# are symmetric, s_w = 0.01, with codes of `int8`.

# %%
s_x, z_x = 0.02, 50
s_w = 0.01

x_real = np.array([1.0, -0.5, 0.25, 2.0])
w_real = np.array([[0.5, -1.0, 0.25, 0.75], [-0.3, 0.12, 1.1, -0.7]])

q_x = (np.rint(x_real / s_x) + z_x).astype(np.uint8)
q_w = np.rint(w_real / s_w).astype(np.int8)
print("codes of x:", q_x)
print("codes of w:", q_w[0], q_w[1])

# %% [markdown]
# Codes mean x̂ = s_x·(q_x − z_x) and ŵ = s_w·q_w. Put both into the sum, and the scales come out in front:
#
# $$ \sum_k \hat x_k \hat w_k = s_x s_w \underbrace{\sum_k (q_{x,k} - z_x)\, q_{w,k}}_{\text{integers only}} $$
#
# The sum of integers is called the **accumulator**. What is it for the first output? Paper is enough: the first
# product is (100 − 50)·50.

# %%
my_guess = ...  # a whole number

# %%
accumulator = (q_x.astype(np.int32) - z_x) @ q_w.T.astype(np.int32)

reveal(my_guess, accumulator[0], digits=0)

# %%
x_hat, w_hat = s_x * (q_x.astype(float) - z_x), s_w * q_w.astype(float)

print("by integers:    ", s_x * s_w * accumulator)
print("by real numbers:", w_hat @ x_hat)
print("before rounding:", w_real @ x_real)
assert np.allclose(s_x * s_w * accumulator, w_hat @ x_hat, rtol=1e-12)

# %% [markdown]
# The first two lines agree: integer arithmetic adds **no error of its own**. What differs from the third line was lost
# when x became codes (0.25 is not a multiple of 0.02). From here on all sums are exact.
#
# ## 2 · How large is a sum?
#
# `astype(np.int32)` above is not decoration. A conversion to `int8` keeps the last eight bits and says nothing:

# %%
in_eight_bits = accumulator.astype(np.int8)

print("accumulators:", accumulator, " in int8:", in_eight_bits)
assert in_eight_bits[0] == accumulator[0] - 50 * 256 == 0

# %% [markdown]
# The larger of the two became zero. So how wide must an accumulator be? A product of `uint8` and `int8` is at most
# 255·128 in magnitude. How many of the worst products can `int32`, which ends at 2³¹ − 1, hold for sure?

# %%
my_guess = ...  # products

# %%
worst_product = 255 * 128

reveal(my_guess, (2**31 - 1) // worst_product, digits=0)

# %%
print("int16, which ends at 32,767, holds", (2**15 - 1) // worst_product)
assert 65_000 < (2**31 - 1) // worst_product < 66_000
assert (2**15 - 1) // worst_product == 1

# %% [markdown]
# That is why engines add 8-bit products in 32 bits. Few layers have 65,000 inputs per output.
#
# Known weights give a closer bound. However the input looks, |q_x − z_x| cannot exceed the larger of z_x and
# 255 − z_x, so
#
# $$ |\text{accumulator}| \le \max(z_x,\ 255 - z_x) \cdot \sum_k |q_{w,k}|. $$
#
# Look at the course's network with both bounds. `calibrate` and `quantize_network` do what lessons 02 and 03 taught:
# `uint8` activations with one scale, `int8` weights with one scale per output channel. `fold` puts each batch
# normalization into the layer before it.

# %%
float_network = fold("vgg32", data.load_weights("vgg32"))
seen = calibrate(float_network, data.to_float(data.load_fashion_mnist("train").images[:100]), title="")
network = quantize_network(float_network, seen)

photographs = data.to_float(data.load_fashion_mnist("test").images[:20])
values = integer_network.run(network, photographs)  # by name: the codes after each layer, "image" to "mean"

# %%
layers = {name: network.folded.layer(name) for name in network.codes}  # the seven that have weights
full_sums, worst, bound, seen_sums = {}, [], [], []

print("sums in thousands")
print(f"{'layer':10}{'products':>10}{'worst case':>12}{'by weights':>12}{'seen':>8}")
for name, layer in layers.items():
    source = layer.inputs[0]  # the layer whose codes this one reads
    zero = int(network.activations[source].zero_point)
    w_rows = network.codes[name].reshape(layer.out_channels, -1).astype(int)
    full_sums[name] = integer_network.accumulators(network, layer, values[source])

    worst.append(w_rows.shape[1] * worst_product)
    bound.append(max(zero, 255 - zero) * np.abs(w_rows).sum(axis=1).max())
    seen_sums.append(np.abs(full_sums[name]).max())
    print(f"{name:10}{w_rows.shape[1]:10}{worst[-1] / 1e3:12,.0f}{bound[-1] / 1e3:12,.0f}{seen_sums[-1] / 1e3:8,.0f}")

assert all(a >= b for a, b in zip(worst, bound))
assert 2**15 < min(seen_sums) < max(worst) < 2**26

# %%
# alt: Magnitudes of sums for seven layers as dots on a logarithmic axis with lines at the ends of int8, int16 and
# int32. The worst case grows from 300 thousand to 38 million, the bound by the weights lies below it, by a factor of
# up to four, and the sums that were seen stay near 150 thousand. All lie above int16 and far below int32.
magnitudes = {"worst case": worst, "bound by the weights": bound, "seen on 20 photographs": seen_sums}
integer_plots.headroom(magnitudes, list(layers), "Every layer needs more than 16 bits, none needs 32")

# %% [markdown]
# Sixteen bits are too few in every layer. Thirty-two are plenty, with a factor of more than 50 to spare even in
# the worst case. (What was seen includes the bias of section 4.)
#
# ## 3 · What zero points cost
#
# An engine wants to multiply the raw codes: 8-bit products are the fast ones, and q_x − z_x may need nine bits. So
# multiply out, with a zero point for the weights too:
#
# $$ \sum (q_x - z_x)(q_w - z_w) = \sum q_x q_w \;-\; z_w \sum q_x \;-\; z_x \sum q_w \;+\; K z_x z_w $$
#
# K is the number of products. The last three terms are the **zero-point cross terms**. The first two need the
# input; the last two are known before any input arrives. Here are the four for the first output, with weights that
# have the zero point 10:

# %%
z_w = 10
row_codes = q_w[0].astype(int) + z_w  # the same weights, now with a zero point
input_codes = q_x.astype(int)

four_terms = {
    "sum of q_x·q_w": np.sum(input_codes * row_codes),
    "- z_w · sum of q_x": -z_w * np.sum(input_codes),
    "- z_x · sum of q_w": -z_x * np.sum(row_codes),
    "+ K · z_x · z_w": len(input_codes) * z_x * z_w,
}
for name, term in four_terms.items():
    print(f"{name:20}{term:8,}")
print(f"{'together':20}{sum(four_terms.values()):8,}")
assert sum(four_terms.values()) == accumulator[0]

# %% [markdown]
# With symmetric weights, z_w = 0. How many of the four terms must then still be computed for every new input?

# %%
my_guess = ...  # 0 to 4

# %%
left = [name for name in four_terms if "z_w" not in name]
for_every_input = [name for name in left if "q_x" in name]

reveal(my_guess, len(for_every_input), digits=0)

# %%
print("left:", " and ".join(left))
print("for every input:", *for_every_input)

# %% [markdown]
# Two terms vanish, and of the two that stay, −z_x·Σq_w depends on the weights alone: an engine computes it once and
# adds it to the bias. Then a zero point of the *input* is free. A zero point of the *weights* costs a sum over the
# codes of every input. That is why TensorFlow Lite's specification demands symmetric weights and allows affine
# activations.
#
# ## 4 · The bias
#
# The bias is added to the accumulator. Two numbers can be added when they count the same unit, and the accumulator
# counts s_x·s_w. So the bias gets **that** scale, zero point 0, and 32 bits:
#
# $$ q_b = \mathrm{round}\left(\frac{\text{bias}}{s_x s_w}\right). $$
#
# Our layer has the biases 0.3 and −0.2, and s_x·s_w = 0.0002. What is the first code?

# %%
my_guess = ...  # a whole number

# %%
bias_real = np.array([0.3, -0.2])
q_b = np.rint(bias_real / (s_x * s_w)).astype(np.int32)

reveal(my_guess, q_b[0], digits=0)

# %%
with_bias = accumulator + q_b
print("sums with bias:", with_bias, "which mean", (s_x * s_w * with_bias).round(4))
assert np.allclose(s_x * s_w * with_bias, w_hat @ x_hat + bias_real)

# %% [markdown]
# A tempting mistake: quantize the bias like any tensor, to eight bits with a scale of its own, and add the codes.

# %%
own_scale = 0.3 / 127
own_codes = np.rint(bias_real / own_scale).astype(int)

print("codes at a scale of its own:", own_codes, "arrive as", (s_x * s_w * own_codes).round(3))
assert abs(s_x * s_w * own_codes[0] - 0.3) > 0.27

# %% [markdown]
# Of 0.3 only 0.025 arrives. And eight bits would not do at the right scale either: real biases have codes far outside
# ±127.

# %%
share = 100 * np.mean([np.mean(np.abs(codes) > 127) for codes in network.biases.values()])
print(f"bias codes outside ±127 in the course's network: {share:.0f} %")
assert share > 80

# %% [markdown]
# ## 5 · From a sum to a code
#
# The next layer wants eight bits at a scale of its own. Let the output have s_y = 0.02 and z_y = 100. A sum a means
# s_x·s_w·a, so its code is
#
# $$ q_y = \mathrm{clip}\bigl(\mathrm{round}(a \cdot m) + z_y,\ 0,\ 255\bigr), \qquad m = \frac{s_x s_w}{s_y}. $$
#
# This step is called **requantization**, and m is its **multiplier**. Here m = 0.0002/0.02 = 0.01. A ReLU costs
# nothing: codes below z_y are the negative numbers, so clip at z_y in place of 0. With one s_w per output channel
# there is also one m, and one bias scale, per channel.

# %%
s_y, z_y = 0.02, 100
m = s_x * s_w / s_y

q_y = np.clip(np.rint(with_bias * m) + z_y, 0, 255).astype(np.uint8)
after_relu = np.clip(np.rint(with_bias * m) + z_y, z_y, 255).astype(np.uint8)
y_hat = s_y * (q_y.astype(float) - z_y)

print(f"codes {q_y}, with ReLU {after_relu}")
print("which mean", y_hat.round(2), "and in real numbers it is", (w_real @ x_real + bias_real).round(4))
assert np.abs(y_hat - (w_hat @ x_hat + bias_real)).max() <= s_y / 2 + 1e-9

# %% [markdown]
# One real number is left, m. Many small processors have no floating-point unit. There, m becomes an integer and a
# shift, m ≈ M₀·2⁻ⁿ, with M₀ between 2³⁰ and 2³¹ so that all 31 bits are used:
#
# $$ a \cdot m \approx (a\,M_0 + 2^{n-1}) \gg n. $$
#
# `>> n` drops the last n bits, which divides by 2ⁿ and rounds **down**; adding 2ⁿ⁻¹ (a half) first makes that rounding
# to nearest. M₀/2ⁿ shall be 0.01, which lies between 2⁻⁷ and 2⁻⁶; M₀ lies between 2³⁰ and 2³¹. What is n?

# %%
my_guess = ...  # a whole number

# %%
fraction, exponent = np.frexp(m)  # m = fraction · 2^exponent, fraction from 0.5 to 1
M0, n = round(fraction * 2**31), 31 - int(exponent)

reveal(my_guess, n, digits=0)

# %%
print(f"M0 = {M0:,}, n = {n}, M0·2^-n = {M0 * 2.0**-n:.12f}")
assert abs(M0 * 2.0**-n / m - 1) < 2.0**-31
assert fixed_point_multiplier(m) == (M0, 31 - n)  # the package counts the shift from 31

# %%
by_shift = [(int(a) * M0 + 2 ** (n - 1)) >> n for a in with_bias]

print("in integers:", by_shift, " in real numbers:", (with_bias * m).round(2))
assert by_shift == np.rint(with_bias * m).tolist()

# %% [markdown]
# No float is left. The product a·M₀ needs up to 62 bits; that is the only place where a layer needs more than 32.
# A shift *without* the half rounds down. That costs:

# %%
some_sums = np.arange(-5000, 5000)
lost = some_sums * m - np.array([(int(a) * M0) >> n for a in some_sums])
to_nearest = some_sums * m - np.rint(some_sums * m)
print(f"only shifted: {lost.mean():.1f} steps too low on average, to nearest: {abs(to_nearest.mean()):.1f}")
print(f"added up over {len(lost):,} codes: {lost.sum():,.0f} and {abs(to_nearest.sum()):,.0f} steps")
assert 0.45 < lost.mean() < 0.55
assert abs(to_nearest.sum()) < 0.01 * lost.sum()

# %% [markdown]
# Half a step, always in the same direction. The next layer adds many codes: errors to both sides cancel, these do not.

# %% [markdown]
# ## 6 · Four ways to round
#
# Engines agree on the formula and differ in its rounding. A **tie** is a number halfway between two codes.
#
# | rule | used by | arithmetic | a tie goes |
# |---|---|---|---|
# | `float32` | ONNX Runtime | a·m in float32, one rounding | to the even code |
# | `gemmlowp` | TensorFlow Lite's reference kernels | integers, **two** roundings | first up, then away from zero |
# | `single_half_away` | for comparison | integers, one rounding | away from zero |
# | `half_up` | TensorFlow Lite, single rounding | integers, one rounding: section 5's | up |
#
# `gemmlowp` does not carry 62 bits along: processors have one instruction for h = round(a·M₀/2³¹), which fits 32 bits.
# A second one shifts h by the n − 31 bits that are left, and rounds again. Take m = 1/4: M₀ = 2³⁰ and n = 32, so h =
# round(a/2), and the code is round(h/2). The sum a = 1 is a quarter of a step. What becomes of it?

# %%
my_guess = ...  # a code

# %%
few_sums = np.arange(-8, 9, dtype=np.int32)
by_rule = {rule: requantize(few_sums, 0.25, 0, -128, 127, rule) for rule in RULES}

reveal(my_guess, by_rule["gemmlowp"][few_sums == 1].item(), digits=0)

# %%
print(f"{'a':18}", *(f"{a:3}" for a in few_sums))
for rule, few_codes in by_rule.items():
    print(f"{rule:18}", *(f"{code:3}" for code in few_codes))
assert by_rule["half_up"].tolist() == [(int(a) + 2) >> 2 for a in few_sums]
assert by_rule["float32"].tolist() == np.rint(few_sums / 4).tolist()
assert by_rule["gemmlowp"][few_sums == 1] == 1

# %%
# alt: Codes against accumulator times one quarter from minus 2 to 2: a band for each code, in it one row of dots per
# rule. The rows agree except at ties such as minus 0.5 and 0.5, where the rules split, and for gemmlowp, whose row
# reaches code 1 already at 0.25 and code 2 at 1.25.
integer_plots.rounding_rules(few_sums, 0.25, "Four rules, m = 1/4")

# %% [markdown]
# For a = 1: h = round(0.5) = 1, up; the code is round(0.5) = 1, away from zero. For a = −1: h = round(−0.5) = 0, up,
# and 0 stays 0. **Rounding twice is not rounding once.** Move the multiplier and watch: at m = 1/2 nothing is left for
# the second step.


# %%
def rules_at(shift):
    few = np.arange(-(2 ** (shift + 1)), 2 ** (shift + 1) + 1, dtype=np.int32)
    return integer_plots.rounding_rules(few, 2.0**-shift, f"Four rules, m = 1/{2**shift}")


# %% tags=["nbval-ignore-output"]
widgets.play(rules_at, shift=(1, 5, 2))

# %% [markdown]
# Without a running kernel the slider does not move. Here is its position 4:

# %%
# alt: The same with m one sixteenth: 16 dots per code and rule. The rows are alike but for their ends: at halves the
# rules split, and the rows of gemmlowp begin one dot before the half.
rules_at(4)

# %% [markdown]
# The smaller m is, the rarer the differences: in `conv2` it lies between 1/1000 and 1/300. Of its codes above 0 for 20
# photographs, how many percent differ between `float32` and `gemmlowp`?

# %%
my_guess = ...  # percent

# %%
conv2_sums = full_sums["conv2"]
conv2_m = output_multiplier(  # s_x·s_w/s_y, one for each channel
    network.activations["conv1"].scale, network.weights["conv2"].scale, network.activations["conv2"].scale
)
conv2_codes = {rule: requantize(conv2_sums, conv2_m, 0, 0, 255, rule).astype(int) for rule in RULES}
above_0 = (conv2_codes["float32"] > 0) | (conv2_codes["gemmlowp"] > 0)
apart = conv2_codes["float32"] - conv2_codes["gemmlowp"]

reveal(my_guess, 100 * np.mean(apart[above_0] != 0), unit="%", digits=2)
print("largest difference:", np.abs(apart).max(), "code")
assert 1 / 1000 < conv2_m.min() < conv2_m.max() < 1 / 300
assert 0.03 < 100 * np.mean(apart[above_0] != 0) < 0.3
assert np.abs(apart).max() == 1

# %%
by_gemmlowp = integer_network.run(network, photographs, rule="gemmlowp")
other_classes = np.count_nonzero(by_gemmlowp["logits"].argmax(axis=1) != values["logits"].argmax(axis=1))
print("photographs of 20 that get another class:", other_classes)
assert other_classes == 0

# %% [markdown]
# One code in a thousand, by one step, and no class changes. It matters when you *compare* two engines: integers that
# should agree and do not are the best sign of a mistake, and such a rare difference by one code has a harmless reason
# that you can name.
#
# One more order matters. The formula adds z_y **after** rounding. With ties to even, round(2.5) + 3 is 5, and
# round(2.5 + 3) is 6. An odd zero point moves every tie.
#
# ## 7 · A convolution is many small layers
#
# A convolution puts a window of 3×3 inputs on each place of an image. In each place it is the linear layer of section
# 1, with the same weights. At the border the window hangs over, and what lies outside counts as the **number** zero.
# The code of zero is z_x, not 0.


# %%
def integer_convolution(codes, weight_codes, zero_point):
    height, width = codes.shape[2:]
    border = ((0, 0), (0, 0), (1, 1), (1, 1))
    padded = np.pad(codes.astype(np.int32) - zero_point, border)  # after the subtraction zero is 0
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))  # (N, C, H, W, 3, 3)
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(codes), height * width, -1)
    columns = weight_codes.reshape(len(weight_codes), -1).T.astype(np.int32)
    return (rows @ columns).transpose(0, 2, 1).reshape(len(codes), -1, height, width)


# %%
tiny_image = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4) * 10
tiny_kernel = np.array([[1, 2, 1], [3, 4, 2], [1, 2, 3]], np.int8).reshape(1, 1, 3, 3)
tiny_sums = integer_convolution(tiny_image, tiny_kernel, zero_point=40)

print(tiny_sums[0, 0])
top_left = tiny_image[0, 0, :2, :2].astype(int) - 40
assert tiny_sums[0, 0, 0, 0] == np.sum(top_left * tiny_kernel[0, 0, 1:, 1:])
assert np.array_equal(tiny_sums, integer_conv2d(tiny_image, tiny_kernel, 40, padding=1))

# %% [markdown]
# Each window became a row, and the whole convolution one product of matrices: engines do the same (`im2col`).
#
# Suppose the image is padded with the code 0 instead of z_x = 40. How many of the 16 sums change?

# %%
my_guess = ...  # 0 to 16

# %%
padded_by_code_0 = np.pad(tiny_image, ((0, 0), (0, 0), (1, 1), (1, 1)))
wrong_sums = integer_conv2d(padded_by_code_0, tiny_kernel, 40)

reveal(my_guess, np.count_nonzero(wrong_sums != tiny_sums), digits=0)

# %%
print(wrong_sums[0, 0] - tiny_sums[0, 0])
inside = (slice(None), slice(None), slice(1, 3), slice(1, 3))
assert np.array_equal(wrong_sums[inside], tiny_sums[inside])
assert np.count_nonzero(wrong_sums != tiny_sums) == 12

# %% [markdown]
# The whole border and nothing else: a frame of error around every image. Where z_x is 0, as after a ReLU, the
# mistake hides.
#
# ## 8 · What some CPUs do instead
#
# All sums so far were exact. x86 CPUs **without VNNI** (an extension for 8-bit products) multiply `uint8` by `int8`
# with an older instruction: it adds two neighbouring products in **16 bits**, and what does not fit saturates at 32,767
# or −32,768. Only then does it go on in 32 bits. The products are those of raw codes; the term of the zero point is
# subtracted later, exactly.
#
# Which products are neighbours? The engine goes through a window by rows, then columns, then channels, and the
# channels change fastest. With one channel these are the first and second product of section 7's row, the third and
# fourth, and so on; the ninth is alone. With several, neighbours are two channels of the same pixel.
#
# Predict it: three pairs of products make 42,000, −21,000 and −21,000. The exact sum is 0. What does such a CPU get?

# %%
my_guess = ...  # a whole number

# %%
pair_codes = np.array([[200, 180], [150, 150], [150, 150]])
pair_weights = np.array([[120, 100], [-80, -60], [-80, -60]])
pairs = (pair_codes * pair_weights).sum(axis=1)

reveal(my_guess, np.clip(pairs, -(2**15), 2**15 - 1).sum(), digits=0)
assert pairs.tolist() == [42_000, -21_000, -21_000]

# %% [markdown]
# You may not own such a CPU, but the package has its arithmetic. Here is `conv1`, the layer that sees the pixels:

# %%
pixel_codes, w_codes = values["image"], network.codes["conv1"]
exact_sums = integer_conv2d(pixel_codes, w_codes, 0, padding=1)
older_sums = saturating_conv2d(pixel_codes, w_codes, 0, padding=1)
touched = older_sums != exact_sums

print(f"{100 * touched.mean():.0f} % of the sums are wrong, by up to {np.abs(older_sums - exact_sums).max():,}")
assert 0.05 < touched.mean() < 0.2
assert np.any(np.abs(exact_sums[touched]) < 500)
assert 0.6 < np.mean(exact_sums[touched] < 0) < 0.75

# %%
# alt: Sum with 16-bit pairs against exact sum for a few thousand sums of conv1. Most lie on the diagonal; those that
# saturated lie off it, below it mostly for large positive sums and above it for negative ones, by up to 28 thousand.
few_places = (slice(2), slice(None), slice(None, None, 4), slice(None, None, 4))
integer_plots.saturated_sums(
    exact_sums[few_places], older_sums[few_places], "conv1 without VNNI: 2 photographs, every 4th pixel"
)

# %% [markdown]
# Every ninth sum is wrong, even some whose exact sum is near 0. How much of that arrives in the codes, and how is it
# in the other convolutions?

# %%
wrong_codes = {}
print(f"{'':8}{'mean code':>10}{'mean |q_w|':>12}{'wrong sums':>12}{'wrong codes':>13}{'by up to':>10}")
for name in [name for name in layers if name.startswith("conv")]:
    source, w_int8 = layers[name].inputs[0], network.codes[name]
    exact = integer_conv2d(values[source], w_int8, 0, padding=1)
    lost = exact - saturating_conv2d(values[source], w_int8, 0, padding=1)
    to_codes = output_multiplier(
        network.activations[source].scale, network.weights[name].scale, network.activations[name].scale
    )
    changed = requantize(full_sums[name] - lost, to_codes, 0, 0, 255).astype(int) - values[name]
    wrong_codes[name] = 100 * np.mean(changed != 0)
    print(
        f"{name:8}{values[source].mean():10.0f}{np.abs(w_int8.astype(int)).mean():12.0f}"
        f"{100 * np.mean(lost != 0):10.1f} %{wrong_codes[name]:11.1f} %{np.abs(changed).max():10}"
    )
assert 2 < wrong_codes.pop("conv1") < 5
assert max(wrong_codes.values()) < 0.1

# %% [markdown]
# Two thirds of the wrong sums are negative, and the ReLU hides them. What is left are 3.5 % of the codes of `conv1`,
# by up to 75 steps, and nothing elsewhere. Pixels have codes up to 255, and a kernel of nine weights fills its range.
# Deeper, most inputs are small after a ReLU, and of a few hundred weights most are small beside the largest. Another
# network can be less lucky.
#
# The cure costs one bit: with 7-bit weights, |q_w| ≤ 64 and a pair is at most 2·255·64 = 32,640. (Lesson 09 measures
# what both do to the answers.)

# %%
seven_bits = quantize_network(float_network, seen, weight_bits=7)
gentle_codes = seven_bits.codes["conv1"]
gentle_exact = integer_conv2d(pixel_codes, gentle_codes, 0, padding=1)
gentle_older = saturating_conv2d(pixel_codes, gentle_codes, 0, padding=1)

print(f"7-bit weights: {np.count_nonzero(gentle_exact != gentle_older)} wrong sums")
assert np.array_equal(gentle_exact, gentle_older)

# %% [markdown]
# So far that is a prediction. `engine_saturates` asks ONNX Runtime itself, on **your** CPU, for [255, 255]·[127, 127].
# If it says True, you see the effect in the next section; if False, your CPU adds in 32 bits and it does not happen.

# %% tags=["nbval-ignore-output"]
saturates_here = engines.engine_saturates()
print("Does ONNX Runtime saturate on this CPU?", "yes" if saturates_here else "no")

# %% [markdown]
# ## 9 · Your layer and the engine's integers
#
# Now put it together: `conv1` with 7-bit weights, by section 7's sums and section 6's rule `float32`.


# %%
def my_layer(codes, weight_codes, bias_codes, x_zero, multiplier, y_zero):
    total = integer_convolution(codes, weight_codes, x_zero) + bias_codes.reshape(-1, 1, 1)
    return requantize(total, multiplier, y_zero, y_zero, 255, rule="float32")  # from y_zero on: the ReLU


image_scheme, conv1_scheme = seven_bits.activations["image"], seven_bits.activations["conv1"]
conv1_m = output_multiplier(image_scheme.scale, seven_bits.weights["conv1"].scale, conv1_scheme.scale)
x_zero, y_zero = int(image_scheme.zero_point), int(conv1_scheme.zero_point)
mine = my_layer(pixel_codes, gentle_codes, seven_bits.biases["conv1"], x_zero, conv1_m, y_zero)

# %% [markdown]
# And the engine: ONNX Runtime gets the network as a file that states each layer with its scales and zero points (in the
# form QDQ, for QuantizeLinear and DequantizeLinear), and hands out all codes. Of the 501,760 codes of `conv1` for 20
# photographs, how many differ from yours?

# %%
my_guess = ...  # codes

# %%
engine = engines.OnnxRuntime(export.qdq_model(seven_bits, expose_codes=True))
theirs = engine.outputs(photographs)

reveal(my_guess, np.count_nonzero(mine != theirs["conv1_codes"]), digits=0)

# %%
print("yours: ", mine[0, 0, 12, 8:16])
print("theirs:", theirs["conv1_codes"][0, 0, 12, 8:16])
assert np.array_equal(mine, theirs["conv1_codes"])

# %% [markdown]
# Not one. But what did that test? Here are six mistakes of this lesson, as functions from the catalogue, each in place
# of `my_layer`. How many of the six would this comparison have noticed?

# %%
six = ["padding with code zero", "zero point ignored in the sum", "relu at code zero"]
six += ["output zero point forgotten", "zero point inside the rounding", "product in float64"]
print(*six, sep="\n")

# %%
my_guess = ...  # 0 to 6


# %%
def differing(function, case):
    return np.count_nonzero(function(*case) != by_onnxruntime(*case))


conv1_case = (pixel_codes, gentle_codes, seven_bits.biases["conv1"], x_zero, conv1_m, y_zero)
at_zero = {name: differing(mistakes.find(name, "quantized_layer"), conv1_case) for name in six}

reveal(my_guess, sum(codes > 0 for codes in at_zero.values()), digits=0)

# %%
print("zero points of the network:", [int(scheme.zero_point) for scheme in seven_bits.activations.values()])
assert not any(scheme.zero_point for scheme in seven_bits.activations.values())
assert not any(at_zero.values())

# %% [markdown]
# None! Pixels and the outputs of a ReLU begin at the number zero, so every zero point in this network is 0, and 0 hides
# five of them. And this m hides the sixth: a·m in float64 rounds to another code only where it is next to a half. So
# give the engine a layer in which all that matters: the same weights with z_x = 40 and z_y = 3, and m = 1/64 or 1/100,
# channel by channel, so that some sums land on ties or beside them. (`by_onnxruntime` hands one convolution to the
# engine.)

# %%
hard_m = np.resize(np.array([1 / 64, 1 / 100], np.float32), 32)
hard_case = (pixel_codes, gentle_codes, seven_bits.biases["conv1"], 40, hard_m, 3)
noticed = {name: differing(mistakes.find(name, "quantized_layer"), hard_case) for name in six}

for name, wrong in {"yours": differing(my_layer, hard_case), **noticed}.items():
    print(f"{name:32}{wrong:8,} codes differ")
assert min(noticed.values()) > 100
assert differing(my_layer, hard_case) == 0

# %% [markdown]
# Your layer agrees here too, and each mistake would have shown. **A comparison proves only what its inputs can tell
# apart.**
#
# The last layer of the network is linear and keeps its sums: each is multiplied by s_x·s_w and is a **logit**, a score
# per class.

# %%
mean_codes = theirs["mean_codes"].astype(np.int32) - int(seven_bits.activations["mean"].zero_point)
scores = mean_codes @ seven_bits.codes["logits"].T.astype(np.int32) + seven_bits.biases["logits"]
my_logits = scores.astype(np.float32) * seven_bits.bias_scale("logits")

print("yours: ", my_logits[0, :5].round(2))
print("theirs:", theirs["logits"][0, :5].round(2))
assert np.allclose(my_logits, theirs["logits"], rtol=1e-6, atol=1e-6)

# %% [markdown]
# Last, the 8-bit weights, where CPUs part. Your prediction of section 8 must hold: exact sums where `saturates_here`
# is False, saturated ones where it is True.

# %%
predicted = (older_sums if saturates_here else exact_sums) + network.biases["conv1"].reshape(-1, 1, 1)
conv1_m_8 = output_multiplier(
    network.activations["image"].scale, network.weights["conv1"].scale, network.activations["conv1"].scale
)
predicted_codes = requantize(predicted, conv1_m_8, 0, 0, 255)
engine_8 = engines.OnnxRuntime(export.qdq_model(network, expose_codes=True))

print("codes that differ:", np.count_nonzero(predicted_codes != engine_8.outputs(photographs)["conv1_codes"]))
assert np.array_equal(predicted_codes, engine_8.outputs(photographs)["conv1_codes"])

# %% [markdown]
# Predicted to the last integer. When your integers and an engine's differ, one of you has made a mistake that has a
# name; `mistakes.find` tells its symptom and its repair:

# %%
print(mistakes.find("bias with its own scale"))

# %% [markdown]
# ## Key points
#
# - Scales stand outside the sum: a layer of codes is a sum of integers, exact in `int32`, times s_x·s_w.
# - Products of 8 bits need sums of more than 16 bits; 32 bits hold 65,000 of them for sure.
# - Zero points add three cross terms. With symmetric weights one is left, known beforehand, and it goes into the bias.
# - The bias has the scale s_x·s_w, zero point 0 and 32 bits. A scale of its own is wrong.
# - m = s_x·s_w/s_y brings sums back to codes: in float, or as M₀·2⁻ⁿ. Add a half before the shift, and round once.
# - Pad with z_x, the code of zero. Add z_y after rounding. Test with zero points that are not 0.
# - Rounding rules differ in few codes, by one step. Saturated pairs change codes by many steps where codes and weights
#   are large, as in a first layer: use 7-bit weights where an x86 CPU may lack VNNI.
#
# ## Exercises
#
# [Exercises 06](../work/06_integers.ipynb), 52 minutes: write each part yourself, and at the end a layer that must give
# ONNX Runtime's integers. (`make lab` puts your own copy into `work/`.)
#
# ## Sources
#
# - B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
#   CVPR 2018, arXiv:1712.05877: cross terms (eq. 7), M₀ and the shift (section 2.2), bias at s_x·s_w (section 2.4).
# - gemmlowp, "Building a quantization paradigm from first principles", in its documentation: the two roundings.
# - ONNX operators QLinearConv and QLinearMatMul; ONNX Runtime, "Quantize ONNX models": 7-bit weights (`reduce_range`).
# - Intel, intrinsics guide, `_mm256_maddubs_epi16`: pairs added with saturation to 16 bits.
# - TensorFlow Lite, "8-bit quantization specification": symmetric `int8` weights per channel, bias in `int32`.
