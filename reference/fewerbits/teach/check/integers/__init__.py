"""The tasks of chapter 06, integers."""
