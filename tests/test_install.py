"""Set-up stops with one clear line when it cannot go on, and does nothing the second time."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "reference" / "install.py"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module whose .venv is in a temporary folder and holds a stand-in for Python."""
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VENV", str(tmp_path))
    monkeypatch.setattr(module, "PYTHON", sys.executable)
    monkeypatch.setattr(module, "LOG", str(tmp_path / "install.log"))
    return module


@pytest.mark.parametrize(
    ("version", "word"), [((3, 10, 13), "too old"), ((3, 14, 0), "too new"), ((2, 7, 18), "too old")]
)
def test_another_python_is_refused_by_version(install, monkeypatch, version, word) -> None:
    monkeypatch.setattr(sys, "version_info", version)
    with pytest.raises(
        SystemExit, match=rf"this is Python {'.'.join(map(str, version))}, which is {word}.*3\.11 to 3\.13"
    ):
        install.check_machine()


def test_a_full_disk_is_named_before_anything_is_installed(install, monkeypatch) -> None:
    monkeypatch.setattr(install, "PYTHON", "not there yet")
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: SimpleNamespace(free=2**30))
    with pytest.raises(SystemExit, match=r"1\.0 GiB are free on this disk, at least 3 are needed"):
        install.check_machine()


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError: Failed to establish a new connection: Name or service not known", "cannot be reached"),
        ("ERROR: No matching distribution found for torch==9.9", "No matching distribution found for torch==9.9"),
    ],
)
def test_what_pip_says_becomes_one_line(install, monkeypatch, capsys, output, reason) -> None:
    fake = [sys.executable, "-c", f"import sys; print({output!r}); sys.exit(1)"]
    start = subprocess.Popen
    monkeypatch.setattr(install.subprocess, "Popen", lambda command, **options: start(fake, **options))
    with pytest.raises(SystemExit, match=reason) as stopped:
        install.pip("a step", "install", "nothing")
    assert "\n" not in str(stopped.value)
    assert "a step" in capsys.readouterr().out


def test_the_second_time_nothing_is_installed(install, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["install.py", "test"])
    steps = []
    monkeypatch.setattr(install, "pip", lambda *arguments: steps.append(arguments))
    install.main()
    assert len(steps) == 3
    install.main()
    assert len(steps) == 3
    # Everything that the lessons need is there after an installation for the tests.
    monkeypatch.setattr(sys, "argv", ["install.py"])
    install.main()
    assert len(steps) == 3


def test_changed_dependencies_are_installed_again(install, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["install.py"])
    steps = []
    monkeypatch.setattr(install, "pip", lambda *arguments: steps.append(arguments))
    install.main()
    monkeypatch.setattr(install, "fingerprint", lambda: "another pyproject.toml")
    install.main()
    assert len(steps) == 6


def test_the_cpu_build_of_torch_is_asked_for_on_linux_and_may_be_out_of_reach(install, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["install.py"])
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    steps = []
    monkeypatch.setattr(install, "pip", lambda title, *arguments: steps.append(arguments))
    install.main()
    torch = next(step for step in steps if step[-1].startswith("torch=="))
    assert install.CPU_INDEX in torch
    assert torch[torch.index("--retries") + 1] == "1"
    assert "rfc3987-syntax" in steps[-1]


@pytest.mark.skipif(os.name == "nt", reason="looks for older interpreters by their names on Linux and macOS")
def test_an_old_interpreter_can_run_the_script_far_enough_to_say_so() -> None:
    # Syntax of Python 3.6 at most: no f-strings with =, no walrus, no annotations of variables.
    import ast

    tree = ast.parse(SCRIPT.read_text(), feature_version=(3, 6))
    assert not any(
        isinstance(node, (ast.NamedExpr, ast.JoinedStr, ast.AnnAssign, ast.Match)) for node in ast.walk(tree)
    )
