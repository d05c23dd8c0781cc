"""The figures of chapter 01 show what they are given."""

import ml_dtypes
import numpy as np
import pytest
from fewerbits.deploy.roofline import Ceilings, Cost
from fewerbits.teach import numbers_plots

# At 10 MACs per byte float32 meets its roof, at 40 int8 does.
CEILINGS = Ceilings(bandwidth=1e9, float32=10e9, int8=40e9)
COSTS = {"thin": Cost(1000, 200, 50), "pool": Cost(0, 500, 0), "thick": Cost(100_000, 200, 50)}


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.get_lines()}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_each_value_in_the_range_has_a_tick_and_is_counted():
    axes = numbers_plots.ticks({"a": [0, 1, 2, 9], "b": np.arange(32) / 4}, 0, 2, title="two rows").axes[0]
    a, b = (collection.get_segments() for collection in axes.collections)
    assert [segment[0, 0] for segment in a] == [0, 1, 2]
    assert len(b) == 9
    assert texts(axes) == ["3 values", "9 values"]
    assert axes.get_title() == "two rows"


def test_each_format_has_its_staircase():
    figure = numbers_plots.spacings({"m = 1": ([1, 2, 4], [0.5, 1, 2]), "int": ([1, 8], [1, 1])}, title="steps")
    drawn = lines(figure.axes[0])
    np.testing.assert_array_equal(drawn["m = 1"], [(1, 0.5), (2, 1), (4, 2)])
    assert figure.axes[0].get_lines()[0].get_drawstyle() == "steps-post"


@pytest.mark.parametrize(
    ("exponent_bits", "kind"), [(5, ml_dtypes.float8_e5m2), (4, ml_dtypes.float8_e4m3fn), (0, np.int8)]
)
def test_a_byte_is_read_as_another_library_reads_it(exponent_bits, kind):
    codes = np.arange(256).astype(np.uint8)
    values = np.array([numbers_plots._read(int(code), exponent_bits)[1][code] for code in codes[::17]])
    np.testing.assert_array_equal(values, codes[::17].view(kind).astype(np.float64))


def test_a_pattern_is_shown_with_its_bits_its_value_and_the_distance_to_the_next():
    figure = numbers_plots.eight_bits(0b01000010, exponent_bits=4)
    card, axes = figure.axes
    assert texts(card)[:8] == list("01000010")
    assert texts(card)[8:] == ["sign 0: +", "exponent 8, bias 7: 2^1", "fraction 2: 1 + 2/8 = 1.25", "value 2.5"]
    np.testing.assert_array_equal(lines(axes)["this pattern"], [(2.5, 0.25)])
    assert figure.get_suptitle() == "01000010 read as E4M3: 2.5"


def test_what_is_no_number_has_no_place_among_the_values():
    figure = numbers_plots.eight_bits(0b11111111, exponent_bits=5)
    assert "this pattern" not in lines(figure.axes[1])
    assert "set apart: not a number (NaN)" in " ".join(texts(figure.axes[0]))
    assert "set apart: infinity" in " ".join(texts(numbers_plots.eight_bits(0b11111100, exponent_bits=5).axes[0]))
    assert "(subnormal)" in " ".join(texts(numbers_plots.eight_bits(3, exponent_bits=4).axes[0]))


def test_negative_integers_are_taken_apart_in_twos_complement():
    card = numbers_plots.eight_bits(0b11001000, exponent_bits=0).axes[0]
    assert texts(card)[8:] == ["the first bit counts −128: −128", "the others count 64 … 1: +72", "value −56"]


def test_each_energy_has_a_bar_and_its_number_first_on_top():
    axes = numbers_plots.energies({"add": 0.1, "read": 640}, title="pJ").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [640, 0.1]
    assert texts(axes) == ["640", "0.1"]
    assert axes.patches[0].get_facecolor() != axes.patches[1].get_facecolor()


def test_layers_lie_on_the_roof_at_their_macs_per_byte_and_poolings_are_left_out():
    figure = numbers_plots.roofline(CEILINGS, COSTS, batch=1, title="roof")
    drawn = lines(figure.axes[0])
    np.testing.assert_allclose(drawn["layers in float32"], [(1, 1), (100, 10)])
    np.testing.assert_allclose(drawn["layers in int8"], [(4, 4), (400, 40)])
    assert drawn["float32: at most 10 GMAC/s"][:, 1].max() == 10
    assert sorted(texts(figure.axes[0])) == ["thick", "thick", "thin", "thin"]


def test_a_larger_batch_moves_layers_to_the_right_and_close_ones_share_a_label():
    alike = {"one": Cost(1000, 200, 50), "two": Cost(1010, 200, 50)}
    axes = numbers_plots.roofline(CEILINGS, alike, batch=50, title="roof").axes[0]
    np.testing.assert_allclose(lines(axes)["layers in float32"][0, 0], 1000 / (4 * 201))
    assert texts(axes) == ["one, two", "one, two"]
