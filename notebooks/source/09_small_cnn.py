# %% [markdown]
# # 09 · Quantize a small CNN, prove it, and time it honestly
#
# **The question.** You have a trained network. How do you make it run in eight bits, know that it is right, and say
# truthfully what it gained?
#
# **At the end you can**
#
# - fold batch norm, calibrate, and quantize a convolutional network with scales that you chose;
# - predict its accuracy by simulation, compute it in integers, execute it, and show that all three agree;
# - recognise the kernel trap that no simulation shows, and avoid it in three ways;
# - count its bytes, and time it by a method that survives a busy machine.
#
# **You need** lessons 02 (scale and zero point), 03 (calibration) and 06 (integers); 01 (roofline) helps;
# exercise 6 uses lesson 07.
# **Time**: 45 minutes of reading and guessing, 50 minutes of exercises.
#
# Guess before you look: replace `...` after `my_guess =`, run the cell, then the next one.

# %%
import gzip
import os

import numpy as np
import torch
from fewerbits import data
from fewerbits.deploy import engines, export, optional_engines
from fewerbits.deploy.evaluation import accuracy, bootstrap_difference, mcnemar
from fewerbits.deploy.roofline import costs, least_seconds, measure_ceilings
from fewerbits.deploy.timing import paired_ratio
from fewerbits.network import integer_network
from fewerbits.network.architecture import architecture
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import FoldedNetwork, fold
from fewerbits.network.model import build_model
from fewerbits.network.quantized import calibrate, quantize_network
from fewerbits.teach import network_plots, plots
from fewerbits.teach.environment import describe_cpu
from fewerbits.teach.predict import reveal
from fewerbits.tensor.calibration import MinMax
from fewerbits.tensor.uniform import Uniform

plots.use_style()
threads = os.cpu_count()

# %% [markdown]
# ## 1 · The float model
#
# `vgg32` is small enough to know by heart: six 3×3 convolutions, each followed by batch norm and ReLU, two max
# poolings, an average over each channel, one linear layer. It was trained on the 60,000 training images (`python -m
# fewerbits.network.train vgg32` does it again).

# %%
weights = data.load_weights("vgg32")
train, test = data.load_fashion_mnist("train"), data.load_fashion_mnist("test")
images = data.to_float(test.images)

for layer in architecture("vgg32"):
    channels = f"{layer.in_channels} → {layer.out_channels}" if layer.has_weights else ""
    print(f"{layer.name:8}{layer.op:22}{channels:12}{'ReLU' if layer.relu else ''}")

# %% [markdown]
# What does one answer cost? Count one multiply-accumulate (MAC) for each weight at each position that it visits. Which
# share of all MACs falls on the first convolution, which looks at the image itself?

# %%
my_guess = ...  # percent

# %%
cost = costs(architecture("vgg32"))
total = sum(layer.macs for layer in cost.values())

reveal(my_guess, 100 * cost["conv1"].macs / total, "%")
print(f"{total / 1e6:.1f} million MACs for one image, {sum(layer.weights for layer in cost.values()):,} weights")
assert 28e6 < total < 30e6
assert cost["conv1"].macs < 0.01 * total

# %% [markdown]
# Under one percent of the work. Keep that number: it will matter in section 5.
#
# ## 2 · Fold batch norm
#
# At inference, batch norm multiplies each channel by a constant and adds another. A convolution can do both itself:
#
# $$ w' = w\,\frac{\gamma}{\sqrt{\sigma^2+\varepsilon}}, \qquad
#    b' = \beta - \mu\,\frac{\gamma}{\sqrt{\sigma^2+\varepsilon}}. $$
#
# Folding changes the formula and not the function. That is a claim, so check it:

# %%
model = build_model("vgg32", weights)
network = fold("vgg32", weights)

with torch.inference_mode():
    with_batch_norm = model(torch.from_numpy(images[:200])).numpy()
folded = network.run(images[:200])["logits"]

difference = np.abs(folded - with_batch_norm).max()
print(f"logits up to {np.abs(folded).max():.0f}; the two differ by less than 0.0001: {difference < 1e-4}")
assert difference < 1e-4

# %% [markdown]
# It does change every weight, and so every range. By how much does the gain γ/√(σ² + ε) differ between the channels of
# `conv2`?

# %%
my_guess = ...  # largest gain divided by the smallest

# %%
gain = weights["conv2_norm.weight"] / np.sqrt(weights["conv2_norm.running_var"] + 1e-5)

reveal(my_guess, float(gain.max() / gain.min()), "times")
print(f"from {gain.min():.1f} to {gain.max():.1f}")
assert gain.max() / gain.min() > 2

# %% [markdown]
# So scales have to be chosen **after** folding. Somebody who takes them before gets this: the codes of the folded
# weights, clipped by scales that belong to the weights as trained.

# %%
scale_too_early = {name: Uniform.fit(weights[f"{name}.weight"], axis=0) for name in network.weights}
clipped = {name: scheme.dequantize(scheme.quantize(network.weights[name])) for name, scheme in scale_too_early.items()}
folded_too_late = FoldedNetwork("vgg32", network.layers, clipped, network.biases)

some = slice(0, 500)
right = (network.run(images[some])["logits"].argmax(1) == test.labels[some]).mean()
right_too_late = (folded_too_late.run(images[some])["logits"].argmax(1) == test.labels[some]).mean()
print(f"500 images: {right:.0%} right; with scales from before folding {right_too_late:.0%}")
assert right > 0.92
assert right_too_late < right - 0.05

# %% [markdown]
# ## 3 · Calibrate
#
# Weights are known; activations have to be watched. Run training images through the folded network and let an
# *observer* remember the range of each value. Lesson 03 compares observers. Take `MinMax()` or your own choice: change
# the next cell and run the rest of the lesson again.

# %%
my_observer = MinMax()  # or Percentile(percent=99.99), MSE(), ... from fewerbits.tensor.calibration

# %% tags=["nbval-ignore-output"]
calibration_images = data.to_float(train.images[:1000])
observers = calibrate(network, calibration_images, my_observer)

# %% [markdown]
# Three choices are made here, and stated: activations are uint8 and **affine**, one scale per tensor; weights are int8
# and **symmetric**, one scale per output channel, in seven bits where this CPU cannot multiply eight exactly (section
# 5); biases are int32 at the scale of the accumulators, s_x·s_w. The input needs no observer: a pixel is an integer
# from 0 to 255 already, so s = 1/255 makes each pixel its own code.

# %%
weight_bits = 7 if engines.engine_saturates() else 8  # section 5 says why
quantized = quantize_network(network, observers, weight_bits=weight_bits)

for name, scheme in quantized.activations.items():
    print(f"{name:8}scale {scheme.scale:.5f}  zero point {int(scheme.zero_point)}")
assert np.array_equal(quantized.activations["image"].quantize(images[:100]).ravel(), test.images[:100].ravel())

# %% [markdown]
# Why are all zero points 0? Because a ReLU comes before each of these values: nothing is negative, so the whole range
# 0…255 is spent above zero. All scales in one picture:

# %%
# alt: Scales by layer on a logarithmic axis. The scales of weights, one dot per output channel, spread over a factor
# of three to twenty within each layer; the scale of the activations that each layer reads is one square.
network_plots.scales(quantized)

# %% [markdown]
# One scale for a whole layer would have to be the largest of its dots, and the channels at the bottom would use only a
# fraction of their codes. What *per channel* buys in answers is measured in section 4.
#
# ## 4 · Simulate, compute, execute
#
# **Simulate.** Replace every value by what its code stands for (x̂), and go on in float32. This is *fake quantization*:
# it predicts the accuracy without any integer arithmetic.
#
# How many of the 10,000 test images change their answer when the network goes from float32 to int8?

# %%
my_guess = ...  # images of 10,000

# %% tags=["nbval-ignore-output"]
float_engine = engines.OnnxRuntime(export.float_model(network), threads=threads)
answers = {"float32": engines.predict(float_engine, images, "float32")}


def simulate(batch):
    return quantized.simulate(batch)["logits"].argmax(axis=1)


answers["int8 simulated"] = np.concatenate(list(over_batches(simulate, images, title="simulated")))

changed = int((answers["float32"] != answers["int8 simulated"]).sum())
reveal(my_guess, changed, "images", digits=0)

# %%
print(f"{changed} of 10,000 answers changed")
assert changed < 150, "more than with min-max, percentile 99.9 or MSE: is your observer's range too narrow?"

# %% [markdown]
# **Compute.** Now without float: codes, int32 accumulators, requantization, as derived in lesson 06. Here is one
# accumulator of the first layer by hand, a dot product of nine pixels and nine weight codes plus a bias:

# %%
window = test.images[0, 9:12, 11:14].astype(int)
codes = quantized.codes["conv1"][5, 0].astype(int)
by_hand = int((window * codes).sum() + quantized.biases["conv1"][5])

integers = integer_network.run(quantized, images[:1])
accumulators = integer_network.accumulators(quantized, network.layer("conv1"), integers["image"])
print("by hand", by_hand, "· by the integer network", int(accumulators[0, 5, 10, 12]))
assert by_hand == accumulators[0, 5, 10, 12]

# %% [markdown]
# **Execute.** Write these very scales and codes into an ONNX file. In *QDQ form* each tensor passes through
# `QuantizeLinear` and `DequantizeLinear`; the engine recognises the pattern and replaces it by integer kernels.

# %%
int8_model = export.qdq_model(quantized)
operators = [node.op_type for node in int8_model.graph.node]
print({name: operators.count(name) for name in sorted(set(operators))})

# %% [markdown]
# `expose_codes` makes every tensor of codes an output of the model, so that the engine shows its integers. All of them
# should be ours.

# %%
engine = engines.OnnxRuntime(export.qdq_model(quantized, expose_codes=True))
ours, theirs = integer_network.run(quantized, images[:100]), engine.outputs(images[:100])

for name, values in ours.items():
    executed = theirs["logits" if name == "logits" else f"{name}_codes"]
    differ = np.count_nonzero(values != executed)
    print(f"{name:8}{values.size:>10,} values, {differ} differ")
    assert differ == 0

# %% [markdown]
# **Every integer of every layer**, and even the logits, are the same. (`make verify` compares all 10,000 images, with
# unsigned and with signed codes: two billion integers.) Lesson 06 warns what such a comparison cannot see: here all
# zero points are 0. The networks of exercise 4 have others.
#
# Are they the same in the model that will be timed, without the extra outputs? And does it run in integers?

# %%
int8_engine = engines.OnnxRuntime(export.qdq_model(quantized), threads=threads)
operators = int8_engine.operators()
print(operators)
assert np.array_equal(int8_engine(images[:100]), ours["logits"])
assert (operators["QLinearConv"], operators["QGemm"]) == (6, 1)
assert not {"Conv", "Gemm"} & set(operators)

# %% [markdown]
# Now the engine may answer all images. Two models on the same images are a *paired* comparison: only the images that
# exactly one of them gets right tell which is better. McNemar's test asks whether those fall evenly: p is how often
# fair coins would fall as unevenly, so 1.00 is as even as can be and 0.01 would be suspicious. The last line draws the
# 10,000 images again and again with replacement (the *bootstrap*) and gives the middle 95 % of the differences.

# %% tags=["nbval-ignore-output"]
answers["int8 executed"] = engines.predict(int8_engine, images, "int8")

results = {kind: accuracy(predicted, test.labels) for kind, predicted in answers.items()}
for kind, result in results.items():
    print(f"{kind:16}{result}")
print(mcnemar(answers["float32"], answers["int8 executed"], test.labels))
difference = bootstrap_difference(answers["float32"], answers["int8 executed"], test.labels)
print(f"float32 minus int8: {difference}")

# %%
assert results["float32"].value > 0.935
assert abs(results["int8 executed"].value - results["float32"].value) < 0.003
assert mcnemar(answers["float32"], answers["int8 executed"], test.labels).p_value > 0.01

# %% tags=["nbval-ignore-output"]
# alt: Three dots with 95 percent intervals of about half a point on each side: float32, int8 simulated and int8
# executed all lie near 94 percent, each well inside the interval of the first.
network_plots.accuracies(results)

# %% [markdown]
# Each interval is about one point wide, so it cannot tell models apart that differ by 0.1 points. The paired comparison
# can: p says whether a difference was found, and the interval of the difference how large it may still be.
#
# **And per channel?** Quantize once more with one scale per layer, here and in `depthwise`, where every channel has a
# kernel of its own. In which network do more answers change, per tensor?

# %%
my_guess = ...  # "vgg32" or "depthwise"

# %% tags=["nbval-ignore-output"]
answers_changed, gained = {}, {}
for name in ("vgg32", "depthwise"):
    net = fold(name, data.load_weights(name))
    seen = calibrate(net, calibration_images[:200], title="")
    in_float = engines.predict(engines.OnnxRuntime(export.float_model(net), threads=threads), images)
    executed = {}
    for per_channel in (True, False):
        smaller = quantize_network(net, seen, weight_bits=weight_bits, per_channel=per_channel)
        executed[per_channel] = engines.predict(engines.OnnxRuntime(export.qdq_model(smaller), threads=threads), images)
        answers_changed[name, per_channel] = int((executed[per_channel] != in_float).sum())
    gained[name] = bootstrap_difference(executed[True], executed[False], test.labels)

reveal(my_guess, max(("vgg32", "depthwise"), key=lambda name: answers_changed[name, False]))

# %% tags=["nbval-ignore-output"]
for (name, per_channel), count in answers_changed.items():
    print(f"{name:10} per {'channel' if per_channel else 'tensor ':8}{count:>4} of 10,000 answers changed")
for name in ("vgg32", "depthwise"):
    print(f"{name:10} accuracy per channel minus per tensor: {gained[name]}")
assert answers_changed["depthwise", False] > 1.5 * answers_changed["depthwise", True]
assert answers_changed["depthwise", False] > 2 * answers_changed["vgg32", False]
assert gained["vgg32"].low < 0 < gained["vgg32"].high

# %% [markdown]
# At eight bits the spread within a layer of `vgg32` costs nothing that 10,000 images show: the interval of the
# difference holds 0. Where each channel has a kernel of its own, more than twice as many answers change; whether more
# of them become wrong than right, the last line says. With fewer bits one scale costs more everywhere (lesson 07).
#
# ## 5 · The kernel trap
#
# Lesson 06 showed what x86 CPUs without the VNNI instructions do to uint8 times int8: `vpmaddubsw` adds two products
# and stores the sum in **16 bits, saturated**. [255, 255]·[127, 127] becomes half of the truth, silently. No simulation
# shows it, since the simulation is right and the machine is not. Does *your* CPU do this? The engine was asked:

# %% tags=["nbval-ignore-output"]
print(describe_cpu())
print("u8×s8 products on this CPU", "SATURATE at 16 bits" if engines.engine_saturates() else "are exact")

# %% [markdown]
# Whatever it said, the emulation shows what the other kind of CPU does, layer by layer. Large codes have to meet large
# codes:

# %%
eight_bit_weights = quantize_network(network, observers)
exact = integer_network.run(eight_bit_weights, images[:200])

share = {}
for layer in network.layers:
    if layer.op == "conv":
        inputs = [exact[name] for name in layer.inputs]
        wrong = integer_network.run_layer(eight_bit_weights, layer, inputs, saturate=True)
        share[layer.name] = float(np.mean(wrong != exact[layer.name]))

for name, part in share.items():
    print(f"{name:8}{part:9.5%} of the codes are wrong, given right inputs")
assert max(share, key=share.get) == "conv1"

# %% [markdown]
# The first one, as in lesson 06 (on other photographs the share is another): its pixels are often 255. It holds under
# one percent of the work and saturates in one code of twenty. What does that do to the *network*? Of 500 images, how
# many get another answer than in exact arithmetic?

# %%
my_guess = ...  # images of 500

# %%
saturated_codes = integer_network.run(eight_bit_weights, images[:500], saturate=True)
exact_answers = integer_network.run(eight_bit_weights, images[:500])["logits"].argmax(1)
saturated_answers = saturated_codes["logits"].argmax(1)

lost = int((saturated_answers != exact_answers).sum())
reveal(my_guess, lost, "images", digits=0)

# %%
print(f"{lost} of 500; eight bits as such changed {changed} of 10,000")
assert 10 < lost < 40

# %% [markdown]
# **Three repairs**, as ONNX Runtime's quantization guide describes them:
#
# - **7-bit weights** (`reduce_range` in ONNX Runtime): no pair can reach 2¹⁵; half of the levels are gone.
# - **u8×u8**: unsigned weights take another instruction, which does not saturate; all levels stay.
# - **the first layer in float32**: less than one percent of the MACs, as you counted in section 1. It reads the image
#   itself: behind a `DequantizeLinear`, ONNX Runtime would quantize its float weights without being asked. (The file
#   loses the nodes that quantized the image, so it is no larger.)

# %%
repairs = {
    "none: 8-bit weights": export.qdq_model(eight_bit_weights),
    "7-bit weights": export.qdq_model(quantize_network(network, observers, weight_bits=7)),
    "u8×u8": export.qdq_model(quantize_network(network, observers, signed_weights=False)),
    "first layer in float32": export.qdq_model(eight_bit_weights, float_first_layer=True),
}
pair_at_most = 2 * 255 * 64
print(f"7-bit weights: no pair exceeds {pair_at_most:,}, below 2¹⁵ = {2**15:,}")
assert pair_at_most < 2**15

# %% [markdown]
# Do they repair it? Emulate the CPU that saturates once more. A first layer in float32 cannot saturate, the others
# still can:


# %%
def answers_without_vnni(quantized_network, exact_layers=()):
    values = {"image": quantized_network.activations["image"].quantize(images[:500])}
    for layer in quantized_network.layers:
        inputs = [values[name] for name in layer.inputs]
        saturate = layer.name not in exact_layers
        values[layer.name] = integer_network.run_layer(quantized_network, layer, inputs, saturate=saturate)
    return values["logits"].argmax(1)


seven_bits = quantize_network(network, observers, weight_bits=7)
seven_bits_exact = integer_network.run(seven_bits, images[:500])["logits"].argmax(1)
lost_with = {
    "none: 8-bit weights": lost,
    "7-bit weights": int((answers_without_vnni(seven_bits) != seven_bits_exact).sum()),
    "first layer in float32": int((answers_without_vnni(eight_bit_weights, ["conv1"]) != exact_answers).sum()),
}
for name, changed_answers in lost_with.items():
    print(f"{name:24}{changed_answers:>4} of 500 answers changed by saturation")
assert lost_with["7-bit weights"] == 0
assert lost_with["first layer in float32"] < lost

# %% [markdown]
# And what do they cost? Accuracy on 2,000 images, bytes, and time against the unrepaired model, **on your CPU**, in
# pairs: the median ratio, with quartiles in brackets (section 7 explains the method). Which repair is the slowest here?

# %%
my_guess = ...  # "7-bit weights", "u8×u8" or "first layer in float32"


# %% tags=["nbval-ignore-output"]
def compare(candidate, other, batch):
    x = images[:batch]
    return paired_ratio(lambda: candidate(x), lambda: other(x))


unrepaired = engines.OnnxRuntime(repairs["none: 8-bit weights"])
times = {}
for name, repaired in repairs.items():
    candidate = engines.OnnxRuntime(repaired)
    share_right = (engines.predict(candidate, images[:2000]) == test.labels[:2000]).mean()
    times[name] = compare(candidate, unrepaired, batch=64)
    size = len(repaired.SerializeToString())
    print(f"{name:24}{share_right:7.2%} right{size:>9,} bytes   takes {times[name]} the time")

reveal(my_guess, max(list(repairs)[1:], key=lambda name: times[name].median))

# %% [markdown]
# The first row times the unrepaired model against itself: how far it is from 1 is what noise does here, and 7-bit
# weights run the same kernels. Bytes do not decide: all four files are within two percent. Accuracy decides only where
# the CPU saturates. Time does, and it depends on the CPU: most that have VNNI are fast at u8×s8 alone, and a layer of
# one input channel is awkward for any engine. So the order is measured, not remembered. (u8×u8 was not emulated above:
# its instructions do not saturate.)

# %%
sizes = [len(repaired.SerializeToString()) for repaired in repairs.values()]
assert max(sizes) < 1.02 * min(sizes)

# %% [markdown]
# ## 6 · Bytes
#
# Four bytes become one. Is the file a quarter?

# %%
my_guess = ...  # bytes of the int8 file in percent of the float32 file

# %%
float_file = export.float_model(network).SerializeToString()
int8_file = export.qdq_model(quantized).SerializeToString()

reveal(my_guess, 100 * len(int8_file) / len(float_file), "%")
print(f"{len(float_file):,} bytes become {len(int8_file):,}")
print(f"codes and their metadata alone: {quantized.nbytes():,}")
assert 0.25 < len(int8_file) / len(float_file) < 0.29

# %% [markdown]
# What did not shrink: biases (int32, as wide as before), a scale per output channel, and the graph, which QDQ form
# makes longer. Small networks feel it. And compressed?

# %% tags=["nbval-ignore-output"]
float_gzip, int8_gzip = len(gzip.compress(float_file)), len(gzip.compress(int8_file))
print(f"gzip takes off {1 - float_gzip / len(float_file):.0%} of float32, {1 - int8_gzip / len(int8_file):.0%} of int8")
assert int8_gzip / float_gzip < 0.29

# %% [markdown]
# Trained float32 weights hardly compress: their low bits are noise. The codes of int8 do a little, since small codes
# are more frequent than large ones.
#
# ## 7 · Time, as a method
#
# First the prediction, as in lesson 01. No layer can be faster than its multiplications at the machine's peak, nor than
# its bytes at the machine's bandwidth (the *roofline*). Measured here:

# %% tags=["nbval-ignore-output"]
ceilings = measure_ceilings()
print(ceilings)
least = {
    (kind, batch): batch * least_seconds(network.layers, ceilings, kind, batch)
    for kind in ("float32", "int8")
    for batch in (1, 64)
}
predicted = [least["float32", batch] / least["int8", batch] for batch in (1, 64)]
print("if both came equally near their roofs, int8 would gain", " and ".join(f"{gain:.1f}×" for gain in predicted))
print("(batch 1 and 64, one thread)")

# %% [markdown]
# What will it really be?

# %%
my_guess = ...  # times as fast as float32 on the same engine, batch 64

# %% [markdown]
# Then the measurement. On a machine that does other things too, two times taken one after the other differ by the
# machine's mood. So: one thread; warm up; samples of at least five milliseconds; **pairs**, A then B, B then A; the
# ratio within each pair; the median over 21 pairs, and in brackets the quartiles. With 21 pairs these are the sixth and
# the sixteenth ratio, and that interval holds the true median in 97 of 100 cases. A wide one says: measure again.
# (*eager* is PyTorch as it is; *folded, channels last* has our folding and the layout that its CPU kernels prefer.)

# %% tags=["nbval-ignore-output"]
torch.set_num_threads(1)
int8_one_thread = engines.OnnxRuntime(export.qdq_model(quantized))
candidates = [
    engines.Torch(model, "torch eager"),
    engines.Torch(engines.folded_torch(model), "torch folded, channels last", channels_last=True),
    engines.OnnxRuntime(export.float_model(network), "ONNX Runtime float32"),
]


measured = {
    candidate.name: [compare(candidate, int8_one_thread, batch) for batch in (1, 64)] for candidate in candidates
}
for name, (one, many) in measured.items():
    print(f"int8 against {name:28} batch 1 {one!s:22} batch 64 {many}")
reveal(my_guess, measured["ONNX Runtime float32"][1].median, "times")

# %% tags=["nbval-ignore-output"]
# alt: Median time ratios with their intervals of three candidates against int8 at batch 1 and 64, all right of a line
# at 1. In the row of the same engine short bars show the roofline's predictions, larger than what was measured.
network_plots.ratios(measured, ("batch 1", "batch 64"), {"ONNX Runtime float32": predicted})

# %% [markdown]
# Three different questions hide in this figure. *Against the same engine*: that is what int8 gains. *Against torch*:
# two factors multiplied, the engine's and the bits'. *Against the roof*: what is left on the table.

# %% tags=["nbval-ignore-output"]
same_engine = measured["ONNX Runtime float32"]
for name in ("torch eager", "torch folded, channels last"):
    for batch, against_torch, bits in zip((1, 64), measured[name], same_engine):
        by_the_engine = against_torch.median / bits.median
        factors = f"engine {by_the_engine:.2f} × bits {bits.median:.2f}"
        print(f"{name:28}batch {batch:2}: {against_torch.median:5.2f} = {factors}")
for batch, ratio in zip((1, 64), same_engine):
    roof = ratio.first_seconds / least["int8", batch]
    print(f"batch {batch:2}: int8 gains {ratio.median:.2f}×; at its own roof it would gain {roof:.1f}×")
assert same_engine[1].median > 1.2
assert measured["torch eager"][1].median > same_engine[1].median

# %% [markdown]
# Who quotes the product as "the gain of int8" misleads, most of all at batch 1. The prediction divided two bounds, so
# it is no bound itself: float32 may stay further from its roof than int8 does. What a kernel cannot pass, if it is no
# faster than the matrix product that gave the ceiling, is int8's own roof. Near it there is little left to gain.

# %% [markdown]
# **Another engine, other threads.** An ONNX file is a standard: OpenVINO runs the very same two files (it is not
# installed with the course; the cell says how to get it). And both forms may have two threads. Do two threads make
# int8's *gain* larger, smaller, or leave it?

# %%
my_guess = ...  # "larger", "smaller" or "the same"

# %% tags=["nbval-ignore-output"]
forms = export.float_model(network), export.qdq_model(quantized)
more = {}
for count in (1, 2):
    pair = [engines.OnnxRuntime(form, threads=count) for form in forms]
    more[f"ONNX Runtime, {count} thread{'s' * (count > 1)}"] = [compare(*pair, batch) for batch in (1, 64)]
if "openvino" in optional_engines.missing():
    print(optional_engines.missing()["openvino"])
else:
    pair = [optional_engines.OpenVino(form) for form in forms]
    more["OpenVINO, 1 thread"] = [compare(*pair, batch) for batch in (1, 64)]

for name, (one, many) in more.items():
    print(f"{name:26} int8 against its own float32: batch 1 {one!s:22} batch 64 {many}")
one_thread, two_threads = (more[f"ONNX Runtime, {name}"][1] for name in ("1 thread", "2 threads"))
apart = one_thread.high < two_threads.low or two_threads.high < one_thread.low
verdict = ("larger" if two_threads.median > one_thread.median else "smaller") if apart else "the same"
reveal(my_guess, verdict)

# %% [markdown]
# The answer is your machine's, and "the same" means that the intervals of the two medians overlap: no difference was
# found, which is less than that there is none.
#
# **Where int8 does not pay.** `tiny` has three convolutions and 24,000 weights. Guess again: how much does int8 gain
# there, same engine, one image?

# %%
my_guess = ...

# %% tags=["nbval-ignore-output"]
tiny = fold("tiny", data.load_weights("tiny"))
tiny_quantized = quantize_network(tiny, calibrate(tiny, calibration_images[:200], title=""), weight_bits=7)
tiny_forms = engines.OnnxRuntime(export.float_model(tiny)), engines.OnnxRuntime(export.qdq_model(tiny_quantized))
tiny_ratio = compare(*tiny_forms, 1)
reveal(my_guess, tiny_ratio.median, "times")

for name, net, ratio in [("tiny", tiny, tiny_ratio), ("vgg32", network, measured["ONNX Runtime float32"][0])]:
    bound = least_seconds(net.layers, ceilings, "int8", 1)
    print(
        f"{name:6} batch 1: int8 {ratio} as fast; {1e6 * ratio.second_seconds:4.0f} µs, "
        f"of which multiplying and moving bytes need {bound / ratio.second_seconds:.0%}"
    )

# %% [markdown]
# The rest is what int8 cannot shrink: quantizing the input, one call per layer, pooling. The fewer multiplications a
# network has, the more of its time that is. A network may be too small, a batch too short, or a layer too thin for int8
# to matter. Measure before you promise.
#
# ## Where this goes wrong
#
# - **Scales taken before folding** (section 2): accuracy falls without any error message.
# - **Trusting the simulation** (section 5): the machine has its own arithmetic. Compare integers, not only accuracies.
# - **A ratio against another engine** (section 7): sold as the gain of int8, it is the engine's gain times int8's.
#
# ## Key points
#
# - Fold, calibrate, quantize, simulate, compute, execute: and compare after each step with the step before.
# - Codes, int32 accumulators and one rounding rule decide every integer. With the engine's rule you get its integers.
# - Eight bits cost this network about nothing: with min-max 0.2 % of its answers change at all. Per channel matters
#   where channels stand alone, and with fewer bits.
# - x86 without VNNI saturates u8×s8 at 16 bits; 7-bit weights and u8×u8 avoid it, a float first layer nearly does here.
# - The file is a quarter plus metadata. The speed is what pairs say on *your* machine, below the roofline.
#
# `make capstone` does all of this for three networks and writes one table, one JSON file and one figure;
# `make capstone ARGS=tiny` for the smallest.
#
# **Before you ship**: batch norm folded? scales from training data, preprocessed as in production? integers compared
# with the engine? accuracy with its interval, paired? the CPU that it will run on tried? bytes and latency measured
# there?
#
# ## Exercises
#
# [Exercises 09](../work/09_small_cnn.ipynb), 50 minutes: quantize a residual and a depthwise network with less help,
# repair a benchmark, and reach a number of bytes. (`make lab` puts your own copy into `work/`.)
#
# ## Sources
#
# Jacob et al. 2018, *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference*.
# ONNX operator specification, opset 21. ONNX Runtime, *Quantize ONNX Models*. Williams, Waterman and Patterson 2009,
# *Roofline: An Insightful Visual Performance Model*. Wilson 1927; McNemar 1947. Xiao, Rasul and Vollgraf 2017,
# *Fashion-MNIST*.
