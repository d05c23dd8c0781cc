"""Run the capstone: `python -m fewerbits.capstone [NETWORK ...]`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
from pathlib import Path

from tqdm.auto import tqdm

from fewerbits import data
from fewerbits.capstone import report
from fewerbits.capstone.evaluate import evaluate
from fewerbits.deploy.roofline import measure_ceilings
from fewerbits.teach import plots

NETWORKS = ("vgg32", "residual", "depthwise")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m fewerbits.capstone", description="Quantize trained CNNs, run them for real and report."
    )
    shipped = [name for name in (*NETWORKS, "tiny") if f"weights/{name}.npz" in data.checksums()]
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(shipped)}; without: all but tiny")
    parser.add_argument("--output", type=Path, default=Path("work/capstone"), help="folder for ONNX files and report")
    options = parser.parse_args()
    if unknown := set(options.names) - set(shipped):
        parser.error(f"{sorted(unknown)[0]!r} is not shipped: accepted are {', '.join(shipped)}")
    names = options.names or [name for name in shipped if name in NETWORKS]
    options.output.mkdir(parents=True, exist_ok=True)
    ceilings = measure_ceilings()
    results = [evaluate(name, options.output, ceilings) for name in tqdm(names, desc="networks", leave=False)]
    print(report.table(results, ceilings))
    found = json.dumps(report.record(results, ceilings), indent=2, ensure_ascii=False)
    (options.output / "report.json").write_text(found, encoding="utf-8")
    plots.use_style()
    report.figure(results).savefig(options.output / "report.png")
    print(f"\nONNX files, report.json and report.png are in {options.output}")


if __name__ == "__main__":
    main()
