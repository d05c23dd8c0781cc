"""What the mystery set refuses."""

from __future__ import annotations

from fewerbits.teach import mysteries

from tests.bad_input import Case

CASES = [
    Case("a network too many", lambda: mysteries.mystery(11), ValueError, ("number", "11")),
    Case("counted from zero", lambda: mysteries.mystery(0), ValueError, ("number", "0")),
    Case("a name for a number", lambda: mysteries.mystery("one"), TypeError, ("number", "one")),  # type: ignore[arg-type]
]
