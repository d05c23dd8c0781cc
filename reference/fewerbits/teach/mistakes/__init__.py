"""The catalogue of quantization mistakes: each with symptom, cause, repair, source and the wrong code itself.

To add a mistake, write the wrong function under `@mistake(...)` in its chapter's module; that is all. A new
chapter's module is imported below and added to TOPICS.
"""

from __future__ import annotations

import difflib
import textwrap
from types import ModuleType

from fewerbits.teach.mistakes.calibration import choosing, observing
from fewerbits.teach.mistakes.capstone import adding, channels, folding, timing
from fewerbits.teach.mistakes.capstone import networks as capstone_networks
from fewerbits.teach.mistakes.codebooks import blocks, formats, levels
from fewerbits.teach.mistakes.codebooks import storage as codebook_storage
from fewerbits.teach.mistakes.diagnosis import networks, rules
from fewerbits.teach.mistakes.faults import FAULTS
from fewerbits.teach.mistakes.integers import pairs, requantizing, sums
from fewerbits.teach.mistakes.logarithmic import curves, logarithms, powers, shifts
from fewerbits.teach.mistakes.mixed import allocating, candidates, layers, measuring
from fewerbits.teach.mistakes.numbers import floats, neighbours, packing, rooflines, rounding, sizes
from fewerbits.teach.mistakes.record import Mistake, also, mistake
from fewerbits.teach.mistakes.uniform import codes, parameters, tensors

__all__ = ["TOPICS", "Mistake", "also", "catalogue", "find", "in_task", "mistake", "records", "table"]

TOPICS: dict[str, tuple[ModuleType, ...]] = {
    "numbers": (floats, neighbours, rounding, packing, sizes, rooflines),
    "uniform": (parameters, codes, tensors),
    "calibration": (observing, choosing),
    "logarithmic": (powers, logarithms, curves, shifts),
    "codebooks": (levels, codebook_storage, formats, blocks),
    "integers": (sums, pairs, requantizing),
    "mixed": (layers, measuring, allocating, candidates),
    "diagnosis": (rules, networks),
    "capstone": (folding, adding, channels, capstone_networks, timing),
}


def records() -> tuple[Mistake, ...]:
    """Every mistake in every task in which it is made, in the order of the chapters."""
    modules = [module for modules in TOPICS.values() for module in modules]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Mistake)]
    # A module also holds the mistakes that it imports to say `also`: count each once.
    return tuple({id(record): record for record in found}.values())


def catalogue(topic: str | None = None) -> tuple[Mistake, ...]:
    """Each mistake once, of one topic or of all. Raises ValueError for an unknown topic."""
    if topic is not None and topic not in TOPICS:
        raise ValueError(f"topic={topic!r} is not known: accepted are {', '.join(map(repr, TOPICS))}")
    first: dict[str, Mistake] = {}
    for record in records():
        if topic in (None, record.topic):
            first.setdefault(record.name, record)
    return tuple(first.values())


def in_task(task: str) -> tuple[Mistake, ...]:
    """The mistakes known to be made in one task; none for a task without any."""
    return tuple(record for record in records() if record.task == task)


def find(name: str, task: str | None = None) -> Mistake:
    """The mistake called `name` (spaces, hyphens or underscores), as it is made in `task` when that is given.

    Also what only a diagnosis names, which no exercise has. Raises ValueError naming similar ones when there is none.
    """
    wanted = str(name).strip().replace(" ", "_").replace("-", "_")
    named = [record for record in records() if record.name == wanted]
    if not named and task is None and wanted in FAULTS:
        return FAULTS[wanted]
    if not named:
        names = [*(record.name for record in catalogue()), *FAULTS]
        similar = difflib.get_close_matches(wanted, names, cutoff=0.4) or names
        raise ValueError(f"name={name!r} is not in the catalogue: similar are {', '.join(similar)}")
    found = [record for record in named if task in (None, record.task)]
    if not found:
        raise ValueError(f"task={task!r} has no {name!r}: it is made in {', '.join(record.task for record in named)}")
    return found[0]


def table(topic: str | None = None) -> str:
    """The catalogue as text: topic by topic, the name and the symptom of each mistake."""
    lines = []
    for each in TOPICS if topic is None else (topic,):
        entries = catalogue(each)
        lines.append(f"{each}: {len(entries)} mistakes")
        for entry in entries:
            first, *rest = textwrap.wrap(entry.symptom, 66)
            lines.append(f"  {entry.title:<42} {first}")
            lines += [f"  {'':<42} {line}" for line in rest]
    return "\n".join(lines)
