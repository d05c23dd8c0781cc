"""The main job runs end to end on the smallest shipped network, and its table, record and figure say what was found."""

from __future__ import annotations

import json

import onnx
import pytest
from fewerbits.capstone import __main__ as capstone
from fewerbits.deploy import optional_engines


@pytest.mark.slow
def test_the_report_holds_accuracy_bytes_integers_and_ratios(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["capstone", "tiny", "--output", str(tmp_path)])
    # Compiling takes half a minute; tests/deploy has its own test of it.
    missing = {**optional_engines.missing(), "torchao": "left out"}
    monkeypatch.setattr(optional_engines, "missing", lambda: missing)
    capstone.main()
    printed = capsys.readouterr().out
    assert "tiny: accuracy on 10,000 test images" in printed
    record = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert record["not installed"]["torchao"] == "left out"
    (network,) = record["networks"]
    assert abs(network["accuracies"]["int8 executed"]["value"] - network["accuracies"]["float32"]["value"]) <= 0.003
    assert network["integers_different"] == 0
    assert network["integers_compared"] > 1_000_000
    for kind, size in network["file_bytes"].items():
        path = tmp_path / f"tiny_{kind}.onnx"
        assert path.stat().st_size == size
        onnx.checker.check_model(onnx.load(path))
    int8 = {
        (timing["baseline"], timing["batch"], timing["threads"])
        for timing in network["timings"]
        if timing["candidate"] == "ONNX Runtime int8"
    }
    both = {(name, batch, threads) for name in ("torch eager float32", "ONNX Runtime float32")
            for batch in (1, 64) for threads in (1, 2)}  # fmt: skip
    assert int8 == both | {("torch folded channels_last", batch, 1) for batch in (1, 64)}
    agreements = [timing["agreement"] for timing in network["timings"] if timing["agreement"] is not None]
    assert len(agreements) >= 3
    assert min(agreements) > 0.97
    assert set(network["predicted"]) == {"1", "64"}
    assert record["method"]["test images"] == 10_000
    candidates = {timing["candidate"] for timing in network["timings"]}
    assert ("OpenVINO int8" in candidates) is ("openvino" not in record["not installed"])
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_an_unknown_network_is_refused_by_name(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["capstone", "vgg99"])
    with pytest.raises(SystemExit):
        capstone.main()
    assert "'vgg99' is not shipped: accepted are vgg32" in capsys.readouterr().err
