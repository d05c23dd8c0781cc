"""The shared figures: what they draw is what the scheme does, and all of it can be read."""

import itertools

import matplotlib
import matplotlib.pyplot
import numpy as np
import pytest
from fewerbits.teach import plots
from fewerbits.tensor.scheme import fake_quantize
from fewerbits.tensor.uniform import Uniform

from tests.figures import assert_as_wide_as_a_notebook, assert_readable

RNG = np.random.default_rng(3)
VALUES = RNG.standard_normal(2000).astype(np.float32)
MATRIX = RNG.standard_normal((4, 4)).astype(np.float32)
THREE_BITS = Uniform.from_range(-1.0, 1.0, bits=3, narrow_range=True)


class EveryThird:
    """A scheme that is not uniform: the protocol is all that the figures may use."""

    def quantize(self, x):
        return np.digitize(np.asarray(x), [-0.5, 0.1, 2.0]).astype(np.int8)

    def dequantize(self, codes):
        return np.array([-1.0, 0.0, 1.0, 3.0], np.float32)[codes]

    def nbytes(self, shape):
        return int(np.prod(shape))


def figures(scheme):
    return {
        "staircase": plots.staircase(scheme, -1.5, 1.5, values=VALUES),
        "error_against_input": plots.error_against_input(scheme, -1.5, 1.5, bound=0.1),
        "relative_error": plots.relative_error(scheme, VALUES),
        "triptych": plots.triptych(MATRIX, scheme),
        "shared_scales": plots.shared_scales(
            MATRIX, {"one": scheme, "two": scheme}, {"one": (4, 4), "two": (1, 4)}, title="Scales"
        ),
        "sqnr_against_bits": plots.sqnr_against_bits(range(2, 5), {"a tensor": [6.0, 12.0, 18.0]}),
        "histogram": plots.histogram(VALUES, scheme),
    }


ALL = figures(THREE_BITS)


@pytest.mark.parametrize("name", ALL)
def test_every_figure_is_as_wide_as_a_notebook_and_has_a_title(name):
    assert_as_wide_as_a_notebook(ALL[name])
    titles = [ALL[name].get_suptitle(), *(axes.get_title() for axes in ALL[name].axes)]
    assert any(titles)


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("triptych", "shared_scales")])
def test_every_axis_has_a_label(name):
    axes = ALL[name].axes[0]
    assert axes.get_xlabel()
    assert axes.get_ylabel()


@pytest.mark.parametrize("name", ALL)
def test_all_text_is_at_least_ten_points_and_inside_the_figure(name):
    assert_readable(ALL[name])


@pytest.mark.slow
def test_every_figure_takes_any_scheme():
    for figure in figures(EveryThird()).values():
        assert figure._repr_png_().startswith(b"\x89PNG")


def test_figures_do_not_pile_up_in_a_global_list():
    assert ALL
    assert matplotlib.pyplot.get_fignums() == []


def test_the_staircase_draws_what_the_scheme_returns():
    (axes, *_) = plots.staircase(THREE_BITS, -1.5, 1.5).axes
    x, y = next(
        line.get_data() for line in axes.lines if "quantization)" in line.get_label() and "x̂" in line.get_label()
    )
    assert np.array_equal(y, fake_quantize(THREE_BITS, x.astype(np.float32)))
    assert len(np.unique(y)) == 7


def test_the_staircase_shades_exactly_what_saturates():
    figure = plots.staircase(THREE_BITS, -1.5, 1.5)
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in figure.axes[0].patches)
    # Levels end at ±1 with steps of ⅓: beyond ±7/6 a value is more than half a step from every level.
    assert np.allclose(spans, [(-1.5, -7 / 6), (7 / 6, 1.5)], atol=1e-6)
    assert not plots.staircase(THREE_BITS, -1.0, 1.0).axes[0].patches


def test_few_levels_carry_their_codes_and_many_only_as_many_labels_as_fit():
    def labels(scheme):
        axes = plots.staircase(scheme, -1.5, 1.5).axes[0]
        return [label.get_text() for label in axes.child_axes[0].get_yticklabels()]

    assert labels(THREE_BITS) == ["−3", "−2", "−1", "0", "1", "2", "3"]
    many = labels(Uniform.from_range(-1.0, 1.0, bits=8))
    assert {"−128", "0", "127"} <= set(many)
    assert 4 < len(many) <= 22


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("limit", [0.15, 0.3, 1.0, 1.5])
def test_labels_of_codes_do_not_touch(bits, limit):
    figure = plots.staircase(Uniform.from_range(-limit, limit, bits), -1.5, 1.5)
    figure.draw_without_rendering()
    # A line of text is higher than its digits, which fill three quarters of it.
    lines = [label.get_window_extent() for label in figure.axes[0].child_axes[0].get_yticklabels() if label.get_text()]
    assert len(lines) > 0
    assert all(upper.y0 - lower.y0 > 0.75 * lower.height for lower, upper in itertools.pairwise(lines))


def test_the_error_figure_draws_the_error_and_its_bound():
    axes = plots.error_against_input(THREE_BITS, -1.0, 1.0, bound=1 / 6).axes[0]
    x, error = axes.lines[0].get_data()
    assert np.array_equal(error, fake_quantize(THREE_BITS, x.astype(np.float32)) - x)
    assert sorted(float(line.get_ydata()[0]) for line in axes.lines[1:]) == [-1 / 6, 1 / 6]


def test_the_relative_error_of_values_that_become_zero_is_100_percent():
    x = np.array([0.0, 0.01, 0.1, 1.0], np.float32)
    magnitude, percent = plots.relative_error(THREE_BITS, x).axes[0].lines[0].get_data()
    assert np.allclose(magnitude, [0.01, 0.1, 1.0])
    assert np.allclose(percent, [100, 100, 0], atol=1e-4)


def test_the_relative_error_says_how_many_values_it_shows_and_marks_half_a_step():
    def texts(x, **options):
        return [text.get_text() for text in plots.relative_error(THREE_BITS, x, **options).axes[0].legend_.get_texts()]

    assert texts(np.linspace(0.1, 1, 5000)) == ["one dot per value"]
    assert texts(np.linspace(-1, 1, 20000)) == ["5,000 of 20,000 values"]
    assert texts(np.linspace(0.1, 1, 9), half_step=1 / 6)[1] == "half a step: 0.167"
    marked = plots.relative_error(THREE_BITS, VALUES, half_step=1 / 6).axes[0].lines[1]
    assert list(marked.get_xdata()) == [1 / 6, 1 / 6]


def test_small_matrices_show_their_numbers_and_large_ones_do_not():
    def numbers(matrix):
        return [text.get_text() for axes in plots.triptych(matrix, THREE_BITS).axes for text in axes.texts]

    assert numbers(np.array([[0.6, -1.0]], np.float32)) == ["0.60", "−1.00", "0.67", "−1.00", "0.07", "0.00"]
    assert numbers(np.zeros((28, 28))) == []


def test_boxes_surround_the_values_that_share_a_scale():
    schemes = {"tensor": Uniform.fit(MATRIX, 4), "pairs": Uniform.fit(MATRIX, 4, axis=1, group_size=2)}
    figure = plots.shared_scales(MATRIX, schemes, {"tensor": (4, 4), "pairs": (1, 2)}, title="Scales")
    boxes = {axes.get_title(): len(axes.patches) for axes in figure.axes if axes.get_title()}
    assert boxes == {"the values x": 0, "tensor": schemes["tensor"].scale.size, "pairs": schemes["pairs"].scale.size}
    numbers = [text.get_text() for text in figure.axes[0].texts]
    assert numbers == [f"{value:.2f}".replace("-", "−") for value in MATRIX.ravel()]


def test_the_reference_line_rises_by_six_decibels_per_bit():
    axes = plots.sqnr_against_bits(range(2, 9), {"a tensor": list(range(7))}).axes[0]
    reference = next(line for line in axes.lines if "6.02" in line.get_label())
    assert np.allclose(np.diff(reference.get_ydata()), 20 * np.log10(2), atol=1e-4)


def test_the_histogram_marks_the_levels_between_the_extremes():
    axes = plots.histogram(np.linspace(-1, 1, 500), THREE_BITS).axes[0]
    rug = next(line for line in axes.lines if "levels" in line.get_label())
    assert np.allclose(rug.get_xdata(), np.arange(-3, 4) / 3)


@pytest.mark.slow
def test_a_constant_and_a_zero_matrix_can_be_drawn():
    for matrix in (np.zeros((3, 3), np.float32), np.full((3, 3), 0.5, np.float32)):
        assert plots.triptych(matrix, THREE_BITS)._repr_png_()
        assert plots.histogram(matrix, THREE_BITS)._repr_png_()


def test_use_style_gives_later_figures_the_style_of_the_course():
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        plots.use_style()
        assert matplotlib.rcParams["figure.dpi"] == 100
        assert matplotlib.rcParams["font.size"] >= 10
        assert matplotlib.rcParams["image.cmap"] == "cividis"
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0] == plots.BLUE
