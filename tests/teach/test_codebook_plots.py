"""The figures of codebooks: everything is labelled and inside, and what they draw is what they were given."""

import numpy as np
import pytest
from fewerbits.teach import codebook_plots, plots

from tests.figures import assert_as_wide_as_a_notebook, assert_readable

VALUES = np.random.default_rng(0).normal(size=500)
LEVELS = np.array([-1.5, -0.45, 0.45, 1.5])
POINTS = {f"scheme number {i}": (4 + i / 4, 20.0 + i) for i in range(17)}
ALL = {
    "number_lines": codebook_plots.number_lines({"int4": np.arange(-7, 8) / 7, "k-means": LEVELS}, "Levels"),
    "levels_over_histogram": codebook_plots.levels_over_histogram(VALUES, LEVELS, "Levels and values"),
    "convergence": codebook_plots.convergence([[0, 1], [0.2, 0.9], [0.25, 0.8]], [1.0, 0.5, 0.4], "An iteration"),
    "curves": codebook_plots.curves(
        [1, 2, 4],
        {"a scheme": [1, 2, 3], "another": [3, 2, 1], "limit": [3, 3, 3]},
        "Curves",
        ("bits", "dB"),
        logarithmic=True,
        dashed=["limit"],
    ),
    "distance_bars": codebook_plots.distance_bars(POINTS, "Distances"),
}


@pytest.mark.parametrize("name", ALL)
def test_every_figure_is_as_wide_as_a_notebook_and_has_a_title_and_labels(name):
    assert_as_wide_as_a_notebook(ALL[name], least=200)
    assert any([ALL[name].get_suptitle(), *(axes.get_title() for axes in ALL[name].axes)])
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in ALL[name].axes)


@pytest.mark.parametrize("name", ALL)
def test_all_text_is_at_least_ten_points_and_inside_the_figure(name):
    assert_readable(ALL[name])


def test_thresholds_are_drawn_midway_between_levels_given_in_any_order():
    figure = codebook_plots.levels_over_histogram(VALUES, LEVELS[::-1], "Levels")
    drawn = {style: [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == style]
             for style in ("-", "--")}  # fmt: skip
    assert drawn["-"] == [-1.5, -0.45, 0.45, 1.5]
    assert np.allclose(drawn["--"], [-0.975, 0, 0.975])


def test_many_levels_are_drawn_without_thresholds():
    figure = codebook_plots.levels_over_histogram(VALUES, np.linspace(-2, 2, 16), "Levels")
    assert {line.get_linestyle() for line in figure.axes[0].lines} == {"-"}


def test_the_first_row_of_ticks_is_on_top_and_holds_its_levels():
    first, second = ALL["number_lines"].axes[0].lines
    assert first.get_ydata()[0] > second.get_ydata()[0]
    assert np.allclose(first.get_xdata() * 7, np.arange(-7, 8))


def test_a_limit_is_dashed_and_takes_no_colour_from_the_others():
    lines = {line.get_label(): line for line in ALL["curves"].axes[0].lines}
    assert lines["limit"].get_linestyle() == "--"
    assert lines["another"].get_color() == plots.LINES[1]


def test_each_bar_is_as_long_as_the_distance_to_the_bound():
    bars = ALL["distance_bars"].axes[0].patches
    # 4 bits may have 24.08 dB and the first scheme has 20; the last has 8 bits, 48.16 dB, and 36.
    assert np.isclose(bars[0].get_width(), 4.0824, atol=1e-3)
    assert np.isclose(bars[-1].get_width(), 12.1648, atol=1e-3)
    assert bars[0].get_y() > bars[-1].get_y()
