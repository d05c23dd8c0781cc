"""Every wrong argument is refused with the right exception and a message that names it."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from tests import bad_input
from tests.bad_input import Case

MODULES = sorted(info.name for info in pkgutil.iter_modules(bad_input.__path__))
CASES = [
    pytest.param(case, id=f"{module}-{case.name}")
    for module in MODULES
    for case in importlib.import_module(f"tests.bad_input.{module}").CASES
]


@pytest.mark.parametrize("case", CASES)
def test_wrong_argument_is_refused(case: Case) -> None:
    with pytest.raises(case.exception) as caught:
        case.call()
    assert caught.type is case.exception
    for word in case.words:
        assert word in str(caught.value), f"the message does not name {word!r}: {caught.value}"
