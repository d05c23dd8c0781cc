"""The figures of ranges: everything is labelled and inside, and what is marked is the minimum."""

import numpy as np
import pytest
from fewerbits.teach import calibration_plots, check
from fewerbits.teach.check.calibration import choosing
from fewerbits.teach.check.report import examine
from fewerbits.teach.check.runner import run

from tests.figures import assert_as_wide_as_a_notebook, assert_readable

CLIPS = np.linspace(0.2, 3, 40)
CLIPPING = np.maximum(2 - CLIPS, 0) ** 2
ROUNDING = 0.1 * CLIPS**2
VALUES = np.abs(np.random.default_rng(0).normal(size=500))
ALL = {
    "error_curves": calibration_plots.error_curves(CLIPS, CLIPPING, ROUNDING, "Errors"),
    "clip_over_histogram": calibration_plots.clip_over_histogram(VALUES, 1.0, CLIPS, CLIPPING, ROUNDING, "A clip"),
    "by_layer": calibration_plots.by_layer({"min-max": [10, 12], "MSE": [20, 21]}, ["conv1", "conv2"], "Layers"),
    "scatter_of_draws": calibration_plots.scatter_of_draws(
        {
            "min-max": {1: [1.0, 2.0], 10: [2.0, 3.0]},
            "8 bits": {1: [1.5], 10: [1.4]},
            "MSE": {1: [1.0, 1.1], 10: [1.0]},
        },
        "Draws",
    ),
    "divergence_curves": calibration_plots.divergence_curves(
        [1.0, 2.0, 3.0], {4: [0.4, 0.2, 0.3], 8: [0.1, 0.2, 0.2]}, "Divergences"
    ),
}


@pytest.mark.parametrize("name", ALL)
def test_every_figure_is_as_wide_as_a_notebook_and_has_a_title_and_labels(name):
    assert_as_wide_as_a_notebook(ALL[name])
    assert any([ALL[name].get_suptitle(), *(axes.get_title() for axes in ALL[name].axes)])
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in ALL[name].axes)


@pytest.mark.parametrize("name", ALL)
def test_all_text_is_at_least_ten_points_and_inside_the_figure(name):
    assert_readable(ALL[name])


def test_the_dot_lies_at_the_smallest_sum():
    dot = next(line for line in ALL["error_curves"].axes[0].lines if "least" in line.get_label())
    # d/dc of (2 − c)² + c²/10 is zero at c = 2/1.1.
    assert abs(dot.get_xdata()[0] - 2 / 1.1) <= CLIPS[1] - CLIPS[0]


def test_the_least_divergence_of_each_number_of_bits_is_marked():
    dots = [line for line in ALL["divergence_curves"].axes[0].lines if line.get_marker() == "o"]
    assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == [(2.0, 0.2), (1.0, 0.1)]


def test_what_lies_beyond_the_clip_is_shaded_and_nothing_when_all_lies_within():
    def shaded(clip):
        figure = calibration_plots.clip_over_histogram(VALUES, clip, CLIPS, CLIPPING, ROUNDING, "A clip")
        return [patch for patch in figure.axes[0].patches if patch.get_label() == "saturates"]

    assert np.isclose(shaded(1.0)[0].get_x(), 1.0)
    assert shaded(3.0) == []


def test_every_draw_is_one_dot():
    assert [len(line.get_xdata()) for line in ALL["scatter_of_draws"].axes[0].lines] == [4, 2, 3]


def test_a_nan_that_stays_where_it_was_is_no_change():
    """The inputs of this chapter's exercises hold NaN, which differs from itself."""
    spoiled = np.array([1.0, np.nan])
    assert run(lambda x: 0, (spoiled,), 3).changed is None
    assert run(lambda x: x.fill(np.nan), (spoiled,), 3).changed == 0


@pytest.mark.parametrize("clip", [0.3, 1.0, 1.6, 2.9])
def test_no_legend_lies_over_the_line_of_the_clip(clip):
    figure = calibration_plots.clip_over_histogram(VALUES, clip, CLIPS, CLIPPING, ROUNDING, "A clip")
    figure.canvas.draw()
    for axes in figure.axes:
        line = next(line for line in axes.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2)
        top = line.get_transform().transform(line.get_xydata())[:, 1].max()
        assert axes.get_legend().get_window_extent().y0 >= top


def test_where_nothing_is_clipped_the_check_expects_exactly_zero():
    text = examine(check.tasks()["two_errors"], lambda x, clip, bits: (0.16, 0.16)).text
    assert "clipping = 0\n" in text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            lambda pixels, count: _strided(pixels, count) / np.float32(256),
            "scaled wrongly: their largest value is 0.99",
        ),
        (lambda pixels, count: _strided(pixels, count) // 255, "all values are 0 or 1"),
        (lambda pixels, count: (_strided(pixels, count) / 255).astype(np.float16), "float16 keeps three digits"),
        (lambda pixels, count: _strided(pixels, count)[::-1, :, ::-1] / 255, "not among the photographs"),
    ],
)
def test_the_check_says_what_is_wrong_with_images(wrong, said):
    assert said in " ".join(examine(check.tasks()["calibration_images"], wrong).text.split())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(99, "is it the index"), (0.04737, "mean squared error itself"), (3.4, "times the mean squared error of 1.9")],
)
def test_the_check_of_a_clip_says_where_the_best_one_lies_and_what_came_instead(wrong, said):
    text = " ".join(examine(check.tasks()["best_clip"], lambda x, bits: wrong).text.split())
    assert "x runs from -3.424 to 3.501" in text
    assert said in text


def test_the_check_of_a_clip_says_that_there_is_more_than_one_minimum():
    text = " ".join(examine(check.tasks()["best_clip"], _to_the_first_minimum).text.split())
    assert "is better than its neighbours" in text
    assert "need not be the least" in text


def test_a_layer_that_falls_short_of_the_limit_does_not_seem_to_reach_it():
    def by_percentile(seen, bits):
        return 0, np.percentile(seen[np.isfinite(seen)], 99.98)

    text = examine(check.tasks()["robust_range"], by_percentile).text
    assert "reaches 18.9 dB" in text
    assert "19.0 dB" not in text


def _to_the_first_minimum(x, bits):
    values = x.astype(np.float64)
    clips = np.linspace(0.01, 1, 100) * np.abs(values).max()
    errors = [choosing.error_of(values, clip, bits) for clip in clips]
    return next(clips[i] for i in range(1, 99) if errors[i] < min(errors[i - 1], errors[i + 1]))


def _strided(pixels, count):
    return pixels[:: len(pixels) // count][:count, np.newaxis]
