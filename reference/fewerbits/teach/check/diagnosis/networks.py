"""The mystery set: what is wrong with each network, and networks repaired until they compute the right integers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewerbits.network import integer_network
from fewerbits.network.quantized import QuantizedNetwork
from fewerbits.teach import mysteries
from fewerbits.teach.check.task import Output, Probe, Task

Array = NDArray[Any]
NUMBERS = range(1, 11)
REPAIRED = (2, 3, 6, 8)
IMAGES = 12


def number_of(answer: Any) -> Any:
    """A number of the list, also for a name of it."""
    if not isinstance(answer, str):
        return answer
    words = answer.strip().lower().replace("_", " ")
    named = [number for number, (title, _) in mysteries.CANDIDATES.items() if title in (words, answer.strip().lower())]
    if not named:
        raise TypeError(f"it is {answer!r}, expected is a number or a name of the list")
    return named[0]


def the_name_fits(answer: Array, number: int) -> str | None:
    """None for the right candidate; else what one would see if the answer were true, not what is."""
    given = int(answer.reshape(-1)[0])
    if answer.size != 1 or given != answer.reshape(-1)[0] or given not in mysteries.CANDIDATES:
        low, high = min(mysteries.CANDIDATES), max(mysteries.CANDIDATES)
        return f"mystery {number} has the answer {answer.tolist()}: expected is a number of the list, {low} to {high}"
    if given == mysteries.answer(number):
        return None
    title, sign = mysteries.CANDIDATES[given]
    return f"mystery {number} is something else than “{title}”. With that mistake {sign}"


def _all_named(probes: Sequence[Probe], answers: Sequence[Any]) -> str:
    return f"all {len(probes)} networks are named."


# Without a list of what is right so far: it would turn `return 1`, `return 2`, … into a way to the answers.
name_mystery = Task(
    call="name_mystery(number)",
    returns=(Output("name", loose_shape=True, convert=number_of),),
    properties=(the_name_fits,),
    probes=lambda: [(number,) for number in NUMBERS],
    summary=_all_named,
    divisible=False,
)


def integers(network: Any) -> Array:
    """Every code of a network on a few photographs, one after the other, and the logits."""
    if not isinstance(network, QuantizedNetwork):
        raise TypeError(f"it is {type(network).__name__}, expected is a QuantizedNetwork")
    return _integers(network)


@lru_cache(maxsize=64)
def _integers(network: QuantizedNetwork) -> Array:
    values = integer_network.run(network, mysteries.photographs()[0][:IMAGES])
    parts = [codes.astype(np.float64).ravel() for name, codes in values.items() if name != "image"]
    return np.concatenate(parts)


@cache
def _places() -> dict[str, slice]:
    """Where each value of the network stands in `integers`."""
    values = integer_network.run(mysteries.right_network(), mysteries.photographs()[0][:IMAGES])
    ends = np.cumsum([codes.size for name, codes in values.items() if name != "image"]).tolist()
    names = [name for name in values if name != "image"]
    return {name: slice(start, end) for name, start, end in zip(names, [0, *ends], ends)}


def the_integers_are_right(answer: Array, network: QuantizedNetwork) -> str | None:
    """None when every code is that of the network before the mistake; else the first layer whose codes differ."""
    right = integers(mysteries.right_network())
    if answer.shape != right.shape:
        return "the repaired network computes values of another number or shape"
    named = f"{named_rightly(answer)} of {IMAGES} photographs are named rightly, {named_rightly(right)} are expected"
    for name, place in _places().items():
        if name == "logits":
            wrong = int((~np.isclose(answer[place], right[place], rtol=1e-5)).sum())
        else:
            wrong = int((answer[place] != right[place]).sum())
        if wrong:
            return (
                f"{wrong:,} of {right[place].size:,} values of {name} are not those of the network "
                f"without mistake, and all before it are ({named})"
            )
    return None


def named_rightly(values: Array) -> int:
    """How many of the photographs have the right name, from the values of a network."""
    logits = values[_places()["logits"]].reshape(IMAGES, -1)
    return int((logits.argmax(axis=1) == mysteries.photographs()[1][:IMAGES]).sum())


@cache
def _broken() -> list[Probe]:
    return [(mysteries.mystery(number).network,) for number in REPAIRED]


def _summary(probes: Sequence[Probe], answers: Sequence[Any]) -> str:
    named = named_rightly(answers[0][0])
    size = answers[0][0].size
    return f"all {size:,} integers are right in each of {len(probes)} networks; {named} of {IMAGES} are named rightly."


repair = Task(
    call="repair(network)",
    returns=(Output("network", convert=integers),),
    properties=(the_integers_are_right,),
    probes=_broken,
    summary=_summary,
    seconds=20,
    divisible=False,
    names=tuple(f"mystery {number}" for number in REPAIRED),
    measure=lambda answer, network: "repaired",
)
