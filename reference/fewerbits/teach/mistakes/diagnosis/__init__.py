"""Mistakes of those who look for mistakes: a rule that measures something else, a repair that stops halfway."""
