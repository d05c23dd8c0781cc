"""Mistakes when bits are divided among layers under a budget."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.teach.mistakes.record import also, mistake

Array = NDArray[Any]


def climb(losses: Array, sizes: Array, budget: float, *, value: str = "per byte", stop: str = "none fits") -> Array:
    """Columns of a greedy allocation; `value` ranks the steps, `stop` says when it ends."""
    columns = np.zeros(len(losses), int)
    while True:
        rows = [row for row in range(len(losses)) if columns[row] + 1 < losses.shape[1]]
        extra = {row: sizes[row, columns[row] + 1] - sizes[row, columns[row]] for row in rows}
        saved = {row: losses[row, columns[row]] - losses[row, columns[row] + 1] for row in rows}
        used = sizes[range(len(losses)), columns].sum()
        if stop == "none fits":
            rows = [row for row in rows if used + extra[row] <= budget]
        if not rows or (stop == "budget reached" and used >= budget):
            return columns
        divided = extra if value == "per byte" else dict.fromkeys(rows, 1)
        worth = {row: (losses[row, columns[row]] if value == "loss" else saved[row]) / divided[row] for row in rows}
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
def saving_not_divided_by_bytes(losses: Array, sizes: Array, budget: float) -> Array:
    return climb(losses, sizes, budget, value="saving")


@mistake(
    "greedy_bits",
    symptom="A layer that loses much keeps getting bits that hardly help it.",
    cause="Steps are ranked by the loss that is there, not by the loss that they remove.",
    repair="Rank a step by the difference of the losses before and after it.",
    source="common: sensitivity taken for gain",
)
def loss_taken_for_gain(losses: Array, sizes: Array, budget: float) -> Array:
    return climb(losses, sizes, budget, value="loss")


@mistake(
    "greedy_bits",
    symptom="Many bytes of the budget are left although small layers could still use them.",
    cause="The search ends at the first step that does not fit.",
    repair="Leave out the steps that do not fit, and go on until none fits.",
    source="common",
)
def stopped_at_the_first_misfit(losses: Array, sizes: Array, budget: float) -> Array:
    return climb(losses, sizes, budget, stop="first misfit")


@mistake(
    "greedy_bits",
    symptom="The file is a little larger than the budget.",
    cause="The budget is tested before a step, not with it: the last step goes beyond it.",
    repair="Take a step only if the bytes after it are within the budget.",
    source="common: `while used < budget`",
)
def last_step_beyond_the_budget(losses: Array, sizes: Array, budget: float) -> Array:
    return climb(losses, sizes, budget, stop="budget reached")


@mistake(
    "best_bits",
    symptom="Right on most budgets, and on some far from the best.",
    cause="Steps that look best one by one were taken for the best together.",
    repair="Keep every state that no other beats in both bytes and loss, layer after layer.",
    source="many published allocations by sensitivity",
)
def greedy_taken_for_exact(losses: Array, sizes: Array, budget: float) -> Array:
    return climb(losses, sizes, budget)


@also(greedy_taken_for_exact, "best_bits")
def greedy_to_any_column(losses: Array, sizes: Array, budget: float) -> Array:
    columns = np.zeros(len(losses), int)
    while True:
        used = sizes[range(len(losses)), columns].sum()
        steps = [
            (
                (losses[row, columns[row]] - losses[row, column]) / (sizes[row, column] - sizes[row, columns[row]]),
                row,
                column,
            )
            for row, column in np.ndindex(losses.shape)
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
def budget_not_looked_at(losses: Array, sizes: Array, budget: float) -> Array:
    return np.argmin(losses, axis=1)


@mistake(
    "best_bits",
    symptom="Uniform bits are never beaten: what one layer does not need, no other one gets.",
    cause="The budget is divided first, in equal parts or by size, and each layer spends its own part.",
    repair="Only the sum of the bytes is bounded: decide for all layers together.",
    source="common",
)
def budget_divided_beforehand(losses: Array, sizes: Array, budget: float) -> Array:
    share = budget / len(losses)
    fits = [np.flatnonzero(row <= share) for row in sizes]
    return np.array([own[np.argmin(cost[own])] if len(own) else 0 for own, cost in zip(fits, losses)])


@also(budget_divided_beforehand, "best_bits")
def budget_divided_by_size(losses: Array, sizes: Array, budget: float) -> Array:
    shares = budget * sizes[:, -1] / sizes[:, -1].sum()
    fits = [np.flatnonzero(row <= share) for row, share in zip(sizes, shares)]
    return np.array([own[np.argmin(cost[own])] if len(own) else 0 for own, cost in zip(fits, losses)])


@mistake(
    "best_bits",
    symptom="The first layers are rich, the last ones get what is left.",
    cause="After each layer only the state with the smallest loss was kept, and the others given up too early.",
    repair="A state with more loss and fewer bytes may win later: keep it.",
    source="common in first dynamic programs",
)
def only_the_best_state_kept(losses: Array, sizes: Array, budget: float) -> Array:
    columns: list[int] = []
    for row in range(len(losses)):
        used = sum(sizes[i, column] for i, column in enumerate(columns))
        rest = sizes[row + 1 :].min(axis=1).sum() if row + 1 < len(losses) else 0
        fits = [column for column in range(losses.shape[1]) if used + sizes[row, column] + rest <= budget]
        columns.append(min(fits or [0], key=lambda column: losses[row, column]))
    return np.array(columns)


@mistake(
    "best_bits",
    symptom="Right on small inputs, a little off on larger ones; another order of the choices changes the answer.",
    cause="States were compared with the one kept before them although they do not come by growing bytes.",
    repair="Sort the new states by bytes, then go through them.",
    source="common in dynamic programs over lists of states",
)
def states_not_sorted(losses: Array, sizes: Array, budget: float) -> Array:
    states: list[tuple[float, float, tuple[int, ...]]] = [(0, 0.0, ())]
    for row in range(len(losses)):
        longer = [
            (used + sizes[row, column], loss + losses[row, column], (*columns, column))
            for used, loss, columns in states
            for column in range(losses.shape[1])
        ]
        states = []
        for state in longer:
            if state[0] <= budget and (not states or state[1] < states[-1][1]):
                states.append(state)
    return np.array(states[-1][2])


@mistake(
    "best_bits",
    symptom="The allocation fits and is the smallest, with the largest loss.",
    cause="Bytes were minimized, and the loss forgotten.",
    repair="The budget bounds the bytes; what is minimized is the loss.",
    source="common",
)
def bytes_minimized(losses: Array, sizes: Array, budget: float) -> Array:
    return np.argmin(sizes, axis=1)
