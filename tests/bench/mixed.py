"""What allocation wins: bits divided by measured sensitivity against the same bits everywhere, on all test images."""

from __future__ import annotations

import numpy as np
from fewerbits import data
from fewerbits.deploy.evaluation import bootstrap_difference
from fewerbits.network import allocation, mixed
from fewerbits.network.batches import over_batches
from fewerbits.network.folding import fold
from fewerbits.network.quantized import QuantizedNetwork, calibrate, quantize_network


def run() -> None:
    network = fold("vgg32", data.load_weights("vgg32"))
    train, test = data.load_fashion_mnist("train"), data.load_fashion_mnist("test")
    images = data.to_float(test.images)
    seen = calibrate(network, data.to_float(train.images[:500]), title="")
    sizes = mixed.weight_bytes(network)
    measured = mixed.measured_sensitivity(network, data.to_float(train.images[:200]), title="")
    four_bits = sum(table[4] for table in sizes.values())
    scales = 4 * sum(len(weight) for weight in network.weights.values())
    per_bit = (four_bits - scales) / 4

    def answers(quantized: QuantizedNetwork, title: str) -> np.ndarray:
        parts = over_batches(lambda batch: quantized.simulate(batch)["logits"].argmax(1), images, title=title)
        return np.concatenate(list(parts))

    uniform = answers(quantize_network(network, seen, weight_bits=4), "W4A8")
    for average in (4.0, 4.5):
        bits = allocation.exact(measured, sizes, int(average * per_bit + scales))
        chosen = answers(quantize_network(network, seen, weight_bits=bits), f"mixed {average}")
        gain = bootstrap_difference(chosen, uniform, test.labels)
        average_bits = mixed.average_bits(network, bits)
        print(f"mixed, {average_bits:.2f} bits on average, against 4 bits everywhere, 10,000 images | {gain} | above 0")
