#!/usr/bin/env python3
"""Sends `docent serve` generated requests, valid and not, by its own description.

    pip install schemathesis
    tests/serve_fuzz.py [--examples N] [--docent COMMAND]

Fails on a status 5xx, a status or a body that /openapi.json does not describe, or a server that is gone afterwards. Routes on which the model
writes get few examples each, since every valid one is an answer.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

from serving import Serving

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"
SLOW = "^/v1/(ask|pack|chat/completions|completions)$"
# The server's end is not to be waited for an hour's indexing: nothing below these is large.
DOCUMENTS = {"tea.md": "# Tea\n\nGreen tea is brewed at eighty degrees.\n", "lease.md": "# Lease\n\nNotice is three months.\n"}


def runs(serving, which, examples, workers):
    """One run; gives the number of requests, and whether all held."""
    beside = pathlib.Path(sys.executable).parent / "schemathesis"
    command = [str(beside) if beside.exists() else "schemathesis", "run", f"{serving.url}/openapi.json", *which]
    command += ["--checks", CHECKS, "--max-examples", str(examples), "--phases", "examples,coverage,fuzzing", "--workers", str(workers)]
    command += ["--request-timeout", "120", "--generation-deterministic"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=serving.folder, env={**os.environ, "NO_COLOR": "1"})
    print(run.stdout[-6000:], run.stderr[-2000:])
    cases = re.search(r"([\d,]+) generated", run.stdout)
    return int(cases[1].replace(",", "")) if cases else 0, run.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--examples", type=int, default=60)
    parser.add_argument("--docent")
    arguments = parser.parse_args()
    with Serving(arguments.docent, DOCUMENTS, ("--no-history",)) as serving:
        quick, quick_ok = runs(serving, ["--exclude-path-regex", SLOW], arguments.examples, 4)
        slow, slow_ok = runs(serving, ["--include-path-regex", SLOW], max(2, arguments.examples // 10), 2)
        serving.metric("docent_connections")  # it still answers
    print(f"{quick + slow} requests, the server ended with {serving.ended}")
    ok = quick_ok and slow_ok and serving.ended == 0
    print("ok" if ok else "failed")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
