"""The tasks of chapter 09, the capstone."""
