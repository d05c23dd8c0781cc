"""What wrong arguments get: each module here lists cases, and `tests/test_bad_input.py` runs them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Case(NamedTuple):
    """A call that must be refused, with which exception, naming what (all words must be in the message)."""

    name: str
    call: Callable[[], object]
    exception: type[Exception]
    words: tuple[str, ...]
