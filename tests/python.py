#!/usr/bin/env python3
"""Builds the Python package, installs it into a virtual environment of its own and runs its tests.

    tests/python.py [-- ARGS]      ARGS are handed to unittest

Needs Rust; the first build compiles docent once more, as a library for Python. The environment is kept below the target folder.
"""

import os
import pathlib
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python"


def main(arguments):
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    home = target / "python-tests"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(PACKAGE)], check=True, env=environment)
    tests = [python, "-m", "unittest", "discover", "--start-directory", str(PACKAGE / "tests"), *arguments]
    # From another folder, so that the installed package is what is imported.
    return subprocess.run(tests, cwd=home, env={**environment, "DOCENT_TEST_MODELS": str(target / "test-models")}).returncode


if __name__ == "__main__":
    sys.exit(main([argument for argument in sys.argv[1:] if argument != "--"]))
