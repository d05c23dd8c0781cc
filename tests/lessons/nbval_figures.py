"""A pytest plugin for the nbval runs (`-p tests.lessons.nbval_figures`): compares figures, which nbval skips.

A figure of a cell that is not tagged `nbval-ignore-output` must look like the stored one; a tagged cell must show
at least the figures that are stored (its widgets may draw more), none of them blank.
"""

from collections.abc import Generator

import pytest
from nbval.plugin import IPyNbCell

from tests.lessons.figures import images_of, is_blank, look_alike


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    yield
    if not isinstance(item, IPyNbCell):
        return
    stored, fresh = images_of(item.cell.outputs), images_of(item.test_outputs or [])
    compared = item.options["check"]
    if len(fresh) < len(stored) or (compared and len(fresh) > len(stored)):
        item.raise_cell_error(f"{len(stored)} figures are stored, {len(fresh)} are drawn now")
    for number, (old, new) in enumerate(zip(stored, fresh), 1):
        if is_blank(new):
            item.raise_cell_error(f"Figure {number} is blank")
        if compared and not look_alike(old, new):
            item.raise_cell_error(f"Figure {number} does not look like the stored one")
