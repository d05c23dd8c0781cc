"""Every built notebook says today what it said when it was built; and nbval is used so that it can notice.

nbval 0.11 has traps; each is sprung here on a small notebook, beside the guard that catches it. Rules about the
stored files are in test_hygiene.py.
"""

import re
import time
from pathlib import Path

import pytest

from tests.lessons.notebooks import BUILT, ROOT, load, make, name, run_nbval

PLOT = "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\n"


@pytest.mark.slow
@pytest.mark.parametrize("path", BUILT, ids=name)
def test_notebook_still_says_what_is_stored(path, tmp_path):
    result = run_nbval(path, ipython_folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_a_true_notebook_passes(tmp_path):
    path = make(tmp_path / "true.ipynb", "x = 6", "print(6 * x)", PLOT + "axes.plot([0, 1])\nplt.show()")
    result = run_nbval(path, ipython_folder=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout


@pytest.mark.slow
def test_a_changed_output_fails(tmp_path):
    path = make(tmp_path / "changed.ipynb", "print(6 * 7)")
    edit(path, '"42\\n"', '"41\\n"')
    assert "Cell outputs differ" in failure(path, tmp_path)


@pytest.mark.slow
def test_an_exception_fails_even_where_output_is_ignored(tmp_path):
    path = make(tmp_path / "raises.ipynb", "x = 1", tags={0: ["nbval-ignore-output"]})
    edit(path, "x = 1", "1 / 0")
    assert "ZeroDivisionError" in failure(path, tmp_path)


@pytest.mark.slow
def test_output_on_stderr_fails(tmp_path):
    """stderr is compared too: a warning that only some machines give would fail there."""
    path = make(tmp_path / "warns.ipynb", "x = 1")
    edit(path, "x = 1", "import sys; sys.stderr.write('a warning'); None")
    assert "stderr" in failure(path, tmp_path)


@pytest.mark.slow
def test_a_dead_kernel_fails_within_the_cell_timeout(tmp_path):
    """Without a timeout nbval would wait 2,000 s for the reply of a kernel that is gone."""
    path = make(tmp_path / "dies.ipynb", "x = 1", "x")
    edit(path, "x = 1", "import os; os._exit(1)")
    started = time.monotonic()
    assert failure(path, tmp_path, cell_timeout=3)
    assert time.monotonic() - started < 60


@pytest.mark.slow
def test_an_endless_cell_fails_within_the_cell_timeout(tmp_path):
    path = make(tmp_path / "endless.ipynb", "x = 1")
    edit(path, "x = 1", "while True: pass")
    assert "Timeout of 3 seconds" in failure(path, tmp_path, cell_timeout=3)


@pytest.mark.slow
def test_the_size_of_a_figure_is_not_compared_as_text(tmp_path):
    path = make(tmp_path / "size.ipynb", PLOT + "axes.plot([0, 1])\nplt.show()")
    edit(path, "Figure size 640x480", "Figure size 641x480")
    assert run_nbval(path, ipython_folder=tmp_path).returncode == 0
    assert "Figure size 641x480" in failure(path, tmp_path, f"--nbval-sanitize-with={empty_file(tmp_path)}")


@pytest.mark.slow
def test_a_figure_that_changed_fails(tmp_path):
    """nbval itself compares no images: without the plugin the same notebook passes."""
    path = make(tmp_path / "figure.ipynb", PLOT + "axes.plot([0, 1, 2])\nplt.show()")
    edit(path, "[0, 1, 2]", "[0, 1, 4]")
    assert "does not look like the stored one" in failure(path, tmp_path)
    assert run_nbval(path, "-p", "no:tests.lessons.nbval_figures", ipython_folder=tmp_path).returncode == 0


@pytest.mark.slow
def test_a_figure_that_went_blank_or_missing_fails_even_where_output_is_ignored(tmp_path):
    cell = PLOT + "axes.plot([0, 1, 2])\nplt.show()"
    blank = make(tmp_path / "blank.ipynb", cell, tags={0: ["nbval-ignore-output"]})
    edit(blank, "axes.plot([0, 1, 2])", "axes.set_axis_off()")
    assert "is blank" in failure(blank, tmp_path)
    missing = make(tmp_path / "missing.ipynb", cell, tags={0: ["nbval-ignore-output"]})
    edit(missing, "plt.show()", "plt.close()")
    assert "1 figures are stored, 0 are drawn" in failure(missing, tmp_path)


@pytest.mark.slow
def test_only_cells_of_one_worker_share_a_kernel(tmp_path):
    """Why pytest must never spread the cells of a notebook: `--dist load` fails on a true notebook."""
    path = make(tmp_path / "spread.ipynb", "x = 1", "print(x)", "print(x + 1)", "print(x + 2)")
    assert "NameError" in failure(path, tmp_path, "-n2", "--dist=load")
    assert run_nbval(path, "-n2", "--dist=loadscope", ipython_folder=tmp_path).returncode == 0


def test_no_command_of_this_repository_spreads_a_notebook_over_workers():
    for file in ("Makefile", "pyproject.toml", ".ci/run", ".github/workflows/ci.yml"):
        assert not spread_commands((ROOT / file).read_text(encoding="utf-8")), file


@pytest.mark.parametrize("command", ["pytest -n 2", "pytest -n auto --dist load", "pytest --dist worksteal -n2"])
def test_a_command_that_spreads_a_notebook_is_noticed(command):
    assert spread_commands(f"test:\n\t@$(RUN) -m {command} $(ARGS)\n")


def spread_commands(text: str) -> list[str]:
    """Lines that run pytest on several workers without keeping the cells of a file together."""
    return [
        line
        for line in text.splitlines()
        if "pytest" in line and re.search(r"\s-n\s*\w", line) and not re.search(r"--dist[= ](loadscope|loadfile)", line)
    ]


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in the stored notebook, which is thereby wrong."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def empty_file(folder: Path) -> Path:
    (folder / "empty.cfg").write_text("", encoding="utf-8")
    return folder / "empty.cfg"


def failure(path: Path, folder: Path, *options: str, **settings: float) -> str:
    """What nbval prints about a notebook that must fail."""
    result = run_nbval(path, *options, ipython_folder=folder, **settings)
    assert result.returncode == 1, result.stdout + result.stderr
    return result.stdout


def test_every_lesson_was_looked_for():
    """A glob that finds nothing would leave the tests above without a case."""
    assert [path.stem for path in (ROOT / "notebooks" / "source").glob("*.py")]
    assert BUILT
    assert all(load(path).cells for path in BUILT)
