"""Two drawings of a figure look alike when text moved a little, and do not when a reader would see a difference."""

import base64
import io

import matplotlib.figure
import numpy as np
import pytest

from tests.lessons.figures import is_blank, look_alike


def draw(power=2, curve=True, shift=0.0, dpi=100, style="-", title="The square of x"):
    figure = matplotlib.figure.Figure(figsize=(6.4, 4.0), dpi=dpi)
    axes = figure.add_axes((0.12 + shift, 0.12, 0.8, 0.76))
    x = np.linspace(0, 1, 100)
    axes.plot(x, x, "--", color="black")
    if curve:
        axes.plot(x, x**power, style, color="#0072B2")
    axes.set(title=title, xlabel="x", ylabel="y", xlim=(0, 1), ylim=(0, 1))
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return base64.b64encode(drawn.getvalue()).decode()


def test_a_figure_looks_like_itself():
    assert look_alike(draw(), draw())


def test_a_shift_by_three_pixels_is_no_difference():
    assert look_alike(draw(), draw(shift=3 / 640))
    assert look_alike(draw(), draw(dpi=103))


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [{"power": 3}, {"power": 2.5}, {"curve": False}, {"style": "o"}, {"title": ""}, {"dpi": 120}, {"shift": 0.05}],
    ids=str,
)
def test_another_drawing_is_noticed_whichever_comes_first(change):
    assert not look_alike(draw(), draw(**change))
    assert not look_alike(draw(**change), draw())


def test_only_an_even_picture_is_blank():
    figure = matplotlib.figure.Figure()
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    assert is_blank(base64.b64encode(drawn.getvalue()).decode())
    assert not is_blank(draw(curve=False))
