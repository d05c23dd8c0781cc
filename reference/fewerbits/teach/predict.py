"""Guess first, then look: `my_guess = ...` in a cell, `reveal(my_guess, answer)` in the next.

A guess never blocks, and a missing one spoils nothing: left as `...` it brings a word on how to guess, None brings
the answer without a guess, and so does a guess of a kind that cannot be compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def reveal(guess: Any, answer: float | str | bool, unit: str = "", digits: int = 1) -> None:
    """Print the answer and how far off the guess was.

    `answer` is a number (printed with `digits` decimals and `unit`), a word or a truth value. For a guess left as
    `...` the answer stays hidden; for None it comes alone. No guess is an error.
    """
    print(comparison(guess, answer, unit, digits))


def comparison(guess: Any, answer: float | str | bool, unit: str = "", digits: int = 1) -> str:
    """The line that `reveal` prints."""
    if guess is Ellipsis:
        return (
            f"No guess yet: write {_wanted(answer, unit)} in place of ... above and run both cells again. "
            "(None shows the answer without a guess.)"
        )
    if guess is None:
        return f"Answer: {_text(answer, unit, digits)}."
    if isinstance(answer, (str, bool, np.bool_)):
        right = _plain(guess) == _plain(answer)
        return f"Answer: {_text(answer, unit, digits)}.  Your guess, {guess}, is {'right' if right else 'not it'}."
    number = _number(guess)
    if number is None:
        return f"Answer: {_text(answer, unit, digits)}.  Your guess, {guess!r}, is not a number to compare with it."
    difference = number - float(answer)
    if round(difference, digits) == 0:
        verdict = "right"
    else:
        # The difference of two percentages is no percentage of either, nor that of two ratios a ratio.
        unit_of_difference = {"%": "percentage points", "times": ""}.get(unit, unit)
        verdict = f"too {'high' if difference > 0 else 'low'} by {_text(abs(difference), unit_of_difference, digits)}"
    if unit == "%" and 0 < abs(number) < 1 <= abs(float(answer)):
        verdict += ". (Percent are asked: a half is 50.)"
    else:
        verdict += "."
    return f"Answer: {_text(answer, unit, digits)}.  Your guess, {_echo(number, unit, digits)}, is {verdict}"


def _wanted(answer: float | str | bool, unit: str) -> str:
    """What kind of guess is asked for; it depends on the kind of the answer, not on its value."""
    if _plain(answer) in ("yes", "no"):
        return '"yes" or "no", with the quotes,'
    if isinstance(answer, str):
        return "a word in quotes"
    return f"a number ({unit})" if unit else "a number"


def _echo(number: float, unit: str, digits: int) -> str:
    """A guess with the digits of the answer, or with more where these would show another number."""
    text = _text(number, unit, digits)
    return text if round(number, digits) == number else f"{number:,.6g} {unit}".strip()


def _number(guess: Any) -> float | None:
    """A guess as a finite float, whatever kind of number (or text of one) it is; None when it is none."""
    if isinstance(guess, (bool, np.bool_)):
        return None
    try:
        number = float(guess.strip(" %") if isinstance(guess, str) else guess)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _plain(value: Any) -> str:
    """Words compare without regard to case and outer spaces; True and "yes" are the same answer."""
    word = str(value).strip().lower()
    return {"true": "yes", "y": "yes", "false": "no", "n": "no"}.get(word, word)


def _text(value: float | str | bool, unit: str, digits: int) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    text = f"{float(value):,.{digits}f}"
    return f"{text} {unit}".strip()
