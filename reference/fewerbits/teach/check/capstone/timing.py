"""A benchmark to repair, on machines whose true ratio is known."""

from __future__ import annotations

from functools import cache
from typing import Any

from numpy.typing import NDArray

from fewerbits.teach.check.task import Output, Probe, Task
from fewerbits.teach.simulated_machine import SimulatedMachine

Array = NDArray[Any]
TOLERANCE = 0.04

MACHINES = {
    "cold start": (SimulatedMachine(0.6, 0.24, cold=(1.5, 4.0), cold_calls=10, noise=0.01, seed=1), 9),
    "a load that grows": (SimulatedMachine(0.9, 0.5, peak_load=4, period=400, noise=0.02, seed=2), 60),
    "a load that comes and goes": (SimulatedMachine(0.5, 0.4, peak_load=3, period=10, noise=0.08, seed=3), 300),
    "interruptions": (SimulatedMachine(0.8, 0.5, interrupted=0.1, noise=0.02, seed=4), 60),
    "moments of boost": (SimulatedMachine(0.7, 0.5, boosted=0.04, noise=0.02, seed=5), 100),
    "programs that start and stop": (
        SimulatedMachine(0.9, 0.45, jumps=0.25, heaviest_load=16, noise=0.02, seed=132),
        60,
    ),
    "all of it, and int8 is slower": (
        SimulatedMachine(
            0.3, 0.36, cold=(1.5, 6.0), cold_calls=10, peak_load=2, period=600, interrupted=0.06, boosted=0.03,
            noise=0.03, seed=6,
        ),
        200,
    ),
}  # fmt: skip


def right_ratio(machine: SimulatedMachine, pairs: int) -> float:
    """What the machine was made with."""
    return machine.true_ratio()


@cache
def _probes() -> list[Probe]:
    return list(MACHINES.values())


honest_ratio = Task(
    call="honest_ratio(machine, pairs)",
    returns=(Output("ratio", rtol=TOLERANCE),),
    oracle=right_ratio,
    probes=_probes,
    summary=lambda probes, answers: f"within {TOLERANCE:.0%} of the truth on all {len(probes)} machines.",
    divisible=False,
    names=tuple(MACHINES),
    measure=lambda answer, machine, pairs: f"{float(answer):.2f} for {machine.true_ratio():.2f}",
)
