"""Mistakes when one of several candidates is chosen: by a front, or by an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import mistake

Array = NDArray[Any]


def _front(sizes: Array, accuracies: Array, beats: Any) -> Array:
    pairs = list(zip(np.asarray(sizes).tolist(), np.asarray(accuracies).tolist()))
    return np.flatnonzero([not any(beats(other, own) for other in pairs) for own in pairs])


@mistake(
    "on_front",
    symptom="Candidates stay that another one of the same size, or of the same accuracy, beats.",
    cause="Only a candidate that is better in both counts as better.",
    repair="Better in one and as good in the other is enough.",
    source="common: strict comparisons for both",
)
def ties_left_on_the_front(sizes: Array, accuracies: Array) -> Array:
    return _front(sizes, accuracies, lambda a, b: a[0] < b[0] and a[1] > b[1])


@mistake(
    "on_front",
    symptom="Of two candidates that are equal in both, none is left.",
    cause="A candidate that is as small and as good counts as better, so that equal ones beat each other.",
    repair="At least one of the two comparisons has to be strict.",
    source="common",
)
def beaten_by_an_equal(sizes: Array, accuracies: Array) -> Array:
    points = list(zip(np.asarray(sizes).tolist(), np.asarray(accuracies).tolist()))
    beaten = [
        any(i != j and a <= size and b >= share for j, (a, b) in enumerate(points))
        for i, (size, share) in enumerate(points)
    ]
    return np.flatnonzero(np.logical_not(beaten))


@mistake(
    "on_front",
    symptom="The largest models remain, the small ones go.",
    cause="More bytes count as better.",
    repair="Small is good for bytes, large is good for accuracy.",
    source="common where a library maximizes both",
)
def larger_taken_for_better(sizes: Array, accuracies: Array) -> Array:
    return _front(sizes, accuracies, lambda a, b: a[0] >= b[0] and a[1] >= b[1] and a != b)


@mistake(
    "on_front",
    symptom="A candidate stays that a much smaller one beats.",
    cause="Each one was compared with its neighbour in size only.",
    repair="Compare with the best of all that are no larger.",
    source="common: one pass over sorted candidates without a running maximum",
)
def compared_with_the_neighbour_only(sizes: Array, accuracies: Array) -> Array:
    order = np.lexsort((-np.asarray(accuracies), sizes))
    ordered = np.asarray(accuracies)[order]
    mask = np.ones(len(order), bool)
    mask[order[1:]] = ordered[1:] > ordered[:-1]
    return np.flatnonzero(mask)


def _losses(right: Array, float_right: Array) -> Array:
    return np.asarray(float_right, float) - np.asarray(right, float)


def _smallest(sizes: Array, passes: Array) -> int:
    fitting = np.flatnonzero(passes)
    return int(fitting[np.argmin(np.asarray(sizes)[fitting])]) if len(fitting) else -1


def _half_width(losses: Array) -> Array:
    return 1.96 * losses.std(axis=1) / np.sqrt(losses.shape[1])


@mistake(
    "smallest_within",
    symptom="On other images the chosen model loses more than allowed.",
    cause="Only the loss on these images was looked at, not how far it may be off.",
    repair="Compare the upper end of the interval with what is allowed.",
    source="most tables of quantized accuracies",
)
def interval_left_out(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    return _smallest(sizes, _losses(right, float_right).mean(axis=1) <= allowed)


@mistake(
    "smallest_within",
    symptom="No candidate is good enough, although some give nearly the same answers as the float network.",
    cause="Two independent intervals were added, as if the models had seen different images.",
    repair="Take the difference image by image, and the interval of that.",
    source="common: two error bars that overlap",
)
def images_not_paired(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    right, float_right = np.asarray(right, float), np.asarray(float_right, float)
    variance = right.var(axis=1) + float_right.var()
    upper = float_right.mean() - right.mean(axis=1) + 1.96 * np.sqrt(variance / len(float_right))
    return _smallest(sizes, upper <= allowed)


@mistake(
    "smallest_within",
    symptom="Almost everything passes, most of all what was tested on few images.",
    cause="The lower end of the interval was compared: the best case.",
    repair="The promise has to hold in the worst case, the upper end.",
    source="common",
)
def best_case_compared(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    losses = _losses(right, float_right)
    return _smallest(sizes, losses.mean(axis=1) - _half_width(losses) <= allowed)


@mistake(
    "smallest_within",
    symptom="The largest model wins whenever it is the best by a hair.",
    cause="The most accurate candidate was chosen, not the smallest that is good enough.",
    repair="Among all that pass, take the one with the fewest bytes.",
    source="common",
)
def most_accurate_taken(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    losses = _losses(right, float_right)
    passes = losses.mean(axis=1) + _half_width(losses) <= allowed
    return int(np.argmin(np.where(passes, losses.mean(axis=1), np.inf))) if passes.any() else -1


@mistake(
    "smallest_within",
    symptom="Hardly anything passes, and more images do not help.",
    cause="The spread of single images was taken for that of their mean.",
    repair="The mean of N images spreads √N times less than one image.",
    source="common: standard deviation for standard error",
)
def spread_of_single_images(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    losses = _losses(right, float_right)
    return _smallest(sizes, losses.mean(axis=1) + 1.96 * losses.std(axis=1) <= allowed)


@mistake(
    "on_front",
    symptom="One candidate is left, or few: those with the most accuracy per byte.",
    cause="Candidates were ranked by a ratio, which decides between bytes and accuracy for everybody.",
    repair="Keep each candidate that no other beats; which of them to take depends on the budget.",
    source="common in leaderboards",
)
def ranked_by_accuracy_per_byte(sizes: Array, accuracies: Array) -> Array:
    ratio = np.asarray(accuracies) / np.asarray(sizes)
    return np.flatnonzero(ratio == ratio.max())


@mistake(
    "on_front",
    symptom="No candidate is left at all.",
    cause="Each candidate was compared with itself too, and is as small and as good as itself: it beats itself.",
    repair="At least one of the two comparisons has to be strict.",
    source="common with ≤ and ≥ in both places",
)
def beaten_by_itself(sizes: Array, accuracies: Array) -> Array:
    return _front(sizes, accuracies, lambda a, b: a[0] <= b[0] and a[1] >= b[1])


@mistake(
    "on_front",
    symptom="Good candidates go, and some that are beaten stay.",
    cause="Those that beat no other one were kept, in the place of those that no other one beats: the wrong axis.",
    repair="Ask for each candidate whether any other beats it: with rows that beat columns, go along the rows' axis.",
    source="common: axis 0 and axis 1 of a table of pairs",
)
def those_that_beat_no_other_kept(sizes: Array, accuracies: Array) -> Array:
    pairs = list(zip(np.asarray(sizes).tolist(), np.asarray(accuracies).tolist()))
    beats_any = [any(a[0] <= b[0] and a[1] >= b[1] and a != b for b in pairs) for a in pairs]
    return np.flatnonzero(np.logical_not(beats_any))


def _passes(right: Array, float_right: Array, allowed: float) -> Array:
    losses = _losses(right, float_right)
    return losses.mean(axis=1) + _half_width(losses) <= allowed


@mistake(
    "smallest_within",
    symptom="Right while every candidate passes; else the index of another, mostly of a smaller one.",
    cause="The index counts only the candidates that pass, not all of them.",
    repair="Look the position up in the indices of those that pass.",
    source="common: argmin of a masked array",
)
def index_among_those_that_pass(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    fitting = np.flatnonzero(_passes(right, float_right, allowed))
    return int(np.argmin(np.asarray(sizes)[fitting])) if len(fitting) else -1


@mistake(
    "smallest_within",
    symptom="Right for candidates in order of size, wrong in any other order.",
    cause="The first candidate that passes was taken, as if they were sorted.",
    repair="Compare the bytes of all that pass.",
    source="common: argmax of truth values",
)
def first_that_passes(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    fitting = np.flatnonzero(_passes(right, float_right, allowed))
    return int(fitting[0]) if len(fitting) else -1


@mistake(
    "smallest_within",
    symptom="The worst candidates pass, with room to spare.",
    cause="The sign is turned: a loss counts as a gain.",
    repair="Loss is what the float network gets right and the other does not: float minus own.",
    source="common",
)
def loss_with_the_sign_turned(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    losses = -_losses(right, float_right)
    return _smallest(sizes, losses.mean(axis=1) + _half_width(losses) <= allowed)


@mistake(
    "smallest_within",
    symptom="A candidate that repairs as many images as it breaks is refused.",
    cause="Images that only the quantized network gets right count 0 in the place of −1.",
    repair="Subtract the truth values as numbers: a repaired image makes up for a broken one.",
    source="common: & and ~ for a difference",
)
def repaired_images_left_out(sizes: Array, right: Array, float_right: Array, allowed: float) -> int:
    losses = np.maximum(_losses(right, float_right), 0)
    return _smallest(sizes, losses.mean(axis=1) + _half_width(losses) <= allowed)
