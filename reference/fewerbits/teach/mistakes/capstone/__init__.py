"""Mistakes on the way from a trained network to an int8 file and to a number that says what it gained."""
