#!/usr/bin/env python3
"""Plants facts in real text and looks whether docent reads them, and whether a model then tells them.

    tests/needles.py pack --home DIR -m MODEL [--sizes 4000,16000,64000,120000]
    tests/needles.py ask --home DIR -m MODEL [--sizes 4000] [--peer] [--places start,end]

A haystack is a folder of one text file of about so many tokens, cut from the books and manuals of corpora/tour. Into it go one fact
("single") or two that have to be joined ("two-hop"), at the start, in the middle or at the end. `pack` runs nothing: `docent pack` says
which bytes would be read, once with --budget all and once with auto, and each planted sentence is in them or not. `ask` asks, and counts
answers that hold the planted word; with --peer the same tokens (`docent debug prompt`) go through llama.cpp, greedily as well, for
comparison (needs llama-cpp-python).
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOUR = ROOT / "corpora" / "tour"
TEXTS = ["literature/alice-in-wonderland.txt", "software/jargon-file-letter-b.txt", "software/curl-history.md",
         "geography/calendars.txt", "software/python-unicode-howto.txt", "software/curl-http-scripting.md",
         "software/python-sorting-howto.txt", "geography/antarctica-time-zones.txt"]
BYTES_PER_TOKEN = 3.9
PLACES = {"start": 0.02, "middle": 0.5, "end": 0.97}
# (sentences, question, the word that answers)
SINGLE = [
    (["The password of the lighthouse in Torvik is {}."], "What is the password of the lighthouse in Torvik?"),
    (["The ship Meridian carries a cargo of {}."], "What cargo does the ship Meridian carry?"),
    (["Professor Aldwin's favourite instrument is the {}."], "What is Professor Aldwin's favourite instrument?"),
]
TWO_HOP = [
    (["Greta Holm lives in the town of Varsund.", "The town of Varsund is famous for its {}."],
     "What is the town where Greta Holm lives famous for?"),
    (["The expedition of 1911 was led by Ole Brandt.", "Ole Brandt always carried a {} in his coat."],
     "What did the leader of the expedition of 1911 always carry in his coat?"),
]
WORDS = ["saffron", "bassoon", "marzipan", "tungsten", "periwinkle", "accordion", "cinnamon", "lantern", "walnuts", "compass"]


def haystack(n_tokens, rng):
    """Paragraphs of real text, about n_tokens of them."""
    pieces = []
    for name in TEXTS:
        pieces += (TOUR / name).read_text(encoding="utf-8").replace("\r", "").split("\n\n")
    pieces = [piece.strip() for piece in pieces if len(piece.strip()) > 80]
    start = rng.randrange(len(pieces))
    chosen, size = [], 0
    while size < n_tokens * BYTES_PER_TOKEN:
        piece = pieces[(start + len(chosen)) % len(pieces)]
        # Text that comes round again must not be dropped as a repetition.
        piece = piece if len(chosen) < len(pieces) else f"{piece} ({len(chosen)})"
        chosen.append(piece)
        size += len(piece.encode()) + 2
    return chosen


def cases(sizes, places):
    for size in sizes:
        for kind, facts in (("single", SINGLE), ("two-hop", TWO_HOP)):
            for place in places:
                for n, (sentences, question) in enumerate(facts):
                    rng = random.Random(f"{size} {kind} {place} {n}")
                    word = rng.choice(WORDS)
                    pieces = haystack(size, rng)
                    planted = [sentence.format(word) for sentence in sentences]
                    at = [PLACES[place]] if kind == "single" else [PLACES[place], (PLACES[place] + 0.4) % 1.0]
                    for where, sentence in sorted(zip(at, planted), reverse=True):
                        pieces.insert(int(where * len(pieces)), sentence)
                    yield {"size": size, "kind": kind, "place": place, "question": question, "word": word,
                           "planted": planted, "text": "\n\n".join(pieces) + "\n"}


def docent(arguments, *command):
    run = subprocess.run([arguments.binary, "--home", arguments.home, "--quiet", *command], capture_output=True, text=True)
    if run.returncode not in (0, 1):
        raise SystemExit(f"docent {' '.join(command)} exited with {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)


def pack(arguments):
    counts = {}
    for case in cases(arguments.sizes, arguments.places):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "haystack.txt"
            path.write_text(case["text"], encoding="utf-8")
            content = case["text"].encode()
            for budget in ("all", "auto"):
                packing = docent(arguments, "pack", "--json", "--in", folder, "-m", arguments.model, "--budget", budget, case["question"])
                spans = [(p["byte_start"], p["byte_end"]) for p in packing["passages"]]
                for sentence in case["planted"]:
                    start = content.index(sentence.encode())
                    end = start + len(sentence.encode())
                    is_there = any(a <= start and end <= b for a, b in spans)
                    exact = all(content[p["byte_start"]:p["byte_end"]] == p["quote"].encode() for p in packing["passages"])
                    count = counts.setdefault((budget, case["size"]), [0, 0, 0, 0])
                    count[0] += is_there
                    count[1] += 1
                    count[2] += not exact
                    count[3] = max(count[3], packing["prompt_tokens"])
                    if not is_there:
                        print(f"  not read with --budget {budget}: {case['size']} {case['kind']} {case['place']}: {sentence}")
    for (budget, size), (there, all_of, inexact, tokens) in counts.items():
        print(f"--budget {budget}, {size} tokens of text (prompt up to {tokens}): {there} of {all_of} planted sentences read; {inexact} not byte-exact")


def ask(arguments):
    peer = Peer(arguments) if arguments.peer else None
    right = {"docent": 0, "llama.cpp": 0}
    n = 0
    for case in cases(arguments.sizes, arguments.places):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "haystack.txt").write_text(case["text"], encoding="utf-8")
            common = ["--in", folder, "-m", arguments.model, "--budget", "all"]
            started = time.monotonic()
            answer = docent(arguments, "ask", "--json", "--no-history", "--style", "write", "--temperature", "0", *common, case["question"])
            seconds = time.monotonic() - started
            ours = case["word"] in answer["answer"].lower()
            right["docent"] += ours
            line = f"{case['size']:>6} {case['kind']:7} {case['place']:6} {'right' if ours else 'WRONG'} {seconds:5.1f} s"
            if peer:
                tokens = docent(arguments, "debug", "prompt", *common, case["question"])["tokens"]
                started = time.monotonic()
                text = peer.answer(tokens)
                theirs = case["word"] in text.lower()
                right["llama.cpp"] += theirs
                line += f" | llama.cpp {'right' if theirs else 'WRONG'} {time.monotonic() - started:5.1f} s"
            n += 1
            print(f"{line}  {' '.join(answer['answer'].split())[:70]}", flush=True)
    print(f"right: docent {right['docent']} of {n}" + (f", llama.cpp {right['llama.cpp']} of {n}" if peer else ""))


class Peer:
    """llama.cpp with the same weights, tokens and sampling."""

    def __init__(self, arguments):
        from llama_cpp import Llama

        path = subprocess.run([arguments.binary, "--home", arguments.home, "models", "path", arguments.model],
                              capture_output=True, text=True).stdout.strip()
        path = pathlib.Path(path or arguments.model)
        if path.is_dir():
            path = next(path.glob("*.gguf"))
        # A haystack's tokens are reckoned by its bytes; some texts have half as many again.
        self.llama = Llama(str(path), n_ctx=max(arguments.sizes) * 8 // 5 + 2048, n_threads=arguments.threads, verbose=False)
        self.penalty = arguments.penalty

    def answer(self, tokens):
        self.llama.reset()
        out = []
        for token in self.llama.generate(tokens, temp=0.0, top_k=1, repeat_penalty=self.penalty):
            if token == self.llama.token_eos() or len(out) >= 96:
                break
            out.append(token)
        return self.llama.detokenize(out).decode("utf-8", errors="replace")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, sizes in (("pack", pack, "4000,16000,64000,120000"), ("ask", ask, "4000")):
        one = commands.add_parser(name)
        one.add_argument("--home", required=True)
        one.add_argument("--binary", default=ROOT / "target" / "release" / "docent")
        one.add_argument("-m", "--model", required=True)
        one.add_argument("--sizes", default=sizes, type=lambda text: [int(size) for size in text.split(",")])
        one.add_argument("--places", default="start,middle,end", type=lambda text: text.split(","))
        one.set_defaults(run=run)
        if name == "ask":
            one.add_argument("--peer", action="store_true")
            one.add_argument("--threads", type=int, default=2)
            one.add_argument("--penalty", type=float, default=1.1)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
