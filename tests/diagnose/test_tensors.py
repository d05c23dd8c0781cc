"""The diagnosis of tensors: every planted mistake is named, and correct quantizations are left in peace."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fewerbits.diagnose import diagnose, diagnose_bias, diagnose_sums
from fewerbits.diagnose.words import REPAIRS, finding
from fewerbits.teach import mistakes
from fewerbits.tensor.uniform import Uniform

from tests.diagnose import confusion
from tests.diagnose.correct import Correct, all_correct
from tests.diagnose.planted import Planted, all_planted

PLANTED: dict[str, list[Planted]] = {}
for planted in all_planted():
    PLANTED.setdefault(planted.name, []).append(planted)
# What these get wrong is no tensor with its codes: an expectation of the error, and the bytes of a file.
NO_TENSORS = ("error_bound", "store")


def names(*arguments, **options) -> list[str]:
    return [found.name for found in diagnose(*arguments, **options)]


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_named_and_no_other(name: str) -> None:
    for case in PLANTED[name][::3]:  # the slow test below takes them all
        found = confusion.planted_row(case)
        assert confusion.is_named(case, found), f"found {found}, not {case.accepted}"


def test_every_mistake_of_uniform_tensors_in_the_catalogue_is_planted() -> None:
    for entry in mistakes.catalogue("uniform"):
        assert entry.name in PLANTED or entry.task in NO_TENSORS, entry.name


def test_each_mistake_is_planted_at_least_six_times() -> None:
    assert min(len(cases) for cases in PLANTED.values()) >= 6
    assert len(PLANTED) >= 50


def test_correct_quantizations_have_no_finding() -> None:
    """A part of the sweep, for every day; the whole is below."""
    quantizations = list(all_correct(((7,), (8, 6, 3, 3)), others=False))
    assert len(quantizations) >= 200
    for case in quantizations:
        found = confusion.correct_row(case)
        assert set(found) <= {*case.allowed, confusion.SILENT}, f"{case.maker}, {case.kind}: {found}"


@pytest.mark.slow
def test_the_confusion_matrix_has_no_wrong_cell() -> None:
    correct = list(all_correct())
    text, wrong = confusion.matrix(all_planted(), correct)
    assert wrong == 0, text
    assert len(correct) >= 200
    assert {case.maker for case in correct} >= {"fewerbits", "onnx", "onnxruntime", "torch"}


def test_the_matrix_counts_what_is_not_named_and_what_is_named_without_cause() -> None:
    x = np.linspace(-1, 1, 50, dtype=np.float32)
    scheme = Uniform.fit(x)
    right, wrong = scheme.quantize(x), np.trunc(x / scheme.scale).astype(np.int8)
    missed = Planted("truncation_for_rounding", diagnose, (x, right, scheme.scale), {}, ("truncation_for_rounding",))
    false_alarm = Correct("test", "line", (x, wrong, scheme.scale), {}, ())
    assert confusion.matrix([missed], [])[1] == 1
    assert confusion.matrix([], [false_alarm])[1] == 1
    assert confusion.matrix([], [Correct("test", "line", (x, right, scheme.scale), {}, ())])[1] == 0


def test_a_correct_tensor_with_one_wrong_code_is_not_correct() -> None:
    x = np.linspace(-1, 1, 101, dtype=np.float32)
    scheme = Uniform.fit(x)
    for place, change in itertools.product((0, 50, 100), (-1, 1)):
        codes = scheme.quantize(x).astype(np.int16)
        codes[place] += change
        if -128 < codes[place] <= 127:
            assert names(x, codes.astype(np.int8), scheme.scale) != []


def test_ties_are_a_convention_until_a_rule_is_named() -> None:
    x = np.append(np.arange(-126, 126) + 0.5, 127).astype(np.float32)
    half_even, half_away = (Uniform(1.0, 0, rounding=rule).quantize(x) for rule in ("half_even", "half_away"))
    for codes in (half_even, half_away):
        assert names(x, codes, 1.0) == []
    assert names(x, half_even, 1.0, rounding="half_even") == names(x, half_away, 1.0, rounding="half_away") == []
    assert names(x, half_away, 1.0, rounding="half_even") == ["ties_by_another_rule"]
    assert names(x, half_even, 1.0, rounding="half_away") == ["ties_by_another_rule"]


@pytest.mark.parametrize("rule", ["toward_zero", "floor", "stochastic"])
def test_another_rounding_is_right_where_it_is_named(rule: str) -> None:
    x = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    scheme = Uniform.fit(x, rounding=rule)
    assert names(x, scheme.quantize(x), scheme.scale, rounding=rule) == []
    assert names(x, scheme.quantize(x), scheme.scale) != []


def test_an_outlier_is_reported_of_a_correct_quantization() -> None:
    """Decided: min-max of far outliers is correct and has a finding, because it wastes two bits of all others."""
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    x[0] = 40
    for scheme, expected in ((Uniform.fit(x), ["one_outlier_takes_the_range"]), (Uniform.from_range(-4, 4), [])):
        found = names(x, scheme.quantize(x), scheme.scale)
        assert [name for name in found if name != "scale_of_another_distribution"] == expected


def test_a_finding_has_evidence_in_numbers_and_a_repair() -> None:
    for cases in PLANTED.values():
        for found in cases[0].look(*cases[0].arguments, **cases[0].options):
            assert any(character.isdigit() for character in found.evidence), found
            assert found.repair.endswith(".")


def test_a_name_of_the_catalogue_has_the_repair_of_the_catalogue() -> None:
    known = {entry.name: entry.repair for entry in mistakes.catalogue()}
    assert finding("wrong_axis", "scale", "").repair == known["wrong_axis"]
    assert all(repair.endswith(".") for repair in REPAIRS.values())


def test_right_biases_and_sums_have_no_finding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        s_x, s_w = 10.0 ** rng.uniform(-4, 0), 10.0 ** rng.uniform(-4, 0, 12)
        bias = rng.standard_normal(12).astype(np.float32)
        in_float32 = np.rint(bias / (np.float32(s_x) * s_w.astype(np.float32)))
        for codes in (np.rint(bias / (s_x * s_w)), in_float32):
            assert diagnose_bias(bias, codes.astype(np.int32), s_x, s_w) == []
        q_x, q_w = rng.integers(0, 256, (3, 40)).astype(np.uint8), rng.integers(-128, 128, (5, 40)).astype(np.int8)
        z_x, z_w = (int(z) for z in rng.integers(-100, 200, 2))
        sums = (q_x.astype(int) - z_x) @ (q_w.astype(int) - z_w).T
        assert diagnose_sums(q_x, q_w, sums.astype(np.int32), z_x, z_w) == []


def test_values_that_are_not_finite_are_found() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        assert names([1.0, bad], np.array([1, 2], np.int8), 1.0) == ["nan_in_the_range"]


def test_the_doctest_of_diagnose_holds() -> None:
    assert names([-1.0, 0.4, 1.0], [-127, 51, 127], 1 / 127) == []
    assert names([-1.0, 0.4, 1.0], [-127, 50, 127], 1 / 127) == ["truncation_for_rounding"]
