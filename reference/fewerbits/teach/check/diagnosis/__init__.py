"""The tasks of chapter 08, mistakes."""
