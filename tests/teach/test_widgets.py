"""Sliders call the drawing function with their values, first and after each move."""

import ipywidgets
from fewerbits.teach import widgets


def sliders(box):
    return {child.description: child for child in box.children if hasattr(child, "min")}


def test_each_range_becomes_a_slider_of_its_kind_with_its_first_value():
    box = widgets.play(lambda bits, clip_at: None, bits=(2, 8, 3), clip_at=(0.5, 1.5, 1.0))
    controls = sliders(box)
    assert isinstance(controls["bits"], ipywidgets.IntSlider)
    assert (controls["bits"].min, controls["bits"].max, controls["bits"].value) == (2, 8, 3)
    assert isinstance(controls["clip at"], ipywidgets.FloatSlider)
    assert controls["clip at"].step == 0.01


def test_moving_a_slider_draws_again_with_the_new_value():
    drawn = []
    box = widgets.play(lambda bits, limit: drawn.append((bits, limit)), bits=(2, 8, 3), limit=(0.0, 1.0, 1.0))
    assert drawn == [(3, 1.0)]
    sliders(box)["bits"].value = 5
    sliders(box)["limit"].value = 0.25
    assert drawn == [(3, 1.0), (5, 1.0), (5, 0.25)]
