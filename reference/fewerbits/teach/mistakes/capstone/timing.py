"""Mistakes in a benchmark, on a simulated machine whose true ratio is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fewerbits.teach.mistakes.record import also, mistake
from fewerbits.teach.simulated_machine import SimulatedMachine

WARM_UP = 10
Benchmark = Callable[[SimulatedMachine, int], float]


def _seconds(machine: SimulatedMachine, run: Callable[[], None]) -> float:
    started = machine.clock()
    run()
    return machine.clock() - started


def _ratio(
    machine: SimulatedMachine,
    pairs: int,
    *,
    warm_up: int = WARM_UP,
    order: str = "alternate",
    statistic: str = "median",
    inverted: bool = False,
) -> float:
    """`order` is "alternate", "other first" (the same, begun with int8), "float32 first", "int8 first" or "blocks"."""
    for _ in range(warm_up):
        machine.float32()
        machine.int8()
    if order == "blocks":
        first = np.array([_seconds(machine, machine.float32) for _ in range(pairs)])
        second = np.array([_seconds(machine, machine.int8) for _ in range(pairs)])
    else:
        begins_with_int8 = {"float32 first": (0, 0), "int8 first": (1, 1), "alternate": (0, 1), "other first": (1, 0)}
        samples = [_pair(machine, int8_first=bool(begins_with_int8[order][index % 2])) for index in range(pairs)]
        first, second = np.array(samples).T
    if inverted:
        first, second = second, first
    return {
        "median": lambda: float(np.median(first / second)),
        "minima": lambda: float(first.min() / second.min()),
        "means": lambda: float(first.mean() / second.mean()),
        "mean of ratios": lambda: float(np.mean(first / second)),
        "medians": lambda: float(np.median(first) / np.median(second)),
    }[statistic]()


def _pair(machine: SimulatedMachine, int8_first: bool) -> tuple[float, float]:
    if int8_first:
        second = _seconds(machine, machine.int8)
        return _seconds(machine, machine.float32), second
    first = _seconds(machine, machine.float32)
    return first, _seconds(machine, machine.int8)


def _faulty(
    name: str, *, warm_up: int = WARM_UP, order: str = "alternate", statistic: str = "median", inverted: bool = False
) -> Benchmark:
    """A benchmark with several faults, under a name of its own."""

    def benchmark(machine: SimulatedMachine, pairs: int) -> float:
        return _ratio(machine, pairs, warm_up=warm_up, order=order, statistic=statistic, inverted=inverted)

    benchmark.__name__ = name
    return benchmark


@mistake(
    "honest_ratio",
    symptom="The int8 form seems slower exactly where it is faster.",
    cause="It says how many times as long int8 takes, not how many times as fast it is.",
    repair="Divide the seconds of float32 by those of int8: above 1 means that int8 is faster.",
    source="common where a table says “speed” and holds seconds",
)
def ratio_the_wrong_way_round(machine: SimulatedMachine, pairs: int) -> float:
    return _ratio(machine, pairs, inverted=True)


@mistake(
    "honest_ratio",
    symptom="The result depends on what else the machine did in the second half of the minute.",
    cause="All float32 calls came before all int8 calls, and the load changed in between.",
    repair="Time in pairs: float32 and int8 within moments, and the ratio within each pair.",
    source="the plain loop over candidates in most benchmarks",
)
def one_after_the_other(machine: SimulatedMachine, pairs: int) -> float:
    return _ratio(machine, pairs, order="blocks")


@mistake(
    "honest_ratio",
    symptom="With few pairs int8 looks slow: its first calls prepare more than those of float32.",
    cause="The first calls, which are slow for another reason, are among those that count.",
    repair="Call each form ten times before the first call that counts.",
    source="onnxruntime issue 20052",
)
def no_warm_up(machine: SimulatedMachine, pairs: int) -> float:
    return _ratio(machine, pairs, warm_up=0)


@mistake(
    "honest_ratio",
    symptom="The ratio changes from run to run, now and then by a half.",
    cause="Two minima are two lucky moments, one for each form, and not of the same luck.",
    repair="Take the median of the ratios of pairs.",
    source="timeit's advice, right for one candidate on a quiet machine",
)
def minima_compared(machine: SimulatedMachine, pairs: int) -> float:
    return _ratio(machine, pairs, statistic="minima")


@mistake(
    "honest_ratio",
    symptom="A few interrupted calls decide the result.",
    cause="A mean was taken, in which one call that takes six times as long weighs as much as six others.",
    repair="Take the median: interrupted calls are at its ends and do not count more than others.",
    source="common",
)
def mean_for_median(machine: SimulatedMachine, pairs: int) -> float:
    return _ratio(machine, pairs, statistic="mean of ratios")


@mistake(
    "honest_ratio",
    symptom="Right on quiet machines; where the load mostly rises, whoever runs second looks slower.",
    cause="Every pair has the same order, so that the one who runs second always meets the later, higher load.",
    repair="Let half of the pairs begin with float32 and half with int8.",
    source="common: a for loop over the candidates inside a loop over repetitions",
)
def always_the_same_order(machine: SimulatedMachine, pairs: int) -> float:
    return _ratio(machine, pairs, order="float32 first")


@mistake(
    "honest_ratio",
    symptom="Right on most days; where other programs start and stop, off by a fifth, by luck up or down.",
    cause="Two medians were divided, one of each form: the two calls in the middle met different loads.",
    repair="Divide within each pair, whose calls met nearly the same load, and take the median of the ratios.",
    source="tables with one median per candidate",
)
def medians_divided(machine: SimulatedMachine, pairs: int) -> float:
    return _ratio(machine, pairs, statistic="medians")


medians_begun_with_int8 = also(medians_divided, "honest_ratio")(
    _faulty("medians_begun_with_int8", order="other first", statistic="medians")
)
int8_always_first = also(always_the_same_order, "honest_ratio")(_faulty("int8_always_first", order="int8 first"))
ratio_of_means = also(mean_for_median, "honest_ratio")(_faulty("ratio_of_means", statistic="means"))

# The benchmark as it is given, and what is left of it after some of its faults are repaired.
as_given = also(no_warm_up, "honest_ratio")(_faulty("as_given", warm_up=0, order="blocks", statistic="minima"))
inverted_as_given = also(ratio_the_wrong_way_round, "honest_ratio")(
    _faulty("inverted_as_given", warm_up=0, order="blocks", statistic="minima", inverted=True)
)
blocks_warmed_up = also(one_after_the_other, "honest_ratio")(
    _faulty("blocks_warmed_up", order="blocks", statistic="minima")
)
blocks_with_medians = also(one_after_the_other, "honest_ratio")(
    _faulty("blocks_with_medians", order="blocks", statistic="medians")
)
blocks_with_medians_cold = also(no_warm_up, "honest_ratio")(
    _faulty("blocks_with_medians_cold", warm_up=0, order="blocks", statistic="medians")
)
blocks_cold = also(no_warm_up, "honest_ratio")(_faulty("blocks_cold", warm_up=0, order="blocks"))
blocks_with_means = also(one_after_the_other, "honest_ratio")(
    _faulty("blocks_with_means", order="blocks", statistic="means")
)
cold_with_minima = also(no_warm_up, "honest_ratio")(_faulty("cold_with_minima", warm_up=0, statistic="minima"))
cold_with_means = also(no_warm_up, "honest_ratio")(_faulty("cold_with_means", warm_up=0, statistic="means"))
cold_with_mean_ratio = also(no_warm_up, "honest_ratio")(
    _faulty("cold_with_mean_ratio", warm_up=0, statistic="mean of ratios")
)
cold_in_one_order = also(no_warm_up, "honest_ratio")(_faulty("cold_in_one_order", warm_up=0, order="float32 first"))
cold_in_one_order_with_minima = also(no_warm_up, "honest_ratio")(
    _faulty("cold_in_one_order_with_minima", warm_up=0, order="float32 first", statistic="minima")
)
minima_in_one_order = also(minima_compared, "honest_ratio")(
    _faulty("minima_in_one_order", order="float32 first", statistic="minima")
)
minima_begun_with_int8 = also(minima_compared, "honest_ratio")(
    _faulty("minima_begun_with_int8", order="other first", statistic="minima")
)
means_in_one_order = also(mean_for_median, "honest_ratio")(
    _faulty("means_in_one_order", order="float32 first", statistic="means")
)
mean_ratio_in_one_order = also(mean_for_median, "honest_ratio")(
    _faulty("mean_ratio_in_one_order", order="float32 first", statistic="mean of ratios")
)
mean_ratio_begun_with_int8 = also(mean_for_median, "honest_ratio")(
    _faulty("mean_ratio_begun_with_int8", order="other first", statistic="mean of ratios")
)
medians_in_one_order = also(medians_divided, "honest_ratio")(
    _faulty("medians_in_one_order", order="float32 first", statistic="medians")
)
cold_with_medians = also(no_warm_up, "honest_ratio")(_faulty("cold_with_medians", warm_up=0, statistic="medians"))
inverted_blocks = also(ratio_the_wrong_way_round, "honest_ratio")(
    _faulty("inverted_blocks", order="blocks", statistic="minima", inverted=True)
)
