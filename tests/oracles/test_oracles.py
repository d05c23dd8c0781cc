"""Each row of the oracle matrix holds."""

from __future__ import annotations

import pytest

from tests.oracles.registry import Row, all_rows


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: f"{row.operation}-{row.oracle}")
def test_row_holds(row: Row) -> None:
    if row.missing:
        pytest.skip(f"{row.missing} is not installed")
    cases, mismatches = row.count()
    assert cases > 0
    if row.expect == "equal":
        assert mismatches == 0, f"{mismatches} of {cases} differ from {row.oracle}"
    else:
        assert mismatches > 0, f"the documented disagreement with {row.oracle} is gone"
