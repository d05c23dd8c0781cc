"""What the learner reads: ✓, ✗ with the reason, or ○ for not attempted yet."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewerbits.teach.check.answers import expected, read
from fewerbits.teach.check.judge import Failure, judge, known_mistake, smallest
from fewerbits.teach.check.runner import Outcome, run
from fewerbits.teach.check.task import Between, Task
from fewerbits.teach.exercises.progress import record

PASSED, FAILED, OPEN = "✓", "✗", "○"
WIDTH = 96


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
    _print(result.text)
    record(task.name, result.mark)
    return result


def examine(task: Task, function: Callable[..., Any]) -> Result:
    """The result for a learner's function, not printed."""
    if problem := _not_callable_as(task, function):
        return _result(task, FAILED, problem)
    probes = task.probes()
    accepted = [expected(task, arguments) for arguments in probes]
    outcomes: list[Outcome] = []
    failure = None
    for arguments, right in zip(probes, accepted):
        outcomes.append(outcome := run(function, arguments, task.seconds))
        if outcome.kind == "unwritten" and len(outcomes) == 1:
            return _result(task, OPEN, _unwritten(function, outcome.unwritten))
        failure = failure or judge(task, arguments, outcome, right)
        if outcome.kind == "timeout":
            break
    if failure is None:
        answers = [read(outcome.value, task.returns) for outcome in outcomes]
        praise = task.summary(probes, answers) if task.summary else f"right on all {len(probes)} inputs tried."
        return _result(task, PASSED, praise)
    if outcomes[-1].kind == "timeout":
        return _result(task, FAILED, *_lines(task, failure))
    mistake = known_mistake(task, probes, outcomes, accepted)
    lines = _lines(task, smallest(task, function, failure))
    if mistake is None:
        return _result(task, FAILED, *lines)
    lines.append(f"It looks like a known mistake, “{mistake.title}”. {mistake.cause}")
    return _result(task, FAILED, *lines, mistake=mistake.name)


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
    inputs = ", ".join(f"{name} = {_show(value)}" for name, value in zip(task.arguments, failure.arguments))
    at = f" in {outcome.where}" if outcome.where else ""
    if failure.kind == "timeout":
        first = f"no answer within {task.seconds:g} s{at}. Does every loop come to an end?"
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
    if outcome.warning:
        lines.append(f"NumPy warned     {outcome.warning}")
    if outcome.printed:
        lines.append(f"it printed       {outcome.printed.strip()[:WIDTH]}")
    return lines


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
    return _accepted(Between(low, high)) + place, _show(answer) + place


def _accepted(accepted: Between) -> str:
    low, high = accepted
    if np.allclose(low, high, rtol=1e-5, atol=0):
        return _show(low if np.array_equal(low, high) else (low + high) / 2)
    if np.isinf(high):
        return "any positive number"
    return f"{_show(low)} or {_show(high)}" if high == low + 1 else f"{_show(low)} to {_show(high)}"


def _show(value: Any) -> str:
    """Short, and such that it can be typed in again; a large array by its shape."""
    if isinstance(value, np.ndarray) and value.size > 24:
        return f"{value.dtype} array of shape {value.shape}"
    if isinstance(value, np.ndarray) and value.ndim:
        text = np.array2string(value, separator=", ", precision=7, max_line_width=10**6)
        return " ".join(text.split())
    if isinstance(value, (float, np.floating, np.ndarray)):
        return f"{float(value):.7g}"
    return repr(value)


def _print(text: str) -> None:
    """Print, also on a terminal whose encoding has no ✓ (Windows with a legacy code page)."""
    try:
        print(text)
    except UnicodeEncodeError:
        for mark, plain in ((PASSED, "[passed]"), (FAILED, "[wrong]"), (OPEN, "[open]")):
            text = text.replace(mark, plain)
        encoding = sys.stdout.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding))
