"""What to do about each finding: the repair that the catalogue has for the mistake or fault."""

from __future__ import annotations

from fewerbits.diagnose.finding import Finding


def finding(name: str, where: str, evidence: str) -> Finding:
    """A finding with its repair."""
    from fewerbits.teach import mistakes  # here: a model's structure is read without the course's catalogue

    return Finding(name, where, evidence, mistakes.find(name).repair)
