"""The exercises: the learner's copies in work/, and what has been solved.

`python -m fewerbits.teach.exercises` lays out the copies, `... progress` shows what is solved; in a notebook
`exercises.show_progress()` shows the same.
"""

from __future__ import annotations

from pathlib import Path

from fewerbits.teach.exercises.folders import EXERCISES, work_folder
from fewerbits.teach.exercises.progress import overview

__all__ = ["overview", "show_progress"]


def show_progress(chapter: str = "") -> None:
    """Print which exercises are solved, chapter by chapter or of one chapter, such as "02_uniform"."""
    print(overview(chapter))
    here = Path.cwd()
    if here.is_relative_to(EXERCISES):
        print("This notebook is the original, where nothing is remembered. Your own copies are in work/.")
    elif not here.is_relative_to(work_folder()):
        print("This notebook is not in work/: nothing that is solved in it is remembered.")
