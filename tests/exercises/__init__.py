"""Proofs for every exercise. `test_proofs.py` holds them; a module named like a chapter holds what they need.

Such a module has these tables by task:
ALTERNATIVES  at least three correct implementations in different styles, which must pass;
SLIPS         wrong ones as a learner would write them, with the name of the mistake that the check must give.
UNNAMED       wrong ones that no known mistake describes, which must get no name (optional).
The mistakes of the catalogue are tried without being listed here.
"""
