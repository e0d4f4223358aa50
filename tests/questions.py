#!/usr/bin/env python3
"""Asks the questions about the sample folder whose answers are known, and counts how often docent finds them.

    tests/questions.py [--home DIR] [--search-only] [--limit N] [-- extra arguments of `docent ask`]

For each question of corpora/tour-questions.jsonl: is the expected document among the first five of `search --json`, and
does `ask --json` cite it? Also checks that every citation is byte-exact in the text that `docent` extracted, and, for text
formats, in the file. Prints one line a question and the counts; models must have been pulled.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOUR = ROOT / "corpora" / "tour"
SAME_AS_FILE = {".txt", ".md", ".rs", ".py", ".c", ".h", ".js", ".toml", ".json", ".csv"}


def docent(arguments, *command):
    binary = arguments.binary or ROOT / "target" / "release" / "docent"
    home = ["--home", arguments.home] if arguments.home else []
    run = subprocess.run([binary, *home, "--quiet", *command], capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise SystemExit(f"docent {' '.join(command)} exited with {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)


def byte_exact(citation):
    path = pathlib.Path(citation["path"])
    if path.suffix not in SAME_AS_FILE:
        return True
    return path.read_bytes()[citation["byte_start"]:citation["byte_end"]] == citation["quote"].encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home")
    parser.add_argument("--binary")
    parser.add_argument("--questions", default=ROOT / "corpora" / "tour-questions.jsonl")
    parser.add_argument("--search-only", action="store_true")
    parser.add_argument("--limit", type=int)
    parser.add_argument("extra", nargs="*")
    arguments = parser.parse_args()
    lines = pathlib.Path(arguments.questions).read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines if line][: arguments.limit]
    found = cited = inexact = seconds = 0
    for question in questions:
        expected = (TOUR / question["path"]).resolve()
        hits = docent(arguments, "search", "--json", "-n", "5", "--in", str(TOUR), question["question"])["hits"]
        in_hits = any(pathlib.Path(hit["path"]) == expected for hit in hits)
        found += in_hits
        line = f"{question['id']:>4}  {'found ' if in_hits else 'MISSED'}"
        if not arguments.search_only:
            answer = docent(arguments, "ask", "--json", "--in", str(TOUR), *arguments.extra, question["question"])
            is_cited = any(pathlib.Path(c["path"]) == expected for c in answer["citations"])
            cited += is_cited
            inexact += sum(not byte_exact(citation) for citation in answer["citations"])
            seconds += answer["timing"]["total_s"]
            text = " ".join(answer["answer"].split())
            line += f"  {'cited  ' if is_cited else 'UNCITED'}  {answer['status']:9}  {text[:110]}"
        print(f"{line}  | {question['question'][:70]}", flush=True)
    print(f"expected document among the first five: {found} of {len(questions)}")
    if not arguments.search_only:
        print(f"expected document cited: {cited} of {len(questions)}")
        print(f"citations not byte-exact: {inexact}; mean seconds an answer: {seconds / len(questions):.1f}")


if __name__ == "__main__":
    sys.exit(main())
