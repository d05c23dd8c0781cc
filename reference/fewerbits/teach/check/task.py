"""A task as data: what is asked, which answers are right, and on which inputs that is tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fewerbits.teach.check.report import Result

Probe = tuple[Any, ...]


@dataclass(frozen=True)
class Output:
    """One value that the learner's function returns: a number or an array (any dtype, lists too).

    `integer` asks for whole numbers and compares them exactly; real numbers may differ by the relative tolerance
    `rtol`, so that float32 and float64 both pass. With `loose_shape` axes of length 1 do not matter. An answer that is
    no number or array, such as a network, is turned into one by `convert`; what it raises is told to the learner.
    """

    name: str
    integer: bool = False
    loose_shape: bool = False
    rtol: float = 1e-5
    convert: Callable[[Any], Any] | None = None


class Between(NamedTuple):
    """What an oracle returns where several answers are right: element by element, low to high inclusive.

    For whole numbers at a tie these are the two neighbours.
    """

    low: Any
    high: Any


@dataclass(frozen=True)
class Task:
    """What `check.<name>` examines.

    `call` is how the function is called, "quantize(x, scale, zero_point, qmin, qmax)"; its first word names the
    task. `probes` returns the argument tuples, small ones first; each must be one that `oracle` accepts, and so
    must every non-empty part of its arrays, because the smallest failing input is searched there.
    `oracle` computes the right answer from first principles, in float64 or fractions: an array, `Between`, or a
    tuple of these, one for each of `returns`. A property takes the answer (arrays) and the arguments and returns
    None or a sentence that says what does not hold; a task without oracle rests on its properties alone.
    `summary` turns all answers into a sentence for ✓. A call may take `seconds`;
    `too_slow` is what is said to one that takes longer. A task that judges a tensor as a whole is not `divisible`:
    parts of its inputs are not tried.

    Inputs that are `degenerate` ask for a guard (all zeros) or depend on the last bit (ties); what happens there
    hides no mistake that shows on all others. A task with `several_faults` gives code to repair that has more than
    one, and works value by value: a fault is named by values that show it alone. `names` are those of the probes,
    where they have one; what was reached on each of them, as `measure(answer, *arguments)` says it, is then shown
    with ✗ too. `written`, for given arguments, says how single numbers are shown, by the name of the argument or
    output: a bit pattern in its fields; None where in decimal.
    """

    call: str
    returns: tuple[Output, ...]
    probes: Callable[[], Sequence[Probe]]
    oracle: Callable[..., Any] | None = None
    properties: tuple[Callable[..., str | None], ...] = ()
    summary: Callable[[Sequence[Probe], Sequence[Any]], str] | None = None
    seconds: float = 3.0
    too_slow: str = "Does every loop come to an end?"
    divisible: bool = True
    degenerate: Callable[..., bool] = lambda *arguments: False
    several_faults: bool = False
    names: tuple[str, ...] = ()
    measure: Callable[..., str] | None = None
    written: Callable[..., Mapping[str, Callable[[float], str | None]]] = lambda *arguments: {}

    @property
    def name(self) -> str:
        return self.call.partition("(")[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the arguments."""
        inside = self.call.partition("(")[2].rstrip(")")
        return tuple(name.strip() for name in inside.split(","))

    def __call__(self, function: Callable[..., Any]) -> Result:
        """Examine the learner's `function`, print what was found and remember it; never raises."""
        from fewerbits.teach.check.report import report

        return report(self, function)
