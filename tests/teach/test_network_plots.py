"""The figures of whole networks: readable, inside, and what they draw is what they were given."""

from __future__ import annotations

import matplotlib
import pytest
from fewerbits.deploy.evaluation import Accuracy
from fewerbits.deploy.timing import Ratio
from fewerbits.teach import network_plots, plots

from tests.figures import assert_readable

ACCURACY = {"float32": Accuracy(0.94, 0.93, 0.95), "int8": Accuracy(0.938, 0.928, 0.948)}
FASTER, SLOWER = Ratio(2.6, 2.8, 2.9, 2.7, 2.9, 0.04, 0.015), Ratio(0.7, 0.9, 1.1, 0.8, 1.0, 0.001, 0.001)
NETWORKS = ("vgg32", "residual", "depthwise")
BYTES = {"float32": 1_152_805, "int8": 300_610}
RATIOS = {"ONNX Runtime float32": FASTER, "torch eager": SLOWER}


@pytest.fixture(scope="module")
def figures():
    with matplotlib.rc_context(plots.STYLE):
        return {
            "accuracies": network_plots.accuracies(ACCURACY),
            "ratios": network_plots.ratios({"a": (FASTER, SLOWER)}, ("batch 1", "batch 64"), {"a": (3.4, 3.2)}),
            "capstone": network_plots.capstone(
                dict.fromkeys(NETWORKS, ACCURACY),
                dict.fromkeys(NETWORKS, BYTES),
                dict.fromkeys(NETWORKS, RATIOS),
                dict.fromkeys(NETWORKS, 3.4),
            ),
        }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accuracies", "ratios", "capstone"])
def test_all_text_is_at_least_ten_points_and_inside_the_figure(name, figures) -> None:
    assert all(axes.get_title() for axes in figures[name].axes)
    assert_readable(figures[name])


def test_the_capstone_figure_shows_every_network_with_its_interval_size_and_prediction(figures) -> None:
    left, middle, right = figures["capstone"].axes
    assert [text.get_text() for text in left.get_yticklabels()] == list(NETWORKS)
    assert [bar.get_width() for bar in middle.patches] == [1152.805] * 3 + [300.61] * 3
    low, high = left.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert (low, high) == pytest.approx((0.93, 0.95))
    assert right.containers[1].lines[0].get_xdata() == pytest.approx([0.9] * 3)
    predicted = [line for line in right.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in predicted] == [3.4] * 3
