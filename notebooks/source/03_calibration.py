# %% [markdown]
# # 03 · Choose the range of a tensor
#
# **The question.** A quantizer needs a range. Which one, when a few values are far larger than all the others, and when
# you have seen only a small part of the data?
#
# **At the end you can**
#
# - split the error of a quantizer into clipping and rounding, and find the range where their sum is smallest;
# - choose a range by min-max, moving average, percentile, squared error, entropy or formula, and say what each is
#   blind to;
# - say what an outlier costs, and what a scale per channel or per group does about it;
# - derive the analytic clip of a density, and say how far it is from the exact optimum;
# - say how many images are enough, and recognise calibration data of the wrong kind.
#
# **You need** lesson 02: scale, zero point, saturation, SQNR.
#
# **Time**: 65 minutes of reading and guessing, 50 minutes of exercises.
#
# Guess before you look: replace `...` after `my_guess =`, run the cell, then the next one. Words go in quotes:
# `my_guess = "worse"`. `None` shows the answer without a guess.

# %%
import numpy as np
from fewerbits import data
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import fold
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.teach import calibration_plots, plots, widgets
from fewerbits.teach.predict import reveal
from fewerbits.tensor import clipping
from fewerbits.tensor.calibration import MSE, Analytic, Entropy, MinMax, MovingAverage, Percentile
from fewerbits.tensor.metrics import sqnr
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform

plots.use_style()

# %% [markdown]
# Weights are known. Activations are not: they depend on the image. **Calibration** means to run some images through
# the network, to watch the values, and to choose ranges that will serve for images still to come. So two sets of
# images are needed: `seen`, from which ranges are chosen, and `fresh`, on which they are judged. Here are all
# activations of the course's network for 50 training and 50 test images.

# %%
network = fold("vgg32", data.load_weights("vgg32"))
train, test = data.load_fashion_mnist("train"), data.load_fashion_mnist("test")
calibration_images = data.to_float(train.images[:50])

seen = network.run(calibration_images)
fresh = network.run(data.to_float(test.images[:50]))
layers = [name for name in seen if name.startswith("conv")]

for name in layers:
    x = seen[name]
    print(f"{name}: {x.size:9,} values, largest {x.max():.2f}, 99.9 % are below {np.percentile(x, 99.9):.2f}")
    assert x.min() == 0
    assert x.max() > 1.7 * np.percentile(x, 99.9)

# %% [markdown]
# Every layer is like that: the largest thousandth of the values takes half of the range for itself, in `conv2` two
# thirds.
#
# ## 1 · Two errors
#
# All these values come out of a ReLU, so the range begins at 0. Its other end, the **clip**, is to be chosen. b bits
# without a sign have the codes 0 … 2ᵇ − 1, so s = clip/(2ᵇ − 1). A value below the clip suffers **rounding** error, a
# value above it **clipping** error, none both. Take each as a mean over *all* values, and they add up:
#
# $$ \underbrace{\frac1n\sum_{x>c}(x-c)^2}_{\text{clipping}} +
#    \underbrace{\frac1n\sum_{x\le c}\bigl(x-s\,\mathrm{round}(x/s)\bigr)^2}_{\text{rounding}} =
#    \frac1n\sum (x-\hat x)^2. $$


# %%
def two_errors(x, clip, bits):
    scale = clip / (2**bits - 1)
    beyond = np.maximum(x - clip, 0)
    within = np.where(x <= clip, x - scale * np.rint(x / scale), 0)
    return np.mean(beyond**2), np.mean(within**2)


# %% [markdown]
# Twenty images of one layer are enough to try it.

# %%
x = seen["conv2"][:20].ravel().astype(np.float64)

parts = two_errors(x, clip=1.0, bits=4)
one = Uniform.from_range(0.0, 1.0, bits=4, symmetric=False, signed=False)
whole = np.mean((fake_quantize(one, x.astype(np.float32)) - x) ** 2)

print(f"clipping {parts[0]:.6f} + rounding {parts[1]:.6f} = {sum(parts):.6f}, measured {whole:.6f}")
assert np.isclose(sum(parts), whole, rtol=1e-3)

# %% [markdown]
# (The package has both as `clipping.clipping_error` and `clipping.rounding_error`, for symmetric ranges. b bits
# without a sign have 2ᵇ − 1 steps from 0 to the clip; b + 1 bits with one have 2⁽ᵇ⁺¹⁾⁻¹ − 1 of them, the same number.)

# %%
assert np.isclose(parts[0], clipping.clipping_error(x, 1.0))
assert np.isclose(parts[1], clipping.rounding_error(x, 1.0, bits=5))

# %% [markdown]
# Move the clip from small to large: clipping error falls, rounding error grows with the square of the step. Where is
# the sum smallest for 4 bits, in percent of the largest value?

# %%
my_guess = ...  # percent of the largest value

# %%
clips = np.linspace(0.2, x.max(), 60)
curves = {bits: np.array([two_errors(x, clip, bits) for clip in clips]).T for bits in (3, 4, 6, 8)}
best = {bits: clips[np.argmin(sum(pair))] for bits, pair in curves.items()}

reveal(my_guess, 100 * best[4] / x.max(), unit="%", digits=0)

# %%
for bits, pair in curves.items():
    gain = 10 * np.log10(sum(pair)[-1] / sum(pair).min())
    print(f"{bits} bits: best clip {best[bits]:.2f}, {gain:4.1f} dB better than the largest value, {x.max():.2f}")
assert best[3] < best[4] < 0.4 * x.max()
assert best[8] > 0.6 * x.max()

# %%
# alt: Clipping error falls steeply with the clip and ends at 3.3; rounding error rises slowly. The sum follows the
# first on the left and the second on the right: a valley, with its least value marked at about 1.1.
calibration_plots.error_curves(clips, *curves[4], title="4 bits: two errors, one valley")

# %% [markdown]
# One valley. (The error has a logarithmic axis, on which a square looks bent the other way.) Is there also just one
# minimum? Count the clips that are better than both their neighbours, in two layers:


# %%
def minima(total):
    return 1 + np.flatnonzero((total[1:-1] < total[:-2]) & (total[1:-1] < total[2:]))


first_layer = seen["conv1"][:20].ravel().astype(np.float64)
some = np.linspace(0.1, 1, 60) * first_layer.max()
of_conv1 = {bits: np.array([sum(two_errors(first_layer, clip, bits)) for clip in some]) for bits in (4, 8)}
of_conv2 = {bits: sum(curves[bits]) for bits in (4, 8)}
dips, highest = {}, {}
for layer, totals in (("conv1", of_conv1), ("conv2", of_conv2)):
    for bits, total in totals.items():
        dips[layer, bits] = minima(total)
        highest[layer, bits] = 10 * np.log10(total[minima(total)].max() / total.min())
        print(f"{layer}, {bits} bits: {len(minima(total))} minima, the highest {highest[layer, bits]:.1f} dB too high")
assert len(dips["conv2", 4]) == 1
assert len(dips["conv2", 8]) > 1
assert highest["conv2", 8] < 0.5
assert highest["conv1", 8] > 1

# %% [markdown]
# There may be ripples on the valley's floor, more of them with more bits. In `conv2` they cost less than half a
# decibel, in `conv1` more than one. So do not walk downhill and stop at the first minimum: **scan a grid** of clips.
#
# The floor is flat: a clip that is a little off costs little. It lies **further left the fewer bits you have**. With 8
# bits steps are fine, and saving them is not worth cutting much; with 3 bits it is worth a great deal. So there is no
# best range of a tensor. There is a best range of a tensor *and a number of bits*.
#
# ## 2 · Play: where to cut
#
# Move the clip. The left figure shows which values saturate, the right one what that costs. Then change the bits and
# look for the minimum again.


# %%
def cut(bits, clip):
    both = curves[bits] if bits in curves else np.array([two_errors(x, each, bits) for each in clips]).T
    outside = 100 * np.mean(x > clip)
    now = 10 * np.log10(np.mean(x**2) / sum(two_errors(x, clip, bits)))
    title = f"{bits} bits, clip {clip:.2f}: {outside:.3f} % of the values saturate, SQNR {now:.1f} dB"
    return calibration_plots.clip_over_histogram(x, clip, clips, *both, title=title)


# %% tags=["nbval-ignore-output"]
widgets.play(cut, bits=(2, 8, 4), clip=(0.2, float(x.max()), float(x.max())))

# %% [markdown]
# Without a running kernel the sliders do not move. Two positions, as figures:

# %%
# alt: Left, the histogram of conv2 on a logarithmic scale, falling over six decades; nothing is shaded. Right, the
# clip line at 3.3, far to the right of the minimum of the error curve. SQNR is about 11 dB.
cut(4, float(x.max()))

# %%
# alt: The same with the clip at 1.1: everything beyond it is shaded, which holds only a thin tail of the histogram,
# and the clip line passes through the minimum of the error curve. SQNR is about 19 dB.
cut(4, 1.1)

# %% [markdown]
# ## 3 · Six ways to choose
#
# You cannot keep all activations of a thousand images. An **observer** sees them batch by batch and remembers little.
# The package's observers never change: `observe(batch)` returns a new one that has seen the batch too, hence
# `observer = observer.observe(batch)`. From that, `range` gives two ends, and `fit` the quantizer for them.
#
# | observer | remembers | range |
# |---|---|---|
# | min-max | two numbers | from the smallest to the largest value |
# | moving average | two numbers | first m = m_batch, then m ← m + rate·(m_batch − m), for each extreme |
# | percentile | a histogram | the central 99.9 % of the values |
# | MSE | a histogram | the smallest sum of clipping and rounding error: section 1 |
# | entropy | a histogram | quantizing changes the histogram least |
# | analytic | mean and spread | mean ± α, within the data; α from a formula for Gauss or Laplace densities |
#
# The first four you can already judge. Entropy is taken apart later in this section, and the formula is derived in
# section 6; here they only compete. The six, as the package has them:

# %%
observers = {
    "min-max": MinMax(),
    "moving average": MovingAverage(rate=0.1),
    "percentile 99.9": Percentile(percent=99.9),
    "MSE": MSE(),
    "entropy": Entropy(),
    "analytic (Laplace)": Analytic(density="laplace", rule="aciq"),
}


def choose(observer, x, bits, batches=5):
    for batch in np.split(x, batches):
        observer = observer.observe(batch)
    return observer.fit(bits, symmetric=False, signed=False)


# %% [markdown]
# Two of them are easy to do by hand. The smallest range that holds the central 99.9 % loses half a thousandth at
# either end; the histogram's answer is at most one bin off. (After a ReLU the lower end is all zeros, so only the upper
# half thousandth is really given up.)

# %%
values = seen["conv2"]
low, high = Percentile(percent=99.9).observe(values).range(symmetric=False, signed=False)
sorted_values = np.sort(values, axis=None)
left_out = int(values.size * 0.0005)

print(f"by sorting {sorted_values[-1 - left_out]:.3f}, by histogram {high:.3f}")
assert 0 <= high - sorted_values[-1 - left_out] < 2 * values.max() / 4095
assert MinMax().observe(values).range()[1] == values.max()

# %% [markdown]
# Judge all six on all layers, at 4 bits, on the 50 images that they have *not* seen. Which has the highest SQNR on
# average?

# %%
my_guess = ...  # a name from the table

# %%
decibels = {
    bits: {
        name: [sqnr(fresh[layer], fake_quantize(choose(observer, seen[layer], bits), fresh[layer])) for layer in layers]
        for name, observer in observers.items()
    }
    for bits in (4, 8)
}
average = {bits: {name: np.mean(row) for name, row in rows.items()} for bits, rows in decibels.items()}
winner = max(average[4], key=average[4].get)

reveal(my_guess, winner)

# %%
for bits, rows in decibels.items():
    print(f"\n{bits} bits, SQNR in dB{'':4}", *(f"{layer:>6}" for layer in layers), "average")
    for name, row in rows.items():
        print(f"{name:22}", *(f"{value:6.1f}" for value in row), f"{average[bits][name]:7.1f}")

# %%
assert winner == "MSE"
assert average[8]["MSE"] > max(average[8].values()) - 0.3
for layer in range(6):
    assert all(rows["MSE"][layer] > max(row[layer] for row in rows.values()) - 1.5 for rows in decibels.values())
assert average[4]["percentile 99.9"] > average[4]["min-max"] + 4
assert average[8]["percentile 99.9"] < average[8]["min-max"] - 4
for layer, loss in ((0, 22), (1, 12)):
    assert decibels[8]["MSE"][layer] > decibels[8]["entropy"][layer] + loss
assert decibels[4]["analytic (Laplace)"][5] > decibels[4]["min-max"][5]

# %%
# alt: SQNR at 4 bits for conv1 to conv6. MSE and percentile run together on top near 20 dB, entropy one or two dB
# below, min-max and moving average four to nine dB below, the Laplace formula lowest in most layers.
calibration_plots.by_layer(decibels[4], layers, title="4 bits: six ways to choose a range")

# %% [markdown]
# Read the two tables against each other:
#
# - **Min-max** gives up nothing and pays with the step. At 8 bits that is nearly right, at 4 it throws about a bit
#   away.
# - The range of the **moving average** ends a little below that of min-max. How far depends on the batches: see the
#   next cell.
# - A **percentile** does not know the bits. The one that is right at 4 bits costs a bit and a half at 8,
#   against min-max.
# - **MSE** knows both the data and the quantizer, and is best or close to it everywhere.
# - **Entropy** is good at 4 bits. At 8 it loses 14 dB in `conv2` and 25 in `conv1`: see below.
# - The **formula** is the worst on average, though not in every layer. It takes α for a density that lies evenly on
#   both sides of its mean. Data after a ReLU have many zeros and one long side, and mean + α cuts it.
#
# The moving average began with the first of five batches of 10 images and had four steps of a tenth: the first batch
# still weighs 0.9⁴ = 0.66. Show it the same 50 images one by one:

# %%
for batches in (5, 50):
    gained = {}
    for bits in (4, 8):
        schemes = {layer: choose(observers["moving average"], seen[layer], bits, batches) for layer in layers}
        gained[bits] = np.mean([sqnr(fresh[layer], fake_quantize(schemes[layer], fresh[layer])) for layer in layers])
    print(f"{batches:2} batches of {50 // batches:2}: {gained[4]:.1f} dB at 4 bits, {gained[8]:.1f} dB at 8 bits")
    assert (gained[4] > 17) == (batches == 50)
    assert (gained[8] < 37) == (batches == 50)

# %% [markdown]
# The largest value of one image is smaller than that of ten, so the range is narrower: good at 4 bits, bad at 8. The
# result of a moving average depends on the size, the number and the order of the batches. Name them with the result.
#
# ### What entropy measures
#
# At 8 bits entropy loses 14 dB in `conv2`. Where does its range end, with 4 and with 8 bits?

# %%
for layer in ("conv1", "conv2"):
    for bits in (4, 8):
        schemes = {name: choose(observers[name], seen[layer], bits) for name in ("MSE", "entropy")}
        ends = {name: float(scheme.scale) * (2**bits - 1) for name, scheme in schemes.items()}
        print(f"{layer}, {bits} bits: MSE ends at {ends['MSE']:.2f}, entropy at {ends['entropy']:.2f}")
        assert (ends["entropy"] < 0.5 * ends["MSE"]) == (bits == 8)

# %% [markdown]
# A surprise: with **more** bits entropy cuts **deeper**, against the rule of section 1. Look at what it measures, on
# eight bins and two levels. Up to some end, the histogram is p, with all that lies beyond added to its last bin. After
# quantizing you know only how many values have each code: q shares this number evenly among the bins of the level that
# are not empty. What lies beyond is missing in q. Both are divided by their sums, and the **Kullback–Leibler
# divergence** Σ p·log(p/q) says how badly q stands for p.


# %%
def divergence(counts, level):
    """Of a histogram whose first bins have these levels, as (p, q, their divergence), without empty bins."""
    kept = counts[: len(level)].astype(np.float64)
    full = kept > 0
    q = (np.bincount(level, kept) / np.maximum(np.bincount(level, full), 1))[level][full]
    p = kept[full]
    p[-1] += counts[len(level) :].sum()
    p, q = p / p.sum(), q / q.sum()
    return p, q, np.sum(p * np.log(p / q))


tiny = np.array([8, 4, 2, 1, 0, 0, 0, 1])
for level in ([0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1]):
    p, q, measure = divergence(tiny, level)
    print(f"end after {len(level)} bins: p = {p.round(2)}, q = {q.round(2)}, divergence {measure:.3f}")
    assert np.isclose(p.sum(), 1)
    assert np.isclose(q.sum(), 1)
assert measure < divergence(tiny, [0, 0, 0, 0, 1, 1, 1, 1])[2]

# %% [markdown]
# Cut in half, each level has half as many bins, and q follows p more closely: the end after 4 bins wins, although
# the value in the last bin is cut. Now `conv2`, in 2048 bins and without its zeros, which are exact in any range.

# %%
positive = seen["conv2"][seen["conv2"] > 0]
counts, edges = np.histogram(positive, bins=2048, range=(0, positive.max()))
middles = (edges[:-1] + edges[1:]) / 2
ends = np.linspace(0.15, 1, 60) * positive.max()
measures = {bits: [] for bits in (4, 8)}
for bits, row in measures.items():
    for end in ends:
        row.append(divergence(counts, np.rint(middles[middles < end] / (end / (2**bits - 1))).astype(int))[2])
    dip, least = minima(np.array(row)), ends[np.argmin(row)]
    print(f"{bits} bits: {len(dip)} minima, the least at {least:.2f}; full range: divergence {row[-1]:.2f}")
assert ends[np.argmin(measures[8])] < ends[np.argmin(measures[4])] < 0.6 * positive.max()
assert all(len(minima(np.array(row))) > 5 for row in measures.values())
assert measures[8][-1] > measures[4][-1] / 2

# %%
# alt: Divergence against the end of the range for 4 and 8 bits. Both curves are jagged, with a dozen small minima and
# more; that of 8 bits is lower, and its least value lies further left.
calibration_plots.divergence_curves(
    ends, measures, title="Entropy's measure of conv2: many minima, further left at 8 bits"
)

# %% [markdown]
# Steps 17 times finer make the squared rounding error about 290 times smaller, but this measure of the full range not
# even two times. It looks at counts, not at distances: it wants to tell the many small values apart, and a large value
# that is cut counts once, however far it moves. So cutting still pays at 8 bits, and the ripples decide where.
#
# And the answers? Quantize the whole network, weights in 8 bits and activations in few, and let it look at 200
# photographs. In float32 95 % of these are right. With **3-bit** activations and min-max ranges?

# %%
my_guess = ...  # percent right

# %% tags=["nbval-ignore-output"]
test_images, test_labels = data.to_float(test.images[:200]), test.labels[:200]


def percent_right(calibrated, bits):
    quantized = quantize_network(network, calibrated, activation_bits=bits)
    logits = [values["logits"] for values in over_batches(quantized.simulate, test_images, batch=50)]
    return 100 * np.mean(np.concatenate(logits).argmax(axis=1) == test_labels)


right = {}
for name, observer in observers.items():
    calibrated = calibrate(network, calibration_images, observer, title="")
    right[name] = {bits: percent_right(calibrated, bits) for bits in (8, 3)}
in_float = [values["logits"] for values in over_batches(network.run, test_images, batch=50)]
right_in_float = 100 * np.mean(np.concatenate(in_float).argmax(axis=1) == test_labels)

reveal(my_guess, right["min-max"][3], unit="%", digits=0)

# %% tags=["nbval-ignore-output"]
print(f"{'float32':22}{right_in_float:6.1f} %\n{'':22}{'8 bits':>8}{'3 bits':>8}")
for name, percent in right.items():
    print(f"{name:22}{percent[8]:6.1f} %{percent[3]:6.1f} %")
    assert abs(percent[8] - right_in_float) < 2.5
assert min(right["MSE"][3], right["entropy"][3]) > right["min-max"][3] + 15

# %% [markdown]
# At 8 bits all six will do, on these photographs (one of them is half a percent): even entropy's ranges, which lost
# 14 dB in `conv2` and more in `conv1`. Decibels and right answers are two things. At 3 bits the range decides whether
# the network works. As many codes, the same bytes, the same speed: a better range costs nothing but the search.
#
# ## 4 · Outliers, planted and met
#
# Take the weights of `conv4`, 36,864 numbers up to 0.35, and plant one single 10 among them. Without it, 8 bits
# min-max reach 37 dB. How many dB are left **for all other weights**?

# %%
my_guess = ...  # dB

# %%
weights = network.weights["conv4"]
planted = weights.copy()
planted.flat[1000] = 10
others = np.arange(weights.size) != 1000


def of_the_others(scheme):
    return sqnr(weights.ravel()[others], fake_quantize(scheme, planted).ravel()[others])


by_min_max, by_percentile = (observer.observe(planted).fit(8) for observer in (MinMax(), Percentile(percent=99.9)))

reveal(my_guess, of_the_others(by_min_max), unit="dB")

# %%
without_it = sqnr(weights, fake_quantize(Uniform.fit(weights), weights))
print(f"min-max: {of_the_others(by_min_max):.1f} dB, without the 10 {without_it:.1f} dB")
print(
    f"percentile 99.9: {of_the_others(by_percentile):.1f} dB, and the 10 comes back as {by_percentile.scale * 127:.2f}"
)
assert of_the_others(by_min_max) < 10
assert of_the_others(by_percentile) > of_the_others(by_min_max) + 20

# %% [markdown]
# One value of 36,864 took five bits from all others. The percentile ignores it, and the 10 itself is lost. Is that
# good? If the 10 is a damaged number, yes. If the network needs it, no: no range serves both. And what does the MSE
# observer do?

# %%
by_mse = MSE().observe(planted).fit(8)
kept = float(by_mse.scale) * 127

print(f"MSE keeps a range of ±{kept:.1f}: {of_the_others(by_mse):.1f} dB for the others")
assert kept > 5
rounding_of_all = np.sum((fake_quantize(by_mse, weights) - weights) ** 2)
assert (10 - np.abs(weights).max()) ** 2 > rounding_of_all

# %% [markdown]
# It keeps most of the range, and rightly by its own measure: an error of nearly 10, squared and shared by 36,864
# values, is more than the rounding errors of all of them. **Squared error sees an outlier with its
# full weight.** A percentile sees one count.
#
# Where do large values come from in a real network? Look at the channels of `conv2`: where does each one's largest
# thousandth begin?

# %%
by_channel = np.moveaxis(seen["conv2"], 1, 0).reshape(32, -1)  # one row per channel
channel_ends = np.sort(np.percentile(by_channel, 99.9, axis=1))

print("99.9 % of a channel lie below:", channel_ends[:3].round(2), "...", channel_ends[-3:].round(2))
assert channel_ends[-1] > 1.8 * channel_ends[0]

# %% [markdown]
# Channels differ by a factor of two and more, and the largest one sets the range of all. A scale for each would cure
# that, if engines allowed it for activations; they do for weights. (In large language models a few channels are up to
# 20 times larger than the rest, and are the main obstacle to 8 bits.)
#
# ## 5 · One range, or many
#
# Activations get one scale per tensor, as lesson 02 said: engines sum over input channels. Weights may have one per
# output channel or per group, and pay for it: a float32 scale for 32 weights is one bit more per weight. Choose ranges
# by min-max and by least squared error for each. To search the best range of every row, try some parts of its peak and
# keep the best:


# %%
def rows_best_scale(rows, bits, parts):
    peak = np.abs(rows).max(axis=1, keepdims=True)
    qmax = 2 ** (bits - 1) - 1
    scales = np.stack([part * peak / qmax for part in parts])
    restored = np.clip(np.rint(rows / scales), -qmax, qmax) * scales
    error = np.sum((restored - rows) ** 2, axis=2)
    return restored[np.argmin(error, axis=0), np.arange(len(rows))]


kinds_of_scale = {
    "per tensor": (4, (1, -1)),
    "per channel": (4, (64, -1)),
    "per group of 32": (4, (-1, 32)),
    "per tensor, 5 bits": (5, (1, -1)),
}
searched, storage = {}, {}
for name, (bits, shape) in kinds_of_scale.items():
    rows = weights.reshape(shape)
    both = (rows_best_scale(rows, bits, parts) for parts in ([1.0], np.linspace(0.3, 1, 36)))
    searched[name] = [sqnr(rows, restored) for restored in both]
    storage[name] = bits + 32 * len(rows) / rows.size

# %% [markdown]
# At 4 bits a scale per channel gains 4.7 dB over one scale for all, both by min-max. Is one scale with a *searched*
# range better or worse than min-max per channel?

# %%
my_guess = ...  # "better" or "worse"

# %%
reveal(my_guess, "better" if searched["per tensor"][1] > searched["per channel"][0] else "worse")

# %%
print(f"{'SQNR in dB':20}{'bits per value':>15}{'min-max':>10}{'searched':>10}{'gain':>7}")
for name, (plain, best_range) in searched.items():
    print(f"{name:20}{storage[name]:15.2f}{plain:10.1f}{best_range:10.1f}{best_range - plain:7.1f}")

gains = [best_range - plain for plain, best_range in searched.values()]
assert searched["per tensor"][1] > searched["per channel"][0]
assert gains[0] > gains[1] > gains[2] > 0
assert 0 < searched["per channel"][1] - searched["per tensor"][1] < 1
assert np.isclose(storage["per tensor, 5 bits"], storage["per group of 32"], atol=0.01)
assert searched["per tensor, 5 bits"][1] > searched["per group of 32"][1] + 1

# %% [markdown]
# A search gains more than 64 scales do, and 64 searched scales only half a decibel more than one. The fewer values
# share a scale, the smaller their peak is against their rms, and the less there is to clip: searching a range and
# sharing it among fewer values are two cures for one illness.
#
# Mind the first column. Groups of 32 with float32 scales take a whole bit per weight, and one more bit in every code,
# with one searched scale, is worth more. Groups pay when their scales are small (lesson 05).
#
# ## 6 · A formula for the clip
#
# If you know the density of the values, you need no search. Let it be f(x), symmetric, and the range ±α with 2ᵇ cells
# of width Δ = 2α/2ᵇ. Lesson 02 gave the rounding error, Δ²/12 = α²/(3·4ᵇ). The clipping error is an integral. For a
# Laplace density, f(x) = exp(−|x|/β)/2β, where β is the mean distance from the mean, mean(|x − mean(x)|), it is short:
#
# $$ D(\alpha) = \underbrace{2\int_\alpha^\infty (x-\alpha)^2 f(x)\,dx}_{2\beta^2 e^{-\alpha/\beta}} +
#    \frac{\alpha^2}{3\cdot 4^b}, \qquad
#    \frac{dD}{d\alpha} = 0 \;\Rightarrow\; \frac{\alpha}{\beta}\,e^{\alpha/\beta} = 3\cdot 4^b. $$
#
# (The derivative is −2β·exp(−α/β) + 2α/(3·4ᵇ); set it to zero and rearrange.) This is **ACIQ** (analytic clipping for
# integer quantization). Check the equation against the package at 4 bits:

# %%
ratio = clipping.aciq_clip("laplace", 4)

print(f"Laplace, 4 bits: α = {ratio:.4f} β, and (α/β)·exp(α/β) = {ratio * np.exp(ratio):.1f} = 3·4⁴ = {3 * 4**4}")
assert np.isclose(ratio * np.exp(ratio), 3 * 4**4)
assert np.isclose(ratio, 5.0286, atol=1e-4)

# %% [markdown]
# For a Gauss density the same two terms give α = 2.5591 σ at 4 bits. It is an approximation. Is the *exact* optimum of
# 16 equal cells larger or smaller?

# %%
my_guess = ...  # "larger" or "smaller"

# %%
approximate, exact = clipping.aciq_clip("gauss", 4), clipping.optimal_clip("gauss", 4)

reveal(my_guess, "larger" if exact > approximate else "smaller")

# %%
print(f"ACIQ {approximate:.4f} σ, exact {exact:.4f} σ")
assert np.isclose(approximate, 2.5591, atol=1e-4)
assert np.isclose(exact, 2.6816, atol=1e-4)

# %% [markdown]
# Why? The formula takes three things for simpler than they are. It counts Δ²/12 for clipped values too; it takes the
# density for flat in each cell; and it lets clipped values come back as α, where there is no level: the outermost one
# lies in the middle of its cell, at α − Δ/2. Put each right and look for the best α by numerical integration:


# %%
def best_alpha(true_rounding, true_level):
    x, dx = np.linspace(0, 8, 16_001, retstep=True)  # one side; the other is its mirror image
    density = np.exp(-(x**2) / 2)
    errors = []
    alphas = np.arange(2.4, 2.8, 0.002)
    for alpha in alphas:
        cell = 2 * alpha / 16
        rounding = (
            np.where(x < alpha, (x - (np.floor(x / cell) + 0.5) * cell) ** 2, 0) if true_rounding else cell**2 / 12
        )
        clipped = np.where(x < alpha, 0, (x - alpha + (cell / 2 if true_level else 0)) ** 2)
        errors.append(np.sum((rounding + clipped) * density) * dx)
    return alphas[np.argmin(errors)]


shares = {
    "as the formula": best_alpha(False, False),
    "true rounding errors": best_alpha(True, False),
    "true outermost level": best_alpha(False, True),
    "both": best_alpha(True, True),
}
for name, alpha in shares.items():
    print(f"{name:22} α = {alpha:.2f} σ")
assert np.isclose(shares["as the formula"], approximate, atol=0.005)
assert np.isclose(shares["both"], exact, atol=0.005)
assert abs(shares["true rounding errors"] - approximate) < 0.01
assert shares["true outermost level"] > approximate + 0.1

# %% [markdown]
# It is the outermost level: a clipped value lands half a cell further away than the formula thinks, so clipping costs
# more, and the best clip lies further out. The other two hardly count.
#
# Trust neither, measure: two million Gaussian numbers, 16 levels in the middles of 16 cells, both clips.

# %%
numbers = np.random.default_rng(0).standard_normal(2_000_000)


def error_of_cells(clip, bits):
    step = 2 * clip / 2**bits
    cell = np.clip(np.floor(numbers / step), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return np.mean((numbers - step * (cell + 0.5)) ** 2)


measured = {clip: error_of_cells(clip, 4) for clip in (approximate, exact, 1.1 * exact)}
for clip, error in measured.items():
    print(f"±{clip:.2f} σ: mean squared error {error:.5f} σ²")
assert measured[exact] < measured[approximate] < measured[1.1 * exact]
assert np.isclose(measured[exact], clipping.uniform_error("gauss", 2 * exact / 16, 16), rtol=0.01)

# %%
for bits in (2, 3, 4, 8):
    both = [rule("gauss", bits) for rule in (clipping.aciq_clip, clipping.optimal_clip)]
    errors = [clipping.uniform_error("gauss", 2 * clip / 2**bits, 2**bits) for clip in both]
    loss = 10 * np.log10(errors[0] / errors[1])
    print(f"{bits} bits: ACIQ {both[0]:.2f} σ, exact {both[1]:.2f} σ, the difference costs {loss:.2f} dB")
    assert 0 <= loss < 0.4

# %% [markdown]
# The difference is small: 0.07 dB at 4 bits. What costs more is the wrong density. On weights, which are about
# Gaussian, both formulas are nearly as good as the search; after a ReLU ACIQ was the worst on average (section 3).
# (Here the formula is carried over to a true zero: 15 codes, the outermost half a step inside ±α.)

# %%
by_rule = {}
for rule in ("aciq", "exact"):
    scheme = Analytic(density="gauss", rule=rule).observe(weights).fit(4, narrow_range=True)
    by_rule[rule] = sqnr(weights, fake_quantize(scheme, weights))
by_search = searched["per tensor"][1]
print(f"weights of conv4: ACIQ {by_rule['aciq']:.1f} dB, exact {by_rule['exact']:.1f} dB, search {by_search:.1f} dB")
assert by_search - 0.8 < by_rule["aciq"] < by_rule["exact"] < by_search + 0.1
assert all(min(rows, key=rows.get) == "analytic (Laplace)" for rows in average.values())

# %% [markdown]
# ## 7 · How many images?
#
# Ranges come from a sample. Take 2,000 images, the first and the last convolution, 4 and 8 bits. Choose ranges from
# samples of 1, 10 and 100 images, ten of each size, from two of 1000, and from all. Observers can be added (`+`): a
# sample of 1000 is the sum of ten samples of 100.

# %%
many = data.to_float(train.images[:2000])
rules = {(rule, layer): rule for rule in (MinMax(), MSE()) for layer in ("conv1", "conv6")}


def watch(start, count):
    values = network.run(many[start : start + count])
    return [rule.observe(values[layer]) for rule, layer in rules]


def joined(parts):
    return [sum(same[1:], same[0]) for same in zip(*parts)]


hundreds = [watch(start, 100) for start in range(0, 2000, 100)]
samples = {
    1: [watch(start, 1) for start in range(10)],
    10: [watch(start, 10) for start in range(0, 100, 10)],
    100: hundreds[:10],
    1000: [joined(hundreds[:10]), joined(hundreds[10:])],
    2000: [joined(hundreds)],
}

# %%
ends, lost = {}, {}
for position, (rule, layer) in enumerate(rules):
    for bits in (4, 8):
        case = type(rule).__name__, layer, bits
        fitted = {
            size: [one[position].fit(bits, symmetric=False, signed=False) for one in drawn]
            for size, drawn in samples.items()
        }
        ends[case] = {size: [float(one.scale) * (2**bits - 1) for one in drawn] for size, drawn in fitted.items()}
        if case[0] == "MSE":
            reached = {
                size: [sqnr(fresh[layer], fake_quantize(one, fresh[layer])) for one in drawn]
                for size, drawn in fitted.items()
            }
            lost[case] = {size: reached[2000][0] - min(each) for size, each in reached.items()}

# %% [markdown]
# How many decibels may a sample of a hundred images cost? Take MSE, 8 bits and `conv6`, and the worst of the ten
# samples on the fresh images, against the range from all 2,000.

# %%
my_guess = ...  # dB

# %%
reveal(my_guess, lost["MSE", "conv6", 8][100], unit="dB")

# %%
print(f"{'the worst sample loses, in dB':30}", *(f"{size:>6}" for size in (1, 10, 100, 1000)), " images")
for (_, layer, bits), by_size in lost.items():
    print(f"{f'MSE, {layer}, {bits} bits':30}", *(f"{by_size[size]:6.1f}" for size in (1, 10, 100, 1000)))
    assert by_size[1] > 1
    assert by_size[1000] < 0.3
    assert by_size[100] < (0.3 if bits == 4 else 2)
assert lost["MSE", "conv6", 8][10] > 3
assert lost["MSE", "conv6", 8][100] > 0.5

# %%
# alt: End of the range of conv6 against the number of images. MSE at 4 bits settles near 2.3 from ten images on; at 8
# bits it scatters up to a hundred images and settles near 4.3; min-max scatters most and lies highest.
draws = {"min-max": ends["MinMax", "conv6", 8], "MSE, 8 bits": ends["MSE", "conv6", 8]}
draws["MSE, 4 bits"] = ends["MSE", "conv6", 4]
calibration_plots.scatter_of_draws(draws, title="The fewer bits, the sooner the range of conv6 settles")

# %%
largest = ends["MinMax", "conv6", 8]
print("min-max of conv6:", {size: f"{min(each):.1f} to {max(each):.1f}" for size, each in largest.items()})
assert max(largest[100]) > 1.1 * min(largest[100])
assert largest[2000][0] == max(largest[1000])
assert min(largest[100]) > 1.5 * ends["MSE", "conv6", 4][2000][0]

# %% [markdown]
# At 4 bits the best range depends on *most* values, and ten images hold enough of them: the worst ten samples lose
# a few tenths. At 8 bits it lies far out and depends on the few largest values, about which samples disagree. A hundred
# images may then cost a decibel; the flat floor of the valley keeps it from being more. The largest value itself never
# settles: more images can only raise it.
#
# ## 8 · The wrong images
#
# Now choose ranges from other data: mirrored photographs, noise, photographs whose pixels run from 0 to 255 because
# somebody forgot to divide. With ranges from pixels 0 … 255 and 8-bit activations, how many percent are right?

# %%
my_guess = ...  # percent

# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(0)
shape = calibration_images.shape
kinds = {
    "training images": calibration_images,
    "mirrored": calibration_images[..., ::-1].copy(),
    "uniform noise, 0 to 1": rng.random(shape, np.float32),
    "normal noise": rng.standard_normal(shape, np.float32),
    "pixels 0 to 255": 255 * calibration_images,
}
watched = {name: calibrate(network, images, MinMax(), title="") for name, images in kinds.items()}
right = {name: {bits: percent_right(calibrated, bits) for bits in (8, 4)} for name, calibrated in watched.items()}

reveal(my_guess, right["pixels 0 to 255"][8], unit="%", digits=0)

# %% tags=["nbval-ignore-output"]
print(f"{'calibrated on':24}{'8 bits':>8}{'4 bits':>8}")
for name, percent in right.items():
    print(f"{name:24}{percent[8]:6.1f} %{percent[4]:6.1f} %")
assert right["training images"][8] > 92
assert abs(right["mirrored"][8] - right["training images"][8]) < 2
assert abs(right["mirrored"][4] - right["training images"][4]) < 6
assert right["pixels 0 to 255"][8] < 25
assert right["normal noise"][8] > 88
assert right["normal noise"][4] < right["training images"][4] - 30

# %% [markdown]
# - **Unnormalized** images make every range 60 to 270 times too wide: nearly all values fall on code 0. This is the
#   mistake that shows at once.
# - **Normal noise** makes ranges 2 to 10 times too wide, which costs one to three bits. Of 8 bits this network can
#   spare them, and hardly anybody notices. At 4 it is lost. This is the mistake that goes unnoticed until it matters.
# - **Mirrored** images have nearly the statistics of the real ones: an augmentation that keeps brightness and contrast
#   is harmless here. And **uniform noise** happens to give ranges of about the right size. Do not rely on it.
#
# So compare the ranges themselves, before any accuracy, with those of a few images that you know to be right. A factor
# of two says that something is wrong. It finds gross mistakes and not all: uniform noise passes.

# %%
factors = {}
for name, calibrated in watched.items():
    ends = [float(calibrated[layer].range()[1]) for layer in layers]
    print(f"{name:24}", *(f"{end:8.1f}" for end in ends))
    factors[name] = [end / seen[layer].max() for end, layer in zip(ends, layers)]
    assert (max(factors[name]) > 3) == (name in ("normal noise", "pixels 0 to 255"))
assert 50 < min(factors["pixels 0 to 255"]) < max(factors["pixels 0 to 255"]) < 300
assert 1.8 < min(factors["normal noise"]) < max(factors["normal noise"]) < 12

# %% [markdown]
# ## Where this goes wrong
#
# **Every code is the same, or NaN appears in the scale.** One activation was NaN. (Four values stand for a million.)

# %%
batch = np.array([0.2, 0.9, np.nan, 0.4], np.float32)
running = 0.0
for value in batch:
    running = max(running, value)

print("np.max:", batch.max(), "  Python's max, value by value:", round(float(running), 2))
print("max(0.9, nan):", max(0.9, np.nan), "  max(nan, 0.9):", max(np.nan, 0.9))
assert np.isnan(batch.max())
assert np.isclose(running, 0.9)
assert max(0.9, np.nan) == 0.9
assert np.isnan(max(np.nan, 0.9))

# %% [markdown]
# *Cause*: NaN spreads through `np.max` into the scale and from there into every value. Python's `max` keeps the
# first of the two: NaN is neither larger nor smaller. *Repair*: refuse, and look for the reason; or skip on purpose,
# and count. The observers refuse unless told otherwise.

# %%
try:
    MinMax().observe(batch)
except ValueError as problem:
    print(problem)

patient = MinMax(on_non_finite="skip").observe(batch)
print("largest finite value", patient.range()[1], "with", patient.skipped, "value skipped")
assert patient.skipped == 1
assert patient.range()[1] == np.float32(0.9)

# %% [markdown]
# **Four codes in ten are never used.** A percentile was taken of |x|, for a range that need not be symmetric:

# %%
shifted = np.random.default_rng(1).normal(1.0, 0.5, 10_000).astype(np.float32)
both_tails = np.percentile(shifted, [0.5, 99.5])
of_magnitudes = np.percentile(np.abs(shifted), 99)

print(f"central 99 %: {both_tails[0]:.2f} to {both_tails[1]:.2f}; from |x|: ±{of_magnitudes:.2f}")
wasted = 1 - (both_tails[1] - both_tails[0]) / (2 * of_magnitudes)
print(f"{100 * wasted:.0f} % of the codes wasted")
assert wasted > 0.35

# %% [markdown]
# *Cause*: |x| forgets the sign, and with it how far the data reach on the short side; another slip, the whole
# share from each tail, cuts twice what was meant. *Repair*: for an affine range cut half the share from each
# tail; for a symmetric one cut the whole share from |x|.
#
# **The range is that of the last batch.** It worked with one batch, and nobody tried two:

# %%
low = high = None
for part in np.split(seen["conv2"], 5):
    low, high = part.min(), part.max()

print(f"last batch {high:.2f}, all batches {seen['conv2'].max():.2f}")
assert high < seen["conv2"].max()

# %% [markdown]
# *Repair*: `high = max(high, part.max())`; or an observer, which cannot forget.
#
# The catalogue has more of them, and the checks of the exercises know them:

# %%
from fewerbits.teach import mistakes

print(mistakes.find("one outlier takes the range"))

# %% [markdown]
# ## Key points
#
# - Error = clipping + rounding. A wide range rounds coarsely, a narrow one cuts; the sum is a valley, which lies lower
#   the fewer bits there are. Its floor has ripples: scan a grid.
# - At 8 bits min-max is nearly right. At 4 bits and below the range decides.
# - Min-max hangs on one value; a moving average on the batches; a percentile does not know the bits; entropy does not
#   know distances, and may cut deeper with more bits; a formula does not know your data. Squared error knows data
#   and bits, and is the safe choice.
# - One outlier can take five bits from all others. Percentiles ignore it, squared error respects it. Which is right
#   depends on what it is.
# - ACIQ clips a Gaussian at 2.5591 σ for 4 bits; exactly best is 2.6816 σ; the difference costs 0.07 dB.
#   The formula overlooks that the outermost level lies inside the clip.
# - At 4 bits ten to a hundred images of the right kind are enough; at 8 bits a hundred may still cost a decibel.
#   Images of the wrong kind are never enough: same preprocessing as at inference, and compare ranges.
#
# ## Exercises
#
# [Exercises 03](../exercises/03_calibration.ipynb), 50 minutes: write the observers yourself, and calibrate layers
# whose data somebody spoiled. `make lab` puts your own copy into `work/`.
#
# ## Sources
#
# - R. Banner, Y. Nahshan, D. Soudry, "Post training 4-bit quantization of convolutional networks for
#   rapid-deployment", NeurIPS 2019, arXiv:1810.05723: ACIQ and its two error terms.
# - J. Max, "Quantizing for Minimum Distortion", IRE Transactions on Information Theory 6, 1960: the exact steps.
# - S. Migacz, "8-bit Inference with TensorRT", GTC 2017: the range of least Kullback–Leibler divergence.
# - B. Jacob et al., CVPR 2018: exponential moving averages of ranges.
# - H. Wu et al., "Integer Quantization for Deep Learning Inference: Principles and Empirical Evaluation", 2020,
#   arXiv:2004.09602: max, percentile and entropy calibration compared on many networks.
# - T. Dettmers et al., "LLM.int8()", 2022, arXiv:2208.07339: outlier channels in language models.
# - H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST", 2017, arXiv:1708.07747: the photographs.
