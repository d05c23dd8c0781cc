"""Copies are made and never written over, progress survives, and sources become two notebooks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from fewerbits.teach import build as lessons
from fewerbits.teach import check, exercises
from fewerbits.teach.exercises import __main__ as command
from fewerbits.teach.exercises.build import STUB, build, for_learners, solved
from fewerbits.teach.exercises.copies import lay_out
from fewerbits.teach.exercises.folders import EXERCISES, WORK_VARIABLE, given, read, work_folder
from fewerbits.teach.exercises.progress import FILE, overview, read_marks, record

SOURCE = """\
# %% [markdown]
# # Exercises: Count
#
# Two exercises.

# %%
from fewerbits.teach import check

# %%
def quantize(x):
    # SOLUTION
    doubled = 2 * x
    return doubled
    # END SOLUTION


check.quantize(quantize)

# %% [markdown] tags=["solution"]
# Why it is so.

# %%
def dequantize(x):
    if x:
        # SOLUTION
        return 1
        # GIVEN
        # for each in x:
        #     return 2
        # END SOLUTION
    return 3


if check.dequantize(dequantize):
    print("well done")
"""


def notebook_of(source: str, folder: Path) -> nbformat.NotebookNode:
    path = folder / "07_count.py"
    path.write_text(source, encoding="utf-8")
    return lessons.read_source(path)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A folder of exercises with one chapter, and beside it no work folder yet."""
    folder = tmp_path / "exercises"
    folder.mkdir()
    publish(SOURCE, folder)
    return folder


def publish(source: str, folder: Path) -> None:
    lessons.write(for_learners(notebook_of(source, folder)), folder / "07_count.ipynb")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The learner's folder, and the process in it, as a kernel of JupyterLab is."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.setenv(WORK_VARIABLE, str(folder))
    monkeypatch.chdir(folder)
    return folder


# The builder


def test_a_solution_becomes_a_stub(tmp_path):
    code = for_learners(notebook_of(SOURCE, tmp_path)).cells[2].source
    assert code == f"def quantize(x):\n    {STUB}\n\n\ncheck.quantize(quantize)"


def test_given_code_stands_uncommented_below_the_stub(tmp_path):
    lines = for_learners(notebook_of(SOURCE, tmp_path)).cells[3].source.splitlines()
    assert lines[1] == "    if x:"
    assert lines[2].startswith(f"        {STUB}  # ")
    assert lines[3:6] == ["        for each in x:", "            return 2", "    return 3"]


def test_the_solved_notebook_has_the_solution_without_marks(tmp_path):
    cells = solved(notebook_of(SOURCE, tmp_path)).cells
    assert cells[2].source == "def quantize(x):\n    doubled = 2 * x\n    return doubled\n\n\ncheck.quantize(quantize)"
    assert cells[3].source == "Why it is so."
    assert cells[3].metadata == {}
    assert "return 1\n    return 3" in cells[4].source
    assert "GIVEN" not in cells[4].source


def test_neither_notebook_changes_the_source(tmp_path):
    notebook = notebook_of(SOURCE, tmp_path)
    before = nbformat.writes(notebook)
    for_learners(notebook)
    solved(notebook)
    assert nbformat.writes(notebook) == before


@pytest.mark.parametrize(
    "broken",
    [
        "# %%\ndef f():\n    # SOLUTION\n    return 1\n",
        "# %%\ndef f():\n    return 1\n    # END SOLUTION\n",
        "# %%\n# SOLUTION\nx = 1\n# END SOLUTION\n",
        "# %%\ndef f():\n    # GIVEN\n    # return 1\n",
    ],
    ids=["no end", "no beginning", "outside a function", "given alone"],
)
def test_marks_without_counterpart_are_refused(broken, tmp_path):
    with pytest.raises(lessons.BuildError, match="no counterpart or stands outside"):
        for_learners(notebook_of(broken, tmp_path))


def test_the_version_follows_what_the_learner_sees(tmp_path):
    def version(source: str) -> str:
        return for_learners(notebook_of(source, tmp_path)).metadata["fewerbits"]["version"]

    assert version(SOURCE) == version(SOURCE.replace("2 * x", "x + x")), "another solution is no new exercise"
    assert version(SOURCE) != version(SOURCE.replace("Two exercises", "2 exercises"))


def test_a_solution_that_does_not_run_writes_nothing(tmp_path):
    source = tmp_path / "07_count.py"
    source.write_text(
        "# %%\ndef f():\n    # SOLUTION\n    return 1 / 0\n    # END SOLUTION\n\n\nf()\n", encoding="utf-8"
    )
    with pytest.raises(lessons.BuildError, match="ZeroDivisionError"):
        build(source, tmp_path)
    assert not (tmp_path / "solutions").exists()


# The learner's copies


def test_missing_copies_are_made_and_said(course, work):
    assert list(lay_out(course)) == ["Your copies of the exercises are in work/: 07_count."]
    assert (work / "07_count.ipynb").read_bytes() == (course / "07_count.ipynb").read_bytes()


def test_a_second_time_there_is_nothing_to_do_and_nothing_to_say(course, work):
    list(lay_out(course))
    assert list(lay_out(course)) == []


def test_the_work_folder_is_made(course, work):
    list(lay_out(course, work / "deeper" / "still"))
    assert (work / "deeper" / "still" / "07_count.ipynb").exists()


def answer(copy: Path, text: str) -> bytes:
    """Save the notebook with an answer, as JupyterLab does: metadata stays, the rest is its own format."""
    notebook = nbformat.read(copy, as_version=4)
    notebook.cells[2].source = text
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12.1"}
    nbformat.write(notebook, copy)
    return copy.read_bytes()


def test_an_answered_copy_stays_as_it_is(course, work):
    list(lay_out(course))
    mine = answer(work / "07_count.ipynb", "mine")
    assert list(lay_out(course)) == []
    assert (work / "07_count.ipynb").read_bytes() == mine


def test_a_changed_exercise_is_laid_beside_each_time(course, work):
    list(lay_out(course))
    mine = answer(work / "07_count.ipynb", "mine")
    for number in (2, 3):
        publish(SOURCE.replace("Two exercises", f"{number} exercises"), course)
        (sentence,) = lay_out(course)
        assert sentence == (
            f"07_count has changed: the new one is 07_count.v{number}.ipynb, beside yours, which is as you left it."
        )
        assert (work / f"07_count.v{number}.ipynb").read_bytes() == (course / "07_count.ipynb").read_bytes()
        answer(work / f"07_count.v{number}.ipynb", f"mine too {number}")
        assert list(lay_out(course)) == []
    assert (work / "07_count.ipynb").read_bytes() == mine
    assert "mine too 2" in (work / "07_count.v2.ipynb").read_text(encoding="utf-8")


def test_a_changed_solution_changes_no_copy(course, work):
    list(lay_out(course))
    publish(SOURCE.replace("2 * x", "x + x"), course)
    assert list(lay_out(course)) == []


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b'{"cells": 3}', b"\xff\xfe\x00"])
def test_a_damaged_copy_is_not_touched(course, work, content):
    (work / "07_count.ipynb").write_bytes(content)
    (sentence,) = lay_out(course)
    assert "07_count.v2.ipynb" in sentence
    assert (work / "07_count.ipynb").read_bytes() == content


def test_files_with_similar_names_are_the_learners_own(course, work):
    (work / "07_count_backup.ipynb").write_text("my notes", encoding="utf-8")
    list(lay_out(course))
    assert (work / "07_count.ipynb").exists()
    assert (work / "07_count_backup.ipynb").read_text(encoding="utf-8") == "my notes"


def test_the_command_lays_out_and_shows_progress(work, capsys):
    assert command.main([]) == 0
    assert "Your copies of the exercises are in work/: " in capsys.readouterr().out
    assert {path.name for path in work.glob("*.ipynb")} == {exercise.path.name for exercise in given()}
    assert command.main([]) == 0
    assert capsys.readouterr().out == ""
    assert command.main(["progress"]) == 0
    assert "02_uniform" in capsys.readouterr().out


def test_the_command_says_when_nothing_can_be_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "work").write_text("a file, where the folder should be", encoding="utf-8")
    monkeypatch.setenv(WORK_VARIABLE, str(tmp_path / "work"))
    assert command.main([]) == 1
    assert "could not be copied" in capsys.readouterr().out


def test_the_command_needs_only_what_learners_install(work):
    """`make lab` installs no test tools: neither Jupytext nor nbclient may be imported."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['jupytext', 'nbclient', 'torch', 'onnx', 'PIL']));"
        "from fewerbits.teach.exercises.__main__ import main; from fewerbits.teach import check; sys.exit(main([]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=work)
    assert (done.returncode, done.stderr) == (0, "")


def test_work_is_ignored_by_git_and_beside_the_exercises(monkeypatch):
    monkeypatch.delenv(WORK_VARIABLE, raising=False)
    assert work_folder() == EXERCISES.parent / "work"
    ignored = (EXERCISES.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "work/" in ignored


# Progress


def test_what_a_check_finds_is_remembered_in_work(work, capsys):
    check.symmetric_scale(lambda x, bits: max(abs(x).max(), 1e-9) / (2 ** (bits - 1) - 1))
    check.dequantize(lambda codes, scale, zero_point: codes * scale)
    check.quantize(None)
    assert read_marks() == {"symmetric_scale": "✓", "dequantize": "✗", "quantize": "✗"}


def test_solved_stays_solved(work):
    for mark in ("○", "✓", "✗", "○"):
        record("quantize", mark)
    assert read_marks() == {"quantize": "✓"}


def test_outside_of_work_nothing_is_remembered(work, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record("quantize", "✓")
    assert read_marks() == {}


def test_a_folder_in_work_counts_as_work(work, monkeypatch):
    (work / "deeper").mkdir()
    monkeypatch.chdir(work / "deeper")
    record("quantize", "✓")
    assert read_marks() == {"quantize": "✓"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b'{"quantize": 7, "dequantize": ["x"]}', b"\xff\xfe"])
def test_a_damaged_file_counts_as_none_and_is_mended_by_the_next_check(work, content):
    (work / FILE).write_bytes(content)
    assert read_marks() == {}
    assert "○" in overview()
    record("quantize", "✓")
    assert read_marks() == {"quantize": "✓"}
    assert json.loads((work / FILE).read_text(encoding="utf-8")) == {"quantize": "✓"}


def test_marks_of_tasks_that_are_no_more_do_no_harm(work):
    (work / FILE).write_text('{"former": "✓", "quantize": "✓"}', encoding="utf-8")
    assert "1 of " in overview("02").splitlines()[-1]


def test_a_check_survives_a_work_folder_that_disappears(work, monkeypatch, capsys):
    if sys.platform == "win32":
        pytest.skip("Windows does not delete the folder of a running process")
    shutil.rmtree(work)
    assert check.quantize(lambda x, s, z, qmin, qmax: (x / s + z).round().clip(qmin, qmax))


def test_a_file_that_cannot_be_written_is_no_error(work):
    (work / FILE).mkdir()
    record("quantize", "✓")
    assert read_marks() == {}


def test_the_overview_shows_marks_sums_and_what_comes_next(course, work):
    assert overview(exercises=course) == (
        f"{'07_count':<18} {'○ ○':<20} 0 of 2   Count\n0 of 2 solved. Next: quantize in work/07_count.ipynb."
    )
    record("quantize", "✓")
    record("dequantize", "✗")
    assert overview(exercises=course).splitlines() == [
        f"{'07_count':<18} {'✓ ✗':<20} 1 of 2   Count",
        "1 of 2 solved. Next: dequantize in work/07_count.ipynb.",
    ]
    record("dequantize", "✓")
    assert overview(exercises=course).splitlines()[-1] == "2 of 2 solved."


def test_the_overview_of_one_chapter_and_of_none(course, work):
    assert overview("07", course) == overview(exercises=course)
    assert overview("99", course) == f"There are no exercises called '99' in {course}."
    assert overview(exercises=work) == f"There are no exercises in {work}."


def test_a_notebook_shows_the_overview(work, capsys):
    exercises.show_progress()
    assert capsys.readouterr().out == overview() + "\n"


def test_who_works_in_the_original_is_told(work, monkeypatch, capsys):
    monkeypatch.chdir(EXERCISES)
    exercises.show_progress()
    assert "is the original, where nothing is remembered" in capsys.readouterr().out


def test_who_solves_outside_of_work_is_told_by_the_check_and_by_the_progress(work, tmp_path, monkeypatch, capsys):
    def right(codes, scale, zero_point):
        return (codes.astype(float) - zero_point) * scale

    assert check.dequantize(right)
    assert "not remembered" not in capsys.readouterr().out
    exercises.show_progress()
    assert "remembered" not in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    assert check.dequantize(right)
    assert capsys.readouterr().out.splitlines()[1] == "  not remembered: this notebook is not in work/"
    check.dequantize(None)
    assert "remembered" not in capsys.readouterr().out
    exercises.show_progress()
    assert "This notebook is not in work/: nothing that is solved in it is remembered." in capsys.readouterr().out


def test_tasks_are_read_from_the_checks_in_the_notebook(course):
    exercise = read(course / "07_count.ipynb")
    assert exercise is not None
    assert (exercise.title, exercise.tasks) == ("Count", ("quantize", "dequantize"))
