"""Diagnose a quantized ONNX model: what is wrong with it, where, how one sees it, and what to do."""

from __future__ import annotations

from pathlib import Path

import onnx

from fewerbits.diagnose import flow, parameters, saturation, weights
from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.graph import Graph, quantized_graph
from fewerbits.diagnose.loading import UnreadableModelError, invalid, load
from fewerbits.diagnose.notes import notes as noted
from fewerbits.diagnose.products import products

CPUS = ("any", "no-vnni")


def diagnose_model(source: str | Path | onnx.ModelProto, *, cpu: str = "any", notes: bool = False) -> list[Finding]:
    """What is wrong with a quantized ONNX model, in QDQ or QOperator form, of any exporter; an empty list if nothing.

    `source` is a path or a model in memory. Findings name nodes; for a node without name, its operator and output.
    `cpu="no-vnni"` adds findings of level "risk": products of uint8 and int8 that can saturate at 16 bits on x86
    CPUs without VNNI. They are not mistakes of the model, and any model with 8-bit weights has them, so nothing
    is said of them unless it is asked. `notes=True` adds findings of level "note", which a file cannot tell
    from what is meant so: weights that fit in fewer bits, have one sign, or have a channel or a code far from the
    others; biases of zeros; operators left in float as a whole; symmetric codes for all activations.
    Only the main graph is read, not the branches of If and Loop.
    Raises UnreadableModelError (a ValueError), in one line, for a file that is missing, damaged, not ONNX, larger than
    2 GiB, or not quantized, and for external data that is missing; TypeError and ValueError for other arguments.
    """
    if cpu not in CPUS:
        raise ValueError(f"cpu={cpu!r} is not known: accepted are {', '.join(map(repr, CPUS))}")
    findings, _ = examine(source, cpu=cpu)
    return [finding for finding in findings if notes or finding.level != "note"]


def examine(source: str | Path | onnx.ModelProto, *, cpu: str = "any") -> tuple[list[Finding], str]:
    """Findings of all levels, and in words what was examined."""
    model, folder = load(source)
    name = "the model" if isinstance(source, onnx.ModelProto) else str(source)
    rules = [*parameters.RULES, *weights.RULES, *flow.RULES, noted]
    if cpu == "no-vnni":
        rules.append(saturation.saturation)
    try:
        graph = quantized_graph(model, folder)
        return [finding for rule in rules for finding in rule(graph)], _examined(graph)
    except UnreadableModelError as error:
        raise UnreadableModelError(f"{name}: {error}") from None
    except Exception as error:
        if why := invalid(model):
            raise UnreadableModelError(f"{name}: this is not valid ONNX: {why}") from error
        raise


def _examined(graph: Graph) -> str:
    layers = sum(1 for _ in products(graph))
    writers = [node for node in graph.nodes if graph.writes(node) and not graph.is_weight(node)]
    activations = len(writers)
    return f"{layers} layer{'s' if layers != 1 else ''} with weights, {activations} quantized activations"
