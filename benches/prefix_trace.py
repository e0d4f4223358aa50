#!/usr/bin/env python3
"""A trace of questions about one folder: which share of the prompts' tokens need not be read again, order by order.

    cargo build --release -p docent-cli
    benches/prefix_trace.py --model MODEL.gguf [--budget 6000] [--questions 40] [--orders relevance,sticky]

Topics are the documents that `corpora/tour-qa.jsonl` asks about, drawn from a Zipf distribution; each draw asks the topic's next
question. Where a topic has no question left it is drawn again, unless --repeat lets questions be asked twice. Every order starts
from an empty store and asks the same questions, each in a process of its own. With --answers whole answers are generated, and it is
counted how many cite the document that holds the answer, and how many hold the words of the expected answer that bear it: its numbers
and its longer words.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def trace(n_questions, seed, exponent, repeat):
    source = random.Random(seed)
    topics = {}
    for line in (ROOT / "corpora/tour-qa.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry.get("path"):
            topics.setdefault(entry["path"], []).append(entry)
    topics = [questions for questions in topics.values() if len(questions) > 1]
    source.shuffle(topics)
    weights = [1 / (rank + 1) ** exponent for rank in range(len(topics))]
    asked = []
    while len(asked) < n_questions:
        topic = source.choices(range(len(topics)), weights)[0]
        if topics[topic]:
            question = topics[topic].pop(0)
            asked.append((topic, question))
            if repeat:
                topics[topic].append(question)
    return asked


def bearing(answer):
    """The words of an answer that it cannot do without."""
    words = re.findall(r"\w+", answer.lower())
    return {word for word in words if word.isdigit() or len(word) > 4} or set(words)


def run(arguments, order, home, questions):
    cached = prompt = n_cited = n_right = 0
    first, seconds = [], 0.0
    for number, (topic, entry) in enumerate(questions, 1):
        command = [arguments.docent, "--home", home, "--threads", str(arguments.threads), "ask", "--in", arguments.folder,
                   "-m", arguments.model, "--json", "--style", "write", "--budget", str(arguments.budget), "--order", order,
                   "--temperature", "0", "--yes", entry["question"]]
        command[-1:-1] = ["--max-tokens", "96" if arguments.answers else "1"]
        started = time.time()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode not in (0, 1):
            sys.exit(done.stderr)
        seconds += time.time() - started
        answer = json.loads(done.stdout)
        usage = answer["usage"]
        first.append(answer["timing"]["first_token_s"])
        n_cited += any(pathlib.Path(c["path"]) == pathlib.Path(arguments.folder, entry["path"]) for c in answer["citations"])
        said = set(re.findall(r"\w+", answer["answer"].lower()))
        n_right += bearing(entry["answer"]) <= said
        cached += usage["cached_tokens"]
        prompt += usage["prompt_tokens"]
        if arguments.verbose:
            print(f"{order:10} {number:3} topic {topic:3}: {usage['cached_tokens']:6} of {usage['prompt_tokens']:6}  {first[-1]:5.1f} s", flush=True)
            if arguments.answers:
                print(f"    {entry['question']}\n    {entry['answer']}\n    > {' '.join(answer['answer'].split())}", flush=True)
    share = cached / prompt
    print(f"{order:10} {cached} of {prompt} tokens cached: {share:.1%}; first token after {statistics.mean(first):.1f} s "
          f"(median {statistics.median(first):.1f}); {seconds:.0f} s for {len(questions)} questions", flush=True)
    if arguments.answers:
        print(f"{order:10} {n_cited} cite the document that holds the answer, {n_right} hold the expected answer's words", flush=True)
    return share


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docent", default="target/release/docent")
    parser.add_argument("--model", required=True)
    parser.add_argument("--models", help="a folder of pulled models (with the embedding model) to link into the trace's homes")
    parser.add_argument("--home", help="a folder for the index, to be used again [default: a temporary one]")
    parser.add_argument("--folder", default=str(ROOT / "corpora/tour"))
    parser.add_argument("--budget", type=int, default=6000)
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--exponent", type=float, default=1.0)
    parser.add_argument("--repeat", action="store_true", help="let a topic's questions be asked again")
    parser.add_argument("--orders", default="relevance,canonical,sticky")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--answers", action="store_true", help="generate whole answers and look at them")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    questions = trace(arguments.questions, arguments.seed, arguments.exponent, arguments.repeat)
    shares = {}
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(arguments.home or folder) / "home"
        if arguments.models and not (home / "cache/models").exists():
            (home / "cache").mkdir(parents=True, exist_ok=True)
            (home / "cache/models").symlink_to(pathlib.Path(arguments.models).resolve())
        for order in arguments.orders.split(","):
            shutil.rmtree(home / "cache/prefix", ignore_errors=True)
            shares[order] = run(arguments, order, home, questions)
    for order, share in shares.items():
        if order != "relevance" and shares.get("relevance"):
            print(f"{order} order: {share / shares['relevance']:.2f} times relevance order")


if __name__ == "__main__":
    main()
