"""Mistakes when bits are divided among layers, and when a candidate is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

Array = NDArray[Any]


def climb(costs: Array, sizes: Array, budget: float, *, value: str = "per byte", stop: str = "none fits") -> Array:
    """Columns of a greedy allocation; `value` ranks the steps, `stop` says when it ends."""
    columns = np.zeros(len(costs), int)
    while True:
        rows = [row for row in range(len(costs)) if columns[row] + 1 < costs.shape[1]]
        extra = {row: sizes[row, columns[row] + 1] - sizes[row, columns[row]] for row in rows}
        saved = {row: costs[row, columns[row]] - costs[row, columns[row] + 1] for row in rows}
        used = sizes[range(len(costs)), columns].sum()
        if stop == "none fits":
            rows = [row for row in rows if used + extra[row] <= budget]
        if not rows or (stop == "budget reached" and used >= budget):
            return columns
        divided = extra if value == "per byte" else dict.fromkeys(rows, 1)
        worth = {row: (costs[row, columns[row]] if value == "loss" else saved[row]) / divided[row] for row in rows}
        best = max(rows, key=worth.__getitem__)
        if stop == "first misfit" and used + extra[best] > budget:
            return columns
        columns[best] += 1


@mistake(
    "greedy_bits",
    symptom="Large layers get all the bytes, small sensitive ones starve.",
    cause="Steps are ranked by what they save, whatever they cost.",
    repair="Divide what a step saves by the bytes that it takes.",
    source="common in first allocations",
)
def saving_not_divided_by_bytes(costs: Array, sizes: Array, budget: float) -> Array:
    return climb(costs, sizes, budget, value="saving")


@mistake(
    "greedy_bits",
    symptom="A layer that loses much keeps getting bits that hardly help it.",
    cause="Steps are ranked by the loss that is there, not by the loss that they remove.",
    repair="Rank a step by the difference of the losses before and after it.",
    source="common: sensitivity taken for gain",
)
def loss_taken_for_gain(costs: Array, sizes: Array, budget: float) -> Array:
    return climb(costs, sizes, budget, value="loss")


@mistake(
    "greedy_bits",
    symptom="Many bytes of the budget are left although small layers could still use them.",
    cause="The search ends at the first step that does not fit.",
    repair="Leave out the steps that do not fit, and go on until none fits.",
    source="common",
)
def stopped_at_the_first_misfit(costs: Array, sizes: Array, budget: float) -> Array:
    return climb(costs, sizes, budget, stop="first misfit")


@mistake(
    "greedy_bits",
    symptom="The file is a little larger than the budget.",
    cause="The budget is tested before a step, not with it: the last step goes beyond it.",
    repair="Take a step only if the bytes after it are within the budget.",
    source="common: `while used < budget`",
)
def last_step_beyond_the_budget(costs: Array, sizes: Array, budget: float) -> Array:
    return climb(costs, sizes, budget, stop="budget reached")


@mistake(
    "best_bits",
    symptom="Right on most budgets, and on some far from the best.",
    cause="Steps that look best one by one were taken for the best together.",
    repair="Keep every state that no other beats in both bytes and loss, layer after layer.",
    source="many published allocations by sensitivity",
)
def greedy_taken_for_exact(costs: Array, sizes: Array, budget: float) -> Array:
    return climb(costs, sizes, budget)


@also(greedy_taken_for_exact, "best_bits")
def greedy_to_any_column(costs: Array, sizes: Array, budget: float) -> Array:
    columns = np.zeros(len(costs), int)
    while True:
        used = sizes[range(len(costs)), columns].sum()
        steps = [
            (
                (costs[row, columns[row]] - costs[row, column]) / (sizes[row, column] - sizes[row, columns[row]]),
                row,
                column,
            )
            for row, column in np.ndindex(costs.shape)
            if column > columns[row] and used + sizes[row, column] - sizes[row, columns[row]] <= budget
        ]
        steps = [step for step in steps if step[0] > 0]
        if not steps:
            return columns
        _, row, column = max(steps)
        columns[row] = column


@mistake(
    "best_bits",
    symptom="Every layer gets the most bits, whatever the budget.",
    cause="The budget is not looked at.",
    repair="Drop every state whose bytes exceed the budget.",
    source="common",
)
def budget_not_looked_at(costs: Array, sizes: Array, budget: float) -> Array:
    return np.argmin(costs, axis=1)


@mistake(
    "best_bits",
    symptom="Uniform bits are never beaten: what one layer does not need, no other one gets.",
    cause="The budget is divided first, in equal parts or by size, and each layer spends its own part.",
    repair="Only the sum of the bytes is bounded: decide for all layers together.",
    source="common",
)
def budget_divided_beforehand(costs: Array, sizes: Array, budget: float) -> Array:
    share = budget / len(costs)
    fits = [np.flatnonzero(row <= share) for row in sizes]
    return np.array([own[np.argmin(cost[own])] if len(own) else 0 for own, cost in zip(fits, costs)])


@also(budget_divided_beforehand, "best_bits")
def budget_divided_by_size(costs: Array, sizes: Array, budget: float) -> Array:
    shares = budget * sizes[:, -1] / sizes[:, -1].sum()
    fits = [np.flatnonzero(row <= share) for row, share in zip(sizes, shares)]
    return np.array([own[np.argmin(cost[own])] if len(own) else 0 for own, cost in zip(fits, costs)])


@mistake(
    "best_bits",
    symptom="The first layers are rich, the last ones get what is left.",
    cause="After each layer only the state with the smallest loss was kept, and the others given up too early.",
    repair="A state with more loss and fewer bytes may win later: keep it.",
    source="common in first dynamic programs",
)
def only_the_best_state_kept(costs: Array, sizes: Array, budget: float) -> Array:
    columns: list[int] = []
    for row in range(len(costs)):
        used = sum(sizes[i, column] for i, column in enumerate(columns))
        rest = sizes[row + 1 :].min(axis=1).sum() if row + 1 < len(costs) else 0
        fits = [column for column in range(costs.shape[1]) if used + sizes[row, column] + rest <= budget]
        columns.append(min(fits or [0], key=lambda column: costs[row, column]))
    return np.array(columns)


@mistake(
    "best_bits",
    symptom="The allocation fits and is the smallest, with the largest loss.",
    cause="Bytes were minimized, and the loss forgotten.",
    repair="The budget bounds the bytes; what is minimized is the loss.",
    source="common",
)
def bytes_minimized(costs: Array, sizes: Array, budget: float) -> Array:
    return np.argmin(sizes, axis=1)


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
