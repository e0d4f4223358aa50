#!/usr/bin/env python3
"""Runs the tests and adds up what the single test programs report.

    tests/run.py             what needs Rust and Python 3 only (small models are pulled once, some 175 MB)
    tests/run.py --all       the long runs too
    tests/run.py -- ARGS     ARGS are handed to `cargo test`

The last line is `N passed, N failed, N skipped`; the exit status is 0 only if none failed and some passed.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")


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
    print(f"{passed} passed, {failed} failed, {ignored} skipped")
    return 0 if status == 0 and failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
