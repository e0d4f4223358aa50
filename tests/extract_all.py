#!/usr/bin/env python3
"""Runs `docent extract` over every file of some folders, each by itself, and tells what came of it.

    tests/extract_all.py FOLDER... [--docent target/release/docent] [--json] [--beside-pdftotext] [--cap SECONDS]

For each file: the outcome (text, no_text with the reason, failed with the reason, or crashed), the seconds it took and the most
memory that docent and its worker process had. With --beside-pdftotext, PDFs for which pdftotext gives at least ten
words and docent none are listed. The exit status is 0 if nothing crashed and nothing took longer than the cap.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time


# Runs a command and prints, on a line of its own behind what that printed, the most memory of it and what it waited for, in KiB.
PROBE = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
print("\\n" + str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status if status >= 0 else 100)
"""


def examine(docent, file, home):
    command = [sys.executable, "-S", "-c", PROBE, docent, "--home", home, "extract", "--json", file]
    begin = time.monotonic()
    done = subprocess.run(command, capture_output=True)
    seconds = time.monotonic() - begin
    told, _, memory = done.stdout.decode("utf-8", "replace").rstrip().rpartition("\n")
    row = {"file": str(file), "seconds": round(seconds, 2), "mib": int(memory or 0) // 1024}
    if done.returncode not in (0, 1, 2) or not told.strip():
        return {**row, "outcome": "crashed", "reason": f"exit status {done.returncode}"}
    told = json.loads(told)
    n_words = len(re.findall(r"\w+", told.get("text", "")))
    return {**row, "outcome": told["outcome"], "reason": told.get("reason"), "format": told.get("format"), "words": n_words}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--docent", default="target/release/docent")
    parser.add_argument("--json", action="store_true", help="one object a line for each file, no table")
    parser.add_argument("--beside-pdftotext", action="store_true")
    parser.add_argument("--cap", type=float, default=65.0, help="seconds a file may take [65: the parser's 60 and what stands around it]")
    args = parser.parse_args()
    files = [f for folder in args.folders for f in (sorted(folder.rglob("*")) if folder.is_dir() else [folder])]
    rows = []
    with tempfile.TemporaryDirectory() as home:
        for file in (file for file in files if file.is_file()):
            row = examine(args.docent, file, home)
            if args.beside_pdftotext and file.suffix.lower() == ".pdf":
                peer = subprocess.run(["pdftotext", "-q", file, "-"], capture_output=True, timeout=120).stdout
                row["pdftotext_words"] = len(re.findall(r"\w+", peer.decode("utf-8", "replace")))
            rows.append(row)
            if args.json:
                print(json.dumps(row), flush=True)
    bad = [row for row in rows if row["outcome"] == "crashed" or row["seconds"] > args.cap]
    if not args.json:
        table(rows, args.cap)
    return 1 if bad or not rows else 0


def table(rows, cap):
    outcomes = collections.Counter((row["outcome"], row["reason"] or "") for row in rows)
    for (outcome, reason), n in sorted(outcomes.items(), key=lambda item: (item[0][0], -item[1])):
        print(f"{n:6} {outcome:8} {reason}")
    seconds = sorted(row["seconds"] for row in rows)
    memory = sorted(row["mib"] for row in rows)
    middle = len(rows) // 2
    print(f"{len(rows)} files; seconds: median {seconds[middle]}, most {seconds[-1]}; MiB: median {memory[middle]}, most {memory[-1]}")
    for row in rows:
        if row["seconds"] > cap:
            print(f"over the cap: {row['file']} {row['seconds']} s")
        if row["outcome"] == "crashed":
            print(f"crashed: {row['file']} {row['reason']}")
        if row.get("pdftotext_words", 0) >= 10 and row["outcome"] != "text":
            print(f"pdftotext reads {row['pdftotext_words']} words: {row['file']}: {row['reason']}")


if __name__ == "__main__":
    sys.exit(main())
