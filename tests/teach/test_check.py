"""A check decides by first principles, helps, and survives whatever a learner's function does."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from fewerbits.teach import check
from fewerbits.teach.check import Between, Output, Task
from fewerbits.teach.check.answers import expected
from fewerbits.teach.check.judge import judge, smallest
from fewerbits.teach.check.report import FAILED, OPEN, PASSED, Result, examine
from fewerbits.teach.check.runner import run
from fewerbits.teach.check.uniform.values import nearest_codes
from fewerbits.tensor.uniform import Uniform
from hypothesis import given, settings
from hypothesis import strategies as st

QUICK = replace(check.quantize, seconds=0.3)
ORACLES = [task for task in check.tasks().values() if task.oracle is not None]


def right(x, scale, zero_point, qmin, qmax):
    return np.clip(np.rint(x / scale) + zero_point, qmin, qmax)


def text_of(function, task: Task = QUICK, mark: str = FAILED) -> str:
    result = examine(task, function)
    assert result.mark == mark, result.text
    assert bool(result) is (mark == PASSED)
    return " ".join(result.text.split())


# What is right


@given(st.integers(2, 8), st.integers(0, 2**32 - 1), st.booleans())
@settings(deadline=None, max_examples=60)
def test_the_oracle_of_quantize_agrees_with_the_package_and_with_no_neighbour(bits, seed, signed):
    rng = np.random.default_rng(seed)
    scheme = Uniform(np.float32(rng.uniform(0.01, 2)), 1, bits=bits, signed=signed)
    x = (rng.normal(size=50) * 2.0**bits).astype(np.float32)
    codes = scheme.quantize(x).astype(int)
    low, high = nearest_codes(x, float(scheme.scale), 1, scheme.qmin, scheme.qmax)
    assert np.all((low <= codes) & (codes <= high))
    assert np.all(high - low <= 1)
    assert np.mean(low == high) > 0.9


def test_at_a_tie_both_neighbours_are_right_and_a_hair_beside_it_one_is():
    low, high = nearest_codes(np.array([2.5, 2.499, 2.501, 200.0, 1e30, -1e30]), 1.0, 0, -128, 127)
    assert low.tolist() == [2, 2, 3, 127, 127, -128]
    assert high.tolist() == [3, 2, 3, 127, 127, -128]


def test_the_oracle_of_the_scale_is_an_exact_fraction():
    scale = expected(check.symmetric_scale, (np.array([0.1, -0.3]), 3))[0]
    assert scale.low == scale.high == float(Fraction(0.3) / 3)


@pytest.mark.slow
@pytest.mark.parametrize("task", ORACLES, ids=lambda task: task.name)
def test_one_wrong_element_in_any_output_is_noticed(task: Task):
    """The right answer passes; with one element of one probe changed it does not."""
    answers = [[np.array(part.low) for part in expected(task, arguments)] for arguments in task.probes()]

    def answering(changed: list) -> Result:
        served = iter(changed)
        return examine(replace(task, divisible=False, several_faults=False), lambda *arguments: _packed(next(served)))

    assert answering(answers).mark == PASSED
    for probe, parts in enumerate(answers):
        for position, output in enumerate(task.returns):
            accepted = expected(task, task.probes()[probe])[position]
            if not np.allclose(accepted.low, accepted.high, rtol=1e-5, atol=0):
                continue  # the oracle leaves a choice here
            changed = [[part.copy() for part in each] for each in answers]
            flat = changed[probe][position].reshape(-1)
            flat[-1] += 1 if output.integer else max(1e-3, 3 * output.rtol) * (1 + abs(flat[-1]))
            changed[probe][position] = flat.reshape(parts[position].shape)
            assert answering(changed).mark == FAILED, (probe, output.name)


def _packed(parts: list) -> object:
    return parts[0] if len(parts) == 1 else tuple(parts)


@pytest.mark.parametrize("task", [task for task in ORACLES if task.divisible], ids=lambda task: task.name)
def test_every_part_of_a_probe_is_an_input_of_the_oracle(task: Task):
    """The search for the smallest input needs that."""
    for arguments in task.probes():
        for position, argument in enumerate(arguments):
            if isinstance(argument, np.ndarray) and argument.shape[0] > 1:
                part = (*arguments[:position], argument[-1:], *arguments[position + 1 :])
                assert expected(task, part) is not None


@pytest.mark.parametrize(
    "style",
    [
        lambda codes: codes.tolist(),
        lambda codes: codes.astype(np.int8 if codes.min() < 0 else np.uint8),
        lambda codes: codes.astype(np.float16),
        lambda codes: codes.astype(object).astype(float),
        lambda codes: tuple(codes.tolist()),
        lambda codes: np.ma.array(codes),
        lambda codes: codes.astype(np.int64).astype(object),
    ],
    ids=["list", "int8", "float16", "float64", "tuple", "masked array", "Python's integers"],
)
def test_the_type_of_the_answer_does_not_matter(style):
    text_of(lambda *arguments: style(right(*arguments)), mark=PASSED)


def test_axes_of_length_one_do_not_matter_for_scales():
    text_of(
        lambda x, bits: np.full((1, 1), np.abs(x).max() or 1) / (2 ** (bits - 1) - 1), check.symmetric_scale, PASSED
    )


def test_any_positive_number_is_a_scale_of_zeros_but_not_infinity():
    def with_scale_of_zeros(scale):
        return lambda x, bits: np.abs(x).max() / (2 ** (bits - 1) - 1) or scale

    for scale in (1, 1e-8, 3e30):
        text_of(with_scale_of_zeros(scale), check.symmetric_scale, PASSED)
    for scale in (np.inf, -1, np.nan):
        assert "any positive number" in text_of(with_scale_of_zeros(scale), check.symmetric_scale)


def _stored(weights, bits=5):
    rows = weights.reshape(len(weights), -1)
    scale = np.abs(rows).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    return np.rint(rows / scale), scale, bits


def _with_code(weights, code):
    codes, scale, bits = _stored(weights)
    codes[0, 0] = code
    return codes, scale, bits


@pytest.mark.parametrize(
    ("store", "words"),
    [
        (lambda weights: (_stored(weights)[0][:1], *_stored(weights)[1:]), "codes * scale must give 9216 values"),
        (lambda weights: (_stored(weights)[0], np.ones(7), 5), "the shapes are (32, 288) and (7,)"),
        (lambda weights: (*_stored(weights)[:2], 5.5), "bits must be one whole number from 1 to 16; it is 5.5"),
        (lambda weights: (*_stored(weights)[:2], [5, 5]), "bits must be one whole number"),
        (lambda weights: _with_code(weights, 16), "hold the whole numbers -16..15; the codes are -15..16"),
        (lambda weights: _with_code(weights, -17), "hold the whole numbers -16..15; the codes are -17..15"),
        (lambda weights: _with_code(weights, 0.5), "hold the whole numbers"),
        (lambda weights: _stored(weights, 6), "6.11 bits per weight: 6 for the codes and 0.11 for 32 scales"),
        (lambda weights: _stored(weights, 4), "the SQNR is 15.3 dB: at least 20 dB"),
        (lambda weights: (_stored(weights)[0] * 0, *_stored(weights)[1:]), "the SQNR is 0.0 dB"),
    ],
    ids=[
        "too few",
        "no broadcast",
        "half bits",
        "two bits",
        "too high",
        "too low",
        "fraction",
        "large",
        "bad",
        "zeros",
    ],
)
def test_what_is_stored_must_decode_fit_and_be_small_and_good(store, words):
    assert words in text_of(store, check.store)


# What goes wrong


def test_the_smallest_input_that_differs_is_shown_with_both_answers():
    text = text_of(lambda *arguments: np.where(np.asarray(right(*arguments)) == 127, 0, right(*arguments)))
    assert "smallest input x = [200.], scale = 1, zero_point = 0, qmin = -128, qmax = 127" in text
    assert "expected codes = [127] yours codes = [0.]" in text


def test_an_unknown_mistake_gets_no_name():
    result = examine(QUICK, lambda *arguments: right(*arguments) + 1)
    assert (result.mark, result.mistake) == (FAILED, None)
    assert "known mistake" not in result.text


def without_guard(x, bits):
    return np.abs(x).max() / (2**bits - 1)


def test_a_missing_guard_hides_no_mistake_and_is_told_besides():
    text = text_of(without_guard, check.symmetric_scale)
    assert "smallest input x = [1.], bits = 8" in text
    assert "“levels per side”" in text
    assert "Besides, on another input: the answer differs. smallest input x = [0., 0.], bits = 8" in text
    assert text.endswith("expected scale = any positive number yours scale = 0")


def test_the_search_for_a_small_input_does_not_end_at_zeros():
    def negative_for_small_values(x, bits):
        return np.abs(x).max() / (2 ** (bits - 1) - 1) if np.abs(x).max() > 0.3 else -1

    task, arguments = check.symmetric_scale, check.symmetric_scale.probes()[-1]
    failure = judge(task, arguments, run(negative_for_small_values, arguments, 1), expected(task, arguments))
    assert failure is not None
    small = smallest(task, negative_for_small_values, failure)
    assert small.arguments[0].size == 1
    assert np.any(small.arguments[0])


def test_an_exception_on_some_inputs_hides_no_mistake_and_is_told_besides():
    text = text_of(lambda codes, scale, zero_point: (codes - np.uint8(zero_point)) * scale, check.dequantize)
    assert "zero_point = 128" in text
    assert "“subtraction in the code type”" in text
    assert "Besides, on another input: OverflowError in line" in text


def test_exceptions_alone_are_no_evidence_for_a_mistake():
    """One wrong answer among exceptions may be chance."""

    def raising_but_once(codes, scale, zero_point):
        if codes.tolist() != [3, 10]:
            raise ValueError
        return codes * scale

    assert examine(check.dequantize, raising_but_once).mistake is None


def given_code(faults):
    """The code of exercise 7 with some of its four faults repaired."""

    def fake_quantize(x, low, high, bits):
        if "range_without_zero" not in faults:
            low, high = min(low, 0), max(high, 0)
        scale = (high - low) / (2**bits - 1)
        whole = int if "truncated_zero_point" in faults else round
        zero_point = max(0, min(whole(-low / scale), 2**bits - 1))
        codes = np.rint(x / scale) + zero_point
        if "wrap_instead_of_clamp" not in faults:
            codes = codes.clip(0, 2**bits - 1)
        codes = codes.astype(np.int64).astype(np.uint8)
        return ((codes if "subtraction_in_the_code_type" in faults else codes.astype(float)) - zero_point) * scale

    return fake_quantize


FAULTS = ("range_without_zero", "truncated_zero_point", "wrap_instead_of_clamp", "subtraction_in_the_code_type")


@pytest.mark.slow
@pytest.mark.parametrize("faults", [left for n in range(1, 5) for left in combinations(FAULTS, n)], ids="+".join)
def test_of_several_faults_one_that_is_there_is_named_on_an_input_that_shows_it_alone(faults):
    result = examine(check.fake_quantize, given_code(faults))
    assert result.mistake in faults, result.text
    shown = re.search(r"x = (\[.+\]), low = (\S+), high = (\S+), bits = (\d)", result.text)
    assert shown
    x, (low, high), bits = np.array(ast.literal_eval(shown[1])), map(float, shown.groups()[1:3]), int(shown[4])
    alone, all_of_them, none = (given_code(each)(x, low, high, bits) for each in ({result.mistake}, faults, ()))
    np.testing.assert_allclose(alone, all_of_them)
    assert not np.allclose(alone, none)
    for other in set(faults) - {result.mistake}:
        np.testing.assert_allclose(given_code({other})(x, low, high, bits), none)


def test_float16_is_named_as_too_coarse_where_that_is_all_that_is_wrong():
    def coarse(x, scale, zero_point, qmin, qmax):
        ends = scale * (qmin - zero_point), scale * (qmax - zero_point)
        return np.maximum(abs(x - np.clip(x, *ends)), scale / 2).astype(np.float16)

    text = text_of(coarse, check.error_bound)
    assert "expected bounds = [1.2] yours bounds = [1.2001953]" in text
    assert "float16 keeps three digits, which is too coarse here" in text
    assert "float16" not in text_of(lambda x, *others: np.float16(3 * coarse(x, *others)), check.error_bound)


def test_float16_is_named_as_too_narrow_where_values_are_too_small_for_it():
    decode = check.float_value.oracle
    text = text_of(lambda *arguments: np.float16(decode(*arguments)), check.float_value)
    assert "float16 has no numbers below 6e-8" in text


def test_right_values_in_a_wrong_shape_get_the_name_of_no_mistake():
    result = examine(check.model_gib, lambda *arguments: np.array([check.model_gib.oracle(*arguments)]))
    assert "GiB has shape (1,): expected is ()" in result.text
    assert result.mistake is None
    wrong = examine(check.model_gib, lambda *arguments: np.array([check.model_gib.oracle(*arguments) * 2**30 / 1e9]))
    assert wrong.mistake == "gigabytes_for_gibibytes"


def test_bit_patterns_are_shown_in_their_fields_and_what_is_none_in_decimal():
    task = replace(check.to_bfloat16, divisible=False)
    text = text_of(lambda patterns: (patterns >> 16).astype(int) - 16261, task)
    assert "patterns = [0b0_01111111_00000000000000000000000]" in text
    assert "expected patterns of bfloat16 = [0b0_01111111_0000000] yours patterns of bfloat16 = [-5]" in text
    assert int("0b0_01111111_0000000", 0) == 0x3F80
    assert "= [16256.5]" in text_of(lambda patterns: (patterns >> 16) + 0.5, task)
    assert "= [inf]" in text_of(lambda patterns: np.full(patterns.shape, np.inf), task)
    assert "= [2139095040]" in text_of(lambda patterns: np.full(patterns.shape, 0x7F800000), task)


def test_small_sizes_are_shown_in_bytes_too():
    text = text_of(lambda p, b, g, s: (p * b / 8 + g * s) / 2**30, check.model_gib)
    assert "expected GiB = 6.332994e-08 (68 bytes) yours GiB = 2.980232e-07 (320 bytes)" in text


def test_one_pattern_of_many_is_shown_with_its_index():
    codes = np.tile(np.array([1, 2], np.int8), 40)
    task = replace(check.pack_int4, probes=lambda: [(codes,)], divisible=False)
    assert "expected packed = 0b0010_0001 at index (0,) yours packed = 0b0010_0000" in text_of(
        lambda codes: check.pack_int4.oracle(codes) - 1, task
    )


def test_values_that_differ_are_never_shown_alike():
    task = replace(check.error_bound, returns=(Output("bounds", rtol=1e-12),), divisible=False)

    def nearly(x, scale, zero_point, qmin, qmax):
        ends = scale * (qmin - zero_point), scale * (qmax - zero_point)
        return np.maximum(abs(x - np.clip(x, *ends)), scale / 2) * (1 + 1e-9)

    assert "expected bounds = [0.25] yours bounds = [0.2500000003]" in text_of(nearly, task)


def test_a_whole_number_is_shown_with_all_its_digits():
    wrong = text_of(lambda accumulators, m, bits: (2**30 + 1, 9, accumulators), check.rescale)
    assert "M0 = 128" in wrong
    assert f"M0 = {2**30 + 1}" in wrong


def test_a_task_with_names_shows_what_was_reached_on_each_input():
    text = text_of(lambda weights: _stored(weights, 4), check.store)
    assert "input conv2 all inputs ✗ conv2 4.11 bits 15.3 dB, ✗ conv4" in text
    partly = text_of(lambda weights: _stored(weights) if len(weights) == 32 else ([1], [1], 5), check.store)
    assert "all inputs ✓ conv2 5.11 bits" in partly
    assert partly.endswith("✗ conv4, ✗ conv6")


def test_no_single_fraction_of_the_peak_stores_all_three_layers_in_4_5_bits():
    """What hint 3 of exercise 8 says; that hints 3 and 4 together do is in tests/exercises/02_uniform.py."""
    groups = check.store.probes()[0][0].reshape(-1, 32).astype(np.float64)
    peak = np.abs(groups).max(axis=1, keepdims=True)
    for fraction in np.linspace(0.7, 1, 61):
        scale = (fraction * peak / 7).astype(np.float16).astype(np.float64)
        noise = np.sum((np.clip(np.rint(groups / scale), -8, 7) * scale - groups) ** 2)
        assert 10 * np.log10(np.sum(groups**2) / noise) < 19.9


def test_none_is_met_with_the_question_for_return():
    assert "returned None: does every path end in `return`?" in text_of(lambda *arguments: None)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("codes", "codes is a str"),
        ({1: 2}, "codes is a dict"),
        ([None, None], "holding a NoneType"),
        ([[1, 2], [3]], "cannot be read as an array"),
        (np.array([True]), "dtype bool"),
        (np.array([1j]), "dtype complex128"),
        ((value for value in [1]), "codes is a generator"),
        (np.array([]), "codes is empty"),
        (len, "codes is a builtin_function_or_method"),
    ],
    ids=["text", "dict", "nones", "ragged", "bool", "complex", "generator", "empty", "function"],
)
def test_a_wrong_type_is_named(value, words):
    assert words in text_of(lambda *arguments: value)


def test_a_wrong_number_of_values_says_which_are_expected():
    assert "`return scale, zero_point`" in text_of(lambda x, bits: 3.0, check.affine_parameters)
    assert "returned 3 values: expected are 2" in text_of(lambda x, bits: (1, 2, 3), check.affine_parameters)


def test_a_wrong_shape_is_shown_beside_the_expected_one():
    assert "codes has shape (): expected is (1,)" in text_of(lambda *arguments: right(*arguments).sum())


def test_a_code_that_is_no_whole_number_is_wrong():
    assert "yours codes" in text_of(lambda x, s, z, qmin, qmax: np.clip(x / s + z, qmin, qmax))


def test_nan_is_wrong_and_the_warning_of_numpy_is_passed_on():
    text = text_of(lambda x, *others: x / 0 - x / 0)
    assert "yours codes = [nan] NumPy warned divide by zero" in text


def test_an_exception_is_shown_with_the_learners_line():
    def careless(x, scale, zero_point, qmin, qmax):
        scaled = x / scale
        return np.rint(scaled).reshape(7, 7)

    text = text_of(careless)
    assert text.startswith("✗ quantize: ValueError in line ")
    assert "`return np.rint(scaled).reshape(7, 7)`: cannot reshape" in text


def test_an_exception_inside_a_library_is_shown_with_the_learners_line():
    def careless(x, scale, zero_point, qmin, qmax):
        return np.linalg.inv(x)

    assert "`return np.linalg.inv(x)`" in text_of(careless)


@pytest.mark.parametrize("error", [SystemExit, RecursionError, MemoryError, StopIteration, AssertionError])
def test_any_exception_is_met(error):
    def raising(*arguments):
        raise error("so")

    assert f"{error.__name__} in line" in text_of(raising)


def test_an_in_place_change_is_named_by_its_argument():
    def changing(x, scale, zero_point, qmin, qmax):
        x /= scale
        return np.clip(np.rint(x) + zero_point, qmin, qmax)

    assert "it changed x in place" in text_of(changing)


def test_a_change_in_place_is_no_evidence_for_a_mistake_that_changes_nothing():
    """Right but for the change, it does as the mistakes do on all inputs that hide these."""

    def changing(x, levels, importance):
        codes = np.abs(x[:, np.newaxis] - levels).argmin(axis=1)
        for code in np.unique(codes):
            levels[code] = np.average(x[codes == code], weights=importance[codes == code])
        return levels

    result = examine(check.lloyd_step, changing)
    assert result.mistake is None
    assert result.text.count("it changed levels in place") == 1


def test_a_call_does_not_see_what_an_earlier_one_changed():
    probes = QUICK.probes()

    def changing(x, *others):
        x[...] = 0

    before = probes[0][0].copy()
    run(changing, probes[0], 1.0)
    np.testing.assert_array_equal(probes[0][0], before)


@pytest.mark.parametrize("kind", ["plain", "swallowing", "printing", "sleeping"])
def test_an_endless_loop_ends_in_time_with_its_line_and_leaves_no_thread(kind):
    def plain(*arguments):
        while True:
            pass

    stop = threading.Event()

    def swallowing(*arguments):
        while not stop.is_set():
            try:
                time.sleep(0.001)
            except BaseException:
                continue

    def printing(*arguments):
        while True:
            print("still here")

    def sleeping(*arguments):
        for _ in range(10**9):
            time.sleep(0.01)

    before, started = set(threading.enumerate()), time.monotonic()
    text = text_of({"plain": plain, "swallowing": swallowing, "printing": printing, "sleeping": sleeping}[kind])
    stop.set()
    assert "no answer within 0.3 s in line" in text
    assert "Does every loop come to an end?" in text
    # The bound is generous for a busy machine: what is excluded is one time limit for each of the eleven inputs.
    assert time.monotonic() - started < 3
    for thread in set(threading.enumerate()) - before:
        thread.join(1)
        assert not thread.is_alive()


def test_a_task_may_say_itself_why_an_answer_is_late() -> None:
    def waiting(*arguments):
        for _ in range(1000):
            time.sleep(0.01)

    text = text_of(waiting, replace(QUICK, seconds=0.1, too_slow="Too many to try."))
    assert "no answer within 0.1 s" in text
    assert "Too many to try." in text
    assert "loop" not in text


@pytest.mark.slow
def test_a_slow_import_in_an_answer_is_not_stopped_half_way(tmp_path, monkeypatch) -> None:
    (tmp_path / "slow_library.py").write_text("import time\nfor _ in range(80): time.sleep(0.01)\nVALUE = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def answer(x):
        import slow_library

        return slow_library.VALUE + x

    outcome = run(answer, (1,), seconds=0.2)
    assert (outcome.kind, outcome.value) == ("answer", 8)


def test_a_slow_but_finite_call_is_not_interrupted():
    outcome = run(lambda x: time.sleep(0.2) or x + 1, (1,), seconds=5)
    assert (outcome.kind, outcome.value) == ("answer", 2)


def test_an_interrupt_from_the_keyboard_ends_the_check(monkeypatch):
    def interrupted(thread, timeout=None):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        check.quantize(lambda *arguments: time.sleep(0.5))


def test_a_stub_is_not_attempted():
    def quantize(x, scale, zero_point, qmin, qmax):
        raise NotImplementedError

    assert text_of(quantize, mark=OPEN) == "○ quantize: not attempted yet."


def test_a_call_of_another_stub_says_which():
    def to_units(x, scale):
        raise NotImplementedError

    def quantize(x, scale, zero_point, qmin, qmax):
        return to_units(x, scale)

    assert text_of(quantize, mark=OPEN) == "○ quantize: not attempted yet: it calls to_units, which is not written."


def test_a_library_that_has_not_implemented_something_is_an_error():
    assert "StdinNotImplementedError in line" in text_of(lambda *arguments: _not_a_stub())


def _not_a_stub():
    class StdinNotImplementedError(NotImplementedError):
        """What input() raises in a notebook without a front end."""

    raise StdinNotImplementedError


def test_the_line_of_a_helper_is_shown_with_its_name():
    def helper(x):
        return x.reshape(5, 5)

    assert "of helper: `return x.reshape(5, 5)`" in text_of(lambda x, *others: helper(x))


def test_an_answer_for_some_inputs_only_is_not_unattempted():
    def half_done(x, scale, zero_point, qmin, qmax):
        if zero_point:
            raise NotImplementedError
        return right(x, scale, zero_point, qmin, qmax)

    assert "NotImplementedError in line" in text_of(half_done)


def test_a_call_instead_of_the_function_is_recognised():
    assert text_of(None) == "✗ quantize: pass the function itself, check.quantize(quantize), not NoneType."
    assert "not ndarray" in text_of(np.zeros(3))


def test_a_wrong_signature_is_shown_beside_the_right_one():
    text = text_of(lambda x, scale: x)
    assert "it is called as quantize(x, scale, zero_point, qmin, qmax); yours takes (x, scale)" in text


def test_further_arguments_with_defaults_are_allowed():
    text_of(
        lambda x, scale, zero_point, qmin, qmax, rounding="even": right(x, scale, zero_point, qmin, qmax), mark=PASSED
    )


def test_callables_of_every_kind_pass():
    class Quantizer:
        def __call__(self, *arguments):
            return right(*arguments)

    text_of(Quantizer(), mark=PASSED)
    text_of(np.vectorize(right, otypes=[float]), mark=PASSED)


def test_what_the_function_prints_is_kept_for_the_failing_input(capsys):
    def talking(x, scale, zero_point, qmin, qmax):
        print("scale is", scale)
        return right(x, scale, zero_point, qmin, qmax)

    assert check.quantize(talking)
    assert capsys.readouterr().out.splitlines()[0] == "✓ quantize: right on all 11 inputs tried."
    assert "it printed scale is 1.0" in text_of(lambda *arguments: talking(*arguments) + 1)


def test_the_error_state_of_numpy_holds_inside():
    with np.errstate(divide="raise"):
        text = text_of(lambda x, *others: x / 0)
    assert text.startswith("✗ quantize: FloatingPointError in line")


# How it is said


def test_a_check_prints_and_is_true_when_solved(capsys):
    assert check.quantize(right)
    assert not check.quantize(None)
    passed, _, failed = capsys.readouterr().out.splitlines()
    assert passed.startswith("✓ quantize")
    assert failed.startswith("✗ quantize")


def test_a_fault_of_the_check_itself_is_reported_and_not_raised(capsys):
    def no_data():
        raise OSError("datasets/weights/vgg32.npz is missing")

    result = replace(QUICK, probes=no_data)(right)
    assert (bool(result), result.mark) == (False, OPEN)
    assert "could not be checked: OSError: datasets/weights/vgg32.npz is missing" in capsys.readouterr().out


def test_lines_fit_a_narrow_screen():
    result = examine(check.store, lambda weights: (weights, np.float32(1), 8))
    assert max(map(len, result.text.splitlines())) <= 110


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_a_terminal_of_any_encoding_gets_the_text(encoding):
    code = "from fewerbits.teach import check; print(bool(check.quantize(lambda x, s, z, *ends: (x / s + z).round())))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        timeout=60,
        check=True,
    )
    text = done.stdout.decode(encoding)
    assert ("✗ quantize" if encoding == "utf-8" else "[wrong] quantize") in text
    assert "known mistake" in text
    assert text.endswith(("False\n", "False\r\n"))


def test_a_new_task_is_data_and_an_oracle():
    """What a chapter adds: here, the number of bytes of a packed tensor, by counting bits one by one."""
    task = Task(
        call="packed_bytes(count, bits)",
        returns=(Output("bytes", integer=True),),
        probes=lambda: [(1, 8), (3, 4), (10, 3)],
        oracle=lambda count, bits: next(n for n in range(1000) if 8 * n >= count * bits),
    )
    assert examine(task, lambda count, bits: -(-count * bits // 8)).mark == PASSED
    assert "expected bytes = 2 yours bytes = 1" in text_of(lambda count, bits: count * bits // 8, task)


def test_an_oracle_may_leave_a_choice():
    task = Task("any_even(n)", (Output("even"),), lambda: [(1,)], oracle=lambda n: Between(2, 4))
    assert examine(task, lambda n: 3).mark == PASSED
    assert "expected even = 2 to 4 yours even = 5" in text_of(lambda n: 5, task)


@pytest.mark.parametrize(
    ("middle", "slack", "shown"), [(12.76, 0.02, "12.76 (±0.02)"), (-0.3042397, 0.000476, "-0.30424 (±0.00048)")]
)
def test_a_tolerance_is_shown_as_one(middle, slack, shown):
    task = Task("near(n)", (Output("y"),), lambda: [(1,)], oracle=lambda n: Between(middle - slack, middle + slack))
    assert examine(task, lambda n: middle + 0.9 * slack).mark == PASSED
    assert f"expected y = {shown} yours y = " in text_of(lambda n: middle + 1.1 * slack, task)


def test_names_of_tasks_are_their_names_in_check():
    assert all(getattr(check, name) is task for name, task in check.tasks().items())
    assert set(check.tasks()) <= set(check.__all__)
