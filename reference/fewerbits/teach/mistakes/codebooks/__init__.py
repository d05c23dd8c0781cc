"""Mistakes with levels that are not equal steps: codebooks, small floats, and blocks that share a scale."""
