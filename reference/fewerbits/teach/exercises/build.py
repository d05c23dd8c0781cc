"""Build the exercises: exercises/source/NN_topic.py becomes a notebook for learners and a solved one.

`python -m fewerbits.teach.exercises.build [--force] [names]`. In the source, inside a function,

    # SOLUTION
    return np.rint(x / scale)
    # GIVEN
    # return np.floor(x / scale)
    # END SOLUTION

the lines up to GIVEN (or END SOLUTION) stay in the solved notebook, and become `raise NotImplementedError` in the
learner's. What follows GIVEN stands below that line in the learner's notebook, without its comment sign: code to
repair. A cell tagged `solution` is in the solved notebook only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from fewerbits.teach import build as lessons
from fewerbits.teach.exercises.folders import EXERCISES, WORK_VARIABLE

BLOCK = re.compile(
    r"^(?P<indent>[ ]+)# SOLUTION\n(?P<solution>.*?)(?:^[ ]+# GIVEN\n(?P<given>.*?))?^[ ]+# END SOLUTION$",
    re.DOTALL | re.MULTILINE,
)
STUB = "raise NotImplementedError"
STUB_ABOVE_CODE = f"{STUB}  # delete this line when you begin to repair what follows"


def for_learners(notebook: NotebookNode) -> NotebookNode:
    """The notebook with stubs for solutions, and with its version: a hash of what the learner sees."""
    learner = _transformed(notebook, _stub)
    learner.cells = [cell for cell in learner.cells if not _is_solution(cell)]
    seen = json.dumps([(cell.cell_type, cell.source) for cell in learner.cells])
    learner.metadata["fewerbits"] = {"version": hashlib.sha256(seen.encode()).hexdigest()[:12]}
    return learner


def solved(notebook: NotebookNode) -> NotebookNode:
    """The notebook with its solutions, without the marks around them; not yet run."""
    result = _transformed(notebook, _solution)
    for cell in result.cells:
        if _is_solution(cell):
            cell.metadata.tags.remove("solution")
            if not cell.metadata.tags:
                del cell.metadata["tags"]
    return result


def _is_solution(cell: NotebookNode) -> bool:
    return "solution" in cell.metadata.get("tags", [])


def _transformed(notebook: NotebookNode, replacement: Callable[[re.Match[str]], str]) -> NotebookNode:
    result = nbformat.from_dict(notebook)
    for cell in result.cells:
        if cell.cell_type == "code":
            cell.source = BLOCK.sub(replacement, cell.source)
            if left := re.search(r"# (?:END )?SOLUTION|# GIVEN", cell.source):
                raise lessons.BuildError(f"{left[0]} has no counterpart or stands outside a function:\n{cell.source}")
    return result


def _stub(block: re.Match[str]) -> str:
    indent = block["indent"]
    if block["given"] is None:
        return f"{indent}{STUB}"
    code = re.sub(rf"^{indent}# ?", indent, block["given"].rstrip("\n"), flags=re.MULTILINE)
    return f"{indent}{STUB_ABOVE_CODE}\n{code}"


def _solution(block: re.Match[str]) -> str:
    return block["solution"].rstrip("\n")


def build(source: Path, exercises: Path = EXERCISES, *, force: bool = False) -> bool:
    """Write the learner's notebook, and run and write the solved one unless it is up to date; whether it was run."""
    notebook = lessons.read_source(source)
    lessons.write(for_learners(notebook), exercises / f"{source.stem}.ipynb")
    target = exercises / "solutions" / f"{source.stem}.ipynb"
    wanted = lessons.fingerprint(source)
    if target.exists() and not force and nbformat.read(target, as_version=4).metadata.get("built_from") == wanted:
        return False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work, _work_folder(work):
        executed = lessons.execute(solved(notebook), Path(work), title=source.stem)
    executed.metadata["built_from"] = wanted
    lessons.write(executed, target)
    return True


@contextlib.contextmanager
def _work_folder(folder: str) -> Iterator[None]:
    """Let checks remember in `folder`, so that the solved notebook shows its own progress and no one else's."""
    former = os.environ.get(WORK_VARIABLE)
    os.environ[WORK_VARIABLE] = folder
    try:
        yield
    finally:
        os.environ.pop(WORK_VARIABLE)
        if former is not None:
            os.environ[WORK_VARIABLE] = former


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the named exercises, or all; 1 when a solution does not run."""
    parser = argparse.ArgumentParser(prog="python -m fewerbits.teach.exercises.build", description="Build exercises.")
    parser.add_argument("names", nargs="*", help="exercises by their number or stem, such as 02 or 02_uniform")
    parser.add_argument("--force", action="store_true", help="run solutions again though nothing changed")
    options = parser.parse_args(arguments)
    failures = 0
    for source in sorted((EXERCISES / "source").glob("[0-9]*.py")):
        if options.names and not any(source.stem.startswith(name) for name in options.names):
            continue
        try:
            print(f"{source.stem:<20} {'built' if build(source, force=options.force) else 'up to date'}", flush=True)
        except lessons.BuildError as error:
            failures += 1
            print(f"{source.stem:<20} failed\n{error}", file=sys.stderr, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
