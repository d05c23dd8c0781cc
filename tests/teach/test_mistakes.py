"""The catalogue of mistakes: complete, searchable, and each told apart from every other."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from fewerbits.teach import check, mistakes
from fewerbits.teach.article import uniform_quantization
from fewerbits.teach.check.answers import expected, read
from fewerbits.teach.check.judge import known_mistake, unusable
from fewerbits.teach.check.runner import Outcome, run
from fewerbits.teach.mistakes import Mistake, also, catalogue, find, in_task, mistake, records, table

RECORDS = [pytest.param(record, id=f"{record.task}-{record.wrong.__name__}") for record in records()]


def test_the_catalogue_has_at_least_sixteen_mistakes_of_uniform_quantization() -> None:
    assert len(catalogue("uniform")) >= 16


def test_each_mistake_is_in_the_catalogue_once() -> None:
    names = [entry.name for entry in catalogue()]
    assert len(names) == len(set(names))
    assert set(names) == {record.name for record in records()}


@pytest.mark.parametrize("record", RECORDS)
def test_a_mistake_says_what_one_sees_why_and_what_to_do(record: Mistake) -> None:
    for text in (record.symptom, record.cause, record.repair):
        assert text.lstrip("“")[0].isupper()
        assert text.endswith(".")
        assert 15 < len(text) < 160
    assert record.source
    assert record.topic in mistakes.TOPICS


def test_the_same_mistake_in_another_task_has_the_same_words() -> None:
    for first, other in itertools.combinations(records(), 2):
        if first.name == other.name:
            assert (first.symptom, first.cause, first.repair) == (other.symptom, other.cause, other.repair)


@pytest.mark.slow
@pytest.mark.parametrize("record", RECORDS)
def test_no_two_mistakes_of_a_task_give_the_same_answers(record: Mistake) -> None:
    """Else the check could not tell which was made."""
    task = check.tasks()[record.task]
    probes = task.probes()
    outcomes = [run(record.wrong, arguments, task.seconds) for arguments in probes]
    accepted = [expected(task, arguments) for arguments in probes]
    others = [other for other in in_task(record.task) if other.name != record.name]
    for other in others:
        assert not np.all(
            [
                _identical(task, outcome, run(other.wrong, arguments, task.seconds))
                for outcome, arguments in zip(outcomes, probes)
            ]
        ), other.name
    assert known_mistake(task, probes, outcomes, accepted).name == record.name  # type: ignore[union-attr]


def _identical(task: check.Task, mine: Outcome, theirs: Outcome) -> bool:
    if mine.kind != "answer" or theirs.kind != "answer":
        return mine.kind == theirs.kind
    if unusable(task, mine) or unusable(task, theirs):
        return unusable(task, mine) == unusable(task, theirs)
    pairs = zip(read(mine.value, task.returns), read(theirs.value, task.returns))
    return all(a.shape == b.shape and np.array_equal(a, b, equal_nan=b.dtype.kind == "f") for a, b in pairs)


def test_the_published_formula_is_the_first_mistake() -> None:
    """Codes of ±255 in 8 bits: the scale of `levels_per_side` is the one that the article divides by."""
    x = np.array([-1.0, 0.3, 1.0])
    published = uniform_quantization(x, 8)
    np.testing.assert_array_equal(np.round(x / find("levels per side")(x, 8)), published)
    assert published.max() == 255


def test_a_mistake_is_found_by_its_name_in_words_or_as_written() -> None:
    assert find("wrap instead of clamp") is find("wrap_instead_of_clamp")
    assert find("zero_scale", "quantize_per_channel").task == "quantize_per_channel"


def test_the_table_lists_every_mistake_with_its_topic() -> None:
    text = table()
    for topic in mistakes.TOPICS:
        assert f"{topic}: {len(catalogue(topic))} mistakes" in text
    for entry in catalogue():
        assert f"  {entry.title} " in text


def test_a_printed_mistake_shows_all_it_knows() -> None:
    entry = find("zero_scale")
    text = " ".join(str(entry).split())
    for part in (entry.title, entry.topic, entry.symptom, entry.cause, entry.repair, entry.source):
        assert part in text


def test_a_mistake_cannot_be_altered() -> None:
    with pytest.raises(FrozenInstanceError):
        find("zero_scale").cause = "none"  # type: ignore[misc]


def test_adding_a_mistake_is_writing_the_wrong_function() -> None:
    @mistake("square", symptom="A.", cause="B.", repair="C.", source="D")
    def doubled(x: float) -> float:
        return 2 * x

    @also(doubled, "cube")
    def doubled_twice(x: float) -> float:
        return 4 * x

    assert (doubled.name, doubled.title, doubled.task, doubled(3.0)) == ("doubled", "doubled", "square", 6.0)
    assert (doubled_twice.name, doubled_twice.task, doubled_twice(3.0)) == ("doubled", "cube", 12.0)


def test_a_task_without_known_mistakes_has_none() -> None:
    assert in_task("no such task") == ()
