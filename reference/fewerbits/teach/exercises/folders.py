"""Where exercises are given, where the learner works, and what an exercise notebook holds."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewerbits.data import DATASETS

EXERCISES = DATASETS.parent / "exercises"
WORK_VARIABLE = "FEWERBITS_WORK"
CHECK = re.compile(r"^\s*(?:if\s+)?check\.(\w+)\(", re.MULTILINE)
HEADING = re.compile(r"^# (?:Exercises: )?(.+)$", re.MULTILINE)


def work_folder() -> Path:
    """work/ of the course, git-ignored; the environment variable FEWERBITS_WORK names another one."""
    return Path(os.environ.get(WORK_VARIABLE) or DATASETS.parent / "work").resolve()


@dataclass(frozen=True)
class Exercise:
    """One notebook of exercises: its file, its title, the tasks it checks in order, and its version."""

    path: Path
    title: str
    tasks: tuple[str, ...]
    version: str

    @property
    def stem(self) -> str:
        return self.path.stem


def given(folder: Path = EXERCISES) -> list[Exercise]:
    """The exercises that the course gives, by chapter; empty where there are none."""
    return [exercise for path in sorted(folder.glob("[0-9]*.ipynb")) if (exercise := read(path)) is not None]


def read(path: Path) -> Exercise | None:
    """What a notebook file holds; None when it cannot be read as a notebook."""
    try:
        notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        texts = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
        version = notebook["metadata"].get("fewerbits", {}).get("version", "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    titles = [match[1] for kind, text in texts if kind == "markdown" and (match := HEADING.search(text))]
    tasks = [name for kind, text in texts if kind == "code" for name in CHECK.findall(text)]
    return Exercise(path, titles[0] if titles else path.stem, tuple(dict.fromkeys(tasks)), str(version))
