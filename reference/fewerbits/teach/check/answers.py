"""Read what a learner's function returned, whatever its style, and compare it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.check.task import Between, Output, Probe, Task


class UnusableAnswerError(Exception):
    """The answer cannot be compared; the message tells the learner why."""


def read(value: Any, outputs: tuple[Output, ...]) -> tuple[NDArray[Any], ...]:
    """One float or integer array per output. Raises UnusableAnswerError for None, another type or number of values."""
    if value is None:
        raise UnusableAnswerError("it returned None: does every path end in `return`?")
    if len(outputs) == 1:
        return (_array(value, outputs[0]),)
    names = ", ".join(output.name for output in outputs)
    if not isinstance(value, (tuple, list, np.ndarray)) or getattr(value, "ndim", 1) == 0:
        raise UnusableAnswerError(f"it returned {_type(value)}: expected are {len(outputs)} values, `return {names}`")
    if len(value) != len(outputs):
        raise UnusableAnswerError(f"it returned {len(value)} values: expected are {len(outputs)}, `return {names}`")
    return tuple(_array(part, output) for part, output in zip(value, outputs))


def _array(value: Any, output: Output) -> NDArray[Any]:
    name = output.name
    if output.convert is not None:
        try:
            value = output.convert(value)
        except Exception as error:
            raise UnusableAnswerError(f"{name} cannot be used: {error}") from None
    try:
        # asarray first: it converts a torch tensor without a warning.
        array = np.asarray(value).copy()
    except Exception:
        raise UnusableAnswerError(f"{name} cannot be read as an array: it is {_type(value)}") from None
    if array.dtype == object and all(type(each) is int and -(2**63) <= each < 2**63 for each in array.flat):
        array = array.astype(np.int64)  # Python's integers, a way around overflow
    if array.dtype.kind not in "iuf":
        holds = f" holding {_type(array.flat[0])}" if array.dtype == object and array.ndim else ""
        raise UnusableAnswerError(f"{name} is {_type(value)}{holds}: expected are numbers")
    if array.size == 0:
        raise UnusableAnswerError(f"{name} is empty")
    return array


def _type(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"an array of dtype {value.dtype}"
    article = "an" if type(value).__name__[0] in "aeio" else "a"
    return f"{article} {type(value).__name__}"


def expected(task: Task, arguments: Probe) -> tuple[Between, ...] | None:
    """What the oracle accepts for each output, as float64 arrays; None for a task without oracle."""
    if task.oracle is None:
        return None
    answer = task.oracle(*arguments)
    parts = (answer,) if len(task.returns) == 1 else answer
    pairs = (part if isinstance(part, Between) else Between(part, part) for part in parts)
    return tuple(Between(np.asarray(low, np.float64), np.asarray(high, np.float64)) for low, high in pairs)


def shape_problem(answer: NDArray[Any], accepted: Between, output: Output) -> str | None:
    """A sentence when the shape is not the expected one."""
    wanted = accepted.low.shape
    same = _long(answer.shape) == _long(wanted) if output.loose_shape else answer.shape == wanted
    if same:
        return None
    return f"{output.name} has shape {answer.shape}: expected is {wanted or '() (a single number)'}"


def right(answer: NDArray[Any], accepted: Between, output: Output) -> NDArray[np.bool_]:
    """Element by element: is this an answer that the oracle accepts? The shapes agree."""
    low, high = accepted
    values = answer.astype(np.float64).reshape(low.shape)
    if output.integer:
        whole = np.rint(values)
        return np.asarray(np.isclose(values, whole, rtol=1e-6, atol=1e-6) & (whole >= low) & (whole <= high))
    least, most = low - output.rtol * np.abs(low), high + output.rtol * np.abs(high)
    return np.asarray((values >= least) & (values <= most) & np.isfinite(values))


def coincide(mine: NDArray[Any], other: NDArray[Any], accepted: Between | None, output: Output) -> bool:
    """Whether two answers are the same within the tolerance; elements that are both right count as the same.

    Without an oracle the shape is free, so that only the elements and their order count.
    """
    if accepted is None and mine.size == other.size:
        mine, other = mine.ravel(), other.ravel()
    if _long(mine.shape) != _long(other.shape):
        return False
    other = other.reshape(mine.shape)
    same = np.isclose(mine.astype(np.float64), other.astype(np.float64), output.rtol, 0, equal_nan=True)
    if accepted is not None and _long(mine.shape) == _long(accepted.low.shape):
        both = right(mine, accepted, output) & right(other, accepted, output)
        same = same | both.reshape(mine.shape)
    return bool(np.all(same))


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without its axes of length 1."""
    return tuple(size for size in shape if size != 1)
