"""A simulated computer on which a network runs in float32 and in int8: practice for timing, with a known truth.

It computes nothing. Each call only moves a clock forward, by what the call would take on a busy machine: the first
calls are slow, the load rises and falls or jumps, some calls are interrupted, some find the processor boosted for a
moment.
The same seed gives the same machine everywhere, so that a way of timing can be judged by its result.
"""

from __future__ import annotations

import math
import random

INTERRUPTED = 6.0


class SimulatedMachine:
    """`clock()` says how many seconds have passed; `float32()` and `int8()` run the network once in that form.

    A call of a form takes its own seconds times

    - its factor of `cold`, in the first `cold_calls` calls of that form;
    - the load, which rises from 1 to `peak_load` within `period` seconds, then falls back at once, and so on;
    - another load, 1 at first: with the probability `jumps` it becomes a new one from 1 to `heaviest_load`, of which
      small and large factors are equally likely;
    - 6 where it is interrupted, which happens with the probability `interrupted`;
    - 0.5 to 1 where the processor is boosted, with the probability `boosted`;
    - a little noise, log-normal with the deviation `noise`.

    A copy (`copy.deepcopy`) goes on by itself, exactly as the original would.
    """

    def __init__(
        self,
        float32_seconds: float,
        int8_seconds: float,
        *,
        cold: tuple[float, float] = (1.0, 1.0),
        cold_calls: int = 0,
        peak_load: float = 1.0,
        period: float = 60.0,
        jumps: float = 0.0,
        heaviest_load: float = 1.0,
        interrupted: float = 0.0,
        boosted: float = 0.0,
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._seconds = (float32_seconds, int8_seconds)
        self._cold, self._cold_calls = cold, cold_calls
        self._peak_load, self._period = peak_load, period
        self._jumps, self._heaviest_load, self._others = jumps, heaviest_load, 1.0
        self._interrupted, self._boosted, self._noise = interrupted, boosted, noise
        self._random, self._random_load = random.Random(seed), random.Random(f"load {seed}")
        self._calls = [0, 0]
        self._now = 0.0

    def clock(self) -> float:
        """Seconds since the machine was started."""
        return self._now

    def float32(self) -> None:
        """Run the network in float32."""
        self._run(0)

    def int8(self) -> None:
        """Run the network in int8."""
        self._run(1)

    def true_ratio(self) -> float:
        """How many times as fast int8 is: what nobody can read from a real machine."""
        return self._seconds[0] / self._seconds[1]

    def _run(self, form: int) -> None:
        seconds = self._seconds[form] * math.exp(self._random.gauss(0, self._noise))
        if self._calls[form] < self._cold_calls:
            seconds *= self._cold[form]
        seconds *= self._peak_load ** (self._now / self._period % 1)
        jump, level = self._random_load.random(), self._random_load.random()
        if jump < self._jumps:
            self._others = self._heaviest_load**level
        seconds *= self._others
        # All are drawn in every call, so that one disturbance does not shift the others.
        interrupted, boosted, depth = (self._random.random() for _ in range(3))
        if interrupted < self._interrupted:
            seconds *= INTERRUPTED
        if boosted < self._boosted:
            seconds *= 1 - depth / 2
        self._calls[form] += 1
        self._now += seconds
