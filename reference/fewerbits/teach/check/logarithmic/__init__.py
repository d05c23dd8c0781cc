"""The tasks of chapter 04, logarithmic quantization."""
