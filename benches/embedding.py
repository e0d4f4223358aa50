#!/usr/bin/env python3
"""Embedding speed beside onnxruntime: the same model, texts, f32, threads and length, in turns.

    benches/embedding.py --docent target/release/docent --home HOME --python PYTHON --peer SCRIPT --texts corpus.jsonl

SCRIPT builds an ONNX graph from a model's safetensors and embeds a file of texts: `SCRIPT MODELDIR texts.jsonl out.npy`, with
THREADS in the environment; it prints `... N tokens ... R tok/s`, longest texts first in batches of 32, padded to the longest of
each. PYTHON has onnx, onnxruntime, tokenizers, safetensors and numpy. The time of neither includes opening the model.
Prints one JSON object: medians and their ratio (docent over onnxruntime; above 1 docent is faster), and of each round.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docent", required=True)
    parser.add_argument("--home", required=True, help="where docent has all-minilm-l6-v2")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--texts", required=True, help="lines of JSON with `text` and perhaps `title`")
    parser.add_argument("--limit", type=int, default=256)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    docent = [args.docent, "--home", args.home, "--threads", str(args.threads)]
    model = subprocess.check_output([*docent, "models", "path", "all-minilm-l6-v2"], text=True).strip()
    model = pathlib.Path(model)
    model = model if model.is_dir() else model.parent
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for file in ["model.safetensors", "tokenizer.json"]:
            (folder / file).symlink_to(model / file)
        texts = folder / "texts.jsonl"
        with open(args.texts) as lines:
            texts.write_text("".join(line for _, line in zip(range(args.limit), lines)))
        peer = [args.python, args.peer, str(folder), str(texts), str(folder / "out.npy")]
        environment = {**os.environ, "THREADS": str(args.threads)}
        subprocess.run(peer, env=environment, check=True, capture_output=True)  # builds the graph
        for _ in range(args.rounds):
            ours = subprocess.check_output([*docent, "bench", "embed", str(texts), "--reps", "1", "--json"], text=True)
            theirs = subprocess.check_output(peer, env=environment, text=True)
            ours = json.loads(ours)
            tokens, speed = re.search(r"(\d+) tokens .* (\d+) tok/s", theirs).groups()
            assert ours["tokens"] == int(tokens), f"{ours['tokens']} tokens here, {tokens} there"
            rounds.append({"docent": ours["tok_s"], "onnxruntime": int(speed), "ratio": round(ours["tok_s"] / int(speed), 3)})
            print(rounds[-1], file=sys.stderr)
    median = {key: statistics.median(r[key] for r in rounds) for key in ["docent", "onnxruntime", "ratio"]}
    print(json.dumps({"threads": args.threads, "texts": args.limit, "tokens": ours["tokens"], "median": median, "rounds": rounds}))


if __name__ == "__main__":
    main()
