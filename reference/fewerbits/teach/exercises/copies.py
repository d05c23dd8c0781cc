"""The learner's copies: made when missing, never written over.

A copy carries its version (a hash of the exercise) in its metadata. When an exercise has changed, the changed one
is laid beside the learner's own as NN_topic.v2.ipynb, NN_topic.v3.ipynb and so on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from fewerbits.teach.exercises.folders import EXERCISES, Exercise, given, read, work_folder


def lay_out(exercises: Path = EXERCISES, work: Path | None = None) -> Iterator[str]:
    """Make the copies that are missing; yields one sentence for each thing done."""
    work = work or work_folder()
    work.mkdir(parents=True, exist_ok=True)
    made = []
    for exercise in given(exercises):
        copies = _copies(exercise.stem, work)
        if not copies:
            _copy(exercise, work / exercise.path.name)
            made.append(exercise.stem)
        elif not any((copy := read(path)) and copy.version == exercise.version for path in copies):
            target = work / f"{exercise.stem}.v{_newest(copies) + 1}.ipynb"
            _copy(exercise, target)
            yield f"{exercise.stem} has changed: the new one is {target.name}, beside yours, which is as you left it."
    if made:
        yield f"Your copies of the exercises are in {work.name}/: {', '.join(made)}."


def _copies(stem: str, work: Path) -> list[Path]:
    return [path for path in work.glob(f"{stem}*.ipynb") if re.fullmatch(rf"{stem}(\.v\d+)?", path.stem)]


def _newest(copies: list[Path]) -> int:
    numbers = (re.search(r"\.v(\d+)$", path.stem) for path in copies)
    return max(int(number[1]) if number else 1 for number in numbers)


def _copy(exercise: Exercise, target: Path) -> None:
    # Mode "x" refuses to open a file that exists, whatever was seen before.
    with open(target, "xb") as copy:
        copy.write(exercise.path.read_bytes())
