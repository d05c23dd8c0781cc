"""The confusion matrix of the diagnosis: mistake × finding. `make confusion` prints it; test_tensors asserts it.

Rows are mistakes that were planted, columns what the diagnosis found; the last row are correct quantizations.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

from fewerbits.diagnose import diagnose

from tests.diagnose import model_faults
from tests.diagnose.correct import Correct, all_correct
from tests.diagnose.planted import Planted, all_planted

SILENT = "(nothing)"


def planted_row(planted: Planted) -> tuple[str, ...]:
    """The names found for one planted mistake."""
    return tuple(found.name for found in planted.look(*planted.arguments, **planted.options)) or (SILENT,)


def correct_row(correct: Correct) -> tuple[str, ...]:
    """The names found for one correct quantization."""
    return tuple(found.name for found in diagnose(*correct.arguments, **correct.options)) or (SILENT,)


def is_named(planted: Planted, found: tuple[str, ...]) -> bool:
    """Whether the mistake was named and nothing else was."""
    return set(found) <= set(planted.accepted)


def matrix(planted: Iterable[Planted], correct: Iterable[Correct]) -> tuple[str, int]:
    """The matrix as text, and how many cells of it are wrong."""
    rows: dict[str, Counter[str]] = {}
    cases: Counter[str] = Counter()
    wrong: list[str] = []
    for item in planted:
        found = planted_row(item)
        cases[item.name] += 1
        rows.setdefault(item.name, Counter()).update(found)
        if not is_named(item, found):
            wrong.append(f"{item.name}: found {', '.join(found)}, not {' or '.join(item.accepted)}")
    for quantization in correct:
        found = correct_row(quantization)
        name = f"correct, by {quantization.maker}"
        cases[name] += 1
        rows.setdefault(name, Counter()).update(found)
        if unexpected := set(found) - {*quantization.allowed, SILENT}:
            wrong.append(f"{name}, {quantization.kind}: found {', '.join(sorted(unexpected))}")
    columns = list(dict.fromkeys([*(name for name in rows if not name.startswith("correct")), SILENT]))
    columns += sorted({name for counts in rows.values() for name in counts} - set(columns))
    numbers = {name: number for number, name in enumerate(columns, 1)}
    lines = ["mistake planted × finding: number of the finding, and how often it was made", ""]
    for name, counts in rows.items():
        own = f"{numbers[name]:>3}" if name in numbers else "  –"
        cells = "   ".join(f"{numbers[found]:>2}: {count}" for found, count in counts.most_common())
        lines.append(f"{own} {name:<38}{cases[name]:>5} cases    {cells}")
    lines += ["", f"{numbers[SILENT]} is {SILENT}"]
    lines += [f"{numbers[name]} is {name}" for name in columns if name not in rows and name != SILENT]
    correct_cases = sum(count for name, count in cases.items() if name.startswith("correct"))
    mistakes = sum(not name.startswith("correct") for name in rows)
    total = sum(cases.values()) - correct_cases
    lines.append(f"{mistakes} mistakes in {total} cases, {correct_cases} correct quantizations: {len(wrong)} wrong")
    lines += [f"  wrong: {line}" for line in wrong]
    return "\n".join(lines), len(wrong)


def main() -> int:
    text, wrong = matrix(all_planted(), all_correct())
    print(text, end="\n\n")
    wrong += model_faults.print_table()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
