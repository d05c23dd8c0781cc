"""Diagnose a quantized ONNX model: what is wrong with it, where, how one sees it, and what to do."""

from __future__ import annotations

from pathlib import Path

import onnx

from fewerbits.diagnose import flow, parameters, saturation, weights
from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.graph import quantized_graph
from fewerbits.diagnose.loading import UnreadableModelError, invalid, load
from fewerbits.diagnose.notes import notes as noted

CPUS = ("any", "no-vnni")


def diagnose_model(source: str | Path | onnx.ModelProto, *, cpu: str = "any", notes: bool = False) -> list[Finding]:
    """What is wrong with a quantized ONNX model, in QDQ or QOperator form, of any exporter; an empty list if nothing.

    `source` is a path or a model in memory. Findings name nodes; for a node without name, its operator and output.
    `cpu="no-vnni"` adds findings of level "risk": products of uint8 and int8 that can saturate at 16 bits on x86
    CPUs without VNNI. They are not mistakes of the model, and any model with 8-bit weights has them, so nothing
    is said of them unless it is asked. `notes=True` adds findings of level "note": weights that fit in fewer bits than
    their type has, channels much smaller than the scale of a whole tensor, one code far from all others. A file cannot
    say whether these are meant so. Only the main graph is read, not the branches of If and Loop.
    Raises UnreadableModelError (a ValueError), in one line, for a file that is missing, damaged, not ONNX, larger than
    2 GiB, or not quantized, and for external data that is missing; TypeError and ValueError for other arguments.
    """
    if cpu not in CPUS:
        raise ValueError(f"cpu={cpu!r} is not known: accepted are {', '.join(map(repr, CPUS))}")
    model, folder = load(source)
    name = "the model" if isinstance(source, onnx.ModelProto) else str(source)
    rules = [*parameters.RULES, *weights.RULES, *flow.RULES]
    if cpu == "no-vnni":
        rules.append(saturation.saturation)
    if notes:
        rules.append(noted)
    try:
        graph = quantized_graph(model, folder)
        return [finding for rule in rules for finding in rule(graph)]
    except UnreadableModelError as error:
        raise UnreadableModelError(f"{name}: {error}") from None
    except Exception as error:
        if why := invalid(model):
            raise UnreadableModelError(f"{name}: this is not valid ONNX: {why}") from error
        raise
