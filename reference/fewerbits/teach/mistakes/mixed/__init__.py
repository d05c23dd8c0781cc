"""Mistakes of mixed precision: two precisions in one layer, and bits divided among layers."""
