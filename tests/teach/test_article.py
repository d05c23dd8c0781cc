"""How each function of the article fails as published, and that its repaired version does not."""

import inspect
import textwrap

import numpy as np
import pytest
from fewerbits.teach import article
from fewerbits.teach.environment import ROOT
from fewerbits.tensor.uniform import Uniform

RNG = np.random.default_rng(7)
X = RNG.standard_normal(1000).astype(np.float32)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_published_uniform_codes_take_one_bit_more_than_asked_for(bits):
    x = np.linspace(-1, 1, 100_001)
    codes = article.uniform_quantization(x, bits)
    assert (codes.min(), codes.max()) == (-(2**bits - 1), 2**bits - 1)
    assert len(np.unique(codes)) == 2 ** (bits + 1) - 1 > 2**bits


def test_the_published_uniform_codes_are_the_same_for_tensors_of_any_scale():
    # A power of two changes no bit of any quotient.
    assert np.array_equal(article.uniform_quantization(X, 8), article.uniform_quantization(X * 128, 8))


def test_the_published_uniform_codes_are_floats_and_nan_for_a_tensor_of_zeros():
    assert article.uniform_quantization(X, 8).dtype == np.float32
    with np.errstate(invalid="ignore"):
        assert np.isnan(article.uniform_quantization(np.zeros(3), 8)).all()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_repaired_uniform_function_stays_in_its_bits_and_comes_back_within_half_a_step(bits):
    codes, scheme = article.repaired_uniform_quantization(X, bits)
    largest = 2 ** (bits - 1) - 1
    assert np.abs(codes).max() == largest
    assert codes.dtype == np.int8
    step = np.abs(X).max() / largest
    assert scheme.quantize(-2 * np.abs(X).max()) == -largest
    assert np.abs(scheme.dequantize(codes) - X).max() <= step / 2 + 2 * np.abs(X).max() * 2.0**-24


def test_the_repaired_uniform_function_hands_over_the_scale():
    small, large = (article.repaired_uniform_quantization(x, 8) for x in (X, X * 128))
    assert np.array_equal(small.codes, large.codes)
    assert np.array_equal(large.dequantize(), small.dequantize() * 128)


def test_the_repaired_uniform_function_keeps_zeros():
    assert np.array_equal(article.repaired_uniform_quantization(np.zeros(3), 8).dequantize(), np.zeros(3))


def test_the_published_logarithm_loses_the_sign():
    assert np.array_equal(article.logarithmic_quantization(X, 8), article.logarithmic_quantization(-X, 8))


def test_the_published_logarithm_sends_zero_to_infinity():
    with np.errstate(divide="ignore"):
        codes = article.logarithmic_quantization(np.array([0.0, 1.0]), 8)
    assert np.isinf(codes[0])


def test_the_published_logarithm_has_the_scale_for_its_base():
    # s = 1/255, so that log|x|/log s = log_255(1/|x|): a factor of 15.97 in x is half a code, 16 of them a lump of one.
    codes = article.logarithmic_quantization(np.array([1.0, 0.5, 0.1, 0.01, 1 / 255]), 8)
    assert codes.tolist() == [0, 0, 0, 1, 1]
    # A tensor that peaks at 255 has s = 1 and log s = 0: division by zero.
    with np.errstate(divide="ignore", invalid="ignore"):
        assert not np.isfinite(article.logarithmic_quantization(np.array([2.0, 255.0]), 8)).any()


def test_the_published_logarithm_does_not_honour_its_bits():
    # Eight bits could tell 256 magnitudes apart; five decades get two codes.
    assert len(np.unique(article.logarithmic_quantization(np.geomspace(0.003, 1, 1000), 8))) == 2


def test_the_repaired_logarithm_keeps_signs_and_zeros_and_its_bits():
    x = np.concatenate([X, [0.0]]).astype(np.float32)
    codes, scheme = article.repaired_logarithmic_quantization(x, 6)
    restored = scheme.dequantize(codes)
    assert restored[-1] == 0
    assert np.array_equal(np.sign(restored), np.sign(x))
    assert len(np.unique(codes)) <= 2**6


def test_the_repaired_logarithm_errs_by_at_most_half_an_octave():
    # 2^5 − 1 = 31 levels per sign reach 2^30 below the peak, further than any of these values.
    x = (np.geomspace(1e-6, 1, 1000) * np.resize([1, -1], 1000)).astype(np.float32)
    restored = article.repaired_logarithmic_quantization(x, 6).dequantize()
    assert np.abs(np.log2(restored / x)).max() <= 0.5 + 1e-6


def test_the_published_mixed_precision_rounds_one_tensor_twice():
    weights, activations = article.mixed_precision_quantization(X, 4, 8)
    assert np.array_equal(weights, article.uniform_quantization(X, 4))
    assert np.array_equal(activations, article.uniform_quantization(X, 8))


def test_the_repaired_mixed_precision_quantizes_two_tensors_whose_product_holds():
    w = RNG.standard_normal((32, 64)).astype(np.float32)
    x = RNG.random((16, 64)).astype(np.float32)
    weights, activations = article.repaired_mixed_precision_quantization(w, x, 6, 8)
    assert len(np.unique(weights.codes)) <= 2**6
    assert (activations.codes.min(), activations.codes.max()) == (0, 255)
    exact = x.astype(np.float64) @ w.T
    scale = float(weights.scheme.scale) * float(activations.scheme.scale)
    in_integers = (activations.codes.astype(int) - int(activations.scheme.zero_point)) @ weights.codes.astype(int).T
    assert np.allclose(
        scale * in_integers, activations.dequantize().astype(np.float64) @ weights.dequantize().T, rtol=1e-5, atol=1e-4
    )
    assert np.sqrt(np.mean((scale * in_integers - exact) ** 2)) < 0.05 * exact.std()


def test_the_lesson_shows_the_published_function_word_for_word():
    published = inspect.getsource(article.uniform_quantization)
    body = published[published.index("    # Calculate") :].replace("  # noqa: RET504  quoted as published", "")
    shown = "def uniform_quantization(x, num_bits):\n" + textwrap.indent(textwrap.dedent(body), "    ")
    assert shown in (ROOT / "notebooks" / "source" / "02_uniform.py").read_text(encoding="utf-8")


def test_repaired_functions_return_schemes_of_the_package():
    assert isinstance(article.repaired_uniform_quantization(X, 8).scheme, Uniform)
