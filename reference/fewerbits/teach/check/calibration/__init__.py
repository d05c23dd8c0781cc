"""The tasks of chapter 03, calibration."""
