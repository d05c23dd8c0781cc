"""Is this machine ready for the course?  `python -m fewerbits.teach.environment`, or lesson 00.

Checks Python and package versions against pyproject.toml, the shipped data against its checksums, memory and
disk; describes the CPU by the instructions that decide how fast int8 can be.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from fewerbits import data

ROOT = Path(__file__).resolve().parents[3]
CPUINFO = Path("/proc/cpuinfo")
CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")
MIN_MEMORY_GIB = 2.0
MIN_DISK_GIB = 0.5
OK, WARNING, FAULT, INFORMATION = "✓", "!", "✗", "·"

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


@dataclass(frozen=True)
class Finding:
    """One line of the check: OK, WARNING, FAULT or INFORMATION; what was looked at, what was found, what to do."""

    status: str
    subject: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{self.status} {self.subject:<12} {self.found}"
        return f"{line}\n{'':15}→ {self.advice}" if self.advice else line


def check(root: Path = ROOT) -> list[Finding]:
    """Everything the course needs, looked at once: Python, packages, data, memory, disk, CPU.

    `root` is the folder of the course, with pyproject.toml and datasets/. Raises nothing: what is wrong is a FAULT.
    """
    return [*check_versions(root / "pyproject.toml"), check_data(root / "datasets"), *check_room(root), *check_cpu()]


def show(findings: list[Finding]) -> bool:
    """Print the findings and one line of conclusion; whether the course can start (no FAULT)."""
    for finding in findings:
        print(finding)
    faults = sum(finding.status == FAULT for finding in findings)
    conclusion = (
        f"{faults} thing{'s' * (faults > 1)} to put right first: see the arrows." if faults else "Ready to start."
    )
    print(f"\n{conclusion}")
    return faults == 0


def check_versions(pyproject: Path) -> Iterator[Finding]:
    """Python and each dependency of the course against the bounds in pyproject.toml."""
    if not pyproject.is_file():
        yield Finding(FAULT, "course", f"{pyproject} is missing", "work in a clone of the course: there, make lab")
        return
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    python = platform.python_version()
    if python in SpecifierSet(project["requires-python"]):
        yield Finding(OK, "Python", python)
    else:
        advice = "install Python 3.12, delete the folder .venv, then: make lab PYTHON=python3.12"
        yield Finding(FAULT, "Python", f"{python}, needed {project['requires-python']}", advice)
    for requirement in map(Requirement, project["dependencies"]):
        if requirement.marker is None or requirement.marker.evaluate():
            yield _check_package(requirement)


def _check_package(requirement: Requirement) -> Finding:
    advice = "in a terminal, in the folder of the course: make lab (and choose its kernel, .venv)"
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(FAULT, requirement.name, f"not installed, needed {requirement.specifier}", advice)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding(OK, requirement.name, version)
    return Finding(FAULT, requirement.name, f"{version}, needed {requirement.specifier}", advice)


def check_data(datasets: Path) -> Finding:
    """Every shipped file against its checksum."""
    try:
        names = list(data.checksums(datasets))
        for name in names:
            data.verified(name, datasets)
    except data.DataError as error:
        return Finding(FAULT, "data", "a file is not as shipped", str(error))
    return Finding(OK, "data", f"{len(names)} files, all as shipped")


def check_room(root: Path) -> Iterator[Finding]:
    """Memory that this process may use, and free space on the disk of the course."""
    memory = memory_gib()
    if memory is None:
        yield Finding(INFORMATION, "memory", f"{platform.system()} does not tell")
    elif memory < MIN_MEMORY_GIB:
        advice = f"lessons that train a network want {MIN_MEMORY_GIB:.0f} GiB; the others will run"
        yield Finding(WARNING, "memory", f"{memory:.1f} GiB", advice)
    else:
        yield Finding(OK, "memory", f"{memory:.1f} GiB")
    free = shutil.disk_usage(root if root.exists() else Path.cwd()).free / 2**30
    if free < MIN_DISK_GIB:
        yield Finding(WARNING, "disk", f"{free:.2f} GiB free", f"free at least {MIN_DISK_GIB} GiB for your notebooks")
    else:
        yield Finding(OK, "disk", f"{free:.0f} GiB free")


def check_cpu() -> Iterator[Finding]:
    """The CPU, its threads, and what its instructions mean for int8."""
    cpu = describe_cpu()
    yield Finding(INFORMATION, "CPU", str(cpu))
    yield Finding(INFORMATION, "threads", str(cpu.threads))
    if cpu.has_int8_dot_product is None:
        meaning = f"{platform.system()} does not say what this CPU can do; nothing in the course depends on it"
    elif cpu.has_int8_dot_product:
        meaning = "this CPU sums int8 products in 32 bits in one instruction: fast, and no saturation (lesson 09)"
    elif "AVX2" in (cpu.instruction_sets or ()):
        meaning = "no dot-product instruction: int8 gains less here, and some kernels saturate at 16 bits (lesson 09)"
    else:
        meaning = "no dot-product instruction: int8 gains less here"
    yield Finding(INFORMATION, "int8", meaning)


def memory_gib() -> float | None:
    """Memory of the machine, or of the container if that is less; None where the system does not tell (Windows)."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP_MEMORY.read_text().strip() if CGROUP_MEMORY.is_file() else ""
    return min(memory, int(limit) if limit.isdigit() else memory) / 2**30


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


def main() -> int:
    """Print the check; 0 when the course can start, 1 when something has to be put right."""
    if hasattr(sys.stdout, "reconfigure"):  # a Windows console may not know the marks
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    return 0 if show(check()) else 1


if __name__ == "__main__":
    sys.exit(main())
