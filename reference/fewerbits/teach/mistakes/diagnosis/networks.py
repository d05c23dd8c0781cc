"""Mistakes in naming and repairing what is wrong with a whole network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fewerbits.network.arithmetic import quantize_bias
from fewerbits.network.quantized import QuantizedNetwork
from fewerbits.teach import mysteries
from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.mistakes.uniform.tensors import one_scale_for_all_channels
from fewerbits.tensor.uniform import Uniform


@mistake(
    "name_mystery",
    symptom="Every answer is one off.",
    cause="The list of what may be wrong was counted from 0; it begins with 1.",
    repair="Use the numbers that are printed beside the names.",
    source="common",
)
def counted_from_zero(number: int) -> int:
    return mysteries.answer(number) - 1


@mistake(
    "name_mystery",
    symptom="Network 1 has name 1, network 2 has name 2, and so on.",
    cause="The numbers of the networks were returned, not the numbers of what is wrong with them.",
    repair="For each network look up the number of its mistake in the list.",
    source="common",
)
def number_of_the_network(number: int) -> int:
    return number


def _repaired(
    network: QuantizedNetwork, *, axis: int | None = 0, codes: bool = True, bias: bool = True
) -> QuantizedNetwork:
    """The network with weights quantized again, and what goes with them only as far as it is asked for."""
    schemes, all_codes, biases = dict(network.weights), dict(network.codes), dict(network.biases)
    for name, weight in network.folded.weights.items():
        schemes[name] = Uniform.fit(weight, axis=axis)
        if codes:
            all_codes[name] = schemes[name].quantize(weight)
        if bias:
            source = network.activations[network.folded.layer(name).inputs[0]]
            biases[name] = quantize_bias(network.folded.biases[name], source.scale, schemes[name].scale)
    return replace(network, weights=schemes, codes=all_codes, biases=biases)


@mistake(
    "repair",
    symptom="Nothing changes.",
    cause="The network is returned as it came.",
    repair="Build a new one with dataclasses.replace: a QuantizedNetwork cannot be changed in place.",
    source="common with frozen records",
)
def nothing_repaired(network: QuantizedNetwork) -> QuantizedNetwork:
    return network


@mistake(
    "repair",
    symptom="The scales are right and the network is as wrong as before, or worse.",
    cause="New scales stand beside the former codes; codes have a meaning only with the scale that made them.",
    repair="Quantize the float weights again with the new scheme.",
    source="common when scales are corrected in a stored model",
)
def former_codes_under_new_scales(network: QuantizedNetwork) -> QuantizedNetwork:
    return _repaired(network, codes=False)


@mistake(
    "repair",
    symptom="Networks whose weights were wrong are right again; those whose bias was wrong are not.",
    cause="The bias codes were left as they were, though they count in steps of s_x·s_w.",
    repair="After each change of a weight scale compute the bias codes again.",
    source="common after one layer's scale is changed by hand",
)
def bias_codes_left_behind(network: QuantizedNetwork) -> QuantizedNetwork:
    return _repaired(network, bias=False)


@mistake(
    "repair",
    symptom="The bias is right; networks whose weights were wrong are as wrong as before.",
    cause="Only the bias codes were computed again; a mistake in the weights stays.",
    repair="Quantize the weights again as well, before the bias.",
    source="common when the first finding is taken for the only one",
)
def only_the_bias_repaired(network: QuantizedNetwork) -> QuantizedNetwork:
    biases = {}
    for name, bias in network.folded.biases.items():
        source = network.activations[network.folded.layer(name).inputs[0]]
        biases[name] = quantize_bias(bias, source.scale, np.asarray(network.weights[name].scale))
    return replace(network, biases=biases)


@also(one_scale_for_all_channels, "repair")
def repaired_per_tensor(network: QuantizedNetwork) -> QuantizedNetwork:
    return _repaired(network, axis=None)


@mistake(
    "repair",
    symptom="Networks whose scales are right are repaired; those with a wrong scale are not.",
    cause="The weights were quantized again with the scales that came with the network, which may be wrong.",
    repair="Fit a new scheme to the float weights first.",
    source="common when the codes are suspected and the scales are not",
)
def quantized_with_the_given_scales(network: QuantizedNetwork) -> QuantizedNetwork:
    codes, biases = {}, {}
    for name, weight in network.folded.weights.items():
        source = network.activations[network.folded.layer(name).inputs[0]]
        codes[name] = network.weights[name].quantize(weight)
        biases[name] = quantize_bias(network.folded.biases[name], source.scale, np.asarray(network.weights[name].scale))
    return replace(network, codes=codes, biases=biases)


@mistake(
    "repair",
    symptom="The weights are right and every bias is off by one factor for each layer.",
    cause="The bias codes were made with the scale of the layer's own output; sums count in the unit of its input.",
    repair="Take the scale of the activation that the layer reads.",
    source="common, since the output has the layer's name",
)
def bias_at_the_scale_of_the_output(network: QuantizedNetwork) -> QuantizedNetwork:
    anew = _repaired(network)
    biases = {
        # The logits are not quantized: their own scale is that of the input.
        name: quantize_bias(
            network.folded.biases[name],
            network.activations.get(name, network.activations[network.folded.layer(name).inputs[0]]).scale,
            np.asarray(anew.weights[name].scale),
        )
        for name in network.biases
    }
    return replace(anew, biases=biases)
