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


@dataclass(frozen=True)
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
            rounded = np.round(array, decimals)
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
    """The mistake of this task whose outcomes are those of the learner on every probe."""
    for mistake in mistakes.in_task(task.name):
        theirs = (run(mistake.wrong, arguments, task.seconds) for arguments in probes)
        if all(_alike(task, *each) for each in zip(outcomes, theirs, accepted)):
            return mistake
    return None


def _alike(task: Task, mine: Outcome, theirs: Outcome, accepted: tuple[Between, ...] | None) -> bool:
    if mine.kind != "answer" or theirs.kind != "answer":
        return mine.kind == theirs.kind and type(mine.error) is type(theirs.error)
    try:
        pairs = list(zip(read(mine.value, task.returns), read(theirs.value, task.returns)))
    except UnusableAnswerError:
        return False
    parts = accepted or (None,) * len(pairs)
    return all(coincide(*pair, part, output) for pair, part, output in zip(pairs, parts, task.returns))
