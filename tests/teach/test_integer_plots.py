"""The figures of integers: everything is labelled and inside, and what differs stands out."""

import numpy as np
import pytest
from fewerbits.teach import integer_plots

from tests.figures import assert_as_wide_as_a_notebook, assert_readable

SUMS = np.arange(-8, 9, dtype=np.int32)
ALL = {
    "headroom": integer_plots.headroom({"worst": [3e5, 9e6], "seen": [1e5, 2e5]}, ["conv1", "conv2"], "Room"),
    "rounding_rules": integer_plots.rounding_rules(SUMS, 0.25, "Rules"),
    "saturated_sums": integer_plots.saturated_sums([1, 2, 40_000], [1, 2, 32_767], "Pairs"),
}


@pytest.mark.parametrize("name", ALL)
def test_every_figure_is_as_wide_as_a_notebook_and_has_a_title_and_labels(name):
    assert_as_wide_as_a_notebook(ALL[name])
    assert all(axes.get_title() and axes.get_xlabel() and axes.get_ylabel() for axes in ALL[name].axes)


@pytest.mark.parametrize("name", ALL)
def test_all_text_is_at_least_ten_points_and_inside_the_figure(name):
    assert_readable(ALL[name])


def test_the_rows_of_dots_show_the_codes_of_each_rule():
    lines = {line.get_label(): np.rint(line.get_ydata()) for line in ALL["rounding_rules"].axes[0].lines}
    np.testing.assert_array_equal(lines["float32"], np.rint(SUMS / 4))
    np.testing.assert_array_equal(lines["half_up"], np.floor(SUMS / 4 + 0.5))
    assert lines["gemmlowp"][SUMS == 1] == 1


def test_only_sums_that_differ_count_as_saturated():
    lines = {line.get_label(): line.get_xdata().tolist() for line in ALL["saturated_sums"].axes[0].lines}
    assert lines == {"unchanged": [1, 2], "saturated": [40_000]}
