"""Run a learner's function so that nothing it does can stop the notebook.

Each call runs in a daemon thread. When its time is over, an exception is planted in that thread
(PyThreadState_SetAsyncExc), which ends any loop written in Python. The other ways do not serve: signals exist
only on Unix and only in the main thread, a process cannot be given a function that lives in a notebook, and
sys.settrace is ten times slower and in the way of debuggers. A call that hangs inside C code is left behind in
its thread and does no harm.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import ctypes
import io
import linecache
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

import numpy as np

MOST_CHARACTERS_PRINTED = 2000
MOST_SECONDS_IMPORTING = 120
Place = tuple[FrameType, int]


class _TimeIsOver(SystemExit):
    """Planted in the thread of a call that takes too long; a learner's `except Exception` does not catch it."""


class _Printed(io.StringIO):
    """Keeps the beginning of what is printed: a loop may print without end."""

    def write(self, text: str) -> int:
        room = MOST_CHARACTERS_PRINTED - self.tell()
        super().write(text[: max(room, 0)])
        return len(text)


@dataclass(frozen=True)
class Outcome:
    """What one call led to: "answer", "unwritten" (NotImplementedError), "exception" or "timeout".

    `where` is the learner's line, "line 3: `...`"; `caller` names the function that is unwritten;
    `changed` is the position of an argument that was changed in place.
    """

    kind: str
    value: Any = None
    error: BaseException | None = None
    where: str = ""
    unwritten: str = ""
    changed: int | None = None
    printed: str = ""
    warning: str = ""


def run(function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float) -> Outcome:
    """Call `function` with copies of `arguments` and say what happened; raises only KeyboardInterrupt."""
    own = copy.deepcopy(arguments)
    box: dict[str, Any] = {}
    # NumPy's error state is part of the context, so that a learner's np.errstate holds here too.
    context = contextvars.copy_context()

    def call() -> None:
        try:
            box["value"] = context.run(function, *own)
        except BaseException as error:
            box["error"] = error

    thread = threading.Thread(target=call, daemon=True)
    printed = _Printed()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        thread.start()
        where = _wait(thread, seconds, function)
    if where is not None:
        outcome = Outcome("timeout", where=where)
    elif "error" in box:
        outcome = _failed(box["error"], function)
    else:
        changed = next((i for i, pair in enumerate(zip(arguments, own)) if not _same(*pair)), None)
        outcome = Outcome("answer", box["value"], changed=changed)
    return replace(outcome, printed=printed.getvalue(), warning=str(caught[0].message) if caught else "")


def _wait(thread: threading.Thread, seconds: float, function: Callable[..., Any]) -> str | None:
    """Wait for the thread: None when it ended in time, else the line at which it was stopped."""
    deadline = time.monotonic() + seconds
    last = deadline + MOST_SECONDS_IMPORTING
    try:
        while thread.is_alive() and time.monotonic() < deadline:
            # In short pieces, because on Windows a longer wait cannot be interrupted from the keyboard.
            thread.join(0.1)
            # Loading a large library is not the learner's loop, and half a library would ruin the kernel.
            if _imports(thread):
                deadline = min(time.monotonic() + seconds, last)
    except KeyboardInterrupt:
        _stop(thread)
        raise
    if not thread.is_alive():
        return None
    frame = sys._current_frames().get(thread.ident or 0)
    where = _line(_frames(frame), function)
    _stop(thread)
    return where


def _imports(thread: threading.Thread) -> bool:
    """Whether the thread is inside an import statement."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _stop(thread: threading.Thread) -> None:
    """End the thread's Python code; several times, because a bare `except:` in a loop swallows the first."""
    for _ in range(20):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_TimeIsOver))
        thread.join(0.02)
        if not thread.is_alive():
            return


def _failed(error: BaseException, function: Callable[..., Any]) -> Outcome:
    places = []
    traceback = error.__traceback__
    while traceback is not None:
        places.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    where = _line(places, function)
    # Libraries raise NotImplementedError too, and subclasses of it; a stub is the learner's own code.
    if type(error) is NotImplementedError and _is_own(places[-1][0], function):
        return Outcome("unwritten", error=error, where=where, unwritten=places[-1][0].f_code.co_name)
    return Outcome("exception", error=error, where=where)


def _frames(frame: FrameType | None) -> list[Place]:
    places = []
    while frame is not None:
        places.append((frame, frame.f_lineno))
        frame = frame.f_back
    return places[::-1]


def _line(places: list[Place], function: Callable[..., Any]) -> str:
    """The deepest line of the learner's own code: "line 3: `...`", or "line 3 of helper: `...`"."""
    own = [place for place in places if _is_own(place[0], function)]
    if not own:
        return ""
    frame, number = own[-1]
    name = frame.f_code.co_name
    of_helper = "" if name in (getattr(function, "__name__", name), "<lambda>") else f" of {name}"
    text = linecache.getline(frame.f_code.co_filename, number).strip()
    return f"line {number}{of_helper}" + (f": `{text}`" if text else "")


def _is_own(frame: FrameType, function: Callable[..., Any]) -> bool:
    """Whether a frame runs code of the learner's notebook or module: all of it has one namespace."""
    namespace = getattr(function, "__globals__", None) or getattr(type(function).__call__, "__globals__", None)
    return frame.f_globals is namespace


def _same(before: Any, after: Any) -> bool:
    if not isinstance(before, np.ndarray):
        return bool(before == after) if isinstance(before, (int, float, str, list, tuple)) else True
    same_kind = before.shape == after.shape and before.dtype == after.dtype
    return same_kind and np.array_equal(before, after, equal_nan=before.dtype.kind == "f")
