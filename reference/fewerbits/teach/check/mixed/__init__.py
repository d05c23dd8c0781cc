"""The tasks of chapter 07, mixed."""
