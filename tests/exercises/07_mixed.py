# ruff: noqa: N999  a chapter has the same name everywhere
"""Correct answers in other styles, and slips as learners make them, for the exercises of chapter 07."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from fewerbits.network import allocation
from fewerbits.teach.article import mixed_precision_quantization
from fewerbits.tensor.uniform import Uniform


def layer_of_the_package(weights, activations, weight_bits, activation_bits):
    w = Uniform.fit(weights, weight_bits, narrow_range=True)
    x = Uniform.fit(activations, activation_bits, symmetric=False, signed=False)
    w_hat = w.dequantize(w.quantize(weights)).astype(float)
    return x.dequantize(x.quantize(activations)) @ w_hat.T


def layer_by_torch(weights, activations, weight_bits, activation_bits):
    w, x = torch.from_numpy(weights), torch.from_numpy(activations)
    s_w = w.abs().max() / (2 ** (weight_bits - 1) - 1)
    low, high = torch.clamp(x.min(), max=0), torch.clamp(x.max(), min=0)
    s_x = (high - low) / (2**activation_bits - 1)
    z = torch.round(-low / s_x)
    x_hat = (torch.clamp(torch.round(x / s_x) + z, 0, 2**activation_bits - 1) - z) * s_x
    return torch.nn.functional.linear(x_hat, torch.round(w / s_w) * s_w)


def layer_by_loop(weights, activations, weight_bits, activation_bits):
    s_w = max(abs(float(w)) for w in weights.ravel()) / (2 ** (weight_bits - 1) - 1)
    low, high = min(0.0, *activations.ravel().tolist()), max(0.0, *activations.ravel().tolist())
    s_x = (high - low) / (2**activation_bits - 1)
    z = round(-low / s_x)

    def x_hat(value):
        return s_x * (min(max(round(value / s_x) + z, 0), 2**activation_bits - 1) - z)

    return [
        [sum(x_hat(float(x)) * s_w * round(float(w) / s_w) for x, w in zip(xs, ws)) for ws in weights]
        for xs in activations
    ]


def bytes_by_loop(sizes, channels, bits):
    total = 0
    for size, own, b in zip(sizes, channels, bits):
        total += math.ceil(size * b / 8) + 4 * own
    return total


def bytes_by_whole_numbers(sizes, channels, bits):
    return ((sizes * bits + 7) // 8).sum() + (channels * 4).sum()


def bytes_by_schemes(sizes, channels, bits):
    """As the package counts codes; the scales by hand."""
    schemes = [Uniform.fit([1.0], int(b)) for b in bits]
    return sum(scheme.nbytes((int(n),)) - 4 + 4 * int(c) for scheme, n, c in zip(schemes, sizes, channels))


def network(layers, x):
    for index, w in enumerate(layers):
        x = x @ w.T
        if index < len(layers) - 1:
            x = np.maximum(x, 0)
    return x


def rounded(w, bits):
    scale = np.abs(w).max() / (2 ** (bits - 1) - 1)
    return np.rint(w / scale) * scale


def sensitivities_by_lists(layers, x, bits):
    exact = network(layers, x)
    return [
        ((network([rounded(w, bits) if i == k else w for i, w in enumerate(layers)], x) - exact) ** 2).mean()
        for k in range(len(layers))
    ]


def sensitivities_by_differences(layers, x, bits):
    changes = torch.zeros(len(layers))
    for k in range(len(layers)):
        delta = np.zeros_like(layers)
        delta[k] = rounded(layers[k], bits) - layers[k]
        changes[k] = (
            float(np.linalg.norm(network(layers + delta, x) - network(layers, x)) ** 2) / network(layers, x).size
        )
    return changes


def sensitivities_by_torch(layers, x, bits):
    def outputs(weights):
        values = torch.from_numpy(x)
        for index, w in enumerate(weights):
            values = torch.nn.functional.linear(values, torch.as_tensor(w))
            values = torch.relu(values) if index + 1 < len(weights) else values
        return values

    others = [[*layers[:k], rounded(layers[k], bits), *layers[k + 1 :]] for k in range(len(layers))]
    return torch.stack([torch.nn.functional.mse_loss(outputs(other), outputs(layers)) for other in others])


def greedy_by_heads(costs, sizes, budget):
    columns = [0] * len(costs)
    while True:
        best = None
        for row in range(len(costs)):
            k = columns[row]
            if k == costs.shape[1] - 1:
                continue
            used = sum(sizes[i][c] for i, c in enumerate(columns)) - sizes[row][k] + sizes[row][k + 1]
            if used > budget:
                continue
            ratio = (costs[row][k] - costs[row][k + 1]) / (sizes[row][k + 1] - sizes[row][k])
            if best is None or ratio > best[0]:
                best = (ratio, row)
        if best is None:
            return columns
        columns[best[1]] += 1


def greedy_by_recursion(costs, sizes, budget, columns=None):
    columns = [0] * len(costs) if columns is None else columns
    steps = {}
    for row, k in enumerate(columns):
        moved = [*columns[:row], k + 1, *columns[row + 1 :]]
        if k + 1 < len(costs[row]) and sum(own[c] for own, c in zip(sizes, moved)) <= budget:
            steps[(costs[row][k] - costs[row][k + 1]) / (sizes[row][k + 1] - sizes[row][k])] = moved
    return greedy_by_recursion(costs, sizes, budget, steps[max(steps)]) if steps else columns


def greedy_by_arrays(costs, sizes, budget):
    columns = np.zeros(len(costs), np.int32)
    saved, extra = -np.diff(costs, axis=1), np.diff(sizes, axis=1)
    rows = np.arange(len(costs))
    while True:
        step = np.minimum(columns, costs.shape[1] - 2)
        fits = (columns < costs.shape[1] - 1) & (sizes[rows, columns].sum() + extra[rows, step] <= budget)
        if not fits.any():
            return columns
        columns[np.argmax(np.where(fits, saved[rows, step] / extra[rows, step], -np.inf))] += 1


def _as_tables(costs, sizes):
    return [{row: dict(enumerate(values.tolist())) for row, values in enumerate(table)} for table in (costs, sizes)]


def best_of_the_package(costs, sizes, budget):
    return list(allocation.exact(*_as_tables(costs, sizes), int(budget)).values())


def best_by_integer_program(costs, sizes, budget):
    return list(allocation.by_integer_program(*_as_tables(costs, sizes), int(budget)).values())


def best_by_an_array_over_bytes(costs, sizes, budget):
    """The textbook table: the smallest loss for every number of bytes."""
    loss, choices = np.zeros(budget + 1), []
    for row in range(len(costs)):
        options = np.full((costs.shape[1], budget + 1), np.inf)
        for column, size in enumerate(sizes[row]):
            if size <= budget:
                options[column, size:] = loss[: budget + 1 - size] + costs[row, column]
        choices.append(options.argmin(axis=0))
        loss = options.min(axis=0)
    left, columns = budget, []
    for row in reversed(range(len(costs))):
        column = int(choices[row][left])
        columns.append(column)
        left -= sizes[row, column]
    return columns[::-1]


def front_by_loop(sizes, accuracies):
    kept = []
    for i in range(len(sizes)):
        beaten = False
        for j in range(len(sizes)):
            no_worse = sizes[j] <= sizes[i] and accuracies[j] >= accuracies[i]
            beaten |= bool(no_worse and (sizes[j], accuracies[j]) != (sizes[i], accuracies[i]))
        if not beaten:
            kept.append(i)
    return kept


def front_by_sorting(sizes, accuracies):
    """Groups of equal size, by growing size: the best of a group stays if it is better than all before."""
    kept, best = [], -1.0
    for size in np.unique(sizes):
        top = accuracies[sizes == size].max()
        if top > best:
            kept += np.flatnonzero((sizes == size) & (accuracies == top)).tolist()
            best = top
    return sorted(kept)


def front_of_the_package(sizes, accuracies):
    kept = allocation.pareto_front(sizes, accuracies)
    points = {(sizes[i], accuracies[i]) for i in kept}
    return np.array([i for i, point in enumerate(zip(sizes, accuracies)) if point in points])


def choice_by_loop(sizes, right, float_right, allowed):
    for index in np.argsort(sizes):
        loss = float_right.astype(int) - right[index].astype(int)
        if loss.mean() + 1.96 * loss.std(ddof=1) / math.sqrt(len(loss)) <= allowed:
            return index
    return -1


def choice_by_torch(sizes, right, float_right, allowed):
    losses = torch.from_numpy(float_right).double() - torch.from_numpy(right).double()
    upper = losses.mean(1) + 1.96 * losses.std(1) / losses.shape[1] ** 0.5
    candidates = [(int(size), index) for index, size in enumerate(sizes) if upper[index] <= allowed]
    return min(candidates)[1] if candidates else -1


def choice_by_counting(sizes, right, float_right, allowed):
    n = float_right.size
    lost, won = (float_right & ~right).sum(1), (~float_right & right).sum(1)
    mean = (lost - won) / n
    upper = mean + 1.96 * np.sqrt(((lost + won) / n - mean**2) / n)
    return int(np.argmin(np.where(upper <= allowed, sizes, np.inf))) if (upper <= allowed).any() else -1


ALTERNATIVES = {
    "mixed_layer": [layer_of_the_package, layer_by_torch, layer_by_loop],
    "mixed_bytes": [bytes_by_loop, bytes_by_whole_numbers, bytes_by_schemes],
    "sensitivities": [sensitivities_by_lists, sensitivities_by_differences, sensitivities_by_torch],
    "greedy_bits": [greedy_by_heads, greedy_by_arrays, greedy_by_recursion],
    "best_bits": [best_of_the_package, best_by_integer_program, best_by_an_array_over_bytes],
    "on_front": [front_by_loop, front_by_sorting, front_of_the_package],
    "smallest_within": [choice_by_loop, choice_by_counting, choice_by_torch],
}


def rounded_in_place(layers, x, bits):
    exact, changed, changes = network(layers, x), layers.copy(), []
    for index in range(len(layers)):
        changed[index] = rounded(changed[index], bits)
        changes.append(np.mean((network(changed, x) - exact) ** 2))
    return changes


def noise_only(layers, x, bits):
    return [((rounded(w, bits) - w) ** 2).mean() for w in layers]


def article_as_published(weights, activations, weight_bits, activation_bits):
    q_w, q_x = mixed_precision_quantization(weights, weight_bits, activation_bits)
    return q_x @ q_w.T


def unsigned_without_zero_point(x, bits):
    scale = x.max() / (2**bits - 1)
    return np.round(x / scale) * scale


def codes_multiplied(weights, activations, weight_bits, activation_bits):
    w = Uniform.fit(weights, weight_bits, narrow_range=True)
    x = Uniform.fit(activations, activation_bits, symmetric=False, signed=False)
    return (x.quantize(activations).astype(int) - x.zero_point) @ w.quantize(weights).astype(int).T


def greedy_while_bytes_are_left(costs, sizes, budget):
    columns = np.zeros(len(costs), int)
    rows = np.arange(len(costs))
    while sizes[rows, columns].sum() < budget:
        worth = {
            r: (costs[r, columns[r]] - costs[r, columns[r] + 1]) / (sizes[r, columns[r] + 1] - sizes[r, columns[r]])
            for r in rows
            if columns[r] + 1 < costs.shape[1]
        }
        if not worth:
            break
        columns[max(worth, key=worth.get)] += 1
    return columns


def front_strict(sizes, accuracies):
    smaller, better = sizes[:, None] < sizes, accuracies[:, None] > accuracies
    return np.flatnonzero(~(smaller & better).any(axis=0))


def front_with_equals(sizes, accuracies):
    others = ~np.eye(len(sizes), dtype=bool)
    return np.flatnonzero(~(others & (sizes[:, None] <= sizes) & (accuracies[:, None] >= accuracies)).any(axis=0))


def choice_by_the_mean(sizes, right, float_right, allowed):
    passing = [i for i in range(len(sizes)) if float_right.mean() - right[i].mean() <= allowed + 1e-12]
    return min(passing, key=lambda i: sizes[i], default=-1)


def range_from_the_values_alone(weights, activations, weight_bits, activation_bits):
    low, high = activations.min(), activations.max()
    step = (high - low) / (2**activation_bits - 1)
    z = np.rint(-low / step)
    return ((np.rint(activations / step) + z - z) * step) @ rounded(weights, weight_bits).T


def codes_with_their_zero_point(weights, activations, weight_bits, activation_bits):
    low, high = min(activations.min(), 0), max(activations.max(), 0)
    step = (high - low) / (2**activation_bits - 1)
    codes = np.clip(np.rint(activations / step + np.rint(-low / step)), 0, 2**activation_bits - 1)
    return codes * step @ rounded(weights, weight_bits).T


def each_row_by_itself(weights, activations, weight_bits, activation_bits):
    scales = np.abs(weights).max(axis=1, keepdims=True) / (2 ** (weight_bits - 1) - 1)
    x = Uniform.fit(activations, activation_bits, symmetric=False, signed=False)
    return x.dequantize(x.quantize(activations)) @ (np.rint(weights / scales) * scales).T


def summed_squares(layers, x, bits):
    exact = network(layers, x)
    return [
        ((network([rounded(w, bits) if i == k else w for i, w in enumerate(layers)], x) - exact) ** 2).sum()
        for k in range(len(layers))
    ]


def best_without_sorting(losses, sizes, budget):
    states = [(0, 0.0, [])]
    for row in range(len(losses)):
        longer = [(s + sizes[row, c], e + losses[row, c], [*b, c]) for s, e, b in states for c in range(len(sizes[0]))]
        states = []
        for state in longer:
            if state[0] <= budget and (states == [] or state[1] < states[-1][1]):
                states.append(state)
    return states[-1][2]


def front_beaten_by_itself(sizes, accuracies):
    beats = (sizes[:, None] <= sizes) & (accuracies[:, None] >= accuracies)
    return np.flatnonzero(~beats.any(axis=0))


def front_along_the_other_axis(sizes, accuracies):
    no_worse = (sizes[:, None] <= sizes) & (accuracies[:, None] >= accuracies)
    better = (sizes[:, None] < sizes) | (accuracies[:, None] > accuracies)
    return np.flatnonzero(~(no_worse & better).any(axis=1))


def upper_ends(right, float_right):
    losses = float_right.astype(float) - right
    return losses.mean(1) + 1.96 * losses.std(1) / np.sqrt(losses.shape[1])


def index_in_the_subset(sizes, right, float_right, allowed):
    passing = upper_ends(right, float_right) <= allowed
    return sizes[passing].argmin() if passing.any() else -1


def first_one(sizes, right, float_right, allowed):
    return next((i for i, upper in enumerate(upper_ends(right, float_right)) if upper <= allowed), -1)


def gains_for_losses(sizes, right, float_right, allowed):
    gains = right.astype(float) - float_right
    upper = gains.mean(1) + 1.96 * gains.std(1) / np.sqrt(gains.shape[1])
    return int(np.where(upper <= allowed, sizes, 10**9).argmin()) if (upper <= allowed).any() else -1


def broken_images_only(sizes, right, float_right, allowed):
    losses = float_right & ~right
    upper = losses.mean(1) + 1.96 * losses.std(1) / np.sqrt(losses.shape[1])
    return int(np.where(upper <= allowed, sizes, 10**9).argmin()) if (upper <= allowed).any() else -1


def all_choices(costs, sizes, budget):
    rows = np.arange(len(costs))
    tried = itertools.product(range(costs.shape[1]), repeat=len(costs))
    return min((c for c in tried if sizes[rows, list(c)].sum() <= budget), key=lambda c: costs[rows, list(c)].sum())


SLIPS = {
    "mixed_layer": [
        ("one_tensor_rounded_twice", lambda w, x, a, b: rounded(w, a) @ rounded(w, b).T),
        ("scales_left_out_of_the_product", codes_multiplied),
        ("bits_exchanged", lambda w, x, a, b: layer_of_the_package(w, x, b, a)),
        ("activations_without_zero_point", lambda w, x, a, b: unsigned_without_zero_point(x, b) @ rounded(w, a).T),
        ("one_bit_more_for_the_weights", lambda w, x, a, b: layer_of_the_package(w, x, a + 1, b)),
        ("zero_not_in_the_range", range_from_the_values_alone),
        ("zero_point_left_in_the_codes", codes_with_their_zero_point),
        ("one_scale_per_row", each_row_by_itself),
    ],
    "mixed_bytes": [
        ("metadata_forgotten_in_the_budget", lambda n, c, b: np.ceil(n * b / 8).sum()),
        ("begun_bytes_dropped", lambda n, c, b: sum(n * b // 8 + 4 * c)),
        ("begun_bytes_dropped", lambda n, c, b: sum(n * b / 8 + 4 * c)),
        ("only_weights_times_bits", lambda n, c, b: int((n * b).sum() / 8)),
        ("only_weights_times_bits", lambda n, c, b: np.floor(n * b / 8).sum()),
        ("codes_not_packed", lambda n, c, b: (n + 4 * c).sum()),
    ],
    "sensitivities": [
        ("earlier_layers_left_rounded", rounded_in_place),
        ("error_of_the_weights_for_the_loss", noise_only),
        ("sum_for_the_mean", summed_squares),
    ],
    "greedy_bits": [("last_step_beyond_the_budget", greedy_while_bytes_are_left)],
    "best_bits": [("greedy_taken_for_exact", greedy_by_heads), ("states_not_sorted", best_without_sorting)],
    "on_front": [
        ("ties_left_on_the_front", front_strict),
        ("beaten_by_an_equal", front_with_equals),
        ("beaten_by_itself", front_beaten_by_itself),
        ("those_that_beat_no_other_kept", front_along_the_other_axis),
    ],
    "smallest_within": [
        ("interval_left_out", choice_by_the_mean),
        ("index_among_those_that_pass", index_in_the_subset),
        ("first_that_passes", first_one),
        ("loss_with_the_sign_turned", gains_for_losses),
        ("repaired_images_left_out", broken_images_only),
    ],
}

# Trying all is right and too slow; the article's two codes are wrong in more than one way.
UNNAMED = {"best_bits": [all_choices], "mixed_layer": [article_as_published]}
