"""`python -m fewerbits.diagnose model.onnx`: what is wrong with a quantized ONNX model."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace

from fewerbits.diagnose.finding import Finding
from fewerbits.diagnose.loading import UnreadableModelError
from fewerbits.diagnose.model import CPUS, examine

DESCRIPTION = """\
Reads a quantized ONNX model and says what is wrong with its quantization: the node, the numbers that show it, and
what to do about it. The model is not run and not changed; no data is needed.

It reads models of any exporter, in QDQ form (QuantizeLinear and DequantizeLinear around float operators) and in
QOperator form (QLinearConv, QLinearMatMul, and ONNX Runtime's QLinearAdd, QGemm, ...), opset 10 to 25.
"""
FOUND = """\
what it looks for:
  scales that are zero, negative, NaN or denormal; zero points of another type than the codes, or that are no code at
  all; codes read with another scale than they were written with; codes of different scales added or concatenated;
  values quantized twice in a row; weight scales on the wrong axis; weights that use few of their codes (a channel
  less than half of those of the largest, a layer no whole number of bits); dead output channels; signed weights with a
  zero point; weights left in float; a bias whose scale is not s_x·s_w, or that does not fit in int32; half the codes
  unused for data that is never negative; a range far beyond the values of a sigmoid; float operators between
  quantized ones.

  Notes, which do not count as findings, because a file cannot say whether it is meant so: weights that all fit in two
  bits less than their type has, or fewer (4-bit weights in int8, or a scale 16 times too large),
  channels with few codes under the scale of a whole tensor, one code far from all others, weights without a negative
  one, biases of zeros; and what options of quantizers give: operators left in float as a whole (nodes_to_exclude),
  symmetric codes for all activations (ActivationSymmetric).

  A file holds no float values beside its codes, so codes that are wrong but look like codes are not seen here:
  compare them with the float values by fewerbits.diagnose.diagnose.

  With --cpu no-vnni also: products of uint8 and int8 that may saturate at 16 bits on x86 CPUs without the VNNI
  instructions. Correct models with 8-bit weights have these, and on other CPUs they do no harm.

exit code: 0 nothing found, 1 something found, 2 the file cannot be diagnosed (missing, damaged, not quantized),
3 the diagnosis itself failed. Findings that are meant so: --allow NAME prints them as notes, which do not count.

example:
  python -m fewerbits.diagnose resnet_int8.onnx
  python -m fewerbits.diagnose --json --cpu no-vnni resnet_int8.onnx
"""
NOTES = 5  # printed; a network of 4 bits has one for each layer


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fewerbits.diagnose",
        description=DESCRIPTION,
        epilog=FOUND,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="the ONNX file")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--cpu", choices=CPUS, default="any", help="the CPU to run on, for its risks (default: any)")
    parser.add_argument("--allow", metavar="NAME", action="append", default=[], help="a finding that is meant so")
    options = parser.parse_args(arguments)
    try:
        return _diagnose(options)
    except Exception:  # a fault of the diagnosis must not look like one of the model
        traceback.print_exc()
        _say(f"error: {options.model}: the diagnosis itself failed; nothing is known of the model", sys.stderr)
        return 3


def _diagnose(options: argparse.Namespace) -> int:
    try:
        allowed = {_known(name) for name in options.allow}
    except ValueError as error:
        _say(f"error: --allow: {error}", sys.stderr)
        return 2
    try:
        findings, examined = examine(options.model, cpu="no-vnni")
    except UnreadableModelError as error:
        if options.json:
            _say(json.dumps({"model": options.model, "error": str(error)}, ensure_ascii=False, indent=2))
        else:
            _say(f"error: {error}", sys.stderr)
        return 2
    findings = [replace(finding, level="note") if finding.name in allowed else finding for finding in findings]
    risks = [finding for finding in findings if finding.level == "risk"]
    notes = [finding for finding in findings if finding.level == "note"]
    findings = [finding for finding in findings if finding.level != "note"]
    if options.cpu == "any":
        findings = [finding for finding in findings if finding.level != "risk"]
    if options.json:
        found = [finding.as_dict() for finding in findings]
        noted = [finding.as_dict() for finding in notes]
        report = {"model": options.model, "examined": examined, "findings": found, "notes": noted}
        _say(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(options.model, findings, examined, len(risks) if options.cpu == "any" else 0, notes)
    return 1 if findings else 0


def _known(name: str) -> str:
    """A finding's name, written with spaces or underscores; ValueError offers similar ones."""
    from fewerbits.teach import mistakes

    return mistakes.find(name.replace("_", " ")).name


def _print(model: str, findings: Sequence[Finding], examined: str, risks: int, notes: Sequence[Finding]) -> None:
    for finding in findings:
        _say(f"{finding}\n")
    count = "nothing found" if not findings else f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    _say(f"{model}: {count} in {examined}")
    for finding in notes[:NOTES]:
        _say(f"note: {finding.where}: {finding.evidence}. {finding.repair}")
    if len(notes) > NOTES:
        _say(f"note: {len(notes) - NOTES} more notes; --json has all")
    if risks:
        layers = "1 layer" if risks == 1 else f"{risks} layers"
        _say(f"note: {layers} can saturate on x86 CPUs without VNNI; --cpu no-vnni shows them")


def _say(text: str, stream=None) -> None:  # type: ignore[no-untyped-def]
    """Print, also on a terminal whose encoding has no · (Windows with a legacy code page)."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=stream)


if __name__ == "__main__":
    sys.exit(main())
