"""The house stands as it is described: rooms, floors, targets, and a README that is true."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "reference" / "fewerbits"
SUPPORTED_PYTHON = re.compile(r"3\.1[1-3]")
# The last two are commands that stand on all floors.
FLOORS = ("tensor", "network", "deploy", "teach", "diagnose", "capstone")
TOP_LEVEL = {
    ".binder", ".ci", ".devcontainer", ".github", ".gitignore", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
    "TEACHING.md", "datasets", "exercises", "notebooks", "pyproject.toml", "reference", "tests",
}  # fmt: skip


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return listing.stdout.split("\n")[:-1]


def imported_modules(path: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


@pytest.mark.parametrize("floor", FLOORS)
def test_a_module_imports_only_from_its_own_floor_or_a_lower_one(floor: str) -> None:
    above = FLOORS[FLOORS.index(floor) + 1 :]
    for path in (PACKAGE / floor).rglob("*.py"):
        for module in imported_modules(path):
            assert not module.startswith(tuple(f"fewerbits.{name}" for name in above)), f"{path.name} imports {module}"


def test_the_tensor_floor_needs_numpy_only() -> None:
    for path in (PACKAGE / "tensor").rglob("*.py"):
        foreign = {module.split(".")[0] for module in imported_modules(path)} & {
            "torch", "onnx", "onnxruntime", "scipy", "matplotlib", "ml_dtypes", "gguf", "gfloat",
        }  # fmt: skip
        assert not foreign, f"{path.name} imports {foreign}"


def test_torch_is_imported_only_where_something_is_trained_or_executed() -> None:
    users = {path.name for path in (PACKAGE / "network").rglob("*.py") if "torch" in imported_modules(path)}
    # mixed: one of its sensitivities needs gradients.
    assert users <= {"model.py", "train.py", "mixed.py", "qat.py"}


def test_nothing_else_stands_at_the_top_level() -> None:
    assert {name.split("/")[0] for name in tracked()} <= TOP_LEVEL


def test_a_clone_is_small() -> None:
    sizes = {name: (ROOT / name).stat().st_size for name in tracked() if (ROOT / name).is_file()}
    assert sum(sizes.values()) < 45e6
    large = {name: size for name, size in sizes.items() if size > 2**20 and not name.startswith("datasets/")}
    assert not large


def test_help_lists_every_target_and_is_the_default() -> None:
    text = (ROOT / "Makefile").read_text()
    assert ".DEFAULT_GOAL := help" in text
    targets = set(re.findall(r"^([a-z]+):", text, re.MULTILINE)) - {"ready"}
    described = set(re.findall(r"^([a-z]+):.*## ", text, re.MULTILINE))
    assert targets == described
    assert {"lab", "test", "quick", "notebooks", "verify", "bench", "capstone", "help"} <= targets


def lesson_rows() -> dict[str, str]:
    rows = re.findall(
        r"^\| \[(\d\d_\w+)\]\(notebooks/\1\.ipynb\) \|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    return dict(rows)


def test_the_readme_lists_every_lesson_in_order() -> None:
    assert list(lesson_rows()) == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("source", sorted((ROOT / "notebooks" / "source").glob("*.py")), ids=lambda path: path.stem)
def test_the_readme_states_the_minutes_of_the_lesson(source: Path) -> None:
    stated = re.search(r"\*\*Time\*\*: (\d+) minutes", source.read_text(encoding="utf-8"))
    assert stated, "the lesson does not state its minutes"
    assert f"{stated[1]} min" in lesson_rows()[source.stem]


def test_files_that_the_readme_links_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        # The page of the workflow stands on the site that hosts the repository, not in it.
        if not target.startswith(("http", "../../actions/workflows/ci.yml")):
            assert (ROOT / target).exists(), target
    assert (ROOT / ".github" / "workflows" / "ci.yml").exists()


def test_the_dev_container_runs_what_the_project_has() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert SUPPORTED_PYTHON.fullmatch(container["image"].rpartition(":")[2])
    assert container["onCreateCommand"] == "python3 reference/install.py test"
    module = container["postCreateCommand"].removeprefix(".venv/bin/python -m ")
    assert (PACKAGE.parent / module.replace(".", "/") / "__main__.py").exists()
    assert container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"] == ".venv/bin/python"


def test_binder_installs_the_project_with_the_cpu_build_of_torch() -> None:
    binder = ROOT / ".binder"
    assert SUPPORTED_PYTHON.fullmatch((binder / "runtime.txt").read_text().strip().removeprefix("python-"))
    index, project = (binder / "requirements.txt").read_text().splitlines()
    assert (
        f'CPU_INDEX = "{index.removeprefix("--extra-index-url ")}"' in (ROOT / "reference" / "install.py").read_text()
    )
    assert project == "-e ."
    assert (binder / "postBuild").stat().st_mode & 0o100
    for module in re.findall(r"python -m (fewerbits[\w.]+)", (binder / "postBuild").read_text()):
        assert (PACKAGE.parent / module.replace(".", "/") / "__main__.py").exists()
