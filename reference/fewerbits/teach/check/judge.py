"""Decide whether one outcome is right, find the smallest input on which it is not, and name the mistake."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach import mistakes
from fewerbits.teach.check.answers import UnusableAnswerError, coincide, expected, read, right, shape_problem
from fewerbits.teach.check.runner import Outcome, run
from fewerbits.teach.check.task import Between, Probe, Task

MOST_TRIES = 100
Case = tuple[Probe, Outcome, tuple[Between, ...] | None]


@dataclass(frozen=True, eq=False)
class Failure:
    """What is wrong with one outcome. `kind` tells failures apart; `sentence` says it, where no value differs.

    `output` is the position of the returned value that differs and `wrong` marks its wrong elements.
    """

    kind: str
    arguments: Probe
    outcome: Outcome
    sentence: str = ""
    output: int = 0
    answer: NDArray[Any] | None = None
    accepted: Between | None = None
    wrong: NDArray[np.bool_] | None = None


def judge(task: Task, arguments: Probe, outcome: Outcome, accepted: tuple[Between, ...] | None) -> Failure | None:
    """None when the outcome is right for these arguments, of which the oracle says that `accepted` is right."""

    def failure(kind: str, sentence: str = "", **details: Any) -> Failure:
        return Failure(kind, arguments, outcome, sentence, **details)

    if outcome.kind != "answer":
        return failure(outcome.kind)
    if outcome.changed is not None:
        name = task.arguments[outcome.changed]
        return failure("changed", f"it changed {name} in place, which its caller still needs: work on a copy")
    try:
        answers = read(outcome.value, task.returns)
    except UnusableAnswerError as error:
        return failure("unusable", str(error))
    for position, (answer, part, output) in enumerate(zip(answers, accepted or (), task.returns)):
        if problem := shape_problem(answer, part, output):
            return failure("shape", problem)
        correct = right(answer, part, output)
        if not correct.all():
            return failure("value", output=position, answer=answer, accepted=part, wrong=~correct)
    for position, holds in enumerate(task.properties):
        if problem := holds(answers if len(answers) > 1 else answers[0], *arguments):
            return failure(f"property {position}", problem)
    return None


def smallest(task: Task, function: Callable[..., Any], failure: Failure) -> Failure:
    """The same kind of failure on an input as small and as round as a limited number of tries makes it."""
    started, tries = time.monotonic(), 0
    candidates = _smaller(failure.arguments) if task.divisible else iter(())
    while (arguments := next(candidates, None)) is not None:
        if task.degenerate(*arguments) and not task.degenerate(*failure.arguments):
            continue
        tries += 1
        if tries > MOST_TRIES or time.monotonic() - started > task.seconds:
            break
        other = judge(task, arguments, run(function, arguments, task.seconds), expected(task, arguments))
        if other is not None and other.kind == failure.kind:
            failure, candidates = other, _smaller(other.arguments)
    return failure


def _smaller(arguments: Probe) -> Iterator[Probe]:
    """Arguments with one array cut in half along an axis, shortened by one index, or with fewer decimals."""
    for position, argument in enumerate(arguments):
        if isinstance(argument, np.ndarray):
            for part in (*_parts(argument), *_rounder(argument)):
                yield (*arguments[:position], part, *arguments[position + 1 :])


def _parts(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for axis, length in enumerate(array.shape):
        if length > 4:
            yield np.take(array, range(length // 2), axis)
            yield np.take(array, range(length // 2, length), axis)
        elif length > 1:
            for index in range(length):
                yield np.delete(array, index, axis)


def _rounder(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    if array.dtype.kind == "f" and array.size <= 8:
        for decimals in range(3):
            rounded = np.round(array, decimals) + 0.0  # no −0
            if not np.array_equal(rounded, array):
                yield rounded
            else:
                return


def known_mistake(
    task: Task,
    probes: Sequence[Probe],
    outcomes: Sequence[Outcome],
    accepted: Sequence[tuple[Between, ...] | None],
) -> mistakes.Mistake | None:
    """The mistake of this task whose outcomes are those of the learner.

    On every probe; else on all that are not degenerate; else on all of these that the learner's function answers,
    two wrong answers among them; else in the one output that gives the mistake away.
    """
    every = list(zip(probes, outcomes, accepted))
    usual = [case for case in every if not task.degenerate(*case[0])]
    answered = [case for case in usual if case[1].kind == "answer"]
    for cases, least in ((every, 0), (usual, 1), (answered, 2)):
        if sum(judge(task, *case) is not None for case in cases) >= least:
            for mistake in mistakes.in_task(task.name):
                if cases and all(imitates(task, mistake, *case) for case in cases) and _explains(task, mistake, cases):
                    return mistake
    for mistake in mistakes.in_task(task.name):
        position = next((i for i, output in enumerate(task.returns) if output.name == mistake.shows_in), None)
        if position is not None and _shows(task, mistake, answered, position):
            return mistake
    return None


def _explains(task: Task, mistake: mistakes.Mistake, cases: Sequence[Case]) -> bool:
    """Whether the mistake goes wrong too where the answer is wrong: right values in a wrong shape are no mistake."""
    wrong = [case for case in cases if judge(task, *case)]
    return any(judge(task, case[0], run(mistake.wrong, case[0], task.seconds), case[2]) for case in wrong)


def imitates(
    task: Task,
    mistake: mistakes.Mistake,
    arguments: Probe,
    outcome: Outcome,
    accepted: tuple[Between, ...] | None,
    position: int | None = None,
) -> bool:
    """Whether the mistake leads to the same outcome for these arguments, or to the same value at one position."""
    theirs = run(mistake.wrong, arguments, task.seconds)
    if outcome.changed != theirs.changed:
        return False
    if outcome.kind != "answer" or theirs.kind != "answer":
        return outcome.kind == theirs.kind and type(outcome.error) is type(theirs.error)
    problem = unusable(task, outcome)
    if problem or unusable(task, theirs):  # empty in both, for one
        return position is None and problem == unusable(task, theirs)
    pairs = list(zip(read(outcome.value, task.returns), read(theirs.value, task.returns)))
    parts = accepted or (None,) * len(pairs)
    each = list(zip(pairs, parts, task.returns))
    return all(coincide(*pair, part, output) for pair, part, output in (each if position is None else [each[position]]))


def unusable(task: Task, outcome: Outcome) -> str | None:
    """Why the answer cannot be read, if so."""
    try:
        read(outcome.value, task.returns)
    except UnusableAnswerError as error:
        return str(error)
    return None


def _shows(task: Task, mistake: mistakes.Mistake, cases: Sequence[Case], position: int) -> bool:
    """Whether one output is that of the mistake in all cases, and wrong in two of them at least."""
    wrong = 0
    for arguments, outcome, accepted in cases:
        if accepted is None or not imitates(task, mistake, arguments, outcome, accepted, position):
            return False
        answer, part, output = read(outcome.value, task.returns)[position], accepted[position], task.returns[position]
        wrong += bool(shape_problem(answer, part, output)) or not right(answer, part, output).all()
    return wrong >= 2


def isolated_mistake(
    task: Task, function: Callable[..., Any], probes: Sequence[Probe]
) -> tuple[Failure, mistakes.Mistake] | None:
    """Where several faults are left: a known mistake, and a single value on which it shows alone.

    It is there when the answers are those of the mistake for every value of the probes at which this mistake, and no
    other known one, goes wrong; two such values at least. Values are those of the first argument.
    """
    found: dict[str, list[Failure | None]] = {}
    known = {mistake.name: mistake for mistake in mistakes.in_task(task.name)}
    for values, *others in probes:
        for index in range(values.size):
            arguments = (values.reshape(-1)[index : index + 1], *others)
            if len(names := _wrong_names(task, arguments)) == 1:
                case = arguments, run(function, arguments, task.seconds), expected(task, arguments)
                same = imitates(task, known[names[0]], *case)
                found.setdefault(names[0], []).append(judge(task, *case) if same else None)
    for name, failures in found.items():
        if len(failures) >= 2 and (failure := failures[0]) and None not in failures:
            small = smallest(task, function, failure)
            return (small if _wrong_names(task, small.arguments) == [name] else failure), known[name]
    return None


def _wrong_names(task: Task, arguments: Probe) -> list[str]:
    """The known mistakes that go wrong for these arguments."""
    accepted = expected(task, arguments)
    wrong = (
        mistake.name
        for mistake in mistakes.in_task(task.name)
        if judge(task, arguments, run(mistake.wrong, arguments, task.seconds), accepted)
    )
    return list(dict.fromkeys(wrong))
