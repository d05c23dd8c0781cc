"""Every name that a diagnosis prints, and every line of the mystery list, can be looked up."""

from __future__ import annotations

import ast
from pathlib import Path

import fewerbits.diagnose
import pytest
from fewerbits.diagnose.rules import RULES
from fewerbits.teach import mistakes, mysteries
from fewerbits.teach.mistakes.faults import FAULTS

from tests.diagnose import model_faults
from tests.diagnose.planted import MADE_HERE, all_planted

PACKAGE = Path(fewerbits.diagnose.__file__).parent
# Calls whose first argument is a name: these three are all that make findings.
MAKERS = {"Finding", "finding", "_note"}


def literals() -> set[str]:
    """Words in the source of the diagnosis that stand where a name stands, or in a tuple before something else."""
    found: set[str] = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            parts: list[ast.expr] = []
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
                parts = list(ast.walk(node.args[0]))  # type: ignore[arg-type]
            elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.Yield, ast.Return)) and node.value is not None:
                parts = [each for each in ast.walk(node.value) if isinstance(each, ast.Constant)]
            words = {part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)}
            found |= {word for word in words if word.count("_") and word.replace("_", "").isalpha() and word.islower()}
    return found - NO_NAMES


# Attributes of ONNX operators, arguments and roundings, which look like names of findings.
NO_NAMES = {
    "half_even", "half_away", "value_float", "value_floats", "value_int", "value_ints", "zero_point", "block_size",
    "output_dtype", "q_x", "s_x", "s_w", "x_zero_point", "w_zero_point", "q_w",
    "diagnose_bias", "diagnose_model", "diagnose_sums",
}  # fmt: skip


def test_the_source_is_searched_well() -> None:
    named = literals()
    assert {"wrong_axis", "unused_codes", "codes_unexplained", "range_too_wide", "zero_point_minus_one"} <= named
    assert {name for name, _ in RULES} <= named
    assert len(named) > 60


@pytest.mark.parametrize("name", sorted(literals() | {name for name, _ in RULES}))
def test_a_name_in_the_diagnosis_is_found_in_words_and_has_a_repair(name: str) -> None:
    entry = mistakes.find(name.replace("_", " "))
    assert entry.name == name
    assert entry.repair.endswith(".")


def test_what_is_planted_is_found_by_name() -> None:
    for planted in all_planted():
        for name in planted.accepted:
            assert mistakes.find(name).name == name
    for fault in model_faults.FAULTS:
        assert mistakes.find(fault.finding).name == fault.finding


@pytest.mark.parametrize("title", [title for title, _ in mysteries.CANDIDATES.values()])
def test_a_line_of_the_mystery_list_is_found(title: str) -> None:
    assert mistakes.find(title).title == title.replace("-", " ")


def test_a_fault_stands_beside_the_catalogue_and_not_in_it() -> None:
    assert len(MADE_HERE) > 30
    assert not set(FAULTS) & {entry.name for entry in mistakes.catalogue()}
    for fault in FAULTS.values():
        assert all(text.endswith(".") for text in (fault.symptom, fault.cause, fault.repair)), fault.name
        assert "symptom" in str(fault)
        with pytest.raises(TypeError, match="no function"):
            fault(1.0)


def test_a_fault_that_is_misspelt_is_offered() -> None:
    with pytest.raises(ValueError, match="weights_in_float"):
        mistakes.find("weights in floats")
