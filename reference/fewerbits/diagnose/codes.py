"""Wrong codes: which known mistake gives them, in the whole tensor or in some channels, and if none does, where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fewerbits.diagnose.case import Array, Case
from fewerbits.diagnose.coarse import coarse_arithmetic
from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.lines import LEAST_VALUES, line_of, permuted
from fewerbits.diagnose.rules import RULES, codes_of_int8_in_uint8, wrap_in_the_container
from fewerbits.diagnose.words import finding

# Rounding at random errs as often as the fractions say; within so many standard deviations it is named.
DEVIATIONS, LEAST_AT_RANDOM = 4, 8
# One or two codes that are one off have many explanations: a scale a little different, arithmetic in float16.
LEAST_WRONG = 3
SHOWN = 8  # places that evidence lists


def wrong_codes(case: Case) -> list[Finding]:
    """The mistake that gives all codes where the right rule does not; else that they are unexplained, and where.

    Where only some channels have wrong codes, a mistake that gives all codes of these channels is named.
    """
    wrong = ~case.correct
    count = int(wrong.sum())
    if not count:
        return []
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    expected = int(case.predicted(case.x)[first])
    share = f"{count} of {wrong.size} codes are wrong"
    example = f"the first is code {case.codes[first]} of value {case.x[first]:.6g}, which should be {expected}"
    if case.codes.size > 1 and (case.codes == case.codes.flat[0]).all() and np.unique(case.x).size > 1:
        return [_one_code(case)]
    if found := _explained(case):
        name, how = found
        return [finding(name, "codes", f"{share} ({example}); {how} gives all {wrong.size}")]
    return [
        _by_channel(case, wrong, share) or finding("codes_unexplained", "codes", _unexplained(case, wrong, example))
    ]


def _one_code(case: Case) -> Finding:
    giving = list(dict.fromkeys(name.replace("_", " ") for name, rule in RULES if case.explained_by(rule)))
    text = f"all {case.codes.size} codes are {case.codes.flat[0]}, so they cannot tell one mistake from another"
    return finding("one_code_for_all_values", "codes", f"{text}; possible: {', '.join(giving)}" if giving else text)


def _explained(case: Case) -> tuple[str, str] | None:
    """Name of the mistake that gives every code of the case, and how."""
    for name, rule in RULES:
        if case.explained_by(rule):
            how = "reading them as the signed codes that they are" if rule is codes_of_int8_in_uint8 else "this mistake"
            if rule is codes_of_int8_in_uint8 and case.explained_by(wrap_in_the_container):
                how = "reading them as signed (or codes that wrapped where they should be clamped, the same integers)"
            return name, how
    if np.count_nonzero(~case.correct) < LEAST_WRONG:
        return None
    if kind := coarse_arithmetic(case):
        return "computed_in_a_coarse_float_type", f"arithmetic in {kind}"
    if line := line_of(case):
        if line.times < 0:
            return "codes_negated", f"a scale {line.times:.4g} times the one given"
        if line.offset and line.low <= 1 <= line.high:
            given, own = np.unique(case.zero_point), np.unique(case.zero_point + line.offset)
            text = f"zero point {_few(own)} in place of {_few(given)}"
            if not given.any():
                return "zero_point_forgotten", f"{text} (was zero_point= forgotten in the call?)"
            return "zero_point_of_another_range", text
        zero = f" and a zero point {line.offset:+d} from it" if line.offset else ""
        return "codes_of_another_scale", f"a scale {line.times:.4g} times the one given{zero}"
    if _is_random(case):
        return "rounded_at_random", "rounding up or down at random"
    return None


def _is_random(case: Case) -> bool:
    """Whether every code is a neighbour of the exact quotient, and the farther one as often as chance has it."""
    below = np.clip(np.floor(case.steps - case.slack / case.scale) + case.zero_point, *case.ends)
    above = np.clip(np.ceil(case.steps + case.slack / case.scale) + case.zero_point, *case.ends)
    if not ((below <= case.codes) & (case.codes <= above)).all():
        return False
    qmin, qmax = case.ends
    exact = case.steps + case.zero_point
    inside = (exact > qmin) & (exact < qmax)
    chance = np.abs(case.steps - np.rint(case.steps))[inside]
    wrong = np.count_nonzero(~case.correct[inside])
    spread = np.sqrt((chance * (1 - chance)).sum())
    return bool(wrong >= LEAST_AT_RANDOM and abs(wrong - chance.sum()) <= DEVIATIONS * spread)


def _place(case: Case, wrong: Array) -> tuple[int, Array] | None:
    """An axis, and the indices along it that hold all wrong codes while as many or more hold none."""
    axes = sorted(range(wrong.ndim), key=lambda axis: axis != case.axis)
    places = []
    for axis in axes if wrong.ndim > 1 else ():
        hit = np.flatnonzero(wrong.any(axis=tuple(other for other in range(wrong.ndim) if other != axis)))
        if 2 * hit.size <= wrong.shape[axis]:
            places.append((axis, hit))
    # The axis asked for comes first, then the one that narrows the place down most.
    return min(places, key=lambda place: (place[0] != case.axis, place[1].size / wrong.shape[place[0]]), default=None)


def _channel(case: Case, axis: int, index: int) -> Case:
    """The part of a case at one index of an axis."""

    def part(array: Array) -> Array:
        return array.take([index], axis) if array.shape[axis] > 1 else array

    parts = {name: part(getattr(case, name)) for name in ("x", "codes", "scale", "zero_point")}
    return replace(case, **parts, dequantized=None)  # type: ignore[arg-type]


def _says_nothing(channel: Case) -> bool:
    """Whether all values of a channel have one code, which then follows from many mistakes and convicts none."""
    return bool((channel.codes == channel.codes.flat[0]).all() and np.unique(channel.x).size > 1)


def _few(numbers: Array) -> str:
    """One number, or the ends of several."""
    return f"{numbers.min():.0f}" if numbers.min() == numbers.max() else f"{numbers.min():.0f} to {numbers.max():.0f}"


def _by_channel(case: Case, wrong: Array, share: str) -> Finding | None:
    """The mistake of those channels that have wrong codes, when each of them is explained and by the same one."""
    place = _place(case, wrong)
    if place is None and case.axis is not None and case.x.ndim > 1:
        others = tuple(other for other in range(wrong.ndim) if other != case.axis)
        place = case.axis, np.flatnonzero(wrong.any(axis=others))
    if place is None or case.x.size // case.x.shape[place[0]] < LEAST_VALUES:
        return None
    axis, indices = place
    channels = [_channel(case, axis, int(index)) for index in indices]
    where = _listed(axis, indices, case.x.shape[axis])
    if all(_says_nothing(channel) for channel in channels):
        codes = np.unique([channel.codes.flat[0] for channel in channels])
        text = f"{share}, {where}; there all codes are {_few(codes)}, whatever the value"
        of_zero = all((channel.codes == channel.zero_point).all() for channel in channels)
        return finding("dead_channels" if of_zero else "one_code_for_all_values", "codes", text)
    lines = [line for channel in channels if (line := line_of(channel))]
    if len(lines) == len(channels):
        per_channel = case.scale.shape[axis] > 1
        if per_channel and permuted(lines, np.array([channel.scale.item() for channel in channels if per_channel])):
            text = f"{share}, {where}; the scales of the same channels in another order give all of them"
            return finding("scales_of_other_channels", "scale", text)
    found = _explained(channels[0])
    if found is None or any((other := _explained(channel)) is None or other[0] != found[0] for channel in channels[1:]):
        return None
    text = found[1]
    if found[0] == "codes_of_another_scale" and len(lines) == len(channels) > 1:
        times = sorted(line.times for line in lines)
        text = f"a scale {times[0]:.4g} to {times[-1]:.4g} times the one given, in each of them another,"
    return finding(found[0], "codes", f"{share}, {where}; there {text} gives all codes")


def _listed(axis: int, indices: Sequence[int] | Array, length: int) -> str:
    """Where along an axis, in words."""
    if len(indices) == length:
        return f"at every index of axis {axis}"
    shown = ", ".join(str(index) for index in indices[:SHOWN]) + (" …" if len(indices) > SHOWN else "")
    return f"all at {'index' if len(indices) == 1 else 'indices'} {shown} of axis {axis}, which has {length}"


def _unexplained(case: Case, wrong: Array, example: str) -> str:
    """How many codes are wrong in which place, and by how much."""
    text = f"{np.count_nonzero(wrong)} of {wrong.size} codes are wrong"
    if place := _place(case, wrong):
        text += f", {_listed(*place, wrong.shape[place[0]])}"
    elif wrong.ndim == 1 and np.count_nonzero(wrong) <= SHOWN:
        text += f", at {', '.join(map(str, np.flatnonzero(wrong)))}"
    off = np.abs(case.codes - case.predicted(case.x))[wrong]
    by = f"off by {off.min():.0f}" if off.min() == off.max() else f"off by {off.min():.0f} to {off.max():.0f}"
    if np.count_nonzero(wrong) < LEAST_WRONG and (kind := coarse_arithmetic(case)):
        by += f" (arithmetic in {kind} would give them too, but so few tell little)"
    return f"{text}, {by}; {example}"
