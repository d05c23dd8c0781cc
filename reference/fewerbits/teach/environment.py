"""Is this machine ready for the course?  `python -m fewerbits.teach.environment`, or lesson 00.

Checks Python and package versions against pyproject.toml, the shipped data against its checksums, memory and
disk; describes the CPU by the instructions that decide how fast int8 can be.
"""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")

# What the course calls an instruction set, and what Linux (/proc/cpuinfo) and macOS (sysctl) call it, lower case.
INSTRUCTION_SETS = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "AVX512-VNNI": {"avx512_vnni", "avx512vnni"},
    "AVX-VNNI": {"avx_vnni", "avxvnni"},
    "AMX-INT8": {"amx_int8", "amx-int8"},
    "Arm dotprod": {"asimddp", "feat_dotprod"},
    "Arm i8mm": {"i8mm", "feat_i8mm"},
}
INT8_DOT_PRODUCT = {"AVX512-VNNI", "AVX-VNNI", "AMX-INT8", "Arm dotprod", "Arm i8mm"}


@dataclass(frozen=True)
class Cpu:
    """What decides the speed of this CPU: its model, its architecture ("x86_64", "arm64", ...), the instruction
    sets of INSTRUCTION_SETS that it has (None: this system does not tell), and the threads this process may use."""

    model: str
    architecture: str
    instruction_sets: tuple[str, ...] | None
    threads: int

    @property
    def has_int8_dot_product(self) -> bool | None:
        """Whether one instruction sums int8 products into int32 without saturating at 16 bits; None: unknown."""
        if self.instruction_sets is None:
            return None
        return not INT8_DOT_PRODUCT.isdisjoint(self.instruction_sets)

    def __str__(self) -> str:
        names = "instruction sets unknown" if self.instruction_sets is None else ", ".join(self.instruction_sets)
        return f"{self.model} ({self.architecture}; {names or 'none of the listed instruction sets'})"


def describe_cpu() -> Cpu:
    """The CPU of this machine, read from /proc/cpuinfo (Linux) or sysctl (macOS); elsewhere only its name."""
    facts = {}
    if CPUINFO.exists():
        facts = facts_of_cpuinfo(CPUINFO.read_text(errors="replace"))
    elif platform.system() == "Darwin":
        listing = subprocess.run(["sysctl", "machdep.cpu", "hw.optional"], capture_output=True, text=True, check=False)
        facts = facts_of_sysctl(listing.stdout)
    model = facts.get("model") or platform.processor() or "unknown CPU"
    words = facts.get("words")
    return Cpu(model, platform.machine(), None if words is None else instruction_sets_of(words), usable_threads())


def facts_of_cpuinfo(text: str) -> dict[str, str]:
    """ "model" and "words" (flags) of the first processor in the text of Linux's /proc/cpuinfo."""
    pairs = [line.split(":", 1) for line in text.partition("\n\n")[0].splitlines() if ":" in line]
    fields = {key.strip(): value.strip() for key, value in pairs}
    facts = {}
    if words := fields.get("flags") or fields.get("Features"):
        facts["words"] = words
    if model := fields.get("model name"):
        facts["model"] = model
    elif "CPU part" in fields:
        facts["model"] = f"Arm CPU (implementer {fields.get('CPU implementer', 'unknown')}, part {fields['CPU part']})"
    return facts


def facts_of_sysctl(text: str) -> dict[str, str]:
    """ "model" and "words" in the output of macOS's `sysctl machdep.cpu hw.optional`."""
    pairs = [line.split(": ", 1) for line in text.splitlines() if ": " in line]
    fields = {key: value.strip() for key, value in pairs}
    # Apple silicon lists one key per feature, Intel Macs list the features as words.
    present = [key.rpartition(".")[2] for key, value in fields.items() if key.startswith("hw.") and value == "1"]
    listed = [fields.get(f"machdep.cpu.{key}", "") for key in ("features", "leaf7_features")]
    facts = {"words": " ".join([*present, *listed]).strip()} if fields else {}
    if model := fields.get("machdep.cpu.brand_string"):
        facts["model"] = model
    return facts


def instruction_sets_of(words: str) -> tuple[str, ...]:
    """The names of INSTRUCTION_SETS found among space-separated CPU flags."""
    present = set(words.lower().split())
    return tuple(name for name, spellings in INSTRUCTION_SETS.items() if not spellings.isdisjoint(present))


def usable_threads() -> int:
    """Hardware threads that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
