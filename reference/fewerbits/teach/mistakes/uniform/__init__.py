"""Mistakes of uniform quantization, by what goes wrong: the parameters, the codes, or a whole tensor."""
