"""A guess is compared with the answer, and never stops the notebook."""

import re

import numpy as np
import pytest
from fewerbits.teach.predict import comparison, reveal


@pytest.mark.parametrize(
    ("answer", "unit", "kind"),
    [
        (6.0206, "dB", "a number (dB)"),
        (255, "", "a number"),
        ("no", "", '"yes" or "no"'),
        (True, "", '"yes" or "no"'),
        ("entropy", "", "a word"),
    ],
)
def test_without_a_guess_the_answer_stays_hidden_and_the_way_to_guess_is_told(answer, unit, kind):
    line = comparison(..., answer, unit, 2)
    assert line.startswith(f"No guess yet: write {kind}")
    assert not re.search(r"Answer|\d|entropy", line)
    assert "\n" not in line


def test_what_is_told_without_a_guess_is_the_same_for_every_answer_of_a_kind():
    assert comparison(..., "yes") == comparison(..., "no") == comparison(..., True) == comparison(..., np.bool_(False))
    assert comparison(..., 1.5, "%") == comparison(..., 1e6, "%")


def test_none_brings_the_answer_alone():
    assert comparison(None, 6.0206, "dB", 2) == "Answer: 6.02 dB."
    assert comparison(None, "no") == "Answer: no."


def test_a_number_says_how_far_off_and_in_which_direction():
    assert "too high by 50.0 percentage points" in comparison(100, 50.0, "%")
    assert "too low by 1.5 dB" in comparison(4.5, 6.0, "dB")
    assert comparison(8, 1.0, "times").endswith("Your guess, 8.0 times, is too high by 7.0.")


def test_a_guess_that_rounds_to_the_answer_is_right():
    assert comparison(6.02, 6.0206, "dB", 2).endswith("is right.")
    assert comparison(255, np.float32(255), digits=0).endswith("is right.")


def test_a_guess_just_beside_the_printed_digits_is_not_right():
    assert "too high by 0.01 dB" in comparison(6.0306, 6.0206, "dB", 2)


def test_a_guess_is_repeated_as_it_was_given():
    assert "Your guess, 0.5 %, is too low by 49 percentage points" in comparison(0.5, 49.6, "%", 0)
    assert "Your guess, 1,234.56 bytes," in comparison(1234.56, 7, "bytes", 0)
    assert "Your guess, 50 %," in comparison(50, 49.6, "%", 0)


def test_a_share_in_place_of_percent_is_pointed_out():
    assert "a half is 50" in comparison(0.5, 50.0, "%")
    assert "a half is 50" not in comparison(0.5, 0.7, "%")
    assert "a half is 50" not in comparison(0.5, 50.0, "dB")


@pytest.mark.parametrize("guess", [6, 6.0, np.float64(6), np.int8(6), "6", " 6 % ", np.array(6.0)])
def test_any_kind_of_number_is_understood(guess):
    assert comparison(guess, 6.0, "%").endswith("is right.")


@pytest.mark.parametrize(
    "guess", ["many", [1, 2], object(), {"a": 1}, float("nan"), float("inf"), True, 1j, np.ones(3)]
)
def test_what_is_no_number_only_brings_the_answer(guess):
    line = comparison(guess, 6.0)
    assert line.startswith("Answer: 6.0.")
    assert "not a number to compare" in line


@pytest.mark.parametrize("guess", ["no", "No ", "n", False, "false"])
def test_words_and_truth_values_compare_without_regard_to_case(guess):
    assert comparison(guess, "no").endswith("is right.")
    assert comparison(guess, False).endswith("is right.")


@pytest.mark.parametrize("guess", ["yes", True, 1, "per tensor"])
def test_another_word_is_not_it(guess):
    assert comparison(guess, "no").endswith("is not it.")


def test_reveal_prints_the_comparison(capsys):
    for guess in (..., None, 7):
        reveal(guess, 1234.5, "bytes", 0)
        assert capsys.readouterr().out == comparison(guess, 1234.5, "bytes", 0) + "\n"
    assert "1,234 bytes" in comparison(None, 1234.5, "bytes", 0)
