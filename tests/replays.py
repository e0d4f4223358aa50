#!/usr/bin/env python3
"""Makes twenty answers again, ten of them after everything kept was purged, and counts those that come out the same to the byte.

    tests/replays.py --home DIR [-m MODEL] [-n 20] [-- extra arguments of `docent ask`]

The questions are those of corpora/tour-questions.jsonl; with some randomness in the sampling, so that the seed matters. Exits 1 unless
every answer is the same.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", required=True)
    parser.add_argument("--binary", default=ROOT / "target" / "release" / "docent")
    parser.add_argument("-m", "--model")
    parser.add_argument("-n", type=int, default=20)
    parser.add_argument("extra", nargs="*")
    arguments = parser.parse_args()

    def docent(*command, may_fail=False):
        run = subprocess.run([arguments.binary, "--home", arguments.home, "--quiet", *command], capture_output=True, text=True)
        if run.returncode not in (0, 1) and not may_fail:
            raise SystemExit(f"docent {' '.join(command)} exited with {run.returncode}: {run.stderr}")
        return json.loads(run.stdout) if run.stdout.startswith("{") else run.stdout

    lines = (ROOT / "corpora" / "tour-questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line)["question"] for line in lines][: arguments.n]
    model = ["-m", arguments.model] if arguments.model else []
    tour = str(ROOT / "corpora" / "tour")
    asked = []
    for seed, question in enumerate(questions):
        options = ["--json", "--in", tour, "--temperature", "0.7", "--seed", str(seed), *model, *arguments.extra]
        answer = docent("ask", *options, question)
        asked.append((answer["id"], question))
        print(f"asked {answer['id']}  {question[:80]}", flush=True)
    same = 0
    for n, (identifier, question) in enumerate(asked):
        if n == len(asked) // 2:
            docent("cache", "purge", "--all")
            print("purged everything kept", flush=True)
        replay = docent("ask", "--json", "--replay", identifier)
        same += replay["same"]
        print(f"{'same   ' if replay['same'] else 'ANOTHER'} {identifier}  {'; '.join(replay['differences'])}", flush=True)
    print(f"the same to the byte: {same} of {len(asked)}, {len(asked) - len(asked) // 2} of them after the purge")
    return 0 if same == len(asked) else 1


if __name__ == "__main__":
    sys.exit(main())
