"""Look at a notebook as JupyterLab shows it: `python -m tests.browser.screenshots NOTEBOOK OUT_DIR`.

Runs a copy of the notebook in a real JupyterLab (Run All) and writes one picture per screen; --as-stored shows the
stored outputs without running it. Needs playwright (`pip install playwright`) and an installed Chromium or Chrome.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.browser.lab import OpenNotebook, headless_browser, installed_browser, jupyter_lab, new_page


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.screenshots", description="Screenshots of a notebook."
    )
    parser.add_argument("notebook", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--as-stored", action="store_true", help="show the stored outputs, do not run")
    parser.add_argument("--width", type=int, default=1200, help="of the browser window, in CSS pixels")
    options = parser.parse_args()
    if installed_browser() is None:
        sys.exit("No Chromium, Chrome or Edge is installed (Debian: apt install chromium).")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root, state = Path(folder) / "root", Path(folder) / "state"
        root.mkdir()
        shutil.copy(options.notebook, root)
        with jupyter_lab(root, state) as address, headless_browser() as browser:
            notebook = OpenNotebook(new_page(browser, options.width), address, options.notebook.name)
            if not options.as_stored:
                notebook.run_all()
            for path in notebook.screenshots(options.out_dir, options.notebook.stem):
                print(path)
            errors = notebook.errors()
    print("\n".join(errors), file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
