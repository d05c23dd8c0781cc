"""`make mutants`: plant small faults in a copy of the package, one at a time, and show that a test fails on each.

A mutant that no test notices survives, and the exit status is 1: then a test is missing. To add one, add a line to
MUTANTS: the module, what stands there exactly once, what shall stand there instead. Its tests are the files of
`tests/tensor` named in TESTS.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "reference" / "fewerbits"
WORKERS = 2
# Runs pytest in a process that is certain to have imported the copy, although the package is installed editable.
RUN = """
import sys, fewerbits, pytest
if not fewerbits.__file__.startswith(sys.argv[1]):
    print(f"the tests would import {fewerbits.__file__}")
    sys.exit(99)
sys.exit(pytest.main(sys.argv[2:]))
"""
PASSED, FAILED = 0, 1


class Mutant(NamedTuple):
    """One fault: in `module` (of the tensor floor unless it names another), `before` becomes `after`."""

    module: str
    before: str
    after: str


# Tests that guard a module, where they are not those of the same name.
TESTS = {
    "scheme": ("metrics",),
    "float_formats": ("minifloat",),
    "observer": ("calibration",),
    "range_search": ("calibration",),
}

MUTANTS = [
    Mutant("rounding", "np.rint(x, out=x)", "np.floor(x, out=x)"),
    Mutant("rounding", "np.nextafter(x.dtype.type(0.5), x.dtype.type(0))", "x.dtype.type(0.5)"),
    Mutant("rounding", "np.copysign(below_half, x)", "below_half"),
    Mutant("rounding", "        np.floor(x, out=x)\n    elif", "        np.trunc(x, out=x)\n    elif"),
    Mutant("rounding", "draws < x", "draws > x"),
    Mutant("rounding", "lost != 0", "lost > 0"),
    Mutant("rounding", "& 1 == 0", "& 1 == 1"),
    Mutant("uniform", "qmin = -(2 ** (bits - 1))", "qmin = -(2 ** (bits - 1) - 1)"),
    Mutant("uniform", "return qmin, qmin + 2**bits - 1", "return qmin, qmin + 2**bits"),
    Mutant("uniform", "return qmin + 1, ", "return qmin, "),
    Mutant("uniform", "/ kind(2 ** (bits - 1) - 1)", "/ kind(2 ** (bits - 1))"),
    Mutant("uniform", "kind(qmax - qmin)", "kind(qmax - qmin + 1)"),
    Mutant("uniform", "qmin - low / scale", "qmin + low / scale"),
    Mutant("uniform", "np.minimum(low, 0, dtype=kind)", "np.minimum(low, low, dtype=kind)"),
    Mutant("uniform", "np.maximum(high, 0, dtype=kind)", "np.maximum(high, high, dtype=kind)"),
    Mutant("uniform", "np.rint(qmin -", "np.floor(qmin -"),
    Mutant("uniform", "(low == 0) & (high == 0)", "(low == 0) | (high == 0)"),
    Mutant("uniform", "np.divide(x, scale.astype", "np.multiply(x, scale.astype"),
    Mutant("uniform", "np.subtract(target, zero_point", "np.add(target, zero_point"),
    Mutant("uniform", 'zero_point_added == "before"', 'zero_point_added != "before"'),
    Mutant("uniform", "out.clip(kind(self.qmin)", "out.clip(kind(-self.qmax)"),
    Mutant("uniform", "8 if self.bits <= 8 else 16", "8 if self.bits < 8 else 16"),
    Mutant("uniform", "and not np.isfinite(values).all()", "and np.isfinite(values).all()"),
    Mutant("uniform", "math.prod(shape) * self.bits / 8", "math.prod(shape) * self.bits // 8"),
    Mutant("uniform", "1 if axis in shared_axes else n", "n if axis in shared_axes else 1"),
    Mutant("pieces", "(axis + 1,)", "(axis,)"),
    Mutant("pieces", "if other != axis", "if other == axis"),
    Mutant("pieces", "slice(start, start + run)", "slice(start, start + run - 1)"),
    Mutant("pieces", "<= size), 0)", "<= 2 * size), 0)"),
    Mutant("metrics", "np.mean(np.square", "np.sum(np.square"),
    Mutant("metrics", "20 * (math.log10", "10 * (math.log10"),
    Mutant("metrics", "np.log2(p)", "np.log(p)"),
    Mutant("metrics", "float(largest == largest_hat)", "float(largest != largest_hat)"),
    Mutant("scheme", "return 8 * scheme.nbytes", "return scheme.nbytes"),
    Mutant("validation", "array.max() > high", "array.max() > high + 1"),
    Mutant("validation", "array.dtype.itemsize <= 2", "array.dtype.itemsize <= 8"),
    Mutant("logarithmic", "2 ** (bits - 1 if signed else bits) - 1", "2 ** (bits - 1 if signed else bits)"),
    Mutant("logarithmic", "Decimal(2 * i + 1)", "Decimal(2 * i)"),
    Mutant("logarithmic", "(level[i] + level[i + 1]) / 2", "level[i] + level[i + 1] / 2"),
    Mutant("logarithmic", "-positive[::-1]", "positive[::-1]"),
    Mutant("logarithmic", "where=codes > 0", "where=codes >= 0"),
    Mutant("companding", "2 ** (self.bits - 1) - 1", "2 ** (self.bits - 1)"),
    Mutant("companding", "/ -self.strength", "/ self.strength"),
    Mutant("companding", "np.minimum(np.abs(upper), 8158) + 33", "np.minimum(np.abs(upper), 8158) + 32"),
    Mutant("companding", "(octave + 2)) - 132", "(octave + 2)) - 128"),
    Mutant("packing", "<< (position * bits)", "<< (position * bits + 1)"),
    Mutant("packing", "(2**bits - 1)", "2**bits"),
    Mutant("packing", "(flat ^ sign_bit) - sign_bit", "(flat ^ sign_bit) + sign_bit"),
    Mutant("minifloat", "codes > format.max_code", "codes >= format.max_code"),
    Mutant("minifloat", "- 2**format.mantissa_bits, 0)", "- 2**format.mantissa_bits, 1)"),
    Mutant("float_formats", "int(self.has_zero) - self.bias", "-self.bias"),
    Mutant("float_formats", '"one_nan": 1', '"one_nan": 2'),
    Mutant("float_formats", "math.frexp(self.max)[1] - 1", "math.frexp(self.max)[1]"),
    Mutant("float_formats", 'FloatFormat("e5m2", 5, 2, bias=15)', 'FloatFormat("e5m2", 5, 2, bias=16)'),
    Mutant("codebook", "index % 2 == 1", "index % 2 == 0"),
    Mutant("codebook", "(lost > 0) |", "(lost < 0) |"),
    Mutant("codebook", "max(1, (self.levels.size - 1)", "max(1, self.levels.size"),
    Mutant("codebook", "scheme.nbytes(scales.shape) + 4", "scheme.nbytes(scales.shape)"),
    Mutant("quantiles", "1 / (4 * half - 2)", "1 / (4 * half - 1)"),
    Mutant("quantiles", "0.5626170039176941", "0.5616170039176941"),
    Mutant("k_means", "count + 1):\n        gain, choice", "count):\n        gain, choice"),
    Mutant("k_means", "gains == np.repeat(inner", "gains <= np.repeat(inner"),
    Mutant("k_means", "(centres[:-1] + centres[1:]) / 2", "(centres[:-1] + centres[1:]) / 3"),
    Mutant("lloyd_max", "thresholds = (x[1:] + x[:-1]) / 2", "thresholds = x[1:]"),
    Mutant("lloyd_max", "(2 * x * first - x**2 * mass)", "(x * first - x**2 * mass)"),
    Mutant("lloyd_max", "** 3 / 12)", "** 2 / 12)"),
    Mutant("clipping", "clips**2 * mass", "clips * mass"),
    Mutant("clipping", "(3 * 4.0 **", "(12 * 4.0 **"),
    Mutant("clipping", "0.5 if levels % 2 == 0 else 1.0", "1.0 if levels % 2 == 0 else 0.5"),
    Mutant("histogram", "np.where(numbers < 0, -1 - numbers, numbers)", "np.where(numbers < 0, -numbers, numbers)"),
    Mutant("histogram", "np.subtract(number, chunk < 0, out=number)", "np.subtract(number, chunk > 0, out=number)"),
    Mutant("observer", "skipped=self.skipped + other.skipped", "skipped=self.skipped"),
    Mutant("blocks", "/ np.float32(-8)", "/ np.float32(8)"),
    Mutant("blocks", "np.float32(8.5)", "np.float32(8)"),
    Mutant("blocks", "- minimum) / 15", "- minimum) / 16"),
    Mutant("mx", "exponent - 1 - element.emax", "exponent - element.emax"),
    Mutant("mx", "fraction > limit_fraction", "fraction >= limit_fraction"),
    Mutant("calibration", "mine + self.rate *", "mine - self.rate *"),
    Mutant("calibration", "self._share_left_out / 2", "self._share_left_out"),
    Mutant("calibration", "np.minimum(self.minimum, other.minimum)", "np.maximum(self.minimum, other.minimum)"),
    Mutant("range_search", "levels_between[crossing] / 12", "levels_between[crossing] / 6"),
    Mutant("range_search", "p[held] / q[held]", "q[held] / p[held]"),
    Mutant("network/allocation", "+ needed <= budget", "+ needed < budget"),
    Mutant("network/allocation", "state.cost < kept[-1].cost", "state.cost <= kept[-1].cost"),
    Mutant("network/allocation", "states[-1].bits", "states[0].bits"),
    Mutant("network/allocation", ") / extra, name, b)", ") * extra, name, b)"),
    Mutant("network/allocation", "<= left and", "<= budget and"),
    Mutant("network/allocation", "> best_before]", ">= best_before]"),
    Mutant("network/allocation", "(-accuracy, size)", "(accuracy, size)"),
]


def with_floor(module: str) -> str:
    """ "tensor/uniform" for "uniform"; a name that says its floor stays."""
    return module if "/" in module else f"tensor/{module}"


def planted(mutant: Mutant | None, folder: Path) -> Path:
    """A copy of the package in a new folder in `folder`, with the fault in it; its parent goes on PYTHONPATH."""
    parent = Path(tempfile.mkdtemp(dir=folder))
    shutil.copytree(PACKAGE, parent / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    if mutant:
        path = parent / PACKAGE.name / f"{with_floor(mutant.module)}.py"
        source = path.read_text(encoding="utf-8")
        count = source.count(mutant.before)
        if count != 1 or mutant.before == mutant.after:
            raise SystemExit(f"{mutant.module}.py holds {mutant.before!r} {count} times: once is needed, and a change")
        path.write_text(source.replace(mutant.before, mutant.after), encoding="utf-8")
    return parent


def run_tests(names: tuple[str, ...], parent: Path) -> subprocess.CompletedProcess[str]:
    """Run the fast tests of these modules against the copy of the package in `parent`, up to the first failure."""
    files = ["tests/{}/test_{}.py".format(*with_floor(name).split("/")) for name in names]
    options = ["-x", "-q", "--no-header", "--tb=no", "--noconftest", "-m", "not slow", "-rf"]
    environment = os.environ | {
        "PYTHONPATH": str(parent),
        # A .pyc written within the same second for a source of the same length would hide the fault.
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(parent / "hypothesis"),
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", RUN, str(parent), *options, *files]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def first_failure(output: str) -> str:
    failed = [line for line in output.splitlines() if line.startswith("FAILED")]
    return failed[0].partition("::")[2].partition(" - ")[0] if failed else output.strip().splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Show that a test fails on each planted fault.")
    parser.add_argument("--only", default="", help="mutants of modules whose name contains this word")
    chosen = [mutant for mutant in MUTANTS if parser.parse_args().only in mutant.module]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(WORKERS) as pool:
        folder = Path(name)
        tests = {mutant.module: TESTS.get(mutant.module, (mutant.module,)) for mutant in chosen}
        sound = pool.map(lambda names: run_tests(names, planted(None, folder)), sorted(set(tests.values())))
        for result in sound:
            if result.returncode != PASSED:
                raise SystemExit(f"the tests fail without any fault:\n{result.stdout}{result.stderr}")
        parents = [planted(mutant, folder) for mutant in chosen]
        results = pool.map(lambda pair: run_tests(tests[pair[0].module], pair[1]), zip(chosen, parents))
        killed = 0
        for mutant, result in zip(chosen, results):
            caught = result.returncode == FAILED
            killed += caught
            verdict = f"caught by {first_failure(result.stdout)}" if caught else f"SURVIVES (exit {result.returncode})"
            print(f"{mutant.module}: {mutant.before.strip()!r} → {mutant.after.strip()!r}: {verdict}", flush=True)
    print(f"\n{killed} of {len(chosen)} mutants caught")
    sys.exit(killed != len(chosen))


if __name__ == "__main__":
    main()
