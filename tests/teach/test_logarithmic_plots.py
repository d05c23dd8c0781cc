"""The figures of chapter 04 show what they are given."""

import numpy as np
import pytest
from fewerbits.teach import logarithmic_plots
from fewerbits.tensor.logarithmic import Logarithmic
from fewerbits.tensor.uniform import Uniform

SCHEMES = {"equal steps": Uniform.from_range(-1, 1, bits=8, narrow_range=True), "base 2": Logarithmic(0, bits=8)}


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.get_lines()}


@pytest.fixture(scope="module")
def both():
    return [lines(axes) for axes in logarithmic_plots.two_errors(SCHEMES, 1e-4, 1.0, title="two").axes]


def test_the_rms_error_of_equal_steps_is_level_and_that_of_base_2_a_fifth_of_the_value(both):
    x, rms = both[0]["equal steps"].T
    np.testing.assert_allclose(rms[x > 0.2], (1 / 127) / np.sqrt(12), rtol=0.05)
    x, rms = both[0]["base 2"].T
    assert np.min(rms / x) > 0.15
    assert np.max(rms / x) < 0.28


def test_the_relative_error_of_base_2_is_at_most_41_percent_and_of_small_equal_steps_all(both):
    assert both[1]["base 2"][:, 1].max() == pytest.approx(100 * (np.sqrt(2) - 1), abs=0.3)
    x, relative = both[1]["equal steps"].T
    np.testing.assert_allclose(relative[x < 0.5 / 127 * 0.99], 100)


def test_each_signal_has_its_line():
    figure = logarithmic_plots.against_loudness([0, -10], {"a": [40, 30], "b": [38, 37]}, title="loudness")
    drawn = lines(figure.axes[0])
    np.testing.assert_array_equal(drawn["b"], [(0, 38), (-10, 37)])
    assert figure.axes[0].get_title() == "loudness"


def test_each_tensor_has_its_panel_and_each_scheme_its_line():
    curves = {
        "weights": {"equal steps": [1, 7], "base 2": [14, 14]},
        "gradients": {"equal steps": [0, 6], "base 2": [13, 14]},
    }
    figure = logarithmic_plots.by_tensor([3, 4], curves, "SQNR (dB)", title="all")
    assert [axes.get_title() for axes in figure.axes] == ["weights", "gradients"]
    np.testing.assert_array_equal(lines(figure.axes[1])["base 2"], [(3, 13), (4, 14)])
    assert figure.axes[0].get_ylabel() == "SQNR (dB)"
