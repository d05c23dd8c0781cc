"""Mistakes about what numbers are: in reading and writing bit patterns, and in counting what they cost."""
