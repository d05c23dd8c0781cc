"""The tasks of chapter 05, codebooks, small floats and block formats."""
