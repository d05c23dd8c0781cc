"""`make bench`: print speed and memory as paired ratios, one line each, with the target where there is one."""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import argparse
import importlib
import pkgutil

from tests import bench


def main() -> None:
    modules = sorted(info.name for info in pkgutil.iter_modules(bench.__path__) if not info.name.startswith("_"))
    parser = argparse.ArgumentParser(description="Measure speed as paired, interleaved ratios on one thread.")
    parser.add_argument("names", nargs="*", default=modules, help=f"of {modules}")
    for name in parser.parse_args().names:
        print(f"\n## {name}")
        importlib.import_module(f"tests.bench.{name}").run()


if __name__ == "__main__":
    main()
