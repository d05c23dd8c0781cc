"""Every built notebook says today what it said when it was built; and nbval is used so that it can notice.

nbval 0.11 has traps; each is sprung here on a small notebook, beside the guard that catches it. Rules about the
stored files are in test_hygiene.py.
"""

import re
import shutil
import time
from pathlib import Path

import pytest

from tests.lessons.notebooks import BUILT, ROOT, SOLUTIONS, load, make, name, run_nbval

PLOT = "import matplotlib.pyplot as plt\nfigure, axes = plt.subplots()\n"


@pytest.mark.slow
@pytest.mark.parametrize("path", BUILT, ids=name)
def test_notebook_still_says_what_is_stored(path, tmp_path):
    if path in SOLUTIONS:
        # As when it was built: in the folder where checks remember what is solved.
        path = Path(shutil.copy(path, tmp_path))
    result = run_nbval(path, ipython_folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
def test_a_true_notebook_passes(tmp_path):
    path = make(tmp_path / "true.ipynb", "x = 6", "print(6 * x)", PLOT + "axes.plot([0, 1])\nplt.show()")
    result = run_nbval(path, ipython_folder=tmp_path)
    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout


@pytest.mark.slow
def test_another_output_an_exception_and_a_warning_fail(tmp_path):
    """The exception even where output is ignored; the warning because stderr is compared too."""
    path = make(tmp_path / "false.ipynb", "print(6 * 7)", "x = 1", "y = 2", tags={1: ["nbval-ignore-output"]})
    edit(path, '"42\\n"', '"41\\n"')
    edit(path, "x = 1", "1 / 0")
    edit(path, "y = 2", "import sys; sys.stderr.write('a warning'); None")
    printed = failure(path, tmp_path)
    assert "Cell outputs differ" in printed
    assert "ZeroDivisionError" in printed
    assert "Unexpected output fields from running code: {'stderr'}" in printed
    assert "3 failed" in printed


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
    figure = "class Figure:\n    def __repr__(self):\n        return '<Figure size 640x480 with 1 Axes>'\n\nFigure()"
    path = make(tmp_path / "size.ipynb", figure)
    edit(path, '"<Figure size 640x480', '"<Figure size 641x480')
    assert run_nbval(path, ipython_folder=tmp_path).returncode == 0
    assert "Cell outputs differ" in failure(path, tmp_path, f"--nbval-sanitize-with={empty_file(tmp_path)}")


@pytest.mark.slow
def test_figures_are_compared_and_by_the_plugin_only(tmp_path):
    """Without the plugin nbval passes another curve; and, where output is ignored, a blank figure and none at all."""
    cells = [PLOT + f"axes.plot([0, 1, 2], label={number})\nplt.show()" for number in range(3)]
    path = make(tmp_path / "figures.ipynb", *cells, tags={1: ["nbval-ignore-output"], 2: ["nbval-ignore-output"]})
    edit(path, "axes.plot([0, 1, 2], label=0)", "axes.plot([0, 1, 4])")
    edit(path, "axes.plot([0, 1, 2], label=1)", "axes.set_axis_off()")
    edit(path, "axes.plot([0, 1, 2], label=2)", "plt.close()")
    printed = failure(path, tmp_path)
    assert "Figure 1 does not look like the stored one" in printed
    assert "Figure 1 is blank" in printed
    assert "1 figures are stored, 0 are drawn now" in printed
    assert run_nbval(path, "-p", "no:tests.lessons.nbval_figures", ipython_folder=tmp_path).returncode == 0


@pytest.mark.slow
def test_a_widget_may_draw_what_is_not_stored(tmp_path):
    """Its figure belongs to the page, and reaches nbval as an output of a tagged cell."""
    draw = "import ipywidgets\nplt.close()\nipywidgets.interact(lambda n: plt.plot([0, n]) and plt.show(), n=3)"
    cell = f"{PLOT}{draw}\nNone"
    path = make(tmp_path / "widget.ipynb", cell, tags={0: ["nbval-ignore-output"]})
    assert run_nbval(path, ipython_folder=tmp_path).returncode == 0


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
