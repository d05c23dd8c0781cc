"""Fewer Bits: a small, verified reference implementation of neural-network quantization.

Four floors, each importing only from itself and those below:
`tensor` (one tensor becomes codes and comes back), `network` (a network is quantized),
`deploy` (it runs on a real engine), `teach` (what lessons and exercises lean on).
"""

__version__ = "0.1.0"
