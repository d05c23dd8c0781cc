"""The tasks of chapter 02, uniform quantization."""
