"""The figures of mistakes: labelled and inside, and the damage is where the mistake makes it."""

import numpy as np
import pytest
from fewerbits.teach import mistakes_plots

from tests.figures import assert_as_wide_as_a_notebook, assert_readable

LINE = np.linspace(-0.9, 2.0, 400, dtype=np.float32)
IMAGE = LINE.reshape(20, 20)
LOW, HIGH = -0.85, 1.4


def back(name):
    return mistakes_plots.made(name, LINE, LOW, HIGH)


ALL = {
    "photographs": mistakes_plots.photographs(dict.fromkeys("ABCDE", IMAGE), (-1, 2), "Five"),
    "curves": mistakes_plots.curves(LINE, {name: back(name) for name in mistakes_plots.MADE}, "All"),
    "both": mistakes_plots.both("wrap_instead_of_clamp", IMAGE, LOW, HIGH, "One"),
}


@pytest.mark.parametrize("name", ALL)
def test_every_figure_is_as_wide_as_a_notebook_and_each_panel_has_a_title(name):
    assert_as_wide_as_a_notebook(ALL[name], most=1000)
    assert all(axes.get_title() for axes in ALL[name].axes if axes.get_visible())


@pytest.mark.parametrize("name", ALL)
def test_all_text_is_at_least_ten_points_and_inside_the_figure(name):
    assert_readable(ALL[name])


def test_each_mistake_damages_its_own_place():
    inside = (LINE > LOW) & (LINE < HIGH)
    step = (HIGH - LOW) / 255
    off = {name: np.abs(back(name) - LINE) > step for name in mistakes_plots.MADE}
    assert not off["wrap_instead_of_clamp"][inside].any()
    assert off["wrap_instead_of_clamp"][HIGH + step < LINE].all()
    assert not off["subtraction_in_the_code_type"][(step < LINE) & inside].any()
    assert off["subtraction_in_the_code_type"][-step > LINE].all()
    assert off["zero_point_forgotten"].all()
    assert off["range_without_zero"].all()
    assert not off["truncation_for_rounding"][inside].any()
    assert off["clamped_codes_in_the_wrong_type"][LOW + 130 * step < LINE].all()


def test_the_suspects_are_different_mistakes_that_can_be_made():
    assert len(set(mistakes_plots.SUSPECTS.values())) == 6
    assert set(mistakes_plots.SUSPECTS.values()) < set(mistakes_plots.MADE)
