"""The tasks of chapter 01, what numbers are and what they cost."""
