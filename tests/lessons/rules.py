"""The rules that stored notebooks obey: each takes a notebook and its path and yields what is wrong.

Several guard against traps of nbval 0.11, which in strict mode passes a cell that was never run and a line magic
that fails, and fails a cell that ends with a semicolon (nbval runs it without history, where IPython shows it).
"""

from __future__ import annotations

import ast
import getpass
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from fewerbits.teach.build import IGNORE_OUTPUT, KERNELSPEC, WIDGET
from nbformat import NotebookNode

from tests.lessons.figures import images_of, is_blank

MAX_BYTES = 2**20
TAGS = {IGNORE_OUTPUT, "raises-exception", "solution"}
CELL_METADATA = {"tags", "alt"}
NOTEBOOK_METADATA = {"kernelspec", "language_info", "built_from", "fewerbits"}
SHORTEST_ALT_TEXT = 40
# The start of an absolute path on Linux, macOS or Windows.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/~-])/(?:home|Users|root|tmp|var|private|usr|opt|mnt|work|workspaces?)/\S*|\b[A-Za-z]:\\\S*"
)
ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
COMMON_USERS = {"root", "user", "admin", "runner", "runneradmin"}

Rule = Callable[[NotebookNode, Path], Iterator[str]]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def has_the_common_kernel(notebook: NotebookNode, path: Path) -> Iterator[str]:
    if notebook.metadata.get("kernelspec") != KERNELSPEC:
        yield f"kernelspec is {notebook.metadata.get('kernelspec')}, not {KERNELSPEC}"


def has_unique_cell_ids(notebook: NotebookNode, path: Path) -> Iterator[str]:
    ids = Counter(cell.get("id") for cell in notebook.cells)
    yield from (f"the cell id {cell_id} occurs {count} times" for cell_id, count in ids.items() if count > 1)
    if None in ids:
        yield "a cell has no id"


def has_no_volatile_metadata(notebook: NotebookNode, path: Path) -> Iterator[str]:
    yield from (f"notebook metadata {key!r}" for key in notebook.metadata.keys() - NOTEBOOK_METADATA)
    if notebook.metadata.get("language_info", {}) != {"name": "python"}:
        yield f"language_info says more than the name: {notebook.metadata.language_info}"
    for index, cell in enumerate(notebook.cells):
        yield from (f"cell {index} has metadata {key!r}" for key in cell.metadata.keys() - CELL_METADATA)
        yield from (f"cell {index} has the unknown tag {tag!r}" for tag in set(cell.metadata.get("tags", [])) - TAGS)


def is_small(notebook: NotebookNode, path: Path) -> Iterator[str]:
    if (size := path.stat().st_size) >= MAX_BYTES:
        yield f"{size} bytes, which is not under 1 MiB"


def is_plain_python(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """No magics: one that fails passes nbval, and a linter cannot read it."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        try:
            tree = ast.parse(cell.source, mode="exec")
        except SyntaxError as error:
            yield f"cell {index} is not plain Python: {error.text!r}"
        else:
            if any(isinstance(node, ast.Name) and node.id == "get_ipython" for node in ast.walk(tree)):
                yield f"cell {index} calls get_ipython"


def has_no_trailing_semicolon(notebook: NotebookNode, path: Path) -> Iterator[str]:
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and _last_token(cell.source) == ";":
            yield f"cell {index} ends with a semicolon"


def _last_token(source: str) -> str:
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER, tokenize.DEDENT, tokenize.INDENT}
    try:
        tokens = [
            token.string for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in layout
        ]
    except (tokenize.TokenError, SyntaxError):
        return ""
    return tokens[-1] if tokens else ""


def was_run_in_order(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Each code cell was run once, from the first to the last, in a fresh kernel; nbval does not check an unrun one."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"


def has_no_stderr(notebook: NotebookNode, path: Path) -> Iterator[str]:
    for index, cell in enumerate(notebook.cells):
        if IGNORE_OUTPUT not in cell.metadata.get("tags", []):
            yield from (
                f"cell {index} shows stderr: {''.join(output.text)[:200]}"
                for output in cell.get("outputs", [])
                if output.get("name") == "stderr"
            )


def has_no_widget_state(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """A stored widget has a random id, and without its kernel shows no more than its name."""
    for index, cell in enumerate(notebook.cells):
        if any(WIDGET in output.get("data", {}) for output in cell.get("outputs", [])):
            yield f"cell {index} stores a widget"


def names_no_machine(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Outputs hold no absolute path, user name or memory address."""
    user = getpass.getuser()
    patterns = [ABSOLUTE_PATH, ADDRESS]
    if user not in COMMON_USERS:
        patterns.append(re.compile(rf"\b{re.escape(user)}\b"))
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
            text = "\n".join(_strings({**output, "data": data}))
            for pattern in patterns:
                yield from (f"cell {index} shows {match[0]!r}" for match in pattern.finditer(text))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        if all(isinstance(item, str) for item in value):
            yield "".join(value)
        else:
            for item in value:
                yield from _strings(item)


def describes_each_figure(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """One figure per cell, something on it, and its alt text in the cell's metadata."""
    for index, cell in enumerate(notebook.cells):
        images = images_of(cell.get("outputs", []))
        alt = cell.metadata.get("alt", "")
        if len(images) > 1:
            yield f"cell {index} shows {len(images)} figures and has one alt text: divide it"
        if images and len(alt) < SHORTEST_ALT_TEXT:
            yield f"cell {index} shows a figure with alt text {alt!r}, which is too short to replace it"
        if alt and not images:
            yield f"cell {index} has alt text and no figure"
        yield from (f"cell {index} shows a blank figure" for image in images if is_blank(image))


def is_written_as_build_writes(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Sorted keys and one space, so that a rebuild differs only where the content does."""
    text = path.read_text(encoding="utf-8")
    if text != json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n":
        yield "the file is not laid out as build.write does"


OF_EVERY_NOTEBOOK: tuple[Rule, ...] = (
    has_the_common_kernel,
    has_unique_cell_ids,
    has_no_volatile_metadata,
    is_small,
    is_plain_python,
    has_no_trailing_semicolon,
    has_no_widget_state,
    names_no_machine,
    is_written_as_build_writes,
)
OF_BUILT_NOTEBOOKS: tuple[Rule, ...] = (was_run_in_order, has_no_stderr, describes_each_figure)
