"""The main job, end to end: fold, calibrate, quantize, simulate, export, execute, count bytes and time by pairs.

`python -m fewerbits.capstone` does it for the course's CNNs on all 10,000 test images: one table, one JSON, one figure.
"""
