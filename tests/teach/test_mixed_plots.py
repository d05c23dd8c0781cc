"""The figures of mixed precision: everything is labelled and inside, and what they claim is drawn."""

import numpy as np
import pytest
from fewerbits.teach import mixed_plots

from tests.figures import assert_as_wide_as_a_notebook, assert_readable

NAMES = ["conv1", "conv2", "conv3", "conv4", "conv5", "conv6", "logits"]
SIZES = dict(zip(NAMES, [288, 9216, 18_432, 36_864, 73_728, 147_456, 1280]))
BITS = dict(zip(NAMES, [8, 6, 6, 4, 5, 3, 8]))
TABLE = {name: {b: (i + 1) * 4.0**-b for b in (2, 4, 8)} for i, name in enumerate(NAMES)}
TRUTH = [1e-3, 2e-3, 5e-3]
ALL = {
    "accuracy_against_bits": mixed_plots.accuracy_against_bits(
        (8, 4, 2), {"weights": [0.94, 0.93, 0.2], "activations": [0.94, 0.9, 0.4]}, 0.94, "One side"
    ),
    "sensitivity": mixed_plots.sensitivity(TABLE, "Sensitivity"),
    "predictions": mixed_plots.predictions({"measured": [1e-3, 3e-3, 4e-3], "noise": [2, 1, 3]}, TRUTH, "Order"),
    "bits_by_layer": mixed_plots.bits_by_layer(SIZES, BITS, "Bits"),
    "front": mixed_plots.front(
        {"uniform": {"3": (107.0, 0.88), "4": (142.0, 0.94)}, "mixed": {"3.5": (124.0, 0.945)}},
        {"3", "3.5"},
        0.95,
        "Front",
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_every_figure_is_as_wide_as_a_notebook_and_has_a_title_and_labels(name):
    assert_as_wide_as_a_notebook(ALL[name])
    panels = [axes for axes in ALL[name].axes if axes.get_label() != "<colorbar>"]
    assert all(axes.get_xlabel() and axes.get_title() for axes in panels)
    assert panels[0].get_ylabel() or name == "sensitivity"


@pytest.mark.parametrize("name", ALL)
def test_all_text_is_at_least_ten_points_and_inside_the_figure(name):
    assert_readable(ALL[name])


def test_the_area_of_a_bar_is_the_memory_of_a_layer():
    bars = ALL["bits_by_layer"].axes[0].patches
    areas = [bar.get_width() * bar.get_height() for bar in bars]
    np.testing.assert_allclose(areas, [SIZES[name] * BITS[name] / 1000 for name in NAMES])


def test_the_title_of_a_panel_says_its_rank_correlation():
    titles = [axes.get_title() for axes in ALL["predictions"].axes]
    assert titles[0].endswith("1.00")
    assert titles[1].endswith("0.50")


def test_the_front_joins_its_candidates_only():
    line = next(line for line in ALL["front"].axes[0].lines if line.get_label() == "Pareto front")
    assert list(line.get_xdata()) == [107.0, 124.0]
