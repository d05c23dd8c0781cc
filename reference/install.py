"""Set up the course: create .venv and install into it. `python reference/install.py` or `... install.py test`.

Standard library only, and written so that an old Python can run it far enough to say that it is too old.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(HERE, ".venv")
PYTHON = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
LOG = os.path.join(VENV, "install.log")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GIB = 3
CAUSES = [
    ("No space left on device", "the disk is full: free at least %d GiB and run the same command again" % NEEDED_GIB),
    (
        "NewConnectionError|ConnectTimeout|ReadTimeout|Temporary failure|Name or service not known|ProxyError|SSLError",
        "the package index cannot be reached: check the network (or the proxy in pip's settings) and try again",
    ),
    ("Permission denied", "a file cannot be written: check who owns this folder and .venv"),
]


def fail(reason):
    sys.exit("Set-up stopped: " + reason + ".")


def check_machine():
    version = "%d.%d.%d" % sys.version_info[:3]
    wanted = "Fewer Bits needs Python %d.%d to %d.%d" % (OLDEST + NEWEST)
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        age = "old" if sys.version_info[:2] < OLDEST else "new"
        fail("this is Python %s, which is too %s; %s: make lab PYTHON=python3.12" % (version, age, wanted))
    free = shutil.disk_usage(HERE).free / 2**30
    if free < NEEDED_GIB and not os.path.exists(PYTHON):
        fail("%.1f GiB are free on this disk, at least %d are needed" % (free, NEEDED_GIB))


def stamp_path(extra):
    return os.path.join(VENV, "installed-" + (extra or "lab"))


def fingerprint():
    """What an installation depends on: the dependency list, this script and the interpreter."""
    digest = hashlib.sha256(sys.version.encode())
    for name in ("pyproject.toml", os.path.join("reference", "install.py")):
        with open(os.path.join(HERE, name), "rb") as source:
            digest.update(source.read())
    return digest.hexdigest()


def is_current(extra):
    try:
        with open(stamp_path(extra)) as stamp:
            return stamp.read() == fingerprint()
    except OSError:
        return False


def pip(title, *arguments):
    """Run pip, keep its output in LOG and show one line that says what it is doing and for how long."""
    started = time.time()
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", *arguments]
    with open(LOG, "a+", encoding="utf-8") as log:
        log.seek(0, os.SEEK_END)
        start_of_output = log.tell()
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=HERE)
        while process.poll() is None:
            time.sleep(0.5)
            show(title, last_step(start_of_output), time.time() - started, end="")
        show(title, "done" if process.returncode == 0 else "failed", time.time() - started, end="\n")
    if process.returncode:
        with open(LOG, encoding="utf-8", errors="replace") as log:
            log.seek(start_of_output)
            output = log.read()
        for pattern, reason in CAUSES:
            if re.search(pattern, output):
                fail(reason + " (details: .venv/install.log)")
        errors = [line for line in output.splitlines() if line.startswith("ERROR")]
        fail((errors[-1] if errors else "pip failed").rstrip(".") + " (details: .venv/install.log)")


def last_step(start):
    with open(LOG, encoding="utf-8", errors="replace") as log:
        log.seek(start)
        steps = re.findall(r"(?:Collecting|Downloading|Installing|Processing|Building) [^\n]*", log.read())
    return steps[-1] if steps else "starting"


def show(title, step, seconds, end):
    """One line, rewritten in place on a terminal; elsewhere only the finished step is printed."""
    line = "%s  %3.0f s  %s" % (title, seconds, step)
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        sys.stdout.write("\r" + line[:width].ljust(width) + end)
        sys.stdout.flush()
    elif end:
        print(line, flush=True)


def install(extra):
    print("Setting up Fewer Bits in .venv (once; one to three minutes).", flush=True)
    if not os.path.exists(PYTHON):
        shutil.rmtree(VENV, ignore_errors=True)
        created = subprocess.run([sys.executable, "-m", "venv", VENV], stderr=subprocess.PIPE)
        if created.returncode:
            message = created.stderr.decode(errors="replace").strip().splitlines()
            fail("python -m venv failed: " + (message[-1] if message else "is the package python3-venv installed?"))
    # On Linux the plain package is a CUDA build; PyTorch's own index has the CPU build. It may be out of reach.
    index = ["--extra-index-url", CPU_INDEX, "--retries", "1"] if platform.system() == "Linux" else []
    with open(os.path.join(HERE, "pyproject.toml"), encoding="utf-8") as source:
        torch = re.search(r'"(torch==[^"]+)"', source.read()).group(1)
    pip("[1/3] PyTorch for the CPU", "install", "--no-deps", *index, torch)
    pip("[2/3] JupyterLab, NumPy, ONNX Runtime ...", "install", "-e", ".[%s]" % extra if extra else ".")
    # jsonschema's optional rfc3987-syntax costs every Jupyter process three seconds of import; nothing needs it.
    pip("[3/3] Tidying", "uninstall", "-y", "rfc3987-syntax")
    with open(stamp_path(extra), "w") as stamp:
        stamp.write(fingerprint())


def main():
    extra = sys.argv[1] if len(sys.argv) > 1 else ""
    check_machine()
    if not is_current(extra) and not (extra == "" and is_current("test")):
        install(extra)


if __name__ == "__main__":
    main()
