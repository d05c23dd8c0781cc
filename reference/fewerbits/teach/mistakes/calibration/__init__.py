"""Mistakes of calibration: in what data is watched, and in the range that is made of it."""
