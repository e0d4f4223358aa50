#!/usr/bin/env python3
"""Resumes a kept text at many offsets, each in a new process, and compares the logits with those computed without the store.
With --kills, `warm` is then killed so many times at random points, and behind what it left the logits are compared again.

    cargo build --release -p docent-cli
    tests/prefix_offsets.py MODEL.gguf ... [--offsets 25 | all] [--kills 8 --pulled DIR] [--docent target/release/docent]

--pulled is a folder of pulled models with the embedding model, which `warm` needs for its index. Where `warm` refuses, since the model is
too small for it, `debug logits` is killed instead, which keeps blocks in the same way.
"""
import argparse
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

TEXTS = pathlib.Path(__file__).resolve().parent.parent / "corpora/tour/software/python-sorting-howto.txt"


def logits(docent, home, model, tokens, more=()):
    folder = pathlib.Path(home)
    ids, out = folder / "ids.txt", folder / "logits.npy"
    ids.write_text(" ".join(map(str, tokens)))
    done = subprocess.run([docent, "--home", home, "debug", "logits", "-m", model, "--tokens", ids, "--last", "--out", out, *more],
                          check=True, stderr=subprocess.PIPE, text=True)
    return out.read_bytes(), done.stderr.strip()


def killed(docent, pulled, model, n_kills, source):
    """Numbers of comparisons and of differences, and the tokens that were taken from what killed processes left."""
    with tempfile.TemporaryDirectory() as folder:
        home, other = pathlib.Path(folder, "home"), pathlib.Path(folder, "other")
        (home / "cache").mkdir(parents=True)
        (home / "cache/models").symlink_to(pathlib.Path(pulled).resolve())
        base = [docent, "--home", home]
        subprocess.run([*base, "--quiet", "search", "--in", TEXTS, "sorting"], stdout=subprocess.DEVNULL, check=True)
        which = ["--in", TEXTS, "-m", model, "--budget", "3500"]
        read = subprocess.run([*base, "debug", "warm", *which], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        command, ids = ["warm", *which], read.stdout.split()
        if read.returncode != 0:
            ids = [str(source.randrange(300, 30000)) for _ in range(3000)]
            command = ["debug", "logits", "--last", "-m", model, "--tokens", home / "ids.txt", "--out", home / "logits.npy"]
            (home / "ids.txt").write_text(" ".join(ids))
        prompt = [*map(int, ids), *(source.randrange(300, 30000) for _ in range(5))]
        other.mkdir()
        started = time.time()
        cold, _ = logits(docent, other, model, prompt, ["--no-cache"])
        longest = time.time() - started
        n_wrong, tokens = 0, []
        for _ in range(n_kills):
            running = subprocess.Popen([*base, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(source.random() * longest)
            running.kill()
            running.wait()
            # Looked at elsewhere, so that looking adds nothing to what was left.
            shutil.rmtree(other / "cache", ignore_errors=True)
            if (home / "cache/prefix").exists():
                shutil.copytree(home / "cache/prefix", other / "cache/prefix")
            kept, told = logits(docent, other, model, prompt)
            tokens.append(int(told.split("cached=")[1].split()[0]))
            n_wrong += kept != cold
            if tokens[-1] >= len(prompt) - 5:
                shutil.rmtree(home / "cache/prefix")
        return command[0], n_wrong, tokens, len(prompt)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--offsets", default="25")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--pulled")
    parser.add_argument("--docent", default="target/release/docent")
    arguments = parser.parse_args()
    wrong_in_all = 0
    for model in arguments.models:
        source, wrong = random.Random(4), 0
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
        if arguments.kills:
            what, n_wrong, tokens, n_all = killed(arguments.docent, arguments.pulled, model, arguments.kills, source)
            wrong += n_wrong
            print(f"{model}: {what} killed {len(tokens)} times, {n_wrong} wrong; of {n_all} tokens it left {tokens}", flush=True)
        wrong_in_all += wrong
    sys.exit(1 if wrong_in_all else 0)


if __name__ == "__main__":
    main()
