"""What the diagnosis of a model refuses."""

from __future__ import annotations

import onnx
from fewerbits.diagnose import UnreadableModelError, diagnose_model
from onnx import helper

from tests.bad_input import Case

EMPTY = onnx.ModelProto()
FLOAT = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "float", [], []))

CASES = [
    Case(
        "no file of that name", lambda: diagnose_model("none.onnx"), UnreadableModelError, ("none.onnx", "no such file")
    ),
    Case("a folder", lambda: diagnose_model("."), UnreadableModelError, ("folder",)),
    Case("an empty model", lambda: diagnose_model(EMPTY), UnreadableModelError, ("the model", "no operators")),
    Case("a float model", lambda: diagnose_model(FLOAT), UnreadableModelError, ("the model", "float model")),
    Case("neither path nor model", lambda: diagnose_model(3), TypeError, ("source", "int")),  # type: ignore[arg-type]
    Case("no model at all", lambda: diagnose_model(None), TypeError, ("source", "NoneType")),  # type: ignore[arg-type]
    Case("unknown CPU", lambda: diagnose_model(FLOAT, cpu="z80"), ValueError, ("cpu", "z80", "no-vnni")),
]
