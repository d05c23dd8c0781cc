"""Where the notebooks are, how to read them as they stand in the file, how to run nbval, how to make a small one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
from fewerbits.teach import build
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("*.py"))
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "exercises" / "solutions").glob("*.ipynb"))
EXERCISES = sorted((ROOT / "exercises").glob("*.ipynb"))
BUILT = [*LESSONS, *SOLUTIONS]
SANITIZE = ROOT / "tests" / "lessons" / "nbval_sanitize.cfg"


def name(path: Path) -> str:
    """The id of a test about this notebook."""
    return path.relative_to(ROOT).with_suffix("").as_posix()


def load(path: Path) -> NotebookNode:
    """The notebook exactly as stored: nbformat.read would mend ids."""
    return nbformat.v4.reads(path.read_text(encoding="utf-8"))


def make(path: Path, *cells: str, tags: dict[int, list[str]] | None = None, run: bool = True) -> Path:
    """Write and return a notebook of the given code cells, run and built as the lessons are."""
    source = "\n".join(
        f"# %% tags={json.dumps(tags[index])}\n{cell}\n" if tags and index in tags else f"# %%\n{cell}\n"
        for index, cell in enumerate(cells)
    )
    text = path.with_suffix(".py")
    text.write_text(source, encoding="utf-8")
    notebook = build.read_source(text)
    build.write(build.execute(notebook, path.parent) if run else notebook, path)
    return path


def run_nbval(
    path: Path, *options: str, cell_timeout: float = build.CELL_TIMEOUT_SECONDS, ipython_folder: Path
) -> subprocess.CompletedProcess[str]:
    """Strict nbval on one notebook in a process of its own.

    A process of its own, because under xdist cells of one notebook may land on several workers; with a cell timeout,
    because without one a dead kernel is waited for during 2,000 s; in this environment's kernel, not the user's.
    """
    environment = build.kernel_environment(str(ipython_folder))
    for variable in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"):
        environment.pop(variable, None)
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--color=no", "-q"]
    command += [f"--nbval-cell-timeout={cell_timeout}", f"--nbval-sanitize-with={SANITIZE}"]
    command += ["-c", str(ROOT / "pyproject.toml"), "-p", "tests.lessons.nbval_figures"]
    if not any(option.startswith("-n") for option in options):
        command += ["-p", "no:xdist"]
    return subprocess.run(
        [*command, *options, str(path)],
        env=environment,
        cwd=path.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=20 * 60,
    )
