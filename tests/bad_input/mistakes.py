"""Arguments that the catalogue of mistakes refuses."""

from __future__ import annotations

from fewerbits.teach import mistakes

from tests.bad_input import Case

CASES = [
    Case("unknown topic", lambda: mistakes.catalogue("cooking"), ValueError, ("topic", "cooking", "uniform")),
    Case("unknown topic of a table", lambda: mistakes.table("cooking"), ValueError, ("topic", "cooking", "uniform")),
    Case("unknown name", lambda: mistakes.find("whole_step_bounds"), ValueError, ("name", "whole_step_bound")),
    Case("no name", lambda: mistakes.find(None), ValueError, ("name", "None")),  # type: ignore[arg-type]
    Case(
        "mistake of another task",
        lambda: mistakes.find("levels_per_side", "dequantize"),
        ValueError,
        ("task", "dequantize", "symmetric_scale"),
    ),
]
