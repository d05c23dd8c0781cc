"""Build the lessons: notebooks/source/NN_topic.py is run and becomes notebooks/NN_topic.ipynb, outputs included.

`python -m fewerbits.teach.build [--force] [names]` builds what changed: a lesson's source, a module of fewerbits
that it imports (directly or not), or the data. The notebook remembers a fingerprint of these. With --force it is
run again though nothing changed; then cells tagged `nbval-ignore-output` (timings) keep their former output, so
that nothing differs. Delete the notebook to have those afresh.

Source files are `py:percent` (Jupytext). A cell's metadata stands on its header line,
`# %% tags=["nbval-ignore-output"]`. The alt text of a figure stands in comment lines at the top of its cell; it
ends at the first line that is no comment and goes into the metadata `alt`, where nbconvert looks for it:

    # %%
    # alt: Error against input: a sawtooth between −s/2 and s/2
    # that leaves these bounds beyond the largest code.
    plots.error(scheme)

Built notebooks hold nothing that changes from run to run or from machine to machine: no times, no widget state,
no versions, no PNG metadata, no paths in tracebacks.
"""

from __future__ import annotations

import argparse
import ast
import base64
import hashlib
import io
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jupytext  # type: ignore[import-untyped]
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image
from tqdm.auto import tqdm

from fewerbits.teach.exercises.folders import WORK_VARIABLE

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "reference" / "fewerbits"
LESSONS = ROOT / "notebooks"
IGNORE_OUTPUT = "nbval-ignore-output"
CELL_TIMEOUT_SECONDS = 300
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
# What Jupytext notes about the layout of the text file.
LAYOUT_METADATA = ("cell_marker", "lines_to_next_cell", "lines_to_end_of_cell_marker")
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ALT_TEXT = re.compile(r"\A# alt: (.*(?:\n#.*)*)\n+")


class BuildError(Exception):
    """A lesson that does not run as it should; the message names the cell and what happened."""


def read_source(path: Path) -> NotebookNode:
    """The notebook, not yet run, that a `py:percent` file describes; only kernelspec and language as metadata.

    A cell's id is a hash of its kind and text, so that it changes with the cell and with nothing else; a
    repeated cell gets a number behind it.
    """
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNELSPEC, "language_info": {"name": "python"}})
    seen: dict[str, int] = {}
    for cell in jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent").cells:
        if cell.cell_type == "code" and (alt := ALT_TEXT.match(cell.source)):
            cell.metadata["alt"] = " ".join(line.lstrip("# ").strip() for line in alt[1].split("\n"))
            cell.source = cell.source[alt.end() :]
        for key in LAYOUT_METADATA:
            cell.metadata.pop(key, None)
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] = seen.get(digest, 0) + 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        notebook.cells.append(cell)
    return notebook


def execute(notebook: NotebookNode, cwd: Path, title: str = "") -> NotebookNode:
    """A copy of `notebook` run from top to bottom in the folder `cwd`, with outputs that do not change.

    Raises BuildError when a cell raises (unless tagged `raises-exception`), writes to stderr or shows a widget
    (unless tagged `nbval-ignore-output`), takes longer than CELL_TIMEOUT_SECONDS, or when the kernel dies.
    """
    notebook = nbformat.from_dict(notebook)
    progress = tqdm(total=len(notebook.cells), desc=title, unit="cell", leave=False, disable=None)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        resources={"metadata": {"path": str(cwd)}},
        record_timing=False,
        coalesce_streams=True,
        on_cell_complete=lambda cell, cell_index: progress.update(),
    )
    with (
        progress,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        open(Path(folder) / "kernel.log", "w+", encoding="utf-8", errors="replace") as log,
    ):
        try:
            client.execute(env=kernel_environment(folder), stderr=log)
        except DeadKernelError as error:
            log.seek(0)
            raise BuildError(f"{error}; the kernel's last words:\n{log.read()[-2000:]}") from error
        except (CellExecutionError, CellTimeoutError) as error:
            raise BuildError(ANSI_COLOUR.sub("", str(error))) from error
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            _clean_outputs(cell)
    return notebook


def write(notebook: NotebookNode, path: Path) -> None:
    """Write `notebook` as nbformat 4 JSON with sorted keys, UTF-8 and \\n on every system, all or nothing."""
    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
    os.replace(unfinished, path)


def kernel_environment(folder: str) -> dict[str, str]:
    """The environment of a kernel: this process's, without the user's matplotlib backend, IPython profile and solved
    exercises. `folder`, empty, stands in for the folders of the last two."""
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    return (
        {WORK_VARIABLE: folder}
        | environment
        | {
            "OMP_WAIT_POLICY": "PASSIVE",
            "OPENBLAS_NUM_THREADS": "1",
            "IPYTHONDIR": folder,
            "JUPYTER_PLATFORM_DIRS": "1",
        }
    )


def is_volatile(cell: NotebookNode) -> bool:
    """Whether the output of a cell may differ from run to run (tagged `nbval-ignore-output`)."""
    return IGNORE_OUTPUT in cell.metadata.get("tags", [])


def _clean_outputs(cell: NotebookNode) -> None:
    """Remove from a cell what changes from run to run; complain about what must not be there."""
    kept = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr" and not is_volatile(cell):
            raise BuildError(f"a cell writes to stderr:\n{output.text}\nin this cell:\n{cell.source}")
        if output.output_type == "error":
            output.traceback = [f"{output.ename}: {output.evalue}"]
        data = output.get("data", {})
        if WIDGET in data:
            if not is_volatile(cell):
                raise BuildError(f'a cell shows a widget without tags=["{IGNORE_OUTPUT}"]:\n{cell.source}')
            continue
        if "image/png" in data:
            data["image/png"] = _small_png(data["image/png"])
        kept.append(output)
    cell.outputs = kept


def _small_png(encoded: str) -> str:
    """The same pixels in base64, compressed as well as PNG can, without an opaque alpha channel or metadata."""
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
        opaque = image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255)
        smaller = io.BytesIO()
        (image.convert("RGB") if opaque else image).save(smaller, "PNG", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode()


def fingerprint(source: Path) -> str:
    """A hash of everything that the notebook built from `source` depends on, apart from installed packages."""
    text = source.read_text(encoding="utf-8")
    modules = sorted(_imported_modules(text, set()))
    digest = hashlib.sha256(text.encode())
    for path in (*modules, Path(__file__), ROOT / "datasets" / "SHA256SUMS"):
        digest.update(path.read_text(encoding="utf-8").encode())
    return digest.hexdigest()[:16]


def _imported_modules(code: str, found: set[Path]) -> set[Path]:
    """The files of fewerbits that `code` imports, and those that they import; collected in `found`."""
    for name in _imported_names(code):
        parts = name.split(".")[1:]
        for depth in range(len(parts) + 1):
            stem = PACKAGE.joinpath(*parts[:depth])
            for path in (stem / "__init__.py", stem.with_suffix(".py")):
                if path.is_file() and path not in found:
                    found.add(path)
                    _imported_modules(path.read_text(encoding="utf-8"), found)
    return found


def _imported_names(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "fewerbits")


def build(source: Path, target: Path, *, force: bool = False) -> bool:
    """Run `source` and write `target`, unless it is up to date; whether it was run.

    `target`'s folder is where it runs. Raises BuildError as `execute` does; then `target` stays as it was.
    """
    wanted = fingerprint(source)
    former = nbformat.read(target, as_version=4) if target.exists() else None
    unchanged = former is not None and former.metadata.get("built_from") == wanted
    if unchanged and not force:
        return False
    notebook = execute(read_source(source), target.parent, title=source.stem)
    notebook.metadata["built_from"] = wanted
    if former is not None and unchanged:
        former_outputs = {cell.id: cell.outputs for cell in former.cells if cell.cell_type == "code"}
        for cell in notebook.cells:
            if is_volatile(cell) and cell.id in former_outputs:
                cell.outputs = former_outputs[cell.id]
    write(notebook, target)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the named lessons, or all; 1 when one of them does not run."""
    parser = argparse.ArgumentParser(prog="python -m fewerbits.teach.build", description="Build the lessons.")
    parser.add_argument("names", nargs="*", help="lessons by their number or stem, such as 02 or 02_uniform")
    parser.add_argument("--force", action="store_true", help="run lessons again though nothing changed")
    options = parser.parse_args(arguments)
    sources = sorted((LESSONS / "source").glob("[0-9]*.py"))
    for name in options.names:
        if not any(source.stem.startswith(name) for source in sources):
            parser.error(f"no lesson {name!r}: there are {', '.join(source.stem for source in sources) or 'none yet'}")
    failures = 0
    for source in sources:
        if options.names and not any(source.stem.startswith(name) for name in options.names):
            continue
        target = LESSONS / f"{source.stem}.ipynb"
        started = time.monotonic()
        try:
            built = build(source, target, force=options.force)
        except BuildError as error:
            failures += 1
            print(f"{source.stem:<20} failed\n{error}", file=sys.stderr, flush=True)
        else:
            how = f"built in {time.monotonic() - started:.0f} s" if built else "up to date"
            print(f"{source.stem:<20} {how}, {target.stat().st_size / 1024:.0f} KiB", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
