"""The command says in one line what cannot be read, and never shows a traceback."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from fewerbits.deploy import export
from fewerbits.diagnose.__main__ import main
from fewerbits.diagnose.loading import UnreadableModelError
from fewerbits.diagnose.model import diagnose_model

from tests.diagnose import model_faults
from tests.diagnose.model_faults import tiny, trained


def saved(model: onnx.ModelProto, tmp_path) -> str:
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return str(path)


def broken() -> onnx.ModelProto:
    return model_faults.Fault("", "", "", tiny, model_faults.bias_of_its_own).model()


def test_a_correct_model_gives_0_and_says_so(tmp_path, capsys) -> None:
    path = saved(tiny(), tmp_path)
    assert main([path]) == 0
    first, note = capsys.readouterr().out.splitlines()
    assert first == f"{path}: nothing found in 4 layers with weights, 8 quantized activations"
    assert note.startswith("note: 4 layers can saturate on x86 CPUs without VNNI")


def test_seven_bit_weights_need_no_note(tmp_path, capsys) -> None:
    assert main([saved(model_faults.tiny_7_bits(), tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_notes_are_said_and_do_not_count(tmp_path, capsys) -> None:
    few = model_faults.correct("tiny", "QDQ", weight_bits=2)
    path = saved(few, tmp_path)
    assert main([path]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{path}: nothing found in ")
    assert text.splitlines()[1].startswith("note: conv1_sum_Conv: all its codes fit in 2 of 8 bits.")
    assert main([path, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["findings"] == []
    assert {note["name"] for note in report["notes"]} == {"codes_of_fewer_bits"}


def test_a_broken_model_gives_1_with_node_evidence_and_repair(tmp_path, capsys) -> None:
    assert main([saved(broken(), tmp_path)]) == 1
    text = capsys.readouterr().out
    assert text.startswith("bias with its own scale  (conv2_sum_Conv)\n  evidence ")
    assert "  repair " in text
    assert "1 finding in 4 layers" in text


def test_risks_are_findings_when_they_are_asked_for(tmp_path, capsys) -> None:
    assert main([saved(tiny(), tmp_path), "--cpu", "no-vnni"]) == 1
    assert "4 findings in 4 layers" in capsys.readouterr().out


def test_json_can_be_read_back(tmp_path, capsys) -> None:
    path = saved(broken(), tmp_path)
    assert main([path, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["model"] == path
    (finding,) = report["findings"]
    assert finding["name"] == "bias_with_its_own_scale"
    assert finding["where"] == "conv2_sum_Conv"


def test_json_of_a_correct_model_has_no_findings(tmp_path, capsys) -> None:
    assert main([saved(tiny(), tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_a_finding_that_is_allowed_is_a_note(tmp_path, capsys) -> None:
    path = saved(broken(), tmp_path)
    assert main([path, "--allow", "bias with its own scale"]) == 0
    assert "\nnote: conv2_sum_Conv: " in capsys.readouterr().out
    assert main([path, "--allow", "wrong_axis", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["examined"].startswith("4 layers with weights")


def test_a_name_that_is_misspelt_is_not_allowed_silently(tmp_path, capsys) -> None:
    assert main([saved(tiny(), tmp_path), "--allow", "wrong axes"]) == 2
    assert "wrong_axis" in capsys.readouterr().err


def test_a_crash_is_told_from_findings(tmp_path, capsys, monkeypatch) -> None:
    def fails(*arguments, **options):
        raise ImportError("a module is missing")

    monkeypatch.setattr("fewerbits.diagnose.__main__.examine", fails)
    assert main([saved(tiny(), tmp_path)]) == 3
    output = capsys.readouterr()
    assert output.out == ""
    assert "the diagnosis itself failed" in output.err
    assert "a module is missing" in output.err


@pytest.mark.slow
def test_a_file_is_diagnosed_without_the_catalogue(tmp_path) -> None:
    """The tool does not fail when a lesson's module does."""
    script = "import sys; sys.modules['fewerbits.teach'] = None; from fewerbits.diagnose.__main__ import main; "
    path = saved(broken(), tmp_path)
    done = subprocess.run([sys.executable, "-c", f"{script}sys.exit(main([{path!r}]))"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def unreadable(path) -> dict[str, bytes | None]:
    """Files that cannot be diagnosed, by what their line must say."""
    whole = tiny().SerializeToString()
    return {
        "there is no such file": None,
        "the file is empty": b"",
        "not an ONNX file": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "not an ONNX file, or it is damaged": whole[: len(whole) // 2],
        "a float model": export.float_model(trained("tiny")).SerializeToString(),
        "no operators": onnx.ModelProto(ir_version=10).SerializeToString(),
    }


@pytest.mark.parametrize("says", list(unreadable(None)))
def test_what_cannot_be_diagnosed_gives_2_and_one_line(says: str, tmp_path, capsys) -> None:
    path, content = tmp_path / "model.onnx", unreadable(None)[says]
    if content is not None:
        path.write_bytes(content)
    assert main([str(path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith(f"error: {path}: ")
    assert says in output.err


def test_an_error_is_json_too_when_json_is_asked_for(tmp_path, capsys) -> None:
    assert main([str(tmp_path / "none.onnx"), "--json"]) == 2
    assert "there is no such file" in json.loads(capsys.readouterr().out)["error"]


def test_a_folder_is_no_model(tmp_path, capsys) -> None:
    assert main([str(tmp_path)]) == 2
    assert "a folder, not a file" in capsys.readouterr().err


def test_a_file_of_3_gib_is_refused_without_being_read(tmp_path, capsys) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(3 * 2**30)
    assert main([str(path)]) == 2
    assert "3.0 GiB are more than an ONNX file can hold" in capsys.readouterr().err


def test_a_sparse_file_below_2_gib_is_refused_at_its_first_byte(tmp_path, capsys) -> None:
    path = tmp_path / "sparse.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 - 2)
    assert main([str(path)]) == 2
    assert "not an ONNX file" in capsys.readouterr().err


def message_of(source) -> str | None:
    """What the diagnosis says against a file or model; None when it diagnoses it."""
    try:
        diagnose_model(source, cpu="no-vnni")
    except UnreadableModelError as error:
        return str(error)
    return None


@pytest.mark.slow
def test_no_damage_leads_to_anything_but_findings_or_one_line(tmp_path) -> None:
    """Cut short anywhere, and with bytes changed: every outcome is a list or an UnreadableModelError of one line."""
    whole = model_faults.gemm().SerializeToString()
    rng = np.random.default_rng(10)
    damaged = [whole[:length] for length in range(1, len(whole), 3)]
    for _ in range(1500):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 4)):
            content[place] = rng.integers(0, 256)
        damaged.append(bytes(content))
    path, outcomes = tmp_path / "damaged.onnx", {"list": 0, "line": 0}
    for content in damaged:
        path.write_bytes(content)
        message = message_of(path)
        assert message is None or len(message.splitlines()) == 1
        outcomes["list" if message is None else "line"] += 1
    assert min(outcomes.values()) > 100


SHAPES = [(), (1,), (3,), (0,), (16,), (2, 2), (5, 4, 3, 3)]
TYPES = ["float32", "int8", "uint8", "int32", "float16", "int64", "bool"]


@pytest.mark.slow
@pytest.mark.parametrize("build", [model_faults.gemm, model_faults.concatenated, model_faults.tiny_qoperator])
def test_constants_of_any_shape_and_type_are_no_reason_to_fail(build) -> None:
    """A valid file with scales, zero points, codes or biases that make no sense gets findings, or one line."""
    rng = np.random.default_rng(13)
    for name in [tensor.name for tensor in build().graph.initializer]:
        for shape in SHAPES:
            model = model_faults.copy_of(build())
            kind = TYPES[rng.integers(len(TYPES))]
            model_faults.put(model, name, rng.integers(0, 100, shape).astype(kind))
            message = message_of(model)
            assert message is None or len(message.splitlines()) == 1


@pytest.mark.slow
def test_the_module_runs_as_a_command(tmp_path) -> None:
    command = [sys.executable, "-m", "fewerbits.diagnose"]
    done = subprocess.run([*command, saved(broken(), tmp_path)], capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (1, "")
    described = subprocess.run([*command, "--help"], capture_output=True, text=True, encoding="utf-8")
    assert described.returncode == 0
    assert "exit code: 0 nothing found, 1 something found, 2 the file cannot be diagnosed" in described.stdout
