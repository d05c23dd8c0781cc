"""Stored notebooks obey the rules of rules.py; and each rule is shown to notice a notebook that breaks it."""

import json

import pytest

from tests.lessons import rules
from tests.lessons.notebooks import BUILT, EXERCISES, load, make, name

FIGURE = """\
# alt: A line that rises from the lower left to the upper right.
import matplotlib.pyplot as plt
plt.plot([0, 1])
plt.show()"""


@pytest.mark.parametrize("rule", rules.OF_EVERY_NOTEBOOK, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", [*BUILT, *EXERCISES], ids=name)
def test_notebook(path, rule):
    assert list(rule(load(path), path)) == []


@pytest.mark.parametrize("rule", rules.OF_BUILT_NOTEBOOKS, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", BUILT, ids=name)
def test_built_notebook(path, rule):
    assert list(rule(load(path), path)) == []


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A notebook that breaks no rule: text, a result, a figure."""
    return make(tmp_path_factory.mktemp("good") / "good.ipynb", "x = 6", "print(6 * x)", FIGURE)


@pytest.mark.slow
def test_a_good_notebook_breaks_no_rule(good):
    for rule in (*rules.OF_EVERY_NOTEBOOK, *rules.OF_BUILT_NOTEBOOKS):
        assert list(rule(load(good), good)) == [], rule.__name__


def text(output, kind="stdout"):
    return {"name": kind, "output_type": "stream", "text": [output]}


def shown(**data):
    return {"data": data, "metadata": {}, "output_type": "display_data"}


# What is broken in the good notebook's JSON, and the only rule that must notice.
BREAKS = {
    "another kernel": (lambda nb: nb["metadata"]["kernelspec"].update(name="conda-env"), rules.has_the_common_kernel),
    "no kernelspec": (lambda nb: nb["metadata"].pop("kernelspec"), rules.has_the_common_kernel),
    "repeated id": (lambda nb: nb["cells"][1].update(id=nb["cells"][0]["id"]), rules.has_unique_cell_ids),
    "no id": (lambda nb: nb["cells"][1].pop("id"), rules.has_unique_cell_ids),
    "stored widget state": (lambda nb: nb["metadata"].update(widgets={}), rules.has_no_volatile_metadata),
    "python version": (
        lambda nb: nb["metadata"]["language_info"].update(version="3.13"),
        rules.has_no_volatile_metadata,
    ),
    "execution times": (lambda nb: nb["cells"][0]["metadata"].update(execution={}), rules.has_no_volatile_metadata),
    "misspelt tag": (
        lambda nb: nb["cells"][0]["metadata"].update(tags=["nbval-ignore-outputs"]),
        rules.has_no_volatile_metadata,
    ),
    "skipped cell": (lambda nb: nb["cells"][0]["metadata"].update(tags=["nbval-skip"]), rules.has_no_volatile_metadata),
    "large": (lambda nb: nb["cells"][1].update(outputs=[text("x" * 2**20)]), rules.is_small),
    "line magic": (lambda nb: nb["cells"][0].update(source=["%timeit x"]), rules.is_plain_python),
    "cell magic": (lambda nb: nb["cells"][0].update(source=["%%bash\n", "ls"]), rules.is_plain_python),
    "shell command": (lambda nb: nb["cells"][0].update(source=["!ls"]), rules.is_plain_python),
    "hidden magic": (
        lambda nb: nb["cells"][0].update(source=["get_ipython().run_line_magic('timeit', 'x')"]),
        rules.is_plain_python,
    ),
    "semicolon": (lambda nb: nb["cells"][0].update(source=["x = 6;"]), rules.has_no_trailing_semicolon),
    "semicolon and comment": (
        lambda nb: nb["cells"][0].update(source=["x = 6;  # quiet\n"]),
        rules.has_no_trailing_semicolon,
    ),
    "unrun cell": (lambda nb: nb["cells"][1].update(execution_count=None, outputs=[]), rules.was_run_in_order),
    "cell run twice": (lambda nb: nb["cells"][2].update(execution_count=7), rules.was_run_in_order),
    "stderr": (lambda nb: nb["cells"][1].update(outputs=[text("a warning", "stderr")]), rules.has_no_stderr),
    "widget": (
        lambda nb: nb["cells"][1].update(
            outputs=[shown(**{"application/vnd.jupyter.widget-view+json": {"model_id": "3f"}})]
        ),
        rules.has_no_widget_state,
    ),
    "path on Linux": (lambda nb: nb["cells"][1].update(outputs=[text("in /home/ada/x.py")]), rules.names_no_machine),
    "path on macOS": (lambda nb: nb["cells"][1].update(outputs=[text("'/Users/ada/x.py'")]), rules.names_no_machine),
    "path on Windows": (lambda nb: nb["cells"][1].update(outputs=[text("C:\\Users\\ada")]), rules.names_no_machine),
    "path in HTML": (
        lambda nb: nb["cells"][1].update(outputs=[shown(**{"text/html": ["<p>\n", "/tmp/x</p>"]})]),
        rules.names_no_machine,
    ),
    "memory address": (
        lambda nb: nb["cells"][1].update(outputs=[text("<Line2D at 0x7fd2f1a4c0d0>")]),
        rules.names_no_machine,
    ),
    "no alt text": (lambda nb: nb["cells"][2]["metadata"].pop("alt"), rules.describes_each_figure),
    "short alt text": (lambda nb: nb["cells"][2]["metadata"].update(alt="A plot."), rules.describes_each_figure),
    "two figures": (
        lambda nb: nb["cells"][2]["outputs"].append(nb["cells"][2]["outputs"][0]),
        rules.describes_each_figure,
    ),
    "no figure": (lambda nb: nb["cells"][2].update(outputs=[]), rules.describes_each_figure),
    "blank figure": (
        lambda nb: nb["cells"][2]["outputs"][0]["data"].update({"image/png": WHITE_PIXEL}),
        rules.describes_each_figure,
    ),
}
WHITE_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"


@pytest.mark.slow
@pytest.mark.parametrize("broken", BREAKS)
def test_exactly_the_rule_for_it_notices(good, tmp_path, broken):
    damage, rule_for_it = BREAKS[broken]
    notebook = json.loads(good.read_text(encoding="utf-8"))
    damage(notebook)
    path = tmp_path / "broken.ipynb"
    layout = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    path.write_text(layout, encoding="utf-8", newline="\n")
    noticing = [
        rule.__name__ for rule in (*rules.OF_EVERY_NOTEBOOK, *rules.OF_BUILT_NOTEBOOKS) if list(rule(load(path), path))
    ]
    assert noticing == [rule_for_it.__name__]


@pytest.mark.slow
def test_another_layout_is_noticed(good, tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text(json.dumps(json.loads(good.read_text(encoding="utf-8"))), encoding="utf-8")
    assert list(rules.is_written_as_build_writes(load(path), path))


def test_ratios_dates_and_links_are_no_paths():
    for harmless in ("1/2 and 3/tmp", "https://example.org/home/x", "w/o", "a: \\alpha", "s/2", "int8/int32"):
        assert not rules.ABSOLUTE_PATH.search(harmless), harmless
