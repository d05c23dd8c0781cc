"""What holds for every exercise of every chapter; see this package's docstring for what a chapter adds."""

from __future__ import annotations

import importlib
import linecache
import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
from fewerbits.teach import build as lessons
from fewerbits.teach import check, mistakes
from fewerbits.teach.check.report import FAILED, OPEN, PASSED, Result, examine
from fewerbits.teach.exercises.build import BLOCK, build, for_learners, solved
from fewerbits.teach.exercises.folders import CHECK, EXERCISES, WORK_VARIABLE, read
from nbformat import NotebookNode

SOURCES = {path.stem: path for path in sorted((EXERCISES / "source").glob("[0-9]*.py"))}
HEADING = re.compile(r"^## (\d+) · .+ · (●○○|●●○|●●●) · (\d+) min$", re.MULTILINE)


@cache
def source_notebook(stem: str) -> NotebookNode:
    return lessons.read_source(SOURCES[stem])


def tasks_of(stem: str) -> list[str]:
    names = [name for cell in source_notebook(stem).cells for name in CHECK.findall(cell.source)]
    return list(dict.fromkeys(names))


def slow_if(condition: bool) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if condition else []


def proofs(stem: str) -> Any:
    return importlib.import_module(f"tests.exercises.{stem}")


# Executes whole networks: left out of `make quick`, as all mistakes of a task but the first are.
SLOW_CHAPTERS = {"09_small_cnn"}
# Each mistake is examined by itself already; here it only matters that no answer stops the notebook.
ROUNDS_WITH_MISTAKES = 3
# A kernel costs seconds: all three kinds of answers in the first chapters, the right ones in all.
CHAPTERS_IN_KERNELS = ("01_numbers", "02_uniform")
TASKS = [(stem, task) for stem in SOURCES for task in tasks_of(stem)]
EVERY_TASK = pytest.mark.parametrize(("stem", "task"), TASKS, ids=[task for _, task in TASKS])
EVERY_CHAPTER = pytest.mark.parametrize("stem", SOURCES)
IN_KERNELS = [
    (stem, answers, mark)
    for stem in SOURCES
    for answers, mark in (("solutions", PASSED), ("none", OPEN), ("mistakes", FAILED))
    if stem in CHAPTERS_IN_KERNELS or answers == "solutions"
]
SOLUTIONS = pytest.mark.parametrize(
    ("stem", "task"), [pytest.param(stem, task, id=task, marks=slow_if(stem in SLOW_CHAPTERS)) for stem, task in TASKS]
)
SOLVED = pytest.mark.parametrize("stem", [pytest.param(stem, marks=slow_if(stem in SLOW_CHAPTERS)) for stem in SOURCES])
ALTERNATIVES = [
    pytest.param(task, function, id=f"{task}-{function.__name__}", marks=slow_if(stem in SLOW_CHAPTERS))
    for stem, task in TASKS
    for function in proofs(stem).ALTERNATIVES.get(task, [])
]
MISTAKES = [
    pytest.param(stem, record, id=f"{task}-{record.wrong.__name__}", marks=slow_if(number > 0 or stem in SLOW_CHAPTERS))
    for stem, task in TASKS
    for number, record in enumerate(mistakes.in_task(task))
]
SLIPS = [
    pytest.param(task, name, function, id=f"{task}-{name}")
    for stem, task in TASKS
    for name, function in proofs(stem).SLIPS.get(task, [])
]

UNNAMED = [
    pytest.param(task, function, id=f"{task}-{number}")
    for stem, task in TASKS
    for number, function in enumerate(getattr(proofs(stem), "UNNAMED", {}).get(task, []), 1)
]


def run_cells(notebook: NotebookNode) -> dict[str, Any]:
    """Run the code cells as a kernel would, all in one namespace; returns it."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            name = f"<cell {number}>"
            linecache.cache[name] = (len(cell.source), None, cell.source.splitlines(keepends=True), name)
            exec(compile(cell.source, name, "exec"), namespace)
    return namespace


def marks(printed: str) -> dict[str, str]:
    """The last mark that each check printed."""
    return {task: mark for mark, task in re.findall(r"^([✓✗○]) (\w+):", printed, re.MULTILINE)}


def with_answers(notebook: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """The notebook after a learner gave each task another function, as an expression."""
    answered = nbformat.from_dict(notebook)
    for cell in answered.cells:
        for task in CHECK.findall(cell.source) if cell.cell_type == "code" else ():
            if task in answers:
                replaced = f"from fewerbits.teach import mistakes\n{task} = {answers[task]}\ncheck.{task}("
                cell.source = cell.source.replace(f"check.{task}(", replaced)
    return answered


def nth_mistakes(stem: str, n: int) -> dict[str, str]:
    """For each task the expression of its nth mistake, counted round and round."""
    counts = {task: len(mistakes.in_task(task)) for task in tasks_of(stem)}
    return {task: f"mistakes.in_task({task!r})[{n % count}].wrong" for task, count in counts.items()}


@cache
def namespace_of(stem: str, kind: str) -> dict[str, Any]:
    notebook = source_notebook(stem)
    return run_cells(solved(notebook) if kind == "solved" else for_learners(notebook))


@SOLUTIONS
def test_the_solution_passes(stem: str, task: str) -> None:
    result = examine(check.tasks()[task], namespace_of(stem, "solved")[task])
    assert result.mark == PASSED, result.text


@EVERY_TASK
def test_the_stub_is_not_attempted(stem: str, task: str) -> None:
    result = examine(check.tasks()[task], namespace_of(stem, "learner")[task])
    assert (result.mark, result.text) == (OPEN, f"{OPEN} {task}: not attempted yet.")


@pytest.mark.parametrize(("stem", "record"), MISTAKES)
def test_a_mistake_fails_and_is_named(stem: str, record: mistakes.Mistake) -> None:
    result = examine(check.tasks()[record.task], record.wrong)
    assert_named(result, record.name)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name", "function"), SLIPS)
def test_a_mistake_is_named_however_it_is_written(task: str, name: str, function: Any) -> None:
    assert_named(examine(check.tasks()[task], function), name)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "function"), UNNAMED)
def test_what_no_known_mistake_describes_gets_no_name(task: str, function: Any) -> None:
    result = examine(check.tasks()[task], function)
    assert (result.mark, result.mistake) == (FAILED, None), result.text


def assert_named(result: Result, name: str) -> None:
    assert result.mark == FAILED, result.text
    assert result.mistake == name, result.text
    known = mistakes.find(name, result.task)
    shown = " ".join(result.text.split())
    assert known.title in shown
    assert known.cause in shown
    assert known.repair not in shown, "the check gives the repair away"


@pytest.mark.parametrize(("task", "function"), ALTERNATIVES)
def test_another_correct_implementation_passes(task: str, function: Any) -> None:
    result = examine(check.tasks()[task], function)
    assert result.mark == PASSED, result.text


@EVERY_TASK
def test_proofs_are_complete(stem: str, task: str) -> None:
    assert len(proofs(stem).ALTERNATIVES[task]) >= 3
    assert mistakes.in_task(task), "no mistake is known for this task"
    assert proofs(stem).SLIPS[task], "no slip as a learner would write it"


@EVERY_CHAPTER
def test_proofs_name_tasks_of_the_chapter(stem: str) -> None:
    assert set(proofs(stem).ALTERNATIVES) == set(proofs(stem).SLIPS) == set(tasks_of(stem))


def test_every_task_is_asked_in_one_chapter() -> None:
    assert sorted(task for _, task in TASKS) == sorted(check.tasks())


def test_every_mistake_belongs_to_a_task() -> None:
    assert {record.task for record in mistakes.records()} <= set(check.tasks())


@EVERY_CHAPTER
def test_building_gives_no_difference(stem: str, tmp_path: Path) -> None:
    """The learner's notebook to the byte, and the cells of the solved one (its outputs: the slow test below)."""
    lessons.write(for_learners(source_notebook(stem)), tmp_path / "built.ipynb")
    committed = EXERCISES / f"{stem}.ipynb"
    assert (tmp_path / "built.ipynb").read_bytes() == committed.read_bytes(), "run: make notebooks"
    stored = nbformat.read(EXERCISES / "solutions" / f"{stem}.ipynb", as_version=4)
    cells = [(cell.id, cell.cell_type, cell.source) for cell in stored.cells]
    assert cells == [(cell.id, cell.cell_type, cell.source) for cell in solved(source_notebook(stem)).cells]


@pytest.mark.slow
@EVERY_CHAPTER
def test_running_the_solutions_again_gives_no_difference(stem: str, tmp_path: Path) -> None:
    build(SOURCES[stem], tmp_path)
    built, committed = (
        nbformat.read(folder / "solutions" / f"{stem}.ipynb", as_version=4) for folder in (tmp_path, EXERCISES)
    )
    assert built.cells == committed.cells, "run: make notebooks"


@EVERY_CHAPTER
def test_no_line_of_a_solution_is_in_the_learners_file(stem: str) -> None:
    source = SOURCES[stem].read_text(encoding="utf-8")
    learner = (EXERCISES / f"{stem}.ipynb").read_text(encoding="utf-8")
    solution_cells = re.findall(r'^# %%.*tags=\["solution"\]\n(.*?)(?=^# %%|\Z)', source, re.DOTALL | re.MULTILINE)
    blocks = [match["solution"] for match in BLOCK.finditer(source)]
    given = {line.strip("# \n") for match in BLOCK.finditer(source) for line in (match["given"] or "").splitlines()}
    lines = {line.strip("# \n") for text in (*blocks, *solution_cells) for line in text.splitlines()}
    secrets = {line for line in lines - given if len(line) > 8}
    assert len(secrets) >= len(tasks_of(stem))
    assert [line for line in secrets if line.replace('"', '\\"') in learner] == []
    assert "SOLUTION" not in learner


@EVERY_CHAPTER
def test_every_exercise_has_difficulty_minutes_and_staged_hints(stem: str) -> None:
    cells = source_notebook(stem).cells
    headings = [(cell, match) for cell in cells if (match := HEADING.search(cell.source))]
    assert [int(match[1]) for _, match in headings] == list(range(1, len(headings) + 1))
    assert 5 <= len(headings) <= 8
    assert "●○○" in headings[0][1][0]
    assert any("●●●" in match[0] for _, match in headings)
    for cell, _ in headings:
        hints = re.findall(r"<details><summary>Hint (\d)</summary>\n\n(?:.+\n)+\n</details>", cell.source + "\n")
        assert hints == [str(number) for number in range(1, len(hints) + 1)]
        assert len(hints) >= 2, cell.source
        follows = cells[cells.index(cell) + 1].source
        assert len(CHECK.findall(follows)) == 1, "the cell below an exercise holds the stub and its check"
    stated = re.search(r"about \*\*(\d+) minutes\*\*", cells[0].source)
    assert stated
    assert int(stated[1]) == sum(int(match[3]) for _, match in headings)


@EVERY_CHAPTER
def test_the_untouched_notebook_runs_to_its_end(stem: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_cells(for_learners(source_notebook(stem)))
    assert marks(capsys.readouterr().out) == dict.fromkeys(tasks_of(stem), OPEN)


@SOLVED
def test_the_solved_notebook_runs_to_its_end(stem: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_cells(solved(source_notebook(stem)))
    assert marks(capsys.readouterr().out) == dict.fromkeys(tasks_of(stem), PASSED)


@pytest.mark.slow
@EVERY_CHAPTER
def test_the_notebook_runs_to_its_end_with_each_mistake(stem: str, capsys: pytest.CaptureFixture[str]) -> None:
    most = max(len(mistakes.in_task(task)) for task in tasks_of(stem))
    for n in range(min(most, ROUNDS_WITH_MISTAKES)):
        run_cells(with_answers(for_learners(source_notebook(stem)), nth_mistakes(stem, n)))
        assert marks(capsys.readouterr().out) == dict.fromkeys(tasks_of(stem), FAILED)


@pytest.mark.slow
@pytest.mark.parametrize(("stem", "answers", "mark"), IN_KERNELS)
def test_a_kernel_in_work_runs_the_notebook_and_progress_shows_it(
    stem: str, answers: str, mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORK_VARIABLE, str(tmp_path))
    notebook = source_notebook(stem)
    notebook = solved(notebook) if answers == "solutions" else for_learners(notebook)
    if answers == "mistakes":
        notebook = with_answers(notebook, nth_mistakes(stem, 0))
    executed = lessons.execute(notebook, tmp_path)
    text = "".join(output.get("text", "") for cell in executed.cells for output in cell.get("outputs", ()))
    assert marks(text) == dict.fromkeys(tasks_of(stem), mark)
    assert "execute_result" not in [output.output_type for cell in executed.cells for output in cell.get("outputs", ())]
    assert " ".join([mark] * len(tasks_of(stem))) in text.splitlines()[-2]


@EVERY_CHAPTER
def test_progress_finds_every_task_in_the_learners_file(stem: str) -> None:
    exercise = read(EXERCISES / f"{stem}.ipynb")
    assert exercise is not None
    assert list(exercise.tasks) == tasks_of(stem)
    assert exercise.version
