"""A real JupyterLab in a headless Chromium: what the browser tests and the screenshot command share.

The server runs on a copy of the notebooks, with settings of its own, so that neither the user's JupyterLab nor
the repository notices. No browser is downloaded: an installed one is used.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fewerbits.teach.build import WIDGET
from fewerbits.teach.exercises.folders import WORK_VARIABLE
from playwright.sync_api import Browser, Locator, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
BROWSER_FILES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
BROWSER_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
SETTINGS = {
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none", "scrollPastEnd": False},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
START_SECONDS = 60


def installed_browser() -> str | None:
    """The path of a Chromium, Chrome or Edge on this machine, or None."""
    on_path = (shutil.which(name) for name in BROWSERS)
    return next((path for path in (*on_path, *BROWSER_FILES) if path and Path(path).exists()), None)


@contextmanager
def jupyter_lab(root: Path, state: Path) -> Iterator[str]:
    """Start JupyterLab on the folder `root`, its settings and log in the folder `state`; yields its address.

    The address is "http://127.0.0.1:PORT/?token=TOKEN" without the part from "?" on, see `open_notebook`.
    """
    for name, setting in SETTINGS.items():
        path = state / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(setting), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | {
        "JUPYTER_CONFIG_DIR": str(state / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(state / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(state / "workspaces"),
        "IPYTHONDIR": str(state / "ipython"),
        WORK_VARIABLE: str(root),
        "JUPYTER_TOKEN": secrets.token_hex(16),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += [f"--ServerApp.root_dir={root}", "--LabApp.expose_app_in_browser=True"]
    with open(state / "jupyterlab.log", "w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *options], env=environment, stdout=log, stderr=log
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_up(address, server, state / "jupyterlab.log")
            yield f"{address}/?token={environment['JUPYTER_TOKEN']}"
        finally:
            _shut_down(address, environment["JUPYTER_TOKEN"])
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_until_up(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    server.kill()
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


def _shut_down(address: str, token: str) -> None:
    """Ask the server to stop: it ends its kernels, which a signal would not do on every system."""
    request = urllib.request.Request(
        f"{address}/api/shutdown", method="POST", headers={"Authorization": f"token {token}"}
    )
    with suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def headless_browser() -> Iterator[Browser]:
    """The installed browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_browser(), args=list(BROWSER_OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, width: int = 1200, height: int = 1400) -> Page:
    """An empty page, `width`×`height` CSS pixels."""
    return browser.new_page(viewport={"width": width, "height": height})


class OpenNotebook:
    """A notebook open in JupyterLab, driven through the application's own commands and through the page."""

    def __init__(self, page: Page, address: str, path: str) -> None:
        """Open `path` (relative to the server's folder) and wait until its kernel is ready."""
        base, token = address.split("/?")
        self.page = page
        page.goto(f"{base}/doc/tree/{path}?{token}")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.evaluate("async () => { await window.jupyterapp.restored; }")
        self._panel("await panel.sessionContext.ready")

    def run_all(self, timeout_seconds: float = 300) -> None:
        """Run All, and wait until the last cell has run (or one has failed) and the kernel is idle."""
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        self.wait_until_idle(timeout_seconds)

    def run_cell(self, index: int, timeout_seconds: float = 120) -> None:
        """Run the cell of that index (counting all cells from 0)."""
        self._panel(f"panel.content.activeCellIndex = {index}")
        self.page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-cell'); }")
        self.wait_until_idle(timeout_seconds)

    def set_source(self, index: int, source: str) -> None:
        """Replace the text of a cell, as a learner who types would."""
        self._panel(f"panel.content.widgets[{index}].model.sharedModel.setSource({json.dumps(source)})")

    def wait_until_idle(self, timeout_seconds: float = 120) -> None:
        """Wait until the kernel has had nothing to do for half a second (widgets answer by messages of their own)."""
        idle = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
        quiet_since, deadline = None, time.monotonic() + timeout_seconds
        while quiet_since is None or time.monotonic() - quiet_since < 0.5:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the kernel is still busy after {timeout_seconds:g} s")
            quiet_since = (quiet_since or time.monotonic()) if self.page.evaluate(idle) else None
            self.page.wait_for_timeout(50)

    def cells(self) -> list[dict[str, Any]]:
        """The cells as they are now, outputs included, as nbformat's JSON."""
        return self._panel("return panel.content.model.toJSON().cells")

    def errors(self) -> list[str]:
        """What went wrong in any cell: exceptions, stderr, and widgets that the page could not show."""
        found = []
        for index, cell in enumerate(self.cells()):
            for output in cell.get("outputs", []):
                if output["output_type"] == "error":
                    found.append(f"cell {index} raises {output['ename']}: {output['evalue']}")
                elif output.get("name") == "stderr":
                    found.append(f"cell {index} writes to stderr: {''.join(output['text'])}")
            if any(WIDGET in output.get("data", {}) for output in cell.get("outputs", [])):
                widgets = self._cell(index).locator(".jp-OutputArea .jupyter-widgets")
                if not widgets.count() or widgets.locator("xpath=self::*[contains(@class, 'error')]").count():
                    found.append(f"cell {index} does not show its widget: {self.shown(index)}")
        return found

    def figures(self, index: int) -> list[str]:
        """The addresses (data:...) of the images that the page shows in the outputs of a cell, widgets included."""
        images = self._cell(index).locator(".jp-OutputArea img")
        return [str(images.nth(position).get_attribute("src")) for position in range(images.count())]

    def shown(self, index: int) -> str:
        """The text that the page shows below a cell."""
        return "\n".join(self._cell(index).locator(".jp-OutputArea-output").all_inner_texts())

    def slider_cells(self) -> list[int]:
        """The cells that show a slider."""
        return [index for index in range(len(self.cells())) if self._cell(index).locator(".widget-slider").count()]

    def move_slider(self, index: int, steps: int = 1) -> None:
        """Move the first slider of a cell by `steps` with the arrow keys, and wait for its effect."""
        handle = self._cell(index).locator(".widget-slider .noUi-handle").first
        handle.scroll_into_view_if_needed()
        handle.focus()
        for _ in range(abs(steps)):
            handle.press("ArrowRight" if steps > 0 else "ArrowLeft")
        self.wait_until_idle()

    def screenshots(self, folder: Path, stem: str) -> list[Path]:
        """The whole notebook as pictures of one screen each: `folder`/`stem`-01.png, -02.png, ..."""
        folder.mkdir(parents=True, exist_ok=True)
        outer = self.page.locator(".jp-WindowedPanel-outer").first
        outer.evaluate("element => element.scrollTo(0, 0)")
        taken: list[Path] = []
        while True:
            self.page.wait_for_timeout(300)
            taken.append(folder / f"{stem}-{len(taken) + 1:02d}.png")
            self.page.screenshot(path=str(taken[-1]))
            before = outer.evaluate("element => element.scrollTop")
            outer.evaluate("element => element.scrollBy(0, element.clientHeight - 60)")
            if outer.evaluate("element => element.scrollTop") == before:
                return taken

    def _cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def _panel(self, statement: str) -> Any:
        """Run JavaScript with `panel`, the notebook's panel in JupyterLab's application, and return its value."""
        return self.page.evaluate(f"async () => {{ const panel = window.jupyterapp.shell.currentWidget; {statement} }}")
