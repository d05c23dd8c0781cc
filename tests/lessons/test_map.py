"""The map of lesson 00 links the lessons that exist, and says of the others that they are not written yet."""

import re

import pytest

from tests.lessons.notebooks import SOURCES

ROW = re.compile(r"^# \| (?P<name>[^|]*\d\d [a-z_]+[^|]*) \| (?P<outcome>[^|]+) \|$", re.MULTILINE)
EXISTING = {path.stem: path for path in SOURCES}
ROWS = ROW.findall(EXISTING["00_start"].read_text(encoding="utf-8"))


def stem(name):
    return "_".join(re.search(r"(\d\d) (\w+)", name).groups())


def test_the_map_has_all_fourteen_lessons_in_order():
    assert [int(stem(name)[:2]) for name, _ in ROWS] == list(range(14))
    assert {stem(name) for name, _ in ROWS} >= EXISTING.keys()


@pytest.mark.parametrize("name", [name for name, _ in ROWS], ids=stem)
def test_a_lesson_is_linked_if_and_only_if_it_exists(name):
    lesson = stem(name)
    if lesson == "00_start":
        assert "(" not in name
    elif lesson in EXISTING:
        assert name == f"[{lesson[:2]} {lesson[3:]}]({lesson}.ipynb)"
    else:
        assert name.endswith("*(not written yet)*")
