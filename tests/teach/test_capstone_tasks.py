"""What the exercises of chapter 09 state: bytes, shares of right answers, and what is asked for."""

import re

import pytest
from fewerbits import data
from fewerbits.network import mixed
from fewerbits.network.folding import fold
from fewerbits.teach.check.capstone import networks
from fewerbits.teach.exercises.folders import EXERCISES

SOURCE = (EXERCISES / "source" / "09_small_cnn.py").read_text(encoding="utf-8").replace("\n#", "")


@pytest.mark.parametrize("bits", [[8] * 7, [3] * 7, [8, 5, 4, 4, 3, 3, 6], [2, 3, 4, 5, 6, 8, 2]])
def test_bytes_are_counted_as_the_package_counts_them(bits):
    sizes = mixed.weight_bytes(fold("vgg32", data.load_weights("vgg32")))
    assert networks.bytes_of(bits) == sum(row[b] for row, b in zip(sizes.values(), bits))


def test_the_exercise_states_the_budgets_and_shares_that_are_asked():
    for budget, share in networks.REQUIRED.items():
        assert f"{budget:,}" in SOURCE
        assert f"**{share:.1%}**".replace("%", " %") in SOURCE
    assert f"first {networks.HELD_OUT:,} test images" in SOURCE


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 3])
def test_the_exercise_states_what_equal_bits_take_and_reach(bits):
    assert f"{networks.bytes_of([bits] * 7):,}" in SOURCE
    stated = [float(share) for share in re.findall(r"(?:reach|give) (\d\d\.\d) %", SOURCE)]
    reached = 100 * networks.accuracy_of((bits,) * 7)
    assert any(reached == pytest.approx(share, abs=0.21) for share in stated)


@pytest.mark.slow
def test_ninety_thousand_bytes_by_the_same_recipe_are_wrong_on_most_images():
    bits = (8, 5, 3, 2, 3, 2, 8)
    assert networks.bytes_of(bits) <= 90_000
    assert networks.accuracy_of(bits) < 0.5
