"""What the learner has solved: remembered by the checks in work/progress.json, shown in one view.

Only a check that runs in work/ remembers anything, so that solutions and tests leave no trace. What was once
solved stays solved.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from fewerbits.teach.exercises.folders import EXERCISES, given, work_folder

MARKS = ("○", "✗", "✓")
FILE = "progress.json"


def record(task: str, mark: str) -> bool:
    """Remember the mark of a task, when it is better than the one known; False where nothing is remembered.

    A file that cannot be written is no error.
    """
    # A folder may be deleted while a notebook runs in it, and a disk may be full.
    with contextlib.suppress(OSError):
        work = work_folder()
        if not Path.cwd().is_relative_to(work):
            return False
        marks = read_marks(work)
        if MARKS.index(mark) > MARKS.index(marks.get(task, MARKS[0])):
            unfinished = work / f"{FILE}.{os.getpid()}"
            unfinished.write_text(json.dumps(marks | {task: mark}, indent=1, ensure_ascii=False), encoding="utf-8")
            os.replace(unfinished, work / FILE)
    return True


def read_marks(work: Path | None = None) -> dict[str, str]:
    """The best mark of each task so far; empty when the file is missing or not as it was written."""
    try:
        marks = json.loads(((work or work_folder()) / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(marks, dict):
        return {}
    return {task: mark for task, mark in marks.items() if mark in MARKS}


def overview(chapter: str = "", exercises: Path = EXERCISES, work: Path | None = None) -> str:
    """All exercises in one view (or those of the chapters whose stem begins so): a line per chapter with a mark for
    each task, the sum, and what comes next."""
    marks = read_marks(work)
    chapters = [exercise for exercise in given(exercises) if exercise.stem.startswith(chapter)]
    if not chapters:
        return f"There are no exercises{f' called {chapter!r}' if chapter else ''} in {exercises}."
    lines, solved, total, following = [], 0, 0, ""
    for each in chapters:
        row = [marks.get(task, MARKS[0]) for task in each.tasks]
        solved, total = solved + row.count("✓"), total + len(row)
        lines.append(f"{each.stem:<18} {' '.join(row):<20} {row.count('✓')} of {len(row)}   {each.title}")
        unsolved = [task for task, mark in zip(each.tasks, row) if mark != "✓"]
        following = following or (f"Next: {unsolved[0]} in work/{each.path.name}." if unsolved else "")
    return "\n".join([*lines, f"{solved} of {total} solved. {following}".rstrip()])
