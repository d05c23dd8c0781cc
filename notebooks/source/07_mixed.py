# %% [markdown]
# # 07 · Give each layer the bits it needs
#
# **The question.** Not everything in a network needs the same precision. Which part needs how many bits, and how do you
# choose the precision for *your* model?
#
# **At the end you can**
#
# - say what W8A8, W4A8 and W4A16 mean, and compute a layer with two precisions;
# - find out whether weights or activations hurt, and which cure helps;
# - measure how sensitive each layer is, and predict it in two cheaper ways;
# - divide a budget of bytes among layers: greedily, exactly, and prove that the exact way is exact;
# - read a Pareto front, and give a difference of accuracies with its uncertainty;
# - run a procedure that ends with a precision for a model.
#
# **You need** lesson 02 (scale, zero point, SQNR) and lesson 03 (ranges, calibration). Lesson 06 (integers on a CPU)
# helps in one place.
#
# **Time**: 65 minutes of reading and guessing, 45 minutes of exercises.
#
# Guess before you look: replace `...` after `my_guess =`, run the cell, then the next one. Leave `...` and no answer is
# shown; `my_guess = None` shows it without a guess.

# %%
import os

import numpy as np
from fewerbits import data
from fewerbits.deploy import engines, export
from fewerbits.deploy.evaluation import accuracy, bootstrap_difference
from fewerbits.network import allocation, mixed
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.teach import article, mistakes, mixed_plots, plots, widgets
from fewerbits.teach.predict import reveal
from fewerbits.tensor.calibration import MSE, MinMax
from fewerbits.tensor.metrics import sqnr
from scipy.stats import spearmanr

plots.use_style()

# %%
network = fold("vgg32", data.load_weights("vgg32"))  # six convolutions and a linear layer, float32, no batch norm left
train, test = data.load_fashion_mnist("train"), data.load_fashion_mnist("test")
calibration = data.to_float(train.images[:200])  # to choose by
images, labels = data.to_float(test.images), test.labels  # to judge by

print({name: weight.size for name, weight in network.weights.items()})

# %% [markdown]
# ## 1 · Two precisions, as published
#
# A blog article, from which this course grew, introduces mixed precision like this: "we can use 16-bit precision for
# the weights and 8-bit precision for the activations". Its function takes *one* tensor `x` and rounds it twice:
#
# ```python
# s_weights = np.max(np.abs(x)) / (2 ** num_bits_weights - 1)
# s_activations = np.max(np.abs(x)) / (2 ** num_bits_activations - 1)
# return np.round(x / s_weights), np.round(x / s_activations)
# ```
#
# Give it the weights of the last layer, `logits`, with 16 and 8 bits. The largest weight gets a code as "weight" and a
# code as "activation". How many times larger is the first?

# %%
my_guess = ...  # a number

# %%
w = network.weights["logits"]
as_weights, as_activations = article.mixed_precision_quantization(w, 16, 8)
largest = np.abs(w).argmax()

reveal(my_guess, as_weights.flat[largest] / as_activations.flat[largest], digits=0)

# %%
alike = np.corrcoef(as_weights.ravel(), as_activations.ravel())[0, 1]
print(f"correlation of the two results: {alike:.4f}")
assert as_weights.flat[largest] / as_activations.flat[largest] == (2**16 - 1) / (2**8 - 1)
assert alike > 0.9999

# %% [markdown]
# (2¹⁶ − 1)/(2⁸ − 1) = 257. The two results are the same tensor in two units: nothing was mixed. There is no second
# tensor, no product, and no scale to come back with (the codes also need one bit more than asked for, as in lesson 02).
#
# In a network two *different* tensors meet. Weights are known beforehand and have both signs; activations come with
# each image and, after a ReLU, are never negative. Each gets its own bits, scale and zero point, and then they are
# multiplied:
#
# $$ \hat x\,\hat w^T = s_x s_w\,(q_x - z_x)\,q_w^T $$

# %%
x = network.run(images[:100])["mean"]  # what the last layer reads (a mean over pixels), for 100 photographs
w_16, x_8 = article.repaired_mixed_precision_quantization(w, x, 16, 8)

integers = (x_8.codes.astype(np.int64) - x_8.scheme.zero_point) @ w_16.codes.T.astype(np.int64)
product = x_8.scheme.scale * w_16.scheme.scale * integers
print("exact:     ", (x @ w.T)[0, :4].round(3))
print("quantized: ", product[0, :4].round(3))
assert np.allclose(product, x_8.dequantize() @ w_16.dequantize().T, rtol=1e-4, atol=1e-4)

# %% [markdown]
# Short names are usual: **W16A8** is 16 bits for weights (W) and 8 for activations (A). So W16A8 is the article's
# advice. Is it good? With W8A8 the product above has some SQNR (lesson 02: how far the noise lies below the signal, in
# dB). Doubling the bits of the weights gives *them* 48 dB more. How many dB more does the **product** get?

# %%
my_guess = ...  # dB


# %%
def product_sqnr(weight_bits, activation_bits):
    w_q, x_q = article.repaired_mixed_precision_quantization(w, x, weight_bits, activation_bits)
    return sqnr(x @ w.T, x_q.dequantize() @ w_q.dequantize().T)


reveal(my_guess, product_sqnr(16, 8) - product_sqnr(8, 8), unit="dB")

# %%
for weight_bits, activation_bits in ((16, 8), (8, 8), (4, 8), (4, 16)):
    print(f"W{weight_bits}A{activation_bits:<3} {product_sqnr(weight_bits, activation_bits):5.1f} dB")
assert product_sqnr(16, 8) - product_sqnr(8, 8) < 8
assert abs(product_sqnr(4, 16) - product_sqnr(4, 8)) < 1

# %% [markdown]
# The noise of both sides adds up in the product, so **the worse side decides**. Bits beyond it are wasted: on the
# weights in W16A8, on the activations in W4A16. (Wasted for the error. Section 2 says what W4A16 is good for.) Where
# neither side is worse, as in W8A8, taking away one of two equal noises halves the power: 10·log₁₀ 2 = 3 dB.
#
# ## 2 · The whole network
#
# `quantize_network` does this for every layer: weights symmetric with one scale per output channel, activations with
# one scale per tensor, ranges from 500 training images. Here **A16 means codes of 16 bits**; engines often use float16
# there, which keeps 11 significant bits. Either way activations lose next to nothing.

# %%
seen = calibrate(network, data.to_float(train.images[:500]), title="")


def predict(run, n, start=0):
    """The class that `run` gives to each of n test images, the first ones or those from `start` on."""
    in_batches = over_batches(lambda batch: run(batch)["logits"].argmax(1), images[start : start + n])
    return np.concatenate(list(in_batches))


def logits_of(some_network, n):
    """Its logits for the first n test images."""
    return np.concatenate(list(over_batches(lambda batch: some_network.run(batch)["logits"], images[:n], 50)))


def quantized(weight_bits, activation_bits, **ranges):
    return quantize_network(network, seen, weight_bits=weight_bits, activation_bits=activation_bits, **ranges)


# %% [markdown]
# Accuracy is the share of right answers. First a pair that every engine runs fast, W8A8, on all 10,000 test images. The
# float network is right on 94.12 %. What does W8A8 lose, in points (hundredths)?

# %%
my_guess = ...  # points

# %%
in_float = engines.OnnxRuntime(export.float_model(network), threads=os.cpu_count())
predicted = {"float32": engines.predict(in_float, images)}
if engines.engine_saturates():  # this CPU cannot multiply eight bits exactly (lesson 06, section 8): simulate
    predicted["W8A8"] = predict(quantized(8, 8).simulate, 10_000)
else:
    in_int8 = engines.OnnxRuntime(export.qdq_model(quantized(8, 8)), threads=os.cpu_count())
    predicted["W8A8"] = engines.predict(in_int8, images)
loss_8 = bootstrap_difference(predicted["float32"], predicted["W8A8"], labels)

reveal(my_guess, 100 * loss_8.value, unit="points", digits=2)
assert abs(loss_8.value) <= 0.001

# %% [markdown]
# Three hundredths of a point, and even that may be luck. To see how much luck, draw 10,000 images *from these 10,000*,
# with repetition, and compute the difference again; do it many times. The middle 95 % of the results are a **bootstrap
# interval**. Both networks are compared on the same images, so images that both get right do not blur it.

# %% tags=["nbval-ignore-output"]
print("float32 − W8A8, with 95 % interval:", loss_8)
assert loss_8.low < 0 < loss_8.high  # no difference that these images could show

# %% [markdown]
# Now fewer bits, on the first 1,000 test images. One of the four rows below answers like a die with ten faces. Is it
# W16A8, W4A8, W4A16 or W2A16?

# %%
my_guess = ...  # one of the four, in quotes

# %%
pairs = ((16, 8), (4, 8), (4, 16), (2, 16))
classes_1000 = {f"W{a}A{b}": predict(quantized(a, b).simulate, 1000) for a, b in pairs}
on_1000 = {name: accuracy(classes, labels[:1000]) for name, classes in classes_1000.items()}

reveal(my_guess, min(on_1000, key=lambda name: on_1000[name].value))

# %% tags=["nbval-ignore-output"]
print(f"{'float32':8}", accuracy(predicted["float32"][:1000], labels[:1000]))
for name, share in on_1000.items():
    print(f"{name:8}", share)
assert on_1000["W2A16"].value < 0.3
assert np.unique(quantized(2, 16).codes["conv6"]).tolist() == [-1, 0, 1]
assert min(on_1000[name].value for name in ("W16A8", "W4A8", "W4A16")) > 0.93

# %% [markdown]
# (In brackets: the interval of each share by itself.) With two bits a weight is −1, 0 or 1 times its scale, and the
# network falls apart. Four bits cost little, and W4A8 is as good as W4A16.
#
# What is W4A16 for, then? Look at the bytes. How much smaller than that of W4A16 is the file of W4A8, in percent?

# %%
my_guess = ...  # percent

# %%
bytes_a16, bytes_a8 = quantized(4, 16).nbytes(), quantized(4, 8).nbytes()

reveal(my_guess, 100 * (1 - bytes_a8 / bytes_a16), unit="%")
assert bytes_a8 == bytes_a16

# %% [markdown]
# Not at all: activations are not in the file. **Weight bits make the file small; activation bits make the arithmetic
# cheap.** W8A8 lets the CPU multiply 8-bit integers (lesson 06). W4A16 is for networks that spend their time *reading
# weights*, such as language models that answer one person: weights travel in 4 bits and are multiplied in 16.
#
# ## 3 · Weights or activations: which hurts?
#
# Take bits from one side at a time, the other one keeps 16, on 400 test images. At 3 bits, which side loses more?

# %%
my_guess = ...  # "weights" or "activations"

# %%
few_bits = (8, 4, 3, 2)
share_400 = lambda run: float((predict(run, 400) == labels[:400]).mean())  # noqa: E731
curves = {
    "weights, one scale per channel": [share_400(quantized(b, 16).simulate) for b in few_bits],
    "activations, one scale per tensor": [share_400(quantized(16, b).simulate) for b in few_bits],
}
by_weights, by_activations = curves.values()

reveal(my_guess, "activations" if by_activations[2] < by_weights[2] else "weights")

# %% tags=["nbval-ignore-output"]
for name, shares in curves.items():
    print(f"{name:34}", "   ".join(f"{b} bits {share:.0%}" for b, share in zip(few_bits, shares)))
assert by_activations[2] < by_weights[2] - 0.2
assert by_activations[3] > by_weights[3]

# %% [markdown]
# (At 2 bits the order turns: weights are then 1 of 3 values, activations 1 of 4.) Why do activations fail so early? An
# activation has one scale for all its channels, and a few values far above the rest set it:

# %%
values = network.run(images[:100])
for name in ("conv2", "conv4", "conv6"):
    ratio = values[name].max() / np.quantile(values[name], 0.999)
    print(f"{name}: the largest value is {ratio:.1f} times as large as 99.9 % of all")
    assert ratio > 1.9

# %% [markdown]
# Half of the codes serve one value in a thousand. Lesson 03 has a cure: choose the range with the smallest mean squared
# error (MSE), and let the few saturate. Here it is for both sides, with 3 bits. Does it help the **weights** too?

# %%
my_guess = ...  # "yes" or "no"

# %%
seen_by_mse = calibrate(network, data.to_float(train.images[:100]), MSE(), title="")
curves["activations, MSE ranges"] = [
    share_400(quantize_network(network, seen_by_mse, weight_bits=16, activation_bits=b).simulate) for b in few_bits
]
weights_by_mse = share_400(quantized(3, 16, weight_observer=MSE(axis=0)).simulate)

reveal(my_guess, "yes" if weights_by_mse > by_weights[2] else "no")

# %% tags=["nbval-ignore-output"]
print(f"3-bit activations: {by_activations[2]:.0%} with min-max, {curves['activations, MSE ranges'][2]:.0%} with MSE")
print(f"3-bit weights:     {by_weights[2]:.0%} with min-max, {weights_by_mse:.0%} with MSE")
assert curves["activations, MSE ranges"][2] > by_activations[2] + 0.2
assert weights_by_mse < by_weights[2] + 0.01

# %% tags=["nbval-ignore-output"]
# alt: Share of right answers against bits, 2 to 8, three lines. All are near 94 percent at 8 bits and above 90 at 4. At
# 3 bits weights and activations with MSE ranges still reach 90 percent, activations with min-max ranges about 55. At 2
# bits weights are near chance, the activations near 40 percent, and with MSE ranges near 80.
mixed_plots.accuracy_against_bits(
    few_bits, curves, float((predicted["float32"][:400] == labels[:400]).mean()), "Take bits from one side only"
)

# %% [markdown]
# The cure saves activations and does not help the weights, although it does what it promises:

# %%
w6 = network.weights["conv6"]
by_rule = {}
for name, observer in {"min-max": MinMax(axis=0), "MSE": MSE(axis=0)}.items():
    w6_scheme = observer.observe(w6).fit(3)
    by_rule[name] = sqnr(w6, w6_scheme.dequantize(w6_scheme.quantize(w6)))
    print(f"conv6 with 3 bits, {name:8} {by_rule[name]:4.1f} dB")
assert by_rule["MSE"] > by_rule["min-max"] + 3

# %% [markdown]
# The weights came out *closer* to what they were, and the network got no better. (That it got worse, 400 images only
# suggest.) What does it: the rounding, or the
# clipping (lesson 03) of the largest weights? Clip all layers at their MSE ranges, and do not round at all:


# %%
def clipped(weight):
    limits = 3 * MSE(axis=0).observe(weight).fit(3).scale  # the largest code times the scale of each channel
    limits = limits.reshape(-1, *[1] * (weight.ndim - 1))
    return np.clip(weight, -limits, limits)


clipped_weights = {name: clipped(weight) for name, weight in network.weights.items()}
only_clipped = type(network)(network.name, network.layers, clipped_weights, network.biases)
share_clipped = share_400(only_clipped.run)

kept = (clipped_weights["conv6"] * w6).sum() / (w6 * w6).sum()
print(f"{np.mean(clipped_weights['conv6'] != w6):.0%} of the weights of conv6 are clipped,")
print(f"and its answer to its own pattern falls by {1 - kept:.0%}")

# %% tags=["nbval-ignore-output"]
print(f"clipped, not rounded: {share_clipped:.0%}")
assert share_clipped < by_weights[2]
assert 0.05 < 1 - kept < 0.12

# %% [markdown]
# Clipping alone loses more than rounding with min-max did. Rounding errors have both signs and largely cancel in a sum
# over hundreds of weights. Clipping errors all point one way: every channel answers more weakly to just the pattern
# that it looks for.
#
# The error of a tensor is not the loss of the network. From here on, ask the network.
#
# ## 4 · One layer at a time
#
# So far all layers had the same bits. Now each gets its own bits for its **weights**; activations stay as they are, in
# float32 while we measure and in 8 bits from section 7 on. **Sensitivity** of a layer: what the network loses when only
# this layer gets few bits. To see small losses, compare probabilities, not answers. The softmax of the logits gives
# each class a probability p; the quantized network gives q. Their **divergence** (Kullback–Leibler) is
#
# $$ D = \sum_{\text{classes}} p \,\log\frac{p}{q}. $$
#
# It is 0 when both agree and grows as they part; its unit is the nat. It needs no labels. By hand, for one layer:

# %%
only_conv6 = {**network.weights, "conv6": mixed.round_weights(network, 3).weights["conv6"]}
with_3_bits = type(network)(network.name, network.layers, only_conv6, network.biases)

exact_logits = network.run(calibration)["logits"]
by_hand = mixed.divergence(exact_logits, with_3_bits.run(calibration)["logits"]).mean()
print(f"conv6 alone with 3 bits: {by_hand:.5f} nats")

# %% [markdown]
# `conv6` holds half of all weights. Which of the seven layers is the **most** sensitive at 3 bits?

# %%
my_guess = ...  # "conv1", "conv2", ..., "conv6" or "logits"

# %%
measured = mixed.measured_sensitivity(network, calibration, title="")
at_3_bits = {name: row[3] for name, row in measured.items()}

reveal(my_guess, max(at_3_bits, key=at_3_bits.get))

# %%
for name, nats in sorted(at_3_bits.items(), key=lambda item: -item[1]):
    print(f"{name:8} {network.weights[name].size:7,} weights   {nats:.4f} nats")
assert np.isclose(at_3_bits["conv6"], by_hand, rtol=0.01)
assert at_3_bits["conv1"] > 50 * at_3_bits["conv6"]
for b in (3, 4, 5, 6, 8):
    assert max(measured, key=lambda name: measured[name][b]) == "conv1"
    assert min(measured, key=lambda name: measured[name][b]) == "conv6"
assert measured["conv3"][2] > 5 * measured["conv1"][2]  # the order at 2 bits is another
assert measured["conv1"][3] > measured["conv1"][2]
assert w6.size > sum(weight.size for weight in network.weights.values()) / 2

# %%
# alt: A map of seven layers by six numbers of bits with the divergence in each cell. It falls from left to right, from
# about one nat at 2 bits to a millionth at 8. The row of conv6 is the darkest from 3 bits on, that of conv1 the
# brightest.
mixed_plots.sensitivity(measured, "How sensitive each layer is")

# %% [markdown]
# **From 3 bits up** the smallest layer, `conv1`, is the most sensitive, and the largest, `conv6`, the least. That is
# luck worth having, not a law of size: `logits`, second smallest, is among the least sensitive. And at 2 bits the order
# turns: `conv2` to `conv5` lose about a nat each, `conv1` less than a tenth of that. Its 3 bits are even *worse* than
# 2, on other images too. Why, we do not know. Measured losses need not fall with every bit.
#
# ## 5 · Two ways to predict it
#
# Measuring took a run per layer and number of bits. Large networks want something cheaper.
#
# **Noise.** The noise of the weights relative to their signal, Σ(ŵ − w)²/Σw², which is SQNR without the logarithm. No
# image is needed at all.
#
# **Fisher.** How strongly does the answer depend on each weight? The gradient g of −log p says it. With F the mean of
# g² over images (the diagonal of the **Fisher information**), a small change of the weights costs about
#
# $$ D \approx \tfrac12 \sum F\,(\hat w - w)^2. $$
#
# Two weights with F = 4 and F = 0.01, each off by 0.1: D ≈ ½ · (4 · 0.01 + 0.01 · 0.01) ≈ 0.02. The first decides.
#
# One backward pass per image serves all layers and bits. The class for −log p is drawn from the network's own
# probabilities: D compares the network with itself, not with the truth, so what *it* expects has to weigh the
# gradients, and no labels are needed. (HAWQ uses second derivatives, the Hessian, in the place of F.)

# %%
p = np.exp(exact_logits - exact_logits.max(1, keepdims=True))
p /= p.sum(1, keepdims=True)
drawn = (p.cumsum(1) > np.random.default_rng(0).uniform(size=(len(p), 1))).argmax(1)

fisher = mixed.fisher_sensitivity(network, mixed.fisher_diagonal(network, calibration, drawn))
noise = mixed.noise_sensitivity(network)

# %%
print("nats with 3 bits   measured    Fisher     (noise, no unit)")
for name in measured:
    print(f"{name:16} {measured[name][3]:10.4f} {fisher[name][3]:10.4f} {noise[name][3]:10.3f}")

# %% [markdown]
# Which prediction orders whole networks best? The truth: give each layer bits at random, 3 to 8, run the network on
# test images, and measure. Each table predicts the loss as the *sum* of its entries. A **rank correlation** compares
# two orders: 1 for the same order, 0 for none. Which table comes out worst?

# %%
my_guess = ...  # "measured", "Fisher" or "noise"

# %%
tables = {"measured": measured, "Fisher": fisher, "noise": noise}
exact_100 = logits_of(network, 100)


def random_trials(choices):
    """24 networks with random bits: what each table predicts, and what happens on 100 test images."""
    rng = np.random.default_rng(1)
    trials = [dict(zip(measured, rng.choice(choices, 7).tolist())) for _ in range(24)]
    rounded = [mixed.round_weights(network, trial) for trial in trials]
    logits = [logits_of(each, 100) for each in rounded]
    truth = [mixed.divergence(exact_100, each).mean() for each in logits]
    return {name: [allocation.total(table, trial) for trial in trials] for name, table in tables.items()}, truth


sums, truth = random_trials([3, 4, 5, 6, 8])
ranks = {name: spearmanr(values, truth).statistic for name, values in sums.items()}

reveal(my_guess, min(ranks, key=ranks.get))

# %% tags=["nbval-ignore-output"]
print({name: f"{rank:.2f}" for name, rank in ranks.items()})
assert min(ranks, key=ranks.get) == "noise"
assert min(ranks["measured"], ranks["Fisher"]) > 0.7

# %% tags=["nbval-ignore-output"]
# alt: Three panels of 24 dots each, measured divergence against prediction, both logarithmic. Under measured and Fisher
# the dots rise along a band; under noise they scatter widely.
mixed_plots.predictions(sums, truth, "Random bits per layer: what the tables predict, and what happens")

# %% [markdown]
# Noise sees neither that `conv6` hardly matters nor that `conv1` matters most. Measured and Fisher both order well (24
# networks cannot tell which is better), and adding up single layers is good enough for that. Fisher has an end, though.
# It is made for **small** changes. Draw again, with 2 bits among the choices:

# %%
with_2_bits, truth_2 = random_trials([2, 3, 4, 5, 6, 8])
ranks_2 = {name: spearmanr(values, truth_2).statistic for name, values in with_2_bits.items()}

print("conv6, 2 bits: measured {:.3f}, Fisher {:.3f} nats".format(measured["conv6"][2], fisher["conv6"][2]))
print("conv6, 4 bits: measured {:.5f}, Fisher {:.5f} nats".format(measured["conv6"][4], fisher["conv6"][4]))
print({name: f"{rank:.1f}" for name, rank in ranks_2.items()})
assert ranks_2["measured"] > max(ranks_2["Fisher"], ranks_2["noise"]) + 0.1
assert measured["conv6"][2] > 10 * fisher["conv6"][2]
assert 1 / 3 < measured["conv6"][4] / fisher["conv6"][4] < 3

# %% [markdown]
# Two bits are no small change, and there Fisher orders no better than noise. The measured table still does, so it is
# the one to allocate by.
#
# ## 6 · Divide a budget
#
# A budget of bytes, a table of losses, a table of bytes: which bits for which layer? Begin on paper. Two layers, and
# 100 bytes to spend beyond 2 bits each:
#
# | layer | 4 bits take | and lower the loss by |
# |---|---|---|
# | a | 100 bytes | 100 |
# | b | 1 byte | 8 |
#
# The **greedy** way takes, again and again, the step that lowers the loss most per byte and still fits. How much of the
# loss, 108 at first, is left when it stops?

# %%
my_guess = ...  # a number

# %%
two_losses = {"a": {2: 100.0, 4: 0.0}, "b": {2: 8.0, 4: 0.0}}
two_sizes = {"a": {2: 0, 4: 100}, "b": {2: 0, 4: 1}}
greedy_two = allocation.greedy(two_losses, two_sizes, 100)
exact_two = allocation.exact(two_losses, two_sizes, 100)

reveal(my_guess, allocation.total(two_losses, greedy_two), digits=0)

# %%
print("greedy", greedy_two, "leaves", allocation.total(two_losses, greedy_two))
print("exact ", exact_two, "leaves", allocation.total(two_losses, exact_two))
assert allocation.total(two_losses, greedy_two) > allocation.total(two_losses, exact_two)

# %% [markdown]
# Greedy buys b, 8 for one byte, and has 99 bytes left: not enough for a.
#
# The **exact** way goes through the layers once and keeps a list of states (bytes so far, loss so far). Each new layer
# multiplies the list by its choices. Then a state goes if another one has no more bytes *and* no more loss: whatever
# follows, it would stay behind. This is **dynamic programming**, in full:


# %%
def best_loss(losses, layer_bytes, budget):
    states = [(0, 0.0)]  # bytes and loss of the layers so far
    for name, row in losses.items():
        longer = sorted((size + layer_bytes[name][b], loss + row[b]) for size, loss in states for b in row)
        states = []
        for size, loss in longer:  # by growing size: keep what is better than all smaller ones
            if size <= budget and (not states or loss < states[-1][1]):
                states.append((size, loss))
    return states[-1][1]


sizes = mixed.weight_bytes(network)  # packed codes and 4 bytes per scale
budget_4 = sum(row[4] for row in sizes.values())  # what 4 bits everywhere take
print(f"{budget_4:,} bytes: loss {best_loss(measured, sizes, budget_4):.5f} nats")

# %% [markdown]
# Is it really the best? Try **all** allocations. There are seven layers with six choices each. How many is that?

# %%
my_guess = ...  # allocations

# %%
every = 6**7
reveal(my_guess, every, digits=0)

# %% tags=["nbval-ignore-output"]
best_of_all = allocation.brute_force(measured, sizes, budget_4)
dynamic = allocation.exact(measured, sizes, budget_4)
by_library = allocation.by_integer_program(measured, sizes, budget_4)  # scipy's milp: a solver by others

print("by trying all:         ", best_of_all)
print("by dynamic programming:", dynamic)
assert dynamic == best_of_all
assert np.isclose(allocation.total(measured, dynamic), best_loss(measured, sizes, budget_4))
assert np.isclose(allocation.total(measured, dynamic), allocation.total(measured, by_library), rtol=1e-6)

# %% [markdown]
# The same. Now for fifty budgets, with greedy beside it:

# %% tags=["nbval-ignore-output"]
scale_bytes = 4 * sum(len(weight) for weight in network.weights.values())
weight_count = sum(weight.size for weight in network.weights.values())


def budget_for(average):
    """Bytes for `average` bits per weight, and the scales."""
    return int(average * weight_count / 8) + scale_bytes


times = {}  # by average bits: how many times the best loss greedy leaves
for average in np.linspace(2.1, 7, 50):
    losses = {}
    for way in (allocation.exact, allocation.greedy, allocation.by_integer_program):
        losses[way.__name__] = allocation.total(measured, way(measured, sizes, budget_for(average)))
    times[average] = losses["greedy"] / losses["exact"]
    assert losses["greedy"] >= losses["exact"]
    assert np.isclose(losses["exact"], losses["by_integer_program"], rtol=1e-6)

*others, worst = sorted(times, key=times.get)
print(f"greedy leaves the best for {np.mean(np.isclose(list(times.values()), 1)):.0%} of the budgets")
print(f"in {len(others)} of 50 cases at most {times[others[-1]]:.2f} times that,")
print(f"and with {worst:.1f} bits on average {times[worst]:.1f} times:")
for way in (allocation.exact, allocation.greedy):
    print(f"  {way.__name__:6}", way(measured, sizes, budget_for(worst)))
assert times[others[-1]] < 1.4
assert times[worst] > 1.5

# %% [markdown]
# Greedy is often right, mostly close, and once far off: it gave early bits to small layers, and no room was left to
# take half of the network, `conv6`, from 2 bits to 3. With a handful of layers there is no reason to use it.
#
# Move the budget: bars are as wide as a layer has weights and as high as it has bits, so their **area** is memory.


# %%
def bits_at(average_bits):
    chosen = allocation.exact(measured, sizes, budget_for(average_bits))
    counts = {name: weight.size for name, weight in network.weights.items()}
    return mixed_plots.bits_by_layer(counts, chosen, f"The best bits for {average_bits:.2f} per weight")


# %% tags=["nbval-ignore-output"]
widgets.play(bits_at, average_bits=(2.2, 7.0, 3.5))

# %% [markdown]
# Without a running kernel the slider does not move. Here is its position 4.5. (`conv1` and `logits` are
# so narrow that they are hard to see.)

# %%
# alt: Bars side by side, as wide as the layers have weights. conv6 takes the right half and has the lowest bar, 3 bits;
# the layers before it have 6 bits, conv1 and logits 8. A dashed line marks the average, about 4.5.
bits_at(4.5)

# %% [markdown]
# ## 7 · Does it pay?
#
# Two networks with 8-bit activations, on 4,000 test images. Uniform: 4 bits everywhere. Mixed: the best bits for *the
# same bytes*, codes and scales. By how many points does the mixed one beat 4 bits everywhere?

# %%
my_guess = ...  # points

# %%
predicted["W4A8"] = np.concatenate([classes_1000["W4A8"], predict(quantized(4, 8).simulate, 3000, start=1000)])
predicted["mixed 4"] = predict(quantized(dynamic, 8).simulate, 4000)


def better_by(name, other, n=4000):
    """By how much `name` is better than `other` on the first n test images, with its interval."""
    return bootstrap_difference(predicted[name][:n], predicted[other][:n], labels[:n])


reveal(my_guess, 100 * better_by("mixed 4", "W4A8").value, unit="points", digits=2)

# %% [markdown]
# 4 bits everywhere is a weak opponent, though. An old rule of thumb needs no search at all: the **first and the last
# layer get 8 bits**, the rest 4. Here that takes 784 bytes more, half a percent. Do these images show that the mixed
# network beats this one too (the whole interval above zero)?

# %%
my_guess = ...  # "yes" or "no"

# %%
first_last = {**dict.fromkeys(sizes, 4), "conv1": 8, "logits": 8}
predicted["first/last 8"] = predict(quantized(first_last, 8).simulate, 4000)

reveal(my_guess, "yes" if better_by("mixed 4", "first/last 8").low > 0 else "no")

# %% tags=["nbval-ignore-output"]
exact_200, nats = logits_of(network, 200), {}
print(f"{'':12}   bytes    nats   better than W4A8 by")
rows = {"W4A8": dict.fromkeys(sizes, 4), "first/last 8": first_last, "mixed 4": dynamic}
for name, bits in rows.items():
    nats[name] = mixed.divergence(exact_200, logits_of(mixed.round_weights(network, bits), 200)).mean()
    gain = "" if name == "W4A8" else better_by(name, "W4A8")
    print(f"{name:12} {allocation.total(sizes, bits):7,}  {nats[name]:.4f}   {gain}")

print("\nmixed 4 is better than first/last 8 by", better_by("mixed 4", "first/last 8"))
print("mixed 4 is better than float32 by     ", better_by("mixed 4", "float32"))
assert better_by("float32", "W4A8").value < 0.015
assert better_by("mixed 4", "W4A8").low > 0
assert 0 < better_by("first/last 8", "W4A8").value < better_by("mixed 4", "W4A8").value
assert better_by("mixed 4", "first/last 8").low < 0 < better_by("mixed 4", "first/last 8").high
assert nats["first/last 8"] > 2 * nats["mixed 4"]
assert better_by("float32", "mixed 4").low < 0 < better_by("float32", "mixed 4").high

# %% [markdown]
# Both things are true. W4A8 loses half a point, dividing the same bytes better wins it back, and that is not luck: the
# whole interval lies above zero. But the rule of thumb brings about two thirds of that gain with no search, and by
# right answers these images cannot tell the two apart. By divergence (here on 200 images) they can: the mixed network
# stays several times closer to the float one. So try the rule first; search when it does not fit or does not do.
#
# Could better ranges for the 4-bit weights have done the same, at no cost in bytes? Both on 2,000 images:

# %% tags=["nbval-ignore-output"]
predicted["W4A8, MSE ranges"] = predict(quantized(4, 8, weight_observer=MSE(axis=0)).simulate, 2000)
for name in ("W4A8, MSE ranges", "mixed 4"):
    print(f"{name:16} is better than W4A8 by", better_by(name, "W4A8", 2000))
assert better_by("W4A8, MSE ranges", "W4A8", 2000).low < 0
assert better_by("mixed 4", "W4A8", 2000).low > 0

# %% [markdown]
# On the same images one gain is clear, and the interval of the other reaches below zero: allocation helps here, and
# that calibration helps could not be shown. (Nor that it does not: 2,000 images are too few for a small gain.)
#
# ## 8 · Accuracy against bytes
#
# A model **beats** another when it is no larger and no worse, and in one of the two truly better. What no other beats
# is the **Pareto front**; only from there would you choose. Here uniform bits and mixed ones, on the first 1,000 test
# images:

# %%
share_1000 = lambda classes: float((classes[:1000] == labels[:1000]).mean())  # noqa: E731
uniform, best = {}, {}
for b in (3, 4, 5, 8):
    classes = predicted[f"W{b}A8"] if f"W{b}A8" in predicted else predict(quantized(b, 8).simulate, 1000)
    uniform[f"{b}"] = (sum(row[b] for row in sizes.values()) / 1024, share_1000(classes))
for average in (2.5, 3.0, 3.5, 4.0, 4.5):
    bits = allocation.exact(measured, sizes, budget_for(average))
    classes = predicted["mixed 4"] if bits == dynamic else predict(quantized(bits, 8).simulate, 1000)
    best[f"{average}"] = (allocation.total(sizes, bits) / 1024, share_1000(classes))

# %% tags=["nbval-ignore-output"]
candidates = {f"uniform {name}": point for name, point in uniform.items()}
candidates |= {f"mixed {name}": point for name, point in best.items()}
names = list(candidates)
on_front = [names[i] for i in allocation.pareto_front(*zip(*candidates.values()))]

for name, (kib, share) in candidates.items():
    print(f"{name:12} {kib:6.1f} KiB  {share:.2%}  {'on the front' if name in on_front else ''}")
assert candidates["mixed 3.0"][1] > candidates["uniform 3"][1] + 0.01
assert "uniform 3" not in on_front
assert "uniform 4" not in on_front
assert candidates["mixed 3.5"][1] > candidates["uniform 4"][1] - 0.005

# %% tags=["nbval-ignore-output"]
# alt: Share of right answers against kibibytes. Mixed candidates rise steeply from 89 KiB to 125 KiB, then stay flat.
# Uniform 3 lies several points below the mixed one of its size, uniform 4 and 5 slightly below the mixed ones. A step
# line joins the front, which ends at uniform 8.
mixed_plots.front(
    {"uniform": uniform, "mixed": best},
    {name.split()[1] for name in on_front},
    share_1000(predicted["float32"]),
    "Accuracy against bytes, 8-bit activations",
)

# %% [markdown]
# Mixed bits move the edge of the cliff: 3.5 bits do what 4 did. Beyond it neighbours differ by a few photographs of
# 1,000; there a front says little, and an interval says more.
#
# One thing before you do this to a model of your own. Only *weights* were divided here, and only by *bytes*: all
# activations have one number of bits, and nothing was said about time. Common engines compute convolutions with 8
# bits; codes of 3, 5 or 6 bits are unpacked to 8 when such a network is loaded. It is smaller to store and to send,
# not faster.
#
# ## 9 · How do I choose the precision for my model?
#
# You now have every part of a procedure. It asks for two numbers, the bytes that you can spend and the points that you
# can lose, and takes the *simplest* thing that passes. There are **three** verdicts: a loss passes when the upper end
# of its interval is within what you can lose, it is too much when even the lower end is not, and else *these images
# cannot decide*.
#
# 1. W8A8. It passes? Done: it is fast everywhere and needs no search.
# 2. Too large? First and last layer 8 bits, the rest 4. Still no search.
# 3. Too large or too much lost? Measure sensitivities on calibration images, allocate exactly, try it.
# 4. The images cannot decide? Take more. An interval half as wide needs four times as many.
# 5. Too much lost for sure? Compare with 16-bit activations, on the same images. If they are surely better, activations
#    have a part in it: calibrate them (section 3) or pay for A16. If not, more weight bits, training with quantization
#    (lesson 10, planned), or a smaller network.
#
# The images by which you choose cannot judge what you chose: the more you try on them, the luckier the winner. So the
# procedure decides on the first 2,000 test images, and the winner meets 2,000 others, **once**.


# %%
def candidates_within(budget):
    """Bits of the weights by name, the simplest first; W8A8 alone if it fits, for the others have fewer bits."""
    fits = lambda bits: allocation.total(sizes, bits) <= budget  # noqa: E731
    if fits(dict.fromkeys(sizes, 8)):
        return {"W8A8": dict.fromkeys(sizes, 8)}
    fitting = {"first/last 8": first_last} if fits(first_last) else {}
    if fits(dict.fromkeys(sizes, 2)):
        fitting["mixed"] = allocation.exact(measured, sizes, budget)
    return fitting


def choose_precision(budget, allowed_points, n=2000):
    """The choice in words, the steps that led to it, and the bits of weights and activations (None if none)."""
    steps, verdict = [f"on the first {n:,} images:"], "too large"
    exact_classes, fitting = predicted["float32"][:n], candidates_within(budget)
    if "W8A8" not in fitting:
        steps += [f"{name} is too large" for name in ("W8A8", "first/last 8") if name not in fitting]

    for name, bits in fitting.items():
        known = predicted.get(name, [])
        classes = known[:n] if len(known) >= n else predict(quantized(bits, 8).simulate, n)
        loss = bootstrap_difference(exact_classes, classes, labels[:n])
        verdict = "passes" if 100 * loss.high <= allowed_points else "these images cannot decide"
        verdict = "too much" if 100 * loss.low > allowed_points else verdict
        steps.append(
            f"{name} {list(bits.values())}, {allocation.total(sizes, bits) / 1024:.0f} KiB, loses {loss}: {verdict}"
        )
        if verdict == "passes":
            return f"W{mixed.average_bits(network, bits):.1f}A8" if name == "mixed" else name, steps, (bits, 8)

    if verdict == "too large":
        return "a smaller network", steps, None
    if verdict != "too much":
        return "more images", steps, None
    with_a16 = bootstrap_difference(predict(quantized(bits, 16).simulate, n), classes, labels[:n])
    steps.append(f"A16 is better than A8 by {with_a16}")
    if with_a16.low > 0:
        return "better activation ranges or A16, then once more", steps, None
    return "more bytes, training with quantization, or a smaller network", steps, None


# %% [markdown]
# Someone has 130 KiB, less than 4 bits for every weight (there are 287,264), and can lose one and a half points. Does
# the procedure find a precision?

# %%
my_guess = ...  # "yes" or "no"

# %%
choice, path, chosen_bits = choose_precision(130 * 1024, 1.5)

reveal(my_guess, "yes" if choice.startswith("W") else "no")

# %% tags=["nbval-ignore-output"]
print(*path, f"→ {choice}", sep="\n")
assert choice.startswith("W3")

# %% [markdown]
# It decided by images that it has now used up. The judge's images, for the first and only time:

# %% tags=["nbval-ignore-output"]
fresh = slice(5000, 7000)  # no quantized network but W8A8 has seen them in this lesson
judged = predict(quantized(*chosen_bits).simulate, 2000, start=5000)
judgement = bootstrap_difference(predicted["float32"][fresh], judged, labels[fresh])
print(f"{choice} on 2,000 other images loses {judgement}")
assert 100 * judgement.high < 1.5

# %% [markdown]
# It holds. Now someone with plenty of room, 300 KiB, who is strict: no more than 0.2 points. On 2,000 images, and then
# on all 10,000 (W8A8 is the only candidate, so no lucky winner is picked):

# %% tags=["nbval-ignore-output"]
for n in (2000, 10_000):
    strict_choice, strict_path, _ = choose_precision(300 * 1024, 0.2, n)
    print(*strict_path, f"→ {strict_choice}", sep="\n")
assert strict_choice == "W8A8"

# %% [markdown]
# Two thousand images cannot see two tenths of a point. That is no reason to train a network anew: with more images the
# same W8A8 passes.
#
# Your turn: what do *you* need? Smaller and stricter numbers lead down the other paths. (You may turn them as often as
# you like, for that is choosing. Judge once.)

# %% tags=["nbval-ignore-output"]
my_kib, my_points = 300, 1.0

my_choice, my_path, my_bits = choose_precision(int(my_kib * 1024), my_points)
print(*my_path, f"→ {my_choice}", sep="\n")

# %% [markdown]
# For a model of your own, the same steps hold with your images and your measure of quality. Two rules keep the result
# honest: choose on some images and judge on others, and report the interval with the difference.
#
# ## Where this goes wrong

# %%
print(mistakes.find("one tensor rounded twice"))

# %%
print(mistakes.find("metadata forgotten in the budget"))

# %% [markdown]
# ## Key points
#
# - Mixed precision means two tensors that meet, or several layers, each with its own bits and scale.
# - In a product the worse side decides. Weight bits make the file small, activation bits the arithmetic cheap.
# - Weights and activations fail for different reasons: test each side alone, and cure the one that hurts.
# - The error of a tensor is not the loss of the network. Measure sensitivity with the network, or predict it with
#   gradients; noise alone orders layers badly.
# - Under a budget, dynamic programming is exact and fast. Greedy is neither needed nor safe.
# - Give a difference with its interval, on the same images, and count scales among the bytes.
# - Choose the simplest precision that passes: W8A8 first, then 8 bits for the first and last layer only, then a search.
# - When images cannot decide, take more of them before you change the network.
#
# ## Exercises
#
# [Exercises 07](../work/07_mixed.ipynb), 45 minutes: count bytes, repair the article's function, measure, allocate and
# choose. (`make lab` puts your own copy into `work/`.)
#
# ## Sources
#
# - Z. Dong et al., "HAWQ: Hessian AWare Quantization of Neural Networks with Mixed-Precision", ICCV 2019,
#   arXiv:1905.03696, and "HAWQ-V2", NeurIPS 2020, arXiv:1911.03852: sensitivity from second derivatives.
# - F. Kunstner, L. Balles, P. Hennig, "Limitations of the Empirical Fisher Approximation for Natural Gradient Descent",
#   NeurIPS 2019, arXiv:1905.12558: why classes are drawn from the network.
# - G. L. Nemhauser, Z. Ullmann, "Discrete Dynamic Programming and Capital Allocation", Management Science 15, 1969.
# - P. Sinha, A. A. Zoltners, "The Multiple-Choice Knapsack Problem", Operations Research 27, 1979.
# - Q. Huangfu, J. A. J. Hall, HiGHS, the solver in `scipy.optimize.milp`.
# - B. Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7, 1979.
