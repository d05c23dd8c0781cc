"""Lessons are built from their sources, completely, and a second build changes nothing."""

import base64
import io

import nbformat
import numpy as np
import pytest
from fewerbits.teach import build
from PIL import Image, PngImagePlugin

from tests.lessons.notebooks import LESSONS, ROOT, SOURCES, load, make, name

SOURCE = """\
# %% [markdown]
# # Add two numbers

# %%
from fewerbits.tensor import uniform
x = 1

# %% tags=["nbval-ignore-output"]
import time
print(time.perf_counter_ns())

# %%
# alt: A line that rises from the lower left
# to the upper right.
import matplotlib.pyplot as plt
plt.plot([0, x])
plt.show()
"""


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_notebook_agrees_with_its_source(source):
    """Cell by cell: id, kind, text and metadata. If not: make notebooks."""
    stored = load(ROOT / "notebooks" / f"{source.stem}.ipynb")
    for cell in stored.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    written = build.read_source(source)
    assert stored.cells == written.cells
    assert (stored.nbformat, stored.nbformat_minor) == (written.nbformat, written.nbformat_minor)


def test_every_notebook_has_a_source_and_a_number():
    assert [path.stem for path in LESSONS] == [path.stem for path in SOURCES]
    assert all(path.stem[:2].isdigit() and path.stem[2] == "_" for path in SOURCES)


def test_agreement_notices_each_kind_of_change(tmp_path):
    written = tmp_path / "a.py"
    written.write_text(SOURCE, encoding="utf-8")
    cells = build.read_source(written).cells
    for old, new in {
        "two numbers": "three numbers",
        "x = 1": "x = 2",
        "ignore-output": "check-output",
        "A line": "A curve",
        "# %%\nfrom": "# %% [markdown]\n# More.\n\n# %%\nfrom",
    }.items():
        assert old in SOURCE
        written.write_text(SOURCE.replace(old, new), encoding="utf-8")
        assert build.read_source(written).cells != cells, old


def test_an_edit_changes_the_id_of_its_own_cell_only(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(SOURCE, encoding="utf-8")
    before = [cell.id for cell in build.read_source(path).cells]
    path.write_text(
        SOURCE.replace("# %%\nfrom", "# %%\ny = 3\n\n# %%\nfrom").replace("x = 1", "x = 2"), encoding="utf-8"
    )
    after = [cell.id for cell in build.read_source(path).cells]
    assert [after[0], *after[3:]] == [before[0], *before[2:]]
    assert after[2] != before[1]


def test_equal_cells_have_different_ids(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("# %%\nprint(1)\n\n# %%\nprint(1)\n\n# %% [markdown]\n# print(1)\n", encoding="utf-8")
    assert len({cell.id for cell in build.read_source(path).cells}) == 3


def test_alt_text_moves_from_the_comment_to_the_metadata(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(SOURCE, encoding="utf-8")
    figure = build.read_source(path).cells[-1]
    assert figure.metadata.alt == "A line that rises from the lower left to the upper right."
    assert figure.source.startswith("import matplotlib")


def test_the_layout_of_the_text_file_leaves_no_trace(tmp_path):
    path = tmp_path / "a.py"
    path.write_text('# %%\ndef f():\n    pass\n# %% [markdown]\n"""\nText\n"""\n# %%\n\n\n\nf()\n', encoding="utf-8")
    assert [dict(cell.metadata) for cell in build.read_source(path).cells] == [{}, {}, {}]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesson")
    source, target = folder / "00_lesson.py", folder / "00_lesson.ipynb"
    source.write_text(SOURCE, encoding="utf-8")
    assert build.build(source, target)
    return source, target


@pytest.mark.slow
def test_a_second_build_does_nothing(built):
    before = built[1].read_bytes()
    assert not build.build(*built)
    assert built[1].read_bytes() == before


@pytest.mark.slow
def test_a_forced_second_build_gives_the_same_bytes(built):
    """Also of the cell that prints the time, because nothing that it is made of has changed."""
    before = built[1].read_bytes()
    assert build.build(*built, force=True)
    assert built[1].read_bytes() == before


@pytest.mark.slow
def test_a_changed_source_runs_tagged_cells_afresh(built, tmp_path):
    former = load(built[1])
    source, target = tmp_path / built[0].name, tmp_path / built[1].name
    target.write_bytes(built[1].read_bytes())
    source.write_text(SOURCE.replace("x = 1", "x = 2"), encoding="utf-8")
    assert build.build(source, target)
    assert load(target).cells[2].outputs != former.cells[2].outputs


@pytest.mark.slow
def test_the_fingerprint_depends_on_what_the_lesson_imports(built, tmp_path, monkeypatch):
    package = tmp_path / "fewerbits"
    for module in ("__init__", "tensor/__init__", "tensor/uniform", "tensor/rounding", "tensor/other"):
        (package / module).parent.mkdir(parents=True, exist_ok=True)
        (package / f"{module}.py").write_text("", encoding="utf-8")
    (package / "tensor" / "uniform.py").write_text("from fewerbits.tensor.rounding import x", encoding="utf-8")
    monkeypatch.setattr(build, "PACKAGE", package)
    before = build.fingerprint(built[0])
    (package / "tensor" / "other.py").write_text("y = 1", encoding="utf-8")
    assert build.fingerprint(built[0]) == before
    (package / "tensor" / "rounding.py").write_text("x = 1", encoding="utf-8")
    assert build.fingerprint(built[0]) != before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import warnings; warnings.warn('careful')", "writes to stderr"),
        ("import ipywidgets; ipywidgets.IntSlider()", "shows a widget"),
        ("%no_such_magic", "no_such_magic"),
        ("import os, sys; os.write(2, b'last word'); os._exit(3)", "last word"),
    ],
)
def test_a_lesson_that_does_not_run_as_it_should_is_not_written(cell, complaint, tmp_path):
    with pytest.raises(build.BuildError, match=complaint):
        make(tmp_path / "bad.ipynb", cell)
    assert not (tmp_path / "bad.ipynb").exists()


@pytest.mark.slow
def test_an_endless_cell_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "CELL_TIMEOUT_SECONDS", 2)
    with pytest.raises(build.BuildError, match="timed out"):
        make(tmp_path / "endless.ipynb", "while True: pass")


@pytest.mark.slow
def test_tagged_cells_may_warn_show_widgets_and_raise(tmp_path):
    path = make(
        tmp_path / "tagged.ipynb",
        "import warnings; warnings.warn('careful')",
        "import ipywidgets; ipywidgets.IntSlider()",
        "1 / 0",
        tags={0: ["nbval-ignore-output"], 1: ["nbval-ignore-output"], 2: ["raises-exception"]},
    )
    warned, widget, raised = (cell.outputs for cell in load(path).cells)
    assert warned[0].name == "stderr"
    assert widget == []
    assert raised[0].traceback == ["ZeroDivisionError: division by zero"]
    assert "widgets" not in load(path).metadata


@pytest.mark.slow
def test_a_lesson_runs_in_its_own_folder_without_the_users_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "of the user"))
    path = make(
        tmp_path / "where.ipynb",
        "import os\nprint(os.path.basename(os.getcwd()), os.environ['OMP_WAIT_POLICY'])",
        "import matplotlib\nprint(matplotlib.get_backend())",
        "print('of the user' in os.environ['IPYTHONDIR'])",
    )
    printed = [cell.outputs[0].text for cell in nbformat.read(path, as_version=4).cells]
    assert printed[0] == f"{tmp_path.name} PASSIVE\n"
    assert "inline" in printed[1]
    assert printed[2] == "False\n"


def test_stored_pictures_keep_every_pixel_and_nothing_else():
    rng = np.random.default_rng(0)
    for mode, channels in (("RGBA", 4), ("RGB", 3)):
        picture = Image.fromarray(rng.integers(0, 256, (20, 30, channels), dtype=np.uint8), mode)
        drawn = io.BytesIO()
        picture.save(drawn, "PNG", pnginfo=comment())
        stored = Image.open(io.BytesIO(base64.b64decode(build._small_png(base64.b64encode(drawn.getvalue()).decode()))))
        assert np.array_equal(np.asarray(stored.convert(mode)), np.asarray(picture))
        assert "Software" not in stored.info


def comment():
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "a version that changes")
    return info


def test_an_unknown_name_lists_the_lessons(capsys):
    with pytest.raises(SystemExit):
        build.main(["99_nothing"])
    assert "no lesson '99_nothing': there are" in capsys.readouterr().err
