"""Mistakes of integer arithmetic: in sums of codes, and on the way from a sum back to a code."""
