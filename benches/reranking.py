#!/usr/bin/env python3
"""How long the second stage of a search takes: the best 30 passages read again by a cross-encoder of the real one's size.

    benches/reranking.py --docent target/release/docent --home HOME < questions

HOME has all-minilm-l6-v2 and an index to be searched. The cross-encoder is made here: all-minilm-l6-v2's own encoder, which has the shape of
ms-marco-minilm-l6-v2 (6 layers, 384 numbers, 512 tokens a pair), with a random head. Its scores mean nothing; its time is that of the real one.
Each line of the input is a question. Prints one JSON object: medians over the questions.
"""
import argparse
import json
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile


def cross_encoder(model, folder):
    """Writes the files of a cross-encoder that has the layers of the embedding model in `model`."""
    raw = (model / "model.safetensors").read_bytes()
    n_header = struct.unpack("<Q", raw[:8])[0]
    header, numbers = json.loads(raw[8 : 8 + n_header]), raw[8 + n_header :]
    chance = random.Random(6)
    hidden = json.loads((model / "config.json").read_text())["hidden_size"]
    for name, shape in [("classifier.weight", [1, hidden]), ("classifier.bias", [1])]:
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(numbers), len(numbers) + 4 * n]}
        numbers += struct.pack(f"<{n}f", *(chance.uniform(-1, 1) for _ in range(n)))
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + numbers)
    for file in ["config.json", "tokenizer.json"]:
        (folder / file).write_bytes((model / file).read_bytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docent", required=True)
    parser.add_argument("--home", required=True)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    docent = [options.docent, "--home", options.home]
    docent += ["--threads", str(options.threads)] if options.threads else []
    model = pathlib.Path(subprocess.check_output([*docent, "models", "path", "all-minilm-l6-v2"], text=True).strip())
    questions = [line.strip() for line in sys.stdin if line.strip()]
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        cross_encoder(model, pathlib.Path(folder))
        for question in questions:
            found = subprocess.check_output([*docent, "search", "--json", f"--rerank={folder}", question])
            taken.append(json.loads(found)["rerank"])
    median = {key: round(statistics.median(one[key] for one in taken), 3) for key in ["passages", "seconds", "load_seconds"]}
    print(json.dumps({"questions": len(questions), "median": median, "slowest_s": round(max(one["seconds"] for one in taken), 3)}))


if __name__ == "__main__":
    main()
