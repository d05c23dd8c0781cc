"""What a diagnosis reports: one finding for each thing that is wrong."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a quantized tensor or a node of a model.

    `name` is the mistake's name in the catalogue where the catalogue has it, `where` what it was found in (an
    argument of `diagnose`, a node's name), `evidence` the numbers that show it, `repair` what to do. `level` is
    "mistake", "risk" for what goes wrong on some CPUs only, or "note" for what may be meant so.
    """

    name: str
    where: str
    evidence: str
    repair: str
    level: str = "mistake"

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    def as_dict(self) -> dict[str, str]:
        """The five fields, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        rows = [("evidence", self.evidence), ("repair", self.repair)]
        lines = [
            textwrap.fill(f"{label:<8} {text}", 100, initial_indent="  ", subsequent_indent=" " * 11)
            for label, text in rows
        ]
        return "\n".join([f"{self.title}  ({self.where})", *lines])
