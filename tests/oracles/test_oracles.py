"""Each row of the oracle matrix holds."""

from __future__ import annotations

import pytest

from tests.oracles.registry import Row, all_rows

PARAMETERS = [
    pytest.param(row, id=f"{row.operation}-{row.oracle}", marks=[pytest.mark.slow] if row.slow else [])
    for row in all_rows()
]


@pytest.mark.parametrize("row", PARAMETERS)
def test_row_holds(row: Row) -> None:
    if row.missing:
        pytest.skip(f"{row.missing} is not installed")
    cases, mismatches = row.count()
    assert cases > 0
    if row.expect == "equal":
        assert mismatches == 0, f"{mismatches} of {cases} differ from {row.oracle}"
    else:
        assert mismatches > 0, f"the documented disagreement with {row.oracle} is gone"
