"""The environment check names each fault with its repair, and reads CPUs of all kinds."""

import shutil
import subprocess
import sys

import pytest
from fewerbits.teach import environment
from fewerbits.teach.environment import FAULT, INFORMATION, OK, WARNING, Cpu, Finding

INTEL_CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Platinum 8488C
flags\t\t: fpu sse2 fma avx2 avx512f avx512_vnni avx_vnni amx_int8 amx_tile

processor\t: 1
model name\t: another
flags\t\t: fpu
"""
ARM_CPUINFO = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd asimddp sve i8mm bf16
CPU implementer\t: 0x41
CPU part\t: 0xd40
"""
APPLE_SYSCTL = """machdep.cpu.cores_per_package: 8
machdep.cpu.brand_string: Apple M2
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: 0
hw.optional.avx2_0: 0
"""
APPLE_M1_SYSCTL = APPLE_SYSCTL.replace("M2", "M1").replace("FEAT_I8MM: 1", "FEAT_I8MM: 0")
INTEL_SYSCTL = """machdep.cpu.brand_string: Intel(R) Core(TM) i5-1038NG7 CPU @ 2.00GHz
machdep.cpu.features: FPU SSE4.2 FMA AVX1.0
machdep.cpu.leaf7_features: BMI2 AVX2 AVX512F AVX512VNNI
hw.optional.avx2_0: 1
"""


def sets_of(facts):
    return environment.instruction_sets_of(facts["words"])


def test_linux_tells_the_flags_and_model_of_the_first_processor():
    facts = environment.facts_of_cpuinfo(INTEL_CPUINFO)
    assert facts["model"] == "Intel(R) Xeon(R) Platinum 8488C"
    assert sets_of(facts) == ("AVX2", "AVX-512", "AVX512-VNNI", "AVX-VNNI", "AMX-INT8")


def test_linux_on_arm_names_the_part_where_there_is_no_model_name():
    facts = environment.facts_of_cpuinfo(ARM_CPUINFO)
    assert facts["model"] == "Arm CPU (implementer 0x41, part 0xd40)"
    assert sets_of(facts) == ("Arm dotprod", "Arm i8mm")


def test_macos_lists_apple_features_one_by_one_and_intel_features_as_words():
    apple, intel = environment.facts_of_sysctl(APPLE_SYSCTL), environment.facts_of_sysctl(INTEL_SYSCTL)
    assert (apple["model"], sets_of(apple)) == ("Apple M2", ("Arm dotprod", "Arm i8mm"))
    assert sets_of(environment.facts_of_sysctl(APPLE_M1_SYSCTL)) == ("Arm dotprod",)
    assert sets_of(intel) == ("AVX2", "AVX-512", "AVX512-VNNI")


@pytest.mark.parametrize(
    ("sets", "expected"),
    [(("AVX2",), False), (("AVX2", "AVX-VNNI"), True), (("Arm dotprod",), True), ((), False), (None, None)],
)
def test_only_dot_product_instructions_count_as_exact_int8(sets, expected):
    assert Cpu("a CPU", "x86_64", sets, 2).has_int8_dot_product is expected


def test_a_system_that_does_not_tell_still_gives_a_cpu_and_a_clear_word(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "absent")
    monkeypatch.setattr(environment.platform, "system", lambda: "Windows")
    monkeypatch.setattr(environment.platform, "processor", lambda: "AMD64 Family 25")
    cpu = environment.describe_cpu()
    assert cpu.instruction_sets is None
    assert "instruction sets unknown" in str(cpu)
    assert "Windows does not say" in next(f.found for f in environment.check_cpu() if f.subject == "int8")


def test_this_machine_has_a_cpu_with_a_model_and_threads():
    cpu = environment.describe_cpu()
    assert cpu.model
    assert cpu.threads >= 1


@pytest.fixture
def course(tmp_path):
    """A small course folder whose parts can be spoiled."""
    shutil.copy(environment.ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "numbers.bin").write_bytes(b"abc")
    # sha256 of "abc": FIPS 180-2, appendix B.1
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "datasets" / "SHA256SUMS").write_text(f"{digest}  numbers.bin\n")
    return tmp_path


def faults(course):
    return [finding for finding in environment.check(course) if finding.status == FAULT]


def with_python(course, bounds):
    path = course / "pyproject.toml"
    path.write_text(f'[project]\nrequires-python = "{bounds}"\ndependencies = []\n')


def test_a_sound_course_has_no_fault(course):
    assert faults(course) == []
    assert environment.show(environment.check(course))


def test_every_dependency_of_pyproject_is_looked_at(course):
    subjects = {finding.subject for finding in environment.check(course)}
    assert {"Python", "numpy", "torch", "onnx", "onnxruntime", "jupyterlab", "matplotlib", "data"} <= subjects


@pytest.mark.parametrize("bounds", ["<3.11", ">=3.99"])
def test_another_python_is_a_fault_that_names_the_bounds(course, bounds):
    with_python(course, bounds)
    (fault,) = faults(course)
    assert fault.subject == "Python"
    assert f"needed {bounds}" in fault.found
    assert "make lab" in fault.advice


@pytest.mark.parametrize(
    ("dependency", "found"),
    [("numpy>=99", "needed >=99"), ("numpy<2", "needed <2"), ("no-such-package-here>=1", "not installed, needed >=1")],
)
def test_a_wrong_or_missing_package_is_a_fault_that_says_make_lab(course, dependency, found):
    path = course / "pyproject.toml"
    path.write_text(f'[project]\nrequires-python = ">=3.11"\ndependencies = ["{dependency}"]\n')
    (fault,) = faults(course)
    assert found in fault.found
    assert "make lab" in fault.advice


def test_a_dependency_of_another_platform_is_not_asked_for(course):
    path = course / "pyproject.toml"
    dependency = "no-such-package-here>=1; platform_system == 'Plan9'"
    path.write_text(f'[project]\nrequires-python = ">=3.11"\ndependencies = ["{dependency}"]\n')
    assert faults(course) == []


@pytest.mark.parametrize("spoil", ["altered", "missing"])
def test_an_altered_or_missing_file_is_a_fault_that_says_how_to_restore_it(course, spoil):
    path = course / "datasets" / "numbers.bin"
    if spoil == "altered":
        path.write_bytes(b"abd")
    else:
        path.unlink()
    (fault,) = faults(course)
    assert fault.subject == "data"
    assert "git checkout -- datasets/numbers.bin" in fault.advice


def test_a_folder_that_is_no_clone_is_a_fault_and_not_an_exception(tmp_path):
    assert {fault.subject for fault in faults(tmp_path)} == {"course", "data"}


def test_little_memory_and_disk_are_warnings_only(course, monkeypatch):
    monkeypatch.setattr(environment, "memory_gib", lambda: 1.0)
    monkeypatch.setattr(environment, "MIN_DISK_GIB", 1e9)
    findings = environment.check(course)
    assert {f.subject for f in findings if f.status == WARNING} == {"memory", "disk"}
    assert environment.show(findings)


def test_unknown_memory_is_said_and_is_no_warning(course, monkeypatch):
    monkeypatch.setattr(environment, "memory_gib", lambda: None)
    assert next(f.status for f in environment.check_room(course) if f.subject == "memory") == INFORMATION


def test_the_memory_limit_of_a_container_counts(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    limit.write_text("1073741824\n")
    monkeypatch.setattr(environment, "CGROUP_MEMORY", limit)
    if environment.memory_gib() is None:
        pytest.skip("this system does not tell its memory")
    assert environment.memory_gib() == 1.0
    limit.write_text("max\n")
    assert environment.memory_gib() > 0


def test_the_conclusion_counts_the_faults(capsys):
    good, bad = Finding(OK, "Python", "3.12"), Finding(FAULT, "data", "altered", "git checkout -- datasets/x")
    assert environment.show([good, bad]) is False
    printed = capsys.readouterr().out
    assert "✗ data" in printed
    assert "→ git checkout -- datasets/x" in printed
    assert "1 thing to put right" in printed
    environment.show([bad, bad])
    assert "2 things to put right" in capsys.readouterr().out


def test_the_command_prints_the_check_and_exits_with_0_or_1(course, monkeypatch):
    monkeypatch.setattr(environment, "check", lambda: [Finding(FAULT, "data", "altered")])
    assert environment.main() == 1
    monkeypatch.setattr(environment, "check", lambda: [Finding(OK, "data", "as shipped")])
    assert environment.main() == 0


def test_the_command_line_runs_as_a_module():
    command = [sys.executable, "-m", "fewerbits.teach.environment"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == (0 if "Ready to start." in done.stdout else 1)
    assert "CPU" in done.stdout
    assert done.stderr == ""
