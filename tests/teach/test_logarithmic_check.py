"""The open exercise of chapter 04 says how far its solver got."""

import numpy as np
import pytest
from fewerbits.teach import check
from fewerbits.teach.check.report import examine
from fewerbits.tensor.companding import Companding
from fewerbits.tensor.logarithmic import Logarithmic

CODES = np.arange(-31, 32)


@pytest.mark.slow
def test_the_star_is_for_the_mu_law_and_not_for_base_root_2():
    def curve(gradient):
        return Companding.fit(gradient, 6, strength=5000.0).dequantize(CODES)

    def root_2(gradient):
        return Logarithmic.fit(gradient, 6, steps_per_octave=2).dequantize(CODES)

    task = check.tasks()["gradient_levels"]
    assert "★ 21 dB everywhere!" in examine(task, curve).text
    assert examine(task, root_2).text.endswith("For a ★: 21 dB.")


@pytest.mark.slow
def test_a_quantized_gradient_is_told_from_its_levels():
    def quantized(gradient):
        scheme = Logarithmic.fit(gradient, 6, steps_per_octave=2)
        return scheme.dequantize(scheme.quantize(gradient))

    assert "shape of the gradient" in examine(check.tasks()["gradient_levels"], quantized).text
