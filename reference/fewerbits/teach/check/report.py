"""What the learner reads: ✓, ✗ with the reason, or ○ for not attempted yet."""

from __future__ import annotations

import inspect
import math
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fewerbits.teach import mistakes
from fewerbits.teach.check.answers import expected, read
from fewerbits.teach.check.judge import Failure, imitates, isolated_mistake, judge, known_mistake, smallest
from fewerbits.teach.check.runner import Outcome, run
from fewerbits.teach.check.task import Between, Probe, Task
from fewerbits.teach.exercises.progress import record

PASSED, FAILED, OPEN = "✓", "✗", "○"
WIDTH = 96
DIGITS = 7
NARROW = 0.005  # of the middle: a range that is a tolerance


@dataclass(frozen=True)
class Result:
    """What a check found. True when the task is solved, so that `if check.quantize(quantize):` works."""

    task: str
    mark: str
    text: str
    mistake: str | None = None

    def __bool__(self) -> bool:
        return self.mark == PASSED

    def __repr__(self) -> str:
        return f"{self.mark} {self.task}"

    def _ipython_display_(self) -> None:
        """Show nothing: in a notebook the text is already there when the value of the cell is shown."""


def report(task: Task, function: Callable[..., Any]) -> Result:
    """Examine, print, record. Whatever fails in here is reported and never raised (except KeyboardInterrupt)."""
    try:
        result = examine(task, function)
    except Exception as error:
        text = f"{OPEN} {task.name}: this could not be checked: {type(error).__name__}: {error}"
        result = Result(task.name, OPEN, text)
    if not record(task.name, result.mark) and result.mark == PASSED:
        result = replace(result, text=f"{result.text}\n  not remembered: this notebook is not in work/")
    _print(result.text)
    return result


def examine(task: Task, function: Callable[..., Any]) -> Result:
    """The result for a learner's function, not printed."""
    if problem := _not_callable_as(task, function):
        return _result(task, FAILED, problem)
    probes = task.probes()
    accepted = [expected(task, arguments) for arguments in probes]
    outcomes: list[Outcome] = []
    failures: list[Failure] = []
    for arguments, right in zip(probes, accepted):
        outcomes.append(outcome := run(function, arguments, task.seconds))
        if outcome.kind == "unwritten" and len(outcomes) == 1:
            return _result(task, OPEN, _unwritten(function, outcome.unwritten))
        if failure := judge(task, arguments, outcome, right):
            failures.append(failure)
        if outcome.kind == "timeout":
            break
    if not failures:
        answers = [read(outcome.value, task.returns) for outcome in outcomes]
        praise = task.summary(probes, answers) if task.summary else f"right on all {len(probes)} inputs tried."
        return _result(task, PASSED, praise)
    if outcomes[-1].kind == "timeout":
        return _result(task, FAILED, *_lines(task, failures[0]))
    if mistake := known_mistake(task, probes, outcomes, accepted):
        explained = [each for each in failures if _explains(task, mistake, each)] or failures
        lines = _lines(task, smallest(task, function, explained[0]))
        lines.append(f"It looks like a known mistake, “{mistake.title}”. {mistake.cause}")
        if other := next((each for each in failures if each not in explained and _is_apart(task, each)), None):
            first, *more = _lines(task, other)
            lines += [f"Besides, on another input: {first}", *more]
        return _result(task, FAILED, *lines, mistake=mistake.name)
    if task.several_faults and (found := isolated_mistake(task, function, probes)):
        lines = _lines(task, found[0])
        lines.append(f"This input alone looks like a known mistake, “{found[1].title}”. {found[1].cause}")
        lines.append("Other inputs differ in other ways: there is more to find.")
        return _result(task, FAILED, *lines, mistake=found[1].name)
    lines = _lines(task, smallest(task, function, failures[0]))
    return _result(task, FAILED, *lines, *_reached(task, probes, outcomes))


def _explains(task: Task, mistake: mistakes.Mistake, failure: Failure) -> bool:
    """Whether this failure is one that the mistake has too."""
    return imitates(task, mistake, failure.arguments, failure.outcome, expected(task, failure.arguments))


def _is_apart(task: Task, failure: Failure) -> bool:
    """Whether a failure stands beside a mistake that shows elsewhere."""
    return failure.outcome.kind != "answer" or task.degenerate(*failure.arguments)


def _reached(task: Task, probes: Sequence[Probe], outcomes: Sequence[Outcome]) -> list[str]:
    """What was reached on each of the named inputs."""
    if task.measure is None:
        return []
    reached = []
    for name, arguments, outcome in zip(task.names, probes, outcomes):
        failure = judge(task, arguments, outcome, expected(task, arguments))
        if outcome.kind != "answer" or (failure is not None and failure.kind in ("unusable", "property 0")):
            reached.append(f"{FAILED} {name}")
        else:
            answers = read(outcome.value, task.returns)
            text = task.measure(answers if len(answers) > 1 else answers[0], *arguments)
            reached.append(f"{FAILED if failure else PASSED} {name} {text}")
    return [f"{'all inputs':<16} {', '.join(reached)}"]


def _not_callable_as(task: Task, function: Any) -> str | None:
    if not callable(function):
        return f"pass the function itself, check.{task.name}({task.name}), not {type(function).__name__}."
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*task.arguments)
    except TypeError:
        return f"it is called as {task.call}; yours takes {signature}."
    return None


def _unwritten(function: Callable[..., Any], name: str) -> str:
    if name in ("", getattr(function, "__name__", name)):
        return "not attempted yet."
    return f"not attempted yet: it calls {name}, which is not written."


def _result(task: Task, mark: str, first: str, *more: str, mistake: str | None = None) -> Result:
    lines = [f"{mark} {task.name}: {first}"]
    for line in more:
        lines.append(
            textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="  ")
            if len(line) > WIDTH
            else f"  {line}"
        )
    return Result(task.name, mark, "\n".join(lines), mistake)


def _lines(task: Task, failure: Failure) -> list[str]:
    """The first line without its mark, then the input, what was expected and what came, and what else was seen."""
    outcome = failure.outcome
    written = task.written(*failure.arguments)
    inputs = _name_of(task, failure) or ", ".join(
        f"{name} = {_show(value, write=written.get(name))}" for name, value in zip(task.arguments, failure.arguments)
    )
    at = f" in {outcome.where}" if outcome.where else ""
    if failure.kind == "timeout":
        first = f"no answer within {task.seconds:g} s{at}. {task.too_slow}"
    elif failure.kind in ("exception", "unwritten"):
        first = f"{type(outcome.error).__name__}{at}: {outcome.error}"
    elif failure.kind == "value":
        first = "the answer differs."
    else:
        first = failure.sentence if failure.sentence[-1] in ".?" else failure.sentence + "."
    searched = task.divisible and failure.kind != "timeout"
    lines = [first, f"{'smallest input' if searched else 'input':<16} {inputs}"]
    if failure.kind == "value":
        name = task.returns[failure.output].name
        lines += [
            f"{label:<16} {name} = {text}" for label, text in zip(("expected", "yours"), _difference(task, failure))
        ]
        if _is_coarse(failure):
            lines.append(f"{_limit_of_float16(failure)}: compute in float32 or float64.")
    if outcome.warning:
        lines.append(f"NumPy warned     {outcome.warning}")
    if outcome.printed:
        lines.append(f"it printed       {outcome.printed.strip()[:WIDTH]}")
    return lines


def _is_coarse(failure: Failure) -> bool:
    """Whether the answer would be right if it were not in float16."""
    if failure.answer is None or failure.accepted is None or failure.answer.dtype != np.float16:
        return False
    low, high = failure.accepted
    slack = np.abs(low) * 2.0**-9 + 2.0**-24
    answer = failure.answer.astype(np.float64).reshape(low.shape)
    return bool(np.all((answer >= low - slack) & (answer <= high + slack)))


def _limit_of_float16(failure: Failure) -> str:
    """What is missing: range, where the smallest wrong value is below its normal numbers, else digits."""
    assert failure.accepted is not None
    wanted = np.abs(failure.accepted.low)[failure.wrong]
    if wanted.min() < np.finfo(np.float16).smallest_normal:
        return "float16 has no numbers below 6e-8, and few digits below 6e-5"
    return "float16 keeps three digits, which is too coarse here"


def _difference(task: Task, failure: Failure) -> tuple[str, str]:
    """The expected and the given value; of large arrays, and where the oracle leaves a choice, one wrong element."""
    assert failure.accepted is not None
    assert failure.answer is not None
    assert failure.wrong is not None
    low, high = failure.accepted
    answer = failure.answer.reshape(low.shape)
    place = ""
    if low.size > 8 or (low.size > 1 and not np.allclose(low, high, rtol=1e-5, atol=0)):
        index = tuple(int(i) for i in np.argwhere(failure.wrong)[0])
        low, high, answer, place = low[index], high[index], answer[index], f" at index {index}"
    if task.returns[failure.output].integer:
        low, high = np.asarray(low, np.int64), np.asarray(high, np.int64)
    if answer.dtype == np.float16:
        answer = answer.astype(np.float64)
    write = task.written(*failure.arguments).get(task.returns[failure.output].name)
    if write is not None and np.array_equal(low, high):
        return _show(low, write=write) + place, _show(answer, write=write) + place
    for digits in (DIGITS, 10, 13, 17):
        wanted, given = _accepted(Between(low, high), digits), _show(answer, digits)
        if wanted.rstrip(".") != given.rstrip("."):
            break
    return wanted + place, given + place


def _accepted(accepted: Between, digits: int) -> str:
    low, high = accepted
    if np.allclose(low, high, rtol=1e-5, atol=0):
        return _show(low if np.array_equal(low, high) else (low + high) / 2, digits)
    if np.isinf(high):
        return "any positive number"
    middle, half = (low + high) / 2, (high - low) / 2
    if np.ndim(low) == 0 and low.dtype.kind == "f" and half <= NARROW * abs(middle):
        slack = f"{half:.{max(1 - math.floor(math.log10(half)), 1)}f}".rstrip("0")
        return f"{middle:.{len(slack.partition('.')[2])}f} (±{slack.rstrip('.')})"
    between = "or" if high == low + 1 else "to"
    return f"{_show(low, digits)} {between} {_show(high, digits)}"


def _name_of(task: Task, failure: Failure) -> str | None:
    """The name of the probe that failed, where it has one."""
    pairs = zip(task.names, task.probes())
    same = (name for name, arguments in pairs if all(map(np.array_equal, arguments, failure.arguments)))
    return next(same, None)


def _show(value: Any, digits: int = DIGITS, write: Callable[[float], str | None] | None = None) -> str:
    """Short, and such that it can be typed in again; a large array by its shape. Single numbers as `write` says."""
    if isinstance(value, np.ndarray) and value.size > 24:
        return f"{value.dtype} array of shape {value.shape}"
    if write is not None:
        texts = [write(each) or _show(each, digits) for each in np.ravel(value).tolist()]
        return f"[{', '.join(texts)}]" if np.ndim(value) else texts[0]
    if isinstance(value, np.ndarray) and value.ndim:
        text = np.array2string(value, separator=", ", precision=digits, max_line_width=10**6)
        return " ".join(text.split())
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    return f"{value:.{digits}g}" if isinstance(value, float) else repr(value)


def _print(text: str) -> None:
    """Print, also on a terminal whose encoding has no ✓ (Windows with a legacy code page)."""
    try:
        print(text)
    except UnicodeEncodeError:
        for mark, plain in ((PASSED, "[passed]"), (FAILED, "[wrong]"), (OPEN, "[open]")):
            text = text.replace(mark, plain)
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding))
