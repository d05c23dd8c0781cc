"""What a mistake is: a few sentences and the wrong implementation itself."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Mistake:
    """One mistake as it is made in one task; calling it runs the wrong implementation.

    `symptom` is what one sees, `cause` why it happens (a check shows this sentence, so it must not contain the
    solution), `repair` what to do, `source` where it was made. `topic` is the chapter's stem without its number,
    `task` the check whose function `wrong` imitates. The same mistake made in several tasks, or in two ways in
    one, is several records with one name. Where one of the returned values gives the mistake away whatever the
    others are, `shows_in` is its name: that of the scale, for a scale of the wrong number of steps.
    """

    name: str
    topic: str
    task: str
    symptom: str
    cause: str
    repair: str
    source: str
    wrong: Callable[..., Any]
    shows_in: str | None = None

    def __call__(self, *arguments: Any) -> Any:
        return self.wrong(*arguments)

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    def __str__(self) -> str:
        rows = [("symptom", self.symptom), ("cause", self.cause), ("repair", self.repair), ("source", self.source)]
        indent = {"initial_indent": "  ", "subsequent_indent": " " * 11}
        lines = [textwrap.fill(f"{label:<8} {text}", 100, **indent) for label, text in rows]  # type: ignore[arg-type]
        return "\n".join([f"{self.title}  ({self.topic})", *lines])


def mistake(
    task: str, *, symptom: str, cause: str, repair: str, source: str, shows_in: str | None = None
) -> Callable[..., Mistake]:
    """Make the decorated wrong implementation of `task` a Mistake, named like the function.

    The topic is the module's name below `fewerbits.teach.mistakes`, so that a chapter's mistakes stand together.
    """

    def record(wrong: Callable[..., Any]) -> Mistake:
        topic = wrong.__module__.partition(".mistakes.")[2].partition(".")[0]
        return Mistake(wrong.__name__, topic, task, symptom, cause, repair, source, wrong, shows_in)

    return record


def also(known: Mistake, task: str, *, shows_in: str | None = None) -> Callable[..., Mistake]:
    """Make the decorated function the same mistake as `known`, made in `task` (or there in another way)."""

    def record(wrong: Callable[..., Any]) -> Mistake:
        return replace(known, task=task, wrong=wrong, shows_in=shows_in)

    return record
