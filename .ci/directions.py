"""Checks the arrows between crates: who may use whom, and where third-party types may appear.

The design is stated as absences (docs/architecture.md): nothing depends on `cli`, `index` does not know `embed`,
`pack` knows nobody. A new edge is a decision: change the table here together with the document.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# crate -> the crates of ours it may use directly (tests included)
MAY_USE = {
    "docent-mapped": set(),
    "docent-kernels": set(),
    "docent-models": set(),
    "docent-extract": set(),
    "docent-pack": set(),
    "docent-lm": {"docent-kernels", "docent-mapped"},
    "docent-prefix": {"docent-mapped"},
    "docent-infer": {"docent-lm", "docent-kernels", "docent-prefix"},
    "docent-embed": {"docent-kernels", "docent-mapped"},
    "docent-index": {"docent-kernels", "docent-mapped"},
    "docent-retrieve": {"docent-index"},
    "docent-ingest": {"docent-extract", "docent-embed", "docent-index"},
    "docent": {
        "docent-embed", "docent-extract", "docent-index", "docent-infer", "docent-ingest", "docent-kernels",
        "docent-lm", "docent-models", "docent-pack", "docent-prefix", "docent-retrieve",
    },
    "docent-mcp": {"docent"},
    # axum, tokio and wire formats live here; models are told apart by the catalogue's kinds
    "docent-serve": {"docent", "docent-mcp", "docent-models"},
    "docent-cli": {
        "docent", "docent-extract", "docent-infer", "docent-lm", "docent-mcp", "docent-models",
        "docent-serve",
    },
}
# tests may pull weights: only as a development dependency
MAY_USE_IN_TESTS = {"docent-models"}

# third-party crate -> the only crates of ours that may name it
CONFINED = {
    "tantivy": {"docent-index"},
    "hnsw_rs": {"docent-index"},
    "rusqlite": {"docent-index"},
    "notify": {"docent-ingest"},
    "hayro-interpret": {"docent-extract"},
    "mail-parser": {"docent-extract"},
    "candle-core": {"docent-embed", "docent-lm"},
    "candle-nn": {"docent-embed", "docent-lm"},
    "memmap2": {"docent-mapped"},
    "tokio": {"docent-cli", "docent-mcp", "docent-serve"},
    "rmcp": {"docent-mcp"},
    "axum": {"docent-serve"},
    "hyper": {"docent-serve"},
    "utoipa": {"docent-serve", "docent"},
    "clap": {"docent-cli"},
    "anyhow": {"docent-cli"},
}

UNSAFE_ALLOWED = {"docent-kernels", "docent-mapped"}


def stale_lock(packages):
    """What python/Cargo.lock says of our crates and is no longer so. It is a workspace of its own that is built with `--locked`, so that a
    dependency added here, and not there, would be noticed by whoever installs the package."""
    entries = (ROOT / "python" / "Cargo.lock").read_text().split("[[package]]")
    locked = {}
    for entry in entries[1:]:
        name = re.search(r'name = "(.+)"', entry)[1]
        dependencies = re.search(r"dependencies = \[(.*?)\]", entry, re.DOTALL)
        locked[name] = {line.split()[0] for line in re.findall(r'"(.+?)"', dependencies[1])} if dependencies else set()
    for package in packages:
        built = [dependency for dependency in package["dependencies"] if dependency["kind"] != "dev"]
        needed = {dependency["name"] for dependency in built if not dependency["optional"]}
        has = locked.get(package["name"])
        if has is not None and not needed <= has <= {dependency["name"] for dependency in built}:
            yield f"python/Cargo.lock is not current for {package['name']}: `cargo update --workspace` in python/"


def main():
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]
    packages = json.loads(subprocess.check_output(command, cwd=ROOT))["packages"]
    faults = []
    for package in packages:
        name = package["name"]
        if name not in MAY_USE:
            faults.append(f"{name} is not in the table of crates")
            continue
        for dependency in package["dependencies"]:
            other = dependency["name"]
            in_tests = dependency["kind"] == "dev" and other in MAY_USE_IN_TESTS
            if other in MAY_USE and other not in MAY_USE[name] and not in_tests and other != name:
                faults.append(f"{name} must not use {other}")
            if other in CONFINED and name not in CONFINED[other] and dependency["kind"] != "dev":
                faults.append(f"{name} must not use {other}: it stays in {', '.join(sorted(CONFINED[other]))}")
        manifest = pathlib.Path(package["manifest_path"])
        inherits = re.search(r"\[lints\]\s*workspace = true", manifest.read_text())
        if not inherits and name not in UNSAFE_ALLOWED:
            faults.append(f"{name} does not take the workspace's lints, which forbid unsafe code")
    faults.extend(stale_lock(packages))
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"directions: {len(packages)} crates, no forbidden edge")


if __name__ == "__main__":
    main()
