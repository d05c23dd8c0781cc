"""`make verify`: print the matrix function × oracle × cases × mismatches; exit 1 when a row does not hold."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from tests.oracles.registry import all_rows

TABLE = Path(__file__).parent / "MATRIX.md"
HEADER = "| operation | oracle | rule | cases | mismatches |\n|---|---|---|---:|---:|\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare every function with independent implementations.")
    parser.add_argument("--only", default="", help="rows whose operation or oracle contains this word")
    parser.add_argument("--write", action="store_true", help=f"also write the table to {TABLE.name}")
    options = parser.parse_args()
    chosen = [row for row in all_rows() if options.only in f"{row.operation} {row.oracle}"]
    lines, failures, operations, oracles = [], 0, set(), set()
    for row in tqdm(chosen, unit="row", disable=not sys.stderr.isatty()):
        if row.missing:
            lines.append(f"| {row.operation} | {row.oracle} | {row.rule} | not installed: {row.missing} | |")
            continue
        cases, mismatches = row.count()
        holds = (mismatches == 0) == (row.expect == "equal") and cases > 0
        failures += not holds
        operations.add(row.operation)
        oracles.add(row.oracle.split()[0])
        note = "" if row.expect == "equal" else " (documented)"
        note += f" (tolerance {row.tolerance:g}: {row.reason})" if row.tolerance else ""
        note += "" if holds else " **FAILS**"
        lines.append(f"| {row.operation} | {row.oracle} | {row.rule} | {cases:,} | {mismatches:,}{note} |")
    table = HEADER + "\n".join(lines)
    print(table)
    summary = f"{len(operations)} operations, {len(oracles)} oracles, {failures} rows that do not hold"
    print(f"\n{summary}")
    if options.write:
        TABLE.write_text(f"# What agrees with what\n\nWritten by `make verify ARGS=--write`: {summary}.\n\n{table}\n")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
