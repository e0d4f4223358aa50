#!/usr/bin/env python3
"""Runs the tests and adds up what the single test programs report.

    tests/run.py             what needs Rust and Python 3 only (small models are pulled once, some 175 MB)
    tests/run.py --all       the long runs too, and the scripts that hold docent against other people's programs
    tests/run.py -- ARGS     ARGS are handed to `cargo test`

The last line is `N passed, N failed, N skipped`; the exit status is 0 only if none failed and some passed.
"""

import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")

# Script -> the Python packages (or programs) that it needs besides Python; without them it is skipped.
SCRIPTS = {
    "mcp_client.py": [],  # fetches the client from PyPI
    "python.py": [],  # fetches maturin from PyPI
    "serve_load.py": [],
    "openai_client.py": ["openai"],
    "serve_fuzz.py": ["schemathesis"],
    "page.py": ["playwright", "chromium"],
}


def scripts():
    """Runs the scripts, each of which is one test; gives the numbers of those that passed, failed and were skipped."""
    passed = failed = skipped = 0
    for script, needs in SCRIPTS.items():
        missing = [name for name in needs if not importlib.util.find_spec(name) and not shutil.which(name)]
        if missing:
            print(f"{script}: skipped, {', '.join(missing)} is not here")
            skipped += 1
            continue
        print(f"{script}:", flush=True)
        ok = subprocess.run([sys.executable, ROOT / "tests" / script]).returncode == 0
        passed, failed = passed + ok, failed + (not ok)
    return passed, failed, skipped


def main(arguments):
    command = ["cargo", "test", "--release", "--workspace", "--locked", "--no-fail-fast"]
    if arguments and arguments[0] == "--all":
        command += ["--", "--include-ignored"]
    elif arguments and arguments[0] == "--":
        command += arguments[1:]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace")
    passed = failed = ignored = 0
    for line in run.stdout:
        print(line, end="", flush=True)
        if found := RESULT.match(line):
            passed, failed, ignored = (a + int(b) for a, b in zip((passed, failed, ignored), found.groups()))
    status = run.wait()
    if status and not failed:
        print("cargo test stopped before all tests ran; see above", file=sys.stderr)
    if arguments[:1] == ["--all"] and status == 0:
        passed, failed, ignored = (a + b for a, b in zip((passed, failed, ignored), scripts()))
    elif not arguments:
        print(f"skipped, since they fetch Python packages, build for minutes or load the machine (--all runs them): {', '.join(SCRIPTS)}")
        ignored += len(SCRIPTS)
    print(f"{passed} passed, {failed} failed, {ignored} skipped")
    return 0 if status == 0 and failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
