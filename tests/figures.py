"""What every figure of the course must be: as wide as a notebook, and readable without zooming."""

from __future__ import annotations

import io

from fewerbits.teach import plots
from matplotlib.text import Text
from PIL import Image


def assert_as_wide_as_a_notebook(figure: plots.Figure, least: int = 250, most: int = 700) -> None:
    """800 dots wide as JupyterLab shows it, and between `least` and `most` high."""
    with Image.open(io.BytesIO(figure._repr_png_())) as image:
        assert image.width == 800
        assert least < image.height < most


def assert_readable(figure: plots.Figure) -> None:
    """All text has ten points or more, and nothing is cut off at an edge."""
    figure.draw_without_rendering()
    assert all(text.get_fontsize() >= 10 for text in figure.findobj(Text) if text.get_text())
    drawn = figure.get_tightbbox()
    assert drawn.x0 >= 0
    assert drawn.x1 <= plots.WIDTH
    assert drawn.y0 >= 0
    assert drawn.y1 <= figure.get_figheight()
