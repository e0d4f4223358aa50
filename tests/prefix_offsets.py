#!/usr/bin/env python3
"""Resumes a kept text at many offsets, each in a new process, and compares the logits with those computed without the store.

    cargo build --release -p docent-cli
    tests/prefix_offsets.py MODEL.gguf ... [--offsets 25 | all] [--docent target/release/docent]
"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile


def logits(docent, home, model, tokens, more=()):
    folder = pathlib.Path(home)
    ids, out = folder / "ids.txt", folder / "logits.npy"
    ids.write_text(" ".join(map(str, tokens)))
    done = subprocess.run([docent, "--home", home, "debug", "logits", "-m", model, "--tokens", ids, "--last", "--out", out, *more],
                          check=True, stderr=subprocess.PIPE, text=True)
    return out.read_bytes(), done.stderr.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--offsets", default="25")
    parser.add_argument("--docent", default="target/release/docent")
    arguments = parser.parse_args()
    wrong = 0
    for model in arguments.models:
        source = random.Random(4)
        text = [source.randrange(300, 30000) for _ in range(600)]
        offsets = range(1, 601) if arguments.offsets == "all" else sorted(source.sample(range(1, 601), int(arguments.offsets)))
        with tempfile.TemporaryDirectory() as home:
            logits(arguments.docent, home, model, text)
            n_cached = 0
            for offset in offsets:
                prompt = text[:offset] + [source.randrange(300, 30000) for _ in range(5)]
                warm, told = logits(arguments.docent, home, model, prompt)
                cold, _ = logits(arguments.docent, home, model, prompt, ["--no-cache"])
                n_cached += int(told.split("cached=")[1].split()[0])
                if warm != cold:
                    wrong += 1
                    print(f"{model} at {offset}: other bits ({told})")
        print(f"{model}: {len(offsets)} offsets, {n_cached} of {sum(offsets)} tokens came from the store, {wrong} wrong", flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
