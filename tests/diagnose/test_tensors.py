"""The diagnosis of tensors: every planted mistake is named, and correct quantizations are left in peace."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from fewerbits.diagnose import diagnose, diagnose_bias, diagnose_sums
from fewerbits.diagnose.coarse import to_bfloat16
from fewerbits.diagnose.lines import Line, permuted
from fewerbits.diagnose.words import finding
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
        assert [name for name in found if name != "range_too_narrow"] == expected


def test_a_finding_has_evidence_in_numbers_and_a_repair() -> None:
    for cases in PLANTED.values():
        for found in cases[0].look(*cases[0].arguments, **cases[0].options):
            assert any(character.isdigit() for character in found.evidence), found
            assert found.repair.endswith(".")


def test_a_name_of_the_catalogue_has_the_repair_of_the_catalogue() -> None:
    known = {entry.name: entry.repair for entry in mistakes.catalogue()}
    assert finding("wrong_axis", "scale", "").repair == known["wrong_axis"]
    with pytest.raises(ValueError, match="no such name"):
        finding("no such name", "codes", "")


def test_an_innocent_scale_is_not_accused_of_one_wrong_code() -> None:
    """The line of best fit through 999 right codes and a wrong one is off by 0.05 %: it explains nothing."""
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    scheme = Uniform.fit(x)
    codes = scheme.quantize(x)
    codes[300] = 100
    (found,) = diagnose(x, codes, scheme.scale)
    assert found.name == "codes_unexplained"
    assert "1 of 1000 codes are wrong, at 300, off by" in found.evidence


def test_one_value_that_ends_lower_is_no_narrower_range() -> None:
    x = np.append(np.linspace(-1, 1, 100), 1.2)
    scheme = Uniform.fit(x)
    codes = scheme.quantize(x)
    codes[-1] -= 3  # still the largest code
    assert names(x, codes, scheme.scale) == ["codes_unexplained"]


def test_wrong_codes_have_a_place() -> None:
    w = np.random.default_rng(0).standard_normal((10, 8, 3, 3)).astype(np.float32)
    scheme = Uniform.fit(w)
    codes = scheme.quantize(w)
    codes[:, 5] = codes[:, 5][:, ::-1]
    (found,) = diagnose(w, codes, scheme.scale)
    assert found.name == "codes_unexplained"
    assert "all at index 5 of axis 1, which has 8" in found.evidence
    for channel in (2, 7):
        codes[channel] = codes[channel][::-1]
    assert "all at" not in diagnose(w, codes, scheme.scale)[0].evidence


def test_arithmetic_in_a_coarse_type_is_named_with_its_type() -> None:
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    scale = np.float32(np.abs(x).max() / 127)
    for kind in ("float16", "bfloat16"):
        low = torch.from_numpy(x).to(getattr(torch, kind))
        codes = torch.round(low / torch.tensor(scale, dtype=low.dtype)).to(torch.int8)
        (found,) = diagnose(x, codes, scale)
        assert found.name == "computed_in_a_coarse_float_type"
        assert f"arithmetic in {kind}" in found.evidence


def test_one_or_two_codes_convict_neither_a_float_type_nor_a_scale() -> None:
    """Among few values a code that is one off fits many explanations."""
    rng = np.random.default_rng(1)
    hints = 0
    for _ in range(60):
        x = rng.standard_normal((10, 9)).astype(np.float32)
        scheme = Uniform.fit(x, axis=0)
        codes = scheme.quantize(x).astype(np.int16)
        steps = x / scheme.scale[:, None]
        place = np.unravel_index(np.argmax(np.abs(steps - np.rint(steps))), x.shape)  # the value closest to a tie
        codes[place] += np.sign(steps[place] - codes[place]).astype(np.int16)
        for found in diagnose(x, codes, scheme.scale, axis=0):  # none where the tie is exact: both codes are right
            assert found.name == "codes_unexplained"
            hints += "so few tell little" in found.evidence
    assert hints >= 3


def test_bfloat16_is_that_of_torch() -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(10_000) * 10.0 ** rng.uniform(-30, 30, 10_000)).astype(np.float32)
    ties = np.array([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 0.0], np.float32)
    for values in (x, ties):
        assert np.array_equal(to_bfloat16(values), torch.from_numpy(values).bfloat16().float().numpy())


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_tensors_of_torch_are_read_as_they_are() -> None:
    x = torch.linspace(-1, 1, 101, requires_grad=True)
    quantized = torch.quantize_per_tensor(x.detach(), 1 / 127, 0, torch.qint8)
    assert names(x, quantized, torch.tensor(1 / 127)) == []
    wrong = torch.trunc(x.detach() * 127).to(torch.int8)
    assert names(x, wrong, torch.tensor(1 / 127)) == ["truncation_for_rounding"]
    low = x.bfloat16()
    codes = np.rint(low.detach().float().numpy() * 127).astype(np.int8)
    assert names(low, codes, 1 / 127) == []


def test_sixteen_bits_are_read_from_the_type() -> None:
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    wide, narrow = Uniform.fit(x, 16), Uniform.fit(x)
    assert names(x, wide.quantize(x), wide.scale) == []
    assert names(x, narrow.quantize(x).astype(np.int16), narrow.scale) == []
    unclamped = np.rint(4 * x / narrow.scale).astype(np.int16)
    assert names(4 * x, unclamped, narrow.scale)[0] == "clamp_forgotten"


def test_scales_are_permuted_only_if_each_interval_holds_one_of_them() -> None:
    def lines(*factors: tuple[float, float]) -> list[Line]:
        return [Line(*factor, 0) for factor in factors]

    # A channel's own scale is the one given divided by its factor.
    assert permuted(lines((0.49, 0.51), (1.9, 2.1)), np.array([1.0, 2.0]))
    assert not permuted(lines((0.49, 0.51), (1.5, 1.6)), np.array([1.0, 2.0]))
    assert not permuted(lines((0.49, 0.51)), np.array([1.0]))
    # Both intervals, 1..4 and 1..2, hold 1; only the first holds 3.
    assert permuted(lines((0.25, 1.0), (1.5, 3.0)), np.array([1.0, 3.0]))


def test_codes_that_are_all_alike_accuse_nobody() -> None:
    x = np.random.default_rng(0).standard_normal(2000)
    (found,) = diagnose(x, np.zeros(2000, np.int8), np.abs(x).max() / 127)
    assert found.name == "one_code_for_all_values"
    assert "possible: scale the wrong way" in found.evidence


def test_right_biases_and_sums_have_no_finding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        s_x, s_w = 10.0 ** rng.uniform(-4, 0), 10.0 ** rng.uniform(-4, 0, 12)
        bias = rng.standard_normal(12).astype(np.float32)
        in_float32 = np.rint(bias / (np.float32(s_x) * s_w.astype(np.float32)))
        assert diagnose_bias(np.zeros(12), np.zeros(12, np.int32), s_x, s_w) == []
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
