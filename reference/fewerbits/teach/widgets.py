"""Sliders over a figure. Lessons call the same drawing function once more without them, for readers and tests
that have no running kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
from IPython.display import display


def play(draw: Callable[..., Any], **ranges: tuple[float, float, float]) -> ipywidgets.Widget:
    """A slider for each argument of `draw`, above the figure that `draw` returns for their values.

    Each range is (lowest, highest, first value): three integers give an integer slider, else it moves in hundredths
    of the range. An underscore in a name is shown as a space.
    """
    controls = {name: _slider(name, *range_) for name, range_ in ranges.items()}
    figure = ipywidgets.interactive_output(lambda **values: display(draw(**values)), controls)
    return ipywidgets.VBox([*controls.values(), figure])


def _slider(name: str, low: float, high: float, start: float) -> ipywidgets.Widget:
    look: dict[str, Any] = {
        "description": name.replace("_", " "),
        "style": {"description_width": "10em"},
        "layout": ipywidgets.Layout(width="38em"),
    }
    if all(isinstance(value, int) for value in (low, high, start)):
        return ipywidgets.IntSlider(start, low, high, **look)
    return ipywidgets.FloatSlider(start, min=low, max=high, step=(high - low) / 100, readout_format=".2f", **look)
