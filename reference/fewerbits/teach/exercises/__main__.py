"""`python -m fewerbits.teach.exercises`: lay out the learner's copies; with `progress`: show what is solved."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from fewerbits.teach.exercises.copies import lay_out
from fewerbits.teach.exercises.folders import EXERCISES
from fewerbits.teach.exercises.progress import overview


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fewerbits.teach.exercises", description=__doc__)
    parser.add_argument("action", nargs="?", choices=("copies", "progress"), default="copies")
    action = parser.parse_args(arguments).action
    if action == "progress":
        _say(overview())
        return 0
    try:
        for sentence in lay_out(EXERCISES):
            _say(sentence)
    except OSError as error:
        _say(f"The exercises could not be copied: {error}")
        return 1
    return 0


def _say(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


if __name__ == "__main__":
    sys.exit(main())
