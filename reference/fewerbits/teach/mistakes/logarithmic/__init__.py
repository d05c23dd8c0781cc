"""Mistakes of logarithmic quantization: in powers and their codes, and in curves, shifts and levels."""
