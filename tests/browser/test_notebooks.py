"""Lessons and exercises in a real JupyterLab: they run to their end, sliders change figures, checks answer.

`make browser`; FEWERBITS_SCREENSHOTS=folder keeps the pictures.
"""

import re

import pytest

from tests.lessons.notebooks import EXERCISES, LESSONS, ROOT, load

pytestmark = [pytest.mark.browser, pytest.mark.slow]
STUB = re.compile(r"^ +raise NotImplementedError$", re.MULTILINE)
LESSONS_WITH_SLIDERS = {"02_uniform"}


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_runs_to_its_end_and_every_slider_changes_its_figure(path, open_notebook, screenshot_folder):
    lesson = open_notebook(f"lessons/{path.name}")
    lesson.run_all()
    assert lesson.errors() == []
    assert_all_run(lesson)
    assert lesson.screenshots(screenshot_folder, path.stem)
    assert deaf_sliders(lesson) == []
    assert lesson.slider_cells() or path.stem not in LESSONS_WITH_SLIDERS


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
def test_exercise_runs_untouched_and_its_first_check_answers(path, open_notebook, screenshot_folder):
    """○ untouched, ✗ with an answer that is always 1, ✓ with the solution."""
    notebook = open_notebook(f"exercises/{path.name}")
    notebook.run_all()
    assert notebook.errors() == []
    assert_all_run(notebook)
    assert notebook.screenshots(screenshot_folder, f"exercise-{path.stem}")
    index, stub = next((i, cell.source) for i, cell in enumerate(load(path).cells) if STUB.search(cell.source))
    solution = load(ROOT / "exercises" / "solutions" / path.name)
    shared = [cell for cell in solution.cells if "solution" not in cell.metadata.get("tags", [])]
    for source, answer in ((stub, "○"), (STUB.sub("    return 1", stub), "✗"), (shared[index].source, "✓")):
        notebook.set_source(index, source)
        notebook.run_cell(index)
        assert answer in notebook.shown(index), source
    notebook.screenshots(screenshot_folder, f"exercise-{path.stem}-solved")


def test_an_exception_is_noticed(open_notebook):
    notebook = open_notebook("raises.ipynb")
    notebook.run_all()
    assert notebook.errors() == ["cell 1 raises ZeroDivisionError: division by zero"]
    with pytest.raises(AssertionError):
        assert_all_run(notebook)


def test_a_warning_is_noticed(open_notebook):
    notebook = open_notebook("warns.ipynb")
    notebook.run_all()
    assert ["cell 1 writes to stderr" in error for error in notebook.errors()] == [True]


def test_a_widget_that_is_not_shown_is_noticed(open_notebook):
    """What stored widget state comes to in another session."""
    notebook = open_notebook("stale.ipynb")
    assert notebook.errors() == ["cell 0 does not show its widget: ?"]


def test_a_slider_that_changes_nothing_is_noticed(open_notebook):
    notebook = open_notebook("deaf.ipynb")
    notebook.run_all()
    assert notebook.slider_cells() == [0, 1]
    assert deaf_sliders(notebook) == [1]


def assert_all_run(notebook):
    """Run All stops at the first exception; then cells below stay unrun."""
    unrun = [
        index
        for index, cell in enumerate(notebook.cells())
        if cell["cell_type"] == "code" and cell["execution_count"] is None
    ]
    assert unrun == []


def deaf_sliders(notebook):
    """The cells whose first slider, moved by one step, leaves all figures of the cell as they were."""
    deaf = []
    for index in notebook.slider_cells():
        before = notebook.figures(index)
        notebook.move_slider(index, 1)
        changed = notebook.figures(index) != before
        if not changed:  # it may have stood at its end
            notebook.move_slider(index, -1)
            changed = notebook.figures(index) != before
        if not (changed and notebook.figures(index)):
            deaf.append(index)
    return deaf
