"""The main job runs end to end on the smallest shipped network, and its report says what was found."""

from __future__ import annotations

import json

import onnx
import pytest
from fewerbits import capstone


@pytest.mark.slow
def test_the_report_holds_accuracy_bytes_integers_and_ratios(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["capstone", "tiny", "--output", str(tmp_path)])
    capstone.main()
    printed = capsys.readouterr().out
    assert "tiny: accuracy on 10,000 test images" in printed
    (network,) = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["networks"]
    assert abs(network["accuracies"]["int8 executed"]["value"] - network["accuracies"]["float32"]["value"]) <= 0.003
    assert network["integers_different"] == 0
    assert network["integers_compared"] > 1_000_000
    for kind, size in network["file_bytes"].items():
        path = tmp_path / f"tiny_{kind}.onnx"
        assert path.stat().st_size == size
        onnx.checker.check_model(onnx.load(path))
    assert {(timing["against"], timing["batch"]) for timing in network["timings"]} == {
        (name, batch)
        for name in ("torch eager", "torch folded channels_last", "ONNX Runtime float32")
        for batch in (1, 64)
    }
