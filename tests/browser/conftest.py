"""One JupyterLab and one browser for all browser tests, on a copy of the notebooks."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from fewerbits.teach import build

from tests.lessons.notebooks import EXERCISES, LESSONS, SOLUTIONS, make

SLIDER = """\
import ipywidgets
import matplotlib.pyplot as plt

def draw(bits):
    plt.plot([0, bits])
    plt.ylim(0, 8)
    plt.show()

ipywidgets.interact(draw, bits=(2, 8))
None"""
DEAF_SLIDER = "ipywidgets.interact(lambda bits: draw(3), bits=(2, 8))\nNone"


def pytest_collection_modifyitems(config, items):
    """Skip all, with the reason in words, unless `-m browser` asks for them and a browser is there."""
    here = Path(__file__).parent
    reason = None
    if "browser" not in config.option.markexpr:
        reason = "browser tests run with `make browser`"
    else:
        try:
            from tests.browser.lab import installed_browser
        except ImportError:
            reason = "playwright is not installed: `make browser` installs it"
        else:
            if installed_browser() is None:
                reason = "no Chromium, Chrome or Edge is installed (Debian: apt install chromium)"
    for item in items:
        if reason and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of a JupyterLab that serves lessons/, exercises/ and a few notebooks of the tests' own."""
    from tests.browser.lab import jupyter_lab

    root, state = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("state")
    for folder, notebooks in {"lessons": LESSONS, "exercises": EXERCISES, "solutions": SOLUTIONS}.items():
        (root / folder).mkdir()
        for notebook in notebooks:
            shutil.copy(notebook, root / folder)
    ignored = ["nbval-ignore-output"]
    make(root / "good.ipynb", SLIDER, "x = 1", tags={0: ignored})
    make(root / "deaf.ipynb", SLIDER, DEAF_SLIDER, tags={0: ignored, 1: ignored}, run=False)
    make(root / "raises.ipynb", "x = 1", "1 / 0", "x = 2", run=False)
    make(root / "warns.ipynb", "import warnings", "warnings.warn('careful')", run=False)
    stale = nbformat.read(make(root / "stale.ipynb", "x = 1", run=False), as_version=4)
    stale.cells[0].outputs = [
        nbformat.v4.new_output("display_data", {build.WIDGET: {"model_id": "0"}, "text/plain": "?"})
    ]
    build.write(stale, root / "stale.ipynb")
    with jupyter_lab(root, state) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    from tests.browser.lab import headless_browser

    with headless_browser() as browser:
        yield browser


@pytest.fixture
def open_notebook(server, browser):
    """A function that opens a notebook of the server, by its path, in a page of its own."""
    from tests.browser.lab import OpenNotebook, new_page

    page = new_page(browser)
    yield lambda path: OpenNotebook(page, server, path)
    page.close()


@pytest.fixture
def screenshot_folder(tmp_path):
    """Where pictures go: the folder that FEWERBITS_SCREENSHOTS names, or a temporary one."""
    return Path(os.environ.get("FEWERBITS_SCREENSHOTS") or tmp_path)
